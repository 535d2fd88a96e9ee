"""Initial values of parameters, by PyTorch's names; each function fills a tensor in place and returns it.

The numbers come from `twain.random`'s default generator, so `twain.random.seed(0)` makes them reproducible.
"""

from __future__ import annotations

import math

from .. import _core
from ..base.errors import ArgumentError, ShapeError, ValueRangeError
from ..base.shapes import size_of
from ..ops.elementwise import log, logical_and, sqrt, where
from ..ops.linalg_spectral import qr_op
from ..ops.sort import argsort
from ..tensor import arange, eye, full, no_grad, random

Tensor = _core.Tensor


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor by which initial weights grow to keep variances through a nonlinearity (He et al. 2015)."""
    if nonlinearity in ("linear", "sigmoid", "conv1d", "conv2d", "conv3d"):
        return 1.0
    if nonlinearity == "tanh":
        return 5.0 / 3
    if nonlinearity == "relu":
        return math.sqrt(2.0)
    if nonlinearity == "leaky_relu":
        return math.sqrt(2.0 / (1 + (0.01 if param is None else param) ** 2))
    if nonlinearity == "selu":
        return 3.0 / 4
    raise ArgumentError(
        "[calculate_gain] expected nonlinearity among linear, conv2d, sigmoid, tanh, relu, leaky_relu, selu, got "
        f"{nonlinearity!r}"
    )


def fans(function: str, shape: tuple) -> tuple[int, int]:
    """(fan_in, fan_out) of a weight (out, in, *kernel)."""
    if len(shape) < 2:
        raise ShapeError(f"[{function}] expected a tensor of at least 2 dimensions, got shape {tuple(shape)}")
    area = size_of(tuple(shape[2:]))
    return shape[1] * area, shape[0] * area


def _fill(tensor: Tensor, values: Tensor) -> Tensor:
    with no_grad():
        tensor.assign(values if values.dtype is tensor.dtype else values.astype(tensor.dtype))
    return tensor


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0) -> Tensor:
    """Uniform in [a, b)."""
    return _fill(tensor, random.uniform(tuple(tensor.shape), low=a, high=b))


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0) -> Tensor:
    """Normal with the given mean and standard deviation."""
    return _fill(tensor, random.normal(tuple(tensor.shape)) * std + mean)


def trunc_normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0) -> Tensor:
    """Normal, restricted to [a, b]: the standard normal's inverse distribution function of uniform numbers."""
    if not a < b or std <= 0:
        raise ValueRangeError(f"[trunc_normal_] expected a < b and std > 0, got a={a}, b={b}, std={std}")

    def distribution(x: float) -> float:
        return 0.5 * math.erfc(-(x - mean) / std / math.sqrt(2.0))

    low, high = distribution(a), distribution(b)
    share = random.uniform(tuple(tensor.shape), low=low, high=high, dtype="float64")
    values = normal_quantile(share) * std + mean
    return _fill(tensor, values.clip(a, b))


def normal_quantile(p: Tensor) -> Tensor:
    """The inverse of the standard normal distribution function for p in (0, 1), relative error below 1.2e-9.

    Source: rational approximation by P. Acklam (2003).
    """
    a = (-39.69683028665376, 220.9460984245205, -275.9285104469687, 138.3577518672690, -30.66479806614716,
         2.506628277459239)  # fmt: skip
    b = (-54.47609879822406, 161.5858368580409, -155.6989798598866, 66.80131188771972, -13.28068155288572, 1.0)
    c = (-0.007784894002430293, -0.3223964580411365, -2.400758277161838, -2.549732539343734, 4.374664141464968,
         2.938163982698783)  # fmt: skip
    d = (0.007784695709041462, 0.3224671290700398, 2.445134137142996, 3.754408661907416, 1.0)

    def polynomial(coefficients: tuple, x: Tensor) -> Tensor:
        value = x * 0.0 + coefficients[0]
        for k in coefficients[1:]:
            value = value * x + k
        return value

    from_middle = p - 0.5
    square = from_middle * from_middle
    middle = polynomial(a, square) * from_middle / polynomial(b, square)
    near = where(p < 0.5, p, 1.0 - p)
    root = sqrt(-2.0 * log(where(near > 1e-300, near, 1e-300)))
    tail = polynomial(c, root) / polynomial(d, root)
    return where(near < 0.02425, where(p < 0.5, tail, -tail), middle)


