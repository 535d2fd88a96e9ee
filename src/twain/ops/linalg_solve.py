"""Linear systems: triangular systems, Cholesky factors, inverses, determinants, the matrix exponential.

Derivatives, reverse and forward: M. Giles, An extended collection of matrix derivative results for forward and reverse
mode algorithmic differentiation (2008); I. Murray, Differentiation of the Cholesky decomposition (2016). For complex
matrices transposes are conjugate, and a gradient is that of a real function by real and imaginary part.
"""

from __future__ import annotations

from ..base import dtypes as dt
from ..base.dtypes import real_of
from ..base.errors import ShapeError
from ..ir.node import Spec
from . import linalg_lapack as lapack
from .elementwise import add, cast, conj, imag, multiply, negative, real, subtract
from .families import composite, fit_gradient, late
from .host import host
from .index import tril, triu
from .linalg import transpose_last
from .linalg_common import (
    LAPACK,
    adjoint,
    batch_of,
    check_matrices,
    fitted,
    flag,
    hermitian_part,
    identity,
    lapack_dtype,
    mm,
    real_if,
    region,
    square,
)
from .reduce import sum as sum_
from .samples import Samples
from .shape import concat, reshape

_REGULAR = Samples(("regular",), shapes=(((3, 3),), ((2, 4, 4),)), dtypes=(dt.float32, dt.float64, dt.complex128))


# ---------------------------------------------------------------- triangular systems
def _triangular_infer(attrs, a, b):
    check_matrices("linalg.solve_triangular", "x1", a, True)
    check_matrices("linalg.solve_triangular", "x2", b)
    if a.shape[-1] != b.shape[-2]:
        raise ShapeError(
            f"[linalg.solve_triangular] expected x2 with as many rows as x1, got shapes {a.shape} and {b.shape}"
        )
    shape = (*batch_of("linalg.solve_triangular", a, b), *b.shape[-2:])
    return Spec(lapack_dtype("linalg.solve_triangular", a, b), shape)


def _triangle(attrs, x):
    """The part of a matrix that a triangular solve reads."""
    upper, unit = attrs
    return triu(x, int(unit)) if upper else tril(x, -int(unit))


def _triangular_vjp(attrs, g, inputs, outputs, needs):
    a, b = inputs
    upper, unit = attrs
    gb = triangular(adjoint(a), g[0], not upper, unit)
    ga = negative(_triangle(attrs, mm(gb, adjoint(outputs[0])))) if needs[0] else None
    return [
        None if ga is None else fit_gradient(real_if(ga, a), a.spec),
        fit_gradient(real_if(gb, b), b.spec) if needs[1] else None,
    ]


def _triangular_jvp(attrs, call, tangents, inputs, outputs):
    right = None if tangents[1] is None else tangents[1]
    if tangents[0] is not None:
        moved = negative(mm(_triangle(attrs, tangents[0]), outputs[0]))
        right = moved if right is None else add(right, moved)
    return [call(attrs, inputs[0], right)]


triangular = host(
    "linalg.triangular_solution", 2, lapack.solve_triangular, infer=_triangular_infer, vjp=_triangular_vjp,
    jvp=_triangular_jvp, attributes=lambda upper, unit: (upper, unit), batch=(2, 2), names=("x1", "x2"),
    reference="twain.testing.linalg_references.triangular_solution", dtypes=LAPACK,
    samples=Samples(("regular", (-2, 2)), arguments=(((True, False), {}), ((False, True), {})),
                    shapes=(((3, 3), (3, 2)), ((2, 3, 3), (3, 2))), dtypes=(dt.float32, dt.float64, dt.complex128)),
    doc="Solves op(x1) @ result = x2, where op takes the upper or lower triangle, with ones on the diagonal if `unit`.",
)  # fmt: skip


def _triangular_attributes(upper, left=True, unitriangular=False):
    name = "linalg.solve_triangular"
    return flag(name, "upper", upper), flag(name, "left", left), flag(name, "unitriangular", unitriangular)


def _solve_triangular(attrs, a, b):
    """The X of A X = B (left=False: X A = B) for triangular A, shape (..., n, n). B: (..., n, k), or (..., k, n).

    upper: which triangle is read; unitriangular: take ones for the diagonal. Leading axes broadcast. Raises LinAlgError
    for a zero on the diagonal.
    """
    upper, left, unit = attrs
    if left:
        return triangular(a, b, upper, unit)
    return transpose_last(triangular(transpose_last(a), transpose_last(b), not upper, unit))


