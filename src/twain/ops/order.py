"""Order statistics: the k largest, medians, quantiles, the most frequent. All of them look at sorted rows."""

from __future__ import annotations

from ..base import dtypes as dt
from ..base.errors import AxisError, DTypeError, ShapeError, ValueRangeError
from ..base.shapes import normalize_axes, normalize_axis, size_of
from .elementwise import (
    add,
    cast,
    ceil,
    equal,
    floor,
    floor_divide,
    isnan,
    logical_and,
    maximum,
    minimum,
    multiply,
    not_equal,
    subtract,
    where,
)
from .elementwise import round as round_
from .families import composite
from .index import iota, take, take_along_axis
from .native import at_least_1d, axis_back, axis_last, check_rows, run_time, whole
from .reduce import any as any_
from .reduce import argmax
from .reduce import sum as sum_
from .samples import Samples
from .scan import scan_max
from .shape import broadcast_to, concat, permute_dims, reshape, slice_
from .sort import argsort_rows, select_rows, sort_rows, topk_rows


def first_part(x, count: int, start: int = 0):
    """`count` elements along the last axis, from `start` on."""
    starts = (0,) * (x.ndim - 1) + (start,)
    return slice_(x, starts, (1,) * x.ndim, (*x.shape[:-1], count))


def _axis(name: str, axis: int, x) -> int:
    check_rows(name, x.spec)
    return normalize_axis(name, axis, x.ndim)


def _one(x, keepdims: bool, axis: int):
    """A result with one element along the last axis, as if reduced along `axis`."""
    return axis_back(x, axis) if keepdims else reshape(x, x.shape[:-1])


def _not_empty(name: str, x, axis: int) -> int:
    if x.shape[axis] == 0:
        raise ShapeError(f"[{name}] expected at least one element along axis {axis}, got shape {tuple(x.shape)}")
    return x.shape[axis]


SHORT = 512  # rows that are sorted faster than searched
FEW = 8  # so many first elements are found one after another


def element_number(rows, at):
    """Where the element number `at` (from 0) of each sorted row is; with an axis of one element."""
    at = broadcast_to(at, rows.shape[:-1]) if at.shape != rows.shape[:-1] else at
    if rows.shape[-1] > SHORT:
        return reshape(select_rows(rows, at), (*rows.shape[:-1], 1))
    return take_along_axis(argsort_rows(rows), reshape(at, (*at.shape, 1)), -1)


# ---------------------------------------------------------------- the k largest
def _topk_attributes(k, axis=-1, largest=True, sorted=True):
    return (whole("k", k), whole("axis", axis), bool(largest))


def _topk(attrs, x):
    k, axis, largest = attrs
    axis = _axis("topk", axis, x)
    if not 0 <= k <= x.shape[axis]:
        raise ValueRangeError(f"[topk] expected k in [0, {x.shape[axis]}], the size of axis {axis}, got {k}")
    rows = axis_last(x, axis)
    few = k * 8 <= rows.shape[-1] if rows.shape[-1] > SHORT else k <= FEW
    order = topk_rows(rows, k, largest) if few else first_part(argsort_rows(rows, largest), k)
    return [axis_back(take_along_axis(rows, order, -1), axis), axis_back(order, axis)]


topk = composite(
    "topk", 1, at_least_1d(_topk), attributes=_topk_attributes, names=("x",), reference="twain.testing.sort_references.topk",
    onnx="TopK",
    samples=Samples(((-50, 50),), arguments=(((3,), {}), ((2, 0, False), {})), shapes=(((5, 33),),)),
    errors=(((99,), {}, "k"), ((1.5,), {}, "k"), ((1, 7), {}, "axis")),
    doc="""(values, indices): the `k` largest elements along `axis`, largest first, or the smallest; where they are, int64.

    topk(x, k, axis=-1, largest=True, sorted=True). Of equal elements those that come first. NaN counts as larger than
    everything. The results are in order whether `sorted` or not.""",
)  # fmt: skip


