"""Optimizers with PyTorch's arguments, defaults, state names and trajectories. The formulas are in `ops/nn/updates.py`."""

from __future__ import annotations

from typing import Any

from .. import _core
from ..base.errors import ArgumentError, ShapeError, ValueRangeError
from ..ops.nn import updates
from ..tensor import asarray, full, zeros
from .optimizer import Optimizer, ParameterGroup, check_range

Tensor = _core.Tensor
Rate = float | Tensor


def _given(names: dict[str, Any]) -> dict[str, Any]:
    """The settings among the local names of an `__init__`."""
    return {key: value for key, value in names.items() if key not in ("self", "params", "__class__")}


class _Checked(Optimizer):
    """Optimizers whose settings have limits: name -> (lowest, what it must stay below)."""

    limits: dict[str, tuple[float, float | None]] = {"lr": (0.0, None), "weight_decay": (0.0, None)}  # noqa: RUF012
    complex_too = True

    def _check(self, values: dict[str, Any]) -> None:
        name = type(self).__name__
        for setting, (low, high) in self.limits.items():
            value = values[setting]
            if isinstance(value, (tuple, list)):
                for number, part in enumerate(value):
                    check_range(name, f"{setting}[{number}]", part, low, high)
            else:
                check_range(name, setting, value, low, high)

    def _check_parameter(self, p: Tensor) -> None:
        if not self.complex_too and p.dtype.kind == "c":
            raise ArgumentError(f"[{type(self).__name__}] expected real parameters, got dtype {p.dtype}")


_RATE = {"lr": (0.0, None), "weight_decay": (0.0, None)}
_ADAM = {**_RATE, "eps": (0.0, None), "betas": (0.0, 1.0)}


class SGD(_Checked):
    """Stochastic gradient descent with momentum (Sutskever et al. 2013).

    Args:
        params: tensors, (name, tensor) pairs or group dictionaries.
        lr: learning rate.
        momentum: share of the last step's direction that is kept.
        dampening: how much less than 1 a new gradient counts in the direction.
        weight_decay: times the parameter, added to its gradient.
        nesterov: look ahead along the direction; needs momentum and no dampening.
        maximize: climb instead of descend.
        differentiable: put the steps on the tape. Parameters must then be results of recorded ops (`+p`) that
            retain their gradients, and those be made with create_graph=True; `lr` and other settings may be 0-d tensors that
            require a gradient.
        foreach, fused: accepted for PyTorch's sake; all parameters are updated by one fused op anyway.
    """

    update = updates.sgd_update
    fixed = {"decoupled_weight_decay": False}  # noqa: RUF012
    limits = {**_RATE, "momentum": (0.0, None)}  # noqa: RUF012

    def __init__(
        self, params: Any, lr: Rate = 1e-3, momentum: float = 0.0, dampening: float = 0.0, weight_decay: Rate = 0.0,
        nesterov: bool = False, *, maximize: bool = False, foreach: bool | None = None, differentiable: bool = False,
        fused: bool | None = None,
    ):  # fmt: skip
        super().__init__(params, _given(locals()))

    def _check(self, values: dict[str, Any]) -> None:
        super()._check(values)
        if values["nesterov"] and (values["momentum"] <= 0 or values["dampening"] != 0):
            raise ValueRangeError("[SGD] expected momentum > 0 and dampening 0 with nesterov")


