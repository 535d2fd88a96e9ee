"""Normalisation: values shifted and scaled to zero mean and unit variance over some axes. Defaults are PyTorch's."""

from __future__ import annotations

from ...base import dtypes as dt
from ...base.errors import DTypeError, ShapeError
from ...base.shapes import size_of
from ..elementwise import cast, multiply, rsqrt, subtract
from ..families import composite
from ..reduce import mean
from ..samples import Samples
from ..shape import reshape
from .rules import HALF, floating, in_float32

_REFERENCES = "twain.testing.nn_references."


def _centred(x, axes: tuple):
    """(x - mean, biased variance, mean), the last two with `axes` kept."""
    average = mean(x, axes, True)
    gap = subtract(x, average)
    return gap, mean(multiply(gap, gap), axes, True), average


def _scaled(x, weight, bias, shape: tuple | None = None):
    """x * weight + bias, either absent; the vectors seen as `shape`."""
    if weight is not None:
        x = multiply(x, weight if shape is None else reshape(weight, shape))
    if bias is not None:
        x = x + (bias if shape is None else reshape(bias, shape))
    return x


def _check_vector(name: str, what: str, value, shape: tuple) -> None:
    if value is not None and tuple(value.shape) != shape:
        raise ShapeError(f"[{name}] expected {what} of shape {shape}, got {tuple(value.shape)}")


# ---------------------------------------------------------------- layer and rms norm
def _shape_attributes(normalized_shape, eps=1e-5):
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    return (shape, None if eps is None else float(eps))


def _last_axes(name: str, x, shape: tuple) -> tuple:
    if not shape or tuple(x.shape[-len(shape) :]) != shape:
        raise ShapeError(f"[{name}] expected an input whose last axes are {shape}, got shape {tuple(x.shape)}")
    return tuple(range(x.ndim - len(shape), x.ndim))


def _layer_norm(attrs, x, weight, bias):
    """Zero mean and unit variance over the last axes, `normalized_shape` (Ba, Kiros, Hinton 2016)."""
    shape, eps = attrs
    x = floating(x)
    axes = _last_axes("layer_norm", x, shape)
    _check_vector("layer_norm", "weight", weight, shape)
    _check_vector("layer_norm", "bias", bias, shape)
    gap, variance, _ = _centred(x, axes)
    return _scaled(multiply(gap, rsqrt(variance + eps)), weight, bias)


layer_norm = composite(
    "layer_norm", 3, in_float32(_layer_norm), autocast="float32", attributes=_shape_attributes, names=("x", "weight", "bias"),
    reference=_REFERENCES + "layer_norm", onnx="LayerNormalization",
    samples=Samples(((-5, 5), (-2, 2), (-2, 2)), arguments=((((4,),), {}),), shapes=(((3, 4), (4,), (4,)),)),
)  # fmt: skip

_EPSILON = {dt.bfloat16: 2.0**-7, dt.float16: 2.0**-10, dt.float32: 2.0**-23, dt.float64: 2.0**-52}


def _rms_norm(attrs, x, weight):
    """x / sqrt(mean(x ** 2) + eps) over the last axes (Zhang, Sennrich 2019); eps None is the dtype's epsilon."""
    shape, eps = attrs
    x = floating(x)
    axes = _last_axes("rms_norm", x, shape)
    _check_vector("rms_norm", "weight", weight, shape)
    if x.dtype.kind != "f":
        raise DTypeError(f"[rms_norm] expected a real dtype, got {x.dtype}")
    size = mean(multiply(x, x), axes, True)
    return _scaled(multiply(x, rsqrt(size + (_EPSILON[x.dtype] if eps is None else eps))), weight, None)


rms_norm = composite(
    "rms_norm", 2, in_float32(_rms_norm), autocast="float32", names=("x", "weight"),
    attributes=lambda normalized_shape, eps=None: _shape_attributes(normalized_shape, eps),
    reference=_REFERENCES + "rms_norm",
    samples=Samples(((-5, 5), (-2, 2)), arguments=((((4,), 1e-6), {}),), shapes=(((3, 4), (4,)),)),
)  # fmt: skip


# ---------------------------------------------------------------- group norm
def _group_attributes(num_groups, eps=1e-5):
    return (int(num_groups), float(eps))


