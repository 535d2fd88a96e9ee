"""x86-64 by micro-architecture level (x86-64 psABI: v2 SSE4.2, v3 AVX2 + FMA + F16C, v4 AVX-512 F/BW/CD/DQ/VL)."""

from __future__ import annotations

import os
import sys

from .base import Target

# Objects are always ELF (the core brings its own loader); on Windows only the calling convention differs.
_TRIPLE = "x86_64-pc-windows-msvc-elf" if sys.platform == "win32" else "x86_64-unknown-linux-gnu"

X86 = (
    Target("x86-64", _TRIPLE, "x86-64", "", 16, 16, has_fma=False, has_round=False, has_half=False),
    Target("x86-64-v2", _TRIPLE, "x86-64-v2", "", 16, 16, has_fma=False, has_half=False),
    Target("x86-64-v3", _TRIPLE, "x86-64-v3", "", 32, 16),
    Target("x86-64-v4", _TRIPLE, "x86-64-v4", "", 64, 32, '"prefer-vector-width"="512"', has_avx512=True),
)

_V2 = frozenset(["cx16", "lahf_lm", "popcnt", "pni", "sse4_1", "sse4_2", "ssse3"])
_V3 = _V2 | frozenset(["abm", "avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "movbe", "xsave"])
_V4 = _V3 | frozenset(["avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"])


def x86_level() -> str:
    """The name of this machine's level, from the operating system's list of CPU flags."""
    flags = _flags()
    return "x86-64-v4" if flags >= _V4 else "x86-64-v3" if flags >= _V3 else "x86-64-v2" if flags >= _V2 else "x86-64"


def _flags() -> frozenset:
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as f:
            for line in f:
                if line.startswith("flags"):
                    return frozenset(line.split(":", 1)[1].split())
    if sys.platform == "darwin":  # every x86 Mac that runs a current system has AVX2
        return _V3
    import llvmlite.binding as llvm  # elsewhere LLVM knows; its names differ from the kernel's

    rename = {"sse4.1": "sse4_1", "sse4.2": "sse4_2", "sse3": "pni", "lzcnt": "abm", "bmi": "bmi1", "sahf": "lahf_lm"}
    return frozenset(rename.get(k, k) for k, on in llvm.get_host_cpu_features().items() if on)
