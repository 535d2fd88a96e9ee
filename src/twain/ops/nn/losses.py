"""Losses: functions of a prediction and a target that are small when both agree. Formulas and defaults are PyTorch's.

`reduction` is "mean", "sum" or "none". Prediction and target must have one shape: an accidental broadcast
((N, 1) against (N,)) is an error here.
"""

from __future__ import annotations

import math

from ...base import dtypes as dt
from ...base.errors import ArgumentError, DTypeError, ShapeError, ValueRangeError
from ...base.shapes import broadcast_shapes, size_of
from ..elementwise import (
    abs as abs_,
)
from ..elementwise import (
    cast,
    equal,
    exp,
    greater,
    greater_equal,
    less,
    log,
    logaddexp,
    logical_and,
    maximum,
    multiply,
    not_equal,
    relu,
    sqrt,
    subtract,
    where,
)
from ..families import composite, fit_gradient
from ..reduce import mean, over_count
from ..reduce import sum as sum_
from ..samples import Samples
from ..shape import broadcast_to, reshape
from .activations import log_softmax, shifted
from .one_hot import class_mask
from .rules import floating, in_float32

_REFERENCES = "twain.testing.nn_references."
_REDUCTIONS = ("mean", "sum", "none")
_PAIR = ("input", "target")


def _check_reduction(name: str, reduction: object, allowed: tuple = _REDUCTIONS) -> str:
    if reduction not in allowed:
        raise ArgumentError(f"[{name}] expected reduction to be one of {', '.join(allowed)}, got {reduction!r}")
    return reduction  # type: ignore[return-value]


def _reduced(loss, reduction: str):
    if reduction == "mean":
        return mean(loss)
    return sum_(loss) if reduction == "sum" else loss


def _pair(name: str, x, target):
    """Both in one floating dtype and of one shape."""
    if tuple(x.shape) != tuple(target.shape):
        raise ShapeError(
            f"[{name}] expected input and target of one shape, got {tuple(x.shape)} and {tuple(target.shape)}"
        )
    x = floating(x)
    if target.dtype.kind in "biu":
        target = cast(target, x.dtype)
    return x, target


def _regression(name: str, function, *, setting: tuple | None = None, target=(-5, 5), arguments=None):
    """A loss name(input, target, reduction="mean"[, setting]): function(difference or pair, setting) per element."""

    def attributes(reduction="mean", **settings):
        if setting is None:
            if settings:
                raise TypeError(f"unexpected keyword {next(iter(settings))!r}")
            return (_check_reduction(name, reduction), None)
        unknown = [key for key in settings if key != setting[0]]
        if unknown:
            raise TypeError(f"unexpected keyword {unknown[0]!r}")
        return (_check_reduction(name, reduction), setting[2](settings.get(setting[0], setting[1])))

    def composed(attrs, x, y):
        x, y = _pair(name, x, y)
        return _reduced(function(attrs[1], x, y), attrs[0])

    composed.__doc__ = function.__doc__
    tries = arguments or (((), {}), ((), {"reduction": "sum"}), ((), {"reduction": "none"}))
    return composite(
        name, 2, in_float32(composed), autocast="float32", attributes=attributes, names=_PAIR, reference=_REFERENCES + name,
        errors=(((), {"reduction": "avg"}, "reduction"), ((), {}, "(4, 5)", ((None, (2, 3)), (None, (4, 5))))),
        samples=Samples(((-5, 5), target), arguments=tries, shapes=(((3, 4), (3, 4)), ((5,), (5,)))),
    )  # fmt: skip


# ---------------------------------------------------------------- distances
def _squared(_, x, y):
    """(input - target) ** 2."""
    gap = subtract(x, y)
    return gap * gap


mse_loss = _regression("mse_loss", _squared)


def _absolute(_, x, y):
    """|input - target|."""
    return abs_(subtract(x, y))


l1_loss = _regression("l1_loss", _absolute)


def _positive(name: str, setting: str, allow_zero: bool = False):
    def check(value):
        value = float(value)
        if not (value > 0 or (allow_zero and value == 0)):
            raise ValueRangeError(f"[{name}] expected {setting} > 0, got {value}")
        return value

    return check


def _smooth_absolute(beta, x, y):
    """0.5 * gap ** 2 / beta where |gap| < beta, |gap| - 0.5 * beta elsewhere (Girshick 2015)."""
    gap = subtract(x, y)
    size = abs_(gap)
    if beta == 0:
        return size
    return where(less(size, beta), gap * gap * (0.5 / beta), size - 0.5 * beta)


