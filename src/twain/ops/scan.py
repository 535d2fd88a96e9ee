"""Scans: cumulative sums, products, extrema, and the linear recurrence that their derivatives are made of."""

from __future__ import annotations

from ..base import dtypes as dt
from ..base.errors import ShapeError
from ..base.shapes import normalize_axis
from ..ir.node import Spec
from .elementwise import cast, conj, equal, exp, isnan, logical_or, multiply, subtract, where
from .families import composite, late
from .index import iota, scatter_add, take_along_axis
from .native import at_least_1d, check_dtype, check_rows, native, run_time, whole
from .samples import Samples
from .shape import concat, reshape, slice_

_TRIED = (dt.int32, dt.float16, dt.bfloat16, dt.float32, dt.float64)
_SHAPES = (((4, 5, 3),), ((2, 70),), ((3, 1, 9),), ((0, 3),), ((2, 0),))
_ARGUMENTS = (((0,), {}), ((-1, True), {}))


def _attributes(axis=-1, reverse=False, initial=False):
    return (whole("axis", axis), bool(reverse), bool(initial))


def _scan_batch(attrs, call, inputs, batched, size):
    spread = [x if b else late.broadcast_to(x, (size, *x.shape)) for x, b in zip(inputs, batched)]
    return call((attrs[0] + 1, *attrs[1:]), *spread)


def _tail(g, axis: int, initial: bool, reverse: bool = False):
    """A result without the fold of nothing at its start."""
    if not initial:
        return g
    starts = tuple(int(a == axis and not reverse) for a in range(g.ndim))
    return slice_(g, starts, (1,) * g.ndim, tuple(d - int(a == axis) for a, d in enumerate(g.shape)))


def _scan(name: str, combine: str, allowed: tuple, *, tried=_TRIED, samples=None, **fields):
    def canonical(attrs, x, *rest):
        check_rows(name, x)
        return (normalize_axis(name, attrs[0], len(x.shape)), *attrs[1:])

    def infer(attrs, x, *rest):
        axis, _, initial = attrs
        dtype = check_dtype(name, x.dtype, allowed)
        shape = tuple(d + int(initial) if a == axis else d for a, d in enumerate(x.shape))
        return Spec(dtype, shape)

    return native(
        name, 1, "scan", infer=infer, canonical=canonical, attributes=_attributes, allowed=allowed, tried=tried,
        detail=combine, batch=_scan_batch, argument_names=("x",), reference=f"twain.testing.scan_references.{name}",
        samples=samples or Samples(((-5, 5),), arguments=_ARGUMENTS, shapes=_SHAPES), **fields,
    )  # fmt: skip


# ---------------------------------------------------------------- the recurrence
def shifted(x, axis: int, reverse: bool, fill: float):
    """Each element's predecessor in scan order, `fill` for the first."""
    count = x.shape[axis]
    if count == 0:
        return x
    edge = late.broadcast_to(cast(fill, x.dtype), tuple(1 if a == axis else d for a, d in enumerate(x.shape)))
    starts = tuple(int(a == axis and reverse) for a in range(x.ndim))
    rest = slice_(x, starts, (1,) * x.ndim, tuple(d - int(a == axis) for a, d in enumerate(x.shape)))
    return concat([rest, edge] if reverse else [edge, rest], axis)


def _recurrence_canonical(attrs, a, b):
    check_rows("linear_recurrence", a)
    return (normalize_axis("linear_recurrence", attrs[0], len(a.shape)), *attrs[1:])


def _recurrence_infer(attrs, a, b):
    if a.shape != b.shape or a.dtype is not b.dtype:
        raise ShapeError(f"[linear_recurrence] expected two operands alike, got {a} and {b}")
    return Spec(check_dtype("linear_recurrence", a.dtype, dt.NUMERIC), a.shape)


