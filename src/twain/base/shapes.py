"""Arithmetic on shapes and axes. Shapes are tuples of ints."""

from __future__ import annotations

from .errors import ArgumentError, AxisError, ShapeError

Shape = tuple  # of int

INTEGERS: set = {int}  # the types of sizes: sizes.py adds its own
MAX_SIZE = 2**52  # elements: 2**56 bytes of the widest dtype, more than any machine can address


def size_of(shape: tuple) -> int:
    """Number of elements."""
    n = 1
    for d in shape:
        n *= d
    return n


def contiguous_strides(shape: tuple) -> tuple:
    """Row-major strides in elements."""
    strides = []
    step = 1
    for d in reversed(shape):
        strides.append(step)
        step *= d if d > 1 else 1
    return tuple(reversed(strides))


def broadcast_shapes(function: str, *shapes: tuple) -> tuple:
    """The shape all `shapes` broadcast to; ShapeError naming all of them otherwise."""
    first = shapes[0]
    if all(s == first for s in shapes):
        return first
    rank = max(len(s) for s in shapes)
    result = [1] * rank
    for shape in shapes:
        for i, d in enumerate(shape, rank - len(shape)):
            have = result[i]
            if d == have or d == 1:
                continue
            if have == 1:
                result[i] = d
            else:
                raise ShapeError(
                    f"[{function}] expected shapes that broadcast together, got "
                    + " and ".join(str(tuple(s)) for s in shapes)
                )
    return tuple(result)


def as_index(function: str, name: str, value: object) -> int:
    """`value` as an int (anything with __index__ but bool)."""
    if type(value) in INTEGERS:
        return value  # type: ignore[return-value]
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise ArgumentError(f"[{function}] expected {name} to be an int, got {value!r}")
    return value.__index__()


def normalize_axis(function: str, axis: object, rank: int) -> int:
    """A possibly negative axis as 0 <= axis < rank."""
    number = as_index(function, "axis", axis)
    if rank == 0:
        raise AxisError(f"[{function}] expected at least one dimension, got axis {number} of a 0-d tensor")
    if not -rank <= number < rank:
        raise AxisError(f"[{function}] expected axis in [{-rank}, {rank - 1}] for {rank} dimensions, got {number}")
    return number + rank if number < 0 else number


def normalize_axes(function: str, axes: object, rank: int) -> tuple:
    """None (all), an int or a sequence of distinct axes, as a sorted tuple. A 0-d tensor has none: of it axis 0 (or -1)
    means just that, as in NumPy and PyTorch."""
    if axes is None or (rank == 0 and axes in (0, -1, (0,), (-1,), [0], [-1])):
        return tuple(range(rank))
    if isinstance(axes, (tuple, list)):
        result = [normalize_axis(function, a, rank) for a in axes]
        if len(set(result)) != len(result):
            raise AxisError(f"[{function}] expected distinct axes, got {tuple(axes)}")
        return tuple(sorted(result))
    return (normalize_axis(function, axes, rank),)


def check_shape(function: str, shape: object, name: str = "shape") -> tuple:
    """An int or a sequence of non-negative ints, as a tuple."""
    if type(shape) is tuple:  # the usual case, quickly
        total = 1
        for d in shape:
            if type(d) is not int or d < 0:
                break
            total *= d or 1
        else:
            if total < MAX_SIZE:
                return shape
    if type(shape) in INTEGERS:
        shape = (shape,)
    if not isinstance(shape, (tuple, list)):
        if hasattr(shape, "__index__") and not isinstance(shape, bool):
            shape = (shape,)
        else:
            raise ArgumentError(f"[{function}] expected {name} to be an int or a tuple of ints, got {shape!r}")
    result = tuple(d if type(d) is int else as_index(function, name, d) for d in shape)
    total = 1
    for d in result:
        if d < 0:
            raise ShapeError(f"[{function}] expected sizes >= 0, got {name} {result}")
        total *= d if d else 1
    if total >= MAX_SIZE:
        raise ShapeError(f"[{function}] expected fewer than 2**52 elements, got {name} {result}")
    return result
