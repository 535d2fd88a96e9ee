"""Losses by name, of several outputs, and per sample."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from .. import _core
from ..base.errors import ArgumentError, ShapeError
from ..nn import Module
from ..nn import functional as F
from ..nn.losses import BCEWithLogitsLoss, CrossEntropyLoss, NLLLoss

Tensor = _core.Tensor

LOSSES: dict[str, Callable] = {
    "cross_entropy": F.cross_entropy,
    "nll": F.nll_loss,
    "mse": F.mse_loss,
    "mae": F.l1_loss,
    "l1": F.l1_loss,
    "smooth_l1": F.smooth_l1_loss,
    "huber": F.huber_loss,
    "binary_cross_entropy": F.binary_cross_entropy,
    "binary_cross_entropy_with_logits": F.binary_cross_entropy_with_logits,
    "kl_div": F.kl_div,
    "hinge": F.hinge_loss,
    "poisson_nll": F.poisson_nll_loss,
}
# The functions' own names are as good: "mse_loss".
LOSSES |= {function.__name__: function for function in LOSSES.values()}


class CombinedLoss:
    """The weighted sum of one loss per output of a model whose outputs are a dictionary or a tuple."""

    def __init__(self, losses: Any, weights: Any = None):
        keys = list(losses) if isinstance(losses, Mapping) else list(range(len(losses)))
        self.losses = {key: as_loss(losses[key]) for key in keys}
        if weights is None:
            weights = {}
        elif not isinstance(weights, Mapping):
            weights = dict(enumerate(weights))
        unknown = [key for key in weights if key not in self.losses]
        if unknown:
            raise ArgumentError(
                f"[compile] expected loss_weights for {', '.join(map(repr, self.losses))}, got {unknown[0]!r}"
            )
        self.weights = {key: float(weights.get(key, 1.0)) for key in self.losses}

    def parts(self, outputs: Any, targets: Any) -> dict[Any, tuple]:
        """{output: (loss, its output, its target)}; ArgumentError where the model or the data has no such part."""
        return {
            key: (loss, part_of(outputs, key, "the model's outputs"), part_of(targets, key, "the targets"))
            for key, loss in self.losses.items()
        }

    def __call__(self, outputs: Any, targets: Any) -> Tensor:
        total: Any = 0.0
        for key, (loss, output, target) in self.parts(outputs, targets).items():
            total = total + loss(output, target) * self.weights[key]
        return total


def part_of(tree: Any, key: Any, what: str) -> Any:
    """tree[key]; ArgumentError that says what there is."""
    if isinstance(key, int) and isinstance(tree, (tuple, list)) and key < len(tree):
        return tree[key]
    if isinstance(tree, Mapping) and key in tree:
        return tree[key]
    have = ", ".join(map(repr, tree)) if isinstance(tree, Mapping) else type(tree).__name__
    raise ArgumentError(f"[compile] expected {what} to have {key!r}, for which a loss was given, got {have}")


def as_loss(spec: Any, weights: Any = None) -> Callable:
    """A function(outputs, targets) from one, a module, a name, or a dictionary or list of these."""
    known = f"a function, a module or one of {', '.join(LOSSES)}"
    if isinstance(spec, (Mapping, list, tuple)) and spec:
        return CombinedLoss(spec, weights)
    if weights is not None:
        raise ArgumentError("[compile] expected loss_weights beside a dictionary or list of losses, got one loss")
    if spec is None:
        raise ArgumentError(f"[compile] expected a loss: {known}, got None")
    if isinstance(spec, str):
        if spec not in LOSSES:
            raise ArgumentError(f"[compile] expected a loss among {', '.join(LOSSES)}, got {spec!r}")
        return LOSSES[spec]
    if isinstance(spec, type) and issubclass(spec, Module):
        return spec()
    if not callable(spec):
        raise ArgumentError(f"[compile] expected a loss function, got {type(spec).__name__}")
    return spec


def by_class(loss: Any) -> bool:
    """Whether the loss takes class numbers that index the outputs."""
    return loss in (F.cross_entropy, F.nll_loss) or isinstance(loss, (CrossEntropyLoss, NLLLoss))


def on_logits(loss: Any) -> bool:
    """Whether the loss takes logits rather than probabilities."""
    if isinstance(loss, CombinedLoss):
        return False
    return loss in (F.cross_entropy, F.binary_cross_entropy_with_logits) or isinstance(
        loss, (CrossEntropyLoss, BCEWithLogitsLoss)
    )


class PerSample:
    """A loss without its mean over the samples; `found` says whether it could be had.

    Looked up when the model is compiled: a step that asked for signatures could not be replayed.
    """

    def __init__(self, loss: Any):
        self.loss = loss
        self.settings: dict[str, Any] | None = None
        self.parts: dict[Any, PerSample] = {}
        if isinstance(loss, CombinedLoss):
            self.parts = {key: PerSample(one) for key, one in loss.losses.items()}
        elif isinstance(loss, Module):
            names = getattr(type(loss), "settings", None)
            if names is not None and "reduction" in names:
                self.loss = type(loss).function  # type: ignore[attr-defined]
                self.settings = {**{name: getattr(loss, name) for name in names}, "reduction": "none"}
        elif "reduction" in inspect.signature(loss).parameters:
            self.settings = {"reduction": "none"}

    def check(self, function: str) -> None:
        """ArgumentError for a module that gives the mean only."""
        for part in self.parts.values() or [self]:
            if part.settings is None and isinstance(part.loss, Module):
                raise ArgumentError(
                    f"[{function}] expected a loss with a value per sample for weights, got "
                    f"{type(part.loss).__name__}; a function of (outputs, targets) that returns shape (N,) will do"
                )

    def weighted(self, outputs: Any, targets: Any, weight: Tensor) -> Tensor:
        """The mean over the N samples of weight (N,) times the loss of the sample (its mean over other axes)."""
        if self.parts:
            total: Any = 0.0
            for key, (_, output, target) in self.loss.parts(outputs, targets).items():
                total = total + self.parts[key].weighted(output, target, weight) * self.loss.weights[key]
            return total
        values = self.loss(outputs, targets, **(self.settings or {}))
        size = weight.shape[0]
        if values.ndim == 0 or values.shape[0] != size:
            raise ShapeError(
                f"[fit] expected a loss with a value per sample, shape ({size}, ...), for weights, got shape "
                f"{tuple(values.shape)}"
            )
        each = values.reshape((size, -1)).mean(axis=1)
        return (each * weight.astype(each.dtype)).mean()
