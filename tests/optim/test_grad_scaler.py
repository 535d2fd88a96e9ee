"""Loss scaling: scale and growth by PyTorch's rules, steps left out in compiled code, float16 training, misuse."""

import numpy as np
import pytest

import twain
from twain import nn, optim


def setup(**settings):
    model = nn.Linear(3, 1)
    return model, optim.Adam(model.parameters(), lr=0.01), optim.GradScaler(**{"init_scale": 8.0, **settings})


@pytest.mark.parametrize("compiled", [False, True])
def test_steps_with_infinite_gradients_are_left_out(compiled):
    model, optimizer, scaler = setup(growth_interval=3)

    def step(x):
        optimizer.zero_grad()
        scaler.scale(model(x).sum()).backward()
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()

    run = twain.compile(step) if compiled else step
    good, bad = twain.ones((2, 3)), twain.full((2, 3), float("inf"))
    scale, tracker = 8.0, 0
    for number, x in enumerate([good, good, bad, good, good, good, good, bad, good, good]):
        before = model.weight.detach().numpy().copy()
        run(x)
        same = (model.weight.detach().numpy() == before).all()
        assert same == (x is bad), number
        if x is bad:
            scale, tracker = scale / 2, 0
        else:
            tracker += 1
            if tracker == 3:
                scale, tracker = scale * 2, 0
        assert scaler.get_scale() == scale and scaler.state_dict()["_growth_tracker"] == tracker, number
    assert not compiled or run.hits >= 5
    assert optimizer.state[0]["step"].item() == 8


def test_gradients_are_those_of_the_unscaled_loss():
    model, optimizer, scaler = setup()
    x = twain.asarray(np.random.default_rng().standard_normal((4, 3)), dtype="float32")
    (model(x) ** 2).mean().backward()
    wanted = model.weight.grad.numpy()
    optimizer.zero_grad()
    scaler.scale((model(x) ** 2).mean()).backward()
    np.testing.assert_allclose(model.weight.grad.numpy(), 8 * wanted, rtol=1e-5)
    scaler.unscale_(optimizer)
    np.testing.assert_allclose(model.weight.grad.numpy(), wanted, rtol=1e-5)
    optim.clip_grad_norm_(model.parameters(), 0.1)
    scaler.step(optimizer)
    scaler.update()


def test_float16_needs_the_scale():
    """Gradients of about 1e-9 are zero in float16 without it."""
    weight = twain.zeros((4,)).requires_grad_()
    optimizer, scaler = optim.SGD([weight], lr=1.0), optim.GradScaler(init_scale=2.0**12)
    x = twain.full((4,), 1e-4, dtype="float16")

    def loss():
        return (weight.astype("float16") * x).astype("float32").sum() * 1e-5

    loss().backward()
    assert weight.grad.abs().max().item() == 0
    optimizer.zero_grad()
    scaler.scale(loss()).backward()
    scaler.step(optimizer)
    scaler.update()
    np.testing.assert_allclose(weight.detach().numpy(), -1e-9, rtol=0.2)


def test_state_and_switching_off():
    _, optimizer, scaler = setup()
    other = optim.GradScaler()
    other.load_state_dict(scaler.state_dict())
    assert other.state_dict() == scaler.state_dict() and other.get_scale() == 8.0
    off = optim.GradScaler(enabled=False)
    x = twain.ones((1,))
    assert off.scale(x) is x and off.state_dict() == {} and not off.is_enabled()
    off.step(optimizer)
    off.update()


def test_misuse():
    model, optimizer, scaler = setup()
    with pytest.raises(TypeError, match="expected gradients, got none"):
        scaler.step(optimizer)
    with pytest.raises(TypeError, match="expected a step since the last update"):
        scaler.update()
    scaler.scale(model(twain.ones((1, 3))).sum()).backward()
    scaler.unscale_(optimizer)
    with pytest.raises(TypeError, match="one call per optimizer"):
        scaler.unscale_(optimizer)
    scaler.step(optimizer)
    with pytest.raises(TypeError, match="one step per optimizer"):
        scaler.step(optimizer)
    with pytest.raises(ValueError, match="growth_factor > 1"):
        optim.GradScaler(growth_factor=1.0)
    p = twain.zeros((2,), dtype="float16").requires_grad_()
    p.grad = twain.ones((2,), dtype="float16")
    with pytest.raises(TypeError, match="keep parameters in float32"):
        optim.GradScaler().unscale_(optim.SGD([p]))
