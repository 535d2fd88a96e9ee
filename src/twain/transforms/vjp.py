"""Reverse-mode differentiation, graph to graph.

Rules are the ops' own (`OpRecord.vjp`), traced once per (op, specs, which inputs need a gradient); the trace decides what
forward must save. What a gradient needs of the inside of a composite is computed again from its inputs, unless it is one
of the composite's results.
"""

from __future__ import annotations

from .. import _core
from ..base.errors import VerificationError
from ..ir import node as ir
from ..ir.node import Graph, Node, Spec, make_parameter
from ..ir.op import OpRecord, as_value, expand, inline
from ..ops.families import late
from ..passes.simplify import simplify


def gradients(roots: list, cotangents: list, wanted: list) -> list:
    """d(sum of roots . cotangents)/d(wanted) as nodes (None where nothing depends on it).

    roots and wanted are nodes of one graph of primitives; cotangents may hold None.
    """
    order = ir.topological(roots)
    needed = set(wanted)
    for n in order:
        if n not in needed and any(i in needed for i in n.inputs) and differentiable(n):
            needed.add(n)
    collected: dict[Node, list] = {}

    def collect(n: Node, output: int, g: Node | None) -> None:
        if g is None or n not in needed:
            return
        slots = collected.setdefault(n, [None] * len(n.specs))
        slots[output] = g if slots[output] is None else late.add(slots[output], g)

    for r, g in zip(roots, cotangents):
        collect(r, 0, g)
    for n in reversed(order):
        slots = collected.get(n)
        if slots is None or not n.inputs:
            continue
        if n.op is ir.project:
            collect(n.inputs[0], n.attrs, slots[0])
            continue
        slots = _filled(n.op, slots, [n.output(i) for i in range(len(n.specs))])
        needs = [i in needed for i in n.inputs]
        results = n.op.vjp(n.attrs, slots, n.inputs, [n.output(i) for i in range(len(n.specs))], needs)
        for i, g in zip(n.inputs, results):
            if i is not None:
                collect(i, 0, as_value(g, n.op.name))
    return [collected[w][0] if w in collected else None for w in wanted]


def _filled(record: OpRecord, cotangents: list, results: list) -> list:
    """Cotangents with zeros where there are none, unless the op's rule does without."""
    if record.partial:
        return cotangents
    return [late.zeros_like(y) if g is None else g for g, y in zip(cotangents, results)]


def differentiable(n: Node) -> bool:
    if n.op is ir.project:
        return n.dtype.kind in "fc"
    return n.op.vjp is not None and any(s.dtype.kind in "fc" for s in n.specs)


def trace_vjp(
    record: OpRecord, attrs: object, specs: list, outputs: list, mask: int, absent: frozenset = frozenset()
) -> tuple | None:
    """The backward rule of one op call.

    attrs are canonical; specs and outputs are of the inputs and results; bit i of mask says that input i needs a gradient;
    the results numbered `absent` have none.
    Returns None if no gradient flows, else (graph, saved, results): the graph's parameters are the gradients of all
    results, then the values in `saved` (numbers into inputs + outputs); results[i] is -1 (none), k >= 0 (the graph's
    k-th output) or -2 - j (the gradient of result j itself).
    """
    count = len(outputs)
    g = [make_parameter(j, s) for j, s in enumerate(outputs)]
    inputs = [None if s is None else make_parameter(count + i, s) for i, s in enumerate(specs)]
    results_in = [make_parameter(count + len(specs) + j, s) for j, s in enumerate(outputs)]
    needs = [bool(mask >> i & 1) and s is not None and s.dtype.kind in "fc" for i, s in enumerate(specs)]
    if not any(needs):
        return None
    before = _core.set_tracing(True)
    try:
        present = [None if j in absent else x for j, x in enumerate(g)]
        found = _cotangents(record, attrs, present, inputs, results_in, needs)
    finally:
        _core.set_tracing(before)
    if found is None or all(x is None for x in found):
        return None
    graph = simplify(Graph(f"vjp_{record.name}", [*g, *[i for i in inputs if i is not None], *results_in],
                           [x for x in found if x is not None]))  # fmt: skip
    kept = iter(graph.outputs)
    found = [None if x is None else next(kept) for x in found]
    order: list[Node] = []
    results = []
    for x in found:
        if x is None:
            results.append(-1)
        elif x.op is ir.parameter and x.attrs < count:
            results.append(-2 - x.attrs)
        else:
            if x not in order:
                order.append(x)
            results.append(order.index(x))
    used = {n.attrs for n in ir.topological(order) if n.op is ir.parameter}
    saved = [i for i in range(len(specs) + count) if count + i in used]
    parameters = [make_parameter(j, s) for j, s in enumerate(outputs)]
    mapping = dict(zip(g, parameters))
    values = [*inputs, *results_in]
    for position, i in enumerate(saved, count):
        p = make_parameter(position, values[i].spec)
        mapping[values[i]] = p
        parameters.append(p)
    return Graph(graph.name, parameters, ir.substitute(order, mapping)), tuple(saved), tuple(results)


