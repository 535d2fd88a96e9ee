"""NumPy definitions of the ops in ops/everyday.py, ops/products.py and ops/arrange.py, one formula each."""

from __future__ import annotations

import numpy as np


# ---------------------------------------------------------------- elementwise
def frac(x):
    return x - np.trunc(x)


def sinc(x):
    return np.sinc(x)


def xlogy(x, y):
    x, y = np.asarray(x), np.asarray(y)
    return np.where((x == 0) & ~np.isnan(y), 0.0, x * np.log(y))


def xlog1py(x, y):
    x, y = np.asarray(x), np.asarray(y)
    return np.where((x == 0) & ~np.isnan(y), 0.0, x * np.log1p(y))


def entr(x):
    x = np.asarray(x)
    return np.where(x > 0, -x * np.log(x), np.where(x == 0, 0.0, np.where(np.isnan(x), np.nan, -np.inf)))


def logit(x, eps=None):
    x = np.asarray(x) if eps is None else np.clip(x, eps, 1 - eps)
    return np.log(x / (1 - x))


def lerp(start, end, weight):
    return start + weight * (end - start)


def addcmul(x, a, b, value=1):
    return x + value * a * b


def addcdiv(x, a, b, value=1):
    return x + value * a / b


def ldexp(x, n):
    return x * 2.0**n


def frexp_exponent(x):
    return np.where(np.isfinite(x), np.frexp(x)[1], 0)


def nan_to_num(x, nan=0.0, posinf=None, neginf=None):
    return np.nan_to_num(x, nan=nan, posinf=posinf, neginf=neginf)


def aminmax(x, axis=None, keepdims=False):
    return np.min(x, axis=axis, keepdims=keepdims), np.max(x, axis=axis, keepdims=keepdims)


def var_mean(x, axis=None, correction=0.0, keepdims=False):
    return np.var(x, axis=axis, ddof=correction, keepdims=keepdims), np.mean(x, axis=axis, keepdims=keepdims)


def std_mean(x, axis=None, correction=0.0, keepdims=False):
    return np.std(x, axis=axis, ddof=correction, keepdims=keepdims), np.mean(x, axis=axis, keepdims=keepdims)
