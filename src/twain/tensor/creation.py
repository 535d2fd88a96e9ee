"""Making tensors: from Python data, NumPy and DLPack, and by formula."""

from __future__ import annotations

import array
import math
import sys

from .. import _core
from ..base import dtypes as dt
from ..base.dtypes import DType, as_dtype
from ..base.errors import ArgumentError, DTypeError, ShapeError, ValueRangeError
from ..base.lazy import LazyModule
from ..base.shapes import as_index, check_shape
from ..ir.node import Node
from ..ops import index as index_ops
from ..ops.elementwise import cast
from ..ops.placement import move
from ..ops.shape import concat, reshape
from .device import as_device

Tensor = _core.Tensor
default_device = _core.default_device
numpy = LazyModule("numpy")

_ARRAY_CODES = {"b": "B", "i": "q", "f": "d"}
_KINDS = {bool: "b", int: "i", float: "f", complex: "c"}


def asarray(obj: object, /, *, dtype: object = None, device: object = None, copy: bool | None = None) -> Tensor:
    """A tensor of `obj`: a tensor, a Python scalar, nested sequences of them, a NumPy array or anything with a buffer.

    Python ints become int64, floats float32, complex complex64, unless `dtype` says otherwise. Data from outside is copied;
    with copy=False the memory of an array in row-major order is borrowed instead, never written here, and should not be
    written by its owner while the tensor lives. copy=True gives a new tensor even of a tensor.
    Raises DTypeError for data that has no dtype here, ShapeError for ragged sequences, ValueError where copy=False cannot be.
    """
    wanted = None if dtype is None else as_dtype(dtype, "asarray")
    if copy is False:
        return _borrowed(obj, wanted, device)
    if type(obj) is Tensor or isinstance(obj, Node):
        result = obj
    elif type(obj) in _KINDS:
        result = _from_flat([obj], (), _KINDS[type(obj)], wanted, device)
    elif isinstance(obj, (list, tuple, range)):
        result = _from_sequence(obj, wanted, device)
    elif hasattr(obj, "__array_interface__"):
        result = _from_numpy(numpy.asarray(obj), device)
    elif hasattr(obj, "__dlpack__") and (found := _through_dlpack(obj, device)) is not None:
        result = found
    elif hasattr(obj, "__array__"):
        result = _from_numpy(numpy.asarray(obj), device)
    else:
        try:
            view = memoryview(obj)
        except TypeError:
            raise ArgumentError(
                f"[asarray] expected an array, a buffer, a scalar or nested sequences, got {type(obj).__name__}"
            ) from None
        result = _from_numpy(numpy.asarray(view), device)
    if wanted is not None and result.dtype is not wanted:
        dt.check_cast("asarray", result.dtype, wanted)
        result = cast(result, wanted)
    if device is not None and result.device != as_device(device, "asarray"):
        result = to_device(result, device)
    if copy and result is obj and not isinstance(obj, Node):
        result = _core.copy(result) if hasattr(_core, "copy") else reshape(result, result.shape)
    return result


def _through_dlpack(obj: object, device: object) -> Tensor | None:
    """A copy of an array of another library, dtypes that NumPy doesn't know included; None if it doesn't hand it over."""
    try:
        return from_dlpack(obj, device=device, copy=True)
    except BufferError:
        return None


def _borrowed(obj: object, wanted: DType | None, device: object) -> Tensor:
    """`asarray` with copy=False: `obj` itself or a tensor on its memory."""
    if type(obj) is Tensor or isinstance(obj, Node):
        result = obj
    elif hasattr(obj, "__array_interface__") or hasattr(obj, "__array__"):
        data = numpy.asarray(obj)
        ours = _dtype_of_numpy(data.dtype)
        aligned = data.flags.c_contiguous and data.flags.aligned and data.dtype.isnative and data.size
        if not aligned or not (hasattr(obj, "__array_interface__") and data.__array_interface__["data"][0]):
            raise ValueRangeError(
                "[asarray] expected copy=True or None for this array: its memory can't be used as it is"
            )
        meta = _core.meta(ours.code, data.shape, None, as_device(device, "asarray").index)
        result = _core.wrap(data.__array_interface__["data"][0], data.nbytes, data, meta)
    else:
        raise ValueRangeError(
            f"[asarray] expected an array for copy=False, got {type(obj).__name__}, which must be copied"
        )
    if wanted is not None and result.dtype is not wanted:
        raise ValueRangeError(
            f"[asarray] expected copy=True or None, as {result.dtype} becomes {wanted}, got copy=False"
        )
    if device is not None and result.device != as_device(device, "asarray"):
        raise ValueRangeError(f"[asarray] expected copy=True or None, as the device becomes {device}, got copy=False")
    return result


_NUMPY_DTYPES: dict = {}  # NumPy dtype -> ours


