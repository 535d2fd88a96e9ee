"""Limits on all gradients at once, and what loss scaling does to them: each one op."""

from __future__ import annotations

import math

from ...base.errors import ArgumentError
from ..complex_parts import complex
from ..elementwise import abs as abs_
from ..elementwise import (
    cast,
    greater,
    imag,
    isfinite,
    less,
    logical_not,
    logical_or,
    maximum,
    minimum,
    multiply,
    power,
    real,
    sqrt,
    where,
)
from ..families import composite
from ..reduce import any as any_
from ..reduce import max as max_
from ..reduce import min as min_
from ..reduce import sum as sum_
from ..samples import Samples

_REFERENCES = "twain.testing.nn_references."


def _norm_type(norm_type=2.0):
    norm_type = float(norm_type)
    if norm_type == 0 or norm_type != norm_type:
        raise ArgumentError(f"[total_norm] expected a norm_type other than 0, or math.inf, got {norm_type}")
    return norm_type


def _norm_attributes(max_norm, norm_type=2.0):
    max_norm, norm_type = float(max_norm), _norm_type(norm_type)
    if not max_norm >= 0:
        raise ArgumentError(f"[clip_grad_norm_] expected max_norm >= 0, got {max_norm}")
    return (max_norm, norm_type)


def _total_norm(kind, *tensors):
    """The p-norm of all elements of all tensors taken together; inf and -inf: the largest and smallest size."""
    if abs(kind) == math.inf:
        ends = [(max_ if kind > 0 else min_)(abs_(g)) for g in tensors if g.size]
        total = ends[0]
        for end in ends[1:]:
            total = (maximum if kind > 0 else minimum)(total, end)
        return total
    total = None
    for g in tensors:
        size = abs_(g) if g.dtype.kind == "c" else g
        part = sum_(multiply(size, size)) if kind == 2.0 else sum_(power(abs_(g), kind))
        total = part if total is None else total + part
    return sqrt(total) if kind == 2.0 else power(total, 1.0 / kind)


total_norm = composite(
    "total_norm", -1, _total_norm, attributes=_norm_type, reference=_REFERENCES + "total_norm",
    samples=Samples(((-5, 5), (-5, 5)), arguments=(((2.0,), {}), ((math.inf,), {}), ((-math.inf,), {})),
                    shapes=(((3, 4), (5,)),)),
)  # fmt: skip


def _clip_by_norm(attrs, *gradients):
    """(norm of all gradients taken together, each gradient scaled so that the norm is at most max_norm)."""
    max_norm, kind = attrs
    total = _total_norm(kind, *gradients)
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


def _unscaled(attrs, factor, *gradients):
    """(whether any gradient is not finite, each gradient times the factor): what loss scaling asks for."""
    found = None
    for g in gradients:
        bad = any_(logical_not(isfinite(g)))
        found = bad if found is None else logical_or(found, bad)
    return [found, *(g * cast(factor, g.dtype) for g in gradients)]


unscaled = composite(
    "unscaled", -1, _unscaled, attributes=lambda: (), reference=_REFERENCES + "unscaled",
    samples=Samples(((0.1, 1), (-5, 5), (-5, 5)), shapes=(((), (3, 4), (5,)),), special=False),
)  # fmt: skip
