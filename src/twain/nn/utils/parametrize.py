"""Parameters that are functions of other parameters: what a layer reads under a parameter's name is computed at each read.

`register_parametrization(layer, "weight", f)` moves the tensor to `layer.parametrizations.weight.original`, which is what
optimizers and states see, and makes `layer.weight` f(original). Names in states are PyTorch's.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ... import _core
from ...base.errors import ArgumentError, ShapeError
from ...tensor import no_grad
from ..containers import ModuleDict, ModuleList
from ..module import Module
from ..parameters import Parameter

Tensor = _core.Tensor


class _Cache:
    depth = 0
    values: dict[tuple[int, str], Any]


_cache = _Cache()
_cache.values = {}


@contextmanager
def cached() -> Iterator[None]:
    """In its block each parametrized tensor is computed once, however often it is read."""
    _cache.depth += 1
    try:
        yield
    finally:
        _cache.depth -= 1
        if not _cache.depth:
            _cache.values.clear()


class ParametrizationList(ModuleList):
    """The functions of one tensor, applied one after another to `original` (or to `original0`, `original1`, ...)."""

    def __init__(self, modules: list[Module], original: Tensor, unsafe: bool = False):
        super().__init__(modules)
        self.unsafe = unsafe
        self.shape = tuple(original.shape)
        self.dtype = original.dtype
        values = self._inverted(original)
        self.is_tensor = isinstance(values, Tensor)
        if self.is_tensor:
            if tuple(values.shape) == self.shape and values.dtype is original.dtype:
                with no_grad():  # the same object, so that an optimizer that holds it goes on
                    if values is not original:
                        original.assign(values.detach())
            else:
                original = Parameter(values, original.requires_grad)
            if original.requires_grad:
                self.register_parameter("original", original)
            else:
                self._keep("original", original)
            self.count = 1
        else:
            self.count = len(values)
            for i, value in enumerate(values):
                self._keep(f"original{i}", Parameter(value, original.requires_grad))
        if not unsafe:
            self._check(original)

    def _keep(self, name: str, value: Tensor) -> None:
        if value.dtype.kind in "fc":
            self.register_parameter(name, value)
        else:
            self.register_buffer(name, value)

    def _inverted(self, value: Any) -> Any:
        with no_grad():
            for module in reversed(list(self)):
                inverse = getattr(module, "right_inverse", None)
                if inverse is not None:
                    try:
                        value = inverse(value)
                    except NotImplementedError:
                        pass
        return value

    def _originals(self) -> list[Any]:
        return [self.original] if self.is_tensor else [getattr(self, f"original{i}") for i in range(self.count)]

    def _check(self, original: Tensor) -> None:
        with no_grad():
            value = self()
        if not isinstance(value, Tensor) or tuple(value.shape) != self.shape or value.dtype is not self.dtype:
            got = f"{value.dtype}{list(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
            raise ShapeError(
                f"[register_parametrization] expected a parametrization that gives {self.dtype}{list(self.shape)}, as the "
                f"parameter is, got {got}; unsafe=True allows it"
            )

    def right_inverse(self, value: Tensor) -> None:
        """Set the originals so that the parametrized tensor is `value`, as far as the functions can be inverted."""
        found = self._inverted(value)
        with no_grad():
            for have, new in zip(self._originals(), [found] if isinstance(found, Tensor) else found, strict=True):
                have.assign(new.detach())

    def forward(self) -> Any:
        first, *rest = list(self)
        value = first(*self._originals())
        for module in rest:
            value = module(value)
        return value


def _property(name: str) -> property:
    def get(self: Any) -> Any:
        if not _cache.depth:
            return self.parametrizations[name]()
        key = (id(self), name)
        if key not in _cache.values:
            _cache.values[key] = self.parametrizations[name]()
        return _cache.values[key]

    def put(self: Any, value: Tensor) -> None:
        self.parametrizations[name].right_inverse(value)

    return property(get, put)


def _set(self: Any, name: str, value: Any) -> None:
    if isinstance(getattr(type(self), name, None), property):
        object.__setattr__(self, name, value)
    else:
        super(type(self), self).__setattr__(name, value)


def register_parametrization(
    module: Module, tensor_name: str, parametrization: Module, *, unsafe: bool = False
) -> Module:
    """Make the parameter or buffer `tensor_name` of a module a function of what it was, here also with several functions.

    Args:
        parametrization: a module of one tensor. If it has a method `right_inverse`, the tensor begins as
            right_inverse(tensor), and assigning to the module's attribute works; it may return a tuple, of which the
            parametrization then takes the parts.
        unsafe: don't check that shape and dtype stay.

    Raises ArgumentError for a name that is neither parameter nor buffer, ShapeError for another shape or dtype.
    """
    if not isinstance(module, Module) or not isinstance(parametrization, Module):
        raise ArgumentError(
            f"[register_parametrization] expected modules, got {type(module).__name__} and {type(parametrization).__name__}"
        )
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        several = module.parametrizations[tensor_name]
        value = getattr(module, tensor_name)
        several.append(parametrization)
        if not (unsafe or several.unsafe):
            try:
                several._check(value)
            except ShapeError:
                del several[len(several) - 1]
                raise
        inverse = getattr(parametrization, "right_inverse", None)
        if inverse is not None:
            several.right_inverse(value.detach())
        several.unsafe = several.unsafe or unsafe
        return module
    own = {**dict(module._own_parameters()), **{name: value for name, value, _ in module._own_buffers()}}
    if tensor_name not in own:
        raise ArgumentError(
            f"[register_parametrization] expected one of {', '.join(own) or 'no tensors'} of {type(module).__name__}, got "
            f"{tensor_name!r}"
        )
    several = ParametrizationList([parametrization], own[tensor_name], unsafe)
    several.train(module.training)
    plain = type_before_parametrizations(module)
    delattr(module, tensor_name)
    held = dict(type(module)._parametrized) if is_parametrized(module) else {}  # type: ignore[attr-defined]
    held[tensor_name] = _property(tensor_name)
    _take_class(module, plain, held)
    if "parametrizations" not in module.__dict__:
        module.parametrizations = ModuleDict()
    module.parametrizations[tensor_name] = several
    return module


def _take_class(module: Module, plain: type, held: dict[str, property]) -> None:
    inside = {
        **held, "__setattr__": _set, "_parametrized": held, "_plain": plain, "__module__": plain.__module__,
        "__doc__": plain.__doc__,
    }  # fmt: skip
    module.__class__ = type(f"Parametrized{plain.__name__}", (plain,), inside)  # type: ignore[assignment]


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Whether the module, or that tensor of it, has parametrizations."""
    held = getattr(type(module), "_parametrized", {})
    return bool(held) if tensor_name is None else tensor_name in held


