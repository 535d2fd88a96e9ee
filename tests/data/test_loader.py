"""The loader: each sample once, in an order that can be resumed."""

import json
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import twain
from twain.data import ArrayDataset, DataLoader, PaddedCollate, RandomSampler, Sampler, Subset


def values(loader) -> list[list[int]]:
    return [batch.tolist() for batch in loader]


@given(st.integers(0, 40), st.integers(1, 12), st.booleans(), st.booleans(), st.integers(0, 2**64 - 1))
def test_each_sample_once_an_epoch(count, batch_size, shuffle, drop_last, seed):
    loader = DataLoader(range(count), batch_size, shuffle=shuffle, drop_last=drop_last, seed=seed)
    for _ in range(2):
        batches = values(loader)
        seen = [value for batch in batches for value in batch]
        assert len(batches) == len(loader)
        assert all(len(batch) == batch_size for batch in batches[:-1])
        assert len(seen) == (count // batch_size * batch_size if drop_last else count)
        assert len(set(seen)) == len(seen)
        assert shuffle or seen == list(range(len(seen)))


def test_the_order_is_fixed_for_all_time():
    """Written down: a change would silently break the resuming of old runs."""
    assert list(RandomSampler(10, seed=0).indices(0)) == ORDER_0
    assert list(RandomSampler(10, seed=0).indices(1)) == ORDER_1
    assert list(RandomSampler(10, seed=2**64 - 1).indices(0)) == ORDER_LAST


ORDER_0 = [0, 2, 9, 1, 8, 5, 4, 3, 6, 7]
ORDER_1 = [8, 7, 4, 2, 6, 5, 9, 0, 1, 3]
ORDER_LAST = [8, 9, 0, 7, 4, 2, 6, 3, 1, 5]


def test_epochs_differ_and_seeds_differ():
    loader = DataLoader(range(50), 50, shuffle=True)
    first, second = values(loader), values(loader)
    assert first != second
    assert values(DataLoader(range(50), 50, shuffle=True)) == first
    assert values(DataLoader(range(50), 50, shuffle=True, seed=1)) != first


def test_fast_batches_equal_collated_samples():
    images = np.random.default_rng(0).normal(size=(10, 2, 3)).astype("float32")
    dataset = ArrayDataset(twain.asarray(images), np.arange(10))
    for source in (dataset, Subset(dataset, [9, 3, 3, 0, 5])):
        samples = [source[i] for i in range(len(source))]
        fast = list(DataLoader(source, 4, shuffle=True))
        slow = list(DataLoader(samples, 4, shuffle=True))
        assert len(fast) == len(slow)
        for a, b in zip(fast, slow, strict=True):
            assert [x.tolist() for x in a] == [x.tolist() for x in b]
            assert [x.dtype for x in a] == [x.dtype for x in b]


def test_own_collate_and_padding():
    assert list(DataLoader("abcde", 2, collate="".join)) == ["ab", "cd", "e"]
    batches = list(DataLoader([[1], [1, 2], [3]], 2, collate=PaddedCollate()))
    assert [batch.tolist() for batch in batches] == [[[1, 0], [1, 2]], [[3]]]


def test_own_sampler():
    class Twice(Sampler):
        def __len__(self):
            return 4

        def indices(self, epoch):
            return [epoch, epoch, 0, 1]

    loader = DataLoader(range(5), 3, sampler=Twice())
    assert len(loader) == 2
    assert values(loader) == [[0, 0, 0], [1]]
    assert values(loader) == [[1, 1, 0], [1]]


def test_resuming_at_every_batch():
    def make():
        return DataLoader(range(11), 3, shuffle=True, seed=5)

    whole = make()
    expected = [values(whole) for _ in range(3)]
    for epoch in range(2):
        for stop in range(len(whole) + 1):
            loader = make()
            for _ in range(epoch):
                values(loader)
            seen = []
            state = loader.state_dict()
            if stop:
                for batch in loader:
                    seen.append(batch.tolist())
                    if len(seen) == stop:
                        state = json.loads(json.dumps(loader.state_dict()))
                        break
            other = DataLoader(range(11), 3, shuffle=True)
            other.load_state_dict(state)
            assert other.epoch == epoch
            rest = iter(other)
            assert len(rest) == len(whole) - stop
            assert seen + [batch.tolist() for batch in rest] == expected[epoch]
            assert values(other) == expected[epoch + 1]


def test_state_between_epochs_and_after_break():
    loader = DataLoader(range(6), 2, shuffle=True)
    assert loader.state_dict()["epoch"] == 0
    first = values(loader)
    assert (loader.state_dict()["epoch"], loader.state_dict()["batch"]) == (1, 0)
    for _ in loader:
        break
    assert (loader.epoch, loader.state_dict()["batch"]) == (1, 1)
    third = values(loader)  # not resumed: a new epoch
    fresh = DataLoader(range(6), 2, shuffle=True)
    epochs = [values(fresh) for _ in range(3)]
    assert epochs[0] == first and epochs[2] == third


def test_two_passes_at_once():
    loader = DataLoader(range(4), 2)
    pairs = [(a.tolist(), b.tolist()) for a, b in zip(loader, loader, strict=True)]
    assert pairs == [([0, 1], [0, 1]), ([2, 3], [2, 3])]


def test_bad_arguments():
    with pytest.raises(TypeError, match=r"expected a data set with len\(\) .* got generator"):
        DataLoader(i for i in range(3))
    for batch_size in (0, -1, 2.0, True):
        with pytest.raises(ValueError, match="batch_size"):
            DataLoader(range(3), batch_size)
    with pytest.raises(TypeError, match="either shuffle=True or a sampler"):
        DataLoader(range(3), shuffle=True, sampler=RandomSampler(3))
    for seed in (-1, 2**64, 0.5, True):
        with pytest.raises(ValueError, match="seed"):
            DataLoader(range(3), seed=seed)
    loader = DataLoader(range(6), 2)
    state = loader.state_dict()
    for wrong in ({}, None, {**state, "more": 1}):
        with pytest.raises(TypeError, match=r"\[DataLoader.load_state_dict\] expected keys"):
            loader.load_state_dict(wrong)
    for change in (
        {"epoch": -1},
        {"batch": 1.0},
        {"seed": "x"},
        {"batch": 1, "samples": 7},
        {"batch": 1, "batch_size": 3},
    ):
        with pytest.raises(ValueError, match=r"\[DataLoader.load_state_dict\] expected"):
            loader.load_state_dict({**state, **change})
    loader.load_state_dict({**state, "batch_size": 3})  # between epochs the cut may change


@pytest.mark.parametrize("drawn", [0, 1, 2, 311, 623, 624], ids=lambda n: f"{n}drawn")
def test_the_generators_go_on_where_they_were(drawn):
    class Drawing:
        def __len__(self):
            return 6

        def __getitem__(self, index):
            return np.random.normal(size=3), random.random(), twain.random.normal(())

    def numbers(between):
        np.random.seed(7), random.seed(7), twain.random.seed(7)
        np.random.normal(size=drawn)
        between()
        return (
            np.random.normal(size=5).tolist(),
            np.random.randint(1 << 30),
            random.random(),
            twain.random.normal(()).item(),
        )

    assert numbers(lambda: list(DataLoader(Drawing(), 2))) == numbers(lambda: None)
