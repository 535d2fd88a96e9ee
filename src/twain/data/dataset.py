"""Data sets: anything with `len(dataset)` and `dataset[i]`. A list will do; these add views and fast batches."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from numbers import Integral
from typing import Any

from .. import _core
from ..base.errors import ArgumentError, IndexingError, ShapeError, ValueRangeError
from ..tensor import asarray
from . import memory
from .sampler import check_seed, permutation

Tensor = _core.Tensor


class Dataset:
    """A sequence of samples; subclasses define `__len__` and `__getitem__`.

    A subclass may also define `batch(indices)`, which gives the collated batch of those samples at once: a loader with
    the default collation then uses it instead of fetching sample by sample.
    """

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} must define __len__: how many samples it has")

    def __getitem__(self, index: int) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must define __getitem__(index): sample number index")

    def map(self, function: Callable[[Any], Any]) -> MappedDataset:
        """The data set of `function(sample)`, computed when a sample is asked for."""
        return MappedDataset(self, function)

    def __add__(self, other: Any) -> ConcatDataset:
        return ConcatDataset([self, other])


def _position(function: str, index: int, count: int) -> int:
    if not isinstance(index, Integral):
        raise IndexingError(f"[{function}] expected an integer index, got {type(index).__name__}")
    index = int(index)
    if not -count <= index < count:
        raise IndexingError(f"[{function}] expected an index below {count}, got {index}")
    return index % count


class ArrayDataset(Dataset):
    """Arrays with a common first axis; sample i is the tuple of their rows i.

    Takes tensors, NumPy arrays (memory-mapped ones stay on disk until a batch is asked for) and lists of numbers.

    Raises:
        ShapeError: (a ValueError) when an array has no axis or the first axes differ in length.
    """

    def __init__(self, *arrays: Any):
        if not arrays:
            raise ArgumentError("[ArrayDataset] expected at least one array, got none")
        kept = [rows if hasattr(rows, "shape") and hasattr(rows, "dtype") else asarray(rows) for rows in arrays]
        shapes = [tuple(rows.shape) for rows in kept]
        if any(not shape or shape[0] != shapes[0][0] for shape in shapes):
            raise ShapeError(f"[ArrayDataset] expected arrays of one length along axis 0, got shapes {shapes}")
        self.arrays = tuple(kept)

    def __len__(self) -> int:
        return self.arrays[0].shape[0]

    def __getitem__(self, index: int) -> tuple[Tensor, ...]:
        position = _position("ArrayDataset", index, len(self))
        return tuple(_as_tensor(rows[position]) for rows in self.arrays)

    def batch(self, indices: Sequence[int]) -> tuple[Tensor, ...]:
        """The rows `indices` of each array, stacked."""
        if isinstance(indices, range) and indices.step == 1 and all(isinstance(rows, Tensor) for rows in self.arrays):
            return tuple(rows[indices.start : indices.stop] for rows in self.arrays)  # nothing is copied
        if getattr(indices, "dtype", None) != "int64":
            indices = array("q", indices)
        return tuple(memory.picked(rows, indices) for rows in self.arrays)


TensorDataset = ArrayDataset


def _as_tensor(rows: Any) -> Tensor:
    return rows if isinstance(rows, Tensor) else asarray(rows)


class Subset(Dataset):
    """The samples `indices` of `dataset`, in that order."""

    def __init__(self, dataset: Any, indices: Sequence[int]):
        self.dataset = dataset
        self.indices = [_position("Subset", index, len(dataset)) for index in indices]

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Any:
        return self.dataset[self.indices[_position("Subset", index, len(self))]]

    def __getattr__(self, name: str) -> Any:
        # `batch` exists where the whole data set has it.
        if name == "batch" and hasattr(self.dataset, "batch"):
            return self._batch
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def _batch(self, indices: Sequence[int]) -> Any:
        return self.dataset.batch([self.indices[index] for index in indices])


class MappedDataset(Dataset):
    """`function(sample)` for each sample of `dataset`."""

    def __init__(self, dataset: Any, function: Callable[[Any], Any]):
        self.dataset = dataset
        self.function = function

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        return self.function(self.dataset[_position("MappedDataset", index, len(self))])


class ConcatDataset(Dataset):
    """Data sets one after the other."""

    def __init__(self, datasets: Sequence[Any]):
        if not datasets:
            raise ArgumentError("[ConcatDataset] expected at least one data set, got none")
        self.datasets = list(datasets)
        self._ends = list(accumulate(map(len, self.datasets)))

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, index: int) -> Any:
        position = _position("ConcatDataset", index, len(self))
        number = bisect_right(self._ends, position)
        return self.datasets[number][position - (self._ends[number - 1] if number else 0)]


class StackDataset(Dataset):
    """Data sets of one length side by side: sample i is the tuple of their samples i, or a dictionary by keyword.

    >>> StackDataset(images, labels)[0]  # (image, label)
    >>> StackDataset(image=images, text=captions)[0]  # {"image": ..., "text": ...}
    """

    def __init__(self, *datasets: Any, **named: Any):
        if bool(datasets) == bool(named):
            raise ArgumentError("[StackDataset] expected data sets either by position or by keyword")
        self.datasets: tuple[Any, ...] | dict[str, Any] = datasets or named
        lengths = [len(dataset) for dataset in (datasets or named.values())]
        if len(set(lengths)) > 1:
            raise ShapeError(f"[StackDataset] expected data sets of one length, got lengths {lengths}")
        self._length = lengths[0]

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> Any:
        position = _position("StackDataset", index, len(self))
        if isinstance(self.datasets, Mapping):
            return {name: dataset[position] for name, dataset in self.datasets.items()}
        return tuple(dataset[position] for dataset in self.datasets)


def random_split(dataset: Any, sizes: Sequence[int] | Sequence[float], *, seed: int = 0) -> list[Subset]:
    """Disjoint random parts of `dataset`, the same for the same seed on every machine.

    Args:
        sizes: numbers of samples that add up to `len(dataset)`, or fractions that add up to 1 (then each part gets the
            floor of its share, and what is left over goes to the first parts, one each).

    Raises:
        ValueRangeError: (a ValueError) for sizes that don't add up.
    """
    check_seed("random_split", seed)
    count = len(dataset)
    counts: list[Any] = list(sizes)
    if counts and not all(isinstance(size, Integral) for size in counts):
        if any(not 0 <= size <= 1 for size in counts) or abs(sum(counts) - 1) > 1e-6:
            raise ValueRangeError(f"[random_split] expected fractions that add up to 1, got {sizes!r}")
        counts = [int(count * size) for size in counts]
        for i in range(count - sum(counts)):
            counts[i % len(counts)] += 1
    if any(size < 0 for size in counts) or sum(counts) != count:
        raise ValueRangeError(f"[random_split] expected sizes that add up to the {count} samples, got {sizes!r}")
    order = [int(index) for index in permutation(count, seed)]
    ends = list(accumulate(counts))
    return [Subset(dataset, order[end - size : end]) for size, end in zip(counts, ends, strict=True)]
