"""Metrics of classes: how many are right, which are taken for which, and what follows from that."""

from __future__ import annotations

import math
from typing import Any

from ... import _core
from ...base.errors import ArgumentError, ShapeError, ValueRangeError
from ...nn import functional as F
from ...tensor import zeros
from ...tensor.scattering import scatter_add
from .base import Average, Metric, check_choice

Tensor = _core.Tensor


def single_output(outputs: Tensor) -> bool:
    """Whether there is one output per sample, (N,) or (N, 1)."""
    return outputs.ndim == 1 or (outputs.ndim == 2 and outputs.shape[1] == 1)


def predicted_classes(outputs: Tensor, threshold: float = 0.5) -> Tensor:
    """Class numbers: the largest of axis 1, or for one output per sample whether it is above `threshold`."""
    if outputs.ndim == 1:
        return (outputs > threshold).astype("int64")
    if outputs.ndim == 2 and outputs.shape[1] == 1:
        return (outputs[:, 0] > threshold).astype("int64")
    return outputs.argmax(axis=1)


def target_classes(outputs: Tensor, targets: Tensor) -> Tensor:
    """Class numbers of targets given as numbers, as probabilities, or as 0 and 1 for one output per sample."""
    if single_output(outputs):
        flat = targets[:, 0] if targets.ndim == 2 else targets
        return (flat > 0.5).astype("int64") if flat.dtype.kind == "f" else flat.astype("int64")
    if targets.dtype.kind == "f":
        return targets.argmax(axis=1)
    return targets.astype("int64")


def _fitting(name: str, predicted: Tensor, expected: Tensor, outputs: Tensor, targets: Tensor) -> None:
    if tuple(predicted.shape) != tuple(expected.shape):
        raise ShapeError(
            f"[{name}] expected outputs (N, classes, ...) and targets (N, ...), got {tuple(outputs.shape)} and "
            f"{tuple(targets.shape)}"
        )


class _Share(Average):
    """The weighted share of right answers."""

    larger_is_better = True

    def add_right(self, right: Tensor, counted: Tensor | None, weight: Tensor | None) -> None:
        """right, counted: bool (N, ...); weight (N,)."""
        if weight is not None:
            weight = weight.reshape((-1,) + (1,) * (right.ndim - 1)).astype("float64")
            weight = weight.broadcast_to(tuple(right.shape))
            if counted is not None:
                weight = weight * counted.astype("float64")
            self.add("total", (right.astype("float64") * weight).sum())
            self.add("count", weight.sum())
        elif counted is not None:
            self.add("total", (right & counted).sum())
            self.add("count", counted.sum())
        else:
            self.add("total", right.sum())
            self.add("count", float(right.size))


class Accuracy(_Share):
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

    def takes_logits(self) -> None:
        self.threshold = 0.0 if self.threshold is None else self.threshold

    def update(self, outputs: Tensor, targets: Tensor, weight: Tensor | None = None) -> None:
        predicted = predicted_classes(outputs, 0.5 if self.threshold is None else self.threshold)
        expected = target_classes(outputs, targets)
        _fitting("Accuracy", predicted, expected, outputs, targets)
        counted = None if self.ignore_index is None else expected != self.ignore_index
        self.add_right(predicted == expected, counted, weight)


class BinaryAccuracy(_Share):
    """Share of right yes-or-no answers, each output by itself: outputs and targets (N, ...) of one shape.

    Args:
        threshold: above it an output says yes (None: 0.5, or 0 for a loss on logits).
    """

    name = "binary_accuracy"

    def __init__(self, name: str | None = None, *, threshold: float | None = None):
        super().__init__(name)
        self.threshold = threshold

    def takes_logits(self) -> None:
        self.threshold = 0.0 if self.threshold is None else self.threshold

    def update(self, outputs: Tensor, targets: Tensor, weight: Tensor | None = None) -> None:
        if tuple(outputs.shape) != tuple(targets.shape):
            raise ShapeError(
                f"[BinaryAccuracy] expected outputs and targets of one shape, got {tuple(outputs.shape)} and "
                f"{tuple(targets.shape)}"
            )
        said = outputs > (0.5 if self.threshold is None else self.threshold)
        self.add_right(said == (targets > 0.5), None, weight)


