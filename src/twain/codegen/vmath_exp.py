"""Exponentials, logarithms, powers and hyperbolic functions on vectors.

Range reduction: x = n ln 2 + r (Cody and Waite: ln 2 in two parts); for logarithms x = 2^e m, sqrt(1/2) <= m < sqrt(2).
Error bounds are in bench/vmath.py's table and enforced by tests/codegen/test_vmath.py.
"""

from __future__ import annotations

from . import vmath_coefficients as c
from .vmath_base import Math, V

INFINITY = float("inf")
NAN = float("nan")
LOG2_E = 1.4426950408889634
LOG2_E_LOW = 2.0355273740931033e-17
LN2 = 0.6931471805599453
LN2_LOW = 2.3190468138462996e-17
# ln 2 with trailing zeros, so that its product with an exponent is exact even without fma, and the rest.
LN2_PARTS = {
    "float": (0.693145751953125, 1.4286068203094173e-06),
    "double": (0.693147180559663, 2.8235290563031577e-13),
}
# ln 2 to float or double precision, and the rest, for targets with fma.
LN2_FULL = {
    "float": (0.6931471824645996, -1.9046542121259336e-09),
    "double": (0.6931471805599453, 2.3190468138462996e-17),
}
MANTISSA = {"float": 23, "double": 52}
SMALLEST_NORMAL = {"float": 2.0**-126, "double": 2.0**-1022}
# Beyond these exp(x) is infinite or rounds to 0.
EXP_RANGE = {"float": (-104.0, 89.0), "double": (-745.5, 710.0)}
# Beyond this sinh(x) is infinite; 2^n / 4 must not be, for the last n.
SINH_RANGE = {"float": 89.5, "double": 710.6}


def reduce_exp(m: Math, x: V) -> tuple[V, V]:
    """(bits of n, r): x = n ln 2 + r."""
    n, bits = m.round_to_int(x, LOG2_E)
    high, low = (LN2_FULL if m.target.has_fma else LN2_PARTS)[x.t]
    return bits, m.fma(n, -low, m.fma(n, -high, x))


def exp(m: Math, x: V) -> V:
    """e^x."""
    low, high = EXP_RANGE[x.t]
    bits, r = reduce_exp(m, m.clamp_low(m.clamp_high(x, high), low))
    p = m.fma(m.polynomial(r, c.EXP[x.t]), r * r, r) + 1.0
    return m.scale_by_power(p, bits)


def exp2(m: Math, x: V) -> V:
    """2^x."""
    bound = 152.0 if x.t == "float" else 1080.0
    x = m.clamp_low(m.clamp_high(x, bound), -bound)
    n, bits = m.round_to_int(x, 1.0)
    r = (x - n) * LN2
    return m.scale_by_power(m.fma(m.polynomial(r, c.EXP[x.t]), r * r, r) + 1.0, bits)


def _expm1_parts(m: Math, x: V) -> tuple[V, V]:
    """(p, bits of n): e^x = 2^n (1 + p), |p| < 0.42."""
    bits, r = reduce_exp(m, x)
    table = c.EXPM1 if x.t == "float" else c.EXP
    return m.fma(m.polynomial(r, table[x.t]), r * r, r), bits


def expm1(m: Math, x: V) -> V:
    """e^x - 1, accurate near 0."""
    high = EXP_RANGE[x.t][1]
    low = -18.0 if x.t == "float" else -38.0
    p, bits = _expm1_parts(m, m.clamp_low(m.clamp_high(x, high), low))
    # half the power first: 2^n alone could overflow where the result does not
    s = m.power_of_two(bits - 1)
    result = m.fma(p, s, s - 0.5) * 2.0
    return m.select(x.eq(0.0), x, result)


def _expm1_bounded(m: Math, x: V) -> V:
    """expm1 for -30 < x < 80 (double: 700) without checks."""
    p, bits = _expm1_parts(m, x)
    s = m.power_of_two(bits)
    return m.fma(p, s, s - 1.0)


# -- logarithms
def _split(m: Math, x: V) -> tuple[V, V]:
    """(e, m): x = 2^e m, e a float, sqrt(1/2) <= m < sqrt(2). For positive finite x, subnormal ones too."""
    tiny = x < SMALLEST_NORMAL[x.t]
    shift = float(MANTISSA[x.t])
    e, mantissa = _split_normal(m, m.select(tiny, x * 2.0**shift, x))
    return e - m.select(tiny, m.const(shift, x.t), 0.0), mantissa


