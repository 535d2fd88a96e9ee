"""Operations on complex values, pairs (real, imaginary) of vectors.

Branch cuts and special values are those of the Array API standard, which are C99's (annex G). Errors are a few ulp of
the result's size; each part alone may be worse where it nearly vanishes. What single precision would spoil (logarithms
near 1, roots, inverse functions) is computed in double precision for complex64.
"""

from __future__ import annotations

from collections.abc import Callable

from . import vmath_complex_inverse as inverse
from . import vmath_exp, vmath_special, vmath_trig
from .vmath_base import Math, V
from .vmath_complex_inverse import Pair, in_double, log, sqrt

INFINITY = float("inf")
NAN = float("nan")
# Beyond this e^a needs care: it may be infinite where its product with a small sine is not.
LARGE = {"float": 87.0, "double": 707.0}
# Beyond this even the product with the smallest sine of a number is infinite.
BEYOND = {"float": 170.0, "double": 900.0}


def multiply(m: Math, x: Pair, y: Pair) -> Pair:
    """Products rounded one by one: fused ones would give x * conj(x) an imaginary part."""
    (a, b), (c, d) = x, y
    return a * c - b * d, a * d + b * c


def divide(m: Math, x: Pair, y: Pair) -> Pair:
    """x / y scaled by the divisor's larger part (Smith's method)."""
    (a, b), (c, d) = x, y
    swap = c.abs() < d.abs()
    # (a + bi) / (c + di) = (b - ai) / (d - ci)
    a, b, c, d = m.select(swap, b, a), m.select(swap, -a, b), m.select(swap, d, c), m.select(swap, -c, d)
    ratio = m.select(c.eq(0.0), c, d / c)
    denominator = m.fma(d, ratio, c)
    return m.fma(b, ratio, a) / denominator, m.fma(-a, ratio, b) / denominator


def _unusual(m: Math, x: Pair) -> V:
    """Where e^re is too large or too small to be multiplied as it is, or a part is no finite number."""
    small = (x[0].abs() < LARGE[x[0].t]) & (x[1].abs() < INFINITY)
    return ~small


def _grown(m: Math, a: V, factor: V, halved: bool) -> V:
    """e^a factor (halved if wanted) for any a; overflows only if the product does."""
    bits, r = vmath_exp.reduce_exp(m, m.clamp_low(m.clamp_high(a, BEYOND[a.t]), -BEYOND[a.t]))
    p = m.fma(m.polynomial(r, vmath_exp.c.EXP[a.t]), r * r, r) + 1.0
    p = m.scale_by_power(p * (factor * 0.5 if halved else factor), bits)
    infinite = a.eq(INFINITY)
    return m.select(infinite, factor * INFINITY, p)


def exp(m: Math, x: Pair) -> Pair:
    """e^re (cos im + i sin im); a real argument stays real."""
    a, b = x
    cos, sin = vmath_trig.cos(m, b), vmath_trig.sin(m, b)
    size = vmath_exp.exp(m, a)

    def slow() -> list[V]:
        low, outside = a.eq(-INFINITY), ~(b.abs() < INFINITY)
        real, imaginary = _grown(m, a, cos, False), _grown(m, a, sin, False)
        real = m.select(outside & low, 0.0, m.select(outside & a.eq(INFINITY), INFINITY, real))
        real = m.select(b.eq(0.0) & a.eq(INFINITY), INFINITY, real)
        real = m.select(low & ~outside, m.copysign(m.const(0.0, a.t), cos), real)
        imaginary = m.select(low, m.select(outside, 0.0, m.copysign(m.const(0.0, a.t), sin)), imaginary)
        return [real, m.select(b.eq(0.0), b, imaginary)]

    return _pair(m.if_any(_unusual(m, x), [size * cos, m.select(b.eq(0.0), b, size * sin)], slow))


def exp2(m: Math, x: Pair) -> Pair:
    """2^re (cos(im log 2) + i sin(im log 2))."""
    angle, size = x[1] * vmath_exp.LN2, vmath_exp.exp2(m, x[0])
    return size * vmath_trig.cos(m, angle), m.select(x[1].eq(0.0), x[1], size * vmath_trig.sin(m, angle))


def _pair(values: list[V]) -> Pair:
    return values[0], values[1]


