"""What loop kernels need beyond expressions: moving pointers, ragged ends, per-lane indices, work across lanes."""

from __future__ import annotations

from ..base import dtypes as dt
from ..base.dtypes import DType
from .builder import storage_type, vector
from .emit import ExprEmitter, value_type


def lane_order(order: list) -> str:
    """The mask of a shuffle."""
    return f"<{len(order)} x i32> <" + ", ".join(f"i32 {i}" for i in order) + ">"


AHEAD = 1024  # bytes: a twentieth to a sixth less time for updates of millions of parameters, nothing for thousands


class LaneEmitter(ExprEmitter):
    """An ExprEmitter that reads and writes the first `count` lanes where a loop ends raggedly."""

    def __init__(self, builder, lanes, target):
        super().__init__(builder, lanes, target)
        self._masks: dict[tuple, str] = {}
        self.gather_bases: list = []  # base pointers of operands read at computed offsets
        self.ragged = True  # whether a count means fewer than all lanes
        self.valid: str | None = None  # lanes that exist where the expression being emitted is evaluated

    def _one(self, e, args):
        if e.op != "gather":
            return super()._one(e, args)
        base, element = self.gather_bases[e.value], storage_type(e.dtype)
        b = self.builder
        if self.lanes == 1:
            return self._wrap(self.load_element(self.advance(base, args[0].r, e.dtype), e.dtype), e.dtype)
        mask = None if self.valid is None else self.mask(self.valid)
        parts = []
        for part in range(2 if e.dtype.kind == "c" else 1):
            at = args[0].r
            wide = vector("i64", self.lanes)
            if e.dtype.kind == "c":
                at = b.value(f"shl {wide} {at}, splat (i64 1)")
                at = b.value(f"add {wide} {at}, splat (i64 {part})")
            pointers = b.value(f"getelementptr {element}, ptr {base}, {wide} {at}")
            parts.append(b.gather(element, self.lanes, pointers, mask, 1))
        if e.dtype.kind == "b":
            parts = [b.value(f"icmp ne {vector('i8', self.lanes)} {parts[0]}, zeroinitializer")]
        return self._wrap(tuple(parts) if len(parts) > 1 else parts[0], e.dtype)

    def mask(self, count: str) -> str:
        """<lanes x i1> of the first `count` (a register) lanes, computed once per block."""
        key = (count, self.builder.block)
        if key not in self._masks:
            self._masks[key] = self.builder.lane_mask(count, self.lanes)
        return self._masks[key]

    def advance(self, base: str, elements: str, dtype: DType) -> str:
        """`base` moved by a number of elements."""
        if str(elements) == "0":
            return base
        scaled = self.builder.mul(elements, 2) if dtype.kind == "c" else elements
        return self.builder.offset(base, scaled, storage_type(dtype))

    def fetch_ahead(self, base: str, i: str, dtype: DType) -> None:
        """Ask for what a later turn reads: CPUs that compute for long between loads don't look far enough by themselves."""
        ahead = self.advance(base, self.builder.add(i, AHEAD // dtype.itemsize), dtype)
        self.builder.call("void", "llvm.prefetch.p0", ("ptr", ahead), ("i32", "0"), ("i32", "3"), ("i32", "1"))

    def read(self, pointer: str, dtype: DType, count: str | None = None, stride: int | str = 1):
        """Elements at pointer + lane * stride; only the first `count` lanes are touched."""
        mask = None if count is None or self.lanes == 1 or stride in (0, "0") else self.mask(count)
        return self.load_element(pointer, dtype, mask, stride)

    def read_every_second(self, pointer: str, dtype: DType, count: str | None = None) -> str:
        """Elements at pointer + 2 * lane: two vectors, of which the first ends where the second begins, shuffled."""
        b, lanes = self.builder, self.lanes
        if lanes == 1:
            return self.load_element(pointer, dtype)
        element = storage_type(dtype)
        v = vector(element, lanes)
        places = [pointer, b.offset(pointer, lanes - 1, element)]
        if count is None:
            parts = [b.load(v, p, 1) for p in places]
        else:
            reach = b.sub(b.mul(count, 2), 1)
            masks = [self.mask(reach), self.mask(b.sub(reach, lanes - 1))]
            parts = [b.masked_load(element, lanes, p, m, 1) for p, m in zip(places, masks)]
        order = [i if i < lanes else i + 1 for i in range(0, 2 * lanes, 2)]
        value = b.value(f"shufflevector {v} {parts[0]}, {v} {parts[1]}, {lane_order(order)}")
        return b.value(f"icmp ne {v} {value}, zeroinitializer") if dtype.kind == "b" else value

    def write_pair(self, even: str, odd: str, pointer: str, dtype: DType) -> None:
        """even and odd, interleaved, to 2 * lanes elements from pointer on."""
        b, lanes = self.builder, self.lanes
        element = storage_type(dtype)
        v = vector(element, lanes)
        if dtype.kind == "b":
            even, odd = (b.value(f"zext {vector('i1', lanes)} {x} to {v}") for x in (even, odd))
        if lanes == 1:
            b.store(element, even, pointer, 1)
            b.store(element, odd, b.offset(pointer, 1, element), 1)
            return
        for half in (0, 1):
            order = [i // 2 + half * lanes // 2 + i % 2 * lanes for i in range(lanes)]
            part = b.value(f"shufflevector {v} {even}, {v} {odd}, {lane_order(order)}")
            b.store(v, part, b.offset(pointer, half * lanes, element), 1)

    def write(self, value, pointer: str, dtype: DType, count: str | None = None, stride: int | str = 1) -> None:
        """Store the first `count` lanes (None: all) at pointer + lane * stride."""
        if count is None or self.lanes == 1:
            self.store_element(value, pointer, dtype, None, stride)
        elif count == "1" and dtype.kind not in "bc":
            element = value_type(dtype)
            one = self.builder.value(f"extractelement {vector(element, self.lanes)} {value}, i32 0")
            self.builder.store(element, one, pointer, 1)
        elif self.target.name.startswith("x86-64-v4") and dtype.kind != "c":
            self.store_element(value, pointer, dtype, self.mask(count), stride)
        elif self.ragged or stride not in (1, "1"):
            self.write_by_copy(value, pointer, dtype, count, stride)
        else:
            b = self.builder
            whole, part, done = b.new_label("whole"), b.new_label("part"), b.new_label("written")
            b.branch_if(b.compare("eq", count, self.lanes), whole, part)
            b.label(whole)
            self.store_element(value, pointer, dtype)
            b.branch(done)
            b.label(part)
            self.write_by_copy(value, pointer, dtype, count, stride)
            b.branch(done)
            b.label(done)

    def write_by_copy(self, value, pointer: str, dtype: DType, count: str, stride: int | str) -> None:
        """Through the stack, element by element: masked vector stores are slow (or missing) before AVX-512."""
        b = self.builder
        element = storage_type(dtype)
        if dtype.kind == "c":
            element = {"float": "i64", "double": "i128"}[element]
        spill = b.alloca(element, self.lanes)
        self.store_element(value, spill, dtype)
        with b.loop("0", count, hint="spill") as loop:
            one = b.load(element, b.offset(spill, loop.i, element), 4)
            b.store(element, one, b.offset(pointer, b.mul(loop.i, stride), element), 1)

    def iota(self, start: str, stride: str) -> str:
        """int64 lanes start, start + stride, start + 2 stride, ..."""
        b = self.builder
        if self.lanes == 1:
            return str(start)
        wide = vector("i64", self.lanes)
        steps = "<" + ", ".join(f"i64 {i}" for i in range(self.lanes)) + ">"
        scaled = (
            steps if str(stride) == "1" else b.value(f"mul {wide} {b.splat(str(stride), 'i64', self.lanes)}, {steps}")
        )
        return b.value(f"add {wide} {b.splat(str(start), 'i64', self.lanes)}, {scaled}")

    def splat_index(self, position: str) -> str:
        return self.builder.splat(str(position), "i64", self.lanes)

    # -- states carried by loops, as flat lists of registers (a complex value is two)
    def types(self, dtype: DType) -> list:
        """LLVM types that a value of `dtype` is carried in."""
        one = vector(value_type(dtype), self.lanes)
        return [one, one] if dtype.kind == "c" else [one]

    def flatten(self, values: list) -> list:
        flat = []
        for v in values:
            flat.extend(v) if type(v) is tuple else flat.append(v)
        return flat

    def unflatten(self, states: list, flat: list) -> list:
        """The inverse of flatten for values of the dtypes of `states`."""
        rest = iter(flat)
        return [(next(rest), next(rest)) if s.dtype.kind == "c" else next(rest) for s in states]

    def choose_lanes(self, count: str, states: list, new: list, old: list) -> list:
        """`new` in the first `count` lanes, `old` beyond."""
        b, m = self.builder, self.mask(count)
        types = [t for s in states for t in self.types(s.dtype)]
        flat = [
            b.value(f"select <{self.lanes} x i1> {m}, {t} {x}, {t} {y}")
            for t, x, y in zip(types, self.flatten(new), self.flatten(old))
        ]
        return self.unflatten(states, flat)

    def upper(self, type_: str, value: str, width: int) -> str:
        """Lane i gets lane i + width (modulo the lanes)."""
        order = ", ".join(f"i32 {(i + width) % self.lanes}" for i in range(self.lanes))
        return self.builder.value(f"shufflevector {type_} {value}, {type_} poison, <{self.lanes} x i32> <{order}>")

    def first_lane(self, dtype: DType, value):
        """Lane 0 in every lane."""
        if self.lanes == 1:
            return value
        if dtype.kind == "c":
            real = dt.real_of(dtype)
            return self.first_lane(real, value[0]), self.first_lane(real, value[1])
        element = value_type(dtype)
        one = self.builder.value(f"extractelement {vector(element, self.lanes)} {value}, i32 0")
        return self.builder.splat(one, element, self.lanes)
