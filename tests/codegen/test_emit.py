"""Expressions on vectors against NumPy: every dtype's arithmetic, casts, half precision, complex numbers, memory."""

import ctypes
import itertools

import numpy as np
import pytest
from codegen_kernels import NUMPY, SIGNATURE, Kernels, load, write_kernel

from twain.base import dtypes as dt
from twain.base.errors import VerificationError
from twain.codegen import expr as k
from twain.codegen import jit
from twain.codegen.builder import Builder, Module
from twain.codegen.emit import ExprEmitter, bits16
from twain.codegen.targets import host

INTEGERS = dt.INTEGER
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


def integers(dtype, seed, size=1003):
    """Random bit patterns, small numbers, the extremes."""
    rng = np.random.default_rng(seed)
    kind = NUMPY[dtype.name]
    info = np.iinfo(kind)
    x = rng.integers(info.min, info.max, size, dtype=kind, endpoint=True)
    small = rng.integers(max(info.min, -5), 6, size).astype(kind)
    x = np.where(rng.random(size) < 0.5, x, small)
    corners = np.array([info.min, info.max, 0, 1, info.max - 1], kind)
    pairs = np.array(list(itertools.product(corners, corners)), kind)
    return np.concatenate([x, pairs[:, seed % 2]])


def as_bfloat16(x):
    """Round to nearest even by hand, in float64 steps wide enough to be exact."""
    x = np.asarray(x, np.float64)
    bits = np.array([bits16(float(v), dt.bfloat16) for v in x], np.uint16)
    return bits


