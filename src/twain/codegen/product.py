"""The blocked loops around a micro-kernel: one kernel that computes a product from panels, shared by gemm.py and conv.py.

The result is cut into blocks of `row_tiles` x `panels` tiles. Each block runs over K in fixed blocks of KC (so results
don't depend on threads), keeping its partial sums in its strip's slot of scratch, and writes its tiles through the
epilogue after the last. A strip is a run of blocks: the unit of parallel work. Where a product has too few blocks to
share out, K is split into SPLITS ranges of SPLIT_BLOCKS blocks, each with a result of its own, to be added up later.

Operand addresses are sums of strides given at run time, so the same code reads packed panels and plain matrices:
A at row tile t, row r, K block q, k: `t * a_panel + r * a_row + q * a_block + k * a_k`, B likewise with panels of columns.
A convolution has no matrix B: a `gather` object packs the panels of a block, one K block at a time, into the slot.
"""

from __future__ import annotations

from .builder import Builder, Module, storage_type
from .epilogue import Epilogue, emit_epilogue
from .microkernel import MicroKernel
from .plan import KernelSource

# Positions in params; those of the gather object, strides of operands and batch follow.
(M, N, K, KC, K_BLOCKS, ROW_TILES, PANELS, M_BLOCKS, N_BLOCKS, STRIPS, BLOCKS, A_PANEL, A_ROW, A_K, A_BLOCK,
 B_PANEL, B_STRIDE, B_BLOCK, B_COLUMNS, SLOT, SPLITS, SPLIT_BLOCKS, SPLIT_OUT, FIRST) = range(24)  # fmt: skip


def product_source(micro: MicroKernel, epilogue: Epilogue, classes: str, target, gather=None) -> KernelSource:
    """The kernel for one micro-kernel and epilogue; `classes` are stride classes of the epilogue's operands.

    Buffers: A, B, outputs, extras, scratch of STRIPS * SLOT accumulators (with `gather`, one more: its table).
    Params: the constants above; (row stride, column stride) of each operand; number of batch dims, their sizes; then for
    each batch dim the strides of A, B and the operands. With `gather`: its own constants first, and operands have
    (row stride, x stride, y stride, image stride), see conv.py.
    """
    memo = ("product", micro.text, classes, target.name, gather and gather.text)
    source = epilogue.kernels.get(memo)
    if source is None:
        text = f" {gather.text}" if gather else ""
        key = f"product {micro.text} {target.name} {classes}{text}\n{epilogue.text}"

        def emit(module: Module, name: str) -> None:
            micro.emit(module, name)
            if gather:
                gather.emit(module, name)
            _emit(module, name, micro, epilogue, classes, target, gather)

        source = epilogue.kernels[memo] = KernelSource("convolution" if gather else "product", key, emit)
    return source


