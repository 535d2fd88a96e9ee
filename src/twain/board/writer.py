"""A thin writer of TensorBoard event files; tensorboardX does the encoding and is imported on first use."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import twain


def _backend(folder: str) -> Any:
    try:
        import tensorboardX
    except ImportError as error:
        raise ImportError(
            "[SummaryWriter] expected the tensorboardX package, which writes TensorBoard's event files; "
            "install it with: pip install tensorboardX"
        ) from error
    return tensorboardX.SummaryWriter(folder)


def _array(value: Any) -> Any:
    """A NumPy array of a tensor or anything that NumPy takes; NumPy has no bfloat16, so float32 stands for it."""
    import numpy as np

    if isinstance(value, twain.Tensor):
        value = value.detach()
        if value.dtype == twain.bfloat16:
            value = value.astype(twain.float32)
        return value.numpy()
    return np.asarray(value)


def _pixels(function: str, value: Any, axes: str) -> Any:
    """uint8 pixels [N, C, H, W] of an image [H, W] or [C, H, W], or images [N, C, H, W]."""
    import numpy as np

    pixels = _array(value)
    if axes == "CHW":
        pixels = (pixels[None] if pixels.ndim == 2 else pixels)[None]
    if pixels.ndim != 4 or pixels.shape[1] not in (1, 3, 4) or 0 in pixels.shape:
        shapes = "[H, W] or [C, H, W]" if axes == "CHW" else "[N, C, H, W]"
        raise ValueError(f"[{function}] expected shape {shapes} with C of 1, 3 or 4, got {tuple(_array(value).shape)}")
    if pixels.dtype.kind == "f":
        return np.rint(np.clip(np.nan_to_num(pixels), 0.0, 1.0) * 255.0).astype(np.uint8)
    if pixels.dtype == np.bool_:
        return pixels.astype(np.uint8) * 255
    if pixels.dtype != np.uint8:
        raise TypeError(f"[{function}] expected floats in [0, 1], uint8 or bool, got {pixels.dtype}")
    return pixels


class SummaryWriter:
    """Writes what TensorBoard shows (`tensorboard --logdir FOLDER`) into a folder, which is made if need be.

    A context manager; the file is flushed every two minutes, by `flush()` and by `close()`.

    Raises:
        ImportError: tensorboardX is not installed.
        OSError: the folder can't be made.
    """

    def __init__(self, folder: str | os.PathLike[str]):
        self.folder = os.fspath(folder)
        os.makedirs(self.folder, exist_ok=True)
        self._writer = _backend(self.folder)

    def __enter__(self) -> SummaryWriter:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _open(self, function: str) -> Any:
        if self._writer is None:
            raise ValueError(f"[SummaryWriter.{function}] expected an open writer, got a closed one")
        return self._writer

    def add_scalar(self, tag: str, value: Any, step: int | None = None) -> None:
        """A number (Python's, or a tensor of one element) at a step; NaN and infinities are kept."""
        number = _array(value)
        if number.size != 1:
            raise ValueError(f"[SummaryWriter.add_scalar] expected one number for {tag!r}, got shape {number.shape}")
        self._open("add_scalar").add_scalar(tag, float(number.reshape(())), step)

    def add_scalars(self, values: Mapping[str, Any], step: int | None = None) -> None:
        """Several numbers by tag at one step, such as the logs of an epoch."""
        for tag, value in values.items():
            self.add_scalar(tag, value, step)

    def add_image(self, tag: str, image: Any, step: int | None = None) -> None:
        """An image [H, W] or [C, H, W], C of 1, 3 or 4: floats in [0, 1] (others are clipped), uint8 or bool."""
        pixels = _pixels("SummaryWriter.add_image", image, "CHW")
        self._open("add_image").add_image(tag, pixels[0], step, dataformats="CHW")

    def add_images(self, tag: str, images: Any, step: int | None = None) -> None:
        """Images [N, C, H, W] in one grid; values as in `add_image`."""
        pixels = _pixels("SummaryWriter.add_images", images, "NCHW")
        self._open("add_images").add_images(tag, pixels, step, dataformats="NCHW")

    def add_histogram(self, tag: str, values: Any, step: int | None = None) -> None:
        """The distribution of a tensor's elements; NaN and infinities are left out."""
        import numpy as np

        numbers = _array(values).astype(np.float64).ravel()
        finite = numbers[np.isfinite(numbers)]
        if finite.size == 0:
            raise ValueError(
                f"[SummaryWriter.add_histogram] expected finite values for {tag!r}, got none among {numbers.size}"
            )
        self._open("add_histogram").add_histogram(tag, finite, step)

    def add_text(self, tag: str, text: str, step: int | None = None) -> None:
        """A text, shown as Markdown."""
        self._open("add_text").add_text(tag, str(text), step)

    def flush(self) -> None:
        """Hand everything written so far to the operating system."""
        self._open("flush").flush()

    def close(self) -> None:
        """Flush and close; closing twice does no harm."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
