"""NumPy definitions of the ops that NumPy lacks, in float64 where values are floating. Arguments are as users give them:
operands, then static arguments. Written for plainness, one formula each, never for speed."""

from __future__ import annotations

import math

import numpy as np

from ..base.dtypes import as_dtype
from ..ir.interpret import rounded

_erf = np.vectorize(math.erf, otypes=["float64"])
_erfc = np.vectorize(math.erfc, otypes=["float64"])


# ---------------------------------------------------------------- elementary functions
def rsqrt(x):
    """1 / sqrt(x)."""
    return 1.0 / np.sqrt(x)


def erf(x):
    """The error function."""
    return _erf(np.asarray(x)).reshape(np.shape(x))


def erfc(x):
    """1 - erf(x), without cancellation."""
    return _erfc(np.asarray(x)).reshape(np.shape(x))


def sigmoid(x):
    """1 / (1 + exp(-x)), written so that nothing overflows."""
    x = np.asarray(x)
    if np.iscomplexobj(x):
        return 1.0 / (1.0 + np.exp(-x))
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0 / (1.0 + small), small / (1.0 + small))


def relu(x):
    """max(x, 0)."""
    return np.maximum(x, 0)


def cast(x, dtype):
    """`x` as another dtype: towards zero to integers, to nearest even elsewhere."""
    return rounded(x, as_dtype(dtype))


# ---------------------------------------------------------------- reductions
def var(x, axis=None, correction=0.0, keepdims=False):
    """Mean squared distance from the mean; divides by count - correction."""
    x = np.asarray(x, dtype=_floating(x))
    gap = x - x.mean(axis=axis, keepdims=True)
    total = (np.abs(gap) ** 2).sum(axis=axis, keepdims=keepdims)
    count = x.size // max(1, total.size)
    return total / (count - correction) if count - correction > 0 else total * np.nan


def std(x, axis=None, correction=0.0, keepdims=False):
    """Root of var."""
    return np.sqrt(var(x, axis, correction, keepdims))


def _floating(x) -> str:
    return "complex128" if np.iscomplexobj(x) else "float64"


def logsumexp(x, axis=None, keepdims=False):
    """log(sum(exp(x)))."""
    if np.iscomplexobj(x):  # shifted by the largest real part, so that nothing overflows
        x = np.asarray(x, dtype="complex128")
        top = np.max(x.real, axis=_all_axes(x, axis), keepdims=True)
        total = np.log(np.sum(np.exp(x - top), axis=_all_axes(x, axis), keepdims=True)) + top
        return total if keepdims else np.squeeze(total, axis=_all_axes(x, axis))
    return np.logaddexp.reduce(np.asarray(x, dtype="float64"), axis=_all_axes(x, axis), keepdims=keepdims)


def _all_axes(x, axis):
    return tuple(range(np.ndim(x))) if axis is None else axis


# ---------------------------------------------------------------- movement
def _grid(starts, steps, sizes):
    """Index arrays of a region; each axis has start, step and number of places."""
    return np.ix_(*[start + step * np.arange(size) for start, step, size in zip(starts, steps, sizes)])


def slice_(x, starts, steps, sizes):
    """The region of `x` at starts, steps."""
    x = np.asarray(x)
    return x[_grid(starts, steps, sizes)] if x.ndim else x


def getitem(x, starts, steps, sizes, shape):
    """A region of `x`, seen as `shape`."""
    return slice_(x, starts, steps, sizes).reshape(shape)


def embed(x, shape, starts, steps, fill=0):
    """`x` in an array of `fill`."""
    result = np.full(shape, fill, dtype=np.result_type(np.asarray(x)))
    return update(result, x, starts, steps)


def update(x, value, starts, steps):
    """`x` with a region replaced by `value`."""
    value = np.asarray(value)
    result = np.array(x)
    if result.ndim:
        result[_grid(starts, steps, value.shape)] = value
        return result
    return np.array(value, dtype=result.dtype)


# ---------------------------------------------------------------- indices
def iota(shape, axis):
    """The index along `axis`."""
    return np.indices(shape, dtype="int64")[axis] if shape else np.zeros((), dtype="int64")


def inverse_size(value, dtype):
    """1 / value."""
    return np.float64(1.0) / value


def take(x, indices, axis=0):
    """Elements of `x` along `axis`."""
    return np.take(x, indices, axis=axis)


def scatter_add(x, indices, updates, axis, mode="along"):
    """`updates` added to `x` one after another."""
    result = np.array(x, dtype=np.result_type(x, updates))
    indices = np.asarray(indices)
    if mode == "take":
        moved = np.moveaxis(result, axis, 0)
        rest = np.moveaxis(np.asarray(updates), range(axis, axis + indices.ndim), range(indices.ndim))
        np.add.at(moved, indices, rest)
        return result
    where = list(np.indices(indices.shape))
    where[axis] = indices
    np.add.at(result, tuple(where), updates)
    return result


