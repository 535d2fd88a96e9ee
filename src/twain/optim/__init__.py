"""Optimizers, learning-rate schedules and gradient clipping, by PyTorch's names."""

from collections.abc import Callable

from . import lr_scheduler, swa_utils
from ..nn.utils.clip_grad import clip_grad_norm_, clip_grad_value_, get_total_norm
from .algorithms import (
    ASGD,
    SGD,
    Adadelta,
    Adafactor,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    Muon,
    NAdam,
    RAdam,
    RMSprop,
    Rprop,
    SparseAdam,
)
from .grad_scaler import GradScaler
from .lbfgs import LBFGS
from .optimizer import Optimizer, ParameterGroup
from .lr_scheduler import (
    ChainedScheduler,
    CosineAnnealingWarmRestarts,
    CyclicLR,
    MultiplicativeLR,
    PolynomialLR,
    ConstantLR,
    CosineAnnealingLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    LRScheduler,
    MultiStepLR,
    OneCycleLR,
    ReduceLROnPlateau,
    SequentialLR,
    StepLR,
    WarmUpLR,
)

# By name, as `Model.compile` takes them; LBFGS is not among them, as its steps ask for the loss several times.
OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    c.__name__.lower(): c
    for c in (
        SGD,
        Adam,
        AdamW,
        RMSprop,
        Adagrad,
        Adadelta,
        Adamax,
        NAdam,
        RAdam,
        ASGD,
        Rprop,
        Adafactor,
        Muon,
        SparseAdam,
    )
}

__all__ = [
    "ASGD",
    "LBFGS",
    "OPTIMIZERS",
    "SGD",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "ChainedScheduler",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CyclicLR",
    "ExponentialLR",
    "GradScaler",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "Muon",
    "NAdam",
    "OneCycleLR",
    "Optimizer",
    "ParameterGroup",
    "PolynomialLR",
    "RAdam",
    "RMSprop",
    "ReduceLROnPlateau",
    "Rprop",
    "SequentialLR",
    "SparseAdam",
    "StepLR",
    "WarmUpLR",
    "clip_grad_norm_",
    "clip_grad_value_",
    "get_total_norm",
    "lr_scheduler",
    "swa_utils",
]
