"""Scatter, segments, bags, counting and histograms for users."""

import numpy as np
import pytest

import twain
from twain import _core
from twain.testing import scatter_references as reference


@pytest.fixture
def rng():
    return np.random.default_rng()


@pytest.mark.parametrize("reduce", "sum prod mean amax amin".split())
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_scatter_reduce(reduce, axis, rng):
    x = rng.standard_normal((6, 7, 3))
    shape = list(x.shape)
    shape[axis] = 5
    index, src = rng.integers(0, x.shape[axis], shape), rng.standard_normal(shape)
    for include in (True, False):
        got = twain.scatter_reduce(
            twain.asarray(x), axis, twain.asarray(index), twain.asarray(src), reduce, include_self=include
        )
        wanted = reference.scatter_reduce(x, index, src, axis, reduce, include)
        np.testing.assert_allclose(got.numpy(), wanted, rtol=1e-12)


def test_scatter_takes_smaller_indices_and_numbers(rng):
    x = rng.standard_normal((4, 5)).astype("float32")
    index = np.array([[0, 1, 2], [3, 0, 1]])
    wanted = x.copy()
    for i in range(2):
        for j in range(3):
            wanted[index[i, j], j] = 7
    np.testing.assert_array_equal(twain.scatter(twain.asarray(x), 0, twain.asarray(index), 7).numpy(), wanted)
    src = rng.standard_normal((4, 5)).astype("float32")
    got = twain.asarray(x).scatter_add(0, twain.asarray(index), twain.asarray(src))
    np.testing.assert_allclose(got.numpy(), reference.scatter(x, index, src[:2, :3], 0, combine="add"), rtol=1e-6)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_index_functions(axis, rng):
    x = rng.standard_normal((6, 7, 64)).astype("float32")
    index = rng.integers(-x.shape[axis], x.shape[axis], 4)
    shape = list(x.shape)
    shape[axis] = 4
    source = rng.standard_normal(shape).astype("float32")
    t, i, s = twain.asarray(x), twain.asarray(index), twain.asarray(source)
    at = (slice(None),) * axis + (index,)
    wanted = x.copy()
    np.add.at(wanted, at, 2 * source)
    np.testing.assert_allclose(twain.index_add(t, axis, i, s, alpha=2).numpy(), wanted, rtol=1e-5, atol=1e-6)
    wanted = x.copy()
    for k in range(4):
        wanted[(slice(None),) * axis + (index[k],)] = source[(slice(None),) * axis + (k,)]
    np.testing.assert_array_equal(twain.index_copy(t, axis, i, s).numpy(), wanted)
    wanted = x.copy()
    wanted[at] = 3
    np.testing.assert_array_equal(twain.index_fill(t, axis, i, 3).numpy(), wanted)


def test_numbers_count_as_one_element():
    """A 0-d tensor has one element along axis 0 or -1, as in PyTorch."""
    x, zero, one = twain.asarray(2.0), twain.asarray(0), twain.asarray([0])
    for axis in (0, -1):
        assert (
            twain.scatter(x, axis, zero, 5.0).tolist()
            == twain.index_fill(x, axis, one, twain.asarray(5.0)).tolist()
            == 5
        )
        assert twain.scatter_add(x, axis, one, x).tolist() == twain.index_add(x, axis, zero, x, alpha=1).tolist() == 4
        assert twain.index_copy(x, axis, one, twain.asarray([7.0])).tolist() == 7
        assert twain.scatter_reduce(x, axis, zero, x, "prod").tolist() == 4
        assert twain.take_along_axis(x, zero, axis=axis).tolist() == 2 and twain.take(x, one, axis=axis).tolist() == [2]
        assert twain.swapaxes(x, axis, 0).tolist() == 2
    with pytest.raises(IndexError, match="take"):
        twain.take(x, twain.asarray([1]), axis=0)
    y = twain.asarray(3.0).requires_grad_()
    twain.index_add(y, 0, one, y.reshape(1) * y).backward()
    assert y.grad.item() == 7


