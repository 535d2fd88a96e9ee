"""Elementwise functions of everyday numerical code beyond the standard's: interpolation, fused arithmetic, C's remainder,
NaN-aware extrema, sums and means, closeness, greatest common divisors. Names and formulas are PyTorch's or NumPy's.
"""

from __future__ import annotations

import math

from ..base import dtypes as dt
from ..base.errors import ArgumentError, DTypeError, ValueRangeError
from ..base.shapes import normalize_axes
from .elementwise import abs as abs_
from .elementwise import (
    add,
    cast,
    cos,
    divide,
    equal,
    exp2,
    greater,
    greater_equal,
    imag,
    isfinite,
    isnan,
    less_equal,
    log,
    logical_and,
    logical_not,
    logical_or,
    multiply,
    negative,
    power,
    real,
    sqrt,
    subtract,
    trunc,
    where,
)
from .families import binary, composite, elementwise, unary
from .nn.rules import floating, in_float32
from .reduce import all as all_
from .reduce import max as max_
from .reduce import mean, var
from .reduce import min as min_
from .reduce import prod as prod_
from .reduce import sum as sum_
from .samples import Samples, domains, reals

_REFERENCES = "twain.testing.everyday_references."


# ---------------------------------------------------------------- parts and angles
frac = unary("frac", lambda k, x: x - k.trunc(x), dtypes=dt.FLOATING, derivative=1, reference=_REFERENCES + "frac",
             samples=reals(), doc="x - trunc(x); the sign is x's.")  # fmt: skip
deg2rad = unary("deg2rad", lambda k, x: x * (math.pi / 180.0), dtypes=dt.FLOATING, to_float=True,
                pullback=lambda g, x, y: g * (math.pi / 180.0), reference="numpy.deg2rad", samples=reals(-360, 360),
                doc="Degrees as radians.")  # fmt: skip
rad2deg = unary("rad2deg", lambda k, x: x * (180.0 / math.pi), dtypes=dt.FLOATING, to_float=True,
                pullback=lambda g, x, y: g * (180.0 / math.pi), reference="numpy.rad2deg", samples=reals(),
                doc="Radians as degrees.")  # fmt: skip


def _isinf_signed(sign: float):
    return lambda k, x: k.eq(x, sign * math.inf) if x.dtype.kind == "f" else k.const(False, dt.bool_)


isposinf = unary("isposinf", _isinf_signed(1.0), dtypes=dt.BOOL + dt.REAL, result="bool", reference="numpy.isposinf",
                 samples=reals(), doc="Whether x is positive infinity.")  # fmt: skip
isneginf = unary("isneginf", _isinf_signed(-1.0), dtypes=dt.BOOL + dt.REAL, result="bool", reference="numpy.isneginf",
                 samples=reals(), doc="Whether x is negative infinity.")  # fmt: skip


def _isreal(k, x):
    return k.eq(k.imag(x), 0.0) if x.dtype.kind == "c" else k.const(True, dt.bool_)


isreal = unary("isreal", _isreal, dtypes=dt.ANY, result="bool", reference="numpy.isreal", samples=reals(),
               doc="Whether the imaginary part is 0.")  # fmt: skip


def _sinc_slope(x, y):
    zero = equal(x, 0)
    t = where(zero, 1.0, x)
    return where(zero, 0.0, (cos(t * math.pi) - y) / t)


def _sinc(k, x):
    t = x * math.pi
    zero = k.eq(x, 0.0)
    return k.select(zero, 1.0, k.sin(t) / k.select(zero, 1.0, t))


sinc = unary("sinc", _sinc, dtypes=dt.INEXACT, to_float=True, derivative=_sinc_slope, reference=_REFERENCES + "sinc",
             samples=Samples(((-3, 3),), special=False), doc="sin(pi x) / (pi x), and 1 at 0.")  # fmt: skip


