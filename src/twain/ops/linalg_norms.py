"""Norms of vectors and matrices, condition numbers, ranks."""

from __future__ import annotations

import math

from ..base import dtypes as dt
from ..base.errors import ArgumentError, AxisError, ValueRangeError
from ..base.shapes import as_index, normalize_axis
from .distances import p_norm
from .elementwise import abs as abs_
from .elementwise import cast, divide, greater, maximum, multiply
from .families import composite
from .linalg_common import check_matrices, flag, lapack_dtype
from .linalg_solve import inv
from .linalg_spectral import eigvalsh, svdvals, tolerances
from .nn.rules import floating, in_float32
from .reduce import max as max_
from .reduce import min as min_
from .reduce import sum as sum_
from .samples import Samples
from .shape import permute_dims, reshape

_REFERENCES = "twain.testing.linalg_references."
_DTYPES = (dt.float32, dt.float64, dt.complex128)


def axes_of(name: str, axis: object) -> object:
    """None, an int or a tuple of ints."""
    if axis is None:
        return None
    if isinstance(axis, (tuple, list)):
        return tuple(as_index(name, "axis", a) for a in axis)
    return as_index(name, "axis", axis)


def _normalized(name: str, axis: object, rank: int) -> tuple:
    if axis is None:
        return tuple(range(rank))
    axes = tuple(normalize_axis(name, a, rank) for a in (axis if isinstance(axis, tuple) else (axis,)))
    if len(set(axes)) != len(axes):
        raise AxisError(f"[{name}] expected distinct axes, got {axis}")
    return axes


# ---------------------------------------------------------------- vectors
def _vector_attributes(ord=2, axis=None, keepdims=False):
    if isinstance(ord, bool) or not isinstance(ord, (int, float)) or ord != ord:
        raise ArgumentError(f"[linalg.vector_norm] ord: expected a number, inf or -inf, got {ord!r}")
    return axes_of("linalg.vector_norm", axis), flag("linalg.vector_norm", "keepdims", keepdims), float(ord)


def _vector_norm(attrs, x):
    """(sum |x| ** ord) ** (1 / ord) over `axis` (an int or a tuple; None: all elements); real.

    ord: 0 counts what isn't 0, infinity takes the largest, -infinity the smallest absolute value. The gradient at 0 is 0.
    """
    axis, keepdims, order = attrs
    return p_norm(floating(x), order, _normalized("linalg.vector_norm", axis, x.ndim), keepdims)


vector_norm = composite(
    "linalg.vector_norm", 1, in_float32(_vector_norm), attributes=_vector_attributes, names=("x",),
    reference=_REFERENCES + "vector_norm",
    samples=Samples(
        ((0.5, 3),), shapes=(((3, 4),),), dtypes=_DTYPES,
        arguments=(((), {}), ((1, 0), {}), ((), {"ord": math.inf}), ((3, (0, 1), True), {}), ((-1.5, 0), {})),
    ),
    errors=(((), {"ord": "nuc"}, "ord"), ((2, 5), {}, "axis")),
)  # fmt: skip


# ---------------------------------------------------------------- matrices
_ORDERS = ("fro", "nuc", 1, -1, 2, -2, math.inf, -math.inf)


def _matrix_attributes(ord="fro", axis=(-2, -1), keepdims=False):
    if ord not in _ORDERS or isinstance(ord, bool):
        raise ValueRangeError(f"[linalg.matrix_norm] ord: expected one of {_ORDERS}, got {ord!r}")
    axis = axes_of("linalg.matrix_norm", axis)
    if not isinstance(axis, tuple) or len(axis) != 2:
        raise AxisError(f"[linalg.matrix_norm] axis: expected two axes, got {axis}")
    return flag("linalg.matrix_norm", "keepdims", keepdims), ord, axis


def _extreme(x, axis: int, largest: bool, keepdims: bool = False):
    """The largest or smallest of numbers that aren't negative; the largest of none is 0."""
    if largest and not x.shape[axis]:
        return sum_(x, axis, keepdims)
    return (max_ if largest else min_)(x, axis, keepdims)


def matrix_norm_of(name: str, x, order: object, axes: tuple, keepdims: bool):
    """A norm of matrices in two axes (not negative)."""
    rows, columns = axes
    if order == "fro":
        return p_norm(x, 2.0, axes, keepdims)
    if order in ("nuc", 2, -2):
        rest = [i for i in range(x.ndim) if i not in axes]
        values = svdvals(x if axes == (x.ndim - 2, x.ndim - 1) else permute_dims(x, (*rest, rows, columns)))
        if order == "nuc":
            result = sum_(values, -1)
        else:
            result = _extreme(values, -1, order > 0)
        return reshape(result, tuple(1 if i in axes else d for i, d in enumerate(x.shape))) if keepdims else result
    summed, kept = (columns, rows) if abs(order) == math.inf else (rows, columns)
    sums = sum_(abs_(x), summed, True)
    result = _extreme(sums, kept, order > 0, True)
    return result if keepdims else reshape(result, tuple(d for i, d in enumerate(x.shape) if i not in axes))


def _matrix_norm(attrs, x):
    """Norms of matrices, shape (..., m, n) -> (...), real.

    ord: "fro" (the root of the sum of squares), "nuc" (the sum of the singular values), 2 and -2 (the largest and the
    smallest of them), 1 and -1 (of the sums of absolute values of columns), inf and -inf (of rows).
    """
    keepdims, order, axis = attrs
    check_matrices("linalg.matrix_norm", "x", x.spec)
    return matrix_norm_of(
        "linalg.matrix_norm", floating(x), order, _normalized("linalg.matrix_norm", axis, x.ndim), keepdims
    )


