"""Register tiles of matrix products: what the inner loops of gemm.py and conv.py run on.

A micro-kernel adds a block of a product to a tile of accumulators in memory (row-major, `rows` x `columns`, the
compute dtype): `micro(a, a_row, a_k, b, b_stride, kc, tile, to, to_row, first, rows_valid, columns_valid)`. Strides are in
elements. Kinds of which `in_result` says so write the sums to `to`, a part of the result or the tile itself, with `to_row`
between rows; `first` != 0 starts from zero instead of the tile's content. Rows beyond `rows_valid` repeat the last valid
one, so nothing outside the operands is read and their results are never looked at. Five ways of walking:

- `outer`: the tile lives in registers, one k at a time: a column of A (broadcast) times a row of B (vectors along n).
- `panels`: the same for operands that are both packed into panels as wide as the tile. One more argument, `ahead`, points
  to what will be needed soon: it is prefetched, a line every fourth k.
- `mixed`: the same where only B is packed, and A lies anywhere.
- `dot`: for operands whose k stride is 1: vectors along k, summed across lanes at the end.
- `stream`: few rows and a long B (vector times matrix): B is read once, in memory order, and the tile sits in L1.
"""

from __future__ import annotations

from ..base import dtypes as dt
from ..base.dtypes import DType
from .builder import Builder, Module, literal, storage_type, vector

ARGUMENTS = (
    ("ptr", "a"), ("i64", "a_row"), ("i64", "a_k"), ("ptr", "b"), ("i64", "b_stride"), ("i64", "kc"), ("ptr", "tile"),
    ("ptr", "to"), ("i64", "to_row"), ("i64", "first"), ("i64", "rows_valid"), ("i64", "columns_valid"),
)  # fmt: skip
PACKED = ("panels", "mixed")
PANEL_ARGUMENTS = (*ARGUMENTS, ("ptr", "ahead"))
LINE = 64  # bytes
UNROLL = 4  # steps of k in one turn of the loop over panels


def compute_dtype(dtype: DType) -> DType:
    """What a product of `dtype` values is accumulated in: half precision in float32, everything else in itself."""
    return dt.float32 if dtype in (dt.bfloat16, dt.float16) else dtype


def widen(b: Builder, value: str, dtype: DType, compute: DType, lanes: int) -> str:
    """A loaded value (storage type of `dtype`) as the compute dtype."""
    if dtype is compute:
        return value
    target = vector(storage_type(compute), lanes)
    if dtype is dt.bfloat16:
        bits = vector("i32", lanes)
        wide = b.value(f"zext {vector('i16', lanes)} {value} to {bits}")
        high = b.value(f"shl {bits} {wide}, {literal(16, 'i32', lanes)}")
        single = b.value(f"bitcast {bits} {high} to {vector('float', lanes)}")
        return single if compute is dt.float32 else b.value(f"fpext {vector('float', lanes)} {single} to {target}")
    source = vector(storage_type(dtype), lanes)
    if dtype is dt.float16:
        half = vector("half", lanes)
        value, source = b.value(f"bitcast {source} {value} to {half}"), half
    if dtype.kind == "f":
        return b.value(f"fpext {source} {value} to {target}")
    if compute.kind == "f":
        return b.value(f"{'sitofp' if dtype.kind == 'i' else 'uitofp'} {source} {value} to {target}")
    return b.value(f"{'sext' if dtype.kind == 'i' else 'zext'} {source} {value} to {target}")


def multiply_add(b: Builder, micro: MicroKernel, x: str, y: str, z: str) -> str:
    """x * y + z on vectors: fused for floating elements where the target can, wrapping for integers."""
    type_ = vector(micro.element, micro.lanes)
    floating = micro.compute.kind == "f"
    if floating and micro.target.has_fma:
        return b.fma(x, y, z, type_)
    prefix = "f" if floating else ""
    product = b.value(f"{prefix}mul {type_} {x}, {y}")
    return b.value(f"{prefix}add {type_} {product}, {z}")


