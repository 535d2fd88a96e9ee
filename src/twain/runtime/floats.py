"""Float arguments while recording: numbers that remember how they were computed from the call's own floats.

A plan gets the same expression, evaluated by Python again at each call, as a 0-d input, so that a learning-rate
schedule meets no guard. Comparing such a number guards the outcome; anything else that needs its value guards the
value.
"""

from __future__ import annotations

import operator

_LIMIT = 400  # characters of one expression


class FloatTracker:
    """The traced floats of one recording.

    values: {name: float}; fixed: names whose value has been looked at; outcomes: {condition: its truth value}.
    """

    __slots__ = ("active", "fixed", "outcomes", "values")

    def __init__(self):
        self.active = True
        self.values: dict[str, float] = {}
        self.fixed: set[str] = set()
        self.outcomes: dict[str, bool] = {}

    def trace(self, value: float) -> TracedFloat:
        """`value` as a new variable."""
        name = f"a{len(self.values)}"
        self.values[name] = value
        return TracedFloat.make(self, value, name, frozenset((name,)))

    def fix(self, names=None) -> None:
        """The value of these variables (None: of all) has been looked at, so it will be guarded."""
        if self.active:
            self.fixed.update(self.values if names is None else names)


class TracedFloat(float):
    """A float with the Python expression that gave it."""

    __slots__ = ("names", "source", "tracker")

    @staticmethod
    def make(tracker: FloatTracker, value: float, source: str, names: frozenset) -> TracedFloat:
        result = float.__new__(TracedFloat, value)
        result.tracker = tracker
        result.source = source
        result.names = names
        return result

    def fix(self) -> None:
        self.tracker.fix(self.names)

    def __reduce_ex__(self, protocol):
        self.fix()
        return float, (float.__add__(self, 0.0),)


def plain(value: object) -> object:
    """The same number as an ordinary float."""
    return float.__pos__(value) if type(value) is TracedFloat else value


def _operand(other: object) -> tuple | None:
    """(source, names) of a number that can stand in an expression."""
    kind = type(other)
    if kind is TracedFloat:
        return other.source, other.names
    if kind is int or kind is bool or (kind is float and other - other == 0.0):
        return f"({other!r})", frozenset()
    return None


def _binary(name: str, symbol: str, reflected: bool = False):
    function = getattr(float, name)

    def method(self, other, *rest):
        value = function(self, plain(other), *rest)
        if value is NotImplemented or not self.tracker.active:
            if isinstance(other, complex):
                self.fix()
            return value
        operand = None if rest else _operand(other)
        if operand is None or type(value) is not float or len(self.source) + len(operand[0]) > _LIMIT:
            self.fix()
            if type(other) is TracedFloat:
                other.fix()
            return value
        left, right = (operand[0], self.source) if reflected else (self.source, operand[0])
        return TracedFloat.make(self.tracker, value, f"({left} {symbol} {right})", self.names | operand[1])

    method.__name__ = name
    return method


def _unary(name: str, template: str):
    function = getattr(float, name)

    def method(self):
        value = function(self)
        if not self.tracker.active:
            return value
        if len(self.source) > _LIMIT:
            self.fix()
            return value
        return TracedFloat.make(self.tracker, value, template.format(self.source), self.names)

    method.__name__ = name
    return method


def _compare(name: str, symbol: str):
    function = getattr(float, name)

    def method(self, other):
        value = function(self, plain(other))
        if value is NotImplemented or not self.tracker.active:
            return value
        operand = _operand(other)
        if operand is None:
            self.fix()
            if type(other) is TracedFloat:
                other.fix()
        else:
            self.tracker.outcomes[f"{self.source} {symbol} {operand[0]}"] = value
        return value

    method.__name__ = name
    return method


def _fixing(name: str):
    function = getattr(float, name)

    def method(self, *args):
        self.fix()
        return function(self, *args)

    method.__name__ = name
    return method


def _truth(self):
    value = float.__bool__(self)
    if self.tracker.active:
        self.tracker.outcomes[f"{self.source} != 0"] = value
    return value


def _fill() -> None:
    for stem, symbol in (
        ("add", "+"), ("sub", "-"), ("mul", "*"), ("truediv", "/"), ("floordiv", "//"), ("mod", "%"), ("pow", "**"),
    ):  # fmt: skip
        setattr(TracedFloat, f"__{stem}__", _binary(f"__{stem}__", symbol))
        setattr(TracedFloat, f"__r{stem}__", _binary(f"__r{stem}__", symbol, reflected=True))
    for name, template in (("__neg__", "(-{})"), ("__pos__", "{}"), ("__abs__", "abs({})")):
        setattr(TracedFloat, name, _unary(name, template))
    for stem, symbol in (("lt", "<"), ("le", "<="), ("gt", ">"), ("ge", ">="), ("eq", "=="), ("ne", "!=")):
        setattr(TracedFloat, f"__{stem}__", _compare(f"__{stem}__", symbol))
    for name in (
        "__hash__", "__int__", "__trunc__", "__floor__", "__ceil__", "__round__", "__repr__", "__str__", "__format__",
        "__divmod__", "__rdivmod__",
        "is_integer", "as_integer_ratio", "hex", "conjugate", "__float__", "__getnewargs__",
    ):  # fmt: skip
        setattr(TracedFloat, name, _fixing(name))
    TracedFloat.__bool__ = _truth
    for name in ("real", "imag"):
        setattr(TracedFloat, name, property(_fixing_part(name)))


def _fixing_part(name: str):
    get = operator.attrgetter(name)

    def part(self):
        self.fix()
        return get(plain(self))

    return part


_fill()
