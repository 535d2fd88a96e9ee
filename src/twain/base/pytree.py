"""Nested containers as flat lists: tuples, named tuples, lists, dicts, dataclasses, and classes that register or have
`_tree_flatten(self) -> (children, data)` and `_tree_unflatten(cls, data, children)`, as modules do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any


class TreeSpec:
    """The structure of a pytree without its leaves. Equal specs have equal structure."""

    __slots__ = ("children", "data", "kind")

    def __init__(self, kind: object, data: object, children: tuple):
        self.kind = kind  # container type, or None for a leaf
        self.data = data
        self.children = children

    def __eq__(self, other: object) -> bool:
        return (
            type(other) is TreeSpec
            and self.kind is other.kind
            and self.data == other.data
            and self.children == other.children
        )

    def __hash__(self) -> int:
        return hash((self.kind, self.children))

    def __repr__(self) -> str:
        if self.kind is None:
            return "*"
        return f"{getattr(self.kind, '__name__', self.kind)}({', '.join(map(repr, self.children))})"


class _Fields:
    """The names of a dataclass's fields."""

    __slots__ = ("names",)

    def __init__(self, names: tuple):
        self.names = names

    def __eq__(self, other: object) -> bool:
        return type(other) is _Fields and self.names == other.names

    def __hash__(self) -> int:
        return hash(self.names)


LEAF = TreeSpec(None, None, ())
_REGISTERED: dict[type, tuple[Callable, Callable]] = {}
_LEAVES: set[type] = set()  # types found to be leaves


def register(kind: type, flatten_one: Callable, unflatten_one: Callable) -> None:
    """Make `kind` a container: flatten_one(x) -> (children, data), unflatten_one(data, children) -> x."""
    _REGISTERED[kind] = (flatten_one, unflatten_one)
    _LEAVES.discard(kind)


def _open(x: object) -> tuple | None:
    """(data, children) of a container, None for a leaf."""
    kind = type(x)
    if kind in _LEAVES:
        return None
    if kind in _REGISTERED:
        children, data = _REGISTERED[kind][0](x)
        return data, children
    if kind is tuple or kind is list or (isinstance(x, tuple) and hasattr(x, "_fields")):
        return None, x
    if isinstance(x, dict):
        keys = tuple(x)
        return keys, [x[k] for k in keys]
    if hasattr(kind, "_tree_flatten"):
        children, data = x._tree_flatten()
        return data, children
    if hasattr(kind, "__dataclass_fields__"):
        names = tuple(kind.__dataclass_fields__)
        return _Fields(names), [getattr(x, name) for name in names]
    if len(_LEAVES) < 1000:
        _LEAVES.add(kind)
    return None


# The walks below are functions of their own, not inner ones: those would be cycles that hold the leaves.
def flatten(tree: object) -> tuple[list, TreeSpec]:
    """(leaves in order, structure). None is a leaf."""
    leaves: list = []
    return leaves, _flatten_into(tree, leaves)


def _flatten_into(x: object, leaves: list) -> TreeSpec:
    opened = _open(x)
    if opened is None:
        leaves.append(x)
        return LEAF
    data, children = opened
    return TreeSpec(type(x), data, tuple([_flatten_into(c, leaves) for c in children]))


def unflatten(spec: TreeSpec, leaves: list) -> object:
    """The inverse of flatten."""
    return _build(spec, iter(leaves))


def _build(s: TreeSpec, rest: Iterator) -> Any:
    kind: Any = s.kind
    if kind is None:
        return next(rest)
    children = [_build(c, rest) for c in s.children]
    if kind in _REGISTERED:
        return _REGISTERED[kind][1](s.data, children)
    if hasattr(kind, "_tree_unflatten"):
        return kind._tree_unflatten(s.data, children)
    if type(s.data) is _Fields:  # without running __init__: it may check or convert what it gets
        made = object.__new__(kind)
        for name, child in zip(s.data.names, children):
            object.__setattr__(made, name, child)
        return made
    if issubclass(kind, dict):
        pairs = dict(zip(s.data, children))
        return pairs if kind is dict else kind(pairs)
    if hasattr(kind, "_fields"):
        return kind(*children)
    return kind(children)


def map_leaves(function: Callable, tree: object, *others: object) -> object:
    """The tree with function applied leaf by leaf (to corresponding leaves of several trees of one structure)."""
    leaves, spec = flatten(tree)
    more = [flatten(o)[0] for o in others]
    return unflatten(spec, [function(*group) for group in zip(leaves, *more)])


def paths(tree: object) -> list[str]:
    """Where each leaf of a tree is, as text: "[0]", "['weight']", ".bias"; "" for a tree that is one leaf."""
    found: list[str] = []
    _paths_into(tree, "", found)
    return found


def _paths_into(x: object, path: str, found: list[str]) -> None:
    opened = _open(x)
    if opened is None:
        found.append(path)
        return
    data, children = opened
    for name, child in zip(_names(x, data, len(children)), children):
        _paths_into(child, path + name, found)


def _names(x: object, data: object, count: int) -> list[str]:
    if isinstance(x, dict):
        return [f"[{k!r}]" for k in data]
    if hasattr(x, "_fields"):
        return [f".{name}" for name in x._fields]
    if hasattr(data, "names"):
        return [f".{name}" for name in data.names]
    return [f"[{i}]" for i in range(count)]


def broadcast_prefix(prefix: object, tree: object) -> list | None:
    """One entry per leaf of `tree`: `prefix` is a tree that ends earlier, and what it ends in counts for all below.

    None if the prefix is no such tree.
    """
    opened, below = _open(prefix), _open(tree)
    if opened is None or type(prefix) is not type(tree):
        return None if opened is not None else [prefix] * len(flatten(tree)[0])
    if below is None or opened[0] != below[0] or len(opened[1]) != len(below[1]):
        return None
    found: list = []
    for a, b in zip(opened[1], below[1]):
        part = broadcast_prefix(a, b)
        if part is None:
            return None
        found.extend(part)
    return found
