"""Pooling over the last two axes, as elementwise functions of the window's taps, each a strided view of the input."""

from __future__ import annotations

from ..base import dtypes as dt
from ..base.errors import ArgumentError, ShapeError
from ..ir.node import Spec
from .conv import output_size, pair
from .elementwise import add, cast, equal, logical_and, logical_not, logical_or, maximum, multiply, where
from .families import composite, late
from .samples import Samples
from .shape import assembly, embed, slice_


# ---------------------------------------------------------------- taps
def taps_of(x, kernel: tuple, stride: tuple, dilation: tuple, size: tuple) -> list:
    """Per place in the window, the elements it meets at every output position: views of shape (..., *size)."""
    lead = tuple(x.shape[:-2])
    zeros, ones = (0,) * len(lead), (1,) * len(lead)
    return [
        slice_(x, (*zeros, i * dilation[0], j * dilation[1]), (*ones, *stride), (*lead, *size))
        for i in range(kernel[0])
        for j in range(kernel[1])
    ]


def _interleave_infer(kernel, *parts):
    first = parts[0].shape
    return Spec(parts[0].dtype, (*first[:-2], first[-2] * kernel[0], first[-1] * kernel[1]))


def _interleave_regions(kernel, specs, out):
    lead = (0,) * (len(out.shape) - 2)
    ones = (1,) * (len(out.shape) - 2)
    return [(k, (*lead, k // kernel[1], k % kernel[1]), (*ones, *kernel)) for k in range(len(specs))]


def _interleave_vjp(kernel, g, inputs, outputs, needs):
    return taps_of(g[0], kernel, kernel, (1, 1), inputs[0].shape[-2:])


def _interleave_jvp(kernel, call, tangents, inputs, outputs):
    return [call(kernel, *[late.zeros_like(x) if t is None else t for t, x in zip(tangents, inputs)])]


interleave = assembly(
    "interleave", -1, attributes=lambda height, width: (height, width), infer=_interleave_infer, regions=_interleave_regions,
    vjp=_interleave_vjp, jvp=_interleave_jvp, reference="twain.testing.references.interleave",
    batch=lambda attrs, call, inputs, batched, size: call(attrs, *[
        x if b else late.broadcast_to(x, (size, *x.shape)) for x, b in zip(inputs, batched)]),
    samples=Samples(((-5, 5),) * 4, arguments=(((2, 2), {}),), shapes=(((2, 3),) * 4,)),
    doc="kh * kw tensors as one in which each (kh, kw) block holds one element of every tensor.",
)  # fmt: skip


def spread(parts: list, shape: tuple, kernel: tuple, stride: tuple, dilation: tuple):
    """The transpose of taps_of: the parts added into zeros of `shape`, each where its tap lies."""
    if kernel == stride and dilation == (1, 1):
        whole = interleave(parts, *kernel)
        if whole.shape == shape:
            return whole
        return embed(whole, shape, (0,) * len(shape), (1,) * len(shape))
    lead = len(shape) - 2
    total = None
    for k, part in enumerate(parts):
        at = (k // kernel[1] * dilation[0], k % kernel[1] * dilation[1])
        placed = embed(part, shape, (*((0,) * lead), *at), (*((1,) * lead), *stride))
        total = placed if total is None else add(total, placed)
    return total


# ---------------------------------------------------------------- windows
def _windows(name: str, x, kernel, stride, padding, dilation, ceil_mode) -> tuple:
    """(output size, padding per axis as (low, high)); checks the sizes."""
    if x.ndim not in (3, 4):
        raise ShapeError(f"[{name}] expected input (n, channels, h, w) or (channels, h, w), got shape {tuple(x.shape)}")
    size, pads = [], []
    for a in (0, 1):
        if padding[a] * 2 > kernel[a]:
            raise ArgumentError(
                f"[{name}] expected padding of at most half the kernel size, got {padding} for {kernel}"
            )
        length = x.shape[a - 2]
        high = padding[a]
        count = output_size(length, kernel[a], stride[a], (padding[a], high), dilation[a], 1)
        if ceil_mode:  # one more window if it starts inside the input or the left padding
            more = output_size(length, kernel[a], stride[a], (padding[a], high + stride[a] - 1), dilation[a], 1)
            if more > count and (more - 1) * stride[a] < length + padding[a]:
                high += (more - 1) * stride[a] + dilation[a] * (kernel[a] - 1) + 1 - (length + padding[a] + high)
                count = more
        if count < 1:
            raise ShapeError(
                f"[{name}] expected an input at least as large as the window {kernel}, got shape {tuple(x.shape)}"
            )
        size.append(count)
        pads.append((padding[a], high))
    return tuple(size), tuple(pads)


def _padded(x, pads: tuple, fill: object):
    if pads == ((0, 0), (0, 0)):
        return x
    lead = len(x.shape) - 2
    shape = (*x.shape[:-2], x.shape[-2] + sum(pads[0]), x.shape[-1] + sum(pads[1]))
    return embed(x, shape, (*((0,) * lead), pads[0][0], pads[1][0]), (1,) * len(shape), fill)


def _unpadded(g, shape: tuple, pads: tuple):
    if pads == ((0, 0), (0, 0)):
        return g
    lead = len(shape) - 2
    return slice_(g, (*((0,) * lead), pads[0][0], pads[1][0]), (1,) * len(shape), shape)


def _pool_attributes(name):
    def attributes(kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
        kernel = pair(name, "kernel_size", kernel_size, 1)
        step = kernel if stride is None else pair(name, "stride", stride, 1)
        return (kernel, step, pair(name, "padding", padding), pair(name, "dilation", dilation, 1), bool(ceil_mode))

    return attributes


def _lowest(dtype):
    return float("-inf") if dtype.kind == "f" else 0 if dtype.kind in "bu" else -(2 ** (dtype.bits - 1))


def _max_taps(attrs, x):
    kernel, stride, padding, dilation, ceil_mode = attrs
    size, pads = _windows("max_pool2d", x, kernel, stride, padding, dilation, ceil_mode)
    padded = _padded(x, pads, _lowest(x.dtype))
    return taps_of(padded, kernel, stride, dilation, size), padded.shape, pads


def _max_pool(attrs, x):
    """The largest element of each window; padding never wins."""
    taps, _, _ = _max_taps(attrs, x)
    result = taps[0]
    for tap in taps[1:]:
        result = maximum(result, tap)
    return result


def _max_pool_vjp(attrs, gradients, inputs, outputs, needs):
    """The gradient goes to the first largest element of each window, as in PyTorch."""
    x, g, y = inputs[0], gradients[0], outputs[0]
    taps, shape, pads = _max_taps(attrs, x)
    parts, taken = [], None
    for tap in taps:
        hit = equal(tap, y)
        parts.append(where(hit if taken is None else logical_and(hit, logical_not(taken)), g, 0))
        taken = hit if taken is None else logical_or(taken, hit)
    kernel, stride, _, dilation, _ = attrs
    return [_unpadded(spread(parts, shape, kernel, stride, dilation), tuple(x.shape), pads)]


max_pool2d = composite(
    "max_pool2d", 1, _max_pool, attributes=_pool_attributes("max_pool2d"), names=("x",), vjp=_max_pool_vjp, onnx="MaxPool",
    reference="twain.testing.references.max_pool2d",
    samples=Samples(((-5, 5),), arguments=(((2,), {}), ((3, 2, 1), {}), ((2,), {"ceil_mode": True})), shapes=(((2, 3, 7, 6),),)),
)  # fmt: skip


def _average_attributes(kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    base = _pool_attributes("avg_pool2d")(kernel_size, stride, padding, 1, ceil_mode)
    return (*base, bool(count_include_pad))


def _average_pool(attrs, x):
    """The mean of each window; padding counts as zeros unless count_include_pad is False."""
    kernel, stride, padding, dilation, ceil_mode, include = attrs
    if x.dtype.kind != "f":
        x = cast(x, dt.DEFAULT_FLOAT)
    size, pads = _windows("avg_pool2d", x, kernel, stride, padding, dilation, ceil_mode)
    result = _sum_taps(taps_of(_padded(x, pads, 0), kernel, stride, dilation, size))
    overhang = any(high != low for low, high in pads)
    if (include or pads == ((0, 0), (0, 0))) and not overhang:
        return multiply(result, 1.0 / (kernel[0] * kernel[1]))
    inside = add(multiply(late.zeros_like(x), 0), 1)
    if include:  # explicit padding counts, what ceil_mode adds beyond it doesn't
        both = tuple((low, low) for low, _ in pads)
        inside = _padded(inside, both, 1)
        pads = tuple((0, high - low) for low, high in pads)
    return result / _sum_taps(taps_of(_padded(inside, pads, 0), kernel, stride, dilation, size))


def _sum_taps(taps: list):
    total = taps[0]
    for tap in taps[1:]:
        total = add(total, tap)
    return total


avg_pool2d = composite(
    "avg_pool2d", 1, _average_pool, attributes=_average_attributes, names=("x",), onnx="AveragePool",
    reference="twain.testing.references.avg_pool2d",
    samples=Samples(((-5, 5),), arguments=(((2,), {}), ((3, 2, 1), {})), shapes=(((2, 3, 7, 6),),)),
)  # fmt: skip
