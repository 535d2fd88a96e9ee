"""Lowering of branches and loops: one step of the core that runs programs made of their graphs."""

from __future__ import annotations

from collections.abc import Callable

from .. import _core
from ..ir.node import Graph, Node
from ..passes.fuse import Group
from .hosts import many_destinations
from .lower import Layout, Lowering, Step


class ControlCall:
    """A step that needs programs: `bound` makes it what the core calls, once there is someone to build them."""

    __slots__ = ("graphs", "make", "strides")

    def __init__(self, graphs: list[Graph], strides: list[list], make: Callable):
        self.graphs = graphs
        self.strides = strides  # per graph and operand, in elements
        self.make = make

    def __call__(self, addresses: tuple, params: tuple) -> None:
        raise NotImplementedError

    def bound(self, build: Callable):
        """build(graph, strides) -> Program."""
        return self.make([build(g, s) for g, s in zip(self.graphs, self.strides)])


def lower_control(lowering: Lowering, group: Group) -> None:
    n = group.nodes[0]
    operands = [lowering.buffered(i) for i in n.inputs]
    results = [lowering.destination(n)] if len(n.specs) == 1 else many_destinations(lowering, n)
    operands, call = MAKERS[n.op.name](lowering, n, operands)
    buffers = [(o.buffer, o.offset, o.dtype) for o in (*operands, *results)]
    lowering.add_step(Step(call, buffers, [], 1, 1))


def dense(lowering: Lowering, layouts: list) -> list[Layout]:
    return [x if x.contiguous else lowering.copy(x) for x in layouts]


def strides_of(layouts: list) -> list:
    return [x.strides for x in layouts]


def make_branch(lowering: Lowering, n: Node, operands: list) -> tuple:
    bodies = n.attrs[0]
    given = operands[1:]
    strides = [strides_of(given)] * len(bodies)

    def make(programs: list):
        return _core.ControlStep("branch", programs, 0, len(given), 0, 0, False, (), 0)

    return operands, ControlCall([b.graph for b in bodies], strides, make)


def make_call(lowering: Lowering, n: Node, operands: list) -> tuple:
    [body] = n.attrs

    def make(programs: list):
        return _core.ControlStep("call", programs, 0, len(operands), 0, 0, False, (), 0)

    return operands, ControlCall([body.graph], [strides_of(operands)], make)


def make_scan(lowering: Lowering, n: Node, operands: list) -> tuple:
    body, consts, carries, length, reverse, _ = n.attrs
    last = consts + carries
    operands = [*operands[:consts], *dense(lowering, operands[consts:last]), *operands[last:]]
    strides = [*strides_of(operands[:last]), *(x.strides[1:] for x in operands[last:])]
    steps = tuple(x.strides[0] * x.dtype.itemsize for x in operands[last:])

    def make(programs: list):
        return _core.ControlStep("scan", programs, 0, consts, carries, length, reverse, steps, 0)

    return operands, ControlCall([body.graph], [strides], make)


def make_loop(lowering: Lowering, n: Node, operands: list) -> tuple:
    condition, body, first, second, limit = n.attrs
    operands = [*operands[: first + second], *dense(lowering, operands[first + second :])]
    carries = strides_of(operands[first + second :])
    strides = [[*strides_of(operands[:first]), *carries], [*strides_of(operands[first : first + second]), *carries]]

    def make(programs: list):
        return _core.ControlStep("loop", programs, first, second, len(carries), limit, False, (), 0)

    return operands, ControlCall([condition.graph, body.graph], strides, make)


MAKERS = {"branch": make_branch, "scan": make_scan, "loop": make_loop, "call": make_call}
