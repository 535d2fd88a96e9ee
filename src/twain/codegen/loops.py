"""Loop kernels: elementwise maps, row kernels (reductions along the last axes with what comes before and after), and
column reductions. What a kernel computes is an `Expr` DAG over its operands; sizes and strides come at run time.

See `kernel.py` for their descriptions and the order of parameters.
"""

from __future__ import annotations

from ..base import dtypes as dt
from ..base.dtypes import DType
from . import expr as E
from .builder import Builder, Module
from .kernel import (
    CONTIGUOUS,
    EVEN,
    EVERY_SECOND,
    FIXED,
    GATHERED,
    IOTA,
    NUMBER,
    ODD,
    SCALAR,
    LoopKernel,
    accumulator_dtype,
    column_width,
    cost,
    lanes_for,
)
from .lanes import LaneEmitter

DECIDED = 64  # vectors after which any and all look whether they know already
BLOCK = 4096  # vectors folded in registers before they join a row's running total (bounds rounding error)
WORTH_A_STORE = 16  # an expression this costly is stored and loaded again rather than computed twice
Expr = E.Expr


def identity(combine: str, dtype: DType) -> Expr:
    """The constant that leaves a fold unchanged."""
    if combine in ("add", "or"):
        return E.const(0, dtype)
    if combine in ("mul", "and"):
        return E.const(1, dtype)
    largest = combine in ("min", "argmin")
    if dtype.kind == "f":
        return E.const(float("inf") if largest else float("-inf"), dtype)
    if dtype.kind == "u":
        return E.const(2**dtype.bits - 1 if largest else 0, dtype)
    return E.const(2 ** (dtype.bits - 1) - 1 if largest else -(2 ** (dtype.bits - 1)), dtype)


def fold(combine: str, a: Expr, b: Expr) -> Expr:
    """One step of a fold."""
    if combine == "add":
        return a + b
    if combine == "mul":
        return a * b
    if combine == "max":
        return E.maximum(a, b)
    if combine == "min":
        return E.minimum(a, b)
    return (a | b) if combine == "or" else (a & b)


def pick(combine: str, a: tuple, b: tuple) -> tuple:
    """One step of argmax/argmin on (value, index) pairs: NaN wins, ties go to the smaller index."""
    (va, ia), (vb, ib) = a, b
    better = vb > va if combine == "argmax" else vb < va
    if va.dtype.kind == "f":
        a_nan, b_nan = E.ne(va, va), E.ne(vb, vb)
        better = better | (b_nan & ~a_nan)
        better = better & ~(a_nan & ~b_nan)
        tie = E.eq(va, vb) | (a_nan & b_nan)
    else:
        tie = E.eq(va, vb)
    take = better | (tie & (ib < ia))
    return E.select(take, vb, va), E.select(take, ib, ia)


def emit_kernel(module: Module, name: str, kernel: LoopKernel, target) -> None:
    """Write the kernel's function into `module`."""
    writer = {
        "map": MapWriter,
        "rows": RowsWriter,
        "columns": ColumnsWriter,
        "scatter": ScatterWriter,
        "gather": GatherWriter,
    }[kernel.kind]
    writer(module, name, kernel, target).write()


