"""Selection without sorting everything: the first k of each sorted row, or its k-th.

A row's keys are counted by their leading digit. That tells in which digit the last wanted one lies; the elements up to
there (for a single one: with that very digit) are collected, which are few unless most elements share that digit, and
sorted by radix.
"""

from __future__ import annotations

from ..base import dtypes as dt
from ..base.shapes import size_of
from ..passes.fuse import Group
from . import network
from .builder import Builder, vector
from .keys import Keys, order_constant
from .lower import PARALLEL, Lowering, Step
from .radix import NARROW, TILE, WIDE, Records, Ways, bump, deal, source, starts, unrolled, zero_fill
from .sort import rows_of, slot


def _leading(r: Records) -> tuple:
    """(bits of the digit that decides, how far a key is shifted to it)."""
    bits = min(WIDE, r.dtype.bits)
    return bits, r.dtype.bits - bits


class Collector:
    """params: length, order constant, k (-1: the k of each row comes from a buffer, and only that element is wanted).

    buffers: x, k of each row, then records of candidates (beside keys: positions), keys beside positions, and two numbers
    per row: how many candidates, and how many elements come before them.
    """

    def __init__(self, b: Builder, r: Records):
        self.b = b
        self.r = r
        self.length, self.k = b.parameter(0), b.parameter(2)
        self.x, self.wanted, self.records = (b.buffer(i) for i in range(3))
        self.keys = b.buffer(3) if r.beside else None
        self.numbers = b.buffer(4 if r.beside else 3)
        self.bits, self.shift = _leading(r)
        self.counts = b.alloca("i32", 1 << self.bits)
        self.tile = b.alloca(r.element, TILE)
        self.v = vector(r.element, r.lanes)

    def key(self, x: str, i: str, lanes: int) -> str:
        r, b = self.r, self.b
        bits = b.load(vector(r.element, lanes), b.offset(x, i, r.element))
        return Keys(b, r.dtype, lanes).of(bits, r.orders[lanes], True)

    def write(self) -> None:
        b, r = self.b, self.r
        single = b.compare("slt", self.k, 0)
        with b.loop("%begin", "%end", hint="row") as row:
            at = b.mul(row.i, self.length)
            x = b.offset(self.x, at, r.element)
            given = b.load("i64", b.offset(self.wanted, b.select(single, "i64", row.i, 0), "i64"), 8)
            k = b.select(single, "i64", given, b.sub(self.k, 1))
            self.count(x)
            digit, before = self.deciding(k)
            low = b.select(single, "i64", digit, 0)
            passed = b.select(single, "i64", before, 0)
            records = b.offset(self.records, at, "i64" if r.beside else r.type)
            keys = b.offset(self.keys, at, "i64") if r.beside else None
            found = self.collect(x, low, digit, records, keys)
            place = b.offset(self.numbers, b.mul(row.i, 2), "i64")
            b.store("i64", found, place, 8)
            b.store("i64", passed, b.offset(place, 1, "i64"), 8)

    def count(self, x: str) -> None:
        """Counts of the leading digit."""
        b, r = self.b, self.r
        zero_fill(b, self.counts, 1 << self.bits)
        with b.loop("0", self.length, TILE, hint="tile") as tile:
            start = b.offset(x, tile.i, r.element)
            size = b.min(b.sub(self.length, tile.i), TILE)

            def convert(i: str, lanes: int) -> None:
                b.store(vector(r.element, lanes), self.key(start, i, lanes), b.offset(self.tile, i, r.element))

            def one(i: str) -> None:
                key = b.load(r.element, b.offset(self.tile, i, r.element))
                bump(b, b.offset(self.counts, self.digit(key), "i32"))

            r.run("0", size, convert)
            unrolled(b, "0", size, one)

    def digit(self, key: str) -> str:
        b, element = self.b, self.r.element
        key = b.value(f"lshr {element} {key}, {self.shift}") if self.shift else key
        return key if element == "i64" else b.value(f"zext {element} {key} to i64")

    def deciding(self, k: str) -> tuple:
        """(the digit of element number k in order, how many elements have smaller digits)."""
        b = self.b
        head, body, done = (b.new_label(h) for h in ("seek", "step", "sought"))
        before = b.block
        b.branch(head)
        b.label(head)
        digit, below = b.fresh(), b.fresh()
        patch = len(b.lines)
        b.lines.extend(["", ""])
        n = b.load("i32", b.offset(self.counts, digit, "i32"), 4)
        after = b.add(below, b.value(f"zext i32 {n} to i64"))
        more = b.compare("sle", after, k)
        last = b.compare("slt", digit, (1 << self.bits) - 1)
        b.branch_if(b.value(f"and i1 {more}, {last}"), body, done)
        b.label(body)
        following = b.add(digit, 1)
        b.branch(head)
        b.lines[patch] = f"  {digit} = phi i64 [ 0, %{before} ], [ {following}, %{body} ]"
        b.lines[patch + 1] = f"  {below} = phi i64 [ 0, %{before} ], [ {after}, %{body} ]"
        b.label(done)
        return digit, below

    def collect(self, x: str, low: str, high: str, records: str, keys: str | None) -> str:
        """Elements with digits low .. high, in order, as records; returns how many."""
        b, r = self.b, self.r
        element, lanes = r.element, r.lanes
        span = b.sub(high, low)

        def step(i: str, count: str) -> str:
            key = self.key(x, i, 1)
            at = b.offset(records, count, "i64" if r.beside else r.type)
            if r.beside:
                b.store("i64", key, b.offset(keys, count, "i64"))
                b.store("i64", i, at)
            else:
                wide = b.value(f"zext {element} {key} to i64")
                b.store("i64", b.value(f"or i64 {b.value(f'shl i64 {wide}, 32')}, {i}"), at)
            # the next one overwrites what isn't wanted
            inside = b.compare("ule", b.sub(self.digit(key), low), span)
            return b.add(count, b.value(f"zext i1 {inside} to i64"))

        at, count = "0", "0"
        if lanes > 1:
            # compared as signed integers: bounds of the keys with these digits, less and greater than which is outside
            sign = 1 << (r.dtype.bits - 1)
            first = self.bound(low, 0, sign)
            last = self.bound(high, (1 << self.shift) - 1, sign)
            flip = Keys(b, r.dtype, lanes).constant(sign)
            flags = vector("i1", lanes)
            carried = [("i64", "0"), ("i64", "0")]
            with b.loop("0", b.sub(self.length, lanes - 1), lanes, carried=carried, hint="look") as loop:
                key = b.value(f"xor {self.v} {self.key(x, loop.i, lanes)}, {flip}")
                under = b.value(f"icmp slt {self.v} {key}, {first}")
                over = b.value(f"icmp sgt {self.v} {key}, {last}")
                outside = b.value(f"or {flags} {under}, {over}")
                bits = b.value(f"bitcast {flags} {outside} to i{lanes}")
                some, done = b.new_label("some"), b.new_label("looked")
                none = b.block
                b.branch_if(b.compare("eq", bits, -1, f"i{lanes}"), done, some)
                b.label(some)
                now = loop.values[1]
                for u in range(lanes):
                    now = step(b.add(loop.i, u), now)
                b.branch(done)
                b.label(done)
                new = b.value(f"phi i64 [ {loop.values[1]}, %{none} ], [ {now}, %{some} ]")
                loop.next(b.add(loop.i, lanes), new)
            at, count = loop.results
        with b.loop(at, self.length, carried=[("i64", count)], hint="rest") as rest:
            rest.next(step(rest.i, rest.values[0]))
        return rest.results[0]

    def bound(self, digit: str, more: int, sign: int) -> str:
        """The smallest (or, with `more`, the largest) key with this digit as a signed integer, in all lanes."""
        b, r = self.b, self.r
        key = b.value(f"shl i64 {digit}, {self.shift}") if self.shift else digit
        key = b.value(f"or i64 {key}, {more}") if more else key
        if r.element != "i64":
            key = b.value(f"trunc i64 {key} to {r.element}")
        key = b.value(f"xor {r.element} {key}, {Keys(b, r.dtype).constant(sign)}")
        return b.splat(key, r.element, r.lanes)