def _emit(module: Module, name: str, micro: MicroKernel, epilogue: Epilogue, classes: str, target, gather) -> None:
    b = Builder(module, name, attributes=target.attributes)
    p = [b.parameter(i) for i in range(FIRST)]
    count = epilogue.operands
    base = [b.buffer(i) for i in range(2 + count)]
    scratch = b.buffer(2 + count)
    elements = [storage_type(d) for d in (micro.dtype_a, micro.dtype_b, *epilogue.dtypes())]
    dims = 4 if gather else 2  # strides per operand
    first_operand = FIRST + (gather.parameters if gather else 0)
    strides = [[b.parameter(first_operand + dims * i + d) for d in range(dims)] for i in range(count)]
    batch_at = first_operand + dims * count
    tile_size = micro.rows * micro.columns
    local = b.alloca(micro.element, tile_size)
    several = b.compare("sgt", p[SPLIT_BLOCKS], 1)
    per_batch = b.mul(p[M_BLOCKS], p[N_BLOCKS])
    slot = b.offset(scratch, b.mul("%begin", p[SLOT]), micro.element)
    packed = slot
    if gather:
        geometry = gather.geometry(b)
        slot = b.offset(slot, b.mul(b.mul(p[PANELS], p[KC]), micro.columns), micro.element)
    tiles = b.select(several, "ptr", slot, local)

    with (
        b.loop("%begin", "%end", hint="strip") as strip,
        b.loop(
            b.udiv(b.mul(strip.i, p[BLOCKS]), p[STRIPS]),
            b.udiv(b.mul(b.add(strip.i, 1), p[BLOCKS]), p[STRIPS]),
            hint="block",
        ) as block,
    ):
        split, rest = b.urem(block.i, p[SPLITS]), b.udiv(block.i, p[SPLITS])
        batch, inside = b.udiv(rest, per_batch), b.urem(rest, per_batch)
        start = batch_offsets(b, batch, batch_at, 2 + count)
        pointers = [b.offset(base[i], start[i], elements[i]) for i in range(2 + count)]
        pointers[2] = b.offset(pointers[2], b.mul(split, p[SPLIT_OUT]), elements[2])
        row_tile = b.mul(b.urem(inside, p[M_BLOCKS]), p[ROW_TILES])
        panel = b.mul(b.udiv(inside, p[M_BLOCKS]), p[PANELS])
        row_end = b.min(b.add(row_tile, p[ROW_TILES]), b.udiv(b.add(p[M], micro.rows - 1), micro.rows))
        panel_end = b.min(b.add(panel, p[PANELS]), b.udiv(b.add(p[N], micro.columns - 1), micro.columns))
        first_block = b.mul(split, p[SPLIT_BLOCKS])
        end_block = b.min(b.add(first_block, p[SPLIT_BLOCKS]), p[K_BLOCKS])
        with b.loop(first_block, end_block, hint="kblock") as kb:
            k0 = b.mul(kb.i, p[KC])
            kc = b.min(b.sub(p[K], k0), p[KC])
            first = b.value(f"zext i1 {b.compare('eq', kb.i, first_block)} to i64")
            last = b.compare("eq", b.add(kb.i, 1), end_block)
            a_block = b.offset(pointers[0], b.mul(kb.i, p[A_BLOCK]), elements[0])
            if gather:
                with b.loop(panel, panel_end, hint="gather") as j:
                    to = b.offset(packed, b.mul(b.sub(j.i, panel), p[B_PANEL]), micro.element)
                    gather.call(b, name, pointers[1], b.buffer(3 + count), k0, kc, b.mul(j.i, micro.columns), p[N], to)
                b_block = b.offset(packed, b.sub("0", b.mul(panel, p[B_PANEL])), micro.element)
            else:
                b_block = b.offset(pointers[1], b.mul(kb.i, p[B_BLOCK]), elements[1])
            with b.loop(panel, panel_end, hint="panel") as j, b.loop(row_tile, row_end, hint="tile") as i:
                column, row = b.mul(j.i, micro.columns), b.mul(i.i, micro.rows)
                rows = b.min(b.sub(p[M], row), micro.rows)
                columns = b.min(b.sub(p[N], column), micro.columns)
                number = b.add(b.mul(b.sub(j.i, panel), p[ROW_TILES]), b.sub(i.i, row_tile))
                number = b.select(several, "i64", number, 0)
                tile = b.offset(tiles, b.mul(number, tile_size), micro.element)
                a = b.offset(a_block, b.mul(i.i, p[A_PANEL]), elements[0])
                bb = b.offset(b_block, b.mul(j.i, p[B_PANEL]), elements[1])
                micro.call(
                    b, name, [a, p[A_ROW], p[A_K], bb, p[B_STRIDE], kc, tile, first, rows, columns],
                    b.sub(p[B_COLUMNS], column),
                )  # fmt: skip
                with b.when(last, "write"):
                    starts = []
                    for o in range(count):
                        starts.append(b.offset(pointers[2 + o], b.mul(row, strides[o][0]), elements[2 + o]))

                    def locate(c: str, starts: list = starts, column: str = column) -> tuple:
                        """Pointers to row 0 of the tile at its column c, and how many columns run on from there."""
                        at = b.add(column, c)
                        if gather:
                            place, room = gather.locate(b, geometry, at)
                        else:
                            place, room = [at], None
                        out = []
                        for q, s, e in zip(starts, strides, elements[2:], strict=True):
                            for index, stride in zip(place, s[1:], strict=True):
                                q = b.offset(q, b.mul(index, stride), e)
                            out.append(q)
                        return out, room

                    emit_epilogue(
                        b, epilogue, classes, target, tile, micro.columns, rows, columns, [s[0] for s in strides],
                        [s[1] for s in strides], locate, micro.lanes,
                    )  # fmt: skip
    b.finish()


def batch_offsets(b: Builder, batch: str, position: int, operands: int) -> list[str]:
    """Element offsets of `operands` operands at flat batch number `batch`.

    params[position] is the number of batch dims, their sizes follow, then each dim's strides of all operands.
    """
    dims = b.parameter(position)
    with b.loop(0, dims, 1, [("i64", batch)] + [("i64", "0")] * operands, hint="batch") as loop:
        rest, *offsets = loop.values
        dim = b.sub(b.sub(dims, loop.i), 1)  # the last dim varies fastest
        size = b.parameter(b.add(dim, position + 1))
        index = b.urem(rest, size)
        at = b.add(b.add(b.mul(dim, operands), dims), position + 1)
        new = [b.add(o, b.mul(index, b.parameter(b.add(at, i)))) for i, o in enumerate(offsets)]
        loop.next(b.udiv(rest, size), *new)
    return loop.results[1:]
