"""Sequential, ModuleList, ModuleDict and functional graphs."""

from collections import OrderedDict

import pytest

import twain
from twain import nn


def test_sequential():
    net = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    x = twain.ones((5, 4))
    assert net(x).tolist() == net[2](twain.relu(net[0](x))).tolist()
    assert list(net.state_dict()) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert len(net) == 3
    assert net[-1] is net[2]
    assert isinstance(net[:2], nn.Sequential) and len(net[:2]) == 2
    net.append(nn.Tanh())
    assert [type(m).__name__ for m in net] == ["Linear", "ReLU", "Linear", "Tanh"]
    net[3].training = False
    setattr(net, "1", nn.Sigmoid())
    assert [type(m).__name__ for m in net] == ["Linear", "Sigmoid", "Linear", "Tanh"]
    with pytest.raises(IndexError, match=r"expected an index in \[-4, 3\], got 7"):
        net[7]
    with pytest.raises(TypeError, match=r"wrap a function in nn\.Lambda"):
        nn.Sequential(lambda x: x)


def test_sequential_with_names():
    net = nn.Sequential(OrderedDict(encode=nn.Linear(4, 3), activate=nn.ReLU()))
    assert list(net.state_dict()) == ["encode.weight", "encode.bias"]
    assert net.encode is net[0]


def test_module_list():
    modules = nn.ModuleList(nn.Linear(2, 2) for _ in range(3))
    modules.insert(1, nn.ReLU())
    assert [type(m).__name__ for m in modules] == ["Linear", "ReLU", "Linear", "Linear"]
    del modules[0]
    assert list(modules.state_dict()) == ["1.weight", "1.bias", "2.weight", "2.bias"]
    modules[0] = nn.Tanh()
    assert len(modules) == 3 and isinstance(modules[0], nn.Tanh)


def test_module_dict():
    modules = nn.ModuleDict({"a": nn.Linear(2, 2), "b": nn.ReLU()})
    assert list(modules) == ["a", "b"] and "a" in modules and len(modules) == 2
    assert list(modules.state_dict()) == ["a.weight", "a.bias"]
    del modules["a"]
    assert modules.keys() == ["b"]
    with pytest.raises(KeyError, match="expected one of"):
        modules["a"]
    with pytest.raises(TypeError, match="is a method"):
        modules["update"] = nn.ReLU()


def test_graph_computes_what_its_layers_do():
    twain.random.seed(0)
    a, b, c = nn.Linear(4, 3), nn.Linear(4, 3), nn.Linear(3, 2)
    x, y = nn.Input(4), nn.Input(4)
    assert x.shape == (None, 4)
    joined = nn.ReLU()(a(x) + 2 * b(y))
    assert joined.shape == (None, 3)
    model = nn.Graph([x, y], {"out": c(joined), "middle": joined})
    u, v = twain.random.normal((5, 4)), twain.random.normal((5, 4))
    result = model(u, v)
    middle = twain.relu(a(u) + 2 * b(v))
    assert result["middle"].tolist() == middle.tolist()
    assert result["out"].tolist() == c(middle).tolist()
    assert [n for n, _ in model.named_parameters()] == [
        "0.weight",
        "0.bias",
        "1.weight",
        "1.bias",
        "3.weight",
        "3.bias",
    ]


def test_graph_shares_a_layer_called_twice_and_records_methods():
    layer = nn.Linear(3, 3)
    x = nn.Input((2, 3))
    model = nn.Graph(x, layer(layer(x)).reshape(-1, 6).T[0])
    assert len(list(model.parameters())) == 2
    value = twain.ones((4, 2, 3))
    assert model(value).tolist() == layer(layer(value)).reshape(-1, 6).T[0].tolist()


def test_graph_works_for_sizes_that_differ_from_call_to_call():
    x = nn.Input(None, dtype="int64")
    model = nn.Graph(x, nn.GlobalAveragePooling1d()(nn.Embedding(10, 4)(x), mask=x != 0))
    assert model(twain.ones((2, 7), dtype="int64")).shape == (2, 4)
    assert model(twain.ones((3, 5), dtype="int64")).shape == (3, 4)


def test_graph_reports_a_wrong_shape_at_the_layer():
    x = nn.Input(4)
    with pytest.raises(ValueError, match=r"\[linear\] expected x of shape \(\.\.\., 5\)"):
        nn.Linear(5, 2)(x)


def test_graph_misuse():
    x, y = nn.Input(4), nn.Input(4)
    out = nn.Linear(4, 2)(x) + nn.Linear(4, 2)(y)
    with pytest.raises(TypeError, match="among the inputs"):
        nn.Graph(x, out)
    with pytest.raises(TypeError, match="expected outputs"):
        nn.Graph(x, twain.ones((2,)))
    with pytest.raises(TypeError, match=r"expected inputs made by nn\.Input"):
        nn.Graph(out, out)
    with pytest.raises(TypeError, match="expected 2 inputs, got 1"):
        nn.Graph([x, y], out)(twain.ones((1, 4)))
    with pytest.raises(TypeError, match="no values yet"):
        if out:
            pass
    with pytest.raises(TypeError, match="without the batch axis"):
        nn.Input((0, 3))


def test_symbols_leave_modes_and_statistics_alone():
    norm = nn.BatchNorm1d(4)
    norm(nn.Input(4))
    assert norm.training
    assert norm.num_batches_tracked.item() == 0
