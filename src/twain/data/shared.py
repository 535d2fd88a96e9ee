"""Arrays between processes without pickling them: objects are pickled, what their arrays hold lies in shared memory.

Towards the workers goes one file with the data set (`Parcel`), which all of them map. Back come batches in blocks
(`Arena` in the worker, `Blocks` in the main process), which are used again when the last array on them is gone.
"""

from __future__ import annotations

import ctypes
import io
import mmap
import os
import pickle
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from .. import _core
from ..base.lazy import LazyModule
from ..tensor.exchange import raw_bytes
from .channel import anonymous_file

np = LazyModule("numpy")
Tensor = _core.Tensor
ALIGNMENT = 64
PAGE = mmap.PAGESIZE


def _aligned(nbytes: int, to: int = ALIGNMENT) -> int:
    return -(-nbytes // to) * to


# ---------------------------------------------------------------- pickling without the arrays' bytes
def _tensor_on(buffer: Any, code: int, shape: tuple[int, ...], device: int, requires_grad: bool) -> Tensor:
    """A tensor on the memory of `buffer`, which it keeps alive."""
    meta = _core.meta(code, shape, None, device)
    if meta.nbytes == 0:
        tensor = _core.empty(meta)
    else:
        bytes_ = np.frombuffer(buffer, np.uint8)
        tensor = _core.wrap(bytes_.__array_interface__["data"][0], meta.nbytes, bytes_, meta)
    return tensor.requires_grad_() if requires_grad else tensor


def _mapped_array(path: str, dtype: Any, shape: tuple, strides: tuple, offset: int, mode: str) -> Any:
    """The part of a memory-mapped file that an array was: mapped anew, not read."""
    nbytes = offset + sum((n - 1) * s for n, s in zip(shape, strides, strict=True)) + dtype.itemsize
    whole = np.memmap(path, np.uint8, "c" if mode == "c" else "r", 0, (nbytes,))
    return np.ndarray(shape, dtype, whole, offset, strides)


def _memmap_parts(array: Any) -> tuple | None:
    """How to map again what `array` shows of a file; None where that isn't known (negative strides, no file name)."""
    below = array
    while isinstance(below, np.ndarray) and isinstance(below.base, np.ndarray):
        below = below.base
    name = getattr(array, "filename", None)
    if name is None or not isinstance(below, np.memmap) or not isinstance(below.base, mmap.mmap) or array.size == 0:
        return None
    start = array.__array_interface__["data"][0] - below.__array_interface__["data"][0]
    if start < 0 or any(stride < 0 for stride in array.strides) or array.dtype.hasobject:
        return None
    return os.fspath(name), array.dtype, array.shape, array.strides, below.offset + start, array.mode


class _Pickler(pickle.Pickler):
    """Arrays and tensors out of band, whatever their layout; memory-mapped ones by the name of their file."""

    def reducer_override(self, obj: Any) -> Any:
        kind = type(obj)
        if kind is Tensor:
            if not obj.is_leaf:
                raise pickle.PicklingError("a tensor that is the result of an op can't be sent; use x.detach()")
            data = pickle.PickleBuffer(raw_bytes(obj))
            return _tensor_on, (data, obj.meta.code, tuple(obj.shape), obj.meta.device, obj.requires_grad)
        if kind.__module__ == "numpy" and isinstance(obj, np.ndarray):
            if isinstance(obj, np.memmap) and (parts := _memmap_parts(obj)) is not None:
                return _mapped_array, parts
            if not (obj.flags.c_contiguous or obj.flags.f_contiguous) and not obj.dtype.hasobject:
                return np.ascontiguousarray(obj).__reduce_ex__(5)
        return NotImplemented


def dumps(obj: Any) -> tuple[bytes, list[memoryview]]:
    """The pickle of `obj` and the bytes of its arrays."""
    buffers: list[pickle.PickleBuffer] = []
    out = io.BytesIO()
    _Pickler(out, 5, buffer_callback=buffers.append).dump(obj)
    return out.getvalue(), [buffer.raw() for buffer in buffers]


# ---------------------------------------------------------------- to the workers
class Parcel:
    """An object in a file without a name, arrays as they lie in memory. Sent by `fileno()` and `layout`."""

    def __init__(self, obj: Any):
        body, buffers = dumps(obj)
        parts = [memoryview(body), *buffers]
        self.layout: list[tuple[int, int]] = []
        end = 0
        for part in parts:
            self.layout.append((end, part.nbytes))
            end += _aligned(part.nbytes)
        self._descriptor = anonymous_file(max(end, 1))
        for (begin, _), part in zip(self.layout, parts, strict=True):
            while part.nbytes:
                written = os.pwrite(self._descriptor, part[: 1 << 30], begin)
                begin += written
                part = part[written:]

    def fileno(self) -> int:
        return self._descriptor

    def close(self) -> None:
        os.close(self._descriptor)


def unpack(descriptor: int, layout: Sequence[tuple[int, int]], find_class: Callable[[str, str], Any]) -> Any:
    """The object of a parcel; its arrays lie in the file, and writing to them copies the page for this process only."""
    whole = memoryview(mmap.mmap(descriptor, 0, access=mmap.ACCESS_COPY))
    os.close(descriptor)
    body, *buffers = [whole[begin : begin + size] for begin, size in layout]

    class Unpickler(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            return find_class(module, name)

    return Unpickler(io.BytesIO(body), buffers=buffers).load()


# ---------------------------------------------------------------- from a worker
class _Block:
    """Memory that both sides have mapped. In the worker also: what was made in it."""

    def __init__(self, number: int, descriptor: int, capacity: int):
        self.number = number
        self.capacity = capacity
        self.memory = mmap.mmap(descriptor, capacity)
        self.type = ctypes.c_char * capacity
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))
        self.keepers: list[weakref.ref] = []


