"""vmap and jvp as functions: the user's function is traced once per call on symbols of the operands, its graph transformed,
and the result run as one op. So both are recorded on the tape, by compile, and can be nested in each other and in grad."""

from __future__ import annotations

from collections.abc import Callable

from .. import _core
from ..base.errors import ArgumentError, ShapeError
from ..base.pytree import flatten, unflatten
from ..base.shapes import normalize_axis
from ..ir.node import Graph, Node, Spec, is_python_scalar, make_constant, make_parameter
from ..ir.op import dynamic, inline, lifting
from ..ops.shape import permute_dims
from ..transforms.jvp import jvp as jvp_graph
from ..transforms.vmap import every_batched
from ..transforms.vmap import vmap as vmap_graph

Tensor = _core.Tensor


class _Trace:
    """One tracing of a user's function: its graph, and the tensors it met that weren't its arguments."""

    def __init__(self, name: str):
        self.name = name
        self.parameters: list[Node] = []
        self.values: list = []  # what each parameter stands for: a Tensor, or a Node of an enclosing trace
        self.known: dict[int, Node] = {}

    def add(self, value: object, spec: Spec) -> Node:
        p = make_parameter(len(self.parameters), spec)
        self.parameters.append(p)
        self.values.append(value)
        return p

    def lift(self, x: Tensor) -> Node:
        """A tensor met inside becomes an operand."""
        if id(x) not in self.known:
            self.known[id(x)] = self.add(x, Spec(x.dtype, tuple(x.shape)))
        return self.known[id(x)]

    def run(self, function: Callable, args: object, kwargs: dict) -> tuple:
        """(result's leaves as nodes, structure)."""
        outer = lifting.function
        lifting.function = self.lift
        before = _core.set_tracing(True)
        try:
            leaves, spec = flatten(function(*args, **kwargs))
            return [self.node(x) for x in leaves], spec
        finally:
            _core.set_tracing(before)
            lifting.function = outer

    def node(self, x: object) -> Node:
        if type(x) is Node:
            return x
        if type(x) is Tensor:
            return self.lift(x)
        if is_python_scalar(x):
            return make_constant(x)
        raise ArgumentError(f"[{self.name}] expected the function to return tensors, got {type(x).__name__}")


def _run(graph: Graph, values: list) -> list:
    """A graph on tensors as one op; on nodes of an enclosing trace as part of that."""
    if any(type(v) is Node for v in values):
        nodes = [lifting.function(v) if type(v) is Tensor else v for v in values]
        return inline(graph, {p: nodes[p.attrs] for p in graph.parameters})
    record = dynamic(graph.name, graph, len(values))
    result = _core.Op(record.name, record.arity, record)(*values)
    return list(result) if isinstance(result, (tuple, list)) else [result]


def _traced(name: str, build: Callable):
    """build() with ops on nodes allowed."""
    before = _core.set_tracing(True)
    try:
        return build()
    finally:
        _core.set_tracing(before)


def _is_value(x: object) -> bool:
    return type(x) is Tensor or type(x) is Node


def vmap(function: Callable, in_axes: object = 0, out_axes: int = 0) -> Callable:
    """A function that applies `function` to every entry along an axis of its arguments, all at once.

    in_axes: the axis per positional argument (an int or None, None: the same for all entries; one int for all), counting
    for every tensor of an argument that is a tree. The results get the new axis at out_axes. Keyword arguments are not
    batched. A branch on a batched value is an error: use `where`.
    """

    def wrapped(*args: object, **kwargs: object):
        axes = list(in_axes) if isinstance(in_axes, (tuple, list)) else [in_axes] * len(args)
        if len(axes) != len(args):
            raise ArgumentError(
                f"[vmap] expected one in_axes entry per positional argument, got {len(axes)} for {len(args)}"
            )
        trace = _Trace("vmap")
        batched: dict[int, bool] = {}
        size = None
        replaced = []
        for number, (arg, axis) in enumerate(zip(args, axes)):
            leaves, spec = flatten(arg)
            for i, x in enumerate(leaves):
                if not _is_value(x):
                    continue
                shape = tuple(x.shape)
                if axis is None:
                    leaves[i] = trace.add(x, Spec(x.dtype, shape))
                    continue
                if not shape:
                    raise ShapeError(f"[vmap] expected argument {number} to have an axis to map over, got a 0-d tensor")
                at = normalize_axis("vmap", axis, len(shape))
                if size is not None and shape[at] != size:
                    raise ShapeError(f"[vmap] expected equal sizes along the mapped axes, got {size} and {shape[at]}")
                size = shape[at]
                first = x if at == 0 else permute_dims(x, (at, *(a for a in range(len(shape)) if a != at)))
                leaves[i] = trace.add(first, Spec(x.dtype, (*shape[:at], *shape[at + 1 :])))
                batched[leaves[i].attrs] = True
            replaced.append(unflatten(spec, leaves))
        if size is None:
            raise ArgumentError("[vmap] expected at least one tensor to map over, got none")
        outputs, spec = trace.run(function, replaced, kwargs)
        graph = Graph("function", trace.parameters, outputs)
        many = _traced("vmap", lambda: every_batched(*vmap_graph(graph, batched, size), size))
        results = _run(many, trace.values)
        return unflatten(spec, [_moved(x, out_axes) for x in results])

    wrapped.__name__ = f"vmap({getattr(function, '__name__', 'function')})"
    wrapped.__doc__ = function.__doc__
    return wrapped


def _moved(x, axis: int):
    """Axis 0 at `axis`."""
    at = normalize_axis("vmap", axis, x.ndim)
    if at == 0:
        return x
    order = list(range(1, x.ndim))
    order.insert(at, 0)
    return permute_dims(x, tuple(order))


def jvp(function: Callable, primals: tuple, tangents: tuple) -> tuple:
    """(function(*primals), its derivative along tangents), computed together, forwards.

    tangents: trees like primals, each tensor with the dtype and shape of its primal.
    """
    if (
        not isinstance(primals, (tuple, list))
        or not isinstance(tangents, (tuple, list))
        or len(primals) != len(tangents)
    ):
        raise ArgumentError("[jvp] expected primals and tangents to be tuples of one length")
    leaves, spec = flatten(list(primals))
    along, _ = flatten(list(tangents))
    if len(leaves) != len(along):
        raise ArgumentError(f"[jvp] expected a tangent per primal, got {len(along)} for {len(leaves)}")
    trace = _Trace("jvp")
    wanted, moves = [], []
    for i, (x, t) in enumerate(zip(leaves, along)):
        if not _is_value(x):
            continue
        if not _is_value(t) or x.dtype.kind not in "fc" or t.dtype is not x.dtype or tuple(t.shape) != tuple(x.shape):
            got = f"{t.dtype}{list(t.shape)}" if _is_value(t) else type(t).__name__
            raise ArgumentError(f"[jvp] expected a tangent of {x.dtype}{list(x.shape)} (floating), got {got}")
        leaves[i] = trace.add(x, Spec(x.dtype, tuple(x.shape)))
        wanted.append(leaves[i].attrs)
        moves.append(t)
    outputs, out_spec = trace.run(function, unflatten(spec, leaves), {})
    graph = _traced("jvp", lambda: jvp_graph(Graph("function", trace.parameters, outputs), wanted))
    found = _run(graph, [*trace.values, *moves])
    half = len(outputs)
    return unflatten(out_spec, found[:half]), unflatten(out_spec, found[half:])


__all__ = ["jvp", "vmap"]
