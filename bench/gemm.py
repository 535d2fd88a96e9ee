#!/usr/bin/env python3
"""Speed of matrix products and convolutions as a share of what the FMA units can do.

usage: bench/gemm.py [--kinds] [--conv] [--seconds 0.5] [name ...]

Each measurement alternates with a probe: independent multiply-adds in registers, on as many threads as twain uses, so
that a machine shared with others disturbs both alike. Shown: median time, GFLOP/s, and the ratio to the probe (10th
percentile, median, 90th percentile). Products run through `twain.matmul`, packing and allocation included; `--conv` adds
convolutions with both gradients and `--kinds` the ways of walking that gemm_plan chooses from, kernels on one thread.
"""

import argparse
import ctypes
import sys
import threading
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "tests" / "codegen"))

from codegen_plans import SIGNATURE, bind, strides

import twain
from twain import _core
from twain.base import dtypes as dt
from twain.codegen import gemm, jit
from twain.codegen.builder import Builder, Module, literal, vector
from twain.codegen.conv import Shape, conv_plan
from twain.codegen.epilogue import only_store
from twain.codegen.targets import host

PRODUCTS = {  # m, k, n, is A stored transposed, is B
    "square 256": (256, 256, 256, False, False),
    "square 512": (512, 512, 512, False, False),
    "square 1024": (1024, 1024, 1024, False, False),
    "square 2048": (2048, 2048, 2048, False, False),
    "odd 513": (513, 517, 515, False, False),
    "1024 A.T": (1024, 1024, 1024, True, False),
    "1024 B.T": (1024, 1024, 1024, False, True),
    "linear 64 1024": (64, 1024, 1024, False, True),
    "mlp forward": (32, 784, 128, False, False),
    "mlp forward B.T": (32, 784, 128, False, True),
    "mlp forward 2": (32, 128, 10, False, False),
    "mlp forward 2 B.T": (32, 128, 10, False, True),
    "mlp weights": (784, 32, 128, True, False),
    "mlp weights 2": (128, 32, 10, True, False),
    "mlp input": (32, 10, 128, False, False),
    "vector matrix": (1, 2048, 2048, False, False),
    "matrix vector": (2048, 2048, 1, False, False),
}
CONVOLUTIONS = {  # images, channels, features, size, taps, stride, padding
    "mnist 1": (64, 1, 32, 28, 3, 1, 1),
    "mnist 2": (64, 32, 64, 14, 3, 1, 1),
    "resnet 56": (32, 64, 64, 56, 3, 1, 1),
    "resnet 28 stride 2": (32, 128, 128, 56, 3, 2, 1),
    "resnet 14": (32, 256, 256, 14, 3, 1, 1),
    "resnet 7": (32, 512, 512, 7, 3, 1, 1),
}
CHAINS, TURNS = 12, 2000  # of the probe


class Probe:
    """GFLOP/s of multiply-adds in registers."""

    def __init__(self, threads):
        target = host()
        lanes = target.lanes(dt.float32)
        type_ = vector("float", lanes)
        module = Module()
        b = Builder(module, "probe", attributes=target.attributes)
        with b.loop("%begin", "%end") as outer:
            with b.loop(0, TURNS, 1, [(type_, literal(1.0, "float", lanes))] * CHAINS) as loop:
                half, quarter = literal(0.5, "float", lanes), literal(0.25, "float", lanes)
                loop.next(*[b.fma(v, half, quarter, type_) for v in loop.values])
            total = loop.results[0]
            for v in loop.results[1:]:
                total = b.value(f"fadd {type_} {total}, {v}")
            b.store(type_, total, b.offset(b.buffer(0), b.mul(outer.i, 0), "float"))
        b.finish()
        self.code = _core.load_object(jit.compile_object(module.text(), target))
        self.kernel = SIGNATURE(self.code.symbol("probe"))
        self.flops = 2 * CHAINS * TURNS * lanes
        self.outs = [np.empty(64, np.float32) for _ in range(threads)]

    def __call__(self, turns=40):
        """On every thread at once; the slowest counts."""
        times = [0.0] * len(self.outs)

        def work(i):
            buffers = (ctypes.c_void_p * 1)(self.outs[i].ctypes.data)
            start = time.perf_counter()
            self.kernel(ctypes.addressof(buffers), None, 0, turns)
            times[i] = time.perf_counter() - start

        others = [threading.Thread(target=work, args=(i,)) for i in range(1, len(self.outs))]
        for t in others:
            t.start()
        work(0)
        for t in others:
            t.join()
        return len(self.outs) * turns * self.flops / max(times) / 1e9


