"""Making tensors, printing them, and exchanging memory with others."""

import numpy as np
import pytest

import twain
from twain.base.errors import ValueRangeError

DTYPES = ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64",
          "complex64", "complex128"]  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 3), (3, 5)], ids=str)
def test_numpy_round_trip(dtype, shape):
    data = (np.random.default_rng(0).random(shape) * 10).astype(dtype)
    x = twain.asarray(data)
    assert str(x.dtype) == dtype and tuple(x.shape) == shape
    np.testing.assert_array_equal(x.numpy(), data)
    assert x.numpy().dtype == dtype
    np.testing.assert_array_equal(np.asarray(x), data)
    assert x.tolist() == data.tolist()


def test_odd_layouts_from_numpy():
    data = np.arange(24.0).reshape(4, 6)
    for view in (data.T, data[::-1, ::2], data[1:3, 4:], np.broadcast_to(data[0], (3, 6)), data.astype(">f8")):
        np.testing.assert_array_equal(twain.asarray(view).numpy(), view)


def test_data_is_copied():
    data = np.zeros(3)
    x = twain.asarray(data)
    data[0] = 1.0
    assert x.tolist() == [0.0, 0.0, 0.0]


def test_exports_are_read_only():
    x = twain.zeros((3,))
    with pytest.raises(ValueError, match="read-only"):
        x.numpy()[0] = 1.0
    copy = x.numpy(copy=True)
    copy[0] = 1.0
    assert x.tolist() == [0.0, 0.0, 0.0]


def test_dlpack_both_ways():
    data = np.arange(6.0, dtype="float32").reshape(2, 3)
    x = twain.from_dlpack(data)
    np.testing.assert_array_equal(x.numpy(), data)
    y = x + 1
    x += 1  # borrowed memory is never written
    assert data[0, 0] == 0.0
    np.testing.assert_array_equal(np.from_dlpack(y), data + 1)


@pytest.mark.parametrize(
    "value, dtype, shape",
    [
        (1, "int64", ()), (1.5, "float32", ()), (True, "bool", ()), (1j, "complex64", ()), ([1, 2.5], "float32", (2,)),
        ([[1, 2], [3, 4]], "int64", (2, 2)), ([], "float32", (0,)), ([[], []], "float32", (2, 0)), (range(3), "int64", (3,)),
        ([True, False], "bool", (2,)), ([1, 1j], "complex64", (2,)),
    ],
)  # fmt: skip
def test_python_values(value, dtype, shape):
    x = twain.asarray(value)
    assert str(x.dtype) == dtype and tuple(x.shape) == shape


@pytest.mark.parametrize(
    "value, error",
    [
        ([[1, 2], [3]], ValueError),
        ([1, [2]], ValueError),
        ("text", TypeError),
        ([object()], TypeError),
        (2**70, OverflowError),
    ],
)
def test_bad_values(value, error):
    with pytest.raises(error, match="asarray"):
        twain.asarray(value)


@pytest.mark.parametrize(
    "args", [(5,), (2, 7), (0, 10, 3), (10, 0, -3), (0,), (5, 2), (0.0, 1.0, 0.25), (1, 2, 0.3)], ids=str
)
def test_arange(args):
    expected = np.arange(*args)
    got = twain.arange(*args)
    np.testing.assert_allclose(got.numpy(), expected.astype(str(got.dtype)), rtol=1e-6)


@pytest.mark.parametrize("args", [(0, 1, 5), (-1, 1, 1), (2, 3, 0), (0, 10, 11)], ids=str)
def test_linspace(args):
    np.testing.assert_allclose(twain.linspace(*args).numpy(), np.linspace(*args), rtol=1e-6)


def test_filled():
    for k in (-2, 0, 1, 9):
        np.testing.assert_array_equal(twain.eye(3, 4, k=k).numpy(), np.eye(3, 4, k))
    assert twain.full((2, 2), 7).dtype is twain.int64
    assert twain.full((2,), 1.5, dtype="bfloat16").tolist() == [1.5, 1.5]
    assert twain.zeros(3).shape == (3,) and twain.ones((0, 2)).size == 0
    like = twain.ones_like(twain.zeros((2, 3), dtype="int8"))
    assert like.dtype is twain.int8 and like.shape == (2, 3)


@pytest.mark.parametrize(
    "call, error",
    [
        (lambda: twain.zeros((-1,)), ValueError), (lambda: twain.zeros("a"), TypeError), (lambda: twain.zeros((2.5,)), TypeError),
        (lambda: twain.zeros((2,), dtype="float99"), TypeError), (lambda: twain.zeros((2**40, 2**40)), ValueError),
        (lambda: twain.arange(0, 1, 0), ValueError), (lambda: twain.linspace(0, 1, -1), ValueError),
        (lambda: twain.zeros((2,), device="cpu:x"), ValueError),
    ],
)  # fmt: skip
def test_bad_arguments(call, error):
    with pytest.raises(error, match=r"^\[\w+\]"):
        call()


def test_printing():
    assert repr(twain.asarray([1.0, 2.5])) == "tensor([1. , 2.5])"
    assert repr(twain.asarray([1, 2], dtype="int8")) == "tensor([1, 2], dtype=int8)"
    assert repr(twain.asarray(3)) == "tensor(3)"
    assert repr(twain.asarray([1.5], dtype="bfloat16")) == "tensor([1.5], dtype=bfloat16)"
    assert "requires_grad=True" in repr(twain.ones((1,)).requires_grad_())
    assert "shape=(0, 3)" in repr(twain.zeros((0, 3)))
    assert len(repr(twain.zeros((1000, 1000)))) < 1000


def test_truth_and_numbers():
    assert bool(twain.asarray(True)) and not bool(twain.asarray([0.0]))
    assert int(twain.asarray(7)) == 7 and float(twain.asarray([2.5])) == 2.5 and [1, 2][twain.asarray(1)] == 2
    with pytest.raises((TypeError, ValueError)):
        bool(twain.ones((2,)))
    with pytest.raises((TypeError, ValueError)):
        float(twain.ones((2,)))
    with pytest.raises(TypeError):
        len(twain.asarray(1.0))


def test_logspace():
    np.testing.assert_allclose(twain.logspace(-1, 2, 7).numpy(), np.logspace(-1, 2, 7), rtol=1e-6)
    found = twain.logspace(0, 3, 4, base=2, dtype="int64", endpoint=False)
    assert found.tolist() == [1, 1, 2, 4] and str(found.dtype) == "int64"
    assert twain.logspace(0, 1, 0).shape == (0,)
    np.testing.assert_allclose(twain.logspace(0, 1j, 3).numpy(), np.logspace(0, 1j, 3), rtol=1e-6)
    with pytest.raises(ValueRangeError, match="num >= 0"):
        twain.logspace(0, 1, -1)
