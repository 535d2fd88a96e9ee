"""The table of a model's layers: output shapes, parameters, work and memory.

The model runs once on values that have shapes and no contents, so that a summary of a large model costs nothing. What each
op of the run does is counted from its own record, so layers of a user's own count like ours.
"""

from __future__ import annotations

import copy
from typing import Any

from .. import _core
from ..base.dtypes import as_dtype
from ..base.errors import ArgumentError, GradientError
from ..base.pytree import flatten, unflatten
from ..base.uninitialized import UninitializedTensor
from ..ir.node import Graph, Node, Spec
from ..ir.op import OpRecord, expand
from ..ir.work import flops, multiply_adds
from ..tensor import no_grad, zeros
from ..transforms.body import BodyLevel
from ..transforms.levels import is_value
from .module import Module

Tensor = _core.Tensor


# ---------------------------------------------------------------- counting
def flop_of(nodes: list[Node], known: dict[Node, bool]) -> tuple[int, int]:
    """(FLOP, multiply-adds among them) of nodes that `known` doesn't have yet; a multiply-add is two FLOP."""
    flop = pairs = 0
    for node in Graph("summary", [], nodes).nodes():
        if node in known:
            continue
        known[node] = True
        more = _flop_of_node(node)
        flop += more[0]
        pairs += more[1]
    return flop, pairs


def _flop_of_node(node: Node) -> tuple[int, int]:
    record = node.op
    if record.composite is not None:
        parameters = [None if i is None else i.spec for i in node.inputs]
        return _flop_inside(record, node.attrs, tuple(parameters))
    return flops(node), multiply_adds(node)


_known_inside: dict[tuple, tuple[int, int]] = {}


def _flop_inside(record: OpRecord, attrs: object, specs: tuple) -> tuple[int, int]:
    key = (record, repr(attrs), specs)
    if key not in _known_inside:
        if len(_known_inside) > 4096:
            _known_inside.clear()
        _known_inside[key] = flop_of(expand(record, attrs, specs).outputs, {})
    return _known_inside[key]


class _Counting(BodyLevel):
    """Running a model on shapes alone; each op counts for the innermost module that is being called."""

    __slots__ = ("calls", "seen")

    def __init__(self) -> None:
        super().__init__("summary")
        self.calls: list[Row] = []  # modules being called, outermost first
        self.seen: dict[Node, bool] = {}

    def process(self, op: Any, record: OpRecord, attrs: object, args: tuple) -> object:
        result = super().process(op, record, attrs, args)
        if self.calls:
            made = result if isinstance(result, tuple) else (result,)
            flop, pairs = flop_of([m.value for m in made], self.seen)
            self.calls[-1].flop += flop
            self.calls[-1].multiply_adds += pairs
        return result


# ---------------------------------------------------------------- the table
class Row:
    """One layer: `name`, `kind` (its class), `output` (shapes), `parameters`, `trainable`, `flop`, `multiply_adds`, `bytes`.

    `parameters` are the layer's own; `bytes` is the size of its outputs, `calls` how often it ran.
    """

    def __init__(self, name: str, module: Module, depth: int):
        self.name = name
        self.kind = type(module).__name__
        self.depth = depth
        self.output = ""
        self.calls = 0
        self.flop = self.multiply_adds = self.bytes = 0
        own = [p for _, p in module._own_parameters() if not isinstance(p, UninitializedTensor)]
        self.parameters = sum(p.size for p in own)
        self.trainable = sum(p.size for p in own if p.requires_grad)
        self.leaf = not any(True for _ in module.named_children())


class Summary:
    """What `summary` returns: `rows`, totals as attributes, and the table as its text."""

    def __init__(self, rows: list[Row], module: Module, input_bytes: int, ran: bool, note: str):
        self.rows = rows
        self.parameters = module.parameter_count()
        self.trainable = module.parameter_count(trainable_only=True)
        self.flop = sum(r.flop for r in rows)
        self.multiply_adds = sum(r.multiply_adds for r in rows)
        self.parameter_bytes = sum(p.nbytes for p in module.parameters() if not isinstance(p, UninitializedTensor))
        self.output_bytes = sum(r.bytes for r in rows if r.leaf)
        self.input_bytes = input_bytes
        self.ran = ran
        self.note = note
        self.depth: int | None = None

    def _shown(self) -> list[Row]:
        """The rows down to `depth`; deeper ones count for the layers that hold them."""
        if self.depth is None:
            return self.rows
        shown: dict[str, Row] = {}
        for row in self.rows:
            if row.depth <= self.depth:
                shown[row.name] = copy.copy(row)
                continue
            holder = row.name
            while holder not in shown:
                holder = holder.rpartition(".")[0]
            for name in ("parameters", "trainable", "flop"):
                setattr(shown[holder], name, getattr(shown[holder], name) + getattr(row, name))
        return list(shown.values())

    def __str__(self) -> str:
        head = ["layer", "type", "output shape", "parameters", "trained", "FLOP"]
        body = []
        for row in self._shown():
            if not (row.parameters or row.leaf or row.flop or not row.name):
                continue
            name = row.name or "(model)"
            calls = f" x{row.calls}" if row.calls > 1 else ""
            numbers = [f"{n:,}" if n else "" for n in (row.parameters, row.trainable, row.flop)]
            body.append([name + calls, row.kind, row.output, *numbers])
        if not self.ran:
            head, body = head[:2] + head[3:5], [r[:2] + r[3:5] for r in body]
        text = _table(head, body, left=3 if self.ran else 2) + "\n"
        text += f"{self.parameters:,} parameters ({self.trainable:,} trained), {_bytes_text(self.parameter_bytes)}"
        if self.ran:
            text += (
                f"\n{_short(self.flop)}FLOP forward, of them {_short(self.multiply_adds)} multiply-adds, which count as two"
                f"\n{_bytes_text(self.input_bytes)} input, {_bytes_text(self.output_bytes)} outputs of layers"
            )
        return text + (f"\n{self.note}" if self.note else "")

    __repr__ = __str__


