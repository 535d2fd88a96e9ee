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
    """Base class: a subclass defines `get_lr()`, the learning rate of each group at `last_epoch`.

    A subclass may also define `closed_form()`, the same rates from the initial ones alone: `step(epoch)` uses it to go
    to any epoch. Otherwise each rate follows from the group's present rate where PyTorch's does, so that schedules can
    be combined.
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

    def get_lr(self) -> list[float]:
        """The learning rates at `self.last_epoch`."""
        raise NotImplementedError

    def closed_form(self) -> list[float] | None:
        """The learning rates at `self.last_epoch` from the initial ones; None where there is no such formula."""
        return None

    def step(self, epoch: int | None = None) -> None:
        """Go on to the next epoch (or batch, if called per batch), or to the epoch given."""
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        rates = None if epoch is None else self.closed_form()
        self._apply(self.get_lr() if rates is None else rates)

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


class _OfFunctions(LRScheduler):
    """Schedules by a function of the epoch, one for all groups or a list of one each. State dicts hold no functions."""

    def __init__(self, optimizer: Optimizer, lr_lambda: Callable | Sequence[Callable], last_epoch: int = -1):
        count = len(optimizer.param_groups)
        self.lr_lambdas: list[Any] = list(lr_lambda) if isinstance(lr_lambda, (list, tuple)) else [lr_lambda] * count
        if len(self.lr_lambdas) != count:
            raise ArgumentError(
                f"[{type(self).__name__}] expected one function or {count}, one per group, got {len(self.lr_lambdas)}"
            )
        super().__init__(optimizer, last_epoch)

    def state_dict(self) -> dict[str, Any]:
        return {key: value for key, value in super().state_dict().items() if key != "lr_lambdas"}


class LambdaLR(_OfFunctions):
    """The initial rate times lr_lambda(epoch)."""

    def get_lr(self) -> list[float]:
        return [base * f(self.last_epoch) for base, f in zip(self.base_lrs, self.lr_lambdas, strict=True)]


class MultiplicativeLR(_OfFunctions):
    """The rate times lr_lambda(epoch) every epoch."""

    def get_lr(self) -> list[float]:
        if self.last_epoch == 0:
            return self._present()
        return [rate * f(self.last_epoch) for rate, f in zip(self._present(), self.lr_lambdas, strict=True)]


class ConstantLR(LRScheduler):
    """The rate times `factor` during the first `total_iters` epochs."""

    def __init__(self, optimizer: Optimizer, factor: float = 1.0 / 3, total_iters: int = 5, last_epoch: int = -1):
        self.factor = factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        if self.last_epoch == 0:
            return [rate * self.factor for rate in self._present()]
        if self.last_epoch == self.total_iters:
            return [rate / self.factor for rate in self._present()]
        return self._present()

    def closed_form(self) -> list[float]:
        factor = self.factor if self.last_epoch < self.total_iters else 1.0
        return [base * factor for base in self.base_lrs]


class StepLR(LRScheduler):
    """The rate times `gamma` every `step_size` epochs."""

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1):
        _check_count("StepLR", "step_size", step_size)
        self.step_size = step_size
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        due = self.last_epoch > 0 and self.last_epoch % self.step_size == 0
        return [rate * self.gamma if due else rate for rate in self._present()]

    def closed_form(self) -> list[float]:
        return [base * self.gamma ** (self.last_epoch // self.step_size) for base in self.base_lrs]


class MultiStepLR(LRScheduler):
    """The rate times `gamma` at each epoch of `milestones`."""

    def __init__(self, optimizer: Optimizer, milestones: Sequence[int], gamma: float = 0.1, last_epoch: int = -1):
        self.milestones = sorted(milestones)
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        times = Counter(self.milestones)[self.last_epoch] if self.last_epoch > 0 else 0
        return [rate * self.gamma**times for rate in self._present()]

    def closed_form(self) -> list[float]:
        return [base * self.gamma ** bisect_right(self.milestones, self.last_epoch) for base in self.base_lrs]


class ExponentialLR(LRScheduler):
    """The rate times `gamma` every epoch."""

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1):
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        return [rate * self.gamma if self.last_epoch > 0 else rate for rate in self._present()]

    def closed_form(self) -> list[float]:
        return [base * self.gamma**self.last_epoch for base in self.base_lrs]


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

    def get_lr(self) -> list[float]:
        present = self._present()
        if self.last_epoch == 0:
            return [rate * self.start_factor for rate in present]
        if self.last_epoch > self.total_iters:
            return present
        gain = self.end_factor - self.start_factor
        ratio = 1.0 + gain / (self.total_iters * self.start_factor + (self.last_epoch - 1) * gain)
        return [rate * ratio for rate in present]

    def closed_form(self) -> list[float]:
        share = min(self.total_iters, self.last_epoch) / self.total_iters
        factor = self.start_factor + (self.end_factor - self.start_factor) * share
        return [base * factor for base in self.base_lrs]


class CosineAnnealingLR(LRScheduler):
    """From the initial rate down to `eta_min` along half a cosine of `T_max` epochs (Loshchilov, Hutter 2016)."""

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1):
        _check_count("CosineAnnealingLR", "T_max", T_max)
        self.T_max = T_max
        self.eta_min = eta_min
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        present, epoch = self._present(), self.last_epoch
        if epoch == 0:
            return present
        if (epoch - 1 - self.T_max) % (2 * self.T_max) == 0:
            jump = (1 - math.cos(math.pi / self.T_max)) / 2
            return [r + (base - self.eta_min) * jump for r, base in zip(present, self.base_lrs, strict=True)]
        ratio = (1 + math.cos(math.pi * epoch / self.T_max)) / (1 + math.cos(math.pi * (epoch - 1) / self.T_max))
        return [ratio * (rate - self.eta_min) + self.eta_min for rate in present]

    def closed_form(self) -> list[float]:
        share = (1 + math.cos(math.pi * self.last_epoch / self.T_max)) / 2
        return [self.eta_min + (base - self.eta_min) * share for base in self.base_lrs]


class PolynomialLR(LRScheduler):
    """From the initial rate to 0 in `total_iters` epochs, along (1 - epoch / total_iters) ** power."""

    def __init__(self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1):
        _check_count("PolynomialLR", "total_iters", total_iters)
        self.total_iters = total_iters
        self.power = power
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        epoch, total = self.last_epoch, self.total_iters
        if epoch == 0 or epoch > total:
            return self._present()
        factor = ((1.0 - epoch / total) / (1.0 - (epoch - 1) / total)) ** self.power
        return [rate * factor for rate in self._present()]

    def closed_form(self) -> list[float]:
        share = min(self.total_iters, self.last_epoch) / self.total_iters
        return [base * (1.0 - share) ** self.power for base in self.base_lrs]


class CosineAnnealingWarmRestarts(LRScheduler):
    """Half cosines from the initial rate to `eta_min`, of T_0, T_0 * T_mult, ... epochs (Loshchilov, Hutter 2016).

    `step(epoch)` takes fractions of an epoch as well.
    """

    def __init__(
        self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0, last_epoch: int = -1
    ):  # fmt: skip
        _check_count("CosineAnnealingWarmRestarts", "T_0", T_0)
        _check_count("CosineAnnealingWarmRestarts", "T_mult", T_mult)
        self.T_0 = T_0
        self.T_mult = T_mult
        self.T_i = T_0
        self.T_cur: float = last_epoch
        self.eta_min = eta_min
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        share = (1 + math.cos(math.pi * self.T_cur / self.T_i)) / 2
        return [self.eta_min + (base - self.eta_min) * share for base in self.base_lrs]

    def step(self, epoch: float | None = None) -> None:
        if epoch is None and self.last_epoch < 0:
            epoch = 0
        if epoch is None:
            epoch = self.last_epoch + 1
            self.T_cur += 1
            if self.T_cur >= self.T_i:
                self.T_cur -= self.T_i
                self.T_i *= self.T_mult
        elif epoch < 0:
            raise ValueRangeError(f"[CosineAnnealingWarmRestarts.step] expected an epoch >= 0, got {epoch}")
        else:
            self.T_cur, self.T_i = epoch, self.T_0
            while self.T_cur >= self.T_i:
                self.T_cur -= self.T_i
                self.T_i *= self.T_mult
        self.last_epoch = math.floor(epoch)
        self._apply(self.get_lr())


class CyclicLR(LRScheduler):
    """Up and down between two rates, and momentum the other way round (Smith 2017). `step()` after every batch.

    Args:
        base_lr, max_lr: the limits, for all groups or one each.
        step_size_up, step_size_down: steps of the rise, and of the fall (None: as many).
        mode: "triangular"; "triangular2": each cycle half as high; "exp_range": times gamma ** step.
        scale_fn, scale_mode: in place of a mode, a factor of the height, a function of the "cycle" (from 1) or of
            "iterations".
        cycle_momentum, base_momentum, max_momentum: whether momentum (or beta1) goes between these limits.
    """

    def __init__(
        self, optimizer: Optimizer, base_lr: float | Sequence[float], max_lr: float | Sequence[float],
        step_size_up: int = 2000, step_size_down: int | None = None, mode: str = "triangular", gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None, scale_mode: str = "cycle", cycle_momentum: bool = True,
        base_momentum: float | Sequence[float] = 0.8, max_momentum: float | Sequence[float] = 0.9, last_epoch: int = -1,
    ):  # fmt: skip
        if scale_fn is None and mode not in ("triangular", "triangular2", "exp_range"):
            raise ArgumentError(
                f"[CyclicLR] expected mode 'triangular', 'triangular2' or 'exp_range', or scale_fn, got {mode!r}"
            )
        groups = optimizer.param_groups
        if cycle_momentum and any("beta1" not in g.scalars and "momentum" not in g.scalars for g in groups):
            raise ArgumentError("[CyclicLR] expected an optimizer with momentum or betas where cycle_momentum is on")
        down = step_size_up if step_size_down is None else step_size_down
        self.total_size = float(step_size_up + down)
        self.step_ratio = step_size_up / self.total_size
        self.mode, self.gamma, self.scale_fn = mode, gamma, scale_fn
        self.scale_mode = scale_mode if scale_fn is not None else "iterations" if mode == "exp_range" else "cycle"
        self.cycle_momentum = cycle_momentum
        lows, self.max_lrs = _each("CyclicLR", "base_lr", base_lr, groups), _each("CyclicLR", "max_lr", max_lr, groups)
        self.base_momentums = _each("CyclicLR", "base_momentum", base_momentum, groups)
        self.max_momentums = _each("CyclicLR", "max_momentum", max_momentum, groups)
        if last_epoch == -1:
            for group, low in zip(groups, lows, strict=True):
                group["lr"] = low
        super().__init__(optimizer, last_epoch)
        self.base_lrs = lows

    def _factor(self, x: float) -> float:
        if self.scale_fn is not None:
            return self.scale_fn(x)
        return {"triangular": 1.0, "triangular2": 1 / 2.0 ** (x - 1), "exp_range": self.gamma**x}[self.mode]

    def get_lr(self) -> list[float]:
        cycle = math.floor(1 + self.last_epoch / self.total_size)
        x = 1.0 + self.last_epoch / self.total_size - cycle
        height = x / self.step_ratio if x <= self.step_ratio else (x - 1) / (self.step_ratio - 1)
        height *= self._factor(cycle if self.scale_mode == "cycle" else self.last_epoch)
        if self.cycle_momentum:
            limits = zip(self.optimizer.param_groups, self.base_momentums, self.max_momentums, strict=True)
            for group, low, high in limits:
                group["beta1" if "beta1" in group.scalars else "momentum"] = high - (high - low) * height
        return [low + (high - low) * height for low, high in zip(self.base_lrs, self.max_lrs, strict=True)]


class ChainedScheduler:
    """Several schedules of one optimizer at once: each changes the rate that the one before has left."""

    def __init__(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None):
        if not schedulers:
            raise ArgumentError("[ChainedScheduler] expected at least one schedule, got none")
        self.optimizer = schedulers[0].optimizer if optimizer is None else optimizer
        if any(s.optimizer is not self.optimizer for s in schedulers):
            raise ArgumentError("[ChainedScheduler] expected schedules of one optimizer, got one of another")
        self._schedulers = list(schedulers)

    def step(self) -> None:
        """All schedules' next epoch."""
        for schedule in self._schedulers:
            schedule.step()

    def get_last_lr(self) -> list[float]:
        """The rates that are set now."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """The schedules' state dictionaries."""
        return {"_schedulers": [s.state_dict() for s in self._schedulers]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""
        for schedule, own in zip(self._schedulers, state["_schedulers"], strict=True):
            schedule.load_state_dict(own)


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

    def step(self) -> None:  # type: ignore[override]
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

    def get_lr(self) -> list[float]:
        share = min((self.last_epoch + 1) / self.warmup_steps, 1.0)
        return [base * share for base in self.base_lrs]

    def step(self) -> None:  # type: ignore[override]
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
        step, start = min(self.last_epoch, self.total_steps - 1), 0.0
        for number, (end, begin_level, end_level) in enumerate(self.phases):
            if step <= end or number == len(self.phases) - 1:
                return self._between(levels[begin_level], levels[end_level], (step - start) / (end - start))
            start = end
        raise AssertionError

    def get_lr(self) -> list[float]:
        # The call after the last batch of a loop of total_steps is no mistake; nothing is left to anneal then.
        if self.last_epoch > self.total_steps:
            raise ValueRangeError(
                f"[OneCycleLR] expected at most total_steps={self.total_steps} steps, got {self.last_epoch}"
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


def _each(name: str, what: str, value: float | Sequence[float], groups: Sequence[Any]) -> list[float]:
    """One number per group, from one for all or a list."""
    if isinstance(value, (list, tuple)):
        if len(value) != len(groups):
            raise ArgumentError(f"[{name}] expected {what} to be one number or {len(groups)}, got {len(value)}")
        return [float(v) for v in value]
    return [float(value)] * len(groups)  # type: ignore[arg-type]
