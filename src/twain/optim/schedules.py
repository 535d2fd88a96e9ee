"""Learning-rate schedules: objects whose `step()` sets the rates of an optimizer's groups. Values are PyTorch's."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from ..base.errors import ArgumentError, ValueRangeError
from .optimizer import Optimizer


class LRScheduler:
    """Base class: a subclass defines `rates()`, the learning rate of each group at `last_epoch`.

    Each rate follows from the group's present rate where PyTorch's does, so that schedules can be combined.
    """

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1):
        if not isinstance(optimizer, Optimizer):
            raise ArgumentError(f"[{type(self).__name__}] expected an optimizer, got {type(optimizer).__name__}")
        self.optimizer = optimizer
        for group in optimizer.param_groups:
            if "initial_lr" not in group.settings:
                if last_epoch != -1:
                    raise ArgumentError(
                        f"[{type(self).__name__}] expected groups with 'initial_lr' where last_epoch is given, got none"
                    )
                group.settings["initial_lr"] = group["lr"]
        self.base_lrs = [group["initial_lr"] for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self.step()

    def rates(self) -> list[float]:
        """The learning rates at `self.last_epoch`."""
        raise NotImplementedError

    def step(self) -> None:
        """Go on to the next epoch (or batch, if called per batch)."""
        self.last_epoch += 1
        self._apply(self.rates())

    def _apply(self, rates: Sequence[float]) -> None:
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate

    def _present(self) -> list[float]:
        return [group["lr"] for group in self.optimizer.param_groups]

    def get_last_lr(self) -> list[float]:
        """The rates that are set now."""
        return self._present()

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer; plain values."""
        return {key: value for key, value in self.__dict__.items() if key != "optimizer" and not callable(value)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""
        self.__dict__.update(state)


class LambdaLR(LRScheduler):
    """The initial rate times lr_lambda(epoch)."""

    def __init__(self, optimizer: Optimizer, lr_lambda: Callable[[int], float], last_epoch: int = -1):
        self.lr_lambda = lr_lambda
        super().__init__(optimizer, last_epoch)

    def rates(self) -> list[float]:
        return [base * self.lr_lambda(self.last_epoch) for base in self.base_lrs]


class ConstantLR(LRScheduler):
    """The rate times `factor` during the first `total_iters` epochs."""

    def __init__(self, optimizer: Optimizer, factor: float = 1.0 / 3, total_iters: int = 5, last_epoch: int = -1):
        self.factor = factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def rates(self) -> list[float]:
        if self.last_epoch == 0:
            return [rate * self.factor for rate in self._present()]
        if self.last_epoch == self.total_iters:
            return [rate / self.factor for rate in self._present()]
        return self._present()


class StepLR(LRScheduler):
    """The rate times `gamma` every `step_size` epochs."""

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1):
        _check_count("StepLR", "step_size", step_size)
        self.step_size = step_size
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def rates(self) -> list[float]:
        due = self.last_epoch > 0 and self.last_epoch % self.step_size == 0
        return [rate * self.gamma if due else rate for rate in self._present()]


class MultiStepLR(LRScheduler):
    """The rate times `gamma` at each epoch of `milestones`."""

    def __init__(self, optimizer: Optimizer, milestones: Sequence[int], gamma: float = 0.1, last_epoch: int = -1):
        self.milestones = sorted(milestones)
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def rates(self) -> list[float]:
        times = Counter(self.milestones)[self.last_epoch] if self.last_epoch > 0 else 0
        return [rate * self.gamma**times for rate in self._present()]


class ExponentialLR(LRScheduler):
    """The rate times `gamma` every epoch."""

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1):
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def rates(self) -> list[float]:
        return [rate * self.gamma if self.last_epoch > 0 else rate for rate in self._present()]


class LinearLR(LRScheduler):
    """The rate times a factor that goes linearly from `start_factor` to `end_factor` over `total_iters` epochs."""

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1.0 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ):
        if not 0.0 < start_factor <= 1.0:
            raise ValueRangeError(f"[LinearLR] expected start_factor in (0, 1], got {start_factor}")
        if not 0.0 <= end_factor <= 1.0:
            raise ValueRangeError(f"[LinearLR] expected end_factor in [0, 1], got {end_factor}")
        self.start_factor = start_factor
        self.end_factor = end_factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def rates(self) -> list[float]:
        present = self._present()
        if self.last_epoch == 0:
            return [rate * self.start_factor for rate in present]
        if self.last_epoch > self.total_iters:
            return present
        gain = self.end_factor - self.start_factor
        ratio = 1.0 + gain / (self.total_iters * self.start_factor + (self.last_epoch - 1) * gain)
        return [rate * ratio for rate in present]


