"""Quantiles and histograms for users: what has to look at values, or takes numbers where an op takes tensors."""

from __future__ import annotations

from collections.abc import Sequence

from .. import _core
from ..base import dtypes as dt
from ..base.errors import ArgumentError, DTypeError, ShapeError, ValueRangeError
from ..base.shapes import size_of
from ..ir.node import is_python_scalar
from ..ops import count, order
from ..ops import elementwise as e
from ..ops.index import scatter_add
from ..ops.shape import reshape
from . import selection
from .bounds import out_of_range, recording
from .creation import asarray, linspace, zeros

Tensor = _core.Tensor


# ---------------------------------------------------------------- quantiles
def _q(function: str, q: object) -> Tensor:
    if is_python_scalar(q) or isinstance(q, (list, tuple)):
        values = [q] if is_python_scalar(q) else list(q)
        for value in values:
            if not 0 <= value <= 1:
                raise ValueRangeError(f"[{function}] expected q in [0, 1], got {value}")
        return asarray(q, dtype=dt.float64)
    if type(q) is Tensor and not recording() and q.size:
        low, high = q.detach().min().item(), q.detach().max().item()
        if not (low >= 0 and high <= 1):
            raise ValueRangeError(f"[{function}] expected q in [0, 1], got {high if low >= 0 else low}")
    return q


def quantile(
    x: Tensor,
    /,
    q: float | Sequence | Tensor,
    axis: int | tuple | None = None,
    *,
    keepdims: bool = False,
    method: str = "linear",
) -> Tensor:
    """The elements that a share `q`, a number in [0, 1] or several, of all elements along `axis` (None: all) lie below.

    Shape of q, then x's without `axis` (keepdims: with 1 in its place). `method`, one of NumPy's names, says what is taken
    between two elements: linear, lower, higher, midpoint, nearest, hazen, weibull, median_unbiased, normal_unbiased,
    interpolated_inverted_cdf, inverted_cdf, averaged_inverted_cdf. NaN where there is a NaN. Ints count as float32.
    """
    return order.quantile_of(x, _q("quantile", q), axis, keepdims, method)


def nanquantile(
    x: Tensor,
    /,
    q: float | Sequence | Tensor,
    axis: int | tuple | None = None,
    *,
    keepdims: bool = False,
    method: str = "linear",
) -> Tensor:
    """Quantiles of the elements that are not NaN; as `quantile`. NaN where there are no others."""
    return order.nanquantile_of(x, _q("nanquantile", q), axis, keepdims, method)


# ---------------------------------------------------------------- counting
FEW_BINS = 1 << 16


@_core.Remembered
def bincount(x: Tensor, /, weights: Tensor | None = None, *, minlength: int = 0) -> Tensor:
    """How often each of 0, 1, 2, ... occurs among non-negative integers `x`, one-dimensional: int64.

    As long as the largest plus one, at least `minlength`; for that x is read. `weights`, shaped as x: their sums instead,
    in their dtype (ints and bools: float64).
    """
    if x.dtype.kind not in "iub" or x.ndim != 1:
        raise DTypeError(f"[bincount] expected one-dimensional integers, got {x.dtype} of shape {tuple(x.shape)}")
    if not isinstance(minlength, int) or minlength < 0:
        raise ValueRangeError(f"[bincount] expected minlength of 0 or more, got {minlength!r}")
    if x.dtype.kind == "b":
        x = e.cast(x, dt.int64)
    if weights is None and selection.simple(x) and minlength <= FEW_BINS:
        found = _core.bins(x, minlength, FEW_BINS)  # None if it is not for it, such as negative numbers
        if found is not None:
            return found
    bad = out_of_range(x, 0, 2**62)
    if bad is not None:
        raise ValueRangeError(f"[bincount] expected integers of 0 or more, got {bad}")
    size = max(minlength, int(x.max().item()) + 1 if x.size else 0)
    return counts_of(x, size, weights)


def counts_of(x: Tensor, size: int, weights: Tensor | None) -> Tensor:
    """How often, or with what weight, each of 0 .. size - 1 occurs in one-dimensional x; others are left out."""
    if weights is None:
        return count.count_bins(x, size)
    if weights.shape != x.shape:
        raise ShapeError(f"[bincount] expected weights of shape {tuple(x.shape)}, got {tuple(weights.shape)}")
    if weights.dtype.kind in "iub":
        weights = e.cast(weights, dt.float64)
    x = e.where(x < 0, e.cast(size, x.dtype), x)
    return scatter_add(zeros((size,), dtype=weights.dtype), x, weights, 0, "take")


# Half precision would put edges where nobody wants them.
EDGES = {dt.float16: dt.float32, dt.bfloat16: dt.float32, dt.float32: dt.float32}


