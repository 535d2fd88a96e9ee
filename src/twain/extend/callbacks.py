"""Python functions on NumPy arrays as ops: they run as a step of a compiled plan."""

from __future__ import annotations

from collections.abc import Callable

from ..base import dtypes as dt
from ..base.errors import ArgumentError, DTypeError, ShapeError
from ..base.lazy import LazyModule
from ..ir.node import Graph, Spec, make_parameter
from ..ir.op import OpRecord, apply, as_value, inline
from ..ops.families import late
from ..ops.host import TYPE_CODES, host
from ..transforms.vmap import every_batched, vmap
from .declaring import binder, check_name, finished, gradient_rule, keywords, parameters_of, specs_from, tangent_rule

numpy = LazyModule("numpy")


def spec(shape: object, dtype: object) -> Spec:
    """The shape and dtype of a result."""
    shape = (shape,) if isinstance(shape, int) else tuple(shape)  # type: ignore[arg-type]
    return Spec(dt.as_dtype(dtype, "extend.spec"), shape)


def python_function(
    function: Callable | None = None, /, *, result: Callable | None = None, gradient: Callable | None = None,
    jvp: Callable | None = None, batch: str | None = "loop", borrow: bool = False, name: str | None = None,
) -> Callable:  # fmt: skip
    """An op that calls a Python function on NumPy arrays: anything that is not made of twain's ops.

    A decorator of function(x, ..., *, static arguments) -> an array, or a tuple of arrays. It runs whenever the op does, in
    eager code and inside compiled functions, holding Python's lock; it should depend on its arguments alone. An exception
    in it is raised by the call, which then has changed nothing.

    result: (spec, ..., **static arguments) -> what comes out, as `twain.extend.spec(shape, dtype)` or a list; a spec has
        shape, ndim, size and dtype. By default, the result is like the first operand.
    gradient: (gradients of the results, operands, results, **static arguments) -> the gradient of each operand, or None for
        one that has none; all one after the other, in twain's ops, possibly with other Python functions.
    jvp: (tangents of the operands, operands, results, **static arguments) -> the tangent of each result.
    batch: what vmap does: "loop" calls the function for each example, "all" gives it a leading axis more (every operand
        and, by `result`, every result), None refuses.
    borrow: give read-only views of twain's memory instead of copies; the function must not keep them.
    """
    if function is None:
        return lambda f: python_function(
            f, result=result, gradient=gradient, jvp=jvp, batch=batch, borrow=borrow, name=name
        )
    here = "extend.python_function"
    operands, static = parameters_of(here, function)
    title = check_name(here, name or function.__name__)
    if not operands and result is None:
        raise ArgumentError(f"[{here}] result: expected a function, as {title} has no operands")
    if batch not in ("loop", "all", None):
        raise ArgumentError(f"[{here}] batch: expected 'loop', 'all' or None, got {batch!r}")
    names = list(static)

    def infer(attrs, *specs):
        for n, s in zip(operands, specs):
            if dt.strengthen(s.dtype) is dt.bfloat16:
                raise DTypeError(
                    f"[{title}] {n}: expected a dtype that NumPy has, got bfloat16; convert with .astype(...)"
                )
        strong = [Spec(dt.strengthen(s.dtype), s.shape) for s in specs]
        found = specs_from(title, strong[0] if result is None else result(*strong, **keywords(names, attrs)))
        return found if len(found) > 1 else found[0]

    def run(attrs, *arrays, out):
        given = arrays if borrow else [a.copy() for a in arrays]
        results = function(*given, **keywords(names, attrs))
        results = results if isinstance(results, (tuple, list)) else (results,)
        if len(results) != len(out):
            raise ArgumentError(f"[{title}] expected {len(out)} results, got {len(results)}")
        for number, (target, value) in enumerate(zip(out, results)):
            value = numpy.asarray(value)
            if value.shape != target.shape or not numpy.can_cast(value.dtype, target.dtype, "same_kind"):
                raise ShapeError(
                    f"[{title}] result {number}: expected {target.dtype}{list(target.shape)}, as declared, got "
                    f"{value.dtype}{list(value.shape)}"
                )
            target[...] = value

    record = host(
        title, len(operands), run, infer=infer, attributes=binder(title, static), names=tuple(operands),
        vjp=gradient_rule(title, gradient, names), jvp=tangent_rule(title, jvp, names), dtypes=tuple(TYPE_CODES),
        doc=function.__doc__ or "", listed=False, differentiable=gradient is not None or jvp is not None,
    )  # fmt: skip
    record.batch = {"loop": loop_rule(record), "all": _spread, None: None}[batch]
    return finished(record)