def _group_norm(attrs, x, weight, bias):
    """Zero mean and unit variance over groups of channels (axis 1) and all axes after (Wu, He 2018)."""
    groups, eps = attrs
    x = floating(x)
    if x.ndim < 2 or groups < 1 or x.shape[1] % groups:
        raise ShapeError(
            f"[group_norm] expected x of shape (N, C, ...), C a multiple of num_groups={groups}, got {tuple(x.shape)}"
        )
    batch, channels = x.shape[:2]
    _check_vector("group_norm", "weight", weight, (channels,))
    _check_vector("group_norm", "bias", bias, (channels,))
    grouped = reshape(x, (batch, groups, channels // groups * size_of(tuple(x.shape[2:]))))
    gap, variance, _ = _centred(grouped, (2,))
    normal = reshape(multiply(gap, rsqrt(variance + eps)), tuple(x.shape))
    return _scaled(normal, weight, bias, (channels,) + (1,) * (x.ndim - 2))


group_norm = composite(
    "group_norm", 3, in_float32(_group_norm), autocast="float32", attributes=_group_attributes, names=("x", "weight", "bias"),
    reference=_REFERENCES + "group_norm", onnx="GroupNormalization",
    samples=Samples(((-5, 5), (-2, 2), (-2, 2)), arguments=(((2,), {}),), shapes=(((3, 4, 5), (4,), (4,)),)),
)  # fmt: skip


# ---------------------------------------------------------------- batch norm
def _channel_axes(name: str, x) -> tuple:
    if x.ndim < 2:
        raise ShapeError(f"[{name}] expected x of shape (N, C, ...), got {tuple(x.shape)}")
    return (0, *range(2, x.ndim))


def _channel_shape(x) -> tuple:
    return (x.shape[1],) + (1,) * (x.ndim - 2)


def _batch_norm_training(eps, x, weight, bias):
    """(normalised over batch and space, mean, variance with n - 1): batch normalisation by the batch's own statistics.

    Source: Ioffe, Szegedy 2015.
    """
    x = floating(x)
    axes = _channel_axes("batch_norm", x)
    channels = (x.shape[1],)
    _check_vector("batch_norm", "weight", weight, channels)
    _check_vector("batch_norm", "bias", bias, channels)
    count = size_of(tuple(x.shape[a] for a in axes))
    if count < 2:
        raise ShapeError(
            f"[batch_norm] expected more than one value per channel in training, got x of shape {tuple(x.shape)}"
        )
    gap, variance, average = _centred(x, axes)
    normal = _scaled(multiply(gap, rsqrt(variance + eps)), weight, bias, _channel_shape(x))
    return normal, reshape(average, channels), reshape(variance, channels) * (count / (count - 1))


batch_norm_training = composite(
    "batch_norm_training", 3, in_float32(_batch_norm_training), attributes=lambda eps=1e-5: float(eps),
    names=("x", "weight", "bias"), reference=_REFERENCES + "batch_norm_training",
    samples=Samples(((-5, 5), (-2, 2), (-2, 2)), shapes=(((5, 4), (4,), (4,)), ((3, 4, 2, 2), (4,), (4,)))),
)  # fmt: skip


def _batch_norm_inference(eps, x, running_mean, running_var, weight, bias):
    """Batch normalisation by given statistics per channel (axis 1)."""
    x = floating(x)
    _channel_axes("batch_norm", x)
    given = {"running_mean": running_mean, "running_var": running_var, "weight": weight, "bias": bias}
    for what, value in given.items():
        _check_vector("batch_norm", what, value, (x.shape[1],))
    shape = _channel_shape(x)
    gap = subtract(x, reshape(running_mean, shape))
    return _scaled(multiply(gap, reshape(rsqrt(running_var + eps), shape)), weight, bias, shape)


batch_norm_inference = composite(
    "batch_norm_inference", 5, in_float32(_batch_norm_inference), attributes=lambda eps=1e-5: float(eps),
    names=("x", "running_mean", "running_var", "weight", "bias"), reference=_REFERENCES + "batch_norm_inference",
    onnx="BatchNormalization",
    samples=Samples(((-5, 5), (-2, 2), (0.1, 2), (-2, 2), (-2, 2)), shapes=(((5, 4), (4,), (4,), (4,), (4,)),)),
)  # fmt: skip


def _moving_average(attrs, running, value, momentum):
    """running + momentum * (value - running), in running's dtype."""
    wide = dt.float32 if running.dtype in HALF else running.dtype
    now, value = cast(running, wide), cast(value, wide)
    return cast(now + cast(momentum, wide) * (value - now), running.dtype)


moving_average = composite(
    "moving_average", 3, _moving_average, names=("running", "value", "momentum"),
    reference=_REFERENCES + "moving_average",
    samples=Samples(((-5, 5), (-5, 5), (0, 1)), shapes=(((4,), (4,), ()),)),
)  # fmt: skip


__all__ = ["batch_norm_inference", "batch_norm_training", "group_norm", "layer_norm", "moving_average", "rms_norm"]
