"""The blocked loops around a micro-kernel: one kernel that computes a product from panels, for gemm.py and conv.py.

The result is cut into blocks of `row_tiles` x `panels` tiles. Each block runs over K in fixed blocks of KC (so results
don't depend on threads), keeping its partial sums in its strip's slot of scratch, and writes its tiles through the
epilogue after the last. Where the epilogue only stores, the last sums of whole tiles go straight to the result. A strip is
a run of blocks: the unit of parallel work. Where a product has too few blocks to share out, K is split into SPLITS ranges
of SPLIT_BLOCKS blocks, each with a result of its own, to be added up later.

Operand addresses are sums of strides given at run time, so the same code reads packed panels and plain matrices:
A at row tile t, row r, K block q, k: `t * a_panel + r * a_row + q * a_block + k * a_k`, B likewise by panels of
columns.
A convolution has no matrix B: a `gather` object packs the panels of a block, one K block at a time, into the slot.
"""

from __future__ import annotations

from .builder import Builder, Module, storage_type
from .epilogue import Epilogue, emit_epilogue, only_store
from .microkernel import LINE, PACKED, UNROLL, MicroKernel
from .plan import KernelSource

# Positions in params; those of the gather object, strides of operands and batch follow.
(M, N, K, KC, K_BLOCKS, ROW_TILES, PANELS, M_BLOCKS, N_BLOCKS, STRIPS, BLOCKS, A_PANEL, A_ROW, A_K, A_BLOCK,
 B_PANEL, B_STRIDE, B_BLOCK, B_COLUMNS, SLOT, SPLITS, SPLIT_BLOCKS, SPLIT_OUT, FIRST) = range(24)  # fmt: skip


class Parameters:
    """The int64s of params from `first` on, loaded where they are used: kept in registers from the start of these deep
    loops they would only be spilled, and take the register allocator most of its time."""

    def __init__(self, b: Builder, first: int = 0):
        self.b = b
        self.first = first

    def __getitem__(self, i: int) -> str:
        return self.b.parameter(self.first + i)


def product_source(micro: MicroKernel, epilogue: Epilogue, classes: str, target, gather=None) -> KernelSource:
    """The kernel for one micro-kernel and epilogue; `classes` are stride classes of the epilogue's operands.

    Buffers: A, B, outputs, extras, scratch of STRIPS * SLOT accumulators (with `gather`, one more: its table).
    Params: the constants above; (row stride, column stride) of each operand; number of batch dims, their sizes; then
    for each batch dim the strides of A, B and the operands. With `gather`: its own constants first, and operands have
    (row, x, y, z, image) strides, see conv.py.
    """
    memo = ("product", micro.text, classes, target.name, gather and gather.text)
    source = epilogue.kernels.get(memo)
    if source is None:
        text = f" {gather.text}" if gather else ""
        key = f"product {micro.text} {target.name} {classes}{text}\n{epilogue.text}"

        def emit(module: Module, name: str) -> None:
            micro.emit(module)
            if gather:
                gather.emit(module, target)
            _emit(module, name, micro, epilogue, classes, target, gather)

        source = epilogue.kernels[memo] = KernelSource("convolution" if gather else "product", key, emit)
    return source