def _cotangents(record: OpRecord, attrs: object, g: list, inputs: list, results_in: list, needs: list) -> list | None:
    """The gradient of each input that needs one, as nodes over g, inputs and results."""
    if record.composite is None or record.vjp is not None:
        if record.vjp is None:
            return None
        found = record.vjp(attrs, _filled(record, g, results_in), inputs, results_in, needs)
        return [as_value(x, record.name) if n else None for x, n in zip(found, needs)]
    body = expand(record, attrs, tuple(None if i is None else i.spec for i in inputs))
    mapping = {p: inputs[p.attrs] for p in body.parameters}
    flat = simplify(Graph(record.name, [p for p in inputs if p is not None], ir.substitute(body.outputs, mapping)))
    inner = iter(gradients(flat.outputs, g, [x for x, n in zip(inputs, needs) if n]))
    found = [next(inner) if n else None for n in needs]
    known = {o: r for o, r in zip(flat.outputs, results_in) if o.op.family != "leaf"}
    return ir.substitute(found, known)


def _partial(record: OpRecord, attrs: object, specs: list, mask: int, absent: frozenset, form: tuple, values: tuple):
    """The results of a rule of this form (saved, results) where some results of the call have no gradient; None if that
    takes other values than were saved."""
    saved, results = form
    count = len(values) - len(saved)
    inputs, outputs = specs[: len(specs) - count], specs[len(specs) - count :]
    traced = trace_vjp(record, attrs, inputs, outputs, mask, absent)
    graph, kept, found = (None, (), (-1,) * len(inputs)) if traced is None else traced
    if not set(kept) <= set(saved):
        return None
    place = {i: values[count + k] for k, i in enumerate(saved)}
    operands = [*values[:count], *(place[i] for i in kept)]
    computed = [] if graph is None else inline(graph, {p: operands[p.attrs] for p in graph.parameters})
    gradients_of: dict[int, Node] = {}
    for i, (wanted, source) in enumerate(zip(results, found)):
        if wanted < 0 or wanted in gradients_of:
            continue
        if source >= 0:
            gradients_of[wanted] = computed[source]
        else:
            gradients_of[wanted] = values[-2 - source] if source < -1 else late.zeros_like(make_parameter(i, inputs[i]))
    return [gradients_of[k] for k in range(len(gradients_of))]


class Rule:
    """In the slot `rules` of the records that rule_record makes: the record of the op that it differentiates, and what
    tells its rules from each other."""

    __slots__ = ("form", "of")

    def __init__(self, of: OpRecord, form: tuple):
        self.of = of
        self.form = form


def rule_record(record: OpRecord, mask: int, count: int, saved: tuple, results: tuple) -> OpRecord:
    """The dynamic op that runs the backward rules of `record`, for any shapes whose trace has this form.

    Its static arguments are (attrs of the call, (dtype, shape) of each of its inputs and `count` outputs, None for
    absent ones); its operands the gradients of the outputs, None for those that nobody reads, and the saved values.
    """

    def composite(attrs, *values):
        inner, described = attrs
        specs = [None if d is None else Spec(*d) for d in described]
        traced = trace_vjp(record, inner, specs[: len(specs) - count], specs[len(specs) - count :], mask)
        if traced is None or traced[1:] != (saved, results):
            raise VerificationError(f"[vjp_{record.name}] expected a rule of the form that was prepared")
        absent = frozenset(j for j in range(count) if values[j] is None and specs[j - count].dtype.kind in "fc")
        if absent:
            found = _partial(record, inner, specs, mask, absent, (saved, results), values)
            if found is not None:
                return found
            zeros = {j: late.zeros_like(make_parameter(j, specs[j - count])) for j in absent}
            values = tuple(zeros.get(j, v) for j, v in enumerate(values))
        graph = traced[0]
        return inline(graph, {p: values[p.attrs] for p in graph.parameters})

    return OpRecord(
        f"vjp_{record.name}",
        "dynamic",
        count + len(saved),
        composite=composite,
        rules=Rule(record, (mask, count, saved, results)),
    )


__all__ = ["Rule", "gradients", "rule_record", "trace_vjp"]
