"""Pooling over the last axes, as elementwise functions of the window's taps, each a strided view of the input."""

from __future__ import annotations

from itertools import product
from math import prod

from ..base import dtypes as dt
from ..base.errors import ArgumentError, ShapeError
from ..ir.node import Spec
from .conv import output_size, per_axis
from .elementwise import (
    add,
    cast,
    equal,
    greater,
    logical_and,
    logical_not,
    logical_or,
    maximum,
    minimum,
    multiply,
    not_equal,
    power,
    subtract,
    where,
)
from .families import composite, late
from .index import iota
from .samples import Samples
from .shape import assembly, embed, reshape, slice_

_REFERENCES = "twain.testing.conv_references."
AXES = (1, 2, 3)


# ---------------------------------------------------------------- taps
def taps_of(x, kernel: tuple, stride: tuple, dilation: tuple, size: tuple) -> list:
    """Per place in the window, the elements it meets at every output position: views of shape (..., *size)."""
    lead = tuple(x.shape[: x.ndim - len(kernel)])
    zeros, ones = (0,) * len(lead), (1,) * len(lead)
    return [
        slice_(x, (*zeros, *(p * d for p, d in zip(place, dilation))), (*ones, *stride), (*lead, *size))
        for place in product(*map(range, kernel))
    ]


def _interleave_attributes(*kernel):
    if not kernel or not all(isinstance(k, int) and k > 0 for k in kernel):
        raise ArgumentError(f"[interleave] expected kernel to be positive ints, got {kernel!r}")
    return kernel


def _interleave_infer(kernel, *parts):
    first = parts[0].shape
    lead = len(first) - len(kernel)
    return Spec(parts[0].dtype, (*first[:lead], *(d * k for d, k in zip(first[lead:], kernel))))


def _interleave_regions(kernel, specs, out):
    lead = len(out.shape) - len(kernel)
    zeros, ones = (0,) * lead, (1,) * lead
    return [(k, (*zeros, *place), (*ones, *kernel)) for k, place in enumerate(product(*map(range, kernel)))]


def _interleave_vjp(kernel, g, inputs, outputs, needs):
    return taps_of(g[0], kernel, kernel, (1,) * len(kernel), inputs[0].shape[inputs[0].ndim - len(kernel) :])


def _interleave_jvp(kernel, call, tangents, inputs, outputs):
    return [call(kernel, *[late.zeros_like(x) if t is None else t for t, x in zip(tangents, inputs)])]


interleave = assembly(
    "interleave", -1, attributes=_interleave_attributes, infer=_interleave_infer, regions=_interleave_regions,
    vjp=_interleave_vjp, jvp=_interleave_jvp, reference=_REFERENCES + "interleave",
    batch=lambda attrs, call, inputs, batched, size: call(attrs, *[
        x if b else late.broadcast_to(x, (size, *x.shape)) for x, b in zip(inputs, batched)]),
    samples=Samples(((-5, 5),) * 4, arguments=(((2, 2), {}), ((4,), {})), shapes=(((2, 3),) * 4,)),
    doc="As many tensors as the product of `kernel`, in one of whose blocks of that size each has one element.",
)  # fmt: skip


