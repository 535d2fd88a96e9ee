"""The loader: batches of a data set, in an order that can be resumed at any batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ..base.errors import ArgumentError, ValueRangeError
from .collate import collate as default_collate
from .sampler import RandomSampler, Sampler, SequentialSampler, check_seed

Collate = Callable[[Sequence[Any]], Any]


def fetch(dataset: Any, indices: Sequence[int], collate: Collate | None) -> Any:
    """The batch of samples `indices`. A function of its arguments alone, so that any process may run it."""
    if collate is None:
        if hasattr(dataset, "batch"):
            return dataset.batch(indices)
        collate = default_collate
    return collate([dataset[int(index)] for index in indices])


class DataLoader:
    """Batches of a data set; each `for` over it is one epoch.

    The order of epoch number e depends on the seed and e alone. `state_dict()` says how many batches of which epoch
    have been given out, and after `load_state_dict()` the next `for` goes on from there. Otherwise each `for` begins an
    epoch, also after one that was left with `break`.

    Args:
        dataset: anything with `len` and integer indexing; `batch(indices)`, where it has one, is used for speed.
        batch_size: samples in a batch; the last may have fewer.
        shuffle: a new random order each epoch (default: the data set's own order).
        drop_last: leave out a last batch that is not full.
        seed: of the shuffling.
        collate: makes a batch of a list of samples (default: `twain.data.collate`); `PaddedCollate()` for sequences of
            different lengths.
        sampler: an order of one's own in place of `shuffle` and `seed`.

    Raises:
        ArgumentError: (a TypeError) for a data set without `len` and indexing, or `shuffle` together with `sampler`.
        ValueRangeError: (a ValueError) for a batch size below 1 or a seed out of range.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int = 32,
        *,
        shuffle: bool = False,
        drop_last: bool = False,
        seed: int = 0,
        collate: Collate | None = None,
        sampler: Sampler | None = None,
    ) -> None:
        if not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")):
            raise ArgumentError(
                f"[DataLoader] expected a data set with len() and integer indexing, got {type(dataset).__name__}; "
                "arrays go into ArrayDataset(images, labels)"
            )
        if not isinstance(batch_size, int) or isinstance(batch_size, bool) or batch_size < 1:
            raise ValueRangeError(f"[DataLoader] expected batch_size to be an int of at least 1, got {batch_size!r}")
        if sampler is not None and shuffle:
            raise ArgumentError("[DataLoader] expected either shuffle=True or a sampler, got both")
        check_seed("DataLoader", seed)
        self.dataset = dataset
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.seed = seed
        self.collate = collate
        self.sampler = sampler
        self._epoch = 0
        self._batch = 0
        self._resumed = False
        self._current: _Epoch | None = None

    def __len__(self) -> int:
        """How many batches an epoch has."""
        count = len(self.dataset) if self.sampler is None else len(self.sampler)
        return count // self.batch_size if self.drop_last else -(-count // self.batch_size)

    @property
    def epoch(self) -> int:
        """The number of the epoch under way; between two, that of the next."""
        return self._epoch

    def _order(self, epoch: int) -> Sequence[int]:
        if self.sampler is not None:
            return self.sampler.indices(epoch)
        count = len(self.dataset)
        return (RandomSampler(count, self.seed) if self.shuffle else SequentialSampler(count)).indices(epoch)

    def __iter__(self) -> Iterator[Any]:
        if self._batch and not self._resumed:  # the epoch before was left early
            self._epoch += 1
            self._batch = 0
        self._resumed = False
        self._current = _Epoch(self, self._epoch, self._batch)
        return self._current

    def _given(self, epoch: _Epoch, batch: int, finished: bool) -> None:
        """`epoch` has given out `batch` batches; only the latest epoch moves the loader's position."""
        if epoch is not self._current:
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
            "samples": len(self.dataset),
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
        return (
            f"DataLoader({len(self.dataset)} samples, batch_size={self.batch_size}, shuffle={self.shuffle}, "
            f"drop_last={self.drop_last}, seed={self.seed})"
        )


class _Epoch(Iterator[Any]):
    """One pass over a loader, from batch number `batch` on."""

    def __init__(self, loader: DataLoader, epoch: int, batch: int):
        self._loader = loader
        self._order = loader._order(epoch)
        self._batch = batch
        self._count = len(loader)

    def __len__(self) -> int:
        """How many batches are still to come."""
        return max(self._count - self._batch, 0)

    def __next__(self) -> Any:
        loader = self._loader
        if self._batch >= self._count:
            loader._given(self, self._batch, finished=True)
            raise StopIteration
        begin = self._batch * loader.batch_size
        batch = fetch(loader.dataset, self._order[begin : begin + loader.batch_size], loader.collate)
        self._batch += 1
        loader._given(self, self._batch, finished=False)
        return batch
