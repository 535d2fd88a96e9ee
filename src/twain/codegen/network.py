"""Sorting of short rows by a network, several rows at a time: every lane of a vector is a row of its own.

The network is Batcher's merge exchange (Knuth, The Art of Computer Programming 3, 5.2.2, algorithm M), which takes rows of
any length. Where positions are wanted they decide between equal keys, so the order is that of a stable sort: in one
integer with the key, or beside keys of 64 bits.
"""

from __future__ import annotations

from ..base.dtypes import DType
from .builder import Builder, Module, vector
from .keys import Keys, key_type
from .plan import KernelSource

LONGEST = 512  # elements of a row
LANES = 8  # rows at a time, at most

_SOURCES: dict[tuple, KernelSource] = {}


def network_source(dtype: DType, positions: bool, target, first: bool = False) -> KernelSource:
    """buffers: x, result. params: length, order constant (for signed keys), rows, and how many results each row has.

    One unit is `lanes` rows. first: a few results only, which are found one after another.
    """
    key = (dtype.name, positions, first, target.name)
    found = _SOURCES.get(key)
    if found is None:

        def emit(module: Module, name: str) -> None:
            NetworkWriter(Builder(module, name, attributes=target.attributes), dtype, positions, target).write(first)

        text = f"network {dtype.name} {'positions' if positions else 'values'} {'first' if first else ''}"
        found = _SOURCES[key] = KernelSource(text, text, emit)
    return found


