"""Branches and loops as ops: `branch`, `scan`, `loop` and `call`, whose static arguments hold graphs.

Each has a derivative in both modes and a batching rule, which are branches and loops again. They run in the core
(csrc/bind/control_type.cpp), lowered by codegen/control.py. Operands come in groups, in the order in which a body's
parameters have them; a body's results are numbered likewise.

Reverse mode of a scan runs it backwards over the carries of the forward pass, computing the inside of each step again:
memory per step is one carry. A branch takes one side; a call computes its inside again (checkpointing: T. Chen et al.,
"Training deep nets with sublinear memory cost", 2016).
"""

from __future__ import annotations

from .. import _core
from ..base.errors import GradientError
from ..base.lazy import LazyModule
from ..ir.interpret import interpret
from ..ir.node import Graph, Node, Spec, make_parameter, substitute
from ..ir.op import OpRecord, apply, inline
from ..ops.elementwise import cast, where
from ..ops.families import late
from ..ops.reduce import any as any_of
from ..ops.shape import broadcast_to, permute_dims, reshape
from ..passes.simplify import simplify
from .body import Body, intern, renumbered
from .jvp import pushforward
from .vjp import gradients
from .vmap import every_batched, vmap

numpy = LazyModule("numpy")


class Control:
    """In the slot `rules` of a control record. push(attrs, inputs, tangents) -> (results, tangents or None each)."""

    __slots__ = ("push",)

    def __init__(self, push):
        self.push = push


def _record(name: str, infer, vjp, push, batch, reference) -> OpRecord:
    return OpRecord(
        name, "control", -1, infer=infer, vjp=vjp, jvp=None, batch=batch, lowering="control", rules=Control(push),
        attributes=lambda *a: a, reference=f"twain.transforms.control.{reference}",
    )  # fmt: skip


def moving(spec: Spec) -> bool:
    return spec.dtype.kind in "fc"


def zeros_of(spec: Spec) -> Node:
    return broadcast_to(cast(0, spec.dtype), spec.shape)


def parameters(specs: list, first: int = 0) -> list[Node]:
    return [make_parameter(first + i, s) for i, s in enumerate(specs)]


def opened(body: Body, inputs: list) -> list:
    """The body's results on `inputs`."""
    return inline(body.graph, dict(zip(body.graph.parameters, inputs)))


def made(name: str, order: list, outputs: list) -> Body:
    """A body with the parameters of `order`, which are numbered already."""
    return intern(Graph(name, order, outputs))


def as_tuple(x: object) -> tuple:
    return x if type(x) is tuple else (x,)


def run(record: OpRecord, attrs: tuple, inputs: list) -> tuple:
    """The nodes of a control op; nothing for one without results."""
    return as_tuple(apply(record, attrs, (inputs,)))


def pulled(body: Body, inputs: list, cotangents: list, wanted: list) -> list:
    """Gradients (or None) of the inputs numbered `wanted` for gradients (or None) of a body's results."""
    flat = simplify(body.graph)
    order = flat.parameters
    found = gradients(flat.outputs, cotangents, [order[i] for i in wanted])
    return substitute(found, dict(zip(order, inputs)))


def pushed(body: Body, inputs: list, tangents: list) -> tuple[list, list]:
    """(results, their tangents or None) for tangents (or None) of the inputs."""
    known: dict = {}
    for x, t in zip(inputs, tangents):
        known[x] = (t,)
    return pushforward(opened(body, inputs), known)


# ---------------------------------------------------------------- branch: (index, *operands) -> results of bodies[index]
def _branch_infer(attrs, *specs):
    [bodies] = attrs
    return tuple(bodies[0].specs)


def _branch_vjp(attrs, cotangents, inputs, outputs, needs):
    [bodies] = attrs
    index, operands = inputs[0], inputs[1:]
    floating = [i for i, s in enumerate(bodies[0].specs) if moving(s)]
    wanted = [i for i, n in enumerate(needs[1:]) if n and moving(operands[i].spec)]
    if not wanted or not floating:
        return [None] * len(inputs)
    made_bodies = []
    for body in bodies:
        p = parameters(body.operands)
        g = parameters([body.specs[i] for i in floating], len(p))
        full = [None] * len(body.specs)
        for i, x in zip(floating, g):
            full[i] = x
        found = pulled(body, p, full, wanted)
        made_bodies.append(
            made(
                "branch_vjp", [*p, *g], [zeros_of(operands[i].spec) if x is None else x for i, x in zip(wanted, found)]
            )
        )
    results = run(branch, (tuple(made_bodies),), [index, *operands, *(cotangents[i] for i in floating)])
    gradients_of = dict(zip(wanted, results))
    return [None, *(gradients_of.get(i) for i in range(len(operands)))]


