"""Metrics of texts."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

from ... import _core
from ...base.errors import ArgumentError, ShapeError, ValueRangeError
from ...nn import functional as F
from ...tensor import asarray
from .base import Average, Metric

Tensor = _core.Tensor


class Perplexity(Average):
    """exp of the mean cross-entropy of the next token.

    Outputs are logits (N, classes, ...), targets token numbers (N, ...).

    Args:
        ignore_index: targets that don't count, padding for instance.
    """

    name = "perplexity"
    larger_is_better = False

    def __init__(self, name: str | None = None, *, ignore_index: int = -100):
        super().__init__(name)
        self.ignore_index = ignore_index

    def update(self, outputs: Tensor, targets: Tensor, weight: Tensor | None = None) -> None:
        losses = F.cross_entropy(outputs, targets, ignore_index=self.ignore_index, reduction="none").astype("float64")
        counted = (targets != self.ignore_index).astype("float64")
        if weight is not None:
            weight = weight.reshape((-1,) + (1,) * (counted.ndim - 1)).astype("float64")
            losses, counted = losses * weight, counted * weight
        self.add("total", losses.sum())
        self.add("count", counted.sum())

    def result(self) -> float:
        mean = super().result()
        return math.exp(mean) if mean < 700 else math.inf if mean == mean else math.nan


class BLEU(Metric):
    """Corpus BLEU (Papineni et al. 2002): n-grams of the texts that occur in the references, times a penalty for
    brevity; in [0, 1].

    `update(texts, references)` takes lists: a text is a string, split at white space, or a sequence of tokens; its
    reference is one of these or a list of several strings. It counts on the host, so it is used beside `fit`, in a
    callback or after `predict`, and not in `compile`.

    Args:
        max_n: longest n-grams.
        smooth: add 1 to the counts of n-grams of two tokens and more (Lin, Och 2004), so that a short text without a
            common n-gram is not worth 0.
    """

    name = "bleu"

    def __init__(self, max_n: int = 4, name: str | None = None, *, smooth: bool = False):
        if not isinstance(max_n, int) or max_n < 1:
            raise ValueRangeError(f"[BLEU] expected max_n of at least 1, got {max_n!r}")
        super().__init__(name)
        self.max_n = max_n
        self.smooth = smooth
        self.add_state("matches", (max_n,))
        self.add_state("possible", (max_n,))
        self.add_state("lengths", (2,))

    def update(self, outputs: Any, targets: Any) -> None:
        if isinstance(outputs, (str, Tensor)) or isinstance(targets, (str, Tensor)):
            raise ArgumentError(
                f"[BLEU] expected lists of texts and of references, got {type(outputs).__name__} and "
                f"{type(targets).__name__}; decode tokens first"
            )
        if len(outputs) != len(targets):
            raise ShapeError(f"[BLEU] expected a reference for each text, got {len(outputs)} and {len(targets)}")
        matches, possible = [0.0] * self.max_n, [0.0] * self.max_n
        lengths = [0.0, 0.0]
        for text, reference in zip(outputs, targets, strict=True):
            tokens = _tokens(text)
            several = isinstance(reference, (list, tuple)) and reference and not _is_token(reference[0], text)
            references = [_tokens(r) for r in (reference if several else [reference])]
            lengths[0] += len(tokens)
            lengths[1] += min((abs(len(r) - len(tokens)), len(r)) for r in references)[1]
            for n in range(1, self.max_n + 1):
                most: Counter = Counter()
                for r in references:
                    most |= _grams(r, n)
                found = _grams(tokens, n)
                matches[n - 1] += sum((found & most).values())
                possible[n - 1] += max(0, len(tokens) - n + 1)
        self.add("matches", asarray(matches, dtype="float64"))
        self.add("possible", asarray(possible, dtype="float64"))
        self.add("lengths", asarray(lengths, dtype="float64"))

    def result(self) -> float:
        written, expected = self.state["lengths"].tolist()
        if not written:
            return 0.0 if expected else math.nan
        logs = 0.0
        for n, (hit, all_) in enumerate(
            zip(self.state["matches"].tolist(), self.state["possible"].tolist(), strict=True)
        ):
            if self.smooth and n:
                hit, all_ = hit + 1, all_ + 1
            if not hit:
                return 0.0
            logs += math.log(hit / all_) / self.max_n
        return math.exp(logs + min(0.0, 1.0 - expected / written))


def _is_token(value: Any, text: Any) -> bool:
    """Whether `value`, the first part of a reference, is a token and not a whole reference."""
    return not isinstance(value, (list, tuple)) and not isinstance(text, str)


def _tokens(text: Any) -> list:
    return text.split() if isinstance(text, str) else list(text)


def _grams(tokens: Sequence, n: int) -> Counter:
    return Counter(tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1))
