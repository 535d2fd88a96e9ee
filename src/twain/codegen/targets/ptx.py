"""NVIDIA GPUs through LLVM's NVPTX back end: scalar code, one thread per element.

A kernel of the plan executor's signature becomes a device function; `add_entry` gives it an entry point whose threads share
the range.
"""

from __future__ import annotations

from .base import Target

PTX = (
    Target("sm_70", "nvptx64-nvidia-cuda", "sm_70", "+ptx63", 0, 255),
    Target("sm_80", "nvptx64-nvidia-cuda", "sm_80", "+ptx70", 0, 255, has_maximum=True),
    Target("sm_90", "nvptx64-nvidia-cuda", "sm_90", "+ptx80", 0, 255, has_maximum=True),
)

_READS = ("ctaid.x", "ntid.x", "tid.x", "nctaid.x")


def add_entry(module: object, kernel: str, entry: str) -> None:
    """Add a GPU entry point `entry(ptr buffers, ptr params, i64 total, i64 grain)` that runs a kernel of the plan
    executor's signature over [0, total): thread t takes the pieces t, t + threads, ... of `grain` elements.

    buffers and params lie in device memory.
    """
    lines = []
    for k, name in enumerate(_READS):
        function = f"@llvm.nvvm.read.ptx.sreg.{name}"
        module.declarations.add(f"declare i32 {function}()")
        lines += [f"  %r{k} = call i32 {function}()", f"  %v{k} = zext i32 %r{k} to i64"]
    module.declarations.add("declare i64 @llvm.smin.i64(i64, i64)")
    head = "\n".join(lines)
    module.functions.append(f"""define ptx_kernel void @{entry}(ptr %buffers, ptr %params, i64 %total, i64 %grain) {{
entry:
{head}
  %block = mul i64 %v0, %v1
  %thread = add i64 %block, %v2
  %threads = mul i64 %v1, %v3
  %first = mul i64 %thread, %grain
  %step = mul i64 %threads, %grain
  br label %loop
loop:
  %i = phi i64 [ %first, %entry ], [ %next, %body ]
  %more = icmp slt i64 %i, %total
  br i1 %more, label %body, label %done
body:
  %stop = add i64 %i, %grain
  %end = call i64 @llvm.smin.i64(i64 %stop, i64 %total)
  call void @{kernel}(ptr %buffers, ptr %params, i64 %i, i64 %end)
  %next = add i64 %i, %step
  br label %loop
done:
  ret void
}}""")
