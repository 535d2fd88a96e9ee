"""NumPy's word on the ops of ops/scatter.py."""

from __future__ import annotations

import numpy as np

_AT = {"add": np.add.at, "mul": np.multiply.at, "max": np.maximum.at, "min": np.minimum.at}


def _places(shape, indices, axis, mode):
    if mode == "take":
        where = list(np.indices((*shape[:axis], *indices.shape, *shape[axis + 1 :])))
        aligned = indices.reshape((1,) * axis + indices.shape + (1,) * (len(shape) - axis - 1))
        found = np.broadcast_to(aligned, where[0].shape)
        return (*where[:axis], found, *where[axis + indices.ndim :])
    where = list(np.indices(indices.shape))
    where[axis] = indices
    return tuple(where)


def scatter(x, indices, updates, axis, mode="along", combine="set"):
    result = np.array(x, dtype=np.result_type(x, updates))
    places = _places(result.shape, np.asarray(indices), axis % result.ndim, mode)
    if combine != "set":
        _AT[combine](result, places, updates)
        return result
    for place in np.ndindex(updates.shape):
        result[tuple(p[place] for p in places)] = updates[place]
    return result


def scatter_reduce(x, indices, updates, axis, reduce, include_self=True, mode="along"):
    combine = {"sum": "add", "prod": "mul", "amax": "max", "amin": "min", "mean": "add"}[reduce]
    places = _places(x.shape, indices, axis % x.ndim, mode)
    count = np.full(x.shape, int(include_self))
    np.add.at(count, places, 1)
    if not include_self:
        start = {"add": 0, "mul": 1, "max": np.min(updates), "min": np.max(updates)}[combine]
        x = np.where(count > 0, start, x).astype(x.dtype)
    y = scatter(x, indices, updates, axis, mode, combine)
    if reduce != "mean":
        return y
    count = np.maximum(count, 1)
    return y // count if y.dtype.kind in "iu" else y / count


def segment_reduce(data, ids, reduce, num_segments):
    rest = data.shape[ids.ndim :]
    data, ids = data.reshape((-1, *rest)), ids.reshape(-1)
    fold = {"sum": np.sum, "mean": np.mean, "prod": np.prod, "max": np.max, "min": np.min}[reduce]
    result = np.zeros((num_segments, *rest), dtype=data.dtype)
    for i in range(num_segments):
        mine = data[ids == i]
        if len(mine):
            result[i] = fold(mine, axis=0)
        elif reduce in ("max", "min"):
            result[i] = -np.inf if reduce == "max" else np.inf
        else:
            result[i] = reduce == "prod"
    return result


def embedding_bag(indices, weight, scale, ids, count, mode="mean", padding_idx=None):
    rows = weight[indices] * scale[:, None]
    kept = np.ones(len(indices), dtype=bool) if padding_idx is None else indices != padding_idx
    result = segment_reduce(rows[kept], ids[kept], mode, count)
    return np.where(np.isinf(result), 0, result)


def embedding_bag_rows(indices, weight, scale, mode="mean", padding_idx=None):
    ids = np.repeat(np.arange(indices.shape[0]), indices.shape[1])
    return embedding_bag(indices.ravel(), weight, scale.ravel(), ids, indices.shape[0], mode, padding_idx)