def _split_normal(m: Math, x: V) -> tuple[V, V]:
    """_split for numbers that are not subnormal."""
    if x.t == "float":
        half = 0x3F3504F3  # sqrt(1/2)
        offset = x.bits() - half
        return m.convert("sitofp", offset >> 23, "float"), ((offset & 0x7FFFFF) + half).as_float()
    half = 0x3FE6A09E667F3BCD
    offset = x.bits() - half
    mantissa = (offset & ((1 << 52) - 1)) + half
    # Most targets lack the arithmetic right shift of 64-bit lanes and their conversion: make the number positive, and
    # let a magic constant convert it.
    exponent = (offset + (1 << 62)).lshr(52)
    magic = m.const(1.5 * 2.0**52, "double")
    return (exponent + magic.bits()).as_float() - (1.5 * 2.0**52 + 1024.0), mantissa.as_float()


def _log_edges(m: Math, x: V, result: V) -> V:
    """0 -> -inf, negative -> NaN, inf and NaN -> themselves."""
    result = m.select(x < INFINITY, result, x)
    return m.select(x > 0.0, result, m.select(x.eq(0.0), m.const(-INFINITY, x.t), m.select(x < 0.0, NAN, x)))


def _log_tail(m: Math, f: V) -> V:
    """log(1+f) - f, for f between sqrt(1/2)-1 and sqrt(2)-1."""
    if f.t == "float":
        square = f * f
        return m.fma(square * f, m.polynomial(f, c.LOG["float"]), square * -0.5)
    # log(1+f) = 2s + s^3 R(s^2), s = f/(2+f), and 2s = f - s f: so log(1+f) - f = s (s^2 R - f), rearranged to lose
    # less
    s = f / (f + 2.0)
    z = s * s
    half_square = f * f * 0.5
    return s * m.fma(z, m.polynomial(z, c.LOG_RATIO["double"]), half_square) - half_square


def log(m: Math, x: V) -> V:
    """Natural logarithm."""
    e, mantissa = _split(m, x)
    return _log_edges(m, x, _log_sum(m, e, mantissa - 1.0))


def _log_sum(m: Math, e: V, f: V) -> V:
    """e ln 2 + log(1+f)."""
    high, low = LN2_PARTS[f.t]
    return m.fma(e, high, f + m.fma(e, low, _log_tail(m, f)))


def log1p(m: Math, x: V) -> V:
    """log(1 + x), accurate near 0."""
    u = x + 1.0
    e, mantissa = _split(m, u)
    big = x > u * 0.5  # then u - x is exact, else u - 1 is
    lost = m.select(big, 1.0 - (u - x), x - (u - 1.0))
    # what 1 + x lost belongs to f; it is nothing to large x
    scale = m.power_of_two(_exponent_bits(m, m.clamp_low(-e, -64.0)))
    f = m.fma(lost, scale, mantissa - 1.0)
    result = _log_edges(m, u, _log_sum(m, e, f))
    return m.select(x.abs() < (2.0**-25 if x.t == "float" else 2.0**-54), x, result)


def _exponent_bits(m: Math, n: V) -> V:
    """A float with an integer value to bits for power_of_two."""
    return (n + (1.5 * 2.0**23 if n.t == "float" else 1.5 * 2.0**52)).bits()


def log2(m: Math, x: V) -> V:
    """Logarithm to base 2; exact for powers of 2."""
    high, low = (1.4426950216293335, 1.925963033500011e-08) if x.t == "float" else (LOG2_E, LOG2_E_LOW)
    return _scaled_log(m, x, 1.0, 0.0, high, low)


def log10(m: Math, x: V) -> V:
    """Logarithm to base 10."""
    if x.t == "float":
        return _scaled_log(m, x, 0.301025390625, 4.605039066518657e-06, 0.4342944920063019, -1.0103049952192578e-08)
    return _scaled_log(m, x, 0.30102999566383914, 1.42050232272661e-13, 0.4342944819032518, 1.098319650216765e-17)


def _scaled_log(m: Math, x: V, unit_high: float, unit_low: float, high: float, low: float) -> V:
    """e (unit_high + unit_low) + (high + low) log(1+f)."""
    e, mantissa = _split(m, x)
    f = mantissa - 1.0
    tail = _log_tail(m, f)
    # f * high with its rounding error, so that only the last addition rounds visibly
    product, error = m.two_product(f, m.const(high, f.t))
    small = m.fma(tail, high, m.fma(f, low, error))
    if unit_low:
        small = m.fma(e, unit_low, small)
    base = e * unit_high if unit_high != 1.0 else e
    total, rest = m.two_sum(base, product)
    return _log_edges(m, x, total + (rest + small))


