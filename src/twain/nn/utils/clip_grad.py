"""Limits on gradients, each over all parameters at once."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from ... import _core
from ...base.errors import ValueRangeError
from ...ops.nn.clipping import clip_by_norm, clip_by_value, total_norm
from ...tensor import asarray, no_grad

Tensor = _core.Tensor


def _with_gradients(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    every = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    return [p for p in every if p.grad is not None]


def get_total_norm(
    tensors: Tensor | Iterable[Tensor], norm_type: float = 2.0, error_if_nonfinite: bool = False
) -> Tensor:
    """The p-norm of all elements of all tensors taken together, a 0-d tensor; 0 where there are none.

    Raises:
        ValueRangeError: (a ValueError) with `error_if_nonfinite`, where the norm is NaN or infinite.
    """
    given = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    if not given:
        return asarray(0.0)
    total = total_norm(given, norm_type)
    if error_if_nonfinite and not math.isfinite(total.item()):
        raise ValueRangeError(f"[get_total_norm] expected a finite norm, got {total.item()}")
    return total


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
) -> Tensor:
    """Scale all gradients by one factor so that their norm, taken together, is at most `max_norm`.

    Args:
        parameters: tensors; those without a gradient are left out.
        max_norm: the largest norm allowed.
        norm_type: p of the p-norm; `math.inf` and `-math.inf` for the largest and smallest absolute element.
        error_if_nonfinite: raise ValueRangeError (a ValueError) if the norm is NaN or infinite.

    Returns:
        The norm before scaling, a 0-d tensor.
    """
    params = _with_gradients(parameters)
    if not params:
        return asarray(0.0)
    with no_grad():
        total, *clipped = clip_by_norm([p.grad for p in params], max_norm, norm_type)
        if error_if_nonfinite and not math.isfinite(total.item()):
            raise ValueRangeError(f"[clip_grad_norm_] expected a finite gradient norm, got {total.item()}")
        for p, g in zip(params, clipped, strict=True):
            p.grad = g
    return total


def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float) -> None:
    """Every element of every gradient into [-clip_value, clip_value]."""
    params = _with_gradients(parameters)
    if params:
        with no_grad():
            results = clip_by_value([p.grad for p in params], clip_value)
            for p, g in zip(params, results if isinstance(results, (tuple, list)) else [results], strict=True):
                p.grad = g


def clip_grads_with_norm_(parameters: Tensor | Iterable[Tensor], max_norm: float, total_norm: Tensor) -> None:
    """Scale all gradients by max_norm / total_norm, if that is below 1; total_norm is what get_total_norm gave."""
    with no_grad():
        factor = (max_norm / (total_norm + 1e-6)).clip(None, 1.0)
        for p in _with_gradients(parameters):
            gradient: Any = p.grad
            p.grad = gradient * factor.astype(gradient.dtype)


__all__ = ["clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_", "get_total_norm"]
