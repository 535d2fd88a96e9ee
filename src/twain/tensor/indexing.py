"""x[key]: ints, slices, None and Ellipsis become strides; index tensors and masks become reads at positions.

The rules are those of the Python Array API standard and, beyond it, NumPy's: index tensors broadcast with each other, ints
beside them count as index tensors, and if anything stands between them their axes come first in the result.
"""

from __future__ import annotations

from .. import _core
from ..base import dtypes as dt
from ..base.errors import DTypeError, IndexingError, ShapeError
from ..base.lazy import LazyModule
from ..base.shapes import broadcast_shapes, size_of
from ..ir.node import Node
from ..ops import elementwise as e
from ..ops.index import take
from ..ops.shape import getitem as basic_index
from ..ops.shape import reshape
from .creation import asarray, tensor_argument

Tensor = _core.Tensor
advanced = LazyModule("twain.ops.advanced")
selection = LazyModule("twain.tensor.selection")

WHOLE = slice(None)


# ---------------------------------------------------------------- keys
def is_value(x: object) -> bool:
    """A tensor, or what stands for one inside of a transformation."""
    return type(x) is Tensor or isinstance(x, Node)


def _array(function: str, part: object) -> object:
    """An index array as a tensor; of a 0-d bool its truth."""
    if not is_value(part):
        listed = isinstance(part, (list, tuple, range))
        try:
            part = asarray(part)
        except (DTypeError, ValueError, TypeError) as error:
            raise IndexingError(f"[{function}] expected index arrays of ints or bool: {error}") from None
        if listed and part.size == 0:
            part = e.cast(part, dt.int64)  # [] has no dtype of its own
        if part.dtype.kind == "b" and part.ndim == 0:
            return bool(part)
    if part.dtype.kind not in "biu":
        raise IndexingError(f"[{function}] expected index arrays of ints or bool, got {part.dtype}")
    return part


def normal_parts(function: str, shape: tuple, key: object) -> list:
    """The parts of a key: int, slice, None, bool, tensor; Ellipsis spelled out as slices, or itself if it stands for none."""
    parts: list = []
    used = 0
    dots = None
    for part in key if type(key) is tuple else (key,):
        if part is Ellipsis:
            if dots is not None:
                raise IndexingError(f"[{function}] expected at most one Ellipsis, got more")
            dots = len(parts)
            continue
        if part is None or type(part) is bool:
            parts.append(part)
            continue
        if type(part) is not int and type(part) is not slice:
            if is_value(part) or isinstance(part, (list, tuple, range)) or hasattr(part, "dtype"):
                part = _array(function, part)
                if type(part) is bool:
                    parts.append(part)
                    continue
            elif hasattr(part, "__index__"):
                part = part.__index__()
            else:
                raise IndexingError(
                    f"[{function}] expected ints, slices, None, Ellipsis or arrays of ints or bool, got {type(part).__name__}"
                )
        used += part.ndim if is_value(part) and part.dtype.kind == "b" else 1
        parts.append(part)
    if used > len(shape):
        raise IndexingError(
            f"[{function}] expected at most {len(shape)} indices for shape {tuple(shape)}, got {used}"
        )  # fmt: skip
    fill = [WHOLE] * (len(shape) - used)
    if dots is not None and not fill:
        fill = [Ellipsis]  # stands for nothing, but stands between index arrays
    at = len(parts) if dots is None else dots
    return [*parts[:at], *fill, *parts[at:]]


