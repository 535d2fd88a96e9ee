"""Counter-based random numbers: pure functions of (index, seed, counter), so the same numbers come out eager or compiled,
on one thread or many.

A block of the generator has four words of 32 bits. Draws use all of them: the first words of all blocks make the first
part of a result, the second words the next part, and so on, so that every part is stored in one stream.

Source: J. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (2011), Philox-4x32-10.
"""

from __future__ import annotations

import math

from ..base import dtypes as dt
from ..base.errors import DTypeError
from ..base.shapes import check_shape, size_of
from .elementwise import add, cast, cos, log, multiply, sin, sqrt
from .families import composite, elementwise
from .index import iota
from .samples import Samples
from .shape import concat, reshape, slice_

_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
ROUNDS = 10
# Random bits of a uniform number: what the significand holds, so that rounding never gives 1.
BITS = {dt.float16: 11, dt.bfloat16: 8, dt.float32: 24, dt.float64: 53}


def philox_words(k, index, seed, counter, stream=0, turn=0) -> list:
    """Four uint32 expressions: the block at counter + index under the key `seed`. `stream` and `turn` (uint32) are the
    upper half of the block's number, for draws that need several blocks for one place."""
    u32 = dt.uint32
    at = index + counter
    words = [
        k.cast(at, u32),
        k.cast(at >> 32, u32),
        *(k.const(v, u32) if type(v) is int else v for v in (turn, stream)),
    ]
    keys = [k.cast(seed, u32), k.cast(seed >> 32, u32)]
    for number in range(ROUNDS):
        if number:
            keys = [key + k.const(weyl, u32) for key, weyl in zip(keys, _WEYL)]
        first, second = k.const(_MULTIPLIERS[0], u32), k.const(_MULTIPLIERS[1], u32)
        words = [
            k.mulhi(second, words[2]) ^ words[1] ^ keys[0],
            second * words[2],
            k.mulhi(first, words[0]) ^ words[3] ^ keys[1],
            first * words[0],
        ]
    return words


philox = elementwise(
    "philox", 3, lambda k, attrs, *operands: philox_words(k, *operands)[attrs], dtypes=(dt.uint64,),
    result=lambda common, attrs: dt.uint32, attributes=lambda word=0: word, names=("index", "seed", "counter"),
    reference="twain.testing.references.philox",
    samples=Samples(("index", "index", "index"), arguments=(((0,), {}), ((3,), {}))),
)  # fmt: skip


