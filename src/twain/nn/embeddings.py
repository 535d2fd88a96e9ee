"""Learned tables: rows looked up by number, one by one or as bags."""

from __future__ import annotations

from typing import Any

from .. import _core
from ..base.errors import ArgumentError, ShapeError, ValueRangeError
from ..tensor import no_grad
from . import functional as F
from . import init
from .lazy import check_sizes, parameter
from .module import Module

Tensor = _core.Tensor
MODES = ("sum", "mean", "max")


class _Table(Module):
    def _settle(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None,
        given: Tensor | None,
        frozen: bool,
        dtype: Any,
        device: Any,
    ) -> None:
        name = type(self).__name__
        check_sizes(name, num_embeddings=num_embeddings, embedding_dim=embedding_dim)
        if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
            raise ValueRangeError(f"[{name}] expected padding_idx below {num_embeddings}, got {padding_idx}")
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.padding_idx = None if padding_idx is None else padding_idx % num_embeddings
        if given is None:
            self.weight = parameter((num_embeddings, embedding_dim), dtype, device)
            self.reset_parameters()
        else:
            if tuple(given.shape) != (num_embeddings, embedding_dim):
                raise ShapeError(
                    f"[{name}] expected _weight of shape ({num_embeddings}, {embedding_dim}), got {tuple(given.shape)}"
                )
            self.register_parameter("weight", given.detach().requires_grad_())
        if frozen:
            self.weight.requires_grad_(False)

    def reset_parameters(self) -> None:
        """New initial values: standard normal, the padding row 0."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            with no_grad():
                self.weight.assign(F.without_row(self.weight, self.padding_idx))

    def extra_repr(self) -> str:
        text = f"{self.num_embeddings}, {self.embedding_dim}"
        usual = (("padding_idx", None), ("max_norm", None), ("norm_type", 2.0), ("scale_grad_by_freq", False))
        for name, default in (*usual, ("mode", None)):
            value = getattr(self, name, default)
            if value != default:
                text += f", {name}={value!r}"
        return text


def _rows_of(name: str, embeddings: Tensor) -> tuple[int, int]:
    if embeddings.ndim != 2:
        raise ShapeError(f"[{name}.from_pretrained] expected embeddings of 2 axes, got {tuple(embeddings.shape)}")
    return embeddings.shape[0], embeddings.shape[1]


class Embedding(_Table):
    """Rows of a learned table, looked up by number.

    Args:
        num_embeddings: rows.
        embedding_dim: length of a row.
        padding_idx: a row that starts as zeros and gets no gradient.
        max_norm: rows that are looked up are scaled down, in the table itself, to a norm_type-norm of at most this.
        scale_grad_by_freq: a row's gradient is divided by how often the input names it.
        sparse: accepted for PyTorch's sake; gradients are dense.

    Shapes: integer input (...) -> (..., embedding_dim); weight (num_embeddings, embedding_dim).
    """

    stepwise = True

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        _weight: Tensor | None = None,
        _freeze: bool = False,
        device: Any = None,
        dtype: Any = None,
    ):
        self.max_norm = max_norm
        self.norm_type = norm_type
        self.scale_grad_by_freq = scale_grad_by_freq
        self.sparse = sparse
        self._settle(num_embeddings, embedding_dim, padding_idx, _weight, _freeze, dtype, device)

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Tensor,
        freeze: bool = True,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
    ) -> Embedding:
        """A table with given rows, frozen unless said otherwise."""
        rows, length = _rows_of("Embedding", embeddings)
        return cls(
            rows,
            length,
            padding_idx,
            max_norm,
            norm_type,
            scale_grad_by_freq,
            sparse,
            _weight=embeddings,
            _freeze=freeze,
        )

    def forward(self, input: Tensor) -> Tensor:
        return F.embedding(
            input, self.weight, self.padding_idx, self.max_norm, self.norm_type, self.scale_grad_by_freq, self.sparse
        )


class EmbeddingBag(_Table):
    """Sums, means or maxima of bags of rows of a learned table, without the rows in between.

    Args:
        mode: "mean", "sum" or "max".
        include_last_offset: offsets have one entry more, where the last bag ends.
        padding_idx: a row that takes no part in any bag.
        others: as Embedding's.

    Called with (input, offsets=None, per_sample_weights=None): integer input (bags, rows per bag), or one-dimensional with
    offsets, where each bag begins; gives (bags, embedding_dim).
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        _weight: Tensor | None = None,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
        device: Any = None,
        dtype: Any = None,
    ):
        if mode not in MODES:
            raise ArgumentError(f"[EmbeddingBag] expected mode among {', '.join(MODES)}, got {mode!r}")
        self.max_norm = max_norm
        self.norm_type = norm_type
        self.scale_grad_by_freq = scale_grad_by_freq
        self.mode = mode
        self.sparse = sparse
        self.include_last_offset = include_last_offset
        self._settle(num_embeddings, embedding_dim, padding_idx, _weight, False, dtype, device)

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Tensor,
        freeze: bool = True,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
    ) -> EmbeddingBag:
        """A table with given rows, frozen unless said otherwise."""
        rows, length = _rows_of("EmbeddingBag", embeddings)
        layer = cls(
            rows,
            length,
            max_norm,
            norm_type,
            scale_grad_by_freq,
            mode,
            sparse,
            embeddings,
            include_last_offset,
            padding_idx,
        )
        layer.weight.requires_grad_(not freeze)
        return layer

    def forward(self, input: Tensor, offsets: Tensor | None = None, per_sample_weights: Tensor | None = None) -> Tensor:
        return F.embedding_bag(
            input, self.weight, offsets, self.max_norm, self.norm_type, self.scale_grad_by_freq, self.mode, self.sparse,
            per_sample_weights, self.include_last_offset, self.padding_idx,
        )  # fmt: skip


__all__ = ["Embedding", "EmbeddingBag"]
