"""Elementwise ops: arithmetic, comparison, logic, rounding, powers and the elementary functions.

`kernel` says what one element is (k: the expression builder), `derivatives` the partial derivatives in ordinary
notation. NumPy's name for the same function is the reference the op table is tested against.
"""

from __future__ import annotations

import math

from ..base import dtypes as dt
from ..base.errors import ArgumentError
from ..base.shapes import as_index
from .families import binary, elementwise, late, unary
from .samples import Samples, domains, reals

# ---------------------------------------------------------------- arithmetic
add = binary("add", lambda k, x, y: x + y if x.dtype.kind != "b" else x | y, dtypes=dt.ANY, derivatives=(1, 1),
             reference="numpy.add", samples=reals(count=2), onnx="Add")  # fmt: skip
subtract = binary("subtract", lambda k, x, y: x - y, derivatives=(1, -1),
                  reference="numpy.subtract", samples=reals(count=2), onnx="Sub")  # fmt: skip
multiply = binary("multiply", lambda k, x, y: x * y if x.dtype.kind != "b" else x & y, dtypes=dt.ANY,
                  derivatives=(lambda x, y, z: y, lambda x, y, z: x),
                  reference="numpy.multiply", samples=reals(count=2), onnx="Mul")  # fmt: skip
divide = binary("divide", lambda k, x, y: x / y, dtypes=dt.INEXACT, to_float=True,
                pullbacks=(lambda g, x, y, z: g / conj(y), lambda g, x, y, z: negative(g * conj(z / y))),
                reference="numpy.divide", samples=domains((-5, 5), "nonzero"), onnx="Div")  # fmt: skip
floor_divide = binary("floor_divide", lambda k, x, y: k.floordiv(x, y), dtypes=dt.REAL,
                      derivatives=(lambda x, y, z: 0.0,) * 2, reference="twain.testing.elementwise_references.floor_divide",
                      samples=domains((-20, 20), "nonzero"))  # fmt: skip
remainder = binary("remainder", lambda k, x, y: k.rem(x, y), dtypes=dt.REAL,
                   derivatives=(1, lambda x, y, z: negative(floor_divide(x, y))), reference="numpy.remainder",
                   samples=domains((-20, 20), "nonzero"))  # fmt: skip
negative = unary("negative", lambda k, x: -x, derivative=-1, reference="numpy.negative", samples=reals(), onnx="Neg")
positive = unary("positive", lambda k, x: x, derivative=1, reference="numpy.positive", samples=reals())
abs = unary("abs", lambda k, x: k.abs(x) if x.dtype.kind != "u" else x, result="real",
            pullback=lambda g, x, y: g * sign(x), reference="numpy.abs", samples=reals(), onnx="Abs")  # fmt: skip
square = unary("square", lambda k, x: x * x if x.dtype.kind != "b" else x, dtypes=dt.ANY, derivative=lambda x, y: 2 * x,
               reference="numpy.square", samples=reals())  # fmt: skip
reciprocal = unary("reciprocal", lambda k, x: 1.0 / x, autocast="float32", dtypes=dt.INEXACT, to_float=True,
                   derivative=lambda x, y: negative(y * y), reference="numpy.reciprocal",
                   samples=domains("nonzero"), onnx="Reciprocal")  # fmt: skip


def _sign(k, x):
    if x.dtype.kind == "u":
        return k.select(x > 0, 1, k.const(0, x.dtype))
    return k.sign(x)


def _turned(g, x, y):
    """The change of x / |x| along g: what is across x, divided by |x|; of real numbers it is 0."""
    if x.dtype.kind != "c":
        return multiply(g, 0.0)
    size = abs(x)
    zero = equal(size, 0)
    across = subtract(g, multiply(y, real(multiply(conj(y), g))))
    return where(zero, 0, divide(across, where(zero, 1, size)))


sign = unary("sign", _sign, pullback=_turned, reference="numpy.sign", samples=reals(), onnx="Sign")
sign.record.jvp = lambda attrs, call, tangents, inputs, outputs: [_turned(tangents[0], inputs[0], outputs[0])]

# ---------------------------------------------------------------- complex parts
conj = unary("conj", lambda k, x: k.conj(x) if x.dtype.kind == "c" else x, dtypes=dt.ANY, pullback=lambda g, x, y: conj(g),
             reference="numpy.conj", samples=reals())  # fmt: skip
real = unary("real", lambda k, x: k.real(x) if x.dtype.kind == "c" else x, dtypes=dt.ANY, result="real",
             pullback=lambda g, x, y: g, reference="numpy.real", samples=reals())  # fmt: skip
