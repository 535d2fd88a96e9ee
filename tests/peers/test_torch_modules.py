"""PyTorch's own module database: for each module that twain has, outputs, gradients, state-dict names and refusals.

The database has constructor arguments and inputs for every module of torch.nn, in training and evaluation mode.
"""

import functools
import warnings

import numpy as np
import pytest

import twain
from twain import nn

torch = pytest.importorskip("torch")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    database = pytest.importorskip("torch.testing._internal.common_modules")

OURS = [info for info in database.module_db if hasattr(nn, info.module_cls.__name__)]
BY_NAME = {info.module_cls.__name__: info for info in OURS}

# Samples that mean something else in twain, and why.
SKIPPED = {
    ("TransformerEncoder", "fast"): "nested tensors",
}


def converted(value):
    """Arguments of PyTorch's as twain's."""
    if isinstance(value, torch.Tensor):
        array = value.detach().numpy()
        ours = twain.asarray(array.copy())
        return ours.requires_grad_() if value.requires_grad else ours
    if isinstance(value, torch.dtype):
        return str(value).removeprefix("torch.")
    if isinstance(value, torch.device):
        return str(value)
    if isinstance(value, (list, tuple)):
        return type(value)(converted(v) for v in value)
    if isinstance(value, dict):
        return {k: converted(v) for k, v in value.items()}
    if callable(value) and hasattr(nn.functional, getattr(value, "__name__", "")):
        return getattr(nn.functional, value.__name__)
    return value


def leaves(value):
    """The tensors in a result or in arguments, in order."""
    if isinstance(value, (torch.Tensor, twain.Tensor)):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [leaf for v in value for leaf in leaves(v)] if isinstance(value, (list, tuple)) else []


def close(ours, theirs, what):
    a, b = ours.detach().numpy(), theirs.detach().numpy()
    assert a.shape == b.shape, f"{what}: shape {a.shape}, expected {b.shape}"
    assert str(a.dtype) == str(b.dtype), f"{what}: {a.dtype}, expected {b.dtype}"
    tolerance = {"rtol": 1e-6, "atol": 1e-7} if a.dtype == "float64" else {"rtol": 2e-4, "atol": 2e-5}
    np.testing.assert_allclose(a, b, **tolerance, err_msg=what)


def inputs_of(info, training, dtype):
    torch.manual_seed(np.random.randint(1 << 30))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return info.module_inputs_func(info, device="cpu", dtype=dtype, requires_grad=True, training=training)


def compare_modules(info, one, training, dtype):
    """One entry: everything of a call of both."""
    name = info.module_cls.__name__
    args, kwargs = one.constructor_input.args, dict(one.constructor_input.kwargs)
    what = f"{name}({args}, {kwargs}) {one.desc}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = info.module_cls(*args, **kwargs).to(dtype)
    ours = getattr(nn, name)(*converted(args), **converted(kwargs)).to(str(dtype).removeprefix("torch."))
    theirs.train(training)
    ours.train(training)
    given = (one.forward_input.args, dict(one.forward_input.kwargs))
    mine = converted(given)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if info.is_lazy:
            theirs(*given[0], **given[1])
            ours(*mine[0], **mine[1])
    state = {key: value.detach().numpy().copy() for key, value in theirs.state_dict().items()}
    assert {k: tuple(v.shape) for k, v in ours.state_dict().items()} == {k: v.shape for k, v in state.items()}, what
    assert [n for n, _ in ours.named_parameters()] == [n for n, _ in theirs.named_parameters()], what
    ours.load_state_dict(state)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = theirs(*given[0], **given[1])
    result = ours(*mine[0], **mine[1])
    wanted, got = leaves(expected), leaves(result)
    assert len(wanted) == len(got), what
    total, other = 0.0, 0.0
    for i, (a, b) in enumerate(zip(got, wanted)):
        close(a, b, f"{what}: result {i}")
        if b.requires_grad:
            projection = np.random.standard_normal(b.shape).astype(str(b.dtype)[6:])
            total = total + (a * twain.asarray(projection)).sum()
            other = other + (b * torch.tensor(projection)).sum()
    if isinstance(other, torch.Tensor):
        other.backward()
        total.backward()
    pairs = list(zip(leaves(mine), leaves(given)))
    pairs += [(a, b) for (_, a), (_, b) in zip(ours.named_parameters(), theirs.named_parameters())]
    for i, (a, b) in enumerate(pairs):
        if b.is_leaf and b.grad is not None:
            assert a.grad is not None, f"{what}: gradient {i} is missing"
            close(a.grad, b.grad, f"{what}: gradient {i} of shape {tuple(b.shape)}")
    after = theirs.state_dict()
    for key, value in ours.state_dict().items():
        close(value, after[key], f"{what}: {key} after the call")


@pytest.mark.parametrize("name", BY_NAME)
def test_module(name):
    info = BY_NAME[name]
    failures = []
    for training in (True, False):
        if not training and not info.train_and_eval_differ:
            continue
        for dtype in (torch.float64, torch.float32):
            for number, one in enumerate(inputs_of(info, training, dtype)):
                if dtype is torch.float32 and number > 1:
                    break  # the rest differs in settings, not in what a dtype does
                made_of_modules = any(isinstance(a, torch.nn.Module) for a in one.constructor_input.args)
                if (name, one.desc) in SKIPPED or one.forward_input is None or made_of_modules:
                    continue
                try:
                    compare_modules(info, one, training, dtype)
                except Exception as error:
                    where = functools.reduce(lambda tb, _: tb.tb_next or tb, range(20), error.__traceback__)
                    failures.append(
                        f"{dtype} {'train' if training else 'eval'} {one.constructor_input.args} "
                        f"{one.constructor_input.kwargs} {one.desc}: {type(error).__name__}: {str(error)[:600]} "
                        f"({where.tb_frame.f_code.co_filename}:{where.tb_lineno})"
                    )
    assert not failures, f"{len(failures)} failures, the first:\n" + "\n".join(failures[:3])


# Where twain takes what PyTorch refuses, and why.
TAKEN = {("NLLLoss", 0): "a weight of another floating dtype is promoted, as everywhere"}


@pytest.mark.parametrize("name", [name for name, info in BY_NAME.items() if info.module_error_inputs_func])
def test_refusals(name):
    info = BY_NAME[name]
    bad_inputs = info.module_error_inputs_func(
        info, device="cpu", dtype=torch.float64, requires_grad=False, training=True
    )
    for number, bad in enumerate(bad_inputs):
        one = bad.module_error_input
        constructor, call = one.constructor_input, one.forward_input
        if (name, number) in TAKEN:
            continue
        with pytest.raises((ValueError, TypeError, RuntimeError, IndexError)):
            layer = getattr(nn, name)(*converted(constructor.args), **converted(constructor.kwargs))
            if call is not None:
                layer(*converted(call.args), **converted(call.kwargs))
            raise AssertionError(f"{name} takes {constructor.args} {constructor.kwargs}, {call and call.args}")
