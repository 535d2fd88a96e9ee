"""Arrays from an op's `samples`: for every try the operands in a dtype, and the static arguments."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .. import _core
from ..base import dtypes as dt
from ..base.dtypes import DType
from ..ir.interpret import array_dtype, rounded
from ..ir.op import OpRecord
from ..ops.elementwise import cast
from ..tensor import asarray, broadcast_to, flip, permute_dims

FAMILY_SHAPES = {
    "elementwise": {
        1: (((3, 5),), ((),), ((0, 4),), ((67,),)),
        2: (((3, 5), (3, 5)), ((4, 1, 3), (2, 1)), ((), (7,)), ((0, 3), (1, 3)), ((33,), (33,))),
        3: (((3, 5), (3, 5), (3, 5)), ((3, 1), (), (4,)), ((0,), (1,), ())),
    },
    "reduction": {1: (((4, 5, 3),), ((2, 70),), ((130, 3),))},
}
SPECIAL = (float("nan"), float("inf"), float("-inf"), 0.0, -0.0, 1.0, -1.0, 0.5, 1e-30, -3.5, 1e30)


class Try:
    """One call: arrays (None where an optional operand is left out), their dtypes, static arguments."""

    __slots__ = ("args", "arrays", "dtypes", "kwargs")

    def __init__(self, arrays: list, dtypes: list, args: tuple, kwargs: dict):
        self.arrays = arrays
        self.dtypes = dtypes
        self.args = args
        self.kwargs = kwargs

    def tensors(self, layout: str = "contiguous") -> list:
        return [to_tensor(a, d, layout) for a, d in zip(self.arrays, self.dtypes)]

    def __repr__(self) -> str:
        operands = ", ".join(f"{d}{list(a.shape)}" for a, d in zip(self.arrays, self.dtypes) if a is not None)
        return f"Try({operands}; {self.args}, {self.kwargs})"


def value_dtypes(record: OpRecord) -> tuple:
    """The dtypes in which an op's values are tried."""
    if record.samples is not None and record.samples.dtypes:
        return record.samples.dtypes
    if record.family in ("elementwise", "reduction"):
        return tuple(record.rules.dtypes)
    if record.family in ("movement", "assembly", "index"):
        return (dt.bool_, dt.int8, dt.int32, dt.uint64, dt.bfloat16, dt.float32, dt.float64, dt.complex64)
    if record.family == "native":
        return record.rules.dtypes
    if record.family == "contraction":
        return (dt.int32, dt.float16, dt.bfloat16, dt.float32, dt.float64)
    if record.family == "scatter":
        return (dt.int32, dt.int64, dt.bfloat16, dt.float32, dt.float64)
    if record.name.startswith(("adam_update", "sgd_update")):
        return (dt.float64, dt.float32)
    return (dt.float64, dt.float32, dt.bfloat16)


def tries(record: OpRecord, dtype: DType, seed: int = 0) -> Iterator[Try]:
    """Every combination of shapes and arguments that the op's samples name."""
    samples = record.samples
    count = len(samples.domains)
    shapes = samples.shapes or FAMILY_SHAPES.get(record.family, FAMILY_SHAPES["elementwise"]).get(count)
    if samples.shapes == () and record.family == "composite" and count == 1:
        shapes = FAMILY_SHAPES["reduction"][1] if "axis" in repr(samples.arguments) else FAMILY_SHAPES["elementwise"][1]
    if count == 0:
        shapes = ((),)
    if len(samples.arguments) == len(shapes) > 1 and samples.shapes:
        pairs = list(zip(samples.arguments, shapes))
    else:
        pairs = [(a, s) for a in samples.arguments for s in shapes]
    for number, ((args, kwargs), each) in enumerate(pairs):
        rng = np.random.default_rng([seed, number, dtype.code])
        arrays, dtypes = [], []
        for position, (domain, shape) in enumerate(zip(samples.domains, each)):
            own = operand_dtype(record, position, domain, dtype)
            arrays.append(draw(rng, domain, tuple(shape), own, record, each))
            dtypes.append(own)
        yield Try(arrays, dtypes, args, kwargs)


def operand_dtype(record: OpRecord, position: int, domain: object, dtype: DType) -> DType:
    if isinstance(domain, str):
        if domain == "bool":
            return dt.bool_
        if domain == "index":
            seeds = record.name == "philox" or record.name.startswith("random")
            return dt.uint64 if seeds else dt.int64
        if domain.startswith("class"):
            return dt.int64
        if domain == "pivots":
            return dt.int32
        if domain == "weights":
            return dt.real_of(dtype)
    fixed = getattr(record.rules, "fixed", None)
    return fixed[position] if fixed and fixed[position] is not None else dtype


HERMITIAN = ("positive definite", "hermitian")
MATRICES = ("regular", "regular tensor", *HERMITIAN)


