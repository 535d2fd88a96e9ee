"""Callbacks and the progress bar."""

import csv
import io

import numpy as np
import pytest

import twain
from twain import nn, optim
from twain.train import (
    Callback,
    Checkpoint,
    CSVLogger,
    Curves,
    EarlyStopping,
    LambdaCallback,
    LRSchedule,
    Model,
    ProgressBar,
    TensorBoard,
    TimeLimit,
)

X = np.random.default_rng(0).standard_normal((40, 4)).astype("float32")
Y = (X[:, 0] > 0).astype("int64")


def model(dropout=0.0):
    twain.random.seed(0)
    net = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(dropout), nn.Linear(8, 2))
    return Model(net).compile("adam", "cross_entropy", ["accuracy"], lr=0.05)


def test_order_of_calls():
    calls = []

    class Log(Callback):
        def on_train_begin(self, logs):
            calls.append("begin")

        def on_epoch_begin(self, epoch, logs):
            calls.append(f"epoch {epoch}")

        def on_batch_begin(self, batch, logs):
            calls.append(f"batch {batch} of {logs['size']}")

        def on_batch_end(self, batch, logs):
            assert float(logs["loss"]) > 0
            calls.append("end")

        def on_epoch_end(self, epoch, logs):
            calls.append(f"loss {sorted(logs)}")

        def on_train_end(self, logs):
            calls.append("finished")

    model().fit(X, Y, batch_size=25, verbose=0, callbacks=[Log()])
    assert calls == [
        "begin", "epoch 0", "batch 0 of 25", "end", "batch 1 of 15", "end", "loss ['accuracy', 'loss']", "finished",
    ]  # fmt: skip


def test_functions_as_callbacks():
    seen = []
    model().fit(X, Y, epochs=2, verbose=0, callbacks=[LambdaCallback(on_epoch_end=lambda e, logs: seen.append(e))])
    assert seen == [0, 1]
    with pytest.raises(TypeError, match="on_epoch_end"):
        LambdaCallback(on_epoch=print)


def test_early_stopping_restores_the_best():
    class Script(Callback):
        """Puts numbers of its own into the logs."""

        values = (1.0, 0.5, 0.6, 0.7, 0.1)

        def on_epoch_end(self, epoch, logs):
            logs["val_loss"] = self.values[epoch]
            kept.append(self.model.state_dict()["0.weight"].tolist())

    kept = []
    stop = EarlyStopping(patience=2, restore_best_weights=True)
    m = model()
    history = m.fit(X, Y, epochs=5, verbose=0, callbacks=[Script(), stop])
    assert history["val_loss"] == [1.0, 0.5, 0.6, 0.7]
    assert stop.stopped_epoch == 3
    assert m.state_dict()["0.weight"].tolist() == kept[1]


def test_checkpoints_of_the_best_and_of_each_epoch(tmp_path):
    best = Checkpoint(tmp_path / "best.safetensors", save_best_only=True, monitor="accuracy")
    each = Checkpoint(tmp_path / "deeper" / "epoch-{epoch}.safetensors", every=2)
    m = model()
    history = m.fit(X, Y, epochs=4, verbose=0, callbacks=[best, each])
    assert sorted(p.name for p in (tmp_path / "deeper").iterdir()) == ["epoch-2.safetensors", "epoch-4.safetensors"]
    assert best.best == max(history["accuracy"])
    state = twain.io.load(tmp_path / "deeper" / "epoch-4.safetensors")
    assert state["epoch"] == 4
    assert state["model"]["0.weight"].tolist() == m.state_dict()["0.weight"].tolist()
    assert state["history"]["history"]["loss"] == history["loss"]


@pytest.mark.parametrize("every_batches", [None, 2])
def test_resuming_gives_the_same_bits_with_everything_that_has_a_state(tmp_path, every_batches):
    def callbacks(path=None):
        found = [LRSchedule(lambda o: optim.ExponentialLR(o, 0.8)), EarlyStopping("loss", patience=9)]
        return found if path is None else [*found, Checkpoint(path, every_batches=every_batches)]

    straight = model(0.3)
    expected = straight.fit(X, Y, epochs=6, batch_size=16, verbose=0, callbacks=callbacks())
    path = tmp_path / "run.safetensors"
    model(0.3).fit(X, Y, epochs=3, batch_size=16, verbose=0, callbacks=callbacks(path))
    twain.random.seed(1234)
    resumed = Model(nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.3), nn.Linear(8, 2))).compile(
        "adam", "cross_entropy", ["accuracy"], lr=0.7
    )
    history = resumed.fit(X, Y, epochs=6, batch_size=16, verbose=0, callbacks=callbacks(), resume=path)
    for (name, a), (_, b) in zip(resumed.state_dict().items(), straight.state_dict().items(), strict=True):
        assert a.tolist() == b.tolist(), name
    assert history.history == expected.history
    assert resumed.optimizer.param_groups[0]["lr"] == straight.optimizer.param_groups[0]["lr"]


def test_csv(tmp_path):
    path = tmp_path / "log.csv"
    history = model().fit(X, Y, epochs=2, verbose=0, callbacks=[CSVLogger(path)])
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert [row["epoch"] for row in rows] == ["0", "1"]
    assert [float(row["loss"]) for row in rows] == history["loss"]
    model().fit(X, Y, epochs=1, verbose=0, callbacks=[CSVLogger(path, append=True)])
    assert len(path.read_text().splitlines()) == 4


