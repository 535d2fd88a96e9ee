"""Where batches are put together: new tensors whose memory NumPy fills.

In a worker process that is memory which the main process sees as well (`arena`), so that a batch is written once.
"""

from __future__ import annotations

import ctypes
from typing import Any, Protocol

from .. import _core
from ..base import dtypes
from ..base.lazy import LazyModule
from ..tensor import asarray

np = LazyModule("numpy")
Tensor = _core.Tensor


class Arena(Protocol):
    """Shared memory that tensors are made in."""

    def take(self, nbytes: int) -> tuple[int, Any] | None:
        """The address of so many bytes and what keeps them alive, or None where they don't fit."""
        ...


arena: Arena | None = None


def use_arena(new: Arena | None) -> None:
    global arena
    arena = new


def empty(dtype: Any, shape: tuple[int, ...]) -> tuple[Tensor, Any] | None:
    """A new row-major tensor and the NumPy array to fill it through; None for dtypes that a tensor can't have."""
    dtype = np.dtype(dtype)
    known = dtypes.BY_NAME.get(dtype.name)
    if known is None or not dtype.isnative:
        return None
    meta = _core.meta(known.code, tuple(shape))
    taken = arena.take(meta.nbytes) if arena is not None and meta.nbytes else None
    if taken is None:
        tensor = _core.empty(meta)
        if meta.nbytes == 0:
            return tensor, np.empty(shape, dtype)
        address = tensor.data_ptr()
    else:
        address, keeper = taken
        tensor = _core.wrap(address, meta.nbytes, keeper, meta)
    memory = (ctypes.c_char * meta.nbytes).from_address(address)
    return tensor, np.frombuffer(memory, dtype).reshape(shape)


def stacked(arrays: list[Any]) -> Tensor:
    """A tensor of NumPy arrays of one shape along a new first axis."""
    kinds = {array.dtype for array in arrays}
    made = empty(kinds.pop() if len(kinds) == 1 else np.result_type(*kinds), (len(arrays), *arrays[0].shape))
    if made is None:
        return asarray(np.stack(arrays))
    tensor, rows = made
    for number, array in enumerate(arrays):
        rows[number] = array
    return tensor


def picked(rows: Any, indices: Any) -> Tensor:
    """A tensor of the rows `indices` of a NumPy array; IndexError for an index out of range."""
    made = empty(rows.dtype, (len(indices), *rows.shape[1:]))
    if made is None:
        return asarray(np.asarray(rows)[indices])
    tensor, out = made
    count = rows.shape[0]
    if len(indices) and not (-count <= indices.min() and indices.max() < count):
        raise IndexError(
            f"[ArrayDataset.batch] expected indices below {count}, got {int(indices.min())}..{int(indices.max())}"
        )
    # mode="raise" would go through a buffer; the indices are known to be good.
    np.take(rows, indices % count, axis=0, out=out, mode="clip") if count else None
    return tensor
