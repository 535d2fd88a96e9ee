#!/usr/bin/env python3
"""Writes src/twain/codegen/special_coefficients.py: polynomials for the special functions (gamma, Bessel, Airy, ...).

Each is the interpolant at Chebyshev points, computed with 60 digits and written as a polynomial in t in [-1, 1], as short
as the given relative accuracy allows. Only float64: float32 arguments are computed in float64 and rounded. Needs mpmath.

usage: tools/make_special.py > src/twain/codegen/special_coefficients.py
"""

from fractions import Fraction

import mpmath
from mpmath import mp, mpf

mp.dps = 60
PI = mpmath.pi


ACCURACY, MOST, TINY = mpf(2) ** -58, 60, mpf(10) ** -25


def interpolate(function, low, high, accuracy=ACCURACY, most=MOST):
    """(coefficients in t, lowest first; largest error relative to the function's size): x = (low+high)/2 + t (high-low)/2."""
    low, high = mpf(low), mpf(high)
    middle, half = (low + high) / 2, (high - low) / 2
    nodes = [mpmath.cos(PI * (2 * k + 1) / (2 * most)) for k in range(most)]
    values = [function(middle + half * t) for t in nodes]
    size = max(abs(v) for v in values)
    cheb = []
    for j in range(most):
        total = sum(v * mpmath.cos(PI * j * (2 * k + 1) / (2 * most)) for k, v in enumerate(values))
        cheb.append(total * (1 if j == 0 else 2) / most)
    least = min(abs(v) for v in values)
    count = most
    while count > 1 and sum(abs(c) for c in cheb[count - 1 :]) < accuracy * max(least, size / 64):
        count -= 1
    cheb = cheb[:count]
    # to powers of t
    previous, current = [mpf(1)], [mpf(0), mpf(1)]
    result = [mpf(0)] * count
    for j, c in enumerate(cheb):
        basis = previous if j == 0 else current
        for i, b in enumerate(basis):
            result[i] += c * b
        if j >= 1:
            doubled = [mpf(0)] + [2 * b for b in current]
            for i, b in enumerate(previous):
                doubled[i] -= b
            previous, current = current, doubled
    return [float(c) for c in result], count


def modulus(order):
    """Functions P and x Q of z = (5/x)^2 with J = sqrt(2/(pi x)) (P cos a - Q sin a), a = x - (2 order + 1) pi / 4."""

    def both(z):
        x = 5 / mpmath.sqrt(z)
        a = x - (2 * order + 1) * PI / 4
        m = mpmath.sqrt(PI * x / 2)
        j, y = mpmath.besselj(order, x), mpmath.bessely(order, x)
        return m * (j * mpmath.cos(a) + y * mpmath.sin(a)), x * m * (y * mpmath.cos(a) - j * mpmath.sin(a))

    return (lambda z: both(z)[0]), (lambda z: both(z)[1])


def scaled_k(order, x):
    return mpmath.besselk(order, x) * mpmath.exp(x) * mpmath.sqrt(x)


def zero(order, k):
    return mpmath.besseljzero(order, k)


def root_of(f):
    """f as a function of z = x^2."""
    return lambda z: f(mpmath.sqrt(z))


def j_reduced(order):
    r1, r2 = zero(order, 1) ** 2, zero(order, 2) ** 2
    return root_of(lambda x: mpmath.besselj(order, x) / (x**order) / ((x * x - r1) * (x * x - r2)))


def erfinv_ratio(w):
    """erfinv(x) / x at x = sqrt(1 - exp(-w))."""
    if w == 0:
        return mpmath.sqrt(PI) / 2
    x = mpmath.sqrt(-mpmath.expm1(-w))
    if w < 30:
        return mpmath.erfinv(x) / x
    rest = mpmath.exp(-w) / (1 + x)  # 1 - x
    y = mpmath.sqrt(w - mpmath.log(PI * w) / 2)
    for _ in range(60):
        step = (mpmath.erfc(y) - rest) / (2 / mpmath.sqrt(PI) * mpmath.exp(-y * y))
        y += step
        if abs(step) < mpf(10) ** -50:
            break
    return y / x


