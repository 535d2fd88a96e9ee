"""Running a case twice, eagerly and compiled, and comparing everything that can be seen of it, bit by bit.

A case is a function case(wrap) that builds a small world of its own, wraps the function under test, and returns a
function call(i) for the i-th call, whose result holds all that the case wants compared.
"""

from __future__ import annotations

import warnings

import twain
from twain import _core
from twain.runtime.compile import CompiledFunction, CompileWarning, compile

Tensor = _core.Tensor
CALLS = 13


def freeze(value: object, seen: dict | None = None) -> object:
    """A value as something that can be compared: tensors by dtype, shape, bits and requires_grad; aliasing included."""
    seen = {} if seen is None else seen
    if value is None or isinstance(value, (bool, int, str, bytes)):
        return (type(value).__name__, value)
    if isinstance(value, float):
        return (type(value).__name__, value.hex())
    if id(value) in seen:
        return ("seen", seen[id(value)])
    seen[id(value)] = len(seen)
    seen["keep", id(value)] = value
    if isinstance(value, Tensor):
        with twain.no_grad():
            bits = bytes(memoryview(value.detach()).tobytes()) if value.size else b""
        return (
            "tensor",
            str(value.dtype),
            tuple(value.shape),
            bits.hex(),
            value.requires_grad,
            freeze(value.grad, seen),
        )
    if isinstance(value, dict):
        return (type(value).__name__, [(freeze(k, seen), freeze(v, seen)) for k, v in value.items()])
    if isinstance(value, (list, tuple)):
        return (type(value).__name__, [freeze(v, seen) for v in value])
    if isinstance(value, (set, frozenset)):
        return (type(value).__name__, sorted(repr(freeze(v)) for v in value))
    if isinstance(value, BaseException):
        return ("error", type(value).__name__, str(value))
    if hasattr(value, "__dict__"):
        return (type(value).__name__, freeze(vars(value), seen))
    return (type(value).__name__, repr(value))


def run(case, wrap, calls: int = CALLS) -> list:
    """What each call showed: the frozen result, or the error."""
    twain.random.seed(0)
    call = case(wrap)
    shown = []
    for i in range(calls):
        try:
            shown.append(freeze(call(i)))
        except Exception as error:
            shown.append(freeze(error))
    return shown


def check(case, kept: bool | None = True, reason: str = "", calls: int = CALLS) -> list[CompiledFunction]:
    """Eager and compiled must show the same. kept: whether a plan must have been replayed; reason: what must be said
    when it stays eager."""
    eager = run(case, lambda f: f, calls)
    made: list[CompiledFunction] = []

    def wrap(function):
        made.append(compile(function))
        return made[-1]

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        compiled = run(case, wrap, calls)
    text = "\n".join(f.explain() for f in made)
    for i, (a, b) in enumerate(zip(eager, compiled)):
        assert a == b, f"call {i} differs:\n eager    {a}\n compiled {b}\n{text}"
    replayed = sum(f.hits for f in made)
    if kept is True:
        assert replayed > 0, text
    elif kept is False:
        assert replayed == 0, text
        assert reason in text, text
        assert any(issubclass(w.category, CompileWarning) for w in caught), text
    return made


def values(*shape: int, start: float = 0.5, dtype: str = "float32") -> Tensor:
    """Some numbers that differ from each other."""
    count = 1
    for d in shape:
        count *= d
    return twain.reshape(twain.asarray([start + 0.37 * k - 0.01 * k * k for k in range(count)], dtype=dtype), shape)
