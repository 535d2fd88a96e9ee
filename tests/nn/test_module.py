"""Module: what belongs to it, its names, its state, its modes, its hooks, how it is shown."""

import copy

import numpy as np
import pytest

import twain
from twain import nn


class Net(nn.Module):
    """Without super().__init__(), on purpose."""

    def __init__(self):
        self.first = nn.Linear(4, 3)
        self.blocks = [nn.Linear(3, 3), nn.Linear(3, 3)]
        self.heads = {"a": nn.Linear(3, 2), "b": nn.Linear(3, 1)}
        self.scale = twain.ones((3,)).requires_grad_()
        self.note = "not a parameter"
        self.constant = twain.zeros((2,))
        self.register_buffer("seen", twain.zeros((), dtype="int64"))
        self.register_buffer("scratch", twain.zeros((2,)), persistent=False)

    def forward(self, x):
        x = self.first(x) * self.scale
        for block in self.blocks:
            x = twain.relu(block(x))
        return self.heads["a"](x)


NAMES = [
    "scale", "first.weight", "first.bias", "blocks.0.weight", "blocks.0.bias", "blocks.1.weight", "blocks.1.bias",
    "heads.a.weight", "heads.a.bias", "heads.b.weight", "heads.b.bias",
]  # fmt: skip


def test_parameters_are_found_by_name_also_in_lists_and_dictionaries():
    net = Net()
    assert [name for name, _ in net.named_parameters()] == NAMES
    assert len(list(net.parameters())) == len(NAMES)
    assert [name for name, _ in net.named_buffers()] == ["seen", "scratch"]
    assert [name for name, _ in net.named_children()] == ["first", "blocks.0", "blocks.1", "heads.a", "heads.b"]
    assert len(list(net.modules())) == 6
    assert net.parameter_count() == sum(p.size for p in net.parameters()) == 54


def test_state_dictionary_is_a_snapshot():
    net = Net()
    state = net.state_dict()
    assert set(state) == {*NAMES, "seen"}
    before = state["scale"].numpy().copy()
    with twain.no_grad():
        net.scale += 1
    assert (state["scale"].numpy() == before).all()
    net.load_state_dict(state)
    assert (net.scale.detach().numpy() == before).all()
    assert not any(v.requires_grad for v in state.values())


def test_loading_lists_all_that_is_wrong_in_one_error_and_changes_nothing():
    net = Net()
    state = net.state_dict()
    before = net.first.bias.detach().numpy().copy()
    state["first.bias"] = state["first.bias"] + 1
    del state["scale"], state["blocks.1.bias"]
    state["extra"] = twain.zeros(())
    state["heads.a.weight"] = twain.zeros((3, 2))
    with pytest.raises(ValueError) as error:
        net.load_state_dict(state)
    text = str(error.value)
    assert "missing: scale, blocks.1.bias" in text
    assert "unexpected: extra" in text
    assert "heads.a.weight: expected shape (2, 3), got (3, 2)" in text
    assert (net.first.bias.detach().numpy() == before).all()
    del state["heads.a.weight"]
    missing, unexpected = net.load_state_dict(state, strict=False)
    assert missing == ["scale", "blocks.1.bias", "heads.a.weight"]
    assert unexpected == ["extra"]
    assert (net.first.bias.detach().numpy() == before + 1).all()


def test_loading_takes_arrays_and_casts():
    net = nn.Linear(2, 2)
    net.load_state_dict({"weight": np.eye(2), "bias": np.arange(2)})
    assert net.weight.dtype is twain.float32
    assert net(twain.ones((1, 2))).tolist() == [[1.0, 2.0]]
    assert net.weight.requires_grad


def test_a_parameter_stays_one_when_frozen_and_a_result_never_becomes_one():
    net = Net()
    net.first.requires_grad_(False)
    assert "first.weight" in dict(net.named_parameters())
    assert not net.first.weight.requires_grad
    net.cache = net(twain.ones((1, 4)))
    assert net.cache.requires_grad
    assert [name for name, _ in net.named_parameters()] == NAMES


