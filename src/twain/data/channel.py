"""Messages between the main process and its workers: bytes and file descriptors over a pair of sockets."""

from __future__ import annotations

import os
import socket
import struct
import tempfile
from array import array
from collections import deque
from collections.abc import Sequence

HEAD = struct.Struct("<QI")  # bytes of the body, file descriptors that come with it
CHUNK = 1 << 18
CLOSE_ON_EXEC = getattr(socket, "MSG_CMSG_CLOEXEC", 0)
ROOM = socket.CMSG_LEN(32 * 4) if hasattr(socket, "CMSG_LEN") else 0  # for descriptors that come with one chunk


class Channel:
    """One end. `send` and `receive` wait; `post` and `arrived` don't."""

    def __init__(self, end: socket.socket):
        self.socket = end
        self._process = os.getpid()
        self.closed = False  # by the other side
        self._input = bytearray()
        self._descriptors: deque[int] = deque()
        self._output: deque[memoryview] = deque()

    def fileno(self) -> int:
        return self.socket.fileno()

    def send(self, body: bytes, descriptors: Sequence[int] = ()) -> None:
        """Nothing happens when the other side is gone: reading says so."""
        message = memoryview(HEAD.pack(len(body), len(descriptors)) + body)
        try:
            if descriptors:
                message = message[socket.send_fds(self.socket, [message], list(descriptors)) :]
            self.socket.sendall(message)
        except (BrokenPipeError, ConnectionResetError):
            self.closed = True

    def post(self, body: bytes) -> None:
        """Send as much as goes without waiting; `flush` sends the rest."""
        self._output.append(memoryview(HEAD.pack(len(body), 0) + body))
        self.flush()

    @property
    def unsent(self) -> bool:
        return bool(self._output)

    def flush(self) -> None:
        try:
            while self._output:
                sent = self.socket.send(self._output[0], socket.MSG_DONTWAIT)
                self._output[0] = self._output[0][sent:]
                if not self._output[0]:
                    self._output.popleft()
        except BlockingIOError:
            pass
        except OSError:  # the other side is gone; reading says so as well
            self._output.clear()
            self.closed = True

    def _read(self, flags: int) -> bool:
        """Whether something was read (waits unless `flags` say otherwise)."""
        try:
            # socket.recv_fds forgets its flags in some versions of Python
            data, ancillary, _, _ = self.socket.recvmsg(CHUNK, ROOM, flags | CLOSE_ON_EXEC)
        except BlockingIOError:
            return False
        except OSError:
            data, ancillary = b"", []
        for level, kind, content in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                descriptors = array("i")
                descriptors.frombytes(content[: len(content) - len(content) % descriptors.itemsize])
                self._descriptors.extend(descriptors)
        self._input += data
        self.closed = self.closed or not data
        return bool(data)

    def _message(self) -> tuple[bytes, list[int]] | None:
        if len(self._input) < HEAD.size:
            return None
        size, count = HEAD.unpack_from(self._input)
        if len(self._input) < HEAD.size + size:
            return None
        body = bytes(memoryview(self._input)[HEAD.size : HEAD.size + size])
        del self._input[: HEAD.size + size]
        return body, [self._descriptors.popleft() for _ in range(count)]

    def receive(self) -> tuple[bytes, list[int]] | None:
        """The next message, or None when the other side is gone."""
        while (message := self._message()) is None:
            if not self._read(0):
                return None
        return message

    def arrived(self) -> list[tuple[bytes, list[int]]]:
        """The messages that are here."""
        while self._read(socket.MSG_DONTWAIT):
            pass
        messages = []
        while (message := self._message()) is not None:
            messages.append(message)
        return messages

    def close(self) -> None:
        """Also for the other side, though forks of this process hold it still; in such a fork only for itself."""
        if self._process == os.getpid():
            try:
                self.socket.shutdown(socket.SHUT_RDWR)
            except OSError:  # the other side did so before
                pass
        self.socket.close()
        while self._descriptors:
            os.close(self._descriptors.popleft())


def pair() -> tuple[Channel, socket.socket]:
    """This process' channel, and the other end."""
    mine, other = socket.socketpair()
    return Channel(mine), other


def anonymous_file(nbytes: int) -> int:
    """A descriptor of memory without a name: when its last user is gone, however it ended, the memory is free."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("twain-data", os.MFD_CLOEXEC)
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.ftruncate(descriptor, nbytes)
    return descriptor