def _recurrence_vjp(attrs, g, inputs, outputs, needs):
    axis, reverse, _ = attrs
    a = inputs[0]
    after = shifted(conj(a) if a.dtype.kind == "c" else a, axis, not reverse, 1.0)
    gb = linear_recurrence(after, g[0], axis, not reverse)
    ga = None
    if needs[0]:
        before = shifted(outputs[0], axis, reverse, 0.0)
        ga = multiply(gb, conj(before) if a.dtype.kind == "c" else before)
    return [ga, gb]


def _recurrence_jvp(attrs, call, tangents, inputs, outputs):
    axis, reverse, _ = attrs
    ta, tb = tangents
    if ta is not None:
        more = multiply(ta, shifted(outputs[0], axis, reverse, 0.0))
        tb = more if tb is None else tb + more
    return [call(attrs, inputs[0], tb)]


linear_recurrence = native(
    "linear_recurrence", 2, "scan", infer=_recurrence_infer, canonical=_recurrence_canonical, attributes=_attributes,
    allowed=dt.NUMERIC, tried=(dt.bfloat16, dt.float32, dt.float64, dt.complex64), detail="recurrence",
    vjp=_recurrence_vjp, jvp=_recurrence_jvp, batch=_scan_batch, argument_names=("a", "b"),
    reference="twain.testing.scan_references.linear_recurrence",
    samples=Samples(((-1, 1), (-5, 5)), arguments=_ARGUMENTS, shapes=tuple(s * 2 for s in _SHAPES)),
    doc="y[i] = a[i] y[i - 1] + b[i] along `axis` (y[i + 1] if reverse), beginning with b. Shapes and dtypes alike.",
)  # fmt: skip


# ---------------------------------------------------------------- sums and products
def _sum_vjp(attrs, g, inputs, outputs, needs):
    axis, reverse, initial = attrs
    return [scan_add(_tail(g[0], axis, initial, reverse), axis, not reverse)]


def _linear_jvp(attrs, call, tangents, inputs, outputs):
    return [call(attrs, tangents[0])]


def _prod_vjp(attrs, g, inputs, outputs, needs):
    # with zeros too: g[k] times the product of all x[j], j <= k, but x[i], summed over k >= i
    axis, reverse, initial = attrs
    x, y = inputs[0], _tail(outputs[0], axis, initial, reverse)
    complex_ = x.dtype.kind == "c"
    x, y = (conj(x), conj(y)) if complex_ else (x, y)
    after = linear_recurrence(
        shifted(x, axis, not reverse, 1.0), _tail(g[0], axis, initial, reverse), axis, not reverse
    )
    return [multiply(shifted(y, axis, reverse, 1.0), after)]


def _from_nothing(t, attrs):
    """A tangent with zeros at the fold of nothing, if the scan begins with that."""
    axis, reverse, initial = attrs
    if not initial:
        return t
    edge = late.broadcast_to(cast(0, t.dtype), tuple(1 if a == axis else d for a, d in enumerate(t.shape)))
    return concat([t, edge] if reverse else [edge, t], axis)


def _prod_jvp(attrs, call, tangents, inputs, outputs):
    axis, reverse, initial = attrs
    y = _tail(outputs[0], axis, initial, reverse)
    t = linear_recurrence(inputs[0], multiply(tangents[0], shifted(y, axis, reverse, 1.0)), axis, reverse)
    return [_from_nothing(t, attrs)]


_WIDE = (dt.int32, dt.int64, dt.uint8, dt.float16, dt.bfloat16, dt.float32, dt.float64, dt.complex64)
scan_add = _scan("scan_add", "add", dt.NUMERIC, tried=_WIDE, vjp=_sum_vjp, jvp=_linear_jvp,
                 doc="The sums of all elements up to each, along `axis`.")  # fmt: skip
