"""Convolutions and pooling by definition, in NumPy: what the op table compares with."""

from __future__ import annotations

import itertools
import math

import numpy as np


def at(*index):
    """An index of several parts, written with stars."""
    return index


def _each(value, axes: int) -> tuple:
    """One number per axis."""
    result = (value,) * axes if isinstance(value, int) else tuple(value)
    return result * axes if len(result) == 1 else result


# ---------------------------------------------------------------- convolution
def convolution(x, w, stride=None, padding=None, dilation=None, input_dilation=None, groups=1):
    """Every output element is a sum over channels and taps; negative padding crops."""
    x, w = np.asarray(x), np.asarray(w)
    n, channels, *size = x.shape
    axes = len(size)
    stride, dilation, input_dilation = (s or (1,) * axes for s in (stride, dilation, input_dilation))
    padding = padding or ((0, 0),) * axes
    full_size = [(d - 1) * s + 1 if d else 0 for d, s in zip(size, input_dilation)]
    stretched = np.zeros((n, channels, *full_size), dtype=x.dtype)
    stretched[at(..., *(slice(None, None, s) for s in input_dilation))] = x
    for axis, (low, high) in enumerate(padding, 2):
        length = stretched.shape[axis]
        stretched = np.take(stretched, np.arange(max(0, -low), max(length + min(high, 0), max(0, -low))), axis)
        widths = [(0, 0)] * (axes + 2)
        widths[axis] = (max(low, 0), max(high, 0))
        stretched = np.pad(stretched, widths)
    out, _, *taps = w.shape
    room = [stretched.shape[2 + a] - (dilation[a] * (taps[a] - 1) + 1) for a in range(axes)]
    places = [r // s + 1 if r >= 0 and t else 0 for r, s, t in zip(room, stride, taps)]
    result = np.zeros((n, out, *places), dtype=np.result_type(x, w))
    if 0 in places:
        return result
    for group, (images, weights) in enumerate(zip(np.split(stretched, groups, 1), np.split(w, groups, 0))):
        for tap in itertools.product(*map(range, taps)):
            window = [slice(t * d, t * d + (p - 1) * s + 1, s) for t, d, p, s in zip(tap, dilation, places, stride)]
            seen = images[at(..., *window)]
            share = slice(group * out // groups, (group + 1) * out // groups)
            result[:, share] += np.einsum("nc...,oc->no...", seen, weights[at(..., *tap)])
    return result


def _conv(axes: int):
    def conv(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
        x, weight = np.asarray(x), np.asarray(weight)
        dilation = _each(dilation, axes)
        single = x.ndim == axes + 1
        if padding == "same":
            reach = [d * (t - 1) for d, t in zip(dilation, weight.shape[2:])]
            pads = tuple((r // 2, r - r // 2) for r in reach)
        elif isinstance(padding, tuple) and isinstance(padding[0], tuple):
            pads = padding
        else:
            pads = tuple((p, p) for p in _each(0 if padding == "valid" else padding, axes))
        result = convolution(x[None] if single else x, weight, _each(stride, axes), pads, dilation, None, groups)
        if bias is not None:
            result = result + np.asarray(bias).reshape(-1, *((1,) * axes))
        return result[0] if single else result

    return conv


conv1d, conv2d, conv3d = _conv(1), _conv(2), _conv(3)


def _conv_transpose(axes: int):
    def conv_transpose(x, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
        """Every input element adds its multiple of the kernel to the output."""
        x, weight = np.asarray(x), np.asarray(weight)
        single = x.ndim == axes + 1
        x = x[None] if single else x
        stride, padding, more, dilation = (_each(v, axes) for v in (stride, padding, output_padding, dilation))
        size, taps = x.shape[2:], weight.shape[2:]
        full = [(d - 1) * s + e * (t - 1) + 1 + m for d, s, e, t, m in zip(size, stride, dilation, taps, more)]
        share = weight.shape[1]
        result = np.zeros((x.shape[0], share * groups, *full), dtype=np.result_type(x, weight))
        for group, (images, weights) in enumerate(zip(np.split(x, groups, 1), np.split(weight, groups, 0))):
            for tap in itertools.product(*map(range, taps)):
                places = [slice(t * e, t * e + (d - 1) * s + 1, s) for t, e, d, s in zip(tap, dilation, size, stride)]
                added = np.einsum("nc...,co->no...", images, weights[at(..., *tap)])
                result[at(slice(None), slice(group * share, (group + 1) * share), *places)] += added
        result = result[at(..., *(slice(p, d - p) for p, d in zip(padding, full)))]
        if bias is not None:
            result = result + np.asarray(bias).reshape(-1, *((1,) * axes))
        return result[0] if single else result

    return conv_transpose


conv_transpose1d, conv_transpose2d, conv_transpose3d = _conv_transpose(1), _conv_transpose(2), _conv_transpose(3)


# ---------------------------------------------------------------- pooling
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


def _pool(x, axes: int, function, kernel_size, stride, padding, dilation, ceil_mode):
    """function(elements of a window (..., count), their flat positions, places in the padded input) -> (...)."""
    x = np.asarray(x)
    kernel = _each(kernel_size, axes)
    step = kernel if stride is None else _each(stride, axes)
    pads, spread = _each(padding, axes), _each(dilation, axes)
    size = x.shape[x.ndim - axes :]
    windows = [_windows(*one, ceil_mode) for one in zip(size, kernel, step, pads, spread)]
    flat = x.reshape(*x.shape[: x.ndim - axes], -1)
    result = [
        function(flat[..., at], at, math.prod(count for _, count in one))
        for one in itertools.product(*windows)
        for at in [np.ravel_multi_index(np.meshgrid(*(taps for taps, _ in one), indexing="ij"), size).reshape(-1)]
    ]
    return np.stack(result, -1).reshape(*x.shape[: x.ndim - axes], *(len(w) for w in windows))


def _pools(axes: int) -> list:
    def max_pool(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
        return _pool(x, axes, lambda seen, at, places: seen.max(-1), kernel_size, stride, padding, dilation, ceil_mode)

    def max_pool_with_indices(x, *rest, **options):
        arguments = dict(zip(("kernel_size", "stride", "padding", "dilation", "ceil_mode"), rest), **options)
        arguments = {"stride": None, "padding": 0, "dilation": 1, "ceil_mode": False, **arguments}
        where = _pool(x, axes, lambda seen, at, places: at[seen.argmax(-1)], **arguments)
        return [max_pool(x, *rest, **options), where]

    def avg_pool(
        x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None
    ):
        def mean(seen, at, places):
            return seen.sum(-1) / (divisor_override or (places if count_include_pad else seen.shape[-1]))

        return _pool(np.asarray(x, dtype="float64"), axes, mean, kernel_size, stride, padding, 1, ceil_mode)

    def lp_pool(x, norm_type, kernel_size, stride=None, ceil_mode=False):
        def norm(seen, at, places):  # PyTorch takes the mean of what is there times the size of a whole window
            return ((seen**norm_type).sum(-1) / places * math.prod(_each(kernel_size, axes))) ** (1 / norm_type)

        return _pool(np.asarray(x, dtype="float64"), axes, norm, kernel_size, stride, 0, 1, ceil_mode)

    return [max_pool, max_pool_with_indices, avg_pool, lp_pool]


max_pool1d, max_pool1d_with_indices, avg_pool1d, lp_pool1d = _pools(1)
max_pool2d, max_pool2d_with_indices, avg_pool2d, lp_pool2d = _pools(2)
max_pool3d, max_pool3d_with_indices, avg_pool3d, lp_pool3d = _pools(3)


def _adaptive(axes: int) -> list:
    def regions(x, output_size) -> tuple:
        size = x.shape[x.ndim - axes :]
        wanted = (output_size,) * axes if output_size is None or isinstance(output_size, int) else output_size
        counts = [d if c is None else c for c, d in zip(wanted, size)]
        return size, counts, [
            [range(i * d // c, -(-(i + 1) * d // c)) for i in range(c)] for d, c in zip(size, counts)
        ]  # fmt: skip

    def pooled(x, output_size, function):
        size, counts, each = regions(x, output_size)
        flat = x.reshape(*x.shape[: x.ndim - axes], -1)
        result = []
        for one in itertools.product(*each):
            at = np.ravel_multi_index(np.meshgrid(*map(list, one), indexing="ij"), size).reshape(-1)
            result.append(function(flat[..., at], at))
        return np.stack(result, -1).reshape(*x.shape[: x.ndim - axes], *counts)

    def average(x, output_size):
        return pooled(np.asarray(x, dtype="float64"), output_size, lambda seen, at: seen.mean(-1))

    def largest(x, output_size):
        return pooled(np.asarray(x), output_size, lambda seen, at: seen.max(-1))

    def with_indices(x, output_size):
        return [largest(x, output_size), pooled(np.asarray(x), output_size, lambda seen, at: at[seen.argmax(-1)])]

    return [average, largest, with_indices]


adaptive_avg_pool1d, adaptive_max_pool1d, adaptive_max_pool1d_with_indices = _adaptive(1)
adaptive_avg_pool2d, adaptive_max_pool2d, adaptive_max_pool2d_with_indices = _adaptive(2)
adaptive_avg_pool3d, adaptive_max_pool3d, adaptive_max_pool3d_with_indices = _adaptive(3)


def interleave(parts, *kernel):
    """Each block of the result holds one element of every part."""
    first = np.asarray(parts[0])
    axes = len(kernel)
    lead = first.shape[: first.ndim - axes]
    result = np.empty((*lead, *(d * k for d, k in zip(first.shape[first.ndim - axes :], kernel))), dtype=first.dtype)
    for place, part in zip(itertools.product(*map(range, kernel)), parts):
        result[at(..., *(slice(p, None, k) for p, k in zip(place, kernel)))] = part
    return result


def _max_unpool(axes: int):
    def max_unpool(x, indices, output_size):
        output_size = _each(output_size, axes)
        lead = x.shape[: x.ndim - axes]
        rows = math.prod(lead)
        result = np.zeros((rows, math.prod(output_size)), dtype=x.dtype)
        for row, values, places in zip(result, x.reshape(rows, -1), np.asarray(indices).reshape(rows, -1)):
            for value, place in zip(values, places):
                row[place] = value
        return result.reshape(*lead, *output_size)

    return max_unpool


max_unpool1d, max_unpool2d, max_unpool3d = _max_unpool(1), _max_unpool(2), _max_unpool(3)


def _fractional(axes: int):
    def fractional_max_pool(x, samples, kernel_size, output_size):
        kernel, counts = _each(kernel_size, axes), _each(output_size, axes)
        size, lead = x.shape[2:], x.shape[:2]
        values, indices = np.empty((*lead, *counts), dtype=x.dtype), np.empty((*lead, *counts), dtype="int64")
        for image in np.ndindex(*lead):
            starts = []
            for a in range(axes):
                u, room, count = float(samples[at(*image, 1 - a if axes == 2 else a)]), size[a] - kernel[a], counts[a]
                alpha = room / (count - 1) if count > 1 else 0
                starts.append([int((i + u) * alpha) - int(u * alpha) for i in range(count - 1)] + [room])
            for place in np.ndindex(*counts):
                where = [range(s[p], s[p] + k) for s, p, k in zip(starts, place, kernel)]
                flat = np.ravel_multi_index(np.meshgrid(*where, indexing="ij"), size).reshape(-1)
                seen = x[image].reshape(-1)[flat]
                values[at(*image, *place)], indices[at(*image, *place)] = seen.max(), flat[seen.argmax()]
        return [values, indices]

    return fractional_max_pool


fractional_max_pool2d, fractional_max_pool3d = _fractional(2), _fractional(3)
