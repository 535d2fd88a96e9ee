"""What host ops of linear algebra run: functions on NumPy arrays, batched over leading axes.

Factorizations are NumPy's (LAPACK); triangular solves, LU and the matrix exponential, which NumPy lacks, are blocked
algorithms whose work is in NumPy's products. Each gets (attrs, *operands, out=results), see ops/host.py.
"""

from __future__ import annotations

from collections.abc import Callable

from ..base.errors import LinAlgError
from ..base.lazy import LazyModule

numpy = LazyModule("numpy")

BLOCK = 64  # columns that a triangular solve or an LU factorization treats at a time


def widened(out: list, *arrays) -> list:
    """The operands in the dtype of the first result, or the complex or real dtype of its precision."""
    single = out[0].dtype.char in "fF"
    result = []
    for a in arrays:
        kind = a.dtype.char
        wanted = ("F" if single else "D") if kind in "FD" else "f" if single else "d"
        result.append(a if kind == wanted else a.astype(wanted))
    return result


def attempt(name: str, what: str, function: Callable, *arrays):
    """function(*arrays); NumPy's LinAlgError as ours, saying which matrix of the batch it was."""
    try:
        return function(*arrays)
    except numpy.linalg.LinAlgError:
        matrices = arrays[0]
        place = ""
        for index in numpy.ndindex(matrices.shape[:-2]):
            one = matrices[index]
            try:
                function(one, *(_part(a, index) for a in arrays[1:]))
            except numpy.linalg.LinAlgError:
                place = f" at index {index}" if index else ""
                if not numpy.isfinite(one).all():
                    what = "finite matrices, got one with NaN or infinity"
                break
        raise LinAlgError(f"[{name}] expected {what}{place} (shape {matrices.shape})") from None


def _part(a, index: tuple):
    """The part of an operand that belongs to `index` of the first operand's batch."""
    batch = a.shape[:-2]
    index = index[len(index) - len(batch) :]
    return a[tuple(0 if d == 1 else i for i, d in zip(index, batch))]


# ---------------------------------------------------------------- NumPy's own
def cholesky(upper, a, out):
    [a] = widened(out, a)
    if upper:
        a = a.conj().swapaxes(-1, -2)
    found = attempt("linalg.cholesky", "positive definite matrices, got one that isn't", numpy.linalg.cholesky, a)
    out[0][...] = found.conj().swapaxes(-1, -2) if upper else found


def inv(attrs, a, out):
    out[0][...] = attempt("linalg.inv", "invertible matrices, got a singular one", numpy.linalg.inv, *widened(out, a))


def solve(attrs, a, b, out):
    a, b = widened(out, a, b)
    rank = max(a.ndim, b.ndim)
    a, b = (x.reshape((1,) * (rank - x.ndim) + x.shape) for x in (a, b))  # no guessing which is a stack of vectors
    out[0][...] = attempt("linalg.solve", "invertible matrices, got a singular one", numpy.linalg.solve, a, b)


def det(attrs, a, out):
    with numpy.errstate(all="ignore"):  # what overflows is infinite
        out[0][...] = numpy.linalg.det(*widened(out, a))


def slogdet(attrs, a, out):
    with numpy.errstate(all="ignore"):
        out[0][...], out[1][...] = numpy.linalg.slogdet(*widened(out, a))


def cofactor(attrs, a, out):
    """det(a) inv(a)^T, also of singular matrices: cofactors of a product are products of cofactors."""
    [a] = widened(out, a)
    u, s, vh = attempt("linalg.det", "matrices whose singular values converge", numpy.linalg.svd, a)
    n = a.shape[-1]
    with numpy.errstate(all="ignore"):
        others = numpy.where(numpy.eye(n, dtype=bool), 1, s[..., None, :]).prod(-1)
    with numpy.errstate(all="ignore"):
        scale = numpy.linalg.det(u) * numpy.linalg.det(vh)
        out[0][...] = (u.conj() * (others * scale[..., None])[..., None, :]) @ vh.conj()


def eigh(upper, a, out):
    [a] = widened(out[1:], a)
    half = "U" if upper else "L"
    found = attempt("linalg.eigh", "matrices whose eigenvalues converge", lambda x: numpy.linalg.eigh(x, half), a)
    out[0][...], out[1][...] = found


