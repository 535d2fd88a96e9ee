"""Bessel and Airy functions, the inverse error function, scaled error functions and orthogonal polynomials on vectors.

Computed in float64 (float32 arguments are widened, the result rounded once) but where a function says otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from . import special_coefficients as c
from .vmath_base import Math, V
from .vmath_coefficients import ERFCX, EXP, NORMAL_TAIL
from .vmath_exp import exp, log, log1p, reduce_exp
from .vmath_gamma import fitted, in_double, ones
from .vmath_special import erfc
from .vmath_trig import cos, sin

INFINITY = float("inf")
NAN = float("nan")
TWO_OVER_PI = 2.0 / math.pi


# ---------------------------------------------------------------- modified Bessel functions
def _scaled_i0(m: Math, a: V) -> V:
    """exp(-a) I0(a), a >= 0."""
    near = a <= 8.0
    large = m.select(near, 8.0, a)
    tail = fitted(m, 1.0 / large, c.I0E_TAIL) / m.sqrt(large)
    return m.select(near, fitted(m, m.clamp_high(a, 8.0), c.I0E), tail)


def _scaled_i1(m: Math, a: V) -> V:
    near = a <= 8.0
    large = m.select(near, 8.0, a)
    tail = fitted(m, 1.0 / large, c.I1E_TAIL) / m.sqrt(large)
    small = m.clamp_high(a, 8.0)
    return m.select(near, small * fitted(m, small, c.I1E), tail)


def _unscaled(m: Math, value: V, a: V) -> V:
    """value exp(a), where exp(a) alone may overflow."""
    half = exp(m, a * 0.5)
    return m.select(a.eq(INFINITY), INFINITY, value * half * half)


def _with_nan(m: Math, x: V, result: V) -> V:
    return m.select(x.is_nan(), x, result)


@in_double
def i0(m: Math, x: V) -> V:
    """Modified Bessel function of the first kind, order 0."""
    return _with_nan(m, x, _unscaled(m, _scaled_i0(m, x.abs()), x.abs()))


@in_double
def i0e(m: Math, x: V) -> V:
    """exp(-|x|) I0(x)."""
    return _with_nan(m, x, _scaled_i0(m, x.abs()))


@in_double
def i1(m: Math, x: V) -> V:
    """Modified Bessel function of the first kind, order 1."""
    return _with_nan(m, x, m.copysign(_unscaled(m, _scaled_i1(m, x.abs()), x.abs()), x))


@in_double
def i1e(m: Math, x: V) -> V:
    """exp(-|x|) I1(x)."""
    return _with_nan(m, x, m.copysign(_scaled_i1(m, x.abs()), x))


def _k(m: Math, x: V, order: int, scaled: bool) -> V:
    near = x <= 2.0
    small = m.select(near & (x > 0.0), x, 2.0)
    square = small * small
    logarithm = log(m, small * 0.5)
    if order == 0:
        low = fitted(m, square, c.K0_NEAR) - logarithm * fitted(m, square, c.I0_NEAR)
    else:
        low = fitted(m, square, c.K1_NEAR) / small + logarithm * small * fitted(m, square, c.I1_NEAR)
    large = m.select(near, 2.0, x)
    high = fitted(m, 2.0 / large, c.K0_TAIL if order == 0 else c.K1_TAIL) / m.sqrt(large)
    if scaled:
        low = low * exp(m, small)
    else:
        high = high * exp(m, -large)
    result = m.select(near, low, high)
    result = m.select(x.eq(INFINITY), 0.0, m.select(x.eq(0.0), INFINITY, m.select(x < 0.0, NAN, result)))
    return _with_nan(m, x, result)


@in_double
def k0(m: Math, x: V) -> V:
    """Modified Bessel function of the second kind, order 0; infinite at 0, NaN below."""
    return _k(m, x, 0, False)


@in_double
def k0e(m: Math, x: V) -> V:
    """exp(x) K0(x)."""
    return _k(m, x, 0, True)


@in_double
def k1(m: Math, x: V) -> V:
    """Modified Bessel function of the second kind, order 1; infinite at 0, NaN below."""
    return _k(m, x, 1, False)


@in_double
def k1e(m: Math, x: V) -> V:
    """exp(x) K1(x)."""
    return _k(m, x, 1, True)


# ---------------------------------------------------------------- Bessel functions
def _near_zeros(m: Math, a: V, order: int) -> V:
    """J(a) for 0 <= a <= 5: a polynomial times the factors of the first two zeros."""
    table, zeros = (c.J0, c.J0_ZEROS) if order == 0 else (c.J1, c.J1_ZEROS)
    result = fitted(m, a * a, table)
    for high, low in zeros:
        result = result * ((a - high) - low) * (a + high)
    return result if order == 0 else result * a


def _waves(m: Math, a: V, order: int) -> tuple[V, V]:
    """(J(a), Y(a)) for a >= 5."""
    z = 5.0 / a
    z = z * z
    p = fitted(m, z, c.P0 if order == 0 else c.P1)
    q = fitted(m, z, c.Q0 if order == 0 else c.Q1) / a
    s, co = sin(m, a), cos(m, a)
    # sin and cos of a - pi/4 (order 0) and a - 3 pi/4 (order 1), both times sqrt(2)
    phase_sin, phase_cos = (s - co, s + co) if order == 0 else (-(s + co), s - co)
    scale = m.sqrt(1.0 / (a * math.pi))
    return scale * (p * phase_cos - q * phase_sin), scale * (p * phase_sin + q * phase_cos)


def _j(m: Math, x: V, order: int) -> V:
    a = x.abs()
    near = a <= 5.0
    far = m.select(near | a.eq(INFINITY), 5.0, a)
    result = m.select(near, _near_zeros(m, m.clamp_high(a, 5.0), order), _waves(m, far, order)[0])
    result = m.select(a.eq(INFINITY), 0.0, result)
    return _with_nan(m, x, result if order == 0 else m.select(x < 0.0, -result, result))


def _y(m: Math, x: V, order: int) -> V:
    near = x <= 5.0
    small = m.select(near & (x > 0.0), x, 5.0)
    square = small * small
    j = _near_zeros(m, small, order)
    if order == 0:
        low = fitted(m, square, c.Y0) + TWO_OVER_PI * log(m, small) * j
    else:
        low = small * fitted(m, square, c.Y1) + TWO_OVER_PI * (log(m, small) * j - 1.0 / small)
    far = m.select(near | x.eq(INFINITY), 5.0, x)
    result = m.select(near, low, _waves(m, far, order)[1])
    result = m.select(x.eq(INFINITY), 0.0, m.select(x.eq(0.0), -INFINITY, m.select(x < 0.0, NAN, result)))
    return _with_nan(m, x, result)


@in_double
def j0(m: Math, x: V) -> V:
    """Bessel function of the first kind, order 0."""
    return _j(m, x, 0)


@in_double
def j1(m: Math, x: V) -> V:
    """Bessel function of the first kind, order 1."""
    return _j(m, x, 1)


@in_double
def y0(m: Math, x: V) -> V:
    """Bessel function of the second kind, order 0; minus infinity at 0, NaN below."""
    return _y(m, x, 0)


@in_double
def y1(m: Math, x: V) -> V:
    """Bessel function of the second kind, order 1; minus infinity at 0, NaN below."""
    return _y(m, x, 1)


@in_double
def airy_ai(m: Math, x: V) -> V:
    """Airy's function Ai."""
    a = x.abs()
    middle = (x <= 2.0) & (x >= -4.5)
    y = m.select(middle, x, 0.0)
    cube = y * y * y
    inside = c.AIRY_AT_0 * fitted(m, cube, c.AIRY_EVEN) - c.AIRY_SLOPE_AT_0 * y * fitted(m, cube, c.AIRY_ODD)
    far = m.select(middle | a.eq(INFINITY), 9.0, a)
    root = m.sqrt(far)
    zeta = far * root * (2.0 / 3.0)
    scale = 1.0 / m.sqrt(root * math.pi)
    right = m.select(x > 0.0, zeta, 10.0)
    above = 0.5 * scale * exp(m, -right) * fitted(m, 1.0 / right, c.AIRY_TAIL)
    left = m.select(x < 0.0, zeta, 10.0)
    inverse = 1.0 / left
    square = inverse * inverse
    s, co = sin(m, left), cos(m, left)
    half = math.sqrt(0.5)
    p = fitted(m, square, c.AIRY_P)
    q = fitted(m, square, c.AIRY_Q) * inverse
    below = scale * half * (p * (s + co) - q * (co - s))
    result = m.select(middle, inside, m.select(x > 0.0, above, below))
    return _with_nan(m, x, m.select(a.eq(INFINITY), 0.0, result))


