"""Convolutions over one, two and three axes and their transposes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from .. import _core
from ..base.errors import ArgumentError, ShapeError, ValueRangeError
from ..ops.conv import per_axis
from . import functional as F
from . import init
from .lazy import Inferring, channels_of, check_sizes, lazy_version

Tensor = _core.Tensor
Sizes = int | tuple[int, ...]  # one for all axes, or one per axis
PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


class _Convolution(Inferring):
    axes: ClassVar[int]
    transposed: ClassVar[bool] = False
    inferred = "in_channels"

    def _settle(
        self,
        in_channels: int | None,
        out_channels: int | None,
        kernel_size: Sizes | None,
        stride: Sizes,
        padding: Sizes | str,
        dilation: Sizes,
        groups: int,
        bias: bool,
        padding_mode: str,
    ) -> None:
        name = type(self).__name__
        if out_channels is None or kernel_size is None:
            raise ArgumentError(f"[{name}] expected out_channels and kernel_size, got {out_channels} and {kernel_size}")
        check_sizes(name, out_channels=out_channels, groups=groups)
        if out_channels % groups:
            raise ValueRangeError(
                f"[{name}] expected out_channels to be a multiple of groups={groups}, got {out_channels}"
            )
        modes = PADDING_MODES[:1] if self.transposed else PADDING_MODES
        if padding_mode not in modes:
            raise ArgumentError(f"[{name}] expected padding_mode among {', '.join(modes)}, got {padding_mode!r}")
        if isinstance(padding, str) and (self.transposed or padding not in ("same", "valid")):
            words = "ints" if self.transposed else "ints, 'same' or 'valid'"
            raise ArgumentError(f"[{name}] expected padding to be {words}, got {padding!r}")
        self.in_channels: Any = in_channels
        self.out_channels = out_channels
        self.kernel_size = per_axis(name, "kernel_size", kernel_size, self.axes, 1)
        self.stride = per_axis(name, "stride", stride, self.axes, 1)
        self.padding: Any = padding if isinstance(padding, str) else per_axis(name, "padding", padding, self.axes)
        self.dilation = per_axis(name, "dilation", dilation, self.axes, 1)
        if padding == "same" and max(self.stride) > 1:
            raise ValueRangeError(f"[{name}] expected stride 1 with padding 'same', got {stride}")
        self.groups = groups
        self.padding_mode = padding_mode
        self._has_bias = bool(bias)

    def _check_sizes(self) -> None:
        super()._check_sizes()
        if self.in_channels % self.groups:
            raise ValueRangeError(
                f"[{type(self).__name__}] expected in_channels and out_channels to be multiples of groups={self.groups}, "
                f"got {self.in_channels} and {self.out_channels}"
            )

    def _parameter_shapes(self) -> dict[str, tuple | None]:
        inputs, outputs = self.in_channels, self.out_channels
        if self.transposed:
            features: tuple = (inputs, outputs // self.groups)
        else:
            features = (outputs, None if inputs is None else inputs // self.groups)
        return {"weight": (*features, *self.kernel_size), "bias": (outputs,) if self._has_bias else None}

    def _size_of(self, input: Tensor) -> int:
        return channels_of(input, self.axes)

    def _size_in(self, shapes: Mapping[str, tuple]) -> int | None:
        weight = shapes.get("weight")
        if weight is None or len(weight) != self.axes + 2:
            return None
        return weight[0] if self.transposed else weight[1] * self.groups

    def reset_parameters(self) -> None:
        """New initial values: uniform in +-1 / sqrt(inputs of one output)."""
        fan_in, _ = init.fans(type(self).__name__, self.weight.shape)
        bound = 1.0 / math.sqrt(fan_in) if fan_in else 0.0
        init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound)

    def extra_repr(self) -> str:
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        usual = (("padding", (0,)), ("dilation", (1,)), ("output_padding", (0,)))
        for name, default in usual:
            value = getattr(self, name, default * self.axes)
            if value != default * self.axes:
                text += f", {name}={value}"
        if self.groups != 1:
            text += f", groups={self.groups}"
        if not self._has_bias:
            text += ", bias=False"
        return text if self.padding_mode == "zeros" else f"{text}, padding_mode={self.padding_mode}"


class _Conv(_Convolution):
    function: Callable

    def __init__(
        self,
        in_channels: int | None = None,
        out_channels: int | None = None,
        kernel_size: Sizes | None = None,
        stride: Sizes = 1,
        padding: Sizes | str = 0,
        dilation: Sizes = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ):
        self._settle(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode)
        # what other modes add before the convolution: (low, high) of the last axis first, as F.pad takes them
        edges: list[int] = []
        for axis in reversed(range(self.axes)):
            if self.padding == "same":
                total = self.dilation[axis] * (self.kernel_size[axis] - 1)
                edges += [total // 2, total - total // 2]
            else:
                edges += [0, 0] if self.padding == "valid" else [self.padding[axis]] * 2
        self._edges = tuple(edges)
        self._create(dtype, device)

    def forward(self, input: Tensor) -> Tensor:
        padding = self.padding
        if self.padding_mode != "zeros":
            input, padding = F.pad(input, self._edges, self.padding_mode), 0
        return type(self).function(input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)


class _ConvTranspose(_Convolution):
    function: Callable
    transposed = True

    def __init__(
        self,
        in_channels: int | None = None,
        out_channels: int | None = None,
        kernel_size: Sizes | None = None,
        stride: Sizes = 1,
        padding: Sizes = 0,
        output_padding: Sizes = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Sizes = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ):
        self._settle(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode)
        self.output_padding = per_axis(type(self).__name__, "output_padding", output_padding, self.axes)
        self._create(dtype, device)

    def forward(self, input: Tensor, output_size: tuple[int, ...] | None = None) -> Tensor:
        added = self.output_padding if output_size is None else self._added(input, tuple(output_size))
        return type(self).function(
            input, self.weight, self.bias, self.stride, self.padding, added, self.groups, self.dilation
        )

    def _added(self, input: Tensor, wanted: tuple) -> tuple:
        """The output padding that leads to a size."""
        lengths = input.shape[input.ndim - self.axes :]
        least = [
            (d - 1) * s - 2 * p + g * (k - 1) + 1
            for d, s, p, g, k in zip(lengths, self.stride, self.padding, self.dilation, self.kernel_size)
        ]
        if len(wanted) == input.ndim:
            wanted = wanted[-self.axes :]
        added = tuple(w - n for w, n in zip(wanted, least))
        if len(wanted) != self.axes or any(not 0 <= a < s for a, s in zip(added, self.stride)):
            raise ShapeError(
                f"[{type(self).__name__}] expected output_size of at least {tuple(least)} and less than one stride "
                f"{self.stride} more, got {wanted}"
            )
        return added


_SHAPES = """

    Shapes: input (N, in_channels, {places}) or without N -> (N, out_channels, ...);
    weight {weight}, bias (out_channels,).

    Args:
        in_channels: left out, the first input tells it.
        {words}
    """
_WORDS = (
    "padding: zeros around the input, or 'same' (the size stays) or 'valid' (none).\n"
    "        padding_mode: what is around the input: zeros, reflect, replicate or circular."
)
_WORDS_TRANSPOSED = "output_padding: added to one side of the result, for one of the sizes that a stride leaves open."


class Conv1d(_Conv):
    __doc__ = "Cross-correlation of sequences with learned kernels." + _SHAPES.format(
        places="L", weight="(out_channels, in_channels / groups, kernel)", words=_WORDS
    )
    axes = 1
    function = staticmethod(F.conv1d)


class Conv2d(_Conv):
    __doc__ = "Cross-correlation of images with learned kernels." + _SHAPES.format(
        places="H, W", weight="(out_channels, in_channels / groups, kernel height, kernel width)", words=_WORDS
    )
    axes = 2
    function = staticmethod(F.conv2d)


class Conv3d(_Conv):
    __doc__ = "Cross-correlation of volumes with learned kernels." + _SHAPES.format(
        places="D, H, W", weight="(out_channels, in_channels / groups, *kernel)", words=_WORDS
    )
    axes = 3
    function = staticmethod(F.conv3d)


class ConvTranspose1d(_ConvTranspose):
    __doc__ = "The transpose of Conv1d, which makes sequences longer." + _SHAPES.format(
        places="L", weight="(in_channels, out_channels / groups, kernel)", words=_WORDS_TRANSPOSED
    )
    axes = 1
    function = staticmethod(F.conv_transpose1d)


class ConvTranspose2d(_ConvTranspose):
    __doc__ = "The transpose of Conv2d, which makes images larger." + _SHAPES.format(
        places="H, W", weight="(in_channels, out_channels / groups, *kernel)", words=_WORDS_TRANSPOSED
    )
    axes = 2
    function = staticmethod(F.conv_transpose2d)


class ConvTranspose3d(_ConvTranspose):
    __doc__ = "The transpose of Conv3d, which makes volumes larger." + _SHAPES.format(
        places="D, H, W", weight="(in_channels, out_channels / groups, *kernel)", words=_WORDS_TRANSPOSED
    )
    axes = 3
    function = staticmethod(F.conv_transpose3d)


LazyConv1d, LazyConv2d, LazyConv3d = (lazy_version(plain) for plain in (Conv1d, Conv2d, Conv3d))
LazyConvTranspose1d, LazyConvTranspose2d, LazyConvTranspose3d = (
    lazy_version(plain) for plain in (ConvTranspose1d, ConvTranspose2d, ConvTranspose3d)
)

__all__ = [
    "Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d", "LazyConv1d", "LazyConv2d",
    "LazyConv3d", "LazyConvTranspose1d", "LazyConvTranspose2d", "LazyConvTranspose3d",
]  # fmt: skip
