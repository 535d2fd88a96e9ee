"""Metrics against counting by hand."""

import math

import numpy as np
import pytest

import twain
from twain import nn
from twain.train import (
    AUC,
    BLEU,
    Accuracy,
    AveragePrecision,
    BinaryAccuracy,
    CohenKappa,
    ConfusionMatrix,
    CosineSimilarity,
    F1Score,
    FBetaScore,
    IoU,
    MatthewsCorrelation,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogError,
    Model,
    PearsonCorrelation,
    Perplexity,
    Precision,
    R2Score,
    Recall,
    RootMeanSquaredError,
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
        Precision(average="samples")


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


def pair_share(scores, present):
    """How often a positive sample has the higher score, ties half."""
    a, b = scores[present][:, None], scores[~present][None]
    return ((a > b) + 0.5 * (a == b)).mean()


def step_precision(scores, present):
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(present[order])
    return (hits / np.arange(1, len(scores) + 1))[present[order]].mean()


def test_areas_under_curves(batches):
    outputs, targets, parts = batches
    softmax = np.exp(outputs) / np.exp(outputs).sum(1, keepdims=True)
    for metric, reference in ((AUC, pair_share), (AveragePrecision, step_precision)):
        each = [reference(softmax[:, c], targets == c) for c in range(4)]
        made = metric(average=None, from_logits=True, bins=1 << 16)
        found = value(made, parts)
        assert found[:4] == pytest.approx(each, abs=2e-3)
        assert math.isnan(found[4])
        assert value(metric(from_logits=True), parts) == pytest.approx(np.mean(each), abs=5e-3)
        one = [(o[:, 0].sigmoid(), (t == 1).astype("float32")) for o, t in parts]
        assert value(metric(bins=1 << 16), one) == pytest.approx(reference(outputs[:, 0], targets == 1), abs=2e-3)


def test_areas_with_ties_and_weights():
    scores = twain.asarray([0.2, 0.2, 0.8, 0.8, 0.8])
    present = twain.asarray([0, 1, 0, 1, 1])
    weight = twain.asarray([1.0, 2.0, 1.0, 1.0, 1.0])
    metric = AUC()
    metric.update(scores, present, weight)
    # pairs: (0.2 x2, 0.8, 0.8) against (0.2, 0.8)
    assert metric.result() == pytest.approx((2 * 0.5 + 0 + 2 * 1 + 2 * 0.5) / 8)


def test_numbers_against_formulas():
    rng = np.random.default_rng(7)
    x, y = rng.standard_normal((2, 31, 3))
    w = rng.uniform(0.1, 2, 31)
    parts = [(0, 10), (10, 31)]
    square, share = (x - y) ** 2, np.abs(x - y) / np.abs(y) * 100
    log = (np.log1p(x.clip(0)) - np.log1p(y.clip(0))) ** 2
    cosine = (x * y).sum(1) / np.sqrt((x * x).sum(1) * (y * y).sum(1))

    def r2(x, y, w=None):
        mean = np.average(y, axis=0, weights=w)
        return np.mean(1 - np.average((x - y) ** 2, axis=0, weights=w) / np.average((y - mean) ** 2, axis=0, weights=w))

    plain = {
        MeanSquaredError: square.mean(), RootMeanSquaredError: np.sqrt(square.mean()), MeanAbsoluteError: np.abs(x - y).mean(),
        MeanAbsolutePercentageError: share.mean(), MeanSquaredLogError: log.mean(), CosineSimilarity: cosine.mean(),
        R2Score: r2(x, y), PearsonCorrelation: np.mean([np.corrcoef(x[:, i], y[:, i])[0, 1] for i in range(3)]),
    }  # fmt: skip
    weighted = {MeanSquaredError: np.average(square.mean(1), weights=w), CosineSimilarity: np.average(cosine, weights=w),
                R2Score: r2(x, y, w)}  # fmt: skip
    for kind, expected in plain.items():
        assert value(kind(), [(twain.asarray(x[a:b]), twain.asarray(y[a:b])) for a, b in parts]) == pytest.approx(
            expected
        )
    for kind, expected in weighted.items():
        metric = kind()
        for a, b in parts:
            metric.update(*(twain.asarray(v[a:b]) for v in (x, y, w)))
        assert metric.result() == pytest.approx(expected)
    assert value(MeanSquaredError(), [(twain.ones((4, 1)), twain.zeros(4))]) == 1.0
    with pytest.raises(ValueError, match=r"MeanSquaredError\] expected outputs and targets of one shape, got \(4, 2\)"):
        MeanSquaredError().update(twain.ones((4, 2)), twain.ones((4, 1)))


def test_more_of_the_confusion_matrix(batches):
    outputs, targets, parts = batches
    predicted = outputs.argmax(1)
    union = [((predicted == c) | (targets == c)).sum() for c in range(5)]
    both = [((predicted == c) & (targets == c)).sum() for c in range(5)]
    assert value(IoU(average=None), parts) == pytest.approx([b / u for b, u in zip(both, union)])
    chance = sum((predicted == c).mean() * (targets == c).mean() for c in range(5))
    agreed = (predicted == targets).mean()
    assert value(CohenKappa(), parts) == pytest.approx((agreed - chance) / (1 - chance))
    both_ways = [((outputs[:, 0] > 0).astype(int), (targets == 0).astype(int))]
    two = [(twain.asarray(p.astype("f")), twain.asarray(t)) for p, t in both_ways]
    assert value(MatthewsCorrelation(), two) == pytest.approx(np.corrcoef(*both_ways[0])[0, 1])
    kept = targets != 3
    precision = Precision("weighted", ignore_index=3)
    expected = sum(
        (predicted[kept] == targets[kept])[predicted[kept] == c].mean() * (targets[kept] == c).mean() for c in range(3)
    )
    assert value(precision, parts) == pytest.approx(expected)
    assert value(FBetaScore(2.0, average="micro"), parts) == pytest.approx(agreed)
    with pytest.raises(ValueError, match=r"Recall\] expected outputs \(N, classes, \.\.\.\) and targets"):
        Recall().update(twain.ones((4, 3)), twain.ones((4, 2), dtype="int64"))


def test_segmentation_and_weights():
    rng = np.random.default_rng(1)
    scores, labels = rng.standard_normal((3, 4, 5, 6)).astype("f"), rng.integers(0, 4, (3, 5, 6))
    weight = np.asarray([0.5, 2.0, 1.0])
    right = scores.argmax(1) == labels
    for metric in (Accuracy(), TopKAccuracy(1)):
        metric.update(twain.asarray(scores), twain.asarray(labels), twain.asarray(weight))
        assert metric.result() == pytest.approx(np.average(right.mean((1, 2)), weights=weight))
    matrix = ConfusionMatrix()
    matrix.update(twain.asarray(scores), twain.asarray(labels), twain.asarray(weight))
    expected = np.zeros((4, 4))
    np.add.at(expected, (labels, scores.argmax(1)), np.broadcast_to(weight[:, None, None], labels.shape))
    assert np.allclose(matrix.result(), expected)


def test_binary_accuracy_of_several_outputs():
    outputs = twain.asarray([[0.2, 0.9], [0.6, 0.4]])
    targets = twain.asarray([[0, 1], [1, 1]])
    assert value(BinaryAccuracy(), [(outputs, targets)]) == 0.75


def test_perplexity(batches):
    outputs, targets, parts = batches
    logs = outputs - np.log(np.exp(outputs).sum(1, keepdims=True))
    kept = targets != 1
    expected = np.exp(-logs[np.arange(60), targets][kept].mean())
    assert value(Perplexity(ignore_index=1), parts) == pytest.approx(expected, rel=1e-5)


def test_bleu():
    texts = ["the cat is on the mat", "there is a cat"]
    references = [["the cat sat on the mat", "a cat is on the mat"], "there is a cat here"]
    metric = BLEU(2)
    metric.update(texts[:1], references[:1])
    metric.update(texts[1:], references[1:])
    # Unigrams: 6 of 6 ("the" twice in a reference) and 4 of 4; bigrams: the cat, is on, on the, the mat, cat is and all 3.
    brevity = math.exp(1 - 11 / 10)
    assert metric.result() == pytest.approx(brevity * math.sqrt(10 / 10 * 8 / 8))
    assert value(BLEU(), [([[1, 2, 3, 4, 5]], [[1, 2, 3, 4, 5]])]) == 1.0
    assert value(BLEU(), [(["a b c"], ["a b c"])]) == 0.0
    assert value(BLEU(smooth=True), [(["a b c d x"], ["a b c d e"])]) > 0.4
    with pytest.raises(TypeError, match=r"lists of texts"):
        BLEU().update("a cat", "a cat")
    with pytest.raises(TypeError, match="takes texts"):
        Model(nn.Linear(1, 1)).compile("sgd", "mse", [BLEU()])


def test_areas_in_a_compiled_step_read_logits():
    rng = np.random.default_rng(3)
    x, y = rng.standard_normal((64, 4)).astype("f"), rng.integers(0, 2, 64)
    model = Model(nn.Linear(4, 2)).compile("sgd", "cross_entropy", ["auc", "average_precision"], lr=0.0)
    history = model.fit(x, y, epochs=2, batch_size=32, verbose=0)
    scores = model.predict(x).numpy()
    expected = pair_share(scores[:, 1] - scores[:, 0], y == 1)
    assert history["auc"] == pytest.approx([expected] * 2, abs=2e-3)