class Adam(_Checked):
    """Adam (Kingma, Ba 2014); with `amsgrad` after Reddi et al. 2018.

    Args:
        params: tensors, (name, tensor) pairs or group dictionaries.
        lr: learning rate.
        betas: decay rates of the averages of the gradient and of its square.
        eps: added to the denominator.
        weight_decay: times the parameter, added to its gradient.
        amsgrad: divide by the largest average of squares so far.
        maximize: climb instead of descend.
        decoupled_weight_decay: the decay acts on the parameter and not its gradient, as in AdamW.
        foreach, capturable, differentiable, fused: see SGD.
    """

    update = updates.adam_update
    limits = _ADAM

    def __init__(
        self, params: Any, lr: Rate = 1e-3, betas: tuple[Rate, Rate] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0.0, amsgrad: bool = False, *, foreach: bool | None = None, maximize: bool = False,
        capturable: bool = False, differentiable: bool = False, fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ):  # fmt: skip
        super().__init__(params, _given(locals()))


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov, Hutter 2017): the decay acts on the parameter, not its gradient.

    Arguments as Adam's; `weight_decay` is 0.01 by default.
    """

    def __init__(
        self, params: Any, lr: Rate = 1e-3, betas: tuple[Rate, Rate] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 1e-2, amsgrad: bool = False, *, maximize: bool = False, foreach: bool | None = None,
        capturable: bool = False, differentiable: bool = False, fused: bool | None = None,
    ):  # fmt: skip
        super().__init__(
            **{k: v for k, v in locals().items() if k not in ("self", "__class__")}, decoupled_weight_decay=True
        )


class SparseAdam(_Checked):
    """Adam that leaves alone what has no gradient: rows (along the first axis) of a gradient that are zero throughout.

    That is for embeddings: moments of rows that don't occur in a batch do not decay. Gradients here are dense; a row that
    PyTorch would not store is one of zeros. Arguments as Adam's.
    """

    update = updates.sparse_adam_update
    fixed = {"amsgrad": False}  # noqa: RUF012
    limits = {key: _ADAM[key] for key in ("lr", "eps", "betas")}  # noqa: RUF012
    complex_too = False

    def __init__(
        self, params: Any, lr: Rate = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
        maximize: bool = False,
    ):  # fmt: skip
        super().__init__(params, _given(locals()))

    def _check(self, values: dict[str, Any]) -> None:
        super()._check(values)
        for key in ("lr", "eps"):
            if not values[key] > 0:
                raise ValueRangeError(f"[SparseAdam] expected {key} > 0, got {values[key]}")


class Adamax(_Checked):
    """Adamax: Adam that divides by a decaying maximum of the gradient's size (Kingma, Ba 2014). Arguments as Adam's."""

    update = updates.adamax_update
    fixed = {"decoupled_weight_decay": False}  # noqa: RUF012
    limits = _ADAM

    def __init__(
        self, params: Any, lr: Rate = 2e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0.0, foreach: bool | None = None, *, maximize: bool = False, differentiable: bool = False,
        capturable: bool = False,
    ):  # fmt: skip
        super().__init__(params, _given(locals()))


class NAdam(_Checked):
    """Adam with Nesterov's momentum (Dozat 2016).

    Args beyond Adam's:
        momentum_decay: how fast the momentum approaches betas[0].
    """

    update = updates.nadam_update
    limits = {**_ADAM, "momentum_decay": (0.0, None)}  # noqa: RUF012

    def __init__(
        self, params: Any, lr: Rate = 2e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0.0, momentum_decay: float = 4e-3, decoupled_weight_decay: bool = False, *,
        foreach: bool | None = None, maximize: bool = False, capturable: bool = False, differentiable: bool = False,
    ):  # fmt: skip
        super().__init__(params, _given(locals()))

    def _new_counters(self, group: ParameterGroup, device: Any) -> dict[str, Tensor]:
        return {**super()._new_counters(group, device), "mu_product": asarray(1.0, dtype="float32", device=device)}


class RAdam(_Checked):
    """Rectified Adam: plain momentum until the average of squares is long enough (Liu et al. 2019). Arguments as Adam's."""

    update = updates.radam_update
    limits = _ADAM

    def __init__(
        self, params: Any, lr: Rate = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0.0, decoupled_weight_decay: bool = False, *, foreach: bool | None = None,
        maximize: bool = False, capturable: bool = False, differentiable: bool = False,
    ):  # fmt: skip
        super().__init__(params, _given(locals()))


class Adagrad(_Checked):
    """Adagrad: divide by the root of the sum of all squares so far (Duchi, Hazan, Singer 2011).

    Args beyond SGD's:
        lr_decay: the rate of step t is lr / (1 + (t - 1) * lr_decay).
        initial_accumulator_value: where the sums begin.
        eps: added to the denominator.
    """

    update = updates.adagrad_update
    fixed = {"decoupled_weight_decay": False}  # noqa: RUF012
    limits = {**_RATE, "lr_decay": (0.0, None), "initial_accumulator_value": (0.0, None), "eps": (0.0, None)}  # noqa: RUF012

    def __init__(
        self, params: Any, lr: Rate = 1e-2, lr_decay: float = 0.0, weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0, eps: float = 1e-10, foreach: bool | None = None, *,
        maximize: bool = False, differentiable: bool = False, fused: bool | None = None,
    ):  # fmt: skip
        super().__init__(params, _given(locals()))

    def _new_state(self, group: ParameterGroup, p: Tensor, key: str) -> Tensor:
        return _filled(p, group["initial_accumulator_value"])


