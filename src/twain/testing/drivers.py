"""The checks that every op of the table goes through. Each raises AssertionError with the op, dtype and try in its text."""

from __future__ import annotations

import importlib
import itertools
import pkgutil

import numpy as np

from .. import _core
from .. import ops as _ops
from ..base import dtypes as dt
from ..base.dtypes import DType
from ..base.errors import DTypeError, TwainError
from ..ir.interpret import interpret, reference, rounded, widened
from ..ir.node import Graph, Spec, make_parameter
from ..ir.op import REGISTRY, OpRecord, apply, as_value, dynamic
from ..ops import elementwise as e
from ..tensor import asarray
from ..transforms.jvp import jvp
from ..transforms.vmap import every_batched, vmap
from .compare import assert_close
from .samples import (
    HERMITIAN,
    MATRICES,
    SPECIAL,
    Try,
    call_op,
    hermitian_part,
    outputs_of,
    to_array,
    to_tensor,
    tries,
    value_dtypes,
)


def load_all() -> dict:
    """The whole op table; importing a module defines its ops."""
    for package in (_ops, importlib.import_module("twain.ops.nn")):
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{package.__name__}.{module.name}")
    importlib.import_module("twain.tensor.indexing")
    return REGISTRY


_callables: dict[str, object] = {}


def op_of(record: OpRecord):
    """A callable for a record."""
    if record.name not in _callables:
        _callables[record.name] = _core.Op(record.name, record.arity, record)
    return _callables[record.name]


def label(record: OpRecord, dtype: DType, one: Try, more: str = "") -> str:
    return f"{record.name} {dtype} {one} {more}"


def samples_dtype(record: OpRecord) -> DType:
    """A dtype that the op takes: float64 where it can."""
    own = value_dtypes(record)
    return dt.float64 if dt.float64 in own else own[-1]


def accepted_dtypes(record: OpRecord) -> list:
    """The dtypes that the op takes for its first sample, by its own rules; nothing is run."""
    accepted = []
    for dtype in dt.ANY:
        try:
            graph_of(record, next(iter(tries(record, dtype))))
        except (TwainError, TypeError, ValueError, IndexError, OverflowError):
            continue
        accepted.append(dtype)
    return accepted


# ---------------------------------------------------------------- value
def expected_of(record: OpRecord, one: Try) -> list:
    """The reference on a try's operands, in double precision and as the op promotes them."""
    function = reference(record)
    arrays = [None if a is None else widened(a) for a in one.arrays]
    if record.family == "elementwise":
        wanted = record.rules.operand_dtype([Spec(d, a.shape) for a, d in zip(one.arrays, one.dtypes)])
        fixed = record.rules.fixed or (None,) * len(arrays)
        arrays = [a if f is not None else widened(rounded(a, wanted)) for a, f in zip(one.arrays, fixed)]
    with np.errstate(all="ignore"):
        result = (
            function(arrays, *one.args, **one.kwargs)
            if record.arity < 0
            else function(*arrays, *one.args, **one.kwargs)
        )
    return outputs_of(result)


def check_value(record: OpRecord, dtype: DType, layout: str = "contiguous", most: int | None = None) -> int:
    """The op's results on its samples (the first `most`) against the reference; returns how many tries there were."""
    count = 0
    for one in itertools.islice(tries(record, dtype), most):
        what = label(record, dtype, one, layout)
        results = call_op(op_of(record), one.tensors(layout), one.args, one.kwargs)
        expected = expected_of(record, one)
        assert len(results) == len(expected), f"{what}: {len(results)} results, expected {len(expected)}"
        for got, want in zip(results, expected):
            factor = 4.0 if record.family in ("composite", "contraction", "reduction", "scatter") else 1.0
            with np.errstate(all="ignore"):
                want = rounded(np.asarray(want), got.dtype)
            assert_close(to_array(got), want, got.dtype, what, factor)
        count += 1
    return count


