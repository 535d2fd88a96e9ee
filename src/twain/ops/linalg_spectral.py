"""Eigenvalues, singular values, QR factors, and what follows from them: pseudoinverses and least squares.

Derivatives, reverse and forward: M. Giles, An extended collection of matrix derivative results (2008); of eigenvectors of
complex matrices, C. Boeddeker et al., On the computation of complex-valued gradients with application to statistically
optimum beamforming (2017); of singular vectors, Z. Wan and S. Zhang, Automatic differentiation for complex valued SVD
(2019); of QR, S. Walter and L. Lehmann (2010); of the pseudoinverse, G. Golub and V. Pereyra, The differentiation of
pseudo-inverses and nonlinear least squares problems whose variables separate (1973).

Vectors are unique up to sign or phase only, and those of equal values not even so: a function of them that depends on the
choice has no derivative. Terms between equal values are left out.
"""

from __future__ import annotations

from ..base import dtypes as dt
from ..base.dtypes import complex_of, real_of
from ..base.errors import GradientError, ShapeError, ValueRangeError
from ..base.shapes import broadcast_shapes
from ..ir.node import Spec
from . import linalg_lapack as lapack
from .elementwise import add, cast, divide, equal, imag, multiply, negative, real, subtract, where
from .families import composite, fit_gradient
from .host import host
from .index import tril, triu
from .linalg_common import (
    LAPACK,
    adjoint,
    as_diagonal,
    batch_of,
    check_matrices,
    columns_of,
    diag_of,
    fitted,
    flag,
    hermitian_part,
    identity,
    lapack_dtype,
    mm,
    real_if,
    rows_of,
)
from .linalg_solve import solution, triangular
from .samples import Samples
from .shape import broadcast_to, concat, reshape

_DOUBLE = (dt.float64,)


def row_of(x):
    """Vectors as matrices of one row."""
    return reshape(x, (*x.shape[:-1], 1, x.shape[-1]))


def column_of(x):
    """Vectors as matrices of one column."""
    return reshape(x, (*x.shape, 1))


def gaps(values):
    """1 / (values[j] - values[i]) in row i and column j; 0 where they are equal."""
    gap = subtract(row_of(values), column_of(values))
    same = equal(gap, 0)
    return where(same, 0, divide(1, where(same, 1, gap)))


def _cast_to(x, dtype):
    return x if x.dtype is dtype else cast(x, dtype)


# ---------------------------------------------------------------- Hermitian matrices
def _half_attribute(name: str):
    def attributes(UPLO="L"):
        if UPLO not in ("L", "U"):
            raise ValueRangeError(f"[{name}] UPLO: expected 'L' or 'U', got {UPLO!r}")
        return UPLO == "U"

    return attributes


def _eigh_infer(upper, x):
    check_matrices("linalg.eigh", "x", x, True)
    dtype = lapack_dtype("linalg.eigh", x)
    return Spec(real_of(dtype), x.shape[:-1]), Spec(dtype, x.shape)


def _eigh_vjp(upper, g, inputs, outputs, needs):
    w, v = outputs
    inner = multiply(mm(adjoint(v), g[1]), _cast_to(gaps(w), v.dtype))
    inner = add(inner, as_diagonal(_cast_to(g[0], v.dtype)))
    return [fitted(hermitian_part(mm(v, inner, adjoint(v))), inputs[0])]


def _eigh_jvp(upper, call, tangents, inputs, outputs):
    w, v = outputs
    moved = mm(adjoint(v), hermitian_part(tangents[0]), v)
    return [real_if(diag_of(moved), w), mm(v, multiply(moved, _cast_to(gaps(w), v.dtype)))]


eigh_op = host(
    "linalg.eigh", 1, lapack.eigh, infer=_eigh_infer, vjp=_eigh_vjp, jvp=_eigh_jvp, batch="leading", names=("x",),
    attributes=_half_attribute("linalg.eigh"), dtypes=LAPACK, errors=(((), {}, "[linalg.eigh]", ((None, (2, 3)),)),),
    reference="twain.testing.linalg_references.eigh",
    samples=Samples(("hermitian",), arguments=(((), {}), (("U",), {})), shapes=(((3, 3),), ((2, 4, 4),)), dtypes=_DOUBLE),
    doc="Eigenvalues, ascending, and eigenvectors (columns) of symmetric or Hermitian matrices.",
)  # fmt: skip


