"""Trigonometric functions on vectors.

Angles reduce to x = k pi/2 + r, |r| <= pi/4 (Cody and Waite with fused multiply-add: exact products); arguments too
large for that take a rare branch, a scalar reduction after Payne and Hanek, which multiplies by those bits of 2/pi that
matter.
"""

from __future__ import annotations

from . import vmath_coefficients as c
from .builder import Builder
from .vmath_base import Math, V

INFINITY = float("inf")
NAN = float("nan")
TWO_OVER_PI = 0.6366197723675814
TAN_PI_8 = 0.4142135623730951
# pi/2 in parts that add up; each is cut off towards zero, so that no product turns the sign of a zero.
HALF_PI_PARTS = {
    "float": (1.570796251296997, 7.549789415861596e-08, 5.390302529957765e-15),
    "double": (1.5707963267948966, 6.123233995736765e-17, 1.0828566739219139e-32),
}
HALF_PI = (1.5707963267948966, 6.123233995736766e-17)
# Up to here k is exact enough that |r| stays within the polynomials' interval.
REDUCTION_LIMIT = {"float": 2.0**16, "double": 2.0**28}

# 64 zero bits, then 2/pi = 0.101000101111..., enough for the largest double
_WORDS = (
    0x0000000000000000,
    0xA2F9836E4E441529,
    0xFC2757D1F534DDC0,
    0xDB6295993C439041,
    0xFE5163ABDEBBC561,
    0xB7246E3A424DD2E0,
    0x06492EEA09D1921C,
    0xFE1DEB1CB129A73E,
    0xE88235F52EBB4484,
    0xE99C7026B45F7E41,
    0x3991D639835339F4,
    0x9C845F8BBDF9283B,
    0x1FF897FFDE05980F,
    0xEF2F118B5A0A6D1F,
    0x6D367ECF27CB09B7,
    0x4F463F669E5FEA2D,
    0x7527BAC7EBE5F17B,
    0x3D0739F78A5292EA,
    0x6BFB5FB11F8D5D08,
    0x56033046FC7B6BAB,
)


def _reduce(m: Math, x: V) -> tuple[V, V, V]:
    """(q, r, r_low) for x >= 0: x = k pi/2 + r + r_low, q is k modulo 4 in its low bits (an integer of x's size).
    r_low is zero in float32."""
    parts = HALF_PI_PARTS[x.t]
    bounded = m.select(x > REDUCTION_LIMIT[x.t], 1.0, x)
    k, q = m.round_to_int(bounded, TWO_OVER_PI)
    if x.t == "float":
        r = bounded
        for part in parts:
            r = m.exact_fma(k, -part, r)
        low = m.const(0.0, "float")
    else:
        a = m.exact_fma(k, -parts[0], bounded)
        product, error = m.two_product(k, m.const(parts[1], "double"))
        r, rest = m.two_sum(a, -product)
        low = rest - m.fma(k, parts[2], error)
        r, low = m.fast_two_sum(r, low)
    # inf and NaN count as large: their remainder is NaN
    large = m.value(f"fcmp ugt {x.type} {x.r}, {m.const(REDUCTION_LIMIT[x.t], x.t).r}", "i1")

    def slow() -> list[V]:
        slow_q, slow_r, slow_low = _reduce_large(m, x)
        chosen = [m.select(large, slow_q, q), m.select(large, slow_r, r)]
        return chosen if x.t == "float" else [*chosen, m.select(large, slow_low, low)]

    results = m.if_any(large, [q, r] if x.t == "float" else [q, r, low], slow)
    return results[0], results[1], low if x.t == "float" else results[2]