def lanes_of(dtype: DType, positions: bool, target) -> int:
    """Rows at a time."""
    return max(1, min(LANES, target.vector_bytes * 8 // record_bits(dtype, positions)))


def record_bits(dtype: DType, positions: bool) -> int:
    """Width of what is compared: a key, with its position in 16 bits (there are no longer rows) or 32 where wanted."""
    if not positions or dtype.bits == 64:
        return dtype.bits
    return 32 if dtype.bits <= 16 else 64


def transposed(b: Builder, rows: list, type_: str, lanes: int) -> list:
    """Columns of a square of `lanes` vectors."""
    half = lanes // 2
    while half:
        for i in range(lanes):
            if i & half:
                continue
            x, y = rows[i], rows[i + half]
            low = [c if not c & half else lanes + c - half for c in range(lanes)]
            high = [c + half if not c & half else lanes + c for c in range(lanes)]
            rows[i], rows[i + half] = (
                b.value(f"shufflevector {type_} {x}, {type_} {y}, <{lanes} x i32> <{', '.join(f'i32 {k}' for k in o)}>")
                for o in (low, high)
            )
        half //= 2
    return rows


class NetworkWriter:
    """Writes one kernel."""

    def __init__(self, b: Builder, dtype: DType, positions: bool, target):
        self.b = b
        self.dtype = dtype
        self.positions = positions
        self.lanes = lanes_of(dtype, positions, target)
        self.beside = positions and dtype.bits == 64
        self.packed = positions and not self.beside
        self.element = key_type(dtype)
        self.shift = record_bits(dtype, positions) - dtype.bits
        self.record = f"i{record_bits(dtype, positions)}"
        self.type = vector(self.record, self.lanes)
        self.flags = vector("i1", self.lanes)
        self.result = "i64" if positions else self.element
        self.keys = Keys(b, dtype, self.lanes)

    def write(self, first_only: bool) -> None:
        b, lanes = self.b, self.lanes
        self.length = b.parameter(0)
        order = b.parameter(1)
        order = order if self.element == "i64" else b.value(f"trunc i64 {order} to {self.element}")
        self.order = b.splat(order, self.element, lanes)
        rows, results = b.parameter(2), b.parameter(3)
        x, result = b.buffer(0), b.buffer(1)
        self.scratch = b.alloca(self.type, LONGEST)
        self.places = b.alloca(self.type, LONGEST) if self.beside else None
        with b.loop("%begin", "%end", hint="group") as group:
            first = b.mul(group.i, lanes)
            count = b.min(b.sub(rows, first), lanes)
            last = b.sub(rows, 1)
            sources, targets = [], []
            for k in range(lanes):
                row = b.min(b.add(first, k), last)
                sources.append(b.offset(x, b.mul(row, self.length), self.element))
                targets.append(b.offset(result, b.mul(row, results), self.result))
            self.load(sources)
            if first_only:
                self.find_first(results)
            else:
                self.exchange()
            self.store(targets, count, results)
        b.finish()

    # -- in and out
    def by_squares(self, count: str, square, column) -> None:
        """square(i) for `lanes` of `count` columns from i on, column(i) for the rest."""
        b, lanes = self.b, self.lanes
        at = "0"
        if lanes > 1:
            with b.loop("0", b.sub(count, lanes - 1), lanes, carried=[("i64", "0")], hint="square") as loop:
                square(loop.i)
                loop.next(b.add(loop.i, lanes))
            at = loop.results[0]
        with b.loop(at, count, hint="column") as rest:
            column(rest.i)

    def load(self, sources: list) -> None:
        b, lanes = self.b, self.lanes
        v = vector(self.element, lanes)

        def square(i: str) -> None:
            rows = [b.load(v, b.offset(s, i, self.element)) for s in sources]
            for k, bits in enumerate(transposed(b, rows, v, lanes)):
                self.put(b.add(i, k), bits)

        def column(i: str) -> None:
            bits = "poison"
            for k, s in enumerate(sources):
                one = b.load(self.element, b.offset(s, i, self.element))
                bits = one if lanes == 1 else b.value(f"insertelement {v} {bits}, {self.element} {one}, i32 {k}")
            self.put(i, bits)

        self.by_squares(self.length, square, column)

    def put(self, i: str, bits: str) -> None:
        """Elements number i of all rows become records."""
        b, lanes = self.b, self.lanes
        record = self.keys.of(bits, self.order, self.positions)
        number = None
        if self.positions:
            number = i if self.record == "i64" else b.value(f"trunc i64 {i} to {self.record}")
            number = b.splat(number, self.record, lanes)
        if self.packed:
            record = b.value(f"zext {self.keys.type} {record} to {self.type}")
            record = b.value(f"shl {self.type} {record}, {self.constant(self.shift)}")
            record = b.value(f"or {self.type} {record}, {number}")
        b.store(self.type, record, b.offset(self.scratch, i, self.type), 32)
        if self.beside:
            b.store(self.type, number, b.offset(self.places, i, self.type), 32)

    def constant(self, value: int) -> str:
        return str(value) if self.lanes == 1 else f"splat ({self.record} {value})"

    def finished(self, i: str) -> str:
        """Results number i of all rows."""
        b = self.b
        if self.beside:
            return b.load(self.type, b.offset(self.places, i, self.type), 32)
        record = b.load(self.type, b.offset(self.scratch, i, self.type), 32)
        if not self.packed:
            return self.keys.element_of(record, self.order)
        record = b.value(f"and {self.type} {record}, {self.constant((1 << self.shift) - 1)}")
        return record if self.record == "i64" else b.value(f"zext {self.type} {record} to {vector('i64', self.lanes)}")

    def store(self, targets: list, count: str, results: str) -> None:
        b, lanes = self.b, self.lanes
        v = vector(self.result, lanes)

        def square(i: str) -> None:
            rows = transposed(b, [self.finished(b.add(i, k)) for k in range(lanes)], v, lanes)
            for k, (row, target) in enumerate(zip(rows, targets)):
                with b.when(b.compare("sgt", count, k), "row"):
                    b.store(v, row, b.offset(target, i, self.result))

        def column(i: str) -> None:
            values = self.finished(i)
            for k, target in enumerate(targets):
                one = values if lanes == 1 else b.value(f"extractelement {v} {values}, i32 {k}")
                with b.when(b.compare("sgt", count, k), "row"):
                    b.store(self.result, one, b.offset(target, i, self.result))

        self.by_squares(results, square, column)

    # -- the network
    def exchange(self) -> None:
        b, length = self.b, self.length
        with b.when(b.compare("sgt", length, 1), "several"):
            zeros = b.call("i64", "llvm.ctlz.i64", ("i64", b.sub(length, 1)), ("i1", "false"))
            steps = b.value(f"sub i64 64, {zeros}")
            largest = b.value(f"shl i64 1, {b.sub(steps, 1)}")
            with b.loop("0", steps, hint="merge") as merge:
                p = b.value(f"lshr i64 {largest}, {merge.i}")
                twice = b.value(f"shl i64 {p}, 1")
                with b.loop("0", b.add(merge.i, 1), hint="distance") as step:
                    start = b.compare("eq", step.i, 0)
                    q = b.value(f"lshr i64 {largest}, {b.select(start, 'i64', 0, b.sub(step.i, 1))}")
                    distance = b.select(start, "i64", p, b.sub(q, p))
                    begin = b.select(start, "i64", 0, p)
                    limit = b.sub(length, distance)
                    with b.loop(begin, limit, twice, hint="run") as run:
                        end = b.min(b.add(run.i, p), limit)
                        with b.loop(run.i, end, hint="pair") as pair:
                            self.compare(pair.i, b.add(pair.i, distance))

    def find_first(self, results: str) -> None:
        """Brings the smallest records to the front, one after another."""
        b = self.b
        with (
            b.loop("0", results, hint="result") as result,
            b.loop(b.add(result.i, 1), self.length, hint="rest") as rest,
        ):
            self.compare(result.i, rest.i)

    def compare(self, i: str, j: str) -> None:
        """The smaller of records i and j to i, the larger to j, in every row."""
        b, v = self.b, self.type
        at, to = (b.offset(self.scratch, k, v) for k in (i, j))
        x, y = b.load(v, at, 32), b.load(v, to, 32)
        if not self.beside:
            b.store(v, b.intrinsic("smin", v, x, y), at, 32)
            b.store(v, b.intrinsic("smax", v, x, y), to, 32)
            return
        at_place, to_place = (b.offset(self.places, k, v) for k in (i, j))
        m, n = b.load(v, at_place, 32), b.load(v, to_place, 32)
        wrong = b.value(f"icmp sgt {v} {x}, {y}")
        equal = b.value(f"icmp eq {v} {x}, {y}")
        after = b.value(f"icmp sgt {v} {m}, {n}")
        swap = b.value(f"or {self.flags} {wrong}, {b.value(f'and {self.flags} {equal}, {after}')}")
        for one, other, low, high in ((x, y, at, to), (m, n, at_place, to_place)):
            b.store(v, b.value(f"select {self.flags} {swap}, {v} {other}, {v} {one}"), low, 32)
            b.store(v, b.value(f"select {self.flags} {swap}, {v} {one}, {v} {other}"), high, 32)
