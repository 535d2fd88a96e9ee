"""Linear algebra and Fourier transforms beyond the op table's checks: what factors multiply to, what doesn't depend on the
choice of eigenvectors, empty and singular matrices, compiled plans."""

import numpy as np
import pytest

import twain
from twain import _core, fft, linalg
from twain.ops.linalg_products import chain_order

DTYPES = ["float32", "float64", "complex64", "complex128"]


@pytest.fixture
def rng():
    seed = np.random.SeedSequence().entropy % 2**32
    print(f"seed {seed}")
    return np.random.default_rng(seed)


def draw(rng, shape, dtype="complex128"):
    x = rng.standard_normal(shape)
    return (x + 1j * rng.standard_normal(shape) if dtype.startswith("c") else x).astype(dtype)


def close(got, want, dtype="complex128"):
    loose = dtype in ("float32", "complex64")
    scale = max(1.0, float(np.abs(want).max(initial=0)))
    np.testing.assert_allclose(got.numpy(), want, rtol=1e-3 if loose else 1e-9, atol=(1e-4 if loose else 1e-10) * scale)


def adjoint(x):
    return x.mT.conj() if x.dtype.kind == "c" else x.mT


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(5, 5), (2, 3, 6, 4), (3, 4, 7), (0, 3, 3), (2, 0, 3), (3, 0), (1, 1)])
def test_factors_multiply_to_the_matrix(rng, shape, dtype):
    x = draw(rng, shape, dtype)
    t = twain.asarray(x)
    q, r = linalg.qr(t)
    close(q @ r, x, dtype)
    for full in (False, True):
        u, s, vh = linalg.svd(t, full_matrices=full)
        k = s.shape[-1]
        close((u[..., :k] * twain.astype(s[..., None, :], u.dtype)) @ vh[..., :k, :], x, dtype)
    p, lower, upper = linalg.lu(t)
    close(p @ lower @ upper, x, dtype)
    inverse = linalg.pinv(t)
    close(t @ inverse @ t, x, dtype)
    if shape[-1] == shape[-2]:
        h = x + np.conj(np.swapaxes(x, -1, -2))
        w, v = linalg.eigh(twain.asarray(h))
        close((v * twain.astype(w[..., None, :], v.dtype)) @ adjoint(v), h, dtype)
        w, v = linalg.eig(t)
        close(t.astype(v.dtype) @ v - v * w[..., None, :], np.zeros(shape), dtype)
        definite = x @ np.conj(np.swapaxes(x, -1, -2)) + np.eye(shape[-1], dtype=dtype)
        factor = linalg.cholesky(twain.asarray(definite))
        close(factor @ adjoint(factor), definite, dtype)
        sign, size = linalg.slogdet(t)
        close(sign * twain.exp(size).astype(sign.dtype), np.linalg.det(x), dtype)


SHIFT = np.diag([0.0, 3.0, 6.0, 9.0])  # keeps eigenvalues and singular values apart


def of_hermitian(x):
    """log(x) of a Hermitian matrix, from its eigenvectors."""
    w, v = linalg.eigh(x)
    return (v * twain.astype(twain.log(w + 30)[..., None, :], v.dtype)) @ adjoint(v)


def of_any(x):
    """1 / (x - 50), from eigenvectors."""
    w, v = linalg.eig(x)
    return (v * (1 / (w - 50))[..., None, :]) @ linalg.inv(v)


def of_singular(x):
    """The polar factor with squared singular values."""
    u, s, vh = linalg.svd(x, full_matrices=False)
    return (u * twain.astype((s * s)[..., None, :], u.dtype)) @ vh


@pytest.mark.parametrize(
    "function, shape, dtype, hermitian",
    [(of_hermitian, (4, 4), "complex128", True), (of_any, (4, 4), "complex128", False), (of_any, (2, 4, 4), "float64", False),
     (of_singular, (4, 4), "complex128", False), (of_singular, (2, 4, 3), "complex128", False),
     (of_singular, (3, 4), "complex128", False)],
)  # fmt: skip
def test_derivatives_that_no_phase_touches(rng, function, shape, dtype, hermitian):
    """First and second order, reverse and forward, against differences."""

    def sample():
        x = draw(rng, shape, dtype)
        return (x + np.conj(np.swapaxes(x, -1, -2))) / 2 if hermitian else x

    at, along, other = sample() + SHIFT[: shape[-2], : shape[-1]], sample(), sample()
    weights = twain.asarray(draw(rng, shape, "complex128"))

    def loss(x):
        y = function(x)
        return twain.real((y.astype("complex128") * weights).sum())

    def slope(a):
        x = twain.asarray(a).requires_grad_()
        [g] = _core.gradients([loss(x)], [x], create_graph=True)
        return x, g

    step = 1e-6
    x, g = slope(at)
    difference = (loss(twain.asarray(at + step * along)) - loss(twain.asarray(at - step * along))).item() / (2 * step)
    inner = float(np.sum(np.conj(g.detach().numpy()) * along).real)
    np.testing.assert_allclose(inner, difference, rtol=1e-5, atol=1e-5)
    _, forward = twain.jvp(loss, (twain.asarray(at),), (twain.asarray(along),))
    np.testing.assert_allclose(forward.item(), difference, rtol=1e-5, atol=1e-5)

    o = twain.asarray(other)
    pushed = twain.real((g.conj() * o).sum()) if dtype.startswith("c") else (g * o).sum()
    [again] = _core.gradients([pushed], [x])
    ahead, behind = (slope(at + s * along)[1].detach().numpy() for s in (step, -step))
    want = float(np.sum(np.conj(ahead - behind) * other).real) / (2 * step)
    got = float(np.sum(np.conj(again.numpy()) * along).real)
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)


