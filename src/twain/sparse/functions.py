"""Functions of sparse tensors, with the names of torch.sparse and scipy.sparse."""

from __future__ import annotations

from typing import Any

from ..base.errors import ArgumentError, ShapeError
from ..base.lazy import LazyModule
from ..base.shapes import check_shape, normalize_axis
from ..ops.arrange import part
from ..ops.elementwise import exp, log
from ..ops.index import take
from ..ops.nn.rules import floating, stop_gradient
from ..ops.reduce import max as max_
from ..ops.reduce import sum as sum_
from ..ops.shape import concat, reshape
from ..tensor import arange, asarray, nonzero, ones
from ..tensor.scattering import segment_max, segment_sum
from ..tensor.uniqueness import unique_inverse
from .common import Sparse, Tensor, as_dense
from .coo import SparseTensor, _constant, flat_numbers
from .csr import SparseRows

scipy_sparse = LazyModule("scipy.sparse")


def _sparse(function: str, x: object) -> Any:
    if not isinstance(x, Sparse):
        raise ArgumentError(f"[{function}] expected a sparse tensor, got {type(x).__name__}")
    return x


# ---------------------------------------------------------------- products
def mm(a: Any, b: Any) -> Any:
    """The product of two matrices of which at least one is sparse; sparse if both are."""
    if not isinstance(a, Sparse) and not isinstance(b, Sparse):
        raise ArgumentError(f"[mm] expected a sparse matrix, got {type(a).__name__} and {type(b).__name__}")
    return a @ b


def addmm(x: Tensor, a: Sparse, b: Tensor, *, beta: float = 1.0, alpha: float = 1.0) -> Tensor:
    """beta * x + alpha * (a @ b): a sparse, x and b dense."""
    return x * beta + (_sparse("addmm", a) @ b) * alpha


def sampled_addmm(x: Sparse, a: Tensor, b: Tensor, *, beta: float = 1.0, alpha: float = 1.0) -> Any:
    """beta * x + alpha * (a @ b) at the places that x stores; only those elements of the product are computed."""
    _sparse("sampled_addmm", x)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[0] or (a.shape[0], b.shape[1]) != tuple(x.shape):
        raise ShapeError(
            f"[sampled_addmm] expected matrices whose product is {tuple(x.shape)}, got {tuple(a.shape)} and {tuple(b.shape)}"
        )
    places = x.to_coo().indices
    rows, columns = (reshape(part(places, 0, i, 1), (x.nnz,)) for i in (0, 1))
    found = sum_(take(a, rows, 0) * take(b.transpose(0, 1), columns, 0), 1)
    return x._like(x.values * beta + found * alpha)


# ---------------------------------------------------------------- reductions
def sum(x: Sparse, axis: Any = None) -> Any:
    """The sum over `axis`: a number for None, else a sparse tensor of the axes left."""
    return _sparse("sum", x).sum(axis)


def _by_rows(function: str, x: Any, axis: int, finish: Any) -> Any:
    """Of the stored elements that differ in `axis` alone; those not stored count as minus infinity."""
    if isinstance(x, SparseRows):
        axis = normalize_axis(function, axis, 2)
        if axis == 1:
            return x._like(_grouped(floating(x.values), x.row_indices(), x.shape[0], finish))
        return _by_rows(function, x.to_coo(), axis, finish).to_csr()
    x = _sparse(function, x).coalesce()
    axis = normalize_axis(function, axis, x.ndim)
    if axis >= x.sparse_dim:  # inside of the stored blocks
        values = floating(x.values)
        at = axis - x.sparse_dim + 1
        low = values - stop_gradient(max_(values, at, True))
        return x._like(finish(low, exp(low), sum_(exp(low), at, True)))
    kept = [a for a in range(x.sparse_dim) if a != axis]
    if not kept:
        groups, count = x.indices[0] * 0, 1
    else:
        numbers = flat_numbers(take(x.indices, _constant(kept), 0), tuple(x.shape[a] for a in kept))
        found, groups = unique_inverse(numbers)
        count = found.shape[0]
    return x._like(_grouped(floating(x.values), groups, count, finish))


