"""Compiled kernels on disk: keyed by content, written whole, checked before use, bounded, private to the user.

An entry is a header (magic, BLAKE2b of the rest) and, for a kernel, the ELF image. The key covers the kernel's text,
the target, the LLVM version and the compiler's own sources, so an entry never goes stale; a wrong, foreign or
unreadable entry is ignored and written again, and a folder that can't be used only means that nothing is kept.
"""

from __future__ import annotations

import os
import stat

from ..base.config import config
from ..base.lazy import LazyModule

try:  # hashlib would load OpenSSL first, which takes longer than most of what is kept here
    from _blake2 import blake2b
except ImportError:
    from hashlib import blake2b

util = LazyModule("importlib.util")

MAGIC = b"twainobj2\n"
_HEADER = len(MAGIC) + 32
_BINARY = getattr(os, "O_BINARY", 0)
_folder: str | None = None
_checked: str | None = None
_salt: bytes | None = None
_written = 0


def compiler_salt() -> bytes:
    """Hash of everything an image depends on beside the kernel's text and target."""
    global _salt
    if _salt is None:
        root = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "codegen")
        digest = blake2b(folder_text(root).encode(), digest_size=32)
        digest.update(_llvm_stamp().encode())
        digest.update(os.environ.get("TWAIN_OPT", "2").encode())
        _salt = digest.digest()
    return _salt


def folder_text(path: str) -> str:
    """Names, sizes and times of the sources in a folder and those below."""
    lines = []
    with os.scandir(path) as found:
        for entry in sorted(found, key=lambda e: e.name):
            if entry.name.endswith(".py"):
                info = entry.stat()
                lines.append(f"{entry.name} {info.st_size} {info.st_mtime_ns}")
            elif entry.is_dir() and entry.name != "__pycache__":
                lines.append(f"{entry.name} {folder_text(entry.path)}")
    return "\n".join(lines)


def _llvm_stamp() -> str:
    """What tells one installed llvmlite from another, without importing it."""
    spec = util.find_spec("llvmlite")
    if spec is None or spec.origin is None:
        return "none"
    version = os.path.join(os.path.dirname(spec.origin), "_version.py")
    try:
        with open(version, encoding="utf-8") as file:
            return file.read()
    except OSError:
        return f"{os.stat(spec.origin).st_mtime_ns}"


def _checksum(data: bytes) -> bytes:
    return blake2b(data, digest_size=32).digest()


def key(text: str, target, more: bytes = b"") -> str:
    """The name of the entry for a kernel's text on a target, or for what `more` than kernels follows from."""
    return _checksum(compiler_salt() + more + target.key.encode() + b"\0" + text.encode()).hex()


def folder() -> str | None:
    """The cache folder, or None if there is none that only this user can write to."""
    global _folder, _checked
    wanted = config.cache_dir
    if wanted != _checked:
        _checked = wanted
        _folder = _usable(wanted) if wanted else None
    return _folder


def _usable(path: str) -> str | None:
    try:
        os.makedirs(path, mode=0o700, exist_ok=True)
        info = os.stat(path)
    except OSError:
        return None
    if hasattr(os, "getuid") and (info.st_uid != os.getuid() or stat.S_IMODE(info.st_mode) & 0o022):
        return None
    return path


def get(name: str) -> bytes | None:
    """The image of an entry, or None if there is none that passes its checksum."""
    base = folder()
    if base is None:
        return None
    try:
        file = os.open(f"{base}/{name[:2]}/{name}", os.O_RDONLY | _BINARY)
        try:
            data = os.read(file, os.fstat(file).st_size)
        finally:
            os.close(file)
    except OSError:
        return None
    image = data[_HEADER:]
    if not data.startswith(MAGIC) or data[len(MAGIC) : _HEADER] != _checksum(image):
        return None
    return image


def put(name: str, image: bytes) -> None:
    """Keep an image; failures to write are not errors."""
    global _written
    base = folder()
    if base is None:
        return
    try:
        place = os.path.join(base, name[:2])
        os.makedirs(place, mode=0o700, exist_ok=True)
        # no two writers have this name; where they had, the second would keep nothing
        temporary = os.path.join(place, f"{name}.{os.getpid()}.{_written}")
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, 0o600)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(MAGIC + _checksum(image) + image)
            os.replace(temporary, os.path.join(place, name))
        except OSError:
            os.unlink(temporary)
            return
    except OSError:
        return
    _written += 1
    if _written % 256 == 1:
        trim()


def entries() -> list:
    """(last use, bytes, path) of every entry."""
    base = folder()
    found = []
    if base is not None:
        for place, _, files in os.walk(base):
            for name in files:
                path = os.path.join(place, name)
                try:
                    info = os.stat(path)
                except OSError:
                    continue
                found.append((max(info.st_atime, info.st_mtime), info.st_size, path))
    return found


def trim() -> None:
    """Delete the entries unused for longest until the cache is within its bound."""
    found = sorted(entries())
    total = sum(size for _, size, _ in found)
    for _, size, path in found:
        if total <= config.cache_bytes:
            return
        try:
            os.unlink(path)
        except OSError:
            continue
        total -= size


def size() -> int:
    """Bytes on disk."""
    return sum(n for _, n, _ in entries())
