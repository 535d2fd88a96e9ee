"""Settings, read once from the environment and changeable in a program: `twain.config.eager = True`."""

from __future__ import annotations

import os

from .errors import ArgumentError


def _flag(name: str) -> bool:
    return os.environ.get(name, "") not in ("", "0", "false", "no")


def _bytes(name: str, default: int) -> int:
    text = os.environ.get(name, "")
    if not text:
        return default
    if not text.isdecimal():
        raise ArgumentError(f"[config] expected the environment's {name} to be a number of bytes, got {text!r}")
    return int(text)


class Config:
    """eager: run compiled functions eagerly (TWAIN_EAGER); explain: say why functions are recorded, kept or dropped
    (TWAIN_EXPLAIN); dump: name of the pass to print graphs around, or "all" (TWAIN_DUMP); verify: check graphs around
    every pass (TWAIN_VERIFY); cache_dir: where compiled kernels are kept, "" for nowhere (TWAIN_CACHE); cache_bytes: at
    most this much on disk (TWAIN_CACHE_BYTES)."""

    __slots__ = ("cache_bytes", "cache_dir", "dump", "eager", "explain", "verify")

    def __init__(self):
        self.eager = _flag("TWAIN_EAGER")
        self.explain = _flag("TWAIN_EXPLAIN")
        self.dump = os.environ.get("TWAIN_DUMP", "")
        self.verify = _flag("TWAIN_VERIFY")
        self.cache_dir = os.environ.get("TWAIN_CACHE", os.path.join(_home_cache(), "twain"))
        self.cache_bytes = _bytes("TWAIN_CACHE_BYTES", 256 << 20)

    def __setattr__(self, name: str, value: object) -> None:
        if name not in Config.__slots__:
            raise ArgumentError(f"[config] expected one of {', '.join(Config.__slots__)}, got {name!r}")
        object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        return "config(" + ", ".join(f"{n}={getattr(self, n)!r}" for n in Config.__slots__) + ")"


def _home_cache() -> str:
    return os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")


config = Config()
