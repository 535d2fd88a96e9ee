"""`twain train images` and `twain train table`, as somebody with a folder or a file would call them."""

import json

import numpy as np
import pytest

import twain
from twain.cli import main
from twain.cli.own_data import TableNetwork


@pytest.fixture
def folder(tmp_path):
    image = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(0)
    for name, channel in (("red", 0), ("blue", 2)):
        (tmp_path / "images" / name).mkdir(parents=True)
        for i in range(20):
            pixels = rng.integers(0, 60, (9 + i % 3, 11, 3), dtype=np.uint8)
            pixels[..., channel] += 150
            image.fromarray(pixels).save(tmp_path / "images" / name / f"{i}.png")
    return tmp_path / "images"


def test_images(folder, tmp_path, capsys):
    out = tmp_path / "out"
    settings = ["--size", "8", "--epochs", "4", "--out", str(out)]
    assert main(["train", "images", str(folder), *settings]) == 0
    told = capsys.readouterr().out
    assert "40 images of 2 classes: blue, red" in told
    assert "8 samples, 100.00 % right" in told
    assert {"weights.safetensors", "run.safetensors", "curves.html", "report.md", "model.json", "epochs.csv"} <= {
        path.name for path in out.iterdir()
    }
    assert json.loads((out / "model.json").read_text())["classes"] == ["blue", "red"]
    assert "| red |" in (out / "report.md").read_text()
    (folder / "red" / "bad.png").write_text("no image")
    assert main(["train", "images", str(folder), *settings]) == 1
    assert "bad.png" in capsys.readouterr().err
    assert main(["train", "images", str(folder), *settings, "--skip-unreadable"]) == 0
    assert "bad.png" in (out / "report.md").read_text()


def test_augmented_the_same_for_any_number_of_workers(folder, tmp_path, capsys):
    def weights(*settings):
        out = tmp_path / "out"
        assert main(["train", "images", str(folder), "--size", "8", "--epochs", "1", "--out", str(out), *settings]) == 0
        assert ("mirrored" in capsys.readouterr().out) is ("--no-augment" not in settings)
        return (out / "weights.safetensors").read_bytes()

    augmented = weights()
    assert weights("--workers", "2") == augmented
    assert weights("--no-augment") != augmented


def table(path, rows=240):
    rng = np.random.default_rng(1)
    lines = ["size,colour,price,kind"]
    for i in range(rows):
        size, colour = rng.uniform(1, 100), rng.choice(["red", "green, dark", "blue"])
        price = 3 * size + {"red": 0, "green, dark": 100, "blue": 200}[colour]
        kind = "dear" if price > 250 else "cheap"
        shown = "" if i % 20 == 7 else f"{size:.3f}"
        lines.append(f'{shown},"{colour}",{price:.2f},{kind}')
    path.write_text("\n".join(lines) + "\n")
    return path


def test_tables(tmp_path, capsys):
    file, out = table(tmp_path / "things.csv"), tmp_path / "out"
    assert (
        main(["train", "table", str(file), "--target", "kind", "--out", str(out), "--epochs", "30", "--lr", "0.01"])
        == 0
    )
    told = capsys.readouterr().out
    assert "240 rows, 3 columns to predict 'kind' from, which is one of 2 classes" in told
    assert float(told.split("48 samples, ")[1].split(" %")[0]) > 90
    facts = json.loads((out / "model.json").read_text())
    assert facts["classes"] == ["cheap", "dear"] and facts["vocabularies"]["colour"] == ["blue", "green, dark", "red"]
    network = TableNetwork([None, 3, None], 2)
    network.load_state_dict(twain.io.load_file(out / "weights.safetensors"))
    network.eval()
    guess = network(twain.asarray([[90.0, 0.0, 470.0], [2.0, 2.0, 6.0]])).argmax(axis=1).tolist()
    assert guess == [1, 0]
    assert (
        main(["train", "table", str(file), "--target", "price", "--out", str(out), "--epochs", "30", "--lr", "0.01"])
        == 0
    )
    told = capsys.readouterr().out
    assert "which is a number" in told
    assert float(told.split("(R2 ")[1].split(")")[0]) > 0.8


@pytest.mark.parametrize(
    "arguments,text",
    [
        (["images", "{}/nowhere"], "a folder for each class"),
        (["table", "{}/nowhere.csv", "--target", "x"], "No such file"),
        (["table", "{}/things.csv", "--target", "weight"], "has no column 'weight'; it has size, colour, price, kind"),
        (["table", "{}/things.csv", "--target", "kind", "--held-out", "1.5"], "--held-out between 0 and 1"),
    ],
)
def test_one_clear_line(arguments, text, tmp_path, capsys):
    table(tmp_path / "things.csv", 20)
    made = [a.format(tmp_path) for a in arguments]
    assert main(["train", *made, "--out", str(tmp_path / "out")]) == 1
    error = capsys.readouterr().err
    assert text in error and "Traceback" not in error
