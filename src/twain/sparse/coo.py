"""Sparse tensors as coordinates: indices (sparse axes, nnz) and values (nnz, dense axes...)."""

from __future__ import annotations

from typing import Any

from .. import _core
from ..base.errors import ArgumentError, AxisError, IndexingError, ShapeError
from ..base.shapes import normalize_axes, normalize_axis, size_of
from ..ops.arrange import part
from ..ops.elementwise import cast
from ..ops.index import scatter_add, take
from ..ops.shape import broadcast_to, concat, permute_dims, reshape
from ..tensor import arange, nonzero, zeros
from ..tensor.bounds import out_of_range
from ..tensor.manipulation import repeat
from ..tensor.uniqueness import unique_inverse
from .common import Layout, Sparse, Tensor, as_dense, as_indices, check_product, dense_shape, is_dense

Index = _core.Tensor


def flat_numbers(indices: Tensor, sizes: tuple) -> Tensor:
    """Each column of indices as one number, row-major."""
    total = None
    for axis, size in enumerate(sizes):
        row = reshape(part(indices, 0, axis, 1), (indices.shape[1],))
        total = row if total is None else total * size + row
    return zeros((indices.shape[1],), dtype="int64") if total is None else total


def from_flat(numbers: Tensor, sizes: tuple) -> Tensor:
    """The inverse of flat_numbers."""
    rows = []
    for size in reversed(sizes):
        rows.append(reshape(numbers % max(size, 1), (1, numbers.shape[0])))
        numbers = numbers // max(size, 1)
    return concat(rows[::-1], 0) if rows else zeros((0, numbers.shape[0]), dtype="int64")


