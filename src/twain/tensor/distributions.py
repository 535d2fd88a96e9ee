"""Draws from distributions, as `twain.random` offers them.

Parameters are numbers or tensors and come first; `shape` is that of the result, by default the one to which the parameters
broadcast. Every function takes `generator=`, and gives the same numbers eagerly, compiled and on any number of threads.
Draws that transform a parameter-free number (all but counts, gamma and what is made of it) are differentiable in their
parameters.
"""

from __future__ import annotations

import math

from .. import _core
from ..base import dtypes as dt
from ..base.errors import ArgumentError, DTypeError, ShapeError, ValueRangeError
from ..base.lazy import LazyModule
from ..base.shapes import as_index, check_shape, normalize_axis, size_of
from ..ops import distributions as kernels
from ..ops import elementwise as e
from ..ops import reduce
from ..ops import shape as movement
from ..ops.index import iota
from ..ops.random import random_exponential, random_normal, random_uniform
from .bounds import recording, take
from .creation import arange, asarray, full
from .random import as_parameters, draw_floats, randint, source_of, uniform

Tensor = _core.Tensor
sorting = LazyModule("twain.ops.sort")
scanning = LazyModule("twain.ops.scan")
special = LazyModule("twain.ops.special")
solving = LazyModule("twain.ops.linalg_solve")
spectral = LazyModule("twain.ops.linalg_spectral")


def _check(function: str, name: str, value: object, good, wanted: str) -> None:
    """Refuse a plain number out of range; tensors give NaN there."""
    if type(value) in (int, float, bool) and not good(value):
        raise ValueRangeError(f"[{function}] expected {name} {wanted}, got {value}")


def _positive(function: str, **parameters: object) -> None:
    for name, value in parameters.items():
        _check(function, name, value, lambda v: v > 0, "> 0")


def _searched(op, shape: tuple, generator, *parameters: object) -> Tensor:
    """One of the draws that reject: a block sequence for each element."""
    return source_of(generator).draw(op, size_of(shape), *parameters, shape)


def _as_tensor(value: object, dtype: object) -> Tensor:
    if type(value) in (int, float, bool):
        return full((), float(value), dtype=dtype)
    return value if value.dtype is dtype else e.cast(value, dtype)


def _integer(x: Tensor, dtype: object, function: str) -> Tensor:
    """Counts, computed in float64, as the dtype asked for."""
    kind = dt.as_dtype(dtype, function)
    return x if kind is dt.float64 else e.cast(x, kind)


# ---------------------------------------------------------------- by transformation


def exponential(scale: object = 1.0, shape: object = None, *, dtype: object = None, generator=None) -> Tensor:
    """Exponential with mean `scale` (1 / rate)."""
    _positive("random.exponential", scale=scale)
    shape, dtype, generator, (scale,) = as_parameters("random.exponential", shape, dtype, generator, scale=scale)
    return draw_floats("random.exponential", random_exponential, shape, dtype, generator) * scale


def _open_uniform(function: str, shape: tuple, dtype: object, generator) -> Tensor:
    """Uniform in (0, 1), never 0."""
    x = draw_floats(function, random_uniform, shape, dtype, generator)
    return e.maximum(x, 2.0**-60 if dtype is dt.float64 else 2.0**-26)


def _located(function: str, standard, loc: object, scale: object, shape: object, dtype: object, generator) -> Tensor:
    """loc + scale * standard(function, shape, dtype, generator)."""
    _positive(function, scale=scale)
    shape, dtype, generator, (loc, scale) = as_parameters(function, shape, dtype, generator, loc=loc, scale=scale)
    return loc + scale * standard(function, shape, dtype, generator)


def gumbel(
    loc: object = 0.0, scale: object = 1.0, shape: object = None, *, dtype: object = None, generator=None
) -> Tensor:
    """Gumbel (largest extreme value): loc - scale * log(exponential)."""

    def standard(function, *place):
        return -e.log(draw_floats(function, random_exponential, *place))

    return _located("random.gumbel", standard, loc, scale, shape, dtype, generator)


def laplace(
    loc: object = 0.0, scale: object = 1.0, shape: object = None, *, dtype: object = None, generator=None
) -> Tensor:
    """Laplace: density exp(-|x - loc| / scale) / (2 scale)."""

    def standard(function, *place):
        size = draw_floats(function, random_exponential, *place)
        return e.where(draw_floats(function, random_uniform, *place) < 0.5, size, -size)

    return _located("random.laplace", standard, loc, scale, shape, dtype, generator)