class MicroKernel:
    """One way of computing a tile. `rows` x `columns` is its size, `text` goes into the kernel's key."""

    def __init__(self, kind: str, dtype_a: DType, dtype_b: DType, compute: DType, target, rows: int, columns: int):
        self.kind = kind
        self.dtype_a = dtype_a
        self.dtype_b = dtype_b
        self.compute = compute
        self.element = storage_type(compute)
        self.lanes = max(1, target.vector_bytes // compute.itemsize)
        self.target = target
        self.rows = rows
        self.columns = columns
        self.in_result = kind in PACKED or kind == "outer"
        # columns of a second kernel, for the last panel: a vector less
        self.narrow = columns - self.lanes if kind in PACKED else 0
        self.text = f"{kind} {rows}x{columns} {dtype_a}*{dtype_b}->{compute}"

    @property
    def name(self) -> str:
        return f"{self.kind}_{self.rows}x{self.columns}_{self.dtype_a}_{self.dtype_b}_{self.compute}"

    def emit(self, module: Module) -> None:
        """Add the functions that `call` uses to the module; kernels in one module share them."""
        if self.name in module.helpers:
            return
        module.helpers.add(self.name)
        if self.kind == "outer":
            _outer(self, module, self.name, narrow=False)
            _outer(self, module, self.name + "_narrow", narrow=True)
        elif self.kind in PACKED:
            _panels(self, module, self.name, self.columns // self.lanes, UNROLL)
            if self.narrow:
                _panels(self, module, f"{self.name}_narrow", self.narrow // self.lanes, UNROLL // 2)
        elif self.kind == "dot":
            _dot(self, module, self.name)
        else:
            _stream(self, module, self.name)

    def call(self, b: Builder, values: list, loadable: str, ahead: str) -> None:
        """Call it; `values` in the order of ARGUMENTS, `loadable`: how many columns of B are there to be read."""
        name, arguments = f"@{self.name}", ARGUMENTS
        if self.kind == "outer":
            values = [*values[:-1], b.min(loadable, self.columns)]
            name = b.value(f"select i1 {b.compare('sge', values[-1], self.lanes)}, ptr {name}, ptr {name}_narrow")
        elif self.kind in PACKED:
            if self.narrow:
                fits = b.compare("sle", values[-1], self.narrow)
                name = b.value(f"select i1 {fits}, ptr {name}_narrow, ptr {name}")
            values, arguments = [*values, ahead], PANEL_ARGUMENTS
        b.do(f"call void {name}({', '.join(f'{t} {v}' for (t, _), v in zip(arguments, values, strict=True))})")


def outer_kernel(dtype_a: DType, dtype_b: DType, compute: DType, target) -> MicroKernel:
    """The register tile for operands that lie anywhere: 6 x 2 vectors with 16 registers, 8 x 2 with 32."""
    lanes = max(1, target.vector_bytes // compute.itemsize)
    return MicroKernel("outer", dtype_a, dtype_b, compute, target, 8 if target.registers >= 32 else 6, 2 * lanes)


def panel_kernels(kind: str, dtype_a: DType, compute: DType, target) -> list[MicroKernel]:
    """Register tiles for a packed B, the fastest first. kind: "panels" or "mixed"."""
    lanes = max(1, target.vector_bytes // compute.itemsize)
    sizes = ((8, 3), (8, 2)) if target.registers >= 32 else ((6, 2), (4, 3))
    if kind == "mixed" and target.registers < 32:
        sizes = sizes[:1]
    return [MicroKernel(kind, dtype_a, compute, compute, target, rows, n * lanes) for rows, n in sizes]


def dot_kernel(dtype_a: DType, dtype_b: DType, compute: DType, target, single_row: bool) -> MicroKernel:
    """For unit k strides; `single_row` for a vector times a matrix."""
    lanes = max(1, target.vector_bytes // compute.itemsize)
    return MicroKernel("dot", dtype_a, dtype_b, compute, target, 1 if single_row else 6, 16 if lanes <= 8 else 32)


def stream_kernel(dtype_a: DType, dtype_b: DType, compute: DType, target) -> MicroKernel:
    """For few rows: the tile is 2 KiB wide."""
    return MicroKernel("stream", dtype_a, dtype_b, compute, target, 8, 2048 // compute.itemsize)


def _row_pointers(b: Builder, base: str, stride: str, count: int, element: str) -> list[str]:
    """Pointers to `count` rows, the last valid row standing in for those beyond."""
    last = b.sub("%rows_valid", 1)
    return [b.offset(base, b.mul(b.min(i, last), stride), element) for i in range(count)]


def _result_rows(b: Builder, count: int, element: str) -> list[str]:
    """Pointers to the rows of the result, found anew wherever they are needed rather than kept."""
    stride = opaque(b, "i64", "%to_row")
    return [b.offset("%to", b.mul(i, stride), element) for i in range(count)]


def opaque(b: Builder, type_: str, value: str) -> str:
    """`value`, with its origin hidden from the compiler.

    Loop strength reduction otherwise rewrites the addresses of unrolled steps into more base registers than there are.
    """
    return b.value(f'call {type_} asm "", "=r,0"({type_} {value})')


def _outer(micro: MicroKernel, module: Module, name: str, narrow: bool) -> None:
    """The register tile. `narrow`: fewer columns than lanes, one masked vector; else at least one whole vector, and
    vectors that would reach beyond the last column overlap the one before (both then hold the same sums)."""
    rows, lanes, element = micro.rows, micro.lanes, micro.element
    vectors = 1 if narrow else micro.columns // lanes
    type_ = vector(element, lanes)
    a_element, b_element = storage_type(micro.dtype_a), storage_type(micro.dtype_b)
    b = Builder(module, name, ARGUMENTS, micro.target.attributes)
    pointers = [opaque(b, "ptr", p) for p in _row_pointers(b, "%a", "%a_row", rows, a_element)]
    mask = b.lane_mask("%columns_valid", lanes) if narrow else ""
    limit = b.sub("%columns_valid", lanes)
    places = ["0"] + [b.min(v * lanes, limit) for v in range(1, vectors)]

    def step(a_offset: str, b_pointer: str, sums: list) -> list:
        row = []
        for place in places:
            p = b.offset(b_pointer, place, b_element)
            loaded = b.masked_load(b_element, lanes, p, mask) if narrow else b.load(vector(b_element, lanes), p)
            row.append(widen(b, loaded, micro.dtype_b, micro.compute, lanes))
        out = list(sums)
        for i in range(rows):
            scalar = b.load(a_element, b.offset(pointers[i], a_offset, a_element))
            left = b.splat(widen(b, scalar, micro.dtype_a, micro.compute, 1), element, lanes)
            for v in range(vectors):
                out[i * vectors + v] = multiply_add(b, micro, left, row[v], out[i * vectors + v])
        return out

    tile = [
        b.offset(b.offset("%tile", i * micro.columns, element), place, element) for i in range(rows) for place in places
    ]
    start, go = b.new_label("load"), b.new_label("go")
    b.branch_if(b.compare("ne", "%first", 0), go, start)
    b.label(start)
    held = [b.load(type_, t, 4) for t in tile]
    b.branch(go)
    b.label(go)
    sums = [b.value(f"phi {type_} [ {literal(0, element, lanes)}, %entry ], [ {h}, %{start} ]") for h in held]
    unroll = 4 if vectors > 1 else 2
    carried = [("i64", "0"), ("ptr", "%b"), *((type_, s) for s in sums)]
    with b.loop(0, b.sub("%kc", unroll - 1), unroll, carried, hint="k") as loop:
        a_offset, pointer, *sums = loop.values
        for _ in range(unroll):
            sums = step(a_offset, pointer, sums)
            a_offset = opaque(b, "i64", b.add(a_offset, "%a_k"))
            pointer = opaque(b, "ptr", b.offset(pointer, "%b_stride", b_element))
        loop.next(a_offset, pointer, *sums)
    a_offset, pointer, *sums = loop.results
    carried = [("i64", a_offset), ("ptr", pointer), *((type_, s) for s in sums)]
    with b.loop(loop.i, "%kc", 1, carried, hint="rest") as rest:
        a_offset, pointer, *sums = rest.values
        sums = step(a_offset, pointer, sums)
        rest.next(b.add(a_offset, "%a_k"), b.offset(pointer, "%b_stride", b_element), *sums)
    result = [b.offset(row, place, element) for row in _result_rows(b, rows, element) for place in places]
    for total, t in zip(rest.results[2:], result, strict=True):
        b.store(type_, total, t, 4)
    b.finish()


def _panels(micro: MicroKernel, module: Module, name: str, vectors: int, unroll: int) -> None:
    """The register tile for a packed B: its strides are constants, and panels are as wide as the tile, so there are no
    edges. The first `vectors` vectors of a row are computed. A is packed too, rows side by side, or lies anywhere."""
    rows, lanes, element = micro.rows, micro.lanes, micro.element
    type_, a_element = vector(element, lanes), storage_type(micro.dtype_a)
    b = Builder(module, name, PANEL_ARGUMENTS, micro.target.attributes)
    packed = micro.kind == "panels"
    if not packed:
        pointers = [opaque(b, "ptr", p) for p in _row_pointers(b, "%a", "%a_row", rows, a_element)]
    a_type, a_start = ("ptr", "%a") if packed else ("i64", "0")  # what goes along A: an offset of all rows

    def step(a: str, panel: str, k: int, sums: list) -> list:
        row = [b.load(type_, b.offset(panel, k * micro.columns + v * lanes, element)) for v in range(vectors)]
        out = []
        for i in range(rows):
            place = b.offset(a, k * rows + i, element) if packed else b.offset(pointers[i], a, a_element)
            left = b.splat(widen(b, b.load(a_element, place), micro.dtype_a, micro.compute, 1), element, lanes)
            out += [multiply_add(b, micro, left, row[v], sums[i * vectors + v]) for v in range(vectors)]
        return out

    def steps(begin: str, end: str, unroll: int, a: str, panel: str, sums: list) -> tuple[str, list]:
        carried = [(a_type, a), ("ptr", panel), *((type_, s) for s in sums)]
        with b.loop(begin, end, unroll, carried, hint="k") as loop:
            a, panel, *sums = loop.values
            for k in range(unroll):
                sums = step(a, panel, k, sums)
                if not packed:
                    a = opaque(b, "i64", b.add(a, "%a_k"))
            if unroll > 1:  # into L2: L1 is full of this panel
                b.prefetch(b.offset("%ahead", b.mul(loop.i, LINE // micro.compute.itemsize // unroll), element), 2)
            if packed:
                a = opaque(b, "ptr", b.offset(a, unroll * rows, element))
            loop.next(a, opaque(b, "ptr", b.offset(panel, unroll * micro.columns, element)), *sums)
        return loop.i, loop.results

    # The tile's old content is on its way while the sums grow, and joins them at the end.
    tile = [b.offset("%tile", i * micro.columns + v * lanes, element) for i in range(rows) for v in range(vectors)]

    def result() -> list:
        return [b.offset(row, v * lanes, element) for row in _result_rows(b, rows, element) for v in range(vectors)]

    with b.when(b.compare("eq", "%first", 0), "old"):
        for t in tile:
            b.prefetch(t)
    with b.when(b.compare("ne", "%to", "%tile", "ptr"), "result"):
        for t in result():
            b.prefetch(t)
    sums = [literal(0, element, lanes)] * len(tile)
    done, (a, panel, *sums) = steps("0", b.sub("%kc", unroll - 1), unroll, a_start, "%b", sums)
    _, (_, _, *sums) = steps(done, "%kc", 1, a, panel, sums)
    plus = "fadd" if micro.compute.kind == "f" else "add"
    add, new, stored = b.new_label("add"), b.new_label("new"), b.new_label("stored")
    b.branch_if(b.compare("ne", "%first", 0), new, add)
    b.label(add)
    for total, t, to in zip(sums, tile, result(), strict=True):
        b.store(type_, b.value(f"{plus} {type_} {b.load(type_, t, 4)}, {total}"), to, 4)
    b.branch(stored)
    b.label(new)
    for total, to in zip(sums, result(), strict=True):
        b.store(type_, total, to, 4)
    b.branch(stored)
    b.label(stored)
    b.finish()


def _dot(micro: MicroKernel, module: Module, name: str) -> None:
    lanes, element, compute = micro.lanes, micro.element, micro.compute
    many = micro.target.registers >= 32
    sub_rows, sub_columns = (1, 8) if micro.rows == 1 else (6, 4) if many else (3, 4)
    type_ = vector(element, lanes)
    a_element, b_element = storage_type(micro.dtype_a), storage_type(micro.dtype_b)
    floating = element in ("float", "double")
    b = Builder(module, name, ARGUMENTS, micro.target.attributes)
    last_row, last_column = b.sub("%rows_valid", 1), b.sub("%columns_valid", 1)
    whole = b.sub("%kc", lanes - 1)
    rest = b.value(f"srem i64 %kc, {lanes}")
    mask = b.lane_mask(rest, lanes) if lanes > 1 else ""
    first = b.compare("ne", "%first", 0)
    zero = literal(0, element)

    def step(left: list, right: list, offset: str, sums: list, masked: bool) -> list:
        def fetch(pointer: str, stored: str, dtype: DType) -> str:
            p = b.offset(pointer, offset, stored)
            v = b.masked_load(stored, lanes, p, mask) if masked else b.load(vector(stored, lanes), p)
            return widen(b, v, dtype, compute, lanes)

        held = [fetch(p, a_element, micro.dtype_a) for p in left]  # the columns pass through one register
        out = list(sums)
        for j, p in enumerate(right):
            y = fetch(p, b_element, micro.dtype_b)
            for i, x in enumerate(held):
                at = i * len(right) + j
                out[at] = multiply_add(b, micro, x, y, sums[at])
        return out

    with (
        b.loop(0, "%columns_valid", sub_columns, hint="column") as column,
        b.loop(0, "%rows_valid", sub_rows, hint="row") as row,
    ):
        left = [
            opaque(b, "ptr", b.offset("%a", b.mul(b.min(b.add(row.i, i), last_row), "%a_row"), a_element))
            for i in range(sub_rows)
        ]
        right = [
            opaque(b, "ptr", b.offset("%b", b.mul(b.min(b.add(column.i, j), last_column), "%b_stride"), b_element))
            for j in range(sub_columns)
        ]
        count = sub_rows * sub_columns
        with b.loop(0, whole, lanes, [(type_, literal(0, element, lanes))] * count, hint="k") as loop:
            loop.next(*step(left, right, loop.i, loop.values, masked=False))
        sums = loop.results
        if lanes > 1:
            before, tail, done = b.block, b.new_label("tail"), b.new_label("sum")
            b.branch_if(b.compare("sgt", rest, 0), tail, done)
            b.label(tail)
            more = step(left, right, loop.i, sums, masked=True)
            b.branch(done)
            b.label(done)
            sums = [
                b.value(f"phi {type_} [ {x}, %{before} ], [ {y}, %{tail} ]") for x, y in zip(sums, more, strict=True)
            ]
        for i in range(sub_rows):
            for j in range(sub_columns):
                total = sum_lanes(b, sums[i * sub_columns + j], element, lanes)
                at = b.add(b.mul(b.add(row.i, i), micro.columns), b.add(column.i, j))
                p = b.offset("%tile", at, element)
                old = b.select(first, element, zero, b.load(element, p, 4))
                b.store(element, b.value(f"{'fadd' if floating else 'add'} {element} {old}, {total}"), p, 4)
    b.finish()


def sum_lanes(b: Builder, value: str, element: str, lanes: int) -> str:
    if lanes == 1:
        return value
    type_ = vector(element, lanes)
    suffix = f"v{lanes}{ {'float': 'f32', 'double': 'f64'}.get(element, element) }"
    if element in ("float", "double"):
        name = f"llvm.vector.reduce.fadd.{suffix}"
        b.module.declarations.add(f"declare {element} @{name}({element}, {type_})")
        return b.value(f"call reassoc {element} @{name}({element} {literal(-0.0, element)}, {type_} {value})")
    return b.call(element, f"llvm.vector.reduce.add.{suffix}", (type_, value))


def _stream(micro: MicroKernel, module: Module, name: str) -> None:
    lanes, element = micro.lanes, micro.element
    type_ = vector(element, lanes)
    a_element, b_element = storage_type(micro.dtype_a), storage_type(micro.dtype_b)
    b = Builder(module, name, ARGUMENTS, micro.target.attributes)
    last_row = b.sub("%rows_valid", 1)
    rest = b.value(f"srem i64 %columns_valid, {lanes}")
    whole = b.sub("%columns_valid", rest)
    mask = b.lane_mask(rest, lanes) if lanes > 1 else ""
    with b.when(b.compare("ne", "%first", 0), "zero"), b.loop(0, "%rows_valid", hint="clear") as row:
        start = b.offset("%tile", b.mul(row.i, micro.columns), element)
        with b.loop(0, "%columns_valid", lanes) as column:
            b.store(type_, literal(0, element, lanes), b.offset(start, column.i, element), 4)

    def walk(begin: str, end: str, depth: int) -> str:
        """k from begin to end, `depth` rows of B at a time; returns the first k not done."""
        with b.loop(begin, end, depth, hint="k") as k:
            source = b.offset("%b", b.mul(k.i, "%b_stride"), b_element)
            sources = [opaque(b, "ptr", b.offset(source, b.mul("%b_stride", u), b_element)) for u in range(depth)]
            distance = b.mul("%b_stride", depth)
            with b.loop(0, "%rows_valid", 2, hint="rows") as row:
                factors = []
                for i in range(2):
                    start = b.offset("%a", b.mul(b.min(b.add(row.i, i), last_row), "%a_row"), a_element)
                    for u in range(depth):
                        p = b.offset(start, b.mul(b.add(k.i, u), "%a_k"), a_element)
                        scalar = widen(b, b.load(a_element, p), micro.dtype_a, micro.compute, 1)
                        factors.append(b.splat(scalar, element, lanes))
                tiles = [b.offset("%tile", b.mul(b.add(row.i, i), micro.columns), element) for i in range(2)]

                def columns(at: str, masked: bool) -> None:
                    places = [b.offset(t, at, element) for t in tiles]
                    sums = [b.load(type_, p, 4) for p in places]
                    for u in range(depth):
                        p = b.offset(sources[u], at, b_element)
                        if depth > 1 and not masked:  # the next rows: too short a run to be foreseen
                            ahead = b.offset(p, distance, b_element)
                            b.prefetch(ahead)
                        v = b.masked_load(b_element, lanes, p, mask) if masked else b.load(vector(b_element, lanes), p)
                        v = widen(b, v, micro.dtype_b, micro.compute, lanes)
                        sums = [multiply_add(b, micro, factors[i * depth + u], v, sums[i]) for i in range(2)]
                    for p, s in zip(places, sums, strict=True):
                        b.store(type_, s, p, 4)

                with b.loop(0, whole, lanes, hint="column") as column:
                    columns(column.i, masked=False)
                if lanes > 1:
                    with b.when(b.compare("sgt", rest, 0), "columns"):
                        columns(whole, masked=True)
        return k.i

    done = walk("0", b.sub("%kc", 3), 4)
    walk(done, "%kc", 1)
    b.finish()
