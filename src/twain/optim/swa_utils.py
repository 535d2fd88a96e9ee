"""Averages of weights over training: stochastic weight averaging (SWA) and exponential moving averages (EMA)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from typing import Any

from .. import _core
from ..base.errors import ArgumentError, ValueRangeError
from ..nn import Module
from ..nn.norms import _BatchNorm
from ..tensor import no_grad, where, zeros
from .lr_scheduler import LRScheduler, _each
from .optimizer import Optimizer

Tensor = _core.Tensor


def get_ema_avg_fn(decay: float = 0.999) -> Callable[[Tensor, Tensor, Any], Tensor]:
    """(average, value, number) -> decay * average + (1 - decay) * value."""
    _check_decay("get_ema_avg_fn", decay)
    return lambda average, value, number: decay * average + (1 - decay) * value


def get_swa_avg_fn() -> Callable[[Tensor, Tensor, Any], Tensor]:
    """(average, value, number) -> the mean of number + 1 values."""
    return lambda average, value, number: average + (value - average) / (number + 1)


def get_ema_multi_avg_fn(decay: float = 0.999) -> Callable[[Sequence[Tensor], Sequence[Tensor], Any], None]:
    """As `get_ema_avg_fn`, for lists of tensors, the averages changed in place."""
    _check_decay("get_ema_multi_avg_fn", decay)
    return _all_of(get_ema_avg_fn(decay))


def get_swa_multi_avg_fn() -> Callable[[Sequence[Tensor], Sequence[Tensor], Any], None]:
    """As `get_swa_avg_fn`, for lists of tensors, the averages changed in place."""
    return _all_of(get_swa_avg_fn())


def _check_decay(name: str, decay: float) -> None:
    if not 0.0 <= decay <= 1.0:
        raise ValueRangeError(f"[{name}] expected decay in [0, 1], got {decay}")


def _all_of(function: Callable) -> Callable:
    def update(averages: Sequence[Tensor], values: Sequence[Tensor], number: Any) -> None:
        with no_grad():
            for average, value in zip(averages, values, strict=True):
                average.assign(function(average, value, number).astype(average.dtype))

    return update


class AveragedModel(Module):
    """A copy of a model whose parameters are averages over training (Izmailov et al. 2018; Polyak, Juditsky 1992).

    `update_parameters(model)` after an optimizer step takes the model's present parameters into the averages: the first
    time it copies them. It may be part of a compiled step.

    Args:
        model: what is averaged.
        device: of the averages.
        avg_fn: (average, value, number averaged before) -> new average; the mean by default.
        multi_avg_fn: the same for lists, in place; one of the two.
        use_buffers: average buffers too; otherwise they are copied.
    """

    n_averaged: Tensor

    def __init__(
        self, model: Module, device: Any = None, avg_fn: Callable | None = None, multi_avg_fn: Callable | None = None,
        use_buffers: bool = False,
    ):  # fmt: skip
        if not isinstance(model, Module):
            raise ArgumentError(f"[AveragedModel] expected a module, got {type(model).__name__}")
        if avg_fn is not None and multi_avg_fn is not None:
            raise ArgumentError("[AveragedModel] expected avg_fn or multi_avg_fn, got both")
        self.module = deepcopy(model)
        if device is not None:
            self.module = self.module.to(device=device)
        self.register_buffer("n_averaged", zeros((), dtype="int64", device=device))
        self.avg_fn = avg_fn
        self.multi_avg_fn = multi_avg_fn
        self.use_buffers = use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)

    def update_parameters(self, model: Module) -> None:
        """Take the present parameters of `model` into the averages."""
        averages, values = list(self.module.parameters()), list(model.parameters())
        buffers = list(zip(self.module.buffers(), model.buffers(), strict=True))
        if self.use_buffers:
            averages += [mine for mine, _ in buffers]
            values += [theirs for _, theirs in buffers]
        if len(averages) != len(values) or any(a.shape != v.shape for a, v in zip(averages, values, strict=True)):
            raise ArgumentError("[AveragedModel.update_parameters] expected a model like the averaged one, got another")
        update = self.multi_avg_fn or _all_of(self.avg_fn or get_swa_avg_fn())
        with no_grad():
            values = [v.detach().to(a.device) for a, v in zip(averages, values, strict=True)]
            update(averages, values, self.n_averaged)
            # The first time a copy, without a branch on the number.
            first = self.n_averaged == 0
            for average, value in zip(averages, values, strict=True):
                average.assign(where(first.to(average.device), value.astype(average.dtype), average))
            if not self.use_buffers:
                for mine, theirs in buffers:
                    mine.assign(theirs.detach().to(mine.device))
            self.n_averaged += 1


def update_bn(loader: Iterable[Any], model: Module, device: Any = None) -> None:
    """One pass over `loader` that sets the running statistics of all batch norms in `model` to the data's.

    Args:
        loader: batches, or tuples and lists whose first element is a batch.
        model: called in training mode, without gradients.
        device: where batches are moved.
    """
    layers: list[Any] = [m for m in model.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    if not layers:
        return
    momenta = [m.momentum for m in layers]
    training = model.training
    with no_grad():
        for layer in layers:
            layer.running_mean.assign(layer.running_mean * 0)
            layer.running_var.assign(layer.running_var * 0 + 1)
            layer.num_batches_tracked.assign(layer.num_batches_tracked * 0)
            layer.momentum = None
        model.train()
        try:
            for batch in loader:
                x = batch[0] if isinstance(batch, (list, tuple)) else batch
                model(x if device is None else x.to(device))
        finally:
            for layer, momentum in zip(layers, momenta, strict=True):
                layer.momentum = momentum
            model.train(training)


class SWALR(LRScheduler):
    """From each group's rate to `swa_lr` in `anneal_epochs` epochs, then constant; arguments are PyTorch's."""

    def __init__(
        self, optimizer: Optimizer, swa_lr: float | Sequence[float], anneal_epochs: int = 10,
        anneal_strategy: str = "cos", last_epoch: int = -1,
    ):  # fmt: skip
        if anneal_strategy not in ("cos", "linear"):
            raise ArgumentError(f"[SWALR] expected anneal_strategy 'cos' or 'linear', got {anneal_strategy!r}")
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueRangeError(f"[SWALR] expected anneal_epochs to be an int of at least 0, got {anneal_epochs!r}")
        self.swa_lrs = _each("SWALR", "swa_lr", swa_lr, optimizer.param_groups)
        self.anneal_epochs = anneal_epochs
        self.anneal_strategy = anneal_strategy
        super().__init__(optimizer, last_epoch)

    def _share(self, epoch: float) -> float:
        t = max(0.0, min(1.0, epoch / max(1, self.anneal_epochs)))
        return (1 - math.cos(math.pi * t)) / 2 if self.anneal_strategy == "cos" else t

    def get_lr(self) -> list[float]:
        step = max(1, self.last_epoch) if self.anneal_epochs == 0 else self.last_epoch
        before, now = self._share(step - 1), self._share(step)
        rates = []
        for rate, goal in zip(self._present(), self.swa_lrs, strict=True):
            begin = goal if before == 1 else (rate - before * goal) / (1 - before)
            rates.append(goal * now + begin * (1 - now))
        return rates
