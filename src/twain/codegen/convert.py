"""Conversions between dtypes on vectors."""

from __future__ import annotations

from ..base import dtypes as dt
from ..base.dtypes import DType
from .vmath_base import Math, V


def convert(m: Math, x: V | tuple[V, V], source: DType, target: DType) -> V | tuple[V, V]:
    """The value `x` of dtype `source` as `target`. Complex to real keeps the real part (to bool: any part not zero)."""
    if source.kind == "c":
        if target.kind == "c":
            return _to_float(m, x[0], _part(target)), _to_float(m, x[1], _part(target))
        if target.kind == "b":
            return x[0].ne(0.0) | x[1].ne(0.0)
        return convert(m, x[0], dt.real_of(source), target)
    if target.kind == "c":
        real = convert(m, x, source, dt.real_of(target))
        return real, m.const(0.0, real.t)
    if source.kind == "f" and source.itemsize == 2:
        if target.kind == "f" and target.itemsize == 2 and source.code == target.code:
            return x
        x = from_bfloat16(m, x) if source is dt.bfloat16 else from_float16(m, x)
        source = dt.float32
    if target.kind == "f" and target.itemsize == 2:
        return _to_half(m, x, source, target)
    if source.kind == "f":
        if target.kind == "f":
            return _to_float(m, x, "float" if target.itemsize == 4 else "double")
        if target.kind == "b":
            return x.ne(0.0)
        return m.convert_saturating(x, f"i{target.bits}", target.kind == "i")
    if target.kind == "f":
        to = "float" if target.itemsize == 4 else "double"
        return m.convert("sitofp" if source.kind == "i" else "uitofp", x, to)
    if target.kind == "b":
        return x if source.kind == "b" else x.ne(0)
    return _to_integer(m, x, source, f"i{target.bits}")


def _part(dtype: DType) -> str:
    return "float" if dtype.itemsize == 8 else "double"


def _to_float(m: Math, x: V, t: str) -> V:
    return x if x.t == t else m.convert("fpext" if t == "double" else "fptrunc", x, t)


def _to_integer(m: Math, x: V, source: DType, t: str) -> V:
    if x.t == t:
        return x
    if source.kind == "b" or int(t[1:]) > source.bits:
        return m.convert("sext" if source.kind == "i" else "zext", x, t)
    return m.convert("trunc", x, t)


def _to_half(m: Math, x: V, source: DType, target: DType) -> V:
    if source.kind != "f":  # 32-bit integers and wider don't fit float32 exactly
        wide = dt.float64 if source.itemsize >= 4 else dt.float32
        x, source = convert(m, x, source, wide), wide
    if x.t == "double":
        x = round_to_odd(m, x)
    return to_bfloat16(m, x) if target is dt.bfloat16 else to_float16(m, x)


def round_to_odd(m: Math, x: V) -> V:
    """double -> float such that rounding the result again (to fewer bits) equals rounding once.

    Truncates, and sets the last bit if anything was lost.
    """
    single = m.to_float(x)
    back = m.to_double(single)
    bits = single.bits()
    too_big = back.abs() > x.abs()
    bits = bits - m.convert("zext", too_big, "i32")
    lost = m.convert("zext", back.ne(x) & x.eq(x), "i32")
    return (bits | lost).as_float()


def from_bfloat16(m: Math, x: V) -> V:
    return (m.convert("zext", x, "i32") << 16).as_float()


def to_bfloat16(m: Math, x: V) -> V:
    """Round to nearest even; NaN stays NaN (quiet)."""
    bits = x.bits()
    rounded = bits + 0x7FFF + (bits.lshr(16) & 1)
    rounded = m.select(x.is_nan(), bits | 0x400000, rounded)
    return m.convert("trunc", rounded.lshr(16), "i16")


def from_float16(m: Math, x: V) -> V:
    if m.target.has_half:
        return m.convert("fpext", m.convert("bitcast", x, "half"), "float")
    bits = m.convert("zext", x, "i32")
    # Exponent and mantissa moved into place read as the value times 2^-112; the product is exact, also for subnormals.
    magnitude = bits & 0x7FFF
    value = (magnitude << 13).as_float() * 2.0**112
    special = (magnitude << 13) | 0x7F800000
    value = m.select(magnitude.below(0x7C00), value, special.as_float())
    return (value.bits() | ((bits & 0x8000) << 16)).as_float()


def to_float16(m: Math, x: V) -> V:
    """Round to nearest even; NaN stays NaN (quiet)."""
    if m.target.has_half:
        return m.convert("bitcast", m.convert("fptrunc", x, "half"), "i16")
    sign = x.sign_bit().lshr(16)
    a = x.abs()
    bits = a.bits()
    normal = (bits + ((15 - 127) << 23) + 0xFFF + (bits.lshr(13) & 1)).lshr(13)
    # Below the smallest normal number: let an addition round to multiples of 2^-24.
    small = (a + 0.5).bits() - 0x3F000000
    result = m.select(a < 2.0**-14, small, normal)
    result = m.select(a >= 65520.0, 0x7C00, result)
    result = m.select(x.is_nan(), bits.lshr(13) & 0x3FF | 0x7E00, result)
    return m.convert("trunc", result | sign, "i16")
