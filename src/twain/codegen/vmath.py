"""Mathematical functions on vectors: the table that the emitter looks functions up in.

Each is `f(math, value, ...) -> value` for element types float and double, any number of lanes, any target; none calls
the C library. Domain errors give NaN, overflow infinity; NaN stays NaN; signs of zero and subnormal numbers are right.
"""

from __future__ import annotations

from collections.abc import Callable

from . import vmath_bessel, vmath_exp, vmath_gamma, vmath_special, vmath_trig
from .vmath_base import Math

FUNCTIONS: dict[str, Callable] = {
    **{
        name: getattr(vmath_exp, name)
        for name in [
            "exp",
            "exp2",
            "expm1",
            "log",
            "log1p",
            "log2",
            "log10",
            "pow",
            "rsqrt",
            "sinh",
            "cosh",
            "tanh",
            "asinh",
            "acosh",
            "atanh",
        ]
    },
    **{name: getattr(vmath_trig, name) for name in ["sin", "cos", "tan", "asin", "acos", "atan", "atan2"]},
    **{name: getattr(vmath_special, name) for name in ["erf", "erfc", "hypot", "rem", "floordiv", "nextafter"]},
    "sqrt": Math.sqrt,
    "floor": Math.floor,
    "ceil": Math.ceil,
    "rint": Math.rint,
    "trunc": Math.trunc,
    "copysign": Math.copysign,
    **vmath_gamma.FUNCTIONS,
    **vmath_bessel.FUNCTIONS,
}
