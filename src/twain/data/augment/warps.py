"""Turning, shearing, moving and distorting: an image read at other places.

Places are in pixels from the top left corner of the image: pixel i covers i to i + 1, so its middle is i + 0.5.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ...base.errors import ArgumentError, ValueRangeError
from ...base.lazy import LazyModule
from .base import (
    RandomTransform,
    Transform,
    as_kind,
    as_work,
    check_choice,
    check_fill,
    check_interval,
    check_number,
    draw,
    draw_int,
    fill_of,
    is_number,
)

np = LazyModule("numpy")

INTERPOLATIONS = ("nearest", "bilinear")


def sampled(image: Any, x: Any, y: Any, interpolation: str, fill: Any) -> Any:
    """The image [channels, height, width] at the places x, y [new height, new width]; `fill` [.., 1, 1] outside."""
    height, width = image.shape[1:]
    nearest = interpolation == "nearest"
    # With a frame of `fill` all places outside are the frame, and all four neighbours of a place are there.
    framed = np.empty((len(image), height + 2, width + 2), image.dtype if nearest else as_work(image[:, :0]).dtype)
    framed[:] = fill
    framed[:, 1:-1, 1:-1] = image
    planes = framed.reshape(len(image), (height + 2) * (width + 2))
    if nearest:
        column, row = (_framed(place, side) for place, side in ((x, width + 1), (y, height + 1)))
        return planes.take(row * (width + 2) + column, axis=1, mode="clip")
    column, row = (_framed(place, side) for place, side in ((x - 0.5, width), (y - 0.5, height)))
    right = np.clip(x - 0.5 + 1.0 - column, 0.0, 1.0).astype(framed.dtype)
    low = np.clip(y - 0.5 + 1.0 - row, 0.0, 1.0).astype(framed.dtype)
    first = row * (width + 2) + column
    made = np.empty((len(image), *first.shape), image.dtype)
    for plane, out in zip(planes, made, strict=True):
        lines = []
        for start in (first, first + (width + 2)):
            left = plane.take(start, mode="clip")
            change = plane.take(start + 1, mode="clip")
            change -= left
            change *= right
            change += left
            lines.append(change)
        upper, change = lines
        change -= upper
        change *= low
        change += upper
        out[...] = as_kind(change, image.dtype)
    return made


def _framed(place: Any, last: int) -> Any:
    """The number of the pixel a place is in, with the frame's as 0; those outside are 0 or `last`."""
    number = np.floor(place)
    number += 1.0
    return np.clip(number, 0, last, out=number).astype(np.intp)


def _pixels(height: int, width: int) -> tuple[Any, Any]:
    """Where the middles of pixels are: x [1, width], y [height, 1]."""
    return np.arange(width)[None] + 0.5, np.arange(height)[:, None] + 0.5


def affine(
    image: Any,
    angle: float,
    translate: Sequence[float],
    scale: float,
    shear: Sequence[float],
    interpolation: str = "nearest",
    fill: Any = 0,
    center: Sequence[float] | None = None,
    function: str = "affine",
) -> Any:
    """The image scaled, sheared along x and then y, turned clockwise about `center` (x, y), and moved.

    `angle` and `shear` (x, y) are in degrees, `translate` (x, y) in pixels; None is the middle of the image.
    """
    turn, across, along = math.radians(angle), math.radians(shear[0]), math.radians(shear[1])
    turned = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    sheared = np.array([[1.0, 0.0], [-math.tan(along), 1.0]]) @ np.array([[1.0, -math.tan(across)], [0.0, 1.0]])
    back = np.linalg.inv(scale * turned @ sheared)
    height, width = image.shape[1:]
    middle_x, middle_y = (width / 2, height / 2) if center is None else center
    x, y = _pixels(height, width)
    x, y = x - middle_x - translate[0], y - middle_y - translate[1]
    return sampled(
        image,
        back[0, 0] * x + back[0, 1] * y + middle_x,
        back[1, 0] * x + back[1, 1] * y + middle_y,
        interpolation,
        fill_of(function, fill, image),
    )


