"""Distinct elements. How many there are is data, so these functions look at the values."""

from __future__ import annotations

from typing import NamedTuple

from .. import _core
from ..base import dtypes as dt
from ..base.shapes import normalize_axis, size_of
from ..ops import elementwise as e
from ..ops import scan
from ..ops.index import iota, take
from ..ops.order import run_starts
from ..ops.reduce import any as any_
from ..ops.scatter import scatter
from ..ops.shape import broadcast_to, concat, permute_dims, reshape, slice_
from ..ops.sort import argsort_rows, sort_rows
from .selection import compress_flat, flat_nonzero

Tensor = _core.Tensor


class UniqueAll(NamedTuple):
    """What `unique_all` gives."""

    values: Tensor
    indices: Tensor
    inverse_indices: Tensor
    counts: Tensor


class UniqueCounts(NamedTuple):
    """What `unique_counts` gives."""

    values: Tensor
    counts: Tensor


class UniqueInverse(NamedTuple):
    """What `unique_inverse` gives."""

    values: Tensor
    inverse_indices: Tensor


def _flat(x: Tensor) -> Tensor:
    return reshape(x.detach(), (size_of(x.shape),))


def _order(flat: Tensor) -> Tensor:
    """Positions that put equal elements side by side, in order; complex numbers by their real, then imaginary parts."""
    if flat.dtype.kind != "c":
        return argsort_rows(flat)
    order = argsort_rows(e.add(e.imag(flat), 0.0))  # -0.0 becomes 0.0, which it equals
    return take(order, argsort_rows(take(e.add(e.real(flat), 0.0), order, 0)), 0)


def _ordered(flat: Tensor) -> Tensor:
    return take(flat, _order(flat), 0) if flat.dtype.kind == "c" else sort_rows(flat)


class _Runs:
    """Runs of equal elements (or rows) in a sequence: `starts` is bool, true where one begins."""

    def __init__(self, starts: Tensor):
        self.starts = starts
        self.length = starts.shape[0]
        self.first = flat_nonzero(starts)
        self.number = self.first.shape[0]

    @property
    def counts(self) -> Tensor:
        ends = concat([slice_(self.first, (min(1, self.number),), (1,), (max(self.number - 1, 0),)), self._end()], 0)
        return e.subtract(ends, self.first)

    def _end(self) -> Tensor:
        return broadcast_to(e.cast(self.length, dt.int64), (min(self.number, 1),))

    @property
    def numbers(self) -> Tensor:
        """The number of its run, for each element."""
        return scan.scan_add(e.cast(self.starts, dt.int64), 0) - 1


def _starts(ordered: Tensor) -> Tensor:
    return run_starts(ordered) if ordered.shape[0] else e.cast(ordered, dt.bool_)


def _sorted_runs(flat: Tensor) -> tuple:
    """(positions that sort, sorted elements, their runs)."""
    order = _order(flat)
    ordered = take(flat, order, 0)
    return order, ordered, _Runs(_starts(ordered))


def _inverse(order: Tensor, runs: _Runs) -> Tensor:
    """The number of its run, for each element before sorting."""
    return scatter(order, order, runs.numbers, 0, "take")


@_core.Remembered
def unique_values(x: Tensor, /) -> Tensor:
    """The distinct elements of `x`, in order, one-dimensional. NaNs are distinct from each other. Array API."""
    ordered = _ordered(_flat(x))
    return compress_flat(_starts(ordered), ordered)


def unique_counts(x: Tensor, /) -> UniqueCounts:
    """(values, counts): the distinct elements of `x` and how often each occurs, int64. Array API."""
    ordered = _ordered(_flat(x))
    runs = _Runs(_starts(ordered))
    return UniqueCounts(take(ordered, runs.first, 0), runs.counts)


@_core.Remembered
def unique_inverse(x: Tensor, /) -> UniqueInverse:
    """(values, inverse_indices): the distinct elements, and which of them each element of `x` is: values[inverse] is x.

    Array API.
    """
    order, ordered, runs = _sorted_runs(_flat(x))
    return UniqueInverse(take(ordered, runs.first, 0), reshape(_inverse(order, runs), x.shape))


