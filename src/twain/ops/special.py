"""Special functions: gamma and beta and their incomplete forms, Bessel, error functions and their inverses, zeta, orthogonal
polynomials. Names are torch.special's. Sources: DLMF (dlmf.nist.gov) for definitions and derivatives.

Computed in float64 inside, so float32 results are within an ulp or two; float64 results within about 1e-14, relative to
the function's size nearby (zeros) and to its exponent's size where it is an exponential of large numbers.
"""

from __future__ import annotations

import math

from ..base import dtypes as dt
from ..base.errors import GradientError, ValueRangeError
from ..base.shapes import as_index
from .elementwise import abs as abs_
from .elementwise import (
    divide,
    equal,
    exp,
    log,
    log1p,
    multiply,
    negative,
    sign,
    sin,
    subtract,
    where,
)
from .families import binary, composite, elementwise, unary
from .nn.rules import floating, in_float32
from .samples import Samples

_REFERENCES = "twain.testing.special_references."
_ROOT_PI = math.sqrt(math.pi)


def _special(name: str, kernel: str, low: float, high: float, derivative=None, doc: str = ""):
    """A function of one real value; ints count as the default float."""
    return unary(name, lambda k, x: getattr(k, kernel)(x), dtypes=dt.FLOATING, to_float=True, derivative=derivative,
                 reference=_REFERENCES + name, samples=Samples(((low, high),), special=False), doc=doc)  # fmt: skip


def _unknown(name: str, operand: str):
    def rule(g, *values):
        raise GradientError(f"[{name}] expected {operand} without a gradient: the derivative by it is not implemented")

    return rule


# ---------------------------------------------------------------- gamma
lgamma = _special("lgamma", "lgamma", 0.1, 10, lambda x, y: digamma(x),
                  "log |Gamma(x)|; infinite at 0 and the negative integers.")  # fmt: skip
digamma = _special("digamma", "digamma", 0.5, 10, lambda x, y: zeta(2.0, x),
                   "The derivative of log Gamma; NaN at negative integers.")  # fmt: skip
zeta = binary(
    "zeta", lambda k, s, q: k.zeta(s, q), dtypes=dt.FLOATING, to_float=True, names=("x", "q"),
    pullbacks=(_unknown("zeta", "x"), lambda g, s, q, z: negative(g * s * zeta(s + 1.0, q))),
    reference=_REFERENCES + "zeta", samples=Samples(((1.5, 6), (0.5, 5)), special=False),
    doc="Hurwitz' zeta function: the sum of (q + k) ** -x over k = 0, 1, ...; NaN for x < 1, infinite for x = 1.",
)  # fmt: skip


def _polygamma(n, x):
    """The n-th derivative of digamma, n >= 0."""
    x = floating(x)
    if n == 0:
        return digamma(x)
    if n > 170:
        raise ValueRangeError(f"[polygamma] expected n of at most 170, got {n}")
    return multiply(zeta(n + 1.0, x), math.factorial(n) * (1.0 if n % 2 else -1.0))


def _polygamma_attributes(n):
    if as_index("polygamma", "n", n) < 0:
        raise ValueRangeError(f"[polygamma] expected n of at least 0, got {n}")
    return n


polygamma_op = composite("polygamma", 1, in_float32(_polygamma),
                         errors=(((-1,), {}, "[polygamma]"), ((1.5,), {}, "[polygamma]")),
                         attributes=_polygamma_attributes, names=("x",),
                         reference=_REFERENCES + "polygamma", samples=Samples(
                             ((0.5, 5),), arguments=(((1,), {}), ((3,), {})), shapes=(((3, 4),),)))  # fmt: skip


def polygamma(n: int, x):
    """The n-th derivative of digamma at x; n an int of at least 0 (0: digamma itself)."""
    return polygamma_op(x, n)


def _multigammaln(p, x):
    """log of the multivariate gamma function of dimension p; x > (p - 1) / 2."""
    x = floating(x)
    total = lgamma(x)
    for j in range(1, p):
        total = total + lgamma(x - j / 2)
    return total + p * (p - 1) / 4 * math.log(math.pi)


