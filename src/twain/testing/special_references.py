"""NumPy definitions of the ops in ops/special.py by ways of their own: integrals, plain sums, the standard library.

Good to about 1e-13 on the ops' samples, not beyond; tests/ops/test_special_accuracy.py measures against mpmath.
"""

from __future__ import annotations

import math
import statistics

import numpy as np

from .references import erfc


def _each(function):
    """A function of numbers for arrays; the result has float64 elements."""
    made = np.vectorize(function, otypes=["float64"])

    def on_arrays(*args):
        shape = np.broadcast_shapes(*[np.shape(a) for a in args])
        return made(*[np.asarray(a, dtype="float64") for a in args]).reshape(shape)

    return on_arrays


# ---------------------------------------------------------------- gamma and beta
lgamma = _each(math.lgamma)
_BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730)


def digamma(x):
    """Recurrence up to 30, then the asymptotic series."""
    x = np.asarray(x, dtype="float64")
    total = np.zeros_like(x)
    for _ in range(30):
        total = total - 1 / x
        x = x + 1
    return total + np.log(x) - 0.5 / x - sum(b / (2 * k * x ** (2 * k)) for k, b in enumerate(_BERNOULLI, 1))


def zeta(s, q):
    """100 terms and Euler and Maclaurin's rest."""
    s, q = np.asarray(s, dtype="float64"), np.asarray(q, dtype="float64")
    total = sum((q + k) ** -s for k in range(100))
    a = q + 100
    total = total + a ** (1 - s) / (s - 1) + 0.5 * a**-s + s * a ** (-s - 1) / 12
    return total - s * (s + 1) * (s + 2) * a ** (-s - 3) / 720


def polygamma(x, n):
    return (-1) ** (n + 1) * math.factorial(n) * zeta(n + 1.0, x)


def multigammaln(x, p):
    return p * (p - 1) / 4 * math.log(math.pi) + sum(lgamma(x - j / 2) for j in range(p))


def gammainc(a, x):
    """The power series of P."""
    a, x = np.asarray(a, dtype="float64"), np.asarray(x, dtype="float64")
    term = np.exp(a * np.log(x) - x - lgamma(a + 1))
    total = np.zeros_like(term)
    for k in range(1, 200):
        total = total + term
        term = term * x / (a + k)
    return total


def gammaincc(a, x):
    return 1 - gammainc(a, x)


def betaln(a, b):
    return lgamma(a) + lgamma(b) - lgamma(a + b)


def beta(a, b):
    return np.exp(betaln(a, b))


def betainc(a, b, x):
    """The series of x^a (1-b)_k x^k / (k! (a + k))."""
    a, b, x = (np.asarray(v, dtype="float64") for v in (a, b, x))
    term, total = np.ones(np.broadcast_shapes(a.shape, b.shape, x.shape)), 0.0
    for k in range(400):
        total = total + term / (a + k)
        term = term * (k + 1 - b) / (k + 1) * x
    return x**a * total / beta(a, b)


# ---------------------------------------------------------------- error functions
_normal = statistics.NormalDist()
ndtri = _each(_normal.inv_cdf)


def erfinv(x):
    return ndtri((np.asarray(x) + 1) / 2) / math.sqrt(2)


def erfcx(x):
    return np.exp(np.asarray(x) ** 2) * erfc(x)


def ndtr(x):
    return 0.5 * erfc(np.asarray(x) * -math.sqrt(0.5))


def log_ndtr(x):
    return np.log(ndtr(x))


# ---------------------------------------------------------------- Bessel: integrals, DLMF 10.9 and 10.32
_ANGLES = (np.arange(200) + 0.5) * math.pi / 200
_STEPS = np.arange(-600, 601) * 0.02


def _around(integrand, x):
    """The mean over [0, pi] of a smooth periodic function."""
    return integrand(np.asarray(x, dtype="float64")[..., None], _ANGLES).mean(-1)


def bessel_j0(x):
    return _around(lambda x, t: np.cos(x * np.sin(t)), x)


def bessel_j1(x):
    return _around(lambda x, t: np.cos(x * np.sin(t) - t), x)


def i0(x):
    return _around(lambda x, t: np.exp(x * np.cos(t)), x)


def i1(x):
    return _around(lambda x, t: np.exp(x * np.cos(t)) * np.cos(t), x)


def i0e(x):
    return np.exp(-np.abs(x)) * i0(x)


