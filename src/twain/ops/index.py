"""Ops that read or write at computed positions: iota, take, take_along_axis and their transpose, scatter_add.

Indices may be negative (from the end). In kernels, which can't raise, an index out of range reads NaN (floating) or the
dtype's smallest value (integers), and writes nowhere.
"""

from __future__ import annotations

from ..base import dtypes as dt
from ..base.dtypes import promote, strengthen
from ..base.errors import DTypeError, ShapeError
from ..base.shapes import as_index, check_shape, normalize_axis
from ..ir.node import Spec
from ..ir.op import OpRecord, register
from .elementwise import cast, equal, greater_equal, multiply, subtract
from .families import composite, late
from .samples import Samples
from .shape import broadcast_to, permute_dims, reshape, slice_, spread_batch


# ---------------------------------------------------------------- iota
def _iota_attributes(shape, axis):
    shape = check_shape("iota", shape)
    return shape, normalize_axis("iota", axis, len(shape))


iota = register(
    OpRecord(
        "iota",
        "creation",
        0,
        attributes=_iota_attributes,
        lowering="iota",
        infer=lambda attrs: Spec(dt.int64, attrs[0]),
        differentiable=False,
        errors=((((2, 3), 5), {}, "axis"), (((-1,), 0), {}, "[iota]")),
        reference="twain.testing.references.iota",
        samples=Samples((), arguments=((((3, 4), 1), {}),)),
        doc="The index along `axis` at every place of `shape`, int64.",
        batch=lambda attrs, call, inputs, batched, size: call(attrs),
    )  # fmt: skip
)

inverse_size = register(
    OpRecord(
        "inverse_size",
        "creation",
        0,
        attributes=lambda value, dtype: (as_index("inverse_size", "value", value), dt.as_dtype(dtype, "inverse_size")),
        lowering="inverse_size",
        infer=lambda attrs: Spec(attrs[1], ()),
        differentiable=False,
        errors=(((1.5, "float32"), {}, "value"), ((3, "float33"), {}, "float33")),
        reference="twain.testing.references.inverse_size",
        samples=Samples((), arguments=(((12, "float32"), {}),)),
        doc="1 / a number of elements, 0-d. Kernels get the number at run time, where a constant would be part of them.",
        batch=lambda attrs, call, inputs, batched, size: call(attrs),
    )  # fmt: skip
)


# ---------------------------------------------------------------- reading
def _check_index(name: str, spec: Spec) -> None:
    if strengthen(spec.dtype).kind not in "iu":
        raise DTypeError(f"[{name}] expected integer indices, got {spec.dtype}")


def _take_canonical(axis, x, indices):
    return normalize_axis("take", axis, len(x.shape))


def _take_infer(axis, x, indices):
    _check_index("take", indices)
    return Spec(strengthen(x.dtype), (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]))


def _take_vjp(axis, g, inputs, outputs, needs):
    x, indices = inputs
    return [scatter_add(late.zeros_like(x), indices, g[0], axis, "take") if needs[0] else None, None]


def _gather_jvp(attrs, call, tangents, inputs, outputs):
    return [None if tangents[0] is None else call(attrs, tangents[0], inputs[1])]


def _take_batch(axis, call, inputs, batched, size):
    x, indices = inputs
    if not batched[1]:
        return call(axis + 1, x, indices)
    if not batched[0]:
        result = call(axis, x, indices)  # the batch axis of the indices comes out at `axis`
        return permute_dims(result, (axis, *range(axis), *range(axis + 1, result.ndim)))
    # both: per batch entry, one flat axis of indices aligned with x for take_along_axis
    count = 1
    for d in indices.shape[1:]:
        count *= d
    shape = [size] + [1] * (x.ndim - 1)
    shape[axis + 1] = count
    wanted = (*x.shape[: axis + 1], count, *x.shape[axis + 2 :])
    flat = broadcast_to(reshape(indices, tuple(shape)), wanted)
    result = take_along_axis(x, flat, axis + 1)
    return reshape(result, (*x.shape[: axis + 1], *indices.shape[1:], *x.shape[axis + 2 :]))


take = register(
    OpRecord(
        "take",
        "index",
        2,
        attributes=lambda axis=0: axis,
        canonical=_take_canonical,
        infer=_take_infer,
        lowering="take",
        vjp=_take_vjp,
        jvp=_gather_jvp,
        batch=_take_batch,
        argument_names=("x", "indices"),
        onnx="Gather",
        errors=(((9,), {}, "axis"),),
        reference="twain.testing.references.take",
        samples=Samples(
            ((-5, 5), "index"), arguments=(((0,), {}), ((1,), {})), shapes=(((4, 5), (3,)), ((4, 5), (2, 2)))
        ),
        doc="Elements of `x` along `axis` at `indices`; shape x[:axis] + indices + x[axis+1:].",
    )  # fmt: skip
)


def _along_canonical(axis, x, indices, *rest):
    return normalize_axis("take_along_axis", axis, len(x.shape))


