"""Convolution over the last axes, and its transpose. One primitive serves the forward pass and both gradients: they are
the same sum over differently arranged views, so derivatives of any order need nothing else."""

from __future__ import annotations

from math import prod

from ..base import dtypes as dt
from ..base.dtypes import promote, strengthen
from ..base.errors import ArgumentError, DTypeError, ShapeError
from ..ir.node import Spec
from ..ir.op import OpRecord, register
from .complex_parts import complex
from .elementwise import add, cast, imag, real, subtract
from .families import composite
from .samples import Samples
from .shape import broadcast_to, permute_dims, reshape, slice_

MOST_AXES = 3


def output_size(size: int, taps: int, stride: int, padding: tuple, dilation: int, input_dilation: int = 1) -> int:
    """Positions of a window along one axis; 0 where it never fits."""
    stretched = (size - 1) * input_dilation + 1 if size else 0
    room = stretched + padding[0] + padding[1] - (dilation * (taps - 1) + 1)
    return room // stride + 1 if room >= 0 and taps else 0


def _attributes(stride=None, padding=None, dilation=None, input_dilation=None, groups=1):
    return (stride, padding, dilation, input_dilation, groups)


def _canonical(attrs, x, w):
    """Defaults spelled out for as many axes as the operands have."""
    stride, padding, dilation, input_dilation, groups = attrs
    axes = len(x.shape) - 2
    ones = (1,) * axes
    return (stride or ones, padding or ((0, 0),) * axes, dilation or ones, input_dilation or ones, groups)


def _infer(attrs, x, w):
    stride, padding, dilation, input_dilation, groups = attrs
    dtype = strengthen(promote("convolution", x.dtype, w.dtype))
    if dtype not in dt.REAL:
        raise DTypeError(f"[convolution] expected real numeric dtypes, got {x.dtype} and {w.dtype}")
    axes = len(x.shape) - 2
    if not 1 <= axes <= MOST_AXES or len(w.shape) != len(x.shape):
        raise ShapeError(
            f"[convolution] expected 3 to {MOST_AXES + 2} axes, as many of both, got shapes {tuple(x.shape)} and "
            f"{tuple(w.shape)}"
        )
    if any(len(each) != axes for each in (stride, padding, dilation, input_dilation)):
        raise ArgumentError(f"[convolution] expected stride, padding and dilations for {axes} axes, got {attrs}")
    if x.shape[1] != w.shape[1] * groups or w.shape[0] % groups:
        raise ShapeError(
            f"[convolution] expected weights (out, {x.shape[1]} / groups, ...) with out divisible by groups for input "
            f"{tuple(x.shape)} and groups={groups}, got {tuple(w.shape)}"
        )
    each = zip(x.shape[2:], w.shape[2:], stride, padding, dilation, input_dilation)
    return Spec(dtype, (x.shape[0], w.shape[0], *(output_size(*one) for one in each)))


def _flops(n):
    """Two for each product; those with the zeros that a transposed convolution puts between inputs don't count."""
    return 2 * int(n.size * (prod(n.inputs[1].shape[1:]) / prod(n.attrs[3] or ())))