def eigvalsh(upper, a, out):
    half = "U" if upper else "L"
    [a] = widened(out, a)
    what = "matrices whose eigenvalues converge"
    out[0][...] = attempt("linalg.eigvalsh", what, lambda x: numpy.linalg.eigvalsh(x, half), a)


def eig(attrs, a, out):
    out[0][...], out[1][...] = attempt(
        "linalg.eig", "matrices whose eigenvalues converge", numpy.linalg.eig, *widened(out, a)
    )


def eigvals(attrs, a, out):
    what = "matrices whose eigenvalues converge"
    out[0][...] = attempt("linalg.eigvals", what, numpy.linalg.eigvals, *widened(out, a))


def svd(full, a, out):
    what = "matrices whose singular values converge"
    out[0][...], out[1][...], out[2][...] = attempt(
        "linalg.svd", what, lambda x: numpy.linalg.svd(x, full_matrices=full), *widened(out, a)
    )


def svdvals(attrs, a, out):
    what = "matrices whose singular values converge"
    out[0][...] = attempt(
        "linalg.svdvals", what, lambda x: numpy.linalg.svd(x, compute_uv=False), *widened(out, a)
    )  # fmt: skip


def qr(mode, a, out):
    out[0][...], out[1][...] = numpy.linalg.qr(*widened(out, a), mode)


def pinv(hermitian, a, rtol, atol, out):
    """The Moore-Penrose inverse; singular values up to rtol times the largest, or up to atol, count as zero."""
    [a] = widened(out, a)
    what = "matrices whose singular values converge"
    if hermitian:
        w, v = attempt("linalg.pinv", what, numpy.linalg.eigh, a)
        sizes, u, vh = numpy.abs(w), v * numpy.sign(w)[..., None, :], v.conj().swapaxes(-1, -2)
    else:
        u, sizes, vh = attempt("linalg.pinv", what, lambda x: numpy.linalg.svd(x, full_matrices=False), a)
    scaled = _inverted(sizes, rtol, atol)
    out[0][...] = (vh.conj().swapaxes(-1, -2) * scaled[..., None, :]) @ u.conj().swapaxes(-1, -2)


def _inverted(sizes, rtol, atol):
    """1 / sizes, or 0 for those that count as zero; NaN stays NaN."""
    if not sizes.shape[-1]:
        return sizes
    rtol, atol = (numpy.asarray(x, sizes.dtype)[..., None] for x in (rtol, atol))
    small = sizes <= numpy.maximum(rtol * sizes.max(-1, keepdims=True), atol)
    return numpy.where(small, 0, 1 / numpy.where(small, 1, sizes)).astype(sizes.dtype)


def lstsq(attrs, a, b, rtol, out):
    """The solution of least norm among those of least squares, through the singular value decomposition."""
    a, b = widened(out, a, b)
    what = "matrices whose singular values converge"
    u, s, vh = attempt("linalg.lstsq", what, lambda x: numpy.linalg.svd(x, full_matrices=False), a)
    scaled = _inverted(s, rtol, 0.0)
    out[0][...] = vh.conj().swapaxes(-1, -2) @ (scaled[..., None] * (u.conj().swapaxes(-1, -2) @ b))


# ---------------------------------------------------------------- what NumPy lacks
def solve_triangular(attrs, a, b, out):
    """Blocked substitution. attrs: (upper, unit diagonal)."""
    upper, unit = attrs
    a, b = widened(out, a, b)
    x = out[0]
    x[...] = b
    n = a.shape[-1]
    starts = range(0, n, BLOCK)
    triangle = numpy.triu if upper else numpy.tril

    def one(square, right):
        block = triangle(square)
        if unit:
            places = numpy.arange(block.shape[-1])
            block[..., places, places] = 1
        rank = max(block.ndim, right.ndim)
        return numpy.linalg.solve(block.reshape((1,) * (rank - block.ndim) + block.shape), right)

    for i in reversed(starts) if upper else starts:
        end = min(i + BLOCK, n)
        solved = attempt("linalg.solve_triangular", "a diagonal without zeros, got a singular matrix", one,
                         a[..., i:end, i:end], x[..., i:end, :])  # fmt: skip
        x[..., i:end, :] = solved
        if upper and i:
            x[..., :i, :] -= a[..., :i, i:end] @ solved
        elif not upper and end < n:
            x[..., end:, :] -= a[..., end:, i:end] @ solved


