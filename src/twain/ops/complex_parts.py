"""Complex numbers from their parts."""

from __future__ import annotations

from ..base import dtypes as dt
from .elementwise import cos, imag, real, sin
from .families import composite, elementwise, late
from .samples import Samples, reals

_PARTS = (dt.float32, dt.float64)


def _pushed(attrs, call, tangents, inputs, outputs):
    """Linear: the parts of the tangent are the tangents of the parts."""
    result = call(attrs, *[late.zeros_like(x) if t is None else t for t, x in zip(tangents, inputs)])
    return [result if result.shape == outputs[0].shape else late.broadcast_to(result, outputs[0].shape)]


complex = elementwise(
    "complex", 2, lambda k, re, im: k.complex_(re, im), dtypes=_PARTS, result=lambda common, attrs: dt.complex_of(common),
    pullbacks=(lambda g, re, im, z: real(g), lambda g, re, im, z: imag(g)), names=("real", "imag"),
    reference="twain.testing.linalg_references.complex_of", samples=reals(count=2),
    doc="real + 1j * imag, exactly: no product with 1j that makes NaN of an infinite part.",
)  # fmt: skip
complex.record.jvp = _pushed


def _polar(attrs, size, angle):
    """size * (cos(angle) + 1j * sin(angle))."""
    return complex(size * cos(angle), size * sin(angle))


polar = composite(
    "polar", 2, _polar, names=("abs", "angle"),
    errors=(((), {}, "(4, 5)", ((None, (2, 3)), (None, (4, 5)))),),
    reference="twain.testing.linalg_references.polar",
    samples=Samples(((0.1, 3), (-4, 4)), shapes=(((3, 5), (3, 5)), ((4, 1), (2,)), ((), ())), dtypes=_PARTS),
)  # fmt: skip

__all__ = ["complex", "polar"]
