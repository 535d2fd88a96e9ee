"""What fit writes through the TensorBoard callback."""

import numpy as np
import pytest

import twain
from twain import nn
from twain.board import event_files, read_events, read_scalars
from twain.train import Model, TensorBoard

pytest.importorskip("tensorboardX")
X = np.random.default_rng(0).standard_normal((24, 1, 2, 2)).astype("float32")
Y = (X[:, 0, 0, 0] > 0).astype("int64")


def fit(callback, **keywords):
    twain.random.seed(0)
    model = Model(nn.Sequential(nn.Flatten(), nn.Linear(4, 2))).compile("sgd", "cross_entropy", ["accuracy"], lr=0.5)
    return model.fit(X, Y, batch_size=8, verbose=0, callbacks=[callback], **keywords)


def test_a_folder_and_all_options(tmp_path):
    callback = TensorBoard(
        tmp_path, every_batches=2, histograms=2, sample=(X[:3], Y[:3]), names=["low", "high"], hparams={"width": 4},
    )  # fmt: skip
    history = fit(callback, epochs=2, validation_data=(X, Y))
    (path,) = event_files(tmp_path)
    series = read_scalars(tmp_path)["."]
    assert [p.step for p in series["batch/loss"]] == [2, 4, 6]
    assert [p.value for p in series["validation/loss"]] == pytest.approx(history["val_loss"])
    assert [p.value for p in series["training/lr"]] == [0.5, 0.5]
    events = list(read_events(path))
    assert sum(bool(e.graph_def) for e in events) == 1
    values = {(v.tag, e.step): v for e in events for v in e.summary.value}
    assert ("parameters/1.weight", 2) in values and ("parameters/1.weight", 1) not in values
    assert values["sample/images", 0].image.width == 2 * 2 + 2
    table = values["sample/predictions/text_summary", 2].tensor.string_val[0].decode()
    assert table.count("\n") == 4 and ("| low |" in table or "| high |" in table)
    start = values["_hparams_/session_start_info", 2].metadata.plugin_data.content
    assert b"width" in start and b"batch_size" in start and b"SGD" in start
    fit(callback, epochs=1)  # a second training opens a file of its own
    assert len(event_files(tmp_path)) == 2


def test_a_writer_stays_open_and_mistakes_are_named(tmp_path):
    with twain.board.SummaryWriter(tmp_path) as writer:
        fit(TensorBoard(writer), epochs=1)
        writer.add_scalar("after", 1.0)
    assert {"training/loss", "after"} <= set(read_scalars(tmp_path)["."])
    with pytest.raises(TypeError, match="expected a folder or a SummaryWriter, got int"):
        TensorBoard(3)
    with pytest.raises(ValueError, match="histograms of at least 1, got 0"):
        TensorBoard(tmp_path, histograms=0)
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError):
        fit(TensorBoard(tmp_path / "file"), epochs=1)