def airy_tail(t):
    """Ai(x) 2 sqrt(pi) x^(1/4) exp(zeta) at 1/zeta = t."""
    if t == 0:
        return mpf(1)
    zeta = 1 / t
    x = (3 * zeta / 2) ** (mpf(2) / 3)
    return mpmath.airyai(x) * 2 * mpmath.sqrt(PI) * x ** mpf("0.25") * mpmath.exp(zeta)


def airy_waves(t):
    """(P, zeta Q) at t = (1/zeta)^2: sqrt(pi) x^(1/4) Ai(-x) = P sin(zeta + pi/4) - Q cos(zeta + pi/4), Bi alike."""
    zeta = 1 / mpmath.sqrt(t)
    x = (3 * zeta / 2) ** (mpf(2) / 3)
    a = mpmath.airyai(-x) * mpmath.sqrt(PI) * x ** mpf("0.25")
    b = mpmath.airybi(-x) * mpmath.sqrt(PI) * x ** mpf("0.25")
    s, c = mpmath.sin(zeta + PI / 4), mpmath.cos(zeta + PI / 4)
    return a * s + b * c, zeta * (b * s - a * c)


AIRY_ZETA = 2 * mpf(2) ** mpf("1.5") / 3
AIRY_ZETA_WAVES = 2 * mpf("4.5") ** mpf("1.5") / 3
A0, A1 = mpmath.airyai(0), -mpmath.airyai(0, 1)


def airy_even(z):
    """sum of 1 * 4 * 7 ... z^k / (3k)!, z = x^3: the solution with value 1 and slope 0 at 0."""
    return mpmath.hyp0f1(mpf(2) / 3, z / 9)


def airy_odd(z):
    return mpmath.hyp0f1(mpf(4) / 3, z / 9)


