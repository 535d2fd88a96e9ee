"""Random small graphs, drawn by Hypothesis: elementwise ops, movements, reductions, assemblies, indices and products in
any combination, so that fusion and lowering meet what nobody would write down."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from .. import _core
from ..base import dtypes as dt
from ..base.shapes import broadcast_shapes, size_of
from ..ir.node import Graph, Node, Spec, make_parameter
from ..ops import elementwise as e
from ..ops import index, linalg, reduce, shape
from ..ops.nn import activations, normalization
from .samples import LAYOUTS

SIZES = (1, 1, 2, 3, 5, 7)
LARGEST = 400  # elements of any value


class Drawn:
    """A graph, arrays for its parameters, and how each lies in memory."""

    def __init__(self, graph: Graph, arrays: list, layouts: list):
        self.graph = graph
        self.arrays = arrays
        self.layouts = layouts

    def __repr__(self) -> str:
        return f"{self.graph}\nlayouts {self.layouts}"


class Maker:
    """Grows a graph, one op on values drawn from those that are there."""

    def __init__(self, number, dtype: dt.DType):
        self.number = number  # number(low, high): an int from low to high
        self.dtype = dtype
        self.parameters: list[Node] = []
        self.values: list[Node] = []

    # -- choices
    def one(self, things):
        return things[self.number(0, len(things) - 1)]

    def value(self, test=lambda n: True) -> Node | None:
        fitting = [n for n in self.values if test(n)]
        return self.one(fitting) if fitting else None

    def parameter(self) -> None:
        first = self.parameters[0].shape if self.parameters else None
        if first is None or self.number(0, 2) == 0:
            sizes = tuple(self.one(SIZES) for _ in range(self.number(0, 3)))
        else:  # related to the first, so that values meet
            sizes = tuple(
                1 if self.number(0, 3) == 0 else d for d in first[self.number(0, len(first)) if first else 0 :]
            )
        p = make_parameter(len(self.parameters), Spec(self.dtype, sizes))
        self.parameters.append(p)
        self.values.append(p)

    # -- ops
    def unary(self, x: Node):
        return self.one(UNARY[self.dtype.kind])(x)

    def binary(self, x: Node):
        def fits(y: Node) -> bool:
            try:
                return size_of(broadcast_shapes("", x.shape, y.shape)) <= LARGEST
            except ValueError:
                return False

        y = self.value(fits)
        kind = self.number(0, 6)
        if kind == 0:
            return e.where(e.less(x, y), y, x * 2)
        if kind == 1:
            return e.add(x, self.number(-3, 3))
        return self.one((e.add, e.subtract, e.multiply, e.maximum, e.minimum))(x, y)

    def reduction(self, x: Node):
        if size_of(x.shape) == 0:
            return None
        axes = tuple(a for a in range(x.ndim) if self.number(0, 1))
        op = self.one((reduce.sum, reduce.sum, reduce.max, reduce.min))
        return op(x, axes, bool(self.number(0, 1)))

    def renormalise(self, x: Node):
        """Values spread over an axis again after a reduction: the pattern of softmax."""
        if x.ndim == 0 or size_of(x.shape) == 0:
            return None
        axis = self.number(0, x.ndim - 1)
        keep = bool(self.number(0, 1))
        top = self.one((reduce.max, reduce.sum))(x, axis, keep)
        self.values.append(top)
        if not keep:
            top = shape.reshape(top, (*x.shape[:axis], 1, *x.shape[axis + 1 :]))
        if self.number(0, 1):
            top = shape.broadcast_to(top, x.shape)
        return self.one((e.subtract, e.add, e.maximum))(x, top)

    def movement(self, x: Node):
        kind = self.number(0, 4)
        if kind == 0:
            left = list(range(x.ndim))
            return shape.permute_dims(x, tuple(left.pop(self.number(0, len(left) - 1)) for _ in range(x.ndim)))
        if kind == 1:
            return shape.reshape(x, self.one((tuple(x.shape)[::-1], (size_of(x.shape),), (1, *x.shape), (*x.shape, 1))))
        if kind == 2:
            target = tuple(self.one(SIZES) if d == 1 else d for d in x.shape)
            target = (2, *target) if self.number(0, 1) else target
            return shape.broadcast_to(x, target) if size_of(target) <= LARGEST else None
        return self.region(x)

    def region(self, x: Node):
        starts, steps, sizes = [], [], []
        for d in x.shape:
            step = self.one((1, 1, 2, -1, -2))
            start = self.number(0, d - 1) if d else 0
            room = (d - 1 - start) // step + 1 if step > 0 else start // -step + 1
            count = self.number(0 if self.number(0, 9) == 0 else 1, room) if d else 0
            starts.append(start if count else 0)
            steps.append(step)
            sizes.append(count)
        return shape.slice_(x, tuple(starts), tuple(steps), tuple(sizes))

    def assembly(self, x: Node):
        kind = self.number(0, 2)
        if kind == 0 and x.ndim:
            axis = self.number(0, x.ndim - 1)

            def fits(y: Node) -> bool:
                return y.ndim == x.ndim and all(a == b or i == axis for i, (a, b) in enumerate(zip(x.shape, y.shape)))

            return shape.concat([x, self.value(fits), self.value(fits)], axis)
        low = tuple(self.number(0, 2) for _ in x.shape)
        step = tuple(self.one((1, 1, 2)) for _ in x.shape)
        whole = tuple(a + (d - 1) * s + 1 + self.number(0, 1) if d else a + 1 for a, s, d in zip(low, step, x.shape))
        if size_of(whole) > LARGEST:
            return None
        if kind == 1:
            return shape.embed(x, whole, low, step, self.number(-2, 2))
        y = self.value(lambda n: n.shape == whole)
        return shape.update(y, x, low, step) if y is not None else None

    def indexing(self, x: Node):
        if x.ndim == 0 or size_of(x.shape) == 0:
            return None
        axis = self.number(0, x.ndim - 1)
        d = x.shape[axis]
        kind = self.number(0, 2)
        count = self.one((1, 2, 4))
        where = e.remainder(index.iota((count,), 0) * self.number(0, 3) + self.number(0, 5), d)
        if kind == 0:
            return index.take(x, where, axis)
        along = e.remainder(index.iota(x.shape, self.number(0, x.ndim - 1)) + self.number(0, 3), d)
        if kind == 1:
            return index.take_along_axis(x, along, axis)
        y = self.value(lambda n: n.shape == x.shape)
        return index.scatter_add(y, along, x, axis)

    def product(self, x: Node):
        if x.ndim < 2:
            return None
        y = self.value(lambda n: n.ndim == 2 and n.shape[0] == x.shape[-1])
        if y is None or self.number(0, 1):
            y, x = linalg.transpose_last(x), x
        result = linalg.product(x, y)
        return result if size_of(result.shape) <= LARGEST else None

    def composite(self, x: Node):
        if self.dtype.kind != "f" or x.ndim == 0 or size_of(x.shape) == 0:
            return None
        axis = self.number(0, x.ndim - 1)
        kind = self.number(0, 4)
        if kind == 0:
            return activations.softmax(x, axis)
        if kind == 1:
            return activations.log_softmax(x, axis)
        if kind == 2:
            return reduce.var(x, axis, 0.0, bool(self.number(0, 1)))
        if kind == 3:
            return activations.gelu(x)
        return normalization.layer_norm(x, None, None, tuple(x.shape[axis:]))

    def step(self) -> None:
        kinds = (self.binary, self.binary, self.unary, self.movement, self.reduction, self.renormalise, self.assembly,
                 self.composite, self.indexing, self.product)  # fmt: skip
        made = self.one(kinds)(self.value())
        if made is not None and size_of(made.shape) <= LARGEST:
            self.values.append(made)

    def finish(self, seed: int) -> Drawn:
        count = self.number(1, 3)
        outputs = [self.values[-1], *[self.value() for _ in range(count - 1)]]
        rng = np.random.default_rng(seed)
        arrays, layouts = [], []
        for p in self.parameters:
            if self.dtype.kind == "f":
                arrays.append(rng.uniform(-1, 1, p.shape))
            else:
                arrays.append(rng.integers(-9, 9, p.shape).astype(p.dtype.name))
            layouts.append(self.one(LAYOUTS))
        return Drawn(Graph("random", self.parameters, outputs), arrays, layouts)


UNARY = {
    "i": (e.negative, e.abs, e.square, e.sign, lambda x: e.cast(e.cast(x, "int16"), x.dtype)),
    "f": (e.negative, e.abs, e.tanh, e.sigmoid, e.sin, e.relu, lambda x: e.exp(e.tanh(x))),
}


def make(number, dtype: dt.DType, least: int, most: int) -> Drawn:
    """A graph of `least` to `most` ops (fewer where one doesn't apply); every choice is a call of `number(low, high)`."""
    before = _core.set_tracing(True)
    try:
        maker = Maker(number, dtype)
        for _ in range(number(1, 3)):
            maker.parameter()
        for _ in range(number(least, most)):
            maker.step()
        return maker.finish(number(0, 5))
    finally:
        _core.set_tracing(before)


@st.composite
def graphs(draw, dtype: dt.DType, least: int = 4, most: int = 14) -> Drawn:
    """Graphs for Hypothesis to draw and to make smaller."""
    return make(lambda low, high: draw(st.integers(low, high)), dtype, least, most)