smooth_l1_loss = _regression(
    "smooth_l1_loss", _smooth_absolute, setting=("beta", 1.0, _positive("smooth_l1_loss", "beta", True)),
    arguments=(((), {}), ((), {"beta": 0.5}), ((), {"reduction": "none"})),
)  # fmt: skip


def _huber(delta, x, y):
    """0.5 * gap ** 2 where |gap| < delta, delta * (|gap| - 0.5 * delta) elsewhere (Huber 1964)."""
    gap = subtract(x, y)
    size = abs_(gap)
    return where(less(size, delta), gap * gap * 0.5, delta * (size - 0.5 * delta))


huber_loss = _regression(
    "huber_loss", _huber, setting=("delta", 1.0, _positive("huber_loss", "delta")),
    arguments=(((), {}), ((), {"delta": 0.5})),
)  # fmt: skip


def _soft_margin(_, x, y):
    """log(1 + exp(-target * input)), targets 1 or -1."""
    return logaddexp(-(y * x), 0.0)


soft_margin_loss = _regression("soft_margin_loss", _soft_margin)


def _hinge_embedding(margin, x, y):
    """input where target is 1, max(0, margin - input) where it is -1, and both together elsewhere, as in PyTorch."""
    return where(equal(y, -1), 0, x) + where(equal(y, 1), 0, relu(margin - x))


hinge_embedding_loss = _regression("hinge_embedding_loss", _hinge_embedding, setting=("margin", 1.0, float))


def _hinge(_, x, y):
    """max(0, 1 - target * input), targets 1 or -1 (Cortes, Vapnik 1995)."""
    return relu(1.0 - y * x)


hinge_loss = _regression("hinge_loss", _hinge)


def _poisson_attributes(log_input=True, full=False, eps=1e-8, reduction="mean"):
    return (bool(log_input), bool(full), float(eps), _check_reduction("poisson_nll_loss", reduction))


def _poisson_nll(attrs, x, y):
    """Negative log-likelihood of counts; `full` adds Stirling's approximation of log(target!)."""
    log_input, full, eps, reduction = attrs
    x, y = _pair("poisson_nll_loss", x, y)
    loss = exp(x) - y * x if log_input else x - y * log(x + eps)
    if full:
        safe = where(greater(y, 1), y, 1.0)
        loss = loss + where(greater(y, 1), y * log(safe) - y + 0.5 * log(safe * (2 * math.pi)), 0.0)
    return _reduced(loss, reduction)


poisson_nll_loss = composite(
    "poisson_nll_loss", 2, in_float32(_poisson_nll), attributes=_poisson_attributes, names=_PAIR,
    errors=(((), {"reduction": "avg"}, "reduction"),),
    reference=_REFERENCES + "poisson_nll_loss",
    samples=Samples(((0.1, 2), (0, 5)), arguments=(((), {}), ((), {"log_input": False, "full": True})),
                    shapes=(((3, 4), (3, 4)),)),
)  # fmt: skip


def _gaussian_attributes(full=False, eps=1e-6, reduction="mean"):
    return (bool(full), float(eps), _check_reduction("gaussian_nll_loss", reduction))


def _gaussian_nll(attrs, x, y, var):
    """0.5 * (log(var) + (input - target) ** 2 / var), var at least eps (Nix, Weigend 1994)."""
    full, eps, reduction = attrs
    x, y = _pair("gaussian_nll_loss", x, y)
    if var.ndim and var.shape != x.shape:
        if var.shape == x.shape[:-1]:  # one variance for each row
            var = reshape(var, (*var.shape, 1))
        elif var.ndim != x.ndim or [d for d, wide in zip(var.shape, x.shape) if d != wide] != [1]:
            raise ShapeError(
                "[gaussian_nll_loss] expected var of input's shape, without its last axis, or with one axis of size 1, got "
                f"shapes {tuple(var.shape)} and {tuple(x.shape)}"
            )
    gap = subtract(x, y)
    var = where(less(var, eps), eps, var)
    loss = 0.5 * (log(var) + gap * gap / var)
    return _reduced(loss + 0.5 * math.log(2 * math.pi) if full else loss, reduction)