solve_triangular = composite(
    "linalg.solve_triangular", 2, _solve_triangular, attributes=_triangular_attributes, names=("x1", "x2"),
    reference="twain.testing.linalg_references.solve_triangular",
    samples=Samples(("regular", (-2, 2)), arguments=(((True,), {}), ((False, False), {})),
                    shapes=(((3, 3), (3, 2)), ((3, 3), (2, 3))), dtypes=(dt.float64,)),
)  # fmt: skip


# ---------------------------------------------------------------- Cholesky
def _half(x):
    """The lower triangle, with half of the diagonal."""
    return subtract(tril(x), multiply(multiply(x, identity(*x.shape[-2:], x.dtype)), 0.5))


def _cholesky_vjp(upper, g, inputs, outputs, needs):
    lower, gradient = (adjoint(outputs[0]), adjoint(g[0])) if upper else (outputs[0], g[0])
    inner = _half(mm(adjoint(lower), gradient))
    left = triangular(adjoint(lower), inner, True, False)
    both = adjoint(triangular(adjoint(lower), adjoint(left), True, False))
    return [fitted(hermitian_part(both), inputs[0])]


def _cholesky_jvp(upper, call, tangents, inputs, outputs):
    lower = adjoint(outputs[0]) if upper else outputs[0]
    moved = triangular(lower, hermitian_part(tangents[0]), False, False)
    inner = adjoint(triangular(lower, adjoint(moved), False, False))
    result = mm(lower, _half(inner))
    return [adjoint(result) if upper else result]


cholesky = host(
    "linalg.cholesky", 1, lapack.cholesky, infer=square("linalg.cholesky"), vjp=_cholesky_vjp, jvp=_cholesky_jvp,
    attributes=lambda upper=False: flag("linalg.cholesky", "upper", upper), batch="leading", names=("x",), dtypes=LAPACK,
    reference="twain.testing.linalg_references.cholesky",
    samples=Samples(("positive definite",), arguments=(((), {}), ((True,), {})), shapes=(((3, 3),), ((2, 4, 4),)),
                    dtypes=(dt.float32, dt.float64, dt.complex128)),
    errors=((("yes",), {}, "upper"),),
    doc="""The lower triangular L with L @ L^H = x (upper=True: the upper U with U^H @ U = x).

    x: symmetric or Hermitian positive definite matrices, shape (..., n, n); only the triangle that is asked for is read, and
    the gradient is that with respect to a Hermitian matrix. Raises LinAlgError if one isn't positive definite.""",
)  # fmt: skip


def _cholesky_solve(upper, b, factor):
    """The X of A X = B, given the Cholesky factor of A. B: (..., n, k); factor: (..., n, n), lower unless upper=True."""
    if upper:
        return triangular(factor, triangular(adjoint(factor), b, False, False), True, False)
    return triangular(adjoint(factor), triangular(factor, b, False, False), True, False)


cholesky_solve = composite(
    "linalg.cholesky_solve", 2, _cholesky_solve, names=("x", "factor"),
    attributes=lambda upper=False: flag("linalg.cholesky_solve", "upper", upper),
    errors=(((), {}, "[linalg", (None, (None, (2, 3)))),),
    reference="twain.testing.linalg_references.cholesky_solve",
    samples=Samples(((-2, 2), "regular"), arguments=(((), {}), ((True,), {})), shapes=(((3, 2), (3, 3)),), dtypes=(dt.float64,)),
)  # fmt: skip


def _cholesky_inverse(upper, factor):
    """The inverse of A, given its Cholesky factor (lower unless upper=True), shape (..., n, n)."""
    check_matrices("linalg.cholesky_inverse", "factor", factor.spec, True)
    dtype = lapack_dtype("linalg.cholesky_inverse", factor.spec)
    return _cholesky_solve(upper, identity(*factor.shape[-2:], dtype), factor)


cholesky_inverse = composite(
    "linalg.cholesky_inverse", 1, _cholesky_inverse, names=("factor",),
    attributes=lambda upper=False: flag("linalg.cholesky_inverse", "upper", upper),
    errors=(((), {}, "[linalg.cholesky_inverse]", ((None, (2, 3)),)),),
    reference="twain.testing.linalg_references.cholesky_inverse",
    samples=Samples(("regular",), shapes=(((3, 3),),), dtypes=(dt.float64,)),
)  # fmt: skip


# ---------------------------------------------------------------- inverse and solve
def _inv_vjp(attrs, g, inputs, outputs, needs):
    back = adjoint(outputs[0])
    return [fitted(negative(mm(back, g[0], back)), inputs[0])]


