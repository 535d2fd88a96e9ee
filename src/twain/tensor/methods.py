"""What a Tensor can do beside its operators: methods and properties, most of them ops under their own names."""

from __future__ import annotations

import sys

from .. import _core
from ..base.dtypes import BY_NAME, as_dtype, check_cast, check_int, int_fits
from ..base.errors import ArgumentError, AxisError, GradientError, ShapeError, ValueRangeError
from ..base.shapes import normalize_axes, normalize_axis
from ..ir.node import Node
from ..ops import elementwise as e
from ..ops import linalg, rearrange, reduce
from ..ops import shape as shape_ops
from ..ops.index import tril, triu
from ..transforms import levels
from . import exchange
from .assignment import setitem
from .bounds import take
from .creation import as_operand, asarray, contiguous, tensor_argument, to_device
from .device import Device, as_device
from .indexing import getitem, nonzero
from .printing import to_numpy, to_repr

Tensor = _core.Tensor


def fresh(x: Tensor) -> Tensor:
    """Another handle on the value of `x`, for results that equal their operand: writing to one must not reach the other."""
    return shape_ops.reshape(x, x.shape)


def astype(x: Tensor, dtype: object, /, *, copy: bool = True, device: object = None) -> Tensor:
    """`x` converted to `dtype`; with copy=False `x` itself where it is of that dtype. Floats truncate to ints (NaN gives 0,
    numbers out of range the nearest limit), half precision rounds to nearest even. DTypeError for complex to real."""
    x = tensor_argument("astype", x)
    target = as_dtype(dtype, "astype")
    if x.dtype is not target:
        check_cast("astype", x.dtype, target)
        x, copy = e.cast(x, target), False
    if device is not None and x.device != as_device(device, "astype"):
        return to_device(x, device)
    return fresh(x) if copy else x


def to(x: Tensor, *targets: object, dtype: object = None, device: object = None) -> Tensor:
    """`x` on a device and/or as a dtype: x.to("cpu:1"), x.to(twain.float64), x.to(device=..., dtype=...)."""
    for target in targets:
        if isinstance(target, Device) or (isinstance(target, str) and target.startswith("cpu")):
            device = target
        elif isinstance(target, str) and target not in BY_NAME:
            raise ArgumentError(f"[to] expected a device such as 'cpu:0' or a dtype such as 'float32', got {target!r}")
        else:
            dtype = target
    if dtype is not None:
        x = astype(x, dtype, copy=False)
    return x if device is None else to_device(x, device)


def reshape(x: Tensor, /, shape: object, *, copy: bool | None = None) -> Tensor:
    """The elements of `x`, in row-major order, in another shape; one size may be -1.

    The result shares the memory of `x` where the layout allows. copy=False: raises ValueError where it doesn't. (Whether
    memory is shared can't be seen otherwise, as values never change: copy=True asks for nothing more.)
    """
    result = shape_ops.reshape(x, shape)
    if copy is False and type(x) is Tensor and x.size and result.data_ptr() != x.data_ptr():
        raise ValueRangeError(
            f"[reshape] expected copy=True or None, as shape {tuple(x.shape)} with strides {tuple(x.strides)} can't be viewed "
            f"as {tuple(result.shape)}, got copy=False"
        )
    return result


def expand_dims(x: Tensor, /, axis: int | tuple = 0) -> Tensor:
    """A view with an axis of size 1 inserted at `axis`; with several, at these axes of the result."""
    x = tensor_argument("expand_dims", x)
    if not isinstance(axis, (tuple, list)):
        at = normalize_axis("expand_dims", axis, x.ndim + 1)
        return shape_ops.reshape(x, (*x.shape[:at], 1, *x.shape[at:]))
    rank = x.ndim + len(axis)
    axes = normalize_axes("expand_dims", axis, rank)
    rest = iter(x.shape)
    return shape_ops.reshape(x, tuple(1 if i in axes else next(rest) for i in range(rank)))


