"""Runs the plans of gemm and conv on NumPy arrays: compiles each kernel source once, calls the steps in order."""

import ctypes
import random
from itertools import pairwise

import numpy as np

from twain.base import dtypes as dt
from twain.codegen import jit
from twain.codegen.builder import Module

SIGNATURE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)

_engine = None
_loaded = {}


def address(source, target, level):
    """The compiled kernel of a source, as a ctypes function."""
    global _engine
    key = (source.key, target.name, level)
    if key not in _loaded:
        module = Module()
        name = f"kernel_{len(_loaded)}"
        source.emit(module, name)
        data = jit.compile_object(module.text(), target, level)
        binding = jit.llvm()
        if _engine is None:
            _engine = binding.create_lljit_compiler()
        tracker = binding.JITLibraryBuilder().add_object_img(data).export_symbol(name).link(_engine, name)
        _loaded[key] = (SIGNATURE(tracker[name]), tracker)
    return _loaded[key][0]


def bind(plan, target, a, b, outs, extras=(), level=None, cut=None):
    """A plan with memory: a function of no arguments that executes it. `cut`: a random.Random that cuts each step's
    extent into pieces run in any order."""
    scratch = []
    for size in plan.scratch:
        block = np.full(size + 64, 0xFF, np.uint8)  # NaN: nothing may rely on what scratch holds
        scratch.append(block[-block.ctypes.data % 64 :][:size])
    arrays = {("a", 0): a, ("b", 0): b}
    arrays |= {("out", i): x for i, x in enumerate(outs)}
    arrays |= {("extra", i): x for i, x in enumerate(extras)}
    arrays |= {("scratch", i): x for i, x in enumerate(scratch)}
    calls = []
    for step in plan.steps:
        pointers = [arrays[kind, number].ctypes.data + at for kind, number, at in step.buffers]
        buffers = (ctypes.c_void_p * len(pointers))(*pointers)
        params = (ctypes.c_int64 * len(step.params))(*step.params)
        calls.append((address(step.source, target, level), buffers, params, step.total, step.grain))

    def execute(_keep=arrays):
        for kernel, buffers, params, total, grain in calls:
            for begin, end in pieces(total, grain, cut):
                kernel(ctypes.addressof(buffers), ctypes.addressof(params), begin, end)

    return execute


def run(plan, target, a, b, outs, extras=(), **options):
    """Execute a plan once; options as for `bind`."""
    bind(plan, target, a, b, outs, extras, **options)()


def pieces(total, grain, cut):
    if cut is None or total <= grain:
        return [(0, total)] if total else []
    edges = sorted({0, total, *(cut.randrange(0, total + 1, grain) for _ in range(5))})
    out = list(pairwise(edges))
    cut.shuffle(out)
    return out


def strides(array):
    return tuple(s // array.itemsize for s in array.strides)


def to_bfloat16(x):
    """float32 values rounded to bfloat16, as their bits (uint16)."""
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def from_bfloat16(x):
    return (x.astype(np.uint32) << 16).view(np.float32)


def values(rng, shape, dtype):
    """Random elements as stored: bfloat16 as uint16."""
    if dtype is dt.bfloat16:
        return to_bfloat16(rng.standard_normal(shape))
    if dtype.kind == "f":
        return rng.standard_normal(shape).astype(dtype.numpy_name)
    info = np.iinfo(dtype.numpy_name)
    return rng.integers(info.min, info.max, shape, dtype.numpy_name, endpoint=True)


def exact(x, dtype):
    """Stored elements as float64 (or the integers themselves)."""
    return (
        from_bfloat16(x).astype(np.float64)
        if dtype is dt.bfloat16
        else x.astype(np.float64)
        if dtype.kind == "f"
        else x
    )


def rearranged(rng, x):
    """The same values in another memory layout: permuted axes, gaps, reversed axes."""
    r = random.Random(int(rng.integers(1 << 30)))
    order = list(range(x.ndim))
    if r.random() < 0.5:
        r.shuffle(order)
    back = np.argsort(order)
    x = np.ascontiguousarray(x.transpose(order)).transpose(back)
    axis = r.randrange(x.ndim)
    if r.random() < 0.2:
        x = np.repeat(x, 2, axis)[(slice(None),) * axis + (slice(None, None, 2),)]
    if r.random() < 0.2:
        flip = (slice(None),) * axis + (slice(None, None, -1),)
        x = np.ascontiguousarray(x[flip])[flip]
    return x