def _eigvalsh_infer(upper, x):
    check_matrices("linalg.eigvalsh", "x", x, True)
    return Spec(real_of(lapack_dtype("linalg.eigvalsh", x)), x.shape[:-1])


def _eigvalsh_vjp(upper, g, inputs, outputs, needs):
    _, v = eigh_op(inputs[0], "U" if upper else "L")
    return [fitted(mm(multiply(v, _cast_to(row_of(g[0]), v.dtype)), adjoint(v)), inputs[0])]


def _eigvalsh_jvp(upper, call, tangents, inputs, outputs):
    _, v = eigh_op(inputs[0], "U" if upper else "L")
    return [real_if(diag_of(mm(adjoint(v), hermitian_part(tangents[0]), v)), outputs[0])]


eigvalsh = host(
    "linalg.eigvalsh", 1, lapack.eigvalsh, infer=_eigvalsh_infer, vjp=_eigvalsh_vjp, jvp=_eigvalsh_jvp, batch="leading",
    names=("x",), attributes=_half_attribute("linalg.eigvalsh"), dtypes=LAPACK,
    reference="twain.testing.linalg_references.eigvalsh",
    samples=Samples(("hermitian",), arguments=(((), {}), (("U",), {})), shapes=(((3, 3),), ((2, 4, 4),)),
                    dtypes=(dt.float32, dt.float64, dt.complex128)),
    errors=((("both",), {}, "UPLO"),),
    doc="""The eigenvalues, ascending, of symmetric or Hermitian matrices, shape (..., n, n) -> (..., n), real.

    UPLO: which triangle is read. The gradient is that with respect to a Hermitian matrix.""",
)  # fmt: skip


# ---------------------------------------------------------------- any square matrices
def _eig_infer(attrs, x):
    check_matrices("linalg.eig", "x", x, True)
    dtype = complex_of(lapack_dtype("linalg.eig", x))
    return Spec(dtype, x.shape[:-1]), Spec(dtype, x.shape)


def _eig_vjp(attrs, g, inputs, outputs, needs):
    w, v = outputs
    turned = mm(adjoint(v), g[1])
    lengths = _cast_to(real(diag_of(turned)), v.dtype)  # vectors keep their length
    inner = subtract(turned, mm(adjoint(v), multiply(v, row_of(lengths))))
    inner = add(multiply(inner, _conjugate(gaps(w))), as_diagonal(g[0]))
    return [fitted(solution(adjoint(v), mm(inner, adjoint(v))), inputs[0])]


def _conjugate(x):
    return subtract(_cast_to(real(x), x.dtype), multiply(imag(x), 1j))


def _eig_jvp(attrs, call, tangents, inputs, outputs):
    w, v = outputs
    moved = solution(v, mm(_cast_to(tangents[0], v.dtype), v))
    turned = mm(v, multiply(moved, gaps(w)))
    lengths = _cast_to(real(diag_of(mm(adjoint(v), turned))), v.dtype)
    return [diag_of(moved), subtract(turned, multiply(v, row_of(lengths)))]


eig_op = host(
    "linalg.eig", 1, lapack.eig, infer=_eig_infer, vjp=_eig_vjp, jvp=_eig_jvp, batch="leading", names=("x",), dtypes=LAPACK,
    errors=(((), {}, "[linalg.eig]", ((None, (2, 3)),)),),
    reference="twain.testing.linalg_references.eig",
    samples=Samples(("regular",), shapes=(((3, 3),), ((2, 4, 4),)), dtypes=_DOUBLE),
    doc="Eigenvalues and eigenvectors (columns, of length 1) of square matrices, complex.",
)  # fmt: skip


def _eigvals_infer(attrs, x):
    check_matrices("linalg.eigvals", "x", x, True)
    return Spec(complex_of(lapack_dtype("linalg.eigvals", x)), x.shape[:-1])


def _eigvals_vjp(attrs, g, inputs, outputs, needs):
    _, v = eig_op(inputs[0])
    return [fitted(solution(adjoint(v), multiply(column_of(g[0]), adjoint(v))), inputs[0])]


def _eigvals_jvp(attrs, call, tangents, inputs, outputs):
    _, v = eig_op(inputs[0])
    return [diag_of(solution(v, mm(_cast_to(tangents[0], v.dtype), v)))]


