"""Symbols: what `nn.Input` gives and what a layer returns for one. Calls on them are written down, not computed.

Each symbol carries an example value (zeros of batch size 1) that went through the same layers, so that a shape that
does not fit is reported at the line that calls the layer.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from ..base.dtypes import DType, as_dtype
from ..base.errors import ArgumentError
from ..tensor import no_grad, zeros

UNKNOWN_SIZE = 3  # stands in for a size that is only known when the model runs


class Call:
    """One recorded call: `function` (a module or any function) on arguments among which are symbols."""

    __slots__ = ("args", "function", "kwargs", "results", "serial", "single")
    count = 0

    def __init__(self, function: Callable, args: tuple, kwargs: dict):
        self.function = function
        self.args = args
        self.kwargs = kwargs
        self.results: tuple[Symbol, ...] = ()
        self.single = True
        Call.count += 1
        self.serial = Call.count

    def with_function(self, function: Callable) -> Call:
        """The same call of another function."""
        new = Call(function, self.args, self.kwargs)
        new.results, new.single, new.serial = self.results, self.single, self.serial
        return new


class Symbol:
    """A value of a functional graph: `shape` (None where known only at run time), `dtype`, and where it comes from."""

    __slots__ = ("_call", "_example", "dtype", "shape")

    def __init__(self, example: Any, call: Call | None, shape: tuple | None = None):
        self._example = example
        self._call = call
        self.dtype: DType = example.dtype
        if shape is None:
            shape = (None, *example.shape[1:]) if example.ndim and example.shape[0] == 1 else tuple(example.shape)
        self.shape = shape

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __repr__(self) -> str:
        maker = "Input" if self._call is None else _name_of(self._call.function)
        return f"Symbol(shape={self.shape}, dtype={self.dtype}, from {maker})"

    def __bool__(self) -> bool:
        raise ArgumentError(
            "[Input] expected layers and operators on a symbol, got bool() of one: a functional graph has no values "
            "yet; for data-dependent branches write a Module with `forward`"
        )

    def __len__(self) -> int:
        raise ArgumentError("[Input] a symbol has no length; its shape is " + str(self.shape))

    def __iter__(self) -> Any:
        raise ArgumentError("[Input] a symbol can't be iterated over; index it or use a Module with `forward`")

    def __getattr__(self, name: str) -> Any:
        # Methods and properties of tensors, recorded: x.reshape(...), x.T
        if name.startswith("_") or not hasattr(type(self._example), name):
            raise AttributeError(f"[Input] a symbol, like a tensor, has no attribute {name!r}")
        if callable(getattr(self._example, name)):
            return lambda *args, **kwargs: call_symbolically(Method(name), (self, *args), kwargs)
        return call_symbolically(operator.attrgetter(name), (self,), {})


class Method:
    """The function that calls the method `name` of its first argument."""

    def __init__(self, name: str):
        self.__name__ = name

    def __call__(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        return getattr(value, self.__name__)(*args, **kwargs)


def _operator(function: Callable, reverse: bool = False) -> Callable:
    def method(self: Symbol, *others: Any) -> Any:
        return call_symbolically(function, (*others, self) if reverse else (self, *others), {})

    return method


for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul"):
    _function = getattr(operator, _name)
    setattr(Symbol, f"__{_name}__", _operator(_function))
    setattr(Symbol, f"__r{_name}__", _operator(_function, reverse=True))
for _name in ("neg", "abs", "getitem", "lt", "le", "gt", "ge", "eq", "ne"):
    setattr(Symbol, f"__{_name}__", _operator(getattr(operator, _name)))
Symbol.__hash__ = object.__hash__  # type: ignore[method-assign]


def Input(shape: Any, dtype: Any = "float32") -> Symbol:
    """The start of a functional graph.

    Args:
        shape: of one item, without the batch axis; None for a size that may differ from call to call.
        dtype: element type, float32 by default; use "int64" for what goes into an Embedding.
    """
    if isinstance(shape, int) or shape is None:
        shape = (shape,)
    if not isinstance(shape, (tuple, list)) or not all(d is None or (isinstance(d, int) and d > 0) for d in shape):
        raise ArgumentError(f"[Input] expected a shape of positive ints or None, without the batch axis, got {shape!r}")
    example = zeros((1, *(UNKNOWN_SIZE if d is None else d for d in shape)), dtype=as_dtype(dtype, "Input"))
    return Symbol(example, None, (None, *shape))


def call_symbolically(function: Callable, args: tuple, kwargs: dict) -> Any:
    """Record the call and try it on the example values."""
    call = Call(function, args, kwargs)
    modules = getattr(function, "modules", None)
    modes = [(m, m.training) for m in modules()] if modules else []
    try:
        for module, _ in modes:
            object.__setattr__(module, "training", False)
        with no_grad():
            result = function(*replace(args, _example_of), **replace(kwargs, _example_of))
    finally:
        for module, mode in modes:
            object.__setattr__(module, "training", mode)
    call.single = not isinstance(result, (tuple, list))
    call.results = tuple(Symbol(r, call) for r in ([result] if call.single else result))
    return call.results[0] if call.single else call.results


def _example_of(symbol: Symbol) -> Any:
    return symbol._example


def replace(structure: Any, of: Callable[[Symbol], Any]) -> Any:
    """`structure` (tuples, lists, dictionaries) with each symbol replaced."""
    if type(structure) is Symbol:
        return of(structure)
    if type(structure) in (tuple, list):
        return type(structure)(replace(s, of) for s in structure)
    if type(structure) is dict:
        return {key: replace(s, of) for key, s in structure.items()}
    return structure


def symbols_in(structure: Any) -> list[Symbol]:
    """All symbols in a structure, in order."""
    found: list[Symbol] = []
    replace(structure, found.append)
    return found


def _name_of(function: Callable) -> str:
    return getattr(function, "__name__", None) or type(function).__name__
