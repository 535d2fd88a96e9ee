"""Fetching files: checked, resumed where a try broke off, kept in a folder of the user's, whole or not at all."""

from __future__ import annotations

import hashlib
import os
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

CHUNK = 1 << 20
TIMEOUT = 30.0  # seconds without a byte


class DownloadError(OSError):
    """A file that could be had neither from the folder nor from the network."""


def cache_folder() -> Path:
    """Where downloads are kept: TWAIN_DATA, else twain/data in the user's cache folder."""
    given = os.environ.get("TWAIN_DATA")
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(given) if given else Path(base) / "twain" / "data"


def md5_of(path: Path) -> str:
    digest = hashlib.md5(usedforsecurity=False)  # says that a file is whole; it is what the sources publish
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def obtain(name: str, urls: Sequence[str], md5: str, folder: str | os.PathLike[str] | None, data_set: str) -> Path:
    """The file `name`: from `folder` where one is given, else from the cache, else downloaded into it from the first of
    `urls` that gives it.

    Raises:
        DownloadError: (an OSError) when it is nowhere to be had, or what came has another checksum.
    """
    if folder is not None:
        for place in (Path(folder) / name, Path(folder) / name.removesuffix(".gz")):
            if place.exists():
                return place
        raise DownloadError(f"[{data_set}] expected {name!r} in {os.fspath(folder)!r}, got no such file there")
    target = cache_folder() / data_set / name
    if target.exists():
        if md5_of(target) == md5:
            return target
        target.unlink()  # damaged since
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(name + ".part")
    reasons = []
    for url in urls:
        for _ in range(2):  # a part that doesn't fit its checksum is thrown away, and the file fetched whole
            resumed = part.exists() and part.stat().st_size > 0
            try:
                _fetch(url, part)
            except (OSError, urllib.error.URLError) as error:
                reasons.append(f"{url}: {getattr(error, 'reason', error)}")
                break
            found = md5_of(part)
            if found == md5:
                os.replace(part, target)
                return target
            part.unlink()
            reasons.append(f"{url}: expected the MD5 checksum {md5}, got {found}")
            if not resumed:
                break
    raise DownloadError(
        f"[{data_set}] {name!r} could not be downloaded ({'; '.join(reasons)}). Where there is no network, fetch it elsewhere "
        f"and give its folder: folder=..., or put it to {os.fspath(target)!r}"
    )


def _fetch(url: str, part: Path) -> None:
    """Append to `part` what it lacks of `url`; begin anew where the server can't go on in the middle."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(
        url, headers={"User-Agent": "twain", **({"Range": f"bytes={have}-"} if have else {})}
    )
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == 416 and have:  # nothing is missing
                return
        raise
    with response:
        going_on = response.status == 206
        expected = response.headers.get("Content-Length")
        got = 0
        with open(part, "ab" if going_on else "wb") as file:
            while chunk := response.read(CHUNK):
                file.write(chunk)
                got += len(chunk)
        if expected is not None and got != int(expected):
            raise OSError(f"the connection broke after {got} of {expected} bytes; the next try goes on from there")