eigvals = host(
    "linalg.eigvals", 1, lapack.eigvals, infer=_eigvals_infer, vjp=_eigvals_vjp, jvp=_eigvals_jvp, batch="leading",
    names=("x",), dtypes=LAPACK, errors=(((), {}, "[linalg.eigvals]", ((None, (2, 3)),)),),
    reference="twain.testing.linalg_references.eigvals",
    samples=Samples(("regular",), shapes=(((3, 3),), ((2, 4, 4),)), dtypes=_DOUBLE),
    doc="The eigenvalues of square matrices, shape (..., n, n) -> (..., n), always complex, in no order.",
)  # fmt: skip


# ---------------------------------------------------------------- singular values
def _svd_infer(full, x):
    check_matrices("linalg.svd", "x", x)
    *batch, m, n = x.shape
    k = min(m, n)
    dtype = lapack_dtype("linalg.svd", x)
    return (
        Spec(dtype, (*batch, m, m if full else k)),
        Spec(real_of(dtype), (*batch, k)),
        Spec(dtype, (*batch, n if full else k, n)),
    )


def _reciprocal(s):
    """1 / s, 0 where s is 0."""
    zero = equal(s, 0)
    return where(zero, 0, divide(1, where(zero, 1, s)))


def _skew(x):
    return subtract(x, adjoint(x))


def _svd_vjp(full, g, inputs, outputs, needs):
    u, s, vh = outputs
    gu, gs, gvh = g
    m, n, k = u.shape[-2], vh.shape[-1], s.shape[-1]
    u, gu, vh, gvh = columns_of(u, 0, k), columns_of(gu, 0, k), rows_of(vh, 0, k), rows_of(gvh, 0, k)
    rows, columns = _cast_to(column_of(s), u.dtype), _cast_to(row_of(s), u.dtype)
    apart = _cast_to(gaps(multiply(s, s)), u.dtype)
    ugu, vgv = mm(adjoint(u), gu), mm(vh, adjoint(gvh))
    inner = add(multiply(multiply(_skew(ugu), apart), columns), multiply(rows, multiply(_skew(vgv), apart)))
    inner = add(inner, as_diagonal(_cast_to(gs, u.dtype)))
    inverse = _cast_to(_reciprocal(s), u.dtype)
    if u.dtype.kind == "c":
        inner = add(inner, as_diagonal(multiply(multiply(imag(diag_of(ugu)), 1j), inverse)))
    result = mm(u, inner, vh)
    if m > k:
        result = add(result, mm(multiply(subtract(gu, mm(u, ugu)), row_of(inverse)), vh))
    if n > k:
        result = add(result, mm(multiply(u, row_of(inverse)), subtract(gvh, mm(gvh, adjoint(vh), vh))))
    return [fitted(result, inputs[0])]


def _svd_jvp(full, call, tangents, inputs, outputs):
    u, s, vh = outputs
    m, n, k = u.shape[-2], vh.shape[-1], s.shape[-1]
    if full and m != n:
        raise GradientError(
            f"[linalg.svd] expected full_matrices=False for derivatives of matrices that aren't square, got shape "
            f"{tuple(inputs[0].shape)}"
        )
    da = _cast_to(tangents[0], u.dtype)
    rows, columns = _cast_to(column_of(s), u.dtype), _cast_to(row_of(s), u.dtype)
    apart = _cast_to(gaps(multiply(s, s)), u.dtype)
    p = mm(adjoint(u), da, adjoint(vh))
    ds = real_if(diag_of(p), s)
    left, right = multiply(p, columns), multiply(rows, p)
    turn_u = multiply(add(left, adjoint(left)), apart)
    turn_v = multiply(add(right, adjoint(right)), apart)
    inverse = _cast_to(_reciprocal(s), u.dtype)
    if u.dtype.kind == "c":  # both phases move, by convention half each
        phase = as_diagonal(multiply(multiply(imag(diag_of(p)), 0.5j), inverse))
        turn_u, turn_v = add(turn_u, phase), subtract(turn_v, phase)
    du, dvh = mm(u, turn_u), mm(adjoint(turn_v), vh)
    if m > k:
        av = mm(da, adjoint(vh))
        du = add(du, multiply(subtract(av, mm(u, adjoint(u), av)), row_of(inverse)))
    if n > k:
        ua = mm(adjoint(u), da)
        dvh = add(dvh, multiply(column_of(inverse), subtract(ua, mm(ua, adjoint(vh), vh))))
    return [du, ds, dvh]


