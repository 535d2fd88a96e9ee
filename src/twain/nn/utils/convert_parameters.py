"""All parameters as one vector, and back."""

from __future__ import annotations

from collections.abc import Iterable

from ... import _core
from ...base.errors import ArgumentError, ShapeError
from ...ops.shape import concat
from ...tensor import no_grad

Tensor = _core.Tensor


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """The elements of all tensors one after another, shape (n,); differentiable."""
    parts = [p.reshape((-1,)) for p in parameters]
    if not parts:
        raise ArgumentError("[parameters_to_vector] expected at least one tensor, got none")
    return concat(parts)


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Give the tensors the elements of `vec`, as parameters_to_vector laid them out."""
    every = list(parameters)
    size = sum(p.size for p in every)
    if not isinstance(vec, Tensor) or tuple(vec.shape) != (size,):
        got = tuple(vec.shape) if isinstance(vec, Tensor) else type(vec).__name__
        raise ShapeError(f"[vector_to_parameters] expected a vector of shape ({size},), got {got}")
    first = 0
    with no_grad():
        for p in every:
            part = vec.detach()[first : first + p.size].reshape(tuple(p.shape))
            p.assign(part if part.dtype is p.dtype else part.astype(p.dtype))
            first += p.size


__all__ = ["parameters_to_vector", "vector_to_parameters"]
