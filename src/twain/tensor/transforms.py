"""Transformations of functions over trees of tensors: grad, vmap, jvp, vjp, Jacobians, Hessians. Each runs the function on
values of a level (transforms/levels.py), so all nest, and code that reads values it may read runs unchanged."""

from __future__ import annotations

import threading
from collections.abc import Callable

from .. import _core
from ..base.errors import ArgumentError, GradientError, ShapeError
from ..base.pytree import TreeSpec, broadcast_prefix, flatten, paths, unflatten
from ..base.shapes import normalize_axis
from ..ops.index import full
from ..ops.shape import broadcast_to, concat, permute_dims, reshape
from ..transforms import levels
from ..transforms.batched import Batched, BatchLevel, check_randomness
from ..transforms.forward import Dual, ForwardLevel
from ..transforms.levels import is_value, stack
from ..transforms.reverse import ReverseLevel
from .creation import eye
from .creation import full as filled

Tensor = _core.Tensor


def describe(x: object) -> str:
    """A value in an error message."""
    return f"{x.dtype}{list(x.shape)}" if is_value(x) else type(x).__name__


def number(x: object, dtype: object = None) -> Tensor:
    """A Python number as a tensor, made by an op, so that recordings know where it comes from."""
    return filled((), x, dtype=dtype)


def name_of(function: object) -> str:
    return getattr(function, "__name__", type(function).__name__)


def place(path: str) -> str:
    """A leaf's path in an error message."""
    return f" at {path}" if path else ""


def result_leaves(name: str, tree: object) -> tuple[list, object]:
    """(leaves, structure) of what a function returned; None stays, ArgumentError for other leaves that are no tensors."""
    leaves, spec = flatten(tree)
    for i, x in enumerate(leaves):
        if x is None or is_value(x):
            continue
        if not isinstance(x, (bool, int, float, complex)):
            raise ArgumentError(
                f"[{name}] expected the function to return tensors, got {type(x).__name__}{place(paths(tree)[i])}"
            )
        leaves[i] = number(x)
    return leaves, spec


# ---------------------------------------------------------------- vmap
def _axis_per_leaf(axes: object, tree: object, argument: str) -> list:
    found = broadcast_prefix(axes, tree)
    if found is None or any(a is not None and (isinstance(a, bool) or not isinstance(a, int)) for a in found):
        raise ArgumentError(
            f"[vmap] expected {argument} to be an int, None, or a tree of them like the argument or the upper part of it, "
            f"got {axes!r}"
        )
    return found


def vmap(
    function: Callable,
    in_axes: object = 0,
    out_axes: object = 0,
    randomness: str = "error",
    chunk_size: int | None = None,
) -> Callable:
    """A function that applies `function` to every entry along an axis of its arguments, all at once.

    Args:
        in_axes: the axis per positional argument: an int, None (the same value for all entries), or a tree of them for an
            argument that is a tree. One int counts for all arguments. Keyword arguments are not mapped.
        out_axes: where the results get the new axis: an int, or a tree of ints like the result. None for a result that is
            the same for all entries.
        randomness: what random numbers drawn inside do: "error", "same" for all entries, or "different".
        chunk_size: how many entries are computed together (None: all); less memory for large batches.

    Code inside sees single entries. It may read values that don't depend on the batch; reading one that does, as by `if`, is
    a GradientError: use `where` or `cond`.

    Raises:
        ArgumentError: in_axes that don't fit the arguments.
        ShapeError: an axis out of range, or mapped axes of different sizes.
    """
    check_randomness(randomness)
    if chunk_size is not None and (not isinstance(chunk_size, int) or chunk_size < 1):
        raise ArgumentError(f"[vmap] expected chunk_size to be an int of at least 1 or None, got {chunk_size!r}")

    def wrapped(*args: object, **kwargs: object):
        leaves, spec, axes, size = _mapped("vmap", args, in_axes)
        if chunk_size is not None and size > chunk_size:
            return _in_chunks(function, leaves, spec, axes, size, kwargs, out_axes, randomness, chunk_size)
        return _run_mapped(function, leaves, spec, axes, size, kwargs, out_axes, randomness)

    return _dressed(wrapped, "vmap", function)


