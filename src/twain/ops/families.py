"""Families of ops: what elementwise ops, reductions, movements, ... share, so that each op states only what is its own."""

from __future__ import annotations

from ..base import dtypes as dt
from ..base.dtypes import DType, promote, strengthen
from ..base.errors import DTypeError, ShapeError
from ..base.shapes import broadcast_shapes, normalize_axes
from ..ir.node import Spec
from ..ir.op import OpRecord, register
from . import refusals

_NAMES = {1: ("x",), 2: ("x1", "x2"), 3: ("x1", "x2", "x3")}


class Elementwise:
    """How an elementwise op computes one element.

    `kernel(k, *exprs)` (with `attrs` before the expressions if the op has static arguments) gets all operands in the
    compute dtype: the promoted dtype, float32 for half precision. `fixed` names operands that keep a dtype of their
    own (`where`'s condition).
    """

    __slots__ = ("dtypes", "fixed", "int_scalars", "kernel", "name", "result", "to_float")

    def __init__(self, name, kernel, dtypes, to_float, result, fixed, ints=None):
        # Python ints beyond the tensors' dtype: floats, infinite to comparisons, or refused
        self.int_scalars = 4 if ints == "power" else 3 if to_float else 2 if result == "bool" else 1
        self.name = name
        self.kernel = kernel
        self.dtypes = dtypes
        self.to_float = to_float
        self.result = result
        self.fixed = fixed

    def operand_dtype(self, specs: tuple) -> DType:
        """The dtype that the (not fixed) operands are promoted to."""
        types = [s.dtype for i, s in enumerate(specs) if self.fixed is None or self.fixed[i] is None]
        common = types[0] if len(types) == 1 else promote(self.name, *types)
        common = strengthen(common)
        if self.to_float and common.kind in "biu":
            common = dt.DEFAULT_FLOAT
        if common not in self.dtypes:
            raise DTypeError(
                f"[{self.name}] expected dtypes among {', '.join(d.name for d in self.dtypes)}, got "
                + " and ".join(str(s.dtype) for s in specs)
            )
        return common

    def result_dtype(self, specs: tuple, attrs: object = None) -> DType:
        common = self.operand_dtype(specs)
        if self.result == "same":
            return common
        if self.result == "bool":
            return dt.bool_
        if self.result == "real":
            return dt.real_of(common)
        return self.result(common, attrs)


def compute_dtype(dtype: DType) -> DType:
    """Half precision is computed in float32."""
    return dt.float32 if dtype in (dt.bfloat16, dt.float16) else dtype


def elementwise(
    name: str,
    arity: int,
    kernel,
    *,
    dtypes=dt.NUMERIC,
    to_float: bool = False,
    result="same",
    fixed: tuple | None = None,
    derivatives: tuple | None = None,
    pullbacks: tuple | None = None,
    attributes=None,
    canonical=None,
    reference=None,
    samples=None,
    errors=None,
    onnx: str | None = None,
    names: tuple | None = None,
    tolerance=None,
    ints: str | None = None,
    doc: str = "",
    autocast: str | None = None,
):
    """An op that computes each element of its (broadcast) result from the corresponding elements of its operands.

    derivatives: per operand the partial derivative d(*operands, out) as a function of values, or 1, -1 or None (none);
    pullbacks: per operand f(g, *operands, out), linear in g, where that is more natural. Either gives vjp and jvp.
    """
    rules = Elementwise(name, kernel, dtypes, to_float, result, fixed, ints)

    def infer(attrs, *specs):
        shape = specs[0].shape if arity == 1 else broadcast_shapes(name, *[s.shape for s in specs])
        return Spec(rules.result_dtype(specs, attrs), shape)

    record = OpRecord(
        name, "elementwise", arity, infer=infer, lowering="elementwise", rules=rules, reference=reference,
        samples=samples, errors=(*(errors or ()), *refusals.of_elementwise(name, arity, dtypes, to_float, fixed)),
        onnx=onnx, argument_names=names or _NAMES.get(arity), attributes=attributes,
        canonical=canonical, tolerance=tolerance, doc=doc, autocast=autocast,
        differentiable=derivatives is not None or pullbacks is not None,
    )  # fmt: skip
    if record.differentiable:
        record.vjp, record.jvp = elementwise_rules(name, derivatives, pullbacks)
    record.batch = elementwise_batch(name)
    return register(record)


def unary(name: str, kernel, *, derivative=None, pullback=None, **fields):
    """Elementwise with one operand. derivative(x, y) with y the result."""
    return elementwise(
        name, 1, kernel, derivatives=None if derivative is None else (derivative,),
        pullbacks=None if pullback is None else (pullback,), **fields,
    )  # fmt: skip


def binary(name: str, kernel, **fields):
    """Elementwise with two operands that broadcast."""
    return elementwise(name, 2, kernel, **fields)


# What the rules below need of the ops themselves; set by ops/__init__ once those exist.
class _Late:
    __slots__ = (
        "add",
        "broadcast_to",
        "cast",
        "conj",
        "multiply",
        "negative",
        "permute_dims",
        "real",
        "reshape",
        "sum",
        "where",
        "zeros_like",
    )


