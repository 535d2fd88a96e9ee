"""How the reader calls what the demo proposes next: through ./dev in a checkout, else by the installed names.

And how the demo lists such things, in the 80 columns of a new terminal window."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path


def call(program: str = "demo") -> str:
    """The start of a command line: for "demo" this demo, for "twain" the command twain."""
    environment = Path(".venv")
    in_checkout = Path("dev").is_file() and environment.is_dir() and environment.resolve() == Path(sys.prefix).resolve()
    if program == "demo":
        return "./dev demo" if in_checkout else "python -m twain.demo"
    folder = "Scripts" if sys.platform == "win32" else "bin"
    return f".venv/{folder}/twain" if in_checkout else "twain"


def print_table(title: str, rows: Sequence[tuple[object, str]]) -> None:
    """A title, and each thing with what it is for (which may have several lines) beside it."""
    print(title)
    width = max(len(str(thing)) for thing, _ in rows)
    for thing, purpose in rows:
        print(f"  {str(thing).ljust(width)}  " + purpose.replace("\n", "\n" + " " * (width + 4)))
