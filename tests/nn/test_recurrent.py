"""Recurrent layers against NumPy, in float64: lengths, packing, Sequential, compiling, derivatives, errors."""

import numpy as np
import pytest

import twain
from twain import nn, optim
from twain.base.errors import ArgumentError, ShapeError, ValueRangeError
from twain.testing import recurrent_references as references

rnn = nn.utils.rnn


@pytest.fixture
def rng():
    seed = np.random.SeedSequence().entropy % 2**32
    print(f"seed {seed}")
    return np.random.default_rng(seed)


def of(name, *args, **kwargs):
    return getattr(nn, name)(*args, dtype="float64", **kwargs)


def expected(layer, x, lengths):
    """(output, last states) of a layer of one direction, sequence by sequence."""
    weights = [np.asarray(w.detach()) for w in layer.all_weights[0]]
    weights += [None] * (4 - len(weights))
    out = np.zeros((*x.shape[:2], layer.hidden_size))
    ends = []
    for b, length in enumerate(lengths):
        h, c = np.zeros((2, 1, layer.hidden_size))
        for t in range(length):
            row = x[t, b][None]
            if layer.mode == "lstm":
                h, c = references.lstm_cell(row, h, c, *weights)
            elif layer.mode == "gru":
                h = references.gru_cell(row, h, *weights)
            else:
                h = references.rnn_cell(row, h, *weights, layer.nonlinearity)
            out[t, b] = h[0]
        ends.append([h[0], c[0]])
    return out, [np.stack([e[k] for e in ends]) for k in range(2 if layer.mode == "lstm" else 1)]


@pytest.mark.parametrize("name,kwargs", [("LSTM", {}), ("GRU", {}), ("RNN", {"nonlinearity": "relu", "bias": False})])
def test_every_way_of_giving_lengths_agrees_with_one_sequence_at_a_time(name, kwargs, rng):
    layer = of(name, 3, 5, **kwargs)
    x = rng.standard_normal((6, 4, 3))
    lengths = [2, 6, 1, 2]
    wanted, ends = expected(layer, x, lengths)
    padded, states = layer(twain.asarray(x), lengths=lengths)
    packed, packed_states = layer(rnn.pack_padded_sequence(twain.asarray(x), lengths, enforce_sorted=False))
    unpacked, found = rnn.pad_packed_sequence(packed)
    assert found.tolist() == lengths
    for y, last in ((padded, states), (unpacked, packed_states)):
        np.testing.assert_allclose(y.detach().numpy(), wanted, rtol=1e-10)
        for s, e in zip(last if name == "LSTM" else [last], ends):
            np.testing.assert_allclose(s.detach().numpy()[0], e, rtol=1e-10)
    steps = nn.LastStep()(packed)
    np.testing.assert_allclose(steps.detach().numpy(), ends[0], rtol=1e-10)
    alone, _ = layer(twain.asarray(x[:, 1]))
    np.testing.assert_allclose(alone.detach().numpy(), wanted[:, 1], rtol=1e-10)


@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN"])
def test_derivatives_of_both_orders_and_modes(name, rng):
    """The rule of the op, that of its graph, and forward mode agree."""
    layer = of(name, 2, 3, bidirectional=True)
    x = twain.asarray(rng.standard_normal((4, 3, 2)))
    lengths = twain.asarray([4, 1, 3])
    direction = twain.asarray(rng.standard_normal((4, 3, 2)))

    def loss(x):
        y, last = layer(x, lengths=lengths)
        return (y**2).sum() + (last[0] if name == "LSTM" else last).sum()

    _, forward = twain.jvp(loss, (x,), (direction,))
    reverse = twain.grad(loss)
    assert float((reverse(x) * direction).sum()) == pytest.approx(float(forward), rel=1e-9)
    leaf = x.detach().requires_grad_()
    loss(leaf).backward()
    np.testing.assert_allclose(leaf.grad.numpy(), reverse(x).numpy(), rtol=1e-9)
    slope = lambda x: (reverse(x) * direction).sum()
    second, step = twain.grad(slope)(x), 1e-5
    near = (float(slope(x + direction * step)) - float(slope(x - direction * step))) / (2 * step)
    assert float((second * direction).sum()) == pytest.approx(near, rel=1e-5, abs=1e-7)
    many = twain.vmap(lambda x: layer(x)[0])(twain.stack([x, -x]))
    np.testing.assert_allclose(many[1].detach().numpy(), layer(-x)[0].detach().numpy(), rtol=1e-10)


