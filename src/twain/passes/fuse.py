"""Which primitives share a kernel. The graph's computing nodes are gathered, in topological order, into groups:

map          elementwise nodes over one shape, any number of results
rows         elementwise nodes and reductions over the same trailing axes: softmax, layer norm, losses in one kernel
columns      reductions over leading axes, with the elementwise nodes that feed only them
contraction  a matrix product or convolution and the elementwise nodes that follow it
assembly, single   ops that fill buffers region by region; anything else with a lowering of its own

Movements belong to no group: they become strides. A node may join a group only if no path leaves the group and
comes back to it (the group would then wait for itself).
"""

from __future__ import annotations

from ..base.shapes import size_of
from ..ir import node as ir
from ..ir.node import Graph, Node
from ..ir.verify import show

SERIAL_ROW = 16384  # a row this short may be folded by one thread
FEW_ROWS = 8
LONG_ROW = 1 << 16  # few rows this long are folded by blocks, so nothing joins that needs a second pass over them
LARGE_OPERANDS = 2  # of the result's size, read by what follows a contraction within its kernel
LARGE_COLUMNS = 1 << 18  # column folds this large are split into blocks, which nothing else may join
LARGEST = 96  # nodes per group: beyond it registers spill


class Group:
    """Nodes computed by one kernel. `shape` is what it iterates over, `axes` the reduced ones (rows, columns)."""

    __slots__ = ("axes", "deps", "direct", "kind", "nodes", "shape")

    def __init__(self, kind: str, shape: tuple, axes: tuple = ()):
        self.kind = kind
        self.shape = shape
        self.axes = axes
        self.nodes: list[Node] = []
        self.direct: set[Group] = set()  # groups whose buffers it reads
        self.deps: set[Group] = set()  # the same, transitively

    @property
    def cut(self) -> bool:
        """Whether its rows are so few and long that they are folded in blocks."""
        return self.kind == "rows" and few_and_long(self.shape, self.axes)

    @property
    def kept(self) -> tuple:
        return tuple(d for i, d in enumerate(self.shape) if i not in self.axes)

    @property
    def kept_as_ones(self) -> tuple:
        return tuple(1 if i in self.axes else d for i, d in enumerate(self.shape))

    def __repr__(self) -> str:
        return f"Group({self.kind} {self.shape} {self.axes} {self.nodes})"


def fuse(graph: Graph) -> Fusion:
    """The groups of `graph`."""
    first = Fusion(graph)
    crowded = first.crowded()
    return Fusion(graph, crowded) if crowded else first


