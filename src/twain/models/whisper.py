"""Whisper's encoder: Radford et al., "Robust speech recognition via large-scale weak supervision" (2022).

Names of parameters and settings: `WhisperEncoder` of Hugging Face's transformers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import twain
from twain import nn

from .pretrained import Pretrained, activation, heads

Tensor = twain.Tensor


@dataclass
class WhisperConfig:
    num_mel_bins: int = 80
    d_model: int = 384
    encoder_layers: int = 4
    encoder_attention_heads: int = 6
    encoder_ffn_dim: int = 1536
    dropout: float = 0.0
    attention_dropout: float = 0.0
    activation_dropout: float = 0.0
    activation_function: str = "gelu"
    max_source_positions: int = 1500
    init_std: float = 0.02


def sinusoids(length: int, channels: int) -> Tensor:
    """(length, channels): sines, then cosines, of wavelengths from 2 pi to 20000 pi positions, evenly spaced in their
    logarithm."""
    half = channels // 2
    rates = twain.exp(twain.arange(half).astype("float32") * (-math.log(10000.0) / max(1, half - 1)))
    angles = twain.arange(length).astype("float32").reshape((length, 1)) * rates
    return twain.concat([twain.sin(angles), twain.cos(angles)], axis=1)


class _Attention(nn.Module):
    def __init__(self, c: WhisperConfig):
        self.count = c.encoder_attention_heads
        self.share = c.attention_dropout
        self.k_proj = nn.Linear(c.d_model, c.d_model, bias=False)
        self.v_proj = nn.Linear(c.d_model, c.d_model)
        self.q_proj = nn.Linear(c.d_model, c.d_model)
        self.out_proj = nn.Linear(c.d_model, c.d_model)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (heads(layer(x), self.count) for layer in (self.q_proj, self.k_proj, self.v_proj))
        y = nn.functional.scaled_dot_product_attention(q, k, v, None, self.share if self.training else 0.0)
        return self.out_proj(y.transpose(1, 2).reshape(x.shape))


class _Layer(nn.Module):
    def __init__(self, c: WhisperConfig):
        self.self_attn = _Attention(c)
        self.self_attn_layer_norm = nn.LayerNorm(c.d_model)
        self.fc1 = nn.Linear(c.d_model, c.encoder_ffn_dim)
        self.fc2 = nn.Linear(c.encoder_ffn_dim, c.d_model)
        self.final_layer_norm = nn.LayerNorm(c.d_model)
        self.act = activation("Whisper", c.activation_function)
        self.dropout = nn.Dropout(c.dropout)
        self.activation_dropout = nn.Dropout(c.activation_dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.dropout(self.self_attn(self.self_attn_layer_norm(x)))
        inner = self.activation_dropout(self.act(self.fc1(self.final_layer_norm(x))))
        return x + self.dropout(self.fc2(inner))


class WhisperEncoder(Pretrained):
    """Log-mel spectrograms (B, num_mel_bins, 2 * T) -> hidden states (B, T, d_model), T up to max_source_positions."""

    Config = WhisperConfig
    prefixes = ("model.encoder.", "encoder.")
    ignored = ("model.decoder.", "decoder.", "proj_out.weight")

    def __init__(self, config: WhisperConfig):
        c = self.config = config
        if c.d_model % c.encoder_attention_heads or c.d_model % 2:
            raise ValueError(
                f"[Whisper] expected an even d_model, a multiple of encoder_attention_heads, got {c.d_model} and "
                f"{c.encoder_attention_heads}"
            )
        self.conv1 = nn.Conv1d(c.num_mel_bins, c.d_model, 3, padding=1)
        self.conv2 = nn.Conv1d(c.d_model, c.d_model, 3, stride=2, padding=1)
        self.embed_positions = nn.Embedding(c.max_source_positions, c.d_model)
        self.layers = nn.ModuleList([_Layer(c) for _ in range(c.encoder_layers)])
        self.layer_norm = nn.LayerNorm(c.d_model)
        self.dropout = nn.Dropout(c.dropout)
        self.start_normal(c.init_std)
        with twain.no_grad():
            self.embed_positions.weight.assign(sinusoids(c.max_source_positions, c.d_model))
        self.embed_positions.weight.requires_grad_(False)

    def forward(self, features: Tensor) -> Tensor:
        c = self.config
        if features.ndim != 3 or features.shape[1] != c.num_mel_bins or features.shape[2] > 2 * c.max_source_positions:
            raise ValueError(
                f"[Whisper] expected features (B, {c.num_mel_bins}, T) with T up to {2 * c.max_source_positions}, got "
                f"{tuple(features.shape)}"
            )
        x = nn.functional.gelu(self.conv2(nn.functional.gelu(self.conv1(features))))
        x = x.transpose(1, 2)
        x = self.dropout(x + self.embed_positions.weight[: x.shape[1]])
        for layer in self.layers:
            x = layer(x)
        return self.layer_norm(x)
