"""The graph of a model's forward pass: ops, edges, module scopes."""

import numpy as np
import pytest

import twain
from twain import nn
from twain.nn.tracing import TracedValue, trace_module


def scopes(trace):
    return [("/".join(f"{c.path}#{c.number}" for c in call.scope[1:]), call.name) for call in trace.calls]


def test_a_sequential():
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU())
    x = twain.asarray(np.random.default_rng(0).standard_normal((5, 3)).astype("float32"))
    trace = trace_module(net, x)
    assert scopes(trace) == [("0#0", "linear"), ("1#0", "batch_norm_inference"), ("2#0", "relu")]
    assert (trace.result.numpy() == net.eval()(x).detach().numpy()).all()
    linear, norm, relu = trace.calls
    assert linear.inputs == (trace.inputs["input"] if "input" in trace.inputs else trace.inputs["x"],
                             trace.parameters["0.weight"], trace.parameters["0.bias"])  # fmt: skip
    assert norm.inputs[0] is linear.outputs[0] and relu.outputs[0] is trace.outputs["output"]
    assert set(trace.buffers) == {"1.running_mean", "1.running_var"} and not trace.constants
    assert relu.outputs[0].shape == (5, 4) and relu.outputs[0].dtype is twain.float32
    assert norm.attributes()["eps"] == pytest.approx(1e-5)


def test_the_model_is_left_as_it_was():
    net = nn.Sequential(nn.BatchNorm1d(3), nn.Dropout(0.5))
    net[1].eval()
    before = {k: v.numpy().copy() for k, v in net.state_dict().items()}
    trace = trace_module(net, twain.ones((4, 3)) * 3, training=True)
    assert "batch_norm_training" in [c.name for c in trace.calls] and "drop" in [c.name for c in trace.calls]
    assert (net.training, net[0].training, net[1].training) == (True, True, False)
    assert all((v.numpy() == before[k]).all() for k, v in net.state_dict().items())
    assert not net[0]._forward_hooks and not net[0]._forward_pre_hooks


def test_shared_layers_containers_values_and_constants():
    class Net(nn.Module):
        def __init__(self):
            self.layer = nn.Linear(2, 2)
            self.blocks = [nn.Sequential(nn.ReLU()), nn.Tanh()]
            self.table = twain.ones((2,))
            self.fast = twain.compile(lambda x: twain.exp(x))

        def forward(self, pair, scale=2.0, *, other):
            h = self.layer(self.layer(pair["a"]))
            for block in self.blocks:
                h = block(h)
            if float(h.sum()) > -1e9:  # decided by a value
                h = h * scale + self.table
            return h, {"other": other[0], "fast": self.fast(h[h > 0])}

    net = Net()
    for _ in range(3):
        net.fast(twain.ones((2,)))
    trace = trace_module(net, {"a": np.ones((3, 2), "float32"), "b": twain.ones((1,))}, other=[twain.zeros((1,))])
    assert list(trace.inputs) == ["pair['a']", "pair['b']", "other[0]"]
    assert list(trace.outputs) == ["[0]", "[1]['other']", "[1]['fast']"]
    assert trace.outputs["[1]['other']"] is trace.inputs["other[0]"]
    assert scopes(trace)[:4] == [
        ("layer#0", "linear"), ("layer#1", "linear"), ("blocks.0#0/blocks.0.0#0", "relu"), ("blocks.1#0", "tanh"),
    ]  # fmt: skip
    names = [c.name for c in trace.calls]
    product = trace.calls[names.index("multiply")]
    assert product.inputs[1] == 2.0
    (constant,) = trace.constants
    assert (trace.tensors[constant].numpy() == 1).all()
    assert "exp" in names
    known = {v.number for table in (trace.inputs, trace.parameters, trace.constants) for v in
             (table.values())}  # fmt: skip
    for call in trace.calls:
        assert all(x.number in known for x in call.inputs if isinstance(x, TracedValue))
        known |= {v.number for v in call.outputs}


def test_graphs_and_errors():
    x = nn.Input(4)
    layer = nn.Linear(4, 4)
    net = nn.Graph(x, [layer(nn.ReLU()(layer(x))), x])
    assert scopes(trace_module(net, twain.ones((2, 4)))) == [("0#0", "linear"), ("1#0", "relu"), ("0#1", "linear")]
    with pytest.raises(TypeError, match=r"trace_module\] expected a Module, got int"):
        trace_module(3)
    with pytest.raises(ValueError, match="linear"):
        trace_module(net, twain.ones((2, 5)))
    assert not layer._forward_hooks
    assert trace_module(layer, twain.ones((1, 4))).calls  # the failure left no recording behind
