"""The Python state a recording depends on: every object reached from the roots by a name that the code uses.

Each object is looked at when its name first comes into use, before the code that uses it runs, and once more at the
end. What is there becomes guards; what has changed is either a tensor put in another's place, which a plan can repeat,
or a side effect, which it can't.
"""

from __future__ import annotations

import gc
import sys
import types
from collections import deque
from operator import is_

from .. import _core
from . import kinds
from .bytecode import CodeFacts, facts_of
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
    is_own_class,
    is_own_module,
    is_plain_value,
    is_trusted_code,
    kind_of,
    same_value,
)  # fmt: skip

MAX_PLACES = 20000
MAX_DEPTH = 60
BLOB_LENGTH = 64
HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE: a class made by Python code
OF_EVERY_CLASS = frozenset(
    ["__dict__", "__weakref__", "__doc__", "__module__", "__annotations__", "__slots__", "__match_args__"]
)
MISSING = type("Missing", (), {"__repr__": lambda self: "nothing"})()


class Unrecordable(Exception):
    """Why a recording can't be kept; never reaches the user's code."""


class Place:
    """One way to reach one value: `step`, with `key`, from the parent's value.

    steps: argument, keyword, root (an object that the plan holds itself), attribute (of the instance dict), slot,
    index, item, member (of a set), global, builtin, cell, content (of a cell), default, keyword_default, func, self,
    part (of a wrapper), classdict, module (attribute), grad.
    """

    __slots__ = (
        "by_user",
        "children",
        "content",
        "index",
        "key",
        "kind",
        "label",
        "loose",
        "names",
        "parent",
        "step",
        "target",
        "value",
    )

    def __init__(self, parent, step, key, value, kind, by_user):
        self.parent = parent
        self.step = step
        self.key = key
        self.value = value
        self.kind = kind
        self.by_user = by_user  # reached by a name in the user's own code
        self.children: dict = {}
        self.content = None  # what a container held
        self.label = None  # of an argument: the parameter's name
        self.names = None
        self.loose = False
        self.target = None  # of an alias
        self.index = -1

    @property
    def object(self) -> Place:
        """The place where the value was met first."""
        return self.target if self.kind is ALIAS else self

    def from_call(self) -> bool:
        """Does the path begin at an argument of the call?"""
        place = self
        while place.parent is not None:
            place = place.parent
        return place.step in ("argument", "keyword")

    def __str__(self) -> str:
        return path_text(self)


def path_text(place: Place) -> str:
    """The path as a user would write it."""
    step, key, parent = place.step, place.key, place.parent
    if step == "argument":
        return place.label or f"argument {key}"
    if step == "keyword":
        return str(key)
    if step == "root":
        value = place.value
        return getattr(value, "__qualname__", None) or getattr(value, "__name__", None) or type(value).__name__
    if step in ("global", "builtin"):
        return str(key)
    base = path_text(parent)
    if step in ("attribute", "slot", "module"):
        return f"{base}.{key}"
    if step in ("index", "item"):
        return f"{base}[{key!r}]" if is_plain_value(key) else f"{base}[{type(key).__name__}]"
    if step == "classdict":
        return f"{key[0].__name__}.{key[1]}"
    if step == "cell":
        names = parent.value.__code__.co_freevars
        return f"{base}'s {names[key]}"
    if step == "content":
        return base
    if step == "default":
        return f"{base}'s default {key}"
    if step == "keyword_default":
        return f"{base}'s default of {key}"
    if step == "grad":
        return f"{base}.grad"
    if step == "part":
        return f"{base}.{key}"
    return base


