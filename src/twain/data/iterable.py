"""Data sets that are streams: samples one after the other, without a position."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any

from ..base.errors import ArgumentError


class IterableDataset:
    """A stream of samples; subclasses define `__iter__`, which begins anew each time.

    With worker processes each worker reads the stream and keeps only the batches that are its own, so the order is the
    same for any number of workers. Put the dear work into `map`: its function runs for kept samples alone. A stream that
    asks `get_worker_info()` splits itself, as in PyTorch: then each worker's samples are all taken, and the order depends
    on the number of workers.
    """

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError(f"{type(self).__name__} must define __iter__: the samples, one after the other")

    def map(self, function: Callable[[Any], Any]) -> MappedIterable:
        """The stream of `function(sample)`."""
        return MappedIterable(self, function)

    def filter(self, keep: Callable[[Any], bool]) -> FilteredIterable:
        """The stream of the samples that `keep(sample)` is true for."""
        return FilteredIterable(self, keep)

    def __add__(self, other: Any) -> ChainDataset:
        return ChainDataset([self, other])


class MappedIterable(IterableDataset):
    """`function(sample)` for each sample of a stream."""

    def __init__(self, dataset: Iterable[Any], function: Callable[[Any], Any]):
        self.dataset = dataset
        self.function = function

    def __iter__(self) -> Iterator[Any]:
        return map(self.function, self.dataset)

    def __len__(self) -> int:
        return len(self.dataset)  # type: ignore[arg-type]


class FilteredIterable(IterableDataset):
    """The samples of a stream that a function is true for."""

    def __init__(self, dataset: Iterable[Any], keep: Callable[[Any], bool]):
        self.dataset = dataset
        self.keep = keep

    def __iter__(self) -> Iterator[Any]:
        return filter(self.keep, self.dataset)


class ChainDataset(IterableDataset):
    """Streams one after the other."""

    def __init__(self, datasets: Iterable[Any]):
        self.datasets = list(datasets)
        if not self.datasets:
            raise ArgumentError("[ChainDataset] expected at least one data set, got none")

    def __iter__(self) -> Iterator[Any]:
        return chain.from_iterable(self.datasets)

    def __len__(self) -> int:
        return sum(map(len, self.datasets))


class GeneratorDataset(IterableDataset):
    """The stream that `function(*arguments)` gives, called anew for each epoch: a generator function, for example."""

    def __init__(self, function: Callable[..., Iterable[Any]], *arguments: Any):
        if not callable(function):
            raise ArgumentError(
                f"[GeneratorDataset] expected a generator function, got {type(function).__name__}; give the function "
                "itself and not what it returned: a generator can be read only once"
            )
        self.function = function
        self.arguments = arguments

    def __iter__(self) -> Iterator[Any]:
        return iter(self.function(*self.arguments))


def is_stream(dataset: Any) -> bool:
    """Whether `dataset` is read from its beginning, and not by position."""
    return isinstance(dataset, IterableDataset) or (
        hasattr(dataset, "__iter__") and not hasattr(dataset, "__getitem__")
    )


def split_map(dataset: Any) -> tuple[Any, list[Callable[[Any], Any]]]:
    """(the stream below, the functions that `map` put on it, in their order): so that skipped samples cost nothing."""
    functions: list[Callable[[Any], Any]] = []
    while isinstance(dataset, MappedIterable):
        functions.append(dataset.function)
        dataset = dataset.dataset
    return dataset, functions[::-1]
