"""Attention and rotary position embeddings."""

from __future__ import annotations

import math

from ...base import dtypes as dt
from ...base.errors import ArgumentError, DTypeError, ShapeError, ValueRangeError
from ..arrange import part
from ..elementwise import cast, cos, equal, exp, greater_equal, less_equal, multiply, sin, subtract, where
from ..families import composite
from ..index import iota
from ..linalg import product, transpose_last
from ..reduce import max as max_
from ..reduce import sum as sum_
from ..samples import Samples
from ..shape import concat, reshape
from .rules import floating, in_float32, stop_gradient

_REFERENCES = "twain.testing.nn_margin_references."


def _attention_attributes(is_causal=False, scale=None, enable_gqa=False, dropout_p=0.0):
    if scale is not None and (isinstance(scale, bool) or not isinstance(scale, (int, float))):
        raise ArgumentError(f"expected scale to be a number or None, got {scale!r}")
    if not 0.0 <= dropout_p < 1.0:
        raise ValueRangeError(f"expected dropout_p in [0, 1), got {dropout_p}")
    return (bool(is_causal), None if scale is None else float(scale), bool(enable_gqa), float(dropout_p))


def _check(q, k, v, grouped: bool) -> None:
    name = "scaled_dot_product_attention"
    shapes = f"query {tuple(q.shape)}, key {tuple(k.shape)} and value {tuple(v.shape)}"
    if min(q.ndim, k.ndim, v.ndim) < 2:
        raise ShapeError(f"[{name}] expected at least two axes each, got {shapes}")
    if q.shape[-1] != k.shape[-1] or k.shape[-2] != v.shape[-2]:
        raise ShapeError(f"[{name}] expected query (..., L, E), key (..., S, E) and value (..., S, Ev), got {shapes}")
    if len({q.dtype, k.dtype, v.dtype}) > 1 or q.dtype.kind != "f":
        raise DTypeError(f"[{name}] expected one floating dtype, got {q.dtype}, {k.dtype} and {v.dtype}")
    if grouped:
        heads = [x.shape[-3] if x.ndim > 2 else 0 for x in (q, k, v)]
        if not all(heads) or heads[1] != heads[2] or heads[0] % heads[1]:
            raise ShapeError(
                f"[{name}] expected the query's number of heads to be a multiple of the key's and value's, got {shapes}"
            )


def _attention(attrs, q, k, v, mask, uniform):
    """softmax(query @ key.T * scale + mask) @ value over the last two axes (Vaswani et al. 2017).

    A row whose scores are all masked gives zeros.
    """
    is_causal, scale, grouped, dropout_p = attrs
    _check(q, k, v, grouped)
    if is_causal and mask is not None:
        raise ArgumentError("[scaled_dot_product_attention] expected attn_mask or is_causal, got both")
    length, source = q.shape[-2], k.shape[-2]
    scale = (q.shape[-1] or 1) ** -0.5 if scale is None else scale
    rows = tuple(q.shape[:-2])
    if grouped and q.shape[-3] != k.shape[-3]:  # the heads of a group as more rows of one product
        group = q.shape[-3] // k.shape[-3]
        q = reshape(q, (*rows[:-1], k.shape[-3], group * length, q.shape[-1]))
    else:
        group = 1
    scores = product(multiply(q, scale), transpose_last(k))
    merged = tuple(scores.shape)
    if group > 1:
        scores = reshape(scores, (*rows, length, source))
    if is_causal:
        scores = where(less_equal(iota((length, source), 1), iota((length, source), 0)), scores, -math.inf)
    if mask is not None:
        if mask.dtype.kind not in "bf":
            raise DTypeError(f"[scaled_dot_product_attention] expected attn_mask of bool or floats, got {mask.dtype}")
        scores = where(mask, scores, -math.inf) if mask.dtype.kind == "b" else scores + cast(mask, scores.dtype)
    if source == 0:
        weights = scores
    else:
        top = stop_gradient(max_(scores, -1, True))
        masked = equal(top, -math.inf)
        powers = exp(subtract(scores, where(masked, 0.0, top)))
        weights = powers / where(masked, 1.0, sum_(powers, -1, True))
    if dropout_p:
        weights = where(greater_equal(uniform, dropout_p), weights * (1.0 / (1.0 - dropout_p)), 0.0)
    if group > 1:
        return reshape(product(reshape(weights, merged), v), (*rows, length, v.shape[-1]))
    return product(weights, v)