class State:
    """All places of one recording."""

    def __init__(self, on_tensor):
        self.places: list[Place] = []
        self.primary: dict[int, Place] = {}
        self.names: set = set()
        self.user_names: set = set()
        self.uses_sets = False
        self.everything = False  # attributes are read by computed names
        self.codes: set = set()
        self.functions: dict = {}  # code -> place of the function
        self.twins: dict = {}  # code -> places of further functions of that code
        self.namespaces: dict = {}  # code -> (place, globals dict) that its names are read from
        self.modules: dict = {}
        self.queue: deque = deque()
        self.draining = False
        self.on_tensor = on_tensor
        self.mutable: list[Place] = []
        self.holders: list = []  # (place, key views) of what may hold more under names that are not in use yet

    # Building

    def reach(self, parent, step, key, value, by_user, tree=None) -> Place:
        """The place of `value` there; looked into if it is new."""
        known = parent.children.get((step, key)) if parent is not None else None
        if known is not None:
            if tree is not None and known.object.kind is MODULE:
                self._module(known.object, tree, by_user)
            return known
        kind = ABSENT if value is MISSING else kind_of(value)
        inside = kind not in (CONSTANT, VALUE, ABSENT, OPAQUE)
        first = self.primary.get(id(value)) if inside else None
        place = Place(parent, step, key, value, kind if first is None else ALIAS, by_user)
        place.index = len(self.places)
        self.places.append(place)
        if len(self.places) > MAX_PLACES:
            raise Unrecordable(f"it can reach more than {MAX_PLACES} values, which is too much to guard")
        if parent is not None:
            parent.children[step, key] = place
        if first is not None:
            place.target = first
            if by_user and not first.by_user:
                first.by_user = True
            if tree is not None and first.kind is MODULE:
                self._module(first, tree, by_user)
            return place
        if kind is OPAQUE and by_user:
            raise Unrecordable(f"{path_text(place)} is {_article(type(value).__name__)}, whose state can't be guarded")
        if inside:
            self.primary[id(value)] = place
            self._open(place, tree)
            if not self.draining:
                self._drain()
        return place

    def _open(self, place: Place, tree) -> None:
        """Note what a new object holds now; its children follow from the queue, so that depth costs no stack."""
        value, kind = place.value, place.kind
        if kind is TENSOR:
            self.on_tensor(place)
        elif kind is MODULE:
            self._module(place, tree, place.by_user)
            return
        elif kind in (LIST, TUPLE):
            place.content = list(value)
            if len(value) > BLOB_LENGTH and all(map(is_plain_value, value)):
                place.kind = BLOB
        elif kind is DICT:
            place.content = dict(value)
            if (
                len(value) > BLOB_LENGTH
                and all(map(is_plain_value, value.values()))
                and all(map(is_plain_value, value))
            ):
                place.kind = BLOB
        elif kind is SET:
            place.content = list(value)
        elif kind is INSTANCE:
            place.content = instance_content(value)
            self.holders.append((place, [names.keys() for names in place.content[:2] if names]))
        elif kind is CLASS:
            self.holders.append((place, [cls.__dict__.keys() for cls in value.__mro__ if cls.__flags__ & HEAP_TYPE]))
        if kind not in (TUPLE, TENSOR, METHOD, WRAPPER):
            self.mutable.append(place)
        self.queue.append((place, None))

    def _drain(self) -> None:
        queue = self.queue
        self.draining = True
        try:
            while queue:
                self._expand(*queue.popleft())
        finally:
            self.draining = False
            queue.clear()

    def _expand(self, place: Place, names) -> None:
        """Reach what lies below a place; `names`: only by these names, which are new."""
        value, kind, by_user = place.value, place.kind, place.by_user
        if kind in (LIST, TUPLE):
            for i, item in enumerate(place.content):
                self.reach(place, "index", i, item, by_user)
        elif kind is DICT:
            for key, item in place.content.items():
                self.reach(place, "item", key, item, by_user)
        elif kind is SET:
            for i, item in enumerate(place.content):
                self.reach(place, "member", i, item, by_user)
        elif kind is INSTANCE:
            self._instance(place, names)
        elif kind is FUNCTION:
            self._function(place, names)
        elif kind is METHOD:
            if hasattr(value, "__func__"):
                self.reach(place, "func", None, value.__func__, by_user)
            self.reach(place, "self", None, value.__self__, by_user)
        elif kind is WRAPPER:
            compiled = isinstance(value, _core.CompiledFunction)
            for part in ("function",) if compiled else ("__func__", "fget", "fset", "fdel", "func", "args", "keywords"):
                inner = getattr(value, part, None)
                if inner is not None:
                    self.reach(place, "part", part, inner, by_user)
        elif kind is CLASS:
            self._class(place, names)
        elif kind is CELL:
            try:
                content = value.cell_contents
            except ValueError:
                content = MISSING
            self.reach(place, "content", None, content, by_user, place.names)

    def _instance(self, place: Place, names) -> None:
        value, (attributes, slots, items) = place.value, place.content
        if names is None:
            self.reach(None, "root", None, type(value), place.by_user) if id(type(value)) not in self.primary else None
            if isinstance(items, dict):
                for key, item in items.items():
                    self.reach(place, "item", key, item, place.by_user)
            elif items is not None:
                step = "member" if isinstance(value, (set, frozenset)) else "index"
                for i, item in enumerate(items):
                    self.reach(place, step, i, item, place.by_user)
        wanted = self.names if names is None else names
        own = is_own_class(type(value))
        for step, found in (("attribute", attributes), ("slot", slots)):
            if not found:
                continue
            for key in list(found) if self.everything or own else _common(wanted, found):
                item = found[key]
                if key in self.user_names or self.everything:
                    self.reach(place, step, key, item, place.by_user or not own or key in self.user_names)
                elif key in self.names or (own and _may_hold_tensors(item)):
                    self.reach(place, step, key, item, False)

    def _class(self, place: Place, names) -> None:
        meta = type(place.value)
        if names is None and meta is not type and kinds.is_python_class(meta) and id(meta) not in self.primary:
            self.reach(None, "root", None, meta, place.by_user)
        wanted = self.names if names is None else names
        for cls in place.value.__mro__:
            if not cls.__flags__ & HEAP_TYPE:
                continue
            trusted = cls.__module__.partition(".")[0] == "twain" if type(cls.__module__) is str else False
            namespace = cls.__dict__
            if names is not None:
                keys = _common(wanted, namespace)
            elif self.everything:
                keys = list(namespace)
            else:
                keys = [key for key in namespace if key in wanted or key[:2] == "__" == key[-2:]]
            for key in keys:
                if key in OF_EVERY_CLASS:
                    continue
                item = namespace[key]
                if key not in wanted and key[:2] == "__" == key[-2:] and kind_of(item) not in (FUNCTION, WRAPPER):
                    continue
                self.reach(place, "classdict", (cls, key), item, not trusted and key in self.user_names)

    def _function(self, place: Place, names) -> None:
        function = place.value
        code = function.__code__
        if names is None:
            if self.functions.setdefault(code, place) is not place:
                self.twins.setdefault(code, []).append(place)  # closures of one code, of a decorator for instance
            place.content = (code, function.__defaults__, function.__kwdefaults__, dict(function.__dict__))
            if place.content[3]:
                self.holders.append((place, [place.content[3].keys()]))
        if code in self.codes and not place.loose:
            place.loose = True
            self._entered(place)
        if place.content[3]:
            wanted = self.names if names is None else names
            for key in _common(wanted, place.content[3]):
                if key != "__wrapped__":
                    self.reach(place, "attribute", key, place.content[3][key], place.by_user)

    def _entered(self, place: Place) -> None:
        """A function whose code runs: what its names stand for."""
        function = place.value
        code = function.__code__
        facts = facts_of(code)
        trusted = is_trusted_code(code)
        by_user = not trusted
        for i, cell in enumerate(function.__closure__ or ()):
            name = code.co_freevars[i]
            inner = self.reach(place, "cell", i, cell, True)
            if inner.kind is CELL and inner.names is None:
                inner.names = facts.cells.get(name)
        for i, item in enumerate(function.__defaults__ or ()):
            self.reach(place, "default", i, item, True)
        for key, item in (function.__kwdefaults__ or {}).items():
            self.reach(place, "keyword_default", key, item, True)
        self.namespaces[code] = place
        self._globals(place, facts, function.__globals__, trusted, by_user)

    def _globals(self, place: Place, facts: CodeFacts, namespace: dict, trusted: bool, by_user: bool) -> None:
        for name, tree in facts.globals.items():
            if trusted:
                value = namespace.get(name)
                if _is_own_state(name, value):
                    self.reach(place, "global", name, value, False)
                continue
            value = namespace.get(name, MISSING)
            self.reach(place, "global", name, value, by_user, tree)
            if value is MISSING and name in BUILTINS:
                self.reach(place, "builtin", name, BUILTINS[name], False)
        if trusted:
            return
        for module, level, taken in facts.imports:
            self._imported(module, level, taken, namespace)

    def _imported(self, name: str, level: int, taken: tuple, namespace: dict) -> None:
        if level:
            package = namespace.get("__package__") or ""
            parts = package.split(".")
            base = ".".join(parts[: len(parts) - level + 1])
            name = f"{base}.{name}" if name else base
        for found in dict.fromkeys((name.partition(".")[0], name, *(f"{name}.{t}" for t in taken))):
            module = sys.modules.get(found)
            if module is not None and id(module) not in self.primary:
                self.reach(None, "root", found, module, True)

    def _module(self, place: Place, tree, by_user: bool) -> None:
        """Read what a chain of attribute loads reads from a module; without a chain, all names in use."""
        namespace = place.value.__dict__
        if place.names is None:
            place.names = set()
        if tree is None or None in tree or not tree:
            if not place.loose:
                place.loose = True
                self.modules[id(place)] = place
            for name in sorted((namespace.keys() & self.user_names) - place.names):
                place.names.add(name)
                # Which of them is read from here isn't known: what can't be guarded counts only if it is a tensor's home.
                self.reach(place, "module", name, namespace[name], False)
        for name, inner in (tree or {}).items():
            if name is not None:
                place.names.add(name)
                if name not in namespace and is_own_module(place.value):
                    getattr(place.value, name, None)  # loaded when first used: loading it is no effect of the function
                self.reach(place, "module", name, namespace.get(name, MISSING), by_user, inner)

    def add_argument(self, position: int, value: object, name: str | None) -> Place:
        place = self.reach(None, "argument", position, value, True)
        place.label = name
        return place

    def add_keyword(self, name: str, value: object) -> Place:
        return self.reach(None, "keyword", name, value, True)

    def add_root(self, value: object) -> Place:
        known = self.primary.get(id(value))
        return known if known is not None else self.reach(None, "root", None, value, True)

    # Running

    def enter(self, code: types.CodeType, namespace: dict, parent: types.CodeType | None) -> bool:
        """A function begins to run for the first time. False: nobody knows where it comes from."""
        facts = facts_of(code)
        trusted = is_trusted_code(code)
        self.codes.add(code)
        if not trusted and facts.uses_sets:
            self.uses_sets = True
        fresh = facts.names - self.names
        self.names |= facts.names
        if not trusted:
            fresh |= facts.names - self.user_names
            self.user_names |= facts.names
            if facts.dynamic:
                self.use_everything()
        place = self.functions.get(code)
        if place is not None and not place.loose:
            place.loose = True
            self._entered(place)
        for twin in self.twins.pop(code, ()):
            if not twin.loose:
                twin.loose = True
                self._entered(twin)
        if fresh:
            self._use(fresh)
        if place is None:
            place = self.functions.get(code)
        if place is not None:
            self.namespaces[code] = place
            return True
        if trusted:
            self._own_state(facts, namespace)
            return True
        base = self._enclosing(code)
        if base is not None:
            self.namespaces[code] = base
            if base.value.__globals__ is namespace:
                self._globals(base, facts, namespace, trusted, not trusted)
                return True
        return False

    def _own_state(self, facts: CodeFacts, namespace: dict) -> None:
        """What a function of twain's own, met on the way, keeps in globals."""
        for name in facts.globals:
            value = namespace.get(name)
            if _is_own_state(name, value):
                module = sys.modules.get(namespace.get("__name__"))
                if module is None or module.__dict__ is not namespace:
                    raise Unrecordable(f"it uses {name}, which belongs to no module")
                known = self.primary.get(id(module))
                place = self.reach(None, "root", None, module, False, {name: {}}) if known is None else known
                self._module(place, {name: {}}, False)

    def _enclosing(self, code: types.CodeType) -> Place | None:
        """The function whose body makes this code's function (lambda, comprehension, inner def)."""
        for outer, place in self.namespaces.items():
            if code in facts_of(outer).nested:
                return place
        return None

    def _use(self, names: frozenset | set) -> None:
        """These names are in use from now on: look at what they mean on all objects known."""
        names = dict.fromkeys(sorted(names))
        keys = names.keys()
        for place, views in self.holders:
            if self.everything or not all(map(keys.isdisjoint, views)):
                self.queue.append((place, names))
        if not self.draining:
            self._drain()
        for place in list(self.modules.values()):
            self._module(place, None, False)

    def use_everything(self) -> None:
        """Attributes are read by names that the code doesn't show."""
        if not self.everything:
            self.everything = True
            self._use(set(self.names))

    # At the end

    def replace(self, is_foreign, substitute) -> None:
        """Put something else in the place of values that must not outlive the recording."""
        for place in self.mutable:
            value, kind = place.value, place.kind
            if kind is LIST:
                for i, item in enumerate(value):
                    if is_foreign(item):
                        value[i] = substitute(item)
            elif kind is DICT:
                namespaces = [value]
            elif kind in (INSTANCE, MODULE):
                namespaces = [value.__dict__] if hasattr(value, "__dict__") else []
            elif kind is FUNCTION:
                namespaces = [value.__dict__, value.__globals__]
            elif kind is CLASS:
                for key, item in list(vars(value).items()):
                    if is_foreign(item):
                        setattr(value, key, substitute(item))
            elif kind is CELL and place.children and is_foreign(fetch(value, "content", None)):
                value.cell_contents = substitute(value.cell_contents)
            if kind in (DICT, INSTANCE, MODULE, FUNCTION):
                for namespace in namespaces:
                    for key, item in list(namespace.items()):
                        if is_foreign(item):
                            namespace[key] = substitute(item)

    def changes(self) -> list:
        """[(place, new value)] for each tensor put in another's place. Raises Unrecordable on any other change."""
        found = []
        for place in list(self.places):
            if place.kind is ALIAS or (place.kind is CONSTANT and not place.children):
                continue
            for child in list(place.children.values()):
                new = fetch(place.value, child.step, child.key)
                old = child.value
                if new is old or (child.kind is VALUE and new is not MISSING and same_value(new, old)):
                    continue
                if (
                    is_slot_of_tensors(old)
                    and is_slot_of_tensors(new)
                    and child.step not in ("func", "self", "part", "default")
                ):
                    found.append((child, new))
                else:
                    raise Unrecordable(f"it changes {path_text(child)} from {_short(old)} to {_short(new)}")
            self._check_content(place)
        return found

    def _check_content(self, place: Place) -> None:
        value, kind, old = place.value, place.kind, place.content
        if kind in (LIST, TUPLE, SET) and len(value) != len(old):
            raise Unrecordable(f"it changes the length of {path_text(place)} from {len(old)} to {len(value)}")
        if kind is BLOB:
            new = list(value) if isinstance(old, list) else dict(value)
            if not same_blob(old, new):
                raise Unrecordable(f"it changes {path_text(place)}")
        elif kind is SET and not all(a is b for a, b in zip(value, old)):
            raise Unrecordable(f"it changes {path_text(place)}")
        elif kind is DICT:
            self._check_keys(place, old, value)
        elif kind is INSTANCE:
            attributes, slots, items = instance_content(value)
            self._check_attributes(place, "attribute", old[0], attributes)
            self._check_attributes(place, "slot", old[1], slots)
            if isinstance(items, dict):
                self._check_keys(place, old[2], items)
            elif items is not None and len(items) != len(old[2]):
                raise Unrecordable(f"it changes the length of {path_text(place)} from {len(old[2])} to {len(items)}")
        elif kind is FUNCTION and old is not None:
            if place.value.__code__ is not old[0]:
                raise Unrecordable(f"it changes the code of {path_text(place)}")
            if place.value.__defaults__ is not old[1] or place.value.__kwdefaults__ is not old[2]:
                raise Unrecordable(f"it changes the defaults of {path_text(place)}")
            self._check_attributes(place, "attribute", old[3], place.value.__dict__)

    @staticmethod
    def _check_keys(place: Place, old: dict, new: dict) -> None:
        if len(old) != len(new) or not all(a is b or same_value(a, b) for a, b in zip(old, new)):
            raise Unrecordable(f"it changes the keys of {path_text(place)}")

    def _check_attributes(self, place: Place, step: str, old: dict, new: dict) -> None:
        if old.keys() != new.keys():
            gone = sorted(old.keys() ^ new.keys())
            raise Unrecordable(f"it makes or deletes the attribute {gone[0]!r} of {path_text(place)}")
        for key, item in new.items():
            if item is not old[key] and (step, key) not in place.children:
                if not (is_plain_value(item) and same_value(item, old[key])):
                    raise Unrecordable(f"it changes {path_text(place)}.{key} from {_short(old[key])} to {_short(item)}")