# ---------------------------------------------------------------- error functions
# Per element type: the pieces of erfinv(x) / x, the first in w = -log(1 - x^2), the others in sqrt(w).
_RATIO = {
    "double": (c.ERFINV, c.ERFINV_MIDDLE, c.ERFINV_FAR, c.ERFINV_TAIL),
    "float": (c.ERFINV_FLOAT, c.ERFINV_MIDDLE_FLOAT, c.ERFINV_FAR_FLOAT),
}


def _inverse_ratio(m: Math, w: V) -> V:
    """erfinv(x) / x at w = -log(1 - x^2)."""
    first, *rest = _RATIO[w.t]
    near = fitted(m, m.clamp_high(w, first[1]), first)

    def rare() -> list[V]:
        root = m.sqrt(w)
        found = None
        for table in reversed(rest):
            value = fitted(m, m.clamp_low(m.clamp_high(root, table[1]), table[0]), table)
            found = value if found is None else m.select(root <= table[1], value, found)
        return [m.select(w <= first[1], near, found)]

    return m.if_any(w > first[1], [near], rare)[0]


def erfinv(m: Math, x: V) -> V:
    """The inverse of erf on (-1, 1); infinite at the ends, NaN beyond."""
    a = x.abs()
    inside = a < 1.0
    y = m.select(inside, x, 0.0)
    if x.t == "float":  # 1 - x^2 is rounded once, which is enough
        w = -log(m, m.exact_fma(-y, y, 1.0))
    else:
        w = -log1p(m, -(y * y))
        w = m.select(a > 0.5, -log(m, (1.0 - y.abs()) * (1.0 + y.abs())), w)
    result = y * _inverse_ratio(m, w)
    return m.select(inside, result, m.select(a.eq(1.0), m.copysign(m.const(INFINITY, x.t), x), x * NAN))