def expm1(m: Math, x: Pair) -> Pair:
    """The real part is expm1(re) cos(im) - 2 sin(im/2)^2, which keeps its digits near 0."""
    a, b = x
    grown, half = vmath_exp.expm1(m, a), vmath_trig.sin(m, b * 0.5)
    cos, sin = vmath_trig.cos(m, b), vmath_trig.sin(m, b)
    plain = [m.fma(grown, cos, half * half * -2.0) + 0.0, m.select(b.eq(0.0), b, (grown + 1.0) * sin)]

    def slow() -> list[V]:
        real, imaginary = exp(m, x)
        shrunk = a < -LARGE[a.t]
        usual = ~(shrunk | ~(a < LARGE[a.t]))
        shrunk = shrunk & ~(real.is_nan() & (a > -INFINITY))
        real = m.select(usual, plain[0], m.select(shrunk, -1.0, real - 1.0))
        return [real, m.select(usual, plain[1], imaginary)]

    return _pair(m.if_any(_unusual(m, x), plain, slow))


def _hyperbolic(m: Math, x: Pair, even: bool) -> Pair:
    """sinh or cosh (even)."""
    a, b = x
    cos, sin = vmath_trig.cos(m, b), vmath_trig.sin(m, b)
    s, k = vmath_exp.sinh(m, a), vmath_exp.cosh(m, a)
    plain = [k * cos, s * sin] if even else [s * cos, k * sin]

    def slow() -> list[V]:
        size = a.abs()
        large = size > LARGE[a.t]
        odd_sign = m.copysign(m.const(1.0, a.t), a)
        real, imaginary = _grown(m, size, cos, True), _grown(m, size, sin, True)
        real, imaginary = (real, imaginary * odd_sign) if even else (real * odd_sign, imaginary)
        real, imaginary = m.select(large, real, plain[0]), m.select(large, imaginary, plain[1])
        outside = ~(b.abs() < INFINITY)
        infinite = size.eq(INFINITY)
        real = m.select(infinite & (outside | b.eq(0.0)), size if even else a, real)
        zero = a.eq(0.0)
        if even:
            imaginary = m.select(zero & outside, a, imaginary)
            imaginary = m.select(b.eq(0.0), m.copysign(b, (b.bits() ^ a.sign_bit()).as_float()), imaginary)
        else:
            real = m.select(zero & outside, a, real)
            imaginary = m.select(b.eq(0.0), b, imaginary)
        return [real, imaginary]

    return _pair(m.if_any(_unusual(m, x), plain, slow))


def sinh(m: Math, x: Pair) -> Pair:
    return _hyperbolic(m, x, False)


def cosh(m: Math, x: Pair) -> Pair:
    return _hyperbolic(m, x, True)


def tanh(m: Math, x: Pair) -> Pair:
    """(sinh 2a + i sin 2b) / (cosh 2a + cos 2b), by parts that don't overflow (Kahan)."""
    a, b = x
    limit = 20.0
    t = vmath_trig.tan(m, b)
    scale = m.fma(t, t, 1.0)
    s = vmath_exp.sinh(m, m.clamp_low(m.clamp_high(a, limit), -limit))
    root = m.sqrt(m.fma(s, s, 1.0))
    divisor = m.fma(scale * s, s, 1.0)
    # far from the axis: a sign, and an imaginary part that vanishes like exp(-2|a|)
    far = a.abs() > limit
    tiny = t / scale * 4.0 * vmath_exp.exp(m, a.abs() * -2.0)
    real = m.select(far, m.copysign(m.const(1.0, a.t), a), scale * root * s / divisor)
    imaginary = m.select(far, tiny, t / divisor)

    def slow() -> list[V]:
        outside = ~(b.abs() < INFINITY)
        vanishes = m.copysign(m.const(0.0, a.t), b)
        infinite = a.abs().eq(INFINITY)
        defined = ~outside | infinite
        return [
            m.select(a.eq(0.0), a, m.select(defined, real, NAN)),
            m.select(b.eq(0.0), b, m.select(infinite, vanishes, imaginary)),
        ]

    return _pair(m.if_any(~((a.abs() < INFINITY) & (b.abs() < INFINITY)), [real, imaginary], slow))


def sign(m: Math, x: Pair) -> Pair:
    """x / |x|; any 0 gives 0 + 0i, one infinite part outweighs the other, NaN in either part makes NaN of both."""
    size = vmath_special.hypot(m, *x)
    size = m.select(size.eq(0.0), 1.0, size)
    plain = [x[0] / size + 0.0, x[1] / size + 0.0]

    def slow() -> list[V]:
        wide, tall = x[0].abs().eq(INFINITY), x[1].abs().eq(INFINITY)
        nan = x[0].is_nan() | x[1].is_nan() | (wide & tall)
        one = m.const(1.0, size.t)
        return [
            m.select(nan, NAN, m.select(wide, m.copysign(one, part), m.select(wide | tall, part * 0.0, share)))
            if part is x[0]
            else m.select(nan, NAN, m.select(tall, m.copysign(one, part), m.select(wide | tall, part * 0.0, share)))
            for part, share in zip(x, plain)
        ]

    return _pair(m.if_any(~(size < INFINITY), plain, slow))