def _mapped(name: str, args: tuple, in_axes: object) -> tuple:
    """(leaves of all arguments, structure, axis or None per leaf, size of the batch)."""
    if isinstance(in_axes, list):
        in_axes = tuple(in_axes)
    if not isinstance(in_axes, tuple):
        in_axes = (in_axes,) * len(args)
    if len(in_axes) != len(args):
        raise ArgumentError(
            f"[{name}] expected in_axes to have one entry per positional argument, got {len(in_axes)} for {len(args)}"
        )
    leaves, spec = flatten(args)
    axes: list = []
    for number, (axis, arg) in enumerate(zip(in_axes, args)):
        axes.extend(_axis_per_leaf(axis, arg, f"in_axes[{number}]"))
    size = where = None
    for i, (x, axis) in enumerate(zip(leaves, axes)):
        if not is_value(x):
            axes[i] = None
            continue
        if axis is None:
            continue
        shape = tuple(x.shape)
        if not shape:
            raise ShapeError(
                f"[{name}] expected argument {paths(args)[i]} to have an axis to map over, got a 0-d tensor; in_axes=None "
                "for it passes it as it is"
            )
        axes[i] = at = normalize_axis(name, axis, len(shape))
        if size is not None and shape[at] != size:
            raise ShapeError(
                f"[{name}] expected equal sizes along the mapped axes, got {size} for argument {paths(args)[where]} and "
                f"{shape[at]} for argument {paths(args)[i]} (shape {shape}, axis {at})"
            )
        if size is None:
            size, where = shape[at], i
    if size is None:
        raise ArgumentError(f"[{name}] expected at least one tensor to map over, got none")
    return leaves, spec, axes, size


def _run_mapped(function, leaves, spec, axes, size, kwargs, out_axes, randomness) -> object:
    level = BatchLevel("vmap", size, randomness)
    with level:
        given = [x if a is None else level.lift(_to_front(x, a)) for x, a in zip(leaves, axes)]
        result = function(*unflatten(spec, given), **kwargs)
    outputs, out_spec = result_leaves("vmap", result)
    wanted = _axis_per_leaf_of_result(out_axes, result)
    for i, (x, axis) in enumerate(zip(outputs, wanted)):
        mine = type(x) is Batched and x.level is level
        if x is None:
            continue
        if axis is None:
            if mine:
                raise ArgumentError(
                    "[vmap] expected out_axes to be an int for a result that depends on the batch, got None"
                    + place(paths(result)[i])
                )
            continue
        outputs[i] = _from_front(x.value if mine else broadcast_to(x, (size, *x.shape)), axis)
    return unflatten(out_spec, outputs)


def _axis_per_leaf_of_result(out_axes: object, result: object) -> list:
    found = broadcast_prefix(out_axes, result)
    if found is None and isinstance(out_axes, list):
        found = broadcast_prefix(tuple(out_axes), result)
    if found is None or any(a is not None and not isinstance(a, int) for a in found):
        raise ArgumentError(
            "[vmap] expected out_axes to be an int, None, or a tree of them like the result or the upper part of it, got "
            f"{out_axes!r}"
        )
    return found


def _in_chunks(function, leaves, spec, axes, size, kwargs, out_axes, randomness, chunk_size) -> object:
    parts = []
    for start in range(0, size, chunk_size):
        stop = min(size, start + chunk_size)
        some = [x if a is None else x[(slice(None),) * a + (slice(start, stop),)] for x, a in zip(leaves, axes)]
        parts.append(_run_mapped(function, some, spec, axes, stop - start, kwargs, out_axes, randomness))
    first, out_spec = flatten(parts[0])
    wanted = _axis_per_leaf_of_result(out_axes, parts[0])
    columns = zip(*(flatten(p)[0] for p in parts))
    joined = [
        f if a is None or f is None else concat(list(column), normalize_axis("vmap", a, f.ndim))
        for f, a, column in zip(first, wanted, columns)
    ]
    return unflatten(out_spec, joined)


def _to_front(x: object, axis: int) -> object:
    return x if axis == 0 else permute_dims(x, (axis, *(a for a in range(x.ndim) if a != axis)))


def _from_front(x: object, axis: int) -> object:
    """Axis 0 moved to `axis`."""
    at = normalize_axis("vmap", axis, x.ndim)
    if at == 0:
        return x
    order = list(range(1, x.ndim))
    order.insert(at, 0)
    return permute_dims(x, tuple(order))