# -- powers
def pow_float(m: Math, x: V, y: V) -> V:
    """x^y in float32: exp(y log|x|) in float64, rounded at the end."""
    a = m.to_double(x.abs())
    # subnormal float32 are normal numbers here, so _split needs no care (zero and infinity are put right by the caller)
    e, mantissa = _split_normal(m, a)
    f = mantissa - 1.0
    s = f / (f + 2.0)
    z = s * s
    log_a = m.fma(e, LN2, m.fma(s * z, m.polynomial(z, c.LOG_SHORT["double"]), s * 2.0))
    t = m.to_double(y) * log_a
    t = m.clamp_low(m.clamp_high(t, 200.0), -200.0)
    n, bits = m.round_to_int(t, LOG2_E)
    r = m.fma(n, -LN2, t)
    p = m.fma(m.polynomial(r, c.EXP_SHORT["double"]), r * r, r) + 1.0
    return m.to_float(p * m.power_of_two(bits))


def _log_double_double(m: Math, x: V) -> tuple[V, V]:
    """log(x) of positive finite x as high + low, to about 2^-65 of its size."""
    tiny = x < SMALLEST_NORMAL["double"]
    e, mantissa = _split_normal(m, m.select(tiny, x * 2.0**52, x))
    e = e - m.select(tiny, m.const(52.0, "double"), 0.0)
    f = mantissa - 1.0
    g, g_low = m.two_sum(mantissa, m.const(1.0, "double"))
    s = f / g
    s_low = (m.exact_fma(-s, g, f) - s * g_low) / g
    z, z_error = m.two_product(s, s)
    z_low = m.fma(s * 2.0, s_low, z_error)
    # P = 2/3 + z R(z) as high + low
    tail = m.polynomial(z, c.LOG_TAIL["double"]) * z
    p, p_low = m.fast_two_sum(m.const(0.6666666666666666, "double"), tail)
    p_low = p_low + 3.700743415417188e-17
    # w = z P, then 2s + s w
    w, w_low = m.two_product(z, p)
    w_low = w_low + m.fma(z, p_low, z_low * p)
    v, v_low = m.two_product(s, w)
    v_low = v_low + m.fma(s, w_low, s_low * w)
    high, low = LN2_PARTS["double"]
    total, rest = m.two_sum(e * high, s * 2.0)
    total, rest_v = m.two_sum(total, v)
    # e * low is exact to 2^-53 of 2^-33 e: good enough in one piece, with the part of ln 2 beyond it
    u, u_low = m.two_product(e, m.const(low, "double"))
    total, rest_u = m.two_sum(total, u)
    small = (rest + rest_v) + (rest_u + (v_low + m.fma(s_low, 2.0, u_low)))
    return m.fast_two_sum(total, small)


def pow_double(m: Math, x: V, y: V) -> V:
    """|x|^y in float64."""
    a = x.abs()
    high, low = _log_double_double(m, a)
    # y beyond 2^65 changes nothing but could make inf - inf below
    y = m.clamp_low(m.clamp_high(y, 2.0**65), -(2.0**65))
    t, t_low = m.two_product(high, y)
    t_low = m.fma(y, low, t_low)
    inside = t.abs() < 800.0
    t = m.select(inside, t, m.clamp_low(m.clamp_high(t, 800.0), -800.0))
    t_low = m.select(inside, t_low, 0.0)
    n, bits = m.round_to_int(t, LOG2_E)
    if m.target.has_fma:
        part_high, part_low = LN2_FULL["double"]
    else:
        part_high, part_low = LN2_PARTS["double"]
    r = m.fma(n, -part_high, t)
    r = r + (m.fma(n, -part_low, t_low))
    p = m.fma(m.polynomial(r, c.EXP["double"]), r * r, r) + 1.0
    return m.scale_by_power(p, bits)