def ndtri(m: Math, p: V) -> V:
    """The quantile of the standard normal distribution, for p in [0, 1]."""
    inside = (p > 0.0) & (p < 1.0)
    y = m.select(inside, p, 0.5)
    low = y < 0.5
    least = m.select(low, y, 1.0 - y)  # exact for p >= 0.5
    x = 1.0 - (least + least)
    w = -log(m, least * 4.0 * (1.0 - least))
    w = m.clamp_low(w, 0.0)
    if p.t == "double":  # near the median w itself loses digits: there from x
        w = m.select(x < 0.5, -log1p(m, -(x * x)), w)
    size = x * _inverse_ratio(m, w) * math.sqrt(2.0)
    result = m.select(low, -size, size)
    result = m.select(p.eq(0.0), -INFINITY, m.select(p.eq(1.0), INFINITY, m.select(inside, result, NAN)))
    return _with_nan(m, p, result)


_ERFCX_END = {"float": 10.0, "double": 27.0}


def _erfcx_far(m: Math, x: V) -> V:
    """erfcx(x) for x >= 0.75."""
    end = _ERFCX_END[x.t]
    a = m.clamp_high(x, end)
    tail = m.polynomial((a - 4.0) / (a + 4.0), ERFCX[x.t]) / (1.0 + 2.0 * a)
    inverse = 1.0 / m.clamp_low(x, end)
    series = m.polynomial(inverse * inverse, [1.0, -0.5, 0.75, -1.875, 6.5625, -29.53125])
    return m.select(x > end, inverse * series * (1.0 / math.sqrt(math.pi)), tail)


def erfcx(m: Math, x: V) -> V:
    """exp(x^2) erfc(x)."""
    far = x >= 0.75
    lowest = -9.5 if x.t == "float" else -26.7  # infinite below
    near = m.select(far, 0.0, m.clamp_low(x, lowest))
    square, error = m.two_product(near, near)
    e = exp(m, square)
    close = m.fma(e, error, e) * erfc(m, near)
    result = m.select(far, _erfcx_far(m, m.select(far, x, 1.0)), m.select(x < lowest, INFINITY, close))
    return _with_nan(m, x, result)


# sqrt(1/2) in each precision, and what is missing.
_ROOT_HALF = {
    "float": (0.7071067690849304, 1.210161710447897e-08),
    "double": (0.7071067811865476, -4.833646656726457e-17),
}


def _erfc_of_half(m: Math, x: V) -> tuple[V, V]:
    """(y, erfc(y)) of y = -x / sqrt(2), erfc corrected for the rounding of y."""
    high, low = _ROOT_HALF[x.t]
    y = x * -high
    missing = m.exact_fma(x, -high, -y) - x * low
    value = erfc(m, y)
    # the logarithm of erfc falls by about 2 y per unit
    steep = m.select(y > 0.0, y + y, 1.0) * missing
    return y, m.fma(-value, m.select(steep.abs() < 0.5, steep, 0.0), value)


