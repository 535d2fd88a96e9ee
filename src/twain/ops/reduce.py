"""Reductions: folds over axes, and the means and variances made of them."""

from __future__ import annotations

from ..base import dtypes as dt
from ..base.shapes import normalize_axes, size_of
from .elementwise import abs, add, cast, equal, exp, imag, log, multiply, real, sqrt, subtract, where
from .families import composite, in_float32, late, reduction
from .index import inverse_size
from .samples import Samples
from .shape import broadcast_to, reshape

_AXES = (((), {}), ((), {"axis": 0}), ((), {"axis": -1, "keepdims": True}), ((), {"axis": (0, 1)}))


def _tries(low=-5.0, high=5.0):
    return Samples(((low, high),), arguments=_AXES)


def kept_shape(attrs, shape: tuple) -> tuple:
    """The result's shape with the folded axes kept as 1."""
    return tuple(1 if i in attrs[0] else d for i, d in enumerate(shape))


def expand_back(g, attrs, shape: tuple):
    """A reduction's result (or its gradient) broadcast over the folded axes again."""
    if not attrs[1]:
        g = reshape(g, kept_shape(attrs, shape))
    return broadcast_to(g, shape)


def _accumulated(dtype):
    """Array API: sums and products of small integers are in the default integer of their kind."""
    if dtype.kind in "bi":
        return dt.int64
    return dt.uint64 if dtype.kind == "u" else dtype


def _as_operand(g, x):
    """A gradient in the dtype of the operand; of a real operand the real part."""
    if g.dtype is x.dtype:
        return g
    return cast(late.real(g) if g.dtype.kind == "c" and x.dtype.kind != "c" else g, x.dtype)


def _sum_vjp(attrs, gradients, inputs, outputs, needs):
    return [expand_back(_as_operand(gradients[0], inputs[0]), attrs, inputs[0].shape)]


def _linear_jvp(attrs, call, tangents, inputs, outputs):
    return [call(attrs, tangents[0])]


_WITH_DTYPE = Samples(((-5.0, 5.0),), arguments=(*_AXES, ((0,), {"dtype": "complex128"})))

sum = reduction("sum", "add",
    autocast="float32", dtypes=dt.ANY, result=_accumulated, vjp=_sum_vjp, jvp=_linear_jvp, reference="numpy.sum",
                samples=_WITH_DTYPE, onnx="ReduceSum", takes_dtype=True,
                doc="Sum over `axis` (None: all). dtype: what elements are converted to first; else integers and bool are "
                "summed in 64 bits.")  # fmt: skip


def _others(attrs, x, dtype):
    """For each element the product of the others along the folded axes; zeros are counted, not divided by."""
    x = cast(x, dtype)
    zero = equal(x, 0)
    safe = where(zero, 1, x)
    count = cast(zero, dt.int32)
    alone = equal(sum(count, attrs[0], True), count)  # no other element is zero
    return where(alone, prod(safe, attrs[0], True) / safe, 0)


def _prod_vjp(attrs, gradients, inputs, outputs, needs):
    x, g = inputs[0], gradients[0]
    slope = _others(attrs, x, g.dtype)
    return [_as_operand(multiply(expand_back(g, attrs, x.shape), late.conj(slope)), x)]


def _prod_jvp(attrs, call, tangents, inputs, outputs):
    return [sum(multiply(tangents[0], _others(attrs, inputs[0], outputs[0].dtype)), attrs[0], attrs[1])]


prod = reduction("prod", "mul",
    autocast="float32", dtypes=dt.ANY, result=_accumulated, vjp=_prod_vjp, jvp=_prod_jvp, reference="numpy.prod",
                 samples=Samples(((0.5, 2.0),), arguments=_WITH_DTYPE.arguments), onnx="ReduceProd", takes_dtype=True,
                 doc="Product over `axis` (None: all). dtype: what elements are converted to first; else integers and bool "
                 "are multiplied in 64 bits.")  # fmt: skip


def _winners(attrs, x, y):
    """Share of each element in an extremum: ties divide it evenly."""
    hit = cast(equal(x, expand_back(y, attrs, x.shape)), x.dtype)
    count = sum(hit, attrs[0], True)
    return hit / count


def _extremum_vjp(attrs, gradients, inputs, outputs, needs):
    x = inputs[0]
    return [multiply(expand_back(gradients[0], attrs, x.shape), _winners(attrs, x, outputs[0]))]


def _extremum_jvp(attrs, call, tangents, inputs, outputs):
    return [sum(multiply(tangents[0], _winners(attrs, inputs[0], outputs[0])), attrs[0], attrs[1])]


max = reduction("max", "max", dtypes=dt.BOOL + dt.REAL, vjp=_extremum_vjp, jvp=_extremum_jvp, reference="numpy.max",
                samples=_tries(), onnx="ReduceMax", allow_empty=False)  # fmt: skip
