"""Every op through pairs of transformations, on one small sample in double precision, against gradients on the core's tape."""

from __future__ import annotations

import numpy as np

from .. import _core
from ..base.errors import GradientError
from ..ir.op import OpRecord
from ..tensor import asarray
from ..tensor.transforms import grad, jvp, vjp, vmap
from .drivers import DOUBLE, double_of, op_of, several
from .samples import Try, call_op, to_array, to_tensor, tries

EXAMPLES = 2
TOLERANCE = 1e-7


class Sample:
    """An op as a scalar function of its floating operands, at several points, with directions."""

    def __init__(self, record: OpRecord, one: Try):
        self.op = op_of(record)
        self.one = one
        rng = np.random.default_rng(11)
        self.places = [i for i, d in enumerate(one.dtypes) if d in DOUBLE and one.arrays[i] is not None]
        self.places = [i for i in self.places if self.differentiable(i)]
        spread = scaled if record.family == "host" else several
        self.points = [self.stacked(spread(one.arrays[i], EXAMPLES), i) for i in self.places]
        self.along = [self.stacked(self.noise(rng, p), i) for p, i in zip(self.points, self.places)]
        found = self.results(*(p[0] for p in self.points))
        self.weights = [asarray(self.noise(rng, y), dtype=y.dtype) for y in found]

    def differentiable(self, place: int) -> bool:
        """Some operands have no derivative, and say so."""
        tensors = [to_tensor(a, d) for a, d in zip(self.one.arrays, self.one.dtypes)]
        tensors[place] = tensors[place].requires_grad_()
        try:
            call_op(self.op, tensors, self.one.args, self.one.kwargs)
        except GradientError:
            return False
        return True

    def stacked(self, array: np.ndarray, i: int):
        return to_tensor(np.ascontiguousarray(array), self.one.dtypes[i])

    def noise(self, rng, like) -> np.ndarray:
        x = rng.standard_normal(tuple(like.shape))
        return x + 1j * rng.standard_normal(tuple(like.shape)) if like.dtype.kind == "c" else x

    def results(self, *operands: object) -> list:
        """The op's results in double precision."""
        tensors = [to_tensor(a, d) for a, d in zip(self.one.arrays, self.one.dtypes)]
        for i, x in zip(self.places, operands):
            tensors[i] = x
        return [y for y in call_op(self.op, tensors, self.one.args, self.one.kwargs) if y.dtype in DOUBLE]

    def scalar(self, *operands: object):
        """A real number made of all results."""
        total = 0.0
        for y, w in zip(self.results(*operands), self.weights):
            z = y * w
            total = total + (z.real if z.dtype.kind == "c" else z).sum()
        return total


def scaled(array: np.ndarray, size: int) -> np.ndarray:
    """Different arrays that keep what a matrix may have to be: definite, triangular."""
    return np.stack([array * (1 + 0.1 * b) for b in range(size)])


def real(x) -> object:
    return x.real if x.dtype.kind == "c" else x


def gradient_on_tape(s: Sample, b: int) -> tuple[list, list]:
    """(gradients at point b, Hessian times direction), by the core's tape alone."""
    leaves = [p[b].detach().requires_grad_() for p in s.points]
    value = s.scalar(*leaves)
    zeros = [np.zeros(x.shape) for x in leaves]
    if not getattr(value, "requires_grad", False):
        return zeros, zeros
    first = _core.gradients([value], leaves, create_graph=True, allow_unused=True)
    product = None
    for g, t in zip(first, s.along):
        if g is not None and g.requires_grad:
            term = real(g * t[b].conj() if g.dtype.kind == "c" else g * t[b]).sum()
            product = term if product is None else product + term
    second = [None] * len(leaves)
    if product is not None and product.requires_grad:
        second = _core.gradients([product], leaves, allow_unused=True)
    return (
        [z if g is None else to_array(g) for g, z in zip(first, zeros)],
        [z if g is None else to_array(g) for g, z in zip(second, zeros)],
    )


