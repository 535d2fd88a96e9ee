"""LU factors with partial pivoting, and systems solved with them.

x[order] = L @ U, where `order` is the rows' order after LAPACK's pivots. Derivatives: S. Walter and L. Lehmann, Algorithmic
differentiation of linear algebra functions with application in optimum experimental design (2010), extended to matrices
that aren't square.
"""

from __future__ import annotations

from ..base import dtypes as dt
from ..base.errors import DTypeError, ShapeError
from ..ir.node import Spec
from . import linalg_lapack as lapack
from .elementwise import add, cast, equal, subtract
from .families import composite
from .host import host
from .index import iota, take_along_axis, tril, triu
from .linalg_common import (
    LAPACK,
    adjoint,
    check_matrices,
    columns_of,
    fitted,
    flag,
    identity,
    lapack_dtype,
    mm,
    rows_of,
)
from .linalg_solve import triangular
from .samples import Samples
from .shape import broadcast_to, concat, reshape


def _infer(attrs, x):
    check_matrices("linalg.lu_factor", "x", x)
    *batch, m, n = x.shape
    return (
        Spec(lapack_dtype("linalg.lu_factor", x), x.shape),
        Spec(dt.int32, (*batch, min(m, n))),
        Spec(dt.int64, (*batch, m)),
    )


def unpack(packed) -> tuple:
    """(L with ones on its diagonal, U) of matrices that hold both."""
    m, n = packed.shape[-2:]
    k = min(m, n)
    left, right = columns_of(packed, 0, k), rows_of(packed, 0, k)
    return add(tril(left, -1), identity(m, k, packed.dtype)), triu(right)


def ordered(x, order):
    """Row i of the result is row order[i] of x."""
    shape = (*x.shape[:-2], *x.shape[-2:])
    rows = reshape(order, (*order.shape, 1))
    return take_along_axis(x, broadcast_to(rows, shape), -2)


def permutation(order, dtype):
    """P with P[order[i], i] = 1, so that P @ y has row i of y at order[i]."""
    m = order.shape[-1]
    rows = reshape(iota((m,), 0), (m, 1))
    return cast(equal(rows, reshape(order, (*order.shape[:-1], 1, m))), dtype)


def _inside(left, middle, right):
    """left^-H @ middle @ right^-H for a unit lower and an upper triangular matrix."""
    half = triangular(adjoint(left), middle, True, True)
    return adjoint(triangular(right, adjoint(half), True, False))


def _vjp(attrs, g, inputs, outputs, needs):
    packed, _, order = outputs
    m, n = packed.shape[-2:]
    k = min(m, n)
    lower, upper = unpack(packed)
    left, right = rows_of(lower, 0, k), columns_of(upper, 0, k)  # the square parts
    gl, gu = tril(columns_of(g[0], 0, k), -1), triu(rows_of(g[0], 0, k))
    of_left, of_right = mm(adjoint(left), rows_of(gl, 0, k)), mm(columns_of(gu, 0, k), adjoint(right))
    if m < n:
        rest, g_rest = columns_of(upper, k, n - k), columns_of(gu, k, n - k)
        of_left = subtract(of_left, mm(g_rest, adjoint(rest)))
    elif m > n:
        rest, g_rest = rows_of(lower, k, m - k), rows_of(gl, k, m - k)
        of_right = subtract(of_right, mm(adjoint(rest), g_rest))
    result = _inside(left, add(tril(of_left, -1), triu(of_right)), right)
    if m < n:
        result = concat([result, triangular(adjoint(left), g_rest, True, True)], -1)
    elif m > n:
        result = concat([result, adjoint(triangular(right, adjoint(g_rest), True, False))], -2)
    return [fitted(mm(permutation(order, packed.dtype), result), inputs[0])]


def _jvp(attrs, call, tangents, inputs, outputs):
    packed, _, order = outputs
    m, n = packed.shape[-2:]
    k = min(m, n)
    lower, upper = unpack(packed)
    left, right = rows_of(lower, 0, k), columns_of(upper, 0, k)
    moved = ordered(tangents[0], order)
    corner = columns_of(rows_of(moved, 0, k), 0, k)
    inner = triangular(left, corner, False, True)
    inner = adjoint(triangular(adjoint(right), adjoint(inner), False, False))  # @ right^-1
    dl, du = mm(left, tril(inner, -1)), mm(triu(inner), right)
    result = add(dl, du)
    if m < n:
        rest = columns_of(moved, k, n - k)
        beside = triangular(left, subtract(rest, mm(dl, columns_of(upper, k, n - k))), False, True)
        result = concat([result, beside], -1)
    elif m > n:
        rest = subtract(rows_of(moved, k, m - k), mm(rows_of(lower, k, m - k), du))
        result = concat([result, adjoint(triangular(adjoint(right), adjoint(rest), False, False))], -2)
    return [result, None, None]


