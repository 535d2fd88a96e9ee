"""Sorting and what follows from it. NaN counts as larger than everything, as in NumPy; equal elements keep their order."""

from __future__ import annotations

from ..base import dtypes as dt
from ..base.errors import ShapeError
from ..base.shapes import normalize_axis
from ..ir.node import Spec
from .families import composite, late
from .index import scatter_add, take_along_axis
from .native import at_least_1d, axis_back, axis_last, check_dtype, check_rows, leading_batch, native, whole
from .samples import Samples

_ORDERED = dt.BOOL + dt.REAL


# ---------------------------------------------------------------- rows
def _sort_infer(descending, x):
    check_rows("sort_rows", x)
    return Spec(check_dtype("sort", x.dtype, _ORDERED), x.shape)


def _sort_vjp(descending, g, inputs, outputs, needs):
    order = argsort_rows(inputs[0], descending)
    return [scatter_add(late.zeros_like(inputs[0]), order, g[0], -1)]


def _sort_jvp(descending, call, tangents, inputs, outputs):
    return [take_along_axis(tangents[0], argsort_rows(inputs[0], descending), -1)]


_ROWS = (((4, 5),), ((3, 700),), ((2, 3, 1),), ((0, 3),), ((2, 0),))
sort_rows = native(
    "sort_rows", 1, "sort", infer=_sort_infer, attributes=lambda descending=False: bool(descending),
    argument_names=("x",),
    vjp=_sort_vjp, jvp=_sort_jvp, batch=leading_batch, reference="twain.testing.sort_references.sort_rows",
    samples=Samples(((-50, 50),), arguments=(((), {}), ((True,), {})), shapes=_ROWS),
    doc="The elements of each row (along the last axis) in order; NaN last, or first if descending.",
)  # fmt: skip


def _argsort_infer(descending, x):
    check_rows("argsort_rows", x)
    check_dtype("argsort", x.dtype, _ORDERED)
    return Spec(dt.int64, x.shape)


argsort_rows = native(
    "argsort_rows", 1, "sort", infer=_argsort_infer, attributes=lambda descending=False: bool(descending),
    argument_names=("x",), batch=leading_batch, differentiable=False,
    reference="twain.testing.sort_references.argsort_rows",
    samples=Samples(((-50, 50),), arguments=(((), {}), ((True,), {})), shapes=_ROWS),
    doc="The positions, int64, that put each row (along the last axis) in order; equal elements keep theirs.",
)  # fmt: skip


# ---------------------------------------------------------------- parts of sorted rows
def _topk_attributes(k, descending=True):
    return (whole("k", k, 0), bool(descending))


def _topk_infer(attrs, x):
    check_rows("topk_rows", x)
    check_dtype("topk", x.dtype, _ORDERED)
    if attrs[0] > x.shape[-1]:
        raise ShapeError(f"[topk_rows] expected rows of {attrs[0]} elements or more, got shape {tuple(x.shape)}")
    return Spec(dt.int64, (*x.shape[:-1], attrs[0]))


topk_rows = native(
    "topk_rows", 1, "select", infer=_topk_infer, attributes=_topk_attributes, batch=leading_batch,
    argument_names=("x",), differentiable=False, reference="twain.testing.sort_references.topk_rows",
    samples=Samples(((-50, 50),), arguments=(((3,), {}), ((2, False), {})), shapes=(((4, 5),), ((2, 700),), ((0, 3),))),
    errors=(((-1,), {}, "k"), ((9999,), {}, "rows")),
    doc="The positions, int64, of the first `k` elements of each row in order: the largest, or smallest; without sorting all.",
)  # fmt: skip


def _select_infer(attrs, x, at):
    check_rows("select_rows", x)
    check_dtype("select_rows", x.dtype, _ORDERED)
    if at.dtype is not dt.int64 or at.shape != x.shape[:-1]:
        raise ShapeError(f"[select_rows] expected one int64 number for each row of {tuple(x.shape)}, got {at}")
    return Spec(dt.int64, at.shape)


select_rows = native(
    "select_rows", 2, "select", infer=_select_infer, batch=leading_batch, argument_names=("x", "at"),
    differentiable=False, reference="twain.testing.sort_references.select_rows",
    samples=Samples(((-50, 50), "class 4"), shapes=(((4, 5), (4,)), ((2, 700), (2,)), ((0, 3), (0,)), ((9,), ()))),
    doc="The position, int64, of element number `at` of each row in order, counted from 0; without sorting all.",
)  # fmt: skip


# ---------------------------------------------------------------- any axis
def _order_attributes(axis=-1, descending=False, stable=True):
    return (whole("axis", axis), bool(descending))


def _along(name, attrs, x, rows):
    check_rows(name, x.spec)
    axis = normalize_axis(name, attrs[0], x.ndim)
    return axis_back(rows(axis_last(x, axis), attrs[1]), axis)


_AXES = Samples(((-5, 5),), arguments=(((), {}), ((), {"axis": 0, "descending": True})), shapes=(((5, 33),),))
sort = composite("sort", 1, at_least_1d(lambda attrs, x: _along("sort", attrs, x, sort_rows)), attributes=_order_attributes,
                 names=("x",), errors=(((9,), {}, "axis"),),
                 reference="twain.testing.sort_references.sort", samples=_AXES,
                 doc="""The elements along `axis` in order: sort(x, axis=-1, descending=False, stable=True).

                 NaN counts as larger than everything, so it comes last, or first if descending. Real dtypes and bool.
                 Equal elements keep their order whether `stable` or not. Array API `sort`.""")  # fmt: skip
argsort = composite("argsort", 1, at_least_1d(lambda attrs, x: _along("argsort", attrs, x, argsort_rows)), names=("x",),
                    attributes=_order_attributes, errors=(((9,), {}, "axis"),),
                    reference="twain.testing.sort_references.argsort", samples=_AXES,
                    doc="""The positions, int64, that sort `x` along `axis`; arguments as of `sort`.""")  # fmt: skip

__all__ = ["argsort", "sort"]
