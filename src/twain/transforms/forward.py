"""Forward-mode differentiation of running code: values with the change that a given change of the operands makes in them."""

from __future__ import annotations

from .. import _core
from ..ir.node import Graph, Node, Spec, make_parameter
from ..ir.op import OpRecord
from .jvp import pushforward
from .levels import Level, Rules, Traced, invoke, layout_of, one_node, op_of_graph, operand, spec_of

Tensor = _core.Tensor


class Dual(Traced):
    """`value` and its `tangent`, of the same dtype and shape."""

    __slots__ = ("tangent",)

    def __init__(self, level: Level, value: object, tangent: object, spec: Spec):
        self.level = level
        self.value = value
        self.tangent = tangent
        self.specs = (spec,)

    def become(self, other: object) -> None:
        super().become(other)
        self.tangent = other.tangent


class _Rule:
    """An op that gives results and tangents; `moved`: per result the number of its tangent among them, or None."""

    __slots__ = ("count", "moved", "op", "specs")

    def __init__(self, op, count: int, moved: list, specs: list):
        self.op = op
        self.count = count
        self.moved = moved
        self.specs = specs


_rules = Rules()


class ForwardLevel(Level):
    """jvp while its function runs."""

    __slots__ = ()

    def lift(self, value: object, tangent: object) -> Dual:
        return Dual(self, value, tangent, Spec(value.dtype, tuple(value.shape)))

    def process(self, op, record: OpRecord, attrs: object, args: tuple) -> object:
        values, layouts, tangents, flags, bit = [], [], [], 0, 1
        for a in args:
            if type(a) is Dual and a.level is self:
                tangents.append(a.tangent)
                a = a.value
                flags |= bit
            bit += bit
            if type(a) is Tensor:
                layouts.append(a.meta)
            else:
                a = operand(op, a)
                layouts.append(layout_of(a))
            values.append(a)
        key = (id(record), id(attrs), flags, *layouts)
        known = _rules.get(key) or _rules.add(key, record, attrs, _make_rule, record, attrs, flags, layouts)
        rule = known[0]
        if rule is None:  # nothing moves
            results = invoke(op, record, attrs, values)
            return results[0] if len(results) == 1 else results
        found = invoke(rule.op, rule.op.record, None, values + tangents)
        results = tuple([
            found[i] if at is None else Dual(self, found[i], found[at], s)
            for i, (at, s) in enumerate(zip(rule.moved, rule.specs))
        ])  # fmt: skip
        return results[0] if len(results) == 1 else results


def _make_rule(record: OpRecord, attrs: object, bits: int, layouts: list) -> _Rule | None:
    flags = [bool(bits >> i & 1) for i in range(len(layouts))]
    specs = [spec_of(x) for x in layouts]
    graph = one_node(record, attrs, specs)
    positions = [i for i, f in enumerate(flags) if f]
    known = {p.attrs: p for p in graph.parameters}
    more: dict[Node, tuple] = {}
    tangents: dict[Node, tuple] = dict.fromkeys(graph.parameters, (None,))
    for number, position in enumerate(positions):
        t = make_parameter(len(specs) + number, specs[position])
        more[t] = (None,)
        if specs[position].dtype.kind in "fc":
            tangents[known[position]] = (t,)
    whole = [o.spec for o in graph.outputs]
    outputs, along = pushforward(graph.outputs, tangents)
    if all(t is None for t in along):
        return None
    moved, roots = [], list(outputs)
    for t in along:
        moved.append(None if t is None else len(roots))
        if t is not None:
            roots.append(t)
    made = op_of_graph(Graph(f"jvp_{record.name}", [*graph.parameters, *more], roots), len(specs) + len(positions))
    return _Rule(made, len(outputs), moved, whole)


__all__ = ["Dual", "ForwardLevel"]
