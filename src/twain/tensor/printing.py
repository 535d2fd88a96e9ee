"""repr: the values as NumPy prints them, with what NumPy can't show."""

from __future__ import annotations

from .. import _core
from ..base import dtypes as dt
from ..base.lazy import LazyModule
from ..ops.elementwise import cast

numpy = LazyModule("numpy")


def to_repr(x: _core.Tensor) -> str:
    """tensor([...], dtype=..., requires_grad=True); float32, int64 and bool go without dtype."""
    data = to_numpy(x)
    body = numpy.array2string(data, separator=", ", prefix="tensor(", threshold=1000)
    notes = []
    if x.dtype not in (dt.float32, dt.int64, dt.bool_) or x.size == 0:
        notes.append(f"dtype={x.dtype}")
    if x.size == 0 and x.ndim != 1:
        notes.append(f"shape={tuple(x.shape)}")
    if x.device != "cpu:0":
        notes.append(f"device='{x.device}'")
    if x.grad_fn is not None:
        notes.append(f"grad_fn={x.grad_fn}")
    elif x.requires_grad:
        notes.append("requires_grad=True")
    return "tensor(" + ", ".join([body, *notes]) + ")"


def to_numpy(x: _core.Tensor):
    """A NumPy array over the same memory, read-only (bfloat16 as a float32 copy)."""
    if x.dtype is dt.bfloat16:
        x = cast(x.detach(), dt.float32)
    return numpy.asarray(memoryview(x))