def _emit_collect(b: Builder, r: Records) -> None:
    Collector(b, r).write()


def _emit_candidates(b: Builder, r: Records) -> None:
    """Sorts the candidates of each row. params: length of a row, unused, results per row (-1: the k-th only).

    buffers: numbers, k of each row, result, records, second records, and keys beside them, second keys.
    """
    length, results = b.parameter(0), b.parameter(2)
    numbers, wanted, result, first, second = (b.buffer(i) for i in range(5))
    more = [b.buffer(i) for i in (5, 6)] if r.beside else []
    counts = b.alloca("i32", r.passes * r.count)
    single = b.compare("slt", results, 0)
    many = b.select(single, "i64", 1, results)
    with b.loop("%begin", "%end", hint="row") as row:
        at = b.mul(row.i, length)
        records = [b.offset(p, at, "i64") for p in (first, second)]
        keys = [b.offset(p, at, "i64") for p in more] or records
        place = b.offset(numbers, b.mul(row.i, 2), "i64")
        number, before = b.load("i64", place, 8), b.load("i64", b.offset(place, 1, "i64"), 8)
        zero_fill(b, counts, r.passes * r.count)

        def count(i: str) -> None:
            record = b.load(r.type, b.offset(keys[0], i, r.type))
            for p in range(r.passes):
                digit = r.digit(record, str(p * r.digit_bits + r.first_bit))
                bump(b, b.offset(b.offset(counts, p * r.count, "i32"), digit, "i32"))

        unrolled(b, "0", number, count, 2)
        with b.loop("0", r.passes, carried=[("i64", "0")], hint="pass") as pass_:
            [done] = pass_.values
            mine = b.offset(counts, b.mul(pass_.i, r.count), "i32")
            most = b.value(f"zext i32 {starts(b, mine, r.count)} to i64")
            varies = b.compare("ne", most, number)
            with b.when(varies, "active"):
                odd = b.compare("ne", b.value(f"and i64 {done}, 1"), 0)
                ways = Ways(*(b.select(odd, "ptr", *p) for p in (keys[::-1], keys, records[::-1], records)))
                bits = b.add(b.mul(pass_.i, r.digit_bits), r.first_bit)
                deal(b, r, ways, mine, "0", number, bits, "false")
            pass_.next(b.add(done, b.value(f"zext i1 {varies} to i64")))
        odd = b.compare("ne", b.value(f"and i64 {pass_.results[0]}, 1"), 0)
        last = b.select(odd, "ptr", *records[::-1])
        out = b.offset(result, b.mul(row.i, many), "i64")
        given = b.load("i64", b.offset(wanted, b.select(single, "i64", row.i, 0), "i64"), 8)
        skipped = b.select(single, "i64", b.sub(given, before), 0)
        with b.loop("0", many, hint="result") as loop:
            record = b.load("i64", b.offset(last, b.add(loop.i, skipped), "i64"))
            if r.packed:
                record = b.value(f"and i64 {record}, 4294967295")
            b.store("i64", record, b.offset(out, loop.i, "i64"))