def is_slot_of_tensors(value: object) -> bool:
    return value is None or kind_of(value) is TENSOR


def same_blob(old, new) -> bool:
    """Are two containers of plain values equal, types and order included?"""
    if len(old) != len(new):
        return False
    if isinstance(old, dict):
        return _same_each(old, new) and _same_each(old.values(), new.values())
    return _same_each(old, new)


def _same_each(old, new) -> bool:
    # mostly they are the same objects, which C compares a long list of in no time
    return all(map(is_, old, new)) or all(map(same_value, old, new))


def instance_content(value: object) -> tuple:
    """(instance dict, slots, items) of an object of a Python class; items of a subclass of a built-in container."""
    try:
        attributes = dict(object.__getattribute__(value, "__dict__"))
    except AttributeError:
        attributes = {}
    slots = {}
    for cls in type(value).__mro__:
        for name, descriptor in cls.__dict__.items():
            if type(descriptor) is types.MemberDescriptorType and kinds.is_python_class(cls):
                try:
                    slots[name] = descriptor.__get__(value)
                except AttributeError:
                    slots[name] = MISSING
    items = None
    if isinstance(value, dict):
        items = dict(dict.items(value))
    elif isinstance(value, (list, deque)):
        items = list(type(value).__mro__[-2].__iter__(value)) if isinstance(value, list) else list(value)
    elif isinstance(value, tuple):
        items = list(tuple.__iter__(value))
    elif isinstance(value, (set, frozenset)):
        items = list(value)
    elif isinstance(value, (int, float, complex, str, bytes)):
        items = [_plain(value)]
    return attributes, slots, items


