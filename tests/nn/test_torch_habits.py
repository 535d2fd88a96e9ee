"""Methods and old names that PyTorch's users type: they work as there, or say what to do instead."""

import numpy as np
import pytest

import twain
from twain import nn
from twain.base.errors import ArgumentError, ShapeError, ValueRangeError


class Counting(nn.Module):
    """A layer with state of its own that is no tensor."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, 2)
        self.seen = []

    def get_extra_state(self):
        return {"seen": list(self.seen)}

    def set_extra_state(self, state):
        self.seen = list(state["seen"])


def test_extra_state_is_part_of_the_state():
    model = nn.Sequential(Counting(), Counting())
    model[1].seen = ["a", "b"]
    state = model.state_dict(prefix="m.")
    assert state["m.1._extra_state"] == {"seen": ["a", "b"]} and "m.0.linear.weight" in state
    state = model.state_dict()
    other = nn.Sequential(Counting(), Counting())
    other.load_state_dict(state)
    assert other[1].seen == ["a", "b"] and other[0].seen == []
    np.testing.assert_array_equal(other[1].linear.weight.detach().numpy(), model[1].linear.weight.detach().numpy())
    del state["0._extra_state"]
    with pytest.raises(ShapeError, match=r"missing: 0\._extra_state"):
        other.load_state_dict(state)
    assert other.load_state_dict(state, strict=False).missing_keys == ["0._extra_state"]
    with pytest.raises(ShapeError, match=r"unexpected: _extra_state"):
        nn.Linear(2, 2).load_state_dict({**nn.Linear(2, 2).state_dict(), "_extra_state": 1})
    with pytest.raises(NotImplementedError, match="get_extra_state of its own"):
        nn.Linear(2, 2).get_extra_state()


def test_to_empty_keeps_shapes_sharing_and_training():
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Linear(3, 3))
    model[2].weight = model[0].weight
    model[0].bias.requires_grad_(False)
    state = model.state_dict()
    assert model.to_empty(device="cpu") is model
    assert model[2].weight is model[0].weight and model[0].weight.requires_grad and model[0].weight.is_leaf
    assert not model[0].bias.requires_grad and model[1].num_batches_tracked.dtype == twain.int64
    model.load_state_dict(state)
    np.testing.assert_array_equal(model[0].weight.detach().numpy(), state["0.weight"].numpy())
    before = model[2].bias
    nn.Sequential(model).to_empty(device="cpu", recurse=False)
    assert model[2].bias is before


@pytest.mark.parametrize(
    "make", [lambda: nn.Linear(4, 3), lambda: nn.Conv2d(2, 3, 2), lambda: nn.ConvTranspose2d(2, 3, 2)]
)
def test_spectral_norm_by_its_old_names(make):
    twain.random.seed(1)  # singular values that lie apart
    layer = make()
    weight = layer.weight.detach().numpy().copy()
    assert nn.utils.spectral_norm(layer, n_power_iterations=300) is layer
    assert {"weight_orig", "weight_u", "weight_v", "bias"} == set(layer.state_dict())
    assert {"weight_orig", "bias"} == {name for name, _ in layer.named_parameters()}
    x = twain.random.normal((2, 4) if isinstance(layer, nn.Linear) else (1, 2, 4, 4))
    layer(x).sum().backward()
    assert layer.weight_orig.grad is not None
    axis = 1 if isinstance(layer, nn.ConvTranspose2d) else 0
    matrix = np.moveaxis(weight, axis, 0).reshape(weight.shape[axis], -1)
    np.testing.assert_allclose(layer.weight.detach().numpy(), weight / np.linalg.norm(matrix, 2), rtol=1e-3, atol=1e-5)
    layer.eval()
    u = layer.weight_u.numpy().copy()
    layer(x)
    np.testing.assert_array_equal(layer.weight_u.numpy(), u)
    value = layer.weight.detach().numpy().copy()
    nn.utils.remove_spectral_norm(layer)
    assert {"weight", "bias"} == set(layer.state_dict())
    np.testing.assert_allclose(layer.weight.detach().numpy(), value, rtol=1e-6)
    with pytest.raises(ArgumentError, match=r"\[remove_spectral_norm\] expected spectral_norm on 'weight'"):
        nn.utils.remove_spectral_norm(layer)


def test_spectral_norm_explains_mistakes():
    with pytest.raises(ArgumentError, match="expected a parameter 'wait' of Linear"):
        nn.utils.spectral_norm(nn.Linear(2, 2), "wait")
    with pytest.raises(ValueRangeError, match="n_power_iterations of at least 1"):
        nn.utils.spectral_norm(nn.Linear(2, 2), n_power_iterations=0)
    with pytest.raises(ValueRangeError, match="dim to be an axis"):
        nn.utils.spectral_norm(nn.Linear(2, 2), dim=2)


def test_layers_that_are_elsewhere_are_answered():
    with pytest.raises(AttributeError, match=r"SyncBatchNorm.*in one process it is nn.BatchNorm1d"):
        nn.SyncBatchNorm
    with pytest.raises(AttributeError, match=r"has no attribute 'Lineal'$"):
        nn.Lineal
    assert not hasattr(nn, "DataParallel")
    with pytest.raises((ArgumentError, ValueError), match="cuda"):
        nn.Linear(2, 2).cuda()
