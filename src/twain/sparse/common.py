"""What sparse formats share: the values' dtype and device, arithmetic by numbers, conversions, operators."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import _core
from ..base.errors import ArgumentError, DTypeError, ShapeError
from ..base.shapes import check_shape
from ..ir.node import Node
from ..tensor import asarray

Tensor = _core.Tensor


def is_dense(x: object) -> bool:
    return type(x) is Tensor or type(x) is Node


def as_dense(function: str, name: str, x: object, dtype: object = None) -> Tensor:
    """A dense tensor of what was given."""
    if is_dense(x):
        return x  # type: ignore[return-value]
    if isinstance(x, Sparse):
        raise ArgumentError(f"[{function}] expected {name} to be dense, got a {type(x).__name__}; use .to_dense()")
    return asarray(x, dtype=dtype)


def as_indices(function: str, name: str, x: object) -> Tensor:
    """An integer tensor as int64."""
    found = as_dense(function, name, x)
    if found.size == 0 and not hasattr(x, "dtype"):
        found = found.astype("int64")  # of an empty list
    if found.dtype.kind not in "iu":
        raise DTypeError(f"[{function}] expected {name} to be integers, got {found.dtype}")
    return found.detach().astype("int64") if type(found) is Tensor else found.astype("int64")


def dense_shape(function: str, shape: object) -> tuple:
    return check_shape(function, shape)


class Layout:
    """What a sparse tensor is beside its tensors, as the data of a pytree. Derivatives are by the values, its last leaf."""

    __slots__ = ("facts", "trained")

    def __init__(self, facts: tuple, leaves: int):
        self.facts = facts
        self.trained = (False,) * (leaves - 1) + (True,)

    def __eq__(self, other: object) -> bool:
        return type(other) is Layout and self.facts == other.facts

    def __hash__(self) -> int:
        return hash(self.facts)


class Sparse:
    """The part of a sparse tensor that does not ask where its values belong."""

    shape: tuple
    values: Tensor

    # What a format supplies.
    def _like(self, values: Tensor) -> Any:
        raise NotImplementedError

    def to_dense(self) -> Tensor:
        raise NotImplementedError

    def to_coo(self) -> Any:
        raise NotImplementedError

    def _matmul(self, dense: Tensor) -> Tensor:
        raise NotImplementedError

    # -- what it is
    @property
    def dtype(self) -> Any:
        return self.values.dtype

    @property
    def device(self) -> Any:
        return self.values.device

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def nnz(self) -> int:
        """How many elements are stored (of hybrid tensors: blocks)."""
        return self.values.shape[0]

    @property
    def requires_grad(self) -> bool:
        return self.values.requires_grad

    @property
    def grad(self) -> Any:
        """The values' gradient, in a sparse tensor of the same places; None where there is none."""
        return None if self.values.grad is None else self._like(self.values.grad)

    def requires_grad_(self, requires_grad: bool = True) -> Any:
        """Record what happens to the values; returns the tensor itself."""
        self.values.requires_grad_(requires_grad)
        return self

    def detach(self) -> Any:
        return self._like(self.values.detach())

    def astype(self, dtype: object) -> Any:
        """The values as another dtype."""
        return self._like(self.values.astype(dtype))

    def map(self, function: Callable) -> Any:
        """function of the stored values, at the same places: right for functions that map 0 to 0."""
        return self._like(function(self.values))

    # -- arithmetic
    def __neg__(self) -> Any:
        return self._like(-self.values)

    def __abs__(self) -> Any:
        return self._like(self.values.abs())

    def _number(self, other: object) -> bool:
        return isinstance(other, (bool, int, float, complex)) or (is_dense(other) and other.ndim == 0)  # type: ignore[attr-defined]

    def __truediv__(self, other: object) -> Any:
        if self._number(other):
            return self._like(self.values / other)
        if is_dense(other):
            return self * (1.0 / other)  # type: ignore[operator]
        return NotImplemented

    def __mul__(self, other: object) -> Any:
        if self._number(other):
            return self._like(self.values * other)
        return self._times(other)

    __rmul__ = __mul__

    def _times(self, other: object) -> Any:
        raise NotImplementedError

    def __add__(self, other: object) -> Any:
        raise NotImplementedError

    def __radd__(self, other: object) -> Any:
        return self + other

    def __sub__(self, other: object) -> Any:
        return self + (-other)  # type: ignore[operator]

    def __rsub__(self, other: object) -> Any:
        return -self + other

    def __matmul__(self, other: object) -> Any:
        if isinstance(other, Sparse):
            return self.to_coo()._matmul_sparse(other.to_coo())
        if is_dense(other) or hasattr(other, "__array__"):
            return self._matmul(as_dense("matmul", "x2", other))
        return NotImplemented

    def __rmatmul__(self, other: object) -> Any:
        if is_dense(other) or hasattr(other, "__array__"):
            x = as_dense("matmul", "x1", other)
            if x.ndim == 0:
                raise ShapeError("[matmul] expected at least one axis each, got a 0-d x1")
            turned = self.to_coo().transpose()._matmul(x if x.ndim == 1 else x.transpose(-2, -1))
            return turned if x.ndim == 1 else turned.transpose(-2, -1)
        return NotImplemented

    __array_priority__ = 2000.0
    __array_ufunc__ = None  # arrays leave operators with sparse tensors to them

    def __repr__(self) -> str:
        return f"{type(self).__name__}(shape={tuple(self.shape)}, nnz={self.nnz}, dtype={self.dtype})"


def check_product(a: tuple, b: tuple) -> None:
    if len(a) != 2 or not b or a[1] != b[0 if len(b) == 1 else -2]:
        raise ShapeError(
            f"[matmul] expected a sparse matrix (M, K) and a dense (K,) or (..., K, N), got shapes {tuple(a)} and {tuple(b)}"
        )
