"""Several devices: virtual ones, so that placing a model's parts can be tried anywhere."""

import threading

import numpy as np
import pytest

import twain
from twain import nn, optim
from twain.nn import functional as F

FIRST, SECOND = "cpu:0", "cpu:1"


@pytest.fixture
def pair():
    return twain.asarray([1.0, 2.0, 3.0]), twain.asarray([4.0, 5.0, 6.0], device=SECOND)


def test_results_are_where_operands_are(pair):
    a, b = pair
    assert a.device == FIRST and (a + 1).device == FIRST
    assert b.device == SECOND and (b * 2.0).sum().device == SECOND and b[1:].device == SECOND
    assert twain.zeros_like(b).device == SECOND and b.reshape(3, 1).device == SECOND
    assert a.to(SECOND).device == SECOND and a.to(FIRST) is a
    assert np.array_equal((a.to(SECOND) + b).numpy(), [5, 7, 9])
    assert repr(b) == "tensor([4., 5., 6.], device='cpu:1')"


CREATE = {
    "zeros": lambda **k: twain.zeros((2,), **k),
    "full": lambda **k: twain.full((2,), 3.0, **k),
    "empty": lambda **k: twain.empty((2,), **k),
    "arange": lambda **k: twain.arange(4, **k),
    "eye": lambda **k: twain.eye(2, **k),
    "linspace": lambda **k: twain.linspace(0, 1, 4, **k),
    "asarray": lambda **k: twain.asarray([1.0], **k),
    "uniform": lambda **k: twain.random.uniform((3,), **k),
    "normal": lambda **k: twain.random.normal((3,), **k),
    "randint": lambda **k: twain.random.randint(0, 5, (3,), **k),
}


@pytest.mark.parametrize("name", CREATE)
def test_creation(name):
    assert CREATE[name]().device == FIRST
    assert CREATE[name](device=SECOND).device == SECOND
    with twain.device(SECOND):
        assert CREATE[name]().device == SECOND
        assert CREATE[name](device=FIRST).device == FIRST
    assert CREATE[name]().device == FIRST


def test_scope_belongs_to_the_thread():
    found = []
    with twain.device(SECOND):
        thread = threading.Thread(target=lambda: found.append(twain.zeros(1).device))
        thread.start()
        thread.join()
    assert found[0] == FIRST


def test_numbers_do_not_depend_on_the_device():
    twain.random.seed(5)
    a = twain.random.normal((7,))
    g = twain.random.gamma(2.0, shape=(5,))
    twain.random.seed(5)
    with twain.device(SECOND):
        b = twain.random.normal((7,))
        h = twain.random.gamma(2.0, shape=(5,))
    assert b.device == SECOND and np.array_equal(a.numpy(), b.numpy())
    assert h.device == SECOND and np.array_equal(g.numpy(), h.numpy())
    assert twain.random.poisson(twain.full((3,), 4.0, device=SECOND)).device == SECOND


MIXED = {
    "add": lambda a, b: a + b,
    "matmul": lambda a, b: a @ b,
    "concat": lambda a, b: twain.concat([a, b]),
    "where": lambda a, b: twain.where(a > 0, a, b),
    "linear": lambda a, b: F.linear(a, b.reshape(1, 3)),
    "take": lambda a, b: a[b.astype("int64") - 4],
}


@pytest.mark.parametrize("name", MIXED)
def test_mixing_names_both(pair, name):
    with pytest.raises(ValueError, match=rf"\[{name}\] expected all operands on one device, got cpu:0 and cpu:1"):
        MIXED[name](*pair)


def test_mixing_in_place_leaves_the_tensor(pair):
    a, b = pair
    with pytest.raises(ValueError, match="cpu:0 and cpu:1"):
        a += b
    assert np.array_equal(a.numpy(), [1, 2, 3])


def test_unknown_device():
    for name in ("gpu:0", "cpu:99", "cpu:x", 3.5):
        with pytest.raises(ValueError, match="expected a device such as 'cpu:0'"):
            twain.zeros((1,), device=name)


def test_scalars_of_the_host_go_along(pair):
    """As in PyTorch: a tensor of no dimension on cpu:0 counts like a number. Its gradient comes back."""
    _, b = pair
    scale = twain.asarray(2.0).requires_grad_()
    y = b * scale
    assert y.device == SECOND
    y.sum().backward()
    assert scale.grad.device == FIRST and scale.grad.item() == 15.0
    shift = twain.asarray(1.0).requires_grad_()
    (b.sum() + shift).backward()
    assert shift.grad.device == FIRST and shift.grad.item() == 1.0
    with pytest.raises(ValueError, match="one device"):
        pair[0] * twain.asarray(2.0, device=SECOND)


def test_gradients_come_back():
    x = twain.asarray([1.0, 2.0]).requires_grad_()
    y = (x * x).to(SECOND)
    (y * y).sum().backward()
    assert x.grad.device == FIRST and np.allclose(x.grad.numpy(), [4, 32])
    g = twain.grad(lambda v: (v.to(SECOND) ** 3).sum())(twain.asarray([1.0, 2.0]))
    assert g.device == FIRST and np.allclose(g.numpy(), [3, 12])


class Halves(nn.Module):
    """A model whose layers are on two devices."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 8).to(FIRST)
        self.second = nn.Linear(8, 2).to(SECOND)

    def forward(self, x):
        return self.second(F.dropout(twain.relu(self.first(x)).to(SECOND), 0.1))


@pytest.mark.parametrize("make", [optim.SGD, optim.Adam])
def test_a_model_on_two_devices_trains(make):
    """Eagerly and compiled, to the same bits as on one device."""

    def train(where, compiled):
        twain.random.seed(1)
        model = Halves()
        model.second.to(where)
        x, y = twain.random.normal((16, 4)), twain.random.normal((16, 2)).to(where)
        optimizer = make(model.parameters(), lr=0.05)

        def step(x, y):
            optimizer.zero_grad()
            hidden = twain.relu(model.first(x)).to(where)
            loss = ((model.second(F.dropout(hidden, 0.1)) - y) ** 2).mean()
            loss.backward()
            optimizer.step()
            return loss

        run = twain.compile(step) if compiled else step
        losses = [run(x, y).item() for _ in range(12)]
        assert model.second.weight.device == where and model.first.weight.device == FIRST
        assert not compiled or run.hits > 5
        return losses

    want = train(FIRST, False)
    assert want[-1] < want[0]
    assert train(SECOND, False) == want
    np.testing.assert_allclose(train(SECOND, True), want, rtol=1e-5)


def test_compiled_functions_follow_the_scope():
    @twain.compile
    def make(x):
        return twain.zeros((2,)), x + 1

    x = twain.ones((2,))
    for _ in range(3):
        assert make(x)[0].device == FIRST
    with twain.device(SECOND):
        for _ in range(3):
            zeros, y = make(x)
            assert zeros.device == SECOND and y.device == FIRST
    assert make(x)[0].device == FIRST


def test_memory_is_accounted_by_device():
    before = twain.memory_stats(SECOND)["allocated"]
    x = twain.zeros((1000,), device=SECOND)
    assert twain.memory_stats(SECOND)["allocated"] - before >= 4000
    first = twain.memory_stats(FIRST)["allocated"]
    y = x.to(FIRST)
    assert twain.memory_stats(FIRST)["allocated"] - first >= 4000
    del x, y
    assert twain.memory_stats(SECOND)["allocated"] == before
