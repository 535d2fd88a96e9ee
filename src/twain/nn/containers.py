"""Modules that hold others."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..base.errors import ArgumentError
from .module import Module
from .utils.rnn import PackedSequence


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

    def add_module(self, name: str, layer: Module) -> None:
        """A further layer at the end, called `name`."""
        if not isinstance(layer, Module):
            raise ArgumentError(
                f"[Sequential] expected modules, got {type(layer).__name__} for {name!r}; wrap a function in nn.Lambda"
            )
        setattr(self, name, layer)

    def append(self, layer: Module) -> Sequential:
        """A further layer at the end."""
        self.add_module(str(len(self)), layer)
        return self

    @property
    def gives_state(self) -> bool:  # type: ignore[override]
        """Whether the last layer returns (output, state)."""
        last = next(reversed(self._layers.values()), None)
        return last is not None and last.gives_state

    def forward(self, x: Any) -> Any:
        with_state = False
        for layer in self._layers.values():
            if with_state:
                x = x[0]
            x = x.like(layer(x.data)) if layer.stepwise and type(x) is PackedSequence else layer(x)
            with_state = layer.gives_state
        return x

    def named_children(self) -> Iterator[tuple[str, Module]]:
        yield from self._layers.items()

    def __len__(self) -> int:
        return len(self._layers)

    def __iter__(self) -> Iterator[Module]:
        return iter(list(self._layers.values()))

    def __getitem__(self, index: int | slice) -> Module:
        if isinstance(index, slice):
            return Sequential(*list(self)[index])
        return _at(self, list(self), index)


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


def _at(holder: Module, modules: list[Module], index: int) -> Module:
    try:
        return modules[index]
    except IndexError:
        raise IndexError(
            f"[{type(holder).__name__}] expected an index in [{-len(modules)}, {len(modules) - 1}], got {index}"
        ) from None
