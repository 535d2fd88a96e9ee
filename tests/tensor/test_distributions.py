"""Random draws have the distributions that they promise, and are the same eager, compiled and on any number of threads."""

import math

import numpy as np
import pytest

import twain
from twain import random

N = 50_000
EULER = 0.5772156649015329
MOMENTS = {  # name: (draw, mean, variance)
    "uniform": (lambda s: random.uniform(s, -1.0, 3.0), 1, 16 / 12),
    "normal": (lambda s: random.normal(s, 1.0, 2.0), 1, 4),
    "normal, float64": (lambda s: random.normal(s, 1.0, 2.0, dtype="float64"), 1, 4),
    "exponential": (lambda s: random.exponential(2.0, s), 2, 4),
    "gumbel": (lambda s: random.gumbel(1.0, 2.0, s), 1 + 2 * EULER, math.pi**2 / 6 * 4),
    "laplace": (lambda s: random.laplace(1.0, 2.0, s), 1, 8),
    "logistic": (lambda s: random.logistic(1.0, 2.0, s), 1, 4 * math.pi**2 / 3),
    "log_normal": (lambda s: random.log_normal(0.1, 0.5, s), math.exp(0.225), math.expm1(0.25) * math.exp(0.45)),
    "half_normal": (lambda s: random.half_normal(2.0, s), 2 * math.sqrt(2 / math.pi), 4 * (1 - 2 / math.pi)),
    "rayleigh": (lambda s: random.rayleigh(2.0, s), 2 * math.sqrt(math.pi / 2), 4 * (2 - math.pi / 2)),
    "weibull": (lambda s: random.weibull(2.0, 3.0, s), 3 * math.gamma(1.5), 9 * (1 - math.gamma(1.5) ** 2)),
    "pareto": (lambda s: random.pareto(6.0, 2.0, s), 2 * 6 / 5, 4 * 6 / (25 * 4)),
    "triangular": (lambda s: random.triangular(0.0, 0.3, 2.0, s), 2.3 / 3, (4 + 0.09 - 0.6) / 18),
    "wald": (lambda s: random.wald(2.0, 3.0, s), 2, 8 / 3),
    "truncated_normal": (lambda s: random.truncated_normal(0.0, 1.0, -1.0, 1.0, s), 0, 0.291125),
    **{
        f"gamma {a}": (lambda s, a=a: random.gamma(a, 2.0, s), 2 * a, 4 * a) for a in (0.1, 0.5, 1.0, 3.0, 50.0)
    },
    "gamma, float64": (lambda s: random.gamma(2.5, 1.0, s, dtype="float64"), 2.5, 2.5),
    "beta": (lambda s: random.beta(2.0, 3.0, s), 0.4, 0.04),
    "chisquare": (lambda s: random.chisquare(4.0, s), 4, 8),
    "standard_t": (lambda s: random.standard_t(12.0, s), 0, 1.2),
    "f": (lambda s: random.f(6.0, 20.0, s), 20 / 18, 2 * 400 * 24 / (6 * 324 * 16)),
    "bernoulli": (lambda s: random.bernoulli(0.3, s), 0.3, 0.21),
    "rademacher": (lambda s: random.rademacher(s), 0, 1),
    **{f"poisson {r}": (lambda s, r=r: random.poisson(r, s), r, r) for r in (0.0, 0.5, 9.9, 10.0, 30.0, 1e4)},
    **{
        f"binomial {n}, {p}": (lambda s, n=n, p=p: random.binomial(n, p, s), n * p, n * p * (1 - p))
        for n, p in ((10, 0.3), (100, 0.05), (100, 0.3), (1000, 0.8), (1, 0.5), (50, 0.0), (50, 1.0))
    },
    "geometric": (lambda s: random.geometric(0.2, s), 5, 20),
    "negative_binomial": (lambda s: random.negative_binomial(4, 0.3, s), 4 * 0.7 / 0.3, 4 * 0.7 / 0.09),
    "randint": (lambda s: random.randint(-3, 8, s), 2, (121 - 1) / 12),
    "vonmises": (lambda s: random.vonmises(0.0, 4.0, s), 0, None),
}  # fmt: skip


@pytest.fixture(autouse=True)
def seeded():
    random.seed(2026)


@pytest.mark.parametrize("name", MOMENTS)
def test_mean_and_variance(name):
    draw, mean, variance = MOMENTS[name]
    x = draw((N,)).numpy().astype(np.float64)
    assert np.isfinite(x).all()
    if variance is None:
        assert abs(x.mean() - mean) < 0.02
        return
    spread = math.sqrt(variance / N)
    assert abs(x.mean() - mean) <= 5 * spread + 1e-12
    fourth = np.mean((x - x.mean()) ** 4)
    assert abs(x.var() - variance) <= 6 * math.sqrt(fourth / N) + 1e-12


