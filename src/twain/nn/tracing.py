"""The graph of a model's forward pass: which ops ran on what, and within which module each of them.

The model runs once on real tensors, so code that decides by values is followed as it goes. Ops are those of the op table
as the layers call them (softmax is one op), which is what pictures of a model and exports to other formats want.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from .. import _core
from ..base.dtypes import DType
from ..base.errors import ArgumentError, TwainError
from ..base.pytree import flatten, paths, unflatten
from ..ir.op import OpRecord
from ..runtime.record import is_recording, try_lock, unlock
from ..tensor import asarray, no_grad
from .module import Module

Tensor = _core.Tensor


class TracedValue:
    """A tensor of the run: `number` (unique), `shape`, `dtype`; no contents."""

    __slots__ = ("dtype", "number", "shape")

    def __init__(self, number: int, tensor: Tensor):
        self.number = number
        self.shape: tuple[int, ...] = tuple(tensor.shape)
        self.dtype: DType = tensor.dtype

    def __repr__(self) -> str:
        return f"%{self.number}: {self.dtype}{list(self.shape)}"


class ModuleCall:
    """One call of a module: its dotted `path` in the model, its `name` in the module that called it, its class as `kind`,
    and the how-manieth call of this module it is (`number`, from 0)."""

    __slots__ = ("kind", "module", "name", "number", "path")

    def __init__(self, module: Module, path: str, name: str, number: int):
        self.module = module
        self.path = path
        self.name = name
        self.kind = type(module).__name__
        self.number = number

    def __repr__(self) -> str:
        return f"{self.kind}({self.path!r}, call {self.number})"


class OpCall:
    """One op as it ran.

    `record` is its definition and `attrs` its static arguments; `inputs` are TracedValues, Python numbers, or None for an
    absent operand; `outputs` are TracedValues; `scope` are the module calls around it, the outermost first.
    """

    __slots__ = ("attrs", "inputs", "outputs", "record", "scope")

    def __init__(
        self,
        record: OpRecord,
        attrs: Any,
        inputs: tuple,
        outputs: tuple[TracedValue, ...],
        scope: tuple[ModuleCall, ...],
    ):
        self.record = record
        self.attrs = attrs
        self.inputs = inputs
        self.outputs = outputs
        self.scope = scope

    @property
    def name(self) -> str:
        """Of the op."""
        return self.record.name

    def attributes(self) -> dict[str, Any]:
        """The static arguments by name, where the op's record tells names; else all of them as "attributes"."""
        if self.attrs is None:
            return {}
        code = getattr(self.record.attributes, "__code__", None)
        names: tuple[str, ...] = (
            code.co_varnames[: code.co_argcount + code.co_kwonlyargcount] if code is not None else ()
        )
        if len(names) == 1:
            return {names[0]: self.attrs}
        if isinstance(self.attrs, tuple) and len(self.attrs) == len(names):
            return dict(zip(names, self.attrs, strict=True))
        return {"attributes": self.attrs}

    def __repr__(self) -> str:
        where = "/".join(call.name or call.kind for call in self.scope)
        return f"{where}: {', '.join(map(repr, self.outputs))} = {self.name}({', '.join(map(repr, self.inputs))})"


class ModuleTrace:
    """What `trace_module` returns.

    Attributes:
        calls: every OpCall in the order of the run.
        inputs, outputs: {name: TracedValue} of the tensors that the model was given and returned; nested ones by their
            place, as "x['mask']" or "[1]". A lone output is named "output".
        parameters, buffers: {dotted name: TracedValue} of those that ops took.
        tensors: {number: Tensor} of the parameters, buffers and constants, with their contents.
        constants: the numbers of the tensors that came from elsewhere.
        result: what the model returned.
    """

    def __init__(self) -> None:
        self.calls: list[OpCall] = []
        self.inputs: dict[str, TracedValue] = {}
        self.outputs: dict[str, TracedValue] = {}
        self.parameters: dict[str, TracedValue] = {}
        self.buffers: dict[str, TracedValue] = {}
        self.constants: dict[int, TracedValue] = {}
        self.tensors: dict[int, Tensor] = {}
        self.result: Any = None