def swap_features(w, groups: int):
    """(out, in / groups, ...) -> (in, out / groups, ...), group by group."""
    out, per_group, *taps = w.shape
    after = tuple(range(2, len(w.shape)))
    if groups == 1:
        return permute_dims(w, (1, 0, *after))
    parts = reshape(w, (groups, out // groups, per_group, *taps))
    parts = permute_dims(parts, (0, 2, 1, *(a + 1 for a in after)))
    return reshape(parts, (groups * per_group, out // groups, *taps))


def flip_taps(w):
    shape = tuple(w.shape)
    starts = tuple(max(d - 1, 0) for d in shape[2:])
    return slice_(w, (0, 0, *starts), (1, 1, *((-1,) * len(starts))), shape)


def _input_gradient(attrs, g, x_shape, w):
    """The transposed convolution: windows slide over the stretched gradient with flipped taps."""
    stride, padding, dilation, input_dilation, groups = attrs
    pads = []
    for a in range(len(stride)):
        reach = dilation[a] * (w.shape[2 + a] - 1)
        low = reach - padding[a][0]
        high = (x_shape[2 + a] - 1) * input_dilation[a] - (g.shape[2 + a] - 1) * stride[a] + reach - low
        pads.append((low, high))
    return convolution(g, swap_features(flip_taps(w), groups), input_dilation, tuple(pads), dilation, stride, groups)


def _weight_gradient(attrs, g, x, w_shape):
    """Batch and features change places; the gradient slides over the input as weights do."""
    stride, padding, dilation, input_dilation, groups = attrs
    pads = []
    for a in range(len(stride)):
        low = padding[a][0]
        high = (
            (w_shape[2 + a] - 1) * dilation[a]
            + stride[a] * (g.shape[2 + a] - 1)
            - (x.shape[2 + a] - 1) * input_dilation[a]
            - low
        )
        pads.append((low, high))
    n, channels, *size = x.shape
    exchanged = (1, 0, *range(2, len(x.shape)))
    if groups == 1:
        images = permute_dims(x, exchanged)
    else:
        parts = reshape(x, (n, groups, channels // groups, *size))
        parts = permute_dims(parts, (2, 1, 0, *range(3, len(x.shape) + 1)))
        images = reshape(parts, (channels // groups, groups * n, *size))
    found = convolution(images, permute_dims(g, exchanged), dilation, tuple(pads), stride, input_dilation, groups)
    return permute_dims(found, exchanged)


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
    _, n, channels, *places = x.shape
    order = (1, 0, *range(2, len(x.shape)))
    joined = reshape(permute_dims(x, order), (n, size * channels, *places))
    result = call((*rest, groups * size), joined, reshape(w, (size * w.shape[1], *w.shape[2:])))
    out = result.shape
    return permute_dims(reshape(result, (n, size, out[1] // size, *out[2:])), order)


convolution = register(
    OpRecord(
        "convolution",
        "contraction",
        2,
        autocast="low",
        attributes=_attributes,
        canonical=_canonical,
        infer=_infer,
        lowering="convolution",
        flops=_flops,
        vjp=_vjp,
        jvp=_jvp,
        batch=_batch,
        argument_names=("x", "weight"),
        onnx="Conv",
        reference="twain.testing.conv_references.convolution",
        samples=Samples(
            ((-2, 2), (-2, 2)),
            arguments=(
                ((), {}),
                (((2, 1), ((1, 0), (2, 2)), (1, 2)), {}),
                (((2,), ((1, 2),), (2,), (3,), 2), {}),
                (((1, 2, 1), ((1, 1), (0, 1), (0, 0)), (1, 1, 2)), {}),
                ((), {"groups": 4}),
            ),
            shapes=(
                ((2, 3, 7, 6), (4, 3, 3, 2)),
                ((2, 3, 7, 6), (4, 3, 3, 2)),
                ((2, 4, 9), (6, 2, 3)),
                ((1, 2, 3, 4, 5), (3, 2, 2, 3, 2)),
                ((2, 4, 5, 9), (4, 1, 3, 3)),
            ),
        ),
        doc="x (n, in, *size), weight (out, in / groups, *taps), 1 to 3 axes; per axis a stride, padding (low, high), dilations.",
    )  # fmt: skip
)


# ---------------------------------------------------------------- as people call it
MOST = 1 << 16  # steps and regions beyond are slips, and there are loops over them


def per_axis(name: str, argument: str, value: object, axes: int, least: int = 0) -> tuple:
    """An int for all axes, or one int per axis."""
    if isinstance(value, int) and not isinstance(value, bool):
        result = (value,) * axes
    else:
        result = tuple(value) if isinstance(value, (tuple, list)) else ()
        if len(result) == 1:
            result *= axes
    if len(result) != axes or not all(
        isinstance(v, int) and not isinstance(v, bool) and least <= v <= MOST for v in result
    ):
        ints = "an int" if axes == 1 else f"an int or {axes} ints"
        raise ArgumentError(f"[{name}] expected {argument} to be {ints} of at least {least}, got {value!r}")
    return result


def _groups(name: str, groups: object) -> int:
    if not isinstance(groups, int) or isinstance(groups, bool) or groups < 1:
        raise ArgumentError(f"[{name}] expected groups to be an int of at least 1, got {groups!r}")
    return groups


def _paddings(name: str, padding: object, axes: int) -> tuple | str:
    """(low, high) per axis of ints or of pairs, or the word."""
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise ArgumentError(f"[{name}] expected padding to be ints, 'same' or 'valid', got {padding!r}")
        return ((0, 0),) * axes if padding == "valid" else padding
    if isinstance(padding, (tuple, list)) and any(isinstance(p, (tuple, list)) for p in padding):
        if len(padding) != axes:
            raise ArgumentError(f"[{name}] expected padding to be {axes} (low, high) pairs, got {padding!r}")
        return tuple(per_axis(name, "padding", p, 2) for p in padding)
    return tuple((p, p) for p in per_axis(name, "padding", padding, axes))


def _checked(name: str, x, weight, bias, axes: int, groups: int, transposed: bool) -> tuple:
    """(x with a batch axis, whether it had none); refuses what does not fit."""
    single = x.ndim == axes + 1
    if single:
        x = reshape(x, (1, *x.shape))
    places = ("length", "height, width", "depth, height, width")[axes - 1]
    features = "in, out / groups" if transposed else "out, in / groups"
    fits = x.ndim == weight.ndim == axes + 2
    if fits and transposed:
        fits = x.shape[1] == weight.shape[0] and weight.shape[0] % groups == 0
    elif fits:
        fits = x.shape[1] == weight.shape[1] * groups and weight.shape[0] % groups == 0
    if not fits:
        shape = tuple(x.shape[1:] if single else x.shape)
        raise ShapeError(
            f"[{name}] expected input (n, in, {places}) or (in, {places}) and weight ({features}, {places}), in and out "
            f"divisible by groups, got {shape} and {tuple(weight.shape)} with groups={groups}"
        )
    out = weight.shape[1] * groups if transposed else weight.shape[0]
    if bias is not None and tuple(bias.shape) != (out,):
        raise ShapeError(f"[{name}] expected bias of shape ({out},), got {tuple(bias.shape)}")
    return x, single


def _convolved(x, w, stride, pads, dilation, input_dilation, groups):
    """The primitive, of the parts of complex operands."""
    if "c" not in (x.dtype.kind, w.dtype.kind):
        return convolution(x, w, stride, pads, dilation, input_dilation, groups)
    rest = (stride, pads, dilation, input_dilation, groups)
    if x.dtype.kind != "c":
        return complex(convolution(x, real(w), *rest), convolution(x, imag(w), *rest))
    if w.dtype.kind != "c":
        return complex(convolution(real(x), w, *rest), convolution(imag(x), w, *rest))
    re = subtract(convolution(real(x), real(w), *rest), convolution(imag(x), imag(w), *rest))
    return complex(re, add(convolution(real(x), imag(w), *rest), convolution(imag(x), real(w), *rest)))


def _with_bias(result, bias, axes: int, single: bool):
    if bias is not None:
        result = add(result, reshape(bias, (bias.shape[0], *((1,) * axes))))
    return reshape(result, result.shape[1:]) if single else result


def _plain(name: str, axes: int, doc: str, samples, errors):
    """The convolution over `axes` axes."""

    def attributes(stride=1, padding=0, dilation=1, groups=1):
        return (
            per_axis(name, "stride", stride, axes, 1),
            _paddings(name, padding, axes),
            per_axis(name, "dilation", dilation, axes, 1),
            _groups(name, groups),
        )

    def function(attrs, x, weight, bias):
        stride, pads, dilation, groups = attrs
        x, single = _checked(name, x, weight, bias, axes, groups, False)
        reach = [d * (t - 1) for d, t in zip(dilation, weight.shape[2:])]
        if pads == "same":
            if stride != (1,) * axes:
                raise ArgumentError(f"[{name}] expected stride 1 with padding='same', got {stride}")
            pads = tuple((r // 2, r - r // 2) for r in reach)
        for size, (low, high), r, taps in zip(x.shape[2:], pads, reach, weight.shape[2:]):
            if taps < 1 or size + low + high <= r:
                raise ShapeError(
                    f"[{name}] expected a padded input at least as large as the kernel, got input {tuple(x.shape)}, weight "
                    f"{tuple(weight.shape)}, padding {pads} and dilation {dilation}"
                )
        result = _convolved(x, weight, stride, pads, dilation, (1,) * axes, groups)
        return _with_bias(result, bias, axes, single)

    return composite(
        name, 3, function, autocast="low", attributes=attributes, names=("input", "weight", "bias"), onnx="Conv", doc=doc,
        reference=f"twain.testing.conv_references.{name}", samples=samples, errors=errors,
    )  # fmt: skip


def _transposed(name: str, axes: int, doc: str, samples, errors):
    """The transpose (with respect to the input) of the convolution over `axes` axes."""

    def attributes(stride=1, padding=0, output_padding=0, groups=1, dilation=1):
        stride = per_axis(name, "stride", stride, axes, 1)
        dilation = per_axis(name, "dilation", dilation, axes, 1)
        more = per_axis(name, "output_padding", output_padding, axes)
        if any(m and m >= max(s, d) for m, s, d in zip(more, stride, dilation)):
            raise ArgumentError(
                f"[{name}] expected output_padding to be less than stride or dilation, got {more}, {stride} and {dilation}"
            )
        padding = per_axis(name, "padding", padding, axes)
        return (stride, padding, more, _groups(name, groups), dilation)

    def function(attrs, x, weight, bias):
        stride, padding, more, groups, dilation = attrs
        x, single = _checked(name, x, weight, bias, axes, groups, True)
        if 0 in x.shape[2:] or 0 in weight.shape[2:]:
            raise ShapeError(f"[{name}] expected sizes of at least 1, got {tuple(x.shape)} and {tuple(weight.shape)}")
        reach = [d * (t - 1) for d, t in zip(dilation, weight.shape[2:])]
        pads = tuple((r - p, r - p + m) for r, p, m in zip(reach, padding, more))
        result = _convolved(x, swap_features(flip_taps(weight), groups), (1,) * axes, pads, dilation, stride, groups)
        if 0 in result.shape[2:]:
            raise ShapeError(
                f"[{name}] expected a result of at least one element along each axis, got input {tuple(x.shape)}, weight "
                f"{tuple(weight.shape)}, stride {stride} and padding {padding}"
            )
        return _with_bias(result, bias, axes, single)

    return composite(
        name, 3, function,
        autocast="low", attributes=attributes, names=("input", "weight", "bias"), onnx="ConvTranspose", doc=doc,
        reference=f"twain.testing.conv_references.{name}", samples=samples, errors=errors,
    )  # fmt: skip


def _samples(arguments: tuple, shapes: tuple) -> Samples:
    return Samples(((-2, 2), (-2, 2), (-2, 2)), arguments=arguments, shapes=shapes)


_PADDING = "padding: ints, (low, high) pairs, 'valid' (none) or 'same' (the size stays; stride 1 only)."
_ERRORS = (((0,), {}, "stride"), ((1, "full"), {}, "padding"), ((1, -1), {}, "padding"), ((), {"groups": 7}, "groups"))

conv1d = _plain(
    "conv1d", 1,
    "Cross-correlation of input (n, in, length) or (in, length) with weight (out, in / groups, taps), plus bias (out,).\n\n"
    + _PADDING,
    _samples((((2, 1), {}), ((), {"padding": "same", "dilation": 2, "groups": 2})),
             (((2, 4, 9), (3, 4, 3), (3,)), ((4, 9), (6, 2, 2), (6,)))),
    _ERRORS)  # fmt: skip
conv2d = _plain(
    "conv2d", 2,
    "Cross-correlation of images (n, in, h, w) or (in, h, w) with weight (out, in / groups, kh, kw), plus bias (out,).\n\n"
    + _PADDING,
    _samples((((), {"padding": ((1, 0), (2, 1))}), ((2,), {"groups": 2})),
             (((2, 4, 6, 5), (6, 4, 3, 3), (6,)), ((2, 4, 6, 5), (6, 2, 3, 3), (6,)))),
    _ERRORS)  # fmt: skip
conv3d = _plain(
    "conv3d", 3,
    "Cross-correlation of volumes (n, in, d, h, w) or (in, d, h, w) with weight (out, in / groups, kd, kh, kw), plus bias "
    "(out,).\n\n" + _PADDING,
    _samples((((1, (1, 0, 1)), {}), (((1, 2, 1),), {"groups": 2})),
             (((1, 2, 3, 4, 3), (2, 2, 2, 3, 2), (2,)), ((1, 2, 3, 4, 3), (2, 1, 1, 2, 3), (2,)))),
    _ERRORS)  # fmt: skip

_TRANSPOSED_ERRORS = (((0,), {}, "stride"), ((2, 0, 2), {}, "output_padding"), ((1, 9), {}, "at least one element"))
_OUT = "\n\nThe size of the result is (size - 1) * stride - 2 * padding + dilation * (taps - 1) + output_padding + 1."

conv_transpose1d = _transposed(
    "conv_transpose1d", 1,
    "The transpose of conv1d: input (n, in, length) or (in, length), weight (in, out / groups, taps), bias (out,)." + _OUT,
    _samples((((2, 1, 1), {}), ((), {"dilation": 2, "groups": 2})),
             (((2, 4, 5), (4, 3, 3), (3,)), ((4, 5), (4, 1, 2), (2,)))),
    _TRANSPOSED_ERRORS)  # fmt: skip
conv_transpose2d = _transposed(
    "conv_transpose2d", 2,
    "The transpose of conv2d: images (n, in, h, w) or (in, h, w), weight (in, out / groups, kh, kw), bias (out,)." + _OUT,
    _samples((((2, 1, 1), {}), (((1, 2),), {"groups": 2, "dilation": (2, 1)})),
             (((2, 4, 4, 3), (4, 3, 3, 3), (3,)), ((1, 4, 3, 4), (4, 1, 2, 3), (2,)))),
    _TRANSPOSED_ERRORS)  # fmt: skip
conv_transpose3d = _transposed(
    "conv_transpose3d", 3,
    "The transpose of conv3d: volumes (n, in, d, h, w) or (in, d, h, w), weight (in, out / groups, kd, kh, kw), bias (out,)."
    + _OUT,
    _samples((((1, (1, 0, 1)), {}), (((1, 2, 1),), {"groups": 2})),
             (((1, 2, 3, 3, 2), (2, 2, 2, 3, 3), (2,)), ((1, 2, 2, 3, 2), (2, 1, 1, 2, 3), (2,)))),
    _TRANSPOSED_ERRORS)  # fmt: skip

__all__ = ["conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"]
