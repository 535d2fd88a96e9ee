"""Parametrizations that keep a weight's norm apart, its largest singular value at 1, or its columns orthonormal."""

from __future__ import annotations

from typing import Any

from ... import _core
from ...base.errors import ArgumentError, ShapeError, ValueRangeError
from ...base.lazy import LazyModule
from ...ops.distances import normalize
from ...ops.elementwise import where
from ...ops.linalg_products import householder_product
from ...ops.linalg_solve import matrix_exp, solve
from ...ops.linalg_spectral import qr_op
from ...ops.shape import concat
from ...tensor import asarray, eye, no_grad, random, tril, zeros, zeros_like
from ..conv import _ConvTranspose
from ..module import Module
from .parametrize import register_parametrization

Tensor = _core.Tensor
numpy = LazyModule("numpy")


def _weight_of(function: str, module: Module, name: str) -> Tensor:
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ArgumentError(f"[{function}] expected a tensor {name!r} of {type(module).__name__}, got none")
    return weight


# ---------------------------------------------------------------- weight norm
class _WeightNorm(Module):
    """g * v / norm of v, for each place of axis `dim`; -1: one norm of all."""

    def __init__(self, dim: int | None):
        self.dim = -1 if dim is None else dim

    def _norm(self, v: Tensor) -> Tensor:
        if self.dim == -1:
            return (v * v).sum().sqrt()
        axes = tuple(a for a in range(v.ndim) if a != range(v.ndim)[self.dim])
        return (v * v).sum(axis=axes, keepdims=True).sqrt()

    def forward(self, g: Tensor, v: Tensor) -> Tensor:
        return v * (g / self._norm(v))

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """(norm, weight)."""
        return self._norm(weight), weight


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """The weight as length times direction: parameters `original0` (norms) and `original1` (Salimans, Kingma 2016).

    dim: the axis whose places have a norm each; None for one norm. States with PyTorch's older names, `weight_g` and
    `weight_v`, load too.
    """
    _weight_of("weight_norm", module, name)
    register_parametrization(module, name, _WeightNorm(dim), unsafe=True)

    def rename(_: Module, state: dict, prefix: str, *rest: Any) -> None:
        for old, new in (("_g", "original0"), ("_v", "original1")):
            key = f"{prefix}{name}{old}"
            if key in state:
                state[f"{prefix}parametrizations.{name}.{new}"] = state.pop(key)

    module.register_load_state_dict_pre_hook(rename)
    return module


# ---------------------------------------------------------------- spectral norm
class _SpectralNorm(Module):
    """weight / its largest singular value, estimated by power iteration, one step per call in training."""

    def __init__(self, weight: Tensor, n_power_iterations: int, dim: int, eps: float):
        if n_power_iterations < 1:
            raise ValueRangeError(
                f"[spectral_norm] expected n_power_iterations of at least 1, got {n_power_iterations}"
            )
        if not -weight.ndim <= dim < weight.ndim:
            raise ValueRangeError(f"[spectral_norm] expected dim to be an axis of {tuple(weight.shape)}, got {dim}")
        self.dim = dim % weight.ndim
        self.eps = eps
        self.n_power_iterations = n_power_iterations
        if weight.ndim > 1:
            matrix = self._matrix(weight.detach())
            for name, size in (("_u", matrix.shape[0]), ("_v", matrix.shape[1])):
                self.register_buffer(name, normalize(random.normal((size,)).astype(weight.dtype), axis=0, eps=eps))
            self._iterate(matrix, 15)

    def _matrix(self, weight: Tensor) -> Tensor:
        if self.dim:
            weight = weight.permute_dims((self.dim, *(a for a in range(weight.ndim) if a != self.dim)))
        return weight.reshape((weight.shape[0], -1))

    def _iterate(self, matrix: Tensor, count: int) -> None:
        with no_grad():
            u, v = self._u, self._v
            for _ in range(count):
                u = normalize(matrix @ v, axis=0, eps=self.eps)
                v = normalize(matrix.T @ u, axis=0, eps=self.eps)
            self._u.assign(u)
            self._v.assign(v)

    def forward(self, weight: Tensor) -> Tensor:
        if weight.ndim == 1:
            return normalize(weight, axis=0, eps=self.eps)
        matrix = self._matrix(weight)
        if self.training:
            self._iterate(matrix.detach(), self.n_power_iterations)
        u, v = self._u.detach(), self._v.detach()
        return weight / (u * (matrix @ v)).sum()

    def right_inverse(self, value: Tensor) -> Tensor:
        """The value itself: it is divided again."""
        return value