late = _Late()


def fit_gradient(g, spec):
    """`g` summed over the axes along which an operand of `spec` was broadcast, in its dtype."""
    if g.shape != spec.shape:
        extra = len(g.shape) - len(spec.shape)
        axes = tuple(range(extra)) + tuple(
            i + extra for i, d in enumerate(spec.shape) if d == 1 and g.shape[i + extra] != 1
        )
        if axes:
            g = late.sum(g, axes, False)
        if g.shape != spec.shape:
            g = late.reshape(g, spec.shape)
    if g.dtype is not spec.dtype:
        g = late.cast(g, spec.dtype)
    return g


def _scaled(g, d, conjugate: bool):
    if d is None:
        return None
    if type(d) is int:
        return g if d == 1 else late.negative(g)
    return late.multiply(g, late.conj(d) if conjugate and hasattr(d, "dtype") and d.dtype.kind == "c" else d)


def elementwise_rules(name: str, derivatives, pullbacks):
    """vjp and jvp of an elementwise op from either form; the Jacobian is diagonal, so both are the same product."""
    count = len(derivatives or pullbacks)

    def one(i, g, inputs, out, conjugate):
        if out.dtype in (dt.float64, dt.complex128):  # a Python float alone would be computed with in float32
            inputs = [late.cast(x, out.dtype) if x.dtype in (dt.weak_float, dt.weak_complex) else x for x in inputs]
        if derivatives is not None:
            d = derivatives[i]
            return _scaled(g, d(*inputs, out) if callable(d) else d, conjugate)
        return None if pullbacks[i] is None else pullbacks[i](g, *inputs, out)

    def pushed(i, t, inputs, out):
        """A pullback run forwards. It multiplies by the conjugate of the derivative, a tangent by the derivative itself."""
        if pullbacks is None or pullbacks[i] is None or inputs[i].dtype.kind != "c":
            return one(i, t, inputs, out, False)
        if out.dtype.kind == "c":
            return late.conj(one(i, late.conj(t), inputs, out, False))
        slope = one(i, late.cast(1.0, out.dtype), inputs, out, False)  # of a real part of the operand
        return late.real(late.multiply(late.conj(slope), t))

    def vjp(attrs, gradients, inputs, outputs, needs):
        result = []
        for i in range(count):
            g = one(i, gradients[0], inputs, outputs[0], True) if needs[i] else None
            if g is not None:
                x = inputs[i]
                if g.dtype.kind == "c" and x.dtype.kind != "c":
                    g = late.real(g)
                g = fit_gradient(g, x.spec)
            result.append(g)
        return result

    def jvp(attrs, call, tangents, inputs, outputs):
        total = None
        for i in range(count):
            if tangents[i] is None:
                continue
            t = pushed(i, tangents[i], inputs, outputs[0])
            if t is not None:
                total = t if total is None else late.add(total, t)
        if total is None:
            return [None]
        if total.shape != outputs[0].shape:
            total = late.broadcast_to(total, outputs[0].shape)
        return [total if total.dtype is outputs[0].dtype else late.cast(total, outputs[0].dtype)]

    return vjp, jvp


def elementwise_batch(name: str):
    """Batching rule: line the batch axis up in front of the widest operand's axes."""

    def batch(attrs, call, inputs, batched, size):
        rank = max(x.ndim - b for x, b in zip(inputs, batched))
        aligned = []
        for x, b in zip(inputs, batched):
            if b and x.ndim - 1 < rank:
                x = late.reshape(x, (x.shape[0],) + (1,) * (rank - x.ndim + 1) + tuple(x.shape[1:]))
            aligned.append(x)
        return call(attrs, *aligned)

    return batch


class Reduction:
    """How a reduction folds one element after another.

    state = [initial constants]; `load(k, x)` lifts an element; `combine(k, a, b)` is associative and commutative up to
    rounding; `finish(k, state)` gives the result. `kind` is the name of the combine for code generators that have a
    native form: add, mul, max, min, and, or, argmax, argmin.
    """

    __slots__ = ("dtypes", "kind", "name", "result")

    def __init__(self, name, kind, dtypes, result):
        self.name = name
        self.kind = kind
        self.dtypes = dtypes
        self.result = result  # function dtype -> dtype