def _emit(module: Module, name: str, micro: MicroKernel, epilogue: Epilogue, classes: str, target, gather) -> None:
    b = Builder(module, name, attributes=target.attributes)
    p = Parameters(b)
    count = epilogue.operands
    elements = [storage_type(d) for d in (micro.dtype_a, micro.dtype_b, *epilogue.dtypes())]
    dims = 5 if gather else 2  # strides per operand
    first_operand = FIRST + (gather.parameters if gather else 0)
    strides = [Parameters(b, first_operand + dims * i) for i in range(count)]
    batch_at = first_operand + dims * count
    tile_size = micro.rows * micro.columns
    # Tiles above one another are written out together: what the epilogue needs to know per column is found once.
    together = 1 if micro.kind == "stream" else 16
    local = b.alloca(micro.element, together * tile_size)
    several = b.compare("sgt", p[SPLIT_BLOCKS], 1)
    per_batch = b.mul(p[M_BLOCKS], p[N_BLOCKS])
    slot = b.offset(b.buffer(2 + count), b.mul("%begin", p[SLOT]), micro.element)
    packed = slot
    if gather:
        slot = b.offset(slot, b.mul(p[KC], micro.columns), micro.element)
    tiles = b.select(several, "ptr", slot, local)
    only_stores = epilogue.text == only_store(micro.compute).text and classes == "1"
    in_result = micro.in_result and only_stores and not gather

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
        pointers = [b.offset(b.buffer(i), start[i], elements[i]) for i in range(2 + count)]
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
            b_block = packed if gather else b.offset(pointers[1], b.mul(kb.i, p[B_BLOCK]), elements[1])
            with b.loop(panel, panel_end, hint="panel") as j:
                column = b.mul(j.i, micro.columns)
                if gather:  # used at once by all rows: it does not leave the nearest cache
                    gather.call(b, pointers[1], b.buffer(3 + count), k0, kc, column, p[N], packed)
                with b.loop(row_tile, row_end, together, hint="stack") as stack:
                    row = b.mul(stack.i, micro.rows)
                    columns = b.min(b.sub(p[N], column), micro.columns)
                    stack_end = b.min(b.add(stack.i, together), row_end)
                    bb = packed if gather else b.offset(b_block, b.mul(j.i, p[B_PANEL]), elements[1])
                    number = b.add(b.mul(b.sub(j.i, panel), p[ROW_TILES]), b.sub(stack.i, row_tile))
                    number = b.select(several, "i64", number, 0)
                    tile = b.offset(tiles, b.mul(number, tile_size), micro.element)
                    loadable = b.sub(p[B_COLUMNS], column)
                    if in_result:
                        whole = b.compare("eq", columns, micro.columns)
                        if micro.narrow:
                            whole = b.value(f"or i1 {whole}, {b.compare('eq', columns, micro.narrow)}")
                    # The tiles of a panel bring the next one near, or the next K block's first, a piece each.
                    ahead = bb
                    if micro.kind in PACKED and not gather:
                        more = b.compare("slt", b.add(j.i, 1), panel_end)
                        following = b.mul(b.select(more, "i64", b.add(j.i, 1), panel), p[B_PANEL])
                        following = b.add(following, b.select(more, "i64", 0, p[B_BLOCK]))
                        ahead = b.offset(b_block, following, elements[1])
                    with b.loop(stack.i, stack_end, hint="tile") as i:
                        a = b.offset(a_block, b.mul(i.i, p[A_PANEL]), elements[0])
                        at = b.offset(tile, b.mul(b.sub(i.i, stack.i), tile_size), micro.element)
                        rows = b.min(b.sub(p[M], b.mul(i.i, micro.rows)), micro.rows)
                        to, to_row = at, str(micro.columns)
                        if in_result:
                            place = b.add(b.mul(b.mul(i.i, micro.rows), strides[0][0]), column)
                            inside = b.value(f"and i1 {whole}, {b.compare('eq', rows, micro.rows)}")
                            inside = b.value(f"and i1 {inside}, {last}")
                            to = b.select(inside, "ptr", b.offset(pointers[2], place, micro.element), at)
                            to_row = b.select(inside, "i64", strides[0][0], to_row)
                        if gather:  # this panel is near, A's next K block is not
                            coming = b.offset(a, p[A_BLOCK], elements[0])
                        else:
                            part = b.mul(b.sub(i.i, row_tile), b.udiv(kc, UNROLL))
                            coming = b.offset(ahead, b.mul(part, LINE // micro.compute.itemsize), micro.element)
                        micro.call(
                            b,
                            [a, p[A_ROW], p[A_K], bb, p[B_STRIDE], kc, at, to, to_row, first, rows, columns],
                            loadable,
                            coming,
                        )
                    rows = b.sub(b.min(p[M], b.mul(stack_end, micro.rows)), row)
                    if in_result:
                        rest = b.value(f"srem i64 {rows}, {micro.rows}")
                        there = b.select(whole, "i64", b.sub(rows, rest), 0)
                        row, rows = b.add(row, there), b.sub(rows, there)
                        tile = b.offset(tile, b.mul(there, micro.columns), micro.element)
                        left = b.value(f"and i1 {last}, {b.compare('sgt', rows, 0)}")
                    with b.when(left if in_result else last, "write"):
                        starts = []
                        for o in range(count):
                            starts.append(b.offset(pointers[2 + o], b.mul(row, strides[o][0]), elements[2 + o]))

                        def locate(c: str, starts: list = starts, column: str = column) -> tuple:
                            """Pointers to row 0 of the tile at its column c, and how many columns run on from there."""
                            at = b.add(column, c)
                            if gather:
                                place, room = gather.locate(b, at)
                            else:
                                place, room = [at], None
                            out = []
                            for q, s, e in zip(starts, strides, elements[2:], strict=True):
                                for d, index in enumerate(place):
                                    q = b.offset(q, b.mul(index, s[1 + d]), e)
                                out.append(q)
                            return out, room

                        emit_epilogue(
                            b,
                            epilogue,
                            classes,
                            target,
                            tile,
                            micro.columns,
                            rows,
                            columns,
                            strides,
                            locate,
                            micro.lanes,
                        )
    b.finish()


def place_of(b: Builder, column: str, width: str, height: str, depth: str) -> tuple:
    """([x, y, z, image], columns left in the row) of a column of a convolution's result."""
    x, row = b.urem(column, width), b.udiv(column, width)
    y, plane = b.urem(row, height), b.udiv(row, height)
    return [x, y, b.urem(plane, depth), b.udiv(plane, depth)], b.sub(width, x)


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