def _edges(function: str, x: Tensor, bins: object, range_: tuple | None) -> Tensor:
    """The edges of bins: given, or spread evenly over a range (None: that of x)."""
    if not isinstance(bins, int):
        bins = asarray(bins)
        if bins.ndim != 1 or bins.size < 2:
            raise ShapeError(
                f"[{function}] expected at least two edges in one dimension, got shape {tuple(bins.shape)}"
            )
        return bins
    if bins < 1:
        raise ValueRangeError(f"[{function}] expected at least 1 bin, got {bins}")
    if range_ is None:
        low, high = (x.min().item(), x.max().item()) if x.size else (0.0, 1.0)
    else:
        low, high = range_
    if not (-float("inf") < low <= high < float("inf")):
        raise ValueRangeError(f"[{function}] expected a finite range from low to high, got ({low}, {high})")
    if low == high:
        low, high = low - 0.5, high + 0.5
    return linspace(float(low), float(high), bins + 1, dtype=EDGES.get(x.dtype, dt.float64))


def histogram(
    x: Tensor, /, bins: int | Sequence | Tensor = 10, *, range: tuple | None = None, weights: Tensor | None = None,
    density: bool = False,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """(counts, edges): how many elements lie in each bin, int64 (with `weights` or `density` their sums, floating).

    `bins`: a number of equal bins over `range` (None: from the smallest to the largest element, which are read), or edges,
    which rise. A bin has its left edge, the last one its right edge too. density: so that the integral is 1.
    """
    if x.dtype.kind not in "fiub":
        raise DTypeError(f"[histogram] expected a real dtype, got {x.dtype}")
    x = reshape(e.cast(x, dt.int64) if x.dtype.kind == "b" else x, (size_of(x.shape),))
    edges = _edges("histogram", x, bins, range)
    if weights is not None:
        weights = reshape(weights, (size_of(weights.shape),))
    even = isinstance(bins, int)
    if weights is None:
        hist = count.count_between(x, edges, even)
    else:
        hist = counts_of(count.bin_numbers(x, edges, even), edges.shape[0] - 1, weights)
    if density:
        hist = e.cast(hist, edges.dtype) if hist.dtype.kind != "f" else hist
        hist = hist / (hist.sum() * (edges[1:] - edges[:-1]))
    return hist, edges


def histc(x: Tensor, /, bins: int = 100, *, min: float = 0, max: float = 0) -> Tensor:
    """How many elements lie in each of `bins` equal bins from `min` to `max` (both 0: from the smallest to the largest).

    In x's dtype. Elements outside are left out.
    """
    span = None if min == max == 0 else (min, max)
    return e.cast(histogram(x, bins, range=span)[0], x.dtype)


def histogramdd(
    x: Tensor, /, bins: int | Sequence = 10, *, range: Sequence | None = None, weights: Tensor | None = None,
    density: bool = False,
) -> tuple[Tensor, tuple]:  # fmt: skip
    """(counts, edges per dimension) of points `x`, (points, dimensions), in a grid of bins; arguments as of `histogram`,
    `bins` and `range` one for all dimensions or a sequence with one each."""
    if x.ndim != 2:
        raise ShapeError(f"[histogramdd] expected points of shape (points, dimensions), got {tuple(x.shape)}")
    dimensions = x.shape[1]
    each = [bins] * dimensions if isinstance(bins, int) else list(bins)
    ranges = [None] * dimensions if range is None else list(range)
    if len(each) != dimensions or len(ranges) != dimensions:
        raise ArgumentError(
            f"[histogramdd] expected bins and a range for {dimensions} dimensions, got {bins!r}, {range!r}"
        )
    edges, flat, inside = [], None, None
    for d, (b, r) in enumerate(zip(each, ranges)):
        column = x[:, d]
        edge = _edges("histogramdd", column, b, r)
        number, at = edge.shape[0] - 1, e.cast(count.bin_numbers(column, edge, isinstance(b, int)), dt.int64)
        fits = e.logical_and(at >= 0, at < number)
        flat = at if flat is None else flat * number + at
        inside = fits if inside is None else e.logical_and(inside, fits)
        edges.append(edge)
    shape = tuple(edge.shape[0] - 1 for edge in edges)
    hist = reshape(counts_of(e.where(inside, flat, e.cast(-1, dt.int64)), size_of(shape), weights), shape)
    if density:
        hist = e.cast(hist, x.dtype) / hist.sum()
        for d, edge in enumerate(edges):
            width = edge[1:] - edge[:-1]
            hist = hist / reshape(width, tuple(-1 if a == d else 1 for a, _ in enumerate(shape)))
    return hist, tuple(edges)


__all__ = ["bincount", "histc", "histogram", "histogramdd", "nanquantile", "quantile"]
