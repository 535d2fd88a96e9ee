"""Lowerings of ops that read or write at computed positions."""

from __future__ import annotations

from ..base import dtypes as dt
from ..base.shapes import size_of
from ..ir.node import Node
from ..passes.fuse import Group
from . import expr as E
from .access import collapse, identity_map, strides_along
from .kernel import CONTIGUOUS, STRIDED, LoopKernel, Operand
from .lower import PARALLEL, Body, Layout, Lowering, Step, renumber


def inline_iota(body: Body, n: Node, map_: tuple) -> E.Expr:
    """The index along one axis."""
    _, axis = n.attrs
    strides, start = strides_along((map_[axis],), (1,), len(body.shape))
    return body.iota(strides, start)


def inline_size(body: Body, n: Node, map_: tuple) -> E.Expr:
    return 1.0 / E.cast(body.integer(n.attrs[0]), n.dtype)


def wrapped(body: Body, index: E.Expr, size: int) -> tuple:
    """(index counted from the start, whether it is in range)."""
    index = E.cast(index, dt.int64)
    length = body.integer(size)
    index = E.select(index < 0, index + length, index)
    return index, (index >= 0) & (index < length)


def missing(dtype) -> E.Expr:
    """What an index out of range reads."""
    if dtype.kind in "fc":
        return E.const(float("nan"), dtype)
    return E.const(0 if dtype.kind in "bu" else -(2 ** (dtype.bits - 1)), dtype)


def position(body: Body, layout: Layout, axis: int, others: tuple, index: E.Expr) -> tuple:
    """(element offset in `layout` of `index` along `axis`, whether it exists); `others` maps the remaining axes."""
    strides = tuple(s for a, s in enumerate(layout.strides) if a != axis)
    along, start = strides_along(others, strides, len(body.shape))
    index, valid = wrapped(body, index, layout.shape[axis])
    safe = E.select(valid, index, 0)
    return body.iota(along, start) + safe * body.integer(layout.strides[axis]), valid


def inline_take(body: Body, n: Node, map_: tuple) -> E.Expr:
    x, indices = n.inputs
    axis = n.attrs
    rank = len(indices.shape)
    layout = body.lowering.buffered(x)
    index = body.value(indices, tuple(map_[axis : axis + rank]))
    at, valid = position(body, layout, axis, (*map_[:axis], *map_[axis + rank :]), index)
    return E.select(valid, body.gather(layout, at), missing(layout.dtype))


def inline_along(body: Body, n: Node, map_: tuple) -> E.Expr:
    x, indices = n.inputs
    axis = n.attrs
    layout = body.lowering.buffered(x)
    at, valid = position(body, layout, axis, (*map_[:axis], *map_[axis + 1 :]), body.value(indices, map_))
    return E.select(valid, body.gather(layout, at), missing(layout.dtype))


RUN = 8  # elements in a row that make copying whole rows worth while


def takes_rows(lowering: Lowering, group: Group) -> bool:
    """Whether the group only takes whole runs along a contiguous last axis."""
    n = group.nodes[0]
    if len(group.nodes) != 1 or n.op.lowering != "take" or n.attrs == len(n.inputs[0].shape) - 1 or n.shape[-1] < RUN:
        return False
    return lowering.buffered(n.inputs[0]).strides[-1] == 1 and n.dtype.kind not in "c"