def _multigammaln_attributes(p):
    if not 1 <= as_index("multigammaln", "p", p) <= 10_000:
        raise ValueRangeError(f"[multigammaln] expected p from 1 to 10,000, got {p}")
    return p


multigammaln = composite("multigammaln", 1, in_float32(_multigammaln),
                         errors=(((0,), {}, "[multigammaln]"),),
                         attributes=_multigammaln_attributes, names=("x",),
                         reference=_REFERENCES + "multigammaln", samples=Samples(
                             ((2, 5),), arguments=(((3,), {}),), shapes=(((3, 4),),)))  # fmt: skip


def _gamma_density(a, x):
    """x ** (a - 1) exp(-x) / Gamma(a)."""
    return exp((a - 1.0) * log(x) - x - lgamma(a))


gammainc = binary(
    "gammainc", lambda k, a, x: k.gammainc(a, x), dtypes=dt.FLOATING, to_float=True,
    pullbacks=(_unknown("gammainc", "x1"), lambda g, a, x, z: g * _gamma_density(a, x)),
    reference=_REFERENCES + "gammainc", samples=Samples(((0.2, 6), (0.1, 9)), special=False),
    doc="P(x1, x2): the regularised lower incomplete gamma function; NaN for negative operands.",
)  # fmt: skip
gammaincc = binary(
    "gammaincc", lambda k, a, x: k.gammaincc(a, x), dtypes=dt.FLOATING, to_float=True,
    pullbacks=(_unknown("gammaincc", "x1"), lambda g, a, x, z: negative(g * _gamma_density(a, x))),
    reference=_REFERENCES + "gammaincc", samples=Samples(((0.2, 6), (0.1, 9)), special=False),
    doc="Q(x1, x2) = 1 - P(x1, x2): the regularised upper incomplete gamma function.",
)  # fmt: skip


# ---------------------------------------------------------------- beta
def _betaln(attrs, a, b):
    """log of the beta function: lgamma(x1) + lgamma(x2) - lgamma(x1 + x2)."""
    a, b = floating(a), floating(b)
    return subtract(lgamma(a) + lgamma(b), lgamma(a + b))


betaln = composite("betaln", 2, in_float32(_betaln),
    errors=(((), {}, "(4, 5)", ((None, (2, 3)), (None, (4, 5)))),),
    reference=_REFERENCES + "betaln",
                   samples=Samples(((0.5, 5), (0.5, 5)), shapes=(((3, 4), (4,)),)))  # fmt: skip
beta = composite("beta", 2, in_float32(lambda attrs, a, b: exp(_betaln(attrs, a, b))),
    errors=(((), {}, "(4, 5)", ((None, (2, 3)), (None, (4, 5)))),),
    reference=_REFERENCES + "beta",
                 doc="The beta function of positive operands.",
                 samples=Samples(((0.5, 5), (0.5, 5)), shapes=(((3, 4), (4,)),)))  # fmt: skip
betainc = elementwise(
    "betainc", 3, lambda k, a, b, x: k.betainc(a, b, x), dtypes=dt.FLOATING, to_float=True, names=("a", "b", "x"),
    pullbacks=(_unknown("betainc", "a"), _unknown("betainc", "b"), lambda g, a, b, x, z: g * exp(
        (a - 1.0) * log(x) + (b - 1.0) * log1p(negative(x)) - (lgamma(a) + lgamma(b) - lgamma(a + b)))),
    reference=_REFERENCES + "betainc", samples=Samples(((0.3, 5), (0.3, 5), (0.05, 0.8)), special=False),
    doc="I_x(a, b): the regularised incomplete beta function; NaN for a <= 0, b <= 0 and x outside [0, 1].",
)  # fmt: skip

# ---------------------------------------------------------------- error functions
erfinv = _special("erfinv", "erfinv", -0.95, 0.95, lambda x, y: (_ROOT_PI / 2) * exp(y * y),
                  "The inverse of erf: infinite at 1 and -1, NaN beyond.")  # fmt: skip
erfcx = _special("erfcx", "erfcx", -3, 5, lambda x, y: 2.0 * x * y - 2.0 / _ROOT_PI,
                 "exp(x ** 2) * erfc(x), without underflow for large x.")  # fmt: skip
