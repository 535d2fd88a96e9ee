"""Checks the order of the house: imports go down only, and no file grows too long.

`python tools/house.py` prints what is wrong; tests/house/ asks the same functions. Standard library only.
"""

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "twain"
LONGEST_FILE = 800

# A room may import rooms with a lower number, and itself. Rooms that share a number do not know each other.
ROOMS = {
    "base": 0,
    "ir": 1,
    "ops": 2,
    "passes": 3,
    "transforms": 4,
    "codegen": 4,
    "runtime": 5,
    "tensor": 6,
    "linalg": 7,
    "fft": 7,
    "extend": 7,
    "sparse": 7,
    "nn": 7,
    "data": 7,
    "profiling": 8,
    "io": 7,
    "optim": 8,
    "train": 9,
}
# The native core knows no Python room, so every room may import it.
CORE = "_core"
# What `import twain` gives is assembled above every room.
FACADE = "__init__"
# The facade's table of what is loaded when first used.
EXPORTS = "exports"
# Programs rather than libraries: they may put several satellites together.
PROGRAMS = ("demo", "cli", "__main__")
# Rooms whose users may ask for a satellite, by a LazyModule that is loaded when they do. No other string names a satellite.
ON_REQUEST = {("train", "board")}
# For tests only: it may look into every room, and no room may import it.
TESTING = "testing"


def imported(tree: ast.AST, module: str, is_package: bool) -> list[tuple[int, str]]:
    """The twain modules that a file imports, as (line, absolute dotted name)."""
    package = module if is_package else module.rpartition(".")[0]
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")
                parents = parents[: len(parents) - node.level + 1]
                base = ".".join([*parents, base] if base else parents)
            # `from twain import nn` and `from . import node` name modules, not only attributes.
            found += [(node.lineno, f"{base}.{alias.name}") for alias in node.names]
    return [(line, name) for line, name in found if name.split(".")[0] == "twain"]


def room_of(name: str) -> str:
    """The room of a dotted name: twain.ops.reduce.sum -> ops; what only the facade holds -> __init__."""
    head = [*name.split("."), FACADE][1]
    known = head in ROOMS or head == CORE
    if head == EXPORTS:
        return FACADE
    return head if known or (PACKAGE / head).is_dir() or (PACKAGE / f"{head}.py").exists() else FACADE


def complaint(room: str, name: str) -> str | None:
    """Why a file in `room` may not import `name`, or None."""
    target = room_of(name)
    if target in (room, CORE) or room in (FACADE, EXPORTS, TESTING):
        return None
    if target == TESTING:
        return "only tests import twain.testing"
    if room in ROOMS:
        if target == FACADE:
            return "a room imports the rooms below it, not the finished `twain`"
        if target not in ROOMS:
            return f"{target} is a satellite; no room knows one"
        if ROOMS[target] >= ROOMS[room]:
            return f"{target} ({ROOMS[target]}) is not below {room} ({ROOMS[room]})"
        return None
    if target != FACADE and target not in ROOMS and room not in PROGRAMS:
        return f"{target} is another satellite"
    if target in ROOMS and not is_public(name):
        return "a satellite uses the public API only: twain.<name>, or a room's own names (twain.nn.Linear)"
    return None


def is_public(name: str) -> bool:
    """Public are the names that a user's own program may import: rooms from nn up, and twain's top level."""
    parts = name.split(".")
    return ROOMS[parts[1]] >= ROOMS["nn"] and not any(part.startswith("_") for part in parts)


def local_imports(tree: ast.AST, module: str, is_package: bool) -> list[tuple[int, str]]:
    """Imports of twain's own modules inside functions: they are where layering dies."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            found += imported(node, module, is_package)
    return sorted(set(found))


def lazy_satellites(tree: ast.AST, room: str) -> list[tuple[int, str]]:
    """LazyModules of satellites that a room may not ask for, as (line, name)."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "LazyModule":
            name = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else ""
            satellite = room_of(name) if name.startswith("twain.") else ""
            if room in ROOMS and satellite not in ("", CORE, FACADE, *ROOMS) and (room, satellite) not in ON_REQUEST:
                found.append((node.lineno, name))
    return found


def check_imports(folder: Path = PACKAGE) -> list[str]:
    """Every import of src/twain that breaks a rule, one line each."""
    wrong = []
    for path in sorted(folder.rglob("*.py")):
        relative = path.relative_to(folder)
        parts = ["twain", *relative.with_suffix("").parts]
        is_package = parts[-1] == "__init__"
        module = ".".join(parts[:-1] if is_package else parts)
        room = parts[1]
        try:
            tree = ast.parse(path.read_text(), str(path))
        except SyntaxError as error:
            wrong.append(f"src/twain/{relative}:{error.lineno}: {error.msg}")
            continue
        for line, name in imported(tree, module, is_package):
            reason = complaint(room, name)
            if reason:
                wrong.append(f"src/twain/{relative}:{line}: imports {name}: {reason}")
        for line, name in local_imports(tree, module, is_package):
            wrong.append(f"src/twain/{relative}:{line}: imports {name} inside a function")
        for line, name in lazy_satellites(tree, room):
            wrong.append(f"src/twain/{relative}:{line}: loads the satellite {name}, which ON_REQUEST doesn't list")
    return wrong


def check_lengths() -> list[str]:
    """Files of the core and the package that are longer than anyone wants to read."""
    wrong = []
    files = [path for suffix in ("cpp", "h", "hpp") for path in (ROOT / "csrc").rglob(f"*.{suffix}")]
    for path in sorted([*files, *PACKAGE.rglob("*.py")]):
        lines = path.read_bytes().count(b"\n")
        if lines > LONGEST_FILE:
            wrong.append(f"{path.relative_to(ROOT)}: {lines} lines, more than {LONGEST_FILE}")
    return wrong


if __name__ == "__main__":
    problems = check_imports() + check_lengths()
    print("\n".join(problems))
    sys.exit(1 if problems else 0)
