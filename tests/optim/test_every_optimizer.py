"""Every optimizer from one table: compiled as eagerly, in every kind of dtype, with state that goes from one to another."""

import numpy as np
import pytest

import twain
from twain import optim

# Settings that switch on as many terms as one trial can; "real": takes no complex parameters; "matrices": only those.
TABLE = {
    "ASGD": ({"lambd": 0.1, "t0": 1, "weight_decay": 0.1}, ()),
    "Adadelta": ({"lr": 1.0, "eps": 0.01, "weight_decay": 0.1, "rho": 0.8}, ()),
    "Adafactor": ({"weight_decay": 0.1}, ("real",)),
    "Adagrad": ({"lr_decay": 0.1, "initial_accumulator_value": 0.1, "weight_decay": 0.1}, ()),
    "Adam": ({"amsgrad": True, "weight_decay": 0.1}, ()),
    "AdamW": ({"betas": (0.8, 0.9)}, ()),
    "Adamax": ({"weight_decay": 0.1}, ()),
    "LBFGS": ({}, ("closure",)),
    "Muon": ({"ns_steps": 2}, ("real", "matrices")),
    "NAdam": ({"weight_decay": 0.1, "decoupled_weight_decay": True}, ()),
    "RAdam": ({"betas": (0.8, 0.9), "weight_decay": 0.1}, ()),
    "RMSprop": ({"momentum": 0.9, "centered": True, "weight_decay": 0.1}, ()),
    "Rprop": ({}, ()),
    "SGD": ({"momentum": 0.9, "dampening": 0.1, "weight_decay": 0.1}, ()),
    "SparseAdam": ({}, ("real",)),
}
STEPPED = [name for name, (_, marks) in TABLE.items() if "closure" not in marks]
DTYPES = ("float32", "bfloat16", "complex64")
STEPS = 7


def test_the_table_is_complete():
    exported = {
        name
        for name in optim.__all__
        if isinstance(getattr(optim, name), type) and issubclass(getattr(optim, name), optim.Optimizer)
    }
    assert exported - {"Optimizer"} == set(TABLE)
    assert {c.__name__ for c in optim.OPTIMIZERS.values()} == set(STEPPED)


def draw(rng, shape, dtype):
    x = rng.standard_normal(shape)
    return twain.asarray(x + 1j * rng.standard_normal(shape) if dtype == "complex64" else x).astype(dtype)


def make(name, dtype, seed=0):
    rng = np.random.default_rng(seed)
    settings, marks = TABLE[name]
    params = [
        draw(rng, s, dtype).requires_grad_() for s in ([(3, 2), (2, 5)] if "matrices" in marks else [(3, 2), (5,)])
    ]
    return params, getattr(optim, name)(params, **{"lr": 0.05, **settings})


def gradients(params, dtype):
    rng = np.random.default_rng(1)
    return [[draw(rng, tuple(p.shape), dtype) for p in params] for _ in range(STEPS)]


def plain(x):
    x = x.detach()
    return (x.astype("float32") if x.dtype == twain.bfloat16 else x).numpy()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", STEPPED)
def test_compiled_is_eager(name, dtype):
    if dtype == "complex64" and "real" in TABLE[name][1]:
        pytest.skip("real parameters only")
    (params, one), (others, two) = make(name, dtype), make(name, dtype)

    @twain.compile
    def step(weights):
        two.zero_grad()
        sum((w.conj() * p if p.dtype.kind == "c" else w * p).real.sum() for w, p in zip(weights, others)).backward()
        two.step()
        two.zero_grad()

    start = [plain(p) for p in params]
    for number, row in enumerate(gradients(params, dtype)):
        if number == 3:  # a schedule does not compile anything again
            for optimizer in (one, two):
                optimizer.param_groups[0]["lr"] *= 0.5
        one.zero_grad()
        sum((w.conj() * p if p.dtype.kind == "c" else w * p).real.sum() for w, p in zip(row, params)).backward()
        one.step()
        step(row)
    assert step.hits >= STEPS - 4
    limit = {"rtol": 0.02, "atol": 0.02} if dtype == "bfloat16" else {"rtol": 1e-5, "atol": 1e-6}
    for p, q, before in zip(params, others, start, strict=True):
        assert np.isfinite(plain(p)).all() and (plain(p) != before).any()
        np.testing.assert_allclose(plain(q), plain(p), **limit)
    for row, other in zip(one.rows, two.rows, strict=True):
        assert list(row) == list(other)
        for key, value in row.items():
            np.testing.assert_allclose(plain(other[key]), plain(value), err_msg=key, **limit)


@pytest.mark.parametrize("name", STEPPED)
def test_a_step_left_out_changes_nothing(name):
    params, optimizer = make(name, "float32")
    rows = gradients(params, "float32")

    def go(row, skip):
        for p, g in zip(params, row, strict=True):
            p.grad = g
        optimizer.step_unless(twain.asarray(skip))

    def everything():
        return [plain(p) for p in params] + [plain(v) for row in optimizer.state.values() for v in row.values()]

    go(rows[0], False)
    before = everything()
    go([g * float("nan") for g in rows[1]], True)
    assert all((a == b).all() for a, b in zip(before, everything(), strict=True))
    go(rows[1], False)
    assert any((a != b).any() for a, b in zip(before, everything(), strict=True))


@pytest.mark.parametrize("name", STEPPED)
def test_state_goes_on_in_another_optimizer(name):
    def go(params, optimizer, rows):
        for row in rows:
            for p, g in zip(params, row, strict=True):
                p.grad = g
            optimizer.step()

    params, optimizer = make(name, "float32")
    rows = gradients(params, "float32")
    go(params, optimizer, rows[:3])
    others, other = make(name, "float32", seed=2)
    other.load_state_dict(optimizer.state_dict())
    with twain.no_grad():
        for p, q in zip(params, others, strict=True):
            q.assign(p.detach())
    go(params, optimizer, rows[3:])
    go(others, other, rows[3:])
    for p, q in zip(params, others, strict=True):
        assert (plain(p) == plain(q)).all()


def test_lbfgs_minimises_rosenbrock():
    p = twain.asarray([-1.2, 1.0], dtype="float64").requires_grad_()
    optimizer = optim.LBFGS([p], line_search_fn="strong_wolfe", max_iter=100, tolerance_change=1e-15)

    @twain.compile
    def loss_and_gradient():
        optimizer.zero_grad()
        loss = (1 - p[0]) ** 2 + 100 * (p[1] - p[0] ** 2) ** 2
        loss.backward()
        return loss

    assert float(optimizer.step(loss_and_gradient)) == pytest.approx(24.2)
    np.testing.assert_allclose(plain(p), [1, 1], rtol=1e-6)
    again = optim.LBFGS([p])
    again.load_state_dict(optimizer.state_dict())
    assert again.state[0]["n_iter"] == optimizer.state[0]["n_iter"]


def test_lbfgs_misuse():
    p = twain.zeros((2,)).requires_grad_()
    with pytest.raises(TypeError, match="expected a closure"):
        optim.LBFGS([p]).step()
    with pytest.raises(TypeError, match="one group"):
        optim.LBFGS([{"params": [p]}, {"params": [twain.zeros((1,)).requires_grad_()]}])
    with pytest.raises(TypeError, match="strong_wolfe"):
        optim.LBFGS([p], line_search_fn="armijo")