class Arena:
    """A worker's side: blocks, one for each batch that is on its way or in use."""

    def __init__(self) -> None:
        self._blocks: dict[int, _Block] = {}
        self._free: list[_Block] = []
        self._made = 0
        self._largest = 0  # bytes that a batch has needed so far
        self._block: _Block | None = None
        self._used = 0
        self._new: tuple[int, ...] = ()  # the descriptor of a block that the main process doesn't know yet
        self._dropped: list[int] = []

    def dropped(self) -> list[int]:
        """Blocks that are given up since the last call, so that the main process lets go of them too."""
        numbers, self._dropped = self._dropped, []
        return numbers

    def freed(self, numbers: Sequence[int]) -> None:
        """The main process is done with these blocks."""
        for number in numbers:
            block = self._blocks.get(number)
            if block is None:
                continue
            if block.capacity < self._largest or any(keeper() is not None for keeper in block.keepers):
                # Too small by now; or the data set keeps what was made there, which must not be written over.
                self._drop(block)
            else:
                self._free.append(block)

    def _drop(self, block: _Block) -> None:
        del self._blocks[block.number]
        self._dropped.append(block.number)

    def begin(self) -> None:
        """A new batch."""
        self._used = 0
        self._new = ()
        self._block = self._free.pop() if self._free else self._make(self._largest) if self._largest else None
        if self._block is not None:
            self._block.keepers = []

    def _make(self, nbytes: int) -> _Block:
        capacity = _aligned(nbytes, PAGE)
        descriptor = anonymous_file(capacity)
        block = self._blocks[self._made] = _Block(self._made, descriptor, capacity)
        self._made += 1
        for old in self._new:
            os.close(old)
        self._new = (descriptor,)
        return block

    def take(self, nbytes: int) -> tuple[int, Any] | None:
        """See memory.Arena."""
        block, begin = self._block, self._used
        if block is None or begin + nbytes > block.capacity:
            return None
        self._used += _aligned(nbytes)
        keeper = (ctypes.c_char * nbytes).from_buffer(block.memory, begin)
        block.keepers.append(weakref.ref(keeper))
        return block.address + begin, keeper

    def pack(self, batch: Any) -> tuple[tuple, tuple[int, ...]]:
        """(what `Blocks.unpack` takes, descriptors to send with it). Bytes that lie in the block already stay there."""
        body, buffers = dumps(batch)
        needed = sum(_aligned(buffer.nbytes) for buffer in buffers)
        if needed == 0:
            return (None, 0, body, ((0, 0),) * len(buffers)), ()
        placed, missing = self._places(buffers)
        # The largest batch so far; arrays that share memory (a batch in two forms) may count twice.
        self._largest = max(self._largest, self._used + missing)
        block = self._block
        if block is None or self._used + missing > block.capacity:
            if block is not None:
                self._drop(block)
            self._largest = max(self._largest, needed + needed // 8)
            block = self._block = self._make(self._largest)
            self._used, placed = 0, [None] * len(buffers)
        layout = []
        for place, buffer in zip(placed, buffers, strict=True):
            size = buffer.nbytes
            if place is None:
                place = self._used
                self._used += _aligned(size)
                if size:
                    into = np.frombuffer(block.memory, np.uint8, size, place)
                    into[:] = np.frombuffer(buffer, np.uint8)
            layout.append((place, size))
        descriptors, self._new = self._new, ()
        self._block = None
        return (block.number, block.capacity if descriptors else 0, body, tuple(layout)), descriptors

    def _places(self, buffers: Sequence[memoryview]) -> tuple[list[int | None], int]:
        """Where in the block each buffer lies already, and the bytes of the others."""
        places: list[int | None] = []
        missing = 0
        first = self._block.address if self._block is not None else 0
        for buffer in buffers:
            place = None
            if buffer.nbytes and self._block is not None:
                address = np.frombuffer(buffer, np.uint8).__array_interface__["data"][0]
                if first <= address and address + buffer.nbytes <= first + self._used:
                    place = address - first
            if place is None:
                missing += _aligned(buffer.nbytes)
            places.append(place)
        return places, missing

    def give_up(self) -> None:
        """The batch under way failed."""
        if self._block is not None:
            for descriptor in self._new:
                os.close(descriptor)
            if self._new:
                self._drop(self._block)
            else:
                self._free.append(self._block)
        self._block, self._new = None, ()


class Blocks:
    """The main process' side of one worker's blocks. At most `limit` are lent to batches; further batches are copied."""

    def __init__(self, limit: int):
        self.limit = limit
        self.freed: deque[int] = deque()  # to be told to the worker
        self._blocks: dict[int, _Block] = {}
        self._lent: dict[int, weakref.ref] = {}

    def met(self, number: int, capacity: int, descriptor: int) -> None:
        self._blocks[number] = _Block(number, descriptor, capacity)
        os.close(descriptor)

    def dropped(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            self._blocks.pop(number, None)

    def skip(self, packed: tuple) -> None:
        """A batch that nobody wants any more."""
        if packed[0] is not None:
            self.freed.append(packed[0])

    def unpack(self, packed: tuple) -> Any:
        """The batch; its arrays lie in the block, which is free again when the last of them is gone."""
        number, _, body, layout = packed
        if number is None:
            return pickle.loads(body, buffers=[b""] * len(layout))
        block = self._blocks[number]
        whole = block.type.from_buffer(block.memory)
        shown = memoryview(whole).cast("B")
        if len(self._lent) < self.limit:
            freed, lent = self.freed, self._lent

            def free(_: Any) -> None:
                lent.pop(number, None)
                freed.append(number)

            self._lent[number] = weakref.ref(whole, free)
            buffers = [shown[begin : begin + size] for begin, size in layout]
        else:
            buffers = [memoryview(bytearray(shown[begin : begin + size])) for begin, size in layout]
            self.freed.append(number)
        return pickle.loads(body, buffers=buffers)