def _plain(value: object) -> object:
    for base, convert in ((int, int.__int__), (float, float.__float__), (str, str.__str__)):
        if isinstance(value, base):
            return convert(value)
    return bytes(value) if isinstance(value, bytes) else value


def class_dict(cls: type) -> dict:
    """The dict behind a class's read-only `__dict__`."""
    return gc.get_referents(cls.__dict__)[0]


def fetch(value: object, step: str, key: object) -> object:
    """What lies at one step from `value` now; MISSING if nothing."""
    try:
        if step == "attribute":
            return object.__getattribute__(value, "__dict__").get(key, MISSING)
        if step == "item":
            return dict.get(value, key, MISSING)
        if step == "index":
            if isinstance(value, (list, tuple)):
                return (list if isinstance(value, list) else tuple).__getitem__(value, key)
            return value[key] if isinstance(value, deque) else _plain(value)
        if step == "grad":
            return value.grad
        if step == "global":
            return value.__globals__.get(key, MISSING)
        if step == "builtin":
            return BUILTINS.get(key, MISSING)
        if step == "content":
            return value.cell_contents
        if step == "cell":
            return value.__closure__[key]
        if step == "classdict":
            return key[0].__dict__.get(key[1], MISSING)
        if step == "module":
            return value.__dict__.get(key, MISSING)
        if step == "slot":
            for cls in type(value).__mro__:
                descriptor = cls.__dict__.get(key)
                if type(descriptor) is types.MemberDescriptorType:
                    return descriptor.__get__(value)
        if step == "member":
            return list(value)[key]
        if step == "default":
            return value.__defaults__[key]
        if step == "keyword_default":
            return value.__kwdefaults__[key]
        if step == "func":
            return value.__func__
        if step == "self":
            return value.__self__
        if step == "part":
            return getattr(value, key)
    except (AttributeError, IndexError, ValueError, KeyError, TypeError):
        pass
    return MISSING


