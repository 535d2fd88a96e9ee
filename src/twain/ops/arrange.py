"""Elements arranged anew: diagonals, rotations, parts and joins of tensors, padding. Views where the layout allows."""

from __future__ import annotations

from ..base import dtypes as dt
from ..base.errors import ArgumentError, AxisError, IndexingError, ShapeError, ValueRangeError
from ..base.shapes import as_index, check_shape, normalize_axis, size_of
from ..ir.node import Spec
from .elementwise import (
    bitwise_right_shift,
    cast,
    equal,
    floor,
    greater_equal,
    less,
    multiply,
    sqrt,
    subtract,
    where,
)
from .families import composite, late, movement
from .index import iota, take
from .reduce import sum as sum_
from .samples import Samples
from .shape import broadcast_to, concat, embed, permute_dims, reshape, slice_

_REFERENCES = "twain.testing.everyday_references."


def part(x, axis: int, start: int, size: int, step: int = 1):
    """`size` places of `axis` from `start` on, every `step`-th; the other axes whole."""
    starts, steps, sizes = [0] * x.ndim, [1] * x.ndim, list(x.shape)
    starts[axis], steps[axis], sizes[axis] = start, step, size
    return slice_(x, tuple(starts), tuple(steps), tuple(sizes))


def moved(x, source: int, destination: int):
    """Axis `source` moved to `destination`."""
    order = [i for i in range(x.ndim) if i != source]
    order.insert(destination, source)
    return permute_dims(x, tuple(order))


# ---------------------------------------------------------------- diagonals
def _diagonal_attributes(offset=0, axis1=0, axis2=1):
    return (as_index("diagonal", "offset", offset), axis1, axis2)


def _diagonal_canonical(attrs, spec):
    offset, axis1, axis2 = attrs
    rank = len(spec.shape)
    first, second = normalize_axis("diagonal", axis1, rank), normalize_axis("diagonal", axis2, rank)
    if first == second:
        raise AxisError(f"[diagonal] expected two different axes, got {axis1} and {axis2} of shape {tuple(spec.shape)}")
    return (offset, first, second)


def _diagonal_size(attrs, shape: tuple) -> int:
    offset, first, second = attrs
    return max(0, min(shape[first] + min(offset, 0), shape[second] - max(offset, 0)))


def _diagonal_shape(attrs, shape: tuple) -> tuple:
    return (*(d for i, d in enumerate(shape) if i not in attrs[1:]), _diagonal_size(attrs, shape))


def _diagonal_view(attrs, shape, strides):
    offset, first, second = attrs
    rest = tuple(s for i, s in enumerate(strides) if i not in (first, second))
    if _diagonal_size(attrs, shape) == 0:
        return (*rest, 0), 0
    at = -offset * strides[first] if offset < 0 else offset * strides[second]
    return (*rest, strides[first] + strides[second]), at


def _diagonal_map(attrs, in_shape, out_shape):
    offset, first, second = attrs
    last = len(out_shape) - 1
    result = []
    other = 0
    for i in range(len(in_shape)):
        if i == first:
            result.append((max(-offset, 0), ((last, 1),) if out_shape[last] != 1 else ()))
        elif i == second:
            result.append((max(offset, 0), ((last, 1),) if out_shape[last] != 1 else ()))
        else:
            result.append((0, ((other, 1),) if in_shape[i] != 1 else ()))
            other += 1
    return result


def _on_diagonal(values, shape: tuple, attrs: tuple):
    """Zeros of `shape` with `values` (diagonal last) on the diagonal that attrs (offset, axis1, axis2) name."""
    offset, first, second = attrs
    rows, columns = shape[first], shape[second]
    rest = tuple(values.shape[:-1])
    # the value that a place takes depends on its row alone
    starts = (*(0 for _ in rest), max(-offset, 0))
    if values.shape[-1] != rows:
        values = embed(values, (*rest, rows), starts, (1,) * values.ndim)
    here = equal(subtract(iota((rows, columns), 1), iota((rows, columns), 0)), offset)
    full = where(here, reshape(values, (*rest, rows, 1)), cast(0, values.dtype))
    order = [i for i in range(len(shape)) if i not in (first, second)]
    order = [*order, first, second]
    inverse = [order.index(i) for i in range(len(shape))]
    return full if inverse == list(range(len(shape))) else permute_dims(full, tuple(inverse))


def _diagonal_batch(attrs, call, x, batched, size):
    offset, first, second = attrs
    return call((offset, first + 1, second + 1), x[0])


