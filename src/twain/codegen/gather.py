"""The matrix B of a convolution, which exists only in pieces: its panels are gathered from a padded image.

First the input is copied once into an image P with everything that addressing would have to ask about settled:
[image][channel][padded plane][padded row][phase][column], zeros where padding is, the compute dtype, and for strided
convolutions the columns dealt out into `phases` (column X lies at phase X % phases, place X // phases), so that
neighbouring outputs read neighbours. Then B[k, column] = P[offset(k) + offset(column)] always holds, for
k = (channel, tap plane, tap row, tap column) and column = (image, output plane, output row, output column).
"""

from __future__ import annotations

from ..base.dtypes import DType
from .builder import Builder, Module, literal, storage_type, vector
from .microkernel import opaque, widen
from .packing import transpose
from .plan import KernelSource
from .product import FIRST, batch_offsets, place_of

SLACK = 64  # elements before and after P that vector loads may touch

# Positions in params, from product.FIRST: output width, height and depth; P's offsets per image, output plane, row and
# column step; phases and their length; taps per row; the width, height and depth that the epilogue counts in (dims merged
# where the result's strides allow).
(WIDTH, HEIGHT, DEPTH, TO_IMAGE, TO_PLANE, TO_ROW, STEP, PHASES, PHASE, TAPS, OUT_WIDTH, OUT_HEIGHT,
 OUT_DEPTH) = range(13)  # fmt: skip
COUNT = 13

_SOURCES: dict = {}


