"""Packing: one pass that rearranges a matrix into the panels a micro-kernel reads, converting the dtype on the way.

A panel holds `width` rows of A (or columns of B): [k][width] for the k of one K block; where panels and blocks go is
given by strides. The last panel repeats the last row where the matrix ends, or holds anything (those results are never looked
at).
"""

from __future__ import annotations

from ..base.dtypes import DType
from .builder import Builder, Module, storage_type, vector
from .microkernel import widen
from .plan import KernelSource, Step
from .product import Parameters, batch_offsets

P, K, KC, K_BLOCKS, PANELS, GROUP, GROUPS, STRIDE_P, STRIDE_K, TO_PANEL, TO_BLOCK, FIRST_BATCH = range(12)

_SOURCES: dict = {}


def pack_source(dtype: DType, compute: DType, width: int, mode: str, target) -> KernelSource:
    """The packing kernel. mode: "rows" (stride along the panel is 1), "columns" (k stride is 1) or "any".

    Buffers: source, panels. Params: the constants above (P: rows of A or columns of B; GROUP panels are one unit of
    work, GROUPS of them), then batch dims as in product.batch_offsets with strides of source and destination.
    Extent: batch * K_BLOCKS * GROUPS.
    """
    memo = (dtype, compute, width, mode, target.name)
    source = _SOURCES.get(memo)
    if source is None:
        key = f"pack {dtype}->{compute} {width} {mode} {target.name}"

        def emit(module: Module, name: str) -> None:
            _emit(module, name, dtype, compute, width, mode, target)

        source = _SOURCES[memo] = KernelSource("pack", key, emit)
    return source


