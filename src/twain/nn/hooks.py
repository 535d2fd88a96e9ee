"""Functions that run around a module's calls, and around the backward pass through them."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from .. import _core
from ..base.errors import ArgumentError
from ..ops.elementwise import positive

Tensor = _core.Tensor
_numbers = itertools.count()


class HookHandle:
    """What registering a hook returns; `remove()` takes the hook off again, and so does the end of a `with` block."""

    def __init__(self, *places: tuple[dict, int]):
        self._places = places

    def remove(self) -> None:
        """Take the hook off."""
        for hooks, number in self._places:
            hooks.pop(number, None)

    def __enter__(self) -> HookHandle:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()


def add_hook(hooks: dict, hook: Callable, entry: Any = None, prepend: bool = False) -> HookHandle:
    """Put a function (as `entry`) into a table of hooks."""
    if not callable(hook):
        raise ArgumentError(f"[register_hook] expected a function, got {type(hook).__name__}")
    number = next(_numbers)
    later = dict(hooks) if prepend else {}
    if prepend:
        hooks.clear()
    hooks[number] = hook if entry is None else entry
    hooks.update(later)
    return HookHandle((hooks, number))


def run_before(module: Any, hooks: dict, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
    """The arguments after all hooks."""
    for hook, with_kwargs in list(hooks.values()):
        if with_kwargs:
            changed = hook(module, args, kwargs)
            if changed is not None:
                args, kwargs = changed
        else:
            changed = hook(module, args)
            if changed is not None:
                args = changed if isinstance(changed, tuple) else (changed,)
    return args, kwargs


def run_after(module: Any, hooks: dict, args: tuple, kwargs: dict, result: Any) -> Any:
    """The result after all hooks."""
    for hook, with_kwargs in list(hooks.values()):
        changed = hook(module, args, kwargs, result) if with_kwargs else hook(module, args, result)
        if changed is not None:
            result = changed
    return result


class BackwardHook:
    """A hook on the backward pass, made of one before and one after `forward` that set hooks on tensors."""

    def __init__(self, hook: Callable, before: bool):
        self.hook = hook
        self.before = before
        self.name = "register_full_backward_pre_hook" if before else "register_full_backward_hook"
        self.calls: list[_Passage] = []  # of calls under way

    def attach(self, module: Any, prepend: bool) -> HookHandle:
        """Register both."""
        one = add_hook(module._forward_pre_hooks, self.hook, (self._enter, False), prepend)
        two = add_hook(module._forward_hooks, self.hook, (self._leave, False), prepend)
        return HookHandle(*one._places, *two._places)

    def _enter(self, module: Any, args: tuple) -> tuple:
        passage = _Passage(self, module, len(args))
        self.calls.append(passage)
        if self.before:
            return args
        # An alias of each argument: its gradient is what this call contributes, and no other use of the tensor.
        aliases = [positive(x) if _differentiable(x) else x for x in args]
        passage.waiting = {i for i, x in enumerate(aliases) if _differentiable(x)}
        passage.several = len(passage.waiting) > 1
        for i in passage.waiting:
            aliases[i].register_hook(passage.input_hook(i))
        return tuple(aliases)

    def _leave(self, module: Any, args: tuple, result: Any) -> Any:
        passage = self.calls.pop()
        outputs = list(result) if isinstance(result, (tuple, list)) else [result]
        passage.grad_output = [None] * len(outputs)
        wanted = [i for i, x in enumerate(outputs) if _differentiable(x)]
        if self.before and len(wanted) > 1:
            raise ArgumentError(f"[{self.name}] expected a module with one output, got {len(wanted)}")
        passage.last = len(wanted)
        for i in wanted:
            outputs[i] = positive(outputs[i])
            outputs[i].register_hook(passage.output_hook(i))
        return type(result)(outputs) if type(result) in (tuple, list) else outputs[0] if wanted else result


class _Passage:
    """One call's gradients as they come in."""

    def __init__(self, owner: BackwardHook, module: Any, count: int):
        self.owner = owner
        self.module = module
        self.grad_input: list[Any] = [None] * count
        self.grad_output: list[Any] = []
        self.waiting: set[int] = set()
        self.several = False
        self.last = 0

    def output_hook(self, i: int) -> Callable:
        def arrived(gradient: Tensor) -> Any:
            self.grad_output[i] = gradient
            self.last -= 1
            if self.owner.before:
                changed = self.owner.hook(self.module, (gradient,))
                return changed[0] if isinstance(changed, tuple) else changed
            if not self.waiting and self.last == 0:
                self.owner.hook(self.module, tuple(self.grad_input), tuple(self.grad_output))
            return None

        return arrived

    def input_hook(self, i: int) -> Callable:
        def arrived(gradient: Tensor) -> Any:
            self.grad_input[i] = gradient
            self.waiting.discard(i)
            if self.waiting:
                return None
            changed = self.owner.hook(self.module, tuple(self.grad_input), tuple(self.grad_output))
            if changed is None:
                return None
            if self.several:
                raise ArgumentError(
                    f"[{self.owner.name}] expected no result for a module with several arguments that need gradients"
                )
            return changed[i] if isinstance(changed, (tuple, list)) else changed

        return arrived


def _differentiable(x: Any) -> bool:
    return isinstance(x, Tensor) and x.requires_grad


__all__ = ["BackwardHook", "HookHandle", "add_hook", "run_after", "run_before"]
