"""Writing at computed positions, and folding by segments, for users: indices are checked, arguments in PyTorch's order.

Nothing is written in place: each function gives a new tensor. In compiled functions, which can't look at values, indices
out of range write nowhere.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

from .. import _core
from ..base.errors import ArgumentError, DTypeError, ShapeError
from ..base.shapes import normalize_axis, size_of
from ..ir.node import is_python_scalar
from ..ops import elementwise as e
from ..ops import index as index_ops
from ..ops import scatter as ops
from ..ops import search
from ..ops.nn.extras import limit_rows
from ..ops.shape import broadcast_to, reshape, slice_
from .bounds import check_index
from .creation import asarray
from .gradients import no_grad

Tensor = _core.Tensor


def _numbers_too(function: Callable) -> Callable:
    """With a 0-d x, which counts as one element along axis 0 or -1; the result is 0-d, too."""

    @functools.wraps(function)
    def of(x, axis, index, source, /, *rest, **settings):
        if getattr(x, "ndim", 1):
            return function(x, axis, index, source, *rest, **settings)
        index = asarray(index) if isinstance(index, (list, tuple, range)) else index
        index = reshape(index, (-1,)) if index.ndim == 0 else index
        if function.__name__ != "index_fill" and getattr(source, "ndim", 1) == 0:
            source = reshape(source, (-1,))
        return reshape(function(reshape(x, (1,)), axis, index, source, *rest, **settings), ())

    return of


def _index(function: str, x: Tensor, index: object, axis: int) -> tuple:
    """(the index as a tensor, the axis counted from 0), both checked."""
    at = normalize_axis(function, axis, x.ndim)
    if type(index) is not Tensor and isinstance(index, (list, tuple, range)):
        index = asarray(index)
    if index.dtype.kind not in "iu":
        raise DTypeError(f"[{function}] expected integer indices, got {index.dtype}")
    check_index(function, index, x.shape[at], at, x.shape)
    return index, at


def _updates(function: str, x: Tensor, src: object, shape: tuple) -> Tensor:
    """`src` in x's dtype and of `shape`: a number is repeated, of a larger tensor the beginning is taken."""
    if type(src) is Tensor and src.shape == shape:
        return src if src.dtype is x.dtype else e.cast(src, x.dtype)
    if is_python_scalar(src):
        return broadcast_to(e.cast(src, x.dtype), shape)
    if src.ndim != len(shape) or any(a < b for a, b in zip(src.shape, shape)):
        raise ShapeError(f"[{function}] expected src of shape {tuple(shape)} or larger, got {tuple(src.shape)}")
    if src.shape != shape:
        src = slice_(src, (0,) * src.ndim, (1,) * src.ndim, tuple(shape))
    return src if src.dtype is x.dtype else e.cast(src, x.dtype)


def _along(function: str, x: Tensor, axis: int, index: object, src: object) -> tuple:
    index, at = _index(function, x, index, axis)
    shape = index.shape
    if shape == x.shape:
        return index, at, _updates(function, x, src, shape)
    if len(shape) != x.ndim or any(i > d for a, (i, d) in enumerate(zip(shape, x.shape)) if a != at):
        raise ShapeError(
            f"[{function}] expected an index of {x.ndim} dimensions, no larger than x but along axis {at}, got "
            f"{tuple(shape)} for {tuple(x.shape)}"
        )
    return index, at, _updates(function, x, src, shape)


@_core.Remembered
@_numbers_too
def scatter(x: Tensor, axis: int, index: Tensor, src: Tensor | float, /) -> Tensor:
    """x with x[..., index[i, j, ...], ...] = src[i, j, ...], the index standing at `axis`.

    `index`, integers of x's number of dimensions, is no larger than x but along `axis`; `src` is a number or a tensor at
    least as large as `index`. Where an index comes twice, the last one stands. Raises IndexError out of range.
    """
    index, at, src = _along("scatter", x, axis, index, src)
    return ops.scatter(x, index, src, at)


