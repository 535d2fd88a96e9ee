"""TensorBoard event files, read back by other programs' readers."""

import errno
import io
import math
import os
import pathlib
import struct
import sys
import wave

import numpy as np
import pytest

import twain
from twain import nn
from twain.base.errors import FileWriteError
from twain.board import SummaryWriter, event_files, read_events

pytest.importorskip("tensorboardX")


def summaries(folder):
    """{(tag, step): value message} of every event file: records of length, checksum, event, checksum."""
    found = {}
    for event in events(folder):
        for value in event.summary.value:
            found[value.tag, event.step] = value
    return found


def events(folder):
    from tensorboardX.proto.event_pb2 import Event

    for path in sorted(folder.glob("events.out.tfevents.*")):
        content, position = path.read_bytes(), 0
        while position < len(content):
            (length,) = struct.unpack_from("<Q", content, position)
            yield Event.FromString(content[position + 12 : position + 12 + length])
            position += 16 + length


def write_all(folder):
    with SummaryWriter(folder) as writer:
        writer.add_scalar("loss", 0.5, 1)
        writer.add_scalar("loss", twain.asarray(0.25), 2)
        writer.add_scalar("loss", twain.ones((1, 1)).astype(twain.bfloat16), 3)
        writer.add_scalar("loss", float("nan"), 4)
        writer.add_scalar("accuracy", np.float32(0.75), 1)
        writer.add_scalar("rate", 3, twain.asarray(1))
        writer.add_scalars("both/loss", {"train": 0.5, "test": 0.75}, 1)
        writer.add_histogram("weights", twain.asarray([0.0, 1.0, 2.0, float("nan"), float("inf")]), 1)
        writer.add_histogram("none", twain.zeros((4,)), 1)
        writer.add_text("note", "# a *note*", 1)
        writer.flush()


def test_scalars_histograms_and_text(tmp_path):
    write_all(tmp_path / "new" / "run")
    found = summaries(tmp_path / "new" / "run")
    assert [found["loss", step].simple_value for step in (1, 2, 3)] == [0.5, 0.25, 1.0]
    assert math.isnan(found["loss", 4].simple_value)
    for name, number in (("train", 0.5), ("test", 0.75)):
        assert summaries(tmp_path / "new" / "run" / f"both_loss_{name}")["both/loss", 1].simple_value == number
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


def test_layouts_and_grids(tmp_path):
    pytest.importorskip("PIL")
    image = np.random.default_rng(0).integers(0, 255, (4, 5, 3)).astype("uint8")
    with SummaryWriter(tmp_path) as writer:
        writer.add_image("hwc", image, layout="HWC")
        writer.add_images("nhw", np.stack([np.full((2, 3), i, "uint8") for i in range(5)]), layout="NHW", columns=2)
        writer.add_image("clear", np.full((4, 2, 2), 7, "uint8"))
    found = summaries(tmp_path)
    assert (decoded(found["hwc", 0]) == image).all()
    cells = decoded(found["nhw", 0])[..., 0]
    assert cells.shape == (3 * 2 + 2 * 2, 2 * 3 + 2)
    assert [cells[r * 4, c * 5] for r in range(3) for c in range(2)] == [0, 1, 2, 3, 4, 0]


def test_audio(tmp_path):
    sound = np.sin(np.linspace(0, 60, 801)).astype("float32")
    with SummaryWriter(tmp_path) as writer:
        writer.add_audio("mono", twain.asarray(sound), 1, sample_rate=8000)
        writer.add_audio("two", np.stack([sound, np.full_like(sound, 2.0)]), 1)
        for bad in (np.zeros((3,), "int16"), np.zeros((0,), "float32"), np.zeros((9, 3), "float32")):
            with pytest.raises((TypeError, ValueError), match="add_audio] expected"):
                writer.add_audio("x", bad)
        with pytest.raises(ValueError, match="sample rate"):
            writer.add_audio("x", sound, sample_rate=0)
    audio = summaries(tmp_path)["mono", 1].audio
    assert (audio.sample_rate, audio.num_channels, audio.length_frames) == (8000, 1, 801)
    with wave.open(io.BytesIO(audio.encoded_audio_string)) as file:
        heard = np.frombuffer(file.readframes(801), "<i2") / 32767
    assert np.abs(heard - sound).max() < 1e-4
    with wave.open(io.BytesIO(summaries(tmp_path)["two", 1].audio.encoded_audio_string)) as file:
        both = np.frombuffer(file.readframes(801), "<i2").reshape(-1, 2)
    assert (both[:, 1] == 32767).all() and np.abs(both[:, 0] / 32767 - sound).max() < 1e-4