def arange(start, step, count, dtype):
    """start + step * (0, 1, ...)."""
    return np.asarray(start) + np.arange(count) * np.asarray(step)


def linspace(start, stop, num, dtype, endpoint=True):
    """`num` evenly spaced numbers."""
    return np.linspace(start, stop, num, endpoint=endpoint)


def full(value, shape, dtype):
    """`value` everywhere."""
    return np.full(shape, value)


def eye(n_rows, n_cols, k, dtype):
    """Ones on the k-th diagonal."""
    return np.eye(n_rows, n_cols, k)


# ---------------------------------------------------------------- random numbers
_MASK = (1 << 32) - 1


def _philox_block(index: int, seed: int, counter: int) -> list:
    """Philox-4x32-10 on Python ints; source: Salmon et al. 2011."""
    at = (index + counter) % 2**64
    words = [at & _MASK, at >> 32, 0, 0]
    keys = [seed & _MASK, seed >> 32]
    for turn in range(10):
        if turn:
            keys = [(keys[0] + 0x9E3779B9) & _MASK, (keys[1] + 0xBB67AE85) & _MASK]
        first, second = 0xD2511F53 * words[0], 0xCD9E8D57 * words[2]
        words = [(second >> 32) ^ words[1] ^ keys[0], second & _MASK, (first >> 32) ^ words[3] ^ keys[1], first & _MASK]
    return words


def philox(index, seed, counter, word=0):
    """One word of each block."""
    index, seed, counter = np.broadcast_arrays(index, seed, counter)
    flat = [_philox_block(int(i), int(s), int(c))[word] for i, s, c in zip(index.flat, seed.flat, counter.flat)]
    return np.array(flat, dtype="uint32").reshape(index.shape)


def _words(seed, counter, shape, each: int) -> list:
    """The four words of as many blocks as `shape` takes with `each` numbers a block."""
    count = -(-int(np.prod(shape)) // each)
    blocks = [_philox_block(i, int(seed), int(counter)) for i in range(count)]
    return list(np.array(blocks, dtype="uint64").reshape(-1, 4).T)


def _spread(parts: list, shape):
    return np.concatenate(parts)[: int(np.prod(shape))].reshape(shape)


def _pairs(seed, counter, shape, dtype) -> tuple:
    wide = as_dtype(dtype).name == "float64"
    words = _words(seed, counter, shape, 2 if wide else 4)
    return wide, [words[:2], words[2:]] if wide else [[w] for w in words]


def _unit(words, wide: bool, bits: int = 24):
    if wide:
        return ((words[0] >> 5) * 67108864.0 + (words[1] >> 6)) * 2.0**-53
    return (words[0] >> np.uint64(32 - bits)) * 2.0**-bits


def _above_zero(words, wide: bool):
    if wide:
        return words[0] * 2.0**-32 + (words[1] + 1.0) * 2.0**-64
    return (words[0].astype("float32") + np.float32(0.5)) * 2.0**-32


def random_uniform(seed, counter, shape, dtype="float32"):
    """Uniform in [0, 1): as many bits as the significand holds."""
    wide, pairs = _pairs(seed, counter, shape, dtype)
    bits = {"float16": 11, "bfloat16": 8}.get(as_dtype(dtype).name, 24)
    return _spread([_unit(p, wide, bits) for p in pairs], shape)


def random_normal(seed, counter, shape, dtype="float32"):
    """Box and Muller's transform of two uniforms."""
    wide, pairs = _pairs(seed, counter, shape, dtype)
    parts = []
    for first, second in zip(pairs[::2], pairs[1::2]):
        radius, angle = np.sqrt(-2.0 * np.log(_above_zero(first, wide))), 2.0 * np.pi * _unit(second, wide)
        parts += [radius * np.cos(angle), radius * np.sin(angle)]
    return _spread(parts, shape)


def random_exponential(seed, counter, shape, dtype="float32"):
    """By inversion."""
    wide, pairs = _pairs(seed, counter, shape, dtype)
    return _spread([-np.log(_above_zero(p, wide)) for p in pairs], shape)


def random_integers(seed, counter, shape, low, high, dtype="int64"):
    """The upper half of 64 random bits times the span."""
    words = [[int(v) for v in w] for w in _words(seed, counter, shape, 2)]
    span = high - low
    parts = [[((a * span) + (b * span >> 32) >> 32) + low for a, b in zip(*pair)] for pair in (words[:2], words[2:])]
    return _spread(parts, shape)


def move(x, target, source):
    """The same numbers elsewhere."""
    return np.array(x)
