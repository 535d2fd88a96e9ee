"""TensorBoard event files, read back by other programs' readers."""

import math
import struct
import sys

import numpy as np
import pytest

import twain
from twain.board import SummaryWriter

pytest.importorskip("tensorboardX")


def summaries(folder):
    """{(tag, step): value message} of every event file: records of length, checksum, event, checksum."""
    from tensorboardX.proto.event_pb2 import Event

    found = {}
    for path in sorted(folder.glob("events.out.tfevents.*")):
        content, position = path.read_bytes(), 0
        while position < len(content):
            (length,) = struct.unpack_from("<Q", content, position)
            event = Event.FromString(content[position + 12 : position + 12 + length])
            position += 16 + length
            for value in event.summary.value:
                found[value.tag, event.step] = value
    return found


def write_all(folder):
    with SummaryWriter(folder) as writer:
        writer.add_scalar("loss", 0.5, 1)
        writer.add_scalar("loss", twain.asarray(0.25), 2)
        writer.add_scalar("loss", twain.ones((1, 1)).astype(twain.bfloat16), 3)
        writer.add_scalar("loss", float("nan"), 4)
        writer.add_scalars({"accuracy": np.float32(0.75), "rate": 3}, 1)
        writer.add_histogram("weights", twain.asarray([0.0, 1.0, 2.0, float("nan"), float("inf")]), 1)
        writer.add_histogram("none", twain.zeros((4,)), 1)
        writer.add_text("note", "# a *note*", 1)
        writer.flush()


def test_scalars_histograms_and_text(tmp_path):
    write_all(tmp_path / "new" / "run")
    found = summaries(tmp_path / "new" / "run")
    assert [found["loss", step].simple_value for step in (1, 2, 3)] == [0.5, 0.25, 1.0]
    assert math.isnan(found["loss", 4].simple_value)
    assert found["accuracy", 1].simple_value == 0.75 and found["rate", 1].simple_value == 3.0
    histogram = found["weights", 1].histo
    assert (histogram.num, histogram.min, histogram.max, histogram.sum) == (3, 0.0, 2.0, 3.0)
    assert any(tag.startswith("note") for tag, _ in found)


def test_images(tmp_path):
    pytest.importorskip("PIL")
    gradient = np.linspace(-0.5, 1.5, 12, dtype="float32").reshape(3, 4)
    with SummaryWriter(tmp_path) as writer:
        writer.add_image("grey", twain.asarray(gradient))
        writer.add_image("colour", np.zeros((3, 5, 6), "uint8"), 1)
        writer.add_image("mask", np.ones((1, 2, 2), bool), 1)
        writer.add_images("grid", twain.ones((4, 1, 8, 8)), 1)
    found = summaries(tmp_path)
    assert decoded(found["grey", 0])[..., 0].tolist() == np.rint(np.clip(gradient, 0, 1) * 255).astype(int).tolist()
    assert decoded(found["colour", 1]).shape[:2] == (5, 6)
    assert decoded(found["mask", 1]).min() == 255
    assert found["grid", 1].image.width >= 16


def decoded(value):
    import io

    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(value.image.encoded_image_string)).convert("RGB"))


def test_the_real_tensorboard_reads_it(tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    write_all(tmp_path)
    events = accumulator.EventAccumulator(str(tmp_path)).Reload()
    assert set(events.Tags()["scalars"]) == {"loss", "accuracy", "rate"}
    assert [(event.step, event.value) for event in events.Scalars("loss")][:3] == [(1, 0.5), (2, 0.25), (3, 1.0)]
    assert events.Histograms("weights")[0].histogram_value.num == 3
    assert b"# a *note*" in events.Tensors("note/text_summary")[0].tensor_proto.string_val[0]


def test_bad_input(tmp_path):
    writer = SummaryWriter(tmp_path)
    with pytest.raises(ValueError, match=r"add_scalar\] expected one number for 'x', got shape \(2,\)"):
        writer.add_scalar("x", twain.ones((2,)))
    with pytest.raises(ValueError, match=r"add_image\] expected shape \[H, W\] or \[C, H, W\].*\(2, 3, 3\)"):
        writer.add_image("x", twain.ones((2, 3, 3)))
    with pytest.raises(ValueError, match=r"expected shape \[N, C, H, W\]"):
        writer.add_images("x", twain.ones((3, 3)))
    with pytest.raises(TypeError, match="got int64"):
        writer.add_image("x", np.ones((3, 3), "int64"))
    for empty in ([], [float("nan")]):
        with pytest.raises(ValueError, match="expected finite values for 'x'"):
            writer.add_histogram("x", twain.asarray(np.asarray(empty, "float32")))
    writer.close()
    writer.close()
    with pytest.raises(ValueError, match=r"add_scalar\] expected an open writer"):
        writer.add_scalar("x", 1.0)


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ImportError, match="pip install tensorboardX"):
        SummaryWriter(tmp_path)
