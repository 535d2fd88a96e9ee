"""Branches and loops that are one op each, whatever they run: cond, while_loop, scan; and checkpoint, which computes again
instead of keeping. Functions given to them are traced once on values without contents."""

from __future__ import annotations

import functools
from collections.abc import Callable

from .. import _core
from ..base.errors import ArgumentError, ShapeError
from ..base.pytree import flatten, paths, unflatten
from ..ir.node import Graph, Spec, make_parameter, substitute
from ..ops.elementwise import cast, logical_and
from ..transforms.body import Body, Symbolic, Traceable, intern, place, renumbered, share_captured
from ..transforms.control import OPS, keeping_carries
from ..transforms.levels import Traced, is_value
from ..transforms.randomness import move_counter, relevant
from ..transforms.reverse import Taped
from .creation import asarray, full

Tensor = _core.Tensor


def _leaves(name: str, tree: object, what: str) -> tuple[list, object]:
    """(leaves as values, structure); numbers become tensors."""
    leaves, spec = flatten(tree)
    for i, x in enumerate(leaves):
        if is_value(x):
            continue
        if not isinstance(x, (bool, int, float, complex)) and not hasattr(x, "__array__"):
            where = place(paths(tree)[i])
            raise ArgumentError(
                f"[{name}] expected {what} to be a tree of tensors and numbers, got {type(x).__name__}{where}"
            )
        leaves[i] = full((), x) if isinstance(x, (bool, int, float, complex)) else asarray(x)
    return leaves, spec


def _spec(x: object) -> Spec:
    return Spec(x.dtype, tuple(x.shape))


def _values_of(tree: tuple) -> tuple[list, list, Callable]:
    """(the leaves, which of them are values, what makes the tree again with other values in their places)."""
    leaves, spec = flatten(tree)
    given = [i for i, x in enumerate(leaves) if is_value(x)]

    def build(values: list) -> tuple:
        full = list(leaves)
        for i, v in zip(given, values):
            full[i] = v
        return unflatten(spec, full)

    return leaves, given, build


def _call(name: str, attrs: tuple, inputs: list) -> list:
    result = OPS[name].apply(tuple(inputs), attrs)
    return list(result) if type(result) is tuple else [result]


def _check_same(name: str, what: str, expected: list, where: list, got: list) -> None:
    """ShapeError naming the first leaf whose dtype or shape isn't what it should be."""
    for e, path, g in zip(expected, where, got):
        if e != g:
            raise ShapeError(
                f"[{name}] expected {what}{place(path)} to be {e!r}, got {g!r}"
                + ("; convert it with .astype" if e.shape == g.shape else "")
            )


def _check_structure(name: str, what: str, expected: object, got: object) -> None:
    if expected != got:
        raise ArgumentError(f"[{name}] expected {what} in the structure {expected!r}, got {got!r}")


def differentiated(inputs: list) -> bool:
    """May somebody ask for the gradient?"""
    return _core.grad_enabled() and any(
        x.requires_grad if type(x) is Tensor else type(x) is Taped or _lies_on_tape(x) for x in inputs
    )


def _lies_on_tape(x: object) -> bool:
    while isinstance(x, Traced):
        if type(x) is Taped:
            return True
        if type(x) is Symbolic:
            return False
        x = x.value
    return type(x) is Tensor and x.requires_grad


def cond(pred: object, true_function: Callable, false_function: Callable, *operands: object) -> object:
    """true_function(*operands) if `pred` holds, else false_function(*operands), decided when the op runs.

    pred: a bool tensor of one element, or a Python bool (which decides at once). The functions may use tensors from around
    them; they must return trees of the same structure, shapes and dtypes. Only one side runs, also in compiled functions and
    loops; under vmap with a predicate that differs from example to example both do, and `where` selects.

    Raises ArgumentError or ShapeError where the sides differ, naming the leaf.
    """
    for what, function in (("true_function", true_function), ("false_function", false_function)):
        if not callable(function):
            raise ArgumentError(f"[cond] expected {what} to be a function, got {type(function).__name__}")
    if not is_value(pred):
        if not isinstance(pred, (bool, int)):
            raise ArgumentError(f"[cond] expected pred to be a bool tensor of one element, got {type(pred).__name__}")
        return (true_function if pred else false_function)(*operands)
    if pred.size != 1 or pred.dtype.kind not in "biu":
        raise ArgumentError(
            f"[cond] expected pred to be a bool tensor of one element, got {pred.dtype}{list(pred.shape)}"
        )
    leaves, given, build = _values_of(operands)
    specs = [_spec(leaves[i]) for i in given]
    sides = [Traceable("cond", f, specs, build) for f in (false_function, true_function)]
    no, yes = sides
    _check_structure("cond", "both functions to return trees", yes.spec, no.spec)
    _check_same("cond", "the results of both functions", _specs(yes.outputs), yes.paths, _specs(no.outputs))
    bodies, inputs, generators = _merged(sides, [leaves[i] for i in given])
    index = cast(pred.reshape(()) != 0, "int64")
    results = _call("branch", (tuple(bodies),), [index, *inputs]) if yes.outputs or generators else []
    _move(generators, results[len(yes.outputs) :])
    return unflatten(yes.spec, results[: len(yes.outputs)])


