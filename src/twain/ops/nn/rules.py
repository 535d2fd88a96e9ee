"""What the ops of this folder share."""

from __future__ import annotations

from ...base import dtypes as dt
from ..elementwise import cast
from ..families import in_float32, unary
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


HALF = dt.HALF

__all__ = ["HALF", "floating", "in_float32", "stop_gradient"]