def _branch_push(attrs, inputs, tangents):
    [bodies] = attrs
    index, operands = inputs[0], inputs[1:]
    along = [i for i, t in enumerate(tangents[1:]) if t is not None]
    duals, flags = [], [False] * len(bodies[0].specs)
    for body in bodies:
        p = parameters(body.operands)
        t = parameters([p[i].spec for i in along], len(p))
        full = [None] * len(p)
        for i, x in zip(along, t):
            full[i] = x
        values, moves = pushed(body, p, full)
        duals.append((p + t, values, moves))
        flags = [f or m is not None for f, m in zip(flags, moves)]
    made_bodies = [
        made(
            "branch_jvp",
            order,
            values + [zeros_of(v.spec) if m is None else m for v, m, f in zip(values, moves, flags) if f],
        )
        for order, values, moves in duals
    ]
    results = list(run(branch, (tuple(made_bodies),), [index, *operands, *(tangents[1 + i] for i in along)]))
    rest = iter(results[len(flags) :])
    return results[: len(flags)], [next(rest) if f else None for f in flags]


def _branch_batch(attrs, call, inputs, batched, size):
    [bodies] = attrs
    flags = dict(enumerate(batched[1:]))
    graphs = [every_batched(*vmap(b.graph, flags, size), size) for b in bodies]
    if not batched[0]:
        return run(branch, (tuple(intern(g) for g in graphs),), list(inputs))
    index = inputs[0]
    sides = [inline(g, dict(zip(g.parameters, inputs[1:]))) for g in graphs]
    results = []
    for values in zip(*sides):
        chosen = values[-1]
        at = reshape(index, (size, *(1,) * (chosen.ndim - 1)))
        for number in range(len(values) - 2, -1, -1):
            chosen = where(at <= number, values[number], chosen)
        results.append(chosen)
    return tuple(results)


def branch_reference(*args):
    *arrays, bodies = args
    index = min(max(int(arrays[0]), 0), len(bodies) - 1)
    return tuple(interpret(bodies[index].graph, list(arrays[1:])))


# ---------------------------------------------------------------- scan: (consts, carries, slices) -> (carries, stacked)
# attrs: (body, number of consts, number of carries, length, reverse, kept). With kept the last stacked results are the
# carries that each step began with: what the gradient wants to know.
def scan_attrs(body: Body, consts: int, carries: int, length: int, reverse: bool, kept: bool) -> tuple:
    return (body, consts, carries, length, reverse, kept)


def _scan_infer(attrs, *specs):
    body, _, carries, length, _, _ = attrs
    found = body.specs
    return (*found[:carries], *(Spec(s.dtype, (length, *s.shape)) for s in found[carries:]))


def keeping_carries(body: Body, consts: int, carries: int) -> Body:
    """The same step, with what it began with as further results."""
    graph = body.graph
    return intern(Graph(graph.name, graph.parameters, [*graph.outputs, *graph.parameters[consts : consts + carries]]))


