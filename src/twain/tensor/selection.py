"""Functions whose result's shape is data: they look at the values, so they can't be part of a compiled function's plan."""

from __future__ import annotations

from .. import _core
from ..base import dtypes as dt
from ..base.errors import DTypeError
from ..base.lazy import LazyModule
from ..base.shapes import broadcast_shapes, size_of
from ..ops import elementwise as e
from ..ops import masks, search
from ..ops.shape import broadcast_to, reshape
from .bounds import recording
from .creation import asarray

Tensor = _core.Tensor
advanced = LazyModule("twain.ops.advanced")


def as_mask(x: Tensor) -> Tensor:
    """x != 0 for what isn't bool."""
    return x if x.dtype.kind == "b" else e.not_equal(x, 0)


def flat(x: Tensor) -> Tensor:
    """All elements as one row."""
    return reshape(x, (1, size_of(x.shape)))


def number_true(mask: Tensor) -> int:
    """How many elements of a bool tensor are true."""
    return int(masks.count_true(flat(mask)).item())


# Up to this many elements the core does the work at once: a program for each number that may be chosen takes longer to
# make. Beyond, kernels of several threads gain.
SMALL = 1 << 17


def simple(*values: object) -> bool:
    """Whether these are small tensors that nothing follows: no tape, no recording, no transformation."""
    for x in values:
        if type(x) is not Tensor or x.size > SMALL or (x.requires_grad and _core.grad_enabled()):
            return False
    return not recording()


def flat_nonzero(x: Tensor, /) -> Tensor:
    """Positions, int64, of the elements that are not zero, counted in row-major order."""
    mask = as_mask(x.detach())
    if simple(mask):
        return _core.positions(mask, False)
    return reshape(masks.positions_of_true(flat(mask), number_true(mask)), (-1,))


def nonzero_indices(x: Tensor, /) -> tuple:
    """The same as one int64 tensor per axis."""
    mask = as_mask(x.detach())
    if simple(mask):
        return _core.positions(mask, True)
    return tuple(advanced.unravel_index(flat_nonzero(x), x.shape))


def compress_flat(mask: Tensor, x: Tensor, /) -> Tensor:
    """The elements of `x` where `mask`, bool and of its shape, is true, in row-major order."""
    if simple(mask, x):
        return _core.chosen(x, mask)
    return reshape(masks.compress_rows(flat(mask), flat(x), number_true(mask.detach())), (-1,))


@_core.Remembered
def masked_select(x: Tensor, mask: Tensor, /) -> Tensor:
    """The elements of `x` where `mask` is true, one-dimensional, in row-major order; the two broadcast.

    Reads the mask, since the size of the result depends on it.
    """
    mask = asarray(mask)
    if mask.dtype.kind != "b":
        raise DTypeError(f"[masked_select] expected a bool mask, got {mask.dtype}")
    if mask.shape != x.shape:
        shape = broadcast_shapes("masked_select", x.shape, mask.shape)
        x, mask = broadcast_to(x, shape), broadcast_to(mask, shape)
    return compress_flat(mask, x)


COUNTED = frozenset(dt.INTEGER) - {dt.uint64}  # what an int64 can hold
TABLE = 6  # entries of a table of integers for each element that is looked up, at most


@_core.Remembered
def isin(x: Tensor, test_elements: Tensor, /, invert: bool = False) -> Tensor:
    """Whether each element of `x` is among `test_elements` (invert=True: is not), bool of x's shape. NaN never is.

    Integers that are not far apart are marked in a table; others are sorted and searched.
    """
    if type(x) is Tensor and type(test_elements) is Tensor and x.size > 1024 and test_elements.size and not recording():
        if x.dtype in COUNTED and test_elements.dtype in COUNTED:
            low, high = _core.index_range(test_elements)
            if high - low < TABLE * (x.size + test_elements.size):
                size = 1 << (high - low).bit_length()  # few different sizes
                return search.isin_table(x, test_elements, low, size, invert)
    return search.isin_of(x, test_elements, invert)


__all__ = ["isin", "masked_select"]
