"""Callbacks: what happens between batches and epochs of `fit`."""

from __future__ import annotations

import csv
import math
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any

from ..base.errors import ArgumentError, ValueRangeError
from ..io import save, save_file


class Callback:
    """Base class; override what is needed. `self.model` is the Model, `self.params` tells epochs, steps and samples.

    A callback with `state_dict` and `load_state_dict` is saved in checkpoints and goes on where it was.
    """

    model: Any = None
    params: Mapping[str, Any] = MappingProxyType({})

    def on_train_begin(self, logs: dict[str, Any]) -> None:
        """Before the first epoch."""

    def on_train_end(self, logs: dict[str, Any]) -> None:
        """After the last epoch, also when training was stopped early or failed."""

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any]) -> None:
        """Before an epoch (epochs count from 0)."""

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
        """After an epoch and its validation; `logs` holds the epoch's numbers."""

    def on_validation_begin(self, logs: dict[str, Any]) -> None:
        """Before the validation of an epoch."""

    def on_validation_end(self, logs: dict[str, Any]) -> None:
        """After it; `logs` holds its numbers, their names with "val_"."""

    def on_batch_begin(self, batch: int, logs: dict[str, Any]) -> None:
        """Before a batch (batches count from 0)."""

    def on_batch_end(self, batch: int, logs: dict[str, Any]) -> None:
        """After a batch; `logs["loss"]` is its loss, a tensor: float(...) of it waits for the device."""


class LambdaCallback(Callback):
    """A callback made of functions: LambdaCallback(on_epoch_end=lambda epoch, logs: ...)."""

    def __init__(self, **functions: Callable):
        for name, function in functions.items():
            if not name.startswith("on_") or not hasattr(Callback, name):
                known = [n for n in vars(Callback) if n.startswith("on_")]
                raise ArgumentError(f"[LambdaCallback] expected functions named {', '.join(known)}, got {name!r}")
            setattr(self, name, function)


class _Watching(Callback):
    """What watches one number of the logs: whether it is better than before."""

    def __init__(self, monitor: str, mode: str, min_delta: float = 0.0):
        if mode not in ("auto", "min", "max"):
            raise ArgumentError(f"[{type(self).__name__}] expected mode auto, min or max, got {mode!r}")
        self.monitor = monitor
        self.mode = mode
        self.min_delta = abs(min_delta)
        self.best: float | None = None

    def _value(self, logs: dict[str, Any]) -> float:
        if self.monitor not in logs:
            hint = "; give fit validation_data or validation_split" if self.monitor.startswith("val_") else ""
            raise ArgumentError(
                f"[{type(self).__name__}] expected monitor to be one of {', '.join(logs)}, got {self.monitor!r}{hint}"
            )
        return float(logs[self.monitor])

    def _rising(self) -> bool:
        """Whether larger is better."""
        if self.mode != "auto":
            return self.mode == "max"
        name = self.monitor.removeprefix("val_")
        for metric in getattr(self.model, "metrics", ()):
            if metric.name == name and metric.larger_is_better is not None:
                return metric.larger_is_better
        return name.endswith(("accuracy", "acc", "precision", "recall", "f1", "auc", "score"))

    def _improved(self, value: float) -> bool:
        if self.best is not None:
            gain = value - self.best if self._rising() else self.best - value
            if not gain > self.min_delta:
                return False
        elif math.isnan(value):
            return False
        self.best = value
        return True


class EarlyStopping(_Watching):
    """Stop when a number has not improved for `patience` epochs.

    Args:
        monitor: name in the logs.
        min_delta: a smaller gain is none.
        patience: epochs to wait.
        mode: "min", "max", or "auto" by the name.
        restore_best_weights: end with the parameters of the best epoch.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0.0,
        patience: int = 0,
        mode: str = "auto",
        restore_best_weights: bool = False,
    ):
        super().__init__(monitor, mode, min_delta)
        self.patience = patience
        self.restore_best_weights = restore_best_weights
        self.wait = 0
        self.stopped_epoch: int | None = None
        self.best_weights: dict[str, Any] | None = None

    def on_train_begin(self, logs: dict[str, Any]) -> None:
        self.stopped_epoch = None

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
        if self._improved(self._value(logs)):
            self.wait = 0
            if self.restore_best_weights:
                self.best_weights = self.model.state_dict()
            return
        self.wait += 1
        if self.wait >= self.patience:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: dict[str, Any]) -> None:
        if self.restore_best_weights and self.best_weights is not None:
            self.model.load_state_dict(self.best_weights)

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "wait": self.wait, "best_weights": self.best_weights}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.best, self.wait, self.best_weights = state["best"], state["wait"], state["best_weights"]


class Checkpoint(_Watching):
    """Write all that `fit(resume=path)` needs: model, optimizer, random numbers, position in the data, history.

    The file is replaced in one step, so there is always a whole one; Ctrl-C writes it, too.

    Args:
        path: the file, by custom `*.safetensors`; "{epoch}" in it becomes the number of the epoch (from 1).
        save_best_only: only when `monitor` is better than in every epoch before.
        monitor, mode: as in EarlyStopping.
        every: epochs between two checkpoints.
        every_batches: also within an epoch, after so many batches.
        keep: how many of the files of a path with "{epoch}" stay, the latest (default: all).
        weights_only: write the parameters and buffers alone, for `load_state_dict(twain.io.load_file(path))`.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        save_best_only: bool = False,
        monitor: str = "val_loss",
        mode: str = "auto",
        every: int = 1,
        every_batches: int | None = None,
        keep: int | None = None,
        weights_only: bool = False,
    ):
        super().__init__(monitor, mode)
        if keep is not None and (not isinstance(keep, int) or keep < 1):
            raise ValueRangeError(f"[Checkpoint] expected keep of at least 1, got {keep!r}")
        self.keep = keep
        self.weights_only = weights_only
        self._written: list[str] = []
        self.path = os.fspath(path)
        self.save_best_only = save_best_only
        self.every = every
        self.every_batches = every_batches
        self.last_path: str | None = None

    def on_train_begin(self, logs: dict[str, Any]) -> None:
        folder = os.path.dirname(self.path)
        if folder:
            os.makedirs(folder, exist_ok=True)

    def write(self, epoch: int) -> str:
        """Write a checkpoint now; returns its path."""
        path = self.path.replace("{epoch}", str(epoch + 1))
        if self.weights_only:
            save_file(self.model.state_dict(), path)
        else:
            save(path, self.model.training_state(), metadata={"epoch": epoch, "best": self.best})
        self.last_path = path
        self._written = [*(p for p in self._written if p != path), path]
        if self.keep is not None:
            for old in self._written[: -self.keep]:
                with suppress(FileNotFoundError):
                    os.remove(old)
            self._written = self._written[-self.keep :]
        return path

    def on_batch_end(self, batch: int, logs: dict[str, Any]) -> None:
        if self.every_batches and (batch + 1) % self.every_batches == 0:
            self.write(self.model.epoch)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
        better = self._improved(self._value(logs)) if self.save_best_only else True
        if better and (epoch + 1) % self.every == 0:
            self.write(epoch)

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "written": self._written}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.best = state["best"]
        self._written = list(state.get("written", ()))


