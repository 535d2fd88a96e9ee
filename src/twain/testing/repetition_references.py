"""NumPy definitions of the ops in ops/repetition.py."""

from __future__ import annotations

import numpy as np


def diff(x, prepend, append, axis=-1, n=1):
    return np.diff(x, n=n, axis=axis, prepend=prepend, append=append)


def count_nonzero(x, axis=None, keepdims=False):
    return np.count_nonzero(x, axis=axis, keepdims=keepdims)


def vecdot(x1, x2, axis=-1):
    return np.sum(np.conj(x1) * x2, axis=axis)