ndtri = _special("ndtri", "ndtri", 0.02, 0.98, lambda x, y: math.sqrt(2 * math.pi) * exp(y * y * 0.5),
                 "The quantile of the standard normal distribution: the inverse of ndtr.")  # fmt: skip
ndtr = _special("ndtr", "ndtr", -4, 4, lambda x, y: exp(x * x * -0.5) * (1.0 / math.sqrt(2 * math.pi)),
                "The distribution function of the standard normal distribution.")  # fmt: skip
log_ndtr = _special("log_ndtr", "log_ndtr", -8, 4, lambda x, y: math.sqrt(2 / math.pi) / erfcx(x * -math.sqrt(0.5)),
                    "log(ndtr(x)), without underflow for very negative x.")  # fmt: skip


# ---------------------------------------------------------------- Bessel
def _over(y, x):
    """y / x, and 1/2 at 0: J1(x) / x and I1(x) / x."""
    zero = equal(x, 0)
    return where(zero, 0.5, divide(y, where(zero, 1.0, x)))


i0 = _special("i0", "i0", -9, 9, lambda x, y: i1(x), "Modified Bessel function of the first kind, order 0.")
i0e = _special("i0e", "i0e", -9, 9, lambda x, y: i1e(x) - sign(x) * y, "exp(-|x|) * i0(x).")
i1 = _special(
    "i1", "i1", -9, 9, lambda x, y: i0(x) - _over(y, x), "Modified Bessel function of the first kind, order 1."
)
i1e = _special("i1e", "i1e", -9, 9, lambda x, y: i0e(x) - sign(x) * y - _over(y, x), "exp(-|x|) * i1(x).")
bessel_j0 = _special(
    "bessel_j0", "j0", -15, 15, lambda x, y: negative(bessel_j1(x)), "Bessel function of the first kind, order 0."
)
bessel_j1 = _special(
    "bessel_j1", "j1", -15, 15, lambda x, y: bessel_j0(x) - _over(y, x), "Bessel function of the first kind, order 1."
)
bessel_y0 = _special("bessel_y0", "y0", 0.2, 15, lambda x, y: negative(bessel_y1(x)),
                     "Bessel function of the second kind, order 0; minus infinity at 0, NaN below.")  # fmt: skip
bessel_y1 = _special("bessel_y1", "y1", 0.2, 15, lambda x, y: bessel_y0(x) - y / x,
                     "Bessel function of the second kind, order 1; minus infinity at 0, NaN below.")  # fmt: skip
modified_bessel_k0 = _special("modified_bessel_k0", "k0", 0.2, 9, lambda x, y: negative(modified_bessel_k1(x)),
                              "Modified Bessel function of the second kind, order 0; infinite at 0, NaN below.")  # fmt: skip
modified_bessel_k1 = _special("modified_bessel_k1", "k1", 0.2, 9, lambda x, y: negative(modified_bessel_k0(x) + y / x),
                              "Modified Bessel function of the second kind, order 1; infinite at 0, NaN below.")  # fmt: skip
scaled_modified_bessel_k0 = _special(
    "scaled_modified_bessel_k0",
    "k0e",
    0.2,
    9,
    lambda x, y: y - scaled_modified_bessel_k1(x),
    "exp(x) * modified_bessel_k0(x).",
)
scaled_modified_bessel_k1 = _special(
    "scaled_modified_bessel_k1",
    "k1e",
    0.2,
    9,
    lambda x, y: y - y / x - scaled_modified_bessel_k0(x),
    "exp(x) * modified_bessel_k1(x).",
)


def _spherical_j0(k, x):
    zero = k.eq(x, 0.0)
    infinite = k.eq(k.abs(x), math.inf)
    return k.select(zero, 1.0, k.select(infinite, 0.0, k.sin(x) / k.select(zero, 1.0, x)))


def _spherical_j0_slope(x, y):
    near = abs_(x) < 1e-2  # (cos x - j0) / x cancels there
    t = where(near, 1.0, x)
    return where(near, x * (-1.0 / 3.0) * (1.0 - x * x * 0.1), (sin(t + math.pi / 2) - y) / t)


