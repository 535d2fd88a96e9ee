"""The op record: everything that knows what an op means, in one place, and the registry of all of them.

A record answers: which dtypes and shapes come out (`infer`), what a kernel computes (`kernel`, `reduction`, `view`,
`regions` or another lowering), how it differentiates (`vjp`, `jvp`), batches (`batch`), what NumPy calls it
(`reference`) and on what it is tested (`samples`, `errors`). Family constructors in `ops/families.py` fill in what a
whole family shares.
"""

from __future__ import annotations

import copyreg
import threading

from .. import _core
from ..base import dtypes as dt
from ..base.errors import ArgumentError, TwainError, ValueRangeError
from ..base.foreign import keyword_hint
from .node import Graph, Node, is_python_scalar, make_constant, make_parameter

REGISTRY: dict[str, OpRecord] = {}

# An op is what it is, as a function is: copies of a layer that holds one, an activation, share it.
copyreg.pickle(_core.Op, lambda op: op.name)


class OpRecord:
    """The definition of one op.

    Signatures (specs are `Spec`, values are Nodes or Tensors, attrs is what `attributes` returned, canonical):
      attributes(*args, **kwargs) -> hashable      static arguments as the user gave them
      canonical(attrs, *specs) -> hashable         the same with axes and shapes resolved against the operands
      infer(attrs, *specs) -> Spec | tuple[Spec]
      vjp(attrs, gradients, inputs, outputs, needs) -> list of values or None, one per input
      jvp(attrs, call, tangents, inputs, outputs) -> list of values, one per output (tangents may hold None);
                                                   call(attrs, *values) applies the op itself
      batch(attrs, call, inputs, batched, size) -> value or tuple; batched inputs carry the batch as axis 0, so do the results
      composite(attrs, *values) -> value or list   for ops that are functions of others
      autocast: "low" or "float32", what operands are converted to under `twain.autocast`; None: as they come
      flops(node) -> int                           operations, where the family doesn't tell (see ir/work.py)
      partial: whether vjp takes None in place of zeros for the gradient of a result that nobody reads
      places: whether results may be on another device than the operands
    """

    __slots__ = (
        "argument_names",
        "arity",
        "attributes",
        "autocast",
        "batch",
        "canonical",
        "composite",
        "differentiable",
        "doc",
        "errors",
        "family",
        "flops",
        "has_attributes",
        "infer",
        "ints",
        "jvp",
        "lowering",
        "name",
        "onnx",
        "partial",
        "places",
        "reference",
        "rules",
        "samples",
        "tolerance",
        "vjp",
    )

    def __init__(self, name: str, family: str, arity: int, **fields):
        self.name = name
        self.family = family
        self.arity = arity
        for slot in OpRecord.__slots__[:]:
            if slot not in ("name", "family", "arity"):
                setattr(self, slot, fields.pop(slot, None))
        if fields:
            raise ArgumentError(f"[OpRecord {name}] unknown fields {sorted(fields)}")
        self.has_attributes = self.attributes is not None
        if self.differentiable is None:
            self.differentiable = True

    @property
    def int_scalars(self) -> int:
        """What the core does with Python ints that don't fit the tensors' dtype (see IntScalars in csrc/bind)."""
        if self.composite is not None and self.arity > 1:
            return ("any", "checked", "compared", "floating").index(self.ints or "checked")
        return getattr(self.rules, "int_scalars", 0)

    def bind(self, args: tuple, kwargs: dict) -> object:
        """Static arguments -> attrs; called by the core on arguments it has not seen."""
        if self.attributes is None:
            if args or kwargs:
                raise ArgumentError(
                    f"[{self.name}] expected {self.arity} arguments, got {self.arity + len(args)}"
                    + (f" and keywords {sorted(kwargs)}" if kwargs else "")
                )
            return None
        try:
            return frozen(self.attributes(*args, **kwargs))
        except ValueRangeError as error:
            raise named(error, self.name) from None
        except ARGUMENT_FAULTS as error:
            if isinstance(error, TwainError):
                raise named(error, self.name) from None
            text = str(error).replace(f"{self.attributes.__qualname__}()", "").replace("<lambda>()", "")
            text = text.replace(f"{self.attributes.__name__}()", "").strip()
            text = f"{text}; expected {self.name}{signature(self)}{keyword_hint(kwargs)}"
            raise ArgumentError(f"[{self.name}] {text}") from None

    def __repr__(self) -> str:
        return f"OpRecord({self.name})"


def register(record: OpRecord):
    """Put `record` into the table and make the callable that users see."""
    if record.name in REGISTRY:
        raise ArgumentError(f"[register] expected a new op name, got {record.name!r}, which exists")
    REGISTRY[record.name] = record
    if not record.errors and record.arity:  # at the least, text is no tensor
        record.errors = (((), {}, f"[{record.name}]", ("x",) * (record.arity if record.arity > 0 else 2)),)
    op = _core.Op(record.name, record.arity, record)
    op.__doc__ = documentation(record)
    op.__text_signature__ = signature(record)
    return op


