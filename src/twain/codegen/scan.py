"""Scans: every element becomes the fold of all up to it, along one axis, forwards or from the end.

Along a last axis a vector is scanned within itself, by shifting lanes, then joined with what came before. Along other
axes neighbouring columns share a vector. Few long rows are cut into blocks of a fixed size: their folds first, then
what comes before each block, then the blocks' scans side by side.
"""

from __future__ import annotations

from ..base import dtypes as dt
from ..base.dtypes import DType
from ..base.shapes import size_of
from ..passes.fuse import Group
from . import expr as E
from .builder import Builder, Module
from .expr import Expr
from .kernel import accumulator_dtype
from .lanes import LaneEmitter
from .loops import fold, identity
from .lower import PARALLEL, Lowering, Step, region_of
from .plan import KernelSource
from .sort import fill, rows_of, slot

BLOCK = 16384  # elements of a long row that are scanned by one thread
FEW_ROWS = 8


def log_add(a: Expr, b: Expr) -> Expr:
    """log(exp(a) + exp(b)); of two infinities of one sign, that one."""
    top = E.maximum(a, b)
    infinite = E.eq(E.abs(top), float("inf"))
    distance = E.select(infinite, 0.0, E.abs(a - b))
    return E.select(infinite, top, top + E.log1p(E.exp(-distance)))


class Scan:
    """What is scanned: the state of a fold as expressions over placeholder leaves, one per element of `state`."""

    def __init__(self, combine: str, dtype: DType):
        self.combine = combine
        self.dtype = dtype
        acc = accumulator_dtype("add", dtype)
        self.state = [acc, acc] if combine == "recurrence" else [acc]
        self.result = dtype
        self.operands = 2 if combine == "recurrence" else 1

    def leaves(self, name: str) -> list:
        return [Expr("reduced", d, (), (name, i)) for i, d in enumerate(self.state)]

    def initial(self) -> list:
        """The state that leaves others unchanged."""
        if self.combine == "recurrence":
            return [E.const(1, self.state[0]), E.const(0, self.state[0])]
        if self.combine == "logaddexp":
            return [E.const(float("-inf"), self.state[0])]
        return [identity(self.combine, self.state[0])]

    def lifted(self, values: list) -> list:
        """An element as a state."""
        return [E.cast(v, self.state[0]) for v in values]

    def joined(self, a: list, b: list) -> list:
        """The state of a run followed by another."""
        if self.combine == "recurrence":
            return [a[0] * b[0], a[1] * b[0] + b[1]]
        if self.combine == "logaddexp":
            return [log_add(a[0], b[0])]
        return [fold(self.combine, a[0], b[0])]

    def finished(self, state: list) -> Expr:
        return E.cast(state[-1], self.result)


class Writer:
    """What the kernels share: states as lists of registers."""

    def __init__(self, module: Module, name: str, scan: Scan, lanes: int, reverse: bool, target):
        self.scan = scan
        self.lanes = lanes
        self.reverse = reverse
        self.b = Builder(module, name, attributes=target.attributes)
        self.em = LaneEmitter(self.b, lanes, target)
        self.first, self.second = scan.leaves("a"), scan.leaves("b")
        self.types = [t for s in self.first for t in self.em.types(s.dtype)]
        self.loads = [E.load(i, scan.dtype) for i in range(scan.operands)]

    def identity(self) -> list:
        return self.em.flatten(self.em.emit(self.scan.initial(), {}))

    def join(self, a: list, b: list) -> list:
        em = self.em
        leaves = dict(zip(self.first, em.unflatten(self.first, a)))
        leaves.update(zip(self.second, em.unflatten(self.second, b)))
        return em.flatten(em.emit(self.scan.joined(self.first, self.second), leaves))

    def lift(self, values: list) -> list:
        return self.em.flatten(self.em.emit(self.scan.lifted(self.loads), dict(zip(self.loads, values))))

    def finish(self, state: list):
        leaves = dict(zip(self.first, self.em.unflatten(self.first, state)))
        return self.em.emit([self.scan.finished(self.first)], leaves)[0]

    def shuffled(self, a: list, b: list, order: list) -> list:
        """Lanes of each register pair in another order."""
        text = ", ".join(f"i32 {i}" for i in order)
        return [
            self.b.value(f"shufflevector {t} {x}, {t} {y}, <{self.lanes} x i32> <{text}>")
            for t, x, y in zip(self.types, a, b)
        ]

    def turned(self, value, dtype: DType):
        """A value's lanes in reverse order."""
        if self.lanes == 1:
            return value
        types = self.em.types(dtype)
        order = ", ".join(f"i32 {i}" for i in reversed(range(self.lanes)))
        parts = value if type(value) is tuple else (value,)
        turned = tuple(
            self.b.value(f"shufflevector {t} {x}, {t} poison, <{self.lanes} x i32> <{order}>")
            for t, x in zip(types, parts)
        )
        return turned if type(value) is tuple else turned[0]

    def states_at(self, bases: list, number: str) -> list:
        """Pointers to the stored state `number`."""
        return [self.em.advance(p, number, d) for p, d in zip(bases, self.scan.state)]


