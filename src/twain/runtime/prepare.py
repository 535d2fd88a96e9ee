"""What the core calls on a miss: build the Program of an op for given operands, and trace its backward rule."""

from __future__ import annotations

from .. import _core
from ..base.config import config
from ..base.errors import VerificationError
from ..base.lazy import LazyModule
from ..base.shapes import size_of
from ..codegen.control import ControlCall
from ..codegen.hosts import HostCall
from ..codegen.kernel import LoopKernel
from ..codegen.lower import Lowered, lower
from ..codegen.targets import host
from ..ir.node import Graph, Spec
from ..ir.op import exact_key, infer, remember_expansion
from ..passes.layout import arrange
from ..passes.simplify import simplify
from ..transforms.vjp import rule_record, trace_vjp
from .kept import flat_name, load_flat, save_flat
from .kept import load as load_kept
from .kept import name_of as kept_name
from .kept import save as save_kept
from .kernels import kernels_for
from .placement import devices_of, home_rule, one_node_graph, returns_home, specs_of
from .shaped import Sizes, serves_shapes

custom = LazyModule("twain.transforms.custom")


def prepare(op, attrs: object, metas: tuple):
    """The Program of `op` for operands laid out as `metas`."""
    record = op.record
    device = devices_of(record, attrs, metas)
    key = flat_key(op, attrs, metas)
    if key is not None:
        known = _FLAT.get(key) or kept_flat(key)
        if known is not None:
            return flat_program(record.name, known, metas, device if type(device) is int else device[0])
    if record.family == "movement":
        viewed = view_program(record, attrs, metas, device)
        if viewed is not None:
            return viewed
    elif key is None:
        found = shaped_launch(record, attrs, metas)
        if found is not None:
            return program_of(record.name, metas, device, *found)
    kept = kept_name(record, metas)
    launch = None if kept is None else load_kept(kept)
    if launch is None:
        lowered = lower_call(record, attrs, specs_of(metas), [None if m is None else m.strides for m in metas])
        if key is not None:
            remember_flat(key, lowered)
        launch = launch_of(lowered, len(metas))
        if kept is not None:
            save_kept(kept, [s.kernel for s in lowered.steps], launch)
    return program_of(record.name, metas, device, *launch)


def lower_call(record, attrs: object, specs: list, strides: list) -> Lowered:
    """The steps of one op call."""
    return lower(ready(one_node_graph(record, attrs, specs), strides), strides, host())


def view_program(record, attrs: object, metas: tuple, device: int):
    """The Program of a movement whose result is a view: no steps at all. None if elements have to move."""
    meta = metas[0]
    if meta.dtype.weak:
        return None
    attrs, specs = infer(record, attrs, [Spec(meta.dtype, meta.shape)])
    found = record.rules[0](attrs, meta.shape, meta.strides)
    if found is None:
        return None
    strides, offset = found
    out = _core.meta(meta.code, tuple(specs[0].shape), tuple(strides), device)
    return _core.Program(record.name, metas, [(out, 0, offset * meta.dtype.itemsize, ())], 0, [], ())


# A new shape of a known op on dense operands of one shape needs no analysis: only the number of elements changes.
_FLAT: dict[tuple, tuple] = {}
_FLAT_LIMIT = 10_000


def flat_key(op, attrs: object, metas: tuple) -> tuple | None:
    """What identifies a call apart from its size, if all operands are dense and of one shape, or scalars."""
    shape = None
    key = [op.record, exact_key(attrs)]  # not its id, which another op gets when this one is gone
    for m in metas:
        if m is None or not m.contiguous:
            return None
        if not m.ndim:
            key.append(~m.code)
            continue
        if shape is None:
            shape = m.shape
        elif m.shape != shape:
            return None
        key.append(m.code)
    if shape is None or op.record.family != "elementwise" or size_of(shape) < 2:
        return None
    return tuple(key)


def remember_flat(key: tuple, lowered: Lowered) -> None:
    """Keep the one kernel of a flat call, in memory and on disk, if that is what it came to."""
    if len(lowered.steps) != 1 or len(lowered.outputs) != 1 or lowered.outputs[0][3] != -1:
        return
    step = lowered.steps[0]
    if type(step.kernel) is not LoopKernel or step.kernel.kind != "map" or step.kernel.outer != 1:
        return
    if any(buffer is None or buffer.kind == "temp" or offset for buffer, offset, _ in step.buffers):
        return
    slots = tuple((int(b.kind == "output"), b.index) for b, _, _ in step.buffers)
    addresses, keep = kernels_for([step.kernel])
    output = lowered.outputs[0]
    numbers = (output[0].code, step.grain, slots, tuple(step.params[1:]), tuple(output[5]))
    add_flat(key, (addresses[0], keep, *numbers))
    name = flat_name(*key)
    if name is not None:
        save_flat(name, step.kernel, numbers)


