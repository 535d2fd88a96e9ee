"""Reverse-mode differentiation of running code inside of other transformations: a tape of its own, whose values may be theirs.

Alone, `grad` uses the core's tape. The rules are the same (transforms/vjp.py), run as ops on whatever lies below.
"""

from __future__ import annotations

import heapq

from .. import _core
from ..ir.node import Spec
from ..ir.op import OpRecord, infer
from ..ops.elementwise import add
from ..ops.index import full
from .levels import Level, Rules, Traced, invoke, layout_of, op_of_graph, operand, spec_of
from .vjp import trace_vjp

Tensor = _core.Tensor


class Taped(Traced):
    """A value and where it comes from: result `index` of `entry` (None: one of the arguments)."""

    __slots__ = ("entry", "index")

    def __init__(self, level: Level, value: object, entry: Entry | None, index: int, spec: Spec):
        self.level = level
        self.value = value
        self.entry = entry
        self.index = index
        self.specs = (spec,)

    @property
    def requires_grad(self) -> bool:
        return True

    def become(self, other: object) -> None:
        super().become(other)
        self.entry, self.index = other.entry, other.index


class _Rule:
    """The backward rule of an op for given layouts: see transforms.vjp.trace_vjp."""

    __slots__ = ("op", "results", "saved", "specs")

    def __init__(self, op, saved: tuple, results: tuple, specs: list):
        self.op = op
        self.saved = saved
        self.results = results
        self.specs = specs


class Entry:
    """One op on the tape."""

    __slots__ = ("number", "parents", "rule", "saved")

    def __init__(self, number: int, rule: _Rule, saved: list, parents: list):
        self.number = number
        self.rule = rule
        self.saved = saved
        self.parents = parents  # per operand the entry and result that it is, or None


_rules = Rules()


class ReverseLevel(Level):
    """A tape while the function to differentiate runs; `pull` afterwards, as often as wanted."""

    __slots__ = ("_count", "leaves", "outside")

    def __init__(self, name: str):
        super().__init__(name)
        self._count = 0
        self.leaves: list[Spec] = []  # of the arguments to differentiate by
        self.outside = True  # whether what runs below is to be put on a tape there

    def call(self, op, record: OpRecord, attrs: object, values: list) -> tuple:
        """The op on lower values, in the grad mode from outside."""
        if self.outside:
            return invoke(op, record, attrs, values)
        before = _core.set_grad_enabled(False)
        try:
            return invoke(op, record, attrs, values)
        finally:
            _core.set_grad_enabled(before)

    def lift(self, value: object) -> Taped:
        """An argument to differentiate by."""
        spec = Spec(value.dtype, tuple(value.shape))
        self.leaves.append(spec)
        return Taped(self, value, None, len(self.leaves) - 1, spec)

    def process(self, op, record: OpRecord, attrs: object, args: tuple) -> object:
        values, parents, layouts, mask, bit = [], [], [], 0, 1
        for a in args:
            if type(a) is Taped and a.level is self:
                parents.append((a.entry, a.index))  # not the value itself: writing to a part of it moves it on
                a = a.value
                mask |= bit
            else:
                parents.append(None)
            bit += bit
            if type(a) is Tensor:
                layouts.append(a.meta)
            else:
                a = operand(op, a)
                layouts.append(layout_of(a))
            values.append(a)
        results = self.call(op, record, attrs, values)
        rule = None
        if _core.grad_enabled():
            key = (id(record), id(attrs), mask, *layouts)
            known = _rules.get(key) or _rules.add(key, record, attrs, _make_rule, record, attrs, layouts, mask)
            rule = known[0]
        if rule is None:
            return results[0] if len(results) == 1 else results
        count = len(values)
        saved = [values[k] if k < count else results[k - count] for k in rule.saved]
        self._count += 1
        entry = Entry(self._count, rule, saved, parents)
        if len(results) == 1:
            return Taped(self, results[0], entry, 0, rule.specs[0])
        return tuple([
            Taped(self, r, entry, i, s) if s.dtype.kind in "fc" else r
            for i, (r, s) in enumerate(zip(results, rule.specs))
        ])  # fmt: skip

    def below(self, x: object) -> object:
        """A result without its place on this tape."""
        return x.value if type(x) is Taped and x.level is self else x

    def pull(self, results: list, cotangents: list) -> list:
        """The gradient of each leaf (None where nothing depends on it) for gradients of the results (None: zero)."""
        leaves: list = [None] * len(self.leaves)
        pending: dict[Entry, list] = {}

        # Entries are numbered in order; all that feeds one has a lower number.
        waiting = _Descending()

        def give(entry: Entry | None, index: int, g: object) -> None:
            if entry is None:
                slots = leaves
            else:
                slots = pending.get(entry)
                if slots is None:
                    slots = pending[entry] = [None] * len(entry.rule.specs)
                    waiting.push(entry)
            have = slots[index]
            slots[index] = g if have is None else add(have, g)

        for x, g in zip(results, cotangents):
            if g is not None and type(x) is Taped and x.level is self:
                give(x.entry, x.index, g)
        while pending:
            entry = waiting.pop()
            slots = pending.pop(entry)
            rule = entry.rule
            slots = [full(0, s.shape, s.dtype) if g is None else g for g, s in zip(slots, rule.specs)]
            found = () if rule.op is None else self.call(rule.op, rule.op.record, None, slots + entry.saved)
            for parent, source in zip(entry.parents, rule.results):
                if parent is not None and source != -1:
                    give(parent[0], parent[1], found[source] if source >= 0 else slots[-2 - source])
        return leaves


class _Descending:
    """Entries by falling number."""

    __slots__ = ("_heap",)

    def __init__(self):
        self._heap: list = []

    def push(self, entry: Entry) -> None:
        heapq.heappush(self._heap, (-entry.number, id(entry), entry))

    def pop(self) -> Entry:
        return heapq.heappop(self._heap)[2]


def _make_rule(record: OpRecord, attrs: object, layouts: list, mask: int) -> _Rule | None:
    specs = [spec_of(x) for x in layouts]
    attrs, outputs = infer(record, attrs, specs)
    found = trace_vjp(record, attrs, specs, list(outputs), mask)
    if found is None:
        return None
    graph, saved, results = found
    op = op_of_graph(graph, len(graph.parameters)) if graph.outputs else None
    return _Rule(op, saved, results, list(outputs))


__all__ = ["Entry", "ReverseLevel", "Taped"]
