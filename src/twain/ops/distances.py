"""Norms and distances. Where a distance is 0 the gradient is 0, as PyTorch's."""

from __future__ import annotations

import math

from ..base import dtypes as dt
from ..base.errors import ArgumentError, DTypeError, ShapeError, ValueRangeError
from ..base.shapes import normalize_axes, normalize_axis
from .arrange import part, triu_indices
from .elementwise import abs as abs_
from .elementwise import cast, equal, greater, maximum, multiply, not_equal, power, sqrt, square, subtract, where
from .families import composite
from .index import take
from .linalg import product, transpose_last
from .nn.rules import floating, in_float32
from .reduce import max as max_
from .reduce import min as min_
from .reduce import sum as sum_
from .samples import Samples
from .shape import reshape

_REFERENCES = "twain.testing.everyday_references."


def safe_root(x):
    """sqrt(x) for x >= 0 whose derivative at 0 is 0."""
    zero = equal(x, 0)
    return where(zero, 0.0, sqrt(where(zero, 1.0, x)))


def check_order(p: object) -> float:
    """The order of a norm as a float."""
    if p == "fro":
        return 2.0
    if isinstance(p, bool) or not isinstance(p, (int, float)):
        raise ArgumentError(f"expected p to be a number or 'fro', got {p!r}")
    if p != p:
        raise ValueRangeError(f"expected p to be a number, got {p}")
    return float(p)


def p_norm(x, p: float, axes: tuple, keepdims: bool = False):
    """(sum |x| ** p) ** (1 / p) over `axes`; p 0 counts what isn't 0, infinity takes the largest, -infinity the smallest."""
    if p == 0:
        return sum_(cast(not_equal(x, 0), dt.real_of(x.dtype)), axes, keepdims)
    if x.dtype.kind == "c":
        x = abs_(x)
    if p == 2:
        return safe_root(sum_(multiply(x, x), axes, keepdims))
    size = abs_(x)
    if p == 1:
        return sum_(size, axes, keepdims)
    if math.isinf(p):
        return (max_ if p > 0 else min_)(size, axes, keepdims)
    zero = equal(size, 0)
    powers = where(zero, 0.0 if p > 0 else math.inf, power(where(zero, 1.0, size), p))
    total = sum_(powers, axes, keepdims)
    none = equal(total, 0)
    return where(none, 0.0, power(where(none, 1.0, total), 1.0 / p))


def _norm_attributes(p=2, axis=None, keepdims=False):
    return (check_order(p), tuple(axis) if isinstance(axis, list) else axis, bool(keepdims))


def _norm(attrs, x):
    """The p-norm of the elements over `axis` (None: all)."""
    p, axis, keepdims = attrs
    if x.ndim == 0 and axis in (0, -1, (0,), (-1,)):  # as reductions take it
        axis = None
    return p_norm(floating(x), p, normalize_axes("norm", axis, x.ndim), keepdims)


norm = composite(
    "norm", 1, in_float32(_norm), autocast="float32", attributes=_norm_attributes, names=("x",), reference=_REFERENCES + "norm",
    samples=Samples(((0.5, 3),), arguments=(((), {}), ((3, 1), {}), ((1,), {}), ((math.inf, 0, True), {}), ((0.5, 0), {})),
                    shapes=(((3, 4),),)),
    errors=((("nuc",), {}, "[norm]"), ((2, 5), {}, "[norm]")),
)  # fmt: skip


def _dist(p, x, y):
    """The p-norm of x1 - x2, over all elements."""
    gap = subtract(floating(x), floating(y))
    return p_norm(gap, p, tuple(range(gap.ndim)))


dist = composite("dist", 2, in_float32(_dist),
                 errors=((("x",), {}, "[dist]"),),
                 attributes=lambda p=2: check_order(p), reference=_REFERENCES + "dist",
                 samples=Samples(((-5, 5), (-5, 5)), arguments=(((), {}), ((3,), {})), shapes=(((3, 4), (4,)),)))  # fmt: skip


def _renorm(attrs, x):
    """x with each part along `axis` scaled so that its p-norm is at most maxnorm."""
    p, axis, maxnorm = attrs
    axis = normalize_axis("renorm", axis, x.ndim)
    x = floating(x)
    size = p_norm(x, p, tuple(i for i in range(x.ndim) if i != axis), True)
    return multiply(x, where(greater(size, maxnorm), maxnorm / (size + 1e-7), 1.0))


def _renorm_attributes(p, axis, maxnorm):
    if not maxnorm >= 0:
        raise ValueRangeError(f"expected maxnorm of at least 0, got {maxnorm}")
    if not check_order(p) > 0:
        raise ValueRangeError(f"expected p > 0, got {p}")
    return (check_order(p), axis, float(maxnorm))


renorm = composite("renorm", 1, in_float32(_renorm), attributes=_renorm_attributes, names=("x",),
                   reference=_REFERENCES + "renorm", errors=(((2, 0, -1.0), {}, "[renorm]"),),
                   samples=Samples(((-5, 5),), arguments=(((2, 0, 4.0), {}), ((1, 1, 3.0), {})), shapes=(((3, 4),),))
                  )  # fmt: skip


def _pairwise_attributes(p=2.0, eps=1e-6, keepdims=False):
    return (check_order(p), float(eps), bool(keepdims))


def _pairwise_distance(attrs, x, y):
    """The p-norm of x1 - x2 + eps over the last axis."""
    p, eps, keepdims = attrs
    gap = subtract(floating(x), floating(y)) + eps
    if gap.ndim == 0:
        raise ShapeError("[pairwise_distance] expected at least one axis, got 0-d tensors")
    return p_norm(gap, p, (gap.ndim - 1,), keepdims)


