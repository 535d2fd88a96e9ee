"""What happens to a tile of accumulators on its way to memory: fused bias, activation, residual, optimizer update.

An `Epilogue` is a list of output expressions over `load(0)`, the accumulated value in the compute dtype, and
`load(i)`, i >= 1, further operands read at the same place of the result. Every operand has strides of its own at run
time; of the stride along the columns only its class (1, 0 or other) is compiled in.
"""

from __future__ import annotations

from ..base.dtypes import DType
from ..base.errors import VerificationError
from ..base.lazy import LazyModule
from . import expr
from .builder import Builder, storage_type, vector

emit = LazyModule("twain.codegen.emit")  # the plans of known kernels write none


class Epilogue:
    """`outputs`: one Expr per output, of the dtype it is stored in. Build it once per kernel, plans are cached on it.

    `extras`: dtypes of the further operands in order (load(1), load(2), ...).
    """

    __slots__ = ("compute", "extras", "kernels", "outputs", "text")

    def __init__(self, outputs: list, compute: DType):
        self.outputs = tuple(outputs)
        self.compute = compute
        loads: dict[int, DType] = {}
        for e in expr.walk(self.outputs):
            if e.op == "load" and loads.setdefault(e.value, e.dtype) is not e.dtype:
                raise VerificationError(f"[epilogue] load({e.value}) has two dtypes: {loads[e.value]} and {e.dtype}")
        if loads.pop(0, compute) is not compute:
            raise VerificationError(f"[epilogue] expected load(0) to be {compute}, the accumulator's dtype")
        if sorted(loads) != list(range(1, len(loads) + 1)):
            raise VerificationError(f"[epilogue] expected loads 1..{len(loads)}, got {sorted(loads)}")
        self.extras = tuple(loads[i] for i in range(1, len(loads) + 1))
        self.text = expr.text(self.outputs)
        self.kernels: dict = {}  # kernel sources made for this epilogue, by everything else they depend on

    @property
    def operands(self) -> int:
        return len(self.outputs) + len(self.extras)

    def dtypes(self) -> list[DType]:
        """Of all operands in memory: outputs, then extras."""
        return [e.dtype for e in self.outputs] + list(self.extras)


_STORES: dict = {}


def only_store(compute: DType) -> Epilogue:
    """The epilogue that stores the sums as they are."""
    if compute not in _STORES:
        _STORES[compute] = Epilogue([expr.load(0, compute)], compute)
    return _STORES[compute]


def stride_classes(strides: list) -> str:
    """One character per operand: its stride along the columns is 1, 0 or anything else ("x")."""
    return "".join("1" if s == 1 else "0" if s == 0 else "x" for s in strides)


def emit_epilogue(
    b: Builder, epilogue: Epilogue, classes: str, target, tile: str, tile_columns: int, rows: str, columns: str,
    strides: list, locate, lanes: int,
) -> None:  # fmt: skip
    """Write rows x columns of `tile` out.

    `strides`: per operand (row stride, column stride). `locate(column)` gives (pointers, room): for every operand its
    pointer at row 0 of that column, and how many columns from there have the constant stride (None: all of them).
    """
    element = storage_type(epilogue.compute)
    dtypes = epilogue.dtypes()
    outputs = len(epilogue.outputs)
    leaf = expr.load(0, epilogue.compute)

    def of_row(pointers: list, row: str) -> list:
        out = []
        for p, stride, dtype in zip(pointers, strides, dtypes, strict=True):
            out.append(b.offset(p, b.mul(row, stride[0]), storage_type(dtype)))
        return out

    def write(places: list, row: str, column: str, width: int) -> None:
        """One vector (or element) of one row; `places`: of its operands."""
        emitter = emit.ExprEmitter(b, width, target)
        at = b.add(b.mul(row, tile_columns), column)
        leaves = {leaf: b.load(vector(element, width), b.offset(tile, at, element), 4)}
        for i, dtype in enumerate(epilogue.extras):
            k = outputs + i
            step = strides[k][1] if classes[k] == "x" else int(classes[k])
            leaves[expr.load(i + 1, dtype)] = emitter.load_element(places[k], dtype, stride=step)
        values = emitter.emit(list(epilogue.outputs), leaves)
        # everything is read before anything is written: an output may share an operand's buffer
        for i, value in enumerate(values):
            step = 1 if classes[i] == "1" else strides[i][1]
            emitter.store_element(value, places[i], dtypes[i], stride=step)

    def moved(pointers: list, columns: str) -> list:
        out = []
        for p, kind, stride, dtype in zip(pointers, classes, strides, dtypes, strict=True):
            step = columns if kind == "1" else "0" if kind == "0" else b.mul(columns, stride[1])
            out.append(b.offset(p, step, storage_type(dtype)))
        return out

    # One run of columns with constant strides after the other; whole vectors first, then the columns left over.
    head, body, done = b.new_label("run"), b.new_label("run_body"), b.new_label("written")
    before, start = b.block, b.fresh()
    b.branch(head)
    b.label(head)
    patch = len(b.lines)
    b.lines.append("")
    b.branch_if(b.compare("slt", start, columns), body, done)
    b.label(body)
    pointers, room = locate(start)
    length = b.sub(columns, start)
    if room is not None:
        length = b.min(length, room)
    whole = "0"
    # where nothing is read along the row, its last vector may overlap the one before
    overlap = all(kind == "0" for kind in classes[outputs:])
    for size in [lanes, lanes // 2] if lanes >= 8 else [lanes] * (lanes > 1):  # half a vector for what is left or short
        begin = whole
        if overlap:
            whole = b.select(b.compare("sge", length, size), "i64", length, 0)
        else:
            whole = b.sub(length, b.value(f"urem i64 {length}, {size}"))
        last = b.sub(length, size)
        with b.loop(0, rows, hint="row") as row:
            starts = of_row(pointers, row.i)
            with b.loop(begin, whole, size, hint="vector") as v:
                place = b.min(v.i, last) if overlap else v.i
                write(moved(starts, place), row.i, b.add(start, place), size)
    with b.loop(whole, length, hint="column") as c:
        single = moved(pointers, c.i)
        with b.loop(0, rows, hint="row") as row:
            write(of_row(single, row.i), row.i, b.add(start, c.i), 1)
    following = b.add(start, length)
    b.lines[patch] = f"  {start} = phi i64 [ 0, %{before} ], [ {following}, %{b.block} ]"
    b.branch(head)
    b.label(done)
