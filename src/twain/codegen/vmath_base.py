"""Arithmetic on vector registers written as formulas: `V` is a register with operators, `Math` makes and combines them.

Mathematical functions (vmath_exp, vmath_trig, ...) are written on these for any number of lanes (one lane is a scalar)
and for float and double alike. Nothing here may become a call into the C library: what a target lacks is done in
arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .builder import Builder, literal, vector
from .targets import Target

INT_OF = {"float": "i32", "double": "i64"}
FLOAT_OF = {"i32": "float", "i64": "double"}
_BITS = {"i1": 1, "i8": 8, "i16": 16, "i32": 32, "i64": 64, "i128": 128}


class V:
    """A register (or literal) `r` of element type `t`, as many lanes as its Math `m` has.

    Operators follow the element type: floating or (signed) integer arithmetic; `&|^` on integers and masks. Comparisons
    of floats are ordered (false for NaN) and give masks (element type i1); `eq`/`ne` are the methods for `==`/`!=`.
    Plain numbers become constants of the other operand's type.
    """

    __slots__ = ("m", "r", "t")

    def __init__(self, m: Math, r: str, t: str):
        self.m = m
        self.r = r
        self.t = t

    @property
    def type(self) -> str:
        return vector(self.t, self.m.lanes)

    @property
    def is_float(self) -> bool:
        return self.t in INT_OF

    def _op(self, name: str, other: object, swap: bool = False) -> V:
        if type(other) is not V:
            other = self.m.const(other, self.t)
        a, b = (other, self) if swap else (self, other)
        return self.m.value(f"{name} {a.type} {a.r}, {b.r}", self.t)

    def __add__(self, other):
        return self._op("fadd" if self.t in INT_OF else "add", other)

    __radd__ = __add__

    def __sub__(self, other):
        return self._op("fsub" if self.t in INT_OF else "sub", other)

    def __rsub__(self, other):
        return self._op("fsub" if self.t in INT_OF else "sub", other, True)

    def __mul__(self, other):
        return self._op("fmul" if self.t in INT_OF else "mul", other)

    __rmul__ = __mul__

    def __truediv__(self, other):
        return self._op("fdiv", other)

    def __rtruediv__(self, other):
        return self._op("fdiv", other, True)

    def __neg__(self):
        return self.m.value(f"fneg {self.type} {self.r}", self.t) if self.t in INT_OF else 0 - self

    def __and__(self, other):
        return self._op("and", other)

    def __or__(self, other):
        return self._op("or", other)

    def __xor__(self, other):
        return self._op("xor", other)

    def __invert__(self):
        return self._op("xor", True if self.t == "i1" else -1)

    def __lshift__(self, other):
        return self._op("shl", other)

    def __rshift__(self, other):
        """Arithmetic shift; `lshr` is the logical one."""
        return self._op("ashr", other)

    def lshr(self, other) -> V:
        return self._op("lshr", other)

    def _compare(self, fp: str, integer: str, other: object) -> V:
        if type(other) is not V:
            other = self.m.const(other, self.t)
        op = f"fcmp {fp}" if self.t in INT_OF else f"icmp {integer}"
        return self.m.value(f"{op} {self.type} {self.r}, {other.r}", "i1")

    def __lt__(self, other):
        return self._compare("olt", "slt", other)

    def __le__(self, other):
        return self._compare("ole", "sle", other)

    def __gt__(self, other):
        return self._compare("ogt", "sgt", other)

    def __ge__(self, other):
        return self._compare("oge", "sge", other)

    def eq(self, other) -> V:
        return self._compare("oeq", "eq", other)

    def ne(self, other) -> V:
        """Not equal; true for NaN."""
        return self._compare("une", "ne", other)

    def below(self, other) -> V:
        """Unsigned less-than."""
        return self._compare("", "ult", other)

    def is_nan(self) -> V:
        return self.m.value(f"fcmp uno {self.type} {self.r}, {self.r}", "i1")

    # -- conversions
    def bits(self) -> V:
        """A float's bits as an integer of the same size."""
        return self.m.convert("bitcast", self, INT_OF[self.t])

    def as_float(self) -> V:
        """An integer's bits as a float of the same size."""
        return self.m.convert("bitcast", self, FLOAT_OF[self.t])

    def abs(self) -> V:
        return self.m.intrinsic("fabs", self)

    def sign_bit(self) -> V:
        """The bits with everything but the sign cleared."""
        return self.bits() & (-(1 << _BITS[INT_OF[self.t]] - 1))

    def with_sign(self, sign: V) -> V:
        """Flip the sign where `sign` (a sign_bit) is set."""
        return (self.bits() ^ sign).as_float()


