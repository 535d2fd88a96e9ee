"""Pooling over regions that the size of the result decides: adaptive and fractional pooling; and max_unpool, the way back
from a pooled tensor and its indices."""

from __future__ import annotations

from math import prod

from ..base import dtypes as dt
from ..base.errors import ArgumentError, ShapeError
from .conv import MOST, per_axis
from .elementwise import add, cast, equal, floor, greater, logical_or, maximum, minimum, multiply, not_equal, where
from .families import composite
from .index import iota, take, take_along_axis
from .pool import _OPS, AXES, along, check_input
from .reduce import mean
from .samples import Samples
from .scatter import scatter
from .shape import broadcast_to, concat, reshape, slice_

_REFERENCES = "twain.testing.conv_references."


# ---------------------------------------------------------------- adaptive pooling
def _adaptive_attributes(name: str, axes: int):
    def attributes(output_size):
        whole = output_size is None or isinstance(output_size, int)
        size = (output_size,) * axes if whole else tuple(output_size)
        if len(size) == 1:
            size *= axes
        good = all(d is None or (isinstance(d, int) and not isinstance(d, bool) and 1 <= d <= MOST) for d in size)
        if len(size) != axes or not good:
            ints = "an int" if axes == 1 else f"an int, {axes} ints"
            raise ArgumentError(
                f"[{name}] expected output_size to be {ints} of at least 1 or None, got {output_size!r}"
            )
        return size

    return attributes


def _wanted(name: str, x, output_size: tuple) -> tuple:
    """The result's size, checked."""
    axes = len(output_size)
    check_input(name, x, axes)
    lengths = x.shape[x.ndim - axes :]
    if 0 in lengths:
        raise ShapeError(f"[{name}] expected at least one element along each pooled axis, got {tuple(x.shape)}")
    return tuple(d if c is None else c for c, d in zip(output_size, lengths))


