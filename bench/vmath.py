#!/usr/bin/env python3
"""Speed and accuracy of the vector math functions: ns per element on 4096 elements in L1, and the largest error in ulp.

usage: bench/vmath.py [--target NAME] [--torch] [function ...]

NumPy (and with --torch, PyTorch on one thread) run the same array into a preallocated result, many times.
References: float64 or extended precision NumPy; erf and erfc need mpmath, without it their error is left out.
"""

import argparse
import ctypes
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "tests" / "codegen"))

from codegen_accuracy import BINARY, UNARY, arguments, reference, ulp_errors
from codegen_kernels import SIGNATURE, Kernels, load, write_kernel

from twain.base import dtypes as dt
from twain.codegen import expr, jit
from twain.codegen.builder import Module
from twain.codegen.targets import by_name, host

SIZE = 4096
# Arguments for timing: where the function does its usual work.
RANGE = {
    **dict.fromkeys(["exp", "exp2", "sin", "cos", "tan"], (-10, 10)),
    **dict.fromkeys(["expm1", "atan", "sinh", "cosh", "asinh", "atan2", "hypot"], (-5, 5)),
    **dict.fromkeys(["rem", "floordiv", "floor"], (-50, 50)),
    **dict.fromkeys(["asin", "acos", "sign", "add"], (-1, 1)),
    **dict.fromkeys(["erf", "erfc", "tanh"], (-3, 3)),
    "acosh": (1, 5),
    "atanh": (-0.99, 0.99),
    "log1p": (-0.9, 5),
}
NUMPY = {
    "asin": "arcsin", "acos": "arccos", "atan": "arctan", "asinh": "arcsinh", "acosh": "arccosh", "atanh": "arctanh",
    "atan2": "arctan2", "pow": "power", "rem": "remainder", "floordiv": "floor_divide",
}  # fmt: skip
TORCH = {"atan2": "arctan2", "rem": "remainder", "floordiv": "floor_divide"}


def best(call, count, rounds=7):
    """Fastest of some rounds of `count` calls, in ns per element."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        call(count)
        times.append((time.perf_counter() - start) / count / SIZE * 1e9)
    return min(times)


def time_kernel(name, roots, target, dtype, arrays):
    """ns per element of a kernel that is called from machine code many times."""
    module = Module()
    write_kernel(module, "kernel", roots, target, target.lanes(dtype))
    text = (
        module.text()
        + f"""
define void @repeat(ptr %buffers, ptr %params, i64 %begin, i64 %end) {{
entry:
  br label %again
again:
  %i = phi i64 [ %begin, %entry ], [ %next, %again ]
  call void @kernel(ptr %buffers, ptr %params, i64 0, i64 {SIZE})
  %next = add i64 %i, 1
  %more = icmp slt i64 %next, %end
  br i1 %more, label %again, label %done
done:
  ret void
}}
"""
    )
    start = time.perf_counter()
    data = jit.compile_object(text, target)
    compile_time = time.perf_counter() - start
    code, symbol = load(data)
    function = SIGNATURE(symbol("repeat"))
    arrays = [*arrays, np.empty_like(arrays[0])]
    pointers = (ctypes.c_void_p * len(arrays))(*[a.ctypes.data for a in arrays])
    address = ctypes.addressof(pointers)
    speed = best(lambda count: function(address, None, 0, count), 200)
    del code
    return speed, compile_time * 1e3


def time_call(function, arrays, out):
    """The column for a peer's function, or a dash if it has none."""
    if function is None:
        return f" {'-':>7s}"
    return f" {best(lambda count: [function(*arrays, out=out) for _ in range(count)], 20):7.3f}"


def inputs_for(name, kind, rng):
    low, high = RANGE.get(name, (0.1, 10))
    count = 2 if name in BINARY or name in ("rem", "floordiv", "add") else 1
    return [rng.uniform(low, high, SIZE).astype(kind) for _ in range(count)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("functions", nargs="*")
    parser.add_argument("--target", default=host().name)
    parser.add_argument("--torch", action="store_true")
    parser.add_argument("--no-ulp", action="store_true")
    options = parser.parse_args()
    target = by_name(options.target)
    torch = None
    if options.torch:
        import torch

        torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    names = options.functions or [*UNARY, *BINARY, "rem", "floordiv", "floor", "add"]
    print(f"target {target.name}, {SIZE} elements, ns per element (lower is better)")
    print(f"{'function':9s} {'dtype':8s} {'twain':>7s} {'numpy':>7s}" + (f" {'torch':>7s}" if torch else "")
          + f" {'max ulp':>8s} {'compile ms':>10s}")  # fmt: skip
    for dtype, kind in ((dt.float32, np.float32), (dt.float64, np.float64)):
        for name in names:
            arrays = inputs_for(name, kind, rng)
            x, y = expr.load(0, dtype), expr.load(1, dtype)
            roots = [x + y] if name == "add" else [getattr(expr, name)(*([x, y][: len(arrays)]))]
            own, compile_time = time_kernel(name, roots, target, dtype, arrays)
            line = f"{name:9s} {dtype.name:8s} {own:7.3f}"
            line += time_call(getattr(np, NUMPY.get(name, name), None), arrays, np.empty_like(arrays[0]))
            if torch:
                function = getattr(torch, TORCH.get(name, name), None) or getattr(torch.special, name, None)
                tensors = [torch.from_numpy(a) for a in arrays]
                line += time_call(function, tensors, torch.empty_like(tensors[0]))
            if not options.no_ulp and name in (*UNARY, *BINARY):
                wide = arguments(name, kind)
                wanted = reference(name, wide, kind)
                if wanted is None:
                    line += f" {'-':>8s}"
                else:
                    errors = ulp_errors(Kernels({"f": roots}, target).run("f", *wide), wanted, kind)
                    line += f" {errors.max():8.2f}"
            else:
                line += f" {'-':>8s}"
            print(f"{line} {compile_time:10.1f}", flush=True)


if __name__ == "__main__":
    main()