@pytest.mark.parametrize("name", ["LSTM", "GRU"])
@pytest.mark.parametrize("lengths", [None, [2, 4, 1]])
def test_results_that_nobody_reads_have_no_part_in_the_gradient(name, lengths, rng):
    layer = of(name, 3, 5)
    x = twain.asarray(rng.standard_normal((4, 3, 3))).requires_grad_()
    leaves = [x, *layer.parameters()]

    def parts():
        y, states = layer(x, lengths=lengths)
        return [y, *(states if name == "LSTM" else [states])]

    def of_both_orders(loss):
        loss.backward(create_graph=True)
        first = [leaf.grad for leaf in leaves]
        for leaf in leaves:
            leaf.grad = None
        sum((g * g).sum() for g in first).backward()
        second = [leaf.grad for leaf in leaves]
        for leaf in leaves:
            leaf.grad = None
        return [g.detach().numpy() for g in (*first, *second)]

    factors = [twain.asarray(rng.standard_normal(tuple(p.shape))) for p in parts()]
    for k, factor in enumerate(factors):
        whole = sum((p * f * (1.0 if i == k else 0.0)).sum() for i, (p, f) in enumerate(zip(parts(), factors)))
        alone = (parts()[k] * factor).sum()
        for wanted, found in zip(of_both_orders(whole), of_both_orders(alone)):
            np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12)


def test_projected_states_have_the_gradient_of_their_graph(rng):
    layer = of("LSTM", 2, 4, proj_size=3)
    x = twain.asarray(rng.standard_normal((3, 2, 2)))
    y, (h, c) = layer(x)
    assert (y.shape, h.shape, c.shape) == ((3, 2, 3), (1, 2, 3), (1, 2, 4))
    (y**2).sum().backward()
    weight, step = layer.weight_hr_l0, 1e-6
    direction = twain.asarray(rng.standard_normal((3, 4)))
    values = []
    for sign in (1, -1):
        with twain.no_grad():
            weight.assign(weight + direction * (sign * step))
            values.append(float((layer(x)[0] ** 2).sum()))
            weight.assign(weight - direction * (sign * step))
    assert float((weight.grad * direction).sum()) == pytest.approx((values[0] - values[1]) / (2 * step), rel=1e-5)


def test_sequential_hands_on_outputs_and_packed_sequences(rng):
    model = nn.Sequential(
        nn.Embedding(9, 4), nn.LSTM(4, 6, bidirectional=True), nn.LayerNorm(12), nn.Tanh(), nn.Dropout(0.0),
        nn.Sequential(nn.GRU(12, 5)), nn.LastStep(), nn.Linear(5, 2),
    )  # fmt: skip
    rows = [twain.asarray(rng.integers(0, 9, n)) for n in (3, 1, 5)]
    y = model(rnn.pack_sequence(rows, enforce_sorted=False))
    assert y.shape == (3, 2)
    for i, row in enumerate(rows):
        one = model(row.reshape((-1, 1)))
        np.testing.assert_allclose(one.detach().numpy()[0], y[i].detach().numpy(), rtol=1e-4, atol=1e-6)
    output, state = nn.Sequential(nn.Linear(3, 3), nn.GRU(3, 2))(twain.ones((4, 1, 3)))
    assert output.shape == (4, 1, 2) and state.shape == (1, 1, 2)


@pytest.mark.parametrize("name", ["LSTM", "GRU"])
def test_a_compiled_step_trains_as_the_eager_one(name, rng):
    x, y = twain.asarray(rng.standard_normal((5, 3, 2))), twain.asarray(rng.standard_normal((5, 3, 4)))
    every = [twain.asarray(rng.integers(1, 6, 3)) for _ in range(8)]
    losses = []
    for compiled in (False, True):
        twain.random.seed(3)
        layer = of(name, 2, 4, num_layers=2)
        optimizer = optim.Adam(layer.parameters(), lr=0.05)

        def step(x, y, lengths, layer=layer, optimizer=optimizer):
            optimizer.zero_grad()
            loss = ((layer(x, lengths=lengths)[0] - y) ** 2).mean()
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            return loss

        run = twain.compile(step) if compiled else step
        losses.append([float(run(x, y, lengths)) for lengths in every])
        if compiled:
            assert len(run.plans) == 1 and run.recordings < len(every)
    np.testing.assert_allclose(*losses, rtol=1e-6)