class RowWriter(Writer):
    """Blocks of rows along a contiguous axis. params: length, block, blocks per row, the result's row stride.

    buffers: operands, result, then (with_carry) the states that come before each block.
    """

    def element(self, base: str, i: str, count: str | None):
        """The vector at scan position i of a row whose first element in scan order is at `base`."""
        em, dtype = self.em, self.scan.dtype
        if not self.reverse:
            return em.read(em.advance(base, i, dtype), dtype, count)
        if count is not None:
            return em.read(em.advance(base, self.b.sub("0", i), dtype), dtype, count, "-1")
        back = self.b.sub(1 - self.lanes, i)
        return self.turned(em.read(em.advance(base, back, dtype), dtype), dtype)

    def put(self, value, base: str, i: str, count: str | None) -> None:
        em, dtype = self.em, self.scan.result
        if not self.reverse:
            em.write(value, em.advance(base, i, dtype), dtype, count)
        elif count is not None:
            em.write(value, em.advance(base, self.b.sub("0", i), dtype), dtype, count, "-1")
        else:
            back = self.b.sub(1 - self.lanes, i)
            em.write(self.turned(value, dtype), em.advance(base, back, dtype), dtype)

    def over_blocks(self, body) -> None:
        """body(row, unit, bases at the block's first element, where the block starts, its length, the row's length)."""
        b, em = self.b, self.em
        length, size, blocks = (b.parameter(i) for i in range(3))
        operands = [b.buffer(i) for i in range(self.scan.operands)]
        with b.loop("%begin", "%end", hint="unit") as unit:
            row = b.udiv(unit.i, blocks)
            start = b.mul(b.urem(unit.i, blocks), size)
            first = b.add(b.mul(row, length), self.place(start, length))
            bases = [em.advance(p, first, self.scan.dtype) for p in operands]
            body(row, unit.i, bases, start, b.min(b.sub(length, start), size), length)
        b.finish()

    def place(self, start: str, length: str) -> str:
        """The index of scan position `start`."""
        return self.b.sub(self.b.sub(length, 1), start) if self.reverse else start

    def write_scan(self, with_carry: bool) -> None:
        b, em = self.b, self.em
        out_row = b.parameter(3)
        result = b.buffer(self.scan.operands)
        carries = [b.buffer(self.scan.operands + 1 + i) for i in range(len(self.scan.state))] if with_carry else []
        nothing = self.identity()

        def body(row, unit, bases, start, count, length):
            out = em.advance(result, b.add(b.mul(row, out_row), self.place(start, length)), self.scan.result)
            carry = nothing
            if with_carry:
                pointers = self.states_at(carries, unit)
                carry = em.flatten([em.read(p, d, stride=0) for p, d in zip(pointers, self.scan.state)])

            def step(i: str, valid: str | None, before: list) -> list:
                em.valid = valid
                values = [self.element(p, i, valid) for p in bases]
                state = self.lift(values)
                width = 1
                while width < self.lanes:
                    order = [j - width if j >= width else self.lanes + j for j in range(self.lanes)]
                    state = self.join(self.shuffled(state, nothing, order), state)
                    width *= 2
                total = self.shuffled(state, state, [self.lanes - 1] * self.lanes) if self.lanes > 1 else state
                self.put(self.finish(self.join(before, state)), out, i, valid)
                return self.join(before, total)

            end = b.sub(count, self.lanes - 1)
            with b.loop("0", end, self.lanes, carried=[("i64", "0"), *zip(self.types, carry)], hint="scan") as loop:
                after = step(loop.i, None, list(loop.values[1:]))
                loop.next(b.add(loop.i, self.lanes), *after)
            if self.lanes > 1:
                at, carry = loop.results[0], list(loop.results[1:])
                rest = b.sub(count, at)
                with b.when(b.compare("sgt", rest, "0"), "tail"):
                    step(at, rest, carry)

        self.over_blocks(body)

    def write_totals(self) -> None:
        """The fold of each block, lane by lane, then across."""
        b, em = self.b, self.em
        totals = [b.buffer(self.scan.operands + 1 + i) for i in range(len(self.scan.state))]
        nothing = self.identity()

        def body(row, unit, bases, start, count, length):
            def step(i: str, valid: str | None, before: list) -> list:
                em.valid = valid
                values = [self.element(p, i, valid) for p in bases]
                state = self.lift(values)
                if valid is not None:
                    kept = em.choose_lanes(
                        valid, self.first, em.unflatten(self.first, state), em.unflatten(self.first, nothing)
                    )
                    state = em.flatten(kept)
                width = 1
                while self.ordered and width < self.lanes:  # neighbours first: their order matters
                    order = [j - width if j >= width else self.lanes + j for j in range(self.lanes)]
                    state = self.join(self.shuffled(state, nothing, order), state)
                    width *= 2
                return self.join(before, state)

            end = b.sub(count, self.lanes - 1)
            carried = [("i64", "0"), *zip(self.types, nothing)]
            with b.loop("0", end, self.lanes, carried=carried, hint="total") as loop:
                after = step(loop.i, None, list(loop.values[1:]))
                if self.ordered:
                    after = self.shuffled(after, after, [self.lanes - 1] * self.lanes)
                loop.next(b.add(loop.i, self.lanes), *after)
            at, state = loop.results[0], list(loop.results[1:])
            if self.lanes > 1:
                rest = b.sub(count, at)
                with b.loop(at, count, self.lanes, carried=list(zip(self.types, state)), hint="tail") as tail:
                    tail.next(*step(tail.i, rest, list(tail.values)))
                state = list(tail.results)
                if self.ordered:
                    state = self.shuffled(state, state, [self.lanes - 1] * self.lanes)
                else:
                    width = self.lanes
                    while width > 1:
                        width //= 2
                        state = self.join(state, [em.upper(t, v, width) for t, v in zip(self.types, state)])
            for p, d, v in zip(self.states_at(totals, unit), self.scan.state, em.unflatten(self.first, state)):
                em.write(v, p, d, "1")

        self.over_blocks(body)

    @property
    def ordered(self) -> bool:
        """Whether the fold depends on the order of its elements."""
        return self.lanes > 1 and self.scan.combine == "recurrence"


