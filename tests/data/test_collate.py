"""Batches from samples."""

from collections import namedtuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import twain
from twain.data import ArrayDataset, PaddedCollate, collate, pad_sequences

Pair = namedtuple("Pair", "image label")


def test_structure_is_kept_and_data_stacked():
    batch = collate([({"x": twain.ones((2,)), "name": str(i)}, i, i / 2, i > 0) for i in range(3)])
    fields, number, half, positive = batch
    assert fields["x"].shape == (3, 2) and fields["name"] == ["0", "1", "2"]
    assert number.tolist() == [0, 1, 2] and number.dtype == twain.int64
    assert half.tolist() == [0.0, 0.5, 1.0] and half.dtype == twain.float32
    assert positive.tolist() == [False, True, True] and positive.dtype == twain.bool
    pair = collate([Pair([1, 2], 0), Pair([3, 4], 1)])
    assert isinstance(pair, Pair) and pair.image.tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize("dtype", ["float32", "float64", "int8", "uint8", "bool", "int64"])
def test_numpy_samples_keep_their_dtype(dtype):
    batch = collate([np.ones((2, 3), dtype), np.zeros((2, 3), dtype)])
    assert batch.shape == (2, 2, 3) and str(batch.dtype) == dtype
    assert collate([np.dtype(dtype).type(1)] * 2).shape == (2,)
    assert str(collate([twain.asarray(np.ones(2, dtype)), np.zeros(2, dtype)]).dtype) == dtype


def test_what_does_not_fit_is_named():
    with pytest.raises(ValueError, match=r"sample\[0\]: expected samples of one shape.*PaddedCollate"):
        collate([(twain.ones((2,)),), (twain.ones((3,)),)])
    with pytest.raises(ValueError, match=r"lists of one length, got lengths \[1, 2\]"):
        collate([[1], [1, 2]])
    with pytest.raises(TypeError, match=r"sample: expected 2 fields .* in sample 1"):
        collate([(1, 2), (1, 2, 3)])
    with pytest.raises(TypeError, match=r"sample\['a'\]: expected text"):
        collate([{"a": "x"}, {"a": 1}])
    with pytest.raises(TypeError, match="keys"):
        collate([{"a": 1}, {"b": 1}])
    with pytest.raises(TypeError, match="got NoneType"):
        collate([None, None])
    with pytest.raises(TypeError, match="got set"):
        collate([1, {1}])
    with pytest.raises(ValueError, match="at least one sample"):
        collate([])


def test_padding():
    tokens = [[1, 2, 3], [4], []]
    assert pad_sequences(tokens).tolist() == [[1, 2, 3], [4, 0, 0], [0, 0, 0]]
    assert pad_sequences(tokens).dtype == twain.int64
    assert pad_sequences(tokens, -1, length=2).tolist() == [[1, 2], [4, -1], [-1, -1]]
    assert pad_sequences(tokens, multiple_of=4).shape == (3, 4)
    assert pad_sequences(tokens, length=5).shape == (3, 5)
    assert pad_sequences([[0.5], [1.0, 2.0]]).dtype == twain.float32
    assert pad_sequences([[], [1, 2.5]]).tolist() == [[0.0, 0.0], [1.0, 2.5]]
    assert pad_sequences([[1], np.array([3, 4])]).tolist() == [[1, 0], [3, 4]]
    assert pad_sequences([[True], []]).tolist() == [[True], [False]]
    for sequences, value in (
        ([[1, 2], [3]], 0.5),
        ([[1, 2], [3]], float("nan")),
        ([np.ones(2, "uint8")], -1),
        ([np.ones(2, bool)], 2),
    ):
        with pytest.raises(ValueError, match=r"expected a value that \w+ holds"):
            pad_sequences(sequences, value)
    frames = [np.ones((2, 3), "float32"), np.ones((1, 2), "float32")]
    assert pad_sequences(frames).tolist() == [[[1, 1, 1], [1, 1, 1]], [[1, 1, 0], [0, 0, 0]]]
    half = pad_sequences([twain.ones((2,)).astype(twain.bfloat16), twain.ones((1,)).astype(twain.bfloat16)])
    assert half.dtype == twain.bfloat16 and half.astype(twain.float32).tolist() == [[1.0, 1.0], [1.0, 0.0]]
    for wrong in ([1, 2], [[1], [[1]]]):
        with pytest.raises(ValueError, match=r"\[pad_sequences\] expected sequences with one number of axes"):
            pad_sequences(wrong)
    with pytest.raises(ValueError, match="at least one"):
        pad_sequences([])
    for options in ({"length": 0}, {"multiple_of": 0}):
        with pytest.raises(ValueError, match="of at least 1, got 0"):
            PaddedCollate(**options)