def i1e(x):
    return np.exp(-np.abs(x)) * i1(x)


def modified_bessel_k0(x):
    return 0.01 * np.exp(-np.asarray(x, dtype="float64")[..., None] * np.cosh(_STEPS)).sum(-1)


def modified_bessel_k1(x):
    return 0.01 * (np.exp(-np.asarray(x, dtype="float64")[..., None] * np.cosh(_STEPS)) * np.cosh(_STEPS)).sum(-1)


def scaled_modified_bessel_k0(x):
    return np.exp(x) * modified_bessel_k0(x)


def scaled_modified_bessel_k1(x):
    return np.exp(x) * modified_bessel_k1(x)


_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(80)


def _integral(integrand, low, high):
    t = (low + high) / 2 + (high - low) / 2 * _NODES
    return (integrand(t) * _WEIGHTS).sum(-1) * (high - low) / 2


def _second_kind(x, order):
    x = np.asarray(x, dtype="float64")[..., None]
    waves = _integral(lambda t: np.sin(x * np.sin(t) - order * t), 0, math.pi)
    tail = sum(
        _integral(
            lambda t: (np.exp(order * t) + (-1) ** order * np.exp(-order * t)) * np.exp(-x * np.sinh(t)), a, a + 1
        )
        for a in range(8)
    )
    return (waves - tail) / math.pi


def bessel_y0(x):
    return _second_kind(x, 0)


def bessel_y1(x):
    return _second_kind(x, 1)


def spherical_bessel_j0(x):
    return np.sinc(np.asarray(x) / math.pi)


def airy_ai(x):
    """The power series."""
    x = np.asarray(x, dtype="float64")
    even, odd, f, g = 0.0, 0.0, np.ones_like(x), x
    for k in range(0, 150, 3):
        even, odd = even + f, odd + g
        f, g = f * x**3 / ((k + 2) * (k + 3)), g * x**3 / ((k + 3) * (k + 4))
    return 3 ** (-2 / 3) / math.gamma(2 / 3) * even - 3 ** (-1 / 3) / math.gamma(1 / 3) * odd


# ---------------------------------------------------------------- orthogonal polynomials
def _by_coefficients(evaluate):
    def polynomial(x, n):
        one = _each(lambda x, n: evaluate(x, [0.0] * int(n) + [1.0]))
        return one(x, n)

    return polynomial


chebyshev_polynomial_t = _by_coefficients(np.polynomial.chebyshev.chebval)
hermite_polynomial_h = _by_coefficients(np.polynomial.hermite.hermval)
hermite_polynomial_he = _by_coefficients(np.polynomial.hermite_e.hermeval)
laguerre_polynomial_l = _by_coefficients(np.polynomial.laguerre.lagval)
legendre_polynomial_p = _by_coefficients(np.polynomial.legendre.legval)


def _by_angle(ratio):
    """Of x = cos(angle) inside of (-1, 1)."""
    return lambda x, n: ratio(np.arccos(np.asarray(x, dtype="float64")), np.trunc(n))


chebyshev_polynomial_u = _by_angle(lambda t, n: np.sin((n + 1) * t) / np.sin(t))
chebyshev_polynomial_v = _by_angle(lambda t, n: np.cos((n + 0.5) * t) / np.cos(t / 2))
chebyshev_polynomial_w = _by_angle(lambda t, n: np.sin((n + 0.5) * t) / np.sin(t / 2))


def _shifted(polynomial, slope_at_end):
    """At 2 x - 1, which may leave [-1, 1]: by the recurrence."""

    def at(x, n):
        x = 2 * np.asarray(x, dtype="float64") - 1
        n = np.trunc(n)
        before, now = np.ones(np.broadcast_shapes(x.shape, np.shape(n))), slope_at_end(x) + np.zeros(np.shape(n))
        result = np.where(n == 0, before, now)
        for k in range(2, 10):
            before, now = now, 2 * x * now - before
            result = np.where(n >= k, now, result)
        return result

    return at


shifted_chebyshev_polynomial_t = _shifted(chebyshev_polynomial_t, lambda x: x)
shifted_chebyshev_polynomial_u = _shifted(chebyshev_polynomial_u, lambda x: 2 * x)
shifted_chebyshev_polynomial_v = _shifted(chebyshev_polynomial_v, lambda x: 2 * x - 1)
shifted_chebyshev_polynomial_w = _shifted(chebyshev_polynomial_w, lambda x: 2 * x + 1)
