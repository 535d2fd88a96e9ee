"""GPT-2: Radford et al., "Language models are unsupervised multitask learners" (2019).

Names of parameters and settings: `GPT2Model` and `GPT2LMHeadModel` of Hugging Face's transformers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import twain
from twain import nn

from .pretrained import Cache, Conv1D, Generates, Pretrained, activation, attend, causal_mask, heads

Tensor = twain.Tensor


@dataclass
class GPT2Config:
    vocab_size: int = 50257
    n_positions: int = 1024
    n_embd: int = 768
    n_layer: int = 12
    n_head: int = 12
    n_inner: int | None = None
    activation_function: str = "gelu_new"
    resid_pdrop: float = 0.1
    embd_pdrop: float = 0.1
    attn_pdrop: float = 0.1
    layer_norm_epsilon: float = 1e-5
    initializer_range: float = 0.02
    tie_word_embeddings: bool = True


class _Attention(nn.Module):
    def __init__(self, config: GPT2Config, number: int):
        self.number = number
        self.n_head = config.n_head
        self.c_attn = Conv1D(3 * config.n_embd, config.n_embd)
        self.c_proj = Conv1D(config.n_embd, config.n_embd)
        self.dropout = config.attn_pdrop
        self.resid_dropout = nn.Dropout(config.resid_pdrop)

    def forward(self, x: Tensor, mask: Tensor | None, cache: Cache | None, position: Tensor | None) -> Tensor:
        q, k, v = (heads(part, self.n_head) for part in twain.split(self.c_attn(x), x.shape[-1], -1))
        y = attend(self.number, q, k, v, mask, cache, position, self.dropout if self.training else 0.0)
        return self.resid_dropout(self.c_proj(y))


class _MLP(nn.Module):
    def __init__(self, config: GPT2Config):
        inner = config.n_inner or 4 * config.n_embd
        self.c_fc = Conv1D(inner, config.n_embd)
        self.c_proj = Conv1D(config.n_embd, inner)
        self.act = activation("GPT2", config.activation_function)
        self.dropout = nn.Dropout(config.resid_pdrop)

    def forward(self, x: Tensor) -> Tensor:
        return self.dropout(self.c_proj(self.act(self.c_fc(x))))


class _Block(nn.Module):
    def __init__(self, config: GPT2Config, number: int):
        self.ln_1 = nn.LayerNorm(config.n_embd, config.layer_norm_epsilon)
        self.attn = _Attention(config, number)
        self.ln_2 = nn.LayerNorm(config.n_embd, config.layer_norm_epsilon)
        self.mlp = _MLP(config)

    def forward(self, x: Tensor, mask: Tensor | None, cache: Cache | None, position: Tensor | None) -> Tensor:
        x = x + self.attn(self.ln_1(x), mask, cache, position)
        return x + self.mlp(self.ln_2(x))


class GPT2Model(Pretrained):
    """Integer ids (B, L) -> hidden states (B, L, n_embd).

    attention_mask (B, L): 0 where there is padding. cache and position: see Cache.
    """

    Config = GPT2Config
    prefixes = ("transformer.",)
    ignored = (".attn.bias", ".attn.masked_bias", "lm_head.weight")

    def __init__(self, config: GPT2Config):
        if config.n_embd % config.n_head:
            raise ValueError(
                f"[GPT2] expected n_embd to be a multiple of n_head, got {config.n_embd} and {config.n_head}"
            )
        self.config = config
        self.wte = nn.Embedding(config.vocab_size, config.n_embd)
        self.wpe = nn.Embedding(config.n_positions, config.n_embd)
        self.drop = nn.Dropout(config.embd_pdrop)
        self.h = nn.ModuleList([_Block(config, i) for i in range(config.n_layer)])
        self.ln_f = nn.LayerNorm(config.n_embd, config.layer_norm_epsilon)
        self.start_normal(config.initializer_range)

    def forward(
        self,
        ids: Tensor,
        attention_mask: Tensor | None = None,
        cache: Cache | None = None,
        position: Tensor | None = None,
    ) -> Tensor:
        length = ids.shape[1]
        if length > self.config.n_positions:
            raise ValueError(f"[GPT2] expected at most {self.config.n_positions} positions, got {length}")
        at = twain.arange(length) if position is None else position.reshape((1,))
        x = self.drop(self.wte(ids) + self.wpe(at))
        mask = causal_mask(attention_mask, length)
        for block in self.h:
            x = block(x, mask, cache, position)
        return self.ln_f(x)


class GPT2LMHeadModel(Generates):
    """Integer ids (B, L) -> logits (B, L, vocab_size) of what follows each position. `generate` writes on."""

    Config = GPT2Config
    prefixes = ("transformer.",)
    ignored = GPT2Model.ignored[:2]
    tied: ClassVar[dict[str, str]] = {"lm_head.weight": "transformer.wte.weight"}

    def __init__(self, config: GPT2Config):
        self.config = config
        self.transformer = GPT2Model(config)
        self.lm_head = nn.Linear(config.n_embd, config.vocab_size, bias=False)
        if config.tie_word_embeddings:
            self.lm_head.weight = self.transformer.wte.weight
        self.layer_count = config.n_layer
        self.longest = config.n_positions

    def forward(self, ids: Tensor, attention_mask: Tensor | None = None, **memory: Any) -> Tensor:
        return self.lm_head(self.transformer(ids, attention_mask, **memory))
