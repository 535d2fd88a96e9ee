"""NumPy definitions of the ops in ops/advanced.py."""

from __future__ import annotations

import numpy as np


def _key(indices: list) -> tuple:
    """A key for arrays whose indexed axes lie in front."""
    return tuple(np.asarray(i, dtype="int64") for i in indices)


def index(arrays, axes, at):
    x, *indices = arrays
    front = np.moveaxis(x, axes, range(len(axes)))
    found = front[_key(indices)]
    rank = np.broadcast(*indices).ndim
    return np.moveaxis(found, range(rank), range(at, at + rank))


def index_put(arrays, axes, at, accumulate=False):
    x, value, *indices = arrays
    result = x.copy()
    front = np.moveaxis(result, axes, range(len(axes)))
    rank = np.broadcast(*indices).ndim
    value = np.moveaxis(value, range(at, at + rank), range(rank))
    key = _key(indices)
    if accumulate:
        np.add.at(front, key, value)
    else:
        front[key] = value
    return result


def unravel_index(position, *shape):
    shape = shape[0] if len(shape) == 1 and isinstance(shape[0], tuple) else shape
    return tuple(np.asarray(i) for i in np.unravel_index(position.astype("int64"), shape))
