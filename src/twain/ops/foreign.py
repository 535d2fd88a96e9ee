"""Ops computed by a native function that twain didn't write: its address, and how its arguments follow from the operands."""

from __future__ import annotations

from collections.abc import Callable

from ..base import dtypes as dt
from ..base.dtypes import DType
from ..base.errors import DTypeError, ShapeError
from ..base.shapes import broadcast_shapes, size_of
from ..ir.node import Spec
from ..ir.op import OpRecord
from .families import elementwise_batch
from .host import leading_batch


class Argument:
    """One argument of the function: an array of `dtype` whose trailing axes are `dims` (names, numbers, or expressions
    of names), or a number given by value (dims None). `dims` is (...,) for arrays of any shape."""

    __slots__ = ("dims", "dtype", "name")

    def __init__(self, name: str, dtype: DType, dims: tuple | None):
        self.name = name
        self.dtype = dtype
        self.dims = dims

    @property
    def any_shape(self) -> bool:
        return self.dims == (...,)

    def __repr__(self) -> str:
        inside = "" if self.dims is None else f"[{', '.join('...' if d is ... else str(d) for d in self.dims)}]"
        return f"{self.name}: {self.dtype}{inside}"


class Signature:
    """Arguments in the order in which the function gets them: inputs and numbers as declared, results, then the sizes
    that the inputs' axes are named after."""

    __slots__ = ("arrays", "inputs", "numbers", "results", "size_names")

    def __init__(self, inputs: list, results: list):
        self.inputs = inputs
        self.results = results
        self.arrays = [a for a in inputs if a.dims is not None]
        self.numbers = [a for a in inputs if a.dims is None]
        names = [d for a in self.arrays for d in a.dims if isinstance(d, str)]
        self.size_names = list(dict.fromkeys(names))

    @property
    def elementwise(self) -> bool:
        return any(a.any_shape for a in self.arrays)

    def __repr__(self) -> str:
        return f"{', '.join(map(repr, self.inputs))} -> {', '.join(map(repr, self.results))}"


class Foreign:
    """How a foreign op computes. `status`: messages by the function's result if it gives one, else None."""

    __slots__ = ("address", "keep", "signature", "status", "threads")

    def __init__(self, address: int, keep: object, signature: Signature, status: dict | None, threads: bool):
        self.address = address
        self.keep = keep  # what must live as long as the function
        self.signature = signature
        self.status = status
        self.threads = threads  # may parts of a batch be computed side by side


def sizes_of(name: str, signature: Signature, specs: tuple) -> tuple:
    """(shape of the batch, {size name: size}) for operands of `specs`."""
    sizes: dict[str, int] = {}
    batches = []
    for argument, spec in zip(signature.arrays, specs):
        if argument.any_shape:
            batches.append(spec.shape)
            continue
        rank = len(argument.dims)
        if len(spec.shape) < rank:
            raise ShapeError(
                f"[{name}] {argument.name}: expected at least {rank} axes ({argument!r}), got {spec.shape}"
            )
        core = spec.shape[len(spec.shape) - rank :]
        batches.append(spec.shape[: len(spec.shape) - rank])
        for want, have in zip(argument.dims, core):
            known = sizes.setdefault(want, have) if isinstance(want, str) else want
            if known != have:
                raise ShapeError(
                    f"[{name}] {argument.name}: expected {argument!r} with {want} = {known}, got {spec.shape}"
                )
    return broadcast_shapes(name, *batches) if batches else (), sizes


def infer_of(name: str, signature: Signature) -> Callable:
    """infer of a foreign op."""

    def infer(attrs, *specs):
        for argument, spec in zip(signature.arrays, specs):
            if (
                spec.dtype is not argument.dtype
                and dt.strengthen(spec.dtype) is not argument.dtype
                and not spec.dtype.weak
            ):
                raise DTypeError(
                    f"[{name}] {argument.name}: expected {argument.dtype}, got {spec.dtype}; convert with "
                    f".astype(twain.{argument.dtype})"
                )
        batch, sizes = sizes_of(name, signature, specs)
        found = []
        for result in signature.results:
            core = () if result.any_shape else tuple(value_of(d, sizes) for d in result.dims)
            found.append(Spec(result.dtype, (*batch, *core)))
        return tuple(found) if len(found) > 1 else found[0]

    return infer


def value_of(dim: object, sizes: dict) -> int:
    """A size from its name, number or expression."""
    if isinstance(dim, int):
        return dim
    return dim(sizes) if callable(dim) else sizes[dim]


def foreign(
    name: str, function: Foreign, *, attributes=None, vjp=None, jvp=None, doc: str = "",
) -> OpRecord:  # fmt: skip
    """The record of an op that a native function computes; it is not in the op table."""
    signature = function.signature
    record = OpRecord(
        name, "foreign", len(signature.arrays), infer=infer_of(name, signature), lowering="foreign", rules=function,
        attributes=attributes, vjp=vjp, jvp=jvp, doc=doc, argument_names=tuple(a.name for a in signature.arrays),
        differentiable=vjp is not None or jvp is not None,
    )  # fmt: skip
    if signature.elementwise:
        record.batch = elementwise_batch(name)
    else:
        record.batch = leading_batch(tuple(len(a.dims) for a in signature.arrays))
    return record


def count_of(shape: tuple) -> int:
    """How often the function is called for a batch of `shape`."""
    return size_of(shape)