class KernelWriter:
    """What the three kinds share: operand addressing, loads, loop invariants, the vector loop with its tail."""

    def __init__(self, module: Module, name: str, kernel: LoopKernel, target):
        self.kernel = kernel
        self.target = target
        self.lanes = self.lanes_wanted()
        self.b = Builder(module, name, attributes=target.attributes)
        self.em = LaneEmitter(self.b, self.lanes, target)
        self.operands = [*kernel.inputs, *(o for o, _, _ in kernel.outputs)]
        self.axes = kernel.outer + kernel.reduced
        b = self.b
        self.sizes = [b.parameter(a) for a in range(self.axes)]
        self.strides = []
        for i, o in enumerate(self.operands):
            if o.pattern in (SCALAR, NUMBER, GATHERED):
                self.strides.append(["0"] * self.axes)
            else:
                self.strides.append([b.parameter(self.axes * (1 + i) + a) for a in range(self.axes)])
        # iotas and numbers have no buffer: their "pointer" is the index that the iota starts from, or the number
        starts = self.axes * (1 + len(self.operands))
        self.bases = []
        for i, o in enumerate(self.operands):
            if o.pattern in (IOTA, NUMBER):
                self.bases.append(b.parameter(starts))
                starts += 1
            else:
                self.bases.append(b.buffer(i))
        self.em.gather_bases = self.bases
        self.fixed: dict[Expr, object] = {}
        for i, o in enumerate(kernel.inputs):
            if o.pattern == SCALAR:
                self.fixed[E.load(i, o.dtype)] = self.em.read(self.bases[i], o.dtype, stride=0)
            elif o.pattern == NUMBER:
                self.fixed[E.load(i, o.dtype)] = self.em.iota(self.bases[i], "0")

    def lanes_wanted(self) -> int:
        return lanes_for(self.kernel, self.target)

    def moved(self, operand: int, base: str, offset: str) -> str:
        """`base` advanced by `offset` elements."""
        o = self.operands[operand]
        if o.pattern == IOTA:
            return self.b.add(base, offset)
        return self.em.advance(base, offset, o.dtype)

    def located(self, indices: list, axes: range, bases: list) -> list:
        """All operands' bases at `indices` (one register per axis of `axes`)."""
        result = []
        for i, o in enumerate(self.operands):
            base = bases[i]
            if o.pattern not in (SCALAR, NUMBER, GATHERED):
                offset = "0"
                for a, index in zip(axes, indices):
                    offset = self.b.add(offset, self.b.mul(index, self.strides[i][a]))
                base = self.moved(i, base, offset)
            result.append(base)
        return result

    def decompose(self, row: str, sizes: list) -> list:
        """A flat index into one index per axis."""
        indices = []
        for size in reversed(sizes[1:]):
            indices.append(self.b.urem(row, size))
            row = self.b.udiv(row, size)
        indices.append(row)
        return list(reversed(indices))

    def element(self, operand: int, base: str, i: str, axis: int, count: str | None):
        """The vector of input `operand` from index i on along `axis` (count: valid lanes, None for all)."""
        o = self.operands[operand]
        if o.pattern == FIXED:
            return self.em.read(base, o.dtype, stride=0)
        if o.pattern == IOTA:
            return self.em.iota(
                self.b.add(base, self.b.mul(i, self.strides[operand][axis])), self.strides[operand][axis]
            )
        if o.pattern == CONTIGUOUS:
            return self.em.read(self.em.advance(base, i, o.dtype), o.dtype, count=count)
        if o.pattern == EVERY_SECOND:
            return self.em.read_every_second(self.em.advance(base, self.b.mul(i, 2), o.dtype), o.dtype, count)
        stride = self.strides[operand][axis]
        return self.em.read(self.em.advance(base, self.b.mul(i, stride), o.dtype), o.dtype, count=count, stride=stride)

    def put(self, operand: int, base: str, i: str, axis: int, count: str | None, value) -> None:
        o = self.operands[operand]
        if o.pattern == CONTIGUOUS:
            self.em.write(value, self.em.advance(base, i, o.dtype), o.dtype, count)
            return
        stride = self.strides[operand][axis]
        pointer = self.em.advance(base, self.b.mul(i, stride), o.dtype)
        self.em.write(value, pointer, o.dtype, count, stride)

    def hoist(self, roots: list, known: dict, moving: set) -> dict:
        """Values of the largest sub-expressions that don't depend on `moving` loads, computed here and now."""
        order = E.walk(roots)
        varies: set[Expr] = set()
        for e in order:
            if e in moving or e.op == "variable" or any(a in varies for a in e.args):
                varies.add(e)
        frontier = []
        for e in order:
            if e in varies:
                frontier.extend(a for a in e.args if a not in varies and a.op != "const")
        frontier.extend(r for r in roots if r not in varies and r.op != "const")
        frontier = [e for e in dict.fromkeys(frontier) if e not in known]
        values = self.em.emit(frontier, dict(known)) if frontier else []
        result = dict(known)
        result.update(zip(frontier, values))
        return result

    def inputs_of(self, roots: list) -> list:
        """Numbers of the input operands that `roots` load and that move."""
        found = {e.value for e in E.walk(roots) if e.op == "load"}
        return [i for i in sorted(found) if self.operands[i].pattern not in (SCALAR, NUMBER)]


