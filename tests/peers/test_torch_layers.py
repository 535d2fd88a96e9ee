"""The declarations of `twain.testing.layers` against PyTorch's layers of the same name and arguments; and what is missing."""

import warnings

import numpy as np
import pytest

import twain
from twain import nn
from twain.testing import layers

torch = pytest.importorskip("torch")
from torch_compare import close  # noqa: E402

CASES = [case for case in layers.CASES if case.torch and not case.random]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_layer(case):
    ours, arrays = layers.make(case)
    rest = {k: torch.tensor(v.numpy()) if isinstance(v, twain.Tensor) else v for k, v in case.kwargs.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = getattr(torch.nn, case.name)(*case.args, **rest).to(torch.float64)
        tensors = layers.operands(arrays, "float64")
        given = [torch.tensor(a.astype("float64") if a.dtype.kind == "f" else a) for a in arrays]
        for a, t in zip(arrays, given):
            t.requires_grad_(a.dtype == "float64")
        theirs.eval()(*given)  # lazy ones
        theirs.train()
    theirs.load_state_dict({k: torch.tensor(v.numpy()) for k, v in ours.state_dict().items()})
    total = 0.0
    for a, b in zip(layers.results(ours(*tensors)), layers.results(theirs(*given)), strict=True):
        close(a, b, rtol=1e-7, atol=1e-8)
        if b.dtype.is_floating_point:
            total = total + (b * torch.tensor(layers.place_weights(a).numpy())).sum()
    for key, value in ours.state_dict().items():
        close(value, theirs.state_dict()[key], rtol=1e-7, atol=1e-8)
    if not total.requires_grad:
        return
    total.backward()
    ours.load_state_dict(ours.state_dict())
    layers.projected(ours, tensors).backward()
    pairs = [*zip(tensors, given), *((p, theirs.get_parameter(n)) for n, p in ours.named_parameters())]
    for a, b in pairs:
        if b.grad is not None:
            close(a.grad, b.grad, rtol=1e-6, atol=1e-7)


# Classes of torch.nn that twain does without, and why.
WITHOUT = {
    "Container": "removed from use in PyTorch long ago", "NLLLoss2d": "removed from use, NLLLoss does the same",
    "RNNBase": "a base class", "RNNCellBase": "a base class",
    "SyncBatchNorm": "waits for distributed training", "Buffer": "register_buffer",
    "LinearCrossEntropyOptions": "chooses how PyTorch divides the work; the compiler does here",
}  # fmt: skip


def test_every_class_of_torch_nn_is_there():
    names = {*torch.nn.modules.__all__, "Parameter", "UninitializedParameter", "UninitializedBuffer", "Buffer"}
    missing = {name for name in names if not hasattr(nn, name)}
    assert missing - set(WITHOUT) == set()


PLUMBING = {
    "assert_int_or_pair", "boolean_dispatch", "handle_torch_function", "has_torch_function", "has_torch_function_unary",
    "has_torch_function_variadic", "native_channel_shuffle",
}  # fmt: skip
# In-place functions have no meaning for values that never change; scaled_mm and its like are for float8 on GPUs.
FUNCTIONS_WITHOUT = {"grouped_mm", "scaled_grouped_mm", "scaled_mm"}


def test_every_function_of_torch_nn_functional_is_there():
    names = {
        name for name, value in vars(torch.nn.functional).items()
        if name.islower() and not name.startswith("_") and callable(value) and not isinstance(value, type)
    }  # fmt: skip
    missing = {n for n in names - PLUMBING if not hasattr(nn.functional, n) and not n.endswith("_")}
    assert missing - FUNCTIONS_WITHOUT == set()


def test_initialisers_are_there():
    missing = {n for n in vars(torch.nn.init) if n.endswith("_") and not n.startswith("_") and not hasattr(nn.init, n)}
    assert missing == set()


def test_parametrizations():
    ours = nn.utils.parametrizations.spectral_norm(nn.ConvTranspose2d(4, 6, 3))
    theirs = torch.nn.utils.parametrizations.spectral_norm(torch.nn.ConvTranspose2d(4, 6, 3))
    ours.load_state_dict({k: v.numpy() for k, v in theirs.state_dict().items()})
    assert list(ours.state_dict()) == list(theirs.state_dict())
    x = np.random.default_rng(0).standard_normal((2, 4, 5, 5)).astype("float32")
    for mode in (True, False):
        close(ours.train(mode)(twain.asarray(x)), theirs.train(mode)(torch.tensor(x)), rtol=1e-4, atol=1e-5)
    for dim in (0, 1, None):
        ours = nn.utils.parametrizations.weight_norm(nn.Conv2d(4, 6, 3), dim=dim)
        theirs = torch.nn.utils.parametrizations.weight_norm(torch.nn.Conv2d(4, 6, 3), dim=dim)
        ours.load_state_dict({k: v.numpy() for k, v in theirs.state_dict().items()})
        close(ours(twain.asarray(x)), theirs(torch.tensor(x)), rtol=1e-4, atol=1e-5)
    for kind in ("matrix_exp", "cayley", "householder"):
        for shape in ((4, 4), (5, 3), (3, 5)):
            ours = nn.utils.parametrizations.orthogonal(nn.Linear(*shape), orthogonal_map=kind)
            theirs = torch.nn.utils.parametrizations.orthogonal(torch.nn.Linear(*shape), orthogonal_map=kind)
            ours.load_state_dict({k: v.numpy() for k, v in theirs.state_dict().items()})
            close(ours.weight, theirs.weight, rtol=1e-4, atol=1e-5)
