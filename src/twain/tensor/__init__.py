"""The Tensor type completed, and the functions on it that `twain` exports."""

import sys as _sys

from .. import _core
from ..base.foreign import TensorModule as _TensorModule
from ..ops import operators as _operators
from ..ops.elementwise import (
    abs,
    acos,
    acosh,
    add,
    asin,
    asinh,
    atan,
    atan2,
    atanh,
    bitwise_and,
    bitwise_invert,
    bitwise_left_shift,
    bitwise_or,
    bitwise_right_shift,
    bitwise_xor,
    ceil,
    conj,
    copysign,
    cos,
    cosh,
    divide,
    equal,
    erf,
    erfc,
    exp,
    exp2,
    expm1,
    floor,
    floor_divide,
    greater,
    greater_equal,
    hypot,
    imag,
    isfinite,
    isinf,
    isnan,
    less,
    less_equal,
    log,
    log10,
    log1p,
    log2,
    logaddexp,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    maximum,
    minimum,
    multiply,
    negative,
    not_equal,
    positive,
    power as pow,
    real,
    reciprocal,
    relu,
    remainder,
    round,
    rsqrt,
    sigmoid,
    sign,
    signbit,
    sin,
    sinh,
    sqrt,
    square,
    subtract,
    tan,
    tanh,
    trunc,
    where,
)
from ..ops.index import tril, triu
from ..ops.linalg import matmul
from ..ops.reduce import all, any, argmax, argmin, logsumexp, max, mean, min, prod, std, sum, var
from ..ops.shape import broadcast_to
from ..runtime import install as _runtime
from . import device as _device
from .device import Device, device, memory_stats

_runtime.install()
_core.set_device_type(_device.device_of_index)

from . import methods as _methods  # noqa: E402

_methods.install()

from . import random  # noqa: E402
from .bounds import take, take_along_axis  # noqa: E402
from .creation import (  # noqa: E402
    arange,
    asarray,
    contiguous,
    empty,
    empty_like,
    eye,
    from_dlpack,
    full,
    full_like,
    linspace,
    ones,
    ones_like,
    to_device,
    zeros,
    zeros_like,
)
from .gradients import detect_anomaly, enable_grad, no_grad  # noqa: E402
from .methods import (  # noqa: E402
    astype,
    clip,
    concat,
    expand_dims,
    flatten,
    flip,
    matrix_transpose,
    moveaxis,
    nonzero,
    reshape,
    roll,
    squeeze,
    stack,
    transpose,
)
from ..ops.shape import permute_dims  # noqa: E402

Tensor = _core.Tensor

_sys.modules[__name__].__class__ = _TensorModule
