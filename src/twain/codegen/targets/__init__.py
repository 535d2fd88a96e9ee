"""What code is generated for: instruction-set levels, their vector width and what they lack.

Targets are levels ("x86-64-v3"), not CPU models: an object compiled for a level runs on every machine of that level,
which keeps the cache on disk small and shareable. Nothing here loads llvmlite.
"""

from __future__ import annotations

import os

from ...base.errors import DeviceError
from .arm import ARM
from .base import Target
from .ptx import PTX
from .x86 import X86, x86_level

TARGETS = {t.name: t for t in (*X86, *ARM, *PTX)}

_host: Target | None = None


def _machine() -> str:
    # the platform module costs more to import than all of this package
    return os.uname().machine.lower() if hasattr(os, "uname") else os.environ.get("PROCESSOR_ARCHITECTURE", "").lower()


def by_name(name: str) -> Target:
    """The target called `name`; DeviceError for unknown names."""
    if name not in TARGETS:
        raise DeviceError(f"[target] expected one of {', '.join(TARGETS)}, got {name!r}")
    return TARGETS[name]


def host() -> Target:
    """The best target that this machine can run (TWAIN_TARGET=name chooses a lower one)."""
    global _host
    if _host is None:
        wanted = os.environ.get("TWAIN_TARGET")
        if wanted:
            _host = by_name(wanted)
        elif _machine() in ("aarch64", "arm64"):
            _host = TARGETS["arm64"]
        elif _machine() in ("x86_64", "amd64"):
            _host = TARGETS[x86_level()]
        else:
            raise DeviceError(f"[target] expected an x86-64 or arm64 machine, got {_machine()}")
    return _host


__all__ = ["TARGETS", "Target", "by_name", "host"]
