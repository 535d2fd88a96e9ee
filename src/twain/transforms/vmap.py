"""Batching, graph to graph: a function of single examples becomes one of many, stacked along axis 0."""

from __future__ import annotations

from ..base.errors import ArgumentError
from ..ir import node as ir
from ..ir.node import Graph, Node, Spec, make_parameter
from ..ir.op import apply, as_value, expand, inline
from ..ops.shape import broadcast_to


def vmap(graph: Graph, batched: dict, size: int) -> tuple[Graph, list[bool]]:
    """(graph, flags): the same function with a batch of `size` as axis 0 of the parameters whose position is in `batched`
    and of the results; flags say which results depend on a batch (the others are as they were)."""
    values: dict[Node, tuple] = {}
    parameters = []
    for p in graph.parameters:
        many = bool(batched.get(p.attrs))
        new = make_parameter(p.attrs, Spec(p.dtype, (size, *p.shape))) if many else p
        parameters.append(new)
        values[p] = ((new,), (many,))
    _walk(graph.outputs, values, size)
    outputs = [values[o][0][0] for o in graph.outputs]
    return Graph(f"vmap_{graph.name}", parameters, outputs), [values[o][1][0] for o in graph.outputs]


def every_batched(graph: Graph, flags: list, size: int) -> Graph:
    """The graph with results that don't depend on the batch repeated for it."""
    outputs = [o if f else broadcast_to(o, (size, *o.shape)) for o, f in zip(graph.outputs, flags)]
    return Graph(graph.name, graph.parameters, outputs)


def _walk(roots: list, values: dict, size: int) -> None:
    """values: node -> (its results' replacements, per result whether it is batched)."""
    for n in ir.topological(roots):
        if n in values:
            continue
        if not n.inputs:
            values[n] = (tuple(n.output(i) for i in range(len(n.specs))), (False,) * len(n.specs))
        elif n.op is ir.project:
            whole, many = values[n.inputs[0]]
            values[n] = ((whole[n.attrs],), (many[n.attrs],))
        elif n.op.composite is not None:
            body = expand(n.op, n.attrs, tuple(None if i is None else i.spec for i in n.inputs))
            outputs = inline(body, {p: n.inputs[p.attrs] for p in body.parameters})
            _walk(outputs, values, size)
            found = [values[o] for o in outputs]
            values[n] = (tuple(v[0] for v, _ in found), tuple(m[0] for _, m in found))
        else:
            values[n] = _primitive(n, [(None, (False,)) if i is None else values[i] for i in n.inputs], size)


def _primitive(n: Node, found: list, size: int) -> tuple:
    inputs = tuple(None if v is None else v[0] for v, _ in found)
    flags = [many[0] for _, many in found]
    if not any(flags):
        new = ir.rebuild(n, inputs)
        return tuple(new.output(i) for i in range(len(n.specs))), (False,) * len(n.specs)
    if n.op.batch is None:
        raise ArgumentError(f"[vmap] expected ops with a batching rule, got {n.op.name}, which has none")

    def call(attrs, *values):
        return apply(n.op, attrs, (values,) if n.op.arity < 0 else values)

    result = n.op.batch(n.attrs, call, inputs, flags, size)
    results = result if type(result) is tuple else (result,)
    for r, s in zip(results, n.specs):
        if r.shape != (size, *s.shape):
            raise ArgumentError(
                f"[vmap] expected {n.op.name}'s batching rule to give shape {(size, *s.shape)}, got {r.shape}"
            )
    return tuple(as_value(r, n.op.name) for r in results), (True,) * len(n.specs)


__all__ = ["every_batched", "vmap"]
