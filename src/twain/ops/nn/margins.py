"""Losses that compare scores: ranking, margins over classes, pairs and triplets. Formulas and defaults are PyTorch's."""

from __future__ import annotations

from ...base.errors import ArgumentError, ShapeError, ValueRangeError
from ...base.shapes import size_of
from ..distances import check_order, p_norm
from ..elementwise import (
    cast,
    equal,
    less,
    less_equal,
    logical_and,
    logical_not,
    minimum,
    multiply,
    relu,
    sqrt,
    subtract,
    where,
)
from ..families import composite
from ..index import iota, take_along_axis
from ..reduce import any as any_
from ..reduce import sum as sum_
from ..samples import Samples
from ..shape import reshape
from .activations import logsigmoid
from .losses import _check_reduction, _indices, _pair, _reduced
from .one_hot import class_mask
from .rules import floating, in_float32

_REFERENCES = "twain.testing.nn_margin_references."
_REDUCTIONS = (((), {}), ((), {"reduction": "sum"}), ((), {"reduction": "none"}))


def _setting(name: str, value: object, least: float | None = None) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ArgumentError(f"expected {name} to be a number, got {value!r}")
    if least is not None and not value > least:
        raise ValueRangeError(f"expected {name} > {least}, got {value}")
    return float(value)


# ---------------------------------------------------------------- pairs
def _margin_attributes(name: str, default: float):
    def attributes(margin=default, reduction="mean"):
        return (_setting("margin", margin), _check_reduction(name, reduction))

    return attributes


def _margin_ranking(attrs, a, b, target):
    """max(0, -target * (x1 - x2) + margin): target 1 where x1 should rank higher, -1 where x2 should."""
    margin, reduction = attrs
    gap = subtract(floating(a), floating(b))
    return _reduced(relu(margin - cast(target, gap.dtype) * gap), reduction)


margin_ranking_loss = composite(
    "margin_ranking_loss", 3, in_float32(_margin_ranking), attributes=_margin_attributes("margin_ranking_loss", 0.0),
    names=("x1", "x2", "target"), reference=_REFERENCES + "margin_ranking_loss",
    samples=Samples(((-5, 5), (-5, 5), "nonzero"), arguments=(((), {}), ((0.5,), {"reduction": "none"})),
                    shapes=(((4,), (4,), (4,)),)),
    errors=((("x",), {}, "[margin_ranking_loss]"), ((0.0, "avg"), {}, "[margin_ranking_loss]")),
)  # fmt: skip


def _cosine_embedding(attrs, a, b, target):
    """1 - cos where target is 1, max(0, cos - margin) where it is -1; cos of the angles of vectors in the last axis."""
    margin, reduction = attrs
    a, b = floating(a), floating(b)
    if target.ndim > 1 or target.ndim + 1 != max(a.ndim, b.ndim):
        raise ShapeError(
            f"[cosine_embedding_loss] expected x1 and x2 of shape (N, D) and target (N,), or (D,) and 0-d, got "
            f"{tuple(a.shape)}, {tuple(b.shape)} and {tuple(target.shape)}"
        )
    tiny = 1e-12
    sizes = (sum_(multiply(a, a), -1) + tiny) * (sum_(multiply(b, b), -1) + tiny)
    cosine = sum_(multiply(a, b), -1) / sqrt(sizes)
    loss = where(equal(target, 1), 1.0 - cosine, where(equal(target, -1), relu(cosine - margin), 0.0))
    return _reduced(loss, reduction)


cosine_embedding_loss = composite(
    "cosine_embedding_loss", 3, in_float32(_cosine_embedding), names=("x1", "x2", "target"),
    errors=(((0.0, "avg"), {}, "[cosine_embedding_loss]"),),
    attributes=_margin_attributes("cosine_embedding_loss", 0.0), reference=_REFERENCES + "cosine_embedding_loss",
    samples=Samples(((-5, 5), (-5, 5), "class 2"), arguments=(((), {}), ((0.2,), {"reduction": "none"})),
                    shapes=(((4, 3), (4, 3), (4,)),)),
)  # fmt: skip