def test_padded_collate_pads_sequences_and_stacks_the_rest():
    samples = [([1, 2, 3], 0, "a"), ([4], 1, "b")]
    tokens, labels, names = PaddedCollate()(samples)
    assert tokens.tolist() == [[1, 2, 3], [4, 0, 0]] and labels.tolist() == [0, 1] and names == ["a", "b"]
    (tokens, lengths), labels, _ = PaddedCollate(lengths=True, length=2)(samples)
    assert tokens.tolist() == [[1, 2], [4, 0]] and lengths.tolist() == [2, 1] and labels.tolist() == [0, 1]


@given(st.lists(st.lists(st.integers(-5, 5), max_size=6), min_size=1, max_size=5), st.integers(1, 4))
def test_padding_keeps_every_element(sequences, multiple):
    padded = pad_sequences(sequences, 9, multiple_of=multiple).tolist()
    for row, sequence in zip(padded, sequences, strict=True):
        assert row[: len(sequence)] == sequence
        assert set(row[len(sequence) :]) <= {9}
        assert len(row) % multiple == 0


@pytest.mark.parametrize(
    "dtype",
    ["bool", "int8", "uint16", "int32", "int64", "uint64", "float16", "float32", "float64", "complex64", "complex128"],
)
@pytest.mark.parametrize("size", [(), (3,), (4, 0), (5, 3, 2), (300, 200)], ids=str)
def test_arrays_of_any_layout_are_stacked(dtype, size):
    rng = np.random.default_rng(len(size))
    plain = [(rng.normal(size=size) * 50).astype(dtype, casting="unsafe") for _ in range(3)]
    samples = [plain[0], np.array(plain[1], order="F"), plain[2][..., ::-1] if size else plain[2]]
    batch = collate([*samples, twain.asarray(plain[0])])
    assert batch.dtype.name == dtype
    np.testing.assert_array_equal(batch.numpy(), np.stack([*samples, plain[0]]))


def test_what_is_stacked_has_one_kind():
    assert collate([np.float32(1), np.float32(2)]).dtype is twain.float32
    mixed = collate([np.int32(1), np.float64(2.5)])
    assert mixed.dtype is twain.float64 and mixed.tolist() == [1.0, 2.5]
    assert collate([1, 2**62]).dtype is twain.int64 and collate([True, False]).dtype is twain.bool
    assert collate([1, 2.5]).tolist() == [1.0, 2.5] and collate([1j, 2.0 + 0j]).dtype is twain.complex64
    assert collate([np.array([1, 2], ">i4")] * 2).tolist() == [[1, 2], [1, 2]]
    with pytest.raises(OverflowError):
        collate([1, 2**63])
    with pytest.raises((TypeError, ValueError)):
        collate([np.array(["a"]), np.array(["b"])])
    x = twain.ones(2).requires_grad_()
    assert collate([x, x]).requires_grad


def test_rows_of_any_layout_are_picked():
    rng = np.random.default_rng(1)
    base = rng.normal(size=(700, 40, 6)).astype("float32")
    indices = rng.integers(-700, 700, 650)
    for rows in (
        base,
        base[::-1],
        base[:, ::2],
        np.asfortranarray(base),
        base.transpose(0, 2, 1),
        np.broadcast_to(base[:1], base.shape),
    ):
        (batch,) = ArrayDataset(rows).batch(indices)
        np.testing.assert_array_equal(batch.numpy(), rows[indices])
    for wrong in ([700], [-701], [0, 2**40]):
        with pytest.raises(IndexError, match="expected indices"):
            ArrayDataset(base).batch(wrong)
    assert ArrayDataset(base).batch([])[0].shape == (0, 40, 6)
    assert ArrayDataset(np.empty((0, 3))).batch([])[0].shape == (0, 3)
