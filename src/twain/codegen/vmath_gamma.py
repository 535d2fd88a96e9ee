"""The gamma function and its relatives on vectors: lgamma, digamma, Hurwitz' zeta, the incomplete gamma and beta functions.

All computed in float64 (float32 arguments are widened, the result rounded once). Series and fractions run in loops until
every lane has converged, so that the code stays short.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from . import special_coefficients as c
from .vmath_base import Math, V
from .vmath_exp import exp, expm1, log, log1p
from .vmath_exp import pow as pow_any
from .vmath_special import erfc
from .vmath_trig import cos, sin

INFINITY = float("inf")
NAN = float("nan")
EPSILON = 2.0**-53
HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)


def in_double(function: Callable) -> Callable:
    """A function of float64 values for values of either type."""

    def computed(m: Math, *args: V) -> V:
        if args[0].t == "double":
            return function(m, *args)
        return m.to_float(function(m, *[m.to_double(a) for a in args]))

    computed.__doc__ = function.__doc__
    computed.__name__ = function.__name__
    return computed


def fitted(m: Math, x: V, table: tuple) -> V:
    """A polynomial of special_coefficients at x, which lies in its interval."""
    low, high, coefficients = table
    return m.polynomial(m.fma(x, 2.0 / (high - low), -(low + high) / (high - low)), coefficients)


def ones(m: Math) -> V:
    return m.const(1.0, "double")


def sin_pi(m: Math, x: V) -> V:
    """|sin(pi x)| for any x."""
    return sin(m, (x - m.rint(x)).abs() * math.pi)


# ---------------------------------------------------------------- lgamma, digamma
def _lgamma_near_two(m: Math, t: V) -> V:
    """lgamma(2 + t) for |t| <= 0.5."""
    return t * fitted(m, t, c.LGAMMA)


def _lgamma_of_one_plus(m: Math, t: V) -> V:
    """lgamma(1 + t) for |t| <= 0.5, exact for small t."""
    return _lgamma_near_two(m, t) - log1p(m, t)


def stirling_rest(m: Math, x: V) -> V:
    """lgamma(x) - ((x - 1/2) log x - x + log(2 pi) / 2) for x >= 8."""
    inverse = 1.0 / x
    return inverse * fitted(m, inverse * inverse, c.STIRLING)


def _lgamma_positive(m: Math, x: V) -> V:
    # x >= 8: Stirling. Below: moved into [1.5, 2.5) by factors, whose logarithm is added
    far = x >= 8.0
    large = m.select(far, x, 8.0)
    y = m.select(far, ones(m), x)
    factor = ones(m)
    for _ in range(6):
        again = y >= 2.5
        y = m.select(again, y - 1.0, y)
        factor = m.select(again, factor * y, factor)
    small = y < 0.5  # two steps up
    low = y < 1.5
    t = m.select(small, y, m.select(low, y - 1.0, y - 2.0))
    base = _lgamma_near_two(m, t)
    # One logarithm: of x in [8, ...); of the factor in [2.5, 8), to be added; of x = 1 + t in [0.5, 1.5) and of x (x + 1)
    # in (0, 0.5), where t is x itself, to be taken away.
    steps = m.select(small, m.select(x < 1e-300, x, x * (x + 1.0)), m.select(low, y, factor))
    shift = log(m, m.select(far, large, steps))
    stirling = m.fma(large - 0.5, shift - 1.0, stirling_rest(m, large) + (HALF_LOG_2PI - 0.5))
    stirling = m.select(x.eq(INFINITY), INFINITY, stirling)
    return m.select(far, stirling, m.select(low, base - shift, base + shift))


@in_double
def lgamma(m: Math, x: V) -> V:
    """log |Gamma(x)|; infinite at 0 and the negative integers."""
    size = x.abs()
    positive = _lgamma_positive(m, size)
    reflected = log(m, math.pi / (sin_pi(m, x) * size)) - positive
    pole = (x <= 0.0) & m.floor(x).eq(x)
    return m.select((x >= 0.0) | (size < 1e-17), positive, m.select(pole, INFINITY, reflected)) + m.select(
        x.is_nan(), x, 0.0
    )


@in_double
def digamma(m: Math, x: V) -> V:
    """The derivative of log Gamma; NaN at negative integers, infinite at 0 with the opposite sign."""
    negative = x < 0.0
    y = m.select(negative, 1.0 - x, x)
    # up to 10 or more: sum of 1 / (y + i) as one fraction
    top, bottom = m.const(0.0, "double"), ones(m)
    for _ in range(10):
        again = y < 10.0
        top = m.select(again, m.fma(top, y, bottom), top)
        bottom = m.select(again, bottom * y, bottom)
        y = m.select(again, y + 1.0, y)
    inverse = 1.0 / y
    z = inverse * inverse
    series = m.polynomial(z, [1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760, 1 / 12])
    result = log(m, y) - 0.5 * inverse - z * series - top / bottom
    rest = x - m.rint(x)
    angle = rest * math.pi
    reflection = math.pi * cos(m, angle) / sin(m, angle)
    result = m.select(negative, m.select(rest.eq(0.0), NAN, result - reflection), result)
    result = m.select(x.eq(0.0), m.copysign(m.const(INFINITY, "double"), -x), result)
    result = m.select(x.eq(INFINITY), INFINITY, result)
    return m.select(x.eq(-INFINITY), NAN, result)


# ---------------------------------------------------------------- zeta
@in_double
def zeta(m: Math, s: V, q: V) -> V:
    """Hurwitz' zeta: the sum of (q + k) ** -s, k = 0, 1, ...; Euler and Maclaurin's formula.

    NaN for s < 1, infinite for s = 1 and where a term is; negative q for whole s.
    """
    regular = (s > 1.0) & (q > -1e5) & (q < INFINITY) & (s < INFINITY)
    exponent = m.select(regular, -s, -2.0)
    start = m.select(regular, q, 1.0)

    def body(values: list[V]) -> tuple[V, list[V]]:
        total, a, left = values
        more = (left > 0.0) | (a <= 9.0)
        total = m.select(more, total + pow_any(m, a, exponent), total)
        a = m.select(more, a + 1.0, a)
        left = left - 1.0
        return (left > 0.0) | (a <= 9.0), [total, a, left]

    zero = m.const(0.0, "double")
    total, a, _ = m.loop_while([zero, start, m.const(9.0, "double")], body, regular)
    power = pow_any(m, a, exponent)
    p = -exponent
    before = total
    total = total + pow_any(m, a, exponent + 1.0) / (p - 1.0) + 0.5 * power
    # terms B_2k / (2k)! s (s+1) ... (s+2k-2) a^(-s-2k+1)
    inverse = 1.0 / a
    factor = power * p * inverse
    square = inverse * inverse
    for k, b in enumerate(c.EULER_MACLAURIN):
        total = m.fma(factor, b, total)
        factor = factor * ((p + (2 * k + 1.0)) * (p + (2 * k + 2.0)) * square)
    whole = m.floor(q).eq(q)
    result = m.select(power.eq(0.0) & (p > 2.0), before, total)
    result = m.select((q <= 0.0) & m.floor(s).ne(s) | (q <= -1e5), NAN, result)
    result = m.select((q <= 0.0) & whole, INFINITY, result)
    result = m.select(q.eq(INFINITY), 0.0, result)
    result = m.select(s.eq(INFINITY), m.select(q > 1.0, 0.0, m.select(q.eq(1.0), ones(m), INFINITY)), result)
    result = m.select(s.eq(1.0), INFINITY, m.select(s < 1.0, NAN, result))
    return m.select(s.is_nan() | q.is_nan(), s + q, result)


# ---------------------------------------------------------------- the incomplete gamma functions
def _log1p_minus(m: Math, x: V) -> V:
    """log(1 + x) - x, without cancellation for small x."""
    near = x.abs() < 0.4
    t = m.select(near, x, 0.0)
    # log(1+x) = 2 atanh(r), r = x / (2 + x), and 2 r - x = -x r
    r = t / (t + 2.0)
    z = r * r
    series = m.polynomial(z, [2.0 / (2 * k + 3) for k in range(16)])
    return m.select(near, m.fma(r * z, series, -t * r), log1p(m, x) - x)


def _gamma_factor(m: Math, a: V, x: V) -> V:
    """x^a exp(-x) / Gamma(a) for a > 0, x > 0."""
    far = a >= 8.0
    large = m.select(far, a, 8.0)
    mu = (m.select(far, x, 8.0) - large) / large
    exponent = large * _log1p_minus(m, mu) - stirling_rest(m, large)
    by_stirling = exp(m, exponent) * m.sqrt(large * (0.5 / math.pi))
    small = m.select(far, 1.0, a)
    tiny = small < 0.5
    # 1 / Gamma(a) = a / Gamma(1 + a)
    gamma = m.select(tiny, _lgamma_of_one_plus(m, m.select(tiny, small, 0.0)), _lgamma_positive(m, small))
    direct = exp(m, small * log(m, x) - x - gamma) * m.select(tiny, small, 1.0)
    return m.select(far, by_stirling, direct)


def _gamma_series(m: Math, a: V, x: V, active: V, epsilon: float) -> V:
    """P(a, x) Gamma(a) / (x^a exp(-x)) = (1/a) sum x^k / ((a+1) ... (a+k))."""

    def body(values: list[V]) -> tuple[V, list[V]]:
        term, total, r, left = values
        r = r + 1.0
        term = term * (x / r)
        total = total + term
        left = left - 1.0
        return active & (term > total * epsilon) & (left > 0.0), [term, total, r, left]

    # lanes that are done add terms too small to matter
    one = ones(m)
    found = m.loop_while([one, one, a, m.const(2000.0, "double")], body, active)
    return found[1] / a


def _gamma_fraction(m: Math, a: V, x: V, active: V, epsilon: float) -> V:
    """Q(a, x) Gamma(a) / (x^a exp(-x)) by Legendre's continued fraction (modified Lentz)."""

    def body(values: list[V]) -> tuple[V, list[V]]:
        b, d, quotient, result, k, go, left = values
        step = k * (a - k)
        b = b + 2.0
        d = 1.0 / m.fma(step, d, b)
        quotient = b + step / quotient
        change = d * quotient
        result = m.select(go > 0.0, result * change, result)
        left = left - 1.0
        more = active & ((change - 1.0).abs() > 2 * epsilon) & (left > 0.0) & (go > 0.0)
        return more, [b, d, quotient, result, k + 1.0, m.select(more, ones(m), 0.0), left]

    one = ones(m)
    b = x + 1.0 - a
    start = m.select(b.abs() < 1e-30, m.const(1e-30, "double"), b)
    far = m.const(1e300, "double")
    found = m.loop_while([b, 1.0 / start, far, 1.0 / start, one, one, m.const(2000.0, "double")], body, active)
    return found[3]