class SparseTensor(Sparse):
    """A tensor of which the elements at `indices` are stored; all others are 0.

    Args:
        indices: (sparse axes, nnz), ints: a column per stored element.
        values: (nnz, ...): one element each, or a block of the remaining (dense) axes.
        shape: sparse and dense axes; by default as large as the indices need.
        coalesced: whether the columns are known to be sorted and distinct. Elements given twice add up.
    """

    def __init__(self, indices: Any, values: Any, shape: Any = None, coalesced: bool = False):
        name = "SparseTensor"
        values = as_dense(name, "values", values)
        indices = as_indices(name, "indices", indices)
        if indices.ndim != 2 or values.ndim < 1 or values.shape[0] != indices.shape[1]:
            raise ShapeError(
                f"[{name}] expected indices (sparse axes, nnz) and values (nnz, ...), got {tuple(indices.shape)} and "
                f"{tuple(values.shape)}"
            )
        axes = indices.shape[0]
        if shape is None:
            if indices.shape[1] == 0 and axes:
                raise ArgumentError(f"[{name}] expected a shape, as there is no index to tell it by")
            shape = tuple(int(n) + 1 for n in indices.max(axis=1).tolist()) + tuple(values.shape[1:])
        self.shape = dense_shape(name, shape)
        if len(self.shape) != axes + values.ndim - 1 or self.shape[axes:] != tuple(values.shape[1:]):
            raise ShapeError(
                f"[{name}] expected a shape of {axes} sparse axes and {tuple(values.shape[1:])}, got {self.shape}"
            )
        for axis in range(axes if type(indices) is Index else 0):
            bad = out_of_range(part(indices, 0, axis, 1), 0, self.shape[axis])
            if bad is not None:
                raise IndexingError(f"[{name}] index {bad} is out of range for axis {axis} of shape {self.shape}")
        self.indices = indices
        self.values = values
        self.is_coalesced = bool(coalesced)

    @classmethod
    def _made(cls, indices: Tensor, values: Tensor, shape: tuple, coalesced: bool) -> SparseTensor:
        """Without checks."""
        self = object.__new__(cls)
        self.indices, self.values, self.shape, self.is_coalesced = indices, values, shape, coalesced
        return self

    def _tree_flatten(self) -> tuple:
        return (self.indices, self.values), Layout((self.shape, self.is_coalesced), 2)

    @classmethod
    def _tree_unflatten(cls, data: Layout, children: list) -> SparseTensor:
        return cls._made(children[0], children[1], *data.facts)

    def _like(self, values: Tensor) -> SparseTensor:
        return SparseTensor._made(
            self.indices, values, (*self.shape[: self.sparse_dim], *values.shape[1:]), self.is_coalesced
        )

    @property
    def sparse_dim(self) -> int:
        """The number of axes that indices name."""
        return self.indices.shape[0]

    @property
    def dense_dim(self) -> int:
        """The number of axes that each stored element has itself."""
        return self.values.ndim - 1

    def _sparse_shape(self) -> tuple:
        return self.shape[: self.sparse_dim]

    def _numbers(self) -> Tensor:
        return flat_numbers(self.indices, self._sparse_shape())

    # -- conversions
    def coalesce(self) -> SparseTensor:
        """The same tensor with sorted, distinct indices; elements given twice are added. Reads the indices."""
        if self.is_coalesced:
            return self
        numbers, places = unique_inverse(self._numbers())
        empty = zeros((numbers.shape[0], *self.values.shape[1:]), dtype=self.dtype)
        values = scatter_add(empty, places, self.values, 0, "take")
        return SparseTensor._made(from_flat(numbers, self._sparse_shape()), values, self.shape, True)

    def to_dense(self) -> Tensor:
        """All elements, those not stored as 0."""
        sizes = self._sparse_shape()
        empty = zeros((size_of(sizes), *self.values.shape[1:]), dtype=self.dtype)
        return reshape(scatter_add(empty, self._numbers(), self.values, 0, "take"), self.shape)

    def to_coo(self) -> SparseTensor:
        return self

    # -- arrangement
    def transpose(self, axis1: int = 0, axis2: int = 1) -> SparseTensor:
        """Two sparse axes exchanged."""
        rank = self.sparse_dim
        if self.ndim < 2:
            return self
        a, b = normalize_axis("transpose", axis1, self.ndim), normalize_axis("transpose", axis2, self.ndim)
        if max(a, b) >= rank:
            raise AxisError(f"[transpose] expected sparse axes (the first {rank}), got {axis1} and {axis2}")
        order = list(range(self.ndim))
        order[a], order[b] = order[b], order[a]
        rows = take(self.indices, _constant(order[:rank]), 0)
        return SparseTensor._made(rows, self.values, tuple(self.shape[i] for i in order), a == b and self.is_coalesced)

    @property
    def T(self) -> SparseTensor:
        return self.transpose()

    # -- arithmetic
    def __add__(self, other: object) -> Any:
        if isinstance(other, Sparse):
            more = other.to_coo()
            _same_shape("add", self.shape, more.shape)
            if more.sparse_dim != self.sparse_dim:
                raise ShapeError(f"[add] expected equal sparse axes, got {self.sparse_dim} and {more.sparse_dim}")
            indices = concat([self.indices, more.indices], 1)
            values = concat([self.values, more.values], 0)
            return SparseTensor._made(indices, values, self.shape, False).coalesce()
        if is_dense(other) or hasattr(other, "__array__"):
            dense = as_dense("add", "x2", other)
            if dense.ndim:
                _same_shape("add", self.shape, tuple(dense.shape))
                return self.to_dense() + dense
        if not isinstance(other, (bool, int, float, complex)) and not is_dense(other):
            return NotImplemented
        raise ArgumentError(
            "[add] expected a tensor of the same shape, got a number: the sum isn't sparse; use .to_dense()"
        )

    def _times(self, other: object) -> Any:
        if isinstance(other, Sparse):
            return _common_product(self.coalesce(), other.to_coo().coalesce())
        if not is_dense(other) and not hasattr(other, "__array__"):
            return NotImplemented
        dense = broadcast_to(as_dense("multiply", "x2", other), self.shape)
        return self._like(self.values * self.sample(dense))

    def sample(self, dense: Tensor) -> Tensor:
        """The elements of a dense tensor of this shape at the stored places, shape of `values`."""
        _same_shape("sample", self.shape, tuple(dense.shape))
        rows = reshape(dense, (size_of(self._sparse_shape()), *self.values.shape[1:]))
        return take(rows, self._numbers(), 0)

    def _matmul(self, dense: Tensor) -> Tensor:
        check_product(self.shape if self.dense_dim == 0 else (), tuple(dense.shape))
        rows, columns = (reshape(part(self.indices, 0, i, 1), (self.nnz,)) for i in (0, 1))
        return rows_times(rows, columns, self.values, self.shape[0], dense)

    def _matmul_sparse(self, other: SparseTensor) -> SparseTensor:
        """The product of two sparse matrices: every pair of elements that meet, added up. Reads the indices."""
        if self.ndim != 2 or other.ndim != 2 or self.dense_dim or other.dense_dim or self.shape[1] != other.shape[0]:
            raise ShapeError(
                f"[matmul] expected matrices (M, K) and (K, N), got shapes {tuple(self.shape)} and {tuple(other.shape)}"
            )
        right = other.coalesce().to_csr()
        first = right.crow_indices
        inner = reshape(part(self.indices, 0, 1, 1), (self.nnz,))
        begins, counts = take(first, inner, 0), take(first, inner + 1, 0) - take(first, inner, 0)
        number = arange(self.nnz)
        left = repeat(number, counts)  # which element of ours takes part in each pair
        ends = counts.cumulative_sum() if self.nnz else counts
        at = arange(left.shape[0]) - take(ends - counts, left, 0) + take(begins, left, 0)
        values = take(self.values, left, 0) * take(right.values, at, 0)
        rows = take(reshape(part(self.indices, 0, 0, 1), (self.nnz,)), left, 0)
        columns = take(right.col_indices, at, 0)
        indices = concat([reshape(rows, (1, rows.shape[0])), reshape(columns, (1, rows.shape[0]))], 0)
        return SparseTensor._made(indices, values, (self.shape[0], other.shape[1]), False).coalesce()

    def to_csr(self) -> Any:
        """The matrix row by row (SparseRows)."""
        return _rows_of(self)

    # -- reductions
    def sum(self, axis: Any = None) -> Any:
        """The sum over `axis`: a number for None, a sparse tensor of the axes left, a dense one where only dense are."""
        if axis is None:
            return self.values.sum()
        axes = normalize_axes("sum", axis, self.ndim)
        rank = self.sparse_dim
        dense = tuple(a - rank + 1 for a in axes if a >= rank)
        values = self.values.sum(axis=dense) if dense else self.values
        kept = [a for a in range(rank) if a not in axes]
        if len(kept) == rank:
            return SparseTensor._made(
                self.indices, values, (*self._sparse_shape(), *values.shape[1:]), self.is_coalesced
            )
        if not kept:
            return values.sum(axis=0)
        indices = take(self.indices, _constant(kept), 0)
        shape = (*(self.shape[a] for a in kept), *values.shape[1:])
        return SparseTensor._made(indices, cast(values, self.dtype), shape, False).coalesce()


