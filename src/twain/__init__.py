"""twain: a deep-learning framework. Dynamic and debuggable, compiled whole, small and fast."""

import sys as _sys

from . import exports as _exports
from ._core import empty_cache, get_threads, set_memory_cap, set_threads
from .base.config import config
from .base.dtypes import (
    bfloat16,
    bool_ as bool,
    complex64,
    complex128,
    float16,
    float32,
    float64,
    int8,
    int16,
    int32,
    int64,
    uint8,
    uint16,
    uint32,
    uint64,
)
from .base.errors import TwainError
from .tensor import *  # noqa: F403

__version__ = "0.1.0"
__array_api_version__ = "2025.12"

e = 2.718281828459045
inf = float("inf")
nan = float("nan")
newaxis = None
pi = 3.141592653589793

_exports.install_methods()
_sys.modules["twain.random"] = random  # noqa: F405  # `from twain.random import gamma`

TYPE_CHECKING = False
if TYPE_CHECKING:  # what __getattr__ gives, by name
    from .exported import *  # noqa: F403


def __getattr__(name: str):
    """Rooms above the tensor, and what `exports` lists, are loaded when first used."""
    value = globals()[name] = _exports.load(name)
    return value


def __dir__():
    return sorted({*globals(), *_exports.ROOMS, *_exports.MODULE_OF})