scan_mul = _scan("scan_mul", "mul", dt.NUMERIC, tried=_WIDE, vjp=_prod_vjp, jvp=_prod_jvp,
                 samples=Samples(((-1.2, 1.2),), arguments=_ARGUMENTS, shapes=(((4, 5, 3),), ((2, 12),))),
                 doc="The products of all elements up to each, along `axis`.")  # fmt: skip


# ---------------------------------------------------------------- extrema
_ORDERED = dt.BOOL + dt.REAL
_ORDERED_TRIED = (dt.bool_, dt.int8, dt.int64, dt.uint64, dt.float16, dt.bfloat16, dt.float32, dt.float64)


def positions_of(x, y, axis: int, reverse: bool):
    """Where the running extremum `y` of `x` is, int64: the last of equal ones in scan order, or the last NaN."""
    hit = equal(x, y)
    if x.dtype.kind == "f":
        hit = logical_or(hit, isnan(x))
    narrow = dt.int32 if x.shape[axis] < 2**31 else dt.int64
    place = cast(iota(tuple(x.shape), axis), narrow)
    if reverse:
        return cast(scan_min(where(hit, place, cast(run_time(x.shape[axis]), narrow)), axis, True), dt.int64)
    return cast(scan_max(where(hit, place, cast(0, narrow)), axis), dt.int64)


def _extremum_vjp(attrs, g, inputs, outputs, needs):
    axis, reverse, initial = attrs
    x, y = inputs[0], _tail(outputs[0], axis, initial, reverse)
    at = positions_of(x, y, axis, reverse)
    return [scatter_add(late.zeros_like(x), at, _tail(g[0], axis, initial, reverse), axis)]


def _extremum_jvp(attrs, call, tangents, inputs, outputs):
    axis, reverse, initial = attrs
    at = positions_of(inputs[0], _tail(outputs[0], axis, initial, reverse), axis, reverse)
    return [_from_nothing(take_along_axis(tangents[0], at, axis), attrs)]


scan_max = _scan("scan_max", "max", _ORDERED, tried=_ORDERED_TRIED, vjp=_extremum_vjp, jvp=_extremum_jvp,
                 doc="The largest of all elements up to each, along `axis`.")  # fmt: skip
scan_min = _scan("scan_min", "min", _ORDERED, tried=_ORDERED_TRIED, vjp=_extremum_vjp, jvp=_extremum_jvp,
                 doc="The smallest of all elements up to each, along `axis`.")  # fmt: skip


# ---------------------------------------------------------------- log-sum-exp
def _log_parts(attrs, x, y):
    """(exp(x - y), exp(y[before] - y)), both at most 1; 0 where nothing has been added yet."""
    axis, reverse, _ = attrs
    nothing = equal(y, float("-inf"))
    before = shifted(y, axis, reverse, float("-inf"))
    weight = where(nothing, 0.0, exp(subtract(x, where(nothing, 0.0, y))))
    decay = where(nothing, 0.0, exp(subtract(before, where(nothing, 0.0, y))))
    return weight, decay


def _log_vjp(attrs, g, inputs, outputs, needs):
    axis, reverse, _ = attrs
    weight, decay = _log_parts(attrs, inputs[0], outputs[0])
    after = shifted(decay, axis, not reverse, 0.0)
    return [multiply(weight, linear_recurrence(after, g[0], axis, not reverse))]


def _log_jvp(attrs, call, tangents, inputs, outputs):
    weight, decay = _log_parts(attrs, inputs[0], outputs[0])
    return [linear_recurrence(decay, multiply(weight, tangents[0]), attrs[0], attrs[1])]


scan_logaddexp = _scan("scan_logaddexp", "logaddexp", dt.FLOATING, tried=dt.FLOATING, vjp=_log_vjp, jvp=_log_jvp,
                       doc="log of the sums of exp of all elements up to each, along `axis`.")  # fmt: skip


# ---------------------------------------------------------------- what users call
def _cumulative_attributes(axis=None, dtype=None, include_initial=False):
    return (
        None if axis is None else whole("axis", axis),
        None if dtype is None else dt.as_dtype(dtype),
        bool(include_initial),
    )


