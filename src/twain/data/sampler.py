"""The order in which a loader visits a data set: a pure function of the epoch, so that no generator's state is kept."""

from __future__ import annotations

from collections.abc import Sequence

from ..base.errors import ValueRangeError

SEED_LIMIT = 2**64


def check_seed(function: str, seed: int) -> None:
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < SEED_LIMIT:
        raise ValueRangeError(f"[{function}] expected seed to be an int in [0, 2**64), got {seed!r}")


def permutation(count: int, seed: int, epoch: int = 0) -> Sequence[int]:
    """An int64 array: the numbers 0..count-1 in an order that depends on (count, seed, epoch) alone.

    They are sorted by the words of a Philox stream, which NumPy promises never to change (its `permutation` may).
    """
    import numpy as np

    words = np.random.Philox(key=seed, counter=[0, 0, 0, epoch]).random_raw(count)
    return np.argsort(words, kind="stable")  # type: ignore[return-value]


class Sampler:
    """An order of indices for each epoch; subclasses define `__len__` and `indices`."""

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} must define __len__: how many indices an epoch has")

    def indices(self, epoch: int) -> Sequence[int]:
        """The indices of epoch number `epoch`, `len(self)` of them; the same at every call."""
        raise NotImplementedError(f"{type(self).__name__} must define indices(epoch)")


class SequentialSampler(Sampler):
    """0, 1, 2, ... in every epoch."""

    def __init__(self, count: int):
        self.count = count

    def __len__(self) -> int:
        return self.count

    def indices(self, epoch: int) -> Sequence[int]:
        return range(self.count)


class RandomSampler(Sampler):
    """Each index once an epoch, in an order that depends on the seed and the epoch alone."""

    def __init__(self, count: int, seed: int = 0):
        check_seed("RandomSampler", seed)
        self.count = count
        self.seed = seed

    def __len__(self) -> int:
        return self.count

    def indices(self, epoch: int) -> Sequence[int]:
        return permutation(self.count, self.seed, epoch)