class CarryWriter(Writer):
    """Per row, the folds of its blocks become what comes before each. params: blocks per row."""

    def write(self) -> None:
        b, em = self.b, self.em
        blocks = b.parameter(0)
        states = [b.buffer(i) for i in range(len(self.scan.state))]
        with b.loop("%begin", "%end", hint="row") as row:
            first = b.mul(row.i, blocks)
            carried = list(zip(self.types, self.identity()))
            with b.loop("0", blocks, carried=carried, hint="block") as loop:
                pointers = self.states_at(states, b.add(first, loop.i))
                total = em.flatten([em.read(p, d) for p, d in zip(pointers, self.scan.state)])
                before = list(loop.values)
                for p, d, v in zip(pointers, self.scan.state, em.unflatten(self.first, before)):
                    em.write(v, p, d)
                loop.next(*self.join(before, total))
        b.finish()


class ColumnWriter(Writer):
    """Columns side by side. params: rows, columns, chunks of columns, the result's stride over outer axes.

    The last chunk overlaps the one before, so a vector is never ragged; there are at least as many columns as lanes.
    """

    def write(self) -> None:
        b, em, scan = self.b, self.em, self.scan
        rows, columns, chunks, out_outer = (b.parameter(i) for i in range(4))
        buffers = [b.buffer(i) for i in range(scan.operands + 1)]
        with b.loop("%begin", "%end", hint="chunk") as chunk:
            outer = b.udiv(chunk.i, chunks)
            start = b.mul(b.urem(chunk.i, chunks), self.lanes)
            start = b.min(start, b.sub(columns, self.lanes))
            offset = b.add(b.mul(outer, b.mul(rows, columns)), start)
            bases = [em.advance(p, offset, scan.dtype) for p in buffers[:-1]]
            out = em.advance(buffers[-1], b.add(b.mul(outer, out_outer), start), scan.result)
            with b.loop("0", rows, carried=list(zip(self.types, self.identity())), hint="scan") as loop:
                at = b.sub(b.sub(rows, 1), loop.i) if self.reverse else loop.i
                move = b.mul(at, columns)
                values = [em.read(em.advance(p, move, scan.dtype), scan.dtype) for p in bases]
                state = self.join(list(loop.values), self.lift(values))
                em.write(self.finish(state), em.advance(out, move, scan.result), scan.result)
                loop.next(*state)
        b.finish()


