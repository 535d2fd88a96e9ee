"""Loops in expressions: each element goes on for as long as it needs."""

import numpy as np
from codegen_kernels import Kernels

from twain.base import dtypes as dt
from twain.codegen import expr as k


def collatz(x):
    def step(n, count):
        even = k.eq(n & 1, 0)
        return k.ne(n, 1), (k.select(even, n >> 1, n * 3 + 1), count + 1)

    return k.loop((x, k.const(0, dt.int64)), step, 1000)[1]


def test_elements_stop_by_themselves(target):
    x = np.random.default_rng().integers(1, 10_000, 1003)

    def count(n):
        steps = 0
        while n != 1:
            n, steps = (n // 2 if n % 2 == 0 else 3 * n + 1), steps + 1
        return steps

    got = Kernels({"collatz": [collatz(k.load(0, dt.int64))]}, target).run("collatz", x)
    assert np.array_equal(got, [count(int(n)) for n in x])


def test_limit(target):
    x = k.load(0, dt.float32)
    doubled = k.loop((x,), lambda v: (k.eq(v, v), (v + v,)), 5)[0]
    a = np.random.default_rng().standard_normal(37).astype(np.float32)
    got = Kernels({"doubled": [doubled]}, target).run("doubled", a)
    assert np.array_equal(got, a * 32)


def test_loop_in_a_loop_and_what_it_shares(target):
    """sum over i < n of the sum over j < i of x * x + j, with x * x computed once outside."""
    x, n = k.load(0, dt.float64), k.load(1, dt.int64)
    square = x * x

    def outer(i, total):
        def inner(j, part):
            return j < i, (j + 1, part + square + k.cast(j, dt.float64))

        _, part = k.loop((k.const(0, dt.int64), k.const(0.0, dt.float64)), inner, 100)
        return i < n, (i + 1, total + part)

    _, total = k.loop((k.const(0, dt.int64), k.const(0.0, dt.float64)), outer, 100)
    rng = np.random.default_rng()
    a, m = rng.integers(-5, 5, 51).astype(np.float64), rng.integers(0, 9, 51)
    got = Kernels({"nested": [total + square]}, target).run("nested", a, m)
    want = [sum(v * v + j for i in range(c) for j in range(i)) + v * v for v, c in zip(a, m)]
    assert np.array_equal(got, want)


def test_text_tells_loops_apart():
    x = k.load(0, dt.float32)
    texts = {
        k.text(list(k.loop((x,), lambda v, s=scale: (v < 10.0, (v * s,)), limit)))
        for scale in (2.0, 3.0)
        for limit in (4, 5)
    }
    assert len(texts) == 4
    k.verify(list(k.loop((x,), lambda v: (v < 10.0, (v * 2.0,)), 4)))
