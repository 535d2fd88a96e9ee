"""Guards: the places of a recording as a program that the core evaluates before a plan is used."""

from __future__ import annotations

import functools
import types

from .. import _core
from .kinds import (
    ABSENT,
    ALIAS,
    BLOB,
    BUILTINS,
    CELL,
    CLASS,
    CONSTANT,
    DICT,
    FLOAT,
    FUNCTION,
    INSTANCE,
    LIST,
    METHOD,
    MODULE,
    OPAQUE,
    SET,
    TENSOR,
    TUPLE,
    VALUE,
    WRAPPER,
    same_value,
)  # fmt: skip
from .record import Recorder
from .state import MISSING, Place, class_dict, fetch, instance_content, path_text, same_blob

_EQUAL_TYPES = frozenset({bool, int, float, complex, str, bytes, type(None)})
_PLAIN_KEYS = frozenset({str, int, float, bool, bytes, complex, type(None)})
ONLY_DISTINCT = 2  # in the place of `wanted`: must be another object than its like, but isn't handed over


def resolve(place: Place, args: tuple, kwargs: dict) -> object:
    """What lies at a place for this call; MISSING if the path has gone."""
    steps = []
    while place.parent is not None:
        steps.append((place.step, place.key))
        place = place.parent
    if place.step == "argument":
        value = args[place.key] if place.key < len(args) else MISSING
    elif place.step == "keyword":
        value = kwargs.get(place.key, MISSING)
    else:
        value = place.value
    for step, key in reversed(steps):
        if value is MISSING:
            return MISSING
        value = fetch(value, step, key)
    return value


class Guards:
    """The guards of one plan, and which values they hand over: `order` lists the wanted places."""

    __slots__ = ("conditions", "count", "extra", "names", "order", "tree")

    def __init__(self, recorder: Recorder, wanted: list):
        builder = _Builder(recorder, wanted)
        self.names = builder.argument_names, builder.keyword_names
        self.tree = _core.GuardTree(builder.nodes, builder.argument_names, builder.keyword_names, True)
        self.extra = builder.extra
        self.count = len(builder.nodes) + len(builder.extra)
        self.order = builder.order
        self.conditions = _conditions(recorder, self.order)

    def check(self, args: tuple, kwargs: dict) -> list | None:
        """The wanted values if the call fits, else None."""
        values = self.tree.check(args, kwargs)
        if values is None:
            return None
        for _, holds in self.extra:
            if not holds(args, kwargs):
                return None
        if self.conditions is not None and not self.conditions[1](*[values[i] for i in self.conditions[0]]):
            return None
        return values

    def explain(self, args: tuple, kwargs: dict) -> str:
        """Which guard a call fails."""
        if self.tree.check(args, kwargs) is None:
            return self.tree.explain(args, kwargs)
        for text, holds in self.extra:
            if not holds(args, kwargs):
                return text
        return self.conditions[2] if self.conditions is not None else "all guards hold"


def _conditions(recorder: Recorder, order: list):
    """Comparisons of float arguments that the code branched on: (their positions in `order`, function, text)."""
    tracker = recorder.tracker
    outcomes = tracker.outcomes
    names = [n for n, p in recorder.float_places.items() if p.kind is FLOAT]
    if not outcomes or not names:
        return None
    fixed = {n: p.value for n, p in recorder.float_places.items() if p.kind is not FLOAT}
    text = " and ".join(f"({source})" if outcome else f"not ({source})" for source, outcome in outcomes.items())
    function = eval(f"lambda {', '.join(names)}: {text}", {"__builtins__": {"abs": abs}, **fixed})  # our own text

    def holds(*values):
        try:
            return function(*values)
        except ArithmeticError:
            return False

    return [order.index(recorder.float_places[n]) for n in names], holds, f"float arguments: expected {text}"