def _scan_vjp(attrs, cotangents, inputs, outputs, needs):
    body, consts, carries, length, reverse, kept = attrs
    if not any(moving(s) for s in body.specs):
        return [None] * len(inputs)
    slices = inputs[consts + carries :]
    before = outputs[-carries:] if kept and carries else ()
    if not kept and carries:
        again = keeping_carries(body, consts, carries)
        before = run(scan, (again, consts, carries, length, reverse, True), list(inputs))[-carries:]
    p = parameters(body.operands)
    specs = body.specs
    of_carries = [i for i in range(carries) if moving(specs[i])]
    of_stacked = [i for i in range(carries, len(specs)) if moving(specs[i])]
    of_consts = [i for i in range(consts) if needs[i] and moving(p[i].spec)]
    of_slices = [i for i in range(consts + carries, len(p)) if needs[i] and moving(p[i].spec)]
    # The step backwards: consts | gradients of carries and of consts | slices, carries, gradients of what was stacked
    order = parameters(
        [x.spec for x in p[:consts]] + [specs[i] for i in of_carries] + [p[i].spec for i in of_consts]
        + [x.spec for x in p[consts + carries :]] + [x.spec for x in p[consts : consts + carries]]
        + [specs[i] for i in of_stacked]
    )  # fmt: skip
    rest = iter(order)
    own_consts = [next(rest) for _ in range(consts)]
    g_carries = [next(rest) for _ in of_carries]
    g_consts = [next(rest) for _ in of_consts]
    own_slices = [next(rest) for _ in slices]
    own_carries = [next(rest) for _ in range(carries)]
    g_stacked = [next(rest) for _ in of_stacked]
    full: list = [None] * len(specs)
    for i, g in [*zip(of_carries, g_carries), *zip(of_stacked, g_stacked)]:
        full[i] = g
    wanted = [*(consts + i for i in of_carries), *of_consts, *of_slices]
    found = pulled(body, [*own_consts, *own_carries, *own_slices], full, wanted)
    found = [zeros_of(p[i].spec) if g is None else g for i, g in zip(wanted, found)]
    a, b = len(of_carries), len(of_carries) + len(of_consts)
    results = [*found[:a], *(late.add(x, g) for x, g in zip(g_consts, found[a:b])), *found[b:]]
    step = made("scan_vjp", order, results)
    started = [cotangents[i] for i in of_carries] + [zeros_of(p[i].spec) for i in of_consts]
    given = [*inputs[:consts], *started, *slices, *before, *(cotangents[i] for i in of_stacked)]
    back = run(scan, (step, consts, b, length, not reverse, False), given)
    gradients_of = dict(zip([*(consts + i for i in of_carries), *of_consts, *of_slices], back))
    return [gradients_of.get(i) for i in range(len(inputs))]


def _carried(step, flags: list) -> list:
    """The carries that change in kind, of all that may: step(flags) tells which results do."""
    while True:
        after = [f or g for f, g in zip(flags, step(flags))]
        if after == flags:
            return flags
        flags = after


def _scan_push(attrs, inputs, tangents):
    body, consts, carries, length, reverse, _ = attrs
    p = parameters(body.operands)

    def dual(flags: list) -> tuple:
        moves = [t is not None for t in tangents]
        moves[consts : consts + carries] = flags
        t = parameters([x.spec for x, m in zip(p, moves) if m], len(p))
        rest = iter(t)
        full = [next(rest) if m else None for m in moves]
        return full, *pushed(body, p, full)

    flags = _carried(
        lambda f: [m is not None for m in dual(f)[2][:carries]],
        [t is not None for t in tangents[consts : consts + carries]],
    )
    full, values, moves = dual(flags)
    groups = [(0, consts), (consts, consts + carries), (consts + carries, len(p))]
    order, given = [], []
    for first, last in groups:
        order += p[first:last] + [t for t in full[first:last] if t is not None]
        given += list(inputs[first:last])
        for x, t, at in zip(full[first:last], tangents[first:last], inputs[first:last]):
            if x is not None:
                given.append(zeros_of(at.spec) if t is None else t)
    counts = [len([t for t in full[first:last] if t is not None]) for first, last in groups]
    d_carries = [zeros_of(v.spec) if m is None else m for v, m, f in zip(values, moves, flags) if f]
    d_stacked = [m for m in moves[carries:] if m is not None]
    step = renumbered("scan_jvp", order, [*values[:carries], *d_carries, *values[carries:], *d_stacked])
    results = run(scan, (step, consts + counts[0], carries + counts[1], length, reverse, False), given)
    stacked_from = carries + counts[1]
    d_from = stacked_from + len(values) - carries
    rest = iter([*results[carries:stacked_from], *results[d_from:]])
    found = [next(rest) if f else None for f in flags] + [None if m is None else next(rest) for m in moves[carries:]]
    return [*results[:carries], *results[stacked_from:d_from]], found


