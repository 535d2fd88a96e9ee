"""Folders of images, tables and files larger than memory."""

import numpy as np
import pytest

import twain
from twain.data import ArrayDataset, DataLoader, ImageFolder, from_pandas, read_csv, read_image

Image = pytest.importorskip("PIL.Image")


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for label, name in enumerate(("dog", "cat")):
        (tmp_path / name / "more").mkdir(parents=True)
        for number, path in enumerate((f"{name}/b.png", f"{name}/more/a.JPG", f"{name}/c.bmp")):
            size = (6 + number, 5 + label, 3)
            Image.fromarray(rng.integers(0, 256, size, dtype="uint8")).save(tmp_path / path)
        (tmp_path / name / "notes.txt").write_text("no image")
    (tmp_path / ".hidden").mkdir()
    return tmp_path


def test_images_of_classes(folder):
    images = ImageFolder(folder, size=(4, 5))
    assert images.classes == ["cat", "dog"] and images.targets == [0, 0, 0, 1, 1, 1] and len(images) == 6
    image, label = images[3]
    assert (
        image.shape == (3, 4, 5) and image.dtype == "float32" and image.min() >= 0 and image.max() <= 1 and label == 1
    )
    direct = np.asarray(Image.open(folder / "cat/b.png"))
    assert (read_image(folder / "cat/b.png") == direct).all()
    assert np.allclose(ImageFolder(folder)[0][0], direct.transpose(2, 0, 1) / 255)
    assert read_image(folder / "cat/b.png", "L").shape == direct.shape[:2]
    batches = [list(DataLoader(images, 4, shuffle=True, num_workers=n)) for n in (0, 2)]
    for (a, i), (b, j) in zip(*batches, strict=True):
        assert a.shape[1:] == (3, 4, 5) and (a.numpy() == b.numpy()).all() and i.tolist() == j.tolist()
    with pytest.raises(ValueError, match=r"\[collate\] sample\[0\]: expected samples of one shape"):
        list(DataLoader(ImageFolder(folder), 4))


