"""Training: Model with compile, fit, evaluate and predict; callbacks and metrics."""

from .callbacks import (
    Callback,
    Checkpoint,
    CSVLogger,
    EarlyStopping,
    LambdaCallback,
    LRSchedule,
    TensorBoard,
)
from .errors import NonFiniteLossError, NotCompiledError
from .history import History
from .metrics import (
    Accuracy,
    ConfusionMatrix,
    F1Score,
    FunctionMetric,
    MeanAbsoluteError,
    MeanSquaredError,
    Metric,
    Precision,
    Recall,
    TopKAccuracy,
)
from .model import Model
from .progress import ProgressBar

__all__ = [
    "Accuracy",
    "CSVLogger",
    "Callback",
    "Checkpoint",
    "ConfusionMatrix",
    "EarlyStopping",
    "F1Score",
    "FunctionMetric",
    "History",
    "LRSchedule",
    "LambdaCallback",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "Metric",
    "Model",
    "NonFiniteLossError",
    "NotCompiledError",
    "Precision",
    "ProgressBar",
    "Recall",
    "TensorBoard",
    "TopKAccuracy",
]
