"""NumPy's word on the ops of ops/scan.py."""

from __future__ import annotations

import numpy as np

_FOLDS = {
    "add": (np.add.accumulate, 0), "mul": (np.multiply.accumulate, 1), "max": (np.maximum.accumulate, 0),
    "min": (np.minimum.accumulate, 0), "logaddexp": (np.logaddexp.accumulate, -np.inf),
}  # fmt: skip


def _scan(combine):
    accumulate, start = _FOLDS[combine]

    def function(x, axis=-1, reverse=False, initial=False):
        y = np.flip(accumulate(np.flip(x, axis), axis=axis), axis) if reverse else accumulate(x, axis=axis)
        y = y.astype(x.dtype)
        if initial:
            edge = np.full([1 if a == axis % x.ndim else d for a, d in enumerate(x.shape)], start, dtype=y.dtype)
            y = np.concatenate([y, edge] if reverse else [edge, y], axis)
        return y

    return function


scan_add, scan_mul, scan_max, scan_min, scan_logaddexp = (_scan(c) for c in "add mul max min logaddexp".split())


def _positions(better):
    def function(x, axis=-1, reverse=False, initial=False):
        moved = np.moveaxis(x, axis, -1)
        moved = moved[..., ::-1] if reverse else moved
        result = np.zeros(moved.shape, dtype=np.int64)
        for place in np.ndindex(moved.shape[:-1]):
            best = 0
            for i, value in enumerate(moved[place]):
                if value != value or better(value, moved[place][best]):
                    best = i
                result[place][i] = moved.shape[-1] - 1 - best if reverse else best
        return np.moveaxis(result[..., ::-1] if reverse else result, -1, axis)

    return function


last_argmax = _positions(lambda a, b: a >= b)
last_argmin = _positions(lambda a, b: a <= b)


def cummax(x, axis=-1):
    return scan_max(x, axis), last_argmax(x, axis)


def cummin(x, axis=-1):
    return scan_min(x, axis), last_argmin(x, axis)


def logcumsumexp(x, axis=-1):
    return scan_logaddexp(x, axis)


def linear_recurrence(a, b, axis=-1, reverse=False, initial=False):
    a, b = np.moveaxis(a, axis, 0), np.moveaxis(b, axis, 0)
    a, b = (a[::-1], b[::-1]) if reverse else (a, b)
    y = np.zeros_like(b)
    for i in range(len(b)):
        y[i] = b[i] + (a[i] * y[i - 1] if i else 0)
    return np.moveaxis(y[::-1] if reverse else y, 0, axis)


def _cumulative(function):
    def cumulative(x, axis=0, dtype=None, include_initial=False):
        return function(x, axis, False, include_initial)

    return cumulative


cumulative_sum, cumulative_prod = _cumulative(scan_add), _cumulative(scan_mul)


def trapezoid(y, x=None, axis=-1, dx=1.0):
    return np.trapezoid(y, x, dx=dx, axis=axis)


def cumulative_trapezoid(y, x=None, axis=-1, dx=1.0):
    y = np.moveaxis(y, axis, -1)
    steps = dx if x is None else np.diff(np.moveaxis(x, axis, -1))
    return np.moveaxis(np.cumsum((y[..., 1:] + y[..., :-1]) / 2 * steps, axis=-1), -1, axis)
