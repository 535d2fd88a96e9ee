"""Special functions against mpmath on fresh random arguments, at the edges, and gradients where only some operands have one."""

import math

import numpy as np
import pytest

import twain
from twain.base.errors import TwainError

mpmath = pytest.importorskip("mpmath")
INF, NAN = math.inf, math.nan


@pytest.fixture
def rng():
    seed = np.random.SeedSequence().entropy % 2**32
    print(f"seed {seed}")
    return np.random.default_rng(seed)


def magnitudes(rng, low, high, count=25):
    return 10 ** rng.uniform(low, high, count)


def spread(*ranges, logs=(), count=25):
    def draw(rng):
        parts = [rng.uniform(a, b, count) for a, b in ranges]
        return np.concatenate([*parts, *[magnitudes(rng, a, b, count) for a, b in logs]])

    return draw


def near(rng, a):
    """Second arguments of the incomplete gamma functions: near the first, and elsewhere."""
    close = a * (1 + rng.normal(0, 1, a.size) / np.sqrt(a))
    return np.where(rng.random(a.size) < 0.5, np.abs(close), a * magnitudes(rng, -2, 1, a.size))


M = mpmath
# name: reference, arguments (each a function of rng, or of rng and the first one), error relative to max(|value|, floor), floor
CASES = {
    "lgamma": (lambda x: M.log(abs(M.gamma(x))) if x < 100 else M.loggamma(x),
               [spread((0, 12), (0.9, 1.1), (1.9, 2.1), (-20, 0), logs=[(-30, 5)])], 3e-15, 1e-1),
    "digamma": (lambda x: M.psi(0, x), [spread((0, 12), (-9, 0), logs=[(-10, 5)])], 1e-14, 1.0),
    "i0": (lambda x: M.besseli(0, x), [spread((-20, 20), (-700, 700))], 4e-15, 0),
    "i0e": (lambda x: M.besseli(0, x) * M.exp(-abs(x)), [spread((-20, 20), logs=[(0, 4)])], 4e-15, 0),
    "i1": (lambda x: M.besseli(1, x), [spread((-20, 20), logs=[(-10, 2)])], 8e-15, 0),
    "i1e": (lambda x: M.besseli(1, x) * M.exp(-abs(x)), [spread((-20, 20), logs=[(-10, 4)])], 8e-15, 0),
    "modified_bessel_k0": (lambda x: M.besselk(0, x), [spread((0, 20), logs=[(-100, 2)])], 4e-15, 0),
    "modified_bessel_k1": (lambda x: M.besselk(1, x), [spread((0, 20), logs=[(-100, 2)])], 4e-15, 0),
    "scaled_modified_bessel_k0": (lambda x: M.besselk(0, x) * M.exp(x), [spread((0, 20), logs=[(-100, 4)])], 4e-15, 0),
    "scaled_modified_bessel_k1": (lambda x: M.besselk(1, x) * M.exp(x), [spread((0, 20), logs=[(-100, 4)])], 4e-15, 0),
    "bessel_j0": (lambda x: M.besselj(0, x), [spread((-20, 20), logs=[(0, 5)])], 1e-15, 0.5),
    "bessel_j1": (lambda x: M.besselj(1, x), [spread((-20, 20), logs=[(-5, 5)])], 1e-15, 0.5),
    "bessel_y0": (lambda x: M.bessely(0, x), [spread((0, 20), logs=[(-20, 5)])], 3e-15, 0.5),
    "bessel_y1": (lambda x: M.bessely(1, x), [spread((0, 20), logs=[(-20, 5)])], 3e-15, 0.5),
    "airy_ai": (lambda x: M.airyai(x), [spread((-5, 5), (-50, 0), (0, 20))], 2e-13, 0.1),
    "erfinv": (lambda x: M.erfinv(x), [spread((-0.9999, 0.9999), logs=[(-20, -1)])], 2e-15, 0),
    "erfcx": (lambda x: M.exp(x * x) * M.erfc(x), [spread((-26, 30), (-3, 3), logs=[(-10, 5)])], 4e-15, 0),
    "ndtr": (lambda x: M.ncdf(x), [spread((-8, 8))], 3e-15, 1e-3),
    "log_ndtr": (lambda x: M.log(M.erfc(-x / M.sqrt(2)) / 2), [spread((-40, 8), (-3, 3))], 3e-14, 1e-18),
    "zeta": (lambda s, q: M.zeta(s, q), [spread((1.01, 10), (1.01, 5)), spread((0.1, 9), (0.5, 5))], 4e-15, 0),
    "gammainc": (lambda a, x: M.gammainc(a, 0, x, regularized=True), [spread(logs=[(-3, 1), (0, 2.5)]), near], 4e-15, 1e-2),
    "gammaincc": (lambda a, x: M.gammainc(a, x, M.inf, regularized=True), [spread(logs=[(-3, 1), (0, 2.5)]), near], 4e-15, 1e-2),
    "betainc": (lambda a, b, x: M.betainc(a, b, 0, x, regularized=True),
                [spread(logs=[(-2, 2)]), spread(logs=[(-2, 2)]), spread((0, 1))], 5e-14, 1e-2),
    "chebyshev_polynomial_t": (lambda x, n: M.chebyt(int(n), x),
                               [spread((-1, 1)), lambda rng: rng.integers(0, 30, 25)], 2e-13, 1.0),
    "legendre_polynomial_p": (lambda x, n: M.legendre(int(n), x),
                               [spread((-1, 1)), lambda rng: rng.integers(0, 30, 25)], 2e-14, 1.0),
}  # fmt: skip


