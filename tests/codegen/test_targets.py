"""Object code for every target: nothing undefined, the right machine; PTX text and, where there is one, its
assembler."""

import shutil
import subprocess
from pathlib import Path

import pytest
from codegen_accuracy import BINARY, UNARY
from codegen_kernels import Kernels, undefined_symbols, write_kernel

from twain.base import dtypes as dt
from twain.base.errors import DeviceError
from twain.codegen import expr as k
from twain.codegen import jit
from twain.codegen.builder import Builder, Module
from twain.codegen.emit import ExprEmitter
from twain.codegen.targets import TARGETS, by_name, host
from twain.codegen.targets.ptx import thread_range

CPU_TARGETS = [n for n, t in TARGETS.items() if not t.is_gpu]
EVERYTHING = [
    *UNARY,
    *BINARY,
    *["floor", "ceil", "rint", "trunc", "sign", "abs", "rem", "floordiv", "minimum", "maximum", "nextafter"],
]
BOTH = {*BINARY, "rem", "floordiv", "minimum", "maximum", "nextafter"}


def apply(name, dtype):
    x, y = k.load(0, dtype), k.load(1, dtype)
    return getattr(k, name)(x, y) if name in BOTH else getattr(k, name)(x)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CPU_TARGETS)
def test_objects_need_nothing_from_outside(name, dtype):
    """No function may turn into a call of the C library, whatever the target lacks."""
    module, target = Module(), by_name(name)
    for function in EVERYTHING:
        write_kernel(module, function, [apply(function, dt.by_name(dtype))], target, target.lanes(dt.by_name(dtype)))
    data = jit.compile_object(module.text(), target, 0)
    assert undefined_symbols(data) <= {"memcpy", "memset"}
    machine = int.from_bytes(data[18:20], "little")
    assert machine == (183 if name == "arm64" else 62)


@pytest.mark.parametrize("name", CPU_TARGETS)
def test_conversions_need_nothing_from_outside(name):
    module, target = Module(), by_name(name)
    kinds = [d for d in dt.BY_CODE if not d.weak]
    for source in kinds:
        casts = [k.cast(k.load(0, source), d) for d in kinds if d is not source]
        write_kernel(module, f"from_{source.name}", casts, target, 4)
    assert undefined_symbols(jit.compile_object(module.text(), target, 0)) <= {"memcpy", "memset"}


def test_width_in_lanes():
    v3 = by_name("x86-64-v3")
    assert [v3.lanes(d) for d in (dt.float32, dt.float64, dt.bfloat16, dt.complex64, dt.complex128, dt.int8)] == [
        8,
        4,
        8,
        8,
        4,
        32,
    ]
    assert by_name("sm_90").lanes(dt.float32) == 1


def test_vectors_are_as_wide_as_the_target():
    for name, register in (("x86-64", "xmm"), ("x86-64-v3", "ymm"), ("x86-64-v4", "zmm"), ("arm64", "v0.4s")):
        module, target = Module(), by_name(name)
        write_kernel(module, "kernel", [k.exp(k.load(0, dt.float32))], target, target.lanes(dt.float32))
        assert register in jit.assembly(module.text(), target).replace("v1.4s", "v0.4s")


def test_unknown_target_is_named():
    with pytest.raises(DeviceError, match="z80"):
        by_name("z80")


def test_environment_chooses_a_lower_target(monkeypatch):
    monkeypatch.setattr("twain.codegen.targets._host", None)
    monkeypatch.setenv("TWAIN_TARGET", CPU_TARGETS[0])
    assert host().name == CPU_TARGETS[0]


def ptx(function, dtype, name):
    """A grid-stride elementwise kernel."""
    module, target = Module(), by_name(name)
    pointers = ("ptr", "x"), ("ptr", "y"), ("ptr", "out"), ("i64", "count")
    b = Builder(module, function, pointers, "", "ptx_kernel void")
    first, step = thread_range(b)
    root = apply(function, dtype)
    emitter = ExprEmitter(b, 1, target)
    with b.loop(first, "%count", step) as loop:
        at = {n: b.offset(f"%{n}", loop.i, "float" if dtype is dt.float32 else "double") for n in ("x", "y", "out")}
        leaves = {k.load(i, dtype): emitter.load_element(at[n], dtype) for i, n in enumerate(("x", "y"))}
        emitter.emit([root], leaves)
        emitter.store_element(emitter.emit([root], leaves)[0], at["out"], dtype)
    b.finish()
    return jit.assembly(module.text().replace("define internal ptx_kernel", "define ptx_kernel"), target)


def find_ptxas():
    found = shutil.which("ptxas")
    return found or next((str(p) for p in sorted(Path("/usr/local").glob("cuda*/bin/ptxas"))), None)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_ptx_of_an_elementwise_kernel(tmp_path, dtype):
    texts = {n: ptx(n, dt.by_name(dtype), "sm_80") for n in ("exp", "sin", "pow", "erf")}
    for name, text in texts.items():
        assert f".visible .entry {name}(" in text
        assert "fma.rn" in text
        assert ".extern" not in text
    assembler = find_ptxas()
    if assembler is None:
        pytest.skip("ptxas is not installed")
    for name, text in texts.items():
        source = tmp_path / f"{name}.ptx"
        source.write_text(text)
        done = subprocess.run([assembler, "-arch=sm_80", "-O1", "-o", str(tmp_path / "out.cubin"), str(source)],
                              capture_output=True, text=True)  # fmt: skip
        assert done.returncode == 0, done.stderr


def test_levels_give_the_same_results():
    import numpy as np

    x = np.linspace(-5, 5, 1001, dtype=np.float32)
    roots = {"f": [k.tanh(k.load(0, dt.float32))]}
    assert np.array_equal(Kernels(roots, level=0).run("f", x), Kernels(roots, level=2).run("f", x))


def test_invalid_text_raises_with_llvms_message():
    with pytest.raises(RuntimeError, match="expected"):
        jit.compile_object("define nonsense", host())
