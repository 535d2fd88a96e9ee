"""twain: a deep-learning framework. Dynamic and debuggable, compiled whole, small and fast."""

from .base.config import config
from .base.dtypes import (
    bfloat16,
    bool_ as bool,  # noqa: A004
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
