"""nn.utils: parametrized weights, fused layers, parameters as a vector; hooks on the backward pass; containers."""

import copy

import numpy as np
import pytest

import twain
from twain import nn
from twain.nn.utils import parametrizations, parametrize


class Doubled(nn.Module):
    def forward(self, x):
        return x * 2

    def right_inverse(self, y):
        return y / 2


def test_a_parametrized_weight_is_computed_and_its_original_trained():
    layer = nn.Linear(3, 4)
    weight, before = layer.weight, layer.weight.tolist()
    parametrize.register_parametrization(layer, "weight", Doubled())
    assert type(layer).__name__ == "ParametrizedLinear" and isinstance(layer, nn.Linear)
    assert list(layer.state_dict()) == ["bias", "parametrizations.weight.original"]
    assert layer.parametrizations.weight.original is weight
    assert layer.weight.tolist() == before
    layer(twain.ones((2, 3))).sum().backward()
    assert weight.grad.tolist() == [[4.0] * 3] * 4
    layer.weight = twain.ones((4, 3))
    assert weight.tolist() == [[0.5] * 3] * 4
    parametrize.register_parametrization(layer, "weight", Doubled())
    assert layer.weight.tolist() == [[1.0] * 3] * 4
    parametrize.remove_parametrizations(layer, "weight")
    assert type(layer) is nn.Linear and layer.weight is weight
    assert weight.tolist() == [[1.0] * 3] * 4


def test_a_parametrized_layer_copies_and_compiles():
    layer = parametrizations.weight_norm(nn.Linear(3, 4))
    other = copy.deepcopy(layer)
    x = twain.random.normal((2, 3))
    assert other(x).tolist() == layer(x).tolist()
    total = twain.compile(lambda x: layer(x).sum())
    for _ in range(4):
        assert total(x).item() == pytest.approx(layer(x).sum().item(), rel=1e-5)
    assert total.hits
    calls = []

    class Counted(Doubled):
        def forward(self, x):
            calls.append(1)
            return x * 2

    parametrize.register_parametrization(layer, "bias", Counted())
    calls.clear()
    with parametrize.cached():
        layer(x), layer(x)
    assert len(calls) == 1


def test_weight_norm_loads_older_names():
    layer = parametrizations.weight_norm(nn.Conv1d(3, 4, 2))
    assert list(layer.state_dict()) == [
        "bias", "parametrizations.weight.original0", "parametrizations.weight.original1",
    ]  # fmt: skip
    assert layer.parametrizations.weight.original0.shape == (4, 1, 1)
    old = nn.utils.weight_norm(nn.Conv1d(3, 4, 2))
    layer.load_state_dict(old.state_dict())
    x = twain.random.normal((2, 3, 7))
    np.testing.assert_allclose(layer(x).detach().numpy(), old(x).detach().numpy(), rtol=1e-5, atol=1e-6)
    nn.utils.remove_weight_norm(old)
    assert list(old.state_dict()) == ["bias", "weight"]
    np.testing.assert_allclose(layer(x).detach().numpy(), old(x).detach().numpy(), rtol=1e-5, atol=1e-6)


def test_spectral_norm():
    layer = parametrizations.spectral_norm(nn.Linear(6, 5), n_power_iterations=20)
    layer(twain.ones((1, 6)))
    layer.eval()
    assert np.linalg.svd(layer.weight.detach().numpy())[1][0] == pytest.approx(1.0, abs=1e-3)
    assert {"parametrizations.weight.0._u", "parametrizations.weight.0._v"} <= set(layer.state_dict())


@pytest.mark.parametrize("kind", ["matrix_exp", "cayley", "householder"])
@pytest.mark.parametrize("shape", [(4, 4), (6, 4), (3, 5)])
@pytest.mark.parametrize("trivial", [True, False])
def test_orthogonal(kind, shape, trivial):
    layer = parametrizations.orthogonal(
        nn.Linear(shape[1], shape[0], dtype="float64"), orthogonal_map=kind, use_trivialization=trivial
    )
    assert layer.weight.shape == shape
    w = layer.weight.detach().numpy()
    gram = w.T @ w if shape[0] >= shape[1] else w @ w.T
    np.testing.assert_allclose(gram, np.eye(len(gram)), atol=1e-12)
    layer(twain.ones((2, shape[1]), dtype="float64")).sum().backward()
    assert layer.parametrizations.weight.original.grad.abs().max().item() > 0
    if trivial:
        q = np.linalg.qr(np.random.default_rng(0).standard_normal((max(shape), min(shape))))[0]
        layer.weight = twain.asarray(q if shape[0] >= shape[1] else q.T)
        np.testing.assert_allclose(layer.weight.detach().numpy(), q if shape[0] >= shape[1] else q.T, atol=1e-12)


