"""Products of vectors and matrices that are functions of other ops, and what tensors share with matrices."""

from __future__ import annotations

import itertools

from ..base import dtypes as dt
from ..base.errors import ArgumentError, ShapeError, ValueRangeError
from ..base.shapes import as_index, broadcast_shapes, normalize_axis, size_of
from .arrange import diagonal as diagonal_op
from .arrange import part
from .elementwise import add, cast, multiply, subtract
from .families import composite
from .index import triu
from .linalg import matmul
from .linalg_common import (
    adjoint,
    check_matrices,
    columns_of,
    identity,
    lapack_dtype,
    mm,
)
from .linalg_solve import inv, solution, triangular
from .nn.rules import in_float32
from .reduce import sum as sum_
from .samples import Samples
from .shape import broadcast_to, concat, permute_dims, reshape

_REFERENCES = "twain.testing.linalg_references."


# ---------------------------------------------------------------- vectors
def _axis_attribute(name: str):
    return lambda axis=-1: as_index(name, "axis", axis)


def _cross(axis, a, b):
    """The vector product along `axis`, of size 3 in both; the other axes broadcast."""
    shape = broadcast_shapes("linalg.cross", tuple(a.shape), tuple(b.shape))
    at = normalize_axis("linalg.cross", axis, min(a.ndim, b.ndim)) - min(a.ndim, b.ndim)
    if a.shape[at] != 3 or b.shape[at] != 3:
        raise ShapeError(
            f"[linalg.cross] expected size 3 along axis {axis}, got shapes {tuple(a.shape)} and {tuple(b.shape)}"
        )
    at += len(shape)
    a, b = broadcast_to(a, shape), broadcast_to(b, shape)

    def turned(x, by: int):
        return concat([part(x, at, by, 3 - by), part(x, at, 0, by)], at)

    return subtract(multiply(turned(a, 1), turned(b, 2)), multiply(turned(a, 2), turned(b, 1)))


cross = composite(
    "linalg.cross", 2, _cross, attributes=_axis_attribute("linalg.cross"), reference=_REFERENCES + "cross",
    samples=Samples(((-2, 2), (-2, 2)), arguments=(((), {}), ((0,), {})), shapes=(((4, 3), (3,)), ((3, 2), (3, 2))),
                    dtypes=(dt.float32, dt.float64, dt.complex128)),
    errors=(((7,), {}, "axis"),),
)  # fmt: skip


# ---------------------------------------------------------------- diagonals of the last two axes
def _diagonal(offset, x):
    """The diagonals of matrices, shape (..., m, n) -> (..., k); offset > 0 is above the main one."""
    check_matrices("linalg.diagonal", "x", x.spec)
    return diagonal_op(x, offset, -2, -1)


diagonal = composite(
    "linalg.diagonal", 1, _diagonal, attributes=lambda offset=0: as_index("linalg.diagonal", "offset", offset),
    names=("x",), errors=(((), {}, "[linalg.diagonal]", ((None, (3,)),)),),
    reference=_REFERENCES + "diagonal",
    samples=Samples(((-2, 2),), arguments=(((), {}), ((1,), {})), shapes=(((2, 3, 4),),), dtypes=(dt.float64,)),
)  # fmt: skip


def _trace_attributes(offset=0, dtype=None):
    return as_index("linalg.trace", "offset", offset), None if dtype is None else dt.as_dtype(dtype, "linalg.trace")


def _trace(attrs, x):
    """Sums of the diagonals of matrices, shape (..., m, n) -> (...). Small integers are summed as int64 or uint64."""
    offset, dtype = attrs
    check_matrices("linalg.trace", "x", x.spec)
    x = diagonal_op(x, offset, -2, -1)
    return sum_(x if dtype is None else cast(x, dtype), -1)


trace = composite(
    "linalg.trace", 1, _trace, attributes=_trace_attributes, names=("x",), errors=(((), {}, "[linalg.trace]", ((None, (3,)),)),),
    reference=_REFERENCES + "trace",
    samples=Samples(((-2, 2),), arguments=(((), {}), ((-1, "float64"), {})), shapes=(((2, 3, 4),),), dtypes=(dt.float64,)),
)  # fmt: skip


# ---------------------------------------------------------------- several matrices
def _power(n, x):
    """The n-th power of square matrices, shape (..., k, k), n an int; negative: of the inverse. By repeated squaring."""
    check_matrices("linalg.matrix_power", "x", x.spec, True)
    if n < 0:
        x, n = inv(x), -n
    if n == 0:
        return broadcast_to(identity(x.shape[-1], x.shape[-1], dt.strengthen(x.dtype)), x.shape)
    result = None
    while n:
        if n & 1:
            result = x if result is None else matmul(result, x)
        n >>= 1
        if n:
            x = matmul(x, x)
    return result


