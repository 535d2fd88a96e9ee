"""Functions as graphs: what loops and branches run. A user's function is traced once on values without contents; tensors
and values of outer transformations that it meets become operands of the op."""

from __future__ import annotations

import weakref
from collections.abc import Callable

from .. import _core
from ..base.errors import ArgumentError, GradientError
from ..base.lazy import LazyModule
from ..base.pytree import flatten, paths
from ..ir import node as ir
from ..ir.node import Graph, Node, Spec, make_parameter
from ..ir.op import OpRecord, apply, exact_key
from .levels import Level, Traced, is_value, operand

rules = LazyModule("twain.ops.nn.rules")
creation = LazyModule("twain.tensor.creation")
Tensor = _core.Tensor


def share_captured(captured: list, known: dict, order: list, inputs: list, mapping: dict) -> None:
    """Map what a traced function uses from around it to parameters that several functions have in common: `order` and
    `inputs` grow by those not yet `known` (by identity of the value)."""
    for node, value in captured:
        if id(value) not in known:
            known[id(value)] = make_parameter(len(order), node.spec)
            order.append(known[id(value)])
            inputs.append(value)
        mapping[node] = known[id(value)]


def place(path: str) -> str:
    """A leaf's path in an error message."""
    return f" at {path}" if path else ""


class Symbolic(Traced):
    """A value without contents; `value` is its node."""

    __slots__ = ()

    @property
    def device(self):
        return creation.as_device(None)

    def become(self, other: object) -> None:
        if not isinstance(other, Symbolic) or other.level is not self.level:
            raise GradientError(
                f"[setitem] expected a value of the same {self.level.name}, got one of an inner transformation; build the "
                "result with stack, concat or where"
            )
        self.value = other.value


class BodyLevel(Level):
    """Tracing one function."""

    __slots__ = ("_known", "captured", "counters", "grads", "parameters")

    def __init__(self, name: str):
        super().__init__(name)
        self.parameters: list[Node] = []
        self.captured: list = []  # (parameter, the value outside that it stands for)
        self._known: dict[int, Node] = {}
        self.counters: dict = {}  # random generator -> [parameter, counter now, counter outside]
        self.grads = _core.grad_enabled()

    def argument(self, spec: Spec) -> Symbolic:
        """A parameter of the function."""
        p = make_parameter(len(self.parameters), spec)
        self.parameters.append(p)
        return Symbolic(self, p, spec)

    def counter(self, generator: object, now: Callable) -> Symbolic:
        """Where a random generator is; at first an operand, for which now() gives the value outside."""
        entry = self.counters.get(generator)
        if entry is None:
            start = now()
            symbol = self.argument(Spec(start.dtype, ()))
            entry = self.counters[generator] = [symbol.value, symbol, start]
        return entry[1]

    def capture(self, x: object) -> Node:
        """A tensor, or a value of an outer level, as an operand of the whole."""
        node = self._known.get(id(x))
        if node is None:
            node = self._known[id(x)] = make_parameter(len(self.parameters), Spec(x.dtype, tuple(x.shape)))
            self.parameters.append(node)
            self.captured.append((node, x))
        return node

    def node(self, x: object) -> object:
        """`x` in the graph."""
        if type(x) is Symbolic and x.level is self:
            return x.value
        return self.capture(x) if is_value(x) else x

    def process(self, op, record: OpRecord, attrs: object, args: tuple) -> object:
        nodes = [self.node(operand(op, a)) for a in args]
        if self.grads and not _core.grad_enabled():
            nodes = [_stopped(n) for n in nodes]
        before = _core.set_tracing(True)
        try:
            result = apply(record, attrs, (nodes,) if record.arity < 0 else tuple(nodes))
        finally:
            _core.set_tracing(before)
        if type(result) is tuple:
            return tuple(Symbolic(self, r, r.spec) for r in result)
        return Symbolic(self, result, result.spec)

    def readable(self, x: Traced, what: str) -> object:
        raise GradientError(
            f"[{self.name}] expected code that doesn't read values, as it is traced once for all iterations and examples, got "
            f"{what}: use where(...) or cond(...) instead of `if`, while_loop(...) or scan(...) instead of a loop"
        )


def _stopped(n: object) -> object:
    return apply(rules.stop_gradient.record, None, (n,)) if type(n) is Node and n.dtype.kind in "fc" else n


class Body:
    """A graph as a static argument: equal graphs are one object."""

    __slots__ = ("__weakref__", "graph")

    def __init__(self, graph: Graph):
        self.graph = graph

    @property
    def specs(self) -> list[Spec]:
        """Of the results."""
        return [o.spec for o in self.graph.outputs]

    @property
    def operands(self) -> list[Spec]:
        return [p.spec for p in self.graph.parameters]

    def __repr__(self) -> str:
        return f"Body({self.graph.name}: {', '.join(map(repr, self.operands))} -> {', '.join(map(repr, self.specs))})"


_bodies: dict[tuple, weakref.ref] = {}  # plain, as a recording can't look into a WeakValueDictionary


def intern(graph: Graph) -> Body:
    """The Body of a graph whose parameters are numbered 0, 1, ... in order."""
    numbers: dict[Node | None, int] = {None: -1}
    lines = []
    for p in graph.parameters:
        numbers[p] = len(numbers)
        lines.append(p.spec)
    for n in graph.nodes():
        if n in numbers:
            continue
        numbers[n] = len(numbers)
        attrs = (type(n.attrs), repr(n.attrs)) if n.op is ir.constant else exact_key(n.attrs)
        lines.append((n.op, attrs, tuple(numbers[i] for i in n.inputs), n.specs))
    key = (tuple(lines), tuple(numbers[o] for o in graph.outputs))
    known = _bodies.get(key)
    body = None if known is None else known()
    if body is None:
        body = Body(graph)
        _bodies[key] = weakref.ref(body, lambda gone: _forget(key, gone))
    return body


def _forget(key: tuple, gone: weakref.ref) -> None:
    if _bodies.get(key) is gone:
        del _bodies[key]


def renumbered(name: str, order: list, outputs: list) -> Body:
    """The Body with the parameters of `order`, numbered anew."""
    fresh = [make_parameter(i, p.spec) for i, p in enumerate(order)]
    return intern(Graph(name, fresh, ir.substitute(outputs, dict(zip(order, fresh)))))


class Traceable:
    """A user's function after tracing: level (parameters, captured values), outputs as nodes, structure of the result."""

    __slots__ = ("level", "outputs", "own", "paths", "spec")

    def __init__(self, name: str, function: Callable, specs: list, build: Callable):
        """build(values) makes the function's arguments of its values, one per spec."""
        self.level = level = BodyLevel(name)
        with level:
            values = [level.argument(s) for s in specs]
            self.own = list(level.parameters)
            result = function(*build(values))
            leaves, self.spec = flatten(result)
            self.paths = paths(result)
            self.outputs = []
            for x, path in zip(leaves, self.paths):
                if isinstance(x, (bool, int, float, complex)):
                    x = creation.full((), x)
                if not is_value(x):
                    raise ArgumentError(
                        f"[{name}] expected the function to return tensors, got {type(x).__name__}{place(path)}"
                    )
                self.outputs.append(level.node(x))


__all__ = ["Body", "BodyLevel", "Symbolic", "Traceable", "intern", "place", "renumbered"]
