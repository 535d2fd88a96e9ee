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


def text_of(kernel) -> str:
    """What identifies a kernel: equal texts are one function."""
    return kernel.text() if type(kernel) is LoopKernel else kernel.key


def kernels_for(kernels: list) -> tuple:
    """(addresses, owners) of `kernels`, in order. What is missing is compiled together: one module, one object."""
    if len(_loaded) > LIMIT:
        _loaded.clear()  # programs keep what they use
        _named.clear()
        _images.clear()
    texts = [text_of(k) for k in kernels]
    missing: dict[str, object] = {}
    for text, kernel in zip(texts, kernels):
        if text not in _loaded and text not in missing:
            found = from_disk(text)
            if found is None:
                missing[text] = kernel
            else:
                _loaded[text] = found
    if missing:
        compile_together(missing)
    addresses = [_loaded[t][0] for t in texts]
    return addresses, tuple(dict.fromkeys(_loaded[t][1] for t in texts))


_images: dict[str, object] = {}  # key of an image of several kernels -> its loaded code
_ELF = b"\x7fELF"


def from_disk(text: str) -> tuple | None:
    """(address, owner) of a kernel in the disk cache."""
    return by_name(cache.key(text, host()))


_named: dict[str, tuple] = {}  # name of an entry -> (address, owner)


def by_name(name: str) -> tuple | None:
    """The same by the name of its entry: an image of its own, or a reference into a shared one."""
    found = _named.get(name) or from_entry(name)
    if found is not None:
        if len(_named) > LIMIT:
            _named.clear()
        _named[name] = found
    return found


def from_entry(name: str) -> tuple | None:
    entry = cache.get(name)
    if entry is None:
        return None
    if entry.startswith(_ELF):
        code = _core.load_object(entry)
        return code.symbol("k0"), code
    shared, _, symbol = entry.decode("ascii").partition(" ")
    code = _images.get(shared)
    if code is None:
        image = cache.get(shared)
        if image is None:  # the shared image was evicted
            return None
        code = _images[shared] = _core.load_object(image)
    return code.symbol(symbol), code


def kernels_named(names: list) -> tuple | None:
    """(addresses, owners) of kernels by the names of their entries; None if one of them is not on disk."""
    found = [by_name(name) for name in names]
    if None in found:
        return None
    return [f[0] for f in found], tuple(dict.fromkeys(f[1] for f in found))


def compile_together(missing: dict) -> None:
    """Compile kernels ({text: kernel}), load them and put them on disk."""
    target = host()
    module = builder.Module()
    for number, kernel in enumerate(missing.values()):
        emit_into(module, f"k{number}", kernel)
    image = jit.compile_object(module.text(), target)
    code = _core.load_object(image)
    keys = [cache.key(text, target) for text in missing]
    for number, (text, name) in enumerate(zip(missing, keys)):
        _loaded[text] = _named[name] = (code.symbol(f"k{number}"), code)
    if len(keys) == 1:
        cache.put(keys[0], image)
        return
    shared = cache.key("\0".join(missing), target)
    cache.put(shared, image)
    for number, name in enumerate(keys):
        cache.put(name, f"{shared} k{number}".encode("ascii"))