def logistic(
    loc: object = 0.0, scale: object = 1.0, shape: object = None, *, dtype: object = None, generator=None
) -> Tensor:
    """Logistic: loc + scale * log(u / (1 - u))."""

    def standard(function, *place):
        u = _open_uniform(function, *place)
        return e.log(u) - e.log1p(-u)

    return _located("random.logistic", standard, loc, scale, shape, dtype, generator)


def cauchy(
    loc: object = 0.0, scale: object = 1.0, shape: object = None, *, dtype: object = None, generator=None
) -> Tensor:
    """Cauchy: loc + scale * tan(pi (u - 1/2))."""

    def standard(function, *place):
        return e.tan(math.pi * (_open_uniform(function, *place) - 0.5))

    return _located("random.cauchy", standard, loc, scale, shape, dtype, generator)


def log_normal(
    mean: object = 0.0, std: object = 1.0, shape: object = None, *, dtype: object = None, generator=None
) -> Tensor:
    """exp of a normal with `mean` and `std`."""
    _check("random.log_normal", "std", std, lambda v: v >= 0, ">= 0")
    shape, dtype, generator, (mean, std) = as_parameters(
        "random.log_normal", shape, dtype, generator, mean=mean, std=std
    )
    return e.exp(draw_floats("random.log_normal", random_normal, shape, dtype, generator) * std + mean)


def half_normal(scale: object = 1.0, shape: object = None, *, dtype: object = None, generator=None) -> Tensor:
    """The absolute value of a normal with standard deviation `scale`."""
    _positive("random.half_normal", scale=scale)
    shape, dtype, generator, (scale,) = as_parameters("random.half_normal", shape, dtype, generator, scale=scale)
    return e.abs(draw_floats("random.half_normal", random_normal, shape, dtype, generator)) * scale


def rayleigh(scale: object = 1.0, shape: object = None, *, dtype: object = None, generator=None) -> Tensor:
    """Rayleigh: scale * sqrt(2 exponential)."""
    _positive("random.rayleigh", scale=scale)
    shape, dtype, generator, (scale,) = as_parameters("random.rayleigh", shape, dtype, generator, scale=scale)
    return scale * e.sqrt(2.0 * draw_floats("random.rayleigh", random_exponential, shape, dtype, generator))


def weibull(a: object, scale: object = 1.0, shape: object = None, *, dtype: object = None, generator=None) -> Tensor:
    """Weibull with exponent `a`: scale * exponential ** (1 / a)."""
    _positive("random.weibull", a=a, scale=scale)
    shape, dtype, generator, (a, scale) = as_parameters("random.weibull", shape, dtype, generator, a=a, scale=scale)
    return scale * draw_floats("random.weibull", random_exponential, shape, dtype, generator) ** (1.0 / a)


def pareto(a: object, scale: object = 1.0, shape: object = None, *, dtype: object = None, generator=None) -> Tensor:
    """Pareto on [scale, infinity) with exponent `a` (PyTorch's; NumPy's is this minus one, at scale 1)."""
    _positive("random.pareto", a=a, scale=scale)
    shape, dtype, generator, (a, scale) = as_parameters("random.pareto", shape, dtype, generator, a=a, scale=scale)
    return scale * e.exp(draw_floats("random.pareto", random_exponential, shape, dtype, generator) / a)


def triangular(
    low: object = 0.0,
    mode: object = 0.5,
    high: object = 1.0,
    shape: object = None,
    *,
    dtype: object = None,
    generator=None,
) -> Tensor:
    """Triangular on [low, high] with its peak at `mode`."""
    shape, dtype, generator, (low, mode, high) = as_parameters(
        "random.triangular", shape, dtype, generator, low=low, mode=mode, high=high
    )
    if all(type(v) in (int, float) for v in (low, mode, high)) and not (low <= mode <= high and low < high):
        raise ValueRangeError(f"[random.triangular] expected low <= mode <= high, got {low}, {mode} and {high}")
    u = draw_floats("random.triangular", random_uniform, shape, dtype, generator)
    share = (mode - low) / (high - low)
    left = low + e.sqrt(u * ((high - low) * (mode - low)))
    right = high - e.sqrt((1.0 - u) * ((high - low) * (high - mode)))
    return e.where(u < share, left, right)