def _cumulative(name: str, scan):
    def function(attrs, x):
        axis, dtype, initial = attrs
        if axis is None:
            if x.ndim > 1:
                raise ShapeError(f"[{name}] expected an axis for an operand of shape {tuple(x.shape)}")
            axis = 0
        if x.ndim == 0:
            raise ShapeError(f"[{name}] expected at least one dimension, got a 0-d tensor")
        if dtype is None and x.dtype.kind in "biu":
            dtype = dt.uint64 if x.dtype.kind == "u" else dt.int64
        return scan(x if dtype is None else cast(x, dtype), axis, False, initial)

    return function


_CUMULATIVE = Samples(
    ((-2, 2),),
    arguments=(((), {"axis": 1}), ((), {"axis": 0, "include_initial": True}), ((), {"axis": -1, "dtype": "float64"})),
    shapes=(((5, 9),), ((4, 3),), ((2, 6),)),
)
cumulative_sum = composite(
    "cumulative_sum", 1, at_least_1d(_cumulative("cumulative_sum", scan_add)), attributes=_cumulative_attributes, names=("x",),
    reference="twain.testing.scan_references.cumulative_sum", samples=_CUMULATIVE, onnx="CumSum",
    errors=(((), {}, "axis"), ((), {"axis": 5}, "axis"), ((), {"axis": 0.5}, "axis")),
    doc="""Sums of all elements up to each along `axis` (None only for one dimension). `dtype`: that of the result; by
    default small integers and bools give int64 (uint64 for unsigned). include_initial puts a 0 first, so that axis has one
    element more. Array API `cumulative_sum`.""",
)  # fmt: skip
cumulative_prod = composite(
    "cumulative_prod", 1, at_least_1d(_cumulative("cumulative_prod", scan_mul)), attributes=_cumulative_attributes, names=("x",),
    reference="twain.testing.scan_references.cumulative_prod", samples=_CUMULATIVE,
    errors=(((), {}, "axis"), ((), {"axis": 5}, "axis"), ((), {"dtype": "no"}, "dtype")),
    doc="""Products of all elements up to each along `axis`; arguments as of `cumulative_sum` (the initial one is 1).""",
)  # fmt: skip


def _axis_attributes(axis=-1):
    return whole("axis", axis)


def _with_positions(name: str, scan):
    def function(axis, x):
        check_rows(name, x.spec)
        axis = normalize_axis(name, axis, x.ndim)
        y = scan(x, axis)
        return [y, positions_of(x, y, axis, False)]

    return function


_AXES = Samples(((-5, 5),), arguments=(((), {}), ((0,), {})), shapes=(((5, 9),),))
_WRONG_AXIS = (((7,), {}, "axis"), (("x",), {}, "axis"))
cummax = composite("cummax", 1, at_least_1d(_with_positions("cummax", scan_max)), attributes=_axis_attributes, names=("x",),
                   reference="twain.testing.scan_references.cummax", samples=_AXES, errors=_WRONG_AXIS,
                   doc="""(values, indices): the largest of all elements up to each along `axis`, and where it is, int64.
                   Of equal ones the last; from a NaN on, NaN.""")  # fmt: skip
cummin = composite("cummin", 1, at_least_1d(_with_positions("cummin", scan_min)), attributes=_axis_attributes, names=("x",),
                   reference="twain.testing.scan_references.cummin", samples=_AXES, errors=_WRONG_AXIS,
                   doc="""(values, indices): the smallest of all elements up to each along `axis`; as `cummax`.""")  # fmt: skip


def _logcumsumexp(axis, x):
    x = cast(x, dt.DEFAULT_FLOAT) if x.dtype.kind in "biu" else x
    return scan_logaddexp(x, axis)