class TopKAccuracy(_Share):
    """Share of samples whose class is among the k with the largest outputs, (N, classes) or (N, classes, ...)."""

    def __init__(self, k: int = 5, name: str | None = None, *, ignore_index: int | None = None):
        if not isinstance(k, int) or k < 1:
            raise ValueRangeError(f"[TopKAccuracy] expected k of at least 1, got {k}")
        super().__init__(name or f"top_{k}_accuracy")
        self.k = k
        self.ignore_index = ignore_index

    def update(self, outputs: Tensor, targets: Tensor, weight: Tensor | None = None) -> None:
        expected = target_classes(outputs, targets)
        if self.ignore_index is None:
            counted, present = None, expected
        else:
            counted = expected != self.ignore_index
            present = expected * counted.astype("int64")
        marked = F.one_hot(present, outputs.shape[1], axis=1)
        own = (outputs * marked.astype(outputs.dtype)).sum(axis=1, keepdims=True)
        self.add_right((outputs > own).sum(axis=1) < self.k, counted, weight)


class ConfusionMatrix(Metric):
    """counts[i][j]: how many samples of class i were taken for class j; with weights, the sum of their weights.

    Args:
        num_classes: by default as many as the model has outputs (2 for one output).
        threshold: for one output per sample, as Accuracy's.
        ignore_index: targets with this number don't count.
    """

    name = "confusion_matrix"
    larger_is_better = True

    def __init__(self, num_classes: int | None = None, name: str | None = None, *, threshold: float | None = None,
                 ignore_index: int | None = None):  # fmt: skip
        super().__init__(name)
        self.num_classes = num_classes
        self.threshold = threshold
        self.ignore_index = ignore_index
        if num_classes is not None:
            self.add_state("counts", (num_classes, num_classes))

    def takes_logits(self) -> None:
        self.threshold = 0.0 if self.threshold is None else self.threshold

    def prepare(self, outputs: Tensor, targets: Tensor) -> None:
        if self.num_classes is None:
            self.num_classes = 2 if single_output(outputs) else outputs.shape[1]
            self.add_state("counts", (self.num_classes, self.num_classes))

    def update(self, outputs: Tensor, targets: Tensor, weight: Tensor | None = None) -> None:
        if self.num_classes is None:
            self.prepare(outputs, targets)
        size = self.state["counts"].shape[0]
        expected = target_classes(outputs, targets)
        predicted = predicted_classes(outputs, 0.5 if self.threshold is None else self.threshold)
        _fitting(type(self).__name__, predicted, expected, outputs, targets)
        if weight is None:
            amounts = None
        else:
            amounts = weight.reshape((-1,) + (1,) * (expected.ndim - 1)).astype("float64")
            amounts = amounts.broadcast_to(tuple(expected.shape)).reshape(-1)
        flat = expected.reshape(-1)
        if self.ignore_index is not None:
            counted = flat != self.ignore_index
            flat = flat * counted.astype("int64")
            amounts = counted.astype("float64") if amounts is None else amounts * counted.astype("float64")
        cells = flat * size + predicted.reshape(-1)
        found = scatter_add(zeros(size * size, dtype="float64"), 0, cells, 1.0 if amounts is None else amounts)
        self.add("counts", found.reshape((size, size)))

    def counts(self) -> list[list[float]]:
        """The matrix; whole numbers as ints."""
        rows = self.state["counts"].tolist() if "counts" in self.state else []
        return [[int(v) if v == int(v) else v for v in row] for row in rows]

    def result(self) -> Any:
        return self.counts()


AVERAGES = ("macro", "micro", "weighted", "binary", None)


class _FromCounts(ConfusionMatrix):
    """A number per class made of the confusion matrix, averaged.

    Args:
        average: "macro" (mean over the classes that occur), "weighted" (by how often they occur), "micro" (all samples
            together), None for a list, or with two classes "binary" for the number of class 1.
        others as ConfusionMatrix's.
    """

    def __init__(
        self,
        average: str | None = "macro",
        num_classes: int | None = None,
        name: str | None = None,
        *,
        threshold: float | None = None,
        ignore_index: int | None = None,
    ):
        check_choice(type(self).__name__, "average", average, AVERAGES)
        super().__init__(num_classes, name, threshold=threshold, ignore_index=ignore_index)
        self.average = average

    def value(self, hits: float, taken: float, present: float) -> float:
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
        if self.average == "weighted":
            total = sum(present)
            return sum(v * p for v, p in zip(each, present, strict=True)) / total if total else math.nan
        occurring = [each[i] for i in classes if present[i] or taken[i]]
        return sum(occurring) / len(occurring) if occurring else math.nan