def test_a_compiled_function_takes_packed_sequences(rng):
    layer = of("LSTM", 2, 4)
    f = twain.compile(lambda p: layer(p)[0].data.sum())
    for _ in range(4):
        for lengths in ([4, 2], [3, 1]):
            p = rnn.pack_padded_sequence(twain.asarray(rng.standard_normal((4, 2, 2))), lengths)
            assert float(f(p)) == pytest.approx(float(layer(p)[0].data.sum()))
    assert len(f.plans) == 2


def test_packed_sequences_are_trees(rng):
    p = rnn.pack_sequence([twain.ones((2, 3)), twain.ones((4, 3))], enforce_sorted=False)
    doubled = twain.vmap(lambda scale: p.like(p.data * scale).data)(twain.asarray([2.0, 3.0]))
    assert doubled.shape == (2, 6, 3)
    assert p.lengths == (4, 2) and p.batch_sizes.tolist() == [2, 2, 1, 1] and p.sorted_indices.tolist() == [1, 0]


def test_mistakes_are_named():
    layer = nn.LSTM(3, 4)
    for wrong, words in (
        (lambda: layer(twain.ones((5, 2, 4))), r"\[LSTM\] expected input of shape \(T, B, 3\).*got \(5, 2, 4\)"),
        (lambda: layer(twain.ones((5, 2, 3)), twain.zeros((1, 2, 4))), r"\[LSTM\] expected hx to be a pair"),
        (lambda: layer(twain.ones((5, 2, 3)), (twain.zeros((2, 4)), twain.zeros((2, 4)))), r"h_0 of shape \(1, 2, 4\)"),
        (lambda: layer(twain.ones((5, 2, 3)), lengths=[1, 2, 3]), r"lengths to be 2 ints"),
        (lambda: nn.GRUCell(3, 4)(twain.ones((2, 5))), r"\[GRUCell\] expected input of shape \(B, 3\)"),
        (lambda: rnn.pack_padded_sequence(twain.ones((5, 2, 3)), [2, 5]), "enforce_sorted=False"),
        (lambda: rnn.pack_padded_sequence(twain.ones((5, 2, 3)), [6, 5]), "at most 5"),
        (lambda: rnn.pack_padded_sequence(twain.ones((5, 2, 3)), [5, 3, 2, 1, 1]), "batch_first"),
        (lambda: rnn.pad_sequence([]), "at least one sequence"),
        (lambda: rnn.pad_sequence([twain.ones((2, 3)), twain.ones((2, 4))]), "differ in L only"),
    ):
        with pytest.raises((ArgumentError, ShapeError, ValueRangeError), match=words):
            wrong()
    for wrong in (
        lambda: nn.RNN(3, 4, nonlinearity="cos"), lambda: nn.LSTM(3, 4, dropout=1.5), lambda: nn.LSTM(3, 4, proj_size=4),
        lambda: nn.GRU(3, 0), lambda: nn.LSTM(3, 4, num_layers=0),
    ):  # fmt: skip
        with pytest.raises((ArgumentError, ValueRangeError), match=r"\[(RNN|LSTM|GRU)\] expected"):
            wrong()


def test_empty_batches_and_single_steps():
    layer = nn.GRU(3, 4)
    assert layer(twain.ones((5, 0, 3)))[0].shape == (5, 0, 4)
    y, h = layer(twain.ones((1, 2, 3)))
    np.testing.assert_array_equal(y[0].detach().numpy(), h[0].detach().numpy())


@pytest.mark.parametrize("name", ["LSTM", "GRU"])
def test_large_weights_lie_in_panels(name, rng):
    """Values, and the gradient along a direction, where the weight is large enough to be brought into order first."""
    layer = of(name, 3, 224)
    x = rng.standard_normal((3, 2, 3))
    wanted, _ = expected(layer, x, [3, 2])
    lengths = twain.asarray([3, 2])
    np.testing.assert_allclose(
        layer(twain.asarray(x), lengths=lengths)[0].detach().numpy(), wanted, rtol=1e-9, atol=1e-12
    )
    (layer(twain.asarray(x), lengths=lengths)[0] ** 2).sum().backward()
    weight, step = layer.weight_hh_l0, 1e-5
    direction = rng.standard_normal(weight.shape)
    start, values = weight.detach(), []
    for sign in (1, -1):
        with twain.no_grad():
            weight.assign(start + twain.asarray(direction * (sign * step)))
            values.append(float((layer(twain.asarray(x), lengths=lengths)[0] ** 2).sum()))
    slope = float((weight.grad * twain.asarray(direction)).sum())
    assert slope == pytest.approx((values[0] - values[1]) / (2 * step), rel=1e-5)