def _dtype_of_numpy(dtype) -> DType:
    found = _NUMPY_DTYPES.get(dtype)
    if found is None:
        found = dt.BY_NAME.get(dtype.name)
        if found is None or found.weak:
            raise DTypeError(f"[asarray] expected an array of bool, int, float or complex dtype, got {dtype}")
        if dtype.isnative:
            _NUMPY_DTYPES[dtype] = found
    return found


def _from_numpy(data, device: object) -> Tensor:
    ours = _dtype_of_numpy(data.dtype)
    if ours is dt.bfloat16:  # ml_dtypes: the bits are what counts
        data = data.view("uint16")
    if not data.dtype.isnative:
        data = data.astype(data.dtype.newbyteorder("="))
    if not data.flags.c_contiguous:
        data = numpy.ascontiguousarray(data)
    meta = _core.meta(ours.code, data.shape, None, as_device(device, "asarray").index)
    return _core.from_buffer(meta, data if data.size else b"")


def _from_sequence(obj: object, wanted: DType | None, device: object) -> Tensor:
    flat: list = []
    tensors: list = []
    shape: list[int] = []

    def walk(item: object, depth: int) -> None:
        if isinstance(item, (list, tuple, range)):
            if len(shape) == depth:
                if flat:
                    raise ShapeError("[asarray] expected sequences of equal depth, got scalars beside sequences")
                shape.append(len(item))
            elif shape[depth] != len(item):
                raise ShapeError(
                    f"[asarray] expected sequences of equal length, got {shape[depth]} and {len(item)} at depth {depth}"
                )
            for one in item:
                walk(one, depth + 1)
            return
        if len(shape) != depth:
            raise ShapeError("[asarray] expected sequences of equal depth, got scalars beside sequences")
        if type(item) in _KINDS:
            flat.append(item)
        elif type(item) is Tensor or isinstance(item, Node) or hasattr(item, "__array__"):
            tensors.append(item)
        elif hasattr(item, "__index__"):
            flat.append(item.__index__())
        elif hasattr(item, "__float__"):
            flat.append(float(item))
        else:
            raise ArgumentError(f"[asarray] expected numbers, got {type(item).__name__}")

    walk(obj, 0)
    if tensors:
        if flat or len(shape) != 1:
            flat = [t.item() if hasattr(t, "item") else t for t in _leaves(obj)]
        else:
            parts = [asarray(t, device=device) for t in tensors]
            return concat([reshape(t, (1, *t.shape)) for t in parts], 0)
    kinds = {type(x) for x in flat}
    kind = "c" if complex in kinds else "f" if float in kinds else "i" if int in kinds else "b" if kinds else "f"
    return _from_flat(flat, tuple(shape), kind, wanted, device)


def _leaves(obj: object):
    for item in obj:
        if isinstance(item, (list, tuple, range)):
            yield from _leaves(item)
        else:
            yield item


def _from_flat(flat: list, shape: tuple, kind: str, wanted: DType | None, device: object) -> Tensor:
    """A tensor of Python scalars of one kind: stored wide, then cast."""
    if kind == "c":
        dt.check_cast("asarray", dt.DEFAULT_COMPLEX, wanted or dt.DEFAULT_COMPLEX)
        data = array.array("d", [part for x in flat for part in (complex(x).real, complex(x).imag)])
        stored, default = dt.complex128, dt.DEFAULT_COMPLEX
    else:
        if kind == "i" and wanted is dt.uint64:
            data, stored, default = array.array("Q", flat), dt.uint64, dt.uint64
        else:
            if (
                kind == "i"
                and wanted is not None
                and wanted.kind in "fc"
                and not all(dt.int_fits(dt.int64, x) for x in flat)
            ):
                kind, flat = "f", [float(x) for x in flat]
            try:
                data = array.array(_ARRAY_CODES[kind], flat)
            except OverflowError:
                raise OverflowError("[asarray] expected Python ints that fit int64, got a larger one") from None
            stored = {"b": dt.bool_, "i": dt.int64, "f": dt.float64}[kind]
            default = {"b": dt.bool_, "i": dt.DEFAULT_INT, "f": dt.DEFAULT_FLOAT}[kind]
    result = _core.from_buffer(
        _core.meta(stored.code, shape, None, as_device(device, "asarray").index),
        memoryview(data).cast("B") if len(data) else b"",
    )
    target = wanted or default
    if kind == "i" and flat:
        dt.check_int("asarray", min(flat), target)
        dt.check_int("asarray", max(flat), target)
    return result if stored is target else cast(result, target)


