"""Data sets and their splits."""

import numpy as np
import pytest

import twain
from twain.data import ArrayDataset, ConcatDataset, Dataset, Subset, TensorDataset, random_split


def test_array_dataset_of_tensors_arrays_and_lists():
    images = twain.asarray(np.arange(12, dtype="float32").reshape(4, 3))
    dataset = ArrayDataset(images, np.arange(4), [0.5, 1.5, 2.5, 3.5])
    assert len(dataset) == 4
    image, label, weight = dataset[2]
    assert image.tolist() == [6.0, 7.0, 8.0] and label.item() == 2 and weight.item() == 2.5
    assert dataset[-1][1].item() == 3
    assert all(isinstance(row, twain.Tensor) for row in dataset[0])


@pytest.mark.parametrize("indices", [range(1, 3), [1, 2], np.array([1, 2]), np.array([1, 2], "int32"), (1, 2)])
def test_batches_are_rows(indices):
    array = np.arange(12, dtype="float32").reshape(4, 3)
    for source in (array, twain.asarray(array), array[:, ::-1][:, ::-1]):
        (rows,) = ArrayDataset(source).batch(indices)
        assert isinstance(rows, twain.Tensor)
        assert rows.tolist() == array[1:3].tolist()


def test_array_dataset_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match=r"\[ArrayDataset\] expected arrays of one length .*\(3,\), \(2,\)"):
        ArrayDataset(twain.ones((3,)), twain.ones((2,)))
    with pytest.raises(ValueError, match="axis 0"):
        ArrayDataset(twain.ones(()))
    with pytest.raises(TypeError, match="at least one array"):
        ArrayDataset()
    dataset = TensorDataset(twain.ones((3,)))
    for index in (3, -4):
        with pytest.raises(IndexError, match="below 3"):
            dataset[index]
    with pytest.raises(IndexError, match="integer index, got float"):
        dataset[1.0]
    assert len(list(dataset)) == 3  # plain iteration ends


def test_views():
    letters = list("abcdef")
    assert list(Subset(letters, [4, 0, -1])) == ["e", "a", "f"]
    assert not hasattr(Subset(letters, [0]), "batch")
    with pytest.raises(IndexError, match="below 6"):
        Subset(letters, [6])
    both = ConcatDataset([letters[:2], [], letters[2:]])
    assert list(both) == letters and both[-1] == "f"

    class Squares(Dataset):
        def __len__(self):
            return 3

        def __getitem__(self, index):
            if index >= 3:
                raise IndexError
            return index**2

    squares = Squares()
    assert list(squares.map(lambda value: -value)) == [0, -1, -4]
    assert list(ConcatDataset([squares, [7]])) == [0, 1, 4, 7]
    (rows,) = Subset(ArrayDataset(twain.asarray([0.0, 1.0, 2.0])), [2, 0]).batch([1, 0])
    assert rows.tolist() == [0.0, 2.0]
    with pytest.raises(NotImplementedError, match="must define __len__"):
        len(Dataset())


def test_random_split_is_a_fixed_partition():
    parts = random_split(range(10), [7, 3], seed=1)
    assert [len(part) for part in parts] == [7, 3]
    assert sorted(part[i] for part in parts for i in range(len(part))) == list(range(10))
    again = random_split(range(10), [7, 3], seed=1)
    assert [list(part) for part in parts] == [list(part) for part in again]
    assert [list(part) for part in parts] != [list(part) for part in random_split(range(10), [7, 3], seed=2)]
    assert [len(part) for part in random_split(range(11), [0.5, 0.25, 0.25])] == [6, 3, 2]
    assert [len(part) for part in random_split([], [0.5, 0.5])] == [0, 0]
    for sizes in ([5, 4], [11, -1], [0.5, 0.6], [1.5, -0.5], []):
        with pytest.raises(ValueError, match=r"\[random_split\] expected"):
            random_split(range(10), sizes)
