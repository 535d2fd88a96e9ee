"""Runs expressions as kernels: builds a module with one kernel per expression list, compiles it, calls it on NumPy
arrays."""

import ctypes
import struct

import numpy as np

from twain.base import dtypes as dt
from twain.codegen import jit
from twain.codegen.builder import Builder, Module
from twain.codegen.emit import ExprEmitter
from twain.codegen.expr import walk
from twain.codegen.targets import host

NUMPY = {d.name: np.dtype(d.numpy_name) for d in dt.BY_CODE if d.numpy_name}
NUMPY |= {"bfloat16": np.dtype("uint16"), "weak_int": np.dtype("int64"), "weak_float": np.dtype("float64"),
          "weak_bool": np.dtype("bool"), "weak_complex": np.dtype("complex128")}  # fmt: skip
SIGNATURE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)


def runnable_targets():
    """The levels that this machine can run, lowest first."""
    levels = ["x86-64", "x86-64-v2", "x86-64-v3", "x86-64-v4"]
    name = host().name
    return levels[: levels.index(name) + 1] if name in levels else [name]


def write_kernel(module, name, roots, target, lanes):
    """Elementwise: buffers are the loads in order of their number, then the roots; full vectors, then a masked rest."""
    loads = sorted({e for e in walk(roots) if e.op == "load"}, key=lambda e: e.value)
    indices = {e for e in walk(roots) if e.op == "index"}
    b = Builder(module, name, attributes=target.attributes)
    inputs = {e: b.buffer(k) for k, e in enumerate(loads)}
    outputs = [b.buffer(len(loads) + k) for k in range(len(roots))]
    emitter = ExprEmitter(b, lanes, target)

    def at(base, i, dtype):
        return b.offset(base, b.mul(i, dtype.itemsize), "i8")

    def body(i, mask):
        leaves = {e: emitter.load_element(at(p, i, e.dtype), e.dtype, mask) for e, p in inputs.items()}
        for e in indices:
            steps = "<" + ", ".join(f"i64 {k}" for k in range(lanes)) + ">" if lanes > 1 else "0"
            leaves[e] = b.value(f"add {f'<{lanes} x i64>' if lanes > 1 else 'i64'} {b.splat(i, 'i64', lanes)}, {steps}")
        for e, value, p in zip(roots, emitter.emit(roots, leaves), outputs, strict=True):
            emitter.store_element(value, at(p, i, e.dtype), e.dtype, mask)

    full = b.sub("%end", b.value(f"srem i64 {b.sub('%end', '%begin')}, {lanes}"))
    with b.loop("%begin", full, lanes) as loop:
        body(loop.i, None)
    if lanes > 1:
        with b.when(b.compare("slt", full, "%end")):
            body(full, b.lane_mask(b.sub("%end", full), lanes))
    b.finish()


def load(image):
    """(what keeps the code alive, name -> address): by the core's loader, by LLVM's where the core is not built."""
    try:
        from twain import _core
    except ImportError:
        binding = jit.llvm()
        engine = binding.create_lljit_compiler()
        builder = binding.JITLibraryBuilder().add_object_img(image)
        for name in sorted(defined_functions(image)):
            builder = builder.export_symbol(name)
        tracker = builder.link(engine, "kernels")
        return (engine, tracker), tracker.__getitem__
    code = _core.load_object(image)
    return code, code.symbol


class Kernels:
    """Kernels in one loaded module; `run(name, *inputs)` returns the output arrays."""

    def __init__(self, kernels, target=None, lanes=None, level=None):
        self.target = target or host()
        self.kernels = kernels
        module = Module()
        for name, roots in kernels.items():
            sizes = [self.target.lanes(e.dtype) for e in walk(roots)]
            write_kernel(
                module, name, roots, self.target, lanes or min(max(sizes), 8 if self.target.vector_bytes > 16 else 4)
            )
        self.text = module.text()
        self.object = jit.compile_object(self.text, self.target, level)
        self.code, self.symbol = load(self.object)

    def run(self, name, *inputs):
        roots = self.kernels[name]
        inputs = [np.ascontiguousarray(x) for x in inputs]
        wanted = len({e for e in walk(roots) if e.op == "load"})
        assert len(inputs) == wanted, f"{name} takes {wanted} inputs, got {len(inputs)}"
        outputs = [np.empty(inputs[0].shape, NUMPY[e.dtype.name]) for e in roots]
        self.call(name, inputs, outputs, inputs[0].size)
        return outputs[0] if len(outputs) == 1 else outputs

    def call(self, name, inputs, outputs, size):
        arrays = [*inputs, *outputs]
        pointers = (ctypes.c_void_p * len(arrays))(*[a.ctypes.data for a in arrays])
        SIGNATURE(self.symbol(name))(ctypes.addressof(pointers), None, 0, size)


def symbols(image):
    """(name, binding and type, section) of an ELF object's symbols."""
    at = struct.unpack_from("<Q", image, 40)[0]
    size, count = struct.unpack_from("<HH", image, 58)
    headers = [struct.unpack_from("<IIQQQQIIQQ", image, at + k * size) for k in range(count)]
    for h in headers:
        if h[1] == 2:  # symbol table
            strings = headers[h[6]]
            for entry in range(h[4] + 24, h[4] + h[5], 24):
                name, info, _, section = struct.unpack_from("<IBBH", image, entry)
                start = strings[4] + name
                yield image[start : image.index(b"\0", start)].decode(), info, section


def undefined_symbols(image):
    """Names that an ELF object wants from elsewhere."""
    return {name for name, _, section in symbols(image) if section == 0}


def defined_functions(image):
    """Names of the functions that it offers."""
    return {name for name, info, section in symbols(image) if section and info == 0x12}
