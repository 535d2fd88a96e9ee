"""From IR text to machine code: the only file that talks to llvmlite, which it loads on first use.

Modules come as text (see builder.Module). No IR passes run: the text is explicit vector code already, and they would
double the compile time. `level` is LLVM's code-generation level: 2 by default, 0 is a first tier that compiles in a
third of the time.
"""

from __future__ import annotations

import os
import threading

from .targets import Target

_lock = threading.Lock()
_machines: dict[tuple[str, int], object] = {}
_llvm = None


def llvm() -> object:
    """llvmlite.binding, initialised for the targets in use."""
    global _llvm
    if _llvm is None:
        import llvmlite.binding as binding

        binding.initialize_all_targets()
        binding.initialize_all_asmprinters()
        _llvm = binding
    return _llvm


def llvm_version() -> str:
    """LLVM's version, for cache keys ("22.1.0"). Loads llvmlite."""
    return ".".join(map(str, llvm().llvm_version_info))


def default_level() -> int:
    """The code-generation level: TWAIN_OPT (0 to 3), else 2."""
    text = os.environ.get("TWAIN_OPT", "2")
    return int(text) if text in ("0", "1", "2", "3") else 2


def _machine(target: Target, level: int) -> object:
    key = (target.key, level)
    machine = _machines.get(key)
    if machine is None:
        binding = llvm()
        machine = binding.Target.from_triple(target.triple).create_target_machine(
            cpu=target.cpu, features=target.features, opt=level, reloc="pic", codemodel="small"
        )
        _machines[key] = machine
    return machine


def _parse(ir_text: str, target: Target, level: int | None) -> tuple[object, object]:
    machine = _machine(target, default_level() if level is None else level)
    header = f'target triple = "{target.triple}"\ntarget datalayout = "{machine.target_data}"\n'
    return machine, llvm().parse_assembly(header + ir_text)


def compile_object(ir_text: str, target: Target, level: int | None = None) -> bytes:
    """The ELF relocatable object of a module. Raises RuntimeError with LLVM's message if the text is not valid IR."""
    with _lock:
        machine, module = _parse(ir_text, target, level)
        return machine.emit_object(module)


def assembly(ir_text: str, target: Target, level: int | None = None) -> str:
    """The assembly text of a module (for PTX targets: the PTX)."""
    with _lock:
        machine, module = _parse(ir_text, target, level)
        return machine.emit_assembly(module)
