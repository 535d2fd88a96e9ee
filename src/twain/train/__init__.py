"""Training: Model with compile, fit, evaluate and predict; callbacks and metrics."""

from ..base.foreign import absent
from .callbacks import (
    Callback,
    Checkpoint,
    CSVLogger,
    Curves,
    EarlyStopping,
    LambdaCallback,
    LRSchedule,
    TimeLimit,
)
from .errors import NonFiniteLossError, NotCompiledError
from .history import History
from .metrics import (
    AUC,
    BLEU,
    Accuracy,
    AveragePrecision,
    BinaryAccuracy,
    CohenKappa,
    ConfusionMatrix,
    CosineSimilarity,
    F1Score,
    FBetaScore,
    FunctionMetric,
    IoU,
    MatthewsCorrelation,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogError,
    Metric,
    PearsonCorrelation,
    Perplexity,
    Precision,
    R2Score,
    Recall,
    RootMeanSquaredError,
    TopKAccuracy,
)
from .model import Model
from .progress import ProgressBar
from .tensorboard import TensorBoard

__getattr__ = absent("train")

__all__ = [
    "AUC",
    "BLEU",
    "Accuracy",
    "AveragePrecision",
    "BinaryAccuracy",
    "CSVLogger",
    "Callback",
    "Checkpoint",
    "CohenKappa",
    "ConfusionMatrix",
    "CosineSimilarity",
    "Curves",
    "EarlyStopping",
    "F1Score",
    "FBetaScore",
    "FunctionMetric",
    "History",
    "IoU",
    "LRSchedule",
    "LambdaCallback",
    "MatthewsCorrelation",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogError",
    "Metric",
    "Model",
    "NonFiniteLossError",
    "NotCompiledError",
    "PearsonCorrelation",
    "Perplexity",
    "Precision",
    "ProgressBar",
    "R2Score",
    "Recall",
    "RootMeanSquaredError",
    "TensorBoard",
    "TimeLimit",
    "TopKAccuracy",
]