class Fusion:
    """The groups of a graph, in an order in which they can run."""

    __slots__ = ("group_of", "groups", "inlined", "plain", "row_level", "scalars", "users")

    def __init__(self, graph: Graph, plain: frozenset = frozenset()):
        self.plain = plain  # contractions that nothing may join
        self.groups: list[Group] = []
        self.group_of: dict[Node, Group] = {}
        self.scalars: Group | None = None
        self.inlined: set[Node] = set()  # scalar casts: computed again by whoever reads them
        self.row_level: set[Node] = set()  # members of rows groups that are constant along a row
        self.users: dict[Node, list] = {}
        nodes = graph.nodes()
        for n in nodes:
            for i in n.inputs:
                if i is not None:
                    self.users.setdefault(i, []).append(n)
        for o in graph.outputs:
            self.users.setdefault(o, []).append(None)
        for n in nodes:
            family = n.op.family
            if family in ("leaf", "movement", "creation"):
                continue
            if n.op.name == "cast" and n.shape == () and None not in self.users[n]:
                self.inlined.add(n)
            elif family == "elementwise":
                self.place_elementwise(n)
            elif family == "reduction":
                self.place_reduction(n)
            elif family == "index":  # reads whole buffers; what follows it may join
                self.start("map", n.shape, n)
            else:
                kind = family if family in ("contraction", "assembly") else "single"
                self.start(kind, n.shape, n)
        self.groups = order(self.groups)
        show("fuse", lambda: "\n".join([str(graph), *map(repr, self.groups)]))

    def crowded(self) -> frozenset:
        """Contractions whose followers read so many large operands that a loop of their own is faster."""
        found = set()
        for group in self.groups:
            if group.kind == "contraction":
                read = {
                    i for n in group.nodes[1:] for i in n.inputs if self.is_large(i, group) and self.outside(i, group)
                }
                if len(read) > LARGE_OPERANDS:
                    found.add(group.nodes[0])
        return frozenset(found)

    def is_large(self, i: Node | None, group: Group) -> bool:
        return i is not None and i.size == size_of(group.shape) and i.size > 1

    def outside(self, i: Node, group: Group) -> bool:
        return self.group_of.get(self.source(i)) is not group

    # -- dependences
    def source(self, n: Node) -> Node:
        """The value a chain of movements starts from."""
        while n.op.family == "movement" or n.op is ir.project or n in self.inlined:
            n = n.inputs[0]
        return n

    def needs(self, n: Node, group: Group | None = None) -> set:
        """Groups whose buffers `n` would read as a member of `group`; contains `group` itself if it can't be one."""
        found = set()
        for i in n.inputs:
            if i is None:
                continue
            base = self.source(i)
            g = self.group_of.get(base)
            if g is not None and not (g is group and self.inside(n, i, base, group)):
                found.add(g)
        return found

    def inside(self, n: Node, i: Node, base: Node, group: Group) -> bool:
        """Whether member `n` of `group` can read operand `i` (movements over member `base`) within the kernel."""
        if group.kind in ("rows", "columns") and base in self.row_level:
            return is_row_value(group, n, i, base)
        if group.kind in ("assembly", "single") or n.op.family == "index" or i is not base or base.shape != group.shape:
            return False
        return n.shape == group.shape or n.op.family == "reduction"

    def legal(self, group: Group, n: Node) -> bool:
        if len(group.nodes) >= LARGEST or (group.kind == "contraction" and self.loops_only(n)):
            return False
        return all(h is not group and group not in h.deps for h in self.needs(n, group))

    def loops_only(self, n: Node) -> bool:
        """Whether `n` computes with indices or complex numbers, which only loop kernels have."""
        if n.dtype.kind == "c" or any(i is not None and i.dtype.kind == "c" for i in n.inputs):
            return True
        return n.op.family == "index" or any(self.source(i).op.family == "creation" for i in n.inputs if i is not None)

    def start(self, kind: str, shape: tuple, n: Node, axes: tuple = ()) -> Group:
        group = Group(kind, shape, axes)
        self.groups.append(group)
        self.join(group, n)
        return group

    def join(self, group: Group, n: Node) -> None:
        needs = self.needs(n, group)
        group.nodes.append(n)
        self.group_of[n] = group
        group.direct |= needs
        self.extend(group, needs)

    def extend(self, group: Group, needs: set) -> None:
        new = set(needs)
        for h in needs:
            new |= h.deps
        if new <= group.deps:
            return
        group.deps |= new
        for k in self.groups:
            if group in k.deps:
                k.deps |= group.deps

    def merge(self, into: Group, other: Group) -> bool:
        """Take a map group into another group, if neither waits for the other through a third."""
        shape = into.kept if into.kind == "columns" else into.shape
        if into.kind not in ("map", "rows", "contraction", "columns") or other.kind != "map" or shape != other.shape:
            return False
        if len(into.nodes) + len(other.nodes) > LARGEST:
            return False
        if into.kind == "contraction" and (into.nodes[0] in self.plain or any(self.loops_only(n) for n in other.nodes)):
            return False
        outside = (into.direct | other.direct) - {into, other}
        if any(into in h.deps or other in h.deps for h in outside):
            return False
        if other in into.direct and not self.only_direct(into, other):
            return False
        if into in other.direct and not self.only_direct(other, into):
            return False
        into.nodes = [*into.nodes, *other.nodes]  # a contraction stays first
        for n in other.nodes:
            self.group_of[n] = into
            if into.kind == "columns":
                self.row_level.add(n)
        into.direct = outside
        into.deps = (into.deps | other.deps) - {into, other}
        self.groups.remove(other)
        for k in self.groups:
            if other in k.direct:
                k.direct.discard(other)
                k.direct.add(into)
            if other in k.deps:
                k.deps.discard(other)
                k.deps.add(into)
            if into in k.deps:
                k.deps |= into.deps
        return True

    def only_direct(self, reader: Group, written: Group) -> bool:
        """Whether `reader` uses `written` element by element only."""
        for n in reader.nodes:
            for i in n.inputs:
                if i is None or self.group_of.get(self.source(i)) is not written:
                    continue
                if n.op.family != "elementwise" or i is not self.source(i) or i.shape != n.shape:
                    return False
        return True

    # -- placing
    def place_elementwise(self, n: Node) -> None:
        candidates = []
        for i in n.inputs:
            if i is None:
                continue
            base = self.source(i)
            g = self.group_of.get(base)
            if g is not None and g not in candidates and self.fits(g, n, i, base):
                candidates.append(g)
        candidates.sort(key=lambda g: {"contraction": 0, "rows": 1, "columns": 1, "map": 2}[g.kind])
        chosen = next((g for g in candidates if self.legal(g, n)), None)
        if chosen is None and n.shape == () and not self.needs(n):
            chosen = self.scalars  # all scalars that follow from parameters: one kernel
            # it may have joined another group, or folds something by now
            gone = chosen is None or chosen not in self.groups or chosen.kind != "map"
            if gone or not self.legal(chosen, n):
                self.scalars = self.start("map", (), n)
                return
        if chosen is None:
            chosen = self.sibling(n)
        if chosen is None:
            self.start("map", n.shape, n)
            return
        self.join(chosen, n)
        if chosen.kind == "columns" or (chosen.kind == "rows" and n.shape != chosen.shape):
            self.row_level.add(n)
        elif chosen.kind == "rows" and chosen.shape == chosen.kept_as_ones:
            self.row_level.add(n)
        for g in candidates:
            if g is not chosen and g in self.groups and chosen.kind != "assembly":
                self.merge(chosen, g)

    def feeds_folds(self, g: Group, axes: tuple) -> bool:
        """Whether what `g` computes is read by nothing but folds over `axes` and g itself."""

        def joins(u: Node | None) -> bool:
            if u is None:
                return False
            folds = u.op.family == "reduction" and not u.op.name.startswith("arg") and u.inputs[0].shape == g.shape
            return u in g.nodes or (folds and tuple(u.attrs[0]) == axes)

        full = [m for m in g.nodes if m not in self.row_level]
        return g.kind in ("map", "rows") and all(joins(u) for m in full for u in self.users.get(m, ()))

    def sibling(self, n: Node) -> Group | None:
        """A map group that reads one of n's large operands anyway."""
        for i in n.inputs:
            if i is None or i.shape != n.shape or i.size < 2:
                continue
            for u in self.users[i]:
                h = self.group_of.get(u) if u is not None else None
                if h is not None and h.kind == "map" and h.shape == n.shape and self.legal(h, n):
                    return h
        return None

    def fits(self, g: Group, n: Node, i: Node, base: Node) -> bool:
        if g.kind == "map":
            return g.shape == n.shape and i is base
        if g.kind == "contraction":
            return g.nodes[0] not in self.plain and g.shape == n.shape and i is base
        if g.kind == "columns":
            small = size_of(g.shape) < LARGE_COLUMNS
            return (
                small and base in self.row_level and n.shape in (g.kept, g.kept_as_ones) and is_row_value(g, n, i, base)
            )
        if g.kind == "rows":
            if n.shape == g.shape and g.cut:
                return False
            if base in self.row_level:
                return n.shape in (g.shape, g.kept, g.kept_as_ones) and is_row_value(g, n, i, base)
            return n.shape == g.shape and i is base
        return False

    def place_reduction(self, n: Node) -> None:
        x = n.inputs[0]
        axes = tuple(a for a in n.attrs[0])
        base = self.source(x)
        g = self.group_of.get(base) if base is x else None
        rows = size_of(tuple(d for i, d in enumerate(x.shape) if i not in axes))
        length = size_of(tuple(x.shape[a] for a in axes))
        if not trailing(x.shape, axes):
            fed_only = (
                g is not None
                and g.kind == "map"
                and g.shape == x.shape
                and all(u is n or u in g.nodes for m in g.nodes for u in self.users.get(m, ()))
            )
            if fed_only and not n.op.name.startswith("arg"):
                g.kind = "columns"
                g.axes = axes
                self.join(g, n)
            else:
                self.start("columns", x.shape, n, axes)
            self.row_level.add(n)
            return
        single = n.op.name.startswith("arg")
        if g is not None and not single and (rows >= FEW_ROWS or length <= SERIAL_ROW or self.feeds_folds(g, axes)):
            if g.kind == "map" and g.shape == x.shape and self.legal(g, n):
                g.kind = "rows"
                g.axes = axes
            if (
                g.kind == "rows"
                and g.axes == axes
                and g.shape == x.shape
                and x not in self.row_level
                and self.legal(g, n)
            ):
                self.join(g, n)
                self.row_level.add(n)
                return
        # siblings reading the same buffer (mean and variance) share a pass
        if not single:
            for u in self.users.get(x, ()):
                h = self.group_of.get(u) if u is not None else None
                if h is not None and h.kind == "rows" and h.axes == axes and h.shape == x.shape and self.legal(h, n):
                    self.join(h, n)
                    self.row_level.add(n)
                    return
        self.start("rows", x.shape, n, axes)
        self.row_level.add(n)


