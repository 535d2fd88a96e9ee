"""Which integers a recorded result can hold, as far as the ops that made it tell: an index that can't be out of range needs
no look when a plan runs. Limits are half open: (low, high) of all x with low <= x < high."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..base.dtypes import DType
from ..base.shapes import size_of

Limits = tuple[int, int]

SAME = frozenset("cast stop_gradient contiguous take take_along_axis sort roll tile repeat positive max min".split())


def limits_of_dtype(dtype: DType) -> Limits | None:
    """What an integer dtype can hold; None for other dtypes."""
    if dtype.kind == "b":
        return 0, 2
    if dtype.kind not in "iu":
        return None
    bits = 8 * dtype.itemsize
    return (0, 1 << bits) if dtype.kind == "u" else (-(1 << bits - 1), 1 << bits - 1)


def limits_of(record: Any, attrs: Any, inputs: tuple, known: list, outputs: tuple) -> list:
    """The limits of each integer result of an op that ran, None for other dtypes.

    inputs: its operands, tensors or numbers; known: their limits."""
    widest = [limits_of_dtype(t.dtype) for t in outputs]
    if not any(widest):
        return widest
    rule = RULES.get(record.name)
    if rule is not None:
        found = rule(attrs, inputs, known, outputs)
    elif record.family == "movement" or record.name in SAME:
        found = [known[0]] if known else []
    else:
        return widest
    # what doesn't fit has wrapped around
    return [
        f if w is not None and f is not None and w[0] <= f[0] and f[1] <= w[1] else w
        for f, w in zip(found + [None] * (len(widest) - len(found)), widest)
    ]


def _along(position: int | None, extra: int = 0) -> Callable:
    """Places along an axis of the first operand; position: which static argument names the axis."""

    def rule(attrs: Any, inputs: tuple, known: list, outputs: tuple) -> list:
        shape = inputs[0].shape
        axis = -1 if position is None else attrs[position]
        return [(0, (size_of(shape) if axis is None or not shape else shape[axis]) + extra)]

    return rule


def _topk(attrs: Any, inputs: tuple, known: list, outputs: tuple) -> list:
    return [known[0], *_along(1)(attrs, inputs, known, outputs)]


def _arange(attrs: Any, inputs: tuple, known: list, outputs: tuple) -> list:
    start, step = inputs
    if type(start) is not int or type(step) is not int or not outputs[0].size:
        return []
    last = start + (outputs[0].size - 1) * step
    return [(min(start, last), max(start, last) + 1)]


def _joined(first: int) -> Callable:
    """Any of the operands from `first` on."""

    def rule(attrs: Any, inputs: tuple, known: list, outputs: tuple) -> list:
        parts = known[first:]
        return [] if None in parts or not parts else [(min(p[0] for p in parts), max(p[1] for p in parts))]

    return rule


def _interval(function: Callable) -> Callable:
    """From the ends of the operands, the highest inclusive, to those of the result."""

    def rule(attrs: Any, inputs: tuple, known: list, outputs: tuple) -> list:
        if None in known:
            return []
        found = function(*((k[0], k[1] - 1) for k in known))
        return [] if found is None else [(found[0], found[1] + 1)]

    return rule


def _corners(operation: Callable, a: tuple, b: tuple) -> tuple:
    ends = [operation(x, y) for x in a for y in b]
    return min(ends), max(ends)


def _minimum(a: tuple, b: tuple) -> tuple:
    return min(a[0], b[0]), min(a[1], b[1])


def _maximum(a: tuple, b: tuple) -> tuple:
    return max(a[0], b[0]), max(a[1], b[1])


RULES: dict[str, Callable] = {
    "argmax": _along(0), "argmin": _along(0), "argsort": _along(0), "topk": _topk, "search_rows": _along(None, 1),
    "random_integers": lambda attrs, inputs, known, outputs: [(attrs[1], attrs[2])],
    "arange": _arange, "full": _joined(0), "concat": _joined(0), "stack": _joined(0), "where": _joined(1),
    "add": _interval(lambda a, b: (a[0] + b[0], a[1] + b[1])),
    "subtract": _interval(lambda a, b: (a[0] - b[1], a[1] - b[0])),
    "multiply": _interval(lambda a, b: _corners(lambda x, y: x * y, a, b)),
    "negative": _interval(lambda a: (-a[1], -a[0])),
    "remainder": _interval(lambda a, b: (0, b[1] - 1) if b[0] > 0 else None),
    "floor_divide": _interval(lambda a, b: _corners(lambda x, y: x // y, a, b) if b[0] > 0 else None),
    "minimum": _interval(_minimum), "clip_high": _interval(_minimum),
    "maximum": _interval(_maximum), "clip_low": _interval(_maximum),
    "clip": _interval(lambda x, low, high: _minimum(_maximum(x, low), high)),
}  # fmt: skip