def pow(m: Math, x: V, y: V) -> V:
    """x^y with the special cases of C99 (annex F) and NumPy: x^0 = 1^y = 1, negative x only for integral y."""
    a = x.abs()
    magnitude = pow_float(m, x, y) if x.t == "float" else pow_double(m, x, y)
    # |x| of 0 or inf: 0 or inf by the sign of y
    edge = a.eq(0.0) | a.eq(INFINITY)
    grows = a.eq(0.0) ^ (y > 0.0)
    magnitude = m.select(edge, m.select(grows, m.const(INFINITY, x.t), 0.0), magnitude)
    # |y| inf: by |x| against 1
    infinite = y.abs().eq(INFINITY)
    away = (a > 1.0) ^ (y < 0.0)
    limit = m.select(a.eq(1.0), m.const(1.0, x.t), m.select(away, m.const(INFINITY, x.t), 0.0))
    magnitude = m.select(infinite, limit, magnitude)
    # sign: odd integral y keeps it. Large floats are even; y/2 has a fraction of one half just for odd y.
    whole = m.floor(y).eq(y)
    half = y * 0.5
    odd = whole & m.floor(half).ne(half) & (y.abs() < INFINITY)
    result = m.select(odd, m.copysign(magnitude, x), magnitude)
    result = m.select((x < 0.0) & ~whole & (a < INFINITY), NAN, result)
    result = m.select(x.is_nan() | y.is_nan(), x + y, result)
    return m.select(y.eq(0.0) | x.eq(1.0), 1.0, result)


def rsqrt(m: Math, x: V) -> V:
    """1 / sqrt(x) below one ulp: by a step of Newton's method from an estimate, or two rounded operations."""
    y = m.rsqrt_estimate(x)
    if y is None:
        return 1.0 / m.sqrt(x)
    rest = m.fma(-(x * y), y, 1.0)
    # The estimates for zeros and infinities are right, but not the step from them.
    return m.select(rest.eq(rest), m.fma(y * rest, 0.5, y), y)


# -- hyperbolic functions
def tanh(m: Math, x: V) -> V:
    """expm1(2|x|) / (expm1(2|x|) + 2) with x's sign; a polynomial near 0."""
    a = m.clamp_high(x.abs(), 9.02 if x.t == "float" else 19.1)
    t = _expm1_bounded(m, a + a)
    z = a * a
    near = m.fma(z * a, m.polynomial(z, c.TANH[x.t]), a)
    return m.copysign(m.select(a < 0.375, near, t / (t + 2.0)), x)


def sinh(m: Math, x: V) -> V:
    """(t + t/(t+1)) / 2 with t = expm1(|x|); a polynomial below 1."""
    a = x.abs()
    b = m.clamp_high(a, SINH_RANGE[x.t])
    p, bits = _expm1_parts(m, b)
    s = m.power_of_two(bits - 2)
    u = m.fma(p, s, s - 0.25)  # t / 4
    quarter = u / m.fma(u, 4.0, 1.0)
    big = (u + quarter) * 2.0
    z = a * a
    small = m.fma(z * a, m.polynomial(z, c.SINH[x.t]), a)
    return m.copysign(m.select(a < 1.0, small, big), x)


def cosh(m: Math, x: V) -> V:
    """(e^|x| + e^-|x|) / 2."""
    a = m.clamp_high(x.abs(), SINH_RANGE[x.t])
    bits, r = reduce_exp(m, a)
    p = m.fma(m.polynomial(r, c.EXP[x.t]), r * r, r) + 1.0
    quarter = p * m.power_of_two(bits - 2)
    return (quarter + 0.0625 / quarter) * 2.0


def asinh(m: Math, x: V) -> V:
    """log1p(a + a^2 / (1 + sqrt(1 + a^2))), with log(a) + log 2 for large a = |x|."""
    a = x.abs()
    huge = 2.0**30 if x.t == "float" else 2.0**500
    big = a > huge
    b = m.select(big, 1.0, a)
    square = b * b
    argument = b + square / (m.sqrt(square + 1.0) + 1.0)
    # for large a shift the argument: log1p(a - 1) = log(a)
    result = log1p(m, m.select(big, a, argument))
    result = m.select(big, result + LN2, result)
    return m.copysign(result, x)


def acosh(m: Math, x: V) -> V:
    """log1p(t + sqrt(2t + t^2)), t = x - 1; NaN below 1."""
    huge = 2.0**30 if x.t == "float" else 2.0**500
    big = x > huge
    t = m.select(big, 1.0, x) - 1.0
    argument = t + m.sqrt(m.fma(t, t, t + t))
    result = log1p(m, m.select(big, x, argument))
    return m.select(x < 1.0, NAN, m.select(big, result + LN2, result))


def atanh(m: Math, x: V) -> V:
    """log1p(2a / (1-a)) / 2; infinite at 1, NaN beyond."""
    a = x.abs()
    return m.copysign(log1p(m, (a + a) / (1.0 - a)) * 0.5, x)
