"""x[key] = value: the handle x gets a new value, in the same memory if nobody else holds it; other tensors are untouched.

The value is broadcast to the shape of x[key] and converted to x's dtype, as in NumPy. Where index tensors name a place
twice, the last value stands. Gradients flow to x (but for what was replaced) and to the value.
"""

from __future__ import annotations

from .. import _core
from ..base import dtypes as dt
from ..base.errors import ArgumentError, GradientError, ShapeError
from ..base.lazy import LazyModule
from ..base.shapes import size_of
from ..ir.node import Node
from ..ops import elementwise as e
from ..ops.shape import broadcast_to, reshape, update
from ..ops.shape import getitem as basic_index
from ..transforms.levels import Traced
from .creation import asarray, tensor_argument
from .indexing import WHOLE, Places, is_value, learned, normal_parts

Tensor = _core.Tensor
advanced = LazyModule("twain.ops.advanced")
masks = LazyModule("twain.ops.masks")
selection = LazyModule("twain.tensor.selection")

_SCALARS = (bool, int, float, complex)


def _value(x: Tensor, value: object, function: str = "setitem") -> Tensor:
    """What is assigned, as a tensor of x's dtype."""
    if type(value) in _SCALARS:
        if type(value) is int:
            dt.check_int(function, value, x.dtype)
        elif type(value) is complex:
            dt.check_cast(function, dt.weak_complex, x.dtype)
        return e.cast(value, x.dtype)
    if not is_value(value):
        value = asarray(value)
    if value.dtype is x.dtype:
        return value
    dt.check_cast(function, value.dtype, x.dtype)
    return e.cast(value, x.dtype)


def _spread(value: Tensor, shape: tuple, function: str = "setitem") -> Tensor:
    """`value` broadcast to `shape`; axes of size 1 in front that are too many are dropped."""
    if value.shape == shape:
        return value
    own = tuple(value.shape)
    while len(own) > len(shape) and own[0] == 1:
        own = own[1:]
    try:
        return broadcast_to(value if own == value.shape else reshape(value, own), shape)
    except ShapeError:
        raise ShapeError(
            f"[{function}] expected a value that broadcasts to {shape}, got shape {tuple(value.shape)}"
        ) from None


def write(x: object, new: object) -> None:
    """Give the handle `x` the value of `new`; inside of transformations, of the same one."""
    if isinstance(x, Traced):
        x.become(new)
    elif isinstance(x, Node):
        raise GradientError("[setitem] expected a tensor to write to, got a traced value; use where(...) instead")
    elif isinstance(new, Traced):
        raise GradientError(
            f"[setitem] expected a value that {new.level.name} has nothing to do with for a tensor from outside of it, got a "
            "value inside of it; build the result with stack, concat or where and return it"
        )
    else:
        x.assign(new)


def _run(op, operands: tuple, attrs: object, x: Tensor, position: int = 0) -> None:
    """x takes the result of the op on these operands; operand `position`, x itself, gives up its memory."""
    for v in operands:
        if type(v) is not Tensor:
            result = op.apply(operands, attrs)
            write(x, result[0] if type(result) is tuple else result)
            return
    op.apply(operands, attrs, donate=1 << position, into=(x,))


def setitem(x: Tensor, key: object, value: object) -> None:
    """x[key] = value."""
    known = learned("setitem", x.shape, key)
    if type(known) is tuple:
        starts, steps, sizes, shape = known
        value = _value(x, value)
        if value.ndim:
            value = _spread(value, shape)
            value = value if shape == sizes else reshape(value, sizes)
        else:
            value = broadcast_to(value, sizes)
        if size_of(sizes):
            _run(update, (x, value), (starts, steps), x)
        return
    if known is not None:
        indices = known.indices("setitem", x.shape, key)
        _put(x, _value(x, value), known.basic, known.sizes, known.axes, known.at, indices, known.shape)
        return
    value = _value(x, value)
    if type(key) is Tensor and key.dtype.kind == "b" and key.shape == x.shape and not value.ndim:
        _run(e.where, (key, value, x), None, x, position=2)
        return
    parts = normal_parts("setitem", x.shape, key)
    if not any(type(part) is bool or is_value(part) for part in parts):  # ints of other types
        setitem(x, tuple(parts), value)
        return
    if not _set_by_mask(x, parts, value):
        places = Places("setitem", x.shape, parts)
        sizes, axes, indices, shape = places.split()
        whole = all(part is WHOLE for part in places.basic)
        basic = None if whole and sizes == x.shape else places.basic_arguments()
        _put(x, value, basic, sizes, axes, places.at, indices, shape)


def _put(x, value, basic, sizes: tuple, axes: tuple, at: int, indices: list, shape: tuple) -> None:
    """Assign at the indices along `axes` of the part of x that `basic` names (None: all of x), seen with these sizes."""
    value = _spread(value, shape)
    if size_of(shape) == 0:
        return
    if basic is None:
        _run(advanced.index_put, (x, value, *indices), (axes, at, False), x)
        return
    starts, steps, region, found = basic
    part = basic_index(x, starts, steps, region, found)
    part = part if part.shape == sizes else reshape(part, sizes)
    part = advanced.index_put([part, value, *indices], axes, at)
    _run(update, (x, reshape(part, region)), (starts, steps), x)


def _set_by_mask(x: Tensor, parts: list, value: Tensor) -> bool:
    """Assign by one mask of x's leading axes without looking at how many of its elements are true, if that can be done."""
    mask, *rest = parts
    if not is_value(mask) or mask.dtype.kind != "b" or not mask.ndim or mask.shape != x.shape[: mask.ndim]:
        return False
    if any(part is not Ellipsis and (type(part) is not slice or part != slice(None)) for part in rest):
        return False
    behind = x.shape[mask.ndim :]
    own = tuple(value.shape)
    while len(own) > len(behind) and own[0] == 1:
        own = own[1:]
    if len(own) <= len(behind):
        value = _spread(value, behind)
        if behind:
            mask = reshape(mask, (*mask.shape, *(1,) * len(behind)))
        _run(e.where, (mask, value, x), None, x, position=2)
        return True
    if behind or len(own) > 1:
        return False
    count = selection.number_true(mask.detach() if type(mask) is Tensor else mask)
    if own != (count,):
        raise ShapeError(f"[setitem] expected a value that broadcasts to {(count,)}, got shape {tuple(value.shape)}")
    if count:
        _run(masks.masked_scatter, (x, mask, value), None, x)
    return True


def index_put(x: Tensor, indices: tuple, values: object, /, accumulate: bool = False) -> Tensor:
    """A new tensor: `x` with x[indices] = values, or with `values` added there if accumulate, also where places come twice.

    indices: a tuple of index tensors, masks and None (the whole axis), for the first axes of x; values broadcast to the
    shape of x[indices] and become x's dtype.
    """
    x = tensor_argument("index_put", x)
    if not isinstance(indices, (tuple, list)):
        raise ArgumentError(f"[index_put] expected a tuple of index tensors, got {type(indices).__name__}")
    parts = normal_parts("index_put", x.shape, tuple(WHOLE if i is None else i for i in indices))
    if not any(is_value(part) for part in parts) or any(part is None or type(part) is int for part in parts):
        raise ArgumentError("[index_put] expected index tensors, masks and None, at least one of them a tensor")
    places = Places("index_put", x.shape, parts)
    sizes, axes, found, shape = places.split()
    value = _spread(_value(x, values, "index_put"), shape, "index_put")
    result = advanced.index_put([reshape(x, sizes), value, *found], axes, places.at, bool(accumulate))
    return reshape(result, x.shape)
