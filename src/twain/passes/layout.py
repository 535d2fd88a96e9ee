"""Rewrites that only matter to code generation: history markers vanish, and a transposed product becomes the product of
the transposes, so that what follows it (an optimizer's update, say) can join its kernel."""

from __future__ import annotations

from ..ir import node as ir
from ..ir.node import Graph, Node
from ..ops.elementwise import cast
from ..ops.linalg import real_product, transpose_last
from ..ops.shape import broadcast_to

IDENTITIES = frozenset(["stop_gradient"])


def arrange(graph: Graph) -> Graph:
    """The same values, in a form that lowers better. Not for differentiation: stop_gradient is gone."""
    users: dict[Node, set] = {}
    nodes = graph.nodes()
    for n in nodes:
        for i in n.inputs:
            if i is not None:
                users.setdefault(i, set()).add(n)
    kept = set(graph.outputs)
    memo: dict[Node | None, Node | None] = {None: None}
    for n in nodes:
        inputs = tuple(memo[i] for i in n.inputs)
        if inputs and len(n.specs) == 1 and 0 in n.shape and not _is_view(n):
            memo[n] = broadcast_to(cast(ir.make_constant(0), n.dtype), n.shape)  # nothing to compute
        elif n.op.name in IDENTITIES and inputs[0].dtype is n.dtype:
            memo[n] = inputs[0]
        elif (
            swaps_last(n)
            and n.inputs[0].op is real_product.record
            and users[n.inputs[0]] == {n}
            and n.inputs[0] not in kept
        ):
            a, b = inputs[0].inputs
            memo[n] = real_product(undone(b), undone(a))
        else:
            memo[n] = ir.rebuild(n, inputs)
    return Graph(graph.name, graph.parameters, [memo[o] for o in graph.outputs])


def _is_view(n: Node) -> bool:
    while n.op.family == "movement":
        n = n.inputs[0]
    return n.op is ir.parameter or n.op is ir.constant


def swaps_last(n: Node) -> bool:
    """Whether `n` exchanges the last two axes and nothing else."""
    if n.op.name != "permute_dims" or len(n.shape) < 2:
        return False
    rank = len(n.shape)
    return n.attrs == (*range(rank - 2), rank - 1, rank - 2)


def undone(x: Node) -> Node:
    """The transpose of x's last two axes, without transposing twice."""
    return x.inputs[0] if swaps_last(x) else transpose_last(x)
