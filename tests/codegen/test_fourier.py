"""Fourier transforms of every kind of length and place against NumPy's in float64, and what may not depend on how they run."""

import numpy as np
import pytest

import twain
from twain import _core
from twain.base import dtypes as dt
from twain.codegen.fourier import Table, factors, halves

# one pass; two; all radices; powers; a large prime (NumPy's); two halves, also uneven
LENGTHS = (1, 2, 3, 5, 8, 11, 13, 17, 30, 77, 169, 210, 1000, 1024, 4116, 5000, 6561, 30030, 65536)
PLACES = (lambda n: ((n,), 0), lambda n: ((3, n), 1), lambda n: ((40, n), 1), lambda n: ((2, n, 19), 1))


@pytest.fixture
def rng():
    seed = np.random.SeedSequence().entropy % 2**32
    print(f"seed {seed}")
    return np.random.default_rng(seed)


def assert_near(got, want, length, eps):
    """An error of a few roundings per pass, relative to the size of a typical element."""
    got = np.asarray(got)
    assert got.shape == want.shape
    size = np.sqrt((np.abs(want) ** 2).mean())
    assert np.abs(got - want).max() <= 4 * eps * max(1.0, np.log2(length)) * size


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
@pytest.mark.parametrize("place", range(len(PLACES)))
def test_lengths(rng, place, dtype):
    eps = float(np.finfo(dtype).eps)
    for n in LENGTHS:
        shape, axis = PLACES[place](n)
        if np.prod(shape) > 100_000:
            continue
        z = (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(dtype)
        x, wide = twain.asarray(z), z.astype("complex128")
        real = z.real.copy()
        assert_near(twain.fft.fft(x, axis=axis), np.fft.fft(wide, axis=axis), n, eps)
        assert_near(twain.fft.ifft(x, axis=axis, norm="ortho"), np.fft.ifft(wide, axis=axis, norm="ortho"), n, eps)
        assert_near(twain.fft.rfft(twain.asarray(real), axis=axis), np.fft.rfft(real.astype("d"), axis=axis), n, eps)
        assert_near(twain.fft.irfft(x, n=n, axis=axis), np.fft.irfft(wide, n=n, axis=axis), n, eps)


def test_several_axes_strides_and_compiled(rng):
    z = rng.standard_normal((6, 10, 12)) + 1j * rng.standard_normal((6, 10, 12))
    x = twain.asarray(z)
    both = twain.compile(lambda v: twain.fft.ifftn(twain.fft.fftn(v * 2) * 0.5))
    for _ in range(2):
        assert_near(both(x), z, 720, 1e-15)
    assert_near(twain.fft.fftn(x.mT[::2]), np.fft.fftn(z.swapaxes(-1, -2)[::2]), 360, 1e-15)
    assert_near(twain.fft.rfftn(x.real), np.fft.rfftn(z.real), 720, 1e-15)
    assert_near(twain.fft.irfftn(twain.fft.rfftn(x.real)), z.real, 720, 1e-15)
    tall = rng.standard_normal((6000, 3))
    assert_near(twain.fft.rfft(twain.asarray(tall), axis=0), np.fft.rfft(tall, axis=0), 6000, 1e-15)


def test_infinity_and_nan_spread(rng):
    for bad in (np.inf, np.nan):
        x = rng.standard_normal(60)
        x[7] = bad
        assert not np.isfinite(np.asarray(twain.fft.fft(twain.asarray(x)))).any()


def test_derivative_of_a_long_transform(rng):
    """Parseval: the gradient of the sum of |X|^2 is 2 n x."""
    x = twain.asarray(rng.standard_normal(9000)).requires_grad_()
    (twain.abs(twain.fft.fft(x)) ** 2).sum().backward()
    np.testing.assert_allclose(np.asarray(x.grad), 2 * 9000 * np.asarray(x.detach()), rtol=1e-10, atol=1e-8)


def test_the_same_bits_for_any_number_of_threads(rng):
    x = twain.asarray((rng.standard_normal(60_000) + 1j).astype("complex64"))
    before = _core.get_threads()
    found = []
    try:
        for threads in (1, 2, 3):
            _core.set_threads(threads)
            found.append(np.asarray(twain.fft.fft(x)).copy())
    finally:
        _core.set_threads(before)
    assert all((f == found[0]).all() for f in found)


def test_tables():
    assert factors(17) is None and factors(2 * 19) is None and halves(12) == (4, 3)
    for n in (1, 2, 360, 1001):
        radices = factors(n)
        assert np.prod(radices, initial=1) == n
    turns = Table(8, dt.float64, 4, 9).rotations.reshape(3, 8, 2, 4)
    index = np.arange(12).reshape(3, 1, 4) * np.arange(8).reshape(1, 8, 1)
    want = np.exp(-2j * np.pi * index / 72)
    np.testing.assert_allclose(turns[:, :, 0] + 1j * turns[:, :, 1], want, atol=1e-15)
    assert turns[0, 2, 1, 0] == 0 and turns[2, 0, 0, 1] == 1  # exact
