"""Pooling functions that look at values or draw numbers: max_unpool and fractional max pooling."""

from __future__ import annotations

from math import prod

from .. import _core
from ..base.errors import ArgumentError, IndexingError, ShapeError
from ..ops.conv import per_axis
from ..ops.pool_regions import fractional_ops, max_unpool_ops
from . import random
from .bounds import out_of_range

Tensor = _core.Tensor


# ---------------------------------------------------------------- the way back
def _max_unpool(
    axes: int, input: Tensor, indices: Tensor, kernel_size: object, stride: object, padding: object, output_size: object
) -> Tensor:
    name = f"max_unpool{axes}d"
    kernel = per_axis(name, "kernel_size", kernel_size, axes, 1)
    step = kernel if stride in (None, ()) else per_axis(name, "stride", stride, axes, 1)
    pads = per_axis(name, "padding", padding, axes)
    if input.ndim not in (axes + 1, axes + 2):
        raise ShapeError(f"[{name}] expected input of {axes + 1} or {axes + 2} axes, got shape {tuple(input.shape)}")
    lengths = input.shape[input.ndim - axes :]
    usual = tuple((d - 1) * s - 2 * p + k for d, s, p, k in zip(lengths, step, pads, kernel))
    if output_size is None:
        size = usual
    else:
        size = tuple(output_size)[-axes:] if isinstance(output_size, (tuple, list)) else ()
        if len(size) != axes or any(not u - s < d < u + s for d, u, s in zip(size, usual, step)):
            raise ArgumentError(
                f"[{name}] expected output_size within one stride {step} of {usual}, which is the usual size for input "
                f"{tuple(input.shape)}, got {output_size!r}"
            )
    bad = out_of_range(indices, 0, prod(size))
    if bad is not None:
        raise IndexingError(f"[{name}] expected indices in [0, {prod(size)}) for output_size {size}, got {bad}")
    return max_unpool_ops[axes](input, indices, size)


def max_unpool1d(
    input: Tensor, indices: Tensor, kernel_size: object, stride: object = None, padding: object = 0,
    output_size: tuple | None = None,
) -> Tensor:  # fmt: skip
    """The partial inverse of max_pool1d with return_indices: zeros with each element of input where its index says.

    input and indices (n, channels, length) or (channels, length); output_size settles what pooling rounded away. Of equal
    indices the last element stands. IndexError for an index out of range; compiled, it is left out.
    """
    return _max_unpool(1, input, indices, kernel_size, stride, padding, output_size)


def max_unpool2d(
    input: Tensor, indices: Tensor, kernel_size: object, stride: object = None, padding: object = 0,
    output_size: tuple | None = None,
) -> Tensor:  # fmt: skip
    """The partial inverse of max_pool2d with return_indices, of (n, channels, h, w) or (channels, h, w); see max_unpool1d."""
    return _max_unpool(2, input, indices, kernel_size, stride, padding, output_size)


def max_unpool3d(
    input: Tensor, indices: Tensor, kernel_size: object, stride: object = None, padding: object = 0,
    output_size: tuple | None = None,
) -> Tensor:  # fmt: skip
    """The partial inverse of max_pool3d with return_indices, of (n, channels, d, h, w) or (channels, d, h, w); see
    max_unpool1d."""
    return _max_unpool(3, input, indices, kernel_size, stride, padding, output_size)


# ---------------------------------------------------------------- fractional pooling
def _fractional(axes: int, input, kernel_size, output_size, output_ratio, return_indices, samples, generator):
    name = f"fractional_max_pool{axes}d"
    if input.ndim not in (axes + 1, axes + 2):
        raise ShapeError(f"[{name}] expected input of {axes + 1} or {axes + 2} axes, got shape {tuple(input.shape)}")
    if (output_size is None) == (output_ratio is None):
        raise ArgumentError(
            f"[{name}] expected either output_size or output_ratio, got {output_size} and {output_ratio}"
        )
    if output_size is None:
        ratios = output_ratio if isinstance(output_ratio, (tuple, list)) else (output_ratio,) * axes
        if len(ratios) != axes or not all(isinstance(r, (int, float)) and 0 < r < 1 for r in ratios):
            raise ArgumentError(f"[{name}] expected output_ratio in (0, 1), got {output_ratio!r}")
        output_size = tuple(max(1, int(d * r)) for d, r in zip(input.shape[input.ndim - axes :], ratios))
    if samples is None:
        lead = tuple(input.shape[: input.ndim - axes])
        dtype = input.dtype if input.dtype.kind == "f" else None
        samples = random.uniform((*((1,) if len(lead) == 1 else ()), *lead, axes), dtype=dtype, generator=generator)
    found = fractional_ops[axes](input, samples, kernel_size, output_size)
    return tuple(found) if return_indices else found[0]


def fractional_max_pool2d(
    input: Tensor, kernel_size: object, output_size: object = None, output_ratio: object = None,
    return_indices: bool = False, *, samples: Tensor | None = None, generator: object = None,
) -> Tensor | tuple[Tensor, Tensor]:  # fmt: skip
    """The largest elements of windows of kernel_size whose places are drawn at random, so that the result has output_size
    (or output_ratio times input's size). (n, channels, h, w) or (channels, h, w).

    samples: (n, channels, 2) in [0, 1), by default drawn from `generator` (that of twain.random). Graham, "Fractional
    Max-Pooling" (2014).
    """
    return _fractional(2, input, kernel_size, output_size, output_ratio, return_indices, samples, generator)


def fractional_max_pool3d(
    input: Tensor, kernel_size: object, output_size: object = None, output_ratio: object = None,
    return_indices: bool = False, *, samples: Tensor | None = None, generator: object = None,
) -> Tensor | tuple[Tensor, Tensor]:  # fmt: skip
    """fractional_max_pool2d of (n, channels, d, h, w) or (channels, d, h, w); samples (n, channels, 3)."""
    return _fractional(3, input, kernel_size, output_size, output_ratio, return_indices, samples, generator)


__all__ = ["fractional_max_pool2d", "fractional_max_pool3d", "max_unpool1d", "max_unpool2d", "max_unpool3d"]
