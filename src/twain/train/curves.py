"""The history of a run as pictures: PNG by Matplotlib, HTML with curves of its own that needs nothing else."""

from __future__ import annotations

import html
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

from ..base.errors import ArgumentError
from ..io.atomic import atomic_write

# Training in the first colour, validation in the second: distinct also for the colour-blind (Okabe, Ito 2008).
COLOURS = ("#0072b2", "#d55e00")
WIDTH, HEIGHT, MARGIN = 460, 240, 46


def panels(history: Mapping[str, Sequence[Any]]) -> dict[str, list[tuple[str, list[float]]]]:
    """{number: [(curve, values)]}: a panel per number, training and validation together; lists and texts left out."""
    found: dict[str, list[tuple[str, list[float]]]] = {}
    for name, values in history.items():
        if values and all(isinstance(v, (int, float)) for v in values):
            curve = "validation" if name.startswith("val_") else "training"
            found.setdefault(name.removeprefix("val_"), []).append((curve, [float(v) for v in values]))
    return found


def write(
    path: str | os.PathLike[str], epochs: Sequence[int], history: Mapping[str, Sequence[Any]], title: str
) -> None:
    """Write `path`, a .png, .svg or .pdf (by Matplotlib) or .html file."""
    kind = os.path.splitext(os.fspath(path))[1].lower()
    if kind in (".html", ".htm"):
        text = page(epochs, panels(history), title)
        with atomic_write(path, "History.plot") as file:
            file.write(text.encode())
    elif kind in (".png", ".svg", ".pdf"):
        _picture(path, kind[1:], epochs, panels(history), title)
    else:
        raise ArgumentError(f"[History.plot] expected a file named .png, .svg, .pdf or .html, got {os.fspath(path)!r}")


def _picture(path: Any, kind: str, epochs: Sequence[int], found: dict, title: str) -> None:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise ArgumentError(
            '[History.plot] expected Matplotlib for this kind of file (pip install "twain[demo]"); .html needs nothing'
        ) from None
    figure = Figure(figsize=(5.2 * max(1, min(2, len(found))), 3.2 * math.ceil(len(found) / 2)), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title)
    rows = math.ceil(len(found) / 2)
    for number, (name, curves) in enumerate(found.items(), start=1):
        axes = figure.add_subplot(rows, min(2, len(found)), number)
        for curve, values in curves:
            first = len(epochs) - len(values)
            axes.plot([e + 1 for e in epochs[first:]], values, label=curve, color=COLOURS[curve == "validation"])
        axes.set_title(name, fontsize=10)
        axes.set_xlabel("epoch")
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        axes.locator_params(axis="x", integer=True)
        if len(curves) > 1:
            axes.legend(frameon=False)
    with atomic_write(path, "History.plot") as file:
        figure.savefig(file, format=kind, dpi=110)


def _ticks(low: float, high: float) -> list[float]:
    """About five round numbers from low to high."""
    step = 10 ** math.floor(math.log10((high - low) / 4))
    step *= next((m for m in (1, 2, 5) if (high - low) / (m * step) <= 6), 10)
    first = math.ceil(low / step - 1e-9)
    return [i * step for i in range(first, math.floor(high / step + 1e-9) + 1)]


def _panel(epochs: Sequence[int], name: str, curves: list[tuple[str, list[float]]]) -> str:
    """One number's curves by epoch."""
    drawn = []
    for curve, values in curves:
        numbers = [e + 1 for e in epochs[len(epochs) - len(values) :]]
        points = [(e, v) for e, v in zip(numbers, values, strict=True) if math.isfinite(v)]
        drawn.append((curve, COLOURS[curve == "validation"], points))
    return drawing(name, drawn, "epoch")


