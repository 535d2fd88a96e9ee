"""Values and gradients of nn against PyTorch, on fresh random input each time; skipped where torch is not installed."""

import numpy as np
import pytest

import twain
from twain import nn
from twain.nn import functional as F

torch = pytest.importorskip("torch")
from torch_compare import both, compare  # noqa: E402

TF = torch.nn.functional


@pytest.fixture
def rng():
    seed = np.random.SeedSequence().entropy % 2**32
    print(f"seed {seed}")
    return np.random.default_rng(seed)


ACTIVATIONS = [
    ("relu", {}, {}),
    ("relu6", {}, {}),
    ("hardtanh", {"min_val": -0.7, "max_val": 1.5}, None),
    ("leaky_relu", {"negative_slope": 0.2}, None),
    ("threshold", {"threshold": 0.5, "value": -2.0}, None),
    ("hardshrink", {"lambd": 0.7}, None),
    ("softshrink", {"lambd": 0.7}, None),
    ("hardsigmoid", {}, None),
    ("hardswish", {}, None),
    ("gelu", {}, None),
    ("gelu", {"approximate": "tanh"}, None),
    ("silu", {}, None),
    ("mish", {}, None),
    ("elu", {"alpha": 0.7}, None),
    ("selu", {}, None),
    ("celu", {"alpha": 0.7}, None),
    ("softplus", {"beta": 2.0, "threshold": 5.0}, None),
    ("logsigmoid", {}, None),
    ("softsign", {}, None),
    ("tanhshrink", {}, None),
    ("sigmoid", {}, None),
    ("tanh", {}, None),
    ("softmax", {"axis": 1}, {"dim": 1}),
    ("log_softmax", {"axis": 0}, {"dim": 0}),
    ("softmin", {"axis": -1}, {"dim": -1}),
    ("glu", {"axis": 1}, {"dim": 1}),
]


