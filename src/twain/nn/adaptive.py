"""The softmax over many classes that spends less on rare ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from .. import _core
from ..base.errors import ArgumentError, ShapeError, ValueRangeError
from ..ops.elementwise import where
from ..ops.shape import concat
from ..tensor.bounds import check_classes
from . import functional as F
from .containers import ModuleList, Sequential
from .layers import Linear
from .module import Module

Tensor = _core.Tensor


class AdaptiveResult(NamedTuple):
    """The log-probability of each target, and the mean loss."""

    output: Tensor
    loss: Tensor


class AdaptiveLogSoftmaxWithLoss(Module):
    """Log-softmax over classes sorted by falling frequency, with its loss (Grave et al. 2017).

    Frequent classes have a weight of their own in `head`; the others form clusters with one weight in it, and a low-rank
    map each in `tail`, whose rank falls by `div_value` from cluster to cluster.

    Args:
        in_features: size of an input.
        n_classes: number of classes.
        cutoffs: rising class numbers at which clusters begin.
        head_bias: whether the head has a bias.

    Called with input (N, in_features) and target (N,), or without N; gives (output, loss). A target outside [0, n_classes)
    raises IndexError.
    """

    def __init__(
        self,
        in_features: int,
        n_classes: int,
        cutoffs: Sequence[int],
        div_value: float = 4.0,
        head_bias: bool = False,
        device: Any = None,
        dtype: Any = None,
    ):
        cutoffs = list(cutoffs)
        if not cutoffs or cutoffs != sorted(set(map(int, cutoffs))) or cutoffs[0] <= 0 or cutoffs[-1] > n_classes - 1:
            raise ValueRangeError(
                f"[AdaptiveLogSoftmaxWithLoss] expected cutoffs to be rising ints between 1 and {n_classes - 1}, got {cutoffs}"
            )
        self.in_features = in_features
        self.n_classes = n_classes
        self.cutoffs = [*cutoffs, n_classes]
        self.div_value = div_value
        self.head_bias = head_bias
        self.shortlist_size = self.cutoffs[0]
        self.n_clusters = len(self.cutoffs) - 1
        self.head_size = self.shortlist_size + self.n_clusters
        self.head = Linear(in_features, self.head_size, head_bias, device, dtype)
        self.tail = ModuleList()
        for i in range(self.n_clusters):
            rank = int(in_features // div_value ** (i + 1))
            size = self.cutoffs[i + 1] - self.cutoffs[i]
            if rank < 1:
                raise ValueRangeError(
                    f"[AdaptiveLogSoftmaxWithLoss] expected div_value ** {i + 1} below in_features={in_features}, got "
                    f"div_value={div_value}"
                )
            self.tail.append(
                Sequential(Linear(in_features, rank, False, device, dtype), Linear(rank, size, False, device, dtype))
            )

    def reset_parameters(self) -> None:
        """New initial values."""
        for module in self.modules():
            if isinstance(module, Linear):
                module.reset_parameters()

    def forward(self, input: Tensor, target: Tensor) -> AdaptiveResult:
        alone = target.ndim == 0
        if alone:
            input, target = input.reshape((1, -1)), target.reshape((1,))
        if target.ndim != 1 or input.ndim != 2 or input.shape[0] != target.shape[0]:
            raise ShapeError(
                "[AdaptiveLogSoftmaxWithLoss] expected input (N, in_features) and target (N,), got "
                f"{tuple(input.shape)} and {tuple(target.shape)}"
            )
        check_classes("AdaptiveLogSoftmaxWithLoss", "targets", target, self.n_classes)
        logs = F.log_softmax(self.head(input), 1)
        # Every cluster for every row: shapes that don't depend on values, so that it compiles and batches.
        first = where(target < self.shortlist_size, target, 0)
        output = _picked(logs, first)
        for i, cluster in enumerate(self.tail):
            low, high = self.cutoffs[i], self.cutoffs[i + 1]
            inside = (target >= low) & (target < high)
            own = _picked(F.log_softmax(cluster(input), 1), where(inside, target - low, 0))
            output = where(inside, logs[:, self.shortlist_size + i] + own, output)
        loss = -output.mean()
        # not by its own constructor, which is code without a file, and recordings can't look into that
        return tuple.__new__(AdaptiveResult, (output.reshape(()) if alone else output, loss))

    def log_prob(self, input: Tensor) -> Tensor:
        """The logarithms of all classes' probabilities: (N, in_features) to (N, n_classes)."""
        if input.ndim != 2:
            raise ArgumentError(
                f"[AdaptiveLogSoftmaxWithLoss] expected input (N, in_features), got shape {tuple(input.shape)}"
            )
        logs = F.log_softmax(self.head(input), 1)
        parts = [logs[:, : self.shortlist_size]]
        for i, cluster in enumerate(self.tail):
            at = self.shortlist_size + i
            parts.append(F.log_softmax(cluster(input), 1) + logs[:, at : at + 1])
        return concat(parts, axis=1)

    def predict(self, input: Tensor) -> Tensor:
        """The likeliest classes: (N, in_features) to (N,)."""
        return self.log_prob(input).argmax(axis=1)


def _picked(logs: Tensor, classes: Tensor) -> Tensor:
    return -F.nll_loss(logs, classes, reduction="none")


__all__ = ["AdaptiveLogSoftmaxWithLoss"]