# Added to a float of small size, it leaves the nearest integer in the low bits.
MAGIC = {"float": 1.5 * 2.0**23, "double": 1.5 * 2.0**52}


class Math:
    """Makes vectors in `builder`, `lanes` wide, for `target`."""

    __slots__ = ("builder", "lanes", "target")

    def __init__(self, builder: Builder, lanes: int, target: Target):
        self.builder = builder
        self.lanes = lanes
        self.target = target

    def wrap(self, register: str, t: str) -> V:
        return V(self, register, t)

    def value(self, text: str, t: str) -> V:
        return V(self, self.builder.value(text), t)

    def const(self, x: object, t: str) -> V:
        """`x` in every lane. Integers may be given unsigned."""
        if t[0] == "i" and t != "i1":
            bits = _BITS[t]
            x = (int(x) + (1 << bits - 1)) % (1 << bits) - (1 << bits - 1)
        return V(self, literal(x, t, self.lanes), t)

    def convert(self, op: str, x: V, t: str) -> V:
        """An LLVM conversion instruction (bitcast, fpext, sext, ...)."""
        return self.value(f"{op} {x.type} {x.r} to {vector(t, self.lanes)}", t)

    def select(self, condition: V, a: object, b: object) -> V:
        if type(a) is not V:
            a = self.const(a, b.t)
        elif type(b) is not V:
            b = self.const(b, a.t)
        return self.value(f"select {condition.type} {condition.r}, {a.type} {a.r}, {b.type} {b.r}", a.t)

    def intrinsic(self, name: str, *args: V) -> V:
        """llvm.<name> with arguments and result of one type."""
        return V(self, self.builder.intrinsic(name, args[0].type, *[a.r for a in args]), args[0].t)

    def convert_saturating(self, x: V, t: str, signed: bool) -> V:
        """Float to integer: truncates, saturates, NaN gives 0. By comparisons: LLVM's own form takes lanes one by one."""
        bits = _BITS[t]
        low, end = (-(1 << bits - 1), 1 << bits - 1) if signed else (0, 1 << bits)
        if bits < (32 if x.t == "float" else 64):  # both ends are floats
            x = self.select(x.eq(x), x, 0.0)
            x = self.clamp_low(self.clamp_high(x, float(end - 1)), float(low))
            if bits == 32:
                return self.convert("fptosi" if signed else "fptoui", x, t)
            return self.convert("trunc", self.convert("fptosi", x, "i32"), t)
        above = x >= float(end)
        inside = (x >= float(low)) & (x < float(end))
        whole = self.convert("fptosi" if signed else "fptoui", self.select(inside, x, 0.0), t)
        whole = self.select(above, end - 1, whole)
        return self.select(x < float(low), low, whole) if signed else whole

    # -- float arithmetic
    def fma(self, a: V, b: object, c: object) -> V:
        """a*b + c, rounded once where the target can, twice elsewhere: for sums in which that does no harm."""
        if type(b) is not V:
            b = self.const(b, a.t)
        if type(c) is not V:
            c = self.const(c, a.t)
        return self.intrinsic("fma", a, b, c) if self.target.has_fma else a * b + c

    def exact_fma(self, a: V, b: object, c: object) -> V:
        """a*b + c with the product exact: for sums that cancel.

        Without hardware fma, float32 goes through float64, and float64 (a product of two parts) may be off by one ulp.
        """
        if type(b) is not V:
            b = self.const(b, a.t)
        if type(c) is not V:
            c = self.const(c, a.t)
        if self.target.has_fma:
            return self.intrinsic("fma", a, b, c)
        if a.t == "float":
            return self.to_float(self.to_double(a) * self.to_double(b) + self.to_double(c))
        high, low = self.two_product(a, b)
        total, rest = self.two_sum(high, c)
        return total + (rest + low)

    def two_sum(self, a: V, b: V) -> tuple[V, V]:
        """a + b as (rounded sum, its error), any magnitudes (Knuth)."""
        total = a + b
        part = total - a
        return total, (a - (total - part)) + (b - part)

    def fast_two_sum(self, a: V, b: V) -> tuple[V, V]:
        """The same for |a| >= |b| (Dekker)."""
        total = a + b
        return total, b - (total - a)

    def two_product(self, a: V, b: V) -> tuple[V, V]:
        """a * b as (rounded product, its error); no overflow checks."""
        product = a * b
        if self.target.has_fma:
            return product, self.intrinsic("fma", a, b, -product)
        if a.t == "float":
            return product, self.to_float(self.to_double(a) * self.to_double(b) - self.to_double(product))
        (ah, al), (bh, bl) = self.split(a), self.split(b)
        return product, ((ah * bh - product) + ah * bl + al * bh) + al * bl

    def split(self, a: V) -> tuple[V, V]:
        """a as a sum of two numbers of half the precision (bits cut off, so nothing overflows)."""
        keep = -(1 << 12) if a.t == "float" else -(1 << 27)
        high = (a.bits() & keep).as_float()
        return high, a - high

    def sqrt(self, x: V) -> V:
        return self.intrinsic("sqrt", x)

    def rsqrt_estimate(self, x: V) -> V | None:
        """1 / sqrt(x) to 14 bits, and right for zeros, infinities and NaN, where the machine has that for 16 floats."""
        if not (self.target.has_avx512 and x.t == "float" and self.lanes == 16):
            return None
        every = ("i16", "-1")
        called = self.builder.call(x.type, "llvm.x86.avx512.rsqrt14.ps.512", (x.type, x.r), (x.type, x.r), every)
        return V(self, called, x.t)

    def to_double(self, x: V) -> V:
        return x if x.t == "double" else self.convert("fpext", x, "double")

    def to_float(self, x: V) -> V:
        return x if x.t == "float" else self.convert("fptrunc", x, "float")

    def polynomial(self, x: V, coefficients: Sequence[float]) -> V:
        """c[0] + c[1] x + c[2] x^2 + ... by Horner's rule; long ones as even and odd part, which run side by side."""
        if len(coefficients) < 9:
            return self._horner(x, coefficients)
        square = x * x
        return self.fma(self._horner(square, coefficients[1::2]), x, self._horner(square, coefficients[::2]))

    def _horner(self, x: V, coefficients: Sequence[float]) -> V:
        result = self.const(coefficients[-1], x.t)
        for c in coefficients[-2::-1]:
            result = self.fma(result, x, c)
        return result

    def clamp_high(self, x: V, high: float) -> V:
        """min(x, high); NaN stays NaN."""
        return self.select(x > high, high, x)

    def clamp_low(self, x: V, low: float) -> V:
        return self.select(x < low, low, x)

    def copysign(self, x: V, sign: V) -> V:
        return self.intrinsic("copysign", x, sign)

    def round_to_int(self, x: V, scale: float) -> tuple[V, V]:
        """(n, bits): n = x * scale rounded to an integer as a float, bits = n modulo 2^20 or more in the low bits of an
        integer. Only for |n| < 2^22 (float) or 2^51 (double); needs no conversion instruction."""
        magic = MAGIC[x.t]
        shifted = self.fma(x, scale, magic) if scale != 1.0 else x + magic
        return shifted - magic, shifted.bits()

    def power_of_two(self, n: V) -> V:
        """2^n as a float of n's size; n an integer within the exponent range (bits beyond it are ignored)."""
        mantissa, bias = (23, 127) if n.t == "i32" else (52, 1023)
        return ((n << mantissa) + (bias << mantissa)).as_float()

    def scale_by_power(self, x: V, n: V) -> V:
        """x * 2^n in two steps, so that subnormal results are right; |n| up to twice the exponent range. n: the bits of
        round_to_int (which are positive)."""
        if self.target.has_avx512 and self.lanes * _BITS[n.t] == 512:
            power = n.as_float() - MAGIC[x.t]
            kind, mask = ("ps", "i16") if x.t == "float" else ("pd", "i8")
            values = [(v.type, v.r) for v in (x, power, x)]
            # every lane, rounding as set
            name = f"llvm.x86.avx512.mask.scalef.{kind}.512"
            return V(self, self.builder.call(x.type, name, *values, (mask, "-1"), ("i32", "4")), x.t)
        half = n.lshr(1)
        return x * self.power_of_two(half) * self.power_of_two(n - half)

    # -- rounding to integral values
    def rint(self, x: V) -> V:
        if self.target.has_round:
            return self.intrinsic("rint", x)
        big = 2.0**23 if x.t == "float" else 2.0**52
        a = x.abs()
        return self.select(a < big, self.copysign((a + big) - big, x), x)

    def floor(self, x: V) -> V:
        if self.target.has_round:
            return self.intrinsic("floor", x)
        r = self.rint(x)
        return self.copysign(r - self.select(r > x, self.const(1.0, x.t), 0.0), x)

    def ceil(self, x: V) -> V:
        if self.target.has_round:
            return self.intrinsic("ceil", x)
        r = self.rint(x)
        return self.copysign(r + self.select(r < x, self.const(1.0, x.t), 0.0), x)

    def trunc(self, x: V) -> V:
        if self.target.has_round:
            return self.intrinsic("trunc", x)
        a = x.abs()
        r = self.rint(a)
        return self.copysign(r - self.select(r > a, self.const(1.0, x.t), 0.0), x)

    # -- control
    def any(self, mask: V) -> str:
        """i1: whether any lane of the mask is set."""
        if self.lanes == 1:
            return mask.r
        return self.builder.call("i1", f"llvm.vector.reduce.or.v{self.lanes}i1", (mask.type, mask.r))

    def if_any(self, mask: V, otherwise: Sequence[V], slow: Callable[[], Sequence[V]]) -> list[V]:
        """`slow()` if any lane of the mask is set (it must serve all lanes), else `otherwise`."""
        b = self.builder
        before, rare, done = b.block, b.new_label("rare"), b.new_label("rare_end")
        b.branch_if(self.any(mask), rare, done)
        b.label(rare)
        results = slow()
        end = b.block
        b.branch(done)
        b.label(done)
        return [
            self.value(f"phi {v.type} [ {v.r}, %{before} ], [ {w.r}, %{end} ]", v.t)
            for v, w in zip(otherwise, results, strict=True)
        ]

    def loop_while(self, carried: Sequence[V], body: Callable[[list[V]], tuple[V, list[V]]], again: V) -> list[V]:
        """Repeat `body`: values -> (mask of lanes that want more, new values), while any lane wants more.

        `again` is the mask before the first round. The body must leave lanes alone that are done.
        """
        b = self.builder
        before, head, done = b.block, b.new_label("while"), b.new_label("while_end")
        b.branch_if(self.any(again), head, done)
        b.label(head)
        names = [b.fresh() for _ in carried]
        patch = len(b.lines)
        b.lines.extend([""] * len(carried))
        more, new = body([V(self, n, v.t) for n, v in zip(names, carried, strict=True)])
        flag = self.any(more)
        latch = b.block
        b.branch_if(flag, head, done)
        for k, (v, w) in enumerate(zip(carried, new, strict=True)):
            b.lines[patch + k] = f"  {names[k]} = phi {v.type} [ {v.r}, %{before} ], [ {w.r}, %{latch} ]"
        b.label(done)
        return [
            self.value(f"phi {v.type} [ {v.r}, %{before} ], [ {w.r}, %{latch} ]", v.t)
            for v, w in zip(carried, new, strict=True)
        ]

    # -- lanes one by one
    def each_lane(self, function: Callable[..., Sequence[V]], *args: V) -> list[V]:
        """Apply a scalar function (of a one-lane Math's values) lane by lane, unrolled."""
        scalar = Math(self.builder, 1, self.target)
        if self.lanes == 1:
            return [V(self, v.r, v.t) for v in function(*[V(scalar, a.r, a.t) for a in args])]
        results: list[V] = []
        for lane in range(self.lanes):
            one = function(*[
                scalar.value(f"extractelement {a.type} {a.r}, i32 {lane}", a.t) for a in args
            ])  # fmt: skip
            if not results:
                results = [V(self, "poison", v.t) for v in one]
            results = [
                self.value(f"insertelement {w.type} {w.r}, {v.t} {v.r}, i32 {lane}", v.t)
                for w, v in zip(results, one, strict=True)
            ]
        return results
