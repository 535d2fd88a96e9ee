#!/usr/bin/env python3
"""Writes src/twain/codegen/vmath_coefficients.py: minimax polynomials for the vector math functions.

Each is found by Remez' exchange algorithm (on a dense grid, in 100-digit arithmetic), minimising the weighted error;
then the coefficients are rounded to the working precision (one by one where the interval has one sign: lowest first,
and the remaining ones fitted again each time, so that rounding costs almost nothing). Needs mpmath.

usage: tools/make_polynomials.py > src/twain/codegen/vmath_coefficients.py
"""

import struct
import sys

import mpmath
from mpmath import mp, mpf

mp.dps = 100


def grid(low, high, count):
    """Chebyshev points of [low, high]: dense at the ends, where the error's extrema crowd."""
    middle, half = (low + high) / 2, (high - low) / 2
    return [middle + half * mpmath.cos(mpmath.pi * (mpf(2 * k + 1) / (2 * count))) for k in range(count)][::-1]


def evaluate(coefficients, t):
    result = mpf(0)
    for c in reversed(coefficients):
        result = result * t + c
    return result


def remez(points, values, weights, terms):
    """Coefficients of the polynomial of `terms` terms that minimises max |weight * (p - value)| over the points."""
    n = terms + 1
    chosen = [round(k * (len(points) - 1) / (n - 1)) for k in range(n)]
    for _ in range(30):
        matrix, right = mpmath.matrix(n, n), mpmath.matrix(n, 1)
        for row, k in enumerate(chosen):
            power = weights[k]
            for column in range(terms):
                matrix[row, column] = power
                power *= points[k]
            matrix[row, terms] = (-1) ** row
            right[row] = values[k] * weights[k]
        solution = mpmath.lu_solve(matrix, right)
        coefficients = [solution[k] for k in range(terms)]
        level = abs(solution[terms])
        errors = [w * (evaluate(coefficients, t) - v) for t, v, w in zip(points, values, weights)]
        # one extremum per run of equal sign
        extrema = []
        for k, e in enumerate(errors):
            if extrema and (errors[extrema[-1]] > 0) == (e > 0):
                if abs(e) > abs(errors[extrema[-1]]):
                    extrema[-1] = k
            else:
                extrema.append(k)
        while len(extrema) > n:
            extrema.pop(0 if abs(errors[extrema[0]]) < abs(errors[extrema[-1]]) else -1)
        worst = max(abs(e) for e in errors)
        if len(extrema) < n or worst <= level * mpf("1.01"):
            break
        chosen = extrema
    return coefficients, worst


def rounded(x, precision):
    """x as the nearest float32 or float64."""
    value = float(x)
    return struct.unpack("<f", struct.pack("<f", value))[0] if precision == 32 else value


def fit(function, weight, low, high, terms, precision):
    """(coefficients, weighted error). `function` and `weight` are called inside the interval (never exactly at 0)."""
    points = grid(mpf(low), mpf(high), 24 * (terms + 2))
    points = [t if abs(t) > mpf(10) ** -20 else mpf(10) ** -12 for t in points]
    values = [function(t) for t in points]
    weights = [abs(weight(t)) for t in points]
    if (
        low < 0 < high
    ):  # powers of t from the first on vanish at 0: no minimax theory for the rest, so round all at once
        result = [rounded(c, precision) for c in remez(points, values, weights, terms)[0]]
        return result, worst_error(result, points, values, weights)
    result = []
    rest, rest_weights = values, weights
    for left in range(terms, 0, -1):
        coefficients, _ = remez(points, rest, rest_weights, left)
        c = rounded(coefficients[0], precision)
        result.append(c)
        rest = [(v - c) / t for v, t in zip(rest, points)]
        rest_weights = [w * abs(t) for w, t in zip(rest_weights, points)]
    return result, worst_error(result, points, values, weights)


def worst_error(coefficients, points, values, weights):
    exact = [mpf(c) for c in coefficients]
    return max(w * abs(evaluate(exact, t) - v) for t, v, w in zip(points, values, weights))