# ---------------------------------------------------------------- division
def _fmod(k, x, y):
    if x.dtype.kind == "f":
        return k.copysign(k.rem(k.abs(x), k.abs(y)), x)
    rest = k.rem(x, y)
    if x.dtype.kind == "u":
        return rest
    return k.select(k.ne(rest, 0) & ((x ^ y) < 0), rest - y, rest)


fmod = binary("fmod", _fmod, dtypes=dt.REAL, derivatives=(1, lambda x, y, z: negative(trunc(x / y))),
              reference="numpy.fmod", samples=domains((-20, 20), "nonzero"),
              doc="The remainder of x1 / x2 rounded towards zero: its sign is x1's (C's fmod).")  # fmt: skip
gcd = binary("gcd", lambda k, x, y: k.gcd(x, y), dtypes=dt.INTEGER, reference="numpy.gcd",
             samples=domains("integer", "integer"), doc="The greatest common divisor, at least 0; gcd(0, 0) is 0.")  # fmt: skip


def _lcm(k, x, y):
    common = k.gcd(x, y)
    multiple = k.floordiv(x, common) * y
    return multiple if x.dtype.kind == "u" else k.abs(multiple)


lcm = binary("lcm", _lcm, dtypes=dt.INTEGER, reference="numpy.lcm", samples=domains((1, 20), (1, 5)),
             doc="The least common multiple, at least 0; 0 where either is 0.")  # fmt: skip

# ---------------------------------------------------------------- extrema and steps
fmax = binary("fmax", lambda k, x, y: k.select(k.ne(x, x), y, k.select(k.ne(y, y), x, k.maximum(x, y))),
              dtypes=dt.BOOL + dt.REAL, pullbacks=(
                  lambda g, x, y, z: where(logical_or(greater_equal(x, y), isnan(y)), g, 0),
                  lambda g, x, y, z: where(logical_or(greater_equal(x, y), isnan(y)), 0, g)),
              reference="numpy.fmax", samples=reals(count=2),
              doc="The larger of x1 and x2; the other one where one is NaN.")  # fmt: skip
fmin = binary("fmin", lambda k, x, y: k.select(k.ne(x, x), y, k.select(k.ne(y, y), x, k.minimum(x, y))),
              dtypes=dt.BOOL + dt.REAL, pullbacks=(
                  lambda g, x, y, z: where(logical_or(less_equal(x, y), isnan(y)), g, 0),
                  lambda g, x, y, z: where(logical_or(less_equal(x, y), isnan(y)), 0, g)),
              reference="numpy.fmin", samples=reals(count=2),
              doc="The smaller of x1 and x2; the other one where one is NaN.")  # fmt: skip


def _heaviside(k, x, y):
    step = k.select(x > 0, 1, k.const(0, x.dtype))
    step = k.select(k.eq(x, 0), y, step)
    return k.select(k.ne(x, x), x, step) if x.dtype.kind == "f" else step


heaviside = binary("heaviside", _heaviside, dtypes=dt.BOOL + dt.REAL, reference="numpy.heaviside", samples=reals(count=2),
                   names=("x", "values"), doc="0 where x < 0, `values` where x is 0, 1 where x > 0.")  # fmt: skip


# ---------------------------------------------------------------- logarithms
def _xlogy(k, x, y):
    zero = k.eq(x, 0.0) & k.eq(y, y)
    return k.select(zero, 0.0, x * k.log(y))


def _xlog1py(k, x, y):
    zero = k.eq(x, 0.0) & k.eq(y, y)
    return k.select(zero, 0.0, x * k.log1p(y))


def _of_zero(x, value):
    """`value` but 0 where x is 0: the derivative of x log(y) there, also at y = 0."""
    return where(equal(x, 0), 0.0, value)


