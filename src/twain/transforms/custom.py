"""A function with a derivative of its own as an op. Where code is generated it is nothing but the function, so it fuses with
its neighbours; derivatives use what was given: a gradient rule, a rule for tangents, or both.

Either rule is linear in what it gets (a gradient, tangents), so each gives the other by differentiating it by that.
"""

from __future__ import annotations

from .. import _core
from ..ir.interpret import interpret
from ..ir.node import Graph, rebuild, substitute
from ..ir.op import OpRecord, inline
from ..ops.shape import broadcast_to
from ..passes.simplify import simplify
from .body import Body, intern
from .control import Control, moving, opened, run, zeros_of
from .vjp import gradients
from .vmap import every_batched, vmap

# attrs: (primal: operands -> results; vjp: operands, gradients of floating results -> gradients; the operands these are of;
# jvp: operands, tangents of those operands -> results, tangents of floating results). Either rule may be None.


def _infer(attrs, *specs):
    return tuple(attrs[0].specs)


def _floating(body: Body) -> list[int]:
    return [i for i, s in enumerate(body.specs) if moving(s)]


def _transposed(body: Body, count: int, roots: list, cotangents: list, inputs: list) -> list:
    """Of a body linear in the parameters after the first `count`: the gradients of those for gradients of `roots`."""
    flat = simplify(body.graph)
    linear = flat.parameters[count:]
    found = gradients([flat.outputs[i] for i in roots], cotangents, linear)
    given = [*inputs, *(zeros_of(p.spec) for p in linear)]
    return substitute(found, dict(zip(flat.parameters, given)))


def _vjp(attrs, cotangents, inputs, outputs, needs):
    primal, rule, of, along = attrs
    floating = _floating(primal)
    given = [cotangents[i] for i in floating]
    if rule is not None:
        found = opened(rule, [*inputs, *given])
    else:
        first = len(primal.specs)
        found = _transposed(along, len(inputs), list(range(first, first + len(floating))), given, list(inputs))
    found = dict(zip(of, found))
    return [found.get(i) if n else None for i, n in enumerate(needs)]


def _push(attrs, inputs, tangents):
    primal, rule, of, along = attrs
    floating = _floating(primal)
    moves: list = [None] * len(primal.specs)
    if not any(tangents[i] is not None for i in of):
        return list(run(custom, attrs, list(inputs))), moves
    if along is not None:
        given = [zeros_of(inputs[i].spec) if tangents[i] is None else tangents[i] for i in of]
        found = opened(along, [*inputs, *given])
        results, found = found[: len(moves)], found[len(moves) :]
    else:
        results = list(run(custom, attrs, list(inputs)))
        roots = [k for k, i in enumerate(of) if tangents[i] is not None]
        found = _transposed(rule, len(inputs), roots, [tangents[of[k]] for k in roots], list(inputs))
    for i, t in zip(floating, found):
        moves[i] = t
    return results, moves


def _batch(attrs, call, inputs, batched, size):
    primal, rule, of, along = attrs
    given = [x if b else broadcast_to(x, (size, *x.shape)) for x, b in zip(inputs, batched)]

    def many(body: Body | None) -> Body | None:
        if body is None:
            return None
        return intern(every_batched(*vmap(body.graph, dict.fromkeys(range(len(body.operands)), True), size), size))

    return run(custom, (many(primal), many(rule), of, many(along)), given)


def custom_reference(*args):
    *arrays, primal, _, _, _ = args
    return tuple(interpret(primal.graph, arrays))


custom = OpRecord(
    "custom_gradient", "control", -1, infer=_infer, vjp=_vjp, batch=_batch, rules=Control(_push), lowering="control",
    attributes=lambda *a: a, reference="twain.transforms.custom.custom_reference",
)  # fmt: skip
CUSTOM = _core.Op(custom.name, custom.arity, custom)


def without_custom(graph: Graph) -> Graph:
    """A simplified graph with custom functions replaced by what they compute: for code generation, not for derivatives."""
    while any(n.op is custom for n in graph.nodes()):
        mapping: dict = {p: p for p in graph.parameters}
        mapping[None] = None
        for n in graph.nodes():
            if n in mapping:
                continue
            inputs = tuple(mapping[i] for i in n.inputs)
            if n.op is custom:
                body = n.attrs[0].graph
                results = inline(body, dict(zip(body.parameters, inputs)))
                mapping[n] = tuple(results) if len(n.specs) > 1 else results[0]
            elif len(inputs) == 1 and type(inputs[0]) is tuple:
                mapping[n] = inputs[0][n.attrs]
            else:
                mapping[n] = rebuild(n, inputs)
        graph = simplify(Graph(graph.name, graph.parameters, [mapping[o] for o in graph.outputs]))
    return graph


__all__ = ["CUSTOM", "custom", "without_custom"]