imag = unary("imag", lambda k, x: k.imag(x), dtypes=dt.COMPLEX, result="real",
             pullback=lambda g, x, y: g * 1j, reference="numpy.imag", samples=reals())  # fmt: skip

# ---------------------------------------------------------------- comparison and logic
equal = binary("equal", lambda k, x, y: k.eq(x, y), dtypes=dt.ANY, result="bool", reference="numpy.equal",
               samples=reals(count=2), onnx="Equal")  # fmt: skip
not_equal = binary("not_equal", lambda k, x, y: k.ne(x, y), dtypes=dt.ANY, result="bool",
                   reference="numpy.not_equal", samples=reals(count=2))  # fmt: skip
_ORDERED = dt.BOOL + dt.REAL
less = binary("less", lambda k, x, y: x < y, dtypes=_ORDERED, result="bool", reference="numpy.less",
              samples=reals(count=2), onnx="Less")  # fmt: skip
less_equal = binary("less_equal", lambda k, x, y: x <= y, dtypes=_ORDERED, result="bool",
                    reference="numpy.less_equal", samples=reals(count=2), onnx="LessOrEqual")  # fmt: skip
greater = binary("greater", lambda k, x, y: x > y, dtypes=_ORDERED, result="bool", reference="numpy.greater",
                 samples=reals(count=2), onnx="Greater")  # fmt: skip
greater_equal = binary("greater_equal", lambda k, x, y: x >= y, dtypes=_ORDERED, result="bool",
                       reference="numpy.greater_equal", samples=reals(count=2), onnx="GreaterOrEqual")  # fmt: skip


def _truth(k, x):
    return x if x.dtype.kind == "b" else k.ne(x, 0)


def _logical(name: str, join, onnx: str):
    """Numbers count as true unless they are 0, as in NumPy; the standard has bool only."""
    return binary(name, lambda k, x, y: join(_truth(k, x), _truth(k, y)), dtypes=dt.ANY, result="bool",
                  reference=f"numpy.{name}", samples=reals(count=2), onnx=onnx)  # fmt: skip


logical_and = _logical("logical_and", lambda x, y: x & y, "And")
logical_or = _logical("logical_or", lambda x, y: x | y, "Or")
logical_xor = _logical("logical_xor", lambda x, y: x ^ y, "Xor")
logical_not = unary("logical_not", lambda k, x: ~_truth(k, x), dtypes=dt.ANY, result="bool",
                    reference="numpy.logical_not", samples=reals(), onnx="Not")  # fmt: skip

_BITS = dt.BOOL + dt.INTEGER
bitwise_and = binary("bitwise_and", lambda k, x, y: x & y, dtypes=_BITS, reference="numpy.bitwise_and",
                     samples=domains("integer", "integer"))  # fmt: skip
bitwise_or = binary("bitwise_or", lambda k, x, y: x | y, dtypes=_BITS, reference="numpy.bitwise_or",
                    samples=domains("integer", "integer"))  # fmt: skip
bitwise_xor = binary("bitwise_xor", lambda k, x, y: x ^ y, dtypes=_BITS, reference="numpy.bitwise_xor",
                     samples=domains("integer", "integer"))  # fmt: skip
bitwise_invert = unary("bitwise_invert", lambda k, x: ~x, dtypes=_BITS, reference="numpy.invert",
                       samples=domains("integer"))  # fmt: skip
bitwise_left_shift = binary("bitwise_left_shift", lambda k, x, y: x << y, dtypes=dt.INTEGER,
                            reference="numpy.left_shift", samples=domains("integer", (0, 6)))  # fmt: skip
bitwise_right_shift = binary("bitwise_right_shift", lambda k, x, y: x >> y, dtypes=dt.INTEGER,
                             reference="numpy.right_shift", samples=domains("integer", (0, 6)))  # fmt: skip

# ---------------------------------------------------------------- selection
where = elementwise("where", 3, lambda k, c, x, y: k.select(c, x, y), dtypes=dt.ANY, fixed=(dt.bool_, None, None),
                    pullbacks=(None, lambda g, c, x, y, z: where(c, g, 0), lambda g, c, x, y, z: where(c, 0, g)),
                    names=("condition", "x1", "x2"), reference="numpy.where",
                    samples=domains("bool", (-5, 5), (-5, 5)), onnx="Where")  # fmt: skip


def _tie(g, wins, equal_):
    """The gradient where an operand wins, half of it where both are equal."""
    return where(wins, g, where(equal_, g * 0.5, 0))