lu_packed = host(
    "linalg.lu_factor", 1, lapack.lu_factor, infer=_infer, vjp=_vjp, jvp=_jvp, batch="leading", names=("x",), dtypes=LAPACK,
    errors=(((), {}, "[linalg.lu_factor]", ((None, (3,)),)),),
    reference="twain.testing.linalg_references.lu_factor",
    samples=Samples(("regular",), shapes=(((3, 3),), ((2, 2, 4),), ((4, 2),)), dtypes=(dt.float32, dt.float64, dt.complex128)),
    doc="L and U in one matrix, LAPACK's pivots (int32, from 1), and the rows' order: x[order] = L @ U.",
)  # fmt: skip


def _lu(attrs, x):
    """(P, L, U) with x = P @ L @ U. x: (..., m, n); P: (..., m, m); L: (..., m, k); U: (..., k, n), k = min(m, n)."""
    packed, _, order = lu_packed(x)
    lower, upper = unpack(packed)
    return permutation(order, packed.dtype), lower, upper


lu_op = composite(
    "linalg.lu", 1, _lu, names=("x",),
    errors=(((), {}, "[linalg.lu]", ((None, (3,)),)),),
    reference="twain.testing.linalg_references.lu",
    samples=Samples(("regular",), shapes=(((3, 3),), ((4, 2),)), dtypes=(dt.float64, dt.complex128)),
)  # fmt: skip


def _order_infer(rows, pivots):
    if pivots.dtype.kind not in "iu":
        raise DTypeError(f"[linalg.lu_solve] pivots: expected integers, as from lu_factor, got {pivots.dtype}")
    return Spec(dt.int64, (*pivots.shape[:-1], rows))


row_order = host(
    "linalg.row_order", 1, lapack.row_order, infer=_order_infer, batch="leading", names=("pivots",),
    attributes=lambda rows: rows, reference="twain.testing.linalg_references.row_order", dtypes=(dt.int32,),
    samples=Samples(("pivots",), arguments=(((3,), {}),), shapes=(((3,),), ((2, 2),)), dtypes=(dt.int32,)),
    doc="The rows' order after LAPACK's pivots (from 1), for matrices of so many rows.",
)  # fmt: skip


def _lu_solve_attributes(left=True, adjoint=False):
    return flag("linalg.lu_solve", "left", left), flag("linalg.lu_solve", "adjoint", adjoint)


def _lu_solve(attrs, packed, pivots, b):
    """The X of A X = B (left=False: X A = B; adjoint=True: A^H in the place of A), given what lu_factor says of A."""
    left, turned = attrs
    check_matrices("linalg.lu_solve", "LU", packed.spec, True)
    check_matrices("linalg.lu_solve", "B", b.spec)
    if not left:
        return adjoint(_lu_solve((True, not turned), packed, pivots, adjoint(b)))
    if packed.shape[-1] != b.shape[-2] or pivots.shape != packed.shape[:-1]:
        raise ShapeError(
            f"[linalg.lu_solve] expected LU (..., n, n), pivots (..., n) and B (..., n, k), got shapes "
            f"{tuple(packed.shape)}, {tuple(pivots.shape)} and {tuple(b.shape)}"
        )
    order = row_order(pivots, packed.shape[-1])
    swap = permutation(order, packed.dtype)
    if turned:
        y = triangular(adjoint(packed), b, False, False)
        return mm(swap, triangular(adjoint(packed), y, True, True))
    y = triangular(packed, mm(adjoint(swap), b), False, True)
    return triangular(packed, y, True, False)


lu_solve = composite(
    "linalg.lu_solve", 3, _lu_solve, names=("LU", "pivots", "B"), attributes=_lu_solve_attributes,
    errors=(((), {}, "[linalg", ((None, (2, 3)), None, None)),),
    reference="twain.testing.linalg_references.lu_solve",
    samples=Samples(("regular", "pivots", (-2, 2)), arguments=(((), {}), ((False,), {}), ((True, True), {})),
                    shapes=(((3, 3), (3,), (3, 2)), ((3, 3), (3,), (2, 3)), ((3, 3), (3,), (3, 2))), dtypes=(dt.float64,)),
)  # fmt: skip
