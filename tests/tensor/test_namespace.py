"""The array namespace: what it says of itself, and functions whose results the standard fixes exactly."""

import math

import numpy as np
import pytest

import twain


def test_constants():
    assert (twain.e, twain.pi, twain.inf) == (math.e, math.pi, math.inf)
    assert math.isnan(twain.nan) and twain.newaxis is None and twain.__array_api_version__ == "2025.12"


def test_namespace_info():
    info = twain.__array_namespace_info__()
    assert info.capabilities()["boolean indexing"] and info.capabilities()["data-dependent shapes"]
    assert info.default_device() == "cpu:0" and info.default_device() in info.devices()
    assert info.default_dtypes()["real floating"] is twain.float32
    assert info.dtypes(kind=("real floating", "bool")).keys() == {"bool", "float32", "float64"}
    assert "float16" not in info.dtypes() and len(info.dtypes()) == 13
    with pytest.raises(ValueError, match=r"\[isdtype\].*kind"):
        info.dtypes(kind="number")


@pytest.mark.parametrize("name", ["float16", "float32", "float64"])
def test_finfo(name):
    ours, numpys = twain.finfo(name), np.finfo(name)
    for field in ("bits", "eps", "max", "min", "smallest_normal"):
        assert getattr(ours, field) == getattr(numpys, field), field
    assert twain.finfo(twain.zeros((), dtype=name)).dtype is ours.dtype is getattr(twain, name)
    assert twain.finfo(twain.complex64).dtype is twain.float32
    with pytest.raises(TypeError, match=r"\[finfo\].*int8"):
        twain.finfo(twain.int8)


