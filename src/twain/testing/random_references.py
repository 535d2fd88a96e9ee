"""The kernels of ops/distributions.py on NumPy arrays: what their expressions say, computed by others.

That the formulas give the distributions that they promise is for tests/tensor/test_distributions.py to show.
"""

from __future__ import annotations

import numpy as np

from ..ir.interpret import array_dtype
from ..ops import distributions


class ArrayKernel:
    """The functions of codegen/expr.py that those kernels use, on arrays."""

    log, exp, sqrt, cos, acos, floor, abs, log1p, pow = (
        np.log, np.exp, np.sqrt, np.cos, np.arccos, np.floor, np.abs, np.log1p, np.power,
    )  # fmt: skip
    maximum, minimum, eq, ne, select = np.maximum, np.minimum, np.equal, np.not_equal, np.where

    @staticmethod
    def const(value, dtype):
        return np.asarray(value, dtype if isinstance(dtype, np.dtype) else array_dtype(dtype))

    @staticmethod
    def cast(x, dtype):
        return np.asarray(x).astype(array_dtype(dtype))

    @staticmethod
    def mulhi(a, b):
        return ((a.astype("uint64") * b.astype("uint64")) >> np.uint64(32)).astype("uint32")

    @staticmethod
    def loop(initial, step, limit):
        state = initial
        for _ in range(limit):
            keep, new = step(*state)
            if not np.any(keep):
                break
            state = tuple(np.where(keep, n, s).astype(np.asarray(s).dtype) for n, s in zip(new, state))
        return state


def _at(kernel):
    def reference(*operands):
        with np.errstate(all="ignore"):
            return kernel(ArrayKernel, *np.broadcast_arrays(*operands))

    return reference


def _draw(kernel):
    def reference(seed, counter, *rest):
        *parameters, shape = rest
        return _at(kernel)(np.arange(int(np.prod(shape)), dtype="uint64").reshape(shape), seed, counter, *parameters)

    return reference


for _name in ("gamma", "poisson", "binomial", "vonmises", "zipf"):
    _kernel = getattr(distributions, f"_{_name}")
    globals()[f"random_{_name}"], globals()[f"random_{_name}_at"] = _draw(_kernel), _at(_kernel)
