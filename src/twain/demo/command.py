"""The demo's command line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import twain

from . import digits, text
from .invocation import call


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; returns the exit status (1 where an accuracy or a comparison is not what it should be)."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(prog="python -m twain.demo", description="Train a small network on real data.")
    parser.add_argument("what", nargs="?", default="digits", choices=["digits", "text"], help="the data (digits)")
    parser.add_argument("sentence", nargs="*", help="with text: what to guess the language of")
    parser.add_argument("--eager", action="store_true", help="run every step op by op instead of compiled")
    parser.add_argument("--epochs", type=int, help="epochs to train for")
    parser.add_argument("--seed", type=int, default=0, help="of parameters and order (0)")
    parser.add_argument("--out", type=Path, default=Path("demo-output"), help="folder for the results (demo-output)")
    options = parser.parse_args(given)
    if options.epochs is not None and options.epochs < 1:
        parser.error("--epochs must be at least 1")
    if options.what == "digits" and options.sentence:
        parser.error(f"a sentence goes with text: {call()} text " + " ".join(options.sentence))
    if options.eager:
        twain.config.eager = True
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        parser.error(f"can't make the folder {options.out}: {error.strerror}")
    try:
        if options.what == "text":
            return text.run(options.out, options.epochs, options.seed, " ".join(options.sentence))
        return digits.run(options.out, options.epochs, options.seed)
    except KeyboardInterrupt:
        return 130
