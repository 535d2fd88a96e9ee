"""Descriptions of loop kernels: what is computed, over which operands, moving how. Writing them is `loops.py`'s work.

A kernel is identified by its `text()`: kernels with equal texts are one function.
Parameters, in order: sizes of the outer axes, sizes of the reduced axes (slowest first), then per operand its strides
along those axes (in elements), then the start of each IOTA and each NUMBER. The innermost axis of the vector loop is the last
one of the respective list.
"""

from __future__ import annotations

from ..base import dtypes as dt
from ..base.dtypes import DType
from . import expr as E

# How an operand moves along the vectorised axis.
FIXED, CONTIGUOUS, STRIDED, SCALAR, IOTA, GATHERED = "f", "c", "s", "0", "i", "g"
EVERY_SECOND, EVEN, ODD = "2", "e", "o"
NUMBER = "n"
# SCALAR: the same element everywhere. IOTA: no buffer, its "elements" are start + strides . index, int64.
# NUMBER: no buffer either, one int64 that comes at run time.
# GATHERED: a buffer read only at computed offsets. EVERY_SECOND: read with stride 2. EVEN and ODD, in this order: two
# results that fill every second element of one run.


class Operand:
    """A buffer the kernel reads or writes. `pattern` is its movement along the vector axis."""

    __slots__ = ("dtype", "pattern")

    def __init__(self, dtype: DType, pattern: str):
        self.dtype = dtype
        self.pattern = pattern


class LoopKernel:
    """kind "map": outputs[i] is stored for every index of the outer axes.

    kind "rows": per index of the outer axes, reductions run over the reduced axes; outputs at level "row" are stored once
    per row, those at level "full" for every element.
    kind "columns": the same reductions, vectorised along the last outer axis; all outputs are at level "row".

    `short`: of a map with short rows, how many lanes it uses; a row has at least as many elements. Its last vector overlaps
    the one before, so nothing that is written may be read.
    """

    __slots__ = ("_text", "inputs", "kind", "outer", "outputs", "reduced", "reductions", "short")

    def __init__(self, kind, inputs, outputs, outer: int, reduced: int = 0, reductions=(), short: int = 0):
        self.kind = kind
        self.inputs = inputs  # list[Operand], numbered as the loads of the expressions
        self.outputs = outputs  # list[(Operand, Expr, level)]
        self.outer = outer
        self.reduced = reduced
        self.reductions = reductions  # list[(combine, Expr)], in order of dependence
        self.short = short
        self._text = None

    def text(self) -> str:
        if self._text is None:
            operands = [*self.inputs, *(o for o, _, _ in self.outputs)]
            head = f"{self.kind}{self.short or ''} {self.outer} {self.reduced} " + " ".join(
                f"{o.dtype.name}{o.pattern}" for o in operands
            )
            folds = " ".join(c for c, _ in self.reductions)
            levels = " ".join(level for _, _, level in self.outputs)
            roots = [e for _, e in self.reductions] + [e for _, e, _ in self.outputs]
            self._text = f"{head}\n{folds}\n{levels}\n{E.text(roots)}"
        return self._text


def accumulator_dtype(combine: str, dtype: DType) -> DType:
    """What a fold is kept in: float32 for half precision, bytes for bool."""
    if dtype in (dt.bfloat16, dt.float16):
        return dt.float32
    return dt.uint8 if dtype.kind == "b" else dtype


_COST = {
    "div": 4, "sqrt": 4, "pow": 40, "floordiv": 8, "rem": 10, **dict.fromkeys(E.SPECIAL_UNARY, 100),
    **dict.fromkeys(E.SPECIAL_BINARY, 200), "betainc": 400,
}  # fmt: skip
_LIGHT = frozenset(
    (
        "load gather const reduced add sub mul neg abs min max fma eq ne lt le gt ge and or xor not shl shr select cast bitcast"
    ).split()
)


def cost(roots: list) -> int:
    """Rough vector instructions per element; decides unrolling."""
    return sum(1 if e.op in _LIGHT else _COST.get(e.op, 20) for e in E.walk(roots))


def lanes_for(kernel: LoopKernel, target) -> int:
    """Vector lanes: the register width over the widest dtype that moves."""
    if kernel.short:
        return kernel.short
    roots = [e for _, e in kernel.reductions] + [e for _, e, _ in kernel.outputs]
    # offsets and index comparisons are wider than the data they serve; let them take several registers
    index_only = any(o.pattern in (IOTA, NUMBER, GATHERED) for o in kernel.inputs)
    widest = 1
    for e in E.walk(roots):
        size = dt.real_of(e.dtype).itemsize
        if e.op == "const" or (e.op == "load" and kernel.inputs[e.value].pattern in (SCALAR, IOTA, NUMBER)):
            continue
        if e.dtype is not dt.int64 or not index_only:
            widest = max(widest, size)
    for o, _, _ in kernel.outputs:
        widest = max(widest, dt.real_of(o.dtype).itemsize)
    return max(1, min(target.vector_bytes // max(widest, 2), 32))


def column_width(kernel: LoopKernel, target) -> int:
    """Columns per chunk of a column kernel."""
    return lanes_for(kernel, target) * (1 if cost([e for _, e in kernel.reductions]) > 24 else 4)