@pytest.mark.parametrize("make", [lambda: nn.Conv2d(3, 4, 3), lambda: nn.ConvTranspose2d(3, 4, 3, bias=False)])
def test_fused_convolution(make):
    conv, norm = make(), nn.BatchNorm2d(4)
    both = nn.Sequential(conv, norm)
    both(twain.random.normal((5, 3, 8, 8)))
    with pytest.raises(TypeError, match="evaluation mode"):
        nn.utils.fuse_conv_bn_eval(conv, norm)
    both.eval()
    x = twain.random.normal((2, 3, 8, 8))
    fused = nn.utils.fuse_conv_bn_eval(conv, norm)
    np.testing.assert_allclose(fused(x).detach().numpy(), both(x).detach().numpy(), rtol=1e-4, atol=1e-5)


def test_parameters_as_a_vector():
    net = nn.Linear(3, 2)
    vector = nn.utils.parameters_to_vector(net.parameters())
    assert vector.tolist() == [*net.weight.reshape((-1,)).tolist(), *net.bias.tolist()]
    nn.utils.vector_to_parameters(vector * 2, net.parameters())
    assert nn.utils.parameters_to_vector(net.parameters()).tolist() == (vector * 2).tolist()
    with pytest.raises(ValueError, match=r"shape \(8,\), got \(7,\)"):
        nn.utils.vector_to_parameters(vector[:7], net.parameters())


@pytest.mark.parametrize(
    "use,text",
    [
        (lambda: parametrize.register_parametrization(nn.Linear(2, 2), "wieght", Doubled()), "weight, bias.*'wieght'"),
        (lambda: parametrize.register_parametrization(nn.Linear(2, 3), "weight", nn.Flatten(0)), r"\[3, 2\].*got"),
        (lambda: parametrize.remove_parametrizations(nn.Linear(2, 2), "weight"), "expected a parametrized"),
        (lambda: parametrizations.orthogonal(nn.Linear(2, 2), "bias"), "expected a matrix"),
        (lambda: parametrizations.orthogonal(nn.Linear(2, 2), orthogonal_map="qr"), "orthogonal_map among"),
        (lambda: parametrizations.spectral_norm(nn.ReLU()), "expected a tensor 'weight'"),
        (lambda: nn.utils.remove_weight_norm(nn.Linear(2, 2)), "expected weight_norm"),
    ],
)
def test_misuse(use, text):
    with pytest.raises((TypeError, ValueError), match=text):
        use()


# ---------------------------------------------------------------- hooks
def test_hooks_on_the_backward_pass_see_and_change_gradients():
    layer, seen = nn.Linear(3, 2), []
    x = twain.ones((4, 3)).requires_grad_()
    handle = layer.register_full_backward_hook(lambda m, gi, go: seen.append((gi[0], go[0])))
    layer(x).sum().backward()
    assert seen[0][1].tolist() == [[1.0, 1.0]] * 4
    assert seen[0][0].tolist() == x.grad.tolist()
    layer(twain.ones((4, 3))).sum().backward()
    assert seen[1][0] is None
    handle.remove()
    before, x.grad = x.grad, None
    with layer.register_full_backward_hook(lambda m, gi, go: (gi[0] * 2,)):
        layer(x).sum().backward()
    assert x.grad.tolist() == (before * 2).tolist()
    x.grad = None
    with layer.register_full_backward_pre_hook(lambda m, go: (go[0] * 3,)):
        layer(x).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), before.numpy() * 3, rtol=1e-6)
    assert not layer._forward_hooks and not layer._forward_pre_hooks


def test_hooks_with_keywords_and_order():
    layer, order = nn.Identity(), []
    layer.register_forward_pre_hook(lambda m, args: order.append("second"))
    layer.register_forward_pre_hook(lambda m, args, kwargs: order.append(kwargs), prepend=True, with_kwargs=True)
    layer(input=1)
    assert order == [{"input": 1}, "second"]


def test_hooks_on_states():
    net, seen = nn.Sequential(nn.Linear(2, 2)), []
    net[0].register_state_dict_pre_hook(lambda m, prefix, keep: seen.append(("before", prefix)))
    net[0].register_state_dict_post_hook(lambda m, state, prefix, _: state.__delitem__(prefix + "bias"))
    assert list(net.state_dict()) == ["0.weight"]
    net[0].register_load_state_dict_pre_hook(
        lambda m, state, prefix, *_: state.update({prefix + "bias": twain.ones((2,))})
    )
    net[0].register_load_state_dict_post_hook(lambda m, unmatched: seen.append(unmatched.missing_keys))
    net.load_state_dict({"0.weight": twain.ones((2, 2))})
    assert net[0].bias.tolist() == [1.0, 1.0]
    assert seen == [("before", "0."), []]


