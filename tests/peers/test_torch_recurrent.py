"""Recurrent layers against PyTorch: outputs, states and gradients, weights loaded by name; packed sequences."""

import numpy as np
import pytest

import twain
from twain import nn

torch = pytest.importorskip("torch")
from torch_compare import close  # noqa: E402

rnn, trnn = nn.utils.rnn, torch.nn.utils.rnn


@pytest.fixture
def rng():
    seed = np.random.SeedSequence().entropy % 2**32
    print(f"seed {seed}")
    return np.random.default_rng(seed)


def pair_of(name, *args, **kwargs):
    """The same layer in both, with the same parameters."""
    ours, theirs = getattr(nn, name)(*args, **kwargs), getattr(torch.nn, name)(*args, **kwargs)
    state = {k: v.detach().numpy() for k, v in theirs.state_dict().items()}
    assert list(ours.state_dict()) == list(state)
    ours.load_state_dict(state)
    return ours, theirs


def flat(x):
    return [y for part in x for y in flat(part)] if isinstance(x, (tuple, list)) else [x]


def check(ours, theirs, inputs, kwargs=None, states=None):
    """Results and all gradients; inputs are arrays, states a tuple of arrays, or None."""
    a = [twain.asarray(x).requires_grad_() for x in inputs]
    b = [torch.tensor(x, requires_grad=True) for x in inputs]
    if states is not None:
        sa, sb = (
            [twain.asarray(x).requires_grad_() for x in states],
            [torch.tensor(x, requires_grad=True) for x in states],
        )
        a, b = [*a, *sa], [*b, *sb]
        one = len(states) == 1
        ra, rb = ours(a[0], sa[0] if one else tuple(sa)), theirs(b[0], sb[0] if one else tuple(sb))
    else:
        ra, rb = ours(a[0]), theirs(b[0])
    ra, rb = flat(ra), flat(rb)
    assert len(ra) == len(rb)
    for x, y in zip(ra, rb):
        close(x, y)
    weights = [np.random.default_rng(7).standard_normal(y.shape).astype(np.float32) for y in rb]
    sum((x * twain.asarray(w)).sum() for x, w in zip(ra, weights)).backward()
    sum((y * torch.tensor(w)).sum() for y, w in zip(rb, weights)).backward()
    for x, y in zip(a, b):
        close(x.grad, y.grad, rtol=1e-4, atol=1e-5)
    known = dict(theirs.named_parameters())
    for name, p in ours.named_parameters():
        close(p.grad, known[name].grad, rtol=1e-4, atol=2e-5)


