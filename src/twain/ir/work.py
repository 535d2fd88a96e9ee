"""How much arithmetic and memory traffic a node stands for: what profiles and summaries count.

A floating-point operation is an addition, a multiplication or one call of an elementwise function, whatever it costs; a
multiply-add is two. Movements cost nothing.
"""

from __future__ import annotations

from .node import Node


def flops(n: Node) -> int:
    """Operations of one node: as its record says (`OpRecord.flops`), else by its family."""
    count = getattr(n.op, "flops", None)
    if count is not None:
        return count(n)
    if n.op.family == "elementwise":
        return sum(s.size for s in n.specs)
    if n.op.family in ("reduction", "native", "scatter"):
        return max((i.size for i in n.inputs if i is not None), default=0)
    return 0  # movement, look-up: no arithmetic; what runs on the host is not known


def multiply_adds(n: Node) -> int:
    """How many of a node's operations are pairs of a multiplication and an addition."""
    return flops(n) // 2 if n.op.family == "contraction" else 0


def nbytes(n: Node) -> int:
    """Bytes of all results of a node."""
    return sum(s.size * s.dtype.itemsize for s in n.specs)


def traffic(nodes: list[Node], stored: list[Node]) -> int:
    """Bytes that a kernel of `nodes` must at least read and write: operands from outside, and what it stores."""
    inside = set(nodes)
    outside = {i for n in nodes for i in n.inputs if i is not None and i not in inside}
    return sum(map(nbytes, outside)) + sum(map(nbytes, stored))
