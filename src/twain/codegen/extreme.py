"""argmax and argmin of rows in memory: first how large the largest element is, chunk by chunk, then where.

A fold of (value, position) pairs does the same within larger kernels (loops.py), but carries positions all the way.
"""

from __future__ import annotations

from ..base import dtypes as dt
from ..base.dtypes import DType
from ..base.shapes import size_of
from ..passes.fuse import Group
from .builder import Builder, Module, literal, vector
from .loops import identity
from .lower import PARALLEL, Lowering, Step
from .plan import KernelSource
from .sort import slot

BLOCK = 1 << 15  # elements of a long row that one thread looks at
CHUNK = 1024  # elements searched for the position, at the end
WAYS = 4

_SOURCES: dict[tuple, KernelSource] = {}


def extreme_source(role: str, combine: str, dtype: DType, target) -> KernelSource:
    """role "rows": buffers x, positions; "blocks": x, positions, values, per block; "join": positions and values of
    blocks, result. params: length, block, blocks per row."""
    key = (role, combine, dtype.name, target.name)
    found = _SOURCES.get(key)
    if found is None:

        def emit(module: Module, name: str) -> None:
            b = Builder(module, name, attributes=target.attributes)
            writer = Writer(b, combine, dtype, target)
            writer.join() if role == "join" else writer.write(role == "blocks")
            b.finish()

        text = f"extreme {role} {combine} {dtype.name}"
        found = _SOURCES[key] = KernelSource(text, text, emit)
    return found


