"""Weight normalisation by its older name and layout: parameters `weight_g` and `weight_v` beside the layer's others."""

from __future__ import annotations

from typing import Any

from ... import _core
from ...base.errors import ArgumentError
from ...tensor import no_grad
from ..module import Module
from ..parameters import Parameter
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
    weight = module.__dict__.get(name)
    if not isinstance(weight, Tensor) or name not in module._parameter_names:
        raise ArgumentError(f"[weight_norm] expected a parameter {name!r} of {type(module).__name__}, got none")
    before = _Before(name, dim)
    with no_grad():
        g, v = before.norm.right_inverse(weight.detach())
    delattr(module, name)
    module.register_parameter(name + "_g", Parameter(g, weight.requires_grad))
    module.register_parameter(name + "_v", Parameter(v, weight.requires_grad))
    object.__setattr__(module, name, before.compute(module).detach())
    handle = module.register_forward_pre_hook(before)
    module.__dict__.setdefault("_weight_norms", {})[name] = (before, handle)
    return module


def remove_weight_norm(module: Module, name: str = "weight") -> Module:
    """Make the weight a parameter again, with the value that it has."""
    known: dict[str, Any] = getattr(module, "__dict__", {}).get("_weight_norms", {})
    if name not in known:
        raise ArgumentError(
            f"[remove_weight_norm] expected weight_norm on {name!r} of {type(module).__name__}, got none"
        )
    before, handle = known.pop(name)
    handle.remove()
    with no_grad():
        value = before.compute(module).detach()
    trains = getattr(module, name + "_v").requires_grad
    delattr(module, name + "_g")
    delattr(module, name + "_v")
    delattr(module, name)
    module.register_parameter(name, Parameter(value, trains))
    return module


__all__ = ["remove_weight_norm", "weight_norm"]