def check_special(record: OpRecord, dtype: DType) -> None:
    """NaN, infinities and signed zeros in every combination, as NumPy defines them."""
    count = len(record.samples.domains)
    values = [np.array(SPECIAL)] * count
    grid = [g.ravel() for g in np.meshgrid(*values)] if count > 1 else values
    fixed = record.rules.fixed or (None,) * count
    with np.errstate(all="ignore"):
        arrays = [rounded(g, dtype if f is None else f) for g, f in zip(grid, fixed)]
        one = Try(arrays, [dtype if f is None else f for f in fixed], *record.samples.arguments[0])
        [got] = call_op(op_of(record), one.tensors(), one.args, one.kwargs)
        want = rounded(expected_of(record, one)[0], got.dtype)
    assert_close(to_array(got), want, got.dtype, label(record, dtype, one, "special values"))
    zeros = (want == 0) & (to_array(got) == 0)
    if got.dtype.kind == "f":
        signs = np.signbit(to_array(got)) != np.signbit(want)
        assert not (zeros & signs).any(), label(record, dtype, one, "sign of zero")


# ---------------------------------------------------------------- graphs
def run_graph(graph: Graph, tensors: list) -> list:
    """A graph as one compiled call."""
    record = dynamic(graph.name, graph, len(tensors))
    return outputs_of(_core.Op(record.name, record.arity, record)(*tensors))


def graph_of(record: OpRecord, one: Try, wrap=None) -> Graph:
    """The op as a graph of one node, or what `wrap` makes of its results."""
    specs = [None if a is None else Spec(d, a.shape) for a, d in zip(one.arrays, one.dtypes)]
    parameters = [None if s is None else make_parameter(i, s) for i, s in enumerate(specs)]
    attrs = record.bind(one.args, one.kwargs)
    before = _core.set_tracing(True)
    try:
        result = outputs_of(apply(record, attrs, (parameters,) if record.arity < 0 else tuple(parameters)))
        if wrap is not None:
            result = wrap(result)
    finally:
        _core.set_tracing(before)
    return Graph(record.name, [p for p in parameters if p is not None], [as_value(r, record.name) for r in result])


def chained(results: list) -> list:
    """Results used elementwise and reduced, so that the op meets the fusion of its neighbours."""
    found = []
    for y in results:
        if y.dtype.kind == "b":
            found.append(e.logical_or(e.logical_not(y), y))
        elif y.dtype.kind == "c":
            found.append(y * 2 + y)
        elif y.dtype.kind == "f":
            found.append(e.relu(y) * 2 + y)
        else:
            found.append(e.maximum(y, 1) * 2 + y)
    return found


def check_compiled(record: OpRecord, dtype: DType) -> None:
    """Compiled in a small fused graph, called eagerly, and interpreted: the same results."""
    for one in tries(record, dtype):
        what = label(record, dtype, one)
        alone = graph_of(record, one)
        eager = call_op(op_of(record), one.tensors(), one.args, one.kwargs)
        with np.errstate(all="ignore"):
            meant = interpret(alone, one.arrays)
        for got, want, spec in zip(eager, meant, (o.spec for o in alone.outputs)):
            assert got.dtype is spec.dtype and tuple(got.shape) == spec.shape, (
                f"{what}: inferred {spec}, got {got.dtype}"
            )
            assert_close(to_array(got), want, spec.dtype, what + "eager against interpreter", 8.0)
        fused = graph_of(record, one, chained)
        compiled = run_graph(fused, one.tensors())
        with np.errstate(all="ignore"):
            meant = interpret(fused, one.arrays)
        for got, want, spec in zip(compiled, meant, (o.spec for o in fused.outputs)):
            assert_close(to_array(got), want, spec.dtype, what + "fused against interpreter", 16.0)


# ---------------------------------------------------------------- derivatives
DOUBLE = (dt.float64, dt.complex128)  # results of other dtypes are too coarse for finite differences


