"""Writing a file whole or not at all.

The content goes to a temporary file in the same folder, is flushed to the disk, and then takes the target's name in one
step; the folder is flushed as well, so that after a power cut there is either the earlier file or the new one.
"""

from __future__ import annotations

import os
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

from ..base.errors import FileWriteError

try:
    import fcntl
except ImportError:  # not a POSIX system: leftovers of killed writers are then left alone
    fcntl = None  # type: ignore[assignment]

SUFFIX = ".tmp"
LEFTOVER_AGE = 60.0  # seconds; a younger temporary file may belong to a writer that has not locked it yet


@contextmanager
def atomic_write(path: str | os.PathLike[str], function: str = "atomic_write") -> Iterator[BinaryIO]:
    """A binary file to write to; `path` gets its content when the block ends without an exception.

    Where `path` is a symbolic link, the file it points to is replaced. An existing file keeps its permissions.

    Raises:
        FileWriteError: (an OSError, `errno` kept) when any step fails: full disk, no permission, missing folder.
            `path` is then what it was before, and the temporary file is gone.
    """
    shown = os.fspath(path)
    target = os.path.realpath(shown)
    folder, name = os.path.split(target)
    temporary = os.path.join(folder, f".{name}.{os.getpid()}-{secrets.token_hex(4)}{SUFFIX}")
    created = False
    try:
        if os.path.isdir(target):
            raise IsADirectoryError(21, "Is a directory")
        with open(temporary, "xb") as file:
            created = True
            _lock(file)
            yield file
            file.flush()
            with suppress(FileNotFoundError):
                os.chmod(temporary, stat.S_IMODE(os.stat(target).st_mode))
            os.fsync(file.fileno())
        os.replace(temporary, target)
        created = False
        _flush_folder(folder)
    except OSError as error:
        if isinstance(error, FileWriteError):
            raise
        kept = "the file that stood there is unchanged" if os.path.exists(target) else "no file was left there"
        raise FileWriteError(
            error.errno, f"[{function}] could not write {shown!r}: {error.strerror or error}; {kept}"
        ) from error
    finally:
        if created:
            with suppress(OSError):
                os.unlink(temporary)
    _remove_leftovers(folder, name)


def _lock(file: BinaryIO) -> None:
    """Hold a lock as long as the writer lives, so that others can tell a leftover from a file being written."""
    if fcntl is not None:
        with suppress(OSError):  # some network file systems have no locks
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)


def _flush_folder(folder: str) -> None:
    """Make the new name last through a power cut; where the system can't (Windows, some file systems) so be it."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _remove_leftovers(folder: str, name: str) -> None:
    """Delete the temporary files that killed writers of the same target left behind."""
    if fcntl is None:
        return
    with suppress(OSError):
        for entry in os.scandir(folder):
            if not (entry.name.startswith(f".{name}.") and entry.name.endswith(SUFFIX)):
                continue
            with suppress(OSError):
                if time.time() - entry.stat(follow_symlinks=False).st_mtime < LEFTOVER_AGE:
                    continue
                with open(entry.path, "r+b") as file:
                    fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
                    os.unlink(entry.path)
