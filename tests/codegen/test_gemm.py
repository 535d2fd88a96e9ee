"""Matrix products: every shape, stride, dtype and epilogue against NumPy."""

import random

import numpy as np
import pytest
from codegen_plans import exact, rearranged, run, strides, to_bfloat16, values

from twain.base import dtypes as dt
from twain.base.errors import VerificationError
from twain.codegen import expr
from twain.codegen import gemm as gemm_module
from twain.codegen.builder import Module
from twain.codegen.epilogue import Epilogue
from twain.codegen.gemm import gemm_plan
from twain.codegen.microkernel import compute_dtype
from twain.codegen.targets import host

SIZES = [1, 2, 3, 5, 6, 7, 8, 9, 13, 16, 17, 31, 33, 64, 100]


def view(x):
    s = strides(x)
    return s[:-2], s[-2], s[-1]


def store(dtype):
    compute = compute_dtype(dtype)
    return Epilogue([expr.cast(expr.load(0, compute), dtype)], compute)


def multiply(a, b, epilogue, outs, extras=(), dtype=dt.float32, dtype_b=None, target=None, **options):
    target = target or host()
    batch, (m, k), n = a.shape[:-2], a.shape[-2:], b.shape[-1]
    plan = gemm_plan(dtype, dtype_b or dtype, epilogue, target, batch, m, n, k, view(a), view(b),
                     tuple(view(x) for x in outs), tuple(view(x) for x in extras))  # fmt: skip
    run(plan, target, a, b, outs, extras, **options)
    return plan


def assert_close(got, want, k, eps=2.0**-23):
    """Rounding of k products of standard normal numbers."""
    np.testing.assert_allclose(got, want, rtol=4 * eps, atol=8 * eps * max(1, k) ** 0.5 * 4)


def random_case(rng, r, dtype, sizes=SIZES):
    m, n, k = (r.choice(sizes) for _ in range(3))
    if r.random() < 0.08:
        k = 0
    batch = tuple(r.choice([1, 2, 3]) for _ in range(r.choice([0, 0, 0, 1, 2])))

    def matrix(rows, columns):
        own = tuple(1 if r.random() < 0.3 else s for s in batch)
        return np.broadcast_to(rearranged(rng, values(rng, (*own, rows, columns), dtype)), (*batch, rows, columns))

    return matrix(m, k), matrix(k, n), (*batch, m, n)


@pytest.mark.parametrize("seed", range(6))
def test_any_shape_and_strides(seed):
    rng, r = np.random.default_rng(seed), random.Random(seed)
    epilogue = store(dt.float32)
    for _ in range(60):
        a, b, shape = random_case(rng, r, dt.float32)
        c = rearranged(rng, np.empty(shape, np.float32))
        multiply(a, b, epilogue, [c])
        assert_close(c, a.astype(np.float64) @ b.astype(np.float64), a.shape[-1])


@pytest.mark.parametrize("kind", ["stream", "dot", "outer", "packed b", "packed"])
def test_every_way_of_walking(kind, monkeypatch, target):
    rng, r = np.random.default_rng(1), random.Random(1)
    epilogue = store(dt.float32)
    monkeypatch.setattr(gemm_module, "_choose", lambda *_: kind)
    for _ in range(12):
        m = r.choice([2, 3, 7, 8]) if kind == "stream" else r.choice(SIZES[1:])
        n, k = r.choice([2, 5, 9, 40, 530]), r.choice([1, 3, 8, 9, 40, 300])
        a = values(rng, (m, k), dt.float32)
        b = values(rng, (n, k), dt.float32).T if kind in ("dot", "packed b") else values(rng, (k, n), dt.float32)
        c = np.empty((m, n), np.float32)
        multiply(a, b, epilogue, [c], target=target, level=0)
        assert_close(c, a.astype(np.float64) @ b.astype(np.float64), k)


