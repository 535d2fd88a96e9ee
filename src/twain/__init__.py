"""twain: a deep-learning framework. Dynamic and debuggable, compiled whole, small and fast."""

import importlib as _importlib

from ._core import empty_cache, get_threads, memory_stats, set_memory_cap, set_threads
from .base.config import config
from .base.dtypes import (
    bfloat16,
    bool_ as bool,
    can_cast,
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

_ROOMS = frozenset("nn optim data io train datasets board demo cli transforms runtime testing".split())
_FUNCTIONAL = frozenset(
    "avg_pool2d batch_norm binary_cross_entropy binary_cross_entropy_with_logits conv2d cross_entropy dropout elu embedding "
    "gelu group_norm layer_norm leaky_relu linear log_softmax max_pool2d mse_loss one_hot silu softmax softplus".split()
)


def __getattr__(name: str):
    """Rooms above the tensor are loaded when first used."""
    if name in _ROOMS:
        return _importlib.import_module(f"twain.{name}")
    if name in _FUNCTIONAL:
        value = getattr(_importlib.import_module("twain.nn.functional"), name)
    elif name == "compile":
        functional = _importlib.import_module("twain.nn.functional")  # no import may happen inside a recording
        globals().update({n: getattr(functional, n) for n in _FUNCTIONAL})
        value = _importlib.import_module("twain.runtime.compile").compile
    elif name == "info":
        value = _importlib.import_module("twain.runtime.info").info
    elif name == "Model":
        value = _importlib.import_module("twain.train").Model
    else:
        raise AttributeError(f"module 'twain' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *_ROOMS, *_FUNCTIONAL, "compile", "info", "Model"})