def test_parameters_and_gradients(tmp_path):
    net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    net(twain.ones((2, 3))).sum().backward()
    with twain.no_grad():
        net[2].bias.assign(twain.asarray(np.asarray([np.nan, np.inf], "float32")))
    with SummaryWriter(tmp_path) as writer:
        writer.add_parameters(net, 5)
        with pytest.raises(TypeError, match="expected a Module"):
            writer.add_parameters([1])
    found = summaries(tmp_path)
    assert found["parameters/0.weight", 5].histo.num == 12
    assert found["gradients/2.weight", 5].histo.sum == pytest.approx(float(net[2].weight.grad.sum()), rel=1e-5)
    assert found["not finite/parameters/2.bias", 5].simple_value == 2
    assert ("parameters/2.bias", 5) not in found


def test_pr_curve_mesh_and_figure(tmp_path):
    labels, scores = np.asarray([0, 1, 1, 0]), np.asarray([0.125, 0.875, 0.375, 0.625], "float32")
    with SummaryWriter(tmp_path) as writer:
        writer.add_pr_curve("pr", twain.asarray(labels), twain.asarray(scores), 3, thresholds=11)
        for bad in (
            [(labels, scores[:2]), "one shape"],
            [(labels + 1, scores), "labels 0 or 1"],
            [(labels, -scores), r"\[0, 1\]"],
        ):
            with pytest.raises(ValueError, match=bad[1]):
                writer.add_pr_curve("x", *bad[0])
        writer.add_mesh("mesh", np.random.default_rng(0).standard_normal((1, 5, 3)), faces=np.zeros((1, 2, 3), int))
        with pytest.raises(ValueError, match="vertices of shape"):
            writer.add_mesh("x", np.zeros((5, 3)))
        pyplot = pytest.importorskip("matplotlib.pyplot")
        figure = pyplot.figure(figsize=(2, 1), dpi=50)
        writer.add_figure("figure", figure, 2)
        assert not pyplot.fignum_exists(figure.number)
    found = summaries(tmp_path)
    tensor = found["pr", 3].tensor
    table = np.asarray(tensor.float_val).reshape([d.size for d in tensor.tensor_shape.dim])
    for i, threshold in enumerate(np.linspace(0, 1, 11)):
        hit = np.floor(scores * 10) >= i - 1e-9
        assert table[0, i] == (hit & (labels == 1)).sum() and table[1, i] == (hit & (labels == 0)).sum(), threshold
    assert (found["figure", 2].image.width, found["figure", 2].image.height) == (100, 50)
    assert any(tag.startswith("mesh") for tag, _ in found)


