"""Watching a recording from the side: which Python functions begin to run, and which C functions they call.

A recording can be kept only if everything that ran is known to depend on guarded state alone, so C functions are
refused unless they are on a list.
"""

from __future__ import annotations

import sys
import types

from .. import _core
from .kinds import is_own_code, is_trusted_code

# Functions of C whose result depends on their arguments alone and that change nothing else. Methods of the built-in
# value and container types are fine too: what they change is compared at the end.
_PURE_FUNCTIONS = {
    "builtins": frozenset(
        [
            "abs",
            "aiter",
            "all",
            "any",
            "ascii",
            "bin",
            "callable",
            "chr",
            "delattr",
            "divmod",
            "format",
            "getattr",
            "hasattr",
            "hex",
            "isinstance",
            "issubclass",
            "iter",
            "len",
            "max",
            "min",
            "next",
            "oct",
            "ord",
            "pow",
            "repr",
            "round",
            "setattr",
            "sorted",
            "sum",
            "dir",
            "vars",
            "locals",
            "__build_class__",
        ]
    ),
    "math": None,
    "cmath": None,
    "_operator": None,
    "_bisect": None,
    "_heapq": None,
    "_collections": None,
    "_abc": None,
    "itertools": None,
    "_functools": None,
    "_struct": None,
    "_string": None,
    "unicodedata": None,
    "_stat": None,
}
_PURE_TYPES = frozenset(
    {
        list, dict, set, tuple, str, bytes, bytearray, int, float, complex, frozenset, bool, range, slice, type, object,
        types.GeneratorType, types.MappingProxyType, types.SimpleNamespace, type(None),
        type({}.keys()), type({}.values()), type({}.items()), property, memoryview,
    }
)  # fmt: skip
_PURE_TYPE_MODULES = frozenset({"collections", "itertools", "datetime", "decimal", "fractions", "functools", "re"})
_REFUSED_METHODS = frozenset({"now", "today", "utcnow", "__reduce_ex__", "__reduce__", "data_ptr", "fromtimestamp"})
# What computes the name of an attribute from data.
_NAMING_FUNCTIONS = frozenset({"getattr", "hasattr", "setattr", "delattr", "vars", "dir", "locals"})
# Functions that never look into a float.
_BLIND_FUNCTIONS = frozenset(
    [
        "isinstance",
        "issubclass",
        "len",
        "callable",
        "iter",
        "next",
        "getattr",
        "hasattr",
        "setattr",
        "delattr",
        "id",
        "append",
        "extend",
        "items",
        "keys",
        "values",
        "get",
        "pop",
        "update",
        "insert",
        "add",
        "setdefault",
        "copy",
        "clear",
        "reverse",
        "startswith",
        "endswith",
        "join",
        "split",
        "format_map",
    ]
)
_HOOKING = frozenset({"register_hook", "retain_grad"})
_BLIND_OWNERS = frozenset({"twain._core", _core.Tensor})
# What twain's own code must not do either inside a recording.
_NEVER = frozenset({"time", "_random", "posix", "nt", "_io", "_socket", "_thread", "_signal"})
_CORE_REFUSED = frozenset(
    [
        "memory_stats",
        "set_threads",
        "set_memory_cap",
        "empty_cache",
        "clear_caches",
        "cache_stats",
        "set_anomaly",
        "load_object",
        "install",
        "data_ptr",
        "from_dlpack",
        "from_buffer_borrowed",
    ]
)


def unwatched(function):
    """Work of twain's own that a recording must not look into: what it does never shows in a result."""

    def run(*args):
        profile = sys.getprofile()
        if type(profile) is not Watch:  # nobody, or a profiler of the user's, who may look
            return function(*args)
        sys.setprofile(None)
        try:
            return function(*args)
        finally:
            sys.setprofile(profile)

    run.__name__ = function.__name__
    run.__doc__ = function.__doc__
    return run


