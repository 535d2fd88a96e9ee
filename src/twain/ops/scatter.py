"""Writing at computed positions: set, multiply, largest, smallest; means and segments made of these and `scatter_add`.

Updates at one position are folded in order, so results don't depend on the number of threads. Where `set` meets a
position twice, the last update stands. Positions out of range are written nowhere in kernels, which can't raise; the
public functions (tensor/scattering.py) check before.
"""

from __future__ import annotations

from ..base import dtypes as dt
from ..base.dtypes import promote, strengthen
from ..base.errors import DTypeError, ShapeError, ValueRangeError
from ..base.shapes import normalize_axis, size_of
from ..ir.node import Spec
from ..ir.op import OpRecord, register
from .elementwise import cast, conj, divide, equal, floor_divide, maximum, multiply, not_equal, where
from .families import composite, late
from .index import _check_index, _scatter_batch, check_reach, iota, read_scattered, scatter_add, take
from .native import Native, run_time, whole
from .reduce import max as max_
from .reduce import over_count
from .reduce import sum as sum_
from .samples import Samples
from .shape import broadcast_to, reshape

FOLDS = ("set", "add", "mul", "max", "min")


# ---------------------------------------------------------------- the primitive
def _attributes(axis, mode="along", combine="set"):
    if combine not in FOLDS:
        raise ValueRangeError(f"expected combine among {', '.join(FOLDS)}, got {combine!r}")
    return (axis, mode, combine)


def _canonical(attrs, x, indices, updates):
    return normalize_axis("scatter", attrs[0], len(x.shape)), *attrs[1:]


def _infer(attrs, x, indices, updates):
    _check_index("scatter", indices)
    axis, mode, combine = attrs
    wanted = (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]) if mode == "take" else indices.shape
    if updates.shape != wanted:
        raise ShapeError(f"[scatter] expected updates of shape {tuple(wanted)}, got {tuple(updates.shape)}")
    check_reach("scatter", mode, x, indices, axis)
    dtype = strengthen(promote("scatter", x.dtype, updates.dtype))
    if combine in ("max", "min") and dtype.kind == "c":
        raise DTypeError(f"[scatter] expected a real dtype for the fold {combine}, got {dtype}")
    return Spec(dtype, x.shape)


def _winners(attrs, x, indices, updates):
    """Which updates of a `set` are still there at the end: 1, others 0; also 1 for all if the order doesn't matter."""
    axis, mode, _ = attrs
    number = reshape(iota((size_of(updates.shape),), 0), updates.shape)
    last = scatter(broadcast_to(cast(-1, dt.int64), x.shape), indices, number, axis, mode)
    return equal(read_scattered(mode, last, indices, axis), number)


def _others(attrs, g, x, indices, updates, y):
    """d product / d update, times g, at every update; also where updates are 0."""
    axis, mode, _ = attrs
    zero = equal(updates, 0)
    rest = scatter(x, indices, where(zero, cast(1, updates.dtype), updates), axis, mode, "mul")
    zeros = scatter_add(late.zeros_like(cast(x, dt.int32)), indices, cast(zero, dt.int32), axis, mode)
    single = where(equal(zeros, 1), rest, cast(0, rest.dtype))
    if x.dtype.kind == "c":
        y, single, updates = conj(y), conj(single), conj(updates)
    safe = where(zero, cast(1, updates.dtype), updates)
    return where(
        zero,
        read_scattered(mode, multiply(g, single), indices, axis),
        read_scattered(mode, multiply(g, y), indices, axis) / safe,
    )


def _shares(attrs, x, indices, updates, y):
    """(share of x, share of each update) in an extremum: ties divide it evenly."""
    axis, mode, _ = attrs
    own = cast(equal(x, y), y.dtype)
    hit = cast(equal(updates, read_scattered(mode, y, indices, axis)), y.dtype)
    count = scatter_add(own, indices, hit, axis, mode)
    return own / count, hit / read_scattered(mode, count, indices, axis)