class _Builder:
    def __init__(self, recorder: Recorder, wanted: list):
        state = recorder.state
        self.recorder = recorder
        self.codes = state.codes
        self.names = state.names
        self.user_names = state.user_names
        self.everything = state.everything
        self.uses_sets = state.uses_sets
        self.hashed = recorder.hashed
        self.wanted = {id(p.object) for p in wanted}
        self.nodes: list[tuple] = []
        self.extra: list[tuple] = []
        self.order: list[Place] = []
        self.node_of: dict[int, int] = {}
        self.helpers: dict[tuple, int] = {}
        self.lifted = {id(m.place): m for m in recorder.lifted}
        roots = [p for p in state.places if p.parent is None]
        self.argument_names = tuple(path_text(p) for p in roots if p.step == "argument")
        self.keyword_names = tuple(p.key for p in roots if p.step == "keyword")
        code = getattr(recorder.root, "__code__", None)
        if code is None or code.co_flags & 0x08:  # **kwargs sees the order
            self.extra.append(
                ("the keywords come in another order", functools.partial(_same_order, self.keyword_names))
            )
        self.call_rooted = [
            p for p in state.mutable if p.from_call() and p.kind in (LIST, DICT, INSTANCE, CELL, FUNCTION)
        ]
        self.distinct = {id(p) for p in self.call_rooted} if len(self.call_rooted) > 1 else set()
        self.grads = recorder.uses_grads
        for place in state.places:
            # That there is no gradient is part of the check of its tensor.
            if place.step == "grad" and (not self.grads or place.value is None):
                continue
            if self._matters(place):
                self.node(place)
        for (_, *ends), place in recorder.ranges.items():
            self.add("value", self.node(place.object), None, "range", tuple(ends), False, path_text(place))
        for cls in {id(p.value): p.value for p in state.places if p.kind is CLASS}.values():
            self._class_sizes(cls)

    def _matters(self, place: Place) -> bool:
        if place.parent is not None and place.step == "grad" and id(place.parent) not in self.node_of:
            return False
        if place.step == "classdict" and place.kind in (FUNCTION, ALIAS, WRAPPER):
            # A method that neither ran nor is named in the user's code can't matter.
            value = place.value
            function = getattr(value, "__func__", None) or getattr(value, "fget", None) or value
            code = getattr(function, "__code__", None)
            return code in self.codes or place.key[1] in self.user_names
        parent = place.parent
        return parent is None or id(parent) in self.node_of or parent.step == "root"

    def add(self, fetch_kind, parent, key, check="none", expected=None, wanted=False, text=None) -> int:
        self.nodes.append((fetch_kind, parent, key, check, expected, wanted, text))
        return len(self.nodes) - 1

    def helper(self, name: tuple, *fields) -> int:
        """A node that several others hang from, made once."""
        index = self.helpers.get(name)
        if index is None:
            index = self.helpers[name] = self.add(*fields)
        return index

    def constant(self, value: object) -> int:
        return self.helper(("constant", id(value)), "constant", 0, value)

    def node(self, place: Place) -> int:
        """The node of a place's value, with its checks."""
        index = self.node_of.get(id(place))
        if index is None:
            index = self._make(place)
            self.node_of[id(place)] = index
        return index

    def _make(self, place: Place) -> int:
        check, expected = self._check(place)
        wanted: object = False
        if place.kind is not ALIAS:
            if id(place) in self.wanted or place.kind is FLOAT:
                wanted = True
            elif place.kind is TENSOR or id(place) in self.distinct:
                wanted = ONLY_DISTINCT
        if check == "python":
            self.extra.append((f"{path_text(place)} has changed", expected))
            check, expected = "none", None
        index = self._fetch(place, check, expected, wanted)
        if wanted is True:
            self.order.append(place)
        if check != "absent":
            self._inside(place, index)
        return index

    def _fetch(self, place: Place, check, expected, wanted) -> int:
        step, key, parent = place.step, place.key, place.parent
        text = path_text(place)

        def add(kind, parent_node, node_key):
            return self.add(kind, parent_node, node_key, check, expected, wanted, text)

        if step == "root":
            return add("constant", 0, place.value)
        if step in ("argument", "keyword"):
            return add(step, 0, key)
        if step == "global":
            return add("item", self.constant(parent.value.__globals__), key)
        if step == "builtin":
            return add("item", self.constant(BUILTINS), key)
        if step == "classdict":
            return add("item", self.constant(class_dict(key[0])), key[1])
        if step == "module":
            return add("item", self.constant(parent.value.__dict__), key)
        owner = parent.object
        base = self.node(owner)
        if step == "attribute":
            if owner.kind is FUNCTION:
                return add("attribute", base, key)
            return add("item", self.helper(("dict", id(owner)), "attribute", base, "__dict__"), key)
        if step == "slot" or step == "part" or step == "grad":
            return add("attribute", base, key or "grad")
        if step == "func" or step == "self":
            return add("attribute", base, f"__{step}__")
        if step == "index" and isinstance(owner.value, (list, tuple)):
            return add("index", base, key)
        if step == "item" and type(key) in _PLAIN_KEYS:
            return add("item", base, key)
        if step == "cell":
            closure = self.helper(("closure", id(owner)), "attribute", base, "__closure__")
            return add("index", closure, key)
        if step == "content":
            return add("cell", base, None)
        if step == "default":
            return add("index", self.helper(("defaults", id(owner)), "attribute", base, "__defaults__"), key)
        if step == "keyword_default":
            return add("item", self.helper(("keyword_defaults", id(owner)), "attribute", base, "__kwdefaults__"), key)
        # A member of a set, an element of a deque, a key that only identity tells: looked up in Python.
        self.extra.append((f"{text} has changed", functools.partial(_still_there, place)))
        return self.add("constant", 0, place.value, "none", None, wanted, text)

    def _check(self, place: Place) -> tuple:
        kind, value = place.kind, place.value
        if kind is ABSENT:
            return "absent", None
        if kind is ALIAS:
            return "same", self.node(place.object)
        if kind is FLOAT:
            return "type", float
        if kind is TENSOR:
            lifted = self.lifted.get(id(place))
            grad = place.children.get(("grad", None))
            none = False if self.grads and grad is not None and grad.value is None else None
            return "tensor", (lifted.meta, lifted.requires_grad, none, lifted.is_leaf)
        if kind is VALUE:
            if type(value) in _EQUAL_TYPES:
                return "equal", value
            return "python", functools.partial(_still_equal, place)
        if kind is BLOB:
            return "python", functools.partial(_blob_unchanged, place)
        if kind in (CONSTANT, OPAQUE, CLASS, MODULE):
            return "identity", value
        if kind is TUPLE:
            return "type", type(value)
        if not place.from_call():
            return "identity", value
        if kind is FUNCTION:
            return ("type", types.FunctionType) if value.__code__ in self.codes else ("identity", value)
        if kind is WRAPPER and not isinstance(value, functools.partial):
            return "identity", value
        if kind is METHOD and not hasattr(value, "__func__"):
            return "identity", value
        if self.uses_sets and type(value).__hash__ is object.__hash__:
            return "identity", value  # a set may have ordered it by its address
        return "type", type(value)

    def _inside(self, place: Place, index: int) -> None:
        """Checks on what a value is made of that no child place makes."""
        kind, value = place.kind, place.value
        if kind in (LIST, TUPLE):
            if isinstance(value, (list, tuple)):
                self.add("value", index, None, "length", len(place.content))
            else:
                self.extra.append(
                    (f"the length of {path_text(place)} has changed", functools.partial(_same_length, place))
                )
        elif kind is DICT:
            self._keys(place, index, list(place.content))
        elif kind is SET:
            self.extra.append((f"{path_text(place)} has changed", functools.partial(_same_members, place)))
        elif kind is INSTANCE:
            attributes, _, items = place.content
            if hasattr(value, "__dict__"):
                self.helpers["dict", id(place)] = self.add(
                    "attribute",
                    index,
                    "__dict__",
                    "keys",
                    tuple(attributes),
                    False,
                    f"the attributes of {path_text(place)}",
                )
            if items is not None:
                self.extra.append((f"{path_text(place)} has changed", functools.partial(_same_items, place)))
        elif kind is TENSOR and id(value) in self.hashed:
            self.add("value", index, None, "identity", value)
        elif kind is FUNCTION and value.__code__ in self.codes:
            self.add("attribute", index, "__code__", "identity", value.__code__)
            if place.from_call():
                self.add("attribute", index, "__globals__", "identity", value.__globals__)
            defaults = value.__defaults__
            if defaults is None:
                self.add("attribute", index, "__defaults__", "identity", None)
            else:
                self.helpers["defaults", id(place)] = self.add(
                    "attribute", index, "__defaults__", "length", len(defaults)
                )
            keywords = value.__kwdefaults__
            if keywords is None:
                self.add("attribute", index, "__kwdefaults__", "identity", None)
            else:
                self.helpers["keyword_defaults", id(place)] = self.add(
                    "attribute", index, "__kwdefaults__", "keys", tuple(keywords)
                )

    def _keys(self, place: Place, index: int, keys: list) -> None:
        if all(type(k) in _PLAIN_KEYS for k in keys):
            self.add("value", index, None, "keys", tuple(keys))
        else:
            self.extra.append((f"the keys of {path_text(place)} have changed", functools.partial(_same_keys, place)))

    def _class_sizes(self, cls: type) -> None:
        """A class that gains or loses an attribute may change what a name means."""
        for c in cls.__mro__:
            if c.__flags__ & 1 << 9:
                namespace = class_dict(c)
                self.helper(
                    ("size", id(c)), "value", self.constant(namespace), None, "length", len(namespace), False,
                    f"the attributes of class {c.__name__}",
                )  # fmt: skip


