"""Values much larger than what they are computed from, such as the outer products that gradients of each sample are:
computed in the order in which they are read, and again by each reader, rather than kept in memory and read back."""

from __future__ import annotations

from ..ir import node as ir
from ..ir.node import Graph, Node, Spec
from ..ops.shape import permute_dims, reshape

CHEAP = frozenset(["add", "cast", "equal", "greater", "less", "multiply", "negative", "not_equal", "subtract", "where"])
LARGE = 1 << 20  # bytes: less stays in the cache nearest to a core
TIMES_LARGER = 8


def near_their_readers(graph: Graph) -> Graph:
    """The same values, those computed from smaller ones in the order and in the place in which they are read."""
    return repeated(in_reading_order(graph))


def in_reading_order(graph: Graph) -> Graph:
    """The same values, where what is computed from smaller operands and then permuted is computed from permuted operands."""
    nodes = graph.nodes()
    if not any(n.op is permute_dims.record and n.inputs[0].op.family == "elementwise" for n in nodes):
        return graph
    readers = readers_of(nodes)
    kept = set(graph.outputs)
    memo: dict[Node | None, Node | None] = {None: None}

    def local(x: Node) -> bool:
        """Whether only one reads x, and its operands are smaller or local themselves."""
        if x.op.family != "elementwise" or len(x.specs) > 1 or x in kept or len(readers[x]) > 1:
            return False
        return all(i is None or i.size < x.size or local(i) for i in x.inputs)

    def moved(x: Node, axes: tuple, size: int) -> Node:
        if x.size < size:
            aligned = shaped(memo[x], (1,) * (len(axes) - len(x.shape)) + tuple(x.shape))
            return memo[x] if x.size == 1 else permute_dims(aligned, axes)
        inputs = tuple(None if i is None else moved(i, axes, size) for i in x.inputs)
        return Node(x.op, inputs, x.attrs, (Spec(x.dtype, tuple(x.shape[a] for a in axes)),), x.source)

    for n in nodes:
        if n.op is permute_dims.record and local(n.inputs[0]):
            memo[n] = moved(n.inputs[0], n.attrs, n.size)
        else:
            memo[n] = ir.rebuild(n, tuple(memo[i] for i in n.inputs))
    return Graph(graph.name, graph.parameters, [memo[o] for o in graph.outputs])


def repeated(graph: Graph) -> Graph:
    """The same values, where each reader of a large value that is cheap to compute from small ones computes it itself."""
    nodes = graph.nodes()
    readers = readers_of(nodes)
    kept = set(graph.outputs)
    spread = {n for n in nodes if n not in kept and n.op.name in CHEAP and _all_join(n, readers[n]) and _is_spread(n)}
    if not spread:
        return graph
    memo: dict[Node | None, Node | None] = {None: None}
    for n in nodes:
        own = {i: copied(memo[i]) if i in spread else memo[i] for i in n.inputs}
        memo[n] = ir.rebuild(n, tuple(own[i] for i in n.inputs))
    return Graph(graph.name, graph.parameters, [memo[o] for o in graph.outputs])


def readers_of(nodes: list) -> dict[Node, set]:
    """The nodes that read each value."""
    readers: dict[Node, set] = {}
    for n in nodes:
        for i in n.inputs:
            if i is not None:
                readers.setdefault(i, set()).add(n)
    return readers


def copied(n: Node) -> Node:
    return Node(n.op, n.inputs, n.attrs, n.specs, n.source)


def _all_join(n: Node, readers: set) -> bool:
    """Whether several read `n`, and each can compute it in its own kernel."""
    return len(readers) > 1 and all(
        n in r.inputs and (r.op.family == "reduction" or (r.op.family == "elementwise" and r.shape == n.shape))
        for r in readers
    )


def _is_spread(n: Node) -> bool:
    """Whether `n` is large and computed from little."""
    if n.op.family != "elementwise" or n.size * n.dtype.itemsize < LARGE:
        return False
    return TIMES_LARGER * sum(i.size for i in n.inputs if i is not None) <= n.size


def shaped(x: Node, shape: tuple) -> Node:
    return x if x.shape == shape else reshape(x, shape)