def _specs(nodes: list) -> list[Spec]:
    return [n.spec for n in nodes]


def _merged(sides: list, given: list) -> tuple[list[Body], list, list]:
    """(bodies with common parameters, the operands, random generators): own arguments, what any side captured, counters."""
    order, inputs = [make_parameter(i, _spec(x)) for i, x in enumerate(given)], list(given)
    known: dict[int, object] = {}
    mappings = []
    for side in sides:
        mapping = dict(zip(side.own, order))
        share_captured(side.level.captured, known, order, inputs, mapping)
        mappings.append(mapping)
    generators = list(dict.fromkeys(g for side in sides for g in side.level.counters))
    counters = []
    for g in generators:
        start = next(side.level.counters[g][2] for side in sides if g in side.level.counters)
        counters.append(make_parameter(len(order), _spec(start)))
        order.append(counters[-1])
        inputs.append(start)
    bodies = []
    for side, mapping in zip(sides, mappings):
        entries = side.level.counters
        ends = []
        for g, p in zip(generators, counters):
            if g in entries:
                mapping[entries[g][0]] = p
            ends.append(side.level.node(entries[g][1]) if g in entries else p)
        bodies.append(intern(Graph(side.level.name, order, substitute([*side.outputs, *ends], mapping))))
    return bodies, inputs, generators


def _move(generators: list, counters: list) -> None:
    """Random generators go on where the traced code left them."""
    levels = relevant()
    for g, counter in zip(generators, counters):
        move_counter(g, levels, counter)


def _length_of(xs: list, where: list, length: int | None) -> int:
    for x, path in zip(xs, where):
        if not x.shape:
            raise ShapeError(f"[scan] expected xs{path} to have an axis to scan over, got a 0-d tensor")
        if length is None:
            length = x.shape[0]
        if x.shape[0] != length:
            raise ShapeError(f"[scan] expected xs to have {length} entries along axis 0, got {x.shape[0]} in xs{path}")
    if length is None:
        raise ArgumentError("[scan] expected xs or length, got neither")
    if not isinstance(length, int) or length < 0:
        raise ArgumentError(f"[scan] expected length to be an int of at least 0, got {length!r}")
    return length


def scan(
    function: Callable, init: object, xs: object = None, length: int | None = None, reverse: bool = False
) -> tuple:
    """carry, y = function(carry, x) for each x along axis 0 of `xs`, from `init` on: (last carry, all y stacked).

    Args:
        function: takes the carry and one entry of xs, returns the next carry, of the same structure, shapes and dtypes, and
            a tree to stack. It may use tensors from around it.
        init: the first carry, any tree.
        xs: a tree of tensors with equal sizes along axis 0; None: `function` gets None, `length` times.
        length: the number of iterations; only needed without xs.
        reverse: from the last entry to the first; results keep the place of their entry.

    One op, whose body is traced once and runs without Python. Its gradient keeps one carry per iteration.

    Raises:
        ArgumentError: a carry of another structure.
        ShapeError: a leaf of the carry that changes shape or dtype, xs of different lengths.
    """
    carry, carry_spec = _leaves("scan", init, "init")
    if xs is None:
        slices, xs_spec = [], flatten(())[1]
    else:
        slices, xs_spec = _leaves("scan", xs, "xs")
    length = _length_of(slices, paths(xs) if slices else [], length)
    count = len(carry)
    own = [_spec(c) for c in carry] + [Spec(x.dtype, tuple(x.shape)[1:]) for x in slices]

    def build(values: list) -> tuple:
        x = None if xs is None else unflatten(xs_spec, values[count:])
        return unflatten(carry_spec, values[:count]), x

    def step(carry: object, x: object) -> tuple:
        result = function(carry, x)
        if not isinstance(result, tuple) or len(result) != 2:
            got = "a tensor" if is_value(result) else type(result).__name__
            raise ArgumentError(f"[scan] expected the function to return (carry, y), got {got}")
        after, y = result
        _check_structure("scan", "the function to return a carry", carry_spec, flatten(after)[1])
        return after, () if y is None else (y,)

    traced = Traceable("scan", step, own, build)
    _check_same("scan", "the carry", own[:count], paths(init), _specs(traced.outputs[:count]))
    level = traced.level
    generators, counters = list(level.counters), list(level.counters.values())
    captured = level.captured
    order = [p for p, _ in captured] + traced.own[:count] + [c[0] for c in counters] + traced.own[count:]
    ends = [level.node(c[1]) for c in counters]
    body = renumbered("scan", order, [*traced.outputs[:count], *ends, *traced.outputs[count:]])
    inputs = [*(v for _, v in captured), *carry, *(c[2] for c in counters), *slices]
    carries = count + len(counters)
    stacked = len(traced.outputs) - count
    kept = carries > 0 and differentiated(inputs)
    if kept:
        body = keeping_carries(body, len(captured), carries)
    results = []
    if body.specs:
        results = _call("scan", (body, len(captured), carries, length, bool(reverse), kept), inputs)
    _move(generators, results[count:carries])
    tree = unflatten(traced.spec, [*results[:count], *results[carries : carries + stacked]])
    return tree[0], tree[1][0] if tree[1] else None


