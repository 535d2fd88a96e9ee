"""NumPy's word on the ops of ops/masks.py."""

from __future__ import annotations

import numpy as np


def count_true(mask):
    return np.count_nonzero(mask, axis=-1)


def _rows(mask, size, fill, dtype, of):
    result = np.full((*mask.shape[:-1], size), fill, dtype=dtype)
    for place in np.ndindex(mask.shape[:-1]):
        found = of(place)[:size]
        result[place][: len(found)] = found
    return result


def compress_rows(mask, x, size):
    return _rows(mask, size, 0, x.dtype, lambda place: x[place][mask[place]])


def positions_of_true(mask, size):
    return _rows(mask, size, mask.shape[-1], np.int64, lambda place: np.nonzero(mask[place])[0])


def masked_scatter_rows(mask, x, source):
    result = x.copy()
    for place in np.ndindex(mask.shape[:-1]):
        at = np.nonzero(mask[place])[0][: source.shape[-1]]
        result[place][at] = source[place][: len(at)]
    return result


def masked_scatter(x, mask, source):
    mask = np.broadcast_to(mask, x.shape)
    return masked_scatter_rows(mask.reshape(-1), x.reshape(-1), source.reshape(-1)).reshape(x.shape)


def masked_fill(x, mask, value):
    return np.where(mask, value.astype(x.dtype), x)
