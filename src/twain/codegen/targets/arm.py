"""64-bit ARM: Advanced SIMD (NEON) is part of the base architecture, so one level serves all."""

from __future__ import annotations

from .base import Target

# x18 belongs to the operating system on macOS and Windows.
ARM = (
    Target("arm64", "aarch64-unknown-linux-gnu", "generic", "+neon,+reserve-x18", 16, 32, has_maximum=True),
)  # fmt: skip
