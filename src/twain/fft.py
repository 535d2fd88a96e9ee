"""Fourier transforms: the Array API standard's extension `fft`, whole, and two-dimensional ones as in PyTorch and NumPy.

float32 and complex64 are transformed in single precision, float64 and complex128 in double; ints, bools and half precision
count as float32. `n` and `s` are sizes to which the input is cut, or continued with zeros, first. norm: "backward" (the
default: only the inverse is divided by n), "ortho" (both by sqrt(n)), "forward" (only the forward one by n). All of it
differentiates, batches and compiles.
"""

from __future__ import annotations

from collections.abc import Sequence

from . import _core
from .base import dtypes as dt
from .base.errors import ArgumentError, ValueRangeError
from .base.shapes import as_index, normalize_axes
from .ops.fft import (
    fft,
    fft2,
    fftn,
    hfft,
    hfft2,
    hfftn,
    ifft,
    ifft2,
    ifftn,
    ihfft,
    ihfft2,
    ihfftn,
    irfft,
    irfft2,
    irfftn,
    rfft,
    rfft2,
    rfftn,
)
from .tensor.creation import arange
from .tensor.methods import roll

Tensor = _core.Tensor


def _frequencies(name: str, n: int, d: float, dtype: object, device: object, lowest: int, count: int) -> Tensor:
    wanted = dt.DEFAULT_FLOAT if dtype is None else dt.as_dtype(dtype, name)
    if wanted.kind != "f":
        raise ArgumentError(f"[{name}] dtype: expected a real floating dtype, got {wanted}")
    places = arange(lowest, lowest + count, dtype=dt.float64, device=device)
    return (places / (n * d)).astype(wanted)


def _checked(name: str, n: object, d: object) -> int:
    count = as_index(name, "n", n)
    if count < 1:
        raise ValueRangeError(f"[{name}] n: expected an int of at least 1, got {count}")
    if not isinstance(d, (int, float)) or d == 0:
        raise ValueRangeError(f"[{name}] d: expected a number other than 0, got {d!r}")
    return count


def fftfreq(n: int, /, *, d: float = 1.0, dtype: object = None, device: object = None) -> Tensor:
    """The frequencies of `fft`'s n results, in cycles per unit of the sample spacing d: 0, 1, ..., -2, -1 over (n * d)."""
    count = _checked("fft.fftfreq", n, d)
    return roll(_frequencies("fft.fftfreq", count, d, dtype, device, -(count // 2), count), -(count // 2))


def rfftfreq(n: int, /, *, d: float = 1.0, dtype: object = None, device: object = None) -> Tensor:
    """The frequencies of `rfft`'s n // 2 + 1 results: 0, 1, ..., n // 2 over (n * d)."""
    count = _checked("fft.rfftfreq", n, d)
    return _frequencies("fft.rfftfreq", count, d, dtype, device, 0, count // 2 + 1)


def _shifted(name: str, x: Tensor, axes: object, back: bool) -> Tensor:
    chosen = normalize_axes(name, axes, x.ndim)
    shifts = tuple(-(x.shape[a] // 2) if back else x.shape[a] // 2 for a in chosen)
    return roll(x, shifts, axis=chosen) if chosen else x


def fftshift(x: Tensor, /, *, axes: int | Sequence[int] | None = None) -> Tensor:
    """x with frequency 0 moved to the middle of `axes` (None: all)."""
    return _shifted("fft.fftshift", x, axes, False)


def ifftshift(x: Tensor, /, *, axes: int | Sequence[int] | None = None) -> Tensor:
    """The inverse of `fftshift`."""
    return _shifted("fft.ifftshift", x, axes, True)


__all__ = [
    "fft", "fft2", "fftfreq", "fftn", "fftshift", "hfft", "hfft2", "hfftn", "ifft", "ifft2", "ifftn", "ifftshift", "ihfft",
    "ihfft2", "ihfftn", "irfft", "irfft2", "irfftn", "rfft", "rfft2", "rfftfreq", "rfftn",
]  # fmt: skip