xlogy = binary("xlogy", _xlogy, dtypes=dt.FLOATING, to_float=True,
               derivatives=(lambda x, y, z: where(logical_and(equal(x, 0), less_equal(y, 0)), 0.0, log(y)),
                            lambda x, y, z: x / y), reference=_REFERENCES + "xlogy",
               samples=domains((-3, 3), (0.1, 5)), doc="x1 * log(x2), and 0 where x1 is 0 and x2 no NaN.")  # fmt: skip
xlog1py = binary("xlog1py", _xlog1py, dtypes=dt.FLOATING, to_float=True,
                 derivatives=(lambda x, y, z: where(logical_and(equal(x, 0), less_equal(y, -1)), 0.0, log(1.0 + y)),
                              lambda x, y, z: x / (1.0 + y)), reference=_REFERENCES + "xlog1py",
                 samples=domains((-3, 3), (-0.8, 5)), doc="x1 * log1p(x2), and 0 where x1 is 0 and x2 no NaN.")  # fmt: skip


def _log_add_exp2(k, x, y):
    top = k.maximum(x, y)
    gap = k.abs(x - y)
    return k.select(k.eq(x, y), top + 1.0, top + k.log1p(k.exp2(-gap)) * (1.0 / math.log(2.0)))


logaddexp2 = binary("logaddexp2", _log_add_exp2, dtypes=dt.FLOATING, to_float=True,
                    derivatives=(lambda x, y, z: exp2(x - z), lambda x, y, z: exp2(y - z)),
                    reference="numpy.logaddexp2", samples=reals(count=2),
                    doc="log2(2 ** x1 + 2 ** x2), without overflow.")  # fmt: skip


def _entr(k, x):
    inside = k.select(x > 0.0, -x * k.log(x), k.select(k.eq(x, 0.0), 0.0, k.const(-math.inf, x.dtype)))
    return k.select(k.ne(x, x), x, inside)


entr = unary("entr", _entr, dtypes=dt.FLOATING, to_float=True, derivative=lambda x, y: -1.0 - log(x),
             reference=_REFERENCES + "entr", samples=reals(0.05, 5),
             doc="-x * log(x) where x > 0, 0 at 0, minus infinity below.")  # fmt: skip


def _logit_attributes(eps=None):
    if eps is not None and not 0.0 <= float(eps) <= 1.0:
        raise ValueRangeError(f"[logit] expected eps in [0, 1] or None, got {eps}")
    return None if eps is None else float(eps)


def _logit(eps, x):
    """log(x / (1 - x)); eps limits x to [eps, 1 - eps] first."""
    x = floating(x)
    if eps is not None:
        x = where(greater(x, 1.0 - eps), 1.0 - eps, where(greater(eps, x), eps, x))
    return log(x / (1.0 - x))


logit = composite("logit", 1, in_float32(_logit),
                  errors=(((2.0,), {}, "[logit]"),),
                  attributes=_logit_attributes, names=("x",),
                  reference=_REFERENCES + "logit", samples=Samples(((0.05, 0.95),), arguments=(((), {}), ((0.1,), {})),
                                                            shapes=(((3, 4),),)))  # fmt: skip


# ---------------------------------------------------------------- three operands
lerp = elementwise("lerp", 3, lambda k, x, y, w: k.select(k.abs(w) < 0.5, x + w * (y - x), y - (y - x) * (1.0 - w)),
                   dtypes=dt.INEXACT, derivatives=(lambda x, y, w, z: 1.0 - w, lambda x, y, w, z: w,
                                                    lambda x, y, w, z: y - x),
                   names=("start", "end", "weight"), reference=_REFERENCES + "lerp", samples=Samples(
                       ((-5, 5), (-5, 5), (0, 1)), special=False), doc="start + weight * (end - start).")  # fmt: skip


def _value_attribute(value=1):
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ArgumentError(f"expected value to be a number, got {value!r}")
    return value


def _addcmul(value, x, a, b):
    """x + value * x1 * x2."""
    product = multiply(a, b)
    return add(x, product if value == 1 else multiply(product, value))


