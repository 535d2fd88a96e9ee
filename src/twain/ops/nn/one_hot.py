"""Class numbers as masks and as rows of 0 and 1."""

from __future__ import annotations

from ...base import dtypes as dt
from ...base.errors import DTypeError, ValueRangeError
from ...base.shapes import normalize_axis
from ..elementwise import cast, equal
from ..families import composite
from ..index import iota
from ..samples import Samples
from ..shape import reshape


def class_mask(target, classes: int, axis: int):
    """Whether the class along `axis` (of size `classes`) is `target`'s; target lacks that axis."""
    rank = target.ndim + 1
    numbers = iota(tuple(classes if i == axis else 1 for i in range(rank)), axis)
    return equal(numbers, reshape(target, (*target.shape[:axis], 1, *target.shape[axis:])))


def _attributes(num_classes, axis=-1):
    if not isinstance(num_classes, int) or num_classes < 1:
        raise ValueRangeError(f"[one_hot] expected num_classes to be an int of at least 1, got {num_classes!r}")
    return (num_classes, axis)


def _one_hot(attrs, x):
    """int64, 1 where the new axis `axis` (of size num_classes) is the number in x; numbers out of range give zeros."""
    if x.dtype.kind not in "iu":
        raise DTypeError(f"[one_hot] expected integers, got {x.dtype}")
    axis = normalize_axis("one_hot", attrs[1], x.ndim + 1)
    return cast(class_mask(cast(x, dt.int64), attrs[0], axis), dt.int64)


one_hot = composite(
    "one_hot", 1, _one_hot, attributes=_attributes, names=("x",),
    errors=(((), {}, "[one_hot]", (("float32", (2,)),)),),
    reference="twain.testing.nn_references.one_hot",
    onnx="OneHot", samples=Samples(("class 4",), arguments=(((4,), {}), ((4, 0), {})), shapes=(((3,),), ((2, 3),))),
)  # fmt: skip
