"""Model: a module with Keras' compile, fit, evaluate and predict."""

from __future__ import annotations

import math
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from .. import _core
from ..base.errors import ArgumentError, IndexingError, ShapeError, ValueRangeError
from ..io import load
from ..nn import Graph, Module
from ..nn import functional as F
from ..nn.losses import BCEWithLogitsLoss, CrossEntropyLoss, NLLLoss
from ..optim import SGD, Adam, AdamW
from ..tensor import concat, no_grad, random
from .callbacks import Callback, Checkpoint
from .errors import NonFiniteLossError, NotCompiledError
from .history import History
from .inputs import Source, as_source, split_validation, unit_of
from .metrics import as_metric
from .progress import ProgressBar
from .step import Recipe, compiled, predict_step, test_step, train_step

Tensor = _core.Tensor

LOSSES: dict[str, Callable] = {
    "cross_entropy": F.cross_entropy,
    "nll": F.nll_loss,
    "mse": F.mse_loss,
    "mae": F.l1_loss,
    "l1": F.l1_loss,
    "smooth_l1": F.smooth_l1_loss,
    "huber": F.huber_loss,
    "binary_cross_entropy": F.binary_cross_entropy,
    "binary_cross_entropy_with_logits": F.binary_cross_entropy_with_logits,
    "kl_div": F.kl_div,
    "hinge": F.hinge_loss,
}
OPTIMIZERS: dict[str, Callable] = {"sgd": SGD, "adam": Adam, "adamw": AdamW}
_CLASS_LOSSES = (F.cross_entropy, F.nll_loss)
_LOGIT_LOSSES = (F.cross_entropy, F.binary_cross_entropy_with_logits)
FORMAT = 1


class Training:
    """What training knows of a model."""

    def __init__(self) -> None:
        self.recipe: Recipe | None = None
        self.steps: dict[str, Callable] = {}
        self.callbacks: list[Callback] = []
        self.source: Source | None = None
        self.history = History()
        self.stop = False
        self.epoch = 0


# Beside the models and not in them: what a compiled step can reach from the network is guarded at every call.
_TRAINING: WeakKeyDictionary[Model, Training] = WeakKeyDictionary()