def from_bfloat16(bits):
    return (bits.astype(np.uint32) << 16).view(np.float32)


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
def test_integer_arithmetic(target, dtype):
    x, y = k.load(0, dtype), k.load(1, dtype)
    roots = {
        "sum": [x + y, x - y, x * y, -x, k.minimum(x, y), k.maximum(x, y)],
        "bits": [x & y, x | y, x ^ y, ~x, k.unary("abs", x), k.sign(x)],
        "compare": [x < y, x <= y, x > y, x >= y, k.eq(x, y), k.ne(x, y)],
        "divide": [k.floordiv(x, y), k.rem(x, y)],
    }  # fmt: skip
    run = Kernels(roots, target).run
    a, b = integers(dtype, 0), integers(dtype, 1)
    for got, wanted in zip(
        run("sum", a, b), [a + b, a - b, a * b, -a, np.minimum(a, b), np.maximum(a, b)], strict=True
    ):
        assert np.array_equal(got, wanted)
    for got, wanted in zip(run("bits", a, b), [a & b, a | b, a ^ b, ~a, np.abs(a), np.sign(a)], strict=True):
        assert np.array_equal(got, wanted)
    for got, expected in zip(run("compare", a, b), [a < b, a <= b, a > b, a >= b, a == b, a != b], strict=True):
        assert np.array_equal(got, expected)
    quotient, rest = run("divide", a, b)
    assert np.array_equal(quotient, a // b)  # NumPy also gives 0 for a division by zero
    assert np.array_equal(rest, a % b)


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
def test_shifts_of_any_amount(target, dtype):
    x, y = k.load(0, dtype), k.load(1, dtype)
    a = integers(dtype, 0)
    amount = (np.arange(a.size) % (dtype.bits + 8)).astype(a.dtype)
    if dtype.kind == "i":
        amount[::17] = -1
    left, right = Kernels({"f": [x << y, x >> y]}, target).run("f", a, amount)
    inside = (amount >= 0) & (amount < dtype.bits)
    zero = a.dtype.type(0)
    within = np.where(inside, amount, 0).astype(a.dtype)
    assert np.array_equal(left, np.where(inside, a << within, zero))
    assert np.array_equal(right, np.where(inside, a >> within, np.where(a < 0, ~zero, zero)))


@pytest.mark.parametrize("dtype", [dt.int8, dt.int32, dt.uint16, dt.int64, dt.uint64], ids=str)
def test_integer_power(target, dtype):
    x, y = k.load(0, dtype), k.load(1, dtype)
    run = Kernels({"f": [k.pow(x, y)]}, target).run
    base = np.arange(-6 if dtype.kind == "i" else 0, 13).astype(NUMPY[dtype.name])
    a, b = (v.ravel() for v in np.meshgrid(base, np.arange(0, 70).astype(base.dtype)))
    assert np.array_equal(run("f", a, b), a**b)
    if dtype.kind == "i":
        got = run("f", base, np.full_like(base, -3))
        assert np.array_equal(got, np.where(base == 1, 1, np.where(base == -1, -1, 0)))


def test_high_half_of_products(target):
    for dtype in (dt.uint32, dt.uint64):
        a, b = integers(dtype, 0), integers(dtype, 1)
        got = Kernels({"f": [k.mulhi(k.load(0, dtype), k.load(1, dtype))]}, target).run("f", a, b)
        assert [int(v) for v in got] == [int(p) * int(q) >> dtype.bits for p, q in zip(a, b, strict=True)]


@pytest.mark.parametrize("source", [*INTEGERS, dt.bool_], ids=str)
def test_casts_from_integers(target, source):
    kinds = [d for d in (*INTEGERS, dt.bool_, dt.float32, dt.float64) if d is not source]
    x = integers(source, 0) if source is not dt.bool_ else np.arange(1003) % 3 == 0
    outputs = Kernels({"f": [k.cast(k.load(0, source), d) for d in kinds]}, target).run("f", x)
    for d, got in zip(kinds, outputs, strict=True):
        assert np.array_equal(got, x.astype(NUMPY[d.name])), d


@pytest.mark.parametrize("source", [dt.float32, dt.float64], ids=str)
def test_casts_from_floats_saturate(target, source):
    kind = NUMPY[source.name]
    rng = np.random.default_rng(0)
    corners = [np.nan, np.inf, -np.inf, -0.0, 0.5, -0.99, 2**31, -(2**31), 2**63, 127.9, -128.9]
    x = [rng.uniform(-300, 300, 500), rng.uniform(-1e20, 1e20, 500), 2.0 ** rng.integers(-5, 66, 200), corners]
    x = np.concatenate(x).astype(kind)
    outputs = Kernels({"f": [k.cast(k.load(0, source), d) for d in (*INTEGERS, dt.bool_)]}, target).run("f", x)
    for d, got in zip(INTEGERS, outputs, strict=False):
        info = np.iinfo(NUMPY[d.name])
        wanted = [
            0 if v != v else info.max if v >= info.max else info.min if v <= info.min else int(v) for v in x.tolist()
        ]
        assert got.tolist() == wanted, d
    assert np.array_equal(outputs[-1], x != 0)


def test_bfloat16(target):
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2**32, 20_000, dtype=np.uint32)
    x = np.concatenate(
        [bits.view(np.float32), np.array([np.nan, -np.nan, np.inf, 3.4e38, 1.00390625, 1.01171875], np.float32)]
    )
    half, single, double = dt.bfloat16, dt.float32, dt.float64
    kernels = Kernels({
        "from32": [k.cast(k.load(0, single), half)],
        "from64": [k.cast(k.load(0, double), half)],
        "to32": [k.cast(k.load(0, half), single)],
        "add": [k.cast(k.cast(k.load(0, half), single) + k.const(1.5, single), half)],
        "int": [k.cast(k.load(0, dt.int32), half), k.cast(k.load(0, dt.int32), dt.float16)],
        "const": [k.select(k.ne(k.load(0, single), 0.0), k.const(0.1, half), k.const(-2.0, half))],
    }, target)  # fmt: skip
    assert np.array_equal(from_bfloat16(kernels.run("from32", x)), from_bfloat16(as_bfloat16(x)), equal_nan=True)
    d = x.astype(np.float64) * (1 + rng.uniform(-1, 1, x.size) * 2.0 ** -rng.integers(20, 54, x.size))
    assert np.array_equal(from_bfloat16(kernels.run("from64", d)), from_bfloat16(as_bfloat16(d)), equal_nan=True)
    every = np.arange(65536, dtype=np.uint16)
    assert np.array_equal(kernels.run("to32", every).view(np.uint32), every.astype(np.uint32) << 16)
    whole = rng.integers(-(2**31), 2**31, 2000).astype(np.int32)
    brain, ieee = kernels.run("int", whole)
    assert np.array_equal(brain, as_bfloat16(whole))
    assert np.array_equal(ieee, whole.astype(np.float16))
    assert from_bfloat16(kernels.run("const", np.ones(9, np.float32)))[8] == np.float32(0.10009765625)
    tie = as_bfloat16([1.0, 256.0])
    assert from_bfloat16(kernels.run("add", tie)).tolist() == [2.5, 258.0]


