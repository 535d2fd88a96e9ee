"""Batch normalisation in evaluation mode taken into the layer before it: one layer less, the same results."""

from __future__ import annotations

import copy
from typing import Any

from ... import _core
from ...base.errors import ArgumentError
from ...tensor import no_grad, zeros_like
from ..conv import _Convolution, _ConvTranspose
from ..layers import Linear
from ..norms import _BatchNorm
from ..parameters import Parameter

Tensor = _core.Tensor


def _scale(weight: Tensor | None, running_var: Tensor, eps: float) -> Tensor:
    scale = (running_var + eps).rsqrt()
    return scale if weight is None else scale * weight


def fuse_conv_bn_weights(
    conv_w: Tensor,
    conv_b: Tensor | None,
    bn_rm: Tensor,
    bn_rv: Tensor,
    bn_eps: float,
    bn_w: Tensor | None,
    bn_b: Tensor | None,
    transpose: bool = False,
) -> tuple[Tensor, Tensor]:
    """(weight, bias) of one convolution that does both.

    Args:
        conv_w, conv_b: of the convolution; bn_rm, bn_rv: running mean and variance; bn_w, bn_b: scale and shift.
        transpose: whether the convolution is a transposed one (without groups), with its outputs on axis 1.
    """
    with no_grad():
        scale = _scale(bn_w, bn_rv, bn_eps)
        shape = [1] * conv_w.ndim
        shape[1 if transpose else 0] = -1
        bias = zeros_like(bn_rm) if conv_b is None else conv_b
        shift = zeros_like(bn_rm) if bn_b is None else bn_b
        weight = (conv_w * scale.reshape(tuple(shape))).astype(conv_w.dtype)
        fused = ((bias - bn_rm) * scale + shift).astype(conv_w.dtype)
    return Parameter(weight, conv_w.requires_grad), Parameter(
        fused, conv_w.requires_grad if conv_b is None else conv_b.requires_grad
    )


def fuse_linear_bn_weights(
    linear_w: Tensor,
    linear_b: Tensor | None,
    bn_rm: Tensor,
    bn_rv: Tensor,
    bn_eps: float,
    bn_w: Tensor | None,
    bn_b: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """(weight, bias) of one linear map that does both; arguments as in fuse_conv_bn_weights."""
    return fuse_conv_bn_weights(linear_w, linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b)


def _fused(function: str, layer: Any, norm: Any, kind: type, transpose: bool) -> Any:
    if not isinstance(layer, kind) or not isinstance(norm, _BatchNorm):
        raise ArgumentError(
            f"[{function}] expected a layer and a batch normalisation, got {type(layer).__name__} and {type(norm).__name__}"
        )
    if layer.training or norm.training:
        raise ArgumentError(f"[{function}] expected both in evaluation mode: call .eval() first")
    if norm.running_mean is None:
        raise ArgumentError(f"[{function}] expected running statistics, got track_running_stats=False")
    if transpose and layer.groups != 1:
        raise ArgumentError(f"[{function}] expected a transposed convolution without groups, got groups={layer.groups}")
    new = copy.deepcopy(layer)
    weight, bias = fuse_conv_bn_weights(
        layer.weight, layer.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias, transpose
    )
    new.register_parameter("weight", weight)
    new.register_parameter("bias", bias)
    new._has_bias = True
    return new


def fuse_conv_bn_eval(conv: _Convolution, bn: _BatchNorm, transpose: bool = False) -> _Convolution:
    """A new convolution that gives what `conv` and then `bn` give, both in evaluation mode."""
    return _fused("fuse_conv_bn_eval", conv, bn, _Convolution, transpose or isinstance(conv, _ConvTranspose))


def fuse_linear_bn_eval(linear: Linear, bn: _BatchNorm) -> Linear:
    """A new linear map that gives what `linear` and then `bn` give, both in evaluation mode."""
    return _fused("fuse_linear_bn_eval", linear, bn, Linear, False)


__all__ = ["fuse_conv_bn_eval", "fuse_conv_bn_weights", "fuse_linear_bn_eval", "fuse_linear_bn_weights"]
