"""Losses as modules: settings in the constructor, called with (prediction, target)."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from .. import _core
from ..base.errors import ArgumentError
from . import functional as F
from .layers import Linear
from .module import Module

Tensor = _core.Tensor


class _Loss(Module):
    function: Any
    settings: ClassVar[dict[str, Any]] = {}
    order: ClassVar[tuple[str, ...]] = ()  # of positional arguments, PyTorch's

    def __init__(self, *args: Any, **settings: Any):
        name = type(self).__name__
        if len(args) > len(self.order):
            raise TypeError(f"[{name}] expected at most {len(self.order)} positional arguments, got {len(args)}")
        settings = {**dict(zip(self.order, args, strict=False)), **settings}
        legacy = [settings.pop("size_average", None), settings.pop("reduce", None)]
        if legacy != [None, None]:
            average, reduce = (value is None or bool(value) for value in legacy)
            settings["reduction"] = ("mean" if average else "sum") if reduce else "none"
        unknown = [key for key in settings if key not in self.settings]
        if unknown:
            raise TypeError(f"[{name}] expected settings among {', '.join(self.settings)}, got {unknown[0]!r}")
        for key, default in self.settings.items():
            value = settings.get(key, default)
            if key == "reduction" and value not in REDUCTIONS and (value, name) != ("batchmean", "KLDivLoss"):
                raise ArgumentError(f"[{name}] expected reduction to be one of {', '.join(REDUCTIONS)}, got {value!r}")
            if isinstance(default, float) and not isinstance(value, (int, float)):
                raise ArgumentError(f"[{name}] expected {key} to be a number, got {type(value).__name__}")
            if key in TENSORS:
                self.register_buffer(key, value)
            else:
                setattr(self, key, value)

    def forward(self, *operands: Any, **named: Any) -> Tensor:
        return type(self).function(*operands, **named, **{name: getattr(self, name) for name in self.settings})

    def extra_repr(self) -> str:
        shown = {name: getattr(self, name) for name in self.settings}
        return ", ".join(
            f"{name}={'...' if name in TENSORS else repr(value)}"
            for name, value in shown.items()
            if value is not self.settings[name]
        )


TENSORS = ("weight", "pos_weight")
REDUCTIONS = ("mean", "sum", "none")
_LEGACY = ("size_average", "reduce", "reduction")


def _loss(name: str, function: Any, doc: str, order: str = "", **settings: Any) -> type[_Loss]:
    """`order`: the positional arguments, where "..." stands for PyTorch's size_average, reduce, reduction;
    "keywords": there are none."""
    made = type(name, (_Loss,), {"__doc__": doc, "__module__": __name__})
    made.function = staticmethod(function)
    made.settings = {**settings, "reduction": "mean"}
    words = [] if order == "keywords" else order.split() if order else ["..."]
    made.order = tuple(key for word in words for key in (_LEGACY if word == "..." else (word,)))
    return made


MSELoss = _loss("MSELoss", F.mse_loss, "Mean of (input - target) ** 2.")
L1Loss = _loss("L1Loss", F.l1_loss, "Mean of |input - target|.")
SmoothL1Loss = _loss("SmoothL1Loss", F.smooth_l1_loss, "Quadratic below beta, linear above.", "... beta", beta=1.0)
HuberLoss = _loss(
    "HuberLoss", F.huber_loss, "Quadratic below delta, linear with slope delta above.", "reduction delta", delta=1.0
)
CrossEntropyLoss = _loss(
    "CrossEntropyLoss", F.cross_entropy, "Cross-entropy of softmax(input) and class indices or probabilities.",
    "weight size_average ignore_index reduce reduction label_smoothing", weight=None, ignore_index=-100,
    label_smoothing=0.0,
)  # fmt: skip
NLLLoss = _loss(
    "NLLLoss", F.nll_loss, "-input[target], for log-probabilities.",
    "weight size_average ignore_index reduce reduction", weight=None, ignore_index=-100,
)  # fmt: skip
BCELoss = _loss("BCELoss", F.binary_cross_entropy, "Binary cross-entropy of probabilities.", "weight ...", weight=None)
BCEWithLogitsLoss = _loss(
    "BCEWithLogitsLoss", F.binary_cross_entropy_with_logits, "Binary cross-entropy of sigmoid(input).",
    "weight ... pos_weight", weight=None, pos_weight=None,
)  # fmt: skip
KLDivLoss = _loss("KLDivLoss", F.kl_div, "Divergence of exp(input) from target.", "... log_target", log_target=False)
HingeEmbeddingLoss = _loss(
    "HingeEmbeddingLoss", F.hinge_embedding_loss, "For targets 1 and -1.", "margin ...", margin=1.0
)
SoftMarginLoss = _loss("SoftMarginLoss", F.soft_margin_loss, "log(1 + exp(-target * input)).")
PoissonNLLLoss = _loss(
    "PoissonNLLLoss", F.poisson_nll_loss, "Negative log-likelihood of counts.",
    "log_input full size_average eps reduce reduction", log_input=True, full=False, eps=1e-8,
)  # fmt: skip
GaussianNLLLoss = _loss(
    "GaussianNLLLoss", F.gaussian_nll_loss, "For (mean, target, variance): of a normal distribution.", "keywords",
    full=False, eps=1e-6,
)  # fmt: skip
MarginRankingLoss = _loss(
    "MarginRankingLoss", F.margin_ranking_loss, "For (x1, x2, 1 or -1): max(0, -target * (x1 - x2) + margin).",
    "margin ...", margin=0.0,
)  # fmt: skip
CosineEmbeddingLoss = _loss(
    "CosineEmbeddingLoss", F.cosine_embedding_loss, "For (x1, x2, 1 or -1): of the angle between vectors.",
    "margin ...", margin=0.0,
)  # fmt: skip
MultiMarginLoss = _loss(
    "MultiMarginLoss", F.multi_margin_loss, "Margins between the target class and the others.",
    "p margin weight ...", p=1, margin=1.0, weight=None,
)  # fmt: skip
MultiLabelMarginLoss = _loss(
    "MultiLabelMarginLoss", F.multilabel_margin_loss,
    "Margins between several target classes, ended by -1, and the others.",
)  # fmt: skip
MultiLabelSoftMarginLoss = _loss(
    "MultiLabelSoftMarginLoss", F.multilabel_soft_margin_loss, "Binary cross-entropy of each class, their mean.",
    "weight ...", weight=None,
)  # fmt: skip
TripletMarginLoss = _loss(
    "TripletMarginLoss", F.triplet_margin_loss, "For (anchor, positive, negative): by p-norms.",
    "margin p eps swap ...", margin=1.0, p=2.0, eps=1e-6, swap=False,
)  # fmt: skip
TripletMarginWithDistanceLoss = _loss(
    "TripletMarginWithDistanceLoss", F.triplet_margin_with_distance_loss,
    "For (anchor, positive, negative): by any distance.", "keywords", distance_function=None, margin=1.0, swap=False,
)  # fmt: skip
CTCLoss = _loss(
    "CTCLoss", F.ctc_loss, "For (log_probs, targets, input_lengths, target_lengths): temporal classification.",
    "blank reduction zero_infinity", blank=0, zero_infinity=False,
)  # fmt: skip


class LinearCrossEntropyLoss(Module):
    """Cross-entropy of input @ linear.weight.T + linear.bias and class numbers or probabilities: a classifier's head and loss.

    Args:
        in_features, num_classes: sizes of the linear map.
        out_features: axes of the target beyond the batch; then there are that many classifications per sample.
        others: as in CrossEntropyLoss. ignore_index None is -100 for class numbers.
        options: accepted for PyTorch's sake, which chooses how to divide the work by it; without effect.

    Shapes: input (N, in_features) or (in_features,); target (N, *out_features) class numbers, or (N, num_classes,
    *out_features) probabilities.
    """

    def __init__(
        self,
        in_features: int,
        num_classes: int,
        *,
        out_features: int | tuple[int, ...] = (),
        bias: bool = False,
        device: Any = None,
        dtype: Any = None,
        reduction: str = "mean",
        weight: Tensor | None = None,
        ignore_index: int | None = None,
        label_smoothing: float = 0.0,
        options: Any = None,
    ):
        if reduction not in REDUCTIONS:
            raise ArgumentError(
                f"[LinearCrossEntropyLoss] expected reduction to be one of {', '.join(REDUCTIONS)}, got {reduction!r}"
            )
        self.in_features = in_features
        self.num_classes = num_classes
        self.out_features = (out_features,) if isinstance(out_features, int) else tuple(out_features)
        self.reduction = reduction
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing
        self.register_buffer("weight", weight)
        self.linear = Linear(in_features, num_classes * math.prod(self.out_features), bias, device, dtype)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        shape = (self.num_classes, *self.out_features)
        bias = self.linear.bias
        return F.linear_cross_entropy(
            input, self.linear.weight.reshape((*shape, self.in_features)), target,
            linear_bias=None if bias is None else bias.reshape(shape), weight=self.weight, reduction=self.reduction,
            ignore_index=self.ignore_index, label_smoothing=self.label_smoothing,
        )  # fmt: skip

    def extra_repr(self) -> str:
        return f"{self.in_features}, {self.num_classes}, out_features={self.out_features}, reduction={self.reduction!r}"
