"""The number next to another, in any floating dtype."""

from __future__ import annotations

from ..base import dtypes as dt
from ..base.errors import DTypeError
from .elementwise import cast, not_equal
from .families import composite, elementwise
from .samples import Samples

# Half precision is computed in float32, whose numbers lie closer: the gap between neighbours, in steps of float32, from
# the smallest normal number on, and below it; the largest number.
_HALF = {
    "float16": (1 << 13, 2.0**-24, 2.0**-14, 65504.0),
    "bfloat16": (1 << 16, None, 0.0, 3.3895313892515355e38),
}


def _next_number(k, dtype, x, y):
    wide, grid = x.dtype, dt.by_name(dtype)
    if dtype not in _HALF:
        return k.cast(k.nextafter(k.cast(x, grid), k.cast(y, grid)), wide)
    x, y = (k.cast(k.cast(v, grid), dt.float32) for v in (x, y))
    step, gap, normal, largest = _HALF[dtype]
    size = k.abs(x)
    grows = (x < y) ^ (x < 0.0)
    bits = k.bitcast(size, dt.int32)
    moved = k.bitcast(k.select(grows, bits + step, bits - step), dt.float32)
    smallest = k.bitcast(k.const(step, dt.int32), dt.float32)
    if gap is not None:
        smallest = k.const(gap, dt.float32)
        fine = (size < normal) | (k.eq(size, normal) & ~grows)
        moved = k.select(fine, k.select(grows, size + gap, size - gap), moved)
    moved = k.copysign(k.select(k.eq(size, float("inf")), largest, moved), x)
    moved = k.select(k.eq(x, 0.0), k.copysign(smallest, y), moved)
    return k.cast(k.select(k.ne(x, x) | k.ne(y, y), x + y, k.select(k.eq(x, y), y, moved)), wide)


_TRIES = Samples(((-5, 5), (-5, 5)), arguments=((("float32",), {}), (("float16",), {}), (("bfloat16",), {})))
next_number = elementwise(
    "next_number", 2, _next_number, dtypes=dt.FLOATING, attributes=lambda dtype: dt.as_dtype(dtype, "next_number").name,
    derivatives=(lambda x, y, out: cast(not_equal(x, y), out.dtype), None),
    reference="twain.testing.elementwise_references.next_number", samples=_TRIES,
)  # fmt: skip


def _nextafter(attrs, x1, x2):
    """The number next to x1 towards x2, element by element; x2 itself where they are equal.

    Its derivative by x1 is 1, and 0 where they are equal; that by x2 is 0.
    """
    dtype = dt.strengthen(dt.promote("nextafter", x1.dtype, x2.dtype))
    if dtype not in dt.FLOATING:
        raise DTypeError(f"[nextafter] expected real floating dtypes, got {x1.dtype} and {x2.dtype}")
    return next_number(cast(x1, dtype), cast(x2, dtype), dtype.name)


nextafter = composite(
    "nextafter",
    2,
    _nextafter,
    errors=(((), {}, "(4, 5)", ((None, (2, 3)), (None, (4, 5)))),),
    reference="twain.testing.elementwise_references.nextafter",
    samples=Samples(((-5, 5), (-5, 5))),
)

__all__ = ["nextafter"]
