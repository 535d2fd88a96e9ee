"""Attention and Transformer layers against PyTorch: results and gradients, weights loaded by name."""

import numpy as np
import pytest

import twain
from twain import nn

torch = pytest.importorskip("torch")
from torch_compare import close  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:enable_nested_tensor", "ignore:Support for mismatched")


@pytest.fixture
def rng():
    seed = np.random.SeedSequence().entropy % 2**32
    print(f"seed {seed}")
    return np.random.default_rng(seed)


def pair_of(name, *args, norm=None, **kwargs):
    """The same layer in both, in training mode without dropout, with the same parameters."""
    ours, theirs = getattr(nn, name)(*args, **kwargs), getattr(torch.nn, name)(*args, **kwargs)
    return loaded(ours, theirs)


def loaded(ours, theirs):
    state = {k: v.detach().numpy() for k, v in theirs.state_dict().items()}
    assert list(ours.state_dict()) == list(state)
    ours.load_state_dict(state)
    return ours, theirs


def check(ours, theirs, inputs, **masks):
    a, b = [twain.asarray(x).requires_grad_() for x in inputs], [torch.tensor(x, requires_grad=True) for x in inputs]
    x = ours(*a, **{k: twain.asarray(m) if isinstance(m, np.ndarray) else m for k, m in masks.items()})
    y = theirs(*b, **{k: torch.tensor(m) if isinstance(m, np.ndarray) else m for k, m in masks.items()})
    if isinstance(y, tuple):
        assert (x[1] is None) == (y[1] is None)
        if y[1] is not None:
            close(x[1], y[1], rtol=1e-4, atol=1e-5)
        x, y = x[0], y[0]
    close(x, y, rtol=1e-4, atol=1e-5)
    weights = np.random.default_rng(5).standard_normal(y.shape).astype(np.float32)
    (x * twain.asarray(weights)).sum().backward()
    (y * torch.tensor(weights)).sum().backward()
    for p, q in zip(a, b):
        close(p.grad, q.grad, rtol=2e-4, atol=2e-5)
    known = dict(theirs.named_parameters())
    for name, p in ours.named_parameters():
        if known[name].grad is not None:
            close(p.grad, known[name].grad, rtol=2e-4, atol=5e-5)


def array(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


def padding(rng, *shape):
    mask = rng.random(shape) < 0.4
    mask[:, 0] = False
    return mask


def above(n):
    return np.triu(np.ones((n, n), dtype=bool), 1)


def test_multihead_attention(rng):
    x, y = array(rng, 5, 3, 8), array(rng, 4, 3, 8)
    for first in (False, True):
        turned = [v.swapaxes(0, 1).copy() if first else v for v in (x, y)]
        check(*pair_of("MultiheadAttention", 8, 2, batch_first=first), [turned[0], turned[1], turned[1]])
    layers = pair_of("MultiheadAttention", 8, 2, add_bias_kv=True, add_zero_attn=True)
    check(*layers, [x, y, y], key_padding_mask=padding(rng, 3, 4), average_attn_weights=False)
    layers = pair_of("MultiheadAttention", 8, 4, kdim=5, vdim=6, bias=False)
    check(*layers, [x, array(rng, 4, 3, 5), array(rng, 4, 3, 6)], attn_mask=array(rng, 5, 4))
    check(*pair_of("MultiheadAttention", 8, 2), [x[:, 0], y[:, 0], y[:, 0]], need_weights=False)


class _Self:
    """Self-attention: one input three times."""

    def __init__(self, layer):
        self.layer = layer
        self.named_parameters = layer.named_parameters

    def __call__(self, x, **kwargs):
        return self.layer(x, x, x, **kwargs)


def test_self_attention(rng):
    x = array(rng, 5, 3, 8)
    for kwargs in ({}, {"bias": False}, {"batch_first": True}):
        for masks in (
            {},
            {"need_weights": False, "attn_mask": above(5 if "batch_first" not in kwargs else 3), "is_causal": True},
        ):
            ours, theirs = pair_of("MultiheadAttention", 8, 2, **kwargs)
            check(_Self(ours), _Self(theirs), [x], **masks)
    ours, theirs = pair_of("MultiheadAttention", 8, 2)
    wanted = ours(*[twain.asarray(x)] * 3, attn_mask=twain.asarray(above(5)))[0]
    for need in (False, True):
        got = ours(*[twain.asarray(x)] * 3, is_causal=True, need_weights=need)[0]
        np.testing.assert_allclose(got.detach().numpy(), wanted.detach().numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "kwargs", [{}, {"norm_first": True, "activation": "gelu"}, {"batch_first": True, "bias": False}]
)
def test_layers(kwargs, rng):
    first = "batch_first" in kwargs
    settings = {"dim_feedforward": 12, "dropout": 0.0, **kwargs}
    x, y = (array(rng, *((3, n) if first else (n, 3)), 8) for n in (5, 4))
    check(*pair_of("TransformerEncoderLayer", 8, 2, **settings), [x])
    check(
        *pair_of("TransformerEncoderLayer", 8, 2, **settings), [x], src_mask=above(5),
        src_key_padding_mask=padding(rng, 3, 5),
    )  # fmt: skip
    check(
        *pair_of("TransformerDecoderLayer", 8, 2, **settings), [x, y], tgt_mask=above(5), tgt_is_causal=True,
        memory_key_padding_mask=padding(rng, 3, 4),
    )  # fmt: skip
    check(
        *pair_of("TransformerDecoderLayer", 8, 2, **settings), [x[0] if first else x[:, 0], y[0] if first else y[:, 0]]
    )


def test_stacks(rng):
    x, y = array(rng, 5, 3, 8), array(rng, 4, 3, 8)

    def stack(library):
        layer = library.TransformerEncoderLayer(8, 2, 12, 0.0)
        return library.TransformerEncoder(layer, 2, library.LayerNorm(8))

    check(*loaded(stack(nn), stack(torch.nn)), [x], src_key_padding_mask=padding(rng, 3, 5))
    settings = {"d_model": 8, "nhead": 2, "num_encoder_layers": 1, "num_decoder_layers": 2, "dim_feedforward": 12}
    layers = pair_of("Transformer", **settings, dropout=0.0)
    check(*layers, [x, y], tgt_mask=np.asarray(nn.Transformer.generate_square_subsequent_mask(4)))
