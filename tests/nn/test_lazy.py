"""Sizes that are left out: found from the first input or from a state."""

import copy

import pytest

import twain
from twain import nn, optim


def model():
    return nn.Sequential(nn.LazyConv2d(8, 3), nn.LazyBatchNorm2d(), nn.ReLU(), nn.Flatten(), nn.Linear(out_features=5))


def test_the_first_input_tells_the_sizes():
    net = model()
    assert [type(m).__name__ for m in net] == ["LazyConv2d", "LazyBatchNorm2d", "ReLU", "Flatten", "Linear"]
    assert net(twain.ones((2, 3, 6, 6))).shape == (2, 5)
    assert [type(m).__name__ for m in net] == ["Conv2d", "BatchNorm2d", "ReLU", "Flatten", "Linear"]
    assert net[0].weight.shape == (8, 3, 3, 3) and net[4].in_features == 128
    assert net[0].weight.abs().max().item() > 0
    assert net[1].running_var.tolist() != [0.0] * 8
    net(twain.ones((2, 3, 6, 6))).sum().backward()
    assert all(p.grad is not None for p in net.parameters())


def test_a_state_tells_them_too():
    net = model()
    net(twain.ones((2, 3, 6, 6)))
    other = model()
    other.load_state_dict(net.state_dict())
    assert type(other[0]) is nn.Conv2d
    x = twain.random.normal((2, 3, 6, 6))
    assert other.eval()(x).tolist() == net.eval()(x).tolist()


def test_settings_made_before_the_first_input_hold():
    layer = nn.Linear(out_features=2).to("float64")
    layer.weight.requires_grad_(False)
    layer(twain.ones((1, 3), dtype="float64"))
    assert layer.weight.dtype is twain.float64
    assert not layer.weight.requires_grad and layer.bias.requires_grad


def test_copies_learn_apart():
    layer = nn.Linear(out_features=2)
    other = copy.deepcopy(layer)
    layer(twain.ones((1, 3)))
    other(twain.ones((1, 5)))
    assert (layer.in_features, other.in_features) == (3, 5)


def test_in_a_graph_the_symbol_tells():
    x = nn.Input(7)
    graph = nn.Graph(x, nn.Linear(out_features=2)(x))
    assert graph.parameter_count() == 16


def test_compiled_from_the_second_call_on():
    net = nn.Sequential(nn.Linear(out_features=3))
    total = twain.compile(lambda x: net(x).sum())
    values = {total(twain.ones((2, 4))).item() for _ in range(5)}
    assert len(values) == 1
    assert total.hits


@pytest.mark.parametrize(
    "use,text",
    [
        (lambda: optim.SGD(nn.Linear(out_features=3).parameters(), lr=0.1), r"\[SGD\].*has not seen an input yet"),
        (lambda: nn.Linear(out_features=3).state_dict(), r"\[state_dict\].*has not seen an input yet"),
        (lambda: nn.Linear(out_features=3).weight.shape, "has not seen an input yet"),
        (lambda: nn.Linear(3), "expected out_features"),
        (lambda: nn.LazyBatchNorm1d()(twain.ones((3,))), "more axes"),
        (lambda: nn.LazyConv2d(4, 3, groups=2)(twain.ones((1, 3, 5, 5))), "multiples of groups=2"),
        (lambda: nn.LazyLinear(3)("text"), "expected a tensor"),
        (lambda: twain.grad(lambda m: m(twain.ones((1, 2))).sum())(nn.LazyLinear(3)), "has not seen an input"),
    ],
)
def test_misuse(use, text):
    with pytest.raises((RuntimeError, TypeError, ValueError), match=text):
        use()


def test_a_refused_input_leaves_the_layer_as_it_was():
    layer = nn.LazyConv2d(4, 3, groups=2)
    with pytest.raises(ValueError, match="multiples"):
        layer(twain.ones((1, 3, 5, 5)))
    assert layer(twain.ones((1, 2, 5, 5))).shape == (1, 4, 3, 3)


def test_the_text_says_that_sizes_are_open():
    assert "not known yet" in repr(nn.LazyLinear(3))
    assert nn.LazyLinear(3).parameter_count() == 0
