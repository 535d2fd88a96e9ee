"""scikit-learn on our tensors, by its array API dispatch; skipped where scikit-learn is not installed.

Of scikit-learn's own tests of dispatch all pass here (numpy's place taken by twain's) but for what relies on PyTorch's
or NumPy's ways beyond the standard: GaussianMixture with covariance_type="full" adds to the diagonals of matrices through
views, median_absolute_error takes any `median` for NumPy's, and with dispatch off the chi2 kernels want arrays that can be
written to.
"""

import os

# SciPy looks when it is imported.
os.environ.setdefault("SCIPY_ARRAY_API", "1")

import numpy as np
import pytest

sklearn = pytest.importorskip("sklearn", minversion="1.6")
if os.environ["SCIPY_ARRAY_API"] != "1":
    pytest.skip("SciPy's array API support is off", allow_module_level=True)

from sklearn import (  # noqa: E402
    decomposition,
    discriminant_analysis,
    linear_model,
    metrics,
    mixture,
    model_selection,
    naive_bayes,
    pipeline,
    preprocessing,
)

import twain  # noqa: E402

ROWS, COLUMNS, CLASSES = 60, 5, 3
TRANSFORMERS = {
    "StandardScaler": preprocessing.StandardScaler(),
    "MinMaxScaler": preprocessing.MinMaxScaler(),
    "MaxAbsScaler": preprocessing.MaxAbsScaler(),
    "Normalizer": preprocessing.Normalizer(),
    "Binarizer": preprocessing.Binarizer(threshold=0.1),
    "KernelCenterer": preprocessing.KernelCenterer(),
    "PolynomialFeatures": preprocessing.PolynomialFeatures(degree=2),
    "PCA": decomposition.PCA(n_components=3, svd_solver="full"),
    "PCA by covariance": decomposition.PCA(n_components=2, svd_solver="covariance_eigh", whiten=True),
    "PCA by draws": decomposition.PCA(n_components=2, svd_solver="randomized", power_iteration_normalizer="QR", random_state=0),
    "Pipeline": pipeline.make_pipeline(preprocessing.StandardScaler(), decomposition.PCA(n_components=2, svd_solver="full")),
}  # fmt: skip
PREDICTORS = {
    "Ridge": linear_model.Ridge(alpha=0.5, solver="svd"),
    "LinearDiscriminantAnalysis": discriminant_analysis.LinearDiscriminantAnalysis(),
    "GaussianNB": naive_bayes.GaussianNB(),
    "LogisticRegression": linear_model.LogisticRegression(solver="lbfgs"),
    "RidgeClassifier": linear_model.RidgeClassifier(solver="svd"),
    "GaussianMixture": mixture.GaussianMixture(2, covariance_type="diag", init_params="random", random_state=0),
}
OF_NUMBERS = (
    "r2_score mean_squared_error mean_absolute_error max_error mean_absolute_percentage_error d2_tweedie_score "
    "mean_tweedie_deviance mean_pinball_loss explained_variance_score root_mean_squared_error"
)
OF_CLASSES = "accuracy_score zero_one_loss hamming_loss confusion_matrix balanced_accuracy_score cohen_kappa_score"
OF_PAIRS = (
    "euclidean_distances cosine_similarity linear_kernel rbf_kernel sigmoid_kernel polynomial_kernel cosine_distances"
)


def data(dtype: str = "float64"):
    rng = np.random.default_rng()
    y = rng.integers(0, CLASSES, ROWS)
    y[:CLASSES] = range(CLASSES)  # each is there
    return (rng.standard_normal((ROWS, COLUMNS)) + 2 * y[:, None]).astype(dtype), y


def ours(*arrays):
    return [twain.asarray(a) for a in arrays]


TOLERANCE = {"float64": 1e-9, "float32": 2e-3, "classes": 1e-6}  # what is made of counts is in the default float


def close(got, wanted, dtype: str = "float64"):
    tolerance = TOLERANCE[dtype]
    np.testing.assert_allclose(np.asarray(got), np.asarray(wanted), rtol=tolerance, atol=tolerance)