def _vjp(attrs, g, inputs, outputs, needs):
    axis, mode, combine = attrs
    x, indices, updates = inputs
    [g], [y] = g, outputs
    if combine == "add":
        return [g, None, read_scattered(mode, g, indices, axis)]
    if combine == "mul":
        factor = conj(updates) if updates.dtype.kind == "c" else updates
        gx = scatter(g, indices, factor, axis, mode, "mul") if needs[0] else None
        return [gx, None, _others(attrs, g, x, indices, updates, y) if needs[2] else None]
    if combine == "set":
        zero = broadcast_to(cast(0, g.dtype), updates.shape)
        gu = (
            where(_winners(attrs, x, indices, updates), read_scattered(mode, g, indices, axis), zero)
            if needs[2]
            else None
        )
        return [scatter(g, indices, zero, axis, mode) if needs[0] else None, None, gu]
    own, hit = _shares(attrs, x, indices, updates, y)
    return [multiply(g, own), None, multiply(read_scattered(mode, g, indices, axis), hit)]


def _jvp(attrs, call, tangents, inputs, outputs):
    axis, mode, combine = attrs
    x, indices, updates = inputs
    tx = late.zeros_like(x) if tangents[0] is None else tangents[0]
    tu = late.zeros_like(updates) if tangents[2] is None else tangents[2]
    if combine in ("set", "add"):
        return [call(attrs, tx, indices, tu)]
    if combine == "mul":
        one = broadcast_to(cast(1, x.dtype), x.shape)
        slope = _others(attrs, one, x, indices, updates, outputs[0])
        slope = conj(slope) if x.dtype.kind == "c" else slope
        return [scatter_add(call(attrs, tx, indices, updates), indices, multiply(tu, slope), axis, mode)]
    own, hit = _shares(attrs, x, indices, updates, outputs[0])
    return [scatter_add(multiply(tx, own), indices, multiply(tu, hit), axis, mode)]


def _batch(attrs, call, inputs, batched, size):
    def again(new, *values):
        return call((*new, attrs[2]), *values)

    return _scatter_batch(attrs[:2], again, inputs, batched, size)


_SHAPE = ((4, 5), (4, 5), (4, 5))
scatter = register(
    OpRecord(
        "scatter",
        "scatter",
        3,
        attributes=_attributes,
        canonical=_canonical,
        infer=_infer,
        lowering="scatter",
        vjp=_vjp,
        jvp=_jvp,
        batch=_batch,
        argument_names=("x", "indices", "updates"),
        rules=Native(dt.ANY, (dt.int32, dt.bfloat16, dt.float32, dt.float64)),
        reference="twain.testing.scatter_references.scatter",
        onnx="ScatterElements",
        samples=Samples(
            ((-5, 5), "index", (-5, 5)),
            arguments=(
                ((0,), {}),
                ((1, "take"), {}),
                ((1, "along", "mul"), {}),
                ((0, "along", "max"), {}),
                ((0, "take", "min"), {}),
            ),
            shapes=(_SHAPE, ((4, 5), (6,), (4, 6)), _SHAPE, _SHAPE, ((4, 5), (3,), (3, 5))),
        ),
        doc="x with `updates` put, or folded in (add, mul, max, min), at `indices` along `axis`, in order.",
    )  # fmt: skip
)


# ---------------------------------------------------------------- reductions with a choice
REDUCTIONS = {"sum": "add", "prod": "mul", "amax": "max", "amin": "min", "mean": "add"}


def _reduce_attributes(axis, reduce, include_self=True, mode="along"):
    if reduce not in REDUCTIONS:
        raise ValueRangeError(f"expected reduce among {', '.join(REDUCTIONS)}, got {reduce!r}")
    return (axis, reduce, bool(include_self), mode)


def start_of(combine: str, dtype: dt.DType) -> object:
    """What leaves a fold unchanged."""
    if combine in ("add", "mul"):
        return int(combine == "mul")
    largest = combine == "min"
    if dtype.kind == "f":
        return float("inf") if largest else float("-inf")
    if dtype.kind == "b":
        return largest
    if dtype.kind == "u":
        return 2**dtype.bits - 1 if largest else 0
    return 2 ** (dtype.bits - 1) - 1 if largest else -(2 ** (dtype.bits - 1))


