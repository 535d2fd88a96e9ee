"""Model.fit, evaluate and predict: what they take, what they compute, and that any way of training agrees."""

import numpy as np
import pytest

import twain
from twain import nn, optim
from twain.data import ArrayDataset, DataLoader
from twain.nn import functional as F
from twain.train import Callback, Model


@pytest.fixture(scope="module")
def data():
    """120 points in 4 dimensions, class by the larger of two sums."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((120, 4)).astype("float32")
    y = (x[:, :2].sum(1) > x[:, 2:].sum(1)).astype("int64")
    return x, y


def network():
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))


def compiled(module=None, seed=0, **settings):
    twain.random.seed(seed)
    model = Model(network() if module is None else module())
    return model.compile("adam", "cross_entropy", ["accuracy"], lr=0.02, **settings)


def parameters(model):
    return [p.tolist() for p in model.parameters()]


def test_it_learns(data):
    model = compiled()
    history = model.fit(*data, epochs=15, verbose=0)
    assert history["accuracy"][-1] > 0.95
    assert history["loss"][-1] < 0.5 * history["loss"][0]
    assert history.epoch == list(range(15))
    assert model.evaluate(*data)["accuracy"] > 0.95
    predicted = model.predict(data[0], batch_size=50)
    assert predicted.shape == (120, 2)
    assert (predicted.numpy().argmax(1) == data[1]).mean() == pytest.approx(model.evaluate(*data)["accuracy"])


def test_every_kind_of_data_gives_the_same_run(data):
    x, y = data
    runs = []
    for kind in range(5):
        model = compiled()
        if kind == 0:
            model.fit(x, y, epochs=3, batch_size=16, seed=4, verbose=0)
        elif kind == 1:
            model.fit(twain.asarray(x), twain.asarray(y), epochs=3, batch_size=16, seed=4, verbose=0)
        elif kind == 2:
            model.fit(ArrayDataset(x, y), epochs=3, batch_size=16, seed=4, verbose=0)
        elif kind == 3:
            model.fit(DataLoader(ArrayDataset(x, y), 16, shuffle=True, seed=4), epochs=3, verbose=0)
        else:
            model.fit(x.tolist(), y.tolist(), epochs=3, batch_size=16, seed=4, verbose=0)
        runs.append(parameters(model))
    assert all(run == runs[0] for run in runs)


def test_the_same_as_a_loop_of_ones_own_and_as_eager(data):
    x, y = (twain.asarray(v) for v in data)
    by_fit = compiled()
    by_fit.fit(x, y, epochs=3, batch_size=32, seed=1, verbose=0)
    eager = compiled(compile_step=False)
    eager.fit(x, y, epochs=3, batch_size=32, seed=1, verbose=0)

    twain.random.seed(0)
    by_hand = network()
    optimizer = optim.Adam(by_hand.parameters(), lr=0.02)
    loader = DataLoader(ArrayDataset(x, y), 32, shuffle=True, seed=1)
    for _ in range(3):
        for inputs, labels in loader:
            optimizer.zero_grad()
            F.cross_entropy(by_hand(inputs), labels).backward()
            optimizer.step()
    for other in (eager, by_hand):
        for a, b in zip(by_fit.parameters(), other.parameters(), strict=True):
            np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-4, atol=1e-5)


def test_a_subclass_and_a_graph_train_as_well(data):
    class Net(Model):
        def __init__(self):
            self.hidden = nn.Linear(4, 8)
            self.out = nn.Linear(8, 2)

        def forward(self, x):
            return self.out(twain.tanh(self.hidden(x)))

    def graph():
        x = nn.Input(4)
        hidden = nn.Tanh()(nn.Linear(4, 8)(x))
        return Model(x, nn.Linear(8, 2)(hidden))

    runs = []
    for make in (Net, graph, lambda: Model(network())):
        twain.random.seed(0)
        model = make()
        model.compile("adam", "cross_entropy", ["accuracy"], lr=0.02)
        model.fit(*data, epochs=2, verbose=0)
        runs.append(parameters(model))
    assert runs[0] == runs[1] == runs[2]
    assert list(Net().state_dict()) == ["hidden.weight", "hidden.bias", "out.weight", "out.bias"]


def test_names_of_parameters_are_those_of_the_module():
    module = network()
    assert list(Model(module).state_dict()) == list(module.state_dict())
    assert Model(module).module is module
    assert len(list(Model(module).parameters())) == 4


def test_several_inputs_and_several_outputs():
    class Net(nn.Module):
        def __init__(self):
            self.a = nn.Linear(3, 2)
            self.b = nn.Linear(5, 2)

        def forward(self, x, y):
            return self.a(x) + self.b(y)

    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((20, 3)).astype("f"), rng.standard_normal((20, 5)).astype("f")
    target = rng.standard_normal((20, 2)).astype("f")
    model = Model(Net()).compile("sgd", "mse", ["mae"], lr=0.1)
    history = model.fit([x, y], target, epochs=20, batch_size=8, verbose=0)
    assert history["loss"][-1] < history["loss"][0]
    assert set(history.history) == {"loss", "mae"}
    assert model.predict([x, y]).shape == (20, 2)


def test_losses_are_means_over_samples_not_batches(data):
    x, y = data
    model = compiled()
    whole = F.cross_entropy(model(twain.asarray(x)), twain.asarray(y)).item()
    assert model.evaluate(x, y, batch_size=50)["loss"] == pytest.approx(whole, rel=1e-5)


def test_validation(data):
    x, y = data
    model = compiled()
    history = model.fit(x, y, epochs=2, validation_split=0.25, verbose=0)
    assert set(history.history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    model = compiled()
    history = model.fit(x, y, epochs=2, validation_data=(x[:20], y[:20]), verbose=0)
    expected = model.evaluate(x[:20], y[:20])
    assert history["val_loss"][-1] == pytest.approx(expected["loss"])


def test_dropout_is_off_in_evaluate_and_predict_and_on_again_after(data):
    x, y = data
    twain.random.seed(0)
    model = Model(nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 2)))
    model.compile("sgd", "cross_entropy")
    assert model.predict(x).tolist() == model.predict(x).tolist()
    assert model.evaluate(x, y) == model.evaluate(x, y)
    assert model.training and model.module[1].training
    first, second = (model.fit(x, y, epochs=1, verbose=0)["loss"][0] for _ in range(2))
    assert first != second


def test_gradient_clipping(data):
    a, b = compiled(clip_grad_norm=1e-6), compiled()
    a.compile("sgd", "cross_entropy", lr=1.0, clip_grad_norm=1e-6)
    before = parameters(a)
    a.fit(*data, epochs=1, verbose=0)
    for p, q in zip(before, parameters(a), strict=True):
        np.testing.assert_allclose(p, q, atol=1e-4)
    b.fit(*data, epochs=1, verbose=0)
    assert parameters(b) != before


def test_metrics_do_not_leak_from_one_run_to_the_next(data):
    model = compiled()
    model.evaluate(*data)
    first = model.evaluate(*data)["accuracy"]
    assert first <= 1.0 and first == model.evaluate(*data)["accuracy"]


def test_evaluate_inside_a_run_leaves_its_sums_alone(data):
    seen = []

    class Peek(Callback):
        def on_batch_end(self, batch, logs):
            seen.append(self.model.evaluate(data[0][:10], data[1][:10])["loss"])

    plain = compiled().fit(*data, epochs=2, verbose=0)
    peeked = compiled().fit(*data, epochs=2, verbose=0, callbacks=[Peek()])
    assert peeked.history == plain.history
    assert len(seen) == 8


def test_the_step_is_compiled_once_for_a_schedule(data, monkeypatch):
    monkeypatch.setattr(twain.config, "eager", False)
    from twain.train import LRSchedule

    model = compiled()
    schedule = LRSchedule(lambda o: optim.CosineAnnealingLR(o, T_max=40), per="batch")
    model.fit(*data, epochs=6, batch_size=30, callbacks=[schedule], verbose=0)
    step = model._training.steps["train"]
    assert step.eager_reason is None
    assert step.hits > 10
    assert model.optimizer.param_groups[0]["lr"] != 0.02
