"""Radix sort of rows, least significant digit first: stable, and as fast for any order of the input.

Elements become keys (keys.py), which are counted for all digits at once; then they are dealt out digit by digit from one
buffer to another and back, and become elements again. Digits that are the same in the whole row are skipped. Positions
are carried along where they are wanted (argsort): in one 64-bit record with keys of up to 32 bits, beside the keys
otherwise. Integers count from the smallest one of their row: where they are few, as labels are, most digits are zero.

Long rows are cut into blocks of a fixed size: each pass counts the blocks, then sums the counts so that every block
knows where its elements go, then deals them out, blocks side by side.
"""

from __future__ import annotations

from ..base.dtypes import DType
from .builder import Builder, Module, vector
from .keys import Keys, key_type
from .plan import KernelSource

NARROW, WIDE = 8, 11  # bits per digit: of short rows, whose tables must be small, and of long ones
UNROLL = 4
TILE = 512  # elements converted before they are counted

_SOURCES: dict[tuple, KernelSource] = {}


def source(kind: str, dtype: DType, positions: bool, digit: int, target, emit) -> KernelSource:
    """The kernel `kind` for elements of `dtype`, made once."""
    key = (kind, dtype.name, positions, digit, target.name)
    found = _SOURCES.get(key)
    if found is None:

        def write(module: Module, name: str) -> None:
            b = Builder(module, name, attributes=target.attributes)
            emit(b, Records(b, dtype, positions, digit, target))
            b.finish()

        text = f"radix {kind} {dtype.name} {'positions' if positions else 'values'} {digit}"
        found = _SOURCES[key] = KernelSource(text, text, write)
    return found


def rows_source(dtype: DType, positions: bool, digit: int, target) -> KernelSource:
    """Sorts whole rows. params: length, order constant. buffers: x, result, then scratch of the result's size (with
    positions of 64-bit keys: the positions, and two of keys)."""
    return source("rows", dtype, positions, digit, target, _emit_rows)