inv = host(
    "linalg.inv", 1, lapack.inv, infer=square("linalg.inv"), vjp=_inv_vjp, batch="leading", names=("x",), dtypes=LAPACK,
    jvp=lambda attrs, call, tangents, inputs, outputs: [negative(mm(outputs[0], tangents[0], outputs[0]))],
    errors=(((), {}, "[linalg.inv]", ((None, (2, 3)),)),),
    reference="numpy.linalg.inv", samples=_REGULAR,
    doc="The inverse of square matrices, shape (..., n, n). Raises LinAlgError if one is singular.",
)  # fmt: skip


def _solve_infer(attrs, a, b):
    check_matrices("linalg.solve", "x1", a, True)
    check_matrices("linalg.solve", "x2", b)
    if a.shape[-1] != b.shape[-2]:
        raise ShapeError(
            f"[linalg.solve] expected x2 with as many rows as x1, got shapes {a.shape} and {b.shape}; several vectors are "
            "the columns of a matrix, x2[..., None]"
        )
    return Spec(lapack_dtype("linalg.solve", a, b), (*batch_of("linalg.solve", a, b), *b.shape[-2:]))


def _solve_vjp(attrs, g, inputs, outputs, needs):
    a, b = inputs
    gb = solution(adjoint(a), g[0])
    ga = negative(mm(gb, adjoint(outputs[0]))) if needs[0] else None
    return [
        None if ga is None else fit_gradient(real_if(ga, a), a.spec),
        fit_gradient(real_if(gb, b), b.spec) if needs[1] else None,
    ]


def _solve_jvp(attrs, call, tangents, inputs, outputs):
    right = tangents[1]
    if tangents[0] is not None:
        moved = negative(mm(tangents[0], outputs[0]))
        right = moved if right is None else add(right, moved)
    return [call(attrs, inputs[0], right)]


solution = host(
    "linalg.solution", 2, lapack.solve, infer=_solve_infer, vjp=_solve_vjp, jvp=_solve_jvp, batch=(2, 2),
    names=("x1", "x2"), dtypes=LAPACK, reference="numpy.linalg.solve",
    samples=Samples(("regular", (-2, 2)), shapes=(((3, 3), (3, 2)), ((2, 3, 3), (3, 2)), ((3, 3), (2, 3, 1))),
                    dtypes=(dt.float32, dt.float64, dt.complex128)),
    doc="Solves x1 @ result = x2 for matrices.",
)  # fmt: skip


def _solve(left, a, b):
    """The X of A X = B (left=False: X A = B). A: (..., n, n); B: (..., n, k), or (n,) for one vector. Leading axes
    broadcast. Raises LinAlgError if a matrix is singular."""
    if b.ndim == 1:
        if not left:
            raise ShapeError(f"[linalg.solve] expected matrices x2 with left=False, got shape {tuple(b.shape)}")
        x = solution(a, reshape(b, (b.shape[0], 1)))
        return reshape(x, x.shape[:-1])
    return solution(a, b) if left else transpose_last(solution(transpose_last(a), transpose_last(b)))


solve = composite(
    "linalg.solve", 2, _solve, names=("x1", "x2"),
    errors=(((), {}, "[linalg.solve]", ((None, (2, 3)), None)),),
    reference="twain.testing.linalg_references.solve",
    attributes=lambda left=True: flag("linalg.solve", "left", left),
    samples=Samples(("regular", (-2, 2)), arguments=(((), {}), ((), {}), ((False,), {})),
                    shapes=(((3, 3), (3,)), ((2, 3, 3), (3,)), ((3, 3), (2, 3))), dtypes=(dt.float64,)),
)  # fmt: skip


# ---------------------------------------------------------------- determinants
def _numbers(name: str, count: int = 1):
    """infer of one number (or a sign and a size) per matrix."""

    def infer(attrs, x):
        check_matrices(name, "x", x, True)
        dtype = lapack_dtype(name, x)
        first = Spec(dtype, x.shape[:-2])
        return first if count == 1 else (first, Spec(real_of(dtype), x.shape[:-2]))

    return infer


def per_matrix(x):
    """One number per matrix, to be multiplied with matrices."""
    return reshape(x, (*x.shape, 1, 1))


def _cofactor_vjp(attrs, g, inputs, outputs, needs):
    # of det(x) inv(x)^T; at singular x its own derivative is not defined by this formula, and inv raises
    back = adjoint(inv(inputs[0]))
    along = sum_(multiply(g[0], conj(outputs[0]) if g[0].dtype.kind == "c" else outputs[0]), (-2, -1))
    conjugate = conj(outputs[0]) if g[0].dtype.kind == "c" else outputs[0]
    result = subtract(multiply(per_matrix(along), back), mm(conjugate, transpose_last(g[0]), back))
    return [fitted(result, inputs[0])]