gaussian_nll_loss = composite(
    "gaussian_nll_loss", 3, in_float32(_gaussian_nll), attributes=_gaussian_attributes, names=("input", "target", "var"),
    errors=(((), {"reduction": "avg"}, "reduction"),),
    reference=_REFERENCES + "gaussian_nll_loss",
    samples=Samples(((-5, 5), (-5, 5), (0.1, 3)),
                    shapes=(((3, 4), (3, 4), (3, 4)), ((3, 3), (3, 3), (3,)), ((3, 4), (3, 4), (1, 4)))),
)  # fmt: skip


# ---------------------------------------------------------------- probabilities
def _kl_attributes(reduction="mean", log_target=False):
    return (_check_reduction("kl_div", reduction, (*_REDUCTIONS, "batchmean")), bool(log_target))


def _kl_div(attrs, x, y):
    """target * (log(target) - input): the divergence of exp(input) from target; input holds log-probabilities."""
    reduction, log_target = attrs
    x, y = _pair("kl_div", x, y)
    if log_target:
        loss = exp(y) * (y - x)
    else:
        none = equal(y, 0)
        safe = where(none, 1.0, y)  # a negative target gives NaN
        loss = where(none, 0.0, safe * (log(safe) - x))
    if reduction == "batchmean":
        return sum_(loss) * (1.0 / x.shape[0] if x.ndim and x.shape[0] else 1.0)
    return _reduced(loss, reduction)


kl_div = composite(
    "kl_div", 2, in_float32(_kl_div),
    autocast="float32", attributes=_kl_attributes, names=_PAIR, errors=(((), {"reduction": "avg"}, "reduction"),),
    reference=_REFERENCES + "kl_div",
    samples=Samples(((-5, 0), (0.05, 1)), arguments=(((), {}), ((), {"reduction": "batchmean"}),
                    ((), {"log_target": True})), shapes=(((3, 4), (3, 4)),)),
)  # fmt: skip

_LOWEST = -100.0  # PyTorch's lower bound of a logarithm in binary_cross_entropy


def _bounded_log(x):
    return maximum(log(x), _LOWEST)


def _reduction_attribute(name: str):
    return lambda reduction="mean": _check_reduction(name, reduction)


def _bernoulli(x, y):
    """-(y * log(x) + (1 - y) * log(1 - x)) per element, logarithms at least -100."""
    return -(y * _bounded_log(x) + (1.0 - y) * _bounded_log(1.0 - x))


def _binary_cross_entropy(reduction, x, y, weight):
    """-(target * log(input) + (1 - target) * log(1 - input)); input holds probabilities, weight broadcasts."""
    x, y = _pair("binary_cross_entropy", x, y)
    loss = _bernoulli(x, y)
    return _reduced(loss if weight is None else loss * weight, reduction)


def _binary_cross_entropy_vjp(reduction, gradients, inputs, outputs, needs):
    """Finite where input is 0 or 1, as PyTorch's."""
    x, y, weight = inputs
    g = gradients[0]
    if reduction == "mean":
        g = g * (1.0 / x.size if x.size else 0.0)
    share = g if weight is None else g * weight
    slope = (x - y) / maximum((1.0 - x) * x, 1e-12)
    results = [share * slope if needs[0] else None, None, None]
    if needs[1]:
        results[1] = share * (_bounded_log(1.0 - x) - _bounded_log(x))
    if weight is not None and needs[2]:
        results[2] = fit_gradient(g * _bernoulli(x, y), weight.spec)
    return results


binary_cross_entropy = composite(
    "binary_cross_entropy", 3, in_float32(_binary_cross_entropy),
    autocast="float32", attributes=_reduction_attribute("binary_cross_entropy"),
    names=("input", "target", "weight"), vjp=_binary_cross_entropy_vjp,
    errors=(((), {"reduction": "avg"}, "reduction"),),
    reference=_REFERENCES + "binary_cross_entropy",
    samples=Samples(((0.05, 0.95), (0, 1), (0, 2)), shapes=(((3, 4), (3, 4), (4,)),)),
)  # fmt: skip


def _binary_cross_entropy_with_logits(reduction, x, y, weight, pos_weight):
    """binary_cross_entropy of sigmoid(input), without overflow; pos_weight multiplies the positive term."""
    x, y = _pair("binary_cross_entropy_with_logits", x, y)
    if pos_weight is None:
        loss = logaddexp(x, 0.0) - x * y
    else:
        loss = (1.0 - y) * x + (1.0 + (pos_weight - 1.0) * y) * logaddexp(-x, 0.0)
    return _reduced(loss if weight is None else loss * weight, reduction)


