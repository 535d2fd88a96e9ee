"""What the ops of this folder share."""

from __future__ import annotations

from ...base import dtypes as dt
from ..elementwise import cast
from ..families import unary
from ..samples import reals

# Where the result provably doesn't depend on a value (the maximum that a softmax subtracts), so that no gradient is
# computed for nothing.
stop_gradient = unary(
    "stop_gradient", lambda k, x: x, dtypes=dt.ANY, reference="numpy.asarray", samples=reals(),
    doc="x, as a constant: no gradient flows back through it.",
)  # fmt: skip


def floating(x):
    """x, integers and bools as the default float."""
    return cast(x, dt.DEFAULT_FLOAT) if x.dtype.kind in "biu" else x


HALF = (dt.bfloat16, dt.float16)


def in_float32(function):
    """A composite's function that computes on half-precision operands in float32 and rounds its first result once.

    Further results (statistics) stay float32.
    """

    def computed(attrs, *values):
        kinds = {v.dtype for v in values if v is not None and v.dtype.kind == "f" and not v.dtype.weak}
        narrow = kinds.intersection(HALF)
        if not narrow:
            return function(attrs, *values)
        wide = [cast(v, dt.float32) if v is not None and v.dtype in HALF else v for v in values]
        result = function(attrs, *wide)
        if len(kinds) > 1:
            return result
        if isinstance(result, (tuple, list)):
            return [cast(result[0], narrow.pop()), *result[1:]]
        return cast(result, narrow.pop())

    computed.__doc__ = function.__doc__
    return computed