def constant_(tensor: Tensor, val: float) -> Tensor:
    """Every element `val`."""
    return _fill(tensor, full(tuple(tensor.shape), val, dtype=tensor.dtype))


def zeros_(tensor: Tensor) -> Tensor:
    """Every element 0."""
    return constant_(tensor, 0.0)


def ones_(tensor: Tensor) -> Tensor:
    """Every element 1."""
    return constant_(tensor, 1.0)


def eye_(tensor: Tensor) -> Tensor:
    """The identity matrix."""
    if tensor.ndim != 2:
        raise ShapeError(f"[eye_] expected a tensor of 2 dimensions, got shape {tuple(tensor.shape)}")
    return _fill(tensor, eye(tensor.shape[0], tensor.shape[1]))


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """The kernels of a convolution that gives its input: (out, in, *kernel), 1 at the centre, per group."""
    if tensor.ndim not in (3, 4, 5):
        raise ShapeError(f"[dirac_] expected a tensor of 3 to 5 dimensions, got shape {tuple(tensor.shape)}")
    out, width, *kernel = tensor.shape
    if groups < 1 or out % groups:
        raise ValueRangeError(f"[dirac_] expected groups to divide the size {out} of axis 0, got {groups}")
    row, column = arange(out).reshape((-1, 1)), arange(width)
    value = (row % (out // groups) == column).reshape((out, width, *(1 for _ in kernel)))
    for axis, size in enumerate(kernel):
        shape = tuple(size if i == axis else 1 for i in range(len(kernel)))
        value = logical_and(value, (arange(size) == size // 2).reshape(shape))
    return _fill(tensor, value.astype(tensor.dtype))


def orthogonal_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """gain times a random (semi-)orthogonal matrix; axes beyond the first count as one (Saxe et al. 2014)."""
    if tensor.ndim < 2:
        raise ShapeError(f"[orthogonal_] expected a tensor of at least 2 dimensions, got shape {tuple(tensor.shape)}")
    if tensor.size == 0:
        return tensor
    rows = tensor.shape[0]
    columns = tensor.size // rows
    q, r = qr_op(random.normal((max(rows, columns), min(rows, columns))))
    # the signs that make R's diagonal positive make Q uniform
    q = q * where(r.diagonal() < 0, -1.0, 1.0)
    return _fill(tensor, ((q if rows >= columns else q.T) * gain).reshape(tuple(tensor.shape)))


def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01) -> Tensor:
    """Normal, but for a share `sparsity` of each column of a matrix, which is 0 (Martens 2010)."""
    if tensor.ndim != 2:
        raise ShapeError(f"[sparse_] expected a tensor of 2 dimensions, got shape {tuple(tensor.shape)}")
    if not 0 <= sparsity <= 1:
        raise ValueRangeError(f"[sparse_] expected sparsity in [0, 1], got {sparsity}")
    rows, columns = tensor.shape
    zeros = math.ceil(sparsity * rows)
    rank = argsort(argsort(random.uniform((rows, columns)), axis=0), axis=0)
    return _fill(tensor, where(rank < zeros, 0.0, random.normal((rows, columns)) * std))


def xavier_uniform_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """Uniform in +-gain * sqrt(6 / (fan_in + fan_out)) (Glorot, Bengio 2010)."""
    bound = gain * math.sqrt(6.0 / sum(fans("xavier_uniform_", tensor.shape)))
    return uniform_(tensor, -bound, bound)


def xavier_normal_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """Normal with standard deviation gain * sqrt(2 / (fan_in + fan_out)) (Glorot, Bengio 2010)."""
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / sum(fans("xavier_normal_", tensor.shape))))


def _kaiming_std(function: str, tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    if mode not in ("fan_in", "fan_out"):
        raise ArgumentError(f"[{function}] expected mode 'fan_in' or 'fan_out', got {mode!r}")
    fan = fans(function, tensor.shape)[mode == "fan_out"]
    return calculate_gain(nonlinearity, a) / math.sqrt(fan) if fan else 0.0


def kaiming_uniform_(tensor: Tensor, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu") -> Tensor:
    """Uniform in +-gain * sqrt(3 / fan) (He et al. 2015)."""
    bound = math.sqrt(3.0) * _kaiming_std("kaiming_uniform_", tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound)


def kaiming_normal_(tensor: Tensor, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu") -> Tensor:
    """Normal with standard deviation gain / sqrt(fan) (He et al. 2015)."""
    return normal_(tensor, 0.0, _kaiming_std("kaiming_normal_", tensor, a, mode, nonlinearity))
