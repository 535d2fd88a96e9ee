"""Where batches are put together: new tensors that the core or NumPy fills.

In a worker process that is memory which the main process sees as well (`arena`), so that a batch is written once.
"""

from __future__ import annotations

import ctypes
from typing import Any, Protocol

from .. import _core
from ..base import dtypes
from ..base.lazy import LazyModule
from ..tensor import asarray, take

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
    tensor = _in_arena(meta)
    if meta.nbytes == 0:
        return tensor, np.empty(shape, dtype)
    memory = (ctypes.c_char * meta.nbytes).from_address(tensor.data_ptr())
    return tensor, np.frombuffer(memory, dtype).reshape(shape)


def _in_arena(meta: Any) -> Tensor:
    """A new tensor of `meta`, in the arena where it fits."""
    taken = arena.take(meta.nbytes) if arena is not None and meta.nbytes else None
    return _core.empty(meta) if taken is None else _core.wrap(taken[0], meta.nbytes, taken[1], meta)


def stacked(leaves: list[Any]) -> Tensor | None:
    """A tensor of numbers, arrays or tensors of one kind and shape along a new first axis; None where they aren't that.

    Tensors that require a gradient or lie on another device than the first are left to `stack`.
    """
    return _core.stacked(leaves, None if arena is None else _in_arena)


def picked(rows: Any, indices: Any) -> Tensor:
    """A tensor of the rows `indices` (int64) of an array or tensor; IndexError for an index out of range."""
    made = _core.picked(rows, indices, None if arena is None else _in_arena)
    if made is not None:
        return made
    if isinstance(rows, Tensor):
        return take(rows, _core.from_buffer(_core.meta(dtypes.int64.code, (len(indices),)), indices), axis=0)
    return asarray(rows[np.asarray(indices)])