class LRSchedule(Callback):
    """Step a schedule of `twain.optim` after each epoch, or each batch.

    Args:
        schedule: a schedule, its class, or a function that makes one of the optimizer: `lambda o: StepLR(o, 10)`.
        per: "epoch" or "batch".
        monitor: the number that a ReduceLROnPlateau looks at.
    """

    def __init__(self, schedule: Any, per: str = "epoch", monitor: str = "val_loss"):
        if per not in ("epoch", "batch"):
            raise ArgumentError(f"[LRSchedule] expected per to be 'epoch' or 'batch', got {per!r}")
        self.schedule = schedule
        self.per = per
        self.monitor = monitor

    def on_train_begin(self, logs: dict[str, Any]) -> None:
        if isinstance(self.schedule, type) or not hasattr(self.schedule, "step"):
            self.schedule = self.schedule(self.model.optimizer)

    def on_batch_end(self, batch: int, logs: dict[str, Any]) -> None:
        if self.per == "batch":
            self.schedule.step()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
        logs["lr"] = self.schedule.get_last_lr()[0]
        if self.per != "epoch":
            return
        if hasattr(self.schedule, "patience"):
            if self.monitor not in logs:
                raise ArgumentError(
                    f"[LRSchedule] expected monitor to be one of {', '.join(logs)}, got {self.monitor!r}"
                )
            self.schedule.step(logs[self.monitor])
        else:
            self.schedule.step()

    def state_dict(self) -> dict[str, Any]:
        return self.schedule.state_dict() if hasattr(self.schedule, "state_dict") else {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if hasattr(self.schedule, "load_state_dict"):
            self.schedule.load_state_dict(state)


class TimeLimit(Callback):
    """Stop after the batch under way once `seconds` have passed since training began."""

    def __init__(self, seconds: float):
        if not seconds > 0:
            raise ValueRangeError(f"[TimeLimit] expected seconds above 0, got {seconds!r}")
        self.seconds = seconds
        self._begun = 0.0

    def on_train_begin(self, logs: dict[str, Any]) -> None:
        self._begun = time.monotonic()

    def on_batch_end(self, batch: int, logs: dict[str, Any]) -> None:
        if time.monotonic() - self._begun >= self.seconds:
            self.model.stop_training_now()


class Curves(Callback):
    """Draw the history after each epoch: .html, or .png, .svg and .pdf by Matplotlib."""

    def __init__(self, path: str | os.PathLike[str], title: str = "Training"):
        self.path = os.fspath(path)
        self.title = title

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
        self.model.history.plot(self.path, self.title)


class CSVLogger(Callback):
    """A line per epoch in a CSV file; going on with a run appends to it."""

    def __init__(self, path: str | os.PathLike[str], append: bool = False):
        self.path = os.fspath(path)
        self.append = append
        self._names: list[str] | None = None

    def on_train_begin(self, logs: dict[str, Any]) -> None:
        self._names = None
        resumed = self.append or self.params.get("initial_epoch", 0) > 0
        if resumed and os.path.exists(self.path):
            with open(self.path, newline="", encoding="utf-8") as file:
                self._names = next(csv.reader(file), None)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
        first = self._names is None
        names = self._names = self._names or ["epoch", *logs]
        with open(self.path, "w" if first else "a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            if first:
                writer.writerow(names)
            row = {"epoch": epoch, **logs}
            writer.writerow([row.get(name, "") for name in names])
