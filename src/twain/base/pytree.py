"""Nested containers as flat lists: tuples, named tuples, lists, dicts, and classes that register."""

from __future__ import annotations

from collections.abc import Callable


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


LEAF = TreeSpec(None, None, ())
_REGISTERED: dict[type, tuple[Callable, Callable]] = {}


def register(kind: type, flatten_one: Callable, unflatten_one: Callable) -> None:
    """Make `kind` a container: flatten_one(x) -> (children, data), unflatten_one(data, children) -> x."""
    _REGISTERED[kind] = (flatten_one, unflatten_one)


def _open(x: object) -> tuple | None:
    """(data, children) of a container, None for a leaf."""
    kind = type(x)
    if kind in _REGISTERED:
        children, data = _REGISTERED[kind][0](x)
        return data, children
    if kind is tuple or kind is list or (isinstance(x, tuple) and hasattr(x, "_fields")):
        return None, x
    if isinstance(x, dict):
        keys = tuple(x)
        return keys, [x[k] for k in keys]
    return None


def flatten(tree: object) -> tuple[list, TreeSpec]:
    """(leaves in order, structure). None is a leaf."""
    leaves: list = []

    def walk(x: object) -> TreeSpec:
        opened = _open(x)
        if opened is None:
            leaves.append(x)
            return LEAF
        data, children = opened
        return TreeSpec(type(x), data, tuple(walk(c) for c in children))

    return leaves, walk(tree)


def unflatten(spec: TreeSpec, leaves: list) -> object:
    """The inverse of flatten."""
    rest = iter(leaves)

    def build(s: TreeSpec) -> object:
        if s.kind is None:
            return next(rest)
        children = [build(c) for c in s.children]
        if s.kind in _REGISTERED:
            return _REGISTERED[s.kind][1](s.data, children)
        if issubclass(s.kind, dict):
            made = dict(zip(s.data, children))
            return made if s.kind is dict else s.kind(made)
        if hasattr(s.kind, "_fields"):
            return s.kind(*children)
        return s.kind(children)

    return build(spec)


def map_leaves(function: Callable, tree: object, *others: object) -> object:
    """The tree with function applied leaf by leaf (to corresponding leaves of several trees of one structure)."""
    leaves, spec = flatten(tree)
    more = [flatten(o)[0] for o in others]
    return unflatten(spec, [function(*group) for group in zip(leaves, *more)])
