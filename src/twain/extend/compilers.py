"""C and C++ source to a shared library: with the compiler that is there, else with the one in the package ziglang."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import sys

from ..base.errors import TwainError
from ..base.lazy import LazyModule
from ..codegen.targets import host
from ..runtime import cache

subprocess = LazyModule("subprocess")
tempfile = LazyModule("tempfile")
util = LazyModule("importlib.util")

PROLOGUE = "#include <stdbool.h>\n#include <stddef.h>\n#include <stdint.h>\n"
LANGUAGES = {"c": ("CC", ("cc", "gcc", "clang"), "cc"), "c++": ("CXX", ("c++", "g++", "clang++"), "c++")}
SOURCE = "source"  # the name that errors give the user's text


class CompileError(TwainError, ValueError):
    """Source that the compiler doesn't take, or no compiler."""


def find_compiler(language: str) -> list[str]:
    """The command of a compiler: $CC or $CXX, else what is on the path, else ziglang's."""
    variable, names, zig = LANGUAGES[language]
    given = os.environ.get(variable, "").split()
    if given and shutil.which(given[0]):
        return given
    for name in names:
        found = shutil.which(name)
        if found:
            return [found]
    if util.find_spec("ziglang") is not None:
        return [sys.executable, "-m", "ziglang", zig]
    raise CompileError(
        f"[extend.c_function] expected a {language.upper()} compiler ({', '.join(names)}, or ${variable}), found none; "
        "`pip install ziglang` brings one"
    )


def compile_source(source: str, epilogue: str, language: str, flags: tuple) -> ctypes.CDLL:
    """The shared library of `source`, compiled now or kept from an earlier time."""
    command = find_compiler(language)
    zig = "ziglang" in command
    options = ["-O3", "-shared", "-fPIC", *([] if zig else ["-march=native"]), *flags]
    text = f'{PROLOGUE}#line 1 "{SOURCE}"\n{source}\n#line 1 "signature"\n{epilogue}'
    name = cache.key("\0".join(["c function", language, *command, *options, text]), host())
    image = cache.get(name)
    if image is None:
        image = run_compiler([*command, *options], text, source, language)
        cache.put(name, image)
    return load(image)


def run_compiler(command: list[str], text: str, source: str, language: str) -> bytes:
    """The library's bytes; CompileError with the line that the compiler complains of."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "function" + (".c" if language == "c" else ".cpp"))
        library = os.path.join(folder, "function.so")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        done = subprocess.run([*command, path, "-o", library], capture_output=True, text=True, cwd=folder)
        if done.returncode:
            raise CompileError(complaint(done.stderr, source))
        with open(library, "rb") as file:
            return file.read()


def complaint(log: str, source: str) -> str:
    """The compiler's first error, with the user's line."""
    found = re.search(rf"^{SOURCE}:(\d+):(?:(\d+):)? (?:fatal )?error: (.*)$", log, re.MULTILINE)
    if found is None:
        against = re.search(r"^signature:\d+:(?:\d+:)? (?:fatal )?error: (.*)$", log, re.MULTILINE)
        if against is not None:
            return f"[extend.c_function] the function doesn't fit its signature: {against[1]}"
        return f"[extend.c_function] the compiler failed:\n{log.strip()}"
    number = int(found[1])
    lines = source.split("\n")
    line = lines[number - 1] if 0 < number <= len(lines) else ""
    return f"[extend.c_function] line {number} of the source: {found[3]}\n  {number:>4} | {line}\n\n{log.strip()}"


def load(image: bytes) -> ctypes.CDLL:
    """A library from its bytes; the file is gone once it is loaded."""
    handle, path = tempfile.mkstemp(suffix=".so", prefix="twain-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(image)
        return ctypes.CDLL(path)
    finally:
        os.unlink(path)
