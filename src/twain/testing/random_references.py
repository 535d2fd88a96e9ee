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


def _reference(kernel):
    def reference(*operands):
        with np.errstate(all="ignore"):
            return kernel(ArrayKernel, *np.broadcast_arrays(*operands))

    return reference


random_gamma = _reference(distributions._gamma)
random_poisson = _reference(distributions._poisson)
random_binomial = _reference(distributions._binomial)
random_vonmises = _reference(distributions._vonmises)
random_zipf = _reference(distributions._zipf)
