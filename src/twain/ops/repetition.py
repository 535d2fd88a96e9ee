"""Elements repeated, compared with their neighbours, counted: the standard's tile, repeat, diff, count_nonzero, vecdot."""

from __future__ import annotations

from ..base import dtypes as dt
from ..base.errors import ArgumentError, DTypeError, ShapeError, ValueRangeError
from ..base.shapes import as_index, normalize_axes, normalize_axis
from .elementwise import cast, multiply, not_equal, subtract
from .families import composite, late
from .reduce import sum as sum_
from .samples import Samples
from .shape import broadcast_to, concat, reshape, slice_

_REFERENCES = "twain.testing.repetition_references."


# ---------------------------------------------------------------- repeated
def _tile_attributes(repetitions):
    if not isinstance(repetitions, (tuple, list)):
        repetitions = (repetitions,)
    counts = tuple(as_index("tile", "repetitions", n) for n in repetitions)
    if any(n < 0 for n in counts):
        raise ValueRangeError(f"[tile] expected repetitions >= 0, got {counts}")
    return counts


def _tile(counts, x):
    rank = max(x.ndim, len(counts))
    counts = (1,) * (rank - len(counts)) + counts
    shape = (1,) * (rank - x.ndim) + tuple(x.shape)
    split, wide, result = [], [], []
    for n, d in zip(counts, shape):
        split += [1, d]
        wide += [n, d]
        result.append(n * d)
    return reshape(broadcast_to(reshape(x, tuple(split)), tuple(wide)), tuple(result))


tile = composite(
    "tile", 1, _tile, attributes=_tile_attributes, names=("x",), reference="numpy.tile", onnx="Tile",
    samples=Samples(((-5, 5),), arguments=(((2,), {}), (((2, 1, 3),), {}), (((0, 2),), {})), shapes=(((2, 3),), ((),))),
    errors=((((-1,),), {}, "[tile]"), ((1.5,), {}, "[tile]")),
    doc="`x` laid out repetitions[i] times along axis i; missing axes are added in front.",
)  # fmt: skip


def _repeat_attributes(repeats, axis=None):
    count = as_index("repeat", "repeats", repeats)
    if count < 0:
        raise ValueRangeError(f"[repeat] expected repeats >= 0, got {count}")
    return (count, axis)


def _repeat(attrs, x):
    count, axis = attrs
    if axis is None:
        x, axis = reshape(x, (x.size,)), 0
    at = normalize_axis("repeat", axis, x.ndim)
    front, size, back = tuple(x.shape[:at]), x.shape[at], tuple(x.shape[at + 1 :])
    wide = broadcast_to(reshape(x, (*front, size, 1, *back)), (*front, size, count, *back))
    return reshape(wide, (*front, size * count, *back))


repeat_each = composite(
    "repeat", 1, _repeat, attributes=_repeat_attributes, names=("x",), reference="numpy.repeat",
    samples=Samples(((-5, 5),), arguments=(((2,), {}), ((3, 0), {}), ((0,), {"axis": -1})), shapes=(((2, 3),),)),
    errors=(((-1,), {}, "[repeat]"), ((2, 5), {}, "[repeat]"), ((2.0,), {}, "[repeat]")),
    doc="Each element `repeats` times, one copy after another, along `axis` (None: of the flattened x).",
)  # fmt: skip


# ---------------------------------------------------------------- differences
def _diff_attributes(axis=-1, n=1):
    count = as_index("diff", "n", n)
    if count < 0:
        raise ValueRangeError(f"[diff] expected n >= 0, got {count}")
    return (axis, count)


