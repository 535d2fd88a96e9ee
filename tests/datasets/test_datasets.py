"""The bundled data: shapes, splits, and that it is what it says."""

import gzip
import hashlib
import struct

import numpy as np
import pytest

import twain
from twain.data import DataLoader, PaddedCollate
from twain.datasets import CharacterVocabulary, digits, languages
from twain.datasets.idx import read_idx
from twain.datasets.languages import DEFAULT_CODES, FILES, LANGUAGES
from twain.datasets.split import stratified


def test_digits():
    train, train_labels = digits("train")
    test, test_labels = digits("test")
    assert train.shape == (1347, 1, 8, 8) and train_labels.shape == (1347,)
    assert test.shape == (450, 1, 8, 8) and test_labels.shape == (450,)
    assert train.dtype == twain.float32 and train_labels.dtype == twain.int64
    everything = np.concatenate([train.numpy(), test.numpy()])
    assert everything.min() == 0.0 and everything.max() == 1.0
    assert np.array_equal(everything * 16, np.round(everything * 16))
    counts = np.bincount(test_labels.numpy())
    assert counts.min() >= 43 and counts.max() <= 46 and len(counts) == 10
    images, labels = digits("all")
    assert images.shape == (1797, 1, 8, 8)
    rows = {image.tobytes() for image in images.numpy()}
    assert {image.tobytes() for image in everything} == rows
    first = [0, 0, 5, 13, 9, 1, 0, 0]  # the first row of the original file
    assert (images.numpy()[0, 0, 0] * 16).tolist() == first and labels.numpy()[:5].tolist() == [0, 1, 2, 3, 4]


def test_digits_equal_scikit_learn():
    load_digits = pytest.importorskip("sklearn.datasets").load_digits
    images, labels = digits("all")
    assert np.array_equal(images.numpy()[:, 0] * 16, load_digits().images)
    assert np.array_equal(labels.numpy(), load_digits().target)


def test_splits_are_fixed_and_follow_the_seed():
    a, b = digits("test"), digits("test")
    assert np.array_equal(a[0].numpy(), b[0].numpy()) and np.array_equal(a[1].numpy(), b[1].numpy())
    assert not np.array_equal(a[0].numpy(), digits("test", seed=1)[0].numpy())
    assert digits("test", held_out=0.5)[0].shape[0] in range(890, 910)
    train, test = stratified([0, 0, 0, 0, 1, 1], 0.5, seed=3)
    assert sorted(train + test) == list(range(6)) and len(test) == 3
    assert stratified([], 0.5, 0) == ([], [])


@pytest.mark.parametrize("load", [digits, languages])
def test_bad_arguments(load):
    with pytest.raises(ValueError, match="'train', 'test', 'all', got 'valid'"):
        load("valid")
    for held_out in (0.0, 1.0, -1, 2):
        with pytest.raises(ValueError, match="held_out between 0 and 1"):
            load("train", held_out=held_out)


def test_languages():
    train, test, everything = languages("train"), languages("test"), languages("all")
    assert train.classes[:5] == ("English", "French", "Chinese", "Norwegian", "Vietnamese")
    assert len(train.classes) == len(DEFAULT_CODES) == 12
    assert sorted([*train, *test]) == sorted(everything)
    assert 0.18 < len(test) / len(everything) < 0.22
    folded = [text.casefold() for text, _ in everything]
    by_text: dict[str, set[int]] = {}
    for text, label in everything:
        by_text.setdefault(text.casefold(), set()).add(label)
    assert all(len(labels) == 1 for labels in by_text.values())
    assert not {text.casefold() for text in train.texts} & {text.casefold() for text in test.texts}
    assert len(folded) > 15_000
    for split in (train, test):
        counts = np.bincount(split.labels, minlength=12)
        assert counts.min() * 3 > counts.max()
    assert ("Japan" in everything.texts) is False  # English and Norwegian (and more) share it
    assert ("Norway", 0) in [*everything] and ("Norvège", 1) in [*everything]
    assert train[0] == (train.texts[0], train.labels[0]) and train[:2] == [train[0], train[1]]


