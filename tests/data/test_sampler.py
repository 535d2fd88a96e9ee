"""Orders: a function of seed and epoch, and what each promises."""

import numpy as np
import pytest

from twain.data import (
    BatchSampler,
    DataLoader,
    DistributedSampler,
    LengthBucketSampler,
    PaddedCollate,
    RandomSampler,
    SequentialSampler,
    StackDataset,
    SubsetRandomSampler,
    WeightedRandomSampler,
    default_convert,
)


def listed(sampler, epoch=0):
    found = [int(index) for index in sampler.indices(epoch)]
    assert len(found) == len(sampler) and found == [int(index) for index in sampler.indices(epoch)]
    return found


def test_random_orders():
    assert listed(SequentialSampler("abc")) == list(SequentialSampler(3)) == [0, 1, 2]
    assert sorted(listed(RandomSampler(range(9), 1))) == list(range(9))
    long = listed(RandomSampler(4, num_samples=10))
    assert sorted(long[:4]) == sorted(long[4:8]) == [0, 1, 2, 3] and long[:4] != long[4:8]
    assert listed(RandomSampler(4, num_samples=2)) == listed(RandomSampler(4))[:2]
    drawn = listed(RandomSampler(10, seed=4, replacement=True, num_samples=5000))
    counts = np.bincount(drawn, minlength=10)
    assert len(counts) == 10 and counts.min() > 400 and counts.max() < 600
    assert drawn != listed(RandomSampler(10, seed=4, replacement=True, num_samples=5000), 1)
    subset = SubsetRandomSampler([7, 7, 3, 5])
    assert sorted(listed(subset)) == [3, 5, 7, 7] and any(listed(subset, e) != listed(subset) for e in range(1, 5))


def test_weights():
    counts = np.bincount(listed(WeightedRandomSampler([1, 0, 3], 4000)), minlength=3)
    assert counts[1] == 0 and 900 < counts[0] < 1100
    assert sorted(listed(WeightedRandomSampler([1, 0, 3, 2], 3, replacement=False))) == [0, 2, 3]
    first = [listed(WeightedRandomSampler([1.0, 3.0], 1, replacement=False), e)[0] for e in range(400)]
    assert 0.65 < np.mean(first) < 0.85
    for weights, number, replacement in (
        ([-1, 1], 1, True),
        ([0, 0], 1, True),
        ([1, 0], 2, False),
        ([np.nan], 1, True),
    ):
        with pytest.raises(ValueError, match="WeightedRandomSampler"):
            WeightedRandomSampler(weights, number, replacement)


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("count, ranks", [(10, 3), (9, 3), (2, 5), (0, 2)])
def test_shares_of_processes(count, ranks, shuffle):
    for epoch in range(2):
        parts = [listed(DistributedSampler(count, ranks, r, shuffle=shuffle, seed=2), epoch) for r in range(ranks)]
        assert len(set(map(len, parts))) == 1 and {i for part in parts for i in part} == set(range(count))
        cut = [
            listed(DistributedSampler(count, ranks, r, shuffle=shuffle, drop_last=True), epoch) for r in range(ranks)
        ]
        flat = [i for part in cut for i in part]
        assert len(flat) == len(set(flat)) == count // ranks * ranks
    with pytest.raises(ValueError, match=r"rank in \[0, 2\)"):
        DistributedSampler(3, 2, 2)


def test_length_buckets_give_few_shapes():
    lengths = np.random.default_rng(0).integers(0, 65, 200)
    data = [list(range(n)) for n in lengths]
    sampler = LengthBucketSampler(lengths, [8, 32, 64], [16, 8, 4], seed=1)
    loader = DataLoader(data, batch_sampler=sampler, collate=PaddedCollate(-1, buckets=[8, 32, 64], lengths=True))
    for _ in range(2):
        seen, shapes = [], set()
        for padded, real in loader:
            shapes.add(padded.shape)
            seen += real.tolist()
        assert sorted(seen) == sorted(lengths) and len(shapes) <= 6
        assert {s[1] for s in shapes} == {8, 32, 64}
    assert len(loader) == len(list(loader)) == len(sampler)
    first, second = ([b.tolist() for b in sampler.batches(e)] for e in (0, 1))
    assert first != second and sorted(i for b in first for i in b) == sorted(i for b in second for i in b)
    plain = LengthBucketSampler([1, 9, 2, 3], [4, 9], 2, shuffle=False, drop_last=True)
    assert [b.tolist() for b in plain.batches(5)] == [[0, 2]] and len(plain) == 1
    with pytest.raises(ValueError, match="at most 4, the last bucket's bound, got 9 for sample 1"):
        LengthBucketSampler([1, 9], [4], 2)
    with pytest.raises(ValueError, match=r"at most 8, the last bucket, got 9"):
        PaddedCollate(buckets=[8])([[0] * 9])
    for buckets in ([], [4, 4], [5, 3], [0]):
        with pytest.raises(ValueError, match="ascending"):
            PaddedCollate(buckets=buckets)
    with pytest.raises(TypeError, match="several"):
        PaddedCollate(buckets=[4], multiple_of=2)


def test_lists_in_place_of_samplers():
    assert [b.tolist() for b in DataLoader(range(9), 2, sampler=[4, 2, 8])] == [[4, 2], [8]]
    assert list(BatchSampler([3, 4, 5], 2)) == [[3, 4], [5]]
    assert len(BatchSampler([3, 4, 5], 2, drop_last=True)) == 1
    with pytest.raises(TypeError, match="sampler"):
        DataLoader(range(9), 2, sampler=iter([4, 2, 8]))
    for options in ({"shuffle": True}, {"sampler": [1]}, {"drop_last": True}):
        with pytest.raises(TypeError, match="batch_sampler without"):
            DataLoader(range(9), batch_sampler=[[1]], **options)
    with pytest.raises(TypeError, match="RandomSampler"):
        RandomSampler(2.5)


def test_side_by_side_and_converted():
    pairs = StackDataset(range(3), "abc")
    assert list(pairs) == [(0, "a"), (1, "b"), (2, "c")] and len(pairs) == 3
    assert StackDataset(x=range(3), y="abc")[-1] == {"x": 2, "y": "c"}
    with pytest.raises(ValueError, match=r"one length, got lengths \[3, 2\]"):
        StackDataset(range(3), "ab")
    made = default_convert({"a": np.ones((2,)), "b": [np.float32(1), "x"], "c": (1, np.array(["s"]))})
    assert made["a"].shape == (2,) and made["b"][0].shape == () and made["b"][1] == "x" and made["c"][0] == 1