def _gamma_complement(m: Math, a: V, x: V) -> V:
    """Q(a, x) for small a and x < 1.1: 1 - x^a / Gamma(1 + a) (1 - a sum ...)."""
    total, factor = m.const(0.0, "double"), ones(m)
    for k in range(1, 21):
        factor = factor * (x * (-1.0 / k))
        total = total + factor / (a + float(k))
    near = m.select(a < 0.5, a, 0.0)
    gamma = m.select(a < 0.5, _lgamma_of_one_plus(m, near), _lgamma_positive(m, a + 1.0))
    exponent = a * log(m, x) - gamma
    return -expm1(m, exponent) - exp(m, exponent) * a * total


def _gamma_uniform(m: Math, a: V, x: V) -> tuple[V, V]:
    """(P, Q) for large a and x near it, by Temme's uniform expansion (1979)."""
    mu = (x - a) / a
    half_square = -_log1p_minus(m, mu)
    eta = m.copysign(m.sqrt(half_square + half_square), mu)
    inverse = 1.0 / a
    total = m.const(0.0, "double")
    for row in reversed(c.TEMME):
        total = m.fma(total, inverse, m.polynomial(eta, row))
    rest = exp(m, -a * half_square) * m.sqrt(inverse * (0.5 / math.pi)) * total
    y = eta * m.sqrt(a * 0.5)
    return 0.5 * erfc(m, -y) - rest, 0.5 * erfc(m, y) + rest


