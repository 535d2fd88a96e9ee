"""What the array namespace says of itself: dtypes, their limits and promotion, devices, capabilities.

Source: Python Array API standard 2025.12, "Inspection", "Data type functions", "Constants".
"""

from __future__ import annotations

from .. import _core
from ..base import dtypes as dt
from ..base.dtypes import DType, as_dtype, promote, strengthen
from ..base.errors import ArgumentError, DTypeError, ValueRangeError
from ..ir.node import Node
from .device import MAX_CPU_DEVICES, Device, as_device, device_of_index

Tensor = _core.Tensor


_KINDS = {
    "bool": dt.BOOL,
    "signed integer": dt.SIGNED,
    "unsigned integer": dt.UNSIGNED,
    "integral": dt.INTEGER,
    "real floating": dt.FLOATING,
    "complex floating": dt.COMPLEX,
    "numeric": dt.NUMERIC,
}
_BEYOND = (dt.float16, dt.bfloat16)  # dtypes that the standard doesn't know

_MAX_DIMENSIONS = 64  # of the core: csrc/tensor/meta.h


def _dtype_of(value: object, function: str) -> DType:
    """The dtype of a tensor, or the dtype that `value` names."""
    return value.dtype if type(value) in (Tensor, Node) else as_dtype(value, function)


def isdtype(dtype: object, kind: object) -> bool:
    """Whether `dtype` is of a kind.

    kind: a dtype; "bool", "signed integer", "unsigned integer", "integral", "real floating", "complex floating" or
    "numeric"; or a tuple of these, of which one must hold. float16 and bfloat16 are real floating.
    """
    own = as_dtype(dtype, "isdtype")
    for one in kind if isinstance(kind, tuple) else (kind,):
        if isinstance(one, str) and one in _KINDS:
            if own in _KINDS[one]:
                return True
        elif isinstance(one, str) and one not in dt.BY_NAME:
            raise ValueRangeError(f"[isdtype] expected kind to be a dtype or one of {', '.join(_KINDS)}, got {one!r}")
        elif as_dtype(one, "isdtype") is own:
            return True
    return False


def can_cast(from_: object, to: object, /) -> bool:
    """Whether a dtype, or that of a tensor, may become `to` under the rules of type promotion."""
    return dt.can_cast(_dtype_of(from_, "can_cast"), as_dtype(to, "can_cast"))


_SCALARS = {bool: dt.weak_bool, int: dt.weak_int, float: dt.weak_float, complex: dt.weak_complex}


def result_type(*arrays_and_dtypes: object) -> DType:
    """The dtype of an operation on these tensors, dtypes and Python scalars; DTypeError where there is none."""
    if not arrays_and_dtypes:
        raise ArgumentError("[result_type] expected at least one tensor, dtype or Python scalar, got none")
    # Scalars give way to the dtypes of all tensors together, so they come last.
    found = [_SCALARS.get(type(one)) or _dtype_of(one, "result_type") for one in arrays_and_dtypes]
    return strengthen(promote("result_type", *sorted(found, key=lambda d: d.weak)))


# Bits of the significand after the point, and the largest exponent (IEEE 754; bfloat16 has float32's exponents).
_FORMS = {dt.float16: (10, 15), dt.bfloat16: (7, 127), dt.float32: (23, 127), dt.float64: (52, 1023)}


class finfo:
    """The limits of a floating dtype, or of that of a tensor; of a complex one, those of its parts.

    Attributes: bits, eps, max, min, smallest_normal (Python numbers), dtype.
    """

    __slots__ = ("bits", "dtype", "eps", "max", "min", "smallest_normal")

    def __init__(self, type: object, /):
        own = dt.real_of(_dtype_of(type, "finfo"))
        if own not in _FORMS:
            raise DTypeError(f"[finfo] expected a floating dtype, got {own}")
        digits, exponent = _FORMS[own]
        self.dtype = own
        self.bits = own.bits
        self.eps = 2.0**-digits
        self.max = (2.0 - 2.0**-digits) * 2.0**exponent
        self.min = -self.max
        self.smallest_normal = 2.0 ** (1 - exponent)

    def __repr__(self) -> str:
        return (
            f"finfo(bits={self.bits}, eps={self.eps}, max={self.max}, min={self.min}, "
            f"smallest_normal={self.smallest_normal}, dtype={self.dtype})"
        )


class iinfo:
    """The limits of an integer dtype, or of that of a tensor. Attributes: bits, max, min, dtype."""

    __slots__ = ("bits", "dtype", "max", "min")

    def __init__(self, type: object, /):
        own = _dtype_of(type, "iinfo")
        if own not in dt.INTEGER:
            raise DTypeError(f"[iinfo] expected an integer dtype, got {own}")
        self.dtype = own
        self.bits = own.bits
        self.max = 2 ** (own.bits - (own.kind == "i")) - 1
        self.min = -self.max - 1 if own.kind == "i" else 0

    def __repr__(self) -> str:
        return f"iinfo(bits={self.bits}, max={self.max}, min={self.min}, dtype={self.dtype})"


class NamespaceInfo:
    """What `__array_namespace_info__` returns."""

    __slots__ = ()

    def capabilities(self) -> dict:
        """Which optional parts of the standard are there."""
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": _MAX_DIMENSIONS}

    def default_device(self) -> Device:
        """Where new tensors are placed."""
        return as_device(None)

    def default_dtypes(self, *, device: object = None) -> dict:
        """The dtypes of results for which none was asked, by kind."""
        as_device(device, "default_dtypes")
        return {
            "real floating": dt.DEFAULT_FLOAT,
            "complex floating": dt.DEFAULT_COMPLEX,
            "integral": dt.DEFAULT_INT,
            "indexing": dt.DEFAULT_INT,
        }

    def dtypes(self, *, device: object = None, kind: object = None) -> dict:
        """The standard's dtypes by name, all or those of a kind as `isdtype` takes it. (twain has float16 and bfloat16
        besides, which the standard doesn't know.)"""
        as_device(device, "dtypes")
        wanted = tuple(_KINDS) if kind is None else kind
        known = [d for d in dt.ANY if d not in _BEYOND]
        return {d.name: d for d in known if isdtype(d, wanted)}

    def devices(self) -> tuple:
        """All devices."""
        return tuple(device_of_index(i) for i in range(MAX_CPU_DEVICES))


def __array_namespace_info__() -> NamespaceInfo:
    """Functions that tell what this namespace has: capabilities, default_device, default_dtypes, dtypes, devices."""
    return NamespaceInfo()
