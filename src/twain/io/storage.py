"""The bytes of a tensor, both ways: the one place where files meet tensor memory."""

from __future__ import annotations

import ctypes
import sys

from .. import _core
from ..base import dtypes
from ..base.dtypes import DType

Tensor = _core.Tensor

if sys.byteorder != "little":
    raise ImportError("twain.io needs a little-endian machine: the file formats are little-endian")


def to_bytes(tensor: Tensor) -> memoryview:
    """The elements in row-major order, without a copy where the tensor lies so already."""
    if tensor.nbytes == 0:
        return memoryview(b"")
    tensor = tensor.detach() if tensor.is_contiguous() else _core.copy(tensor)
    if tensor.dtype is dtypes.bfloat16:  # the buffer protocol has no code for it: show its 16 bits
        bits = _core.meta(dtypes.uint16.code, tensor.shape)
        tensor = _core.wrap(tensor.data_ptr(), tensor.nbytes, tensor, bits)
    return memoryview(tensor).cast("B")


def empty(dtype: DType, shape: tuple[int, ...]) -> tuple[Tensor, memoryview]:
    """A new tensor and its memory to be filled, row-major; the view must not be kept after that."""
    tensor = _core.empty(_core.meta(dtype.code, shape))
    if tensor.nbytes == 0:
        return tensor, memoryview(bytearray())
    return tensor, memoryview((ctypes.c_char * tensor.nbytes).from_address(tensor.data_ptr())).cast("B")