def as_operand(op, position: int, value: object) -> object:
    """What an op takes for an operand that is neither a tensor nor a Python number: the core's convert callback.

    NumPy's scalars count as Python's, its arrays are copied; anything else is refused.
    """
    loaded = sys.modules.get("numpy")
    if loaded is not None:
        if isinstance(value, loaded.generic):
            return value.item()
        if isinstance(value, loaded.ndarray):
            return asarray(value)
    if isinstance(value, (float, complex)):  # of a subclass
        return value.__float__() if isinstance(value, float) else value.__complex__()
    return value.__int__() if isinstance(value, int) else NotImplemented


def from_dlpack(x: object, /, *, device: object = None, copy: bool | None = None) -> Tensor:
    """A tensor over the memory of any object with `__dlpack__`, borrowed (it is never written here) unless copy is True.

    device: where the result is (None: where a tensor is, else the default device). Raises BufferError for memory that can't
    be used here, such as an accelerator's; ValueError where copy=False cannot be.
    """
    if type(x) is Tensor:  # the capsule would forget which of the CPU devices it is on
        target = x.device if device is None else as_device(device, "from_dlpack")
        if target != x.device and copy is False:
            raise ValueRangeError(
                f"[from_dlpack] expected copy=True or None, as the device becomes {target}, got copy=False"
            )
        if target != x.device:
            return to_device(x.detach(), target)
        return _core.copy(x) if copy else x.detach()
    if not hasattr(x, "__dlpack__"):
        raise ArgumentError(f"[from_dlpack] expected an object with __dlpack__, got {type(x).__name__}")
    return _core.from_dlpack(x, as_device(device, "from_dlpack").index, copy)


def to_device(x: Tensor, device: object) -> Tensor:
    """`x` on another device, copied there; the same tensor if it is there already. Gradients go back to where `x` is."""
    target, source = as_device(device, "to"), x.device
    return x if source == target else move(x, target.index, source.index)


@_core.Remembered
def contiguous(x: Tensor) -> Tensor:
    """`x` in row-major order without gaps (itself if it is)."""
    if x.is_contiguous():
        return x
    return reshape(reshape(x, (x.size,)), x.shape)


# ---------------------------------------------------------------- by formula
def _place(x: Tensor, device: object) -> Tensor:
    return x if device is None and not default_device() else to_device(x, as_device(device))


@_core.Remembered
def full(shape: object, fill_value: object, *, dtype: object = None, device: object = None) -> Tensor:
    """A tensor of `shape` with every element `fill_value`."""
    if dtype is None:
        kind = _KINDS.get(type(fill_value))
        dtype = {"b": dt.bool_, "i": dt.DEFAULT_INT, "f": dt.DEFAULT_FLOAT, "c": dt.DEFAULT_COMPLEX}.get(
            kind
        ) or getattr(fill_value, "dtype", None)
        if dtype is None:
            raise ArgumentError(f"[full] expected fill_value to be a number or a 0-d tensor, got {fill_value!r}")
    target = as_dtype(dtype, "full")
    if type(fill_value) is int:
        dt.check_int("full", fill_value, target)
    else:
        dt.check_cast(
            "full", dt.weak_complex if type(fill_value) is complex else getattr(fill_value, "dtype", target), target
        )
    return _place(index_ops.full(fill_value, check_shape("full", shape), target), device)


@_core.Remembered
def zeros(shape: object, *, dtype: object = None, device: object = None) -> Tensor:
    """A tensor of zeros (float32 unless told)."""
    return _place(
        index_ops.full(0, check_shape("zeros", shape), dt.DEFAULT_FLOAT if dtype is None else as_dtype(dtype, "zeros")),
        device,
    )


@_core.Remembered
def ones(shape: object, *, dtype: object = None, device: object = None) -> Tensor:
    """A tensor of ones (float32 unless told)."""
    return _place(
        index_ops.full(1, check_shape("ones", shape), dt.DEFAULT_FLOAT if dtype is None else as_dtype(dtype, "ones")),
        device,
    )


def empty(shape: object, *, dtype: object = None, device: object = None) -> Tensor:
    """A tensor whose elements are whatever was in memory."""
    dtype = dt.DEFAULT_FLOAT if dtype is None else as_dtype(dtype, "empty")
    return _core.empty(_core.meta(dtype.code, check_shape("empty", shape), None, as_device(device, "empty").index))


@_core.Remembered
def full_like(x: Tensor, /, fill_value: object, *, dtype: object = None, device: object = None) -> Tensor:
    """`full` with the shape, dtype and device of `x`."""
    x = tensor_argument("full_like", x)
    return full(x.shape, fill_value, dtype=dtype or x.dtype, device=device or x.device)


@_core.Remembered
def zeros_like(x: Tensor, /, *, dtype: object = None, device: object = None) -> Tensor:
    """`zeros` with the shape, dtype and device of `x`."""
    x = tensor_argument("zeros_like", x)
    return zeros(x.shape, dtype=dtype or x.dtype, device=device or x.device)


