"""Calling modules with other parameters than their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..base.errors import ArgumentError
from ..tensor import stack
from .module import Module, copied


def functional_call(
    module: Module, parameters_and_buffers: Mapping[str, Any] | Sequence[Mapping[str, Any]], args: Any = (),
    kwargs: Mapping[str, Any] | None = None,
) -> Any:  # fmt: skip
    """module(*args, **kwargs) with the parameters and buffers of a dictionary {dotted name: tensor} in place of its own.

    Args:
        parameters_and_buffers: such a dictionary, or several; what they don't name is the module's own. A buffer that the
            call updates is updated in the tensor given.
        args: a tuple of arguments, or one argument.

    With it any module is a function of its parameters, for grad, vmap and jvp. Passing the module itself as an argument does
    the same: twain.grad(lambda m, x: m(x).sum())(module, x).

    Raises ArgumentError for a name that the module doesn't have.
    """
    given: dict[str, Any] = {}
    several = [parameters_and_buffers] if isinstance(parameters_and_buffers, Mapping) else parameters_and_buffers
    for some in several:
        given.update(some)
    own = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    unknown = [name for name in given if name not in own]
    if unknown:
        raise ArgumentError(
            f"[functional_call] expected names of parameters and buffers of {type(module).__name__}, got {', '.join(unknown)}"
        )
    tensors = {id(own[name]): value for name, value in given.items()}
    return copied(module, tensors, {})(*(args if isinstance(args, tuple) else (args,)), **(kwargs or {}))


def stack_module_state(modules: Sequence[Module]) -> tuple[dict[str, Any], dict[str, Any]]:
    """(parameters, buffers) of modules of one kind, each stacked along a new axis 0: an ensemble for vmap."""
    modules = list(modules)
    if not modules:
        raise ArgumentError("[stack_module_state] expected at least one module, got none")
    parameters = [dict(m.named_parameters()) for m in modules]
    buffers = [dict(m.named_buffers()) for m in modules]
    for all_names in (parameters, buffers):
        if any(some.keys() != all_names[0].keys() for some in all_names):
            raise ArgumentError(
                "[stack_module_state] expected modules with the same parameters and buffers, got others"
            )
    return (
        {name: stack([p[name].detach() for p in parameters]) for name in parameters[0]},
        {name: stack([b[name] for b in buffers]) for name in buffers[0]},
    )


__all__ = ["functional_call", "stack_module_state"]