def pack_step(
    roles: tuple, dtype: DType, compute: DType, width: int, target, p: int, k: int, stride_p: int, stride_k: int,
    k_blocks: int, kc: int, to_panel: int, to_block: int, batch: list,
) -> Step:  # fmt: skip
    """The step that packs a p x k matrix; `roles`: (source, panels), `batch`: [(size, stride, stride in panels)]."""
    # one vector shuffle network per lane count is too much code for the narrow integers
    narrow = compute.itemsize * 16 < target.vector_bytes
    mode = "rows" if stride_p == 1 else "columns" if stride_k == 1 and not narrow else "any"
    panels = -(-p // width)
    group = min(panels, 8)
    groups = -(-panels // group)
    params = [p, k, kc, k_blocks, panels, group, groups, stride_p, stride_k, to_panel, to_block, len(batch)]
    total = k_blocks * groups
    for size, _, _ in batch:
        params.append(size)
        total *= size
    for _, stride, to in batch:
        params += (stride, to)
    grain = max(1, (1 << 14) // max(1, group * width * kc))
    return Step(pack_source(dtype, compute, width, mode, target), roles, tuple(params), total, grain)


def _emit(module: Module, name: str, dtype: DType, compute: DType, width: int, mode: str, target) -> None:
    b = Builder(module, name, attributes=target.attributes)
    p = Parameters(b)
    source, panels = b.buffer(0), b.buffer(1)
    stored, element = storage_type(dtype), storage_type(compute)
    lanes = max(1, target.vector_bytes // compute.itemsize)
    if mode == "columns":  # blocks are square: more lanes than a panel has rows would transpose them for nothing
        while lanes >= 2 * width:
            lanes //= 2
    units = b.mul(p[K_BLOCKS], p[GROUPS])

    with b.loop("%begin", "%end", hint="unit") as unit:
        batch, inside = b.udiv(unit.i, units), b.urem(unit.i, units)
        from_, to = batch_offsets(b, batch, FIRST_BATCH, 2)
        kb, group = b.udiv(inside, p[GROUPS]), b.urem(inside, p[GROUPS])
        k0 = b.mul(kb, p[KC])
        kc = b.min(b.sub(p[K], k0), p[KC])
        start = b.offset(source, b.add(from_, b.mul(k0, p[STRIDE_K])), stored)
        target_start = b.offset(panels, b.add(to, b.mul(kb, p[TO_BLOCK])), element)
        first = b.mul(group, p[GROUP])
        end = b.min(b.add(first, p[GROUP]), p[PANELS])
        full = b.max(b.min(end, b.udiv(p[P], width)), first)

        def source_of(panel: str) -> str:
            return b.offset(start, b.mul(b.mul(panel, width), p[STRIDE_P]), stored)

        def panel_of(panel: str) -> str:
            return b.offset(target_start, b.mul(panel, p[TO_PANEL]), element)

        if mode == "rows":
            # k outside: memory is read in order, written to GROUP streams
            with b.loop(0, kc, hint="k") as k, b.loop(first, full, hint="panel") as panel:
                s = b.offset(source_of(panel.i), b.mul(k.i, p[STRIDE_K]), stored)
                _copy(b, s, b.offset(panel_of(panel.i), b.mul(k.i, width), element), dtype, compute, width, lanes)
            scalar_from = full
            if lanes > 1:
                scalar_from = end
                valid = b.sub(p[P], b.mul(full, width))
                with b.loop(full, end, hint="ragged") as panel:
                    places = source_of(panel.i), p[STRIDE_K], panel_of(panel.i)
                    _copy_ragged(b, *places, kc, valid, dtype, compute, width, lanes)
        elif mode == "columns" and lanes > 1:
            whole = b.sub(kc, b.value(f"srem i64 {kc}, {lanes}"))
            last = b.sub(p[P], 1)
            with b.loop(first, end, hint="panel") as panel:
                to_panel = panel_of(panel.i)
                for low in range(0, width, lanes):
                    size = min(lanes, width - low)
                    rows = [b.min(b.add(b.mul(panel.i, width), low + min(i, size - 1)), last) for i in range(lanes)]
                    pointers = [b.offset(start, b.mul(r, p[STRIDE_P]), stored) for r in rows]
                    with b.loop(0, whole, lanes, hint="k") as k:
                        loaded = [b.load(vector(stored, lanes), b.offset(q, k.i, stored)) for q in pointers]
                        block = transpose(b, [widen(b, v, dtype, compute, lanes) for v in loaded], compute)
                        for i, row in enumerate(block):
                            at = b.add(b.mul(b.add(k.i, i), width), low)
                            _store_part(b, row, b.offset(to_panel, at, element), element, lanes, size)
                    with b.loop(whole, kc, hint="rest") as k:
                        for i in range(size):
                            v = widen(b, b.load(stored, b.offset(pointers[i], k.i, stored)), dtype, compute, 1)
                            b.store(element, v, b.offset(to_panel, b.add(b.mul(k.i, width), low + i), element))
            scalar_from = end
        else:
            scalar_from = first
        if scalar_from is not end:
            last = b.sub(p[P], 1)
            with (
                b.loop(scalar_from, end, hint="panel") as panel,
                b.loop(0, kc, hint="k") as k,
                b.loop(0, width, hint="element") as i,
            ):
                row = b.min(b.add(b.mul(panel.i, width), i.i), last)
                at = b.add(b.mul(row, p[STRIDE_P]), b.mul(k.i, p[STRIDE_K]))
                v = widen(b, b.load(stored, b.offset(start, at, stored)), dtype, compute, 1)
                b.store(element, v, b.offset(panel_of(panel.i), b.add(b.mul(k.i, width), i.i), element))
    b.finish()


def _parts(width: int, lanes: int) -> list[tuple[int, int]]:
    """`width` as (first, size) pieces of at most `lanes`, sizes powers of two: 6 is 4 + 2."""
    parts, at = [], 0
    while at < width:
        size = lanes
        while size > width - at:
            size //= 2
        parts.append((at, size))
        at += size
    return parts


def _copy(b: Builder, source: str, to: str, dtype: DType, compute: DType, width: int, lanes: int) -> None:
    stored, element = storage_type(dtype), storage_type(compute)
    for at, size in _parts(width, lanes):
        v = widen(b, b.load(vector(stored, size), b.offset(source, at, stored)), dtype, compute, size)
        b.store(vector(element, size), v, b.offset(to, at, element))


def _copy_ragged(
    b: Builder, source: str, stride: str, to: str, kc: str, valid: str, dtype: DType, compute: DType, width: int, lanes: int
) -> None:  # fmt: skip
    """The first `valid` elements of each k."""
    stored, element = storage_type(dtype), storage_type(compute)
    if dtype.itemsize >= 4 and width % 2 == 0:
        masks = [b.lane_mask(b.sub(valid, at), size) for at, size in _parts(width, lanes)]
        with b.loop(0, kc, hint="k") as k:
            s, t = b.offset(source, b.mul(k.i, stride), stored), b.offset(to, b.mul(k.i, width), element)
            for (at, size), mask in zip(_parts(width, lanes), masks, strict=True):
                v = b.masked_load(stored, size, b.offset(s, at, stored), mask)
                b.store(vector(element, size), widen(b, v, dtype, compute, size), b.offset(t, at, element))
        return
    # narrow elements can't be masked everywhere, nor single ones
    whole = b.sub(valid, b.value(f"srem i64 {valid}, {lanes}"))
    for begin, end, size in (("0", whole, lanes), (whole, valid, 1)):
        with b.loop(begin, end, size, hint="element") as i, b.loop(0, kc, hint="k") as k:
            v = b.load(vector(stored, size), b.offset(source, b.add(b.mul(k.i, stride), i.i), stored))
            at = b.add(b.mul(k.i, width), i.i)
            b.store(vector(element, size), widen(b, v, dtype, compute, size), b.offset(to, at, element))


def _store_part(b: Builder, value: str, to: str, element: str, lanes: int, size: int) -> None:
    """The first `size` lanes of a vector."""
    if size == lanes:
        b.store(vector(element, lanes), value, to)
        return
    for at, n in _parts(size, lanes):
        if n == 1:
            one = b.value(f"extractelement {vector(element, lanes)} {value}, i32 {at}")
            b.store(element, one, b.offset(to, at, element))
        else:
            part = shuffle(b, value, value, range(at, at + n), element, lanes)
            b.store(vector(element, n), part, b.offset(to, at, element))


def shuffle(b: Builder, x: str, y: str, lanes_taken, element: str, lanes: int) -> str:
    type_ = vector(element, lanes)
    taken = list(lanes_taken)
    mask = ", ".join(f"i32 {i}" for i in taken)
    return b.value(f"shufflevector {type_} {x}, {type_} {y}, <{len(taken)} x i32> <{mask}>")


def transpose(b: Builder, rows: list[str], compute: DType) -> list[str]:
    """A square block: as many vectors as they have lanes.

    First inside the 128-bit lanes that x86 shuffles cheaply, then the lanes among themselves.
    """
    lanes = len(rows)
    element = storage_type(compute)
    inner = min(lanes, max(1, 16 // compute.itemsize))
    outer = lanes // inner

    def zip_(x: str, y: str, size: int, unit: int, high: bool) -> str:
        """Interleave pieces of `unit` elements from the low or high half of every group of `size` elements."""
        taken = []
        for group in range(0, lanes, size):
            for piece in range(size // 2 if high else 0, size if high else size // 2, unit):
                taken += [group + piece + i for i in range(unit)]
                taken += [lanes + group + piece + i for i in range(unit)]
        return shuffle(b, x, y, taken, element, lanes)

    def network(values: list[str], size: int, unit: int) -> list[str]:
        half = len(values) // 2
        for _ in range(len(values).bit_length() - 1):
            pairs = [(values[i], values[i + half]) for i in range(half)]
            values = [zip_(x, y, size, unit, high) for x, y in pairs for high in (False, True)]
        return values

    groups = [network(rows[g : g + inner], inner, 1) for g in range(0, lanes, inner)]
    out = [""] * lanes
    for j in range(inner):
        for q, row in enumerate(network([groups[g][j] for g in range(outer)], lanes, inner)):
            out[q * inner + j] = row
    return out
