"""Event files as tables and pages."""

import csv
import re

import pytest

from twain.board import SummaryWriter, read_scalars, write_html, write_picture
from twain.cli import main

pytest.importorskip("tensorboardX")


def test_the_command_writes_a_table_and_a_page(tmp_path, capsys):
    for run, scale in (("a", 1.0), ("b<", 2.0)):
        with SummaryWriter(tmp_path / "logs" / run) as writer:
            for step in (3, 1, 2):
                writer.add_scalar("loss", scale * step, step)
            writer.add_scalar("loss", float("nan"), 4)
            writer.add_text("note", "x")
    table, page = tmp_path / "all.csv", tmp_path / "all.html"
    assert main(["board", "export", str(tmp_path / "logs"), "--csv", str(table), "--html", str(page)]) == 0
    assert "8 numbers of 2 runs" in capsys.readouterr().out
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert [(r["run"], r["tag"], r["step"], r["value"]) for r in rows[4:]] == [
        ("b<", "loss", "1", "2"), ("b<", "loss", "2", "4"), ("b<", "loss", "3", "6"), ("b<", "loss", "4", "nan"),
    ]  # fmt: skip
    pytest.importorskip("matplotlib")
    assert main(["board", "export", str(tmp_path / "logs"), "--picture", str(tmp_path / "all.png")]) == 0
    assert (tmp_path / "all.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ValueError, match=r"named \.png"):
        write_picture(tmp_path / "x.gif", read_scalars(tmp_path / "logs"))
    text = page.read_text()
    assert text.count("<svg") == 1 and text.count("<polyline") == 2 and "b&lt;" in text and "b<" not in text
    assert "a, step 2: 2" in text and not re.search(r"(src|href)=", text)


def test_values_of_other_writers(tmp_path):
    from tensorboardX.proto.summary_pb2 import Summary, SummaryMetadata
    from tensorboardX.proto.tensor_pb2 import TensorProto

    plugin = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="scalars"))
    with SummaryWriter(tmp_path) as writer:
        for step, tensor in enumerate((TensorProto(dtype=1, float_val=[1.5]),
                                       TensorProto(dtype=1, tensor_content=b"\0\0\0\x40"))):  # fmt: skip
            writer._file.write(
                step=step, summary=Summary(value=[Summary.Value(tag="t", tensor=tensor, metadata=plugin)])
            )
    assert [p.value for p in read_scalars(tmp_path)["."]["t"]] == [1.5, 2.0]


def test_mistakes(tmp_path, capsys):
    with pytest.raises(FileNotFoundError, match="expected event files"):
        read_scalars(tmp_path)
    assert main(["board", "export", str(tmp_path), "--csv", "x.csv"]) == 1
    assert "expected event files" in capsys.readouterr().err
    with SummaryWriter(tmp_path) as writer:
        writer.add_text("only", "text")
    assert main(["board", "export", str(tmp_path)]) == 1
    assert "expected --csv FILE, --html FILE or --picture FILE" in capsys.readouterr().err
    write_html(tmp_path / "empty.html", read_scalars(tmp_path))