@pytest.mark.parametrize("name,ours,theirs", ACTIVATIONS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_activation(name, ours, theirs, dtype, rng):
    array = (rng.standard_normal((5, 8)) * 4).astype(dtype)
    array[0, :4] = [0.0, -0.0, 30.0, -30.0]
    a, b = both(array)
    # PyTorch's mish and logsigmoid lose digits in float32 far out
    tolerance = {"rtol": 1e-12, "atol": 1e-13} if dtype == "float64" else {"rtol": 3e-5, "atol": 3e-6}
    if name == "mish":
        tolerance = {"rtol": 1e-4, "atol": 1e-5} if dtype == "float32" else tolerance
    if name in ("hardsigmoid", "celu") and dtype == "float64":  # PyTorch's factors are rounded to float32 there
        tolerance = {"rtol": 1e-6, "atol": 1e-7}
    theirs = ours if theirs is None else theirs
    compare(getattr(F, name)(a, **ours), getattr(TF, name)(b, **theirs), [(a, b)], rng, **tolerance)


@pytest.mark.parametrize("name,ours,theirs", ACTIVATIONS)
def test_activation_of_nan_is_nan(name, ours, theirs):
    if name in ("glu", "softmax", "log_softmax", "softmin"):
        pytest.skip("a whole axis")
    assert np.isnan(getattr(F, name)(twain.asarray([float("nan"), 1.0]), **ours).numpy()[0])


def test_prelu(rng):
    x, y = both(rng.standard_normal((4, 3, 5)).astype("float32"))
    w, v = both(rng.random(3).astype("float32"))
    compare(F.prelu(x, w), TF.prelu(y, v), [(x, y), (w, v)], rng)


REDUCTIONS = ["mean", "sum", "none"]
PAIR_LOSSES = [
    ("mse_loss", {}),
    ("l1_loss", {}),
    ("smooth_l1_loss", {"beta": 0.5}),
    ("huber_loss", {"delta": 0.7}),
    ("soft_margin_loss", {}),
    ("hinge_embedding_loss", {"margin": 0.6}),
    ("poisson_nll_loss", {"full": True}),
    ("kl_div", {}),
    ("kl_div", {"log_target": True}),
    ("binary_cross_entropy", {}),
    ("binary_cross_entropy_with_logits", {}),
]


@pytest.mark.parametrize("name,settings", PAIR_LOSSES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_pair_loss(name, settings, reduction, rng):
    x = rng.standard_normal((6, 5)).astype("float32")
    y = rng.standard_normal((6, 5)).astype("float32")
    grad = True
    if name in ("soft_margin_loss", "hinge_embedding_loss"):
        y, grad = np.sign(y), False
    if name == "binary_cross_entropy":
        x, y = 1 / (1 + np.exp(-x)), 1 / (1 + np.exp(-y))
        x[0, 0], x[0, 1], y[0, 0], y[0, 1] = 0.0, 1.0, 0.0, 1.0
    if name == "binary_cross_entropy_with_logits":
        x, y = x * 20, 1 / (1 + np.exp(-y))
    if name == "kl_div":
        if not settings:
            y = np.abs(y)
            y[0, 0] = 0.0
            grad = False
    if name == "poisson_nll_loss":
        y, grad = np.floor(np.abs(y) * 3), False
    a, b = both(x)
    c, d = both(y, grad)
    compare(
        getattr(F, name)(a, c, reduction=reduction, **settings),
        getattr(TF, name)(b, d, reduction=reduction, **settings),
        [(a, b), (c, d)] if grad and name != "binary_cross_entropy" else [(a, b)],
        rng,
        rtol=5e-5,
        atol=1e-5,
    )


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", [(7, 5), (3, 5, 4), (2, 5, 3, 2), (5,)])
def test_cross_entropy(reduction, smoothing, weighted, shape, rng):
    x, y = both((rng.standard_normal(shape) * 5).astype("float32"))
    rest = shape[:0] if len(shape) == 1 else (shape[0], *shape[2:])
    labels = np.asarray(rng.integers(0, 5, rest))
    if rest:
        labels.reshape(-1)[0] = 2
    ignore = 3 if rest else -100
    w = rng.random(5).astype("float32") if weighted else None
    ours = F.cross_entropy(
        x, twain.asarray(labels), None if w is None else twain.asarray(w), ignore, reduction, smoothing
    )
    theirs = TF.cross_entropy(
        y, torch.tensor(labels), None if w is None else torch.tensor(w), ignore_index=ignore, reduction=reduction,
        label_smoothing=smoothing,
    )  # fmt: skip
    compare(ours, theirs, [(x, y)], rng)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_of_probabilities(reduction, smoothing, rng):
    x, y = both(rng.standard_normal((4, 5, 3)).astype("float32"))
    p = rng.random((4, 5, 3)).astype("float32")
    p /= p.sum(1, keepdims=True)
    w = rng.random(5).astype("float32")
    ours = F.cross_entropy(x, twain.asarray(p), twain.asarray(w), reduction=reduction, label_smoothing=smoothing)
    theirs = TF.cross_entropy(y, torch.tensor(p), torch.tensor(w), reduction=reduction, label_smoothing=smoothing)
    compare(ours, theirs, [(x, y)], rng)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_nll_loss(reduction, rng):
    x, y = both(rng.standard_normal((6, 5)).astype("float32"))
    labels = rng.integers(0, 5, 6)
    w = rng.random(5).astype("float32")
    compare(
        F.nll_loss(x, twain.asarray(labels), twain.asarray(w), reduction=reduction),
        TF.nll_loss(y, torch.tensor(labels), torch.tensor(w), reduction=reduction),
        [(x, y)],
        rng,
    )


def test_binary_cross_entropy_with_pos_weight(rng):
    x, y = both(rng.standard_normal((6, 5)).astype("float32"))
    t = rng.integers(0, 2, (6, 5)).astype("float32")
    w, p = rng.random(5).astype("float32"), rng.random(5).astype("float32") + 0.5
    compare(
        F.binary_cross_entropy_with_logits(x, twain.asarray(t), twain.asarray(w), pos_weight=twain.asarray(p)),
        TF.binary_cross_entropy_with_logits(y, torch.tensor(t), torch.tensor(w), pos_weight=torch.tensor(p)),
        [(x, y)],
        rng,
    )


def test_gaussian_nll_and_cosine(rng):
    x, y = both(rng.standard_normal((6, 5)).astype("float32"))
    t = rng.standard_normal((6, 5)).astype("float32")
    v = rng.random((6, 5)).astype("float32")
    v[0, 0] = 1e-9
    ours = F.gaussian_nll_loss(x, twain.asarray(t), twain.asarray(v), full=True)
    theirs = TF.gaussian_nll_loss(y, torch.tensor(t), torch.tensor(v), full=True)
    compare(ours, theirs, [(x, y)], rng, rtol=1e-4)
    x, y = both(rng.standard_normal((6, 5)).astype("float32"))
    compare(F.cosine_similarity(x, twain.asarray(t)), TF.cosine_similarity(y, torch.tensor(t)), [(x, y)], rng)


# ---------------------------------------------------------------- layers
def same_parameters(ours, theirs):
    """Load PyTorch's state dictionary by name."""
    ours.load_state_dict({name: value.numpy() for name, value in theirs.state_dict().items()})
    return list(zip(ours.parameters(), theirs.parameters(), strict=True))


LAYERS = [
    (lambda n: n.Linear(6, 4), (5, 6)),
    (lambda n: n.Linear(6, 4, bias=False), (2, 3, 6)),
    (lambda n: n.Linear(6, 4), (6,)),
    (lambda n: n.Conv2d(4, 6, 3), (2, 4, 7, 6)),
    (lambda n: n.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 2)), (2, 4, 9, 8)),
    (lambda n: n.Conv2d(4, 6, 3, padding="same", bias=False), (1, 4, 5, 5)),
    (lambda n: n.Conv2d(4, 6, 3, groups=2, padding=1), (3, 4, 5, 4)),
    (lambda n: n.Conv2d(1, 3, 1), (2, 1, 1, 1)),
    (lambda n: n.LayerNorm(6), (3, 4, 6)),
    (lambda n: n.LayerNorm((4, 6), eps=1e-3), (3, 4, 6)),
    (lambda n: n.LayerNorm(6, elementwise_affine=False), (3, 6)),
    (lambda n: n.RMSNorm(6), (3, 6)),
    (lambda n: n.GroupNorm(2, 4), (3, 4, 5, 2)),
    (lambda n: n.BatchNorm1d(4), (6, 4)),
    (lambda n: n.BatchNorm1d(4, momentum=None), (6, 4, 3)),
    (lambda n: n.BatchNorm2d(4, affine=False), (3, 4, 5, 2)),
    (lambda n: n.BatchNorm2d(4, track_running_stats=False), (3, 4, 5, 2)),
    (lambda n: n.MaxPool2d(2), (2, 3, 6, 7)),
    (lambda n: n.MaxPool2d(3, stride=2, padding=1), (2, 3, 7, 7)),
    (lambda n: n.AvgPool2d(2), (2, 3, 6, 7)),
    (lambda n: n.AvgPool2d(3, stride=2, padding=1, count_include_pad=False), (2, 3, 7, 7)),
    (lambda n: n.AdaptiveAvgPool2d(1), (2, 3, 5, 4)),
    (lambda n: n.AdaptiveAvgPool2d((3, 2)), (2, 3, 7, 5)),
    (lambda n: n.Flatten(), (2, 3, 4)),
    (lambda n: n.PReLU(3), (2, 3, 4)),
    (lambda n: n.GELU(), (2, 3)),
    (lambda n: n.LeakyReLU(0.3), (2, 3)),
    (lambda n: n.Sequential(n.Linear(6, 4), n.Tanh(), n.Linear(4, 2)), (5, 6)),
]