class Model(Module):
    """A module that trains itself.

    Three ways to get one:

    >>> class Net(Model):  # as a base class in place of nn.Module
    ...     def forward(self, x): ...
    >>> model = Model(nn.Sequential(...))  # around any module; names of parameters stay the module's
    >>> model = Model(inputs, outputs)  # of a functional graph that begins with nn.Input

    >>> model.compile("adam", "cross_entropy", ["accuracy"])
    >>> history = model.fit(images, labels, epochs=5)
    """

    _wrapped: Module | None = None

    def __init__(self, module: Any = None, outputs: Any = None):
        if outputs is not None:
            module = Graph(module, outputs)
        if module is not None:
            if not isinstance(module, Module):
                raise ArgumentError(
                    f"[Model] expected a module, or the inputs and outputs of a graph, got {type(module).__name__}"
                )
            self._wrapped = module

    # ------------------------------------------------------------ a wrapped module under its own names
    @property
    def module(self) -> Module:
        """The module that this model is around, or the model itself."""
        return self if self._wrapped is None else self._wrapped

    def named_children(self) -> Iterator[tuple[str, Module]]:
        for name, child in super().named_children():
            yield ("" if child is self._wrapped else name), child

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        if self._wrapped is None:
            return super().forward(*args, **kwargs)
        return self._wrapped(*args, **kwargs)

    # ------------------------------------------------------------ compile
    def compile(
        self,
        optimizer: Any = "adam",
        loss: Any = None,
        metrics: Sequence[Any] = (),
        *,
        lr: float | None = None,
        clip_grad_norm: float | None = None,
        clip_grad_value: float | None = None,
        compile_step: bool = True,
    ) -> Model:
        """Say how to train.

        Args:
            optimizer: an optimizer, its class, its name ("adam", "adamw", "sgd"), or a function of the parameters.
            loss: a function(outputs, targets) or module that gives a 0-d tensor, or a name such as "cross_entropy".
            metrics: metrics, their names ("accuracy"), or functions(outputs, targets).
            lr: learning rate for an optimizer given by name or class.
            clip_grad_norm, clip_grad_value: limits on the gradients before each step.
            compile_step: compile the whole step (default), or run it op by op.
        """
        training = self._training
        training.recipe = recipe = Recipe(
            self,
            self._as_optimizer(optimizer, lr),
            _as_loss(loss),
            [as_metric(m) for m in ([metrics] if isinstance(metrics, str) else metrics)],
            clip_grad_norm,
            clip_grad_value,
        )
        names = ["loss", *(m.name for m in recipe.metrics)]
        twice = [n for n in names if names.count(n) > 1]
        if twice:
            raise ArgumentError(
                f"[compile] expected metrics of different names, got {twice[0]!r} twice; name= sets one"
            )
        if recipe.loss in _LOGIT_LOSSES or isinstance(recipe.loss, (BCEWithLogitsLoss, CrossEntropyLoss)):
            for metric in recipe.metrics:
                metric.takes_logits()
        training.steps = {
            "train": compiled(train_step, compile_step),
            "test": compiled(test_step, compile_step),
            "predict": compiled(predict_step, compile_step),
        }
        return self

    def _as_optimizer(self, spec: Any, lr: float | None) -> Any:
        settings = {} if lr is None else {"lr": lr}
        if isinstance(spec, str):
            if spec.lower() not in OPTIMIZERS:
                raise ArgumentError(f"[compile] expected an optimizer among {', '.join(OPTIMIZERS)}, got {spec!r}")
            return OPTIMIZERS[spec.lower()](list(self.named_parameters()), **settings)
        if isinstance(spec, type) or (callable(spec) and not hasattr(spec, "step")):
            return spec(self.parameters(), **settings)
        if not hasattr(spec, "param_groups"):
            raise ArgumentError(f"[compile] expected an optimizer, got {type(spec).__name__}")
        if lr is not None:
            raise ArgumentError("[compile] expected lr only beside the name or class of an optimizer, got both")
        return spec

    @property
    def _training(self) -> Training:
        found = _TRAINING.get(self)
        if found is None:
            found = _TRAINING[self] = Training()
        return found

    @property
    def history(self) -> History:
        """Of the latest run of fit."""
        return self._training.history

    @property
    def epoch(self) -> int:
        """How many epochs the latest run of fit has finished."""
        return self._training.epoch

    @property
    def stop_training(self) -> bool:
        """Set it in a callback to end fit after the epoch under way."""
        return self._training.stop

    @stop_training.setter
    def stop_training(self, value: bool) -> None:
        self._training.stop = value

    @property
    def optimizer(self) -> Any:
        """The optimizer given to compile."""
        return self._compiled("optimizer").optimizer

    @property
    def metrics(self) -> list[Any]:
        """The metrics given to compile."""
        return self._compiled("metrics").metrics

    def _compiled(self, function: str) -> Recipe:
        recipe = self._training.recipe
        if recipe is None:
            raise NotCompiledError(
                f'[{function}] expected a compiled model; call model.compile("adam", "cross_entropy", ["accuracy"]) '
                f"before {function}"
            )
        return recipe

    # ------------------------------------------------------------ fit
    def fit(
        self,
        x: Any = None,
        y: Any = None,
        *,
        epochs: int = 1,
        batch_size: int = 32,
        validation_data: Any = None,
        validation_split: float = 0.0,
        callbacks: Sequence[Callback] = (),
        verbose: int = 1,
        shuffle: bool = True,
        seed: int = 0,
        resume: Any = None,
    ) -> History:
        """Train.

        Args:
            x: arrays (with y), a data set of (inputs, target), a DataLoader, or an iterable of batches.
            y: targets, for x of arrays.
            epochs: run until so many epochs are done, those of a resumed run included.
            batch_size, shuffle, seed: for x that is not a loader already; the order depends on the seed alone.
            validation_data: (x, y), a data set or a loader, evaluated after each epoch.
            validation_split: or this share of x, chosen at random.
            callbacks: see twain.train.Callback.
            verbose: 0 silent, 1 a progress bar (a line per epoch where there is no terminal), 2 a line per epoch.
            resume: path of a checkpoint that the Checkpoint callback wrote; training goes on from there and gives the
                same bits as if it had not been interrupted.

        Returns:
            The history: history["loss"] and so on, a number per epoch.

        Raises:
            NotCompiledError: before compile.
            ShapeError, ArgumentError, ValueRangeError: data that doesn't fit the model, the loss or each other.
            NonFiniteLossError: the loss became NaN or infinite.
            KeyboardInterrupt: Ctrl-C, after the batch under way; a Checkpoint callback writes its file first.
        """
        recipe = self._compiled("fit")
        if not isinstance(epochs, int) or epochs < 1:
            raise ValueRangeError(f"[fit] expected epochs to be an int of at least 1, got {epochs!r}")
        if validation_split:
            x, validation_data = split_validation(x, y, validation_split, seed)
            y = None
        source = as_source("fit", x, y, batch_size=batch_size, shuffle=shuffle, seed=seed, need_target=True)
        validation = None if validation_data is None else _validation_source(validation_data, batch_size)
        every = list(callbacks)
        if verbose:
            every.append(ProgressBar(verbose))
        training = self._training
        training.callbacks = every
        training.source = source
        training.stop = False
        training.history = History()
        training.epoch = 0
        recipe.reset()
        first_batch = 0
        if resume is not None:
            first_batch = self._resume(resume, training, source)
        parameters = {
            "epochs": epochs,
            "steps": source.steps,
            "batch_size": batch_size,
            "unit": source.unit,
            "initial_epoch": training.epoch,
        }
        for callback in every:
            callback.model = self
            callback.params = parameters
        was_training = self.training
        with _Interrupt() as interrupt:
            run = _Run(self, training, recipe, source, validation, parameters, interrupt)
            try:
                _call(every, "on_train_begin", {})
                run.epochs(epochs, first_batch)
            finally:
                _call(every, "on_train_end", {})
                self.train(was_training)
        return training.history

    def current_logs(self) -> dict[str, Any]:
        """Loss and metrics of the epoch so far (reads the device)."""
        logs = self._compiled("current_logs").results()
        return {name: value for name, value in logs.items() if isinstance(value, (int, float))}

    # ------------------------------------------------------------ state of a run
    def training_state(self) -> dict[str, Any]:
        """Everything that a run depends on, as `twain.io.save` takes it."""
        recipe = self._compiled("training_state")
        training = self._training
        source = training.source
        return {
            "format": FORMAT,
            "model": self.state_dict(),
            "optimizer": recipe.optimizer.state_dict(),
            "random": random.default_generator.state_dict(),
            "loader": source.loader.state_dict() if source is not None and source.resumable else None,
            "sums": recipe.sums(),
            "epoch": training.epoch,
            "history": training.history.state_dict(),
            "callbacks": [
                {"name": type(c).__name__, "state": c.state_dict()}
                for c in training.callbacks
                if hasattr(c, "state_dict")
            ],
        }

    def _resume(self, path: Any, training: Training, source: Source) -> int:
        """Take over a checkpoint; returns how many batches of the epoch under way are done."""
        recipe = self._compiled("fit")
        state = load(path)
        if not isinstance(state, dict) or "optimizer" not in state or state.get("format") != FORMAT:
            raise ArgumentError(
                f"[fit] expected resume to be a checkpoint of a training run, got {path!r}, which holds "
                f"{', '.join(list(state)[:5]) if isinstance(state, dict) else type(state).__name__}"
            )
        if not source.resumable or state["loader"] is None:
            raise ArgumentError(
                "[fit] expected arrays, a data set or a DataLoader to resume with, got another iterable"
            )
        self.load_state_dict(state["model"])
        recipe.optimizer.load_state_dict(state["optimizer"])
        source.loader.load_state_dict(state["loader"])
        training.epoch = state["epoch"]
        training.history.load_state_dict(state["history"])
        if state["sums"]:
            recipe.load_sums(state["sums"])
        keeping = [c for c in training.callbacks if hasattr(c, "load_state_dict")]
        for saved in state["callbacks"]:
            match = next((c for c in keeping if type(c).__name__ == saved["name"]), None)
            if match is not None:
                keeping.remove(match)
                # A schedule that is made of the optimizer must exist before it can take over its state.
                match.model = self
                match.on_train_begin({}) if saved["name"] == "LRSchedule" else None
                match.load_state_dict(saved["state"])
        random.default_generator.load_state_dict(state["random"])
        return int(state["loader"]["batch"])

    # ------------------------------------------------------------ evaluate, predict
    def evaluate(self, x: Any = None, y: Any = None, *, batch_size: int = 32, verbose: int = 0) -> dict[str, Any]:
        """Loss and metrics on x (and y), in eval mode and without gradients; arguments as fit's."""
        recipe = self._compiled("evaluate")
        source = as_source("evaluate", x, y, batch_size=batch_size, shuffle=False, seed=0, need_target=True)
        kept = recipe.sums()
        logs = self._evaluate(recipe, source)
        recipe.load_sums(kept)
        if verbose:
            print("  ".join(f"{name} {value:.4f}" for name, value in logs.items() if isinstance(value, float)))
        return logs

    def _evaluate(self, recipe: Recipe, source: Source) -> dict[str, Any]:
        step = self._training.steps["test"]
        recipe.reset()
        was_training = self.training
        self.eval()
        try:
            for inputs, target, size in source.batches():
                _prepare(self, recipe, inputs, target)
                step(recipe, inputs, target, size)
        finally:
            self.train(was_training)
        return recipe.results()

    def predict(self, x: Any, *, batch_size: int = 32) -> Any:
        """The outputs for x, all batches in one tensor; eval mode, no gradients.

        x: an array, a list of arrays (several inputs), or a loader of batches of inputs.
        """
        source = as_source("predict", x, None, batch_size=batch_size, shuffle=False, seed=0, need_target=False)
        step = self._training.steps.get("predict", predict_step)
        was_training = self.training
        self.eval()
        try:
            results = [step(self, inputs) for inputs, _, _ in source.batches()]
        finally:
            self.train(was_training)
        if isinstance(results[0], (tuple, list)):
            return tuple(concat(list(column), axis=0) for column in zip(*results, strict=True))
        return concat(results, axis=0) if len(results) > 1 else results[0]


