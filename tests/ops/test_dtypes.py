"""Half precision and complex numbers through the whole op table, beyond the dtypes of test_table."""

import numpy as np
import pytest

import twain
from twain.base import dtypes as dt
from twain.base.errors import TwainError
from twain.testing import drivers, samples

TABLE = {name: record for name, record in drivers.load_all().items() if not name.startswith("test_")}
MORE = (dt.float16, dt.complex128)

# Their definitions, or NumPy's functions in them, are for real numbers, or one of their operands is.
REAL = (
    "adaptive_avg_pool avg_pool batch_norm group_norm layer_norm rotary_embedding huber_loss smooth_l1_loss logsigmoid mish "
    "binary_cross_entropy_with_logits multilabel_soft_margin_loss soft_margin_loss lp_pool "
    "cov linalg.least_squares linalg.pinv linalg.pseudoinverse clip_by_value stft "
    "adadelta_update adafactor_update adagrad_update adam_update adamax_update asgd_update muon_update nadam_update "
    "radam_update rmsprop_update rprop_update sgd_update sparse_adam_update"
).split()


# Sums of half precision operands, compared with sums of exact ones.
COARSE = {("stft", dt.float16)}


def others(record) -> list:
    try:
        own = samples.value_dtypes(record)
        real = record.name.startswith(tuple(REAL))
        return [d for d in MORE if d not in own and not (real and d.kind == "c") and (record.name, d) not in COARSE]
    except TypeError:
        return []


@pytest.mark.parametrize("name", [n for n, r in sorted(TABLE.items()) if r.reference and others(r)])
def test_value(name):
    """Where the op takes the dtype, its first sample has the right value."""
    record = TABLE[name]
    for dtype in others(record):
        one = next(iter(samples.tries(record, dtype)))
        try:
            drivers.graph_of(record, one)
        except (TwainError, TypeError):
            continue
        try:
            drivers.reference(record)
        except (ImportError, AttributeError):
            continue
        drivers.check_value(record, dtype, most=1)


HALF = (twain.float16, twain.bfloat16)


@pytest.mark.parametrize("dtype", HALF, ids=str)
def test_sums_of_half_precision_are_float32_inside(dtype):
    """Neither lost digits nor overflow on the way to a result that is in range."""
    x = twain.full((100_000,), 0.1, dtype=dtype)
    each = float(x[0])
    assert abs(float(twain.sum(x)) - 100_000 * each) < 4e-3 * 100_000 * each
    if dtype is twain.float16:
        assert float(twain.mean(twain.full((100_000,), 100.0, dtype=dtype))) == 100.0
        assert float(twain.std(twain.asarray(np.tile([-30_000.0, 30_000.0], 50), dtype=dtype))) == 30_000.0
    a = twain.ones((1, 40_000), dtype=dtype)
    assert float(a @ a.T) == 40_000 or dtype is twain.bfloat16
    assert twain.sum(x).dtype is twain.mean(x).dtype is (a @ a.T).dtype is dtype


def test_every_float16_converts_exactly():
    """To float32 and float64 and back; rounding from wider numbers is NumPy's, to nearest even, once."""
    rng = np.random.default_rng()
    halves = np.arange(65536, dtype="uint16").view("float16")
    for wide in ("float32", "float64"):
        there = twain.asarray(halves).astype(wide)
        np.testing.assert_array_equal(there.numpy(), halves.astype(wide))
        np.testing.assert_array_equal(there.astype("float16").numpy(), halves)
    single = rng.integers(0, 2**32, 200_000, dtype="uint32").view("float32")
    with np.errstate(all="ignore"):
        middle = (halves[:-1].astype("float64") + halves[1:]) / 2
        double = np.concatenate([middle, np.nextafter(middle, np.inf), np.nextafter(middle, -np.inf)])
        for x in (single, double, rng.normal(size=10_000) * 1e-6):
            np.testing.assert_array_equal(twain.asarray(x).astype("float16").numpy(), x.astype("float16"))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_nextafter(dtype):
    bits = "uint" + dtype[5:]
    rng = np.random.default_rng()
    top = np.iinfo(bits).max
    x, y = (rng.integers(0, top, 20_000, dtype=bits, endpoint=True).view(dtype) for _ in range(2))
    edges = np.array([0, -0.0, np.inf, -np.inf, np.nan, 1, -1, np.finfo(dtype).max, np.finfo(dtype).tiny], dtype=dtype)
    a, b = np.meshgrid(edges, edges)
    x, y = np.concatenate([x, a.ravel()]), np.concatenate([y, b.ravel()])
    with np.errstate(all="ignore"):
        want = np.where(x == y, y, np.nextafter(x, y))
    got = twain.nextafter(twain.asarray(x), twain.asarray(y)).numpy()
    np.testing.assert_array_equal(got, want)
    assert (np.signbit(got) == np.signbit(want))[~np.isnan(want)].all()


def test_nextafter_bfloat16():
    x = twain.asarray([1.0, -1.0, 0.0, 2.0], dtype="bfloat16")
    assert twain.nextafter(x, 3.0).tolist() == [1.0078125, -0.99609375, 2.0**-133, 2.015625]
    assert twain.nextafter(twain.asarray(3.3895313892515355e38, dtype="bfloat16"), float("inf")).item() == float("inf")


def test_round_decimals():
    x = twain.asarray([0.125, 1.555, -2.345, 1234.5], dtype="float64")
    assert twain.round(x, 2).tolist() == np.round(x.numpy(), 2).tolist()
    assert twain.round(x, decimals=-2).tolist() == [0, 0, 0, 1200]
    n = twain.asarray([15, 25, -35, 149, -150])
    assert twain.round(n, -1).tolist() == [20, 20, -40, 150, -150] and twain.round(n, 3).tolist() == n.tolist()
    with pytest.raises(TypeError, match="round"):
        twain.round(x, 1.5)
    with pytest.raises(TwainError, match="round"):
        twain.round(twain.asarray([1], dtype="int8"), -3)


def test_complex_reductions():
    rng = np.random.default_rng()
    z = rng.normal(size=(40, 7)) + 1j * rng.normal(size=(40, 7))
    t = twain.asarray(z)
    for axis in (None, 0, 1):
        for name in ("sum", "prod", "mean", "var", "std"):
            got, want = getattr(twain, name)(t, axis=axis), getattr(np, name)(z, axis=axis)
            assert str(got.dtype) == str(np.asarray(want).dtype)
            np.testing.assert_allclose(got.numpy(), want, rtol=1e-11)
    assert str(twain.mean(t.astype("complex64")).dtype) == "complex64"


def test_complex_exchange(tmp_path):
    """Through DLPack, NumPy and safetensors, bit for bit."""
    z = (np.arange(6).reshape(2, 3) * (1 - 2j)).astype("complex64")
    t = twain.asarray(z)
    assert np.array_equal(np.from_dlpack(t), z) and np.array_equal(twain.from_dlpack(z).numpy(), z)
    twain.io.save_file({"z": t, "h": twain.ones((3,), dtype="float16")}, tmp_path / "x.safetensors")
    back = twain.io.load_file(tmp_path / "x.safetensors")
    assert np.array_equal(back["z"].numpy(), z) and back["h"].dtype is twain.float16
