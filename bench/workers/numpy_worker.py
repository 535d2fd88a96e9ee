"""NumPy's rows, where NumPy has the function."""

from __future__ import annotations

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import numpy as np

import functions
from protocol import serve
from rows import GEMM, SIZES

ROWS: dict = {}


def add4():
    a, b = np.ones(4, "float32"), np.ones(4, "float32")
    return lambda: a + b


def gemm(n):
    def make():
        a, b = np.random.rand(n, n).astype("float32"), np.random.rand(n, n).astype("float32")
        return lambda: a @ b

    return make


def elementwise(op, n):
    def make():
        x, y = np.random.rand(n).astype("float32"), np.random.rand(n).astype("float32")
        rows = np.random.rand(n // 100, 100).astype("float32")
        return {"add": lambda: x + y, "exp": lambda: np.exp(x), "sum": lambda: x.sum(), "mean0": lambda: rows.mean(0)}[
            op
        ]

    return make


ROWS["add4"] = add4
for size in GEMM:
    ROWS[f"gemm{size}"] = gemm(size)
for name in ("add", "exp", "sum", "mean0"):
    for size in SIZES:
        ROWS[f"{name}_{size}"] = elementwise(name, size)

ROWS.update(functions.rows("numpy", np, lambda x: x))

if __name__ == "__main__":
    serve(ROWS)
