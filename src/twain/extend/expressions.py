"""Ops from kernel expressions, and from compositions of other ops."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..base import dtypes as dt
from ..base.errors import ArgumentError
from ..ir.op import REGISTRY
from ..ops import families
from .declaring import binder, check_name, keywords, parameters_of

_KINDS = {"floating": dt.FLOATING, "real": dt.REAL, "inexact": dt.INEXACT, "numeric": dt.NUMERIC, "any": dt.ANY}


def _dtypes(name: str, given: object) -> tuple:
    if isinstance(given, str):
        if given not in _KINDS:
            raise ArgumentError(
                f"[{name}] dtypes: expected one of {', '.join(_KINDS)} or a list of dtypes, got {given!r}"
            )
        return _KINDS[given]
    return tuple(dt.as_dtype(d, name) for d in given)  # type: ignore[attr-defined]


def _made(make: Callable, name: str, *args: object, **fields: object) -> Callable:
    """What a family makes, without a place in twain's table."""
    known = REGISTRY.pop(name, None)
    try:
        return make(name, *args, **fields)
    finally:
        REGISTRY.pop(name, None)
        if known is not None:
            REGISTRY[name] = known


def elementwise(
    kernel: Callable | None = None, /, *, derivatives: object = None, dtypes: object = "floating", to_float: bool = True,
    result: object = "same", name: str | None = None,
) -> Callable:  # fmt: skip
    """An op that computes each element of its result from the corresponding elements of its operands, which broadcast.

    A decorator of kernel(k, x, ..., *, static arguments): an expression in k, the builder of kernels (`help(twain.extend.k)`
    lists its functions), and ordinary operators. It is called once per dtype and becomes vector code; half precision
    arrives as float32. The op joins its neighbours' kernels in compiled functions.

    derivatives: per operand a function (x, ..., y) -> the partial derivative, y the result, in twain's ops (with the static
    arguments as keywords); or 1, -1, or None for none. One function will do for one operand. Any order and both modes
    follow. Without it the op has no derivative.
    dtypes: what it takes: "floating", "real", "inexact", "numeric", "any", or a list. to_float: whether ints and bools
    count as float32. result: "same", "bool", or "real" (of complex operands).
    """
    if kernel is None:
        return lambda k: elementwise(
            k, derivatives=derivatives, dtypes=dtypes, to_float=to_float, result=result, name=name
        )
    function = "extend.elementwise"
    operands, static = parameters_of(function, kernel, 1)
    title = check_name(function, name or kernel.__name__)
    if not operands:
        raise ArgumentError(f"[{function}] expected a kernel of k and at least one operand, got {title}")
    if not isinstance(derivatives, (tuple, list)):
        derivatives = None if derivatives is None else (derivatives,)
    if derivatives is not None and len(derivatives) != len(operands):
        raise ArgumentError(
            f"[{function}] derivatives: expected {len(operands)}, one per operand, got {len(derivatives)}"
        )
    attributes = binder(title, static)

    def with_static(k, attrs, *values):
        return kernel(k, *values, **keywords(list(static), attrs))

    op = _made(
        families.elementwise, title, len(operands), kernel if attributes is None else with_static,
        dtypes=_dtypes(function, dtypes), to_float=to_float, result=result, names=tuple(operands), attributes=attributes,
        doc=kernel.__doc__ or "", derivatives=None if derivatives is None or static else tuple(derivatives),
    )  # fmt: skip
    if static and derivatives is not None:
        _static_rules(op.record, list(static), derivatives)
    return op


def _static_rules(record, static: list[str], derivatives: Sequence) -> None:
    """Derivatives that get static arguments as keywords."""

    def rules(attrs) -> tuple:
        given = keywords(static, attrs)
        bound = [(lambda *v, d=d: d(*v, **given)) if callable(d) else d for d in derivatives]
        return families.elementwise_rules(record.name, tuple(bound), None)

    record.vjp = lambda attrs, *rest: rules(attrs)[0](attrs, *rest)
    record.jvp = lambda attrs, *rest: rules(attrs)[1](attrs, *rest)
    record.differentiable = True


def composition(function: Callable | None = None, /, *, name: str | None = None) -> Callable:
    """An op that is a function of other ops: one call, one entry on the tape, and compiled, even in eager code, as one.

    A decorator of function(x, ..., *, static arguments). It is traced once per shapes and dtypes, so it can't read values;
    derivatives and batching follow from what it is made of. For a derivative of its own use `twain.custom_gradient` inside.
    """
    if function is None:
        return lambda f: composition(f, name=name)
    operands, static = parameters_of("extend.composition", function)
    title = check_name("extend.composition", name or function.__name__)

    def composed(attrs, *values):
        return function(*values, **keywords(list(static), attrs))

    return _made(
        families.composite, title, len(operands), composed, attributes=binder(title, static), names=tuple(operands),
        doc=function.__doc__ or title,
    )  # fmt: skip
