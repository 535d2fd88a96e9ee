"""Event files: records of length, checksum, event, checksum (the TFRecord format), each event a protocol buffer.

tensorboardX gives the messages and the checksum. Its own writer isn't used: it writes from a thread, which a full disk ends
without a word and whose queue `flush` doesn't wait for.
"""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

from twain.io.atomic import FileWriteError

_numbers = count()


def messages(function: str) -> Any:
    """The tensorboardX package; an ImportError that names it if it is missing."""
    try:
        import tensorboardX
        import tensorboardX.summary
    except ImportError as error:
        raise ImportError(
            f"[{function}] expected the tensorboardX package, which defines TensorBoard's event files; "
            "install it with: pip install tensorboardX"
        ) from error
    return tensorboardX


def _masked(data: bytes) -> int:
    """The checksum as the format stores it: rotated by 15 bits, plus a constant."""
    from tensorboardX.crc32c import crc32c

    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


class EventFile:
    """One event file in `folder`, which is made if need be. Errors of the disk are FileWriteError (an OSError)."""

    def __init__(self, folder: str, flush_seconds: float):
        self.flush_seconds = flush_seconds
        self._flushed = time.monotonic()
        self._file: Any = None
        os.makedirs(folder, exist_ok=True)
        # Seconds, host, process and a number: several writers may share a folder, and readers go on name after name.
        name = f"events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}.{next(_numbers)}"
        self.path = os.path.join(folder, name)
        self._file = open(self.path, "xb")  # noqa: SIM115
        self.write(file_version="brain.Event:2")

    def write(self, wall_time: float | None = None, **fields: Any) -> None:
        """Append an event."""
        from tensorboardX.proto.event_pb2 import Event

        event = Event(wall_time=time.time() if wall_time is None else wall_time, **fields).SerializeToString()
        head = struct.pack("<Q", len(event))
        record = head + struct.pack("<I", _masked(head)) + event + struct.pack("<I", _masked(event))
        self._try(lambda: self._file.write(record))
        if time.monotonic() - self._flushed > self.flush_seconds:
            self.flush()

    def flush(self) -> None:
        """Hand everything to the operating system."""
        self._flushed = time.monotonic()
        self._try(self._file.flush)

    def close(self) -> None:
        """Flush and close; the file is closed also where that fails."""
        try:
            self._try(self._file.close)
        finally:
            if not self._file.closed:  # the last flush failed; the rest of the buffer is given up
                self._file.raw.close()

    def _try(self, act: Any) -> None:
        try:
            act()
        except OSError as error:
            raise FileWriteError(
                error.errno, f"[SummaryWriter] can't write {self.path}: {error.strerror or error}"
            ) from error


def event_files(folder: str | os.PathLike[str]) -> list[Path]:
    """The event files in a folder and the folders below it, by folder and age."""
    return sorted(p for p in Path(folder).rglob("*tfevents*") if p.is_file())


def read_events(path: str | os.PathLike[str]) -> Iterator[Any]:
    """The events of a file, up to where a writer was killed in the middle of a record, or the bytes are damaged."""
    messages("read_events")
    from google.protobuf.message import DecodeError
    from tensorboardX.proto.event_pb2 import Event

    with open(path, "rb") as file:
        while True:
            head = file.read(12)
            if len(head) < 12 or _masked(head[:8]) != struct.unpack("<I", head[8:])[0]:
                return
            (length,) = struct.unpack("<Q", head[:8])
            body = file.read(length)
            check = file.read(4)
            if len(check) < 4 or _masked(body) != struct.unpack("<I", check)[0]:
                return
            try:
                yield Event.FromString(body)
            except DecodeError:
                return


__all__ = ["EventFile", "event_files", "messages", "read_events"]
