"""Augmentation policies: ops and how strong they are, drawn at random."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ...base.errors import ValueRangeError
from . import colours, warps
from .base import Transform, bound, check_choice, check_fill, draw, draw_int


class _Policy(Transform):
    """A table of ops: how strong each is in the last bin, and what it does to planes at a strength."""

    def __init__(self, num_magnitude_bins: int, interpolation: str, fill: Any):
        name = type(self).__name__
        if not isinstance(num_magnitude_bins, int) or num_magnitude_bins < 2:
            raise ValueRangeError(f"[{name}] expected num_magnitude_bins of 2 or more, got {num_magnitude_bins!r}")
        self.num_magnitude_bins = num_magnitude_bins
        self.interpolation = check_choice(name, "interpolation", interpolation, warps.INTERPOLATIONS)
        self.fill = check_fill(name, fill)

    # In which an image of one side of 1 moves by at most so much, colours change by at most so much, and so on.
    turn: float
    shear: float
    colour: float
    posterize: int

    def reach(self, side: int) -> float:
        """The largest move, in pixels, of an image with this many along the axis."""
        raise NotImplementedError

    def ops(self, image: Any) -> list[tuple[float, Callable[[Any, float], Any]]]:
        """(strength in the last bin, function of planes and strength); signed ones are drawn with either sign."""

        def sheared(image: Any, along_x: float, along_y: float) -> Any:
            return self._affine(image, (0, 0), (math.degrees(math.atan(along_x)), math.degrees(math.atan(along_y))))

        def turned(image: Any, angle: float) -> Any:
            return warps.rotate(image, angle, self.interpolation, fill=self.fill, function=type(self).__name__)

        def coloured(function: Callable[[Any, float], Any]) -> Callable[[Any, float], Any]:
            return lambda image, strength: function(image, 1.0 + strength)

        height, width = image.shape[1:]
        signed = [
            (self.shear, lambda image, s: sheared(image, s, 0.0)),
            (self.shear, lambda image, s: sheared(image, 0.0, s)),
            (self.reach(width), lambda image, s: self._affine(image, (int(s), 0), (0.0, 0.0))),
            (self.reach(height), lambda image, s: self._affine(image, (0, int(s)), (0.0, 0.0))),
            (self.turn, turned),
            (self.colour, coloured(colours.adjust_brightness)),
            (self.colour, coloured(colours.adjust_saturation)),
            (self.colour, coloured(colours.adjust_contrast)),
            (self.colour, coloured(colours.adjust_sharpness)),
        ]
        full = bound(image.dtype)
        unsigned = [
            (0.0, lambda image, s: image),
            (1.0, lambda image, s: colours.posterize(image, 8 - round(self.posterize * s))),
            (1.0, lambda image, s: colours.solarize(image, full * (1.0 - s))),
            (0.0, lambda image, s: colours.autocontrast(image)),
            (0.0, lambda image, s: colours.equalize(image)),
        ]
        either = [(last, lambda image, s, f=f: f(image, -s if draw() < 0.5 else s)) for last, f in signed]
        return either + unsigned

    def _affine(self, image: Any, move: tuple[int, int], shear: tuple[float, float]) -> Any:
        center = None if shear == (0.0, 0.0) else (0.0, 0.0)
        return warps.affine(
            image, 0.0, move, 1.0, shear, self.interpolation, self.fill, center, type(self).__name__
        )  # fmt: skip

    def applied(self, image: Any, bin_number: int) -> Any:
        """One op of the table at the strength of a bin."""
        ops = self.ops(image)
        last, function = ops[draw_int(len(ops))]
        return function(image, last * bin_number / (self.num_magnitude_bins - 1))


class RandAugment(_Policy):
    """`num_ops` ops drawn from fourteen, all equally strong (Cubuk et al., "RandAugment", 2019).

    The ops: nothing, shear and move along x and y, rotate, brightness, colour, contrast, sharpness, posterize, solarize,
    auto-contrast and equalize.

    Args:
        num_ops: ops in turn.
        magnitude: how strong they are, 0 to num_magnitude_bins - 1.
        num_magnitude_bins: into how many steps strengths are divided.
        interpolation: "nearest" or "bilinear".
        fill: what comes in at the sides: a number or one per channel.
    """

    turn, shear, colour, posterize = 30.0, 0.3, 0.9, 4

    def __init__(
        self,
        num_ops: int = 2,
        magnitude: int = 9,
        num_magnitude_bins: int = 31,
        interpolation: str = "nearest",
        fill: Any = None,
    ):
        super().__init__(num_magnitude_bins, interpolation, fill)
        if not isinstance(num_ops, int) or num_ops < 1:
            raise ValueRangeError(f"[RandAugment] expected num_ops of 1 or more, got {num_ops!r}")
        if not isinstance(magnitude, int) or not 0 <= magnitude < num_magnitude_bins:
            raise ValueRangeError(
                f"[RandAugment] expected magnitude to be an int from 0 to {num_magnitude_bins - 1}, got {magnitude!r}"
            )
        self.num_ops = num_ops
        self.magnitude = magnitude

    def reach(self, side: int) -> float:
        return 150.0 / 331.0 * side  # of the images of AutoAugment, 331 pixels wide

    def planes(self, image: Any) -> Any:
        for _ in range(self.num_ops):
            image = self.applied(image, self.magnitude)
        return image


class TrivialAugmentWide(_Policy):
    """One op of RandAugment's, of random strength in a wide range (Mueller and Hutter, "TrivialAugment", 2021)."""

    turn, shear, colour, posterize = 135.0, 0.99, 0.99, 6

    def __init__(self, num_magnitude_bins: int = 31, interpolation: str = "nearest", fill: Any = None):
        super().__init__(num_magnitude_bins, interpolation, fill)

    def reach(self, side: int) -> float:
        return 32.0

    def planes(self, image: Any) -> Any:
        return self.applied(image, draw_int(self.num_magnitude_bins))