def test_take_along_axis_broadcasts(rng):
    """On the other axes values and indices broadcast, as NumPy's."""
    for shape, places, axis in (((5, 4), (1, 2), 1), ((1, 4), (5, 2), 1), ((3, 1, 2), (2, 4, 1), 0)):
        x, index = rng.standard_normal(shape), rng.integers(0, shape[axis], places)
        got = twain.take_along_axis(twain.asarray(x), twain.asarray(index), axis=axis)
        np.testing.assert_array_equal(got.numpy(), np.take_along_axis(x, index, axis))
    with pytest.raises(ValueError, match=r"\[take_along_axis\] expected shapes that broadcast"):
        twain.take_along_axis(twain.ones((3, 4)), twain.zeros((2, 4), dtype="int64"), axis=1)


def test_put(rng):
    x, source = rng.standard_normal((4, 5)), rng.standard_normal(3)
    index = np.array([1, -1, 5])
    wanted = x.copy()
    np.put(wanted, index, source)
    np.testing.assert_array_equal(
        twain.put(twain.asarray(x), twain.asarray(index), twain.asarray(source)).numpy(), wanted
    )
    got = twain.put(twain.asarray(x), twain.asarray([0, 0]), twain.asarray([1.0, 2.0]), accumulate=True)
    assert got[0, 0].item() == x[0, 0] + 1 + 2


@pytest.mark.parametrize("reduce", "sum mean prod max min".split())
def test_segments(reduce, rng):
    data, ids = rng.standard_normal((40, 3)), rng.integers(0, 5, 40)
    got = getattr(twain, f"segment_{reduce}")(twain.asarray(data), twain.asarray(ids), 7).numpy()
    np.testing.assert_allclose(got, reference.segment_reduce(data, ids, reduce, 7), rtol=1e-12)
    whole = getattr(twain, f"segment_{reduce}")(twain.asarray([1, 2, 3, 4]), twain.asarray([0, 1, -1, 1]))
    assert whole.tolist() == {"sum": [1, 6], "mean": [1, 3], "prod": [1, 8], "max": [1, 4], "min": [1, 2]}[reduce]


def test_same_for_any_number_of_threads(rng):
    data = twain.asarray(rng.standard_normal((3000, 256)).astype("float32"))
    ids = twain.asarray(rng.integers(0, 5, 3000))
    before = _core.get_threads()
    try:
        found = []
        for n in (1, 2, 5):
            _core.set_threads(n)
            found.append(twain.segment_sum(data, ids, 5).numpy())
    finally:
        _core.set_threads(before)
    for other in found[1:]:
        np.testing.assert_array_equal(found[0], other)


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_embedding_bag(mode, rng):
    weight, flat = rng.standard_normal((10, 4)), rng.integers(0, 10, 20)
    offsets = np.array([0, 3, 3, 9])
    ids = np.searchsorted(offsets, np.arange(20), "right") - 1
    w, i, o = (twain.asarray(v) for v in (weight, flat, offsets))
    for padding in (None, 3):
        one = np.ones(20)
        wanted = reference.embedding_bag(flat, weight, one, ids, 4, mode, padding)
        got = twain.embedding_bag(i, w, o, mode=mode, padding_idx=padding)
        np.testing.assert_allclose(got.numpy(), wanted, rtol=1e-12, atol=1e-15)
        wanted = reference.embedding_bag_rows(flat.reshape(4, 5), weight, one, mode, padding)
        got = twain.embedding_bag(twain.asarray(flat.reshape(4, 5)), w, mode=mode, padding_idx=padding)
        np.testing.assert_allclose(got.numpy(), wanted, rtol=1e-12, atol=1e-15)
    again = twain.embedding_bag(i, w, twain.asarray([0, 3, 3, 9, 20]), mode=mode, include_last_offset=True)
    np.testing.assert_allclose(again.numpy(), twain.embedding_bag(i, w, o, mode=mode).numpy())
    twain.embedding_bag(i[:5], w, o[:1], mode=mode, max_norm=0.5)
    wanted = weight.copy()
    for row in set(flat[:5].tolist()):
        wanted[row] *= min(1.0, 0.5 / (np.linalg.norm(weight[row]) + 1e-7))
    np.testing.assert_allclose(w.numpy(), wanted, rtol=1e-6)


