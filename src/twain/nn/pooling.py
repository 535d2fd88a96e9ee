"""Pooling: each place of the result summarises a region of its input. Arguments are PyTorch's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from .. import _core
from ..base.errors import ArgumentError, ValueRangeError
from ..ops.conv import per_axis
from . import functional as F
from .module import Module

Tensor = _core.Tensor
Sizes = int | tuple[int, ...]  # one for all axes, or one per axis


class _Pool(Module):
    axes: ClassVar[int]
    function: Callable

    def _windows(self, kernel_size: Sizes, stride: Sizes | None, **more: Sizes) -> None:
        """Keep what the user gave, once it is known to be right."""
        name = type(self).__name__
        per_axis(name, "kernel_size", kernel_size, self.axes, 1)
        if stride is not None:
            per_axis(name, "stride", stride, self.axes, 1)
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        for key, value in more.items():
            per_axis(name, key, value, self.axes, 1 if key == "dilation" else 0)
            setattr(self, key, value)

    def extra_repr(self) -> str:
        shown = [f"{key}={getattr(self, key)}" for key in ("kernel_size", "stride", "padding") if hasattr(self, key)]
        if getattr(self, "ceil_mode", False):
            shown.append("ceil_mode=True")
        return ", ".join(shown)


class _MaxPool(_Pool):
    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        dilation: Sizes = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ):
        self._windows(kernel_size, stride, padding=padding, dilation=dilation)
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def forward(self, input: Tensor) -> Any:
        return type(self).function(
            input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode, self.return_indices
        )


class MaxPool1d(_MaxPool):
    """The largest element of each window of sequences (N, C, L); with return_indices also where it was."""

    axes = 1
    function = staticmethod(F.max_pool1d)


class MaxPool2d(_MaxPool):
    """The largest element of each window of images (N, C, H, W); with return_indices also where it was."""

    axes = 2
    function = staticmethod(F.max_pool2d)


class MaxPool3d(_MaxPool):
    """The largest element of each window of volumes (N, C, D, H, W); with return_indices also where it was."""

    axes = 3
    function = staticmethod(F.max_pool3d)


class _MaxUnpool(_Pool):
    def __init__(self, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0):
        self._windows(kernel_size, stride, padding=padding)

    def forward(self, input: Tensor, indices: Tensor, output_size: tuple | None = None) -> Tensor:
        return type(self).function(input, indices, self.kernel_size, self.stride, self.padding, output_size)


class MaxUnpool1d(_MaxUnpool):
    """The partial inverse of MaxPool1d with return_indices: zeros, with each element where its index says."""

    axes = 1
    function = staticmethod(F.max_unpool1d)


class MaxUnpool2d(_MaxUnpool):
    """The partial inverse of MaxPool2d with return_indices: zeros, with each element where its index says."""

    axes = 2
    function = staticmethod(F.max_unpool2d)


class MaxUnpool3d(_MaxUnpool):
    """The partial inverse of MaxPool3d with return_indices: zeros, with each element where its index says."""

    axes = 3
    function = staticmethod(F.max_unpool3d)


class AvgPool1d(_Pool):
    """The mean of each window of sequences (N, C, L)."""

    axes = 1

    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ):
        self._windows(kernel_size, stride, padding=padding)
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad

    def forward(self, input: Tensor) -> Tensor:
        return F.avg_pool1d(input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad)


class _AvgPool(_Pool):
    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ):
        self._windows(kernel_size, stride, padding=padding)
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override

    def forward(self, input: Tensor) -> Tensor:
        return type(self).function(
            input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad,
            self.divisor_override,
        )  # fmt: skip


class AvgPool2d(_AvgPool):
    """The mean of each window of images (N, C, H, W); divisor_override divides by another number than the window's size."""

    axes = 2
    function = staticmethod(F.avg_pool2d)


class AvgPool3d(_AvgPool):
    """The mean of each window of volumes (N, C, D, H, W); divisor_override as in AvgPool2d."""

    axes = 3
    function = staticmethod(F.avg_pool3d)


class _LPPool(_Pool):
    def __init__(self, norm_type: float, kernel_size: Sizes, stride: Sizes | None = None, ceil_mode: bool = False):
        if not norm_type > 0:
            raise ValueRangeError(f"[{type(self).__name__}] expected norm_type > 0, got {norm_type}")
        self._windows(kernel_size, stride)
        self.norm_type = norm_type
        self.ceil_mode = ceil_mode

    def forward(self, input: Tensor) -> Tensor:
        return type(self).function(input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)

    def extra_repr(self) -> str:
        return f"norm_type={self.norm_type}, " + super().extra_repr()


class LPPool1d(_LPPool):
    """The norm_type-norm of each window of sequences (N, C, L)."""

    axes = 1
    function = staticmethod(F.lp_pool1d)


class LPPool2d(_LPPool):
    """The norm_type-norm of each window of images (N, C, H, W)."""

    axes = 2
    function = staticmethod(F.lp_pool2d)


class LPPool3d(_LPPool):
    """The norm_type-norm of each window of volumes (N, C, D, H, W)."""

    axes = 3
    function = staticmethod(F.lp_pool3d)


# ---------------------------------------------------------------- to a given size
class _Adaptive(_Pool):
    def __init__(self, output_size: Any):
        self.output_size = output_size

    def forward(self, input: Tensor) -> Any:
        return type(self).function(input, self.output_size)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveAvgPool1d(_Adaptive):
    """Means over output_size parts of sequences (N, C, L)."""

    axes = 1
    function = staticmethod(F.adaptive_avg_pool1d)


