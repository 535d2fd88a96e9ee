"""Operations on complex values, pairs (real, imaginary) of vectors."""

from __future__ import annotations

from collections.abc import Callable

from . import vmath_exp, vmath_special, vmath_trig
from .vmath_base import Math, V

Pair = tuple[V, V]
# Functions of a complex argument follow NumPy's branch cuts; relative errors are a few ulp of the larger part.


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


def exp(m: Math, x: Pair) -> Pair:
    """e^re (cos im + i sin im); a real argument stays real."""
    size = vmath_exp.exp(m, x[0])
    sine = size * vmath_trig.sin(m, x[1])
    return size * vmath_trig.cos(m, x[1]), m.select(x[1].eq(0.0), x[1], sine)


def log(m: Math, x: Pair) -> Pair:
    """log|x| + i angle(x)."""
    return vmath_exp.log(m, vmath_special.hypot(m, *x)), vmath_trig.atan2(m, x[1], x[0])


def sqrt(m: Math, x: Pair) -> Pair:
    """The root with non-negative real part."""
    size = vmath_special.hypot(m, *x)
    root = m.sqrt((size + x[0].abs()) * 0.5)
    other = m.select(root.eq(0.0), root, x[1].abs() * 0.5 / root)
    left = x[0] < 0.0
    return m.select(left, other, root), m.copysign(m.select(left, root, other), x[1])


def sign(m: Math, x: Pair) -> Pair:
    """x / |x|; 0 stays 0."""
    size = vmath_special.hypot(m, *x)
    size = m.select(size.eq(0.0), 1.0, size)
    return x[0] / size, x[1] / size


def rsqrt(m: Math, x: Pair) -> Pair:
    root = sqrt(m, x)
    return divide(m, (m.const(1.0, root[0].t), m.const(0.0, root[0].t)), root)


def expm1(m: Math, x: Pair) -> Pair:
    """The real part is expm1(re) cos(im) - 2 sin(im/2)^2, which keeps its digits near 0."""
    (a, b) = x
    grown, half = vmath_exp.expm1(m, a), vmath_trig.sin(m, b * 0.5)
    return m.fma(grown, vmath_trig.cos(m, b), half * half * -2.0), (grown + 1.0) * vmath_trig.sin(m, b)


def log1p(m: Math, x: Pair) -> Pair:
    a, b = x
    near = vmath_exp.log1p(m, m.fma(b, b, a * (a + 2.0))) * 0.5
    far = vmath_exp.log(m, vmath_special.hypot(m, a + 1.0, b))
    small = (a.abs() < 0.5) & (b.abs() < 0.5)
    return m.select(small, near, far), vmath_trig.atan2(m, b, a + 1.0)


def _scaled_log(factor: float) -> Callable:
    def rule(m: Math, x: Pair) -> Pair:
        result = log(m, x)
        return result[0] * factor, result[1] * factor

    return rule


def pow(m: Math, x: Pair, y: Pair) -> Pair:
    """exp(y log x); x^0 = 1, and 0^y = 0 for y with positive real part."""
    a, b = exp(m, multiply(m, y, log(m, x)))
    zero = x[0].eq(0.0) & x[1].eq(0.0) & (y[0] > 0.0)
    one = y[0].eq(0.0) & y[1].eq(0.0)
    a, b = m.select(zero, 0.0, a), m.select(zero, 0.0, b)
    return m.select(one, 1.0, a), m.select(one, 0.0, b)


def sinh(m: Math, x: Pair) -> Pair:
    a, b = x
    return vmath_exp.sinh(m, a) * vmath_trig.cos(m, b), vmath_exp.cosh(m, a) * vmath_trig.sin(m, b)


def cosh(m: Math, x: Pair) -> Pair:
    a, b = x
    return vmath_exp.cosh(m, a) * vmath_trig.cos(m, b), vmath_exp.sinh(m, a) * vmath_trig.sin(m, b)


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
    return real, m.select(far, tiny, t / divisor)


def asin(m: Math, x: Pair) -> Pair:
    """Kahan's formulas by square roots of 1 - x and 1 + x, which keep their digits at the branch points."""
    low, high = sqrt(m, (1.0 - x[0], -x[1])), sqrt(m, (1.0 + x[0], x[1]))
    product = m.fma(low[0], high[0], -(low[1] * high[1]))
    cross = m.fma(low[0], high[1], -(low[1] * high[0]))
    return vmath_trig.atan2(m, x[0], product), vmath_exp.asinh(m, cross)


def acos(m: Math, x: Pair) -> Pair:
    low, high = sqrt(m, (1.0 - x[0], -x[1])), sqrt(m, (1.0 + x[0], x[1]))
    cross = m.fma(high[0], low[1], -(high[1] * low[0]))
    return vmath_trig.atan2(m, low[0], high[0]) * 2.0, vmath_exp.asinh(m, cross)


def acosh(m: Math, x: Pair) -> Pair:
    low, high = sqrt(m, (x[0] - 1.0, x[1])), sqrt(m, (x[0] + 1.0, x[1]))
    cross = m.fma(low[0], high[0], low[1] * high[1])
    return vmath_exp.asinh(m, cross), vmath_trig.atan2(m, low[1], high[0]) * 2.0


def atanh(m: Math, x: Pair) -> Pair:
    a, b = x
    square, size = b * b, a.abs()
    real = vmath_exp.log1p(m, size * 4.0 / m.fma(1.0 - size, 1.0 - size, square)) * 0.25
    return m.copysign(real, a), vmath_trig.atan2(m, b + b, m.fma(1.0 - a, 1.0 + a, -square)) * 0.5


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
    "exp": exp,
    "log": log,
    "sqrt": sqrt,
    "sign": sign,
    "rsqrt": rsqrt,
    "expm1": expm1,
    "log1p": log1p,
    "log2": _scaled_log(1.4426950408889634),
    "log10": _scaled_log(0.4342944819032518),
    "pow": pow,
    "sinh": sinh,
    "cosh": cosh,
    "tanh": tanh,
    "sin": _turned(sinh),
    "cos": lambda m, x: cosh(m, (-x[1], x[0])),
    "tan": _turned(tanh),
    "asin": asin,
    "acos": acos,
    "acosh": acosh,
    "atanh": atanh,
    "asinh": _turned(asin),
    "atan": _turned(atanh),
}