def store(value: object, step: str, key: object, new: object) -> None:
    """Put `new` at one step from `value`, as the recorded code did."""
    if step == "attribute":
        object.__getattribute__(value, "__dict__")[key] = new
    elif step == "item":
        dict.__setitem__(value, key, new)
    elif step == "index":
        list.__setitem__(value, key, new) if isinstance(value, list) else value.__setitem__(key, new)
    elif step == "grad":
        value.grad = new
    elif step == "global":
        value.__globals__[key] = new
    elif step == "content":
        value.cell_contents = new
    elif step == "classdict":
        setattr(key[0], key[1], new)
    elif step == "module":
        value.__dict__[key] = new
    elif step == "slot":
        object.__setattr__(value, key, new)
    else:
        raise Unrecordable(f"it stores a tensor by the step {step}")


def _common(wanted, namespace) -> list:
    """The keys of `namespace` among the names wanted, in an order that is the same every time."""
    if len(wanted) < len(namespace):
        return (
            [k for k in wanted if k in namespace]
            if type(wanted) is dict
            else sorted(k for k in wanted if k in namespace)
        )
    return [k for k in namespace if k in wanted]


def _is_own_state(name: str, value: object) -> bool:
    """Is a global of twain's own something that changes: a setting, a tensor, or an object that holds some?"""
    if is_plain_value(value):
        return value is not None and not name.isupper() and not name.startswith("__")
    kind = kind_of(value)
    if kind is TENSOR:
        return True
    return (
        kind is INSTANCE
        and is_own_class(type(value))
        and any(kind_of(v) is TENSOR for v in getattr(value, "__dict__", {}).values())
    )


def _may_hold_tensors(value: object) -> bool:
    kind = kind_of(value)
    if kind is TENSOR:
        return True
    if kind is INSTANCE:
        return is_own_class(type(value))
    if kind in (LIST, TUPLE):
        return any(map(_may_hold_tensors, value))
    if kind is DICT:
        return any(map(_may_hold_tensors, value.values()))
    return False


def _short(value: object) -> str:
    if kind_of(value) is TENSOR:
        return "a tensor"
    if is_plain_value(value) or value is MISSING:
        text = repr(value)
        return text if len(text) <= 40 else text[:37] + "..."
    return _article(type(value).__name__)


def _article(noun: str) -> str:
    return ("an " if noun[:1].lower() in "aeiou" else "a ") + noun


__all__ = ["FLOAT", "Place", "State", "Unrecordable", "class_dict", "fetch", "path_text", "same_blob", "store"]