def test_gradients_at_equal_values():
    x = twain.asarray(np.eye(3)).requires_grad_()
    (linalg.svdvals(x).sum() + linalg.eigvalsh(x).sum() + linalg.svd(x).S.sum() + linalg.eigh(x)[0].sum()).backward()
    np.testing.assert_allclose(x.grad.numpy(), 4 * np.eye(3), atol=1e-12)
    x = twain.asarray(np.diag([2.0, 0.0, 5.0])).requires_grad_()
    linalg.det(x).backward()  # singular
    np.testing.assert_allclose(x.grad.numpy(), np.diag([0.0, 10.0, 0.0]), atol=1e-12)


@pytest.mark.parametrize("compiled", [False, True])
def test_what_has_no_result_is_an_error(compiled):
    def check(function, good, bad, message):
        f = twain.compile(function) if compiled else function
        for _ in range(3):
            f(good)
        with pytest.raises(linalg.LinAlgError, match=message):
            f(bad)
        f(good)  # all is as before

    one, zero = twain.asarray(np.stack([np.eye(3)] * 2)), twain.asarray(np.stack([np.eye(3), np.zeros((3, 3))]))
    check(lambda x: linalg.inv(x * 2) + 1, one, zero, r"\[linalg.inv\] expected invertible .* at index \(1,\)")
    check(lambda x: linalg.solve(x, x + 1) + 1, one, zero, r"\[linalg.solve\] expected invertible")
    check(lambda x: linalg.cholesky(x) + 1, one, -one, r"\[linalg.cholesky\] expected positive definite .* \(0,\)")
    check(lambda x: linalg.svd(x).S + 1, one, one * float("nan"), r"\[linalg.svd\] expected finite matrices")
    check(lambda x: linalg.solve_triangular(x, x, upper=True), one, zero, r"\[linalg.solve_triangular\] .* zeros")
    check(lambda x: linalg.matrix_power(x, -2), one, zero, r"\[linalg.inv\]")


def test_inside_a_training_step(rng):
    """Least squares by its normal equations, compiled with the update around them."""
    a, b = twain.asarray(draw(rng, (20, 4), "float64")), twain.asarray(draw(rng, (20, 1), "float64"))
    scale = twain.ones((4,), dtype="float64").requires_grad_()

    def step(a, b):
        scaled = a * scale
        x = linalg.solve(scaled.mT @ scaled + 0.1 * twain.eye(4, dtype="float64"), scaled.mT @ b)
        loss = ((scaled @ x - b) ** 2).sum()
        [g] = _core.gradients([loss], [scale])
        return loss, g

    eager = [v.detach().numpy() for v in step(a, b)]
    f = twain.compile(step)
    for _ in range(4):
        for got, want in zip(f(a, b), eager):
            np.testing.assert_allclose(got.detach().numpy(), want, rtol=1e-9)
    assert f.hits and not f.failures


def test_triangular_systems_and_lu_of_several_blocks(rng):
    a = draw(rng, (2, 150, 150)) + 20 * np.eye(150)
    b = draw(rng, (150, 3))
    for upper in (False, True):
        x = linalg.solve_triangular(twain.asarray(a), twain.asarray(b), upper=upper)
        close(x, np.linalg.solve((np.triu if upper else np.tril)(a), b))
    packed, pivots = linalg.lu_factor(twain.asarray(a[..., :100]))
    assert packed.shape == (2, 150, 100) and pivots.shape == (2, 100)
    packed, pivots = linalg.lu_factor(twain.asarray(draw(rng, (2, 150, 150))))
    p, lower, upper = linalg.lu(twain.asarray(a))
    close(p @ lower @ upper, a)
    x = linalg.lu_solve(*linalg.lu_factor(twain.asarray(a)), twain.asarray(np.stack([b, b])))
    close(twain.asarray(a) @ x, np.stack([b, b]))


def test_multi_dot_takes_the_cheap_way():
    split = chain_order([1000, 2, 1000, 3])
    assert split[0][2] == 0  # a @ (b @ c)


def test_transforms_of_every_size(rng):
    for n in (1, 2, 3, 7, 16, 45, 128):
        for dtype in DTYPES:
            x = draw(rng, (3, n), dtype)
            found = fft.fft(twain.asarray(x))
            assert found.dtype is (twain.complex64 if dtype in ("float32", "complex64") else twain.complex128)
            close(found, np.fft.fft(x.astype("complex128")), dtype)
            close(fft.ifft(found), x, dtype)
            if dtype.startswith("f"):
                close(fft.irfft(fft.rfft(twain.asarray(x)), n=n), x, dtype)
                close(fft.hfft(fft.ihfft(twain.asarray(x)), n=n), x, dtype)


def test_convolution_by_transforms_compiles(rng):
    x, w = draw(rng, (2, 64), "float64"), draw(rng, (64,), "float64")

    @twain.compile
    def f(x, w):
        y = fft.irfft(fft.rfft(x) * fft.rfft(w), n=64)
        return _core.gradients([(y * y).sum()], [x])[0] + y

    leaf = twain.asarray(x).requires_grad_()
    for _ in range(3):
        found = f(leaf, twain.asarray(w))
    matrix = np.stack([np.roll(w, k) for k in range(64)])
    y = x @ matrix
    np.testing.assert_allclose(found.detach().numpy(), 2 * y @ matrix.T + y, rtol=1e-8, atol=1e-8)
