"""Kernels that go by a mask: counting, keeping what is chosen, finding where it is, and putting values there.

A row is cut into blocks of a fixed size. Their counts, summed, say where each block's share of the chosen elements
begins; then all blocks work side by side. Eight mask bytes are looked at together: mostly all or none are set.
"""

from __future__ import annotations

from ..base import dtypes as dt
from ..base.shapes import size_of
from ..passes.fuse import Group
from .builder import Builder, Module
from .lower import PARALLEL, Lowering, Step
from .plan import KernelSource
from .sort import rows_of, slot

BLOCK = 4096  # bytes of the mask; their count fits in 16 bits, that of a lane in 8
LANES = 32
ALL_SET = 0x0101010101010101

_SOURCES: dict[tuple, KernelSource] = {}


def mask_source(role: str, itemsize: int, target) -> KernelSource:
    """role: count, sum, total, compress, positions or place."""
    key = (role, itemsize, target.name)
    found = _SOURCES.get(key)
    if found is None:
        write = {"count": _emit_count, "sum": _emit_sum, "total": _emit_total}.get(role)

        def emit(module: Module, name: str) -> None:
            b = Builder(module, name, attributes=target.attributes)
            write(b) if write else BlockWriter(b, role, itemsize).write()
            b.finish()

        text = f"mask {role} {itemsize}"
        found = _SOURCES[key] = KernelSource(text, text, emit)
    return found


def blocks_of(b: Builder, length: str, blocks: str, unit: str) -> tuple:
    """(row, the block's first element within the row, how many it has)."""
    row = b.udiv(unit, blocks)
    start = b.mul(b.urem(unit, blocks), BLOCK)
    return row, start, b.min(b.sub(length, start), BLOCK)


def _emit_count(b: Builder) -> None:
    """buffers: mask, counts of blocks (int64). params: length, blocks per row."""
    length, blocks = b.parameter(0), b.parameter(1)
    mask, counts = b.buffer(0), b.buffer(1)
    v, wide = f"<{LANES} x i8>", f"<{LANES} x i16>"
    with b.loop("%begin", "%end", hint="block") as unit:
        row, start, size = blocks_of(b, length, blocks, unit.i)
        at = b.offset(mask, b.add(b.mul(row, length), start), "i8")
        carried = [("i64", "0"), (v, "zeroinitializer")]
        with b.loop("0", b.sub(size, LANES - 1), LANES, carried=carried, hint="count") as loop:
            new = b.value(f"add {v} {loop.values[1]}, {b.load(v, b.offset(at, loop.i, 'i8'))}")
            loop.next(b.add(loop.i, LANES), new)
        done, lanes = loop.results
        lanes = b.value(f"zext {v} {lanes} to {wide}")
        total = b.call("i16", f"llvm.vector.reduce.add.v{LANES}i16", (wide, lanes))
        total = b.value(f"zext i16 {total} to i64")
        with b.loop(done, size, carried=[("i64", total)], hint="rest") as rest:
            one = b.value(f"zext i8 {b.load('i8', b.offset(at, rest.i, 'i8'))} to i64")
            rest.next(b.add(rest.values[0], one))
        b.store("i64", rest.results[0], b.offset(counts, unit.i, "i64"), 8)


def _emit_sum(b: Builder) -> None:
    """Per row, counts become what comes before each block. buffers: counts. params: blocks per row."""
    blocks = b.parameter(0)
    counts = b.buffer(0)
    with b.loop("%begin", "%end", hint="row") as row:
        mine = b.offset(counts, b.mul(row.i, blocks), "i64")
        with b.loop("0", blocks, carried=[("i64", "0")], hint="block") as loop:
            place = b.offset(mine, loop.i, "i64")
            count = b.load("i64", place, 8)
            b.store("i64", loop.values[0], place, 8)
            loop.next(b.add(loop.values[0], count))


def _emit_total(b: Builder) -> None:
    """Per row, the sum of its blocks' counts. buffers: counts, result. params: blocks per row."""
    blocks = b.parameter(0)
    counts, result = b.buffer(0), b.buffer(1)
    with b.loop("%begin", "%end", hint="row") as row:
        mine = b.offset(counts, b.mul(row.i, blocks), "i64")
        with b.loop("0", blocks, carried=[("i64", "0")], hint="block") as loop:
            loop.next(b.add(loop.values[0], b.load("i64", b.offset(mine, loop.i, "i64"), 8)))
        b.store("i64", loop.results[0], b.offset(result, row.i, "i64"), 8)


