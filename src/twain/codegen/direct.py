"""Convolutions with few features per group (depthwise ones, those that end in an image): no panels are gathered, the padded
image P is read where it lies. P and its offsets are those of gather.py.

In direct_step a unit of work is `lines` output rows of one image and group: all features (few) and `vectors` vectors of
columns at a time stay in registers while k runs over the taps. In sums_step, for gradients of weights, it is a few sums
over long rows of taps.
"""

from __future__ import annotations

from ..base.dtypes import DType
from .builder import Builder, Module, literal, storage_type, vector
from .epilogue import Epilogue, emit_epilogue, stride_classes
from .microkernel import sum_lanes
from .plan import KernelSource, Step
from .product import Parameters, place_of

MOST_FEATURES = 4
SUMS = 12  # registers for sums
MOST_LINES, MOST_VECTORS = 8, 4

(ROWS, WIDTH, DEPTH, GROUPS, K, TO_ROW, TO_PLANE, TO_GROUP, TO_IMAGE, BLOCKS, FIRST_OPERAND) = range(11)
STRIDES = 6  # per operand: row, x, y, z, group, image


def tile(features: int, rows: int, width: int, lanes: int) -> tuple[int, int]:
    """(lines, vectors) in registers at a time."""
    vectors = min(MOST_VECTORS, max(1, SUMS // features), -(-width // lanes))
    lines = max(1, min(MOST_LINES, SUMS // (features * vectors), rows))
    return -(-rows // -(-rows // lines)), vectors  # as even as possible


def direct_step(epilogue: Epilogue, target, roles: tuple, features: int, n: int, groups: int, k: int, sizes: tuple,
                steps: tuple, strides: list) -> Step:  # fmt: skip
    """The step that computes one residue.

    roles: packed weights [group][k][feature], P, its table, then the epilogue's operands. sizes: output depth, rows, width;
    steps: P's offsets per output row, plane, group and image. strides: (row, x, y, z, group, image) per operand.
    """
    lanes = max(1, target.vector_bytes // epilogue.compute.itemsize)
    depth, rows, width = sizes
    lines, vectors = tile(features, rows, width, lanes)
    classes = stride_classes([s[1] for s in strides] if width > 1 else [1] * len(strides))
    memo = ("direct", features, lines, vectors, classes, target.name)
    source = epilogue.kernels.get(memo)
    if source is None:
        key = f"direct {features}x{lines}x{vectors} {target.name} {classes}\n{epilogue.text}"

        def emit(module: Module, name: str) -> None:
            _emit(module, name, epilogue, classes, target, features, lines, vectors)

        source = epilogue.kernels[memo] = KernelSource("direct", key, emit)
    blocks = -(-rows // lines)
    params = [rows, width, depth, groups, k, *steps, blocks]
    for s in strides:
        params += s
    work = features * lines * width * k
    return Step(source, roles, tuple(params), n * groups * depth * blocks, max(1, (1 << 17) // max(1, work)))


def _emit(
    module: Module, name: str, epilogue: Epilogue, classes: str, target, features: int, lines: int, vectors: int
) -> None:
    b = Builder(module, name, attributes=target.attributes)
    p = Parameters(b)
    compute: DType = epilogue.compute
    element, count = storage_type(compute), epilogue.operands
    elements = [storage_type(d) for d in epilogue.dtypes()]
    lanes = max(1, target.vector_bytes // compute.itemsize)
    type_, columns = vector(element, lanes), vectors * lanes
    strides = [Parameters(b, FIRST_OPERAND + STRIDES * i) for i in range(count)]
    sums_tile = b.alloca(element, features * lines * columns)
    table = b.buffer(2)
    with b.loop("%begin", "%end", hint="unit") as unit:
        blocks, depth, groups = p[BLOCKS], p[DEPTH], p[GROUPS]
        y = b.mul(b.urem(unit.i, blocks), lines)
        rest = b.udiv(unit.i, blocks)
        z, rest = b.urem(rest, depth), b.udiv(rest, depth)
        group, image = b.urem(rest, groups), b.udiv(rest, groups)
        rows = b.min(b.sub(p[ROWS], y), lines)
        last = b.sub(rows, 1)
        at = b.add(b.mul(image, p[TO_IMAGE]), b.mul(group, p[TO_GROUP]))
        at = b.add(at, b.add(b.mul(z, p[TO_PLANE]), b.mul(y, p[TO_ROW])))
        source = b.offset(b.buffer(1), at, element)
        weights = b.offset(b.buffer(0), b.mul(group, b.mul(p[K], features)), element)
        starts = [b.offset(source, b.mul(b.min(i, last), p[TO_ROW]), element) for i in range(lines)]
        places = []
        for i in range(count):
            s = strides[i]
            offset = b.add(b.mul(image, s[5]), b.add(b.mul(group, s[4]), b.add(b.mul(z, s[3]), b.mul(y, s[2]))))
            places.append(b.offset(b.buffer(3 + i), offset, elements[i]))
        with b.loop(0, p[WIDTH], columns, hint="columns") as x:
            pointers = [b.offset(start, x.i, element) for start in starts]
            zero = (type_, literal(0, element, lanes))
            with b.loop(0, p[K], 1, [zero] * (features * lines * vectors), hint="k") as k:
                offset = b.load("i64", b.offset(table, k.i, "i64"), 8)
                factors = []
                for f in range(features):
                    w = b.load(element, b.offset(weights, b.add(b.mul(k.i, features), f), element))
                    factors.append(b.splat(w, element, lanes))
                sums = list(k.values)
                for line, pointer in enumerate(pointers):
                    q = b.offset(pointer, offset, element)
                    for v in range(vectors):
                        seen = b.load(type_, b.offset(q, v * lanes, element))
                        for f, w in enumerate(factors):
                            i = (f * lines + line) * vectors + v
                            sums[i] = _multiply_add(b, target, type_, w, seen, sums[i])
                k.next(*sums)
            for i, total in enumerate(k.results):
                b.store(type_, total, b.offset(sums_tile, i * lanes, element), 4)
            valid = b.min(b.sub(p[WIDTH], x.i), columns)
            with b.loop(0, features, hint="feature") as f:
                mine = b.offset(sums_tile, b.mul(f.i, lines * columns), element)
                first = []
                for place, s, e in zip(places, strides, elements):
                    first.append(b.offset(place, b.add(b.mul(f.i, s[0]), b.mul(x.i, s[1])), e))

                def locate(c: str, first: list = first) -> tuple:
                    moved = [b.offset(q, b.mul(c, s[1]), e) for q, s, e in zip(first, strides, elements)]
                    return moved, None

                pairs = [(s[2], s[1]) for s in strides]
                emit_epilogue(
                    b, epilogue, classes, target, mine, columns, rows, valid, pairs, locate, lanes
                )  # fmt: skip
    b.finish()


# ---------------------------------------------------------------- few features, few places, long sums
(RUNS, IMAGES, TAPS, SUM_WIDTH, SUM_HEIGHT, SUM_DEPTH, SUM_COUNT, SUM_TO_ROW, SUM_TO_PLANE, SUM_TO_GROUP, SUM_TO_IMAGE, STEP,
 PHASES, PHASE, FEATURES, SUM_BLOCKS, SUM_FIRST) = range(17)  # fmt: skip


def sums_step(epilogue: Epilogue, target, roles: tuple, features: int, n: int, groups: int, taps: tuple, sizes: tuple,
              steps: tuple, phases: tuple, strides: list) -> Step:  # fmt: skip
    """The step that computes one residue with long rows of taps and few places, as gradients of weights have them.

    roles: packed weights [group][feature][k], P, its table of tap rows, then the epilogue's operands. taps: (images that
    are summed over, tap rows in each, taps in a row); sizes: output depth, rows, width; steps: P's offsets per output row,
    plane, group and image; phases: (column step, phases, their length). strides as in direct_step.
    """
    depth, rows, width = sizes
    count = n * depth * rows * width
    inner = depth * rows * width
    blocks = -(-inner // SUMS)
    columns = -(-inner // blocks)
    blocks = -(-count // columns)
    classes = stride_classes([s[1] for s in strides] if width > 1 else [1] * len(strides))
    memo = ("sums", columns, classes, target.name)
    source = epilogue.kernels.get(memo)
    if source is None:
        key = f"sums {columns} {target.name} {classes}\n{epilogue.text}"

        def emit(module: Module, name: str) -> None:
            _emit_sums(module, name, epilogue, classes, target, columns)

        source = epilogue.kernels[memo] = KernelSource("sums", key, emit)
    images, runs, length = taps
    params = [runs, images, length, width, rows, depth, count, *steps, *phases, features, blocks]
    for s in strides:
        params += s
    work = columns * images * runs * length
    return Step(source, roles, tuple(params), groups * features * blocks, max(1, (1 << 17) // max(1, work)))


def _emit_sums(module: Module, name: str, epilogue: Epilogue, classes: str, target, columns: int) -> None:
    """Vectors along a row of taps; each image's products are added up before they join the total."""
    b = Builder(module, name, attributes=target.attributes)
    p = Parameters(b)
    compute: DType = epilogue.compute
    element, count = storage_type(compute), epilogue.operands
    elements = [storage_type(d) for d in epilogue.dtypes()]
    lanes = max(1, target.vector_bytes // compute.itemsize)
    type_ = vector(element, lanes)
    strides = [Parameters(b, SUM_FIRST + STRIDES * i) for i in range(count)]
    totals, tile_ = b.alloca(element, columns * lanes), b.alloca(element, columns)
    table, zero = b.buffer(2), literal(0, element, lanes)
    rest = b.value(f"srem i64 {p[TAPS]}, {lanes}")
    mask = b.lane_mask(rest, lanes) if lanes > 1 else ""
    with b.loop("%begin", "%end", hint="unit") as unit:
        block, above = b.urem(unit.i, p[SUM_BLOCKS]), b.udiv(unit.i, p[SUM_BLOCKS])
        feature, group = b.urem(above, p[FEATURES]), b.udiv(above, p[FEATURES])
        first = b.mul(block, columns)
        valid = b.min(b.sub(p[SUM_COUNT], first), columns)
        source = b.offset(b.buffer(1), b.mul(group, p[SUM_TO_GROUP]), element)
        runs, taps = p[RUNS], p[TAPS]
        per_image = b.mul(runs, taps)
        weights = b.offset(b.buffer(0), b.mul(above, b.mul(per_image, p[IMAGES])), element)
        pointers = []
        for i in range(columns):
            column = b.add(first, b.min(i, b.sub(valid, 1)))
            (x, y, z, image), _ = place_of(b, column, p[SUM_WIDTH], p[SUM_HEIGHT], p[SUM_DEPTH])
            at = b.mul(x, p[STEP])
            at = b.add(b.mul(b.urem(at, p[PHASES]), p[PHASE]), b.udiv(at, p[PHASES]))
            at = b.add(at, b.add(b.mul(y, p[SUM_TO_ROW]), b.mul(z, p[SUM_TO_PLANE])))
            pointers.append(b.offset(source, b.add(at, b.mul(image, p[SUM_TO_IMAGE])), element))
        for i in range(columns):
            b.store(type_, zero, b.offset(totals, i * lanes, element), 4)

        def step(run: str, x: str, start: str, sums: list, masked: bool) -> list:
            def fetch(q: str) -> str:
                return b.masked_load(element, lanes, q, mask) if masked else b.load(type_, q)

            left = fetch(b.offset(start, x, element))
            at = b.add(run, x)
            return [
                _multiply_add(b, target, type_, left, fetch(b.offset(q, at, element)), s)
                for q, s in zip(pointers, sums)
            ]

        with b.loop(0, p[IMAGES], hint="image") as image:
            base = b.offset(weights, b.mul(image.i, per_image), element)
            with b.loop(0, runs, 1, [(type_, zero)] * columns, hint="run") as run:
                start = b.offset(base, b.mul(run.i, taps), element)
                number = b.add(b.mul(image.i, runs), run.i)
                offset = b.load("i64", b.offset(table, number, "i64"), 8)
                carried = [(type_, v) for v in run.values]
                with b.loop(0, b.sub(taps, lanes - 1), lanes, carried, hint="x") as x:
                    x.next(*step(offset, x.i, start, x.values, masked=False))
                sums = x.results
                if lanes > 1:
                    before, more, done = b.block, b.new_label("rest"), b.new_label("row_end")
                    b.branch_if(b.compare("sgt", rest, 0), more, done)
                    b.label(more)
                    after = step(offset, x.i, start, sums, masked=True)
                    b.branch(done)
                    b.label(done)
                    sums = [b.value(f"phi {type_} [ {u}, %{before} ], [ {v}, %{more} ]") for u, v in zip(sums, after)]
                run.next(*sums)
            for i, s in enumerate(run.results):
                q = b.offset(totals, i * lanes, element)
                b.store(type_, b.value(f"fadd {type_} {b.load(type_, q, 4)}, {s}"), q, 4)
        for i in range(columns):
            total = sum_lanes(b, b.load(type_, b.offset(totals, i * lanes, element), 4), element, lanes)
            b.store(element, total, b.offset(tile_, i, element), 4)
        starts = []
        for i, (s, e) in enumerate(zip(strides, elements)):
            starts.append(b.offset(b.buffer(3 + i), b.add(b.mul(group, s[4]), b.mul(feature, s[0])), e))

        def locate(c: str) -> tuple:
            (x, y, z, image), room = place_of(b, b.add(first, c), p[SUM_WIDTH], p[SUM_HEIGHT], p[SUM_DEPTH])
            out = []
            for q, s, e in zip(starts, strides, elements):
                at = b.add(b.add(b.mul(x, s[1]), b.mul(y, s[2])), b.add(b.mul(z, s[3]), b.mul(image, s[5])))
                out.append(b.offset(q, at, e))
            return out, room

        pairs = [(s[0], s[1]) for s in strides]
        emit_epilogue(b, epilogue, classes, target, tile_, columns, "1", valid, pairs, locate, lanes)
    b.finish()


def _multiply_add(b: Builder, target, type_: str, x: str, y: str, z: str) -> str:
    if target.has_fma:
        return b.fma(x, y, z, type_)
    return b.value(f"fadd {type_} {b.value(f'fmul {type_} {x}, {y}')}, {z}")