svd_op = host(
    "linalg.svd", 1, lapack.svd, infer=_svd_infer, vjp=_svd_vjp, jvp=_svd_jvp, batch="leading", names=("x",), dtypes=LAPACK,
    attributes=lambda full_matrices=True: flag("linalg.svd", "full_matrices", full_matrices),
    errors=(((), {}, "[linalg.svd]", ((None, (3,)),)),),
    reference="numpy.linalg.svd",
    samples=Samples(("regular",), arguments=(((False,), {}),), shapes=(((3, 3),), ((2, 4, 2),), ((2, 3),)), dtypes=_DOUBLE),
    doc="U, singular values (descending) and V^H of matrices: x = U @ diag(S) @ V^H.",
)  # fmt: skip


def _svdvals_infer(attrs, x):
    check_matrices("linalg.svdvals", "x", x)
    return Spec(real_of(lapack_dtype("linalg.svdvals", x)), (*x.shape[:-2], min(x.shape[-2:])))


def _svdvals_vjp(attrs, g, inputs, outputs, needs):
    u, _, vh = svd_op(inputs[0], False)
    return [fitted(mm(multiply(u, _cast_to(row_of(g[0]), u.dtype)), vh), inputs[0])]


def _svdvals_jvp(attrs, call, tangents, inputs, outputs):
    u, s, vh = svd_op(inputs[0], False)
    return [real_if(diag_of(mm(adjoint(u), _cast_to(tangents[0], u.dtype), adjoint(vh))), s)]


svdvals = host(
    "linalg.svdvals", 1, lapack.svdvals, infer=_svdvals_infer, vjp=_svdvals_vjp, jvp=_svdvals_jvp, batch="leading",
    names=("x",), dtypes=LAPACK, errors=(((), {}, "[linalg.svdvals]", ((None, (3,)),)),),
    reference="twain.testing.linalg_references.svdvals",
    samples=Samples(("regular",), shapes=(((3, 3),), ((2, 4, 2),)), dtypes=(dt.float32, dt.float64, dt.complex128)),
    doc="The singular values of matrices, descending, shape (..., m, n) -> (..., min(m, n)), real.",
)  # fmt: skip


# ---------------------------------------------------------------- QR
def _qr_attributes(mode="reduced"):
    if mode not in ("reduced", "complete"):
        raise ValueRangeError(f"[linalg.qr] mode: expected 'reduced' or 'complete', got {mode!r}")
    return mode


def _qr_infer(mode, x):
    check_matrices("linalg.qr", "x", x)
    *batch, m, n = x.shape
    k = m if mode == "complete" else min(m, n)
    dtype = lapack_dtype("linalg.qr", x)
    return Spec(dtype, (*batch, m, k)), Spec(dtype, (*batch, k, n))


def _qr_check(mode: str, x) -> None:
    if mode == "complete" and x.shape[-2] > x.shape[-1]:
        raise GradientError(
            "[linalg.qr] expected mode='reduced' for derivatives of matrices with more rows than columns (the other "
            f"columns of Q are free), got shape {tuple(x.shape)}"
        )


def _imaginary_diagonal(x):
    return as_diagonal(multiply(imag(diag_of(x)), 1j))


def _qr_pull(q, r, gq, gr):
    """The gradient of a matrix with at least as many rows as columns, from those of its factors."""
    inner = subtract(mm(r, adjoint(gr)), mm(adjoint(gq), q))
    low = tril(inner, -1)
    copied = add(add(low, adjoint(low)), as_diagonal(diag_of(inner)))
    if q.dtype.kind == "c":
        copied = subtract(copied, _imaginary_diagonal(inner))
    return adjoint(triangular(r, adjoint(add(gq, mm(q, copied))), True, False))


def _qr_vjp(mode, g, inputs, outputs, needs):
    _qr_check(mode, inputs[0])
    q, r = outputs
    m, n = q.shape[-2], r.shape[-1]
    if m >= n:
        return [fitted(_qr_pull(q, r, g[0], g[1]), inputs[0])]
    left, g_left, g_right = columns_of(r, 0, m), columns_of(g[1], 0, m), columns_of(g[1], m, n - m)
    rest = columns_of(inputs[0], m, n - m)
    gq = add(g[0], mm(_cast_to(rest, q.dtype), adjoint(g_right)))
    return [fitted(concat([_qr_pull(q, left, gq, g_left), mm(q, g_right)], -1), inputs[0])]


