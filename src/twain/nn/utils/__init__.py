"""What goes with layers: limits on gradients, parametrized weights, fused layers, sequences of different lengths (`rnn`).

But for `rnn`, which layers need themselves, names are loaded when first used.
"""

from __future__ import annotations

from typing import Any

from ...base import lazy
from . import rnn

_MODULES = {
    "clip_grad": "clip_grad_norm_ clip_grad_value_ clip_grads_with_norm_ get_total_norm",
    "convert_parameters": "parameters_to_vector vector_to_parameters",
    "fusion": "fuse_conv_bn_eval fuse_conv_bn_weights fuse_linear_bn_eval fuse_linear_bn_weights",
    "parametrizations": "",
    "parametrize": "",
    "old_spectral_norm": "remove_spectral_norm spectral_norm",
    "old_weight_norm": "remove_weight_norm weight_norm",
}
_PLACES = {name: module for module, names in _MODULES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    module = _PLACES.get(name, name if name in _MODULES else None)
    if module is None:
        raise AttributeError(f"module 'twain.nn.utils' has no attribute {name!r}")
    loaded = lazy.load(f"{__name__}.{module}")
    value = globals()[name] = getattr(loaded, name) if name in _PLACES else loaded
    return value


__all__ = [
    "clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_", "fuse_conv_bn_eval", "fuse_conv_bn_weights",
    "fuse_linear_bn_eval", "fuse_linear_bn_weights", "get_total_norm", "parameters_to_vector", "parametrizations",
    "parametrize", "remove_spectral_norm", "remove_weight_norm", "rnn", "spectral_norm", "vector_to_parameters", "weight_norm",
]  # fmt: skip
