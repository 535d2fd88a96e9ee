"""Linear and bilinear maps. Names, arguments, defaults, parameter names, shapes and initial values are PyTorch's."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from .. import _core
from ..base.errors import ArgumentError
from . import functional as F
from . import init
from .lazy import Inferring, check_sizes, lazy_version, parameter
from .module import Module

Tensor = _core.Tensor


class Linear(Inferring):
    """input @ weight.T + bias.

    Args:
        in_features, out_features: sizes of the last axis before and after. Without in_features, nn.Linear(out_features=10),
            the first input tells it.
        bias: whether there is one.

    Shapes: input (..., in_features) -> (..., out_features); weight (out_features, in_features), bias (out_features,).
    """

    inferred = "in_features"
    stepwise = True

    def __init__(
        self,
        in_features: int | None = None,
        out_features: int | None = None,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ):
        name = type(self).__name__
        if out_features is None:
            raise ArgumentError(
                f"[{name}] expected out_features, got {name}({in_features}); a size to be found is left out by name: "
                f"nn.Linear(out_features={in_features})"
            )
        check_sizes(name, out_features=out_features)
        self.in_features: Any = in_features
        self.out_features = out_features
        self._has_bias = bool(bias)
        self._create(dtype, device)

    def _parameter_shapes(self) -> dict[str, tuple | None]:
        return {
            "weight": (self.out_features, self.in_features),
            "bias": (self.out_features,) if self._has_bias else None,
        }

    def _size_of(self, input: Tensor) -> int:
        return int(input.shape[-1])

    def _size_in(self, shapes: Mapping[str, tuple]) -> int | None:
        weight = shapes.get("weight", ())
        return weight[1] if len(weight) == 2 else None

    def reset_parameters(self) -> None:
        """New initial values: uniform in +-1 / sqrt(in_features)."""
        bound = 1.0 / math.sqrt(self.in_features)
        init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"{self.in_features}, {self.out_features}" + ("" if self._has_bias else ", bias=False")


LazyLinear = lazy_version(Linear)


class Bilinear(Module):
    """input1 @ weight[o] @ input2 + bias[o]: (..., in1_features) and (..., in2_features) give (..., out_features)."""

    def __init__(
        self,
        in1_features: int,
        in2_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ):
        check_sizes("Bilinear", in1_features=in1_features, in2_features=in2_features, out_features=out_features)
        self.in1_features = in1_features
        self.in2_features = in2_features
        self.out_features = out_features
        self.weight = parameter((out_features, in1_features, in2_features), dtype, device)
        self.register_parameter("bias", parameter((out_features,), dtype, device) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """New initial values: uniform in +-1 / sqrt(in1_features)."""
        bound = 1.0 / math.sqrt(self.in1_features)
        init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input1: Tensor, input2: Tensor) -> Tensor:
        return F.bilinear(input1, input2, self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"{self.in1_features}, {self.in2_features}, {self.out_features}"


__all__ = ["Bilinear", "LazyLinear", "Linear"]