def test_float16(target):
    rng = np.random.default_rng(0)
    half, single, double = dt.float16, dt.float32, dt.float64
    kernels = Kernels({
        "from32": [k.cast(k.load(0, single), half)],
        "from64": [k.cast(k.load(0, double), half)],
        "to32": [k.cast(k.load(0, half), single), k.cast(k.load(0, half), double)],
        "cross": [k.cast(k.load(0, half), dt.bfloat16)],
    }, target)  # fmt: skip
    every = np.arange(65536, dtype=np.uint16).view(np.float16)
    for got, kind in zip(kernels.run("to32", every), (np.float32, np.float64), strict=True):
        assert np.array_equal(got, every.astype(kind), equal_nan=True)
    wide = every.astype(np.float64)
    near = np.concatenate([wide * f for f in (1, 1 + 2.0**-11, 1 - 2.0**-11, 1 + 2.0**-11 + 2.0**-30, 1.3)])
    x = np.concatenate(
        [near, rng.integers(0, 2**32, 20_000, dtype=np.uint32).view(np.float32), [65519.99, 65520, 1e-8, 2.98e-8, 3e-8]]
    )
    assert np.array_equal(kernels.run("from64", x), x.astype(np.float16), equal_nan=True)
    x = x.astype(np.float32)
    assert np.array_equal(kernels.run("from32", x), x.astype(np.float16), equal_nan=True)
    assert np.array_equal(from_bfloat16(kernels.run("cross", every)), from_bfloat16(as_bfloat16(every)), equal_nan=True)


@pytest.mark.parametrize("dtype", [dt.complex64, dt.complex128], ids=str)
def test_complex(target, dtype):
    kind, real = NUMPY[dtype.name], dt.real_of(dtype)
    x, y = k.load(0, dtype), k.load(1, dtype)
    roots = {
        "arithmetic": [x + y, x - y, x * y, x / y, -x, k.conj(x), k.complex_(k.imag(x), k.real(y))],
        "parts": [k.real(x), k.imag(x), k.unary("abs", x)],
        "compare": [k.eq(x, y), k.ne(x, y), k.cast(x, dt.bool_)],
        "functions": [k.exp(x), k.log(x), k.sqrt(x), k.sign(x)],
        "casts": [k.cast(x, real), k.cast(k.real(x), dtype), k.cast(x, dt.complex64), k.cast(x, dt.complex128)],
    }  # fmt: skip
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=1003) + 1j * rng.normal(size=1003) for _ in range(2))
    a, b = a.astype(kind), b.astype(kind)
    b[::5] = a[::5]
    a[7], b[7] = 0, 1
    run = Kernels(roots, target).run
    tolerance = 1e-6 if dtype is dt.complex64 else 1e-15
    for got, wanted in zip(
        run("arithmetic", a, b), [a + b, a - b, a * b, a / b, -a, a.conj(), a.imag + 1j * b.real], strict=True
    ):
        assert np.allclose(got, wanted, rtol=4 * tolerance, atol=4 * tolerance)
    for got, wanted in zip(run("parts", a), [a.real, a.imag, np.abs(a)], strict=True):
        assert np.allclose(got, wanted, rtol=tolerance, atol=0)
    for got, wanted in zip(run("compare", a, b), [a == b, a != b, a != 0], strict=True):
        assert np.array_equal(got, wanted)
    a[7] = 1j
    for got, wanted in zip(run("functions", a), [np.exp(a), np.log(a), np.sqrt(a), a / np.abs(a)], strict=True):
        assert np.allclose(got, wanted, rtol=4 * tolerance, atol=4 * tolerance)
    wanted = [a.real, a.real.astype(kind), a.astype(np.complex64), a.astype(np.complex128)]
    for got, expected in zip(run("casts", a), wanted, strict=True):
        assert np.array_equal(got, expected)
    # division keeps clear of overflow
    big = np.array([1e38 + 1e38j if dtype is dt.complex64 else 5e307 + 5e307j], kind)
    assert run("arithmetic", big, big)[3] == 1


