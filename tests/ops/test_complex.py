"""Functions of complex numbers: the standard's special values, symmetries, branch cuts, accuracy against long doubles."""

from pathlib import Path

import numpy as np
import pytest

import twain

FINITE = (0.0, -0.0, 1.0, -1.0, 0.5, -2.0, 3.0)
VALUES = {
    "finite": FINITE,
    "nonzero": FINITE[2:],
    "positive": (0.5, 1.0, 1.25),
    "any": (*FINITE, np.inf, -np.inf, np.nan),
}
ODD = {"sinh", "tanh", "asinh", "atanh", "sin", "tan", "asin", "atan"}
CASES = [
    line.split(maxsplit=2)
    for line in (Path(__file__).parent / "complex_special_values.txt").read_text().splitlines()
    if not line.startswith("#")
]


def numbers(word: str) -> tuple:
    return VALUES[word] if word in VALUES else tuple(float(w) for w in word.split("|"))


def number(word: str) -> float:
    """A result such as -3pi/4."""
    top, _, bottom = word.partition("/")
    sign = -1.0 if top.startswith("-") else 1.0
    top = top.lstrip("-")
    value = float(top.replace("pi", "") or 1) * (np.pi if "pi" in top else 1.0) if top != "nan" else np.nan
    return sign * value / float(bottom or 1)


def cases():
    """(function, operand, wanted real, wanted imaginary, sign of real open, sign of imaginary open)."""
    for name, a_word, rest in CASES:
        b_word, rest = rest.split(maxsplit=1)
        for a in numbers(a_word):
            for b in numbers(b_word):
                if rest.startswith("cis"):
                    _, size, more = rest.split()
                    with np.errstate(all="ignore"):
                        size = float(size)
                        real = size * np.cos(b) + (float(more) or -0.0)
                        imaginary = size * np.sin(b) if b else b
                    yield name, a, b, real, imaginary, False, False
                else:
                    real, imaginary = rest.split()
                    yield (
                        name, a, b, number(real.lstrip("±")), number(imaginary.lstrip("±")),
                        real.startswith("±"), imaginary.startswith("±"),
                    )  # fmt: skip


def assert_part(got, want, sign_open, dtype, what):
    if np.isnan(want):
        assert np.isnan(got), what
        return
    with np.errstate(all="ignore"):
        close = abs(got) == abs(want) or abs(abs(got) - abs(want)) <= np.finfo(dtype).eps * 4 * abs(want)
    assert close and (sign_open or np.signbit(got) == np.signbit(want)), what


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_special_values_of_the_standard(dtype):
    everything = list(cases())
    assert len(everything) > 300
    for name in sorted({c[0] for c in everything}):
        mine = [c for c in everything if c[0] == name]
        given = np.array([complex(c[1], c[2]) for c in mine], dtype=dtype)
        found = getattr(twain, name)(twain.asarray(given)).numpy()
        mirrored = getattr(twain, name)(twain.asarray(given.conj())).numpy()
        turned = getattr(twain, name)(twain.asarray(-given)).numpy()
        for (_, a, b, real, imaginary, open_real, open_imaginary), z, w, v in zip(mine, found, mirrored, turned):
            what = f"{name}({a}, {b}): got {z}, expected ({real}, {imaginary})"
            assert_part(z.real, real, open_real, z.real.dtype, what)
            assert_part(z.imag, imaginary, open_imaginary, z.real.dtype, what)
            assert_part(w.real, real, open_real, z.real.dtype, what + f"; of the conjugate {w}")
            assert_part(w.imag, -imaginary, open_imaginary, z.real.dtype, what + f"; of the conjugate {w}")
            if name in ODD:
                assert_part(v.real, -real, open_real, z.real.dtype, what + f"; of the negative {v}")
                assert_part(v.imag, -imaginary, open_imaginary, z.real.dtype, what + f"; of the negative {v}")


TURNED = {"sin": "sinh", "tan": "tanh", "asin": "asinh", "atan": "atanh"}


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_circular_from_hyperbolic(dtype):
    """f(z) is as if -i g(iz) were computed, cos(z) as cosh(iz)."""
    grid = np.array([complex(a, b) for a in VALUES["any"] for b in VALUES["any"]], dtype=dtype)
    turned = np.empty_like(grid)
    turned.real, turned.imag = -grid.imag, grid.real
    for name, other in TURNED.items():
        got = getattr(twain, name)(twain.asarray(grid)).numpy()
        inner = getattr(twain, other)(twain.asarray(turned)).numpy()
        np.testing.assert_array_equal(got.real, inner.imag)
        np.testing.assert_array_equal(got.imag, -inner.real)
    np.testing.assert_array_equal(twain.cos(twain.asarray(grid)).numpy(), twain.cosh(twain.asarray(turned)).numpy())


NUMPY = {
    "asin": "arcsin",
    "acos": "arccos",
    "atan": "arctan",
    "asinh": "arcsinh",
    "acosh": "arccosh",
    "atanh": "arctanh",
}
FUNCTIONS = (
    "exp expm1 log log2 log10 sqrt sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh square reciprocal abs"
).split()


