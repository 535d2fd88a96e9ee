"""What a metric is, and means of values over samples."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ... import _core
from ...base.errors import ArgumentError, ShapeError
from ...tensor import no_grad, zeros

Tensor = _core.Tensor


class Metric:
    """Base class. A subclass names its tensors with `add_state` in `__init__`, adds to them in `update` and turns them
    into a number, or a nested list of numbers, in `result`.

    `update` only adds tensors up, so it is compiled into the step and never waits for a result. An `update` with a third
    argument `weight`, one number per sample or None, can be used in `compile(weighted_metrics=...)`.
    """

    name = "metric"
    # EarlyStopping and Checkpoint ask where their mode is "auto"; None: they go by the name.
    larger_is_better: bool | None = None

    def __init__(self, name: str | None = None):
        self.state: dict[str, Tensor] = {}
        if name is not None:
            self.name = name

    def add_state(self, key: str, shape: tuple = (), dtype: str = "float64") -> None:
        """A tensor of zeros that `update` adds to."""
        self.state[key] = zeros(shape, dtype=dtype)

    def add(self, key: str, value: Any) -> None:
        """self.state[key] += value, in the state's dtype."""
        kept = self.state[key]
        if isinstance(value, Tensor) and value.dtype is not kept.dtype:
            value = value.astype(kept.dtype)
        kept.assign(kept + value)

    def prepare(self, outputs: Any, targets: Any) -> None:
        """Called before training with outputs and targets of one sample, for metrics whose state depends on them."""

    def takes_logits(self) -> None:
        """Called when the loss works on logits: what reads outputs as probabilities must convert them."""

    def update(self, outputs: Any, targets: Any) -> None:
        """Take one batch into account."""
        raise NotImplementedError(f"{type(self).__name__} must define update(outputs, targets)")

    def result(self) -> Any:
        """The metric over all batches since the last `reset`."""
        raise NotImplementedError(f"{type(self).__name__} must define result()")

    def reset(self) -> None:
        """Begin anew."""
        with no_grad():
            for kept in self.state.values():
                kept.assign(zeros(tuple(kept.shape), dtype=kept.dtype))

    def state_dict(self) -> dict[str, Tensor]:
        """What has been added up so far."""
        return {key: kept.detach() for key, kept in self.state.items()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Take over what `state_dict` gave."""
        if set(state) != set(self.state):
            raise ShapeError(f"[{type(self).__name__}] expected state {sorted(self.state)}, got {sorted(state)}")
        with no_grad():
            for key, kept in self.state.items():
                kept.assign(state[key].detach())

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self.name!r})"


class Average(Metric):
    """The mean over all samples of a value that is the mean over each batch."""

    name = "mean"

    def __init__(self, name: str | None = None):
        super().__init__(name)
        self.add_state("total")
        self.add_state("count")

    def add_batch(self, value: Tensor, count: Any) -> None:
        """`value` is the mean over `count` samples."""
        self.add("total", value.astype("float64") * count)
        self.add("count", count)

    def add_each(self, values: Tensor, weight: Tensor | None = None) -> None:
        """`values` (N, ...): the mean over the other axes is the value of a sample; weight (N,)."""
        if weight is None:
            self.add("total", values.astype("float64").mean() * values.shape[0])
            self.add("count", float(values.shape[0]))
            return
        each = values.astype("float64").reshape((values.shape[0], -1)).mean(axis=1)
        self.add("total", (each * weight).sum())
        self.add("count", weight.sum())

    def result(self) -> float:
        count = self.state["count"].item()
        return self.state["total"].item() / count if count else math.nan


class FunctionMetric(Average):
    """The mean over samples of function(outputs, targets), which gives the mean of a batch."""

    def __init__(self, function: Callable, name: str | None = None):
        super().__init__(name or getattr(function, "__name__", "metric"))
        self.function = function

    def update(self, outputs: Any, targets: Any) -> None:
        self.add_batch(self.function(outputs, targets), batch_of(targets))


class PartMetric(Metric):
    """A metric of one of several outputs: outputs[key] against targets[key]."""

    def __init__(self, key: Any, metric: Metric):
        super().__init__(f"{key}_{metric.name}")
        self.key = key
        self.metric = metric
        self.state = metric.state
        self.larger_is_better = metric.larger_is_better

    def prepare(self, outputs: Any, targets: Any) -> None:
        self.metric.prepare(outputs[self.key], targets[self.key])

    def takes_logits(self) -> None:
        self.metric.takes_logits()

    def update(self, outputs: Any, targets: Any, weight: Tensor | None = None) -> None:
        own = (outputs[self.key], targets[self.key])
        if weight is None:
            self.metric.update(*own)
        else:
            self.metric.update(*own, weight)  # type: ignore[call-arg]

    def result(self) -> Any:
        return self.metric.result()


def batch_of(targets: Any) -> int:
    """Samples in a batch of targets: a tensor, or a container of them."""
    while not isinstance(targets, Tensor):
        targets = next(iter(targets.values())) if isinstance(targets, dict) else targets[0]
    return targets.shape[0] if targets.ndim else 1


def same_shape(name: str, outputs: Tensor, targets: Tensor) -> Tensor:
    """Targets in the outputs' shape: (N,) and (N, 1) are taken for each other; ShapeError for others."""
    if tuple(outputs.shape) == tuple(targets.shape):
        return targets
    if (
        outputs.size == targets.size
        and {outputs.ndim, targets.ndim} == {1, 2}
        and 1 in (outputs.shape[-1], targets.shape[-1])
    ):
        return targets.reshape(tuple(outputs.shape))
    raise ShapeError(
        f"[{name}] expected outputs and targets of one shape, got {tuple(outputs.shape)} and {tuple(targets.shape)}"
    )


def check_choice(owner: str, what: str, value: Any, choices: tuple) -> None:
    """ArgumentError unless value is one of choices."""
    if value not in choices:
        known = ", ".join("None" if c is None else str(c) for c in choices)
        raise ArgumentError(f"[{owner}] expected {what} to be one of {known}, got {value!r}")