def test_tensorboard():
    class Writer:
        def __init__(self):
            self.rows = []

        def add_scalar(self, tag, value, step):
            self.rows.append((tag, value, step))

        def flush(self):
            self.rows.append("flushed")

    writer = Writer()
    history = model().fit(X, Y, epochs=1, validation_data=(X, Y), verbose=0, callbacks=[TensorBoard(writer)])
    assert ("training/loss", history["loss"][0], 1) in writer.rows
    assert ("validation/accuracy", history["val_accuracy"][0], 1) in writer.rows
    assert writer.rows[-1] == "flushed"


def test_schedules_move_the_rate():
    m = model()
    history = m.fit(X, Y, epochs=3, verbose=0, callbacks=[LRSchedule(lambda o: optim.StepLR(o, 1, 0.5))])
    assert history["lr"] == [0.05, 0.025, 0.0125]
    m = model()
    plateau = LRSchedule(lambda o: optim.ReduceLROnPlateau(o, patience=0, threshold=1e9), monitor="loss")
    m.fit(X, Y, epochs=3, verbose=0, callbacks=[plateau])
    assert m.optimizer.param_groups[0]["lr"] < 0.05


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


def test_the_progress_bar_on_a_terminal(monkeypatch):
    monkeypatch.setattr("twain.train.progress.REFRESH", 0.0)
    monkeypatch.setenv("COLUMNS", "120")
    stream = Terminal()
    model().fit(X, Y, epochs=2, batch_size=16, verbose=0, callbacks=[ProgressBar(stream=stream)])
    text = stream.getvalue()
    assert text.count("\n") == 2
    last = text.split("\n")[1].split("\r")[-1]
    assert last.startswith("epoch 2/2  loss 0.") and " %" in last and "samples/s" in last
    assert "1/3" in text and "3/3" in text and "\u2501" in text
    assert max(len(part) for line in text.split("\n") for part in line.split("\r")) < 120


def test_a_narrow_terminal_gets_lines_broken_between_items(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    stream = Terminal()
    model().fit(X, Y, epochs=1, validation_data=(X, Y), verbose=0, callbacks=[ProgressBar(stream=stream)])
    lines = [line.split("\r")[-1] for line in stream.getvalue().strip("\n").split("\n")]
    assert len(lines) > 1 and max(map(len, lines)) < 40
    assert lines[0].startswith("epoch 1/1  loss 0.") and all(line.startswith(" " * 11) for line in lines[1:])
    assert "  ".join(line.strip() for line in lines).count("val_loss 0.") == 1 and lines[-1].endswith("samples/s")


def test_the_progress_bar_elsewhere():
    stream = io.StringIO()
    model().fit(X, Y, epochs=2, verbose=0, callbacks=[ProgressBar(stream=stream)])
    lines = stream.getvalue().splitlines()
    assert len(lines) == 2 and "\r" not in stream.getvalue()
    assert lines[0].startswith("epoch 1/2  loss ")


def test_images_are_called_images():
    stream = io.StringIO()
    twain.random.seed(0)
    m = Model(nn.Sequential(nn.Flatten(), nn.Linear(4, 2))).compile("sgd", "cross_entropy")
    m.fit(X.reshape(40, 1, 2, 2), Y, verbose=0, callbacks=[ProgressBar(stream=stream)])
    assert "images/s" in stream.getvalue()


def test_curves_weights_and_limits(tmp_path):
    m = model()
    page, weights = tmp_path / "curves.html", tmp_path / "w-{epoch}.safetensors"
    history = m.fit(
        X, Y, epochs=4, verbose=0, validation_split=0.25,
        callbacks=[Curves(page, "A <run>"), Checkpoint(weights, weights_only=True, keep=2)],
    )  # fmt: skip
    text = page.read_text()
    assert "A &lt;run&gt;" in text and text.count("<svg") == 2
    assert f"validation, epoch 4: {history['val_loss'][3]:.6g}" in text
    assert "<script" not in text and "http" not in text
    assert sorted(p.name for p in tmp_path.glob("w-*")) == ["w-3.safetensors", "w-4.safetensors"]
    saved = twain.io.load_file(tmp_path / "w-4.safetensors")
    assert (saved["0.weight"].numpy() == m.module[0].weight.detach().numpy()).all()
    assert dict(history) == history.history and "loss" in history and len(history) == 4
    history.plot(tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes()[:4] == b"\x89PNG"
    with pytest.raises(TypeError, match=r"\.png, \.svg, \.pdf or \.html, got"):
        history.plot(tmp_path / "curves.gif")
    history = model().fit(X, Y, epochs=50, verbose=0, batch_size=4, callbacks=[TimeLimit(1e-6)])
    assert len(history.epoch) == 1
    with pytest.raises(ValueError, match="seconds above 0"):
        TimeLimit(0)


def test_better_means_what_the_metric_says():
    m = model().compile("adam", "cross_entropy", ["mae", "r2"])
    stop = EarlyStopping("val_r2")
    for name, rising in (("val_r2", True), ("val_loss", False), ("mae", False), ("my_accuracy", True)):
        watcher = EarlyStopping(name)
        watcher.model = m
        assert watcher._rising() is rising
    assert stop.mode == "auto"
