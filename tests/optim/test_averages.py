"""Averages of weights (EMA, SWA): formulas, in compiled steps, batch norm's statistics, misuse."""

import numpy as np
import pytest

import twain
from twain import nn, optim
from twain.optim import swa_utils


@pytest.mark.parametrize("kind", ["ema", "swa"])
@pytest.mark.parametrize("multi", [False, True])
def test_averages_in_a_compiled_step(kind, multi):
    model = nn.Linear(3, 2)
    make = getattr(swa_utils, f"get_{kind}_{'multi_' if multi else ''}avg_fn")
    function = make(0.9) if kind == "ema" else make()
    average = swa_utils.AveragedModel(model, **{"multi_avg_fn" if multi else "avg_fn": function})
    optimizer = optim.SGD(model.parameters(), lr=0.1)

    @twain.compile
    def step(x):
        optimizer.zero_grad()
        (model(x) ** 2).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
        average.update_parameters(model)

    expected, rng = None, np.random.default_rng()
    for number in range(8):
        step(twain.asarray(rng.standard_normal((4, 3)), dtype="float32"))
        w = model.weight.detach().numpy().copy()
        share = 0.1 if kind == "ema" else 1 / (number + 1)
        expected = w if expected is None else expected + share * (w - expected)
        np.testing.assert_allclose(average.module.weight.detach().numpy(), expected, rtol=1e-5, atol=1e-6)
    assert average.n_averaged.item() == 8 and step.hits >= 4
    assert set(average.state_dict()) == {"module.weight", "module.bias", "n_averaged"}
    assert average.module.weight is not model.weight


def test_buffers_are_copied_or_averaged():
    model = nn.BatchNorm1d(2)
    copied, averaged = swa_utils.AveragedModel(model), swa_utils.AveragedModel(model, use_buffers=True)
    for value in (1.0, 3.0):
        model.running_mean.assign(twain.full((2,), value))
        copied.update_parameters(model)
        averaged.update_parameters(model)
    assert copied.module.running_mean.tolist() == [3.0, 3.0]
    assert averaged.module.running_mean.tolist() == [2.0, 2.0]


def test_update_bn_sets_statistics_to_the_data():
    model = nn.Sequential(nn.BatchNorm1d(3, momentum=0.2))
    model.eval()
    data = np.random.default_rng().standard_normal((4, 50, 3)).astype("float32") * 2 + 1
    swa_utils.update_bn([(twain.asarray(batch), None) for batch in data], model)
    layer = model[0]
    np.testing.assert_allclose(layer.running_mean.numpy(), data.mean((0, 1)), rtol=1e-4)
    np.testing.assert_allclose(layer.running_var.numpy(), data.var(1, ddof=1).mean(0), rtol=1e-4)
    assert layer.momentum == 0.2 and not model.training


def test_misuse():
    with pytest.raises(ValueError, match=r"decay in \[0, 1\], got 1.5"):
        swa_utils.get_ema_avg_fn(1.5)
    with pytest.raises(TypeError, match="got both"):
        swa_utils.AveragedModel(nn.Linear(1, 1), avg_fn=max, multi_avg_fn=max)
    with pytest.raises(TypeError, match="a model like the averaged one"):
        swa_utils.AveragedModel(nn.Linear(1, 1)).update_parameters(nn.Linear(2, 1))
    with pytest.raises(TypeError, match="anneal_strategy"):
        swa_utils.SWALR(optim.SGD([twain.zeros((1,)).requires_grad_()]), 0.1, anneal_strategy="exp")