def _qr_jvp(mode, call, tangents, inputs, outputs):
    _qr_check(mode, inputs[0])
    q, r = outputs
    m, n = q.shape[-2], r.shape[-1]
    da = _cast_to(tangents[0], q.dtype)
    k = min(m, n)
    left = columns_of(r, 0, k)
    moved = adjoint(triangular(adjoint(left), adjoint(columns_of(da, 0, k)), False, False))  # da @ r^-1
    inner = mm(adjoint(q), moved)
    low = tril(inner, -1)
    turn = subtract(low, adjoint(low))
    if q.dtype.kind == "c":
        turn = add(turn, _imaginary_diagonal(inner))
    upper = subtract(inner, turn)
    dq, dr = subtract(moved, mm(q, upper)), mm(upper, left)
    if m < n:
        rest, d_rest = columns_of(inputs[0], m, n - m), columns_of(da, m, n - m)
        beside = add(mm(adjoint(q), d_rest), mm(adjoint(dq), _cast_to(rest, q.dtype)))
        dr = concat([dr, beside], -1)
    return [dq, triu(dr)]


qr_op = host(
    "linalg.qr", 1, lapack.qr, infer=_qr_infer, vjp=_qr_vjp, jvp=_qr_jvp, attributes=_qr_attributes, batch="leading",
    names=("x",), dtypes=LAPACK, errors=(((), {}, "[linalg.qr]", ((None, (3,)),)),),
    reference="numpy.linalg.qr",
    samples=Samples(("regular",), shapes=(((3, 3),), ((2, 4, 2),), ((2, 4),)), dtypes=(dt.float32, dt.float64, dt.complex128)),
    doc="Q with orthonormal columns and upper triangular R with Q @ R = x.",
)  # fmt: skip


# ---------------------------------------------------------------- pseudoinverse, least squares
def default_tolerance(x) -> float:
    """What LAPACK's users take: max(m, n) * eps."""
    single = x.dtype.kind in "biu" or x.dtype in (dt.float32, dt.complex64)
    return max(x.shape[-2:]) * 2.0 ** (-23 if single else -52)


def tolerances(x, rtol, atol) -> tuple:
    """(rtol, atol) with what counts for one that is left out."""
    if rtol is None:
        rtol = 0.0 if atol is not None else default_tolerance(x)
    return rtol, 0.0 if atol is None else atol


def _pinv_infer(hermitian, x, rtol, atol):
    check_matrices("linalg.pinv", "x", x, hermitian)
    m, n = x.shape[-2:]
    batch = broadcast_shapes("linalg.pinv", x.shape[:-2], rtol.shape, atol.shape)
    return Spec(lapack_dtype("linalg.pinv", x), (*batch, n, m))


def _missing(a, b):
    """identity - a @ b."""
    return subtract(identity(a.shape[-2], b.shape[-1], a.dtype), mm(a, b))


def _pinv_vjp(hermitian, g, inputs, outputs, needs):
    a, x = _cast_to(inputs[0], outputs[0].dtype), outputs[0]
    gh, xh = adjoint(g[0]), adjoint(x)
    result = negative(mm(xh, g[0], xh))
    result = add(result, mm(_missing(a, x), gh, mm(x, xh)))
    result = add(result, mm(mm(xh, x), gh, _missing(x, a)))
    return [fit_gradient(fitted(result, inputs[0]), inputs[0].spec), None, None]


def _pinv_jvp(hermitian, call, tangents, inputs, outputs):
    if tangents[0] is None:
        return [None]
    a, x = _cast_to(inputs[0], outputs[0].dtype), outputs[0]
    da = _cast_to(tangents[0], x.dtype)
    xh, dah = adjoint(x), adjoint(da)
    result = add(negative(mm(x, da, x)), mm(mm(x, xh), dah, _missing(a, x)))
    return [add(result, mm(_missing(x, a), dah, mm(xh, x)))]


pseudoinverse = host(
    "linalg.pseudoinverse", 3, lapack.pinv, infer=_pinv_infer, vjp=_pinv_vjp, jvp=_pinv_jvp, batch=(2, 0, 0),
    attributes=lambda hermitian: hermitian, names=("x", "rtol", "atol"), dtypes=LAPACK,
    reference="twain.testing.linalg_references.pinv",
    samples=Samples(("regular", (1e-9, 1e-8), (1e-9, 1e-8)), arguments=(((False,), {}),),
                    shapes=(((3, 3), (), ()), ((2, 4, 2), (2,), ())), dtypes=(dt.float64,)),
    doc="The Moore-Penrose inverse; singular values up to rtol times the largest, or up to atol, count as zero.",
)  # fmt: skip


