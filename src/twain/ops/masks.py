"""What goes by a mask: counting, keeping the chosen elements, their positions, putting values where it is true.

How many are chosen is data; a result's shape isn't. So the functions here take the size as an argument: a caller that
may look reads `count_true` first. They work along the last axis, row by row.
"""

from __future__ import annotations

from ..base import dtypes as dt
from ..base.errors import DTypeError, ShapeError
from ..base.shapes import broadcast_shapes, size_of
from ..ir.node import Spec
from .elementwise import cast, where
from .families import composite, late
from .native import check_dtype, check_rows, leading_batch, native, whole
from .samples import Samples
from .shape import broadcast_to, reshape

_ROWS = (((4, 5), (4, 5)), ((2, 700), (2, 700)), ((0, 3), (0, 3)), ((2, 0), (2, 0)))
_TRIED = (dt.bool_, dt.int16, dt.int64, dt.bfloat16, dt.float32, dt.float64, dt.complex128)


def _check_bool(name: str, mask) -> None:
    if mask.dtype.kind != "b":
        raise DTypeError(f"[{name}] expected a bool mask, got {mask.dtype}; compare it first, as in mask != 0")


def _check_mask(name: str, mask, *others) -> None:
    check_rows(name, mask)
    _check_bool(name, mask)
    for x in others:
        if x.shape != mask.shape:
            raise ShapeError(f"[{name}] expected a mask of shape {tuple(x.shape)}, got {tuple(mask.shape)}")


# ---------------------------------------------------------------- counting
def _count_infer(attrs, mask):
    _check_mask("count_true", mask)
    return Spec(dt.int64, mask.shape[:-1])


count_true = native(
    "count_true", 1, "mask", infer=_count_infer, allowed=dt.BOOL, tried=dt.BOOL, detail="total", batch=leading_batch,
    argument_names=("mask",), differentiable=False,
    errors=(((), {}, "bool", (("float32", (2, 3)),)),),
    reference="twain.testing.mask_references.count_true",
    samples=Samples(("bool",), shapes=(((4, 5),), ((3, 9000),), ((2, 0),), ((0, 2),))),
    doc="How many elements of each row of a bool `mask` are true, int64.",
)  # fmt: skip


# ---------------------------------------------------------------- keeping
def _size_attributes(size):
    return whole("size", size, 0)


def _compress_infer(size, mask, x):
    _check_mask("compress_rows", mask, x)
    return Spec(check_dtype("compress_rows", x.dtype, dt.ANY), (*x.shape[:-1], size))


def _compress_vjp(size, g, inputs, outputs, needs):
    mask, x = inputs
    return [None, masked_scatter_rows(mask, late.zeros_like(x), g[0])]


def _compress_jvp(size, call, tangents, inputs, outputs):
    return [call(size, inputs[0], tangents[1])]


compress_rows = native(
    "compress_rows", 2, "mask", infer=_compress_infer, attributes=_size_attributes, allowed=dt.ANY, tried=_TRIED,
    detail="compress", vjp=_compress_vjp, jvp=_compress_jvp, batch=leading_batch, argument_names=("mask", "x"),
    reference="twain.testing.mask_references.compress_rows",
    samples=Samples(("bool", (-5, 5)), arguments=(((3,), {}),), shapes=_ROWS),
    doc="Of each row of x the elements where `mask` is true, in order: the first `size`, followed by zeros if fewer.",
)  # fmt: skip


def _positions_infer(size, mask):
    _check_mask("positions_of_true", mask)
    return Spec(dt.int64, (*mask.shape[:-1], size))


positions_of_true = native(
    "positions_of_true", 1, "mask", infer=_positions_infer, attributes=_size_attributes, allowed=dt.BOOL, tried=dt.BOOL,
    detail="positions", batch=leading_batch, argument_names=("mask",), differentiable=False,
    errors=(((), {}, "bool", (("float32", (2, 3)),)),),
    reference="twain.testing.mask_references.positions_of_true",
    samples=Samples(("bool",), arguments=(((3,), {}),), shapes=(((4, 5),), ((2, 700),), ((0, 3),), ((2, 0),))),
    doc="Where each row of a bool `mask` is true, int64, in order: the first `size`, followed by the row's length if fewer.",
)  # fmt: skip


