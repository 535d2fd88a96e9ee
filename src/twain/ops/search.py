"""Searching sorted sequences, and membership."""

from __future__ import annotations

from .. import _core
from ..base import dtypes as dt
from ..base.dtypes import int_fits, promote, strengthen
from ..base.errors import ArgumentError, DTypeError, ShapeError
from ..base.shapes import size_of
from ..ir.node import Spec
from .elementwise import cast, equal, logical_and, logical_not, minimum, subtract, where
from .families import composite, late
from .index import take, take_along_axis
from .native import check_rows, native, run_time, whole
from .samples import Samples
from .scatter import scatter
from .shape import broadcast_to, reshape
from .sort import sort_rows

_ORDERED = dt.BOOL + dt.REAL


def _infer(right, sequence, values):
    check_rows("searchsorted", sequence)
    if sequence.dtype is not values.dtype or sequence.dtype not in _ORDERED:
        raise DTypeError(f"[searchsorted] expected one real dtype, got {sequence.dtype} and {values.dtype}")
    if len(sequence.shape) > 1 and sequence.shape[:-1] != values.shape[:-1]:
        raise ShapeError(
            f"[searchsorted] expected values with the leading axes of the sorted sequence, {tuple(sequence.shape)}, or a "
            f"one-dimensional sequence, got values of shape {tuple(values.shape)}"
        )
    return Spec(dt.int64, values.shape)


def _batch(right, call, inputs, batched, size):
    sequence, values = inputs
    if not batched[0] and sequence.ndim == 1:
        return call(right, sequence, values)
    if not batched[0]:
        sequence = late.broadcast_to(sequence, (size, *sequence.shape))
    if not batched[1]:
        values = late.broadcast_to(values, (size, *values.shape))
    if sequence.ndim == 2 and values.ndim != 2:  # one row for all values of an example
        flat = reshape(values, (size, size_of(values.shape[1:])))
        return reshape(call(right, sequence, flat), values.shape)
    return call(right, sequence, values)


search_rows = native(
    "search_rows", 2, "search", infer=_infer, attributes=lambda right=False: bool(right), batch=_batch,
    argument_names=("sequence", "values"), differentiable=False,
    tried=(dt.bool_, dt.int8, dt.int32, dt.uint64, dt.float16, dt.bfloat16, dt.float32, dt.float64),
    reference="twain.testing.sort_references.search_rows",
    samples=Samples(((-50, 50), (-50, 50)), arguments=(((), {}), ((True,), {})), special=False,
                    shapes=(((9,), (4, 5)), ((1,), ()), ((2, 1), (2, 40)))),
    doc="Where each of `values` belongs in a sorted row (or one per row of values), before equal elements or behind them.",
)  # fmt: skip


# ---------------------------------------------------------------- what users call
def _side(function: str, side: str, right: bool | None) -> bool:
    if side not in ("left", "right"):
        raise ArgumentError(f"[{function}] expected side to be 'left' or 'right', got {side!r}")
    return side == "right" if right is None else bool(right)


def alike(function: str, x, y) -> tuple:
    """Both in their common dtype."""
    common = strengthen(promote(function, x.dtype, y.dtype))
    return tuple(v if v.dtype is common else cast(v, common) for v in (x, y))


@_core.Remembered
def searchsorted(x1, x2, /, *, side: str = "left", sorter=None, right: bool | None = None, out_int32: bool = False):
    """Where each element of `x2` would have to be put in the sorted `x1` to keep its order: int64, shape of x2.

    `x1` is one-dimensional, or has the leading axes of x2: then each row of x2 is searched in its own row. side="left"
    gives the place before equal elements, "right" (or right=True) the one behind. `sorter`: positions, as of `argsort`,
    that sort x1, which then needn't be sorted. NaN counts as larger than everything. out_int32:
    the result is int32. Array API `searchsorted`.
    """
    behind = _side("searchsorted", side, right)
    if sorter is not None:
        if sorter.shape != x1.shape:
            raise ShapeError(f"[searchsorted] expected a sorter of shape {tuple(x1.shape)}, got {tuple(sorter.shape)}")
        x1 = take_along_axis(x1, sorter, -1)
    if not hasattr(x2, "shape"):
        if type(x2) is int and x1.dtype.is_integer and not int_fits(x1.dtype, x2):
            x2 = float("inf") if x2 > 0 else float("-inf")
        x2 = broadcast_to(cast(x2, dt.DEFAULT_FLOAT if type(x2) is float and x1.dtype.kind in "biu" else x1.dtype), ())
    x1, x2 = alike("searchsorted", x1, x2)
    found = search_rows(x1, x2, behind)
    return cast(found, dt.int32) if out_int32 else found


@_core.Remembered
def bucketize(x, boundaries, /, *, right: bool = False, out_int32: bool = False):
    """The number of the bucket between `boundaries` (sorted, one-dimensional) in which each element lies: int64, shape of x.

    boundaries[i - 1] < x <= boundaries[i] gives i; right=True: boundaries[i - 1] <= x < boundaries[i].
    """
    if boundaries.ndim != 1:
        raise ShapeError(f"[bucketize] expected one-dimensional boundaries, got shape {tuple(boundaries.shape)}")
    boundaries, x = alike("bucketize", boundaries, x)
    found = search_rows(boundaries, x, right)
    return cast(found, dt.int32) if out_int32 else found


def _isin(invert, x, tests):
    x, tests = alike("isin", x, tests)
    count = size_of(tests.shape)
    if count == 0:
        return broadcast_to(cast(invert, dt.bool_), x.shape)
    ordered = sort_rows(reshape(tests, (count,)))
    at = minimum(search_rows(ordered, x), run_time(count - 1))
    found = equal(take(ordered, at, 0), x)
    return logical_not(found) if invert else found


isin_of = composite(
    "isin", 2, _isin, attributes=lambda invert=False: bool(invert), names=("x", "test_elements"),
    reference="numpy.isin", ints="compared",
    samples=Samples(("integer", "integer"), arguments=(((), {}), ((), {"invert": True})),
                    shapes=(((4, 5), (30,)), ((), (2, 3)))),
    doc="Whether each element of `x` is among `test_elements`, which are sorted and searched; see `isin`.",
)  # fmt: skip


def _isin_table(attrs, x, tests, low):
    size, invert = attrs
    wide = dt.int64
    at = subtract(cast(x, wide), cast(low, wide))
    table = broadcast_to(cast(False, dt.bool_), (size,))
    marks = subtract(cast(reshape(tests, (size_of(tests.shape),)), wide), cast(low, wide))
    table = scatter(table, marks, broadcast_to(cast(True, dt.bool_), marks.shape), 0, "take")
    inside = logical_and(at >= 0, at < run_time(size))
    found = logical_and(inside, take(table, where(inside, at, 0), 0))
    return logical_not(found) if invert else found


isin_table = composite(
    "isin_table", 3, _isin_table, attributes=lambda size, invert=False: (whole("size", size, 1), bool(invert)),
    names=("x", "test_elements", "low"), reference="twain.testing.sort_references.isin_table",
    samples=Samples((("class 8", "class 8", "class 1")), arguments=(((8,), {}), ((8, True), {})),
                    shapes=(((4, 5), (3,), ()),)),
    doc="As `isin`, of integers: the test elements, from `low` to below low + size, are marked in a table.",
)  # fmt: skip

__all__ = ["bucketize", "searchsorted"]
