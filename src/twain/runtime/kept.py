"""Lowered graphs on disk: what a compiled function came to, kept under a name that follows from its graph.

The name is a hash of the graph as it was recorded (ops by name, static arguments, layouts of the operands), of all
sources that decide what becomes of it, and of the target. The entry holds the names of the kernels in the same cache
and everything else as numbers. An entry that is missing, damaged or incomplete means that the graph is lowered again.
"""

from __future__ import annotations

import os
import types

from ..base.config import config
from ..base.dtypes import DType
from ..codegen.targets import host
from ..ir import node as ir
from ..ir.node import Graph
from ..ir.op import REGISTRY, OpRecord
from ..transforms.vjp import Rule
from . import cache
from .kernels import kernels_named, text_of

PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
ROOMS = ("base", "ir", "ops", "passes", "transforms", "codegen", "runtime")
HEADER = "twain-launch 1"
FLAT = "twain-flat 1"


class _Unnamed(Exception):
    """Something in the graph has no text that stands for it."""


# ---------------------------------------------------------------- names
def name_of(record: OpRecord, metas: tuple) -> str | None:
    """The name under which the launch of a dynamic op on operands laid out as `metas` is kept; None if it can't be."""
    if type(record.rules) is not Graph or config.verify or config.dump:
        return None
    try:
        parts = [HEADER, _record_text(record)]
    except _Unnamed:
        return None
    for m in metas:
        parts.append("none" if m is None else f"{m.code}{m.shape}{m.strides}")
    return cache.key("\n".join(parts), host(), _sources())


def flat_name(record: OpRecord, attrs: object, *codes: int) -> str | None:
    """The name under which the kernel of an elementwise op on dense operands is kept. `attrs` as in exact_key."""
    if config.verify or config.dump:
        return None
    try:
        text = f"{FLAT}\n{_record_text(record)} {_static_text(attrs)} {codes}"
    except _Unnamed:
        return None
    return cache.key(text, host(), _sources())


def _graph_text(graph: Graph) -> str:
    numbers: dict = {}
    lines = []
    for p in graph.parameters:
        numbers[p] = f"p{p.attrs}"
        lines.append(f"{p.attrs} {p.dtype.name} {p.shape}")
    count = 0
    for n in graph.nodes():
        if n in numbers:
            continue
        if n.op is ir.constant:
            numbers[n] = f"{type(n.attrs).__name__}:{n.attrs!r}"
            continue
        if n.op is ir.parameter:
            raise _Unnamed
        inputs = " ".join(["-" if i is None else numbers[i] for i in n.inputs])
        name = f"project {n.attrs}" if n.op is ir.project else f"{_record_text(n.op)} {_static_text(n.attrs)}"
        numbers[n] = f"%{count}"
        count += 1
        lines.append(f"{name} {inputs}")
    lines.append(" ".join([numbers[o] for o in graph.outputs]))
    return "\n".join(lines)


def _record_text(record: OpRecord) -> str:
    rules = record.rules
    if type(rules) is Rule:
        return f"rule({_record_text(rules.of)} {rules.form})"
    if type(rules) is Graph:
        return f"graph({_graph_text(rules)})"
    if not _is_own(record):
        raise _Unnamed
    return record.name


def _static_text(attrs: object) -> str:
    kind = type(attrs)
    if kind is tuple:
        return f"({','.join(map(_static_text, attrs))})"
    if kind is DType:
        return attrs.name
    if kind is type:  # in an exact_key
        return attrs.__name__
    if attrs is None or kind in (int, float, bool, str, complex):
        return repr(attrs)
    raise _Unnamed


_OWN: dict[OpRecord, bool] = {}


def _is_own(record: OpRecord) -> bool:
    """Is all that defines the op code of this package, which `_sources` covers?"""
    own = _OWN.get(record)
    if own is None:
        if len(_OWN) > 4096:
            _OWN.clear()
        rules = record.rules
        parts = rules if type(rules) is tuple else [getattr(rules, s) for s in getattr(type(rules), "__slots__", ())]
        functions = [record.infer, record.canonical, record.composite, record.vjp, rules, *parts]
        own = _OWN[record] = REGISTRY.get(record.name) is record and all(_is_own_code(f, 3) for f in functions)
    return own


def _is_own_code(function: object, depth: int) -> bool:
    if type(function) is types.MethodType:
        function = function.__func__
    if type(function) is not types.FunctionType:
        kind = function if isinstance(function, type) else type(function)
        return not callable(function) or kind.__module__.partition(".")[0] in ("twain", "builtins")
    if not function.__code__.co_filename.startswith(PACKAGE):
        return False
    return depth == 0 or all(_is_own_code(_content(c), depth - 1) for c in function.__closure__ or ())