class Direction:
    """A try in float64 with random directions for its floating operands and random weights for its results."""

    def __init__(self, record: OpRecord, one: Try, seed: int = 1, dtype: DType = dt.float64):
        self.record = record
        self.one = one
        self.rng = np.random.default_rng(seed)
        self.places = [i for i, d in enumerate(one.dtypes) if d.kind in "fc" and one.arrays[i] is not None]
        self.along = {i: self.noise(one.arrays[i]) for i in self.places}
        for i, domain in enumerate(record.samples.domains):
            if domain in HERMITIAN:  # such an op is one of Hermitian matrices
                self.along[i] = hermitian_part(self.along[i])

    def noise(self, like: np.ndarray) -> np.ndarray:
        x = self.rng.standard_normal(like.shape)
        return x + 1j * self.rng.standard_normal(like.shape) if np.iscomplexobj(like) else x

    def call(self, tensors: list) -> list:
        found = call_op(op_of(self.record), tensors, self.one.args, self.one.kwargs)
        return [y for y in found if y.dtype in DOUBLE]

    def moved(self, step: float) -> list:
        arrays = [a + step * self.along[i] if i in self.along else a for i, a in enumerate(self.one.arrays)]
        return [to_tensor(a, d) for a, d in zip(arrays, self.one.dtypes)]

    def leaves(self, step: float = 0.0) -> list:
        return [t.requires_grad_() if i in self.along else t for i, t in enumerate(self.moved(step))]


def inner(a: np.ndarray, b: np.ndarray) -> float:
    """The real inner product."""
    return float(
        np.sum(a.real * b.real) + (np.sum(a.imag * b.imag) if np.iscomplexobj(a) and np.iscomplexobj(b) else 0.0)
    )


def assert_slope(got: float, want: float, size: float, what: str, tolerance: float = 2e-6) -> None:
    assert np.isfinite(got), f"{what}: derivative is {got}"
    assert abs(got - want) <= tolerance * max(1.0, abs(want), size), (
        f"{what}: derivative {got}, finite differences {want}"
    )


STEP = 1e-6


def double_of(record: OpRecord) -> DType:
    """The dtype in which derivatives are checked."""
    if record.samples is not None and record.samples.dtypes:
        return dt.float64 if dt.float64 in record.samples.dtypes else dt.complex128
    return dt.float64 if record.family != "elementwise" or dt.float64 in record.rules.dtypes else dt.complex128


def check_gradient(record: OpRecord, dtype: DType | None = None, second: bool = True) -> int:
    """vjp in random directions against central differences; second order too."""
    count = 0
    dtype = dtype or double_of(record)
    for one in tries(record, dtype, seed=2):
        d = Direction(record, one)
        leaves = d.leaves()
        wanted = [leaves[i] for i in d.places]
        results = d.call(leaves)
        if not results or not wanted or not any(y.requires_grad for y in results):
            continue
        what = label(record, dtype, one)
        weights = [asarray(d.noise(to_array(y)), dtype=y.dtype) for y in results]
        keep = [i for i, y in enumerate(results) if y.requires_grad]
        found = gradients_of(results, wanted, weights, keep, create_graph=second)
        for g, x in zip(found, wanted):
            assert g is None or (g.dtype is x.dtype and tuple(g.shape) == tuple(x.shape)), (
                f"{what}: gradient of {x.shape} is {g.shape}"
            )
        got = sum(inner(to_array(g), d.along[i]) for g, i in zip(found, d.places) if g is not None)

        def loss(step, d=d, weights=weights):
            return sum(inner(to_array(y), to_array(w)) for y, w in zip(d.call(d.moved(step)), weights))

        size = sum(np.abs(to_array(g)).sum() for g in found if g is not None)
        assert_slope(got, (loss(STEP) - loss(-STEP)) / (2 * STEP), size * 0.1, what)
        count += 1
        if not second:
            continue
        others = {i: d.noise(one.arrays[i]) for i in d.places}
        pairs = [
            (g, asarray(others[i], dtype=g.dtype)) for g, i in zip(found, d.places) if g is not None and g.requires_grad
        ]
        if not pairs:
            continue
        again = _core.gradients([g for g, _ in pairs], wanted, [v for _, v in pairs], allow_unused=True)
        got = sum(inner(to_array(g), d.along[i]) for g, i in zip(again, d.places) if g is not None)

        def slope(step, d=d, weights=weights, keep=keep, others=others):
            at = d.leaves(step)
            inside = [at[i] for i in d.places]
            grads = gradients_of(d.call(at), inside, weights, keep)
            return sum(inner(to_array(g), others[i]) for g, i in zip(grads, d.places) if g is not None)

        size = sum(np.abs(to_array(g)).sum() for g in again if g is not None)
        assert_slope(got, (slope(STEP) - slope(-STEP)) / (2 * STEP), size * 0.1, what + "second order", 2e-5)
    return count


