"""The rest of torch.nn.functional: bilinear maps, local response and instance normalisation, noise that keeps statistics."""

from __future__ import annotations

from ...base import dtypes as dt
from ...base.errors import DTypeError, ShapeError, ValueRangeError
from ...base.shapes import size_of
from ..arrange import sliding_windows
from ..elementwise import cast, greater, greater_equal, less, logical_and, multiply, power, where
from ..families import composite
from ..index import scatter_add, take
from ..linalg import product, transpose_last
from ..reduce import mean, var
from ..reduce import sum as sum_
from ..samples import Samples
from ..shape import broadcast_to, embed, reshape
from .rules import floating, in_float32, stop_gradient

_REFERENCES = "twain.testing.nn_margin_references."


def _bilinear(attrs, a, b, weight, bias):
    """x1 @ weight[o] @ x2 + bias[o]: x1 (..., n), x2 (..., m), weight (out, n, m), bias (out,)."""
    if weight.ndim != 3 or a.ndim == 0 or b.ndim == 0 or (a.shape[-1], b.shape[-1]) != tuple(weight.shape[1:]):
        raise ShapeError(
            f"[bilinear] expected x1 (..., n), x2 (..., m) and weight (out, n, m), got {tuple(a.shape)}, {tuple(b.shape)} "
            f"and {tuple(weight.shape)}"
        )
    if tuple(a.shape[:-1]) != tuple(b.shape[:-1]):
        raise ShapeError(f"[bilinear] expected equal leading axes, got {tuple(a.shape)} and {tuple(b.shape)}")
    out, n, m = weight.shape
    if bias is not None and tuple(bias.shape) != (out,):
        raise ShapeError(f"[bilinear] expected bias of shape ({out},), got {tuple(bias.shape)}")
    lead = tuple(a.shape[:-1])
    count = size_of(lead)
    # (N, n) with (n, out m) by way of the weight's transpose, then the sum over m
    rows = product(reshape(b, (count, m)), transpose_last(reshape(weight, (out * n, m))))
    result = sum_(reshape(rows, (count, out, n)) * reshape(a, (count, 1, n)), 2)
    if bias is not None:
        result = result + bias
    return reshape(result, (*lead, out))


bilinear = composite(
    "bilinear", 4, in_float32(_bilinear), autocast="low", names=("x1", "x2", "weight", "bias"),
    errors=(((), {}, "[bilinear]", ((None, (2, 3)), (None, (4, 5)), None, None)),),
    reference=_REFERENCES + "bilinear",
    samples=Samples(((-2, 2),) * 4, shapes=(((3, 4), (3, 2), (5, 4, 2), (5,)),)),
)  # fmt: skip


def _local_response_attributes(size, alpha=1e-4, beta=0.75, k=1.0):
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise ValueRangeError(f"expected size to be an int of at least 1, got {size!r}")
    return (size, float(alpha), float(beta), float(k))


def _local_response_norm(attrs, x):
    """x / (k + alpha * mean of the squares of `size` neighbouring channels) ** beta (Krizhevsky et al. 2012)."""
    size, alpha, beta, k = attrs
    x = floating(x)
    if x.ndim < 3:
        raise ShapeError(
            f"[local_response_norm] expected x of shape (N, C, ...) with at least 3 axes, got {tuple(x.shape)}"
        )
    shape = tuple(x.shape)
    before = size // 2
    padded = (shape[0], shape[1] + size - 1, *shape[2:])
    squares = embed(multiply(x, x), padded, (0, before, *(0 for _ in shape[2:])), (1,) * x.ndim)
    total = sum_(sliding_windows(squares, size, 1, 1), -1)
    return x / power(total * (alpha / size) + k, beta)


local_response_norm = composite(
    "local_response_norm", 1, in_float32(_local_response_norm), names=("x",), attributes=_local_response_attributes,
    reference=_REFERENCES + "local_response_norm", onnx="LRN", errors=(((0,), {}, "[local_response_norm]"),),
    samples=Samples(((-3, 3),), arguments=(((3, 0.5), {}), ((2,), {})), shapes=(((2, 5, 3),),)),
)  # fmt: skip


def _instance_statistics(attrs, x):
    """(mean, variance with n - 1) per channel of x (N, C, ...), each the mean over samples."""
    axes = tuple(range(2, x.ndim))
    if not axes or size_of(tuple(x.shape[2:])) < 2:
        raise ShapeError(f"[instance_norm] expected more than one value per channel, got x of shape {tuple(x.shape)}")
    return mean(mean(x, axes), 0), mean(var(x, axes, 1.0), 0)


