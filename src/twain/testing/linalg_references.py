"""NumPy definitions for what the op table has of complex numbers, linear algebra and Fourier transforms."""

from __future__ import annotations

import numpy as np


def complex_of(real, imag):
    """real + 1j * imag, part by part."""
    result = np.empty(np.broadcast_shapes(np.shape(real), np.shape(imag)), dtype="complex128")
    result.real, result.imag = real, imag
    return result


def polar(size, angle):
    """A complex number from its absolute value and angle."""
    return size * np.exp(1j * angle)


# ---------------------------------------------------------------- linear algebra
def _adjoint(x):
    return np.conj(np.swapaxes(x, -1, -2))


def _from_half(x, upper: bool):
    """A Hermitian matrix of one triangle."""
    half = np.triu(x) if upper else np.tril(x)
    other = _adjoint(np.triu(x, 1) if upper else np.tril(x, -1))
    places = np.arange(x.shape[-1])
    result = half + other
    result[..., places, places] = result[..., places, places].real
    return result


def triangular_solution(a, b, upper, unit):
    """solve for the upper or lower triangle of a, with ones on the diagonal if unit."""
    part = np.triu(a) if upper else np.tril(a)
    if unit:
        part = np.triu(a, 1) if upper else np.tril(a, -1)
        part = part + np.eye(a.shape[-1])
    return np.linalg.solve(part, b)


def solve_triangular(a, b, upper, left=True, unitriangular=False):
    """X with a X = b, or X a = b."""
    if left:
        return triangular_solution(a, b, upper, unitriangular)
    return triangular_solution(a.swapaxes(-1, -2), b.swapaxes(-1, -2), not upper, unitriangular).swapaxes(-1, -2)


def cholesky(x, upper=False):
    """The Cholesky factor of the matrix that a triangle says."""
    lower = np.linalg.cholesky(_from_half(x, upper))
    return _adjoint(lower) if upper else lower


def cholesky_solve(b, factor, upper=False):
    """X with A X = b for A = L L^H."""
    lower = _adjoint(np.triu(factor)) if upper else np.tril(factor)
    return np.linalg.solve(lower @ _adjoint(lower), b)


def cholesky_inverse(factor, upper=False):
    """The inverse of A = L L^H."""
    return cholesky_solve(np.eye(factor.shape[-1]), factor, upper)


def solve(a, b, left=True):
    """X with a X = b, or X a = b."""
    if b.ndim == 1:
        return np.linalg.solve(a, b[:, None])[..., 0]
    return np.linalg.solve(a, b) if left else b @ np.linalg.inv(a)


def cofactor(x):
    """det(x) inv(x)^T."""
    return np.linalg.det(x)[..., None, None] * np.linalg.inv(x).swapaxes(-1, -2)


def matrix_exp(x):
    """The power series, after halving the matrix often enough."""
    x = x / 2.0**12
    term = result = np.broadcast_to(np.eye(x.shape[-1]), x.shape)
    for n in range(1, 12):
        term = term @ x / n
        result = result + term
    for _ in range(12):
        result = result @ result
    return result


def _each(function, x, *more):
    """function of each matrix of a batch, its results stacked."""
    batch = x.shape[:-2]
    found = [function(x[i], *(m[i] for m in more)) for i in np.ndindex(batch)]
    stacked = [np.stack(part) for part in zip(*found)]
    return [s.reshape(batch + s.shape[1:]) for s in stacked]


def _lu_one(x):
    """Gaussian elimination with partial pivoting, as LAPACK numbers its pivots."""
    work, order = np.array(x), np.arange(x.shape[0])
    pivots = np.zeros(min(x.shape), dtype="int32")
    for j in range(min(x.shape)):
        p = j + int(np.argmax(np.abs(work[j:, j].real) + np.abs(work[j:, j].imag)))
        pivots[j] = p + 1
        work[[j, p]], order[[j, p]] = work[[p, j]], order[[p, j]]
        work[j + 1 :, j] /= work[j, j]
        work[j + 1 :, j + 1 :] -= np.outer(work[j + 1 :, j], work[j, j + 1 :])
    return work, pivots, order


def lu_factor(x):
    """(L and U in one, pivots, order)."""
    return tuple(_each(_lu_one, x))


def lu(x):
    """(P, L, U)."""
    packed, _, order = lu_factor(x)
    m, n = x.shape[-2:]
    k = min(m, n)
    return np.eye(m)[order].swapaxes(-1, -2), np.tril(packed[..., :k], -1) + np.eye(m, k), np.triu(packed[..., :k, :])