IN_FLOAT = ("erfinv", "erfcx", "log_ndtr", "ndtr")


def arguments(name, rng):
    found = []
    for draw in CASES[name][1]:
        found.append(draw(rng, found[0]) if draw is near else draw(rng))
    return [np.asarray(a, dtype="float64") for a in found]


@pytest.mark.parametrize("name", sorted(CASES))
def test_accuracy(name, rng):
    """float64 to the bound given; float32 to an ulp and a half, where it is computed in float32 to three."""
    reference, _, bound, floor = CASES[name]
    wide = arguments(name, rng)
    narrow = [a.astype("float32") for a in wide]
    with mpmath.workdps(40):
        for args, allowed in ((wide, bound), (narrow, (6 if name in IN_FLOAT else 1.5) * 2.0**-24)):
            got = getattr(twain, name)(*[twain.asarray(a) for a in args]).tolist()
            for one, *at in zip(got, *[a.tolist() for a in args]):
                want = reference(*[mpmath.mpf(v) for v in at])
                size = max(abs(want), floor)
                if args is narrow and not 1e-37 < size < 1e38:
                    continue
                assert abs(mpmath.mpf(one) - want) <= allowed * size, (
                    f"{name}{at}: {one!r}, expected {mpmath.nstr(want, 20)}"
                )


def test_quantile_inverts(rng):
    p = np.concatenate([rng.uniform(0, 1, 100), magnitudes(rng, -300, 0, 50)])
    for x, y in zip(twain.ndtri(twain.asarray(p)).tolist(), p.tolist()):
        with mpmath.workdps(40):
            exact = mpmath.mpf(x) - (mpmath.ncdf(x) - y) / mpmath.npdf(x)
        assert abs(x - exact) <= 4e-15 * max(abs(x), 0.1)