class Watch:
    """The profile function of one recording.

    enter(frame) is called when a code object runs for the first time, and says whether begin(frame) is to be called
    whenever it runs; refuse(reason, frame) when something ran that
    can't be replayed; name_dynamically() when attributes are read by computed names; peek() when something may have
    looked into floats.
    """

    __slots__ = ("_passed", "_plain", "_trusted", "begin", "enter", "entered", "name_dynamically", "peek", "refuse")

    def __init__(self, enter, begin, refuse, name_dynamically, peek):
        self.enter = enter
        self.begin = begin
        self._plain: set = set()
        self.refuse = refuse
        self.name_dynamically = name_dynamically
        self.peek = peek
        self.entered: set = set()
        self._trusted: dict = {}
        self._passed: set = set()

    def __call__(self, frame, event, argument) -> None:
        if event == "call":
            code = frame.f_code
            if code not in self.entered:
                self.entered.add(code)
                if self.enter(frame):
                    self._plain.add(code)
            if code in self._plain:
                self.begin(frame)
        elif event == "c_call":
            self._called(frame, argument)

    def _called(self, frame, function) -> None:
        code = frame.f_code
        own = self._trusted.get(code)
        if own is None:
            own = self._trusted[code] = (is_own_code(code), is_trusted_code(code))
        name = function.__name__
        owner = getattr(function, "__self__", None)
        if owner is None or type(owner) is types.ModuleType:
            module = function.__module__ or (owner.__name__ if owner is not None else "")
            key = (module, name)
            if own[0]:
                if module in _NEVER or (module == "builtins" and name in ("print", "input", "open")):
                    self.refuse(f"calls {module}.{name}()", frame)
                elif module == "twain._core" and name in _CORE_REFUSED:
                    self.refuse(f"calls {name}(), which depends on more than its arguments", frame)
                return
            if key not in self._passed:
                if module == "twain._core":
                    if name in _CORE_REFUSED:
                        self.refuse(f"calls {name}(), which depends on more than its arguments", frame)
                        return
                else:
                    pure = _PURE_FUNCTIONS.get(module, ())
                    if pure is not None and name not in pure:
                        self.refuse(f"calls {'' if module == 'builtins' else module + '.'}{name}()", frame)
                        return
                self._passed.add(key)
            if name in _NAMING_FUNCTIONS and not own[1]:
                self.name_dynamically(frame)
        else:
            if name in _HOOKING and type(owner) is _core.Tensor:
                self.refuse(f"calls {name}(), which a plan can't leave behind", frame)
                return
            if own[0]:
                if type(owner).__module__ in _NEVER:
                    self.refuse(f"calls {type(owner).__name__}.{name}()", frame)
                return
            cls = owner if isinstance(owner, type) else type(owner)
            key = (cls, name)
            if key not in self._passed:
                if not _is_pure_method(cls, name):
                    self.refuse(f"calls {cls.__name__}.{name}()", frame)
                    return
                self._passed.add(key)
        if name not in _BLIND_FUNCTIONS and not own[0] and key[0] not in _BLIND_OWNERS:
            self.peek()


def _is_pure_method(cls: type, name: str) -> bool:
    if name in _REFUSED_METHODS:
        return False
    for base in cls.__mro__:
        if name in base.__dict__:
            cls = base
            break
    if cls in _PURE_TYPES or cls.__module__ in ("twain._core", "twain"):
        return True
    return cls.__module__ in _PURE_TYPE_MODULES and cls.__name__ != "_lru_cache_wrapper"


def user_line(frame=None) -> tuple:
    """(file, line) of the innermost frame of the user's code."""
    found, _ = _user_frame(frame or sys._getframe(1))
    return ("<unknown>", 0) if found is None else (found.f_code.co_filename, found.f_lineno)


def user_level() -> int:
    """The `stacklevel` with which the caller's warning shows the innermost line of the user's code."""
    return _user_frame(sys._getframe(1))[1]


def _user_frame(frame) -> tuple:
    """(the innermost frame of the user's code, if there is one; the number of frames to it, 1 for `frame` itself)"""
    level = 1
    while frame is not None:
        if not is_trusted_code(frame.f_code) and not frame.f_code.co_filename.startswith("<frozen"):
            break
        frame, level = frame.f_back, level + 1
    return frame, level