CUMULATIVE = {  # name: (draw, cumulative distribution)
    "uniform": (lambda s: random.uniform(s), lambda x: x),
    "normal": (lambda s: random.normal(s), lambda x: 0.5 * math.erfc(-x / math.sqrt(2))),
    "exponential": (lambda s: random.exponential(1.0, s), lambda x: -math.expm1(-x)),
    "laplace": (lambda s: random.laplace(shape=s), lambda x: 0.5 * math.exp(x) if x < 0 else 1 - 0.5 * math.exp(-x)),
    "logistic": (lambda s: random.logistic(shape=s), lambda x: 1 / (1 + math.exp(-x))),
    "gumbel": (lambda s: random.gumbel(shape=s), lambda x: math.exp(-math.exp(-x))),
    "cauchy": (lambda s: random.cauchy(shape=s), lambda x: 0.5 + math.atan(x) / math.pi),
    "gamma 2": (lambda s: random.gamma(2.0, shape=s), lambda x: 1 - math.exp(-x) * (1 + x)),
    "gamma 1/2": (lambda s: random.gamma(0.5, shape=s), lambda x: math.erf(math.sqrt(x))),
    "chisquare 2": (lambda s: random.chisquare(2.0, shape=s), lambda x: -math.expm1(-x / 2)),
    "beta 2 1": (lambda s: random.beta(2.0, 1.0, s), lambda x: x * x),
    "standard_t 1": (lambda s: random.standard_t(1.0, s), lambda x: 0.5 + math.atan(x) / math.pi),
    "wald": (lambda s: random.wald(1.0, 1.0, s), lambda x: 0.5 * math.erfc(-(x - 1) / math.sqrt(2 * x))
             + math.exp(2) * 0.5 * math.erfc((x + 1) / math.sqrt(2 * x))),
}  # fmt: skip


@pytest.mark.parametrize("name", CUMULATIVE)
def test_distribution(name):
    """The test of Kolmogorov and Smirnov, at one in about 10^7."""
    draw, cumulative = CUMULATIVE[name]
    x = np.sort(draw((N,)).numpy().astype(np.float64))
    expected = np.array([cumulative(float(v)) for v in x])
    steps = np.arange(N + 1) / N
    distance = max(np.abs(expected - steps[1:]).max(), np.abs(expected - steps[:-1]).max())
    assert distance * math.sqrt(N) < 2.9


@pytest.mark.parametrize(
    ("draw", "probability"),
    [
        (lambda s: random.poisson(3.0, s), lambda k: math.exp(-3) * 3**k / math.factorial(k)),
        (lambda s: random.poisson(20.0, s), lambda k: math.exp(-20) * 20**k / math.factorial(k)),
        (lambda s: random.binomial(40, 0.4, s), lambda k: math.comb(40, k) * 0.4**k * 0.6 ** (40 - k)),
        (lambda s: random.binomial(12, 0.7, s), lambda k: math.comb(12, k) * 0.7**k * 0.3 ** (12 - k)),
        (lambda s: random.geometric(0.3, s) - 1, lambda k: 0.3 * 0.7**k),
        (lambda s: random.zipf(3.0, s) - 1, lambda k: (k + 1) ** -3.0 / 1.2020569031595942),
        (lambda s: random.randint(0, 7, s), lambda k: 1 / 7 if k < 7 else 0.0),
    ],
)
def test_counts(draw, probability):
    """Pearson's chi-squared over the counts that are expected at least 20 times."""
    found = np.bincount(np.minimum(draw((N,)).numpy(), 200))
    cells = [(found[k] if k < len(found) else 0, N * probability(k)) for k in range(60)]
    cells = [(f, w) for f, w in cells if w >= 20]
    statistic = sum((f - w) ** 2 / w for f, w in cells)
    freedom = len(cells)
    assert statistic < freedom + 6 * math.sqrt(2 * freedom) + 10


def test_words_are_independent():
    """Neighbours, and numbers from different words of a block, are uncorrelated."""
    x = random.uniform((N,)).numpy() - 0.5
    for lag in (1, 2, N // 4, N // 2):
        assert abs(np.mean(x[:-lag] * x[lag:])) * 12 < 5 / math.sqrt(N - lag)


def test_shares_and_indices():
    assert np.allclose(random.dirichlet([1.0, 2.0, 3.0], (N,)).numpy().mean(0), [1 / 6, 2 / 6, 3 / 6], atol=0.01)
    found = np.bincount(random.categorical(twain.asarray([0.0, 1.0, 2.0]), (N,)).numpy()) / N
    assert np.allclose(found, np.exp([0, 1, 2]) / np.exp([0, 1, 2]).sum(), atol=0.015)
    weights = twain.asarray([1.0, 2.0, 0.0, 1.0])
    found = np.bincount(random.multinomial(weights, N, True).numpy(), minlength=4) / N
    assert np.allclose(found, [0.25, 0.5, 0, 0.25], atol=0.015)
    rows = random.multinomial(twain.asarray([[1.0, 2.0, 0.0, 1.0]] * 50), 3).numpy()
    assert all(sorted(r) == [0, 1, 3] for r in rows.tolist())


def test_order():
    assert sorted(random.permutation(101).tolist()) == list(range(101))
    x = twain.arange(12).reshape(4, 3)
    y = random.permutation(x, axis=1)
    assert np.array_equal(np.sort(y.numpy(), axis=1), x.numpy())
    random.shuffle(x)
    assert sorted(x.tolist()) == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10, 11]]
    assert len(set(random.choice(20, (20,), replace=False).tolist())) == 20
    assert set(random.choice(3, (100,), p=[0.5, 0.5, 0.0]).tolist()) == {0, 1}
    assert random.choice(twain.zeros((5, 2)), (3, 4)).shape == (3, 4, 2)
    counts = np.zeros((4, 4))
    for _ in range(400):
        counts[np.arange(4), random.permutation(4).numpy()] += 1
    assert abs(counts - 100).max() < 50