def _reduce_large(m: Math, x: V) -> tuple[V, V, V]:
    """_reduce for large x, lane by lane in an out-of-line function that works on memory."""
    b = m.builder
    name = _payne_hanek(m)
    vectors = [b.alloca("i64", m.lanes) for _ in range(3)]
    b.store(m.to_double(x).type, m.to_double(x).r, vectors[1], 8)
    b.do(f"call void @{name}(ptr {vectors[0]}, ptr {vectors[1]}, ptr {vectors[2]}, i64 {m.lanes})")
    wide = m.const(0, "i64").type
    q = m.wrap(b.load(wide, vectors[0], 8), "i64")
    r = m.wrap(b.load(m.const(0.0, "double").type, vectors[1], 8), "double")
    low = m.wrap(b.load(m.const(0.0, "double").type, vectors[2], 8), "double")
    if x.t == "float":
        return m.convert("trunc", q, "i32"), m.to_float(r), m.const(0.0, "float")
    return q, r, low


def _payne_hanek(m: Math) -> str:
    """The module's function `void (ptr q, ptr x_and_r, ptr low, i64 count)`: one reduction per element."""
    module = m.builder.module
    name = "reduce_large_angle"
    if name in module.helpers:
        return name
    module.helpers.add(name)
    arguments = (("ptr", "q"), ("ptr", "x"), ("ptr", "low"), ("i64", "count"))
    b = Builder(module, name, arguments, m.target.attributes + " noinline cold")
    table = module.constant(
        f"[{len(_WORDS)} x i64]", "[" + ", ".join(f"i64 {w - (1 << 64) * (w >> 63)}" for w in _WORDS) + "]"
    )
    s = Math(b, 1, m.target)

    def wide(v: V) -> V:
        return s.convert("zext", v, "i128")

    with b.loop("0", "%count") as loop:
        address = b.offset("%x", loop.i, "double")
        x = s.wrap(b.load("double", address, 8), "double")
        bits = x.bits()
        # x = mantissa 2^exponent; smaller ones come along with large ones and are not looked at
        exponent = (bits.lshr(52) & 0x7FF) - 1075
        exponent = s.select(exponent < -40, -40, exponent)
        mantissa = (bits & ((1 << 52) - 1)) | (1 << 52)
        # The first bit of 2/pi that matters: before it only multiples of 4 come out.
        position = exponent + 62
        word, shift = position.lshr(6), position & 63
        w = [
            s.wrap(b.load("i64", b.offset(table, b.add(word.r, k), "i64"), 8), "i64") for k in range(4)
        ]  # fmt: skip
        window = [s.intrinsic("fshl", w[k], w[k + 1], shift) for k in range(3)]
        product = wide(mantissa) * wide(window[2])
        carry = s.convert("trunc", s.value(f"lshr i128 {product.r}, 64", "i128"), "i64")
        middle = wide(mantissa) * wide(window[1]) + wide(carry)
        top = s.value(f"shl i128 {wide(mantissa * window[0]).r}, 64", "i128")
        fixed = middle + top  # x * 2/pi modulo 4, in units of 2^-126
        quadrant = s.convert("trunc", s.value(f"lshr i128 {fixed.r}, 126", "i128"), "i64")
        fraction = s.value(f"shl i128 {fixed.r}, 2", "i128")  # signed: nearest multiple
        negative = fraction < 0
        quadrant = quadrant + s.convert("zext", negative, "i64")
        magnitude = s.select(negative, s.value(f"sub i128 0, {fraction.r}", "i128"), fraction)
        zeros = s.wrap(b.call("i128", "llvm.ctlz.i128", ("i128", magnitude.r), ("i1", "false")), "i128")
        zeros = s.value(f"and i128 {zeros.r}, 127", "i128")
        normal = s.value(f"shl i128 {magnitude.r}, {zeros.r}", "i128")
        parts = []
        for drop in (75, 22):  # the leading 53 bits and the next 53
            piece = s.convert("trunc", s.value(f"lshr i128 {normal.r}, {drop}", "i128"), "i64") & ((1 << 53) - 1)
            scale = s.power_of_two(s.const(drop - 128, "i64") - s.convert("trunc", zeros, "i64"))
            parts.append(s.convert("sitofp", piece, "double") * scale)
        sign = s.select(negative, s.const(-1.0, "double"), 1.0)
        high, rest = s.two_product(parts[0], s.const(HALF_PI[0], "double"))
        rest = rest + s.fma(parts[0], HALF_PI[1], parts[1] * HALF_PI[0])
        high, rest = s.fast_two_sum(high, rest)
        # inf and NaN: NaN
        high = s.select(x.abs() < INFINITY, high * sign, NAN)
        b.store("i64", quadrant.r, b.offset("%q", loop.i, "i64"), 8)
        b.store("double", high.r, address, 8)
        b.store("double", (rest * sign).r, b.offset("%low", loop.i, "double"), 8)
        loop.next()
    b.finish()
    return name


