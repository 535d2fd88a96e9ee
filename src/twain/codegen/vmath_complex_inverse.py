"""Roots, logarithms and inverse functions of complex values, pairs (real, imaginary) of vectors of double precision.

Formulas: Kahan, "Branch cuts for complex elementary functions" (1987). Numbers so large or small that squares leave
the range take rare branches, as infinities and NaN do.
"""

from __future__ import annotations

from collections.abc import Callable

from . import vmath_exp, vmath_special, vmath_trig
from .vmath_base import Math, V

Pair = tuple[V, V]

INFINITY = float("inf")
NAN = float("nan")
LN2 = vmath_exp.LN2
HUGE, TINY = 2.0**500, 2.0**-500


def in_double(rule: Callable) -> Callable:
    """`rule` for parts of either precision: single ones are computed in double precision, which has room for squares."""

    def wide(m: Math, *args: Pair) -> Pair:
        if args[0][0].t == "double":
            return rule(m, *args)
        real, imaginary = rule(m, *[(m.to_double(x[0]), m.to_double(x[1])) for x in args])
        return m.to_float(real), m.to_float(imaginary)

    return wide


@in_double
def sqrt(m: Math, x: Pair) -> Pair:
    """The root with non-negative real part."""
    a, b = x
    large = m.select(a.abs() < b.abs(), b.abs(), a.abs())
    scale = m.select(
        large > HUGE, m.const(2.0**-600, "double"), m.select(large < TINY, m.const(2.0**600, "double"), 1.0)
    )
    back = m.select(
        large > HUGE, m.const(2.0**300, "double"), m.select(large < TINY, m.const(2.0**-300, "double"), 1.0)
    )
    u, v = a.abs() * scale, b.abs() * scale
    root = m.sqrt((vmath_special.hypot(m, u, v) + u) * 0.5)
    other = m.select(root.eq(0.0), root, v * 0.5 / root)
    left = a.sign_bit().ne(0) & ~a.is_nan()
    root, other = root * back, other * back

    def slow() -> list[V]:
        # an infinite imaginary part wins over everything, an infinite real part over numbers
        real, imaginary = m.select(left, other, root), m.select(left, root, other)
        wide = a.abs().eq(INFINITY)
        nan = m.const(NAN, "double")
        zero = m.select(b.is_nan(), nan, 0.0)
        real = m.select(wide, m.select(left, zero, INFINITY), real)
        imaginary = m.select(wide, m.select(left, m.const(INFINITY, "double"), zero), imaginary)
        tall = b.abs().eq(INFINITY)
        return [m.select(tall, INFINITY, real), m.select(tall, INFINITY, imaginary)]

    odd = ~((a.abs() < INFINITY) & (b.abs() < INFINITY))
    real, imaginary = m.if_any(odd, [m.select(left, other, root), m.select(left, root, other)], slow)
    return real, m.copysign(imaginary, b)


def _log_size(m: Math, a: V, b: V) -> V:
    """log |a + bi|, also where |a + bi| is near 1 or leaves the range."""
    size = vmath_special.hypot(m, a, b)
    # near 1: log1p of a^2 + b^2 - 1, with the rounding errors of the squares
    near = (size > 0.5) & (size < 2.0)
    swap = a.abs() < b.abs()
    u, v = m.select(swap, b, a), m.select(swap, a, b)
    square, error = m.two_product(u, u)
    other, other_error = m.two_product(v, v)
    total, rest = m.two_sum(square - 1.0, other)
    gap = total + (rest + (error + other_error))
    gap = m.select(near, gap, 0.0)
    extreme = ~((size < 2.0**1000) & (size > 2.0**-1000))

    def slow() -> list[V]:
        up, down = size > 1.0, m.const(1.0, "double")
        scale = m.select(up, m.const(2.0**-200, "double"), 2.0**200)
        scaled = vmath_exp.log(m, vmath_special.hypot(m, a * scale, b * scale))
        moved = scaled + m.select(up, down * (200.0 * LN2), -200.0 * LN2)
        usable = (scaled.abs() < INFINITY) & extreme
        return [m.select(usable, moved, vmath_exp.log(m, size))]

    far = m.if_any(extreme, [vmath_exp.log(m, size)], slow)[0]
    return m.select(near, vmath_exp.log1p(m, gap) * 0.5, far)


def log_wide(m: Math, x: Pair) -> Pair:
    """log|x| + i angle(x), parts in double precision."""
    return _log_size(m, *x), vmath_trig.atan2(m, x[1], x[0])


log = in_double(log_wide)


