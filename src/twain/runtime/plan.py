"""From a recording to what replays it: the graph in parts, where its inputs come from, where its results go.

A recording without a branch on a tensor's value is one part. With branches there is one part up to each predicate, and
one behind the last; a part that two recordings begin with is one and the same object, so that it runs once per call.
Nothing is written to any handle or object before all predicates are known to come out as recorded.

Sources name values in a way that two recordings can be compared: ("path", step, ...) for a tensor that was there before,
("result", call, output), ("float", expression), or a constant's type and text.
"""

from __future__ import annotations

from .. import _core
from ..base import dtypes as dt
from ..ir.node import Graph, Node, Spec, make_constant, make_parameter
from ..ir.op import REGISTRY, apply, dynamic
from .record import Call, Recorder, Scalar
from .state import Place


def path_source(place: Place) -> tuple:
    """The same for two places that are reached in the same way."""
    steps: list = []
    while place is not None:
        step, key = place.step, place.key
        if step == "root":
            key = id(place.value)
        elif step == "classdict":
            steps.append((step, id(key[0]), key[1]))
            break
        elif step in ("global", "module"):
            # Who reads a name first may differ from run to run; which namespace it is read from may not.
            owner = place.parent.value
            steps.append((step, id(owner.__globals__) if step == "global" else id(owner), key))
            break
        steps.append((step, key))
        place = place.parent
    return ("path", *reversed(steps))


class Tape:
    """A recording's calls in comparable form: (op, attrs, sources of inputs, grad mode, which inputs need a gradient)."""

    __slots__ = ("calls", "keys", "origin", "where")

    def __init__(self, recorder: Recorder):
        self.calls: list[Call] = recorder.calls
        self.origin = {trace: path_source(place) for trace, place in recorder.origin.items()}
        self.where: dict[int, tuple] = {}
        self.keys: list[tuple] = []
        for i, call in enumerate(self.calls):
            sources = tuple(self.source(x) for x in call.inputs)
            self.keys.append((call.record.name, call.attrs, sources, call.grad, call.needs))
            for j, trace in enumerate(call.outputs):
                self.where[trace] = ("result", i, j)

    def source(self, x) -> tuple | None:
        """The source of a trace number or a Scalar."""
        if x is None:
            return None
        if type(x) is Scalar:
            return x.key()
        found = self.where.get(x)
        return self.origin[x] if found is None else found


class Part:
    """A stretch of the graph as one op.

    inputs: the sources of its operands, in order; outputs: the sources that it gives, in order; facts: {output: (spec,
    does a gradient flow through it)}. attached: some output belongs on the tape.
    """

    __slots__ = ("attached", "facts", "inputs", "name", "op", "outputs")

    def __init__(self, name: str, inputs: list, outputs: list, facts: dict, op, attached: bool):
        self.name = name
        self.inputs = inputs
        self.outputs = outputs
        self.facts = facts
        self.op = op
        self.attached = attached