def add_flat(key: tuple, known: tuple) -> None:
    if len(_FLAT) >= _FLAT_LIMIT:
        _FLAT.clear()
    _FLAT[key] = known


def kept_flat(key: tuple) -> tuple | None:
    """What `remember_flat` has kept of another process."""
    name = flat_name(*key)
    known = None if name is None else load_flat(name)
    if known is not None:
        add_flat(key, known)
    return known


def flat_program(name: str, known: tuple, metas: tuple, device: int):
    """The Program of a known flat kernel for another number of elements."""
    address, keep, code, grain, slots, strides, reuse = known
    shape = next(m.shape for m in metas if m.ndim)
    count = size_of(shape)
    inputs = len(metas)
    buffers = tuple((inputs + i if output else i, 0) for output, i in slots)
    steps = [(address, buffers, (count, *strides), count, grain)]
    return _core.Program(name, metas, [(_core.meta(code, shape, None, device), -1, 0, reuse)], 0, steps, keep)


def launch_of(lowered: Lowered, inputs: int) -> tuple:
    """(outputs, arena bytes, steps, owners of the code) of lowered steps: kernels compiled or found, buffers as slots."""
    called = [callable(s.kernel) for s in lowered.steps]  # Python, instead of a kernel
    addresses, keep = kernels_for([s.kernel for s, host_call in zip(lowered.steps, called) if not host_call])
    keep = (*keep, *(s.kernel.holds for s in lowered.steps if hasattr(s.kernel, "holds")))
    kernels = iter(addresses)
    arena = inputs + len(lowered.outputs)
    steps = []
    for step, host_call in zip(lowered.steps, called):
        address = next(kernels) if not host_call else step.kernel
        if type(address) is ControlCall:
            address = address.bound(inner_program)
        buffers = []
        for buffer, offset, dtype in step.buffers:
            nbytes = offset * dtype.itemsize
            if buffer is None:
                buffers.append((0, 0))  # an index operand: the kernel doesn't look at it
            elif buffer.kind == "input":
                buffers.append((buffer.index, nbytes))
            elif buffer.kind == "output":
                buffers.append((inputs + buffer.index, nbytes))
            else:
                buffers.append((arena, buffer.offset + nbytes))
        steps.append((address, tuple(buffers), tuple(step.params), step.total, step.grain))
    outputs = [
        (dtype.code, tuple(shape), tuple(strides), alias, offset * dtype.itemsize, tuple(reuse))
        for dtype, shape, strides, alias, offset, reuse in lowered.outputs
    ]
    return outputs, lowered.arena, steps, keep


def ready(graph: Graph, strides: list | None = None) -> Graph:
    """The graph as code is generated for it; strides: those of its parameters, where they are known."""
    graph = simplify(graph)
    if any(n.op.name == "custom_gradient" for n in graph.nodes()):
        graph = custom.without_custom(graph)
    return arrange(graph, strides)


def inner_program(graph: Graph, strides: list):
    """The Program of a graph that a branch or loop runs: operands laid out as told, results dense."""
    metas = tuple(_core.meta(p.dtype.code, p.shape, tuple(s)) for p, s in zip(graph.parameters, strides))
    lowered = lower(ready(graph, strides), strides, host(), dense=True)
    return program_of(graph.name, metas, 0, *launch_of(lowered, len(metas)))


def program_of(name: str, metas: tuple, device: int | tuple, outputs: list, arena: int, steps: list, keep: tuple):
    """The Program of what `launch_of` gives."""
    if type(device) is tuple:
        made = [
            (_core.meta(code, shape, strides, d), alias, offset, tuple(i for i in reuse if metas[i].device == d))
            for d, (code, shape, strides, alias, offset, reuse) in zip(device, outputs)
        ]
    else:
        made = [
            (_core.meta(code, shape, strides, device), alias, offset, reuse)
            for code, shape, strides, alias, offset, reuse in outputs
        ]
    return _core.Program(name, metas, made, arena, steps, keep)


