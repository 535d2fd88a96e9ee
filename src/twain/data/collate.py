"""Making one batch of several samples.

Tuples and dictionaries are structure and stay; numbers, lists of numbers, arrays and tensors are data and are stacked
along a new first axis; texts become a list.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Any

from .. import _core
from ..base import dtypes
from ..base.errors import ArgumentError, ShapeError, ValueRangeError
from ..base.lazy import LazyModule
from ..tensor import asarray, stack
from . import memory
from .sampler import check_buckets

np = LazyModule("numpy")
Tensor = _core.Tensor

Leaves = Callable[[list[Any], str], Any]


def collate(samples: Sequence[Any]) -> Any:
    """One batch: data stacked along a new first axis, structure kept, texts as a list.

    Python ints become int64, floats float32, bools bool.

    Raises:
        ShapeError: (a ValueError) when shapes differ; `PaddedCollate` pads them.
        ArgumentError: (a TypeError) when samples differ in structure or hold something else.
    """
    return _collate(list(samples), "sample", _stack)


class PaddedCollate:
    """`collate` for sequences of different lengths: each is padded at the end to the longest of its batch.

    Args:
        value: what to pad with.
        length: pad or cut the first axis of each sequence to this length (default: the longest in the batch).
        multiple_of: round that length up to a multiple, so that batches have fewer different shapes.
        buckets: or round it up to the next of these lengths (ascending), so that a compiled step sees so many shapes;
            a longer sequence is refused. `LengthBucketSampler` puts samples of one bucket together.
        lengths: give (padded, lengths) in place of padded, with lengths int64 [batch] before padding.
    """

    def __init__(
        self,
        value: float = 0,
        *,
        length: int | None = None,
        multiple_of: int = 1,
        buckets: Sequence[int] | None = None,
        lengths: bool = False,
    ) -> None:
        _check_padding("PaddedCollate", length, multiple_of)
        if buckets is not None and (length is not None or multiple_of != 1):
            raise ArgumentError("[PaddedCollate] expected one of length, multiple_of and buckets, got several")
        self.value = value
        self.length = length
        self.multiple_of = multiple_of
        self.buckets = None if buckets is None else check_buckets("PaddedCollate", buckets)
        self.lengths = lengths

    def __call__(self, samples: Sequence[Any]) -> Any:
        return _collate(list(samples), "sample", self._pad)

    def _pad(self, leaves: list[Any], place: str) -> Any:
        if isinstance(leaves[0], (bool, int, float, complex)) or getattr(leaves[0], "shape", None) == ():
            return _stack(leaves, place)
        length = self.length if self.buckets is None else self._bucket(leaves, place)
        padded, lengths = _pad(leaves, self.value, length, self.multiple_of, f"[collate] {place}:")
        return (padded, asarray(lengths)) if self.lengths else padded

    def _bucket(self, leaves: list[Any], place: str) -> int:
        assert self.buckets is not None
        longest = max(len(leaf) for leaf in leaves)
        number = bisect_left(self.buckets, longest)
        if number == len(self.buckets):
            raise ShapeError(
                f"[collate] {place}: expected sequences of at most {self.buckets[-1]}, the last bucket, got {longest}"
            )
        return self.buckets[number]


def pad_sequences(
    sequences: Sequence[Any], value: float = 0, *, length: int | None = None, multiple_of: int = 1
) -> Tensor:
    """One tensor [batch, length, ...] of sequences (lists, arrays, tensors) of different lengths, padded at the end.

    `length` cuts longer ones; by default it is that of the longest, rounded up to `multiple_of`. Further axes are
    padded to the longest as well.

    Raises:
        ShapeError: (a ValueError) when the sequences have no axis or differ in their number of axes.
    """
    _check_padding("pad_sequences", length, multiple_of)
    if len(sequences) == 0:
        raise ShapeError("[pad_sequences] expected at least one sequence, got none")
    return _pad(list(sequences), value, length, multiple_of, "[pad_sequences]")[0]


def _check_padding(function: str, length: int | None, multiple_of: int) -> None:
    if length is not None and length < 1:
        raise ValueRangeError(f"[{function}] expected length of at least 1, got {length}")
    if multiple_of < 1:
        raise ValueRangeError(f"[{function}] expected multiple_of of at least 1, got {multiple_of}")


def _collate(samples: list[Any], place: str, leaves: Leaves) -> Any:
    if not samples:
        raise ShapeError("[collate] expected at least one sample, got none")
    first = samples[0]
    if isinstance(first, tuple):
        if set(map(type, samples)) != {type(first)} or set(map(len, samples)) != {len(first)}:
            _require(samples, place, lambda s: isinstance(s, tuple) and len(s) == len(first), f"{len(first)} fields")
        columns = [
            _collate(list(column), f"{place}[{i}]", leaves) for i, column in enumerate(zip(*samples, strict=True))
        ]
        return type(first)(*columns) if hasattr(first, "_fields") else tuple(columns)
    if isinstance(first, dict):
        _require(samples, place, lambda s: isinstance(s, dict) and s.keys() == first.keys(), f"keys {list(first)}")
        return {key: _collate([s[key] for s in samples], f"{place}[{key!r}]", leaves) for key in first}
    if isinstance(first, (str, bytes)):
        if set(map(type, samples)) != {type(first)}:
            _require(samples, place, lambda s: isinstance(s, type(first)), "text")
        return samples
    return leaves(samples, place)


def _require(samples: list[Any], place: str, fits: Callable[[Any], bool], expected: str) -> None:
    for number, sample in enumerate(samples):
        if not fits(sample):
            raise ArgumentError(
                f"[collate] {place}: expected {expected} as in the first sample, got {sample!r:.80} in sample {number}"
            )


def _shape(leaf: Any) -> tuple[int, ...] | None:
    shape = getattr(leaf, "shape", None)
    return None if shape is None else tuple(shape)


def _stack(leaves: list[Any], place: str) -> Tensor:
    made = memory.stacked(leaves)
    if made is not None:
        return made
    shapes = {_shape(leaf) for leaf in leaves}
    if len(shapes) > 1:
        raise ShapeError(
            f"[collate] {place}: expected samples of one shape, got {sorted(map(str, shapes))}; "
            "for sequences of different lengths use DataLoader(..., collate=PaddedCollate())"
        )
    if all(isinstance(leaf, Tensor) for leaf in leaves):
        return stack(leaves, axis=0)
    if shapes != {None}:
        arrays = [_numpy(leaf) for leaf in leaves]
        kind = np.result_type(*arrays)
        made = memory.stacked([array.astype(kind, copy=False) for array in arrays])
        return asarray(np.stack(arrays)) if made is None else made
    lengths = {len(leaf) for leaf in leaves if isinstance(leaf, list)}
    if len(lengths) > 1:
        raise ShapeError(
            f"[collate] {place}: expected lists of one length, got lengths {sorted(lengths)}; "
            "for sequences of different lengths use DataLoader(..., collate=PaddedCollate())"
        )
    if not all(isinstance(leaf, (bool, int, float, complex, list)) for leaf in leaves):
        other = next(leaf for leaf in leaves if not isinstance(leaf, (bool, int, float, complex, list)))
        raise ArgumentError(
            f"[collate] {place}: expected numbers, lists, arrays, tensors, texts, tuples or dictionaries, "
            f"got {type(other).__name__}; convert it in the data set or give your own collate"
        )
    return asarray(leaves)


def _numpy(leaf: Any) -> Any:
    """`leaf` as a NumPy array with the dtypes that `asarray` would choose."""
    if isinstance(leaf, Tensor):
        return leaf.detach().numpy()
    data = np.asarray(leaf)
    if isinstance(leaf, (list, tuple)) and data.dtype == np.float64:
        data = data.astype(np.float32)
    return data


def _pad_ints(leaves: list[Any], value: float, length: int | None, multiple_of: int) -> tuple[Tensor, list[int]] | None:
    """`_pad` for lists of ints, the usual text, without an array for each; None for anything else."""
    first = next((leaf[0] for leaf in leaves if type(leaf) is list and leaf), None)
    if type(first) is not int or type(value) is not int or not all(type(leaf) is list for leaf in leaves):
        return None
    lengths = [len(leaf) if length is None else min(len(leaf), length) for leaf in leaves]
    width = length if length is not None else -(-max(lengths) // multiple_of) * multiple_of
    padded = array("q")
    try:
        for leaf, kept in zip(leaves, lengths, strict=True):
            padded.extend(leaf[:kept])
            padded.extend([value] * (width - kept))
    except (TypeError, OverflowError):  # floats, nested lists or ints beyond int64 among them
        return None
    return _core.from_buffer(_core.meta(dtypes.int64.code, (len(leaves), width)), padded), lengths


def _pad(
    leaves: list[Any], value: float, length: int | None, multiple_of: int, context: str
) -> tuple[Tensor, list[int]]:
    """The padded tensor and the lengths before padding (after cutting)."""
    tokens = _pad_ints(leaves, value, length, multiple_of)
    if tokens is not None:
        return tokens
    # NumPy has no bfloat16: such tensors travel as float32, which holds every one of them.
    narrow = all(isinstance(leaf, Tensor) and leaf.dtype is dtypes.bfloat16 for leaf in leaves)
    if narrow:
        leaves = [leaf.astype(dtypes.float32) for leaf in leaves]
    rows = [_numpy(leaf) for leaf in leaves]
    ranks = {row.ndim for row in rows}
    if len(ranks) != 1 or 0 in ranks:
        raise ShapeError(f"{context} expected sequences with one number of axes, got shapes {[r.shape for r in rows]}")
    rows = [row[:length] for row in rows]
    sizes = [max(axis) for axis in zip(*(row.shape for row in rows), strict=True)]
    sizes[0] = length if length is not None else -(-sizes[0] // multiple_of) * multiple_of
    # An empty list says nothing of its dtype.
    dtype = np.result_type(*([row.dtype for row in rows if row.size] or [rows[0].dtype]))
    if dtype.kind in "biu" and not (float(value).is_integer() and _fits(int(value), dtype)):
        raise ValueRangeError(f"{context} expected a value that {dtype} holds to pad {dtype} with, got {value!r}")
    made = memory.empty(dtype, (len(rows), *sizes))
    padded = np.empty((len(rows), *sizes), dtype) if made is None else made[1]
    padded.fill(value)
    for place, row in zip(padded, rows, strict=True):
        place[tuple(map(slice, row.shape))] = row
    tensor = asarray(padded) if made is None else made[0]
    return (tensor.astype(dtypes.bfloat16) if narrow else tensor), [row.shape[0] for row in rows]


def _fits(value: int, dtype: Any) -> bool:
    bits = dtype.itemsize * 8 if dtype.kind != "b" else 1
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1)) if dtype.kind == "i" else (0, 2**bits)
    return low <= value < high


def default_convert(data: Any) -> Any:
    """`data` with NumPy arrays and scalars as tensors, and the rest as it is: what a loader with batch_size=None does."""
    if isinstance(data, tuple):
        parts = [default_convert(part) for part in data]
        return type(data)(*parts) if hasattr(data, "_fields") else tuple(parts)
    if isinstance(data, dict):
        return {key: default_convert(value) for key, value in data.items()}
    if isinstance(data, list):
        return [default_convert(value) for value in data]
    if hasattr(data, "__array_interface__") and not isinstance(data, Tensor):
        kind = np.asarray(data).dtype
        return asarray(data) if kind.kind in "biufc" else data
    return data
