"""Images from folders."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..base.errors import ArgumentError, FileFormatError, ShapeError
from ..base.lazy import LazyModule
from .dataset import Dataset, _position

np = LazyModule("numpy")

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")


def read_image(path: str | os.PathLike[str], mode: str = "RGB", size: tuple[int, int] | None = None) -> Any:
    """An image file as a NumPy array uint8: [height, width, 3] for mode "RGB", [height, width] for "L" (grey).

    `size` (height, width) scales it. Turned as its EXIF data says.

    Raises:
        FileFormatError: (a ValueError) when it is no image or a damaged one; names the file.
        OSError: when it can't be opened.
        ImportError: without Pillow, which reads it.
    """
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise ImportError("[read_image] needs the package Pillow: pip install pillow") from error
    with open(path, "rb") as file:
        try:
            image = ImageOps.exif_transpose(Image.open(file)).convert(mode)
        except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
            raise FileFormatError(
                f"[read_image] {os.fspath(path)!r} is not an image that can be read: {error}"
            ) from error
    if size is not None and image.size != size[::-1]:
        image = image.resize(size[::-1], Image.Resampling.BILINEAR)
    return np.asarray(image)


class ImageFolder(Dataset):
    """Images in a folder for each class: root/cat/1.png, root/dog/2.jpg. Sample i is (image, label).

    Args:
        root: the folder; classes are its folders in alphabetical order, files may lie deeper.
        transform: makes what is given of the image [height, width, channels] uint8 (default: float32
            [channels, height, width] in [0, 1]).
        size: (height, width) to scale images to, so that they can be batched.
        mode: "RGB" or "L".
        on_error: "raise" for an image that can't be read, or "skip": the next one that can be read comes in its place,
            and `skipped` (of this process) names it.

    Attributes:
        classes: names of the classes; label i is classes[i]. samples: (path, label) of all. targets: the labels.

    Raises:
        ArgumentError: (a TypeError) for a root that is no folder of class folders.
        ShapeError: (a ValueError) when there is no image; names empty classes.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        transform: Callable[[Any], Any] | None = None,
        *,
        size: tuple[int, int] | None = None,
        mode: str = "RGB",
        on_error: str = "raise",
        suffixes: Sequence[str] = SUFFIXES,
    ):
        if on_error not in ("raise", "skip"):
            raise ArgumentError(f"[ImageFolder] expected on_error to be 'raise' or 'skip', got {on_error!r}")
        if not Path(root).is_dir():
            raise ArgumentError(
                f"[ImageFolder] expected a folder with a folder for each class, got {os.fspath(root)!r}"
            )
        self.root = os.fspath(root)
        folders = sorted(entry for entry in Path(root).iterdir() if entry.is_dir() and not entry.name.startswith("."))
        if not folders:
            raise ArgumentError(f"[ImageFolder] expected a folder for each class in {self.root!r}, got none there")
        self.classes = [folder.name for folder in folders]
        endings = tuple(suffix.lower() for suffix in suffixes)
        self.samples: list[tuple[str, int]] = []
        empty = []
        for label, folder in enumerate(folders):
            found = sorted(str(p) for p in folder.rglob("*") if p.name.lower().endswith(endings) and p.is_file())
            if not found:
                empty.append(folder.name)
            self.samples += [(path, label) for path in found]
        if empty:
            raise ShapeError(
                f"[ImageFolder] expected images ({', '.join(endings)}) in each class folder of {self.root!r}, got none in "
                f"{', '.join(empty)}"
            )
        self.transform = transform
        self.size = size
        self.mode = mode
        self.on_error = on_error
        self.skipped: list[str] = []

    @property
    def targets(self) -> list[int]:
        return [label for _, label in self.samples]

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        position = _position("ImageFolder", index, len(self))
        for turn in range(len(self)):
            path, label = self.samples[(position + turn) % len(self)]
            try:
                image = read_image(path, self.mode, self.size)
                break
            except FileFormatError as error:
                if self.on_error == "raise":
                    raise FileFormatError(f"{error}; on_error='skip' leaves such files out") from error
                if path not in self.skipped:
                    self.skipped.append(path)
        else:
            raise FileFormatError(f"[ImageFolder] none of the {len(self)} images in {self.root!r} can be read")
        return (as_floats(image) if self.transform is None else self.transform(image)), label


def as_floats(image: Any) -> Any:
    """uint8 [height, width] or [height, width, channels] as float32 [channels, height, width] in [0, 1]."""
    image = np.asarray(image)
    planes = image[None] if image.ndim == 2 else image.transpose(2, 0, 1)
    if planes.dtype != np.uint8:
        return np.ascontiguousarray(planes, np.float32)
    return np.multiply(planes, np.float32(1 / 255), dtype=np.float32, order="C")
