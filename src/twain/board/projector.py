"""The files that TensorBoard's PROJECTOR page reads: vectors, their labels, a picture of thumbnails, and a list of them."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import twain
from twain.io.atomic import atomic_write

from .encode import array, grid, pixels, png

_LARGEST_SPRITE = 8192  # pixels on a side that browsers take as a texture
_CONFIG = "projector_config.pbtxt"


def write_embedding(
    function: str,
    folder: str,
    tag: str,
    vectors: Any,
    metadata: Any,
    header: Sequence[str] | None,
    images: Any,
    step: int,
) -> None:
    """Write an embedding's files into a folder of its own, and list it beside those that are there."""
    values = array(vectors)
    if values.ndim != 2 or values.dtype.kind not in "fiub" or 0 in values.shape:
        raise ValueError(f"[{function}] expected vectors of shape [N, D], got {tuple(values.shape)} {values.dtype}")
    numbers = values.astype("<f4")
    if not np.isfinite(numbers).all():
        raise ValueError(
            f"[{function}] expected finite vectors, got NaN or infinity among them: the page shows none then"
        )
    name = f"{tag}:{step:05d}"
    place = f"{step:05d}/" + re.sub(r"[^A-Za-z0-9_.-]", "_", tag)
    entry = [
        f'tensor_name: "{_quoted(name)}"',
        f'tensor_path: "{place}/tensors.bytes"',
        *(f"tensor_shape: {n}" for n in values.shape),
    ]
    files = {"tensors.bytes": numbers.tobytes()}
    if metadata is not None:
        files["metadata.tsv"] = _table(function, metadata, header, len(values)).encode()
        entry.append(f'metadata_path: "{place}/metadata.tsv"')
    elif header is not None:
        raise ValueError(f"[{function}] expected metadata to go with its header, got the header alone")
    if images is not None:
        picture, height, width = _sprite(function, images, len(values))
        files["sprite.png"] = picture
        entry.append(
            f'sprite {{ image_path: "{place}/sprite.png" single_image_dim: {width} single_image_dim: {height} }}'
        )
    target = Path(folder) / place
    target.mkdir(parents=True, exist_ok=True)
    for file_name, content in files.items():
        with atomic_write(target / file_name, function) as file:
            file.write(content)
    _list(function, folder, name, "embeddings { " + " ".join(entry) + " }")


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")


def _list(function: str, folder: str, name: str, entry: str) -> None:
    """Put a line into the list of embeddings; one of the same name goes."""
    path = os.path.join(folder, _CONFIG)
    lines = []
    if os.path.exists(path):
        mark = f'tensor_name: "{_quoted(name)}"'
        lines = [line for line in Path(path).read_text(encoding="utf-8").splitlines() if mark not in line]
    with atomic_write(path, function) as file:
        file.write("\n".join([*lines, entry, ""]).encode())


def _table(function: str, metadata: Any, header: Sequence[str] | None, count: int) -> str:
    """metadata.tsv: a line per vector; a first line of names where there are several columns."""
    given = array(metadata).tolist() if not isinstance(metadata, (list, tuple)) else list(metadata)
    if len(given) != count:
        raise ValueError(f"[{function}] expected metadata for each of {count} vectors, got {len(given)}")
    rows = [list(row) if isinstance(row, (list, tuple)) else [row] for row in given]
    columns = len(rows[0])
    if header is not None and len(header) != columns or any(len(row) != columns for row in rows):
        raise ValueError(f"[{function}] expected rows of metadata as long as the header, got others")
    if header is None and columns > 1:
        header = [f"column {i}" for i in range(columns)]
    # A single column has no line of names: the page takes each line for a label then.
    if columns > 1 and header is not None:
        rows.insert(0, list(header))
    return "".join("\t".join(_cell(cell) for cell in row) + "\n" for row in rows)


def _cell(value: Any) -> str:
    text = value.item() if isinstance(value, (twain.Tensor, np.generic)) else value
    return str(text).replace("\t", " ").replace("\n", " ").replace("\r", " ")


def _sprite(function: str, images: Any, count: int) -> tuple[bytes, int, int]:
    """(PNG, height, width of one image): the images row by row in a square picture."""
    thumbnails = pixels(function, images, "NHW" if array(images).ndim == 3 else "NCHW")
    if len(thumbnails) != count:
        raise ValueError(f"[{function}] expected an image for each of {count} vectors, got {len(thumbnails)}")
    height, width = thumbnails.shape[2:]
    columns = math.ceil(math.sqrt(count))
    if columns * max(height, width) > _LARGEST_SPRITE:
        raise ValueError(
            f"[{function}] expected images that fit into {_LARGEST_SPRITE} x {_LARGEST_SPRITE} pixels together, got {count} "
            f"of {height} x {width}; give smaller images"
        )
    whole = grid(thumbnails, columns, padding=0)
    # As many rows as columns, so that the page finds each image.
    full = np.zeros((whole.shape[0], columns * height, columns * width), np.uint8)
    full[:, : whole.shape[1], : whole.shape[2]] = whole
    if full.shape[0] == 1:
        full = np.repeat(full, 3, axis=0)
    return png(full), height, width


__all__ = ["write_embedding"]
