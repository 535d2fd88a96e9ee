"""Operations on complex values, pairs (real, imaginary) of vectors."""

from __future__ import annotations

from collections.abc import Callable

from . import vmath_exp, vmath_special, vmath_trig
from .vmath_base import Math, V

Pair = tuple[V, V]


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
}
