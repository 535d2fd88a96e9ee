"""A weight that is computed from other parameters before each call of its module: what the older normalisations share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ... import _core
from ...base.errors import ArgumentError
from ...tensor import no_grad
from ..module import Module
from ..parameters import Parameter

Tensor = _core.Tensor


def parameter_of(norm: str, module: Module, name: str) -> Tensor:
    """The module's own parameter `name`."""
    weight = module.__dict__.get(name)
    if not isinstance(weight, Tensor) or name not in module._parameter_names:
        raise ArgumentError(f"[{norm}] expected a parameter {name!r} of {type(module).__name__}, got none")
    return weight


def compute_before_calls(norm: str, module: Module, name: str, value: Tensor, before: Callable) -> None:
    """`value` stands under `name`, until `before`, called ahead of each call of the module, puts another there."""
    object.__setattr__(module, name, value)
    handle = module.register_forward_pre_hook(before)
    module.__dict__.setdefault(f"_{norm}s", {})[name] = (before, handle)


def parameter_again(
    norm: str, module: Module, name: str, parts: tuple[str, ...], compute: Callable[[Any], Tensor]
) -> Module:
    """Undo it: compute(before) becomes the parameter, that trains if the first of its parts did."""
    known: dict[str, Any] = getattr(module, "__dict__", {}).get(f"_{norm}s", {})
    if name not in known:
        raise ArgumentError(f"[remove_{norm}] expected {norm} on {name!r} of {type(module).__name__}, got none")
    before, handle = known.pop(name)
    handle.remove()
    with no_grad():
        value = compute(before).detach()
    trains = getattr(module, name + parts[0]).requires_grad
    for part in (*parts, ""):
        delattr(module, name + part)
    module.register_parameter(name, Parameter(value, trains))
    return module
