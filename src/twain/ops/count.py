"""Counting how often each small integer occurs."""

from __future__ import annotations

from ..base import dtypes as dt
from ..ir.node import Spec
from .native import check_dtype, check_rows, leading_batch, native
from .samples import Samples


def _attributes(size):
    if not isinstance(size, int) or size < 0:
        raise TypeError(f"expected size to be an int of 0 or more, got {size!r}")
    return size


def _infer(size, x):
    check_rows("count_bins", x)
    check_dtype("count_bins", x.dtype, dt.INTEGER)
    return Spec(dt.int64, (*x.shape[:-1], size))


count_bins = native(
    "count_bins", 1, "count", infer=_infer, attributes=_attributes, allowed=dt.INTEGER, tried=dt.INTEGER,
    batch=leading_batch, argument_names=("x",), differentiable=False,
    reference="twain.testing.sort_references.count_bins",
    samples=Samples(((-5, 50),), arguments=(((30,), {}),), shapes=(((4, 50),), ((0,),), ((2, 0),))),
    errors=(((-1,), {}, "size"),),
    doc="How often each of 0 .. size - 1 occurs in each row of integers, int64; others are not counted.",
)  # fmt: skip
