"""Draws that reject: each element goes on drawing, from blocks of its own, until a number is accepted.

The number of a block is (index + counter, turn, stream), so no element's numbers depend on how long another one takes.
"""

from __future__ import annotations

import math

from ..base import dtypes as dt
from ..base.shapes import check_shape, size_of
from .elementwise import cast
from .families import composite, elementwise
from .index import iota
from .random import philox_words
from .samples import Samples
from .shape import reshape

TURNS = 128  # at most; each of the methods accepts at least every second proposal
_U64 = dt.uint64
_FIXED = (_U64, _U64, _U64)


def _unit(k, upper, lower, dtype):
    """Uniform in (0, 1) from 64 bits (float64) or 32 (float32)."""
    if dtype.itemsize == 8:
        bits = (k.cast(upper, _U64) << 20) ^ (k.cast(lower, _U64) >> 12)
        return (k.cast(bits, dt.float64) + 0.5) * 2.0**-52
    return (k.cast(upper >> 9, dt.float32) + 0.5) * 2.0**-23


def _two_units(k, words: list, dtype) -> tuple:
    return _unit(k, words[0], words[1], dtype), _unit(k, words[2], words[3], dtype)


def _search(k, propose, initial, dtype):
    """The first accepted proposal: propose(turn) -> (accepted, value)."""

    def step(turn, value, searching):
        accepted, proposal = propose(turn)
        accepted = accepted & searching
        return searching, (turn + 1, k.select(accepted, proposal, value), searching & ~accepted)

    start = k.eq(initial, initial) | k.ne(initial, initial)
    return k.loop((k.const(0, dt.uint32), initial, start), step, TURNS)[1]


def _log_gamma(k, x):
    """log(gamma(x)) for x >= 1, relative error below 1e-12: Stirling's series at x + 7 (Abramowitz and Stegun 6.1.40)."""
    y = x + 7.0
    product = x
    for i in range(1, 7):
        product = product * (x + float(i))
    inverse = 1.0 / y
    square = inverse * inverse
    series = inverse * (1 / 12 - square * (1 / 360 - square * (1 / 1260 - square * (1 / 1680))))
    return (y - 0.5) * k.log(y) - y + 0.5 * math.log(2 * math.pi) + series - k.log(product)


def _gamma(k, index, seed, counter, alpha):
    """Standard gamma. Source: G. Marsaglia and W. Tsang, "A simple method for generating gamma variables" (2000)."""
    dtype = alpha.dtype
    small = alpha < 1.0
    d = k.select(small, alpha + 1.0, alpha) - 1.0 / 3.0
    c = 1.0 / k.sqrt(9.0 * d)

    def propose(turn):
        first, second = _two_units(k, philox_words(k, index, seed, counter, 0, turn), dtype)
        words = philox_words(k, index, seed, counter, 1, turn)
        uniform = _unit(k, words[0], words[1], dtype)
        normal = k.sqrt(-2.0 * k.log(first)) * k.cos((2.0 * math.pi) * second)
        v = 1.0 + c * normal
        v = v * v * v
        accepted = (v > 0.0) & (k.log(uniform) < 0.5 * normal * normal + d - d * v + d * k.log(v))
        return accepted, d * v

    value = _search(k, propose, d, dtype)
    words = philox_words(k, index, seed, counter, 2, 0)
    boost = k.exp(k.log(_unit(k, words[0], words[1], dtype)) / alpha)
    value = k.select(small, value * boost, value)
    value = k.select(k.eq(alpha, 0.0), k.const(0.0, dtype), value)
    return k.select(alpha >= 0.0, value, k.const(math.nan, dtype))


