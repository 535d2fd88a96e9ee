"""Encoders and decoders of attention layers (Vaswani et al. 2017). Arguments, parameter names and shapes are PyTorch's."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

from .. import _core
from ..base.errors import ArgumentError, ShapeError
from ..tensor import full, triu
from . import functional as F
from . import init
from .attention_layers import MultiheadAttention
from .containers import ModuleList
from .layers import Linear
from .lazy import check_sizes
from .module import Module
from .noise_layers import Dropout
from .norms import LayerNorm

Tensor = _core.Tensor

_ACTIVATIONS = {"relu": F.relu, "gelu": F.gelu}


def _activation(name: str, given: str | Callable) -> Callable:
    if callable(given):
        return given
    if given not in _ACTIVATIONS:
        raise ArgumentError(f"[{name}] expected activation to be 'relu', 'gelu' or a function, got {given!r}")
    return _ACTIVATIONS[given]


def _clones(name: str, layer: Module, count: int) -> ModuleList:
    check_sizes(name, num_layers=count)
    if not isinstance(layer, Module):
        raise ArgumentError(f"[{name}] expected a layer to copy, got {type(layer).__name__}")
    return ModuleList([copy.deepcopy(layer) for _ in range(count)])


class _Layer(Module):
    """What encoder and decoder layers share: attention, then two linear maps, each added to what went in."""

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str | Callable = "relu",
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ):
        name, where = type(self).__name__, {"device": device, "dtype": dtype}
        check_sizes(name, d_model=d_model, nhead=nhead, dim_feedforward=dim_feedforward)

        def attention() -> MultiheadAttention:
            return MultiheadAttention(d_model, nhead, dropout, bias, batch_first=batch_first, **where)

        self.self_attn = attention()
        crosses = isinstance(self, TransformerDecoderLayer)
        if crosses:
            self.multihead_attn = attention()
        self.linear1 = Linear(d_model, dim_feedforward, bias, **where)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias, **where)
        self.norm_first = norm_first
        numbers = range(1, 4 if crosses else 3)
        for i in numbers:
            setattr(self, f"norm{i}", LayerNorm(d_model, layer_norm_eps, bias=bias, **where))
        for i in numbers:
            setattr(self, f"dropout{i}", Dropout(dropout))
        self.activation = _activation(name, activation)

    def _attend(
        self, attention: MultiheadAttention, drop: Module, x: Tensor, source: Tensor | None, masks: tuple
    ) -> Tensor:
        mask, padding, causal = masks
        source = x if source is None else source
        return drop(
            attention(
                x, source, source, key_padding_mask=padding, need_weights=False, attn_mask=mask, is_causal=causal
            )[0]
        )

    def _feed(self, drop: Module, x: Tensor) -> Tensor:
        return drop(self.linear2(self.dropout(self.activation(self.linear1(x)))))

    def _check(self, what: str, x: Tensor) -> None:
        width = self.linear1.in_features
        if x.ndim not in (2, 3) or x.shape[-1] != width:
            raise ShapeError(
                f"[{type(self).__name__}] expected {what} of 2 or 3 axes with {width} features last, got {tuple(x.shape)}"
            )


class TransformerEncoderLayer(_Layer):
    """Self-attention and two linear maps, each with dropout, added to its input, and layer norm.

    Args:
        d_model, nhead: features, and heads that share them.
        dim_feedforward: features between the linear maps.
        dropout: the share that is dropped, also of attention weights.
        activation: between the linear maps: "relu", "gelu", or a function.
        layer_norm_eps: added to the variance.
        batch_first: (N, S, E) instead of (S, N, E).
        norm_first: normalise what goes into attention and linear maps instead of the sums.
        bias: whether linear maps and norms have biases.

    Shapes: src (S, N, E), or (S, E) -> the same. src_mask (S, S) or (N * nhead, S, S), true where attention may not go, or
    floats to add; src_key_padding_mask (N, S), true at padding; is_causal: no position sees a later one, also without a mask.
    """

    def forward(
        self,
        src: Tensor,
        src_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool = False,
    ) -> Tensor:
        self._check("src", src)
        x, masks = src, (src_mask, src_key_padding_mask, is_causal)
        if self.norm_first:
            x = x + self._attend(self.self_attn, self.dropout1, self.norm1(x), None, masks)
            return x + self._feed(self.dropout2, self.norm2(x))
        x = self.norm1(x + self._attend(self.self_attn, self.dropout1, x, None, masks))
        return self.norm2(x + self._feed(self.dropout2, x))


class TransformerDecoderLayer(_Layer):
    """Self-attention, attention to an encoder's result, and two linear maps; see TransformerEncoderLayer.

    Shapes: tgt (T, N, E), memory (S, N, E) -> (T, N, E); tgt_mask (T, T), memory_mask (T, S) and the key padding masks as in
    TransformerEncoderLayer.
    """

    def forward(
        self,
        tgt: Tensor,
        memory: Tensor,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
    ) -> Tensor:
        self._check("tgt", tgt)
        self._check("memory", memory)
        own = (tgt_mask, tgt_key_padding_mask, tgt_is_causal)
        cross = (memory_mask, memory_key_padding_mask, memory_is_causal)
        x = tgt
        if self.norm_first:
            x = x + self._attend(self.self_attn, self.dropout1, self.norm1(x), None, own)
            x = x + self._attend(self.multihead_attn, self.dropout2, self.norm2(x), memory, cross)
            return x + self._feed(self.dropout3, self.norm3(x))
        x = self.norm1(x + self._attend(self.self_attn, self.dropout1, x, None, own))
        x = self.norm2(x + self._attend(self.multihead_attn, self.dropout2, x, memory, cross))
        return self.norm3(x + self._feed(self.dropout3, x))


class TransformerEncoder(Module):
    """num_layers copies of an encoder layer, one after another, and a norm if given.

    enable_nested_tensor and mask_check are accepted for PyTorch's sake, without effect.
    """

    def __init__(
        self,
        encoder_layer: Module,
        num_layers: int,
        norm: Module | None = None,
        enable_nested_tensor: bool = True,
        mask_check: bool = True,
    ):
        self.layers = _clones("TransformerEncoder", encoder_layer, num_layers)
        self.num_layers = num_layers
        self.norm = norm

    def forward(
        self,
        src: Tensor,
        mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool | None = None,
    ) -> Tensor:
        for layer in self.layers:
            src = layer(src, mask, src_key_padding_mask, bool(is_causal))
        return src if self.norm is None else self.norm(src)


class TransformerDecoder(Module):
    """num_layers copies of a decoder layer, one after another, and a norm if given."""

    def __init__(self, decoder_layer: Module, num_layers: int, norm: Module | None = None):
        self.layers = _clones("TransformerDecoder", decoder_layer, num_layers)
        self.num_layers = num_layers
        self.norm = norm

    def forward(
        self,
        tgt: Tensor,
        memory: Tensor,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Tensor:
        for layer in self.layers:
            tgt = layer(
                tgt, memory, tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask, bool(tgt_is_causal),
                memory_is_causal,
            )  # fmt: skip
        return tgt if self.norm is None else self.norm(tgt)


class Transformer(Module):
    """An encoder and a decoder: src (S, N, E) and tgt (T, N, E) give (T, N, E); arguments as of TransformerEncoderLayer.

    custom_encoder, custom_decoder: modules to use instead.
    """

    def __init__(
        self,
        d_model: int = 512,
        nhead: int = 8,
        num_encoder_layers: int = 6,
        num_decoder_layers: int = 6,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str | Callable = "relu",
        custom_encoder: Module | None = None,
        custom_decoder: Module | None = None,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ):
        settings = (dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias, device, dtype)

        def norm() -> LayerNorm:
            return LayerNorm(d_model, layer_norm_eps, bias=bias, device=device, dtype=dtype)

        if custom_encoder is None:
            layer: Module = TransformerEncoderLayer(d_model, nhead, *settings)
            custom_encoder = TransformerEncoder(layer, num_encoder_layers, norm())
        if custom_decoder is None:
            layer = TransformerDecoderLayer(d_model, nhead, *settings)
            custom_decoder = TransformerDecoder(layer, num_decoder_layers, norm())
        self.encoder = custom_encoder
        self.decoder = custom_decoder
        self.d_model = d_model
        self.nhead = nhead
        self.batch_first = batch_first
        for weight in self.parameters():
            if weight.ndim > 1:
                init.xavier_uniform_(weight)

    def forward(
        self,
        src: Tensor,
        tgt: Tensor,
        src_mask: Tensor | None = None,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        src_is_causal: bool | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Tensor:
        if src.ndim == 3 and tgt.ndim == 3:
            axis = 0 if self.batch_first else 1
            if src.shape[axis] != tgt.shape[axis]:
                raise ShapeError(
                    f"[Transformer] expected src and tgt with equal batch sizes on axis {axis}, got {tuple(src.shape)} and "
                    f"{tuple(tgt.shape)}"
                )
        memory = self.encoder(src, src_mask, src_key_padding_mask, src_is_causal)
        return self.decoder(
            tgt, memory, tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask, tgt_is_causal,
            memory_is_causal,
        )  # fmt: skip

    @staticmethod
    def generate_square_subsequent_mask(size: int, device: Any = None, dtype: Any = None) -> Tensor:
        """(size, size) floats to add: 0 on and below the diagonal, minus infinity above."""
        return triu(full((size, size), -math.inf, dtype=dtype or "float32", device=device), 1)


__all__ = [
    "Transformer",
    "TransformerDecoder",
    "TransformerDecoderLayer",
    "TransformerEncoder",
    "TransformerEncoderLayer",
]
