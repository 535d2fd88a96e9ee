"""The tensor dialect: immutable nodes, each one op applied to values, and graphs of them.

Every value is a `Node` with one `Spec` (dtype and shape); an op with several results gives a node whose `specs` has
several entries, read through `output(i)`. Nodes carry the user's file and line where recording knew them.
"""

from __future__ import annotations

from ..base import dtypes as dt
from ..base.dtypes import DType


class Spec:
    """What is known of a value without computing it: dtype and shape."""

    __slots__ = ("dtype", "shape")

    def __init__(self, dtype: DType, shape: tuple):
        self.dtype = dtype
        self.shape = shape

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        n = 1
        for d in self.shape:
            n *= d
        return n

    def __eq__(self, other: object) -> bool:
        return type(other) is Spec and self.dtype is other.dtype and self.shape == other.shape

    def __hash__(self) -> int:
        return hash((self.dtype.code, self.shape))

    def __repr__(self) -> str:
        return f"{self.dtype}{list(self.shape)}"


class Node:
    """`op` applied to `inputs` (Nodes or None for absent optional ones) with static `attrs`.

    `op` is an OpRecord; the leaves are records too: `parameter` (attrs: position) and `constant` (attrs: Python scalar).
    """

    __slots__ = ("attrs", "inputs", "op", "serial", "source", "specs")
    _count = 0

    def __init__(self, op, inputs: tuple, attrs: object, specs: tuple, source: str | None = None):
        self.op = op
        self.inputs = inputs
        self.attrs = attrs
        self.specs = specs
        self.source = source
        Node._count += 1
        self.serial = Node._count

    # What kernel-free code (derivative and batching rules, composites) may ask of a value, as of a Tensor.
    @property
    def spec(self) -> Spec:
        return self.specs[0]

    @property
    def dtype(self) -> DType:
        return self.specs[0].dtype

    @property
    def shape(self) -> tuple:
        return self.specs[0].shape

    @property
    def ndim(self) -> int:
        return len(self.specs[0].shape)

    @property
    def size(self) -> int:
        return self.specs[0].size

    @property
    def device(self) -> None:
        """Known when the graph runs: None is where the operands are."""

    @property
    def is_scalar_constant(self) -> bool:
        return self.op is constant

    def output(self, i: int) -> Node:
        """The i-th result of a node with several."""
        if len(self.specs) == 1:
            return self
        return Node(project, (self,), i, (self.specs[i],), self.source)

    def __repr__(self) -> str:
        return f"%{self.serial}:{self.op.name}"

    def __bool__(self) -> bool:
        raise TypeError(
            f"[{self.op.name}] expected a rule without `if` on a value, got bool() of a traced value; use where(...) or cond(...)"
        )


class _Leaf:
    """The records of nodes that aren't ops."""

    __slots__ = ("family", "name")
    composite = None
    places = False

    def __init__(self, name: str):
        self.name = name
        self.family = "leaf"

    def __repr__(self) -> str:
        return self.name


parameter = _Leaf("parameter")
constant = _Leaf("constant")
project = _Leaf("project")

_WEAK = {bool: dt.weak_bool, int: dt.weak_int, float: dt.weak_float, complex: dt.weak_complex}


def make_parameter(position: int, spec: Spec) -> Node:
    return Node(parameter, (), position, (spec,))


def make_constant(value: object) -> Node:
    """A Python scalar as a weak 0-d value."""
    return Node(constant, (), value, (Spec(_WEAK[type(value)], ()),))


def is_python_scalar(value: object) -> bool:
    return type(value) in _WEAK


class Graph:
    """Parameters in order and the values that are its results."""

    __slots__ = ("name", "outputs", "parameters")

    def __init__(self, name: str, parameters: list, outputs: list):
        self.name = name
        self.parameters = list(parameters)
        self.outputs = list(outputs)

    def nodes(self) -> list:
        """All nodes the outputs need, operands first (parameters that nothing uses are left out)."""
        return topological(self.outputs)

    def __str__(self) -> str:
        return to_text(self)


def topological(roots: list) -> list:
    """Nodes reachable from `roots`, operands first, each once."""
    order: list[Node] = []
    seen: set[Node] = set()
    stack = [(r, False) for r in reversed(roots) if r is not None]
    while stack:
        n, done = stack.pop()
        if done:
            order.append(n)
        elif n not in seen:
            seen.add(n)
            stack.append((n, True))
            stack.extend((i, False) for i in reversed(n.inputs) if i is not None and i not in seen)
    return order


def rebuild(node: Node, inputs: tuple) -> Node:
    """The same node on other inputs of the same specs."""
    return node if inputs == node.inputs else Node(node.op, inputs, node.attrs, node.specs, node.source)


def substitute(roots: list, mapping: dict) -> list:
    """`roots` rebuilt with nodes replaced: mapping is {Node: Node}."""
    memo = dict(mapping)
    memo[None] = None
    for n in topological([r for r in roots if r is not None]):
        if n not in memo:
            memo[n] = rebuild(n, tuple(memo[i] for i in n.inputs))
    return [memo[r] for r in roots]


def to_text(graph: Graph) -> str:
    """The graph as numbered lines, with the user's lines where known."""
    numbers: dict[Node, int] = {}
    lines = [f"graph {graph.name}("]
    for p in graph.parameters:
        numbers[p] = len(numbers)
        lines.append(f"  %{numbers[p]}: {p.spec}")
    lines[-1] += ")"
    for n in graph.nodes():
        if n in numbers:
            continue
        numbers[n] = len(numbers)
        inputs = ", ".join("none" if i is None else f"%{numbers[i]}" for i in n.inputs)
        attrs = "" if n.attrs in (None, ()) else f" {n.attrs!r}"
        specs = ", ".join(map(repr, n.specs))
        source = f"  # {n.source}" if n.source else ""
        lines.append(f"  %{numbers[n]} = {n.op.name}({inputs}){attrs}: {specs}{source}")
    lines.append("  return " + ", ".join("none" if o is None else f"%{numbers[o]}" for o in graph.outputs))
    return "\n".join(lines)