def drawing(title: str, curves: Sequence[tuple[str, str, Sequence[tuple[int, float]]]], unit: str) -> str:
    """Curves (name, colour, finite points) as SVG; each point tells its place and value where the pointer rests on it."""
    finite = [v for _, _, points in curves for _, v in points]
    low, high = (min(finite), max(finite)) if finite else (0.0, 1.0)
    if high - low < 1e-12 * max(1.0, abs(high)):
        low, high = low - 0.5, high + 0.5
    places = [x for _, _, points in curves for x, _ in points]
    first, last = (min(places), max(places)) if places else (1, 1)
    span = max(1, last - first)

    def place(at: float, value: float) -> tuple[float, float]:
        x = MARGIN + (at - first) / span * (WIDTH - MARGIN - 12)
        return round(x, 1), round(HEIGHT - 28 - (value - low) / (high - low) * (HEIGHT - 56), 1)

    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{html.escape(title)}">']
    parts.append(f'<text class="title" x="{MARGIN}" y="16">{html.escape(title)}</text>')
    for tick in _ticks(low, high):
        y = place(first, tick)[1]
        parts.append(f'<line class="grid" x1="{MARGIN}" x2="{WIDTH - 12}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text class="tick" x="{MARGIN - 6}" y="{y + 4}" text-anchor="end">{tick:.6g}</text>')
    for tick in sorted({round(t) for t in _ticks(first, last)} if last > first else {first}):
        x = place(tick, low)[0]
        parts.append(f'<text class="tick" x="{x}" y="{HEIGHT - 10}" text-anchor="middle">{tick}</text>')
    for curve, colour, points in curves:
        marks = [(at, value, *place(at, value)) for at, value in points]
        line = " ".join(f"{x},{y}" for _, _, x, y in marks)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for at, value, x, y in marks:
            told = f"{html.escape(curve)}, {unit} {at}: {value:.6g}"
            parts.append(f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"><title>{told}</title></circle>')
    return "".join([*parts, "</svg>"])


def style() -> str:
    """The pages' style sheet."""
    return """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 1000px; padding: 0 1rem;
  color: #222; background: #fff; }
.panels { display: flex; flex-wrap: wrap; gap: 1rem; } figure { margin: 0; flex: 1 1 420px; }
svg { width: 100%; height: auto; } .title { font: 600 14px system-ui, sans-serif; fill: currentColor; }
.tick { font: 11px system-ui, sans-serif; fill: #666; } .grid { stroke: #ddd; }
table { border-collapse: collapse; } td, th { padding: .15rem .7rem; text-align: right;
  border-bottom: 1px solid #ddd; font-variant-numeric: tabular-nums; }
@media (prefers-color-scheme: dark) { body { color: #ddd; background: #1b1b1b; } .grid { stroke: #444; }
  .tick { fill: #aaa; } td, th { border-color: #444; } }
"""


def page(epochs: Sequence[int], found: dict[str, list[tuple[str, list[float]]]], title: str) -> str:
    """A page of its own with a panel per number and the table of all epochs."""
    figures = "".join(f"<figure>{_panel(epochs, name, curves)}</figure>" for name, curves in found.items())
    names = [(curve, name, values) for name, curves in found.items() for curve, values in curves]
    heads = "".join(
        f"<th>{html.escape(('val_' if curve == 'validation' else '') + name)}</th>" for curve, name, _ in names
    )
    lines = []
    for i, epoch in enumerate(epochs):
        cells = (
            values[i - len(epochs) + len(values)] if i >= len(epochs) - len(values) else None for _, _, values in names
        )
        row = "".join("<td></td>" if v is None else f"<td>{v:.6g}</td>" for v in cells)
        lines.append(f"<tr><td>{epoch + 1}</td>{row}</tr>")
    key = "".join(f'<span style="color:{c}">&#9679; {n}</span> ' for c, n in zip(COLOURS, ("training", "validation")))
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>{style()}</style></head><body>
<h1>{html.escape(title)}</h1><p>{key}</p><div class="panels">{figures}</div>
<h2>Epochs</h2><table><tr><th>epoch</th>{heads}</tr>
{chr(10).join(lines)}
</table></body></html>
"""
