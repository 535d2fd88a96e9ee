"""Where an op is tried: light descriptions of inputs, turned into arrays by `twain.testing` only."""

from __future__ import annotations


class Samples:
    """Domains per operand plus static arguments to try. Each entry of `arguments` is (args, kwargs)."""

    __slots__ = ("arguments", "domains", "dtypes", "shapes", "special")

    def __init__(
        self, domains: tuple, arguments: tuple = (((), {}),), shapes: tuple = (), special: bool = True, dtypes: tuple = ()
    ):  # fmt: skip
        self.domains = domains  # per operand: (low, high) or a named domain such as "nonzero", "index", "bool"
        self.arguments = arguments
        self.shapes = shapes  # per try: tuple of operand shapes; () lets the family choose
        self.special = special  # whether NaN, infinities and signed zeros are tried too
        self.dtypes = dtypes  # in which an op is tried; () lets the family choose


def reals(low: float = -5.0, high: float = 5.0, count: int = 1) -> Samples:
    """`count` operands, uniform in [low, high]."""
    return Samples(((low, high),) * count)


def domains(*each) -> Samples:
    """One domain per operand."""
    return Samples(tuple(each))