def squeeze(x: Tensor, /, axis: object = None) -> Tensor:
    """A view without the given axes of size 1 (all of them for None)."""
    x = tensor_argument("squeeze", x)
    axes = (
        tuple(i for i, d in enumerate(x.shape) if d == 1) if axis is None else normalize_axes("squeeze", axis, x.ndim)
    )
    for a in axes:
        if x.shape[a] != 1:
            raise ShapeError(f"[squeeze] expected axis {a} to have size 1, got shape {tuple(x.shape)}")
    return shape_ops.reshape(x, tuple(d for i, d in enumerate(x.shape) if i not in axes))


def flatten(x: Tensor, start_axis: int = 0, end_axis: int = -1) -> Tensor:
    """The axes from start_axis to end_axis as one."""
    x = tensor_argument("flatten", x)
    if x.ndim == 0:
        return shape_ops.reshape(x, (1,))
    first, last = normalize_axis("flatten", start_axis, x.ndim), normalize_axis("flatten", end_axis, x.ndim)
    if first > last:
        raise ArgumentError(f"[flatten] expected start_axis <= end_axis, got {start_axis} and {end_axis}")
    return shape_ops.reshape(
        x, (*x.shape[:first], -1, *x.shape[last + 1 :]) if x.size else _merged(x.shape, first, last)
    )


def _merged(sizes: tuple, first: int, last: int) -> tuple:
    product = 1
    for d in sizes[first : last + 1]:
        product *= d
    return (*sizes[:first], product, *sizes[last + 1 :])


def transpose(x: Tensor, axis1: int | None = None, axis2: int | None = None) -> Tensor:
    """Two axes exchanged; with none given, all reversed (as NumPy's)."""
    x = tensor_argument("transpose", x)
    order = list(range(x.ndim))
    if axis1 is None:
        order.reverse()
    else:
        a, b = normalize_axis("transpose", axis1, x.ndim), normalize_axis("transpose", axis2, x.ndim)
        order[a], order[b] = order[b], order[a]
    return shape_ops.permute_dims(x, tuple(order))


def moveaxis(x: Tensor, source: int | tuple, destination: int | tuple, /) -> Tensor:
    """Axis `source` moved to `destination`; or several, each to its own. The others keep their order."""
    x = tensor_argument("moveaxis", x)
    sources = source if isinstance(source, (tuple, list)) else (source,)
    targets = destination if isinstance(destination, (tuple, list)) else (destination,)
    if len(sources) != len(targets):
        raise ArgumentError(f"[moveaxis] expected as many destinations as sources, got {source} and {destination}")
    from_ = [normalize_axis("moveaxis", a, x.ndim) for a in sources]
    to_ = [normalize_axis("moveaxis", a, x.ndim) for a in targets]
    if len(set(from_)) < len(from_) or len(set(to_)) < len(to_):
        raise AxisError(f"[moveaxis] expected distinct axes, got {source} and {destination}")
    order = [i for i in range(x.ndim) if i not in from_]
    for at, a in sorted(zip(to_, from_)):
        order.insert(at, a)
    return shape_ops.permute_dims(x, tuple(order))


def _tensors(function: str, arrays: object) -> list:
    """The arrays to join; NumPy's become tensors."""
    if not hasattr(arrays, "__iter__"):
        raise ArgumentError(f"[{function}] expected a sequence of tensors, got {type(arrays).__name__}")
    found = list(arrays)
    for i, one in enumerate(found):
        if type(one) is Tensor:
            continue
        if not hasattr(one, "shape"):
            raise ArgumentError(f"[{function}] expected a sequence of tensors, got {type(one).__name__} for item {i}")
        if hasattr(one, "__array__"):
            found[i] = asarray(one)
    return found


def _joined(function: str, op, arrays: object, axis: object) -> Tensor:
    """`op` of a sequence of tensors; NumPy's arrays become tensors."""
    if type(arrays) is list or type(arrays) is tuple:
        for one in arrays:
            if type(one) is not Tensor:
                break
        else:
            return op(arrays, axis)
    return op(_tensors(function, arrays), axis)


@_core.Remembered
def stack(arrays: object, /, *, axis: int = 0) -> Tensor:
    """Tensors of one shape joined along a new axis."""
    return _joined("stack", rearrange.stack, arrays, axis)


@_core.Remembered
def concat(arrays: object, /, *, axis: int | None = 0) -> Tensor:
    """Tensors joined along an existing axis (None: flattened first)."""
    if axis is None:
        arrays = [shape_ops.reshape(a, (a.size,)) for a in _tensors("concat", arrays)]
        axis = 0
    return _joined("concat", shape_ops.concat, arrays, axis)


