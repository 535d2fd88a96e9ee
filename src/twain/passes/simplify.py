"""Inline composites, drop what does nothing, share what is equal. Graph -> Graph, one walk."""

from __future__ import annotations

from ..ir import node as ir
from ..ir.node import Graph, Node
from ..ir.op import exact_key, expand
from ..ir.verify import around


def simplify(graph: Graph) -> Graph:
    """The same function in primitives: composites inlined, identities dropped, common subexpressions shared."""
    return around("simplify", simplify_part, graph, primitive=True)


def simplify_part(graph: Graph) -> Graph:
    """The same for a part of a larger graph: its parameters may be any nodes."""
    worker = _Simplifier()
    memo: dict[Node, Node | tuple] = {p: p for p in graph.parameters}
    outputs = worker.run(graph.outputs, memo)
    return Graph(graph.name, graph.parameters, outputs)


class _Simplifier:
    def __init__(self):
        self.table: dict[tuple, Node] = {}

    def run(self, roots: list, memo: dict) -> list:
        for n in ir.topological(roots):
            if n not in memo:
                memo[n] = self.node(n, memo)
        return [None if r is None else memo[r] for r in roots]

    def node(self, n: Node, memo: dict) -> Node | tuple:
        """The replacement of `n`; a tuple of nodes for an inlined op with several results."""
        if n.op is ir.parameter:
            return n
        if n.op is ir.constant:
            return self.share(n, (type(n.attrs), repr(n.attrs)))
        if n.op is ir.project:
            whole = memo[n.inputs[0]]
            return whole[n.attrs] if type(whole) is tuple else self.share(ir.rebuild(n, (whole,)), n.attrs)
        inputs = tuple(None if i is None else memo[i] for i in n.inputs)
        if n.op.composite is not None:
            body = expand(n.op, n.attrs, tuple(None if i is None else i.spec for i in inputs))
            mapping = {p: inputs[p.attrs] for p in body.parameters}
            source = n.source
            outputs = self.run_body(body, mapping, source)
            return tuple(outputs) if len(n.specs) > 1 else outputs[0]
        n = self.identity(ir.rebuild(n, inputs))
        return n if n in inputs or n.op in (ir.parameter,) else self.share(n, exact_key(n.attrs))

    def run_body(self, body: Graph, mapping: dict, source) -> list:
        memo = dict(mapping)
        for n in body.nodes():
            if n not in memo:
                memo[n] = self.node(n if n.source or not source else _at(n, source), memo)
        return [memo[o] for o in body.outputs]

    def share(self, n: Node, attrs: object) -> Node:
        key = (n.op.name, id(n.op), attrs, tuple(None if i is None else i.serial for i in n.inputs), n.specs)
        found = self.table.get(key)
        if found is None:
            self.table[key] = found = n
        return found

    def identity(self, n: Node) -> Node:
        """What `n` reduces to without computing: casts to the same dtype, movements that don't move, constants."""
        x = n.inputs[0] if n.inputs else None
        name = n.op.name
        if n.op.family == "movement":
            if x.shape == n.shape and x.dtype is n.dtype:
                if name in ("reshape", "broadcast_to") or (
                    name == "permute_dims" and n.attrs == tuple(range(len(n.attrs)))
                ):
                    return x
                if name in ("slice", "getitem") and all(s == 0 for s in n.attrs[0]) and all(s == 1 for s in n.attrs[1]):
                    return x
            if x.op is n.op and name == "reshape":
                return self.identity(Node(n.op, x.inputs, n.attrs, n.specs, n.source))
            if x.op is n.op and name == "permute_dims":
                joined = tuple(x.attrs[a] for a in n.attrs)
                return self.identity(Node(n.op, x.inputs, joined, n.specs, n.source))
        elif name == "cast":
            if x.dtype is n.dtype:
                return x
        elif name in ("conj", "real") and x.dtype.kind != "c" or name == "positive":
            if x.dtype is n.dtype:
                return x
        elif name == "negative" and x.op is n.op:
            return x.inputs[0]
        elif name in ("multiply", "divide") and n.inputs[1].op is ir.constant and n.inputs[1].attrs == 1:
            if x.dtype is n.dtype and x.shape == n.shape and not isinstance(n.inputs[1].attrs, complex):
                return x
        elif name == "multiply" and x.op is ir.constant and x.attrs == 1 and not isinstance(x.attrs, complex):
            other = n.inputs[1]
            if other.dtype is n.dtype and other.shape == n.shape:
                return other
        if name == "sum" and not n.attrs[0] and x.dtype is n.dtype:
            return x
        return n


def _at(n: Node, source: str) -> Node:
    return Node(n.op, n.inputs, n.attrs, n.specs, source)