def _divides(x, counts: tuple) -> tuple | None:
    """The one window size of all regions if there is one."""
    lengths = x.shape[x.ndim - len(counts) :]
    return tuple(d // c for d, c in zip(lengths, counts)) if all(d % c == 0 for d, c in zip(lengths, counts)) else None


def _means_along(x, axis: int, count: int):
    """Means of `count` regions of `axis`; region i is floor(i * n / count) to ceil((i + 1) * n / count)."""
    size = x.shape[axis]
    if size == count:
        return x
    if size % count == 0:
        split = (*x.shape[:axis], count, size // count, *x.shape[axis + 1 :])
        return mean(reshape(x, split), axis + 1)
    parts = []
    for i in range(count):
        begin, end = i * size // count, -(-(i + 1) * size // count)
        starts = tuple(begin if a == axis else 0 for a in range(x.ndim))
        shape = tuple(end - begin if a == axis else d for a, d in enumerate(x.shape))
        parts.append(mean(slice_(x, starts, (1,) * x.ndim, shape), axis, True))
    return concat(parts, axis)


def _adaptive_average(name: str):
    def function(output_size, x):
        counts = _wanted(name, x, output_size)
        if x.dtype.kind not in "fc":
            x = cast(x, dt.DEFAULT_FLOAT)
        if all(c == 1 for c in counts):
            return mean(x, tuple(range(x.ndim - len(counts), x.ndim)), True)
        kernel = _divides(x, counts)
        if kernel is not None and prod(kernel) <= 64 and kernel[-1] > 1:
            return _OPS[len(counts)][2](x, kernel)
        for axis, count in enumerate(counts, x.ndim - len(counts)):
            x = _means_along(x, axis, count)
        return x

    return function


def _regions(length: int, count: int) -> tuple:
    """(first places, last places, most places) of the regions of one axis, int64 of shape (count,)."""
    i = iota((count,), 0)
    first = _floor_divided(multiply(i, length), count)
    last = _floor_divided(add(multiply(i, length), length - 1), count)  # ceil((i + 1) * length / count) - 1
    return first, last, max(-(-(k + 1) * length // count) - k * length // count for k in range(count))


def _floor_divided(x, by: int):
    return x // by


def _adaptive_largest(name: str, with_indices: bool):
    def function(output_size, x):
        counts = _wanted(name, x, output_size)
        axes = len(counts)
        kernel = _divides(x, counts)
        if kernel is not None and prod(kernel) <= 64:
            return _OPS[axes][1 if with_indices else 0](x, kernel)
        values, found, row = x, None, 1
        # Axis after axis, the last first: of equal elements the first in row-major order wins.
        for axis in range(x.ndim - 1, x.ndim - axes - 1, -1):
            length, count = x.shape[axis], counts[axis - x.ndim]
            first, last, most = _regions(length, count)
            best = at = None
            for k in range(most):
                place = minimum(add(first, k), last)
                value = take(values, place, axis)
                position = multiply(along(place, axis, x.ndim), row)
                if found is not None:
                    position = add(take(found, place, axis), position)
                if best is None:
                    best, at = value, broadcast_to(position, value.shape)
                elif with_indices:
                    better = greater(value, best)
                    if x.dtype.kind == "f":
                        better = logical_or(better, not_equal(value, value))
                    best, at = where(better, value, best), where(better, position, at)
                else:
                    best = maximum(best, value)
            values, found, row = best, at, row * length
        return [values, found] if with_indices else values

    return function


# ---------------------------------------------------------------- fractional pooling
def _fractional_attributes(name: str, axes: int):
    def attributes(kernel_size, output_size):
        return (
            per_axis(name, "kernel_size", kernel_size, axes, 1),
            per_axis(name, "output_size", output_size, axes, 1),
        )

    return attributes


def _fractional(name: str):
    def function(attrs, x, samples):
        """Windows start where Graham's pseudo-random sequence says: "Fractional Max-Pooling" (2014)."""
        kernel, counts = attrs
        axes = len(kernel)
        check_input(name, x, axes)
        single = x.ndim == axes + 1
        if single:
            x = reshape(x, (1, *x.shape))
        lead, lengths = x.shape[:2], x.shape[2:]
        if single and samples.ndim == 3 and samples.shape[0] > 1:  # PyTorch takes the first of them
            samples = slice_(samples, (0, 0, 0), (1, 1, 1), (1, *samples.shape[1:]))
        if samples.shape != (*lead, axes) or samples.dtype.kind != "f":
            raise ShapeError(f"[{name}] expected random samples of shape {(*lead, axes)}, got {tuple(samples.shape)}")
        if any(k + c - 1 > d for k, c, d in zip(kernel, counts, lengths)):
            raise ShapeError(
                f"[{name}] expected room for {counts} windows of {kernel}, got an input of shape {tuple(x.shape)}"
            )
        offsets = [()]
        for k in kernel:
            offsets = [(*o, i) for o in offsets for i in range(k)]
        rows = [prod(lengths[a + 1 :]) for a in range(axes)]
        base = None
        for a in range(axes):
            # PyTorch hands out two samples from the last axis to the first, three in order
            u = reshape(take(samples, cast(1 - a if axes == 2 else a, dt.int64), 2), (*lead, 1))
            count, room = counts[a], lengths[a] - kernel[a]
            i = iota((count,), 0)
            if count > 1:
                alpha = room / (count - 1)
                start = floor(multiply(add(cast(i, u.dtype), u), alpha)) - floor(multiply(u, alpha))
                start = where(equal(i, count - 1), room, cast(start, dt.int64))
            else:
                start = broadcast_to(cast(room, dt.int64), (*lead, 1))
            shape = (*lead, *(count if b == a else 1 for b in range(axes)))
            part = multiply(reshape(start, shape), rows[a])
            base = part if base is None else add(base, part)
        base = reshape(broadcast_to(base, (*lead, *counts)), (*lead, prod(counts)))
        flat = reshape(x, (*lead, prod(lengths)))
        best = at = None
        for offset in offsets:
            place = add(base, sum(o * row for o, row in zip(offset, rows)))
            value = take_along_axis(flat, place, 2)
            if best is None:
                best, at = value, place
                continue
            better = greater(value, best)
            if x.dtype.kind == "f":
                better = logical_or(better, not_equal(value, value))
            best, at = where(better, value, best), where(better, place, at)
        shape = (*lead, *counts)[1 if single else 0 :]
        return [reshape(best, shape), reshape(at, shape)]

    return function


# ---------------------------------------------------------------- the way back
def _unpool_attributes(name: str, axes: int):
    def attributes(output_size):
        return per_axis(name, "output_size", output_size, axes, 1)

    return attributes


def _unpool(name: str):
    def function(output_size, x, indices):
        axes = len(output_size)
        check_input(name, x, axes)
        if indices.shape != x.shape or indices.dtype.kind not in "iu":
            raise ShapeError(
                f"[{name}] expected indices of the shape of input, {tuple(x.shape)}, and an integer dtype, got "
                f"{tuple(indices.shape)} {indices.dtype}"
            )
        lead = tuple(x.shape[: x.ndim - axes])
        rows, places = prod(lead), prod(output_size)
        flat = (rows, prod(x.shape[x.ndim - axes :]))
        empty = broadcast_to(cast(0, x.dtype), (rows, places))
        result = scatter(empty, reshape(cast(indices, dt.int64), flat), reshape(x, flat), 1)
        return reshape(result, (*lead, *output_size))

    return function


# ---------------------------------------------------------------- the ops
_SHAPES = {1: (((2, 3, 7),),), 2: (((2, 3, 7, 6),),), 3: (((1, 2, 4, 5, 4),),)}
_SIZES = {
    1: (((1,), {}), ((3,), {})),
    2: (((1,), {}), (((3, 2),), {}), (((None, 4),), {})),
    3: (((2,), {}), (((3, None, 2),), {})),
}
_WRONG = (((0,), {}, "output_size"), (((2, 2, 2, 2),), {}, "output_size"), (("same",), {}, "output_size"))


def _make(axes: int) -> dict:
    made = {}
    samples = Samples(((-5, 5),), arguments=_SIZES[axes], shapes=_SHAPES[axes])
    name = f"adaptive_avg_pool{axes}d"
    made[name] = composite(
        name, 1, _adaptive_average(name), attributes=_adaptive_attributes(name, axes), names=("input",), samples=samples,
        reference=_REFERENCES + name, errors=_WRONG,
        doc="Means over regions that divide the last axes of (n, channels, *size) or (channels, *size) into output_size; "
        "None keeps a size. Region i of an axis is floor(i * size / count) to ceil((i + 1) * size / count).",
    )  # fmt: skip
    name = f"adaptive_max_pool{axes}d"
    samples = Samples(((-5, 5),), arguments=_SIZES[axes][1:2], shapes=_SHAPES[axes])
    for suffix, both in (("", False), ("_with_indices", True)):
        made[name + suffix] = composite(
            name + suffix, 1, _adaptive_largest(name, both), attributes=_adaptive_attributes(name, axes), names=("input",),
            samples=samples, reference=_REFERENCES + name + suffix, errors=_WRONG,
            doc="The largest element of each region" + (" and its flat position along the pooled axes." if both else "."),
        )  # fmt: skip
    name = f"max_unpool{axes}d"
    shape = {1: (2, 3, 3), 2: (2, 1, 2, 2), 3: (1, 2, 1, 2, 2)}[axes]
    made[name] = composite(
        name, 2, _unpool(name), attributes=_unpool_attributes(name, axes), names=("input", "indices"),
        reference=_REFERENCES + name, errors=(((((0,) * axes),), {}, "output_size"),),
        samples=Samples(((-5, 5), "class 12"), arguments=((((12, (3, 4), (2, 2, 3))[axes - 1],), {}),), shapes=((shape, shape),)),
        doc="Zeros of output_size with each element where its index says; see max_pool.",
    )  # fmt: skip
    if axes > 1:
        name = f"fractional_max_pool{axes}d"
        shape = {2: (2, 3, 7, 6), 3: (1, 2, 5, 5, 4)}[axes]
        made[name] = composite(
            name, 2, _fractional(name), attributes=_fractional_attributes(name, axes), names=("input", "samples"),
            reference=_REFERENCES + name, errors=(((0, 2), {}, "kernel_size"), ((2, 99), {}, "room")),
            samples=Samples(((-5, 5), (0, 1)), arguments=(((2, (4, 3) if axes == 2 else (3, 4, 2)), {}),),
                            shapes=((shape, (*shape[:2], axes)),)),
            doc="(values, indices) of the largest elements of windows that start where samples in [0, 1) say.",
        )  # fmt: skip
    return made


_REGIONS = {name: op for axes in AXES for name, op in _make(axes).items()}


def _plain(input, output_size, axes: int, op):
    """The result of an ordinary pooling op where all regions are equal, which knows a faster gradient; else None."""
    lengths = tuple(input.shape)[-axes:]
    if input.ndim not in (axes + 1, axes + 2) or 0 in lengths:
        return None
    wanted = output_size if isinstance(output_size, (tuple, list)) else (output_size,) * axes
    if len(wanted) != axes or not all(d is None or (type(d) is int and d > 0) for d in wanted):
        return None
    counts = tuple(d if c is None else c for c, d in zip(wanted, lengths))
    kernel = _divides(input, counts)
    return op(input, kernel) if kernel is not None and 1 < prod(kernel) <= 64 and prod(counts) > 1 else None


def _adaptive_functions(axes: int) -> tuple:
    largest, both, mean_, _ = _OPS[axes]
    averages = _REGIONS[f"adaptive_avg_pool{axes}d"]
    any_largest, any_both = (_REGIONS[f"adaptive_max_pool{axes}d{suffix}"] for suffix in ("", "_with_indices"))

    def adaptive_avg_pool(input, output_size):
        found = _plain(input, output_size, axes, mean_)
        return averages(input, output_size) if found is None else found

    def adaptive_max_pool(input, output_size, return_indices=False):
        found = _plain(input, output_size, axes, both if return_indices else largest)
        return (any_both if return_indices else any_largest)(input, output_size) if found is None else found

    for function in (adaptive_avg_pool, adaptive_max_pool):
        function.__name__ = function.__qualname__ = f"{function.__name__}{axes}d"
    adaptive_avg_pool.__doc__ = """Means over regions that divide the last axes into output_size.

    input (n, channels, *size) or (channels, *size); None keeps a size. Region i of an axis is floor(i * size / count) to
    ceil((i + 1) * size / count).
    """
    adaptive_max_pool.__doc__ = """The largest element of each of the regions that divide the last axes into output_size.

    Arguments and regions as of adaptive_avg_pool. With return_indices also the flat position of each along the pooled axes,
    int64.
    """
    return adaptive_avg_pool, adaptive_max_pool


(
    (adaptive_avg_pool1d, adaptive_max_pool1d),
    (adaptive_avg_pool2d, adaptive_max_pool2d),
    (adaptive_avg_pool3d, adaptive_max_pool3d),
) = (_adaptive_functions(axes) for axes in AXES)
max_unpool_ops = {axes: _REGIONS[f"max_unpool{axes}d"] for axes in AXES}
fractional_ops = {axes: _REGIONS[f"fractional_max_pool{axes}d"] for axes in (2, 3)}

__all__ = [
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "adaptive_max_pool1d", "adaptive_max_pool2d",
    "adaptive_max_pool3d",
]  # fmt: skip
