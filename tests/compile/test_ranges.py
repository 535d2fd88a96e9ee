"""Indices that are inputs of a compiled function are looked at before its plan runs: the error is that of eager code."""

import numpy as np
import pytest

import twain
from twain import nn
from twain.runtime.compile import compile

F = nn.functional
CASES = {
    "embedding": (lambda i: F.embedding(i, twain.ones((5, 2))), [0, 4], [[5, 0], [0, -1]]),
    "getitem": (lambda i: twain.arange(5)[i], [0, -5], [[5, 0], [0, -6]]),
    "setitem": (lambda i: put(i), [0, -5], [[5, 0], [0, -6]]),
    "take": (lambda i: twain.take(twain.arange(5), i), [0, -5], [[5, 0], [0, -6]]),
    "take_along_axis": (lambda i: twain.take_along_axis(twain.arange(5), i), [0, -5], [[5, 0], [0, -6]]),
    "cross_entropy": (lambda i: F.cross_entropy(twain.ones((2, 3)), i), [0, -100], [[3, 0], [0, -1]]),
    "one_hot": (lambda i: F.one_hot(i, 3), [0, 2], [[3, 0], [0, -1]]),
    "reshaped": (lambda i: F.nll_loss(twain.ones((2, 3)), i.reshape((2, 1)).reshape(-1)), [0, 2], [[3, 0], [0, -1]]),
}


def put(index):
    x = twain.zeros((5,))
    x[index] = 1.0
    return x


def assert_equal(a, b):
    np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-6)


@pytest.mark.parametrize("dtype", ["int64", "int32"])
@pytest.mark.parametrize("name", CASES)
def test_bad_indices_raise_and_good_ones_are_replayed(name, dtype):
    function, good, bad = CASES[name]
    compiled = compile(function)
    right = twain.asarray(good, dtype=dtype)
    for _ in range(6):
        assert_equal(compiled(right), function(right))
    replayed = compiled.hits
    assert replayed >= 2
    for index in bad:
        wrong = twain.asarray(index, dtype=dtype)
        with pytest.raises(IndexError) as eager:
            function(wrong)
        for _ in range(2):
            with pytest.raises(IndexError) as caught:
                compiled(wrong)
            assert str(caught.value) == str(eager.value)
        assert "expected integers in [" in compiled.why(wrong)
    assert_equal(compiled(right), function(right))
    assert compiled.hits == replayed + 1


def test_parameters_are_as_before_where_a_step_is_refused():
    net = nn.Linear(2, 3)
    optimizer = twain.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)

    @compile
    def step(x, y):
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x), y)
        loss.backward()
        optimizer.step()
        return loss

    x = twain.ones((4, 2))
    for _ in range(5):
        step(x, twain.asarray([0, 1, 2, 0]))
    before = net.weight.tolist()
    with pytest.raises(IndexError, match=r"\[cross_entropy\] expected labels in \[0, 3\), got 7"):
        step(x, twain.asarray([0, 1, 7, 0]))
    assert net.weight.tolist() == before


def test_indices_of_odd_layouts_and_sizes():
    function = lambda i: twain.take(twain.arange(100), i, axis=0)
    compiled = compile(function)
    for size in (0, 1, 7, 1000, 300_000):
        index = twain.arange(2 * size) % 100
        for i in (index[::2], index[::2][::-1]):
            for _ in range(4):
                assert compiled(i).tolist() == function(i).tolist()
            if size:
                wrong = i + 0
                wrong[size // 2] = 100
                with pytest.raises(IndexError, match="index 100 is out of range"):
                    compiled(wrong)


def test_computed_indices_raise_while_they_are_recorded():
    compiled = compile(lambda x: twain.take(twain.arange(5), (x * 2).astype("int64"), axis=0))
    with pytest.raises(IndexError, match="index 6 is out of range"):
        compiled(twain.asarray([1.0, 3.0]))
