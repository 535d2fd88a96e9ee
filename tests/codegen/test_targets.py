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
from twain.codegen.builder import Module
from twain.codegen.kernel import CONTIGUOUS, LoopKernel, Operand
from twain.codegen.loops import emit_kernel
from twain.codegen.targets import TARGETS, by_name, host
from twain.codegen.targets.ptx import add_entry

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
    """The PTX of an elementwise kernel and its entry point."""
    module, target = Module(), by_name(name)
    write_kernel(module, function, [apply(function, dtype)], target, 1)
    add_entry(module, function, f"{function}_entry")
    return jit.assembly(module.text(), target)


def assemble(text, folder):
    """Run NVIDIA's assembler over PTX, where it is installed."""
    places = [shutil.which("ptxas"), *sorted(Path("/usr/local").glob("cuda*/bin/ptxas"))]
    assembler = next((str(p) for p in places if p), None)
    if assembler is None:
        pytest.skip("ptxas is not installed")
    source = folder / "kernel.ptx"
    source.write_text(text)
    command = [assembler, "-arch=sm_80", "-O1", "-o", str(folder / "kernel.cubin"), str(source)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_ptx_of_an_elementwise_kernel(tmp_path, dtype):
    texts = {n: ptx(n, dt.by_name(dtype), "sm_80") for n in ("exp", "sin", "pow", "erf")}
    for name, text in texts.items():
        assert f".visible .entry {name}_entry(" in text
        assert "fma.rn" in text
        assert ".extern" not in text
    for text in texts.values():
        assemble(text, tmp_path)


def test_ptx_of_reductions(tmp_path):
    """Row and column kernels of the CPU, written for one lane."""
    module, target = Module(), by_name("sm_80")
    x = k.load(0, dt.float32)
    total = k.reduced(0, dt.float32)
    rows = LoopKernel("rows", [Operand(dt.float32, CONTIGUOUS)], [(Operand(dt.float32, CONTIGUOUS), k.exp(x) / total, "full")],
                      1, 1, [("add", k.exp(x))])  # fmt: skip
    emit_kernel(module, "softmax", rows, target)
    add_entry(module, "softmax", "softmax_entry")
    assemble(jit.assembly(module.text(), target), tmp_path)


def test_levels_give_the_same_results():
    import numpy as np

    x = np.linspace(-5, 5, 1001, dtype=np.float32)
    roots = {"f": [k.tanh(k.load(0, dt.float32))]}
    assert np.array_equal(Kernels(roots, level=0).run("f", x), Kernels(roots, level=2).run("f", x))


def test_invalid_text_raises_with_llvms_message():
    with pytest.raises(RuntimeError, match="expected"):
        jit.compile_object("define nonsense", host())
