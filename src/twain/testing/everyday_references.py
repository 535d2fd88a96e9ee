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


# ---------------------------------------------------------------- products
def einsum(operands, equation):
    return np.einsum(equation, *operands)


def tensordot(a, b, axes=2):
    return np.tensordot(a, b, axes)


def addmm(x, a, b, beta=1, alpha=1):
    return beta * x + alpha * (a @ b)


addmv = baddbmm = addmm


def addr(x, a, b, beta=1, alpha=1):
    return beta * x + alpha * np.outer(a, b)


def addbmm(x, a, b, beta=1, alpha=1):
    return beta * x + alpha * (a @ b).sum(0)


def cov(x, fweights=None, aweights=None, correction=1):
    return np.cov(x, ddof=correction, fweights=fweights, aweights=aweights)


# ---------------------------------------------------------------- arrangement
def diag_embed(x, offset=0, axis1=-2, axis2=-1):
    size = x.shape[-1] + abs(offset)
    result = np.zeros((*x.shape[:-1], size, size), x.dtype)
    at = np.arange(x.shape[-1])
    result[..., at + max(-offset, 0), at + max(offset, 0)] = x
    return np.moveaxis(result, (-2, -1), (axis1, axis2))


def sliding_windows(x, size, step=1, axis=-1):
    axis %= x.ndim
    found = np.lib.stride_tricks.sliding_window_view(x, size, axis)
    return found[(slice(None),) * axis + (slice(None, None, step),)]


def narrow(x, axis, start, length):
    return np.take(x, np.arange(start, start + length), axis)


def select(x, axis, index):
    return np.take(x, index, axis)


def split(x, size, axis=0):
    cuts = range(size, x.shape[axis], size) if isinstance(size, int) else np.cumsum(size)[:-1]
    return np.split(x, list(cuts), axis)


def chunk(x, chunks, axis=0):
    return split(x, -(-x.shape[axis] // chunks), axis)


def block_diag(blocks):
    blocks = [np.atleast_2d(b) for b in blocks]
    result = np.zeros(np.sum([b.shape for b in blocks], axis=0), blocks[0].dtype)
    row = column = 0
    for b in blocks:
        result[row : row + b.shape[0], column : column + b.shape[1]] = b
        row, column = row + b.shape[0], column + b.shape[1]
    return result


def cartesian_prod(vectors):
    return np.stack([g.ravel() for g in np.meshgrid(*vectors, indexing="ij")], axis=1)


def unflatten(x, axis, sizes):
    return x.reshape((*x.shape[:axis], *sizes, *x.shape[axis + 1 :]))


def tril_indices(row, col=None, offset=0):
    return np.stack(np.tril_indices(row, offset, col))


def triu_indices(row, col=None, offset=0):
    return np.stack(np.triu_indices(row, offset, col))


def pad(x, pad, mode="constant", value=None):
    for number in range(len(pad) // 2):
        axis = x.ndim - 1 - number
        before, after = pad[2 * number : 2 * number + 2]
        if mode == "circular":
            x = np.take(x, np.arange(max(-before, 0), x.shape[axis] - max(-after, 0)), axis)
            before, after = max(before, 0), max(after, 0)
        widths = [(0, 0)] * x.ndim
        widths[axis] = (max(before, 0), max(after, 0))
        if mode == "constant":
            x = np.pad(x, widths, constant_values=value or 0)
        else:
            x = np.pad(x, widths, {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}[mode])
        x = np.take(x, np.arange(max(-before, 0), x.shape[axis] - max(-after, 0)), axis)
    return x


def pairs(x, with_replacement=False):
    i, j = np.triu_indices(len(x), 0 if with_replacement else 1)
    return np.stack([x[i], x[j]], axis=1)


# ---------------------------------------------------------------- distances
def norm(x, p=2, axis=None, keepdims=False):
    size = np.abs(x)
    if p == np.inf:
        return size.max(axis=axis, keepdims=keepdims)
    return (size**p).sum(axis=axis, keepdims=keepdims) ** (1 / p)


def dist(x, y, p=2):
    return norm(x - y, p)


def renorm(x, p, axis, maxnorm):
    size = norm(x, p, tuple(i for i in range(x.ndim) if i != axis), True)
    return x * np.where(size > maxnorm, maxnorm / (size + 1e-7), 1)


def pairwise_distance(x, y, p=2.0, eps=1e-6, keepdims=False):
    return norm(x - y + eps, p, -1, keepdims)


def cdist(x, y, p=2.0, compute_mode=None):
    return norm(x[..., :, None, :] - y[..., None, :, :], p, -1)


def pdist(x, p=2.0):
    i, j = np.triu_indices(len(x), 1)
    return norm(x[i] - x[j], p, -1)


def normalize(x, p=2.0, axis=1, eps=1e-12):
    return x / np.maximum(norm(x, p, axis, True), eps)
