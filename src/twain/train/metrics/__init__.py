"""Metrics: numbers about predictions, added up on the device and read once an epoch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...base.errors import ArgumentError
from .base import Average, FunctionMetric, Metric
from .classification import (
    Accuracy,
    BinaryAccuracy,
    CohenKappa,
    ConfusionMatrix,
    F1Score,
    FBetaScore,
    IoU,
    MatthewsCorrelation,
    Precision,
    Recall,
    TopKAccuracy,
)
from .language import BLEU, Perplexity
from .ranking import AUC, AveragePrecision
from .regression import (
    CosineSimilarity,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogError,
    PearsonCorrelation,
    R2Score,
    RootMeanSquaredError,
)

NAMES: dict[str, Callable[[], Metric]] = {
    "accuracy": Accuracy,
    "acc": lambda: Accuracy("acc"),
    "top_5_accuracy": TopKAccuracy,
    **{
        kind.name: kind
        for kind in (
            BinaryAccuracy, Precision, Recall, F1Score, IoU, AUC, AveragePrecision, CohenKappa, MatthewsCorrelation,
            ConfusionMatrix, MeanSquaredError, RootMeanSquaredError, MeanAbsoluteError, MeanAbsolutePercentageError,
            MeanSquaredLogError, CosineSimilarity, R2Score, PearsonCorrelation, Perplexity,
        )
    },
}  # fmt: skip


def as_metric(spec: Any) -> Metric:
    """A Metric from one, a class, a name, or a function(outputs, targets) -> mean over the batch."""
    metric = spec
    if isinstance(spec, str):
        if spec not in NAMES:
            raise ArgumentError(f"[compile] expected a metric among {', '.join(NAMES)}, got {spec!r}")
        metric = NAMES[spec]()
    elif isinstance(spec, type) and issubclass(spec, Metric):
        metric = spec()
    elif callable(spec) and not isinstance(spec, Metric):
        metric = FunctionMetric(spec)
    if not isinstance(metric, Metric):
        raise ArgumentError(f"[compile] expected a metric, its name or a function, got {type(spec).__name__}")
    if isinstance(metric, BLEU):
        raise ArgumentError(
            "[compile] expected a metric of tensors, got BLEU, which takes texts; update it in a callback or after "
            "predict"
        )
    return metric


__all__ = [
    "AUC",
    "BLEU",
    "NAMES",
    "Accuracy",
    "Average",
    "AveragePrecision",
    "BinaryAccuracy",
    "CohenKappa",
    "ConfusionMatrix",
    "CosineSimilarity",
    "F1Score",
    "FBetaScore",
    "FunctionMetric",
    "IoU",
    "MatthewsCorrelation",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogError",
    "Metric",
    "PearsonCorrelation",
    "Perplexity",
    "Precision",
    "R2Score",
    "Recall",
    "RootMeanSquaredError",
    "TopKAccuracy",
    "as_metric",
]