def test_embedding_files(tmp_path):
    image = pytest.importorskip("PIL.Image")
    vectors = np.random.default_rng(0).standard_normal((5, 3)).astype("float32")
    thumbnails = np.arange(5, dtype="uint8")[:, None, None] * np.ones((5, 4, 4), "uint8")
    with SummaryWriter(tmp_path) as writer:
        writer.add_embedding(twain.asarray(vectors), ["a\tb", "c", "d", "e", "f"], thumbnails, 7, "my words")
        writer.add_embedding(vectors, [[i, "x"] for i in range(5)], tag="table", header=["number", "word"])
        writer.add_embedding(vectors, tag="table")  # takes the place of the one before
        with pytest.raises(ValueError, match="for each of 5 vectors, got 2"):
            writer.add_embedding(vectors, ["a", "b"])
        with pytest.raises(ValueError, match="for each of 5 vectors, got 2"):
            writer.add_embedding(vectors, images=thumbnails[:2])
        with pytest.raises(ValueError, match="finite"):
            writer.add_embedding(vectors * np.nan)
        with pytest.raises(ValueError, match=r"\[N, D\]"):
            writer.add_embedding(vectors[0])
    config = (tmp_path / "projector_config.pbtxt").read_text()
    assert config.count("embeddings {") == 2 and "metadata_path" in config.splitlines()[0]
    place = tmp_path / "00007" / "my_words"
    assert (np.frombuffer((place / "tensors.bytes").read_bytes(), "<f4").reshape(5, 3) == vectors).all()
    assert (place / "metadata.tsv").read_text() == "a b\nc\nd\ne\nf\n"
    sprite = np.asarray(image.open(place / "sprite.png"))[..., 0]
    assert sprite.shape == (12, 12) and [sprite[i // 3 * 4, i % 3 * 4] for i in range(5)] == [0, 1, 2, 3, 4]


def test_hparams(tmp_path):
    from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData

    with SummaryWriter(tmp_path) as writer:
        settings = {"lr": twain.asarray(0.5), "optimizer": "adam", "amp": True, "act": twain.relu, "off": None}
        writer.add_hparams(
            {**settings, "act": "relu"}, {"best": 0.75}, {"lr": (0.1, 1), "optimizer": ["adam", "sgd"]}, step=3
        )
        with pytest.raises(ValueError, match="name the runs"):
            writer.add_hparams({"lr": 1}, {})
        writer.add_hparams({"lr": 1}, {"best": 0.25}, run="second")
        with pytest.raises(ValueError, match="domains of lr, got one of 'x'"):
            writer.add_hparams({"lr": 1}, {}, {"x": [1]}, run="third")
        with pytest.raises(TypeError, match="got list for 'lr'"):
            writer.add_hparams({"lr": [1]}, {}, run="third")
    found = summaries(tmp_path)
    assert found["best", 3].simple_value == 0.75
    assert summaries(tmp_path / "second")["best", 0].simple_value == 0.25

    def data(tag):
        return HParamsPluginData.FromString(found[f"_hparams_/{tag}", 3].metadata.plugin_data.content)

    start = data("session_start_info").session_start_info.hparams
    assert start["lr"].number_value == 0.5 and start["optimizer"].string_value == "adam" and start["amp"].bool_value
    assert set(start) == {"lr", "optimizer", "amp", "act"}
    infos = {info.name: info for info in data("experiment").experiment.hparam_infos}
    assert infos["lr"].domain_interval.max_value == 1
    assert [v.string_value for v in infos["optimizer"].domain_discrete.values] == ["adam", "sgd"]


def test_a_graph_has_boxes_of_modules_and_edges_between_ops(tmp_path):
    from tensorboardX.proto.graph_pb2 import GraphDef

    class Net(nn.Module):
        def __init__(self):
            self.body = nn.Sequential(nn.Linear(3, 3), nn.ReLU())
            self.table = twain.ones((3,))

        def forward(self, x, extra):
            h = self.body(self.body(x["a"])) * 2.0 + self.table
            return {"h": h, "extra": extra["b"]}

    with SummaryWriter(tmp_path) as writer:
        writer.add_graph(Net(), {"a": np.ones((2, 3), "float32")}, extra={"b": twain.ones((1,))})
        with pytest.raises(TypeError, match="expected a Module"):
            writer.add_graph(len)
    (graph,) = [GraphDef.FromString(e.graph_def) for e in events(tmp_path) if e.graph_def]
    nodes = {node.name: node for node in graph.node}
    assert len(nodes) == len(graph.node)
    assert all(name.split(":")[0] in nodes for node in graph.node for name in node.input)
    first = nodes["Net/Sequential[body]/Linear[0]/linear"]
    assert list(first.input) == ["x[_a_]", *(f"Net/Sequential[body]/Linear[0]/{n}" for n in ("weight", "bias"))]
    assert [d.size for d in first.attr["_output_shapes"].list.shape[0].dim] == [2, 3]
    assert first.attr["module"].s == b"body.0" and first.attr["dtype"].type == 1
    second = nodes["Net/Sequential[body]_1/Linear[0]_1/linear"]
    assert list(second.input)[1:] == list(first.input)[1:]
    assert list(nodes["Net/multiply"].input) == ["Net/Sequential[body]_1/ReLU[1]_1/relu", "Net/number"]
    assert nodes["Net/number"].attr["value"].f == 2.0
    assert list(nodes["Net/add"].input) == ["Net/multiply", "Net/constant"]
    assert list(nodes["output[_h_]"].input) == ["Net/add"]


def test_bad_input(tmp_path):
    writer = SummaryWriter(tmp_path)
    with pytest.raises(ValueError, match=r"add_scalar\] expected one number for 'x', got shape \(2,\)"):
        writer.add_scalar("x", twain.ones((2,)))
    with pytest.raises(ValueError, match="expected one number for 'x', got 'text'"):
        writer.add_scalar("x", "text")
    with pytest.raises(TypeError, match=r"expected a whole number as step, got 0\.5"):
        writer.add_scalar("x", 1, 0.5)
    with pytest.raises(TypeError, match=r"expected \{name: number\}"):
        writer.add_scalars("x", 1.0)
    with pytest.raises(ValueError, match=r"add_image\] expected shape \[H, W\] or \[C, H, W\].*\(2, 3, 3\)"):
        writer.add_image("x", twain.ones((2, 3, 3)))
    with pytest.raises(ValueError, match=r"expected shape \[N, C, H, W\]"):
        writer.add_images("x", twain.ones((3, 3)))
    with pytest.raises(ValueError, match="layout of H, W"):
        writer.add_image("x", np.ones((3, 3)), layout="XHC")
    with pytest.raises(TypeError, match="got int64"):
        writer.add_image("x", np.ones((3, 3), "int64"))
    for empty in ([], [float("nan")]):
        with pytest.raises(ValueError, match="expected finite values for 'x'"):
            writer.add_histogram("x", twain.asarray(np.asarray(empty, "float32")))
    with pytest.raises(TypeError, match="real numbers"):
        writer.add_histogram("x", np.ones((2,), "complex64"))
    writer.close()
    writer.close()
    image, net = np.ones((3, 3)), nn.Linear(2, 2)
    calls = {
        "add_scalar": ("x", 1.0), "add_scalars": ("x", {"a": 1.0}), "add_histogram": ("x", image), "add_text": ("x", ""),
        "add_image": ("x", image), "add_images": ("x", image[None, None]), "add_audio": ("x", image[0]), "flush": (),
        "add_parameters": (net,), "add_graph": (net, np.ones((1, 2), "float32")), "add_embedding": (image,),
        "add_hparams": ({}, {}), "add_pr_curve": ("x", [1], [1.0]), "add_mesh": ("x", image[None]), "add_figure": ("x", None),
    }  # fmt: skip
    for name, arguments in calls.items():
        with pytest.raises(ValueError, match=rf"SummaryWriter.{name}\] expected an open writer"):
            getattr(writer, name)(*arguments)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_is_an_error_that_names_the_file(tmp_path):
    writer = SummaryWriter(tmp_path)
    full = open("/dev/full", "wb")  # noqa: SIM115
    writer._file._file.close()
    writer._file._file = full
    with pytest.raises(FileWriteError, match=r"can't write .*tfevents.*No space left") as caught:
        for step in range(1000):
            writer.add_scalar("x", 1.0, step)
        writer.flush()
    assert caught.value.errno == errno.ENOSPC
    with pytest.raises(FileWriteError):
        writer.close()
    writer.close()


def test_written_events_survive_a_kill_and_half_a_record_is_left_out(tmp_path):
    with SummaryWriter(tmp_path) as writer:
        for step in range(5):
            writer.add_scalar("x", step, step)
        path = pathlib.Path(writer._file.path)
    content = path.read_bytes()
    for cut in (1, 5, 20):
        path.write_bytes(content[:-cut])
        assert [e.step for e in read_events(path) if e.summary.value] == [0, 1, 2, 3]
    damaged = bytearray(content)
    damaged[-10] ^= 1
    path.write_bytes(damaged)
    assert [e.step for e in read_events(path) if e.summary.value] == [0, 1, 2, 3]
    assert event_files(tmp_path) == [path]


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ImportError, match="pip install tensorboardX"):
        SummaryWriter(tmp_path)