pairwise_distance = composite(
    "pairwise_distance", 2, in_float32(_pairwise_distance),
    errors=((("x",), {}, "[pairwise_distance]"),),
    attributes=_pairwise_attributes,
    reference=_REFERENCES + "pairwise_distance",
    samples=Samples(((-5, 5), (-5, 5)), arguments=(((), {}), ((1.0,), {"keepdims": True})), shapes=(((3, 4), (4,)),)),
)  # fmt: skip

_COMPUTE_MODES = {
    "use_mm_for_euclid_dist_if_necessary": None, "use_mm_for_euclid_dist": True, "donot_use_mm_for_euclid_dist": False,
}  # fmt: skip


def _cdist_attributes(p=2.0, compute_mode="use_mm_for_euclid_dist_if_necessary"):
    if compute_mode not in _COMPUTE_MODES:
        raise ArgumentError(f"expected compute_mode to be one of {', '.join(_COMPUTE_MODES)}, got {compute_mode!r}")
    p = check_order(p)
    if p < 0:
        raise ValueRangeError(f"expected p of at least 0, got {p}")
    return (p, _COMPUTE_MODES[compute_mode])


def _cdist(attrs, x, y):
    """p-norm distances of each row of x1 (..., P, M) from each row of x2 (..., R, M): (..., P, R).

    compute_mode says whether Euclidean distances may go through a matrix product, |x|^2 - 2 x.y + |y|^2, which is fast
    and less exact for rows close to each other; by default where P or R is more than 25.
    """
    p, through_product = attrs
    if x.ndim < 2 or y.ndim < 2 or x.shape[-1] != y.shape[-1]:
        raise ShapeError(
            f"[cdist] expected rows of one length, shapes (..., P, M) and (..., R, M), got {tuple(x.shape)} and "
            f"{tuple(y.shape)}"
        )
    if x.dtype.kind != "f" or y.dtype.kind != "f":
        raise DTypeError(f"[cdist] expected real floating dtypes, got {x.dtype} and {y.dtype}")
    if through_product is None:
        through_product = x.shape[-2] > 25 or y.shape[-2] > 25
    if p == 2 and through_product:
        left, right = sum_(square(x), -1, True), sum_(square(y), -1, True)
        both = left + transpose_last(right) - 2.0 * product(x, transpose_last(y))
        return safe_root(maximum(both, 0.0))
    gap = subtract(
        reshape(x, (*x.shape[:-1], 1, x.shape[-1])), reshape(y, (*y.shape[:-2], 1, y.shape[-2], y.shape[-1]))
    )
    return p_norm(gap, p, (gap.ndim - 1,)) if gap.shape[-1] else sum_(gap, -1)


cdist = composite(
    "cdist", 2, in_float32(_cdist),
    autocast="float32", errors=(((-1.0,), {}, "[cdist]"), ((2.0, "fast"), {}, "[cdist]")),
    attributes=_cdist_attributes, reference=_REFERENCES + "cdist",
    samples=Samples(((-5, 5), (-5, 5)), arguments=(((), {}), ((1.0,), {}), ((2.0, "use_mm_for_euclid_dist"), {}),
                                                   ((math.inf,), {})),
                    shapes=(((3, 4), (2, 4)), ((2, 3, 4), (2, 2, 4)), ((3, 4), (2, 4)), ((3, 4), (2, 4)))),
)  # fmt: skip


def _pdist(p, x):
    """p-norm distances of each pair of rows of a matrix (N, M): a vector of N (N - 1) / 2, in order of the pairs."""
    if x.ndim != 2:
        raise ShapeError(f"[pdist] expected a matrix, got shape {tuple(x.shape)}")
    if x.dtype.kind != "f":
        raise DTypeError(f"[pdist] expected a real floating dtype, got {x.dtype}")
    places = triu_indices(x.shape[0], x.shape[0], 1)
    rows = take(x, places, 0)
    gap = reshape(part(rows, 0, 0, 1) - part(rows, 0, 1, 1), (places.shape[1], x.shape[1]))
    return p_norm(gap, p, (1,)) if x.shape[1] else sum_(gap, 1)


def _pdist_attributes(p=2.0):
    if not check_order(p) >= 0:
        raise ValueRangeError(f"expected p of at least 0, got {p}")
    return check_order(p)


pdist = composite("pdist", 1, in_float32(_pdist),
                  errors=(((-1.0,), {}, "[pdist]"),),
                  attributes=_pdist_attributes, names=("x",), reference=_REFERENCES + "pdist",
                  samples=Samples(((-5, 5),), arguments=(((), {}), ((3.0,), {})), shapes=(((4, 3),),)))  # fmt: skip


def _normalize_attributes(p=2.0, axis=1, eps=1e-12):
    return (check_order(p), tuple(axis) if isinstance(axis, list) else axis, float(eps))


def _normalize(attrs, x):
    """x / max(its p-norm over `axis`, eps)."""
    p, axis, eps = attrs
    x = floating(x)
    return x / maximum(p_norm(x, p, normalize_axes("normalize", axis, x.ndim), True), eps)


normalize = composite("normalize", 1, in_float32(_normalize),
                      errors=(((2.0, 9), {}, "[normalize]"),),
                      attributes=_normalize_attributes, names=("x",),
                      reference=_REFERENCES + "normalize", samples=Samples(
                          ((-5, 5),), arguments=(((), {}), ((1.0, 0), {})), shapes=(((3, 4),),)))  # fmt: skip

__all__ = ["cdist", "dist", "norm", "normalize", "pairwise_distance", "pdist", "renorm"]