def _kth_attributes(k, axis=-1, keepdims=False):
    return (whole("k", k), whole("axis", axis), bool(keepdims))


def _kthvalue(attrs, x):
    k, axis, keepdims = attrs
    axis = _axis("kthvalue", axis, x)
    if not 1 <= k <= x.shape[axis]:
        raise ValueRangeError(f"[kthvalue] expected k in [1, {x.shape[axis]}], the size of axis {axis}, got {k}")
    rows = axis_last(x, axis)
    order = element_number(rows, run_time(k - 1))
    return [_one(take_along_axis(rows, order, -1), keepdims, axis), _one(order, keepdims, axis)]


kthvalue = composite(
    "kthvalue", 1, at_least_1d(_kthvalue), attributes=_kth_attributes, names=("x",), samples=Samples(
        ((-50, 50),), arguments=(((3,), {}), ((2, 0, True), {})), shapes=(((5, 33),),)),
    reference="twain.testing.sort_references.kthvalue", errors=(((0,), {}, "k"), ((99,), {}, "k")),
    doc="""(values, indices): the `k`-th smallest element along `axis`, counted from 1, and where it is, int64.""",
)  # fmt: skip


# ---------------------------------------------------------------- medians
def _median_attributes(axis=None, keepdims=False):
    return (None if axis is None else whole("axis", axis), bool(keepdims))


