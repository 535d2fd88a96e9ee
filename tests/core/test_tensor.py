"""Tensor and Meta as Python objects: description, reading, exchange."""

import array
import ctypes
import gc
import weakref

import numpy as np
import pytest
from core_programs import FLOAT32, tensor

from twain import _core

NUMPY = ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", None, "float32",
         "float64", "complex64", "complex128"]  # fmt: skip


def from_numpy(x, code=None):
    x = np.asarray(x)
    code = NUMPY.index(str(x.dtype)) if code is None else code
    return _core.from_buffer(_core.meta(code, x.shape), x)


def test_meta_is_interned():
    a = _core.meta(FLOAT32, (2, 3))
    assert a is _core.meta(FLOAT32, [2, 3], (3, 1))
    assert a is not _core.meta(FLOAT32, (2, 3), (1, 2))
    assert a is not _core.meta(FLOAT32, (2, 3), None, 1)
    assert a is not _core.meta(12, (2, 3))
    assert (a.shape, a.strides, a.ndim, a.size, a.nbytes, a.contiguous, a.device, a.code) == (
        (2, 3), (3, 1), 2, 6, 24, True, 0, FLOAT32,
    )  # fmt: skip


def test_meta_has_canonical_strides():
    assert _core.meta(FLOAT32, (1, 4), (77, 1)) is _core.meta(FLOAT32, (1, 4))
    assert _core.meta(FLOAT32, (4, 1), (1, 99)) is _core.meta(FLOAT32, (4, 1))
    assert _core.meta(FLOAT32, (0, 4), (9, 9)) is _core.meta(FLOAT32, (0, 4))
    assert not _core.meta(FLOAT32, (4,), (0,)).contiguous
    assert _core.meta(FLOAT32, ()).contiguous


def test_meta_ids_are_reused_only_after_death():
    live = [_core.meta(FLOAT32, (i, 7)) for i in range(100)]
    assert len({m.id for m in live}) == 100
    before = _core.cache_stats()["metas"]
    for i in range(1000):
        _core.meta(FLOAT32, (i, 11, 13))
    assert _core.cache_stats()["metas"] <= before + 1


REFUSED = [
    (99, (1,)),
    (-1, ()),
    (FLOAT32, (-1,)),
    (FLOAT32, (1,) * 65),
    (FLOAT32, (2,), (1, 1)),
    (FLOAT32, (2**40, 2**40)),
    (FLOAT32, (1,), None, 16),
]


@pytest.mark.parametrize("arguments", REFUSED)
def test_meta_refuses(arguments):
    with pytest.raises(ValueError):
        _core.meta(*arguments)


@pytest.mark.parametrize("name", [n for n in NUMPY if n])
def test_values_come_back_for_every_dtype(name):
    rng = np.random.default_rng(3)
    x = (rng.standard_normal((3, 4)) * 50).astype(name)
    t = from_numpy(x)
    assert t.tolist() == x.tolist()
    assert type(t.tolist()[0][0]) is type(x.tolist()[0][0])
    assert np.array_equal(np.asarray(t), x)
    assert np.asarray(t).dtype == x.dtype
    assert (t.shape, t.ndim, t.size, t.nbytes, t.itemsize, t.strides) == (x.shape, 2, 12, x.nbytes, x.itemsize, (4, 1))


def test_half_and_bfloat16_read_every_kind_of_number():
    bits = np.arange(65536, dtype=np.uint16)
    half = from_numpy(bits.view(np.float16)).tolist()
    assert np.array_equal(np.array(half), bits.view(np.float16).astype(float), equal_nan=True)
    brain = _core.from_buffer(_core.meta(10, (65536,)), bits).tolist()
    with np.errstate(invalid="ignore"):
        expected = (bits.astype(np.uint32) << 16).view(np.float32).astype(float)
    assert np.array_equal(np.array(brain), expected, equal_nan=True)


@pytest.mark.parametrize("code", [0, 1, 4, 8, 9, 10, 11, 12, 13, 14])
@pytest.mark.parametrize("number", [0.0, 1.0])
def test_filled(code, number):
    assert _core.filled(_core.meta(code, (3, 5)), number).tolist() == [[number] * 5] * 3


def test_negative_strides():
    meta = _core.meta(FLOAT32, (2, 3), (-3, -1))
    assert _core.filled(meta, 2.0).tolist() == [[2.0] * 3] * 2
    assert _core.copy(_core.filled(meta, 2.0)).is_contiguous()


def test_item_and_conversions():
    assert tensor([2.5]).item() == 2.5
    x = tensor([2.5], ())
    assert float(x) == 2.5
    assert int(x) == 2
    assert complex(x) == 2.5 + 0j
    assert bool(x) is True
    assert bool(tensor([0.0])) is False
    assert [10, 20, 30][from_numpy(np.int64(2))] == 30
    with pytest.raises(TypeError, match=r"\[index\]"):
        [1, 2][x]
    with pytest.raises(TypeError, match=r"\[item\].*\(2,\)"):
        tensor([1, 2]).item()
    with pytest.raises(ValueError, match=r"any\(\) or all\(\)"):
        bool(tensor([1, 2]))
    with pytest.raises(TypeError):
        len(x)
    assert len(tensor(range(6), (3, 2))) == 3


def test_iteration_gives_rows():
    assert [row.tolist() for row in tensor(range(6), (3, 2))] == [[0, 1], [2, 3], [4, 5]]
    with pytest.raises(TypeError):
        iter(tensor([1], ()))


