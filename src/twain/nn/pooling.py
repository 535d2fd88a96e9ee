"""Pooling: each place of the result summarises a region of its input."""

from __future__ import annotations

from typing import Any

from .. import _core
from ..base.errors import ArgumentError
from . import functional as F
from .layers import pair
from .module import Module

Tensor = _core.Tensor


class MaxPool2d(Module):
    """The largest element of each window of images (N, C, H, W); arguments are PyTorch's."""

    def __init__(
        self,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] | None = None,
        padding: int | tuple[int, int] = 0,
        dilation: int | tuple[int, int] = 1,
        ceil_mode: bool = False,
    ):
        self.kernel_size = pair("MaxPool2d", "kernel_size", kernel_size, 1)
        self.stride = self.kernel_size if stride is None else pair("MaxPool2d", "stride", stride, 1)
        self.padding = pair("MaxPool2d", "padding", padding)
        self.dilation = pair("MaxPool2d", "dilation", dilation, 1)
        self.ceil_mode = ceil_mode

    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool2d(x, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool2d(Module):
    """The mean of each window of images (N, C, H, W); arguments are PyTorch's."""

    def __init__(
        self,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] | None = None,
        padding: int | tuple[int, int] = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ):
        self.kernel_size = pair("AvgPool2d", "kernel_size", kernel_size, 1)
        self.stride = self.kernel_size if stride is None else pair("AvgPool2d", "stride", stride, 1)
        self.padding = pair("AvgPool2d", "padding", padding)
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(x, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AdaptiveAvgPool2d(Module):
    """Means over regions that divide images (N, C, H, W) into output_size = (H', W'); None keeps a size."""

    def __init__(self, output_size: int | tuple[int | None, int | None] | None):
        self.output_size = output_size

    def forward(self, x: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(x, self.output_size)

    def extra_repr(self) -> str:
        return f"{self.output_size}"


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
        if x.ndim != 4:
            raise ArgumentError(f"[GlobalAveragePooling2d] expected x of shape (N, C, H, W), got {tuple(x.shape)}")
        return x.mean(axis=(2, 3))
