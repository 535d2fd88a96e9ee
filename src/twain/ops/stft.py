"""Short-time Fourier transforms: of windows of a signal that follow each other, and back by adding them up again."""

from __future__ import annotations

from ..base import dtypes as dt
from ..base.errors import ArgumentError, DTypeError, ShapeError, ValueRangeError
from ..base.shapes import as_index
from ..ir.node import Spec
from .arrange import part, sliding_windows
from .elementwise import cast, divide, imag, multiply, real
from .families import composite
from .fft import fft, ifft, irfft, rfft
from .padding import pad
from .samples import Samples
from .shape import broadcast_to, concat, embed, permute_dims, reshape

_REFERENCES = "twain.testing.linalg_references."


def _checked(name: str, n_fft, hop_length, win_length) -> tuple:
    n = as_index(name, "n_fft", n_fft)
    hop = n // 4 if hop_length is None else as_index(name, "hop_length", hop_length)
    width = n if win_length is None else as_index(name, "win_length", win_length)
    if n < 1 or hop < 1 or not 1 <= width <= n:
        raise ValueRangeError(
            f"[{name}] expected n_fft >= 1, hop_length >= 1 and 1 <= win_length <= n_fft, got {n}, {hop} and {width}"
        )
    return n, hop, width


def _window(name: str, window, n: int, width: int, dtype):
    """The window in the middle of n places; None: ones."""
    if window is None:
        window = broadcast_to(cast(1.0, dtype), (width,))
    elif tuple(window.shape) != (width,):
        raise ShapeError(f"[{name}] window: expected shape ({width},), as win_length says, got {tuple(window.shape)}")
    return window if width == n else embed(window, (n,), ((n - width) // 2,), (1,))


def _swapped(x):
    rank = x.ndim
    return permute_dims(x, (*range(rank - 2), rank - 1, rank - 2))


def _stft_attributes(
    n_fft, hop_length=None, win_length=None, center=True, pad_mode="reflect", normalized=False, onesided=None,
    return_complex=True,
):  # fmt: skip
    n, hop, width = _checked("stft", n_fft, hop_length, win_length)
    return n, hop, width, bool(center), pad_mode, bool(normalized), onesided, bool(return_complex)


def _stft(attrs, x, window):
    """The transforms of windows of a signal, one every hop_length places: (..., length) -> (..., frequencies, windows).

    n_fft: places per transform; hop_length is n_fft // 4 by default; window: a tensor of win_length (by default n_fft)
    numbers by which each is multiplied, padded with zeros on both sides to n_fft; None: ones. center: the signal is padded
    by n_fft // 2 on both sides (as `pad` does with pad_mode), so that window t is around place t * hop_length. normalized:
    divide by sqrt(n_fft). onesided: n_fft // 2 + 1 frequencies; the default for real signals and windows.
    return_complex=False gives real and imaginary parts as a last axis. As torch.stft.
    """
    n, hop, width, center, mode, normalized, onesided, as_complex = attrs
    if x.ndim < 1 or x.dtype.kind not in "fc":
        raise DTypeError(f"[stft] x: expected a floating signal, shape (..., length), got {x.dtype}{list(x.shape)}")
    kind = "c" if x.dtype.kind == "c" or (window is not None and window.dtype.kind == "c") else "f"
    onesided = kind == "f" if onesided is None else bool(onesided)
    if onesided and kind == "c":
        raise ArgumentError("[stft] onesided: expected False for complex signals or windows, got True")
    if center:
        x = pad(x, (n // 2, n // 2), mode)
    if x.shape[-1] < n:
        raise ShapeError(f"[stft] expected a signal of at least n_fft = {n} places, got {x.shape[-1]}")
    frames = multiply(sliding_windows(x, n, hop, -1), _window("stft", window, n, width, dt.real_of(x.dtype)))
    norm = "ortho" if normalized else "backward"
    found = _swapped(rfft(frames, None, -1, norm) if onesided else fft(frames, None, -1, norm))
    if as_complex:
        return found
    return concat([reshape(p, (*found.shape, 1)) for p in (real(found), imag(found))], -1)


stft = composite(
    "stft", 2, _stft, attributes=_stft_attributes, names=("x", "window"), reference=_REFERENCES + "stft",
    samples=Samples(((-2, 2), (0.5, 1)), shapes=(((2, 20), (8,)), ((20,), (6,))), dtypes=(dt.float32, dt.float64),
                    arguments=(((8,), {}), ((8, 3, 6, False), {"normalized": True, "onesided": False}))),
    errors=(((0,), {}, "n_fft"), ((8, 2, 9), {}, "win_length"), ((8, None, 7), {}, "window")),
)  # fmt: skip


def _istft_attributes(
    n_fft, hop_length=None, win_length=None, center=True, normalized=False, onesided=None, length=None,
    return_complex=False,
):  # fmt: skip
    n, hop, width = _checked("istft", n_fft, hop_length, win_length)
    if length is not None:
        length = as_index("istft", "length", length)
    return n, hop, width, bool(center), bool(normalized), onesided, length, bool(return_complex)


def _added_up(frames, n: int, hop: int):
    """Windows (..., count, n), every hop places, as one signal: the transpose of sliding windows."""
    shape = (*frames.shape[:-2], n + hop * (frames.shape[-2] - 1))
    at = len(shape) - 1
    [signal] = sliding_windows.record.vjp((n, hop, at), [frames], [Spec(frames.dtype, shape)], None, [True])
    return signal


def _istft(attrs, x, window):
    """The signal whose `stft` (with the same arguments) is nearest to x: (..., frequencies, windows) -> (..., length).

    length: of the signal, cut or continued with zeros; by default what the windows cover. As torch.istft; D. Griffin and
    J. Lim, Signal estimation from modified short-time Fourier transform (1984).
    """
    n, hop, width, center, normalized, onesided, length, as_complex = attrs
    if x.ndim < 2 or x.dtype.kind != "c":
        raise DTypeError(
            f"[istft] x: expected a complex tensor (..., frequencies, windows), got {x.dtype}{list(x.shape)}"
        )
    onesided = x.shape[-2] != n or n < 3 if onesided is None else bool(onesided)
    wanted = n // 2 + 1 if onesided else n
    if x.shape[-2] != wanted:
        raise ShapeError(f"[istft] expected {wanted} frequencies for n_fft = {n}, got shape {tuple(x.shape)}")
    if onesided and as_complex:
        raise ArgumentError("[istft] return_complex: expected False for one-sided transforms, got True")
    frames, norm = _swapped(x), "ortho" if normalized else "backward"
    if as_complex:
        frames = ifft(frames, None, -1, norm)
    else:  # of both sides one is enough
        frames = irfft(part(frames, frames.ndim - 1, 0, n // 2 + 1), n, -1, norm)
    weights = _window("istft", window, n, width, dt.real_of(x.dtype))
    signal = _added_up(multiply(frames, weights), n, hop)
    squares = _added_up(broadcast_to(multiply(weights, weights), (x.shape[-1], n)), n, hop)
    signal = divide(signal, squares)
    start = n // 2 if center else 0
    stop = signal.shape[-1] - (n // 2 if center and length is None else 0)
    if length is not None:
        stop = min(stop, start + length)
    signal = part(signal, signal.ndim - 1, start, max(0, stop - start))
    if length is not None and signal.shape[-1] < length:
        signal = embed(signal, (*signal.shape[:-1], length), (0,) * signal.ndim, (1,) * signal.ndim)
    return signal


istft = composite(
    "istft", 2, _istft, attributes=_istft_attributes, names=("x", "window"), reference=_REFERENCES + "istft",
    samples=Samples(((-2, 2), "weights"), shapes=(((2, 5, 6), (8,)), ((5, 4), (8,))), dtypes=(dt.complex64, dt.complex128),
                    arguments=(((8,), {}), ((8, 3), {"normalized": True, "length": 17}))),
    errors=(((8,), {"onesided": False}, "frequencies"), ((8, 0), {}, "hop_length")),
)  # fmt: skip

__all__ = ["istft", "stft"]