def wald(mean: object, scale: object = 1.0, shape: object = None, *, dtype: object = None, generator=None) -> Tensor:
    """Wald (inverse Gaussian). Source: J. Michael, W. Schucany and R. Haas, "Generating random variates using transformations
    with multiple roots" (1976)."""
    _positive("random.wald", mean=mean, scale=scale)
    shape, dtype, generator, (mean, scale) = as_parameters(
        "random.wald", shape, dtype, generator, mean=mean, scale=scale
    )
    y = e.square(draw_floats("random.wald", random_normal, shape, dtype, generator)) * mean
    x = mean + mean * (y - e.sqrt(y * (4.0 * scale + y))) / (2.0 * scale)
    u = draw_floats("random.wald", random_uniform, shape, dtype, generator)
    return e.where(u * (mean + x) <= mean, x, mean * mean / x)


def truncated_normal(
    mean: object = 0.0, std: object = 1.0, low: object = -2.0, high: object = 2.0, shape: object = None, *,
    dtype: object = None, generator=None,
) -> Tensor:  # fmt: skip
    """Normal with `mean` and `std`, given that it lies in [low, high], by inversion."""
    _positive("random.truncated_normal", std=std)
    shape, dtype, generator, (mean, std, low, high) = as_parameters(
        "random.truncated_normal", shape, dtype, generator, mean=mean, std=std, low=low, high=high
    )
    u = draw_floats("random.truncated_normal", random_uniform, shape, dt.float64, generator)
    mean, std, low, high = (_as_tensor(v, dt.float64) for v in (mean, std, low, high))
    root = math.sqrt(2.0)
    first, last = e.erf((low - mean) / (std * root)), e.erf((high - mean) / (std * root))
    x = mean + std * root * special.erfinv(first + (last - first) * u)
    return e.cast(e.minimum(e.maximum(x, low), high), dtype)


def multivariate_normal(mean: Tensor, covariance: Tensor, shape: object = (), *, generator=None) -> Tensor:
    """Normal vectors with `mean` (..., n) and `covariance` (..., n, n): the result has shape + batch + (n,)."""
    mean, covariance = asarray(mean) if type(mean) is list else mean, covariance
    if covariance.ndim < 2 or covariance.shape[-1] != covariance.shape[-2] or mean.shape[-1:] != covariance.shape[-1:]:
        raise ShapeError(
            "[random.multivariate_normal] expected a mean of shape (..., n) and a covariance of shape (..., n, n), got "
            f"{tuple(mean.shape)} and {tuple(covariance.shape)}"
        )
    factor = solving.cholesky(covariance)
    batch = tuple((mean + covariance[..., 0]).shape)
    whole = (*check_shape("random.multivariate_normal", shape), *batch)
    z = draw_floats("random.multivariate_normal", random_normal, whole, factor.dtype, generator)
    return mean + (factor @ z[..., None])[..., 0]


def orthogonal(n: int, shape: object = (), *, dtype: object = None, generator=None) -> Tensor:
    """Matrices (..., n, n) uniform over the orthogonal group: QR of a normal matrix, the signs of R's diagonal moved to Q
    (F. Mezzadri, "How to generate random matrices from the classical compact groups", 2007)."""
    whole = (*check_shape("random.orthogonal", shape), as_index("random.orthogonal", "n", n), n)
    q, r = spectral.qr_op(draw_floats("random.orthogonal", random_normal, whole, dtype, generator), "reduced")
    diagonal = reduce.sum(
        r * e.cast(e.equal(iota(whole, len(whole) - 2), iota(whole, len(whole) - 1)), r.dtype), axis=-2
    )
    return q * e.where(diagonal < 0.0, -1.0, 1.0)[..., None, :]


# ---------------------------------------------------------------- by rejection


def _gamma(function: str, alpha: object, shape: tuple, dtype: object, generator) -> Tensor:
    wide = dt.float64 if dtype is dt.float64 else dt.float32
    x = _searched(kernels.random_gamma, shape, generator, _as_tensor(alpha, wide))
    return x if wide is dtype else e.cast(x, dtype)


def gamma(alpha: object, scale: object = 1.0, shape: object = None, *, dtype: object = None, generator=None) -> Tensor:
    """Gamma with exponent `alpha` > 0 and `scale` (1 / rate): mean alpha * scale. Differentiable in scale."""
    _positive("random.gamma", alpha=alpha, scale=scale)
    shape, dtype, generator, (alpha, scale) = as_parameters(
        "random.gamma", shape, dtype, generator, alpha=alpha, scale=scale
    )
    return _gamma("random.gamma", alpha, shape, dtype, generator) * scale