diagonal = movement(
    "diagonal", attributes=_diagonal_attributes, canonical=_diagonal_canonical,
    infer=lambda attrs, x: Spec(dt.strengthen(x.dtype), _diagonal_shape(attrs, x.shape)), strides=_diagonal_view,
    index_map=_diagonal_map, vjp=lambda attrs, g, x, y, needs: [_on_diagonal(g[0], tuple(x[0].shape), attrs)],
    batch=_diagonal_batch, reference="numpy.diagonal",
    samples=Samples(((-5, 5),), arguments=(((), {}), ((1,), {}), ((-1, 2, 0), {})),
                    shapes=(((3, 4),), ((4, 3),), ((3, 2, 4),))),
    doc="The diagonal of axis1 and axis2, as the last axis of a view; offset > 0 is above the main diagonal.",
    errors=(((0, 0, 0), {}, "[diagonal]"), ((0, 0, 7), {}, "[diagonal]"), ((1.5,), {}, "[diagonal]")),
)  # fmt: skip


def _diag_embed_attributes(offset=0, axis1=-2, axis2=-1):
    return (as_index("diag_embed", "offset", offset), axis1, axis2)


def _diag_embed(attrs, x):
    """Matrices in axis1 and axis2 of the result whose diagonals are the last axis of x, zero elsewhere."""
    offset, axis1, axis2 = attrs
    rank = x.ndim + 1
    if x.ndim == 0:
        raise ShapeError("[diag_embed] expected at least one axis, got a 0-d tensor")
    first, second = normalize_axis("diag_embed", axis1, rank), normalize_axis("diag_embed", axis2, rank)
    if first == second:
        raise AxisError(f"[diag_embed] expected two different axes, got {axis1} and {axis2}")
    size = x.shape[-1] + abs(offset)
    rest = iter(x.shape[:-1])
    shape = tuple(size if i in (first, second) else next(rest) for i in range(rank))
    return _on_diagonal(x, shape, (offset, first, second))


diag_embed = composite("diag_embed", 1, _diag_embed,
                       errors=(((0, 0, 0), {}, "[diag_embed]"), ((0, 9), {}, "[diag_embed]")),
                       attributes=_diag_embed_attributes, names=("x",),
                       reference=_REFERENCES + "diag_embed", samples=Samples(
                           ((-5, 5),), arguments=(((), {}), ((1, 0, 2), {}), ((-1,), {})), shapes=(((2, 3),),)))  # fmt: skip


def _diag(offset, x):
    """Of a vector the matrix with it on diagonal k, of a matrix its diagonal k."""
    if x.ndim == 1:
        return _diag_embed((offset, 0, 1), x)
    if x.ndim != 2:
        raise ShapeError(f"[diag] expected one or two axes, got shape {tuple(x.shape)}")
    return diagonal(x, offset)


diag = composite("diag", 1, _diag,
                 errors=(((1.5,), {}, "[diag]"),),
                 attributes=lambda k=0: as_index("diag", "k", k), names=("x",), reference="numpy.diag",
                 samples=Samples(((-5, 5),), arguments=(((), {}), ((-1,), {})), shapes=(((3,),), ((3, 4),))))  # fmt: skip
diagflat = composite("diagflat", 1, lambda k, x: _diag_embed((k, 0, 1), reshape(x, (x.size,))),
                     attributes=lambda offset=0: as_index("diagflat", "offset", offset), names=("x",), reference="numpy.diagflat",
                     samples=Samples(((-5, 5),), arguments=(((1,), {}),), shapes=(((2, 2),),)),
                     doc="The matrix with all elements of x on a diagonal.")  # fmt: skip


def _trace(attrs, x):
    """The sum over the diagonal of axis1 and axis2."""
    if x.ndim < 2:
        raise ShapeError(f"[trace] expected at least two axes, got shape {tuple(x.shape)}")
    return sum_(diagonal(x, *attrs), -1)


trace = composite("trace", 1, _trace, attributes=_diagonal_attributes, names=("x",),
    errors=(((), {}, "[trace]", ((None, ()),)),),
    reference="numpy.trace",
                  samples=Samples(((-5, 5),), arguments=(((), {}), ((1, 0, 2), {})),
                                  shapes=(((3, 4),), ((3, 2, 4),))))  # fmt: skip


# ---------------------------------------------------------------- windows
def _windows_attributes(size, step=1, axis=-1):
    size, step = as_index("sliding_windows", "size", size), as_index("sliding_windows", "step", step)
    if size < 0 or step < 1:
        raise ValueRangeError(f"[sliding_windows] expected size >= 0 and step >= 1, got {size} and {step}")
    return (size, step, axis)