class AdaptiveAvgPool2d(_Adaptive):
    """Means over regions that divide images (N, C, H, W) into output_size = (H', W'); None keeps a size."""

    axes = 2
    function = staticmethod(F.adaptive_avg_pool2d)


class AdaptiveAvgPool3d(_Adaptive):
    """Means over regions that divide volumes (N, C, D, H, W) into output_size = (D', H', W'); None keeps a size."""

    axes = 3
    function = staticmethod(F.adaptive_avg_pool3d)


class _AdaptiveMax(_Adaptive):
    def __init__(self, output_size: Any, return_indices: bool = False):
        super().__init__(output_size)
        self.return_indices = return_indices

    def forward(self, input: Tensor) -> Any:
        return type(self).function(input, self.output_size, self.return_indices)


class AdaptiveMaxPool1d(_AdaptiveMax):
    """The largest elements of output_size parts of sequences (N, C, L); with return_indices also where they were."""

    axes = 1
    function = staticmethod(F.adaptive_max_pool1d)


class AdaptiveMaxPool2d(_AdaptiveMax):
    """The largest elements of regions that divide images (N, C, H, W) into output_size = (H', W'); None keeps a size."""

    axes = 2
    function = staticmethod(F.adaptive_max_pool2d)


class AdaptiveMaxPool3d(_AdaptiveMax):
    """The largest elements of regions that divide volumes into output_size = (D', H', W'); None keeps a size."""

    axes = 3
    function = staticmethod(F.adaptive_max_pool3d)


class _FractionalMaxPool(_Pool):
    def __init__(
        self,
        kernel_size: Sizes,
        output_size: Sizes | None = None,
        output_ratio: float | tuple[float, ...] | None = None,
        return_indices: bool = False,
        _random_samples: Tensor | None = None,
    ):
        name = type(self).__name__
        per_axis(name, "kernel_size", kernel_size, self.axes, 1)
        if (output_size is None) == (output_ratio is None):
            raise ValueRangeError(
                f"[{name}] expected either output_size or output_ratio, got {output_size} and {output_ratio}"
            )
        if output_ratio is not None:
            ratios = output_ratio if isinstance(output_ratio, tuple) else (output_ratio,)
            if not all(0 < ratio < 1 for ratio in ratios):
                raise ValueRangeError(f"[{name}] expected output_ratio between 0 and 1, got {output_ratio}")
        self.kernel_size = kernel_size
        self.output_size = output_size
        self.output_ratio = output_ratio
        self.return_indices = return_indices
        self.register_buffer("_random_samples", _random_samples)

    def forward(self, input: Tensor) -> Any:
        return type(self).function(
            input, self.kernel_size, self.output_size, self.output_ratio, self.return_indices,
            samples=self._random_samples,
        )  # fmt: skip


class FractionalMaxPool2d(_FractionalMaxPool):
    """The largest elements of windows at random places, to output_size or output_ratio times the size of the image.

    Source: Graham, "Fractional Max-Pooling" (2014).
    """

    axes = 2
    function = staticmethod(F.fractional_max_pool2d)


class FractionalMaxPool3d(_FractionalMaxPool):
    """The largest elements of windows at random places of volumes; see FractionalMaxPool2d."""

    axes = 3
    function = staticmethod(F.fractional_max_pool3d)


# ---------------------------------------------------------------- to one number
class GlobalAveragePooling1d(Module):
    """The mean over the positions of sequences: (N, L, D) -> (N, D).

    Args:
        skip_zeros: leave out positions whose D numbers are all 0, as an Embedding with padding_idx gives for padding
            (what Keras' masking does). A sequence of nothing but padding gives zeros.

    A mask (N, L), bool, given in the call takes precedence.
    """

    def __init__(self, skip_zeros: bool = False):
        self.skip_zeros = skip_zeros

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        if x.ndim != 3:
            raise ArgumentError(f"[GlobalAveragePooling1d] expected x of shape (N, L, D), got {tuple(x.shape)}")
        if mask is None and self.skip_zeros:
            mask = (x != 0).any(axis=2)
        return x.mean(axis=1) if mask is None else F.masked_mean(x, mask)

    def extra_repr(self) -> str:
        return "skip_zeros=True" if self.skip_zeros else ""


class GlobalAveragePooling2d(Module):
    """The mean over the pixels of images: (N, C, H, W) -> (N, C)."""

    def forward(self, x: Tensor) -> Any:
        _check_images(self, x)
        return x.mean(axis=(2, 3))


class GlobalMaxPooling2d(Module):
    """The largest of the pixels of images: (N, C, H, W) -> (N, C)."""

    def forward(self, x: Tensor) -> Any:
        _check_images(self, x)
        return x.max(axis=(2, 3))


def _check_images(layer: Module, x: Tensor) -> None:
    if x.ndim != 4:
        raise ArgumentError(f"[{type(layer).__name__}] expected x of shape (N, C, H, W), got {tuple(x.shape)}")


__all__ = [
    "AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveAvgPool3d", "AdaptiveMaxPool1d", "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d", "AvgPool1d", "AvgPool2d", "AvgPool3d", "FractionalMaxPool2d", "FractionalMaxPool3d",
    "GlobalAveragePooling1d", "GlobalAveragePooling2d", "GlobalMaxPooling2d", "LPPool1d", "LPPool2d", "LPPool3d",
    "MaxPool1d", "MaxPool2d", "MaxPool3d", "MaxUnpool1d", "MaxUnpool2d", "MaxUnpool3d",
]  # fmt: skip
