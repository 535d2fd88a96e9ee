"""Sizes that remember what they were computed from: how work done for one shape is made to serve others.

A `Size` stands for an int and behaves like one. Arithmetic gives Sizes; every question that the code asks (a comparison,
a truth, a conversion to an ordinary number) is answered for the numbers at hand and noted as a condition. A `SizeTrace`
turns what was computed into the text of a function of the symbols: it repeats the computation for other numbers if all
questions have the same answers, and else returns None. So code that is not aware of Sizes can at worst make the
function serve fewer shapes; it can't make it wrong.

Size is not a subclass of int, because C code would read such a number without asking.
"""

from __future__ import annotations

from . import shapes
from .errors import VerificationError

LARGEST = 1 << 56  # no array has as many elements, see csrc/tensor/meta.cpp


class SizeTrace:
    """What is computed of the symbols, and the conditions under which it holds."""

    def __init__(self) -> None:
        self.symbols: list[str] = []
        self.open = True
        self._bounds: dict[str, tuple] = {}
        self._values: dict[str, int] = {}
        self._sizes: dict[tuple, Size] = {}
        self._quotients: dict[tuple, Size] = {}
        self._conditions: set[str] = set()
        self._lines: list[str] = []
        self._named: dict[Size, str] = {}

    def symbol(self, value: int) -> Size:
        """The next symbol. Those of at least 2 stay so, those below -1 too."""
        name = f"s{len(self.symbols)}"
        self.symbols.append(name)
        return self._atom(name, value, (2, None) if value >= 2 else (None, -2) if value <= -2 else (None, None))

    def _atom(self, name: str, value: int, bounds: tuple) -> Size:
        self._bounds[name] = bounds
        self._values[name] = value
        return self.polynomial({(name,): 1})  # type: ignore[return-value]

    def polynomial(self, terms: dict) -> Size | int:
        """The one Size of a sum: {sorted names multiplied: factor}."""
        terms = {names: factor for names, factor in terms.items() if factor}
        if not terms:
            return 0
        if len(terms) == 1 and () in terms:
            return terms[()]
        key = tuple(sorted(terms.items()))
        found = self._sizes.get(key)
        if found is None:
            value = 0
            for names, factor in key:
                for name in names:
                    factor *= self._values[name]
                value += factor
            found = self._sizes[key] = Size(self, value, key)
        return found

    def bounds(self, terms: dict | tuple) -> tuple:
        """(least, largest) value of a sum, None where unknown."""
        low: int | None = 0
        high: int | None = 0
        for names, factor in terms.items() if type(terms) is dict else terms:
            least, most = self._term_bounds(names)
            if factor < 0:
                least, most = most, least
            low = None if low is None or least is None else low + factor * least
            high = None if high is None or most is None else high + factor * most
        return low, high

    def _term_bounds(self, names: tuple) -> tuple:
        if not names:
            return 1, 1
        if len(names) == 1:
            return self._bounds[names[0]]
        least: int | None = 1
        most: int | None = 1
        for name in names:
            low, high = self._bounds[name]
            if low is None or low < 0:
                return None, None
            least *= low
            most = None if most is None or high is None else most * high
        return least, most

    # -- arithmetic
    def add(self, a: Size | int, b: Size | int, factor: int = 1) -> Size | int:
        terms = dict(_terms(a))
        for names, f in _terms(b):
            terms[names] = terms.get(names, 0) + factor * f
        return self.polynomial(terms)

    def multiply(self, a: Size | int, b: Size | int) -> Size | int:
        terms: dict[tuple, int] = {}
        for left, f in _terms(a):
            for right, g in _terms(b):
                names = tuple(sorted(left + right)) if left and right else left or right
                terms[names] = terms.get(names, 0) + f * g
        return self.polynomial(terms)

    def divide(self, a: Size | int, b: Size | int) -> Size | int:
        """a // b."""
        exact = self._exact(a, b)
        if exact is not None:
            return exact
        key = (a, b) if type(a) is Size else (("constant", a), b)
        found = self._quotients.get(key)
        if found is None:
            low, high = self.bounds(_terms(a))
            least, most = self.bounds(_terms(b))
            bounds: tuple[int | None, int | None] = (None, None)
            if least is not None and least > 0:
                bounds = (
                    None if low is None else low // least if low < 0 else 0 if most is None else low // most,
                    None if high is None else high // least if high >= 0 else -1 if most is None else high // most,
                )
            elif int_of(b) == 0:
                raise ZeroDivisionError
            else:
                self.ask(b, "!=", 0, True)
            name = f"q{len(self._quotients)}"
            self._lines.append(f"{name} = {self.text(a)} // {self.text(b)}")
            found = self._quotients[key] = self._atom(name, int_of(a) // int_of(b), bounds)
        return found

    def _exact(self, a: Size | int, b: Size | int) -> Size | int | None:
        """a / b where that is a sum again: b is one term, which divides each of a's."""
        divisor = _terms(b)
        if len(divisor) != 1 or any((self._bounds[n][0] or 0) <= 0 for n in divisor[0][0]):
            return None
        wanted, by = divisor[0]
        terms = {}
        for names, factor in _terms(a):
            left = list(names)
            for name in wanted:
                if name not in left:
                    return None
                left.remove(name)
            if factor % by:
                return None
            terms[tuple(left)] = factor // by
        return self.polynomial(terms)

    # -- questions
    def ask(self, a: Size | int, relation: str, b: Size | int, known: bool | None = None) -> bool:
        """Whether a relation ("<" or "==", or with `known` any) holds, by what is known or as a condition."""
        if known is None:
            difference = self.add(a, b, -1)
            if type(difference) is int:
                return difference < 0 if relation == "<" else difference == 0
            low, high = self.bounds(difference.terms)  # type: ignore[union-attr]
            if relation == "<":
                if high is not None and high < 0 or type(b) is int and b >= LARGEST:
                    return True
                if low is not None and low >= 0 or type(a) is int and a >= LARGEST:
                    return False
            elif (low is not None and low > 0) or (high is not None and high < 0):
                return False
            value = difference.value  # type: ignore[union-attr]
            known = value < 0 if relation == "<" else value == 0
        if not self.open:
            raise VerificationError("[Size] a size was used after the trace that it belongs to")
        condition = f"{self.text(a)} {relation} {self.text(b)}"
        if condition not in self._conditions:
            self._conditions.add(condition)
            self._lines.append(f"if {'not ' if known else ''}({condition}): return None")
        return known

    def fix(self, a: Size) -> int:
        """The number itself, which is from now on the only one that the trace serves."""
        self.ask(a, "==", a.value, True)
        return a.value

    # -- text
    def text(self, a: object) -> str:
        """Python text of a Size or an int; other values as they print."""
        if type(a) is not Size:
            return repr(a)
        names = self._named.get(a)
        if names is None:
            parts = []
            for factors, factor in a.terms:
                product = "*".join(factors)
                parts.append(f"{factor}*{product}" if product and factor != 1 else product or str(factor))
            names = "+".join(parts)
            if len(a.terms) > 1 or "*" in names:
                line = names
                names = f"p{len(self._named)}"
                self._lines.append(f"{names} = {line}")
            self._named[a] = names
        return names

    def literal(self, value: object) -> str:
        """The text of nested tuples and lists of Sizes and ints."""
        if type(value) is tuple:
            return f"({''.join(self.literal(v) + ',' for v in value)})"
        if type(value) is list:
            return f"[{','.join(map(self.literal, value))}]"
        if value is None or type(value) is int or type(value) is Size:
            return self.text(value)
        raise VerificationError(f"[Size] expected nested tuples of ints, got {type(value).__name__}")

    def function(self, result: object):
        """The function of the symbols that gives `result`, or None where a condition fails. Ends the trace."""
        text = self.literal(result)
        self.open = False
        body = "".join(f" {line}\n" for line in self._lines)
        namespace: dict = {}
        exec(f"def function({', '.join(self.symbols)}):\n{body} return {text}", namespace)
        self._sizes.clear()
        self._quotients.clear()
        return namespace["function"]


def _terms(a: Size | int) -> tuple:
    return a.terms if type(a) is Size else (((), a),)


def int_of(a: Size | int) -> int:
    """The number, unasked."""
    return a.value if type(a) is Size else a  # type: ignore[return-value]


def _number(x: object) -> bool:
    return type(x) is Size or type(x) is int


class Size:
    """An int of a SizeTrace. Equal expressions are one object; different ones are different keys, even if equal."""

    __slots__ = ("terms", "trace", "value")

    def __init__(self, trace: SizeTrace, value: int, terms: tuple):
        self.trace = trace
        self.value = value
        self.terms = terms

    __hash__ = object.__hash__

    def __add__(self, other):
        return self.trace.add(self, other) if _number(other) else NotImplemented

    __radd__ = __add__

    def __sub__(self, other):
        return self.trace.add(self, other, -1) if _number(other) else NotImplemented

    def __rsub__(self, other):
        return self.trace.add(other, self, -1) if _number(other) else NotImplemented

    def __mul__(self, other):
        return self.trace.multiply(self, other) if _number(other) else self.trace.fix(self) * other

    __rmul__ = __mul__

    def __neg__(self):
        return self.trace.multiply(self, -1)

    def __pos__(self):
        return self

    def __abs__(self):
        return -self if self < 0 else self

    def __floordiv__(self, other):
        return self.trace.divide(self, other) if _number(other) else self.trace.fix(self) // other

    def __rfloordiv__(self, other):
        return self.trace.divide(other, self) if _number(other) else other // self.trace.fix(self)

    def __mod__(self, other):
        return self - self // other * other if _number(other) else self.trace.fix(self) % other

    def __rmod__(self, other):
        return other - other // self * self if _number(other) else other % self.trace.fix(self)

    def __divmod__(self, other):
        return self // other, self % other

    def __lt__(self, other):
        return self.trace.ask(self, "<", other) if _number(other) else self.trace.fix(self) < other

    def __gt__(self, other):
        return self.trace.ask(other, "<", self) if _number(other) else self.trace.fix(self) > other

    def __le__(self, other):
        return not self.trace.ask(other, "<", self) if _number(other) else self.trace.fix(self) <= other

    def __ge__(self, other):
        return not self.trace.ask(self, "<", other) if _number(other) else self.trace.fix(self) >= other

    def __eq__(self, other):
        if self is other:
            return True
        if type(other) is Size and other.trace is not self.trace:
            return False
        return self.trace.ask(self, "==", other) if _number(other) else self.trace.fix(self) == other

    def __ne__(self, other):
        return not self == other

    def __bool__(self) -> bool:
        return self != 0

    # What leaves the ints fixes the number.
    def __index__(self) -> int:
        return self.trace.fix(self)

    __int__ = __index__

    def __float__(self) -> float:
        return float(self.trace.fix(self))

    def __truediv__(self, other):
        return self.trace.fix(self) / other

    def __rtruediv__(self, other):
        return other / self.trace.fix(self)

    def __pow__(self, other):
        return self.trace.fix(self) ** other

    def __rpow__(self, other):
        return other ** self.trace.fix(self)

    def __lshift__(self, other):
        return self.trace.fix(self) << other

    def __rshift__(self, other):
        return self.trace.fix(self) >> other

    def __rlshift__(self, other):
        return other << self.trace.fix(self)

    def __rrshift__(self, other):
        return other >> self.trace.fix(self)

    def __and__(self, other):
        return self.trace.fix(self) & other

    __rand__ = __and__

    def __or__(self, other):
        return self.trace.fix(self) | other

    __ror__ = __or__

    def __xor__(self, other):
        return self.trace.fix(self) ^ other

    __rxor__ = __xor__

    def bit_length(self) -> int:
        return self.trace.fix(self).bit_length()

    def __repr__(self) -> str:
        return str(self.trace.fix(self))

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(self.trace.fix(self), spec)


shapes.INTEGERS.add(Size)
