"""Everyday functions whose shapes or steps are decided in Python: combinations, numerical gradients."""

from __future__ import annotations

import itertools
import math
from typing import Any

from .. import _core
from ..base import dtypes as dt
from ..base.dtypes import as_dtype
from ..base.errors import ArgumentError, DTypeError, ShapeError, ValueRangeError
from ..base.shapes import as_index, normalize_axes
from ..ops import elementwise as e
from ..ops.arrange import pairs, part
from ..ops.index import take
from ..ops.nn.rules import floating
from ..ops.shape import concat, reshape
from .creation import asarray, linspace

Tensor = _core.Tensor


def angle(x: Tensor) -> Tensor:
    """The argument of complex numbers in radians, in (-pi, pi]; of real ones pi where they are negative, else 0, and NaN
    of NaN. Shape of x; float32 of integers."""
    if x.dtype.kind == "c":
        return e.atan2(e.imag(x), e.real(x))
    x = floating(x)
    return e.where(x < 0, math.pi, e.where(e.isnan(x), x, 0.0))


def sgn(x: Tensor) -> Tensor:
    """x / |x|, and 0 of 0: the sign of complex numbers too. Shape and dtype of x."""
    if x.dtype.kind != "c":
        return e.sign(x)
    size = e.abs(x)
    nothing = size == 0
    return e.where(nothing, 0.0, x / e.where(nothing, 1.0, size))


def logspace(
    start: object,
    stop: object,
    /,
    num: int,
    *,
    base: float = 10.0,
    dtype: object = None,
    device: object = None,
    endpoint: bool = True,
) -> Tensor:
    """`num` numbers whose logarithms to `base` are evenly spaced from start to stop, computed in float64.

    Raises:
        ValueRangeError: num is negative.
    """
    target = None if dtype is None else as_dtype(dtype, "logspace")
    wide = "complex128" if complex in (type(start), type(stop)) else "float64"
    powers = e.power(float(base), linspace(start, stop, num, dtype=wide, device=device, endpoint=endpoint))
    return powers.astype(target or (dt.DEFAULT_COMPLEX if wide == "complex128" else dt.DEFAULT_FLOAT))


def combinations(x: Tensor, r: int = 2, with_replacement: bool = False) -> Tensor:
    """All choices of r elements of a vector, in order, as rows; with_replacement elements may be chosen again.

    Raises:
        ShapeError: x isn't one-dimensional.
    """
    if x.ndim != 1:
        raise ShapeError(f"[combinations] expected a vector, got shape {tuple(x.shape)}")
    if as_index("combinations", "r", r) < 0:
        raise ValueRangeError(f"[combinations] expected r of at least 0, got {r}")
    if r == 1:
        return reshape(x, (x.shape[0], 1))
    if r == 2:
        return pairs(x, with_replacement)
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    places = list(choose(range(x.shape[0]), r))
    return take(x, reshape(asarray(places, dtype="int64"), (len(places), r)), 0)


def gradient(x: Tensor, *, spacing: Any = 1.0, axis: Any = None, edge_order: int = 1) -> list[Tensor]:
    """Numerical derivatives along each axis of `axis` (None: all), by second-order central differences.

    Args:
        spacing: the distance of neighbouring places, one number or one per axis; or per axis a vector of coordinates.
        edge_order: 1 or 2, the order of the one-sided differences at both ends.

    Each result has x's shape. Raises ShapeError for fewer than edge_order + 1 places along an axis.
    """
    if edge_order not in (1, 2):
        raise ValueRangeError(f"[gradient] expected edge_order to be 1 or 2, got {edge_order!r}")
    axes = normalize_axes("gradient", axis, x.ndim)
    if x.dtype.kind == "b":
        raise DTypeError("[gradient] expected a numeric dtype, got bool")
    x = floating(x)
    spacing = 1.0 if spacing is None else spacing
    steps = list(spacing) if isinstance(spacing, (list, tuple)) else [spacing] * len(axes)
    if len(steps) != len(axes):
        raise ArgumentError(f"[gradient] expected a spacing for each of {len(axes)} axes, got {len(steps)}")
    return [_along(x, a, step, edge_order) for a, step in zip(axes, steps)]


def _along(x: Tensor, axis: int, spacing: Any, edge_order: int) -> Tensor:
    size = x.shape[axis]
    if size < edge_order + 1:
        raise ShapeError(
            f"[gradient] expected at least {edge_order + 1} places along axis {axis}, got shape {tuple(x.shape)}"
        )

    def at(begin: int, count: int) -> Tensor:
        return part(x, axis, begin if begin >= 0 else size + begin, count)

    if hasattr(spacing, "ndim") and spacing.ndim == 1:
        if spacing.shape[0] != size:
            raise ShapeError(f"[gradient] expected {size} coordinates for axis {axis}, got {spacing.shape[0]}")
        gaps = part(spacing, 0, 1, size - 1) - part(spacing, 0, 0, size - 1)
        gaps = reshape(gaps.astype(x.dtype), tuple(-1 if i == axis else 1 for i in range(x.ndim)))

        def gap(begin: int, count: int) -> Any:
            return part(gaps, axis, begin if begin >= 0 else size - 1 + begin, count)
    else:

        def gap(begin: int, count: int) -> Any:
            return spacing

    parts = []
    before, after = gap(0, size - 2), gap(1, size - 2)
    if edge_order == 1:
        first = (at(1, 1) - at(0, 1)) / gap(0, 1)
        last = (at(-1, 1) - at(-2, 1)) / gap(-1, 1)
    else:
        first = _one_sided(at(0, 1), at(1, 1), at(2, 1), gap(0, 1), gap(1, 1))
        last = -_one_sided(at(-1, 1), at(-2, 1), at(-3, 1), gap(-1, 1), gap(-2, 1))
    parts.append(first)
    if size > 2:
        left, middle, right = at(0, size - 2), at(1, size - 2), at(2, size - 2)
        inner = before * before * right + (after * after - before * before) * middle - after * after * left
        parts.append(inner / (before * after * (before + after)))
    parts.append(last)
    return concat(parts, axis)


def _one_sided(y0: Tensor, y1: Tensor, y2: Tensor, near: Any, far: Any) -> Tensor:
    """The derivative at the first of three places whose gaps are near and far."""
    both = near + far
    return (y1 * (both / (near * far))) - (y0 * ((near + both) / (near * both))) - (y2 * (near / (far * both)))


__all__ = ["angle", "combinations", "gradient", "logspace", "sgn"]
