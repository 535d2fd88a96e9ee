"""A Transformer that turns one sequence into another: Vaswani et al., "Attention is all you need" (2017)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import twain
from twain import nn

from .pretrained import Pretrained

Tensor = twain.Tensor


@dataclass
class TranslationConfig:
    source_vocab_size: int = 8000
    target_vocab_size: int = 8000
    d_model: int = 512
    nhead: int = 8
    num_encoder_layers: int = 6
    num_decoder_layers: int = 6
    dim_feedforward: int = 2048
    dropout: float = 0.1
    norm_first: bool = False
    max_length: int = 512
    pad_token_id: int = 0
    bos_token_id: int = 1
    eos_token_id: int = 2


def positions(length: int, width: int) -> Tensor:
    """(length, width): sines and cosines in turns, as in the paper."""
    half = twain.arange((width + 1) // 2).astype("float32")
    angles = twain.arange(length).astype("float32").reshape((length, 1)) * twain.exp(
        half * (-2 * math.log(1e4) / width)
    )
    pairs = twain.stack([twain.sin(angles), twain.cos(angles)], axis=2)
    return pairs.reshape((length, 2 * half.shape[0]))[:, :width]


class TranslationModel(Pretrained):
    """Integer source (B, S) and target (B, T) -> logits (B, T, target_vocab_size) of what follows each target position.

    Padding (pad_token_id) is not attended to. Parameters: source_embedding, target_embedding, transformer (those of
    nn.Transformer), output.
    """

    Config = TranslationConfig
    positions: Tensor

    def __init__(self, config: TranslationConfig | None = None):
        c = self.config = config or TranslationConfig()
        self.source_embedding = nn.Embedding(c.source_vocab_size, c.d_model, padding_idx=c.pad_token_id)
        self.target_embedding = nn.Embedding(c.target_vocab_size, c.d_model, padding_idx=c.pad_token_id)
        self.transformer = nn.Transformer(
            c.d_model, c.nhead, c.num_encoder_layers, c.num_decoder_layers, c.dim_feedforward, c.dropout,
            batch_first=True, norm_first=c.norm_first,
        )  # fmt: skip
        self.output = nn.Linear(c.d_model, c.target_vocab_size)
        self.drop = nn.Dropout(c.dropout)
        self.register_buffer("positions", positions(c.max_length, c.d_model), persistent=False)
        with twain.no_grad():
            for embedding in (self.source_embedding, self.target_embedding):
                embedding.weight.assign(embedding.weight * c.d_model**-0.5)

    def _embed(self, embedding: nn.Module, ids: Tensor) -> Tensor:
        if ids.ndim != 2 or ids.shape[1] > self.config.max_length:
            raise ValueError(
                f"[TranslationModel] expected ids (B, L) with L up to {self.config.max_length}, got {tuple(ids.shape)}"
            )
        return self.drop(embedding(ids) * math.sqrt(self.config.d_model) + self.positions[: ids.shape[1]])

    def encode(self, source: Tensor) -> tuple[Tensor, Tensor]:
        """(memory (B, S, d_model), which of it is padding (B, S))."""
        padding = source == self.config.pad_token_id
        x = self._embed(self.source_embedding, source)
        return self.transformer.encoder(x, src_key_padding_mask=padding), padding

    def decode(self, target: Tensor, memory: Tensor, padding: Tensor) -> Tensor:
        """Logits (B, T, target_vocab_size)."""
        x = self._embed(self.target_embedding, target)
        x = self.transformer.decoder(x, memory, memory_key_padding_mask=padding, tgt_is_causal=True)
        return self.output(x)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        return self.decode(target, *self.encode(source))

    def generate(self, source: Tensor, max_length: int | None = None) -> Tensor:
        """(B, up to max_length) target ids that begin with bos_token_id: the likeliest token each time, padding once done.

        The target is decoded anew for each token, at one length for all, so that one program serves them.
        """
        c = self.config
        longest = c.max_length if max_length is None else max_length
        if not 1 <= longest <= c.max_length:
            raise ValueError(
                f"[TranslationModel.generate] expected max_length from 1 to {c.max_length}, got {max_length}"
            )
        training = self.training
        self.eval()
        try:
            with twain.no_grad():
                memory, padding = self.encode(source)
                batch = source.shape[0]
                target = twain.full((batch, longest), c.pad_token_id, dtype="int64")
                at = twain.arange(longest)
                target = twain.where(at == 0, c.bos_token_id, target)
                done = twain.zeros((batch,), dtype="bool")
                length = 1
                while length < longest and not bool(done.all()):
                    logits = self.decode(target, memory, padding)[:, length - 1]
                    new = twain.where(done, c.pad_token_id, logits.argmax(-1).astype("int64"))
                    target = twain.where(at == length, new.reshape((batch, 1)), target)
                    done = done | (new == c.eos_token_id)
                    length += 1
                return target[:, :length]
        finally:
            self.train(training)
