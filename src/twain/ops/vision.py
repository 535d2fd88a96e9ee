"""Images rearranged and resampled: patches, pixel shuffles, interpolation, sampling at given places."""

from __future__ import annotations

from math import prod

from ..base import dtypes as dt
from ..base.errors import ArgumentError, DTypeError, ShapeError
from .conv import output_size, per_axis
from .elementwise import (
    abs,
    add,
    cast,
    divide,
    floor,
    greater_equal,
    less,
    logical_and,
    maximum,
    minimum,
    multiply,
    remainder,
    subtract,
    where,
)
from .elementwise import round as round_
from .families import composite
from .index import iota, take, take_along_axis
from .linalg import matmul
from .pool import _padded, _unpadded, along, interleave, spread, taps_of
from .pool_regions import _REGIONS
from .reduce import sum as sum_
from .samples import Samples
from .shape import broadcast_to, concat, permute_dims, reshape, slice_

_REFERENCES = "twain.testing.vision_references."


# ---------------------------------------------------------------- patches
def _patch_attributes(name: str):
    def attributes(kernel_size, dilation=1, padding=0, stride=1):
        return (
            per_axis(name, "kernel_size", kernel_size, 2, 1), per_axis(name, "dilation", dilation, 2, 1),
            per_axis(name, "padding", padding, 2), per_axis(name, "stride", stride, 2, 1),
        )  # fmt: skip

    return attributes


def _places(name: str, size: tuple, kernel, dilation, padding, stride) -> tuple:
    places = tuple(output_size(d, k, s, (p, p), e) for d, k, e, p, s in zip(size, kernel, dilation, padding, stride))
    if 0 in places:
        raise ShapeError(
            f"[{name}] expected images at least as large as the kernel {kernel}, got {size} and padding {padding}"
        )
    return places


def _unfold(attrs, x):
    kernel, dilation, padding, stride = attrs
    if x.ndim not in (3, 4):
        raise ShapeError(f"[unfold] expected input (n, channels, h, w) or (channels, h, w), got shape {tuple(x.shape)}")
    places = _places("unfold", tuple(x.shape[-2:]), *attrs)
    lead = tuple(x.shape[:-2])
    padded = _padded(x, tuple((p, p) for p in padding), 0)
    taps = [reshape(t, (*lead, 1, prod(places))) for t in taps_of(padded, kernel, stride, dilation, places)]
    return reshape(concat(taps, -2), (*lead[:-1], lead[-1] * prod(kernel), prod(places)))


unfold = composite(
    "unfold", 1, _unfold, attributes=_patch_attributes("unfold"), names=("input",), reference=_REFERENCES + "unfold",
    samples=Samples(((-5, 5),), arguments=((((2, 3),), {}), ((2, 2, 1, 2), {})), shapes=(((2, 3, 5, 6),),)),
    errors=(((0,), {}, "kernel_size"), ((9,), {}, "[unfold]")),
    doc="Patches of images (n, channels, h, w) or (channels, h, w) as columns: (n, channels * kh * kw, places).",
)  # fmt: skip


def _fold_attributes(output_size, kernel_size, dilation=1, padding=0, stride=1):
    size = per_axis("fold", "output_size", output_size, 2, 1)
    return (size, *_patch_attributes("fold")(kernel_size, dilation, padding, stride))


