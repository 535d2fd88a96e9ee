"""Epochs of data loaders against PyTorch's: `./dev bench --peers torch --loaders`. One unit of work is a batch's share of an
epoch; workers stay from epoch to epoch. The page also shows memory: what the process and its workers hold.
"""

from __future__ import annotations

import numpy as np

KINDS = {
    "arrays": ("images 3x112x112 in one array, batches of 64", 512, 64, True),
    "images": ("the same, a data set that gives one image", 512, 64, False),
    "features": ("rows of 16 in one array, batches of 128", 8192, 128, True),
    "rows": ("the same, a data set that gives one row", 8192, 128, False),
    "augmented": ("images 3x32x32 cropped, flipped and scaled one by one in NumPy, batches of 64", 512, 64, False),
    "texts": ("lists of 5 to 60 ints, padded, batches of 64", 2048, 64, False),
}
WORKERS = (0, 1, 2)


def key(kind: str, workers: int) -> str:
    return f"d_{kind}_{workers} worker{'' if workers == 1 else 's'}"


LOADER_ROWS = [
    {
        "name": key(kind, workers),
        "text": f"{text}, {workers} worker{'' if workers == 1 else 's'}",
        "targets": [("torch", 1)],
    }
    for workers in WORKERS
    for kind, (text, *_) in KINDS.items()
]


class One:
    """Sample by sample: what most people write first."""

    def __init__(self, values, labels, convert):
        self.values = values
        self.labels = labels
        self.convert = convert

    def __len__(self):
        return len(self.values)

    def __getitem__(self, index):
        return self.convert(self.values[index]), self.labels[index]


def same(value):
    return value


def augment(image):
    top, left = np.random.randint(0, 8, 2)
    image = np.pad(image, ((0, 0), (4, 4), (4, 4)))[:, top : top + 32, left : left + 32]
    if np.random.random() < 0.5:
        image = image[:, :, ::-1]
    return (image.astype(np.float32) - 120.0) * np.float32(1 / 60)


def samples(kind: str, count: int) -> tuple:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, count)
    if kind in ("arrays", "images"):
        return rng.random((count, 3, 112, 112), dtype=np.float32), labels
    if kind in ("features", "rows"):
        return rng.random((count, 16), dtype=np.float32), labels
    if kind == "augmented":
        return rng.integers(0, 256, (count, 3, 32, 32), dtype=np.uint8), labels
    return [rng.integers(1, 1000, rng.integers(5, 61)).tolist() for _ in range(count)], labels


def rows(load) -> dict:
    """For a worker. load(data set or (values, labels), options, padded) gives a loader."""

    def row(kind, workers):
        def make():
            _, count, size, whole = KINDS[kind]
            values, labels = samples(kind, count)
            data = (values, labels) if whole else One(values, labels.tolist(), augment if kind == "augmented" else same)
            options = {"batch_size": size, "shuffle": True, "num_workers": workers, "persistent_workers": workers > 0}
            loader = load(data, options, kind == "texts")

            def epoch():
                for _ in loader:
                    pass

            epoch.units = count // size
            return epoch

        return make

    return {key(kind, workers): row(kind, workers) for kind in KINDS for workers in WORKERS}