TABLE = {
    "LGAMMA": ("lgamma(2 + t) / t for |t| <= 0.5, in 2t", lambda t: mpmath.loggamma(2 + t) / t if t else mpmath.psi(0, 2),
               mpf("-0.5"), mpf("0.5")),
    "STIRLING": ("x (lgamma(x) - Stirling's main part) in (64/x^2), x >= 8", root_of(
        lambda u: (1 / u) * (mpmath.loggamma(1 / u) - (1 / u - mpf("0.5")) * mpmath.log(1 / u) + 1 / u - mpmath.log(2 * PI) / 2)
        if u else mpf(1) / 12), mpf(10) ** -12, mpf(1) / 64),
    "I0E": ("exp(-x) I0(x), x in [0, 8]", lambda x: mpmath.besseli(0, x) * mpmath.exp(-x), 0, 8),
    "I0E_TAIL": ("sqrt(x) exp(-x) I0(x) in 1/x, x >= 8", lambda u: mpmath.besseli(0, 1 / u) * mpmath.exp(-1 / u) / mpmath.sqrt(u),
                 0, mpf(1) / 8),
    "I1E": ("exp(-x) I1(x) / x, x in [0, 8]", lambda x: mpmath.besseli(1, x) * mpmath.exp(-x) / x if x else mpf("0.5"), 0, 8),
    "I1E_TAIL": ("sqrt(x) exp(-x) I1(x) in 1/x, x >= 8", lambda u: mpmath.besseli(1, 1 / u) * mpmath.exp(-1 / u) / mpmath.sqrt(u),
                 0, mpf(1) / 8),
    "I0_NEAR": ("I0(x) in x^2, x in [0, 2]", root_of(lambda x: mpmath.besseli(0, x)), 0, 4),
    "I1_NEAR": ("I1(x) / x in x^2, x in [0, 2]", root_of(lambda x: mpmath.besseli(1, x) / x if x else mpf("0.5")), 0, 4),
    "K0_NEAR": ("K0(x) + log(x/2) I0(x) in x^2, x in (0, 2]", root_of(
        lambda x: mpmath.besselk(0, x) + mpmath.log(x / 2) * mpmath.besseli(0, x)), 0, 4),
    "K1_NEAR": ("(K1(x) - log(x/2) I1(x)) x in x^2, x in (0, 2]", root_of(
        lambda x: (mpmath.besselk(1, x) - mpmath.log(x / 2) * mpmath.besseli(1, x)) * x), 0, 4),
    "K0_TAIL": ("sqrt(x) exp(x) K0(x) in 2/x, x >= 2", lambda u: scaled_k(0, 2 / u), 0, 1),
    "K1_TAIL": ("sqrt(x) exp(x) K1(x) in 2/x, x >= 2", lambda u: scaled_k(1, 2 / u), 0, 1),
    "J0": ("J0(x) / ((x^2 - r1^2)(x^2 - r2^2)) in x^2, x in [0, 5]", j_reduced(0), 0, 25),
    "J1": ("J1(x) / (x (x^2 - r1^2)(x^2 - r2^2)) in x^2, x in [0, 5]", j_reduced(1), 0, 25),
    "Y0": ("Y0(x) - 2/pi log(x) J0(x) in x^2, x in (0, 5]", root_of(
        lambda x: mpmath.bessely(0, x) - 2 / PI * mpmath.log(x) * mpmath.besselj(0, x)), 0, 25),
    "Y1": ("(Y1(x) - 2/pi (log(x) J1(x) - 1/x)) / x in x^2, x in (0, 5]", root_of(
        lambda x: (mpmath.bessely(1, x) - 2 / PI * (mpmath.log(x) * mpmath.besselj(1, x) - 1 / x)) / x), 0, 25),
    "P0": ("P of order 0 in (5/x)^2, x >= 5", modulus(0)[0], 0, 1),
    "Q0": ("x Q of order 0 in (5/x)^2, x >= 5", modulus(0)[1], 0, 1),
    "P1": ("P of order 1 in (5/x)^2, x >= 5", modulus(1)[0], 0, 1),
    "Q1": ("x Q of order 1 in (5/x)^2, x >= 5", modulus(1)[1], 0, 1),
    "ERFINV": ("erfinv(x) / x in w = -log(1 - x^2), w <= 6.25", erfinv_ratio, 0, mpf("6.25")),
    "ERFINV_MIDDLE": ("erfinv(x) / x in sqrt(w), w in [6.25, 16]", lambda s: erfinv_ratio(s * s), mpf("2.5"), 4),
    "ERFINV_FAR": ("erfinv(x) / x in sqrt(w), w in [16, 64]", lambda s: erfinv_ratio(s * s), 4, 8),
    "ERFINV_TAIL": ("erfinv(x) / x in sqrt(w), w in [64, 784]", lambda s: erfinv_ratio(s * s), 8, 28),
    "ERFINV_FLOAT": ("erfinv(x) / x in w, for float32", erfinv_ratio, 0, mpf("6.25"), mpf(2) ** -28),
    "ERFINV_MIDDLE_FLOAT": ("erfinv(x) / x in sqrt(w), w in [6.25, 17], for float32", lambda s: erfinv_ratio(s * s),
                            mpf("2.5"), mpf("4.125"), mpf(2) ** -28),
    "ERFINV_FAR_FLOAT": ("erfinv(x) / x in sqrt(w), w in [17, 106], for float32", lambda s: erfinv_ratio(s * s),
                         mpf("4.125"), mpf("10.375"), mpf(2) ** -28),
    "AIRY_EVEN": ("Ai's even part in x^3, x in [-4.5, 2]", airy_even, mpf("-91.125"), 8),
    "AIRY_ODD": ("Ai's odd part divided by x in x^3, x in [-4.5, 2]", airy_odd, mpf("-91.125"), 8),
    "AIRY_TAIL": ("Ai(x) 2 sqrt(pi) x^(1/4) exp(zeta) in 1/zeta, x >= 2", airy_tail, 0, 1 / AIRY_ZETA),
    "AIRY_P": ("P of Ai(-x) in 1/zeta^2, x >= 4.5", lambda t: airy_waves(t)[0], 0, 1 / AIRY_ZETA_WAVES**2),
    "AIRY_Q": ("zeta Q of Ai(-x) in 1/zeta^2, x >= 4.5", lambda t: airy_waves(t)[1], 0, 1 / AIRY_ZETA_WAVES**2),
}  # fmt: skip


