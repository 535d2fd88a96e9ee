"""Indices of a compiled function are looked at before its plan writes anything: the error is that of eager code."""

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


COMPUTED = {
    "cast": (lambda x: twain.take(twain.arange(5), (x * 2).astype("int64"), axis=0), [1.0, 2.0], [1.0, 3.0]),
    "from the end": (lambda x: twain.arange(5)[x.astype("int32") - 5], [0.0, 4.0], [5.0, 10.0]),
    "embedding": (lambda x: F.embedding(x.sum(axis=0).astype("int64")[None], twain.ones((5, 2))), [1.0, 3.0], [3.0, 3.0]),
    "cross_entropy": (lambda x: F.cross_entropy(twain.ones((2, 3)), x.astype("int64")), [2.0, -100.0], [2.0, -1.0]),
    "setitem": (lambda x: put(x.astype("int64")), [-5.0, 4.0], [-6.0, 4.0]),
    "unsigned": (lambda x: twain.arange(300)[x.astype("uint8")], [0.0, 255.0], None),
    "along": (lambda x: twain.take_along_axis(x, x.astype("int64"), axis=0), [0.0, 1.0], [0.0, 2.0]),
}  # fmt: skip


@pytest.mark.parametrize("name", COMPUTED)
def test_computed_indices_are_looked_at_by_the_plan(name):
    function, good, bad = COMPUTED[name]
    compiled = compile(function)
    right = twain.asarray(good)
    for _ in range(6):
        assert_equal(compiled(right), function(right))
    replayed = compiled.hits
    assert replayed >= 2
    if bad is None:
        return
    wrong = twain.asarray(bad)
    with pytest.raises(IndexError) as eager:
        function(wrong)
    for _ in range(3):
        with pytest.raises(IndexError) as caught:
            compiled(wrong)
        assert str(caught.value) == str(eager.value)
        assert_equal(compiled(right), function(right))
    assert compiled.hits >= replayed + 2  # one may have been an audit
    assert not compiled.stays_eager


def test_what_cannot_be_out_of_range_is_not_looked_at():
    """The plan stays one part."""
    table = twain.arange(7)
    cases = {
        "argmax": lambda x: table[x.argmax(axis=1)],
        "argsort": lambda x: x.reshape(-1)[twain.argsort(x.reshape(-1))[:3]],
        "topk": lambda x: table[twain.topk(x, 2)[1]],
        "arange": lambda x: table[twain.arange(3) * 2 + 1] + x.sum(),
        "clip": lambda x: table[twain.clip(x.astype("int64"), 0, 6)],
        "remainder": lambda x: table[x.astype("int64") % 7],
        "where": lambda x: table[twain.where(x > 0, 6, -7)],
        "stacked": lambda x: table[twain.stack([x.argmax(axis=1), twain.minimum(twain.arange(4), 2)])],
        "loss": lambda x: F.cross_entropy(x, x.argmax(axis=1)),
    }
    x = twain.random.normal((4, 7))
    for name, function in cases.items():
        compiled = compile(function)
        for _ in range(5):
            assert_equal(compiled(x), function(x))
        [plan] = compiled._plans[twain._core.modes()]
        assert len(plan.parts) == 1, name


def test_limits_that_wrap_around_say_nothing():
    compiled = compile(lambda x: twain.arange(4)[(x.argmax(axis=0).astype("uint8") * 200 + 56).reshape(1)])
    x = twain.asarray([0.0, 1.0])
    for _ in range(5):
        assert compiled(x).tolist() == [0]
    with pytest.raises(IndexError):
        compiled(twain.asarray([1.0, 0.0]))


def test_nothing_is_written_where_a_computed_index_is_refused():
    net = nn.Linear(2, 3)
    optimizer = twain.optim.Adam(net.parameters(), lr=0.1)
    seen = twain.zeros(())

    @compile
    def step(x, y):
        seen[...] = seen + 1
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x), (y * 2).astype("int64"))
        loss.backward()
        optimizer.step()
        return loss

    x = twain.ones((4, 2))
    for _ in range(5):
        step(x, twain.asarray([0.0, 0.5, 1.0, 0.0]))
    assert step.hits >= 2
    before = net.weight.tolist()
    with pytest.raises(IndexError, match=r"\[cross_entropy\] expected labels in \[0, 3\), got 14"):
        step(x, twain.asarray([0.0, 1.0, 7.0, 0.0]))
    assert net.weight.tolist() == before
    assert seen.item() == 6.0  # as in eager code, what came before the error has happened


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("name", ["getitem", "take", "cross_entropy", "embedding"])
def test_indices_of_a_batch_are_looked_at(name, compiled):
    table = twain.ones((5, 3))
    function = {
        "getitem": lambda i: table[i],
        "take": lambda i: twain.take(table, i[None], axis=0),
        "cross_entropy": lambda i: F.cross_entropy(table, i[None].broadcast_to((5,))),
        "embedding": lambda i: F.embedding(i, table),
    }[name]
    run = twain.vmap(function)
    run = compile(run) if compiled else run
    for _ in range(4):
        run(twain.asarray([0, 2]))
        with pytest.raises(IndexError):
            run(twain.asarray([0, 7]))