def _incomplete_gamma(m: Math, a: V, x: V, upper: bool) -> V:
    if a.t == "float":
        return m.to_float(_incomplete_gamma_to(m, m.to_double(a), m.to_double(x), upper, 2.0**-30))
    return _incomplete_gamma_to(m, a, x, upper, EPSILON)


def _incomplete_gamma_to(m: Math, a: V, x: V, upper: bool, epsilon: float) -> V:
    usable = (a > 0.0) & (a < INFINITY) & (x > 0.0) & (x < INFINITY)
    a0, x0 = m.select(usable, a, 1.0), m.select(usable, x, 1.0)
    uniform = (a0 > 200.0) & ((x0 - a0).abs() < 0.3 * a0)
    bound = m.const(-0.4, "double") / log(m, m.select(x0 < 0.5, x0, 0.5))
    small = m.select(x0 <= 0.5, bound >= a0, x0 * 1.1 >= a0)
    by_complement = ~uniform & (x0 <= 1.1) & small
    by_fraction = ~uniform & (x0 > 1.1) & (x0 >= a0)
    by_series = ~uniform & ~by_complement & ~by_fraction
    factor = _gamma_factor(m, a0, x0)
    zero = m.const(0.0, "double")
    one = ones(m)
    # lanes that take another way run on arguments that converge at once
    [series] = m.if_any(
        by_series & usable,
        [zero],
        lambda: [factor * _gamma_series(m, a0, m.select(by_series, x0, 0.0), by_series, epsilon)],
    )
    [fraction] = m.if_any(
        by_fraction & usable,
        [zero],
        lambda: [
            factor
            * _gamma_fraction(m, m.select(by_fraction, a0, 1.0), m.select(by_fraction, x0, 2.0), by_fraction, epsilon)
        ],
    )
    [complement] = m.if_any(
        by_complement & usable,
        [zero],
        lambda: [_gamma_complement(m, m.select(by_complement, a0, 1.0), m.select(by_complement, x0, 1.0))],
    )
    low, high = m.if_any(
        uniform & usable,
        [zero, zero],
        lambda: _gamma_uniform(m, m.select(uniform, a0, 1000.0), m.select(uniform, x0, 1000.0)),
    )
    if upper:
        result = m.select(by_series, one - series, m.select(by_fraction, fraction, m.select(uniform, high, complement)))
    else:
        result = m.select(
            by_series, series, m.select(by_fraction, one - fraction, m.select(uniform, low, one - complement))
        )
    at_zero, at_infinity = (1.0, 0.0) if upper else (0.0, 1.0)
    result = m.select(x.eq(0.0), at_zero, result)
    result = m.select(x.eq(INFINITY), at_infinity, result)
    result = m.select(a.eq(0.0), m.select(x > 0.0, m.const(at_infinity, "double"), NAN), result)
    result = m.select(a.eq(INFINITY), m.select(x.eq(INFINITY), NAN, m.const(at_zero, "double")), result)
    result = m.select((a < 0.0) | (x < 0.0), NAN, result)
    return m.select(a.is_nan() | x.is_nan(), a + x, result)