@pytest.mark.parametrize("dtype", [d for d in dt.REAL if d is not dt.float32], ids=str)
def test_dtypes(dtype):
    rng, r = np.random.default_rng(2), random.Random(2)
    epilogue = store(dtype)
    for _ in range(8):
        a, b, shape = random_case(rng, r, dtype, [1, 3, 8, 17, 40])
        c = rearranged(rng, values(rng, shape, dtype))
        multiply(a, b, epilogue, [c], dtype=dtype, level=0)
        with np.errstate(over="ignore"):
            want = exact(a, dtype) @ exact(b, dtype)
        if dtype.kind != "f":
            np.testing.assert_array_equal(c, want)
        elif dtype is dt.bfloat16:
            np.testing.assert_allclose(exact(c, dtype), want, rtol=2**-8, atol=1e-4)
        elif dtype is dt.float16:
            np.testing.assert_allclose(c, want, rtol=2**-10, atol=1e-4)
        else:
            assert_close(c, want, a.shape[-1], 2.0**-52)


def test_mixed_operand_dtypes():
    rng = np.random.default_rng(3)
    for m, n, k in [(3, 5, 7), (40, 50, 60)]:
        a, b = values(rng, (m, k), dt.bfloat16), values(rng, (k, n), dt.float32)
        c = np.empty((m, n), np.float32)
        multiply(a, b, store(dt.float32), [c], dtype=dt.bfloat16, dtype_b=dt.float32)
        assert_close(c, exact(a, dt.bfloat16) @ b.astype(np.float64), k)


@pytest.mark.parametrize("size", [(64, 96, 700), (200, 300, 400), (1, 2000, 900), (33, 10, 900)])
def test_sizes_beyond_one_block_and_any_cut(size):
    m, n, k = size
    rng = np.random.default_rng(4)
    a, b = values(rng, (m, k), dt.float32), values(rng, (k, n), dt.float32)
    want = a.astype(np.float64) @ b.astype(np.float64)
    for right in (b, np.asfortranarray(b)):
        whole = np.empty((m, n), np.float32)
        multiply(a, right, store(dt.float32), [whole])
        assert_close(whole, want, k)
        for seed in range(3):
            parts = np.empty((m, n), np.float32)
            multiply(a, right, store(dt.float32), [parts], cut=random.Random(seed))
            np.testing.assert_array_equal(parts, whole)


@pytest.mark.parametrize("m", [30, 64])
def test_rows_times_a_larger_transposed_matrix(m, target):
    """The matrix is read where it lies: only the rows are packed. The epilogue then runs along the columns."""
    rng, n, k = np.random.default_rng(m), 2 * m + 73, 141
    a, b = values(rng, (2, m, k), dt.float32), values(rng, (2, n, k), dt.float32).swapaxes(1, 2)
    bias, rest = values(rng, (1, n), dt.float32), values(rng, (2, m, n), dt.float32)
    x = expr.load(0, dt.float32)
    epilogue = Epilogue([expr.maximum(x + expr.load(1, dt.float32) + expr.load(2, dt.float32), 0.0), x], dt.float32)
    results = []
    for cut in (None, random.Random(m)):
        outs = [np.empty((2, m, n), np.float32), rearranged(rng, np.empty((2, m, n), np.float32))]
        plan = multiply(a, b, epilogue, outs, (np.broadcast_to(bias, (2, m, n)), rest), target=target, cut=cut)
        results.append(outs)
    assert [step.buffers[0][0] for step in plan.steps] == ["a", "b"]
    want = a.astype(np.float64) @ b.astype(np.float64)
    assert_close(results[0][1], want, k)
    assert_close(results[0][0], np.maximum(want + bias + rest, 0), k)
    for one, other in zip(*results, strict=True):
        assert np.array_equal(one, other)


def test_epilogue_with_bias_and_activation():
    x = expr.load(0, dt.float32)
    epilogue = Epilogue([expr.maximum(x + expr.load(1, dt.float32), 0.0)], dt.float32)
    rng = np.random.default_rng(5)
    for m, n, k in [(32, 128, 50), (5, 10, 7), (1, 33, 20), (70, 1, 20)]:
        a, b = values(rng, (m, k), dt.float32), values(rng, (k, n), dt.float32)
        for shape in [(n,), (m, 1), (m, n), (1, 1)]:
            bias = np.broadcast_to(values(rng, shape, dt.float32), (m, n))
            c = np.empty((m, n), np.float32)
            multiply(a, b, epilogue, [c], [bias])
            assert_close(c, np.maximum(a.astype(np.float64) @ b + bias, 0), k)


