"""Batches mixed with themselves: images and, in the same proportion, labels."""

from __future__ import annotations

import math
from typing import Any

from ...base.errors import ArgumentError, DTypeError, ShapeError, ValueRangeError
from ...base.lazy import LazyModule
from ...tensor import Tensor, asarray
from .base import check_number, draw_int

np = LazyModule("numpy")
randomness = LazyModule("twain.tensor.distributions")


class _Mixing:
    """Called with (images, labels), as two arguments or one pair; gives (images, labels).

    Images [N, ...]. Labels: class numbers [N], for which `num_classes` is needed, or probabilities
    [N, classes]. What comes are probabilities float32 [N, classes], which `cross_entropy` takes. Each sample is mixed with
    the one before it (a shuffling loader puts them in random order), in a proportion drawn once for the batch.
    """

    def __init__(self, *, alpha: float = 1.0, num_classes: int | None = None):
        name = type(self).__name__
        self.alpha = check_number(name, "alpha", alpha, 1e-6)
        if num_classes is not None and (not isinstance(num_classes, int) or num_classes < 1):
            raise ValueRangeError(f"[{name}] expected num_classes to be an int of 1 or more, got {num_classes!r}")
        self.num_classes = num_classes

    def mixed(self, images: Any, share: float) -> tuple[Any, float]:
        """Images of which about `share` is their own, and how much it is."""
        raise NotImplementedError

    def __call__(self, images: Any, labels: Any = None) -> tuple[Tensor, Tensor]:
        name = type(self).__name__
        if labels is None and isinstance(images, (tuple, list)) and len(images) == 2:
            images, labels = images
        if labels is None:
            raise ArgumentError(f"[{name}] expected a batch (images, labels), got {type(images).__name__} only")
        array = images.numpy() if isinstance(images, Tensor) else np.asarray(images)
        if array.ndim < 2:
            raise ShapeError(f"[{name}] expected a batch of images, got shape {array.shape}")
        shares = self._probabilities(labels, len(array))
        share = randomness.beta(self.alpha, self.alpha).item()
        array, share = self.mixed(array, share)
        shares = share * shares + (1 - share) * np.roll(shares, 1, 0)
        return asarray(np.ascontiguousarray(array)), asarray(shares.astype(np.float32))

    def _probabilities(self, labels: Any, count: int) -> Any:
        name = type(self).__name__
        array = labels.numpy() if isinstance(labels, Tensor) else np.asarray(labels)
        if not len(array.shape) or len(array) != count:
            raise ShapeError(f"[{name}] expected labels of {count} images, got shape {array.shape}")
        if array.ndim == 2 and array.dtype.kind == "f":
            return array.astype(np.float64)
        if array.ndim != 1 or array.dtype.kind not in "iu":
            raise ShapeError(
                f"[{name}] expected labels to be class numbers (N,) or probabilities (N, classes), got {array.dtype} "
                f"{array.shape}"
            )
        if self.num_classes is None:
            raise ArgumentError(f"[{name}] expected num_classes=..., as the labels are class numbers")
        if count and not 0 <= array.min() <= array.max() < self.num_classes:
            wrong = array[(array < 0) | (array >= self.num_classes)][0]
            raise ValueRangeError(f"[{name}] expected labels in [0, {self.num_classes}), got {wrong}")
        return np.eye(self.num_classes)[array]

    def __repr__(self) -> str:
        return f"{type(self).__name__}(alpha={self.alpha!r}, num_classes={self.num_classes!r})"


class MixUp(_Mixing):
    """A batch (images, labels) as weighted means of pairs (Zhang et al., "mixup: Beyond empirical risk minimization", 2017).

    Args:
        alpha: the share of the first of a pair is drawn from Beta(alpha, alpha).
        num_classes: of the labels, where these are class numbers.

    In a loader: `DataLoader(..., collate=Compose([collate, MixUp(num_classes=10)]))`.
    """

    def mixed(self, images: Any, share: float) -> tuple[Any, float]:
        if images.dtype.kind != "f":
            raise DTypeError(f"[MixUp] expected images of floats (ToTensor makes them), got dtype {images.dtype}")
        kind = images.dtype.type
        return images * kind(share) + np.roll(images, 1, 0) * kind(1 - share), share


class CutMix(_Mixing):
    """A batch (images, labels) in which a rectangle of each image comes from another (Yun et al., "CutMix", 2019).

    Args:
        alpha: the share of the area that stays is drawn from Beta(alpha, alpha).
        num_classes: of the labels, where these are class numbers.

    In a loader: `DataLoader(..., collate=Compose([collate, CutMix(num_classes=10)]))`.
    """

    def mixed(self, images: Any, share: float) -> tuple[Any, float]:
        if images.ndim != 4:
            raise ShapeError(f"[CutMix] expected images [N, channels, height, width], got shape {images.shape}")
        height, width = images.shape[2:]
        if not height * width:
            return images, 1.0
        half = 0.5 * math.sqrt(1 - share)
        x, y = draw_int(width), draw_int(height)
        left, right = max(0, int(x - half * width)), min(width, int(x + half * width))
        top, bottom = max(0, int(y - half * height)), min(height, int(y + half * height))
        made = images.copy()
        made[:, :, top:bottom, left:right] = np.roll(images[:, :, top:bottom, left:right], 1, 0)
        return made, 1 - (bottom - top) * (right - left) / (height * width)
