"""The generators that a data set may draw from: Python's `random`, `numpy.random` and twain's, set and kept together."""

from __future__ import annotations

import ctypes
import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..base.lazy import LazyModule
from ..tensor.random import default_generator

np = LazyModule("numpy")


def set_generators(*key: Any) -> None:
    """Set the generators of `random`, NumPy and twain to what `key` says."""
    digest = hashlib.blake2b(repr(key).encode(), digest_size=8).digest()
    number = int.from_bytes(digest, "little")
    random.seed(number)
    np.random.seed(number & 0xFFFFFFFF)
    default_generator.manual_seed(number)


@contextmanager
def kept_generators() -> Iterator[None]:
    """The generators are afterwards what they were before: the main process draws from them as well."""
    kept = random.getstate(), _NumPyState(), default_generator.state_dict()
    try:
        yield
    finally:
        random.setstate(kept[0])
        kept[1].restore()
        default_generator.load_state_dict(kept[2])


class _NumPyState:
    """The state of `numpy.random`, now.

    NumPy's `get_state` and `set_state` take 0.2 ms each, as they convert one number at a time. The state of its usual
    generator is 624 words and a position (`mt19937_state` in NumPy's mt19937.h), at an address that it gives out, and a
    normal number that `RandomState` may hold back for its next call.
    """

    def __init__(self) -> None:
        self._generator = np.random.get_state.__self__._bit_generator
        self._full: Any = None
        if type(self._generator) is not np.random.MT19937:
            self._full = np.random.get_state(legacy=False)
            return
        self._memory = (ctypes.c_uint32 * 625).from_address(self._generator.ctypes.state_address)
        self._words = bytes(self._memory)
        number = np.random.standard_normal()
        if bytes(self._memory) == self._words:  # it was held back; drawing moves the position
            key, position = np.frombuffer(self._words, np.uint32)[:-1], self._memory[-1]
            state = {"key": key, "pos": position}
            self._full = {"bit_generator": "MT19937", "state": state, "has_gauss": 1, "gauss": number}

    def restore(self) -> None:
        if self._full is not None:
            np.random.set_state(self._full)
        else:
            np.random.seed(0)  # a number held back is forgotten
            ctypes.memmove(self._memory, self._words, len(self._words))
