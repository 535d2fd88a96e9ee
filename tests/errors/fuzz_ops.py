"""Calls every op of the table with operands and arguments that don't fit, and prints what went wrong, a line each.

`python tests/errors/fuzz_ops.py SEED COUNT [NAME ...]`: COUNT calls per op. An op may give a result or refuse; it must not
crash, and a refusal is one of ours, in a sentence that names a function.
"""

from __future__ import annotations

import faulthandler
import random
import signal
import sys
import warnings

import numpy as np

import twain
from twain.base.errors import TwainError
from twain.testing import drivers, samples

REFUSALS = (
    TwainError,
    TypeError,
    ValueError,
    IndexError,
    OverflowError,
    MemoryError,
    NotImplementedError,
    RuntimeError,
)
JUNK = (
    None, -1, 0, 1, 2, 7, -99, 2**31, 2**62, -(2**63), 2**64, 3.7, float("nan"), "sum", "", (), (0,), (1, 1), (-1, 0),
    (2**40, 2**40), [], [0, 1], True, 1j, object(), np.int64(3), slice(None), b"x",
)  # fmt: skip
SHAPES = ((), (0,), (1,), (3,), (2, 3), (0, 3), (3, 0), (1, 1, 1), (2, 3, 4), (2, 0, 4, 1), (5, 5), (2, 2, 2, 2, 2))
DTYPES = "bool int8 int32 int64 uint8 uint64 float16 bfloat16 float32 float64 complex64".split()
BIGGEST = 1 << 22  # elements: results beyond are not asked for


def odd_tensor(rng: random.Random):
    shape = rng.choice(SHAPES)
    values = np.random.default_rng(rng.getrandbits(32)).integers(-4, 5, shape)
    x = twain.asarray(values.astype("uint8") if rng.random() < 0.1 else values)
    x = x.astype(rng.choice(DTYPES))
    if x.dtype.kind in "f" and rng.random() < 0.2:
        x = x * float("nan")
    if x.ndim > 1 and rng.random() < 0.3:
        x = x.mT
    return x


def calls(record, rng: random.Random, count: int):
    """`count` calls near what the op's samples show: operands or arguments replaced, dropped or added."""
    own = samples.value_dtypes(record)
    tried = [one for dtype in (own[0], own[-1]) for one in samples.tries(record, dtype)]
    for _ in range(count):
        one = rng.choice(tried)
        tensors, args, kwargs = one.tensors(), list(one.args), dict(one.kwargs)
        for _ in range(rng.choice((1, 1, 2))):
            kind = rng.random()
            if kind < 0.5 and tensors:
                tensors[rng.randrange(len(tensors))] = odd_tensor(rng) if rng.random() < 0.85 else rng.choice(JUNK)
            elif kind < 0.75 and args:
                args[rng.randrange(len(args))] = rng.choice(JUNK)
            elif kind < 0.9 and kwargs:
                kwargs[rng.choice(list(kwargs))] = rng.choice(JUNK)
            elif kind < 0.95:
                args.append(rng.choice(JUNK))
            elif tensors:
                tensors.pop()
        yield tensors, args, kwargs


def is_huge(arguments) -> bool:
    """Would a result of these sizes fill the memory without being refused?"""
    flat = []
    for a in arguments:
        flat += a if isinstance(a, (tuple, list)) else [a]
    product = 1
    for a in flat:
        if isinstance(a, int) and not isinstance(a, bool) and abs(a) > 1:
            product *= abs(a)
    return BIGGEST < product < 2**48


class TooSlowError(Exception):
    """A call took longer than small operands explain."""


def too_slow(*_: object) -> None:
    raise TooSlowError("still at work")


def is_public(name: str) -> bool:
    """Can users call it by its name? The others get their arguments from our own functions."""
    value = twain
    for part in name.split("."):
        value = getattr(value, part, None)
    return value is not None


def describe(name: str, tensors: list, args: list, kwargs: dict) -> str:
    shown = [f"{t.dtype}{list(t.shape)}" if isinstance(t, twain.Tensor) else repr(t) for t in tensors]
    shown += [*map(repr, args), *(f"{k}={v!r}" for k, v in kwargs.items())]
    return f"{name}({', '.join(shown)})"


def main() -> None:
    faulthandler.enable()
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGVTALRM, too_slow)
    seed, count, *wanted = sys.argv[1:]
    table = {n: r for n, r in drivers.load_all().items() if r.samples is not None and is_public(n)}
    twain.set_memory_cap(1 << 31)
    for name in wanted or sorted(table):
        record, rng = table[name], random.Random(f"{seed} {name}")
        op = drivers.op_of(record)
        for tensors, args, kwargs in calls(record, rng, int(count)):
            if is_huge([*args, *kwargs.values()]):
                continue
            text = describe(name, tensors, args, kwargs)
            print(f"? {text}", file=sys.stderr, flush=True)
            signal.setitimer(signal.ITIMER_VIRTUAL, 4.0)
            try:
                if record.arity < 0:
                    op(tensors, *args, **kwargs)
                else:
                    op(*tensors, *args, **kwargs)
            except REFUSALS as error:
                if type(error) is RuntimeError or not str(error).startswith("["):
                    print(
                        f"{text}: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}",
                        flush=True,
                    )
            except Exception as error:
                print(f"{text}: {type(error).__name__}: {error}", flush=True)
    signal.setitimer(signal.ITIMER_VIRTUAL, 0.0)
    print("done", flush=True)


if __name__ == "__main__":
    main()
