"""Functions in C or C++ as ops: a source string or a shared library, a symbol, and what its arguments are."""

from __future__ import annotations

import ast
import ctypes
import os
import re
from collections.abc import Callable, Mapping

from ..base import dtypes as dt
from ..base.dtypes import DType
from ..base.errors import ArgumentError, ValueRangeError
from ..codegen.foreign import BY_VALUE
from ..ops.foreign import Argument, Foreign, Signature, foreign
from .compilers import LANGUAGES, CompileError, compile_source
from .declaring import REQUIRED, binder, check_name, finished, gradient_rule, tangent_rule

_HERE = "extend.c_function"
_C_TYPES = {
    dt.bool_: "bool", dt.int8: "int8_t", dt.int16: "int16_t", dt.int32: "int32_t", dt.int64: "int64_t",
    dt.uint8: "uint8_t", dt.uint16: "uint16_t", dt.uint32: "uint32_t", dt.uint64: "uint64_t", dt.float16: "uint16_t",
    dt.bfloat16: "uint16_t", dt.float32: "float", dt.float64: "double",
}  # fmt: skip
_COMPLEX = {("c", dt.complex64): "float _Complex", ("c", dt.complex128): "double _Complex"}


# ---------------------------------------------------------------- signatures
def parse_signature(text: object) -> Signature:
    """`"x: float32[n], a: float64 -> y: float32[n]"` as a Signature."""
    if not isinstance(text, str) or text.count("->") != 1:
        raise ArgumentError(
            f"[{_HERE}] signature: expected text such as 'x: float32[n], a: float64 -> y: float32[n]', got {text!r}"
        )
    left, right = text.split("->")
    inputs, results = _arguments(left, False), _arguments(right, True)
    if not results:
        raise ArgumentError(f"[{_HERE}] signature: expected at least one result after '->', got {text!r}")
    signature = Signature(inputs, results)
    every = [a for a in (*signature.arrays, *results) if a.any_shape]
    if every and len(every) != len(signature.arrays) + len(results):
        raise ArgumentError(f"[{_HERE}] signature: expected [...] for all arrays or for none, got {text!r}")
    if not signature.arrays:
        raise ArgumentError(f"[{_HERE}] signature: expected at least one array among the inputs, got {text!r}")
    for a in signature.numbers:
        if a.dtype not in BY_VALUE:
            raise ArgumentError(
                f"[{_HERE}] signature: expected numbers among {', '.join(d.name for d in BY_VALUE)}, got {a!r}"
            )
    for result in results:
        result.dims = tuple(_size(d, signature, text) for d in result.dims)
    return signature


def _arguments(text: str, results: bool) -> list[Argument]:
    found = []
    for part in re.findall(r"[^,\[\]]+(?:\[[^\]]*\])?", text):
        if not part.strip():
            continue
        match = re.fullmatch(r"\s*(\w+)\s*:\s*(\w+)\s*(?:\[([^\]]*)\])?\s*", part)
        if match is None:
            raise ArgumentError(f"[{_HERE}] signature: expected name: dtype[sizes], got {part.strip()!r}")
        name, dtype, inside = match.groups()
        if inside is None:
            dims = () if results else None
        elif inside.strip() == "...":
            dims = (...,)
        else:
            dims = tuple(int(d) if d.isdigit() else d for d in map(str.strip, inside.split(",")) if d)
            for d in dims:
                if not results and isinstance(d, str) and not d.isidentifier():
                    raise ArgumentError(f"[{_HERE}] signature: expected sizes that are names or numbers, got {d!r}")
        found.append(Argument(name, dt.as_dtype(dtype, _HERE), dims))
    return found