class _Run:
    """One call of fit."""

    def __init__(
        self,
        model: Model,
        training: Training,
        recipe: Recipe,
        source: Source,
        validation: Source | None,
        parameters: dict[str, Any],
        interrupt: _Interrupt,
    ):
        self.model = model
        self.training = training
        self.recipe = recipe
        self.source = source
        self.validation = validation
        self.parameters = parameters
        self.callbacks = training.callbacks
        self.interrupt = interrupt
        self.step = training.steps["train"]
        self.beginning = _overriding(self.callbacks, "on_batch_begin")
        self.ending = _overriding(self.callbacks, "on_batch_end")

    def epochs(self, count: int, first_batch: int) -> None:
        model, training = self.model, self.training
        while training.epoch < count and not training.stop:
            epoch = training.epoch
            _call(self.callbacks, "on_epoch_begin", epoch, {})
            self.epoch(epoch, first_batch)
            first_batch = 0
            logs = self.recipe.results()
            if self.validation is not None:
                # A validation beside the epoch's own sums: those begin anew after it.
                checked = model._evaluate(self.recipe, self.validation)
                logs.update({f"val_{name}": value for name, value in checked.items()})
            self.recipe.reset()
            training.epoch = epoch + 1
            self.finish(epoch, logs)

    def finish(self, epoch: int, logs: dict[str, Any]) -> None:
        """Callbacks of the epoch's end: those that write checkpoints last, so that these hold what the others did."""
        for callback in self.callbacks:
            if isinstance(callback, ProgressBar):
                callback.clear()
        late = [c for c in self.callbacks if isinstance(c, Checkpoint)]
        _call([c for c in self.callbacks if c not in late], "on_epoch_end", epoch, logs)
        self.training.history.add(epoch, logs)
        _call(late, "on_epoch_end", epoch, logs)
        self.stop_if_interrupted(epoch, None)

    def epoch(self, epoch: int, first_batch: int) -> None:
        model, recipe = self.model, self.recipe
        model.train()
        batch = first_batch - 1
        for batch, (inputs, target, size) in enumerate(self.source.batches(), start=first_batch):
            if batch == first_batch:
                _prepare(model, recipe, inputs, target)
                self.source.unit = unit_of(None, inputs)
                self.parameters["unit"] = self.source.unit
            for callback in self.beginning:
                callback.on_batch_begin(batch, {"size": size})
            try:
                loss = self.step(recipe, inputs, target, size)
            except IndexingError as error:
                where = f"epoch {epoch + 1}, batch {batch + 1}"
                raise _wrong_labels(model, recipe, inputs, target, where) or error from None
            value = loss.item()
            if not math.isfinite(value):
                where = f"epoch {epoch + 1}, batch {batch + 1}"
                raise _non_finite(model, recipe, value, inputs, target, where)
            for callback in self.ending:
                callback.on_batch_end(batch, {"loss": loss, "size": size})
            self.stop_if_interrupted(epoch, batch)
        if batch < 0:
            raise ShapeError("[fit] expected at least one batch in an epoch, got a loader that gave none")

    def stop_if_interrupted(self, epoch: int, batch: int | None) -> None:
        if not self.interrupt.pressed:
            return
        where = f"epoch {epoch + 1}" + ("" if batch is None else f", batch {batch + 1}")
        written = [c.write(self.training.epoch) for c in self.callbacks if isinstance(c, Checkpoint)]
        print(f"\n[fit] interrupted after {where}; the model keeps what it has learned.", file=sys.stderr)
        for path in written:
            print(f"[fit] checkpoint: {path}; go on with fit(..., resume={path!r})", file=sys.stderr)
        raise KeyboardInterrupt