def sq(f):
    """A function of x as a function of t = x*x."""
    return lambda t: f(mpmath.sqrt(t))


def erfcx(x):
    return mpmath.exp(x * x) * mpmath.erfc(x)


def from_ratio(f):
    """A function of x >= 0 as a function of t = (x - 4) / (x + 4)."""
    return lambda t: f(4 * (1 + t) / (1 - t))


def normal_tail(a):
    """(1 - normal distribution function) exp(a^2/2) (a + 2.5)"""
    return erfcx(a / mpmath.sqrt(2)) / 2 * (a + mpf("2.5"))


def from_part(f):
    """A function of a >= 0 as a function of s = a / (a + 2.5)."""
    return lambda s: f(mpf("2.5") * s / (1 - s))


LN2, PI = mpmath.log(2), mpmath.pi
# A little beyond the interval that range reduction aims at: its quotient is rounded from a rounded product.
EXP_HALF = LN2 / 2 * mpf("1.0005")
LOG_LOW, LOG_HIGH = mpmath.sqrt(mpf(1) / 2) - 1, mpmath.sqrt(2) - 1
S_HIGH = (mpmath.sqrt(2) - 1) / (mpmath.sqrt(2) + 1)
ANGLE = PI / 4
ERF_SPLIT = 1
TANH_SPLIT = mpf("0.375")
ERFC_SPLIT = mpf("0.75")