class MapWriter(KernelWriter):
    """out[index] = expression, over the flat extent (one axis) or row by row (several)."""

    def write(self) -> None:
        b = self.b
        roots = [e for _, e, _ in self.kernel.outputs]
        moving = {E.load(i, self.operands[i].dtype) for i in self.inputs_of(roots)}
        known = self.hoist(roots, self.fixed, moving)
        if self.only_copies(roots):  # an output that took over its input's memory is there already
            with b.when(b.value(f"icmp ne ptr {self.bases[0]}, {self.bases[1]}"), "copy"):
                self.run("%begin", "%end", self.bases, roots, known)
        elif self.kernel.outer == 1:
            self.run("%begin", "%end", self.bases, roots, known)
        else:
            self.rows(self.sizes[:-1], lambda bases: self.run("0", self.sizes[-1], bases, roots, known))
        b.finish()

    def only_copies(self, roots: list) -> bool:
        """Whether this is one contiguous buffer to another, unchanged."""
        ends = [(o.pattern, o.dtype) for o in self.operands]
        plain = self.kernel.outer == 1 and len(ends) == 2 and len(roots) == 1 and roots[0].op == "load"
        return plain and ends[0] == ends[1] and ends[0][0] == CONTIGUOUS

    def rows(self, outer: list, run) -> None:
        """run(bases) for every row; with several outer axes an index is taken apart once per turn of the last of them."""
        b = self.b
        inner = outer[-1]
        axis = len(outer) - 1
        if axis == 0:
            with b.loop("%begin", "%end", hint="row") as row:
                run(self.located([row.i], range(1), self.bases))
            return
        first = b.udiv("%begin", inner)
        after = b.udiv(b.add("%end", b.sub(inner, 1)), inner)
        with b.loop(first, after, hint="turn") as turn:
            bases = self.located(self.decompose(turn.i, outer[:-1]), range(axis), self.bases)
            before = b.mul(turn.i, inner)
            begin, end = b.max(b.sub("%begin", before), 0), b.min(b.sub("%end", before), inner)
            with b.loop(begin, end, hint="row") as row:
                run(self.located([row.i], range(axis, axis + 1), bases))

    def run(self, start: str, end: str, bases: list, roots: list, known: dict) -> None:
        """One pass along the last axis."""
        b, lanes = self.b, self.lanes
        axis = self.kernel.outer - 1
        reads = self.inputs_of(roots)
        fixed = [i for i in reads if self.operands[i].pattern == FIXED]
        row_known = dict(known)
        for i in fixed:
            row_known[E.load(i, self.operands[i].dtype)] = self.element(i, bases[i], "0", axis, None)
        if fixed:
            moving = {E.load(i, self.operands[i].dtype) for i in reads if i not in fixed}
            row_known = self.hoist(roots, row_known, moving)
        heavy = cost(roots) > LIGHT

        def body(i: str, count: str | None) -> None:
            self.em.valid = count
            leaves = dict(row_known)
            for r in reads:
                if r not in fixed:
                    if heavy and self.operands[r].pattern == CONTIGUOUS:
                        self.em.fetch_ahead(bases[r], i, self.operands[r].dtype)
                    leaves[E.load(r, self.operands[r].dtype)] = self.element(r, bases[r], i, axis, count)
            values = self.em.emit(roots, leaves)
            first = len(self.kernel.inputs)
            for k, value in enumerate(values):
                o = self.operands[first + k]
                if count is not None or o.pattern not in (EVEN, ODD):
                    self.put(first + k, bases[first + k], i, axis, count, value)
                elif o.pattern == EVEN:
                    pointer = self.em.advance(bases[first + k], b.mul(i, 2), o.dtype)
                    self.em.write_pair(value, values[k + 1], pointer, o.dtype)

        if self.kernel.short:
            last = b.sub(end, lanes)
            with b.loop(start, end, lanes, hint="short") as loop:
                body(b.min(loop.i, last), None)
            return
        vector_loop(b, start, end, lanes, HEAVY if heavy else UNROLL, body, self.em)


UNROLL, HEAVY = 2, 0
LIGHT = 12  # vector instructions per element up to which a loop is unrolled


def vector_loop(b: Builder, start: str, end: str, lanes: int, unroll: int, body, em: LaneEmitter) -> None:
    """body(i, count) over [start, end): whole vectors (count None), then the rest with count lanes.

    A HEAVY body is written once and always counts its lanes: compiling it twice costs more than the mask.
    """
    if lanes == 1:
        with b.loop(start, end, 1, hint="scalar") as loop:
            body(loop.i, None)
        return
    if unroll == HEAVY:
        with b.loop(start, end, lanes, hint="masked") as masked:
            em.ragged = False
            body(masked.i, b.min(b.sub(end, masked.i), lanes))
            em.ragged = True
        return
    step = lanes * unroll
    with b.loop(start, b.sub(end, step - 1), step, carried=[("i64", start)], hint="vector") as main:
        for u in range(unroll):
            body(b.add(main.i, u * lanes), None)
        main.next(b.add(main.i, step))
    at = main.results[0]
    if unroll > 1:
        with b.loop(at, b.sub(end, lanes - 1), lanes, carried=[("i64", at)], hint="single") as single:
            body(single.i, None)
            single.next(b.add(single.i, lanes))
        at = single.results[0]
    rest = b.sub(end, at)
    with b.when(b.compare("sgt", rest, "0"), hint="tail"):
        body(at, rest)


