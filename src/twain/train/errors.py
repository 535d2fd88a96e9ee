"""Errors of training."""

from __future__ import annotations

from ..base.errors import TwainError


class NotCompiledError(TwainError, RuntimeError):
    """fit, evaluate or predict was called before what it needs was given to compile."""


class NonFiniteLossError(TwainError, FloatingPointError):
    """The loss became NaN or infinite; training stopped at that batch."""