@_core.Remembered
@_numbers_too
def scatter_add(x: Tensor, axis: int, index: Tensor, src: Tensor | float, /) -> Tensor:
    """x with `src` added at `index` along `axis`; arguments as of `scatter`. Added in order, whatever the threads."""
    index, at, src = _along("scatter_add", x, axis, index, src)
    return index_ops.scatter_add(x, index, src, at, "along")


@_core.Remembered
@_numbers_too
def scatter_reduce(
    x: Tensor, axis: int, index: Tensor, src: Tensor | float, reduce: str, /, *, include_self: bool = True
) -> Tensor:
    """x with `src` folded in at `index` along `axis`: reduce is "sum", "prod", "mean", "amax" or "amin".

    include_self=False: the elements of x that are written to don't take part. Other arguments as of `scatter`.
    """
    index, at, src = _along("scatter_reduce", x, axis, index, src)
    return ops.scatter_reduce(x, index, src, at, reduce, include_self)


# ---------------------------------------------------------------- whole slices
def _slices(function: str, x: Tensor, axis: int, index: object, source: object) -> tuple:
    index, at = _index(function, x, index, axis)
    if index.ndim > 1:
        raise ShapeError(f"[{function}] expected a one-dimensional index, got shape {tuple(index.shape)}")
    index = reshape(index, (-1,)) if index.ndim == 0 else index
    shape = (*x.shape[:at], index.shape[0], *x.shape[at + 1 :])
    if is_python_scalar(source):
        return index, at, broadcast_to(e.cast(source, x.dtype), shape)
    if tuple(source.shape) != shape:
        raise ShapeError(f"[{function}] expected a source of shape {shape}, got {tuple(source.shape)}")
    return index, at, source if source.dtype is x.dtype else e.cast(source, x.dtype)


@_core.Remembered
@_numbers_too
def index_add(x: Tensor, axis: int, index: Tensor, source: Tensor, /, *, alpha: float = 1) -> Tensor:
    """x with alpha * source[..., i, ...] added to x[..., index[i], ...] along `axis`, in order.

    `index` is one-dimensional; `source` has x's shape but for `axis`, where it is as long as `index`.
    """
    index, at, source = _slices("index_add", x, axis, index, source)
    return index_ops.scatter_add(x, index, source if alpha == 1 else e.multiply(source, alpha), at, "take")


@_core.Remembered
@_numbers_too
def index_copy(x: Tensor, axis: int, index: Tensor, source: Tensor, /) -> Tensor:
    """x with x[..., index[i], ...] = source[..., i, ...] along `axis`; arguments as of `index_add`."""
    index, at, source = _slices("index_copy", x, axis, index, source)
    return ops.scatter(x, index, source, at, "take")


@_core.Remembered
@_numbers_too
def index_fill(x: Tensor, axis: int, index: Tensor, value: float | Tensor, /) -> Tensor:
    """x with x[..., index[i], ...] = value along `axis`; `value` is a number or a 0-d tensor."""
    if not is_python_scalar(value):
        if value.ndim:
            raise ShapeError(f"[index_fill] expected a number or a 0-d tensor, got shape {tuple(value.shape)}")
        at = normalize_axis("index_fill", axis, x.ndim)
        count = index.size if hasattr(index, "size") else len(index)
        value = broadcast_to(e.cast(value, x.dtype), (*x.shape[:at], count, *x.shape[at + 1 :]))
    index, at, value = _slices("index_fill", x, axis, index, value)
    return ops.scatter(x, index, value, at, "take")


@_core.Remembered
def put(x: Tensor, index: Tensor, source: Tensor, /, accumulate: bool = False) -> Tensor:
    """x with source[i] at the positions index[i], counted in row-major order; or added there, if accumulate."""
    flat = reshape(x, (size_of(x.shape),))
    index, _ = _index("put", flat, index, 0)
    count = size_of(index.shape)
    if not is_python_scalar(source):
        if size_of(source.shape) != count:
            raise ShapeError(f"[put] expected a source of {count} elements, got shape {tuple(source.shape)}")
        source = reshape(source, (count,))
    index, _, source = _slices("put", flat, 0, reshape(index, (count,)), source)
    if accumulate:
        return reshape(index_ops.scatter_add(flat, index, source, 0, "take"), x.shape)
    return reshape(ops.scatter(flat, index, source, 0, "take"), x.shape)


