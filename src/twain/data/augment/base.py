"""What all transforms share: draws, checks of arguments, the ways in and out, and transforms of transforms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ...base import dtypes
from ...base.errors import ArgumentError, DTypeError, ShapeError, ValueRangeError
from ...base.lazy import LazyModule
from ...tensor import Tensor, asarray
from ...tensor.random import uniform
from ..images import as_floats

np = LazyModule("numpy")


# ---------------------------------------------------------------- draws
def draw(low: float = 0.0, high: float = 1.0) -> float:
    """A number of [low, high) from twain's default generator."""
    return low + (high - low) * uniform(()).item()


def draw_int(stop: int) -> int:
    """One of 0, ..., stop - 1."""
    return min(int(draw() * stop), stop - 1)


def draw_order(count: int) -> list[int]:
    """0, ..., count - 1 in a random order."""
    order = list(range(count))
    for last in range(count - 1, 0, -1):
        other = draw_int(last + 1)
        order[last], order[other] = order[other], order[last]
    return order


# ---------------------------------------------------------------- arguments
def is_number(given: Any) -> bool:
    return isinstance(given, (int, float)) and not isinstance(given, bool)


def check_pair(function: str, name: str, given: Any) -> tuple[int, int]:
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


def check_number(
    function: str, name: str, given: Any, least: float = float("-inf"), most: float = float("inf")
) -> float:
    kind = f"from {least:g} to {most:g}" if most < float("inf") else f"of {least:g} or more"
    if not is_number(given):
        what = f"a number {kind}" if least > float("-inf") else "a number"
        raise ArgumentError(f"[{function}] expected {name} to be {what}, got {given!r}")
    if not least <= given <= most:
        raise ValueRangeError(f"[{function}] expected {name} {kind}, got {given!r}")
    return float(given)


def check_interval(
    function: str, name: str, given: Any, least: float = 0.0, most: float = float("inf")
) -> tuple[float, float]:
    if not (isinstance(given, Sequence) and len(given) == 2 and all(map(is_number, given))):
        raise ArgumentError(f"[{function}] expected {name} to be (low, high), got {given!r}")
    low, high = given
    if not least <= low <= high <= most:
        bounds = f"{least:g} <= low <= high" + (f" <= {most:g}" if most < float("inf") else "")
        raise ValueRangeError(f"[{function}] expected {name} (low, high) with {bounds}, got {given!r}")
    return float(low), float(high)


def check_choice(function: str, name: str, given: Any, choices: Sequence[str]) -> str:
    """One of `choices`; torchvision's InterpolationMode and the like say theirs as `value`."""
    text = getattr(given, "value", given)
    if text not in choices:
        known = ", ".join(map(repr, choices))
        raise ArgumentError(f"[{function}] expected {name} to be one of {known}, got {given!r}")
    return text


def check_fill(function: str, given: Any) -> float | tuple[float, ...]:
    if given is None:
        return 0
    if isinstance(given, Sequence) and not isinstance(given, str) and given and all(map(is_number, given)):
        return tuple(given)
    if not is_number(given):
        raise ArgumentError(f"[{function}] expected fill to be a number or one per channel, got {given!r}")
    return given


def fill_of(function: str, fill: float | tuple[float, ...], image: Any) -> Any:
    """`fill` as an array [channels or 1, 1, 1] of the image's dtype."""
    values = np.asarray(fill, image.dtype).reshape(-1, 1, 1)
    if len(values) not in (1, len(image)):
        raise ShapeError(f"[{function}] expected fill for {len(image)} channels, got {fill!r}")
    return values


# ---------------------------------------------------------------- values
def bound(dtype: Any) -> float:
    """What full brightness is: 1 for floats, the largest number for integers."""
    if dtype.kind in "iu":
        return int(np.iinfo(dtype).max)
    return 1


def as_kind(made: Any, dtype: Any) -> Any:
    """Floats as `dtype`; rounded and clipped for integers."""
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        made = np.rint(made)
        np.clip(made, info.min, info.max, out=made)
    return made.astype(dtype, copy=False)


def as_work(image: Any) -> Any:
    """The image in floats that can be computed with, one plane after the other; itself where it is that already."""
    return np.ascontiguousarray(image, np.result_type(image.dtype, np.float32))


