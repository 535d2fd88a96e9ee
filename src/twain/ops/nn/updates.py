"""One optimizer step over all parameters as one op, and the clipping of all gradients as one op.

Operands come in one list: scalars (0-d tensors) first, then the tensors parameter by parameter. Settings that are
numbers are operands and not attributes, so that a schedule never leads to another kernel. Scalars are computed in
their own dtype (float64) and rounded once to the parameter's; half-precision parameters are updated in float32.

Moments below 1e-30 become 0: they would decay to denormals, whose square roots and quotients are several times slower.
"""

from __future__ import annotations

import math

from ...base import dtypes as dt
from ...base.errors import ArgumentError
from ..complex_parts import complex
from ..elementwise import abs as abs_
from ..elementwise import cast, equal, greater, imag, less, maximum, minimum, multiply, power, real, sqrt, where
from ..families import composite
from ..reduce import max as max_
from ..reduce import sum as sum_
from ..samples import Samples
from .rules import HALF

_REFERENCES = "twain.testing.nn_references."
_TINY = 1e-30


def _flushed(moment):
    return where(less(abs_(moment), _TINY), 0.0, moment)


def _rows(values: tuple, first: int, width: int) -> list:
    """(dtype, operands) per parameter: `width` each after `first`, half precision as float32."""
    rest = values[first:]
    wide = [cast(v, dt.float32) if v.dtype in HALF else v for v in rest]
    return [(rest[i].dtype, wide[i : i + width]) for i in range(0, len(rest), width)]


def _rounded(values: list, dtype) -> list:
    return [v if v.dtype is dtype else cast(v, dtype) for v in values]


def _by_parts(update, scalars: int, width_of):
    """`update` for complex parameters too: their real and imaginary parts are parameters of their own (as in PyTorch)."""

    def whole(attrs, *values):
        first, width = scalars + 1 + max(attrs[0]), width_of(attrs)
        rows = [values[i : i + width] for i in range(first, len(values), width)]
        if all(row[0].dtype.kind != "c" for row in rows):
            return update(attrs, *values)
        steps, operands = [], []
        for step, row in zip(attrs[0], rows):
            parts = (real, imag) if row[0].dtype.kind == "c" else (None,)
            steps += [step] * len(parts)
            operands += [v if part is None else part(v) for part in parts for v in row]
        results = iter(update((tuple(steps), *attrs[1:]), *values[:first], *operands))
        joined = [next(results) for _ in range(scalars, first)]
        for row in rows:
            new = [next(results) for _ in row[1:]]
            joined += [complex(v, next(results)) for v in new] if row[0].dtype.kind == "c" else new
        return joined

    whole.__doc__ = update.__doc__
    return whole


# ---------------------------------------------------------------- SGD
def _sgd_attributes(steps, momentum=False, dampening=False, weight_decay=False, nesterov=False, maximize=False):
    """steps[i] says which of the step counters parameter i has; the flags say which terms there are at all."""
    return (tuple(steps), bool(momentum), bool(dampening), bool(weight_decay), bool(nesterov), bool(maximize))


def _sgd(attrs, *values):
    """Stochastic gradient descent, with momentum as in PyTorch (Sutskever et al. 2013).

    Operands: lr, momentum, dampening, weight_decay, the step counters, then per parameter: value, gradient and, with
    momentum, its buffer. Results: the new counters, then per parameter the new value and buffer.
    """
    steps, with_momentum, with_dampening, with_decay, nesterov, maximize = attrs
    lr, momentum, dampening, decay = values[:4]
    counters = values[4 : 5 + max(steps)]
    results = [c + 1 for c in counters]
    width = 3 if with_momentum else 2
    for number, (kept, row) in zip(steps, _rows(values, 4 + len(counters), width)):
        p, g = row[:2]
        if maximize:
            g = -g
        if with_decay:
            g = g + cast(decay, p.dtype) * p
        rate = cast(lr, p.dtype)
        if not with_momentum:
            results += _rounded([p - rate * g], kept)
            continue
        factor = cast(momentum, p.dtype)
        buffer = row[2] * factor
        if with_dampening:  # the first gradient enters the buffer whole
            damped = cast(where(equal(counters[number], 0), 1.0, 1.0 - dampening), p.dtype)
            buffer = buffer + damped * g
        else:
            buffer = buffer + g
        buffer = _flushed(buffer)
        results += _rounded([p - rate * (g + factor * buffer if nesterov else buffer), buffer], kept)
    return results


sgd_update = composite(
    "sgd_update", -1, _by_parts(_sgd, 4, lambda attrs: 3 if attrs[1] else 2), attributes=_sgd_attributes,
    reference=_REFERENCES + "sgd_update",
    samples=Samples(
        ((0.001, 0.1), (0.5, 0.9), (0, 0.5), (0, 0.1), (0, 3), (-5, 5), (-5, 5), (-5, 5)),
        arguments=((((0,), True, True, True, True), {}),), shapes=(((), (), (), (), (), (3, 4), (3, 4), (3, 4)),),
        special=False,
    ),
)  # fmt: skip