def measure(name, call, flops, probe, seconds):
    call()
    start = time.perf_counter()
    call()
    count = max(1, int(2e-4 / (time.perf_counter() - start)))
    times, ratios = [], []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 7:
        peak = probe()
        start = time.perf_counter()
        for _ in range(count):
            call()
        times.append((time.perf_counter() - start) / count)
        ratios.append(flops / times[-1] / 1e9 / peak)
    times.sort()
    ratios.sort()
    middle = times[len(times) // 2]
    low, high = ratios[len(ratios) // 10], ratios[len(ratios) * 9 // 10]
    print(f"{name:24s} {middle * 1e6:10.1f} us {flops / middle / 1e9:7.1f} GFLOP/s   "
          f"of the probe {low:.2f} {ratios[len(ratios) // 2]:.2f} {high:.2f}", flush=True)  # fmt: skip


def operand(rows, columns, transposed):
    x = np.random.default_rng(0).standard_normal((columns, rows) if transposed else (rows, columns), np.float32)
    return x.T if transposed else x


def product(name, probe, seconds):
    m, k, n, transpose_a, transpose_b = PRODUCTS[name]
    a, b = (twain.asarray(operand(*args)) for args in ((k, m, False) if transpose_a else (m, k, False),
                                                       (n, k, False) if transpose_b else (k, n, False)))  # fmt: skip
    a, b = a.T if transpose_a else a, b.T if transpose_b else b
    measure(name, lambda: twain.matmul(a, b), 2 * m * n * k, probe, seconds)


def kinds(name, probe, seconds):
    m, k, n, transpose_a, transpose_b = PRODUCTS[name]
    a, b, c = operand(m, k, transpose_a), operand(k, n, transpose_b), np.empty((m, n), np.float32)
    views = [((), *strides(x)) for x in (a, b, c)]
    names = ["packed", "packed b"]
    names += ["dot"] if transpose_b and not transpose_a else []
    names += ["outer", *(["stream"] if m <= 8 else [])] if not transpose_b else []
    choose = gemm._choose
    for kind in names:
        gemm._choose = lambda *_, kind=kind: kind
        plan = gemm.gemm_plan(
            dt.float32, dt.float32, only_store(dt.float32), host(), (), m, n, k, *views[:2], views[2:]
        )
        gemm._choose = choose
        measure(f"{name}: {kind}", bind(plan, host(), a, b, [c]), 2 * m * n * k, probe, seconds)


def convolutions(name, probe, seconds):
    """Forward, gradient of the input, gradient of the weights."""
    n, c, o, size, taps, stride, pad = CONVOLUTIONS[name]
    out = (size + 2 * pad - taps) // stride + 1
    rest = (size + 2 * pad - taps) % stride
    rng = np.random.default_rng(0)
    x, w, y = (rng.standard_normal(s, np.float32) for s in
               ((n, 1, c, size, size), (1, o, c, taps, taps), (n, 1, o, out, out)))  # fmt: skip
    flops = 2 * n * o * c * (out * taps) ** 2
    back = ((taps - 1 - pad, taps - 1 - pad + rest),) * 2
    forms = {
        "forward": (x, w, y, Shape(n, 1, c, o, (size, size), (taps, taps), (stride, stride), ((pad, pad),) * 2)),
        "input": (y, w[..., ::-1, ::-1].transpose(0, 2, 1, 3, 4), x,
                  Shape(n, 1, o, c, (out, out), (taps, taps), padding=back, input_dilation=(stride, stride))),
        "weights": (x.transpose(2, 1, 0, 3, 4), y.transpose(1, 2, 0, 3, 4), w.transpose(2, 0, 1, 3, 4),
                    Shape(c, 1, n, o, (size, size), (out, out), padding=((pad, pad - rest),) * 2,
                          kernel_dilation=(stride, stride))),
    }  # fmt: skip
    for form, (a, b, result, shape) in forms.items():
        plan = conv_plan(dt.float32, dt.float32, only_store(dt.float32), host(), shape, strides(a), strides(b),
                         (strides(result),))  # fmt: skip
        measure(f"{name}: {form}", bind(plan, host(), a, b, [result]), flops, probe, seconds)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--kinds", action="store_true")
    parser.add_argument("--conv", action="store_true")
    parser.add_argument("--seconds", type=float, default=0.5)
    options = parser.parse_args()
    probe, one = Probe(_core.get_threads()), Probe(1)
    print(f"probe: {probe():.0f} GFLOP/s on {_core.get_threads()} threads, {one():.0f} on one")
    for name in options.names or PRODUCTS:
        if name in PRODUCTS and not (options.conv and not options.names):
            (kinds if options.kinds else product)(name, one if options.kinds else probe, options.seconds)
    if options.conv:
        for name in options.names or CONVOLUTIONS:
            if name in CONVOLUTIONS:
                convolutions(name, one, options.seconds)


if __name__ == "__main__":
    main()