def slope(gradients: list, along: list, b: int) -> float:
    """The derivative in the direction of example b."""
    return sum(float(np.sum((g.conj() * to_array(t)[b]).real)) for g, t in zip(gradients, along))


def close(got: object, want: np.ndarray, what: str) -> None:
    got = to_array(got)
    want = np.asarray(want)
    assert got.shape == want.shape, f"{what}: shape {got.shape}, expected {want.shape}"
    scale = max(1.0, float(np.abs(want).max())) if want.size else 1.0
    np.testing.assert_allclose(got, want, rtol=TOLERANCE, atol=TOLERANCE * scale, err_msg=what)


def all_close(got: list, want: list, what: str) -> None:
    for g, w in zip(got, want):
        close(g, w, what)


def smallest(record: OpRecord) -> Try | None:
    """A try with elements, few of them."""
    found = list(tries(record, double_of(record), seed=5))
    whole = [t for t in found if all(a is None or a.size for a in t.arrays)]
    return min(whole or found, key=lambda t: sum(0 if a is None else a.size for a in t.arrays), default=None)


def check_pairs(record: OpRecord) -> int:
    """grad, jvp and vmap in each other; returns the number of comparisons, 0 for an op without floating operands."""
    allowed = getattr(record.rules, "allowed", None) or getattr(record.rules, "dtypes", None)
    one = smallest(record) if allowed is None or double_of(record) in allowed else None
    # A function of others that says it has no derivative is a staircase: what its parts give is no limit of differences.
    if one is None or (record.composite is not None and not record.differentiable):
        return 0
    s = Sample(record, one)
    if not s.places or not s.weights:
        return 0
    name = record.name
    numbers = tuple(range(len(s.places)))
    gradient = grad(s.scalar, numbers)
    first, second = zip(*(gradient_on_tape(s, b) for b in range(EXAMPLES)))
    per_place = [np.stack([f[i] for f in first]) for i in numbers]
    products = [np.stack([f[i] for f in second]) for i in numbers]
    rates = np.array([slope(first[b], s.along, b) for b in range(EXAMPLES)])
    curves = np.array([slope(second[b], s.along, b) for b in range(EXAMPLES)])

    def rate(*x: object):
        """The derivative at x in the direction of the first example."""
        return jvp(s.scalar, x, tuple(t[0] for t in s.along))[1]

    at, along = tuple(p[0] for p in s.points), tuple(t[0] for t in s.along)
    all_close(vmap(gradient)(*s.points), per_place, f"vmap(grad({name}))")
    total = grad(lambda *x: vmap(s.scalar)(*x).sum(), numbers)
    all_close(total(*s.points), per_place, f"grad(vmap({name}))")
    mapped = vmap(lambda x, t: jvp(s.scalar, x, t)[1])
    close(mapped(s.points, s.along), rates, f"vmap(jvp({name}))")
    close(jvp(lambda *x: vmap(s.scalar)(*x), s.points, s.along)[1], rates, f"jvp(vmap({name}))")
    all_close(jvp(gradient, at, along)[1], second[0], f"jvp(grad({name}))")
    all_close(grad(rate, numbers)(*at), second[0], f"grad(jvp({name}))")
    close(jvp(rate, at, along)[1], curves[0], f"jvp(jvp({name}))")
    pulled = vjp(lambda *x: vjp(s.scalar, *x)[1](1.0), *at)[1](along)
    all_close(pulled, second[0], f"vjp(vjp({name}))")
    all_close(vmap(lambda x, t: jvp(gradient, x, t)[1])(s.points, s.along), products, f"vmap(jvp(grad({name})))")
    twice = vmap(vmap(gradient))(*(asarray(np.stack([to_array(p)] * 2), dtype=p.dtype) for p in s.points))
    all_close(twice, [np.stack([p] * 2) for p in per_place], f"vmap(vmap(grad({name})))")
    return 10