def rsqrt(m: Math, x: Pair) -> Pair:
    root = sqrt(m, x)
    return divide(m, (m.const(1.0, root[0].t), m.const(0.0, root[0].t)), root)


def _scaled_log(factor: float) -> Callable:
    def rule(m: Math, x: Pair) -> Pair:
        result = inverse.log_wide(m, x)
        return result[0] * factor, result[1] * factor

    return in_double(rule)


# Whole exponents up to this are powers by repeated multiplication, which is exact for small Gaussian integers.
WHOLE_POWERS = 64.0


@in_double
def pow(m: Math, x: Pair, y: Pair) -> Pair:
    """exp(y log x); products for small whole y; x^0 = 1, and 0^y = 0 for y with positive real part."""
    a, b = exp(m, multiply(m, y, inverse.log_wide(m, x)))
    zero = x[0].eq(0.0) & x[1].eq(0.0) & (y[0] > 0.0)
    a, b = m.select(zero, 0.0, a), m.select(zero, 0.0, b)
    whole = y[1].eq(0.0) & (y[0].abs() <= WHOLE_POWERS) & m.floor(y[0]).eq(y[0])

    def products() -> list[V]:
        def body(values: list[V]) -> tuple[V, list[V]]:
            rest, *parts = values
            result, square = (parts[0], parts[1]), (parts[2], parts[3])
            half = m.floor(rest * 0.5)
            odd = (half + half).ne(rest)
            longer = multiply(m, result, square)
            result = m.select(odd, longer[0], result[0]), m.select(odd, longer[1], result[1])
            again = half > 0.0
            twice = multiply(m, square, square)
            square = m.select(again, twice[0], square[0]), m.select(again, twice[1], square[1])
            return again, [half, *result, *square]

        count = m.select(whole, y[0].abs(), 0.0)
        one, nothing = m.const(1.0, a.t), m.const(0.0, a.t)
        _, real, imaginary, _, _ = m.loop_while([count, one, nothing, x[0], x[1]], body, count > 0.0)
        below = divide(m, (one, nothing), (real, imaginary))
        real = m.select(y[0] < 0.0, below[0], real)
        imaginary = m.select(y[0] < 0.0, below[1], imaginary)
        return [m.select(whole, real, a), m.select(whole, imaginary, b)]

    return _pair(m.if_any(whole, [a, b], products))


def _turned(rule: Callable) -> Callable:
    """f(x) = -i g(ix): the circular function from the hyperbolic one, and the other way round."""

    def turned(m: Math, x: Pair) -> Pair:
        a, b = rule(m, (-x[1], x[0]))
        return b, -a

    return turned


COMPLEX: dict[str, Callable] = {
    "add": lambda m, x, y: (x[0] + y[0], x[1] + y[1]),
    "sub": lambda m, x, y: (x[0] - y[0], x[1] - y[1]),
    "mul": multiply,
    "div": divide,
    "neg": lambda m, x: (-x[0], -x[1]),
    "conj": lambda m, x: (x[0], -x[1]),
    "abs": lambda m, x: vmath_special.hypot(m, *x),
    "eq": lambda m, x, y: x[0].eq(y[0]) & x[1].eq(y[1]),
    "ne": lambda m, x, y: x[0].ne(y[0]) | x[1].ne(y[1]),
    "fma": lambda m, x, y, z: tuple(p + q for p, q in zip(multiply(m, x, y), z, strict=True)),
    "rint": lambda m, x: (m.rint(x[0]), m.rint(x[1])),
    "exp": exp,
    "exp2": in_double(exp2),
    "log": log,
    "sqrt": sqrt,
    "sign": sign,
    "rsqrt": rsqrt,
    "expm1": expm1,
    "log1p": inverse.log1p,
    "log2": _scaled_log(1.4426950408889634),
    "log10": _scaled_log(0.4342944819032518),
    "pow": pow,
    "sinh": sinh,
    "cosh": cosh,
    "tanh": tanh,
    "sin": _turned(sinh),
    "cos": lambda m, x: cosh(m, (-x[1], x[0])),
    "tan": _turned(tanh),
    "asinh": inverse.asinh,
    "acos": inverse.acos,
    "acosh": inverse.acosh,
    "atanh": inverse.atanh,
    "asin": _turned(inverse.asinh),
    "atan": _turned(inverse.atanh),
}