def _along_infer(axis, x, indices):
    _check_index("take_along_axis", indices)
    fits = len(x.shape) == len(indices.shape) and all(
        a == b for i, (a, b) in enumerate(zip(x.shape, indices.shape)) if i != axis
    )
    if not fits:
        raise ShapeError(
            f"[take_along_axis] expected indices shaped as x but for axis {axis}, got {tuple(x.shape)} and "
            f"{tuple(indices.shape)}"
        )
    return Spec(strengthen(x.dtype), indices.shape)


def _along_vjp(axis, g, inputs, outputs, needs):
    x, indices = inputs
    return [scatter_add(late.zeros_like(x), indices, g[0], axis, "along") if needs[0] else None, None]


def _along_batch(axis, call, inputs, batched, size):
    return call(axis + 1, *[spread_batch(x, b, size) for x, b in zip(inputs, batched)])


take_along_axis = register(
    OpRecord(
        "take_along_axis",
        "index",
        2,
        attributes=lambda axis=-1: axis,
        canonical=_along_canonical,
        infer=_along_infer,
        lowering="take_along_axis",
        vjp=_along_vjp,
        jvp=_gather_jvp,
        batch=_along_batch,
        argument_names=("x", "indices"),
        onnx="GatherElements",
        errors=(((9,), {}, "axis"),),
        reference="numpy.take_along_axis",
        samples=Samples(((-5, 5), "index"), arguments=(((0,), {}), ((1,), {})), shapes=(((4, 5), (4, 5)),)),
        doc="x[..., indices[..., i, ...], ...] along `axis`; indices have x's shape but for that axis.",
    )  # fmt: skip
)


# ---------------------------------------------------------------- writing
def check_reach(name: str, mode: str, x, indices, axis: int) -> None:
    """Indices along an axis reach no further than `x` on the other axes: kernels don't look."""
    if mode != "along":
        return
    if len(indices.shape) != len(x.shape):
        raise ShapeError(f"[{name}] expected indices of {len(x.shape)} dimensions, got {tuple(indices.shape)}")
    if any(n > d for i, (n, d) in enumerate(zip(indices.shape, x.shape)) if i != axis):
        raise ShapeError(
            f"[{name}] expected indices within shape {tuple(x.shape)} but for axis {axis}, got {tuple(indices.shape)}"
        )


def _scatter_infer(attrs, x, indices, updates):
    _check_index("scatter_add", indices)
    axis, mode = attrs
    wanted = (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]) if mode == "take" else indices.shape
    if updates.shape != wanted:
        raise ShapeError(f"[scatter_add] expected updates of shape {tuple(wanted)}, got {tuple(updates.shape)}")
    check_reach("scatter_add", mode, x, indices, axis)
    return Spec(strengthen(promote("scatter_add", x.dtype, updates.dtype)), x.shape)


def _scatter_canonical(attrs, x, indices, updates):
    return normalize_axis("scatter_add", attrs[0], len(x.shape)), attrs[1]


def read_scattered(mode: str, x, indices, axis: int):
    """What a scatter of this mode would write to: `take`, or along an axis of the part of x that indices reach."""
    if mode == "take":
        return take(x, indices, axis)
    shape = tuple(d if a == axis else indices.shape[a] for a, d in enumerate(x.shape))
    if shape != x.shape:
        x = slice_(x, (0,) * x.ndim, (1,) * x.ndim, shape)
    return take_along_axis(x, indices, axis)


def _scatter_vjp(attrs, g, inputs, outputs, needs):
    axis, mode = attrs
    return [g[0] if needs[0] else None, None, read_scattered(mode, g[0], inputs[1], axis) if needs[2] else None]


def _scatter_jvp(attrs, call, tangents, inputs, outputs):
    x = late.zeros_like(inputs[0]) if tangents[0] is None else tangents[0]
    updates = late.zeros_like(inputs[2]) if tangents[2] is None else tangents[2]
    return [call(attrs, x, inputs[1], updates)]


def _scatter_batch(attrs, call, inputs, batched, size):
    axis, mode = attrs
    x, indices, updates = (spread_batch(v, b, size) for v, b in zip(inputs, batched))
    if mode == "take":  # align the indices with x, then add along the axis
        count = 1
        for d in indices.shape[1:]:
            count *= d
        flat = (*x.shape[: axis + 1], count, *x.shape[axis + 2 :])
        shape = [size] + [1] * (x.ndim - 1)
        shape[axis + 1] = count
        indices = broadcast_to(reshape(indices, tuple(shape)), flat)
        updates = reshape(updates, flat)
    return call((axis + 1, "along"), x, indices, updates)


scatter_add = register(
    OpRecord(
        "scatter_add",
        "scatter",
        3,
        attributes=lambda axis, mode="along": (axis, mode),
        canonical=_scatter_canonical,
        infer=_scatter_infer,
        lowering="scatter_add",
        vjp=_scatter_vjp,
        jvp=_scatter_jvp,
        batch=_scatter_batch,
        argument_names=("x", "indices", "updates"),
        reference="twain.testing.references.scatter_add",
        onnx="ScatterElements",
        samples=Samples(
            ((-5, 5), "index", (-5, 5)), arguments=(((0,), {}), ((1,), {})), shapes=(((4, 5), (4, 5), (4, 5)),)
        ),
        doc="x with `updates` added at `indices` along `axis`, in order (the same bits for any number of threads).",
    )  # fmt: skip
)