def signature(record: OpRecord) -> str:
    """How the op is called, as text: "(x, axis=None, keepdims=False)"."""
    names = (
        ["arrays"] if record.arity < 0 else list(record.argument_names or (f"x{i + 1}" for i in range(record.arity)))
    )
    names = names[: abs(record.arity)]
    code = getattr(record.attributes, "__code__", None)
    if code is not None:
        count = code.co_argcount
        defaults = record.attributes.__defaults__ or ()
        static = list(code.co_varnames[:count])
        for i, value in enumerate(defaults, count - len(defaults)):
            static[i] += f"={value!r}" if isinstance(value, (bool, int, float, str, tuple, type(None))) else "=..."
        if code.co_flags & 0x04:  # *shape
            static.append("*" + code.co_varnames[count + code.co_kwonlyargcount])
        names += static
    return f"({', '.join(names)})"


def documentation(record: OpRecord) -> str:
    """What `help` shows: the op's own text, then what follows from its entry."""
    lines = [record.doc.strip()] if record.doc else []
    if record.family == "elementwise":
        how = "Of each element" if record.arity == 1 else "Element by element; operands broadcast"
        kinds = ", ".join(d.name for d in record.rules.dtypes)
        lines.append(f"{how}. dtypes: {kinds}{'; ints and bools count as float32' if record.rules.to_float else ''}.")
    elif record.family == "reduction":
        lines.append("Over `axis`: an int, a tuple, or None for all; keepdims leaves axes of size 1 in their place.")
    if record.reference and record.reference.startswith("numpy."):
        lines.append(f"Defined by {record.reference}.")
    return "\n\n".join(lines) or record.name


def specs_of(inputs: tuple) -> list:
    return [None if i is None else i.spec for i in inputs]


def as_value(x: object, name: str) -> Node | None:
    """A Node for anything a rule may pass: Node, Python scalar, None."""
    if x is None or type(x) is Node:
        return x
    if is_python_scalar(x):
        return make_constant(x)
    raise ArgumentError(f"[{name}] expected a traced value or a Python scalar, got {type(x).__name__}")


def fit_ints(record: OpRecord, args: tuple) -> tuple:
    """`args` with ints that the others' integer dtype doesn't hold refused or replaced, as the core does in eager calls."""
    rule = record.int_scalars
    dtypes = [a.dtype for a in args if hasattr(a, "dtype") and a.dtype is not None and a.dtype.kind != "b"]
    if rule == 0 or not dtypes:
        return args
    inexact = rule == 3 or any(d.kind in "fc" for d in dtypes) or any(type(a) in (float, complex) for a in args)
    holder = max(dtypes, key=lambda d: d.itemsize)
    fitted = []
    for position, a in enumerate(args):
        if type(a) is int and rule == 4 and position == 1 and a < 0 and not inexact:
            raise ValueError(
                f"[{record.name}] expected an exponent of at least 0 for integers, got {a}; cast to a floating dtype first"
            )
        if type(a) is int and inexact:
            a = a if dt.int_fits(dt.int64, a) else _as_float(a)
        elif type(a) is int and not dt.int_fits(dt.strengthen(holder), a):
            if rule != 2:
                raise OverflowError(
                    f"[{record.name}] expected an int that {holder} holds, got {a}; cast the tensor with .astype(...) first"
                )
            a = float("inf") if a > 0 else float("-inf")
        fitted.append(a)
    return tuple(fitted)


def _as_float(number: int) -> float:
    try:
        return float(number)
    except OverflowError:
        return float("inf") if number > 0 else float("-inf")


def apply(record: OpRecord, attrs: object, args: tuple) -> Node | tuple:
    """Make the node(s) of `record` on traced values."""
    if record.arity < 0:
        args = tuple(args[0])
    elif record.family in ("elementwise", "composite") and any(type(a) is int for a in args):
        args = fit_ints(record, args)
    inputs = tuple(as_value(a, record.name) for a in args)
    attrs, specs = infer(record, attrs, specs_of(inputs))
    node = Node(record, inputs, attrs, specs)
    if len(specs) == 1:
        return node
    return tuple(node.output(i) for i in range(len(specs)))


