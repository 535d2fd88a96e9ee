"""Optimizers: settings, state and misuse. Trajectories are compared with PyTorch in tests/peers, and here with NumPy."""

import numpy as np
import pytest

import twain
from twain import optim

RNG = np.random.default_rng(5)
GRADIENTS = [[RNG.standard_normal((3, 2)), RNG.standard_normal(4)] for _ in range(8)]
START = [RNG.standard_normal((3, 2)), RNG.standard_normal(4)]


def run(make, dtype="float64", gradients=GRADIENTS):
    params = [twain.asarray(a, dtype=dtype).requires_grad_() for a in START]
    optimizer = make(params)
    for row in gradients:
        for p, g in zip(params, row, strict=True):
            p.grad = twain.asarray(g, dtype=dtype)
        optimizer.step()
    return [p.detach().numpy() for p in params], optimizer


def test_sgd_with_momentum_is_the_formula():
    found, _ = run(lambda p: optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01, nesterov=True))
    values, buffers = [a.copy() for a in START], [np.zeros_like(a) for a in START]
    for row in GRADIENTS:
        for i, g in enumerate(row):
            g = g + 0.01 * values[i]
            buffers[i] = 0.9 * buffers[i] + g
            values[i] = values[i] - 0.1 * (g + 0.9 * buffers[i])
    for a, b in zip(found, values, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


@pytest.mark.parametrize("decoupled", [False, True])
def test_adam_is_the_formula(decoupled):
    make = optim.AdamW if decoupled else optim.Adam
    found, _ = run(lambda p: make(p, lr=0.01, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.1))
    values = [a.copy() for a in START]
    first, second = [np.zeros_like(a) for a in START], [np.zeros_like(a) for a in START]
    for t, row in enumerate(GRADIENTS, start=1):
        for i, g in enumerate(row):
            if decoupled:
                values[i] = values[i] * (1 - 0.01 * 0.1)
            else:
                g = g + 0.1 * values[i]
            first[i] = 0.8 * first[i] + 0.2 * g
            second[i] = 0.95 * second[i] + 0.05 * g * g
            spread = np.sqrt(second[i] / (1 - 0.95**t)) + 1e-6
            values[i] = values[i] - 0.01 * first[i] / (1 - 0.8**t) / spread
    for a, b in zip(found, values, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_moments_never_become_denormal():
    zero = [[np.zeros_like(a) for a in START]] * 900
    tiny = [[np.full_like(a, 1e-3) for a in START]]
    _, optimizer = run(lambda p: optim.Adam(p), "float32", tiny + zero)
    for row in optimizer.state.values():
        moment = np.abs(row["exp_avg"].numpy())
        assert ((moment == 0) | (moment >= 1e-30)).all()
    assert optimizer.state[0]["exp_avg"].abs().max().item() == 0


def test_settings_read_and_write_like_numbers():
    p = twain.zeros((2,)).requires_grad_()
    optimizer = optim.Adam([p], lr=0.1)
    group = optimizer.param_groups[0]
    assert group["lr"] == 0.1 and group["betas"] == (0.9, 0.999) and group["params"] == [p]
    group["lr"] = 0.025
    group["betas"] = (0.5, 0.6)
    assert group["lr"] == 0.025 and group["betas"] == (0.5, 0.6)
    own = {"params", "lr", "betas", "eps", "weight_decay", "amsgrad", "maximize", "decoupled_weight_decay"}
    assert set(group) == own | {"foreach", "capturable", "differentiable", "fused"}
    assert "lr=0.025" in repr(optimizer)
    group["lr"] *= 2
    assert group["lr"] == 0.05


def test_state_exists_from_the_start_and_gradients_are_left_alone():
    p = twain.ones((2,)).requires_grad_()
    optimizer = optim.AdamW([p])
    assert {k: tuple(v.shape) for k, v in optimizer.state[0].items()} == {
        "step": (),
        "exp_avg": (2,),
        "exp_avg_sq": (2,),
    }
    p.grad = twain.ones((2,))
    before = p.grad
    optimizer.step()
    assert p.grad is before and p.requires_grad and p.is_leaf
    optimizer.zero_grad()
    assert p.grad is None


def test_a_state_dictionary_takes_a_run_over_to_another_optimizer():
    def make(p):
        return optim.Adam([{"params": p[:1], "lr": 0.3}, {"params": p[1:]}], lr=0.02, amsgrad=True)

    straight, _ = run(make)
    params, half = run(make, gradients=GRADIENTS[:4])
    again = [twain.asarray(a).requires_grad_() for a in params]
    other = optim.Adam([{"params": again[:1]}, {"params": again[1:]}], lr=9.0, amsgrad=True)
    other.load_state_dict(half.state_dict())
    for row in GRADIENTS[4:]:
        for p, g in zip(again, row, strict=True):
            p.grad = twain.asarray(g)
        other.step()
    for a, b in zip(straight, again, strict=True):
        assert (a == b.detach().numpy()).all()


def test_a_snapshot_of_the_state_does_not_move_on():
    _, optimizer = run(lambda p: optim.Adam(p))
    state = optimizer.state_dict()["state"][0]["exp_avg"]
    before = state.numpy().copy()
    optimizer.step()
    assert (state.numpy() == before).all()
    assert (optimizer.state[0]["exp_avg"].numpy() != before).any()


def test_a_momentum_that_was_zero_at_first():
    _, optimizer = run(lambda p: optim.SGD(p, lr=0.1))
    assert "momentum_buffer" not in optimizer.state[0]
    optimizer.param_groups[0]["momentum"] = 0.9
    optimizer.step()
    assert "momentum_buffer" in optimizer.state[0]


def test_closure():
    p = twain.ones((2,)).requires_grad_()
    optimizer = optim.SGD([p], lr=0.1)

    def closure():
        optimizer.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 2.0
    assert p.tolist() == pytest.approx([0.8, 0.8])


def test_half_precision_parameters():
    p = twain.ones((3,), dtype="bfloat16").requires_grad_()
    optimizer = optim.AdamW([p], lr=0.1)
    p.grad = twain.ones((3,), dtype="bfloat16")
    optimizer.step()
    assert p.dtype is twain.bfloat16
    assert p.astype("float32").tolist() == pytest.approx([0.9] * 3, rel=0.01)


@pytest.mark.parametrize(
    "call,text",
    [
        (lambda p: optim.SGD(p), "expected a list of tensors"),
        (lambda p: optim.SGD([]), "at least one parameter, got none"),
        (lambda p: optim.SGD([p, p]), "each parameter once"),
        (lambda p: optim.SGD([p * 2]), "leaf tensors"),
        (lambda p: optim.SGD([3]), "tensors as parameters, got int"),
        (lambda p: optim.SGD([twain.zeros((2,), dtype="int64")]), "floating or complex parameters"),
        (lambda p: optim.SGD([p], lr=-1.0), "lr >= 0, got -1.0"),
        (lambda p: optim.Adam([p], betas=(0.9, 1.0)), r"betas\[1\] in \[0, 1\), got 1.0"),
        (lambda p: optim.Adam([p], eps=float("nan")), "eps >= 0, got nan"),
        (lambda p: optim.SGD([p], nesterov=True), "momentum > 0 and dampening 0"),
        (lambda p: optim.SGD([{"params": [p], "rate": 1}]), "settings among lr, .*got 'rate'"),
        (lambda p: optim.SGD([{"param": [p]}]), "dictionary with 'params'"),
        (lambda p: optim.StepLR(3, 1), "expected an optimizer, got int"),
        (lambda p: optim.StepLR(optim.SGD([p]), 0), "step_size to be an int of at least 1"),
        (lambda p: optim.OneCycleLR(optim.SGD([p]), 0.1), "total_steps, or epochs"),
        (lambda p: optim.LinearLR(optim.SGD([p]), start_factor=2.0), "start_factor in"),
    ],
)
def test_misuse(call, text):
    with pytest.raises((ValueError, TypeError), match=text):
        call(twain.zeros((2,)).requires_grad_())


def test_loading_what_does_not_fit():
    p = twain.zeros((2,)).requires_grad_()
    state = optim.Adam([p]).state_dict()
    with pytest.raises(ValueError, match=r"groups of \[2\] parameters, got \[1\]"):
        optim.Adam([p, twain.zeros((2,)).requires_grad_()]).load_state_dict(state)
    with pytest.raises(ValueError, match="momentum_buffer"):
        optim.SGD([p], momentum=0.9).load_state_dict(state)
    with pytest.raises(ValueError, match=r"exp_avg of parameter 0 of shape \(3,\), got \(2,\)"):
        optim.Adam([twain.zeros((3,)).requires_grad_()]).load_state_dict(state)


def test_warm_up_then_another_schedule():
    optimizer = optim.SGD([twain.zeros((2,)).requires_grad_()], lr=1.0)
    schedule = optim.WarmUpLR(optimizer, 4, after=lambda o: optim.ExponentialLR(o, 0.5))
    rates = [schedule.get_last_lr()[0]]
    for _ in range(5):
        schedule.step()
        rates += schedule.get_last_lr()
    assert rates == [0.25, 0.5, 0.75, 1.0, 0.5, 0.25]
    other = optim.SGD([twain.zeros((2,)).requires_grad_()], lr=1.0)
    again = optim.WarmUpLR(other, 4, after=lambda o: optim.ExponentialLR(o, 0.5))
    again.load_state_dict(schedule.state_dict())
    other.load_state_dict(optimizer.state_dict())
    again.step()
    assert again.get_last_lr() == [0.125]


def test_one_cycle_fits_a_loop_that_ends_with_a_step_of_the_schedule():
    optimizer = optim.SGD([twain.zeros((2,)).requires_grad_()], lr=1.0)
    schedule = optim.OneCycleLR(optimizer, max_lr=0.3, total_steps=5)
    for _ in range(5):
        optimizer.step()
        schedule.step()
    assert schedule.get_last_lr() == [pytest.approx(0.3 / 25 / 1e4)]
    with pytest.raises(ValueError, match="at most total_steps=5 steps, got 6"):
        schedule.step()


def test_clipping_finds_non_finite_gradients():
    p = twain.zeros((2,)).requires_grad_()
    p.grad = twain.asarray([float("nan"), 1.0])
    with pytest.raises(ValueError, match="finite gradient norm, got nan"):
        optim.clip_grad_norm_([p], 1.0, error_if_nonfinite=True)
    assert optim.clip_grad_norm_([twain.zeros((2,)).requires_grad_()], 1.0).item() == 0.0
