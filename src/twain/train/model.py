"""Model: a module with Keras' compile, fit, evaluate and predict."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from .. import _core
from ..base import pytree
from ..base.errors import ArgumentError, ValueRangeError
from ..io import load
from ..io.checkpoint import unchanged_on_error
from ..nn import Graph, Module
from ..optim import OPTIMIZERS
from ..tensor import concat, random
from ..tensor.autocasting import autocast_dtype
from .callbacks import Callback
from .errors import NotCompiledError
from .history import History
from .inputs import Source, as_source, samples_in, split_validation
from .losses import CombinedLoss, as_loss, on_logits
from .metrics import Metric, as_metric
from .metrics.base import PartMetric
from .progress import ProgressBar
from .run import Interrupt, Run, call
from .step import Recipe, accumulating_step, compiled, predict_step, prepare, test_step, train_step

Tensor = _core.Tensor

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
        self.stop_now = False
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
        metrics: Any = (),
        *,
        lr: float | None = None,
        loss_weights: Any = None,
        weighted_metrics: Any = (),
        clip_grad_norm: float | None = None,
        clip_grad_value: float | None = None,
        accumulate: int = 1,
        autocast: Any = None,
        compile_step: bool = True,
    ) -> Model:
        """Say how to train.

        Args:
            optimizer: an optimizer, its class, its name (of `optim.OPTIMIZERS`), or a function of the parameters.
            loss: a function(outputs, targets) or module that gives a 0-d tensor, or a name such as "cross_entropy"; for
                a model with several outputs a dictionary or list of these.
            metrics: metrics, their names ("accuracy"), or functions(outputs, targets); for several outputs a dictionary
                {output: metrics}.
            lr: learning rate for an optimizer given by name or class.
            loss_weights: how much each of several losses counts (1).
            weighted_metrics: as metrics, but samples count by their weights (`sample_weight`, `class_weight` of fit).
            clip_grad_norm, clip_grad_value: limits on the gradients before each step.
            accumulate: batches whose gradients are averaged before an optimizer step.
            autocast: "bfloat16" or "float16": compute in mixed precision (twain.autocast), for float16 with scaled losses.
            compile_step: compile the whole step (default), or run it op by op.
        """
        if not isinstance(accumulate, int) or isinstance(accumulate, bool) or accumulate < 1:
            raise ValueRangeError(f"[compile] expected accumulate to be an int of at least 1, got {accumulate!r}")
        training = self._training
        training.recipe = recipe = Recipe(
            self,
            self._as_optimizer(optimizer, lr),
            as_loss(loss, loss_weights),
            _as_metrics(metrics),
            _as_metrics(weighted_metrics),
            clip_grad_norm,
            clip_grad_value,
            accumulate,
            None if autocast is None else autocast_dtype(autocast),
        )
        names = [m.name for m in recipe.all_metrics()]
        twice = [n for n in names if names.count(n) > 1]
        if twice:
            raise ArgumentError(
                f"[compile] expected metrics of different names, got {twice[0]!r} twice; name= sets one"
            )
        for metric in recipe.weighted_metrics:
            if "weight" not in inspect.signature(metric.update).parameters:
                raise ArgumentError(
                    f"[compile] expected weighted_metrics whose update takes a weight, got {metric.name!r}"
                )
        for metric in (*recipe.metrics, *recipe.weighted_metrics):
            own: Any = recipe.loss
            if isinstance(metric, PartMetric):
                own = own.losses.get(metric.key) if isinstance(own, CombinedLoss) else None
            if on_logits(own):
                metric.takes_logits()
        step = accumulating_step if accumulate > 1 else train_step
        training.steps = {
            "train": compiled(step, compile_step),
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

    def stop_training_now(self) -> None:
        """For callbacks: end fit after the batch under way; what is left of the epoch is not trained."""
        self._training.stop = self._training.stop_now = True

    @property
    def optimizer(self) -> Any:
        """The optimizer given to compile."""
        return self._compiled("optimizer").optimizer

    @property
    def metrics(self) -> list[Any]:
        """The metrics given to compile."""
        recipe = self._compiled("metrics")
        return [*recipe.metrics, *recipe.weighted_metrics]

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
        validation_freq: int = 1,
        callbacks: Sequence[Callback] = (),
        verbose: int = 1,
        shuffle: bool = True,
        seed: int = 0,
        class_weight: Any = None,
        sample_weight: Any = None,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        resume: Any = None,
    ) -> History:
        """Train.

        Args:
            x: arrays (with y), a data set of (inputs, target), a DataLoader, an iterable of batches, a function that
                returns one, or a generator (with steps_per_epoch). A tuple or list of arrays are positional arguments
                of the model; a dictionary is one argument.
            y: targets, for x of arrays; a dictionary or tuple where the model has several outputs.
            epochs: run until so many epochs are done, those of a resumed run included.
            batch_size, shuffle, seed: for x that is not a loader already; the order depends on the seed alone.
            validation_data: (x, y), (x, y, weights), a data set or a loader, evaluated after each epoch.
            validation_split: or this share of x, chosen at random.
            validation_freq: evaluate after every so many epochs.
            callbacks: see twain.train.Callback.
            verbose: 0 silent, 1 a progress bar (a line per epoch where there is no terminal), 2 a line per epoch.
            class_weight: {class: weight}, or a weight per class: how much its samples count in the loss.
            sample_weight: (N,) beside arrays; True where the batches of a loader end in their weights. The loss is the
                mean of weight times loss over the samples of a batch.
            steps_per_epoch, validation_steps: batches in an epoch, in place of all; a generator goes on where it was.
            resume: path of a checkpoint that the Checkpoint callback wrote; training goes on from there and gives the
                same bits as if it had not been interrupted.

        Returns:
            The history: history["loss"] and so on, a number per epoch.

        Raises:
            NotCompiledError: before compile.
            ShapeError, ArgumentError, ValueRangeError: data that doesn't fit the model, the loss or each other.
            NonFiniteLossError: the loss became NaN or infinite.
            KeyboardInterrupt: Ctrl-C, after the batch under way; a Checkpoint callback writes its file first.
            SystemExit: SIGTERM, likewise.
        """
        recipe = self._compiled("fit")
        for name, count in (("epochs", epochs), ("validation_freq", validation_freq)):
            if not isinstance(count, int) or count < 1:
                raise ValueRangeError(f"[fit] expected {name} to be an int of at least 1, got {count!r}")
        if class_weight is not None or sample_weight is not None:
            recipe.per_sample.check("fit")
        if validation_split:
            x, validation_data = split_validation(x, y, validation_split, seed, sample_weight)
            y = None
            sample_weight = None if sample_weight is None else True
            validation_weight = sample_weight
        else:
            validation_weight = None
        source = as_source(
            "fit", x, y, batch_size=batch_size, shuffle=shuffle, seed=seed, weight=sample_weight, steps=steps_per_epoch
        )
        validation = None
        if validation_data is not None:
            validation = _validation_source(validation_data, batch_size, validation_weight, validation_steps)
        every = list(callbacks)
        if verbose:
            every.append(ProgressBar(verbose))
        training = self._training
        training.callbacks = every
        training.source = source
        training.stop = training.stop_now = False
        training.history = History()
        training.epoch = 0
        recipe.reset()
        recipe.class_weight = None
        recipe.optimizer.zero_grad()
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
        with Interrupt() as interrupt:
            run = Run(
                self, training, recipe, source, validation, validation_freq, class_weight, parameters, interrupt
            )  # fmt: skip
            try:
                call(every, "on_train_begin", {})
                run.epochs(epochs, first_batch)
            finally:
                call(every, "on_train_end", {})
                recipe.class_weight = None
                self.train(was_training)
        return training.history

    def train_on_batch(self, x: Any, y: Any, sample_weight: Any = None) -> dict[str, Any]:
        """One optimizer step on one batch; returns its loss and metrics. Arguments as fit's, x and y of arrays."""
        return self._on_batch("train_on_batch", "train", x, y, sample_weight)

    def test_on_batch(self, x: Any, y: Any, sample_weight: Any = None) -> dict[str, Any]:
        """Loss and metrics of one batch, in eval mode and without gradients."""
        return self._on_batch("test_on_batch", "test", x, y, sample_weight)

    def predict_on_batch(self, x: Any) -> Any:
        """The outputs for one batch; eval mode, no gradients."""
        return self.predict(x, batch_size=max(1, samples_in(x)))

    def _on_batch(self, function: str, kind: str, x: Any, y: Any, weight: Any) -> dict[str, Any]:
        recipe = self._compiled(function)
        batch = next(as_source(function, x, y, batch_size=max(1, samples_in(x)), weight=weight).batches())
        step = self._training.steps[kind]
        kept = recipe.sums()
        was_training = self.training
        self.train(kind == "train")
        try:
            prepare(recipe, batch)
            recipe.reset()
            step(recipe, *batch, True) if kind == "train" and recipe.accumulate > 1 else step(recipe, *batch)
            logs = recipe.results()
        finally:
            self.train(was_training)
        recipe.load_sums(kept) if len(kept) == len(recipe.sums()) and all(kept) else recipe.reset()
        return logs

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
            # Those of the batches since the last optimizer step, where several share one.
            "gradients": [p.grad for p in recipe.parameters] if recipe.accumulate > 1 else None,
            "scaler": None if recipe.scaler is None else recipe.scaler.state_dict(),
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
        with unchanged_on_error((self, recipe.optimizer, source.loader)):
            self.load_state_dict(state["model"])
            recipe.optimizer.load_state_dict(state["optimizer"])
            source.loader.load_state_dict(state["loader"])
        training.epoch = state["epoch"]
        training.history.load_state_dict(state["history"])
        if state["sums"]:
            recipe.load_sums(state["sums"])
        if recipe.scaler is not None and state.get("scaler"):
            recipe.scaler.load_state_dict(state["scaler"])
        for parameter, gradient in zip(recipe.parameters, state.get("gradients") or (), strict=False):
            parameter.grad = gradient
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
    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        *,
        batch_size: int = 32,
        sample_weight: Any = None,
        steps: int | None = None,
        verbose: int = 0,
    ) -> dict[str, Any]:
        """Loss and metrics on x (and y), in eval mode and without gradients; arguments as fit's."""
        recipe = self._compiled("evaluate")
        if sample_weight is not None:
            recipe.per_sample.check("evaluate")
        source = as_source("evaluate", x, y, batch_size=batch_size, weight=sample_weight, steps=steps)
        kept = recipe.sums()
        logs = self._evaluate(recipe, source)
        recipe.load_sums(kept) if all(kept) else recipe.reset()
        if verbose:
            print("  ".join(f"{name} {value:.4f}" for name, value in logs.items() if isinstance(value, float)))
        return logs

    def _evaluate(self, recipe: Recipe, source: Source) -> dict[str, Any]:
        step = self._training.steps["test"]
        recipe.reset()
        was_training = self.training
        self.eval()
        try:
            for batch in source.batches():
                prepare(recipe, batch)
                step(recipe, *batch)
        finally:
            self.train(was_training)
        return recipe.results()

    def predict(self, x: Any, *, batch_size: int = 32, steps: int | None = None) -> Any:
        """The outputs for x, all batches in one tensor (or one per output); eval mode, no gradients.

        x: an array, a tuple, list or dictionary of arrays (several inputs), or a loader of batches of inputs.
        """
        source = as_source("predict", x, None, batch_size=batch_size, need_target=False, steps=steps)
        step = self._training.steps.get("predict", predict_step)
        was_training = self.training
        self.eval()
        try:
            results = [step(self, batch.inputs) for batch in source.batches()]
        finally:
            self.train(was_training)
        if not results:
            raise ValueRangeError("[predict] expected at least one batch, got none")
        if len(results) == 1:
            return results[0]
        spec = pytree.flatten(results[0])[1]
        columns = zip(*(pytree.flatten(result)[0] for result in results), strict=True)
        return pytree.unflatten(spec, [concat(list(column), axis=0) for column in columns])


def _as_metrics(spec: Any) -> list[Metric]:
    """Metrics from one, a list, or {output: metrics of it}."""
    if isinstance(spec, dict):
        return [PartMetric(key, metric) for key, own in spec.items() for metric in _as_metrics(own)]
    one = isinstance(spec, (str, Metric)) or callable(spec)
    return [as_metric(m) for m in ([spec] if one else spec)]


def _validation_source(data: Any, batch_size: int, weight: Any, steps: int | None) -> Source:
    x, y = data, None
    if isinstance(data, (tuple, list)) and len(data) in (2, 3):
        x, y = data[:2]
        weight = data[2] if len(data) == 3 else weight
    return as_source("fit: validation_data", x, y, batch_size=batch_size, weight=weight, steps=steps)


__all__ = ["Model"]