def spread(parts: list, shape: tuple, kernel: tuple, stride: tuple, dilation: tuple):
    """The transpose of taps_of: the parts added into zeros of `shape`, each where its tap lies.

    Taps whose places differ by whole strides are added up first, on a lattice of every stride-th place.
    """
    lead = len(shape) - len(kernel)
    zeros, ones = (0,) * len(shape), (1,) * len(shape)
    at = [[p * d for p, d in zip(place, dilation)] for place in product(*map(range, kernel))]
    shifts = [tuple(a // s for a, s in zip(one, stride)) for one in at]
    residues = [tuple(a % s for a, s in zip(one, stride)) for one in at]
    lattice = tuple(parts[0].shape)
    if any(map(any, shifts)):
        lattice = (*shape[:lead], *(-(-d // s) for d, s in zip(shape[lead:], stride)))
    sums: dict = {}
    for part, residue, shift in zip(parts, residues, shifts):
        if part.shape != lattice:
            part = embed(part, lattice, (*zeros[:lead], *shift), ones)
        sums[residue] = add(sums[residue], part) if residue in sums else part
    each = list(product(*map(range, stride)))
    whole = sums[each[0]]
    if len(each) > 1:
        empty = None if len(sums) == len(each) else late.zeros_like(whole)
        whole = interleave([sums.get(r, empty) for r in each], *stride)
    if any(d > e for d, e in zip(whole.shape, shape)):
        kept = tuple(min(d, e) for d, e in zip(whole.shape, shape))
        whole = slice_(whole, zeros, ones, kept)
    return whole if whole.shape == shape else embed(whole, shape, zeros, ones)


def collected(shape: tuple, kernel: tuple, stride: tuple, dilation: tuple, padding: tuple, windows: list, value):
    """The transpose of taps_of for windows that overlap: each element of `shape` sums over the windows that it lies in.

    padding: how much of it lies before the first element along each axis; windows: [(x, fill)] of the windows' shape.
    value(tap number, elements of x at the windows in which an element is that tap) is a term of its sum. Elements are
    computed one lattice of every stride-th place after the other.
    """
    axes = len(kernel)
    lead = len(shape) - axes
    zeros, ones = (0,) * lead, (1,) * len(shape)
    at = [[p * d for p, d in zip(place, dilation)] for place in product(*map(range, kernel))]
    most = [max(one[a] for one in at) // stride[a] for a in range(axes)]
    lattice = [-(-d // s) for d, s in zip(shape[lead:], stride)]
    first = [(s - 1 + p) // s for s, p in zip(stride, padding)]  # a lattice begins so many strides inside at most
    count = windows[0][0].shape[lead:]
    room = (*shape[:lead], *(m + max(f + d, c) for m, f, d, c in zip(most, first, lattice, count)))
    wide = [embed(x, room, (*zeros, *most), ones, fill) for x, fill in windows]
    parts = []
    for residue in product(*map(range, stride)):
        inside = [r + p for r, p in zip(residue, padding)]  # where it lies in the padded input
        total = None
        for k, one in enumerate(at):
            if any((i - o) % s for i, o, s in zip(inside, one, stride)):
                continue
            starts = (*zeros, *(m + (i - o) // s for m, i, o, s in zip(most, inside, one, stride)))
            part = value(k, *(slice_(x, starts, ones, (*shape[:lead], *lattice)) for x in wide))
            total = part if total is None else add(total, part)
        parts.append(total)
    known = next(p for p in parts if p is not None)
    whole = (
        interleave([late.zeros_like(known) if p is None else p for p in parts], *stride) if len(parts) > 1 else known
    )
    return whole if whole.shape == shape else slice_(whole, (0,) * len(shape), ones, shape)


# ---------------------------------------------------------------- windows
def check_input(name: str, x, axes: int) -> None:
    if x.ndim not in (axes + 1, axes + 2):
        places = ("length", "h, w", "d, h, w")[axes - 1]
        raise ShapeError(
            f"[{name}] expected input (n, channels, {places}) or (channels, {places}), got shape {tuple(x.shape)}"
        )


def _windows(name: str, x, kernel, stride, padding, dilation, ceil_mode) -> tuple:
    """(output size, padding per axis as (low, high)); checks the sizes."""
    axes = len(kernel)
    check_input(name, x, axes)
    size, pads = [], []
    for a in range(axes):
        if padding[a] * 2 > dilation[a] * (kernel[a] - 1) + 1:
            raise ArgumentError(
                f"[{name}] expected padding of at most half the kernel size, got {padding} for {kernel}"
            )
        length = x.shape[a - axes]
        high = padding[a]
        count = output_size(length, kernel[a], stride[a], (padding[a], high), dilation[a])
        if ceil_mode:  # one more window if it starts inside the input or the left padding
            more = output_size(length, kernel[a], stride[a], (padding[a], high + stride[a] - 1), dilation[a])
            if more > count and (more - 1) * stride[a] < length + padding[a]:
                high += (more - 1) * stride[a] + dilation[a] * (kernel[a] - 1) + 1 - (length + padding[a] + high)
                count = more
        if count < 1:
            raise ShapeError(
                f"[{name}] expected an input at least as large as the window {kernel}, got shape {tuple(x.shape)}"
            )
        size.append(count)
        pads.append((padding[a], high))
    return tuple(size), tuple(pads)


def overlap(kernel: tuple, stride: tuple) -> bool:
    return any(k > s for k, s in zip(kernel, stride))


def _padded(x, pads: tuple, fill: object):
    if not any(map(any, pads)):
        return x
    lead = len(x.shape) - len(pads)
    shape = (*x.shape[:lead], *(d + low + high for d, (low, high) in zip(x.shape[lead:], pads)))
    return embed(x, shape, (*((0,) * lead), *(low for low, _ in pads)), (1,) * len(shape), fill)


def _unpadded(g, shape: tuple, pads: tuple):
    if not any(map(any, pads)):
        return g
    lead = len(shape) - len(pads)
    return slice_(g, (*((0,) * lead), *(low for low, _ in pads)), (1,) * len(shape), shape)


def _attributes(name: str, axes: int):
    def attributes(kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
        kernel = per_axis(name, "kernel_size", kernel_size, axes, 1)
        step = kernel if stride in (None, ()) else per_axis(name, "stride", stride, axes, 1)
        padding = per_axis(name, "padding", padding, axes)
        return (kernel, step, padding, per_axis(name, "dilation", dilation, axes, 1), bool(ceil_mode))

    return attributes


def along(values, axis: int, axes: int):
    """A vector as the axis `axis` of `axes`, for broadcasting."""
    return reshape(values, tuple(values.shape[0] if a == axis else 1 for a in range(axes)))


# ---------------------------------------------------------------- largest
def _lowest(dtype):
    return float("-inf") if dtype.kind == "f" else 0 if dtype.kind in "bu" else -(2 ** (dtype.bits - 1))


def _max_taps(name, attrs, x):
    kernel, stride, padding, dilation, ceil_mode = attrs
    size, pads = _windows(name, x, kernel, stride, padding, dilation, ceil_mode)
    padded = _padded(x, pads, _lowest(x.dtype))
    return taps_of(padded, kernel, stride, dilation, size), padded.shape, pads


def _max_pool(name: str):
    def function(attrs, x):
        taps, _, _ = _max_taps(name, attrs, x)
        result = taps[0]
        for tap in taps[1:]:
            result = maximum(result, tap)
        return result

    return function


def _first_largest(attrs, x, size: tuple):
    """Flat positions in the input of the first largest element of each window; of NaNs the last."""
    kernel, stride, padding, dilation, _ = attrs
    axes = len(kernel)
    lengths = x.shape[x.ndim - axes :]
    rows = [prod(lengths[a + 1 :]) for a in range(axes)]
    starts = [along(subtract(multiply(iota((c,), 0), s), p), a, axes)
              for a, (c, s, p) in enumerate(zip(size, stride, padding))]  # fmt: skip

    def position(values: list):
        total = None
        for value, row in zip(values, rows):
            value = multiply(value, row)
            total = value if total is None else add(total, value)
        return total

    base = position(starts)
    taps, _, _ = _max_taps("max_pool", attrs, x)
    best = taps[0]
    found = late.broadcast_to(position([maximum(s, 0) for s in starts]), best.shape)
    for tap, place in list(zip(taps, product(*map(range, kernel))))[1:]:
        better = greater(tap, best)
        if x.dtype.kind == "f":
            better = logical_or(better, not_equal(tap, tap))
        offset = sum(p * d * row for p, d, row in zip(place, dilation, rows))
        found = where(better, add(base, offset), found)
        best = where(better, tap, best)
    return found


def _max_pool_with_indices(name: str):
    values = _max_pool(name)

    def function(attrs, x):
        result = values(attrs, x)
        return [result, _first_largest(attrs, x, result.shape[x.ndim - len(attrs[0]) :])]

    return function


def _max_pool_vjp(name: str):
    def vjp(attrs, gradients, inputs, outputs, needs):
        """The gradient goes to the first largest element of each window, as in PyTorch."""
        x, g, y = inputs[0], gradients[0], outputs[0]
        if g is None:
            return [None]
        taps, shape, pads = _max_taps(name, attrs, x)
        kernel, stride, _, dilation, _ = attrs
        if overlap(kernel, stride):
            number = g.dtype if len(taps) < 256 else dt.int32  # compares of one width need no conversions
            which = cast(-1, number)
            for k in range(len(taps) - 1, -1, -1):
                which = where(equal(taps[k], y), cast(k, number), which)

            def term(k, which, g):
                return where(equal(which, cast(k, number)), g, 0)

            low = tuple(p for p, _ in pads)
            return [collected(tuple(x.shape), kernel, stride, dilation, low, [(which, -1), (g, 0)], term)]
        parts, taken = [], None
        for tap in taps:
            hit = equal(tap, y)
            parts.append(where(hit if taken is None else logical_and(hit, logical_not(taken)), g, 0))
            taken = hit if taken is None else logical_or(taken, hit)
        return [_unpadded(spread(parts, shape, kernel, stride, dilation), tuple(x.shape), pads)]

    return vjp


# ---------------------------------------------------------------- means
def _average_attributes(name: str, axes: int):
    plain = _attributes(name, axes)

    def attributes(kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None):
        if divisor_override is not None and (not isinstance(divisor_override, int) or divisor_override == 0):
            raise ArgumentError(f"[{name}] expected divisor_override to be an int but 0, got {divisor_override!r}")
        kernel, stride, padding, _, ceil_mode = plain(kernel_size, stride, padding, 1, ceil_mode)
        return (kernel, stride, padding, ceil_mode, bool(count_include_pad), divisor_override)

    return attributes


def _divisor(attrs, lengths: tuple, size: tuple, pads: tuple):
    """What sums are divided by: a number, or int64 per place of the result."""
    kernel, stride, padding, _, include, override = attrs
    if override is not None:
        return override
    overhang = any(high != low for low, high in pads)
    if not overhang and (include or not any(padding)):
        return prod(kernel)
    total = None
    for a, (count, length, k, s, p) in enumerate(zip(size, lengths, kernel, stride, padding)):
        start = subtract(multiply(iota((count,), 0), s), p)
        end = minimum(add(start, k), length + p if include else length)  # what ceil_mode adds beyond never counts
        places = along(subtract(end, start if include else maximum(start, 0)), a, len(kernel))
        total = places if total is None else multiply(total, places)
    return total


def _shared(x, divisor):
    if isinstance(divisor, int):
        return multiply(x, 1.0 / divisor)
    return x / cast(divisor, x.dtype)


def _average_pool(name: str):
    def function(attrs, x):
        kernel, stride, padding, ceil_mode, _, _ = attrs
        if x.dtype.kind not in "fc":
            x = cast(x, dt.DEFAULT_FLOAT)
        given = x.dtype
        if given.kind == "f" and given.itemsize == 2:
            x = cast(x, dt.float32)
        ones = (1,) * len(kernel)
        size, pads = _windows(name, x, kernel, stride, padding, ones, ceil_mode)
        total = None
        for tap in taps_of(_padded(x, pads, 0), kernel, stride, ones, size):
            total = tap if total is None else add(total, tap)
        return cast(_shared(total, _divisor(attrs, x.shape[x.ndim - len(kernel) :], size, pads)), given)

    return function


def _average_pool_vjp(name: str):
    def vjp(attrs, gradients, inputs, outputs, needs):
        """Every element of a window gets the same share."""
        kernel, stride, padding, ceil_mode, _, _ = attrs
        x, g = inputs[0], gradients[0]
        lengths = x.shape[x.ndim - len(kernel) :]
        ones = (1,) * len(kernel)
        size, pads = _windows(name, x, kernel, stride, padding, ones, ceil_mode)
        g = _shared(g, _divisor(attrs, lengths, size, pads))
        lead = tuple(x.shape[: x.ndim - len(kernel)])
        shape = (*lead, *(d + low + high for d, (low, high) in zip(lengths, pads)))
        if overlap(kernel, stride):
            return [collected(tuple(x.shape), kernel, stride, ones, padding, [(g, 0)], lambda k, g: g)]
        if kernel == stride and kernel[-1] >= 4:
            apart = [d for pair in zip(g.shape[len(lead) :], ones) for d in pair]
            blocks = [d for pair in zip(g.shape[len(lead) :], kernel) for d in pair]
            whole = late.broadcast_to(reshape(g, (*lead, *apart)), (*lead, *blocks))
            whole = reshape(whole, (*lead, *(d * k for d, k in zip(g.shape[len(lead) :], kernel))))
            if whole.shape != shape:
                whole = embed(whole, shape, (0,) * len(shape), (1,) * len(shape))
        else:
            whole = spread([g] * prod(kernel), shape, kernel, stride, ones)
        return [_unpadded(whole, tuple(x.shape), pads)]

    return vjp


# ---------------------------------------------------------------- norms
def _norm_attributes(name: str, axes: int):
    def attributes(norm_type, kernel_size, stride=None, ceil_mode=False):
        if isinstance(norm_type, bool) or not isinstance(norm_type, (int, float)) or not 0 < norm_type < float("inf"):
            raise ArgumentError(f"[{name}] expected norm_type to be a positive number, got {norm_type!r}")
        kernel = per_axis(name, "kernel_size", kernel_size, axes, 1)
        step = kernel if stride in (None, ()) else per_axis(name, "stride", stride, axes, 1)
        return (float(norm_type), kernel, step, bool(ceil_mode))

    return attributes


def _norm_pool(name: str, average):
    def function(attrs, x):
        norm_type, kernel, stride, ceil_mode = attrs
        if x.dtype.kind != "f":
            x = cast(x, dt.DEFAULT_FLOAT)
        powers = multiply(x, x) if norm_type == 2 else power(x, norm_type)
        padding = (0,) * len(kernel)
        total = multiply(average((kernel, stride, padding, ceil_mode, True, None), powers), prod(kernel))
        nothing = equal(total, 0)  # no slope there
        return where(nothing, 0, power(where(nothing, 1, total), 1.0 / norm_type))

    return function


# ---------------------------------------------------------------- the ops
_SHAPES = {1: (((2, 3, 7),),), 2: (((2, 3, 7, 6),),), 3: (((1, 2, 4, 5, 4),),)}
_WRONG = (((0,), {}, "kernel_size"), ((2, 0), {}, "stride"), ((2, 1, 9), {}, "padding"), ((99,), {}, "window"))
_MAX_TRIES = (((2,), {}), ((3, 2, 1), {}), ((2,), {"ceil_mode": True, "dilation": 2, "stride": 2}))
_AVERAGE_TRIES = (((2,), {}), ((3, 2, 1), {"ceil_mode": True}), ((3, 2, 1, True, False), {}),
                  ((2, 1), {"divisor_override": 3}))  # fmt: skip


def _make(axes: int) -> list:
    shapes = _SHAPES[axes]
    # no ties, or the gradient is not defined
    name = f"max_pool{axes}d"
    samples = Samples(((-5, 5),), arguments=_MAX_TRIES, shapes=shapes)
    largest = composite(
        name, 1, _max_pool(name), attributes=_attributes(name, axes), names=("input",), vjp=_max_pool_vjp(name),
        onnx="MaxPool", reference=_REFERENCES + name, samples=samples, errors=_WRONG,
        doc="The largest element of each window; padding never wins.",
    )  # fmt: skip
    both = composite(
        f"{name}_with_indices", 1, _max_pool_with_indices(name), attributes=_attributes(name, axes), names=("input",),
        vjp=_max_pool_vjp(name), reference=f"{_REFERENCES}{name}_with_indices", samples=samples, errors=_WRONG,
        doc="The largest element of each window, and its flat position along the pooled axes.",
    )  # fmt: skip
    name = f"avg_pool{axes}d"
    mean = composite(
        name, 1, _average_pool(name), attributes=_average_attributes(name, axes), names=("input",), onnx="AveragePool",
        vjp=_average_pool_vjp(name), reference=_REFERENCES + name, errors=_WRONG,
        samples=Samples(((-5, 5),), arguments=_AVERAGE_TRIES, shapes=shapes),
        doc="The mean of each window of (n, channels, *size) or (channels, *size); stride None is the kernel size.\n\n"
        "count_include_pad: padding counts as zeros. divisor_override: what sums are divided by instead of their count.",
    )  # fmt: skip
    name = f"lp_pool{axes}d"
    norm = composite(
        name, 1, _norm_pool(name, _average_pool(name)), attributes=_norm_attributes(name, axes), names=("input",),
        reference=_REFERENCES + name, errors=(((0, 2), {}, "norm_type"), ((2, 0), {}, "kernel_size"), ((2, 99), {}, "window")),
        samples=Samples(((0.5, 3),), arguments=(((2, 2), {}), ((3, 3, 2), {})), shapes=shapes),
        doc="The norm_type-th root of the sum of powers of each window: (sum of x ** norm_type) ** (1 / norm_type).",
    )  # fmt: skip
    return [largest, both, mean, norm]


_OPS = {axes: _make(axes) for axes in AXES}
avg_pool1d, avg_pool2d, avg_pool3d = (_OPS[axes][2] for axes in AXES)
lp_pool1d, lp_pool2d, lp_pool3d = (_OPS[axes][3] for axes in AXES)


def _max_pool_function(axes: int):
    largest, both, _, _ = _OPS[axes]

    def max_pool(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
        op = both if return_indices else largest
        return op(input, kernel_size, stride, padding, dilation, ceil_mode)

    places = ("length", "h, w", "d, h, w")[axes - 1]
    max_pool.__name__ = max_pool.__qualname__ = f"max_pool{axes}d"
    max_pool.__doc__ = f"""The largest element of each window of (n, channels, {places}) or (channels, {places}).

    stride None is the kernel size; padding never wins; ceil_mode keeps windows that reach beyond the end. With
    return_indices also the flat position of each along the pooled axes, int64: what max_unpool{axes}d takes.
    """
    return max_pool


max_pool1d, max_pool2d, max_pool3d = (_max_pool_function(axes) for axes in AXES)

__all__ = [
    "avg_pool1d", "avg_pool2d", "avg_pool3d", "lp_pool1d", "lp_pool2d", "lp_pool3d", "max_pool1d", "max_pool2d", "max_pool3d",
]  # fmt: skip
