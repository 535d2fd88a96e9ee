"""Discrete Fourier transforms of lengths made of small primes.

As many transforms as a vector has lanes run side by side, one per lane, in memory of their own: first they are read, then
Stockham's passes sort and combine them (radix 2, 3, 4, 5, 7, 11, 13), then they are written. A long transform is n1 * n2:
the n2 transforms of n1 elements each that lie n2 apart, a rotation, and n1 transforms of n2 elements (Bailey 1990). Both
halves go by neighbouring columns, so vectors are full and the memory that a pass walks fits the cache.

Lengths are parameters. The sines and cosines of a length are computed once, in float64 (`Table`).
"""

from __future__ import annotations

import math
import weakref

from ..base import dtypes as dt
from ..base.dtypes import DType
from ..base.lazy import LazyModule
from .builder import Builder, Module, float_literal, storage_type, vector
from .lanes import lane_order
from .plan import KernelSource

numpy = LazyModule("numpy")

RADICES = (4, 2, 3, 5, 7, 11, 13)
LONGEST = 1 << 24  # beyond, the table of rotations would be larger than it is worth
PARAMETERS = (
    "passes", "count", "length", "turns", "rotations", "columns", "blocks", "in_row", "in_j", "in_column", "out_row", "out_j",
    "out_column", "kept", "limit", "swap_in", "swap_out", "scale", "grain", "slot", "in_plane", "out_plane", "full", "full_j",
    "full_lane",
)  # fmt: skip


def factors(n: int) -> list[int] | None:
    """The radices of the passes of a transform of n elements; None if a prime is too large."""
    found = []
    for r in RADICES:
        while n % r == 0:
            found.append(r)
            n //= r
    return found if n == 1 else None


def halves(n: int) -> tuple[int, int]:
    """n1, n2 of about one size with n1 * n2 == n."""
    best = 1
    for d in range(1, math.isqrt(n) + 1):
        if n % d == 0:
            best = d
    return n // best, best


