"""Losses as modules: settings in the constructor, called with (prediction, target)."""

from __future__ import annotations

from typing import Any, ClassVar

from .. import _core
from . import functional as F
from .module import Module

Tensor = _core.Tensor


class _Loss(Module):
    function: Any
    settings: ClassVar[dict[str, Any]] = {}

    def __init__(self, *args: Any, **settings: Any):
        settings = {**dict(zip(self.settings, args, strict=False)), **settings}
        unknown = [name for name in settings if name not in self.settings]
        if unknown:
            raise TypeError(
                f"[{type(self).__name__}] expected settings among {', '.join(self.settings)}, got {unknown[0]!r}"
            )
        for name, default in self.settings.items():
            value = settings.get(name, default)
            if isinstance(value, Tensor):
                self.register_buffer(name, value)
            else:
                setattr(self, name, value)

    def forward(self, *operands: Tensor) -> Tensor:
        return type(self).function(*operands, **{name: getattr(self, name) for name in self.settings})

    def extra_repr(self) -> str:
        shown = {name: getattr(self, name) for name in self.settings}
        return ", ".join(f"{name}={value!r}" for name, value in shown.items() if value is not self.settings[name])


def _loss(name: str, function: Any, doc: str, **settings: Any) -> type[_Loss]:
    made = type(name, (_Loss,), {"__doc__": doc, "__module__": __name__})
    made.function = staticmethod(function)
    made.settings = {**settings, "reduction": "mean"}
    return made


MSELoss = _loss("MSELoss", F.mse_loss, "Mean of (input - target) ** 2.")
L1Loss = _loss("L1Loss", F.l1_loss, "Mean of |input - target|.")
SmoothL1Loss = _loss("SmoothL1Loss", F.smooth_l1_loss, "Quadratic below beta, linear above.", beta=1.0)
HuberLoss = _loss("HuberLoss", F.huber_loss, "Quadratic below delta, linear with slope delta above.", delta=1.0)
CrossEntropyLoss = _loss(
    "CrossEntropyLoss", F.cross_entropy, "Cross-entropy of softmax(input) and class indices or probabilities.",
    weight=None, ignore_index=-100, label_smoothing=0.0,
)  # fmt: skip
NLLLoss = _loss("NLLLoss", F.nll_loss, "-input[target], for log-probabilities.", weight=None, ignore_index=-100)
BCELoss = _loss("BCELoss", F.binary_cross_entropy, "Binary cross-entropy of probabilities.", weight=None)
BCEWithLogitsLoss = _loss(
    "BCEWithLogitsLoss", F.binary_cross_entropy_with_logits, "Binary cross-entropy of sigmoid(input).", weight=None,
    pos_weight=None,
)  # fmt: skip
KLDivLoss = _loss("KLDivLoss", F.kl_div, "Divergence of exp(input) from target.", log_target=False)
HingeEmbeddingLoss = _loss("HingeEmbeddingLoss", F.hinge_embedding_loss, "For targets 1 and -1.", margin=1.0)
SoftMarginLoss = _loss("SoftMarginLoss", F.soft_margin_loss, "log(1 + exp(-target * input)).")
PoissonNLLLoss = _loss(
    "PoissonNLLLoss", F.poisson_nll_loss, "Negative log-likelihood of counts.", log_input=True, full=False, eps=1e-8
)
GaussianNLLLoss = _loss(
    "GaussianNLLLoss",
    F.gaussian_nll_loss,
    "For (mean, target, variance): of a normal distribution.",
    full=False,
    eps=1e-6,
)
MarginRankingLoss = _loss(
    "MarginRankingLoss",
    F.margin_ranking_loss,
    "For (x1, x2, 1 or -1): max(0, -target * (x1 - x2) + margin).",
    margin=0.0,
)
CosineEmbeddingLoss = _loss(
    "CosineEmbeddingLoss", F.cosine_embedding_loss, "For (x1, x2, 1 or -1): of the angle between vectors.", margin=0.0
)
MultiMarginLoss = _loss(
    "MultiMarginLoss",
    F.multi_margin_loss,
    "Margins between the target class and the others.",
    p=1,
    margin=1.0,
    weight=None,
)
MultiLabelMarginLoss = _loss(
    "MultiLabelMarginLoss",
    F.multilabel_margin_loss,
    "Margins between several target classes, ended by -1, and the others.",
)
MultiLabelSoftMarginLoss = _loss(
    "MultiLabelSoftMarginLoss",
    F.multilabel_soft_margin_loss,
    "Binary cross-entropy of each class, their mean.",
    weight=None,
)
TripletMarginLoss = _loss(
    "TripletMarginLoss", F.triplet_margin_loss, "For (anchor, positive, negative): by p-norms.", margin=1.0, p=2.0,
    eps=1e-6, swap=False,
)  # fmt: skip
TripletMarginWithDistanceLoss = _loss(
    "TripletMarginWithDistanceLoss", F.triplet_margin_with_distance_loss,
    "For (anchor, positive, negative): by any distance.", distance_function=None, margin=1.0, swap=False,
)  # fmt: skip
CTCLoss = _loss(
    "CTCLoss", F.ctc_loss, "For (log_probs, targets, input_lengths, target_lengths): temporal classification.", blank=0,
    zero_infinity=False,
)  # fmt: skip
