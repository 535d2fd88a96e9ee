"""A recurrent language model: embedding, LSTM, linear map (Zaremba et al. 2014; tied weights: Press and Wolf 2016)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import twain
from twain import nn

from .pretrained import Pretrained, choose

Tensor = twain.Tensor


@dataclass
class LSTMConfig:
    vocab_size: int = 10000
    embedding_size: int = 200
    hidden_size: int = 200
    num_layers: int = 2
    dropout: float = 0.2
    tie_weights: bool = False


class LSTMLanguageModel(Pretrained):
    """Integer ids (B, L) and a state -> (logits (B, L, vocab_size), state). Parameters: encoder, rnn, decoder."""

    Config = LSTMConfig

    def __init__(self, config: LSTMConfig | None = None):
        c = self.config = config or LSTMConfig()
        self.encoder = nn.Embedding(c.vocab_size, c.embedding_size)
        self.rnn = nn.LSTM(c.embedding_size, c.hidden_size, c.num_layers, batch_first=True, dropout=c.dropout)
        self.decoder = nn.Linear(c.hidden_size, c.vocab_size)
        self.drop = nn.Dropout(c.dropout)
        nn.init.uniform_(self.encoder.weight, -0.1, 0.1)
        nn.init.uniform_(self.decoder.weight, -0.1, 0.1)
        nn.init.zeros_(self.decoder.bias)
        if c.tie_weights:
            if c.embedding_size != c.hidden_size:
                raise ValueError(
                    f"[LSTMLanguageModel] expected equal sizes for tie_weights, got embedding_size {c.embedding_size} and "
                    f"hidden_size {c.hidden_size}"
                )
            self.decoder.weight = self.encoder.weight

    def forward(self, ids: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        x, state = self.rnn(self.drop(self.encoder(ids)), state)
        return self.decoder(self.drop(x)), state

    def generate(
        self,
        ids: Tensor,
        max_new_tokens: int = 20,
        do_sample: bool = False,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        generator: Any = None,
    ) -> Tensor:
        """`ids` (B, L), followed by max_new_tokens more, each the likeliest or drawn: see `Generates.generate`."""
        training = self.training
        self.eval()
        try:
            with twain.no_grad():
                rows, state = [ids], None
                for _ in range(max_new_tokens):
                    logits, state = self(rows[-1], state)
                    new = choose(logits[:, -1], do_sample, temperature, top_k, top_p, generator)
                    rows.append(new.astype(ids.dtype).reshape((-1, 1)))
                return twain.concat(rows, axis=1)
        finally:
            self.train(training)
