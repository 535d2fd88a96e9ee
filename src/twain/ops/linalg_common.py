"""What the ops of linear algebra share: checks of matrices, adjoints, triangles and diagonals."""

from __future__ import annotations

from ..base import dtypes as dt
from ..base.dtypes import DType, promote, strengthen
from ..base.errors import ArgumentError, DTypeError, ShapeError
from ..base.shapes import broadcast_shapes
from ..ir.node import Spec
from .arrange import diag_embed, diagonal
from .elementwise import cast, conj, real
from .index import eye
from .linalg import product, transpose_last
from .shape import slice_

LAPACK = (dt.float32, dt.float64, dt.complex64, dt.complex128)


def lapack_dtype(name: str, *specs: Spec) -> DType:
    """The dtype in which matrices are treated: ints and bools as the default float; half precision is refused."""
    dtype = strengthen(specs[0].dtype if len(specs) == 1 else promote(name, *(s.dtype for s in specs)))
    if dtype.kind in "biu":
        dtype = dt.DEFAULT_FLOAT
    if dtype not in LAPACK:
        raise DTypeError(
            f"[{name}] expected float32, float64, complex64 or complex128, got "
            + " and ".join(str(s.dtype) for s in specs)
            + "; convert with .astype(...)"
        )
    return dtype


def check_matrices(name: str, argument: str, spec: Spec, square: bool = False) -> None:
    """ShapeError unless `spec` is one matrix or a batch of them."""
    if len(spec.shape) < 2 or (square and spec.shape[-1] != spec.shape[-2]):
        what = "square matrices, shape (..., n, n)" if square else "matrices, shape (..., m, n)"
        raise ShapeError(f"[{name}] {argument}: expected {what}, got {tuple(spec.shape)}")


def square(name: str):
    """infer of an op whose result looks like its only operand, square matrices."""

    def infer(attrs, x):
        check_matrices(name, "x", x, True)
        return Spec(lapack_dtype(name, x), x.shape)

    return infer


def batch_of(name: str, *specs: Spec) -> tuple:
    """The broadcast leading axes of matrices."""
    return broadcast_shapes(name, *(s.shape[:-2] for s in specs))


def flag(name: str, argument: str, value: object) -> bool:
    """`value` as a bool."""
    if not isinstance(value, (bool, int)):
        raise ArgumentError(f"[{name}] {argument}: expected a bool, got {value!r}")
    return bool(value)


def adjoint(x):
    """The conjugate transpose of the last two axes."""
    x = transpose_last(x)
    return conj(x) if x.dtype.kind == "c" else x


def mm(*factors):
    """A product of matrices, from left to right."""
    result = factors[0]
    for x in factors[1:]:
        result = product(result, x)
    return result


def diag_of(x):
    """The diagonals of matrices."""
    return diagonal(x, 0, -2, -1)


def as_diagonal(x):
    """Diagonal matrices of vectors."""
    return diag_embed(x, 0, -2, -1)


def identity(rows: int, columns: int, dtype: DType):
    """Ones on the diagonal."""
    return eye(rows, columns, 0, dtype)


def region(x, row: int, rows: int, column: int, columns: int):
    """`rows` x `columns` of matrices from (row, column) on."""
    rest = x.ndim - 2
    return slice_(x, (*(0,) * rest, row, column), (1,) * x.ndim, (*x.shape[:-2], rows, columns))


def columns_of(x, start: int, count: int):
    """`count` columns from `start` on."""
    return x if count == x.shape[-1] else region(x, 0, x.shape[-2], start, count)


def rows_of(x, start: int, count: int):
    """`count` rows from `start` on."""
    return x if count == x.shape[-2] else region(x, start, count, 0, x.shape[-1])


def hermitian_part(x):
    """(x + adjoint) / 2."""
    return (x + adjoint(x)) * 0.5


def real_if(x, like):
    """x, without its imaginary part where `like` has none."""
    return real(x) if x.dtype.kind == "c" and like.dtype.kind != "c" else x


def fitted(g, like):
    """A gradient in the dtype of what it belongs to."""
    g = real_if(g, like)
    return g if g.dtype is like.dtype else cast(g, like.dtype)
