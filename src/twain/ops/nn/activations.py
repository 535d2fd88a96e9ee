"""Activation functions made of elementwise ops, and softmax. Formulas and defaults are PyTorch's.

Branches are written so that an infinite value of the branch not taken never meets a gradient (inf * 0 is NaN), and so
that NaN stays NaN.
"""

from __future__ import annotations

import math

from ...base import dtypes as dt
from ...base.errors import ArgumentError, ShapeError
from ...base.shapes import normalize_axis
from ..elementwise import abs as abs_
from ..elementwise import (
    cast,
    exp,
    expm1,
    greater,
    greater_equal,
    less,
    less_equal,
    log,
    logaddexp,
    multiply,
    negative,
    relu,
    sigmoid,
    subtract,
    tanh,
    where,
)
from ..families import composite, late
from ..reduce import max as max_
from ..reduce import sum as sum_
from ..samples import Samples, reals
from ..shape import slice_
from ..special import ndtr
from .rules import floating, in_float32, stop_gradient

_REFERENCES = "twain.testing.nn_references."


def _activation(name: str, function, *, attributes=None, arguments=((), ({})), onnx: str | None = None):
    """A function of one value: name(x, **settings)."""
    return composite(
        name, 1, in_float32(function), attributes=attributes, names=("x",), reference=_REFERENCES + name, onnx=onnx,
        samples=Samples(((-5, 5),), arguments=arguments) if attributes else reals(),
    )  # fmt: skip


# ---------------------------------------------------------------- piecewise linear
def _clamp(x, low: float, high: float):
    """min(max(x, low), high); at the ends the derivative is 0."""
    return where(greater_equal(x, high), high, where(less_equal(x, low), low, x))


def _relu6(attrs, x):
    """min(max(x, 0), 6)."""
    return _clamp(x, 0, 6)


relu6 = _activation("relu6", _relu6)


def _hardtanh_attributes(min_val=-1.0, max_val=1.0):
    if not min_val <= max_val:
        raise ArgumentError(f"[hardtanh] expected min_val <= max_val, got {min_val} and {max_val}")
    return (min_val, max_val)


def _hardtanh(attrs, x):
    """min(max(x, min_val), max_val)."""
    return _clamp(x, *attrs)


hardtanh = _activation("hardtanh", _hardtanh, attributes=_hardtanh_attributes, arguments=(((), {}), ((-2.0, 0.5), {})))


def _leaky_relu(attrs, x):
    """x where x > 0, negative_slope * x elsewhere."""
    return where(greater(x, 0), x, multiply(x, attrs))


leaky_relu = _activation(
    "leaky_relu", _leaky_relu, attributes=lambda negative_slope=0.01: float(negative_slope), onnx="LeakyRelu",
    arguments=(((), {}), ((0.2,), {})),
)  # fmt: skip


def _threshold(attrs, x):
    """x where x > threshold, value elsewhere."""
    return where(less_equal(x, attrs[0]), attrs[1], x)


threshold = _activation(
    "threshold", _threshold, attributes=lambda threshold, value: (threshold, value), arguments=(((0.5, -1.0), {}),)
)


def _hardshrink(attrs, x):
    """0 where |x| <= lambd, x elsewhere."""
    return where(less_equal(_size(x), attrs), 0, x)


def _size(x):
    """|x| without a rule for the kink: only compared."""
    return where(less(x, 0), negative(x), x)


hardshrink = _activation("hardshrink", _hardshrink, attributes=lambda lambd=0.5: float(lambd), arguments=(((), {}),))


def _softshrink(attrs, x):
    """x moved towards 0 by lambd, and 0 where |x| <= lambd."""
    return where(greater(x, attrs), x - attrs, where(less(x, -attrs), x + attrs, x * 0))


def _softshrink_attributes(lambd=0.5):
    if not lambd >= 0:
        raise ArgumentError(f"[softshrink] expected lambd of at least 0, got {lambd}")
    return float(lambd)


softshrink = _activation("softshrink", _softshrink, attributes=_softshrink_attributes, arguments=(((), {}),))


def _hardsigmoid(attrs, x):
    """relu6(x + 3) / 6."""
    return relu6(x + 3.0) * (1.0 / 6.0)


hardsigmoid = _activation("hardsigmoid", _hardsigmoid, onnx="HardSigmoid")