def row_order(pivots, rows):
    """The order after swapping row i with pivots[i] - 1."""
    result = np.broadcast_to(np.arange(rows), (*pivots.shape[:-1], rows)).copy()
    for index in np.ndindex(pivots.shape[:-1]):
        for j, p in enumerate(pivots[index]):
            result[index][[j, p - 1]] = result[index][[p - 1, j]]
    return result


def lu_solve(packed, pivots, b, left=True, adjoint=False):
    """X with A X = b, A put together again."""
    order = row_order(pivots, packed.shape[-1])
    a = np.empty_like(packed)
    a[order] = (np.tril(packed, -1) + np.eye(packed.shape[-1])) @ np.triu(packed)
    a = _adjoint(a) if adjoint else a
    return np.linalg.solve(a, b) if left else b @ np.linalg.inv(a)


def eigh(x, UPLO="L"):
    """Eigenvalues and eigenvectors of what a triangle says."""
    return tuple(np.linalg.eigh(x, UPLO))


def eigvalsh(x, UPLO="L"):
    """Eigenvalues of what a triangle says."""
    return np.linalg.eigvalsh(x, UPLO)


def eig(x):
    """Eigenvalues and eigenvectors, complex."""
    return tuple(part.astype("complex128") for part in np.linalg.eig(x))


def eigvals(x):
    """Eigenvalues, complex."""
    return np.linalg.eigvals(x).astype("complex128")


def svdvals(x):
    """Singular values."""
    return np.linalg.svd(x, compute_uv=False)


def pinv(x, rtol, atol, hermitian=False):
    """The pseudoinverse."""
    return np.linalg.pinv(x, rcond=rtol)


def least_squares(a, b, rtol):
    """The least squares solution of least norm."""
    return np.linalg.pinv(a) @ b


def _reduced(value, axis, rank: int, keepdims: bool):
    axes = range(rank) if axis is None else [a % rank for a in (axis if isinstance(axis, tuple) else (axis,))]
    return np.expand_dims(value, tuple(sorted(axes))) if keepdims else value


def vector_norm(x, ord=2, axis=None, keepdims=False):
    """The norm of the elements along axis."""
    rank = x.ndim
    if axis is None:
        return _reduced(np.linalg.norm(x.ravel(), ord), None, rank, keepdims)
    axes = axis if isinstance(axis, tuple) else (axis,)
    moved = np.moveaxis(x, axes, range(-len(axes), 0))
    flat = moved.reshape(*moved.shape[: rank - len(axes)], -1)
    return _reduced(np.linalg.norm(flat, ord, axis=-1), axis, rank, keepdims)


def matrix_norm(x, ord="fro", axis=(-2, -1), keepdims=False):
    """The norm of matrices."""
    return np.linalg.norm(x, ord, axis, keepdims)


def norm(x, ord=None, axis=None, keepdims=False):
    """NumPy's norm."""
    return np.linalg.norm(x, ord, axis, keepdims)


def cond(x, p=None):
    """The condition number."""
    return np.linalg.cond(x, p)


def matrix_rank(x, rtol, atol, hermitian=False):
    """The rank."""
    return np.linalg.matrix_rank(x, tol=None)


def cross(a, b, axis=-1):
    """The vector product."""
    return np.cross(*np.broadcast_arrays(a, b), axis=axis)


def diagonal(x, offset=0):
    """Diagonals of the last two axes."""
    return np.diagonal(x, offset, -2, -1)


def trace(x, offset=0, dtype=None):
    """Sums of diagonals of the last two axes."""
    return np.trace(x, offset, -2, -1)


def matrix_power(x, n):
    """A power of matrices."""
    return np.linalg.matrix_power(x, n)


def multi_dot(matrices):
    """The product of all."""
    return np.linalg.multi_dot(matrices)


def tensorinv(x, ind=2):
    """The inverse as a tensor."""
    return np.linalg.tensorinv(x, ind)


def tensorsolve(a, b, axes=None):
    """The solution as a tensor."""
    return np.linalg.tensorsolve(a, b, axes)


def vander(x, N=None):
    """Powers from 0 on."""
    return x[..., None] ** np.arange(x.shape[-1] if N is None else N)


def householder_product(x, tau):
    """The product of the reflections, one after the other."""
    m, n = x.shape[-2:]
    result = np.broadcast_to(np.eye(m), (*x.shape[:-2], m, m))
    for i in range(tau.shape[-1]):
        v = np.where(np.arange(m) > i, x[..., i], 0) + (np.arange(m) == i)
        result = result @ (np.eye(m) - tau[..., i, None, None] * v[..., :, None] * np.conj(v[..., None, :]))
    return result[..., :n]