def blocks_of(count: int, each: int) -> int:
    """How many blocks `count` numbers take if a block gives `each`."""
    return -(-count // each)


def _words(shape: tuple, seed, counter, each: int) -> list:
    """The four words of as many blocks as `shape` takes."""
    index = cast(iota((blocks_of(size_of(shape), each),), 0), dt.uint64)
    return [philox(index, seed, counter, word) for word in range(4)]


def _spread(parts: list, shape: tuple, dtype):
    """The parts one after another, as many numbers as `shape` takes."""
    count = size_of(shape)
    whole = concat(parts, 0)
    if whole.shape[0] != count:
        whole = slice_(whole, (0,), (1,), (count,))
    whole = whole if whole.dtype is dtype else cast(whole, dtype)
    return reshape(whole, shape)


def _unit(words: list, dtype):
    """Uniform in [0, 1) from one word, or from two for float64."""
    bits = BITS[dtype]
    if dtype is dt.float64:
        high = multiply(cast(words[0] >> 5, dt.float64), 67108864.0)
        return multiply(add(high, cast(words[1] >> 6, dt.float64)), 2.0**-53)
    return multiply(cast(words[0] >> (32 - bits), dt.float32), 2.0**-bits)


def _unit_above_zero(words: list, dtype):
    """Uniform in (0, 1], as fine near zero as the words allow: for logarithms."""
    if dtype is dt.float64:
        high = multiply(cast(words[0], dt.float64), 2.0**-32)
        return add(high, multiply(add(cast(words[1], dt.float64), 1.0), 2.0**-64))
    return multiply(add(cast(words[0], dt.float32), 0.5), 2.0**-32)


def _floating(name: str, dtype):
    dtype = dt.as_dtype(dtype, name)
    if dtype not in dt.FLOATING:
        raise DTypeError(f"[{name}] expected a floating dtype, got {dtype}")
    return dtype


def numbers_per_block(dtype) -> int:
    """How many floats a block gives: float64 takes two words."""
    return 2 if dt.as_dtype(dtype) is dt.float64 else 4


def _attributes(name: str):
    return lambda shape, dtype="float32": (check_shape(name, shape), _floating(name, dtype))


def _uniform(attrs, seed, counter):
    """Uniform in [0, 1)."""
    shape, dtype = attrs
    words = _words(shape, seed, counter, numbers_per_block(dtype))
    pairs = [words[:2], words[2:]] if dtype is dt.float64 else [[w] for w in words]
    return _spread([_unit(pair, dtype) for pair in pairs], shape, dtype)


random_uniform = composite(
    "random_uniform", 2, _uniform, attributes=_attributes("random.uniform"), names=("seed", "counter"),
    onnx="RandomUniform", reference="twain.testing.references.random_uniform",
    samples=Samples(("index", "index"), arguments=((((3, 5),), {}),), shapes=(((), ()),)),
)  # fmt: skip


def _normal(attrs, seed, counter):
    """Standard normal by Box and Muller's transform: two uniforms give two numbers."""
    shape, dtype = attrs
    wide = dt.float64 if dtype is dt.float64 else dt.float32
    words = _words(shape, seed, counter, numbers_per_block(dtype))
    pairs = [(words[:2], words[2:])] if wide is dt.float64 else [(words[:1], words[1:2]), (words[2:3], words[3:])]
    parts = []
    for first, second in pairs:
        radius = sqrt(multiply(-2.0, log(_unit_above_zero(first, wide))))
        angle = multiply(2.0 * math.pi, _unit(second, wide))
        parts += [multiply(radius, cos(angle)), multiply(radius, sin(angle))]
    return _spread(parts, shape, dtype)


random_normal = composite(
    "random_normal", 2, _normal, attributes=_attributes("random.normal"), names=("seed", "counter"),
    onnx="RandomNormal", reference="twain.testing.references.random_normal",
    samples=Samples(("index", "index"), arguments=((((3, 5),), {}),), shapes=(((), ()),)),
)  # fmt: skip


def _exponential(attrs, seed, counter):
    """Exponential with mean 1, by inversion."""
    shape, dtype = attrs
    wide = dt.float64 if dtype is dt.float64 else dt.float32
    words = _words(shape, seed, counter, numbers_per_block(dtype))
    pairs = [words[:2], words[2:]] if wide is dt.float64 else [[w] for w in words]
    return _spread([multiply(-1.0, log(_unit_above_zero(pair, wide))) for pair in pairs], shape, dtype)


random_exponential = composite(
    "random_exponential", 2, _exponential, attributes=_attributes("random.exponential"), names=("seed", "counter"),
    reference="twain.testing.references.random_exponential",
    samples=Samples(("index", "index"), arguments=((((3, 5),), {}),), shapes=(((), ()),)),
)  # fmt: skip


def _integers(attrs, seed, counter):
    """Uniform integers in [low, high) from 64 random bits x: x * span / 2**64 for spans below 2**32 (Lemire 2019), else the
    remainder. A number's probability is off by at most span / 2**64 of itself."""
    shape, low, high, dtype = attrs
    words = [cast(w, dt.uint64) for w in _words(shape, seed, counter, 2)]
    span = high - low
    parts = []
    for upper, lower in (words[:2], words[2:]):
        if span < 2**32:
            part = add(multiply(upper, span), multiply(lower, span) >> 32) >> 32
        else:
            part = add(multiply(upper, 2**32), lower)
            part = part if span >= 2**64 else part % span
        parts.append(add(cast(part, dt.int64), low) if high <= 2**63 else add(part, low))
    return _spread(parts, shape, dtype)


random_integers = composite(
    "random_integers", 2, _integers, names=("seed", "counter"),
    attributes=lambda shape, low, high, dtype="int64": (
        check_shape("random.randint", shape), int(low), int(high), dt.as_dtype(dtype, "random.randint")),
    reference="twain.testing.references.random_integers",
    samples=Samples(("index", "index"), arguments=((((3, 5), -2, 7), {}),), shapes=(((), ()),)),
)  # fmt: skip
