"""Transforms of images, random ones among them; names and arguments as in torchvision.transforms.v2.

An image is a NumPy array [height, width] or [height, width, channels], as ImageFolder and `read_image` give it, a Pillow
image, or a Tensor [channels, height, width]; a Tensor [images, channels, height, width] is a batch, for which each image
draws its own numbers. Arrays come back as arrays and tensors as tensors, with their dtype; Pillow images come back as
arrays. Tensors are worked on in NumPy: gradients don't flow through.

Numbers are drawn from twain's default generator, which a DataLoader sets before each batch: what comes does not depend on
the number of workers, and `twain.random.seed` makes it repeatable elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from ..base.errors import ArgumentError, DTypeError, ShapeError, ValueRangeError
from ..base.lazy import LazyModule
from ..tensor import Tensor, asarray
from ..tensor.random import uniform
from .images import as_floats

np = LazyModule("numpy")


def _draw(low: float = 0.0, high: float = 1.0) -> float:
    return low + (high - low) * uniform(()).item()


def _draw_int(stop: int) -> int:
    return min(int(_draw() * stop), stop - 1)


def _pair(function: str, name: str, given: Any) -> tuple[int, int]:
    pair = (given, given) if isinstance(given, int) else given
    if not (
        isinstance(pair, Sequence)
        and len(pair) == 2
        and all(isinstance(n, int) and not isinstance(n, bool) for n in pair)
    ):
        raise ArgumentError(f"[{function}] expected {name} to be an int or (height, width), got {given!r}")
    if min(pair) < 1:
        raise ValueRangeError(f"[{function}] expected {name} of 1 or more, got {given!r}")
    return pair[0], pair[1]


def _probability(function: str, given: Any) -> float:
    if isinstance(given, bool) or not isinstance(given, (int, float)):
        raise ArgumentError(f"[{function}] expected p to be a number from 0 to 1, got {given!r}")
    if not 0 <= given <= 1:
        raise ValueRangeError(f"[{function}] expected p from 0 to 1, got {given!r}")
    return float(given)


def _interval(function: str, name: str, given: Any, least: float = 0.0) -> tuple[float, float]:
    if not (isinstance(given, Sequence) and len(given) == 2 and all(isinstance(n, (int, float)) for n in given)):
        raise ArgumentError(f"[{function}] expected {name} to be (low, high), got {given!r}")
    low, high = given
    if not least <= low <= high:
        raise ValueRangeError(f"[{function}] expected {name} (low, high) with {least:g} <= low <= high, got {given!r}")
    return float(low), float(high)


class Transform:
    """Base of transforms: a subclass says in `planes` what becomes of one image as an array [channels, height, width]."""

    def planes(self, image: Any) -> Any:
        raise NotImplementedError

    def __call__(self, image: Any) -> Any:
        name = type(self).__name__
        if isinstance(image, Tensor):
            array = image.numpy()
            if array.ndim == 3:
                return asarray(np.ascontiguousarray(self.planes(array)))
            if array.ndim == 4:
                if not len(array):
                    raise ShapeError(f"[{name}] expected a batch of one image or more, got shape {array.shape}")
                return asarray(np.stack([self.planes(one) for one in array]))
            raise ShapeError(
                f"[{name}] expected a tensor [channels, height, width] or [images, channels, height, width], got shape "
                f"{array.shape}"
            )
        if not isinstance(image, np.ndarray) and not hasattr(image, "__array_interface__"):
            raise ArgumentError(
                f"[{name}] expected a Tensor, a NumPy array or a Pillow image, got {type(image).__name__}"
            )
        array = np.asarray(image)
        if array.ndim == 2:
            return np.ascontiguousarray(self.planes(array[None])[0])
        if array.ndim == 3:
            return np.ascontiguousarray(self.planes(array.transpose(2, 0, 1)).transpose(1, 2, 0))
        raise ShapeError(
            f"[{name}] expected an array [height, width] or [height, width, channels], got shape {array.shape}; "
            "batches are tensors"
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in vars(self).items())})"


class Compose:
    """One transform after the other."""

    def __init__(self, transforms: Sequence[Callable[[Any], Any]]):
        if not isinstance(transforms, Sequence) or not all(callable(t) for t in transforms):
            raise ArgumentError(f"[Compose] expected a list of transforms, got {transforms!r}")
        self.transforms = list(transforms)

    def __call__(self, image: Any) -> Any:
        for transform in self.transforms:
            image = transform(image)
        return image

    def __repr__(self) -> str:
        return f"Compose({self.transforms!r})"


class ToTensor:
    """An array or Pillow image as a float32 Tensor [channels, height, width]; uint8 is scaled to [0, 1]."""

    def __call__(self, image: Any) -> Tensor:
        if isinstance(image, Tensor) or not hasattr(image, "__array_interface__"):
            raise ArgumentError(f"[ToTensor] expected a NumPy array or a Pillow image, got {type(image).__name__}")
        array = np.asarray(image)
        if array.ndim not in (2, 3):
            raise ShapeError(
                f"[ToTensor] expected [height, width] or [height, width, channels], got shape {array.shape}"
            )
        return asarray(as_floats(array))

    def __repr__(self) -> str:
        return "ToTensor()"


class Normalize(Transform):
    """(image - mean) / std for each channel, of images of floats."""

    def __init__(self, mean: Sequence[float], std: Sequence[float]):
        if len(mean) != len(std):
            raise ShapeError(f"[Normalize] expected as many means as deviations, got {len(mean)} and {len(std)}")
        if any(s == 0 for s in std):
            raise ValueRangeError(f"[Normalize] expected std without zeros, got {std!r}")
        self.mean = tuple(mean)
        self.std = tuple(std)

    def planes(self, image: Any) -> Any:
        if image.dtype.kind != "f":
            raise DTypeError(f"[Normalize] expected an image of floats (ToTensor makes one), got dtype {image.dtype}")
        if len(self.mean) not in (1, len(image)):
            raise ShapeError(f"[Normalize] expected an image of {len(self.mean)} channels, got {len(image)}")
        mean = np.array(self.mean, image.dtype)[:, None, None]
        return (image - mean) / np.array(self.std, image.dtype)[:, None, None]


def _weights(size: int, out: int) -> Any:
    """The matrix [out, size] of a triangle filter, widened where it makes smaller (so that nothing is left out)."""
    scale = size / out
    width = max(scale, 1.0)
    centre = (np.arange(out)[:, None] + 0.5) * scale
    weights = np.maximum(0.0, 1 - np.abs(np.arange(size)[None] + 0.5 - centre) / width)
    return (weights / weights.sum(1, keepdims=True)).astype("float32")


def _resized(image: Any, height: int, width: int) -> Any:
    if image.shape[1:] == (height, width):
        return image
    made = _weights(image.shape[1], height) @ image.astype("float32") @ _weights(image.shape[2], width).T
    return _as_kind(made, image.dtype)


def _as_kind(made: Any, dtype: Any) -> Any:
    """Floats as `dtype`; rounded and clipped for integers."""
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        made = np.clip(np.rint(made), info.min, info.max)
    return made.astype(dtype)


class Resize(Transform):
    """Bilinear, with antialiasing. `size`: (height, width), or an int for the shorter side, whose proportion stays."""

    def __init__(self, size: int | Sequence[int]):
        _pair("Resize", "size", size)
        self.size = size

    def planes(self, image: Any) -> Any:
        if not isinstance(self.size, int):
            return _resized(image, *self.size)
        height, width = image.shape[1:]
        if height <= width:
            return _resized(image, self.size, int(self.size * width / height))
        return _resized(image, int(self.size * height / width), self.size)


def _padded(image: Any, top: int, bottom: int, left: int, right: int, fill: float) -> Any:
    return np.pad(image, ((0, 0), (top, bottom), (left, right)), constant_values=fill)


class CenterCrop(Transform):
    """The middle of the image, `size` (height, width); a smaller image is padded with zeros."""

    def __init__(self, size: int | Sequence[int]):
        self.size = _pair("CenterCrop", "size", size)

    def planes(self, image: Any) -> Any:
        height, width = self.size
        more, wider = max(0, height - image.shape[1]), max(0, width - image.shape[2])
        if more or wider:
            image = _padded(image, more // 2, (more + 1) // 2, wider // 2, (wider + 1) // 2, 0)
        top, left = round((image.shape[1] - height) / 2), round((image.shape[2] - width) / 2)
        return image[:, top : top + height, left : left + width]


class RandomCrop(Transform):
    """A part of the image, `size` (height, width), at a random place, after `padding` pixels of `fill` on each side."""

    def __init__(self, size: int | Sequence[int], padding: int = 0, fill: float = 0):
        self.size = _pair("RandomCrop", "size", size)
        if not isinstance(padding, int) or padding < 0:
            raise ValueRangeError(f"[RandomCrop] expected padding to be an int of 0 or more, got {padding!r}")
        self.padding = padding
        self.fill = fill

    def planes(self, image: Any) -> Any:
        if self.padding:
            p = self.padding
            image = _padded(image, p, p, p, p, self.fill)
        spare = image.shape[1] - self.size[0], image.shape[2] - self.size[1]
        if min(spare) < 0:
            raise ShapeError(
                f"[RandomCrop] expected an image of {self.size} or more with its padding, got {image.shape[1:]}"
            )
        top, left = _draw_int(spare[0] + 1), _draw_int(spare[1] + 1)
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
    ):
        self.size = _pair("RandomResizedCrop", "size", size)
        self.scale = _interval("RandomResizedCrop", "scale", scale)
        self.ratio = _interval("RandomResizedCrop", "ratio", ratio, 1e-6)

    def planes(self, image: Any) -> Any:
        top, left, height, width = _box(image.shape[1:], self.scale, self.ratio) or self._middle(image.shape[1:])
        return _resized(image[:, top : top + height, left : left + width], *self.size)

    def _middle(self, shape: Sequence[int]) -> tuple[int, int, int, int]:
        height, width = shape
        if width < height * self.ratio[0]:
            height = max(1, round(width / self.ratio[0]))
        elif width > height * self.ratio[1]:
            width = max(1, round(height * self.ratio[1]))
        return (shape[0] - height) // 2, (shape[1] - width) // 2, height, width


def _box(shape: Sequence[int], scale: Any, ratio: Any) -> tuple[int, int, int, int] | None:
    for _ in range(10):
        area = shape[0] * shape[1] * _draw(*scale)
        aspect = math.exp(_draw(math.log(ratio[0]), math.log(ratio[1])))
        height, width = round(math.sqrt(area / aspect)), round(math.sqrt(area * aspect))
        if 0 < height <= shape[0] and 0 < width <= shape[1]:
            return _draw_int(shape[0] - height + 1), _draw_int(shape[1] - width + 1), height, width
    return None


class RandomHorizontalFlip(Transform):
    """Left and right exchanged with probability `p`."""

    def __init__(self, p: float = 0.5):
        self.p = _probability(type(self).__name__, p)

    def planes(self, image: Any) -> Any:
        return image[:, :, ::-1] if _draw() < self.p else image


class RandomVerticalFlip(RandomHorizontalFlip):
    """Top and bottom exchanged with probability `p`."""

    def planes(self, image: Any) -> Any:
        return image[:, ::-1] if _draw() < self.p else image


class RandomErasing(Transform):
    """With probability `p` a random rectangle set to `value` (Zhong et al., "Random erasing data augmentation", 2017)."""

    def __init__(
        self,
        p: float = 0.5,
        scale: Sequence[float] = (0.02, 0.33),
        ratio: Sequence[float] = (0.3, 3.3),
        value: float = 0,
    ):
        self.p = _probability("RandomErasing", p)
        self.scale = _interval("RandomErasing", "scale", scale)
        self.ratio = _interval("RandomErasing", "ratio", ratio, 1e-6)
        self.value = value

    def planes(self, image: Any) -> Any:
        box = _box(image.shape[1:], self.scale, self.ratio) if _draw() < self.p else None
        if box is None:
            return image
        top, left, height, width = box
        image = image.copy()
        image[:, top : top + height, left : left + width] = self.value
        return image