maximum = binary("maximum", lambda k, x, y: k.maximum(x, y), dtypes=_ORDERED,
                 pullbacks=(lambda g, x, y, z: _tie(g, greater(x, y), equal(x, y)),
                            lambda g, x, y, z: _tie(g, greater(y, x), equal(x, y))),
                 reference="numpy.maximum", samples=reals(count=2), onnx="Max")  # fmt: skip
minimum = binary("minimum", lambda k, x, y: k.minimum(x, y), dtypes=_ORDERED,
                 pullbacks=(lambda g, x, y, z: _tie(g, less(x, y), equal(x, y)),
                            lambda g, x, y, z: _tie(g, less(y, x), equal(x, y))),
                 reference="numpy.minimum", samples=reals(count=2), onnx="Min")  # fmt: skip


# The gradient passes where x is within the bounds, which belong to it (as in PyTorch).
clip = elementwise(
    "clip", 3, lambda k, x, low, high: k.minimum(k.maximum(x, low), high), dtypes=_ORDERED, names=("x", "min", "max"),
    pullbacks=(
        lambda g, x, low, high, y: where(bitwise_and(greater_equal(x, low), less_equal(x, high)), g, 0),
        lambda g, x, low, high, y: where(bitwise_and(less(x, low), less_equal(low, high)), g, 0),
        lambda g, x, low, high, y: where(bitwise_or(greater(x, high), greater(low, high)), g, 0),
    ),
    reference="numpy.clip", samples=domains((-5, 5), (-3, 0), (0.5, 3)), onnx="Clip",
)  # fmt: skip
clip_low = binary("clip_low", lambda k, x, low: k.maximum(x, low), dtypes=_ORDERED,
                  pullbacks=(lambda g, x, low, y: where(greater_equal(x, low), g, 0),
                             lambda g, x, low, y: where(less(x, low), g, 0)),
                  reference="numpy.maximum", samples=reals(count=2))  # fmt: skip
clip_high = binary("clip_high", lambda k, x, high: k.minimum(x, high), dtypes=_ORDERED,
                   pullbacks=(lambda g, x, high, y: where(less_equal(x, high), g, 0),
                              lambda g, x, high, y: where(greater(x, high), g, 0)),
                   reference="numpy.minimum", samples=reals(count=2))  # fmt: skip


# ---------------------------------------------------------------- rounding and tests
def _rounding(name: str, onnx: str | None):
    return unary(name, lambda k, x: getattr(k, name)(x) if x.dtype.kind == "f" else x, dtypes=dt.REAL,
                 derivative=lambda x, y: 0.0, reference=f"numpy.{name}", samples=reals(), onnx=onnx)  # fmt: skip


floor = _rounding("floor", "Floor")
ceil = _rounding("ceil", "Ceil")
trunc = _rounding("trunc", None)


def _round(k, decimals, x):
    if x.dtype.kind in "biu":
        return x if decimals >= 0 else _round_ints(k, 10**-decimals, x)
    if decimals == 0:
        return k.rint(x)
    scale = k.const(10.0 ** math.fabs(decimals), x.dtype)
    return k.rint(x * scale) / scale if decimals > 0 else k.rint(x / scale) * scale


def _round_ints(k, unit: int, x):
    """To a multiple of `unit`; from the middle to the even one."""
    if not dt.int_fits(x.dtype, 2 * unit):
        raise ArgumentError(f"[round] expected decimals for which {x.dtype} holds 2 * 10**-decimals, got unit {unit}")
    quotient = k.floordiv(x, unit)
    twice = (x - quotient * unit) * 2
    up = (twice > unit) | (k.eq(twice, unit) & k.ne(quotient & 1, 0))
    return k.select(up, quotient + 1, quotient) * unit


round = elementwise("round", 1, _round, dtypes=dt.NUMERIC, derivatives=(lambda x, y: 0.0,),
                    attributes=lambda decimals=0: as_index("round", "decimals", decimals), names=("x",),
                    reference="numpy.round", onnx="Round",
                    samples=Samples(((-50, 50),), arguments=(((), {}), ((2,), {}), ((), {"decimals": -1}))),
                    doc="To the nearest number with `decimals` decimal places (negative: to tens, hundreds, ...); from the "
                        "middle to the even one. Complex numbers part by part.")  # fmt: skip


def _parts(k, x, test, join):
    if x.dtype.kind == "c":
        return join(test(k.real(x)), test(k.imag(x)))
    return test(x) if x.dtype.kind == "f" else None


def _isnan(k, x):
    found = _parts(k, x, lambda v: k.ne(v, v), lambda a, b: a | b)
    return k.const(False, dt.bool_) if found is None else found


