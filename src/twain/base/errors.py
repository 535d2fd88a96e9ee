"""Error classes. Each is also the built-in class that people would catch."""

from __future__ import annotations


class TwainError(Exception):
    """Base of twain's own errors."""


class ShapeError(TwainError, ValueError):
    """Shapes, axes or sizes that don't fit."""


class DTypeError(TwainError, TypeError):
    """A dtype that the function doesn't take, or dtypes without a common one."""


class ArgumentError(TwainError, TypeError):
    """A missing, unknown or wrongly typed argument."""


class ValueRangeError(TwainError, ValueError):
    """An argument of the right type whose value is out of range."""


class AxisError(TwainError, ValueError, IndexError):
    """An axis out of range or given twice."""


class IndexingError(TwainError, IndexError):
    """An index out of range or of an unsupported kind."""


class DeviceError(TwainError, ValueError):
    """An unknown device, or operands on different devices."""


class GradientError(TwainError, RuntimeError):
    """Misuse of the tape: no graph, freed graph, non-scalar root."""


class FileFormatError(TwainError, ValueError):
    """A file that breaks the rules of its format: truncated, corrupt, hostile or of another kind."""


class FileWriteError(TwainError, OSError):
    """A file that could not be written; what stood there before is unchanged."""


class VerificationError(TwainError, AssertionError):
    """An internal representation that breaks its own rules: a bug in twain, please report it."""


class LinAlgError(TwainError, ValueError):
    """A matrix that the function can't be computed for: singular, not positive definite, without convergence."""


class UninitializedError(TwainError, RuntimeError):
    """Use of a layer's parameter whose shape is not known before the layer's first input."""


class WorkerError(TwainError, RuntimeError):
    """A worker process of a loader died, could not be started, or gave no batch in time."""
