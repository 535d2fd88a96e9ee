"""Binary search of many values in sorted rows. Eight searches run side by side: they take the same steps."""

from __future__ import annotations

from ..base.dtypes import DType
from ..base.shapes import size_of
from ..passes.fuse import Group
from .builder import Builder, Module
from .keys import Keys, order_constant
from .lower import PARALLEL, Lowering, Step
from .plan import KernelSource
from .sort import fill, rows_of, slot

CHUNK = 256  # values searched by one thread at a time
TOGETHER = 8
STEPS = 16  # of a search, about

_SOURCES: dict[tuple, KernelSource] = {}


def search_source(dtype: DType, right: bool, target) -> KernelSource:
    """buffers: sorted rows, values, result (int64). params: length of a sorted row, values per row, chunks of values per
    row, distance of sorted rows (0: one for all)."""
    key = (dtype.name, right, target.name)
    found = _SOURCES.get(key)
    if found is None:

        def emit(module: Module, name: str) -> None:
            _emit(module, name, dtype, right, target)

        text = f"search {dtype.name} {'right' if right else 'left'}"
        found = _SOURCES[key] = KernelSource(text, text, emit)
    return found


def _emit(module: Module, name: str, dtype: DType, right: bool, target) -> None:
    b = Builder(module, name, attributes=target.attributes)
    length, count, chunks, distance = (b.parameter(i) for i in range(4))
    rows, values, result = (b.buffer(i) for i in range(3))
    keys = Keys(b, dtype)
    element = keys.element
    order = str(order_constant(dtype, False, True))

    def key_at(base: str, i: str) -> str:
        return keys.of(b.load(element, b.offset(base, i, element)), order, True)

    with b.loop("%begin", "%end", hint="chunk") as chunk:
        row = b.udiv(chunk.i, chunks)
        start = b.mul(b.urem(chunk.i, chunks), CHUNK)
        end = b.min(b.add(start, CHUNK), count)
        sequence = b.offset(rows, b.mul(row, distance), element)
        mine, out = (b.offset(p, b.mul(row, count), e) for p, e in ((values, element), (result, "i64")))

        def search(first: str, together: int) -> None:
            """The searches of `together` values."""
            wanted = [key_at(mine, b.add(first, u)) for u in range(together)]

            def passed(at: str, key: str) -> str:
                """Whether the value belongs behind the element at `at`."""
                return b.compare("sle" if right else "slt", key_at(sequence, at), key, element)

            # of `left` elements from each place on, the first half is passed over or kept
            head, body, done = (b.new_label(h) for h in ("search", "halve", "found"))
            before = b.block
            b.branch(head)
            b.label(head)
            left, places = b.fresh(), [b.fresh() for _ in range(together)]
            patch = len(b.lines)
            b.lines.extend([""] * (1 + together))
            b.branch_if(b.compare("sgt", left, 1), body, done)
            b.label(body)
            half = b.value(f"lshr i64 {left}, 1")
            new = []
            for place, key in zip(places, wanted):
                middle = b.add(place, half)
                new.append(b.select(passed(b.sub(middle, 1), key), "i64", middle, place))
            rest = b.sub(left, half)
            b.branch(head)
            b.lines[patch] = f"  {left} = phi i64 [ {length}, %{before} ], [ {rest}, %{body} ]"
            for k, place in enumerate(places):
                b.lines[patch + 1 + k] = f"  {place} = phi i64 [ 0, %{before} ], [ {new[k]}, %{body} ]"
            b.label(done)
            for u, (place, key) in enumerate(zip(places, wanted)):
                last = b.value(f"zext i1 {passed(place, key)} to i64")
                b.store("i64", b.add(place, last), b.offset(out, b.add(first, u), "i64"), 8)

        carried = [("i64", start)]
        with b.loop(start, b.sub(end, TOGETHER - 1), TOGETHER, carried=carried, hint="several") as loop:
            search(loop.i, TOGETHER)
            loop.next(b.add(loop.i, TOGETHER))
        with b.loop(loop.results[0], end, hint="one") as one:
            search(one.i, 1)
    b.finish()


def lower_search(lowering: Lowering, group: Group) -> None:
    """search_rows: one sorted row for all values, or as many as there are rows of values."""
    n = group.nodes[0]
    sequence, values = (rows_of(lowering, i) for i in n.inputs)
    into = lowering.destination(n)
    if size_of(values.shape) == 0:
        return
    length = sequence.shape[-1]
    single = len(sequence.shape) == 1
    count = size_of(values.shape) if single else values.shape[-1]
    rows = 1 if single else size_of(values.shape[:-1])
    if length == 0:
        fill(lowering, into, 0)
        return
    chunks = -(-count // CHUNK)
    kernel = search_source(sequence.dtype, n.attrs, lowering.target)
    grain = max(1, PARALLEL // CHUNK // STEPS)
    params = [length, count, chunks, 0 if single else length]
    lowering.add_step(Step(kernel, [slot(sequence), slot(values), slot(into)], params, rows * chunks, grain))