def test_hash_is_identity_and_weak_references_work():
    x, y = tensor([1]), tensor([1])
    assert len({x, y, x}) == 2
    reference = weakref.ref(x)
    assert reference() is x
    del x
    assert reference() is None
    z = tensor([1])  # may reuse the memory of x
    assert reference() is None
    assert weakref.ref(z)() is z


def test_buffer_is_read_only_and_survives_the_handle():
    x = tensor([1, 2, 3, 4])
    view = memoryview(x)
    assert view.readonly
    assert view.format == "f"
    other = np.asarray(x)
    assert not other.flags.writeable
    x += x  # the exported memory stays what it was
    assert view.tolist() == [1, 2, 3, 4]
    assert other.tolist() == [1, 2, 3, 4]
    assert x.tolist() == [2, 4, 6, 8]
    del x
    gc.collect()
    assert view.tolist() == [1, 2, 3, 4]
    with pytest.raises(BufferError, match="bfloat16"):
        memoryview(_core.empty(_core.meta(10, (1,))))
    with pytest.raises((BufferError, TypeError)):
        (ctypes.c_float * 4).from_buffer(tensor([1, 2, 3, 4]))


def test_from_buffer_copies():
    data = array.array("f", [1, 2])
    x = _core.from_buffer(_core.meta(FLOAT32, (2,)), data)
    data[0] = 9
    assert x.tolist() == [1, 2]
    assert _core.from_buffer(_core.meta(FLOAT32, (2, 2)), np.arange(4, dtype="f").reshape(2, 2).T).tolist() == [
        [0, 2],
        [1, 3],
    ]
    with pytest.raises(ValueError, match="expected 12 bytes, got 8"):
        _core.from_buffer(_core.meta(FLOAT32, (3,)), data)
    with pytest.raises(TypeError):
        _core.from_buffer(_core.meta(FLOAT32, (3,)), 5)


def test_empty_tensors():
    for shape in [(0,), (3, 0), (0, 3)]:
        x = _core.empty(_core.meta(FLOAT32, shape))
        assert x.shape == shape
        assert np.asarray(x).shape == shape
        assert np.from_dlpack(x).shape == shape
        assert (x + x).shape == shape
    assert _core.empty(_core.meta(FLOAT32, (0, 3))).tolist() == []


def test_dlpack_to_numpy_is_read_only():
    x = tensor([1, 2, 3, 4], (2, 2))
    y = np.from_dlpack(x)
    assert y.ctypes.data == x.data_ptr()
    assert not y.flags.writeable
    x += x
    assert y.tolist() == [[1, 2], [3, 4]]
    z = np.from_dlpack(x, copy=True)
    assert z.ctypes.data != x.data_ptr()
    assert z.flags.writeable
    assert x.__dlpack_device__() == (1, 0)


def test_dlpack_legacy_consumers_get_a_copy():
    x = tensor([1, 2])
    copied = _core.from_dlpack(x.__dlpack__())
    assert copied.data_ptr() != x.data_ptr()
    assert copied.tolist() == [1, 2]
    assert _core.from_dlpack(x.__dlpack__(copy=False)).data_ptr() == x.data_ptr()
    with pytest.raises(BufferError):
        x.__dlpack__(stream=1)
    with pytest.raises(BufferError):
        x.__dlpack__(dl_device=(2, 0))


def test_from_dlpack_borrows_and_never_writes():
    y = np.arange(4, dtype=np.float32)
    x = _core.from_dlpack(y)
    assert x.data_ptr() == y.ctypes.data
    x += x
    assert y.tolist() == [0, 1, 2, 3]
    assert x.tolist() == [0, 2, 4, 6]
    assert _core.from_dlpack(y, copy=True).data_ptr() != y.ctypes.data
    t = _core.from_dlpack(np.arange(6, dtype=np.float64).reshape(2, 3).T)
    assert (t.shape, t.strides) == ((3, 2), (1, 3))
    assert _core.from_dlpack(np.arange(6, dtype=np.int16)[::-1]).tolist() == [5, 4, 3, 2, 1, 0]
    capsule = y.__dlpack__()
    _core.from_dlpack(capsule)
    with pytest.raises(BufferError, match="nobody has used"):
        _core.from_dlpack(capsule)


def test_borrowed_memory_is_copied_when_the_tape_saves_it():
    y = np.array([3, 4], np.float32)
    b = _core.from_dlpack(y)
    x = tensor([1, 2], requires_grad=True)
    z = x * b
    y[:] = 100
    z.backward(tensor([1, 1]))
    assert x.grad.tolist() == [3, 4]


def test_owner_of_wrapped_memory_lives_as_long_as_the_tensor():
    class Owner:
        pass

    data = array.array("f", [1, 2, 3])
    owner = Owner()
    reference = weakref.ref(owner)
    x = _core.wrap(data.buffer_info()[0], 12, owner, _core.meta(FLOAT32, (3,)))
    del owner
    assert reference() is not None
    assert x.tolist() == [1, 2, 3]
    del x
    assert reference() is None
    with pytest.raises(ValueError, match="at least 16"):
        _core.wrap(data.buffer_info()[0], 12, None, _core.meta(FLOAT32, (4,)))


def test_methods_and_properties_can_be_added():
    _core.set_method("doubled_for_test", lambda self: self + self)
    _core.set_property("first_for_test", lambda self: self.tolist()[0])
    assert tensor([4]).doubled_for_test().tolist() == [8]
    assert tensor([4]).first_for_test == 4
    with pytest.raises(AttributeError):
        tensor([4]).first_for_test = 3
    with pytest.raises(AttributeError):
        tensor([4]).no_such_attribute = 3
