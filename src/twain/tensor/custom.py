"""Functions with derivatives of their own."""

from __future__ import annotations

import functools
from collections.abc import Callable

from .. import _core
from ..base.errors import ArgumentError, ShapeError
from ..base.pytree import flatten, paths, unflatten
from ..ir.node import Graph, Spec, make_parameter, substitute
from ..transforms.body import Body, BodyLevel, intern, share_captured
from ..transforms.custom import CUSTOM
from ..transforms.levels import is_value
from .creation import full

Tensor = _core.Tensor


def custom_gradient(
    function: Callable | None = None, *, forward: Callable | None = None, backward: Callable | None = None,
    jvp: Callable | None = None,
) -> Callable:  # fmt: skip
    """`function` with a derivative of its own, in every transformation and in compiled functions.

    Three ways to say it:

    - Alone: `function` returns (result, pull), and pull(gradient of the result) returns the gradient of the argument, or a
      tuple with one per argument. As a decorator: `@twain.custom_gradient`.
    - backward(residuals, gradient of the result) returns a tuple with the gradient of each argument. `residuals` is what
      forward(*args) -> (result, residuals) says, or (args, result) without a `forward`.
    - jvp(primals, tangents) returns (result, its tangent); both arguments are tuples. The gradient follows from it by
      transposition; so does forward mode from a gradient.

    None is the gradient of an argument that has none. Arguments are trees of tensors; keyword arguments count as settings.
    Tensors that the function uses from around it have no gradient: pass what is to be differentiated by. The functions are
    traced at each call, so they can't read values.

    Raises ShapeError for gradients that aren't like their argument.
    """
    if function is None:
        return lambda f: custom_gradient(f, forward=forward, backward=backward, jvp=jvp)
    if forward is not None and backward is None:
        raise ArgumentError("[custom_gradient] expected backward beside forward, got none")
    for name, given in (("function", function), ("forward", forward), ("backward", backward), ("jvp", jvp)):
        if given is not None and not callable(given):
            raise ArgumentError(f"[custom_gradient] expected {name} to be a function, got {type(given).__name__}")
    pulls = backward is None and jvp is None

    @functools.wraps(function, updated=())
    def wrapped(*args: object, **kwargs: object) -> object:
        return _Call(args).run(function, forward, backward, jvp, pulls, kwargs)

    return wrapped


class _Trace:
    """A traced rule: its own parameters beyond the operands, and results."""

    __slots__ = ("level", "more", "operands", "outputs")

    def __init__(self, level: BodyLevel, operands: list, more: list, outputs: list):
        self.level = level
        self.operands = operands
        self.more = more
        self.outputs = outputs


