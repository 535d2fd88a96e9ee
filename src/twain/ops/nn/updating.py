"""What the updates of all optimizers share: one step over all parameters as one op.

An update is a rule for one parameter, (terms, flags, value, gradient, *state) -> (new value, *new state), and a table of
what it needs. Around the rule is written once: step counters, the sign of `maximize`, weight decay, complex parameters
(their real and imaginary parts are parameters of their own, as in PyTorch), half precision, and leaving a step out.

Operands come in one list: scalars (0-d tensors) first, then the counters, then the tensors parameter by parameter.
Settings that are numbers are operands and not attributes, so that a schedule never leads to another kernel. Scalars are
computed in their own dtype (float64) and rounded once to the parameter's; half-precision parameters are updated in
float32.

Moments that decay become 0 in time: as denormals, their square roots and quotients would be several times slower.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...base import dtypes as dt
from ..complex_parts import complex
from ..elementwise import abs as abs_
from ..elementwise import cast, imag, less, real, where
from ..families import composite
from ..samples import Samples
from .rules import HALF

_REFERENCES = "twain.testing.update_references."
# Below this a decaying moment is 0. Far above the smallest normal number, as products with it count as well.
_TINY = {dt.float32: 1e-30, dt.float64: 1e-290}


class Terms:
    """Scalars by name, each rounded to the dtype in which a parameter is updated when it is asked for."""

    def __init__(self, values: dict[str, Any], dtype: Any = None, stored: Any = None):
        self._values = values
        self._dtype = dtype
        self.stored = stored  # the dtype that the parameter has, float16 and bfloat16 included

    def __getattr__(self, name: str) -> Any:
        value = self._values[name]
        return value if self._dtype is None else cast(value, self._dtype)


class Flags:
    """Static settings by name."""

    def __init__(self, names: tuple[str, ...], values: tuple):
        self.__dict__.update(zip(names, values))


class Update:
    """One optimizer's update.

    Args:
        name: of the op.
        scalars: names of the settings that are numbers, with the range in which tests try each.
        flags: names of static settings, "maximize", "weight_decay" and "decoupled_weight_decay" among them.
        state: (flags, number of dimensions) -> names of the tensors that belong to a parameter.
        rule: the update of one parameter.
        terms: (scalars, flags, counters) -> further scalars, and new values of the counters after the first: what is
            the same for all parameters with one counter is computed once. counters[0] is the step's number, from 1.
        counters: names of the 0-d tensors that parameters share; the first counts steps.
        flushed: state that decays.
        decayed: whether weight decay is applied here (or by the rule).
        tried: flags to test with; `ranges` of state for tests, by name.
    """

    def __init__(
        self, name: str, scalars: dict[str, tuple[float, float]], flags: tuple[str, ...], state: Callable, rule: Callable, *,
        terms: Callable | None = None, counters: tuple[str, ...] = ("step",), flushed: tuple[str, ...] = (),
        decayed: bool = True, tried: tuple[tuple, ...] = (), ranges: dict[str, tuple[float, float]] | None = None,
        shapes: Callable | None = None, shape: tuple[int, ...] = (3, 4),
    ):  # fmt: skip
        self.name = name
        self.scalars = tuple(scalars)
        self.flags = flags
        self.state = state
        self.rule = rule
        self.terms = terms
        self.counters = counters
        self.flushed = flushed
        self.decayed = decayed
        names = state(Flags(flags, tried[0]), len(shape))
        ranges = {"step": (0, 3), **(ranges or {})}
        domains = [*scalars.values(), *(ranges[c] for c in counters), (-5, 5), (-5, 5)]
        own = [shapes(n, shape) if shapes else shape for n in names]
        self.op = composite(
            name, -1, self._graph, attributes=_attributes, reference=_REFERENCES + name, doc=rule.__doc__,
            samples=Samples(
                (*domains, *(ranges.get(n, (-5, 5)) for n in names)), special=False,
                arguments=tuple((((0,), False, row), {}) for row in tried),
                shapes=((*((),) * (len(scalars) + len(counters)), shape, shape, *own),),
            ),
        )  # fmt: skip

    def __call__(self, skip: Any, scalars: list, operands: list, steps: tuple[int, ...], flags: tuple) -> Any:
        """New counters, then per parameter its new value and state.

        Args:
            skip: None, or a 0-d bool tensor: where it is true, everything stays as it is.
            scalars: in the order of `self.scalars`.
            operands: counters, then per parameter value, gradient and state.
            steps: steps[i] says which of the counters parameter i has.
            flags: in the order of `self.flags`.
        """
        if skip is None:
            return self.op([*scalars, *operands], steps, False, flags)
        return self.op([skip, *scalars, *operands], steps, True, flags)

    def _graph(self, attrs, *values):
        steps, guarded, given = attrs
        flags = Flags(self.flags, given)
        skip, values = (values[0], values[1:]) if guarded else (None, values)
        scalars = dict(zip(self.scalars, values))
        position, kinds = len(self.scalars), len(self.counters)
        results, known = [], []
        for _ in range(1 + max(steps)):
            old = values[position : position + kinds]
            position += kinds
            now = (old[0] + 1, *old[1:])
            extra, new = ({}, ()) if self.terms is None else self.terms(Terms(scalars), flags, now)
            known.append({**scalars, **extra})
            results += _kept(skip, old, [now[0], *new])
        for number in steps:
            p = values[position]
            width = 2 + len(self.state(flags, len(p.shape)))
            row = values[position : position + width]
            position += width
            if p.dtype.kind == "c":
                parts = [self._one(flags, known[number], [part(v) for v in row]) for part in (real, imag)]
                new = [complex(re, im) for re, im in zip(*parts)]
            else:
                new = self._one(flags, known[number], row)
            results += _kept(skip, (p, *row[2:]), new)
        return results

    def _one(self, flags, known, row):
        """The update of one real parameter, results in the dtypes of the operands."""
        p, g, *state = (cast(v, dt.float32) if v.dtype in HALF else v for v in row)
        k = Terms(known, p.dtype, row[0].dtype)
        if flags.maximize:
            g = -g
        if self.decayed and flags.weight_decay:
            if flags.decoupled_weight_decay:
                p = p * cast(1.0 - known["lr"] * known["weight_decay"], p.dtype)
            else:
                g = g + k.weight_decay * p
        value, *new = self.rule(k, flags, p, g, *state)
        names = self.state(flags, len(p.shape))
        new = [where(less(abs_(v), _TINY[v.dtype]), 0.0, v) if n in self.flushed else v for n, v in zip(names, new)]
        return [v if v.dtype is old.dtype else cast(v, old.dtype) for v, old in zip((value, *new), (row[0], *row[2:]))]


def _kept(skip, old, new):
    """The new values, or the old ones where the step is left out."""
    return new if skip is None else [where(skip, a, b) for a, b in zip(old, new)]


def _attributes(steps, guarded=False, flags=()):
    """steps[i] says which of the counters parameter i has; guarded: the first operand says whether to stay."""
    return (tuple(steps), bool(guarded), tuple(flags))
