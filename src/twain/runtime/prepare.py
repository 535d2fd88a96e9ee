"""What the core calls on a miss: build the Program of an op for given operands, and trace its backward rule."""

from __future__ import annotations

from .. import _core
from ..base.errors import DeviceError
from ..base.shapes import size_of
from ..codegen.kernel import LoopKernel
from ..codegen.lower import Lowered, lower
from ..codegen.targets import host
from ..ir.node import Graph, Spec, make_parameter
from ..ir.op import apply, infer
from ..passes.layout import arrange
from ..passes.simplify import simplify
from ..transforms.vjp import trace_vjp, vjp_record
from .kernels import kernels_for


def specs_of(metas: tuple) -> list:
    """Specs of the core's metas; None stays None."""
    return [None if m is None else Spec(m.dtype, m.shape) for m in metas]


def device_of(name: str, metas: tuple) -> int:
    """The one device of all operands (Python scalars live anywhere)."""
    found = {m.device for m in metas if m is not None and not m.dtype.weak}
    if len(found) > 1:
        names = " and ".join(f"cpu:{d}" for d in sorted(found))
        raise DeviceError(f"[{name}] expected all operands on one device, got {names}; move one with .to(device)")
    return found.pop() if found else 0


def one_node_graph(record, attrs: object, specs: list) -> Graph:
    """The graph that is nothing but this op."""
    parameters = [None if s is None else make_parameter(i, s) for i, s in enumerate(specs)]
    args = (parameters,) if record.arity < 0 else tuple(parameters)
    result = apply(record, attrs, args)
    outputs = list(result) if type(result) is tuple else [result]
    return Graph(record.name, [p for p in parameters if p is not None], outputs)


def prepare(op, attrs: object, metas: tuple):
    """The Program of `op` for operands laid out as `metas`."""
    record = op.record
    device = device_of(record.name, metas)
    key = flat_key(op, attrs, metas)
    if key is not None:
        known = _FLAT.get(key)
        if known is not None:
            return flat_program(record.name, known, metas, device)
    if record.family == "movement":
        viewed = view_program(record, attrs, metas, device)
        if viewed is not None:
            return viewed
    graph = arrange(simplify(one_node_graph(record, attrs, specs_of(metas))))
    strides = [None if m is None else m.strides for m in metas]
    lowered = lower(graph, strides, host())
    if key is not None:
        remember_flat(key, lowered)
    return assemble(record.name, lowered, metas, device)


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
    key = [op.record, attrs]  # not its id, which another op gets when this one is gone
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
    """Keep the one kernel of a flat call, if that is what it came to."""
    if len(lowered.steps) != 1 or len(lowered.outputs) != 1 or lowered.outputs[0][3] != -1:
        return
    step = lowered.steps[0]
    if type(step.kernel) is not LoopKernel or step.kernel.kind != "map" or step.kernel.outer != 1:
        return
    if any(buffer is None or buffer.kind == "temp" or offset for buffer, offset, _ in step.buffers):
        return
    if len(_FLAT) >= _FLAT_LIMIT:
        _FLAT.clear()
    slots = tuple((b.kind == "output", b.index) for b, _, _ in step.buffers)
    addresses, keep = kernels_for([step.kernel])
    _FLAT[key] = (addresses[0], keep, slots, tuple(step.params[1:]), step.grain, lowered.outputs[0][0].code)


def flat_program(name: str, known: tuple, metas: tuple, device: int):
    """The Program of a known flat kernel for another number of elements."""
    address, keep, slots, strides, grain, code = known
    shape = next(m.shape for m in metas if m.ndim)
    count = size_of(shape)
    inputs = len(metas)
    buffers = tuple((inputs + i if output else i, 0) for output, i in slots)
    steps = [(address, buffers, (count, *strides), count, grain)]
    return _core.Program(name, metas, [(_core.meta(code, shape, None, device), -1, 0, ())], 0, steps, keep)


def assemble(name: str, lowered: Lowered, metas: tuple, device: int):
    """A Program of lowered steps: kernels compiled or found, buffers as slots."""
    called = [callable(s.kernel) for s in lowered.steps]  # Python, instead of a kernel
    addresses, keep = kernels_for([s.kernel for s, host_call in zip(lowered.steps, called) if not host_call])
    kernels = iter(addresses)
    first_output = len(metas)
    arena = first_output + len(lowered.outputs)
    steps = []
    for step, host_call in zip(lowered.steps, called):
        address = step.kernel if host_call else next(kernels)
        buffers = []
        for buffer, offset, dtype in step.buffers:
            nbytes = offset * dtype.itemsize
            if buffer is None:
                buffers.append((0, 0))  # an index operand: the kernel doesn't look at it
            elif buffer.kind == "input":
                buffers.append((buffer.index, nbytes))
            elif buffer.kind == "output":
                buffers.append((first_output + buffer.index, nbytes))
            else:
                buffers.append((arena, buffer.offset + nbytes))
        steps.append((address, tuple(buffers), tuple(step.params), step.total, step.grain))
    outputs = []
    for dtype, shape, strides, alias, offset, reuse in lowered.outputs:
        meta = _core.meta(dtype.code, tuple(shape), tuple(strides), device)
        outputs.append((meta, alias, offset * dtype.itemsize, reuse))
    return _core.Program(name, tuple(metas), outputs, lowered.arena, steps, keep)


def prepare_vjp(op, attrs: object, metas: tuple, out_metas: tuple, mask: int):
    """The backward rule of one op call, as the core wants it: None or (dynamic op, attrs, saved, results)."""
    record = op.record
    specs = specs_of(metas)
    attrs, outputs = infer(record, attrs, specs)
    traced = trace_vjp(record, attrs, specs, list(outputs), mask)
    if traced is None:
        return None
    graph, saved, results = traced
    if not graph.outputs:
        return None, None, saved, results
    rule = vjp_record(graph)
    return _core.Op(rule.name, rule.arity, rule), None, saved, results
