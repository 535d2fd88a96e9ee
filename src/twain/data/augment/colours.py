"""Colour and sharpness. The functions are on planes [channels, height, width]; results for integers are rounded, and so
within 1 of Pillow's and torchvision's, which cut digits off in places.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ...base.errors import ArgumentError, ShapeError, ValueRangeError
from ...base.lazy import LazyModule
from .base import (
    RandomTransform,
    Transform,
    as_kind,
    as_work,
    bound,
    check_interval,
    check_number,
    draw,
    draw_order,
    is_number,
)

np = LazyModule("numpy")

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601: what red, green and blue give of grey


# ---------------------------------------------------------------- functions of planes
def _check_channels(function: str, image: Any) -> bool:
    """Whether the image has colours; ShapeError where it is neither grey nor of three channels."""
    if len(image) not in (1, 3):
        raise ShapeError(f"[{function}] expected an image of 1 or 3 channels, got {len(image)}")
    return len(image) == 3


def grey(image: Any) -> Any:
    """[1, height, width] in floats."""
    image = as_work(image)
    if len(image) == 1:
        return image
    made = image[:1] * LUMA[0]
    for share, plane in zip(LUMA[1:], image[1:], strict=True):
        made += share * plane
    return made


def _blended(image: Any, other: Any, factor: float) -> Any:
    """`other` at factor 0, `image` at 1, and beyond it above; within the dtype's range."""
    made = as_work(image) * factor
    if factor != 1.0:
        made += other * (1.0 - factor)
    return as_kind(np.clip(made, 0, bound(image.dtype), out=made), image.dtype)


def _by_value(image: Any, function: Callable[[Any], Any]) -> Any:
    """`function` of planes that looks at each value alone; for uint8 its 256 results are looked up."""
    if image.dtype != np.uint8 or image.size < 1024:
        return function(image)
    return function(np.arange(256, dtype=np.uint8).reshape(1, 1, 256)).reshape(256).take(image)


def adjust_brightness(image: Any, factor: float) -> Any:
    return _by_value(image, lambda values: _blended(values, 0.0, factor))


def adjust_contrast(image: Any, factor: float) -> Any:
    _check_channels("adjust_contrast", image)
    if not image.size:
        return image
    mean = grey(image).mean()
    return _by_value(image, lambda values: _blended(values, mean, factor))


def adjust_saturation(image: Any, factor: float) -> Any:
    return _blended(image, grey(image), factor) if _check_channels("adjust_saturation", image) else image


def adjust_hue(image: Any, shift: float) -> Any:
    """Turn the hue by `shift` of a full circle.

    By way of hue, chroma and value of the hexagonal HSV model (Smith, "Color gamut transform pairs", 1978).
    """
    if not _check_channels("adjust_hue", image) or not image.size:
        return image
    full = bound(image.dtype)
    work = as_work(image)
    value = work.max(0)
    chroma = value - work.min(0)
    red, green, blue = work
    safe = np.where(chroma == 0, 1, chroma)
    sector = np.where(
        value == red, (green - blue) / safe, np.where(value == green, 2 + (blue - red) / safe, 4 + (red - green) / safe)
    )
    turned = np.where(chroma == 0, 0.0, sector) + 6.0 * shift
    # A channel falls from the value by its chroma, as far as its own colour is away on the circle.
    made = np.empty(image.shape, image.dtype)
    for start, out in zip((5.0, 3.0, 1.0), made, strict=True):
        place = turned + start
        place -= 6.0 * np.floor(place * (1 / 6))
        share = np.clip(np.minimum(place, 4.0 - place), 0.0, 1.0)
        out[...] = as_kind(np.clip(value - chroma * share, 0, full), image.dtype)
    return made


def invert(image: Any) -> Any:
    return (bound(image.dtype) - image).astype(image.dtype)


def posterize(image: Any, bits: int) -> Any:
    if image.dtype.kind in "iu":
        size = bound(image.dtype).bit_length()  # type: ignore[attr-defined]
        mask = (1 << size) - (1 << max(0, size - bits))
        return image & np.array(mask, image.dtype)
    levels = 1 << bits
    return (np.clip(np.floor(image * levels), 0, levels - 1) / levels).astype(image.dtype)


def solarize(image: Any, threshold: float) -> Any:
    return _by_value(image, lambda values: np.where(values >= threshold, invert(values), values))