def matrices(rng, domain: str, shape: tuple, dtype: DType) -> np.ndarray:
    """Matrices far from singular, of distinct eigenvalues and singular values."""
    if domain == "regular tensor":
        split = next(i for i in range(1, len(shape)) if np.prod(shape[:i]) == np.prod(shape[i:]))
        return matrices(rng, "regular", (int(np.prod(shape[:split])),) * 2, dtype).reshape(shape)
    x = rng.uniform(-1, 1, shape)
    if dtype.kind == "c":
        x = x + 1j * rng.uniform(-1, 1, shape)
    k = min(shape[-2:])
    x[..., np.arange(k), np.arange(k)] += np.arange(k) + (2.0 if domain == "regular" else 3.0)
    if domain in HERMITIAN:
        x = hermitian_part(x)
    return rounded(x @ x if domain == "positive definite" else x, dtype)


def hermitian_part(x: np.ndarray) -> np.ndarray:
    """(x + adjoint) / 2."""
    return (x + np.conj(np.swapaxes(x, -1, -2))) / 2


def draw(rng, domain: object, shape: tuple, dtype: DType, record: OpRecord, shapes: tuple) -> np.ndarray:
    """An array of `shape` from a domain, as values of `dtype`."""
    if domain in MATRICES:
        return matrices(rng, domain, shape, dtype)
    if domain == "weights":
        return rounded(rng.uniform(0.5, 1, shape), dtype)
    if domain == "pivots":
        return np.minimum(np.arange(shape[-1]) + rng.integers(1, 3, shape), shape[-1]).astype("int32")
    if dtype is dt.bool_:
        return rng.random(shape) < 0.5
    if domain == "index":
        if dtype is dt.uint64:
            return rng.integers(0, 2**40, shape).astype("uint64")
        least = min((d for d in shapes[0] if d), default=1)
        return rng.integers(-least, least, shape)
    if isinstance(domain, str) and domain.startswith("class"):
        return rng.integers(0, int(domain.split()[1]), shape)
    if domain == "integer":
        low, high = (0, 100) if dtype.kind == "u" else (-50, 50)
        return rng.integers(low, high, shape).astype(array_dtype(dtype))
    if domain == "nonzero":
        size = 0.5 + 4.0 * rng.random(shape)
        x = size if dtype.kind == "u" else np.where(rng.random(shape) < 0.5, size, -size)
        if dtype.kind in "iu":
            x = np.where(np.trunc(x) == 0, 1, np.trunc(x))
        elif dtype.kind == "c":
            x = x + 1j * rng.uniform(-2, 2, shape)
        return rounded(x, dtype)
    low, high = domain
    if dtype.kind in "iu":
        floor = 0 if dtype.kind == "u" or record.name == "power" else int(np.ceil(low))
        return rng.integers(max(int(np.ceil(low)), floor), max(int(high), floor + 2) + 1, shape).astype(
            array_dtype(dtype)
        )
    x = rng.uniform(low, high, shape)
    if dtype.kind == "c":
        x = x + 1j * (rng.uniform(low, high, shape) if low < 0 else rng.uniform(-low, low, shape) / 2)
    return rounded(x, dtype)


# ---------------------------------------------------------------- to and from tensors
LAYOUTS = ("contiguous", "transposed", "stepped", "reversed")


def to_tensor(array: np.ndarray | None, dtype: DType, layout: str = "contiguous"):
    """A tensor of these values; its elements lie in memory as `layout` says."""
    if array is None:
        return None
    if layout == "transposed" and array.ndim > 1:
        return permute_dims(asarray(np.ascontiguousarray(array.T), dtype=dtype), tuple(range(array.ndim - 1, -1, -1)))
    if layout == "stepped" and array.ndim:
        wide = np.repeat(array, 2, axis=-1)
        return asarray(wide, dtype=dtype)[..., ::2]
    if layout == "reversed" and array.ndim:
        return flip(asarray(np.flip(array).copy(), dtype=dtype))
    if layout == "broadcast" and array.ndim and array.size:
        return broadcast_to(asarray(array[:1].copy(), dtype=dtype), array.shape)
    return asarray(array, dtype=dtype)


def to_array(x) -> np.ndarray:
    """The values of a tensor as a NumPy array of its own."""
    x = x.detach()
    if x.dtype is dt.bfloat16:
        x = cast(x, dt.float32)
    return np.array(memoryview(x)) if x.size else np.zeros(x.shape, dtype=array_dtype(x.dtype))


def outputs_of(result: object) -> list:
    return list(result) if isinstance(result, (tuple, list)) else [result]


def call_op(op, tensors: list, args: tuple = (), kwargs: dict | None = None) -> list:
    """The op's results as a list."""
    if op.record.arity < 0:
        return outputs_of(op(tensors, *args, **(kwargs or {})))
    return outputs_of(op(*tensors, *args, **(kwargs or {})))


Tensor = _core.Tensor