def fold_into(combine: str, x, indices, updates, axis: int, mode: str):
    if combine == "add":
        return scatter_add(x, indices, updates, axis, mode)
    return scatter(x, indices, updates, axis, mode, combine)


def _scatter_reduce(attrs, x, indices, updates):
    axis, reduce, include_self, mode = attrs
    combine = REDUCTIONS[reduce]
    if not include_self:
        start = broadcast_to(cast(start_of(combine, x.dtype), x.dtype), updates.shape)
        x = scatter(x, indices, start, axis, mode)
    y = fold_into(combine, x, indices, updates, axis, mode)
    if reduce != "mean":
        return y
    own = broadcast_to(cast(int(include_self), dt.int64), x.shape)
    one = broadcast_to(cast(1, dt.int64), updates.shape)
    count = maximum(scatter_add(own, indices, one, axis, mode), 1)
    return floor_divide(y, cast(count, y.dtype)) if y.dtype.kind in "iu" else divide(y, cast(count, y.dtype))


scatter_reduce = composite(
    "scatter_reduce", 3, _scatter_reduce, attributes=_reduce_attributes, names=("x", "indices", "updates"),
    reference="twain.testing.scatter_references.scatter_reduce",
    samples=Samples(
        ((-5, 5), "index", (-5, 5)),
        arguments=(((0, "sum"), {}), ((1, "mean"), {}), ((0, "amax", False), {}), ((1, "mean", False), {})),
        shapes=(_SHAPE,) * 4,
    ),
    errors=(((0, "median"), {}, "reduce"), ((), {}, "scatter_reduce")),
    doc="x with `updates` folded in at `indices` along `axis`: sum, prod, mean, amax or amin; include_self=False leaves out "
        "x's own elements where there are updates. Means of integers are rounded down.",
)  # fmt: skip


# ---------------------------------------------------------------- segments
def _segment_attributes(reduce, num_segments):
    return (reduce, whole("num_segments", num_segments, 0))


def _segment(attrs, data, ids):
    reduce, count = attrs
    if ids.ndim == 0 or ids.shape != data.shape[: ids.ndim]:
        raise ShapeError(
            f"[segment_{reduce}] expected segment ids of the shape of data's leading axes, got {tuple(ids.shape)} for "
            f"{tuple(data.shape)}"
        )
    rest = data.shape[ids.ndim :]
    data, ids = reshape(data, (size_of(ids.shape), *rest)), reshape(ids, (size_of(ids.shape),))
    # negative ids are left out: a position beyond the end is written nowhere
    ids = where(ids < 0, cast(run_time(count), ids.dtype), ids)
    combine = {"sum": "add", "mean": "add", "prod": "mul", "max": "max", "min": "min"}[reduce]
    x = broadcast_to(cast(start_of(combine, data.dtype), data.dtype), (count, *rest))
    y = fold_into(combine, x, ids, data, 0, "take")
    if reduce != "mean":
        return y
    one = broadcast_to(cast(1, dt.int64), ids.shape)
    number = maximum(scatter_add(broadcast_to(cast(0, dt.int64), (count,)), ids, one, 0, "take"), 1)
    number = cast(reshape(number, (count,) + (1,) * len(rest)), y.dtype)
    return floor_divide(y, number) if y.dtype.kind in "iu" else divide(y, number)


segment_reduce = composite(
    "segment_reduce", 2, _segment, attributes=_segment_attributes, names=("data", "segment_ids"),
    reference="twain.testing.scatter_references.segment_reduce",
    samples=Samples(
        ((-5, 5), "class 3"),
        arguments=((("sum", 5), {}), (("mean", 4), {}), (("max", 3), {}), (("prod", 4), {})),
        shapes=(((7, 3), (7,)), ((6, 2), (6, 2)), ((12,), (12,)), ((4, 2, 3), (4,))),
    ),
    errors=((("sum", -1), {}, "num_segments"),),
    doc="data folded by segment: sum, mean, prod, max or min of the parts whose id is 0, 1, ..., num_segments - 1.",
)  # fmt: skip


