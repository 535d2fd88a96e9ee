"""Vector math against higher precision, over all exponents, on every level that this machine runs."""

import numpy as np
import pytest
from codegen_accuracy import BINARY, UNARY, arguments, reference, ulp_errors
from codegen_kernels import Kernels

from twain.base import dtypes as dt
from twain.codegen import expr as k
from twain.codegen.targets import host
from twain.testing.elementwise_references import floor_divide

# Largest errors allowed, in ulp; what is not named: 2.
BOUND = {
    "float32": {
        "exp": 1.2,
        "exp2": 1.2,
        "log": 1.0,
        "log2": 1.2,
        "log10": 1.0,
        "pow": 0.6,
        "atanh": 2.3,
        "asin": 1.5,
        "acos": 1.2,
        "tan": 3.0,
        "sqrt": 0.5001,
        "hypot": 0.5001,
        "erf": 1.3,
        "erfc": 3.3,
    },
    "float64": {
        "exp": 1.1,
        "exp2": 1.2,
        "log": 1.0,
        "log2": 1.1,
        "log10": 1.0,
        "pow": 1.1,
        "expm1": 2.1,
        "sin": 0.9,
        "cos": 0.9,
        "asin": 1.5,
        "acos": 1.2,
        "tan": 2.3,
        "sqrt": 0.5001,
        "hypot": 0.6,
        "erf": 1.3,
        "erfc": 2.8,
    },
}
KINDS = {"float32": np.float32, "float64": np.float64}

_cache: dict = {}


def compiled(target, dtype):
    """All functions in one module per target and dtype."""
    key = (target.name, dtype.name)
    if key not in _cache:
        x, y = k.load(0, dtype), k.load(1, dtype)
        table = {n: [getattr(k, n)(x)] for n in UNARY} | {n: [getattr(k, n)(x, y)] for n in BINARY}
        table |= {n: [getattr(k, n)(x)] for n in ("floor", "ceil", "rint", "trunc", "sign", "abs", "neg")}
        table |= {n: [getattr(k, n)(x, y)] for n in ["rem", "floordiv", "copysign", "nextafter", "minimum", "maximum"]}
        _cache[key] = Kernels(table, target)
    return _cache[key]


def expected(name, dtype):
    key = (name, dtype)
    if key not in _cache:
        args = arguments(name, KINDS[dtype], scale=0.25)
        _cache[key] = args, reference(name, args, KINDS[dtype])
    return _cache[key]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", [*UNARY, *BINARY])
def test_error_in_ulp(target, name, dtype):
    args, wanted = expected(name, dtype)
    if wanted is None:
        pytest.skip("mpmath is not installed")
    if target is not host():  # a sample is enough for the lower levels
        args, wanted = [a[::4] for a in args], wanted[::4]
    got = compiled(target, dt.by_name(dtype)).run(name, *args)
    errors = ulp_errors(got, wanted, KINDS[dtype])
    worst = int(np.argmax(errors))
    bound = BOUND[dtype].get(name, 2.0)
    at = [float(a[worst]) for a in args]
    assert errors[worst] <= bound, f"{name}{at}: {float(got[worst])!r}, expected {float(wanted[worst])!r}"


def floats(dtype, seed=0):
    return arguments("exp", KINDS[dtype], 0.1, seed)[0]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["floor", "ceil", "rint", "trunc", "abs"])