def _hardswish(attrs, x):
    """x * relu6(x + 3) / 6."""
    return x * relu6(x + 3.0) * (1.0 / 6.0)


hardswish = _activation("hardswish", _hardswish, onnx="HardSwish")


def _prelu(attrs, x, weight):
    """x where x > 0, weight * x elsewhere; weight has one element, or one per channel (axis 1)."""
    if weight.ndim > 1 or (weight.size != 1 and (x.ndim < 2 or x.shape[1] != weight.size)):
        raise ShapeError(
            f"[prelu] expected weight of shape (1,) or (channels,), got {tuple(weight.shape)} for x {tuple(x.shape)}"
        )
    if x.ndim == 0:
        weight = late.reshape(weight, ())
    elif weight.size != 1 and x.ndim > 2:
        weight = late.reshape(weight, (weight.size,) + (1,) * (x.ndim - 2))
    return where(greater(x, 0), x, multiply(x, weight))


prelu = composite(
    "prelu", 2, _prelu, names=("x", "weight"), reference=_REFERENCES + "prelu", onnx="PRelu",
    samples=Samples(((-5, 5), (0, 1)), shapes=(((3, 4), (1,)), ((3, 4, 2), (4,)), ((), (1,)))),
)  # fmt: skip


# ---------------------------------------------------------------- smooth
def _gelu_attributes(approximate="none"):
    if approximate not in ("none", "tanh"):
        raise ArgumentError(f"[gelu] expected approximate to be 'none' or 'tanh', got {approximate!r}")
    return approximate


def _gelu(attrs, x):
    """x times the normal distribution function of x (Hendrycks, Gimpel 2016)."""
    x = floating(x)
    if attrs == "tanh":
        inner = math.sqrt(2.0 / math.pi) * (x + 0.044715 * x * x * x)
        return 0.5 * x * (1.0 + tanh(inner))
    return x * ndtr(x)


gelu = _activation("gelu", _gelu, attributes=_gelu_attributes, arguments=(((), {}), (("tanh",), {})), onnx="Gelu")


def _silu(attrs, x):
    """x * sigmoid(x)."""
    x = floating(x)
    return x * sigmoid(x)


silu = _activation("silu", _silu)


def _mish(attrs, x):
    """x * tanh(softplus(x)) (Misra 2019)."""
    x = floating(x)
    return x * tanh(logaddexp(x, 0.0))


mish = _activation("mish", _mish, onnx="Mish")


def _exponential_tail(x, scale: float, rate: float = 1.0):
    """scale * (exp(rate * x) - 1) where x <= 0, else 0 passed to the branch that isn't taken."""
    return scale * expm1(where(greater(x, 0), 0, x) * rate)


def _elu(attrs, x):
    """x where x > 0, alpha * (exp(x) - 1) elsewhere (Clevert, Unterthiner, Hochreiter 2015)."""
    x = floating(x)
    return where(greater(x, 0), x, _exponential_tail(x, attrs))


_ALPHA = (((), {}), ((0.5,), {}))
elu = _activation("elu", _elu, attributes=lambda alpha=1.0: float(alpha), arguments=_ALPHA, onnx="Elu")

_SELU_ALPHA = 1.6732632423543772
_SELU_SCALE = 1.0507009873554805


def _selu(attrs, x):
    """The self-normalising elu (Klambauer et al. 2017)."""
    x = floating(x)
    return _SELU_SCALE * where(greater(x, 0), x, _exponential_tail(x, _SELU_ALPHA))


selu = _activation("selu", _selu, onnx="Selu")


def _celu(attrs, x):
    """max(x, 0) + min(alpha * (exp(x / alpha) - 1), 0) (Barron 2017)."""
    x = floating(x)
    return where(greater(x, 0), x, _exponential_tail(x, attrs, 1.0 / attrs))


celu = _activation("celu", _celu, attributes=lambda alpha=1.0: float(alpha), arguments=_ALPHA)


def _softplus(attrs, x):
    """log(1 + exp(beta * x)) / beta; x itself where beta * x > threshold."""
    beta, limit = attrs
    x = floating(x)
    scaled = x * beta
    # logaddexp stays finite, so nothing infinite meets the gradient of the branch not taken
    return where(greater(scaled, limit), x, logaddexp(scaled, 0.0) * (1.0 / beta))