def flip(x: Tensor, /, *, axis: object = None) -> Tensor:
    """The order of elements reversed along the given axes (all for None)."""
    return rearrange.flip(x, axis)


def roll(x: Tensor, /, shift: object, *, axis: object = None) -> Tensor:
    """Elements shifted along axes, those pushed out coming back at the other end; axis None shifts the flattened array."""
    return rearrange.roll(x, shift, axis)


def clip(x: Tensor, /, min: object = None, max: object = None) -> Tensor:
    """Each element limited to [min, max]; None leaves that side open.

    min, max: numbers, or tensors that broadcast with x. Where min > max the result is max; NaN in x stays NaN. An int bound
    that an integer dtype can't reach limits nothing; one that no element could satisfy is an OverflowError.
    """
    x = tensor_argument("clip", x)
    if x.dtype.is_integer:
        if type(min) is int and min < 0 and not int_fits(x.dtype, min):
            min = None
        if type(max) is int and max > 0 and not int_fits(x.dtype, max):
            max = None
        for bound in (min, max):
            if type(bound) is int:
                check_int("clip", bound, x.dtype)
    if min is None and max is None:
        return fresh(x)
    if max is None:
        return e.clip_low(x, min)
    return e.clip_high(x, max) if min is None else e.clip(x, min, max)


def matrix_transpose(x: Tensor, /) -> Tensor:
    """The last two axes exchanged."""
    x = tensor_argument("matrix_transpose", x)
    if x.ndim < 2:
        raise ShapeError(f"[matrix_transpose] expected at least 2 dimensions, got shape {tuple(x.shape)}")
    return linalg.transpose_last(x)


@_core.Remembered
def _transposed(x: Tensor) -> Tensor:
    return shape_ops.permute_dims(x, tuple(range(x.ndim - 1, -1, -1)))


def _reshape(x: Tensor, *sizes: object, copy: bool | None = None) -> Tensor:
    wanted = sizes[0] if len(sizes) == 1 else sizes
    return shape_ops.reshape(x, wanted) if copy is None else reshape(x, wanted, copy=copy)


def _permute(x: Tensor, *axes: object) -> Tensor:
    return shape_ops.permute_dims(x, axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes)


def _iterate(x: Tensor):
    if x.ndim == 0:
        raise TypeError("iteration over a 0-d tensor")
    return (x[i] for i in range(x.shape[0]))


def array_interface(x: Tensor, dtype=None, copy=None):
    """`numpy.asarray(x)`: a read-only view, or a copy where dtype or copy ask for one."""
    if x.requires_grad:
        raise ArgumentError("[numpy] expected a tensor without a gradient history; use x.detach()")
    data = to_numpy(x)
    if dtype is not None and data.dtype != dtype:
        return data.astype(dtype)
    return data.copy() if copy else data


STANDARD_VERSIONS = ("2021.12", "2022.12", "2023.12", "2024.12", "2025.12")


def array_namespace(x: Tensor, /, *, api_version: str | None = None):
    """The module whose functions take this tensor (Python Array API standard)."""
    if api_version is not None and api_version not in STANDARD_VERSIONS:
        raise ValueRangeError(
            f"[__array_namespace__] expected api_version to be one of {', '.join(STANDARD_VERSIONS)}, got {api_version!r}"
        )
    return sys.modules["twain"]


def to_device_method(x: Tensor, device: object, /, *, stream: object = None) -> Tensor:
    """`x` on another device, copied there; the same tensor if it is there already. CPU devices have no streams."""
    if stream is not None:
        raise ArgumentError(f"[to_device] expected stream to be None, as devices here have no streams, got {stream!r}")
    return to_device(x, device)


def copy_method(x: Tensor) -> Tensor:
    """`copy.copy(x)`: another handle on the same value; a later write to one doesn't reach the other."""
    result = x.detach()
    return result.requires_grad_() if x.requires_grad else result


