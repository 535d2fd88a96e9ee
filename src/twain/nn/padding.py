"""Padding as layers: places added at both ends of the last one, two or three axes."""

from __future__ import annotations

from typing import Any, ClassVar

from .. import _core
from ..base.errors import ArgumentError, ShapeError
from . import functional as F
from .module import Module

Tensor = _core.Tensor


class _Pad(Module):
    axes: ClassVar[int]
    mode: ClassVar[str]

    def __init__(self, padding: int | tuple[int, ...]):
        name = type(self).__name__
        count = 2 * self.axes
        given = (padding,) * count if isinstance(padding, int) else tuple(padding)
        if len(given) != count or not all(isinstance(p, int) and not isinstance(p, bool) for p in given):
            raise ArgumentError(
                f"[{name}] expected padding to be an int or {count} of them, two per axis, the last axis first, got "
                f"{padding!r}"
            )
        self.padding = given

    def forward(self, input: Tensor) -> Tensor:
        if self.mode != "constant" and input.ndim not in (self.axes + 1, self.axes + 2):
            raise ShapeError(
                f"[{type(self).__name__}] expected input of {self.axes + 1} or {self.axes + 2} axes, got shape "
                f"{tuple(input.shape)}"
            )
        return F.pad(input, self.padding, self.mode)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _ConstantPad(_Pad):
    mode = "constant"

    def __init__(self, padding: int | tuple[int, ...], value: float):
        super().__init__(padding)
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, "constant", self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class _ZeroPad(_ConstantPad):
    def __init__(self, padding: int | tuple[int, ...]):
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


_PLACES = ("sequences (N, C, L)", "images (N, C, H, W)", "volumes (N, C, D, H, W)")


def _layers(name: str, base: type[_Pad], doc: str, **more: Any) -> list[type[Any]]:
    made = []
    for axes, places in enumerate(_PLACES, 1):
        text = (
            f"{doc.format(places=places)}\n\n    padding: an int, or (before, after) of the last axis, then of the one before "
            "it, and so on;\n    negative ones take places away."
        )
        made.append(type(f"{name}{axes}d", (base,), {"__doc__": text, "__module__": __name__, "axes": axes, **more}))
    return made


ConstantPad1d, ConstantPad2d, ConstantPad3d = _layers("ConstantPad", _ConstantPad, "`value` around {places}.")
ZeroPad1d, ZeroPad2d, ZeroPad3d = _layers("ZeroPad", _ZeroPad, "Zeros around {places}.")
ReflectionPad1d, ReflectionPad2d, ReflectionPad3d = _layers(
    "ReflectionPad", _Pad, "{places} mirrored at their ends, the end itself not repeated.", mode="reflect"
)
ReplicationPad1d, ReplicationPad2d, ReplicationPad3d = _layers(
    "ReplicationPad", _Pad, "{places} with their ends repeated.", mode="replicate"
)
CircularPad1d, CircularPad2d, CircularPad3d = _layers(
    "CircularPad", _Pad, "{places} that begin anew behind their ends.", mode="circular"
)

__all__ = [
    "CircularPad1d", "CircularPad2d", "CircularPad3d", "ConstantPad1d", "ConstantPad2d", "ConstantPad3d",
    "ReflectionPad1d", "ReflectionPad2d", "ReflectionPad3d", "ReplicationPad1d", "ReplicationPad2d", "ReplicationPad3d",
    "ZeroPad1d", "ZeroPad2d", "ZeroPad3d",
]  # fmt: skip