class FoldWriter(KernelWriter):
    """Shared by rows and columns: the state of reductions as expressions over placeholder leaves."""

    def state(self, number: int) -> list:
        """Placeholder leaves of reduction `number`'s running state."""
        combine, e = self.kernel.reductions[number]
        acc = accumulator_dtype(combine, e.dtype)
        if combine.startswith("arg"):
            return [Expr("reduced", acc, (), ("value", number)), Expr("reduced", dt.int64, (), ("index", number))]
        return [Expr("reduced", acc, (), ("state", number))]

    def initial(self, number: int) -> list:
        combine, e = self.kernel.reductions[number]
        acc = accumulator_dtype(combine, e.dtype)
        first = identity(combine, acc)
        return [first, E.const(2**62, dt.int64)] if combine.startswith("arg") else [first]

    def lifted(self, number: int, value: Expr, position: Expr | None) -> list:
        """An element as a state."""
        combine, e = self.kernel.reductions[number]
        acc = accumulator_dtype(combine, e.dtype)
        if e.dtype.kind == "b" and combine in ("and", "or"):
            value = E.cast(value, dt.uint8)
        lifted = E.cast(value, acc)
        return [lifted, position] if combine.startswith("arg") else [lifted]

    def joined(self, number: int, a: list, b: list) -> list:
        combine, _ = self.kernel.reductions[number]
        if combine.startswith("arg"):
            return list(pick(combine, tuple(a), tuple(b)))
        return [fold(combine, a[0], b[0])]

    def finished(self, number: int, state: list) -> Expr:
        """The reduction's result of its final state."""
        combine, e = self.kernel.reductions[number]
        if combine.startswith("arg"):
            return state[1]
        return E.cast(state[0], result_dtype(combine, e.dtype))

    def type_of(self, e: Expr) -> list:
        return self.em.types(e.dtype)


def result_dtype(combine: str, dtype: DType) -> DType:
    """dtype of `reduced(j)`: index for arg folds, else that of the folded expression (float32 for half)."""
    if combine.startswith("arg"):
        return dt.int64
    return dt.float32 if dtype in (dt.bfloat16, dt.float16) else dtype


def other_state(states: list) -> list:
    """A second set of placeholders beside `states`, for joining two states."""
    return [Expr("reduced", s.dtype, (), ("other", *s.value)) for s in states]


