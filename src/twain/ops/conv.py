"""Convolution over the last two axes. One primitive serves the forward pass and both gradients: they are the same sum
over differently arranged views, so derivatives of any order need nothing else."""

from __future__ import annotations

from ..base import dtypes as dt
from ..base.dtypes import promote, strengthen
from ..base.errors import ArgumentError, DTypeError, ShapeError
from ..ir.node import Spec
from ..ir.op import OpRecord, register
from .elementwise import add, cast
from .families import composite
from .samples import Samples
from .shape import broadcast_to, permute_dims, reshape, slice_


def output_size(size: int, taps: int, stride: int, padding: tuple, dilation: int, input_dilation: int) -> int:
    """Positions of a window along one axis; 0 where it never fits."""
    stretched = (size - 1) * input_dilation + 1 if size else 0
    room = stretched + padding[0] + padding[1] - (dilation * (taps - 1) + 1)
    return room // stride + 1 if room >= 0 and taps else 0


def _attributes(stride=(1, 1), padding=((0, 0), (0, 0)), dilation=(1, 1), input_dilation=(1, 1), groups=1):
    return (stride, padding, dilation, input_dilation, groups)


def _infer(attrs, x, w):
    stride, padding, dilation, input_dilation, groups = attrs
    dtype = strengthen(promote("convolution", x.dtype, w.dtype))
    if dtype not in dt.REAL:
        raise DTypeError(f"[convolution] expected real numeric dtypes, got {x.dtype} and {w.dtype}")
    if len(x.shape) != 4 or len(w.shape) != 4:
        raise ShapeError(f"[convolution] expected 4 axes each, got shapes {tuple(x.shape)} and {tuple(w.shape)}")
    if x.shape[1] != w.shape[1] * groups or w.shape[0] % groups:
        raise ShapeError(
            f"[convolution] expected weights (out, {x.shape[1]} / groups, height, width) with out divisible by groups for "
            f"input {tuple(x.shape)} and groups={groups}, got {tuple(w.shape)}"
        )
    spatial = tuple(
        output_size(x.shape[2 + a], w.shape[2 + a], stride[a], padding[a], dilation[a], input_dilation[a])
        for a in (0, 1)
    )
    return Spec(dtype, (x.shape[0], w.shape[0], *spatial))