@_core.Remembered
def ones_like(x: Tensor, /, *, dtype: object = None, device: object = None) -> Tensor:
    """`ones` with the shape, dtype and device of `x`."""
    x = tensor_argument("ones_like", x)
    return ones(x.shape, dtype=dtype or x.dtype, device=device or x.device)


def empty_like(x: Tensor, /, *, dtype: object = None, device: object = None) -> Tensor:
    """`empty` with the shape, dtype and device of `x`."""
    x = tensor_argument("empty_like", x)
    return empty(x.shape, dtype=dtype or x.dtype, device=device or x.device)


def tensor_argument(function: str, x: object, name: str = "x") -> object:
    """`x` if it is a tensor, as a tensor if it is an array of another library; ArgumentError for anything else."""
    if type(x) is Tensor or isinstance(x, Node):
        return x
    if hasattr(x, "__array__"):
        return asarray(x)
    raise ArgumentError(f"[{function}] expected {name} to be a tensor or an array, got {type(x).__name__}")


def _number(function: str, name: str, value: object, kinds: tuple = (int, float)) -> object:
    """An argument as a Python number: also a NumPy scalar, or a 0-d tensor."""
    if type(value) in kinds:
        return value
    if not isinstance(value, bool) and getattr(value, "shape", ()) == () and hasattr(value, "item"):
        value = value.item()
    if not isinstance(value, kinds) or isinstance(value, bool):
        expected = " or ".join({int: "an int", float: "a float", complex: "a complex"}[k] for k in kinds)
        raise ArgumentError(f"[{function}] expected {name} to be {expected}, got {value!r}")
    return value


@_core.Remembered
def arange(
    start: object, /, stop: object = None, step: object = 1, *, dtype: object = None, device: object = None
) -> Tensor:
    """start, start + step, ... below stop; arange(n) counts from 0. int64 if all are ints, else float32."""
    if type(start) is int and dtype is None and type(step) is int and step:  # the usual case, quickly
        if stop is None:
            return _place(index_ops.arange(0, step, max(0, -(-start // step)), dt.DEFAULT_INT), device)
        if type(stop) is int:
            return _place(index_ops.arange(start, step, max(0, -((start - stop) // step)), dt.DEFAULT_INT), device)
    if stop is None:
        start, stop = 0, start
    start, stop, step = (
        _number("arange", name, v) for name, v in (("start", start), ("stop", stop), ("step", step))
    )  # fmt: skip
    if step == 0:
        raise ValueRangeError("[arange] expected a step other than 0")
    whole = all(isinstance(v, int) for v in (start, stop, step))
    target = as_dtype(dtype, "arange") if dtype is not None else dt.DEFAULT_INT if whole else dt.DEFAULT_FLOAT
    if target.kind == "b":
        raise DTypeError("[arange] expected a numeric dtype, got bool")
    if whole:
        count = -((start - stop) // step)
    elif math.isfinite(length := (stop - start) / step):
        count = math.ceil(length)
    else:
        raise ValueRangeError(f"[arange] expected finite start, stop and step, got {start}, {stop} and {step}")
    return _place(index_ops.arange(start, step, max(0, count), target), device)


@_core.Remembered
def linspace(
    start: object, stop: object, /, num: int, *, dtype: object = None, device: object = None, endpoint: bool = True
) -> Tensor:
    """`num` evenly spaced numbers from start to stop (included unless endpoint is False), computed in float64."""
    num = as_index("linspace", "num", num)
    if num < 0:
        raise ValueRangeError(f"[linspace] expected num >= 0, got {num}")
    kinds = (int, float, complex)
    start, stop = _number("linspace", "start", start, kinds), _number("linspace", "stop", stop, kinds)
    kind = complex if complex in (type(start), type(stop)) else float
    default = dt.DEFAULT_COMPLEX if kind is complex else dt.DEFAULT_FLOAT
    target = default if dtype is None else as_dtype(dtype, "linspace")
    dt.check_cast("linspace", default, target)
    return _place(index_ops.linspace(kind(start), kind(stop), num, target, bool(endpoint)), device)


@_core.Remembered
def eye(
    n_rows: int, n_cols: int | None = None, /, *, k: int = 0, dtype: object = None, device: object = None
) -> Tensor:
    """Ones on the k-th diagonal, zeros elsewhere."""
    target = dt.DEFAULT_FLOAT if dtype is None else as_dtype(dtype, "eye")
    rows = as_index("eye", "n_rows", n_rows)
    return _place(
        index_ops.eye(
            rows, rows if n_cols is None else as_index("eye", "n_cols", n_cols), as_index("eye", "k", k), target
        ),
        device,
    )


__all__ = [
    "arange", "asarray", "contiguous", "empty", "empty_like", "eye", "from_dlpack", "full", "full_like", "linspace", "ones",
    "ones_like", "to_device", "zeros", "zeros_like",
]  # fmt: skip