class RowsWriter(FoldWriter):
    """Per row: one pass over the reduced axes for each depth of reductions, then a pass for full-level outputs."""

    def write(self) -> None:
        b, kernel = self.b, self.kernel
        outer = self.sizes[: kernel.outer]
        self.position = Expr("index", dt.int64, (), 0)
        with b.loop("%begin", "%end", hint="row") as row:
            bases = self.located(self.decompose(row.i, outer), range(kernel.outer), self.bases) if outer else self.bases
            known = dict(self.fixed)
            depths = reduction_depths(kernel.reductions)
            self.spills = self.choose_spills(depths)
            for depth in range(1 + max(depths, default=-1)):
                members = [n for n, d in enumerate(depths) if d == depth]
                known.update(self.fold_pass(members, bases, known))
            for k, (_, e, level) in enumerate(kernel.outputs):
                if level == "row":
                    self.em.valid = "1"
                    number = len(kernel.inputs) + k
                    reads = self.inputs_of([e])
                    leaves = dict(known)
                    for r in reads:
                        o = self.operands[r]
                        fixed = (
                            self.em.iota(bases[r], "0")
                            if o.pattern == IOTA
                            else self.em.read(bases[r], o.dtype, stride=0)
                        )
                        leaves[E.load(r, o.dtype)] = fixed
                    value = self.em.emit([e], leaves)[0]
                    self.em.write(value, bases[number], self.operands[number].dtype, "1")
            full = [(len(kernel.inputs) + k, e) for k, (_, e, level) in enumerate(kernel.outputs) if level == "full"]
            if full:
                self.full_pass(full, bases, known)
        b.finish()

    def choose_spills(self, depths: list) -> list:
        """[(operand, expression)]: costly values that the last fold and a full output share wait in that output's memory."""
        last = max(depths, default=-1)
        folded = [e for (_, e), d in zip(self.kernel.reductions, depths) if d == last]
        shared = set(E.walk(folded))
        spills = []
        for k, (operand, root, level) in enumerate(self.kernel.outputs):
            if level != "full" or not folded:
                continue
            common = [
                e for e in E.walk([root]) if e in shared and e.dtype is operand.dtype and e.op not in ("load", "const")
            ]
            best = max(common, key=lambda e: cost([e]), default=None)
            if best is not None and cost([best]) >= WORTH_A_STORE and all(best is not e for _, e in spills):
                spills.append((len(self.kernel.inputs) + k, best))
        self.last_members = [n for n, d in enumerate(depths) if d == last]
        return spills

    def nest(self, bases: list, carried: list, inner):
        """Loops over all reduced axes but the last; inner(bases, values) -> new values. Returns the final values."""
        b, kernel = self.b, self.kernel
        first = kernel.outer
        axes = list(range(first, first + kernel.reduced - 1))

        def level(depth: int, bases: list, values: list) -> list:
            if depth == len(axes):
                return inner(bases, values)
            with b.loop(
                "0", self.sizes[axes[depth]], carried=list(zip(self.carried_types, values)), hint="outer"
            ) as loop:
                moved = self.located([loop.i], range(axes[depth], axes[depth] + 1), bases)
                loop.next(*level(depth + 1, moved, list(loop.values)))
            return list(loop.results)

        return level(0, bases, carried)

    def fold_pass(self, members: list, bases: list, known: dict) -> dict:
        b, em, lanes = self.b, self.em, self.lanes
        roots = [self.kernel.reductions[n][1] for n in members]
        states = [s for n in members for s in self.state(n)]
        types = [t for s in states for t in self.type_of(s)]
        self.carried_types = types
        starts = em.flatten(em.emit([i for n in members for i in self.initial(n)], {}))
        reads = self.inputs_of(roots)
        axis = self.axes - 1
        moving = {E.load(i, self.operands[i].dtype) for i in reads}
        known = self.hoist(roots, known, moving)
        any_arg = any(self.kernel.reductions[n][0].startswith("arg") for n in members)
        spills = self.spills if members == self.last_members else []

        def step(bases, i, count, values):
            em.valid = count
            leaves = dict(known)
            for r in reads:
                leaves[E.load(r, self.operands[r].dtype)] = self.element(r, bases[r], i, axis, count)
            leaves.update(zip(states, em.unflatten(states, values)))
            if any_arg:
                leaves[self.position] = em.iota(i, "1")
            new, at = [], 0
            for n, root in zip(members, roots):
                mine = self.state(n)
                new.extend(self.joined(n, mine, self.lifted(n, root, self.position)))
                at += len(mine)
            results = em.emit([*new, *(e for _, e in spills)], leaves)
            for (number, _), value in zip(spills, results[len(new) :]):
                self.put(number, bases[number], i, axis, count, value)
            results = results[: len(new)]
            if count is not None:
                results = em.choose_lanes(count, states, results, [leaves[s] for s in states])
            return em.flatten(results)

        def inner(bases, values):
            """Several independent accumulators hide latency; blocks bound rounding error."""
            size = self.sizes[axis]
            ways = 1 if cost(roots) > 24 or lanes == 1 else 4
            decides = len(members) == 1 and self.kernel.reductions[members[0]][0] in ("or", "and") and not spills
            block = (DECIDED if decides else BLOCK) * lanes
            count = len(values)
            with b.loop("0", size, block, carried=list(zip(types, values)), hint="block") as outer:
                end = b.min(b.add(outer.i, block), size)
                if decides:  # the rest is passed over
                    end = b.select(self.decided(members[0], outer.values[0], types[0]), "i64", outer.i, end)
                sets = starts * ways
                with b.loop(outer.i, b.sub(end, lanes * ways - 1), lanes * ways,
                            carried=[("i64", outer.i), *zip(types * ways, sets)], hint="fold") as main:  # fmt: skip
                    after = []
                    for w in range(ways):
                        part = list(main.values[1 + w * count : 1 + (w + 1) * count])
                        after.extend(step(bases, b.add(main.i, w * lanes), None, part))
                    main.next(b.add(main.i, lanes * ways), *after)
                at, rest = main.results[0], list(main.results[1:])
                merged = rest[:count]
                for w in range(1, ways):
                    merged = self.merge(members, merged, rest[w * count : (w + 1) * count])
                if lanes > 1:
                    with b.loop(at, b.sub(end, lanes - 1), lanes, carried=[("i64", at), *zip(types, merged)],
                                hint="fold1") as single:  # fmt: skip
                        part = step(bases, single.i, None, list(single.values[1:]))
                        single.next(b.add(single.i, lanes), *part)
                    at, merged = single.results[0], list(single.results[1:])
                    left = b.sub(end, at)
                    with b.loop(at, end, lanes, carried=list(zip(types, merged)), hint="fold_tail") as tail:
                        tail.next(*step(bases, tail.i, left, list(tail.values)))
                    merged = list(tail.results)
                outer.next(*self.merge(members, list(outer.values), merged))
            return list(outer.results)

        values = self.nest(bases, starts, inner)
        width = lanes
        while width > 1:  # across the lanes, halving
            width //= 2
            values = self.merge(members, values, [em.upper(t, v, width) for t, v in zip(types, values)])
        finals = em.unflatten(states, values)
        result, at = {}, 0
        for n in members:
            mine = self.state(n)
            lane = [em.first_lane(s.dtype, v) for s, v in zip(mine, finals[at : at + len(mine)])]
            leaves = dict(zip(mine, lane))
            e = self.finished(n, mine)
            result[E.reduced(n, e.dtype)] = em.emit([e], leaves)[0]
            at += len(mine)
        return result

    def decided(self, member: int, state: str, type_: str) -> str:
        """i1: whether some lane of an or is true, or of an and false, which no element can change."""
        b, neutral = self.b, "0" if self.kernel.reductions[member][0] == "or" else "1"
        if self.lanes == 1:
            return b.compare("ne", state, neutral, type_)
        element = type_.split()[-1].rstrip(">")
        same = "zeroinitializer" if neutral == "0" else f"splat ({element} 1)"
        return b.any_lane(b.value(f"icmp ne {type_} {state}, {same}"), self.lanes)

    def merge(self, members: list, a: list, b_: list) -> list:
        """Join two flattened sets of states."""
        states = [s for n in members for s in self.state(n)]
        others = other_state(states)
        leaves = dict(zip(states, self.em.unflatten(states, a)))
        leaves.update(zip(others, self.em.unflatten(states, b_)))
        new, at = [], 0
        for n in members:
            mine = self.state(n)
            new.extend(self.joined(n, mine, others[at : at + len(mine)]))
            at += len(mine)
        return self.em.flatten(self.em.emit(new, leaves))

    def full_pass(self, full: list, bases: list, known: dict) -> None:
        roots = [e for _, e in full]
        reads = self.inputs_of(roots)
        axis = self.axes - 1
        known = self.hoist(roots, known, {E.load(i, self.operands[i].dtype) for i in reads})
        self.carried_types = []
        waiting = {e: Expr("reduced", e.dtype, (), ("waiting", 0)) for _, e in self.spills}
        rest = cost(E.substitute(roots, waiting))

        def inner(bases, values):
            def body(i, count):
                self.em.valid = count
                leaves = dict(known)
                for r in reads:
                    leaves[E.load(r, self.operands[r].dtype)] = self.element(r, bases[r], i, axis, count)
                for number, e in self.spills:
                    leaves[e] = self.element(number, bases[number], i, axis, count)
                for (number, _), value in zip(full, self.em.emit(roots, leaves)):
                    self.put(number, bases[number], i, axis, count, value)

            vector_loop(self.b, "0", self.sizes[axis], self.lanes, UNROLL if rest <= LIGHT else HEAVY, body, self.em)
            return []

        self.nest(bases, [], inner)