def _pinv(hermitian, x, rtol, atol):
    """The Moore-Penrose inverse of matrices, shape (..., m, n) -> (..., n, m).

    rtol, atol: singular values up to rtol times the largest, or up to atol, count as zero; numbers or tensors that
    broadcast to the leading axes. By default rtol is max(m, n) * eps, or 0 if atol is given. hermitian: take the matrices
    for Hermitian.
    """
    check_matrices("linalg.pinv", "x", x.spec)
    return pseudoinverse(x, *tolerances(x, rtol, atol), hermitian)


pinv_op = composite(
    "linalg.pinv", 3, _pinv, names=("x", "rtol", "atol"), errors=(((), {}, "[linalg.pinv]", ((None, (3,)),)),),
    reference="twain.testing.linalg_references.pinv",
    attributes=lambda hermitian=False: flag("linalg.pinv", "hermitian", hermitian),
    samples=Samples(("regular", (1e-9, 1e-8), (1e-9, 1e-8)), shapes=(((2, 4, 2), (2,), ()),), dtypes=(dt.float64,)),
)  # fmt: skip


def _lstsq_infer(attrs, a, b, rtol):
    check_matrices("linalg.lstsq", "x1", a)
    check_matrices("linalg.lstsq", "x2", b)
    if a.shape[-2] != b.shape[-2]:
        raise ShapeError(f"[linalg.lstsq] expected x2 with as many rows as x1, got shapes {a.shape} and {b.shape}")
    batch = broadcast_shapes("linalg.lstsq", batch_of("linalg.lstsq", a, b), rtol.shape)
    shape = (*batch, a.shape[-1], b.shape[-1])
    return Spec(lapack_dtype("linalg.lstsq", a, b), shape)


def _lstsq_vjp(attrs, g, inputs, outputs, needs):
    a, b, rtol = inputs
    x = outputs[0]
    back = adjoint(a)
    y = least_squares(back, g[0], rtol)
    ga = None
    if needs[0]:
        wide, right = _cast_to(a, x.dtype), _cast_to(b, x.dtype)
        rest = subtract(right, mm(wide, x))
        ga = negative(mm(y, adjoint(x)))
        ga = add(ga, mm(rest, adjoint(least_squares(a, y, rtol))))
        missed = subtract(g[0], mm(adjoint(wide), y))
        ga = add(ga, mm(least_squares(back, x, rtol), adjoint(missed)))
        ga = fit_gradient(real_if(ga, a), a.spec)
    return [ga, fit_gradient(real_if(y, b), b.spec) if needs[1] else None, None]


def _lstsq_jvp(attrs, call, tangents, inputs, outputs):
    a, b, rtol = inputs
    x = outputs[0]
    parts = []
    if tangents[1] is not None:
        parts.append(call(attrs, a, tangents[1], rtol))
    if tangents[0] is not None:
        da, wide = _cast_to(tangents[0], x.dtype), _cast_to(a, x.dtype)
        rest = subtract(_cast_to(b, x.dtype), mm(wide, x))
        parts.append(negative(call(attrs, a, mm(da, x), rtol)))
        parts.append(call(attrs, a, call(attrs, adjoint(a), mm(adjoint(da), rest), rtol), rtol))
        moved = mm(adjoint(da), call(attrs, adjoint(a), x, rtol))
        parts.append(subtract(moved, call(attrs, a, mm(wide, moved), rtol)))
    total = None
    for part in parts:
        total = part if total is None else add(total, part)
    if total is not None and total.shape != x.shape:
        total = broadcast_to(total, x.shape)
    return [total]


least_squares = host(
    "linalg.least_squares", 3, lapack.lstsq, infer=_lstsq_infer, vjp=_lstsq_vjp, jvp=_lstsq_jvp, batch=(2, 2, 0),
    names=("x1", "x2", "rtol"), dtypes=LAPACK, reference="twain.testing.linalg_references.least_squares",
    samples=Samples(("regular", (-2, 2), (1e-9, 1e-8)), dtypes=(dt.float64,),
                    shapes=(((4, 2), (4, 3), ()), ((2, 2, 4), (2, 1), ()))),
    doc="The X of least norm among those with the least sum of squares of x1 @ X - x2.",
)  # fmt: skip