def _addcdiv(value, x, a, b):
    """x + value * x1 / x2."""
    quotient = divide(a, b)
    return add(x, quotient if value == 1 else multiply(quotient, value))


_VALUES = (((), {}), ((), {"value": 0.5}))
addcmul = composite("addcmul", 3, in_float32(_addcmul),
                    errors=((("x",), {}, "[addcmul]"),),
                    attributes=_value_attribute, names=("x", "x1", "x2"),
                    reference=_REFERENCES + "addcmul", samples=Samples(
                        ((-2, 2),) * 3, arguments=_VALUES, shapes=(((3, 4), (3, 1), (4,)),)))  # fmt: skip
addcdiv = composite("addcdiv", 3, in_float32(_addcdiv),
                    errors=((("x",), {}, "[addcdiv]"),),
                    attributes=_value_attribute, names=("x", "x1", "x2"),
                    reference=_REFERENCES + "addcdiv", samples=Samples(
                        ((-2, 2), (-2, 2), "nonzero"), arguments=_VALUES, shapes=(((3, 4), (3, 1), (4,)),)))  # fmt: skip


# ---------------------------------------------------------------- floating point taken apart
def _to_range(k, x, n):
    """x * 2 ** n in two steps, so that neither power leaves the range; n a whole number as a float."""
    n = k.minimum(k.maximum(n, -2200.0), 2200.0)
    half = k.trunc(n * 0.5)
    return x * k.exp2(half) * k.exp2(n - half)


_ldexp_kernel = binary("scale_by_power", _to_range, dtypes=dt.FLOATING, to_float=True, derivatives=(
    lambda x, y, z: exp2(y), lambda x, y, z: z * math.log(2.0)), reference=_REFERENCES + "ldexp",
    samples=Samples(((-5, 5), (-6, 6)), special=False, shapes=(((3, 4), (4,)),)),
    doc="x1 * 2 ** x2 for whole x2.")  # fmt: skip


def _ldexp(attrs, x, exponent):
    """x * 2 ** exponent."""
    x = floating(x)
    if "c" in (x.dtype.kind, exponent.dtype.kind):
        return x * exp2(floating(exponent))
    return _ldexp_kernel(x, cast(exponent, x.dtype) if exponent.dtype.kind in "biu" else exponent)


ldexp = composite("ldexp", 2, _ldexp, names=("x", "exponent"), ints="floating",
    errors=(((), {}, "(4, 5)", ((None, (2, 3)), (None, (4, 5)))),),
    reference=_REFERENCES + "ldexp", samples=Samples(
    ((-5, 5), "class 9"), shapes=(((3, 4), (4,)),)))  # fmt: skip


def _exponent(k, x):
    """The exponent e of x = m * 2 ** e with 0.5 <= |m| < 1; 0 for 0, infinity and NaN."""
    wide = k.cast(x, dt.float64)
    tiny = k.abs(wide) < 2.0**-1000
    bits = k.bitcast(k.select(tiny, wide * 2.0**200, wide), dt.uint64)
    found = k.cast((bits >> 52) & 0x7FF, dt.int32) - k.select(tiny, 1222, k.const(1022, dt.int32))
    usual = (k.abs(wide) < math.inf) & k.ne(wide, 0.0)
    return k.select(usual, found, 0)


_frexp_exponent = unary("frexp_exponent", _exponent, dtypes=dt.FLOATING, result=lambda common, attrs: dt.int32,
                        reference=_REFERENCES + "frexp_exponent", samples=reals(),
                        doc="The exponent that frexp gives, int32.")  # fmt: skip


def _frexp(attrs, x):
    """(mantissa, exponent): x = mantissa * 2 ** exponent with 0.5 <= |mantissa| < 1, exponent int32."""
    if x.dtype.kind != "f":
        raise DTypeError(f"[frexp] expected a real floating dtype, got {x.dtype}")
    exponent = _frexp_exponent(x)
    return _ldexp_kernel(x, negative(cast(exponent, x.dtype))), exponent


