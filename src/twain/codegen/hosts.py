"""Lowering of host ops: the step is a Python call on NumPy views of the buffers."""

from __future__ import annotations

from ..base.lazy import Unseen
from ..base.shapes import INTEGERS
from ..ir import node as ir
from ..ir.node import Node
from ..ops.host import view
from ..passes.fuse import Group
from .lower import Layout, Lowering, Step


class HostCall:
    """What runs in place of a kernel, for any sizes: called with addresses, in the order operands, results, and with the
    operands' shapes and strides in bytes and the results' shapes, one after the other."""

    __slots__ = ("attrs", "function", "name", "operands", "results")

    def __init__(self, name: str, function, attrs: object, operands: list, results: list):
        self.name = name
        self.function = function
        self.attrs = attrs
        self.operands = operands  # (dtype, number of axes)
        self.results = results

    def __call__(self, addresses: tuple, params: tuple) -> None:
        with Unseen():  # a recording doesn't look into what a plan calls anyway
            arrays, out, at = [], [], 0
            places = iter(addresses)
            for dtype, rank in self.operands:
                middle = at + rank
                arrays.append(view(next(places), dtype, params[at:middle], params[middle : middle + rank]))
                at = middle + rank
            for dtype, rank in self.results:
                out.append(view(next(places), dtype, params[at : at + rank], None, True))
                at += rank
            self.function(self.attrs, *arrays, out=out)


def host_call(name: str, function, attrs: object, operands: list, results: list) -> Step:
    """The step that calls function(attrs, *operands, out=results) on layouts."""
    params: list = []
    for o in operands:
        params += [*o.shape, *(s * o.dtype.itemsize for s in o.strides)]
    for r in results:
        params += r.shape
    kinds, made = ([(x.dtype, len(x.shape)) for x in group] for group in (operands, results))
    buffers = [(x.buffer, x.offset, x.dtype) for x in (*operands, *results)]
    return Step(HostCall(name, function, attrs, kinds, made), buffers, params, 1, 1)


def settled(attrs: object) -> object:
    """Static arguments with plain numbers for sizes: what Python computes from them holds for these sizes alone."""
    if type(attrs) in (tuple, list):
        return type(attrs)(settled(a) for a in attrs)  # type: ignore[call-arg]
    return attrs.__index__() if type(attrs) in INTEGERS else attrs


def lower_host(lowering: Lowering, group: Group) -> None:
    """Operands get buffers where they have none, results are computed right where they belong."""
    n = group.nodes[0]
    operands = [lowering.buffered(i) for i in n.inputs]
    results = [lowering.destination(n)] if len(n.specs) == 1 else many_destinations(lowering, n)
    lowering.add_step(host_call(n.op.name, n.op.rules.function, settled(n.attrs), operands, results))


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
