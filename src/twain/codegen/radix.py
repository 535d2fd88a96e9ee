"""Radix sort of rows, least significant digit first: stable, and as fast for any order of the input.

A row is counted once for all digits; then it is dealt out digit by digit from one buffer to another and back. Digits
that are the same in the whole row are skipped. Positions are carried along where they are wanted (argsort): in one
64-bit record with keys of up to 32 bits, beside the keys otherwise.

Long rows are cut into blocks of a fixed size: each pass counts the blocks, then sums the counts so that every block
knows where its elements go, then deals them out, blocks side by side.
"""

from __future__ import annotations

from ..base.dtypes import DType
from .builder import Builder, Module
from .keys import Keys, key_type
from .plan import KernelSource

DIGIT = 8  # bits
COUNT = 1 << DIGIT
UNROLL = 4

_SOURCES: dict[tuple, KernelSource] = {}


def source(kind: str, dtype: DType, positions: bool, target, emit) -> KernelSource:
    """The kernel `kind` for elements of `dtype`, made once."""
    key = (kind, dtype.name, positions, target.name)
    found = _SOURCES.get(key)
    if found is None:

        def write(module: Module, name: str) -> None:
            emit(module, name, dtype, positions, target)

        text = f"radix {kind} {dtype.name} {'positions' if positions else 'values'}"
        found = _SOURCES[key] = KernelSource(text, text, write)
    return found


def rows_source(dtype: DType, positions: bool, target) -> KernelSource:
    """Sorts whole rows. params: length, order constant. buffers: x, result, then scratch of the result's size (with
    positions of 64-bit keys: the positions, and two of keys)."""
    return source("rows", dtype, positions, target, _emit_rows)


class Records:
    """What a pass moves: keys, keys with positions in one integer, or keys and positions side by side."""

    def __init__(self, b: Builder, dtype: DType, positions: bool, order: str):
        self.b = b
        self.dtype = dtype
        self.keys = Keys(b, dtype)
        self.positions = positions
        self.beside = positions and dtype.bits == 64
        self.packed = positions and not self.beside
        self.type = "i64" if positions else key_type(dtype)
        self.first_bit = 32 if self.packed else 0
        self.passes = dtype.bits // DIGIT
        self.order = order

    def read(self, x: str, i: str) -> str:
        """The key of element i of the row at `x`."""
        bits = self.b.load(self.keys.element, self.b.offset(x, i, self.keys.element))
        return self.keys.of(bits, self.order, self.positions)

    def digit(self, key: str, shift: str, type_: str) -> str:
        """The digit of a key at bit `shift`, as an index."""
        b = self.b
        if shift != "0":
            key = b.value(f"lshr {type_} {key}, {shift}")
        if type_ == "i8":
            return b.value(f"zext i8 {key} to i64")
        key = b.value(f"and {type_} {key}, {COUNT - 1}")
        return key if type_ == "i64" else b.value(f"zext {type_} {key} to i64")


def _convert(b: Builder, value: str, from_: str, to: str) -> str:
    return (
        value
        if from_ == to
        else b.value(f"{'zext' if int(from_[1:]) < int(to[1:]) else 'trunc'} {from_} {value} to {to}")
    )


def unrolled(b: Builder, start: str, end: str, body, times: int = UNROLL) -> None:
    """body(i) over [start, end), several to a round."""
    with b.loop(start, b.sub(end, times - 1), times, carried=[("i64", start)], hint="several") as loop:
        for u in range(times):
            body(b.add(loop.i, u))
        loop.next(b.add(loop.i, times))
    with b.loop(loop.results[0], end, hint="rest") as rest:
        body(rest.i)


def zero_fill(b: Builder, counts: str, entries: int) -> None:
    """`entries` (a multiple of 8) 32-bit counters set to 0."""
    with b.loop("0", entries, 8, hint="zero") as loop:
        b.store("<8 x i32>", "zeroinitializer", b.offset(counts, loop.i, "i32"), 4)


def bump(b: Builder, counter: str) -> str:
    """The 32-bit counter at a pointer plus one; returns what it was."""
    old = b.load("i32", counter, 4)
    b.store("i32", b.value(f"add i32 {old}, 1"), counter, 4)
    return old


def _emit_rows(module: Module, name: str, dtype: DType, positions: bool, target) -> None:
    b = Builder(module, name, attributes=target.attributes)
    length = b.parameter(0)
    order = _convert(b, b.parameter(1), "i64", key_type(dtype))
    r = Records(b, dtype, positions, order)
    element = r.keys.element
    result, spare = b.buffer(1), b.buffer(2)
    buffers = [b.buffer(0), *(b.buffer(i) for i in (3, 4) if r.beside)]
    counts = b.alloca("i32", r.passes * COUNT)
    with b.loop("%begin", "%end", hint="row") as row:
        at = b.mul(row.i, length)
        x = b.offset(buffers[0], at, element)
        out, other = b.offset(result, at, r.type), b.offset(spare, at, r.type)
        key_buffers = [b.offset(k, at, "i64") for k in buffers[1:]]
        zero_fill(b, counts, r.passes * COUNT)

        def count(i: str) -> None:
            key = r.read(x, i)
            for p in range(r.passes):
                digit = r.digit(key, str(p * DIGIT), element)
                bump(b, b.offset(b.offset(counts, p * COUNT, "i32"), digit, "i32"))

        unrolled(b, "0", length, count, 2)
        active, total = _active_passes(b, r, x, counts, length)
        with b.when(b.compare("eq", total, 0), "sorted"), b.loop("0", length, hint="copy") as copy:
            value = copy.i if positions else b.load(element, b.offset(x, copy.i, element))
            b.store(r.type, value, b.offset(out, copy.i, r.type))
        with b.loop("0", r.passes, carried=[("i64", "0")], hint="pass") as pass_:
            [done] = pass_.values
            mine = b.value(f"lshr i64 {active}, {pass_.i}")
            mine = b.value(f"and i64 {mine}, 1")
            with b.when(b.compare("ne", mine, 0), "active"):
                _deal_row(b, r, x, out, other, key_buffers, counts, length, pass_.i, done, total)
            pass_.next(b.add(done, mine))
    b.finish()


