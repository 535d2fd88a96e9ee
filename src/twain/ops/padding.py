"""Padding: places added at the ends of axes, in PyTorch's modes and order of sizes."""

from __future__ import annotations

from ..base.errors import ArgumentError, ShapeError
from ..base.shapes import as_index
from .arrange import part
from .families import composite
from .samples import Samples
from .shape import broadcast_to, concat, embed

_REFERENCES = "twain.testing.everyday_references."
_MODES = ("constant", "reflect", "replicate", "circular")


def _pad_attributes(pad, mode="constant", value=None):
    if not isinstance(pad, (list, tuple)) or len(pad) % 2:
        raise ArgumentError(f"[pad] expected pad as pairs (before, after) from the last axis on, got {pad!r}")
    if mode not in _MODES:
        raise ArgumentError(f"[pad] expected mode to be one of {', '.join(_MODES)}, got {mode!r}")
    if value is not None and mode != "constant":
        raise ArgumentError(f"[pad] expected a value with mode 'constant' only, got mode {mode!r}")
    if value is not None and not isinstance(value, (bool, int, float, complex)):
        raise ArgumentError(f"[pad] expected value to be a number, got {value!r}")
    return (tuple(as_index("pad", "a size", p) for p in pad), mode, 0 if value is None else value)


def _pad(attrs, x):
    """x with places added at both ends of its last axes; negative sizes take places away.

    pad: (before, after) of the last axis, then of the one before it, and so on. mode: "constant" (filled with `value`),
    "reflect" (mirrored without the end itself), "replicate" (the end repeated) or "circular" (the other end's).
    """
    pad, mode, value = attrs
    if len(pad) > 2 * x.ndim:
        raise ShapeError(f"[pad] expected at most {x.ndim} pairs for shape {tuple(x.shape)}, got {len(pad) // 2}")
    pairs = [(pad[i], pad[i + 1]) for i in range(0, len(pad), 2)]
    for number, (before, after) in enumerate(pairs):
        axis = x.ndim - 1 - number
        size = x.shape[axis]
        if size + before + after < 0 or (before < 0 and -before > size) or (after < 0 and -after > size):
            raise ShapeError(
                f"[pad] expected a size of at least 0, got {pairs[number]} for axis {axis} of {tuple(x.shape)}"
            )
        least = {"reflect": max(before, after) + 1, "circular": max(before, after), "replicate": 1}.get(mode, 0)
        if (before > 0 or after > 0) and size < least:
            raise ShapeError(
                f"[pad] expected at least {least} places along axis {axis} for mode {mode!r} and {pairs[number]}, got shape "
                f"{tuple(x.shape)}"
            )
    if mode in ("constant", "circular"):
        for number, (before, after) in enumerate(pairs):
            axis = x.ndim - 1 - number
            if before < 0 or after < 0:
                begin, end = max(-before, 0), max(-after, 0)
                x = part(x, axis, begin, x.shape[axis] - begin - end)
        pairs = [(max(before, 0), max(after, 0)) for before, after in pairs]
    if mode == "constant":
        shape, starts = list(x.shape), [0] * x.ndim
        for number, (before, after) in enumerate(pairs):
            axis = x.ndim - 1 - number
            shape[axis] += before + after
            starts[axis] = before
        return embed(x, tuple(shape), tuple(starts), (1,) * x.ndim, value)
    for number, (before, after) in enumerate(pairs):
        x = _padded_axis(x, x.ndim - 1 - number, before, after, mode)
    return x


def _padded_axis(x, axis: int, before: int, after: int, mode: str):
    size = x.shape[axis]
    parts = []
    if before > 0:
        if mode == "reflect":
            parts.append(part(x, axis, before, before, -1))
        elif mode == "circular":
            parts.append(part(x, axis, size - before, before))
        else:
            parts.append(_repeated(part(x, axis, 0, 1), axis, before))
    begin = max(-before, 0)
    parts.append(part(x, axis, begin, size - begin - max(-after, 0)))
    if after > 0:
        if mode == "reflect":
            parts.append(part(x, axis, size - 2, after, -1))
        elif mode == "circular":
            parts.append(part(x, axis, 0, after))
        else:
            parts.append(_repeated(part(x, axis, size - 1, 1), axis, after))
    return parts[0] if len(parts) == 1 else concat(parts, axis)


def _repeated(x, axis: int, count: int):
    return broadcast_to(x, tuple(count if i == axis else d for i, d in enumerate(x.shape)))


pad = composite(
    "pad", 1, _pad, attributes=_pad_attributes, names=("x",), reference=_REFERENCES + "pad", onnx="Pad",
    samples=Samples(((-5, 5),), arguments=((((1, 2),), {"value": 3}), (((1, -1, 2, 0), "reflect"), {}),
                                           (((3, 1), "replicate"), {}), (((2, 1, -1, 1), "circular"), {})),
                    shapes=(((3, 4),),)),
    errors=((((1,),), {}, "[pad]"), (((1, 1), "mirror"), {}, "[pad]"), (((9, 9), "reflect"), {}, "[pad]"),
            (((1, 1, 1, 1, 1, 1),), {}, "[pad]")),
)  # fmt: skip

__all__ = ["pad"]
