"""What goes by a mask, and distinct elements."""

import numpy as np
import pytest
from sorting_samples import rows

import twain
from twain.tensor import selection


@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.99, 1])
def test_masks(share):
    rng = np.random.default_rng()
    for size in (0, 1, 7, 8, 9, 4095, 4096, 4097, 50_003):
        mask, x = rng.random(size) < share, rng.standard_normal(size).astype("float32")
        m = twain.asarray(mask)
        np.testing.assert_array_equal(selection.flat_nonzero(m).numpy(), np.nonzero(mask)[0])
        np.testing.assert_array_equal(twain.masked_select(twain.asarray(x), m).numpy(), x[mask])
        few = rng.integers(0, 100, size).astype("int8")
        np.testing.assert_array_equal(twain.asarray(few).masked_select(m).numpy(), few[mask])
        source = rng.standard_normal(size + 3).astype("float32")
        wanted = x.copy()
        wanted[mask] = source[: mask.sum()]
        got = twain.masked_scatter(twain.asarray(x), m, twain.asarray(source))
        np.testing.assert_array_equal(got.numpy(), wanted)
        np.testing.assert_array_equal(twain.masked_fill(twain.asarray(x), m, -1).numpy(), np.where(mask, -1, x))


def test_masked_select_broadcasts_and_differentiates():
    x = twain.asarray(np.arange(12.0).reshape(3, 4)).requires_grad_()
    mask = twain.asarray([True, False, True, False])
    y = twain.masked_select(x, mask)
    assert y.tolist() == [0, 2, 4, 6, 8, 10]
    (y * y).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), np.where(mask.numpy(), 2 * x.detach().numpy(), 0))
    with pytest.raises(TypeError, match=r"\[masked_select\] expected a bool mask, got int64"):
        twain.masked_select(x, twain.asarray([1, 0, 1, 0]))
    with pytest.raises(ValueError, match=r"\[masked_select\]"):
        twain.masked_select(x, twain.asarray([True, False]))


@pytest.mark.parametrize("dtype", ["int64", "float32", "bool", "uint8"])
@pytest.mark.parametrize("shape", [(4, 60), (0,), (1,), (), (3, 2, 5)])
def test_unique(dtype, shape):
    x = rows(np.random.default_rng(), dtype, shape)
    t = twain.asarray(x)
    values, indices, inverse, counts = np.unique(
        x, return_index=True, return_inverse=True, return_counts=True, equal_nan=False
    )
    found = twain.unique_all(t)
    for got, want in zip(found, (values, indices, inverse.reshape(shape), counts)):
        np.testing.assert_array_equal(got.numpy(), want)
    np.testing.assert_array_equal(twain.unique_values(t).numpy(), values)
    np.testing.assert_array_equal(twain.unique_counts(t).counts.numpy(), counts)
    np.testing.assert_array_equal(twain.unique_inverse(t).inverse_indices.numpy(), inverse.reshape(shape))
    np.testing.assert_array_equal(twain.unique(t).numpy(), values)


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_unique_slices(axis):
    x = np.random.default_rng().integers(0, 2, (9, 3, 2))
    found = twain.unique(twain.asarray(x), return_inverse=True, return_counts=True, axis=axis)
    wanted = np.unique(x, return_inverse=True, return_counts=True, axis=axis)
    for got, want in zip(found, wanted):
        np.testing.assert_array_equal(got.numpy(), want.reshape(got.shape))


def test_unique_consecutive():
    values, inverse, counts = twain.unique_consecutive(
        twain.asarray([1, 1, 2, 2, 2, 1]), return_inverse=True, return_counts=True
    )
    assert (values.tolist(), inverse.tolist(), counts.tolist()) == ([1, 2, 1], [0, 0, 1, 1, 1, 2], [2, 3, 1])
    rows_ = twain.asarray([[1, 2], [1, 2], [1, 3], [1, 2]])
    assert twain.unique_consecutive(rows_, axis=0).tolist() == [[1, 2], [1, 3], [1, 2]]
    keys = np.random.default_rng().integers(0, 3, (3, 50))
    np.testing.assert_array_equal(twain.lexsort(twain.asarray(keys)).numpy(), np.lexsort(keys))


@pytest.mark.parametrize("dtype", "float32 float64 int8 uint16 int32 uint64 bool float16".split())
def test_where_extrema_are(dtype):
    """argmax and argmin have kernels of their own for rows in memory."""
    rng = np.random.default_rng()
    for shape in ((17,), (1024,), (100_003,), (3, 1030), (20, 33), (4, 5, 7)):
        x = rows(rng, dtype, shape, special=bool(rng.random() < 0.5))
        for name in ("argmax", "argmin"):
            for axis in (None, -1, 0):
                got = getattr(twain, name)(twain.asarray(x), axis=axis).numpy()
                np.testing.assert_array_equal(got, getattr(np, name)(x, axis=axis), f"{name} {dtype} {shape} {axis}")