matrix_power = composite(
    "linalg.matrix_power", 1, _power, attributes=lambda n: as_index("linalg.matrix_power", "n", n), names=("x",),
    reference=_REFERENCES + "matrix_power",
    samples=Samples(("regular",), arguments=(((3,), {}), ((0,), {}), ((-2,), {})), shapes=(((2, 3, 3),),),
                    dtypes=(dt.float64, dt.complex128)),
    errors=(((1.5,), {}, "n"),),
)  # fmt: skip


def chain_order(sizes: list) -> list:
    """Where to split each run of factors for the fewest multiplications: split[i][j] for factors i..j.

    sizes[i] x sizes[i + 1] are the shapes. T. Cormen et al., Introduction to Algorithms, matrix-chain multiplication.
    """
    count = len(sizes) - 1
    cost = [[0] * count for _ in range(count)]
    split = [[0] * count for _ in range(count)]
    for length in range(1, count):
        for i in range(count - length):
            j = i + length
            choices = ((cost[i][k] + cost[k + 1][j] + sizes[i] * sizes[k + 1] * sizes[j + 1], k) for k in range(i, j))
            cost[i][j], split[i][j] = min(choices)
    return split


def _multi_dot(attrs, *matrices):
    """The product of two or more matrices in the order with the fewest multiplications; the first and the last may be
    vectors."""
    if len(matrices) < 2:
        raise ArgumentError(f"[linalg.multi_dot] expected at least two matrices, got {len(matrices)}")
    values = list(matrices)
    first, last = values[0].ndim == 1, values[-1].ndim == 1
    if first:
        values[0] = reshape(values[0], (1, values[0].shape[0]))
    if last:
        values[-1] = reshape(values[-1], (values[-1].shape[0], 1))
    shapes = [tuple(x.shape) for x in values]
    if any(len(s) != 2 for s in shapes) or any(a[1] != b[0] for a, b in itertools.pairwise(shapes)):
        raise ShapeError(f"[linalg.multi_dot] expected matrices that fit one after the other, got shapes {shapes}")
    split = chain_order([shapes[0][0], *(s[1] for s in shapes)])

    def run(i: int, j: int):
        return values[i] if i == j else matmul(run(i, split[i][j]), run(split[i][j] + 1, j))

    result = run(0, len(values) - 1)
    shape = (() if first else result.shape[:1]) + (() if last else result.shape[1:])
    return reshape(result, shape) if first or last else result


multi_dot_op = composite(
    "linalg.multi_dot", -1, _multi_dot, reference=_REFERENCES + "multi_dot",
    samples=Samples(((-2, 2),) * 3, shapes=(((3, 4), (4, 2), (2, 5)), ((3,), (3, 2), (2,))), dtypes=(dt.float64,)),
)  # fmt: skip


# ---------------------------------------------------------------- tensors as matrices
def _tensorinv(ind, x):
    """The inverse of x as a matrix of its first `ind` axes by the others, which must be as large: the result's first axes
    are the others."""
    rows, columns = tuple(x.shape[:ind]), tuple(x.shape[ind:])
    if size_of(rows) != size_of(columns):
        raise ShapeError(
            f"[linalg.tensorinv] expected as many elements in the first {ind} axes as in the others, got {tuple(x.shape)}"
        )
    return reshape(inv(reshape(x, (size_of(rows), size_of(columns)))), (*columns, *rows))


def _ind_attribute(ind=2):
    if as_index("linalg.tensorinv", "ind", ind) <= 0:
        raise ValueRangeError(f"[linalg.tensorinv] ind: expected an int > 0, got {ind}")
    return ind


tensorinv = composite(
    "linalg.tensorinv", 1, _tensorinv, attributes=_ind_attribute, names=("x",), reference=_REFERENCES + "tensorinv",
    samples=Samples(("regular tensor",), arguments=(((), {}), ((1,), {})), shapes=(((2, 3, 6),), ((6, 2, 3),)),
                    dtypes=(dt.float64,)),
    errors=(((0,), {}, "ind"), ((3,), {}, "axes")),
)  # fmt: skip


def _tensorsolve_attributes(axes=None):
    if axes is None:
        return None
    return tuple(
        as_index("linalg.tensorsolve", "axes", a) for a in (axes if isinstance(axes, (tuple, list)) else (axes,))
    )


