"""Ops with kernels of their own that work on rows: sorting, scans, counting. What their records share."""

from __future__ import annotations

from collections.abc import Callable

from ..base import dtypes as dt
from ..base.dtypes import strengthen
from ..base.errors import DTypeError, ShapeError
from ..base.shapes import INTEGERS
from ..ir.op import OpRecord, register
from .families import late
from .index import iota
from .shape import permute_dims, reshape, slice_


class Native:
    """The dtypes that the op takes, those it is tried in, and what its lowering wants to know besides."""

    __slots__ = ("allowed", "detail", "dtypes")

    def __init__(self, allowed: tuple, tried: tuple, detail: object = None):
        self.allowed = allowed
        self.dtypes = tried
        self.detail = detail


TRIED = (dt.bool_, dt.int8, dt.int16, dt.int32, dt.int64, dt.uint8, dt.uint32, dt.uint64, dt.float16, dt.bfloat16,
         dt.float32, dt.float64)  # fmt: skip


def check_dtype(name: str, dtype, allowed: tuple) -> dt.DType:
    """The operand's dtype, a weak one as its default; DTypeError if it isn't allowed."""
    dtype = strengthen(dtype)
    if dtype not in allowed:
        raise DTypeError(f"[{name}] expected dtypes among {', '.join(d.name for d in allowed)}, got {dtype}")
    return dtype


def check_rows(name: str, spec) -> None:
    if not spec.shape:
        raise ShapeError(f"[{name}] expected at least one dimension, got a 0-d tensor")


def native(
    name: str, arity: int, lowering: str, *, infer: Callable, allowed: tuple = dt.BOOL + dt.REAL, tried: tuple = TRIED,
    detail: object = None, **fields,
):  # fmt: skip
    """An op whose kernel `lowering` (see codegen/lower.py) writes."""
    record = OpRecord(
        name, "native", arity, lowering=lowering, infer=infer, rules=Native(allowed, tried, detail), **fields
    )
    return register(record)


def whole(what: str, value: object, least: int | None = None) -> int:
    """A static argument that is an int, and not below `least`."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"expected {what} to be an int, got {value!r}")
    value = value if type(value) in INTEGERS else value.__index__()
    if least is not None and value < least:
        raise TypeError(f"expected {what} to be an int of {least} or more, got {value!r}")
    return value


def at_least_1d(function: Callable) -> Callable:
    """A composite's function that takes 0-d operands as one element, along axis 0 or -1; of one element are the results."""

    def of(attrs, x):
        if x.ndim:
            return function(attrs, x)
        y = function(attrs, reshape(x, (1,)))
        if type(y) is list:
            return [reshape(v, ()) if v.shape == (1,) else v for v in y]
        return reshape(y, ()) if y.shape == (1,) else y

    of.__doc__ = function.__doc__
    return of


def run_time(number: int):
    """A number of 0 or more, such as a size, as a 0-d int64 that kernels get at run time: they serve every shape."""
    return reshape(slice_(iota((number + 1,), 0), (number,), (1,), (1,)), ())


def leading_batch(attrs, call, inputs, batched, size):
    """Batching of an op that works along the last axis of its operands, all of one shape but for that axis."""
    spread = []
    for x, b in zip(inputs, batched):
        if x is not None and not b:
            x = late.broadcast_to(x, (size, *x.shape))
        spread.append(x)
    return call(attrs, *spread)


def axis_last(x, axis: int):
    """`x` with `axis` moved to the end."""
    return x if axis == x.ndim - 1 else permute_dims(x, (*(a for a in range(x.ndim) if a != axis), axis))


def axis_back(x, axis: int):
    """The inverse of `axis_last`."""
    last = x.ndim - 1
    return x if axis == last else permute_dims(x, (*range(axis), last, *range(axis, last)))
