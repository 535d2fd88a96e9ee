"""Adaptive pooling: windows that divide an image into a given number of regions."""

from __future__ import annotations

from ...base.errors import ArgumentError, ShapeError
from ..families import composite
from ..reduce import mean
from ..samples import Samples
from ..shape import concat, reshape, slice_
from .rules import floating


def _attributes(output_size):
    size = (output_size, output_size) if output_size is None or isinstance(output_size, int) else tuple(output_size)
    if len(size) != 2 or any(d is not None and (not isinstance(d, int) or d < 1) for d in size):
        raise ArgumentError(f"[adaptive_avg_pool2d] expected output_size of one or two ints or None, got {output_size}")
    return size


def _along(x, axis: int, count: int):
    """Means of `count` regions of `axis`; region i is floor(i * n / count) to ceil((i + 1) * n / count)."""
    size = x.shape[axis]
    if size == count:
        return x
    if size % count == 0:
        split = (*x.shape[:axis], count, size // count, *x.shape[axis + 1 :])
        return mean(reshape(x, split), axis + 1)
    parts = []
    for i in range(count):
        begin, end = i * size // count, -(-(i + 1) * size // count)
        starts = tuple(begin if a == axis else 0 for a in range(x.ndim))
        shape = tuple(end - begin if a == axis else d for a, d in enumerate(x.shape))
        parts.append(mean(slice_(x, starts, (1,) * x.ndim, shape), axis, True))
    return concat(parts, axis)


def _adaptive_avg_pool2d(output_size, x):
    """Means over regions that divide the last two axes into output_size; None keeps a size."""
    if x.ndim not in (3, 4):
        raise ShapeError(f"[adaptive_avg_pool2d] expected x (N, C, H, W) or (C, H, W), got {tuple(x.shape)}")
    x = floating(x)
    for axis, count in zip((x.ndim - 2, x.ndim - 1), output_size):
        if count is not None:
            if x.shape[axis] == 0:
                raise ShapeError(f"[adaptive_avg_pool2d] expected images of at least one pixel, got {tuple(x.shape)}")
            x = _along(x, axis, count)
    return x


adaptive_avg_pool2d = composite(
    "adaptive_avg_pool2d", 1, _adaptive_avg_pool2d, attributes=_attributes, names=("x",),
    reference="twain.testing.nn_references.adaptive_avg_pool2d",
    samples=Samples(((-5, 5),), arguments=(((1,), {}), (((3, 2),), {}), (((None, 4),), {})), shapes=(((2, 3, 7, 6),),)),
)  # fmt: skip