def deepcopy_method(x: Tensor, memo: dict) -> Tensor:
    """`copy.deepcopy(x)`: as copy_method, the gradient copied too. Results of ops are refused: their history isn't data."""
    if not x.is_leaf:
        raise GradientError("[deepcopy] expected a leaf tensor, got the result of an op; use x.detach()")
    result = memo[id(x)] = copy_method(x)
    if x.grad is not None:
        result.grad = copy_method(x.grad)
    return result


def numpy_method(x: Tensor, *, copy: bool = False):
    """A NumPy array: read-only over the same memory, or a writable copy. Refuses tensors that require grad."""
    if x.requires_grad:
        raise ArgumentError("[numpy] expected a tensor without a gradient history; use x.detach().numpy()")
    return to_numpy(x).copy() if copy else to_numpy(x)


METHODS = {
    **{op.name: op for op in (
        e.abs, e.exp, e.log, e.log1p, e.expm1, e.sqrt, e.rsqrt, e.sin, e.cos, e.tan, e.tanh, e.sinh, e.cosh, e.erf,
        e.sigmoid, e.relu, e.floor, e.ceil, e.round, e.trunc, e.sign, e.square, e.reciprocal, e.isnan, e.isinf, e.isfinite,
        e.maximum, e.minimum, e.logical_and, e.logical_or, e.logical_not, e.logical_xor, e.add, e.subtract, e.multiply,
        e.divide, e.negative, e.power, e.conj, reduce.sum, reduce.prod, reduce.max, reduce.min, reduce.any, reduce.all,
        reduce.argmax, reduce.argmin, reduce.mean, reduce.var, reduce.std, reduce.logsumexp, linalg.matmul, tril, triu,
        shape_ops.broadcast_to,
    )},
    "reshape": _reshape, "view": _reshape, "permute_dims": _permute, "permute": _permute, "transpose": transpose,
    "squeeze": squeeze, "expand_dims": expand_dims, "unsqueeze": expand_dims, "flatten": flatten, "astype": astype, "to": to,
    "take": take, "clip": clip, "clamp": clip, "contiguous": contiguous, "nonzero": nonzero, "flip": flip, "roll": roll,
    **exchange.PROTOCOLS,
    "__copy__": copy_method, "__deepcopy__": deepcopy_method, "__array__": array_interface, "numpy": numpy_method,
    "float": lambda x: astype(x, "float32"), "double": lambda x: astype(x, "float64"), "long": lambda x: astype(x, "int64"),
    "int": lambda x: astype(x, "int32"), "bool": lambda x: astype(x, "bool"), "bfloat16": lambda x: astype(x, "bfloat16"),
    "half": lambda x: astype(x, "float16"),
    "cpu": lambda x: x, "__array_namespace__": array_namespace, "to_device": to_device_method,
}  # fmt: skip


def _needs_values(name: str):
    def method(x: Node, *args: object, **kwargs: object) -> None:
        raise GradientError(
            f"[{name}] expected a tensor with values, got one that stands for many: inside of vmap and jvp nothing can be "
            "read; compute it outside and pass it in, or use where(...)"
        )

    return method


def install() -> None:
    """Complete the Tensor type, and give traced values the methods that need no values."""
    for name, function in METHODS.items():
        _core.set_method(name, function)
        if not hasattr(Node, name) and name not in ("contiguous", "to", "cpu"):
            setattr(Node, name, function)
    for name in ("item", "tolist", "numpy", "nonzero", "backward", "__array__", "__float__", "__int__"):
        setattr(Node, name, _needs_values(name))
    Node.T = property(_transposed)
    Node.mT = property(matrix_transpose)
    Node.__getitem__ = getitem
    Node.real = property(e.real)
    Node.imag = property(e.imag)
    _core.set_property("real", e.real)
    _core.set_property("imag", e.imag)
    _core.set_property("T", _transposed)
    _core.set_property("mT", matrix_transpose)
    _core.set_operator("getitem", getitem)
    _core.set_operator("setitem", setitem)
    _core.set_operator("divmod", exchange.divmod_tensor)
    _core.set_operator("contains", exchange.contains)
    _core.set_method("__array_priority__", 1000.0)  # array + tensor is ours to compute, not NumPy's
    _core.install(repr=to_repr, numpy=to_numpy, convert=as_operand)
    levels.convert = as_operand
    levels.Traced.__setitem__ = setitem