def while_loop(condition: Callable, function: Callable, init: object, max_iterations: int | None = None) -> object:
    """carry = function(carry) while condition(carry) holds, from `init` on: the last carry.

    Args:
        condition: takes the carry, returns a bool tensor of one element.
        function: takes the carry, returns the next one, of the same structure, shapes and dtypes.
        init: the first carry, any tree.
        max_iterations: stop after so many at the latest. Needed for reverse-mode gradients, which keep one carry for each;
            forward mode (jvp, jacfwd) needs none.

    Under vmap each example goes on for as long as its own condition holds.

    Raises:
        ArgumentError: a carry of another structure, a condition that isn't one bool.
        ShapeError: a leaf of the carry that changes shape or dtype.
        GradientError: a reverse-mode gradient without max_iterations.
    """
    if max_iterations is not None and (not isinstance(max_iterations, int) or max_iterations < 0):
        raise ArgumentError(f"[while_loop] expected max_iterations to be an int of at least 0, got {max_iterations!r}")
    carry, spec = _leaves("while_loop", init, "init")
    own = [_spec(c) for c in carry]

    def build(values: list) -> tuple:
        return (unflatten(spec, values),)

    test = Traceable("while_loop", condition, own, build)
    if len(test.outputs) != 1 or test.outputs[0].size != 1 or test.outputs[0].dtype.kind != "b":
        raise ArgumentError(
            f"[while_loop] expected the condition to return a bool tensor of one element, got {_specs(test.outputs)}"
        )
    if test.level.counters:
        raise ArgumentError("[while_loop] expected a condition without random numbers; draw them in the function")
    step = Traceable("while_loop", function, own, build)
    _check_structure("while_loop", "the function to return a carry", spec, step.spec)
    _check_same("while_loop", "the carry", own, paths(init), _specs(step.outputs))
    if max_iterations is not None and (differentiated([*carry, *(v for _, v in step.level.captured)]) or _in_body()):
        return _bounded(condition, function, init, max_iterations)
    counters = list(step.level.counters.values())
    extra = [make_parameter(0, c[0].spec) for c in counters]
    tested = renumbered(
        "while_loop", [*(p for p, _ in test.level.captured), *test.own, *extra], [_scalar(test.outputs[0])]
    )
    body = renumbered(
        "while_loop", [*(p for p, _ in step.level.captured), *step.own, *(c[0] for c in counters)],
        [*step.outputs, *(step.level.node(c[1]) for c in counters)],
    )  # fmt: skip
    first, second = len(test.level.captured), len(step.level.captured)
    inputs = [
        *(v for _, v in test.level.captured),
        *(v for _, v in step.level.captured),
        *carry,
        *(c[2] for c in counters),
    ]
    limit = -1 if max_iterations is None else max_iterations
    results = _call("loop", (tested, body, first, second, limit), inputs) if body.specs else []
    _move(list(step.level.counters), results[len(carry) :])
    return unflatten(spec, results[: len(carry)])


def _scalar(n: object) -> object:
    before = _core.set_tracing(True)
    try:
        return n.reshape(())
    finally:
        _core.set_tracing(before)


def _in_body() -> bool:
    return any(type(level).__name__ == "BodyLevel" for level in relevant())


def _bounded(condition: Callable, function: Callable, init: object, limit: int) -> object:
    """The loop as a scan that does nothing once the condition has failed: what can be run backwards."""

    def step(state: tuple, _: object) -> tuple:
        going, carry = state
        going = logical_and(going, condition(carry).reshape(()))
        carry = cond(going, function, lambda c: c, carry)
        return (going, carry), None

    (_, carry), _ = scan(step, (full((), True), init), None, limit)
    return carry


def checkpoint(function: Callable) -> Callable:
    """`function` such that backward computes its inside again instead of keeping it: memory for time.

    Only the arguments (and tensors that it uses from around it) are kept. Random numbers come out the same again. The function
    is traced at each call, so it can't read values.
    """

    @functools.wraps(function, updated=())
    def wrapped(*args: object, **kwargs: object) -> object:
        leaves, given, build = _values_of((args, kwargs))
        traced = Traceable(
            "checkpoint", lambda a, k: function(*a, **k), [_spec(leaves[i]) for i in given], build
        )  # fmt: skip
        [body], inputs, generators = _merged([traced], [leaves[i] for i in given])
        results = _call("call", (body,), inputs) if body.specs else []
        _move(generators, results[len(traced.outputs) :])
        return unflatten(traced.spec, results[: len(traced.outputs)])

    return wrapped


__all__ = ["checkpoint", "cond", "scan", "while_loop"]
