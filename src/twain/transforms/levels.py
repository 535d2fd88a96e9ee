"""Transformations of running code: values that carry more than a tensor, and which transformation takes an op that meets them.

Each active transformation is a `Level`. Its values are `Traced`: a lower value (a tensor, or a value of an outer level)
and what the level adds to it: a batch axis, a tangent, a place on a tape. An op with traced operands goes to the innermost
level among them, which calls ops on the values below; so levels nest in any order, and code that only meets plain tensors
runs as ever. What a level does with an op is a graph, traced once per op and layout and kept as an op of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from .. import _core
from ..base import dtypes as dt
from ..base.errors import GradientError
from ..base.lazy import LazyModule
from ..ir.node import Graph, Node, Spec, make_parameter
from ..ir.op import OpRecord, apply, dynamic
from ..ops.elementwise import cast, equal, not_equal

Tensor = _core.Tensor
rules = LazyModule("twain.ops.nn.rules")


class _Stack(threading.local):
    """The active levels of this thread, outermost first."""

    def __init__(self):
        self.levels: list[Level] = []


stack = _Stack()


class Level:
    """One transformation while the function it was given runs: `with level: ...`."""

    __slots__ = ("active", "name", "number")

    def __init__(self, name: str):
        self.name = name  # of the function that the user called
        self.active = False
        self.number = -1

    def __enter__(self):
        self.number = len(stack.levels)
        self.active = True
        stack.levels.append(self)
        return self

    def __exit__(self, *exc) -> None:
        self.active = False
        stack.levels.pop()

    def process(self, op, record: OpRecord, attrs: object, args: tuple) -> object:
        """The op on operands of which at least one is this level's: its result, or a tuple."""
        raise NotImplementedError

    def readable(self, x: Traced, what: str) -> object:
        """The value below, if reading it is meaningful; GradientError if not."""
        return x.value


class Traced(Node):
    """A value of a level: answers to everything a tensor does, as far as it can be known."""

    __slots__ = ("level", "value")

    def __init__(self, level: Level, value: object, spec: Spec):
        self.level = level
        self.value = value
        self.specs = (spec,)

    def __repr__(self) -> str:
        return f"<{self.spec} inside of {self.level.name}>"

    def __eq__(self, other: object) -> object:  # type: ignore[override]
        return equal(self, other)

    def __ne__(self, other: object) -> object:  # type: ignore[override]
        return not_equal(self, other)

    __hash__ = object.__hash__
    __array_ufunc__ = None  # array + value is ours to compute, not NumPy's

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a 0-d tensor")
        return self.shape[0]

    def __iter__(self):
        if not self.shape:
            raise TypeError("iteration over a 0-d tensor")
        return (self[i] for i in range(self.shape[0]))

    def __format__(self, spec: str) -> str:
        return repr(self) if not spec else format(self.level.readable(self, "format()"), spec)

    def __bool__(self) -> bool:
        return bool(self.level.readable(self, "bool()"))

    def __int__(self) -> int:
        return int(self.level.readable(self, "int()"))

    def __float__(self) -> float:
        return float(self.level.readable(self, "float()"))

    def __complex__(self) -> complex:
        return complex(self.level.readable(self, "complex()"))

    def __index__(self) -> int:
        return self.level.readable(self, "an index").__index__()

    def item(self) -> object:
        return self.level.readable(self, "item()").item()

    def tolist(self) -> object:
        return self.level.readable(self, "tolist()").tolist()

    def numpy(self, *, copy: bool = False) -> object:
        return self.level.readable(self, "numpy()").detach().numpy(copy=copy)

    def __array__(self, dtype=None, copy=None) -> object:
        return self.level.readable(self, "an array").detach().__array__(dtype, copy)

    def backward(self, *args: object, **kwargs: object) -> None:
        raise GradientError(
            f"[backward] expected a tensor, got a value inside of {self.level.name}; use twain.grad or twain.vjp there"
        )

    def detach(self) -> object:
        return rules.stop_gradient(self)

    def requires_grad_(self, requires_grad: bool = True) -> Traced:
        raise GradientError(
            f"[requires_grad_] expected a tensor, got a value inside of {self.level.name}; what to differentiate by is said by "
            "the arguments of twain.grad there"
        )

    @property
    def is_leaf(self) -> bool:
        return False

    @property
    def grad(self) -> None:
        return None

    @property
    def device(self):
        return self.value.device

    @property
    def requires_grad(self) -> bool:
        return False

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    @property
    def itemsize(self) -> int:
        return self.dtype.itemsize

    def is_contiguous(self) -> bool:
        return True

    def contiguous(self) -> Traced:
        return self

    def cpu(self) -> Traced:
        return self

    def become(self, other: object) -> None:
        """Take the value of `other` (a write to a part of this one)."""
        if type(other) is not type(self) or other.level is not self.level:
            name = other.level.name if isinstance(other, Traced) else "another transformation"
            raise GradientError(
                f"[setitem] expected a value that doesn't depend on {name}, got one that does, written into one that doesn't; "
                "build the result with stack, concat or where"
            )
        self.value = other.value


