"""Tensors handed to Python's own protocols: pickle, format, round, divmod, `in`."""

from __future__ import annotations

from .. import _core
from ..base import dtypes as dt
from ..base.errors import ArgumentError, GradientError
from ..base.lazy import LazyModule
from ..ops import elementwise as e
from ..ops.reduce import any as any_
from .device import as_device

pickle = LazyModule("pickle")

Tensor = _core.Tensor


def rebuild(dtype: dt.DType, shape: tuple, device: str, data: object, requires_grad: bool) -> Tensor:
    """The tensor that `reduce_tensor` took apart."""
    meta = _core.meta(dtype.code, shape, None, as_device(device, "pickle").index)
    result = _core.from_buffer(meta, data)
    return result.requires_grad_() if requires_grad else result


def raw_bytes(x: Tensor) -> memoryview:
    """The elements in row-major order, without a copy if they lie so; bfloat16 as its bits."""
    if x.nbytes == 0:
        return memoryview(b"")
    x = x.detach() if x.is_contiguous() else _core.copy(x)
    if x.dtype is dt.bfloat16:
        x = _core.wrap(x.data_ptr(), x.nbytes, x, _core.meta(dt.uint16.code, x.shape))
    return memoryview(x).cast("B")


def reduce_tensor(x: Tensor, protocol: int) -> tuple:
    """`pickle.dumps(x)`: dtype, shape, device, elements and whether it requires a gradient; its `.grad` is left out.

    From protocol 5 on the elements may travel out of band (PEP 574). Results of ops are refused: their history isn't data.
    """
    if not x.is_leaf:
        raise GradientError("[pickle] expected a leaf tensor, got the result of an op; use x.detach()")
    data = raw_bytes(x)
    carried = pickle.PickleBuffer(data) if protocol >= 5 else bytes(data)
    return rebuild, (x.dtype, tuple(x.shape), str(x.device), carried, x.requires_grad)


def format_tensor(x: Tensor, spec: str) -> str:
    """`format(x, spec)`: of a 0-d tensor its number by `spec`; without a spec as str(x)."""
    if not spec:
        return str(x)
    if x.ndim:
        raise ArgumentError(f"[format] expected a 0-d tensor for the format {spec!r}, got shape {tuple(x.shape)}")
    return format(x.item(), spec)


def round_tensor(x: Tensor, ndigits: int | None = None) -> Tensor:
    """`round(x)` and `round(x, ndigits)`, to even, element by element; always a tensor."""
    if ndigits is None or (ndigits >= 0 and x.dtype.kind not in "fc"):
        return e.round(x)
    scale = 10.0 ** abs(ndigits)
    if x.dtype.kind not in "fc":
        return e.cast(e.round(e.cast(x, dt.float64) / scale) * scale, x.dtype)
    return e.round(x * scale) / scale if ndigits > 0 else e.round(x / scale) * scale


def divmod_tensor(x1: Tensor, x2: Tensor) -> tuple:
    """`divmod(x1, x2)`: (x1 // x2, x1 % x2)."""
    return e.floor_divide(x1, x2), e.remainder(x1, x2)


def contains(x: Tensor, value: object) -> bool:
    """`value in x`: whether an element equals it."""
    return bool(any_(e.equal(x, value)))


PROTOCOLS = {
    "__reduce_ex__": reduce_tensor,
    "__format__": format_tensor,
    "__round__": round_tensor,
}
