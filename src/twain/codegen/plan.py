"""What the generators of large kernels hand to the plan executor: kernel sources, steps and scratch sizes."""

from __future__ import annotations


class KernelSource:
    """A kernel that can be written into a module.

    `key` is the stable text that caches go by: equal keys mean equal code. `emit(module, name)` writes the function
    (and internal helpers, shared by the kernels of a module) into a builder.Module.
    """

    __slots__ = ("_emit", "key", "name")

    def __init__(self, name: str, key: str, emit):
        self.name = name
        self.key = key
        self._emit = emit

    def emit(self, module, name: str) -> None:
        self._emit(module, name)

    def __eq__(self, other: object) -> bool:
        return type(other) is KernelSource and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __repr__(self) -> str:
        return f"KernelSource({self.key!r})"


class Step:
    """One kernel call of a plan, before addresses are known.

    `buffers` are (role, number, byte offset): roles are "a", "b" (number 0), "out", "extra" and "scratch". `total` and
    `grain`: see the kernel ABI, the kernel's results do not depend on how [0, total) is cut.
    """

    __slots__ = ("buffers", "grain", "params", "source", "total")

    def __init__(self, source: KernelSource, buffers: tuple, params: tuple, total: int, grain: int):
        self.source = source
        self.buffers = buffers
        self.params = params
        self.total = total
        self.grain = grain

    def __repr__(self) -> str:
        return f"Step({self.source.name}, {self.buffers}, total={self.total}, grain={self.grain})"


class Plan:
    """Steps in order, and the byte sizes of the scratch buffers they name (64-byte aligned, contents undefined)."""

    __slots__ = ("scratch", "steps")

    def __init__(self, steps: list, scratch: list):
        self.steps = steps
        self.scratch = scratch