def _sin_cos(m: Math, r: V, low: V) -> tuple[V, V]:
    """(sin, cos) of r + low, |r| <= pi/4."""
    z = r * r
    s, k = m.polynomial(z, c.SIN[r.t]), m.polynomial(z, c.COS[r.t])
    half = z * 0.5
    if r.t == "float":
        return m.fma(z * r, s, r), m.fma(z * z, k, 1.0 - half)
    sin = r + m.fma(z * r, s, m.fma(half, -low, low))
    w = 1.0 - half
    cos = w + (((1.0 - w) - half) + m.fma(z * z, k, -(r * low)))
    return sin, cos


def _top_bit(q: V, shift: int) -> V:
    """Bit number `shift` of q moved to the sign position."""
    width = 31 if q.t == "i32" else 63
    return (q << width - shift) & -(1 << width)


def _odd(m: Math, q: V) -> V:
    return (q & 1).ne(0)


def sin(m: Math, x: V) -> V:
    """Sine of an angle in radians."""
    q, r, low = _reduce(m, x.abs())
    s, k = _sin_cos(m, r, low)
    return m.select(_odd(m, q), k, s).with_sign(_top_bit(q, 1) ^ x.sign_bit())


def cos(m: Math, x: V) -> V:
    """Cosine of an angle in radians."""
    q, r, low = _reduce(m, x.abs())
    s, k = _sin_cos(m, r, low)
    return m.select(_odd(m, q), s, k).with_sign(_top_bit(q + 1, 1))


def tan(m: Math, x: V) -> V:
    """Tangent of an angle in radians."""
    q, r, low = _reduce(m, x.abs())
    odd = _odd(m, q)
    if x.t == "float":
        z = r * r
        t = m.fma(z * r, m.polynomial(z, c.TAN["float"]), r)
        return m.select(odd, 1.0 / t, t).with_sign(_top_bit(q, 0) ^ x.sign_bit())
    s, k = _sin_cos(m, r, low)
    quotient = m.select(odd, k, s) / m.select(odd, s, k)
    return quotient.with_sign(_top_bit(q, 0) ^ x.sign_bit())


# -- inverses
def _asin_core(m: Math, x: V, z: V) -> V:
    """asin(x) - x for 0 <= x <= 1/2, z = x^2."""
    return m.polynomial(z, c.ASIN[x.t]) * z * x


def asin(m: Math, x: V) -> V:
    """Arc sine; NaN outside [-1, 1]."""
    a = x.abs()
    outer = a > 0.5
    # asin(a) = pi/2 - 2 asin(sqrt((1-a)/2))
    z = m.select(outer, (1.0 - a) * 0.5, a * a)
    s = m.select(outer, m.sqrt(z), a)
    tail = _asin_core(m, s, z)
    error = _sqrt_error(m, s, z)
    far = _half_pi_minus(m, s, tail + error)
    return m.copysign(m.select(outer, far, s + tail), x)


def _sqrt_error(m: Math, s: V, z: V) -> V:
    """sqrt(z) - s where s is its rounded value (0 for z = 0)."""
    residue = -m.exact_fma(s, s, -z)
    return m.select(z > 0.0, residue / (s + s), 0.0)


HALF_PI_HIGH = {"float": (1.5707963705062866, -4.371138828673793e-08), "double": HALF_PI}


def _half_pi_minus(m: Math, s: V, tail: V) -> V:
    """pi/2 - 2 (s + tail)."""
    high, low = HALF_PI_HIGH[s.t]
    return high - (s + s - (low - (tail + tail)))