def reduction_depths(reductions: list) -> list:
    """How many passes come before each reduction: those whose results it reads."""
    depths: list[int] = []
    for _, e in reductions:
        below = [depths[x.value] for x in E.walk([e]) if x.op == "reduced"]
        depths.append(1 + max(below) if below else 0)
    return depths


class ColumnsWriter(FoldWriter):
    """Reductions over leading axes, vectorised along the last outer axis.

    The extent counts (outer index but the last) x (chunks of the last axis); all reductions are of depth 0.
    """

    def write(self) -> None:
        b, kernel, lanes = self.b, self.kernel, self.lanes
        self.position = Expr("index", dt.int64, (), 0)
        width = column_width(kernel, self.target)
        ways = width // lanes
        size = self.sizes[kernel.outer - 1]
        chunks = b.udiv(b.add(size, width - 1), str(width))
        with b.loop("%begin", "%end", hint="chunk") as chunk:
            column = b.mul(b.urem(chunk.i, chunks), str(width))
            bases = self.bases
            if kernel.outer > 1:
                rest = self.decompose(b.udiv(chunk.i, chunks), self.sizes[: kernel.outer - 1])
                bases = self.located(rest, range(kernel.outer - 1), self.bases)
            whole = b.compare("sle", b.add(column, width), size)
            yes, no, done = b.new_label("whole"), b.new_label("ragged"), b.new_label("done")
            b.branch_if(whole, yes, no)
            b.label(yes)
            self.columns(bases, [b.add(column, w * lanes) for w in range(ways)], None)
            b.branch(done)
            b.label(no)
            with b.loop(column, size, lanes, hint="ragged_vector") as vector:
                self.columns(bases, [vector.i], b.min(b.sub(size, vector.i), lanes) if lanes > 1 else None)
            b.branch(done)
            b.label(done)
        b.finish()

    def columns(self, bases: list, starts: list, count: str | None) -> None:
        """Fold the reduced axes for the vectors of columns beginning at `starts`."""
        b, em, kernel = self.b, self.em, self.kernel
        members = range(len(kernel.reductions))
        em.valid = count
        roots = [e for _, e in kernel.reductions]
        states = [s for n in members for s in self.state(n)]
        types = [t for s in states for t in self.type_of(s)]
        reads = self.inputs_of(roots)
        axis = kernel.outer - 1
        first = em.flatten(em.emit([i for n in members for i in self.initial(n)], {}))
        each = len(first)
        reduced_axes = list(range(kernel.outer, self.axes))

        def level(depth: int, bases: list, position: str, values: list) -> list:
            if depth == len(reduced_axes):
                new = []
                for w, start in enumerate(starts):
                    leaves = dict(self.fixed)
                    for r in reads:
                        leaves[E.load(r, self.operands[r].dtype)] = self.element(r, bases[r], start, axis, count)
                    leaves.update(zip(states, em.unflatten(states, values[w * each : (w + 1) * each])))
                    leaves[self.position] = em.splat_index(position)
                    after = []
                    for n, root in zip(members, roots):
                        after.extend(self.joined(n, self.state(n), self.lifted(n, root, self.position)))
                    new.extend(em.flatten(em.emit(after, leaves)))
                return new
            a = reduced_axes[depth]
            carried = list(zip(types * len(starts), values))
            with b.loop("0", self.sizes[a], carried=carried, hint="reduce") as loop:
                moved = self.located([loop.i], range(a, a + 1), bases)
                at = b.add(b.mul(position, self.sizes[a]), loop.i)
                loop.next(*level(depth + 1, moved, at, list(loop.values)))
            return list(loop.results)

        values = level(0, bases, "0", first * len(starts))
        for w, start in enumerate(starts):
            finals = em.unflatten(states, values[w * each : (w + 1) * each])
            leaves, at = dict(self.fixed), 0
            for n in members:
                mine = self.state(n)
                e = self.finished(n, mine)
                leaves[E.reduced(n, e.dtype)] = em.emit([e], dict(zip(mine, finals[at : at + len(mine)])))[0]
                at += len(mine)
            for k, (_, e, _) in enumerate(kernel.outputs):
                number = len(kernel.inputs) + k
                more = dict(leaves)
                for r in self.inputs_of([e]):
                    more[E.load(r, self.operands[r].dtype)] = self.element(r, bases[r], start, axis, count)
                self.put(number, bases[number], start, axis, count, em.emit([e], more)[0])


