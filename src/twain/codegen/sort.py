"""Lowerings of sorting: rows along a contiguous last axis, by the kernels that suit their length."""

from __future__ import annotations

from .. import _core
from ..base import dtypes as dt
from ..base.shapes import size_of
from ..passes.fuse import Group
from . import expr as E
from . import network, radix
from .keys import order_constant
from .lower import PARALLEL, Body, Layout, Lowering, Step

ALONE = 64  # elements of a row for which a network is worth while without others beside it
LONG = 4096  # elements of a row from which digits are wide, as long as it stays in caches
CACHED = 1 << 22  # bytes
LARGE, FEW_ROWS = 1 << 17, 4  # rows so long, and so few, are sorted by blocks
BLOCK = 1 << 15


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
    sort_into(lowering, x, into, positions, n.attrs)


def sort_into(lowering: Lowering, x: Layout, into: Layout, positions: bool, descending: bool) -> None:
    """Steps that put the sorted rows of x, or the positions, into `into`."""
    length, target = x.shape[-1], lowering.target
    rows = size_of(x.shape[:-1])
    lanes = network.lanes_of(x.dtype, positions, target)
    if length <= ALONE or (length <= network.LONGEST and rows >= lanes):
        kernel = network.network_source(x.dtype, positions, target)
        params = [length, order_constant(x.dtype, descending, signed=True), rows, length]
        grain = max(1, PARALLEL // 16 // (length * lanes))
        lowering.add_step(Step(kernel, [slot(x), slot(into)], params, -(-rows // lanes), grain))
        return
    buffers = [slot(x), slot(into), slot(lowering.fresh(into.dtype, x.shape))]
    if positions and x.dtype.itemsize == 8:
        buffers += [slot(lowering.fresh(dt.uint64, x.shape)) for _ in range(2)]
    params = [length, order_constant(x.dtype, descending, signed=False)]
    if rows < FEW_ROWS and length >= LARGE and _core.get_threads() > 1:  # either way gives the same
        blocks = -(-length // BLOCK)
        params += [BLOCK, blocks]
        passes = x.dtype.bits // radix.NARROW
        counts = lowering.fresh(dt.int32, (rows * blocks * (1 << radix.NARROW),))
        spans = lowering.fresh(x.dtype, (2 * rows * blocks,))
        buffers += [slot(counts), slot(lowering.fresh(dt.int64, (rows * (passes + 1),))), slot(spans)]

        def add(step: str, number: int = 0) -> None:
            kernel = radix.block_source(step, x.dtype, positions, target)
            total = rows if step == "places" else rows * blocks
            lowering.add_step(Step(kernel, buffers, [*params, number], total, 1))

        if x.dtype.kind in "iu" and x.dtype.itemsize > 1:
            add("span")
        add("convert")
        for number in range(passes):
            for step in ("tally", "places", "deal"):
                add(step, number)
        add("finish")
        return
    itemsize = 8 if positions else x.dtype.itemsize
    digit = radix.WIDE if length >= LONG and length * itemsize <= CACHED else radix.NARROW
    kernel = radix.rows_source(x.dtype, positions, digit, target)
    lowering.add_step(Step(kernel, buffers, params, rows, max(1, PARALLEL // 16 // length)))
