"""Complex values and their gradients against PyTorch: both take dL/dRe + i dL/dIm of a real loss L."""

import numpy as np
import pytest

import twain

torch = pytest.importorskip("torch")

UNARY = (
    "exp exp2 expm1 log log1p log2 log10 sqrt rsqrt sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh square "
    "reciprocal abs real imag conj sign sigmoid negative sum prod mean"
).split()
THEIRS = {"conj": "conj_physical", "sign": "sgn"}
BINARY = "add subtract multiply divide pow logaddexp matmul".split()


@pytest.fixture
def rng():
    seed = np.random.SeedSequence().entropy % 2**32
    print(f"seed {seed}")
    return np.random.default_rng(seed)


def drawn(rng, shape=(5, 5)):
    return rng.normal(size=shape) + 1j * rng.normal(size=shape)


def real_loss(module, y, weights):
    """A real number that depends on every part."""
    total = (y * weights).sum()
    if twain is module:
        return twain.real(total) if total.dtype.kind == "c" else total
    return total.real if total.is_complex() else total


def compare(ours, theirs, arrays, rng):
    a = [twain.asarray(x).requires_grad_() for x in arrays]
    b = [torch.tensor(x).requires_grad_() for x in arrays]
    got, want = ours(*a), theirs(*b)
    np.testing.assert_allclose(got.detach().numpy(), want.detach().resolve_conj().numpy(), rtol=1e-10, atol=1e-11)
    weights = drawn(rng, tuple(want.shape)) if want.is_complex() else rng.normal(size=tuple(want.shape))
    real_loss(twain, got, twain.asarray(weights)).backward()
    real_loss(torch, want, torch.tensor(weights)).backward()
    for x, y in zip(a, b):
        np.testing.assert_allclose(x.grad.numpy(), y.grad.resolve_conj().numpy(), rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("name", UNARY)
def test_unary(rng, name):
    theirs = getattr(torch, THEIRS.get(name, name))
    compare(getattr(twain, name), theirs, [drawn(rng)], rng)


@pytest.mark.parametrize("name", BINARY)
def test_binary(rng, name):
    theirs = getattr(torch, THEIRS.get(name, name))
    compare(getattr(twain, name), theirs, [drawn(rng), drawn(rng)], rng)
    if name not in ("matmul", "logaddexp"):
        compare(getattr(twain, name), theirs, [drawn(rng), np.exp(rng.normal(size=(5, 1)))], rng)
        compare(getattr(twain, name), theirs, [np.exp(rng.normal(size=5)), drawn(rng)], rng)


def test_through_compositions(rng):
    def f(module):
        def g(x, y):
            z = module.exp(x * 0.3) / (1.5 + y)
            z = module.where(module.real(z) > 0, z * module.conj(x), z**2)
            return module.abs(z) ** 2 + module.real(z * 1j)

        return g

    compare(f(twain), f(torch), [drawn(rng), rng.normal(size=(5, 5))], rng)


def test_variance(rng):
    z = drawn(rng)
    np.testing.assert_allclose(
        twain.var(twain.asarray(z), axis=0, correction=1).numpy(), torch.var(torch.tensor(z), dim=0).numpy(), rtol=1e-12
    )


def test_a_complex_loss_is_refused():
    z = twain.asarray([1 + 2j]).requires_grad_()
    with pytest.raises(RuntimeError, match="real"):
        (z * z).sum().backward()
    (z * z).sum().backward(twain.asarray(1 + 0j))


@pytest.mark.parametrize(
    "name, settings",
    [
        ("SGD", {"lr": 0.1}),
        ("SGD", {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}),
        ("Adam", {"lr": 0.1}),
        ("AdamW", {"lr": 0.1, "amsgrad": True}),
    ],
)
def test_optimizers(rng, name, settings):
    """Complex parameters beside real ones; norms of gradients are those of all parts together."""
    start, other, goal = drawn(rng), rng.normal(size=3), drawn(rng)
    found = []
    for module, optim, clip in (
        (twain, twain.optim, twain.optim.clip_grad_norm_),
        (torch, torch.optim, torch.nn.utils.clip_grad_norm_),
    ):
        make = twain.asarray if module is twain else torch.tensor
        p, q = make(start).requires_grad_(), make(other).requires_grad_()
        optimizer = getattr(optim, name)([p, q], **settings)
        for _ in range(4):
            optimizer.zero_grad()
            (module.abs(p - make(goal)) ** 2).sum().backward()
            (q * q).sum().backward()
            clip([p, q], 5.0)
            optimizer.step()
        found += [p.detach().numpy(), q.detach().numpy()]
    np.testing.assert_allclose(found[0], found[2], rtol=1e-6)
    np.testing.assert_allclose(found[1], found[3], rtol=1e-6)