class Adadelta(_Checked):
    """Adadelta: steps in proportion to earlier steps (Zeiler 2012).

    Args beyond SGD's:
        rho: decay rate of the averages of squared gradients and squared steps.
        eps: added under both roots.
    """

    update = updates.adadelta_update
    fixed = {"decoupled_weight_decay": False}  # noqa: RUF012
    limits = {**_RATE, "eps": (0.0, None)}  # noqa: RUF012

    def __init__(
        self, params: Any, lr: Rate = 1.0, rho: float = 0.9, eps: float = 1e-6, weight_decay: float = 0.0,
        foreach: bool | None = None, *, capturable: bool = False, maximize: bool = False, differentiable: bool = False,
    ):  # fmt: skip
        super().__init__(params, _given(locals()))

    def _check(self, values: dict[str, Any]) -> None:
        super()._check(values)
        if not 0.0 <= values["rho"] <= 1.0:
            raise ValueRangeError(f"[Adadelta] expected rho in [0, 1], got {values['rho']}")


class RMSprop(_Checked):
    """RMSprop: divide by the root of a decaying average of squares (Tieleman, Hinton 2012).

    Args beyond SGD's:
        alpha: decay rate of the average.
        eps: added to the denominator.
        centered: subtract the square of the average gradient, so that the divisor is a deviation (Graves 2013).
    """

    update = updates.rmsprop_update
    fixed = {"decoupled_weight_decay": False}  # noqa: RUF012
    limits = {**_RATE, "momentum": (0.0, None), "alpha": (0.0, None), "eps": (0.0, None)}  # noqa: RUF012

    def __init__(
        self, params: Any, lr: Rate = 1e-2, alpha: float = 0.99, eps: float = 1e-8, weight_decay: float = 0.0,
        momentum: float = 0.0, centered: bool = False, capturable: bool = False, foreach: bool | None = None,
        maximize: bool = False, differentiable: bool = False,
    ):  # fmt: skip
        super().__init__(params, _given(locals()))


class Rprop(_Checked):
    """Resilient propagation: only the signs of (full-batch) gradients count (Riedmiller, Braun 1993).

    Args:
        lr: the first size of each element's step.
        etas: factors of a step size when the sign has turned, and when it has not.
        step_sizes: smallest and largest step.
        maximize: climb instead of descend.
    """

    update = updates.rprop_update
    limits = {"lr": (0.0, None)}  # noqa: RUF012

    def __init__(
        self, params: Any, lr: Rate = 1e-2, etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50), *, capturable: bool = False, foreach: bool | None = None,
        maximize: bool = False, differentiable: bool = False,
    ):  # fmt: skip
        super().__init__(params, _given(locals()))

    def _check(self, values: dict[str, Any]) -> None:
        super()._check(values)
        low, high = values["etas"]
        if not 0.0 < low < 1.0 < high:
            raise ValueRangeError(f"[Rprop] expected etas with 0 < etas[0] < 1 < etas[1], got {values['etas']}")

    def _new_state(self, group: ParameterGroup, p: Tensor, key: str) -> Tensor:
        return _filled(p, group["lr"] if key == "step_size" else 0.0)


class ASGD(_Checked):
    """Stochastic gradient descent whose average over time is in the state as "ax" (Polyak, Juditsky 1992).

    Args beyond SGD's:
        lambd: decay of the parameters.
        alpha: power with which the rate falls: lr / (1 + lambd * lr * t) ** alpha.
        t0: after how many steps the average begins.
    """

    update = updates.asgd_update
    fixed = {"decoupled_weight_decay": False}  # noqa: RUF012

    def __init__(
        self, params: Any, lr: Rate = 1e-2, lambd: float = 1e-4, alpha: float = 0.75, t0: float = 1e6,
        weight_decay: float = 0.0, foreach: bool | None = None, maximize: bool = False, differentiable: bool = False,
        capturable: bool = False,
    ):  # fmt: skip
        super().__init__(params, _given(locals()))

    def _new_counters(self, group: ParameterGroup, device: Any) -> dict[str, Tensor]:
        numbers = {"eta": group["lr"], "mu": 1.0}
        return {
            **super()._new_counters(group, device),
            **{key: asarray(v, dtype="float32", device=device) for key, v in numbers.items()},
        }


