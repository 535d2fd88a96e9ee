"""Forward-mode differentiation, graph to graph: results and their change along given changes of the operands."""

from __future__ import annotations

from ..base.errors import GradientError
from ..ir import node as ir
from ..ir.node import Graph, Node, make_parameter
from ..ir.op import apply, expand, inline
from ..ops.families import late


def jvp(graph: Graph, wanted: list) -> Graph:
    """The graph's results, then their tangents.

    Its parameters are those of `graph`, then one tangent (of the same dtype and shape) for each position in `wanted`.
    A result that doesn't depend on them has a tangent of zeros.
    """
    known = {p.attrs: p for p in graph.parameters}
    first = 1 + max(known, default=-1)
    tangents: dict[Node, tuple] = dict.fromkeys(graph.parameters, (None,))
    more = []
    for number, position in enumerate(wanted):
        t = make_parameter(first + number, known[position].spec)
        more.append(t)
        tangents[known[position]] = (t,)
    outputs = pushforward(graph.outputs, tangents)
    found = [late.zeros_like(o) if t is None else t for o, t in zip(*outputs)]
    return Graph(f"jvp_{graph.name}", [*graph.parameters, *more], [*outputs[0], *found])


def pushforward(roots: list, tangents: dict) -> tuple:
    """(roots with composites opened, their tangents or None). `tangents` maps nodes to a tuple, one entry per result."""
    opened: dict[Node, Node | tuple] = {n: n for n in tangents}
    _walk(roots, opened, tangents)
    values = [opened[r] for r in roots]
    return values, [tangents[r][0] for r in roots]


def _walk(roots: list, opened: dict, tangents: dict) -> None:
    for n in ir.topological(roots):
        if n in opened:
            continue
        if not n.inputs:
            opened[n], tangents[n] = n, (None,) * len(n.specs)
        elif n.op is ir.project:
            whole = opened[n.inputs[0]]
            opened[n] = whole[n.attrs] if type(whole) is tuple else whole.output(n.attrs)
            tangents[n] = (tangents[n.inputs[0]][n.attrs],)
        elif n.op.composite is not None:
            _open(n, opened, tangents)
        else:
            inputs = tuple(opened[i] for i in n.inputs)
            value = ir.rebuild(n, inputs)
            given = [tangents[i][0] for i in n.inputs]
            if n.op.family == "control" and any(t is not None for t in given):  # results and tangents come out together
                results, found = n.op.rules.push(n.attrs, inputs, given)
                opened[n] = tuple(results) if len(n.specs) > 1 else results[0]
                tangents[n] = tuple(found)
                continue
            opened[n] = value
            tangents[n] = tangents[value] = _rule(value, given)


def _open(n: Node, opened: dict, tangents: dict) -> None:
    """A composite: its graph takes its place."""
    body = expand(n.op, n.attrs, tuple(None if i is None else i.spec for i in n.inputs))
    outputs = inline(body, {p: n.inputs[p.attrs] for p in body.parameters})
    _walk(outputs, opened, tangents)
    opened[n] = tuple(opened[o] for o in outputs) if len(n.specs) > 1 else opened[outputs[0]]
    tangents[n] = tuple(tangents[o][0] for o in outputs)


def _rule(n: Node, given: list) -> tuple:
    """The tangents of a primitive's results."""
    nothing = (None,) * len(n.specs)
    if all(t is None for t in given) or not n.op.differentiable or not any(s.dtype.kind in "fc" for s in n.specs):
        return nothing
    if n.op.jvp is None:
        raise GradientError(f"[jvp] expected ops with a forward-mode rule, got {n.op.name}, which has none")

    def call(attrs, *values):
        return apply(n.op, attrs, (values,) if n.op.arity < 0 else values)

    # integers and bools don't move
    given = [t if t is None or i.dtype.kind in "fc" else None for t, i in zip(given, n.inputs)]
    if all(t is None for t in given):
        return nothing
    results = n.op.jvp(n.attrs, call, given, n.inputs, [n.output(i) for i in range(len(n.specs))])
    return tuple(results)


__all__ = ["jvp", "pushforward"]
