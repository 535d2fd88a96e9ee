"""Normalisation of instances and of neighbouring channels, as layers."""

from __future__ import annotations

from typing import Any

from .. import _core
from ..base.dtypes import as_dtype
from ..base.errors import ArgumentError
from ..tensor import ones, zeros
from . import functional as F
from .layers import check_sizes, parameter
from .module import Module

Tensor = _core.Tensor


class LocalResponseNorm(Module):
    """x / (k + alpha * mean of the squares of `size` neighbouring channels) ** beta (Krizhevsky et al. 2012)."""

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0):
        check_sizes("LocalResponseNorm", size=size)
        self.size = size
        self.alpha = alpha
        self.beta = beta
        self.k = k

    def forward(self, x: Tensor) -> Tensor:
        return F.local_response_norm(x, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


class _InstanceNorm(Module):
    rank = 0

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: Any = None,
        dtype: Any = None,
    ):
        check_sizes(type(self).__name__, num_features=num_features)
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.track_running_stats = track_running_stats
        self.register_parameter("weight", parameter((num_features,), dtype, device, 1.0) if affine else None)
        self.register_parameter("bias", parameter((num_features,), dtype, device, 0.0) if affine else None)
        kind = as_dtype("float32" if dtype is None else dtype)
        tracked = track_running_stats
        self.register_buffer("running_mean", zeros((num_features,), dtype=kind, device=device) if tracked else None)
        self.register_buffer("running_var", ones((num_features,), dtype=kind, device=device) if tracked else None)

    def forward(self, x: Tensor) -> Tensor:
        name = type(self).__name__
        if x.ndim not in (self.rank - 1, self.rank) or x.shape[x.ndim - self.rank + 1] != self.num_features:
            axes = ", ".join(["N", str(self.num_features), "D", "H", "W"][:2] + ["D", "H", "W"][5 - self.rank :])
            raise ArgumentError(f"[{name}] expected x of shape ({axes}), got {tuple(x.shape)}")
        alone = x.ndim == self.rank - 1
        own = self.training or not self.track_running_stats
        result = F.instance_norm(
            x.reshape((1, *x.shape)) if alone else x, self.running_mean, self.running_var, self.weight, self.bias, own,
            self.momentum, self.eps,
        )  # fmt: skip
        return result.reshape(x.shape) if alone else result

    def extra_repr(self) -> str:
        return f"{self.num_features}, eps={self.eps}, momentum={self.momentum}"


class InstanceNorm1d(_InstanceNorm):
    """Each channel of each sample of (N, C, L) by its own mean and variance (Ulyanov, Vedaldi, Lempitsky 2016)."""

    rank = 3


class InstanceNorm2d(_InstanceNorm):
    """Each channel of each image of (N, C, H, W) by its own mean and variance; see InstanceNorm1d."""

    rank = 4


class InstanceNorm3d(_InstanceNorm):
    """Each channel of each sample of (N, C, D, H, W) by its own mean and variance; see InstanceNorm1d."""

    rank = 5


__all__ = ["InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d", "LocalResponseNorm"]
