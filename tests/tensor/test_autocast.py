"""autocast: which ops convert, what the gradients are, and that compiled functions do the same."""

import numpy as np
import pytest

import twain
from twain import nn, optim
from twain.nn import functional as F

RNG = np.random.default_rng(0)
A, B = (twain.asarray(RNG.standard_normal((8, 8)).astype("float32")) for _ in range(2))


def test_products_are_narrow_and_sums_are_wide():
    with twain.autocast():
        assert (A @ B).dtype is twain.bfloat16
        assert F.linear(A, B).dtype is twain.bfloat16
        assert (A + B).dtype is twain.float32
        assert (A @ B).tanh().dtype is twain.bfloat16
        assert (A @ B).exp().dtype is twain.float32
        assert (A @ B).sum().dtype is twain.float32
        assert F.softmax(A @ B, 1).dtype is twain.float32
        with twain.autocast(enabled=False):
            assert (A @ B).dtype is twain.float32
        with twain.autocast("float16"):
            assert (A @ B).dtype is twain.float16
        assert (A @ B).dtype is twain.bfloat16
        assert (A.astype("float64") @ B.astype("float64")).dtype is twain.float64
        assert (A.astype("int32") @ B.astype("int32")).dtype is twain.int32
    assert (A @ B).dtype is twain.float32
    expected = (A.astype("bfloat16") @ B.astype("bfloat16")).astype("float32").numpy()
    with twain.autocast():
        assert (A @ B).astype("float32").numpy().tolist() == expected.tolist()


def test_gradients_come_in_the_dtype_of_the_parameters():
    w = B.detach().requires_grad_()
    with twain.autocast():
        loss = ((A @ w) ** 2).sum()
    loss.backward()
    assert w.grad.dtype is twain.float32
    low = A.astype("bfloat16").astype("float32")
    exact = 2 * low.T @ (low @ w.detach().astype("bfloat16").astype("float32"))
    assert np.allclose(w.grad.numpy(), exact.numpy(), rtol=0.05, atol=0.3)
    again = twain.grad(lambda w: twain.autocast()(lambda: ((A @ w) ** 2).sum())())(B)
    assert np.allclose(again.numpy(), w.grad.numpy(), rtol=1e-2, atol=1e-1)


def test_compiled_functions_know_where_it_is_on():
    calls = []

    @twain.compile
    def product(x, y):
        return x @ y

    @twain.compile
    def inside(x, y):
        with twain.autocast():
            return F.softmax(x @ y, 1)

    for _ in range(3):
        calls.append(product(A, B).dtype)
        with twain.autocast():
            calls.append(product(A, B).dtype)
        assert inside(A, B).dtype is twain.float32
    assert calls == [twain.float32, twain.bfloat16] * 3
    with twain.autocast():
        eager = F.softmax(A @ B, 1)
    assert np.allclose(inside(A, B).numpy(), eager.numpy(), atol=1e-2)


def test_batches_and_tangents():
    stack = twain.stack([A, B])
    with twain.autocast():
        assert twain.vmap(lambda x: x @ A)(stack).dtype is twain.bfloat16
        value, tangent = twain.jvp(lambda x: x @ A, (B,), (A,))
    assert value.dtype is twain.bfloat16 and tangent.dtype is twain.bfloat16


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_training_learns_as_well(dtype):
    from twain.datasets import digits

    images, labels = digits("train")
    held_images, held_labels = digits("test")
    twain.random.seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    optimizer = optim.Adam(net.parameters(), lr=0.01)
    scaler = optim.GradScaler(enabled=dtype == "float16")

    @twain.compile
    def step(x, y):
        optimizer.zero_grad()
        with twain.autocast(dtype):
            loss = F.cross_entropy(net(x), y)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        return loss

    for _ in range(12):
        for i in range(0, 1344, 64):
            loss = step(images[i : i + 64], labels[i : i + 64])
    assert loss.dtype is twain.float32
    right = (net(held_images).argmax(axis=1) == held_labels).astype("float32").mean().item()
    assert right > 0.93
    assert net[1].weight.dtype is twain.float32


def test_errors_and_threads():
    with pytest.raises(TypeError, match=r"\[autocast\] expected dtype bfloat16 or float16, got float32"):
        twain.autocast("float32")
    with pytest.raises(ZeroDivisionError), twain.autocast():
        1 / 0
    assert (A @ B).dtype is twain.float32