class Gather:
    """Packs panels of `columns` columns for product_source.

    mode "columns": vectors along the output columns, offset(k) comes from a table; PHASES must be the stride.
    mode "taps": vectors along the taps of a row, then transposed, for few output columns and many taps (gradients of
    weights); PHASES must be the kernel's dilation, and the table has one offset per row of taps. Rows of fewer taps than
    a vector has lanes take `lanes` of them.
    """

    parameters = COUNT

    def __init__(self, mode: str, compute: DType, columns: int, lanes: int):
        self.mode = mode
        self.compute = compute
        self.element = storage_type(compute)
        self.columns = columns
        self.lanes = lanes
        self.text = f"gather {mode} {columns} by {lanes}"
        self.name = f"gather_{mode}_{columns}_{lanes}_{compute}"

    def locate(self, b: Builder, column: str) -> tuple:
        """((x, y, z, image), columns left in the row) of a column of the result."""
        return place_of(b, column, *(b.parameter(FIRST + i) for i in (OUT_WIDTH, OUT_HEIGHT, OUT_DEPTH)))

    def call(self, b: Builder, source: str, table: str, k0: str, kc: str, column: str, columns: str, to: str) -> None:
        b.do(
            f"call void @{self.name}(ptr {source}, ptr {table}, ptr %params, i64 {k0}, i64 {kc}, i64 {column}, "
            f"i64 {columns}, ptr {to})"
        )

    def emit(self, module: Module, target) -> None:
        """Write the function that packs `kc` rows from k0 of the panel at `column`; the last column is repeated."""
        if self.name in module.helpers:
            return
        module.helpers.add(self.name)
        arguments = (
            ("ptr", "source"), ("ptr", "table"), ("ptr", "params"), ("i64", "k0"), ("i64", "kc"), ("i64", "column"),
            ("i64", "columns"), ("ptr", "to"),
        )  # fmt: skip
        b = Builder(module, self.name, arguments, target.attributes)
        offsets = b.alloca("i64", self.columns)
        self._column_offsets(b, offsets)
        if self.mode == "columns":
            self._along_columns(b, offsets)
        else:
            self._along_taps(b, offsets)
        b.finish()

    def _column_offsets(self, b: Builder, offsets: str) -> None:
        width, height, depth, image, to_plane, to_row, step, phases, phase = (
            b.parameter(FIRST + i) for i in (WIDTH, HEIGHT, DEPTH, TO_IMAGE, TO_PLANE, TO_ROW, STEP, PHASES, PHASE)
        )
        last = b.sub("%columns", 1)
        start, _ = place_of(b, "%column", width, height, depth)
        with b.loop(0, self.columns, 1, [("i64", v) for v in start], hint="lane") as lane:
            x, y, z, n = lane.values
            if self.mode == "columns":
                place = x
            else:
                at = b.mul(x, step)
                place = b.add(b.mul(b.urem(at, phases), phase), b.udiv(at, phases))
            offset = b.add(b.add(place, b.mul(y, to_row)), b.add(b.mul(z, to_plane), b.mul(n, image)))
            b.store("i64", offset, b.offset(offsets, lane.i, "i64"), 8)
            more = b.compare("slt", b.add(lane.i, "%column"), last)
            new, carry = [], "1"
            for value, size in ((x, width), (y, height), (z, depth)):
                value = b.add(value, carry)
                wrap = b.compare("eq", value, size)
                new.append(b.select(wrap, "i64", 0, value))
                carry = b.value(f"zext i1 {wrap} to i64")
            new.append(b.add(n, carry))
            lane.next(*(b.select(more, "i64", new_, old) for new_, old in zip(new, lane.values)))

    def _along_columns(self, b: Builder, offsets: str) -> None:
        lanes, element = self.lanes, self.element
        type_, wide, bits = vector(element, lanes), vector("i64", lanes), vector("i1", lanes)
        table = b.offset("%table", "%k0", "i64")
        if lanes > 1:
            # A vector of columns is at most two runs of neighbours in P unless rows are shorter than a vector.
            steps = "<" + ", ".join(f"i64 {i}" for i in range(lanes)) + ">"
            left, right, masks, good, single = [], [], [], "true", "true"
            for v in range(0, self.columns, lanes):
                p = b.offset(offsets, v, "i64")
                at = b.load(wide, p, 8)
                low = b.load("i64", p, 8)
                high = b.sub(b.load("i64", b.offset(p, lanes - 1, "i64"), 8), lanes - 1)
                masks_v = []
                for start in (low, high):
                    run = b.value(f"add {wide} {b.splat(start, 'i64', lanes)}, {steps}")
                    masks_v.append(b.value(f"icmp eq {wide} {at}, {run}"))
                either = b.value(f"or {bits} {masks_v[0]}, {masks_v[1]}")
                all_ = b.value(f"icmp eq i{lanes} {b.value(f'bitcast {bits} {either} to i{lanes}')}, -1")
                good = b.value(f"and i1 {good}, {all_}")
                one = b.value(f"and i1 {all_}, {b.compare('eq', low, high)}")
                single = b.value(f"and i1 {single}, {one}")
                left.append(opaque(b, "ptr", b.offset("%source", low, element)))
                right.append(opaque(b, "ptr", b.offset("%source", high, element)))
                masks.append(masks_v[0])

            def vectors(runs: int) -> None:
                with b.loop(0, "%kc", hint="k") as k:
                    offset = b.load("i64", b.offset(table, k.i, "i64"), 8)
                    to = b.offset("%to", b.mul(k.i, self.columns), element)
                    for v, mask in enumerate(masks):
                        x = b.load(type_, b.offset(left[v], offset, element))
                        if runs == 2:
                            y = b.load(type_, b.offset(right[v], offset, element))
                            x = b.value(f"select {bits} {mask}, {type_} {x}, {type_} {y}")
                        b.store(type_, x, b.offset(to, v * lanes, element))
                b.branch(done)

            one_run, several, two_runs, slow, done = (b.new_label(h) for h in ("one", "more", "two", "slow", "packed"))
            b.branch_if(single, one_run, several)
            b.label(one_run)
            vectors(1)
            b.label(several)
            b.branch_if(good, two_runs, slow)
            b.label(two_runs)
            vectors(2)
            b.label(slow)
        with b.loop(0, "%kc", hint="k") as k:
            source = b.offset("%source", b.load("i64", b.offset(table, k.i, "i64"), 8), element)
            to = b.offset("%to", b.mul(k.i, self.columns), element)
            for i in range(self.columns):
                at = b.load("i64", b.offset(offsets, i, "i64"), 8)
                b.store(element, b.load(element, b.offset(source, at, element)), b.offset(to, i, element))
        if lanes > 1:
            b.branch(done)
            b.label(done)

    def _along_taps(self, b: Builder, offsets: str) -> None:
        lanes, element = self.lanes, self.element
        type_ = vector(element, lanes)
        taps = b.parameter(FIRST + TAPS)
        end = b.add("%k0", "%kc")
        after = b.add(b.udiv(b.sub(end, 1), taps), 1)
        with b.loop(b.udiv("%k0", taps), b.select(b.compare("sgt", "%kc", 0), "i64", after, 0), hint="run") as run:
            begin = b.max("%k0", b.mul(run.i, taps))
            length = b.sub(b.min(end, b.mul(b.add(run.i, 1), taps)), begin)
            at = b.load("i64", b.offset("%table", run.i, "i64"), 8)
            source = b.offset("%source", b.add(at, b.urem(begin, taps)), element)
            to = b.offset("%to", b.mul(b.sub(begin, "%k0"), self.columns), element)
            whole = "0"
            if lanes > 1:
                # the last piece of a run overlaps the one before: the same values are written again
                whole = b.select(b.compare("sge", length, lanes), "i64", length, 0)
                for v in range(0, self.columns, lanes):
                    pointers = []
                    for i in range(lanes):
                        lane = b.load("i64", b.offset(offsets, v + i, "i64"), 8)
                        pointers.append(opaque(b, "ptr", b.offset(source, lane, element)))
                    with b.loop(0, whole, lanes, hint="k") as k:
                        place = b.min(k.i, b.sub(length, lanes))
                        block = transpose(
                            b, [b.load(type_, b.offset(q, place, element)) for q in pointers], self.compute
                        )
                        for i, row in enumerate(block):
                            row_at = b.add(b.mul(b.add(place, i), self.columns), v)
                            b.store(type_, row, b.offset(to, row_at, element))
            with b.loop(whole, length, hint="k") as k, b.loop(0, self.columns, hint="lane") as lane:
                at = b.add(b.load("i64", b.offset(offsets, lane.i, "i64"), 8), k.i)
                row_at = b.add(b.mul(k.i, self.columns), lane.i)
                b.store(element, b.load(element, b.offset(source, at, element)), b.offset(to, row_at, element))


