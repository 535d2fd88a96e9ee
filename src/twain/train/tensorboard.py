"""The callback that writes a training to TensorBoard; `twain.board`, which does the writing, is loaded on first use."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from .. import _core
from ..base.errors import ArgumentError, ValueRangeError
from ..base.lazy import LazyModule
from ..tensor import asarray
from .callbacks import Callback

board = LazyModule("twain.board")
Tensor = _core.Tensor


class TensorBoard(Callback):
    """What a training did, for `tensorboard --logdir FOLDER`: every number of each epoch, the learning rate, and more.

    Args:
        writer: a folder, or a writer: `twain.board.SummaryWriter(folder)` or what has its methods. A writer that the
            callback opened is closed when training ends.
        every_batches: also the loss of every so many batches.
        histograms: also histograms of the parameters, and of the gradients there are, every so many epochs.
        sample: some inputs, or (inputs, targets): the graph of the model on them is written when training begins, pictures
            among them as images, and after each epoch what the model makes of the first ones.
        graph: whether to write the graph, given a sample.
        names: of the classes, for the sample's predictions.
        hparams: hyperparameters for the HPARAMS page, written when training ends; True for those of the optimizer and
            `fit` alone, which a mapping adds to.
        domains: their domains, see SummaryWriter.add_hparams.
    """

    SHOWN = 16  # of the sample

    def __init__(
        self,
        writer: Any,
        every_batches: int | None = None,
        *,
        histograms: int | None = None,
        sample: Any = None,
        graph: bool = True,
        names: Any = None,
        hparams: Mapping[str, Any] | bool = False,
        domains: Mapping[str, Any] | None = None,
    ):
        for name, value in (("every_batches", every_batches), ("histograms", histograms)):
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise ValueRangeError(f"[TensorBoard] expected {name} of at least 1, got {value!r}")
        self.folder = os.fspath(writer) if isinstance(writer, (str, os.PathLike)) else None
        if self.folder is None and not hasattr(writer, "add_scalar"):
            raise ArgumentError(f"[TensorBoard] expected a folder or a SummaryWriter, got {type(writer).__name__}")
        self.writer: Any = None if self.folder is not None else writer
        self.every_batches = every_batches
        self.histograms = histograms
        self.graph = graph
        self.names = names
        self.hparams = hparams
        self.domains = domains
        paired = isinstance(sample, tuple) and len(sample) == 2
        self.inputs: Any = sample[0] if paired else sample
        self.targets: Any = sample[1] if paired else None
        self._step = 0
        self._last: dict[str, float] = {}
        self._epoch = 0

    def on_train_begin(self, logs: dict[str, Any]) -> None:
        if self.folder is not None:
            self.writer = board.SummaryWriter(self.folder)
        self._last = {}
        if self.inputs is None:
            return
        several = self.inputs if isinstance(self.inputs, list) else [self.inputs]
        first = [_first(x, self.SHOWN) for x in several]
        if self.graph:
            self.writer.add_graph(self.model.module, *first)
        for number, x in enumerate(first):
            if _is_images(x):
                tag = "sample/images" if len(first) == 1 else f"sample/images {number}"
                self.writer.add_images(tag, _as_shown(x))

    def on_batch_end(self, batch: int, logs: dict[str, Any]) -> None:
        self._step += 1
        if self.every_batches and self._step % self.every_batches == 0:
            self.writer.add_scalar("batch/loss", float(logs["loss"]), self._step)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
        step = self._epoch = epoch + 1
        numbers = {name: value for name, value in logs.items() if isinstance(value, (int, float))}
        for number, group in enumerate(getattr(self.model.optimizer, "param_groups", ())):
            numbers["lr" if number == 0 else f"lr of group {number}"] = float(group["lr"])
        self._last = {
            f"validation/{name[4:]}" if name.startswith("val_") else f"training/{name}": float(value)
            for name, value in numbers.items()
        }
        for tag, value in self._last.items():
            self.writer.add_scalar(tag, value, step)
        if self.histograms and step % self.histograms == 0:
            self.writer.add_parameters(self.model.module, step)
        if self.inputs is not None:
            self._predictions(step)
        self.writer.flush()

    def _predictions(self, step: int) -> None:
        """A table of what the model makes of the sample."""
        several = isinstance(self.inputs, list)
        inputs = [_first(x, self.SHOWN) for x in (self.inputs if several else [self.inputs])]
        outputs = self.model.predict(inputs if several else inputs[0], batch_size=self.SHOWN)
        if not isinstance(outputs, Tensor):
            return
        targets = [None] * self.SHOWN if self.targets is None else _first(self.targets, self.SHOWN).tolist()
        lines = ["| | output | target |", "|---|---|---|"]
        for number, (output, target) in enumerate(zip(outputs.tolist(), targets)):
            right = "" if target is None else self._word(target)
            lines.append(f"| {number} | {self._word(output)} | {right} |")
        self.writer.add_text("sample/predictions", "\n".join(lines), step)

    def _word(self, value: Any) -> str:
        """A row of class scores as the class and its score, anything else as it is."""
        if isinstance(value, list) and len(value) > 1 and all(isinstance(v, float) for v in value):
            best = max(range(len(value)), key=value.__getitem__)
            return f"{self._word(best)} ({value[best]:.3g})"
        if isinstance(value, int) and not isinstance(value, bool) and self.names is not None:
            return str(self.names[value]) if 0 <= value < len(self.names) else str(value)
        return f"{value:.4g}" if isinstance(value, float) else str(value)

    def on_train_end(self, logs: dict[str, Any]) -> None:
        try:
            if self.hparams is not False and self._last and self.writer is not None:
                scores = [tag for tag in self._last if not tag.startswith("training/lr")]
                self.writer.add_hparams(self._settings(), scores, domains=self.domains, step=self._epoch)
        finally:
            if self.folder is not None and self.writer is not None:
                self.writer.close()
                self.writer = None

    def _settings(self) -> dict[str, Any]:
        """The optimizer's and fit's settings, and what was given."""
        optimizer = self.model.optimizer
        found: dict[str, Any] = {"optimizer": type(optimizer).__name__}
        groups = getattr(optimizer, "param_groups", ())
        for name, value in (groups[0] if groups else {}).items():
            # What is switched off says nothing, and the page shows its first columns only.
            if value is not False and isinstance(value, (int, float, str)) and value == value:
                found[name] = value
        found.update({k: self.params[k] for k in ("batch_size", "epochs") if isinstance(self.params.get(k), int)})
        # The rate at the end says little of one that a schedule moved: the first is what was chosen.
        if groups and "initial_lr" in groups[0]:
            found["lr"] = float(groups[0]["initial_lr"])
            found.pop("initial_lr", None)
        return {**found, **(self.hparams if isinstance(self.hparams, Mapping) else {})}

    def state_dict(self) -> dict[str, Any]:
        return {"step": self._step}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._step = state["step"]


def _first(x: Any, count: int) -> Tensor:
    return (x if isinstance(x, Tensor) else asarray(x))[:count]


def _is_images(x: Tensor) -> bool:
    return x.ndim == 4 and x.shape[1] in (1, 3, 4) and (x.dtype.kind == "f" or str(x.dtype) in ("uint8", "bool"))


def _as_shown(x: Tensor) -> Tensor:
    """Floats stretched to [0, 1]: inputs are often standardized."""
    if x.dtype.kind != "f":
        return x
    low, high = float(x.min()), float(x.max())
    return x if low >= 0 and high <= 1 or not high > low else (x - low) / (high - low)


__all__ = ["TensorBoard"]
