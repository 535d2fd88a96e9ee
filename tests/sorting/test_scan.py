"""Scans where vectors end, where rows are cut into blocks, and along every axis."""

import numpy as np
import pytest

import twain
from twain import _core
from twain.ops import scan
from twain.testing import scan_references as reference

SHAPES = [(5,), (0,), (3, 1000), (7, 33), (2, 3, 257), (1, 70_001), (5, 2, 3), (9, 1, 40)]


@pytest.mark.parametrize("combine", "add mul max min".split())
@pytest.mark.parametrize("dtype", "float32 float64 int8 int64 bool complex64".split())
def test_against_numpy(combine, dtype):
    if (dtype == "complex64" and combine not in ("add", "mul")) or (dtype == "bool" and combine in ("add", "mul")):
        pytest.skip("not defined")
    rng = np.random.default_rng()
    for shape in SHAPES:
        x = rng.standard_normal(shape) if dtype[0] in "fc" else rng.integers(-3, 4, shape)
        if dtype[0] == "f" and combine == "mul":
            x = np.exp(x * 0.01)
        x = x.astype(dtype)
        if dtype[0] == "f" and x.size > 9 and combine == "max":
            x.flat[5] = np.nan
        for axis in range(len(shape)):
            for reverse in (False, True):
                got = getattr(scan, f"scan_{combine}")(twain.asarray(x), axis, reverse).numpy()
                wide = {"f": "float64", "c": "complex128"}.get(dtype[0], dtype)
                want = getattr(reference, f"scan_{combine}")(x.astype(wide), axis, reverse)
                np.testing.assert_allclose(got, want, rtol=3e-4, atol=2e-3, err_msg=f"{shape} {axis} {reverse}")


def test_same_for_any_number_of_threads():
    x = twain.asarray(np.random.default_rng().standard_normal(200_003).astype("float32"))
    before = _core.get_threads()
    try:
        found = []
        for n in (1, 2, 5):
            _core.set_threads(n)
            found.append([twain.cumulative_sum(x).numpy(), twain.logcumsumexp(x).numpy()])
    finally:
        _core.set_threads(before)
    for other in found[1:]:
        for a, b in zip(found[0], other):
            np.testing.assert_array_equal(a, b)


def test_cumulative_sum_and_prod():
    x = np.random.default_rng().integers(0, 100, (4, 6)).astype("uint8")
    t = twain.asarray(x)
    assert twain.cumulative_sum(t, axis=1).dtype is twain.uint64
    np.testing.assert_array_equal(twain.cumulative_sum(t, axis=1).numpy(), np.cumsum(x, 1, dtype="uint64"))
    got = twain.cumulative_sum(t, axis=0, include_initial=True, dtype=twain.float32).numpy()
    np.testing.assert_array_equal(got, np.concatenate([np.zeros((1, 6)), np.cumsum(x, 0)]))
    assert twain.cumulative_prod(twain.asarray([True, True, False]), include_initial=True).tolist() == [1, 1, 1, 0]
    assert twain.cumulative_sum(twain.zeros((0,)), include_initial=True).tolist() == [0.0]


def test_gradient_of_products_with_zeros():
    x = twain.asarray([2.0, 0.0, 3.0, 0.0, 5.0]).requires_grad_()
    twain.cumulative_prod(x).sum().backward()
    assert x.grad.tolist() == [1.0, 8.0, 0.0, 0.0, 0.0]  # 1 + 0 + ..., 2 + 6 + 0 + ..., none, none, none


def test_extrema_say_where():
    values, indices = twain.cummax(twain.asarray([1.0, 3.0, 3.0, 2.0, float("nan"), 9.0]))
    assert values.tolist()[:4] == [1, 3, 3, 3] and np.isnan(values.numpy()[4:]).all()
    assert indices.tolist() == [0, 1, 2, 2, 4, 4]
    assert twain.cummin(twain.asarray([[3, 1], [2, 5]]), 0)[1].tolist() == [[0, 0], [1, 0]]


@pytest.mark.parametrize("dtype", "float32 float64 int8 int64 bool".split())
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_where_running_extrema_are(axis, dtype):
    rng = np.random.default_rng()
    x = rng.integers(-3, 4, (5, 40, 7)).astype(dtype)
    if dtype.startswith("float"):
        x.flat[rng.integers(0, x.size, 9)] = np.nan
    for name in ("cummax", "cummin"):
        for got, want in zip(getattr(twain, name)(twain.asarray(x), axis), getattr(reference, name)(x, axis)):
            np.testing.assert_array_equal(got.numpy(), want)


def test_logcumsumexp_is_stable():
    x = np.array([-1e4, 1e4, -np.inf, 1e4, np.inf, 3.0])
    np.testing.assert_array_equal(twain.logcumsumexp(twain.asarray(x)).numpy(), np.logaddexp.accumulate(x))
    t = twain.asarray([-float("inf"), -float("inf"), 0.0, 1.0]).requires_grad_()
    twain.logcumsumexp(t)[-1].backward()
    np.testing.assert_allclose(t.grad.numpy(), [0, 0, 1 / (1 + np.e), np.e / (1 + np.e)], rtol=1e-6)


def test_trapezoids():
    rng = np.random.default_rng()
    y, x = rng.standard_normal((3, 8)), np.sort(rng.standard_normal(8))
    np.testing.assert_allclose(twain.trapezoid(twain.asarray(y), dx=0.5).numpy(), np.trapezoid(y, dx=0.5))
    np.testing.assert_allclose(twain.trapezoid(twain.asarray(y), twain.asarray(x)).numpy(), np.trapezoid(y, x))
    got = twain.cumulative_trapezoid(twain.asarray(y), axis=0).numpy()
    np.testing.assert_allclose(got, np.cumsum((y[1:] + y[:-1]) / 2, 0))
    with pytest.raises(ValueError, match=r"\[trapezoid\] expected x with one value per sample"):
        twain.trapezoid(twain.asarray(y), twain.ones((5,)))
