"""Error functions, hypot, floating remainder and neighbours on vectors."""

from __future__ import annotations

from . import vmath_coefficients as c
from .vmath_base import INT_OF, Math, V
from .vmath_exp import reduce_exp

INFINITY = float("inf")
NAN = float("nan")


def _scaled_erfc(m: Math, a: V) -> tuple[V, V]:
    """(v, n): erfc(a) = v 2^n for a >= 0.75; n the bits for scale_by_power.

    erfc(a) = exp(-a^2) ((1+2a) erfcx(a)) / (1+2a), where a^2 is taken with its rounding error.
    """
    t = (a - 4.0) / (a + 4.0)
    p = m.polynomial(t, c.ERFCX[a.t])
    # p / (1+2a) as high + low, with the divisor's rounding error
    twice = a + a
    denominator = twice + 1.0
    lost = 1.0 - (denominator - twice)
    inverse = 1.0 / denominator
    high = p * inverse
    low = m.fma(-high, lost, m.exact_fma(-high, denominator, p)) * inverse
    square, error = m.two_product(a, a)
    bits, r = reduce_exp(m, -square)
    r = r - error
    e = m.fma(m.polynomial(r, c.EXP[a.t]), r * r, r)  # exp(r) - 1
    return high + m.fma(high, e, low), bits


def erf(m: Math, x: V) -> V:
    """Error function."""
    a = x.abs()
    z = a * a
    if x.t == "float":
        far = 1.0 - m.polynomial(a - 2.5, c.ERF_TAIL["float"])
        far = m.select(a > 3.93, 1.0, far)
    else:
        a = m.clamp_high(a, 6.0)
        value, bits = _scaled_erfc(m, m.clamp_low(a, 0.75))
        far = 1.0 - value * m.power_of_two(bits)
    near = m.fma(m.polynomial(z, c.ERF[x.t]), a, a)
    return m.copysign(m.select(a < 1.0, near, far), x)


def erfc(m: Math, x: V) -> V:
    """1 - erf(x), accurate for large x."""
    a = m.clamp_high(x.abs(), 10.1 if x.t == "float" else 27.3)
    value, bits = _scaled_erfc(m, m.clamp_low(a, 0.75))
    value = m.scale_by_power(value, bits)
    far = m.select(x < 0.0, 2.0 - value, value)
    p = m.polynomial(x * x, c.ERF[x.t])
    near = 1.0 - m.fma(p, x, x)
    return m.select(a < 0.75, near, far)


def hypot(m: Math, x: V, y: V) -> V:
    """sqrt(x^2 + y^2) without overflow; infinite if either is, even with a NaN."""
    infinite = x.abs().eq(INFINITY) | y.abs().eq(INFINITY)
    if x.t == "float":
        a, b = m.to_double(x), m.to_double(y)
        return m.select(infinite, INFINITY, m.to_float(m.sqrt(m.fma(a, a, b * b))))
    a, b = x.abs(), y.abs()
    swap = a < b
    large, small = m.select(swap, b, a), m.select(swap, a, b)
    scale = m.select(
        large > 2.0**500, m.const(2.0**-600, "double"), m.select(large < 2.0**-500, m.const(2.0**600, "double"), 1.0)
    )
    back = m.select(
        large > 2.0**500, m.const(2.0**600, "double"), m.select(large < 2.0**-500, m.const(2.0**-600, "double"), 1.0)
    )
    large, small = large * scale, small * scale
    square, error = m.two_product(large, large)
    other, other_error = m.two_product(small, small)
    total, rest = m.fast_two_sum(square, other)
    rest = rest + (error + other_error)
    root = m.sqrt(total)
    # one Newton step with the residue
    residue = m.exact_fma(-root, root, total) + rest
    root = m.select(total > 0.0, root + residue / (root + root), root)
    return m.select(infinite, INFINITY, root * back)