def _content(cell: types.CellType) -> object:
    try:
        return cell.cell_contents
    except ValueError:  # not filled yet
        return None


_salt: bytes | None = None


def _sources() -> bytes:
    """What tells one state of the compiler's sources from another."""
    global _salt
    if _salt is None:
        _salt = "".join(f"{room}\n{cache.folder_text(os.path.join(PACKAGE, room))}" for room in ROOMS).encode()
    return _salt


# ---------------------------------------------------------------- entries
def load(name: str) -> tuple | None:
    """(outputs, arena bytes, steps, owners of the code) as kept under `name`; None if there is no whole one."""
    entry = cache.get(name)
    if entry is None:
        return None
    try:
        header, kernels, numbers = entry.decode("ascii").split("\n")
        if header != HEADER:
            return None
        found = kernels_named(kernels.split())
        if found is None:
            return None
        addresses, keep = found
        return (*_read(list(map(int, numbers.split())), addresses), keep)
    except (ValueError, IndexError):
        return None


def _read(n: list, addresses: list) -> tuple:
    arena, outputs, at = n[0], [], 2
    for _ in range(n[1]):
        code, rank = n[at : at + 2]
        at += 2
        shape, strides = tuple(n[at : at + rank]), tuple(n[at + rank : at + 2 * rank])
        at += 2 * rank
        alias, offset, reuse = n[at : at + 3]
        at += 3
        outputs.append((code, shape, strides, alias, offset, tuple(n[at : at + reuse])))
        at += reuse
    steps = []
    count = n[at]
    at += 1
    for _ in range(count):
        kernel, total, grain, buffers, params = n[at : at + 5]
        at += 5
        pairs = tuple(zip(n[at : at + 2 * buffers : 2], n[at + 1 : at + 2 * buffers : 2]))
        at += 2 * buffers
        steps.append((addresses[kernel], pairs, tuple(n[at : at + params]), total, grain))
        at += params
    if at != len(n):
        raise ValueError("more numbers than the entry says")
    return outputs, arena, steps


def save(name: str, kernels: list, launch: tuple) -> None:
    """Keep a launch; `kernels` are those of its steps. Those that call Python are not kept."""
    outputs, arena, steps, _ = launch
    if any(callable(k) or hasattr(k, "holds") for k in kernels):  # Python, or memory of this process
        return
    names = [cache.key(text_of(k), host()) for k in kernels]
    distinct = list(dict.fromkeys(names))
    numbers = [arena, len(outputs)]
    for code, shape, strides, alias, offset, reuse in outputs:
        numbers += (code, len(shape), *shape, *strides, alias, offset, len(reuse), *reuse)
    numbers.append(len(steps))
    for kernel, (_, buffers, params, total, grain) in zip(names, steps):
        numbers += (distinct.index(kernel), total, grain, len(buffers), len(params))
        for pair in buffers:
            numbers += pair
        numbers += params
    cache.put(name, f"{HEADER}\n{' '.join(distinct)}\n{' '.join(map(str, numbers))}".encode("ascii"))


def load_flat(name: str) -> tuple | None:
    """(address, owners of the code, dtype code of the result, grain, slots, strides, what the result may take over)."""
    entry = cache.get(name)
    if entry is None:
        return None
    try:
        header, kernel, numbers = entry.decode("ascii").split("\n")
        found = kernels_named([kernel])
        if header != FLAT or found is None:
            return None
        code, grain, count, length, reused, *rest = map(int, numbers.split())
        slots = tuple(zip(rest[: 2 * count : 2], rest[1 : 2 * count : 2]))
        strides, reuse = rest[2 * count : 2 * count + length], rest[2 * count + length :]
        if len(rest) != 2 * count + length + reused:
            return None
        return found[0][0], found[1], code, grain, slots, tuple(strides), tuple(reuse)
    except (ValueError, IndexError):
        return None


def save_flat(name: str, kernel, numbers: tuple) -> None:
    """Keep the same; `numbers` are all but the first two."""
    code, grain, slots, strides, reuse = numbers
    flat = [code, grain, len(slots), len(strides), len(reuse)]
    for pair in slots:
        flat += pair
    flat += (*strides, *reuse)
    cache.put(name, f"{FLAT}\n{cache.key(text_of(kernel), host())}\n{' '.join(map(str, flat))}".encode("ascii"))
