"""What this machine reaches: the yardstick of a profile."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

from .. import _core
from ..tensor import no_grad, random


class Machine(NamedTuple):
    """Floating-point operations per second of a float32 product, and bytes per second of an addition in memory."""

    flops: float
    bandwidth: float


_KNOWN: dict[int, Machine] = {}


def _best(function: Any, rounds: int = 4) -> float:
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        function()
        times.append(time.perf_counter() - begin)
    return min(times)


def machine() -> Machine:
    """Measured once per number of threads: a product of 768 x 768 and a sum of two tensors of 16 MB, about 50 ms."""
    threads = _core.get_threads()
    if threads not in _KNOWN:
        generator = random.Generator(0)
        with no_grad():
            a, b = (random.normal((768, 768), generator=generator) for _ in range(2))
            x, y = (random.normal((1 << 22,), generator=generator) for _ in range(2))
            _KNOWN[threads] = Machine(2 * 768**3 / _best(lambda: a @ b), 3 * (4 << 22) / _best(lambda: x + y))
    return _KNOWN[threads]