# -- remainder
def _fmod(m: Math, a: V, b: V) -> V:
    """The exact remainder of a / b towards zero, for a >= 0, b > 0, both finite (double).

    Each round takes off a multiple of b 2^k whose quotient is below 2^52, so that it is exact; as a rule one round
    does.
    """

    def body(values: list[V]) -> tuple[V, list[V]]:
        rest = values[0]
        # a divisor b 2^k with rest / (b 2^k) < 2^52: k from the exponents
        gap = (rest.bits().lshr(52)) - (b.bits().lshr(52)) - 50
        gap = m.select(gap < 0, 0, gap)
        first = m.select(gap > 1000, 1000, gap)  # in two steps: the power alone may be out of range
        divisor = b * m.power_of_two(first) * m.power_of_two(gap - first)
        quotient = m.trunc(rest / divisor)
        new = m.exact_fma(-quotient, divisor, rest)
        # a quotient rounded up to the next integer gives a negative rest
        new = m.select(new < 0.0, new + divisor, new)
        new = m.select(new >= divisor, new - divisor, new)
        new = m.select(rest >= b, new, rest)
        return new >= b, [new]

    return m.loop_while([a], body, a >= b)[0]


def _divide(m: Math, x: V, y: V, want: str) -> V:
    """Python's x // y or x % y: the remainder has y's sign. Division by zero: as x / y, and NaN."""
    a, b = m.to_double(x.abs()), m.to_double(y.abs())
    usable = (a < INFINITY) & (b > 0.0) & (b < INFINITY)
    a, b = m.select(usable, a, 0.0), m.select(usable, b, 1.0)
    if x.t == "float":
        rest = m.to_float(_fmod(m, a, b))
    else:
        # Subnormal numbers would lose digits on the way: for small divisors, first the remainder of a multiple of
        # the divisor, and of the divisor itself on scaled numbers.
        scale = m.select(b < 2.0**-900, m.const(2.0**200, "double"), 1.0)
        scaled = b * scale
        rest = _fmod(m, _fmod(m, a, scaled) * scale, scaled) / scale
    rest = m.copysign(rest, x)
    # towards y's sign
    nonzero = rest.ne(0.0)
    other_side = (rest.sign_bit() ^ y.sign_bit()).ne(0)
    adjust = nonzero & other_side
    finite = x.abs() < INFINITY
    if want == "rem":
        result = m.select(adjust, rest + y, m.select(nonzero, rest, m.copysign(rest, y)))
        # a finite number modulo infinity is itself, or infinity on the other side
        far = m.select((x.sign_bit() ^ y.sign_bit()).ne(0) & x.ne(0.0), y, m.copysign(x, y))
        result = m.select(y.abs().eq(INFINITY) & finite, far, result)
        return m.select(finite & (y.abs() > 0.0), result, NAN)
    quotient = x / y
    # (x - rest) / y is an integer up to rounding
    whole = m.rint((x - rest) / y)
    whole = m.select(adjust, whole - 1.0, whole)
    whole = m.select(whole.eq(0.0), m.copysign(whole, quotient), whole)
    # with an infinity, floor of the rounded quotient, which is an infinity, a zero or NaN
    usual = finite & (y.abs() < INFINITY) & (y.abs() > 0.0)
    return m.select(usual, whole, quotient)


def rem(m: Math, x: V, y: V) -> V:
    """x modulo y with y's sign (Python's %)."""
    return _divide(m, x, y, "rem")


def floordiv(m: Math, x: V, y: V) -> V:
    """floor(x / y) of the exact quotient; division by zero or with infinities gives x / y (as the Array API prefers)."""
    return _divide(m, x, y, "floordiv")


def nextafter(m: Math, x: V, y: V) -> V:
    """The number next to x towards y."""
    one = m.const(1, INT_OF[x.t])
    away = (x < y) ^ (x < 0.0)  # the magnitude grows
    bits = x.bits()
    moved = m.select(away, bits + one, bits - one).as_float()
    from_zero = m.copysign(m.const(1, INT_OF[x.t]).as_float(), y)
    result = m.select(x.eq(0.0), from_zero, moved)
    result = m.select(x.eq(y), y, result)
    return m.select(x.is_nan() | y.is_nan(), x + y, result)