softplus = _activation(
    "softplus", _softplus, attributes=lambda beta=1.0, threshold=20.0: (float(beta), float(threshold)),
    arguments=(((), {}), ((2.0, 4.0), {})), onnx="Softplus",
)  # fmt: skip


def _logsigmoid(attrs, x):
    """log(sigmoid(x)), without underflow."""
    return negative(logaddexp(negative(floating(x)), 0.0))


logsigmoid = _activation("logsigmoid", _logsigmoid)


def _softsign(attrs, x):
    """x / (1 + |x|)."""
    x = floating(x)
    return x / (1.0 + (abs_(x) if x.dtype.kind == "c" else _size(x)))


softsign = _activation("softsign", _softsign, onnx="Softsign")


def _tanhshrink(attrs, x):
    """x - tanh(x)."""
    x = floating(x)
    return x - tanh(x)


tanhshrink = _activation("tanhshrink", _tanhshrink)


def _glu(axis, x):
    """The first half of `axis` times the sigmoid of the second (Dauphin et al. 2016)."""
    x = floating(x)
    axis = normalize_axis("glu", axis, x.ndim)
    if x.shape[axis] % 2:
        raise ShapeError(f"[glu] expected an even size along axis {axis}, got shape {tuple(x.shape)}")
    half = x.shape[axis] // 2
    sizes = tuple(half if i == axis else d for i, d in enumerate(x.shape))
    steps = (1,) * x.ndim
    first = slice_(x, (0,) * x.ndim, steps, sizes)
    second = slice_(x, tuple(half if i == axis else 0 for i in range(x.ndim)), steps, sizes)
    return first * sigmoid(second)


glu = composite("glu", 1, in_float32(_glu), attributes=lambda axis=-1: axis, names=("x",),
    errors=(((9,), {}, "axis"),),
    reference=_REFERENCES + "glu",
                samples=Samples(((-5, 5),), arguments=(((), {}), ((0,), {})), shapes=(((4, 6),),)))  # fmt: skip


# ---------------------------------------------------------------- softmax
def _axis_attributes(axis=-1, dtype=None):
    return (axis, None if dtype is None else dt.as_dtype(dtype, "softmax"))


def shifted(name: str, axis, x):
    """(x minus its maximum over `axis`, the maximum, the axes as a tuple)."""
    x = floating(x)
    axes = () if x.ndim == 0 else (normalize_axis(name, axis, x.ndim),)
    if x.ndim == 0 or x.shape[axes[0]] == 0:
        return x, 0.0, axes
    top = stop_gradient(max_(x, axes, True))
    return subtract(x, top), top, axes


def _softmax(axis, x):
    """exp(x) / sum(exp(x)) over `axis`."""
    low, _, axes = shifted("softmax", axis, x)
    powers = exp(low)
    return powers / sum_(powers, axes, True)


def _log_softmax(axis, x):
    """x - log(sum(exp(x))) over `axis`."""
    low, _, axes = shifted("log_softmax", axis, x)
    return subtract(low, log(sum_(exp(low), axes, True)))


def _softmin(axis, x):
    """softmax(-x) over `axis`."""
    return _softmax(axis, negative(x))


def _over_axis(name: str, function, onnx=None):
    narrow = in_float32(function)

    def composed(attrs, x):
        axis, dtype = attrs
        return narrow(axis, x if dtype is None else cast(x, dtype))

    return composite(
        name, 1, composed, autocast="float32", attributes=_axis_attributes, names=("x",), reference=_REFERENCES + name, onnx=onnx,
        errors=(((9,), {}, "axis"), (("x",), {}, f"[{name}]")),
        doc=f"{function.__doc__} With a dtype x is converted to it first.",
        samples=Samples(((-5, 5),), arguments=(((), {}), ((0,), {})), shapes=(((3, 5),), ((2, 3, 4),))),
    )  # fmt: skip


softmax = _over_axis("softmax", _softmax, "Softmax")
log_softmax = _over_axis("log_softmax", _log_softmax, "LogSoftmax")
softmin = _over_axis("softmin", _softmin)

__all__ = [
    "celu", "elu", "gelu", "glu", "hardshrink", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu", "log_softmax",
    "logsigmoid", "mish", "prelu", "relu", "relu6", "selu", "sigmoid", "silu", "softmax", "softmin", "softplus",
    "softshrink", "softsign", "tanhshrink", "threshold",
]  # fmt: skip
