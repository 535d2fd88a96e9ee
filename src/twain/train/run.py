"""One call of fit: epochs, batches, validation, callbacks, signals, and errors that say what went wrong where."""

from __future__ import annotations

import math
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import Any

from .. import _core
from ..base import pytree
from ..base.errors import IndexingError, ShapeError, ValueRangeError
from ..tensor import no_grad
from .callbacks import Callback, Checkpoint, Curves
from .errors import NonFiniteLossError
from .inputs import Batch, Source, unit_of
from .losses import by_class
from .progress import ProgressBar
from .step import Recipe, prepare

Tensor = _core.Tensor


class Run:
    """One call of fit on `model`, whose `training` (model.py) it moves on."""

    def __init__(
        self,
        model: Any,
        training: Any,
        recipe: Recipe,
        source: Source,
        validation: Source | None,
        validation_freq: int,
        class_weight: Any,
        parameters: dict[str, Any],
        interrupt: Interrupt,
    ):
        self.model = model
        self.training = training
        self.recipe = recipe
        self.source = source
        self.validation = validation
        self.validation_freq = validation_freq
        self.class_weight = class_weight
        self.parameters = parameters
        self.callbacks = training.callbacks
        self.interrupt = interrupt
        self.step = training.steps["train"]
        self.beginning = overriding(self.callbacks, "on_batch_begin")
        self.ending = overriding(self.callbacks, "on_batch_end")

    def epochs(self, count: int, first_batch: int) -> None:
        """Run until `count` epochs are done."""
        model, training = self.model, self.training
        while training.epoch < count and not training.stop:
            epoch = training.epoch
            call(self.callbacks, "on_epoch_begin", epoch, {})
            self.epoch(epoch, first_batch)
            first_batch = 0
            logs = self.recipe.results()
            if self.validation is not None and (epoch + 1) % self.validation_freq == 0:
                # A validation beside the epoch's own sums: those begin anew after it.
                call(self.callbacks, "on_validation_begin", {})
                checked = model._evaluate(self.recipe, self.validation)
                logs.update({f"val_{name}": value for name, value in checked.items()})
                call(self.callbacks, "on_validation_end", logs)
            self.recipe.reset()
            training.epoch = epoch + 1
            self.finish(epoch, logs)

    def finish(self, epoch: int, logs: dict[str, Any]) -> None:
        """Callbacks of the epoch's end: those that write checkpoints last, so that these hold what the others did."""
        for callback in self.callbacks:
            if isinstance(callback, ProgressBar):
                callback.clear()
        late = [c for c in self.callbacks if isinstance(c, (Checkpoint, Curves))]
        call([c for c in self.callbacks if c not in late], "on_epoch_end", epoch, logs)
        self.training.history.add(epoch, logs)
        call(late, "on_epoch_end", epoch, logs)
        self.stop_if_interrupted(epoch, None)

    def epoch(self, epoch: int, first_batch: int) -> None:
        """The batches of one epoch, from `first_batch` on."""
        model, recipe = self.model, self.recipe
        model.train()
        number = first_batch - 1
        for number, (batch, last) in enumerate(self.batches(), start=first_batch):
            if number == first_batch:
                prepare(recipe, batch, self.class_weight)
                self.source.unit = self.parameters["unit"] = unit_of(batch.inputs)
            for callback in self.beginning:
                callback.on_batch_begin(number, {"size": batch.size})
            try:
                if recipe.accumulate > 1:
                    full = (number + 1) % recipe.accumulate == 0
                    loss = self.step(recipe, *batch, full or last)
                else:
                    loss = self.step(recipe, *batch)
            except IndexingError as error:
                raise wrong_labels(recipe, batch, _where(epoch, number)) or error from None
            value = loss.item()
            if not math.isfinite(value):
                raise non_finite(recipe, value, batch, _where(epoch, number))
            for callback in self.ending:
                callback.on_batch_end(number, {"loss": loss, "size": batch.size})
            self.stop_if_interrupted(epoch, number)
            if self.training.stop_now:
                break
        if number < 0:
            raise ShapeError("[fit] expected at least one batch in an epoch, got a loader that gave none")

    def batches(self) -> Iterator[tuple[Batch, bool]]:
        """(batch, whether it is the epoch's last); the latter is only looked at where gradients are accumulated."""
        if self.recipe.accumulate == 1:
            for batch in self.source.batches():
                yield batch, False
            return
        steps = self.source.steps
        before: Batch | None = None
        # A resumable loader counts what it has given out, so it must not be asked a batch ahead; it knows its length.
        if steps is not None:
            start = int(self.source.loader.state_dict()["batch"]) if self.source.resumable else 0
            for number, batch in enumerate(self.source.batches(), start=start):
                yield batch, number + 1 == steps
            return
        for batch in self.source.batches():
            if before is not None:
                yield before, False
            before = batch
        if before is not None:
            yield before, True

    def stop_if_interrupted(self, epoch: int, batch: int | None) -> None:
        """After Ctrl-C or SIGTERM: write the checkpoint, say so, and leave."""
        number = self.interrupt.pressed
        if number is None:
            return
        where = f"epoch {epoch + 1}" + ("" if batch is None else f", batch {batch + 1}")
        written = [c.write(self.training.epoch) for c in self.callbacks if isinstance(c, Checkpoint)]
        what = "interrupted" if number == signal.SIGINT else "told to end (SIGTERM)"
        print(f"\n[fit] {what} after {where}; the model keeps what it has learned.", file=sys.stderr)
        for path in written:
            print(f"[fit] checkpoint: {path}; go on with fit(..., resume={path!r})", file=sys.stderr)
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + number)


