"""Checks of indices that are data. Kernels can't raise, so eager calls look before. A recording notes what was looked at:
the guards of its plan look at it again where it is an input, and where it is computed inside, the plan computes whether it
is in range too, before it writes anything. The bodies of `cond`, `while_loop` and `scan` aren't looked into."""

from __future__ import annotations

from .. import _core
from ..base.errors import ArgumentError, IndexingError, ValueRangeError
from ..base.shapes import broadcast_shapes, normalize_axis
from ..ops import index as ops
from ..ops.shape import broadcast_to, reshape
from .creation import asarray, tensor_argument
from .indexing import concrete

Tensor = _core.Tensor


def recording() -> bool:
    """Whether a compile recording is under way (values must not be read then)."""
    recorder = _core.set_recorder(None)
    _core.set_recorder(recorder)
    return recorder is not None


def out_of_range(index: object, low: int, high: int, ignore: int | None = None) -> int | None:
    """An element of an integer tensor outside [low, high) that isn't `ignore`, if there is one."""
    index = concrete(index)
    if index is None or index.dtype.kind not in "iu":
        return None
    return _core.index_outside(index, low, high) if ignore is None else _core.index_outside(index, low, high, ignore)


def check_index(function: str, index: object, size: int, axis: int, shape: tuple, from_end: bool = True) -> None:
    """Refuse indices outside [-size, size), or without `from_end` outside [0, size)."""
    bad = out_of_range(index, -size if from_end else 0, size)
    if bad is not None:
        raise IndexingError(
            f"[{function}] index {bad} is out of range for axis {axis} of size {size} (shape {tuple(shape)})"
        )


def check_classes(function: str, what: str, classes: object, count: int, ignore: int | None = None) -> None:
    """Refuse class numbers outside [0, count), but for `ignore`."""
    bad = out_of_range(classes, 0, count, ignore)
    if bad is not None:
        raise IndexingError(f"[{function}] expected {what} in [0, {count}), got {bad}")


def check_probabilities(function: str, what: str, x: object) -> None:
    """Refuse numbers outside [0, 1], and NaN."""
    if type(x) is not Tensor or not x.size or x.dtype.kind != "f" or recording():
        return
    low, high = x.detach().min().item(), x.detach().max().item()
    if not (low >= 0.0 and high <= 1.0):
        bad = low if not low >= 0.0 else high
        raise ValueRangeError(
            f"[{function}] expected {what} in [0, 1], got {bad:.6g}; for logits there is {function}_with_logits"
        )


@_core.Remembered
def take(x: Tensor, indices: Tensor, /, axis: int | None = None) -> Tensor:
    """Elements of `x` along `axis` at `indices`; shape x[:axis] + indices + x[axis+1:]. axis may be left out of a vector.

    A 0-d x counts as one element. Negative indices count from the end. Raises IndexError for one out of range.
    """
    x = tensor_argument("take", x)
    if x.ndim == 0:
        x = reshape(x, (1,))
    if axis is None:
        if x.ndim != 1:
            raise ArgumentError(
                f"[take] expected an axis, as x has {x.ndim} dimensions (shape {tuple(x.shape)}), got None"
            )
        axis = 0
    if type(indices) in (list, tuple, range):
        indices = asarray(indices)
    at = normalize_axis("take", axis, x.ndim)
    check_index("take", indices, x.shape[at], at, x.shape)
    return ops.take(x, indices, axis)


@_core.Remembered
def take_along_axis(x: Tensor, indices: Tensor, /, axis: int = -1) -> Tensor:
    """For each place of `indices`, the element of `x` at that place but along `axis` at the index; shape of `indices`.

    On the other axes the two broadcast. A 0-d x counts as one element. Negative indices count from the end. Raises
    IndexError as `take`.
    """
    x = tensor_argument("take_along_axis", x)
    if x.ndim == 0 and getattr(indices, "ndim", 2) < 2:
        return reshape(take_along_axis(reshape(x, (1,)), reshape(indices, (-1,)), axis), indices.shape)
    if hasattr(indices, "ndim") and indices.ndim == x.ndim and indices.shape != x.shape:
        at = normalize_axis("take_along_axis", axis, x.ndim)
        others = [a for a in range(x.ndim) if a != at]
        if any(indices.shape[a] != x.shape[a] for a in others):
            wide = broadcast_shapes(
                "take_along_axis", *[tuple(1 if a == at else v.shape[a] for a in range(x.ndim)) for v in (x, indices)]
            )
            x, indices = (
                broadcast_to(v, tuple(v.shape[a] if a == at else d for a, d in enumerate(wide))) for v in (x, indices)
            )
    at = normalize_axis("take_along_axis", axis, x.ndim)
    check_index("take_along_axis", indices, x.shape[at], at, x.shape)
    return ops.take_along_axis(x, indices, axis)
