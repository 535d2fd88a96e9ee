"""Training that was interrupted goes on bit for bit: weights, optimizer, random state, loader position."""

import numpy as np
import pytest

import twain
from twain.data import ArrayDataset, DataLoader
from twain.io import load, restore, save

nn = pytest.importorskip("twain.nn")
optim = pytest.importorskip("twain.optim")

EPOCHS = 3


class Interrupted(Exception):
    pass


def parts(seed):
    twain.random.seed(seed)
    model = nn.Sequential(nn.Linear(5, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 3))
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(50, 5)).astype("float32")
    targets = generator.integers(0, 3, 50)
    loader = DataLoader(ArrayDataset(inputs, targets), 8, shuffle=True, seed=seed)
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    return {"model": model, "optimizer": optimizer, "loader": loader}


def train(objects, path, stop=None):
    """Train to the end of the last epoch; with `stop`, save after that many batches of this run and be interrupted."""
    model, optimizer, loader = objects["model"], objects["optimizer"], objects["loader"]
    losses = []
    while loader.epoch < EPOCHS:
        for inputs, targets in loader:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(inputs), targets)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            if len(losses) == stop:
                save(path, {**objects, "random": twain.random.default_generator, "losses": losses})
                raise Interrupted
    return losses


@pytest.mark.parametrize("stop", [1, 7, 9, 21])
def test_interrupted_training_goes_on_bit_for_bit(tmp_path, stop):
    path = tmp_path / "run.safetensors"
    whole = parts(seed=1)
    expected = train(whole, path)

    with pytest.raises(Interrupted):
        train(parts(seed=1), path, stop)

    resumed = parts(seed=2)  # everything that differs must come from the file
    rest = restore(path, {**resumed, "random": twain.random.default_generator})
    losses = rest["losses"] + train(resumed, path)
    assert losses == expected
    save(path, whole)
    end = load(path)
    save(path, resumed)
    assert same(load(path), end)


def same(a, b) -> bool:
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, twain.Tensor):
        return a.dtype == b.dtype and a.numpy().tobytes() == b.numpy().tobytes()
    return a == b
