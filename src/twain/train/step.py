"""The work on one batch: what `fit`, `evaluate` and `predict` compile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import _core
from ..optim import clip_grad_norm_, clip_grad_value_
from ..runtime.compile import compile as compile_function
from ..tensor import no_grad
from .metrics import Average, Metric

Tensor = _core.Tensor


class Recipe:
    """Everything a step needs, gathered by `Model.compile`."""

    def __init__(
        self,
        network: Any,
        optimizer: Any,
        loss: Callable,
        metrics: list[Metric],
        clip_grad_norm: float | None,
        clip_grad_value: float | None,
    ):
        self.network = network
        self.optimizer = optimizer
        self.loss = loss
        self.loss_mean = Average("loss")
        self.metrics = metrics
        self.clip_grad_norm = clip_grad_norm
        self.clip_grad_value = clip_grad_value
        self.parameters = [] if optimizer is None else [p for g in optimizer.param_groups for p in g.params]

    def results(self) -> dict[str, Any]:
        """The loss and all metrics as numbers."""
        logs: dict[str, Any] = {"loss": self.loss_mean.result()}
        for metric in self.metrics:
            logs[metric.name] = metric.result()
        return logs

    def reset(self) -> None:
        """Begin to add up anew."""
        self.loss_mean.reset()
        for metric in self.metrics:
            metric.reset()

    def sums(self) -> list[dict[str, Any]]:
        """What has been added up so far."""
        return [m.state_dict() for m in (self.loss_mean, *self.metrics)]

    def load_sums(self, states: list[dict[str, Any]]) -> None:
        """Take over what `sums` gave."""
        for metric, state in zip((self.loss_mean, *self.metrics), states, strict=True):
            metric.load_state_dict(state)


def _count(recipe: Recipe, loss: Tensor, outputs: Any, target: Any, size: int) -> None:
    recipe.loss_mean.add_batch(loss.detach(), size)
    if recipe.metrics:
        shown = outputs.detach() if isinstance(outputs, Tensor) else outputs
        for metric in recipe.metrics:
            metric.update(shown, target)


def train_step(recipe: Recipe, inputs: tuple, target: Any, size: int) -> Tensor:
    """Forward, backward, optimizer step, metrics; returns the loss."""
    optimizer = recipe.optimizer
    optimizer.zero_grad()
    outputs = recipe.network(*inputs)
    loss = recipe.loss(outputs, target)
    loss.backward()
    if recipe.clip_grad_norm is not None:
        clip_grad_norm_(recipe.parameters, recipe.clip_grad_norm)
    if recipe.clip_grad_value is not None:
        clip_grad_value_(recipe.parameters, recipe.clip_grad_value)
    optimizer.step()
    # Last too: gradients that nobody can see afterwards need not be written to memory at all.
    optimizer.zero_grad()
    with no_grad():
        _count(recipe, loss, outputs, target, size)
    return loss.detach()


def test_step(recipe: Recipe, inputs: tuple, target: Any, size: int) -> Tensor:
    """Forward and metrics."""
    with no_grad():
        outputs = recipe.network(*inputs)
        loss = recipe.loss(outputs, target)
        _count(recipe, loss, outputs, target, size)
    return loss


def predict_step(network: Any, inputs: tuple) -> Any:
    """Forward."""
    with no_grad():
        return network(*inputs)


def compiled(step: Callable, enabled: bool) -> Callable:
    """`step`, compiled unless switched off."""
    return compile_function(step) if enabled else step