def lu_factor(attrs, a, out):
    """L and U in one matrix, LAPACK's pivots (from 1) and the rows' order, by blocks of columns."""
    [a] = widened(out, a)
    packed, pivots, order = out
    m, n = a.shape[-2:]
    packed[...] = a
    order[...] = numpy.arange(m)
    if not a.size:
        return
    work = packed.reshape((-1, m, n))
    swaps, rows = pivots.reshape((-1, min(m, n))), order.reshape((-1, m))
    batch = numpy.arange(len(work))
    with numpy.errstate(all="ignore"):
        for start in range(0, min(m, n), BLOCK):
            end = min(start + BLOCK, min(m, n))
            for j in range(start, end):
                column = work[:, j:, j]
                size = (
                    numpy.abs(column.real) + numpy.abs(column.imag) if column.dtype.kind == "c" else numpy.abs(column)
                )
                p = size.argmax(-1) + j  # LAPACK measures complex numbers so, too
                swaps[:, j] = p + 1
                for x in (work, rows):
                    x[batch, p], x[:, j] = x[:, j].copy(), x[batch, p]
                pivot = work[:, j, j, None]
                work[:, j + 1 :, j] /= numpy.where(pivot == 0, 1, pivot)
                work[:, j + 1 :, j + 1 : end] -= work[:, j + 1 :, j, None] * work[:, None, j, j + 1 : end]
            if end < n:
                lower = numpy.tril(work[:, start:end, start:end], -1) + numpy.eye(end - start, dtype=work.dtype)
                work[:, start:end, end:] = numpy.linalg.solve(lower, work[:, start:end, end:])
                work[:, end:, end:] -= work[:, end:, start:end] @ work[:, start:end, end:]


# Coefficients of the [13/13] Padé approximant of exp, and the largest 1-norm for which it is exact to double precision:
# N. Higham, The scaling and squaring method for the matrix exponential revisited, SIAM J. Matrix Anal. Appl. 26 (2005).
_PADE = (
    64764752532480000, 32382376266240000, 7771770303897600, 1187353796428800, 129060195264000, 10559470521600,
    670442572800, 33522128640, 1323241920, 40840800, 960960, 16380, 182, 1,
)  # fmt: skip
_PADE_NORM = 5.371920351148152


def matrix_exp(attrs, a, out):
    """Scaling and squaring, in double precision."""
    wide = a.astype("complex128" if a.dtype.kind == "c" else "float64")
    n = wide.shape[-1]
    if not wide.size:
        return
    norm = numpy.abs(wide).sum(-2).max(-1)
    finite = numpy.isfinite(norm)
    safe = numpy.where(finite & (norm > _PADE_NORM), norm, _PADE_NORM)
    squarings = numpy.ceil(numpy.log2(safe / _PADE_NORM)).astype("int64")
    x = wide * numpy.exp2(-squarings.astype("float64"))[..., None, None]
    with numpy.errstate(all="ignore"):
        one, x2 = numpy.eye(n), x @ x
        x4 = x2 @ x2
        x6 = x4 @ x2
        c = _PADE
        odd = x @ (x6 @ (c[13] * x6 + c[11] * x4 + c[9] * x2) + c[7] * x6 + c[5] * x4 + c[3] * x2 + c[1] * one)
        even = x6 @ (c[12] * x6 + c[10] * x4 + c[8] * x2) + c[6] * x6 + c[4] * x4 + c[2] * x2 + c[0] * one
        result = numpy.linalg.solve(even - odd, even + odd)
        for step in range(int(squarings.max(initial=0))):
            result = numpy.where((step < squarings)[..., None, None], result @ result, result)
        result[~finite] = numpy.nan
        out[0][...] = result


def row_order(rows, pivots, out):
    """The rows' order after swapping row i with row pivots[i] - 1, one after the other."""
    order = out[0]
    order[...] = numpy.arange(rows)
    if not order.size:
        return
    flat, swaps = order.reshape((-1, rows)), pivots.reshape((-1, pivots.shape[-1]))
    batch = numpy.arange(len(flat))
    for j in range(swaps.shape[-1]):
        p = numpy.clip(swaps[:, j].astype("int64") - 1, 0, rows - 1)
        flat[batch, p], flat[:, j] = flat[:, j].copy(), flat[batch, p]