def array(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


@pytest.mark.filterwarnings("ignore:LSTM with projections")
@pytest.mark.parametrize(
    "name,kwargs",
    [
        ("LSTM", {}),
        ("LSTM", {"num_layers": 2, "bidirectional": True, "batch_first": True}),
        ("LSTM", {"proj_size": 3, "bidirectional": True}),
        ("LSTM", {"bias": False}),
        ("GRU", {"num_layers": 2, "bidirectional": True}),
        ("GRU", {"bias": False, "batch_first": True}),
        ("RNN", {"num_layers": 2}),
        ("RNN", {"nonlinearity": "relu", "bidirectional": True}),
    ],
)
def test_sequences(name, kwargs, rng):
    ours, theirs = pair_of(name, 5, 6, **kwargs)
    check(ours, theirs, [array(rng, 4, 3, 5)])
    runs = kwargs.get("num_layers", 1) * (2 if kwargs.get("bidirectional") else 1)
    batch = 4 if kwargs.get("batch_first") else 3
    sizes = [kwargs.get("proj_size", 6), 6] if name == "LSTM" else [6]
    check(*pair_of(name, 5, 6, **kwargs), [array(rng, 4, 3, 5)], states=[array(rng, runs, batch, s) for s in sizes])
    check(*pair_of(name, 5, 6, **kwargs), [array(rng, 4, 5)], states=[array(rng, runs, s) for s in sizes])


@pytest.mark.parametrize("name", ["LSTMCell", "GRUCell", "RNNCell"])
def test_cells(name, rng):
    states = 2 if name == "LSTMCell" else 1
    check(*pair_of(name, 5, 6), [array(rng, 3, 5)], states=[array(rng, 3, 6) for _ in range(states)])
    check(*pair_of(name, 5, 6, bias=False), [array(rng, 5)], states=[array(rng, 6) for _ in range(states)])
    check(*pair_of(name, 5, 6), [array(rng, 3, 5)])


def test_packing(rng):
    x = array(rng, 6, 4, 3)
    lengths = [2, 6, 4, 4]
    for first in (False, True):
        a, b = twain.asarray(x), torch.tensor(x)
        if first:
            a, b = a.transpose(0, 1), b.transpose(0, 1)
        p = rnn.pack_padded_sequence(a, lengths, batch_first=first, enforce_sorted=False)
        q = trnn.pack_padded_sequence(b, lengths, batch_first=first, enforce_sorted=False)
        for what in ("data", "batch_sizes", "sorted_indices", "unsorted_indices"):
            if what.endswith("sorted_indices"):  # equal lengths may stand in either order
                continue
            assert tuple(getattr(p, what).shape) == tuple(getattr(q, what).shape)
        assert p.batch_sizes.tolist() == q.batch_sizes.tolist()
        for options in ({}, {"total_length": 8, "padding_value": -1.0}):
            (y, m), (z, n) = (
                f(s, batch_first=first, **options)
                for f, s in ((rnn.pad_packed_sequence, p), (trnn.pad_packed_sequence, q))
            )
            close(y, z)
            assert m.tolist() == n.tolist()
    rows = [array(rng, n, 3) for n in (2, 5, 3)]
    a, b = [twain.asarray(r) for r in rows], [torch.tensor(r) for r in rows]
    for options in ({}, {"batch_first": True, "padding_value": 2.0}, {"padding_side": "left"}):
        close(rnn.pad_sequence(a, **options), trnn.pad_sequence(b, **options))
    for x, y in zip(rnn.unpack_sequence(rnn.pack_sequence(a, enforce_sorted=False)), b):
        close(x, y)
    for x, y in zip(rnn.unpad_sequence(rnn.pad_sequence(a), [2, 5, 3]), b):
        close(x, y)


@pytest.mark.parametrize(
    "name,kwargs", [("LSTM", {"num_layers": 2, "bidirectional": True}), ("GRU", {}), ("RNN", {"bidirectional": True})]
)
def test_packed_sequences_through_layers(name, kwargs, rng):
    ours, theirs = pair_of(name, 3, 5, **kwargs)
    rows = [array(rng, n, 3) for n in (2, 5, 3, 3)]
    a, b = [twain.asarray(r).requires_grad_() for r in rows], [torch.tensor(r, requires_grad=True) for r in rows]
    runs = kwargs.get("num_layers", 1) * (2 if kwargs.get("bidirectional") else 1)
    states = [array(rng, runs, 4, 5) for _ in range(2 if name == "LSTM" else 1)]
    sa, sb = [twain.asarray(s) for s in states], [torch.tensor(s) for s in states]
    p, pn = ours(rnn.pack_sequence(a, enforce_sorted=False), tuple(sa) if len(sa) > 1 else sa[0])
    q, qn = theirs(trnn.pack_sequence(b, enforce_sorted=False), tuple(sb) if len(sb) > 1 else sb[0])
    y, z = rnn.pad_packed_sequence(p)[0], trnn.pad_packed_sequence(q)[0]
    close(y, z)
    for s, t in zip(flat(pn), flat(qn)):
        close(s, t)
    (y**2).sum().backward()
    (z**2).sum().backward()
    for r, s in zip(a, b):
        close(r.grad, s.grad, rtol=1e-4, atol=1e-5)
    padded, lengths = rnn.pad_sequence(a), twain.asarray([2, 5, 3, 3])
    given, last = ours(padded, tuple(sa) if len(sa) > 1 else sa[0], lengths=lengths)
    close(given, z)
    for s, t in zip(flat(last), flat(qn)):
        close(s, t)