class Writer:
    """Writes one kernel."""

    def __init__(self, b: Builder, combine: str, dtype: DType, target):
        self.b = b
        self.floating = dtype.kind == "f"
        self.element = {4: "float", 8: "double"}[dtype.itemsize] if self.floating else f"i{dtype.bits}"
        self.lanes = max(1, target.vector_bytes // dtype.itemsize)
        largest = combine == "argmax"
        unsigned = dtype.kind in "ub"
        self.better_predicate = (
            f"fcmp {'ogt' if largest else 'olt'}" if self.floating
            else f"icmp {'u' if unsigned else 's'}{'gt' if largest else 'lt'}"
        )  # fmt: skip
        number = identity(combine, dt.uint8 if dtype.kind == "b" else dtype).value
        self.start = {n: literal(number, self.element, n) for n in (1, self.lanes)}

    def better(self, x: str, y: str, lanes: int) -> str:
        return self.b.value(f"{self.better_predicate} {vector(self.element, lanes)} {x}, {y}")

    def best(self, x: str, y: str, lanes: int) -> str:
        """The better of y and x: y, if they are equal or x is NaN."""
        type_ = vector(self.element, lanes)
        return self.b.value(f"select {vector('i1', lanes)} {self.better(x, y, lanes)}, {type_} {x}, {type_} {y}")

    def is_nan(self, x: str, lanes: int) -> str:
        return self.b.value(f"fcmp uno {vector(self.element, lanes)} {x}, {x}")

    def either(self, x: str, y: str, lanes: int) -> str:
        return self.b.value(f"or {vector('i1', lanes)} {x}, {y}")

    def any(self, flags: str) -> str:
        bits = self.b.value(f"bitcast {vector('i1', self.lanes)} {flags} to i{self.lanes}")
        return self.b.compare("ne", bits, 0, f"i{self.lanes}")

    def write(self, partial: bool) -> None:
        b = self.b
        length, block, blocks = (b.parameter(i) for i in range(3))
        x, positions = b.buffer(0), b.buffer(1)
        values = b.buffer(2) if partial else None
        with b.loop("%begin", "%end", hint="unit") as unit:
            row = b.udiv(unit.i, blocks)
            start = b.mul(b.urem(unit.i, blocks), block)
            count = b.min(b.sub(length, start), block)
            mine = b.offset(x, b.add(b.mul(row, length), start), self.element)
            nothing = self.start[1]
            carried = [(self.element, nothing), ("i64", "0"), ("i64", "-1")]
            with b.loop("0", count, CHUNK, carried=carried, hint="chunk") as chunk:
                best, at, nan_at = chunk.values
                size = b.min(b.sub(count, chunk.i), CHUNK)
                found, nan = self.fold(b.offset(mine, chunk.i, self.element), size)
                better = self.better(found, best, 1)
                first = b.value(f"and i1 {nan}, {b.compare('slt', nan_at, 0)}") if self.floating else "false"
                chunk.next(
                    b.select(better, self.element, found, best),
                    b.select(better, "i64", chunk.i, at),
                    b.select(first, "i64", chunk.i, nan_at),
                )
            best, at, nan_at = chunk.results
            if self.floating:
                missing = b.compare("sge", nan_at, 0)
                at = b.select(missing, "i64", nan_at, at)
                best = b.select(missing, self.element, literal(float("nan"), self.element), best)
            place = self.find(b.offset(mine, at, self.element), b.min(b.sub(count, at), CHUNK), best)
            b.store("i64", b.add(b.add(start, at), place), b.offset(positions, unit.i, "i64"), 8)
            if partial:
                b.store(self.element, best, b.offset(values, unit.i, self.element))

    def fold(self, x: str, size: str) -> tuple:
        """(the best of `size` elements that aren't NaN, whether there is a NaN)."""
        b, lanes = self.b, self.lanes
        v, flags = vector(self.element, lanes), vector("i1", lanes)
        step = lanes * WAYS
        carried = [("i64", "0"), *[(v, self.start[lanes])] * WAYS]
        if self.floating:
            carried.append((flags, "zeroinitializer"))
        with b.loop("0", b.sub(size, step - 1), step, carried=carried, hint="fold") as loop:
            loaded = [
                b.load(v, b.offset(x, b.add(loop.i, w * lanes), self.element)) for w in range(WAYS)
            ]  # fmt: skip
            new = [self.best(one, old, lanes) for one, old in zip(loaded, loop.values[1 : 1 + WAYS])]
            if self.floating:  # a comparison of two vectors finds the NaNs of both
                pairs = [
                    b.value(f"fcmp uno {v} {loaded[w]}, {loaded[w + 1]}") for w in range(0, WAYS, 2)
                ]  # fmt: skip
                new.append(self.either(loop.values[-1], self.either(pairs[0], pairs[1], lanes), lanes))
            loop.next(b.add(loop.i, step), *new)
        at, *rest = loop.results
        nan = self.any(rest[WAYS]) if self.floating else "false"
        best = rest[0]
        for other in rest[1:WAYS]:
            best = self.best(other, best, lanes)
        width = lanes
        while width > 1:
            width //= 2
            order = ", ".join(f"i32 {(i + width) % lanes}" for i in range(lanes))
            moved = b.value(f"shufflevector {v} {best}, {v} poison, <{lanes} x i32> <{order}>")
            best = self.best(moved, best, lanes)
        if lanes > 1:
            best = b.value(f"extractelement {v} {best}, i32 0")
        with b.loop(at, size, carried=[(self.element, best), ("i1", nan)], hint="rest") as tail:
            one = b.load(self.element, b.offset(x, tail.i, self.element))
            missing = self.either(tail.values[1], self.is_nan(one, 1), 1) if self.floating else "false"
            tail.next(self.best(one, tail.values[0], 1), missing)
        return tuple(tail.results)

    def find(self, x: str, size: str, best: str) -> str:
        """Where `best` is first; a NaN is any NaN."""
        b, lanes = self.b, self.lanes

        def hit(i: str, n: int) -> str:
            v = vector(self.element, n)
            one = b.load(v, b.offset(x, i, self.element))
            if self.floating:  # best is NaN only if there is one: nothing else is unordered then
                same = b.value(f"fcmp ueq {v} {one}, {b.splat(best, self.element, n)}")
                both = b.value(f"fcmp ord {v} {one}, {b.splat(best, self.element, n)}")
                nan = b.value(
                    f"and {vector('i1', n)} {self.is_nan(one, n)}, {self.is_nan(b.splat(best, self.element, n), n)}"
                )
                return self.either(b.value(f"and {vector('i1', n)} {same}, {both}"), nan, n)
            return b.value(f"icmp eq {v} {one}, {b.splat(best, self.element, n)}")

        at, found = "0", size
        if lanes > 1:
            carried = [("i64", "0"), ("i64", size)]
            with b.loop("0", b.sub(size, lanes - 1), lanes, carried=carried, hint="find") as loop:
                bits = b.value(f"bitcast {vector('i1', lanes)} {hit(loop.i, lanes)} to i{lanes}")
                some = b.compare("ne", bits, 0, f"i{lanes}")
                lane = b.call(f"i{lanes}", f"llvm.cttz.i{lanes}", (f"i{lanes}", bits), ("i1", "false"))
                if lanes < 64:
                    lane = b.value(f"zext i{lanes} {lane} to i64")
                place = b.select(some, "i64", b.add(loop.i, lane), size)
                loop.next(b.add(loop.i, lanes), b.min(loop.values[1], place))
            at, found = loop.results
        with b.loop(at, size, carried=[("i64", found)], hint="last") as tail:
            place = b.select(hit(tail.i, 1), "i64", tail.i, size)
            tail.next(b.min(tail.values[0], place))
        return tail.results[0]

    def join(self) -> None:
        """The first of the best blocks of each row."""
        b = self.b
        blocks = b.parameter(2)
        positions, values, result = (b.buffer(i) for i in range(3))
        with b.loop("%begin", "%end", hint="row") as row:
            first = b.mul(row.i, blocks)
            value = b.load(self.element, b.offset(values, first, self.element))
            position = b.load("i64", b.offset(positions, first, "i64"), 8)
            with b.loop("1", blocks, carried=[(self.element, value), ("i64", position)], hint="block") as loop:
                at = b.add(first, loop.i)
                one = b.load(self.element, b.offset(values, at, self.element))
                take = self.better(one, loop.values[0], 1)
                if self.floating:
                    known = b.value(f"xor i1 {self.is_nan(loop.values[0], 1)}, true")
                    nan = b.value(f"and i1 {self.is_nan(one, 1)}, {known}")
                    take = self.either(take, nan, 1)
                loop.next(
                    b.select(take, self.element, one, loop.values[0]),
                    b.select(take, "i64", b.load("i64", b.offset(positions, at, "i64"), 8), loop.values[1]),
                )
            b.store("i64", loop.results[1], b.offset(result, row.i, "i64"), 8)


def applies(lowering: Lowering, group: Group) -> bool:
    """Whether the group is one argmax or argmin over the last axes of a value that lies in memory row by row."""
    n = group.nodes[0]
    if len(group.nodes) != 1 or n.op.family != "reduction" or not n.op.rules.kind.startswith("arg"):
        return False
    x = n.inputs[0]
    dtype = x.dtype
    if dtype.weak or dtype.kind == "c" or dtype in (dt.float16, dt.bfloat16) or x.size == 0:
        return False
    axes = n.attrs[0]
    if (
        axes != tuple(range(len(x.shape) - len(axes), len(x.shape)))
        or size_of(x.shape[len(x.shape) - len(axes) :]) < 16
    ):
        return False
    return lowering.buffered(x).contiguous


def lower_extreme(lowering: Lowering, group: Group) -> None:
    n = group.nodes[0]
    combine, axes = n.op.rules.kind, n.attrs[0]
    x = lowering.buffered(n.inputs[0])
    into = lowering.destination(n)
    rank = len(x.shape) - len(axes)
    rows, length = size_of(x.shape[:rank]), size_of(x.shape[rank:])
    blocks = -(-length // BLOCK) if rows < 8 else 1
    block = BLOCK if blocks > 1 else length
    params, grain = [length, block, blocks], max(1, PARALLEL // block)
    if blocks == 1:
        kernel = extreme_source("rows", combine, x.dtype, lowering.target)
        lowering.add_step(Step(kernel, [slot(x), slot(into)], params, rows, grain))
        return
    found = slot(lowering.fresh(dt.int64, (rows * blocks,)))
    values = slot(lowering.fresh(x.dtype, (rows * blocks,)))
    kernel = extreme_source("blocks", combine, x.dtype, lowering.target)
    lowering.add_step(Step(kernel, [slot(x), found, values], params, rows * blocks, grain))
    kernel = extreme_source("join", combine, x.dtype, lowering.target)
    lowering.add_step(Step(kernel, [found, values, slot(into)], params, rows, rows))