# ---------------------------------------------------------------- Fourier transforms
def _scale(axes, x, scale, sizes=None):
    n = np.prod([x.shape[a] for a in axes] if sizes is None else sizes)
    return {"one": 1.0, "ortho": n**-0.5, "mean": 1.0 / n}[scale]


def _matrix(n: int, inverse: bool):
    """The transform as a matrix."""
    k = np.arange(n)
    return np.exp((2j if inverse else -2j) * np.pi * np.outer(k, k) / n)


def _along(x, matrix, axis):
    return np.moveaxis(np.moveaxis(x, axis, -1) @ matrix, -1, axis)


def fft_full(x, axes, inverse, scale):
    """The definition, as a product of matrices."""
    factor = _scale(axes, x, scale)
    for a in axes:
        x = _along(x, _matrix(x.shape[a], inverse), a)
    return x * factor


def fft_halved(x, axes, scale):
    """The frequencies that aren't negative."""
    found = fft_full(x, axes, False, scale)
    return np.take(found, range(x.shape[axes[-1]] // 2 + 1), axes[-1])


def fft_restored(x, axes, scale, size):
    """Back to real numbers."""
    factor = _scale(axes, x, scale, [*(x.shape[a] for a in axes[:-1]), size])
    for a in axes[:-1]:
        x = _along(x, _matrix(x.shape[a], True), a)
    last = axes[-1]
    x = np.moveaxis(x, last, -1)
    whole = np.zeros((*x.shape[:-1], size), "complex128")
    whole[..., 0] = x[..., 0].real
    for k in range(1, size // 2 + 1):
        if 2 * k == size:
            whole[..., k] = x[..., k].real
        else:
            whole[..., k], whole[..., -k] = x[..., k], x[..., k].conj()
    return np.moveaxis((whole @ _matrix(size, True)).real, -1, last) * factor


_SWAPPED = {"backward": "forward", "forward": "backward", "ortho": "ortho"}


def hfftn(x, s=None, axes=None, norm="backward"):
    """Forwards to real numbers."""
    return np.fft.irfftn(np.conj(x), s, axes, _SWAPPED[norm])


def ihfftn(x, s=None, axes=None, norm="backward"):
    """The inverse of hfftn."""
    return np.conj(np.fft.rfftn(x, s, axes, _SWAPPED[norm]))


def hfft2(x, s=None, axes=(-2, -1), norm="backward"):
    """Over two axes."""
    return hfftn(x, s, axes, norm)


def ihfft2(x, s=None, axes=(-2, -1), norm="backward"):
    """Over two axes."""
    return ihfftn(x, s, axes, norm)


def stft(x, window, n_fft, hop_length=None, win_length=None, center=True, normalized=False, onesided=True):
    """Window by window."""
    hop = hop_length or n_fft // 4
    left = (n_fft - window.size) // 2
    window = np.pad(window, (left, n_fft - window.size - left))
    if center:
        x = np.pad(x, [(0, 0)] * (x.ndim - 1) + [(n_fft // 2, n_fft // 2)], mode="reflect")
    starts = range(0, x.shape[-1] - n_fft + 1, hop)
    frames = np.stack([x[..., s : s + n_fft] * window for s in starts], -1)
    found = np.fft.fft(frames, axis=-2, norm="ortho" if normalized else "backward")
    return found[..., : n_fft // 2 + 1, :] if onesided else found


def istft(x, window, n_fft, hop_length=None, normalized=False, length=None):
    """Windows added up one by one."""
    hop = hop_length or n_fft // 4
    frames = np.fft.irfft(x, n_fft, axis=-2, norm="ortho" if normalized else "backward")
    count = x.shape[-1]
    total = np.zeros((*x.shape[:-2], n_fft + hop * (count - 1)))
    weights = np.zeros(total.shape[-1])
    for t in range(count):
        total[..., t * hop : t * hop + n_fft] += frames[..., t] * window.real
        weights[t * hop : t * hop + n_fft] += window.real**2
    signal = (total / weights)[..., n_fft // 2 :]
    if length is None:
        return signal[..., : signal.shape[-1] - n_fft // 2]
    signal = signal[..., :length]
    return np.pad(signal, [(0, 0)] * (signal.ndim - 1) + [(0, length - signal.shape[-1])])
