"""NumPy definitions of the ops that NumPy lacks, in float64 where values are floating. Arguments are as users give them:
operands, then static arguments. Written for plainness, one formula each, never for speed."""

from __future__ import annotations

import math

import numpy as np

from ..base.dtypes import as_dtype
from ..ir.interpret import array_dtype, rounded

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
    total = (gap * gap).sum(axis=axis, keepdims=keepdims)
    count = x.size // max(1, total.size)
    return total / (count - correction) if count - correction > 0 else total * np.nan


def std(x, axis=None, correction=0.0, keepdims=False):
    """Root of var."""
    return np.sqrt(var(x, axis, correction, keepdims))


def _floating(x) -> str:
    return "complex128" if np.iscomplexobj(x) else "float64"


def logsumexp(x, axis=None, keepdims=False):
    """log(sum(exp(x)))."""
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


def interleave(parts, *kernel):
    """Part k at rows k // width, columns k % width of every block."""
    lead, (height, width) = np.shape(parts[0])[:-2], np.shape(parts[0])[-2:]
    result = np.zeros((*lead, height * kernel[0], width * kernel[1]), dtype=np.result_type(*parts))
    for k, part in enumerate(parts):
        result[..., k // kernel[1] :: kernel[0], k % kernel[1] :: kernel[1]] = part
    return result


# ---------------------------------------------------------------- indices
def iota(shape, axis):
    """The index along `axis`."""
    return np.indices(shape, dtype="int64")[axis] if shape else np.zeros((), dtype="int64")


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


def full(value, shape, dtype):
    """`value` everywhere."""
    return np.full(shape, value)


def eye(n_rows, n_cols, k, dtype):
    """Ones on the k-th diagonal."""
    return np.eye(n_rows, n_cols, k)


# ---------------------------------------------------------------- convolution and pooling
def convolution(x, w, stride=(1, 1), padding=((0, 0), (0, 0)), dilation=(1, 1), input_dilation=(1, 1), groups=1):
    """Every output element is a sum over channels and taps; negative padding crops."""
    x, w = np.asarray(x), np.asarray(w)
    n, channels, *size = x.shape
    full_size = [(d - 1) * s + 1 if d else 0 for d, s in zip(size, input_dilation)]
    stretched = np.zeros((n, channels, *full_size), dtype=x.dtype)
    stretched[:, :, :: input_dilation[0], :: input_dilation[1]] = x
    for axis, (low, high) in enumerate(padding):
        axis += 2
        if low < 0:
            stretched = np.take(stretched, np.arange(min(-low, stretched.shape[axis]), stretched.shape[axis]), axis)
        if high < 0:
            stretched = np.take(stretched, np.arange(max(0, stretched.shape[axis] + high)), axis)
        widths = [(0, 0)] * 4
        widths[axis] = (max(low, 0), max(high, 0))
        stretched = np.pad(stretched, widths)
    out, per_group, *taps = w.shape
    room = [stretched.shape[2 + a] - (dilation[a] * (taps[a] - 1) + 1) for a in (0, 1)]
    places = [r // s + 1 if r >= 0 and t else 0 for r, s, t in zip(room, stride, taps)]
    result = np.zeros((n, out, *places), dtype=np.result_type(x, w))
    if 0 in places:
        return result
    share = out // groups
    for group in range(groups):
        images = stretched[:, group * per_group : (group + 1) * per_group]
        weights = w[group * share : (group + 1) * share]
        for i in range(taps[0]):
            for j in range(taps[1]):
                rows = i * dilation[0] + stride[0] * np.arange(places[0])
                columns = j * dilation[1] + stride[1] * np.arange(places[1])
                seen = images[:, :, rows][:, :, :, columns]
                result[:, group * share : (group + 1) * share] += np.einsum("nchw,oc->nohw", seen, weights[:, :, i, j])
    return result


def _pair(value):
    return (value, value) if isinstance(value, int) else tuple(value)


def conv2d(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Cross-correlation of images with a bank of filters, plus a bias per filter."""
    dilation = _pair(dilation)
    if padding == "same":
        reach = [d * (t - 1) for d, t in zip(dilation, np.shape(weight)[2:])]
        pads = tuple((r // 2, r - r // 2) for r in reach)
    else:
        pads = tuple((p, p) for p in _pair(0 if padding == "valid" else padding))
    result = convolution(x, weight, _pair(stride), pads, dilation, (1, 1), groups)
    return result if bias is None else result + np.asarray(bias).reshape(-1, 1, 1)


def _windows(size, kernel, stride, padding, dilation, ceil_mode) -> list:
    """Per output place the positions of its taps inside the input and the number of places in the padded input."""
    room = size + 2 * padding - dilation * (kernel - 1) - 1
    count = (-(-room // stride) if ceil_mode else room // stride) + 1
    if ceil_mode and (count - 1) * stride >= size + padding:
        count -= 1
    result = []
    for place in range(count):
        taps = [place * stride - padding + dilation * k for k in range(kernel)]
        result.append(([t for t in taps if 0 <= t < size], sum(t < size + padding for t in taps)))
    return result


def _pool(x, function, kernel_size, stride, padding, dilation, ceil_mode):
    kernel = _pair(kernel_size)
    step = kernel if stride is None else _pair(stride)
    pads, spread = _pair(padding), _pair(dilation)
    rows, columns = (_windows(x.shape[a - 2], kernel[a], step[a], pads[a], spread[a], ceil_mode) for a in (0, 1))
    result = np.empty((*x.shape[:-2], len(rows), len(columns)), dtype=x.dtype)
    for i, (r, down) in enumerate(rows):
        for j, (c, across) in enumerate(columns):
            result[..., i, j] = function(x[..., r, :][..., c], down * across)
    return result


def max_pool2d(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    """The largest element of each window."""
    return _pool(
        np.asarray(x), lambda seen, places: seen.max((-2, -1)), kernel_size, stride, padding, dilation, ceil_mode
    )


def avg_pool2d(x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    """The mean of each window."""

    def mean(seen, places):
        return seen.sum((-2, -1)) / (places if count_include_pad else seen.shape[-2] * seen.shape[-1])

    return _pool(np.asarray(x, dtype="float64"), mean, kernel_size, stride, padding, 1, ceil_mode)


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


def _words(seed, counter, shape) -> np.ndarray:
    count = int(np.prod(shape))
    blocks = [_philox_block(i, int(seed), int(counter)) for i in range(count)]
    return np.array(blocks, dtype="uint64").reshape(*shape, 4)


def _unit(words, wide: bool, shift: int):
    if wide:
        return ((words[0] >> 5) * 67108864.0 + (words[1] >> 6) + shift) * 2.0**-53
    return ((words[0] >> 8) + float(shift)) * 2.0**-24


def random_uniform(seed, counter, shape, dtype="float32"):
    """Uniform in [0, 1): 24 bits of one word, or 53 bits of two."""
    words = np.moveaxis(_words(seed, counter, shape), -1, 0)
    return _unit(words, array_dtype(as_dtype(dtype)) == "float64", 0)


def random_normal(seed, counter, shape, dtype="float32"):
    """Box and Muller's transform of two uniforms."""
    wide = as_dtype(dtype).name == "float64"
    words = np.moveaxis(_words(seed, counter, shape), -1, 0)
    half = 2 if wide else 1
    first, second = _unit(words[:half], wide, 1), _unit(words[half:], wide, 0)
    return np.sqrt(-2.0 * np.log(first)) * np.cos(2.0 * np.pi * second)


def random_integers(seed, counter, shape, low, high, dtype="int64"):
    """The remainder of 64 random bits."""
    words = _words(seed, counter, shape)
    wide = (words[..., 0] << np.uint64(32)) + words[..., 1]
    return (wide % np.uint64(high - low)).astype("int64") + low
