"""What the ways to make an op share: names, static arguments, gradients written as functions of twain's ops."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence

from .. import _core
from ..base.errors import ArgumentError
from ..ir.node import Spec
from ..ir.op import OpRecord, as_value, documentation, signature
from ..ops import elementwise, index, linalg, reduce, shape
from ..ops.families import fit_gradient, late

REQUIRED = inspect.Parameter.empty


# Passes know these by name: rewrites of what they are mustn't meet an op of the same name.
RESERVED = frozenset(
    op.record.name
    for m in (elementwise, index, linalg, reduce, shape)
    for op in vars(m).values()
    if type(op) is _core.Op
)


def check_name(function: str, name: object) -> str:
    """A name for a new op. It may be that of an op of twain's, but for the basic ones."""
    if not isinstance(name, str) or not name or name == "<lambda>":
        raise ArgumentError(f"[{function}] name: expected a name for the op, got {name!r}")
    if name in RESERVED:
        raise ArgumentError(f"[{function}] name: expected a new name, got {name!r}, which is an op of twain's")
    return name


def parameters_of(function: str, given: Callable, skip: int = 0) -> tuple[list[str], dict]:
    """(names of the operands, {name of a static argument: default}) of a Python function.

    Operands are positional without a default; keyword-only arguments are static.
    """
    if not callable(given):
        raise ArgumentError(f"[{function}] expected a function, got {type(given).__name__}")
    operands: list[str] = []
    static: dict = {}
    for p in list(inspect.signature(given).parameters.values())[skip:]:
        if p.kind is p.KEYWORD_ONLY:
            static[p.name] = p.default
        elif p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) and p.default is REQUIRED:
            operands.append(p.name)
        else:
            raise ArgumentError(
                f"[{function}] expected operands without defaults, then static arguments as keywords only (after a *), got "
                f"{given.__name__}{inspect.signature(given)}"
            )
    return operands, static


def binder(name: str, static: dict) -> Callable | None:
    """`attributes` of an op with these static arguments: keywords -> their values as a tuple."""
    if not static:
        return None

    def attributes(**given: object) -> tuple:
        for unknown in set(given) - set(static):
            raise ArgumentError(f"[{name}] expected keywords among {', '.join(static)}, got {unknown}")
        values = []
        for key, default in static.items():
            value = given.get(key, default)
            if value is REQUIRED:
                raise ArgumentError(f"[{name}] {key}: expected a value, got none")
            value = tuple(value) if isinstance(value, list) else value
            try:
                hash(value)
            except TypeError:
                raise ArgumentError(
                    f"[{name}] {key}: expected a hashable value (a number, str, bool, tuple), got {type(value).__name__}"
                ) from None
            values.append(value)
        return tuple(values)

    return attributes


def keywords(static: Sequence[str], attrs: object) -> dict:
    """Static arguments as keywords again."""
    return dict(zip(static, attrs)) if isinstance(attrs, tuple) else {}


def finished(record: OpRecord):
    """The callable of a record that isn't in the op table."""
    op = _core.Op(record.name, record.arity, record)
    op.__doc__ = documentation(record)
    op.__text_signature__ = signature(record)
    return op


def values_of(name: str, what: str, result: object, count: int) -> list:
    """What a user's rule returned, as a list of `count` values or None."""
    found = list(result) if isinstance(result, (tuple, list)) else [result]
    if len(found) != count:
        raise ArgumentError(f"[{name}] {what}: expected {count} results, got {len(found)}")
    return [as_value(x, name) for x in found]


def gradient_rule(name: str, gradient: Callable | None, static: Sequence[str]) -> Callable | None:
    """vjp of an op from gradient(*gradients of results, *operands, *results, **static) -> one per operand."""
    if gradient is None:
        return None

    def vjp(attrs, gradients, inputs, outputs, needs):
        result = gradient(*gradients, *inputs, *outputs, **keywords(static, attrs))
        found = values_of(name, "gradient", result, len(inputs))
        return [
            None
            if g is None or not n
            else fit_gradient(late.broadcast_to(g, x.shape) if g.ndim < x.ndim else g, x.spec)
            for g, x, n in zip(found, inputs, needs)
        ]

    return vjp


def tangent_rule(name: str, jvp: Callable | None, static: Sequence[str]) -> Callable | None:
    """jvp of an op from jvp(*tangents of operands, *operands, *results, **static) -> one per result."""
    if jvp is None:
        return None

    def rule(attrs, call, tangents, inputs, outputs):
        given = [late.zeros_like(x) if t is None else t for t, x in zip(tangents, inputs)]
        return values_of(name, "jvp", jvp(*given, *inputs, *outputs, **keywords(static, attrs)), len(outputs))

    return rule


def specs_from(name: str, result: object) -> tuple[Spec, ...]:
    """What a user's `result` function returned, as specs."""
    found = tuple(result) if isinstance(result, (tuple, list)) else (result,)
    for s in found:
        if type(s) is not Spec:
            raise ArgumentError(
                f"[{name}] result: expected twain.extend.spec(shape, dtype) or a list of them, got {s!r}"
            )
    return found
