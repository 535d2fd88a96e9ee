"""Lowering of Fourier transforms: axis by axis, each by kernels of `fourier.py`; by NumPy where a length has a large prime."""

from __future__ import annotations

import struct

from ..base import dtypes as dt
from ..base.shapes import contiguous_strides, size_of
from ..ops.shape import inverse_permutation
from ..passes.fuse import Group
from .fourier import LONGEST, PARAMETERS, factors, fourier_source, halves, lanes_of, table
from .hosts import lower_host
from .lower import PARALLEL, Layout, Lowering, Step

TASKS = 32  # memory for so many blocks at a time
LONG = 4096  # elements of a transform that is done in one piece
SHORT = 64
PADDING = 8  # keeps columns apart that would fall into the same lines of the cache
WORK = 6  # of a pass's element, in light elements


def lower_fourier(lowering: Lowering, group: Group) -> None:
    """fft.full, fft.halved and fft.restored."""
    n = group.nodes[0]
    name, axes = n.op.name, n.attrs[0]
    x = n.inputs[0]
    whole = n.shape if name == "fft.restored" else x.shape
    sizes = [whole[a].__index__() for a in axes]
    if size_of(x.shape) == 0 or not all(0 < s <= LONGEST and factors(s) is not None for s in sizes):
        lower_host(lowering, group)
        return
    inverse, scale = (n.attrs[1:3]) if name == "fft.full" else (name == "fft.restored", n.attrs[1])
    source, into = lowering.buffered(x), lowering.destination(n)
    order = list(zip(axes, sizes))
    if name == "fft.halved":  # the last axis while the numbers are real
        order.reverse()
    for number, (axis, size) in enumerate(order):
        special = axis == axes[-1]
        reads = (
            "real" if name == "fft.halved" and special else "half" if name == "fft.restored" and special else "complex"
        )
        writes = "real" if reads == "half" else "complex"
        shape = list(source.shape)
        shape[axis] = size // 2 + 1 if reads == "real" else size
        last = number == len(order) - 1
        target = (
            into if last and into.contiguous else lowering.fresh(n.dtype if last else _complex(source), tuple(shape))
        )
        factor = {"one": 1.0, "mean": 1.0 / size, "ortho": size**-0.5}[scale]
        one_axis(lowering, source, axis, size, target, reads, writes, inverse, factor)
        source = target
    if source is not into:
        lowering.copy_into(source, into)


def _complex(x: Layout):
    return dt.complex_of(x.dtype) if x.dtype.kind == "f" else x.dtype


def one_axis(
    lowering: Lowering, source: Layout, axis: int, n: int, into: Layout, reads, writes, inverse, scale
) -> None:
    """The transform of n elements along `axis`; `into` is contiguous."""
    if not source.contiguous:
        source = lowering.copy(source)
    inner = size_of(source.shape[axis + 1 :])
    if inner > 1 and n > LONG:
        order = (*(i for i in range(len(source.shape)) if i != axis), axis)
        moved = lowering.fresh(into.dtype, tuple(into.shape[i] for i in order))
        one_axis(lowering, _permuted(source, order), len(order) - 1, n, moved, reads, writes, inverse, scale)
        lowering.copy_into(_permuted(moved, inverse_permutation(order)), into)
        return
    outer = size_of(source.shape[:axis])
    real = dt.real_of(source.dtype)
    lanes = lanes_of(real, lowering.target)
    have, made = source.shape[axis], into.shape[axis]
    common = {"swap_in": int(inverse), "swap_out": int(inverse), "scale": _bits(scale), "full": n, "limit": 1 << 62}
    n1, n2 = halves(n)
    if inner > 1:
        run(lowering, real, n, reads if reads == "half" else reads + "+", writes + "+", source, into, outer, inner,
            in_row=have * inner, in_j=inner, in_column=1, out_row=made * inner, out_j=inner, out_column=1, kept=made,
            full_j=1, **common)  # fmt: skip
    elif n <= SHORT or n2 == 1 or (n <= LONG and outer >= lanes // 2):
        run(lowering, real, n, reads, writes, source, into, 1, outer, in_j=1, in_column=have, out_j=1, out_column=made,
            kept=made, full_j=1, **common)  # fmt: skip
    else:
        pad = n1 + PADDING
        plane = n2 * pad
        between = lowering.fresh(real, (outer, 2 * plane))
        run(lowering, real, n1, reads if reads == "half" else reads + "+", "planes", source, between, outer, n2, n2,
            in_row=have, in_j=1 if reads == "half" else n2, in_column=int(reads != "half"), out_row=2 * plane, out_j=1,
            out_column=pad, out_plane=plane, kept=n1, full_j=n2, full_lane=1, **common)  # fmt: skip
        run(lowering, real, n2, "planes", writes + "+", between, into, outer, n1, in_row=2 * plane, in_j=pad, in_column=1,
            in_plane=plane, out_row=made, out_j=n1, out_column=1, kept=n2, **{**common, "limit": made})  # fmt: skip


def run(
    lowering: Lowering, real, length: int, reads, writes, source, into, rows, columns, others: int = 1, **numbers
) -> None:
    """One kernel: `rows` times `columns` transforms of `length` elements."""
    lanes = lanes_of(real, lowering.target)
    found = table(length, real, lanes, others)
    blocks = -(-columns // lanes)
    total = rows * blocks
    grain = max(1, -(-total // TASKS), PARALLEL // (length * lanes * WORK))
    slot = 4 * length * lanes
    memory = lowering.temporary(-(-total // grain) * slot * real.itemsize)
    addresses = [a.ctypes.data for a in (found.passes, found.numbers, found.rotations)]
    known = {
        **dict.fromkeys(PARAMETERS, 0), **numbers, "passes": addresses[0], "turns": addresses[1], "rotations": addresses[2],
        "count": len(found.passes) // 4, "length": length, "columns": columns, "blocks": blocks, "grain": grain, "slot": slot,
    }  # fmt: skip
    kernel = fourier_source(real, reads, writes, found, lowering.target)
    buffers = [(x.buffer, x.offset, x.dtype) for x in (source, into)]
    lowering.add_step(Step(kernel, [*buffers, (memory, 0, dt.uint8)], [known[p] for p in PARAMETERS], total, grain))


def _permuted(x: Layout, order: tuple) -> Layout:
    shape, strides = (tuple(v[i] for i in order) for v in (x.shape, x.strides or contiguous_strides(x.shape)))
    return Layout(x.buffer, x.dtype, shape, strides, x.offset)


def _bits(value: float) -> int:
    return struct.unpack("<q", struct.pack("<d", value))[0]
