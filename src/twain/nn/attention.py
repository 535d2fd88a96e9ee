"""Attention as functions, with PyTorch's names and order of arguments."""

from __future__ import annotations

import math
from typing import Any

from .. import _core
from ..base.errors import ArgumentError, ShapeError, ValueRangeError
from ..ops.arrange import part
from ..ops.elementwise import cast, where
from ..ops.index import tril
from ..ops.linalg import product, transpose_last
from ..ops.nn import attention as _attention
from ..ops.nn import linear as _linear
from ..ops.nn.activations import softmax
from ..ops.reduce import mean
from ..ops.shape import broadcast_to, concat, permute_dims, reshape
from ..tensor import ones, random, zeros
from .noise import dropout

Tensor = _core.Tensor


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
    generator: Any = None,
) -> Tensor:
    """softmax(query @ key.T * scale + mask) @ value (Vaswani et al. 2017).

    Args:
        query, key, value: (..., L, E), (..., S, E), (..., S, Ev), of one floating dtype. The result is (..., L, Ev).
        attn_mask: of a shape that broadcasts to (..., L, S): bool, true where attention may go, or floats to add.
        dropout_p: the share of attention weights that are dropped; always, so pass 0.0 outside of training.
        is_causal: position i sees positions up to i only.
        scale: 1 / sqrt(E) by default.
        enable_gqa: the query may have several times as many heads (axis -3) as key and value (Ainslie et al. 2023).

    A row that may see nothing gives zeros.
    """
    if not 0.0 <= dropout_p <= 1.0:
        raise ValueRangeError(f"[scaled_dot_product_attention] expected dropout_p in [0, 1], got {dropout_p}")
    uniform = None
    if dropout_p == 1.0:
        value = value * 0.0
        dropout_p = 0.0
    if dropout_p > 0.0:
        lead = tuple(query.shape[:-2])
        uniform = random.uniform((*lead, query.shape[-2], key.shape[-2]), generator=generator)
    return _attention.attention(query, key, value, attn_mask, uniform, is_causal, scale, enable_gqa, dropout_p)


def _additive(mask: Tensor, dtype: Any) -> Tensor:
    """A mask whose true elements are left out, as numbers to add."""
    return cast(where(mask, -math.inf, 0.0), dtype) if mask.dtype.kind == "b" else mask


def _longer(x: Tensor, extra: Tensor) -> Tensor:
    """One more source position at the end of (S, N, E)."""
    return concat([x, extra], 0)


def _one_more(mask: Tensor | None) -> Tensor | None:
    """A mask with a further source position that may be seen."""
    return None if mask is None else concat([mask, zeros((*mask.shape[:-1], 1), dtype=mask.dtype)], mask.ndim - 1)