def _isinf(k, x):
    found = _parts(k, x, lambda v: k.eq(k.abs(v), math.inf), lambda a, b: a | b)
    return k.const(False, dt.bool_) if found is None else found


def _isfinite(k, x):
    found = _parts(k, x, lambda v: k.abs(v) < math.inf, lambda a, b: a & b)
    return k.const(True, dt.bool_) if found is None else found


def _signbit(k, x):
    """Of floats the bit itself: -0 and negative NaN have it."""
    if x.dtype.kind == "b":
        return k.const(False, dt.bool_)
    return k.copysign(k.const(1.0, x.dtype), x) < 0.0 if x.dtype.kind == "f" else x < 0


isnan = unary("isnan", _isnan, dtypes=dt.ANY, result="bool", reference="numpy.isnan", samples=reals(), onnx="IsNaN")
isinf = unary("isinf", _isinf, dtypes=dt.ANY, result="bool", reference="numpy.isinf", samples=reals(), onnx="IsInf")
isfinite = unary("isfinite", _isfinite, dtypes=dt.ANY, result="bool", reference="numpy.isfinite", samples=reals())
signbit = unary("signbit", _signbit, dtypes=_ORDERED, result="bool", reference="twain.testing.elementwise_references.signbit",
                samples=reals())  # fmt: skip
copysign = binary("copysign", lambda k, x, y: k.copysign(x, y), dtypes=dt.FLOATING, to_float=True,
                  pullbacks=(lambda g, x, y, z: g * sign(x) * sign(z), None), reference="numpy.copysign",
                  samples=reals(count=2))  # fmt: skip


# ---------------------------------------------------------------- elementary functions
def _function(name: str, derivative, low: float, high: float, onnx: str | None = None, reference: str | None = None,
              dtypes=dt.INEXACT, autocast: str | None = None):  # fmt: skip
    return unary(name, lambda k, x: getattr(k, name)(x), dtypes=dtypes, autocast=autocast, to_float=True, derivative=derivative,
                 reference=reference or f"numpy.{name}", samples=reals(low, high), onnx=onnx)  # fmt: skip


exp = _function("exp", lambda x, y: y, -5, 5, "Exp", autocast="float32")
exp2 = _function("exp2", lambda x, y: y * math.log(2.0), -5, 5)
expm1 = _function("expm1", lambda x, y: y + 1.0, -5, 5, autocast="float32")
log = _function("log", lambda x, y: 1.0 / x, 0.01, 10, "Log", autocast="float32")
log1p = _function("log1p", lambda x, y: 1.0 / (1.0 + x), -0.9, 10, autocast="float32")
log2 = _function("log2", lambda x, y: (1.0 / math.log(2.0)) / x, 0.01, 10, autocast="float32")
log10 = _function("log10", lambda x, y: (1.0 / math.log(10.0)) / x, 0.01, 10, autocast="float32")
sqrt = _function("sqrt", lambda x, y: 0.5 / y, 0.01, 10, "Sqrt")
rsqrt = _function(
    "rsqrt", lambda x, y: -0.5 * y / x, 0.01, 10, autocast="float32", reference="twain.testing.references.rsqrt"
)
sin = _function("sin", lambda x, y: cos(x), -10, 10, "Sin")
cos = _function("cos", lambda x, y: negative(sin(x)), -10, 10, "Cos")
tan = _function("tan", lambda x, y: 1.0 + y * y, -1.5, 1.5, "Tan", autocast="float32")
asin = _function("asin", lambda x, y: rsqrt(1.0 - x * x), -0.95, 0.95, "Asin", "numpy.arcsin", autocast="float32")
acos = _function(
    "acos", lambda x, y: negative(rsqrt(1.0 - x * x)), -0.95, 0.95, "Acos", "numpy.arccos", autocast="float32"
)
atan = _function("atan", lambda x, y: 1.0 / (1.0 + x * x), -5, 5, "Atan", "numpy.arctan")
sinh = _function("sinh", lambda x, y: cosh(x), -5, 5, "Sinh", autocast="float32")
cosh = _function("cosh", lambda x, y: sinh(x), -5, 5, "Cosh", autocast="float32")
tanh = _function("tanh", lambda x, y: 1.0 - y * y, -5, 5, "Tanh")
asinh = _function("asinh", lambda x, y: rsqrt(x * x + 1.0), -5, 5, "Asinh", "numpy.arcsinh")
acosh = _function("acosh", lambda x, y: rsqrt(x - 1.0) * rsqrt(x + 1.0), 1.1, 5, "Acosh", "numpy.arccosh")
atanh = _function("atanh", lambda x, y: 1.0 / (1.0 - x * x), -0.9, 0.9, "Atanh", "numpy.arctanh")
_TWO_OVER_ROOT_PI = 2.0 / math.sqrt(math.pi)
erf = _function("erf", lambda x, y: _TWO_OVER_ROOT_PI * exp(negative(x * x)), -3, 3, "Erf",
                "twain.testing.references.erf", dt.FLOATING)  # fmt: skip
