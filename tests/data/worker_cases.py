"""Data sets for tests with worker processes, which import this file by name."""

import os
import random
import signal
import threading
import time

import numpy as np

import twain
from twain.data import Dataset, IterableDataset, get_worker_info


class Noisy(Dataset):
    """Every kind of random numbers, of every kind of content."""

    def __init__(self, count=23):
        self.count = count

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        return {
            "index": index,
            "drawn": (random.random(), np.random.rand(2), np.random.randint(1000)),
            "own": float(twain.random.uniform((1,)).item()),
            "image": np.full((3, 5), index, "float32"),
            "half": twain.asarray([index, 1.5]).astype(twain.bfloat16),
            "name": f"sample {index}",
        }


class Numbers(IterableDataset):
    """A stream that draws random numbers itself."""

    def __init__(self, count=23):
        self.count = count

    def __iter__(self):
        for i in range(self.count):
            yield i, random.random()


def jitter(sample):
    return (*sample, random.random(), np.random.rand())


class Splitting(IterableDataset):
    """Splits itself, as streams for PyTorch do."""

    def __iter__(self):
        info = get_worker_info()
        return iter(range(20)) if info is None else iter(range(info.id, 20, info.num_workers))


class Where(Dataset):
    """Which process and worker made a sample."""

    def __len__(self):
        return 12

    def __getitem__(self, index):
        info = get_worker_info()
        assert info is None or (info.num_workers == 2 and info.dataset is self)
        return index, os.getpid(), -1 if info is None else info.id


class Failing(Dataset):
    """Goes wrong at one sample, in the way it is told."""

    def __init__(self, how, at=9):
        self.how = how
        self.at = at

    def __len__(self):
        return 16

    def __getitem__(self, index):
        if index == self.at:
            if self.how == "raise":
                raise ValueError(f"no sample {index}")
            if self.how == "odd":
                raise Unpicklable(threading.Lock())
            if self.how == "fork" and os.fork() == 0:
                time.sleep(20)
                os._exit(0)
            if self.how in ("exit", "fork"):
                os._exit(7)
            if self.how == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            if self.how == "sleep":
                time.sleep(600)
        return index


class Unpicklable(Exception):
    pass


class Keeping(Dataset):
    """Keeps the batch that it made, and gives it again."""

    def __init__(self):
        self.kept = []

    def __len__(self):
        return 40

    def batch(self, indices):
        batch = twain.data.collate([np.full((1000,), i, "float32") for i in indices])
        self.kept.append((int(indices[0]), batch))
        assert all(float(b.numpy()[0, 0]) == i for i, b in self.kept)
        return batch

    def __getitem__(self, index):
        raise NotImplementedError


class Growing(Dataset):
    """Samples of a size that grows."""

    def __len__(self):
        return 30

    def __getitem__(self, index):
        return np.full((index * 500,), index, "float64"), [str(index)], np.arange(6).reshape(2, 3).T


class ViaAttribute(Dataset):
    def __init__(self, value):
        self.options = {"first": 1, "value": [value]}

    def __len__(self):
        return 2

    def __getitem__(self, index):
        return index


class Arrays(Dataset):
    """Holds arrays; says where they lie and writes to them."""

    def __init__(self, **arrays):
        self.arrays = arrays

    def __len__(self):
        return 4

    def __getitem__(self, index):
        sums = []
        for array in self.arrays.values():
            shown = array.numpy() if isinstance(array, twain.Tensor) else array
            sums.append(float(np.asarray(shown, "float64").sum()))
        return sums


def initialise(number):
    os.environ["WORKER_NUMBER"] = str(number)


def fail_to_initialise(number):
    raise RuntimeError(f"worker {number} has no licence")


class Environment(Dataset):
    def __len__(self):
        return 2

    def __getitem__(self, index):
        return os.environ["WORKER_NUMBER"]
