"""What twain runs on, as plain data: for `twain info`, bug reports and benchmarks."""

from __future__ import annotations

import importlib.metadata
import os
import platform

from .. import _core
from ..base.config import config
from ..codegen.targets import host
from . import cache


def info() -> dict[str, dict[str, object]]:
    """{heading: {name: value}}: devices, processor, threads, versions, kernel cache."""
    target = host()
    entries = cache.entries()
    return {
        "versions": {
            "twain": _version("twain"),
            "Python": platform.python_version(),
            "numpy": _version("numpy"),
            "llvmlite": _version("llvmlite"),
            "system": platform.platform(),
        },
        "devices": {"cpu": _processor()},
        "processor": {
            "instruction set": target.name,
            "vector width": f"{8 * target.vector_bytes} bits",
            "features": ", ".join(_features()) or "unknown",
        },
        "threads": {"used": _core.get_threads(), "processors": os.cpu_count()},
        "kernel cache": {
            "folder": cache.folder() or "none (kept in memory only)",
            "kernels": len(entries),
            "bytes": sum(size for _, size, _ in entries),
            "limit": config.cache_bytes,
        },
    }


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _cpuinfo(*names: str) -> str:
    """The first of these lines of /proc/cpuinfo, "" where there is none."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as lines:
            for line in lines:
                key, _, value = line.partition(":")
                if key.strip() in names:
                    return value.strip()
    except OSError:
        pass
    return ""


def _processor() -> str:
    return _cpuinfo("model name") or platform.processor() or platform.machine()


# Those of the many flags that decide which code is generated or how fast it is.
_TELLING = (
    "sse4_2 avx f16c fma avx2 bmi2 avx_vnni avx512f avx512bw avx512dq avx512vl avx512_vnni avx512_bf16 avx512_fp16 "
    "amx_tile amx_bf16 amx_int8 asimd fphp asimddp sve sve2 bf16 i8mm"
).split()


def _features() -> list[str]:
    flags = set(_cpuinfo("flags", "Features").split())
    return [name for name in _TELLING if name in flags]