def rotate(
    image: Any,
    angle: float,
    interpolation: str = "nearest",
    expand: bool = False,
    center: Sequence[float] | None = None,
    fill: Any = 0,
    function: str = "rotate",
) -> Any:
    """The image turned counter-clockwise by `angle` degrees; `expand` makes room for its corners."""
    turn = math.radians(angle)
    cosine, sine = math.cos(turn), math.sin(turn)
    height, width = image.shape[1:]
    new_height, new_width = height, width
    middle_x, middle_y = (width / 2, height / 2) if center is None or expand else center
    shift_x, shift_y = middle_x, middle_y
    if expand:
        if angle % 90 == 0:
            new_height, new_width = (height, width) if angle % 180 == 0 else (width, height)
        else:
            # A corner that falls on a pixel's edge but for rounding needs no further pixel.
            reach_x = round((abs(width * cosine) + abs(height * sine)) / 2, 4)
            reach_y = round((abs(width * sine) + abs(height * cosine)) / 2, 4)
            new_width = math.ceil(middle_x + reach_x) - math.floor(middle_x - reach_x)
            new_height = math.ceil(middle_y + reach_y) - math.floor(middle_y - reach_y)
        shift_x, shift_y = new_width / 2, new_height / 2
    x, y = _pixels(new_height, new_width)
    x, y = x - shift_x, y - shift_y
    return sampled(
        image,
        cosine * x - sine * y + middle_x,
        sine * x + cosine * y + middle_y,
        interpolation,
        fill_of(function, fill, image),
    )


def perspective(image: Any, corners: Sequence[Sequence[float]], interpolation: str = "bilinear", fill: Any = 0) -> Any:
    """The image's corner pixels (top left, top right, bottom right, bottom left) moved to `corners`, (x, y) each."""
    height, width = image.shape[1:]
    own = [(0, 0), (width - 1, 0), (width - 1, height - 1), (0, height - 1)]
    rows, values = [], []
    for (x, y), (u, v) in zip(corners, own, strict=True):  # a new place (x, y) reads the old place (u, v)
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    a, b, c, d, e, f, g, h = np.linalg.lstsq(np.array(rows, float), np.array(values, float), rcond=None)[0]
    x, y = _pixels(height, width)
    below = g * x + h * y + 1
    below = np.where(below == 0, 1e-12, below)
    return sampled(
        image,
        (a * x + b * y + c) / below,
        (d * x + e * y + f) / below,
        interpolation,
        fill_of("RandomPerspective", fill, image),
    )


# ---------------------------------------------------------------- arguments
def _degrees(function: str, name: str, given: Any) -> tuple[float, float]:
    if is_number(given):
        if given < 0:
            raise ValueRangeError(f"[{function}] expected {name} of 0 or more, or (low, high), got {given!r}")
        return -float(given), float(given)
    if not isinstance(given, Sequence) or isinstance(given, str):
        raise ArgumentError(f"[{function}] expected {name} to be a number or (low, high), got {given!r}")
    return check_interval(function, name, given, float("-inf"))


def _center(function: str, given: Any) -> tuple[float, float] | None:
    if given is None:
        return None
    if not (isinstance(given, Sequence) and len(given) == 2 and all(map(is_number, given))):
        raise ArgumentError(f"[{function}] expected center to be (x, y), got {given!r}")
    return float(given[0]), float(given[1])


class RandomRotation(Transform):
    """The image turned by a random angle.

    Args:
        degrees: counter-clockwise: a number x for angles of [-x, x], or (low, high).
        interpolation: "nearest" or "bilinear".
        expand: make the image as large as it takes to keep its corners; it then turns about its middle.
        center: (x, y) in pixels to turn about (default: the middle).
        fill: what comes in at the sides: a number or one per channel.
    """

    def __init__(
        self,
        degrees: float | Sequence[float],
        interpolation: str = "nearest",
        expand: bool = False,
        center: Sequence[float] | None = None,
        fill: Any = 0,
    ):
        self.degrees = _degrees("RandomRotation", "degrees", degrees)
        self.interpolation = check_choice("RandomRotation", "interpolation", interpolation, INTERPOLATIONS)
        self.expand = expand
        self.center = _center("RandomRotation", center)
        self.fill = check_fill("RandomRotation", fill)

    def __call__(self, image: Any) -> Any:
        if self.expand and getattr(image, "ndim", 3) == 4:
            raise ArgumentError(
                "[RandomRotation] expected single images with expand, as their sizes differ, got a batch"
            )
        return super().__call__(image)

    def planes(self, image: Any) -> Any:
        return rotate(
            image, draw(*self.degrees), self.interpolation, self.expand, self.center, self.fill, "RandomRotation"
        )