class Records:
    """What a pass moves: keys, keys with positions in one integer, or keys and positions side by side."""

    def __init__(self, b: Builder, dtype: DType, positions: bool, digit: int, target):
        self.b = b
        self.dtype = dtype
        self.positions = positions
        self.beside = positions and dtype.bits == 64
        self.packed = positions and not self.beside
        self.element = key_type(dtype)
        self.type = "i64" if self.packed else self.element  # of a record in the buffer that has the keys
        self.first_bit = 32 if self.packed else 0
        self.digit_bits = min(digit, dtype.bits)
        self.count = 1 << self.digit_bits
        self.passes = -(-dtype.bits // self.digit_bits)
        self.lanes = max(1, target.vector_bytes // dtype.itemsize)
        order = b.parameter(1)
        self.order = order if self.element == "i64" else b.value(f"trunc i64 {order} to {self.element}")
        self.orders = {1: self.order, self.lanes: b.splat(self.order, self.element, self.lanes)}
        self.shifted = dtype.kind in "iu" and dtype.bits > NARROW
        self.least: dict[int, str] = {}  # the smallest key of the row, by lanes

    def count_from(self, least: str) -> None:
        """Keys count from this one from now on."""
        self.least = {1: least, self.lanes: self.b.splat(least, self.element, self.lanes)}

    def extremes(self, x: str, start: str, end: str, largest: bool) -> list:
        """The smallest (and the largest) key of some elements, at least one."""
        b, lanes = self.b, self.lanes
        names = ("umin", "umax") if largest else ("umin",)
        v = vector(self.element, lanes)

        def key(i: str, n: int) -> str:
            bits = b.load(vector(self.element, n), b.offset(x, i, self.element))
            return Keys(b, self.dtype, n).of(bits, self.orders[n], self.positions)

        first = key(start, 1)
        found, at = [first for _ in names], start
        if lanes > 1:
            wide = [b.splat(first, self.element, lanes) for _ in names]
            carried = [("i64", start), *((v, w) for w in wide)]
            with b.loop(start, b.sub(end, lanes - 1), lanes, carried=carried, hint="extreme") as loop:
                one = key(loop.i, lanes)
                new = [b.intrinsic(name, v, old, one) for name, old in zip(names, loop.values[1:])]
                loop.next(b.add(loop.i, lanes), *new)
            at = loop.results[0]
            found = [
                b.call(self.element, f"llvm.vector.reduce.{name}.v{lanes}{self.element}", (v, w))
                for name, w in zip(names, loop.results[1:])
            ]
        with b.loop(at, end, carried=[(self.element, f) for f in found], hint="last") as tail:
            one = key(tail.i, 1)
            tail.next(*(b.intrinsic(name, self.element, old, one) for name, old in zip(names, tail.values)))
        return list(tail.results)

    def digit(self, record: str, shift: str) -> str:
        """The digit of a record whose key has been reached by `shift` bits, as an index."""
        b, type_ = self.b, self.type
        if shift != "0":
            record = b.value(f"lshr {type_} {record}, {shift}")
        if int(type_[1:]) > self.digit_bits:
            record = b.value(f"and {type_} {record}, {self.count - 1}")
        return record if type_ == "i64" else b.value(f"zext {type_} {record} to i64")

    def convert(self, x: str, to: str, i: str, lanes: int, position: str) -> None:
        """The records of elements i .. i + lanes - 1 of the row at `x`; the first is number `position`."""
        b = self.b
        keys = Keys(b, self.dtype, lanes)
        v = vector(self.element, lanes)
        key = keys.of(b.load(v, b.offset(x, i, self.element)), self.orders[lanes], self.positions)
        if self.shifted:
            key = b.value(f"sub {v} {key}, {self.least[lanes]}")
        if self.packed:
            wide = vector("i64", lanes)
            key = b.value(f"zext {v} {key} to {wide}")
            key = b.value(f"shl {wide} {key}, {'32' if lanes == 1 else 'splat (i64 32)'}")
            where = position
            if lanes > 1:
                steps = "<" + ", ".join(f"i64 {k}" for k in range(lanes)) + ">"
                where = b.value(f"add {wide} {b.splat(position, 'i64', lanes)}, {steps}")
            key = b.value(f"or {wide} {key}, {where}")
        b.store(vector(self.type, lanes), key, b.offset(to, i, self.type))

    def finish(self, records: str, out: str, i: str, lanes: int) -> None:
        """Results of records i .. i + lanes - 1."""
        b = self.b
        v = vector(self.type, lanes)
        record = b.load(v, b.offset(records, i, self.type))
        if self.packed:
            low = "4294967295" if lanes == 1 else "splat (i64 4294967295)"
            record = b.value(f"and {v} {record}, {low}")
        else:
            if self.shifted:
                record = b.value(f"add {v} {record}, {self.least[lanes]}")
            record = Keys(b, self.dtype, lanes).element_of(record, self.orders[lanes])
        b.store(v, record, b.offset(out, i, self.type))

    def run(self, start: str, end: str, body) -> None:
        """body(i, lanes) over [start, end)."""
        b, lanes = self.b, self.lanes
        at = start
        if lanes > 1:
            with b.loop(start, b.sub(end, lanes - 1), lanes, carried=[("i64", start)], hint="vector") as loop:
                body(loop.i, lanes)
                loop.next(b.add(loop.i, lanes))
            at = loop.results[0]
        with b.loop(at, end, hint="tail") as tail:
            body(tail.i, 1)


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


def _emit_rows(b: Builder, r: Records) -> None:
    length = b.parameter(0)
    x, result, spare = (b.buffer(i) for i in range(3))
    more = [b.buffer(i) for i in (3, 4)] if r.beside else []
    counts = b.alloca("i32", r.passes * r.count)
    with b.loop("%begin", "%end", hint="row") as row:
        at = b.mul(row.i, length)
        mine = b.offset(x, at, r.element)
        # passes go from `other` to `out` and back; beside keys, positions do
        out, other = (b.offset(p, at, "i64" if r.positions else r.element) for p in (result, spare))
        keys = [b.offset(p, at, "i64") for p in more] or [out, other]
        if r.shifted:
            r.count_from(r.extremes(mine, "0", length, False)[0])
        zero_fill(b, counts, r.passes * r.count)
        with b.loop("0", length, TILE, hint="tile") as tile:
            end = b.min(b.add(tile.i, TILE), length)
            r.run(tile.i, end, lambda i, lanes: r.convert(mine, keys[1], i, lanes, i))

            def count(i: str) -> None:
                record = b.load(r.type, b.offset(keys[1], i, r.type))
                for p in range(r.passes):
                    digit = r.digit(record, str(p * r.digit_bits + r.first_bit))
                    bump(b, b.offset(b.offset(counts, p * r.count, "i32"), digit, "i32"))

            unrolled(b, tile.i, end, count, 2)
        active, total = _active_passes(b, r, keys[1], counts, length)
        with b.loop("0", r.passes, carried=[("i64", "0")], hint="pass") as pass_:
            [done] = pass_.values
            varies = b.value(f"lshr i64 {active}, {pass_.i}")
            varies = b.value(f"and i64 {varies}, 1")
            with b.when(b.compare("ne", varies, 0), "active"):
                _deal_row(b, r, out, other, keys, counts, length, pass_.i, done, total)
            pass_.next(b.add(done, varies))
        if r.beside:
            with b.when(b.compare("eq", total, 0), "sorted"), b.loop("0", length, hint="same") as same:
                b.store("i64", same.i, b.offset(out, same.i, "i64"))
        else:
            odd = b.compare("eq", b.value(f"and i64 {total}, 1"), 1)
            last = b.select(odd, "ptr", out, other)
            r.run("0", length, lambda i, lanes: r.finish(last, out, i, lanes))


def _active_passes(b: Builder, r: Records, records: str, counts: str, length: str) -> tuple:
    """(bits of the passes whose digit varies, how many there are) of a counted row, which isn't empty."""
    active, total = "0", "0"
    first = b.load(r.type, records)
    for p in range(r.passes):
        digit = r.digit(first, str(p * r.digit_bits + r.first_bit))
        same = b.load("i32", b.offset(b.offset(counts, p * r.count, "i32"), digit, "i32"), 4)
        varies = b.compare("ne", b.value(f"zext i32 {same} to i64"), length)
        varies = b.value(f"zext i1 {varies} to i64")
        active = b.value(f"or i64 {active}, {b.value(f'shl i64 {varies}, {p}')}")
        total = b.add(total, varies)
    return active, total


def starts(b: Builder, counts: str, entries: int) -> str:
    """Counts (a multiple of 8) become the sums of those before them. Returns the largest count (i32)."""
    v = "<8 x i32>"

    def shuffled(x: str, y: str, order: list) -> str:
        return b.value(f"shufflevector {v} {x}, {v} {y}, <8 x i32> <{', '.join(f'i32 {k}' for k in order)}>")

    with b.loop("0", entries, 8, carried=[(v, "zeroinitializer"), (v, "zeroinitializer")], hint="sum") as loop:
        before, most = loop.values
        place = b.offset(counts, loop.i, "i32")
        n = b.load(v, place, 4)
        total = n
        for width in (1, 2, 4):
            moved = shuffled(total, "zeroinitializer", [k - width if k >= width else 8 for k in range(8)])
            total = b.value(f"add {v} {total}, {moved}")
        total = b.value(f"add {v} {total}, {before}")
        b.store(v, b.value(f"sub {v} {total}, {n}"), place, 4)
        loop.next(shuffled(total, "poison", [7] * 8), b.intrinsic("umax", v, most, n))
    return b.call("i32", "llvm.vector.reduce.umax.v8i32", (v, loop.results[1]))


def deal_together(b: Builder, counts: str, digits: list) -> list:
    """Places for elements with these digits, as one after another would get them; their counters go on.

    All counters are read before one is written: where most elements share a digit, waiting for the last write is what
    takes the time.
    """
    pointers = [b.offset(counts, d, "i32") for d in digits]
    old = [b.load("i32", p, 4) for p in pointers]
    places = []
    for k, mine in enumerate(digits):
        place = old[k]
        for other in digits[:k]:
            same = b.value(f"zext i1 {b.compare('eq', mine, other)} to i32")
            place = b.value(f"add i32 {place}, {same}")
        places.append(place)
    for p, place in zip(pointers, places):
        b.store("i32", b.value(f"add i32 {place}, 1"), p, 4)
    return [b.value(f"zext i32 {place} to i64") for place in places]


def _shift(b: Builder, r: Records, number: str) -> str:
    """How far a record is shifted for digit `number`, in its type."""
    bits = b.add(b.mul(number, r.digit_bits), r.first_bit)
    return bits if r.type == "i64" else b.value(f"trunc i64 {bits} to {r.type}")


def deal(b: Builder, r: Records, ways, counts: str, start: str, end: str, shift: str, crowded: str) -> None:
    """Elements start .. end - 1 to where `counts` says, by the digit at `shift`."""

    def read(i: str) -> tuple:
        record = b.load(r.type, b.offset(ways.keys_from, i, r.type))
        if not r.beside:
            return record, None
        return record, i if ways.first else b.load("i64", b.offset(ways.from_, i, "i64"))

    def write(record: str, position: str | None, at: str) -> None:
        b.store(r.type, record, b.offset(ways.keys_to, at, r.type))
        if r.beside:
            b.store("i64", position, b.offset(ways.to, at, "i64"))

    def one(i: str) -> None:
        record, position = read(i)
        old = bump(b, b.offset(counts, r.digit(record, shift), "i32"))
        write(record, position, b.value(f"zext i32 {old} to i64"))

    if r.digit_bits > NARROW or r.element != "i32":
        unrolled(b, start, end, one)
        return
    together, apart, after = b.new_label("crowded"), b.new_label("spread"), b.new_label("dealt")
    b.branch_if(crowded, together, apart)
    b.label(together)
    with b.loop(start, b.sub(end, UNROLL - 1), UNROLL, carried=[("i64", start)], hint="four") as loop:
        found = [read(b.add(loop.i, u)) for u in range(UNROLL)]
        places = deal_together(b, counts, [r.digit(record, shift) for record, _ in found])
        for (record, position), at in zip(found, places):
            write(record, position, at)
        loop.next(b.add(loop.i, UNROLL))
    with b.loop(loop.results[0], end, hint="rest") as rest:
        one(rest.i)
    b.branch(after)
    b.label(apart)
    unrolled(b, start, end, one)
    b.branch(after)
    b.label(after)


class Ways:
    """Where a pass reads and writes: keys (or records), and positions beside them, which the first pass makes."""

    __slots__ = ("first", "from_", "keys_from", "keys_to", "to")

    def __init__(self, keys_from: str, keys_to: str, from_: str, to: str, first: bool = False):
        self.keys_from = keys_from
        self.keys_to = keys_to
        self.from_ = from_
        self.to = to
        self.first = first


CROWDED = 4  # a digit that more than one in so many elements has slows the plain loop down


def _deal_row(b: Builder, r: Records, out, other, keys, counts, length, number, done, total) -> None:
    """One pass over a row: the first from keys[1] to keys[0], then back, and so on.

    Positions beside keys come into being in the first pass, and end in `out`: what is left to do says where they go.
    """
    mine = b.offset(counts, b.mul(number, r.count), "i32")
    most = b.value(f"zext i32 {starts(b, mine, r.count)} to i64")
    crowded = b.compare("ugt", b.mul(most, CROWDED), length)
    even = b.compare("eq", b.value(f"and i64 {done}, 1"), 0)
    keys_to, keys_from = b.select(even, "ptr", *keys), b.select(even, "ptr", *reversed(keys))
    shift = _shift(b, r, number)
    left = b.value(f"and i64 {b.sub(total, done)}, 1")
    odd = b.compare("eq", left, 1)
    to, from_ = b.select(odd, "ptr", out, other), b.select(odd, "ptr", other, out)
    ways = Ways(keys_from, keys_to, from_, to)
    if not r.beside:
        deal(b, r, ways, mine, "0", length, shift, crowded)
        return
    first, next_, after = b.new_label("first"), b.new_label("next"), b.new_label("done")
    b.branch_if(b.compare("eq", done, 0), first, next_)
    for label, begins in ((first, True), (next_, False)):
        b.label(label)
        ways.first = begins
        deal(b, r, ways, mine, "0", length, shift, crowded)
        b.branch(after)
    b.label(after)


# ---------------------------------------------------------------- long rows, by blocks
class Blocks:
    """What the kernels for blocks of rows share. params: length, order constant, block, blocks per row, digit number.

    buffers: those of whole rows, then counts (one table per block), per row the number of the buffer (0: the spare one)
    that has the keys before each digit, and per block the smallest and the largest key.
    """

    def __init__(self, b: Builder, r: Records):
        self.b = b
        self.r = r
        self.length, self.block, self.blocks, self.number = (b.parameter(i) for i in (0, 2, 3, 4))
        self.x, self.result, self.spare = (b.buffer(i) for i in range(3))
        self.more = [b.buffer(i) for i in (3, 4)] if r.beside else []
        self.counts, self.sides, self.spans = (b.buffer(3 + len(self.more) + i) for i in range(3))

    def over(self, body) -> None:
        """body(row, unit, start, end, buffers of the row)."""
        b, r = self.b, self.r
        with b.loop("%begin", "%end", hint="unit") as unit:
            row = b.udiv(unit.i, self.blocks)
            start = b.mul(b.urem(unit.i, self.blocks), self.block)
            at = b.mul(row, self.length)
            out, other = (b.offset(p, at, "i64" if r.positions else r.element) for p in (self.result, self.spare))
            keys = [b.offset(p, at, "i64") for p in self.more] or [out, other]
            x = b.offset(self.x, at, r.element)
            body(row, unit.i, start, b.min(self.length, b.add(start, self.block)), x, out, other, keys)

    def span(self, row: str) -> list:
        """The smallest key of a row, and the largest."""
        b, element = self.b, self.r.element
        first = b.offset(self.spans, b.mul(b.mul(row, self.blocks), 2), element)
        start = [b.load(element, b.offset(first, k, element)) for k in range(2)]
        with b.loop("1", self.blocks, carried=[(element, s) for s in start], hint="span") as loop:
            at = b.offset(first, b.mul(loop.i, 2), element)
            loop.next(*(b.intrinsic(name, element, old, b.load(element, b.offset(at, k, element)))
                        for k, (name, old) in enumerate(zip(("umin", "umax"), loop.values))))  # fmt: skip
        return list(loop.results)

    def reaches(self, row: str) -> str:
        """Whether any key of the row has a digit of this number."""
        b, r = self.b, self.r
        if not r.shifted:
            return "true"
        least, most = self.span(row)
        bits = b.mul(self.number, r.digit_bits)
        bits = bits if r.element == "i64" else b.value(f"trunc i64 {bits} to {r.element}")
        span = b.value(f"lshr {r.element} {b.value(f'sub {r.element} {most}, {least}')}, {bits}")
        return b.compare("ne", span, 0, r.element)

    def side(self, row: str, number: str) -> str:
        """Pointer to the side before digit `number`."""
        return self.b.offset(self.sides, self.b.add(self.b.mul(row, self.r.passes + 1), number), "i64")

    def odd(self, row: str, number: str) -> str:
        """Whether the keys are in the second buffer before a digit."""
        return self.b.compare("ne", self.b.load("i64", self.side(row, number), 8), 0)

    def table(self, unit: str) -> str:
        return self.b.offset(self.counts, self.b.mul(unit, self.r.count), "i32")


def _emit_span(b: Builder, r: Records) -> None:
    """The smallest and the largest key of each block."""
    w = Blocks(b, r)

    def body(row, unit, start, end, x, out, other, keys) -> None:
        place = b.offset(w.spans, b.mul(unit, 2), r.element)
        for k, found in enumerate(r.extremes(x, start, end, True)):
            b.store(r.element, found, b.offset(place, k, r.element))

    w.over(body)


def _emit_convert(b: Builder, r: Records) -> None:
    """Keys of all elements, into the spare buffer (beside keys: positions there, keys into the last one)."""
    w = Blocks(b, r)

    def body(row, unit, start, end, x, out, other, keys) -> None:
        b.store("i64", "0", w.side(row, "0"), 8)  # by every block of the row
        if r.shifted:
            r.count_from(w.span(row)[0])
        r.run(start, end, lambda i, lanes: r.convert(x, keys[1], i, lanes, i))
        if r.beside:
            with b.loop(start, end, hint="number") as number:
                b.store("i64", number.i, b.offset(other, number.i, "i64"))

    w.over(body)


def _emit_tally(b: Builder, r: Records) -> None:
    """How often each digit occurs in each block."""
    w = Blocks(b, r)
    shift = _shift(b, r, w.number)

    def body(row, unit, start, end, x, out, other, keys) -> None:
        table = w.table(unit)
        from_ = b.select(w.odd(row, w.number), "ptr", *keys)

        def one(i: str) -> None:
            record = b.load(r.type, b.offset(from_, i, r.type))
            bump(b, b.offset(table, r.digit(record, shift), "i32"))

        with b.when(w.reaches(row), "reached"):
            zero_fill(b, table, r.count)
            unrolled(b, start, end, one)

    w.over(body)


def _emit_places(b: Builder, r: Records) -> None:
    """Per row: where each block's elements with each digit go; and whether the pass is needed at all."""
    w = Blocks(b, r)
    with b.loop("%begin", "%end", hint="row") as row:
        side, after = b.load("i64", w.side(row.i, w.number), 8), w.side(row.i, b.add(w.number, 1))
        b.store("i64", side, after, 8)
        with b.when(w.reaches(row.i), "reached"):
            first = b.offset(w.counts, b.mul(b.mul(row.i, w.blocks), r.count), "i32")
            with b.loop("0", r.count, carried=[("i32", "0"), ("i32", "0")], hint="digit") as digit:
                before, most = digit.values
                with b.loop("0", w.blocks, carried=[("i32", before)], hint="block") as block:
                    place = b.offset(first, b.add(b.mul(block.i, r.count), digit.i), "i32")
                    n = b.load("i32", place, 4)
                    b.store("i32", block.values[0], place, 4)
                    block.next(b.value(f"add i32 {block.values[0]}, {n}"))
                n = b.value(f"sub i32 {block.results[0]}, {before}")
                digit.next(block.results[0], b.call("i32", "llvm.umax.i32", ("i32", most), ("i32", n)))
            most = b.value(f"zext i32 {digit.results[1]} to i64")
            varies = b.value(f"zext i1 {b.compare('ne', most, w.length)} to i64")
            b.store("i64", b.value(f"xor i64 {side}, {varies}"), after, 8)


def _emit_deal(b: Builder, r: Records) -> None:
    """Deals out the elements of each block, unless the digit is the same everywhere."""
    w = Blocks(b, r)
    shift = _shift(b, r, w.number)

    def body(row, unit, start, end, x, out, other, keys) -> None:
        odd, after = w.odd(row, w.number), w.odd(row, b.add(w.number, 1))
        with b.when(b.value(f"xor i1 {odd}, {after}"), "varies"):
            keys_from, keys_to = b.select(odd, "ptr", *keys), b.select(odd, "ptr", *reversed(keys))
            ways = Ways(keys_from, keys_to, b.select(odd, "ptr", out, other), b.select(odd, "ptr", other, out))
            deal(b, r, ways, w.table(unit), start, end, shift, "false")

    w.over(body)


def _emit_finish(b: Builder, r: Records) -> None:
    """Results from where the last pass left them."""
    w = Blocks(b, r)

    def body(row, unit, start, end, x, out, other, keys) -> None:
        odd = w.odd(row, r.passes)
        if r.shifted:
            r.count_from(w.span(row)[0])
        if r.beside:
            with b.when(b.value(f"xor i1 {odd}, true"), "move"), b.loop(start, end, hint="copy") as copy:
                b.store("i64", b.load("i64", b.offset(other, copy.i, "i64")), b.offset(out, copy.i, "i64"))
        else:
            last = b.select(odd, "ptr", out, other)
            r.run(start, end, lambda i, lanes: r.finish(last, out, i, lanes))

    w.over(body)


_BLOCK_STEPS = {"span": _emit_span, "convert": _emit_convert, "tally": _emit_tally, "places": _emit_places, "deal": _emit_deal,
                "finish": _emit_finish}  # fmt: skip


def block_source(step: str, dtype: DType, positions: bool, target) -> KernelSource:
    """A step of sorting long rows: span (of integers); convert; per digit tally, places, deal; finish."""
    return source(step, dtype, positions, NARROW, target, _BLOCK_STEPS[step])
