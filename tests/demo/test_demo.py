"""The demos and the command line, as a user runs them, cut short."""

import csv
import json
import subprocess
import sys

import pytest

import twain
from twain.cli import main as twain_command
from twain.demo.command import main as demo


@pytest.fixture(autouse=True)
def settings():
    eager = twain.config.eager
    yield
    twain.config.eager = eager


def test_digits(tmp_path, capsys):
    assert demo(["--epochs", "2", "--out", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert "1,347 to learn from, 450 held out" in told
    assert "epoch 2/2" in told and "images/s" in told and "Test accuracy" in told and "Next:" in told
    assert set(twain.io.load_file(tmp_path / "digits.safetensors")) == {
        "0.weight", "0.bias", "3.weight", "3.bias", "8.weight", "8.bias",
    }  # fmt: skip
    assert twain.io.load(tmp_path / "digits-run.safetensors")["epoch"] == 2


def test_digits_fits_a_terminal_of_80_columns(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert demo(["--epochs", "1"]) == 0
    told = capsys.readouterr().out
    assert "demo-output" in told
    assert [line for line in told.split("\n") if len(line.split("\r")[-1]) > 79] == []


def test_digits_eager_agrees_with_compiled(tmp_path):
    for name, options in (("compiled", []), ("eager", ["--eager"])):
        assert demo(["--epochs", "2", "--out", str(tmp_path / name), *options]) == 0
        twain.config.eager = False
    a, b = (list(csv.DictReader((tmp_path / n / "digits.csv").read_text().splitlines())) for n in ("compiled", "eager"))
    for x, y in zip(a, b, strict=True):
        assert float(x["loss"]) == pytest.approx(float(y["loss"]), rel=1e-3)
        assert float(x["val_accuracy"]) == pytest.approx(float(y["val_accuracy"]), abs=0.01)


def test_text(tmp_path, capsys):
    assert demo(["text", "på", "norsk", "språk", "--epochs", "1", "--out", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert told.count("held-out accuracy") == 4
    assert "All four ways end with the same parameters" in told
    assert "på norsk språk: Norwegian" in told


def test_wrong_options(capsys):
    for arguments, text in (
        (["digits", "hello"], " text hello"),
        (["--epochs", "0"], "at least 1"),
    ):
        with pytest.raises(SystemExit) as stop:
            demo(arguments)
        assert stop.value.code == 2
        assert text in capsys.readouterr().err


def test_info(capsys):
    assert twain_command(["info"]) == 0
    told = capsys.readouterr().out
    for word in ("versions", "devices", "instruction set", "features", "threads", "kernel cache", "MB"):
        assert word in told
    assert twain_command(["info", "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)) == {"versions", "devices", "processor", "threads", "kernel cache"}


def test_train_and_resume(tmp_path, capsys):
    short = ["train", "digits", "--model", "linear", "--batch-size", "64"]
    assert twain_command([*short, "--epochs", "2", "--out", str(tmp_path)]) == 0
    assert "held out: loss" in capsys.readouterr().out
    assert twain_command([*short, "--epochs", "3", "--resume", str(tmp_path / "run.safetensors")]) == 0
    assert "epoch 3/3" in capsys.readouterr().out
    assert twain_command([*short, "--resume", str(tmp_path / "none.safetensors")]) == 1
    assert "none.safetensors" in capsys.readouterr().err


def test_python_m_twain():
    found = subprocess.run([sys.executable, "-m", "twain", "--version"], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == f"twain {twain.__version__}"