def gammainc(m: Math, a: V, x: V) -> V:
    """P(a, x): the regularised lower incomplete gamma function."""
    return _incomplete_gamma(m, a, x, False)


def gammaincc(m: Math, a: V, x: V) -> V:
    """Q(a, x) = 1 - P(a, x)."""
    return _incomplete_gamma(m, a, x, True)


# ---------------------------------------------------------------- the incomplete beta function
def _log_beta_factor(m: Math, a: V, b: V, x: V, y: V) -> V:
    """log of x^a y^b / B(a, b); each logarithm relative to where the product is largest, so that nothing large cancels."""
    n = a + b
    both = (a >= 8.0) & (b >= 8.0)
    a0, b0 = m.select(both, a, 8.0), m.select(both, b, 8.0)
    n0 = a0 + b0
    u = (m.select(both, x, 0.5) * b0 - a0 * m.select(both, y, 0.5)) / a0
    v = (a0 * m.select(both, y, 0.5) - m.select(both, x, 0.5) * b0) / b0
    # a log(x n / a) + b log(y n / b), whose linear parts cancel
    tails = stirling_rest(m, n0) - stirling_rest(m, a0) - stirling_rest(m, b0)
    large = a0 * _log1p_minus(m, u) + b0 * _log1p_minus(m, v) + tails
    large = large + 0.5 * log(m, a0 * b0 / n0) - HALF_LOG_2PI
    direct = a * log(m, x) + b * log(m, y)
    gammas = _lgamma_positive(m, n) - _lgamma_positive(m, a) - _lgamma_positive(m, b)
    return m.select(both, large, direct + gammas)