erfc = _function("erfc", lambda x, y: -_TWO_OVER_ROOT_PI * exp(negative(x * x)), -3, 3,
                 reference="twain.testing.references.erfc", dtypes=dt.FLOATING)  # fmt: skip
sigmoid = unary("sigmoid", lambda k, x: 1.0 / (1.0 + k.exp(-x)), dtypes=dt.INEXACT, to_float=True,
                derivative=lambda x, y: y * (1.0 - y), reference="twain.testing.references.sigmoid",
                samples=reals(-8, 8), onnx="Sigmoid")  # fmt: skip
relu = unary("relu", lambda k, x: k.maximum(x, 0), dtypes=dt.REAL, pullback=lambda g, x, y: where(greater(y, 0), g, 0),
             reference="twain.testing.references.relu", samples=reals(), onnx="Relu")  # fmt: skip


def _power_pullbacks():
    """y x^(y-1) is 0 for y = 0 even at x = 0; x^y log(x) is 0 at x = 0 unless y is negative (as in PyTorch)."""

    def base(g, x, y, z):
        return where(equal(y, 0), 0, g * late.conj(y * power(x, y - 1)))

    def exponent(g, x, y, z):
        nothing = bitwise_and(equal(x, 0), greater_equal(real(y) if y.dtype.kind == "c" else y, 0))
        return where(nothing, 0, g * late.conj(z * log(x)))

    return base, exponent


power = binary("power", lambda k, x, y: k.pow(x, y), autocast="float32", pullbacks=_power_pullbacks(), reference="numpy.power",
               samples=domains((0.1, 4), (-3, 3)), onnx="Pow", ints="power")  # fmt: skip
atan2 = binary("atan2", lambda k, x, y: k.atan2(x, y), dtypes=dt.FLOATING, to_float=True,
               pullbacks=(lambda g, x, y, z: g * y / (x * x + y * y), lambda g, x, y, z: negative(g * x / (x * x + y * y))),
               reference="numpy.arctan2", samples=reals(count=2))  # fmt: skip
hypot = binary("hypot", lambda k, x, y: k.hypot(x, y), dtypes=dt.FLOATING, to_float=True,
               derivatives=(lambda x, y, z: x / z, lambda x, y, z: y / z), reference="numpy.hypot",
               samples=reals(count=2))  # fmt: skip


def _log_add_exp(k, x, y):
    # max + log1p(exp(-|difference|)); equal infinities would give NaN differences
    if x.dtype.kind == "c":
        first = k.real(x) >= k.real(y)
        top, rest = k.select(first, x, y), k.select(first, y, x)
        return k.select(k.eq(x, y), top + math.log(2.0), top + k.log1p(k.exp(rest - top)))
    top = k.maximum(x, y)
    gap = k.abs(x - y)
    return k.select(k.eq(x, y), top + math.log(2.0), top + k.log1p(k.exp(-gap)))


logaddexp = binary("logaddexp", _log_add_exp, dtypes=dt.INEXACT, to_float=True,
                   derivatives=(lambda x, y, z: exp(x - z), lambda x, y, z: exp(y - z)),
                   reference="twain.testing.elementwise_references.logaddexp", samples=reals(count=2))  # fmt: skip


# ---------------------------------------------------------------- dtype
def _cast_attributes(dtype):
    return dt.as_dtype(dtype, "astype")


cast = elementwise(
    "cast", 1, lambda k, attrs, x: k.cast(x, attrs), dtypes=dt.ANY, result=lambda common, attrs: attrs,
    attributes=_cast_attributes, names=("x",), pullbacks=(lambda g, x, y: cast(g, x.dtype),),
    reference="twain.testing.references.cast", onnx="Cast",
    samples=Samples(((-5, 5),), arguments=((("float32",), {}), (("int32",), {}), (("bfloat16",), {}), (("bool",), {}),
                                           (("complex128",), {}))),
)  # fmt: skip

late.add = add
late.multiply = multiply
late.negative = negative
late.conj = lambda x: conj(x) if x.dtype.kind == "c" else x
late.real = real
late.cast = cast
late.where = where
