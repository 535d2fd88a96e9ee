"""The safetensors format: a dictionary of named tensors in one file, without any code in it.

    8 bytes      N, the length of the header, little-endian
    N bytes      JSON: {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]}, ...,
                        "__metadata__": {"key": "text"}}
    the rest     the elements, row-major, little-endian; offsets count from here

Source of the format: https://github.com/huggingface/safetensors, "Format". The reader is strict: whatever the format
does not allow is one FileFormatError that names file, tensor and reason, before any tensor is made.
"""

from __future__ import annotations

import json
import math
import os
import struct
import zlib
from collections.abc import Iterable, Mapping
from io import BufferedReader
from reprlib import Repr
from typing import Any

from ..base import dtypes
from ..base.errors import ArgumentError, DTypeError, FileFormatError
from .atomic import atomic_write
from .storage import Tensor, empty, to_bytes

HEADER_LIMIT = 100_000_000  # bytes; the format's own limit
RANK_LIMIT = 32
SIZE_LIMIT = 2**63 - 1
METADATA = "__metadata__"
FIELDS = {"dtype", "shape", "data_offsets"}

# Bits of an element and twain's dtype (None: a dtype of the format that twain doesn't have), in the format's own order.
DTYPES: dict[str, tuple[int, dtypes.DType | None]] = {
    "BOOL": (8, dtypes.bool_),
    "F4": (4, None),
    "F6_E2M3": (6, None),
    "F6_E3M2": (6, None),
    "U8": (8, dtypes.uint8),
    "I8": (8, dtypes.int8),
    "F8_E5M2": (8, None),
    "F8_E4M3": (8, None),
    "F8_E8M0": (8, None),
    "F8_E4M3FNUZ": (8, None),
    "F8_E5M2FNUZ": (8, None),
    "I16": (16, dtypes.int16),
    "U16": (16, dtypes.uint16),
    "F16": (16, dtypes.float16),
    "BF16": (16, dtypes.bfloat16),
    "I32": (32, dtypes.int32),
    "U32": (32, dtypes.uint32),
    "F32": (32, dtypes.float32),
    "C64": (64, dtypes.complex64),
    "F64": (64, dtypes.float64),
    "I64": (64, dtypes.int64),
    "U64": (64, dtypes.uint64),
}
_CODES = {dtype: code for code, (_, dtype) in DTYPES.items() if dtype is not None}
_ORDER = {code: number for number, code in enumerate(DTYPES)}


class TensorInfo:
    """What the header says of one tensor: `dtype` (the format's code), `shape`, `begin` and `end` within the data."""

    __slots__ = ("begin", "dtype", "end", "shape")

    def __init__(self, dtype: str, shape: tuple[int, ...], begin: int, end: int):
        self.dtype = dtype
        self.shape = shape
        self.begin = begin
        self.end = end

    def __repr__(self) -> str:
        return f"TensorInfo(dtype={self.dtype!r}, shape={self.shape}, begin={self.begin}, end={self.end})"


_shortener = Repr()
_shortener.maxlevel, _shortener.maxstring, _shortener.maxlist, _shortener.maxdict = 2, 60, 6, 3


def short(value: object) -> str:
    """`repr`, cut: names and values of a hostile file may be megabytes long or nested a thousand deep."""
    return _shortener.repr(value)[:200]


class _Refused(Exception):
    """Why a header is refused; `load_*` adds the file's name."""


def _tensor_refused(name: str, reason: str) -> _Refused:
    return _Refused(f"tensor {short(name)}: {reason}")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _Refused(f"the header has the key {short(key)} twice")
            seen.add(key)
    return result


def _integer(digits: str) -> int:
    if len(digits) > 20:
        raise _Refused(f"the header has a number of {len(digits)} digits")
    return int(digits)


def _not_integer(text: str) -> Any:
    raise _Refused(f"expected only integers in the header, got the number {short(text)}")


def _is_size(value: object) -> bool:
    return type(value) is int and 0 <= value <= SIZE_LIMIT


def _parse_tensor(name: str, entry: object) -> TensorInfo:
    if not isinstance(entry, dict) or entry.keys() != FIELDS:
        raise _tensor_refused(name, f"expected an object with dtype, shape and data_offsets, got {short(entry)}")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise _tensor_refused(name, f"unknown dtype {short(dtype)}; known are {', '.join(DTYPES)}")
    if not isinstance(shape, list) or len(shape) > RANK_LIMIT or not all(map(_is_size, shape)):
        raise _tensor_refused(name, f"expected a shape of at most {RANK_LIMIT} sizes, got {short(shape)}")
    bits = DTYPES[dtype][0]
    # Sizes count as at least 1 here: (0, 2**62, 2**62) is empty, but its strides would overflow.
    if math.prod(max(size, 1) for size in shape) * bits > SIZE_LIMIT:
        raise _tensor_refused(name, f"shape {short(shape)} of {dtype} is larger than any memory")
    if not isinstance(offsets, list) or len(offsets) != 2 or not all(map(_is_size, offsets)):
        raise _tensor_refused(name, f"expected data_offsets [begin, end], got {short(offsets)}")
    begin, end = offsets
    size, odd_bits = divmod(math.prod(shape) * bits, 8)
    if odd_bits:
        raise _tensor_refused(name, f"shape {tuple(shape)} of {dtype} is not a whole number of bytes")
    if end - begin != size:
        raise _tensor_refused(
            name,
            f"shape {tuple(shape)} of {dtype} needs {size} bytes, data_offsets [{begin}, {end}] hold {end - begin}",
        )
    return TensorInfo(dtype, tuple(shape), begin, end)