binary_cross_entropy_with_logits = composite(
    "binary_cross_entropy_with_logits", 4, in_float32(_binary_cross_entropy_with_logits),
    autocast="float32", attributes=_reduction_attribute("binary_cross_entropy_with_logits"),
    names=("input", "target", "weight", "pos_weight"), errors=(((), {"reduction": "avg"}, "reduction"),),
    reference=_REFERENCES + "binary_cross_entropy_with_logits",
    samples=Samples(((-5, 5), (0, 1), (0, 2), (0.5, 2)), shapes=(((3, 4), (3, 4), (4,), (4,)),)),
)  # fmt: skip


# ---------------------------------------------------------------- classes
def _picked(mask, x, axis: int):
    """x at the class that `mask` marks, along `axis`."""
    return sum_(where(mask, x, 0.0), axis)


def _class_axis(name: str, x, target) -> int:
    """The axis of the classes; checks the shapes of a loss on class indices."""
    if x.ndim == 0:
        raise ShapeError(f"[{name}] expected input of shape (C,), (N, C) or (N, C, ...), got a 0-d input")
    axis = 0 if x.ndim == 1 else 1
    expected = tuple(d for i, d in enumerate(x.shape) if i != axis)
    if tuple(target.shape) != expected:
        raise ShapeError(
            f"[{name}] expected class indices of shape {expected} for input {tuple(x.shape)} (classes on axis {axis}), "
            f"got {tuple(target.shape)}"
        )
    return axis


def _indices(name: str, target):
    if target.dtype.kind not in "iu":
        raise DTypeError(f"[{name}] expected integer class indices, got {target.dtype}")
    return target if target.dtype is dt.int64 else cast(target, dt.int64)


def _check_weight(name: str, weight, classes: int) -> None:
    if weight is not None and tuple(weight.shape) != (classes,):
        raise ShapeError(f"[{name}] expected weight of shape ({classes},), one per class, got {tuple(weight.shape)}")


def _along(weight, axis: int, rank: int):
    return reshape(weight, tuple(-1 if i == axis else 1 for i in range(rank)))


def _masked(loss, target, classes: int, ignore_index: int):
    """(loss with 0 where ignored and NaN where the index is no class, which are counted)."""
    counted = not_equal(target, ignore_index)
    known = logical_and(greater_equal(target, 0), less(target, classes))
    return where(counted, where(known, loss, float("nan")), 0.0), counted


def _nll(name: str, log_probabilities, target, weight, ignore_index: int, reduction: str, smoothing: float = 0.0,
         per_sample=None):  # fmt: skip
    """The common part of nll_loss and cross_entropy on class indices."""
    x = log_probabilities
    axis = _class_axis(name, x, target)
    target = _indices(name, target)
    classes = x.shape[axis]
    _check_weight(name, weight, classes)
    mask = class_mask(target, classes, axis) if weight is not None or per_sample is None else None
    loss = -_picked(mask, x, axis) if per_sample is None else per_sample
    share = None
    if weight is not None:
        share = _picked(mask, _along(weight, axis, x.ndim), axis)
        loss = loss * share
    if smoothing:
        every = x if weight is None else x * _along(weight, axis, x.ndim)
        loss = loss * (1.0 - smoothing) - sum_(every, axis) * (smoothing / classes)
    loss, counted = _masked(loss, target, classes, ignore_index)
    if reduction == "none":
        return loss
    total = sum_(loss)
    if reduction == "sum":
        return total
    parts = cast(counted, x.dtype) if share is None else where(counted, share, 0.0)
    return total / sum_(parts)


def _nll_attributes(ignore_index=-100, reduction="mean"):
    return (int(ignore_index), _check_reduction("nll_loss", reduction))


def _nll_loss(attrs, x, target, weight):
    """-input[target]; input holds log-probabilities, (N, C) or (N, C, ...). Averages by weight."""
    return _nll("nll_loss", x, target, weight, *attrs)


nll_loss = composite(
    "nll_loss", 3, in_float32(_nll_loss), autocast="float32", attributes=_nll_attributes, names=("input", "target", "weight"),
    errors=(((), {"reduction": "avg"}, "reduction"),),
    reference=_REFERENCES + "nll_loss",
    samples=Samples(((-5, 0), "class 4", (0.5, 2)), arguments=(((), {}), ((), {"ignore_index": 2}),
                    ((), {"reduction": "none"})), shapes=(((3, 4), (3,), (4,)),)),
)  # fmt: skip