class Plan:
    """What a recording replays to.

    rebound: (place of a handle, source of its new value, attached); moved: (place, what lies there afterwards);
    new_tensors: (source, attached, a leaf that requires grad, (name of its gradient function, Meta) if that is used up);
    result: how to make the returned object.
    """

    __slots__ = (
        "attached", "built", "guards", "moved", "name", "native", "new_tensors", "operands", "outcomes", "parts",
        "predicates", "rebound", "recorder", "replay", "result", "signature", "tape",
    )  # fmt: skip

    def __init__(self, name: str, recorder: Recorder):
        self.name = name
        self.recorder = recorder
        self.tape = tape = Tape(recorder)
        self.replay = None
        self.built = False
        self.guards = None
        self.native = None
        self.parts: list[Part] = []
        self.outcomes = tuple(p.outcome for p in recorder.predicates)
        self.predicates = tuple((p.position, tape.source(p.trace)) for p in recorder.predicates)
        self.rebound = tuple((place, tape.source(trace), attached) for place, trace, attached in recorder.rebound)
        self.moved = tuple(recorder.moved)
        self.new_tensors = tuple((tape.source(n.trace), n.attached, n.leaf, n.consumed) for n in recorder.new_tensors)
        self.result = recorder.result
        self.attached = any(a for _, _, a in self.rebound) or any(a for _, a, _, _ in self.new_tensors)
        wanted = [s for _, s, _ in self.rebound] + [s for s, *_ in self.new_tensors] + [s for _, s in self.predicates]
        live = _live(tape, wanted, {})
        self.operands = {x for i in live for x in tape.keys[i][2] if x is not None and x[0] == "path"}
        self.operands.update(s for s in wanted if s[0] == "path")
        self.signature = (
            tape.keys, self.predicates, self.outcomes,
            tuple((path_source(p), s, a) for p, s, a in self.rebound),
            tuple((path_source(p), _target_key(t)) for p, t in self.moved),
            self.new_tensors, _template_key(self.result),
        )  # fmt: skip

    def same_as(self, other: Plan) -> bool:
        """Do both recordings stand for the same computation?"""
        return self.signature == other.signature

    def difference(self, other: Plan) -> str:
        """What `other` does otherwise, for the warning of an audit."""
        for a, b, call in zip(self.tape.keys, other.tape.keys, other.tape.calls):
            if a != b:
                file, line = call.line
                return (
                    f"{file}:{line}: {call.record.name} ran with other operands or settings than when it was recorded"
                )
        if len(self.tape.keys) != len(other.tape.keys):
            return f"{len(other.tape.keys)} ops ran where {len(self.tape.keys)} had been recorded"
        return "what it returns or changes is not what was recorded"

    def build(self, others: list) -> None:
        """Make the ops. `others`: built plans of the same function, whose first parts may be shared."""
        wanted = [s for _, s, _ in self.rebound] + [s for s, *_ in self.new_tensors]
        known: dict = {}  # what earlier parts give: source -> (spec, does a gradient flow through it)
        for number, predicate in enumerate(self.predicates):
            part = self._shared_part(others, number)
            if part is None:
                position, source = predicate
                carried = self._used_later(position, wanted)
                part = _make_part(f"{self.name}_{number}", self, [source], carried, known)
            self.parts.append(part)
            for output in part.outputs:
                known.setdefault(output, part.facts[output])
        self.parts.append(_make_part(self.name, self, wanted, [], known))
        self.built = True

    def _shared_part(self, others: list, number: int) -> Part | None:
        position = self.predicates[number][0]
        for other in others:
            if (
                other.attached == self.attached
                and len(other.predicates) > number
                and other.parts[:number] == self.parts
                and other.predicates[: number + 1] == self.predicates[: number + 1]
                and other.outcomes[:number] == self.outcomes[:number]
                and other.tape.keys[:position] == self.tape.keys[:position]
            ):
                return other.parts[number]
        return None

    def _used_later(self, position: int, wanted: list) -> list:
        """Results of the first `position` calls that later ones, or the results, use."""
        used = dict.fromkeys(w for w in wanted if w[0] == "result" and w[1] < position)
        for key in self.tape.keys[position:]:
            for x in key[2]:
                if x is not None and x[0] == "result" and x[1] < position:
                    used[x] = None
        return list(used)


def _make_part(name: str, plan: Plan, wanted: list, carried: list, known: dict) -> Part:
    """The part that computes `wanted` from the lifted tensors and `known`, and passes on what it has of `carried`."""
    tape = plan.tape
    live = _live(tape, wanted, known)
    outputs = list(dict.fromkeys([*wanted, *(c for c in carried if c[1] in live and c not in known)]))
    builder = _GraphBuilder(plan, known)
    for i in sorted(live):
        builder.add(i)
    nodes = [builder.value(source) for source in outputs]
    graph = Graph(name, builder.parameters, nodes)
    facts = {source: (node.spec, node in builder.carrying) for source, node in zip(outputs, nodes)}
    op = _core.Op(name, len(builder.parameters), dynamic(name, graph, len(builder.parameters))) if nodes else None
    attached = plan.attached and any(flows for _, flows in facts.values())
    return Part(name, list(builder.inputs), outputs, facts, op, attached)