spherical_bessel_j0 = unary(
    "spherical_bessel_j0", _spherical_j0, dtypes=dt.FLOATING, to_float=True, derivative=_spherical_j0_slope,
    reference=_REFERENCES + "spherical_bessel_j0", samples=Samples(((-9, 9),), special=False), doc="sin(x) / x, and 1 at 0.",
)  # fmt: skip
airy_ai = _special("airy_ai", "airy_ai", -4, 2, None, "Airy's function Ai; it has no gradient.")


# ---------------------------------------------------------------- orthogonal polynomials
def _polynomial(name: str, kernel: str, what: str, derivatives=None):
    return binary(
        name, lambda k, x, n: getattr(k, kernel)(x, n), dtypes=dt.FLOATING, to_float=True, names=("x", "n"),
        pullbacks=None if derivatives is None else (lambda g, x, n, y: g * derivatives(x, n), None),
        reference=_REFERENCES + name, samples=Samples(((-0.95, 0.95), (0, 6)), special=False),
        doc=f"{what} of degree n at x; n whole, 0 for n < 0.",
    )  # fmt: skip


chebyshev_polynomial_t = _polynomial(
    "chebyshev_polynomial_t", "chebyshev_t", "Chebyshev's polynomial of the first kind"
)
chebyshev_polynomial_u = _polynomial(
    "chebyshev_polynomial_u", "chebyshev_u", "Chebyshev's polynomial of the second kind"
)
chebyshev_polynomial_v = _polynomial(
    "chebyshev_polynomial_v", "chebyshev_v", "Chebyshev's polynomial of the third kind"
)
chebyshev_polynomial_w = _polynomial(
    "chebyshev_polynomial_w", "chebyshev_w", "Chebyshev's polynomial of the fourth kind"
)
shifted_chebyshev_polynomial_t = _polynomial(
    "shifted_chebyshev_polynomial_t", "shifted_chebyshev_t", "Chebyshev's polynomial of the first kind, at 2 x - 1,"
)
shifted_chebyshev_polynomial_u = _polynomial(
    "shifted_chebyshev_polynomial_u", "shifted_chebyshev_u", "Chebyshev's polynomial of the second kind, at 2 x - 1,"
)
shifted_chebyshev_polynomial_v = _polynomial(
    "shifted_chebyshev_polynomial_v", "shifted_chebyshev_v", "Chebyshev's polynomial of the third kind, at 2 x - 1,"
)
shifted_chebyshev_polynomial_w = _polynomial(
    "shifted_chebyshev_polynomial_w", "shifted_chebyshev_w", "Chebyshev's polynomial of the fourth kind, at 2 x - 1,"
)
hermite_polynomial_h = _polynomial("hermite_polynomial_h", "hermite_h", "The physicists' Hermite polynomial")
hermite_polynomial_he = _polynomial("hermite_polynomial_he", "hermite_he", "The probabilists' Hermite polynomial")
laguerre_polynomial_l = _polynomial("laguerre_polynomial_l", "laguerre", "Laguerre's polynomial")
legendre_polynomial_p = _polynomial("legendre_polynomial_p", "legendre", "Legendre's polynomial")

__all__ = [
    "airy_ai", "bessel_j0", "bessel_j1", "bessel_y0", "bessel_y1", "beta", "betainc", "betaln", "chebyshev_polynomial_t",
    "chebyshev_polynomial_u", "chebyshev_polynomial_v", "chebyshev_polynomial_w", "digamma", "erfcx", "erfinv", "gammainc",
    "gammaincc", "hermite_polynomial_h", "hermite_polynomial_he", "i0", "i0e", "i1", "i1e", "laguerre_polynomial_l",
    "legendre_polynomial_p", "lgamma", "log_ndtr", "modified_bessel_k0", "modified_bessel_k1", "multigammaln", "ndtr",
    "ndtri", "polygamma", "scaled_modified_bessel_k0", "scaled_modified_bessel_k1", "shifted_chebyshev_polynomial_t",
    "shifted_chebyshev_polynomial_u", "shifted_chebyshev_polynomial_v", "shifted_chebyshev_polynomial_w",
    "spherical_bessel_j0", "zeta",
]  # fmt: skip
