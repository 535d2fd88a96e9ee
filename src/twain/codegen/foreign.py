"""Lowering of ops that a native function of somebody else computes: a small kernel that calls it for each part of a batch.

The function's address is a run-time parameter, so that the kernel's text depends on the signature alone and is kept on
disk like any other. params: address, numbers given by value (their bits), sizes, then per array the bytes from one part of
the batch to the next.
"""

from __future__ import annotations

import struct

from ..base import dtypes as dt
from ..base.dtypes import DType
from ..base.errors import TwainError
from ..base.shapes import size_of
from ..ops.foreign import Signature, sizes_of
from ..passes.fuse import Group
from .builder import Builder, Module
from .hosts import host_call, many_destinations
from .lower import PARALLEL, Layout, Lowering, Step
from .plan import KernelSource

# How a number goes by value: LLVM's type, and what the C calling convention wants said of it.
_BY_VALUE = {
    dt.bool_: ("i8", "i8 zeroext"), dt.int32: ("i32", "i32 signext"), dt.int64: ("i64", "i64"),
    dt.uint32: ("i32", "i32 zeroext"), dt.uint64: ("i64", "i64"), dt.float32: ("float", "float"),
    dt.float64: ("double", "double"),
}  # fmt: skip
BY_VALUE = tuple(_BY_VALUE)


class ForeignError(TwainError, RuntimeError):
    """A native function reported that it failed."""


def bits_of(value: object, dtype: DType) -> int:
    """A number as the 64 bits that a kernel's parameter holds."""
    if dtype is dt.float32:
        return struct.unpack("<i", struct.pack("<f", value))[0]
    if dtype is dt.float64:
        return struct.unpack("<q", struct.pack("<d", value))[0]
    return struct.unpack("<q", struct.pack("<Q", int(value) & (2**64 - 1)))[0]


def caller(signature: Signature, status: bool, target) -> KernelSource:
    """The kernel that calls a function of `signature` for the parts begin to end of a batch."""
    numbers, sizes = len(signature.numbers), 1 if signature.elementwise else len(signature.size_names)
    pieces = [("by value", a.dtype) if a.dims is None else ("array", a.dtype) for a in signature.inputs]
    pieces += [("array", r.dtype) for r in signature.results]
    text = f"foreign {'elementwise ' if signature.elementwise else ''}{'status ' if status else ''}{sizes} "
    text += " ".join(f"{kind} {dtype.name}" for kind, dtype in pieces)

    def write(module: Module, name: str) -> None:
        b = Builder(module, name, attributes=target.attributes)
        address = b.value(f"inttoptr i64 {b.parameter(0)} to ptr")
        values = []
        for i, argument in enumerate(signature.numbers):
            llvm, _ = _BY_VALUE[argument.dtype]
            raw = b.parameter(1 + i)
            if llvm != "i64" and llvm != "double":
                raw = b.value(f"trunc i64 {raw} to {'i32' if llvm == 'float' else llvm}")
            values.append(b.value(f"bitcast {'i32' if llvm == 'float' else 'i64'} {raw} to {llvm}")
                          if llvm in ("float", "double") else raw)  # fmt: skip
        arrays = [dtype for kind, dtype in pieces if kind == "array"]
        bases = [b.buffer(i) for i in range(len(arrays) + status)]
        strides = [b.parameter(1 + numbers + (0 if signature.elementwise else sizes) + i) for i in range(len(bases))]

        def call(places: list, lengths: list) -> None:
            arguments, array, number = [], iter(places), iter(values)
            for kind, dtype in pieces:
                if kind == "array":
                    arguments.append(f"ptr {next(array)}")
                else:
                    arguments.append(f"{_BY_VALUE[dtype][1]} {next(number)}")
            arguments += [f"i64 {n}" for n in lengths]
            if status:
                b.store("i32", b.value(f"call i32 {address}({', '.join(arguments)})"), places[-1], 4)
            else:
                b.do(f"call void {address}({', '.join(arguments)})")

        if signature.elementwise:
            call([b.offset(p, b.mul("%begin", s), "i8") for p, s in zip(bases, strides)], [b.sub("%end", "%begin")])
        else:
            lengths = [b.parameter(1 + numbers + i) for i in range(sizes)]
            with b.loop("%begin", "%end") as part:
                call([b.offset(p, b.mul(part.i, s), "i8") for p, s in zip(bases, strides)], lengths)
        b.finish()

    return KernelSource(text, text, write)


def _dense(lowering: Lowering, layout: Layout, shape: tuple) -> Layout:
    """A row-major layout of `layout` seen as `shape` (it broadcasts)."""
    if layout.shape == shape and layout.contiguous:
        return layout
    strides = (0,) * (len(shape) - len(layout.shape)) + tuple(
        0 if have == 1 and want != 1 else s
        for s, have, want in zip(layout.strides, layout.shape, shape[len(shape) - len(layout.shape) :])
    )
    return lowering.copy(Layout(layout.buffer, layout.dtype, shape, strides, layout.offset))


def lower_foreign(lowering: Lowering, group: Group) -> None:
    """Operands in row-major order, then the calls."""
    n = group.nodes[0]
    rules = n.op.rules
    signature, checked = rules.signature, rules.status is not None
    batch, sizes = sizes_of(n.op.name, signature, [i.spec for i in n.inputs])
    count = size_of(batch)
    arrays, steps = [], []
    for argument, value in zip(signature.arrays, n.inputs):
        layout = lowering.buffered(value, argument.dtype)
        rank = 0 if argument.any_shape else len(argument.dims)
        core = layout.shape[len(layout.shape) - rank :]
        alone = not signature.elementwise and size_of(layout.shape) == size_of(core)
        layout = _dense(lowering, layout, layout.shape if alone else (*batch, *core))
        arrays.append(layout)
        steps.append(0 if alone and count != 1 else size_of(core) * argument.dtype.itemsize)
    results = [lowering.destination(n)] if len(n.specs) == 1 else many_destinations(lowering, n)
    for argument, layout in zip(signature.results, results):
        core = layout.shape[len(batch) :]
        steps.append(size_of(core) * argument.dtype.itemsize)
    state = []
    if checked:
        state.append(Layout(lowering.temporary(4 * count), dt.int32, (count,), (1,)))
        steps.append(4)
    numbers = [bits_of(v, a.dtype) for v, a in zip(n.attrs or (), signature.numbers)]
    lengths = [] if signature.elementwise else [sizes[name] for name in signature.size_names]
    source = caller(signature, checked, lowering.target)
    buffers = [(x.buffer, x.offset, x.dtype) for x in (*arrays, *results, *state)]
    grain = count if not rules.threads else PARALLEL if signature.elementwise else 1
    lowering.add_step(Step(source, buffers, [rules.address, *numbers, *lengths, *steps], count, max(1, grain)))
    if checked:
        lowering.add_step(host_call(n.op.name, check_status, (n.op.name, tuple(rules.status.items())), state, []))


def check_status(attrs: tuple, states, out: list) -> None:
    """ForeignError for the first part of a batch whose status isn't 0."""
    name, messages = attrs
    bad = states.nonzero()[0]
    if len(bad):
        code = int(states[bad[0]])
        reason = dict(messages).get(code, f"the function returned {code}")
        raise ForeignError(f"[{name}] {reason}" + (f" (part {int(bad[0])} of the batch)" if len(states) > 1 else ""))


__all__ = ["BY_VALUE", "ForeignError", "lower_foreign"]