def _parse_metadata(entry: object) -> dict[str, str]:
    if not isinstance(entry, dict) or not all(isinstance(value, str) for value in entry.values()):
        raise _Refused(f"expected {METADATA} to map texts to texts, got {short(entry)}")
    return entry


def _check_layout(tensors: dict[str, TensorInfo], data_size: int) -> None:
    """Each byte of the data belongs to exactly one tensor."""
    position, before = 0, ""
    for name, info in sorted(tensors.items(), key=lambda item: (item[1].begin, item[1].end)):
        if info.begin < position:
            raise _tensor_refused(name, f"begins at byte {info.begin}, inside tensor {short(before)}")
        if info.begin > position:
            raise _tensor_refused(name, f"begins at byte {info.begin}, which leaves a hole from byte {position}")
        if info.end > data_size:
            raise _tensor_refused(
                name, f"ends at byte {info.end} of the data, but the file holds {data_size}: truncated or corrupt"
            )
        position, before = info.end, name
    if position != data_size:
        raise _Refused(f"{data_size - position} bytes at the end belong to no tensor")


def _parse_header(header: bytes, data_size: int) -> tuple[dict[str, TensorInfo], dict[str, str]]:
    if not header.startswith(b"{"):
        raise _Refused(f"expected the header to begin with '{{', got {short(header[:8])}; not a safetensors file?")
    try:
        tree = json.loads(
            header.decode("utf-8"),
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_float=_not_integer,
            parse_constant=_not_integer,
        )
    except UnicodeDecodeError as error:
        raise _Refused(f"the header is not UTF-8 at byte {error.start}") from None
    except RecursionError:
        raise _Refused("the header is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise _Refused(f"the header is not JSON: {error.msg} at character {error.pos}") from None
    tensors: dict[str, TensorInfo] = {}
    metadata: dict[str, str] = {}
    for name, entry in tree.items():
        if name == METADATA:
            metadata = _parse_metadata(entry)
            continue
        try:
            name.encode("utf-8")
        except UnicodeEncodeError:
            raise _tensor_refused(name, "the name is not valid Unicode") from None
        tensors[name] = _parse_tensor(name, entry)
    _check_layout(tensors, data_size)
    return tensors, metadata


class SafetensorsFile:
    """A safetensors file open for reading; its header is checked, tensors are read one at a time when asked for.

    A context manager and a read-only mapping in the file's order: `names()`, `info(name)`, `read(name)`, `metadata`.

    Raises:
        FileFormatError: (a ValueError) for a file that is truncated, corrupt or not a safetensors file.
        OSError: when the file can't be opened.
    """

    def __init__(self, path: str | os.PathLike[str], function: str = "SafetensorsFile"):
        self.path = os.fspath(path)
        self._function = function
        self._file: BufferedReader = open(path, "rb")  # noqa: SIM115 - closed by close()
        try:
            self._tensors, self.metadata = self._read_header()
        except _Refused as reason:
            self.close()
            raise self._error(str(reason)) from None
        except BaseException:
            self.close()
            raise

    def _error(self, reason: str) -> FileFormatError:
        return FileFormatError(f"[{self._function}] {self.path!r}: {reason}")

    def _read_header(self) -> tuple[dict[str, TensorInfo], dict[str, str]]:
        size = self._file.seek(0, os.SEEK_END)
        self._file.seek(0)
        prefix = self._file.read(8)
        if len(prefix) < 8:
            raise _Refused(f"expected at least 8 bytes, got {len(prefix)}: truncated or not a safetensors file")
        (length,) = struct.unpack("<Q", prefix)
        if length > HEADER_LIMIT:
            raise _Refused(
                f"the header claims {length} bytes, the format allows {HEADER_LIMIT}; not a safetensors file?"
            )
        if length > size - 8:
            raise _Refused(
                f"the header claims {length} bytes, the file has {size - 8} after its length: truncated, "
                "or not a safetensors file?"
            )
        header = self._file.read(length)
        if len(header) != length:
            raise _Refused("the file became shorter while it was read")
        self._data_begin = 8 + length
        return _parse_header(header, size - self._data_begin)

    def __enter__(self) -> SafetensorsFile:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()

    def __len__(self) -> int:
        return len(self._tensors)

    def __contains__(self, name: object) -> bool:
        return name in self._tensors

    def names(self) -> list[str]:
        return list(self._tensors)

    def info(self, name: str) -> TensorInfo:
        """What the header says of tensor `name`; KeyError when there is none."""
        try:
            return self._tensors[name]
        except KeyError:
            raise KeyError(f"[{self._function}] {self.path!r} has no tensor {short(name)}") from None

    def _fill(self, name: str, info: TensorInfo, memory: memoryview) -> None:
        self._file.seek(self._data_begin + info.begin)
        if self._file.readinto(memory) != len(memory):
            raise self._error(f"tensor {short(name)}: the file became shorter while it was read")

    def content(self, name: str) -> bytes:
        """The bytes of tensor `name`, of whatever dtype: row-major, little-endian."""
        info = self.info(name)
        content = bytearray(info.end - info.begin)
        self._fill(name, info, memoryview(content))
        return bytes(content)

    def read(self, name: str, crc32: int | None = None) -> Tensor:
        """Tensor `name`, a copy in memory; its bytes must have the checksum `crc32`, where one is given.

        Raises:
            KeyError: there is no such tensor.
            DTypeError: its dtype is one that twain doesn't have (the 4, 6 and 8 bit floats).
            FileFormatError: its bytes are corrupt, or the file changed meanwhile.
            MemoryError: no memory for it.
        """
        info = self.info(name)
        dtype = DTYPES[info.dtype][1]
        if dtype is None:
            raise DTypeError(f"[{self._function}] {self.path!r}: tensor {short(name)} has dtype {info.dtype}, "
                             "which twain doesn't have")  # fmt: skip
        tensor, memory = empty(dtype, info.shape)
        self._fill(name, info, memory)
        if crc32 is not None and zlib.crc32(memory) != crc32:
            raise self._error(f"tensor {short(name)}: its checksum is wrong: corrupt")
        if dtype is dtypes.bool_ and bytes(memory).translate(None, b"\0\1"):
            raise self._error(f"tensor {short(name)}: a BOOL is 0 or 1, got other bytes: corrupt")
        return tensor


def load_file(path: str | os.PathLike[str], names: Iterable[str] | None = None) -> dict[str, Tensor]:
    """The tensors of a safetensors file by name, in the file's order (or only those in `names`, in that order).

    Raises:
        FileFormatError: (a ValueError) for a file that is truncated, corrupt, hostile or not a safetensors file.
        OSError: when the file can't be opened; KeyError: when a name is not in it.
        DTypeError: for the 4, 6 and 8 bit floats, which twain doesn't have.
    """
    with SafetensorsFile(path, "load_file") as file:
        return {name: file.read(name) for name in (file.names() if names is None else names)}


def save_file(
    tensors: Mapping[str, Tensor],
    path: str | os.PathLike[str],
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write named tensors as a safetensors file, whole or not at all.

    A tensor under two names is written twice. Gradients and hooks are not written.

    Raises:
        ArgumentError: (a TypeError) for names, values or metadata of a wrong type.
        DTypeError: for complex128, which the format doesn't have.
        FileWriteError: (an OSError) when the disk is full or the folder not writable; an earlier file stays.
    """
    write_file(tensors, path, metadata, "save_file")


def write_file(
    tensors: Mapping[str, Tensor],
    path: str | os.PathLike[str],
    metadata: Mapping[str, str] | None,
    function: str,
) -> None:
    """`save_file` under the name of the function that the user called."""
    header, contents = _build(tensors, metadata, function)
    with atomic_write(path, function) as file:
        file.write(header)
        for content in contents:
            file.write(content)


def _build(
    tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None, function: str
) -> tuple[bytes, list[memoryview]]:
    """The file's first bytes (length and header), and the tensors' bytes in their order."""
    tree: dict[str, Any] = {}
    if metadata:
        for key, value in metadata.items():
            if not isinstance(key, str) or not isinstance(value, str):
                raise ArgumentError(f"[{function}] expected metadata of texts, got {short(key)}: {short(value)}")
        tree[METADATA] = dict(metadata)
    for name, tensor in tensors.items():
        if not isinstance(name, str) or name == METADATA:
            raise ArgumentError(f"[{function}] expected a text other than {METADATA!r} as name, got {short(name)}")
        if not isinstance(tensor, Tensor):
            raise ArgumentError(f"[{function}] expected {short(name)} to be a Tensor, got {type(tensor).__name__}")
        if tensor.dtype not in _CODES:
            raise DTypeError(f"[{function}] expected a dtype of the safetensors format, got {tensor.dtype} for "
                             f"tensor {short(name)}; cast it with .astype(...)")  # fmt: skip
    # Largest elements first, so that each tensor begins at a multiple of its element's size.
    ordered = sorted(tensors.items(), key=lambda item: (-_ORDER[_CODES[item[1].dtype]], item[0]))
    contents = []
    position = 0
    for name, tensor in ordered:
        contents.append(to_bytes(tensor))
        end = position + tensor.nbytes
        tree[name] = {
            "dtype": _CODES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [position, end],
        }
        position = end
    try:
        header = json.dumps(tree, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    except UnicodeEncodeError as error:
        raise ArgumentError(f"[{function}] expected names and metadata of valid Unicode: {error}") from None
    header += b" " * (-len(header) % 8)
    if len(header) > HEADER_LIMIT:
        raise ArgumentError(f"[{function}] expected names and metadata below {HEADER_LIMIT} bytes, got {len(header)}")
    return struct.pack("<Q", len(header)) + header, contents
