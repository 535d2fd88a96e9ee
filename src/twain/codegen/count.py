"""Counting how often each small integer occurs. Blocks of a row count into tables of their own, which are then added."""

from __future__ import annotations

from ..base import dtypes as dt
from ..base.dtypes import DType
from ..base.shapes import size_of
from ..passes.fuse import Group
from .builder import Builder, Module
from .lower import PARALLEL, Lowering, Step
from .plan import KernelSource
from .sort import fill, rows_of, slot

BLOCK = 65536  # elements counted into one table
TABLES = 1 << 22  # entries of all tables together
UNROLL = 4
MERGED = 1024  # results added by one thread at a time

_SOURCES: dict[tuple, KernelSource] = {}


def count_source(dtype: DType, target) -> KernelSource:
    """buffers: x, tables. params: length of a row, elements per block, blocks per row, entries per table."""
    key = (dtype.name, target.name)
    found = _SOURCES.get(key)
    if found is None:

        def emit(module: Module, name: str) -> None:
            _emit_count(Builder(module, name, attributes=target.attributes), dtype)

        text = f"count {dtype.name}"
        found = _SOURCES[key] = KernelSource(text, text, emit)
    return found


def merge_source(target) -> KernelSource:
    """buffers: tables, result. params: entries per table, tables per row, chunks of the result per row."""

    def emit(module: Module, name: str) -> None:
        _emit_merge(Builder(module, name, attributes=target.attributes))

    return KernelSource("count merge", "count merge", emit)


def _emit_count(b: Builder, dtype: DType) -> None:
    length, block, blocks, size = (b.parameter(i) for i in range(4))
    x, tables = b.buffer(0), b.buffer(1)
    element = f"i{dtype.bits}"
    with b.loop("%begin", "%end", hint="block") as unit:
        row = b.udiv(unit.i, blocks)
        start = b.mul(b.urem(unit.i, blocks), block)
        count = b.min(b.sub(length, start), block)
        mine = b.offset(x, b.add(b.mul(row, length), start), element)
        table = b.offset(tables, b.mul(unit.i, size), "i64")
        with b.loop("0", size, hint="zero") as zero:
            b.store("i64", "0", b.offset(table, zero.i, "i64"), 8)

        def one(i: str) -> None:
            at = b.load(element, b.offset(mine, i, element))
            if dtype.bits < 64:
                at = b.value(f"{'sext' if dtype.kind == 'i' else 'zext'} {element} {at} to i64")
            with b.when(b.compare("ult", at, size), "inside"):  # a negative number is a large one
                place = b.offset(table, at, "i64")
                b.store("i64", b.add(b.load("i64", place, 8), 1), place, 8)

        with b.loop("0", b.sub(count, UNROLL - 1), UNROLL, carried=[("i64", "0")], hint="several") as loop:
            for u in range(UNROLL):
                one(b.add(loop.i, u))
            loop.next(b.add(loop.i, UNROLL))
        with b.loop(loop.results[0], count, hint="rest") as rest:
            one(rest.i)
    b.finish()


def _emit_merge(b: Builder) -> None:
    size, blocks, chunks = (b.parameter(i) for i in range(3))
    tables, result = b.buffer(0), b.buffer(1)
    with b.loop("%begin", "%end", hint="chunk") as chunk:
        row = b.udiv(chunk.i, chunks)
        start = b.mul(b.urem(chunk.i, chunks), MERGED)
        first = b.offset(tables, b.mul(b.mul(row, blocks), size), "i64")
        out = b.offset(result, b.mul(row, size), "i64")
        with b.loop(start, b.min(size, b.add(start, MERGED)), hint="entry") as entry:
            with b.loop("0", blocks, carried=[("i64", "0")], hint="table") as table:
                at = b.offset(first, b.add(b.mul(table.i, size), entry.i), "i64")
                table.next(b.add(table.values[0], b.load("i64", at, 8)))
            b.store("i64", table.results[0], b.offset(out, entry.i, "i64"), 8)
    b.finish()


def lower_count(lowering: Lowering, group: Group) -> None:
    """count_bins, along the last axis."""
    n = group.nodes[0]
    x = rows_of(lowering, n.inputs[0])
    into = lowering.destination(n)
    rows, length, size = size_of(x.shape[:-1]), x.shape[-1], n.attrs
    if rows * size == 0:
        return
    if length == 0:
        fill(lowering, into, 0)
        return
    most = max(1, min(TABLES // (rows * size), length // max(1, 2 * size)))
    blocks = min(-(-length // BLOCK), most)
    block = -(-length // blocks)
    blocks = -(-length // block)
    tables = into if blocks == 1 else lowering.fresh(dt.int64, (rows * blocks, size))
    kernel = count_source(x.dtype, lowering.target)
    params = [length, block, blocks, size]
    lowering.add_step(Step(kernel, [slot(x), slot(tables)], params, rows * blocks, max(1, PARALLEL // 4 // block)))
    if blocks > 1:
        chunks = -(-size // MERGED)
        params = [size, blocks, chunks]
        grain = max(1, PARALLEL // MERGED // blocks)
        lowering.add_step(Step(merge_source(lowering.target), [slot(tables), slot(into)], params, rows * chunks, grain))
