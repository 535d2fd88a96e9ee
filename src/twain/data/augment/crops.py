"""Size and place: resizing, cropping, padding, flipping, erasing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ...base.errors import ArgumentError, DTypeError, ShapeError, ValueRangeError
from ...base.lazy import LazyModule
from ...tensor.random import normal
from .base import (
    RandomTransform,
    Transform,
    as_kind,
    as_work,
    check_choice,
    check_fill,
    check_interval,
    check_pair,
    draw,
    draw_int,
    fill_of,
)

np = LazyModule("numpy")


def _triangle(x: Any, antialias: bool) -> Any:
    return np.maximum(0.0, 1 - x)


def _cubic(x: Any, antialias: bool) -> Any:
    """Keys, "Cubic convolution interpolation for digital image processing" (1981); a as Pillow and PyTorch have it."""
    a = -0.5 if antialias else -0.75
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    return np.where(x < 1, near, np.where(x < 2, a * (((x - 5) * x + 8) * x - 4), 0.0))


# How far a filter reaches in pixels, and its weight at a distance from its centre.
FILTERS: dict[str, tuple[int, Any]] = {"bilinear": (1, _triangle), "bicubic": (2, _cubic)}
INTERPOLATIONS = ("nearest", "nearest-exact", *FILTERS)


def _weights(size: int, out: int, interpolation: str, antialias: bool, dtype: Any) -> Any:
    """The matrix [out, size] of a filter.

    With `antialias` it is widened where it makes smaller, so that nothing is left out, and what lies outside the image has
    no weight. Without, it is as wide as always, and the outermost pixels go on outside.
    """
    scale = size / out
    centre = (np.arange(out)[:, None] + 0.5) * scale
    reach, function = FILTERS[interpolation]
    if antialias:
        distance = np.abs(np.arange(size)[None] + 0.5 - centre) / max(scale, 1.0)
        weights = np.where(distance < reach, function(distance, True), 0.0)
        return (weights / weights.sum(1, keepdims=True)).astype(dtype)
    weights = np.zeros((out, size), dtype)
    pixels = np.floor(centre - 0.5).astype(int) + np.arange(1 - reach, 1 + reach)
    shares = function(np.abs(pixels + 0.5 - centre), False)
    np.add.at(weights, (np.arange(out)[:, None], np.clip(pixels, 0, size - 1)), shares)
    return weights


def _resized(image: Any, height: int, width: int, interpolation: str, antialias: bool) -> Any:
    if image.shape[1:] == (height, width):
        return image
    if not image.size:
        raise ShapeError(f"[Resize] expected an image of one pixel or more, got shape {image.shape}")
    if interpolation not in FILTERS:
        down = ((np.arange(height) + 0.5) * image.shape[1] / height).astype(int)
        right = ((np.arange(width) + 0.5) * image.shape[2] / width).astype(int)
        return image[:, down[:, None], right[None]]
    work = as_work(image)
    down, right = (
        _weights(size, out, interpolation, antialias, work.dtype)
        for size, out in zip(image.shape[1:], (height, width), strict=True)
    )
    return as_kind(down @ work @ right.T, image.dtype)


class Resize(Transform):
    """The image in another size.

    Args:
        size: (height, width), or an int for the shorter side, whose proportion to the longer one stays.
        interpolation: "bilinear", "bicubic", or "nearest" (also "nearest-exact": the pixel in which the middle of the new
            one lies).
        max_size: with an int as size: what the longer side is cut to; the proportion stays.
        antialias: where the image gets smaller, weigh all pixels that a new one covers (not with "nearest").
    """

    def __init__(
        self,
        size: int | Sequence[int],
        interpolation: str = "bilinear",
        max_size: int | None = None,
        antialias: bool = True,
    ):
        check_pair("Resize", "size", size)
        self.size = size
        self.interpolation = check_choice("Resize", "interpolation", interpolation, INTERPOLATIONS)
        if max_size is not None and not (isinstance(size, int) and isinstance(max_size, int) and max_size >= size):
            raise ValueRangeError(
                f"[Resize] expected max_size with an int as size and at least as large, got {max_size!r} with {size!r}"
            )
        self.max_size = max_size
        self.antialias = bool(antialias)

    def planes(self, image: Any) -> Any:
        if not isinstance(self.size, int):
            return _resized(image, self.size[0], self.size[1], self.interpolation, self.antialias)
        sides = image.shape[1:]
        short, long = min(sides), max(sides)
        if not short:
            raise ShapeError(f"[Resize] expected an image of one pixel or more, got shape {image.shape}")
        made = [self.size, int(self.size * long / short)]
        if self.max_size is not None and made[1] > self.max_size:
            made = [max(1, int(self.max_size * short / long)), self.max_size]
        if sides[0] > sides[1]:
            made.reverse()
        return _resized(image, made[0], made[1], self.interpolation, self.antialias)


PADDING_MODES = ("constant", "edge", "reflect", "symmetric")


def _sides(function: str, padding: Any) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) of an int, (left and right, top and bottom) or all four."""
    given = (padding,) if isinstance(padding, int) else padding
    if (
        not isinstance(given, Sequence)
        or len(given) not in (1, 2, 4)
        or any(not isinstance(n, int) or isinstance(n, bool) for n in given)
    ):
        raise ArgumentError(
            f"[{function}] expected padding to be an int, (left and right, top and bottom) or (left, top, right, bottom), "
            f"got {padding!r}"
        )
    if min(given) < 0:
        raise ValueRangeError(f"[{function}] expected padding of 0 or more, got {padding!r}")
    left, top, right, bottom = tuple(given) * (4 // len(given))
    return left, top, right, bottom


def padded(function: str, image: Any, sides: Sequence[int], fill: Any = 0, mode: str = "constant") -> Any:
    """`image` with sides (left, top, right, bottom) of more pixels."""
    left, top, right, bottom = sides
    if not any(sides):
        return image
    if mode != "constant":
        if not image.size:
            raise ShapeError(f"[{function}] expected an image of one pixel or more, got shape {image.shape}")
        return np.pad(image, ((0, 0), (top, bottom), (left, right)), mode=mode)  # type: ignore[call-overload]
    channels, height, width = image.shape
    made = np.empty((channels, top + height + bottom, left + width + right), image.dtype)
    made[...] = fill_of(function, fill, image)
    made[:, top : top + height, left : left + width] = image
    return made


class Pad(Transform):
    """More pixels at the sides.

    Args:
        padding: how many: an int, (left and right, top and bottom) or (left, top, right, bottom).
        fill: what they are, with "constant": a number or one per channel.
        padding_mode: "constant", "edge" (the last pixel again), "reflect" (the image mirrored at its last pixel) or
            "symmetric" (mirrored behind it).
    """

    def __init__(self, padding: int | Sequence[int], fill: Any = 0, padding_mode: str = "constant"):
        self.padding = _sides("Pad", padding)
        self.fill = check_fill("Pad", fill)
        self.padding_mode = check_choice("Pad", "padding_mode", padding_mode, PADDING_MODES)

    def planes(self, image: Any) -> Any:
        return padded("Pad", image, self.padding, self.fill, self.padding_mode)


class CenterCrop(Transform):
    """The middle of the image, `size` (height, width); a smaller image is padded with zeros."""

    def __init__(self, size: int | Sequence[int]):
        self.size = check_pair("CenterCrop", "size", size)

    def planes(self, image: Any) -> Any:
        height, width = self.size
        more, wider = max(0, height - image.shape[1]), max(0, width - image.shape[2])
        image = padded("CenterCrop", image, (wider // 2, more // 2, (wider + 1) // 2, (more + 1) // 2))
        top, left = round((image.shape[1] - height) / 2), round((image.shape[2] - width) / 2)
        return image[:, top : top + height, left : left + width]


class RandomCrop(Transform):
    """A part of the image, `size` (height, width), at a random place, after padding.

    Args:
        size: (height, width), or an int for both.
        padding, fill, padding_mode: as in `Pad`; None adds nothing.
        pad_if_needed: an image smaller than `size` gets as many pixels more at both sides as it lacks.
    """

    def __init__(
        self,
        size: int | Sequence[int],
        padding: int | Sequence[int] | None = None,
        pad_if_needed: bool = False,
        fill: Any = 0,
        padding_mode: str = "constant",
    ):
        self.size = check_pair("RandomCrop", "size", size)
        self.padding = _sides("RandomCrop", 0 if padding is None else padding)
        self.pad_if_needed = pad_if_needed
        self.fill = check_fill("RandomCrop", fill)
        self.padding_mode = check_choice("RandomCrop", "padding_mode", padding_mode, PADDING_MODES)

    def planes(self, image: Any) -> Any:
        image = padded("RandomCrop", image, self.padding, self.fill, self.padding_mode)
        if self.pad_if_needed:
            more, wider = (max(0, n - m) for n, m in zip(self.size, image.shape[1:], strict=True))
            image = padded("RandomCrop", image, (wider, more, wider, more), self.fill, self.padding_mode)
        spare = image.shape[1] - self.size[0], image.shape[2] - self.size[1]
        if min(spare) < 0:
            raise ShapeError(
                f"[RandomCrop] expected an image of {self.size} or more with its padding, got {image.shape[1:]}; "
                "pad_if_needed=True makes smaller ones larger"
            )
        top, left = draw_int(spare[0] + 1), draw_int(spare[1] + 1)
        return image[:, top : top + self.size[0], left : left + self.size[1]]


class RandomResizedCrop(Transform):
    """A part of `scale` of the area and `ratio` (width to height) at a random place, resized to `size`.

    Ten tries for a part that fits, then the middle, as in Szegedy et al., "Going deeper with convolutions" (2015).
    """

    def __init__(
        self,
        size: int | Sequence[int],
        scale: Sequence[float] = (0.08, 1.0),
        ratio: Sequence[float] = (3 / 4, 4 / 3),
        interpolation: str = "bilinear",
        antialias: bool = True,
    ):
        self.size = check_pair("RandomResizedCrop", "size", size)
        self.scale = check_interval("RandomResizedCrop", "scale", scale)
        self.ratio = check_interval("RandomResizedCrop", "ratio", ratio, 1e-6)
        self.interpolation = check_choice("RandomResizedCrop", "interpolation", interpolation, INTERPOLATIONS)
        self.antialias = bool(antialias)

    def planes(self, image: Any) -> Any:
        top, left, height, width = _box(image.shape[1:], self.scale, self.ratio) or self._middle(image.shape[1:])
        part = image[:, top : top + height, left : left + width]
        return _resized(part, *self.size, self.interpolation, self.antialias)

    def _middle(self, shape: Sequence[int]) -> tuple[int, int, int, int]:
        height, width = shape
        if width < height * self.ratio[0]:
            height = max(1, round(width / self.ratio[0]))
        elif width > height * self.ratio[1]:
            width = max(1, round(height * self.ratio[1]))
        return (shape[0] - height) // 2, (shape[1] - width) // 2, height, width


def _box(shape: Sequence[int], scale: Any, ratio: Any) -> tuple[int, int, int, int] | None:
    for _ in range(10):
        area = shape[0] * shape[1] * draw(*scale)
        aspect = math.exp(draw(math.log(ratio[0]), math.log(ratio[1])))
        height, width = round(math.sqrt(area / aspect)), round(math.sqrt(area * aspect))
        if 0 < height <= shape[0] and 0 < width <= shape[1]:
            return draw_int(shape[0] - height + 1), draw_int(shape[1] - width + 1), height, width
    return None


class RandomHorizontalFlip(RandomTransform):
    """Left and right exchanged with probability `p`."""

    def changed(self, image: Any) -> Any:
        return image[:, :, ::-1]


class RandomVerticalFlip(RandomTransform):
    """Top and bottom exchanged with probability `p`."""

    def changed(self, image: Any) -> Any:
        return image[:, ::-1]


class RandomErasing(RandomTransform):
    """With probability `p` a random rectangle set to `value`: a number, one per channel, or "random" (normal noise, for
    images of floats).

    Zhong et al., "Random erasing data augmentation" (2017).
    """

    def __init__(
        self,
        p: float = 0.5,
        scale: Sequence[float] = (0.02, 0.33),
        ratio: Sequence[float] = (0.3, 3.3),
        value: Any = 0,
    ):
        super().__init__(p)
        self.scale = check_interval("RandomErasing", "scale", scale)
        self.ratio = check_interval("RandomErasing", "ratio", ratio, 1e-6)
        self.value = value if value == "random" else check_fill("RandomErasing", value)

    def changed(self, image: Any) -> Any:
        box = _box(image.shape[1:], self.scale, self.ratio)
        if box is None:
            return image
        top, left, height, width = box
        if self.value != "random":
            value = fill_of("RandomErasing", self.value, image)
        elif image.dtype.kind == "f":
            value = normal(image.shape).numpy()[:, :height, :width]  # of one shape, as each costs a kernel
        else:
            raise DTypeError(
                f"[RandomErasing] expected an image of floats (ToTensor makes one) for noise, got dtype {image.dtype}"
            )
        image = image.copy()
        image[:, top : top + height, left : left + width] = value
        return image