# ---------------------------------------------------------------- made of these
def _arange_attributes(count, dtype):
    return (count, dt.as_dtype(dtype, "arange"))


def _arange(attrs, start, step):
    count, dtype = attrs
    # integers stay integers; floating ranges are computed in float64 and rounded once
    whole = dtype.kind in "iu" and all(strengthen(v.dtype).kind in "iub" for v in (start, step))
    wide = dt.int64 if whole else dt.float64
    position = cast(iota((count,), 0), wide)
    return cast(cast(start, wide) + multiply(position, cast(step, wide)), dtype)


arange = composite("arange", 2, _arange, attributes=_arange_attributes, names=("start", "step"), onnx="Range",
                   errors=(((-1, "float32"), {}, "[arange]"),),
                   reference="twain.testing.references.arange",
                   samples=Samples(((-5, 5), (1, 2)), arguments=(((5, "float32"), {}),), shapes=(((), ()),)))  # fmt: skip


def _linspace_attributes(num, dtype, endpoint=True):
    return (num, dt.as_dtype(dtype, "linspace"), bool(endpoint))


def _linspace(attrs, start, stop):
    """`num` evenly spaced numbers from start to stop, the last one exactly."""
    num, dtype, endpoint = attrs
    wide = dt.complex128 if "c" in (start.dtype.kind, stop.dtype.kind) else dt.float64
    start, stop = cast(start, wide), cast(stop, wide)
    place = iota((num,), 0)
    steps = num - 1 if endpoint else num
    values = start + multiply(cast(place, wide), subtract(stop, start) / max(steps, 1))
    if endpoint and num > 1:
        values = late.where(equal(place, num - 1), stop, values)
    return cast(values, dtype)


linspace = composite("linspace", 2, _linspace, attributes=_linspace_attributes, names=("start", "stop"),
                     errors=(((-1, "float32"), {}, "[linspace]"),),
                     reference="twain.testing.references.linspace",
                     samples=Samples(((-5, 5), (-5, 5)), arguments=(((5, "float32"), {}), ((4, "float64", False), {})),
                                     shapes=(((), ()), ((), ()))))  # fmt: skip


def _full_attributes(shape, dtype):
    return (check_shape("full", shape), dt.as_dtype(dtype, "full"))


full = composite("full", 1, lambda attrs, value: broadcast_to(cast(value, attrs[1]), attrs[0]), attributes=_full_attributes,
                 names=("fill_value",), errors=((((-1,), "float32"), {}, "[full]"), (((2,), "float33"), {}, "float33")),
                 reference="twain.testing.references.full", onnx="ConstantOfShape",
                 samples=Samples(((-5, 5),), arguments=((((2, 3), "float32"), {}),), shapes=(((),),)))  # fmt: skip


def _eye_attributes(n_rows, n_cols, k, dtype):
    return (*check_shape("eye", (n_rows, n_cols)), k, dt.as_dtype(dtype, "eye"))


def _eye(attrs):
    rows, columns, k, dtype = attrs
    return cast(equal(subtract(iota((rows, columns), 1), iota((rows, columns), 0)), k), dtype)


eye = composite("eye", 0, _eye, attributes=_eye_attributes, names=(),
                errors=(((-1, 2, 0, "float32"), {}, "[eye]"), ((2, 2, 0, "float33"), {}, "float33")),
                reference="twain.testing.references.eye",
                samples=Samples((), arguments=(((3, 4, 1, "float32"), {}),)), onnx="EyeLike")  # fmt: skip


def _triangle(attrs, x, lower: bool):
    if x.ndim < 2:
        raise ShapeError(f"[tril] expected at least 2 dimensions, got shape {tuple(x.shape)}")
    from_shape = tuple(x.shape)
    offset = subtract(iota(from_shape, len(from_shape) - 1), iota(from_shape, len(from_shape) - 2))
    keep = offset <= attrs if lower else greater_equal(offset, attrs)
    return late.where(keep, x, cast(0, x.dtype))


tril = composite("tril", 1, lambda attrs, x: _triangle(attrs, x, True), names=("x",),
                 attributes=lambda k=0: as_index("tril", "k", k),
                 errors=(((), {}, "dimensions", ((None, (3,)),)),),
                 reference="numpy.tril", samples=Samples(((-5, 5),), shapes=(((3, 4),),)), onnx="Trilu")  # fmt: skip
triu = composite("triu", 1, lambda attrs, x: _triangle(attrs, x, False), names=("x",),
                 attributes=lambda k=0: as_index("triu", "k", k),
                 errors=(((), {}, "dimensions", ((None, (3,)),)),),
                 reference="numpy.triu", samples=Samples(((-5, 5),), shapes=(((3, 4),),)), onnx="Trilu")  # fmt: skip
