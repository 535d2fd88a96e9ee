"""vmap of running code: values with a batch axis that the code doesn't see."""

from __future__ import annotations

from .. import _core
from ..base.errors import ArgumentError, GradientError
from ..ir.node import Spec
from ..ir.op import OpRecord
from .levels import Level, Rules, Traced, invoke, layout_of, one_node, op_of_graph, operand, spec_of
from .vmap import vmap

Tensor = _core.Tensor
RANDOMNESS = ("error", "same", "different")


class Batched(Traced):
    """`value` has the batch as axis 0; shape, dtype and all else are of a single example."""

    __slots__ = ()


class _Rule:
    """What to call on the lower values, and which results carry the batch."""

    __slots__ = ("attrs", "many", "op", "record", "specs")

    def __init__(self, op, record: OpRecord, attrs: object, many: list, specs: list):
        self.op = op
        self.record = record
        self.attrs = attrs
        self.many = many
        self.specs = specs  # of a single example


_rules = Rules()


class BatchLevel(Level):
    """vmap while its function runs."""

    __slots__ = ("randomness", "size")

    def __init__(self, name: str, size: int, randomness: str = "error"):
        super().__init__(name)
        self.size = size
        self.randomness = randomness

    def lift(self, value: object) -> Batched:
        """A value with the batch as axis 0."""
        return Batched(self, value, Spec(value.dtype, tuple(value.shape)[1:]))

    def readable(self, x: Traced, what: str) -> object:
        raise GradientError(
            f"[{self.name}] expected code that doesn't read the values of a batch, got {what} of one that stands for "
            f"{self.size} examples: use where(...) or cond(...) instead of `if`, or compute what is read outside and pass it in"
        )

    def process(self, op, record: OpRecord, attrs: object, args: tuple) -> object:
        values, layouts, flags, bit = [], [], 0, 1
        for a in args:
            if type(a) is Batched and a.level is self:
                a = a.value
                flags |= bit
            bit += bit
            if type(a) is Tensor:
                layouts.append(a.meta)
            else:
                a = operand(op, a)
                layouts.append(layout_of(a))
            values.append(a)
        key = (id(record), id(attrs), self.size, flags, *layouts)
        known = _rules.get(key) or _rules.add(key, record, attrs, self._rule, op, record, attrs, flags, layouts)
        rule = known[0]
        results = invoke(rule.op, rule.record, rule.attrs, values)
        if len(results) == 1:
            return Batched(self, results[0], rule.specs[0]) if rule.many[0] else results[0]
        return tuple([Batched(self, r, s) if m else r for r, m, s in zip(results, rule.many, rule.specs)])

    def _rule(self, op, record: OpRecord, attrs: object, bits: int, layouts: list) -> _Rule:
        flags = [bool(bits >> i & 1) for i in range(len(layouts))]
        specs = [spec_of(x) for x in layouts]
        single = [Spec(s.dtype, s.shape[1:]) if f else s for s, f in zip(specs, flags)]
        graph = one_node(record, attrs, single)
        whole = [o.spec for o in graph.outputs]
        graph, many = vmap(graph, dict(enumerate(flags)), self.size)
        [root, *rest] = graph.outputs
        if (
            not rest
            and root.op is record
            and list(root.inputs) == graph.parameters
            and len(graph.parameters) == len(specs)
        ):
            return _Rule(op, record, root.attrs, many, whole)  # the op itself, perhaps along other axes
        made = op_of_graph(graph, len(specs))
        return _Rule(made, made.record, None, many, whole)


def check_randomness(randomness: object) -> None:
    if randomness not in RANDOMNESS:
        raise ArgumentError(f"[vmap] expected randomness to be one of {', '.join(RANDOMNESS)}, got {randomness!r}")


__all__ = ["BatchLevel", "Batched", "check_randomness"]