@in_double
def betainc(m: Math, a: V, b: V, x: V) -> V:
    """I_x(a, b): the regularised incomplete beta function, by its continued fraction (Lentz)."""
    usable = (a > 0.0) & (b > 0.0) & (x > 0.0) & (x < 1.0) & (a < INFINITY) & (b < INFINITY)
    a0, b0, x0 = m.select(usable, a, 1.0), m.select(usable, b, 1.0), m.select(usable, x, 0.5)
    # the fraction converges fast for x < (a + 1) / (a + b + 2): elsewhere 1 - I_(1-x)(b, a)
    swap = x0 * (a0 + b0 + 2.0) > a0 + 1.0
    p, q = m.select(swap, b0, a0), m.select(swap, a0, b0)
    z, w = m.select(swap, 1.0 - x0, x0), m.select(swap, x0, 1.0 - x0)
    tiny = 1e-300

    def away(v: V) -> V:
        return m.select(v.abs() < tiny, tiny, v)

    def body(values: list[V]) -> tuple[V, list[V]]:
        first, second, result, k, go = values
        twice = k + k
        even = k * (q - k) * z / ((p + twice - 1.0) * (p + twice))
        second = 1.0 / away(m.fma(even, second, 1.0))
        first = away(1.0 + even / first)
        change = second * first
        odd = -(p + k) * (p + q + k) * z / ((p + twice) * (p + twice + 1.0))
        second = 1.0 / away(m.fma(odd, second, 1.0))
        first = away(1.0 + odd / first)
        last = second * first
        result = m.select(go > 0.0, result * change * last, result)
        more = usable & (go > 0.0) & ((last - 1.0).abs() > 2 * EPSILON) & (k < 5000.0)
        return more, [first, second, result, k + 1.0, m.select(more, ones(m), 0.0)]

    one = ones(m)
    start = 1.0 / away(1.0 - (p + q) * z / (p + 1.0))
    found = m.loop_while([one, start, start, one, one], body, usable)
    value = exp(m, _log_beta_factor(m, p, q, z, w)) / p * found[2]
    result = m.select(swap, 1.0 - value, value)
    result = m.select(x.eq(0.0), 0.0, m.select(x.eq(1.0), one, result))
    bad = (a <= 0.0) | (b <= 0.0) | (x < 0.0) | (x > 1.0)
    result = m.select(bad | a.eq(INFINITY) | b.eq(INFINITY), NAN, result)
    return m.select(a.is_nan() | b.is_nan() | x.is_nan(), a + b + x, result)


FUNCTIONS = {f.__name__: f for f in (lgamma, digamma, zeta, gammainc, gammaincc, betainc)}