def _scan_batch(attrs, call, inputs, batched, size):
    body, consts, carries, length, reverse, kept = attrs

    def spread(flags: list) -> tuple:
        all_flags = [*batched[:consts], *flags, *batched[consts + carries :]]
        return vmap(body.graph, dict(enumerate(all_flags)), size)

    flags = _carried(lambda f: spread(f)[1][:carries], list(batched[consts : consts + carries]))
    graph, many = spread(flags)
    outputs = [
        broadcast_to(o, (size, *o.shape)) if f and not m else o
        for o, m, f in zip(graph.outputs, many, [*flags, *many[carries:]])
    ]
    step = intern(Graph(graph.name, graph.parameters, outputs))
    given = list(inputs)
    for i, f in enumerate(flags, consts):
        if f and not batched[i]:
            given[i] = broadcast_to(given[i], (size, *given[i].shape))
    for i in range(consts + carries, len(given)):
        if batched[i]:
            given[i] = permute_dims(given[i], (1, 0, *range(2, given[i].ndim)))
    results = list(run(scan, (step, consts, carries, length, reverse, kept), given))
    for i, m in enumerate([*flags, *many[carries:]]):
        if not m:
            results[i] = broadcast_to(results[i], (size, *results[i].shape))
        elif i >= carries:
            results[i] = permute_dims(results[i], (1, 0, *range(2, results[i].ndim)))
    return tuple(results)


def scan_reference(*args):
    *arrays, body, consts, carries, length, reverse, _ = args
    carry = list(arrays[consts : consts + carries])
    rows: list = [None] * length
    for at in range(length - 1, -1, -1) if reverse else range(length):
        found = interpret(body.graph, [*arrays[:consts], *carry, *(x[at] for x in arrays[consts + carries :])])
        carry, rows[at] = found[:carries], found[carries:]
    specs = body.specs[carries:]
    stacked = [numpy.stack([r[i] for r in rows]) if rows else numpy.zeros((0, *s.shape)) for i, s in enumerate(specs)]
    return (*carry, *stacked)


# ---------------------------------------------------------------- loop: (consts of the condition, consts, carries) -> carries
# attrs: (condition, body, consts of the condition, consts of the body, at most so many iterations or -1)
def _loop_infer(attrs, *specs):
    return tuple(attrs[1].specs)


def _loop_vjp(attrs, cotangents, inputs, outputs, needs):
    _, body, first, _, _ = attrs
    carried = any(moving(s) for s in body.specs)
    if not carried or not any(n and moving(x.spec) for n, x in zip(needs[first:], inputs[first:])):
        return [None] * len(inputs)
    raise GradientError(
        "[while_loop] expected max_iterations for reverse-mode differentiation, as it keeps what each iteration began with, "
        "got none; give max_iterations, use scan(...), differentiate forwards with jvp or jacfwd, or detach() what goes in"
    )


def _loop_push(attrs, inputs, tangents):
    condition, body, first, second, limit = attrs
    p = parameters(body.operands)
    carries = len(body.specs)
    along = tangents[first:]

    def dual(flags: list) -> tuple:
        moves = [t is not None for t in along]
        moves[second:] = flags
        t = parameters([x.spec for x, m in zip(p, moves) if m], len(p))
        rest = iter(t)
        full = [next(rest) if m else None for m in moves]
        return full, *pushed(body, p, full)

    flags = _carried(lambda f: [m is not None for m in dual(f)[2]], [t is not None for t in along[second:]])
    full, values, moves = dual(flags)
    own = inputs[first:]
    order = (
        p[:second]
        + [t for t in full[:second] if t is not None]
        + p[second:]
        + [t for t in full[second:] if t is not None]
    )
    given = [*inputs[:first], *own[:second], *(t for t in along[:second] if t is not None), *own[second:]]
    given += [zeros_of(x.spec) if t is None else t for x, t, f in zip(own[second:], along[second:], flags) if f]
    step = renumbered(
        "loop_jvp",
        order,
        [*values, *(zeros_of(v.spec) if m is None else m for v, m, f in zip(values, moves, flags) if f)],
    )
    test = condition.graph
    extra = [x.spec for x, f in zip(p[second:], flags) if f]
    test = intern(Graph(test.name, [*test.parameters, *parameters(extra, len(test.parameters))], test.outputs))
    count = len([t for t in full[:second] if t is not None])
    results = run(loop, (test, step, first, second + count, limit), given)
    rest = iter(results[carries:])
    return list(results[:carries]), [next(rest) if f else None for f in flags]