@pytest.fixture
def dispatch():
    with sklearn.config_context(array_api_dispatch=True):
        yield


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", TRANSFORMERS)
def test_transformers(name, dtype, dispatch):
    x, _ = data(dtype)
    if name == "KernelCenterer":
        x = x @ x.T
    wanted = sklearn.clone(TRANSFORMERS[name]).fit_transform(x)
    model = sklearn.clone(TRANSFORMERS[name])
    (t,) = ours(x)
    got = model.fit(t).transform(t)
    assert isinstance(got, twain.Tensor) and str(got.dtype) == dtype and got.device == t.device
    close(got, wanted, dtype)
    if hasattr(model, "inverse_transform"):
        back = model.inverse_transform(got)
        assert isinstance(back, twain.Tensor)
        close(back, sklearn.clone(TRANSFORMERS[name]).fit(x).inverse_transform(wanted), dtype)


@pytest.mark.parametrize("name", PREDICTORS)
def test_predictors(name, dispatch):
    x, y = data()
    reference = sklearn.clone(PREDICTORS[name]).fit(x, y)
    model = sklearn.clone(PREDICTORS[name])
    t, classes = ours(x, y)
    got = model.fit(t, classes.astype(t.dtype) if name == "Ridge" else classes).predict(t)
    assert isinstance(got, twain.Tensor)
    close(got, reference.predict(x))
    for method in ("predict_proba", "decision_function"):
        if hasattr(reference, method):
            np.testing.assert_allclose(
                np.asarray(getattr(model, method)(t)), getattr(reference, method)(x), rtol=1e-3, atol=1e-3
            )
    assert float(model.score(t, classes)) == pytest.approx(float(reference.score(x, y)), rel=1e-4)


@pytest.mark.parametrize("name", OF_NUMBERS.split())
def test_metrics_of_numbers(name, dispatch):
    rng = np.random.default_rng()
    a, b, weights = (rng.random(ROWS) + 0.5 for _ in range(3))
    metric = getattr(metrics, name)
    close(metric(*ours(a, b)), metric(a, b))
    if name != "max_error":
        close(metric(*ours(a, b), sample_weight=ours(weights)[0]), metric(a, b, sample_weight=weights))


@pytest.mark.parametrize("name", OF_CLASSES.split())
def test_metrics_of_classes(name, dispatch):
    _, a = data()
    _, b = data()
    metric = getattr(metrics, name)
    close(metric(*ours(a, b)), metric(a, b), "classes")


@pytest.mark.parametrize("name", ["f1_score", "precision_score", "recall_score", "jaccard_score"])
@pytest.mark.parametrize("average", ["macro", "micro", "weighted"])
def test_averaged_metrics(name, average, dispatch):
    _, a = data()
    _, b = data()
    metric = getattr(metrics, name)
    close(metric(*ours(a, b), average=average), metric(a, b, average=average), "classes")


@pytest.mark.parametrize("name", OF_PAIRS.split())
def test_metrics_of_pairs(name, dispatch):
    x, _ = data()
    metric = getattr(metrics.pairwise, name)
    got = metric(*ours(x[:7], x[7:20]))
    assert isinstance(got, twain.Tensor)
    close(got, metric(x[:7], x[7:20]))


def test_splits(dispatch):
    x, y = data()
    parts = model_selection.train_test_split(*ours(x, y), random_state=0, stratify=None)
    for got, wanted in zip(parts, model_selection.train_test_split(x, y, random_state=0)):
        assert isinstance(got, twain.Tensor)
        np.testing.assert_array_equal(np.asarray(got), wanted)
    model = linear_model.Ridge(solver="svd")
    t, target = ours(x, y.astype("float64"))
    close(
        model_selection.cross_val_predict(model, t, target),
        model_selection.cross_val_predict(model, x, y.astype("float64")),
    )


@pytest.mark.parametrize("name", ["LabelEncoder", "LabelBinarizer"])
def test_labels(name, dispatch):
    _, y = data()
    y = y * 10 - 7
    got, wanted = getattr(preprocessing, name)(), getattr(preprocessing, name)()
    encoded = got.fit_transform(ours(y)[0])
    assert isinstance(encoded, twain.Tensor)
    np.testing.assert_array_equal(np.asarray(encoded), wanted.fit_transform(y))
    np.testing.assert_array_equal(np.asarray(got.inverse_transform(encoded)), y)