def _poisson(k, index, seed, counter, rate):
    """Poisson, computed in float64: by inversion for rates under 10, else W. Hörmann's PTRS, "The transformed rejection
    method for generating Poisson random variables" (1993)."""
    few = rate < 10.0

    first, _ = _two_units(k, philox_words(k, index, seed, counter, 3, 0), dt.float64)

    def down(count, probability, left):
        return few & (left > 0.0), (
            count + 1.0,
            probability * rate / (count + 1.0),
            left - probability * rate / (count + 1.0),
        )

    start = k.exp(-rate)
    zero = k.const(0.0, dt.float64)
    inverted = k.loop((zero, start, first - start), down, 200)[0]

    root = k.sqrt(rate)
    b = 0.931 + 2.53 * root
    a = -0.059 + 0.02483 * b
    inverse_alpha = 1.1239 + 1.1328 / (b - 3.4)
    squeeze = 0.9277 - 3.6224 / (b - 2.0)
    log_rate = k.log(rate)

    def propose(turn):
        u, v = _two_units(k, philox_words(k, index, seed, counter, 0, turn), dt.float64)
        u = u - 0.5
        us = 0.5 - k.abs(u)
        count = k.floor((2.0 * a / us + b) * u + rate + 0.43)
        quick = (us >= 0.07) & (v <= squeeze)
        refused = (count < 0.0) | ((us < 0.013) & (v > us))
        left = k.log(v * inverse_alpha / (a / (us * us) + b))
        exact = left <= count * log_rate - rate - _log_gamma(k, k.maximum(count, 0.0) + 1.0)
        return few | quick | (~refused & exact), count

    many = _search(k, propose, rate, dt.float64)
    return k.select(rate >= 0.0, k.select(few, inverted, many), k.const(math.nan, dt.float64))


def _binomial(k, index, seed, counter, n, p):
    """Binomial, computed in float64: by inversion for n * p under 10, else W. Hörmann's BTRS, "The generation of binomial
    random variates" (1993)."""
    flipped = p > 0.5
    p = k.select(flipped, 1.0 - p, p)
    q = 1.0 - p
    few = n * p < 10.0
    odds = p / q
    zero = k.const(0.0, dt.float64)

    first, _ = _two_units(k, philox_words(k, index, seed, counter, 3, 0), dt.float64)

    def down(count, probability, left):
        following = probability * (n - count) / (count + 1.0) * odds
        return few & (left > 0.0) & (count < n), (count + 1.0, following, left - following)

    start = k.exp(n * k.log1p(-p))
    inverted = k.loop((zero, start, first - start), down, 300)[0]

    spread = k.sqrt(n * p * q)
    b = 1.15 + 2.53 * spread
    a = -0.0873 + 0.0248 * b + 0.01 * p
    center = n * p + 0.5
    squeeze = 0.92 - 4.2 / b
    alpha = (2.83 + 5.1 / b) * spread
    mode = k.floor((n + 1.0) * p)
    height = _log_gamma(k, mode + 1.0) + _log_gamma(k, n - mode + 1.0)
    log_odds = k.log(odds)

    def propose(turn):
        u, v = _two_units(k, philox_words(k, index, seed, counter, 0, turn), dt.float64)
        u = u - 0.5
        us = 0.5 - k.abs(u)
        count = k.floor((2.0 * a / us + b) * u + center)
        quick = (us >= 0.07) & (v <= squeeze)
        refused = (count < 0.0) | (count > n)
        inside = k.minimum(k.maximum(count, zero), n)
        left = k.log(v * alpha / (a / (us * us) + b))
        right = height - _log_gamma(k, inside + 1.0) - _log_gamma(k, n - inside + 1.0) + (inside - mode) * log_odds
        return few | (quick & ~refused) | (~refused & (left <= right)), inside

    many = _search(k, propose, zero + k.floor(n * p), dt.float64)
    count = k.select(few, inverted, many)
    count = k.select(flipped, n - count, count)
    return k.select((n >= 0.0) & (p >= 0.0), count, k.const(math.nan, dt.float64))