def basic_parts(function: str, shape: tuple, parts: list) -> tuple:
    """(starts, steps, sizes, result shape) of a key of ints, slices and None."""
    starts, steps, sizes, result = [], [], [], []
    axis = 0
    for part in parts:
        if part is None:
            result.append(1)
            continue
        if part is Ellipsis:
            continue
        length = shape[axis]
        if type(part) is slice:
            try:
                begin, end, step = part.indices(length)
            except TypeError:
                raise IndexingError(f"[{function}] expected slice bounds to be ints or None, got {part}") from None
            except ValueError:
                raise IndexingError(f"[{function}] expected a slice step other than 0") from None
            size = max(0, (end - begin + step - (1 if step > 0 else -1)) // step)
            starts.append(begin if size else 0)
            steps.append(step if size else 1)
            sizes.append(size)
            result.append(size)
        else:
            if not -length <= part < length:
                raise IndexingError(
                    f"[{function}] index {part} is out of range for axis {axis} of size {length} (shape {tuple(shape)})"
                )
            starts.append(part + length if part < 0 else part)
            steps.append(1)
            sizes.append(1)
        axis += 1
    return tuple(starts), tuple(steps), tuple(sizes), tuple(result)


_KEYS: dict[tuple, object] = {}  # (shape, frozen key) -> arguments of basic_index, or an Advanced
_KEYS_LIMIT = 4096


def frozen(key: object) -> tuple | None:
    """A hashable stand-in for a key of ints, slices of ints and integer tensors; None for any other."""
    parts: list = []
    for part in key if type(key) is tuple else (key,):
        kind = type(part)
        if kind is int or part is None or part is Ellipsis:
            parts.append(part)
        elif kind is slice:
            start, stop, step = part.start, part.stop, part.step
            for bound in (start, stop, step):
                if bound is not None and type(bound) is not int:
                    return None
            parts.append((start, stop, step))
        elif kind is Tensor and part.dtype.kind in "iu":
            parts.append((part.shape,))
        else:
            return None
    return tuple(parts)


def learned(function: str, shape: tuple, key: object) -> object:
    """What a key means for `shape`, if `frozen` has a name for it: a tuple as of basic_parts, or an Advanced; else None."""
    name = frozen(key)
    if name is None:
        return None
    known = _KEYS.get((shape, name))
    if known is None:
        parts = normal_parts(function, shape, key)
        if any(is_value(part) for part in parts):
            known = Advanced(Places(function, shape, parts))
        else:
            known = basic_parts(function, shape, parts)
        if len(_KEYS) >= _KEYS_LIMIT:
            _KEYS.clear()
        _KEYS[shape, name] = known
    return known


class Places:
    """A key with index tensors, taken apart: first a basic key, then index tensors along axes of what it gives.

    basic: one part per axis, with whole slices where there are index tensors; arrays: (axis of the basic result, index
    tensor, mask or truth, axis of x); at: where the axes of the indices go among the remaining ones.
    """

    __slots__ = ("arrays", "at", "basic", "function", "shape")

    def __init__(self, function: str, shape: tuple, parts: list):
        self.function = function
        self.shape = tuple(shape)
        self.basic: list = []
        self.arrays: list = []
        axis = place = remaining = 0
        at = None
        separated = False  # something stood between two indices
        ended = False
        for part in parts:
            kind = type(part)
            if part is Ellipsis:
                ended = at is not None
                continue
            if part is None or kind is slice:
                self.basic.append(part)
                axis += kind is slice
                place += 1
                remaining += 1
                ended = at is not None
                continue
            separated = separated or ended
            at = remaining if at is None else at
            if kind is int:
                self.basic.append(part)
                axis += 1
                continue
            rank = (part.ndim if part.dtype.kind == "b" else 1) if kind is not bool else 0
            self.arrays.append((place, part, axis))
            self.basic.extend([WHOLE] * rank if rank else [None])
            axis += rank
            place += rank or 1
        self.at = 0 if separated or at is None else at

    def split(self) -> tuple:
        """(sizes, axes, indices, shape of the whole result): the basic result's sizes with the axes of masks merged.

        Reads the masks, since how many elements they choose is data.
        """
        arguments = self.basic_arguments()
        sizes = list(arguments[3])
        axes, indices, checks = [], [], []
        merged = 0
        for place, part, axis in self.arrays:
            place -= merged
            if type(part) is bool:
                part = _zeros(int(part))
            elif part.dtype.kind == "b":
                rank = max(part.ndim, 1)
                wanted = tuple(sizes[place : place + part.ndim])
                # the standard lets a mask have size 0 where x has not: it chooses nothing
                if len(wanted) < part.ndim or any(m not in (d, 0) for m, d in zip(part.shape, wanted)):
                    raise IndexingError(
                        f"[{self.function}] expected a mask of shape {wanted} at axis {axis} of shape {self.shape}, got "
                        f"{tuple(part.shape)}"
                    )
                sizes[place : place + rank] = [size_of(wanted)]
                merged += rank - 1
                part = selection.flat_nonzero(part)
            else:
                checks.append((part, sizes[place], axis))
            axes.append(place)
            indices.append(part)
        shape, count = self.result_shape(sizes, axes, indices)
        if count:
            for part, size, axis in checks:
                check_range(self.function, part, size, axis, self.shape)
        return tuple(sizes), tuple(axes), indices, shape

    def result_shape(self, sizes: object, axes: object, indices: list) -> tuple:
        """(shape of x[key], number of places that the indices name), from the basic result's sizes and its axes' indices."""
        try:
            indexed = broadcast_shapes(self.function, *[tuple(i.shape) for i in indices])
        except ShapeError as error:
            raise IndexingError(str(error).replace("expected shapes", "expected index arrays of shapes")) from None
        remaining = [d for i, d in enumerate(sizes) if i not in axes]
        return (*remaining[: self.at], *indexed, *remaining[self.at :]), size_of(indexed)

    def basic_arguments(self) -> tuple:
        return basic_parts(self.function, self.shape, self.basic)


def _zeros(count: int) -> Tensor:
    return _core.filled(_core.meta(dt.int64.code, (count,)), 0.0)


def concrete(x: object) -> Tensor | None:
    """The numbers behind a tensor or a value of a transformation (of a batch: all of them); None if there are none yet."""
    while type(x) is not Tensor:
        x = getattr(x, "value", None)
        if x is None:
            return None
    return x


def check_range(function: str, index: object, size: int, axis: int, shape: tuple) -> None:
    """Refuse indices out of range; a recording is told that its plan is for such indices only."""
    known = concrete(index)
    bad = None if known is None else _core.index_outside(known, -size, size)
    if bad is not None:
        raise IndexingError(
            f"[{function}] index {bad} is out of range for axis {axis} of size {size} (shape {tuple(shape)})"
        )


class Advanced:
    """A key with index tensors of known shapes, for a known shape of x: all that doesn't depend on their values.

    basic: arguments of basic_index, None if it changes nothing; sizes: the shape of its result; axes: of the indices in it;
    at: where their axes go among the others; shape: of the whole result; checked: (size, axis of x) for each index.
    """

    __slots__ = ("at", "axes", "basic", "checked", "shape", "sizes")

    def __init__(self, places: Places):
        arguments = places.basic_arguments()
        self.sizes = arguments[3]
        self.basic = None if all(part is WHOLE for part in places.basic) else arguments
        self.axes = tuple(place for place, _, _ in places.arrays)
        self.at = places.at
        self.shape, count = places.result_shape(self.sizes, self.axes, [part for _, part, _ in places.arrays])
        # indices that name no places, because another is empty, may be any numbers
        self.checked = tuple((self.sizes[place], axis) for place, _, axis in places.arrays) if count else ()

    def indices(self, function: str, shape: tuple, key: object) -> list:
        """The key's index tensors, checked."""
        found = [part for part in key if type(part) is Tensor] if type(key) is tuple else [key]
        for index, (size, axis) in zip(found, self.checked):
            check_range(function, index, size, axis, shape)
        return found


# ---------------------------------------------------------------- reading
@_core.Remembered
def getitem(x: Tensor, key: object) -> Tensor:
    """x[key]."""
    if type(key) is Tensor and x.shape and key.dtype.kind in "iu":
        check_range("getitem", key, x.shape[0], 0, x.shape)
        return take(x, key, 0)
    known = learned("getitem", x.shape, key)
    if type(known) is tuple:
        return basic_index(x, *known)
    if known is not None:
        indices = known.indices("getitem", x.shape, key)
        if known.basic is not None:
            x = basic_index(x, *known.basic)
        if len(indices) == 1 and known.at == known.axes[0]:
            return take(x, indices[0], known.at)
        return advanced.index([x, *indices], known.axes, known.at)
    if type(key) is Tensor and key.shape == x.shape and key.dtype.kind == "b" and x.shape:
        return selection.compress_flat(key, x)
    parts = normal_parts("getitem", x.shape, key)
    if not any(type(part) is bool or is_value(part) for part in parts):
        return basic_index(x, *basic_parts("getitem", x.shape, parts))
    places = Places("getitem", x.shape, parts)
    whole = all(part is WHOLE for part in places.basic)
    if whole and len(places.arrays) == 1 and is_value(parts[0]) and parts[0].dtype.kind == "b":
        if parts[0].shape == x.shape:
            return selection.compress_flat(parts[0], x)
    sizes, axes, indices, _ = places.split()
    if not whole:
        x = basic_index(x, *places.basic_arguments())
    if x.shape != sizes:
        x = reshape(x, sizes)
    if len(indices) == 1 and places.at == axes[0]:
        return take(x, indices[0], axes[0])
    return advanced.index([x, *indices], axes, places.at)


@_core.Remembered
def nonzero(x: Tensor, /) -> tuple:
    """Indices of the elements that are not zero, in row-major order: a tuple of int64 tensors, one per axis."""
    x = tensor_argument("nonzero", x)
    if x.ndim == 0:
        raise IndexingError("[nonzero] expected at least one dimension, got a 0-d tensor")
    return (selection.flat_nonzero(x),) if x.ndim == 1 else selection.nonzero_indices(x)