def reduction(
    name: str,
    kind: str,
    *,
    dtypes=dt.NUMERIC,
    result=None,
    vjp=None,
    jvp=None,
    reference=None,
    samples=None,
    errors=None,
    onnx=None,
    doc: str = "",
    allow_empty: bool = True,
    takes_dtype: bool = False,
    autocast: str | None = None,
):
    """An op that folds some axes: name(x, axis=None, keepdims=False). attrs: (sorted axes, keepdims).

    takes_dtype: a third argument names the dtype that elements are converted to first; it is then attrs[2] unless it is
    the one that results have anyway.
    """
    rules = Reduction(name, kind, dtypes, result or (lambda d: d))

    def attributes(axis=None, keepdims=False):
        if isinstance(axis, list):
            axis = tuple(axis)
        if not isinstance(keepdims, (bool, int)):
            raise TypeError(f"expected keepdims to be a bool, got {keepdims!r}")
        return (axis, bool(keepdims))

    def attributes_with_dtype(axis=None, keepdims=False, dtype=None):
        plain = attributes(axis, keepdims)
        return plain if dtype is None else (*plain, dt.as_dtype(dtype, name))

    def canonical(attrs, spec):
        axes = normalize_axes(name, attrs[0], len(spec.shape))
        wanted = attrs[2:] if attrs[2:] != (rules.result(strengthen(spec.dtype)),) else ()
        return (axes, attrs[1], *wanted)

    def infer(attrs, spec):
        dtype = strengthen(spec.dtype)
        if dtype not in rules.dtypes:
            raise DTypeError(
                f"[{name}] expected dtypes among {', '.join(d.name for d in rules.dtypes)}, got {spec.dtype}"
            )
        axes, keepdims, *wanted = attrs
        if not allow_empty and any(spec.shape[a] == 0 for a in axes):
            raise ShapeError(
                f"[{name}] expected at least one element along the reduced axes, got shape {tuple(spec.shape)}"
            )
        return Spec(wanted[0] if wanted else rules.result(dtype), reduced_shape(spec.shape, axes, keepdims))

    def batch(attrs, call, inputs, batched, size):
        return call((tuple(a + 1 for a in attrs[0]), *attrs[1:]), inputs[0])

    record = OpRecord(
        name, "reduction", 1, infer=infer, attributes=attributes_with_dtype if takes_dtype else attributes,
        canonical=canonical, lowering="reduction", autocast=autocast, rules=rules, reference=reference, samples=samples,
        errors=(*(errors or ()), *refusals.of_reduction(dtypes)), onnx=onnx, argument_names=("x",), vjp=vjp, jvp=jvp, batch=batch,
        doc=doc, differentiable=vjp is not None,
    )  # fmt: skip
    return register(record)


def reduced_shape(shape: tuple, axes: tuple, keepdims: bool) -> tuple:
    """`shape` after folding `axes` (sorted, non-negative)."""
    if keepdims:
        return tuple(1 if i in axes else d for i, d in enumerate(shape))
    return tuple(d for i, d in enumerate(shape) if i not in axes)


def movement(
    name: str, *, attributes, infer, canonical=None, strides=None, index_map=None, vjp=None, jvp=None, batch=None,
    reference=None, samples=None, errors=None, onnx=None, doc: str = "",
):  # fmt: skip
    """An op that only rearranges: its result is a view of its operand's buffer where the layout allows.

    strides(attrs, shape, strides) -> (new strides, element offset) or None if a copy is needed;
    index_map(attrs, in_shape, out_shape) -> per input axis (offset, ((output axis, factor), ...)), or None if the
    input index is not an affine function of the output index.
    """
    record = OpRecord(
        name, "movement", 1, infer=infer, attributes=attributes, canonical=canonical, lowering="movement",
        rules=(strides, index_map), reference=reference, samples=samples, errors=errors, onnx=onnx,
        argument_names=("x",), vjp=vjp, jvp=jvp or linear_jvp, batch=batch, doc=doc,
    )  # fmt: skip
    return register(record)


def linear_jvp(attrs, call, tangents, inputs, outputs):
    """jvp of an op that is linear in its only operand."""
    return [None if tangents[0] is None else call(attrs, tangents[0])]


def in_float32(function):
    """A composite's function that computes on half-precision operands in float32 and rounds its first result once.

    Further results (statistics) stay float32. For sums that could overflow or lose digits on the way.
    """

    def computed(attrs, *values):
        kinds = {v.dtype for v in values if v is not None and v.dtype.kind == "f" and not v.dtype.weak}
        narrow = kinds.intersection(dt.HALF)
        if not narrow:
            return function(attrs, *values)
        result = function(
            attrs, *[late.cast(v, dt.float32) if v is not None and v.dtype in dt.HALF else v for v in values]
        )
        if len(kinds) > 1:
            return result
        if isinstance(result, (tuple, list)):
            return [late.cast(result[0], narrow.pop()), *result[1:]]
        return late.cast(result, narrow.pop())

    computed.__doc__ = function.__doc__
    return computed


def composite(
    name: str, arity: int, function, *, attributes=None, canonical=None, names=None, reference=None, samples=None,
    errors=None, onnx=None, doc: str = "", tolerance=None, vjp=None, ints: str = "checked", autocast=None,
):  # fmt: skip
    """An op that is a function of others: function(attrs, *values). Derivatives and batching follow from its graph.

    ints: what becomes of Python ints that the tensors' integer dtype doesn't hold: refused ("checked"), infinite
    ("compared"), floats ("floating"), or taken modulo the dtype's range ("any").

    `vjp` replaces the derivative of the graph where the op is called as itself (not where it was inlined).
    """
    record = OpRecord(
        name, "composite", arity, composite=function, attributes=attributes, canonical=canonical, reference=reference,
        samples=samples, errors=errors, onnx=onnx, argument_names=names or _NAMES.get(arity), doc=doc or function.__doc__,
        tolerance=tolerance, vjp=vjp, ints=ints, autocast=autocast,
    )  # fmt: skip
    return register(record)