def _interleaved(planes: Any) -> Any:
    """[channels, height, width] as an array [height, width, channels] of its own."""
    if len(planes) > 4:
        return np.ascontiguousarray(planes.transpose(1, 2, 0))
    made = np.empty((*planes.shape[1:], len(planes)), planes.dtype)
    for channel, plane in enumerate(planes):  # several times as fast as rows of three values
        made[..., channel] = plane
    return made


# ---------------------------------------------------------------- transforms
class Transform:
    """Base of transforms: a subclass says in `planes` what becomes of one image as an array [channels, height, width]."""

    def planes(self, image: Any) -> Any:
        raise NotImplementedError

    def __call__(self, image: Any) -> Any:
        name = type(self).__name__
        if isinstance(image, Tensor):
            array = check_kind(name, image.numpy())
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
        array = as_array(name, image)
        if array.ndim == 2:
            made = self.planes(array[None])
            return np.ascontiguousarray(made[0]) if len(made) == 1 else _interleaved(made)
        if array.ndim == 3:
            return _interleaved(self.planes(array.transpose(2, 0, 1)))
        raise ShapeError(
            f"[{name}] expected an array [height, width] or [height, width, channels], got shape {array.shape}; "
            "batches are tensors"
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in vars(self).items())})"


def as_array(function: str, image: Any) -> Any:
    """A NumPy array or a Pillow image as an array; ArgumentError for anything else."""
    if not isinstance(image, np.ndarray) and not hasattr(image, "__array_interface__"):
        raise ArgumentError(
            f"[{function}] expected a Tensor, a NumPy array or a Pillow image, got {type(image).__name__}"
        )
    return check_kind(function, np.asarray(image))


def check_kind(function: str, array: Any) -> Any:
    if array.dtype.kind not in "biuf":
        raise DTypeError(f"[{function}] expected an image of integers or floats, got dtype {array.dtype}")
    return array


class RandomTransform(Transform):
    """Base of those that happen with probability `p`: a subclass says in `changed` what then becomes of the image."""

    def __init__(self, p: float = 0.5):
        self.p = check_number(type(self).__name__, "p", p, 0, 1)

    def changed(self, image: Any) -> Any:
        raise NotImplementedError

    def planes(self, image: Any) -> Any:
        return self.changed(image) if draw() < self.p else image


class ToImage:
    """An array or Pillow image as a Tensor [channels, height, width] of its dtype; a Tensor is left as it is."""

    def __call__(self, image: Any) -> Tensor:
        if isinstance(image, Tensor):
            return image
        array = as_array("ToImage", image)
        if array.ndim not in (2, 3):
            raise ShapeError(
                f"[ToImage] expected [height, width] or [height, width, channels], got shape {array.shape}"
            )
        return asarray(np.ascontiguousarray(array[None] if array.ndim == 2 else array.transpose(2, 0, 1)))

    def __repr__(self) -> str:
        return "ToImage()"


class ToDtype(Transform):
    """The image in another dtype; with `scale`, full brightness stays full brightness (255 in uint8, 1 in floats)."""

    def __init__(self, dtype: Any, scale: bool = False):
        self.dtype = dtypes.as_dtype(dtype)
        if self.dtype.numpy_name is None or self.dtype.kind not in "iuf":
            raise DTypeError(f"[ToDtype] expected a dtype of numbers that NumPy has, got {self.dtype}")
        self.scale = bool(scale)

    def planes(self, image: Any) -> Any:
        dtype = np.dtype(self.dtype.numpy_name)
        if dtype.kind in "iu" and image.dtype.kind == "f":
            image = np.nan_to_num(image)
        if not self.scale or dtype == image.dtype:
            return image.astype(dtype)
        factor = bound(dtype) / bound(image.dtype)
        return as_kind(as_work(image) * factor, dtype)


class ToTensor:
    """An array or Pillow image as a float32 Tensor [channels, height, width]; uint8 is scaled to [0, 1]."""

    def __call__(self, image: Any) -> Tensor:
        if isinstance(image, Tensor) or not hasattr(image, "__array_interface__"):
            raise ArgumentError(f"[ToTensor] expected a NumPy array or a Pillow image, got {type(image).__name__}")
        array = as_array("ToTensor", image)
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