def test_matrices():
    covariance = twain.asarray([[2.0, 0.6], [0.6, 1.0]])
    x = random.multivariate_normal(twain.asarray([1.0, -1.0]), covariance, (N,)).numpy()
    assert np.allclose(x.mean(0), [1, -1], atol=0.04) and np.allclose(np.cov(x.T), covariance.numpy(), atol=0.06)
    q = random.orthogonal(5, (3,)).numpy()
    assert np.allclose(q @ np.swapaxes(q, 1, 2), np.eye(5), atol=1e-5)


DRAWS = [
    lambda: random.uniform((1003,)),
    lambda: random.normal((77, 13), dtype="float64"),
    lambda: random.randint(0, 10, (1001,)),
    lambda: random.gamma(0.7, shape=(1000,)),
    lambda: random.poisson(12.0, (1000,)),
    lambda: random.binomial(30, 0.5, (1000,)),
]


@pytest.mark.parametrize("draw", DRAWS)
def test_compiled_and_threads_draw_the_same(draw):
    random.seed(7)
    eager = [draw().numpy() for _ in range(4)]
    compiled = twain.compile(draw)
    random.seed(7)
    assert all(np.array_equal(compiled().numpy(), e) for e in eager)
    before = twain.get_threads()
    try:
        twain.set_threads(1)
        random.seed(7)
        assert all(np.array_equal(draw().numpy(), e) for e in eager)
    finally:
        twain.set_threads(before)


def test_gradients_reach_parameters():
    loc, scale = twain.asarray([1.0, 2.0]).requires_grad_(), twain.asarray(0.5).requires_grad_()
    random.normal((1000, 2), loc, scale).sum().backward()
    assert np.array_equal(loc.grad.numpy(), [1000, 1000])
    assert np.isfinite(scale.grad.item())
    for draw in (random.gumbel, random.laplace, random.logistic, random.cauchy):
        loc.grad = None
        draw(loc, scale, (10, 2)).sum().backward()
        assert np.allclose(loc.grad.numpy(), 10)


def test_generators_are_independent_streams():
    a, b = random.Generator(1), random.Generator(1)
    assert np.array_equal(a.uniform((9,)).numpy(), b.uniform((9,)).numpy())
    state = a.state_dict()
    x = random.poisson(3.0, (5,), generator=a)
    a.load_state_dict(state)
    assert np.array_equal(random.poisson(3.0, (5,), generator=a).numpy(), x.numpy())


def test_empty_and_scalar():
    assert random.uniform((0, 3)).shape == (0, 3)
    assert random.gamma(2.0).shape == ()
    assert random.poisson(2.0, (0,)).shape == (0,)
    assert random.permutation(0).shape == (0,)
    assert random.gamma(twain.asarray([1.0, 2.0, 3.0])).shape == (3,)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: random.uniform((2,), 3.0, 1.0), r"\[random.uniform\] expected low <= high"),
        (lambda: random.normal((2,), 0.0, -1.0), r"\[random.normal\] expected std >= 0"),
        (lambda: random.gamma(-1.0), r"\[random.gamma\] expected alpha > 0, got -1.0"),
        (lambda: random.bernoulli(1.5), r"\[random.bernoulli\] expected p in \[0, 1\]"),
        (lambda: random.poisson(-1.0), r"\[random.poisson\] expected rate >= 0"),
        (lambda: random.randint(5, 5), r"\[random.randint\] expected low < high"),
        (lambda: random.randint(0, 300, (2,), dtype="uint8"), r"expected numbers that uint8 holds"),
        (lambda: random.uniform((2,), dtype="int32"), r"expected a floating dtype, got int32"),
        (lambda: random.uniform((-2,)), r"\[random.uniform\] expected sizes >= 0"),
        (lambda: random.normal((2,), twain.zeros((3,))), r"parameters that broadcast|broadcast together"),
        (lambda: random.multinomial(twain.asarray([0.5, 0.5]), 3), r"replacement=True"),
        (lambda: random.choice(3, (4,), replace=False), r"at most 3 draws"),
        (lambda: random.permutation(-1), r"expected n >= 0"),
        (lambda: random.gamma("a"), r"expected alpha to be a number or a tensor, got str"),
    ],
)  # fmt: skip
def test_refusals(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call()