def test_places_by_dotted_names():
    net = nn.Sequential(nn.Sequential(nn.Linear(2, 2), nn.ReLU()), nn.BatchNorm1d(2))
    assert net.get_submodule("0.1") is net[0][1]
    assert net.get_parameter("0.0.weight") is net[0][0].weight
    assert net.get_buffer("1.running_mean") is net[1].running_mean
    net.set_submodule("0.1", nn.Tanh())
    assert type(net[0][1]) is nn.Tanh
    for use in (
        lambda: net.get_submodule("0.7"),
        lambda: net.get_parameter("0.0.wait"),
        lambda: net.get_buffer("0.0.weight"),
    ):
        with pytest.raises(AttributeError):
            use()
    assert [n for n, _ in net.named_parameters(recurse=False)] == []
    assert net.half()[0][0].weight.dtype is twain.float16
    assert net.double()[0][0].weight.dtype is twain.float64
    assert net.bfloat16()[0][0].weight.dtype is twain.bfloat16
    assert net.float()[0][0].weight.dtype is twain.float32


# ---------------------------------------------------------------- parameters
def test_frozen_parameters_are_parameters():
    net = nn.Module()
    net.weight = nn.Parameter(twain.ones((2,)), requires_grad=False)
    net.constant = twain.ones((2,))
    assert [n for n, _ in net.named_parameters()] == ["weight"]
    with pytest.raises(TypeError, match="floating or complex"):
        nn.Parameter(twain.ones((2,), dtype="int64"))


def test_lists_and_dictionaries_of_parameters():
    net = nn.Module()
    net.several = nn.ParameterList([twain.ones((2,)), nn.Parameter(twain.zeros((3,)))])
    net.named = nn.ParameterDict({"a": twain.ones((1,))})
    net.named["b"] = twain.ones((4,))
    assert [n for n, _ in net.named_parameters()] == ["several.0", "several.1", "named.a", "named.b"]
    assert len(net.several) == 2 and [tuple(p.shape) for p in net.several] == [(2,), (3,)]
    net.several[0] = twain.ones((5,))
    assert net.several[-2].shape == (5,)
    assert net.named.pop("a").shape == (1,) and list(net.named) == ["b"]
    with pytest.raises(KeyError, match="expected one of"):
        net.named["c"]


# ---------------------------------------------------------------- summaries
def test_summary_counts_what_ops_do():
    net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(512, 7))
    table = nn.summary(net, (2, 3, 8, 8))
    conv, dense = 2 * 8 * 64 * 27, 2 * 512 * 7
    assert table.multiply_adds == conv + dense
    assert [r.output for r in table.rows] == ["2x7", "2x8x8x8", "2x8x8x8", "2x512", "2x7"]
    assert table.rows[1].flop == 2 * conv + 2 * 8 * 64  # and the bias
    assert table.rows[2].flop == 2 * 8 * 64 and table.rows[3].flop == 0
    assert table.parameters == net.parameter_count() and table.input_bytes == 2 * 3 * 64 * 4
    text = str(table)
    assert "2x8x8x8" in text and "multiply-adds, which count as two" in text
    assert nn.summary(net).rows[1].parameters == 224


def test_summary_of_graphs_shared_layers_and_subclasses():
    a, b = nn.Input(4), nn.Input(4)
    shared = nn.Linear(4, 4)
    table = nn.summary(nn.Graph([a, b], (shared(a) + shared(b), nn.ReLU()(shared(a)))))
    assert table.rows[1].calls == 3 and table.multiply_adds == 3 * 16 and table.parameters == 20

    class Reads(nn.Module):
        def __init__(self):
            self.inner = nn.Linear(3, 3)

        def forward(self, x, scale=None):
            return self.inner(x) if x.sum() > 0 else x

    table = nn.summary(Reads(), twain.ones((2, 3)))
    assert "not counted" in str(table) and table.rows[1].output == "2x3"
    net = nn.Sequential(nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.5)), nn.Linear(out_features=2)).train()
    table = nn.summary(net, (5, 3), depth=1)
    assert "0.0" not in str(table) and net[0][1].training and table.multiply_adds == 5 * 15
    with pytest.raises(TypeError, match="expected a module"):
        nn.summary(3)


# ---------------------------------------------------------------- initial values
def test_orthogonal_sparse_and_dirac():
    w = twain.zeros((6, 4, 3))
    nn.init.orthogonal_(w, gain=2.0)
    flat = w.reshape((6, 12)).numpy()
    np.testing.assert_allclose(flat @ flat.T, 4 * np.eye(6), atol=1e-5)
    w = twain.zeros((10, 4))
    nn.init.sparse_(w, 0.35)
    assert (w == 0).sum(axis=0).tolist() == [4] * 4
    w = twain.zeros((4, 2, 3))
    nn.init.dirac_(w, groups=2)
    x = twain.random.normal((1, 4, 7))
    assert nn.functional.conv1d(x, w, None, padding=1, groups=2).tolist() == x.tolist()
    for use in (
        lambda: nn.init.orthogonal_(twain.zeros((3,))),
        lambda: nn.init.sparse_(w, 0.5),
        lambda: nn.init.dirac_(w, 3),
    ):
        with pytest.raises(ValueError):
            use()
