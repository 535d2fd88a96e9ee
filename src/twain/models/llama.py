"""Llama: Touvron et al. 2023, Grattafiori et al. 2024. Rotary positions, grouped queries, RMSNorm, SwiGLU.

Names of parameters and settings: `LlamaModel` and `LlamaForCausalLM` of Hugging Face's transformers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import twain
from twain import nn

from .pretrained import Cache, Generates, Pretrained, activation, attend, causal_mask, heads

Tensor = twain.Tensor


@dataclass
class LlamaConfig:
    vocab_size: int = 32000
    hidden_size: int = 4096
    intermediate_size: int = 11008
    num_hidden_layers: int = 32
    num_attention_heads: int = 32
    num_key_value_heads: int | None = None
    head_dim: int | None = None
    hidden_act: str = "silu"
    max_position_embeddings: int = 2048
    initializer_range: float = 0.02
    rms_norm_eps: float = 1e-6
    rope_theta: float = 10000.0
    rope_scaling: dict | None = None
    rope_parameters: dict | None = None  # both of the above, in newer files
    attention_bias: bool = False
    mlp_bias: bool = False
    attention_dropout: float = 0.0
    tie_word_embeddings: bool = False

    @property
    def width(self) -> int:
        """Features per head."""
        return self.head_dim or self.hidden_size // self.num_attention_heads

    @property
    def groups(self) -> int:
        """Heads of keys and values."""
        return self.num_key_value_heads or self.num_attention_heads


def rotary_rates(config: LlamaConfig) -> list[float]:
    """Radians per position of each pair of features: rope_type default, linear (Chen et al. 2023) or llama3."""
    settings = {"rope_theta": config.rope_theta, **(config.rope_scaling or {}), **(config.rope_parameters or {})}
    kind = settings.get("rope_type", settings.get("type", "default"))
    base, width = float(settings["rope_theta"]), config.width
    rates = [base ** (-i / width) for i in range(0, width, 2)]
    if kind == "default":
        return rates
    if kind not in ("linear", "llama3"):
        raise ValueError(f"[Llama] expected rope_type 'default', 'linear' or 'llama3', got {kind!r}")
    factor = float(settings["factor"])
    if kind == "linear":
        return [r / factor for r in rates]
    # Long waves are slowed down by the factor, short ones stay, those in between go over smoothly.
    low, high = float(settings["low_freq_factor"]), float(settings["high_freq_factor"])
    context = float(settings["original_max_position_embeddings"])
    found = []
    for r in rates:
        turns = context * r / (2 * math.pi)
        share = min(1.0, max(0.0, (turns - low) / (high - low)))
        found.append((1 - share) * r / factor + share * r)
    return found


class _Attention(nn.Module):
    def __init__(self, config: LlamaConfig, number: int):
        self.number = number
        self.num_heads = config.num_attention_heads
        self.groups = config.groups
        size, width, bias = config.hidden_size, config.width, config.attention_bias
        self.q_proj = nn.Linear(size, self.num_heads * width, bias)
        self.k_proj = nn.Linear(size, self.groups * width, bias)
        self.v_proj = nn.Linear(size, self.groups * width, bias)
        self.o_proj = nn.Linear(self.num_heads * width, size, bias)
        self.dropout = config.attention_dropout

    def forward(
        self, x: Tensor, turns: tuple, mask: Tensor | None, cache: Cache | None, position: Tensor | None
    ) -> Tensor:
        q, k = turned(heads(self.q_proj(x), self.num_heads), *turns), turned(heads(self.k_proj(x), self.groups), *turns)
        v = heads(self.v_proj(x), self.groups)
        return self.o_proj(attend(self.number, q, k, v, mask, cache, position, self.dropout if self.training else 0.0))


def turned(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Features i and i + D/2 of x (..., L, D) as points, turned by the angles whose cosine and sine (L, D/2) are given."""
    a, b = twain.split(x, x.shape[-1] // 2, -1)
    return twain.concat([a * cosine - b * sine, b * cosine + a * sine], axis=-1)


class _MLP(nn.Module):
    def __init__(self, config: LlamaConfig):
        size, inner, bias = config.hidden_size, config.intermediate_size, config.mlp_bias
        self.gate_proj = nn.Linear(size, inner, bias)
        self.up_proj = nn.Linear(size, inner, bias)
        self.down_proj = nn.Linear(inner, size, bias)
        self.act_fn = activation("Llama", config.hidden_act)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(self.act_fn(self.gate_proj(x)) * self.up_proj(x))


class _Layer(nn.Module):
    def __init__(self, config: LlamaConfig, number: int):
        self.self_attn = _Attention(config, number)
        self.mlp = _MLP(config)
        self.input_layernorm = nn.RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.post_attention_layernorm = nn.RMSNorm(config.hidden_size, config.rms_norm_eps)

    def forward(self, x: Tensor, *memory: Any) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), *memory)
        return x + self.mlp(self.post_attention_layernorm(x))


class LlamaModel(Pretrained):
    """Integer ids (B, L) -> hidden states (B, L, hidden_size).

    attention_mask (B, L): 0 where there is padding. cache and position: see Cache.
    """

    Config = LlamaConfig
    prefixes = ("model.",)
    ignored = ("rotary_emb.inv_freq", "lm_head.weight")
    rates: Tensor

    def __init__(self, config: LlamaConfig):
        if config.num_attention_heads % config.groups or config.width % 2:
            raise ValueError(
                f"[Llama] expected num_attention_heads to be a multiple of num_key_value_heads and an even head_dim, got "
                f"{config.num_attention_heads}, {config.groups} and {config.width}"
            )
        self.config = config
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList([_Layer(config, i) for i in range(config.num_hidden_layers)])
        self.norm = nn.RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.register_buffer("rates", twain.asarray(rotary_rates(config)), persistent=False)
        self.start_normal(config.initializer_range)

    def forward(
        self,
        ids: Tensor,
        attention_mask: Tensor | None = None,
        cache: Cache | None = None,
        position: Tensor | None = None,
    ) -> Tensor:
        length = ids.shape[1]
        x = self.embed_tokens(ids)
        at = twain.arange(length) if position is None else position.reshape((1,))
        angles = at.astype("float32").reshape((-1, 1)) * self.rates
        turns = twain.cos(angles).astype(x.dtype), twain.sin(angles).astype(x.dtype)
        mask = causal_mask(attention_mask, length)
        for layer in self.layers:
            x = layer(x, turns, mask, cache, position)
        return self.norm(x)


class LlamaForCausalLM(Generates):
    """Integer ids (B, L) -> logits (B, L, vocab_size) of what follows each position. `generate` writes on."""

    Config = LlamaConfig
    prefixes = ("model.",)
    ignored = ("rotary_emb.inv_freq",)
    tied: ClassVar[dict[str, str]] = {"lm_head.weight": "model.embed_tokens.weight"}

    def __init__(self, config: LlamaConfig):
        self.config = config
        self.model = LlamaModel(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        if config.tie_word_embeddings:
            self.lm_head.weight = self.model.embed_tokens.weight
        else:
            nn.init.normal_(self.lm_head.weight, 0.0, config.initializer_range)
        self.layer_count = config.num_hidden_layers
        self.longest = config.max_position_embeddings

    def forward(self, ids: Tensor, attention_mask: Tensor | None = None, **memory: Any) -> Tensor:
        return self.lm_head(self.model(ids, attention_mask, **memory))
