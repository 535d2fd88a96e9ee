"""What each step of a profiled call computes: its call is lowered again, and the nodes of each step are read off."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

from ..ir.work import flops, traffic
from ..runtime.placement import specs_of
from ..runtime.prepare import lower_call


class Label(NamedTuple):
    """A kernel: which group of nodes it is part of, what that computes, where the user wrote it (None: as the call),
    operations, and bytes at least moved."""

    group: int
    name: str
    line: str | None
    flops: int
    nbytes: int


_KNOWN: dict[tuple, list[Label]] = {}
_LIMIT = 4096


def labels_of(op: Any, attrs: Any, metas: tuple) -> list[Label]:
    """A label per step of the call's program."""
    key = (op, attrs, metas)
    found = _KNOWN.get(key)
    if found is None:
        if len(_KNOWN) >= _LIMIT:
            _KNOWN.clear()
        lowered = lower_call(op.record, attrs, specs_of(metas), [None if m is None else m.strides for m in metas])
        found = _KNOWN[key] = label_steps(lowered)
    return found


def label_steps(lowered: Any) -> list[Label]:
    """Labels of lowered steps. A group may take several (packing, the parts of a fold): all have the same label."""
    labels = []
    for number, step in enumerate(lowered.steps):
        nodes = list(step.nodes)
        if not nodes:
            labels.append(Label(-1 - number, "copy", None, 0, 0))
            continue
        line = max(nodes, key=flops).source or next((n.source for n in nodes if n.source), None)
        work, moved = sum(map(flops, nodes)), traffic(nodes, _stored(nodes))
        labels.append(Label(id(step.nodes), _name(nodes), line, work, moved))
    return labels


def _stored(nodes: list) -> list:
    """Nodes of a group that no other node of it reads: at least these are written."""
    read = {i for n in nodes for i in n.inputs if i is not None}
    return [n for n in nodes if n not in read]


def _name(nodes: list) -> str:
    """The ops of a group, the contraction first, each once with how often it occurs."""
    counts = Counter(n.op.name for n in sorted(nodes, key=lambda n: n.op.family != "contraction"))
    names = [name if count == 1 else f"{count} {name}" for name, count in counts.items()]
    return " + ".join(names[:6]) + (f" + {len(names) - 6} more" if len(names) > 6 else "")
