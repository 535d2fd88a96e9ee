"""vmap of running code: values with a batch axis that the code doesn't see."""

from __future__ import annotations

from ..base.errors import ArgumentError, GradientError
from ..ir.node import Spec
from ..ir.op import OpRecord
from .levels import Level, Rules, Traced, invoke, layout_of, one_node, op_of_graph, operand, spec_of
from .vmap import vmap

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
        values, flags, layouts = [], [], []
        for i, a in enumerate(args):
            mine = type(a) is Batched and a.level is self
            v = a.value if mine else operand(op, i, a)
            values.append(v)
            flags.append(mine)
            layouts.append(layout_of(v))
        key = (self.size, tuple(flags), tuple(layouts))
        rule = _rules.find(record, attrs, key, lambda: self._rule(op, record, attrs, flags, layouts))
        results = invoke(rule.op, rule.record, rule.attrs, values)
        wrapped = tuple(Batched(self, r, s) if m else r for r, m, s in zip(results, rule.many, rule.specs))
        return wrapped[0] if len(wrapped) == 1 else wrapped

    def _rule(self, op, record: OpRecord, attrs: object, flags: list, layouts: list) -> _Rule:
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
