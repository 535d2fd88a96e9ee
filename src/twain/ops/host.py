"""Ops computed by a Python function on NumPy arrays: LAPACK, FFTs, user callbacks. A step of a plan like any other.

`function(attrs, *arrays, out=outputs)` gets read-only views of its operands, of any strides, and arrays in row-major
order to fill, one per result. It keeps none of them: their memory is used again afterwards. Weak Python scalars arrive
as 0-d arrays of their widest dtype, bfloat16 as its bits in uint16. What it raises is raised by the call.
"""

from __future__ import annotations

from collections.abc import Callable

from ..base import dtypes as dt
from ..base.dtypes import DType
from ..base.lazy import LazyModule
from ..ir.op import OpRecord, register
from .families import late, linear_jvp

numpy = LazyModule("numpy")

# NumPy's code of each dtype.
TYPE_CODES = {
    dt.bool_: "|b1", dt.int8: "|i1", dt.int16: "i2", dt.int32: "i4", dt.int64: "i8", dt.uint8: "|u1", dt.uint16: "u2",
    dt.uint32: "u4", dt.uint64: "u8", dt.float16: "f2", dt.bfloat16: "u2", dt.float32: "f4", dt.float64: "f8",
    dt.complex64: "c8", dt.complex128: "c16",
}  # fmt: skip


class Host:
    """How a host op computes: the function, and the dtypes it is tried in."""

    __slots__ = ("dtypes", "function")

    def __init__(self, function: Callable, dtypes: tuple):
        self.function = function
        self.dtypes = dtypes


class _Memory:
    """What NumPy needs to know to view memory as an array."""

    __slots__ = ("__array_interface__",)

    def __init__(self, address: int, dtype: DType, shape: tuple, strides: tuple | None, writable: bool):
        self.__array_interface__ = {
            "version": 3,
            "data": (address, not writable),
            "typestr": TYPE_CODES[dtype],
            "shape": shape,
            "strides": strides,
        }


def view(address: int, dtype: DType, shape: tuple, strides: tuple | None, writable: bool = False):
    """Memory as a NumPy array; strides in bytes, None for row-major order."""
    if 0 in shape or not address:
        array = numpy.empty(shape, TYPE_CODES[dtype])
        array.flags.writeable = writable
        return array
    return numpy.asarray(_Memory(address, dtype, shape, strides, writable))


def host(
    name: str, arity: int, function: Callable, *, infer: Callable, attributes=None, canonical=None, vjp=None, jvp=None,
    batch=None, names: tuple | None = None, dtypes: tuple = (dt.float32, dt.float64), reference=None, samples=None,
    errors=None, tolerance=None, differentiable: bool | None = None, doc: str = "", listed: bool = True, lowering="host",
):  # fmt: skip
    """An op that a Python function computes. jvp: "linear" if it is linear in its only operand; batch: a rule, or
    "leading" if it treats leading axes of its (only) operand as a batch anyway, or the ranks of its operands' single
    examples if their leading axes broadcast. listed=False keeps it out of the op table.
    lowering: kernels that stand in for the function where they can."""
    record = OpRecord(
        name, "host", arity, infer=infer, lowering=lowering, rules=Host(function, dtypes), attributes=attributes,
        canonical=canonical, vjp=vjp, jvp=linear_jvp if jvp == "linear" else jvp, argument_names=names,
        reference=reference, samples=samples, errors=errors, tolerance=tolerance, doc=doc,
        differentiable=vjp is not None if differentiable is None else differentiable,
    )  # fmt: skip
    record.batch = batch if callable(batch) else leading_batch(batch)
    return register(record) if listed else record


def leading_batch(ranks: object) -> Callable | None:
    """The batching rule of a function whose operands' leading axes are a batch and broadcast. `ranks`: how many trailing
    axes of each operand are an example of their own."""
    if ranks is None:
        return None

    def batch(attrs, call, inputs, batched, size):
        if len(inputs) == 1:
            return call(attrs, inputs[0])
        leading = max(x.ndim - b - r for x, b, r in zip(inputs, batched, ranks))
        aligned = []
        for x, b, r in zip(inputs, batched, ranks):
            missing = leading - (x.ndim - b - r)
            if b and missing:
                x = late.reshape(x, (size, *(1,) * missing, *x.shape[1:]))
            aligned.append(x)
        return call(attrs, *aligned)

    return batch
