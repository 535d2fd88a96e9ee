"""Transforms of images."""

import numpy as np
import pytest

import twain
from twain import data


def image(height=7, width=9):
    return np.random.default_rng().integers(0, 256, (height, width, 3), "uint8")


def test_flips_always_and_never():
    x = image()
    assert (data.RandomHorizontalFlip(1)(x) == x[:, ::-1]).all() and (data.RandomHorizontalFlip(0)(x) == x).all()
    assert (data.RandomVerticalFlip(1.0)(x) == x[::-1]).all() and (data.RandomVerticalFlip(0)(x) == x).all()


def test_to_tensor_normalize():
    x = image()
    made = data.Compose([data.ToTensor(), data.Normalize([0.1, 0.2, 0.3], [0.5, 0.4, 0.2])])(x)
    np.testing.assert_allclose(
        made.numpy(), ((x / 255 - [0.1, 0.2, 0.3]) / [0.5, 0.4, 0.2]).transpose(2, 0, 1), atol=1e-5
    )


@pytest.mark.parametrize("size", [(3, 5), (11, 13), (7, 4)])
def test_resize_is_pillows(size):
    pillow = pytest.importorskip("PIL.Image")
    x = image()
    wanted = np.asarray(pillow.fromarray(x).resize(size[::-1], pillow.Resampling.BILINEAR))
    made = data.Resize(size)(x)
    assert made.dtype == np.uint8 and np.abs(made.astype(int) - wanted).max() <= 1


def test_crops():
    x = image()
    assert (data.CenterCrop(3)(x) == x[2:5, 3:6]).all()
    padded = np.pad(x, ((2, 2), (2, 2), (0, 0)))
    made = data.RandomCrop((5, 6), padding=2)(x)
    assert any((made == padded[i : i + 5, j : j + 6]).all() for i in range(7) for j in range(8))
    assert data.RandomResizedCrop((4, 5))(x).shape == (4, 5, 3)
    assert 0 < (data.RandomErasing(1.0, value=0)(x | 1) == 0).sum() < x.size


def test_batch_is_singles_with_the_same_draws():
    x = twain.asarray(np.random.default_rng().random((5, 3, 8, 7), "float32"))
    for t in (
        data.RandomCrop(4, padding=1),
        data.RandomHorizontalFlip(),
        data.RandomErasing(),
        data.RandomResizedCrop(4),
    ):
        twain.random.seed(3)
        batch = t(x).numpy()
        twain.random.seed(3)
        assert (batch == np.stack([t(one).numpy() for one in x])).all()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: data.RandomHorizontalFlip(1.5), ValueError, "p from 0 to 1"),
        (lambda: data.RandomErasing("often"), TypeError, "p to be a number"),
        (lambda: data.RandomCrop(0), ValueError, "size of 1 or more"),
        (lambda: data.RandomCrop(30)(image()), ValueError, r"\[RandomCrop\] expected an image of"),
        (lambda: data.Resize("big"), TypeError, r"\(height, width\)"),
        (lambda: data.CenterCrop(3)([1, 2]), TypeError, "got list"),
        (lambda: data.Normalize([0.5], [0.5])(image()), TypeError, "image of floats"),
        (lambda: data.Normalize([0.5], [0.0]), ValueError, "without zeros"),
    ],
)
def test_mistakes(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_the_same_draws_for_any_number_of_workers():
    images = np.random.default_rng(0).integers(0, 256, (12, 9, 8, 3), dtype=np.uint8)
    transform = data.Compose(
        [data.RandomCrop(8, padding=1), data.RandomHorizontalFlip(), data.RandomErasing(), data.ToTensor()]
    )
    dataset = data.StackDataset(images).map(FirstThen(transform))
    found = [
        [batch.tolist() for batch in data.DataLoader(dataset, 4, num_workers=workers, seed=2)] for workers in (0, 1, 2)
    ]
    assert found[0] == found[1] == found[2]
    assert found[0] != [batch.tolist() for batch in data.DataLoader(dataset, 4, seed=3)]


class FirstThen:
    def __init__(self, transform):
        self.transform = transform

    def __call__(self, sample):
        return self.transform(sample[0] if isinstance(sample, tuple) else sample)