class _Call:
    """One call of a function with a derivative of its own."""

    def __init__(self, args: tuple):
        self.args = args
        self.leaves, self.spec = flatten(args)
        for i, x in enumerate(self.leaves):
            if type(x) is float:
                self.leaves[i] = full((), x)
        self.given = [i for i, x in enumerate(self.leaves) if is_value(x)]
        self.specs = [Spec(self.leaves[i].dtype, tuple(self.leaves[i].shape)) for i in self.given]
        self.floating = [k for k, s in enumerate(self.specs) if s.dtype.kind in "fc"]

    def arguments(self, values: list) -> tuple:
        whole = list(self.leaves)
        for i, v in zip(self.given, values):
            whole[i] = v
        return unflatten(self.spec, whole)

    def run(self, function, forward, backward, jvp, pulls: bool, kwargs: dict) -> object:
        primal, result_spec = self.primal(function, pulls, kwargs)
        traces = [primal, None, None]
        if pulls or backward is not None:
            traces[1] = self.gradient(function, forward, backward, kwargs)
        if jvp is not None:
            traces[2] = self.tangent(jvp, primal, result_spec)
        bodies, inputs = self.merged(traces)
        results = CUSTOM.apply(tuple(inputs), (bodies[0], bodies[1], tuple(self.floating), bodies[2]))
        results = list(results) if type(results) is tuple else [results]
        return unflatten(result_spec, results)

    def primal(self, function, pulls: bool, kwargs: dict) -> tuple:
        level = BodyLevel("custom_gradient")
        with level:
            values = [level.argument(s) for s in self.specs]
            operands = list(level.parameters)
            result = function(*self.arguments(values), **kwargs)
            if pulls:
                result, _ = _pair(result, "the function to return (result, pull)")
            leaves, spec = _values(result)
            outputs = [level.node(x) for x in leaves]
        return _Trace(level, operands, [], outputs), spec

    def gradient(self, function, forward, backward, kwargs: dict) -> _Trace:
        level = BodyLevel("custom_gradient")
        with level:
            values = [level.argument(s) for s in self.specs]
            operands = list(level.parameters)
            args = self.arguments(values)
            if backward is None:
                result, pull = _pair(function(*args, **kwargs), "the function to return (result, pull)")
            elif forward is None:
                result = function(*args, **kwargs)
                residuals = (args, result)
            else:
                result, residuals = _pair(forward(*args, **kwargs), "forward to return (result, residuals)")
            leaves, spec = _values(result)
            cotangents = [
                level.argument(Spec(x.dtype, tuple(x.shape))) if x.dtype.kind in "fc" else None for x in leaves
            ]
            more = [c.value for c in cotangents if c is not None]
            g = unflatten(spec, cotangents)
            found = pull(g) if backward is None else backward(residuals, g)
            outputs = [level.node(x) for x in self.per_argument(found)]
        return _Trace(level, operands, more, outputs)

    def per_argument(self, found: object) -> list:
        """The gradients of the floating leaves, zeros for None."""
        if not isinstance(found, (tuple, list)) or (len(self.args) == 1 and len(found) != 1):
            found = (found,)
        if len(found) != len(self.args):
            raise ArgumentError(
                f"[custom_gradient] expected one gradient per argument, {len(self.args)}, got {len(found)}; None for an "
                "argument without"
            )
        gradients: list = []
        for arg, g in zip(self.args, found):
            leaves = flatten(arg)[0]
            mine = [None] * len(leaves) if g is None else flatten(g)[0]
            if len(mine) != len(leaves):
                raise ArgumentError(
                    f"[custom_gradient] expected a gradient in the structure of the argument, {len(leaves)} tensors, got "
                    f"{len(mine)}"
                )
            gradients.extend(mine)
        where = paths(self.args)
        results = []
        for k in self.floating:
            g, s = gradients[self.given[k]], self.specs[k]
            if g is None or isinstance(g, (int, float)):
                g = full(s.shape, 0 if g is None else g, dtype=s.dtype)
            if not is_value(g) or g.dtype is not s.dtype or tuple(g.shape) != s.shape:
                got = f"{g.dtype}{list(g.shape)}" if is_value(g) else type(g).__name__
                raise ShapeError(
                    f"[custom_gradient] expected the gradient of argument {where[self.given[k]]} to be {s!r}, got {got}"
                )
            results.append(g)
        return results

    def tangent(self, jvp, primal: _Trace, result_spec: object) -> _Trace:
        level = BodyLevel("custom_gradient")
        with level:
            values = [level.argument(s) for s in self.specs]
            operands = list(level.parameters)
            tangents: list = [None] * len(self.leaves)
            for k in self.floating:
                tangents[self.given[k]] = level.argument(self.specs[k])
            more = [tangents[self.given[k]].value for k in self.floating]
            found = jvp(self.arguments(values), unflatten(self.spec, tangents))
            result, moved = _pair(found, "jvp to return (result, tangent)")
            leaves, spec = _values(result)
            along = flatten(moved)[0]
            if spec != result_spec or len(along) != len(leaves):
                raise ArgumentError(
                    f"[custom_gradient] expected jvp to return the structure of the result, {result_spec!r}, twice, got "
                    f"{spec!r} and {flatten(moved)[1]!r}"
                )
            for x, p, path in zip(leaves, primal.outputs, paths(result)):
                if x.dtype is not p.dtype or tuple(x.shape) != p.shape:
                    raise ShapeError(
                        f"[custom_gradient] expected jvp's result{path} to be {p.spec!r}, got {x.dtype}{list(x.shape)}"
                    )
            outputs = [level.node(x) for x in leaves]
            for x, t in zip(leaves, along):
                if x.dtype.kind not in "fc":
                    continue
                if t is None or isinstance(t, (int, float)):
                    t = full(tuple(x.shape), 0 if t is None else t, dtype=x.dtype)
                if not is_value(t) or t.dtype is not x.dtype or tuple(t.shape) != tuple(x.shape):
                    raise ShapeError(
                        f"[custom_gradient] expected a tangent of {x.dtype}{list(x.shape)} from jvp, got "
                        + (f"{t.dtype}{list(t.shape)}" if is_value(t) else type(t).__name__)
                    )
                outputs.append(level.node(t))
        return _Trace(level, operands, more, outputs)

    def merged(self, traces: list) -> tuple[list, list]:
        """(bodies over common operands, each with its own parameters after them; the operands)."""
        order = [make_parameter(i, s) for i, s in enumerate(self.specs)]
        inputs = [self.leaves[i] for i in self.given]
        known: dict[int, object] = {}
        mappings = []
        for trace in traces:
            mapping: dict = {}
            if trace is not None:
                if trace.level.counters:
                    raise ArgumentError("[custom_gradient] expected functions without random numbers; pass them in")
                mapping.update(zip(trace.operands, order))
                share_captured(trace.level.captured, known, order, inputs, mapping)
            mappings.append(mapping)
        bodies: list[Body | None] = []
        for trace, mapping in zip(traces, mappings):
            if trace is None:
                bodies.append(None)
                continue
            more = [make_parameter(len(order) + i, p.spec) for i, p in enumerate(trace.more)]
            mapping.update(zip(trace.more, more))
            bodies.append(intern(Graph("custom_gradient", [*order, *more], substitute(trace.outputs, mapping))))
        return bodies, inputs


def _pair(result: object, what: str) -> tuple:
    if not isinstance(result, tuple) or len(result) != 2:
        got = "a tensor" if is_value(result) else type(result).__name__
        raise ArgumentError(f"[custom_gradient] expected {what}, got {got}")
    return result


def _values(tree: object) -> tuple[list, object]:
    leaves, spec = flatten(tree)
    for i, x in enumerate(leaves):
        if isinstance(x, (bool, int, float, complex)):
            leaves[i] = full((), x)
        elif not is_value(x):
            raise ArgumentError(f"[custom_gradient] expected the function to return tensors, got {type(x).__name__}")
    return leaves, spec


__all__ = ["custom_gradient"]