def autocontrast(image: Any) -> Any:
    if not image.size:
        return image
    full = bound(image.dtype)
    made = np.empty(image.shape, image.dtype)
    for plane, out in zip(image, made, strict=True):
        low, high = float(plane.min()), float(plane.max())
        scale = full / (high - low) if high > low else 0.0

        def stretched(values: Any, low: float = low, scale: float = scale) -> Any:
            return as_kind(np.clip((as_work(values) - low) * scale, 0, full), image.dtype)

        out[...] = _by_value(plane[None], stretched)[0] if scale else plane
    return made


def equalize(image: Any) -> Any:
    """Each channel's values spread so that they are about equally frequent, by the rule of Pillow's `ImageOps.equalize`.

    In 256 steps, whatever the dtype.
    """
    if not image.size:
        return image
    if image.dtype != np.uint8:
        full = bound(image.dtype)
        steps = equalize(as_kind(np.nan_to_num(as_work(image)) * (255 / full), np.dtype("uint8")))
        return as_kind(as_work(steps) * (full / 255), image.dtype)
    made = np.empty_like(image)
    for plane, out in zip(image, made, strict=True):
        counts = np.bincount(plane.reshape(-1), minlength=256)
        step = (plane.size - counts[np.flatnonzero(counts)[-1]]) // 255
        if step:
            below = np.cumsum(counts) - counts
            table = np.minimum((below + step // 2) // step, 255).astype(np.uint8)
            out[...] = table[plane]
        else:
            out[...] = plane
    return made


def adjust_sharpness(image: Any, factor: float) -> Any:
    """Smoothed at factor 0, the image at 1, sharper above; the outermost pixels stay."""
    if min(image.shape[1:]) <= 2:
        return image
    work = as_work(image)
    inner = work[:, 1:-1, 1:-1]
    across = work[:, :, :-2] + work[:, :, 1:-1]
    across += work[:, :, 2:]
    total = across[:, :-2] + across[:, 1:-1]
    total += across[:, 2:]
    total += 4 * inner
    total *= 1 / 13
    smooth = work.copy()
    smooth[:, 1:-1, 1:-1] = as_kind(total, image.dtype)
    return _blended(image, smooth, factor)


def gaussian_blur(image: Any, size: tuple[int, int], sigma: tuple[float, float]) -> Any:
    """`size` and `sigma` along (x, y); the image is mirrored at its last pixels."""
    if not image.size:
        return image
    work = as_work(image)
    for axis, count, width in ((2, size[0], sigma[0]), (1, size[1], sigma[1])):
        reach = count // 2
        weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / width) ** 2)
        weights = (weights / weights.sum()).astype(work.dtype)
        sides = [(0, 0)] * 3
        sides[axis] = (reach, reach)
        wide = np.pad(work, sides, mode="reflect")
        length = image.shape[axis]
        work = np.zeros_like(work)
        for start, weight in enumerate(weights):
            stop = start + length
            work += weight * (wide[:, :, start:stop] if axis == 2 else wide[:, start:stop])
    return as_kind(work, image.dtype)


# ---------------------------------------------------------------- transforms
class Grayscale(Transform):
    """The image in grey, of `num_output_channels` equal channels (1 or 3)."""

    def __init__(self, num_output_channels: int = 1):
        if num_output_channels not in (1, 3):
            raise ValueRangeError(f"[Grayscale] expected num_output_channels to be 1 or 3, got {num_output_channels!r}")
        self.num_output_channels = num_output_channels

    def planes(self, image: Any) -> Any:
        _check_channels("Grayscale", image)
        return np.repeat(as_kind(grey(image), image.dtype), self.num_output_channels, axis=0)


class RandomGrayscale(RandomTransform):
    """The image in grey with probability `p`, of as many channels as before."""

    def __init__(self, p: float = 0.1):
        super().__init__(p)

    def changed(self, image: Any) -> Any:
        _check_channels("RandomGrayscale", image)
        return np.repeat(as_kind(grey(image), image.dtype), len(image), axis=0)


def _spread(name: str, given: Any, centre: float, least: float, most: float) -> tuple[float, float] | None:
    """The interval a number around `centre`, or an interval as given; None where nothing is to change."""
    if given is None:
        return None
    if is_number(given):
        if given < 0:
            raise ValueRangeError(f"[ColorJitter] expected {name} of 0 or more, got {given!r}")
        given = (max(least, centre - given), centre + given)
    elif not isinstance(given, Sequence) or isinstance(given, str):
        raise ArgumentError(f"[ColorJitter] expected {name} to be a number or (low, high), got {given!r}")
    low, high = check_interval("ColorJitter", name, given, least, most)
    return None if low == high == centre else (low, high)


