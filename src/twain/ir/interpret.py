"""What every graph means, in NumPy: the slow interpreter that compiled code is compared with.

Each primitive is computed by its `reference`, floating values in float64 and rounded to the node's dtype afterwards;
composites are computed through their graph. A value is a NumPy array of the node's dtype; bfloat16, which NumPy lacks,
is a float32 array that holds bfloat16 numbers only.
"""

from __future__ import annotations

import importlib

from ..base import dtypes as dt
from ..base.dtypes import DType
from ..base.errors import ArgumentError
from ..base.lazy import LazyModule
from . import node as ir
from .node import Graph, Node
from .op import OpRecord, expand, infer, inline

numpy = LazyModule("numpy")

STORED = {
    dt.bfloat16: "float32",
    dt.weak_int: "int64",
    dt.weak_float: "float64",
    dt.weak_complex: "complex128",
    dt.weak_bool: "bool",
}
# Static arguments are one tuple for these, not several arguments.
ONE_TUPLE = ("reshape", "permute_dims", "broadcast_to")


def array_dtype(dtype: DType) -> str:
    """NumPy's name for the arrays that hold values of `dtype` here."""
    return STORED.get(dtype) or dtype.name


def reference(record: OpRecord):
    """The NumPy function that defines an op; ArgumentError where the op names none."""
    if record.reference is None:
        raise ArgumentError(f"[interpret] expected an op with a reference, got {record.name}")
    module, _, name = record.reference.rpartition(".")
    return getattr(importlib.import_module(module), name)


def round_bfloat16(x):
    """float32 numbers rounded to the nearest bfloat16, ties to even; NaN stays NaN."""
    bits = numpy.ascontiguousarray(x, dtype="float32").reshape(numpy.shape(x)).view("uint32")
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000
    return numpy.where(numpy.isnan(x), numpy.float32("nan"), rounded.astype("uint32").view("float32"))


def rounded(x, dtype: DType):
    """A computed array as a value of `dtype`."""
    x = numpy.asarray(x)
    if numpy.iscomplexobj(x) and dtype.kind != "c":
        x = x.real
    x = x.astype(array_dtype(dtype))
    return round_bfloat16(x) if dtype is dt.bfloat16 else x


def widened(x):
    """Floating arrays in double precision, others as they are."""
    x = numpy.asarray(x)
    if x.dtype.kind == "f":
        return x.astype("float64")
    return x.astype("complex128") if x.dtype.kind == "c" else x


def interpret(graph: Graph, arrays: list) -> list:
    """The graph's results for `arrays`, one per parameter position (Python scalars for weak ones)."""
    values: dict[Node, object] = {}
    with numpy.errstate(all="ignore"):
        for p in graph.parameters:
            values[p] = (rounded(arrays[p.attrs], p.dtype),)
        _run(graph.outputs, values)
    return [_read(values, o) for o in graph.outputs]


def _run(roots: list, values: dict) -> None:
    for n in ir.topological(roots):
        if n not in values:
            values[n] = _node(n, values)


def _read(values: dict, n: Node):
    return values[n][0]


def _node(n: Node, values: dict) -> tuple:
    if n.op is ir.constant:
        return (numpy.asarray(n.attrs, dtype=array_dtype(n.dtype)),)
    if n.op is ir.project:
        return (values[n.inputs[0]][n.attrs],)
    if n.op is ir.parameter:
        raise ArgumentError(
            f"[interpret] expected every parameter in the graph's list, got a stray one (position {n.attrs})"
        )
    if n.op.composite is not None:
        body = expand(n.op, n.attrs, tuple(None if i is None else i.spec for i in n.inputs))
        outputs = inline(body, {p: n.inputs[p.attrs] for p in body.parameters})
        inner = dict(values)
        _run(outputs, inner)
        return tuple(inner[o][0] for o in outputs)
    result = compute(n.op, n.attrs, [i.spec for i in n.inputs], [values[i][0] for i in n.inputs])
    results = result if type(result) is tuple else (result,)
    return tuple(rounded(r, s.dtype).reshape(s.shape) for r, s in zip(results, n.specs))


def compute(record: OpRecord, attrs: object, specs: list, arrays: list):
    """One primitive on arrays, before rounding: operands as the kernel sees them, widened."""
    if record.family == "host":  # NumPy is what it is computed by anyway
        found = infer(record, attrs, specs)[1]
        results = [numpy.empty(s.shape, array_dtype(s.dtype)) for s in found]
        record.rules.function(attrs, *arrays, out=results)
        return tuple(results)
    function = reference(record)
    if record.family == "elementwise":
        wanted = record.rules.operand_dtype(specs)
        fixed = record.rules.fixed or (None,) * len(arrays)
        arrays = [rounded(x, wanted if f is None else f) for x, f in zip(arrays, fixed)]
    elif record.family in ("contraction", "assembly", "scatter"):
        wanted = dt.strengthen(
            dt.promote(record.name, *[s.dtype for i, s in enumerate(specs) if not _is_index(record, i)])
        )
        arrays = [x if _is_index(record, i) else rounded(x, wanted) for i, x in enumerate(arrays)]
    arrays = [widened(x) for x in arrays]
    if record.family == "reduction":
        axes, keepdims, *wanted = attrs
        if wanted:
            arrays = [rounded(x, wanted[0]) for x in arrays]
        if record.name.startswith("arg"):
            single = axes[0] if len(axes) == 1 and arrays[0].ndim > 1 else None
            return function(arrays[0], axis=single, keepdims=keepdims)
        return function(arrays[0], axis=axes, keepdims=keepdims)
    extra = () if attrs is None and not record.has_attributes else (attrs,)
    if type(attrs) is tuple and record.name not in ONE_TUPLE:
        extra = attrs
    return function(arrays, *extra) if record.arity < 0 else function(*arrays, *extra)


def _is_index(record: OpRecord, position: int) -> bool:
    return record.family == "scatter" and position == 1


__all__ = ["array_dtype", "compute", "interpret", "reference", "round_bfloat16", "rounded", "widened"]