def test_rounding_is_exact_and_keeps_the_sign_of_zero(target, name, dtype):
    x = floats(dtype)
    got, wanted = compiled(target, dt.by_name(dtype)).run(name, x), getattr(np, name)(x)
    assert np.array_equal(got, wanted, equal_nan=True)
    number = ~np.isnan(x)
    assert np.array_equal(np.signbit(got[number]), np.signbit(wanted[number]))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sign(target, dtype):
    x = np.array([-np.inf, -2, -0.0, 0.0, 1e-40, 3, np.inf, np.nan], dtype)
    got = compiled(target, dt.by_name(dtype)).run("sign", x)
    assert np.array_equal(got, np.array([-1, -1, 0, 0, 1, 1, 1, np.nan], dtype), equal_nan=True)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_minimum_and_maximum_pass_nan_on(target, dtype):
    x, y = floats(dtype), np.random.default_rng(1).permutation(floats(dtype))
    for name in ("minimum", "maximum"):
        got = compiled(target, dt.by_name(dtype)).run(name, x, y)
        assert np.array_equal(got, getattr(np, name)(x, y), equal_nan=True)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_copysign_and_nextafter(target, dtype):
    x, y = floats(dtype), np.random.default_rng(1).permutation(floats(dtype))
    y[:100] = x[:100]
    for name in ("copysign", "nextafter"):
        got, wanted = compiled(target, dt.by_name(dtype)).run(name, x, y), getattr(np, name)(x, y)
        assert np.array_equal(got, wanted, equal_nan=True)
        number = ~np.isnan(wanted)
        assert np.array_equal(np.signbit(got[number]), np.signbit(wanted[number]))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_remainder_is_pythons(target, dtype):
    """Exact for all magnitudes: far apart, subnormal, infinite, zero."""
    rng = np.random.default_rng(2)
    kind = KINDS[dtype]
    everything = floats(dtype)
    x = np.concatenate(
        [rng.permutation(everything)[:3000], rng.uniform(-50, 50, 3000), np.round(rng.uniform(-50, 50, 3000))]
    )
    y = np.concatenate(
        [rng.permutation(everything)[:3000], rng.uniform(-5, 5, 3000), np.round(rng.uniform(-5, 5, 3000))]
    )
    corners = np.array([(p, q) for p in (0.0, -0.0, 1, -1, np.inf, -np.inf, np.nan, 5e-324, 1e308, -7.5)
                        for q in (0.0, -0.0, 1, -1, np.inf, -np.inf, np.nan, 5e-324, 3e300, 2.5)])  # fmt: skip
    x, y = np.concatenate([x, corners[:, 0]]).astype(kind), np.concatenate([y, corners[:, 1]]).astype(kind)
    got = compiled(target, dt.by_name(dtype)).run("rem", x, y)
    wanted = np.remainder(x, y)
    # NumPy adds the divisor in the working precision, as Python does
    bad = ~((got == wanted) | (np.isnan(got) & np.isnan(wanted)))
    assert not bad.any(), [(float(a), float(b), float(g), float(w)) for a, b, g, w in
                           zip(x[bad][:5], y[bad][:5], got[bad][:5], wanted[bad][:5])]  # fmt: skip


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_floor_division(target, dtype):
    rng = np.random.default_rng(3)
    kind = KINDS[dtype]
    x = np.concatenate(
        [rng.uniform(-50, 50, 3000), np.round(rng.uniform(-50, 50, 3000)), [np.inf, 1, -1, 0, 1, np.nan, 1, -1, 6]]
    )
    y = np.concatenate(
        [rng.uniform(-5, 5, 3000), np.round(rng.uniform(-5, 5, 3000)), [2, 0, 0, 0, np.inf, 1, -np.inf, np.inf, 0.1]]
    )
    x, y = x.astype(kind), y.astype(kind)
    got, wanted = compiled(target, dt.by_name(dtype)).run("floordiv", x, y), floor_divide(x, y)
    assert np.array_equal(got, wanted, equal_nan=True)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_limits_are_exact(target, dtype):
    """Where a function levels off it is the limit itself, not a number next to it."""
    run = compiled(target, dt.by_name(dtype)).run
    far = np.array([np.inf, 1e30, 50, -50, -1e30, -np.inf], dtype)
    for name in ("tanh", "erf"):
        assert run(name, far).tolist() == [1, 1, 1, -1, -1, -1]
    assert run("erfc", far).tolist() == [0, 0, 0, 2, 2, 2]
    assert run("expm1", far[3:]).tolist() == [-1, -1, -1]
    assert run("atan", far)[[0, -1]].tolist() == [KINDS[dtype](np.pi / 2), -KINDS[dtype](np.pi / 2)]
    whole = np.arange(-30, 31).astype(dtype)
    assert np.array_equal(run("exp2", whole), 2.0**whole)
    assert np.array_equal(run("log2", 2.0**whole), whole)
    assert np.array_equal(run("pow", whole, np.full_like(whole, 3)), whole**3)
