"""Tensor dialect -> loop dialect: a fused graph becomes steps, each a kernel with its buffers and run-time parameters.

Movements become strides, groups become `LoopKernel`s (or what `lowerings.py` says for ops with kernels of their own),
values that outlive their group get buffers, and buffers that never live at the same time share the arena.
"""

from __future__ import annotations

from ..base import dtypes as dt
from ..base.dtypes import DType
from ..base.lazy import LazyModule
from ..base.shapes import contiguous_strides, size_of
from ..ir import node as ir
from ..ir.node import Graph, Node
from ..ops.families import compute_dtype
from ..passes.fuse import FEW_ROWS, LARGE_COLUMNS, LONG_ROW, Group, fuse
from . import expr as E
from .access import collapse, compose, identity_map, operand_map, strides_along
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
    STRIDED,
    LoopKernel,
    Operand,
    accumulator_dtype,
    column_width,
    cost,
    lanes_for,
)
from .targets import Target

PARALLEL = 32768  # light elements worth waking a thread for
SHORT, MANY = 8, 1 << 13  # rows of fewer vectors, and so many elements in all, have a loop of their own
BLOCK_ELEMENTS = 32768  # a long fold is cut into blocks of this many elements, whatever the number of threads
WIDEST = 8192  # results of a fold over leading axes up to which it is cut into blocks
ARG_FOLDS = ("argmax", "argmin")
STORED = {dt.weak_int: dt.int64, dt.weak_float: dt.float64, dt.weak_complex: dt.complex128, dt.weak_bool: dt.bool_}


class Buffer:
    """Memory a step touches: an input, an output or a temporary in the arena."""

    __slots__ = ("first", "index", "kind", "last", "nbytes", "offset")

    def __init__(self, kind: str, index: int, nbytes: int):
        self.kind = kind
        self.index = index
        self.nbytes = nbytes
        self.first = None  # first and last step that uses a temporary
        self.last = None
        self.offset = 0


class Layout:
    """Where a value lies: strides and offset in elements of `dtype` in a buffer."""

    __slots__ = ("buffer", "dtype", "offset", "shape", "strides")

    def __init__(self, buffer: Buffer, dtype: DType, shape: tuple, strides: tuple, offset: int = 0):
        self.buffer = buffer
        self.dtype = dtype
        self.shape = shape
        self.strides = strides
        self.offset = offset

    @property
    def contiguous(self) -> bool:
        return all(d <= 1 or s == c for d, s, c in zip(self.shape, self.strides, contiguous_strides(self.shape)))


class Step:
    """One kernel launch. `kernel` has `text()` and is emitted by the runtime; buffers are (Buffer, element offset, dtype)."""

    __slots__ = ("buffers", "grain", "kernel", "nodes", "pairs", "params", "total")

    def __init__(self, kernel, buffers: list, params: list, total: int, grain: int, pairs: list = ()):
        self.nodes: tuple = ()  # what it computes, for those who look; empty for copies
        self.pairs = pairs  # (output buffer, input buffer) that may be one: each element is read before it is written
        self.kernel = kernel
        self.buffers = buffers
        self.params = params
        self.total = total
        self.grain = grain


class Lowered:
    """What a Program is made of. outputs: (dtype, shape, strides, alias input or -1, element offset, reuse)."""

    __slots__ = ("arena", "outputs", "steps")

    def __init__(self, steps, outputs, arena):
        self.steps = steps
        self.outputs = outputs
        self.arena = arena


def region_of(into: Layout, starts: tuple, steps: tuple, shape: tuple) -> Layout:
    """The part of `into` at starts, steps with the given shape."""
    offset = sum(a * s for a, s in zip(starts, into.strides)) if size_of(shape) else 0
    return Layout(
        into.buffer, into.dtype, shape, tuple(a * s for a, s in zip(steps, into.strides)), into.offset + offset
    )


def stored(dtype: DType) -> DType:
    """The dtype in memory (weak scalars are stored wide)."""
    return STORED.get(dtype, dtype)


def lower(graph: Graph, layouts: list, target: Target, dense: bool = False) -> Lowered:
    """Steps for a simplified graph. layouts: per parameter position its strides (elements), None for absent ones.
    With `dense` every result has storage of its own, without gaps."""
    lowering = Lowering(graph, layouts, target)
    lowering.dense = dense
    return lowering.run()