def multi_head_attention_forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None,
    bias_k: Tensor | None = None,
    bias_v: Tensor | None = None,
    add_zero_attn: bool = False,
    dropout_p: float = 0.0,
    out_proj_weight: Tensor | None = None,
    out_proj_bias: Tensor | None = None,
    training: bool = True,
    key_padding_mask: Tensor | None = None,
    need_weights: bool = True,
    attn_mask: Tensor | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Tensor | None = None,
    k_proj_weight: Tensor | None = None,
    v_proj_weight: Tensor | None = None,
    static_k: Tensor | None = None,
    static_v: Tensor | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Multi-head attention with its projections: (result, attention weights or None).

    Args:
        query, key, value: (L, N, E), (S, N, Ek), (S, N, Ev), or without N.
        in_proj_weight: (3 E, E), the three projections; or q_proj_weight (E, E), k_proj_weight (E, Ek) and
            v_proj_weight (E, Ev) with use_separate_proj_weight. in_proj_bias: (3 E,).
        bias_k, bias_v: (1, 1, E), a further source position; add_zero_attn: one of zeros.
        key_padding_mask: (N, S), true (or minus infinity) where the source is left out.
        attn_mask: (L, S) or (N * num_heads, L, S), true where attention is not allowed, or floats to add.
        static_k, static_v: (N * num_heads, S, E / num_heads), in place of the projected key and value.

    The result is (L, N, E), the weights (N, L, S), or (N, num_heads, L, S) with average_attn_weights=False.
    """
    name = "multi_head_attention_forward"
    alone = query.ndim == 2
    if query.ndim not in (2, 3) or key.ndim != query.ndim or value.ndim != query.ndim:
        raise ShapeError(
            f"[{name}] expected query, key and value of 2 or 3 axes, got {tuple(query.shape)}, {tuple(key.shape)} and "
            f"{tuple(value.shape)}"
        )
    same = query is key is value and not use_separate_proj_weight
    if alone:
        query, key, value = (reshape(x, (x.shape[0], 1, x.shape[1])) for x in (query, key, value))
        if key_padding_mask is not None:
            key_padding_mask = reshape(key_padding_mask, (1, *key_padding_mask.shape))
    length, number, width = query.shape
    if width != embed_dim_to_check or width % num_heads:
        raise ShapeError(
            f"[{name}] expected an embedding of {embed_dim_to_check}, a multiple of num_heads={num_heads}, got {width}"
        )
    if out_proj_weight is None:
        raise ArgumentError(f"[{name}] expected out_proj_weight, got None")
    size = width // num_heads
    weights: list[Tensor]
    if use_separate_proj_weight:
        given = (q_proj_weight, k_proj_weight, v_proj_weight)
        if any(w is None for w in given):
            raise ArgumentError(f"[{name}] expected q_proj_weight, k_proj_weight and v_proj_weight, got None")
        weights = [w for w in given if w is not None]
    else:
        if in_proj_weight is None or tuple(in_proj_weight.shape) != (3 * width, width):
            got = None if in_proj_weight is None else tuple(in_proj_weight.shape)
            raise ShapeError(f"[{name}] expected in_proj_weight of shape {(3 * width, width)}, got {got}")
        weights = [] if same else [part(in_proj_weight, 0, i * width, width) for i in range(3)]
    if same:  # one product instead of three
        whole = _linear.linear(query, in_proj_weight, in_proj_bias)
        q, k, v = (part(whole, 2, i * width, width) for i in range(3))
    else:
        biases = [None if in_proj_bias is None else part(in_proj_bias, 0, i * width, width) for i in range(3)]
        q, k, v = (_linear.linear(x, w, b) for x, w, b in zip((query, key, value), weights, biases))
    attn_mask = None if attn_mask is None else _additive(attn_mask, q.dtype)
    padding = None if key_padding_mask is None else _additive(key_padding_mask, q.dtype)
    # Without masks and weights to return, attention itself looks back only.
    looks_back = is_causal and attn_mask is None and padding is None and not need_weights
    looks_back = looks_back and bias_k is None and not add_zero_attn
    if is_causal and attn_mask is None and not looks_back:
        attn_mask = _additive(tril(ones((length, key.shape[0]), dtype="bool")) == False, q.dtype)  # noqa: E712
    if bias_k is not None and bias_v is not None:
        k = _longer(k, broadcast_to(bias_k, (1, number, width)))
        v = _longer(v, broadcast_to(bias_v, (1, number, width)))
        attn_mask, padding = _one_more(attn_mask), _one_more(padding)

    def heads(x: Tensor) -> Tensor:  # (S, N, E) -> (N, heads, S, E / heads)
        return permute_dims(reshape(x, (x.shape[0], number, num_heads, size)), (1, 2, 0, 3))

    def fixed(x: Tensor) -> Tensor:
        return reshape(x, (number, num_heads, *x.shape[1:]))

    q = heads(q)
    k = heads(k) if static_k is None else fixed(static_k)
    v = heads(v) if static_v is None else fixed(static_v)
    if add_zero_attn:
        nothing = zeros((number, num_heads, 1, size), dtype=q.dtype)
        k, v = concat([k, nothing], 2), concat([v, nothing], 2)
        attn_mask, padding = _one_more(attn_mask), _one_more(padding)
    mask = attn_mask
    if mask is not None and mask.ndim == 3:
        mask = reshape(mask, (number, num_heads, *mask.shape[1:]) if mask.shape[0] != 1 else (1, *mask.shape))
    if padding is not None:
        padding = reshape(padding, (number, 1, 1, padding.shape[1]))
        mask = padding if mask is None else mask + padding
    dropped = dropout_p if training else 0.0
    shares = None
    if need_weights:
        scores = product(q * size**-0.5, transpose_last(k))
        shares = dropout(softmax(scores if mask is None else scores + mask, -1), dropped)
        result = product(shares, v)
        shares = mean(shares, 1) if average_attn_weights else shares
        if alone:
            shares = reshape(shares, tuple(shares.shape[1:]))
    else:
        result = scaled_dot_product_attention(q, k, v, mask, dropped, looks_back)
    result = reshape(permute_dims(result, (2, 0, 1, 3)), (length, number, width))
    result = _linear.linear(result, out_proj_weight, out_proj_bias)
    return (reshape(result, (length, width)) if alone else result), shares


__all__ = ["multi_head_attention_forward", "scaled_dot_product_attention"]
