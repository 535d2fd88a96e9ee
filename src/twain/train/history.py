"""What a run has recorded: one number per epoch and name."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from .curves import write


class History:
    """`history["loss"][i]` is the loss of epoch `epoch[i]`; names of validation numbers begin with "val_"."""

    def __init__(self) -> None:
        self.epoch: list[int] = []
        self.history: dict[str, list[Any]] = {}

    def add(self, epoch: int, logs: dict[str, Any]) -> None:
        """Note one epoch's numbers."""
        self.epoch.append(epoch)
        for name, value in logs.items():
            self.history.setdefault(name, []).append(value)

    def best(self, name: str = "val_loss", mode: str = "min") -> tuple[int, Any]:
        """(epoch, value) of the best epoch."""
        choose = min if mode == "min" else max
        values = self.history[name]
        value = choose(values)
        return self.epoch[values.index(value)], value

    def plot(self, path: str | os.PathLike[str], title: str = "Training") -> None:
        """Write the curves, a panel per number: .png, .svg or .pdf (needs Matplotlib), or .html (needs nothing).

        Raises:
            ArgumentError: another ending, or no Matplotlib. FileWriteError: the file can't be written.
        """
        write(path, self.epoch, self.history, title)

    def state_dict(self) -> dict[str, Any]:
        """Plain lists."""
        return {"epoch": list(self.epoch), "history": {name: list(values) for name, values in self.history.items()}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""
        self.epoch = list(state["epoch"])
        self.history = {name: list(values) for name, values in state["history"].items()}

    def keys(self) -> list[str]:
        """The names of the numbers, so that dict(history) is all of them."""
        return list(self.history)

    def __contains__(self, name: object) -> bool:
        return name in self.history

    def __iter__(self) -> Iterator[str]:
        return iter(self.history)

    def __len__(self) -> int:
        return len(self.history)

    def __getitem__(self, name: str) -> list[Any]:
        return self.history[name]

    def __repr__(self) -> str:
        return f"History({len(self.epoch)} epochs of {', '.join(self.history)})"
