"""What happens to a tile of accumulators on its way to memory: fused bias, activation, residual, optimizer update.

An `Epilogue` is a list of output expressions over `load(0)`, the accumulated value in the compute dtype, and
`load(i)`, i >= 1, further operands read at the same place of the result. Every operand has strides of its own at run
time; of the stride along the columns only its class (1, 0 or other) is compiled in.
"""

from __future__ import annotations

from ..base.dtypes import DType
from ..base.errors import VerificationError
from . import expr
from .builder import Builder, storage_type, vector
from .emit import ExprEmitter


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


def stride_classes(strides: list) -> str:
    """One character per operand: its stride along the columns is 1, 0 or anything else ("x")."""
    return "".join("1" if s == 1 else "0" if s == 0 else "x" for s in strides)


def emit_epilogue(
    b: Builder, epilogue: Epilogue, classes: str, target, tile: str, tile_columns: int, rows: str, columns: str,
    row_strides: list, column_strides: list, locate, lanes: int,
) -> None:  # fmt: skip
    """Write rows x columns of `tile` out.

    `locate(column)` gives (pointers, room): for every operand its pointer at row 0 of that column, and how many
    columns from there have the constant stride `column_strides` (None: all of them).
    """
    element = storage_type(epilogue.compute)
    dtypes = epilogue.dtypes()
    outputs = len(epilogue.outputs)
    leaf = expr.load(0, epilogue.compute)

    def rows_of(pointers: list, column: str, width: int) -> None:
        emitter = ExprEmitter(b, width, target)
        with b.loop(0, rows, hint="row") as row:
            at = b.add(b.mul(row.i, tile_columns), column)
            leaves = {leaf: b.load(vector(element, width), b.offset(tile, at, element), 4)}
            places = []
            for p, stride, dtype in zip(pointers, row_strides, dtypes, strict=True):
                places.append(b.offset(p, b.mul(row.i, stride), storage_type(dtype)))
            for i, dtype in enumerate(epilogue.extras):
                k = outputs + i
                step = {"1": 1, "0": 0, "x": column_strides[k]}[classes[k]]
                leaves[expr.load(i + 1, dtype)] = emitter.load_element(places[k], dtype, stride=step)
            values = emitter.emit(list(epilogue.outputs), leaves)
            # everything is read before anything is written: an output may share an operand's buffer
            for i, value in enumerate(values):
                step = 1 if classes[i] == "1" else column_strides[i]
                emitter.store_element(value, places[i], dtypes[i], stride=step)

    with b.loop(0, columns, lanes, hint="columns") as block:
        pointers, room = locate(block.i)
        left = b.min(b.sub(columns, block.i), lanes)
        if lanes > 1:
            whole = b.compare("sge", left if room is None else b.min(left, room), lanes)
            fast, slow, done = b.new_label("whole"), b.new_label("single"), b.new_label("written")
            b.branch_if(whole, fast, slow)
            b.label(fast)
            rows_of(pointers, block.i, lanes)
            b.branch(done)
            b.label(slow)
        with b.loop(block.i, b.add(block.i, left), hint="column") as single:
            rows_of(locate(single.i)[0], single.i, 1)
        if lanes > 1:
            b.branch(done)
            b.label(done)
