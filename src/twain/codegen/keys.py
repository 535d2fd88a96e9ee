"""Elements as integers in the same order: what sorting and searching compare.

A floating number's bits are in the order of the numbers, but that negative ones run backwards: their lower bits are
inverted, which is undone the same way. NaNs become one NaN, larger than everything. A key is then exclusive-ored with
a constant that the caller gives: the sign bit where keys are compared as unsigned, all bits to reverse the order.
"""

from __future__ import annotations

from ..base.dtypes import DType
from .builder import Builder, vector

INFINITY = {"float16": 0x7C00, "bfloat16": 0x7F80, "float32": 0x7F800000, "float64": 0x7FF0000000000000}


def key_type(dtype: DType) -> str:
    """The integer type of a key, which is that of the element's bits."""
    return f"i{dtype.bits}"


def order_constant(dtype: DType, descending: bool, signed: bool) -> int:
    """What keys are exclusive-ored with, so that they ascend as signed or unsigned integers; as an int64."""
    bits = dtype.bits
    constant = 0 if signed == (dtype.kind in "if") else 1 << (bits - 1)
    if descending:
        constant ^= (1 << bits) - 1
    return constant - (1 << bits) if constant >= 1 << (bits - 1) else constant


class Keys:
    """Writes the conversions between elements (as bits) and keys, for `lanes` at a time."""

    def __init__(self, b: Builder, dtype: DType, lanes: int = 1):
        self.b = b
        self.dtype = dtype
        self.element = key_type(dtype)
        self.type = vector(self.element, lanes)
        self.lanes = lanes

    def constant(self, value: int) -> str:
        """A constant of the key's type."""
        bits = self.dtype.bits
        value &= (1 << bits) - 1
        value = value - (1 << bits) if value >= 1 << (bits - 1) else value
        return str(value) if self.lanes == 1 else f"splat ({self.element} {value})"

    def flipped(self, bits: str, within: str | None = None) -> str:
        """The lower bits of negative numbers inverted (only the bits in `within`); its own inverse."""
        b, width = self.b, self.dtype.bits
        sign = b.value(f"ashr {self.type} {bits}, {self.constant(width - 1)}")
        lower = within or self.constant((1 << (width - 1)) - 1)
        return b.value(f"xor {self.type} {bits}, {b.value(f'and {self.type} {sign}, {lower}')}")

    def of(self, bits: str, order: str, equal_zeros: bool) -> str:
        """The key of an element; `order` is the constant. equal_zeros: -0.0 and 0.0 get the same key."""
        b = self.b
        if self.dtype.kind == "f":
            width, infinity = self.dtype.bits, INFINITY[self.dtype.name]
            size = b.value(f"and {self.type} {bits}, {self.constant((1 << (width - 1)) - 1)}")
            nan = b.value(f"icmp sgt {self.type} {size}, {self.constant(infinity)}")
            one = self.constant((1 << (width - 1)) - 1)
            flags = vector("i1", self.lanes)
            if equal_zeros:
                zero = b.value(f"icmp eq {self.type} {size}, {'0' if self.lanes == 1 else 'zeroinitializer'}")
                bits = b.value(f"select {flags} {zero}, {self.type} {size}, {self.type} {bits}")
            bits = b.value(f"select {flags} {nan}, {self.type} {one}, {self.type} {bits}")
            bits = self.flipped(bits)
        return b.value(f"xor {self.type} {bits}, {order}")

    def element_of(self, key: str, order: str) -> str:
        """The element of a key."""
        key = self.b.value(f"xor {self.type} {key}, {order}")
        return self.flipped(key) if self.dtype.kind == "f" else key
