"""Index arithmetic: how a value's index follows from a kernel's iteration index, and how axes collapse.

A map has one entry per axis of the value: (offset, ((iteration axis, factor), ...)), an affine function.
"""

from __future__ import annotations


def identity_map(shape: tuple) -> tuple:
    """The value is indexed as the iteration is."""
    return tuple((0, ((a, 1),) if d != 1 else ()) for a, d in enumerate(shape))


def operand_map(outer: tuple, result_shape: tuple, shape: tuple) -> tuple:
    """Map of an operand of `shape` given the map of an elementwise result that it broadcasts to."""
    if shape == result_shape:
        return outer
    extra = len(result_shape) - len(shape)
    return tuple((0, ()) if d == 1 and result_shape[i + extra] != 1 else outer[i + extra] for i, d in enumerate(shape))


def compose(inner: list, outer: tuple) -> tuple:
    """`inner` gives a value's axes from a view's axes, `outer` the view's axes from the iteration."""
    result = []
    for offset, terms in inner:
        factors: dict[int, int] = {}
        for axis, factor in terms:
            more, parts = outer[axis]
            offset += factor * more
            for a, f in parts:
                factors[a] = factors.get(a, 0) + factor * f
        result.append((offset, tuple(sorted(factors.items()))))
    return tuple(result)


def strides_along(map_: tuple, strides: tuple, axes: int) -> tuple:
    """(strides per iteration axis, element offset) of a buffer with `strides`, indexed through `map_`."""
    result = [0] * axes
    start = 0
    for (offset, terms), s in zip(map_, strides):
        start += offset * s
        for a, f in terms:
            result[a] += f * s
    return tuple(result), start


def collapse(sizes: list, strides: list) -> tuple:
    """Merge neighbouring axes that every operand walks in one progression; axes of one element vanish.

    sizes: per axis; strides: per operand a list per axis. Returns the same, shorter.
    """
    keep = [a for a, d in enumerate(sizes) if d != 1]
    sizes = [sizes[a] for a in keep]
    strides = [[s[a] for a in keep] for s in strides]
    a = len(sizes) - 2
    while a >= 0:
        inner = sizes[a + 1]
        if all(s[a] == s[a + 1] * inner for s in strides):
            sizes[a : a + 2] = [sizes[a] * inner]
            for s in strides:
                s[a : a + 2] = [s[a + 1]]
        a -= 1
    return sizes, strides