# ---------------------------------------------------------------- triplets
def _triplet_attributes(margin=1.0, p=2.0, eps=1e-6, swap=False, reduction="mean"):
    return (
        _setting("margin", margin, 0.0), check_order(p), _setting("eps", eps), bool(swap),
        _check_reduction("triplet_margin_loss", reduction),
    )  # fmt: skip


def _triplet_margin(attrs, anchor, positive, negative):
    """max(0, d(anchor, positive) - d(anchor, negative) + margin), d the p-norm of the difference over the last axis.

    With swap the nearer of anchor and positive to the negative counts (Balntas et al. 2016).
    """
    margin, p, eps, swap, reduction = attrs
    if not anchor.ndim == positive.ndim == negative.ndim or anchor.ndim == 0:
        raise ShapeError(
            f"[triplet_margin_loss] expected anchor, positive and negative of one rank, at least 1, got "
            f"{tuple(anchor.shape)}, {tuple(positive.shape)} and {tuple(negative.shape)}"
        )

    def distance(a, b):
        gap = subtract(floating(a), floating(b)) + eps
        return p_norm(gap, p, (gap.ndim - 1,))

    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = minimum(far, distance(positive, negative))
    return _reduced(relu(near - far + margin), reduction)


triplet_margin_loss = composite(
    "triplet_margin_loss", 3, in_float32(_triplet_margin),
    errors=(((-1.0,), {}, "[triplet_margin_loss]"), ((1.0, "x"), {}, "[triplet_margin_loss]")),
    attributes=_triplet_attributes,
    names=("anchor", "positive", "negative"), reference=_REFERENCES + "triplet_margin_loss",
    samples=Samples(((-2, 2),) * 3, arguments=(((), {}), ((2.0, 1.0), {"swap": True, "reduction": "none"})),
                    shapes=(((4, 3),) * 3,)),
)  # fmt: skip


# ---------------------------------------------------------------- classes
def _classes(name: str, x, target) -> tuple:
    """(x as (N, C), whether there was no batch axis)."""
    if x.ndim > 2:
        raise ShapeError(f"[{name}] expected input of shape (C,) or (N, C), got {tuple(x.shape)}")
    alone = x.ndim < 2
    return (reshape(x, (1, x.size)) if alone else x), alone


def _multi_margin_attributes(p=1, margin=1.0, reduction="mean"):
    if p not in (1, 2):
        raise ValueRangeError(f"expected p to be 1 or 2, got {p!r}")
    return (int(p), _setting("margin", margin), _check_reduction("multi_margin_loss", reduction))


def _multi_margin(attrs, x, target, weight):
    """The mean over the other classes of max(0, margin - x[target] + x) ** p, times weight[target]."""
    p, margin, reduction = attrs
    x, alone = _classes("multi_margin_loss", floating(x), target)
    wanted = () if alone else (x.shape[0],)
    if tuple(target.shape) not in (wanted, (x.shape[0],)):
        raise ShapeError(f"[multi_margin_loss] expected target of shape {wanted}, got {tuple(target.shape)}")
    classes = x.shape[1]
    if classes == 0:
        raise ShapeError(f"[multi_margin_loss] expected at least one class, got input of shape {tuple(x.shape)}")
    if weight is not None and tuple(weight.shape) != (classes,):
        raise ShapeError(f"[multi_margin_loss] expected weight of shape ({classes},), got {tuple(weight.shape)}")
    mask = class_mask(reshape(_indices("multi_margin_loss", target), (x.shape[0],)), classes, 1)
    own = sum_(where(mask, x, 0.0), 1, True)
    terms = relu(margin - own + x)
    if p == 2:
        terms = multiply(terms, terms)
    if weight is not None:
        terms = terms * sum_(where(mask, weight, 0.0), 1, True)
    loss = sum_(where(mask, 0.0, terms), 1) * (1.0 / classes)
    return _reduced(reshape(loss, ()) if alone and target.ndim == 0 else loss, reduction)


