"""Functions whose result's shape is data: they look at the values, so they can't be part of a compiled function's plan."""

from __future__ import annotations

from .. import _core
from ..base.errors import DTypeError
from ..base.shapes import broadcast_shapes, size_of
from ..ops import elementwise as e
from ..ops import masks
from ..ops.shape import broadcast_to, reshape
from .creation import asarray

Tensor = _core.Tensor


def as_mask(x: Tensor) -> Tensor:
    """x != 0 for what isn't bool."""
    return x if x.dtype.kind == "b" else e.not_equal(x, 0)


def flat(x: Tensor) -> Tensor:
    """All elements as one row."""
    return reshape(x, (1, size_of(x.shape)))


def number_true(mask: Tensor) -> int:
    """How many elements of a bool tensor are true."""
    return int(masks.count_true(flat(mask)).item())


def flat_nonzero(x: Tensor, /) -> Tensor:
    """Positions, int64, of the elements that are not zero, counted in row-major order."""
    mask = as_mask(x.detach())
    return reshape(masks.positions_of_true(flat(mask), number_true(mask)), (-1,))


def compress_flat(mask: Tensor, x: Tensor, /) -> Tensor:
    """The elements of `x` where `mask`, bool and of its shape, is true, in row-major order."""
    return reshape(masks.compress_rows(flat(mask), flat(x), number_true(mask.detach())), (-1,))


def masked_select(x: Tensor, mask: Tensor, /) -> Tensor:
    """The elements of `x` where `mask` is true, one-dimensional, in row-major order; the two broadcast.

    Reads the mask, since the size of the result depends on it.
    """
    mask = asarray(mask)
    if mask.dtype.kind != "b":
        raise DTypeError(f"[masked_select] expected a bool mask, got {mask.dtype}")
    if mask.shape != x.shape:
        shape = broadcast_shapes("masked_select", x.shape, mask.shape)
        x, mask = broadcast_to(x, shape), broadcast_to(mask, shape)
    return compress_flat(mask, x)


__all__ = ["masked_select"]
