"""Metrics of numbers: how far off they are."""

from __future__ import annotations

import math
from typing import Any

from ... import _core
from ...tensor import log1p, sqrt
from .base import Average, Metric, check_choice, same_shape

Tensor = _core.Tensor


class _Distance(Average):
    """The mean of a distance between outputs and targets of one shape."""

    larger_is_better = False

    def distance(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Element by element, (N, ...)."""
        raise NotImplementedError

    def update(self, outputs: Tensor, targets: Tensor, weight: Tensor | None = None) -> None:
        targets = same_shape(type(self).__name__, outputs, targets)
        self.add_each(self.distance(outputs, targets), weight)


class MeanSquaredError(_Distance):
    """Mean of (outputs - targets) ** 2."""

    name = "mse"

    def distance(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs - targets) ** 2


class RootMeanSquaredError(MeanSquaredError):
    """Root of the mean of (outputs - targets) ** 2 over all samples."""

    name = "rmse"

    def result(self) -> float:
        return math.sqrt(super().result())


class MeanAbsoluteError(_Distance):
    """Mean of |outputs - targets|."""

    name = "mae"

    def distance(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs - targets).abs()


class MeanAbsolutePercentageError(_Distance):
    """Mean of 100 |outputs - targets| / |targets|; targets below 1e-7 count as 1e-7."""

    name = "mape"

    def distance(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs - targets).abs() / targets.abs().clip(1e-7, None) * 100.0


class MeanSquaredLogError(_Distance):
    """Mean of (log(1 + outputs) - log(1 + targets)) ** 2; numbers below 0 count as 0."""

    name = "msle"

    def distance(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return (log1p(outputs.clip(0, None)) - log1p(targets.clip(0, None))) ** 2


class CosineSimilarity(Average):
    """Mean of the cosine of the angle between outputs and targets along the last axis."""

    name = "cosine_similarity"
    larger_is_better = True

    def update(self, outputs: Tensor, targets: Tensor, weight: Tensor | None = None) -> None:
        targets = same_shape("CosineSimilarity", outputs, targets)
        norms = sqrt((outputs * outputs).sum(axis=-1) * (targets * targets).sum(axis=-1))
        self.add_each((outputs * targets).sum(axis=-1) / norms.clip(1e-12, None), weight)


class _Moments(Metric):
    """Sums of first and second moments of outputs x and targets y, column by column (axis 1 where there is one)."""

    larger_is_better = True

    def prepare(self, outputs: Tensor, targets: Tensor) -> None:
        columns = outputs.size // outputs.shape[0] if outputs.ndim > 1 else 1
        for key in ("x", "y", "xx", "yy", "xy"):
            self.add_state(key, (columns,))
        self.add_state("count")

    def update(self, outputs: Tensor, targets: Tensor, weight: Tensor | None = None) -> None:
        if not self.state:
            self.prepare(outputs, targets)
        targets = same_shape(type(self).__name__, outputs, targets)
        x = outputs.reshape((outputs.shape[0], -1)).astype("float64")
        y = targets.reshape((outputs.shape[0], -1)).astype("float64")
        w = 1.0 if weight is None else weight.reshape((-1, 1)).astype("float64")
        for key, value in (("x", x), ("y", y), ("xx", x * x), ("yy", y * y), ("xy", x * y)):
            self.add(key, (value * w).sum(axis=0))
        self.add("count", float(outputs.shape[0]) if weight is None else weight.sum())

    def column(self, n: float, x: float, y: float, xx: float, yy: float, xy: float) -> float:
        """The number of one column, from the sums."""
        raise NotImplementedError

    def columns(self) -> list[float]:
        """The number of each column."""
        if not self.state or not self.state["count"].item():
            return [math.nan]
        n = self.state["count"].item()
        rows = zip(*(self.state[key].tolist() for key in ("x", "y", "xx", "yy", "xy")), strict=True)
        return [self.column(n, *row) for row in rows]

    def result(self) -> Any:
        each = self.columns()
        return sum(each) / len(each)


class R2Score(_Moments):
    """Coefficient of determination: 1 - squared errors / squared deviations of the targets from their mean.

    Args:
        average: "macro" (mean over the outputs) or None for a list. NaN where the targets don't vary.
    """

    name = "r2"

    def __init__(self, average: str | None = "macro", name: str | None = None):
        super().__init__(name)
        check_choice("R2Score", "average", average, ("macro", None))
        self.average = average

    def column(self, n: float, x: float, y: float, xx: float, yy: float, xy: float) -> float:
        total = yy - y * y / n
        return 1.0 - (xx - 2 * xy + yy) / total if total > 0 else math.nan

    def result(self) -> Any:
        return super().result() if self.average else self.columns()


class PearsonCorrelation(_Moments):
    """Correlation of outputs and targets, the mean over the columns. NaN where one doesn't vary."""

    name = "pearson"

    def column(self, n: float, x: float, y: float, xx: float, yy: float, xy: float) -> float:
        spread = (xx - x * x / n) * (yy - y * y / n)
        return (xy - x * y / n) / math.sqrt(spread) if spread > 0 else math.nan