def _dressed(wrapped: Callable, transformation: str, function: object) -> Callable:
    wrapped.__name__ = f"{transformation}({name_of(function)})"
    wrapped.__doc__ = getattr(function, "__doc__", None)
    return wrapped


# ---------------------------------------------------------------- jvp
def _tangent_leaves(name: str, primals: object, tangents: object) -> tuple[list, list, object]:
    """(leaves, tangents, structure), checked against each other. Leaves that are not floating have no tangent."""
    leaves, spec = flatten(primals)
    along, other = flatten(tangents)
    if spec != other:
        raise ArgumentError(f"[{name}] expected tangents in the structure of the primals, {spec!r}, got {other!r}")
    for i, (x, t) in enumerate(zip(leaves, along)):
        if type(x) is float:
            leaves[i] = x = number(x)
        if not is_value(x):
            along[i] = None
            continue
        if isinstance(t, (int, float)) and not x.shape:
            along[i] = t = number(t, x.dtype)
        if x.dtype.kind not in "fc":
            if t is None:
                continue
            raise ArgumentError(
                f"[{name}] expected a floating primal for a tangent{place(paths(primals)[i])}, got {describe(x)}; None is the "
                "tangent of an integer"
            )
        if t is None:
            continue
        if not is_value(t) or t.dtype is not x.dtype or tuple(t.shape) != tuple(x.shape):
            raise ArgumentError(
                f"[{name}] expected a tangent of {describe(x)}{place(paths(primals)[i])}, got {describe(t)}"
            )
    return leaves, along, spec


def jvp(function: Callable, primals: tuple, tangents: tuple, has_aux: bool = False) -> tuple:
    """(function(*primals), its derivative along tangents), computed together, forwards.

    tangents: trees like primals, each tensor with the dtype and shape of its primal; None where nothing changes. With has_aux
    `function` returns (result, anything), and jvp (result, derivative, anything).

    Raises ArgumentError for tangents that don't fit the primals.
    """
    if not isinstance(primals, (tuple, list)) or not isinstance(tangents, (tuple, list)):
        raise ArgumentError(
            "[jvp] expected primals and tangents to be tuples with one entry per argument, got "
            f"{type(primals).__name__} and {type(tangents).__name__}"
        )
    if len(primals) != len(tangents):
        raise ArgumentError(f"[jvp] expected a tangent per primal, got {len(tangents)} tangents for {len(primals)}")
    leaves, along, spec = _tangent_leaves("jvp", tuple(primals), tuple(tangents))
    level = ForwardLevel("jvp")
    with level:
        given = [x if t is None else level.lift(x, t) for x, t in zip(leaves, along)]
        result = function(*unflatten(spec, given))
    result, aux = _split_aux("jvp", result, has_aux)
    outputs, out_spec = result_leaves("jvp", result)
    values, moves = [], []
    for x in outputs:
        mine = type(x) is Dual and x.level is level
        values.append(x.value if mine else x)
        moves.append(x.tangent if mine else None if x is None else full(0, tuple(x.shape), x.dtype))
    found = unflatten(out_spec, values), unflatten(out_spec, moves)
    if not has_aux:
        return found
    return (*found, _below(aux, level))


def _below(tree: object, level: levels.Level) -> object:
    """A tree without what `level` added."""
    leaves, spec = flatten(tree)
    return unflatten(spec, [x.value if isinstance(x, levels.Traced) and x.level is level else x for x in leaves])


def _split_aux(name: str, result: object, has_aux: bool) -> tuple:
    if not has_aux:
        return result, None
    if not isinstance(result, tuple) or len(result) != 2:
        raise ArgumentError(
            f"[{name}] expected the function to return (result, aux) with has_aux, got {type(result).__name__}"
        )
    return result


# ---------------------------------------------------------------- vjp
class _Tape:
    """A function run once on a tape of its own, to be pulled back through as often as wanted."""

    __slots__ = ("aux", "level", "outputs", "result", "spec", "tree")

    def __init__(self, name: str, function: Callable, leaves: list, build: Callable, has_aux: bool):
        self.level = level = ReverseLevel(name)
        level.outside = _core.grad_enabled()
        with level, _core_grad():
            result = function(*build([level.lift(x) for x in leaves]))
        result, aux = _split_aux(name, result, has_aux)
        self.outputs, self.spec = result_leaves(name, result)
        self.tree = unflatten(self.spec, [level.below(x) for x in self.outputs])
        self.aux = _below(aux, level)

    def pull(self, cotangents: list) -> list:
        """Gradients of the leaves, zeros where nothing depends on them."""
        found = self.level.pull(self.outputs, cotangents)
        return [full(0, tuple(x.shape), x.dtype) if g is None else g for g, x in zip(found, self.level.leaves)]


