"""Metrics: numbers about predictions, added up on the device and read once an epoch.

`update` only adds tensors up (so it is compiled into the step and never waits for a result); `result` reads them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .. import _core
from ..base.errors import ArgumentError, ShapeError, ValueRangeError
from ..nn import functional as F
from ..tensor import no_grad, zeros

Tensor = _core.Tensor


class Metric:
    """Base class. A subclass names its tensors with `add_state` in `__init__`, adds to them in `update` and turns them
    into a number, or a nested list of numbers, in `result`."""

    name = "metric"

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

    def prepare(self, outputs: Tensor, targets: Tensor) -> None:
        """Called before training with outputs and targets of one sample, for metrics whose state depends on them."""

    def update(self, outputs: Tensor, targets: Tensor) -> None:
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

    def result(self) -> float:
        count = self.state["count"].item()
        return self.state["total"].item() / count if count else math.nan


class FunctionMetric(Average):
    """The mean over samples of function(outputs, targets), which gives the mean of a batch."""

    def __init__(self, function: Callable, name: str | None = None):
        super().__init__(name or getattr(function, "__name__", "metric"))
        self.function = function

    def update(self, outputs: Tensor, targets: Tensor) -> None:
        self.add_batch(self.function(outputs, targets), _batch(targets))


class MeanSquaredError(Average):
    """Mean of (outputs - targets) ** 2."""

    name = "mse"

    def update(self, outputs: Tensor, targets: Tensor) -> None:
        self.add_batch(F.mse_loss(outputs, targets), _batch(targets))


class MeanAbsoluteError(Average):
    """Mean of |outputs - targets|."""

    name = "mae"

    def update(self, outputs: Tensor, targets: Tensor) -> None:
        self.add_batch(F.l1_loss(outputs, targets), _batch(targets))


def _batch(targets: Tensor) -> int:
    return targets.shape[0] if targets.ndim else 1


def predicted_classes(outputs: Tensor, threshold: float = 0.5) -> Tensor:
    """Class numbers: the largest of axis 1, or for one output per sample whether it is above `threshold`."""
    if outputs.ndim == 1:
        return (outputs > threshold).astype("int64")
    if outputs.ndim == 2 and outputs.shape[1] == 1:
        return (outputs[:, 0] > threshold).astype("int64")
    return outputs.argmax(axis=1)


def target_classes(outputs: Tensor, targets: Tensor) -> Tensor:
    """Class numbers of targets given as numbers, as probabilities, or as 0 and 1 for one output per sample."""
    single = outputs.ndim == 1 or (outputs.ndim == 2 and outputs.shape[1] == 1)
    if single:
        flat = targets[:, 0] if targets.ndim == 2 else targets
        return (flat > 0.5).astype("int64") if flat.dtype.kind == "f" else flat.astype("int64")
    if targets.dtype.kind == "f":
        return targets.argmax(axis=1)
    return targets.astype("int64")


class Accuracy(Metric):
    """Share of samples whose class is right.

    Args:
        threshold: for one output per sample: above it the class is 1 (None: 0.5, or 0 for a loss on logits).
        ignore_index: targets with this number don't count.
    """

    name = "accuracy"

    def __init__(self, name: str | None = None, *, threshold: float | None = None, ignore_index: int | None = None):
        super().__init__(name)
        self.threshold = threshold
        self.ignore_index = ignore_index
        self.add_state("right")
        self.add_state("count")

    def update(self, outputs: Tensor, targets: Tensor) -> None:
        predicted = predicted_classes(outputs, 0.5 if self.threshold is None else self.threshold)
        expected = target_classes(outputs, targets)
        right = predicted == expected
        if self.ignore_index is None:
            self.add("right", right.sum())
            self.add("count", float(expected.size))
        else:
            counted = expected != self.ignore_index
            self.add("right", (right & counted).sum())
            self.add("count", counted.sum())

    def result(self) -> float:
        count = self.state["count"].item()
        return self.state["right"].item() / count if count else math.nan


class TopKAccuracy(Metric):
    """Share of samples whose class is among the k with the largest outputs."""

    def __init__(self, k: int = 5, name: str | None = None):
        if k < 1:
            raise ValueRangeError(f"[TopKAccuracy] expected k of at least 1, got {k}")
        super().__init__(name or f"top_{k}_accuracy")
        self.k = k
        self.add_state("right")
        self.add_state("count")

    def update(self, outputs: Tensor, targets: Tensor) -> None:
        expected = target_classes(outputs, targets)
        marked = F.one_hot(expected, outputs.shape[1], axis=1)
        own = (outputs * marked.astype(outputs.dtype)).sum(axis=1, keepdims=True)
        better = (outputs > own).sum(axis=1)
        self.add("right", (better < self.k).sum())
        self.add("count", float(expected.size))

    def result(self) -> float:
        count = self.state["count"].item()
        return self.state["right"].item() / count if count else math.nan


class ConfusionMatrix(Metric):
    """counts[i][j]: how many samples of class i were taken for class j.

    Args:
        num_classes: by default as many as the model has outputs (2 for one output).
    """

    name = "confusion_matrix"

    def __init__(self, num_classes: int | None = None, name: str | None = None, *, threshold: float | None = None):
        super().__init__(name)
        self.num_classes = num_classes
        self.threshold = threshold
        if num_classes is not None:
            self.add_state("counts", (num_classes, num_classes), "int64")

    def prepare(self, outputs: Tensor, targets: Tensor) -> None:
        if self.num_classes is None:
            self.num_classes = 2 if outputs.ndim == 1 or outputs.shape[1] == 1 else outputs.shape[1]
            self.add_state("counts", (self.num_classes, self.num_classes), "int64")

    def update(self, outputs: Tensor, targets: Tensor) -> None:
        if self.num_classes is None:
            self.prepare(outputs, targets)
        size = self.state["counts"].shape[0]
        expected = target_classes(outputs, targets).reshape(-1)
        predicted = predicted_classes(outputs, 0.5 if self.threshold is None else self.threshold).reshape(-1)
        rows = F.one_hot(expected, size).astype("float32")
        columns = F.one_hot(predicted, size).astype("float32")
        self.add("counts", rows.T @ columns)

    def counts(self) -> list[list[int]]:
        """The matrix."""
        return self.state["counts"].tolist() if "counts" in self.state else []

    def result(self) -> Any:
        return self.counts()


class _FromCounts(ConfusionMatrix):
    """A number per class made of the confusion matrix, averaged.

    Args:
        average: "macro" (mean over the classes that occur), "micro" (all samples together), None for a list, or with two
            classes "binary" for the number of class 1.
    """

    def __init__(
        self,
        average: str | None = "macro",
        num_classes: int | None = None,
        name: str | None = None,
        *,
        threshold: float | None = None,
    ):
        if average not in ("macro", "micro", "binary", None):
            raise ArgumentError(
                f"[{type(self).__name__}] expected average macro, micro, binary or None, got {average!r}"
            )
        super().__init__(num_classes, name, threshold=threshold)
        self.average = average

    def value(self, hits: int, taken: int, present: int) -> float:
        """The number of one class: right ones, ones taken for it, ones that are it."""
        raise NotImplementedError

    def result(self) -> Any:
        counts = self.counts()
        classes = range(len(counts))
        hits = [counts[i][i] for i in classes]
        present = [sum(counts[i]) for i in classes]
        taken = [sum(counts[j][i] for j in classes) for i in classes]
        if self.average == "micro":
            return self.value(sum(hits), sum(taken), sum(present))
        each = [self.value(hits[i], taken[i], present[i]) for i in classes]
        if self.average is None:
            return each
        if self.average == "binary":
            return each[1] if len(each) == 2 else math.nan
        occurring = [each[i] for i in classes if present[i] or taken[i]]
        return sum(occurring) / len(occurring) if occurring else math.nan


class Precision(_FromCounts):
    """Share of those taken for a class that are of it; 0 where none was."""

    name = "precision"

    def value(self, hits: int, taken: int, present: int) -> float:
        return hits / taken if taken else 0.0


class Recall(_FromCounts):
    """Share of a class that was found; 0 where there is none."""

    name = "recall"

    def value(self, hits: int, taken: int, present: int) -> float:
        return hits / present if present else 0.0


class F1Score(_FromCounts):
    """Harmonic mean of precision and recall; 0 where both are."""

    name = "f1"

    def value(self, hits: int, taken: int, present: int) -> float:
        return 2 * hits / (taken + present) if taken + present else 0.0


NAMES: dict[str, Callable[[], Metric]] = {
    "accuracy": Accuracy,
    "acc": Accuracy,
    "top_5_accuracy": TopKAccuracy,
    "mse": MeanSquaredError,
    "mae": MeanAbsoluteError,
    "precision": Precision,
    "recall": Recall,
    "f1": F1Score,
    "confusion_matrix": ConfusionMatrix,
}


def as_metric(spec: Any) -> Metric:
    """A Metric from one, a class, a name, or a function(outputs, targets) -> mean over the batch."""
    if isinstance(spec, Metric):
        return spec
    if isinstance(spec, str):
        if spec not in NAMES:
            raise ArgumentError(f"[compile] expected a metric among {', '.join(NAMES)}, got {spec!r}")
        metric = NAMES[spec]()
        if spec == "acc":
            metric.name = "acc"
        return metric
    if isinstance(spec, type) and issubclass(spec, Metric):
        return spec()
    if callable(spec):
        return FunctionMetric(spec)
    raise ArgumentError(f"[compile] expected a metric, its name or a function, got {type(spec).__name__}")