_rows_of: Any = None  # set by csr.py


def _constant(numbers: list) -> Tensor:
    return as_indices("SparseTensor", "indices", numbers)


def _same_shape(function: str, a: tuple, b: tuple) -> None:
    if tuple(a) != tuple(b):
        raise ShapeError(f"[{function}] expected tensors of one shape, got {tuple(a)} and {tuple(b)}")


def rows_times(rows: Tensor, columns: Tensor, values: Tensor, count: int, dense: Tensor) -> Tensor:
    """A sparse matrix of `count` rows times dense (K,) or (..., K, N): values times rows of it, added up by row."""
    if dense.ndim == 1:
        products = values * take(dense, columns, 0)
        return scatter_add(zeros((count,), dtype=products.dtype), rows, products, 0, "take")
    if dense.ndim == 2:
        products = reshape(values, (values.shape[0], 1)) * take(dense, columns, 0)
        return scatter_add(zeros((count, dense.shape[1]), dtype=products.dtype), rows, products, 0, "take")
    # leading axes become columns
    lead, (inner, width) = tuple(dense.shape[:-2]), dense.shape[-2:]
    rank = dense.ndim
    front = reshape(permute_dims(dense, (rank - 2, *range(rank - 2), rank - 1)), (inner, size_of(lead) * width))
    found = reshape(rows_times(rows, columns, values, count, front), (count, *lead, width))
    return permute_dims(found, (*range(1, rank - 1), 0, rank - 1))


def _common_product(a: SparseTensor, b: SparseTensor) -> SparseTensor:
    """The elementwise product of two coalesced tensors: at the places that both store."""
    _same_shape("multiply", a.shape, b.shape)
    if a.sparse_dim != b.sparse_dim:
        raise ShapeError(f"[multiply] expected equal sparse axes, got {a.sparse_dim} and {b.sparse_dim}")
    numbers, places = unique_inverse(concat([a._numbers(), b._numbers()], 0))
    count = numbers.shape[0]
    ours, theirs = part(places, 0, 0, a.nnz), part(places, 0, a.nnz, b.nnz)
    seen = zeros((count,), dtype="int64")
    ones = broadcast_to(cast(1, seen.dtype), (places.shape[0],))
    both = nonzero(scatter_add(seen, places, ones, 0, "take") == 2)[0]
    spread = [
        take(scatter_add(zeros((count, *x.values.shape[1:]), dtype=x.dtype), at, x.values, 0, "take"), both, 0)
        for x, at in ((a, ours), (b, theirs))
    ]
    indices = from_flat(take(numbers, both, 0), a._sparse_shape())
    return SparseTensor._made(indices, spread[0] * spread[1], a.shape, True)


def from_dense(x: Any, sparse_dim: int | None = None) -> SparseTensor:
    """The elements of `x` other than 0. With sparse_dim only the first axes are sparse, the others blocks. Reads x."""
    x = as_dense("from_dense", "x", x)
    rank = x.ndim if sparse_dim is None else sparse_dim
    if not 0 <= rank <= x.ndim:
        raise AxisError(f"[from_dense] expected sparse_dim in [0, {x.ndim}], got {sparse_dim}")
    sizes, rest = tuple(x.shape[:rank]), tuple(x.shape[rank:])
    rows = reshape(x, (size_of(sizes), *rest))
    some = rows.detach() != 0
    if rest:
        some = some.any(axis=tuple(range(1, rows.ndim)))
    numbers = nonzero(some)[0]
    return SparseTensor._made(from_flat(numbers, sizes), take(rows, numbers, 0), tuple(x.shape), True)
