"""NumPy's word on the ops of ops/sort.py, scan.py, scatter.py and count.py."""

from __future__ import annotations

import numpy as np


def _ranks(x: np.ndarray, axis: int) -> np.ndarray:
    """Every element as its rank along `axis`, equal ones alike, NaN last: what can be negated for any dtype."""

    def ranks(row):
        return np.unique(row, return_inverse=True)[1].reshape(-1)

    return np.apply_along_axis(ranks, axis, x) if x.size else np.zeros(x.shape, dtype=np.int64)


def argsort(x, axis=-1, descending=False, stable=True):
    ranks = _ranks(x, axis)
    return np.argsort(-ranks if descending else ranks, axis=axis, kind="stable").astype(np.int64)


def sort(x, axis=-1, descending=False, stable=True):
    return np.take_along_axis(x, argsort(x, axis, descending), axis)


def sort_rows(x, descending=False):
    return sort(x, -1, descending)


def argsort_rows(x, descending=False):
    return argsort(x, -1, descending)


def search_rows(sequence, values, right=False):
    """Of sorted rows; others give what a binary search finds, so only rows of one order are compared."""
    result = np.zeros(values.shape, dtype=np.int64)
    length = sequence.shape[-1]
    for place in np.ndindex(values.shape):
        row = sequence if sequence.ndim == 1 else sequence[place[:-1]]
        at, left, value = 0, length, values[place]
        while left > 1:
            half = left // 2
            probe = row[at + half - 1]
            at += half if (probe <= value if right else probe < value) else 0
            left -= half
        passed = row[at] <= value if right else row[at] < value
        result[place] = at + int(passed)
    return result


def topk(x, k, axis=-1, largest=True, sorted=True):
    order = np.take(argsort(x, axis, largest), np.arange(k), axis=axis)
    return np.take_along_axis(x, order, axis), order


def _picked(x, order, axis, keepdims):
    values = np.take_along_axis(x, order, axis)
    return (values, order) if keepdims else (np.squeeze(values, axis), np.squeeze(order, axis))


def kthvalue(x, k, axis=-1, keepdims=False):
    return _picked(x, np.take(argsort(x, axis), [k - 1], axis=axis), axis, keepdims)


def median(x, axis=None, keepdims=False):
    if axis is None:
        value = np.sort(x, axis=None)[(x.size - 1) // 2]
        return value.reshape((1,) * x.ndim if keepdims else ())
    return kthvalue(x, (x.shape[axis] + 1) // 2, axis, keepdims)


def quantile(x, q, axis=None, keepdims=False, method="linear"):
    if x.dtype.kind == "b":
        x = x.astype(float)
    return np.quantile(x, q, axis=axis, keepdims=keepdims, method=method)


def mode(x, axis=-1, keepdims=False):
    def of(row):
        values, counts = np.unique(row, return_counts=True)
        return np.nonzero(row == values[np.argmax(counts)])[0][-1]

    return _picked(x, np.expand_dims(np.apply_along_axis(of, axis, x), axis), axis, keepdims)


def count_bins(x, size):
    return np.stack([np.count_nonzero(x == i, axis=-1) for i in range(size)], axis=-1)


def topk_rows(x, k, descending=True):
    return argsort(x, -1, descending)[..., :k]


def select_rows(x, at):
    return np.take_along_axis(argsort(x), at[..., None], -1)[..., 0]


def bin_numbers(x, edges, even=False):
    at = np.searchsorted(edges, x, "right") - 1 if np.all(np.diff(edges) > 0) else np.full(x.shape, -1)
    at = np.where(x == edges[-1], len(edges) - 2, at)
    return np.where((edges[0] <= x) & (x <= edges[-1]), at, -1)


def count_between(x, edges, even=False):
    return count_bins(bin_numbers(x, edges), len(edges) - 1)


def isin_table(x, tests, low, size, invert=False):
    return np.isin(x, tests, invert=invert)