# ---------------------------------------------------------------- putting
def _place_infer(attrs, mask, x, source):
    _check_mask("masked_scatter", mask, x)
    if source.dtype is not x.dtype or source.shape[:-1] != x.shape[:-1]:
        raise ShapeError(f"[masked_scatter] expected a source of {x.dtype} rows like those of x, got {source}")
    return Spec(check_dtype("masked_scatter", x.dtype, dt.ANY), x.shape)


def _place_vjp(attrs, g, inputs, outputs, needs):
    mask, _, source = inputs
    return [
        None,
        masked_scatter_rows(mask, g[0], late.zeros_like(source)) if needs[1] else None,
        compress_rows(mask, g[0], source.shape[-1]) if needs[2] else None,
    ]


def _place_jvp(attrs, call, tangents, inputs, outputs):
    mask, x, source = inputs
    tx = late.zeros_like(x) if tangents[1] is None else tangents[1]
    return [call(attrs, mask, tx, late.zeros_like(source) if tangents[2] is None else tangents[2])]


masked_scatter_rows = native(
    "masked_scatter_rows", 3, "mask", infer=_place_infer, allowed=dt.ANY, tried=_TRIED, detail="place", vjp=_place_vjp,
    jvp=_place_jvp, batch=leading_batch, argument_names=("mask", "x", "source"),
    reference="twain.testing.mask_references.masked_scatter_rows",
    samples=Samples(("bool", (-5, 5), (-5, 5)),
                    shapes=(((4, 5), (4, 5), (4, 5)), ((2, 700), (2, 700), (2, 900)), ((1, 9), (1, 9), (1, 2)))),
    doc="Each row of x with the elements where `mask` is true replaced by those of `source`, in order, as far as they go.",
)  # fmt: skip


def _flat_rows(x):
    return reshape(x, (1, size_of(x.shape)))


def _masked_scatter(attrs, x, mask, source):
    _check_bool("masked_scatter", mask)
    dt.check_cast("masked_scatter", source.dtype, x.dtype)
    if mask.shape != x.shape:
        shape = broadcast_shapes("masked_scatter", x.shape, mask.shape)
        x, mask = broadcast_to(x, shape), broadcast_to(mask, shape)
    source = source if source.dtype is x.dtype else cast(source, x.dtype)
    return reshape(masked_scatter_rows(_flat_rows(mask), _flat_rows(x), _flat_rows(source)), x.shape)


masked_scatter = composite(
    "masked_scatter", 3, _masked_scatter, names=("x", "mask", "source"),
    errors=(((), {}, "bool mask", (None, ("uint8", (4, 5)), None)),),
    reference="twain.testing.mask_references.masked_scatter",
    samples=Samples(((-5, 5), "bool", (-5, 5)), shapes=(((4, 5), (4, 5), (30,)), ((4, 5), (5,), (20,)))),
    doc="""x with its elements where `mask` is true replaced by those of `source`, in row-major order of both. The two
    broadcast; `source` is cast to x's dtype and has at least as many elements as are true (the rest stay).""",
)  # fmt: skip


def _masked_fill(attrs, x, mask, value):
    _check_bool("masked_fill", mask)
    dt.check_cast("masked_fill", value.dtype, x.dtype)
    return where(mask, cast(value, x.dtype), x)


masked_fill = composite(
    "masked_fill", 3, _masked_fill, names=("x", "mask", "value"),
    errors=(((), {}, "bool mask", (None, ("float32", (4, 5)), None)), ((), {}, "complex", (None, None, ("complex64", ())))),
    reference="twain.testing.mask_references.masked_fill",
    samples=Samples(((-5, 5), "bool", (-5, 5)), shapes=(((4, 5), (4, 5), ()), ((4, 5), (5,), ()))),
    doc="x with `value`, a number or 0-d tensor cast to x's dtype, where `mask` is true. The mask broadcasts to x.",
)  # fmt: skip

__all__ = ["masked_fill", "masked_scatter"]
