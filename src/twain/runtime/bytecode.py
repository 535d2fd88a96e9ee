"""What a code object may touch, read off its instructions: the names a recording has to guard.

Over-approximate on purpose: a name too many costs one guard, a name too few could be a silent difference.
"""

from __future__ import annotations

import dis
from types import CodeType

from .kinds import is_trusted_code

# Names through which attributes are read or written by a name that isn't in the code.
DYNAMIC_NAMES = frozenset(
    {"__dict__", "__getattribute__", "__slots__", "attrgetter", "methodcaller", "vars", "getattr_static", "locals"}
)
# Names of callables that look into a float without telling it.
FLOAT_PEEKING_NAMES = frozenset({"type", "complex", "Decimal", "Fraction", "__class__", "struct", "ctypes", "array"})

_GLOBAL_LOADS = frozenset({"LOAD_GLOBAL", "LOAD_NAME"})
_GLOBAL_STORES = frozenset({"STORE_GLOBAL", "DELETE_GLOBAL"})
_ATTRIBUTE_LOADS = frozenset({"LOAD_ATTR", "LOAD_METHOD"})
_CELL_LOADS = frozenset({"LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_DEREF"})


class CodeFacts:
    """names: every attribute, global and identifier-like string constant it mentions.
    globals, cells: {name: tree of attribute chains read from it}; an empty tree means that the object itself is used.
    imports: (module name, level, names taken from it). dynamic: reads attributes by computed names.
    uses_sets: iterates in an order that may be the order of addresses.
    sees_floats: may read a float's value in a way that a traced float can't notice.
    """

    __slots__ = ("cells", "dynamic", "globals", "imports", "names", "nested", "sees_floats", "uses_sets")

    def __init__(self, code: CodeType, trusted: bool):
        names = set(code.co_names)
        self.nested = []
        self.imports = []
        self.sees_floats = False
        self.uses_sets = "set" in names or "frozenset" in names
        for constant in code.co_consts:
            self._constant(constant, names)
        self.globals: dict = {}
        self.cells: dict = {}
        self.names = frozenset(names)
        self.dynamic = not DYNAMIC_NAMES.isdisjoint(names)
        if trusted:  # its names are enough, and quicker to find
            self.globals = {name: {} for name in code.co_names}
            self.sees_floats = True
        else:
            self.sees_floats = self.sees_floats or not FLOAT_PEEKING_NAMES.isdisjoint(names)
            self._read(code)

    def _read(self, code: CodeType) -> None:
        chain = None  # the tree that the attribute load right behind would extend
        constants: list = []
        for instruction in dis.get_instructions(code):
            name = instruction.opname
            if name in _GLOBAL_LOADS:
                chain = self.globals.setdefault(instruction.argval, {})
                chain = self._open(chain)
            elif name in _GLOBAL_STORES:
                self.globals.setdefault(instruction.argval, {})[None] = None
                chain = None
            elif name in _CELL_LOADS:
                chain = self._open(self.cells.setdefault(instruction.argval, {}))
            elif name in _ATTRIBUTE_LOADS and chain is not None:
                tree, bare = chain
                if bare:
                    tree.pop(None, None)
                chain = self._open(tree.setdefault(instruction.argval, {}))
            elif name in ("PUSH_NULL", "CACHE", "PRECALL", "EXTENDED_ARG"):
                pass
            else:
                chain = None
                if name in ("LOAD_CONST", "LOAD_SMALL_INT"):
                    constants.append(instruction.argval)
                elif name == "IMPORT_NAME":
                    level, taken = constants[-2:] if len(constants) >= 2 else (0, None)
                    self.imports.append((instruction.argval, level or 0, tuple(taken or ())))
                elif name in ("BUILD_SET", "SET_ADD"):
                    self.uses_sets = True
                elif name == "BINARY_MODULO" or (name == "BINARY_OP" and "%" in instruction.argrepr):
                    self.sees_floats = True

    @staticmethod
    def _open(tree: dict) -> tuple:
        """Enter `tree`; it counts as used itself unless an attribute load follows."""
        bare = None not in tree
        tree[None] = None
        return tree, bare

    def _constant(self, constant: object, names: set) -> None:
        kind = type(constant)
        if kind is str:
            if constant.isidentifier():
                names.add(constant)
        elif kind is tuple or kind is frozenset:
            for item in constant:
                self._constant(item, names)
        elif kind is CodeType:
            self.nested.append(constant)
        elif kind is complex:
            self.sees_floats = True


_CACHE: dict[CodeType, CodeFacts] = {}


def facts_of(code: CodeType) -> CodeFacts:
    """The facts of a code object, worked out once."""
    facts = _CACHE.get(code)
    if facts is None:
        if len(_CACHE) > 4096:
            _CACHE.clear()
        facts = _CACHE[code] = CodeFacts(code, is_trusted_code(code))
    return facts
