"""Layers with parameters. Names, arguments, defaults, parameter names, shapes and initial values are PyTorch's."""

from __future__ import annotations

import math
from typing import Any

from .. import _core
from ..base.dtypes import as_dtype
from ..base.errors import ArgumentError, ValueRangeError
from ..tensor import no_grad, ones, zeros
from . import functional as F
from . import init
from .module import Module

Tensor = _core.Tensor


def parameter(shape: tuple, dtype: Any, device: Any, fill: float = 0.0) -> Tensor:
    """A tensor that requires a gradient, to be filled by an initialiser."""
    make = ones if fill == 1.0 else zeros
    return make(shape, dtype=as_dtype("float32" if dtype is None else dtype), device=device).requires_grad_()


def check_sizes(layer: str, **sizes: int) -> None:
    """ValueRangeError unless all are ints of at least 1."""
    for name, value in sizes.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ValueRangeError(f"[{layer}] expected {name} to be an int of at least 1, got {value!r}")


def pair(layer: str, name: str, value: Any, lowest: int = 0) -> tuple[int, int]:
    """An int or two of them, as two."""
    result = (value, value) if isinstance(value, int) else tuple(value)
    if len(result) != 2 or any(not isinstance(v, int) or v < lowest for v in result):
        raise ArgumentError(f"[{layer}] expected {name} to be one or two ints of at least {lowest}, got {value!r}")
    return result  # type: ignore[return-value]


class Linear(Module):
    """x @ weight.T + bias.

    Args:
        in_features, out_features: sizes of the last axis before and after.
        bias: whether there is one.

    Shapes: x (..., in_features) -> (..., out_features); weight (out_features, in_features), bias (out_features,).
    """

    stepwise = True

    def __init__(self, in_features: int, out_features: int, bias: bool = True, device: Any = None, dtype: Any = None):
        check_sizes("Linear", in_features=in_features, out_features=out_features)
        self.in_features = in_features
        self.out_features = out_features
        self.weight = parameter((out_features, in_features), dtype, device)
        self.register_parameter("bias", parameter((out_features,), dtype, device) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """New initial values."""
        bound = 1.0 / math.sqrt(self.in_features)
        init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"{self.in_features}, {self.out_features}" + ("" if self.bias is not None else ", bias=False")


class Conv2d(Module):
    """Cross-correlation of images with learned kernels.

    Shapes: x (N, in_channels, H, W) -> (N, out_channels, H', W');
    weight (out_channels, in_channels / groups, kernel height, kernel width), bias (out_channels,).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] | str = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ):
        check_sizes("Conv2d", in_channels=in_channels, out_channels=out_channels, groups=groups)
        if in_channels % groups or out_channels % groups:
            raise ValueRangeError(
                f"[Conv2d] expected in_channels and out_channels to be multiples of groups={groups}, got {in_channels} "
                f"and {out_channels}"
            )
        if padding_mode != "zeros":
            raise ArgumentError(f"[Conv2d] expected padding_mode 'zeros', the only one so far, got {padding_mode!r}")
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = pair("Conv2d", "kernel_size", kernel_size, 1)
        self.stride = pair("Conv2d", "stride", stride, 1)
        self.dilation = pair("Conv2d", "dilation", dilation, 1)
        self.padding = padding if isinstance(padding, str) else pair("Conv2d", "padding", padding)
        if self.padding not in ("same", "valid") and isinstance(padding, str):
            raise ArgumentError(f"[Conv2d] expected padding to be ints, 'same' or 'valid', got {padding!r}")
        self.groups = groups
        self.weight = parameter((out_channels, in_channels // groups, *self.kernel_size), dtype, device)
        self.register_parameter("bias", parameter((out_channels,), dtype, device) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """New initial values."""
        fan_in, _ = init.fans("Conv2d", self.weight.shape)
        bound = 1.0 / math.sqrt(fan_in)
        init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)

    def extra_repr(self) -> str:
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        for name, default in (("padding", (0, 0)), ("dilation", (1, 1)), ("groups", 1)):
            value = getattr(self, name)
            if value != default:
                text += f", {name}={value}"
        return text + ("" if self.bias is not None else ", bias=False")


class Embedding(Module):
    """Rows of a learned table, looked up by number.

    Args:
        num_embeddings: rows.
        embedding_dim: length of a row.
        padding_idx: a row that starts as zeros and gets no gradient.

    Shapes: integer x (...) -> (..., embedding_dim); weight (num_embeddings, embedding_dim).
    """

    stepwise = True

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        device: Any = None,
        dtype: Any = None,
    ):
        check_sizes("Embedding", num_embeddings=num_embeddings, embedding_dim=embedding_dim)
        if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
            raise ValueRangeError(f"[Embedding] expected padding_idx below {num_embeddings}, got {padding_idx}")
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.padding_idx = None if padding_idx is None else padding_idx % num_embeddings
        self.weight = parameter((num_embeddings, embedding_dim), dtype, device)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """New initial values: standard normal, the padding row 0."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            with no_grad():
                self.weight.assign(F.without_row(self.weight, self.padding_idx))

    @classmethod
    def from_pretrained(cls, embeddings: Tensor, freeze: bool = True, padding_idx: int | None = None) -> Embedding:
        """A table with given rows."""
        layer = cls(embeddings.shape[0], embeddings.shape[1], padding_idx, dtype=embeddings.dtype)
        with no_grad():
            layer.weight.assign(embeddings.detach())
        layer.weight.requires_grad_(not freeze)
        return layer

    def forward(self, x: Tensor) -> Tensor:
        return F.embedding(x, self.weight, self.padding_idx)

    def extra_repr(self) -> str:
        text = f"{self.num_embeddings}, {self.embedding_dim}"
        return text if self.padding_idx is None else f"{text}, padding_idx={self.padding_idx}"


class LayerNorm(Module):
    """Zero mean and unit variance over the last axes, then a learned scale and shift (Ba, Kiros, Hinton 2016)."""

    stepwise = True

    def __init__(
        self,
        normalized_shape: int | tuple[int, ...],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ):
        shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.normalized_shape = shape
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        self.register_parameter("weight", parameter(shape, dtype, device, 1.0) if elementwise_affine else None)
        self.register_parameter("bias", parameter(shape, dtype, device) if elementwise_affine and bias else None)

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}"


