"""SGD, Adam and AdamW, with PyTorch's arguments, defaults and trajectories."""

from __future__ import annotations

from typing import Any

from .. import _core
from ..base.errors import ValueRangeError
from ..ops.nn.updates import adam_update, sgd_update
from .optimizer import Optimizer, ParameterGroup, check_range

Tensor = _core.Tensor


class SGD(Optimizer):
    """Stochastic gradient descent with momentum (Sutskever et al. 2013).

    Args:
        params: tensors, (name, tensor) pairs or group dictionaries.
        lr: learning rate.
        momentum: share of the last step's direction that is kept.
        dampening: how much less than 1 a new gradient counts in the direction.
        weight_decay: times the parameter, added to its gradient.
        nesterov: look ahead along the direction; needs momentum and no dampening.
        maximize: climb instead of descend.
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ):
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "dampening": dampening,
                "weight_decay": weight_decay,
                "nesterov": nesterov,
                "maximize": maximize,
            },
        )

    def _check(self, values: dict[str, Any]) -> None:
        check_range("SGD", "lr", values["lr"])
        check_range("SGD", "momentum", values["momentum"])
        check_range("SGD", "weight_decay", values["weight_decay"])
        if values["nesterov"] and (values["momentum"] <= 0 or values["dampening"] != 0):
            raise ValueRangeError("[SGD] expected momentum > 0 and dampening 0 with nesterov")

    def _buffers_of(self, group: ParameterGroup) -> tuple[str, ...]:
        return ("momentum_buffer",) if group.present["momentum"] else ()

    def _update(self, group: ParameterGroup, operands: list[Tensor], steps: tuple[int, ...]) -> Any:
        s, on, flags = group.scalars, group.present, group.settings
        return sgd_update(
            [s["lr"], s["momentum"], s["dampening"], s["weight_decay"], *operands],
            steps,
            on["momentum"],
            on["dampening"],
            on["weight_decay"],
            flags["nesterov"],
            flags["maximize"],
        )


class Adam(Optimizer):
    """Adam (Kingma, Ba 2014); with `amsgrad` after Reddi et al. 2018.

    Args:
        params: tensors, (name, tensor) pairs or group dictionaries.
        lr: learning rate.
        betas: decay rates of the averages of the gradient and of its square.
        eps: added to the denominator.
        weight_decay: times the parameter, added to its gradient.
        amsgrad: divide by the largest average of squares so far.
        maximize: climb instead of descend.
    """

    decoupled = False

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ):
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "amsgrad": amsgrad,
                "maximize": maximize,
            },
        )

    def _check(self, values: dict[str, Any]) -> None:
        name = type(self).__name__
        for setting in ("lr", "eps", "weight_decay"):
            check_range(name, setting, values[setting])
        for number, beta in enumerate(values["betas"]):
            check_range(name, f"betas[{number}]", beta, high=1.0)

    def _buffers_of(self, group: ParameterGroup) -> tuple[str, ...]:
        return ("exp_avg", "exp_avg_sq", "max_exp_avg_sq") if group.settings["amsgrad"] else ("exp_avg", "exp_avg_sq")

    def _update(self, group: ParameterGroup, operands: list[Tensor], steps: tuple[int, ...]) -> Any:
        s, flags = group.scalars, group.settings
        return adam_update(
            [s["lr"], s["beta1"], s["beta2"], s["eps"], s["weight_decay"], *operands],
            steps,
            self.decoupled,
            group.present["weight_decay"],
            flags["amsgrad"],
            flags["maximize"],
        )


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov, Hutter 2017): the decay acts on the parameter, not its gradient.

    Arguments as Adam's; `weight_decay` is 0.01 by default.
    """

    decoupled = True

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ):
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize)