def test_counting(rng):
    x, weights = rng.integers(0, 50, 100_000), rng.random(100_000)
    t = twain.asarray(x)
    np.testing.assert_array_equal(twain.bincount(t, minlength=60).numpy(), np.bincount(x, minlength=60))
    np.testing.assert_allclose(twain.bincount(t, twain.asarray(weights)).numpy(), np.bincount(x, weights), rtol=1e-10)
    assert twain.bincount(twain.zeros((0,), dtype="int32"), minlength=2).tolist() == [0, 0]


@pytest.mark.parametrize("options", [{}, {"bins": 7}, {"bins": 5, "range": (-1, 1)}, {"bins": [-2, -1, 0, 3]},
                                     {"bins": 5, "density": True}, {"bins": 4, "weights": True}])  # fmt: skip
@pytest.mark.parametrize("dtype", ["float64", "float32", "int16"])
def test_histogram(options, dtype, rng):
    x = (rng.standard_normal(1000) * 3).astype(dtype)
    ours, theirs = dict(options), dict(options)
    if "weights" in options:
        theirs["weights"] = rng.random(1000)
        ours["weights"] = twain.asarray(theirs["weights"])
    counts, edges = twain.histogram(twain.asarray(x), **ours)
    wanted = np.histogram(x, **theirs)
    np.testing.assert_allclose(edges.numpy(), wanted[1], rtol=1e-6, atol=1e-6)
    if dtype != "float32":  # NumPy rounds float32 edges another way
        np.testing.assert_allclose(counts.numpy(), wanted[0], rtol=1e-10)
    else:
        at = np.where(x == edges.numpy()[-1], len(edges) - 2, np.searchsorted(edges.numpy(), x, "right") - 1)
        plain = np.bincount(at[(at >= 0) & (at < len(edges) - 1)], minlength=len(edges) - 1)
        if not options.get("density") and "weights" not in options:
            np.testing.assert_array_equal(counts.numpy(), plain)


def test_histogram_edges():
    x = twain.asarray([0.0, 0.1, 1.0, 1.0, float("nan"), 2.0])
    counts, edges = twain.histogram(x, 2, range=(0, 1))
    assert counts.tolist() == [2, 2] and edges.tolist() == [0, 0.5, 1]
    assert twain.histc(twain.asarray([3.0, 3.0]), 4).tolist() == [0, 0, 2, 0]
    points = np.random.default_rng().standard_normal((500, 3))
    got = twain.histogramdd(twain.asarray(points), (3, 4, 5))
    np.testing.assert_array_equal(got[0].numpy(), np.histogramdd(points, (3, 4, 5))[0])


@pytest.mark.parametrize(("call", "message"), [
    (lambda x, i: twain.scatter(x, 0, i + 9, 0.0), "[scatter] index 9 is out of range for axis 0 of size 3"),
    (lambda x, i: twain.scatter(x, 2, i, 0.0), "[scatter] expected axis"),
    (lambda x, i: twain.scatter_add(x, 0, i[0], x), "[scatter_add] expected an index of 2 dimensions"),
    (lambda x, i: twain.scatter_reduce(x, 0, i, x, "median"), "[scatter_reduce] expected reduce among"),
    (lambda x, i: twain.index_add(x, 0, i[0], x[:1]), "[index_add] expected a source of shape"),
    (lambda x, i: twain.index_copy(x, 0, x[0], x), "[index_copy] expected integer indices"),
    (lambda x, i: twain.embedding_bag(i + 5, x), "[embedding_bag] index 5 is out of range"),
    (lambda x, i: twain.embedding_bag(i[0], x), "[embedding_bag] expected input of two dimensions"),
    (lambda x, i: twain.bincount(i[0] - 1), "[bincount] expected integers of 0 or more, got -1"),
    (lambda x, i: twain.bincount(x), "[bincount] expected one-dimensional integers"),
    (lambda x, i: twain.histogram(x, 0), "[histogram] expected at least 1 bin"),
    (lambda x, i: twain.segment_sum(x, x, 3), "[segment_sum] expected integer segment ids"),
])  # fmt: skip
def test_errors(call, message):
    with pytest.raises((TypeError, ValueError, IndexError)) as caught:
        call(twain.ones((3, 4)), twain.zeros((2, 4), dtype="int64"))
    assert message in str(caught.value)
