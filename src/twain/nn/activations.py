"""Activation functions and reshaping as layers, so that they can stand in a Sequential."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from .. import _core
from ..base.errors import ShapeError
from ..tensor import full
from . import functional as F
from .module import Module

Tensor = _core.Tensor


class _Elementwise(Module):
    """A layer without parameters: `function` with settings."""

    function: Any
    settings: tuple[str, ...] = ()
    stepwise = True

    def forward(self, input: Tensor) -> Tensor:
        return type(self).function(input, *[getattr(self, name) for name in self.settings])

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={getattr(self, name)!r}" for name in self.settings)


NEEDED: Any = object()  # a setting without a default


def _layer(name: str, function: Callable, doc: str, **settings: Any) -> type[_Elementwise]:
    """A class like PyTorch's: name(settings with these defaults), then `inplace` where PyTorch's has it.

    Values are immutable, so `inplace` is accepted for PyTorch's sake and has no effect. What PyTorch calls `dim` may be
    given as `axis` too, as functions call it.
    """
    names = tuple(settings)
    in_place = name in _IN_PLACE

    def __init__(self: _Elementwise, *args: Any, **kwargs: Any) -> None:
        if "dim" in settings and "axis" in kwargs:
            kwargs["dim"] = kwargs.pop("axis")
        given = dict(zip(names, args))
        if len(args) == len(names) + in_place and isinstance(args[-1], bool) if in_place and args else False:
            args = args[:-1]
        taken = {*names, "inplace"} if in_place else {*names}
        if len(args) > len(names) or not set(kwargs) <= taken or given.keys() & kwargs.keys():
            if any(isinstance(value, Tensor) for value in args):
                raise TypeError(f"[{name}] expected no tensor where the layer is made, got one; write nn.{name}()(x)")
            raise TypeError(f"[{name}] expected arguments among {', '.join(names) or 'none'}, got {args} {kwargs}")
        for key, default in settings.items():
            value = given.get(key, kwargs.get(key, default))
            if value is NEEDED:
                raise TypeError(f"[{name}] expected {key}, got no such argument")
            setattr(self, key, value)

    made = type(name, (_Elementwise,), {"__init__": __init__, "__doc__": doc, "__module__": __name__})
    made.function = staticmethod(function)
    made.settings = names
    return made


_IN_PLACE = frozenset("ReLU ReLU6 SiLU Mish ELU SELU CELU LeakyReLU Hardtanh Hardsigmoid Hardswish Threshold".split())

ReLU = _layer("ReLU", F.relu, "max(x, 0).")
ReLU6 = _layer("ReLU6", F.relu6, "min(max(x, 0), 6).")
Sigmoid = _layer("Sigmoid", F.sigmoid, "1 / (1 + exp(-x)).")
Tanh = _layer("Tanh", F.tanh, "Hyperbolic tangent.")
GELU = _layer("GELU", F.gelu, "x times the normal distribution function of x.", approximate="none")
SiLU = _layer("SiLU", F.silu, "x * sigmoid(x).")
Mish = _layer("Mish", F.mish, "x * tanh(softplus(x)).")
ELU = _layer("ELU", F.elu, "x where x > 0, alpha * (exp(x) - 1) elsewhere.", alpha=1.0)
SELU = _layer("SELU", F.selu, "The self-normalising ELU.")
CELU = _layer("CELU", F.celu, "max(x, 0) + min(alpha * (exp(x / alpha) - 1), 0).", alpha=1.0)
LeakyReLU = _layer("LeakyReLU", F.leaky_relu, "x where x > 0, negative_slope * x elsewhere.", negative_slope=0.01)
Softplus = _layer("Softplus", F.softplus, "log(1 + exp(beta * x)) / beta.", beta=1.0, threshold=20.0)
Softsign = _layer("Softsign", F.softsign, "x / (1 + |x|).")
Hardtanh = _layer("Hardtanh", F.hardtanh, "min(max(x, min_val), max_val).", min_val=-1.0, max_val=1.0)
Hardsigmoid = _layer("Hardsigmoid", F.hardsigmoid, "relu6(x + 3) / 6.")
Hardswish = _layer("Hardswish", F.hardswish, "x * relu6(x + 3) / 6.")
LogSigmoid = _layer("LogSigmoid", F.logsigmoid, "log(sigmoid(x)).")
Tanhshrink = _layer("Tanhshrink", F.tanhshrink, "x - tanh(x).")
Hardshrink = _layer("Hardshrink", F.hardshrink, "0 where |x| <= lambd, x elsewhere.", lambd=0.5)
Softshrink = _layer("Softshrink", F.softshrink, "x moved towards 0 by lambd.", lambd=0.5)
Threshold = _layer("Threshold", F.threshold, "x where x > threshold, value elsewhere.", threshold=NEEDED, value=NEEDED)
Softmax = _layer("Softmax", F.softmax, "exp(x) / sum(exp(x)) over axis `dim`.", dim=-1)
Softmin = _layer("Softmin", F.softmin, "softmax(-x) over axis `dim`.", dim=-1)
LogSoftmax = _layer("LogSoftmax", F.log_softmax, "log(softmax(x)) over axis `dim`.", dim=-1)
GLU = _layer("GLU", F.glu, "The first half of axis `dim` times the sigmoid of the second.", dim=-1)


class Softmax2d(Module):
    """softmax over the channels of images (N, C, H, W) or (C, H, W), at each pixel."""

    def forward(self, input: Tensor) -> Tensor:
        if input.ndim not in (3, 4):
            raise ShapeError(f"[Softmax2d] expected input (N, C, H, W) or (C, H, W), got {tuple(input.shape)}")
        return F.softmax(input, -3)


class PReLU(Module):
    """x where x > 0, weight * x elsewhere, with a learned weight (one, or one per channel) (He et al. 2015)."""

    stepwise = True

    def __init__(self, num_parameters: int = 1, init: float = 0.25, device: Any = None, dtype: Any = None):
        self.num_parameters = num_parameters
        self.init = init
        self.weight = full((num_parameters,), init, dtype=dtype or "float32", device=device).requires_grad_()

    def forward(self, input: Tensor) -> Tensor:
        return F.prelu(input, self.weight)

    def extra_repr(self) -> str:
        return f"num_parameters={self.num_parameters}"


class Identity(Module):
    """Its input; takes and ignores any arguments."""

    stepwise = True

    def __init__(self, *args: Any, **kwargs: Any):
        pass

    def forward(self, input: Any) -> Any:
        return input


class Flatten(Module):
    """Axes start_dim to end_dim merged into one."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1):
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, input: Tensor) -> Tensor:
        return F.flatten(input, self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        return "" if (self.start_dim, self.end_dim) == (1, -1) else f"{self.start_dim}, {self.end_dim}"


class Unflatten(Module):
    """Axis `dim` split into sizes, one of which may be -1."""

    def __init__(self, dim: int, unflattened_size: tuple[int, ...]):
        self.dim = operator.index(dim)
        self.unflattened_size = tuple(unflattened_size)

    def forward(self, input: Tensor) -> Tensor:
        axis = range(input.ndim)[self.dim]
        return input.reshape((*input.shape[:axis], *self.unflattened_size, *input.shape[axis + 1 :]))

    def extra_repr(self) -> str:
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"


class Lambda(Module):
    """Any function as a layer: nn.Lambda(lambda x: x.mean(axis=1))."""

    def __init__(self, function: Callable):
        self.function = function

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)

    def extra_repr(self) -> str:
        return getattr(self.function, "__name__", type(self.function).__name__)
