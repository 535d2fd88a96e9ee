"""Tensors given to and taken from others: DLPack, buffers, NumPy, pickle, format and Python's own protocols."""

import copy
import math
import pickle

import numpy as np
import pytest

import twain

DTYPES = [
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64",
    "complex64", "complex128",
]  # fmt: skip


def some(dtype: str, shape=(3, 4)) -> np.ndarray:
    return (np.random.default_rng(0).normal(size=shape) * 20).astype(dtype)


# ---------------------------------------------------------------- DLPack
@pytest.mark.parametrize("dtype", DTYPES)
def test_dlpack_both_ways(dtype):
    array = some(dtype)
    for source in (array, array.T, array[::2], array[:, 1:3], array[:0]):
        x = twain.from_dlpack(source)
        assert str(x.dtype) == dtype
        np.testing.assert_array_equal(x.numpy(), source)
        back = np.from_dlpack(x)
        np.testing.assert_array_equal(back, source)
        assert not back.flags.writeable
    assert twain.from_dlpack(array).data_ptr() == array.ctypes.data


def test_dlpack_copy_and_device():
    array = np.ones(3)
    borrowed, copied = twain.from_dlpack(array, copy=False), twain.from_dlpack(array, copy=True)
    assert borrowed.data_ptr() == array.ctypes.data != copied.data_ptr()
    placed = twain.from_dlpack(array, device="cpu:1")
    assert placed.device == "cpu:1" and twain.from_dlpack(placed).device == "cpu:1"
    assert twain.from_dlpack(placed, device="cpu:0").device == "cpu:0"
    with pytest.raises(ValueError, match=r"\[from_dlpack\].*copy"):
        twain.from_dlpack(placed, device="cpu:0", copy=False)
    with pytest.raises(TypeError, match=r"\[from_dlpack\] expected an object with __dlpack__, got list"):
        twain.from_dlpack([1.0])


def test_dlpack_of_other_devices():
    class Elsewhere:
        """An array on an accelerator; the standard lets a consumer ask for a copy on the CPU."""

        asked = None

        def __dlpack_device__(self):
            return (2, 0)

        def __dlpack__(self, *, max_version=None, dl_device=None, copy=None):
            self.asked = (max_version, dl_device, copy)
            return np.ones(2).__dlpack__(max_version=max_version)

    there = Elsewhere()
    assert twain.from_dlpack(there).tolist() == [1.0, 1.0]
    assert there.asked == ((1, 0), (1, 0), None)
    with pytest.raises(BufferError, match="copy=False"):
        twain.from_dlpack(there, copy=False)


def test_dlpack_of_old_producers():
    class Old:
        def __dlpack__(self, stream=None):
            return np.arange(3.0).__dlpack__()

        def __dlpack_device__(self):
            return (1, 0)

    assert twain.from_dlpack(Old()).tolist() == twain.from_dlpack(Old(), copy=True).tolist() == [0.0, 1.0, 2.0]


def test_dlpack_export():
    x = twain.asarray([1.0, 2.0])
    assert x.__dlpack_device__() == (1, 0)
    for kwargs in ({}, {"max_version": (1, 0)}, {"max_version": (2, 0), "copy": True}, {"dl_device": (1, 0)}):
        assert "dltensor" in repr(x.__dlpack__(**kwargs))
    with pytest.raises(BufferError):
        x.__dlpack__(dl_device=(2, 0))


# ---------------------------------------------------------------- NumPy and buffers
def test_asarray_without_copy():
    array = some("float32")
    x = twain.asarray(array, copy=False)
    assert x.data_ptr() == array.ctypes.data and twain.asarray(x, copy=False) is x
    x += 1  # into memory of its own
    np.testing.assert_array_equal(array, some("float32"))
    refused = [
        lambda: twain.asarray(array.T, copy=False), lambda: twain.asarray([1.0], copy=False),
        lambda: twain.asarray(2.0, copy=False), lambda: twain.asarray(x, dtype="float64", copy=False),
        lambda: twain.asarray(array, dtype="float64", copy=False), lambda: twain.asarray(x, device="cpu:1", copy=False),
    ]  # fmt: skip
    for call in refused:
        with pytest.raises(ValueError, match=r"\[asarray\].*copy"):
            call()


