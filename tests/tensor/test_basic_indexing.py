"""Keys of ints, slices, ... and None are read and written without a program for each number in them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import twain
from twain import _core
from twain.base import dtypes

ARRAY = np.arange(4 * 5 * 6, dtype="float32").reshape(4, 5, 6)
LAYOUTS = {
    "row-major": (lambda x: x, lambda x: x),
    "transposed": (lambda x: x.transpose(2, 0, 1), lambda x: twain.permute_dims(x, (2, 0, 1))),
    "backwards": (lambda x: x[::-1, :, ::2], lambda x: x[::-1, :, ::2]),
    "repeated": (lambda x: np.broadcast_to(x[0], (3, 5, 6)), lambda x: twain.broadcast_to(x[0], (3, 5, 6))),
}


@st.composite
def keys(draw, shape):
    """A key for an array of this shape, now and then with ints of NumPy's, a new axis or an ellipsis."""
    key = []
    for size in shape[: draw(st.integers(0, len(shape)))]:
        part = st.integers(-size - 1, size + 1) | st.none()
        index = st.integers(-size, size - 1)
        step = st.sampled_from([None, 1, 2, 3, -1, -2, np.int64(2)])
        key.append(draw(index | index.map(np.int32) | index.map(np.int64) | st.builds(slice, part, part, step)))
        if draw(st.integers(0, 5)) == 0:
            key.append(None)
    if draw(st.integers(0, 3)) == 0:
        key.insert(draw(st.integers(0, len(key))), Ellipsis)
        if (
            len([part for part in key if part is not None and part is not Ellipsis]) < len(shape)
            and key[-1] is not Ellipsis
        ):
            key = [Ellipsis]
    return key[0] if len(key) == 1 and draw(st.booleans()) else tuple(key)


@pytest.mark.parametrize("layout", LAYOUTS)
@settings(max_examples=60, derandomize=True, deadline=None)
@given(data=st.data())
def test_reading(layout, data):
    ours, theirs = LAYOUTS[layout][1](twain.asarray(ARRAY)), LAYOUTS[layout][0](ARRAY)
    key = data.draw(keys(theirs.shape))
    view = ours[key]
    assert view.shape == theirs[key].shape
    np.testing.assert_array_equal(view.numpy(), theirs[key])


@settings(max_examples=100, derandomize=True, deadline=None)
@given(data=st.data())
def test_writing(data):
    x, expected = twain.asarray(ARRAY), ARRAY.copy()
    key = data.draw(keys(ARRAY.shape))
    wanted = expected[key].shape
    kind = data.draw(st.sampled_from(["number", "int", "whole", "part", "reversed"]))
    if kind == "number":
        value = ours = 2.5
    elif kind == "int":
        value = ours = -3
    else:
        shape = (
            wanted
            if kind != "part"
            else tuple(1 if data.draw(st.booleans()) else n for n in wanted)[data.draw(st.integers(0, len(wanted))) :]
        )
        value = np.random.default_rng(0).normal(size=shape).astype("float32")
        if kind == "reversed" and value.ndim:
            value = value[::-1]
        ours = twain.asarray(value)
    expected[key] = value
    x[key] = ours
    np.testing.assert_array_equal(x.numpy(), expected)


@pytest.mark.parametrize("name", [name for name, dtype in dtypes.BY_NAME.items() if not name.startswith("weak")])
def test_numbers_of_each_dtype(name):
    dtype = dtypes.BY_NAME[name]
    x = twain.zeros((3,), dtype=dtype)
    x[1] = True if name == "bool" else 7
    x[2] = x[1]
    assert x[0].item() == 0 and x[1].item() == x[2].item() == (True if name == "bool" else 7)
    if dtype.kind in "iu":
        for number in (1 << dtype.bits, -(1 << dtype.bits)):
            with pytest.raises(OverflowError, match="setitem"):
                x[0] = number
        assert x.tolist() == [0, 7, 7]
    elif dtype.kind == "f":
        x[0] = float("inf")
        assert x[0].item() == float("inf")


def test_no_program_for_each_number():
    x = twain.zeros((300, 4))
    row = twain.ones(4)
    x[0], x[1:2], x[:, 0], x[0] = x[299], x[298:299], x[:, 1], row
    before = _core.cache_stats()["misses"]
    for i in range(2, 290):
        x[i]
        x[i : i + 7]
        x[i, 2]
        x[i] = row
        x[i, 1] = 3.0
        x[:i, 3] = 1
    assert _core.cache_stats()["misses"] == before
    assert x[5].tolist() == [1.0, 3.0, 1.0, 1.0]


def test_views_and_other_names_keep_their_values():
    x = twain.arange(6.0)
    view, array, other = x[2:4], x.numpy(), x * 1
    x[2] = 100.0
    x[3] = 200.0
    assert view.tolist() == [2.0, 3.0] and array.tolist() == [0, 1, 2, 3, 4, 5] and other.tolist() == [0, 1, 2, 3, 4, 5]
    assert x.tolist() == [0, 1, 100, 200, 4, 5]
    x[1:4] = x[0:3]  # from the same memory
    assert x.tolist() == [0, 0, 1, 100, 4, 5]


def test_gradients_flow_through_keys():
    x = twain.arange(6.0).requires_grad_()
    (x[2] * 3 + x[4:].sum()).backward()
    assert x.grad.tolist() == [0, 0, 3, 0, 1, 1]
    y = twain.zeros(3)
    y[1] = x[5] * 2
    y.sum().backward()
    assert x.grad.tolist() == [0, 0, 3, 0, 1, 3]
    with twain.no_grad():
        x[0] = 9.0
        assert not x[0].requires_grad
    assert x[0].item() == 9.0 and x.requires_grad


@pytest.mark.parametrize(
    "key", [6, -7, (0, 0), (Ellipsis, Ellipsis), slice(None, None, 0), 1.5, np.float32(1), "a"], ids=repr
)
def test_errors_are_pythons(key):
    x = twain.arange(6.0)
    with pytest.raises((IndexError, TypeError, ValueError), match="getitem"):
        x[key]
    with pytest.raises((IndexError, TypeError, ValueError), match="setitem"):
        x[key] = 1.0
    with pytest.raises(ValueError, match=r"setitem.*broadcasts to \(3,\)"):
        x[:3] = twain.ones(2)
    assert x.tolist() == [0, 1, 2, 3, 4, 5]


def test_truth_values_are_masks():
    x = twain.arange(3.0)
    assert x[True].shape == x[np.True_].shape == (1, 3) and x[False].shape == (0, 3)
    assert x[np.array(1)].item() == x[twain.asarray(1)].item() == 1.0