class Lowering:
    def __init__(self, graph: Graph, strides: list, target: Target):
        self.graph = graph
        self.target = target
        self.steps: list[Step] = []
        self.temporaries: list[Buffer] = []
        self.layouts: dict[Node, Layout | None] = {}
        for p in graph.parameters:
            buffer = Buffer("input", p.attrs, 0)
            self.layouts[p] = Layout(buffer, stored(p.dtype), p.shape, tuple(strides[p.attrs]))
        self.fusion = fuse(graph)
        self.results: list = [None] * len(graph.outputs)
        self.written: set[Node] = set()  # assemblies whose operands are computed in place
        self.dense = False
        self.copies: list[tuple] = []  # outputs that are copied to their storage at the end

    # -- buffers
    def temporary(self, nbytes: int) -> Buffer:
        buffer = Buffer("temp", len(self.temporaries), nbytes)
        self.temporaries.append(buffer)
        return buffer

    def fresh(self, dtype: DType, shape: tuple) -> Layout:
        """A contiguous temporary."""
        return Layout(self.temporary(size_of(shape) * dtype.itemsize), dtype, shape, contiguous_strides(shape))

    def layout(self, n: Node) -> Layout | None:
        """Where `n` lies, following movements as strides; None if it (or what it views) has no buffer."""
        if n in self.layouts:
            return self.layouts[n]
        result = None
        if n.op.family == "movement":
            base = self.layout(n.inputs[0])
            if base is not None:
                result = self.moved(n, base)
        self.layouts[n] = result
        return result

    def moved(self, n: Node, base: Layout) -> Layout:
        view = n.op.rules[0](n.attrs, base.shape, base.strides)
        if view is None:  # elements have to move: a contiguous copy can be viewed
            base = self.copy(base)
            view = n.op.rules[0](n.attrs, base.shape, base.strides)
        strides, offset = view
        return Layout(base.buffer, base.dtype, n.shape, tuple(strides), base.offset + offset)

    def copy(self, source: Layout) -> Layout:
        """A contiguous copy of `source`."""
        result = self.fresh(source.dtype, source.shape)
        self.copy_into(source, result)
        return result

    def copy_into(self, source: Layout, into: Layout) -> None:
        body = Body(self, None, source.shape)
        body.store(into, body.read(source, identity_map(source.shape)), "full")
        body.finish_map()

    def write(self, n: Node, into: Layout) -> None:
        """Any value, converted to the dtype of `into`."""
        body = Body(self, None, n.shape)
        value = E.const(n.attrs, into.dtype) if n.op is ir.constant else body.value(n, identity_map(n.shape))
        body.store(into, value, "full")
        body.finish_map()

    def buffered(self, n: Node, dtype: DType | None = None) -> Layout:
        """A layout for any value, also constants and indices; `dtype` converts."""
        wanted = dtype or stored(n.dtype)
        layout = None if n.op is ir.constant else self.layout(n)
        if layout is not None and layout.dtype is wanted:
            return layout
        result = self.fresh(wanted, n.shape)
        self.write(n, result)
        if dtype is None and n.op is not ir.constant:
            self.layouts[n] = result
        return result

    # -- the whole graph
    def run(self) -> Lowered:
        self.place_outputs()
        self.place_operands()
        for group in self.fusion.groups:
            before = len(self.steps)
            self.lower_group(group)
            for step in self.steps[before:]:
                step.nodes = group.nodes
        self.finish_outputs()
        self.plan_reuse()
        arena = self.plan_memory()
        return Lowered(self.steps, self.results, arena)

    def place_outputs(self) -> None:
        """Give each output its own storage: the value computed for it is written there directly where possible."""
        for i, o in enumerate(self.graph.outputs):
            chain = []
            base = o
            while base.op.family == "movement":
                chain.append(base)
                base = base.inputs[0]
            if base.op is ir.parameter:
                layout = self.layout(o)
                if layout.buffer.kind == "input" and not o.dtype.weak and not self.dense:
                    self.results[i] = (layout.dtype, o.shape, layout.strides, layout.buffer.index, layout.offset, ())
                    continue
                self.pending(i, o)
                continue
            inlined = base in self.fusion.inlined
            of_host = base.op is ir.project and base.inputs[0].op.family in ("host", "control")
            nowhere = base.op.family in ("leaf", "creation") and not of_host
            if nowhere or inlined or base in self.layouts or len(base.specs) > 1:
                self.pending(i, o)
                continue
            dtype = stored(base.dtype)
            buffer = Buffer("output", i, size_of(base.shape) * dtype.itemsize)
            layout = Layout(buffer, dtype, base.shape, contiguous_strides(base.shape))
            view = layout
            for step in reversed(chain):
                moved = step.op.rules[0](step.attrs, view.shape, view.strides)
                if moved is None or size_of(step.shape) != size_of(base.shape) or moved[1] + view.offset != 0:
                    view = None
                    break
                view = Layout(buffer, dtype, step.shape, tuple(moved[0]))
            loose = view is None or any(s == 0 and d > 1 for d, s in zip(view.shape, view.strides))
            if loose or (self.dense and not view.contiguous):
                self.pending(i, o)
                continue
            self.layouts[base] = layout
            self.results[i] = (dtype, o.shape, view.strides, -1, 0, ())

    def place_operands(self) -> None:
        """Let values that only one assembly reads be computed right where it wants them.

        Only if the assembly is nothing but such regions, all of them of different values: then nothing is overwritten.
        """
        for group in self.fusion.groups:
            n = group.nodes[0]
            if group.kind != "assembly":
                continue
            regions = n.op.rules(n.attrs, [i.spec for i in n.inputs], n.spec)
            sources = [None if type(s) is tuple else n.inputs[s] for s, _, _ in regions]
            fits = all(
                s is not None
                and s.op.family == "elementwise"
                and s.dtype is n.dtype
                and s not in self.layouts
                and s not in self.fusion.inlined
                and self.fusion.users[s] == [n]
                for s in sources
            )
            if not fits or len(set(sources)) != len(sources):
                continue
            if sum(size_of(s.shape) for s in sources) != size_of(n.shape):  # regions overlap: their order matters
                continue
            into = self.destination(n)
            for source, (_, starts, steps) in zip(sources, regions):
                self.layouts[source] = region_of(into, starts, steps, source.shape)
            self.written.add(n)

    def pending(self, i: int, o: Node) -> None:
        """Output `i` is copied to its storage at the end."""
        dtype = stored(o.dtype)
        strides = contiguous_strides(o.shape)
        self.results[i] = (dtype, o.shape, strides, -1, 0, ())
        self.copies.append((i, o))

    def finish_outputs(self) -> None:
        for i, o in self.copies:
            dtype = stored(o.dtype)
            buffer = Buffer("output", i, size_of(o.shape) * dtype.itemsize)
            self.write(o, Layout(buffer, dtype, o.shape, contiguous_strides(o.shape)))

    def lower_group(self, group: Group) -> None:
        if group.kind == "map" and group.nodes[0].op.family == "index" and indexing.takes_rows(self, group):
            indexing.lower_take_rows(self, group)
        elif group.kind == "rows" and group.nodes[0].op.name in ARG_FOLDS and extremes.applies(self, group):
            extremes.lower_extreme(self, group)
        elif group.kind in ("map", "rows", "columns"):
            self.lower_loops(group)
        elif group.kind == "assembly":
            self.lower_assembly(group.nodes[0])
        else:
            module, function = LOWERINGS[group.nodes[0].op.lowering]
            getattr(module, function)(self, group)

    def stored_members(self, group: Group) -> list:
        """Members whose value is read outside of the group."""
        members = set(group.nodes)
        result = []
        for n in group.nodes:
            if any(u is None or u not in members for u in self.fusion.users.get(n, ())):
                if not self.only_inside(n, members, group):
                    result.append(n)
        return result

    def only_inside(self, n: Node, members: set, group: Group) -> bool:
        """Whether all uses of `n`, through movements, are members that read it within the kernel."""
        work = [n]
        while work:
            value = work.pop()
            for u in self.fusion.users.get(value, ()):
                if u is None:
                    return False
                if u.op.family == "movement":
                    work.append(u)
                elif u not in members or not self.fusion.inside(u, value, n, group):
                    return False
        return True

    def destination(self, n: Node) -> Layout:
        layout = self.layouts.get(n)
        if layout is None:
            layout = self.layouts[n] = self.fresh(stored(n.dtype), n.shape)
        return layout

    def lower_loops(self, group: Group) -> None:
        body = Body(self, group, group.shape)
        outputs = self.stored_members(group)
        for n in group.nodes:
            if n.op.family == "reduction":
                body.add_reduction(n)
        wanted = [(n, body.level_map(n), body.level(n)) for n in outputs]
        values = [body.value(n, map_) for n, map_, _ in wanted]
        for (n, _, level), value in zip(wanted, values):
            body.store(self.destination(n), value, level)
        if group.kind == "map":
            body.finish_map()
        else:
            body.finish_fold(group.kind)

    def lower_assembly(self, n: Node) -> None:
        if n in self.written:
            return
        into = self.destination(n)
        regions = n.op.rules(n.attrs, [i.spec for i in n.inputs], n.spec)
        shapes = [n.shape if type(s) is tuple else n.inputs[s].shape for s, _, _ in regions]
        # parts of one shape that share nothing are written side by side
        together = 1 < len(regions) <= 8 and len(set(shapes)) == 1 and size_of(shapes[0]) * len(regions) == n.size
        body = Body(self, None, shapes[0]) if together else None
        for (source, starts, steps), shape in zip(regions, shapes):
            part = body or Body(self, None, shape)
            if type(source) is tuple:
                value = E.const(source[1], into.dtype)
            else:
                value = E.cast(part.value(n.inputs[source], identity_map(shape)), into.dtype)
                if n.inputs[source].op is ir.constant:
                    value = E.const(n.inputs[source].attrs, into.dtype)
            part.store(region_of(into, starts, steps, shape), value, "full")
            if not together:
                part.finish_map()
        if together:
            body.finish_map()

    def add_step(self, step: Step) -> None:
        at = len(self.steps)
        self.steps.append(step)
        for buffer, _, _ in step.buffers:
            if buffer is not None and buffer.kind == "temp":
                buffer.first = at if buffer.first is None else buffer.first
                buffer.last = at

    def plan_reuse(self) -> None:
        """Which inputs' storage an output may take over, if the caller gives them up: those not read afterwards.

        The first of them that is free gets the output; which are given up is not known here.
        """
        last: dict[Buffer, int] = {}
        for at, step in enumerate(self.steps):
            for buffer, _, _ in step.buffers:
                if buffer is not None and buffer.kind == "input":
                    last[buffer] = at
        viewed = {r[3] for r in self.results}
        shapes = {p.attrs: p.shape for p in self.graph.parameters}
        first: dict[int, int] = {}  # output -> the step that touches it first
        for at, step in enumerate(self.steps):
            for buffer, _, _ in step.buffers:
                if buffer is not None and buffer.kind == "output":
                    first.setdefault(buffer.index, at)
        for at, step in enumerate(self.steps):
            for out, source in step.pairs:
                *head, reuse = self.results[out.index]
                shape, strides = head[1], head[2]
                if any(d > 1 and a != b for d, a, b in zip(shape, strides, contiguous_strides(shape))):
                    continue
                if last[source] != at or source.index in viewed or first[out.index] != at:
                    continue
                if size_of(shape) != size_of(shapes[source.index]):  # a part of it, where the rest has no elements
                    continue
                self.results[out.index] = (*head, (*reuse, source.index))

    def plan_memory(self) -> int:
        """Offsets in the arena: temporaries whose lives don't overlap share memory (first fit, in order of birth)."""
        placed: list[Buffer] = []
        size = 0
        for t in sorted((t for t in self.temporaries if t.first is not None), key=lambda t: t.first):
            busy = sorted((p.offset, p.offset + p.nbytes) for p in placed if p.last >= t.first)
            at = 0
            for begin, end in busy:
                if at + t.nbytes <= begin:
                    break
                at = max(at, -(-end // 64) * 64)
            t.offset = at
            placed.append(t)
            size = max(size, at + t.nbytes)
        return size


class Body:
    """Builds one LoopKernel: expressions over numbered operands, then collapsed axes, patterns and parameters."""

    def __init__(self, lowering: Lowering, group: Group | None, shape: tuple):
        self.lowering = lowering
        self.group = group
        self.members = set(group.nodes) if group is not None else set()
        self.shape = shape
        self.reads: dict[tuple, int] = {}
        self.operands: list[tuple] = []  # (buffer, dtype, strides along the iteration axes, offset)
        self.memo: dict[tuple, E.Expr] = {}
        self.reductions: list[tuple] = []
        self.number_of: dict[Node, int] = {}
        self.outputs: list[tuple] = []  # (Layout, Expr, level)

    # -- expressions
    def operand(self, buffer, dtype: DType, strides: tuple, offset: int) -> E.Expr:
        return E.load(self.number(buffer, dtype, strides, offset), dtype)

    def number(self, buffer, dtype: DType, strides: tuple | None, offset: int) -> int:
        """The operand number of a buffer walked with `strides` (None: read at computed offsets only)."""
        key = (buffer, strides, offset, dtype)
        number = self.reads.get(key)
        if number is None:
            number = self.reads[key] = len(self.operands)
            self.operands.append((buffer, dtype, strides, offset))
        return number

    def iota(self, strides: tuple, start: int = 0) -> E.Expr:
        """start + strides . index as int64; with all strides 0 a run-time constant."""
        return self.operand(None, dt.int64, strides, start)

    def integer(self, value: int) -> E.Expr:
        """An int64 that comes at run time, so that the kernel serves all shapes."""
        return self.iota((0,) * len(self.shape), value)

    def gather(self, layout: Layout, at: E.Expr) -> E.Expr:
        """The element of `layout` at element offset `at` from its beginning."""
        return E.gather(self.number(layout.buffer, layout.dtype, None, layout.offset), layout.dtype, at)

    def read(self, layout: Layout, map_: tuple) -> E.Expr:
        strides, start = strides_along(map_, layout.strides, len(self.shape))
        return self.operand(layout.buffer, layout.dtype, strides, layout.offset + start)

    def value(self, n: Node, map_: tuple) -> E.Expr:
        """`n` at the iteration index, through `map_`."""
        key = (n, map_)
        found = self.memo.get(key)
        if found is None:
            found = self.memo[key] = self.build(n, map_)
        return found

    def build(self, n: Node, map_: tuple) -> E.Expr:
        if n in self.number_of:
            return E.cast(self.reduced(n), n.dtype)
        if n.op.family == "creation" or (n.op.family == "index" and n in self.members):
            module, function = INLINE[n.op.lowering]
            return getattr(module, function)(self, n, map_)
        if n in self.members or n in self.lowering.fusion.inlined:
            rules = n.op.rules
            specs = [i.spec for i in n.inputs]
            # a cast reads what is stored: Python's numbers are doubles
            cast = n.op.name == "cast"
            compute = stored(specs[0].dtype) if cast else compute_dtype(rules.operand_dtype(specs))
            args = []
            for k, i in enumerate(n.inputs):
                wanted = compute if rules.fixed is None or rules.fixed[k] is None else rules.fixed[k]
                if i.op is ir.constant:
                    args.append(E.const(i.attrs, wanted))
                else:
                    args.append(E.cast(self.value(i, operand_map(map_, n.shape, i.shape)), wanted))
            result = rules.kernel(E, n.attrs, *args) if n.op.has_attributes else rules.kernel(E, *args)
            return E.cast(result, n.dtype)
        if n.op is ir.constant:
            return E.const(n.attrs, stored(n.dtype))
        # what this kernel computes is not in memory yet, even if it has a place there
        within = n.op.family == "movement" and self.lowering.fusion.source(n) in self.members
        layout = None if within else self.lowering.layout(n)
        if layout is not None:
            return self.read(layout, map_)
        inner = n.op.rules[1](n.attrs, n.inputs[0].shape, n.shape)
        if inner is None:  # merged axes have no index in what they were made of: that must lie in memory first
            return self.read(self.lowering.moved(n, self.lowering.buffered(n.inputs[0])), map_)
        return self.value(n.inputs[0], compose(inner, map_))

    def reduced(self, n: Node) -> E.Expr:
        number = self.number_of[n]
        combine, e = self.reductions[number]
        dtype = (
            dt.int64 if combine.startswith("arg") else dt.float32 if e.dtype in (dt.bfloat16, dt.float16) else e.dtype
        )
        return E.reduced(number, dtype)

    def level(self, n: Node) -> str:
        return "row" if n in self.lowering.fusion.row_level or n.op.family == "reduction" else "full"

    def level_map(self, n: Node) -> tuple:
        """How member `n` is indexed by the iteration."""
        if self.level(n) == "full" or n.shape == self.shape:
            return identity_map(self.shape)
        kept = [a for a in range(len(self.shape)) if a not in self.group.axes]
        if len(n.shape) == len(self.shape):
            return tuple((0, ((a, 1),) if a in kept and self.shape[a] != 1 else ()) for a in range(len(self.shape)))
        return tuple((0, ((a, 1),) if self.shape[a] != 1 else ()) for a in kept)

    def add_reduction(self, n: Node) -> None:
        x = n.inputs[0]
        combine = n.op.rules.kind
        if combine.startswith("arg") and len(n.attrs[0]) > 1:  # positions are counted in row-major order
            layout = self.lowering.buffered(x)
            layout = layout if layout.contiguous else self.lowering.copy(layout)
            value = self.read(layout, identity_map(self.shape))
        else:
            value = self.value(x, identity_map(self.shape))
        if combine in ("and", "or"):
            value = E.cast(value, dt.bool_)
        elif combine not in ("argmax", "argmin", "max", "min"):
            value = E.cast(value, compute_dtype(n.dtype))
        elif x.dtype.kind == "b" and combine.startswith("arg"):
            value = E.cast(value, dt.uint8)
        self.number_of[n] = len(self.reductions)
        self.reductions.append((combine, value))

    def store(self, layout: Layout, value: E.Expr, level: str) -> None:
        self.outputs.append((layout, E.cast(value, layout.dtype), level))

    # -- finishing
    def output_strides(self, layout: Layout, level: str) -> tuple:
        """Strides of a result along the iteration axes."""
        if level == "full":
            return layout.strides
        axes = self.group.axes
        if len(layout.shape) == len(self.shape):
            return tuple(0 if a in axes else s for a, s in enumerate(layout.strides))
        kept = iter(layout.strides)
        return tuple(0 if a in axes else next(kept) for a in range(len(self.shape)))

    def all_operands(self) -> list:
        outs = [(o.buffer, o.dtype, self.output_strides(o, level), o.offset) for o, _, level in self.outputs]
        return [*self.operands, *outs]

    def prune(self) -> None:
        """Forget operands that no expression reads (a rule may look at a value and not use it)."""
        roots = [e for _, e in self.reductions] + [e for _, e, _ in self.outputs]
        roots, used = renumber(roots, self.operands)
        if len(used) == len(self.operands):
            return
        self.reductions = [(c, r) for (c, _), r in zip(self.reductions, roots)]
        rest = roots[len(self.reductions) :]
        self.outputs = [(layout, e, level) for (layout, _, level), e in zip(self.outputs, rest)]
        self.operands = [self.operands[i] for i in used]

    def finish_map(self) -> None:
        if not self.outputs or size_of(self.shape) == 0:
            return
        self.prune()
        operands = self.all_operands()
        sizes, strides = collapse(list(self.shape), [self.walked(o) for o in operands])
        if not sizes:
            sizes, strides = [1], [[0] for _ in operands]
        kernel = self.kernel("map", operands, strides, len(sizes), 0, len(sizes) - 1)
        if len(sizes) > 1 and sizes[-1] > 1 and size_of(sizes) >= MANY and not self.in_place_pairs():
            native = lanes_for(kernel, self.lowering.target)
            if sizes[-1] < SHORT * native:
                kernel.short = min(native, 1 << sizes[-1].bit_length() - 1)
        work = max(1, cost([e for _, e, _ in self.outputs]) // 6)
        if len(sizes) == 1:
            total, grain = sizes[0], max(1024, PARALLEL // work // 64 * 64)
        else:
            total = size_of(sizes[:-1])
            grain = max(1, PARALLEL // work // sizes[-1])
        self.add(kernel, operands, sizes, strides, total, grain)

    def walked(self, operand: tuple) -> list:
        return [0] * len(self.shape) if operand[2] is None else list(operand[2])

    def kernel(self, kind, operands, strides, outer, reduced, axis) -> LoopKernel:
        count = len(self.operands)
        described = []
        for i, (buffer, dtype, _, _) in enumerate(operands):
            mine = strides[i]
            if buffer is None:
                pattern = NUMBER if all(s == 0 for s in mine) else IOTA
            elif i < count and operands[i][2] is None:
                pattern = GATHERED
            elif i < count and all(s == 0 for s in mine):
                pattern = SCALAR
            elif i >= count and self.outputs[i - count][2] == "row" and kind == "rows":
                pattern = FIXED
            elif mine[axis] == 1 or (i >= count and mine[axis] == 0):
                pattern = CONTIGUOUS
            else:
                pattern = FIXED if mine[axis] == 0 else STRIDED
                if i < count and mine[axis] == 2 and dtype.kind != "c":
                    pattern = EVERY_SECOND
            described.append(Operand(dtype, pattern))
        if kind == "map":
            self.find_pairs(operands, strides, described, axis)
        outputs = [(described[count + k], e, level) for k, (_, e, level) in enumerate(self.outputs)]
        return LoopKernel(kind, described[:count], outputs, outer, reduced, tuple(self.reductions))

    def find_pairs(self, operands: list, strides: list, described: list, axis: int) -> None:
        """Mark results that fill one run in turn."""
        for i in range(len(self.operands), len(operands) - 1):
            (buffer, dtype, _, at), (other, same, _, next_) = operands[i : i + 2]
            if strides[i][axis] == 2 and strides[i] == strides[i + 1] and described[i].pattern != ODD:
                if buffer is other and dtype is same and next_ == at + 1 and dtype.kind != "c":
                    described[i].pattern, described[i + 1].pattern = EVEN, ODD

    def finish_fold(self, kind: str) -> None:
        self.prune()
        operands = self.all_operands()
        axes = self.group.axes
        kept = [a for a in range(len(self.shape)) if a not in axes]
        walked = [self.walked(o) for o in operands]
        outer, outer_strides = collapse([self.shape[a] for a in kept], [[s[a] for a in kept] for s in walked])
        inner, inner_strides = collapse([self.shape[a] for a in axes], [[s[a] for a in axes] for s in walked])
        if size_of(outer) == 0:
            return
        if not inner:
            inner, inner_strides = [1], [[0] for _ in operands]
        if kind == "columns" and not outer:
            kind = "rows"
        rows, length = size_of(outer), size_of(inner)
        if self.splittable(kind, rows, length):
            self.split(kind, operands, outer, outer_strides, inner, inner_strides)
            return
        self.emit_fold(kind, operands, outer, outer_strides, inner, inner_strides)

    def emit_fold(self, kind, operands, outer, outer_strides, inner, inner_strides) -> None:
        strides = [[*a, *b] for a, b in zip(outer_strides, inner_strides)]
        sizes = [*outer, *inner]
        axis = len(outer) - 1 if kind == "columns" else len(sizes) - 1
        kernel = self.kernel(kind, operands, strides, len(outer), len(inner), axis)
        rows, length = size_of(outer), size_of(inner)
        work = max(1, cost([e for _, e in self.reductions] + [e for _, e, _ in self.outputs]) // 6)
        if kind == "rows":
            total, grain = rows, max(1, PARALLEL // work // max(1, length))
        else:
            width = column_width(kernel, self.lowering.target)
            total = size_of(outer[:-1]) * -(-outer[-1] // width)
            grain = max(1, PARALLEL // work // max(1, length * min(width, outer[-1])))
        self.add(kernel, operands, sizes, strides, total, grain)

    def in_place_pairs(self, excluded: set = frozenset()) -> list:
        """(output, input) buffers that this body walks in step, element by element."""
        pairs = []
        for layout, _, level in self.outputs:
            if layout.buffer.kind != "output" or level != "full" or layout.offset:
                continue
            if sum(1 for other, _, _ in self.outputs if other.buffer is layout.buffer) > 1:  # only a part of the output
                continue
            for buffer, dtype, strides, offset in self.operands:
                if buffer is None or buffer.kind != "input" or buffer in excluded:
                    continue
                same = dtype is layout.dtype and strides == tuple(layout.strides) and offset == 0
                alone = sum(1 for o in self.operands if o[0] is buffer) == 1
                if same and alone:
                    pairs.append((layout.buffer, buffer))
        return pairs

    def add(self, kernel, operands, sizes, strides, total, grain) -> None:
        params = [*sizes, *(s for mine in strides for s in mine), *(o[3] for o in operands if o[0] is None)]
        buffers = [(o[0], o[3], o[1]) for o in operands]
        pairs = self.in_place_pairs() if kernel.kind == "map" else []
        self.lowering.add_step(Step(kernel, buffers, params, total, grain, pairs))

    # -- long folds over few results: blocks of a fixed size first, then the blocks' results
    def splittable(self, kind, rows, length) -> bool:
        if any(level != "row" for _, _, level in self.outputs):
            return False
        if any(c.startswith("arg") or any(x.op == "reduced" for x in E.walk([e])) for c, e in self.reductions):
            return False
        if kind == "rows":
            return rows < FEW_ROWS and length >= LONG_ROW
        return rows <= WIDEST and length * rows >= LARGE_COLUMNS

    def split(self, kind, operands, outer, outer_strides, inner, inner_strides) -> None:
        """Blocks of the slowest folded axis."""
        lowering = self.lowering
        length, each = inner[0], size_of(inner[1:])
        rows = size_of(outer)
        block = max(1, BLOCK_ELEMENTS // each) if kind == "rows" else max(1, 64 // each, BLOCK_ELEMENTS // rows // each)
        count = -(-length // block)
        kinds = [accumulator_dtype(combine, e.dtype) for combine, e in self.reductions]
        partial = [lowering.fresh(acc, (count, *outer)) for acc in kinds]
        number = len(self.operands)
        whole = length // block
        for first, blocks, size in ((0, whole, block), (whole, count - whole, length - whole * block)):
            if not blocks:
                continue
            part = Body(lowering, self.group, self.shape)
            part.operands = [(b, d, s, o + first * block * inner_strides[i][0])
                             for i, (b, d, s, o) in enumerate(self.operands)]  # fmt: skip
            part.reductions = self.reductions
            ops, out_strides = list(part.operands), [
                [s[0] * block, *o] for s, o in zip(inner_strides[:number], outer_strides[:number])
            ]  # fmt: skip
            for k, (acc, (_, e), p) in enumerate(zip(kinds, self.reductions, partial)):
                value = E.reduced(k, dt.float32 if e.dtype in (dt.bfloat16, dt.float16) else e.dtype)
                into = Layout(p.buffer, acc, p.shape, p.strides, first * rows)
                part.outputs.append((into, E.cast(value, acc), "row"))
                ops.append((into.buffer, acc, (), into.offset))
                out_strides.append(list(p.strides))
            in_strides = [*inner_strides[:number], *([0] * len(inner) for _ in partial)]
            part.emit_fold(kind, ops, [blocks, *outer], out_strides, [size, *inner[1:]], in_strides)
        # what follows the folds may read more: values that are one per result
        finish, used = renumber([e for _, e, _ in self.outputs], self.operands)
        last = Body(lowering, self.group, self.shape)
        last.operands = [self.operands[i] for i in used]
        for (combine, e), acc, p in zip(self.reductions, kinds, partial):
            load = last.operand(p.buffer, acc, (), 0)
            last.reductions.append((combine, E.ne(load, 0) if e.dtype.kind == "b" else load))
        last.outputs = [(into, e, "row") for (into, _, _), e in zip(self.outputs, finish)]
        results = range(number, len(operands))
        last.emit_fold(
            "columns" if outer else "rows", [*last.operands, *(operands[i] for i in results)], outer,
            [*(outer_strides[i] for i in used), *(list(p.strides[1:]) for p in partial), *(outer_strides[i] for i in results)],
            [count], [*([0] for _ in used), *([p.strides[0]] for p in partial), *([0] for _ in results)],
        )  # fmt: skip


def renumber(roots: list, operands: list, first: tuple = ()) -> tuple:
    """(roots reading operands 0, 1, ... instead, the old numbers kept); `first` are kept even if unread."""
    used = sorted({e.value for e in E.walk(roots) if e.op in ("load", "gather")} | set(first))
    if len(used) == len(operands):
        return roots, used
    new = {old: i for i, old in enumerate(used)}
    memo: dict[E.Expr, E.Expr] = {}
    for e in E.walk(roots):
        args = tuple(memo[a] for a in e.args)
        value = new[e.value] if e.op in ("load", "gather") else e.value
        memo[e] = e if args == e.args and value == e.value else E.Expr(e.op, e.dtype, args, value)
    return [memo[r] for r in roots], used


# What isn't a plain loop is loaded when a graph first has it: op.lowering -> (module, function).
indexing = LazyModule("twain.codegen.indexing")
lowerings = LazyModule("twain.codegen.lowerings")
hosts = LazyModule("twain.codegen.hosts")
control = LazyModule("twain.codegen.control")
sorting = LazyModule("twain.codegen.sort")
scans = LazyModule("twain.codegen.scan")
extremes = LazyModule("twain.codegen.extreme")
selecting = LazyModule("twain.codegen.select")
masks = LazyModule("twain.codegen.compress")
searching = LazyModule("twain.codegen.search")
counting = LazyModule("twain.codegen.count")
LOWERINGS = {  # ops with kernels of their own: function(lowering, group)
    "matmul": (lowerings, "lower_matmul"),
    "convolution": (lowerings, "lower_convolution"),
    "scatter_add": (indexing, "lower_scatter"),
    "scatter": (indexing, "lower_scatter"),
    "host": (hosts, "lower_host"),
    "foreign": (LazyModule("twain.codegen.foreign"), "lower_foreign"),
    "control": (control, "lower_control"),
    "fourier": (LazyModule("twain.codegen.transforms"), "lower_fourier"),
    "sort": (sorting, "lower_sort"),
    "scan": (scans, "lower_scan"),
    "select": (selecting, "lower_select"),
    "mask": (masks, "lower_mask"),
    "search": (searching, "lower_search"),
    "count": (counting, "lower_count"),
}
INLINE = {  # ops that are part of a loop's expression: function(body, node, map) -> Expr
    "iota": (indexing, "inline_iota"),
    "inverse_size": (indexing, "inline_size"),
    "take": (indexing, "inline_take"),
    "take_along_axis": (indexing, "inline_along"),
}
