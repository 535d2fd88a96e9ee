"""NVIDIA GPUs through LLVM's NVPTX back end: scalar code, one thread per element.

`wrapper` turns an emitted device function into a kernel entry that takes its range from the thread index.
"""

from __future__ import annotations

from .base import Target

PTX = (
    Target("sm_70", "nvptx64-nvidia-cuda", "sm_70", "+ptx63", 0, 255),
    Target("sm_80", "nvptx64-nvidia-cuda", "sm_80", "+ptx70", 0, 255, has_maximum=True),
    Target("sm_90", "nvptx64-nvidia-cuda", "sm_90", "+ptx80", 0, 255, has_maximum=True),
)

KERNEL_HEAD = """declare i32 @llvm.nvvm.read.ptx.sreg.tid.x()
declare i32 @llvm.nvvm.read.ptx.sreg.ntid.x()
declare i32 @llvm.nvvm.read.ptx.sreg.ctaid.x()
declare i32 @llvm.nvvm.read.ptx.sreg.nctaid.x()
"""


def thread_range(builder: object) -> tuple[str, str]:
    """(first index, step) of this thread in a grid-stride loop, both i64."""
    read = [
        builder.value(f"zext i32 {builder.call('i32', 'llvm.nvvm.read.ptx.sreg.' + name)} to i64")
        for name in ("ctaid.x", "ntid.x", "tid.x", "nctaid.x")
    ]
    block, size, thread, blocks = read
    return builder.add(builder.mul(block, size), thread), builder.mul(blocks, size)
