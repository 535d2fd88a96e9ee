"""Lowering of host ops: the step is a Python call on NumPy views of the buffers."""

from __future__ import annotations

import sys

from ..base.dtypes import DType
from ..ir import node as ir
from ..ir.node import Node
from ..ops.host import view
from ..passes.fuse import Group
from .lower import Layout, Lowering, Step


class HostCall:
    """What runs in place of a kernel: called with addresses, in the order operands, results."""

    __slots__ = ("attrs", "function", "name", "operands", "results")

    def __init__(self, name: str, function, attrs: object, operands: list, results: list):
        self.name = name
        self.function = function
        self.attrs = attrs
        self.operands = operands  # (dtype, shape, strides in bytes)
        self.results = results  # (dtype, shape)

    def __call__(self, addresses: tuple, params: tuple) -> None:
        profile = sys.getprofile()
        watched = callable(profile)  # a profiler written in C isn't, and can't be put back
        if watched:
            sys.setprofile(None)  # a recording doesn't look into what a plan calls anyway
        try:
            count = len(self.operands)
            arrays = [view(a, *described) for a, described in zip(addresses, self.operands)]
            out = [view(a, d, shape, None, True) for a, (d, shape) in zip(addresses[count:], self.results)]
            self.function(self.attrs, *arrays, out=out)
        finally:
            if watched:
                sys.setprofile(profile)


def describe(layout: Layout) -> tuple[DType, tuple, tuple]:
    """What a view of a layout is made of."""
    return layout.dtype, layout.shape, tuple(s * layout.dtype.itemsize for s in layout.strides)


def lower_host(lowering: Lowering, group: Group) -> None:
    """Operands get buffers where they have none, results are computed right where they belong."""
    n = group.nodes[0]
    operands = [lowering.buffered(i) for i in n.inputs]
    results = [lowering.destination(n)] if len(n.specs) == 1 else many_destinations(lowering, n)
    call = HostCall(
        n.op.name, n.op.rules.function, n.attrs, [describe(o) for o in operands], [(r.dtype, r.shape) for r in results]
    )
    lowering.add_step(Step(call, [(o.buffer, o.offset, o.dtype) for o in (*operands, *results)], [], 1, 1))


def many_destinations(lowering: Lowering, n: Node) -> list[Layout]:
    """Where each result of `n` goes, whether it is read or not."""
    readers: dict[int, list] = {}
    for u in lowering.fusion.users.get(n, ()):
        if u is not None and u.op is ir.project:
            readers.setdefault(u.attrs, []).append(u)
    results = []
    for i, spec in enumerate(n.specs):
        layout = next((lowering.layouts[u] for u in readers.get(i, ()) if lowering.layouts.get(u) is not None), None)
        if layout is None:
            layout = lowering.fresh(spec.dtype, spec.shape)
        for u in readers.get(i, ()):
            lowering.layouts[u] = layout
        results.append(layout)
    return results
