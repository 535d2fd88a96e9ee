#!/usr/bin/env python3
"""Make the bundled digits files from scikit-learn's copy of the UCI optical digits.

    pip install scikit-learn && python tools/make_digits.py

Writes src/twain/datasets/files/digits-{images,labels}.idx.gz in the IDX format (that of MNIST), gzipped without
a time stamp, so that the same input gives the same bytes.
"""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

FILES = Path(__file__).parents[1] / "src" / "twain" / "datasets" / "files"
UNSIGNED_BYTE = 0x08


def idx_bytes(shape: tuple[int, ...], content: bytes) -> bytes:
    """`content` (unsigned bytes in row-major order) with the IDX header for `shape`."""
    return struct.pack(f">BBBB{len(shape)}I", 0, 0, UNSIGNED_BYTE, len(shape), *shape) + content


def write(name: str, shape: tuple[int, ...], content: bytes) -> None:
    path = FILES / name
    path.write_bytes(gzip.compress(idx_bytes(shape, content), 9, mtime=0))
    print(f"{path.name}: {shape}, {path.stat().st_size} bytes")


def main() -> None:
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = digits.images.astype("uint8")
    if images.shape != (1797, 8, 8) or images.max() > 16 or (images != digits.images).any():
        raise SystemExit(f"unexpected digits: shape {images.shape}, largest value {images.max()}")
    write("digits-images.idx.gz", images.shape, images.tobytes())
    write("digits-labels.idx.gz", digits.target.shape, digits.target.astype("uint8").tobytes())


if __name__ == "__main__":
    main()