# ---------------------------------------------------------------- Adam
def _adam_attributes(steps, decoupled=False, weight_decay=False, amsgrad=False, maximize=False):
    """steps[i] says which of the step counters parameter i has; decoupled: AdamW's weight decay."""
    return (tuple(steps), bool(decoupled), bool(weight_decay), bool(amsgrad), bool(maximize))


def _adam(attrs, *values):
    """Adam (Kingma, Ba 2014), its decoupled weight decay (Loshchilov, Hutter 2017), AMSGrad (Reddi et al. 2018).

    Operands: lr, beta1, beta2, eps, weight_decay, the step counters, then per parameter: value, gradient, first moment,
    second moment and, with amsgrad, the largest second moment. Results: the new counters, then per parameter all but
    the gradient.
    """
    steps, decoupled, with_decay, amsgrad, maximize = attrs
    lr, beta1, beta2, eps, decay = values[:5]
    counters = values[5 : 6 + max(steps)]
    results = [c + 1 for c in counters]
    # Per counter: the step size with the first moment's bias undone, and 1 over the root of the second's.
    sizes = [lr / (1.0 - power(beta1, c)) for c in results]
    roots = [1.0 / sqrt(1.0 - power(beta2, c)) for c in results]
    for number, (kept, row) in zip(steps, _rows(values, 5 + len(counters), 5 if amsgrad else 4)):
        p, g, first, second = row[:4]
        dtype = p.dtype
        if maximize:
            g = -g
        if with_decay and decoupled:
            p = p * cast(1.0 - lr * decay, dtype)
        elif with_decay:
            g = g + cast(decay, dtype) * p
        first = _flushed(first + cast(1.0 - beta1, dtype) * (g - first))
        second = _flushed(second * cast(beta2, dtype) + cast(1.0 - beta2, dtype) * g * g)
        largest = maximum(row[4], second) if amsgrad else second
        spread = sqrt(largest) * cast(roots[number], dtype) + cast(eps, dtype)
        new = [p - cast(sizes[number], dtype) * (first / spread), first, second]
        results += _rounded([*new, largest] if amsgrad else new, kept)
    return results


adam_update = composite(
    "adam_update", -1, _by_parts(_adam, 5, lambda attrs: 5 if attrs[3] else 4), attributes=_adam_attributes,
    reference=_REFERENCES + "adam_update",
    samples=Samples(
        ((0.001, 0.1), (0.8, 0.9), (0.9, 0.99), (1e-8, 1e-6), (0, 0.1), (0, 3), (-5, 5), (-5, 5), (-5, 5), (0.1, 5)),
        arguments=((((0,), False, True), {}), (((0,), True, True), {})),
        shapes=(((), (), (), (), (), (), (3, 4), (3, 4), (3, 4), (3, 4)),), special=False,
    ),
)  # fmt: skip


# ---------------------------------------------------------------- clipping
def _norm_attributes(max_norm, norm_type=2.0):
    max_norm, norm_type = float(max_norm), float(norm_type)
    if not max_norm >= 0 or norm_type <= 0:
        raise ArgumentError(f"[clip_grad_norm_] expected max_norm >= 0 and norm_type > 0, got {max_norm}, {norm_type}")
    return (max_norm, norm_type)


def _clip_by_norm(attrs, *gradients):
    """(norm of all gradients taken together, each gradient scaled so that the norm is at most max_norm)."""
    max_norm, kind = attrs
    if kind == math.inf:
        tops = [max_(abs_(g)) for g in gradients if g.size]
        total = tops[0]
        for t in tops[1:]:
            total = maximum(total, t)
    else:
        total = None
        for g in gradients:
            size = abs_(g) if g.dtype.kind == "c" else g
            part = sum_(multiply(size, size)) if kind == 2.0 else sum_(power(abs_(g), kind))
            total = part if total is None else total + part
        total = sqrt(total) if kind == 2.0 else power(total, 1.0 / kind)
    factor = minimum(max_norm / (total + 1e-6), 1.0)
    return [total, *(g * cast(factor, g.dtype) for g in gradients)]


clip_by_norm = composite(
    "clip_by_norm", -1, _clip_by_norm, attributes=_norm_attributes, reference=_REFERENCES + "clip_by_norm",
    samples=Samples(((-5, 5), (-5, 5)), arguments=(((1.0,), {}), ((100.0,), {}), ((1.0, math.inf), {})),
                    shapes=(((3, 4), (5,)),)),
)  # fmt: skip


def _clip_by_value(limit, *gradients):
    """Each element of each gradient (of complex ones each part) into [-limit, limit]; NaN stays."""
    if any(g.dtype.kind == "c" for g in gradients):
        return [complex(*_clip_by_value(limit, real(g), imag(g))) if g.dtype.kind == "c" else _clip_by_value(limit, g)[0]
                for g in gradients]  # fmt: skip
    return [where(greater(g, limit), limit, where(less(g, -limit), -limit, g)) for g in gradients]


clip_by_value = composite(
    "clip_by_value", -1, _clip_by_value, attributes=lambda limit: float(limit), reference=_REFERENCES + "clip_by_value",
    samples=Samples(((-5, 5), (-5, 5)), arguments=(((1.0,), {}),), shapes=(((3, 4), (5,)),)),
)  # fmt: skip
