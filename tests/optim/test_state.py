"""`optimizer.state`, used as PyTorch's users use it."""

import numpy as np
import pytest

import twain
from twain import nn, optim
from twain.base.errors import ArgumentError, ShapeError


def stepped(kind=optim.Adam, **settings):
    params = [twain.random.normal((3, 2)).requires_grad_(), twain.random.normal((2,)).requires_grad_()]
    optimizer = kind(params, **settings)
    for p in params:
        p.grad = twain.random.normal(tuple(p.shape))
    optimizer.step()
    return params, optimizer


def test_state_is_read_by_parameter():
    (w, b), optimizer = stepped()
    assert list(optimizer.state) == [w, b] or [id(p) for p in optimizer.state] == [id(w), id(b)]
    assert set(optimizer.state[w]) == {"step", "exp_avg", "exp_avg_sq"}
    assert optimizer.state[w]["step"].item() == 1
    np.testing.assert_allclose(optimizer.state[b]["exp_avg"].numpy(), 0.1 * b.grad.numpy(), rtol=1e-5)
    assert w in optimizer.state and twain.ones((2,)) not in optimizer.state
    assert len(optimizer.state) == 2 and optimizer.state.get(twain.ones((2,))) is None
    assert {id(p): set(row) for p, row in optimizer.state.items()}[id(b)] == {"step", "exp_avg", "exp_avg_sq"}
    assert "exp_avg" in repr(optimizer.state)


def test_state_can_be_moved_and_assigned():
    (w, b), optimizer = stepped()
    for row in optimizer.state.values():  # how people move state to a device
        for key, value in row.items():
            if isinstance(value, twain.Tensor):
                row[key] = value.to("cpu")
    optimizer.state[w]["exp_avg"] = twain.zeros((3, 2))
    optimizer.state[b] = {"step": 5, "exp_avg": np.ones(2), "exp_avg_sq": twain.ones((2,), dtype="float64")}
    before, g = w.detach().numpy().copy(), w.grad.numpy()
    optimizer.step()
    assert optimizer.state[w]["step"].item() == 2 and optimizer.state[b]["step"].item() == 6
    np.testing.assert_allclose(optimizer.state[w]["exp_avg"].numpy(), 0.1 * g, rtol=1e-5)
    np.testing.assert_allclose(optimizer.state[b]["exp_avg"].numpy(), 0.9 + 0.1 * b.grad.numpy(), rtol=1e-5)
    assert optimizer.state[b]["exp_avg_sq"].dtype == twain.float32
    assert (w.detach().numpy() != before).any()


@pytest.mark.parametrize("reset", ["clear", "delete", "assign", "all"])
def test_state_can_start_over(reset):
    (w, b), optimizer = stepped(optim.Adagrad, initial_accumulator_value=0.5)
    if reset == "clear":
        optimizer.state.clear()
    elif reset == "delete":
        del optimizer.state[w], optimizer.state[b]
    elif reset == "assign":
        optimizer.state[w] = {}
        optimizer.state[b] = {}
    else:
        optimizer.state = {w: {"sum": twain.full((3, 2), 0.5)}}
    for p in (w, b):
        assert optimizer.state[p]["step"].item() == 0
        np.testing.assert_array_equal(optimizer.state[p]["sum"].numpy(), np.full(tuple(p.shape), 0.5))


def test_mistakes_with_state_are_explained():
    (w, _), optimizer = stepped()
    with pytest.raises(KeyError, match=r"Adam.state.*one of its parameters, got a tensor of shape \(4,\)"):
        optimizer.state[twain.ones((4,))]
    with pytest.raises(KeyError, match="got 'exp_avg'"):
        optimizer.state["exp_avg"]
    with pytest.raises(ShapeError, match=r"expected exp_avg of shape \(3, 2\), got \(2, 3\)"):
        optimizer.state[w] = {"exp_avg": twain.zeros((2, 3))}
    with pytest.raises(ArgumentError, match="expected a dictionary"):
        optimizer.state[w] = 3
    with pytest.raises(ArgumentError, match="mapping from parameters"):
        optimizer.state = [1, 2]


def test_an_optimizer_of_the_users_own_keeps_what_it_likes():
    class Momentum(optim.Optimizer):
        def __init__(self, params, lr):
            super().__init__(params, {"lr": lr})

        def step(self, closure=None):
            with twain.no_grad():
                for group in self.param_groups:
                    for p in group["params"]:
                        state = self.state[p]
                        if len(state) == 0:
                            state["count"] = 0
                            state["velocity"] = twain.zeros_like(p)
                        state["count"] += 1
                        state["velocity"] = 0.5 * state["velocity"] + p.grad
                        p.sub_(group["lr"] * state["velocity"]) if hasattr(p, "sub_") else p.assign(
                            p - group["lr"] * state["velocity"]
                        )

    def made():
        model = nn.Linear(2, 2)
        return model, Momentum(model.parameters(), 0.1)

    model, optimizer = made()
    for _ in range(3):
        optimizer.zero_grad()
        model(twain.ones((1, 2))).sum().backward()
        optimizer.step()
    np.testing.assert_allclose(optimizer.state[model.bias]["velocity"].numpy(), np.full(2, 1.75))
    saved = optimizer.state_dict()
    _, other = made()
    assert other.state_dict()["state"] == {}
    other.load_state_dict(saved)
    assert other.state[1]["count"] == 3
    np.testing.assert_allclose(other.state[1]["velocity"].numpy(), np.full(2, 1.75))