class _core_grad:
    """Recording on while a function to differentiate runs."""

    def __enter__(self):
        self._before = _core.set_grad_enabled(True)

    def __exit__(self, *exc) -> None:
        _core.set_grad_enabled(self._before)


def vjp(function: Callable, *primals: object, has_aux: bool = False) -> tuple:
    """(function(*primals), pull): pull(cotangent) is the gradient of <cotangent, result> with respect to each primal.

    The cotangent is a tree like the result; `pull` returns a tuple of trees like the primals, and may be called often, also
    inside of vmap. Leaves that are not floating tensors have the gradient None. With has_aux `function` returns (result,
    anything), and vjp (result, pull, anything).
    """
    leaves, spec = flatten(primals)
    chosen = [i for i, x in enumerate(leaves) if type(x) is float or is_value(x) and x.dtype.kind in "fc"]

    def build(values: list) -> tuple:
        full_list = list(leaves)
        for i, v in zip(chosen, values):
            full_list[i] = v
        return unflatten(spec, full_list)

    given = [number(x) if type(x) is float else x for x in (leaves[i] for i in chosen)]
    tape = _Tape("vjp", function, given, build, has_aux)

    def pull(cotangent: object) -> tuple:
        found, other = flatten(cotangent)
        if other != tape.spec:
            raise ArgumentError(
                f"[vjp] expected a cotangent in the structure of the result, {tape.spec!r}, got {other!r}"
            )
        for i, (g, y) in enumerate(zip(found, tape.outputs)):
            if g is None or y is None or y.dtype.kind not in "fc":
                found[i] = None
                continue
            if isinstance(g, (int, float, complex)) and not y.shape:
                found[i] = g = number(g, y.dtype)
            if not is_value(g) or g.dtype is not y.dtype or tuple(g.shape) != tuple(y.shape):
                raise ArgumentError(
                    f"[vjp] expected a cotangent of {describe(y)}{place(paths(cotangent)[i])}, got {describe(g)}"
                )
        gradients: list = [None] * len(leaves)
        for i, g in zip(chosen, tape.pull(found)):
            gradients[i] = g
        return unflatten(spec, gradients)

    return (tape.tree, pull, tape.aux) if has_aux else (tape.tree, pull)


# ---------------------------------------------------------------- gradients
class _Depth(threading.local):
    """How many gradients on the core's tape this thread is inside of."""

    value = 0

    def __enter__(self):
        self.value += 1

    def __exit__(self, *exc):
        self.value -= 1


_depth = _Depth()


def _differentiable(name: str, trees: list) -> tuple[list, object, list]:
    """(leaves, structure, numbers of the leaves to differentiate by).

    In modules those are the parameters that aren't frozen, in dataclasses the floating tensors; elsewhere every leaf must be
    a floating tensor.
    """
    leaves, spec = flatten(trees)
    chosen = []
    for i, (x, rule) in enumerate(zip(leaves, leaf_rules(spec))):
        if rule is False:
            continue
        if type(x) is float and rule is None:
            leaves[i] = x = number(x)
        if not is_value(x) or x.dtype.kind not in "fc":
            if rule is None:
                raise ArgumentError(not_floating(name, x, paths(trees)[i]))
            continue
        chosen.append(i)
    if not chosen:
        raise ArgumentError(f"[{name}] expected floating tensors to differentiate by, got none")
    return leaves, spec, chosen


def leaf_rules(spec: TreeSpec) -> list:
    """Per leaf of a structure: None: plain; True or False: inside of a module or dataclass, to be differentiated by or not."""
    found: list = []
    _rules_into(spec, None, found)
    return found


