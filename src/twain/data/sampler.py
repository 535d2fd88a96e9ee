"""The order in which a loader visits a data set: a pure function of the epoch, so that no generator's state is kept."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence, Sized
from typing import Any

from ..base.errors import ArgumentError, ValueRangeError
from ..base.lazy import LazyModule

np = LazyModule("numpy")

SEED_LIMIT = 2**64
# Streams of one seed that must not repeat one another's words: the third word of the Philox counter.
_ORDER, _BATCHES, _DRAWS = 0, 1, 2


def check_seed(function: str, seed: int) -> None:
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < SEED_LIMIT:
        raise ValueRangeError(f"[{function}] expected seed to be an int in [0, 2**64), got {seed!r}")


def _words(count: int, seed: int, epoch: int, stream: int = _ORDER) -> Any:
    """`count` random words (uint64) of the Philox generator, which NumPy promises never to change."""
    return np.random.Philox(key=seed, counter=[0, 0, stream, epoch]).random_raw(count)


def _uniform(count: int, seed: int, epoch: int) -> Any:
    """float64 in (0, 1)."""
    return ((_words(count, seed, epoch, _DRAWS) >> 11) + 0.5) * 2.0**-53


def permutation(count: int, seed: int, epoch: int = 0, stream: int = _ORDER) -> Sequence[int]:
    """An int64 array: the numbers 0..count-1 in an order that depends on (count, seed, epoch) alone.

    They are sorted by the words of a Philox stream (NumPy's own `permutation` may change).
    """
    return np.argsort(_words(count, seed, epoch, stream), kind="stable")


def _count(function: str, data: Any) -> int:
    """How many samples there are: an int, or the length of a data set."""
    count = len(data) if isinstance(data, Sized) else data
    if not isinstance(count, int) or isinstance(count, bool) or count < 0:
        raise ArgumentError(f"[{function}] expected a data set with len() or a number of samples, got {data!r:.80}")
    return count


def _positive(function: str, name: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueRangeError(f"[{function}] expected {name} to be an int of at least 1, got {value!r}")
    return value


class Sampler:
    """An order of indices for each epoch; subclasses define `__len__` and `indices`."""

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} must define __len__: how many indices an epoch has")

    def indices(self, epoch: int) -> Sequence[int]:
        """The indices of epoch number `epoch`, `len(self)` of them; the same at every call."""
        raise NotImplementedError(f"{type(self).__name__} must define indices(epoch)")

    def __iter__(self) -> Iterator[int]:
        """The indices of epoch 0."""
        return iter([int(index) for index in self.indices(0)])


class SequentialSampler(Sampler):
    """0, 1, 2, ... in every epoch. `data` is a data set or its length."""

    def __init__(self, data: Any):
        self.count = _count("SequentialSampler", data)

    def __len__(self) -> int:
        return self.count

    def indices(self, epoch: int) -> Sequence[int]:
        return range(self.count)


class RandomSampler(Sampler):
    """Indices in an order that depends on the seed and the epoch alone: by default each once an epoch.

    Args:
        data: a data set or its length.
        replacement: draw each index independently; it may come several times or not at all.
        num_samples: indices in an epoch (default: as many as the data set has samples). Without replacement, more than
            that go through the data set several times, each time in another order.
    """

    def __init__(self, data: Any, seed: int = 0, *, replacement: bool = False, num_samples: int | None = None):
        check_seed("RandomSampler", seed)
        self.count = _count("RandomSampler", data)
        self.seed = seed
        self.replacement = replacement
        self.num_samples = (
            num_samples if num_samples is None else _positive("RandomSampler", "num_samples", num_samples)
        )
        if self.count == 0 and num_samples is not None:
            raise ValueRangeError(f"[RandomSampler] expected samples to draw {num_samples} from, got an empty data set")

    def __len__(self) -> int:
        return self.count if self.num_samples is None else self.num_samples

    def indices(self, epoch: int) -> Sequence[int]:
        wanted = len(self)
        if self.replacement:
            return (_uniform(wanted, self.seed, epoch) * self.count).astype(np.int64)
        if wanted <= self.count:
            return permutation(self.count, self.seed, epoch)[:wanted]
        rounds = -(-wanted // self.count)
        # Rounds beyond the first take streams that no other draw of this seed uses.
        orders = [permutation(self.count, self.seed, epoch, turn and turn + _DRAWS) for turn in range(rounds)]
        return np.concatenate(orders)[:wanted]


class SubsetRandomSampler(Sampler):
    """The given indices, each once an epoch, in a random order."""

    def __init__(self, indices: Sequence[int], seed: int = 0):
        check_seed("SubsetRandomSampler", seed)
        self.subset = [int(index) for index in indices]
        self.seed = seed

    def __len__(self) -> int:
        return len(self.subset)

    def indices(self, epoch: int) -> Sequence[int]:
        order = permutation(len(self.subset), self.seed, epoch)
        return np.asarray(self.subset, np.int64)[order]


class WeightedRandomSampler(Sampler):
    """Indices drawn with a probability proportional to their weight: for classes that are rare.

    Args:
        weights: a number of at least 0 for each sample, in the data set's order; they needn't add up to 1.
        num_samples: indices in an epoch.
        replacement: without it, no index comes twice in an epoch (Efraimidis and Spirakis, "Weighted random sampling with
            a reservoir", 2006).

    Raises:
        ValueRangeError: (a ValueError) for weights that are negative, not finite or all 0, or fewer positive ones than
            samples wanted without replacement.
    """

    def __init__(self, weights: Any, num_samples: int, replacement: bool = True, seed: int = 0):
        check_seed("WeightedRandomSampler", seed)
        self.weights = np.asarray(weights, np.float64)
        if self.weights.ndim != 1 or not np.isfinite(self.weights).all() or (self.weights < 0).any():
            raise ValueRangeError("[WeightedRandomSampler] expected one finite weight of at least 0 for each sample")
        positive = int((self.weights > 0).sum())
        self.num_samples = _positive("WeightedRandomSampler", "num_samples", num_samples)
        if positive < (1 if replacement else num_samples):
            raise ValueRangeError(
                f"[WeightedRandomSampler] expected at least {1 if replacement else num_samples} positive weights for "
                f"{num_samples} samples {'with' if replacement else 'without'} replacement, got {positive}"
            )
        self.replacement = replacement
        self.seed = seed

    def __len__(self) -> int:
        return self.num_samples

    def indices(self, epoch: int) -> Sequence[int]:
        if self.replacement:
            ends = np.cumsum(self.weights)
            found = np.searchsorted(ends, _uniform(self.num_samples, self.seed, epoch) * ends[-1], side="right")
            return np.minimum(found, np.flatnonzero(self.weights)[-1])
        with np.errstate(divide="ignore"):
            waiting = -np.log(_uniform(len(self.weights), self.seed, epoch)) / self.weights
        return np.argsort(waiting, kind="stable")[: self.num_samples]


class DistributedSampler(Sampler):
    """The part of process `rank` of `num_replicas` that train together: every num_replicas-th index of one order.

    All parts have the same length: without `drop_last` the first indices come again to fill the last round.

    Args:
        data: a data set, its length, or a sampler whose order is shared out.
        shuffle, seed: as the loader's, and the same in all processes; not with a sampler.
    """

    def __init__(
        self,
        data: Any,
        num_replicas: int,
        rank: int,
        *,
        shuffle: bool = True,
        seed: int = 0,
        drop_last: bool = False,
    ):
        _positive("DistributedSampler", "num_replicas", num_replicas)
        if not isinstance(rank, int) or not 0 <= rank < num_replicas:
            raise ValueRangeError(f"[DistributedSampler] expected rank in [0, {num_replicas}), got {rank!r}")
        if isinstance(data, Sampler):
            self.sampler: Sampler = data
        else:
            self.sampler = RandomSampler(data, seed) if shuffle else SequentialSampler(data)
        self.num_replicas = num_replicas
        self.rank = rank
        self.drop_last = drop_last

    def __len__(self) -> int:
        count = len(self.sampler)
        return count // self.num_replicas if self.drop_last else -(-count // self.num_replicas)

    def indices(self, epoch: int) -> Sequence[int]:
        order = np.asarray(self.sampler.indices(epoch), np.int64)
        return np.resize(order, len(self) * self.num_replicas)[self.rank :: self.num_replicas]


class BatchSampler:
    """Batches of indices for each epoch, in place of a batch size; subclasses define `__len__` and `batches`.

    By itself: the batches of a sampler's order.
    """

    def __init__(self, sampler: Any, batch_size: int, drop_last: bool = False):
        self.sampler = as_sampler(sampler)
        self.batch_size = _positive("BatchSampler", "batch_size", batch_size)
        self.drop_last = drop_last

    def __len__(self) -> int:
        count = len(self.sampler)
        return count // self.batch_size if self.drop_last else -(-count // self.batch_size)

    def batches(self, epoch: int) -> Sequence[Sequence[int]]:
        """The batches of epoch number `epoch`, `len(self)` of them; the same at every call."""
        return Cut(self.sampler.indices(epoch), self.batch_size, len(self))

    def __iter__(self) -> Iterator[list[int]]:
        """The batches of epoch 0."""
        return iter([[int(index) for index in batch] for batch in self.batches(0)])


class LengthBucketSampler(BatchSampler):
    """Batches of samples of similar length, so that little is padding and a compiled step sees few shapes.

    With `PaddedCollate(buckets=...)` of the same bounds, every batch of a bucket has one shape (but for its last one).

    Args:
        lengths: the length of each sample, in the data set's order.
        buckets: upper bounds, ascending; a sample goes into the first bucket that holds it. Longer ones are refused.
        batch_size: samples in a batch, or one number for each bucket (fewer for long ones).
        shuffle: batches and their samples in a new order each epoch; else the data set's order within each bucket.
        drop_last: leave out batches that are not full.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        buckets: Sequence[int],
        batch_size: int | Sequence[int],
        *,
        shuffle: bool = True,
        seed: int = 0,
        drop_last: bool = False,
    ):
        check_seed("LengthBucketSampler", seed)
        self.buckets = check_buckets("LengthBucketSampler", buckets)
        sizes = [batch_size] * len(self.buckets) if isinstance(batch_size, int) else list(batch_size)
        if len(sizes) != len(self.buckets):
            raise ArgumentError(
                f"[LengthBucketSampler] expected a batch size for each of {len(self.buckets)} buckets, got {len(sizes)}"
            )
        self.sizes = [_positive("LengthBucketSampler", "batch_size", size) for size in sizes]
        members: list[list[int]] = [[] for _ in self.buckets]
        for index, length in enumerate(lengths):
            bucket = bisect_left(self.buckets, length)
            if bucket == len(self.buckets):
                raise ValueRangeError(
                    f"[LengthBucketSampler] expected lengths of at most {self.buckets[-1]}, the last bucket's bound, "
                    f"got {length} for sample {index}"
                )
            members[bucket].append(index)
        self.members = [np.asarray(group, np.int64) for group in members]
        self.shuffle = shuffle
        self.seed = seed
        self.drop_last = drop_last

    def __len__(self) -> int:
        pairs = zip(self.members, self.sizes, strict=True)
        return sum(len(group) // size if self.drop_last else -(-len(group) // size) for group, size in pairs)

    def batches(self, epoch: int) -> Sequence[Sequence[int]]:
        made: list[Sequence[int]] = []
        shares = None
        if self.shuffle:  # one order of all samples; each bucket's is the part of it that lies there
            shares = np.argsort(permutation(sum(map(len, self.members)), self.seed, epoch))
        begin = 0
        for group, size in zip(self.members, self.sizes, strict=True):
            order = group
            if shares is not None:
                order = group[np.argsort(shares[begin : begin + len(group)])]
                begin += len(group)
            ends = len(order) - len(order) % size if self.drop_last else len(order)
            made += [order[first : first + size] for first in range(0, ends, size)]
        if not self.shuffle:
            return made
        return [made[number] for number in permutation(len(made), self.seed, epoch, _BATCHES)]


class Cut(Sequence[Sequence[int]]):
    """An order of indices, cut into `count` batches of one size (the last may be shorter)."""

    def __init__(self, order: Sequence[int], size: int, count: int):
        self.order = order
        self.size = size
        self.length = count

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, number: Any) -> Any:
        if not 0 <= number < self.length:
            raise IndexError(number)
        return self.order[number * self.size : (number + 1) * self.size]


class _Listed(Sampler):
    """Indices that somebody iterates over, such as a list or a sampler in PyTorch's manner."""

    def __init__(self, source: Any):
        self.source = source

    def __len__(self) -> int:
        return len(self.source)

    def indices(self, epoch: int) -> Sequence[int]:
        if hasattr(self.source, "set_epoch"):
            self.source.set_epoch(epoch)
        return [int(index) for index in self.source]


class _ListedBatches(BatchSampler):
    """Batches that somebody iterates over."""

    def __init__(self, source: Any):
        self.source = source

    def __len__(self) -> int:
        return len(self.source)

    def batches(self, epoch: int) -> Sequence[Sequence[int]]:
        if hasattr(self.source, "set_epoch"):
            self.source.set_epoch(epoch)
        return [list(batch) for batch in self.source]


def as_sampler(sampler: Any) -> Any:
    """`sampler` with `indices(epoch)`: itself, or around a list of indices or anything to be iterated over anew."""
    if hasattr(sampler, "indices") and not isinstance(sampler, range):
        return sampler
    return _Listed(_anew("sampler", sampler))


def as_batch_sampler(sampler: Any) -> BatchSampler:
    """As `as_sampler`, for batches of indices."""
    return sampler if hasattr(sampler, "batches") else _ListedBatches(_anew("batch_sampler", sampler))


def _anew(name: str, source: Any) -> Any:
    if not (hasattr(source, "__len__") and hasattr(source, "__iter__")):
        raise ArgumentError(
            f"[DataLoader] expected {name} to be a twain.data sampler, or to have len() and be iterable anew each epoch, "
            f"got {type(source).__name__}"
        )
    return source


def check_buckets(function: str, buckets: Sequence[int]) -> list[int]:
    bounds = list(buckets)
    if not bounds or any(not isinstance(b, int) or b < 1 for b in bounds) or sorted(set(bounds)) != bounds:
        raise ValueRangeError(f"[{function}] expected buckets to be ascending bounds of at least 1, got {buckets!r}")
    return bounds