# ---------------------------------------------------------------- Temme's expansion of the incomplete gamma function
def multiply(a, b, n):
    result = [Fraction(0)] * n
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            if i + j < n:
                result[i + j] += x * y
    return result


def temme(terms, rows):
    """c_k(eta) as power series, k < rows: Temme 1979; mu - log(1 + mu) = eta^2 / 2."""
    n = terms + 2 * rows + 3
    # mu as a series in eta, from mu' = eta (1 + mu) / mu, i.e. mu mu' = eta (1 + mu)
    mu = [Fraction(0), Fraction(1)]
    while len(mu) < n + 2:
        k = len(mu)
        # coefficient of eta^k in mu mu' = sum (j mu_j) mu_(k+1-j); the unknown mu_k occurs as k mu_k mu_1 + mu_1 mu_k
        known = sum(j * mu[j] * mu[k + 1 - j] for j in range(2, k))
        right = mu[k - 1] + (1 if k == 1 else 0)
        mu.append((right - known) / (k + 1))
    # eta / mu, with eta = mu / (1 + ...): the inverse of (mu / eta)
    ratio = mu[1 : n + 1]
    inverse = [Fraction(1) / ratio[0]]
    for k in range(1, n):
        inverse.append(-sum(ratio[j] * inverse[k - j] for j in range(1, k + 1)) / ratio[0])
    # c_0 = 1/mu - 1/eta = (eta/mu - 1) / eta
    rows_found = [inverse[1:]]
    for _ in range(1, rows):
        before = rows_found[-1]
        slope = [k * before[k] for k in range(1, len(before))]
        # eta c_k = c_(k-1)' + gamma_k eta / mu, with gamma_k such that the right side vanishes at 0
        gamma = -slope[0]
        total = [s + gamma * inverse[k] for k, s in enumerate(slope)]
        rows_found.append(total[1:])
    return [[float(c) for c in row[:terms]] for row in rows_found]


def bernoulli(count):
    """Coefficients of Euler and Maclaurin's sum: B_2k / (2k)!."""
    return [float(mpmath.bernoulli(2 * k) / mpmath.factorial(2 * k)) for k in range(1, count + 1)]


def tuple_text(values):
    return "(" + ", ".join(repr(v) for v in values) + ",)"


def main() -> None:
    out = [
        '"""Coefficients of the special functions, written by tools/make_special.py; don\'t edit.',
        "",
        "(low, high, coefficients in t = (2 x - low - high) / (high - low), lowest power first); x is what the comment says.",
        '"""',
        "",
        "# fmt: off",
        "# ruff: noqa: E501",
    ]
    for name, (what, function, low, high, *accuracy) in TABLE.items():
        coefficients, count = interpolate(lambda x, f=function: f(x if abs(x) > TINY else TINY), low, high, *accuracy)
        out += ["", f"# {what}; {count} terms", f"{name} = ({float(low)!r}, {float(high)!r}, ("]
        out += [f"    {c!r}," for c in coefficients]
        out.append("))")
    for name, value in (
        ("J0_ZEROS", (zero(0, 1), zero(0, 2))),
        ("J1_ZEROS", (zero(1, 1), zero(1, 2))),
    ):
        pairs = []
        for z in value:
            high = float(z)
            pairs.append((high, float(z - mpf(high))))
        out += ["", "# the first two zeros, each as a sum", f"{name} = {tuple(pairs)!r}"]
    out += ["", f"AIRY_AT_0 = {float(A0)!r}", f"AIRY_SLOPE_AT_0 = {float(A1)!r}"]
    out += ["", "# c_k(eta) of Temme's expansion, lowest power first", "TEMME = ("]
    out += ["    " + tuple_text(row) + "," for row in temme(16, 6)]
    out.append(")")
    out += ["", "# B_2k / (2k)!", f"EULER_MACLAURIN = {tuple_text(bernoulli(12))}"]
    print("\n".join(out))


if __name__ == "__main__":
    main()
