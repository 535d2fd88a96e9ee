"""BERT: Devlin et al., "BERT: pre-training of deep bidirectional transformers for language understanding" (2018).

Names of parameters and settings: `BertModel` and its kin in Hugging Face's transformers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import twain
from twain import nn

from .pretrained import Pretrained, activation, heads

Tensor = twain.Tensor


@dataclass
class BertConfig:
    vocab_size: int = 30522
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: str = "gelu"
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    initializer_range: float = 0.02
    layer_norm_eps: float = 1e-12
    pad_token_id: int | None = 0
    classifier_dropout: float | None = None
    num_labels: int = 2
    id2label: dict | None = None  # how published files say how many labels there are


class _Embeddings(nn.Module):
    def __init__(self, c: BertConfig):
        self.word_embeddings = nn.Embedding(c.vocab_size, c.hidden_size, padding_idx=c.pad_token_id)
        self.position_embeddings = nn.Embedding(c.max_position_embeddings, c.hidden_size)
        self.token_type_embeddings = nn.Embedding(c.type_vocab_size, c.hidden_size)
        self.LayerNorm = nn.LayerNorm(c.hidden_size, c.layer_norm_eps)
        self.dropout = nn.Dropout(c.hidden_dropout_prob)

    def forward(self, ids: Tensor, token_type_ids: Tensor | None) -> Tensor:
        kinds = twain.zeros_like(ids) if token_type_ids is None else token_type_ids
        x = self.word_embeddings(ids) + self.position_embeddings(twain.arange(ids.shape[1]))
        return self.dropout(self.LayerNorm(x + self.token_type_embeddings(kinds)))


class _SelfAttention(nn.Module):
    def __init__(self, c: BertConfig):
        self.count = c.num_attention_heads
        self.query = nn.Linear(c.hidden_size, c.hidden_size)
        self.key = nn.Linear(c.hidden_size, c.hidden_size)
        self.value = nn.Linear(c.hidden_size, c.hidden_size)
        self.share = c.attention_probs_dropout_prob

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        q, k, v = (heads(layer(x), self.count) for layer in (self.query, self.key, self.value))
        y = nn.functional.scaled_dot_product_attention(q, k, v, mask, self.share if self.training else 0.0)
        return y.transpose(1, 2).reshape(x.shape)


class _Output(nn.Module):
    """A linear map, added to what came before, and layer norm."""

    def __init__(self, c: BertConfig, inner: int):
        self.dense = nn.Linear(inner, c.hidden_size)
        self.LayerNorm = nn.LayerNorm(c.hidden_size, c.layer_norm_eps)
        self.dropout = nn.Dropout(c.hidden_dropout_prob)

    def forward(self, x: Tensor, before: Tensor) -> Tensor:
        return self.LayerNorm(self.dropout(self.dense(x)) + before)


class _Attention(nn.Module):
    def __init__(self, c: BertConfig):
        self.self = _SelfAttention(c)
        self.output = _Output(c, c.hidden_size)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        return self.output(self.self(x, mask), x)


class _Intermediate(nn.Module):
    def __init__(self, c: BertConfig):
        self.dense = nn.Linear(c.hidden_size, c.intermediate_size)
        self.act = activation("Bert", c.hidden_act)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.dense(x))


class _Layer(nn.Module):
    def __init__(self, c: BertConfig):
        self.attention = _Attention(c)
        self.intermediate = _Intermediate(c)
        self.output = _Output(c, c.intermediate_size)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        x = self.attention(x, mask)
        return self.output(self.intermediate(x), x)


class _Encoder(nn.Module):
    def __init__(self, c: BertConfig):
        self.layer = nn.ModuleList([_Layer(c) for _ in range(c.num_hidden_layers)])

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        for layer in self.layer:
            x = layer(x, mask)
        return x


class _Pooler(nn.Module):
    def __init__(self, c: BertConfig):
        self.dense = nn.Linear(c.hidden_size, c.hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        return twain.tanh(self.dense(x[:, 0]))


class _Bert(Pretrained):
    Config = BertConfig
    prefixes = ("bert.",)
    ignored: ClassVar[tuple[str, ...]] = ("embeddings.position_ids",)

    def load_weights(self, source: Any, strict: bool = True) -> tuple[list[str], list[str]]:
        if isinstance(source, Mapping):  # the first files called a norm's parameters gamma and beta
            source = {
                k.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias"): v
                for k, v in source.items()
            }
        return super().load_weights(source, strict)


class BertModel(_Bert):
    """Integer ids (B, L) -> (hidden states (B, L, hidden_size), pooled (B, hidden_size) or None).

    attention_mask (B, L): 0 where there is padding. token_type_ids (B, L): 0 for the first text, 1 for the second.
    """

    ignored = (*_Bert.ignored, "cls.", "classifier.", "bert.cls.")

    def __init__(self, config: BertConfig, add_pooling_layer: bool = True):
        if config.hidden_size % config.num_attention_heads:
            raise ValueError(
                f"[Bert] expected hidden_size to be a multiple of num_attention_heads, got {config.hidden_size} and "
                f"{config.num_attention_heads}"
            )
        self.config = config
        self.embeddings = _Embeddings(config)
        self.encoder = _Encoder(config)
        self.pooler = _Pooler(config) if add_pooling_layer else None
        self.start_normal(config.initializer_range)

    def forward(
        self, ids: Tensor, attention_mask: Tensor | None = None, token_type_ids: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        if ids.ndim != 2 or ids.shape[1] > self.config.max_position_embeddings:
            raise ValueError(
                f"[Bert] expected ids (B, L) with L up to {self.config.max_position_embeddings}, got {tuple(ids.shape)}"
            )
        mask = None
        if attention_mask is not None:
            mask = (attention_mask != 0).reshape((attention_mask.shape[0], 1, 1, ids.shape[1]))
        x = self.encoder(self.embeddings(ids, token_type_ids), mask)
        return x, None if self.pooler is None else self.pooler(x)


class _Transform(nn.Module):
    def __init__(self, c: BertConfig):
        self.dense = nn.Linear(c.hidden_size, c.hidden_size)
        self.act = activation("Bert", c.hidden_act)
        self.LayerNorm = nn.LayerNorm(c.hidden_size, c.layer_norm_eps)

    def forward(self, x: Tensor) -> Tensor:
        return self.LayerNorm(self.act(self.dense(x)))


class _Predictions(nn.Module):
    def __init__(self, c: BertConfig):
        self.transform = _Transform(c)
        self.decoder = nn.Linear(c.hidden_size, c.vocab_size)
        nn.init.zeros_(self.decoder.bias)
        self.bias = self.decoder.bias

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.transform(x))


class _Head(nn.Module):
    def __init__(self, c: BertConfig):
        self.predictions = _Predictions(c)

    def forward(self, x: Tensor) -> Tensor:
        return self.predictions(x)


class BertForMaskedLM(_Bert):
    """Integer ids (B, L) -> logits (B, L, vocab_size) of the token at each position."""

    ignored = (*_Bert.ignored, "cls.seq_relationship.", "bert.pooler.")
    tied: ClassVar[dict[str, str]] = {
        "cls.predictions.decoder.weight": "bert.embeddings.word_embeddings.weight",
        "cls.predictions.decoder.bias": "cls.predictions.bias",
    }

    def __init__(self, config: BertConfig):
        self.config = config
        self.bert = BertModel(config, add_pooling_layer=False)
        self.cls = _Head(config)
        self.cls.predictions.decoder.weight = self.bert.embeddings.word_embeddings.weight

    def forward(self, ids: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return self.cls(self.bert(ids, *args, **kwargs)[0])


class BertForSequenceClassification(_Bert):
    """Integer ids (B, L) -> logits (B, num_labels)."""

    ignored = (*_Bert.ignored, "cls.")

    def __init__(self, config: BertConfig):
        self.config = config
        labels = len(config.id2label) if config.id2label else config.num_labels
        self.bert = BertModel(config)
        share = config.hidden_dropout_prob if config.classifier_dropout is None else config.classifier_dropout
        self.dropout = nn.Dropout(share)
        self.classifier = nn.Linear(config.hidden_size, labels)

    def forward(self, ids: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return self.classifier(self.dropout(self.bert(ids, *args, **kwargs)[1]))