def _live(tape: Tape, wanted: list, known: dict) -> set:
    """The calls that `wanted` needs, without those whose results are known."""
    live: set = set()
    stack = [s for s in wanted if s[0] == "result" and s not in known]
    while stack:
        i = stack.pop()[1]
        if i not in live:
            live.add(i)
            stack.extend(x for x in tape.keys[i][2] if x is not None and x[0] == "result" and x not in known)
    return live


class _GraphBuilder:
    """Nodes for the calls of one part."""

    def __init__(self, plan: Plan, known: dict):
        self.plan = plan
        self.known = known
        self.inputs: dict = {}  # source -> parameter
        self.parameters: list[Node] = []
        self.results: dict = {}
        self.carrying: set = set()  # nodes that gradients flow through
        self.lifted = {plan.tape.origin[m.trace]: m for m in plan.recorder.lifted}
        stop = REGISTRY.get("stop_gradient")
        self.stop = getattr(stop, "record", stop)

    def parameter(self, source: tuple, spec: Spec, flows: bool) -> Node:
        node = self.inputs.get(source)
        if node is None:
            node = self.inputs[source] = make_parameter(len(self.parameters), spec)
            self.parameters.append(node)
            if flows:
                self.carrying.add(node)
        return node

    def value(self, source: tuple) -> Node:
        """The node of a tensor."""
        if source[0] == "result":
            node = self.results.get(source)
            return self.parameter(source, *self.known[source]) if node is None else node
        lifted = self.lifted[source]
        return self.parameter(source, Spec(lifted.meta.dtype, lifted.meta.shape), lifted.requires_grad)

    def operand(self, x, source: tuple | None) -> Node | None:
        if x is None:
            return None
        if type(x) is not Scalar:
            return self.value(source)
        return make_constant(x.value) if x.source is None else self.parameter(source, Spec(dt.weak_float, ()), False)

    def add(self, i: int) -> None:
        """The nodes of call `i`."""
        call, sources = self.plan.tape.calls[i], self.plan.tape.keys[i][2]
        arguments = []
        flows = False
        for x, source, needs in zip(call.inputs, sources, call.needs):
            node = self.operand(x, source)
            if self.plan.attached and node in self.carrying:
                if call.grad and needs:
                    flows = True
                else:  # detached, or under no_grad
                    node = apply(self.stop, None, (node,))
            arguments.append(node)
        result = apply(call.record, call.attrs, (arguments,) if call.record.arity < 0 else tuple(arguments))
        for j, node in enumerate(result if type(result) is tuple else (result,)):
            if node.source is None:
                node.source = f"{call.line[0]}:{call.line[1]}"
            self.results["result", i, j] = node
            if flows:
                self.carrying.add(node)


def _target_key(target: tuple | None) -> tuple | None:
    return ("place", path_source(target[1])) if target is not None and target[0] == "place" else target


def _template_key(template: tuple) -> tuple:
    kind = template[0]
    if kind == "place":
        return ("place", path_source(template[1]))
    if kind == "value":
        value = template[1]
        return ("value", type(value).__name__, value.hex() if type(value) is float else value)
    if kind in ("sequence", "named"):
        return (*template[:3], tuple(map(_template_key, template[3])))
    if kind == "dict":
        return (*template[:3], tuple((_template_key(k), _template_key(v)) for k, v in template[3]))
    if kind == "instance":
        return (*template[:3], tuple((k, _template_key(v)) for k, v in template[3]))
    return template
