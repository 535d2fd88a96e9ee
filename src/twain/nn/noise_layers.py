"""Dropout of elements and channels, dropout for selu, randomised ReLU: as layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import _core
from ..base.errors import ValueRangeError
from . import noise
from .module import Module

Tensor = _core.Tensor


class _Dropout(Module):
    function: Any
    stepwise = True

    def __init__(self, p: float = 0.5, inplace: bool = False):
        if not 0.0 <= p <= 1.0:
            raise ValueRangeError(f"[{type(self).__name__}] expected p in [0, 1], got {p}")
        self.p = p

    def forward(self, input: Tensor) -> Tensor:
        return type(self).function(input, self.p, self.training)

    def extra_repr(self) -> str:
        return f"p={self.p}"


def _layer(name: str, function: Callable) -> type[_Dropout]:
    made = type(name, (_Dropout,), {"__doc__": function.__doc__, "__module__": __name__})
    made.function = staticmethod(function)
    return made


Dropout = _layer("Dropout", noise.dropout)
Dropout1d = _layer("Dropout1d", noise.dropout1d)
Dropout2d = _layer("Dropout2d", noise.dropout2d)
Dropout3d = _layer("Dropout3d", noise.dropout3d)
AlphaDropout = _layer("AlphaDropout", noise.alpha_dropout)
FeatureAlphaDropout = _layer("FeatureAlphaDropout", noise.feature_alpha_dropout)


class RReLU(Module):
    """x where it is at least 0, elsewhere times a slope: in training drawn from [lower, upper], else their mean."""

    def __init__(self, lower: float = 1 / 8, upper: float = 1 / 3, inplace: bool = False):
        if not lower <= upper:
            raise ValueRangeError(f"[RReLU] expected lower <= upper, got {lower} and {upper}")
        self.lower = lower
        self.upper = upper

    def forward(self, input: Tensor) -> Tensor:
        return noise.rrelu(input, self.lower, self.upper, self.training)

    def extra_repr(self) -> str:
        return f"lower={self.lower}, upper={self.upper}"


__all__ = ["AlphaDropout", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "FeatureAlphaDropout", "RReLU"]
