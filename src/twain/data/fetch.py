"""Making one batch: what the main process and every worker process run alike.

A batch is a function of (data set, seed, epoch, number of the batch): Python's `random`, `numpy.random` and `twain.random`
are set from these before each batch, so augmentations draw the same numbers for any number of workers, and after
resuming.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

from ..base.errors import WorkerError
from .collate import collate as default_collate
from .collate import default_convert
from .dataset import ArrayDataset, Subset
from .generators import set_generators
from .iterable import split_map

Collate = Callable[[Sequence[Any]], Any]


class WorkerInfo:
    """What `get_worker_info()` says: id (0..num_workers-1), num_workers, seed and dataset."""

    def __init__(self, id: int, num_workers: int, seed: int, dataset: Any):
        self.id = id
        self.num_workers = num_workers
        self.seed = seed
        self.dataset = dataset

    def __repr__(self) -> str:
        return f"WorkerInfo(id={self.id}, num_workers={self.num_workers}, seed={self.seed})"


class _Here:
    """Which worker this process is, and where it is."""

    info: WorkerInfo | None = None
    worker = False  # this process is a worker
    script: str | None = None  # the script that this worker runs again just now
    asked = False  # somebody asked since the stream under way began
    sample: Any = None  # the index being fetched


def get_worker_info() -> WorkerInfo | None:
    """In a worker process which one it is; None in the main process."""
    _Here.asked = True
    return _Here.info


def set_worker(info: WorkerInfo | None = None, script: str | None = None) -> None:
    """This process is a worker: which, and what script it is running again."""
    _Here.worker = True
    _Here.info = info
    _Here.script = script


def in_worker() -> bool:
    return _Here.worker


def check_not_in_worker() -> None:
    """WorkerError in a worker: it can't have workers of its own."""
    if _Here.script is not None:
        raise WorkerError(
            f"[DataLoader] worker processes run {_Here.script} again, as the data set is defined in it, and came to a loop "
            "over a DataLoader with workers there. Put what is only for the main process under a guard:\n\n"
            "    def main():\n        for batch in DataLoader(...):\n            ...\n\n"
            '    if __name__ == "__main__":\n        main()\n\n'
            "or the data set into a file of its own"
        )
    if _Here.worker:
        raise WorkerError(
            "[DataLoader] expected num_workers=0 for a loader in a worker, which can't have workers itself"
        )


def sample_under_way() -> Any:
    """The index of the sample that was being fetched when something went wrong, if one was."""
    return _Here.sample


def draws(dataset: Any, collate: Collate | None) -> bool:
    """Whether making a batch may draw random numbers: not so for plain arrays and views of them."""
    while type(dataset) is Subset:
        dataset = dataset.dataset
    return collate is not None or type(dataset) not in (ArrayDataset, list, tuple, range, str)


class Job:
    """What a loader's batches are made of; travels to workers."""

    def __init__(self, dataset: Any, collate: Collate | None, batch_size: int | None, drop_last: bool, seed: int):
        self.dataset = dataset
        self.collate = collate
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.seed = seed

    def fetch(self, epoch: int, number: int, indices: Any) -> Any:
        """Batch `number` of an epoch, the samples `indices`; one sample as it is where batch_size is None."""
        dataset = self.dataset
        if self.batch_size is None:
            _Here.sample = int(indices)
            sample = dataset[_Here.sample]
            _Here.sample = None
            return (self.collate or default_convert)(sample)
        if self.collate is None and hasattr(dataset, "batch"):
            return dataset.batch(indices)
        samples = []
        for index in indices:
            _Here.sample = index = int(index)
            samples.append(dataset[index])
        _Here.sample = None
        return (self.collate or default_collate)(samples)

    def seeded(self, epoch: int, number: int, indices: Any) -> Any:
        set_generators(self.seed, epoch, number)
        return self.fetch(epoch, number, indices)


END = object()  # a stream has no more batches


class StreamReader:
    """The batches of a stream that worker `worker` of `workers` makes, one at each `read()`, from batch `first` on."""

    def __init__(self, job: Job, epoch: int, first: int, worker: int = 0, workers: int = 1):
        self.job = job
        self.epoch = epoch
        self.step = workers
        self.worker = worker
        self.size = job.batch_size or 1
        self.number = 0  # the batch that the stream stands before
        self.wanted = first + worker
        self.splits = False  # the stream gives each worker another part
        source, self.functions = split_map(job.dataset)
        self.source = source
        self.iterator: Iterator[Any] | None = None

    def read(self) -> Any:
        """The next batch or END."""
        samples: list[Any] = []
        while True:
            # The stream and the functions on it draw apart, so that skipping a batch leaves the stream's draws alone.
            set_generators(self.job.seed, self.epoch, self.number, "stream")
            samples = self._advance()
            if len(samples) < self.size and (self.job.drop_last or not samples):
                return END
            self.number += 1
            if self.splits or self.number > self.wanted:
                break
        self.wanted = self.number - 1 + self.step
        part = (self.worker,) if self.splits else ()
        set_generators(self.job.seed, self.epoch, self.number - 1, *part)
        for number, sample in enumerate(samples):
            for function in self.functions:
                sample = function(sample)
            samples[number] = sample
        if self.job.batch_size is None:
            return (self.job.collate or default_convert)(samples[0])
        return (self.job.collate or default_collate)(samples)

    def _advance(self) -> list[Any]:
        if self.iterator is None:
            _Here.asked = False
            self.iterator = iter(self.source)
        samples = list(islice(self.iterator, self.size))
        if _Here.asked and _Here.info is not None and self.number == 0:
            self.splits = True
        return samples
