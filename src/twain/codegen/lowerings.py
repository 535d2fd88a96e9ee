"""Lowerings of groups whose kernels are not plain loops: contractions with what follows them."""

from __future__ import annotations

from ..base import dtypes as dt
from ..ir.node import Node
from ..ops.families import compute_dtype
from ..passes.fuse import Group
from . import expr as E
from .access import identity_map, operand_map, strides_along
from .conv import Shape, conv_plan
from .epilogue import Epilogue
from .gemm import gemm_plan
from .lower import Body, Layout, Lowering, Step, renumber, stored

_EPILOGUES: dict[tuple, Epilogue] = {}


class EpilogueBody(Body):
    """Expressions over the result of a contraction: load(0) is the accumulated value."""

    def __init__(self, lowering: Lowering, group: Group, root: Node):
        super().__init__(lowering, group, root.shape)
        self.root = root
        self.accumulated = E.load(0, compute_dtype(root.dtype))
        self.operands.append((None, self.accumulated.dtype, (), 0))

    def build(self, n: Node, map_: tuple) -> E.Expr:
        if n is self.root:
            return E.cast(self.accumulated, n.dtype)
        return super().build(n, map_)

    def epilogue(self) -> Epilogue:
        outputs = [e for _, e, _ in self.outputs]
        key = (E.text(outputs), self.accumulated.dtype.code)
        found = _EPILOGUES.get(key)
        if found is None:
            if len(_EPILOGUES) > 4096:
                _EPILOGUES.clear()
            found = _EPILOGUES[key] = Epilogue(outputs, self.accumulated.dtype)
        return found


def epilogue_body(lowering: Lowering, group: Group) -> EpilogueBody:
    """The group's stored values as expressions over its contraction, each with where it goes."""
    body = EpilogueBody(lowering, group, group.nodes[0])
    identity = identity_map(body.shape)
    for n in lowering.stored_members(group):
        body.store(lowering.destination(n), body.value(n, identity), "full")
    values, used = renumber([e for _, e, _ in body.outputs], body.operands, first=(0,))
    if len(used) < len(body.operands):
        body.outputs = [(layout, e, level) for (layout, _, level), e in zip(body.outputs, values)]
        body.operands = [body.operands[i] for i in used]
    return body


def add_plan(lowering: Lowering, plan, roles: dict, body: EpilogueBody) -> None:
    """Append a kernel plan's steps; `roles` maps its buffer roles to (Buffer, element offset, dtype)."""
    pairs = body.in_place_pairs({roles["a", 0][0], roles["b", 0][0]})
    for i, nbytes in enumerate(plan.scratch):
        roles["scratch", i] = (lowering.temporary(nbytes), 0, dt.uint8)
    for step in plan.steps:
        buffers = []
        for role, number, shift in step.buffers:
            buffer, offset, dtype = roles[role, number]
            buffers.append((buffer, offset + shift // dtype.itemsize, dtype))
        lowering.add_step(Step(step.source, buffers, list(step.params), step.total, step.grain, pairs))


def operand_roles(body: EpilogueBody) -> tuple:
    """(roles, strides of outputs, strides of extras), strides along the axes of the result."""
    roles = {}
    outs = []
    for i, (layout, _, _) in enumerate(body.outputs):
        roles["out", i] = (layout.buffer, layout.offset, layout.dtype)
        outs.append(layout.strides)
    extras = []
    for i, (buffer, dtype, strides, offset) in enumerate(body.operands[1:]):
        roles["extra", i] = (buffer, offset, dtype)
        extras.append(strides)
    return roles, outs, extras


def lower_matmul(lowering: Lowering, group: Group) -> None:
    """C = epilogue(A @ B), any strides, leading axes broadcast."""
    n = group.nodes[0]
    dtype = stored(n.dtype)
    a, b = (lowering.buffered(i, None if stored(i.dtype) is dtype else dtype) for i in n.inputs)
    body = epilogue_body(lowering, group)
    roles, outs, extras = operand_roles(body)
    roles["a", 0] = (a.buffer, a.offset, a.dtype)
    roles["b", 0] = (b.buffer, b.offset, b.dtype)
    batch = n.shape[:-2]
    m, columns = n.shape[-2:]
    a_batch, b_batch = batch_strides(a, batch), batch_strides(b, batch)
    rank = len(batch)
    plan = gemm_plan(
        dtype, dtype, body.epilogue(), lowering.target, batch, m, columns, a.shape[-1],
        (a_batch, a.strides[-2], a.strides[-1]), (b_batch, b.strides[-2], b.strides[-1]),
        tuple((tuple(s[:rank]), s[rank], s[rank + 1]) for s in outs),
        tuple((tuple(s[:rank]), s[rank], s[rank + 1]) for s in extras),
    )  # fmt: skip
    add_plan(lowering, plan, roles, body)


def batch_strides(layout: Layout, batch: tuple) -> tuple:
    """Strides of an operand's leading axes along the broadcast `batch` axes."""
    leading = layout.shape[:-2]
    map_ = operand_map(identity_map(batch), batch, leading)
    return strides_along(map_, layout.strides[: len(leading)], len(batch))[0]


def lower_convolution(lowering: Lowering, group: Group) -> None:
    """epilogue(convolution), any strides; the feature axis is split into groups."""
    n = group.nodes[0]
    dtype = stored(n.dtype)
    x, w = (lowering.buffered(i, None if stored(i.dtype) is dtype else dtype) for i in n.inputs)
    body = epilogue_body(lowering, group)
    roles, outs, extras = operand_roles(body)
    roles["a", 0] = (x.buffer, x.offset, x.dtype)
    roles["b", 0] = (w.buffer, w.offset, w.dtype)
    stride, padding, dilation, input_dilation, groups = n.attrs
    features = w.shape[0] // groups
    shape = Shape(
        x.shape[0], groups, w.shape[1], features, x.shape[2:], w.shape[2:], stride, padding, dilation, input_dilation
    )
    xs, ws = x.strides, w.strides
    plan = conv_plan(
        dtype, dtype, body.epilogue(), lowering.target, shape, (xs[0], xs[1] * w.shape[1], *xs[1:]),
        (ws[0] * features, *ws), tuple((s[0], s[1] * features, *s[1:]) for s in outs),
        tuple((s[0], s[1] * features, *s[1:]) for s in extras),
    )  # fmt: skip
    add_plan(lowering, plan, roles, body)