frexp = composite("frexp", 1, _frexp, names=("x",), reference="numpy.frexp", samples=Samples(
    ((-5, 5),), shapes=(((3, 4),),)))  # fmt: skip


def _float_power(attrs, x, y):
    """x1 ** x2, computed and returned in float64 (complex operands: complex128)."""
    wide = dt.complex128 if "c" in (x.dtype.kind, y.dtype.kind) else dt.float64
    return power(cast(x, wide), cast(y, wide))


float_power = composite("float_power", 2, _float_power,
    errors=(((), {}, "(4, 5)", ((None, (2, 3)), (None, (4, 5)))),),
    reference="numpy.float_power", ints="floating", samples=Samples(
    ((0.1, 3), (-2, 2)), shapes=(((3, 4), (4,)),)))  # fmt: skip


# ---------------------------------------------------------------- NaN
_LARGEST = {dt.bfloat16: 3.3895313892515355e38, dt.float16: 65504.0, dt.float32: 3.4028234663852886e38,
            dt.float64: 1.7976931348623157e308}  # fmt: skip


def _number_or_none(name: str, value: object):
    if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float))):
        raise ArgumentError(f"expected {name} to be a number or None, got {value!r}")
    return value


def _nan_to_num_attributes(nan=0.0, posinf=None, neginf=None):
    return (_number_or_none("nan", nan), _number_or_none("posinf", posinf), _number_or_none("neginf", neginf))


def _nan_to_num(attrs, x):
    """NaN replaced by `nan`, infinities by `posinf` and `neginf` (None: the dtype's largest and smallest numbers)."""
    if x.dtype.kind in "biu":
        return x
    if x.dtype.kind == "c":
        raise DTypeError(f"[nan_to_num] expected a real dtype, got {x.dtype}")
    nan, high, low = attrs
    top = _LARGEST[dt.strengthen(x.dtype)]
    result = where(isnan(x), 0.0 if nan is None else nan, x)
    result = where(equal(x, math.inf), top if high is None else high, result)
    return where(equal(x, -math.inf), -top if low is None else low, result)


nan_to_num = composite("nan_to_num", 1, _nan_to_num,
                       errors=((("x",), {}, "[nan_to_num]"),),
                       attributes=_nan_to_num_attributes, names=("x",),
                       reference=_REFERENCES + "nan_to_num", samples=Samples(
                           ((-5, 5),), arguments=(((), {}), ((), {"nan": 2.0, "posinf": 9.0})), shapes=(((3, 4),),)))  # fmt: skip


def _axes_attributes(axis=None, keepdims=False):
    return (tuple(axis) if isinstance(axis, list) else axis, bool(keepdims))


def _with_nan(name: str, function, reference: str | None = None):
    """A reduction that leaves NaN out: name(x, axis=None, keepdims=False)."""

    def composed(attrs, x):
        axes = normalize_axes(name, attrs[0], x.ndim)
        return function(x, None if x.dtype.kind in "biu" else isnan(x), axes, attrs[1])

    composed.__doc__ = function.__doc__
    return composite(name, 1, in_float32(composed), attributes=_axes_attributes, names=("x",),
                     errors=(((9,), {}, "axis"), (((0, 0),), {}, "distinct axes")),
                     reference=reference or "numpy." + name, samples=Samples(
                         ((-5, 5),), arguments=(((), {}), ((), {"axis": 1, "keepdims": True})), shapes=(((4, 5),),)))  # fmt: skip


def _nansum(x, absent, axes, keepdims):
    """The sum over `axis` of what is no NaN."""
    return sum_(x if absent is None else where(absent, 0.0, x), axes, keepdims)


def _nanprod(x, absent, axes, keepdims):
    """The product over `axis` of what is no NaN."""
    return prod_(x if absent is None else where(absent, 1.0, x), axes, keepdims)


