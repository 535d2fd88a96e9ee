"""Integer operations on vectors: rules (math, values..., signed) -> value. emit.py states what they mean."""

from __future__ import annotations

from collections.abc import Callable

from .vmath_base import _BITS, Math, V


def divide(m: Math, a: V, b: V, signed: bool) -> tuple[V, V]:
    """(a // b, a % b), rounded towards minus infinity; both 0 where b is 0; the smallest number // -1 wraps."""
    zero = b.eq(0)
    if m.lanes > 1 and a.t == "i64" and signed and m.target.name.startswith("x86-64-v4"):
        quotient, rest = _divide_wide(m, a, m.select(zero, 1, b))
        return m.select(zero, 0, quotient), m.select(zero, 0, rest)
    if m.lanes > 1 and a.t != "i64":  # exact: the quotient's error is smaller than its distance from the next integer
        wide = "float" if _BITS[a.t] <= 16 else "double"
        to, back = ("sitofp", True) if signed else ("uitofp", False)
        divisor = m.select(zero, 1, b)
        real = m.convert(to, a, wide) / m.convert(to, divisor, wide)
        quotient = _truncate(m, real, a.t, back)
    else:  # the processor traps on 0 and on overflow
        overflow = b.eq(-1) & a.eq(-(1 << _BITS[a.t] - 1)) if signed else zero
        divisor = m.select(zero | overflow, 1, b)
        quotient = m.value(f"{'sdiv' if signed else 'udiv'} {a.type} {a.r}, {divisor.r}", a.t)
    rest = a - quotient * divisor
    if signed:
        adjust = rest.ne(0) & ((rest ^ divisor) < 0)
        quotient = m.select(adjust, quotient - 1, quotient)
        rest = m.select(adjust, rest + divisor, rest)
    return m.select(zero, 0, quotient), m.select(zero, 0, rest)


def _divide_wide(m: Math, a: V, b: V) -> tuple[V, V]:
    """Signed 64-bit a // b and a % b where vectors convert between int64 and float64: the quotient of the floats, what it
    leaves over (small, so that wrapping does no harm) divided again, and at most one step more."""
    inverse = m.const(1.0, "double") / m.convert("sitofp", b, "double")
    real = m.clamp_high(m.convert("sitofp", a, "double") * inverse, 2.0**63 - 1024)
    first = m.convert("fptosi", m.clamp_low(real, -(2.0**63)), "i64")
    rest = a - first * b
    second = m.convert("fptosi", m.intrinsic("floor", m.convert("sitofp", rest, "double") * inverse), "i64")
    quotient, rest = first + second, rest - second * b
    below = rest.ne(0) & ((rest ^ b) < 0)
    quotient, rest = m.select(below, quotient - 1, quotient), m.select(below, rest + b, rest)
    over = rest - b
    above = rest.ne(0) & (over.eq(0) | ((over ^ b) >= 0))
    return m.select(above, quotient + 1, quotient), m.select(above, over, rest)


def _truncate(m: Math, x: V, t: str, signed: bool) -> V:
    """A float that fits (except for -smallest, which wraps) to an integer, by way of a wider one."""
    if _BITS[t] < 32:
        return m.convert("trunc", m.convert("fptosi", x, "i32"), t)
    if signed:  # 2^31 = smallest // -1 would be poison: saturate just that one and wrap it by hand
        return m.select(x >= 2.0**31, -(1 << 31), m.convert("fptosi", m.clamp_high(x, 2.0**31 - 1), t))
    big = x >= 2.0**31
    low = m.convert("fptosi", m.select(big, x - 2.0**31, x), t)
    return m.select(big, low ^ (-(1 << 31)), low)


def floordiv(m: Math, a: V, b: V, signed: bool) -> V:
    return divide(m, a, b, signed)[0]


def rem(m: Math, a: V, b: V, signed: bool) -> V:
    return divide(m, a, b, signed)[1]