def _rules_into(s: TreeSpec, inside: bool | None, found: list) -> None:
    if s.kind is None:
        found.append(inside)
        return
    flags = getattr(s.data, "trained", None)
    if flags is None:
        below = True if hasattr(s.kind, "__dataclass_fields__") else inside
        flags = (below,) * len(s.children)
    for child, flag in zip(s.children, flags):
        _rules_into(child, flag, found)


def value_and_grad(function: Callable, argnums: int | tuple = 0, has_aux: bool = False) -> Callable:
    """A function that returns (function(...), gradient with respect to the arguments numbered `argnums`).

    Arguments may be trees of floating tensors: dicts, lists, tuples, dataclasses, modules. The gradient is a tree like the
    argument (a tuple of them if argnums is a tuple); in a module's, `.weight` is the gradient of the weight, and buffers and
    frozen parameters are None. `function` returns a tensor of one element, or (tensor, anything) with has_aux.

    Raises:
        ArgumentError: argnums out of range; arguments that are not floating.
        GradientError: the function doesn't return one element.
    """

    def wrapped(*args: object, **kwargs: object):
        numbers = argument_numbers("grad", args, argnums)
        leaves, spec, chosen = _differentiable("grad", [args[n] for n in numbers])
        run = _grad_on_level if stack.levels else _grad_on_tape
        value, aux, found = run(function, args, kwargs, numbers, leaves, spec, chosen, has_aux)
        gradients: list = [None] * len(leaves)
        for i, g in zip(chosen, found):
            gradients[i] = g
        tree = unflatten(spec, gradients)
        gradient = tree[0] if isinstance(argnums, int) else tuple(tree)
        return ((value, aux) if has_aux else value), gradient

    return _dressed(wrapped, "value_and_grad", function)


def _check_scalar(value: object) -> None:
    if not is_value(value) or value.size != 1 or value.dtype.kind not in "fc":
        hint = "; sum it or average it, or use jacrev" if is_value(value) and value.size != 1 else ""
        raise GradientError(
            f"[grad] expected the function to return a floating tensor of one element, got {describe(value)}{hint}"
        )


def _substituted(args: tuple, numbers: tuple, leaves: list, spec: object, chosen: list, values: list) -> tuple:
    """The arguments with `values` in the place of the chosen leaves."""
    given = list(leaves)
    for i, v in zip(chosen, values):
        given[i] = v
    return _with(args, numbers, unflatten(spec, given))


def _grad_on_level(function, args, kwargs, numbers, leaves, spec, chosen, has_aux) -> tuple:
    """Inside of other transformations."""
    tape = _Tape(
        "grad", lambda *a: function(*a, **kwargs), [leaves[i] for i in chosen],
        lambda values: _substituted(args, numbers, leaves, spec, chosen, values), has_aux,
    )  # fmt: skip
    _check_scalar(tape.tree)
    [y] = tape.outputs
    return tape.tree, tape.aux, tape.pull([full(1, tuple(y.shape), y.dtype)])


def _grad_on_tape(function, args, kwargs, numbers, leaves, spec, chosen, has_aux) -> tuple:
    """Alone, or inside of its like: on the core's tape."""
    # Only an enclosing gradient, or a tape that the arguments are on, can differentiate this one again. The parameters of a
    # module are data here, though they require gradients.
    rules = leaf_rules(spec)
    again = _core.grad_enabled() and (
        _depth.value > 0 or any(leaves[i].requires_grad and not (rules[i] and leaves[i].is_leaf) for i in chosen)
    )
    inner = [_fresh(leaves[i], again) for i in chosen]
    full_args = _substituted(args, numbers, leaves, spec, chosen, inner)
    with _core_grad(), _depth:
        value, aux = _split_aux("grad", function(*full_args, **kwargs), has_aux)
        _check_scalar(value)
        found = (
            _core.gradients([value], inner, None, create_graph=again, allow_unused=True) if value.requires_grad else ()
        )
    zeros = [full(0, tuple(x.shape), x.dtype) if g is None else g for g, x in zip(found or [None] * len(inner), inner)]
    if not again:
        value, aux = value.detach(), _detached(aux)
    return value, aux, zeros


def _detached(tree: object) -> object:
    if tree is None:
        return None
    leaves, spec = flatten(tree)
    return unflatten(
        spec, [x.detach() if type(x) is Tensor and x.requires_grad and not x.is_leaf else x for x in leaves]
    )


