"""Metrics against counting by hand."""

import math

import numpy as np
import pytest

import twain
from twain import nn
from twain.train import (
    Accuracy,
    ConfusionMatrix,
    F1Score,
    MeanAbsoluteError,
    MeanSquaredError,
    Model,
    Precision,
    Recall,
    TopKAccuracy,
)


@pytest.fixture
def batches():
    rng = np.random.default_rng(2)
    outputs = rng.standard_normal((60, 5)).astype("float32")
    targets = rng.integers(0, 4, 60)  # class 4 never occurs
    return (
        outputs,
        targets,
        [(twain.asarray(outputs[a:b]), twain.asarray(targets[a:b])) for a, b in ((0, 25), (25, 60))],
    )


def value(metric, batches):
    for outputs, targets in batches:
        metric.update(outputs, targets)
    return metric.result()


def test_accuracy_and_top_k(batches):
    outputs, targets, parts = batches
    predicted = outputs.argmax(1)
    assert value(Accuracy(), parts) == pytest.approx((predicted == targets).mean())
    kept = targets != 2
    assert value(Accuracy(ignore_index=2), parts) == pytest.approx((predicted == targets)[kept].mean())
    ranks = (outputs > outputs[np.arange(60), targets][:, None]).sum(1)
    assert value(TopKAccuracy(2), parts) == pytest.approx((ranks < 2).mean())
    assert math.isnan(Accuracy().result())


def test_one_output_per_sample():
    outputs = twain.asarray([[0.2], [0.7], [0.6], [0.1]])
    targets = twain.asarray([[0.0], [1.0], [0.0], [1.0]])
    assert value(Accuracy(), [(outputs, targets)]) == 0.5
    assert value(Accuracy(threshold=0.65), [(outputs[:, 0], targets[:, 0])]) == 0.75


def test_probabilities_as_targets(batches):
    outputs, targets, _ = batches
    rows = np.eye(5, dtype="float32")[targets]
    assert value(Accuracy(), [(twain.asarray(outputs), twain.asarray(rows))]) == pytest.approx(
        (outputs.argmax(1) == targets).mean()
    )


def test_confusion_matrix_and_what_follows_from_it(batches):
    outputs, targets, parts = batches
    predicted = outputs.argmax(1)
    expected = np.zeros((5, 5), int)
    np.add.at(expected, (targets, predicted), 1)
    assert value(ConfusionMatrix(), parts) == expected.tolist()

    hits = np.diag(expected)
    precision = hits / np.maximum(expected.sum(0), 1)
    recall = hits / np.maximum(expected.sum(1), 1)
    total = expected.sum(0) + expected.sum(1)
    f1 = 2 * hits / np.maximum(total, 1)
    for metric, each in ((Precision, precision), (Recall, recall), (F1Score, f1)):
        assert value(metric(average=None), parts) == pytest.approx(each.tolist())
        assert value(metric(), parts) == pytest.approx(each[total > 0].mean())
        assert value(metric(average="micro"), parts) == pytest.approx((predicted == targets).mean())
    with pytest.raises(TypeError, match="average"):
        Precision(average="weighted")


def test_errors(batches):
    outputs, _, _ = batches
    a, b = outputs[:, :2], outputs[:, 2:4]
    parts = [(twain.asarray(a[i:j]), twain.asarray(b[i:j])) for i, j in ((0, 10), (10, 60))]
    assert value(MeanSquaredError(), parts) == pytest.approx(((a - b) ** 2).mean(), rel=1e-5)
    assert value(MeanAbsoluteError(), parts) == pytest.approx(np.abs(a - b).mean(), rel=1e-5)


def test_in_a_model_with_metrics_that_learn_the_number_of_classes():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((40, 4)).astype("f"), rng.integers(0, 3, 40)
    twain.random.seed(0)

    def distance(outputs, targets):
        return (outputs.argmax(axis=1) - targets).abs().astype("float32").mean()

    model = Model(nn.Linear(4, 3)).compile("sgd", "cross_entropy", ["acc", "precision", "confusion_matrix", distance])
    history = model.fit(x, y, epochs=2, batch_size=16, verbose=0)
    assert set(history.history) == {"loss", "acc", "precision", "confusion_matrix", "distance"}
    scores = model.evaluate(x, y)
    predicted = model.predict(x).numpy().argmax(1)
    assert np.sum(scores["confusion_matrix"]) == 40
    assert scores["acc"] == pytest.approx((predicted == y).mean())
    assert scores["distance"] == pytest.approx(np.abs(predicted - y).mean())


def test_logits_of_one_output_are_compared_with_zero():
    x = np.asarray([[1.0], [-1.0], [0.3]], "float32")
    model = Model(nn.Linear(1, 1)).compile("sgd", "binary_cross_entropy_with_logits", ["accuracy"])
    model.load_state_dict({"weight": np.ones((1, 1)), "bias": np.zeros(1)})
    assert model.evaluate(x, np.asarray([[1.0], [0.0], [1.0]], "float32"))["accuracy"] == 1.0
