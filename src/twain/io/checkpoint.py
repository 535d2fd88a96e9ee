"""Checkpoints: nested state in one safetensors file, written whole or not at all.

Tensors get dotted names ("optimizer.state.0.momentum"), so that any safetensors reader can open the file; the nesting,
the Python values and a checksum of each tensor are JSON under the metadata key "twain". Nothing in it is ever executed.
"""

from __future__ import annotations

import json
import math
import os
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from numbers import Integral, Real
from typing import Any

from ..base.errors import ArgumentError, FileFormatError
from .safetensors import METADATA, SafetensorsFile, short, write_file
from .storage import Tensor, to_bytes

KEY = "twain"
FORMAT = 1
DEPTH_LIMIT = 100


def save(path: str | os.PathLike[str], state: Any, *, metadata: Any = None) -> None:
    """Write a checkpoint, whole or not at all: a full disk or a killed process leaves an earlier file as it was.

    Args:
        path: the file, by custom `*.safetensors`.
        state: a tensor, None, bool, int, float or str, or lists, tuples and dictionaries (with str or int keys) of
            such, nested; an object with a `state_dict()` method (a module, an optimizer, a data loader, a generator)
            stands for what that method returns.
        metadata: notes about it, of the same kinds but without tensors; read by `load_metadata`.

    Raises:
        ArgumentError: (a TypeError) for a value that can't be stored; the message names its place.
        FileWriteError: (an OSError) when the file can't be written.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise ArgumentError(
            f"[save] expected a path first and then what to save, got {type(path).__name__} for the path"
        )
    tensors: dict[str, Tensor] = {}
    tree = _encode(state, (), tensors, "save")
    notes: dict[str, Tensor] = {}
    encoded_metadata = _encode(metadata, ("metadata",), notes, "save")
    if notes:
        raise ArgumentError(f"[save] expected metadata without tensors, got one at {next(iter(notes))!r}")
    header = {
        "format": FORMAT,
        "metadata": encoded_metadata,
        "crc32": {name: zlib.crc32(to_bytes(tensor)) for name, tensor in tensors.items()},
        "state": tree,
    }
    write_file(tensors, path, {KEY: json.dumps(header, separators=(",", ":"), allow_nan=False)}, "save")


def load(path: str | os.PathLike[str]) -> Any:
    """The state that `save` wrote. Of a safetensors file by others: a dictionary of its tensors.

    Raises:
        FileFormatError: (a ValueError) for a truncated or corrupt file; the message names the file and the place.
        OSError: when the file can't be opened.
    """
    with SafetensorsFile(path, "load") as file:
        if KEY not in file.metadata:
            return {name: file.read(name) for name in file.names()}
        header = _read_header(file)
        checksums = header["crc32"]
        if not isinstance(checksums, dict) or checksums.keys() != set(file.names()) or None in checksums.values():
            raise _error(file, "the checksums don't fit the tensors")
        tensors = {name: file.read(name, checksums[name]) for name in file.names()}
        return _decode(header["state"], tensors, file)


def load_metadata(path: str | os.PathLike[str]) -> Any:
    """The metadata given to `save`, without reading a tensor; None for a safetensors file by others.

    Raises as `load` does.
    """
    with SafetensorsFile(path, "load_metadata") as file:
        return _decode(_read_header(file)["metadata"], {}, file) if KEY in file.metadata else None


def restore(path: str | os.PathLike[str], objects: dict[str, Any]) -> dict[str, Any]:
    """Give each object in `objects` its part of a checkpoint through its `load_state_dict`; return the other parts.

        save("run.safetensors", {"model": model, "optimizer": optimizer, "loader": loader, "epoch": 3})
        rest = restore("run.safetensors", {"model": model, "optimizer": optimizer, "loader": loader})
        rest["epoch"]  # 3

    Raises:
        KeyError: the checkpoint lacks a part.
        FileFormatError: as `load`.
        Exception: what a `load_state_dict` raises for a state that isn't its own.

    Where it raises, the objects are as they were.
    """
    state = load(path)
    if not isinstance(state, dict):
        raise FileFormatError(f"[restore] {os.fspath(path)!r}: expected a checkpoint of named parts, got {type(state)}")
    missing = [name for name in objects if name not in state]
    if missing:
        raise KeyError(
            f"[restore] {os.fspath(path)!r} has no part {', '.join(map(repr, missing))}; it has {list(state)}"
        )
    with unchanged_on_error(objects.values()):
        for name, target in objects.items():
            target.load_state_dict(state.pop(name))
    return state


@contextmanager
def unchanged_on_error(objects: Iterable[Any]) -> Iterator[None]:
    """Give the objects their state back if the block, which loads another into them, raises."""
    before = [(target, target.state_dict()) for target in objects if hasattr(target, "state_dict")]
    try:
        yield
    except BaseException:
        for target, state in before:
            target.load_state_dict(state)
        raise


def _place(path: tuple[str, ...]) -> str:
    return ".".join(path) or "the state itself"


def _tensor_name(path: tuple[str, ...], taken: dict[str, Tensor]) -> str:
    """The dotted name, made unique: {"a.b": x, "a": {"b": y}} has two that would be called "a.b"."""
    base = name = ".".join(path) or "tensor"
    number = 2
    while name in taken or name == METADATA:
        name = f"{base}~{number}"
        number += 1
    return name


def _encode(value: Any, path: tuple[str, ...], tensors: dict[str, Tensor], function: str) -> Any:
    """`value` as JSON: plain values stand for themselves, others are objects with one key that says what they are."""
    if len(path) > DEPTH_LIMIT:
        raise ArgumentError(
            f"[{function}] expected at most {DEPTH_LIMIT} levels of nesting, got more at {_place(path)}"
        )
    if isinstance(value, Tensor):
        name = _tensor_name(path, tensors)
        tensors[name] = value
        return {"tensor": name}
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value) if math.isfinite(value) else {"float": str(float(value))}
    if hasattr(value, "state_dict"):
        return _encode(value.state_dict(), path, tensors, function)
    if isinstance(value, dict):
        pairs = []
        for key, inner in value.items():
            if isinstance(key, bool) or not isinstance(key, (str, int)):
                raise ArgumentError(f"[{function}] expected str or int keys in {_place(path)}, got {key!r}")
            pairs.append([key, _encode(inner, (*path, str(key)), tensors, function)])
        return {"dict": pairs}
    if type(value) in (list, tuple):
        items = [_encode(inner, (*path, str(i)), tensors, function) for i, inner in enumerate(value)]
        return items if type(value) is list else {"tuple": items}
    raise ArgumentError(
        f"[{function}] expected tensors, numbers, texts, lists, tuples and dictionaries, "
        f"got {type(value).__name__} at {_place(path)}"
    )


def _error(file: SafetensorsFile, reason: str) -> FileFormatError:
    return FileFormatError(f"[load] {file.path!r}: {reason}")


def _read_header(file: SafetensorsFile) -> dict[str, Any]:
    try:
        header = json.loads(file.metadata[KEY])
    except (ValueError, RecursionError) as error:
        raise _error(file, f"the checkpoint's description is not JSON: {error}") from None
    if not isinstance(header, dict) or header.keys() != {"format", "metadata", "crc32", "state"}:
        raise _error(file, "the checkpoint's description is not what twain writes")
    if header["format"] != FORMAT:
        raise _error(
            file, f"expected checkpoint format {FORMAT}, got {short(header['format'])}; written by a newer twain?"
        )
    return header


def _decode(node: Any, tensors: dict[str, Tensor], file: SafetensorsFile, depth: int = 0) -> Any:
    if depth > DEPTH_LIMIT:
        raise _error(file, f"the state is nested deeper than {DEPTH_LIMIT} levels")
    if node is None or isinstance(node, (bool, int, float, str)):
        return node
    if isinstance(node, list):
        return [_decode(inner, tensors, file, depth + 1) for inner in node]
    kind, value = next(iter(node.items())) if len(node) == 1 else (None, None)
    if kind == "tensor" and isinstance(value, str) and value in tensors:
        return tensors[value]
    if kind == "float" and value in ("nan", "inf", "-inf"):
        return float(value)
    if kind == "tuple" and isinstance(value, list):
        return tuple(_decode(inner, tensors, file, depth + 1) for inner in value)
    if kind == "dict" and isinstance(value, list):
        result = {}
        for pair in value:
            if not isinstance(pair, list) or len(pair) != 2 or type(pair[0]) not in (str, int):
                raise _error(file, f"expected a key and a value in the state, got {short(pair)}")
            result[pair[0]] = _decode(pair[1], tensors, file, depth + 1)
        return result
    raise _error(file, f"expected a part of the state, got {short(node)}")