def _same_order(names: tuple, args: tuple, kwargs: dict) -> bool:
    return tuple(kwargs) == names


def _still_there(place: Place, args: tuple, kwargs: dict) -> bool:
    return resolve(place, args, kwargs) is place.value


def _still_equal(place: Place, args: tuple, kwargs: dict) -> bool:
    return same_value(resolve(place, args, kwargs), place.value)


def _blob_unchanged(place: Place, args: tuple, kwargs: dict) -> bool:
    value = resolve(place, args, kwargs)
    return type(value) is type(place.value) and same_blob(place.content, value)


def _same_length(place: Place, args: tuple, kwargs: dict) -> bool:
    return len(resolve(place, args, kwargs)) == len(place.content)


def _same_members(place: Place, args: tuple, kwargs: dict) -> bool:
    value = list(resolve(place, args, kwargs))
    return len(value) == len(place.content) and all(map(same_value, value, place.content))


def _same_items(place: Place, args: tuple, kwargs: dict) -> bool:
    items = instance_content(resolve(place, args, kwargs))[2]
    old = place.content[2]
    if isinstance(old, dict):
        return len(items) == len(old) and all(map(same_value, items, old))
    return len(items) == len(old) and all(
        (a is b) or same_value(a, b) for a, b in zip(items, old) if not hasattr(b, "meta")
    )


def _same_keys(place: Place, args: tuple, kwargs: dict) -> bool:
    value = resolve(place, args, kwargs)
    return len(value) == len(place.content) and all(a is b or same_value(a, b) for a, b in zip(value, place.content))
