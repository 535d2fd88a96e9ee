"""Element types, their codes (shared with the C++ core) and the Array API's promotion rules.

Source of the rules: Python Array API standard 2025.12, "Type Promotion Rules"; bfloat16 promotes like float16 does,
and bfloat16 with float16 gives float32 (as in PyTorch).
"""

from __future__ import annotations

from .errors import DTypeError
from .lazy import LazyModule

numpy = LazyModule("numpy")


class DType:
    """An element type. Compare with `is` or `==`; `str(dtype)` is its name, `numpy_name` what NumPy calls it (or None)."""

    __slots__ = ("bits", "code", "itemsize", "kind", "name", "weak")

    def __init__(self, code: int, name: str, kind: str, itemsize: int, weak: bool = False):
        self.code = code
        self.name = name
        self.kind = kind  # "b" bool, "i" signed, "u" unsigned, "f" real floating, "c" complex floating
        self.itemsize = itemsize
        self.bits = itemsize * 8
        self.weak = weak  # the type of a Python scalar: gives way to any type of its kind

    def __repr__(self) -> str:
        return f"twain.{self.name}"

    def __str__(self) -> str:
        return self.name

    def __hash__(self) -> int:
        return hash(self.name)

    def __eq__(self, other: object) -> bool:
        return self is other

    def __reduce__(self):
        return (by_name, (self.name,))

    @property
    def numpy_name(self) -> str | None:
        return None if self.weak or self is bfloat16 else self.name

    @property
    def __numpy_dtype__(self):
        """What NumPy (from 2.4 on) takes it for where it expects a dtype: array.astype(twain.float32), zeros(3, x.dtype)."""
        if self.numpy_name is None:
            raise AttributeError(f"NumPy has no dtype {self.name}")
        return numpy.dtype(self.numpy_name)

    @property
    def is_floating(self) -> bool:
        """Real floating point."""
        return self.kind == "f"

    @property
    def is_complex(self) -> bool:
        return self.kind == "c"

    @property
    def is_integer(self) -> bool:
        return self.kind in "iu"

    @property
    def is_inexact(self) -> bool:
        return self.kind in "fc"


bool_ = DType(0, "bool", "b", 1)
int8 = DType(1, "int8", "i", 1)
int16 = DType(2, "int16", "i", 2)
int32 = DType(3, "int32", "i", 4)
int64 = DType(4, "int64", "i", 8)
uint8 = DType(5, "uint8", "u", 1)
uint16 = DType(6, "uint16", "u", 2)
uint32 = DType(7, "uint32", "u", 4)
uint64 = DType(8, "uint64", "u", 8)
float16 = DType(9, "float16", "f", 2)
bfloat16 = DType(10, "bfloat16", "f", 2)
float32 = DType(11, "float32", "f", 4)
float64 = DType(12, "float64", "f", 8)
complex64 = DType(13, "complex64", "c", 8)
complex128 = DType(14, "complex128", "c", 16)
weak_int = DType(15, "weak_int", "i", 8, weak=True)
weak_float = DType(16, "weak_float", "f", 8, weak=True)
weak_complex = DType(17, "weak_complex", "c", 16, weak=True)
weak_bool = DType(18, "weak_bool", "b", 1, weak=True)

BY_CODE = (
    bool_, int8, int16, int32, int64, uint8, uint16, uint32, uint64, float16, bfloat16, float32, float64,
    complex64, complex128, weak_int, weak_float, weak_complex, weak_bool,
)  # fmt: skip
BY_NAME = {d.name: d for d in BY_CODE}

BOOL = (bool_,)
SIGNED = (int8, int16, int32, int64)
UNSIGNED = (uint8, uint16, uint32, uint64)
INTEGER = SIGNED + UNSIGNED
HALF = (float16, bfloat16)
FLOATING = (float16, bfloat16, float32, float64)
COMPLEX = (complex64, complex128)
REAL = INTEGER + FLOATING
INEXACT = FLOATING + COMPLEX
NUMERIC = REAL + COMPLEX
ANY = BOOL + NUMERIC

DEFAULT_FLOAT = float32
DEFAULT_INT = int64
DEFAULT_COMPLEX = complex64


def by_name(name: str) -> DType:
    """The dtype called `name` (a plain name as in `str(dtype)`)."""
    return BY_NAME[name]


_PYTHON_TYPES = {bool: bool_, int: DEFAULT_INT, float: DEFAULT_FLOAT, complex: DEFAULT_COMPLEX}


def as_dtype(spec: object, function: str = "dtype") -> DType:
    """A DType from a DType, a name ("float32"), a Python type (float) or a NumPy dtype."""
    if type(spec) is DType:
        return spec
    if isinstance(spec, str) and spec in BY_NAME:
        return BY_NAME[spec]
    if isinstance(spec, type) and spec in _PYTHON_TYPES:
        return _PYTHON_TYPES[spec]
    name = getattr(spec, "name", None) or getattr(spec, "__name__", None)
    if name == "bool_":
        name = "bool"
    if isinstance(name, str) and name in BY_NAME:
        return BY_NAME[name]
    raise DTypeError(f"[{function}] expected a dtype such as twain.float32, got {spec!r}")


