"""Normalisation of batches, layers, groups, instances and neighbouring channels, as layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from .. import _core
from ..base.errors import ArgumentError, ShapeError, ValueRangeError
from ..tensor import zeros
from . import functional as F
from . import init
from .lazy import Inferring, check_sizes, lazy_version
from .module import Module

Tensor = _core.Tensor


# ---------------------------------------------------------------- of the last axes
class _LastAxes(Inferring):
    inferred = "normalized_shape"
    stepwise = True

    def _settle(self, normalized_shape: Any, eps: float | None, elementwise_affine: bool, bias: bool) -> None:
        if isinstance(normalized_shape, int):
            normalized_shape = (normalized_shape,)
        self.normalized_shape: Any = None if normalized_shape is None else tuple(normalized_shape)
        self.eps: Any = eps
        self.elementwise_affine = elementwise_affine
        self._has_bias = bool(elementwise_affine and bias)

    def _check_sizes(self) -> None:
        if not self.normalized_shape:
            raise ValueRangeError(f"[{type(self).__name__}] expected normalized_shape to have sizes, got ()")
        for size in self.normalized_shape:
            check_sizes(type(self).__name__, normalized_shape=size)

    def _size_of(self, input: Tensor) -> tuple:
        return (int(input.shape[-1]),)

    def _size_in(self, shapes: Mapping[str, tuple]) -> tuple | None:
        return shapes.get("weight")

    def reset_parameters(self) -> None:
        """Weight 1, bias 0."""
        if self.elementwise_affine:
            init.ones_(self.weight)
        if self._has_bias:
            init.zeros_(self.bias)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class LayerNorm(_LastAxes):
    """Zero mean and unit variance over the last axes, then a learned scale and shift (Ba, Kiros, Hinton 2016).

    Args:
        normalized_shape: sizes of these axes; left out, it is the last axis of the first input.
    """

    def __init__(
        self,
        normalized_shape: int | tuple[int, ...] | None = None,
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ):
        self._settle(normalized_shape, eps, elementwise_affine, bias)
        self._create(dtype, device)

    def _parameter_shapes(self) -> dict[str, tuple | None]:
        shape = self.normalized_shape or ()
        return {"weight": shape if self.elementwise_affine else None, "bias": shape if self._has_bias else None}

    def forward(self, input: Tensor) -> Tensor:
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)


class RMSNorm(_LastAxes):
    """input / sqrt(mean(input ** 2) + eps) over the last axes, then a learned scale (Zhang, Sennrich 2019).

    Args:
        normalized_shape: sizes of these axes; left out, it is the last axis of the first input.
        eps: None is the epsilon of the dtype.
    """

    def __init__(
        self,
        normalized_shape: int | tuple[int, ...] | None = None,
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: Any = None,
        dtype: Any = None,
    ):
        self._settle(normalized_shape, eps, elementwise_affine, False)
        self._create(dtype, device)

    def _parameter_shapes(self) -> dict[str, tuple | None]:
        return {"weight": (self.normalized_shape or ()) if self.elementwise_affine else None}

    def forward(self, input: Tensor) -> Tensor:
        return F.rms_norm(input, self.normalized_shape, self.weight, self.eps)


# ---------------------------------------------------------------- of channels
class _Channels(Inferring):
    """One learned scale and shift per channel."""

    affine: bool
    _has_bias: bool

    def _parameter_shapes(self) -> dict[str, tuple | None]:
        shape = (getattr(self, self.inferred),)
        return {"weight": shape if self.affine else None, "bias": shape if self._has_bias else None}

    def _size_of(self, input: Tensor) -> int:
        return int(input.shape[1])

    def _size_in(self, shapes: Mapping[str, tuple]) -> int | None:
        for shape in shapes.values():
            if len(shape) == 1:
                return shape[0]
        return None

    def reset_parameters(self) -> None:
        """Weight 1, bias 0."""
        if self.affine:
            init.ones_(self.weight)
        if self._has_bias:
            init.zeros_(self.bias)


class GroupNorm(_Channels):
    """Zero mean and unit variance over groups of channels (axis 1), then a learned scale and shift (Wu, He 2018).

    Args:
        num_channels: left out, the first input tells it; num_groups divides it.
    """

    inferred = "num_channels"

    def __init__(
        self,
        num_groups: int,
        num_channels: int | None = None,
        eps: float = 1e-5,
        affine: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ):
        check_sizes("GroupNorm", num_groups=num_groups)
        self.num_groups = num_groups
        self.num_channels: Any = num_channels
        self.eps = eps
        self.affine = affine
        self._has_bias = bool(affine and bias)
        self._create(dtype, device)

    def _check_sizes(self) -> None:
        super()._check_sizes()
        if self.num_channels % self.num_groups:
            raise ValueRangeError(
                f"[GroupNorm] expected num_channels to be a multiple of num_groups={self.num_groups}, got "
                f"{self.num_channels}"
            )

    def forward(self, input: Tensor) -> Tensor:
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}"


class _Tracking(_Channels):
    """With running statistics."""

    inferred = "num_features"

    def _settle(
        self,
        num_features: int | None,
        eps: float,
        momentum: float | None,
        affine: bool,
        track_running_stats: bool,
        bias: bool,
    ) -> None:
        if not eps > 0:
            raise ValueRangeError(f"[{type(self).__name__}] expected eps > 0, got {eps}")
        self.num_features = num_features
        self.eps = eps
        self.momentum: Any = momentum
        self.affine = affine
        self._has_bias = bool(affine and bias)
        self.track_running_stats = track_running_stats

    def _buffer_shapes(self) -> dict[str, tuple | None]:
        tracked = self.track_running_stats
        shape = (self.num_features,) if tracked else None
        return {"running_mean": shape, "running_var": shape, "num_batches_tracked": () if tracked else None}

    def _buffer_dtype(self, name: str, dtype: Any) -> Any:
        return "int64" if name == "num_batches_tracked" else dtype

    def reset_running_stats(self) -> None:
        """Running mean 0, running variance 1, no batches."""
        if self.track_running_stats:
            init.zeros_(self.running_mean)
            init.ones_(self.running_var)
            init.zeros_(self.num_batches_tracked)

    def reset_parameters(self) -> None:
        """Weight 1, bias 0, no statistics."""
        self.reset_running_stats()
        super().reset_parameters()

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"track_running_stats={self.track_running_stats}"
        )


class _BatchNorm(_Tracking):
    ranks: ClassVar[tuple[int, ...]]

    def __init__(
        self,
        num_features: int | None = None,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ):
        self._settle(num_features, eps, momentum, affine, track_running_stats, bias)
        self._create(dtype, device)

    def _before_loading(self, state: dict[str, Any], prefix: str) -> None:
        # old states, and those of some other frameworks, don't count batches
        key = prefix + "num_batches_tracked"
        if self.track_running_stats and key not in state and prefix + "running_mean" in state:
            own = self.num_batches_tracked
            state[key] = own.detach() if isinstance(own, Tensor) else zeros((), dtype="int64")
        super()._before_loading(state, prefix)

    def forward(self, input: Tensor) -> Tensor:
        if input.ndim not in self.ranks or input.shape[1] != self.num_features:
            places = {2: [], 3: ["L"], 4: ["H", "W"], 5: ["D", "H", "W"]}
            shapes = " or ".join(f"({', '.join(['N', str(self.num_features), *places[rank]])})" for rank in self.ranks)
            raise ArgumentError(f"[{type(self).__name__}] expected input of shape {shapes}, got {tuple(input.shape)}")
        if not self.training and self.track_running_stats:
            return F.batch_norm(
                input, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps
            )
        running = (self.running_mean, self.running_var, self.num_batches_tracked) if self.track_running_stats else None
        return F.batch_norm_updating(input, self.weight, self.bias, running, self.momentum, self.eps)


class BatchNorm1d(_BatchNorm):
    """Batch normalisation of (N, C) or (N, C, L): by the batch's statistics in training, by running ones in eval.

    Source: Ioffe, Szegedy 2015. `momentum` is the weight of a new batch in the running statistics (None: all batches
    count alike). num_features left out is found from the first input.
    """

    ranks = (2, 3)
    stepwise = True


class BatchNorm2d(_BatchNorm):
    """Batch normalisation of images (N, C, H, W), per channel; see BatchNorm1d."""

    ranks = (4,)


class BatchNorm3d(_BatchNorm):
    """Batch normalisation of volumes (N, C, D, H, W), per channel; see BatchNorm1d."""

    ranks = (5,)


class _InstanceNorm(_Tracking):
    rank: ClassVar[int]

    def __init__(
        self,
        num_features: int | None = None,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ):
        self._settle(num_features, eps, momentum, affine, track_running_stats, bias)
        self._create(dtype, device)

    def _size_of(self, input: Tensor) -> int:
        if input.ndim not in (self.rank - 1, self.rank):
            raise ShapeError(
                f"[{type(self).__name__}] expected input of {self.rank - 1} or {self.rank} axes, got {tuple(input.shape)}"
            )
        return int(input.shape[input.ndim - self.rank + 1])

    def forward(self, input: Tensor) -> Tensor:
        name = type(self).__name__
        if input.ndim not in (self.rank - 1, self.rank):
            axes = ", ".join(["N", str(self.num_features), *"DHW"[5 - self.rank :]])
            raise ArgumentError(f"[{name}] expected input of shape ({axes}), got {tuple(input.shape)}")
        channels = input.shape[input.ndim - self.rank + 1]
        if channels != self.num_features and (self.affine or self.track_running_stats):
            axes = ", ".join(["N", str(self.num_features), *"DHW"[5 - self.rank :]])
            raise ArgumentError(f"[{name}] expected input of shape ({axes}), got {tuple(input.shape)}")
        alone = input.ndim == self.rank - 1
        own = self.training or not self.track_running_stats
        result = F.instance_norm(
            input.reshape((1, *input.shape)) if alone else input, self.running_mean, self.running_var, self.weight,
            self.bias, own, self.momentum, self.eps,
        )  # fmt: skip
        return result.reshape(input.shape) if alone else result


class InstanceNorm1d(_InstanceNorm):
    """Each channel of each sample of (N, C, L) by its own mean and variance (Ulyanov, Vedaldi, Lempitsky 2016)."""

    rank = 3


class InstanceNorm2d(_InstanceNorm):
    """Each channel of each image of (N, C, H, W) by its own mean and variance; see InstanceNorm1d."""

    rank = 4


class InstanceNorm3d(_InstanceNorm):
    """Each channel of each sample of (N, C, D, H, W) by its own mean and variance; see InstanceNorm1d."""

    rank = 5


LazyBatchNorm1d, LazyBatchNorm2d, LazyBatchNorm3d = (lazy_version(c) for c in (BatchNorm1d, BatchNorm2d, BatchNorm3d))
LazyInstanceNorm1d, LazyInstanceNorm2d, LazyInstanceNorm3d = (
    lazy_version(c, affine=True, track_running_stats=True) for c in (InstanceNorm1d, InstanceNorm2d, InstanceNorm3d)
)


# ---------------------------------------------------------------- of neighbouring channels
class LocalResponseNorm(Module):
    """input / (k + alpha * mean of the squares of `size` neighbouring channels) ** beta (Krizhevsky et al. 2012)."""

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0):
        check_sizes(type(self).__name__, size=size)
        self.size = size
        self.alpha = alpha
        self.beta = beta
        self.k = k

    def forward(self, input: Tensor) -> Tensor:
        return F.local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


class CrossMapLRN2d(LocalResponseNorm):
    """LocalResponseNorm of images (N, C, H, W), under the name that it had in Lua Torch.

    PyTorch's class of this name keeps the first channel in the sums of all channels beyond the first window.
    """

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1):
        super().__init__(size, alpha, beta, k)

    def forward(self, input: Tensor) -> Tensor:
        if input.ndim != 4:
            raise ShapeError(f"[CrossMapLRN2d] expected input of shape (N, C, H, W), got {tuple(input.shape)}")
        return super().forward(input)


__all__ = [
    "BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "CrossMapLRN2d", "GroupNorm", "InstanceNorm1d", "InstanceNorm2d",
    "InstanceNorm3d", "LayerNorm", "LazyBatchNorm1d", "LazyBatchNorm2d", "LazyBatchNorm3d", "LazyInstanceNorm1d",
    "LazyInstanceNorm2d", "LazyInstanceNorm3d", "LocalResponseNorm", "RMSNorm",
]  # fmt: skip
