"""Comparing computed values with expected ones, with the tolerance that a dtype deserves."""

from __future__ import annotations

import numpy as np

from ..base import dtypes as dt
from ..base.dtypes import DType

# Relative and absolute tolerance, in units of the values' own size.
TOLERANCE = {
    dt.bfloat16: (2e-2, 2e-2),
    dt.float16: (4e-3, 4e-3),
    dt.float32: (2e-5, 2e-6),
    dt.float64: (1e-11, 1e-12),
    dt.complex64: (2e-5, 2e-6),
    dt.complex128: (1e-11, 1e-12),
}


def assert_close(actual: np.ndarray, expected: np.ndarray, dtype: DType, what: str, factor: float = 1.0) -> None:
    """Equal for bool and integers; for floating dtypes within tolerance, NaN and infinities in the same places."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape, f"{what}: shape {actual.shape}, expected {expected.shape}"
    if dtype.kind in "biu":
        np.testing.assert_array_equal(actual, expected, err_msg=what)
        return
    relative, absolute = TOLERANCE[dtype]
    finite = expected[np.isfinite(expected)]
    scale = min(1.0, float(np.abs(finite).max())) if finite.size else 1.0
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(
            actual, expected, rtol=relative * factor, atol=absolute * factor * max(scale, 1e-3), err_msg=what
        )
