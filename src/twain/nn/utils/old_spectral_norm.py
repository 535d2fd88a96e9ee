"""Spectral normalisation by its older name and layout: `weight_orig`, `weight_u` and `weight_v` beside the layer's others."""

from __future__ import annotations

from typing import Any

from ... import _core
from ...base.errors import ArgumentError, ValueRangeError
from ...tensor import no_grad, random
from ..conv import _ConvTranspose
from ..functional import normalize
from ..module import Module
from ..parameters import Parameter

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
    weight = module.__dict__.get(name)
    if not isinstance(weight, Tensor) or name not in module._parameter_names:
        raise ArgumentError(f"[spectral_norm] expected a parameter {name!r} of {type(module).__name__}, got none")
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
    object.__setattr__(module, name, weight.detach())
    handle = module.register_forward_pre_hook(before)
    module.__dict__.setdefault("_spectral_norms", {})[name] = (before, handle)
    return module


def remove_spectral_norm(module: Module, name: str = "weight") -> Module:
    """Make the weight a parameter again, with the value that it has."""
    known: dict[str, Any] = getattr(module, "__dict__", {}).get("_spectral_norms", {})
    if name not in known:
        raise ArgumentError(
            f"[remove_spectral_norm] expected spectral_norm on {name!r} of {type(module).__name__}, got none"
        )
    before, handle = known.pop(name)
    handle.remove()
    with no_grad():
        value = before.compute(module, iterate=False).detach()
    trains = getattr(module, name + "_orig").requires_grad
    for part in ("_orig", "_u", "_v", ""):
        delattr(module, name + part)
    module.register_parameter(name, Parameter(value, trains))
    return module


__all__ = ["remove_spectral_norm", "spectral_norm"]
