"""Layers that combine two or three inputs: multi-head attention, distances."""

from __future__ import annotations

import math
from typing import Any

from .. import _core
from ..base.errors import ValueRangeError
from . import functional as F
from . import init
from .lazy import check_sizes, parameter
from .module import Module

Tensor = _core.Tensor


class MultiheadAttention(Module):
    """Attention of several heads, each over its share of the features (Vaswani et al. 2017).

    Args:
        embed_dim: E, the number of features; num_heads divides it.
        dropout: the share of attention weights that are dropped in training.
        bias: whether the projections have biases.
        add_bias_kv, add_zero_attn: a further source position, learned or zero.
        kdim, vdim: the numbers of features of key and value, E by default.
        batch_first: (N, L, E) instead of (L, N, E).

    Called with (query, key, value) and key_padding_mask, need_weights, attn_mask, average_attn_weights, is_causal as
    `nn.functional.multi_head_attention_forward` takes them; returns (result, attention weights or None).
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: Any = None,
        dtype: Any = None,
    ):
        check_sizes("MultiheadAttention", embed_dim=embed_dim, num_heads=num_heads)
        if embed_dim % num_heads:
            raise ValueRangeError(
                f"[MultiheadAttention] expected embed_dim to be a multiple of num_heads={num_heads}, got {embed_dim}"
            )
        self.embed_dim = embed_dim
        self.num_heads = num_heads
        self.dropout = dropout
        self.add_zero_attn = add_zero_attn
        self.batch_first = batch_first
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        same = self.kdim == self.vdim == embed_dim

        def weight(*shape: int) -> Tensor:
            return parameter(shape, dtype, device)

        self.register_parameter("in_proj_weight", weight(3 * embed_dim, embed_dim) if same else None)
        self.register_parameter("q_proj_weight", None if same else weight(embed_dim, embed_dim))
        self.register_parameter("k_proj_weight", None if same else weight(embed_dim, self.kdim))
        self.register_parameter("v_proj_weight", None if same else weight(embed_dim, self.vdim))
        self.register_parameter("in_proj_bias", weight(3 * embed_dim) if bias else None)
        self.register_parameter("bias_k", weight(1, 1, embed_dim) if add_bias_kv else None)
        self.register_parameter("bias_v", weight(1, 1, embed_dim) if add_bias_kv else None)
        self.out_proj = _Projection(embed_dim, bias, device, dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """New initial values."""
        for weight in (self.in_proj_weight, self.q_proj_weight, self.k_proj_weight, self.v_proj_weight):
            if weight is not None:
                init.xavier_uniform_(weight)
        for bias in (self.bias_k, self.bias_v):
            if bias is not None:
                init.xavier_normal_(bias)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        turned = self.batch_first and query.ndim == 3
        if turned:
            known = {id(x): x.transpose(0, 1) for x in (query, key, value)}  # self-attention stays recognisable
            query, key, value = (known[id(x)] for x in (query, key, value))
        result, weights = F.multi_head_attention_forward(
            query, key, value, self.embed_dim, self.num_heads, self.in_proj_weight, self.in_proj_bias, self.bias_k,
            self.bias_v, self.add_zero_attn, self.dropout, self.out_proj.weight, self.out_proj.bias, self.training,
            key_padding_mask, need_weights, attn_mask, self.in_proj_weight is None, self.q_proj_weight,
            self.k_proj_weight, self.v_proj_weight, average_attn_weights=average_attn_weights, is_causal=is_causal,
        )  # fmt: skip
        return (result.transpose(0, 1) if turned else result), weights

    def extra_repr(self) -> str:
        return f"{self.embed_dim}, {self.num_heads}"


class _Projection(Module):
    """The output's linear map; its bias begins with 0."""

    def __init__(self, size: int, bias: bool, device: Any, dtype: Any):
        self.weight = parameter((size, size), dtype, device)
        self.register_parameter("bias", parameter((size,), dtype, device, 0.0) if bias else None)
        bound = 1.0 / math.sqrt(size)
        init.uniform_(self.weight, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)


class CosineSimilarity(Module):
    """The cosine of the angle between vectors along axis `dim`."""

    def __init__(self, dim: int = 1, eps: float = 1e-8):
        self.dim = dim
        self.eps = eps

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        return F.cosine_similarity(x1, x2, self.dim, self.eps)

    def extra_repr(self) -> str:
        return f"dim={self.dim}, eps={self.eps}"


class PairwiseDistance(Module):
    """The p-norm of x1 - x2 + eps over the last axis."""

    def __init__(self, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False):
        self.norm = p
        self.eps = eps
        self.keepdim = keepdim

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        return F.pairwise_distance(x1, x2, self.norm, self.eps, self.keepdim)

    def extra_repr(self) -> str:
        return f"p={self.norm}, eps={self.eps}, keepdim={self.keepdim}"


__all__ = ["CosineSimilarity", "MultiheadAttention", "PairwiseDistance"]
