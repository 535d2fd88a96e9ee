"""NumPy definitions of elementwise ops whose special values differ from NumPy's, or that depend on the dtype."""

from __future__ import annotations

import numpy as np

from ..base.dtypes import by_name
from ..ir.interpret import round_bfloat16


def floor_divide(x, y):
    """floor(x / y) of the exact quotient; with an infinity or a zero divisor the floor of the rounded one."""
    x, y = np.asarray(x), np.asarray(y)
    exact = np.floor_divide(x, y)
    if exact.dtype.kind != "f":
        return exact
    rounded = np.floor(x / y)
    return np.where(np.isinf(x) | np.isinf(y) | (y == 0), rounded, exact)


def next_number(x, y, dtype):
    """The number of `dtype` next to x towards y."""
    if by_name(dtype).numpy_name is not None:
        with np.errstate(all="ignore"):
            return np.nextafter(np.asarray(x).astype(dtype), np.asarray(y).astype(dtype))
    # bfloat16: the float32 numbers on its grid
    x, y = np.broadcast_arrays(round_bfloat16(x), round_bfloat16(y))
    bits = np.ascontiguousarray(x).reshape(x.shape).view("int32")
    grows = (x < y) ^ np.signbit(x)
    moved = np.where(grows, bits + 0x10000, bits - 0x10000).astype("int32").view("float32")
    moved = np.where(x == 0, np.copysign(np.float32(2.0**-133), y), moved)
    return np.where(np.isnan(x) | np.isnan(y), np.float32("nan"), np.where(x == y, y, moved))


def nextafter(x, y):
    """The number next to x towards y, in the dtype of the arrays."""
    return np.nextafter(x, y)


def signbit(x):
    """Whether x is negative, or its sign bit is set."""
    return x < 0 if np.asarray(x).dtype.kind in "iu" else np.signbit(np.asarray(x, dtype="float64"))


def logaddexp(x, y):
    """log(exp(x) + exp(y))."""
    if not (np.iscomplexobj(x) or np.iscomplexobj(y)):
        return np.logaddexp(x, y)
    top = np.where(np.real(x) >= np.real(y), x, y)
    return top + np.log(np.exp(x - top) + np.exp(y - top))
