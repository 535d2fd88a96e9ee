"""Advanced indexing: reading and writing at positions that several index tensors give together, axis by axis.

`axes` are the axes of x that the indices stand for, ascending; the indices have one common shape. As in NumPy, the result
has the axes of the indices at place `at` among the remaining axes of x.
"""

from __future__ import annotations

from ..base import dtypes as dt
from ..base.errors import ArgumentError, DTypeError, ShapeError
from ..base.shapes import broadcast_shapes, check_shape, size_of
from .elementwise import cast, floor, greater_equal, less, logical_and, multiply, subtract, where
from .families import composite
from .index import _check_index, iota, scatter_add, take
from .samples import Samples
from .scatter import scatter
from .shape import broadcast_to, inverse_permutation, permute_dims, reshape

_REFERENCES = "twain.testing.advanced_references."


class Places:
    """How indices along `axes` become one index along the axes from the first to the last of them, merged."""

    __slots__ = ("at", "axes", "between", "first", "last", "merged", "order", "shape", "size")

    def __init__(self, name: str, attrs: tuple, x, indices: tuple):
        axes, at = attrs
        if len(axes) != len(indices) or not axes:
            raise ArgumentError(f"[{name}] expected one index per axis of {axes}, got {len(indices)}")
        for i in indices:
            _check_index(name, i.spec)
        self.axes, self.at = axes, at
        self.first, self.last = axes[0], axes[-1]
        self.shape = broadcast_shapes(name, *[i.shape for i in indices])
        self.between = [a for a in range(self.first, self.last) if a not in axes]
        self.size = size_of(x.shape[self.first : self.last + 1])
        self.merged = (*x.shape[: self.first], self.size, *x.shape[self.last + 1 :])
        rank, found = len(x.shape) - len(axes), len(self.shape)
        # Where take puts things: axes before, the indices' axes, those between, those after. Where they belong:
        taken = [*range(self.first, self.first + found)]
        rest = [*range(self.first), *range(self.first + found, rank + found)]
        self.order = (*rest[:at], *taken, *rest[at:])

    def index(self, x, indices: tuple):
        """The merged index; of the shape of the indices and the sizes of the axes between."""
        if len(indices) == 1:
            return indices[0]
        sizes = tuple(x.shape[a] for a in self.between)
        shape = (*self.shape, *sizes)
        known = dict(zip(self.axes, indices))
        total, valid = None, None
        for a in range(self.first, self.last + 1):
            if a in known:
                i = cast(known[a], dt.int64)
                i = where(less(i, 0), i + x.shape[a], i)
                inside = logical_and(greater_equal(i, 0), less(i, x.shape[a]))
                i, inside = (reshape(v, (*v.shape, *(1,) * len(sizes))) for v in (i, inside))
                valid = inside if valid is None else logical_and(valid, inside)
            else:
                i = iota(shape, len(self.shape) + self.between.index(a))
            total = i if total is None else total * x.shape[a] + i
        total = where(valid, total, self.size)  # one index out of range is the whole out of range
        return total if total.shape == shape else broadcast_to(total, shape)


def _attributes(axes, at):
    return (tuple(axes), at)


def _index(attrs, x, *indices):
    """The elements of x at the indices; see the top of this file."""
    p = Places("index", attrs, x, indices)
    index = p.index(x, indices)
    result = take(x if x.shape == p.merged else reshape(x, p.merged), index, p.first)
    return result if p.order == tuple(range(result.ndim)) else permute_dims(result, p.order)


index = composite(
    "index", -1, _index, attributes=_attributes, reference=_REFERENCES + "index", onnx="GatherND",
    samples=Samples(((-5, 5), "index", "index"), shapes=(((2, 3, 4), (5,), (5,)), ((4, 2, 3), (2, 2), (2, 2))),
                    arguments=((((0, 2), 0), {}), (((1, 2), 1), {}))),
)  # fmt: skip


def _index_put(attrs, x, value, *indices):
    """x with the elements at the indices replaced by `value`, whose shape is that of reading there; where a place comes
    twice the last one stands. With accumulate, they are added."""
    *places, accumulate = attrs
    p = Places("index_put", tuple(places), x, indices)
    at = p.index(x, indices)
    wanted = (*(d for i, d in enumerate(x.shape) if i not in p.axes),)
    wanted = (*wanted[: p.at], *p.shape, *wanted[p.at :])
    if tuple(value.shape) != wanted:
        raise ShapeError(f"[index_put] expected a value of shape {wanted}, got {tuple(value.shape)}")
    if value.dtype is not x.dtype:
        raise DTypeError(f"[index_put] expected a value of {x.dtype}, got {value.dtype}")
    back = inverse_permutation(p.order)
    if back != tuple(range(len(back))):
        value = permute_dims(value, back)
    flat = x if x.shape == p.merged else reshape(x, p.merged)
    if accumulate:
        result = scatter_add(flat, at, value, p.first, "take")
    else:
        result = scatter(flat, at, value, p.first, "take", "set")
    return result if result.shape == x.shape else reshape(result, x.shape)


index_put = composite(
    "index_put", -1, _index_put, attributes=lambda axes, at, accumulate=False: (tuple(axes), at, bool(accumulate)),
    reference=_REFERENCES + "index_put",
    samples=Samples(((-5, 5), (-5, 5), "index", "index"),
                    shapes=(((2, 3, 4), (5, 3), (5,), (5,)), ((4, 2, 3), (4, 2, 2), (2, 2), (2, 2))),
                    arguments=((((0, 2), 0), {}), (((1, 2), 1, True), {}))),
)  # fmt: skip


# ---------------------------------------------------------------- positions as indices
def _unravel(shape, position):
    """The index along each axis of `shape` of positions counted in row-major order; a tuple of int64 tensors."""
    _check_index("unravel_index", position.spec)
    if not shape:
        raise ShapeError("[unravel_index] expected a shape of at least one dimension, got ()")
    rest = cast(position, dt.int64)
    found = []
    for size in reversed(shape[1:]):
        # float64 divides faster than integers do, and exactly below 2**53
        above = (
            cast(floor(cast(rest, dt.float64) / float(max(size, 1))), dt.int64)
            if size_of(shape) < 2**53
            else rest // size
        )
        found.append(subtract(rest, multiply(above, size)))
        rest = above
    return (rest, *reversed(found))


unravel_index = composite(
    "unravel_index", 1, _unravel, attributes=lambda shape: check_shape("unravel_index", shape), names=("position",),
    reference=_REFERENCES + "unravel_index", samples=Samples(("class 24",), arguments=((((2, 3, 4),), {}), (((24,),), {})),
                                                            shapes=(((5,),), ((2, 2),))),
    errors=((((-1,),), {}, "[unravel_index]"),),
)  # fmt: skip
