"""Every optimizer with every input of PyTorch's own optimizer database: trajectories, state names, misuse."""

import numpy as np
import pytest

import twain
from twain import optim

torch = pytest.importorskip("torch")
from torch.testing._internal.common_optimizers import optim_db  # noqa: E402

STEPS = 6
DB = {info.optim_cls.__name__: info for info in optim_db}
DTYPES = ("float32", "float64", "complex64", "complex128", "bfloat16")
TOLERANCE = {"float32": 2e-5, "float64": 2e-7, "complex64": 2e-5, "complex128": 2e-7, "bfloat16": 0.05}


def values(rng, shape, dtype):
    x = rng.standard_normal(shape)
    return x + 1j * rng.standard_normal(shape) if dtype.startswith("complex") else x


def arrays(name, dtype, rng):
    shapes = [(5, 3), (3, 7)] if name == "Muon" else [(5, 3), (7,), (2, 3, 4), ()]
    return [np.asarray(values(rng, s, dtype)) for s in shapes]


def both(array, dtype):
    return twain.asarray(array).astype(dtype), torch.tensor(array).to(getattr(torch, dtype))


def ours_of(kwargs):
    return {k: v.item() if isinstance(v, torch.Tensor) else v for k, v in kwargs.items()}


def compare(found, wanted, dtype, what):
    found = found.detach()
    if dtype == "bfloat16" and str(found.dtype) == "bfloat16":
        found, wanted = found.astype("float32"), wanted.float()
    wanted = wanted.detach().numpy()
    limit = TOLERANCE[dtype]
    scale = max(1e-3, float(np.abs(wanted).max(initial=0)))
    np.testing.assert_allclose(found.numpy(), wanted, rtol=limit, atol=limit * scale, err_msg=what)


@pytest.mark.parametrize("name", [n for n in DB if n not in ("LBFGS", "SparseAdam")])
@pytest.mark.parametrize("dtype", DTYPES)
def test_trajectory(name, dtype):
    info = DB[name]
    if dtype.startswith("complex") and not info.supports_complex:
        with pytest.raises(TypeError, match="expected real parameters"):
            getattr(optim, name)([twain.zeros((2, 2), dtype=dtype).requires_grad_()])
        return
    for number, given in enumerate(info.optim_inputs_func("cpu")):
        rng = np.random.default_rng(number)
        pairs = [both(a, dtype) for a in arrays(name, dtype, rng)]
        ours, theirs = [a.requires_grad_() for a, _ in pairs], [b.requires_grad_() for _, b in pairs]
        one = getattr(optim, name)(ours, **ours_of(given.kwargs))
        other = (
            info.optim_cls(theirs, foreach=False, **given.kwargs)
            if name != "Muon"
            else info.optim_cls(theirs, **given.kwargs)
        )
        for _ in range(STEPS):
            for a, b in zip(ours, theirs, strict=True):
                a.grad, b.grad = both(values(rng, a.shape, dtype), dtype)
            one.step()
            other.step()
        for a, b in zip(ours, theirs, strict=True):
            compare(a, b, dtype, f"{given.desc}: parameter of shape {tuple(a.shape)}")
        state, wanted = one.state_dict()["state"], other.state_dict()["state"]
        for i, row in wanted.items():
            assert set(row) - {"step"} == set(state[i]) - {"step"}, given.desc
            for key, tensor in row.items():
                compare(state[i][key], tensor, dtype, f"{given.desc}: {key} of parameter {i}")
        groups, expected = one.state_dict()["param_groups"], other.state_dict()["param_groups"]
        assert set(groups[0]) == set(expected[0]), given.desc


def minimise(make, tensors, framework, steps):
    """L-BFGS on a smooth function of two tensors: losses, parameters, evaluations."""
    optimizer = make(tensors)

    def closure():
        optimizer.zero_grad()
        a, b = tensors
        loss = ((a * a - 2.0) ** 2).sum() + ((a.sum() - b) ** 2).sum() + 0.1 * (b**4).sum()
        loss.backward()
        return loss

    return [float(optimizer.step(closure).detach()) for _ in range(steps)], optimizer


LBFGS_TRIES = [
    *(given.kwargs for given in DB["LBFGS"].optim_inputs_func("cpu")),
    {"history_size": 2, "lr": 0.1},
    {"line_search_fn": "strong_wolfe", "max_iter": 4},
]


@pytest.mark.parametrize("kwargs", LBFGS_TRIES, ids=str)
def test_lbfgs(kwargs):
    rng = np.random.default_rng(4)
    pairs = [both(rng.standard_normal(shape), "float64") for shape in ((3,), (2, 2))]
    ours, theirs = [a.requires_grad_() for a, _ in pairs], [b.requires_grad_() for _, b in pairs]
    found, one = minimise(lambda p: optim.LBFGS(p, **ours_of(kwargs)), ours, twain, 4)
    wanted, other = minimise(lambda p: torch.optim.LBFGS(p, **kwargs), theirs, torch, 4)
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-12)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-5, atol=1e-8)
    state, expected = one.state_dict()["state"][0], other.state_dict()["state"][0]
    assert state["func_evals"] == expected["func_evals"] and state["n_iter"] == expected["n_iter"]
    assert set(state) == set(expected) - {"al"}


def test_sparse_adam():
    for given in DB["SparseAdam"].optim_inputs_func("cpu"):
        rng = np.random.default_rng(6)
        ours, theirs = (t.requires_grad_() for t in both(rng.standard_normal((6, 3)), "float64"))
        one = optim.SparseAdam([ours], **ours_of(given.kwargs))
        other = torch.optim.SparseAdam([theirs], **given.kwargs)
        for _ in range(STEPS):
            g = rng.standard_normal((6, 3)) * (rng.random((6, 1)) < 0.5)
            rows = np.flatnonzero(g.any(1))
            ours.grad = twain.asarray(g)
            theirs.grad = torch.sparse_coo_tensor(rows[None], torch.tensor(g[rows]), (6, 3), check_invariants=True)
            one.step()
            other.step()
        compare(ours, theirs, "float64", given.desc)
        for key in ("exp_avg", "exp_avg_sq"):
            compare(one.state[0][key], other.state[theirs][key], "float64", key)


@pytest.mark.parametrize("name", [n for n in DB if n not in ("LBFGS", "SparseAdam")])
def test_a_state_dictionary_of_pytorch_goes_on_here(name):
    dtype = "float64"
    rng = np.random.default_rng(9)
    pairs = [both(a, dtype) for a in arrays(name, dtype, rng)]
    ours, theirs = [a.requires_grad_() for a, _ in pairs], [b.requires_grad_() for _, b in pairs]
    other = DB[name].optim_cls(theirs, lr=0.03)
    one = getattr(optim, name)(ours, lr=1.0)
    for step in range(6):
        grads = [both(values(rng, b.shape, dtype), dtype) for b in theirs]
        for a, b, (g, h) in zip(ours, theirs, grads, strict=True):
            a.grad, b.grad = g, h
        other.step()
        if step >= 3:
            one.step()
        if step == 2:
            state = other.state_dict()
            state["state"] = {
                i: {k: v.numpy() if isinstance(v, torch.Tensor) else v for k, v in row.items()}
                for i, row in state["state"].items()
            }
            one.load_state_dict(state)
            with twain.no_grad():
                for a, b in zip(ours, theirs, strict=True):
                    a.assign(twain.asarray(b.detach().numpy()))
    for a, b in zip(ours, theirs, strict=True):
        compare(a, b, dtype, name)


def test_every_optimizer_is_here():
    assert set(DB) <= set(dir(optim))
