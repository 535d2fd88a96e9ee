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


# ---------------------------------------------------------------- weights, several outputs, generators, accumulation
def rows(count=24, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((count, 4)).astype("float32"), rng.integers(0, 3, count)


def linear(loss="cross_entropy", **settings):
    twain.random.seed(0)
    return Model(nn.Linear(4, 3)).compile("sgd", loss, lr=0.5, **settings)


def expected_weights(x, y, weight, steps):
    """The parameters after `steps` whole-batch steps on the mean of weight * loss."""
    twain.random.seed(0)
    net = nn.Linear(4, 3)
    optimizer = twain.optim.SGD(net.parameters(), lr=0.5)
    for _ in range(steps):
        optimizer.zero_grad()
        each = nn.functional.cross_entropy(net(twain.asarray(x)), twain.asarray(y), reduction="none")
        (each * twain.asarray(weight.astype("float32"))).mean().backward()
        optimizer.step()
    return net.weight.detach().numpy()


@pytest.mark.parametrize("loss", ["cross_entropy", nn.CrossEntropyLoss, "own"])
def test_weights_of_samples_and_classes(loss):
    if loss == "own":

        def loss(outputs, targets):
            return nn.functional.cross_entropy(outputs, targets, reduction="none")

    x, y = rows()
    weight = np.random.default_rng(1).uniform(0, 2, 24).astype("float32")
    of_class = np.asarray([0.5, 1.0, 3.0])
    settings = {"batch_size": 24, "shuffle": False, "epochs": 2, "verbose": 0}
    m = linear(loss)
    m.fit(x, y, sample_weight=weight, **settings)
    assert np.allclose(m.module.weight.detach().numpy(), expected_weights(x, y, weight, 2), atol=1e-6)
    m = linear(loss)
    m.fit(x, y, sample_weight=weight, class_weight={0: 0.5, 2: 3.0}, **settings)
    assert np.allclose(m.module.weight.detach().numpy(), expected_weights(x, y, weight * of_class[y], 2), atol=1e-6)
    again = linear(loss)
    again.fit(lambda: [(x, y, weight)], sample_weight=True, class_weight=of_class, epochs=2, verbose=0)
    assert (again.module.weight.detach().numpy() == m.module.weight.detach().numpy()).all()


def test_weighted_metrics_and_evaluation():
    x, y = rows()
    weight = np.linspace(0, 2, 24).astype("float32")
    m = linear(metrics=["accuracy"], weighted_metrics=[twain.train.Accuracy("weighted")])
    scores = m.evaluate(x, y, sample_weight=weight, batch_size=10)
    right = m.predict(x).numpy().argmax(1) == y
    assert scores["accuracy"] == pytest.approx(right.mean())
    assert scores["weighted"] == pytest.approx(np.average(right, weights=weight))


@pytest.mark.parametrize(
    "call,text",
    [
        (lambda m, x, y: m.fit(x, y, sample_weight=np.ones(5)), "x has 24, y has 24, sample_weight has 5"),
        (lambda m, x, y: m.fit(x, y, sample_weight=True), "sample_weight as an array"),
        (lambda m, x, y: m.fit(lambda: [(x, y)], sample_weight=np.ones(24)), "sample_weight=True for a function"),
        (lambda m, x, y: m.fit(lambda: [(x, y)], sample_weight=True), r"batches \(inputs, target, weight\), got tuple of 2"),
        (lambda m, x, y: m.fit(x, y, class_weight={3: 1.0}), r"classes in \[0, 3\), got 3"),
        (lambda m, x, y: m.fit(x, y, class_weight=[1.0]), r"class_weight of shape \(3,\), got \(1,\)"),
        (lambda m, x, y: m.fit(x, y, steps_per_epoch=0), "steps to be an int of at least 1, got 0"),
        (lambda m, x, y: m.compile("sgd", "mse", accumulate=0), "accumulate"),
        (lambda m, x, y: m.compile("sgd", {"a": "mse"}).fit(x, y), "outputs to have 'a', for which a loss was given"),
        (lambda m, x, y: m.compile("sgd", "mse", loss_weights=[1]), "dictionary or list of losses"),
        (lambda m, x, y: m.compile("sgd", lambda o, t: o.sum()).fit(x, y, class_weight={0: 2}),
         r"value per sample, shape \(24, ...\), for weights, got shape \(\)"),
    ],
)  # fmt: skip
def test_misuse_of_weights(call, text):
    x, y = rows()
    with pytest.raises((TypeError, ValueError), match=text):
        call(linear(), x, y)


class TwoHeads(nn.Module):
    def __init__(self):
        self.trunk = nn.Linear(4, 5)
        self.kind = nn.Linear(5, 3)
        self.size = nn.Linear(5, 1)

    def forward(self, parts):
        hidden = (self.trunk(parts["x"]) + parts["extra"]).tanh()
        return {"kind": self.kind(hidden), "size": self.size(hidden)}


def test_trees_in_and_trees_out():
    x, y = rows()
    inputs = {"x": x, "extra": np.ones((24, 5), "float32")}
    targets = {"kind": y, "size": x[:, :1] * 2}

    def made():
        twain.random.seed(0)
        return Model(TwoHeads()).compile(
            "adam", {"kind": "cross_entropy", "size": "mse"}, {"kind": "accuracy", "size": ["mae"]},
            loss_weights={"size": 0.25}, lr=0.05,
        )  # fmt: skip

    m = made()
    history = m.fit(inputs, targets, epochs=3, batch_size=10, verbose=0, validation_data=(inputs, targets))
    names = {"loss", "kind_loss", "size_loss", "kind_accuracy", "size_mae"}
    assert set(history.history) == names | {"val_" + n for n in names}
    assert history["loss"][-1] == pytest.approx(history["kind_loss"][-1] + 0.25 * history["size_loss"][-1])
    assert history["loss"][-1] < history["loss"][0]
    outputs = m.predict(inputs, batch_size=7)
    assert outputs["kind"].shape == (24, 3) and outputs["size"].shape == (24, 1)
    scores = m.evaluate(inputs, targets)
    assert scores["kind_accuracy"] == pytest.approx((outputs["kind"].numpy().argmax(1) == y).mean())
    assert scores["size_mae"] == pytest.approx(np.abs(outputs["size"].numpy() - targets["size"]).mean(), rel=1e-5)
    split = made()
    history = split.fit(inputs, targets, validation_split=0.25, epochs=1, verbose=0)
    assert "val_size_mae" in history.history


def test_generators_and_steps():
    x, y = rows()

    def batches():
        for i in range(0, 24, 8):
            yield x[i : i + 8], y[i : i + 8]

    plain, made, stream = linear(), linear(), linear()
    plain.fit(x, y, batch_size=8, shuffle=False, epochs=2, verbose=0)
    made.fit(batches, epochs=2, verbose=0)

    def endless():
        while True:
            yield from batches()

    history = stream.fit(endless(), steps_per_epoch=3, epochs=2, verbose=0, validation_data=endless, validation_steps=2)
    for other in (made, stream):
        assert (other.module.weight.detach().numpy() == plain.module.weight.detach().numpy()).all()
    assert len(history["val_loss"]) == 2


@pytest.mark.parametrize("compile_step", [True, False])
def test_accumulated_gradients_are_those_of_the_large_batch(compile_step):
    x, y = rows()
    large = linear()
    large.fit(x, y, batch_size=12, shuffle=False, epochs=2, verbose=0)
    small = linear(accumulate=3, compile_step=compile_step)
    small.fit(x, y, batch_size=4, shuffle=False, epochs=2, verbose=0)
    assert np.allclose(small.module.weight.detach().numpy(), large.module.weight.detach().numpy(), atol=1e-6)
    # What is left at the end of an epoch is a step, too.
    left = linear(accumulate=4, compile_step=compile_step)
    before = left.module.weight.detach().numpy().copy()
    left.fit(lambda: [(x[:4], y[:4])], epochs=1, verbose=0)
    assert (left.module.weight.detach().numpy() != before).any()


def test_accumulation_goes_on_from_a_checkpoint(tmp_path):
    x, y = rows()
    path = tmp_path / "run.safetensors"

    class Stop(Callback):
        def on_batch_end(self, batch, logs):
            if batch == 4:
                self.model.stop_training_now()

    whole = linear(accumulate=4)
    whole.fit(x, y, batch_size=3, epochs=1, verbose=0)
    part = linear(accumulate=4)
    checkpoint = twain.train.Checkpoint(path, every_batches=5, every=9)
    part.fit(x, y, batch_size=3, epochs=1, verbose=0, callbacks=[checkpoint, Stop()])
    rest = linear(accumulate=4)
    rest.fit(x, y, batch_size=3, epochs=1, verbose=0, resume=path)
    assert (rest.module.weight.detach().numpy() == whole.module.weight.detach().numpy()).all()


def test_single_batches():
    x, y = rows()
    m = linear(metrics=["accuracy"])
    other = linear(metrics=["accuracy"])
    other.fit(x, y, batch_size=24, shuffle=False, verbose=0)
    logs = m.train_on_batch(x, y)
    assert set(logs) == {"loss", "accuracy"}
    assert (m.module.weight.detach().numpy() == other.module.weight.detach().numpy()).all()
    assert m.test_on_batch(x, y)["loss"] == pytest.approx(m.evaluate(x, y)["loss"])
    assert (m.predict_on_batch(x).numpy() == m.predict(x).numpy()).all()


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_mixed_precision(dtype, tmp_path):
    x, y = rows(96)
    y = (x[:, 0] > 0).astype("int64")
    m = linear(autocast=dtype, metrics=["accuracy"], clip_grad_norm=5.0)
    path = tmp_path / "run.safetensors"
    history = m.fit(x, y, epochs=6, verbose=0, callbacks=[twain.train.Checkpoint(path, every=3)])
    assert history["loss"][-1] < history["loss"][0]
    assert history["accuracy"][-1] > 0.9
    assert m.module.weight.dtype is twain.float32
    wide = linear()
    wide.fit(x, y, epochs=6, verbose=0)
    assert np.allclose(m.module.weight.detach().numpy(), wide.module.weight.detach().numpy(), atol=0.05)
    again = linear(autocast=dtype, metrics=["accuracy"], clip_grad_norm=5.0)
    again.fit(x, y, epochs=6, verbose=0, resume=path)
    assert (again.module.weight.detach().numpy() == m.module.weight.detach().numpy()).all()
    with pytest.raises(TypeError, match="bfloat16 or float16"):
        linear(autocast="float64")