def _cross_entropy_attributes(ignore_index=-100, reduction="mean", label_smoothing=0.0):
    if not 0.0 <= label_smoothing <= 1.0:
        raise ValueRangeError(f"[cross_entropy] expected label_smoothing in [0, 1], got {label_smoothing}")
    return (int(ignore_index), _check_reduction("cross_entropy", reduction), float(label_smoothing))


def _cross_entropy(attrs, x, target, weight):
    """Cross-entropy of softmax(input) and target: class indices, or probabilities of input's shape.

    input: (N, C), (N, C, d1, ...) or (C,). A class index outside [0, C) other than ignore_index gives NaN.
    """
    ignore_index, reduction, smoothing = attrs
    x = floating(x)
    if target.dtype.kind == "f":
        return _soft_cross_entropy(x, target, weight, reduction, smoothing)
    axis = _class_axis("cross_entropy", x, target)
    target = _indices("cross_entropy", target)
    if smoothing:
        return _nll("cross_entropy", log_softmax(x, axis), target, weight, ignore_index, reduction, smoothing)
    low, _, axes = shifted("cross_entropy", axis, x)
    losses = log(sum_(exp(low), axes)) - _picked(class_mask(target, x.shape[axis], axis), low, axis)
    return _nll("cross_entropy", x, target, weight, ignore_index, reduction, per_sample=losses)


def _soft_cross_entropy(x, target, weight, reduction: str, smoothing: float):
    if tuple(x.shape) != tuple(target.shape) or x.ndim == 0:
        raise ShapeError(
            f"[cross_entropy] expected class probabilities of input's shape {tuple(x.shape)}, got "
            f"{tuple(target.shape)}; class indices are integers"
        )
    axis = 0 if x.ndim == 1 else 1
    classes = x.shape[axis]
    _check_weight("cross_entropy", weight, classes)
    if smoothing:
        target = target * (1.0 - smoothing) + smoothing / classes
    terms = multiply(log_softmax(x, axis), target)
    if weight is not None:
        terms = terms * _along(weight, axis, x.ndim)
    loss = -sum_(terms, axis)
    if reduction == "none":
        return loss
    return sum_(loss) if reduction == "sum" else over_count(sum_(loss), size_of(tuple(loss.shape)))


cross_entropy = composite(
    "cross_entropy", 3, in_float32(_cross_entropy),
    autocast="float32", attributes=_cross_entropy_attributes, names=("input", "target", "weight"),
    errors=(((), {"reduction": "avg"}, "reduction"),),
    reference=_REFERENCES + "cross_entropy",
    samples=Samples(((-5, 5), "class 4", (0.5, 2)), arguments=(((), {}), ((), {"label_smoothing": 0.1}),
                    ((), {"ignore_index": 1, "reduction": "sum"})), shapes=(((3, 4), (3,), (4,)),)),
)  # fmt: skip


# ---------------------------------------------------------------- similarity
def _cosine_attributes(axis=1, eps=1e-8):
    return (axis, float(eps))


def _cosine_similarity(attrs, a, b):
    """sum(a * b) / (max(|a|, eps) * max(|b|, eps)) over `axis`."""
    axis, eps = attrs
    shape = broadcast_shapes("cosine_similarity", tuple(a.shape), tuple(b.shape))
    a, b = (v if tuple(v.shape) == shape else broadcast_to(v, shape) for v in (floating(a), floating(b)))

    def length(v):
        return sqrt(maximum(sum_(v * v, axis), eps * eps))

    return sum_(a * b, axis) / (length(a) * length(b))


cosine_similarity = composite(
    "cosine_similarity", 2, in_float32(_cosine_similarity), autocast="float32", attributes=_cosine_attributes, names=("x1", "x2"),
    errors=(((), {}, "(4, 5)", ((None, (2, 3)), (None, (4, 5)))),),
    reference=_REFERENCES + "cosine_similarity", samples=Samples(((-5, 5), (-5, 5)), shapes=(((3, 4), (3, 4)),)),
)  # fmt: skip

__all__ = [
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "cosine_similarity", "cross_entropy",
    "gaussian_nll_loss", "hinge_embedding_loss", "hinge_loss", "huber_loss", "kl_div", "l1_loss", "mse_loss",
    "nll_loss", "poisson_nll_loss", "smooth_l1_loss", "soft_margin_loss",
]  # fmt: skip