def _diff(attrs, x, prepend, append):
    axis, count = attrs
    at = normalize_axis("diff", axis, x.ndim)
    if count == 0:  # nothing is joined then, as NumPy has it
        return x
    parts = [(name, p) for name, p in (("prepend", prepend), ("x", x), ("append", append)) if p is not None]
    joined = []
    for name, p in parts:
        if p.ndim == 0 and x.ndim:
            p = broadcast_to(p, tuple(1 if i == at else d for i, d in enumerate(x.shape)))
        fits = p.ndim == x.ndim and all(a == b or i == at for i, (a, b) in enumerate(zip(p.shape, x.shape)))
        if not fits:
            raise ShapeError(
                f"[diff] expected {name} to have the shape of x but for axis {at}, got {tuple(p.shape)} and {tuple(x.shape)}"
            )
        joined.append(p)
    if len(joined) > 1:
        x = concat(joined, at)
    compare = not_equal if x.dtype.kind == "b" else subtract
    for _ in range(count):
        sizes = tuple(max(d - 1, 0) if i == at else d for i, d in enumerate(x.shape))
        if x.shape[at] == 0:
            break
        one = (1,) * x.ndim
        later = slice_(x, tuple(int(i == at) for i in range(x.ndim)), one, sizes)
        x = compare(later, slice_(x, (0,) * x.ndim, one, sizes))
    return x


diff_op = composite(
    "diff", 3, _diff, attributes=_diff_attributes, names=("x", "prepend", "append"), reference=_REFERENCES + "diff",
    samples=Samples(((-5, 5), (-5, 5), (-5, 5)), arguments=(((), {}), ((), {"axis": 0, "n": 2}), ((), {"n": 0})),
                    shapes=(((3, 4), (3, 2), ()), ((3, 4), (2, 4), ()), ((3, 4), (3, 2), ()))),
    errors=(((), {"n": -1}, "[diff]"), ((), {"axis": 7}, "[diff]")),
)  # fmt: skip


# ---------------------------------------------------------------- counted, summed
def _count_attributes(axis=None, keepdims=False):
    return (tuple(axis) if isinstance(axis, list) else axis, bool(keepdims))


def _count_nonzero(attrs, x):
    axes = normalize_axes("count_nonzero", attrs[0], x.ndim)
    return sum_(cast(x if x.dtype.kind == "b" else not_equal(x, 0), dt.int64), axes, attrs[1])


count_nonzero = composite(
    "count_nonzero", 1, _count_nonzero, attributes=_count_attributes, names=("x",), reference=_REFERENCES + "count_nonzero",
    samples=Samples(((-2, 2),), arguments=(((), {}), ((), {"axis": 0, "keepdims": True}), ((), {"axis": (0, 1)})),
                    shapes=(((3, 4),), ((0, 2),))),
    errors=(((), {"axis": 7}, "[count_nonzero]"),),
    doc="How many elements along `axis` (None: all) are not zero, int64.",
)  # fmt: skip


def _vecdot(axis, x1, x2):
    if x1.dtype.kind == "b" or x2.dtype.kind == "b":
        raise DTypeError(f"[vecdot] expected numeric dtypes, got {x1.dtype} and {x2.dtype}")
    least = min(x1.ndim, x2.ndim)
    if axis >= 0 and x1.ndim == x2.ndim:
        axis -= x1.ndim
    if not -least <= axis < 0:
        raise ArgumentError(
            f"[vecdot] expected axis in [{-least}, -1] for shapes {tuple(x1.shape)} and {tuple(x2.shape)}, got {axis}"
        )
    if x1.shape[axis] != x2.shape[axis]:
        raise ShapeError(
            f"[vecdot] expected vectors of one size along axis {axis}, got shapes {tuple(x1.shape)} and {tuple(x2.shape)}"
        )
    products = multiply(late.conj(x1), x2)
    total = sum_(products, products.ndim + axis)
    return total if total.dtype is products.dtype else cast(total, products.dtype)


vecdot = composite(
    "vecdot", 2, _vecdot, attributes=lambda axis=-1: as_index("vecdot", "axis", axis), reference=_REFERENCES + "vecdot",
    samples=Samples(((-5, 5), (-5, 5)), arguments=(((), {}), ((), {"axis": -2})), shapes=(((3, 4), (3, 4)), ((2, 3, 1), (3, 4)))),
    errors=(((), {"axis": -7}, "[vecdot]"),),
    doc="Sums of products along `axis`, the first operand conjugated; other axes broadcast. axis counts from the end.",
)  # fmt: skip

__all__ = ["count_nonzero", "diff_op", "repeat_each", "tile", "vecdot"]