class Table:
    """Passes of a length (radix, groups, stride, where its sines begin) and, for n1 * n2, the rotations between the halves."""

    __slots__ = ("__weakref__", "numbers", "passes", "rotations")

    def __init__(self, length: int, dtype: DType, lanes: int, others: int):
        steps, numbers, at, left, stride = [], [], 0, length, 1
        for r in factors(length) or ():
            groups = left // r
            steps += [r, groups, stride, at]
            index = numpy.outer(numpy.arange(groups), numpy.arange(1, r))
            numbers.append(_turns(index, left).reshape(-1))
            at += 2 * index.size
            left, stride = groups, stride * r
        self.passes = numpy.array(steps or [0], "int64")
        kind = "float32" if dtype is dt.float32 else "float64"
        self.numbers = numpy.concatenate([*numbers, [0.0]]).astype(kind)
        self.rotations = numpy.zeros(1, kind)
        if others > 1:  # [block of columns][k1][cosine or sine][lane]
            columns = numpy.arange(-(-others // lanes) * lanes).reshape(-1, 1, lanes)
            index = columns * numpy.arange(length).reshape(1, -1, 1) % (length * others)
            turns = _turns(index, length * others)
            self.rotations = numpy.ascontiguousarray(numpy.moveaxis(turns, -1, 2)).astype(kind).reshape(-1)


def _turns(index, n: int):
    """cos and -sin of 2 pi index / n, along a new last axis; exact at multiples of an eighth, by symmetry elsewhere."""
    eighth, rest = numpy.divmod(8 * (index % n), n)
    odd = eighth % 2 == 1
    angle = numpy.where(odd, n - rest, rest) * (2 * math.pi / (8 * n))
    c, s = numpy.cos(angle), numpy.sin(angle)
    # within the first eighth of a quarter; then quarter turns
    c, s = numpy.where(odd, s, c), numpy.where(odd, c, s)
    quarter = eighth // 2
    cosine = numpy.choose(quarter, [c, -s, -c, s])
    sine = numpy.choose(quarter, [s, c, -s, -c])
    return numpy.stack([cosine, -sine], -1)


_TABLES: weakref.WeakValueDictionary = weakref.WeakValueDictionary()


def table(length: int, dtype: DType, lanes: int, others: int = 1) -> Table:
    key = (length, dtype, lanes, others)
    found = _TABLES.get(key)
    if found is None:
        found = _TABLES[key] = Table(length, dtype, lanes, others)
    return found


class FourierKernel(KernelSource):
    """A kernel that reads a table of this process: `holds` keeps it, and plans with it are not written to disk."""

    __slots__ = ("holds",)


def fourier_source(dtype: DType, reads: str, writes: str, holds: Table, target) -> FourierKernel:
    """buffers: operand, result, memory to work in. reads: "complex", "real", "half" or "planes"; "+" for neighbouring columns.

    writes: "complex" or "real" ("+" too), or "planes": rotated, real and imaginary parts apart.
    """

    def emit(module: Module, name: str) -> None:
        Writer(module, name, dtype, reads, writes, target).write()

    text = f"fourier {dtype.name} {reads} {writes}"
    kernel = FourierKernel(text, text, emit)
    kernel.holds = holds
    return kernel


def lanes_of(dtype: DType, target) -> int:
    return target.vector_bytes // dtype.itemsize


class Writer:
    """Writes the kernel: `re` and `im` are vectors of one lane per transform."""

    def __init__(self, module: Module, name: str, dtype: DType, reads: str, writes: str, target):
        self.b = Builder(module, name, attributes=target.attributes)
        self.element = storage_type(dtype)
        self.lanes = lanes_of(dtype, target)
        self.type = vector(self.element, self.lanes)
        self.index = vector("i64", self.lanes)
        self.reads, self.writes, self.target = reads, writes, target
        self.p = {name: self.b.parameter(i) for i, name in enumerate(PARAMETERS)}

    # -- vectors
    def op(self, name: str, x: str, y: str) -> str:
        return self.b.value(f"{name} {self.type} {x}, {y}")

    def fma(self, x: str, y: str, z: str) -> str:
        if self.target.has_fma:
            return self.b.fma(x, y, z, self.type)
        return self.op("fadd", self.op("fmul", x, y), z)

    def negative(self, x: str) -> str:
        return self.b.value(f"fneg {self.type} {x}")

    def constant(self, value: float) -> str:
        return f"splat ({self.element} {float_literal(value, self.element)})"

    def plus(self, x: tuple, y: tuple) -> tuple:
        return self.op("fadd", x[0], y[0]), self.op("fadd", x[1], y[1])

    def minus(self, x: tuple, y: tuple) -> tuple:
        return self.op("fsub", x[0], y[0]), self.op("fsub", x[1], y[1])

    def times(self, x: tuple, w: tuple) -> tuple:
        re = self.fma(x[0], w[0], self.negative(self.op("fmul", x[1], w[1])))
        return re, self.fma(x[0], w[1], self.op("fmul", x[1], w[0]))

    def steps(self, stride: str) -> str:
        """lane * stride."""
        steps = "<" + ", ".join(f"i64 {i}" for i in range(self.lanes)) + ">"
        return self.b.value(f"mul {self.index} {self.b.splat(stride, 'i64', self.lanes)}, {steps}")

    def places(self, base: str, offsets: str, scale: int = 1) -> str:
        if scale == 2:
            offsets = self.b.value(f"shl {self.index} {offsets}, splat (i64 1)")
        return self.b.value(f"getelementptr {self.element}, ptr {base}, {self.index} {offsets}")

    # -- memory
    def read(self, at: str, plane: str) -> tuple:
        b = self.b
        return b.load(self.type, b.offset(at, "0", self.element), 4), b.load(
            self.type, b.offset(at, plane, self.element), 4
        )

    def put(self, value: tuple, at: str, plane: str) -> None:
        b = self.b
        b.store(self.type, value[0], at, 4)
        b.store(self.type, value[1], b.offset(at, plane, self.element), 4)

    def write(self) -> None:
        b, p, lanes = self.b, self.p, self.lanes
        operand, result, memory = (b.buffer(i) for i in range(3))
        passes, turns, rotations = (
            b.value(f"inttoptr i64 {p[name]} to ptr") for name in ("passes", "turns", "rotations")
        )
        plane = b.mul(p["length"], str(lanes))
        slot = b.mul(b.udiv("%begin", p["grain"]), p["slot"])
        first = b.offset(memory, slot, self.element)
        second = b.offset(first, b.mul(plane, "2"), self.element)
        zero = "zeroinitializer"
        with b.loop("%begin", "%end", hint="block") as block:
            row = b.udiv(block.i, p["blocks"])
            group = b.urem(block.i, p["blocks"])
            column = b.mul(group, str(lanes))
            count = b.min(b.sub(p["columns"], column), str(lanes))

            def load(mask: str | None, wide: str | None) -> None:
                with b.loop("0", p["length"], hint="load") as loop:
                    at = b.add(b.mul(row, p["in_row"]), b.mul(column, p["in_column"]))
                    if self.reads != "half":
                        at = b.add(at, b.mul(loop.i, p["in_j"]))
                    self.put(self.loaded(operand, at, column, loop.i, mask, wide, zero),
                             b.offset(first, b.mul(loop.i, str(lanes)), self.element), plane)  # fmt: skip

            self.twice(count, load)
            with b.loop("0", p["count"], carried=[("ptr", first), ("ptr", second)], hint="pass") as turn:
                step = b.offset(passes, b.mul(turn.i, "4"), "i64")
                radix, groups, stride, begin = (b.load("i64", b.offset(step, k, "i64"), 8) for k in range(4))
                table = b.offset(turns, begin, self.element)
                for r in RADICES:
                    with b.when(b.compare("eq", radix, r), f"radix{r}"):
                        self.one_pass(r, groups, stride, table, turn.values[0], turn.values[1], plane)
                turn.next(turn.values[1], turn.values[0])
            done = turn.results[0]
            scale = b.value(f"bitcast i64 {p['scale']} to double")
            if self.element == "float":
                scale = b.value(f"fptrunc double {scale} to float")
            scale = b.splat(scale, self.element, lanes)

            def store(mask: str | None, wide: str | None) -> None:
                with b.loop("0", p["kept"], hint="store") as loop:
                    value = self.read(b.offset(done, b.mul(loop.i, str(lanes)), self.element), plane)
                    if self.writes == "planes":
                        at = b.mul(b.add(b.mul(group, p["length"]), loop.i), str(2 * lanes))
                        turned = b.offset(rotations, at, self.element)
                        w = b.load(self.type, turned, 4), b.load(self.type, b.offset(turned, lanes, self.element), 4)
                        value = self.times(value, w)
                    else:
                        value = self.op("fmul", value[0], scale), self.op("fmul", value[1], scale)
                    at = b.add(b.mul(row, p["out_row"]), b.mul(column, p["out_column"]))
                    at = b.add(at, b.mul(loop.i, p["out_j"]))
                    self.stored(result, at, column, loop.i, value, mask, wide)

            self.twice(count, store)
        b.finish()

    def twice(self, count: str, body) -> None:
        """body for whole vectors, and for `count` lanes."""
        b = self.b
        yes, no, done = b.new_label("whole"), b.new_label("part"), b.new_label("done")
        b.branch_if(b.compare("eq", count, self.lanes), yes, no)
        b.label(yes)
        body(None, None)
        b.branch(done)
        b.label(no)
        body(b.lane_mask(count, self.lanes), b.lane_mask(b.mul(count, "2"), 2 * self.lanes))
        b.branch(done)
        b.label(done)

    def loaded(self, operand, at, column, j, mask, wide, zero) -> tuple:
        b, p, lanes, e = self.b, self.p, self.lanes, self.element
        kind, near = self.reads.rstrip("+"), self.reads.endswith("+")
        if kind == "half":  # element `whole` of the full spectrum: beyond the middle the conjugate of its mirror image
            along = b.splat(p["full_lane"], "i64", lanes)
            along = b.value(f"mul {self.index} {along}, {self.shifted(column)}")
            whole = b.value(f"add {self.index} {along}, {b.splat(b.mul(j, p['full_j']), 'i64', lanes)}")
            full = b.splat(p["full"], "i64", lanes)
            mirror = b.value(f"sub {self.index} {full}, {whole}")
            below = b.value(f"icmp sle {self.index} {whole}, {mirror}")
            bits = f"<{lanes} x i1>"
            chosen = b.value(f"select {bits} {below}, {self.index} {whole}, {self.index} {mirror}")
            offsets = b.value(f"mul {self.index} {chosen}, {b.splat(p['in_j'], 'i64', lanes)}")
            offsets = b.value(f"add {self.index} {offsets}, {b.splat(at, 'i64', lanes)}")
            offsets = b.value(f"add {self.index} {offsets}, {self.steps(p['in_column'])}")
            re = b.gather(e, lanes, self.places(operand, offsets, 2), mask, 4)
            im = b.gather(e, lanes, self.places(b.offset(operand, "1", e), offsets, 2), mask, 4)
            im = b.value(f"select {bits} {below}, {self.type} {im}, {self.type} {self.negative(im)}")
            real = b.value(f"icmp eq {self.index} {whole}, {mirror}")
            real = b.value(f"or {bits} {real}, {b.value(f'icmp eq {self.index} {whole}, zeroinitializer')}")
            im = b.value(f"select {bits} {real}, {self.type} zeroinitializer, {self.type} {im}")
            backward = b.splat(b.compare("eq", p["swap_in"], 1), "i1", lanes)
            return (b.value(f"select {bits} {backward}, {self.type} {im}, {self.type} {re}"),
                    b.value(f"select {bits} {backward}, {self.type} {re}, {self.type} {im}"))  # fmt: skip
        if kind == "planes":
            places = [b.offset(operand, at, e), b.offset(operand, b.add(at, p["in_plane"]), e)]
            return tuple(self.near(x, mask) for x in places)  # type: ignore[return-value]
        if kind == "real":
            base = b.offset(operand, at, e)
            if near:
                return self.near(base, mask), zero
            return b.gather(e, lanes, self.places(base, self.steps(p["in_column"])), mask, 4), zero
        base = b.offset(operand, b.mul(at, "2"), e)
        if not near:
            steps = self.steps(p["in_column"])
            parts = []
            for k in (0, 1):
                part = b.value(f"xor i64 {p['swap_in']}, {k}")
                parts.append(b.gather(e, lanes, self.places(b.offset(base, part, e), steps, 2), mask, 4))
            return parts[0], parts[1]
        double = vector(e, 2 * lanes)
        both = b.load(double, base, 4) if wide is None else b.masked_load(e, 2 * lanes, base, wide, 4)
        parts = [b.value(f"shufflevector {double} {both}, {double} poison, "
                         f"{lane_order(list(range(k, 2 * lanes, 2)))}") for k in (0, 1)]  # fmt: skip
        return self.swapped(parts[0], parts[1], p["swap_in"])

    def shifted(self, column: str) -> str:
        """column + lane."""
        return self.b.value(f"add {self.index} {self.b.splat(column, 'i64', self.lanes)}, {self.steps('1')}")

    def swapped(self, x: str, y: str, swap: str) -> tuple:
        b = self.b
        yes = b.compare("eq", swap, 1)
        return b.select(yes, self.type, y, x), b.select(yes, self.type, x, y)

    def near(self, pointer: str, mask: str | None) -> str:
        if mask is None:
            return self.b.load(self.type, pointer, 4)
        return self.b.masked_load(self.element, self.lanes, pointer, mask, 4)

    def stored(self, result, at, column, k, value, mask, wide) -> None:
        b, p, lanes, e = self.b, self.p, self.lanes, self.element
        kind, near = self.writes.rstrip("+"), self.writes.endswith("+")
        if kind == "planes":
            steps = self.steps(p["out_column"])
            for part, plane in zip(value, ("0", p["out_plane"])):
                b.scatter(e, lanes, part, self.places(b.offset(result, b.add(at, plane), e), steps), mask, 4)
            return
        value = self.swapped(value[0], value[1], p["swap_out"])
        if kind == "real":
            base = b.offset(result, at, e)
            if not near:
                b.scatter(e, lanes, value[0], self.places(base, self.steps(p["out_column"])), mask, 4)
            elif mask is None:
                b.store(self.type, value[0], base, 4)
            else:
                b.masked_store(e, lanes, value[0], base, mask, 4)
            return
        base = b.offset(result, b.mul(at, "2"), e)
        if not near:
            steps = self.steps(p["out_column"])
            for number, part in enumerate(value):
                b.scatter(e, lanes, part, self.places(b.offset(base, number, e), steps, 2), mask, 4)
            return
        double = vector(e, 2 * lanes)
        order = [i // 2 + i % 2 * lanes for i in range(2 * lanes)]
        both = b.value(f"shufflevector {self.type} {value[0]}, {self.type} {value[1]}, {lane_order(order)}")
        # of a spectrum that ends in its middle, what lies beyond is left out
        valid = b.sub(p["limit"], b.add(b.mul(k, p["out_j"]), b.mul(column, p["out_column"])))
        whole = b.compare("sge", valid, lanes)
        yes, no, done = b.new_label("all"), b.new_label("some"), b.new_label("stored")
        if wide is None:
            b.branch_if(whole, yes, no)
            b.label(yes)
            b.store(double, both, base, 4)
            b.branch(done)
            b.label(no)
        some = b.lane_mask(b.mul(b.max(b.min(valid, lanes), 0), "2"), 2 * lanes)
        if wide is not None:
            some = b.value(f"and <{2 * lanes} x i1> {some}, {wide}")
        b.masked_store(e, 2 * lanes, both, base, some, 4)
        if wide is None:
            b.branch(done)
            b.label(done)

    # -- arithmetic
    def one_pass(self, r: int, groups: str, stride: str, table: str, source: str, into: str, plane: str) -> None:
        """into[q + stride * (r * p + k)] = turn(p k) * sum over j of source[q + stride * (p + groups * j)] * w ** (j k)."""
        b, lanes, e = self.b, self.lanes, self.element
        apart = b.mul(b.mul(stride, groups), str(lanes))
        with b.loop("0", groups, hint="group") as group:
            mine = b.offset(table, b.mul(group.i, str(2 * (r - 1))), e)
            turns = []
            for k in range(2 * (r - 1)):
                turns.append(b.splat(b.load(e, b.offset(mine, k, e), 4), e, lanes))
            rows = b.mul(group.i, stride)
            with b.loop("0", stride, hint="column") as loop:
                at = b.mul(b.add(loop.i, rows), str(lanes))
                x = [self.read(b.offset(source, b.add(at, b.mul(apart, str(j))), e), plane) for j in range(r)]
                y = self.butterfly(x)
                to = b.add(loop.i, b.mul(rows, str(r)))
                for k in range(r):
                    value = y[k] if k == 0 else self.times(y[k], (turns[2 * k - 2], turns[2 * k - 1]))
                    place = b.mul(b.add(to, b.mul(stride, str(k))), str(lanes))
                    self.put(value, b.offset(into, place, e), plane)

    def butterfly(self, x: list) -> list:
        """The transform of a few elements."""
        r = len(x)
        if r == 2:
            return [self.plus(x[0], x[1]), self.minus(x[0], x[1])]
        if r == 4:
            even, odd = (self.plus(x[0], x[2]), self.minus(x[0], x[2])), (self.plus(x[1], x[3]), self.minus(x[1], x[3]))
            (re, im), (other_re, other_im) = even[1], odd[1]  # the latter times -i
            return [
                self.plus(even[0], odd[0]), (self.op("fadd", re, other_im), self.op("fsub", im, other_re)),
                self.minus(even[0], odd[0]), (self.op("fsub", re, other_im), self.op("fadd", im, other_re)),
            ]  # fmt: skip
        half = (r - 1) // 2
        sums = [self.plus(x[j], x[r - j]) for j in range(1, half + 1)]
        differences = [self.minus(x[j], x[r - j]) for j in range(1, half + 1)]
        total = x[0]
        for s in sums:
            total = self.plus(total, s)
        y = [total] + [total] * (r - 1)
        for k in range(1, half + 1):
            re, im = x[0]
            u = v = None  # the sines' part of the real and of the imaginary result
            for j in range(1, half + 1):
                c = self.constant(math.cos(2 * math.pi * (j * k % r) / r))
                s = self.constant(math.sin(2 * math.pi * (j * k % r) / r))
                re, im = self.fma(sums[j - 1][0], c, re), self.fma(sums[j - 1][1], c, im)
                d = differences[j - 1]
                u = self.op("fmul", d[1], s) if u is None else self.fma(d[1], s, u)
                v = self.op("fmul", d[0], s) if v is None else self.fma(d[0], s, v)
            y[k] = self.op("fadd", re, u), self.op("fsub", im, v)
            y[r - k] = self.op("fsub", re, u), self.op("fadd", im, v)
        return y
