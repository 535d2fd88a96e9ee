"""`nn.Parameter` and `nn.Buffer`: tensors that say themselves what they are to the module they are assigned to."""

from __future__ import annotations

import weakref
from typing import Any

from .. import _core
from ..base.errors import ArgumentError
from ..tensor import asarray, zeros

Tensor = _core.Tensor

# Frozen parameters: a tensor that requires a gradient needs no entry. By id, as tensors compare element by element.
_declared: dict[int, weakref.ref] = {}


def is_declared(tensor: Tensor) -> bool:
    """Whether the tensor was made by Parameter(..., requires_grad=False)."""
    return bool(_declared) and id(tensor) in _declared


def Parameter(data: Any = None, requires_grad: bool = True) -> Tensor:
    """A leaf tensor with the values of `data`, which becomes a parameter of the module that it is assigned to.

    In twain a parameter is nothing but a leaf that requires a gradient: `twain.ones((3,)).requires_grad_()` does the same.
    With requires_grad=False it is a parameter from the start and frozen.
    """
    if data is None:
        data = zeros((0,))
    value = (data if isinstance(data, Tensor) else asarray(data)).detach()
    if value.dtype.kind not in "fc" and requires_grad:
        raise ArgumentError(f"[Parameter] expected floating or complex data, got dtype {value.dtype}")
    if requires_grad:
        return value.requires_grad_()
    number = id(value)
    _declared[number] = weakref.ref(value, lambda _: _declared.pop(number, None))
    return value


__all__ = ["Parameter", "is_declared"]
