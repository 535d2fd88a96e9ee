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