@pytest.mark.parametrize("dtype", [dt.complex64, dt.complex128], ids=str)
def test_complex_functions(dtype):
    """Against NumPy in higher precision, in all quadrants and on both sides of the branch cuts."""
    names = "exp expm1 log log1p log2 log10 sqrt sin cos tan sinh cosh tanh asin acos atan asinh acosh atanh".split()
    rng = np.random.default_rng(0)
    x = rng.normal(size=2000) * 3 + 3j * rng.normal(size=2000)
    edges = [
        2,
        complex(2, -0.0),
        -2,
        complex(-2, -0.0),
        2j,
        -2j,
        0.5,
        -0.5,
        0.5j,
        complex(-0.0, 2),
        1e-3 + 1e-3j,
        40 + 1j,
    ]
    x = np.concatenate([x, x * 1e-3, edges]).astype(NUMPY[dtype.name])
    y = np.random.default_rng(1).permutation(x)
    leaf = k.load(0, dtype)
    kernels = Kernels({n: [k.unary(n, leaf)] for n in names} | {"power": [k.pow(leaf, k.load(1, dtype))]})
    tolerance = 3e-6 if dtype is dt.complex64 else 3e-14
    renamed = {
        "asin": "arcsin",
        "acos": "arccos",
        "atan": "arctan",
        "asinh": "arcsinh",
        "acosh": "arccosh",
        "atanh": "arctanh",
    }
    for name in names:
        wanted = getattr(np, renamed.get(name, name))(x.astype(np.clongdouble))
        wanted = wanted.astype(NUMPY[dtype.name])  # what overflows shall overflow
        got = kernels.run(name, x)
        finite = np.isfinite(wanted)
        error = np.abs(got - wanted)[finite] / np.maximum(np.abs(wanted[finite]), 1e-30)
        worst = error.argmax()
        assert error[worst] < tolerance, (name, x[finite][worst], got[finite][worst], wanted[finite][worst])
    inside = (np.abs(x) > 0) & (np.abs(y) < 5)
    wanted = x[inside].astype(np.complex128) ** y[inside].astype(np.complex128)
    assert np.allclose(kernels.run("power", x[inside], y[inside]), wanted, rtol=40 * tolerance, atol=1e-30)


def test_bool(target):
    x, y = k.load(0, dt.bool_), k.load(1, dt.bool_)
    a, b = np.arange(37) % 2 == 0, np.arange(37) % 3 == 0
    roots = [x & y, x | y, x ^ y, ~x, k.eq(x, y), x < y, x <= y, x > y, x >= y, k.maximum(x, y), k.select(x, y, ~y)]
    wanted = [a & b, a | b, a ^ b, ~a, a == b, a < b, a <= b, a > b, a >= b, a | b, np.where(a, b, ~b)]
    for got, expected in zip(Kernels({"f": roots}, target).run("f", a, b), wanted, strict=True):
        assert np.array_equal(got, expected)


def test_float_arithmetic_and_select(target):
    for dtype in (dt.float32, dt.float64):
        x, y = k.load(0, dtype), k.load(1, dtype)
        rng = np.random.default_rng(0)
        a, b = rng.normal(size=(2, 1003)).astype(NUMPY[dtype.name])
        a[3], b[4] = np.nan, np.nan
        roots = [
            x + y,
            x - y,
            x * y,
            x / y,
            -x,
            k.unary("abs", x),
            k.select(x < y, x, y),
            k.fma(x, y, 1.0),
            x < y,
            k.ne(x, y),
            1.0 - x,
        ]
        wanted = [a + b, a - b, a * b, a / b, -a, np.abs(a), np.where(a < b, a, b), a * b + 1, a < b, a != b, 1 - a]
        for r, got, expected in zip(roots, Kernels({"f": roots}, target).run("f", a, b), wanted, strict=True):
            if r.op == "fma":
                assert np.allclose(got, expected, rtol=1e-6, atol=1e-6, equal_nan=True)
            else:
                assert np.array_equal(got, expected, equal_nan=True), r.op


def test_fma_rounds_once(target):
    x, y, z = (k.load(i, dt.float32) for i in range(3))
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 1003)).astype(np.float32)
    c = -(a * b)
    got = Kernels({"f": [k.fma(x, y, z)]}, target).run("f", a, b, c)
    assert np.array_equal(got, (a.astype(np.float64) * b + c).astype(np.float32))


def test_bitcasts_and_weak_scalars():
    x = np.random.default_rng(0).normal(size=100).astype(np.float32)
    roots = {"bits": [k.bitcast(k.load(0, dt.float32), dt.uint32)],
             "weak": [k.cast(k.load(0, dt.weak_float), dt.float32), k.cast(k.load(1, dt.weak_int), dt.bfloat16)],
             "bool": [k.bitcast(k.load(0, dt.bool_), dt.int8)]}  # fmt: skip
    kernels = Kernels(roots)
    assert np.array_equal(kernels.run("bits", x), x.view(np.uint32))
    single, half = kernels.run("weak", x.astype(np.float64) + 1e-12, np.arange(100))
    assert np.array_equal(single, (x.astype(np.float64) + 1e-12).astype(np.float32))
    assert np.array_equal(half, as_bfloat16(np.arange(100)))
    assert kernels.run("bool", np.array([True, False])).tolist() == [1, 0]