def _median_rows(rows, skip: bool):
    """Where the median of each row is, with an axis of one element; the lower one of two."""
    count = rows.shape[-1]
    if rows.dtype.kind != "f":
        return element_number(rows, run_time((count - 1) // 2))
    number = sum_(cast(isnan(rows), dt.int64), -1, False)
    if skip:  # of the others; NaN if there are none
        at = floor_divide(maximum(subtract(run_time(count - 1), number), 0), 2)
    else:
        at = where(equal(number, 0), run_time((count - 1) // 2), run_time(count - 1))
    return element_number(rows, at)


def _medians(name: str, skip: bool):
    def function(attrs, x):
        axis, keepdims = attrs
        if axis is None:
            if not x.size:
                raise ShapeError(f"[{name}] expected at least one element, got shape {tuple(x.shape)}")
            flat = reshape(x, (x.size,))
            value = take_along_axis(flat, _median_rows(flat, skip), -1)
            return reshape(value, (1,) * x.ndim if keepdims else ())
        axis = _axis(name, axis, x)
        _not_empty(name, x, axis)
        rows = axis_last(x, axis)
        at = _median_rows(rows, skip)
        return [_one(take_along_axis(rows, at, -1), keepdims, axis), _one(at, keepdims, axis)]

    return function


_MEDIANS = Samples(((-50, 50),), arguments=(((), {}), ((1,), {}), ((0, True), {})), shapes=(((5, 33),),))
median = composite(
    "median", 1, at_least_1d(_medians("median", False)), attributes=_median_attributes, names=("x",), samples=_MEDIANS,
    reference="twain.testing.sort_references.median", errors=(((9,), {}, "axis"), (("x",), {}, "axis")),
    doc="""The median of all elements; with an `axis`, (values, indices) along it. Of two in the middle the lower one.

    NaN if there is a NaN. That is PyTorch's `median`; NumPy's, the mean of two in the middle, is quantile(x, 0.5).""",
)  # fmt: skip
nanmedian = composite(
    "nanmedian", 1, at_least_1d(_medians("nanmedian", True)), attributes=_median_attributes, names=("x",), samples=_MEDIANS,
    reference="twain.testing.sort_references.median", errors=(((9,), {}, "axis"),),
    doc="""The median of the elements that are not NaN; as `median`. NaN if there is no other element.""",
)  # fmt: skip


# ---------------------------------------------------------------- quantiles
# Methods that interpolate between neighbours: alpha, beta of Hyndman and Fan, "Sample Quantiles in Statistical Packages",
# The American Statistician 50 (1996), under NumPy's names.
PLOTTING = {
    "linear": (1.0, 1.0), "hazen": (0.5, 0.5), "weibull": (0.0, 0.0), "median_unbiased": (1 / 3, 1 / 3),
    "normal_unbiased": (0.375, 0.375), "interpolated_inverted_cdf": (0.0, 1.0),
}  # fmt: skip
METHODS = (*PLOTTING, "lower", "higher", "midpoint", "nearest", "inverted_cdf", "averaged_inverted_cdf")


def _quantile_attributes(axis=None, keepdims=False, method="linear"):
    if method not in METHODS:
        raise ValueRangeError(f"expected method among {', '.join(METHODS)}, got {method!r}")
    axis = tuple(axis) if isinstance(axis, list) else axis
    return (axis, bool(keepdims), method)


def _places(method: str, q, last):
    """(lower neighbour, weight of the upper one) of quantiles q among elements 0 .. last, in float64."""
    if method in PLOTTING:
        alpha, beta = PLOTTING[method]
        at = add(multiply(add(last, 1.0), q), add(alpha - 1.0, multiply(q, 1.0 - alpha - beta)))
    elif method in ("inverted_cdf", "averaged_inverted_cdf"):
        at = subtract(multiply(add(last, 1.0), q), 1.0)
    else:
        at = multiply(last, q)
    at = minimum(maximum(at, 0.0), maximum(last, 0.0))
    low = floor(at)
    weight = subtract(at, low)
    if method == "lower":
        return low, multiply(weight, 0.0)
    if method in ("higher", "inverted_cdf"):
        return ceil(at), multiply(weight, 0.0)
    if method == "nearest":
        return round_(at), multiply(weight, 0.0)
    if method == "midpoint":
        return low, where(equal(weight, 0.0), 0.0, multiply(add(multiply(weight, 0.0), 1.0), 0.5))
    if method == "averaged_inverted_cdf":
        whole = logical_and(equal(weight, 0.0), equal(subtract(multiply(add(last, 1.0), q), 1.0), at))
        return where(whole, low, ceil(at)), where(whole, 0.5, 0.0)
    return low, weight


def _quantiles(name: str, skip: bool):
    def function(attrs, x, q):
        axis, keepdims, method = attrs
        if x.dtype.kind not in "fiub":
            raise DTypeError(f"[{name}] expected a real dtype, got {x.dtype}")
        x = x if x.dtype.kind == "f" else cast(x, dt.DEFAULT_FLOAT)
        if q.ndim > 1:
            raise ShapeError(f"[{name}] expected q to be a number or one-dimensional, got shape {tuple(q.shape)}")
        axes = normalize_axes(name, axis, x.ndim)
        kept = tuple(a for a in range(x.ndim) if a not in axes)
        shape = tuple(x.shape[a] for a in kept)
        count = size_of(tuple(x.shape[a] for a in axes))
        if count == 0:
            raise ShapeError(f"[{name}] expected at least one element to take quantiles of, got shape {tuple(x.shape)}")
        order = (*kept, *axes)
        rows = reshape(x if order == tuple(range(x.ndim)) else permute_dims(x, order), (*shape, count))
        ordered = sort_rows(rows)
        wanted = reshape(cast(q, dt.float64), (q.size,))
        y = _at_quantiles(ordered, wanted, method, skip)
        # the quantiles come first
        y = permute_dims(y, (y.ndim - 1, *range(y.ndim - 1)))
        if keepdims:
            shape = tuple(1 if a in axes else d for a, d in enumerate(x.shape))
        return reshape(y, (*q.shape, *shape))

    return function


def _at_quantiles(ordered, q, method: str, skip: bool):
    """Of sorted rows (..., n) the quantiles q (m,): (..., m)."""
    count = ordered.shape[-1]
    nans = isnan(ordered)
    shape = (*ordered.shape[:-1], q.shape[0])
    if skip:
        last = cast(subtract(run_time(count - 1), sum_(cast(nans, dt.int64), -1, True)), dt.float64)
        q = broadcast_to(q, shape)
    else:
        last = cast(run_time(count - 1), dt.float64)
    low, weight = _places(method, q, last)
    high = minimum(add(low, 1.0), maximum(last, 0.0))
    low, high = cast(low, dt.int64), cast(high, dt.int64)
    if skip:
        below, above = take_along_axis(ordered, low, -1), take_along_axis(ordered, high, -1)
    else:
        axis = ordered.ndim - 1
        below, above = take(ordered, low, axis), take(ordered, high, axis)
    weight = cast(weight, ordered.dtype)
    y = where(equal(weight, 0.0), below, add(below, multiply(subtract(above, below), weight)))
    if skip:
        return y
    return where(any_(nans, -1, True), float("nan"), y)


_QUANTILES = Samples(
    ((-50, 50), (0, 1)), arguments=(((), {}), ((1,), {}), ((0, True, "midpoint"), {}), (((0, 2), False, "nearest"), {})),
    shapes=(((5, 7), ()), ((5, 7), (3,)), ((5, 7), (2,)), ((3, 4, 2), (2,))),
)  # fmt: skip
_BAD = (((), {"method": "no"}, "method"), ((9,), {}, "axis"))
quantile_of = composite(
    "quantile", 2, _quantiles("quantile", False), attributes=_quantile_attributes, names=("x", "q"), samples=_QUANTILES,
    reference="twain.testing.sort_references.quantile", errors=_BAD, doc="See `quantile`.",
)  # fmt: skip
nanquantile_of = composite(
    "nanquantile", 2, _quantiles("nanquantile", True), attributes=_quantile_attributes, names=("x", "q"), errors=_BAD,
    samples=_QUANTILES, reference="twain.testing.sort_references.quantile", doc="See `nanquantile`.",
)  # fmt: skip


# ---------------------------------------------------------------- the most frequent
def run_starts(ordered):
    """Whether each element of sorted rows differs from the one before: bool; the first always does."""
    count = ordered.shape[-1]
    edge = broadcast_to(cast(True, dt.bool_), (*ordered.shape[:-1], 1))
    rest = not_equal(first_part(ordered, count - 1, 1), first_part(ordered, count - 1))
    return concat([edge, rest], ordered.ndim - 1)


def _mode_attributes(axis=-1, keepdims=False):
    return (whole("axis", axis), bool(keepdims))


def _mode(attrs, x):
    axis, keepdims = attrs
    axis = _axis("mode", axis, x)
    count = _not_empty("mode", x, axis)
    rows = axis_last(x, axis)
    order = argsort_rows(rows)
    ordered = take_along_axis(rows, order, -1)
    if count == 1:
        at = broadcast_to(cast(0, dt.int64), ordered.shape)
    else:
        place = iota(tuple(ordered.shape), ordered.ndim - 1)
        begun = scan_max(where(run_starts(ordered), place, cast(0, dt.int64)), -1)
        at = argmax(subtract(place, begun), -1, True)
    found = take_along_axis(order, at, -1)
    return [_one(take_along_axis(rows, found, -1), keepdims, axis), _one(found, keepdims, axis)]


mode = composite(
    "mode", 1, at_least_1d(_mode), attributes=_mode_attributes, names=("x",), reference="twain.testing.sort_references.mode",
    samples=Samples(((-5, 5),), arguments=(((), {}), ((0, True), {})), shapes=(((5, 33),), ((40, 3),))),
    errors=(((9,), {}, "axis"),),
    doc="""(values, indices): the most frequent element along `axis`, of several the smallest, and where it is last, int64.""",
)  # fmt: skip


def msort(x, /):
    """The elements along the first axis in order: sort(x, axis=0)."""
    if x.ndim == 0:
        raise AxisError("[msort] expected at least one dimension, got a 0-d tensor")
    return axis_back(sort_rows(axis_last(x, 0)), 0)


__all__ = ["kthvalue", "median", "mode", "msort", "nanmedian", "topk"]