def _tensorsolve(axes, a, b):
    """The X with tensordot(x1, X, X.ndim) = x2; `axes` of x1 are moved to its end before."""
    if axes is not None:
        moved = [normalize_axis("linalg.tensorsolve", i, a.ndim) for i in axes]
        a = permute_dims(a, (*(i for i in range(a.ndim) if i not in moved), *moved))
    rest = tuple(a.shape[b.ndim :])
    if a.ndim < b.ndim or size_of(rest) != b.size or a.size != b.size**2:
        raise ShapeError(
            f"[linalg.tensorsolve] expected x1 with as many elements as x2 in its first {b.ndim} axes and in the others, "
            f"got shapes {tuple(a.shape)} and {tuple(b.shape)}"
        )
    return reshape(solution(reshape(a, (b.size, b.size)), reshape(b, (b.size, 1))), rest)


tensorsolve = composite(
    "linalg.tensorsolve", 2, _tensorsolve, attributes=_tensorsolve_attributes, reference=_REFERENCES + "tensorsolve",
    samples=Samples(("regular tensor", (-2, 2)), shapes=(((2, 3, 6), (2, 3)),), dtypes=(dt.float64,)),
    errors=((((9,),), {}, "axis"),),
)  # fmt: skip


# ---------------------------------------------------------------- further constructions
def _vander_attributes(N=None):
    if N is not None and not 1 <= as_index("linalg.vander", "N", N) <= 1 << 16:
        raise ValueRangeError(f"[linalg.vander] N: expected an int from 1 to 65,536, got {N}")
    return N


def _vander(count, x):
    """Vandermonde matrices of vectors, shape (..., n) -> (..., n, N): the powers 0, 1, ... N - 1; N is n by default."""
    if x.ndim < 1:
        x = reshape(x, (1,))
    if x.dtype.kind in "biu":
        x = cast(x, dt.int64)
    column = reshape(x, (*x.shape, 1))
    width = x.shape[-1] if count is None else count
    powers = [add(multiply(column, 0), 1)]
    while len(powers) < width:
        powers.append(multiply(powers[-1], column))
    return concat(powers[:width], -1) if width > 1 else powers[0]


vander = composite(
    "linalg.vander", 1, in_float32(_vander), attributes=_vander_attributes, names=("x",), reference=_REFERENCES + "vander",
    samples=Samples(((-2, 2),), arguments=(((), {}), ((5,), {})), shapes=(((2, 3),),), dtypes=(dt.float32, dt.float64)),
    errors=(((0,), {}, "N"),),
)  # fmt: skip


def _householder(attrs, x, tau):
    """The first n columns of H_1 @ H_2 @ ... @ H_k, H_i = 1 - tau[i] * v_i @ v_i^H, v_i: the part of column i of x below
    the diagonal, with 1 on it. x: (..., m, n), m >= n; tau: (..., k), k <= n.

    All at once, as 1 - V @ T @ V^H with T^-1 = diag(1 / tau) + striu(V^H @ V): T. Joffrain et al., Accumulating
    Householder transformations, revisited (2006).
    """
    name = "linalg.householder_product"
    check_matrices(name, "x", x.spec)
    dtype = lapack_dtype(name, x.spec, tau.spec)
    m, n, k = x.shape[-2], x.shape[-1], tau.shape[-1] if tau.ndim else 0
    if m < n or k > n or tau.shape[:-1] != x.shape[:-2]:
        raise ShapeError(
            f"[{name}] expected x (..., m, n) with m >= n and tau (..., k) with k <= n, got shapes {tuple(x.shape)} and "
            f"{tuple(tau.shape)}"
        )
    one = identity(m, n, dtype)
    if not k:
        return broadcast_to(one, x.shape)
    below = columns_of(x, 0, k)
    v = add(subtract(below, triu(below)), identity(m, k, dtype))
    scale = reshape(tau, (*tau.shape, 1))
    gram = mm(adjoint(v), v)
    inner = add(identity(k, k, dtype), multiply(scale, triu(gram, 1)))
    right = multiply(scale, columns_of(adjoint(v), 0, n))
    return subtract(one, mm(v, triangular(inner, right, True, True)))


householder_product = composite(
    "linalg.householder_product", 2, _householder, names=("x", "tau"),
    errors=(((), {}, "[linalg.householder_product]", ((None, (3,)), None)),),
    reference=_REFERENCES + "householder_product",
    samples=Samples(("regular", (0.2, 1.5)), shapes=(((4, 3), (2,)), ((2, 3, 3), (2, 3))), dtypes=(dt.float64, dt.complex128)),
)  # fmt: skip

__all__ = [
    "cross", "diagonal", "householder_product", "matrix_power", "multi_dot_op", "tensorinv", "tensorsolve", "trace", "vander",
]  # fmt: skip
