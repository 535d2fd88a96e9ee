"""Functions that draw random numbers: dropout in all its kinds, randomised ReLU, samples of a softmax."""

from __future__ import annotations

from typing import Any

from .. import _core
from ..base.errors import ShapeError, ValueRangeError
from ..base.shapes import normalize_axis
from ..ops.elementwise import cast, equal
from ..ops.index import iota
from ..ops.nn import extras as _extras
from ..ops.nn import linear as _linear
from ..ops.nn.activations import leaky_relu, softmax
from ..ops.nn.rules import stop_gradient
from ..ops.reduce import argmax
from ..tensor import random, zeros_like

Tensor = _core.Tensor


def _check_probability(function: str, p: float) -> None:
    if not 0.0 <= p <= 1.0:
        raise ValueRangeError(f"[{function}] expected p in [0, 1], got {p}")


def _drop(function: str, input: Tensor, p: float, training: bool, generator: Any, shape: tuple) -> Tensor:
    """Zeros where a draw of `shape`, which broadcasts to the input's, is below p."""
    _check_probability(function, p)
    if not training or p == 0.0:
        return input
    if p == 1.0:
        return zeros_like(input)
    return _linear.drop(input, random.uniform(shape, device=getattr(input, "device", None), generator=generator), p)


def dropout(input: Tensor, p: float = 0.5, training: bool = True, generator: Any = None) -> Tensor:
    """In training, 0 with probability p and input / (1 - p) otherwise; else input itself.

    The choice comes from `generator`, by default that of `twain.random` (Srivastava et al. 2014).
    """
    return _drop("dropout", input, p, training, generator, tuple(input.shape))


def _channels(function: str, input: Tensor, axes: int) -> tuple:
    """The shape of one number per channel of (N, C, ...) or (C, ...) with `axes` further axes."""
    if input.ndim not in (axes + 1, axes + 2):
        raise ShapeError(
            f"[{function}] expected input of {axes + 1} or {axes + 2} axes, (N, C, ...) or (C, ...), got {tuple(input.shape)}"
        )
    return (*input.shape[: input.ndim - axes], *(1,) * axes)


def dropout1d(input: Tensor, p: float = 0.5, training: bool = True, generator: Any = None) -> Tensor:
    """Dropout of whole channels of (N, C, L) or (C, L)."""
    return _drop("dropout1d", input, p, training, generator, _channels("dropout1d", input, 1))


def dropout2d(input: Tensor, p: float = 0.5, training: bool = True, generator: Any = None) -> Tensor:
    """Dropout of whole channels of (N, C, H, W) or (C, H, W) (Tompson et al. 2015)."""
    return _drop("dropout2d", input, p, training, generator, _channels("dropout2d", input, 2))


def dropout3d(input: Tensor, p: float = 0.5, training: bool = True, generator: Any = None) -> Tensor:
    """Dropout of whole channels of (N, C, D, H, W) or (C, D, H, W)."""
    return _drop("dropout3d", input, p, training, generator, _channels("dropout3d", input, 3))


def _alpha(function: str, input: Tensor, p: float, training: bool, generator: Any, shape: tuple) -> Tensor:
    _check_probability(function, p)
    if not training or p == 0.0:
        return input
    if p == 1.0:
        return zeros_like(input)
    return _extras.drop_alpha(
        input, random.uniform(shape, device=getattr(input, "device", None), generator=generator), p
    )


def alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, generator: Any = None) -> Tensor:
    """Dropout for selu: dropped elements take its lower limit, and mean and variance stay (Klambauer et al. 2017)."""
    return _alpha("alpha_dropout", input, p, training, generator, tuple(input.shape))


def feature_alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, generator: Any = None) -> Tensor:
    """alpha_dropout of whole channels of (N, C, ...)."""
    if input.ndim < 2 and training:
        raise ShapeError(f"[feature_alpha_dropout] expected input of shape (N, C, ...), got {tuple(input.shape)}")
    shape = (*input.shape[:2], *(1,) * (input.ndim - 2))
    return _alpha("feature_alpha_dropout", input, p, training, generator, shape)


def rrelu(
    input: Tensor, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False, generator: Any = None
) -> Tensor:
    """input where it is at least 0, elsewhere times a slope: in training drawn from [lower, upper], else their mean.

    Source: Xu et al. 2015.
    """
    if not lower <= upper:
        raise ValueRangeError(f"[rrelu] expected lower <= upper, got {lower} and {upper}")
    if not training:
        return leaky_relu(input, (lower + upper) / 2)
    slope = random.uniform(tuple(input.shape), lower, upper, device=getattr(input, "device", None), generator=generator)
    return _extras.rrelu_apply(input, cast(slope, input.dtype))


def gumbel_softmax(
    logits: Tensor, tau: float = 1.0, hard: bool = False, axis: int = -1, generator: Any = None
) -> Tensor:
    """A sample of the Gumbel-softmax distribution with temperature tau over `axis` (Jang, Gu, Poole 2016).

    With `hard` the sample is one-hot, and its gradient that of the soft one.
    """
    if not tau > 0:
        raise ValueRangeError(f"[gumbel_softmax] expected tau > 0, got {tau}")
    at = normalize_axis("gumbel_softmax", axis, logits.ndim)
    noise = random.gumbel(shape=tuple(logits.shape), dtype=logits.dtype, generator=generator)
    soft = softmax((logits + noise) * (1.0 / tau), axis)
    if not hard:
        return soft
    numbers = iota(tuple(d if i == at else 1 for i, d in enumerate(soft.shape)), at)
    chosen = cast(equal(numbers, argmax(soft, at, True)), soft.dtype)
    return stop_gradient(chosen - soft) + soft


def drop_paths(input: Tensor, p: float = 0.5, training: bool = True, generator: Any = None) -> Tensor:
    """Dropout of whole samples of (N, ...): stochastic depth (Huang et al. 2016)."""
    if input.ndim < 1:
        raise ShapeError("[drop_paths] expected input of shape (N, ...), got a 0-d tensor")
    return _drop("drop_paths", input, p, training, generator, (input.shape[0], *(1,) * (input.ndim - 1)))


__all__ = [
    "alpha_dropout", "drop_paths", "dropout", "dropout1d", "dropout2d", "dropout3d", "feature_alpha_dropout",
    "gumbel_softmax", "rrelu",
]  # fmt: skip
