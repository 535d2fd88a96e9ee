"""What sort of thing a Python value is to a recording: which of them can be guarded, and how."""

from __future__ import annotations

import builtins
import functools
import os
import sys
import types
from collections import OrderedDict, defaultdict, deque

from .. import _core
from ..base.dtypes import DType

# Kinds of places. The first group has no inside.
CONSTANT = "constant"  # guarded by identity: None, functions of C, types of C, dtypes, enum members
VALUE = "value"  # guarded by type and value
FLOAT = "float"  # a float argument that is an input of the graph
ABSENT = "absent"
ALIAS = "alias"  # an object met before, by another path
OPAQUE = "opaque"  # has a state that nobody can look at
BLOB = "blob"  # a large container of plain values, compared as a whole
TENSOR = "tensor"
LIST = "list"
TUPLE = "tuple"
DICT = "dict"
SET = "set"
INSTANCE = "instance"
FUNCTION = "function"
METHOD = "method"
WRAPPER = "wrapper"  # staticmethod, classmethod, property, partial
CLASS = "class"
MODULE = "module"
CELL = "cell"

PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep

# Modules of the standard library whose own code keeps no state that a result could depend on.
_PURE_MODULES = (
    "abc", "_collections_abc", "collections", "contextlib", "copy", "copyreg", "dataclasses", "enum", "functools",
    "numbers", "operator", "types", "typing", "reprlib", "keyword", "heapq", "bisect", "fractions", "statistics",
)  # fmt: skip


def _pure_files() -> frozenset:
    files = set()
    library = os.path.dirname(os.__file__)
    for name in _PURE_MODULES:
        files.add(os.path.join(library, name + ".py"))
        files.add(os.path.join(library, name, "__init__.py"))
        files.add(f"<frozen {name}>")
    return frozenset(files)


_PURE_FILES = _pure_files()


def is_own_code(code: types.CodeType) -> bool:
    """Is this code of twain itself, which keeps its state where recordings see it?"""
    return code.co_filename.startswith(PACKAGE)


def is_own_module(module: types.ModuleType) -> bool:
    """Is this twain itself or a module of it?"""
    return (module.__dict__.get("__file__") or "").startswith(PACKAGE)


def is_trusted_code(code: types.CodeType) -> bool:
    """Does the code's own module hold nothing that could change a result?"""
    name = code.co_filename
    return name.startswith(PACKAGE) or name in _PURE_FILES


_VALUES = frozenset({int, float, complex, str, bytes, range})
_CONSTANTS = (
    type(None), bool, type(...), type(NotImplemented), DType, _core.Op, _core.Remembered, _core.UpdateMemory,
    types.BuiltinFunctionType,
    types.MethodDescriptorType, types.WrapperDescriptorType, types.ClassMethodDescriptorType,
    types.GetSetDescriptorType, types.MemberDescriptorType, types.CodeType, types.GenericAlias, types.MethodWrapperType,
)  # fmt: skip
_EXACT = {
    list: LIST, tuple: TUPLE, dict: DICT, set: SET, frozenset: SET, types.FunctionType: FUNCTION,
    types.MethodType: METHOD, staticmethod: WRAPPER, classmethod: WRAPPER, property: WRAPPER,
    functools.partial: WRAPPER, types.ModuleType: MODULE, types.CellType: CELL, types.SimpleNamespace: INSTANCE,
    deque: LIST, OrderedDict: DICT, defaultdict: DICT, types.MappingProxyType: OPAQUE, type: CLASS,
}  # fmt: skip
for _t in _VALUES:
    _EXACT[_t] = VALUE
for _t in _CONSTANTS:
    _EXACT[_t] = CONSTANT
if hasattr(_core, "Tensor"):
    _EXACT[_core.Tensor] = TENSOR

# C bases whose contents can be looked at; instances of Python classes on top of any other are opaque.
_OPEN_BASES = (
    object, list, tuple, dict, set, frozenset, int, float, complex, str, bytes, type, deque, OrderedDict, defaultdict,
    types.SimpleNamespace, types.ModuleType,
)  # fmt: skip
_CLASS_KINDS: dict[type, str] = {}


def kind_of(value: object) -> str:
    """The kind of a value, by its type."""
    cls = type(value)
    kind = _EXACT.get(cls)
    if kind is None:
        kind = _CLASS_KINDS.get(cls)
        if kind is None:
            if len(_CLASS_KINDS) > 4096:
                _CLASS_KINDS.clear()
            kind = _CLASS_KINDS[cls] = _kind_of_class(cls)
    if kind is CONSTANT and cls is types.BuiltinFunctionType:
        owner = value.__self__
        if owner is not None and not isinstance(owner, (types.ModuleType, type)):
            return OPAQUE if kind_of(owner) is OPAQUE else METHOD
    return kind


def _kind_of_class(cls: type) -> str:
    enum = sys.modules.get("enum")
    if enum is not None and issubclass(cls, enum.Enum):
        return CONSTANT
    if issubclass(cls, types.ModuleType):
        return MODULE
    if issubclass(cls, type):
        return CLASS
    if cls.__module__ in ("typing", "re") or cls.__name__ in ("Pattern", "TypeVar"):
        return CONSTANT
    if cls.__module__ in ("datetime", "decimal", "pathlib", "uuid") and cls.__hash__ is not None:
        return VALUE
    if issubclass(cls, _core.CompiledFunction):
        return WRAPPER
    if cls.__name__ == "_tuplegetter" and cls.__module__ in ("collections", "_collections"):
        return CONSTANT
    if cls.__module__ == "numpy" and issubclass(cls, (float, int, complex)):
        return VALUE
    if is_python_class(cls):
        base = next(c for c in cls.__mro__ if not is_python_class(c))
        if base in _OPEN_BASES or issubclass(base, BaseException):
            return INSTANCE
    return OPAQUE


def is_python_class(cls: type) -> bool:
    """Was `cls` made by a class statement (and not in C)?"""
    if not cls.__flags__ & 1 << 9:  # made at run time at all
        return False
    namespace = cls.__dict__
    if "__module__" not in namespace:
        return False
    slots = [v for v in namespace.values() if type(v) is types.MemberDescriptorType]
    if cls.__basicsize__ - cls.__base__.__basicsize__ > 8 * (len(slots) + 2):
        return False
    if any(k in namespace for k in ("__dict__", "__weakref__", "__slots__")):
        return True
    return any(b is not object and (is_python_class(b) or b in _OPEN_BASES) for b in cls.__bases__)


def is_own_class(cls: type) -> bool:
    """Is `cls` one of twain's, or derived from one?"""
    own = _OWN_CLASSES.get(cls)
    if own is None:
        if len(_OWN_CLASSES) > 4096:
            _OWN_CLASSES.clear()
        own = _OWN_CLASSES[cls] = any((c.__module__ or "").partition(".")[0] == "twain" for c in cls.__mro__)
    return own


_OWN_CLASSES: dict[type, bool] = {}


def same_value(a: object, b: object) -> bool:
    """Same type and same value; floats by bits."""
    if a is b:
        return True
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return a.hex() == b.hex()
    if isinstance(a, complex):
        return a.real.hex() == b.real.hex() and a.imag.hex() == b.imag.hex()
    return bool(a == b)


def is_plain_value(value: object) -> bool:
    return type(value) in _VALUES or value is None or type(value) is bool


BUILTINS = builtins.__dict__
