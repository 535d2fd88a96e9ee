"""Metrics of how well scores separate classes, whatever the threshold."""

from __future__ import annotations

import math
from typing import Any

from ... import _core
from ...base.errors import ValueRangeError
from ...nn import functional as F
from ...ops.scan import cumulative_sum
from ...tensor import flip, zeros
from ...tensor.scattering import scatter_add
from .base import Metric, check_choice
from .classification import classes_of, single_output

Tensor = _core.Tensor


class _Ranking(Metric):
    """Counts of positive and negative samples in `bins` intervals of the score, class by class.

    Scores in one interval count as equal, so the result is that of scores rounded to 1 / bins.
    """

    larger_is_better = True

    def __init__(
        self,
        average: str | None = "macro",
        name: str | None = None,
        *,
        from_logits: bool | None = None,
        bins: int = 8192,
    ):
        super().__init__(name)
        check_choice(type(self).__name__, "average", average, ("macro", None))
        if not isinstance(bins, int) or bins < 2:
            raise ValueRangeError(f"[{type(self).__name__}] expected bins of at least 2, got {bins}")
        self.average = average
        self.from_logits = from_logits
        self.bins = bins

    def takes_logits(self) -> None:
        self.from_logits = True if self.from_logits is None else self.from_logits

    def prepare(self, outputs: Tensor, targets: Tensor) -> None:
        scores, _ = classes_of(type(self).__name__, outputs, targets)
        self.add_state("positive", (scores.shape[1], self.bins))
        self.add_state("negative", (scores.shape[1], self.bins))

    def update(self, outputs: Tensor, targets: Tensor, weight: Tensor | None = None) -> None:
        if not self.state:
            self.prepare(outputs, targets)
        several = not single_output(outputs) and tuple(targets.shape) != tuple(outputs.shape)
        scores, present = classes_of(type(self).__name__, outputs, targets)
        if self.from_logits:
            scores = F.softmax(scores, 1) if several else scores.sigmoid()
        classes = scores.shape[1]
        place = (scores.astype("float64") * self.bins).floor().clip(0, self.bins - 1).astype("int64")
        place = place + _numbers(classes) * self.bins
        amounts = present if weight is None else present * weight.reshape((-1, 1)).astype("float64")
        others = 1.0 - present if weight is None else (1.0 - present) * weight.reshape((-1, 1)).astype("float64")
        for key, values in (("positive", amounts), ("negative", others)):
            flat = zeros(classes * self.bins, dtype="float64")
            self.add(key, scatter_add(flat, 0, place.reshape(-1), values.reshape(-1)).reshape((classes, self.bins)))

    def areas(self, hits: Tensor, alarms: Tensor) -> list[float]:
        """Per class, of the numbers of positive and negative samples with at least each score, from the highest."""
        raise NotImplementedError

    def result(self) -> Any:
        if not self.state:
            return math.nan
        hits, alarms = (
            cumulative_sum(flip(self.state[key], axis=1), axis=1, include_initial=True)
            for key in ("positive", "negative")
        )
        each = self.areas(hits, alarms)
        if self.average is None:
            return each
        known = [v for v in each if not math.isnan(v)]
        return sum(known) / len(known) if known else math.nan


def _numbers(count: int) -> Tensor:
    """0 ... count - 1 as a row."""
    return cumulative_sum(zeros((1, count), dtype="int64") + 1, axis=1) - 1


class AUC(_Ranking):
    """Area under the receiver operating characteristic: how often a positive sample has the higher score.

    Outputs (N,) or (N, classes); each class against the rest. NaN for a class without both kinds of samples.

    Args:
        average: "macro" (mean over the classes), None for a list.
        from_logits: whether sigmoid or softmax comes first (None: as the loss says).
        bins: into how many steps scores in [0, 1] are rounded.
    """

    name = "auc"

    def areas(self, hits: Tensor, alarms: Tensor) -> list[float]:
        width = alarms[:, 1:] - alarms[:, :-1]
        area = (width * (hits[:, 1:] + hits[:, :-1]) * 0.5).sum(axis=1)
        return _shares(area, hits[:, -1] * alarms[:, -1])


class AveragePrecision(_Ranking):
    """Area under the precision-recall curve, summed in steps: mean of the precision at each positive sample.

    Arguments as AUC's.
    """

    name = "average_precision"

    def areas(self, hits: Tensor, alarms: Tensor) -> list[float]:
        taken = (hits + alarms)[:, 1:]
        precision = hits[:, 1:] / (taken + (taken == 0).astype("float64"))
        return _shares(((hits[:, 1:] - hits[:, :-1]) * precision).sum(axis=1), hits[:, -1])


def _shares(above: Tensor, below: Tensor) -> list[float]:
    return [a / b if b else math.nan for a, b in zip(above.tolist(), below.tolist(), strict=True)]