logcumsumexp = composite("logcumsumexp", 1, at_least_1d(_logcumsumexp), attributes=_axis_attributes, names=("x",), samples=_AXES,
                         reference="twain.testing.scan_references.logcumsumexp", errors=_WRONG_AXIS,
                         doc="log of the sums of exp of all elements up to each along `axis`, without overflow.")  # fmt: skip


# ---------------------------------------------------------------- integrals of samples
def _trapezoid_attributes(axis=-1, dx=1.0):
    return (axis, float(dx))


def _pieces(name, attrs, y, x):
    """(areas between neighbouring samples, the axis)."""
    axis, dx = attrs
    check_rows(name, y.spec)
    axis = normalize_axis(name, axis, y.ndim)
    y = cast(y, dt.DEFAULT_FLOAT) if y.dtype.kind in "biu" else y
    count = max(y.shape[axis] - 1, 0)

    def part(v, at, first):
        return slice_(v, tuple(first if a == at else 0 for a in range(v.ndim)), (1,) * v.ndim,
                      tuple(count if a == at else d for a, d in enumerate(v.shape)))  # fmt: skip

    mean = multiply(part(y, axis, 0) + part(y, axis, min(1, y.shape[axis])), 0.5)
    if x is None:
        return multiply(mean, dx), axis
    x = cast(x, y.dtype) if x.dtype.kind in "biu" else x
    if x.ndim == 1 and y.ndim > 1:
        x = reshape(x, tuple(d if a == axis else 1 for a, d in enumerate((x.shape[0],) * y.ndim)))
    if x.ndim != y.ndim or x.shape[axis] != y.shape[axis]:
        raise ShapeError(f"[{name}] expected x with one value per sample of y, {tuple(y.shape)} along axis {axis}, "
                         f"got {tuple(x.shape)}")  # fmt: skip
    return multiply(mean, subtract(part(x, axis, min(1, x.shape[axis])), part(x, axis, 0))), axis


def _trapezoid(attrs, y, x):
    areas, axis = _pieces("trapezoid", attrs, y, x)
    return late.sum(areas, axis, False)


def _cumulative_trapezoid(attrs, y, x):
    areas, axis = _pieces("cumulative_trapezoid", attrs, y, x)
    return scan_add(areas, axis)


_SAMPLED = Samples(((-5, 5), (0, 3)), arguments=(((), {}), ((0,), {})), shapes=(((4, 5), (4, 5)),))
trapezoid_of = composite("trapezoid", 2, _trapezoid, attributes=_trapezoid_attributes, names=("y", "x"), samples=_SAMPLED,
                         reference="twain.testing.scan_references.trapezoid",
                         doc="The integral along `axis` by the trapezoidal rule; see `trapezoid`.")  # fmt: skip
cumulative_trapezoid_of = composite(
    "cumulative_trapezoid", 2, _cumulative_trapezoid, attributes=_trapezoid_attributes, names=("y", "x"),
    samples=_SAMPLED, reference="twain.testing.scan_references.cumulative_trapezoid",
    doc="The integrals along `axis` from the first sample to each further one; see `cumulative_trapezoid`.",
)  # fmt: skip


def trapezoid(y, x=None, /, *, dx: float = 1.0, axis: int = -1):
    """The integral of samples `y` along `axis` by the trapezoidal rule; shape of y without that axis.

    `x`: where the samples are, shaped as y or one-dimensional; None for a distance of `dx` between neighbours.
    """
    return trapezoid_of(y, x, axis, dx)


def cumulative_trapezoid(y, x=None, /, *, dx: float = 1.0, axis: int = -1):
    """The integrals of samples `y` from the first to each further one along `axis`, which loses one element.

    Arguments as of `trapezoid`.
    """
    return cumulative_trapezoid_of(y, x, axis, dx)


__all__ = ["cummax", "cummin", "cumulative_prod", "cumulative_sum", "cumulative_trapezoid", "logcumsumexp", "trapezoid"]