def beta(a: object, b: object, shape: object = None, *, dtype: object = None, generator=None) -> Tensor:
    """Beta on (0, 1): the share of one gamma variable in the sum of two."""
    _positive("random.beta", a=a, b=b)
    shape, dtype, generator, (a, b) = as_parameters("random.beta", shape, dtype, generator, a=a, b=b)
    first, second = (_gamma("random.beta", p, shape, dt.float64, generator) for p in (a, b))
    return e.cast(first / (first + second), dtype)


def dirichlet(alpha: Tensor, shape: object = (), *, dtype: object = None, generator=None) -> Tensor:
    """Dirichlet: `alpha` (..., k) gives shares (shape + batch + (k,)) that sum to 1."""
    alpha = asarray(alpha) if isinstance(alpha, (list, tuple)) else alpha
    if not hasattr(alpha, "ndim") or alpha.ndim == 0:
        raise ShapeError("[random.dirichlet] expected alpha of shape (..., k), got a number")
    whole = (*check_shape("random.dirichlet", shape), *alpha.shape)
    _, dtype, generator, _ = as_parameters("random.dirichlet", whole, dtype, generator, alpha=alpha)
    x = _gamma("random.dirichlet", alpha, whole, dt.float64, generator)
    return e.cast(x / reduce.sum(x, axis=-1, keepdims=True), dtype)


def chisquare(df: object, shape: object = None, *, dtype: object = None, generator=None) -> Tensor:
    """Chi-squared with `df` degrees of freedom."""
    _positive("random.chisquare", df=df)
    shape, dtype, generator, (df,) = as_parameters("random.chisquare", shape, dtype, generator, df=df)
    return 2.0 * _gamma("random.chisquare", df * 0.5, shape, dtype, generator)


def standard_t(df: object, shape: object = None, *, dtype: object = None, generator=None) -> Tensor:
    """Student's t with `df` degrees of freedom."""
    _positive("random.standard_t", df=df)
    shape, dtype, generator, (df,) = as_parameters("random.standard_t", shape, dtype, generator, df=df)
    normal = draw_floats("random.standard_t", random_normal, shape, dtype, generator)
    return normal * e.sqrt(df * 0.5 / _gamma("random.standard_t", df * 0.5, shape, dtype, generator))


def f(df1: object, df2: object, shape: object = None, *, dtype: object = None, generator=None) -> Tensor:
    """Fisher's F with `df1` and `df2` degrees of freedom."""
    _positive("random.f", df1=df1, df2=df2)
    shape, dtype, generator, (df1, df2) = as_parameters("random.f", shape, dtype, generator, df1=df1, df2=df2)
    first, second = (_gamma("random.f", d * 0.5, shape, dtype, generator) for d in (df1, df2))
    return (first * df2) / (second * df1)


def vonmises(
    loc: object = 0.0, concentration: object = 1.0, shape: object = None, *, dtype: object = None, generator=None
) -> Tensor:
    """Von Mises: angles around `loc`, in (-pi, pi]."""
    _check("random.vonmises", "concentration", concentration, lambda v: v >= 0, ">= 0")
    shape, dtype, generator, (loc, concentration) = as_parameters(
        "random.vonmises", shape, dtype, generator, loc=loc, concentration=concentration
    )
    x = _searched(kernels.random_vonmises, shape, generator, _as_tensor(concentration, dt.float64)) + loc
    return e.cast(e.remainder(x + math.pi, 2.0 * math.pi) - math.pi, dtype)


# ---------------------------------------------------------------- counts and truth


def bernoulli(p: object, shape: object = None, *, generator=None) -> Tensor:
    """True with probability `p`."""
    _check("random.bernoulli", "p", p, lambda v: 0.0 <= v <= 1.0, "in [0, 1]")
    shape, dtype, generator, (p,) = as_parameters("random.bernoulli", shape, None, generator, p=p)
    return draw_floats("random.bernoulli", random_uniform, shape, dtype, generator) < p


def rademacher(shape: object = (), *, dtype: object = "float32", generator=None) -> Tensor:
    """-1 or 1, each as likely."""
    signs = randint(0, 2, check_shape("random.rademacher", shape), generator=generator)
    return e.cast(2 * signs - 1, dt.as_dtype(dtype, "random.rademacher"))