def lower_take_rows(lowering: Lowering, group: Group) -> None:
    """Copy row after row from where its index says."""
    n = group.nodes[0]
    x, indices = n.inputs
    axis, rank, shape = n.attrs, len(indices.shape), n.shape
    into = lowering.destination(n)
    if size_of(shape) == 0:
        return
    body = Body(lowering, None, shape)
    map_ = identity_map(shape)
    layout = lowering.buffered(x)
    others = (*map_[:axis], *map_[axis + rank : -1])
    index, valid = wrapped(body, body.value(indices, tuple(map_[axis : axis + rank])), layout.shape[axis])
    strides = tuple(s for a, s in enumerate(layout.strides[:-1]) if a != axis)
    along, start = strides_along(others, strides, len(shape))
    at = body.iota(along, start) + index * body.integer(layout.strides[axis])
    source = body.gather(layout, E.select(valid, at, -1))
    (source,), used = renumber([source], body.operands)
    body.operands = [body.operands[i] for i in used]
    body.outputs = [(into, source, "full")]
    operands = body.all_operands()
    walked = [body.walked(o) for o in operands]
    outer, outer_strides = collapse(list(shape[:-1]), [s[:-1] for s in walked])
    sizes = [*outer, shape[-1]] if outer else [1, shape[-1]]
    strides = [[*(a if outer else [0]), b[-1]] for a, b in zip(outer_strides, walked, strict=True)]
    described = body.kernel("map", operands, strides, len(sizes), 0, len(sizes) - 1)
    target = (Operand(into.dtype, CONTIGUOUS), source, "full")
    kernel = LoopKernel("gather", described.inputs, [target], len(sizes), 0, (("missing", missing(layout.dtype)),))
    rows = size_of(sizes[:-1])
    body.add(kernel, operands, sizes, strides, rows, max(1, PARALLEL // shape[-1]))


def in_runs(shape: tuple, rows: int, lanes: int) -> int:
    """Into how many runs a last axis is cut, so that several threads write to few rows."""
    for count in (8, 4, 2):
        if rows * count <= 16 and shape[-1] % (count * lanes) == 0 and shape[-1] // count >= RUN * lanes:
            return count
    return 1


def lower_scatter(lowering: Lowering, group: Group) -> None:
    """Copy x, then fold the updates in, one after another. What lies before the axis is independent."""
    n = group.nodes[0]
    x, indices, updates = n.inputs
    axis, mode, combine = (*n.attrs, "add")[:3]
    into = lowering.destination(n)
    lowering.write(x, into)
    shape = updates.shape
    if size_of(shape) == 0:
        return
    rank = len(indices.shape) if mode == "take" else 1
    # along a last axis that the index doesn't depend on, whole vectors are written
    vectors = mode == "take" and axis + rank < len(shape) and (into.strides[-1] == 1 or shape[-1] == 1)
    map_ = identity_map(shape)
    runs = in_runs(shape, size_of(shape[:axis]), lowering.target.vector_bytes // into.dtype.itemsize) if vectors else 1
    if runs > 1:
        last, width = len(shape) - 1, shape[-1] // runs
        shape = (*shape[:-1], runs, width)
        map_ = (*map_[:-1], (0, ((last, width), (last + 1, 1))))
    body = Body(lowering, None, shape)
    value = E.cast(body.value(updates, map_), into.dtype)
    index_map = map_[axis : axis + rank] if mode == "take" else map_
    index = body.value(indices, tuple(index_map))
    others = (*map_[:axis], *map_[axis + rank :])
    strides = tuple(s for a, s in enumerate(into.strides) if a != axis)
    along, start = strides_along(others, strides, len(shape))
    index, valid = wrapped(body, index, into.shape[axis])
    at = body.iota((*along[:-1], 0) if vectors else along, start) + index * body.integer(into.strides[axis])
    at = E.select(valid, at, -1)
    (value, at), used = renumber([value, at], body.operands)
    body.operands = [body.operands[i] for i in used]
    operands = [*body.operands, (into.buffer, into.dtype, None, into.offset)]
    walked = [body.walked(o) for o in operands]
    end = len(shape) - vectors
    inner = range(axis, end - (runs > 1))
    order = [*range(axis), *range(axis, end)[len(inner) :]]
    outer, outer_strides = collapse([shape[a] for a in order], [[s[a] for a in order] for s in walked])
    rest, rest_strides = collapse([shape[a] for a in inner], [[s[a] for a in inner] for s in walked])
    if vectors or not rest:
        rest, rest_strides = (
            [*rest, shape[-1] if vectors else 1],
            [[*r, s[-1] if vectors else 0] for r, s in zip(rest_strides, walked)],
        )
    sizes = [*outer, *rest]
    strides = [[*a, *b] for a, b in zip(outer_strides, rest_strides)]
    body.outputs = [(into, value, "full")]
    kernel = body.kernel("map", operands, strides, len(sizes), 0, len(sizes) - 1)
    target = Operand(into.dtype, CONTIGUOUS if vectors else STRIDED)
    kernel = LoopKernel(
        "scatter", kernel.inputs, [(target, value, "full")], len(outer), len(rest), ((combine, at),)
    )  # fmt: skip
    params = [*sizes, *(s for mine in strides for s in mine), *(o[3] for o in operands if o[0] is None)]
    grain = max(1, PARALLEL // 4 // size_of(rest))
    lowering.add_step(Step(kernel, [(o[0], o[3], o[1]) for o in operands], params, size_of(outer), grain))
