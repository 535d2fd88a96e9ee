"""Modules that hold others."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .. import _core
from ..base.errors import ArgumentError
from .module import Module
from .parameters import Parameter
from .utils.rnn import PackedSequence

Tensor = _core.Tensor


class Sequential(Module):
    """Layers applied one after another; children are named "0", "1", ... or by the keys of an OrderedDict.

    >>> nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))

    Recurrent layers return (output, state). Inside, the next layer takes the output; at the end, the pair is the result.
    Packed sequences go through: layers that treat every step alike (`stepwise`: linear maps, activations, dropout,
    embeddings, normalisations over features) work on the steps' data, the others take the PackedSequence itself.

    >>> nn.Sequential(nn.Embedding(90, 8), nn.LSTM(8, 16), nn.Dropout(0.1), nn.LSTM(16, 16), nn.LastStep(), nn.Linear(16, 2))
    """

    def __init__(self, *layers: Any):
        self._layers: dict[str, Module] = {}  # in order; the same modules are attributes under these names
        if len(layers) == 1 and isinstance(layers[0], (OrderedDict, dict)):
            for name, layer in layers[0].items():
                self.add_module(name, layer)
        else:
            for layer in layers:
                self.append(layer)

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if isinstance(value, Module):
            self._layers[name] = value
        elif name != "_layers":
            self._layers.pop(name, None)

    def __delattr__(self, name: str) -> None:
        super().__delattr__(name)
        self._layers.pop(name, None)

    def add_module(self, name: str, module: Module | None) -> None:
        """A further layer at the end, called `name`."""
        if not isinstance(module, Module):
            hint = (
                "give its modules one by one, as Sequential(*layers)"
                if isinstance(module, (list, tuple))
                else "wrap a function in nn.Lambda"
            )
            raise ArgumentError(f"[Sequential] expected modules, got {type(module).__name__} for {name!r}; {hint}")
        setattr(self, name, module)

    def append(self, layer: Module) -> Sequential:
        """A further layer at the end."""
        self.add_module(str(len(self)), layer)
        return self

    @property
    def gives_state(self) -> bool:  # type: ignore[override]
        """Whether the last layer returns (output, state)."""
        last = next(reversed(self._layers.values()), None)
        return last is not None and last.gives_state

    def extend(self, layers: Iterable[Module]) -> Sequential:
        """Further layers at the end."""
        for layer in layers:
            self.append(layer)
        return self

    def insert(self, index: int, layer: Module) -> Sequential:
        """Put a layer in front of position `index`; those behind it are renumbered."""
        layers = list(self)
        layers.insert(index, layer)
        return self._set(layers)

    def pop(self, key: int) -> Module:
        """Take the layer at a position out; those behind it are renumbered."""
        layer = self[key]
        del self[key]
        return layer

    def _set(self, layers: list[Module]) -> Sequential:
        for name in list(self._layers):
            delattr(self, name)
        return self.extend(layers)

    def forward(self, input: Any) -> Any:
        with_state = False
        for layer in self._layers.values():
            if with_state:
                input = input[0]
            packed = layer.stepwise and type(input) is PackedSequence
            input = input.like(layer(input.data)) if packed else layer(input)
            with_state = layer.gives_state
        return input

    def named_children(self) -> Iterator[tuple[str, Module]]:
        yield from self._layers.items()

    def __len__(self) -> int:
        return len(self._layers)

    def __iter__(self) -> Iterator[Module]:
        return iter(list(self._layers.values()))

    def __getitem__(self, index: int | slice) -> Module:
        if isinstance(index, slice):
            return type(self)(OrderedDict(list(self._layers.items())[index]))
        return _at(self, list(self), index)

    def __setitem__(self, index: int, layer: Module) -> None:
        names = list(self._layers)
        setattr(self, _at(self, names, index), layer)

    def __delitem__(self, index: int | slice) -> None:
        layers = list(self)
        if not isinstance(index, slice):
            _at(self, layers, index)
        del layers[index]
        self._set(layers)

    def __add__(self, other: Sequential) -> Sequential:
        if not isinstance(other, Sequential):
            raise ArgumentError(f"[Sequential] expected another Sequential to add, got {type(other).__name__}")
        return Sequential(*self, *other)


class ModuleList(Module):
    """A list of modules, named "0", "1", ...; it has no `forward` of its own."""

    def __init__(self, modules: Iterable[Module] = ()):
        self.extend(modules)

    def append(self, module: Module) -> ModuleList:
        """A further module at the end."""
        if not isinstance(module, Module):
            raise ArgumentError(f"[ModuleList] expected modules, got {type(module).__name__}")
        setattr(self, str(len(self)), module)
        return self

    def extend(self, modules: Iterable[Module]) -> ModuleList:
        """Further modules at the end."""
        for module in modules:
            self.append(module)
        return self

    def insert(self, index: int, module: Module) -> None:
        """Put a module in front of position `index`."""
        every = list(self)
        every.insert(index, module)
        self._set(every)

    def pop(self, key: int) -> Module:
        """Take the module at a position out."""
        module = self[key]
        del self[key]
        return module

    def __iadd__(self, modules: Iterable[Module]) -> ModuleList:
        return self.extend(modules)

    def __contains__(self, module: object) -> bool:
        return any(module is own for own in self)

    def _set(self, modules: list[Module]) -> None:
        for name, _ in list(self.named_children()):
            delattr(self, name)
        self.extend(modules)

    def __len__(self) -> int:
        return sum(isinstance(v, Module) for v in self.__dict__.values())

    def __iter__(self) -> Iterator[Module]:
        return iter([v for v in self.__dict__.values() if isinstance(v, Module)])

    def __getitem__(self, index: int | slice) -> Module:
        if isinstance(index, slice):
            return ModuleList(list(self)[index])
        return _at(self, list(self), index)

    def __setitem__(self, index: int, module: Module) -> None:
        setattr(self, str(range(len(self))[index]), module)

    def __delitem__(self, index: int) -> None:
        every = list(self)
        del every[index]
        self._set(every)


class ModuleDict(Module):
    """A dictionary of modules by name; it has no `forward` of its own."""

    def __init__(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]] = ()):
        self.update(modules)

    def update(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]]) -> None:
        """Add or replace modules."""
        for name, module in modules.items() if isinstance(modules, Mapping) else modules:
            self[name] = module

    def __setitem__(self, name: str, module: Module) -> None:
        if not isinstance(module, Module):
            raise ArgumentError(f"[ModuleDict] expected modules, got {type(module).__name__} for {name!r}")
        if hasattr(type(self), name):
            raise ArgumentError(f"[ModuleDict] expected another name, {name!r} is a method of ModuleDict")
        setattr(self, name, module)

    def __getitem__(self, name: str) -> Module:
        if name not in self:
            raise KeyError(f"[ModuleDict] expected one of {list(self.keys())}, got {name!r}")
        return self.__dict__[name]

    def __delitem__(self, name: str) -> None:
        delattr(self, name)

    def __contains__(self, name: object) -> bool:
        return isinstance(self.__dict__.get(name), Module)  # type: ignore[call-overload]

    def __len__(self) -> int:
        return len(self.keys())

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def keys(self) -> list[str]:
        """The names."""
        return [name for name, v in self.__dict__.items() if isinstance(v, Module)]

    def values(self) -> list[Module]:
        """The modules."""
        return [v for v in self.__dict__.values() if isinstance(v, Module)]

    def items(self) -> list[tuple[str, Module]]:
        """(name, module) pairs."""
        return [(name, v) for name, v in self.__dict__.items() if isinstance(v, Module)]

    def pop(self, name: str) -> Module:
        """Take the module `name` out."""
        module = self[name]
        del self[name]
        return module

    def clear(self) -> None:
        """Take out all."""
        for name in self.keys():
            del self[name]


class ParameterList(Module):
    """A list of parameters, named "0", "1", ...; other values than tensors may stand in it too."""

    def __init__(self, values: Iterable[Any] | None = None):
        self._size = 0
        self.extend(() if values is None else values)

    def append(self, value: Any) -> ParameterList:
        """A further one at the end; a floating tensor becomes a parameter."""
        self._size += 1
        setattr(self, str(self._size - 1), _as_parameter(value))
        return self

    def extend(self, values: Iterable[Any]) -> ParameterList:
        """Further ones at the end."""
        if isinstance(values, Tensor):
            raise ArgumentError("[ParameterList] expected a list of tensors, got a tensor")
        for value in values:
            self.append(value)
        return self

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Any]:
        return iter([getattr(self, str(i)) for i in range(self._size)])

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return ParameterList(list(self)[index])
        return _at(self, list(self), index)

    def __setitem__(self, index: int, value: Any) -> None:
        setattr(self, str(range(self._size)[index]), _as_parameter(value))

    def __iadd__(self, values: Iterable[Any]) -> ParameterList:
        return self.extend(values)

    def extra_repr(self) -> str:
        return f"{self._size}"


class ParameterDict(Module):
    """A dictionary of parameters by name; other values than tensors may stand in it too."""

    def __init__(self, values: Mapping[str, Any] | Iterable[tuple[str, Any]] | None = None):
        self._keys: dict[str, None] = {}
        self.update({} if values is None else values)

    def update(self, values: Mapping[str, Any] | Iterable[tuple[str, Any]] | ParameterDict) -> None:
        """Add or replace; floating tensors become parameters."""
        for name, value in values.items() if isinstance(values, (Mapping, ParameterDict)) else values:
            self[name] = value

    def __setitem__(self, name: str, value: Any) -> None:
        if not isinstance(name, str) or "." in name or hasattr(type(self), name) or name == "_keys":
            raise ArgumentError(
                f"[ParameterDict] expected a name without dots that is no method of ParameterDict, got {name!r}"
            )
        self._keys[name] = None
        setattr(self, name, _as_parameter(value))

    def __getitem__(self, name: str) -> Any:
        if name not in self._keys:
            raise KeyError(f"[ParameterDict] expected one of {list(self._keys)}, got {name!r}")
        return getattr(self, name)

    def __delitem__(self, name: str) -> None:
        del self._keys[name]
        delattr(self, name)

    def __contains__(self, name: object) -> bool:
        return name in self._keys

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._keys))

    def keys(self) -> list[str]:
        """The names."""
        return list(self._keys)

    def values(self) -> list[Any]:
        """The parameters."""
        return [getattr(self, name) for name in self._keys]

    def items(self) -> list[tuple[str, Any]]:
        """(name, parameter) pairs."""
        return [(name, getattr(self, name)) for name in self._keys]

    def get(self, name: str, default: Any = None) -> Any:
        """The parameter `name`, or `default`."""
        return getattr(self, name) if name in self._keys else default

    def pop(self, name: str) -> Any:
        """Take the parameter `name` out."""
        value = self[name]
        del self[name]
        return value

    def clear(self) -> None:
        """Take out all."""
        for name in list(self._keys):
            del self[name]


def _as_parameter(value: Any) -> Any:
    if isinstance(value, Tensor) and not value.requires_grad and value.dtype.kind in "fc":
        return Parameter(value)
    return value


def _at(holder: Module, modules: list, index: int) -> Any:
    try:
        return modules[index]
    except IndexError:
        raise IndexError(
            f"[{type(holder).__name__}] expected an index in [{-len(modules)}, {len(modules) - 1}], got {index}"
        ) from None
