"""Sorting, selecting and searching at the lengths where one kernel gives way to another."""

import numpy as np
import pytest
from sorting_samples import DTYPES, rows

import twain
from twain import _core
from twain.testing import sort_references as reference

# networks up to 64 alone and 512 with others, digits of 8 and 11 bits, blocks from 131072
SHAPES = [(1,), (0,), (64,), (65,), (9, 17), (33, 8), (17, 512), (9, 513), (2, 5000), (2, 3, 40), (3, 0)]


@pytest.fixture
def rng():
    return np.random.default_rng()


@pytest.fixture(params=[1, 3])
def threads(request):
    before = _core.get_threads()
    _core.set_threads(request.param)
    yield request.param
    _core.set_threads(before)


def check_sorted(x: np.ndarray, descending: bool) -> None:
    t = twain.asarray(x)
    what = f"{x.dtype} {x.shape} descending={descending}"
    np.testing.assert_array_equal(twain.sort(t, descending=descending).numpy(), reference.sort(x, -1, descending), what)
    order = twain.argsort(t, descending=descending).numpy()
    np.testing.assert_array_equal(order, reference.argsort(x, -1, descending), what)


@pytest.mark.parametrize("dtype", DTYPES)
def test_rows(dtype, rng):
    for shape in SHAPES:
        for descending in (False, True):
            check_sorted(rows(rng, dtype, shape), descending)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int16", "uint8"])
def test_long_rows(dtype, rng, threads):
    check_sorted(rows(rng, dtype, (2, 140_001)), bool(rng.random() < 0.5))


def test_sorted_already_and_all_equal(rng, threads):
    for x in (np.arange(150_000), np.arange(150_000)[::-1].copy(), np.full(150_000, 7), np.arange(150_000) % 2):
        for dtype in ("int32", "float64"):
            check_sorted(x.astype(dtype), False)


def test_bfloat16(rng):
    x = twain.asarray(rng.standard_normal(700), dtype="bfloat16")
    got = twain.sort(x).astype("float32").numpy()
    np.testing.assert_array_equal(got, np.sort(x.astype("float32").numpy()))


@pytest.mark.parametrize("axis", [0, 1, -1, -3])
def test_any_axis_and_layout(axis, rng):
    x = rng.standard_normal((5, 40, 7)).astype("float32")
    for given, meant in ((twain.asarray(x), x), (twain.asarray(x)[:, ::-2], x[:, ::-2])):
        np.testing.assert_array_equal(twain.sort(given, axis=axis).numpy(), np.sort(meant, axis=axis))
        np.testing.assert_array_equal(given.argsort(axis=axis).numpy(), np.argsort(meant, axis=axis, kind="stable"))


