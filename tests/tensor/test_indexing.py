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
    "key", [4, -5, (0, 0, 0, 0), (Ellipsis, Ellipsis), slice(None, None, 0), 1.5, "a", [7], True], ids=repr
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