def _swap_features(w, groups: int):
    """(out, in / groups, ...) -> (in, out / groups, ...), group by group."""
    out, per_group, *taps = w.shape
    if groups == 1:
        return permute_dims(w, (1, 0, 2, 3))
    parts = reshape(w, (groups, out // groups, per_group, *taps))
    return reshape(permute_dims(parts, (0, 2, 1, 3, 4)), (groups * per_group, out // groups, *taps))


def _flip_taps(w):
    shape = tuple(w.shape)
    return slice_(w, (0, 0, max(shape[2] - 1, 0), max(shape[3] - 1, 0)), (1, 1, -1, -1), shape)


def _input_gradient(attrs, g, x_shape, w):
    """The transposed convolution: windows slide over the stretched gradient with flipped taps."""
    stride, padding, dilation, input_dilation, groups = attrs
    pads = []
    for a in (0, 1):
        reach = dilation[a] * (w.shape[2 + a] - 1)
        low = reach - padding[a][0]
        high = (x_shape[2 + a] - 1) * input_dilation[a] - (g.shape[2 + a] - 1) * stride[a] + reach - low
        pads.append((low, high))
    return convolution(g, _swap_features(_flip_taps(w), groups), input_dilation, tuple(pads), dilation, stride, groups)


def _weight_gradient(attrs, g, x, w_shape):
    """Batch and features change places; the gradient slides over the input as weights do."""
    stride, padding, dilation, input_dilation, groups = attrs
    pads = []
    for a in (0, 1):
        low = padding[a][0]
        high = (
            (w_shape[2 + a] - 1) * dilation[a]
            + stride[a] * (g.shape[2 + a] - 1)
            - (x.shape[2 + a] - 1) * input_dilation[a]
            - low
        )
        pads.append((low, high))
    n, channels, height, width = x.shape
    if groups == 1:
        images = permute_dims(x, (1, 0, 2, 3))
    else:
        parts = reshape(x, (n, groups, channels // groups, height, width))
        images = reshape(permute_dims(parts, (2, 1, 0, 3, 4)), (channels // groups, groups * n, height, width))
    found = convolution(images, permute_dims(g, (1, 0, 2, 3)), dilation, tuple(pads), stride, input_dilation, groups)
    return permute_dims(found, (1, 0, 2, 3))


def _vjp(attrs, gradients, inputs, outputs, needs):
    x, w = inputs
    g = gradients[0]
    if 0 in outputs[0].shape:
        return [cast(x * 0, x.dtype) if needs[0] else None, cast(w * 0, w.dtype) if needs[1] else None]
    gx = _input_gradient(attrs, g, x.shape, cast(w, g.dtype)) if needs[0] else None
    gw = _weight_gradient(attrs, g, cast(x, g.dtype), w.shape) if needs[1] else None
    return [None if gx is None else cast(gx, x.dtype), None if gw is None else cast(gw, w.dtype)]


def _jvp(attrs, call, tangents, inputs, outputs):
    parts = []
    if tangents[0] is not None:
        parts.append(call(attrs, tangents[0], inputs[1]))
    if tangents[1] is not None:
        parts.append(call(attrs, inputs[0], tangents[1]))
    return [parts[0] if len(parts) == 1 else add(parts[0], parts[1])]


def _batch(attrs, call, inputs, batched, size):
    """A batch of inputs joins the images; a batch of weights becomes groups."""
    *rest, groups = attrs
    x, w = inputs
    if not batched[1]:
        result = call(attrs, reshape(x, (size * x.shape[1], *x.shape[2:])), w)
        return reshape(result, (size, x.shape[1], *result.shape[1:]))
    if not batched[0]:
        x = broadcast_to(x, (size, *x.shape))
    _, n, channels, height, width = x.shape
    joined = reshape(permute_dims(x, (1, 0, 2, 3, 4)), (n, size * channels, height, width))
    result = call((*rest, groups * size), joined, reshape(w, (size * w.shape[1], *w.shape[2:])))
    out = result.shape
    return permute_dims(reshape(result, (n, size, out[1] // size, *out[2:])), (1, 0, 2, 3, 4))


convolution = register(
    OpRecord(
        "convolution",
        "contraction",
        2,
        attributes=_attributes,
        infer=_infer,
        lowering="convolution",
        vjp=_vjp,
        jvp=_jvp,
        batch=_batch,
        argument_names=("x", "weight"),
        onnx="Conv",
        reference="twain.testing.references.convolution",
        samples=Samples(
            ((-2, 2), (-2, 2)),
            arguments=(((), {}), (((2, 1), ((1, 0), (2, 2)), (1, 2)), {})),
            shapes=(((2, 3, 7, 6), (4, 3, 3, 2)),),
        ),
        doc="x (n, in, h, w), weight (out, in / groups, kh, kw); stride and dilations as pairs, padding ((low, high), ...).",
    )  # fmt: skip
)


# ---------------------------------------------------------------- as people call it
def pair(name: str, argument: str, value: object, least: int = 0) -> tuple:
    """An int for both axes, or one int per axis."""
    result = (value, value) if isinstance(value, int) else tuple(value)
    if len(result) != 2 or not all(isinstance(v, int) and v >= least for v in result):
        raise ArgumentError(f"[{name}] expected {argument} to be an int or two ints of at least {least}, got {value!r}")
    return result


def _conv2d_attributes(stride=1, padding=0, dilation=1, groups=1):
    if not isinstance(groups, int) or groups < 1:
        raise ArgumentError(f"[conv2d] expected groups to be an int of at least 1, got {groups!r}")
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise ArgumentError(f"[conv2d] expected padding to be ints, 'same' or 'valid', got {padding!r}")
    else:
        padding = pair("conv2d", "padding", padding)
    return (pair("conv2d", "stride", stride, 1), padding, pair("conv2d", "dilation", dilation, 1), groups)


def _conv2d(attrs, x, weight, bias):
    """Cross-correlation of images x (n, in, h, w) or (in, h, w) with weight (out, in / groups, kh, kw), plus bias (out,)."""
    stride, padding, dilation, groups = attrs
    single = x.ndim == 3
    if single:
        x = reshape(x, (1, *x.shape))
    if x.ndim != 4 or weight.ndim != 4 or x.shape[1] != weight.shape[1] * groups:
        raise ShapeError(
            f"[conv2d] expected input (n, in, h, w) and weight (out, in / groups, kh, kw), got {tuple(x.shape)} and "
            f"{tuple(weight.shape)} with groups={groups}"
        )
    if bias is not None and bias.shape != (weight.shape[0],):
        raise ShapeError(f"[conv2d] expected bias of shape ({weight.shape[0]},), got {tuple(bias.shape)}")
    if padding == "same":
        if stride != (1, 1):
            raise ArgumentError(f"[conv2d] expected stride 1 with padding='same', got {stride}")
        reach = [dilation[a] * (weight.shape[2 + a] - 1) for a in (0, 1)]
        pads = tuple((r // 2, r - r // 2) for r in reach)
    else:
        pads = ((0, 0), (0, 0)) if padding == "valid" else tuple((p, p) for p in padding)
    result = convolution(x, weight, stride, pads, dilation, (1, 1), groups)
    if bias is not None:
        result = add(result, reshape(bias, (bias.shape[0], 1, 1)))
    return reshape(result, result.shape[1:]) if single else result


conv2d = composite(
    "conv2d", 3, _conv2d, attributes=_conv2d_attributes, names=("x", "weight", "bias"), onnx="Conv",
    reference="twain.testing.references.conv2d",
    samples=Samples(((-2, 2), (-2, 2), (-2, 2)), arguments=(((), {"padding": 1}), ((2,), {"groups": 2})),
                    shapes=(((2, 4, 6, 5), (6, 4, 3, 3), (6,)), ((2, 4, 6, 5), (6, 2, 3, 3), (6,)))),
)  # fmt: skip