@pytest.mark.parametrize("name", ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"])
def test_iinfo(name):
    ours, numpys = twain.iinfo(name), np.iinfo(name)
    assert (ours.bits, ours.max, ours.min) == (numpys.bits, numpys.max, numpys.min)
    with pytest.raises(TypeError, match=r"\[iinfo\].*float32"):
        twain.iinfo(twain.float32)


def test_dtype_functions():
    assert twain.isdtype(twain.bfloat16, "real floating") and not twain.isdtype(twain.bool, "numeric")
    assert twain.isdtype(twain.int8, ("bool", twain.int8)) and not twain.isdtype(twain.uint8, "signed integer")
    assert twain.result_type(twain.int8, twain.ones((2,), dtype="uint8")) is twain.int16
    assert twain.result_type(1.0, twain.float64, 1j) is twain.complex128
    assert twain.result_type(2, twain.uint8) is twain.uint8 and twain.result_type(True, 1.0) is twain.float32
    assert twain.can_cast(twain.int8, twain.int16) and not twain.can_cast(twain.zeros((2,)), twain.int64)
    with pytest.raises(TypeError, match=r"\[result_type\].*int8.*uint64"):
        twain.result_type(twain.int8, twain.uint64)
    with pytest.raises(TypeError, match=r"\[result_type\]"):
        twain.result_type()


# ---------------------------------------------------------------- shapes
def test_broadcast_shapes():
    assert twain.broadcast_shapes((3, 1), (4,), ()) == (3, 4)
    assert twain.broadcast_shapes() == () and twain.broadcast_shapes((0, 1), (1, 5)) == (0, 5)
    assert twain.broadcast_shapes((None, 3), (1, 3)) == (None, 3) and twain.broadcast_shapes((None,), (4,)) == (4,)
    with pytest.raises(ValueError, match=r"\[broadcast_shapes\].*\(2,\).*\(3,\)"):
        twain.broadcast_shapes((2,), (3,))


def test_broadcast_arrays_and_meshgrid():
    a, b = twain.broadcast_arrays(twain.ones((3, 1)), twain.arange(4))
    assert a.shape == b.shape == (3, 4) and a.dtype is twain.float32 and b.dtype is twain.int64
    for indexing in ("xy", "ij"):
        for count in range(4):
            vectors = [np.arange(n + 2.0, dtype="float32") for n in range(count)]
            found = twain.meshgrid(*map(twain.asarray, vectors), indexing=indexing)
            assert type(found) is tuple
            for ours, numpys in zip(found, np.meshgrid(*vectors, indexing=indexing), strict=True):
                np.testing.assert_array_equal(ours.numpy(), numpys)
    with pytest.raises(ValueError, match=r"\[meshgrid\].*indexing"):
        twain.meshgrid(twain.arange(2), indexing="yx")
    with pytest.raises(ValueError, match=r"\[meshgrid\].*\(2, 2\)"):
        twain.meshgrid(twain.ones((2, 2)))


def test_axes_moved():
    x = np.arange(24).reshape(2, 3, 4)
    t = twain.asarray(x)
    for source, destination in ((0, -1), ((0, 1), (1, 0)), ((2, 0), (0, 1)), ((), ())):
        np.testing.assert_array_equal(
            twain.moveaxis(t, source, destination).numpy(), np.moveaxis(x, source, destination)
        )
    for axis in (0, -1, (0, 2), (0, -1, 2), ()):
        np.testing.assert_array_equal(twain.expand_dims(t, axis=axis).numpy(), np.expand_dims(x, axis))
    for part, wanted in zip(
        twain.unstack(t, axis=1), np.unstack(x, axis=1) if hasattr(np, "unstack") else np.moveaxis(x, 1, 0), strict=True
    ):
        np.testing.assert_array_equal(part.numpy(), wanted)
    for wrong in (lambda: twain.moveaxis(t, (0, 1), 0), lambda: twain.moveaxis(t, (0, 0), (1, 2)),
                  lambda: twain.moveaxis(t, 3, 0), lambda: twain.expand_dims(t, axis=5), lambda: twain.unstack(t, axis=3),
                  lambda: twain.expand_dims(t, axis=(0, 0))):  # fmt: skip
        with pytest.raises((ValueError, TypeError), match=r"\[(moveaxis|expand_dims|unstack)\]"):
            wrong()


def test_reshape_without_copy():
    x = twain.asarray(np.arange(6.0)).reshape(2, 3)
    assert twain.reshape(x, (3, 2), copy=False).data_ptr() == x.data_ptr()
    with pytest.raises(ValueError, match=r"\[reshape\].*copy"):
        twain.reshape(x.T, (6,), copy=False)
    assert x.T.reshape(6, copy=True).tolist() == [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]


@pytest.mark.parametrize("axis", [None, 0, 1, -1])
def test_repeat(axis):
    x = np.arange(6).reshape(2, 3)
    t = twain.asarray(x)
    size = x.size if axis is None else x.shape[axis]
    for repeats in (0, 2, np.asarray([3]), np.random.default_rng(0).integers(0, 4, size), np.zeros(size, "int64")):
        ours = repeats if isinstance(repeats, int) else twain.asarray(repeats)
        np.testing.assert_array_equal(twain.repeat(t, ours, axis=axis).numpy(), np.repeat(x, repeats, axis=axis))
    for wrong in (-1, twain.asarray([1, -1, 1, 1, 1, 1]), twain.ones((2,)), twain.asarray([1] * 5), 1.5):
        with pytest.raises((ValueError, TypeError), match=r"\[repeat\]"):
            twain.repeat(t, wrong)


def test_take_needs_an_axis():
    assert twain.take(twain.asarray([5, 6, 7]), twain.asarray([2, 0])).tolist() == [7, 5]
    with pytest.raises(TypeError, match=r"\[take\].*axis.*\(2, 2\)"):
        twain.take(twain.ones((2, 2)), twain.asarray([0]))


# ---------------------------------------------------------------- ranges
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
@pytest.mark.parametrize("endpoint", [True, False])
def test_linspace(dtype, endpoint):
    for start, stop, num in ((0, 1, 5), (-3.7, 11.3, 1001), (1, -1, 2), (2.5, 9, 1), (0, 1, 0), (1e-30, 1e30, 7)):
        if "complex" in dtype:
            start, stop = start + 1j, stop - 2j
        found = twain.linspace(start, stop, num, dtype=dtype, endpoint=endpoint)
        np.testing.assert_allclose(
            found.numpy(), np.linspace(start, stop, num, endpoint=endpoint).astype(dtype), rtol=1e-6
        )
        if endpoint and num > 1:
            assert found[-1].item() == np.asarray(stop, dtype).item()
    with pytest.raises(TypeError, match=r"\[linspace\].*complex"):
        twain.linspace(0, 1j, 3, dtype="float32")


def test_arange():
    for arguments in ((5,), (2, 9, 3), (9, 2, -2), (0, 0), (3, 1), (0.0, 1.0, 0.1), (1.5,), (-1, 1, 0.3)):
        found = twain.arange(*arguments, dtype="float64")
        np.testing.assert_allclose(found.numpy(), np.arange(*arguments, dtype="float64"), rtol=1e-12, atol=1e-15)
    assert twain.arange(np.int64(3)).tolist() == twain.arange(twain.asarray(3)).tolist() == [0, 1, 2]
    assert twain.arange(2**53, 2**53 + 3).tolist() == [2**53, 2**53 + 1, 2**53 + 2]
    for wrong in (lambda: twain.arange(0, math.inf), lambda: twain.arange(0, 1, 0), lambda: twain.arange("a"),
                  lambda: twain.arange(3, dtype="bool"), lambda: twain.arange(1j), lambda: twain.arange(2**70)):  # fmt: skip
        with pytest.raises((ValueError, TypeError, OverflowError), match=r"\[arange\]|\[iota\]"):
            wrong()


# ---------------------------------------------------------------- sums
def test_dtype_of_sums():
    x = twain.asarray([1.75, 2.5, -3.25])
    assert x.sum(dtype="float64").dtype is twain.float64 and x.sum(dtype=twain.int32).item() == 0
    assert twain.asarray([100, 100], dtype="int8").sum(dtype="int8").item() == -56
    assert twain.prod(twain.asarray([True, True]), dtype="float32").dtype is twain.float32
    assert twain.asarray([200, 100], dtype="uint8").sum().item() == 300


def test_gradient_of_products_with_zeros():
    for values in ([2.0, 3.0, 4.0], [2.0, 0.0, 4.0], [0.0, 3.0, 0.0]):
        x = twain.asarray(values, dtype="float64").requires_grad_()
        twain.prod(x).backward()
        others = [math.prod(values[:i] + values[i + 1 :]) for i in range(3)]
        assert x.grad.tolist() == others


@pytest.mark.parametrize(("call", "message"), [
    (lambda x: twain.masked_fill(x, x, 0.0), "[masked_fill] expected a bool mask, got float32"),
    (lambda x: twain.masked_fill(x, x > 0, 1j), "[masked_fill] expected a complex dtype"),
    (lambda x: twain.masked_scatter(x, twain.ones((2, 2), dtype="uint8"), x), "[masked_scatter] expected a bool mask"),
    (lambda x: twain.random.multinomial(twain.asarray([1.0, -1.0]), 1), "[random.multinomial] expected finite weights"),
    (lambda x: twain.random.multinomial(twain.asarray([1.0, float("nan")]), 1), "[random.multinomial] expected finite"),
    (lambda x: twain.random.multinomial(twain.zeros((2, 3)), 1, True), "[random.multinomial] expected finite weights"),
    (lambda x: twain.nn.functional.softshrink(x, -0.5), "[softshrink] expected lambd of at least 0, got -0.5"),
    (lambda x: twain.nn.functional.gaussian_nll_loss(x, x, twain.ones((2, 3))), "[gaussian_nll_loss] expected var of"),
    (lambda x: twain.broadcast_shapes((2, 3), "x"), "[broadcast_shapes] expected ints or tuples of ints"),
])  # fmt: skip
def test_refusals(call, message):
    with pytest.raises((TypeError, ValueError)) as caught:
        call(twain.ones((2, 2)))
    assert message in str(caught.value)


def test_numpy_takes_dtypes():
    """From 2.4 on NumPy knows what is meant by a dtype of ours."""
    if tuple(map(int, np.__version__.split(".")[:2])) >= (2, 4):
        assert np.zeros(3, dtype=twain.float64).astype(twain.int16).dtype == np.int16
    with pytest.raises(AttributeError, match="NumPy has no dtype bfloat16"):
        twain.bfloat16.__numpy_dtype__