class RMSNorm(Module):
    """x / sqrt(mean(x ** 2) + eps) over the last axes, then a learned scale (Zhang, Sennrich 2019)."""

    stepwise = True

    def __init__(
        self,
        normalized_shape: int | tuple[int, ...],
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: Any = None,
        dtype: Any = None,
    ):
        shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.normalized_shape = shape
        self.eps = eps
        self.register_parameter("weight", parameter(shape, dtype, device, 1.0) if elementwise_affine else None)

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}"


class GroupNorm(Module):
    """Zero mean and unit variance over groups of channels (axis 1), then a learned scale and shift (Wu, He 2018)."""

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: Any = None,
        dtype: Any = None,
    ):
        check_sizes("GroupNorm", num_groups=num_groups, num_channels=num_channels)
        if num_channels % num_groups:
            raise ValueRangeError(
                f"[GroupNorm] expected num_channels to be a multiple of num_groups={num_groups}, got {num_channels}"
            )
        self.num_groups = num_groups
        self.num_channels = num_channels
        self.eps = eps
        self.register_parameter("weight", parameter((num_channels,), dtype, device, 1.0) if affine else None)
        self.register_parameter("bias", parameter((num_channels,), dtype, device) if affine else None)

    def forward(self, x: Tensor) -> Tensor:
        return F.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}"


class _BatchNorm(Module):
    ranks: tuple[int, ...] = ()

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
    ):
        name = type(self).__name__
        check_sizes(name, num_features=num_features)
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        self.register_parameter("weight", parameter((num_features,), dtype, device, 1.0) if affine else None)
        self.register_parameter("bias", parameter((num_features,), dtype, device) if affine else None)
        kind = as_dtype("float32" if dtype is None else dtype)
        tracked = track_running_stats
        self.register_buffer("running_mean", zeros((num_features,), dtype=kind, device=device) if tracked else None)
        self.register_buffer("running_var", ones((num_features,), dtype=kind, device=device) if tracked else None)
        self.register_buffer("num_batches_tracked", zeros((), dtype="int64", device=device) if tracked else None)

    def forward(self, x: Tensor) -> Tensor:
        name = type(self).__name__
        if x.ndim not in self.ranks or x.shape[1] != self.num_features:
            shapes = " or ".join(
                f"({', '.join(['N', str(self.num_features), 'H', 'W', 'D'][:rank])})" for rank in self.ranks
            )
            raise ArgumentError(f"[{name}] expected x of shape {shapes}, got {tuple(x.shape)}")
        if not self.training and self.track_running_stats:
            return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps)
        return F.batch_norm_updating(
            x,
            self.weight,
            self.bias,
            (self.running_mean, self.running_var, self.num_batches_tracked) if self.track_running_stats else None,
            self.momentum,
            self.eps,
        )

    def extra_repr(self) -> str:
        return f"{self.num_features}, eps={self.eps}, momentum={self.momentum}"


class BatchNorm1d(_BatchNorm):
    """Batch normalisation of (N, C) or (N, C, L): by the batch's statistics in training, by running ones in eval.

    Source: Ioffe, Szegedy 2015. `momentum` is the weight of a new batch in the running statistics (None: all batches
    count alike).
    """

    ranks = (2, 3)
    stepwise = True


class BatchNorm2d(_BatchNorm):
    """Batch normalisation of images (N, C, H, W), per channel; see BatchNorm1d."""

    ranks = (4,)
