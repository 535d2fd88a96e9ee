"""Sparse matrices row by row: crow_indices (rows + 1), col_indices (nnz), values (nnz)."""

from __future__ import annotations

from typing import Any

from ..base.errors import IndexingError, ShapeError, ValueRangeError
from ..ops.arrange import part
from ..ops.index import scatter_add
from ..ops.search import searchsorted
from ..ops.shape import broadcast_to, concat, reshape
from ..tensor import arange, zeros
from ..tensor.bounds import out_of_range, recording
from . import coo
from .common import Layout, Sparse, Tensor, as_dense, as_indices, check_product, dense_shape
from .coo import SparseTensor, rows_times


class SparseRows(Sparse):
    """A matrix whose row i has the columns col_indices[crow_indices[i] : crow_indices[i + 1]], and values there.

    Args:
        crow_indices: (rows + 1,), ints that begin with 0, never fall, and end with nnz.
        col_indices: (nnz,), ints.
        values: (nnz,).
        shape: (rows, columns); by default as many columns as the indices need.
    """

    def __init__(self, crow_indices: Any, col_indices: Any, values: Any, shape: Any = None):
        name = "SparseRows"
        first = as_indices(name, "crow_indices", crow_indices)
        columns = as_indices(name, "col_indices", col_indices)
        values = as_dense(name, "values", values)
        if first.ndim != 1 or first.shape[0] < 1 or columns.ndim != 1 or tuple(values.shape) != tuple(columns.shape):
            raise ShapeError(
                f"[{name}] expected crow_indices (rows + 1,), col_indices (nnz,) and values (nnz,), got "
                f"{tuple(first.shape)}, {tuple(columns.shape)} and {tuple(values.shape)}"
            )
        if shape is None:
            shape = (first.shape[0] - 1, int(columns.max().item()) + 1 if columns.size else 0)
        self.shape = dense_shape(name, shape)
        if len(self.shape) != 2 or self.shape[0] != first.shape[0] - 1:
            raise ShapeError(f"[{name}] expected a shape of {first.shape[0] - 1} rows, got {self.shape}")
        bad = out_of_range(columns, 0, self.shape[1])
        if bad is not None:
            raise IndexingError(f"[{name}] index {bad} is out of range for axis 1 of shape {self.shape}")
        if not recording() and type(first) is Tensor:
            steps = part(first, 0, 1, first.shape[0] - 1) - part(first, 0, 0, first.shape[0] - 1)
            ends = (first[0].item(), first[-1].item())
            if ends != (0, columns.size) or (steps.size and steps.min().item() < 0):
                raise ValueRangeError(
                    f"[{name}] expected crow_indices to rise from 0 to {columns.size}, got {first.tolist()[:9]}"
                )
        self.crow_indices, self.col_indices, self.values = first, columns, values

    @classmethod
    def _made(cls, first: Tensor, columns: Tensor, values: Tensor, shape: tuple) -> SparseRows:
        self = object.__new__(cls)
        self.crow_indices, self.col_indices, self.values, self.shape = first, columns, values, shape
        return self

    def _tree_flatten(self) -> tuple:
        return (self.crow_indices, self.col_indices, self.values), Layout((self.shape,), 3)

    @classmethod
    def _tree_unflatten(cls, data: Layout, children: list) -> SparseRows:
        return cls._made(*children, *data.facts)

    def _like(self, values: Tensor) -> SparseRows:
        return SparseRows._made(self.crow_indices, self.col_indices, values, self.shape)

    def row_indices(self) -> Tensor:
        """The row of each stored element, int64 (nnz,)."""
        ends = part(self.crow_indices, 0, 1, self.shape[0])
        return searchsorted(ends, arange(self.nnz), side="right")

    def to_coo(self) -> SparseTensor:
        """The same matrix as coordinates."""
        rows = reshape(self.row_indices(), (1, self.nnz))
        indices = concat([rows, reshape(self.col_indices, (1, self.nnz))], 0)
        return SparseTensor._made(indices, self.values, self.shape, False)

    def to_csr(self) -> SparseRows:
        return self

    def to_dense(self) -> Tensor:
        """All elements, those not stored as 0."""
        return self.to_coo().to_dense()

    def transpose(self) -> SparseRows:
        """Rows and columns exchanged. Reads the indices."""
        return self.to_coo().transpose().to_csr()

    @property
    def T(self) -> SparseRows:
        return self.transpose()

    def _matmul(self, dense: Tensor) -> Tensor:
        check_product(self.shape, tuple(dense.shape))
        return rows_times(self.row_indices(), self.col_indices, self.values, self.shape[0], dense)

    def _times(self, other: object) -> Any:
        if isinstance(other, Sparse):
            return (self.to_coo() * other).to_csr()
        found = self.to_coo()._times(other)
        return found if found is NotImplemented else self._like(found.values)

    def __add__(self, other: object) -> Any:
        found = self.to_coo() + other
        return found.to_csr() if isinstance(found, SparseTensor) else found

    def sum(self, axis: Any = None) -> Any:
        """The sum over `axis`: a number for None, else a sparse tensor of the axes left."""
        return self.to_coo().sum(axis)


def from_coo(x: SparseTensor) -> SparseRows:
    """A sparse matrix row by row. Reads the indices unless they are coalesced."""
    if x.sparse_dim != 2 or x.dense_dim:
        raise ShapeError(f"[to_csr] expected a sparse matrix, got {x.sparse_dim} sparse and {x.dense_dim} dense axes")
    x = x.coalesce()
    rows, columns = (reshape(part(x.indices, 0, i, 1), (x.nnz,)) for i in (0, 1))
    counts = scatter_add(
        zeros((x.shape[0] + 1,), dtype="int64"), rows + 1, broadcast_to(arange(1) + 1, (x.nnz,)), 0, "take"
    )
    return SparseRows._made(counts.cumulative_sum(), columns, x.values, x.shape)


coo._rows_of = from_coo
