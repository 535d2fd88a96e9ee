"""Spectral normalisation by its older name and layout: `weight_orig`, `weight_u` and `weight_v` beside the layer's others."""

from __future__ import annotations

from ... import _core
from ...base.errors import ValueRangeError
from ...tensor import no_grad, random
from ..conv import _ConvTranspose
from ..functional import normalize
from ..module import Module
from ..parameters import Parameter
from .computed import compute_before_calls, parameter_again, parameter_of

Tensor = _core.Tensor


class _Before:
    """Computes the weight before each call."""

    def __init__(self, name: str, n_power_iterations: int, dim: int, eps: float):
        self.name = name
        self.n_power_iterations = n_power_iterations
        self.dim = dim
        self.eps = eps

    def matrix(self, weight: Tensor) -> Tensor:
        if self.dim:
            weight = weight.permute_dims((self.dim, *(a for a in range(weight.ndim) if a != self.dim)))
        return weight.reshape((weight.shape[0], -1))

    def compute(self, module: Module, iterate: bool) -> Tensor:
        weight = getattr(module, self.name + "_orig")
        u, v = getattr(module, self.name + "_u"), getattr(module, self.name + "_v")
        matrix = self.matrix(weight)
        if iterate:
            with no_grad():
                fixed = matrix.detach()
                for _ in range(self.n_power_iterations):
                    v.assign(normalize(fixed.T @ u, axis=0, eps=self.eps))
                    u.assign(normalize(fixed @ v, axis=0, eps=self.eps))
        return weight / (u.detach() * (matrix @ v.detach())).sum()

    def __call__(self, module: Module, args: tuple) -> None:
        object.__setattr__(module, self.name, self.compute(module, module.training))


def spectral_norm(
    module: Module, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> Module:
    """The weight divided by its largest singular value (Miyato et al. 2018), under PyTorch's older names: the parameter is
    `weight_orig`, and `weight_u` and `weight_v` are buffers.

    For new models `nn.utils.parametrizations.spectral_norm` is better: it computes the weight whenever it is read, this
    one before each call of the module, with a step of power iteration in training.

    Args:
        dim: the axis of outputs; 0 unless said otherwise, 1 for transposed convolutions.
    """
    weight = parameter_of("spectral_norm", module, name)
    if n_power_iterations < 1:
        raise ValueRangeError(f"[spectral_norm] expected n_power_iterations of at least 1, got {n_power_iterations}")
    if dim is None:
        dim = 1 if isinstance(module, _ConvTranspose) else 0
    if not -weight.ndim <= dim < weight.ndim:
        raise ValueRangeError(f"[spectral_norm] expected dim to be an axis of {tuple(weight.shape)}, got {dim}")
    before = _Before(name, n_power_iterations, dim % weight.ndim, eps)
    delattr(module, name)
    module.register_parameter(name + "_orig", Parameter(weight.detach(), weight.requires_grad))
    matrix = before.matrix(weight.detach())
    for part, size in (("_u", matrix.shape[0]), ("_v", matrix.shape[1])):
        start = random.normal((size,)).astype(weight.dtype).to(weight.device)
        module.register_buffer(name + part, normalize(start, axis=0, eps=eps))
    compute_before_calls("spectral_norm", module, name, weight.detach(), before)
    return module


def remove_spectral_norm(module: Module, name: str = "weight") -> Module:
    """Make the weight a parameter again, with the value that it has."""
    return parameter_again(
        "spectral_norm", module, name, ("_orig", "_u", "_v"), lambda before: before.compute(module, iterate=False)
    )


__all__ = ["remove_spectral_norm", "spectral_norm"]
