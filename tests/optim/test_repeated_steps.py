"""Steps that the core repeats by itself: the same numbers as steps worked out anew, whatever was changed in between."""

import copy
import pickle

import numpy as np
import pytest

import twain
from twain import _core, optim

SHAPES = [(3, 4), (4,), (2, 3), ()]
KINDS = ["SGD", "Adam", "NAdam", "Adafactor"]


def parameters(rng, shapes=SHAPES):
    return [twain.asarray(rng.normal(size=s).astype("float32")).requires_grad_() for s in shapes]


def copies(params):
    return [twain.asarray(p.detach().numpy().copy()).requires_grad_() for p in params]


def set_gradients(params, rng):
    for p in params:
        p.grad = twain.asarray(rng.normal(size=tuple(p.shape)).astype("float32"))


def make(kind, params):
    return getattr(optim, kind)(params, **({"momentum": 0.9} if kind == "SGD" else {}))


def change_rate(optimizer):
    optimizer.param_groups[0]["lr"] = 0.25


def begin_decay(optimizer):
    optimizer.param_groups[0]["weight_decay"] = 0.1


def turn_round(optimizer):
    optimizer.param_groups[0]["maximize"] = True


def drop_gradient(optimizer):
    optimizer.param_groups[0]["params"][1].grad = None


def take_out(optimizer):
    optimizer.param_groups[0]["params"][2].requires_grad_(False).grad = None


def add_group(optimizer):
    p = twain.ones((5,)).requires_grad_()
    p.grad = twain.full((5,), 0.5)
    optimizer.add_param_group({"params": [p], "lr": 0.5})


def replace_gradient(optimizer):
    p = optimizer.param_groups[0]["params"][0]
    p.grad = p.grad * 3


def share_gradient(optimizer):
    params = optimizer.param_groups[0]["params"]
    params[0].grad = params[0].detach()  # the very memory of the parameter


def replace_state(optimizer):
    row = optimizer.state[optimizer.param_groups[0]["params"][0]]
    key = next(k for k in row if k not in ("step", "mu_product"))
    row[key] = twain.full(tuple(row[key].shape), 0.5)


def replace_step(optimizer):
    optimizer.state[optimizer.param_groups[0]["params"][0]]["step"] = 7


def load(optimizer):
    state = copy.deepcopy(optimizer.state_dict())
    state["param_groups"][0]["lr"] = 0.125
    optimizer.load_state_dict(state)


def start_over(optimizer):
    optimizer.state.clear()


CHANGES = [
    change_rate, begin_decay, turn_round, drop_gradient, take_out, add_group, replace_gradient, share_gradient, replace_state,
    replace_step, load, start_over,
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES, ids=lambda f: f.__name__)
@pytest.mark.parametrize("kind", KINDS)
def test_repeated_steps_notice_what_changed(kind, change):
    seed = np.random.SeedSequence().entropy
    results = []
    for anew in (False, True):
        rng = np.random.default_rng(seed)
        params = parameters(rng)
        optimizer = make(kind, params)
        for number in range(7):
            if number != 4:
                set_gradients(params, rng)
            if number == 4:
                change(optimizer)
            if number == 6 and change is take_out:
                params[2].requires_grad_(True)
            if anew:
                for group in optimizer.param_groups:
                    group.memory = _core.UpdateMemory()
            optimizer.step()
        everything = [p for group in optimizer.param_groups for p in group.params]
        results.append(
            [p.detach().numpy() for p in everything]
            + [v.numpy() for row in optimizer.state.values() for v in row.values()]
        )
    for repeated, worked_out in zip(*results, strict=True):
        np.testing.assert_array_equal(repeated, worked_out)
        assert np.isfinite(repeated).all()


def test_steps_are_repeated():
    rng = np.random.default_rng()
    params = parameters(rng)
    optimizer = optim.Adam(params)
    set_gradients(params, rng)
    optimizer.step()
    group = optimizer.param_groups[0]
    flags = optimizer._flags(group)
    assert group.memory.repeat(group.params, flags, None)
    assert optimizer.state[0]["step"].item() == 2
    assert not group.memory.repeat(group.params[:-1], flags, None)
    assert not group.memory.repeat(group.params, (*flags[:-1], True), None)
    assert not group.memory.repeat(group.params, flags, twain.asarray(True))
    params[0].grad = None
    assert not group.memory.repeat(group.params, flags, None)
    assert optimizer.state[0]["step"].item() == 2


