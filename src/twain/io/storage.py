"""The bytes of a tensor, both ways: the one place where files meet tensor memory."""

from __future__ import annotations

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


def from_bytes(dtype: DType, shape: tuple[int, ...], content: bytes | memoryview) -> Tensor:
    """A tensor that owns a copy of `content`, which must hold exactly its elements."""
    return _core.from_buffer(_core.meta(dtype.code, shape), content)