def _active_passes(b: Builder, r: Records, x: str, counts: str, length: str) -> tuple:
    """(bits of the passes whose digit varies, how many there are) of a counted row."""
    active, total = "0", "0"
    some, none, after = b.new_label("some"), b.new_label("none"), b.new_label("passes")
    b.branch_if(b.compare("sgt", length, 0), some, none)
    b.label(some)
    key = r.read(x, "0")
    for p in range(r.passes):
        digit = r.digit(key, str(p * DIGIT), r.keys.element)
        same = b.load("i32", b.offset(b.offset(counts, p * COUNT, "i32"), digit, "i32"), 4)
        varies = b.compare("ne", b.value(f"zext i32 {same} to i64"), length)
        varies = b.value(f"zext i1 {varies} to i64")
        active = b.value(f"or i64 {active}, {b.value(f'shl i64 {varies}, {p}')}")
        total = b.add(total, varies)
    b.branch(after)
    b.label(none)
    b.branch(after)
    b.label(after)
    return tuple(b.value(f"phi i64 [ {v}, %{some} ], [ 0, %{none} ]") for v in (active, total))


def _deal_row(b, r: Records, x, out, other, key_buffers, counts, length, number, done, total) -> None:
    """One pass over a row. The last one writes to `out`, so what is left to do says where this one writes."""
    mine = b.offset(counts, b.mul(number, COUNT), "i32")
    with b.loop("0", COUNT, carried=[("i32", "0")], hint="sum") as loop:
        place = b.offset(mine, loop.i, "i32")
        n = b.load("i32", place, 4)
        b.store("i32", loop.values[0], place, 4)
        loop.next(b.value(f"add i32 {loop.values[0]}, {n}"))
    left = b.sub(total, done)
    odd = b.compare("eq", b.value(f"and i64 {left}, 1"), 1)
    to, source_ = b.select(odd, "ptr", out, other), b.select(odd, "ptr", other, out)
    keys_to = keys_from = None
    if r.beside:
        keys_to, keys_from = b.select(odd, "ptr", *key_buffers), b.select(odd, "ptr", *reversed(key_buffers))
    last = b.compare("eq", left, 1)
    bits = b.mul(number, DIGIT)
    finish = Finish(b, r, last)

    def place_of(key: str, type_: str, first_bit: int) -> str:
        shift = _convert(b, b.add(bits, first_bit), "i64", type_)
        old = bump(b, b.offset(mine, r.digit(key, shift, type_), "i32"))
        return b.value(f"zext i32 {old} to i64")

    def first_pass(i: str) -> None:
        key = r.read(x, i)
        at = place_of(key, r.keys.element, 0)
        if r.beside:
            b.store("i64", key, b.offset(keys_to, at, "i64"))
            b.store("i64", i, b.offset(to, at, "i64"))
            return
        if r.packed:
            key = _convert(b, key, r.keys.element, "i64")
            key = b.value(f"or i64 {b.value(f'shl i64 {key}, 32')}, {i}")
        b.store(r.type, finish(key), b.offset(to, at, r.type))

    def next_pass(i: str) -> None:
        if r.beside:
            key = b.load("i64", b.offset(keys_from, i, "i64"))
            value = b.load("i64", b.offset(source_, i, "i64"))
            at = place_of(key, "i64", 0)
            b.store("i64", key, b.offset(keys_to, at, "i64"))
            b.store("i64", value, b.offset(to, at, "i64"))
            return
        record = b.load(r.type, b.offset(source_, i, r.type))
        at = place_of(record, r.type, r.first_bit)
        b.store(r.type, finish(record), b.offset(to, at, r.type))

    start, more, after = b.new_label("first"), b.new_label("next"), b.new_label("dealt")
    b.branch_if(b.compare("eq", done, 0), start, more)
    for label, body in ((start, first_pass), (more, next_pass)):
        b.label(label)
        unrolled(b, "0", length, body)
        b.branch(after)
    b.label(after)


class Finish:
    """Turns records into results if `last` holds, without a branch: masks that are 0 otherwise."""

    def __init__(self, b: Builder, r: Records, last: str):
        self.b = b
        self.r = r
        if r.packed:
            self.mask = b.select(last, "i64", 0xFFFFFFFF, -1)
        elif not r.positions:
            self.order = b.select(last, r.type, r.order, 0)
            self.lower = b.select(last, r.type, r.keys.constant((1 << (r.dtype.bits - 1)) - 1), 0)

    def __call__(self, record: str) -> str:
        b, r = self.b, self.r
        if r.packed:
            return b.value(f"and i64 {record}, {self.mask}")
        if r.positions:
            return record
        bits = b.value(f"xor {r.type} {record}, {self.order}")
        return r.keys.flipped(bits, self.lower) if r.dtype.kind == "f" else bits
