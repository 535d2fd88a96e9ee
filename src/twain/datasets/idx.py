"""Reader of the IDX format (MNIST's): 0, 0, type, rank; rank big-endian sizes; the elements, row-major.

Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits". Unsigned bytes only.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

UNSIGNED_BYTE = 0x08


def read_idx(path: Path) -> tuple[tuple[int, ...], bytes]:
    """(shape, elements) of an IDX file of unsigned bytes, gzipped or not; ValueError for anything else."""
    try:
        content = path.read_bytes()
        if not content.startswith(b"\0\0"):
            content = gzip.decompress(content)
        zero, code, rank = struct.unpack_from(">HBB", content)
        shape = struct.unpack_from(f">{rank}I", content, 4)
    except (EOFError, OSError, struct.error, zlib.error) as error:
        raise ValueError(
            f"[read_idx] {path}: expected a gzipped IDX file, got one that can't be read: {error}"
        ) from error
    elements = content[4 + 4 * rank :]
    if zero != 0 or code != UNSIGNED_BYTE or len(elements) != math.prod(shape):
        raise ValueError(
            f"[read_idx] {path}: expected an IDX file of {math.prod(shape)} unsigned bytes for shape {shape}, "
            f"got type {code:#x} and {len(elements)} bytes"
        )
    return shape, elements
