"""The affine map, rows looked up in a table, masked means and dropout."""

from __future__ import annotations

from ...base.errors import DTypeError, ShapeError
from ..elementwise import cast, equal, greater_equal, where
from ..families import composite
from ..index import iota, take
from ..linalg import product, transpose_last
from ..reduce import sum as sum_
from ..samples import Samples
from ..shape import reshape
from .rules import stop_gradient

_REFERENCES = "twain.testing.nn_references."


def _linear(attrs, x, weight, bias):
    """x @ weight.T + bias: x (..., in), weight (out, in), bias (out,) or absent."""
    if weight.ndim != 2 or x.ndim == 0 or x.shape[-1] != weight.shape[1]:
        raise ShapeError(
            f"[linear] expected x of shape (..., {weight.shape[-1] if weight.ndim else '?'}) for weight "
            f"{tuple(weight.shape)} (out, in), got {tuple(x.shape)}"
        )
    if bias is not None and tuple(bias.shape) != (weight.shape[0],):
        raise ShapeError(f"[linear] expected bias of shape ({weight.shape[0]},), got {tuple(bias.shape)}")
    lead = tuple(x.shape[:-1])
    rows = x if x.ndim == 2 else reshape(x, (_count(lead), x.shape[-1]))
    result = product(rows, transpose_last(weight))
    if bias is not None:
        result = result + bias
    return result if x.ndim == 2 else reshape(result, (*lead, weight.shape[0]))


def _count(shape: tuple) -> int:
    total = 1
    for d in shape:
        total *= d
    return total


linear = composite(
    "linear", 3, _linear, autocast="low", names=("x", "weight", "bias"),
    errors=(((), {}, "[linear]", ((None, (2, 3)), (None, (4, 5)), None)),),
    reference=_REFERENCES + "linear", onnx="Gemm",
    samples=Samples(((-2, 2), (-2, 2), (-2, 2)), shapes=(((3, 5), (4, 5), (4,)), ((5,), (4, 5), (4,)),
                                                         ((2, 3, 5), (4, 5), (4,)))),
)  # fmt: skip


def _embedding(padding_idx, x, weight):
    """weight[x]: x integers of any shape, weight (rows, length). Row padding_idx gets no gradient.

    An index out of range gives NaN.
    """
    if x.dtype.kind not in "iu":
        raise DTypeError(f"[embedding] expected integer indices, got {x.dtype}")
    if weight.ndim != 2:
        raise ShapeError(f"[embedding] expected weight of shape (rows, length), got {tuple(weight.shape)}")
    rows = take(weight, x, 0)
    if padding_idx is None:
        return rows
    padding = reshape(equal(x, padding_idx), (*x.shape, 1))
    return where(padding, stop_gradient(rows), rows)


embedding = composite(
    "embedding", 2, _embedding, names=("x", "weight"), onnx="Gather",
    errors=(((), {}, "[embedding]", (("float32", (2,)), None)),),
    reference=_REFERENCES + "embedding",
    attributes=lambda padding_idx=None: padding_idx,
    # no padding_idx here: its gradient is not the derivative, on purpose
    samples=Samples(("class 4", (-2, 2)), shapes=(((3,), (4, 5)), ((2, 3), (4, 5)))),
)  # fmt: skip


def _without_row(row, weight):
    """weight with row number `row` 0."""
    return where(equal(iota((weight.shape[0], 1), 0), row), 0.0, weight)


without_row = composite(
    "without_row", 1, _without_row, names=("weight",), reference=_REFERENCES + "without_row",
    attributes=lambda row: int(row), samples=Samples(((-2, 2),), arguments=(((1,), {}),), shapes=(((4, 5),),)),
)  # fmt: skip


def _masked_mean(attrs, x, mask):
    """Mean of x (N, L, D) over L where mask (N, L) is true; 0 where nothing is."""
    if x.ndim != 3 or tuple(mask.shape) != tuple(x.shape[:2]):
        raise ShapeError(
            f"[masked_mean] expected x (N, L, D) and mask (N, L), got {tuple(x.shape)} and {tuple(mask.shape)}"
        )
    if mask.dtype.kind != "b":
        raise DTypeError(f"[masked_mean] expected a bool mask, got {mask.dtype}")
    kept = where(reshape(mask, (*mask.shape, 1)), x, 0.0)
    count = sum_(cast(mask, x.dtype), 1, True)
    return sum_(kept, 1) / where(equal(count, 0.0), 1.0, count)


masked_mean = composite(
    "masked_mean", 2, _masked_mean, names=("x", "mask"), reference=_REFERENCES + "masked_mean",
    samples=Samples(((-2, 2), "bool"), shapes=(((2, 3, 4), (2, 3)),)),
)  # fmt: skip


def _drop(p, x, uniform):
    """x / (1 - p) where uniform (numbers in [0, 1)) is at least p, else 0."""
    return where(greater_equal(uniform, p), x * (1.0 / (1.0 - p) if p < 1.0 else 0.0), 0.0)


drop = composite(
    "drop", 2, _drop, names=("x", "uniform"), attributes=lambda p: float(p), reference=_REFERENCES + "drop",
    samples=Samples(((-2, 2), (0, 1)), arguments=(((0.3,), {}),), shapes=(((3, 4), (3, 4)),)),
)  # fmt: skip