# ---------------------------------------------------------------- bags of embeddings
def _bag_attributes(count, mode="mean", padding_idx=None):
    if mode not in ("sum", "mean", "max"):
        raise ValueRangeError(f"expected mode among sum, mean, max, got {mode!r}")
    return (count, mode, padding_idx)


def _bag(attrs, indices, weight, scale, ids):
    """Rows of `weight` at flat `indices`, folded by bag; ids says which of `count` bags each is in."""
    count, mode, padding = attrs
    if padding is not None:  # no bag
        ids = where(
            equal(indices, cast(run_time(padding % weight.shape[0]), indices.dtype)),
            cast(run_time(count), ids.dtype),
            ids,
        )
    rows = take(weight, indices, 0)
    if scale is not None:
        rows = multiply(rows, reshape(cast(scale, rows.dtype), (*scale.shape, 1)))
    zero = broadcast_to(cast(0, rows.dtype), (count, weight.shape[1]))
    if mode == "max":
        low = broadcast_to(cast(float("-inf"), rows.dtype), zero.shape)
        y = scatter(low, ids, rows, 0, "take", "max")
        return where(equal(y, float("-inf")), cast(0, y.dtype), y)
    y = scatter_add(zero, ids, rows, 0, "take")
    if mode == "sum":
        return y
    one = broadcast_to(cast(1, dt.int64), ids.shape)
    number = maximum(scatter_add(broadcast_to(cast(0, dt.int64), (count,)), ids, one, 0, "take"), 1)
    return divide(y, cast(reshape(number, (count, 1)), y.dtype))


embedding_bag = composite(
    "embedding_bag", 4, _bag, attributes=_bag_attributes, names=("indices", "weight", "scale", "ids"),
    reference="twain.testing.scatter_references.embedding_bag",
    samples=Samples(
        ("class 6", (-5, 5), (0.5, 2), "class 3"),
        arguments=(((3, "sum"), {}), ((3, "mean"), {}), ((3, "max"), {})),
        shapes=(((9,), (6, 4), (9,), (9,)),),
    ),
    errors=(((3, "median"), {}, "mode"),),
    doc="Sums, means or maxima of rows of `weight`, bag by bag; see nn.functional.embedding_bag.",
)  # fmt: skip


def _bag_rows_attributes(mode="mean", padding_idx=None):
    return _bag_attributes(0, mode, padding_idx)[1:]


def _bag_rows(attrs, indices, weight, scale):
    """Bags of equal size: indices (bags, each)."""
    mode, padding = attrs
    rows = take(weight, indices, 0)
    if scale is not None:
        rows = multiply(rows, reshape(cast(scale, rows.dtype), (*scale.shape, 1)))
    kept = None
    if padding is not None:
        kept = not_equal(indices, cast(run_time(padding % weight.shape[0]), indices.dtype))
        start = 0.0 if mode != "max" else float("-inf")
        rows = where(reshape(kept, (*kept.shape, 1)), rows, cast(start, rows.dtype))
    if mode == "max":
        if indices.shape[1] == 0:
            return broadcast_to(cast(0, rows.dtype), (indices.shape[0], weight.shape[1]))
        y = max_(rows, 1, False)
        return y if kept is None else where(equal(y, float("-inf")), cast(0, y.dtype), y)
    y = sum_(rows, 1, False)
    if mode == "sum":
        return y
    if kept is None:
        return over_count(y, indices.shape[1]) if indices.shape[1] else y
    number = maximum(sum_(cast(kept, y.dtype), 1, True), 1.0)
    return divide(y, number)


embedding_bag_rows = composite(
    "embedding_bag_rows", 3, _bag_rows, attributes=_bag_rows_attributes, names=("indices", "weight", "scale"),
    reference="twain.testing.scatter_references.embedding_bag_rows",
    samples=Samples(
        ("class 6", (-5, 5), (0.5, 2)), arguments=((("sum",), {}), (("mean", 2), {}), (("max",), {})),
        shapes=(((3, 4), (6, 4), (3, 4)),),
    ),
    errors=((("median",), {}, "mode"),),
    doc="Sums, means or maxima of as many rows of `weight` for every bag; see nn.functional.embedding_bag.",
)  # fmt: skip