class _Interrupt:
    """Ctrl-C waits for the end of the batch; a second one doesn't wait. Only in the main thread."""

    def __init__(self) -> None:
        self.pressed = False
        self._before: Any = None

    def __enter__(self) -> _Interrupt:
        if threading.current_thread() is threading.main_thread():
            before = signal.getsignal(signal.SIGINT)
            if before is signal.default_int_handler:
                self._before = before
                signal.signal(signal.SIGINT, self._handle)
        return self

    def _handle(self, number: int, frame: Any) -> None:
        if self.pressed:
            raise KeyboardInterrupt
        self.pressed = True

    def __exit__(self, *exception: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)


def _call(callbacks: Sequence[Callback], method: str, *args: Any) -> None:
    for callback in callbacks:
        getattr(callback, method)(*args)


def _overriding(callbacks: Sequence[Callback], method: str) -> list[Callback]:
    """Those that do something there."""
    base = getattr(Callback, method)
    return [c for c in callbacks if getattr(c, method).__func__ is not base] if callbacks else []


def _as_loss(spec: Any) -> Callable:
    if spec is None:
        raise ArgumentError(f"[compile] expected a loss: a function, a module or one of {', '.join(LOSSES)}, got None")
    if isinstance(spec, str):
        if spec not in LOSSES:
            raise ArgumentError(f"[compile] expected a loss among {', '.join(LOSSES)}, got {spec!r}")
        return LOSSES[spec]
    if isinstance(spec, type) and issubclass(spec, Module):
        return spec()
    if not callable(spec):
        raise ArgumentError(f"[compile] expected a loss function, got {type(spec).__name__}")
    return spec


