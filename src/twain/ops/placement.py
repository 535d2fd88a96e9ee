"""Moving between devices: a copy in another device's account, and the gradient back where the value came from."""

from __future__ import annotations

from ..base import dtypes as dt
from .families import unary
from .samples import Samples

move = unary(
    "move", lambda k, attrs, x: x, dtypes=(dt.bool_, *dt.NUMERIC), attributes=lambda target, source: (target, source),
    derivative=None, reference="twain.testing.references.move",
    samples=Samples(((-5.0, 5.0),), arguments=(((1, 0), {}), ((0, 0), {}))),
    doc="The values of x on the device with number `target`; `source` is where they are.",
)  # fmt: skip
move.record.places = True
move.record.differentiable = True
move.record.vjp = lambda attrs, gradients, inputs, outputs, needs: [move(gradients[0], attrs[1], attrs[0])]
move.record.jvp = lambda attrs, call, tangents, inputs, outputs: [call(attrs, tangents[0])]
