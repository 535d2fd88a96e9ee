"""Functional graphs: a model made by calling layers on symbols."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..base.errors import ArgumentError
from .module import Module
from .symbols import Call, Symbol, replace, symbols_in


class Graph(Module):
    """The model that leads from `inputs` to `outputs`.

    >>> x = nn.Input(64)
    >>> h = nn.ReLU()(nn.Linear(64, 32)(x))
    >>> model = nn.Graph(x, nn.Linear(32, 10)(h))

    Its layers are children named "0", "1", ... in the order of their first call, as in a Sequential. A layer that is
    called twice shares its parameters.

    Args:
        inputs: a symbol made by `nn.Input`, or a list of them.
        outputs: a symbol, or a tuple, list or dictionary of symbols; calling the model gives the same structure.
    """

    def __init__(self, inputs: Any, outputs: Any):
        self._inputs = [inputs] if isinstance(inputs, Symbol) else list(inputs)
        self._outputs = outputs
        wrong = [s for s in self._inputs if not (isinstance(s, Symbol) and s._call is None)]
        if wrong or not self._inputs:
            raise ArgumentError(f"[Graph] expected inputs made by nn.Input, got {wrong[0] if wrong else 'none'!r}")
        if not symbols_in(outputs):
            raise ArgumentError(f"[Graph] expected outputs that layers returned for an nn.Input, got {outputs!r}")
        self._calls = _calls_between(self._inputs, symbols_in(outputs))
        known: set[int] = set()
        for call in self._calls:
            if isinstance(call.function, Module) and id(call.function) not in known:
                known.add(id(call.function))
                setattr(self, str(len(known) - 1), call.function)

    def _copy_own(self, new: Module, copy: Callable) -> None:
        new._calls = [call.with_function(copy(call.function)) for call in self._calls]

    def forward(self, *values: Any) -> Any:
        if len(values) != len(self._inputs):
            raise ArgumentError(f"[Graph] expected {len(self._inputs)} inputs, got {len(values)}")
        known = {id(symbol): value for symbol, value in zip(self._inputs, values, strict=True)}

        def value_of(symbol: Symbol) -> Any:
            return known[id(symbol)]

        for call in self._calls:
            result = call.function(*replace(call.args, value_of), **replace(call.kwargs, value_of))
            for symbol, value in zip(call.results, [result] if call.single else result, strict=True):
                known[id(symbol)] = value
        return replace(self._outputs, value_of)


def _calls_between(inputs: list[Symbol], outputs: list[Symbol]) -> list[Call]:
    """The calls that the outputs need, in the order in which they were made."""
    given = {id(s) for s in inputs}
    calls: dict[int, Call] = {}
    stack = list(outputs)
    while stack:
        symbol = stack.pop()
        if id(symbol) in given:
            continue
        call = symbol._call
        if call is None:
            raise ArgumentError(
                f"[Graph] expected every nn.Input that the outputs use among the inputs, lacks {symbol!r}"
            )
        if call.serial not in calls:
            calls[call.serial] = call
            stack.extend(symbols_in(call.args) + symbols_in(call.kwargs))
    return [calls[serial] for serial in sorted(calls)]
