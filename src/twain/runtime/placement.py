"""Where results are: on the device of the operands, but for what moves between devices."""

from __future__ import annotations

from .. import _core
from ..base.errors import DeviceError
from ..ir.node import Graph, Node, Spec, make_parameter, parameter
from ..ir.op import apply, dynamic, infer
from ..ops.placement import move
from ..passes.simplify import simplify
from ..transforms.vjp import Rule, trace_vjp


def specs_of(metas: tuple) -> list:
    """Specs of the core's metas; None stays None."""
    return [None if m is None else Spec(m.dtype, m.shape) for m in metas]


def one_node_graph(record, attrs: object, specs: list) -> Graph:
    """The graph that is nothing but this op."""
    parameters = [None if s is None else make_parameter(i, s) for i, s in enumerate(specs)]
    args = (parameters,) if record.arity < 0 else tuple(parameters)
    result = apply(record, attrs, args)
    outputs = list(result) if type(result) is tuple else [result]
    return Graph(record.name, [p for p in parameters if p is not None], outputs)


def devices_of(record, attrs: object, metas: tuple) -> int | tuple:
    """The device of all results, or one for each; it is that of the operands. Python scalars and tensors of no dimension on
    cpu:0 go along with anything."""
    found = {m.device for m in metas if m is not None and (m.device or m.shape) and not m.dtype.weak}
    if record.places or (type(record.rules) is Rule and record.rules.of.places):
        return placed_devices(simplify(one_node_graph(record, attrs, specs_of(metas))), metas)
    if len(found) > 1:
        raise mixed_devices(record.name, found, "")
    return found.pop() if found else 0


def placed_devices(graph: Graph, metas: tuple) -> tuple:
    """The device of each output of a graph in which values move between devices."""
    place: dict[Node, int | None] = {}  # None: it goes along with anything
    for n in graph.nodes():
        if n.op is parameter:
            m = metas[n.attrs]
            place[n] = m.device if m.device or m.shape else None
        elif n.op.places:
            place[n] = n.attrs[0]
        else:
            found = {place[i] for i in n.inputs if i is not None and place[i] is not None}
            if len(found) > 1:
                raise mixed_devices(n.op.name, found, f" ({n.source})" if n.source else "")
            place[n] = found.pop() if found else None
    return tuple(place[o] or 0 for o in graph.outputs)


def mixed_devices(name: str, found: set, where: str) -> DeviceError:
    names = " and ".join(f"cpu:{d}" for d in sorted(found))
    return DeviceError(f"[{name}] expected all operands on one device, got {names}{where}; move one with .to(device)")


def returns_home(metas: tuple, out_metas: tuple, mask: int) -> bool:
    """Is there an operand of no dimension on cpu:0 that went along to another device and wants its gradient?"""
    return out_metas[0].device != 0 and any(
        m is not None and not m.shape and not m.device and not m.dtype.weak and mask >> i & 1
        for i, m in enumerate(metas)
    )


def home_rule(record, attrs: object, metas: tuple, out_metas: tuple, mask: int):
    """As prepare_vjp, with such gradients moved back to cpu:0."""
    specs = specs_of(metas)
    inner, outputs = infer(record, attrs, specs)
    traced = trace_vjp(record, inner, specs, list(outputs), mask)
    if traced is None:
        return None
    graph, saved, results = traced
    away, found, numbers = out_metas[0].device, list(graph.outputs), []
    for m, number in zip(metas, results):
        if number != -1 and not m.shape and not m.device:
            value = found[number] if number >= 0 else graph.parameters[-2 - number]
            number = len(found)
            found.append(move(value, 0, away))
        numbers.append(number)
    rule = dynamic(f"{graph.name}_home", Graph(graph.name, graph.parameters, found), len(graph.parameters))
    return _core.Op(rule.name, rule.arity, rule), None, saved, tuple(numbers)
