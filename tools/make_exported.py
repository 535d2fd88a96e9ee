"""Writes src/twain/exported.pyi, which tells type checkers and editors of the names that `twain` loads when first used:
`python tools/make_exported.py`."""

from pathlib import Path

from twain.exports import FUNCTIONS, ROOMS

TARGET = Path(__file__).resolve().parent.parent / "src" / "twain" / "exported.pyi"


def text() -> str:
    """The whole stub."""
    lines = ["# Made from exports.py by tools/make_exported.py: for type checkers and editors only."]
    lines += [f"from . import {name} as {name}" for name in sorted(ROOMS) if ROOMS[name] == f"twain.{name}"]
    for module, names in sorted(FUNCTIONS.items()):
        relative = module.removeprefix("twain")
        lines.append(f"from {relative} import (")
        lines += [f"    {name} as {name}," for name in sorted(names.split())]
        lines.append(")")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    TARGET.write_text(text())