def _fresh(x: object, again: bool) -> object:
    if again and x.requires_grad:
        with _core_grad():
            return reshape(x, x.shape)  # a node of its own: gradients stop here and still reach x in an outer tape
    return x.detach().requires_grad_()


def grad(function: Callable, argnums: int | tuple = 0, has_aux: bool = False) -> Callable:
    """The gradient of a scalar function as a function; with has_aux (gradient, aux). See value_and_grad."""
    both = value_and_grad(function, argnums, has_aux)

    def wrapped(*args: object, **kwargs: object):
        value, gradient = both(*args, **kwargs)
        return (gradient, value[1]) if has_aux else gradient

    return _dressed(wrapped, "grad", function)


# ---------------------------------------------------------------- Jacobians
def _chosen(name: str, args: tuple, argnums: int | tuple) -> tuple[list, object, tuple]:
    """(leaves of the arguments numbered argnums, structure, the numbers), all floating."""
    numbers = argument_numbers(name, args, argnums)
    trees = [args[n] for n in numbers]
    leaves, spec = flatten(trees)
    for i, x in enumerate(leaves):
        if type(x) is float:
            leaves[i] = number(x)
        elif not is_value(x) or x.dtype.kind not in "fc":
            raise ArgumentError(not_floating(name, x, paths(trees)[i]))
    return leaves, spec, numbers


def not_floating(name: str, x: object, path: str) -> str:
    """The message for a leaf that can't be differentiated by."""
    hint = "; convert it with .astype('float32')" if is_value(x) or isinstance(x, int) else ""
    return f"[{name}] expected floating tensors to differentiate by, got {describe(x)}{place(path)}{hint}"


def argument_numbers(name: str, args: tuple, argnums: object) -> tuple:
    """argnums as a tuple of numbers >= 0."""
    numbers = (argnums,) if isinstance(argnums, int) and not isinstance(argnums, bool) else argnums
    if not isinstance(numbers, (tuple, list)) or any(isinstance(n, bool) or not isinstance(n, int) for n in numbers):
        raise ArgumentError(f"[{name}] expected argnums to be an int or a tuple of ints, got {argnums!r}")
    for n in numbers:
        if not -len(args) <= n < len(args):
            raise ArgumentError(f"[{name}] expected argnums within the {len(args)} positional arguments, got {n}")
    return tuple(n % len(args) for n in numbers)


def _with(args: tuple, numbers: tuple, trees: list) -> tuple:
    full_list = list(args)
    for n, tree in zip(numbers, trees):
        full_list[n] = tree
    return tuple(full_list)


def _unit_basis(leaves: list) -> list:
    """For each leaf (total size N over all) a tensor (N, *shape): the unit vectors, spread over the leaves."""
    sizes = [x.size for x in leaves]
    total = sum(sizes)
    found, start = [], 0
    for x, n in zip(leaves, sizes):
        found.append(reshape(eye(total, n, k=-start, dtype=x.dtype), (total, *x.shape)))
        start += n
    return found


def _blocks(x: object, likes: list, axis_last: bool = False) -> list:
    """Parts of axis 0 of `x` (all leaves of `likes`, end to end), each as (*like.shape, *rest), or (*rest, *like.shape)."""
    found, start = [], 0
    rest = tuple(x.shape)[1:]
    for y in likes:
        part = x[start : start + y.size]
        if axis_last:
            part = permute_dims(part, (*range(1, part.ndim), 0))
            found.append(reshape(part, (*rest, *y.shape)))
        else:
            found.append(reshape(part, (*y.shape, *rest)))
        start += y.size
    return found


def jacrev(
    function: Callable, argnums: int | tuple = 0, has_aux: bool = False, chunk_size: int | None = None
) -> Callable:
    """The Jacobian of `function` as a function, row by row, backwards: cheap for few results and many arguments.

    Returns a tree like the result whose leaves are trees like the argument (a tuple of them if argnums is a tuple), of shape
    (*result's, *argument's).
    """

    def wrapped(*args: object, **kwargs: object):
        leaves, spec, numbers = _chosen("jacrev", args, argnums)
        tape = _Tape(
            "jacrev", lambda *a: function(*a, **kwargs), leaves,
            lambda values: _with(args, numbers, unflatten(spec, values)), has_aux,
        )  # fmt: skip
        outputs = tape.outputs
        for y in outputs:
            if y.dtype.kind not in "fc":
                raise GradientError(f"[jacrev] expected floating results, got {describe(y)}")
        rows = vmap(lambda cotangents: tape.pull(cotangents), chunk_size=chunk_size)(_unit_basis(outputs))
        per_input = [_blocks(g, outputs) for g in rows]
        single = isinstance(argnums, int)
        entries = []
        for j in range(len(outputs)):
            tree = unflatten(spec, [blocks[j] for blocks in per_input])
            entries.append(tree[0] if single else tuple(tree))
        jacobian = unflatten(tape.spec, entries)
        return (jacobian, tape.aux) if has_aux else jacobian

    return _dressed(wrapped, "jacrev", function)