# Params of the padding kernel: rows, phases and their length in P; height and width of the source; where its first row
# and column lie in P; strides of the source's rows and columns; planes in P, the source's depth, where its first plane
# lies, the source's stride and P's per plane; then batch dims with strides of source and P.
(PAD_ROWS, PAD_PHASES, PAD_PHASE, PAD_H, PAD_W, PAD_TOP, PAD_LEFT, PAD_STRIDE_H, PAD_STRIDE_W, PAD_PLANES, PAD_D, PAD_FRONT,
 PAD_STRIDE_D, PAD_PLANE, PAD_BATCH) = range(15)  # fmt: skip


def pad_source(dtype: DType, compute: DType, unit: bool, phases: int, target) -> KernelSource:
    """The kernel that makes P; `unit`: the source's column stride is 1. Extent: planes."""
    mode = {1: "unit", 2: "pairs"}.get(phases, "any") if unit else "any"
    memo = ("pad", dtype, compute, mode, target.name)
    source = _SOURCES.get(memo)
    if source is None:
        key = f"pad {dtype}->{compute} {mode} {target.name}"

        def emit(module: Module, name: str) -> None:
            _emit_pad(module, name, dtype, compute, mode, target)

        source = _SOURCES[memo] = KernelSource("pad", key, emit)
    return source