def test_damaged_images_are_named_or_skipped(folder):
    whole = (folder / "cat/b.png").read_bytes()
    (folder / "cat/b.png").write_bytes(whole[: len(whole) // 2])
    (folder / "dog/b.png").write_text("<html>not found</html>")
    with pytest.raises(ValueError, match=r"cat/b.png' is not an image.*on_error='skip'"):
        ImageFolder(folder)[0]
    images = ImageFolder(folder, size=(4, 4), on_error="skip")
    labels = [int(label) for _, label in DataLoader(images, None)]
    assert labels == [0, 0, 0, 1, 1, 1]
    assert [path[-9:] for path in images.skipped] == ["cat/b.png", "dog/b.png"]
    for path, _ in images.samples:
        with open(path, "wb"):
            pass
    with pytest.raises(ValueError, match="none of the 6 images"):
        images[0]
    for wrong, error in ((folder / "cat/b.png", TypeError), (folder / ".hidden", TypeError)):
        with pytest.raises(error, match="a folder"):
            ImageFolder(wrong)
    (folder / "empty").mkdir()
    with pytest.raises(ValueError, match="got none in empty"):
        ImageFolder(folder)
    with pytest.raises(TypeError, match="'raise' or 'skip'"):
        ImageFolder(folder, on_error="ignore")


TEXT = """age,city,note,score,kind
31,Bern,"a ""quoted"", note",1.5,x
 7,NA,"two
lines",?,y
-2,Oslo,,2e3,x
"""


def test_tables(tmp_path):
    path = tmp_path / "people.csv"
    path.write_text("\ufeff" + TEXT.replace("\n", "\r\n", 1), encoding="utf-8")
    table = read_csv(path, target="kind", kinds={"note": "text"})
    kinds = {name: column.kind for name, column in table.columns.items()}
    assert kinds == {"age": "int", "city": "category", "note": "text", "score": "float", "kind": "category"}
    assert table.columns["note"].values == ['a "quoted", note', "two\nlines", ""]
    assert table.vocabularies == {"city": ["Bern", "Oslo"], "kind": ["x", "y"]}
    assert table.feature_names == ["age", "city", "score"]
    features, target = table.arrays()
    expected = [[31, 0, 1.5], [7, -1, np.nan], [-2, 1, 2000]]
    assert np.array_equal(features.numpy(), np.float32(expected), equal_nan=True) and target.tolist() == [0, 1, 0]
    for workers in (0, 1):
        (x, y), (x2, y2) = DataLoader(table, 2, num_workers=workers)
        assert np.array_equal(np.concatenate([x, x2]), np.float32(expected), equal_nan=True)
        assert y.tolist() + y2.tolist() == [0, 1, 0]
    x, y = table[2]
    assert x.tolist() == [-2, 1, 2000] and y == 0 and len(table) == 3
    plain = read_csv(path, vocabularies={"city": ["Oslo"], "kind": ["y", "x"]})
    assert plain[0]["city"] == -1 and plain[0]["kind"] == 1 and plain[2]["city"] == 0
    (batch,) = DataLoader(plain, 3)
    assert batch["age"].tolist() == [31, 7, -2] and batch["kind"].tolist() == [1, 0, 1]
    path.write_text("1;2\n\n3;4\n")
    assert read_csv(path, header=False, delimiter=";", target="1").arrays()[0].tolist() == [[1.0], [3.0]]


@pytest.mark.parametrize("text, options, said", [
    ("a,b\n1,2\n3\n", {}, "line 3: expected 2 fields, got 1"),
    ("a,b\n1,2\n\n3,4,5\n", {}, "line 4: expected 2 fields, got 3"),
    ("a,b\n1,2\nx,4\n", {"kinds": {"a": "float"}}, "line 3, column 'a': expected a number, got 'x'"),
    ("a,b\n1,2\n,4\n", {"kinds": {"a": "int"}}, "line 3, column 'a': expected a whole number, got ''.*float one"),
    ("a,b\n1,2\n1.5,4\n", {"kinds": {"a": "int"}}, "line 3, column 'a': expected a whole number, got '1.5'"),
    ("a,a\n1,2\n", {}, "got 'a' twice"),
    ("a,b\n", {}, "expected rows of data, got none"),
    ("", {}, "expected rows of data, got none"),
    ('a,b\n1,"2\n', {}, "line 2"),
    ("a,b\n1,2\n", {"target": "c"}, "no column 'c'; it has a, b"),
    ("a,b\n1,2\n", {"kinds": {"a": "date"}}, "one of int, float, category, text"),
])  # fmt: skip
def test_wrong_tables_are_named_by_line(tmp_path, text, options, said):
    path = tmp_path / "wrong.csv"
    path.write_text(text)
    with pytest.raises((ValueError, TypeError), match=said):
        read_csv(path, **options)


def test_data_frames():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": [1, 2], "b": [0.5, None], "c": ["x", None], "d": [True, False]})
    table = from_pandas(frame, target="d")
    assert table.feature_names == ["a", "b", "c"] and table.vocabularies == {"c": ["x"]}
    features, target = table.arrays()
    assert np.array_equal(features.numpy(), np.float32([[1, 0.5, 0], [2, np.nan, -1]]), equal_nan=True)
    assert target.tolist() == [1, 0]


def test_mapped_files(tmp_path):
    rows = np.random.default_rng(0).normal(size=(20, 3)).astype("float32")
    np.save(tmp_path / "rows.npy", rows)
    dataset = ArrayDataset(np.load(tmp_path / "rows.npy", mmap_mode="r"), np.arange(20))
    for workers in (0, 2):
        seen = [(x, y) for x, y in DataLoader(dataset, 6, shuffle=True, num_workers=workers)]
        order = np.concatenate([y.numpy() for _, y in seen])
        assert sorted(order) == list(range(20))
        assert (np.concatenate([x.numpy() for x, _ in seen]) == rows[order]).all()
    assert isinstance(seen[0][0], twain.Tensor)
