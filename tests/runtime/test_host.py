"""Ops that a Python function computes: in eager calls, inside compiled plans, on the tape, and when they fail."""

import threading

import numpy as np
import pytest

import twain
from twain import _core
from twain.ir.node import Spec
from twain.ops.host import host


def sine(attrs, x, out):
    out[0][...] = np.sin(x)


def sums(attrs, x, out):
    if (x == 99).any():
        raise ValueError("[sums] expected no 99")
    out[0][...] = x * attrs
    out[1][...] = x.sum(-1)


def op_of(record):
    return _core.Op(record.name, record.arity, record)


SINE = op_of(
    host("test_sine", 1, sine, infer=lambda attrs, x: x, batch="leading", listed=False,
         vjp=lambda attrs, g, inputs, outputs, needs: [g[0] * twain.cos(inputs[0])])
)  # fmt: skip
SUMS = op_of(
    host("test_sums", 1, sums, infer=lambda attrs, x: (x, Spec(x.dtype, x.shape[:-1])), batch="leading", listed=False,
         attributes=lambda factor=2: factor, differentiable=False)
)  # fmt: skip


def test_any_strides_and_several_results():
    x = np.random.default_rng().standard_normal((3, 4)).astype("float32")
    t = twain.asarray(x)
    for view, array in ((t, x), (t.T, x.T), (t[::-1, ::2], x[::-1, ::2]), (twain.broadcast_to(t, (2, 3, 4)), [x, x])):
        a, b = SUMS(view, 3)
        np.testing.assert_array_equal(a.numpy(), np.asarray(array) * 3)
        np.testing.assert_allclose(b.numpy(), np.sum(array, -1), rtol=1e-6)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (2, 0, 3)])
def test_empty(shape):
    a, b = SUMS(twain.zeros(shape))
    assert a.shape == shape and b.tolist() == np.zeros(shape[:-1]).tolist()


def test_inside_a_plan():
    @twain.compile
    def f(x):
        a, b = SUMS((x + 1).T)
        return SINE(a * 2).T + 1, b.sum(), a

    x = np.random.default_rng().standard_normal((5, 3)).astype("float32")
    for _ in range(4):
        found = f(twain.asarray(x))
        y = (x + 1).T
        for got, want in zip(found, (np.sin(y * 4).T + 1, y.sum(), y * 2)):
            np.testing.assert_allclose(got.numpy(), want, rtol=1e-4, atol=1e-5)
    assert f.hits >= 1 and not f.failures


def test_what_it_calls_is_not_recorded():
    def busy(attrs, x, out):
        out[0][...] = (twain.asarray(x.copy()).requires_grad_() * 2).numpy()

    op = op_of(host("test_busy", 1, busy, infer=lambda attrs, x: x, listed=False, differentiable=False))

    @twain.compile
    def f(x):
        return op(x) + 1

    for _ in range(3):
        assert f(twain.asarray([1.0, 2.0])).tolist() == [3.0, 5.0]
    assert f.hits == 1 and not f.failures


def test_gradient():
    x = twain.asarray(np.linspace(-1, 1, 5), dtype=twain.float64).requires_grad_()
    [g] = _core.gradients([SINE(x).sum()], [x], create_graph=True)
    np.testing.assert_allclose(g.detach().numpy(), np.cos(np.linspace(-1, 1, 5)))
    g.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), -np.sin(np.linspace(-1, 1, 5)), atol=1e-15)


def test_errors_pass_and_leave_all_as_it_was():
    @twain.compile
    def f(x):
        return SUMS(x + 1)[1] * 2

    good, bad = twain.ones((30, 40)), twain.full((30, 40), 98.0)
    for _ in range(3):
        f(good)
    before = None
    for _ in range(5):
        with pytest.raises(ValueError, match="expected no 99"):
            f(bad)
        with pytest.raises(ValueError, match="expected no 99"):
            SUMS(bad + 1)
        now = twain.memory_stats()["allocated"]
        assert before in (None, now)
        before = now
    assert bad[0, 0].item() == 98 and f(good).tolist() == [160.0] * 30


def test_several_threads():
    x = twain.ones((200, 200))
    found = []

    def work():
        for _ in range(20):
            found.append(SINE(x + 1).sum().item())

    threads = [threading.Thread(target=work) for _ in range(4)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert len(found) == 80 and len(set(found)) == 1


def test_long_folds_with_other_values_at_their_end():
    """A fold cut into blocks, whose last expression reads more than the fold."""

    @twain.compile
    def f(x, y):
        return x.sum() + y * 3, x.sum(axis=0) + y

    x = np.random.default_rng().integers(-3, 3, (40000, 9)).astype("float32")
    for _ in range(3):
        a, b = f(twain.asarray(x), twain.asarray(2.0))
        assert a.item() == x.sum() + 6
        np.testing.assert_array_equal(b.numpy(), x.sum(axis=0) + 2)