class Adafactor(_Checked):
    """Adafactor: of a matrix of squared gradients only the means of rows and columns are kept (Shazeer, Stern 2018).

    Args:
        lr: the relative rate is at most this, and 1 / sqrt(t).
        beta2_decay: the newest squares count t ** beta2_decay.
        eps: lower limits of squared gradients (None: the spacing of the parameter's dtype at 1) and of a parameter's
            root mean square.
        d: largest root mean square of a step before it is scaled.
        weight_decay: decoupled, as AdamW's.
        maximize: climb instead of descend.
    """

    update = updates.adafactor_update
    limits = {**_RATE, "d": (1.0, None)}  # noqa: RUF012
    complex_too = False

    def __init__(
        self, params: Any, lr: Rate = 1e-2, beta2_decay: float = -0.8, eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0, weight_decay: float = 0.0, *, foreach: bool | None = None, maximize: bool = False,
    ):  # fmt: skip
        super().__init__(params, _given(locals()))

    def _check(self, values: dict[str, Any]) -> None:
        super()._check(values)
        if not values["beta2_decay"] <= 0:
            raise ValueRangeError(f"[Adafactor] expected beta2_decay <= 0, got {values['beta2_decay']}")
        first, second = values["eps"]
        for number, part in enumerate((0.0 if first is None else first, second)):
            check_range("Adafactor", f"eps[{number}]", part)

    def _new_state(self, group: ParameterGroup, p: Tensor, key: str) -> Tensor:
        return zeros(updates.adafactor_shape(key, tuple(p.shape)), dtype=p.dtype, device=p.device)


class Muon(_Checked):
    """Muon, for weight matrices: momentum made about orthogonal (Jordan et al. 2024).

    Args:
        lr: learning rate.
        weight_decay: decoupled, as AdamW's.
        momentum: decay rate of the average gradient.
        nesterov: look ahead along it.
        ns_coefficients: a, b, c of the polynomial a x + b x^3 + c x^5 that is iterated on the singular values.
        eps: lower limit of the norm by which the matrix is divided first.
        ns_steps: how often.
        adjust_lr_fn: "original" (None): times sqrt(max(1, rows / columns)); "match_rms_adamw": times
            0.2 * sqrt(max(rows, columns)) (Liu et al. 2025).
    """

    update = updates.muon_update
    fixed = {"decoupled_weight_decay": True, "maximize": False}  # noqa: RUF012
    unsaved = ("step",)
    limits = {**_RATE, "momentum": (0.0, None)}  # noqa: RUF012
    complex_too = False

    def __init__(
        self, params: Any, lr: Rate = 1e-3, weight_decay: float = 0.1, momentum: float = 0.95, nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.775, 2.0315), eps: float = 1e-7, ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ):  # fmt: skip
        super().__init__(params, _given(locals()))

    def _check(self, values: dict[str, Any]) -> None:
        super()._check(values)
        if values["adjust_lr_fn"] not in (None, "original", "match_rms_adamw"):
            raise ArgumentError(
                f"[Muon] expected adjust_lr_fn 'original' or 'match_rms_adamw', got {values['adjust_lr_fn']!r}"
            )
        if len(values["ns_coefficients"]) != 3 or not 0 <= values["ns_steps"] < 100:
            raise ValueRangeError(
                f"[Muon] expected three ns_coefficients and ns_steps below 100, got {values['ns_coefficients']} and "
                f"{values['ns_steps']}"
            )

    def _check_parameter(self, p: Tensor) -> None:
        super()._check_parameter(p)
        if p.ndim != 2:
            raise ShapeError(f"[Muon] expected matrices as parameters, got one of shape {tuple(p.shape)}")


def _filled(p: Tensor, value: float) -> Tensor:
    """Like p, every element (and of complex ones both parts) that number."""
    number = complex(value, value) if p.dtype.kind == "c" else value
    return full(tuple(p.shape), number, dtype=p.dtype, device=p.device)