class PositionedWriter(KernelWriter):
    """Kernels that compute where a run of elements lies."""

    def row_offset(self, at: Expr, bases: list) -> str:
        """`at` at the beginning of the last axis, as a scalar."""
        axis = self.axes - 1
        count = "1" if self.lanes > 1 else None
        self.em.valid = count
        leaves = dict(self.fixed)
        for r in self.inputs_of([at]):
            leaves[E.load(r, self.operands[r].dtype)] = self.element(r, bases[r], "0", axis, count)
        value = self.em.emit([at], leaves)[0]
        return self.b.value(f"extractelement <{self.lanes} x i64> {value}, i32 0") if self.lanes > 1 else value


class GatherWriter(PositionedWriter):
    """out[row, :] = x[offset of the row, :]; a negative offset fills the row with the constant kept as reduction 0."""

    def write(self) -> None:
        b, em, kernel = self.b, self.em, self.kernel
        operand, source, _ = kernel.outputs[0]
        missing = kernel.reductions[0][1]
        out, dtype = len(kernel.inputs), operand.dtype
        with b.loop("%begin", "%end", hint="row") as row:
            bases = self.bases
            if kernel.outer > 1:
                bases = self.located(self.decompose(row.i, self.sizes[:-1]), range(kernel.outer - 1), self.bases)
            offset = self.row_offset(source.args[0], bases)
            start = em.advance(bases[source.value], offset, dtype)
            yes, no, done = b.new_label("found"), b.new_label("missing"), b.new_label("row_done")
            b.branch_if(b.compare("sge", offset, "0"), yes, no)

            def copy(i: str, count: str | None) -> None:
                em.write(
                    em.read(em.advance(start, i, dtype), dtype, count), em.advance(bases[out], i, dtype), dtype, count
                )

            def fill(i: str, count: str | None) -> None:
                em.write(em.emit([missing], {})[0], em.advance(bases[out], i, dtype), dtype, count)

            for label, body in ((yes, copy), (no, fill)):
                b.label(label)
                vector_loop(b, "0", self.sizes[-1], self.lanes, 1, body, em)
                b.branch(done)
            b.label(done)
        b.finish()