def infer(record: OpRecord, attrs: object, specs: list) -> tuple:
    """(canonical attrs, result specs)."""
    if None in specs and record.composite is None:
        raise ArgumentError(_missing(record, specs))
    try:
        if record.canonical is not None:
            attrs = record.canonical(attrs, *specs)
        if record.composite is not None:
            return attrs, tuple(o.spec for o in expand(record, attrs, tuple(specs)).outputs)
        result = record.infer(attrs, *specs)
    except ARGUMENT_FAULTS as error:
        if isinstance(error, TwainError) or record.family == "dynamic":
            raise
        shown = ", ".join([*(str(s) for s in specs), *([] if attrs is None else [repr(attrs)])])
        raise ArgumentError(
            f"[{record.name}] expected {record.name}{signature(record)}, got ({shown}): {error}"
        ) from error
    return attrs, (result if type(result) is tuple else (result,))


# What Python raises when a rule meets an argument that it wasn't written for.
ARGUMENT_FAULTS = (TypeError, ValueError, IndexError, KeyError, OverflowError, ZeroDivisionError, AttributeError)


def frozen(attrs: object) -> object:
    """Static arguments as something that can be a key: lists become tuples."""
    try:
        hash(attrs)
        return attrs
    except TypeError:
        if isinstance(attrs, (list, tuple)):
            return tuple(frozen(a) for a in attrs)
        raise


def _missing(record: OpRecord, specs: list) -> str:
    """The message for a call without some of its operands."""
    names = record.argument_names or tuple(f"argument {i}" for i in range(len(specs)))
    absent = ", ".join(name for name, spec in zip(names, specs) if spec is None)
    return f"[{record.name}] expected {len(specs)} tensors, got none for {absent}"


_EXPANSIONS: dict[tuple, Graph] = {}
_EXPANSION_LIMIT = 4096


class _Apart(threading.local):
    """Where this thread keeps expansions while sizes stand for many numbers: None for the common table."""

    expansions: dict | None = None


apart = _Apart()


def expand(record: OpRecord, attrs: object, specs: tuple) -> Graph:
    """The graph of a composite for these specs, traced once."""
    table = _EXPANSIONS if apart.expansions is None else apart.expansions
    graph = table.get((record, exact_key(attrs), specs))
    if graph is None:
        parameters = [None if s is None else make_parameter(i, s) for i, s in enumerate(specs)]
        before = _core.set_tracing(True)
        try:
            result = record.composite(attrs, *parameters)
        except TwainError as error:
            raise _renamed(record, error) from None
        except (AttributeError, TypeError):
            if None in specs and record.family != "dynamic":  # an operand that can't be left out
                raise ArgumentError(_missing(record, list(specs))) from None
            raise
        finally:
            _core.set_tracing(before)
        outputs = list(result) if isinstance(result, (tuple, list)) else [result]
        graph = Graph(
            record.name, [p for p in parameters if p is not None], [as_value(o, record.name) for o in outputs]
        )
        remember_expansion(record, attrs, specs, graph)
    return graph


def remember_expansion(record: OpRecord, attrs: object, specs: tuple, graph: Graph) -> None:
    """Keep what `expand` would find out."""
    table = _EXPANSIONS if apart.expansions is None else apart.expansions
    if len(table) >= _EXPANSION_LIMIT:
        table.clear()
    table[record, exact_key(attrs), specs] = graph


def exact_key(attrs: object) -> object:
    """Static arguments as a key in which 1, True and 1.0 differ, and so do 0.0 and -0.0, as in the core's table."""
    kind = type(attrs)
    if kind is tuple:
        return tuple(map(exact_key, attrs))
    return (kind, repr(attrs)) if kind is float or kind is complex or kind is bool else attrs


def _renamed(record: OpRecord, error: TwainError) -> TwainError:
    """The error of an op inside of a composite, in the name of the composite: that is what the user called."""
    text = str(error)
    inner = text[1 : text.find("]")] if text.startswith("[") else ""
    if record.family == "dynamic" or inner not in REGISTRY:
        return error
    return type(error)(f"[{record.name}]{text[len(inner) + 2 :]}")


def named(error: TwainError, name: str) -> TwainError:
    """The error with the function's name in front, if it has none."""
    return error if str(error).startswith("[") else type(error)(f"[{name}] {error}")


def dynamic(name: str, graph: Graph, arity: int) -> OpRecord:
    """A record (not in the table) whose meaning is a graph, kept in the slot `rules`: a compiled function, for instance."""

    def composite(attrs, *values):
        mapping = {p: values[p.attrs] for p in graph.parameters}
        return inline(graph, mapping)

    return OpRecord(
        name, "dynamic", arity, composite=composite, rules=graph, places=any(n.op.places for n in graph.nodes())
    )


def inline(graph: Graph, mapping: dict) -> list:
    """The graph's outputs with its parameters replaced by `mapping`."""
    from_graph = dict(mapping)
    from_graph[None] = None
    for n in graph.nodes():
        if n not in from_graph:
            inputs = tuple(from_graph[i] for i in n.inputs)
            from_graph[n] = n if inputs == n.inputs else Node(n.op, inputs, n.attrs, n.specs, n.source)
    return [from_graph[o] for o in graph.outputs]