def poisson(rate: object, shape: object = None, *, dtype: object = "int64", generator=None) -> Tensor:
    """Poisson counts with mean `rate`, of `dtype` (int64, or a floating one)."""
    _check("random.poisson", "rate", rate, lambda v: v >= 0, ">= 0")
    shape, _, generator, (rate,) = as_parameters("random.poisson", shape, None, generator, rate=rate)
    x = _searched(kernels.random_poisson, shape, generator, _as_tensor(rate, dt.float64))
    return _integer(x, dtype, "random.poisson")


def binomial(n: object, p: object, shape: object = None, *, dtype: object = "int64", generator=None) -> Tensor:
    """How many of `n` trials succeed, each with probability `p`."""
    _check("random.binomial", "p", p, lambda v: 0.0 <= v <= 1.0, "in [0, 1]")
    _check("random.binomial", "n", n, lambda v: v >= 0, ">= 0")
    shape, _, generator, (n, p) = as_parameters("random.binomial", shape, None, generator, n=n, p=p)
    x = _searched(kernels.random_binomial, shape, generator, _as_tensor(n, dt.float64), _as_tensor(p, dt.float64))
    return _integer(x, dtype, "random.binomial")


def geometric(p: object, shape: object = None, *, dtype: object = "int64", generator=None) -> Tensor:
    """The number of the first success (1, 2, ...) of trials with probability `p`."""
    _check("random.geometric", "p", p, lambda v: 0.0 < v <= 1.0, "in (0, 1]")
    shape, _, generator, (p,) = as_parameters("random.geometric", shape, None, generator, p=p)
    size = draw_floats("random.geometric", random_exponential, shape, dt.float64, generator)
    x = e.floor(size / -e.log1p(-_as_tensor(p, dt.float64))) + 1.0
    return _integer(e.minimum(x, 2.0**62), dtype, "random.geometric")


def negative_binomial(n: object, p: object, shape: object = None, *, dtype: object = "int64", generator=None) -> Tensor:
    """Failures before the `n`-th success, each trial with probability `p`: Poisson with a gamma rate."""
    _positive("random.negative_binomial", n=n)
    _check("random.negative_binomial", "p", p, lambda v: 0.0 < v <= 1.0, "in (0, 1]")
    shape, _, generator, (n, p) = as_parameters("random.negative_binomial", shape, None, generator, n=n, p=p)
    p = _as_tensor(p, dt.float64)
    rate = _gamma("random.negative_binomial", n, shape, dt.float64, generator) * ((1.0 - p) / p)
    return poisson(rate, shape, dtype=dtype, generator=generator)


def zipf(a: object, shape: object = None, *, dtype: object = "int64", generator=None) -> Tensor:
    """Zipf: k = 1, 2, ... with probability proportional to k ** -a, a > 1."""
    _check("random.zipf", "a", a, lambda v: v > 1, "> 1")
    shape, _, generator, (a,) = as_parameters("random.zipf", shape, None, generator, a=a)
    return _integer(_searched(kernels.random_zipf, shape, generator, _as_tensor(a, dt.float64)), dtype, "random.zipf")


def categorical(logits: Tensor, shape: object = (), *, axis: int = -1, generator=None) -> Tensor:
    """Indices along `axis`, each with probability softmax(logits): the place of the largest of logits + Gumbel noise.
    The result (int64) has shape + the other axes of `logits`."""
    axis = normalize_axis("random.categorical", axis, logits.ndim)
    lead = check_shape("random.categorical", shape)
    wide = dt.float64 if logits.dtype is dt.float64 else dt.float32
    noise = gumbel(shape=(*lead, *logits.shape), dtype=wide, generator=generator)
    return reduce.argmax(e.cast(logits, wide) + noise, axis=axis + len(lead))