def jacfwd(
    function: Callable, argnums: int | tuple = 0, has_aux: bool = False, chunk_size: int | None = None
) -> Callable:
    """The Jacobian of `function` as a function, column by column, forwards: cheap for few arguments and many results.

    Returns what jacrev returns.
    """

    def wrapped(*args: object, **kwargs: object):
        leaves, spec, numbers = _chosen("jacfwd", args, argnums)
        kept: list = []

        def run(*values: object) -> object:
            result = function(*_with(args, numbers, unflatten(spec, list(values))), **kwargs)
            result, aux = _split_aux("jacfwd", result, has_aux)
            return (result, aux) if has_aux else result

        def push(tangents: list) -> object:
            found = jvp(run, tuple(leaves), tuple(tangents), has_aux)
            kept[:] = [flatten(found[0])]
            return (found[1], found[2]) if has_aux else found[1]

        out_axes = (0, None) if has_aux else 0
        pushed = vmap(push, out_axes=out_axes, chunk_size=chunk_size)(_unit_basis(leaves))
        columns, aux = pushed if has_aux else (pushed, None)
        per_output, out_spec = flatten(columns)
        single = isinstance(argnums, int)
        entries = []
        for column in per_output:
            tree = unflatten(spec, _blocks(column, leaves, axis_last=True))
            entries.append(tree[0] if single else tuple(tree))
        jacobian = unflatten(out_spec, entries)
        return (jacobian, aux) if has_aux else jacobian

    return _dressed(wrapped, "jacfwd", function)


def jacobian(
    function: Callable,
    argnums: int | tuple = 0,
    mode: str = "reverse",
    has_aux: bool = False,
    chunk_size: int | None = None,
) -> Callable:
    """The Jacobian of `function` as a function; mode "reverse" is jacrev, "forward" is jacfwd. The values are the same."""
    if mode not in ("reverse", "forward"):
        raise ArgumentError(f"[jacobian] expected mode to be 'reverse' or 'forward', got {mode!r}")
    return (jacrev if mode == "reverse" else jacfwd)(function, argnums, has_aux, chunk_size)


def hessian(
    function: Callable, argnums: int | tuple = 0, has_aux: bool = False, chunk_size: int | None = None
) -> Callable:
    """The second derivatives of a function with one result, as a function: forward over reverse mode.

    Of one tensor of shape s: a tensor of shape (*s, *s); of trees: a tree of trees.
    """
    return _dressed(jacfwd(jacrev(function, argnums, has_aux), argnums, has_aux, chunk_size), "hessian", function)


def hvp(function: Callable, primals: tuple, tangents: tuple) -> object:
    """The product of the Hessian of a scalar function with `tangents`, in a tree like the primals: a tuple, one entry per
    argument. Costs about as much as two gradients, whatever the size: the Hessian itself is never made.
    """
    if not isinstance(primals, (tuple, list)) or not isinstance(tangents, (tuple, list)):
        raise ArgumentError(
            "[hvp] expected primals and tangents to be tuples with one entry per argument, got "
            f"{type(primals).__name__} and {type(tangents).__name__}"
        )

    def gradient(*args: object) -> tuple:
        value, pull = vjp(function, *args)
        if not is_value(value) or value.size != 1:
            raise GradientError(f"[hvp] expected the function to return a scalar tensor, got {describe(value)}")
        return pull(full(1, tuple(value.shape), value.dtype))

    return jvp(gradient, tuple(primals), tuple(tangents))[1]


__all__ = ["grad", "hessian", "hvp", "jacfwd", "jacobian", "jacrev", "jvp", "value_and_grad", "vjp", "vmap"]