_SOURCES: dict[tuple, KernelSource] = {}


def scan_source(role: str, combine: str, dtype: DType, lanes: int, reverse: bool, target) -> KernelSource:
    """role: rows, totals, carries, blocks (rows with what comes before) or columns."""
    key = (role, combine, dtype.name, lanes, reverse, target.name)
    found = _SOURCES.get(key)
    if found is None:

        def emit(module: Module, name: str) -> None:
            scan = Scan(combine, dtype)
            if role == "columns":
                ColumnWriter(module, name, scan, lanes, reverse, target).write()
            elif role == "carries":
                CarryWriter(module, name, scan, lanes, reverse, target).write()
            else:
                writer = RowWriter(module, name, scan, lanes, reverse, target)
                writer.write_totals() if role == "totals" else writer.write_scan(role == "blocks")

        text = f"scan {role} {combine} {dtype.name} {lanes} {'reverse' if reverse else ''}"
        found = _SOURCES[key] = KernelSource(text, text, emit)
    return found


def lower_scan(lowering: Lowering, group: Group) -> None:
    """scan_* and linear_recurrence; attrs: (axis, reverse, whether the fold of nothing comes first)."""
    n = group.nodes[0]
    combine = n.op.rules.detail
    axis, reverse, initial = n.attrs
    operands = [rows_of(lowering, i) for i in n.inputs]
    x = operands[0]
    into = lowering.destination(n)
    shape, length = x.shape, x.shape[axis]
    scan = Scan(combine, x.dtype)
    if initial:
        rank = len(shape)
        first = tuple(length if a == axis and reverse else 0 for a in range(rank))
        edge = region_of(into, first, (1,) * rank, tuple(1 if a == axis else d for a, d in enumerate(shape)))
        value = {"mul": 1, "logaddexp": float("-inf")}.get(combine, 0)
        fill(lowering, edge, value)
        into = region_of(into, tuple(int(a == axis and not reverse) for a in range(rank)), (1,) * rank, shape)
    if size_of(shape) == 0:
        return
    outer, columns = size_of(shape[:axis]), size_of(shape[axis + 1 :])
    lanes = max(1, lowering.target.vector_bytes // dt.real_of(scan.state[0]).itemsize)
    out_stride = (length + int(initial)) * columns
    source = [slot(o) for o in operands]
    work = 16 if combine == "logaddexp" else 1
    if columns > 1:
        while lanes > columns:
            lanes //= 2
        chunks = -(-columns // lanes)
        kernel = scan_source("columns", combine, x.dtype, lanes, reverse, lowering.target)
        grain = max(1, PARALLEL // work // (length * lanes))
        params = [length, columns, chunks, out_stride]
        lowering.add_step(Step(kernel, [*source, slot(into)], params, outer * chunks, grain))
        return
    split = outer < FEW_ROWS and length >= 4 * BLOCK
    block = BLOCK if split else length
    blocks = -(-length // block)
    params = [length, block, blocks, out_stride]
    buffers = [*source, slot(into)]
    grain = max(1, PARALLEL // work // block)
    if split:
        states = [slot(lowering.fresh(d, (outer * blocks,))) for d in scan.state]
        totals = scan_source("totals", combine, x.dtype, lanes, reverse, lowering.target)
        carries = scan_source("carries", combine, x.dtype, 1, reverse, lowering.target)
        buffers += states
        lowering.add_step(Step(totals, buffers, params, outer * blocks, grain))
        lowering.add_step(Step(carries, states, [blocks], outer, outer))
    kernel = scan_source("blocks" if split else "rows", combine, x.dtype, lanes, reverse, lowering.target)
    lowering.add_step(Step(kernel, buffers, params, outer * blocks, grain))
