"""Weight normalisation by its older name and layout: parameters `weight_g` and `weight_v` beside the layer's others."""

from __future__ import annotations

from ... import _core
from ...tensor import no_grad
from ..module import Module
from ..parameters import Parameter
from .computed import compute_before_calls, parameter_again, parameter_of
from .parametrizations import _WeightNorm

Tensor = _core.Tensor


class _Before:
    """Computes the weight before each call."""

    def __init__(self, name: str, dim: int | None):
        self.name = name
        self.norm = _WeightNorm(dim)

    def compute(self, module: Module) -> Tensor:
        return self.norm(getattr(module, self.name + "_g"), getattr(module, self.name + "_v"))

    def __call__(self, module: Module, args: tuple) -> None:
        object.__setattr__(module, self.name, self.compute(module))


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """The weight as length times direction, under PyTorch's older names `weight_g` and `weight_v`.

    For new models `nn.utils.parametrizations.weight_norm` is better: it computes the weight whenever it is read, this one
    before each call of the module.
    """
    weight = parameter_of("weight_norm", module, name)
    before = _Before(name, dim)
    with no_grad():
        g, v = before.norm.right_inverse(weight.detach())
    delattr(module, name)
    module.register_parameter(name + "_g", Parameter(g, weight.requires_grad))
    module.register_parameter(name + "_v", Parameter(v, weight.requires_grad))
    compute_before_calls("weight_norm", module, name, before.compute(module).detach(), before)
    return module


def remove_weight_norm(module: Module, name: str = "weight") -> Module:
    """Make the weight a parameter again, with the value that it has."""
    return parameter_again("weight_norm", module, name, ("_v", "_g"), lambda before: before.compute(module))


__all__ = ["remove_weight_norm", "weight_norm"]