matrix_norm = composite(
    "linalg.matrix_norm", 1, in_float32(_matrix_norm), attributes=_matrix_attributes, names=("x",),
    reference=_REFERENCES + "matrix_norm",
    samples=Samples(
        ("regular",), shapes=(((2, 3, 3),),), dtypes=_DTYPES,
        arguments=(((), {}), (("nuc", (-2, -1), True), {}), ((2,), {}), ((-1,), {}), ((math.inf, (0, 1)), {})),
    ),
    errors=(((), {"ord": 3}, "ord"), ((), {"axis": (0,)}, "axis"), ((), {"axis": (0, 9)}, "axis")),
)  # fmt: skip


def _norm_attributes(ord=None, axis=None, keepdims=False):
    axis = axes_of("linalg.norm", axis)
    if isinstance(axis, tuple) and len(axis) > 2:
        raise AxisError(f"[linalg.norm] axis: expected one or two axes, got {axis}; vector_norm takes any number")
    return ord, axis, flag("linalg.norm", "keepdims", keepdims)


def _norm(attrs, x):
    """The norm of vectors (one axis, or a vector) or matrices (two axes, or a matrix); ord None: of all elements.

    ord: as for vector_norm or matrix_norm.
    """
    order, axis, keepdims = attrs
    if order is None or isinstance(axis, int) or (axis is None and x.ndim < 2) or (axis is not None and len(axis) == 1):
        return _vector_norm(_vector_attributes(2 if order in (None, "fro") else order, axis, keepdims), x)
    if axis is None and x.ndim != 2:
        raise AxisError(f"[linalg.norm] axis: expected one or two axes for shape {tuple(x.shape)}, got None")
    return _matrix_norm(_matrix_attributes(order, (0, 1) if axis is None else axis, keepdims), x)


norm = composite(
    "linalg.norm", 1, in_float32(_norm), attributes=_norm_attributes, names=("x",), reference=_REFERENCES + "norm",
    samples=Samples(("regular",), shapes=(((3, 3),),), dtypes=(dt.float64,),
                    arguments=(((), {}), (("nuc",), {}), ((1, 0), {}), ((2, (0, 1), True), {}))),
    errors=((("nuc", 0), {}, "ord"), ((2, (0, 1, 1)), {}, "axis")),
)  # fmt: skip


def _cond_attributes(p=None):
    if p not in (None, *_ORDERS):
        raise ValueRangeError(f"[linalg.cond] p: expected None or one of {_ORDERS}, got {p!r}")
    return p


def _cond(p, x):
    """Condition numbers of matrices, shape (..., m, n) -> (...): norm(x) * norm(inv(x)).

    p: which norm (see matrix_norm); None is 2, the ratio of the largest to the smallest singular value, for which x
    needn't be square; -2 is its inverse. Infinite for singular matrices with p None, 2 or -2; else LinAlgError.
    """
    check_matrices("linalg.cond", "x", x.spec, p not in (None, 2, -2))
    x = floating(x)
    if p in (None, 2, -2):
        values = svdvals(x)
        large, small = max_(values, -1), min_(values, -1)
        return divide(small, large) if p == -2 else divide(large, small)
    axes = (x.ndim - 2, x.ndim - 1)
    return multiply(
        matrix_norm_of("linalg.cond", x, p, axes, False), matrix_norm_of("linalg.cond", inv(x), p, axes, False)
    )


cond = composite(
    "linalg.cond", 1, _cond, attributes=_cond_attributes, names=("x",), reference=_REFERENCES + "cond",
    samples=Samples(("regular",), shapes=(((2, 3, 3),),), dtypes=(dt.float64, dt.complex128),
                    arguments=(((), {}), ((-2,), {}), (("fro",), {}), ((1,), {}))),
    errors=((("max",), {}, "p:"),),
)  # fmt: skip


# ---------------------------------------------------------------- rank
def _matrix_rank(hermitian, x, rtol, atol):
    """How many singular values of matrices, shape (..., m, n) -> (...), exceed rtol times the largest, and atol; int64.

    rtol, atol: numbers or tensors that broadcast to the leading axes. By default rtol is max(m, n) * eps, or 0 if atol is
    given. hermitian: take the matrices for Hermitian, which is faster.
    """
    check_matrices("linalg.matrix_rank", "x", x.spec, hermitian)
    lapack_dtype("linalg.matrix_rank", x.spec)
    values = abs_(eigvalsh(x)) if hermitian else svdvals(x)
    if not values.shape[-1]:
        return cast(sum_(values, -1), dt.int64)
    rtol, atol = tolerances(x, rtol, atol)
    limit = maximum(multiply(max_(values, -1), _as(rtol, values.dtype)), _as(atol, values.dtype))
    return sum_(cast(greater(values, reshape(limit, (*limit.shape, 1))), dt.int64), -1)


def _as(x, dtype):
    return x if isinstance(x, float) else cast(x, dtype)


matrix_rank_op = composite(
    "linalg.matrix_rank", 3, _matrix_rank, names=("x", "rtol", "atol"),
    errors=(((), {}, "[linalg.matrix_rank]", ((None, (3,)),)),),
    reference=_REFERENCES + "matrix_rank",
    attributes=lambda hermitian=False: flag("linalg.matrix_rank", "hermitian", hermitian),
    samples=Samples(("regular", (1e-9, 1e-8), (1e-9, 1e-8)), arguments=(((), {}), ((True,), {})),
                    shapes=(((3, 3), (), ()), ((2, 3, 3), (2,), ())), dtypes=(dt.float64,)),
)  # fmt: skip

__all__ = ["cond", "matrix_norm", "matrix_rank_op", "norm", "vector_norm"]
