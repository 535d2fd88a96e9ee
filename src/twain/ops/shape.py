"""Movement: ops whose result is a view of their operand where the layout allows, and the ones that assemble buffers."""

from __future__ import annotations

from ..base.dtypes import ANY, promote, strengthen
from ..base.errors import ArgumentError, AxisError, DTypeError, ShapeError
from ..base.shapes import broadcast_shapes, check_shape, normalize_axis, size_of
from ..ir.node import Spec
from ..ir.op import OpRecord, register
from .families import late, movement
from .samples import Samples


def _keep(dtype):
    return strengthen(dtype)


# ---------------------------------------------------------------- reshape
def _reshape_attributes(shape, *more):
    if more:
        shape = (shape, *more)
    if isinstance(shape, list):
        shape = tuple(shape)
    return shape if isinstance(shape, tuple) else (shape,)


def _reshape_canonical(shape, spec):
    if shape.count(-1) > 1:
        raise ShapeError(f"[reshape] expected at most one -1, got {shape}")
    if -1 in shape:
        known = size_of(tuple(d for d in shape if d != -1))
        total = spec.size
        if known == 0 or total % known:
            raise ShapeError(
                f"[reshape] expected a shape of {total} elements, got {shape} for shape {tuple(spec.shape)}"
            )
        shape = tuple(total // known if d == -1 else d for d in shape)
    shape = check_shape("reshape", shape)
    if size_of(shape) != spec.size:
        raise ShapeError(
            f"[reshape] expected a shape of {spec.size} elements, got {shape} ({size_of(shape)} elements) for shape "
            f"{tuple(spec.shape)}"
        )
    return shape


def reshape_strides(shape: tuple, strides: tuple, new: tuple):
    """Strides of `new` over the same buffer, or None if elements would have to move."""
    if size_of(new) == 0:
        return tuple(0 for _ in new)
    old = [(d, s) for d, s in zip(shape, strides) if d != 1]
    result: list[int] = []
    i = 0
    j = 0
    while j < len(new):
        if new[j] == 1:
            result.append(0)
            j += 1
            continue
        # the shortest runs of old and new axes with the same number of elements
        have, want = old[i][0], new[j]
        first_old, first_new = i, j
        i += 1
        j += 1
        while have != want:
            if have < want:
                have *= old[i][0]
                i += 1
            else:
                want *= new[j]
                j += 1
        for k in range(first_old, i - 1):  # the run must be one arithmetic progression
            if old[k][1] != old[k + 1][1] * old[k + 1][0]:
                return None
        step = old[i - 1][1]
        run = []
        for d in reversed(new[first_new:j]):
            run.append(step)
            step *= d
        result.extend(reversed(run))
    return tuple(result)


def _reshape_view(attrs, shape, strides):
    result = reshape_strides(shape, strides, attrs)
    return None if result is None else (result, 0)


def _reshape_map(attrs, in_shape, out_shape):
    """Splitting an axis keeps indices affine, merging axes doesn't."""
    result = []
    j = 0
    real = [(a, d) for a, d in enumerate(out_shape) if d != 1]
    for d in in_shape:
        if d == 1:
            result.append((0, ()))
            continue
        terms = []
        have = 1
        while have < d:
            axis, size = real[j]
            terms.append((axis, size))
            have *= size
            j += 1
        if have != d:
            return None
        factor = 1
        pairs = []
        for axis, size in reversed(terms):
            pairs.append((axis, factor))
            factor *= size
        result.append((0, tuple(reversed(pairs))))
    return result


reshape = movement(
    "reshape", attributes=_reshape_attributes, canonical=_reshape_canonical,
    infer=lambda attrs, x: Spec(_keep(x.dtype), attrs), strides=_reshape_view, index_map=_reshape_map,
    vjp=lambda attrs, g, x, y, needs: [reshape(g[0], x[0].shape)],
    batch=lambda attrs, call, x, batched, size: call((size, *attrs), x[0]), errors=((((7, 11),), {}, "elements"),),
    reference="numpy.reshape", onnx="Reshape",
    samples=Samples(((-5, 5),), arguments=((((6, 4),), {}), (((2, -1, 2),), {}), ((-1,), {})), shapes=(((2, 3, 4),),)),
)  # fmt: skip


# ---------------------------------------------------------------- permute
def _permute_attributes(axes, *more):
    if more:
        axes = (axes, *more)
    return tuple(axes) if isinstance(axes, (list, tuple)) else (axes,)


def _permute_canonical(axes, spec):
    rank = len(spec.shape)
    if len(axes) != rank:
        raise AxisError(f"[permute_dims] expected {rank} axes, got {axes}")
    result = tuple(normalize_axis("permute_dims", a, rank) for a in axes)
    if len(set(result)) != rank:
        raise AxisError(f"[permute_dims] expected distinct axes, got {axes}")
    return result


def inverse_permutation(axes: tuple) -> tuple:
    result = [0] * len(axes)
    for i, a in enumerate(axes):
        result[a] = i
    return tuple(result)


def _permute_map(attrs, in_shape, out_shape):
    inverse = inverse_permutation(attrs)
    return [(0, ((inverse[i], 1),)) for i in range(len(in_shape))]


permute_dims = movement(
    "permute_dims", attributes=_permute_attributes, canonical=_permute_canonical,
    infer=lambda attrs, x: Spec(_keep(x.dtype), tuple(x.shape[a] for a in attrs)),
    strides=lambda attrs, shape, strides: (tuple(strides[a] for a in attrs), 0), index_map=_permute_map,
    vjp=lambda attrs, g, x, y, needs: [permute_dims(g[0], inverse_permutation(attrs))],
    batch=lambda attrs, call, x, batched, size: call((0, *(a + 1 for a in attrs)), x[0]),
    errors=((((0, 0, 1),), {}, "[permute_dims]"),),
    reference="numpy.transpose",
    onnx="Transpose", samples=Samples(((-5, 5),), arguments=((((2, 0, 1),), {}),), shapes=(((2, 3, 4),),)),
)  # fmt: skip


# ---------------------------------------------------------------- broadcast
def _broadcast_attributes(shape):
    return check_shape("broadcast_to", shape)


def _broadcast_canonical(shape, spec):
    if broadcast_shapes("broadcast_to", spec.shape, shape) != shape:
        raise ShapeError(f"[broadcast_to] expected a shape that {tuple(spec.shape)} broadcasts to, got {shape}")
    return shape


def _broadcast_view(attrs, shape, strides):
    extra = len(attrs) - len(shape)
    return (0,) * extra + tuple(0 if d == 1 else s for d, s in zip(shape, strides)), 0


def _broadcast_map(attrs, in_shape, out_shape):
    extra = len(out_shape) - len(in_shape)
    return [(0, () if d == 1 else ((i + extra, 1),)) for i, d in enumerate(in_shape)]


def _broadcast_vjp(attrs, g, x, y, needs):
    shape = x[0].shape
    extra = len(attrs) - len(shape)
    axes = tuple(range(extra)) + tuple(i + extra for i, d in enumerate(shape) if d == 1 and attrs[i + extra] != 1)
    result = late.sum(g[0], axes, False) if axes else g[0]
    return [reshape(result, shape) if result.shape != shape else result]


def _broadcast_batch(attrs, call, x, batched, size):
    value = x[0]
    extra = len(attrs) - (value.ndim - 1)
    if extra:
        value = reshape(value, (size,) + (1,) * extra + tuple(value.shape[1:]))
    return call((size, *attrs), value)


broadcast_to = movement(
    "broadcast_to", attributes=_broadcast_attributes, canonical=_broadcast_canonical,
    infer=lambda attrs, x: Spec(_keep(x.dtype), attrs), strides=_broadcast_view, index_map=_broadcast_map,
    vjp=_broadcast_vjp, batch=_broadcast_batch, errors=((((7, 11),), {}, "broadcast"),),
    reference="numpy.broadcast_to", onnx="Expand",
    samples=Samples(((-5, 5),), arguments=((((2, 3, 4),), {}),), shapes=(((3, 1),), ((4,),), ((),))),
)  # fmt: skip


# ---------------------------------------------------------------- slice (basic indexing: start, step, count per axis)
def _slice_attributes(starts, steps, sizes):
    return (tuple(starts), tuple(steps), tuple(sizes))


def _slice_map(attrs, in_shape, out_shape):
    starts, steps, sizes = attrs
    return [(start, ((i, step),) if sizes[i] != 1 else ()) for i, (start, step) in enumerate(zip(starts, steps))]


def _slice_view(attrs, shape, strides):
    starts, steps, sizes = attrs
    offset = 0
    for start, size, s in zip(starts, sizes, strides):
        offset += start * s if size else 0
    return tuple(s * step for s, step in zip(strides, steps)), offset


def _slice_batch(attrs, call, x, batched, size):
    starts, steps, sizes = attrs
    return call(((0, *starts), (1, *steps), (size, *sizes)), x[0])


slice_ = movement(
    "slice", attributes=_slice_attributes, infer=lambda attrs, x: Spec(_keep(x.dtype), attrs[2]), strides=_slice_view,
    index_map=_slice_map, vjp=lambda attrs, g, x, y, needs: [embed(g[0], x[0].shape, attrs[0], attrs[1])],
    batch=_slice_batch, reference="twain.testing.references.slice_", onnx="Slice",
    samples=Samples(((-5, 5),), arguments=((((0, 3), (1, -2), (2, 2)), {}),), shapes=(((3, 4),),)),
)  # fmt: skip


# ---------------------------------------------------------------- getitem: a slice whose axes of one element come and go
def _getitem_axes(attrs) -> list:
    """Per axis of the slice, the axis of the result that walks it (None where it has one element)."""
    _, _, sizes, shape = attrs
    real = iter([i for i, d in enumerate(shape) if d != 1])
    return [None if d == 1 else next(real) for d in sizes]


def _getitem_view(attrs, shape, strides):
    starts, steps, sizes, result = attrs
    sliced, offset = _slice_view((starts, steps, sizes), shape, strides)
    walked = [0] * len(result)
    for axis, s in zip(_getitem_axes(attrs), sliced):
        if axis is not None:
            walked[axis] = s
    return tuple(walked), offset


def _getitem_map(attrs, in_shape, out_shape):
    starts, steps, _, _ = attrs
    return [
        (start, () if axis is None else ((axis, step),))
        for start, step, axis in zip(starts, steps, _getitem_axes(attrs))
    ]


def _getitem_vjp(attrs, g, x, y, needs):
    starts, steps, sizes, _ = attrs
    return [embed(reshape(g[0], sizes), x[0].shape, starts, steps)]


def _getitem_batch(attrs, call, x, batched, size):
    starts, steps, sizes, shape = attrs
    return call(((0, *starts), (1, *steps), (size, *sizes), (size, *shape)), x[0])


getitem = movement(
    "getitem", attributes=lambda starts, steps, sizes, shape: (starts, steps, sizes, shape),
    infer=lambda attrs, x: Spec(_keep(x.dtype), attrs[3]), strides=_getitem_view, index_map=_getitem_map,
    vjp=_getitem_vjp, batch=_getitem_batch, reference="twain.testing.references.getitem", onnx="Slice",
    samples=Samples(((-5, 5),), arguments=((((0, 1), (1, 2), (2, 2), (2, 1, 2)), {}),), shapes=(((3, 4),),)),
)  # fmt: skip


# ---------------------------------------------------------------- assembling: the result is filled region by region
def assembly(name: str, arity: int, *, attributes, infer, regions, vjp, jvp, batch, canonical=None, reference=None,
             samples=None, errors=None, names=None, onnx=None, doc=""):  # fmt: skip
    """An op that writes its operands into regions of a fresh buffer.

    regions(attrs, specs, out) -> list of (operand number, or a Python scalar to fill with, as ("fill", value); starts;
    steps), in writing order; an operand's region has the operand's own shape.
    """
    record = OpRecord(
        name, "assembly", arity, infer=infer, attributes=attributes, canonical=canonical, lowering="assembly",
        rules=regions, vjp=vjp, jvp=jvp, batch=batch, reference=reference, samples=samples, errors=errors,
        argument_names=names, onnx=onnx, doc=doc,
    )  # fmt: skip
    return register(record)


def _common_dtype(name, specs):
    result = strengthen(promote(name, *[s.dtype for s in specs]))
    if result not in ANY:
        raise DTypeError(f"[{name}] expected a supported dtype, got {result}")
    return result


def _concat_attributes(axis=0):
    return axis


def _concat_canonical(axis, *specs):
    if not specs:
        raise ArgumentError("[concat] expected at least one array, got none")
    if axis is None:
        raise ArgumentError("[concat] expected axis to be an int, got None; flatten the arrays first")
    return normalize_axis("concat", axis, len(specs[0].shape))


def _concat_infer(axis, *specs):
    first = specs[0].shape
    for s in specs[1:]:
        if len(s.shape) != len(first) or any(a != b for i, (a, b) in enumerate(zip(s.shape, first)) if i != axis):
            raise ShapeError(
                f"[concat] expected shapes equal but for axis {axis}, got "
                + ", ".join(str(tuple(x.shape)) for x in specs)
            )
    total = 0
    for s in specs:
        total += s.shape[axis]
    return Spec(_common_dtype("concat", specs), (*first[:axis], total, *first[axis + 1 :]))


def _concat_regions(axis, specs, out):
    rank = len(out.shape)
    at = 0
    result = []
    for i, s in enumerate(specs):
        result.append((i, tuple(at if a == axis else 0 for a in range(rank)), (1,) * rank))
        at += s.shape[axis]
    return result


def _concat_vjp(axis, g, inputs, outputs, needs):
    at = 0
    result = []
    for x, need in zip(inputs, needs):
        rank = len(x.shape)
        starts = tuple(at if a == axis else 0 for a in range(rank))
        part = slice_(g[0], starts, (1,) * rank, tuple(x.shape)) if need else None
        result.append(part if part is None or part.dtype is x.dtype else late.cast(part, x.dtype))
        at += x.shape[axis]
    return result


def _concat_jvp(axis, call, tangents, inputs, outputs):
    return [call(axis, *[late.zeros_like(x) if t is None else t for t, x in zip(tangents, inputs)])]


def spread_batch(x, batched, size):
    """`x` with the batch as axis 0, repeated if it has none."""
    return x if batched else broadcast_to(x, (size, *x.shape))


def _concat_batch(axis, call, inputs, batched, size):
    return call(axis + 1, *[spread_batch(x, b, size) for x, b in zip(inputs, batched)])


concat = assembly(
    "concat", -1, attributes=_concat_attributes, canonical=_concat_canonical, infer=_concat_infer, regions=_concat_regions,
    vjp=_concat_vjp, jvp=_concat_jvp, batch=_concat_batch, errors=(((9,), {}, "axis"),),
    reference="numpy.concatenate", onnx="Concat",
    samples=Samples(((-5, 5), (-5, 5)), arguments=(((), {"axis": 1}),), shapes=(((2, 3), (2, 4)),)),
)  # fmt: skip


def _embed_attributes(shape, starts, steps, fill=0):
    return (tuple(shape), tuple(starts), tuple(steps), fill)


def _embed_regions(attrs, specs, out):
    shape, starts, steps, fill = attrs
    rank = len(shape)
    whole = specs[0].shape == shape and all(s == 1 for s in steps)
    body = (0, starts, steps)
    return [body] if whole else [(("fill", fill), (0,) * rank, (1,) * rank), body]


def _embed_batch(attrs, call, x, batched, size):
    shape, starts, steps, fill = attrs
    return call(((size, *shape), (0, *starts), (1, *steps), fill), x[0])


embed = assembly(
    "embed", 1, attributes=_embed_attributes, infer=lambda attrs, x: Spec(_keep(x.dtype), attrs[0]),
    regions=_embed_regions,
    vjp=lambda attrs, g, x, y, needs: [slice_(g[0], attrs[1], attrs[2], x[0].shape)],
    jvp=lambda attrs, call, t, x, y: [call((*attrs[:3], 0), t[0])], batch=_embed_batch, names=("x",),
    reference="twain.testing.references.embed", doc="`x` placed into a constant array at starts with steps.",
    samples=Samples(((-5, 5),), arguments=((((4, 5), (1, 4), (1, -2)), {}),), shapes=(((2, 2),),)),
)  # fmt: skip


def _update_attributes(starts, steps):
    return (tuple(starts), tuple(steps))


def _update_infer(attrs, x, value):
    return Spec(_keep(x.dtype), x.shape)


def _update_regions(attrs, specs, out):
    rank = len(out.shape)
    return [(0, (0,) * rank, (1,) * rank), (1, attrs[0], attrs[1])]


def _update_vjp(attrs, g, inputs, outputs, needs):
    value = inputs[1]
    starts, steps = attrs
    zero = late.zeros_like(value) if needs[0] else None
    gx = update(g[0], late.cast(zero, g[0].dtype), starts, steps) if needs[0] else None
    gv = slice_(g[0], starts, steps, value.shape) if needs[1] else None
    return [gx, gv]


def _update_jvp(attrs, call, tangents, inputs, outputs):
    pair = [late.zeros_like(x) if t is None else t for t, x in zip(tangents, inputs)]
    return [call(attrs, *pair)]


def _update_batch(attrs, call, inputs, batched, size):
    starts, steps = attrs
    return call(((0, *starts), (1, *steps)), *[spread_batch(x, b, size) for x, b in zip(inputs, batched)])


update = assembly(
    "update", 2, attributes=_update_attributes, infer=_update_infer, regions=_update_regions, vjp=_update_vjp,
    jvp=_update_jvp, batch=_update_batch, names=("x", "value"), reference="twain.testing.references.update",
    doc="`x` with the region at starts, steps replaced by `value` (what item assignment does).",
    samples=Samples(((-5, 5), (-5, 5)), arguments=((((1, 3), (1, -2)), {}),), shapes=(((3, 4), (2, 2)),)),
)  # fmt: skip

late.reshape = reshape
late.permute_dims = permute_dims
late.broadcast_to = broadcast_to
