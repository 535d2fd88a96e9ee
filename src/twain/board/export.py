"""The scalars of event files as a table (CSV), and as a page of curves."""

from __future__ import annotations

import csv
import html
import io
import math
import os
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from twain.io.atomic import atomic_write
from twain.train.curves import drawing, style

from .events import event_files, read_events

# Distinct also for the colour-blind (Okabe, Ito 2008).
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")


class Point(NamedTuple):
    """One number of a series."""

    step: int
    wall_time: float  # seconds since 1970
    value: float


Series = Mapping[str, Mapping[str, Sequence[Point]]]


def read_scalars(folder: str | os.PathLike[str]) -> dict[str, dict[str, list[Point]]]:
    """{run: {tag: points by step}} of all event files below a folder; runs are folders, "." the folder itself.

    Raises:
        FileNotFoundError: there is no event file.
    """
    files = event_files(folder)
    if not files:
        raise FileNotFoundError(
            f"[read_scalars] expected event files (*tfevents*) below {os.fspath(folder)!r}, got none"
        )
    found: dict[str, dict[str, list[Point]]] = {}
    for path in files:
        run = path.parent.relative_to(Path(folder)).as_posix()
        for event in read_events(path):
            for value in event.summary.value:
                number = _number(value)
                if number is not None:
                    point = Point(event.step, event.wall_time, number)
                    found.setdefault(run, {}).setdefault(value.tag, []).append(point)
    for tags in found.values():
        for points in tags.values():
            points.sort(key=lambda p: (p.step, p.wall_time))
    return found


def _number(value: Any) -> float | None:
    """A scalar's value, as this package and PyTorch write it or as TensorFlow does (a tensor); None for anything else."""
    kind = value.WhichOneof("value")
    if kind == "simple_value":
        return value.simple_value
    if kind == "tensor" and value.metadata.plugin_data.plugin_name == "scalars":
        tensor = value.tensor
        for numbers in (tensor.float_val, tensor.double_val):
            if len(numbers) == 1:
                return numbers[0]
        form = {1: "<f", 2: "<d"}.get(tensor.dtype)
        if form and len(tensor.tensor_content) == struct.calcsize(form):
            return struct.unpack(form, tensor.tensor_content)[0]
    return None


def write_csv(path: str | os.PathLike[str], series: Series) -> None:
    """A line per number: run, tag, step, wall time, value (to the last digit of float32)."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("run", "tag", "step", "wall_time", "value"))
    for run, tags in sorted(series.items()):
        for tag, points in sorted(tags.items()):
            writer.writerows((run, tag, p.step, f"{p.wall_time:.6f}", f"{p.value:.9g}") for p in points)
    with atomic_write(path, "write_csv") as file:
        file.write(text.getvalue().encode())


def write_html(path: str | os.PathLike[str], series: Series, title: str = "TensorBoard") -> None:
    """A page of its own with a panel per tag, a curve per run."""
    runs = sorted(series)
    colours = {run: COLOURS[i % len(COLOURS)] for i, run in enumerate(runs)}
    panels = []
    for tag in sorted({tag for tags in series.values() for tag in tags}):
        curves = [
            (run, colours[run], [(p.step, p.value) for p in series[run][tag] if math.isfinite(p.value)])
            for run in runs
            if tag in series[run]
        ]
        panels.append(f"<figure>{drawing(tag, curves, 'step')}</figure>")
    key = "".join(f'<span style="color:{colours[run]}">&#9679; {html.escape(run)}</span> ' for run in runs)
    page = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>{style()}</style></head><body>
<h1>{html.escape(title)}</h1><p>{key}</p><div class="panels">{"".join(panels)}</div></body></html>
"""
    with atomic_write(path, "write_html") as file:
        file.write(page.encode())


def write_picture(path: str | os.PathLike[str], series: Series, title: str = "TensorBoard") -> None:
    """The same by Matplotlib, as .png, .svg or .pdf.

    Raises:
        ImportError: Matplotlib is not installed.
        ValueError: another kind of file.
    """
    kind = os.path.splitext(os.fspath(path))[1].lower()
    if kind not in (".png", ".svg", ".pdf"):
        raise ValueError(f"[write_picture] expected a file named .png, .svg or .pdf, got {os.fspath(path)!r}")
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError(
            '[write_picture] expected Matplotlib (pip install "twain[demo]"); write_html needs nothing'
        ) from None
    runs = sorted(series)
    tags = sorted({tag for found in series.values() for tag in found})
    columns = max(1, min(3, len(tags)))
    rows = max(1, math.ceil(len(tags) / columns))
    figure = Figure(figsize=(4.6 * columns, 3.0 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title)
    for number, tag in enumerate(tags, start=1):
        axes = figure.add_subplot(rows, columns, number)
        for i, run in enumerate(runs):
            points = series[run].get(tag, ())
            if points:
                mark = "o" if len(points) == 1 else ""
                places, values = [p.step for p in points], [p.value for p in points]
                axes.plot(places, values, label=run, color=COLOURS[i % len(COLOURS)], marker=mark)
        axes.set_title(tag, fontsize=10)
        axes.set_xlabel("step")
        axes.locator_params(axis="x", integer=True)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        if len(runs) > 1:
            axes.legend(frameon=False)
    with atomic_write(path, "write_picture") as file:
        figure.savefig(file, format=kind[1:], dpi=110)


__all__ = ["Point", "read_scalars", "write_csv", "write_html", "write_picture"]