def _loop_batch(attrs, call, inputs, batched, size):
    condition, body, first, second, limit = attrs
    carries = len(body.specs)

    def spread(flags: list) -> tuple:
        return vmap(body.graph, dict(enumerate([*batched[first : first + second], *flags])), size)

    def test(flags: list) -> tuple:
        return vmap(condition.graph, dict(enumerate([*batched[:first], *flags])), size)

    def step(flags: list) -> list:
        return [True] * carries if test(flags)[1][0] else spread(flags)[1]

    flags = _carried(step, list(batched[first + second :]))
    tested, [many] = test(flags)
    graph, moves = spread(flags)
    outputs = [broadcast_to(o, (size, *o.shape)) if f and not m else o for o, m, f in zip(graph.outputs, moves, flags)]
    given = list(inputs)
    for i, f in enumerate(flags, first + second):
        if f and not batched[i]:
            given[i] = broadcast_to(given[i], (size, *given[i].shape))
    if not many:
        body = intern(Graph(graph.name, graph.parameters, outputs))
        results = run(loop, (intern(tested), body, first, second, limit), given)
    else:  # each example goes on for as long as it wants; all stop together
        own = graph.parameters
        more = parameters([q.spec for q in tested.parameters[:first]], len(own))
        active = inline(tested, dict(zip(tested.parameters, [*more, *own[second:]])))[0]
        kept = [
            where(reshape(active, (size, *(1,) * (new.ndim - 1))), new, old) for new, old in zip(outputs, own[second:])
        ]
        body = renumbered("loop_vmap", [*more, *own], kept)
        whole = intern(Graph(tested.name, tested.parameters, [any_of(tested.outputs[0], None, False)]))
        results = run(loop, (whole, body, first, first + second, limit), [*given[:first], *given])
    return tuple(r if f else broadcast_to(r, (size, *r.shape)) for r, f in zip(results, flags))


def loop_reference(*args):
    *arrays, condition, body, first, second, limit = args
    carry = list(arrays[first + second :])
    turn = 0
    while (limit < 0 or turn < limit) and interpret(condition.graph, [*arrays[:first], *carry])[0]:
        carry = interpret(body.graph, [*arrays[first : first + second], *carry])
        turn += 1
    return tuple(carry)


# ---------------------------------------------------------------- call: operands -> results, its inside apart
def _call_infer(attrs, *specs):
    return tuple(attrs[0].specs)


def _call_vjp(attrs, cotangents, inputs, outputs, needs):
    [body] = attrs
    floating = [i for i, s in enumerate(body.specs) if moving(s)]
    wanted = [i for i, n in enumerate(needs) if n and moving(inputs[i].spec)]
    if not wanted or not floating:
        return [None] * len(inputs)
    p = parameters(body.operands)
    g = parameters([body.specs[i] for i in floating], len(p))
    full: list = [None] * len(body.specs)
    for i, x in zip(floating, g):
        full[i] = x
    found = pulled(body, p, full, wanted)
    back = made("call_vjp", [*p, *g], [zeros_of(inputs[i].spec) if x is None else x for i, x in zip(wanted, found)])
    results = run(call_op, (back,), [*inputs, *(cotangents[i] for i in floating)])
    gradients_of = dict(zip(wanted, results))
    return [gradients_of.get(i) for i in range(len(inputs))]


def _call_push(attrs, inputs, tangents):
    [body] = attrs
    along = [i for i, t in enumerate(tangents) if t is not None]
    p = parameters(body.operands)
    t = parameters([p[i].spec for i in along], len(p))
    full: list = [None] * len(p)
    for i, x in zip(along, t):
        full[i] = x
    values, moves = pushed(body, p, full)
    dual = made("call_jvp", [*p, *t], [*values, *(m for m in moves if m is not None)])
    results = list(run(call_op, (dual,), [*inputs, *(tangents[i] for i in along)]))
    rest = iter(results[len(values) :])
    return results[: len(values)], [None if m is None else next(rest) for m in moves]


def _call_batch(attrs, call, inputs, batched, size):
    [body] = attrs
    graph = every_batched(*vmap(body.graph, dict(enumerate(batched)), size), size)
    return run(call_op, (intern(graph),), list(inputs))


def call_reference(*args):
    *arrays, body = args
    return tuple(interpret(body.graph, arrays))


branch = _record("branch", _branch_infer, _branch_vjp, _branch_push, _branch_batch, "branch_reference")
scan = _record("scan", _scan_infer, _scan_vjp, _scan_push, _scan_batch, "scan_reference")
loop = _record("loop", _loop_infer, _loop_vjp, _loop_push, _loop_batch, "loop_reference")
call_op = _record("call", _call_infer, _call_vjp, _call_push, _call_batch, "call_reference")
OPS = {r.name: _core.Op(r.name, r.arity, r) for r in (branch, scan, loop, call_op)}

__all__ = ["OPS", "branch", "call_op", "keeping_carries", "loop", "scan"]