class Interrupt:
    """Ctrl-C and SIGTERM wait for the end of the batch; a second one doesn't wait. Only in the main thread, and only
    where nobody else handles the signal."""

    def __init__(self) -> None:
        self.pressed: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupt:
        if threading.current_thread() is threading.main_thread():
            for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGTERM, signal.SIG_DFL)):
                if signal.getsignal(number) is usual:
                    self._before[number] = signal.signal(number, self._handle)
        return self

    def _handle(self, number: int, frame: Any) -> None:
        if self.pressed is None:
            self.pressed = number
        elif number == signal.SIGINT:
            raise KeyboardInterrupt
        else:
            raise SystemExit(128 + number)

    def __exit__(self, *exception: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)


def call(callbacks: Sequence[Callback], method: str, *args: Any) -> None:
    """Call a method of each."""
    for callback in callbacks:
        getattr(callback, method)(*args)


def overriding(callbacks: Sequence[Callback], method: str) -> list[Callback]:
    """Those that do something there."""
    base = getattr(Callback, method)
    return [c for c in callbacks if getattr(getattr(c, method), "__func__", None) is not base]


def _where(epoch: int, batch: int) -> str:
    return f"epoch {epoch + 1}, batch {batch + 1}"


def wrong_labels(recipe: Recipe, batch: Batch, where: str) -> Exception | None:
    """The error for class numbers that the model has no output for, or None."""
    target = batch.target
    if not (by_class(recipe.loss) and isinstance(target, Tensor) and target.dtype.kind in "iu"):
        return None
    recipe.network.eval()
    with no_grad():
        classes = recipe.network(*batch.inputs).shape[1]
    ignored = getattr(recipe.loss, "ignore_index", -100)
    wrong = [int(v) for v in target.reshape(-1).tolist() if v != ignored and not 0 <= v < classes]
    if not wrong:
        return None
    return ValueRangeError(
        f"[fit] expected labels in [0, {classes}): the model has {classes} outputs; got {wrong[0]} in {where}"
    )


def non_finite(recipe: Recipe, value: float, batch: Batch, where: str) -> Exception:
    """The error for a loss that is not a number: labels out of range, bad data, or a training that diverged."""
    labels = wrong_labels(recipe, batch, where)
    if labels is not None:
        return labels
    what = {"input": batch.inputs, "target": batch.target, "sample_weight": batch.weight}
    for name, tree in what.items():
        for number, leaf in enumerate(pytree.flatten(tree)[0]):
            if isinstance(leaf, Tensor) and leaf.dtype.kind == "f" and not _finite(leaf):
                which = f"input {number}" if name == "input" else f"the {name}"
                return NonFiniteLossError(f"[fit] the loss became {value} in {where}: {which} holds NaN or infinity")
    return NonFiniteLossError(
        f"[fit] the loss became {value} in {where}; the parameters may not be usable any more. Try a lower learning "
        "rate or compile(..., clip_grad_norm=1.0); `with twain.detect_anomaly():` around fit names the line of the "
        "first NaN"
    )


def _finite(value: Tensor) -> bool:
    return bool(((value - value) == 0).all())
