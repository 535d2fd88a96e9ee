"""Linear algebra: the Array API standard's extension `linalg`, whole, and what PyTorch has besides.

Matrices are the last two axes, (..., m, n); leading axes are a batch, and broadcast where there are several operands.
dtypes: float32, float64, complex64, complex128; ints and bools count as float32. All of it differentiates (to any order),
batches and compiles. Factorizations are LAPACK's, as NumPy brings it. A matrix for which the result doesn't exist is a
`LinAlgError`, eager and compiled.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from . import _core
from .base.errors import ArgumentError, LinAlgError, ValueRangeError
from .ops.linalg import matmul
from .ops.linalg_lu import lu_op, lu_packed, lu_solve
from .ops.linalg_norms import cond, matrix_norm, matrix_rank_op, norm, vector_norm
from .ops.linalg_products import (
    cross,
    diagonal,
    householder_product,
    matrix_power,
    multi_dot_op,
    tensorinv,
    tensorsolve,
    trace,
    vander,
)
from .ops.linalg_solve import (
    cholesky,
    cholesky_inverse,
    cholesky_solve,
    det,
    inv,
    matrix_exp,
    slogdet_op,
    solve,
    solve_triangular,
)
from .ops.linalg_spectral import (
    default_tolerance,
    eig_op,
    eigh_op,
    eigvals,
    eigvalsh,
    least_squares,
    pinv_op,
    qr_op,
    svd_op,
    svdvals,
)
from .ops.nn.rules import stop_gradient
from .ops.products import outer, tensordot
from .ops.repetition import vecdot
from .tensor.methods import matrix_transpose

Tensor = _core.Tensor


class Eig(NamedTuple):
    """Eigenvalues (..., n) and eigenvectors (..., n, n), as columns."""

    eigenvalues: Tensor
    eigenvectors: Tensor


class QR(NamedTuple):
    """Orthonormal columns and an upper triangle."""

    Q: Tensor
    R: Tensor


class Slogdet(NamedTuple):
    """A determinant as sign and logarithm."""

    sign: Tensor
    logabsdet: Tensor


class SVD(NamedTuple):
    """Singular vectors and values."""

    U: Tensor
    S: Tensor
    Vh: Tensor


class LU(NamedTuple):
    """A permutation and two triangles."""

    P: Tensor
    L: Tensor
    U: Tensor


class LUFactor(NamedTuple):
    """Two triangles in one matrix, and the rows that were swapped."""

    LU: Tensor
    pivots: Tensor


class Lstsq(NamedTuple):
    """What least squares gives."""

    solution: Tensor
    residuals: Tensor
    rank: Tensor
    singular_values: Tensor


def _named(kind: type, values: Sequence[Tensor]):
    # a named tuple's own constructor is code without a file, which a recording can't look into
    return tuple.__new__(kind, values)


def eig(x: Tensor, /) -> Eig:
    """Eigenvalues, shape (..., n), and eigenvectors of length 1, as columns (..., n, n), of square matrices.

    Always complex, in no order. An eigenvector is unique up to a phase only: a function that depends on the phase has no
    derivative.
    """
    return _named(Eig, eig_op(x))


def eigh(x: Tensor, /, *, UPLO: str = "L") -> Eig:
    """Eigenvalues, ascending and real, and orthonormal eigenvectors, as columns, of symmetric or Hermitian matrices.

    UPLO: which triangle is read, "L" or "U". The gradient is that with respect to a Hermitian matrix; between equal
    eigenvalues eigenvectors have none.
    """
    return _named(Eig, eigh_op(x, UPLO))


_DRIVERS = (None, "gels", "gelsy", "gelss", "gelsd")


def lstsq(x1: Tensor, x2: Tensor, /, rcond: object = None, *, driver: str | None = None) -> Lstsq:
    """X with the least sum of squares of x1 @ X - x2, of the least norm if there are several.

    x1: (..., m, n); x2: (..., m, k), or (m,) for one vector. rcond: singular values of x1 up to rcond times the largest
    count as zero; max(m, n) * eps by default. driver: one of LAPACK's names, which all mean the same here: the singular
    value decomposition. Returns (solution (..., n, k), residuals, rank of x1, its singular values);
    residuals are the sums of squares (..., k) if m > n, else an empty vector.
    """
    if driver not in _DRIVERS:
        raise ValueRangeError(f"[linalg.lstsq] driver: expected one of {_DRIVERS}, got {driver!r}")
    vector = x2.ndim == 1
    right = x2.reshape(-1, 1) if vector else x2
    solution = least_squares(x1, right, default_tolerance(x1) if rcond is None else rcond)
    m, n = x1.shape[-2:]
    if m > n:
        gap = x1 @ solution - right
        residuals = (gap * gap.conj()).real.sum(axis=-2) if gap.dtype.kind == "c" else (gap * gap).sum(axis=-2)
    else:
        residuals = svdvals(x1).reshape(-1)[:0]
    if vector:
        solution = solution.reshape(solution.shape[:-1])
    return _named(Lstsq, (solution, residuals, matrix_rank(x1, rtol=rcond), svdvals(x1)))


def _check_pivot(name: str, pivot: object) -> None:
    if pivot is not True:
        raise ValueRangeError(f"[{name}] pivot: expected True (without pivoting LU is unstable), got {pivot!r}")


def lu(x: Tensor, /, *, pivot: bool = True) -> LU:
    """P, L and U with x = P @ L @ U: a permutation (..., m, m), a lower triangle with ones on its diagonal (..., m, k), an
    upper triangle (..., k, n), k = min(m, n). Partial pivoting."""
    _check_pivot("linalg.lu", pivot)
    permutation, lower, upper = lu_op(x)
    return _named(LU, (stop_gradient(permutation), lower, upper))


def lu_factor(x: Tensor, /, *, pivot: bool = True) -> LUFactor:
    """L and U in one matrix (L's diagonal of ones left out), and pivots as LAPACK's getrf gives them: int32, row i was
    swapped with row pivots[i] - 1. For `lu_solve`."""
    _check_pivot("linalg.lu_factor", pivot)
    packed, pivots, _ = lu_packed(x)
    return _named(LUFactor, (packed, pivots))


def matrix_rank(x: Tensor, /, *, rtol: object = None, atol: object = None, hermitian: bool = False) -> Tensor:
    """How many singular values of matrices, shape (..., m, n) -> (...), exceed rtol times the largest, and atol; int64.

    rtol, atol: numbers or tensors that broadcast to the leading axes. By default rtol is max(m, n) * eps, or 0 if atol is
    given. hermitian: take the matrices for Hermitian, which is faster.
    """
    return matrix_rank_op(x, rtol, atol, hermitian)


def multi_dot(arrays: Sequence[Tensor], /) -> Tensor:
    """The product of two or more matrices in the order with the fewest multiplications; the first and the last may be
    vectors."""
    if not isinstance(arrays, (list, tuple)):
        raise ArgumentError(f"[linalg.multi_dot] arrays: expected a list of tensors, got {type(arrays).__name__}")
    return multi_dot_op(list(arrays))


def pinv(x: Tensor, /, *, rtol: object = None, atol: object = None, hermitian: bool = False) -> Tensor:
    """The Moore-Penrose inverse of matrices, shape (..., m, n) -> (..., n, m).

    rtol, atol: singular values up to rtol times the largest, or up to atol, count as zero; numbers or tensors that
    broadcast to the leading axes. By default rtol is max(m, n) * eps, or 0 if atol is given. hermitian: take the matrices
    for Hermitian. The gradient supposes that the rank doesn't change.
    """
    return pinv_op(x, rtol, atol, hermitian)


def qr(x: Tensor, /, *, mode: str = "reduced") -> QR:
    """Q with orthonormal columns and upper triangular R with Q @ R = x, shape (..., m, n).

    mode: "reduced" (Q: (..., m, k), k = min(m, n)) or "complete" (Q: (..., m, m); not differentiable if m > n).
    """
    return _named(QR, qr_op(x, mode))


def slogdet(x: Tensor, /) -> Slogdet:
    """Sign (of absolute value 1, or 0) and logarithm of the absolute value of the determinants of square matrices, which
    themselves may overflow. Singular ones give 0 and -infinity; there the gradient is a LinAlgError."""
    return _named(Slogdet, slogdet_op(x))


def svd(x: Tensor, /, *, full_matrices: bool = True) -> SVD:
    """U, S and Vh with x = U @ diag(S) @ Vh, shape (..., m, n): singular values descending, real, (..., k), k = min(m, n).

    full_matrices: U (..., m, m) and Vh (..., n, n), else (..., m, k) and (..., k, n). Vectors are unique up to a common
    phase only, those beyond k not even so: they count as constants.
    """
    return _named(SVD, svd_op(x, full_matrices))


__all__ = [
    "LinAlgError", "cholesky", "cholesky_inverse", "cholesky_solve", "cond", "cross", "det", "diagonal", "eig", "eigh",
    "eigvals", "eigvalsh", "householder_product", "inv", "lstsq", "lu", "lu_factor", "lu_solve", "matmul", "matrix_exp",
    "matrix_norm", "matrix_power", "matrix_rank", "matrix_transpose", "multi_dot", "norm", "outer", "pinv", "qr", "slogdet",
    "solve", "solve_triangular", "svd", "svdvals", "tensordot", "tensorinv", "tensorsolve", "trace", "vander", "vecdot",
    "vector_norm",
]  # fmt: skip
