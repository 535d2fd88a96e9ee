"""x[key] and x[key] = value against NumPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import twain

ARRAY = np.arange(4 * 5 * 6, dtype="float32").reshape(4, 5, 6)
KEYS = [
    0, -1, (1, 2), (1, 2, 3), slice(None), slice(1, 3), slice(None, None, -1), slice(3, None, -2), slice(10, 20), (Ellipsis, 0),
    (0, Ellipsis), Ellipsis, None, (None, 1, None), (slice(None), None, 2), (slice(None), slice(1, 1)), (),
    (slice(None), [0, 2, 4]), ([3, 0],), ([[0, 1], [2, 3]],), (1, [0, -1]), ([0, 1], [2, 3]), (slice(None), [0, 1], [4, 5]),
    (slice(1, 3), Ellipsis, slice(None, None, 3)),
]  # fmt: skip


@pytest.mark.parametrize("key", KEYS, ids=repr)
def test_reading(key):
    np.testing.assert_array_equal(twain.asarray(ARRAY)[key].numpy(), ARRAY[key])


def axis_key(size: int):
    part = st.integers(-size - 1, size + 1) | st.none()
    step = st.sampled_from([None, 1, 2, 3, -1, -2])
    return st.integers(-size, size - 1) | st.builds(slice, part, part, step) | st.just(slice(None))


KEY = st.tuples(axis_key(4), axis_key(5), axis_key(6)).flatmap(lambda k: st.integers(0, 3).map(lambda n: k[:n]))


@settings(max_examples=200, derandomize=True, deadline=None)
@given(KEY)
def test_any_basic_key(key):
    np.testing.assert_array_equal(twain.asarray(ARRAY)[key].numpy(), ARRAY[key])


@settings(max_examples=100, derandomize=True, deadline=None)
@given(KEY)
def test_writing(key):
    x, expected = twain.asarray(ARRAY), ARRAY.copy()
    view = x[0]
    part = np.arange(expected[key].size, dtype="float32").reshape(expected[key].shape) - 500
    expected[key] = part
    x[key] = twain.asarray(part)
    np.testing.assert_array_equal(x.numpy(), expected)
    np.testing.assert_array_equal(view.numpy(), ARRAY[0])  # an earlier view keeps its value


def test_masks():
    x = twain.asarray(ARRAY)
    np.testing.assert_array_equal(x[x > 50].numpy(), ARRAY[ARRAY > 50])
    rows = np.array([True, False, True, False])
    np.testing.assert_array_equal(x[twain.asarray(rows)].numpy(), ARRAY[rows])
    x[x > 50] = -1.0
    np.testing.assert_array_equal(x.numpy(), np.where(ARRAY > 50, np.float32(-1), ARRAY))


@pytest.mark.parametrize(
    "key",
    [
        4,
        -5,
        (0, 0, 0, 0),
        (Ellipsis, Ellipsis),
        slice(None, None, 0),
        1.5,
        "a",
        [7],
        [0.5],
        ["a"],
        [[0], [1, 2]],
        {},
        ([True, False],),
        ([0, 1], [0, 1, 2]),
        slice(0.5),
    ],
    ids=repr,
)
def test_bad_keys(key):
    with pytest.raises((IndexError, TypeError), match=r"\[getitem\]"):
        twain.asarray(ARRAY)[key]


def test_bad_values():
    x = twain.asarray(ARRAY)
    with pytest.raises(ValueError, match=r"\[setitem\].*broadcasts"):
        x[0] = twain.ones((7,))
    leaf = twain.ones((3,)).requires_grad_()
    with pytest.raises(RuntimeError, match="leaf"):
        leaf[0] = 1.0


def test_gradient_through_indexing():
    x = twain.ones((3, 4)).requires_grad_()
    (x[1] * 2).sum().backward()
    assert x.grad.tolist() == [[0.0] * 4, [2.0] * 4, [0.0] * 4]


# ---------------------------------------------------------------- index arrays and masks, as NumPy has them
def random_key(rng, shape: tuple) -> tuple:
    """Ints, slices, None, Ellipsis, index arrays that broadcast, masks of one or two axes, bools."""
    common = [int(d) for d in rng.integers(0 if rng.random() < 0.2 else 1, 4, rng.integers(0, 3))]
    parts: list = []
    axis = 0
    dots = False
    while axis < len(shape):
        size, kind = shape[axis], rng.random()
        if rng.random() < 0.12:
            parts.append(None)
        if not dots and rng.random() < 0.12:
            parts.append(Ellipsis)
            dots = True
            axis += int(rng.integers(0, 3))
        elif kind < 0.15 and size:
            parts.append(int(rng.integers(-size, size)))
            axis += 1
        elif kind < 0.4:
            bounds = [None if rng.random() < 0.3 else int(b) for b in rng.integers(-size - 1, size + 2, 2)]
            parts.append(slice(*bounds, [None, 1, 2, -1, -2][rng.integers(5)]))
            axis += 1
        elif kind < 0.75 and size:
            own = [d if rng.random() < 0.8 else 1 for d in common[rng.integers(0, len(common) + 1) :]]
            parts.append(rng.integers(-size, size, own).astype(["int64", "int32", "int8"][rng.integers(3)]))
            axis += 1
        elif kind < 0.85:
            rank = min(int(rng.integers(1, 3)), len(shape) - axis)
            parts.append(rng.random(shape[axis : axis + rank]) < 0.5)
            axis += rank
        elif kind < 0.88:
            parts.append(bool(rng.random() < 0.5))
        else:
            break
    return tuple(parts)


def attempt(function):
    try:
        return function()
    except (IndexError, ValueError) as error:
        return error


@pytest.mark.parametrize("seed", range(6))
def test_any_key(seed):
    """Reading and writing by random keys, from and to arrays of any layout, gives what NumPy gives, or an error as there."""
    rng = np.random.default_rng(seed)
    for _ in range(60):
        shape = tuple(int(d) for d in rng.integers(0 if rng.random() < 0.1 else 1, 5, rng.integers(0, 5)))
        array = rng.normal(size=shape).astype(["float32", "float64", "int32"][rng.integers(3)])
        x = twain.asarray(array)
        if rng.random() < 0.3:
            array, x = array.T, x.T
        key = random_key(rng, array.shape)
        own = tuple(twain.asarray(k) if isinstance(k, np.ndarray) and rng.random() < 0.7 else k for k in key)
        wanted, found = attempt(lambda: array[key]), attempt(lambda: x[own])  # noqa: B023
        assert isinstance(found, Exception) == isinstance(wanted, Exception), (array.shape, key, wanted, found)
        if isinstance(wanted, Exception):
            continue
        assert found.shape == np.shape(wanted), (array.shape, key)
        np.testing.assert_array_equal(found.numpy(), wanted, err_msg=repr((array.shape, key)))
        sizes = [d if rng.random() < 0.8 else 1 for d in np.shape(wanted)]
        value = rng.normal(size=sizes[rng.integers(0, len(sizes) + 1) :]).astype(array.dtype)
        changed, view = array.copy(), x[...]
        changed[key] = value
        x[own] = twain.asarray(value)
        np.testing.assert_array_equal(x.numpy(), changed, err_msg=repr((array.shape, key, value.shape)))
        np.testing.assert_array_equal(view.numpy(), array)


def test_in_place_on_parts():
    x, expected = twain.asarray(ARRAY), ARRAY.copy()
    for array in (x, expected):
        array[array > 50] += 1
        array[[0, 2], :, 1] *= 2
        array[array[:, 0, 0] > 10] -= 3
        array[..., -1] = 7
        array[1, [0, 1, 0]] = [[1.0], [2.0], [3.0]]  # the last one stands
        array[None, 2] = 5
    np.testing.assert_array_equal(x.numpy(), expected)


def test_gradient_of_written_parts():
    x = twain.asarray(ARRAY[0]).requires_grad_()
    value = twain.ones((3,)).requires_grad_()
    weight = np.random.default_rng(0).normal(size=(5, 6)).astype("float32")
    y = x * 1
    y[[0, 2, 0], 1] = value
    y[y > 25] = 0.0
    (y * twain.asarray(weight)).sum().backward()
    expected = np.where(ARRAY[0] > 25, 0, weight)
    expected[[0, 2], 1] = 0
    np.testing.assert_array_equal(x.grad.numpy(), expected)
    np.testing.assert_array_equal(value.grad.numpy(), [0.0, weight[2, 1], weight[0, 1]])  # the first was written over
    z = x.detach().requires_grad_()
    (z[[1, 1, 3]][:, [0, 0]] ** 2).sum().backward()
    expected = np.zeros((5, 6), "float32")
    expected[1, 0], expected[3, 0] = 8 * ARRAY[0, 1, 0], 4 * ARRAY[0, 3, 0]
    np.testing.assert_array_equal(z.grad.numpy(), expected)
    with pytest.raises(RuntimeError, match="leaf"):
        z[[0]] = 1.0


def test_compiled_reads_and_writes():
    @twain.compile
    def f(x, i, v):
        y = x * 2
        y[i] = v
        y[0, 1:3] = 7.0
        y[y > 3] = 1.0
        y[i, 0] += 1
        return y, y[:, i]

    rng = np.random.default_rng(1)
    for _ in range(5):
        x, i, v = (
            rng.normal(size=(4, 4)).astype("float32"),
            rng.integers(0, 4, 2),
            rng.normal(size=(2, 4)).astype("float32"),
        )
        y = x * 2
        y[i] = v
        y[0, 1:3] = 7
        y[y > 3] = 1
        y[i, 0] += 1
        found = f(twain.asarray(x), twain.asarray(i), twain.asarray(v))
        np.testing.assert_array_equal(found[0].numpy(), y)
        np.testing.assert_array_equal(found[1].numpy(), y[:, i])
    assert f.hits > 0


def test_what_can_not_be_stored():
    x, small = twain.zeros((4,)), twain.zeros((2,), dtype="uint8")
    with pytest.raises(TypeError, match=r"\[setitem\].*complex"):
        x[0] = 1j
    with pytest.raises(OverflowError, match=r"\[setitem\].*255"):
        small[0] = 300
    with pytest.raises(ValueError, match=r"\[setitem\].*\(4,\).*\(3,\)"):
        x[x == 0] = twain.ones((3,))
    with pytest.raises(IndexError, match=r"\[setitem\] index 9 .*axis 0 of size 4"):
        x[[0, 9]] = 1.0
    with pytest.raises(IndexError, match=r"\[setitem\].*mask of shape \(4,\)"):
        x[[True, False]] = 1.0
    assert x.tolist() == [0.0] * 4


@pytest.mark.parametrize("shape", [(7,), (3, 4), (2, 0, 3), (2, 3, 4)])
def test_nonzero(shape):
    array = np.random.default_rng(2).integers(0, 2, shape)
    for found, wanted in zip(twain.nonzero(twain.asarray(array)), np.nonzero(array), strict=True):
        np.testing.assert_array_equal(found.numpy(), wanted)


def test_indexing_in_transformations():
    rng = np.random.default_rng(3)
    array = rng.normal(size=(5, 3, 4)).astype("float32")
    rows, columns = rng.integers(0, 3, (5, 2)), rng.integers(0, 4, (5, 2))
    values = rng.normal(size=(5, 2, 4)).astype("float32")

    def write(a, i, v):
        y = a * 1
        y[i] = v
        y[y > 1] = 0.0
        y[0, 1] = 9.0
        return y

    x, i, j, v = map(twain.asarray, (array, rows, columns, values))
    cases = [
        (lambda a, i, j, v: a[i], [a[i] for a, i in zip(array, rows)]),
        (lambda a, i, j, v: a[i, j], [a[i, j] for a, i, j in zip(array, rows, columns)]),
        (lambda a, i, j, v: a[:, j], [a[:, j] for a, j in zip(array, columns)]),
        (lambda a, i, j, v: write(a, i, v), [write(a, i, v) for a, i, v in zip(array, rows, values)]),
    ]
    for function, wanted in cases:
        np.testing.assert_array_equal(twain.vmap(function)(x, i, j, v).numpy(), np.stack(wanted))
    found = twain.vmap(twain.grad(lambda a, i, j: (a[i, j] ** 3).sum()))(x, i, j)
    expected = np.zeros_like(array)
    for k in range(5):
        np.add.at(expected[k], (rows[k], columns[k]), 3 * array[k][rows[k], columns[k]] ** 2)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5)


def test_writing_keeps_the_memory():
    """Unless somebody else holds it: then they keep the old value."""
    array = np.random.default_rng(4).normal(size=(300, 40)).astype("float32")
    x, rows = twain.asarray(array), twain.asarray([3, 5])
    place = x.data_ptr()
    x[7, 3:30] = 1.0
    x[rows] = 2.0
    x[rows, rows] = 3.0
    x[x > 2.5] = 0.0
    assert x.data_ptr() == place
    view = x[1:]
    before = view.numpy().copy()
    x[:-1] = view  # overlapping
    np.testing.assert_array_equal(x[:-1].numpy(), before)
    np.testing.assert_array_equal(view.numpy(), before)


def test_compiled_writes_that_overlap():
    @twain.compile
    def shift(x):
        x[1:] = x[:-1]
        x[0] = 0.0

    x = twain.asarray(np.arange(50.0, dtype="float32"))
    for _ in range(5):
        shift(x)
    assert x.tolist() == [0.0] * 5 + [float(k) for k in range(45)] and shift.hits > 0


def test_index_put():
    rng = np.random.default_rng(5)
    x, rows, columns = np.zeros((3, 4), "float32"), rng.integers(0, 3, 6), rng.integers(0, 4, 6)
    values = rng.normal(size=6).astype("float32")
    ours = twain.asarray(x)
    indices = (twain.asarray(rows), twain.asarray(columns))
    put, added = x.copy(), x.copy()
    put[rows, columns] = values
    np.add.at(added, (rows, columns), values)
    np.testing.assert_array_equal(ours.index_put(indices, twain.asarray(values)).numpy(), put)
    np.testing.assert_allclose(
        ours.index_put(indices, twain.asarray(values), accumulate=True).numpy(), added, rtol=1e-6
    )
    assert twain.index_put(ours, (None, twain.asarray([1])), 5.0)[:, 1].tolist() == [5.0] * 3
    assert twain.index_put(ours, (ours == 0,), 2.0).sum().item() == 24.0 and ours.sum().item() == 0.0
    for wrong in (lambda: twain.index_put(ours, indices[0], 1.0), lambda: twain.index_put(ours, (1,), 1.0),
                  lambda: twain.index_put(ours, (twain.asarray([9]),), 1.0),
                  lambda: twain.index_put(ours, indices, twain.ones((7,)))):  # fmt: skip
        with pytest.raises((TypeError, ValueError, IndexError), match=r"\[index_put\]"):
            wrong()