instance_statistics = composite(
    "instance_statistics", 1, in_float32(_instance_statistics), names=("x",),
    reference=_REFERENCES + "instance_statistics", samples=Samples(((-3, 3),), shapes=(((2, 3, 4),),)),
)  # fmt: skip


# ---------------------------------------------------------------- noise
_FLOOR = -1.7580993408473766  # selu's limit for very negative x


def _drop_alpha(p, x, uniform):
    """Alpha dropout: dropped elements become selu's lower limit, then mean and variance are restored (Klambauer et al. 2017)."""
    scale = ((1.0 - p) * (1.0 + p * _FLOOR * _FLOOR)) ** -0.5
    return where(greater_equal(uniform, p), x * scale, _FLOOR * scale) - _FLOOR * scale * p


drop_alpha = composite(
    "drop_alpha", 2, in_float32(_drop_alpha), names=("x", "uniform"), attributes=lambda p: float(p),
    reference=_REFERENCES + "drop_alpha",
    samples=Samples(((-2, 2), (0, 1)), arguments=(((0.3,), {}),), shapes=(((3, 4), (3, 4)),)),
)  # fmt: skip

rrelu_apply = composite(
    "rrelu_apply", 2, lambda attrs, x, slope: where(greater_equal(x, 0), x, multiply(x, slope)), names=("x", "slope"),
    reference=_REFERENCES + "rrelu_apply", doc="x where x >= 0, slope * x elsewhere.",
    samples=Samples(((-2, 2), (0, 1)), shapes=(((3, 4), (3, 4)),)),
)  # fmt: skip


# ---------------------------------------------------------------- tables
def _check_table(name: str, x, weight) -> None:
    if x.dtype.kind not in "iu":
        raise DTypeError(f"[{name}] expected integer indices, got {x.dtype}")
    if weight.ndim != 2:
        raise ShapeError(f"[{name}] expected weight of shape (rows, length), got {tuple(weight.shape)}")


def _counts(x, rows: int, dtype):
    """How often each row number occurs in x."""
    flat = reshape(x, (x.size,))
    return scatter_add(broadcast_to(cast(0, dtype), (rows,)), flat, broadcast_to(cast(1, dtype), (x.size,)), 0, "along")


def _scale_by_frequency(attrs, x, weight):
    """weight[x], whose gradient is divided by how often each row is taken."""
    _check_table("embedding", x, weight)
    share = 1.0 / take(_counts(x, weight.shape[0], weight.dtype), x, 0)
    rows = take(weight, x, 0)
    share = reshape(share, (*x.shape, 1))
    return rows * share + stop_gradient(rows - rows * share)


scale_by_frequency = composite(
    "scale_by_frequency", 2, _scale_by_frequency, names=("x", "weight"), reference=_REFERENCES + "scale_by_frequency",
    samples=Samples(("class 4", (-2, 2)), shapes=(((3,), (4, 5)),)),
)  # fmt: skip


def _limit_rows(attrs, x, weight):
    """weight with those rows that x names scaled down to a p-norm of at most max_norm."""
    _check_table("embedding", x, weight)
    max_norm, p = attrs
    size = power(sum_(power(where(less(weight, 0), -weight, weight), p), 1, True), 1.0 / p)
    named = greater(reshape(_counts(x, weight.shape[0], dt.int64), (weight.shape[0], 1)), 0)
    return where(logical_and(named, greater(size, max_norm)), weight * (max_norm / (size + 1e-7)), weight)


def _limit_attributes(max_norm, norm_type=2.0):
    if not max_norm >= 0 or not norm_type > 0:
        raise ValueRangeError(f"[embedding] expected max_norm >= 0 and norm_type > 0, got {max_norm} and {norm_type}")
    return (float(max_norm), float(norm_type))


limit_rows = composite(
    "limit_rows", 2, _limit_rows, names=("x", "weight"), attributes=_limit_attributes,
    reference=_REFERENCES + "limit_rows",
    samples=Samples(("class 3", (0.5, 2)), arguments=(((1.5,), {}),), shapes=(((3,), (4, 5)),)),
)  # fmt: skip

__all__ = [
    "bilinear", "drop_alpha", "instance_statistics", "limit_rows", "local_response_norm", "rrelu_apply", "scale_by_frequency",
]  # fmt: skip
