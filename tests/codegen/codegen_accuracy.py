"""Sample arguments over all exponents, references of higher precision, and errors in units in the last place."""

import numpy as np

UNARY = [
    "exp",
    "exp2",
    "expm1",
    "log",
    "log1p",
    "log2",
    "log10",
    "sin",
    "cos",
    "tan",
    "asin",
    "acos",
    "atan",
    "sinh",
    "cosh",
    "tanh",
    "asinh",
    "acosh",
    "atanh",
    "erf",
    "erfc",
    "rsqrt",
    "sqrt",
]
BINARY = ["pow", "atan2", "hypot"]
EXTENDED = np.longdouble
NUMPY_NAME = {
    "asin": "arcsin", "acos": "arccos", "atan": "arctan", "asinh": "arcsinh", "acosh": "arccosh", "atanh": "arctanh",
    "atan2": "arctan2", "pow": "power",
}  # fmt: skip
SPECIAL = [0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0, 3.0, -3.0]


def spread(kind, per_exponent, rng):
    """Both signs, every exponent (0 and the highest included: subnormal numbers, inf, NaN), random and extreme
    mantissas."""
    bits, exponents, mantissa = (np.uint32, 256, 23) if kind is np.float32 else (np.uint64, 2048, 52)
    m = rng.integers(0, 1 << mantissa, (exponents, per_exponent), dtype=bits)
    m[:, 0], m[:, 1], m[:, 2] = 0, (1 << mantissa) - 1, 1
    positive = ((np.arange(exponents, dtype=bits) << bits(mantissa))[:, None] | m).ravel()
    return np.concatenate([positive, positive | bits(1 << (8 * kind().itemsize - 1))]).view(kind)


def arguments(name, kind, scale=1.0, seed=0):
    """The arguments to test `name` on: dense over all exponents, denser where functions do something."""
    rng = np.random.default_rng(seed)
    slow = kind is np.float64 and name in ("erf", "erfc")  # mpmath computes the reference
    scale = scale * (0.03 if slow else 1.0)
    everywhere = spread(kind, max(4, int((1000 if kind is np.float32 else 80) * scale)), rng)
    wide = 120 if kind is np.float32 else 760
    ranges = [rng.uniform(-r, r, int(200_000 * scale)) for r in (wide, 12, 2, 0.5)]
    x = np.concatenate([everywhere, *ranges, SPECIAL]).astype(kind)
    if name not in BINARY:
        return [x]
    a, b = rng.permutation(x), rng.permutation(x)
    n = int(200_000 * scale)
    top = 30 if kind is np.float32 else 200
    base = np.exp(rng.uniform(-3, 3, n)).astype(kind)
    near_one = (1 + rng.uniform(-1, 1, n) ** 5 / 2).astype(kind)
    huge = (rng.uniform(-1, 1, n) * (1e3 if kind is np.float32 else 1e5)).astype(kind)
    whole, signed = np.round(rng.uniform(-20, 20, n)).astype(kind), rng.uniform(-10, 10, n).astype(kind)
    pairs = np.array([(p, q) for p in SPECIAL for q in SPECIAL]).astype(kind)
    exponent = (rng.uniform(-1, 1, n) * top).astype(kind)
    return [
        np.concatenate([a, base, near_one, signed, pairs[:, 0]]),
        np.concatenate([b, exponent, huge, whole, pairs[:, 1]]),
    ]


def reference(name, args, kind):
    """The function in higher precision, or None where nothing installed computes it."""
    if name in ("erf", "erfc"):
        return _by_mpmath(name, args[0], kind)
    wide = np.float64 if kind is np.float32 and name not in ("pow", "sin", "cos", "tan") else EXTENDED
    args = [a.astype(wide) for a in args]
    with np.errstate(all="ignore"):
        if name == "rsqrt":
            return (1 / np.sqrt(args[0])).astype(EXTENDED)
        return getattr(np, NUMPY_NAME.get(name, name))(*args).astype(EXTENDED)


def _by_mpmath(name, x, kind):
    if kind is np.float32:
        try:
            from scipy import special
        except ImportError:
            import math

            function = np.vectorize(getattr(math, name), otypes=[np.float64])
        else:
            function = getattr(special, name)
        return function(x.astype(np.float64)).astype(EXTENDED)
    try:
        import mpmath
    except ImportError:
        return None
    result = np.empty(x.shape, EXTENDED)
    with mpmath.workprec(100):
        for i, value in enumerate(x.tolist()):
            if value != value:
                result[i] = np.nan
            elif abs(value) > 28:  # mpmath gives up on large ones
                result[i] = np.sign(value) if name == "erf" else 1 - np.sign(value)
            else:
                exact = getattr(mpmath, name)(value)
                high = float(exact)
                result[i] = EXTENDED(high) + EXTENDED(float(exact - high))
    return np.copysign(result, x) if name == "erf" else result  # mpmath has no -0


def ulp_errors(got, wanted, kind):
    """|got - wanted| in ulps of the wanted value; infinite for a wrong NaN, infinity or sign of zero."""
    mantissa, lowest = (23, -126) if kind is np.float32 else (52, -1022)
    with np.errstate(all="ignore"):
        rounded = wanted.astype(kind)
        exponent = np.floor(np.log2(np.abs(wanted)))
        exponent = np.where(np.isfinite(exponent), np.maximum(exponent, lowest), lowest).astype(int)
        errors = np.abs(got.astype(EXTENDED) - wanted) / np.ldexp(EXTENDED(1), exponent - mantissa)
    same = (got == rounded) | (np.isnan(got) & np.isnan(rounded))
    errors = np.where(same & ~np.isfinite(got), 0, errors)
    errors = np.where(np.isnan(errors), np.inf, errors)
    zeros = (rounded == 0) & (got == 0)
    errors = np.where(zeros, np.where(np.signbit(got) == np.signbit(rounded), 0, np.inf), errors)
    return errors.astype(np.float64)
