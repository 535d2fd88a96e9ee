"""Calls that are refused, as whole families share them: (static args, keywords, words of the message, operands).

Of operands, each is None (one of the op's samples), (dtype or None, shape) for a tensor of ones, or a str, which is no
tensor. Without any, all are the samples'.
"""

from __future__ import annotations

from ..base import dtypes as dt

_BROADCAST = "expected shapes that broadcast"


def _stranger(dtypes: tuple, to_float: bool = False):
    """A dtype that isn't among `dtypes`; None if all are."""
    for dtype in (dt.complex64, dt.float32, dt.bool_, dt.int32):
        if dtype not in dtypes and not (to_float and dtype.kind in "biu"):
            return dtype
    return None


def of_elementwise(name: str, arity: int, dtypes: tuple, to_float: bool, fixed: tuple | None) -> tuple:
    """Shapes that don't broadcast, a dtype that isn't the op's, no tensor."""
    found: list = []
    if arity > 1:
        shapes = [(4, 5)] * (arity - 1)
        found.append(((), {}, _BROADCAST, ((None, (2, 3)), *((None, s) for s in shapes))))
    other = _stranger(dtypes, to_float)
    if other is not None:
        own = fixed or (None,) * arity
        found.append(((), {}, other.name, tuple((other.name if f is None else None, (2,)) for f in own)))
    found.append(((), {}, f"[{name}]", ("x",) * arity))
    return tuple(found)


def of_reduction(dtypes: tuple) -> tuple:
    """An axis that there isn't, one that comes twice, one that is no int, a dtype that isn't the op's."""
    found: list = [((7,), {}, "axis"), (((0, 0),), {}, "distinct axes"), (("x",), {}, "axis")]
    other = _stranger(dtypes)
    if other is not None:
        found.append(((), {}, other.name, ((other.name, (2,)),)))
    return tuple(found)