def acos(m: Math, x: V) -> V:
    """Arc cosine; NaN outside [-1, 1]."""
    a = x.abs()
    outer = a > 0.5
    z = m.select(outer, (1.0 - a) * 0.5, a * a)
    s = m.select(outer, m.sqrt(z), a)
    tail = _asin_core(m, s, z)
    high, low = HALF_PI_HIGH[x.t]
    # inside: pi/2 - asin(x); outside: 2 asin(s), or pi minus that
    signed_s, signed_tail = m.copysign(s, x), m.copysign(tail, x)
    near = high - (signed_s - (low - signed_tail))
    twice = s + (tail + _sqrt_error(m, s, z))
    twice = twice + twice
    far = m.select(x < 0.0, high * 2.0 - (twice - low * 2.0), twice)
    return m.select(outer, far, near)


def atan(m: Math, x: V) -> V:
    """Arc tangent."""
    a = x.abs()
    one = m.const(1.0, x.t)
    inverted = a > 1.0
    numerator, denominator = m.select(inverted, one, a), m.select(inverted, a, one)
    return m.copysign(_atan_ratio(m, numerator, denominator, inverted, None), x)


def atan2(m: Math, y: V, x: V) -> V:
    """The angle of the point (x, y), from -pi to pi; C99's special cases."""
    a, b = y.abs(), x.abs()
    one = m.const(1.0, x.t)
    both = (a.eq(INFINITY) & b.eq(INFINITY)) | (a.eq(0.0) & b.eq(0.0))
    # equal infinities count as equal numbers, two zeros as 0/1
    b_safe = m.select(both, one, b)
    a_safe = m.select(both, m.select(a.eq(0.0), a, one), a)
    inverted = a_safe > b_safe
    numerator, denominator = m.select(inverted, b_safe, a_safe), m.select(inverted, a_safe, b_safe)
    # keep clear of overflow in sums and of subnormal numbers
    far = 2.0**64 if x.t == "float" else 2.0**512
    scale = m.select(denominator > far, m.const(1 / far, x.t), m.select(denominator < 1 / far, m.const(far, x.t), 1.0))
    numerator, denominator = numerator * scale, denominator * scale
    left = x.sign_bit().ne(0)
    angle = _atan_ratio(m, numerator, denominator, inverted, left)
    angle = m.select(y.is_nan() | x.is_nan(), x + y, angle)
    return m.copysign(angle, y)


def _atan_ratio(m: Math, numerator: V, denominator: V, inverted: V, left: V | None) -> V:
    """atan(numerator / denominator), 0 <= numerator <= denominator; pi/2 minus that where inverted; pi minus that where
    left. Sums of large and small parts are kept apart to the end."""
    t = numerator.t
    # atan(v) = pi/4 + atan((v-1)/(v+1)) above tan(pi/8)
    middle = numerator > denominator * TAN_PI_8
    zero = m.const(0.0, t)
    n = m.select(middle, numerator - denominator, numerator)
    q = n / m.select(middle, numerator + denominator, denominator)
    tail = m.polynomial(q * q, c.ATAN[t]) * (q * q) * q
    high, low = HALF_PI_HIGH[t]
    base, base_low = m.select(middle, high * 0.5, zero), m.select(middle, low * 0.5, zero)
    # pi/2 - (base + q + tail) where inverted
    sign = m.select(inverted, m.const(-1.0, t), 1.0)
    base = m.select(inverted, high - base, base)
    base_low = m.select(inverted, low - base_low, base_low)
    q, tail = q * sign, tail * sign
    if left is not None:
        base = m.select(left, high * 2.0 - base, base)
        base_low = m.select(left, low * 2.0 - base_low, base_low)
        q, tail = m.select(left, -q, q), m.select(left, -tail, tail)
    total, rest = m.fast_two_sum(base, q)
    return m.select(base.eq(0.0), q + tail, total + (rest + (tail + base_low)))
