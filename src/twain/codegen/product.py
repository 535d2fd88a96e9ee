"""The blocked loops around a micro-kernel: one kernel that computes a product from panels, shared by gemm.py and conv.py.

The result is cut into blocks of `row_tiles` x `panels` tiles. Each block runs over K in fixed blocks of KC (so results
don't depend on threads), keeping its partial sums in its strip's slot of scratch, and writes its tiles through the
epilogue after the last. A strip is a run of blocks: the unit of parallel work.

Operand addresses are sums of strides given at run time, so the same code reads packed panels and plain matrices:
A at row tile t, row r, K block q, k: `t * a_panel + r * a_row + q * a_block + k * a_k`, B likewise with panels of columns.
"""

from __future__ import annotations

from .builder import Builder, Module, storage_type
from .epilogue import Epilogue, emit_epilogue
from .microkernel import MicroKernel
from .plan import KernelSource

# Positions in params; strides of operands and batch follow, see `operand_params`.
(M, N, K, KC, K_BLOCKS, ROW_TILES, PANELS, M_BLOCKS, N_BLOCKS, STRIPS, BLOCKS, A_PANEL, A_ROW, A_K, A_BLOCK,
 B_PANEL, B_STRIDE, B_BLOCK, B_COLUMNS, SLOT, FIRST_OPERAND) = range(21)  # fmt: skip


def product_source(micro: MicroKernel, epilogue: Epilogue, classes: str, target) -> KernelSource:
    """The kernel for one micro-kernel and epilogue; `classes` are stride classes of the epilogue's operands.

    Buffers: A, B, outputs, extras, scratch of STRIPS * SLOT accumulators (only touched if K_BLOCKS > 1).
    Params: the constants above; (row stride, column stride) of each operand; number of batch dims, their sizes; then for
    each batch dim the strides of A, B and the operands.
    """
    memo = ("product", micro.text, classes, target.name)
    source = epilogue.kernels.get(memo)
    if source is None:
        key = f"product {micro.text} {target.name} {classes}\n{epilogue.text}"

        def emit(module: Module, name: str) -> None:
            micro.emit(module, name)
            _emit(module, name, micro, epilogue, classes, target)

        source = epilogue.kernels[memo] = KernelSource("product", key, emit)
    return source


def _emit(module: Module, name: str, micro: MicroKernel, epilogue: Epilogue, classes: str, target) -> None:
    b = Builder(module, name, attributes=target.attributes)
    p = [b.parameter(i) for i in range(FIRST_OPERAND)]
    count = epilogue.operands
    base = [b.buffer(i) for i in range(2 + count)]
    scratch = b.buffer(2 + count)
    elements = [storage_type(d) for d in (micro.dtype_a, micro.dtype_b, *epilogue.dtypes())]
    rows_stride = [b.parameter(FIRST_OPERAND + 2 * i) for i in range(count)]
    columns_stride = [b.parameter(FIRST_OPERAND + 2 * i + 1) for i in range(count)]
    batch_at = FIRST_OPERAND + 2 * count
    tile_size = micro.rows * micro.columns
    local = b.alloca(micro.element, tile_size)
    split = b.compare("sgt", p[K_BLOCKS], 1)
    per_batch = b.mul(p[M_BLOCKS], p[N_BLOCKS])
    slot = b.offset(scratch, b.mul("%begin", p[SLOT]), micro.element)
    tiles = b.select(split, "ptr", slot, local)

    with (
        b.loop("%begin", "%end", hint="strip") as strip,
        b.loop(
            b.udiv(b.mul(strip.i, p[BLOCKS]), p[STRIPS]),
            b.udiv(b.mul(b.add(strip.i, 1), p[BLOCKS]), p[STRIPS]),
            hint="block",
        ) as block,
    ):
        batch, inside = b.udiv(block.i, per_batch), b.urem(block.i, per_batch)
        start = batch_offsets(b, batch, batch_at, 2 + count)
        pointers = [b.offset(base[i], start[i], elements[i]) for i in range(2 + count)]
        row_tile = b.mul(b.urem(inside, p[M_BLOCKS]), p[ROW_TILES])
        panel = b.mul(b.udiv(inside, p[M_BLOCKS]), p[PANELS])
        row_end = b.min(b.add(row_tile, p[ROW_TILES]), b.udiv(b.add(p[M], micro.rows - 1), micro.rows))
        panel_end = b.min(b.add(panel, p[PANELS]), b.udiv(b.add(p[N], micro.columns - 1), micro.columns))
        with b.loop(0, p[K_BLOCKS], hint="kblock") as kb:
            kc = b.min(b.sub(p[K], b.mul(kb.i, p[KC])), p[KC])
            first = b.value(f"zext i1 {b.compare('eq', kb.i, 0)} to i64")
            last = b.compare("eq", b.add(kb.i, 1), p[K_BLOCKS])
            a_block = b.offset(pointers[0], b.mul(kb.i, p[A_BLOCK]), elements[0])
            b_block = b.offset(pointers[1], b.mul(kb.i, p[B_BLOCK]), elements[1])
            with b.loop(panel, panel_end, hint="panel") as j, b.loop(row_tile, row_end, hint="tile") as i:
                column, row = b.mul(j.i, micro.columns), b.mul(i.i, micro.rows)
                columns, rows = b.sub(p[N], column), b.min(b.sub(p[M], row), micro.rows)
                number = b.add(b.mul(b.sub(j.i, panel), p[ROW_TILES]), b.sub(i.i, row_tile))
                number = b.select(split, "i64", number, 0)
                tile = b.offset(tiles, b.mul(number, tile_size), micro.element)
                a = b.offset(a_block, b.mul(i.i, p[A_PANEL]), elements[0])
                bb = b.offset(b_block, b.mul(j.i, p[B_PANEL]), elements[1])
                columns = b.min(columns, micro.columns)
                micro.call(
                    b, name, [a, p[A_ROW], p[A_K], bb, p[B_STRIDE], kc, tile, first, rows, columns],
                    b.sub(p[B_COLUMNS], column),
                )  # fmt: skip
                with b.when(last, "write"):
                    starts = []
                    for o in range(count):
                        at = b.add(b.mul(row, rows_stride[o]), b.mul(column, columns_stride[o]))
                        starts.append(b.offset(pointers[2 + o], at, elements[2 + o]))

                    def locate(c: str, starts: list = starts) -> tuple:
                        offsets = [b.mul(c, s) for s in columns_stride]
                        return [b.offset(q, o, e) for q, o, e in zip(starts, offsets, elements[2:], strict=True)], None

                    emit_epilogue(
                        b, epilogue, classes, target, tile, micro.columns, rows, columns, rows_stride, columns_stride,
                        locate, micro.lanes,
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