def _grouped(values: Tensor, groups: Tensor, count: int, finish: Any) -> Tensor:
    if values.shape[0] == 0:
        return values
    low = values - take(stop_gradient(segment_max(values, groups, count)), groups, 0)
    powers = exp(low)
    return finish(low, powers, take(segment_sum(powers, groups, count), groups, 0))


def softmax(x: Sparse, axis: int = -1) -> Any:
    """exp(x) / sum(exp(x)) over `axis` of the stored elements; those not stored count as minus infinity."""
    return _by_rows("softmax", x, axis, lambda low, powers, total: powers / total)


def log_softmax(x: Sparse, axis: int = -1) -> Any:
    """log(softmax(x, axis)) of the stored elements."""
    return _by_rows("log_softmax", x, axis, lambda low, powers, total: low - log(total))


# ---------------------------------------------------------------- makers
def eye(n: int, m: int | None = None, *, dtype: Any = None) -> SparseTensor:
    """Ones on the diagonal of an (n, m) matrix."""
    rows, columns = check_shape("eye", (n, n if m is None else m))
    count = min(rows, columns)
    at = reshape(arange(count), (1, count))
    indices = take(at, asarray([0, 0]), 0)
    return SparseTensor._made(indices, ones((count,), dtype=dtype), (rows, columns), True)


def spdiags(diagonals: Any, offsets: Any, shape: Any) -> SparseTensor:
    """A matrix with given diagonals: row i of `diagonals` is that with offset offsets[i]; element j stands in column j.

    diagonals: (count, length) or (length,); offsets: ints, above the main diagonal for positive ones. Reads offsets.
    """
    values = as_dense("spdiags", "diagonals", diagonals)
    values = reshape(values, (1, values.shape[0])) if values.ndim == 1 else values
    numbers = [int(o) for o in (offsets.tolist() if hasattr(offsets, "tolist") else list(offsets))]
    size = check_shape("spdiags", shape)
    if values.ndim != 2 or len(numbers) != values.shape[0] or len(set(numbers)) != len(numbers) or len(size) != 2:
        raise ShapeError(
            f"[spdiags] expected diagonals (count, length), as many distinct offsets and a shape of two sizes, got "
            f"{tuple(values.shape)}, {numbers} and {size}"
        )
    length = values.shape[1]
    column = arange(length)
    columns = reshape(column + reshape(_constant(numbers), (-1, 1)) * 0, (-1,))
    rows = reshape(column - reshape(_constant(numbers), (-1, 1)), (-1,))
    inside = nonzero((rows >= 0) & (rows < size[0]) & (columns < size[1]))[0]
    both = [reshape(take(x, inside, 0), (1, inside.shape[0])) for x in (rows, columns)]
    return SparseTensor._made(concat(both, 0), take(reshape(values, (-1,)), inside, 0), size, False).coalesce()


# ---------------------------------------------------------------- SciPy
def from_scipy(matrix: Any) -> Any:
    """A SparseRows of a scipy.sparse CSR matrix, a SparseTensor of any other kind."""
    if getattr(matrix, "format", None) == "csr":
        return SparseRows(asarray(matrix.indptr), asarray(matrix.indices), asarray(matrix.data), matrix.shape)
    found = matrix.tocoo()
    return SparseTensor(
        concat([reshape(asarray(i), (1, -1)) for i in (found.row, found.col)], 0), asarray(found.data), found.shape
    )


def to_scipy(x: Any) -> Any:
    """The scipy.sparse matrix of a sparse matrix without gradient history; needs SciPy."""
    x = _sparse("to_scipy", x)
    if isinstance(x, SparseRows):
        parts = (x.values.numpy(), x.col_indices.numpy(), x.crow_indices.numpy())
        return scipy_sparse.csr_matrix(parts, shape=x.shape)
    if x.sparse_dim != 2 or x.dense_dim:
        raise ShapeError(f"[to_scipy] expected a sparse matrix, got shape {tuple(x.shape)}")
    return scipy_sparse.coo_matrix((x.values.numpy(), x.indices.numpy()), shape=x.shape)