def multinomial(p: Tensor, count: int, replacement: bool = False, *, generator=None) -> Tensor:
    """`count` indices per row of `p` (k,) or (rows, k), whose entries are weights (not necessarily of sum 1). Without
    replacement an index comes once at most. The result is int64 of shape (count,) or (rows, count), as PyTorch's."""
    p = asarray(p) if isinstance(p, (list, tuple)) else p
    if p.ndim not in (1, 2) or p.dtype not in dt.FLOATING:
        raise ArgumentError(
            f"[random.multinomial] expected floats of shape (k,) or (rows, k), got {p.dtype} {tuple(p.shape)}"
        )
    count = as_index("random.multinomial", "count", count)
    if count < 1 or (not replacement and count > p.shape[-1]):
        raise ValueRangeError(
            f"[random.multinomial] expected 1 <= count{'' if replacement else f' <= {p.shape[-1]}'}, got {count}"
            + ("" if replacement else "; replacement=True draws an index more than once")
        )
    if type(p) is Tensor and not recording():
        known = p.detach()
        good = reduce.all(known >= 0) & (reduce.max(known) < float("inf")) & reduce.all(reduce.sum(known, axis=-1) > 0)
        if p.size == 0 or not good.item():
            raise ValueRangeError(
                "[random.multinomial] expected finite weights of at least 0, and one above 0 in each row, got others in p"
            )
    if replacement:
        total = scanning.cumulative_sum(e.cast(p, dt.float64), axis=-1)
        u = uniform((*p.shape[:-1], count), dtype="float64", generator=generator) * total[..., -1:]
        places = e.cast(total[..., None, :] <= u[..., None], dt.int64)
        return e.minimum(reduce.sum(places, axis=-1), p.shape[-1] - 1)
    # an exponential race: the first `count` to finish
    wide = dt.float64 if p.dtype is dt.float64 else dt.float32
    race = exponential(shape=tuple(p.shape), dtype=wide, generator=generator) / e.cast(p, wide)
    return sorting.argsort(race, axis=-1)[..., :count]


# ---------------------------------------------------------------- order


def permutation(x: object, axis: int = 0, *, generator=None) -> Tensor:
    """The ints 0 to x - 1 in random order (int64), or the tensor `x` with the entries along `axis` in random order."""
    if isinstance(x, Tensor):
        axis = normalize_axis("random.permutation", axis, x.ndim)
        return take(x, permutation(x.shape[axis], generator=generator), axis=axis)
    n = as_index("random.permutation", "x", x)
    if n < 0:
        raise ArgumentError(f"[random.permutation] expected n >= 0, got {n}")
    return sorting.argsort(uniform((n,), dtype="float64", generator=generator))


def shuffle(x: Tensor, axis: int = 0, *, generator=None) -> None:
    """Put the entries of `x` along `axis` in random order, in place."""
    if not isinstance(x, Tensor):
        raise ArgumentError(f"[random.shuffle] expected a tensor, got {type(x).__name__}")
    x.assign(permutation(x, axis, generator=generator))


def choice(
    a: object, shape: object = (), replace: bool = True, p: object = None, axis: int = 0, *, generator=None
) -> Tensor:
    """Entries of the tensor `a` along `axis`, or of 0 to a - 1, drawn with probabilities `p` (all alike if None), with or
    without replacement."""
    shape = check_shape("random.choice", shape)
    count = size_of(shape)
    if isinstance(a, (list, tuple)):
        a = asarray(a)
    n = (
        a.shape[normalize_axis("random.choice", axis, a.ndim)]
        if isinstance(a, Tensor)
        else as_index("random.choice", "a", a)
    )
    if n < 1 and count:
        raise ValueRangeError(f"[random.choice] expected something to choose from, got {n} entries")
    if not replace and count > n:
        raise ValueRangeError(f"[random.choice] expected at most {n} draws without replacement, got {count}")
    if p is not None:
        p = asarray(p) if isinstance(p, (list, tuple)) else p
        if tuple(p.shape) != (n,):
            raise ShapeError(f"[random.choice] expected p of shape ({n},), got {tuple(p.shape)}")
        if p.dtype not in dt.FLOATING:
            raise DTypeError(f"[random.choice] expected p of a floating dtype, got {p.dtype}")
        index = multinomial(p, count, replace, generator=generator) if count else arange(0)
    elif replace:
        index = randint(0, max(n, 1), (count,), generator=generator)
    else:
        index = permutation(n, generator=generator)[:count]
    index = movement.reshape(index, shape)
    if not isinstance(a, Tensor):
        return index
    axis = normalize_axis("random.choice", axis, a.ndim)
    picked = take(a, movement.reshape(index, (count,)), axis=axis)
    return movement.reshape(picked, (*a.shape[:axis], *shape, *a.shape[axis + 1 :]))


__all__ = [
    "bernoulli", "beta", "binomial", "categorical", "cauchy", "chisquare", "choice", "dirichlet", "exponential", "f", "gamma",
    "geometric", "gumbel", "half_normal", "laplace", "log_normal", "logistic", "multinomial", "multivariate_normal",
    "negative_binomial", "orthogonal", "pareto", "permutation", "poisson", "rademacher", "rayleigh", "shuffle", "standard_t",
    "triangular", "truncated_normal", "vonmises", "wald", "weibull", "zipf",
]  # fmt: skip