attention = composite(
    "scaled_dot_product_attention", 5, in_float32(_attention),

    autocast="low",
    errors=(((False, "x"), {}, "[scaled_dot_product_attention]"), ((False, None, False, 1.0), {}, "expected dropout_p")),
    attributes=_attention_attributes,
    names=("query", "key", "value", "attn_mask", "uniform"), reference=_REFERENCES + "attention", onnx="Attention",
    samples=Samples(((-2, 2), (-2, 2), (-2, 2), "bool", (0, 1)),
                    arguments=(((), {}), ((False, 0.5, True, 0.25), {})),
                    shapes=(((2, 3, 4), (2, 5, 4), (2, 5, 3), (3, 5), (2, 3, 5)),
                            ((1, 4, 3, 4), (1, 2, 5, 4), (1, 2, 5, 3), (1, 4, 3, 5), (1, 4, 3, 5)))),
)  # fmt: skip


# ---------------------------------------------------------------- rotary embeddings
def _rotary_attributes(base=10000.0, interleaved=False):
    if not float(base) > 0:
        raise ValueRangeError(f"expected base > 0, got {base}")
    return (float(base), bool(interleaved))


def _rotary_embedding(attrs, x, positions):
    """x (..., L, D) with each pair of features turned by an angle: position * base ** (-2 i / D) (Su et al. 2021).

    positions: numbers of shape (L,), or of a shape that broadcasts with x's without D; by default 0, 1, ..., L - 1.
    Pairs are (i, i + D/2), or (2 i, 2 i + 1) if interleaved.
    """
    base, interleaved = attrs
    x = floating(x)
    if x.ndim < 2 or x.shape[-1] % 2:
        raise ShapeError(f"[rotary_embedding] expected x of shape (..., L, D) with an even D, got {tuple(x.shape)}")
    length, width = x.shape[-2:]
    half = width // 2
    positions = iota((length,), 0) if positions is None else positions
    if positions.ndim == 0 or positions.shape[-1] not in (1, length):
        raise ShapeError(
            f"[rotary_embedding] expected positions of shape (..., {length}), got {tuple(positions.shape)}"
        )
    wide = x.dtype if x.dtype is dt.float64 else dt.float32
    rates = exp(cast(iota((half,), 0), wide) * (-2.0 * math.log(base) / max(width, 1)))
    angles = reshape(cast(positions, wide), (*positions.shape, 1)) * rates
    c, s = cast(cos(angles), x.dtype), cast(sin(angles), x.dtype)
    last = x.ndim - 1
    if interleaved:
        first, second = part(x, last, 0, half, 2), part(x, last, 1, half, 2)
    else:
        first, second = part(x, last, 0, half), part(x, last, half, half)
    turned = first * c - second * s, second * c + first * s
    if not interleaved:
        return concat(turned, last)
    pairs = [reshape(t, (*t.shape, 1)) for t in turned]
    return reshape(concat(pairs, last + 1), tuple(x.shape))


rotary_embedding = composite(
    "rotary_embedding", 2, in_float32(_rotary_embedding),
    errors=(((0.0,), {}, "[rotary_embedding]"),),
    attributes=_rotary_attributes, names=("x", "positions"),
    reference=_REFERENCES + "rotary_embedding", onnx="RotaryEmbedding",
    samples=Samples(((-2, 2), "class 9"), arguments=(((), {}), ((100.0, True), {})), shapes=(((2, 3, 4), (3,)),)),
)  # fmt: skip

__all__ = ["attention", "rotary_embedding"]