def test_reassigning_and_deleting():
    net = Net()
    net.scale = twain.zeros((3,)).requires_grad_()
    assert dict(net.named_parameters())["scale"] is net.scale
    net.scale = None
    assert "scale" not in dict(net.named_parameters())
    del net.first
    assert "first.weight" not in dict(net.named_parameters())
    net.seen = twain.ones((), dtype="int64")
    assert net.state_dict()["seen"].item() == 1


def test_a_shared_tensor_counts_once_and_is_saved_under_each_name():
    class Tied(nn.Module):
        def __init__(self):
            self.encode = nn.Linear(3, 3, bias=False)
            self.decode = nn.Linear(3, 3, bias=False)
            self.decode.weight = self.encode.weight

    net = Tied()
    assert [name for name, _ in net.named_parameters()] == ["encode.weight"]
    assert set(net.state_dict()) == {"encode.weight", "decode.weight"}


def test_modes_reach_every_module():
    net = Net()
    assert net.training
    assert net.eval() is net
    assert not any(m.training for m in net.modules())
    assert all(m.training for m in net.train().modules())


def test_zero_grad():
    net = nn.Linear(2, 1)
    net(twain.ones((1, 2))).sum().backward()
    assert net.weight.grad is not None
    net.zero_grad(set_to_none=False)
    assert net.weight.grad.tolist() == [[0.0, 0.0]]
    net.zero_grad()
    assert net.weight.grad is None


def test_to_another_dtype():
    net = Net().to("float64")
    assert all(p.dtype is twain.float64 and p.requires_grad for p in net.parameters())
    assert net.seen.dtype is twain.int64
    assert net(twain.ones((1, 4), dtype="float64")).dtype is twain.float64


def test_hooks_see_and_change_arguments_and_results():
    net = nn.Linear(2, 2)
    seen = []
    before = net.register_forward_pre_hook(lambda module, args: (args[0] * 2,))
    after = net.register_forward_hook(lambda module, args, output: seen.append((module, args[0].tolist())))
    change = net.register_forward_hook(lambda module, args, output: output * 0)
    assert net(twain.ones((1, 2))).tolist() == [[0.0, 0.0]]
    assert seen == [(net, [[2.0, 2.0]])]
    for handle in (before, after, change):
        handle.remove()
    assert net(twain.ones((1, 2))).tolist() != [[0.0, 0.0]]
    assert len(seen) == 1


def test_apply_goes_through_children_first():
    order = []
    nn.Sequential(nn.ReLU(), nn.Sequential(nn.Tanh())).apply(lambda m: order.append(type(m).__name__))
    assert order == ["ReLU", "Tanh", "Sequential", "Sequential"]


def test_printing_shows_shapes_and_counts():
    text = repr(nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Dropout(0.2)))
    assert "Linear(4, 3)" in text
    assert "weight 3x4, bias 3: 15 parameters" in text
    assert "Dropout(p=0.2)" in text
    summary = Net().summary(twain.ones((2, 4)))
    assert "2x2" in summary and "first" in summary and "54 parameters (54 trained)" in summary


def test_copies_are_independent():
    net = Net()
    other = copy.deepcopy(net)
    with twain.no_grad():
        other.scale += 1
    assert net.scale.tolist() == [1.0, 1.0, 1.0]
    assert other.scale.tolist() == [2.0, 2.0, 2.0]
    assert [name for name, _ in other.named_parameters()] == NAMES


def test_misuse_is_one_clear_sentence():
    with pytest.raises(NotImplementedError, match=r"\[Module\] expected the class to define forward"):
        nn.Module()(1)
    with pytest.raises(TypeError, match="without dots"):
        nn.Module().register_buffer("a.b", twain.zeros(()))
    with pytest.raises(TypeError, match="expected a tensor or None"):
        nn.Module().register_buffer("a", 3)
    with pytest.raises(TypeError, match="has an attribute 'forward'"):
        nn.Module().register_buffer("forward", twain.zeros(()))
    with pytest.raises(AttributeError):
        _ = nn.Linear(2, 2).wieght


def test_layers_that_hold_functions_are_copied():
    class Net(nn.Module):
        def __init__(self):
            self.linear = nn.Linear(2, 2)
            self.activation = nn.functional.relu

        def forward(self, x):
            return self.activation(self.linear(x))

    net = Net()
    other = copy.deepcopy(net)
    assert other.activation is net.activation and other.linear.weight is not net.linear.weight