multi_margin_loss = composite(
    "multi_margin_loss", 3, in_float32(_multi_margin), attributes=_multi_margin_attributes,
    names=("input", "target", "weight"), reference=_REFERENCES + "multi_margin_loss",
    samples=Samples(((-2, 2), "class 4", (0.5, 2)), arguments=(((), {}), ((2, 0.5), {"reduction": "none"})),
                    shapes=(((3, 4), (3,), (4,)),)),
    errors=(((3,), {}, "[multi_margin_loss]"),),
)  # fmt: skip


def _multilabel_margin(reduction, x, target):
    """Sums over the target classes y and the other classes i of max(0, 1 - (x[y] - x[i])) / C.

    target (N, C): class numbers, ended by -1.
    """
    x, alone = _classes("multilabel_margin_loss", floating(x), target)
    if size_of(tuple(target.shape)) != x.size or target.ndim > 2:
        raise ShapeError(
            f"[multilabel_margin_loss] expected target of input's shape {tuple(x.shape)}, got {tuple(target.shape)}"
        )
    number, classes = x.shape
    target = reshape(_indices("multilabel_margin_loss", target), (number, classes))
    # a place counts if no negative number stands before it or at it
    earlier = less_equal(iota((classes, classes), 1), iota((classes, classes), 0))
    ended = any_(logical_and(earlier, reshape(less(target, 0), (number, 1, classes))), 2)
    counts = logical_not(ended)
    labels = where(counts, target, 0)
    here = logical_and(
        equal(reshape(labels, (number, classes, 1)), iota((classes,), 0)), reshape(counts, (number, classes, 1))
    )
    is_target = any_(here, 1)
    own = take_along_axis(x, labels, 1)
    terms = relu(1.0 - (reshape(own, (number, classes, 1)) - reshape(x, (number, 1, classes))))
    taken = logical_and(reshape(counts, (number, classes, 1)), logical_not(reshape(is_target, (number, 1, classes))))
    loss = sum_(where(taken, terms, 0.0), (1, 2)) * (1.0 / classes if classes else 0.0)
    return _reduced(reshape(loss, ()) if alone else loss, reduction)


multilabel_margin_loss = composite(
    "multilabel_margin_loss", 2, in_float32(_multilabel_margin), names=("input", "target"),
    errors=((("avg",), {}, "[multilabel_margin_loss]"),),
    attributes=lambda reduction="mean": _check_reduction("multilabel_margin_loss", reduction),
    reference=_REFERENCES + "multilabel_margin_loss",
    samples=Samples(((-2, 2), "class 4"), arguments=_REDUCTIONS[::2], shapes=(((3, 4), (3, 4)),)),
)  # fmt: skip


def _multilabel_soft_margin(reduction, x, target, weight):
    """The mean over classes of -(target * logsigmoid(x) + (1 - target) * logsigmoid(-x)), weighted by class."""
    x, target = _pair("multilabel_soft_margin_loss", x, target)
    if x.ndim == 0:
        raise ShapeError("[multilabel_soft_margin_loss] expected input of shape (..., C), got a 0-d input")
    loss = -(target * logsigmoid(x) + (1.0 - target) * logsigmoid(-x))
    if weight is not None:
        loss = loss * weight
    classes = x.shape[-1]
    return _reduced(sum_(loss, -1) * (1.0 / classes if classes else float("nan")), reduction)


multilabel_soft_margin_loss = composite(
    "multilabel_soft_margin_loss", 3, in_float32(_multilabel_soft_margin), names=("input", "target", "weight"),
    errors=((("avg",), {}, "[multilabel_soft_margin_loss]"),),
    attributes=lambda reduction="mean": _check_reduction("multilabel_soft_margin_loss", reduction),
    reference=_REFERENCES + "multilabel_soft_margin_loss",
    samples=Samples(((-2, 2), (0, 1), (0.5, 2)), arguments=_REDUCTIONS[::2], shapes=(((3, 4), (3, 4), (4,)),)),
)  # fmt: skip

__all__ = [
    "cosine_embedding_loss", "margin_ranking_loss", "multi_margin_loss", "multilabel_margin_loss",
    "multilabel_soft_margin_loss", "triplet_margin_loss",
]  # fmt: skip