def _count_of(absent, dtype, axes, keepdims):
    return sum_(cast(logical_not(absent), dtype), axes, keepdims)


def _nanmean(x, absent, axes, keepdims):
    """The mean over `axis` of what is no NaN; NaN where nothing is left."""
    if absent is None:
        return mean(x, axes, keepdims)
    return sum_(where(absent, 0.0, x), axes, keepdims) / _count_of(absent, x.dtype, axes, keepdims)


def _nan_extremum(fold, filling: float):
    def function(x, absent, axes, keepdims):
        if absent is None:
            return fold(x, axes, keepdims)
        result = fold(where(absent, filling, x), axes, keepdims)
        return where(all_(absent, axes, keepdims), math.nan, result)

    return function


nansum = _with_nan("nansum", _nansum)
nanprod = _with_nan("nanprod", _nanprod)
nanmean = _with_nan("nanmean", _nanmean)
nanmax = _with_nan("nanmax", _nan_extremum(max_, -math.inf))
nanmin = _with_nan("nanmin", _nan_extremum(min_, math.inf))


def _spread_attributes(axis=None, correction=0.0, keepdims=False):
    return (tuple(axis) if isinstance(axis, list) else axis, float(correction), bool(keepdims))


def _nanvar(attrs, x):
    """The variance over `axis` of what is no NaN; divides by count - correction."""
    axis, correction, keepdims = attrs
    axes = normalize_axes("nanvar", axis, x.ndim)
    x = floating(x)
    absent = isnan(x)
    gap = where(absent, 0.0, subtract(x, _nanmean(x, absent, axes, True)))
    left = _count_of(absent, x.dtype, axes, keepdims) - correction
    return where(greater(left, 0), sum_(gap * gap, axes, keepdims) / left, math.nan)


def _nanstd(attrs, x):
    """The standard deviation over `axis` of what is no NaN; divides by count - correction."""
    return power(_nanvar(attrs, x), 0.5)


_SPREAD = Samples(((-5, 5),), arguments=(((), {}), ((), {"axis": 1, "correction": 1.0})), shapes=(((4, 5),),))
nanvar = composite("nanvar", 1, in_float32(_nanvar),
                   errors=(((9,), {}, "[nanvar]"),),
                   attributes=_spread_attributes, names=("x",),
                   reference="twain.testing.references.var", samples=_SPREAD)  # fmt: skip
nanstd = composite("nanstd", 1, in_float32(_nanstd),
                   errors=(((9,), {}, "[nanstd]"),),
                   attributes=_spread_attributes, names=("x",),
                   reference="twain.testing.references.std", samples=_SPREAD)  # fmt: skip


# ---------------------------------------------------------------- several reductions at once
def _aminmax(attrs, x):
    """(min, max) over `axis`."""
    return min_(x, *attrs), max_(x, *attrs)


def _variance(attrs, x):
    return var(real(x), *attrs) + var(imag(x), *attrs) if x.dtype.kind == "c" else var(x, *attrs)


def _var_mean(attrs, x):
    """(variance, mean) over `axis`; the variance divides by count - correction."""
    return _variance(attrs, x), mean(x, attrs[0], attrs[2])


def _std_mean(attrs, x):
    """(standard deviation, mean) over `axis`; the deviation divides by count - correction."""
    return sqrt(_variance(attrs, x)), mean(x, attrs[0], attrs[2])


aminmax = composite("aminmax", 1, _aminmax,
                    errors=(((9,), {}, "[aminmax]"),),
                    attributes=_axes_attributes, names=("x",), reference=_REFERENCES + "aminmax",
                    samples=Samples(((-5, 5),), arguments=(((), {"axis": 1}),), shapes=(((4, 5),),)))  # fmt: skip