def few_and_long(shape: tuple, axes: tuple) -> bool:
    """Whether folding `axes` of `shape` leaves few results of many elements each."""
    rows = size_of(tuple(d for i, d in enumerate(shape) if i not in axes))
    return rows < FEW_ROWS and size_of(tuple(shape[a] for a in axes)) >= LONG_ROW


def trailing(shape: tuple, axes: tuple) -> bool:
    """Whether the last axis of more than one element is folded (then the vector loop runs along a row)."""
    for i in range(len(shape) - 1, -1, -1):
        if shape[i] != 1:
            return i in axes
    return True


def is_row_value(group: Group, n: Node, i: Node, base: Node) -> bool:
    """Whether operand `i`, movements over the row-level `base`, is one value per row of `group` as `n` reads it.

    Only reshapes between the kept shape and its form with ones, and broadcasts along the reduced axes, qualify.
    """
    kept, ones = group.kept, group.kept_as_ones
    if n.shape not in (group.shape, kept, ones):
        return False
    chain = []
    node = i
    while node is not base:
        chain.append(node)
        node = node.inputs[0]
    shape = base.shape
    if shape not in (kept, ones):
        return False
    for step in reversed(chain):
        if step.op.name == "reshape" and step.shape in (kept, ones):
            shape = step.shape
        elif step.op.name == "broadcast_to" and step.shape == group.shape and shape == ones:
            shape = step.shape
        else:
            return False
    if n.shape == shape:
        return True
    # implicit broadcasting of the elementwise op: the form with ones, or no kept axes at all, lines up
    return shape == ones or size_of(kept) == 1 or len(shape) == 0


def order(groups: list) -> list:
    """A topological order, stable in the order of creation."""
    done: set[Group] = set()
    result: list[Group] = []

    def visit(g: Group) -> None:
        stack = [(g, iter(sorted(g.direct, key=groups.index)))]
        started = {g}
        while stack:
            current, rest = stack[-1]
            following = next((h for h in rest if h not in done and h not in started), None)
            if following is None:
                stack.pop()
                if current not in done:
                    done.add(current)
                    result.append(current)
            else:
                started.add(following)
                stack.append((following, iter(sorted(following.direct, key=groups.index))))

    for g in groups:
        if g not in done:
            visit(g)
    return result
