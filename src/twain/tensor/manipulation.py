"""Functions of the standard that arrange tensors: broadcast together, taken apart, repeated by counts that are data."""

from __future__ import annotations

from .. import _core
from ..base.errors import ArgumentError, DTypeError, ShapeError, ValueRangeError
from ..base.lazy import LazyModule
from ..base.shapes import broadcast_shapes as joined_shape
from ..base.shapes import normalize_axis
from ..ir.node import Node
from ..ops.index import take
from ..ops.repetition import diff_op, repeat_each
from ..ops.shape import broadcast_to, reshape
from .creation import asarray, tensor_argument

Tensor = _core.Tensor
numpy = LazyModule("numpy")


def broadcast_shapes(*shapes: tuple | int) -> tuple:
    """The shape that all shapes broadcast to; an int n is the shape (n,).

    A size may be None (unknown): it stays None unless another says it.

    Raises ShapeError for shapes that don't fit.
    """
    known = []
    for shape in shapes:
        if isinstance(shape, int) and not isinstance(shape, bool):
            shape = (shape,)
        if not isinstance(shape, (tuple, list)):
            raise ArgumentError(f"[broadcast_shapes] expected ints or tuples of ints, got {shape!r}")
        known.append(tuple(shape))
    if not known:
        return ()
    if any(d is None for shape in known for d in shape):
        return _partly_known(known)
    return joined_shape("broadcast_shapes", *known)


def _partly_known(shapes: list) -> tuple:
    rank = max(len(s) for s in shapes)
    result = []
    for i in range(rank):
        sizes = {s[i - rank + len(s)] for s in shapes if i - rank + len(s) >= 0} - {1}
        if len(sizes - {None}) > 1:
            raise ShapeError(
                "[broadcast_shapes] expected shapes that broadcast together, got " + " and ".join(map(str, shapes))
            )
        # an unknown size beside a known one other than 1 must be that one
        result.append(next(iter(sizes - {None}), None) if sizes else 1)
    return tuple(result)


def broadcast_arrays(*arrays: Tensor) -> tuple:
    """The tensors as views of one shape, which all of them broadcast to."""
    arrays = tuple(_tensor("broadcast_arrays", a) for a in arrays)
    if not arrays:
        return ()
    shape = joined_shape("broadcast_arrays", *[tuple(a.shape) for a in arrays])
    return tuple(broadcast_to(a, shape) for a in arrays)


def _tensor(function: str, x: object):
    if type(x) in (Tensor, Node):
        return x
    if isinstance(x, (bool, int, float, complex)) or hasattr(x, "__array__"):
        return asarray(x)
    raise ArgumentError(f"[{function}] expected tensors, got {type(x).__name__}")


def meshgrid(*arrays: Tensor, indexing: str = "xy") -> tuple:
    """Coordinate tensors of the grid that vectors span, as views.

    For vectors of sizes n0, n1, n2, ... each result has shape (n1, n0, n2, ...) with indexing="xy", (n0, n1, n2, ...) with
    "ij".
    """
    if indexing not in ("xy", "ij"):
        raise ValueRangeError(f"[meshgrid] expected indexing 'xy' or 'ij', got {indexing!r}")
    vectors = [_tensor("meshgrid", a) for a in arrays]
    for v in vectors:
        if v.ndim > 1:
            raise ShapeError(f"[meshgrid] expected vectors, got shape {tuple(v.shape)}")
    if any(v.dtype is not vectors[0].dtype for v in vectors):
        raise DTypeError("[meshgrid] expected tensors of one dtype, got " + ", ".join(str(v.dtype) for v in vectors))
    rank = len(vectors)
    place = list(range(rank))
    if indexing == "xy" and rank > 1:
        place[0], place[1] = 1, 0
    shape = [0] * rank
    for v, at in zip(vectors, place):
        shape[at] = v.size
    return tuple(
        broadcast_to(reshape(v, tuple(v.size if i == at else 1 for i in range(rank))), tuple(shape))
        for v, at in zip(vectors, place)
    )


def unstack(x: Tensor, /, *, axis: int = 0) -> tuple:
    """The slices of `x` along `axis`, without that axis, as a tuple of views."""
    x = tensor_argument("unstack", x)
    at = normalize_axis("unstack", axis, x.ndim)
    keys = [(*(slice(None),) * at, i) for i in range(x.shape[at])]
    return tuple(x[key] for key in keys)


def repeat(x: Tensor, repeats: object, /, *, axis: int | None = None) -> Tensor:
    """Each element repeated, one copy after another, along `axis` (None: of the flattened x).

    repeats: an int, or a tensor of ints, one per element along the axis (or a single one for all). The shape of the result
    is then data, so a compiled function that asks for it runs eagerly.
    """
    x = tensor_argument("repeat", x)
    if type(repeats) in (int, bool) or (hasattr(repeats, "__index__") and not hasattr(repeats, "shape")):
        return repeat_each(x, repeats, axis)
    counts = repeats if type(repeats) is Tensor else asarray(repeats)
    if counts.dtype.kind not in "iu":
        raise DTypeError(f"[repeat] expected repeats to be ints, got {counts.dtype}")
    if counts.ndim > 1:
        raise ShapeError(f"[repeat] expected repeats to be a vector, got shape {tuple(counts.shape)}")
    if axis is None:
        x, axis = reshape(x, (x.size,)), 0
    at = normalize_axis("repeat", axis, x.ndim)
    if counts.size == 1:
        return repeat_each(x, counts.item(), at)
    if counts.size != x.shape[at]:
        raise ShapeError(
            f"[repeat] expected one count per element of axis {at} of shape {tuple(x.shape)}, got {counts.size}"
        )
    numbers = counts.numpy()
    if numbers.size and numbers.min() < 0:
        raise ValueRangeError(f"[repeat] expected repeats >= 0, got {int(numbers.min())}")
    return take(x, asarray(numpy.repeat(numpy.arange(x.shape[at]), numbers)), at)


def diff(
    x: Tensor, /, *, axis: int = -1, n: int = 1, prepend: Tensor | None = None, append: Tensor | None = None
) -> Tensor:
    """The n-th difference of neighbours along `axis`: x[1:] - x[:-1], n times over. Of bool, whether they differ.

    prepend and append are joined to `x` first; a 0-d one stands for one slice of equal elements.
    """
    return diff_op(x, prepend, append, axis=axis, n=n)