def ndtr(m: Math, x: V) -> V:
    """The standard normal distribution function; gelu multiplies by it, so float32 isn't widened."""
    if x.t == "double":
        return 0.5 * _erfc_of_half(m, x)[1]
    a = m.clamp_high(x.abs(), 14.3)
    divisor = a + 2.5
    inverse = 1.0 / divisor
    p = m.polynomial(a * inverse, NORMAL_TAIL["float"])
    high = p * inverse
    low = m.exact_fma(-high, divisor, p) * inverse
    square, error = m.two_product(a, 0.5 * a)
    bits, r = reduce_exp(m, -square)
    r = r - error
    e = m.fma(m.polynomial(r, EXP["float"]), r * r, r)  # exp(r) - 1
    tail = m.scale_by_power(high + m.fma(high, e, low), bits)
    return _with_nan(m, x, m.select(x > 0.0, 1.0 - tail, tail))


def log_ndtr(m: Math, x: V) -> V:
    """log of the standard normal distribution function, also where that underflows."""
    low = x < -1.0625  # -x / sqrt(2) > 0.75
    y = m.select(low, x, -2.0) * -math.sqrt(0.5)
    below = log(m, 0.5 * _erfcx_far(m, y))
    square, error = m.two_product(x, x)
    below = m.select(square < INFINITY, below - 0.5 * square - 0.5 * error, -INFINITY)
    above = log1p(m, -0.5 * _erfc_of_half(m, m.select(low, 1.0, -x))[1])
    return _with_nan(m, x, m.select(low, below, above))


# ---------------------------------------------------------------- orthogonal polynomials
def _recurrence(first: Callable, step: Callable, shifted: bool = False) -> Callable:
    """p_n(x) from p_0 = 1, p_1 = first(x) and p_(k+1) = step(k, x, p_k, p_(k-1)); 0 for n < 0."""

    @in_double
    def polynomial(m: Math, x: V, n: V) -> V:
        if shifted:
            x = x + x - 1.0
        n = m.trunc(n)
        one = ones(m)

        def body(values: list[V]) -> tuple[V, list[V]]:
            k, current, previous = values
            more = k < n
            new = step(k, x, current, previous)
            current, previous = m.select(more, new, current), m.select(more, current, previous)
            k = m.select(more, k + 1.0, k)
            return (k < n) & (k < 100000.0), [k, current, previous]

        found = m.loop_while([one, first(x), one], body, n > 1.0)
        return m.select(n < 0.0, 0.0, m.select(n.eq(0.0), one, found[1]))

    return polynomial


def _chebyshev(k: V, x: V, p: V, q: V) -> V:
    return x * p * 2.0 - q


POLYNOMIALS = {
    "chebyshev_t": _recurrence(lambda x: x, _chebyshev),
    "chebyshev_u": _recurrence(lambda x: x + x, _chebyshev),
    "chebyshev_v": _recurrence(lambda x: x + x - 1.0, _chebyshev),
    "chebyshev_w": _recurrence(lambda x: x + x + 1.0, _chebyshev),
    "shifted_chebyshev_t": _recurrence(lambda x: x, _chebyshev, True),
    "shifted_chebyshev_u": _recurrence(lambda x: x + x, _chebyshev, True),
    "shifted_chebyshev_v": _recurrence(lambda x: x + x - 1.0, _chebyshev, True),
    "shifted_chebyshev_w": _recurrence(lambda x: x + x + 1.0, _chebyshev, True),
    "hermite_h": _recurrence(lambda x: x + x, lambda k, x, p, q: 2.0 * (x * p - k * q)),
    "hermite_he": _recurrence(lambda x: x, lambda k, x, p, q: x * p - k * q),
    "laguerre": _recurrence(lambda x: 1.0 - x, lambda k, x, p, q: ((k + k + 1.0 - x) * p - k * q) / (k + 1.0)),
    "legendre": _recurrence(lambda x: x, lambda k, x, p, q: ((k + k + 1.0) * x * p - k * q) / (k + 1.0)),
}

UNARY = {
    f.__name__: f
    for f in (i0, i0e, i1, i1e, k0, k0e, k1, k1e, j0, j1, y0, y1, airy_ai, erfinv, ndtr, ndtri, erfcx, log_ndtr)
}
FUNCTIONS = {**UNARY, **POLYNOMIALS}