def _cofactor_jvp(attrs, call, tangents, inputs, outputs):
    back = transpose_last(inv(inputs[0]))
    along = sum_(multiply(tangents[0], back), (-2, -1))
    return [subtract(multiply(per_matrix(along), outputs[0]), mm(back, transpose_last(tangents[0]), outputs[0]))]


cofactor = host(
    "linalg.cofactor", 1, lapack.cofactor, infer=square("linalg.cofactor"), vjp=_cofactor_vjp, jvp=_cofactor_jvp,
    batch="leading", names=("x",), dtypes=LAPACK, reference="twain.testing.linalg_references.cofactor", samples=_REGULAR,
    doc="The cofactors of square matrices: det(x) inv(x)^T where that exists.",
)  # fmt: skip


def _det_vjp(attrs, g, inputs, outputs, needs):
    c = cofactor(inputs[0])
    return [fitted(multiply(per_matrix(g[0]), conj(c) if c.dtype.kind == "c" else c), inputs[0])]


det = host(
    "linalg.det", 1, lapack.det, infer=_numbers("linalg.det"), vjp=_det_vjp, batch="leading", names=("x",), dtypes=LAPACK,
    jvp=lambda attrs, call, tangents, inputs, outputs: [sum_(multiply(cofactor(inputs[0]), tangents[0]), (-2, -1))],
    errors=(((), {}, "[linalg.det]", ((None, (2, 3)),)),),
    reference="numpy.linalg.det", samples=_REGULAR,
    doc="The determinants of square matrices, shape (..., n, n) -> (...). The gradient exists at singular ones too.",
)  # fmt: skip


def _slogdet_vjp(attrs, g, inputs, outputs, needs):
    back = adjoint(inv(inputs[0]))
    if back.dtype.kind != "c":
        return [fitted(multiply(per_matrix(g[1]), back), inputs[0])]
    turn = imag(multiply(conj(outputs[0]), g[0]))  # along the circle on which the sign moves
    return [fitted(multiply(per_matrix(add(g[1], multiply(turn, 1j))), back), inputs[0])]


def _slogdet_jvp(attrs, call, tangents, inputs, outputs):
    along = sum_(multiply(transpose_last(inv(inputs[0])), tangents[0]), (-2, -1))
    if along.dtype.kind != "c":
        return [None, along]
    return [multiply(multiply(outputs[0], imag(along)), 1j), real(along)]


slogdet_op = host(
    "linalg.slogdet", 1, lapack.slogdet, infer=_numbers("linalg.slogdet", 2), vjp=_slogdet_vjp, jvp=_slogdet_jvp,
    batch="leading", names=("x",), dtypes=LAPACK, errors=(((), {}, "[linalg.slogdet]", ((None, (2, 3)),)),),
    reference="numpy.linalg.slogdet", samples=_REGULAR,
    doc="Sign (of absolute value 1, or 0) and logarithm of the absolute value of determinants, which may overflow.",
)  # fmt: skip


# ---------------------------------------------------------------- the matrix exponential
def _beside(x, d):
    """The exponential of [[x, d], [0, x]] has exp(x) on its diagonal and its derivative along d beside it."""
    n = x.shape[-1]
    d = d if d.dtype is x.dtype else cast(d, x.dtype)
    big = concat([concat([x, d], -1), concat([late.zeros_like(x), x], -1)], -2)
    return region(matrix_exp(big), 0, n, n, n)


def _exp_vjp(attrs, g, inputs, outputs, needs):
    x = inputs[0]
    wide = x if x.dtype is g[0].dtype else cast(x, g[0].dtype)
    return [fitted(_beside(adjoint(wide), g[0]), x)]


matrix_exp = host(
    "linalg.matrix_exp", 1, lapack.matrix_exp, infer=square("linalg.matrix_exp"), vjp=_exp_vjp, batch="leading", names=("x",),
    jvp=lambda attrs, call, tangents, inputs, outputs: [_beside(inputs[0], tangents[0])], dtypes=LAPACK,
    errors=(((), {}, "[linalg.matrix_exp]", ((None, (2, 3)),)),),
    reference="twain.testing.linalg_references.matrix_exp", samples=_REGULAR,
    doc="""exp(x) = 1 + x + x @ x / 2 + ... of square matrices, shape (..., n, n), computed in double precision.

    Scaling and squaring: N. Higham (2005). Derivatives: the exponential of a block matrix, R. Mathias, A chain rule for
    matrix functions and applications (1996).""",
)  # fmt: skip