var_mean = composite("var_mean", 1, in_float32(_var_mean),
                     errors=(((9,), {}, "[var_mean]"),),
                     attributes=_spread_attributes, names=("x",),
                     reference=_REFERENCES + "var_mean", samples=_SPREAD)  # fmt: skip
std_mean = composite("std_mean", 1, in_float32(_std_mean),
                     errors=(((9,), {}, "[std_mean]"),),
                     attributes=_spread_attributes, names=("x",),
                     reference=_REFERENCES + "std_mean", samples=_SPREAD)  # fmt: skip


# ---------------------------------------------------------------- closeness
def _tolerance_attributes(rtol=1e-5, atol=1e-8, equal_nan=False):
    if not (rtol >= 0 and atol >= 0):
        raise ValueRangeError(f"expected rtol and atol to be at least 0, got {rtol} and {atol}")
    return (float(rtol), float(atol), bool(equal_nan))


def _isclose(attrs, x, y):
    """Whether |x1 - x2| <= atol + rtol * |x2|; infinities are close to themselves, NaN to NaN if equal_nan."""
    rtol, atol, equal_nan = attrs
    common = dt.strengthen(dt.promote("isclose", x.dtype, y.dtype))
    x, y = cast(x, common), cast(y, common)
    same = equal(x, y)
    if common.kind == "b":
        return same
    if common.kind in "iu":
        x, y = cast(x, dt.float64), cast(y, dt.float64)
    elif common in (dt.bfloat16, dt.float16):
        x, y = cast(x, dt.float32), cast(y, dt.float32)
    near = logical_and(less_equal(abs_(subtract(x, y)), atol + rtol * abs_(y)), isfinite(y))
    result = logical_or(same, near)
    return logical_or(result, logical_and(isnan(x), isnan(y))) if equal_nan else result


_CLOSE = Samples(((-1, 1), (-1, 1)), arguments=(((), {}), ((), {"atol": 0.5})), shapes=(((4, 5), (5,)),))
isclose = composite("isclose", 2, _isclose,
                    errors=(((-1.0,), {}, "[isclose]"),),
                    attributes=_tolerance_attributes, reference="numpy.isclose", samples=_CLOSE,
                    ints="compared")  # fmt: skip


def _allclose(attrs, x, y):
    """Whether all elements are close, as isclose says: a 0-d bool."""
    return all_(_isclose(attrs, x, y))


allclose = composite(
    "allclose",
    2,
    _allclose,
    errors=(((-1.0,), {}, "[allclose]"),),
    attributes=_tolerance_attributes,
    reference="numpy.allclose",
    samples=_CLOSE,
    ints="compared",
)


def _array_equal(equal_nan, x, y):
    """Whether shapes and all elements are equal (NaN to NaN if equal_nan): a 0-d bool."""
    if tuple(x.shape) != tuple(y.shape):
        return cast(False, dt.bool_)
    same = equal(x, y)
    if equal_nan:
        same = logical_or(same, logical_and(isnan(x), isnan(y)))
    return all_(same)


array_equal = composite(
    "array_equal", 2, _array_equal, attributes=lambda equal_nan=False: bool(equal_nan), reference="numpy.array_equal",
    samples=Samples(((-5, 5), (-5, 5)), shapes=(((3,), (3,)), ((3,), (4,)))), ints="compared",
)  # fmt: skip

__all__ = [
    "addcdiv", "addcmul", "allclose", "aminmax", "array_equal", "deg2rad", "entr", "float_power", "fmax", "fmin", "fmod",
    "frac", "frexp", "gcd", "heaviside", "isclose", "isneginf", "isposinf", "isreal", "lcm", "ldexp", "lerp", "logaddexp2",
    "logit", "nan_to_num", "nanmax", "nanmean", "nanmin", "nanprod", "nanstd", "nansum", "nanvar", "rad2deg", "sinc",
    "std_mean", "var_mean", "xlog1py", "xlogy",
]  # fmt: skip
