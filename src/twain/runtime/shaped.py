"""What was worked out for some shapes serves others: functions of the sizes, made by working it out with `Size`s.

Calls that differ in nothing but sizes are one class: same op, dtypes, ranks, the same sizes equal to each other, the
same ones 1. From the third member on, the work is done with symbols in place of numbers, which gives a function that
repeats it for other numbers in some microseconds, as long as every question that the work asked of them (is this large
enough to be split?) has the same answer. A class keeps several such functions, one per set of answers.
"""

from __future__ import annotations

from ..base.shapes import contiguous_strides
from ..base.sizes import Size, SizeTrace
from ..ir.op import REGISTRY, apart, exact_key
from ..transforms.vjp import Rule

EAGER = 2  # members that are worked out as they are
TRIES = 4  # functions made of a class before any has served ...
WORTH = 8  # ... this many members for each one more
VARIANTS = 24
LIMIT = 4000  # classes

_CLASSES: dict[tuple, ShapeClass] = {}


_SIZES = frozenset(["shape", "sizes", "starts", "n_rows", "normalized_shape", "output_size"])
_OF_SIZES: dict = {}


def is_of_sizes(record) -> bool:
    """Are the static arguments of an op sizes, and positions among them?"""
    found = _OF_SIZES.get(record)
    if found is None:
        if len(_OF_SIZES) >= LIMIT:
            _OF_SIZES.clear()
        code = getattr(record.attributes, "__code__", None)
        found = _OF_SIZES[record] = code is not None and not _SIZES.isdisjoint(code.co_varnames[: code.co_argcount])
    return found


def serves_shapes(record) -> bool:
    """Can what an op does be worked out with symbols? Not what runs Python, nor functions of the user's."""
    while type(record.rules) is Rule:
        record = record.rules.of
    return record.family not in ("dynamic", "control", "host") and REGISTRY.get(record.name) is record


class ShapeClass:
    """What is known of one class: its functions, each with what it gives besides."""

    __slots__ = ("attempts", "hits", "members", "variants")

    def __init__(self):
        self.members = 0  # that no function served
        self.hits = 0
        self.attempts = 0
        self.variants: list[tuple] = []


class Sizes:
    """The sizes of a call: which class it belongs to, and the numbers that tell it from the others in it."""

    __slots__ = ("_lifted", "_numbers", "key", "ok", "values")

    def __init__(self, *key: object):
        self.key = list(key)
        self.values: list[int] = []
        self._numbers: dict[int, int] = {}
        self._lifted: dict[int, Size] = {}
        self.ok = True

    def add(self, code: object, numbers: tuple) -> None:
        """Sizes or strides of a value described by `code`. One number is one symbol, wherever it is found."""
        key, known = self.key, self._numbers
        key += (code, len(numbers))
        for n in numbers:
            if -2 < n < 2:
                key.append(n)
                continue
            number = known.get(n)
            if number is None:
                number = known[n] = len(known) + 2
                self.values.append(n)
            key.append(number if n > 0 else -number)

    def add_static(self, record, attrs: object) -> None:
        """Static arguments: where they are sizes, their numbers are symbols too."""
        if type(record.rules) is Rule:
            inner, described = attrs
            self.add_static(record.rules.of, inner)
            for d in described:
                self.key.append(None) if d is None else self.add(*d)
        elif is_of_sizes(record):
            self._add_nested(attrs)
        else:
            self.key.append(exact_key(attrs))

    def _add_nested(self, attrs: object) -> None:
        if type(attrs) is int:
            self.add(int, (attrs,))
        elif type(attrs) is tuple:
            self.key.append(len(attrs))
            for item in attrs:
                self._add_nested(item)
        else:
            self.key.append(("static", exact_key(attrs)))

    def add_meta(self, m, strides: bool) -> None:
        """The shape of a meta (None: absent), and with `strides` how it is laid out."""
        if m is None:
            self.key.append(None)
            return
        shape = m.shape
        if 0 in shape:
            self.ok = False
        self.add(m.code, shape)
        if strides and not m.contiguous:
            self.add("strided", m.strides)

    def lift(self, numbers: tuple) -> tuple:
        """The same with symbols."""
        return tuple(n if -2 < n < 2 else self._lifted[n] for n in numbers)

    def lift_static(self, record, attrs: object) -> object:
        """The same with symbols."""
        if type(record.rules) is Rule:
            inner, described = attrs
            lifted = tuple(None if d is None else (d[0], self.lift(d[1])) for d in described)
            return self.lift_static(record.rules.of, inner), lifted
        return self._lift_nested(attrs) if is_of_sizes(record) else attrs

    def _lift_nested(self, attrs: object) -> object:
        if type(attrs) is int:
            return self.lift((attrs,))[0]
        return tuple(map(self._lift_nested, attrs)) if type(attrs) is tuple else attrs

    def lift_strides(self, m) -> tuple | None:
        if m is None:
            return None
        return contiguous_strides(self.lift(m.shape)) if m.contiguous else self.lift(m.strides)

    def find(self, build) -> tuple | None:
        """What `build` would give, by a function made for other members of the class. None: work it out.

        build(self) works it out with lifted sizes and returns (nested tuples of sizes, what else belongs to it).
        """
        if not self.ok or not self.values:
            return None
        key = tuple(self.key)
        known = _CLASSES.get(key)
        if known is None:
            if len(_CLASSES) >= LIMIT:
                _CLASSES.clear()
            known = _CLASSES[key] = ShapeClass()
        for variant in known.variants:
            found = variant[0](*self.values)
            if found is not None:
                known.hits += 1
                return found, variant[1]
        known.members += 1
        if known.members <= EAGER or known.attempts >= min(VARIANTS, TRIES + known.hits // WORTH):
            return None
        known.attempts += 1
        made = self._trace(build)
        if made is None:
            return None
        function, rest = made
        found = function(*self.values)
        if found is None:
            return None
        known.variants.append(made)
        return found, rest

    def _trace(self, build) -> tuple | None:
        """(function, what else), or None if the work can't be done with symbols."""
        trace = SizeTrace()
        self._lifted = {n: trace.symbol(n) for n in self.values}
        apart.expansions = {}
        try:
            result, rest = build(self)
            return trace.function(result), rest
        except Exception:  # whatever is wrong shows in the ordinary way, with numbers
            return None
        finally:
            trace.open = False
            apart.expansions = None
            self._lifted = {}
