"""Kernels by their text: in memory, on disk, or compiled now."""

from __future__ import annotations

from .. import _core
from ..base.lazy import LazyModule
from ..codegen.kernel import LoopKernel
from ..codegen.targets import host
from . import cache

# only needed where something has to be compiled
builder = LazyModule("twain.codegen.builder")
jit = LazyModule("twain.codegen.jit")
loops = LazyModule("twain.codegen.loops")

_loaded: dict[str, tuple] = {}  # text -> (address, object that owns the code)
LIMIT = 20_000


def emit_into(module, name: str, kernel) -> None:
    """Write the function of a kernel, whichever generator it belongs to."""
    if type(kernel) is LoopKernel:
        loops.emit_kernel(module, name, kernel, host())
    else:
        kernel.emit(module, name)


def kernels_for(kernels: list) -> tuple:
    """(addresses, owners) of `kernels`, in order."""
    if len(_loaded) > LIMIT:
        _loaded.clear()  # programs keep what they use
    addresses = []
    owners = []
    for kernel in kernels:
        text = kernel.text() if type(kernel) is LoopKernel else kernel.key
        found = _loaded.get(text)
        if found is None:
            found = _loaded[text] = load(text, kernel)
        addresses.append(found[0])
        if found[1] not in owners:
            owners.append(found[1])
    return addresses, tuple(owners)


def load(text: str, kernel) -> tuple:
    """One kernel from the disk cache, or compiled and put there."""
    target = host()
    key = cache.key(text, target)
    image = cache.get(key)
    if image is None:
        module = builder.Module()
        emit_into(module, "kernel", kernel)
        image = jit.compile_object(module.text(), target)
        cache.put(key, image)
    code = _core.load_object(image)
    return code.symbol("kernel"), code