@pytest.mark.parametrize("count", [3, 40])  # few operands, and more than a word has bits
def test_steps_write_in_place_only_what_nobody_else_holds(count):
    rng = np.random.default_rng()
    params = parameters(rng, [(7,)] * count)
    optimizer = optim.Adam(params, lr=0.1)
    set_gradients(params, rng)
    optimizer.step()
    optimizer.step()

    def addresses():
        return [p.data_ptr() for p in params] + [row["exp_avg"].data_ptr() for row in optimizer.rows]

    before = addresses()
    optimizer.step()
    assert addresses() == before
    held = [params[0].detach(), params[-1].detach(), optimizer.rows[-1]["exp_avg"].detach()]
    exported = params[1].detach().numpy()
    kept = [h.numpy().copy() for h in held] + [exported.copy()]
    gradients = [p.grad.numpy().copy() for p in params]
    optimizer.step()
    for now, then in zip([h.numpy() for h in held] + [exported], kept, strict=True):
        np.testing.assert_array_equal(now, then)
    assert (params[-1].detach().numpy() != kept[1]).all()
    for p, g in zip(params, gradients, strict=True):
        np.testing.assert_array_equal(p.grad.numpy(), g)


@pytest.mark.parametrize("count", [3, 40])
def test_compiled_steps_of_many_parameters_write_in_place(count):
    rng = np.random.default_rng()
    mine = parameters(rng, [(7,)] * count)
    theirs = copies(mine)
    one, two = optim.Adam(mine, lr=0.1), optim.Adam(theirs, lr=0.1)
    set_gradients(mine, rng)
    for p, q in zip(mine, theirs, strict=True):
        q.grad = p.grad.detach()
    gradients = [p.grad.numpy().copy() for p in mine]
    step = twain.compile(lambda scale: (two.step(), scale * 2)[1])
    scale = twain.ones((7,))

    def addresses():
        return {v.data_ptr() for v in (*theirs, *(row[key] for row in two.rows for key in ("exp_avg", "exp_avg_sq")))}

    for number in range(7):
        if number == 6:
            before = addresses()
            held, kept = theirs[-1].detach(), theirs[-1].detach().numpy().copy()
        one.step()
        step(scale)
    assert step.hits >= 2
    assert len(before - addresses()) <= 1  # new memory for what is held only
    np.testing.assert_array_equal(held.numpy(), kept)
    np.testing.assert_array_equal(scale.numpy(), np.ones(7))
    for p, q, g in zip(mine, theirs, gradients, strict=True):
        np.testing.assert_allclose(q.detach().numpy(), p.detach().numpy(), rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(q.grad.numpy(), g)


def test_copies_begin_with_nothing_learnt():
    rng = np.random.default_rng()
    params = parameters(rng)
    optimizer = optim.Adam(params)
    set_gradients(params, rng)
    optimizer.step()
    memory = optimizer.param_groups[0].memory
    assert isinstance(pickle.loads(pickle.dumps(memory)), _core.UpdateMemory)
    other = copy.deepcopy(optimizer)
    assert other.param_groups[0].params[0] is not params[0]
    before = params[0].detach().numpy().copy()
    for p in other.param_groups[0].params:
        p.grad = twain.ones(tuple(p.shape))
    other.step()
    np.testing.assert_array_equal(params[0].detach().numpy(), before)
    assert other.state[0]["step"].item() == 2 and optimizer.state[0]["step"].item() == 1


def test_a_memory_refuses_nonsense():
    memory = _core.UpdateMemory()
    assert memory.repeat([], (), None) is False
    with pytest.raises(TypeError, match="expected a list of parameters"):
        memory.repeat((), (), None)
    op = optim.Adam.update.op
    with pytest.raises(ValueError, match="number of a parameter"):
        memory.learn(op, ((0,), False, (False, False, False, False)), [], [], [3], [])
    with pytest.raises(TypeError):
        memory.learn(op, ((0,), False, (False, False, False, False)), [1], [], [], [])