@pytest.mark.parametrize("number", range(len(LAYERS)))
def test_layer(number, rng):
    make, shape = LAYERS[number]
    ours, theirs = make(nn), make(torch.nn)
    assert [n for n, _ in ours.named_parameters()] == [n for n, _ in theirs.named_parameters()]
    assert {n: tuple(v.shape) for n, v in ours.state_dict().items()} == {
        n: tuple(v.shape) for n, v in theirs.state_dict().items()
    }
    pairs = same_parameters(ours, theirs)
    for mode in (True, False):
        ours.train(mode)
        theirs.train(mode)
        x, y = both(rng.standard_normal(shape).astype("float32"))
        for a, b in pairs:
            a.grad = b.grad = None
        compare(ours(x), theirs(y), [(x, y), *pairs], rng, rtol=2e-4, atol=2e-5)
        for (name, a), (other, b) in zip(ours.named_buffers(), theirs.named_buffers(), strict=True):
            assert name == other
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("padding", [None, 0, -1])
def test_embedding(padding, rng):
    ours, theirs = nn.Embedding(7, 3, padding_idx=padding), torch.nn.Embedding(7, 3, padding_idx=padding)
    assert ours.padding_idx == theirs.padding_idx
    if padding is not None:
        assert ours.weight[ours.padding_idx].abs().max().item() == 0
    pairs = same_parameters(ours, theirs)
    index = rng.integers(0, 7, (4, 5))
    compare(ours(twain.asarray(index)), theirs(torch.tensor(index)), pairs, rng)


@pytest.mark.parametrize(
    "make", [lambda n: n.Linear(300, 200), lambda n: n.Conv2d(30, 40, 5), lambda n: n.Embedding(300, 200)]
)
def test_initial_values_have_the_same_distribution(make):
    twain.random.seed(3)
    ours, theirs = make(nn), make(torch.nn)
    for (name, a), (_, b) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
        a, b = a.detach().numpy(), b.detach().numpy()
        assert abs(a.std() / b.std() - 1) < (0.02 if a.size > 1000 else 0.2), name
        assert abs(np.abs(a).max() / np.abs(b).max() - 1) < 0.2, name


@pytest.mark.parametrize(
    "name", ["xavier_uniform_", "xavier_normal_", "kaiming_uniform_", "kaiming_normal_", "trunc_normal_"]
)
def test_initialiser(name):
    twain.random.seed(4)
    ours, theirs = twain.zeros((300, 40, 3, 3)), torch.zeros(300, 40, 3, 3)
    getattr(nn.init, name)(ours)
    getattr(torch.nn.init, name)(theirs)
    a, b = ours.numpy(), theirs.numpy()
    assert abs(a.mean()) < 5 * b.std() / np.sqrt(b.size)
    assert abs(a.std() / b.std() - 1) < 0.01