def _spread(attrs, call, inputs, batched, size):
    """Batching of a function that takes a leading axis on all operands."""
    return call(attrs, *[x if b else late.broadcast_to(x, (size, *x.shape)) for x, b in zip(inputs, batched)])


def loop_rule(record: OpRecord) -> Callable:
    """Batching by calling the function for each example."""
    known: dict[tuple, OpRecord] = {}

    def batch(attrs, call, inputs, batched, size):
        key = (tuple(map(bool, batched)), size)
        if key not in known:
            known[key] = looped(record, *key)
        return apply(known[key], attrs, tuple(inputs))

    return batch


def looped(record: OpRecord, batched: tuple, size: int) -> OpRecord:
    """The record that runs `record` for each example of the operands that are batched."""

    def single(x, many: bool) -> Spec:
        return Spec(x.dtype, tuple(x.shape)[1:] if many else tuple(x.shape))

    def infer(attrs, *specs):
        found = record.infer(attrs, *[single(s, b) for s, b in zip(specs, batched)])
        found = found if type(found) is tuple else (found,)
        many = tuple(Spec(s.dtype, (size, *s.shape)) for s in found)
        return many if len(many) > 1 else many[0]

    def run(attrs, *arrays, out):
        for i in range(size):
            record.rules.function(
                attrs, *[a[i, ...] if b else a for a, b in zip(arrays, batched)], out=[o[i, ...] for o in out]
            )

    def mapped(rule: Callable, values: list, flags: list) -> list:
        """rule(nodes of one example) -> nodes or None, for all examples."""
        places = [i for i, v in enumerate(values) if v is not None]
        parameters = {i: make_parameter(i, single(values[i], flags[i])) for i in places}
        found = rule([parameters.get(i) for i in range(len(values))])
        kept = [i for i, x in enumerate(found) if x is not None]
        graph = Graph(record.name, list(parameters.values()), [as_value(found[i], record.name) for i in kept])
        many = every_batched(*vmap(graph, {i: flags[i] for i in places}, size), size)
        results = iter(inline(many, {p: values[p.attrs] for p in many.parameters}))
        return [next(results) if i in kept else None for i in range(len(found))]

    def vjp(attrs, gradients, inputs, outputs, needs):
        a, b = len(gradients), len(gradients) + len(inputs)
        flags = [True] * a + list(batched) + [True] * len(outputs)
        found = mapped(lambda v: record.vjp(attrs, v[:a], v[a:b], v[b:], needs), [*gradients, *inputs, *outputs], flags)
        return [g if g is None or many else late.sum(g, (0,), False) for g, many in zip(found, batched)]

    def jvp(attrs, call, tangents, inputs, outputs):
        count = len(inputs)
        flags = [*batched, *batched] + [True] * len(outputs)
        return mapped(
            lambda v: record.jvp(attrs, None, v[:count], v[count : 2 * count], v[2 * count :]),
            [*tangents, *inputs, *outputs], flags,
        )  # fmt: skip

    each = host(
        record.name, record.arity, run, infer=infer, attributes=record.attributes, names=record.argument_names,
        vjp=None if record.vjp is None else vjp, jvp=None if record.jvp is None else jvp, listed=False,
        differentiable=record.differentiable,
    )  # fmt: skip
    each.batch = loop_rule(each)
    return each
