"""The promotion table of the Array API standard, and what goes beyond it."""

import numpy as np
import pytest

import twain
from twain.base import dtypes as dt
from twain.base.errors import DTypeError

STANDARD = [d for d in dt.ANY if d is not dt.bfloat16]


@pytest.mark.parametrize("a", STANDARD, ids=str)
@pytest.mark.parametrize("b", STANDARD, ids=str)
def test_standard_table(a, b):
    """Same kinds, and signed with unsigned, are NumPy's; mixed kinds that the standard leaves open follow PyTorch."""
    if {a.kind, b.kind} == {"i", "u"} and dt.uint64 in (a, b):
        with pytest.raises(DTypeError, match="add"):
            dt.promote("add", a, b)
        return
    got = dt.promote("add", a, b)
    assert got is dt.promote("add", b, a)
    kinds = {a.kind, b.kind}
    if kinds & set("iu") and kinds & set("fc"):
        assert got is (a if a.kind in "fc" else b)
    else:
        assert got.name == np.result_type(a.name, b.name).name


@pytest.mark.parametrize(
    "tensor, scalar, expected",
    [
        ("int8", 1, "int8"), ("uint8", 1, "uint8"), ("float64", 1, "float64"), ("bfloat16", 1.5, "bfloat16"),
        ("int32", 1.5, "float32"), ("bool", 1, "int64"), ("bool", True, "bool"), ("float32", True, "float32"),
        ("float64", 1j, "complex128"), ("float32", 1j, "complex64"), ("complex64", 2.0, "complex64"), ("int16", 1j, "complex64"),
    ],
)  # fmt: skip
def test_python_scalars_give_way(tensor, scalar, expected):
    x = twain.ones((2,), dtype=tensor)
    assert str((x + scalar).dtype) == expected
    assert str((scalar + x).dtype) == expected


def test_half_precision():
    assert dt.promote("add", dt.bfloat16, dt.float16) is dt.float32
    assert dt.promote("add", dt.bfloat16, dt.float32) is dt.float32
    assert dt.promote("add", dt.bfloat16, dt.int64) is dt.bfloat16


def test_large_ints_are_refused():
    with pytest.raises(OverflowError):
        twain.ones((2,), dtype="int64") + 2**70
