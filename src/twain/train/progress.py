"""The progress bar of `fit`: a line that is rewritten on a terminal, a line per epoch elsewhere."""

from __future__ import annotations

import shutil
import sys
import time
from typing import Any, TextIO

from .callbacks import Callback

REFRESH = 0.1  # seconds between two drawings on a terminal
WIDTH = 24


def number_text(name: str, value: Any) -> str:
    """A number as people read it: shares in percent, small ones in scientific notation."""
    if not isinstance(value, (int, float)):
        return str(value)
    if name.endswith(("accuracy", "acc")):
        return f"{100 * value:.2f} %"
    if value and (abs(value) < 1e-3 or abs(value) >= 1e5):
        return f"{value:.3g}"
    return f"{value:.4f}"


def logs_text(logs: dict[str, Any]) -> str:
    """Scalars of the logs, side by side."""
    return "  ".join(f"{n} {number_text(n, v)}" for n, v in logs.items() if isinstance(v, (int, float)))


def folded(line: str, columns: int, indent: int) -> str:
    """The line, broken between its items (two spaces) where a terminal of so many columns would break it anywhere."""
    lines = [""]
    for item in line.split("  "):
        longer = f"{lines[-1]}  {item}" if lines[-1] else item
        if len(longer) < columns or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(" " * indent + item)
    return "\n".join(lines)


class ProgressBar(Callback):
    """Epoch, share of the epoch, loss, metrics and samples per second.

    Args:
        verbose: 1 a bar where the stream is a terminal and a line per epoch elsewhere, 2 always a line per epoch.
        stream: where to (default: standard output).
    """

    def __init__(self, verbose: int = 1, stream: TextIO | None = None):
        self.stream = sys.stdout if stream is None else stream
        terminal = bool(getattr(self.stream, "isatty", lambda: False)())
        self.live = verbose == 1 and terminal
        self._drawn = 0.0
        self._seconds = 0.0
        self._samples = 0
        self._steps = 0
        self._begun = 0.0
        self._width = 0

    def _plain(self) -> bool:
        encoding = (getattr(self.stream, "encoding", None) or "ascii").lower().replace("-", "")
        return encoding not in ("utf8", "utf16", "utf32")

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any]) -> None:
        self._samples = 0
        self._steps = 0
        self._seconds = 0.0
        self._begun = time.perf_counter()
        self._drawn = self._begun

    def on_batch_end(self, batch: int, logs: dict[str, Any]) -> None:
        self._samples += logs["size"]
        self._steps = batch + 1
        now = time.perf_counter()
        self._seconds = now - self._begun
        if self.live and now - self._drawn >= REFRESH:
            self._drawn = now
            self._draw(self.model.epoch, self.model.current_logs())

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
        self.clear()
        line = self._line(epoch, logs)
        if self.live:
            line = folded(line, shutil.get_terminal_size().columns, len(self._head(epoch)) + 2)
        self.stream.write(line + "\n")
        self.stream.flush()

    def clear(self) -> None:
        """Take the bar off the terminal, so that what others print doesn't land on its line."""
        if self._width:
            self.stream.write("\r" + " " * self._width + "\r")
            self._width = 0

    def on_train_end(self, logs: dict[str, Any]) -> None:
        if self._width:  # training ended in the middle of an epoch
            self.stream.write("\n")
            self._width = 0
            self.stream.flush()

    def _line(self, epoch: int, logs: dict[str, Any]) -> str:
        rate = self._samples / self._seconds if self._seconds > 0 else 0.0
        return f"{self._head(epoch)}  {logs_text(logs)}  {rate:,.0f} {self.params['unit']}/s"

    def _head(self, epoch: int) -> str:
        epochs = self.params["epochs"]
        return f"epoch {epoch + 1:>{len(str(epochs))}}/{epochs}"

    def _draw(self, epoch: int, logs: dict[str, Any]) -> None:
        """The line of the epoch under way, with a bar where there is room for one."""
        room = shutil.get_terminal_size().columns - 1
        head = self._head(epoch)
        line = self._line(epoch, logs)
        steps = self.params["steps"]
        if steps:
            count = f"  {self._steps}/{steps}"
            width = min(WIDTH, room - len(line) - len(count) - 2)
            if width >= 4:
                full, empty = ("#", ".") if self._plain() else ("\u2501", "\u2500")
                done = min(width, width * self._steps // steps)
                line = f"{head}  {full * done}{empty * (width - done)}{count}{line[len(head) :]}"
        line = line[:room]
        self.stream.write("\r" + line + " " * max(0, self._width - len(line)))
        self._width = len(line)
        self.stream.flush()
