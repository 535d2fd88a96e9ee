"""Everyday functions made of others, against NumPy."""

import numpy as np
import pytest

import twain


@pytest.mark.parametrize("dtype", ["int32", "float32", "float64", "complex64", "complex128"])
def test_angle_and_sgn(dtype):
    rng = np.random.default_rng()
    x = rng.normal(size=(3, 5)) * 4
    x[0, :3] = 0, -2, 3
    x = (x + 1j * rng.normal(size=(3, 5)) * (rng.random((3, 5)) < 0.5) if dtype[0] == "c" else x).astype(dtype)
    for ours, theirs in ((twain.angle, np.angle), (twain.sgn, lambda v: np.sign(v) if dtype[0] != "c" else unit(v))):
        found, wanted = ours(twain.asarray(x)), theirs(x)
        np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-6, atol=1e-7)
        compiled = twain.compile(ours)
        for _ in range(3):
            np.testing.assert_array_equal(compiled(twain.asarray(x)).numpy(), found.numpy())
    assert str(twain.sgn(twain.asarray(x)).dtype) == dtype


def unit(x):
    """NumPy 2's sign of complex numbers, which is PyTorch's sgn."""
    size = np.abs(x)
    return np.where(size == 0, 0, x / np.where(size == 0, 1, size))


def test_angle_of_special_values_and_gradient():
    x = np.array([0.0, -0.0, np.nan, np.inf, -np.inf])
    np.testing.assert_array_equal(twain.angle(twain.asarray(x)).numpy(), [0, 0, np.nan, 0, np.pi])
    turned = twain.grad(lambda t: twain.angle(twain.exp(1j * t) * 2).sum())(twain.asarray([0.5, -1.0], dtype="float64"))
    np.testing.assert_allclose(turned.numpy(), 1, rtol=1e-12)
    assert twain.angle(twain.zeros((0, 2))).shape == (0, 2)
