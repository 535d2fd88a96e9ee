"""Adds up the partial results of a product whose K was split, and writes the sum through the epilogue."""

from __future__ import annotations

from .builder import Builder, Module, literal, storage_type, vector
from .epilogue import Epilogue, emit_epilogue
from .plan import KernelSource, Step
from .product import Parameters, batch_offsets, place_of

M, N, SPLITS, SPLIT_STRIDE, ROW_STRIDE, PANELS, ROW_TILES, WIDTH, HEIGHT, DEPTH, FIRST_OPERAND = range(11)
STRIDES = 5  # per operand
ROWS = 8


def sum_step(epilogue: Epilogue, classes: str, target, roles: tuple, batch: list, m: int, n: int, splits: int,
             split_stride: int, row_stride: int, sizes: tuple, strides: list) -> Step:  # fmt: skip
    """The step that finishes a split product.

    roles: partial sums [batch][split][m][n], then the epilogue's operands. batch: [(size, stride of partial sums,
    strides of operands)]. strides: (row, x, y, z, image) per operand; columns count through `sizes`, width x height x depth,
    and images.
    """
    columns = 4 * max(1, target.vector_bytes // epilogue.compute.itemsize)
    memo = ("sum", classes, target.name)
    source = epilogue.kernels.get(memo)
    if source is None:
        key = f"sum {target.name} {classes}\n{epilogue.text}"

        def emit(module: Module, name: str) -> None:
            _emit(module, name, epilogue, classes, target, columns)

        source = epilogue.kernels[memo] = KernelSource("sum", key, emit)
    panels, row_tiles = -(-n // columns), -(-m // ROWS)
    params = [m, n, splits, split_stride, row_stride, panels, row_tiles, *sizes]
    for s in strides:
        params += s
    params.append(len(batch))
    total = panels * row_tiles
    for size, _, _ in batch:
        params.append(size)
        total *= size
    for _, stride, operands in batch:
        params += (stride, *operands)
    return Step(source, roles, tuple(params), total, max(1, (1 << 15) // (splits * columns * ROWS)))


def _emit(module: Module, name: str, epilogue: Epilogue, classes: str, target, columns: int) -> None:
    b = Builder(module, name, attributes=target.attributes)
    p = Parameters(b)
    count = epilogue.operands
    element = storage_type(epilogue.compute)
    elements = [element, *(storage_type(d) for d in epilogue.dtypes())]
    lanes = max(1, target.vector_bytes // epilogue.compute.itemsize)
    type_ = vector(element, lanes)
    add = "fadd" if epilogue.compute.kind == "f" else "add"
    base = [b.buffer(i) for i in range(1 + count)]
    strides = [Parameters(b, FIRST_OPERAND + STRIDES * i) for i in range(count)]
    tile = b.alloca(element, ROWS * columns)
    per_batch = b.mul(p[PANELS], p[ROW_TILES])
    with b.loop("%begin", "%end", hint="tile") as unit:
        batch, inside = b.udiv(unit.i, per_batch), b.urem(unit.i, per_batch)
        start = batch_offsets(b, batch, FIRST_OPERAND + STRIDES * count, 1 + count)
        pointers = [b.offset(q, o, e) for q, o, e in zip(base, start, elements, strict=True)]
        row = b.mul(b.udiv(inside, p[PANELS]), ROWS)
        column = b.mul(b.urem(inside, p[PANELS]), columns)
        rows = b.min(b.sub(p[M], row), ROWS)
        valid = b.min(b.sub(p[N], column), columns)
        whole = b.sub(valid, b.value(f"srem i64 {valid}, {lanes}"))
        with b.loop(0, rows, hint="row") as i:
            at = b.add(b.mul(b.add(row, i.i), p[ROW_STRIDE]), column)
            source = b.offset(pointers[0], at, element)
            to = b.offset(tile, b.mul(i.i, columns), element)
            for begin, end, step, kind in (("0", whole, lanes, type_), (whole, valid, 1, element)):
                with b.loop(begin, end, step, hint="column") as c:
                    zero = literal(0, element, lanes if kind == type_ else 1)
                    with b.loop(0, p[SPLITS], 1, [(kind, zero)], hint="split") as s:
                        q = b.offset(source, b.add(b.mul(s.i, p[SPLIT_STRIDE]), c.i), element)
                        s.next(b.value(f"{add} {kind} {s.values[0]}, {b.load(kind, q)}"))
                    b.store(kind, s.results[0], b.offset(to, c.i, element), 4)
        starts = [b.offset(q, b.mul(row, s[0]), e) for q, s, e in zip(pointers[1:], strides, elements[1:], strict=True)]

        def locate(c: str) -> tuple:
            place, room = place_of(b, b.add(column, c), p[WIDTH], p[HEIGHT], p[DEPTH])
            out = []
            for q, s, e in zip(starts, strides, elements[1:], strict=True):
                for d, index in enumerate(place):
                    q = b.offset(q, b.mul(index, s[1 + d]), e)
                out.append(q)
            return out, room

        emit_epilogue(b, epilogue, classes, target, tile, columns, rows, valid, strides, locate, lanes)
    b.finish()