# name: (what, function, weight, low, high, terms for (float32, float64))
TABLE = {
    "EXP": ("(exp(r) - 1 - r) / r^2", lambda r: (mpmath.expm1(r) - r) / r**2, lambda r: r**2 / mpmath.expm1(r),
            -EXP_HALF, EXP_HALF, (5, 11)),
    "EXPM1": ("(exp(r) - 1 - r) / r^2, one term more", lambda r: (mpmath.expm1(r) - r) / r**2,
              lambda r: r**2 / mpmath.expm1(r), -EXP_HALF, EXP_HALF, (6, None)),
    "LOG": ("(log(1+f) - f + f^2/2) / f^3", lambda f: (mpmath.log1p(f) - f + f * f / 2) / f**3,
            lambda f: f**3 / mpmath.log1p(f), LOG_LOW * mpf("1.0001"), LOG_HIGH * mpf("1.0001"), (9, None)),
    "LOG_RATIO": ("(log((1+s)/(1-s)) - 2s) / s^3 in s^2",
                  sq(lambda s: (2 * mpmath.atanh(s) - 2 * s) / s**3), sq(lambda s: s**3 / mpmath.atanh(s)),
                  0, (S_HIGH * mpf("1.0001")) ** 2, (None, 7)),
    "LOG_TAIL": ("(log((1+s)/(1-s)) - 2s - 2/3 s^3) / s^5 in s^2",
                 sq(lambda s: (2 * mpmath.atanh(s) - 2 * s - 2 * s**3 / 3) / s**5),
                 sq(lambda s: s**5 / mpmath.atanh(s)), 0, (S_HIGH * mpf("1.0001")) ** 2, (None, 8)),
    "LOG_SHORT": ("(log((1+s)/(1-s)) - 2s) / s^3 in s^2, enough for float32 results",
                  sq(lambda s: (2 * mpmath.atanh(s) - 2 * s) / s**3), sq(lambda s: s**3 / mpmath.atanh(s)),
                  0, (S_HIGH * mpf("1.0001")) ** 2, (None, 4)),
    "EXP_SHORT": ("(exp(r) - 1 - r) / r^2, enough for float32 results",
                  lambda r: (mpmath.expm1(r) - r) / r**2, lambda r: r**2, -EXP_HALF, EXP_HALF, (None, 6)),
    "SIN": ("(sin(r) - r) / r^3 in r^2", sq(lambda r: (mpmath.sin(r) - r) / r**3), sq(lambda r: r**3 / mpmath.sin(r)),
            0, (ANGLE * mpf("1.01")) ** 2, (3, 6)),
    "COS": ("(cos(r) - 1 + r^2/2) / r^4 in r^2", sq(lambda r: (mpmath.cos(r) - 1 + r * r / 2) / r**4),
            sq(lambda r: r**4 / mpmath.cos(r)), 0, (ANGLE * mpf("1.01")) ** 2, (3, 6)),
    "ASIN": ("(asin(x) - x) / x^3 in x^2", sq(lambda x: (mpmath.asin(x) - x) / x**3),
             sq(lambda x: x**3 / mpmath.asin(x)), 0, mpf("0.2501"), (5, 12)),
    "ATAN": ("(atan(x) - x) / x^3 in x^2", sq(lambda x: (mpmath.atan(x) - x) / x**3),
             sq(lambda x: x**3 / mpmath.atan(x)), 0, (mpmath.tan(PI / 8) * mpf("1.0001")) ** 2, (5, 11)),
    "SINH": ("(sinh(x) - x) / x^3 in x^2", sq(lambda x: (mpmath.sinh(x) - x) / x**3),
             sq(lambda x: x**3 / mpmath.sinh(x)), 0, mpf(1), (4, 7)),
    "TANH": ("(tanh(x) - x) / x^3 in x^2", sq(lambda x: (mpmath.tanh(x) - x) / x**3),
             sq(lambda x: x**3 / mpmath.tanh(x)), 0, TANH_SPLIT**2, (4, 9)),
    "TAN": ("(tan(r) - r) / r^3 in r^2", sq(lambda r: (mpmath.tan(r) - r) / r**3),
            sq(lambda r: r**3 / mpmath.tan(r)), 0, (ANGLE * mpf("1.01")) ** 2, (7, None)),
    "ERF": ("erf(x)/x - 1 in x^2", sq(lambda x: mpmath.erf(x) / x - 1), sq(lambda x: x / mpmath.erf(x)),
            0, mpf(ERF_SPLIT) ** 2, (7, 14)),
    "ERF_TAIL": ("erfc(x) in x - 2.5", lambda t: mpmath.erfc(t + mpf("2.5")), lambda t: mpf(1),
                 mpf("-1.5"), mpf("1.45"), (17, None)),
    "ERFCX": ("(1 + 2x) erfcx(x) in (x-4)/(x+4)", from_ratio(lambda x: (1 + 2 * x) * erfcx(x)),
              from_ratio(lambda x: 1 / ((1 + 2 * x) * erfcx(x))),
              (ERFC_SPLIT - 4) / (ERFC_SPLIT + 4), None, (12, 24)),
    "NORMAL_TAIL": ("(1 - ndtr(a)) exp(a^2/2) (a + 2.5) in a / (a + 2.5)", from_part(normal_tail),
                    from_part(lambda a: 1 / normal_tail(a)), 0, mpf("14.3") / mpf("16.8"), (11, None)),
}  # fmt: skip
ERFCX_HIGH = {32: mpf("10.1"), 64: mpf("27.3")}


def main() -> None:
    only = sys.argv[1:]
    out = [
        '"""Coefficients of the vector math functions, written by tools/make_polynomials.py; don\'t edit.',
        "",
        "Lowest power first. The comments give the interval and the error, relative to the function, after rounding.",
        '"""',
        "",
        "# fmt: off",
        "# ruff: noqa: E501",
    ]
    for name, (what, function, weight, low, high, counts) in TABLE.items():
        if only and name not in only:
            continue
        out += ["", f"# {what}", f"{name} = {{"]
        for precision, element, terms in ((32, "float", counts[0]), (64, "double", counts[1])):
            if terms is None:
                continue
            top = high
            if name == "ERFCX":
                top = (ERFCX_HIGH[precision] - 4) / (ERFCX_HIGH[precision] + 4)
            coefficients, error = fit(function, weight, low, top, terms, precision)
            ends = f"{mpmath.nstr(mpf(low), 6)}, {mpmath.nstr(mpf(top), 6)}"
            out.append(f"    # [{ends}], error 2^{float(mpmath.log(error, 2)):.1f}")
            out.append(f'    "{element}": (')
            out += [f"        {c!r}," for c in coefficients]
            out.append("    ),")
        out.append("}")
    print("\n".join(out))


if __name__ == "__main__":
    main()