def is_value(x: object) -> bool:
    """A tensor, or a value of a transformation."""
    return type(x) is Tensor or isinstance(x, Node)


convert: Callable | None = None  # what the core asks for operands of other types; set by the tensor room


def dispatch(op, attrs: object, args: tuple) -> object:
    """An op called on at least one traced operand: the core's trace callback."""
    record = op.record
    if record.arity < 0 and len(args) == 1 and isinstance(args[0], (tuple, list)):
        args = tuple(args[0])
    top, number = None, -1
    for a in args:
        if type(a) not in _KINDS and isinstance(a, Traced) and a.level.number > number:
            top = a.level
            number = top.number
    if top is None:
        return apply(record, attrs, (args,) if record.arity < 0 else args)
    if not top.active:
        raise GradientError(
            f"[{record.name}] expected values of transformations that are under way, got one from inside of a {top.name} that "
            "has ended; return it from the function instead of keeping it"
        )
    if record.autocast is not None and _core.autocast():
        args = autocast_operands(record, args)
    return top.process(op, record, attrs, args)


def autocast_operands(record: OpRecord, args: tuple) -> tuple:
    """Operands converted as the core converts those of tensors (`dispatch_cast` in csrc/dispatch)."""
    wanted = dt.BY_CODE[_core.autocast()] if record.autocast == "low" else dt.float32
    kinds = (dt.float16, dt.bfloat16, dt.float32)
    return tuple(cast(a, wanted) if is_value(a) and a.dtype in kinds and a.dtype is not wanted else a for a in args)


_NUMBERS = {bool: dt.weak_bool, int: dt.weak_int, float: dt.weak_float, complex: dt.weak_complex}


def layout_of(x: object) -> object:
    """What rules are kept by: a tensor's meta, the spec of any other value, the type of a number."""
    if type(x) is Tensor:
        return x.meta
    if x is None:
        return None
    if isinstance(x, Node):
        return x.specs[0]
    return type(x)


def spec_of(layout: object) -> Spec | None:
    """The spec that a layout stands for."""
    if layout is None or type(layout) is Spec:
        return layout
    if isinstance(layout, type):
        for kind, dtype in _NUMBERS.items():
            if issubclass(layout, kind):
                return Spec(dtype, ())
    return Spec(layout.dtype, layout.shape)


_KINDS = frozenset((Tensor, bool, int, float, complex, type(None)))


def operand(op, x: object) -> object:
    """`x` as an op takes it: arrays from outside become tensors."""
    if type(x) in _KINDS or isinstance(x, (Node, bool, int, float, complex)):
        return x
    result = convert(op, 0, x) if convert is not None else NotImplemented
    if result is NotImplemented:
        raise GradientError(f"[{op.record.name}] expected a tensor, an array or a number, got {type(x).__name__}")
    return result


def invoke(op, record: OpRecord, attrs: object, values: list) -> tuple:
    """The op on lower values; its results as a tuple."""
    result = op(*values) if attrs is None and record.arity > 0 else op.apply(tuple(values), attrs)
    return result if type(result) is tuple else (result,)


def one_node(record: OpRecord, attrs: object, specs: list) -> Graph:
    """The graph that is nothing but this op, on parameters."""
    parameters = [None if s is None else make_parameter(i, s) for i, s in enumerate(specs)]
    result = apply(record, attrs, (parameters,) if record.arity < 0 else tuple(parameters))
    outputs = list(result) if type(result) is tuple else [result]
    return Graph(record.name, [p for p in parameters if p is not None], outputs)


def traced(build: Callable, *args: object) -> object:
    """build(*args) with ops on numbers alone giving nodes, and nothing put on a tape."""
    before = _core.set_tracing(True)
    try:
        return build(*args)
    finally:
        _core.set_tracing(before)


def op_of_graph(graph: Graph, count: int):
    """A graph over `count` operands as an op; called with all of them, used or not."""
    record = dynamic(graph.name, graph, count)
    return _core.Op(record.name, record.arity, record)


class Rules(dict):
    """What a kind of level does with ops: (id of the record, id of the static arguments, ...) -> (rule, record, arguments).

    Static arguments count by identity, as equal numbers of different types mean different things.
    """

    __slots__ = ()
    LIMIT = 20_000

    def add(self, key: tuple, record: OpRecord, attrs: object, build: Callable, *args: object) -> tuple:
        """Keep build(*args) as the rule of a key that isn't there."""
        if len(self) >= self.LIMIT:
            self.clear()
        known = self[key] = (traced(build, *args), record, attrs)  # held, so that the ids stay theirs
        return known


__all__ = [
    "Level", "Rules", "Traced", "dispatch", "invoke", "is_value", "layout_of", "one_node", "op_of_graph", "operand",
    "spec_of", "stack", "traced",
]  # fmt: skip
