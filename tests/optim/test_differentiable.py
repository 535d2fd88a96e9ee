"""differentiable=True: gradients through optimizer steps, against differences of float64 runs."""

import numpy as np
import pytest

import twain
from twain import optim
from twain.base.errors import ArgumentError

KINDS = {
    "SGD": {"momentum": 0.5},
    "Adam": {},
    "AdamW": {},
    "RMSprop": {},
    "Adagrad": {},
}


def after_steps(kind, start, lr, target, steps=3):
    """The loss after some steps, as a function of where they began and of their size."""
    p = start * 1.0
    optimizer = getattr(optim, kind)([p], lr=lr, differentiable=True, **KINDS[kind])
    for _ in range(steps):
        p.retain_grad()
        p.grad = None
        ((p - target) ** 4).sum().backward(create_graph=True)
        optimizer.step()
    return ((p - target) ** 2).sum()


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_pass_through_steps(kind):
    rng = np.random.default_rng()
    start, target = rng.uniform(1, 2, (3, 2)), rng.uniform(-2, -1, (3, 2))
    lr = 0.03

    def value(start, lr):
        p = twain.asarray(start, dtype="float64").requires_grad_()
        rate = twain.asarray(lr, dtype="float64").requires_grad_()
        loss = after_steps(kind, p, rate, twain.asarray(target))
        return loss, p, rate

    loss, p, rate = value(start, lr)
    by_start, by_rate = gradients(loss, p, rate)
    h = 1e-6
    numeric = (value(start, lr + h)[0].item() - value(start, lr - h)[0].item()) / (2 * h)
    np.testing.assert_allclose(by_rate.item(), numeric, rtol=1e-4)
    direction = rng.normal(size=start.shape)
    numeric = (value(start + h * direction, lr)[0].item() - value(start - h * direction, lr)[0].item()) / (2 * h)
    np.testing.assert_allclose((by_start.numpy() * direction).sum(), numeric, rtol=1e-4, atol=1e-6)


def gradients(loss, *tensors):
    for t in tensors:
        t.grad = None
    loss.backward()
    return [t.grad for t in tensors]


def test_leaves_are_refused_with_the_way_out():
    p = twain.ones((2,)).requires_grad_()
    optimizer = optim.SGD([p], differentiable=True)
    p.grad = twain.ones((2,))
    with pytest.raises(ArgumentError, match=r"\[SGD.step\] expected results of recorded ops.*\[\+p for p in"):
        optimizer.step()
    with pytest.raises(ArgumentError, match="expected leaf tensors"):
        optim.SGD([+p])


def test_steps_are_the_same_numbers():
    rng = np.random.default_rng()
    w = rng.normal(size=(4,)).astype("float32")
    g = twain.asarray(rng.normal(size=(4,)).astype("float32"))
    leaf = twain.asarray(w).requires_grad_()
    copy = +twain.asarray(w).requires_grad_()
    one, two = optim.Adam([leaf], lr=0.1), optim.Adam([copy], lr=0.1, differentiable=True)
    for _ in range(4):
        leaf.grad = g
        copy.grad = g
        one.step()
        two.step()
    np.testing.assert_allclose(copy.detach().numpy(), leaf.detach().numpy(), rtol=1e-6)
    assert not copy.is_leaf