def _validation_source(data: Any, batch_size: int) -> Source:
    pair = isinstance(data, (tuple, list)) and len(data) == 2
    x, y = data if pair else (data, None)
    return as_source("fit: validation_data", x, y, batch_size=batch_size, shuffle=False, seed=0, need_target=True)


def _prepare(model: Model, recipe: Recipe, inputs: tuple, target: Any) -> None:
    """Show metrics that have no state yet the outputs for one sample."""
    waiting = [m for m in recipe.metrics if not m.state]
    if not waiting:
        return
    was_training = model.training
    model.eval()
    try:
        with no_grad():
            outputs = model(*(v[:1] if isinstance(v, Tensor) else v for v in inputs))
    finally:
        model.train(was_training)
    for metric in waiting:
        metric.prepare(outputs, target[:1] if isinstance(target, Tensor) else target)


def _wrong_labels(model: Model, recipe: Recipe, inputs: tuple, target: Any, where: str) -> Exception | None:
    """The error for class numbers that the model has no output for, or None."""
    by_class = recipe.loss in _CLASS_LOSSES or isinstance(recipe.loss, (CrossEntropyLoss, NLLLoss))
    if not (by_class and isinstance(target, Tensor) and target.dtype.kind in "iu"):
        return None
    model.eval()
    with no_grad():
        classes = model(*inputs).shape[1]
    ignored = getattr(recipe.loss, "ignore_index", -100)
    wrong = [int(v) for v in target.reshape(-1).tolist() if v != ignored and not 0 <= v < classes]
    if not wrong:
        return None
    return ValueRangeError(
        f"[fit] expected labels in [0, {classes}): the model has {classes} outputs; got {wrong[0]} in {where}"
    )


def _non_finite(model: Model, recipe: Recipe, value: float, inputs: tuple, target: Any, where: str) -> Exception:
    """The error for a loss that is not a number: labels out of range, or a training that diverged."""
    labels = _wrong_labels(model, recipe, inputs, target, where)
    if labels is not None:
        return labels
    bad = [i for i, v in enumerate(inputs) if isinstance(v, Tensor) and v.dtype.kind == "f" and not _finite(v)]
    if bad:
        return NonFiniteLossError(f"[fit] the loss became {value} in {where}: input {bad[0]} holds NaN or infinity")
    return NonFiniteLossError(
        f"[fit] the loss became {value} in {where}; the parameters may not be usable any more. Try a lower learning "
        "rate or compile(..., clip_grad_norm=1.0); `with twain.detect_anomaly():` around fit names the line of the "
        "first NaN"
    )


def _finite(value: Tensor) -> bool:
    return bool(((value - value) == 0).all())


__all__ = ["Model"]