class RandomAffine(Transform):
    """The image turned, moved, scaled and sheared at random about its middle.

    Args:
        degrees: clockwise: a number x for angles of [-x, x], or (low, high).
        translate: (x, y), the largest moves as shares of width and height.
        scale: (low, high) of the factor.
        shear: degrees: a number x for [-x, x] along x, (low, high) along x, or (x low, x high, y low, y high).
        interpolation: "nearest" or "bilinear".
        fill: what comes in at the sides: a number or one per channel.
        center: (x, y) in pixels instead of the middle.
    """

    def __init__(
        self,
        degrees: float | Sequence[float],
        translate: Sequence[float] | None = None,
        scale: Sequence[float] | None = None,
        shear: float | Sequence[float] | None = None,
        interpolation: str = "nearest",
        fill: Any = 0,
        center: Sequence[float] | None = None,
    ):
        name = "RandomAffine"
        self.degrees = _degrees(name, "degrees", degrees)
        self.translate = (0.0, 0.0)
        if translate is not None:
            if not (isinstance(translate, Sequence) and len(translate) == 2 and all(map(is_number, translate))):
                raise ArgumentError(f"[{name}] expected translate to be (x, y), got {translate!r}")
            if not all(0 <= share <= 1 for share in translate):
                raise ValueRangeError(f"[{name}] expected translate (x, y) of shares from 0 to 1, got {translate!r}")
            self.translate = (float(translate[0]), float(translate[1]))
        self.scale = (1.0, 1.0) if scale is None else check_interval(name, "scale", scale, 1e-6)
        self.shear = [(0.0, 0.0), (0.0, 0.0)]
        if isinstance(shear, Sequence) and len(shear) == 4:
            self.shear = [_degrees(name, "shear", shear[:2]), _degrees(name, "shear", shear[2:])]
        elif shear is not None:
            self.shear[0] = _degrees(name, "shear", shear)
        self.interpolation = check_choice(name, "interpolation", interpolation, INTERPOLATIONS)
        self.fill = check_fill(name, fill)
        self.center = _center(name, center)

    def planes(self, image: Any) -> Any:
        angle = draw(*self.degrees)
        reach = self.translate[0] * image.shape[2], self.translate[1] * image.shape[1]
        move = [round(draw(-most, most)) if most else 0 for most in reach]
        scale = draw(*self.scale)
        shear = [draw(*interval) if interval != (0.0, 0.0) else 0.0 for interval in self.shear]
        return affine(
            image, angle, move, scale, shear, self.interpolation, self.fill, self.center, "RandomAffine"
        )  # fmt: skip


class RandomPerspective(RandomTransform):
    """With probability `p` the image as seen at a slant: each corner moved inwards at random.

    Args:
        distortion_scale: how far at most, 0 to 1: the share of half the width and height.
        interpolation: "bilinear" or "nearest".
        fill: what comes in at the sides: a number or one per channel.
    """

    def __init__(
        self, distortion_scale: float = 0.5, p: float = 0.5, interpolation: str = "bilinear", fill: Any = 0
    ):  # fmt: skip
        super().__init__(p)
        name = "RandomPerspective"
        self.distortion_scale = check_number(name, "distortion_scale", distortion_scale, 0, 1)
        self.interpolation = check_choice(name, "interpolation", interpolation, INTERPOLATIONS)
        self.fill = check_fill(name, fill)

    def changed(self, image: Any) -> Any:
        height, width = image.shape[1:]
        most_x, most_y = (int(self.distortion_scale * (side // 2)) + 1 for side in (width, height))
        moved = [(draw_int(most_x), draw_int(most_y)) for _ in range(4)]
        corners = [
            (abs(x - dx), abs(y - dy))
            for (x, y), (dx, dy) in zip(
                [(0, 0), (width - 1, 0), (width - 1, height - 1), (0, height - 1)], moved, strict=True
            )
        ]
        return perspective(image, corners, self.interpolation, self.fill)
