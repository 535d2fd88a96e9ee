"""x[key] and x[key] = value: basic indexing becomes strides, index arrays become `take`, masks become `where` or positions."""

from __future__ import annotations

from .. import _core
from ..base.errors import ArgumentError, GradientError, IndexingError, ShapeError
from ..base.shapes import size_of
from ..ir.node import Node
from ..ops import elementwise as e
from ..ops.index import take
from ..ops.shape import broadcast_to, reshape, update
from ..ops.shape import getitem as basic_index
from ..transforms.levels import Traced
from .creation import asarray

Tensor = _core.Tensor


def expand_key(x: Tensor, key: object) -> list:
    """The key with its Ellipsis spelled out: one entry per axis, None entries between."""
    parts = list(key) if type(key) is tuple else [key]
    used = 0
    for part in parts:
        if part is None or part is Ellipsis:
            continue
        used += part.ndim if _is_mask(part) else 1
    dots = [i for i, part in enumerate(parts) if part is Ellipsis]
    if len(dots) > 1:
        raise IndexingError("[getitem] expected at most one Ellipsis, got more")
    if used > x.ndim:
        raise IndexingError(f"[getitem] expected at most {x.ndim} indices for shape {tuple(x.shape)}, got {used}")
    fill = [slice(None)] * (x.ndim - used)
    if dots:
        parts[dots[0] : dots[0] + 1] = fill
    else:
        parts.extend(fill)
    return parts


def _is_mask(part: object) -> bool:
    return hasattr(part, "dtype") and str(part.dtype) == "bool"


def _is_array(part: object) -> bool:
    return (
        type(part) is list
        or (hasattr(part, "dtype") and hasattr(part, "shape") and part.shape != ())
        or (type(part) is Tensor)
        or isinstance(part, Node)
    )


