"""Products that are folds, and long folds cut into blocks: values in every layout, and that nothing is stored between."""

import numpy as np
import pytest

import twain
from twain.base import dtypes as dt
from twain.codegen.lower import lower
from twain.codegen.targets import host
from twain.ir.node import Spec
from twain.ir.op import REGISTRY
from twain.runtime.prepare import one_node_graph, ready


def seeded():
    seed = np.random.SeedSequence().entropy % 2**32
    print(f"seed {seed}")
    return np.random.default_rng(seed)


# shapes of the operands, and which of them lies transposed in memory
THIN = [
    ((30011,), (30011,), ""), ((70, 90), (90,), ""), ((90, 70), (90,), "a"), ((70,), (70, 90), ""), ((70,), (90, 70), "b"),
    ((3, 1, 70), (3, 70, 50), ""), ((5, 3, 1, 70), (3, 50, 70), "b"), ((3, 60, 70), (70, 1), ""), ((60, 1), (1, 70), ""),
    ((2, 60, 1), (3, 1, 1, 70), ""), ((2, 1, 5), (2, 5, 1), ""), ((1, 1), (1, 1), ""), ((7, 9001), (9001,), ""),
    ((9001,), (9001, 7), ""), ((2, 0, 4), (4,), ""), ((0,), (0,), ""), ((3, 1), (1, 0), ""),
]  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int8"])
def test_products_with_one_row_column_or_term(dtype):
    rng = seeded()
    inside = twain.compile(lambda a, b: (a + 1) @ b * 2)
    for left, right, transposed in THIN:
        a, b = (rng.integers(-9, 9, s) if dtype == "int8" else rng.uniform(-1, 1, s) for s in (left, right))
        a, b = a.astype(dtype), b.astype(dtype)
        x, y = twain.asarray(a), twain.asarray(b)
        if "a" in transposed:
            a, x = a.swapaxes(-1, -2), x.mT
        if "b" in transposed:
            b, y = b.swapaxes(-1, -2), y.mT
        wide = "int64" if dtype == "int8" else "float64"
        want = a.astype(wide) @ b.astype(wide)
        terms = a.shape[-1] + 1
        bound = {"float32": 1e-6, "float64": 1e-14, "float16": 1e-3, "int8": 0}[dtype] * terms**0.5
        got = np.asarray(x @ y)
        assert got.dtype == dtype and got.shape == want.shape
        np.testing.assert_allclose(got, want.astype(dtype), rtol=bound, atol=4 * bound)
        if dtype == "int8":
            want = ((a + np.int8(1)).astype(wide) @ b.astype(wide) * 2).astype(dtype)
        else:
            want = (a.astype(wide) + 1) @ b.astype(wide) * 2
        for _ in range(2):
            np.testing.assert_allclose(np.asarray(inside(x, y)), want, rtol=10 * bound, atol=40 * bound)


def test_thin_products_differentiate():
    rng = seeded()
    a, b = (rng.standard_normal(s) for s in ((5, 7), (7,)))
    x, y = (twain.asarray(v).requires_grad_() for v in (a, b))
    column = twain.reshape(y, (7, 1))
    ((x @ y) ** 2).sum().backward()
    assert np.allclose(np.asarray((x @ column).mT), a @ b)  # a thin product, transposed
    np.testing.assert_allclose(np.asarray(x.grad), 2 * np.outer(a @ b, b), rtol=1e-12)
    np.testing.assert_allclose(np.asarray(y.grad), 2 * a.T @ (a @ b), rtol=1e-12)


def test_long_folds_of_expressions():
    """Several folds, some of which follow others, over few long rows."""
    rng = seeded()
    a, b = rng.standard_normal((2, 3, 70001))
    x, y = twain.asarray(a), twain.asarray(b)

    def both(m, u, v):
        spread = u - m.mean(u)
        return [
            m.sum(u * 2), m.sum(u * v, axis=1), m.max(u * v), m.any(u > 3), m.mean(u * u) + m.min(v), m.sum(spread * spread),
            m.sum(m.abs(u), axis=1) / m.max(v, axis=1), m.var(u), m.log(m.sum(m.exp(u - m.max(u)))), m.sum(u.mT * v.mT, axis=0),
            m.sum(u + v) * m.sum(u - v),
        ]  # fmt: skip

    a_, b_ = (np.lib.stride_tricks.as_strided(v, v.shape, v.strides) for v in (a, b))
    compiled = twain.compile(lambda u, v: both(twain, u, v))

    class Mirror:
        """NumPy with the one method that its arrays lack."""

        def __getattr__(self, name):
            return getattr(np, name)

    class Array(np.ndarray):
        mT = property(lambda self: self.swapaxes(-1, -2))

    want = both(Mirror(), a_.view(Array), b_.view(Array))
    for got in (both(twain, x, y), compiled(x, y), compiled(x, y)):
        for g, w in zip(got, want):
            np.testing.assert_allclose(np.asarray(g), np.asarray(w), rtol=1e-9, atol=1e-8)


@pytest.mark.parametrize(
    "name, specs",
    [("dot", [(1_000_000,)] * 2), ("matmul", [(7, 900, 1000), (1000,)]), ("mse_loss", [(3_000_000,)] * 2)],
)
def test_nothing_is_stored_before_a_fold(name, specs):
    twain.dot, twain.nn.functional.mse_loss, twain.matmul
    specs = [Spec(dt.float32, s) for s in specs]
    record = REGISTRY[name]
    strides = [tuple(int(np.prod(s.shape[i + 1 :])) for i in range(s.ndim)) for s in specs]
    attrs = "mean" if "loss" in name else None
    lowered = lower(ready(one_node_graph(record, attrs, specs), strides), strides, host())
    assert lowered.arena < 100_000, lowered.arena