def _vonmises(k, index, seed, counter, concentration):
    """Von Mises around 0. Source: D. Best and N. Fisher, "Efficient simulation of the von Mises distribution" (1979)."""
    dtype = concentration.dtype
    flat = concentration < 1e-3  # so near to uniform that the method's constants cancel: one step of its series instead
    kappa = k.select(flat, k.const(1.0, dtype), concentration)
    tau = 1.0 + k.sqrt(1.0 + 4.0 * kappa * kappa)
    rho = (tau - k.sqrt(2.0 * tau)) / (2.0 * kappa)
    r = (1.0 + rho * rho) / (2.0 * rho)

    def propose(turn):
        first, second = _two_units(k, philox_words(k, index, seed, counter, 0, turn), dtype)
        words = philox_words(k, index, seed, counter, 1, turn)
        third = _unit(k, words[0], words[1], dtype)
        z = k.cos(math.pi * first)
        f = (1.0 + r * z) / (r + z)
        c = kappa * (r - f)
        accepted = (c * (2.0 - c) > second) | (k.log(c / second) + 1.0 - c >= 0.0)
        angle = k.acos(k.minimum(k.maximum(f, k.const(-1.0, dtype)), k.const(1.0, dtype)))
        uniform = (2.0 * math.pi) * first - math.pi
        # density 1 + kappa cos(angle): accept against its largest value
        gentle = second * (1.0 + concentration) <= 1.0 + concentration * k.cos(uniform)
        return k.select(flat, gentle, accepted), k.select(flat, uniform, k.select(third > 0.5, angle, -angle))

    return _search(k, propose, kappa * 0.0, dtype)


def _zipf(k, index, seed, counter, a):
    """Zipf (zeta), computed in float64. Source: L. Devroye, "Non-uniform random variate generation" (1986), X.6.1."""
    less = a - 1.0
    b = k.pow(k.const(2.0, dt.float64), less)

    def propose(turn):
        u, v = _two_units(k, philox_words(k, index, seed, counter, 0, turn), dt.float64)
        x = k.floor(k.pow(u, -1.0 / less))
        t = k.pow(1.0 + 1.0 / x, less)
        return (v * x * (t - 1.0) / (b - 1.0) <= t / b) & (x < 2.0**63), x

    return _search(k, propose, a * 0.0 + 1.0, dt.float64)


def _draw(name: str, kernel, parameters: tuple, samples: tuple, dtypes=(dt.float32, dt.float64)):
    """The op name(seed, counter, *parameters, shape): a draw for each place of `shape`, block i for the i-th."""
    extra = len(parameters)
    shapes = (((3, 5), (), (), *((3, 5),) * extra), ((0,), (), (), *((),) * extra), ((67,), (), (), *((1,),) * extra))
    each = elementwise(
        f"{name}_at", 3 + extra, kernel, dtypes=dtypes, fixed=(*_FIXED, *(None for _ in parameters)),
        names=("index", "seed", "counter", *parameters), reference=f"twain.testing.random_references.{name}_at",
        samples=Samples(("index", "index", "index", *samples), shapes=shapes, special=False),
    )  # fmt: skip

    def draw(shape, seed, counter, *values):
        index = reshape(cast(iota((size_of(shape),), 0), _U64), shape)
        return each(index, seed, counter, *values)

    op = composite(
        name, 2 + extra, draw, attributes=lambda shape: check_shape(name, shape),
        names=("seed", "counter", *parameters), reference=f"twain.testing.random_references.{name}",
        samples=Samples(("index", "index", *samples), arguments=((((3, 5),), {}),), shapes=(((), (), *((5,),) * extra),),
                        dtypes=dtypes),
    )  # fmt: skip
    op.record.differentiable = False
    return op


random_gamma = _draw("random_gamma", _gamma, ("alpha",), ((0.2, 5.0),))
random_poisson = _draw("random_poisson", _poisson, ("rate",), ((0.1, 50.0),), (dt.float64,))
random_binomial = _draw("random_binomial", _binomial, ("n", "p"), ((1, 60), (0.0, 1.0)), (dt.float64,))
random_vonmises = _draw("random_vonmises", _vonmises, ("concentration",), ((0.0, 20.0),), (dt.float64,))
random_zipf = _draw("random_zipf", _zipf, ("a",), ((1.5, 5.0),), (dt.float64,))
