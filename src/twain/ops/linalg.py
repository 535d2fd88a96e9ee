"""Contractions: the matrix product, batched, and `matmul` with NumPy's rules for vectors."""

from __future__ import annotations

from ..base import dtypes as dt
from ..base.dtypes import promote, strengthen
from ..base.errors import DTypeError, ShapeError
from ..base.shapes import broadcast_shapes
from ..ir.node import Spec
from ..ir.op import OpRecord, register
from .complex_parts import complex
from .elementwise import add, cast, imag, real, subtract
from .families import composite, fit_gradient
from .samples import Samples
from .shape import permute_dims, reshape


def _unequal(a, b) -> ShapeError:
    return ShapeError(
        f"[matmul] expected the last axis of x1 to match the second last (or only) axis of x2, got shapes "
        f"{tuple(a.shape)} and {tuple(b.shape)} ({a.shape[-1]} and {b.shape[max(len(b.shape) - 2, 0)]})"
    )


def _product_infer(attrs, a, b):
    dtype = strengthen(promote("matmul", a.dtype, b.dtype))
    if dtype not in dt.REAL:
        raise DTypeError(f"[matmul] expected real numeric dtypes, got {a.dtype} and {b.dtype}")
    if len(a.shape) < 2 or len(b.shape) < 2:
        raise ShapeError(f"[matmul] expected at least one axis each, got shapes {tuple(a.shape)} and {tuple(b.shape)}")
    if a.shape[-1] != b.shape[-2]:
        raise _unequal(a, b)
    batch = broadcast_shapes("matmul", a.shape[:-2], b.shape[:-2])
    return Spec(dtype, (*batch, a.shape[-2], b.shape[-1]))


def transpose_last(x):
    """The last two axes exchanged (a view)."""
    rank = len(x.shape)
    return permute_dims(x, (*range(rank - 2), rank - 1, rank - 2))


def _product_vjp(attrs, g, inputs, outputs, needs):
    a, b = inputs
    ga = fit_gradient(real_product(g[0], cast(transpose_last(b), g[0].dtype)), a.spec) if needs[0] else None
    gb = fit_gradient(real_product(cast(transpose_last(a), g[0].dtype), g[0]), b.spec) if needs[1] else None
    return [ga, gb]


def _product_jvp(attrs, call, tangents, inputs, outputs):
    a, b = inputs
    parts = []
    if tangents[0] is not None:
        parts.append(real_product(tangents[0], b))
    if tangents[1] is not None:
        parts.append(real_product(a, tangents[1]))
    return [parts[0] if len(parts) == 1 else add(parts[0], parts[1])]


def _product_batch(attrs, call, inputs, batched, size):
    rank = max(x.ndim - b for x, b in zip(inputs, batched))
    aligned = []
    for x, b in zip(inputs, batched):
        if b and x.ndim - 1 < rank:
            x = reshape(x, (size,) + (1,) * (rank - x.ndim + 1) + tuple(x.shape[1:]))
        aligned.append(x)
    return call(attrs, *aligned)


real_product = register(
    OpRecord(
        "matrix_product",
        "contraction",
        2,
        autocast="low",
        infer=_product_infer,
        lowering="matmul",
        flops=lambda n: 2 * n.size * n.inputs[0].shape[-1],
        vjp=_product_vjp,
        jvp=_product_jvp,
        batch=_product_batch,
        reference="numpy.matmul",
        argument_names=("x1", "x2"),
        onnx="MatMul",
        samples=Samples(((-2, 2), (-2, 2)), shapes=(((3, 5), (5, 4)), ((2, 3, 5), (5, 4)), ((4, 1, 3, 2), (3, 2, 5)))),
    )  # fmt: skip
)


def _complex_product(attrs, a, b):
    """A matrix product with complex operands: of their real and imaginary parts, each in the kernels for real ones."""
    x, y = real(a), real(b)
    if a.dtype.kind != "c":
        return complex(real_product(x, y), real_product(x, imag(b)))
    if b.dtype.kind != "c":
        return complex(real_product(x, y), real_product(imag(a), y))
    u, v = imag(a), imag(b)
    return complex(subtract(real_product(x, y), real_product(u, v)), add(real_product(x, v), real_product(u, y)))


complex_product = composite(
    "complex_product", 2, _complex_product, reference="numpy.matmul",
    samples=Samples(
        ((-2, 2), (-2, 2)), shapes=(((3, 5), (5, 4)), ((2, 3, 5), (5, 4))), dtypes=(dt.complex64, dt.complex128)
    ),
)  # fmt: skip


def product(a, b):
    """The matrix product of operands with at least two axes, leading axes broadcast; real or complex."""
    return (complex_product if "c" in (a.dtype.kind, b.dtype.kind) else real_product)(a, b)


def _matmul(attrs, a, b):
    """Matrix product with NumPy's rules: 1-d operands are a row and a column, leading axes broadcast."""
    if a.ndim == 0 or b.ndim == 0:
        raise ShapeError(f"[matmul] expected at least one axis each, got shapes {tuple(a.shape)} and {tuple(b.shape)}")
    if a.shape[-1] != b.shape[max(b.ndim - 2, 0)]:
        raise _unequal(a, b)
    left = reshape(a, (1, *a.shape)) if a.ndim == 1 else a
    right = reshape(b, (*b.shape, 1)) if b.ndim == 1 else b
    result = product(left, right)
    if a.ndim == 1 or b.ndim == 1:
        shape = result.shape[:-2]
        if a.ndim > 1:
            shape = (*shape, result.shape[-2])
        if b.ndim > 1:
            shape = (*shape, result.shape[-1])
        result = reshape(result, shape)
    return result


matmul = composite(
    "matmul", 2, _matmul, autocast="low", errors=(((), {}, "(4, 5)", ((None, (2, 3)), (None, (4, 5)))),),
    reference="numpy.matmul", onnx="MatMul",
    samples=Samples(((-2, 2), (-2, 2)), shapes=(((3, 5), (5, 4)), ((5,), (5,)), ((2, 3, 5), (5,)), ((5,), (2, 5, 3)))),
)  # fmt: skip