def basic_parts(x: Tensor, parts: list) -> tuple:
    """(starts, steps, sizes, result shape) of a key of ints, slices and None."""
    starts, steps, sizes, shape = [], [], [], []
    axis = 0
    for part in parts:
        if part is None:
            shape.append(1)
            continue
        length = x.shape[axis]
        if type(part) is slice:
            if part.step == 0:
                raise IndexingError("[getitem] expected a slice step other than 0")
            try:
                begin, end, step = part.indices(length)
            except TypeError:
                raise IndexingError(f"[getitem] expected slice bounds to be ints or None, got {part}") from None
            size = max(0, (end - begin + step - (1 if step > 0 else -1)) // step)
            starts.append(begin if size else 0)
            steps.append(step if size else 1)
            sizes.append(size)
            shape.append(size)
        else:
            if isinstance(part, bool) or not hasattr(part, "__index__"):
                raise IndexingError(
                    f"[getitem] expected ints, slices, None, Ellipsis or arrays of ints or bool, got {type(part).__name__}"
                )
            number = part.__index__()
            if not -length <= number < length:
                raise IndexingError(
                    f"[getitem] index {number} is out of range for axis {axis} of size {length} (shape {tuple(x.shape)})"
                )
            starts.append(number + length if number < 0 else number)
            steps.append(1)
            sizes.append(1)
        axis += 1
    return tuple(starts), tuple(steps), tuple(sizes), tuple(shape)


_BASIC: dict[tuple, tuple] = {}  # (shape, frozen key) -> arguments of basic_index
_BASIC_LIMIT = 4096


def frozen(key: object) -> tuple | None:
    """A hashable stand-in for a key of ints and slices of ints; None for any other."""
    parts = []
    for part in key if type(key) is tuple else (key,):
        kind = type(part)
        if kind is int:
            parts.append(part)
        elif kind is slice:
            bounds = (part.start, part.stop, part.step)
            if not all(b is None or type(b) is int for b in bounds):
                return None
            parts.append(bounds)
        elif part is None or part is Ellipsis:
            parts.append(part)
        else:
            return None
    return tuple(parts)


def getitem(x: Tensor, key: object) -> Tensor:
    """x[key]."""
    name = frozen(key)
    if name is not None:
        known = _BASIC.get((x.shape, name))
        if known is None:
            known = basic_parts(x, expand_key(x, key))
            if len(_BASIC) >= _BASIC_LIMIT:
                _BASIC.clear()
            _BASIC[x.shape, name] = known
        if type(x) is Tensor:  # a traced value has nothing to remember
            _core.remember_index(x, key, basic_index, *known)
        return basic_index(x, *known)
    parts = expand_key(x, key)
    arrays = [i for i, part in enumerate(parts) if _is_array(part)]
    if not arrays:
        starts, steps, sizes, shape = basic_parts(x, parts)
        return basic_index(x, starts, steps, sizes, shape)
    return advanced(x, parts, arrays)


def advanced(x: Tensor, parts: list, arrays: list) -> Tensor:
    """Index arrays in neighbouring places; a mask counts as the positions of its True elements."""
    expanded: list = []
    indices: list[Tensor] = []
    where_at = None
    for i, part in enumerate(parts):
        if i not in arrays:
            expanded.append(part)
            continue
        if where_at is None:
            where_at = len([p for p in expanded if not isinstance(p, int)])
        elif expanded and expanded[-1] is not _ARRAY:
            raise IndexingError("[getitem] expected index arrays side by side, got something between them")
        found = (
            positions(part, x, sum(1 for p in parts[:i] if p is not None)) if _is_mask(part) else [index_array(part)]
        )
        indices.extend(found)
        expanded.extend([_ARRAY] * len(found))
    starts, steps, sizes, shape = basic_parts(x, [slice(None) if p is _ARRAY else p for p in expanded])
    x = basic_index(x, starts, steps, sizes, shape)
    if len(indices) == 1:
        check_range(indices[0], x.shape[where_at], where_at, x.shape)
        return take(x, indices[0], where_at)
    flat = linear_index(indices, x.shape[where_at : where_at + len(indices)])
    merged = reshape(x, (*x.shape[:where_at], -1, *x.shape[where_at + len(indices) :]))
    return take(merged, flat, where_at)


_ARRAY = object()


def index_array(part: object) -> Tensor:
    index = asarray(part)
    if index.dtype.kind not in "iu":
        raise IndexingError(f"[getitem] expected index arrays of ints or bool, got {index.dtype}")
    return index


def recording() -> bool:
    """Whether a compile recording is under way (values must not be read then)."""
    recorder = _core.set_recorder(None)
    _core.set_recorder(recorder)
    return recorder is not None


def check_range(index: Tensor, length: int, axis: int, shape: tuple) -> None:
    """Refuse indices out of range (reads the index array)."""
    if type(index) is not Tensor or index.size == 0 or recording():
        return
    index = index.detach()
    low, high = index.min().item(), index.max().item()
    if low < -length or high >= length:
        bad = low if low < -length else high
        raise IndexingError(
            f"[getitem] index {bad} is out of range for axis {axis} of size {length} (shape {tuple(shape)})"
        )


def linear_index(indices: list, sizes: tuple) -> Tensor:
    """One index over merged axes."""
    flat = None
    for axis, (index, size) in enumerate(zip(indices, sizes)):
        check_range(index, size, axis, sizes)
        index = e.where(e.less(index, 0), index + size, index)
        flat = index if flat is None else flat * size + index
    return flat


def positions(mask: object, x: Tensor, axis: int) -> list:
    """The indices of True elements, one array per axis of the mask. The number found is data, so this reads the mask."""
    mask = asarray(mask)
    if tuple(x.shape[axis : axis + mask.ndim]) != tuple(mask.shape):
        raise IndexingError(
            f"[getitem] expected a mask of shape {tuple(x.shape[axis : axis + mask.ndim])}, got {tuple(mask.shape)}"
        )
    return nonzero(mask)


def nonzero(x: Tensor, /) -> tuple:
    """Indices of the elements that are not zero, in row-major order: a tuple of int64 tensors, one per axis."""
    if x.ndim == 0:
        raise IndexingError("[nonzero] expected at least one dimension, got a 0-d tensor")
    return tuple(asarray(part) for part in x.numpy().nonzero())


def setitem(x: Tensor, key: object, value: object) -> None:
    """x[key] = value: the handle x gets a new value; other tensors are untouched."""
    if _is_mask(key) and key.shape == x.shape:
        value = value if type(value) is Tensor or isinstance(value, Node) or isinstance(value, (bool, int, float, complex)) else asarray(value)
        new = e.where(asarray(key), value, x)
    else:
        parts = expand_key(x, key)
        if any(_is_array(part) for part in parts):
            raise IndexingError(
                "[setitem] expected ints, slices or a mask of the same shape; for index arrays use scatter_add or where"
            )
        starts, steps, sizes, shape = basic_parts(x, parts)
        value = asarray(value, dtype=None if type(value) is Tensor or isinstance(value, Node) else x.dtype)
        if value.shape != shape:
            try:
                value = broadcast_to(value, shape)
            except ShapeError:
                raise ShapeError(
                    f"[setitem] expected a value that broadcasts to {shape}, got shape {tuple(value.shape)}"
                ) from None
        if value.dtype is not x.dtype:
            value = e.cast(value, x.dtype)
        if size_of(shape) == 0:
            return
        if x.requires_grad and x.is_leaf and _core.grad_enabled():
            raise GradientError(
                "[setitem] a leaf that requires grad can't be written to while the tape records; wrap it in `with "
                "twain.no_grad():`, or write to a copy"
            )
        if isinstance(x, Node) or isinstance(value, Node):
            write(x, update(x, reshape(value, sizes), starts, steps))
        else:
            update.apply((x, reshape(value, sizes)), (starts, steps), donate=1, into=(x,))
        return
    if new.shape != x.shape:
        raise ArgumentError(
            f"[setitem] expected a scalar or a value of shape {tuple(x.shape)}, got a result of shape {tuple(new.shape)}"
        )
    write(x, new if new.dtype is x.dtype else e.cast(new, x.dtype))


def write(x: object, new: object) -> None:
    """Give the handle `x` the value of `new`; inside of transformations, of the same one."""
    if isinstance(x, Traced):
        x.become(new)
    elif isinstance(new, Traced):
        raise GradientError(
            f"[setitem] expected a value that {new.level.name} has nothing to do with for a tensor from outside of it, got a "
            "value inside of it; build the result with stack, concat or where and return it"
        )
    else:
        x.assign(new)