def shaped_launch(record, attrs: object, metas: tuple) -> tuple | None:
    """What `launch_of` would give, if it is known for other shapes of the same op."""
    if not serves_shapes(record):
        return None
    sizes = Sizes(record, len(metas))
    for m in metas:
        sizes.add_meta(m, True)
    sizes.add_static(record, attrs)

    def build(sizes: Sizes) -> tuple:
        specs = [None if m is None else Spec(m.dtype, sizes.lift(m.shape)) for m in metas]
        strides = [sizes.lift_strides(m) for m in metas]
        lowered = lower_call(record, sizes.lift_static(record, attrs), specs, strides)
        outputs, arena, steps, keep = launch_of(lowered, len(metas))
        calls = [s[0] for s in steps if type(s[0]) is HostCall]  # of Python: the same for all sizes
        steps = [(None, *s[1:]) if type(s[0]) is HostCall else s for s in steps]
        return (outputs, arena, steps), (keep, calls)

    found = sizes.find(build)
    if found is None:
        return None
    (outputs, arena, steps), (keep, calls) = found
    if config.verify and not calls:
        lowered = lower_call(record, attrs, specs_of(metas), [None if m is None else m.strides for m in metas])
        wanted = launch_of(lowered, len(metas))[:3]
        # sizes that happen to be equal may share an operand where symbols don't: another kernel for the same
        same_kernels = [s[0] for s in wanted[2]] == [s[0] for s in steps]
        if wanted[0] != outputs or (same_kernels and wanted != found[0]):
            raise VerificationError(f"[{record.name}] a function of the sizes gave other steps than lowering")
    if calls:
        rest = iter(calls)
        steps = [(next(rest), *s[1:]) if s[0] is None else s for s in steps]
    return outputs, arena, steps, keep


_RULES: dict[tuple, object] = {}
_RULES_LIMIT = 4096


def rule_form(record, mask: int, count: int, traced: tuple) -> tuple:
    """(the op that runs backward rules of this form or None, saved, results)."""
    graph, saved, results = traced
    if not graph.outputs:
        return None, saved, results
    key = (record, mask, count, saved, results)
    op = _RULES.get(key)
    if op is None:
        if len(_RULES) >= _RULES_LIMIT:
            _RULES.clear()
        rule = rule_record(record, mask, count, saved, results)
        op = _RULES[key] = _core.Op(rule.name, rule.arity, rule)
    return op, saved, results


def described(metas: tuple) -> tuple:
    """Dtypes and shapes as static arguments."""
    return tuple(None if m is None else (m.dtype, m.shape) for m in metas)


def prepare_vjp(op, attrs: object, metas: tuple, out_metas: tuple, mask: int):
    """The backward rule of one op call, as the core wants it: None or (dynamic op, attrs, saved, results)."""
    record = op.record
    count = len(out_metas)
    if mask and returns_home(metas, out_metas, mask):
        return home_rule(record, attrs, metas, out_metas, mask)
    form = shaped_form(record, attrs, metas, count, mask)
    traced = None
    if form is None:
        specs = specs_of(metas)
        inner, outputs = infer(record, attrs, specs)
        traced = trace_vjp(record, inner, specs, list(outputs), mask)
        if traced is None:
            return None
        form = rule_form(record, mask, count, traced)
    rule, saved, results = form
    if rule is None:
        return None, None, saved, results
    if record.canonical is not None:
        attrs = record.canonical(attrs, *specs_of(metas))
    static = (attrs, described(metas) + described(out_metas))
    if traced is not None:
        graph = traced[0]
        remember_expansion(rule.record, static, tuple(p.spec for p in graph.parameters), graph)
    return rule, static, saved, results


def shaped_form(record, attrs: object, metas: tuple, count: int, mask: int) -> tuple | None:
    """What `rule_form` would give, if it is known for other shapes of the same op."""
    if not serves_shapes(record):
        return None
    sizes = Sizes("vjp", record, mask, len(metas))
    for m in metas:
        sizes.add_meta(m, False)
    sizes.add_static(record, attrs)

    def build(sizes: Sizes) -> tuple:
        specs = [None if m is None else Spec(m.dtype, sizes.lift(m.shape)) for m in metas]
        inner, outputs = infer(record, sizes.lift_static(record, attrs), specs)
        traced = trace_vjp(record, inner, specs, list(outputs), mask)
        if traced is None:
            raise VerificationError("no gradient flows")
        return (), rule_form(record, mask, count, traced)

    found = sizes.find(build)
    if found is None:
        return None
    if config.verify:
        specs = specs_of(metas)
        inner, outputs = infer(record, attrs, specs)
        if rule_form(record, mask, count, trace_vjp(record, inner, specs, list(outputs), mask)) != found[1]:
            raise VerificationError(f"[{record.name}] a backward rule of other shapes has another form")
    return found[1]
