"""Trajectories of optimizers, schedules and clipping against PyTorch; skipped where torch is not installed."""

import math

import numpy as np
import pytest

import twain
from twain import optim

torch = pytest.importorskip("torch")

STEPS = 12
SHAPES = [(3, 4), (5,), (), (2, 3, 2)]


def leaves(dtype="float32"):
    rng = np.random.default_rng(7)
    arrays = [np.asarray(rng.standard_normal(s)).astype(dtype) for s in SHAPES]
    ours = [twain.asarray(a).requires_grad_() for a in arrays]
    return ours, [torch.tensor(a, requires_grad=True) for a in arrays]


def run(ours, theirs, one, other, before_step=None, skip=None, steps=STEPS):
    rng = np.random.default_rng(8)
    for step in range(steps):
        one.zero_grad()
        other.zero_grad()
        for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            g = np.asarray(rng.standard_normal(a.shape)).astype(str(a.dtype))
            if skip is not None and skip(step, i):
                continue
            a.grad = twain.asarray(g)
            b.grad = torch.tensor(g)
        if before_step:
            before_step(step)
        one.step()
        other.step()


def close(ours, theirs, rtol=1e-5, atol=1e-6):
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=rtol, atol=atol)


CASES = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.01}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
    ("SGD", {"lr": 0.1, "weight_decay": 0.1, "maximize": True}),
    ("Adam", {}),
    ("Adam", {"lr": 0.01, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1}),
    ("Adam", {"lr": 0.01, "amsgrad": True}),
    ("Adam", {"lr": 0.01, "maximize": True}),
    ("AdamW", {"lr": 0.01}),
    ("AdamW", {"lr": 0.01, "weight_decay": 0.3, "amsgrad": True}),
]