def test_a_choice_of_languages():
    two = languages("all", codes=["de", "en"])
    assert two.classes == ("German", "English") and set(two.labels) == {0, 1}
    held = set(languages("test", codes=["fr", "fi"]).texts)
    assert held <= set(languages("test", codes=["fr"]).texts) | set(languages("test", codes=["fi"]).texts)
    for codes in (["xx"], [], ["en", "en"], "en"):
        with pytest.raises(ValueError, match=r"\[languages\] expected codes"):
            languages(codes=codes)
    assert len(languages("all", codes=list(LANGUAGES))) > 20_000


def test_vocabulary():
    vocabulary = CharacterVocabulary(["Ab", "ba", "é"])
    assert vocabulary.characters == ("a", "b", "é") and len(vocabulary) == 5
    assert vocabulary.encode(["AB?", "", "e\u0301"]).tolist() == [[2, 3, 1], [0, 0, 0], [4, 0, 0]]
    assert vocabulary.encode(["abab"], length=2).tolist() == [[2, 3]]
    assert vocabulary.encode(["ab"], length=3).tolist() == [[2, 3, 0]]
    assert vocabulary.encode([""]).shape == (1, 1) and vocabulary.encode([]).shape == (0, 1)
    assert vocabulary.encode(["ab"]).dtype == twain.int64
    assert vocabulary.decode([2, 1, 3, 0, 0]) == "a\ufffdb"
    with pytest.raises(TypeError, match=r"write \[text\]"):
        vocabulary.encode("ab")
    with pytest.raises(ValueError, match="length of at least 1"):
        vocabulary.encode(["ab"], length=0)


def test_arrays_and_loader():
    test = languages("test")
    numbers, labels = test.arrays()
    assert numbers.shape[0] == labels.shape[0] == len(test)
    assert numbers.numpy().max() < len(test.vocabulary) and (numbers.numpy()[:, 0] > 0).all()
    assert test.vocabulary.decode(numbers.numpy()[7]) == CharacterVocabulary.normalize(test.texts[7])
    encoded = [(test.vocabulary.numbers(text), label) for text, label in test[:10]]
    batch, labels = next(iter(DataLoader(encoded, 10, collate=PaddedCollate())))
    assert batch.tolist() == test.vocabulary.encode(test.texts[:10]).tolist() and labels.tolist() == test.labels[:10]


def test_the_files_are_those_of_the_tools():
    """A change of the data is a change of every published accuracy: make it on purpose."""
    digests = {
        "digits-images.idx.gz": "359cd13f0f514122",
        "digits-labels.idx.gz": "ce71631c1f31ce56",
        "languages.tsv.gz": "d85308458fbe5331",
    }
    for name, digest in digests.items():
        content = gzip.decompress((FILES / name).read_bytes())
        assert hashlib.sha256(content).hexdigest()[:16] == digest, name


def test_idx_refuses_other_files(tmp_path):
    path = tmp_path / "x.idx.gz"
    good = struct.pack(">BBBB2I", 0, 0, 8, 2, 2, 3) + bytes(range(6))
    path.write_bytes(gzip.compress(good))
    assert read_idx(path) == ((2, 3), bytes(range(6)))
    path.write_bytes(good)  # plain files are taken, too
    assert read_idx(path) == ((2, 3), bytes(range(6)))
    for content in (b"", good[:-1], good + b"x", gzip.compress(good)[:-9], gzip.compress(good[:-1]), gzip.compress(good + b"x"),
                    gzip.compress(b""), gzip.compress(good[:7]), gzip.compress(b"\0\0\x0d" + good[3:])):  # fmt: skip
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"\[read_idx\] .* expected"):
            read_idx(path)