class Precision(_FromCounts):
    """Share of those taken for a class that are of it; 0 where none was."""

    name = "precision"

    def value(self, hits: float, taken: float, present: float) -> float:
        return hits / taken if taken else 0.0


class Recall(_FromCounts):
    """Share of a class that was found; 0 where there is none."""

    name = "recall"

    def value(self, hits: float, taken: float, present: float) -> float:
        return hits / present if present else 0.0


class FBetaScore(_FromCounts):
    """Weighted harmonic mean of precision and recall (van Rijsbergen 1979); recall counts `beta` times as much."""

    name = "fbeta"

    def __init__(self, beta: float = 1.0, average: str | None = "macro", num_classes: int | None = None,
                 name: str | None = None, **settings: Any):  # fmt: skip
        if not beta > 0:
            raise ValueRangeError(f"[FBetaScore] expected beta above 0, got {beta}")
        super().__init__(average, num_classes, name, **settings)
        self.beta = beta

    def value(self, hits: float, taken: float, present: float) -> float:
        square = self.beta**2
        return (1 + square) * hits / (taken + square * present) if taken + present else 0.0


class F1Score(_FromCounts):
    """Harmonic mean of precision and recall; 0 where both are."""

    name = "f1"

    def value(self, hits: float, taken: float, present: float) -> float:
        return 2 * hits / (taken + present) if taken + present else 0.0


class IoU(_FromCounts):
    """Intersection over union of each class (Jaccard index), for segmentation: outputs (N, classes, H, W), targets
    (N, H, W). The mean over the classes that occur is the usual mean IoU."""

    name = "iou"

    def value(self, hits: float, taken: float, present: float) -> float:
        union = taken + present - hits
        return hits / union if union else 0.0


class CohenKappa(ConfusionMatrix):
    """Agreement beyond chance (Cohen 1960): 1 all, 0 as by chance."""

    name = "cohen_kappa"

    def result(self) -> float:
        counts = self.counts()
        total = sum(map(sum, counts))
        if not total:
            return math.nan
        agreed = sum(counts[i][i] for i in range(len(counts))) / total
        columns = [sum(row[j] for row in counts) for j in range(len(counts))]
        chance = sum(sum(row) * column for row, column in zip(counts, columns, strict=True)) / total**2
        return (agreed - chance) / (1 - chance) if chance < 1 else math.nan


class MatthewsCorrelation(ConfusionMatrix):
    """Correlation between predicted and true classes (Matthews 1975; for several classes Gorodkin 2004)."""

    name = "matthews_correlation"

    def result(self) -> float:
        counts = self.counts()
        size = range(len(counts))
        total = sum(map(sum, counts))
        right = sum(counts[i][i] for i in size)
        present = [sum(counts[i]) for i in size]
        taken = [sum(counts[j][i] for j in size) for i in size]
        above = right * total - sum(p * t for p, t in zip(present, taken, strict=True))
        below = (total**2 - sum(t * t for t in taken)) * (total**2 - sum(p * p for p in present))
        return above / math.sqrt(below) if below > 0 else 0.0


def classes_of(owner: str, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """(scores (N, classes), whether each sample is of each class (N, classes) float64) for one-against-rest metrics.

    Targets are class numbers (N,), or 0 and 1 in the outputs' shape.
    """
    if single_output(outputs):
        scores = outputs.reshape((-1, 1))
        return scores, (targets.reshape((-1, 1)) > 0.5).astype("float64")
    if outputs.ndim != 2:
        raise ShapeError(f"[{owner}] expected outputs (N,) or (N, classes), got {tuple(outputs.shape)}")
    if tuple(targets.shape) == tuple(outputs.shape):
        return outputs, (targets > 0.5).astype("float64")
    if targets.ndim != 1 or targets.dtype.kind not in "iu":
        raise ArgumentError(
            f"[{owner}] expected targets as class numbers (N,) or in the outputs' shape {tuple(outputs.shape)}, got "
            f"{targets.dtype} {tuple(targets.shape)}"
        )
    return outputs, F.one_hot(targets.astype("int64"), outputs.shape[1]).astype("float64")