def arguments(rng, dtype):
    """Values of all sizes, around the unit circle, the branch points and the largest exponents."""
    count, single = 3000, dtype == "complex64"
    reach = 30 if single else 250

    def signed(low, high):
        return rng.normal(size=count) * 10.0 ** rng.uniform(low, high, count)

    angle, radius = rng.uniform(0, 6.3, count), 1 + signed(-9, -1)
    parts = [
        (signed(-reach, reach), signed(-reach, reach)),
        (signed(-3, 2), signed(-3, 2)),
        (radius * np.cos(angle), radius * np.sin(angle)),
        (rng.choice([-1.0, 1, 0], count) + signed(-9, 0), rng.choice([-1.0, 1, 0], count) + signed(-9, 0)),
        (rng.uniform(80, 115, count) * (1 if single else 7.8), rng.integers(0, 30, count) * np.pi / 2 + signed(-9, 0)),
    ]
    z = np.concatenate([a + 1j * b for a, b in parts])
    return np.concatenate([z, z[:500].real, -z[:500].real - 0.0j]).astype(dtype)


@pytest.mark.skipif(np.finfo(np.longdouble).eps > 1e-18, reason="long double is no wider than double here")
@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_accuracy(name, dtype):
    """Within 3 ulp of the result's size, and on the right side of the branch cuts."""
    z = arguments(np.random.default_rng(), dtype)
    with np.errstate(all="ignore"):
        w = getattr(np, NUMPY.get(name, name))(z.astype(np.clongdouble))
        got = getattr(twain, name)(twain.asarray(z)).numpy()
        size = np.abs(w)
        info = np.finfo(dtype)
        usual = (size < info.max / 2) & (size > info.tiny)
        error = np.abs(got.astype(np.clongdouble) - w)[usual] / size[usual] / info.eps
    worst = int(np.argmax(np.nan_to_num(error, nan=np.inf)))
    assert error[worst] < 3, f"{name}({z[usual][worst]}): got {got[usual][worst]}, expected {w[usual][worst]}"


def test_log1p_near_its_zero():
    z = np.array([1e-20 + 1e-30j, -1e-9 + 1e-9j, 3e-17 - 2e-8j, -0.5 + 0.8660254037844386j])
    exact = [complex(1e-20, 1e-30), complex(-1e-9, 1e-9 + 1e-18), complex(2.3e-16, -2e-8), None]
    got = twain.log1p(twain.asarray(z, dtype="complex128")).numpy()
    for g, w in zip(got[:3], exact):
        assert abs(g.real - w.real) <= 1e-15 * abs(w.real) and abs(g.imag - w.imag) <= 2e-9 * abs(w.imag)
    assert abs(got[3].real) < 1e-15


def test_logsumexp():
    """Shifted by the largest real part, which may be where exp overflows."""
    rng = np.random.default_rng()
    x = rng.standard_normal((3, 4)) + 1j * rng.standard_normal((3, 4))
    got = twain.logsumexp(twain.asarray(x + 1000), axis=1).numpy()
    np.testing.assert_allclose(got, np.log(np.exp(x).sum(1)) + 1000, rtol=1e-12)


def test_sign():
    x = np.array([3 + 4j, 0, complex(np.inf, 1), complex(-2, -np.inf), complex(np.nan, 0), complex(1, np.nan)])
    got = twain.sign(twain.asarray(x, dtype="complex128")).numpy()
    np.testing.assert_allclose(got[:4], [0.6 + 0.8j, 0, 1, -1j], rtol=1e-15)
    assert np.isnan(got[4:].real).all() and np.isnan(got[4:].imag).all()


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_power(dtype):
    rng = np.random.default_rng()
    x = (rng.normal(size=500) + 1j * rng.normal(size=500)).astype(dtype)
    y = (rng.normal(size=500) + 1j * rng.normal(size=500)).astype(dtype)
    tolerance = 2e-6 if dtype == "complex64" else 1e-13
    with np.errstate(all="ignore"):
        want = x.astype(np.clongdouble) ** y.astype(np.clongdouble)
    np.testing.assert_allclose((twain.asarray(x) ** twain.asarray(y)).numpy(), want, rtol=tolerance)
    np.testing.assert_allclose((twain.asarray(x) ** 3).numpy(), x * x * x, rtol=tolerance * 10)
    np.testing.assert_allclose((twain.asarray(x) ** -2).numpy(), 1 / (x * x), rtol=tolerance * 10)
    assert (twain.asarray(1j, dtype=dtype) ** 2).item() == -1
    assert (twain.asarray(1 + 2j, dtype=dtype) ** 4).item() == -7 - 24j
    assert (twain.asarray(0j, dtype=dtype) ** 0).item() == 1 and (twain.asarray(0j, dtype=dtype) ** 2.5).item() == 0