@in_double
def log1p(m: Math, x: Pair) -> Pair:
    """log(1 + x), accurate near 0."""
    a, b = x
    moved = a + 1.0
    size = vmath_special.hypot(m, moved, b)
    near = (size > 0.5) & (size < 2.0)
    # (1+a)^2 + b^2 - 1 = 2a + a^2 + b^2, with the rounding errors of the squares
    square, error = m.two_product(a, a)
    other, other_error = m.two_product(b, b)
    total, rest = m.two_sum(a + a, square)
    total, more = m.two_sum(total, other)
    gap = m.select(near, total + (rest + (more + (error + other_error))), 0.0)
    real = m.select(near, vmath_exp.log1p(m, gap) * 0.5, _log_size(m, moved, b))
    return real, vmath_trig.atan2(m, b, moved)


def _far_log(m: Math, a: V, b: V) -> V:
    """log(2 |a + bi|) of a large value."""
    return _log_size(m, a, b) + LN2


def _far(m: Math, x: Pair) -> V:
    """Where a square may leave the range, or a part is no number."""
    return ~((x[0].abs() < HUGE) & (x[1].abs() < HUGE))


@in_double
def acos(m: Math, x: Pair) -> Pair:
    """By square roots of 1 - x and 1 + x, which keep their digits at the branch points."""
    a, b = x
    low, high = sqrt(m, (1.0 - a, -b)), sqrt(m, (1.0 + a, b))
    cross = m.exact_fma(high[0], low[1], -(high[1] * low[0]))
    plain = [vmath_trig.atan2(m, low[0], high[0]) * 2.0, vmath_exp.asinh(m, cross)]

    def slow() -> list[V]:
        far = _far(m, x)
        real = m.select(far, vmath_trig.atan2(m, b.abs(), a), plain[0])
        real = m.select(a.eq(0.0) & b.is_nan(), vmath_trig.HALF_PI[0], real)
        return [real, m.select(far, -m.copysign(_far_log(m, a, b), b), plain[1])]

    real, imaginary = m.if_any(_far(m, x), plain, slow)
    return real, imaginary


@in_double
def acosh(m: Math, x: Pair) -> Pair:
    """i acos(x) or its negative, whichever has a positive real part."""
    real, imaginary = acos(m, x)
    return imaginary.abs(), m.copysign(real, x[1])


@in_double
def asinh(m: Math, x: Pair) -> Pair:
    """By square roots of 1 + ix and 1 - ix; asin(x) = -i asinh(ix)."""
    a, b = x
    # asin(w) for w = -ix = (b, -a) gives asinh(x) = i asin(w)
    low, high = sqrt(m, (1.0 - b, a)), sqrt(m, (1.0 + b, -a))
    product = m.exact_fma(low[0], high[0], -(low[1] * high[1]))
    cross = m.exact_fma(high[0], low[1], -(high[1] * low[0]))
    plain = [m.copysign(vmath_exp.asinh(m, cross), a), m.copysign(vmath_trig.atan2(m, b, product), b)]

    def slow() -> list[V]:
        far = _far(m, x)
        real = m.select(far, m.copysign(_far_log(m, a, b), a), plain[0])
        imaginary = m.select(far, vmath_trig.atan2(m, b, a.abs()), plain[1])
        return [real, m.select(a.is_nan() & b.eq(0.0), b, imaginary)]

    real, imaginary = m.if_any(_far(m, x), plain, slow)
    return real, imaginary


@in_double
def atanh(m: Math, x: Pair) -> Pair:
    """log1p(4|a| / ((1-|a|)^2 + b^2)) / 4, and half the angle of (1-a^2-b^2, 2b)."""
    a, b = x
    size, square = a.abs(), b * b
    real = vmath_exp.log1p(m, size * 4.0 / m.fma(1.0 - size, 1.0 - size, square)) * 0.25
    imaginary = vmath_trig.atan2(m, b + b, m.exact_fma(1.0 - a, 1.0 + a, -square)) * 0.5
    pole = size.eq(1.0) & (b.abs() < TINY)
    odd = _far(m, x) | pole

    def slow() -> list[V]:
        far = _far(m, x)
        distance = vmath_special.hypot(m, a, b)
        share = m.select(distance.eq(INFINITY), m.const(0.0, "double"), size / distance / distance)
        best = m.select(pole, (LN2 - vmath_exp.log(m, b.abs())) * 0.5, m.select(far, share, real))
        quarter = m.select(
            b.is_nan() | (a.is_nan() & (b.abs() < INFINITY)), NAN, m.const(vmath_trig.HALF_PI[0], "double")
        )
        best = m.select(a.eq(0.0) & b.is_nan(), a, best)
        return [best, m.select(far, quarter, imaginary)]

    real, imaginary = m.if_any(odd, [real, imaginary], slow)
    return m.copysign(real, a), m.copysign(imaginary, b)
