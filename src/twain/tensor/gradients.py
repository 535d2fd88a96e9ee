"""Switching the tape on and off. Gradients as functions are in transforms.py."""

from __future__ import annotations

from collections.abc import Callable

from .. import _core


class _GradMode:
    """Context manager and decorator that switches recording on the tape."""

    __slots__ = ("_before", "_flag")

    def __init__(self, flag: bool):
        self._flag = flag
        self._before: list[bool] = []

    def __enter__(self):
        self._before.append(_core.set_grad_enabled(self._flag))
        return self

    def __exit__(self, *exc) -> None:
        _core.set_grad_enabled(self._before.pop())

    def __call__(self, function: Callable) -> Callable:
        def wrapped(*args, **kwargs):
            with _GradMode(self._flag):
                return function(*args, **kwargs)

        wrapped.__name__ = getattr(function, "__name__", "wrapped")
        wrapped.__doc__ = function.__doc__
        wrapped.__wrapped__ = function
        return wrapped


def no_grad() -> _GradMode:
    """`with twain.no_grad():` computes without recording for backward. Also a decorator: `@twain.no_grad()`."""
    return _GradMode(False)


def enable_grad() -> _GradMode:
    """The opposite of no_grad, for use inside of it."""
    return _GradMode(True)


class detect_anomaly:
    """`with twain.detect_anomaly():` every op and gradient is checked; the first NaN raises, naming op and line."""

    def __enter__(self):
        self._before = _core.set_anomaly(True)
        return self

    def __exit__(self, *exc) -> None:
        _core.set_anomaly(self._before)
