"""Loss scaling: gradients that float16 would round to zero are computed larger, and made smaller before the step."""

from __future__ import annotations

from typing import Any

from .. import _core
from ..base.errors import ArgumentError, ValueRangeError
from ..ops.nn.clipping import unscaled
from ..tensor import asarray, isfinite, logical_or, no_grad, where
from .optimizer import Optimizer, _number

Tensor = _core.Tensor


class GradScaler:
    """Dynamic loss scaling (Micikevicius et al. 2018), with PyTorch's methods, defaults and state.

    >>> scaler.scale(loss).backward()
    >>> scaler.step(optimizer)  # gradients are unscaled; left out where one is not finite
    >>> scaler.update()

    All of it may be part of a compiled step: whether a step is left out is decided there, without a branch.

    Args:
        device: of the scale.
        init_scale: the first factor.
        growth_factor: times this after `growth_interval` steps in a row with finite gradients.
        backoff_factor: times this after a step that was left out.
        growth_interval: see growth_factor.
        enabled: False: losses and gradients stay as they are.
    """

    def __init__(
        self, device: Any = None, init_scale: float = 2.0**16, growth_factor: float = 2.0, backoff_factor: float = 0.5,
        growth_interval: int = 2000, enabled: bool = True,
    ):  # fmt: skip
        if not init_scale > 0 or not growth_factor > 1 or not 0 < backoff_factor < 1:
            raise ValueRangeError(
                "[GradScaler] expected init_scale > 0, growth_factor > 1 and backoff_factor in (0, 1), got "
                f"{init_scale}, {growth_factor} and {backoff_factor}"
            )
        if not isinstance(growth_interval, int) or growth_interval < 1:
            raise ValueRangeError(
                f"[GradScaler] expected growth_interval to be an int of at least 1, got {growth_interval}"
            )
        self._enabled = enabled
        self._scale = asarray(float(init_scale), dtype="float32", device=device)
        self._growth_tracker = asarray(0, dtype="int32", device=device)
        self._growth_factor = growth_factor
        self._backoff_factor = backoff_factor
        self._growth_interval = growth_interval
        # Between unscale_ and update, per optimizer: whether a gradient is not finite, and whether its step is done.
        self._found: dict[int, Tensor] = {}
        self._stepped: dict[int, bool] = {}

    def is_enabled(self) -> bool:
        """Whether losses are scaled."""
        return self._enabled

    def get_scale(self) -> float:
        """The present factor."""
        return self._scale.item() if self._enabled else 1.0

    def scale(self, outputs: Any) -> Any:
        """A loss, or a list or tuple of them, times the factor, in float32 at least."""
        if not self._enabled:
            return outputs
        if isinstance(outputs, (list, tuple)):
            return type(outputs)([self.scale(x) for x in outputs])
        if not isinstance(outputs, Tensor):
            raise ArgumentError(f"[GradScaler.scale] expected tensors, got {type(outputs).__name__}")
        return outputs * self._scale.to(outputs.device)

    def unscale_(self, optimizer: Optimizer) -> None:
        """Divide the gradients of an optimizer's parameters by the factor; `step` does it unless it has been done.

        Raises:
            ArgumentError: called twice, or after `step`, without `update` in between; for float16 gradients, which
                the division would round to zero (keep parameters in float32); without any gradient.
        """
        if not self._enabled:
            return
        key = id(optimizer)
        if key in self._found:
            raise ArgumentError(
                "[GradScaler.unscale_] expected one call per optimizer since the last update, got another"
            )
        params = [p for group in optimizer.param_groups for p in group.params if p.grad is not None]
        if not params:
            raise ArgumentError("[GradScaler.unscale_] expected gradients, got none; was backward called?")
        if any(str(p.grad.dtype) == "float16" for p in params):  # type: ignore[union-attr]
            raise ArgumentError(
                "[GradScaler.unscale_] expected gradients of float32, got float16; keep parameters in float32"
            )
        with no_grad():
            found = None
            for device in dict.fromkeys(p.device for p in params):
                here = [p for p in params if p.device == device]
                factor = (1.0 / self._scale.astype("float64")).astype("float32").to(device)
                bad, *gradients = unscaled([factor, *(p.grad for p in here)])
                for p, g in zip(here, gradients, strict=True):
                    p.grad = g
                bad = bad.to(self._scale.device)
                found = bad if found is None else logical_or(found, bad)
        self._found[key] = found  # type: ignore[assignment]

    def step(self, optimizer: Optimizer) -> None:
        """`optimizer.step()`, left out where a gradient is not finite."""
        if not self._enabled:
            optimizer.step()
            return
        key = id(optimizer)
        if key in self._stepped:
            raise ArgumentError("[GradScaler.step] expected one step per optimizer since the last update, got another")
        if key not in self._found:
            self.unscale_(optimizer)
        self._stepped[key] = True
        optimizer.step_unless(self._found[key])

    def update(self, new_scale: float | Tensor | None = None) -> None:
        """Make the factor larger or smaller, or set it."""
        if not self._enabled:
            return
        with no_grad():
            if new_scale is not None:
                self._scale.assign(asarray(_number(new_scale), dtype="float32", device=self._scale.device))
            elif not self._found:
                raise ArgumentError("[GradScaler.update] expected a step since the last update, got none")
            else:
                found, *others = self._found.values()
                for other in others:
                    found = logical_or(found, other)
                good = self._growth_tracker + 1
                due = good == self._growth_interval
                larger = self._scale * self._growth_factor
                grown = where(due & isfinite(larger), larger, self._scale)
                self._scale.assign(where(found, self._scale * self._backoff_factor, grown))
                self._growth_tracker.assign(where(found | due, 0, good).astype("int32"))
        self._found.clear()
        self._stepped.clear()

    def state_dict(self) -> dict[str, Any]:
        """Plain numbers, by PyTorch's names; empty if not enabled."""
        if not self._enabled:
            return {}
        return {
            "scale": self.get_scale(),
            "growth_factor": self._growth_factor,
            "backoff_factor": self._backoff_factor,
            "growth_interval": self._growth_interval,
            "_growth_tracker": self._growth_tracker.item(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""
        if not self._enabled:
            return
        missing = [key for key in self.state_dict() if key not in state]
        if missing:
            raise ArgumentError(f"[GradScaler.load_state_dict] expected {', '.join(missing)} in the state, got none")
        self._growth_factor = state["growth_factor"]
        self._backoff_factor = state["backoff_factor"]
        self._growth_interval = state["growth_interval"]
        with no_grad():
            self._scale.assign(asarray(float(state["scale"]), dtype="float32", device=self._scale.device))
            tracker = asarray(int(state["_growth_tracker"]), dtype="int32", device=self._scale.device)
            self._growth_tracker.assign(tracker)