EDGES = [
    ("lgamma", (0.0,), INF), ("lgamma", (-3.0,), INF), ("lgamma", (INF,), INF), ("lgamma", (1.0,), 0.0), ("lgamma", (2.0,), 0.0),
    ("digamma", (0.0,), -INF), ("digamma", (-0.0,), INF), ("digamma", (-2.0,), NAN), ("digamma", (INF,), INF),
    ("erfinv", (1.0,), INF), ("erfinv", (-1.0,), -INF), ("erfinv", (1.5,), NAN), ("ndtri", (0.0,), -INF), ("ndtri", (1.0,), INF),
    ("ndtri", (0.5,), 0.0), ("ndtri", (-0.1,), NAN), ("log_ndtr", (-INF,), -INF), ("erfcx", (-INF,), INF), ("erfcx", (INF,), 0.0),
    ("bessel_y0", (0.0,), -INF), ("bessel_y1", (-1.0,), NAN), ("modified_bessel_k0", (0.0,), INF), ("i0", (-INF,), INF),
    ("zeta", (1.0, 2.0), INF), ("zeta", (0.5, 2.0), NAN), ("zeta", (2.0, 0.0), INF), ("zeta", (2.0, -3.0), INF),
    ("gammainc", (0.0, 1.0), 1.0), ("gammainc", (2.0, 0.0), 0.0), ("gammainc", (2.0, INF), 1.0), ("gammainc", (-1.0, 1.0), NAN),
    ("gammaincc", (2.0, 0.0), 1.0), ("gammaincc", (0.0, 1.0), 0.0), ("gammaincc", (0.0, 0.0), NAN),
    ("gammaincc", (1.0, -1.0), NAN),
    ("betainc", (2.0, 3.0, 0.0), 0.0), ("betainc", (2.0, 3.0, 1.0), 1.0), ("betainc", (2.0, 3.0, 1.1), NAN),
    ("xlogy", (0.0, 0.0), 0.0), ("xlogy", (0.0, NAN), NAN), ("entr", (-1.0,), -INF), ("spherical_bessel_j0", (0.0,), 1.0),
    ("laguerre_polynomial_l", (0.5, -1.0), 0.0), ("hermite_polynomial_h", (0.5, 0.0), 1.0),
]  # fmt: skip


@pytest.mark.parametrize("name, args, want", EDGES)
def test_edges(name, args, want):
    for dtype in ("float32", "float64"):
        got = getattr(twain, name)(*[twain.asarray(a, dtype=dtype) for a in args]).item()
        assert got == want or (math.isnan(got) and math.isnan(want)), f"{name}{args}: {got}"


@pytest.mark.parametrize(
    "name", ["lgamma", "digamma", "i0", "erfinv", "bessel_j1", "airy_ai", "zeta", "gammainc", "betainc"]
)
def test_nan_stays(name):
    count = len(CASES[name][1])
    for place in range(count):
        args = [twain.asarray([0.5 + i, NAN if i == place else 1.5]) for i in range(count)]
        found = getattr(twain, name)(*args).tolist()
        assert math.isnan(found[1])


@pytest.mark.parametrize(
    "name, given", [("gammainc", (2.5,)), ("gammaincc", (2.5,)), ("betainc", (2.0, 3.0)), ("zeta", (3.0,))]
)
def test_gradient_by_the_last_operand(name, given):
    function = getattr(twain, name)
    args = [twain.asarray(v, dtype="float64") for v in given]
    x = twain.asarray(0.7, dtype="float64").requires_grad_()
    function(*args, x).backward()
    step = 1e-5
    slope = (function(*args, x.detach() + step) - function(*args, x.detach() - step)).item() / (2 * step)
    assert abs(x.grad.item() - slope) < 1e-8 * max(1, abs(slope))
    args[0] = args[0].requires_grad_()
    with pytest.raises(TwainError, match=f"{name}.*without a gradient"):
        function(*args, x).backward()


def test_polygamma():
    x = twain.asarray([0.5, 3.0], dtype="float64").requires_grad_()
    y = twain.polygamma(1, x)
    assert np.allclose(y.tolist(), [math.pi**2 / 2, math.pi**2 / 6 - 1.25], rtol=1e-14)
    y.sum().backward()
    assert np.allclose(x.grad.tolist(), twain.polygamma(2, x.detach()).tolist(), rtol=1e-13)
    with pytest.raises(TwainError, match=r"\[polygamma\]"):
        twain.polygamma(-1, x)


def test_polygamma_of_negative_numbers(rng):
    x = -rng.uniform(0, 6, 20)
    for n in (1, 2, 3):
        with mpmath.workdps(30):
            wanted = [float(mpmath.polygamma(n, v)) for v in x.tolist()]
        np.testing.assert_allclose(twain.polygamma(n, twain.asarray(x)).numpy(), wanted, rtol=1e-11)