_OPERATIONS = {ast.Add: lambda a, b: a + b, ast.Sub: lambda a, b: a - b, ast.Mult: lambda a, b: a * b,
               ast.FloorDiv: lambda a, b: a // b}  # fmt: skip


def _size(dim: object, signature: Signature, text: str) -> object:
    """A result's size: a number, the name of a size, or a function of {name: size}."""
    if not isinstance(dim, str):
        return dim
    if dim in signature.size_names:
        return dim
    try:
        tree = ast.parse(dim, mode="eval").body
    except SyntaxError:
        raise ArgumentError(f"[{_HERE}] signature: expected a size, got {dim!r} in {text!r}") from None

    def build(node: ast.AST) -> Callable:
        if isinstance(node, ast.Constant) and type(node.value) is int:
            number = node.value
            return lambda sizes: number
        if isinstance(node, ast.Name) and node.id in signature.size_names:
            name = node.id
            return lambda sizes: sizes[name]
        if isinstance(node, ast.BinOp) and type(node.op) in _OPERATIONS:
            operation, left, right = _OPERATIONS[type(node.op)], build(node.left), build(node.right)
            return lambda sizes: operation(left(sizes), right(sizes))
        raise ArgumentError(
            f"[{_HERE}] signature: expected sizes made of numbers, + - * // and {', '.join(signature.size_names) or 'no names'}"
            f", got {dim!r}"
        )

    return build(tree)


def c_prototype(symbol: str, signature: str, *, status: bool = False) -> str:
    """The C declaration that `c_function` expects of a function with this signature."""
    return f"{'int' if status else 'void'} {symbol}({', '.join(_c_arguments(parse_signature(signature), True, 'c'))});"


def _c_arguments(signature: Signature, named: bool, language: str) -> list[str]:
    def text(argument: Argument, constant: bool) -> str:
        kind = _C_TYPES.get(argument.dtype) or _COMPLEX.get((language, argument.dtype), "void")
        kind = kind if argument.dims is None else f"{'const ' if constant else ''}{kind}*"
        return f"{kind} {argument.name}" if named else kind

    sizes = ["count"] if signature.elementwise else signature.size_names
    found = [text(a, True) for a in signature.inputs] + [text(r, False) for r in signature.results]
    return found + [f"int64_t {n}" if named else "int64_t" for n in sizes]


# ---------------------------------------------------------------- the function
def c_function(
    source_or_library: str | os.PathLike, symbol: str, signature: str, *, gradient: Callable | None = None,
    jvp: Callable | None = None, status: Mapping[int, str] | bool = False, threads: bool = False,
    language: str | None = None, flags: tuple | list = (), name: str | None = None,
) -> Callable:  # fmt: skip
    """An op that a function in C, or anything that is called like C, computes.

    source_or_library: source text (it has a brace or a line break), the path of a file of source (.c, .cpp, .cc, .cxx), or
        that of a shared library.
    symbol: the function's name; in C++ declare it extern "C".
    signature: arguments and results, such as "x: float32[n, m], a: float64 -> y: float32[n]". The function gets, in this
        order: the inputs as declared (arrays as const pointers to row-major elements, those without brackets as numbers by
        value), a pointer per result, and an int64_t for each size that the inputs name, in order of appearance. Sizes of
        results may be computed ("2 * n + 1"). `c_prototype` prints the C declaration. With [...] for all arrays the
        function is one of elements: operands broadcast to one shape, and it gets their number as its last argument.
    gradient, jvp: as for `python_function`.
    status: whether the function returns an int, 0 for success; else ForeignError is raised. A dict gives messages.
    threads: whether several threads may call it at once, for parts of a batch or of the elements.
    language: "c" or "c++"; by default what the file's name says, else C. flags: more for the compiler, such as "-lm".

    Arrays with more axes than declared are a batch: the function is called for each part. Numbers are keyword arguments of
    the op. Python's lock may be released meanwhile. Compiled libraries are kept in twain's cache. Raises CompileError with
    the line that the compiler complains of.
    """
    if not isinstance(symbol, str) or not symbol.isidentifier():
        raise ArgumentError(f"[{_HERE}] symbol: expected the name of a function, got {symbol!r}")
    parsed = parse_signature(signature)
    title = check_name(_HERE, name or symbol)
    library = _library(source_or_library, symbol, parsed, bool(status), language, tuple(flags))
    try:
        address = ctypes.cast(getattr(library, symbol), ctypes.c_void_p).value
    except AttributeError:
        raise CompileError(
            f'[{_HERE}] symbol: expected a function {symbol!r} in the library, found none; in C++ it must be extern "C"'
        ) from None
    messages = dict(status) if isinstance(status, Mapping) else {} if status else None
    static: dict = dict.fromkeys((a.name for a in parsed.numbers), REQUIRED)
    attributes = binder(title, static)
    record = foreign(
        title, Foreign(address or 0, library, parsed, messages, bool(threads)),
        attributes=None if attributes is None else lambda **given: _numbers(title, parsed, attributes(**given)),
        vjp=gradient_rule(title, gradient, list(static)), jvp=tangent_rule(title, jvp, list(static)),
        doc=c_prototype(symbol, signature, status=bool(status)),
    )  # fmt: skip
    return finished(record)


def _numbers(title: str, signature: Signature, values: tuple) -> tuple:
    """Numbers in the types that the function takes."""
    found = []
    for argument, value in zip(signature.numbers, values):
        if not isinstance(value, (bool, int, float)) or (argument.dtype.kind != "f" and isinstance(value, float)):
            raise ArgumentError(f"[{title}] {argument.name}: expected a number ({argument.dtype}), got {value!r}")
        if argument.dtype.kind in "iu":
            low = 0 if argument.dtype.kind == "u" else -(2 ** (argument.dtype.bits - 1))
            high = 2 ** (argument.dtype.bits - (argument.dtype.kind == "i"))
            if not low <= value < high:
                raise ValueRangeError(f"[{title}] {argument.name}: expected {low} to {high - 1}, got {value}")
        found.append(float(value) if argument.dtype.kind == "f" else int(value))
    return tuple(found)


def _library(given: object, symbol: str, signature: Signature, status: bool, language: str | None, flags: tuple):
    if language is not None and language not in LANGUAGES:
        raise ArgumentError(f"[{_HERE}] language: expected 'c' or 'c++', got {language!r}")
    if isinstance(given, str) and ("{" in given or "\n" in given):
        source = given
    else:
        path = os.fspath(given)  # type: ignore[call-overload]
        suffix = os.path.splitext(path)[1].lower()
        if suffix not in (".c", ".cpp", ".cc", ".cxx"):
            try:
                return ctypes.CDLL(path)
            except OSError as error:
                raise CompileError(
                    f"[{_HERE}] expected a shared library or a file of source, got {path!r}: {error}"
                ) from None
        language = language or ("c" if suffix == ".c" else "c++")
        with open(path, encoding="utf-8") as file:
            source = file.read()
    language = language or "c"
    return compile_source(source, _check(symbol, signature, status, language), language, flags)


def _check(symbol: str, signature: Signature, status: bool, language: str) -> str:
    """A line of C that doesn't compile if the function isn't what the signature says."""
    types: list[DType] = [a.dtype for a in (*signature.inputs, *signature.results)]
    if any(d.kind == "c" for d in types) and language == "c++":
        return ""
    arguments = ", ".join(_c_arguments(signature, False, language))
    result = "int" if status else "void"
    hidden = "__attribute__((unused)) " if language == "c" else "[[maybe_unused]] "
    pragma = '#pragma GCC diagnostic error "-Wincompatible-pointer-types"\n' if language == "c" else ""
    line = f'#line 1 "signature"\n{hidden}static {result} (*const twain_check_{symbol})({arguments}) = {symbol};\n'
    return pragma + line
