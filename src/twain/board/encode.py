"""What goes into event files: tensors as arrays, images as PNG, sound as WAV."""

from __future__ import annotations

import io
import math
import struct
import wave
import zlib
from typing import Any

import numpy as np

import twain


def array(value: Any) -> Any:
    """A NumPy array of a tensor or anything that NumPy takes; NumPy has no bfloat16, so float32 stands for it."""
    if isinstance(value, twain.Tensor):
        value = value.detach()
        if value.dtype == twain.bfloat16:
            value = value.astype(twain.float32)
        return value.numpy()
    return np.asarray(value)


# PNG's colour types by number of channels: grey, grey with transparency, colour, colour with transparency.
_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}


def pixels(function: str, value: Any, layout: str) -> Any:
    """uint8 pixels [N, C, H, W] of one image or several, whose axes `layout` names in order: "HW", "CHW", "NHWC", ..."""
    given = array(value)
    layouts = [layout] if layout != "CHW" else ["CHW", "HW"]  # the default takes grey images without channels as well
    found = next((names for names in layouts if len(names) == given.ndim), None)
    if sorted(layout) not in (sorted(known) for known in ("HW", "CHW", "NHW", "NCHW")):
        raise ValueError(f"[{function}] expected a layout of H, W and perhaps N and C, got {layout!r}")
    if found is None:
        raise ValueError(f"[{function}] expected shape {_shapes(layouts)}, got {tuple(given.shape)}")
    whole = given[tuple(None for name in "NC" if name not in found)]
    names = "".join(name for name in "NC" if name not in found) + found
    whole = whole.transpose([names.index(name) for name in "NCHW"])
    if whole.shape[1] not in (1, 3, 4) or 0 in whole.shape:
        raise ValueError(
            f"[{function}] expected shape {_shapes(layouts)} with C of 1, 3 or 4, got {tuple(given.shape)}"
        )
    if whole.dtype.kind == "f":
        return np.rint(np.clip(np.nan_to_num(whole), 0.0, 1.0) * 255.0).astype(np.uint8)
    if whole.dtype == np.bool_:
        return whole.astype(np.uint8) * 255
    if whole.dtype != np.uint8:
        raise TypeError(f"[{function}] expected floats in [0, 1], uint8 or bool, got {whole.dtype}")
    return whole


def _shapes(layouts: list[str]) -> str:
    return " or ".join(f"[{', '.join(names)}]" for names in sorted(layouts, key=len))


def grid(images: Any, columns: int | None = None, padding: int = 2) -> Any:
    """Images [N, C, H, W] (uint8) as one [C, H', W']: `columns` in a row (about a square by default), `padding` between."""
    count, channels, height, width = images.shape
    columns = min(count, columns or math.ceil(math.sqrt(count)))
    rows = math.ceil(count / columns)
    down, across = height + padding, width + padding
    whole = np.zeros((channels, rows * down - padding, columns * across - padding), np.uint8)
    for i, image in enumerate(images):
        y, x = i // columns * down, i % columns * across
        whole[:, y : y + height, x : x + width] = image
    return whole


def png(image: Any) -> bytes:
    """A PNG file (ISO/IEC 15948) of pixels [C, H, W], uint8."""
    channels, height, width = image.shape
    # Each row begins with the number of its filter, 0: none.
    rows = np.zeros((height, 1 + width * channels), np.uint8)
    rows[:, 1:] = image.transpose(1, 2, 0).reshape(height, -1)

    def chunk(kind: bytes, content: bytes) -> bytes:
        checked = kind + content
        return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))

    head = struct.pack(">IIBBBBB", width, height, 8, _COLOUR_TYPES[channels], 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(rows.tobytes()))
        + chunk(b"IEND", b"")
    )


def wav(function: str, sound: Any, sample_rate: int) -> tuple[bytes, int, int]:
    """(a WAV file of 16 bits, channels, length in samples) of a wave [samples] or [channels, samples] in [-1, 1]."""
    samples = array(sound)
    if samples.dtype.kind != "f":
        raise TypeError(f"[{function}] expected floats in [-1, 1], got {samples.dtype}")
    shape = samples.shape
    samples = np.atleast_2d(samples)
    if samples.ndim != 2 or 0 in shape or not 1 <= samples.shape[0] <= 8:
        raise ValueError(f"[{function}] expected shape [samples] or [channels, samples], 1 to 8 channels, got {shape}")
    if isinstance(sample_rate, bool) or int(sample_rate) != sample_rate or not 1 <= sample_rate <= 768_000:
        raise ValueError(f"[{function}] expected a sample rate in [1, 768000] Hz, got {sample_rate!r}")
    numbers = np.rint(np.clip(np.nan_to_num(samples.astype(np.float64)), -1.0, 1.0) * 32767.0).astype("<i2")
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(numbers.shape[0])
        file.setsampwidth(2)
        file.setframerate(int(sample_rate))
        file.writeframes(np.ascontiguousarray(numbers.T).tobytes())
    return content.getvalue(), numbers.shape[0], numbers.shape[1]


__all__ = ["array", "grid", "pixels", "png", "wav"]