def spectral_norm(
    module: Module, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> Module:
    """The weight divided by its largest singular value (Miyato et al. 2018).

    dim: the axis of outputs; 0 unless said otherwise, 1 for transposed convolutions.
    """
    weight = _weight_of("spectral_norm", module, name)
    if dim is None:
        dim = 1 if isinstance(module, _ConvTranspose) else 0
    return register_parametrization(module, name, _SpectralNorm(weight, n_power_iterations, dim, eps))


# ---------------------------------------------------------------- orthogonal
MAPS = ("matrix_exp", "cayley", "householder")


class _Orthogonal(Module):
    """A matrix with orthonormal columns (rows, if it is wide) from any matrix."""

    def __init__(self, weight: Tensor, orthogonal_map: str, use_trivialization: bool):
        if weight.dtype.kind == "c" and orthogonal_map == "householder":
            raise ArgumentError("[orthogonal] expected a real weight for 'householder', got a complex one")
        self.shape = tuple(weight.shape)
        self.orthogonal_map = orthogonal_map
        if use_trivialization:
            self.register_buffer("base", None)

    def forward(self, x: Tensor) -> Tensor:
        rows, columns = x.shape[-2], x.shape[-1]
        wide = rows < columns
        if wide:
            x, rows, columns = x.mT, columns, rows
        if self.orthogonal_map == "householder":
            vectors = tril(x, -1)
            lengths = 2.0 / (1.0 + (vectors * vectors).sum(axis=-2))
            q = householder_product(vectors, lengths) * x.diagonal(axis1=-2, axis2=-1).expand_dims(-2)
        else:
            a = tril(x)
            if rows != columns:
                a = concat([a, zeros((*a.shape[:-1], rows - columns), dtype=a.dtype)], axis=-1)
            a = a - (a.mT.conj() if a.dtype.kind == "c" else a.mT)
            one = eye(rows, dtype=a.dtype)
            q = matrix_exp(a) if self.orthogonal_map == "matrix_exp" else solve(one - a * 0.5, one + a * 0.5)
            if rows != columns:
                q = q[..., :columns]
        base = self.__dict__.get("base")
        if base is not None:
            q = base @ q
        return q.mT if wide else q

    def right_inverse(self, value: Tensor) -> Tensor:
        """What gives `value`, or the orthogonal matrix that is next to it."""
        if tuple(value.shape) != self.shape:
            raise ShapeError(f"[orthogonal] expected a matrix of shape {self.shape}, got {tuple(value.shape)}")
        if "base" not in self._buffer_names:
            if self.orthogonal_map == "householder":
                return _reflections(value)
            raise NotImplementedError
        q, wide = value, value.shape[-2] < value.shape[-1]
        if wide:
            q = q.mT
        rows, columns = q.shape[-2], q.shape[-1]
        if rows > columns:
            more = random.normal((*q.shape[:-1], rows - columns)).astype(q.dtype)
            q = concat([q, more], axis=-1)
        q, r = qr_op(q)
        diagonal = r.diagonal(axis1=-2, axis2=-1)
        q = q * where(diagonal < 0, -1.0, 1.0).astype(q.dtype).expand_dims(-2)
        self.register_buffer("base", q)
        shape = (rows, columns)
        result = zeros_like(value.mT if wide else value) - eye(*shape, dtype=value.dtype)
        return result.mT if wide else result


def _reflections(value: Tensor) -> Tensor:
    """The Householder vectors below the diagonal, and on it signs, that give an orthogonal matrix."""
    wide = value.shape[-2] < value.shape[-1]
    packed, lengths = numpy.linalg.qr((value.mT if wide else value).detach().astype("float64").numpy(), mode="raw")
    packed = numpy.array(numpy.swapaxes(packed, -1, -2))
    places = numpy.arange(packed.shape[-1])
    signs = numpy.sign(packed[..., places, places])
    packed[..., places, places] = numpy.where(lengths == 0, -signs, signs)
    result = asarray(numpy.ascontiguousarray(numpy.tril(packed))).astype(value.dtype)
    return result.mT if wide else result


def orthogonal(
    module: Module, name: str = "weight", orthogonal_map: str | None = None, *, use_trivialization: bool = True
) -> Module:
    """Make the weight orthogonal, and keep it so: orthonormal columns, or rows where it is wide.

    Args:
        orthogonal_map: from a free matrix to an orthogonal one: "matrix_exp" (of a skew matrix), "cayley" or "householder".
            By default the first for square matrices, the last for others.
        use_trivialization: count from the weight that was there, made orthogonal (Lezcano Casado 2019): the weight can be
            assigned to, at the price of a product with it at each read.
    """
    weight = _weight_of("orthogonal", module, name)
    if weight.ndim < 2:
        raise ShapeError(f"[orthogonal] expected a matrix, got {name} of shape {tuple(weight.shape)}")
    if orthogonal_map is None:
        square = weight.shape[-2] == weight.shape[-1]
        orthogonal_map = "matrix_exp" if square or weight.dtype.kind == "c" else "householder"
    if orthogonal_map not in MAPS:
        raise ArgumentError(f"[orthogonal] expected orthogonal_map among {', '.join(MAPS)}, got {orthogonal_map!r}")
    return register_parametrization(module, name, _Orthogonal(weight, orthogonal_map, use_trivialization), unsafe=True)


__all__ = ["orthogonal", "spectral_norm", "weight_norm"]