class Lambda:
    """A function of one's own: `function(image)`. With worker processes it must be one that can be pickled."""

    def __init__(self, function: Callable[[Any], Any]):
        if not callable(function):
            raise ArgumentError(f"[Lambda] expected a function of the image, got {type(function).__name__}")
        self.function = function

    def __call__(self, image: Any) -> Any:
        return self.function(image)

    def __repr__(self) -> str:
        return f"Lambda({getattr(self.function, '__name__', self.function)!s})"


# ---------------------------------------------------------------- transforms of transforms
def check_transforms(function: str, given: Any) -> list[Callable[..., Any]]:
    if not isinstance(given, Sequence) or not all(callable(t) for t in given):
        raise ArgumentError(f"[{function}] expected a list of transforms, got {given!r}")
    return list(given)


class Compose:
    """One transform after the other. What one gives is what the next gets, so batches and their labels pass as well."""

    def __init__(self, transforms: Sequence[Callable[[Any], Any]]):
        self.transforms = check_transforms("Compose", transforms)

    def __call__(self, image: Any) -> Any:
        for transform in self.transforms:
            image = transform(image)
        return image

    def __repr__(self) -> str:
        return f"Compose({self.transforms!r})"


class _Drawn:
    """Base of those that draw what to do: for each image of a tensor [images, channels, height, width] by itself, once
    for anything else. A subclass says in `one` what becomes of it."""

    def one(self, *inputs: Any) -> Any:
        raise NotImplementedError

    def __call__(self, *inputs: Any) -> Any:
        if len(inputs) == 1 and isinstance(inputs[0], Tensor) and inputs[0].ndim == 4 and len(inputs[0]):
            return asarray(np.stack([asarray(self.one(image)).numpy() for image in inputs[0]]))
        return self.one(*inputs)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in vars(self).items())})"


def _in_turn(transforms: Any, inputs: Any) -> Any:
    for transform in transforms:
        made = transform(*inputs)
        inputs = made if len(inputs) > 1 else (made,)
    return inputs if len(inputs) > 1 else inputs[0]


class RandomApply(_Drawn):
    """With probability `p` all of `transforms` in turn, else none of them."""

    def __init__(self, transforms: Sequence[Callable[..., Any]], p: float = 0.5):
        self.transforms = check_transforms("RandomApply", transforms)
        self.p = check_number("RandomApply", "p", p, 0, 1)

    def one(self, *inputs: Any) -> Any:
        return _in_turn(self.transforms if draw() < self.p else (), inputs)


class RandomChoice(_Drawn):
    """One of `transforms`, which happen in proportion to `p` (default: equally often)."""

    def __init__(self, transforms: Sequence[Callable[..., Any]], p: Sequence[float] | None = None):
        self.transforms = check_transforms("RandomChoice", transforms)
        if not self.transforms:
            raise ValueRangeError("[RandomChoice] expected at least one transform, got none")
        shares = [1.0] * len(self.transforms) if p is None else list(p)
        if len(shares) != len(self.transforms):
            raise ShapeError(f"[RandomChoice] expected p for {len(self.transforms)} transforms, got {len(shares)}")
        if not all(is_number(share) and share >= 0 for share in shares) or not sum(shares) > 0:
            raise ValueRangeError(f"[RandomChoice] expected p of 0 or more and not all 0, got {p!r}")
        self.p = [share / sum(shares) for share in shares]

    def one(self, *inputs: Any) -> Any:
        place = draw()
        for transform, share in zip(self.transforms, self.p, strict=True):
            place -= share
            if place < 0 < share:
                return transform(*inputs)
        return [t for t, share in zip(self.transforms, self.p, strict=True) if share][-1](*inputs)


class RandomOrder(_Drawn):
    """All of `transforms` in a random order."""

    def __init__(self, transforms: Sequence[Callable[..., Any]]):
        self.transforms = check_transforms("RandomOrder", transforms)

    def one(self, *inputs: Any) -> Any:
        return _in_turn([self.transforms[i] for i in draw_order(len(self.transforms))], inputs)
