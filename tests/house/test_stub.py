"""The stub of the native core names all that is there, and nothing else."""

import ast
import inspect
from pathlib import Path

import twain
from twain import _core
from twain.base.foreign import Unknown

STUB = Path(twain.__file__).parent / "_core.pyi"
# What every class and module has; __buffer__ is a method from Python 3.12 on only.
GIVEN = {
    "__buffer__",
    *dir(object),
    *dir(type),
    "__call__",
    "__doc__",
    "__file__",
    "__loader__",
    "__name__",
    "__package__",
    "__spec__",
}


def declared(body: list) -> set[str]:
    found = set()
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.AnnAssign):
            found.add(node.target.id)
    return found


def public(names) -> set[str]:
    """Without those that tests of the core give the Tensor type and can't take away again."""
    return {name for name in names if not name.startswith("_") and not name.endswith("_for_test")}


def test_the_stub_is_complete():
    tree = ast.parse(STUB.read_text(encoding="utf-8"))
    assert public(declared(tree.body)) == public(dir(_core))


def test_its_classes_are_complete():
    tree = ast.parse(STUB.read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and not any(getattr(n, "name", "") == "__getattr__" for n in node.body):
            there = getattr(_core, node.name)
            hints = {name for name in dir(there) if isinstance(inspect.getattr_static(there, name), Unknown)}
            assert public(declared(node.body)) == public(dir(there)) - hints, node.name
            special = declared(node.body) - public(declared(node.body)) - GIVEN
            assert not [name for name in special if not hasattr(there, name) and name != "__hash__"], node.name