def summary(model: Module, *inputs: Any, dtype: Any = "float32", depth: int | None = None) -> Summary:
    """A table of a model's layers with output shapes, parameters, trained parameters, FLOP and memory.

    Args:
        model: any module: a subclass, a Sequential, a Graph with several inputs and outputs.
        inputs: what the model is called with: tensors, trees of tensors, or shapes, tuples of ints with the batch axis. Without
            any, the table has parameters only; a Graph knows its inputs' shapes itself (one sample).
        dtype: of inputs that are given as shapes.
        depth: how many levels of layers are shown; totals are of all.

    The model is not computed: it runs in evaluation mode on values with shapes only. A model that reads values (`if` on a
    tensor) is computed on the inputs, and its FLOP are not counted. Parameters count once, also when layers share them; a
    layer that is called twice shows its calls and the work of both.
    """
    if not isinstance(model, Module):
        raise ArgumentError(f"[summary] expected a module, got {type(model).__name__}")
    args = [_as_input(x, dtype) for x in inputs]
    if not args:
        args = [symbol._example for symbol in getattr(model, "_inputs", [])]
    rows: dict[int, Row] = {}
    for path, module in model.named_modules():
        rows[id(module)] = Row(path, module, path.count(".") + 1 if path else 0)
    note = ""
    if args:
        try:
            _run(model, rows, args, _Counting())
        except GradientError:
            note = "FLOP are not counted: the model reads values"
            for path, module in model.named_modules():
                rows[id(module)] = Row(path, module, path.count(".") + 1 if path else 0)
            _run(model, rows, args, None)
        for path, module in model.named_modules():  # layers that learnt their sizes
            fresh = Row(path, module, 0)
            row = rows[id(module)]
            row.kind, row.parameters, row.trainable = fresh.kind, fresh.parameters, fresh.trainable
    _count_once(model, rows)
    size = sum(x.nbytes for x in flatten(args)[0] if is_value(x))
    result = Summary(list(rows.values()), model, size, bool(args), note)
    result.depth = depth
    return result


def _count_once(model: Module, rows: dict[int, Row]) -> None:
    """A parameter that several layers share is the first one's."""
    seen: set[int] = set()
    for module in model.modules():
        for _, p in module._own_parameters():
            if id(p) in seen:
                rows[id(module)].parameters -= p.size
                rows[id(module)].trainable -= p.size if p.requires_grad else 0
            seen.add(id(p))


def _as_input(x: Any, dtype: Any) -> Any:
    if isinstance(x, tuple) and x and all(isinstance(d, int) for d in x):
        return zeros(x, dtype=as_dtype(dtype, "summary"))
    return x


def _run(model: Module, rows: dict[int, Row], args: list, level: _Counting | None) -> None:
    """Call the model with a hook before and after each module."""
    running: list[Row] = []
    if level is not None:
        running = level.calls
        level.grads = False  # nobody differentiates: no gradients to stop

    def before(module: Module, _: tuple) -> None:
        running.append(rows[id(module)])

    def after(module: Module, _: tuple, output: Any) -> None:
        row = running.pop()
        row.calls += 1
        tensors = [x for x in flatten(output)[0] if is_value(x)]
        row.output = ", ".join("x".join(map(str, x.shape)) or "scalar" for x in tensors)
        row.bytes += sum(x.nbytes for x in tensors)

    modes = [(m, m.training) for m in model.modules()]
    handles = [m.register_forward_pre_hook(before, prepend=True) for m, _ in modes]
    handles += [m.register_forward_hook(after) for m, _ in modes]
    try:
        model.eval()
        with no_grad():
            if level is None:
                model(*args)
            else:
                with level:
                    leaves, spec = flatten(args)
                    values = [
                        level.argument(Spec(x.dtype, tuple(x.shape))) if isinstance(x, Tensor) else x for x in leaves
                    ]
                    filled: Any = unflatten(spec, values)
                    model(*filled)
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in modes:
            object.__setattr__(module, "training", mode)


def _table(head: list, rows: list[list], left: int) -> str:
    widths = [max(len(r[i]) for r in [head, *rows]) for i in range(len(head))]

    def line(row: list) -> str:
        cells = [c.ljust(w) if i < left else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths))]
        return "  ".join(cells).rstrip()

    rule = "-" * (sum(widths) + 2 * (len(head) - 1))
    return "\n".join([line(head), rule, *map(line, rows), rule])


def _short(count: int) -> str:
    for unit, size in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= size:
            return f"{count / size:.2f} {unit}"
    return f"{count} "


def _bytes_text(count: int) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"


__all__ = ["Row", "Summary", "flop_of", "summary"]
