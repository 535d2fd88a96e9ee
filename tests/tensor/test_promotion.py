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


@pytest.mark.parametrize(
    "call",
    [
        lambda u: u + 300, lambda u: 300 - u, lambda u: u * -1, lambda u: u | 256, lambda u: u // 10**30,
        lambda u: twain.maximum(u, 256), lambda u: twain.where(u > 3, u, 999), lambda u: u ** 1000,
    ],
)  # fmt: skip
def test_ints_that_a_dtype_does_not_hold_are_refused(call):
    """As in NumPy 2: nothing wraps silently, eager, compiled or batched."""
    u = twain.asarray([1, 200], dtype="uint8")
    with pytest.raises(OverflowError, match="uint8 holds"):
        call(u)
    with pytest.raises(OverflowError, match="uint8 holds"):
        twain.compile(call)(u)
    with pytest.raises(OverflowError, match="uint8 holds"):
        twain.vmap(call)(u)


def test_comparisons_with_any_int_are_exact():
    u = twain.asarray([1, 200], dtype="uint8")
    assert (u < 300).tolist() == [True, True] and (u == 300 + 1).tolist() == [False, False]
    assert (u > -1).tolist() == [True, True] and (u != -56).tolist() == [True, True]
    assert (u < 10**40).tolist() == [True, True] and (u <= -(10**400)).tolist() == [False, False]
    assert (twain.asarray([2**63 - 1]) < 2**63).tolist() == [True]
    assert (twain.asarray([2**63], dtype="uint64") == 2**63).tolist() == [True]
    assert twain.vmap(lambda x: x < 300)(u).tolist() == [True, True]


def test_large_ints_beside_floats_are_floats():
    assert (twain.asarray([1.5], dtype="float64") * 10**30).tolist() == [1.5 * 1e30]
    assert (twain.asarray([1.5], dtype="float64") * 10**400).tolist() == [float("inf")]
    assert (twain.asarray([2**40], dtype="int64") / 10**30).dtype is twain.float32
    assert (twain.asarray([1], dtype="uint64") + 2**63).tolist() == [2**63 + 1]


@pytest.mark.parametrize(
    "own, other, kept",
    [
        ("float32", "float64", True), ("uint8", "int64", True), ("float16", "bfloat16", True),
        ("complex64", "float64", True), ("float32", "int64", True), ("int64", "bool", True),
        ("int64", "float32", False), ("float64", "complex64", False), ("bool", "int8", False),
    ],
)  # fmt: skip
def test_in_place_operators_keep_their_dtype(own, other, kept):
    """Results are cast back within a kind and upwards, as in PyTorch; downwards they are refused."""
    x, y = twain.ones((3,), dtype=own), twain.ones((3,), dtype=other)
    same = x
    if kept:
        x += y
        assert x is same and str(x.dtype) == own and complex(x[0]) == (2 if own != "bool" else 1)
    else:
        with pytest.raises(TypeError, match="in-place result"):
            x += y
        assert complex(same[0]) == 1


def test_in_place_cast_on_the_tape_and_compiled():
    def f(w, y):
        v = w * 2
        v *= y
        return v

    w, y = twain.asarray([1.0, 2.0]).requires_grad_(), twain.asarray([3.0, 4.0], dtype="float64")
    f(w, y).sum().backward()
    assert w.grad.tolist() == [6.0, 8.0] and w.grad.dtype is twain.float32
    compiled = twain.compile(f)
    for _ in range(4):
        assert compiled(w.detach(), y).tolist() == [6.0, 16.0]


def test_composites_refuse_or_compare_ints_too():
    u = twain.asarray([1, 200], dtype="uint8")
    for call in (lambda: twain.lerp(u, u, 300), lambda: twain.masked_fill(u, u > 3, 300), lambda: u.clip(300, 400)):
        with pytest.raises(OverflowError):
            call()
    assert twain.isclose(u, 456).tolist() == twain.isin(u, 456).tolist() == [False, False]
    assert twain.searchsorted(u, 300).item() == 2 and twain.searchsorted(u, -1).item() == 0
    assert twain.searchsorted(twain.asarray([1, 2]), 1.5).item() == 1


def test_clip():
    """Bounds beyond a dtype's range limit nothing; the gradient passes where x is within them."""
    u = twain.asarray([1, 200], dtype="uint8")
    assert twain.clip(u, -5, 300).tolist() == [1, 200] and twain.clip(u, 2, 300).tolist() == [2, 200]
    x = twain.asarray([-2.0, -1.0, 0.5, 1.0, 3.0, float("nan")]).requires_grad_()
    y = twain.clip(x, -1, 1)
    y.sum().backward()
    assert y.tolist()[:5] == [-1, -1, 0.5, 1, 1] and y.tolist()[5] != y.tolist()[5]
    assert x.grad.tolist() == [0, 1, 1, 1, 0, 0]


def test_integers_to_negative_powers():
    """A negative number is refused, as in NumPy and PyTorch; among tensors the result is what remains of 1 / x^n."""
    n = twain.asarray([2, 1, -1])
    for call in (lambda x: x**-1, lambda x: twain.pow(x, -2)):
        with pytest.raises(ValueError, match="exponent"):
            call(n)
        with pytest.raises(ValueError, match="exponent"):
            twain.vmap(call)(n)
    assert (n ** twain.asarray(-1)).tolist() == [0, 1, -1] and (n**-1.0).tolist() == [0.5, 1, -1]
