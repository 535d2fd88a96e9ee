"""The demo's picture: curves on the left, test images with predictions on the right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import twain

ROWS, COLUMNS = 6, 9
RIGHT, WRONG = "#2a7f3f", "#c22f2f"


def draw(
    path: Path, history: Any, images: twain.Tensor, labels: twain.Tensor, probabilities: twain.Tensor
) -> Path | None:
    """Write the PNG; wrong predictions come first among the images shown. None without matplotlib.

    images (N, 1, H, W) in [0, 1], labels (N,), probabilities (N, classes).
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        print('(no picture: it needs matplotlib, pip install "twain[demo]")')
        return None
    predicted = probabilities.argmax(axis=1).tolist()
    expected = labels.tolist()
    sure = probabilities.max(axis=1).tolist()
    pixels = images.numpy()
    wrong = [i for i, (p, e) in enumerate(zip(predicted, expected, strict=True)) if p != e]
    room = ROWS * COLUMNS
    right = [i for i in range(len(expected)) if predicted[i] == expected[i]]
    spacing = max(1, len(right) // max(1, room - len(wrong)))
    shown = (wrong + right[::spacing])[:room]

    figure = Figure(figsize=(13, 6.4), layout="constrained")
    FigureCanvasAgg(figure)
    left, grid = figure.subfigures(1, 2, width_ratios=(1, 1.35))  # type: ignore[misc]
    loss, accuracy = left.subplots(2, 1, sharex=True)
    epochs = [e + 1 for e in history.epoch]
    for axes, name, title in ((loss, "loss", "Loss"), (accuracy, "accuracy", "Accuracy (%)")):
        scale = 100 if name == "accuracy" else 1
        axes.plot(epochs, [scale * v for v in history[name]], color="#8a8f98", label="training (with dropout)")
        axes.plot(
            epochs, [scale * v for v in history[f"val_{name}"]], color="#1f5fbf", marker="o", ms=3, label="held out"
        )
        axes.set_ylabel(title)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    loss.legend(frameon=False)
    loss.set_yscale("log")
    accuracy.set_xlabel("Epoch")
    accuracy.xaxis.get_major_locator().set_params(integer=True)

    share = 100 * (1 - len(wrong) / len(expected))
    grid.suptitle(f"Held-out digits: {share:.2f} % right; the {len(wrong)} wrong ones first, in red (true digit)")
    cells = grid.subplots(ROWS, COLUMNS)
    for cell in cells.flat:
        cell.axis("off")
    for cell, i in zip(cells.flat, shown, strict=False):
        cell.imshow(pixels[i, 0], cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")
        bad = predicted[i] != expected[i]
        text = f"{predicted[i]}" + (f" ({expected[i]})" if bad else "") + f"  {100 * sure[i]:.0f} %"
        cell.set_title(text, fontsize=9, color=WRONG if bad else RIGHT)
    figure.savefig(path, dpi=110)
    return path
