"""Mixed precision: which dtype ops compute in, without a word at each of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from .. import _core
from ..base.dtypes import DType, as_dtype, bfloat16, float16
from ..base.errors import DTypeError


def autocast_dtype(dtype: Any) -> DType:
    """bfloat16 or float16; DTypeError for others."""
    found = as_dtype(dtype, "autocast")
    if found not in (bfloat16, float16):
        raise DTypeError(f"[autocast] expected dtype bfloat16 or float16, got {found}")
    return found


class autocast:
    """Context manager and decorator: products, convolutions and attention compute in a narrow dtype, and what would
    suffer from it (exponentials, sums, norms, softmax, losses) in float32. Parameters keep their dtype.

    Operands of float16, bfloat16 and float32 are converted as the op's record says (`OpRecord.autocast`, as PyTorch's
    lists have it); other dtypes and other ops are left alone. The conversions are on the tape, so gradients arrive in
    the parameters' dtype; call `backward()` outside. For float16 use `optim.GradScaler`.

    Args:
        dtype: bfloat16 (default) or float16.
        enabled: False switches autocasting off inside of the block.

    >>> with twain.autocast():
    ...     loss = F.cross_entropy(net(x), y)
    >>> loss.backward()

    Holds for the current thread; blocks nest. Micikevicius et al., Mixed Precision Training, 2018.

    Raises:
        DTypeError: another dtype.
    """

    def __init__(self, dtype: Any = bfloat16, enabled: bool = True):
        self.dtype = autocast_dtype(dtype)
        self.enabled = enabled
        self._before: list[int] = []

    def __enter__(self) -> autocast:
        self._before.append(_core.set_autocast(self.dtype.code if self.enabled else 0))
        return self

    def __exit__(self, *exception: object) -> None:
        _core.set_autocast(self._before.pop())

    def __call__(self, function: Callable) -> Callable:
        @wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with autocast(self.dtype, self.enabled):
                return function(*args, **kwargs)

        return wrapped


__all__ = ["autocast"]