@pytest.mark.parametrize("name,settings", CASES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_trajectory(name, settings, dtype):
    ours, theirs = leaves(dtype)
    run(ours, theirs, getattr(optim, name)(ours, **settings), getattr(torch.optim, name)(theirs, **settings))
    if dtype == "float64":
        close(ours, theirs, 1e-11, 1e-12)
    else:
        close(ours, theirs)


@pytest.mark.parametrize("name,settings", CASES[2:])
def test_parameters_without_a_gradient_sit_out(name, settings):
    ours, theirs = leaves()
    one, other = getattr(optim, name)(ours, **settings), getattr(torch.optim, name)(theirs, **settings)
    run(ours, theirs, one, other, skip=lambda step, i: (i == 1 and step < 3) or (i == 2 and step % 2 == 0))
    close(ours, theirs)


def test_groups_with_settings_of_their_own():
    ours, theirs = leaves()

    def groups(p):
        return [{"params": p[:2], "lr": 0.3}, {"params": p[2:], "weight_decay": 0.2}]

    one = optim.AdamW(groups(ours), lr=0.01)
    other = torch.optim.AdamW(groups(theirs), lr=0.01)
    assert [g["lr"] for g in one.param_groups] == [0.3, 0.01]

    def change(step):
        if step == 5:
            one.param_groups[0]["lr"] = other.param_groups[0]["lr"] = 0.05
            one.param_groups[1]["weight_decay"] = other.param_groups[1]["weight_decay"] = 0.0

    run(ours, theirs, one, other, change)
    close(ours, theirs)


def test_state_dictionary_has_the_same_form():
    ours, theirs = leaves()
    one, other = optim.Adam(ours), torch.optim.Adam(theirs)
    run(ours, theirs, one, other)
    a, b = one.state_dict(), other.state_dict()
    assert a["param_groups"][0]["params"] == b["param_groups"][0]["params"]
    assert a["param_groups"][0]["betas"] == b["param_groups"][0]["betas"]
    for i in range(len(SHAPES)):
        assert set(a["state"][i]) == set(b["state"][i])
        assert a["state"][i]["step"].item() == b["state"][i]["step"].item()
        np.testing.assert_allclose(
            a["state"][i]["exp_avg"].numpy(), b["state"][i]["exp_avg"].numpy(), rtol=1e-5, atol=1e-7
        )


EPOCHS = 100

SCHEDULES = [
    ("StepLR", {"step_size": 3, "gamma": 0.5}, {}),
    ("MultiStepLR", {"milestones": [2, 5, 5, 9], "gamma": 0.3}, {}),
    ("ExponentialLR", {"gamma": 0.9}, {}),
    ("CosineAnnealingLR", {"T_max": 7, "eta_min": 0.001}, {}),
    ("LinearLR", {"start_factor": 0.25, "total_iters": 6}, {}),
    ("ConstantLR", {"factor": 0.5, "total_iters": 4}, {}),
    ("LambdaLR", {"lr_lambda": lambda epoch: 0.95**epoch}, {}),
    ("MultiplicativeLR", {"lr_lambda": lambda epoch: 0.95 if epoch % 2 else 1.01}, {}),
    ("PolynomialLR", {"total_iters": 9, "power": 2.0}, {}),
    ("CosineAnnealingWarmRestarts", {"T_0": 5, "T_mult": 2, "eta_min": 0.01}, {}),
    ("CyclicLR", {"base_lr": 0.01, "max_lr": 0.3, "step_size_up": 7}, {}),
    ("CyclicLR", {"base_lr": 0.01, "max_lr": 0.3, "step_size_up": 3, "step_size_down": 5, "mode": "triangular2"}, {}),
    ("CyclicLR", {"base_lr": 0.01, "max_lr": 0.3, "step_size_up": 4, "mode": "exp_range", "gamma": 0.98}, {}),
    ("SWALR", {"swa_lr": 0.02}, {}),
    ("SWALR", {"swa_lr": 0.02, "anneal_strategy": "linear", "anneal_epochs": 4}, {}),
    ("OneCycleLR", {"max_lr": 0.5, "total_steps": EPOCHS}, {"betas": (0.9, 0.99)}),
    ("OneCycleLR", {"max_lr": 0.5, "total_steps": EPOCHS, "anneal_strategy": "linear", "three_phase": True}, {}),
]


def schedule_of(module, name, optimizer, settings):
    place = module.swa_utils if name == "SWALR" else module.lr_scheduler
    return getattr(place, name)(optimizer, **settings)


@pytest.mark.parametrize("name,settings,extra", SCHEDULES)
def test_schedule(name, settings, extra):
    """Over 100 epochs; half-way another optimizer and schedule go on from the state."""
    ours, theirs = leaves()
    one, other = optim.Adam(ours, lr=0.1, **extra), torch.optim.Adam(theirs, lr=0.1, **extra)
    first, second = schedule_of(optim, name, one, settings), schedule_of(torch.optim, name, other, settings)
    for step in range(EPOCHS):
        assert first.get_last_lr() == pytest.approx(second.get_last_lr(), rel=1e-9, abs=1e-14), step
        assert one.param_groups[0]["betas"] == pytest.approx(other.param_groups[0]["betas"], rel=1e-12)
        if step == 40:
            states = one.state_dict(), first.state_dict()
            one = optim.Adam(leaves()[0], lr=0.7, **extra)
            first = schedule_of(optim, name, one, settings)
            one.load_state_dict(states[0])
            first.load_state_dict(states[1])
        if step < EPOCHS - 1:
            other.step()
            first.step()
            second.step()


CLOSED = [(name, settings) for name, settings, _ in SCHEDULES[:6] + SCHEDULES[8:10]]


@pytest.mark.parametrize("name,settings", CLOSED)
@pytest.mark.filterwarnings("ignore::UserWarning")  # PyTorch's, that step(epoch) will go
def test_schedules_go_to_any_epoch(name, settings):
    ours, theirs = leaves()
    one, other = optim.SGD(ours, lr=0.1), torch.optim.SGD(theirs, lr=0.1)
    first, second = schedule_of(optim, name, one, settings), schedule_of(torch.optim, name, other, settings)
    for epoch in (3, 11, 0, 6, 5, 40):
        first.step(epoch)
        second.step(epoch)
        assert first.get_last_lr() == pytest.approx(second.get_last_lr(), rel=1e-12), epoch


def test_chained_schedules():
    ours, theirs = leaves()
    one, other = optim.SGD(ours, lr=0.1), torch.optim.SGD(theirs, lr=0.1)

    def make(s, o):
        return s.ChainedScheduler([s.ConstantLR(o, 0.2, 6), s.ExponentialLR(o, 0.9), s.StepLR(o, 3, 0.5)])

    first, second = make(optim.lr_scheduler, one), make(torch.optim.lr_scheduler, other)
    for _ in range(20):
        assert first.get_last_lr() == pytest.approx(second.get_last_lr(), rel=1e-12)
        other.step()
        first.step()
        second.step()


def test_one_schedule_after_another():
    ours, theirs = leaves()
    one, other = optim.SGD(ours, lr=0.1), torch.optim.SGD(theirs, lr=0.1)

    def make(module, schedules, o):
        return module.SequentialLR(
            o, [schedules.LinearLR(o, total_iters=4), schedules.CosineAnnealingLR(o, T_max=10)], milestones=[4]
        )

    first, second = make(optim, optim, one), make(torch.optim.lr_scheduler, torch.optim.lr_scheduler, other)
    for step in range(14):
        assert first.get_last_lr() == pytest.approx(second.get_last_lr(), rel=1e-12), step
        other.step()
        first.step()
        second.step()


@pytest.mark.parametrize("settings", [{}, {"mode": "max", "threshold_mode": "abs", "cooldown": 2, "patience": 1}])
def test_reduce_on_plateau(settings):
    ours, theirs = leaves()
    one, other = optim.SGD(ours, lr=0.1), torch.optim.SGD(theirs, lr=0.1)
    settings = {"patience": 2, "factor": 0.5, **settings}
    first = optim.ReduceLROnPlateau(one, **settings)
    second = torch.optim.lr_scheduler.ReduceLROnPlateau(other, **settings)
    rng = np.random.default_rng(3)
    for value in np.concatenate([rng.random(20), np.full(10, 0.5)]):
        first.step(value)
        second.step(value)
        assert one.param_groups[0]["lr"] == pytest.approx(other.param_groups[0]["lr"], rel=1e-12)


@pytest.mark.parametrize("kind", [2.0, 1.0, 3.0, math.inf, -math.inf, -1.0])
@pytest.mark.parametrize("limit", [0.5, 100.0])
def test_clipping_by_norm(kind, limit):
    ours, theirs = leaves()
    for a, b in zip(ours[:-1], theirs[:-1], strict=True):
        a.grad, b.grad = a.detach() * 2, b.detach() * 2
    total = optim.clip_grad_norm_(ours, limit, kind)
    expected = torch.nn.utils.clip_grad_norm_(theirs, limit, kind)
    assert total.item() == pytest.approx(expected.item(), rel=1e-5)
    for a, b in zip(ours[:-1], theirs[:-1], strict=True):
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-5)
    assert ours[-1].grad is None


def test_clipping_by_value():
    ours, theirs = leaves()
    for a, b in zip(ours, theirs, strict=True):
        a.grad, b.grad = a.detach() * 2, b.detach() * 2
    optim.clip_grad_value_(ours, 0.7)
    torch.nn.utils.clip_grad_value_(theirs, 0.7)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-6)