class ScatterWriter(PositionedWriter):
    """out[offset] = fold of it and the value, for every index in order; negative offsets are skipped.

    The fold is named by reduction 0 ("set": the value itself). The outer axes write to different places; along the reduced
    ones everything happens in order. With a contiguous output operand the offset is that of a whole run along the last
    axis, written vector by vector.
    """

    def __init__(self, module: Module, name: str, kernel: LoopKernel, target):
        self.by_vectors = kernel.outputs[0][0].pattern == CONTIGUOUS
        super().__init__(module, name, kernel, target)

    def lanes_wanted(self) -> int:
        return super().lanes_wanted() if self.by_vectors else 1

    def write(self) -> None:
        b, kernel = self.b, self.kernel
        first, axis = kernel.outer, self.axes - 1
        rows = "1"
        for size in self.sizes[first:-1]:
            rows = b.mul(rows, size)
        with b.loop("%begin", "%end", hint="unit") as unit:
            outer = self.bases
            if first:
                outer = self.located(self.decompose(unit.i, self.sizes[:first]), range(first), self.bases)
            with b.loop("0", rows, hint="row") as row:
                bases = outer
                if axis > first:
                    bases = self.located(self.decompose(row.i, self.sizes[first:-1]), range(first, axis), outer)
                self.row(bases, axis)
        b.finish()

    def row(self, bases: list, axis: int) -> None:
        b, em, kernel = self.b, self.em, self.kernel
        value, (combine, at) = kernel.outputs[0][1], kernel.reductions[0]
        out, dtype = len(kernel.inputs), kernel.outputs[0][0].dtype

        def leaves_at(e: Expr, i: str, count: str | None) -> dict:
            em.valid = count
            leaves = dict(self.fixed)
            for r in self.inputs_of([e]):
                leaves[E.load(r, self.operands[r].dtype)] = self.element(r, bases[r], i, axis, count)
            return leaves

        def join(offset: str, i: str, count: str | None) -> None:
            pointer = em.advance(bases[out], offset, dtype)
            leaves = leaves_at(value, i, count)
            total = value
            if combine != "set":
                old = Expr("reduced", dtype, (), ("old", 0))
                leaves[old] = em.read(pointer, dtype, count)
                wide = accumulator_dtype(combine, dtype)
                total = E.cast(fold(combine, E.cast(old, wide), E.cast(value, wide)), dtype)
            em.write(em.emit([total], leaves)[0], pointer, dtype, count)

        if self.by_vectors:
            offset = self.row_offset(at, bases)
            with b.when(b.compare("sge", offset, "0"), "valid"):

                def body(i: str, count: str | None) -> None:
                    join(b.add(offset, i), i, count)

                vector_loop(b, "0", self.sizes[-1], self.lanes, 1, body, em)
        else:
            with b.loop("0", self.sizes[-1], hint="element") as loop:
                offset = em.emit([at], leaves_at(at, loop.i, None))[0]
                with b.when(b.compare("sge", offset, "0"), "valid"):
                    join(offset, loop.i, None)