def _windows_canonical(attrs, spec):
    size, step, axis = attrs
    axis = normalize_axis("sliding_windows", axis, len(spec.shape))
    if size > spec.shape[axis]:
        raise ShapeError(
            f"[sliding_windows] expected windows of at most {spec.shape[axis]} places along axis {axis} of shape "
            f"{tuple(spec.shape)}, got {size}"
        )
    return (size, step, axis)


def _windows_shape(attrs, shape: tuple) -> tuple:
    size, step, axis = attrs
    count = (shape[axis] - size) // step + 1
    return (*(count if i == axis else d for i, d in enumerate(shape)), size)


def _windows_map(attrs, in_shape, out_shape):
    size, step, axis = attrs
    result = [(0, ((i, 1),) if d != 1 else ()) for i, d in enumerate(in_shape)]
    terms = []
    if out_shape[axis] != 1:
        terms.append((axis, step))
    if size != 1:
        terms.append((len(out_shape) - 1, 1))
    result[axis] = (0, tuple(terms))
    return result


def _windows_vjp(attrs, g, x, y, needs):
    size, step, axis = attrs
    g, shape = g[0], tuple(x[0].shape)
    if g.size == 0:
        return [broadcast_to(cast(0, g.dtype), shape)]
    every = -(-size // step)  # windows this far apart don't overlap
    total = None
    for first in range(min(every, g.shape[axis])):
        count = -(-(g.shape[axis] - first) // every)
        block = moved(part(g, axis, first, count, every), g.ndim - 1, axis + 1)
        gap = every * step - size
        if gap:
            wide = (*block.shape[: axis + 1], every * step, *block.shape[axis + 2 :])
            block = embed(block, wide, (0,) * block.ndim, (1,) * block.ndim)
        length = count * every * step
        block = reshape(block, (*shape[:axis], length, *shape[axis + 1 :]))
        start = first * step
        room = shape[axis] - start
        if length > room:  # the gap after the last window
            block = part(block, axis, 0, room)
            length = room
        starts = tuple(start if i == axis else 0 for i in range(len(shape)))
        block = embed(block, shape, starts, (1,) * len(shape))
        total = block if total is None else late.add(total, block)
    return [total]


sliding_windows = movement(
    "sliding_windows", attributes=_windows_attributes, canonical=_windows_canonical,
    infer=lambda attrs, x: Spec(dt.strengthen(x.dtype), _windows_shape(attrs, x.shape)),
    strides=lambda attrs, shape, strides: ((*(s * attrs[1] if i == attrs[2] else s for i, s in enumerate(strides)),
                                            strides[attrs[2]]), 0),
    index_map=_windows_map, vjp=_windows_vjp,
    batch=lambda attrs, call, x, batched, size: call((*attrs[:2], attrs[2] + 1), x[0]),
    reference=_REFERENCES + "sliding_windows",
    samples=Samples(((-5, 5),), arguments=(((3,), {}), ((2, 3, 0), {}), ((3, 2, 0), {})),
                    shapes=(((2, 5),), ((8, 2),), ((8, 2),))),
    doc="Windows of `size` places along `axis`, one every `step`, as a view: their places are the last axis of the result.",
    errors=(((99,), {}, "[sliding_windows]"), ((2, 0), {}, "[sliding_windows]")),
)  # fmt: skip


def sliding_window_view(x, window_shape, axis=None, step=1):
    """All windows of a shape, as a view: for each place of x a window begins, the window's axes last.

    window_shape: an int, or one per axis of `axis` (None: all axes); step: how far apart windows are along them.
    """
    sizes = (window_shape,) if hasattr(window_shape, "__index__") else tuple(window_shape)
    axes = tuple(range(x.ndim)) if axis is None else (axis,) if hasattr(axis, "__index__") else tuple(axis)
    if len(sizes) != len(axes):
        raise ShapeError(f"[sliding_window_view] expected one size per axis {axes}, got {window_shape!r}")
    axes = tuple(normalize_axis("sliding_window_view", a, x.ndim) for a in axes)
    for size, a in zip(sizes, axes):
        x = sliding_windows(x, size, step, a)
    return x


# ---------------------------------------------------------------- order
def swapaxes(x, axis1, axis2):
    """Two axes exchanged: a view. Of a number, which has one element, axes 0 and -1."""
    if x.ndim == 0 and {axis1, axis2} <= {0, -1}:
        return reshape(x, ())
    a, b = normalize_axis("swapaxes", axis1, x.ndim), normalize_axis("swapaxes", axis2, x.ndim)
    order = list(range(x.ndim))
    order[a], order[b] = b, a
    return permute_dims(x, tuple(order))


def _reverse(x, *axes: int):
    starts = tuple(max(d - 1, 0) if i in axes else 0 for i, d in enumerate(x.shape))
    return slice_(x, starts, tuple(-1 if i in axes else 1 for i in range(x.ndim)), tuple(x.shape))


def _fliplr(attrs, x):
    """Columns (axis 1) in reverse order."""
    if x.ndim < 2:
        raise ShapeError(f"[fliplr] expected at least two axes, got shape {tuple(x.shape)}")
    return _reverse(x, 1)


def _flipud(attrs, x):
    """Rows (axis 0) in reverse order."""
    if x.ndim < 1:
        raise ShapeError("[flipud] expected at least one axis, got a 0-d tensor")
    return _reverse(x, 0)


def _rot90(attrs, x):
    """Rotated by 90 degrees k times in the plane of two axes, from the first towards the second."""
    k, axes = attrs
    if x.ndim < 2:
        raise ShapeError(f"[rot90] expected at least two axes, got shape {tuple(x.shape)}")
    first, second = normalize_axis("rot90", axes[0], x.ndim), normalize_axis("rot90", axes[1], x.ndim)
    if first == second:
        raise AxisError(f"[rot90] expected two different axes, got {axes}")
    k %= 4
    if k == 0:
        return reshape(x, tuple(x.shape))
    if k == 2:
        return _reverse(x, first, second)
    order = list(range(x.ndim))
    order[first], order[second] = second, first
    if k == 1:
        return permute_dims(_reverse(x, second), tuple(order))
    return _reverse(permute_dims(x, tuple(order)), second)


def _rot90_attributes(k=1, axes=(0, 1)):
    if not isinstance(axes, (tuple, list)) or len(axes) != 2:
        raise ArgumentError(f"[rot90] expected two axes, got {axes!r}")
    return (as_index("rot90", "k", k), tuple(axes))


_MATRIX = Samples(((-5, 5),), shapes=(((2, 3),), ((2, 3, 2),)))
fliplr = composite(
    "fliplr",
    1,
    _fliplr,
    names=("x",),
    errors=(((), {}, "[fliplr]", ((None, ()),)),),
    reference="numpy.fliplr",
    samples=_MATRIX,
)
flipud = composite("flipud", 1, _flipud, names=("x",), reference="numpy.flipud", samples=_MATRIX)
rot90 = composite("rot90", 1, _rot90,
                  errors=(((1, (0, 0)), {}, "[rot90]"), ((1, (0, 9)), {}, "[rot90]")),
                  attributes=_rot90_attributes, names=("x",), reference="numpy.rot90",
                  samples=Samples(((-5, 5),), arguments=(((), {}), ((3,), {}), ((2, (1, 2)), {})),
                                  shapes=(((2, 3),), ((2, 3),), ((2, 3, 2),))))  # fmt: skip


# ---------------------------------------------------------------- parts
def _narrow(attrs, x):
    """`length` places of `axis` from `start` on: a view."""
    axis, start, length = attrs
    axis = normalize_axis("narrow", axis, x.ndim)
    size = x.shape[axis]
    first = start + size if start < 0 else start
    if not (0 <= first <= size and 0 <= length <= size - first):
        raise IndexingError(
            f"[narrow] expected start and length inside of axis {axis} of shape {tuple(x.shape)}, got {start} and {length}"
        )
    return part(x, axis, first, length)


narrow = composite(
    "narrow", 1, _narrow, names=("x",), reference=_REFERENCES + "narrow",
    attributes=lambda axis, start, length: (axis, as_index("narrow", "start", start), as_index("narrow", "length", length)),
    samples=Samples(((-5, 5),), arguments=(((1, 1, 2), {}),), shapes=(((2, 4),),)),
    errors=(((1, 3, 2), {}, "[narrow]"), ((2, 0, 1), {}, "[narrow]"), ((0, 0.5, 1), {}, "[narrow]")),
)  # fmt: skip


def _select(attrs, x):
    """The entry at `index` of `axis`, without that axis: a view."""
    axis, index = attrs
    axis = normalize_axis("select", axis, x.ndim)
    size = x.shape[axis]
    if not -size <= index < size:
        raise IndexingError(f"[select] index {index} is out of range for axis {axis} of shape {tuple(x.shape)}")
    found = part(x, axis, index % size, 1)
    return reshape(found, tuple(d for i, d in enumerate(x.shape) if i != axis))


select = composite(
    "select", 1, _select, names=("x",), reference=_REFERENCES + "select",
    attributes=lambda axis, index: (axis, as_index("select", "index", index)),
    samples=Samples(((-5, 5),), arguments=(((1, -1), {}),), shapes=(((2, 4),),)),
    errors=(((1, 9), {}, "[select]"), ((5, 0), {}, "[select]")),
)  # fmt: skip


def _parts(x, axis: int, sizes) -> list:
    result, at = [], 0
    for size in sizes:
        result.append(part(x, axis, at, size))
        at += size
    return result


def _split(attrs, x):
    """Parts of `axis`: of the given size (the last may be smaller), or of the given sizes."""
    sizes, axis = attrs
    axis = normalize_axis("split", axis, x.ndim)
    total = x.shape[axis]
    if isinstance(sizes, int):
        if sizes < 0 or (sizes == 0 and total):
            raise ValueRangeError(f"[split] expected a size of at least 1, got {sizes}")
        sizes = [min(sizes, total - at) for at in range(0, total, sizes)] if total else [0]
    elif sum(sizes) != total or min(sizes, default=0) < 0:
        raise ShapeError(
            f"[split] expected sizes that add up to {total} (axis {axis} of shape {tuple(x.shape)}), got {sizes}"
        )
    return _parts(x, axis, sizes)


def _split_attributes(split_size_or_sections, axis=0):
    if isinstance(split_size_or_sections, (list, tuple)):
        return (tuple(as_index("split", "a section", s) for s in split_size_or_sections), axis)
    return (as_index("split", "split_size_or_sections", split_size_or_sections), axis)


split = composite("split", 1, _split, attributes=_split_attributes, names=("x",), reference=_REFERENCES + "split",
                  samples=Samples(((-5, 5),), arguments=(((2,), {}), (((1, 3), 1), {})), shapes=(((5, 4),),)),
                  errors=(((0,), {}, "[split]"), (((1, 1),), {}, "[split]"), (("x",), {}, "[split]")))  # fmt: skip


def _chunk(attrs, x):
    """At most `chunks` parts of `axis` of one size; the last may be smaller."""
    chunks, axis = attrs
    if chunks < 1:
        raise ValueRangeError(f"[chunk] expected chunks of at least 1, got {chunks}")
    axis = normalize_axis("chunk", axis, x.ndim)
    total = x.shape[axis]
    if total == 0:
        return _parts(x, axis, [0] * chunks)
    return _split((-(-total // chunks), axis), x)


chunk = composite("chunk", 1, _chunk,
                  errors=(((0,), {}, "[chunk]"),),
                  attributes=lambda chunks, axis=0: (as_index("chunk", "chunks", chunks), axis),
                  names=("x",), reference=_REFERENCES + "chunk",
                  samples=Samples(((-5, 5),), arguments=(((3,), {}),), shapes=(((5, 4),),)))  # fmt: skip


def _sections_attributes(name: str):
    def attributes(indices_or_sections, axis=0):
        if getattr(indices_or_sections, "ndim", 0) == 1:  # a tensor or array of indices
            indices_or_sections = indices_or_sections.tolist()
        if isinstance(indices_or_sections, (list, tuple)):
            return (tuple(as_index(name, "an index", i) for i in indices_or_sections), axis)
        count = as_index(name, "indices_or_sections", indices_or_sections)
        if count < 1:
            raise ValueRangeError(f"[{name}] expected at least one section, got {count}")
        return (count, axis)

    return attributes


def _tensor_split(attrs, x):
    """Parts of `axis`: as many as given, of sizes that differ by at most one, or cut at the given indices."""
    cuts, axis = attrs
    axis = normalize_axis("tensor_split", axis, x.ndim)
    total = x.shape[axis]
    if isinstance(cuts, int):
        return _parts(x, axis, [total // cuts + (i < total % cuts) for i in range(cuts)])
    ends = [*cuts, total]
    result, at = [], 0
    for end in ends:
        begin, stop, _ = slice(at, end).indices(total)
        result.append(part(x, axis, min(begin, total), max(0, stop - begin)))
        at = end
    return result


_SECTIONS = (((3,), {}), (((1, 3),), {}))
tensor_split = composite("tensor_split", 1, _tensor_split,
                         errors=(((0,), {}, "[tensor_split]"), ((2, 9), {}, "[tensor_split]")),
                         attributes=_sections_attributes("tensor_split"), names=("x",),
                         reference="numpy.array_split", samples=Samples(
                             ((-5, 5),), arguments=_SECTIONS, shapes=(((5, 4),),)))  # fmt: skip


def _even_split(name: str, least: int, axis_of, shape: tuple):
    def function(attrs, x):
        if x.ndim < least:
            raise ShapeError(f"[{name}] expected at least {least} axes, got shape {tuple(x.shape)}")
        axis = axis_of(x.ndim)
        if isinstance(attrs[0], int) and x.shape[axis] % attrs[0]:
            raise ShapeError(
                f"[{name}] expected a number of sections that divides {x.shape[axis]} (axis {axis} of shape "
                f"{tuple(x.shape)}), got {attrs[0]}"
            )
        return _tensor_split((attrs[0], axis), x)

    take_axis = _sections_attributes(name)
    return composite(name, 1, function, attributes=lambda indices_or_sections: take_axis(indices_or_sections), names=("x",),
                     reference="numpy." + name, doc=f"Parts of axis {axis_of(3)}: equal ones, or cut at the given indices.",
                     samples=Samples(((-5, 5),), arguments=(((2,), {}), (((1, 3),), {})), shapes=(shape,)))  # fmt: skip


hsplit = _even_split("hsplit", 1, lambda rank: 0 if rank == 1 else 1, ((2, 4),))
vsplit = _even_split("vsplit", 2, lambda rank: 0, ((4, 2),))
dsplit = _even_split("dsplit", 3, lambda rank: 2, ((2, 1, 4),))


# ---------------------------------------------------------------- joins
def _at_least(x, rank: int):
    """x with axes of size 1 as NumPy adds them: a vector becomes a row, a matrix (M, N, 1)."""
    if x.ndim >= rank:
        return x
    if rank == 1:
        return reshape(x, (1,))
    if rank == 2:
        return reshape(x, (1, x.size))
    return reshape(x, (*x.shape, 1) if x.ndim == 2 else (1, x.size, 1))


def _at_least_op(rank: int):
    return composite(
        f"atleast_{rank}d", 1, lambda attrs, x: x if x.ndim >= rank else _at_least(x, rank), names=("x",),
        reference=f"numpy.atleast_{rank}d", samples=Samples(((-5, 5),), shapes=(((),), ((3,),), ((2, 3),))),
        doc=f"x, with axes of size 1 added if it has fewer than {rank}.",
    )  # fmt: skip


_AT_LEAST = {rank: _at_least_op(rank) for rank in (1, 2, 3)}


def _each_at_least(rank: int, tensors: tuple):
    if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)):
        tensors = tuple(tensors[0])
        return [_AT_LEAST[rank](x) for x in tensors]
    found = [_AT_LEAST[rank](x) for x in tensors]
    return found[0] if len(found) == 1 else found


def atleast_1d(*tensors):
    """Each tensor with at least one axis: a 0-d one gets an axis of size 1. Several tensors give a list."""
    return _each_at_least(1, tensors)


def atleast_2d(*tensors):
    """Each tensor with at least two axes: a vector becomes a row. Several tensors give a list."""
    return _each_at_least(2, tensors)


def atleast_3d(*tensors):
    """Each tensor with at least three axes: a vector becomes (1, N, 1), a matrix (M, N, 1). Several tensors give a list."""
    return _each_at_least(3, tensors)


def _stacking(name: str, prepare, axis_of, doc: str):
    def function(attrs, *arrays):
        if not arrays:
            raise ArgumentError(f"[{name}] expected at least one tensor, got none")
        ready = [prepare(x) for x in arrays]
        return concat(ready, axis_of(ready[0].ndim))

    return composite(name, -1, function, reference="numpy." + name, doc=doc, samples=Samples(
        ((-5, 5), (-5, 5)), shapes=(((3,), (3,)), ((2, 3), (2, 3)))))  # fmt: skip


def _as_column(x):
    return reshape(x, (x.size, 1)) if x.ndim < 2 else x


hstack = _stacking("hstack", lambda x: _at_least(x, 1), lambda rank: 0 if rank == 1 else 1,
                   "Tensors joined along axis 1; vectors along axis 0.")  # fmt: skip
vstack = _stacking(
    "vstack", lambda x: _at_least(x, 2), lambda rank: 0, "Tensors joined along axis 0; vectors are rows."
)
dstack = _stacking("dstack", lambda x: _at_least(x, 3), lambda rank: 2,
                   "Tensors joined along axis 2, after axes of size 1 were added.")  # fmt: skip
column_stack = _stacking(
    "column_stack", _as_column, lambda rank: 1, "Tensors joined along axis 1; vectors are columns."
)


def _block_diag(attrs, *blocks):
    """A matrix of zeros with the given matrices along its diagonal; vectors are rows."""
    if not blocks:
        raise ArgumentError("[block_diag] expected at least one tensor, got none")
    for b in blocks:
        if b.ndim > 2:
            raise ShapeError(f"[block_diag] expected tensors of at most 2 axes, got shape {tuple(b.shape)}")
    blocks = [_at_least(b, 2) for b in blocks]
    width = sum(b.shape[1] for b in blocks)
    bands, at = [], 0
    for b in blocks:
        bands.append(embed(b, (b.shape[0], width), (0, at), (1, 1)))
        at += b.shape[1]
    return concat(bands, 0)


block_diag_op = composite("block_diag", -1, _block_diag, reference=_REFERENCES + "block_diag", samples=Samples(
    ((-5, 5), (-5, 5)), shapes=(((2, 3), (1, 2)), ((2,), (3, 1)))))  # fmt: skip


def block_diag(*blocks):
    """A matrix of zeros with the given matrices along its diagonal, one after another; vectors are rows."""
    return block_diag_op(list(blocks))


def _cartesian_prod(attrs, *vectors):
    for v in vectors:
        if v.ndim != 1:
            raise ShapeError(f"[cartesian_prod] expected vectors, got shape {tuple(v.shape)}")
    if len(vectors) == 1:
        return reshape(vectors[0], tuple(vectors[0].shape))
    shape = tuple(v.size for v in vectors)
    columns = []
    for i, v in enumerate(vectors):
        spread = broadcast_to(reshape(v, tuple(-1 if k == i else 1 for k in range(len(shape)))), shape)
        columns.append(reshape(spread, (size_of(shape), 1)))
    return concat(columns, 1)


cartesian_prod_op = composite("cartesian_prod", -1, _cartesian_prod, reference=_REFERENCES + "cartesian_prod",
                              samples=Samples(((-5, 5), (-5, 5)), shapes=(((2,), (3,)),)),
                              doc="All combinations of one element of each vector, as rows.")  # fmt: skip


def cartesian_prod(*vectors):
    """All combinations of one element of each vector, as rows; the last element changes fastest."""
    return cartesian_prod_op(list(vectors))


def _unflatten(attrs, x):
    """`axis` split into axes of the given sizes (one may be -1): a view."""
    axis, sizes = attrs
    axis = normalize_axis("unflatten", axis, x.ndim)
    known = size_of(tuple(d for d in sizes if d != -1))
    if sizes.count(-1) == 1 and known and x.shape[axis] % known == 0:
        sizes = tuple(x.shape[axis] // known if d == -1 else d for d in sizes)
    if not sizes or min(sizes) < 0 or size_of(sizes) != x.shape[axis]:
        raise ShapeError(
            f"[unflatten] expected sizes whose product is {x.shape[axis]} (axis {axis} of shape {tuple(x.shape)}), got {sizes}"
        )
    return reshape(x, (*x.shape[:axis], *sizes, *x.shape[axis + 1 :]))


unflatten = composite(
    "unflatten", 1, _unflatten, names=("x",), reference=_REFERENCES + "unflatten",
    attributes=lambda axis, sizes: (axis, tuple(as_index("unflatten", "a size", d) for d in sizes)),
    samples=Samples(((-5, 5),), arguments=(((1, (2, -1)), {}),), shapes=(((2, 6),),)),
    errors=(((1, (4, 2)), {}, "[unflatten]"), ((7, (2,)), {}, "[unflatten]")),
)  # fmt: skip


def _vander(attrs, x):
    """Powers of a vector's elements as columns: N of them, the highest first unless `increasing`."""
    count, increasing = attrs
    if x.ndim != 1:
        raise ShapeError(f"[vander] expected a vector, got shape {tuple(x.shape)}")
    count = x.size if count is None else count
    one = broadcast_to(cast(1, x.dtype), (x.size, 1))
    column = reshape(x, (x.size, 1))
    columns = [one, column]
    while len(columns) < count:  # as products of powers that are there, few steps apart
        columns.append(multiply(columns[len(columns) // 2], columns[(len(columns) + 1) // 2]))
    columns = columns[:count]
    if not columns:
        return part(one, 1, 0, 0)
    return concat(columns if increasing else columns[::-1], 1)


def _vander_attributes(N=None, increasing=False):
    if N is not None and not 0 <= as_index("vander", "N", N) <= 1 << 16:
        raise ValueRangeError(f"[vander] expected N from 0 to 65,536, got {N}")
    return (N, bool(increasing))


vander = composite("vander", 1, _vander,
                   errors=(((-1,), {}, "[vander]"),),
                   attributes=_vander_attributes, names=("x",), reference="numpy.vander",
                   samples=Samples(((-2, 2),), arguments=(((), {}), ((5, True), {})), shapes=(((4,),),)))  # fmt: skip


# ---------------------------------------------------------------- indices of triangles
def _triangle_attributes(name: str):
    def attributes(row, col=None, offset=0, dtype=dt.int64):
        rows = check_shape(name, row, "row")[0]
        columns = rows if col is None else check_shape(name, col, "col")[0]
        return (rows, columns, as_index(name, "offset", offset), dt.as_dtype(dtype, name))

    return attributes


def _lower_count(rows: int, columns: int, offset: int) -> tuple:
    """(first row with elements, its number of them, rows that grow by one each, total)."""
    first = max(0, -offset)
    if first >= rows or columns == 0:
        return first, 0, 0, 0
    length = min(first + offset + 1, columns)
    growing = min(rows - first, columns - length)
    rest = rows - first - growing
    top = length + growing
    return first, length, growing, growing * length + growing * (growing - 1) // 2 + rest * min(top, columns)


def _lower_indices(rows: int, columns: int, offset: int):
    """(row, column) of the elements on and below diagonal `offset`, row by row, from the position alone."""
    first, length, growing, total = _lower_count(rows, columns, offset)
    t = iota((total,), 0)
    begin = growing * length + growing * (growing - 1) // 2
    row = column = None
    if begin:
        # row r begins at r * length + r (r - 1) / 2: its root, put right by one where rounding asks
        b = length - 0.5
        r = cast(floor(sqrt(cast(t, dt.float64) * 2.0 + b * b) - b), dt.int64)

        def start(row):
            return row * length + bitwise_right_shift(row * (row - 1), 1)

        r = where(less(t, start(r)), r - 1, r)
        row = where(greater_equal(t, start(r + 1)), r + 1, r)
        column = t - start(row)
    if begin < total:  # whole rows
        more = (t - begin) // columns
        rest = (t - begin) - more * columns
        grows = less(t, begin)
        row = growing + more if row is None else where(grows, row, growing + more)
        column = rest if column is None else where(grows, column, rest)
    if row is None:
        return t, t
    return row + first, column


def _tril_indices(attrs):
    """Rows and columns of the elements on and below a diagonal, shape (2, count), row by row."""
    row, column = _lower_indices(*attrs[:3])
    return cast(concat([reshape(row, (1, row.size)), reshape(column, (1, row.size))], 0), attrs[3])


def _triu_indices(attrs):
    """Rows and columns of the elements on and above a diagonal, shape (2, count), row by row."""
    rows, columns, offset, dtype = attrs
    row, column = _lower_indices(rows, columns, columns - rows - offset)  # turned by 180 degrees
    row, column = _reverse((rows - 1) - row, 0), _reverse((columns - 1) - column, 0)
    return cast(concat([reshape(row, (1, row.size)), reshape(column, (1, row.size))], 0), dtype)


_TRIANGLES = Samples((), arguments=(((3, 4, 1), {}), ((4, 3, -1), {}), ((5,), {})))
tril_indices = composite("tril_indices", 0, _tril_indices,
                         errors=(((-1,), {}, "[tril_indices]"), ((2**62,), {}, "[tril_indices]")),
                         attributes=_triangle_attributes("tril_indices"), names=(),
                         reference=_REFERENCES + "tril_indices", samples=_TRIANGLES)  # fmt: skip
triu_indices = composite("triu_indices", 0, _triu_indices,
                         errors=(((-1,), {}, "[triu_indices]"),),
                         attributes=_triangle_attributes("triu_indices"), names=(),
                         reference=_REFERENCES + "triu_indices", samples=_TRIANGLES)  # fmt: skip


# ---------------------------------------------------------------- combinations
def _pairs_of(attrs, x):
    """All pairs of elements of a vector, in order, as rows."""
    if x.ndim != 1:
        raise ShapeError(f"[combinations] expected a vector, got shape {tuple(x.shape)}")
    places = triu_indices(x.size, x.size, 0 if attrs else 1)
    return permute_dims(take(x, places, 0), (1, 0))


pairs = composite("pairs", 1, _pairs_of, attributes=lambda with_replacement=False: bool(with_replacement), names=("x",),
                  reference=_REFERENCES + "pairs", samples=Samples(((-5, 5),), arguments=(((), {}), ((True,), {})),
                                                                   shapes=(((4,),),)))  # fmt: skip

__all__ = [
    "atleast_1d", "atleast_2d", "atleast_3d", "block_diag", "cartesian_prod", "chunk", "column_stack", "diag",
    "diag_embed", "diagflat", "diagonal", "dsplit", "dstack", "fliplr", "flipud", "hsplit", "hstack", "narrow",
    "rot90", "select", "sliding_window_view", "split", "swapaxes", "tensor_split", "trace", "tril_indices",
    "triu_indices", "unflatten", "vander", "vsplit", "vstack",
]  # fmt: skip