class _Tracer:
    """What the core tells of each op, and what hooks tell of each module."""

    def __init__(self, module: Module):
        self.trace = ModuleTrace()
        self.values: dict[int, TracedValue] = {}
        self.stack: list[ModuleCall] = []
        self.counts: dict[int, int] = {}
        self.error: TwainError | None = None
        self.paths = {id(m): path for path, m in module.named_modules()}
        self.known: dict[int, tuple[dict, str, Tensor]] = {}  # number -> table, name, tensor, until an op takes it

    def add(self, tensor: Tensor) -> TracedValue:
        """A value that is new to the run."""
        value = TracedValue(len(self.values) + 1, tensor)
        self.values[value.number] = value
        _core.set_trace(tensor, value.number)
        return value

    def expect(self, table: dict, named: Iterator[tuple[str, Tensor]]) -> None:
        """Parameters or buffers, which enter `table` when an op takes them."""
        for name, tensor in named:
            if _core.get_trace(tensor) == 0:
                self.known[self.add(tensor).number] = (table, name, tensor.detach())

    def value(self, tensor: Tensor) -> TracedValue:
        number = _core.get_trace(tensor)
        if number == 0:
            value = self.add(tensor)
            self.trace.constants[value.number] = value
            self.trace.tensors[value.number] = tensor
            return value
        value = self.values[number]
        if number in self.known:
            table, name, kept = self.known.pop(number)
            table[name] = value
            self.trace.tensors[number] = kept
        return value

    def on_op(self, op: Any, attrs: Any, inputs: tuple, outputs: tuple) -> None:
        """An op has run."""
        given = tuple(self.value(x) if type(x) is Tensor else x for x in inputs)
        made = tuple(self.add(t) for t in outputs)
        self.trace.calls.append(OpCall(op.record, attrs, given, made, tuple(self.stack)))

    def on_read(self, tensor: Tensor, kind: str) -> None:
        """A value is looked at: the run goes on with what it was."""

    def on_range(self, tensor: Tensor, low: int, high: int, ignore: int) -> None:
        """The values were looked at, and are as they should be."""

    def before(self, module: Module) -> Callable:
        """The hook that opens the scope. A copy of the module (as functional_call makes) counts as the module."""

        def enter(_: Module, args: tuple) -> None:
            path = self.paths[id(module)]
            number = self.counts.get(id(module), 0)
            self.counts[id(module)] = number + 1
            above = self.stack[-1].path if self.stack else ""
            within = not above or path.startswith(above + ".")
            self.stack.append(
                ModuleCall(module, path, path[len(above) + 1 if above else 0 :] if within else path, number)
            )

        return enter

    def after(self, module: Module) -> Callable:
        """The hook that closes it, and the scopes inside of it that exceptions left open."""

        def leave(_: Module, args: tuple, output: Any) -> None:
            while self.stack and self.stack.pop().module is not module:
                pass

        return leave


@contextmanager
def _undisturbed(module: Module, training: bool) -> Iterator[None]:
    """The model in the mode wanted; afterwards its modes and buffers are what they were."""
    modes = [(m, m.training) for m in module.modules()]
    buffers = [(buffer, buffer.detach()) for buffer in module.buffers()]
    try:
        module.train(training)
        yield
    finally:
        for inner, mode in modes:
            object.__setattr__(inner, "training", mode)
        with no_grad():
            for buffer, before in buffers:
                buffer.assign(before)


@contextmanager
def _listening(tracer: _Tracer, module: Module) -> Iterator[None]:
    if is_recording() or not try_lock():
        raise ArgumentError(
            "[trace_module] expected no compiled function to be recorded meanwhile; call it outside of twain.compile"
        )
    handles = []
    previous = None
    try:
        for inner in module.modules():
            handles += [
                inner.register_forward_pre_hook(tracer.before(inner)),
                inner.register_forward_hook(tracer.after(inner)),
            ]
        previous = _core.set_recorder(tracer)
        yield
    finally:
        _core.set_recorder(previous)
        for handle in handles:
            handle.remove()
        unlock()


def trace_module(module: Module, *inputs: Any, training: bool = False, **keywords: Any) -> ModuleTrace:
    """Run `module(*inputs, **keywords)` once, without gradients, and tell which ops it consists of.

    Args:
        module: any Module: a class of one's own, Sequential, Graph.
        inputs, keywords: tensors, arrays, or containers of them; other values are passed on.
        training: run it in training mode. The model's modes and buffers are afterwards what they were in either case.

    Raises:
        ArgumentError: `module` is no Module, or a function is being recorded by twain.compile meanwhile.
    """
    if not isinstance(module, Module):
        raise ArgumentError(f"[trace_module] expected a Module, got {type(module).__name__}")
    leaves, structure = flatten((inputs, keywords))
    leaves = [asarray(x) if hasattr(x, "__array__") and not isinstance(x, Tensor) else x for x in leaves]
    # Handles of their own: one tensor given twice is two inputs.
    leaves = [x.detach() if isinstance(x, Tensor) else x for x in leaves]
    tracer = _Tracer(module)
    trace = tracer.trace
    rebuilt: Any = unflatten(structure, leaves)
    with no_grad(), _undisturbed(module, training):
        _core.new_trace_epoch()
        for name, leaf in zip(_input_names(module, inputs, keywords), leaves, strict=True):
            if isinstance(leaf, Tensor):
                trace.inputs[name] = tracer.add(leaf)
        tracer.expect(trace.parameters, module.named_parameters())
        tracer.expect(trace.buffers, module.named_buffers())
        with _listening(tracer, module):
            trace.result = module(*rebuilt[0], **rebuilt[1])
        results = zip(paths(trace.result), flatten(trace.result)[0], strict=True)
        for path, leaf in results:
            if isinstance(leaf, Tensor):
                trace.outputs[path or "output"] = tracer.value(leaf)
    return trace


def _input_names(module: Module, inputs: tuple, keywords: dict[str, Any]) -> list[str]:
    """A name per leaf: the parameter of `forward`, and the place in it."""
    names = []
    try:
        parameters = list(inspect.signature(module.forward).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    named = [p.name for p in parameters if p.kind in positional]
    for i, value in enumerate(inputs):
        name = named[i] if i < len(named) else f"input_{i}" if len(inputs) > 1 else "input"
        names += [name + path for path in paths(value)]
    for name, value in keywords.items():
        names += [name + path for path in paths(value)]
    return names


__all__ = ["ModuleCall", "ModuleTrace", "OpCall", "TracedValue", "trace_module"]
