"""The loader: batches of a data set, in an order that can be resumed at any batch."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ..base.errors import ArgumentError, ValueRangeError, WorkerError
from .fetch import END, Collate, Job, StreamReader, check_not_in_worker, draws, in_worker
from .generators import kept_generators
from .iterable import is_stream
from .sampler import BatchSampler, Cut, RandomSampler, SequentialSampler, as_batch_sampler, as_sampler, check_seed
from .workers import Pool, close_with, server


class DataLoader:
    """Batches of a data set; each `for` over it is one epoch.

    The order of epoch number e depends on the seed and e alone, and so do random numbers drawn while a batch is made
    (Python's `random`, `numpy.random`, `twain.random`): batches are the same for any number of workers. `state_dict()`
    says how many batches of which epoch have been given out, and after `load_state_dict()` the next `for` goes on from
    there. Otherwise each `for` begins an epoch, also after one that was left with `break`.

    With `num_workers`, batches are made ahead by processes of their own and come over shared memory. What workers need
    (data set, collate) is pickled; arrays in it are shared by all workers, memory-mapped ones are mapped again. A script
    whose own classes are in the data set is run again by workers, so what starts training there belongs under
    `if __name__ == "__main__":`.

    Args:
        dataset: anything with `len` and integer indexing (`batch(indices)`, where it has one, is used for speed), or a
            stream: an `IterableDataset` or anything that can be iterated over anew.
        batch_size: samples in a batch; the last may have fewer. None gives single samples, arrays as tensors.
        shuffle: a new random order each epoch (default: the data set's own order).
        drop_last: leave out a last batch that is not full.
        seed: of the shuffling and of random numbers drawn while batches are made.
        collate: makes a batch of a list of samples (default: `twain.data.collate`); `PaddedCollate()` for sequences of
            different lengths. `collate_fn` is PyTorch's name for it.
        sampler: an order of one's own in place of `shuffle`; batch_sampler: batches of one's own.
        num_workers: worker processes; 0 makes batches in this one when they are asked for.
        prefetch_factor: batches that each worker makes ahead.
        persistent_workers: keep the workers between epochs; changes to the data set are then not seen by them.
        timeout: seconds to wait for a batch from workers before a WorkerError; 0 waits for as long as it takes.
        worker_init_fn: called with the worker's number in each worker when it starts.

    Raises:
        ArgumentError: (a TypeError) for something that is no data set, arguments that exclude each other, or a data set
            that can't be pickled for workers (names the attribute).
        ValueRangeError: (a ValueError) for a batch size below 1 or a seed out of range.
        WorkerError: (a RuntimeError) when a worker dies or gives no batch in time. An exception that the data set raises
            in a worker comes as itself, the worker's traceback above it.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 32,
        *,
        shuffle: bool = False,
        drop_last: bool = False,
        seed: int = 0,
        collate: Collate | None = None,
        sampler: Any = None,
        batch_sampler: Any = None,
        num_workers: int = 0,
        prefetch_factor: int = 2,
        persistent_workers: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], Any] | None = None,
        collate_fn: Collate | None = None,
    ) -> None:
        self.stream = is_stream(dataset)
        if not self.stream and not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")):
            raise ArgumentError(
                f"[DataLoader] expected a data set with len() and integer indexing, got {type(dataset).__name__}; "
                "arrays go into ArrayDataset(images, labels)"
            )
        if hasattr(dataset, "__next__"):
            raise ArgumentError(
                f"[DataLoader] expected a data set with len() and integer indexing, or a stream that can be read anew each "
                f"epoch, got {type(dataset).__name__}, which can be read once; GeneratorDataset(function) takes the "
                "function that makes it"
            )
        if batch_size is not None and (
            not isinstance(batch_size, int) or isinstance(batch_size, bool) or batch_size < 1
        ):
            raise ValueRangeError(f"[DataLoader] expected batch_size to be an int of at least 1, got {batch_size!r}")
        if sampler is not None and shuffle:
            raise ArgumentError("[DataLoader] expected either shuffle=True or a sampler, got both")
        if batch_sampler is not None and (shuffle or drop_last or sampler is not None):
            raise ArgumentError("[DataLoader] expected batch_sampler without shuffle, sampler and drop_last")
        if self.stream and (shuffle or sampler is not None or batch_sampler is not None):
            raise ArgumentError(
                f"[DataLoader] expected no shuffle or sampler with the stream {type(dataset).__name__}, whose order is its own"
            )
        if collate is not None and collate_fn is not None:
            raise ArgumentError("[DataLoader] expected collate or collate_fn, got both")
        for name, value, least in (("num_workers", num_workers, 0), ("prefetch_factor", prefetch_factor, 1)):
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ValueRangeError(f"[DataLoader] expected {name} to be an int of at least {least}, got {value!r}")
        if not timeout >= 0:
            raise ValueRangeError(f"[DataLoader] expected timeout of at least 0 seconds, got {timeout!r}")
        if num_workers and not hasattr(os, "fork"):
            raise WorkerError("[DataLoader] worker processes need a POSIX system; use num_workers=0 here")
        check_seed("DataLoader", seed)
        self.dataset = dataset
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.seed = seed
        self.collate = collate if collate is not None else collate_fn
        self.sampler = None if sampler is None else as_sampler(sampler)
        self.batch_sampler: BatchSampler | None = None if batch_sampler is None else as_batch_sampler(batch_sampler)
        self.num_workers = num_workers
        self.prefetch_factor = prefetch_factor
        self.persistent_workers = persistent_workers
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        self._epoch = 0
        self._batch = 0
        self._resumed = False
        self._current: weakref.ref[_Epoch] | None = None  # weak: workers end when nobody iterates any more
        self._pool: Pool | None = None
        if num_workers and not in_worker():
            server()  # it starts while the program goes on

    def __len__(self) -> int:
        """How many batches an epoch has; TypeError for a stream that doesn't say how long it is."""
        if self.batch_sampler is not None:
            return len(self.batch_sampler)
        if self.stream and not hasattr(self.dataset, "__len__"):
            raise TypeError(f"[DataLoader] the stream {type(self.dataset).__name__} has no len()")
        count = len(self.dataset) if self.sampler is None else len(self.sampler)
        size = self.batch_size or 1
        return count // size if self.drop_last else -(-count // size)

    @property
    def epoch(self) -> int:
        """The number of the epoch under way; between two, that of the next."""
        return self._epoch

    def _batches(self, epoch: int) -> Sequence[Any]:
        """The indices of each batch of an epoch."""
        if self.batch_sampler is not None:
            return self.batch_sampler.batches(epoch)
        sampler = self.sampler
        if sampler is None:
            count = len(self.dataset)
            sampler = RandomSampler(count, self.seed) if self.shuffle else SequentialSampler(count)
        order = sampler.indices(epoch)
        return order if self.batch_size is None else Cut(order, self.batch_size, len(self))

    def _workers(self) -> Pool:
        """The pool for an epoch."""
        if self._pool is not None and self._pool.workers:
            return self._pool
        check_not_in_worker()
        job = Job(self.dataset, self.collate, self.batch_size, self.drop_last, self.seed)
        pool = Pool(job, self.num_workers, self.prefetch_factor, self.timeout, self.worker_init_fn)
        if self.persistent_workers:
            self._pool = pool
            close_with(self, pool)
        return pool

    def __iter__(self) -> Iterator[Any]:
        if self._batch and not self._resumed:  # the epoch before was left early
            self._epoch += 1
            self._batch = 0
        self._resumed = False
        epoch = _Epoch(self, self._epoch, self._batch)
        self._current = weakref.ref(epoch)
        return epoch

    def _given(self, epoch: _Epoch, batch: int, finished: bool) -> None:
        """`epoch` has given out `batch` batches; only the latest epoch moves the loader's position."""
        if self._current is None or self._current() is not epoch:
            return
        if finished:
            self._epoch += 1
            self._batch = 0
            self._current = None
        else:
            self._batch = batch

    def state_dict(self) -> dict[str, Any]:
        """The position (epoch, batches given out) and what it depends on; plain numbers."""
        return {
            "epoch": self._epoch,
            "batch": self._batch,
            "seed": self.seed,
            "shuffle": self.shuffle,
            "batch_size": self.batch_size,
            "drop_last": self.drop_last,
            "samples": None if self.stream else len(self.dataset),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over the position and the seed: the next `for` gives the batches that were still to come.

        Raises:
            ArgumentError: (a TypeError) when `state` is not from `state_dict()`.
            ValueRangeError: (a ValueError) when the position is within an epoch and this loader cuts its epochs in
                another way (another batch size, data set length, ...): the rest of that epoch would not be the same.
        """
        own = self.state_dict()
        if not isinstance(state, dict) or state.keys() != own.keys():
            raise ArgumentError(f"[DataLoader.load_state_dict] expected keys {list(own)}, got {state!r:.200}")
        check_seed("DataLoader.load_state_dict", state["seed"])
        for name in ("epoch", "batch"):
            if not isinstance(state[name], int) or isinstance(state[name], bool) or state[name] < 0:
                raise ValueRangeError(
                    f"[DataLoader.load_state_dict] expected {name} to be an int of at least 0, got {state[name]!r}"
                )
        if state["batch"]:
            for name in ("shuffle", "batch_size", "drop_last", "samples"):
                if state[name] != own[name]:
                    raise ValueRangeError(
                        f"[DataLoader.load_state_dict] expected {name}={state[name]} as where the state was saved "
                        f"(in the middle of an epoch), got {name}={own[name]}"
                    )
        self.seed = state["seed"]
        self._epoch = state["epoch"]
        self._batch = state["batch"]
        self._resumed = True
        self._current = None

    def __repr__(self) -> str:
        samples = "a stream" if self.stream else f"{len(self.dataset)} samples"
        workers = f", num_workers={self.num_workers}" if self.num_workers else ""
        return (
            f"DataLoader({samples}, batch_size={self.batch_size}, shuffle={self.shuffle}, "
            f"drop_last={self.drop_last}, seed={self.seed}{workers})"
        )


class _Epoch(Iterator[Any]):
    """One pass over a loader, from batch number `batch` on."""

    def __init__(self, loader: DataLoader, epoch: int, batch: int):
        self._loader = loader
        self._number = epoch
        self._batch = batch
        self._batches = None if loader.stream else loader._batches(epoch)
        self._job = Job(loader.dataset, loader.collate, loader.batch_size, loader.drop_last, loader.seed)
        self._draws = draws(loader.dataset, loader.collate)
        self._reader: StreamReader | None = None
        self._pool: Pool | None = None
        self._over = False
        if loader.num_workers:
            self._pool = pool = loader._workers()
            if not loader.persistent_workers:
                close_with(self, pool)
            pool.begin(epoch, batch, self._batches)
            self._turn = pool.turn

    def __len__(self) -> int:
        """How many batches are still to come."""
        return max((len(self._loader) if self._batches is None else len(self._batches)) - self._batch, 0)

    def __next__(self) -> Any:
        loader = self._loader
        batch = END if self._over else self._make()
        if batch is END:
            if not self._over:
                self._over = True
                self._leave(close=not loader.persistent_workers)
                loader._given(self, self._batch, finished=True)
            raise StopIteration
        self._batch += 1
        loader._given(self, self._batch, finished=False)
        return batch

    def _make(self) -> Any:
        if self._pool is not None:
            if self._pool.turn != self._turn:
                raise WorkerError(
                    "[DataLoader] this pass over the loader ended when a later one began: persistent workers serve one at "
                    "a time"
                )
            try:
                return self._pool.next()
            except BaseException:
                self._over = True
                self._leave(close=True)
                raise
        if self._batches is None:
            with kept_generators():
                if self._reader is None:
                    self._reader = StreamReader(self._job, self._number, self._batch)
                return self._reader.read()
        if self._batch >= len(self._batches):
            return END
        indices = self._batches[self._batch]
        if not self._draws:
            return self._job.fetch(self._number, self._batch, indices)
        with kept_generators():
            return self._job.seeded(self._number, self._batch, indices)

    def _leave(self, close: bool) -> None:
        pool, self._pool = self._pool, None
        if pool is not None and close:
            pool.close()
