"""Counter-based random numbers: pure functions of (index, seed, counter), so the same numbers come out eager or compiled,
on one thread or many.

Source: J. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (2011), Philox-4x32-10.
"""

from __future__ import annotations

import math

from ..base import dtypes as dt
from ..base.errors import DTypeError
from ..base.shapes import check_shape, size_of
from .elementwise import add, cast, cos, log, multiply, sqrt
from .families import composite, elementwise
from .index import iota
from .samples import Samples
from .shape import reshape

_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
ROUNDS = 10


def _philox(k, attrs, index, seed, counter):
    """One 32-bit word (number attrs) of the block at counter + index under the key `seed`."""
    u32 = dt.uint32
    at = index + counter
    low, high = k.cast(at, u32), k.cast(at >> 32, u32)
    words = [low, high, k.const(0, u32), k.const(0, u32)]
    keys = [k.cast(seed, u32), k.cast(seed >> 32, u32)]
    for turn in range(ROUNDS):
        if turn:
            keys = [key + k.const(weyl, u32) for key, weyl in zip(keys, _WEYL)]
        first, second = k.const(_MULTIPLIERS[0], u32), k.const(_MULTIPLIERS[1], u32)
        words = [
            k.mulhi(second, words[2]) ^ words[1] ^ keys[0],
            second * words[2],
            k.mulhi(first, words[0]) ^ words[3] ^ keys[1],
            first * words[0],
        ]
    return words[attrs]


philox = elementwise(
    "philox", 3, _philox, dtypes=(dt.uint64,), result=lambda common, attrs: dt.uint32, attributes=lambda word=0: word,
    names=("index", "seed", "counter"), reference="twain.testing.references.philox",
    samples=Samples(("index", "index", "index"), arguments=(((0,), {}), ((3,), {}))),
)  # fmt: skip


def _words(shape: tuple, seed, counter, count: int) -> list:
    """`count` 32-bit words for every place of `shape`."""
    index = cast(reshape(iota((size_of(shape),), 0), shape), dt.uint64)
    return [philox(index, seed, counter, word) for word in range(count)]


def _unit(words: list, dtype, shift: int = 0):
    """Uniform in [0, 1) from one word (float32: 24 bits) or two (float64: 53 bits)."""
    if dtype is dt.float64:
        high = multiply(cast(words[0] >> 5, dt.float64), 67108864.0)
        return multiply(add(add(high, cast(words[1] >> 6, dt.float64)), float(shift)), 2.0**-53)
    return multiply(add(cast(words[0] >> 8, dt.float32), float(shift)), 2.0**-24)


def _floating(name: str, dtype):
    dtype = dt.as_dtype(dtype, name)
    if dtype not in dt.FLOATING:
        raise DTypeError(f"[{name}] expected a floating dtype, got {dtype}")
    return dtype


def _uniform_attributes(shape, dtype="float32"):
    return (check_shape("random.uniform", shape), _floating("random.uniform", dtype))


def _uniform(attrs, seed, counter):
    """Uniform in [0, 1)."""
    shape, dtype = attrs
    words = _words(shape, seed, counter, 2 if dtype is dt.float64 else 1)
    result = _unit(words, dtype)
    return result if result.dtype is dtype else cast(result, dtype)


random_uniform = composite(
    "random_uniform", 2, _uniform, attributes=_uniform_attributes, names=("seed", "counter"), onnx="RandomUniform",
    reference="twain.testing.references.random_uniform",
    samples=Samples(("index", "index"), arguments=((((3, 5),), {}),), shapes=(((), ()),)),
)  # fmt: skip


def _normal(attrs, seed, counter):
    """Standard normal by Box and Muller's transform."""
    shape, dtype = attrs
    wide = dt.float64 if dtype is dt.float64 else dt.float32
    words = _words(shape, seed, counter, 4 if wide is dt.float64 else 2)
    half = len(words) // 2
    radius = sqrt(multiply(-2.0, log(_unit(words[:half], wide, 1))))  # (0, 1]: the logarithm is finite
    result = multiply(radius, cos(multiply(2.0 * math.pi, _unit(words[half:], wide))))
    return result if result.dtype is dtype else cast(result, dtype)


random_normal = composite(
    "random_normal", 2, _normal, attributes=_uniform_attributes, names=("seed", "counter"), onnx="RandomNormal",
    reference="twain.testing.references.random_normal",
    samples=Samples(("index", "index"), arguments=((((3, 5),), {}),), shapes=(((), ()),)),
)  # fmt: skip


def _integers(attrs, seed, counter):
    """Uniform integers in [low, high): 64 random bits, the remainder's bias is below 2**-32 for spans under 2**32."""
    shape, low, high, dtype = attrs
    words = _words(shape, seed, counter, 2)
    wide = add(multiply(cast(words[0], dt.uint64), 2**32), cast(words[1], dt.uint64))
    return cast(add(cast(wide % (high - low), dt.int64), low), dtype)


random_integers = composite(
    "random_integers", 2, _integers, names=("seed", "counter"),
    attributes=lambda shape, low, high, dtype="int64": (
        check_shape("random.randint", shape), int(low), int(high), dt.as_dtype(dtype, "random.randint")),
    reference="twain.testing.references.random_integers",
    samples=Samples(("index", "index"), arguments=((((3, 5), -2, 7), {}),), shapes=(((), ()),)),
)  # fmt: skip