min = reduction("min", "min", dtypes=dt.BOOL + dt.REAL, vjp=_extremum_vjp, jvp=_extremum_jvp, reference="numpy.min",
                samples=_tries(), onnx="ReduceMin", allow_empty=False)  # fmt: skip
any = reduction("any", "or", dtypes=dt.ANY, result=lambda d: dt.bool_, reference="numpy.any", samples=_tries())
all = reduction("all", "and", dtypes=dt.ANY, result=lambda d: dt.bool_, reference="numpy.all", samples=_tries())
argmax = reduction("argmax", "argmax", dtypes=dt.BOOL + dt.REAL, result=lambda d: dt.int64, reference="numpy.argmax",
                   samples=Samples(((-5, 5),), arguments=_AXES[:3]), onnx="ArgMax",
                   allow_empty=False)  # fmt: skip
argmin = reduction("argmin", "argmin", dtypes=dt.BOOL + dt.REAL, result=lambda d: dt.int64, reference="numpy.argmin",
                   samples=Samples(((-5, 5),), arguments=_AXES[:3]), onnx="ArgMin",
                   allow_empty=False)  # fmt: skip


# ---------------------------------------------------------------- made of these
def _axes_attributes(axis=None, keepdims=False):
    return (tuple(axis) if isinstance(axis, list) else axis, bool(keepdims))


def _floating(x):
    return cast(x, dt.DEFAULT_FLOAT) if x.dtype.kind in "biu" else x


def _count(axes, x) -> int:
    return size_of(tuple(x.shape[a] for a in axes))


def over_count(x, count: int):
    """x / count for a number of elements, which kernels get at run time: they serve every shape."""
    if x.dtype.kind == "c":
        return multiply(x, 1.0 / count if count else float("nan"))
    if x.dtype.itemsize > 2:
        return multiply(x, inverse_size(count, x.dtype))
    return cast(multiply(cast(x, dt.float32), inverse_size(count, dt.float32)), x.dtype)


def _mean(attrs, x):
    """Arithmetic mean over `axis` (None: all); of no elements it is NaN."""
    x = _floating(x)
    axes = normalize_axes("mean", attrs[0], x.ndim)
    return over_count(sum(x, axes, attrs[1]), _count(axes, x))


mean = composite("mean", 1, in_float32(_mean), attributes=_axes_attributes, errors=(((9,), {}, "axis"),),
    reference="numpy.mean", samples=_tries(),
                 onnx="ReduceMean", names=("x",))  # fmt: skip


def _spread_attributes(axis=None, correction=0.0, keepdims=False):
    return (tuple(axis) if isinstance(axis, list) else axis, float(correction), bool(keepdims))


def _var(attrs, x):
    """Variance over `axis`: the mean of |x - mean(x)|^2 with count - correction for the count; real for complex x."""
    x = _floating(x)
    axis, correction, keepdims = attrs
    axes = normalize_axes("var", axis, x.ndim)
    centred = subtract(x, mean(x, axes, True))
    if x.dtype.kind == "c":
        squares = add(multiply(real(centred), real(centred)), multiply(imag(centred), imag(centred)))
    else:
        squares = multiply(centred, centred)
    total = sum(squares, axes, keepdims)
    count = _count(axes, x)
    if count > correction and correction.is_integer():
        return over_count(total, count - int(correction))
    return multiply(total, 1.0 / (count - correction) if count > correction else float("nan"))


_SPREAD = Samples(
    ((-5, 5),), arguments=(((), {}), ((), {"axis": 0, "correction": 1.0}), ((), {"axis": -1, "keepdims": True}))
)
var = composite("var", 1, in_float32(_var), autocast="float32", attributes=_spread_attributes, samples=_SPREAD,
                errors=(((9,), {}, "axis"),),
                reference="twain.testing.references.var", names=("x",))  # fmt: skip


def _std(attrs, x):
    """Standard deviation over `axis`; see var."""
    return sqrt(var(x, *attrs))


std = composite("std", 1, in_float32(_std), autocast="float32", attributes=_spread_attributes, samples=_SPREAD,
                errors=(((9,), {}, "axis"),),
                reference="twain.testing.references.std", names=("x",))  # fmt: skip


def _logsumexp(attrs, x):
    """log(sum(exp(x))) over `axis`, without overflow."""
    axes = normalize_axes("logsumexp", attrs[0], x.ndim)
    x = _floating(x)
    top = max(real(x) if x.dtype.kind == "c" else x, axes, True)
    # an infinite maximum must not become inf - inf
    top = where(equal(abs(top), float("inf")), 0.0, top)
    result = add(log(sum(exp(subtract(x, top)), axes, True)), top)
    if attrs[1]:
        return result
    return reshape(result, tuple(d for i, d in enumerate(x.shape) if i not in axes))


logsumexp = composite("logsumexp", 1, in_float32(_logsumexp),
    autocast="float32", attributes=_axes_attributes, onnx="ReduceLogSumExp",
                      names=("x",), errors=(((9,), {}, "axis"),),
                      reference="twain.testing.references.logsumexp", samples=_tries())  # fmt: skip

late.sum = sum
