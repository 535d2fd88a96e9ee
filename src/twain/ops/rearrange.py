"""Flips, rolls and stacks: functions of slices and concatenations, each one op, so that a call is one look-up."""

from __future__ import annotations

from ..base.errors import ArgumentError, ShapeError
from ..base.shapes import as_index, normalize_axes, normalize_axis
from .families import composite
from .samples import Samples
from .shape import concat, reshape, slice_


def _flip(axis, x):
    """The order of elements reversed along the given axes (all for None)."""
    axes = normalize_axes("flip", axis, len(x.shape))
    starts = tuple(max(d - 1, 0) if i in axes else 0 for i, d in enumerate(x.shape))
    return slice_(x, starts, tuple(-1 if i in axes else 1 for i in range(len(x.shape))), tuple(x.shape))


flip = composite(
    "flip", 1, _flip, attributes=lambda axis=None: tuple(axis) if isinstance(axis, list) else axis, errors=(((9,), {}, "axis"),),
    reference="numpy.flip",
    samples=Samples(((-5, 5),), arguments=(((), {}), ((), {"axis": -1})), shapes=(((2, 3),),)),
)  # fmt: skip


def _roll_attributes(shift, axis=None):
    axes = None if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
    shifts = tuple(shift) if isinstance(shift, (tuple, list)) else (as_index("roll", "shift", shift),)
    count = 1 if axes is None else len(axes)
    shifts = shifts * count if len(shifts) == 1 else shifts
    if len(shifts) != count:
        raise ArgumentError(f"[roll] expected one shift per axis, got {shift} for {axis}")
    return tuple(as_index("roll", "shift", s) for s in shifts), axes


def _roll(attrs, x):
    """Elements shifted along axes, those pushed out coming back at the other end; axis None shifts the flattened array."""
    shifts, axes = attrs
    shape = tuple(x.shape)
    if axes is None:
        count = 1
        for d in shape:
            count *= d
        x, axes = reshape(x, (count,)), (0,)
    rank = len(x.shape)
    for a, s in zip(axes, shifts):
        a = normalize_axis("roll", a, rank)
        size = x.shape[a]
        s = s % size if size else 0
        if s:
            sizes = [tuple(n if i == a else d for i, d in enumerate(x.shape)) for n in (s, size - s)]
            starts = tuple(size - s if i == a else 0 for i in range(rank))
            steps = (1,) * rank
            x = concat([slice_(x, starts, steps, sizes[0]), slice_(x, (0,) * rank, steps, sizes[1])], a)
    return x if tuple(x.shape) == shape else reshape(x, shape)


roll = composite(
    "roll", 1, _roll, attributes=_roll_attributes, errors=(((1, 9), {}, "axis"),),
    reference="numpy.roll",
    samples=Samples(((-5, 5),), arguments=(((2,), {}), ((-1,), {"axis": 1})), shapes=(((2, 3),),)),
)  # fmt: skip


def _stack(axis, *arrays):
    """Tensors of one shape joined along a new axis."""
    if not arrays:
        raise ArgumentError("[stack] expected at least one array, got none")
    shape = tuple(arrays[0].shape)
    if any(tuple(a.shape) != shape for a in arrays):
        raise ShapeError("[stack] expected equal shapes, got " + ", ".join(str(tuple(a.shape)) for a in arrays))
    at = normalize_axis("stack", axis, len(shape) + 1)
    return concat([reshape(a, (*shape[:at], 1, *shape[at:])) for a in arrays], at)


stack = composite(
    "stack", -1, _stack, attributes=lambda axis=0: axis, errors=(((9,), {}, "axis"),),
    reference="numpy.stack",
    samples=Samples(((-5, 5), (-5, 5)), arguments=(((), {"axis": 1}), ((), {})), shapes=(((2, 3), (2, 3)),)),
)  # fmt: skip
