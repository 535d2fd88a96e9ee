"""Transformer layers without PyTorch: what they promise of masks, copies and compiling, and what they say of mistakes."""

import numpy as np
import pytest

import twain
from twain import nn, optim
from twain.base.errors import ArgumentError, ShapeError, ValueRangeError


def test_no_position_sees_a_later_one():
    model = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True), 2)
    x = twain.random.normal((2, 5, 8))
    changed = twain.concat([x[:, :3], twain.random.normal((2, 2, 8))], axis=1)
    a, b = (model(v, is_causal=True).detach().numpy() for v in (x, changed))
    np.testing.assert_allclose(a[:, :3], b[:, :3], rtol=1e-5, atol=1e-6)
    assert abs(a[:, 3:] - b[:, 3:]).max() > 1e-3


def test_padding_is_not_seen():
    model = nn.Transformer(8, 2, 1, 1, 16, 0.0, batch_first=True)
    src, tgt = twain.random.normal((1, 5, 8)), twain.random.normal((1, 3, 8))
    mask = twain.asarray([[False, False, False, True, True]])
    got = model(src, tgt, src_key_padding_mask=mask, memory_key_padding_mask=mask)
    np.testing.assert_allclose(got.detach().numpy(), model(src[:, :3], tgt).detach().numpy(), rtol=1e-4, atol=1e-5)


def test_layers_of_a_stack_are_copies_and_train_compiled():
    layer = nn.TransformerEncoderLayer(8, 2, 16, 0.0)
    model = nn.TransformerEncoder(layer, 2)
    assert len({id(p) for p in (*model.parameters(), *layer.parameters())}) == 3 * len(list(layer.parameters()))
    optimizer = optim.Adam(model.parameters(), lr=1e-2)
    x, y = twain.random.normal((5, 3, 8)), twain.random.normal((5, 3, 8))

    @twain.compile
    def step(x, y):
        optimizer.zero_grad()
        loss = ((model(x) - y) ** 2).mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss

    losses = [float(step(x, y)) for _ in range(8)]
    assert losses[-1] < losses[0] and len(step.plans) == 1


def test_mistakes_are_named():
    layer = nn.TransformerEncoderLayer(8, 2, 16)
    with pytest.raises(
        ShapeError, match=r"\[TransformerEncoderLayer\] expected src .* 8 features last, got \(5, 3, 7\)"
    ):
        layer(twain.ones((5, 3, 7)))
    with pytest.raises(ArgumentError, match="expected activation to be 'relu', 'gelu' or a function, got 'tan'"):
        nn.TransformerEncoderLayer(8, 2, activation="tan")
    with pytest.raises(ValueRangeError, match="multiple of num_heads=3"):
        nn.TransformerEncoderLayer(8, 3)
    with pytest.raises(ArgumentError, match=r"\[TransformerEncoder\] expected a layer to copy, got type"):
        nn.TransformerEncoder(nn.TransformerEncoderLayer, 2)
    with pytest.raises(ShapeError, match="equal batch sizes on axis 1"):
        nn.Transformer(8, 2, 1, 1, 16)(twain.ones((5, 3, 8)), twain.ones((4, 2, 8)))
