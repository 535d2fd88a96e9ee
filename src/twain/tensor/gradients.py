"""Switching the tape, and gradients as functions."""

from __future__ import annotations

import threading
from collections.abc import Callable

from .. import _core
from ..base.errors import ArgumentError, GradientError
from ..base.pytree import flatten, unflatten
from ..ir.node import Graph, Node
from ..ops.elementwise import cast, positive
from ..passes.simplify import simplify_part
from ..transforms.vjp import gradients as symbolic_gradients

Tensor = _core.Tensor


class _GradMode:
    """Context manager and decorator that switches recording on the tape."""

    __slots__ = ("_before", "_flag")

    def __init__(self, flag: bool):
        self._flag = flag
        self._before: list[bool] = []

    def __enter__(self):
        self._before.append(_core.set_grad_enabled(self._flag))
        return self

    def __exit__(self, *exc) -> None:
        _core.set_grad_enabled(self._before.pop())

    def __call__(self, function: Callable) -> Callable:
        def wrapped(*args, **kwargs):
            with _GradMode(self._flag):
                return function(*args, **kwargs)

        wrapped.__name__ = getattr(function, "__name__", "wrapped")
        wrapped.__doc__ = function.__doc__
        wrapped.__wrapped__ = function
        return wrapped


def no_grad() -> _GradMode:
    """`with twain.no_grad():` computes without recording for backward. Also a decorator: `@twain.no_grad()`."""
    return _GradMode(False)


def enable_grad() -> _GradMode:
    """The opposite of no_grad, for use inside of it."""
    return _GradMode(True)


class detect_anomaly:
    """`with twain.detect_anomaly():` every op and gradient is checked; the first NaN raises, naming op and line."""

    def __enter__(self):
        self._before = _core.set_anomaly(True)
        return self

    def __exit__(self, *exc) -> None:
        _core.set_anomaly(self._before)


class _Depth(threading.local):
    """How many gradient transformations this thread is inside of."""

    value = 0

    def __enter__(self):
        self.value += 1

    def __exit__(self, *exc):
        self.value -= 1


_depth = _Depth()


def value_and_grad(function: Callable, argnums: int | tuple = 0, has_aux: bool = False) -> Callable:
    """A function that returns (function(...), gradient with respect to the arguments numbered `argnums`).

    Arguments may be any pytree of tensors; `function` returns a scalar, or (scalar, anything) with has_aux.
    """
    numbers = (argnums,) if isinstance(argnums, int) else tuple(argnums)

    def wrapped(*args, **kwargs):
        for n in numbers:
            if not -len(args) <= n < len(args):
                raise ArgumentError(f"[grad] expected argnums within the {len(args)} positional arguments, got {n}")
        chosen, spec = flatten([args[n] for n in numbers])
        if any(type(x) is Node for x in chosen):
            return _symbolic(function, args, kwargs, numbers, isinstance(argnums, int), has_aux)
        leaves = []
        for x in chosen:
            if type(x) is not Tensor or x.dtype.kind not in "fc":
                raise ArgumentError(
                    f"[grad] expected floating tensors to differentiate by, got {getattr(x, 'dtype', type(x).__name__)}"
                )
            leaves.append(_fresh(x))
        replaced = unflatten(spec, leaves)
        full = list(args)
        for n, value in zip(numbers, replaced):
            full[n] = value
        # only an enclosing transformation, or a tape that the arguments are on, can differentiate the gradient again
        again = _core.grad_enabled() and (_depth.value > 0 or any(x.requires_grad for x in chosen))
        with enable_grad(), _depth:
            result = function(*full, **kwargs)
            value, aux = result if has_aux else (result, None)
            if type(value) is not Tensor or value.size != 1:
                raise GradientError(
                    f"[grad] expected the function to return a scalar tensor, got {getattr(value, 'shape', type(value).__name__)}"
                )
            found = _core.gradients([value], leaves, None, create_graph=again, allow_unused=True)
        found = [zero_of(x) if g is None else g for g, x in zip(found, leaves)]
        tree = unflatten(spec, found)
        gradient = tree[0] if isinstance(argnums, int) else tuple(tree)
        return ((value, aux) if has_aux else value), gradient

    wrapped.__name__ = f"value_and_grad({getattr(function, '__name__', 'function')})"
    wrapped.__doc__ = function.__doc__
    return wrapped


def _symbolic(function: Callable, args: tuple, kwargs: dict, numbers: tuple, single: bool, has_aux: bool) -> tuple:
    """value_and_grad on traced values (inside of vmap or jvp): the gradient's graph joins the trace."""
    chosen, spec = flatten([args[n] for n in numbers])
    for x in chosen:
        if type(x) not in (Node, Tensor) or x.dtype.kind not in "fc":
            raise ArgumentError(
                f"[grad] expected floating tensors to differentiate by, got {getattr(x, 'dtype', type(x).__name__)}"
            )
    leaves = [positive(x) for x in chosen]  # nodes of their own: other uses of the same values don't count
    full = list(args)
    for n, value in zip(numbers, unflatten(spec, leaves)):
        full[n] = value
    result = function(*full, **kwargs)
    value, aux = result if has_aux else (result, None)
    if type(value) is not Node or value.size != 1:
        raise GradientError(
            f"[grad] expected the function to return a scalar tensor, got {getattr(value, 'shape', type(value).__name__)}"
        )
    flat = simplify_part(Graph("grad", leaves, [value]))
    ones = cast(value * 0 + 1, value.dtype)
    found = symbolic_gradients(flat.outputs, [ones], leaves)
    tree = unflatten(spec, [x * 0 if g is None else g for g, x in zip(found, leaves)])
    return ((value, aux) if has_aux else value), tree[0] if single else tuple(tree)


def _fresh(x: Tensor) -> Tensor:
    if x.requires_grad:
        with enable_grad():
            return x * 1  # a node of its own, so that gradients stop here and still reach x in an outer tape
    return x.detach().requires_grad_()


def zero_of(x: Tensor) -> Tensor:
    return x.detach() * 0


def grad(function: Callable, argnums: int | tuple = 0, has_aux: bool = False) -> Callable:
    """The gradient of a scalar function as a function; see value_and_grad."""
    both = value_and_grad(function, argnums, has_aux)

    def wrapped(*args, **kwargs):
        value, gradient = both(*args, **kwargs)
        return (gradient, value[1]) if has_aux else gradient

    wrapped.__name__ = f"grad({getattr(function, '__name__', 'function')})"
    wrapped.__doc__ = function.__doc__
    return wrapped