# ---------------------------------------------------------------- segments
def _segments(reduce: str):
    name = f"segment_{reduce}"
    empty = {"max": "the dtype's lowest value", "min": "the dtype's highest value", "prod": "1"}.get(reduce, "0")

    def segment(data: Tensor, segment_ids: Tensor, num_segments: int | None = None, /) -> Tensor:
        if segment_ids.dtype.kind not in "iu":
            raise DTypeError(f"[{name}] expected integer segment ids, got {segment_ids.dtype}")
        if num_segments is None:
            if type(segment_ids) is not Tensor:
                raise ArgumentError(f"[{name}] expected num_segments, as the ids are not known here")
            num_segments = int(segment_ids.max().item()) + 1 if segment_ids.size else 0
        return ops.segment_reduce(data, segment_ids, reduce, num_segments)

    segment.__name__ = segment.__qualname__ = name
    segment.__doc__ = f"""The {reduce} of the parts of `data` with the same id: result[k] folds data[segment_ids == k].

    `segment_ids`, sorted or not, has the shape of data's leading axes; the result (num_segments, rest of data's shape).
    num_segments=None counts up to the largest id, for which the ids are read. Ids that are negative or too large are
    left out. A segment without elements gives {empty}.
    """
    return segment


segment_sum = _segments("sum")
segment_mean = _segments("mean")
segment_prod = _segments("prod")
segment_max = _segments("max")
segment_min = _segments("min")


# ---------------------------------------------------------------- bags
def embedding_bag(
    input: Tensor, weight: Tensor, /, offsets: Tensor | None = None, *, mode: str = "mean",
    per_sample_weights: Tensor | None = None, include_last_offset: bool = False, padding_idx: int | None = None,
    max_norm: float | None = None, norm_type: float = 2.0,
) -> Tensor:  # fmt: skip
    """Sums, means or maxima ("max") of bags of rows of `weight`: (bags, length of a row).

    `input`: (bags, rows per bag), or one-dimensional with `offsets`, where each bag begins (with include_last_offset also
    where the last one ends). per_sample_weights, shaped as input and for mode "sum" only, multiply the rows. Rows
    `padding_idx` take no part. An empty bag gives 0. With max_norm, rows that input names are scaled down first, in weight
    itself, to a norm_type-norm of at most this. Raises IndexError for a row out of range.
    """
    check_index("embedding_bag", input, weight.shape[0], 0, weight.shape)
    if max_norm is not None:
        with no_grad():
            weight.assign(limit_rows(input, weight, max_norm, norm_type))
    if per_sample_weights is not None:
        if mode != "sum":
            raise ArgumentError(f"[embedding_bag] expected mode 'sum' with per_sample_weights, got {mode!r}")
        if per_sample_weights.shape != input.shape:
            raise ShapeError(
                f"[embedding_bag] expected per_sample_weights of shape {tuple(input.shape)}, got "
                f"{tuple(per_sample_weights.shape)}"
            )
    if input.ndim == 2:
        if offsets is not None:
            raise ArgumentError("[embedding_bag] expected no offsets with a two-dimensional input")
        return ops.embedding_bag_rows(input, weight, per_sample_weights, mode, padding_idx)
    if input.ndim == 1 and offsets is not None:
        bags = offsets.shape[0] - bool(include_last_offset)
        ids = search.searchsorted(offsets, index_ops.iota(tuple(input.shape), 0), side="right") - 1
    else:
        raise ShapeError(
            f"[embedding_bag] expected input of two dimensions, or of one with offsets, got shape {tuple(input.shape)}"
        )
    return ops.embedding_bag(input, weight, per_sample_weights, ids, bags, mode, padding_idx)


__all__ = [
    "embedding_bag",
    "index_add",
    "index_copy",
    "index_fill",
    "put",
    "scatter",
    "scatter_add",
    "scatter_reduce",
    "segment_max",
    "segment_mean",
    "segment_min",
    "segment_prod",
    "segment_sum",
]