def test_asarray_with_copy():
    x = twain.asarray([1.0, 2.0])
    y = twain.asarray(x, copy=True)
    assert y is not x and y.data_ptr() != x.data_ptr() and y.tolist() == x.tolist()
    assert twain.asarray(x) is x


def test_arrays_beside_tensors():
    """array op tensor is a tensor, whichever comes first; dtypes join as those of tensors do."""
    x = twain.asarray([1.0, 2.0])
    for dtype, wanted in (("float32", "float32"), ("float64", "float64"), ("int32", "float32")):
        array = np.asarray([3, 4], dtype=dtype)
        for found in (array + x, x + array):
            assert type(found) is twain.Tensor and str(found.dtype) == wanted and found.tolist() == [4.0, 6.0]
    assert (np.float64(2.0) * x).dtype == x.dtype  # NumPy's scalars count as Python's
    assert (np.asarray([1.0, 3.0]) == x).tolist() == [True, False]
    assert type(np.sin(x)) is np.ndarray


# ---------------------------------------------------------------- pickle and copy
@pytest.mark.parametrize("dtype", [*DTYPES, "bfloat16"])
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickle(dtype, protocol):
    for shape in ((3, 4), (), (0, 2)):
        x = twain.asarray(some("float32", shape)).astype("float32").astype(dtype)
        y = pickle.loads(pickle.dumps(x, protocol))
        assert y.dtype is x.dtype and y.shape == x.shape and y.device == x.device
        assert y.tolist() == x.tolist()
    x = twain.asarray(some(dtype if dtype != "bfloat16" else "float32")).T
    assert pickle.loads(pickle.dumps(x, protocol)).tolist() == x.tolist()


def test_pickle_out_of_band():
    x = twain.asarray(some("float32"), device="cpu:1").requires_grad_()
    buffers = []
    data = pickle.dumps({"w": x}, protocol=5, buffer_callback=buffers.append)
    assert len(buffers) == 1 and len(data) < 400
    y = pickle.loads(data, buffers=buffers)["w"]
    assert y.requires_grad and y.is_leaf and y.device == "cpu:1" and y.tolist() == x.tolist()
    with pytest.raises(RuntimeError, match=r"\[pickle\].*detach"):
        pickle.dumps(x * 2)


def test_copies():
    x = twain.asarray([1.0, 2.0])
    for y in (copy.copy(x), copy.deepcopy(x)):
        y += 1
        assert x.tolist() == [1.0, 2.0] and y.tolist() == [2.0, 3.0]


# ---------------------------------------------------------------- Python's protocols
def test_format():
    x = twain.asarray(1.23456)
    assert f"{x:.2f}" == "1.23" and f"{twain.asarray(7):04d}" == "0007" and f"{twain.asarray(1 + 2j):.1f}" == "1.0+2.0j"
    assert f"{twain.ones((2,))}" == str(twain.ones((2,)))
    with pytest.raises(TypeError, match=r"\[format\] expected a 0-d tensor .* got shape \(2,\)"):
        f"{twain.ones((2,)):.2f}"


def test_round_divmod_contains():
    x = twain.asarray([1.256, -2.5])
    assert round(x).tolist() == [1.0, -2.0]
    np.testing.assert_allclose(round(x, 2).numpy(), [1.26, -2.5], rtol=1e-6)
    np.testing.assert_allclose(round(twain.asarray([1256, -44]), -2).numpy(), [1300, 0])
    for found, wanted in zip(divmod(x, 2), divmod(x.numpy(), 2), strict=True):
        np.testing.assert_allclose(found.numpy(), wanted)
    assert [v.tolist() for v in divmod(7, twain.asarray([2, 4]))] == [[3, 1], [1, 3]]
    assert -2.5 in x and 3 not in x and 1.0 not in twain.zeros((0,))
    assert math.floor(twain.asarray(2.5)) == 2


def test_namespace():
    x = twain.ones((2,))
    assert x.__array_namespace__() is twain is x.__array_namespace__(api_version="2022.12")
    with pytest.raises(ValueError, match="api_version"):
        x.__array_namespace__(api_version="1999.01")
    assert x.to_device("cpu:1").device == "cpu:1" and x.to_device("cpu") is x
    with pytest.raises(TypeError, match=r"\[to_device\].*stream"):
        x.to_device("cpu", stream=3)
