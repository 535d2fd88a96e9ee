"""Counting how often each small integer occurs."""

from __future__ import annotations

from ..base import dtypes as dt
from ..ir.node import Spec
from .elementwise import cast, equal, floor, greater_equal, less, less_equal, logical_and, maximum, minimum, where
from .families import composite
from .index import take
from .native import check_dtype, check_rows, leading_batch, native, run_time, whole
from .samples import Samples
from .search import alike, search_rows
from .shape import reshape, slice_


def _attributes(size):
    return whole("size", size, 0)


def _infer(size, x):
    check_rows("count_bins", x)
    check_dtype("count_bins", x.dtype, dt.INTEGER)
    return Spec(dt.int64, (*x.shape[:-1], size))


count_bins = native(
    "count_bins", 1, "count", infer=_infer, attributes=_attributes, allowed=dt.INTEGER, tried=dt.INTEGER,
    batch=leading_batch, argument_names=("x",), differentiable=False,
    reference="twain.testing.sort_references.count_bins",
    samples=Samples(((-5, 50),), arguments=(((30,), {}),), shapes=(((4, 50),), ((0,),), ((2, 0),))),
    errors=(((-1,), {}, "size"),),
    doc="How often each of 0 .. size - 1 occurs in each row of integers, int64; others are not counted.",
)  # fmt: skip


# ---------------------------------------------------------------- bins
def _bins(even, x, edges):
    """The number of the bin [edges[i], edges[i + 1]) of each element, int32; the last one has its right edge too."""
    edges, x = alike("histogram", edges, x)
    last = edges.shape[0] - 1
    top = run_time(last - 1)
    low, high = (reshape(slice_(edges, (i,), (1,), (1,)), ()) for i in (0, last))
    if even:  # right but for rounding, by which a neighbouring bin may be meant
        at = (x - low) * (cast(run_time(last), x.dtype) / (high - low))
        at = cast(floor(minimum(maximum(at, 0.0), cast(top, x.dtype))), dt.int32)
        at = at - cast(less(x, take(edges, at, 0)), dt.int32)
        at = minimum(at + cast(greater_equal(x, take(edges, at + 1, 0)), dt.int32), cast(top, dt.int32))
    else:
        at = cast(search_rows(edges, x, True) - 1, dt.int32)
        at = where(equal(x, high), cast(top, dt.int32), at)
    return where(logical_and(less_equal(low, x), less_equal(x, high)), at, cast(-1, dt.int32))


bin_numbers = composite(
    "bin_numbers", 2, _bins, attributes=lambda even=False: bool(even), names=("x", "edges"),
    reference="twain.testing.sort_references.bin_numbers",
    samples=Samples(((0, 1), (0.5, 0.9)), arguments=(((), {}),), shapes=(((20,), (2,)),)),
    doc="In which bin between `edges`, which rise, each element lies: int32, -1 outside. even: bins are equally wide.",
)  # fmt: skip


def _binned(attrs, x, edges):
    return count_bins(_bins(attrs, x, edges), edges.shape[0] - 1)


count_between = composite(
    "count_between", 2, _binned, attributes=lambda even=False: bool(even), names=("x", "edges"),
    reference="twain.testing.sort_references.count_between",
    samples=Samples(((0, 1), (0.5, 0.9)), arguments=(((), {}),), shapes=(((20,), (2,)),)),
    doc="How many elements lie in each bin between `edges`, int64; see `bin_numbers`.",
)  # fmt: skip