def power(m: Math, base: V, exponent: V, signed: bool) -> V:
    """base ** exponent, wrapping; by squaring, as long as any lane has exponent bits left."""

    def body(values: list[V]) -> tuple[V, list[V]]:
        result, square, rest = values
        result = m.select((rest & 1).ne(0), result * square, result)
        rest = rest.lshr(1)
        return rest.ne(0), [result, square * square, rest]

    one = m.const(1, base.t)
    if not signed:
        return m.loop_while([one, base, exponent], body, exponent.ne(0))[0]
    negative = exponent < 0
    rest = m.select(negative, 0, exponent)
    positive = m.loop_while([one, base, rest], body, rest.ne(0))[0]
    odd = (exponent & 1).ne(0)
    inverse = m.select(
        base.eq(1), one, m.select(base.eq(-1), m.select(odd, m.const(-1, base.t), one), m.const(0, base.t))
    )
    return m.select(negative, inverse, positive)


def greatest_common_divisor(m: Math, a: V, b: V, signed: bool) -> V:
    """The largest divisor of both, not negative; gcd(0, 0) is 0 (Euclid)."""

    def body(values: list[V]) -> tuple[V, list[V]]:
        x, y = values
        done = y.eq(0)
        rest = rem(m, x, y, False)
        return rest.ne(0), [m.select(done, x, y), rest]

    a, b = absolute(m, a, signed), absolute(m, b, signed)
    return m.loop_while([a, b], body, b.ne(0))[0]


def shift_left(m: Math, x: V, by: V, signed: bool) -> V:
    bits = _BITS[x.t]
    inside = by.below(bits)
    return m.select(inside, x << m.select(inside, by, 0), 0)


def shift_right(m: Math, x: V, by: V, signed: bool) -> V:
    bits = _BITS[x.t]
    inside = by.below(bits)
    if signed:
        return x >> m.select(inside, by, bits - 1)
    return m.select(inside, x.lshr(m.select(inside, by, 0)), 0)


def multiply_high(m: Math, a: V, b: V, signed: bool) -> V:
    bits = _BITS[a.t]
    double = f"i{2 * bits}"
    extend = "sext" if signed else "zext"
    wide = m.convert(extend, a, double) * m.convert(extend, b, double)
    return m.convert("trunc", m.value(f"lshr {wide.type} {wide.r}, {m.const(bits, double).r}", double), a.t)


def _compare(signed_predicate: str, unsigned_predicate: str) -> Callable:
    def rule(m: Math, a: V, b: V, signed: bool) -> V:
        return m.value(f"icmp {signed_predicate if signed else unsigned_predicate} {a.type} {a.r}, {b.r}", "i1")

    return rule


def _extremum(name: str) -> Callable:
    def rule(m: Math, a: V, b: V, signed: bool) -> V:
        return m.intrinsic(("s" if signed else "u") + name, a, b)

    return rule


def _plain(name: str) -> Callable:
    def rule(m: Math, *args: V) -> V:
        return getattr(args[0], name)(*args[1:-1])

    return rule


def absolute(m: Math, x: V, signed: bool) -> V:
    return m.select(x < 0, -x, x) if signed else x


def sign(m: Math, x: V, signed: bool) -> V:
    positive = m.select(x.ne(0), m.const(1, x.t), 0)
    return m.select(x < 0, -1, positive) if signed else positive


def _same(m: Math, x: V, signed: bool) -> V:
    return x


INTEGER: dict[str, Callable] = {
    "add": _plain("__add__"),
    "sub": _plain("__sub__"),
    "mul": _plain("__mul__"),
    "neg": _plain("__neg__"),
    "and": _plain("__and__"),
    "or": _plain("__or__"),
    "xor": _plain("__xor__"),
    "not": _plain("__invert__"),
    "eq": _plain("eq"),
    "ne": _plain("ne"),
    "lt": _compare("slt", "ult"),
    "le": _compare("sle", "ule"),
    "gt": _compare("sgt", "ugt"),
    "ge": _compare("sge", "uge"),
    "min": _extremum("min"),
    "max": _extremum("max"),
    "floordiv": floordiv,
    "rem": rem,
    "pow": power,
    "gcd": greatest_common_divisor,
    "shl": shift_left,
    "shr": shift_right,
    "mulhi": multiply_high,
    "fma": lambda m, a, b, c, signed: a * b + c,
    "abs": absolute,
    "sign": sign,
    "floor": _same,
    "ceil": _same,
    "rint": _same,
    "trunc": _same,
    "conj": _same,
}