class CosineAnnealingLR(LRScheduler):
    """From the initial rate down to `eta_min` along half a cosine of `T_max` epochs (Loshchilov, Hutter 2016)."""

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1):
        _check_count("CosineAnnealingLR", "T_max", T_max)
        self.T_max = T_max
        self.eta_min = eta_min
        super().__init__(optimizer, last_epoch)

    def rates(self) -> list[float]:
        present, epoch = self._present(), self.last_epoch
        if epoch == 0:
            return present
        if (epoch - 1 - self.T_max) % (2 * self.T_max) == 0:
            jump = (1 - math.cos(math.pi / self.T_max)) / 2
            return [r + (base - self.eta_min) * jump for r, base in zip(present, self.base_lrs, strict=True)]
        ratio = (1 + math.cos(math.pi * epoch / self.T_max)) / (1 + math.cos(math.pi * (epoch - 1) / self.T_max))
        return [ratio * (rate - self.eta_min) + self.eta_min for rate in present]


class SequentialLR(LRScheduler):
    """Several schedules one after the other; schedule i + 1 takes over at epoch milestones[i]."""

    def __init__(self, optimizer: Optimizer, schedulers: Sequence[LRScheduler], milestones: Sequence[int]):
        if len(schedulers) != len(milestones) + 1:
            raise ArgumentError(
                f"[SequentialLR] expected one milestone between each two schedules, got {len(schedulers)} schedules "
                f"and {len(milestones)} milestones"
            )
        if any(s.optimizer is not optimizer for s in schedulers):
            raise ArgumentError("[SequentialLR] expected schedules of the given optimizer, got one of another")
        self.optimizer = optimizer
        self.schedulers = list(schedulers)
        self.milestones = list(milestones)
        self.last_epoch = 0
        # Each schedule took its first step when it was made; undo that and begin with the first alone.
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"]
        for schedule in self.schedulers:
            schedule.last_epoch -= 1
        self.schedulers[0].step()

    def step(self) -> None:
        self.last_epoch += 1
        number = bisect_right(self.milestones, self.last_epoch)
        schedule = self.schedulers[number]
        if number > 0 and self.milestones[number - 1] == self.last_epoch:
            # A schedule begins from the initial rates.
            for group, base in zip(self.optimizer.param_groups, schedule.base_lrs, strict=True):
                group["lr"] = base
            schedule.last_epoch = -1
        schedule.step()

    def state_dict(self) -> dict[str, Any]:
        return {
            "last_epoch": self.last_epoch,
            "milestones": self.milestones,
            "schedulers": [s.state_dict() for s in self.schedulers],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.last_epoch = state["last_epoch"]
        self.milestones = list(state["milestones"])
        for schedule, own in zip(self.schedulers, state["schedulers"], strict=True):
            schedule.load_state_dict(own)


class WarmUpLR(LRScheduler):
    """The rate rises linearly to its initial value over `warmup_steps` steps, then follows `after` (or stays).

    Args:
        warmup_steps: after how many steps the full rate is reached; step 0 has 1 / warmup_steps of it.
        after: makes the schedule that follows, from the optimizer: `lambda o: CosineAnnealingLR(o, T_max=100)`.
    """

    def __init__(
        self, optimizer: Optimizer, warmup_steps: int, after: Callable[[Optimizer], LRScheduler] | None = None
    ):
        _check_count("WarmUpLR", "warmup_steps", warmup_steps)
        self.warmup_steps = warmup_steps
        self.after = None if after is None else after(optimizer)
        super().__init__(optimizer)

    def rates(self) -> list[float]:
        share = min((self.last_epoch + 1) / self.warmup_steps, 1.0)
        return [base * share for base in self.base_lrs]

    def step(self) -> None:
        if self.after is None or self.last_epoch + 2 <= self.warmup_steps:
            super().step()
        else:
            self.last_epoch += 1
            self.after.step()

    def state_dict(self) -> dict[str, Any]:
        state = super().state_dict()
        return {**state, "after": None if self.after is None else self.after.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        state = dict(state)
        inner = state.pop("after")
        super().load_state_dict(state)
        if self.after is not None and inner is not None:
            self.after.load_state_dict(inner)


class OneCycleLR(LRScheduler):
    """One rise and fall of the rate, and of momentum the other way round, over a whole run (Smith, Topin 2017).

    `step()` after every batch. Arguments are PyTorch's.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | Sequence[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float = 0.85,
        max_momentum: float = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ):
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ArgumentError("[OneCycleLR] expected total_steps, or epochs and steps_per_epoch, got neither")
            total_steps = epochs * steps_per_epoch
        _check_count("OneCycleLR", "total_steps", total_steps)
        if not 0.0 <= pct_start <= 1.0:
            raise ValueRangeError(f"[OneCycleLR] expected pct_start in [0, 1], got {pct_start}")
        if anneal_strategy not in ("cos", "linear"):
            raise ArgumentError(f"[OneCycleLR] expected anneal_strategy 'cos' or 'linear', got {anneal_strategy!r}")
        groups = optimizer.param_groups
        self.total_steps = total_steps
        self.anneal_strategy = anneal_strategy
        self.cycle_momentum = cycle_momentum
        rise = pct_start * total_steps - 1
        if three_phase:
            # (last step, from, to) of rate and momentum
            self.phases = [(rise, "first", "top"), (2 * rise, "top", "first"), (total_steps - 1, "first", "last")]
        else:
            self.phases = [(rise, "first", "top"), (total_steps - 1, "top", "last")]
        tops = [float(max_lr)] * len(groups) if isinstance(max_lr, (int, float)) else [float(m) for m in max_lr]
        self.levels = [{"first": t / div_factor, "top": t, "last": t / div_factor / final_div_factor} for t in tops]
        self.momenta = {"first": max_momentum, "top": base_momentum, "last": max_momentum}
        if last_epoch == -1:
            for group, level in zip(groups, self.levels, strict=True):
                group["lr"] = level["first"]
                group.settings["initial_lr"] = level["first"]
        super().__init__(optimizer, last_epoch)

    def _between(self, begin: float, end: float, share: float) -> float:
        if self.anneal_strategy == "linear":
            return begin + (end - begin) * share
        return end + (begin - end) / 2.0 * (1 + math.cos(math.pi * share))

    def _at(self, levels: dict[str, float]) -> float:
        step, start = self.last_epoch, 0.0
        for number, (end, begin_level, end_level) in enumerate(self.phases):
            if step <= end or number == len(self.phases) - 1:
                return self._between(levels[begin_level], levels[end_level], (step - start) / (end - start))
            start = end
        raise AssertionError

    def rates(self) -> list[float]:
        if self.last_epoch >= self.total_steps:
            raise ValueRangeError(
                f"[OneCycleLR] expected at most total_steps={self.total_steps} steps, got {self.last_epoch + 1}"
            )
        if self.cycle_momentum:
            value = self._at(self.momenta)
            for group in self.optimizer.param_groups:
                if "beta1" in group.scalars:
                    group["beta1"] = value
                elif "momentum" in group.scalars:
                    group["momentum"] = value
        return [self._at(level) for level in self.levels]


class ReduceLROnPlateau:
    """The rate times `factor` when a value has not improved for more than `patience` epochs; `step(value)`."""

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | Sequence[float] = 0.0,
        eps: float = 1e-8,
    ):
        if mode not in ("min", "max") or threshold_mode not in ("rel", "abs"):
            raise ArgumentError(
                f"[ReduceLROnPlateau] expected mode 'min' or 'max' and threshold_mode 'rel' or 'abs', got {mode!r} and "
                f"{threshold_mode!r}"
            )
        if not factor < 1.0:
            raise ValueRangeError(f"[ReduceLROnPlateau] expected factor < 1, got {factor}")
        self.optimizer = optimizer
        self.mode = mode
        self.factor = factor
        self.patience = patience
        self.threshold = threshold
        self.threshold_mode = threshold_mode
        self.cooldown = cooldown
        count = len(optimizer.param_groups)
        self.min_lrs = list(min_lr) if isinstance(min_lr, (list, tuple)) else [min_lr] * count
        self.eps = eps
        self.best = math.inf if mode == "min" else -math.inf
        self.num_bad_epochs = 0
        self.cooldown_counter = 0
        self.last_epoch = 0

    def _better(self, value: float) -> bool:
        if self.threshold_mode == "rel":
            margin = 1.0 - self.threshold if self.mode == "min" else 1.0 + self.threshold
            limit = self.best * margin
        else:
            limit = self.best - self.threshold if self.mode == "min" else self.best + self.threshold
        return value < limit if self.mode == "min" else value > limit

    def step(self, metrics: Any) -> None:
        """Note the value of this epoch and lower the rates if it is time."""
        value = float(metrics)
        self.last_epoch += 1
        if self._better(value):
            self.best = value
            self.num_bad_epochs = 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            for group, lowest in zip(self.optimizer.param_groups, self.min_lrs, strict=True):
                rate = group["lr"]
                new = max(rate * self.factor, lowest)
                if rate - new > self.eps:
                    group["lr"] = new
            self.cooldown_counter = self.cooldown
            self.num_bad_epochs = 0

    def get_last_lr(self) -> list[float]:
        """The rates that are set now."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer; plain values."""
        return {key: value for key, value in self.__dict__.items() if key != "optimizer"}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""
        self.__dict__.update(state)


def _check_count(name: str, what: str, value: int) -> None:
    if not isinstance(value, int) or value < 1:
        raise ValueRangeError(f"[{name}] expected {what} to be an int of at least 1, got {value!r}")