def lower_select(lowering: Lowering, group: Group) -> None:
    """topk_rows: positions of the first k of each row in order; select_rows: of the element with a given number."""
    n = group.nodes[0]
    x = rows_of(lowering, n.inputs[0])
    into = lowering.destination(n)
    if size_of(into.shape) == 0:
        return
    single = n.op.name == "select_rows"
    k, descending = (-1, False) if single else n.attrs
    length, rows, target = x.shape[-1], size_of(x.shape[:-1]), lowering.target
    if not single and length <= network.LONGEST:
        lanes = network.lanes_of(x.dtype, True, target)
        kernel = network.network_source(x.dtype, True, target, True)
        params = [length, order_constant(x.dtype, descending, signed=True), rows, k]
        grain = max(1, PARALLEL // 4 // (length * lanes))
        lowering.add_step(Step(kernel, [slot(x), slot(into)], params, -(-rows // lanes), grain))
        return
    wanted = rows_of(lowering, n.inputs[1]) if single else lowering.fresh(dt.int64, (1,))
    beside = x.dtype.itemsize == 8
    records = [slot(lowering.fresh(dt.int64, x.shape)) for _ in range(2)]
    keys = [slot(lowering.fresh(dt.int64, x.shape)) for _ in range(2)] if beside else []
    numbers = slot(lowering.fresh(dt.int64, (rows, 2)))
    grain = max(1, PARALLEL // 4 // length)
    params = [length, order_constant(x.dtype, descending, signed=False), k]
    collect = source("collect", x.dtype, True, NARROW, target, _emit_collect)
    buffers = [slot(x), slot(wanted), records[0], *keys[:1], numbers]
    lowering.add_step(Step(collect, buffers, params, rows, grain))
    sort = source("candidates", x.dtype, True, NARROW, target, _emit_candidates)
    lowering.add_step(Step(sort, [numbers, slot(wanted), slot(into), *records, *keys], params, rows, grain))
