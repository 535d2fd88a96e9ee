"""The work on one batch: what `fit`, `evaluate` and `predict` compile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import _core
from ..base.dtypes import float16
from ..base.errors import ArgumentError, ValueRangeError
from ..optim import GradScaler, clip_grad_norm_, clip_grad_value_
from ..runtime.compile import compile as compile_function
from ..tensor import asarray, no_grad, take
from ..tensor.autocasting import autocast
from .inputs import Batch
from .losses import CombinedLoss, PerSample
from .metrics import Average, Metric
from .metrics.classification import target_classes

Tensor = _core.Tensor


class Recipe:
    """Everything a step needs, gathered by `Model.compile`.

    `class_weight` (classes,) belongs to one call of fit; `accumulate` batches share an optimizer step.
    """

    def __init__(
        self,
        network: Any,
        optimizer: Any,
        loss: Callable,
        metrics: list[Metric],
        weighted_metrics: list[Metric],
        clip_grad_norm: float | None,
        clip_grad_value: float | None,
        accumulate: int,
        autocast_dtype: Any = None,
    ):
        self.network = network
        self.optimizer = optimizer
        self.loss = loss
        self.per_sample = PerSample(loss)
        self.loss_mean = Average("loss")
        parts = loss.losses if isinstance(loss, CombinedLoss) else ()
        self.part_means = {key: Average(f"{key}_loss") for key in parts}
        self.metrics = metrics
        self.weighted_metrics = weighted_metrics
        self.clip_grad_norm = clip_grad_norm
        self.clip_grad_value = clip_grad_value
        self.accumulate = accumulate
        self.autocast_dtype = autocast_dtype
        # float16 has few exponents: gradients are scaled into its range, and steps that overflow are left out.
        self.scaler = GradScaler() if autocast_dtype is float16 else None
        self.class_weight: Tensor | None = None
        self.parameters = [] if optimizer is None else [p for g in optimizer.param_groups for p in g.params]

    def all_metrics(self) -> list[Metric]:
        """The loss, its parts and the metrics, in the order in which they are shown."""
        return [self.loss_mean, *self.part_means.values(), *self.metrics, *self.weighted_metrics]

    def results(self) -> dict[str, Any]:
        """The loss and all metrics as numbers."""
        return {metric.name: metric.result() for metric in self.all_metrics()}

    def reset(self) -> None:
        """Begin to add up anew."""
        for metric in self.all_metrics():
            metric.reset()

    def sums(self) -> list[dict[str, Any]]:
        """What has been added up so far."""
        return [m.state_dict() for m in self.all_metrics()]

    def load_sums(self, states: list[dict[str, Any]]) -> None:
        """Take over what `sums` gave."""
        for metric, state in zip(self.all_metrics(), states, strict=True):
            metric.load_state_dict(state)


def _weight_of(recipe: Recipe, outputs: Any, target: Any, weight: Tensor | None) -> Tensor | None:
    """The weight of each sample: its own times that of its class."""
    if recipe.class_weight is None:
        return weight
    classes = target_classes(outputs, target)
    each = take(recipe.class_weight, classes.reshape(-1), axis=0).reshape((target.shape[0], -1)).mean(axis=1)
    return each if weight is None else each * weight.astype(each.dtype)


def _loss_of(recipe: Recipe, outputs: Any, target: Any, weight: Tensor | None) -> Tensor:
    return recipe.loss(outputs, target) if weight is None else recipe.per_sample.weighted(outputs, target, weight)


def _detached(tree: Any) -> Any:
    if isinstance(tree, Tensor):
        return tree.detach()
    if isinstance(tree, dict):
        return {key: _detached(part) for key, part in tree.items()}
    return type(tree)(map(_detached, tree)) if type(tree) in (tuple, list) else tree


def _count(recipe: Recipe, loss: Tensor, outputs: Any, target: Any, weight: Tensor | None, size: int) -> None:
    recipe.loss_mean.add_batch(loss.detach(), size)
    if not (recipe.metrics or recipe.weighted_metrics or recipe.part_means):
        return
    shown = _detached(outputs)
    if recipe.part_means:
        for key, (one, output, wanted) in recipe.loss.parts(shown, target).items():  # type: ignore[attr-defined]
            if weight is not None:
                value = recipe.per_sample.parts[key].weighted(output, wanted, weight)
            else:
                value = one(output, wanted)
            recipe.part_means[key].add_batch(value, size)
    for metric in recipe.metrics:
        metric.update(shown, target)
    for metric in recipe.weighted_metrics:
        metric.update(shown, target, weight)  # type: ignore[call-arg]


def _forward(recipe: Recipe, inputs: tuple, target: Any, weight: Tensor | None) -> tuple:
    """(outputs, loss, weights of the samples)."""
    if recipe.autocast_dtype is not None:
        with autocast(recipe.autocast_dtype):
            outputs = recipe.network(*inputs)
            weight = _weight_of(recipe, outputs, target, weight)
            return outputs, _loss_of(recipe, outputs, target, weight), weight
    outputs = recipe.network(*inputs)
    weight = _weight_of(recipe, outputs, target, weight)
    return outputs, _loss_of(recipe, outputs, target, weight), weight


def _backward(recipe: Recipe, loss: Tensor) -> None:
    (loss if recipe.scaler is None else recipe.scaler.scale(loss)).backward()


def _step_optimizer(recipe: Recipe) -> None:
    if recipe.scaler is not None:
        recipe.scaler.unscale_(recipe.optimizer)
    if recipe.clip_grad_norm is not None:
        clip_grad_norm_(recipe.parameters, recipe.clip_grad_norm)
    if recipe.clip_grad_value is not None:
        clip_grad_value_(recipe.parameters, recipe.clip_grad_value)
    if recipe.scaler is None:
        recipe.optimizer.step()
    else:
        recipe.scaler.step(recipe.optimizer)
        recipe.scaler.update()
    # Last too: gradients that nobody can see afterwards need not be written to memory at all.
    recipe.optimizer.zero_grad()


def train_step(recipe: Recipe, inputs: tuple, target: Any, weight: Tensor | None, size: int) -> Tensor:
    """Forward, backward, optimizer step, metrics; returns the loss."""
    recipe.optimizer.zero_grad()
    outputs, loss, weight = _forward(recipe, inputs, target, weight)
    _backward(recipe, loss)
    _step_optimizer(recipe)
    with no_grad():
        _count(recipe, loss, outputs, target, weight, size)
    return loss.detach()


def accumulating_step(
    recipe: Recipe, inputs: tuple, target: Any, weight: Tensor | None, size: int, last: bool
) -> Tensor:
    """As train_step, but gradients add up until the `last` batch of a group."""
    outputs, loss, weight = _forward(recipe, inputs, target, weight)
    _backward(recipe, loss / recipe.accumulate)
    if last:
        _step_optimizer(recipe)
    with no_grad():
        _count(recipe, loss, outputs, target, weight, size)
    return loss.detach()


def test_step(recipe: Recipe, inputs: tuple, target: Any, weight: Tensor | None, size: int) -> Tensor:
    """Forward and metrics."""
    with no_grad():
        outputs, loss, weight = _forward(recipe, inputs, target, weight)
        _count(recipe, loss, outputs, target, weight, size)
    return loss


def predict_step(network: Any, inputs: tuple) -> Any:
    """Forward."""
    with no_grad():
        return network(*inputs)


def compiled(step: Callable, enabled: bool) -> Callable:
    """`step`, compiled unless switched off."""
    return compile_function(step) if enabled else step


def prepare(recipe: Recipe, batch: Batch, class_weight: Any = None) -> None:
    """Show metrics that have no state yet the outputs for one sample, and make the table of class weights."""
    waiting = [m for m in recipe.all_metrics() if not m.state]
    if not waiting and class_weight is None:
        return
    network = recipe.network
    was_training = network.training
    network.eval()
    try:
        with no_grad():
            outputs = network(*_first_sample(batch.inputs))
    finally:
        network.train(was_training)
    for metric in waiting:
        metric.prepare(outputs, _first_sample(batch.target))
    if class_weight is not None:
        recipe.class_weight = class_weights(class_weight, outputs)


def _first_sample(tree: Any) -> Any:
    if isinstance(tree, Tensor):
        return tree[:1]
    if isinstance(tree, dict):
        return {key: _first_sample(part) for key, part in tree.items()}
    return type(tree)(map(_first_sample, tree)) if type(tree) in (tuple, list) else tree


def class_weights(spec: Any, outputs: Any) -> Tensor:
    """(classes,) float32 from {class: weight} (1 where there is none) or a weight per class."""
    if not isinstance(outputs, Tensor):
        raise ArgumentError(
            f"[fit] expected class_weight with a model of one output tensor, got {type(outputs).__name__}"
        )
    count = 2 if outputs.ndim == 1 or outputs.shape[1] == 1 else outputs.shape[1]
    if isinstance(spec, dict):
        wrong = [k for k in spec if not isinstance(k, int) or not 0 <= k < count]
        if wrong:
            raise ValueRangeError(f"[fit] expected class_weight for classes in [0, {count}), got {wrong[0]!r}")
        spec = [float(spec.get(k, 1.0)) for k in range(count)]
    table = asarray(spec, dtype="float32")
    if tuple(table.shape) != (count,):
        raise ValueRangeError(f"[fit] expected class_weight of shape ({count},), got {tuple(table.shape)}")
    return table