def unique_all(x: Tensor, /) -> UniqueAll:
    """(values, indices, inverse_indices, counts): also where each value occurs first in x, flattened. Array API."""
    order, ordered, runs = _sorted_runs(_flat(x))
    return UniqueAll(
        take(ordered, runs.first, 0), take(order, runs.first, 0), reshape(_inverse(order, runs), x.shape), runs.counts
    )


# ---------------------------------------------------------------- PyTorch's
def lexsort(keys: Tensor, /) -> Tensor:
    """Positions that sort columns of `keys`, (k, n), by their last row, equal ones by the row before, and so on: (n,)."""
    order = None
    for i in range(keys.shape[0]):
        key = keys[i]
        order = argsort_rows(key) if order is None else take(order, argsort_rows(take(key, order, 0)), 0)
    return iota((keys.shape[1],), 0) if order is None else order


def _row_starts(rows: Tensor) -> Tensor:
    """Whether each row of (n, k) differs from the one before."""
    count = rows.shape[0]
    if count == 0:
        return e.cast(iota((0,), 0), dt.bool_)
    first = broadcast_to(e.cast(True, dt.bool_), (1,))
    return concat([first, any_(e.not_equal(rows[1:], rows[:-1]), 1, False)], 0) if count > 1 else first


def _along(function: str, x: Tensor, axis: int) -> tuple:
    """(rows (n, k) of x's slices along axis, what puts chosen slices back in shape)."""
    axis = normalize_axis(function, axis, x.ndim)
    moved = permute_dims(x.detach(), (axis, *(a for a in range(x.ndim) if a != axis)))
    rest = moved.shape[1:]

    def back(rows: Tensor) -> Tensor:
        whole = reshape(rows, (rows.shape[0], *rest))
        return permute_dims(whole, (*range(1, axis + 1), 0, *range(axis + 1, x.ndim)))

    return reshape(moved, (moved.shape[0], size_of(rest))), back


def _results(values: Tensor, inverse, counts, return_inverse: bool, return_counts: bool):
    found = [values]
    if return_inverse:
        found.append(inverse())
    if return_counts:
        found.append(counts())
    return found[0] if len(found) == 1 else tuple(found)


@_core.Remembered
def unique(
    x: Tensor,
    /,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
) -> Tensor | tuple:
    """The distinct elements of `x` in order, one-dimensional; with an `axis`, the distinct slices along it.

    return_inverse: also which of them each element (slice) is; return_counts: also how often each occurs; both int64. The
    result is in order whether `sorted` or not. Reads x.
    """
    if axis is None:
        if not return_inverse:
            if not return_counts:
                return unique_values(x)
            return tuple(unique_counts(x))
        flat = _flat(x)
        order, ordered, runs = _sorted_runs(flat)
        values, shape = take(ordered, runs.first, 0), x.shape
    else:
        rows, back = _along("unique", x, axis)
        order = lexsort(permute_dims(rows, (1, 0))[::-1]) if rows.shape[1] else iota((rows.shape[0],), 0)
        ordered = take(rows, order, 0)
        runs = _Runs(_row_starts(ordered))
        values, shape = back(take(ordered, runs.first, 0)), (rows.shape[0],)
    return _results(
        values, lambda: reshape(_inverse(order, runs), shape), lambda: runs.counts, return_inverse, return_counts
    )


@_core.Remembered
def unique_consecutive(
    x: Tensor, /, return_inverse: bool = False, return_counts: bool = False, axis: int | None = None
) -> Tensor | tuple:
    """`x` without elements (with an `axis`: slices) that equal the one before; arguments as of `unique`. Reads x."""
    if axis is None:
        flat = reshape(x.detach(), (size_of(x.shape),))
        runs = _Runs(_starts(flat))
        values, shape = take(flat, runs.first, 0), x.shape
    else:
        rows, back = _along("unique_consecutive", x, axis)
        runs = _Runs(_row_starts(rows))
        values, shape = back(take(rows, runs.first, 0)), (rows.shape[0],)
    return _results(values, lambda: reshape(runs.numbers, shape), lambda: runs.counts, return_inverse, return_counts)


__all__ = [
    "lexsort",
    "unique",
    "unique_all",
    "unique_consecutive",
    "unique_counts",
    "unique_inverse",
    "unique_values",
]