@pytest.mark.parametrize("dtype", DTYPES)
def test_topk_and_kth(dtype, rng):
    for shape in ((513,), (3, 1000), (20_000,), (9, 200), (4, 30)):
        x = rows(rng, dtype, shape)
        t = twain.asarray(x)
        k = int(rng.integers(0, shape[-1] // 8 + 1))
        for largest in (True, False):
            values, indices = twain.topk(t, k, largest=largest)
            wanted = reference.topk(x, k, -1, largest)
            np.testing.assert_array_equal(indices.numpy(), wanted[1], f"{dtype} {shape} k={k}")
            np.testing.assert_array_equal(values.numpy(), wanted[0])
        k = int(rng.integers(1, shape[-1]))
        for got, wanted in zip(twain.kthvalue(t, k), reference.kthvalue(x, k)):
            np.testing.assert_array_equal(got.numpy(), wanted, f"{dtype} {shape} k={k}")


@pytest.mark.parametrize("size", [31, 32, 2001])
def test_medians(size, rng):
    x = rng.standard_normal((4, size))
    middle = np.sort(x)[:, (size - 1) // 2]
    values, indices = twain.median(twain.asarray(x), 1)
    np.testing.assert_array_equal(values.numpy(), middle)
    np.testing.assert_array_equal(np.take_along_axis(x, indices.numpy()[:, None], 1)[:, 0], middle)
    x[0, :7] = np.nan
    x[1] = np.nan
    assert np.isnan(twain.median(twain.asarray(x), 1)[0].numpy()).tolist() == [True, True, False, False]
    got = twain.nanmedian(twain.asarray(x), 1)[0].numpy()
    left = np.sort(x[0, 7:])
    np.testing.assert_array_equal(got, [left[(len(left) - 1) // 2], np.nan, *middle[2:]])
    assert twain.median(twain.asarray(np.array([3, 1, 2, 4]))).item() == 2


@pytest.mark.parametrize("method", ["linear", "lower", "higher", "midpoint", "nearest", "hazen", "weibull",
                                    "median_unbiased", "normal_unbiased", "interpolated_inverted_cdf", "inverted_cdf",
                                    "averaged_inverted_cdf"])  # fmt: skip
def test_quantiles(method, rng):
    x = rng.standard_normal((3, 11, 4))
    x[0, 0, 0] = np.nan
    q = [0, 0.1, 0.25, 0.33, 0.5, 0.9, 1]
    for axis in (None, 1, (0, 2)):
        got = twain.quantile(twain.asarray(x), q, axis, method=method).numpy()
        np.testing.assert_allclose(got, np.quantile(x, q, axis, method=method), rtol=1e-12)
        got = twain.nanquantile(twain.asarray(x), q, axis, method=method).numpy()
        np.testing.assert_allclose(got, np.nanquantile(x, q, axis, method=method), rtol=1e-12)
    assert twain.quantile(twain.asarray([1.0, 2.0]), 0.5).item() == 1.5
    assert (
        twain.quantile(twain.asarray([4.0]), [0.5]).tolist() == [4.0]
        and twain.quantile(twain.asarray(4.0), 1).item() == 4
    )


def test_mode(rng):
    x = rng.integers(0, 4, (6, 50))
    values, indices = twain.mode(twain.asarray(x), 1)
    for row, value, index in zip(x, values.tolist(), indices.tolist()):
        counts = np.bincount(row)
        assert value == np.argmax(counts) and index == np.nonzero(row == value)[0][-1]


# ---------------------------------------------------------------- searching
@pytest.mark.parametrize("dtype", [d for d in DTYPES if d != "bool"])
def test_searchsorted(dtype, rng):
    for length in (1, 2, 7, 100):
        row, values = np.sort(rows(rng, dtype, (length,))), rows(rng, dtype, (3, 41))
        for side in ("left", "right"):
            got = twain.searchsorted(twain.asarray(row), twain.asarray(values), side=side).numpy()
            np.testing.assert_array_equal(got, np.searchsorted(row, values, side))


def test_searchsorted_with_sorter_rows_and_none(rng):
    x = rng.standard_normal(20)
    sorter = np.argsort(x)
    got = twain.searchsorted(twain.asarray(x), twain.asarray(x), sorter=twain.asarray(sorter)).numpy()
    np.testing.assert_array_equal(got, np.searchsorted(x, x, sorter=sorter))
    batch, values = np.sort(rng.standard_normal((4, 9))), rng.standard_normal((4, 5))
    got = twain.searchsorted(twain.asarray(batch), twain.asarray(values), right=True).numpy()
    np.testing.assert_array_equal(got, [np.searchsorted(r, v, "right") for r, v in zip(batch, values)])
    assert twain.searchsorted(twain.zeros((0,)), twain.asarray([1.0])).tolist() == [0]
    assert twain.bucketize(twain.asarray([1, 2, 3]), twain.asarray([1.5, 2.0]), right=True).tolist() == [0, 2, 2]


@pytest.mark.parametrize("dtype", ["int8", "int64", "uint16", "uint64", "float32"])
def test_isin_many(dtype, rng):
    for spread in (20, 10**9):
        if spread > np.iinfo(dtype).max if dtype != "float32" else False:
            continue
        x, tests = rng.integers(0, spread, 3000).astype(dtype), rng.integers(0, spread, 15).astype(dtype)
        tests[0] = x[7]
        for invert in (False, True):
            got = twain.isin(twain.asarray(x.reshape(3, 1000)), twain.asarray(tests), invert=invert).numpy()
            np.testing.assert_array_equal(got, np.isin(x, tests, invert=invert).reshape(3, 1000))


def test_isin(rng):
    x, tests = rng.integers(0, 50, (4, 30)), rng.integers(0, 50, 20)
    for invert in (False, True):
        got = twain.isin(twain.asarray(x), twain.asarray(tests), invert=invert).numpy()
        np.testing.assert_array_equal(got, np.isin(x, tests, invert=invert))
    assert twain.isin(twain.asarray([1, 2]), twain.zeros((0,), dtype="int64")).tolist() == [False, False]


# ---------------------------------------------------------------- derivatives
def test_gradients_go_where_the_elements_were(rng):
    x = twain.asarray(rng.standard_normal((3, 900))).requires_grad_()
    weights = rng.standard_normal((3, 900))
    (twain.sort(x) * twain.asarray(weights)).sum().backward()
    order = np.argsort(x.detach().numpy())
    wanted = np.zeros((3, 900))
    np.put_along_axis(wanted, order, weights, 1)
    np.testing.assert_array_equal(x.grad.numpy(), wanted)
    x.grad = None
    twain.topk(x, 5)[0].sum().backward()
    assert (x.grad.numpy() != 0).sum() == 15


def test_compiled(rng):
    x = twain.asarray(rng.standard_normal((4, 600)).astype("float32"))

    @twain.compile
    def best(x):
        values, indices = twain.topk(x * 2, 3)
        return values + 1, indices, twain.sort(x)[:, ::-1]

    for _ in range(3):
        values, indices, backwards = best(x)
        order = np.argsort(-x.numpy(), kind="stable")
        np.testing.assert_array_equal(indices.numpy(), order[:, :3])
        np.testing.assert_allclose(values.numpy(), np.take_along_axis(x.numpy(), order[:, :3], 1) * 2 + 1, rtol=1e-6)
        np.testing.assert_array_equal(backwards.numpy(), np.sort(x.numpy())[:, ::-1])


def test_0d():
    x = twain.asarray(3.0)
    assert twain.sort(x).item() == 3 and twain.argsort(x, axis=0).shape == () and twain.cumulative_sum(x).shape == ()
    assert [v.item() for v in (*twain.topk(x, 1), *twain.kthvalue(x, 1), *twain.mode(x), *twain.cummax(x, 0))] == [
        3,
        0,
    ] * 4


@pytest.mark.parametrize(("call", "message"), [
    (lambda x: twain.sort(x, axis=5), "[sort] expected axis"),
    (lambda x: twain.sort(x.astype("complex64")), "[sort] expected dtypes"),
    (lambda x: twain.topk(x, 99), "[topk] expected k in [0, 4]"),
    (lambda x: twain.topk(x, 1.5), "[topk] expected k to be an int"),
    (lambda x: twain.kthvalue(x, 0), "[kthvalue] expected k in [1, 4]"),
    (lambda x: twain.quantile(x, 1.5), "[quantile] expected q in [0, 1], got 1.5"),
    (lambda x: twain.quantile(x, 0.5, method="best"), "[quantile] expected method among linear"),
    (lambda x: twain.searchsorted(x[0], x, side="middle"), "[searchsorted] expected side"),
    (lambda x: twain.searchsorted(x, x[0]), "[searchsorted] expected values with the leading axes"),
    (lambda x: twain.median(twain.zeros((0,))), "[median] expected at least one element"),
])  # fmt: skip
def test_errors(call, message):
    with pytest.raises((TypeError, ValueError)) as caught:
        call(twain.ones((3, 4)))
    assert message in str(caught.value)
