"""Activation functions, dropout and reshaping as layers, so that they can stand in a Sequential."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from .. import _core
from ..base.errors import ValueRangeError
from ..tensor import full
from . import functional as F
from .module import Module

Tensor = _core.Tensor


class _Elementwise(Module):
    """A layer without parameters: `function` with settings."""

    function: Any
    settings: tuple[str, ...] = ()
    stepwise = True

    def forward(self, x: Tensor) -> Tensor:
        return type(self).function(x, *[getattr(self, name) for name in self.settings])

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={getattr(self, name)!r}" for name in self.settings)


def _layer(name: str, function: Callable, doc: str, **settings: Any) -> type[_Elementwise]:
    """A class like PyTorch's: name(settings with these defaults)."""
    names = tuple(settings)

    def __init__(self: _Elementwise, *args: Any, **kwargs: Any) -> None:
        if len(args) > len(names) or not set(kwargs) <= {*names, "inplace"}:
            raise TypeError(f"[{name}] expected arguments among {', '.join(names) or 'none'}, got {args} {kwargs}")
        for key, default in settings.items():
            setattr(self, key, default)
        for key, value in (*zip(names, args, strict=False), *kwargs.items()):
            if key != "inplace":  # values are immutable: accepted for PyTorch's sake, without effect
                setattr(self, key, value)

    made = type(name, (_Elementwise,), {"__init__": __init__, "__doc__": doc, "__module__": __name__})
    made.function = staticmethod(function)
    made.settings = names
    return made


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
Softmax = _layer("Softmax", F.softmax, "exp(x) / sum(exp(x)) over `axis`.", axis=-1)
LogSoftmax = _layer("LogSoftmax", F.log_softmax, "log(softmax(x)) over `axis`.", axis=-1)
GLU = _layer("GLU", F.glu, "The first half of `axis` times the sigmoid of the second.", axis=-1)


class PReLU(Module):
    """x where x > 0, weight * x elsewhere, with a learned weight (one, or one per channel) (He et al. 2015)."""

    stepwise = True

    def __init__(self, num_parameters: int = 1, init: float = 0.25, device: Any = None, dtype: Any = None):
        self.num_parameters = num_parameters
        self.weight = full((num_parameters,), init, dtype=dtype or "float32", device=device).requires_grad_()

    def forward(self, x: Tensor) -> Tensor:
        return F.prelu(x, self.weight)

    def extra_repr(self) -> str:
        return f"num_parameters={self.num_parameters}"


class Dropout(Module):
    """In training, each element is 0 with probability p, the others grow by 1 / (1 - p) (Srivastava et al. 2014)."""

    stepwise = True

    def __init__(self, p: float = 0.5, inplace: bool = False):
        if not 0.0 <= p <= 1.0:
            raise ValueRangeError(f"[Dropout] expected p in [0, 1], got {p}")
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.p, self.training)

    def extra_repr(self) -> str:
        return f"p={self.p}"


class Identity(Module):
    """Its input; takes and ignores any arguments."""

    stepwise = True

    def __init__(self, *args: Any, **kwargs: Any):
        pass

    def forward(self, x: Any) -> Any:
        return x


class Flatten(Module):
    """Axes start_dim to end_dim merged into one."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1):
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, x: Tensor) -> Tensor:
        return F.flatten(x, self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        return "" if (self.start_dim, self.end_dim) == (1, -1) else f"{self.start_dim}, {self.end_dim}"


class Unflatten(Module):
    """Axis `axis` split into `sizes`."""

    def __init__(self, axis: int, sizes: tuple[int, ...]):
        self.axis = axis
        self.sizes = tuple(sizes)

    def forward(self, x: Tensor) -> Tensor:
        axis = range(x.ndim)[operator.index(self.axis)]
        return x.reshape((*x.shape[:axis], *self.sizes, *x.shape[axis + 1 :]))

    def extra_repr(self) -> str:
        return f"{self.axis}, {self.sizes}"


class Lambda(Module):
    """Any function as a layer: nn.Lambda(lambda x: x.mean(axis=1))."""

    def __init__(self, function: Callable):
        self.function = function

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)

    def extra_repr(self) -> str:
        return getattr(self.function, "__name__", type(self.function).__name__)