class ColorJitter(Transform):
    """Brightness, contrast, saturation and hue changed at random, in a random order.

    Args:
        brightness, contrast, saturation: how much: a number x for factors of [max(0, 1 - x), 1 + x], or (low, high).
            0 is black, all of the mean grey, or grey; 1 changes nothing. None (all by default) leaves as it is.
        hue: a number x for a turn by [-x, x] of a full circle, at most 0.5, or (low, high).
    """

    def __init__(self, brightness: Any = None, contrast: Any = None, saturation: Any = None, hue: Any = None):
        most = float("inf")
        self.brightness = _spread("brightness", brightness, 1.0, 0.0, most)
        self.contrast = _spread("contrast", contrast, 1.0, 0.0, most)
        self.saturation = _spread("saturation", saturation, 1.0, 0.0, most)
        self.hue = _spread("hue", hue, 0.0, -0.5, 0.5)

    def planes(self, image: Any) -> Any:
        steps = (
            (self.brightness, adjust_brightness),
            (self.contrast, adjust_contrast),
            (self.saturation, adjust_saturation),
            (self.hue, adjust_hue),
        )
        for number in draw_order(len(steps)):
            interval, function = steps[number]
            if interval is not None:
                image = function(image, draw(*interval))
        return image


class GaussianBlur(Transform):
    """The image blurred by a Gaussian of random width.

    Args:
        kernel_size: how many pixels are weighed: an odd int, or (along x, along y).
        sigma: the Gaussian's deviation in pixels: a number, or (low, high).
    """

    def __init__(self, kernel_size: int | Sequence[int], sigma: float | Sequence[float] = (0.1, 2.0)):
        size = (kernel_size, kernel_size) if isinstance(kernel_size, int) else tuple(kernel_size)
        if len(size) != 2 or any(not isinstance(n, int) or isinstance(n, bool) or n < 1 or n % 2 == 0 for n in size):
            raise ValueRangeError(f"[GaussianBlur] expected kernel_size of one or two odd ints, got {kernel_size!r}")
        self.kernel_size: tuple[int, int] = size  # type: ignore[assignment]
        pair = (sigma, sigma) if is_number(sigma) else sigma
        self.sigma = check_interval("GaussianBlur", "sigma", pair, 1e-6)

    def planes(self, image: Any) -> Any:
        sigma = draw(*self.sigma)
        return gaussian_blur(image, self.kernel_size, (sigma, sigma))


class RandomInvert(RandomTransform):
    """A negative of the image with probability `p`."""

    def changed(self, image: Any) -> Any:
        return invert(image)


class RandomPosterize(RandomTransform):
    """Only the `bits` (0 to 8) highest bits of each value kept, with probability `p`."""

    def __init__(self, bits: int, p: float = 0.5):
        super().__init__(p)
        if not isinstance(bits, int) or isinstance(bits, bool) or not 0 <= bits <= 8:
            raise ValueRangeError(f"[RandomPosterize] expected bits to be an int from 0 to 8, got {bits!r}")
        self.bits = bits

    def changed(self, image: Any) -> Any:
        return posterize(image, self.bits)


class RandomSolarize(RandomTransform):
    """Values of `threshold` or more (in the image's own units) inverted, with probability `p`."""

    def __init__(self, threshold: float, p: float = 0.5):
        super().__init__(p)
        self.threshold = check_number("RandomSolarize", "threshold", threshold)

    def changed(self, image: Any) -> Any:
        return solarize(image, self.threshold)


class RandomAutocontrast(RandomTransform):
    """Each channel stretched to the full range, with probability `p`."""

    def changed(self, image: Any) -> Any:
        return autocontrast(image)


class RandomEqualize(RandomTransform):
    """Each channel's histogram made as even as can be, with probability `p`."""

    def changed(self, image: Any) -> Any:
        return equalize(image)


class RandomAdjustSharpness(RandomTransform):
    """Smoother (`sharpness_factor` below 1, at least 0) or sharper (above 1), with probability `p`."""

    def __init__(self, sharpness_factor: float, p: float = 0.5):
        super().__init__(p)
        self.sharpness_factor = check_number("RandomAdjustSharpness", "sharpness_factor", sharpness_factor, 0)

    def changed(self, image: Any) -> Any:
        return adjust_sharpness(image, self.sharpness_factor)