class BlockWriter:
    """compress: buffers mask, starts of blocks, result, x; positions: mask, starts, result; place: mask, starts,
    result, x, source. params: length, blocks per row, elements per row of the result (place: of the source).

    What goes beyond the result's row is left out; the rest of a row that is too long is 0 (positions: the length).
    """

    def __init__(self, b: Builder, role: str, itemsize: int):
        self.b = b
        self.role = role
        self.type = f"i{itemsize * 8}"

    def write(self) -> None:
        b, type_ = self.b, self.type
        length, blocks, size = (b.parameter(i) for i in range(3))
        mask, starts, result = (b.buffer(i) for i in range(3))
        x = None if self.role == "positions" else b.buffer(3)
        source = b.buffer(4) if self.role == "place" else None
        dummy = b.alloca(type_, 1)
        with b.loop("%begin", "%end", hint="block") as unit:
            row, start, count = blocks_of(b, length, blocks, unit.i)
            first = b.add(b.mul(row, length), start)
            bytes_ = b.offset(mask, first, "i8")
            mine = None if x is None else b.offset(x, first, type_)
            kept = b.mul(row, size)
            if self.role == "place":
                out, other = b.offset(result, first, type_), b.offset(source, kept, type_)
            else:
                out, other = b.offset(result, kept, type_), None

            def value(i: str) -> str:
                if self.role == "positions":
                    return b.add(start, i)
                return b.load(type_, b.offset(mine, i, type_))

            def step(i: str, at: str) -> str:
                """Element i, with `at` chosen ones before it; returns the new count."""
                chosen = b.load("i8", b.offset(bytes_, i, "i8"))
                after = b.add(at, b.value(f"zext i8 {chosen} to i64"))
                fits = b.compare("slt", at, size)
                if self.role == "place":
                    taken = b.value(f"and i1 {fits}, {b.compare('ne', chosen, 0, 'i8')}")
                    new = b.load(type_, b.select(fits, "ptr", b.offset(other, at, type_), dummy))
                    b.store(type_, b.select(taken, type_, new, value(i)), b.offset(out, i, type_))
                else:  # the next one overwrites what wasn't chosen
                    taken = b.value(f"and i1 {fits}, {b.compare('ne', chosen, 0, 'i8')}")
                    b.store(type_, value(i), b.select(taken, "ptr", b.offset(out, at, type_), dummy))
                return after

            before = b.load("i64", b.offset(starts, unit.i, "i64"), 8)
            with b.loop("0", b.sub(count, 7), 8, carried=[("i64", "0"), ("i64", before)], hint="eight") as loop:
                _, at = loop.values
                word = b.load("i64", b.offset(bytes_, loop.i, "i8"))
                none, some, every, mixed, done = (b.new_label(h) for h in ("none", "some", "all", "mixed", "done"))
                b.branch_if(b.compare("eq", word, 0), none, some)
                b.label(none)
                if self.role == "place":
                    b.store(f"<8 x {type_}>", b.load(f"<8 x {type_}>", b.offset(mine, loop.i, type_)),
                            b.offset(out, loop.i, type_))  # fmt: skip
                b.branch(done)
                b.label(some)
                room = b.compare("sle", b.add(at, 8), size)
                whole = b.value(f"and i1 {room}, {b.compare('eq', word, ALL_SET)}")
                b.branch_if(whole, every, mixed)
                b.label(every)
                eight = self.copy_eight(value, loop.i, at, mine, out, other)
                b.branch(done)
                b.label(mixed)
                now = at
                for u in range(8):
                    now = step(b.add(loop.i, u), now)
                last = b.block
                b.branch(done)
                b.label(done)
                after = b.value(f"phi i64 [ {at}, %{none} ], [ {eight}, %{every} ], [ {now}, %{last} ]")
                loop.next(b.add(loop.i, 8), after)
            i, at = loop.results
            with b.loop(i, count, carried=[("i64", at)], hint="rest") as rest:
                rest.next(step(rest.i, rest.values[0]))
            if self.role != "place":
                end = b.compare("eq", b.add(start, count), length)
                with b.when(end, "fill"), b.loop(rest.results[0], size, hint="missing") as fill:
                    b.store(type_, length if self.role == "positions" else "0", b.offset(out, fill.i, type_))

    def copy_eight(self, value, i: str, at: str, mine, out: str, other) -> str:
        """Eight chosen elements in a row; returns the new count."""
        b, v = self.b, f"<8 x {self.type}>"
        if self.role == "positions":
            steps = "<" + ", ".join(f"i64 {k}" for k in range(8)) + ">"
            b.store(v, b.value(f"add {v} {b.splat(value(i), 'i64', 8)}, {steps}"), b.offset(out, at, self.type))
        elif self.role == "place":
            b.store(v, b.load(v, b.offset(other, at, self.type)), b.offset(out, i, self.type))
        else:
            b.store(v, b.load(v, b.offset(mine, i, self.type)), b.offset(out, at, self.type))
        return b.add(at, 8)


def counted(lowering: Lowering, mask, rows: int, length: int) -> tuple:
    """(counts of the mask's blocks, blocks per row)."""
    blocks = -(-length // BLOCK)
    counts = lowering.fresh(dt.int64, (rows * blocks,))
    kernel = mask_source("count", 1, lowering.target)
    grain = max(1, 8 * PARALLEL // BLOCK)
    lowering.add_step(Step(kernel, [slot(mask), slot(counts)], [length, blocks], rows * blocks, grain))
    return counts, blocks


def lower_mask(lowering: Lowering, group: Group) -> None:
    """count_true, compress_rows, positions_of_true and masked_scatter_rows."""
    n = group.nodes[0]
    role = n.op.rules.detail
    operands = [rows_of(lowering, i) for i in n.inputs]
    mask = operands[0]
    into = lowering.destination(n)
    rows, length = size_of(mask.shape[:-1]), mask.shape[-1]
    if rows == 0 or (role == "place" and length == 0):
        return
    target = lowering.target
    if length == 0:  # one empty block, which fills the result
        counts, blocks = lowering.fresh(dt.int64, (rows,)), 1
        lowering.add_step(Step(mask_source("count", 1, target), [slot(mask), slot(counts)], [0, 1], rows, rows))
    else:
        counts, blocks = counted(lowering, mask, rows, length)
    if role == "total":
        kernel = mask_source("total", 1, target)
        lowering.add_step(Step(kernel, [slot(counts), slot(into)], [blocks], rows, max(1, PARALLEL // blocks)))
        return
    lowering.add_step(Step(mask_source("sum", 1, target), [slot(counts)], [blocks], rows, max(1, PARALLEL // blocks)))
    size = operands[2].shape[-1] if role == "place" else into.shape[-1]
    kernel = mask_source(role, into.dtype.itemsize, target)
    buffers = [slot(mask), slot(counts), slot(into), *(slot(o) for o in operands[1:])]
    lowering.add_step(Step(kernel, buffers, [length, blocks, size], rows * blocks, max(1, PARALLEL // BLOCK)))