def type_before_parametrizations(module: Module) -> type:
    """The class that the module had before it was parametrized."""
    return getattr(type(module), "_plain", type(module))


def remove_parametrizations(module: Module, tensor_name: str, leave_parametrized: bool = True) -> Module:
    """Make the tensor a parameter of its own again.

    leave_parametrized: with the value that the functions gave; else with the original one.
    """
    if not is_parametrized(module, tensor_name):
        raise ArgumentError(
            f"[remove_parametrizations] expected a parametrized tensor of {type(module).__name__}, got {tensor_name!r}"
        )
    several = module.parametrizations[tensor_name]
    originals = several._originals()
    if leave_parametrized:
        with no_grad():
            value = getattr(module, tensor_name).detach()
        if several.is_tensor and tuple(originals[0].shape) == tuple(value.shape):
            with no_grad():
                originals[0].assign(value)
            value = originals[0]
        else:
            value = Parameter(value, originals[0].requires_grad)
    elif several.is_tensor:
        value = originals[0]
    else:
        raise ArgumentError(
            f"[remove_parametrizations] expected leave_parametrized=True for {tensor_name!r}, which is made of "
            f"{several.count} tensors"
        )
    was_parameter = "original" in several._parameter_names or not several.is_tensor
    plain = type_before_parametrizations(module)
    held = {name: kept for name, kept in type(module)._parametrized.items() if name != tensor_name}  # type: ignore[attr-defined]
    del module.parametrizations[tensor_name]
    if held:
        _take_class(module, plain, held)
    else:
        del module.parametrizations
        module.__class__ = plain  # type: ignore[assignment]
    if was_parameter:
        module.register_parameter(tensor_name, value)
    else:
        module.register_buffer(tensor_name, value)
    return module


__all__ = [
    "ParametrizationList", "cached", "is_parametrized", "register_parametrization", "remove_parametrizations",
    "type_before_parametrizations",
]  # fmt: skip
