"""Lowerings of sorting: rows along a contiguous last axis, by the kernels that suit their length."""

from __future__ import annotations

from ..base import dtypes as dt
from ..base.shapes import size_of
from ..passes.fuse import Group
from . import expr as E
from . import radix
from .keys import order_constant
from .lower import PARALLEL, Body, Layout, Lowering, Step


def rows_of(lowering: Lowering, n) -> Layout:
    """A value in row-major order."""
    layout = lowering.buffered(n)
    return layout if layout.contiguous else lowering.copy(layout)


def slot(layout: Layout) -> tuple:
    """What a step names a layout by."""
    return layout.buffer, layout.offset, layout.dtype


def fill(lowering: Lowering, into: Layout, value: object) -> None:
    """A constant everywhere in `into`."""
    body = Body(lowering, None, into.shape)
    body.store(into, E.const(value, into.dtype), "full")
    body.finish_map()


def lower_sort(lowering: Lowering, group: Group) -> None:
    """sort_rows and argsort_rows: the values, or the positions, of each row in order."""
    n = group.nodes[0]
    positions = n.op.name == "argsort_rows"
    x = rows_of(lowering, n.inputs[0])
    into = lowering.destination(n)
    if size_of(x.shape) == 0:
        return
    length = x.shape[-1]
    rows = size_of(x.shape[:-1])
    descending = n.attrs
    buffers = [slot(x), slot(into), slot(lowering.fresh(into.dtype, x.shape))]
    if positions and x.dtype.itemsize == 8:
        buffers += [slot(lowering.fresh(dt.uint64, x.shape)) for _ in range(2)]
    kernel = radix.rows_source(x.dtype, positions, lowering.target)
    params = [length, order_constant(x.dtype, descending, signed=False)]
    lowering.add_step(Step(kernel, buffers, params, rows, max(1, PARALLEL // 16 // length)))