def _emit_pad(module: Module, name: str, dtype: DType, compute: DType, mode: str, target) -> None:
    b = Builder(module, name, attributes=target.attributes)
    stored, element = storage_type(dtype), storage_type(compute)
    lanes = max(1, target.vector_bytes // compute.itemsize)
    with b.loop("%begin", "%end", hint="plane") as plane:
        planes = b.parameter(PAD_PLANES)
        z = b.urem(plane.i, planes)
        from_, to_ = batch_offsets(b, b.udiv(plane.i, planes), PAD_BATCH, 2)
        to_ = b.add(to_, b.mul(z, b.parameter(PAD_PLANE)))
        z = b.sub(z, b.parameter(PAD_FRONT))
        from_ = b.add(from_, b.mul(z, b.parameter(PAD_STRIDE_D)))
        source, padded = b.offset(b.buffer(0), from_, stored), b.offset(b.buffer(1), to_, element)
        # a plane before or behind the source's has no rows to copy
        height = b.select(b.compare("ult", z, b.parameter(PAD_D)), "i64", b.parameter(PAD_H), 0)
        if mode == "unit":
            _pad_unit(b, source, padded, height, dtype, compute, lanes)
        elif mode == "pairs":
            _pad_pairs(b, source, padded, height, dtype, compute, lanes)
        else:
            _pad_any(b, source, padded, height, dtype, compute)
    b.finish()


def _pad_unit(b: Builder, source: str, padded: str, h: str, dtype: DType, compute: DType, lanes: int) -> None:
    """Each row of the plane from one of the source or from zeros, by vectors that fit into it."""
    done = b.new_label("padded")
    if dtype.itemsize >= 4:  # narrower elements can't be masked everywhere
        for size in (lanes, lanes // 2):
            if size < 4:
                continue
            yes, no = b.new_label("vectors"), b.new_label("short")
            b.branch_if(b.compare("sge", b.parameter(PAD_PHASE), size), yes, no)
            b.label(yes)
            _pad_masked(b, source, padded, h, dtype, compute, size)
            b.branch(done)
            b.label(no)
    _pad_copied(b, source, padded, h, dtype, compute, lanes)
    b.branch(done)
    b.label(done)


def _pad_masked(b: Builder, source: str, padded: str, h: str, dtype: DType, compute: DType, size: int) -> None:
    """Rows are at least `size` long: their last vector overlaps the one before."""
    rows, phase, w, top, left, stride_h = (
        b.parameter(i) for i in (PAD_ROWS, PAD_PHASE, PAD_W, PAD_TOP, PAD_LEFT, PAD_STRIDE_H)
    )
    stored, element = storage_type(dtype), storage_type(compute)
    wide, steps = vector("i32", size), "<" + ", ".join(f"i32 {i}" for i in range(size)) + ">"
    last = b.sub(phase, size)
    with b.loop(0, rows, hint="row") as row:
        y = b.sub(row.i, top)
        width = b.splat(b.value(f"trunc i64 {b.select(b.compare('ult', y, h), 'i64', w, 0)} to i32"), "i32", size)
        line = b.offset(source, b.mul(y, stride_h), stored)
        to = b.offset(padded, b.mul(row.i, phase), element)
        with b.loop(0, phase, size, hint="x") as x:
            at = b.min(x.i, last)
            place = b.sub(at, left)
            places = b.value(f"add {wide} {b.splat(b.value(f'trunc i64 {place} to i32'), 'i32', size)}, {steps}")
            mask = b.value(f"icmp ult {wide} {places}, {width}")
            v = b.masked_load(stored, size, b.offset(line, place, stored), mask)
            b.store(vector(element, size), widen(b, v, dtype, compute, size), b.offset(to, at, element))


def _pad_copied(b: Builder, source: str, padded: str, h: str, dtype: DType, compute: DType, lanes: int) -> None:
    """Zero the plane, then copy the rows into it."""
    rows, phase, w, top, left, stride_h = (
        b.parameter(i) for i in (PAD_ROWS, PAD_PHASE, PAD_W, PAD_TOP, PAD_LEFT, PAD_STRIDE_H)
    )
    stored, element = storage_type(dtype), storage_type(compute)
    _clear(b, padded, b.mul(rows, phase), element, lanes)
    # Columns [begin, end) of P come from the source. top and left may be negative: cropping.
    begin = b.min(b.max(left, 0), phase)
    end = b.max(begin, b.min(phase, b.add(left, w)))
    length = b.sub(end, begin)
    with b.loop(b.max(0, b.sub("0", top)), b.min(h, b.sub(rows, top)), hint="row") as y:
        line = b.offset(source, b.add(b.mul(y.i, stride_h), b.sub(begin, left)), stored)
        to = b.offset(padded, b.add(b.mul(b.add(y.i, top), phase), begin), element)
        done, size = "0", lanes
        while size >= 4 or size == lanes:  # short rows in vectors as long as fit; the last one overlaps the one before
            whole = b.select(b.compare("sge", length, size), "i64", length, 0)
            with b.loop(done, whole, size, hint="x") as x:
                at = b.min(x.i, b.sub(length, size))
                v = b.load(vector(stored, size), b.offset(line, at, stored))
                b.store(vector(element, size), widen(b, v, dtype, compute, size), b.offset(to, at, element))
            done, size = whole, size // 2
        with b.loop(done, length, hint="x") as x:
            v = widen(b, b.load(stored, b.offset(line, x.i, stored)), dtype, compute, 1)
            b.store(element, v, b.offset(to, x.i, element))


def _clear(b: Builder, start: str, size: str, element: str, lanes: int) -> None:
    whole = b.sub(size, b.value(f"urem i64 {size}, {lanes}"))
    with b.loop(0, whole, lanes, hint="zero") as x:
        b.store(vector(element, lanes), literal(0, element, lanes), b.offset(start, x.i, element))
    with b.loop(whole, size, hint="zero") as x:
        b.store(element, literal(0, element), b.offset(start, x.i, element))


def _pad_pairs(b: Builder, source: str, padded: str, h: str, dtype: DType, compute: DType, lanes: int) -> None:
    """_pad_unit with two phases: even and odd columns apart."""
    rows, phase, w, top, left, stride_h = (
        b.parameter(i) for i in (PAD_ROWS, PAD_PHASE, PAD_W, PAD_TOP, PAD_LEFT, PAD_STRIDE_H)
    )
    stored, element = storage_type(dtype), storage_type(compute)
    type_ = vector(stored, lanes)
    _clear(b, padded, b.mul(b.mul(rows, phase), 2), element, lanes)
    order = ", ".join(f"i32 {i if i < lanes else i + 1}" for i in range(0, 2 * lanes, 2))
    with (
        b.loop(b.max(0, b.sub("0", top)), b.min(h, b.sub(rows, top)), hint="row") as y,
        b.loop(0, 2, hint="phase") as f,
    ):
        line = b.offset(source, b.mul(y.i, stride_h), stored)
        row = b.mul(b.add(b.mul(b.add(y.i, top), 2), f.i), phase)
        # place holds the source's column 2 * place + shift
        shift = b.sub(f.i, left)
        begin = b.max(b.value(f"ashr i64 {b.sub(1, shift)}, 1"), 0)
        end = b.max(begin, b.min(phase, b.value(f"ashr i64 {b.add(b.sub(w, shift), 1)}, 1")))
        length = b.sub(end, begin)
        first = b.offset(line, b.add(b.mul(begin, 2), shift), stored)
        to = b.offset(padded, b.add(row, begin), element)
        whole = "0"
        if lanes > 1:
            whole = b.select(b.compare("sge", length, lanes), "i64", length, 0)
            with b.loop(0, whole, lanes, hint="x") as x:
                at = b.min(x.i, b.sub(length, lanes))
                q = b.offset(first, b.mul(at, 2), stored)
                one, two = b.load(type_, q), b.load(type_, b.offset(q, lanes - 1, stored))
                v = b.value(f"shufflevector {type_} {one}, {type_} {two}, <{lanes} x i32> <{order}>")
                b.store(vector(element, lanes), widen(b, v, dtype, compute, lanes), b.offset(to, at, element))
        with b.loop(whole, length, hint="x") as x:
            v = widen(b, b.load(stored, b.offset(first, b.mul(x.i, 2), stored)), dtype, compute, 1)
            b.store(element, v, b.offset(to, x.i, element))


def _pad_any(b: Builder, source: str, padded: str, h: str, dtype: DType, compute: DType) -> None:
    rows, phases, phase, _, w, top, left, stride_h, stride_w = (b.parameter(i) for i in range(PAD_PLANES))
    stored, element = storage_type(dtype), storage_type(compute)
    with b.loop(0, rows, hint="row") as row, b.loop(0, phases, hint="phase") as f:
        y = b.sub(row.i, top)
        width = b.select(b.compare("ult", y, h), "i64", w, 0)
        line = b.offset(source, b.mul(y, stride_h), stored)
        part = b.offset(padded, b.mul(b.add(b.mul(row.i, phases), f.i), phase), element)
        with b.loop(0, phase, hint="x") as place:
            x = b.sub(b.add(b.mul(place.i, phases), f.i), left)
            b.store(element, literal(0, element), b.offset(part, place.i, element))
            with b.when(b.compare("ult", x, width)):
                v = b.load(stored, b.offset(line, b.mul(x, stride_w), stored))
                b.store(element, widen(b, v, dtype, compute, 1), b.offset(part, place.i, element))


# Params of the table kernel: taps per row, rows and planes of taps; P's offsets per channel, tap plane and tap row;
# phases, their length, and the dilation of a row's taps. With one tap it makes the table of rows.
TABLE = 9


def table_source(target) -> KernelSource:
    """The kernel that writes offset(k) for all k, int64. Extent: channels."""
    source = _SOURCES.get(target.name)
    if source is None:

        def emit(module: Module, name: str) -> None:
            b = Builder(module, name, attributes=target.attributes)
            taps, rows, planes, channel, to_plane, to_row, phases, phase, dilation = (
                b.parameter(i) for i in range(TABLE)
            )
            table = b.buffer(0)
            with b.loop("%begin", "%end") as c, b.loop(0, planes) as plane, b.loop(0, rows) as row:
                start = b.add(b.add(b.mul(c.i, channel), b.mul(plane.i, to_plane)), b.mul(row.i, to_row))
                first = b.mul(b.add(b.mul(b.add(b.mul(c.i, planes), plane.i), rows), row.i), taps)
                with b.loop(0, taps) as tap:
                    x = b.mul(tap.i, dilation)
                    place = b.add(b.mul(b.urem(x, phases), phase), b.udiv(x, phases))
                    b.store("i64", b.add(start, place), b.offset(table, b.add(first, tap.i), "i64"), 8)
            b.finish()

        source = _SOURCES[target.name] = KernelSource("taps", f"taps {target.name}", emit)
    return source