def test_index(target):
    got = Kernels({"f": [k.cast(k.load(0, dt.float32), dt.int64) * 0 + k.Expr("index", dt.int64, (), 0)]}, target)
    assert got.run("f", np.zeros(29, np.float32)).tolist() == list(range(29))


@pytest.mark.parametrize(
    "dtype", [dt.bool_, dt.int8, dt.int16, dt.int64, dt.bfloat16, dt.float32, dt.complex64, dt.complex128], ids=str
)
@pytest.mark.parametrize("lanes", [1, 4, 8])
def test_strided_and_masked_access(target, dtype, lanes):
    """out[k * 3] = x[k * stride] for the first `count` lanes; the rest untouched."""
    for stride in (0, 1, 2, -1, "parameter"):
        for masked in (False, True):
            module = Module()
            b = Builder(module, "kernel", attributes=target.attributes)
            emitter = ExprEmitter(b, lanes, target)
            step = b.parameter(0) if stride == "parameter" else stride
            mask = None
            if masked:
                count = b.parameter(1)
                mask = b.lane_mask(count, lanes) if lanes > 1 else b.compare("slt", "0", count)
            value = emitter.load_element(b.buffer(0), dtype, mask, step)
            emitter.store_element(value, b.buffer(1), dtype, mask, 3)
            emitter.store_element(value, b.buffer(2), dtype, mask)
            b.finish()
            kind = NUMPY[dtype.name]
            data = np.random.default_rng(0).integers(0, 2 if dtype is dt.bool_ else 100, 64).astype(kind)
            if dtype.kind == "c":
                data = (data + 1j * data[::-1]).astype(kind)
            start = data[32:]
            wide, dense = np.full(3 * lanes, 1, kind), np.full(lanes, 1, kind)
            parameters = (ctypes.c_int64 * 2)(5, lanes - 1)
            pointers = (ctypes.c_void_p * 3)(start.ctypes.data, wide.ctypes.data, dense.ctypes.data)
            loaded = load(jit.compile_object(module.text(), target, 0))
            SIGNATURE(loaded[1]("kernel"))(ctypes.addressof(pointers), ctypes.addressof(parameters), 0, 0)
            step = 5 if stride == "parameter" else stride
            live = lanes - 1 if masked else lanes
            lanes_at = 32 + step * np.arange(lanes)
            if max(lanes_at) > 63:
                continue
            wanted = np.full(lanes, 1, kind)
            wanted[:live] = data[lanes_at][:live]
            assert np.array_equal(dense, wanted), (stride, masked)
            assert np.array_equal(wide[::3], wanted), (stride, masked)
            assert np.array_equal(wide[1::3], np.full(lanes, 1, kind))


def test_half_precision_constants():
    assert bits16(1.0, dt.bfloat16) == 0x3F80
    assert bits16(float("inf"), dt.bfloat16) == 0x7F80
    assert bits16(3.4e38, dt.bfloat16) == 0x7F80
    assert bits16(1e300, dt.bfloat16) == 0x7F80
    assert bits16(1.00390625, dt.bfloat16) == 0x3F80  # a tie goes to even
    assert bits16(1.00390625 + 1e-12, dt.bfloat16) == 0x3F81  # rounding twice would miss this
    assert bits16(-65536.0, dt.float16) == 0xFC00


def test_missing_leaves_and_operations_are_named():
    module = Module()
    emitter = ExprEmitter(Builder(module, "f"), 4, host())
    with pytest.raises(VerificationError, match="leaf load 3"):
        emitter.emit([k.load(3, dt.float32)], {})
    leaf = k.load(0, dt.complex64)
    with pytest.raises(VerificationError, match=r"defined for complex64, got floor"):
        emitter.emit([k.floor(leaf)], {leaf: ("zeroinitializer", "zeroinitializer")})


def test_common_subexpressions_are_emitted_once():
    module = Module()
    x = k.load(0, dt.float32)
    write_kernel(module, "f", [k.sqrt(x) + k.sqrt(x), k.sqrt(x)], host(), 8)
    assert module.text().count("call <8 x float> @llvm.sqrt") == 2  # main loop and remainder