def check_jvp(record: OpRecord, dtype: DType | None = None) -> int:
    """Tangents against central differences, and <weights, jvp> == <vjp, directions>."""
    count = 0
    dtype = dtype or double_of(record)
    for one in tries(record, dtype, seed=3):
        d = Direction(record, one)
        what = label(record, dtype, one, "jvp")
        graph = graph_of(record, one)
        kept = [i for i, o in enumerate(graph.outputs) if o.dtype in DOUBLE]
        if not kept or not d.places:
            continue
        before = _core.set_tracing(True)
        try:
            pushed = jvp(graph, d.places)
        finally:
            _core.set_tracing(before)
        given = [*one.tensors(), *(asarray(d.along[i], dtype=one.dtypes[i]) for i in d.places)]
        found = run_graph(pushed, given)
        half = len(graph.outputs)
        plus, minus = d.call(d.moved(STEP)), d.call(d.moved(-STEP))
        total = 0.0
        weights = []
        for i, a, b in zip(kept, plus, minus):
            tangent = to_array(found[half + i])
            slope = (to_array(a) - to_array(b)) / (2 * STEP)
            weight = d.noise(to_array(a))
            weights.append(asarray(weight, dtype=a.dtype))
            total += inner(weight, tangent)
            scale = max(1.0, float(np.abs(slope).max())) if slope.size else 1.0
            np.testing.assert_allclose(tangent, slope, rtol=1e-5, atol=2e-6 * scale, err_msg=what)
        leaves = d.leaves()
        results = d.call(leaves)
        keep = [i for i, y in enumerate(results) if y.requires_grad]
        if keep:
            pulled = gradients_of(results, [leaves[i] for i in d.places], weights, keep)
            dual = sum(inner(to_array(g), d.along[i]) for g, i in zip(pulled, d.places) if g is not None)
            assert abs(dual - total) <= 1e-9 * max(1.0, abs(dual), abs(total)), f"{what}: jvp {total}, vjp {dual}"
        count += 1
    return count


def check_vmap(record: OpRecord, dtype: DType, size: int = 3) -> int:
    """A batch of operands, all together and one by one, against a loop over it."""
    count = 0
    for one in tries(record, dtype, seed=4):
        places = [i for i, a in enumerate(one.arrays) if a is not None]
        choices = [places, *([i] for i in places if len(places) > 1)] if places else []
        graph = graph_of(record, one)
        for chosen in choices:
            what = label(record, dtype, one, f"vmap over {chosen}")
            stacked = {i: several(one.arrays[i], size, record.samples.domains[i]) for i in chosen}
            before = _core.set_tracing(True)
            try:
                many = every_batched(*vmap(graph, dict.fromkeys(chosen, True), size), size)
            finally:
                _core.set_tracing(before)
            full = [stacked.get(i, a) for i, a in enumerate(one.arrays)]
            found = run_graph(many, [to_tensor(a, d) for a, d in zip(full, one.dtypes)])
            for b in range(size):
                row = [stacked[i][b] if i in stacked else a for i, a in enumerate(one.arrays)]
                single = call_op(
                    op_of(record), [to_tensor(a, d) for a, d in zip(row, one.dtypes)], one.args, one.kwargs
                )
                for got, want in zip(found, single):
                    assert got.dtype is want.dtype, f"{what}: dtype {got.dtype}, expected {want.dtype}"
                    assert_close(to_array(got)[b], to_array(want), want.dtype, what, 8.0)
            count += 1
    return count


# ---------------------------------------------------------------- refusals
def refused(call, kinds: tuple = (TwainError, TypeError, ValueError)) -> str | None:
    """The message of the error that `call` raises; None if it raises none."""
    try:
        call()
    except kinds as error:
        return str(error)
    return None