def test_epilogue_updates_its_operands_in_place():
    """An optimizer step on the accumulated gradient: outputs share the buffers of what they read."""
    g, p, m = expr.load(0, dt.float32), expr.load(1, dt.float32), expr.load(2, dt.float32)
    rate = expr.cast(expr.load(3, dt.weak_float), dt.float32)
    momentum = m * 0.9 + g
    epilogue = Epilogue([p - rate * momentum, momentum], dt.float32)
    rng = np.random.default_rng(6)
    for rows, columns in [(40, 33), (128, 10), (9, 64)]:
        a, b = values(rng, (rows, 20), dt.float32), values(rng, (20, columns), dt.float32)
        weights, state = (np.asfortranarray(values(rng, (rows, columns), dt.float32)) for _ in range(2))
        lr = np.broadcast_to(np.float64(0.25), (rows, columns))
        want_state = state * 0.9 + a.astype(np.float64) @ b
        want = weights - 0.25 * want_state
        multiply(a, b, epilogue, [weights, state], [weights, state, lr])
        assert_close(state, want_state, 20)
        assert_close(weights, want, 20)


def test_stored_in_bfloat16():
    epilogue = Epilogue([expr.cast(expr.load(0, dt.float32), dt.bfloat16)], dt.float32)
    rng = np.random.default_rng(7)
    a, b = values(rng, (20, 30), dt.float32), values(rng, (30, 25), dt.float32)
    c = np.empty((20, 25), np.uint16)
    multiply(a, b, epilogue, [c])
    np.testing.assert_allclose(exact(c, dt.bfloat16), exact(to_bfloat16(a @ b), dt.bfloat16), rtol=2**-7)


def test_nan_and_infinity_stay_in_their_row_and_column():
    rng = np.random.default_rng(8)
    for m, n, k in [(7, 19, 33), (97, 130, 300), (3, 600, 40)]:
        a, b = values(rng, (m, k), dt.float32), values(rng, (k, n), dt.float32)
        a[m - 1, k - 1], b[0, n - 1] = np.nan, np.inf
        for right in (b, np.asfortranarray(b)):
            c = np.empty((m, n), np.float32)
            multiply(a, right, store(dt.float32), [c])
            assert np.isnan(c[m - 1]).all()
            assert np.isinf(c[: m - 1, n - 1]).all()
            assert np.isfinite(c[: m - 1, : n - 1]).all()


def test_nothing_to_do():
    for shape in [(0, 3, 4), (3, 0, 4)]:
        m, n, k = shape
        assert not gemm_plan(
            dt.float32, dt.float32, store(dt.float32), host(), (), m, n, k, ((), k, 1), ((), n, 1), (((), n, 1),)
        ).steps


def test_no_terms_give_the_epilogue_of_zero():
    epilogue = Epilogue([expr.load(0, dt.float32) + 1.0], dt.float32)
    c = np.empty((5, 9), np.float32)
    multiply(np.empty((5, 0), np.float32), np.empty((0, 9), np.float32), epilogue, [c])
    assert (c == 1).all()


def test_one_kernel_for_all_shapes():
    epilogue = store(dt.float32)
    sources = set()
    for n in range(40, 60):
        a, b = ((), n, 1), ((), n, 1)
        plan = gemm_plan(dt.float32, dt.float32, epilogue, host(), (), n, n, n, a, b, (((), n, 1),))
        sources |= {step.source for step in plan.steps}
    assert len(sources) == 1


def test_kernels_of_a_module_share_their_helpers():
    module = Module()
    a, b, out = ((), 64, 1), ((), 64, 1), ((), 64, 1)
    for number, epilogue in enumerate([store(dt.float32), Epilogue([expr.load(0, dt.float32) * 2.0], dt.float32)]):
        plan = gemm_plan(dt.float32, dt.float32, epilogue, host(), (), 64, 64, 64, a, b, (out,))
        plan.steps[-1].source.emit(module, f"kernel{number}")
    assert sum("define internal" in f for f in module.functions) == 2


def test_epilogues_are_checked():
    with pytest.raises(VerificationError, match="load"):
        Epilogue([expr.load(0, dt.float64)], dt.float32)
    with pytest.raises(VerificationError, match="load"):
        Epilogue([expr.load(2, dt.float32)], dt.float32)