def _fold(attrs, x):
    size, kernel, dilation, padding, stride = attrs
    places = _places("fold", size, kernel, dilation, padding, stride)
    good = x.ndim in (2, 3) and x.shape[-1] == prod(places) and x.shape[-2] % prod(kernel) == 0
    if not good:
        raise ShapeError(
            f"[fold] expected input (n, channels * {prod(kernel)}, {prod(places)}) for output_size {size}, kernel {kernel}, "
            f"padding {padding} and stride {stride}, got shape {tuple(x.shape)}"
        )
    lead = (*x.shape[:-2], x.shape[-2] // prod(kernel))
    columns = reshape(x, (*lead, prod(kernel), *places))
    zeros, ones = (0,) * len(lead), (1,) * (len(lead) + 3)
    parts = [
        reshape(slice_(columns, (*zeros, k, 0, 0), ones, (*lead, 1, *places)), (*lead, *places))
        for k in range(prod(kernel))
    ]
    pads = tuple((p, p) for p in padding)
    whole = spread(parts, (*lead, *(d + 2 * p for d, p in zip(size, padding))), kernel, stride, dilation)
    return _unpadded(whole, (*lead, *size), pads)


fold = composite(
    "fold", 1, _fold, attributes=_fold_attributes, names=("input",), reference=_REFERENCES + "fold",
    samples=Samples(((-5, 5),), arguments=((((5, 6), (2, 3)), {}), (((5, 6), 2, 2, 1, 2), {})),
                    shapes=(((2, 18, 16),), ((2, 12, 9),))),
    errors=(((0, 2), {}, "output_size"), (((7, 7), 2), {}, "[fold]")),
    doc="The sums of overlapping patches (n, channels * kh * kw, places) in images of output_size: unfold's transpose.",
)  # fmt: skip


# ---------------------------------------------------------------- channels and pixels
def _factor(name: str, argument: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ArgumentError(f"[{name}] expected {argument} to be an int of at least 1, got {value!r}")
    return value


def _pixel_shuffle(r, x):
    if x.ndim < 3 or x.shape[-3] % (r * r):
        raise ShapeError(
            f"[pixel_shuffle] expected (..., channels divisible by {r * r}, h, w), got shape {tuple(x.shape)}"
        )
    *lead, c, h, w = x.shape
    n = len(lead)
    parts = reshape(x, (*lead, c // (r * r), r, r, h, w))
    return reshape(
        permute_dims(parts, (*range(n + 1), n + 3, n + 1, n + 4, n + 2)), (*lead, c // (r * r), h * r, w * r)
    )


pixel_shuffle = composite(
    "pixel_shuffle", 1, _pixel_shuffle, names=("input",), reference=_REFERENCES + "pixel_shuffle", onnx="DepthToSpace",
    attributes=lambda upscale_factor: _factor("pixel_shuffle", "upscale_factor", upscale_factor),
    samples=Samples(((-5, 5),), arguments=(((2,), {}),), shapes=(((2, 8, 3, 2),),)),
    errors=(((0,), {}, "upscale_factor"), ((3,), {}, "divisible")),
    doc="(..., channels * r * r, h, w) as (..., channels, h * r, w * r) with r = upscale_factor. Shi et al. (2016).",
)  # fmt: skip


def _pixel_unshuffle(r, x):
    if x.ndim < 3 or x.shape[-1] % r or x.shape[-2] % r:
        raise ShapeError(
            f"[pixel_unshuffle] expected (..., channels, h, w) with h and w divisible by {r}, got shape {tuple(x.shape)}"
        )
    *lead, c, h, w = x.shape
    n = len(lead)
    parts = reshape(x, (*lead, c, h // r, r, w // r, r))
    return reshape(permute_dims(parts, (*range(n + 1), n + 2, n + 4, n + 1, n + 3)), (*lead, c * r * r, h // r, w // r))


pixel_unshuffle = composite(
    "pixel_unshuffle", 1, _pixel_unshuffle, names=("input",), reference=_REFERENCES + "pixel_unshuffle", onnx="SpaceToDepth",
    attributes=lambda downscale_factor: _factor("pixel_unshuffle", "downscale_factor", downscale_factor),
    samples=Samples(((-5, 5),), arguments=(((2,), {}),), shapes=(((2, 2, 6, 4),),)),
    errors=(((0,), {}, "downscale_factor"), ((5,), {}, "divisible")),
    doc="The inverse of pixel_shuffle: (..., channels, h * r, w * r) as (..., channels * r * r, h, w).",
)  # fmt: skip


def _channel_shuffle(groups, x):
    if x.ndim < 3 or x.shape[1] % groups:
        raise ShapeError(
            f"[channel_shuffle] expected (n, channels divisible by {groups}, ...), got shape {tuple(x.shape)}"
        )
    n, c, *rest = x.shape
    parts = reshape(x, (n, groups, c // groups, *rest))
    return reshape(permute_dims(parts, (0, 2, 1, *range(3, x.ndim + 1))), x.shape)


channel_shuffle = composite(
    "channel_shuffle", 1, _channel_shuffle, attributes=lambda groups: _factor("channel_shuffle", "groups", groups),
    names=("input",), reference=_REFERENCES + "channel_shuffle",
    samples=Samples(((-5, 5),), arguments=(((2,), {}),), shapes=(((2, 6, 3),),)),
    errors=(((0,), {}, "groups"), ((4,), {}, "divisible")),
    doc="The channels of `groups` groups dealt out in turn: (n, groups * k, ...) read as (n, k * groups, ...).",
)  # fmt: skip


# ---------------------------------------------------------------- interpolation
_AXES_OF = {"linear": (1,), "bilinear": (2,), "trilinear": (3,), "bicubic": (2,)}
MODES = ("nearest", "nearest-exact", "linear", "bilinear", "bicubic", "trilinear", "area")


def _interpolate_attributes(
    size=None, scale_factor=None, mode="nearest", align_corners=None, recompute_scale_factor=None, antialias=False
):
    if mode not in MODES:
        raise ArgumentError(f"[interpolate] expected mode among {', '.join(MODES)}, got {mode!r}")
    if (size is None) == (scale_factor is None):
        raise ArgumentError(f"[interpolate] expected either size or scale_factor, got {size!r} and {scale_factor!r}")
    if align_corners is not None and mode not in _AXES_OF:
        raise ArgumentError(
            f"[interpolate] expected align_corners only with {', '.join(_AXES_OF)}, got it with {mode!r}"
        )
    if antialias and (mode not in ("bilinear", "bicubic")):
        raise ArgumentError(f"[interpolate] expected antialias only with bilinear and bicubic, got it with {mode!r}")
    if recompute_scale_factor and size is not None:
        raise ArgumentError("[interpolate] expected recompute_scale_factor only with scale_factor, got size")
    if isinstance(size, list):
        size = tuple(size)
    if isinstance(scale_factor, (list, tuple)):
        scale_factor = tuple(float(s) for s in scale_factor)
    elif scale_factor is not None:
        scale_factor = float(scale_factor)
    return (size, scale_factor, mode, bool(align_corners), bool(recompute_scale_factor), bool(antialias))


def _interpolate(attrs, x):
    size, factors, mode, align, recompute, antialias = attrs
    axes = x.ndim - 2
    if axes not in _AXES_OF.get(mode, (1, 2, 3)):
        wanted = " or ".join(str(a + 2) for a in _AXES_OF.get(mode, (1, 2, 3)))
        raise ShapeError(f"[interpolate] expected input of {wanted} axes for mode {mode!r}, got shape {tuple(x.shape)}")
    lengths = tuple(x.shape[2:])
    if factors is not None:
        factors = (factors,) * axes if isinstance(factors, float) else factors
        if len(factors) != axes or any(f <= 0 for f in factors):
            raise ArgumentError(f"[interpolate] expected scale_factor of {axes} positive numbers, got {factors}")
        size = tuple(int(d * f) for d, f in zip(lengths, factors))
    size = per_axis("interpolate", "size", size, axes, 1)
    if 0 in lengths:
        raise ShapeError(f"[interpolate] expected images of at least one pixel, got shape {tuple(x.shape)}")
    if mode == "area":
        return _REGIONS[f"adaptive_avg_pool{axes}d"](x, size)
    pixels = mode in _AXES_OF and x.dtype is dt.uint8
    if pixels:
        x = cast(x, dt.float32)
    elif mode in _AXES_OF and x.dtype.kind != "f":
        raise DTypeError(f"[interpolate] expected a floating dtype or uint8 for mode {mode!r}, got {x.dtype}")
    times = tuple(count // length for length, count in zip(lengths, size))
    whole = all(length * t == count for length, t, count in zip(lengths, times, size))
    if mode.startswith("nearest") and whole and (factors is None or factors == times) and 1 < prod(times) <= 8:
        return interleave([x] * prod(times), *times)
    each = list(enumerate(zip(lengths, size)))
    for a, (length, count) in reversed(each) if pixels else each:
        scale = 1.0 / factors[a] if factors is not None and not recompute else length / count
        if mode == "nearest" and axes == 2 and count in (length, 2 * length):
            scale = length / count  # whatever scale_factor says, as in PyTorch
        if mode.startswith("nearest"):
            x = _nearest(x, a + 2, count, scale, 0.5 if mode == "nearest-exact" else 0.0)
        elif antialias:
            x = _filtered(x, a + 2, count, (length - 1) / (count - 1) if align and count > 1 else scale, mode)
        else:
            x = _between(x, a + 2, count, scale, mode, align)
        if pixels:  # width first, and whole numbers after each axis, as PyTorch has it
            x = minimum(maximum(floor(add(x, 0.5)), 0.0), 255.0)
    return cast(x, dt.uint8) if pixels else x


def _nearest(x, axis: int, count: int, scale: float, shift: float):
    length = x.shape[axis]
    if count == length and scale == 1.0:
        return x
    lead, rest = tuple(x.shape[:axis]), tuple(x.shape[axis + 1 :])
    if count % length == 0 and scale == length / count:
        times = count // length
        wide = broadcast_to(reshape(x, (*lead, length, 1, *rest)), (*lead, length, times, *rest))
        return reshape(wide, (*lead, count, *rest))
    # in single precision, as PyTorch does it
    at = cast(iota((count,), 0), dt.float32)
    at = floor(multiply(add(at, shift) if shift else at, scale))
    return take(x, minimum(cast(at, dt.int64), length - 1), axis)


def _cubic(t, a: float) -> list:
    """Weights of the four neighbours at distances 1 + t, t, 1 - t, 2 - t. Keys, "Cubic convolution interpolation" (1981)."""

    def near(d):
        return add(multiply(multiply(subtract(multiply(d, a + 2), a + 3), d), d), 1)

    def far(d):
        return subtract(multiply(add(multiply(subtract(multiply(d, a), 5 * a), d), 8 * a), d), 4 * a)

    return [far(add(t, 1)), near(t), near(subtract(1, t)), far(subtract(2, t))]


def _between(x, axis: int, count: int, scale: float, mode: str, align: bool):
    """Linear or cubic interpolation along one axis."""
    length = x.shape[axis]
    if count == length and mode != "bicubic":  # whatever scale_factor says, as in PyTorch
        return x
    precise = dt.float64 if x.dtype is dt.float64 else dt.float32
    i = cast(iota((count,), 0), precise)
    if align:
        at = multiply(i, (length - 1) / (count - 1) if count > 1 else 0.0)
    else:
        at = subtract(multiply(add(i, 0.5), scale), 0.5)
    if mode != "bicubic":
        at = maximum(at, 0)
        low = minimum(floor(at), length - 1)
        places = [cast(low, dt.int64)]
        places.append(minimum(add(places[0], 1), length - 1))
        t = subtract(at, low)
        weights = [subtract(1, t), t]
    else:
        low = floor(at)
        first = cast(low, dt.int64)
        places = [minimum(maximum(add(first, k), 0), length - 1) for k in range(-1, 3)]
        weights = _cubic(subtract(at, low), -0.75)
    total = None
    for place, weight in zip(places, weights):
        weight = reshape(cast(weight, precise), tuple(count if a == axis else 1 for a in range(x.ndim)))
        part = multiply(cast(take(x, place, axis), precise), weight)
        total = part if total is None else add(total, part)
    return cast(total, x.dtype)


def _filtered(x, axis: int, count: int, scale: float, mode: str):
    """Interpolation by a filter as wide as the places of the result are apart: a product with the matrix of its weights."""
    length = x.shape[axis]
    precise = dt.float64 if x.dtype is dt.float64 else dt.float32
    half = 2.0 if mode == "bicubic" else 1.0
    wide = max(scale, 1.0)
    support = half * wide
    center = multiply(add(cast(iota((count, 1), 0), precise), 0.5), scale)
    first = maximum(floor(add(subtract(center, support), 0.5)), 0)
    last = minimum(floor(add(add(center, support), 0.5)), length)
    j = cast(iota((1, length), 1), precise)
    distance = abs(divide(add(subtract(j, center), 0.5), wide))
    if mode == "bicubic":
        a = -0.5
        near = add(multiply(multiply(subtract(multiply(distance, a + 2), a + 3), distance), distance), 1)
        far = subtract(
            multiply(add(multiply(subtract(multiply(distance, a), 5 * a), distance), 8 * a), distance), 4 * a
        )
        weight = where(less(distance, 1), near, where(less(distance, 2), far, 0))
    else:
        weight = maximum(subtract(1, distance), 0)
    weight = where(logical_and(greater_equal(j, first), less(j, last)), weight, 0)
    weight = divide(weight, sum_(weight, 1, True))
    order = [a for a in range(x.ndim) if a != axis]
    rows = permute_dims(x, (*order, axis)) if axis != x.ndim - 1 else x
    result = cast(matmul(cast(rows, precise), permute_dims(weight, (1, 0))), x.dtype)
    if axis == x.ndim - 1:
        return result
    back = [order.index(a) if a != axis else x.ndim - 1 for a in range(x.ndim)]
    return permute_dims(result, tuple(back))


interpolate = composite(
    "interpolate", 1, _interpolate, attributes=_interpolate_attributes, names=("input",), onnx="Resize",
    reference=_REFERENCES + "interpolate",
    samples=Samples(
        ((-5, 5),),
        arguments=((((7, 3),), {}), ((), {"scale_factor": (1.7, 0.6), "mode": "bilinear"}), (((9, 2),), {"mode": "bicubic"}),
                   (((2, 8),), {"mode": "bilinear", "antialias": True}), ((), {"scale_factor": 2, "mode": "nearest-exact"}),
                   (((3, 7),), {"mode": "bilinear", "align_corners": True})),
        shapes=(((1, 2, 4, 5),),), dtypes=(dt.float64,), special=False,
    ),
    errors=(((), {}, "size"), ((3,), {"mode": "cubic"}, "mode"), ((3,), {"mode": "trilinear"}, "axes"),
            ((3,), {"align_corners": True}, "align_corners"), ((0,), {}, "size")),
    doc="""Images resampled: input (n, channels, *size) with one to three axes, to `size` or by `scale_factor`.

    mode: nearest, nearest-exact (pixel centres), linear (3 axes in all), bilinear, bicubic (4), trilinear (5) or area.
    align_corners: the corner pixels' centres are kept, else the corners of the image. antialias (bilinear, bicubic): filters
    as wide as the step, for making images smaller. Any dtype for nearest, else floating ones.""",
)  # fmt: skip


# ---------------------------------------------------------------- sampling at given places
_SAMPLE_MODES, _PADDINGS = ("bilinear", "nearest", "bicubic"), ("zeros", "border", "reflection")


def _grid_attributes(mode="bilinear", padding_mode="zeros", align_corners=None):
    if mode not in _SAMPLE_MODES:
        raise ArgumentError(f"[grid_sample] expected mode among {', '.join(_SAMPLE_MODES)}, got {mode!r}")
    if padding_mode not in _PADDINGS:
        raise ArgumentError(f"[grid_sample] expected padding_mode among {', '.join(_PADDINGS)}, got {padding_mode!r}")
    return (mode, padding_mode, bool(align_corners))


def _inside(at, length: int, padding: str, align: bool):
    """Coordinates of one axis brought inside, as padding_mode says."""
    if padding == "zeros":
        return at
    if padding == "reflection":
        low, span = (0.0, length - 1.0) if align else (-0.5, float(length))
        if span <= 0:
            return multiply(at, 0)
        away = abs(subtract(at, low))
        extra = remainder(away, span)
        odd = remainder(floor(divide(away, span)), 2)
        at = add(where(less(odd, 0.5), extra, subtract(span, extra)), low)
    return minimum(maximum(at, 0), length - 1)


def _grid_sample(attrs, x, grid):
    mode, padding, align = attrs
    axes = x.ndim - 2
    fits = x.ndim in (4, 5) and grid.ndim == x.ndim and grid.shape[-1] == axes and grid.shape[0] == x.shape[0]
    if not fits:
        raise ShapeError(
            f"[grid_sample] expected input (n, channels, h, w) and grid (n, h, w, 2), or five axes each and 3, got "
            f"{tuple(x.shape)} and {tuple(grid.shape)}"
        )
    if mode == "bicubic" and axes != 2:
        raise ArgumentError(f"[grid_sample] expected input of 4 axes for mode 'bicubic', got shape {tuple(x.shape)}")
    if x.dtype.kind != "f" or grid.dtype is not x.dtype:
        raise DTypeError(f"[grid_sample] expected input and grid of one floating dtype, got {x.dtype} and {grid.dtype}")
    if 0 in x.shape[2:]:
        raise ShapeError(f"[grid_sample] expected images of at least one pixel, got shape {tuple(x.shape)}")
    n, channels, *lengths = x.shape
    places = tuple(grid.shape[1:-1])
    count = prod(places)
    points = reshape(grid, (n, count, axes))
    flat = reshape(x, (n, channels, prod(lengths)))
    at = []  # per axis of the image the coordinates (n, 1, count); the grid has the last axis first
    for a, length in enumerate(lengths):
        g = reshape(slice_(points, (0, 0, axes - 1 - a), (1, 1, 1), (n, count, 1)), (n, 1, count))
        if align:
            at.append(multiply(add(g, 1), (length - 1) / 2))
        else:
            at.append(subtract(multiply(add(g, 1), length / 2), 0.5))
    if mode != "bicubic":
        at = [_inside(v, d, padding, align) for v, d in zip(at, lengths)]

    def pixel(corner: list):
        """Values at whole coordinates, 0 outside."""
        index = valid = None
        for v, d in zip(corner, lengths):
            ok = logical_and(greater_equal(v, 0), less(v, d))
            valid = ok if valid is None else logical_and(valid, ok)
            place = cast(minimum(maximum(v, 0), d - 1), dt.int64)
            index = place if index is None else add(multiply(index, d), place)
        value = take_along_axis(flat, broadcast_to(index, (n, channels, count)), 2)
        return where(valid, value, 0)

    if mode == "nearest":
        return reshape(pixel([round_(v) for v in at]), (n, channels, *places))
    low = [floor(v) for v in at]
    rest = [subtract(v, f) for v, f in zip(at, low)]
    if mode == "bilinear":
        choices = [[(f, subtract(1, t)), (add(f, 1), t)] for f, t in zip(low, rest)]
    else:
        choices = [
            [(_inside(add(f, k - 1), d, padding, align), w) for k, w in enumerate(_cubic(t, -0.75))]
            for f, t, d in zip(low, rest, lengths)
        ]
    corners: list = [([], None)]
    for one in choices:
        corners = [([*at_, v], w if weight is None else multiply(weight, w)) for at_, weight in corners for v, w in one]
    total = None
    for corner, weight in corners:
        part = multiply(pixel(corner), weight)
        total = part if total is None else add(total, part)
    return reshape(total, (n, channels, *places))


grid_sample = composite(
    "grid_sample", 2, _grid_sample, attributes=_grid_attributes, names=("input", "grid"), onnx="GridSample",
    reference=_REFERENCES + "grid_sample",
    samples=Samples(
        ((-5, 5), (-1.3, 1.3)),
        arguments=(((), {}), (("bilinear", "reflection", True), {})),
        shapes=(((2, 2, 4, 5), (2, 3, 2, 2)), ((1, 1, 2, 4, 3), (1, 1, 2, 3, 3))), dtypes=(dt.float64,), special=False,
    ),
    errors=((("linear",), {}, "mode"), (("nearest", "wrap"), {}, "padding_mode")),
    doc="""input at the places that grid says: input (n, channels, h, w), grid (n, h', w', 2) of (x, y) in [-1, 1], the corners
    of the image (align_corners: the centres of its corner pixels); or (n, channels, d, h, w) and (n, d', h', w', 3).

    mode: bilinear, nearest, bicubic (four axes); padding_mode: zeros, border or reflection for places outside. Jaderberg et
    al., "Spatial Transformer Networks" (2015).""",
)  # fmt: skip


def _affine_attributes(size, align_corners=None):
    size = tuple(size)
    if len(size) not in (4, 5) or not all(isinstance(d, int) and d >= 1 for d in size):
        raise ArgumentError(f"[affine_grid] expected size (n, channels, h, w) or (n, channels, d, h, w), got {size}")
    return (size, bool(align_corners))


def _affine_grid(attrs, theta):
    size, align = attrs
    n, _, *lengths = size
    axes = len(lengths)
    if theta.shape != (n, axes, axes + 1) or theta.dtype.kind != "f":
        raise ShapeError(f"[affine_grid] expected theta ({n}, {axes}, {axes + 1}), floating, for size {size}, got "
                         f"{tuple(theta.shape)} {theta.dtype}")  # fmt: skip
    columns = []
    for a in range(axes - 1, -1, -1):
        d = lengths[a]
        i = cast(iota((d,), 0), theta.dtype)
        if align:
            values = subtract(multiply(i, 2.0 / (d - 1)), 1) if d > 1 else multiply(i, 0)
        else:
            values = subtract(multiply(i, 2.0 / d), (d - 1) / d)
        columns.append(reshape(broadcast_to(along(values, a, axes), tuple(lengths)), (prod(lengths), 1)))
    columns.append(broadcast_to(cast(1, theta.dtype), (prod(lengths), 1)))
    grid = matmul(concat(columns, 1), permute_dims(theta, (0, 2, 1)))
    return reshape(grid, (n, *lengths, axes))


affine_grid = composite(
    "affine_grid", 1, _affine_grid, attributes=_affine_attributes, names=("theta",), reference=_REFERENCES + "affine_grid",
    samples=Samples(((-2, 2),), arguments=((((2, 3, 4, 5),), {}), (((1, 1, 2, 3, 4), True), {})),
                    shapes=(((2, 2, 3),), ((1, 3, 4),))),
    errors=((((2, 3, 4),), {}, "size"), (((3, 3, 4, 5),), {}, "theta")),
    doc="""The grid that grid_sample takes for affine maps theta (n, 2, 3), or (n, 3, 4) of volumes, of results of `size`
    (n, channels, h, w) or (n, channels, d, h, w): (n, h, w, 2) or (n, d, h, w, 3).""",
)  # fmt: skip

__all__ = [
    "affine_grid", "channel_shuffle", "fold", "grid_sample", "interpolate", "pixel_shuffle", "pixel_unshuffle", "unfold",
]  # fmt: skip