def _signed_for(unsigned: DType) -> DType | None:
    return {1: int16, 2: int32, 4: int64}.get(unsigned.itemsize)


def _promote_pair(a: DType, b: DType) -> DType | None:
    if a is b:
        return a
    if a.weak and b.weak:
        rank = "bifc"
        return a if rank.index(a.kind) >= rank.index(b.kind) else b
    if b.weak:
        a, b = b, a
    if a.weak:  # b is a real dtype, a a Python scalar
        if (
            a.kind == "b"
            or a.kind == b.kind
            or (a.kind == "i" and b.kind in "ufc")
            or (a.kind == "f" and b.kind == "c")
        ):
            return b
        if a.kind == "c" and b.kind == "f":
            return complex128 if b is float64 else complex64
        if a.kind == "c":
            return DEFAULT_COMPLEX if b.kind in "biu" else b
        if a.kind == "f":  # integer or bool tensor with a Python float: the default float, as in PyTorch
            return DEFAULT_FLOAT
        return DEFAULT_INT  # bool tensor with a Python int
    if a.kind == "b":
        return b
    if b.kind == "b":
        return a
    if a.kind == b.kind and a.kind in "iu":
        return a if a.itemsize >= b.itemsize else b
    if a.kind in "iu" and b.kind in "iu":
        signed, unsigned = (a, b) if a.kind == "i" else (b, a)
        needed = _signed_for(unsigned)
        if needed is None:
            return None
        return signed if signed.itemsize >= needed.itemsize else needed
    if a.kind in "iu":
        return b  # integer with floating: the floating type (PyTorch's rule; the standard leaves it open)
    if b.kind in "iu":
        return a
    if a.kind == "f" and b.kind == "f":
        if {a, b} == {float16, bfloat16}:
            return float32
        return a if a.itemsize > b.itemsize else b
    wide = a is float64 or b is float64 or a is complex128 or b is complex128
    return complex128 if wide else complex64


_PAIRS: dict[tuple[DType, DType], DType | None] = {}


def promote(function: str, *types: DType) -> DType:
    """The common dtype of `types` (weak ones give way); DTypeError where the standard defines none."""
    result = types[0]
    for other in types[1:]:
        if result is other:
            continue
        key = (result, other)
        if key not in _PAIRS:
            _PAIRS[key] = _promote_pair(result, other)
        joined = _PAIRS[key]
        if joined is None:
            raise DTypeError(
                f"[{function}] expected dtypes that promote to a common one, got {result} and {other}; "
                f"cast one of them with .astype(...)"
            )
        result = joined
    return result


def strengthen(dtype: DType) -> DType:
    """The default dtype for a weak one; others unchanged."""
    if not dtype.weak:
        return dtype
    return {"b": bool_, "i": DEFAULT_INT, "f": DEFAULT_FLOAT, "c": DEFAULT_COMPLEX}[dtype.kind]


def int_fits(dtype: DType, number: int) -> bool:
    """Whether an integer dtype holds `number`."""
    return 0 <= number < 1 << dtype.bits if dtype.kind == "u" else -1 << dtype.bits - 1 <= number < 1 << dtype.bits - 1


def check_cast(function: str, source: DType, target: DType) -> None:
    """DTypeError for complex values to be stored as real ones: which part is meant must be said (Array API, astype)."""
    if source.kind == "c" and target.kind not in "cb":
        raise DTypeError(
            f"[{function}] expected a complex dtype or bool for complex values, got {target}; take twain.real(...), "
            "twain.imag(...) or twain.abs(...) first"
        )


def check_int(function: str, number: int, dtype: DType) -> None:
    """OverflowError for a Python int that an integer dtype doesn't hold."""
    if dtype.kind in "iu" and not int_fits(dtype, number):
        low, high = (
            (0, (1 << dtype.bits) - 1) if dtype.kind == "u" else (-1 << dtype.bits - 1, (1 << dtype.bits - 1) - 1)
        )
        raise OverflowError(f"[{function}] expected ints in [{low}, {high}] for {dtype}, got {number}")


def real_of(dtype: DType) -> DType:
    """The component dtype of a complex dtype; others unchanged."""
    return {complex64: float32, complex128: float64, weak_complex: weak_float}.get(dtype, dtype)


def complex_of(dtype: DType) -> DType:
    """The complex dtype whose components are `dtype`."""
    return complex128 if dtype in (float64, complex128) else complex64


def can_cast(source: DType, target: DType) -> bool:
    """Whether promotion allows source -> target (Array API `can_cast`)."""
    return _promote_pair(source, target) is target