def check_refusals(record: OpRecord) -> int:
    """Every dtype outside of the op's own (after the promotion of integers where it takes them) is refused by name."""
    op = op_of(record)
    count = len(record.samples.domains)
    fixed = getattr(record.rules, "fixed", None) or (None,) * count
    allowed = set(record.rules.dtypes)
    if getattr(record.rules, "to_float", False):
        allowed |= {d for d in dt.ANY if d.kind in "biu"}
    refused_ones = [d for d in dt.ANY if d not in allowed]
    args, kwargs = record.samples.arguments[0]
    for dtype in refused_ones:
        x = [asarray([1, 0, 1], dtype=dtype if f is None else f) for f in fixed]
        message = refused(lambda x=x: call_op(op, x, args, kwargs), (DTypeError,))
        assert message is not None, f"{record.name} takes {dtype}, which isn't among its dtypes"
        assert f"[{record.name}]" in message and str(dtype) in message, f"{record.name}: {message!r}"
    return len(refused_ones)


def check_errors(record: OpRecord) -> None:
    """Too many arguments, unknown keywords, axes out of range, shapes that don't fit, and the samples' own errors."""
    op = op_of(record)
    dtype = double_of(record)
    if record.family in ("elementwise", "reduction") and dtype not in record.rules.dtypes:
        dtype = record.rules.dtypes[0]
    one = next(iter(tries(record, dtype)))
    good = one.tensors()
    calls = [lambda: call_op(op, good, (*one.args, *[object()] * 9), one.kwargs)]
    calls.append(lambda: call_op(op, good, one.args, {**one.kwargs, "no_such_keyword": 1}))
    if record.family == "reduction":
        calls += [lambda: op(good[0], axis=7), lambda: op(good[0], axis=-9), lambda: op(good[0], axis="x")]
    if record.family == "elementwise" and len(good) > 1:
        wrong = [samples_like(good[0], (2, 3)), *[samples_like(x, (4, 5)) for x in good[1:]]]
        calls.append(lambda: call_op(op, wrong, one.args, one.kwargs))
    for number, call in enumerate(calls):
        message = refused(call)
        assert message is not None, f"{record.name}: bad call number {number} is taken"
        assert message.startswith(("[", record.name)) or record.name in message, f"{record.name}: {message!r}"
    for args, kwargs, text, *others in record.errors or ():
        operands = bad_operands(good, others[0]) if others else good
        if others and not args and not kwargs:
            args, kwargs = one.args, one.kwargs
        message = refused(lambda args=args, kwargs=kwargs, operands=operands: call_op(op, operands, args, kwargs))
        assert message is not None and text in message, f"{record.name}: {message!r}, expected {text!r}"


def bad_operands(good: list, descriptions: tuple) -> list:
    """Operands of an error sample (src/twain/ops/refusals.py), in place of the samples' own."""
    operands = []
    for i, each in enumerate(descriptions):
        own = good[i] if i < len(good) else good[-1] if good else None
        if each is None or isinstance(each, str):
            operands.append(own if each is None else each)
        else:
            dtype, shape = each
            operands.append(asarray(np.ones(shape), dtype=own.dtype if dtype is None else dtype))
    return operands


def samples_like(x, shape: tuple):
    """A tensor of ones in x's dtype."""
    return asarray(np.ones(shape), dtype=x.dtype)


def several(array: np.ndarray, size: int, domain: object = None) -> np.ndarray:
    """Different arrays with the elements of one, or multiples of it where their places matter, stacked."""
    if domain in MATRICES:
        return np.stack([array * (1 + 0.5 * b) for b in range(size)]).astype(array.dtype)
    if domain == "pivots":
        return np.stack([array] * size)
    flat = array.reshape(-1)
    return np.stack([np.roll(flat, 7 * b).reshape(array.shape) for b in range(size)])


def gradients_of(results: list, wanted: list, weights: list, keep: list, create_graph: bool = False) -> list:
    return _core.gradients(
        [results[i] for i in keep], wanted, [weights[i] for i in keep], create_graph=create_graph, allow_unused=True
    )
