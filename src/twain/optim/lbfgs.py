"""L-BFGS, with the line search of Moré and Thuente's conditions by cubic interpolation; trajectories are PyTorch's."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from .. import _core
from ..base.errors import ArgumentError, ShapeError
from ..ops.complex_parts import complex as complex_of
from ..tensor import asarray, concat, enable_grad, no_grad, reshape, zeros
from .algorithms import Rate, _Checked, _given
from .optimizer import _number, _snapshot

Tensor = _core.Tensor

_LISTS = ("old_dirs", "old_stps", "ro")
_TENSORS = ("d", "prev_flat_grad")


class LBFGS(_Checked):
    """Limited-memory BFGS (Liu, Nocedal 1989): `step(closure)` does up to `max_iter` iterations.

    The closure computes the loss anew, with gradients, and returns it. It may be a compiled function; the iterations
    around it branch on numbers and run eagerly. One group only.

    Args:
        lr: length of a step along the direction where there is no line search, and where the search begins.
        max_iter, max_eval: most iterations and evaluations of the closure per step (default: 5 / 4 of max_iter).
        tolerance_grad: stop when no element of the gradient is larger.
        tolerance_change: stop when loss and parameters change less.
        history_size: how many differences of gradients are kept.
        line_search_fn: None or "strong_wolfe".
    """

    limits = {"lr": (0.0, None)}  # noqa: RUF012

    def __init__(
        self, params: Any, lr: Rate = 1.0, max_iter: int = 20, max_eval: int | None = None,
        tolerance_grad: float = 1e-7, tolerance_change: float = 1e-9, history_size: int = 100,
        line_search_fn: str | None = None,
    ):  # fmt: skip
        if line_search_fn not in (None, "strong_wolfe"):
            raise ArgumentError(f"[LBFGS] expected line_search_fn None or 'strong_wolfe', got {line_search_fn!r}")
        max_eval = max_iter * 5 // 4 if max_eval is None else max_eval
        super().__init__(params, _given(locals()))
        if len(self.param_groups) != 1:
            raise ArgumentError(f"[LBFGS] expected one group of parameters, got {len(self.param_groups)}")
        self.rows = [{"func_evals": 0, "n_iter": 0}]

    # ------------------------------------------------------------ all parameters as one vector
    def _gradient(self) -> Tensor:
        parts = []
        for p in self.param_groups[0].params:
            g = zeros(tuple(p.shape), dtype=p.dtype, device=p.device) if p.grad is None else p.grad.detach()
            parts += [reshape(part, (-1,)) for part in ((g.real, g.imag) if g.dtype.kind == "c" else (g,))]
        return concat(parts) if len(parts) > 1 else parts[0]

    def _move(self, start: list[Tensor], size: float, direction: Tensor) -> None:
        """Every parameter to where it was, and `size` times the direction further."""
        place = 0
        for p, old in zip(self.param_groups[0].params, start, strict=True):
            parts = []
            for _ in range(2 if p.dtype.kind == "c" else 1):
                parts.append(reshape(direction[place : place + p.size], tuple(p.shape)))
                place += p.size
            p.assign((old + size * (complex_of(*parts) if len(parts) == 2 else parts[0])).astype(p.dtype))

    def _evaluate(self, closure: Callable) -> tuple[float, Tensor]:
        with enable_grad():
            loss = closure()
        return float(loss), self._gradient()

    # ------------------------------------------------------------ the iteration
    def step(self, closure: Callable | None = None) -> Any:
        """Up to `max_iter` iterations; returns the first loss.

        Raises:
            ArgumentError: without a closure.
        """
        if closure is None:
            raise ArgumentError("[LBFGS.step] expected a closure that computes the loss and its gradients, got None")
        for hook in self._hooks_of("step_pre"):
            hook(self, (closure,), {})
        with no_grad():
            loss = self._iterate(closure)
        for hook in self._hooks_of("step_post"):
            hook(self, (closure,), {})
        return loss

    def step_unless(self, skip: Tensor | None, closure: Callable | None = None) -> Any:
        if skip is not None:
            raise ArgumentError("[LBFGS] expected no gradient scaling: it evaluates the loss several times a step")
        return self.step(closure)

    def _iterate(self, closure: Callable) -> Any:
        group, state = self.param_groups[0], self.rows[0]
        rate, small, tiny = group["lr"], group["tolerance_grad"], group["tolerance_change"]
        with enable_grad():
            first_loss = closure()
        loss, gradient = float(first_loss), self._gradient()
        evaluations = 1
        state["func_evals"] += 1
        if _largest(gradient) <= small:
            return first_loss
        done = 0
        while done < group["max_iter"]:
            done += 1
            state["n_iter"] += 1
            direction = self._direction(gradient)
            state["d"], state["prev_flat_grad"], state["prev_loss"] = direction, gradient, loss
            before = loss
            size = rate
            if state["n_iter"] == 1:
                size *= min(1.0, 1.0 / float(gradient.abs().sum().item()))
            state["t"] = size
            slope = _dot(gradient, direction)
            if slope > -tiny:
                break
            start = [p.detach() for p in group.params]
            asked = 0
            if group["line_search_fn"] is not None:

                def evaluate(size: float, start: list = start, direction: Tensor = direction) -> tuple[float, Tensor]:
                    self._move(start, size, direction)
                    return self._evaluate(closure)

                limit = group["max_eval"] - evaluations
                loss, gradient, size, asked = strong_wolfe(
                    evaluate, size, direction, loss, gradient, slope, limit, tiny
                )
                state["t"] = size
                self._move(start, size, direction)
            else:
                self._move(start, size, direction)
                if done != group["max_iter"]:
                    loss, gradient = self._evaluate(closure)
                    asked = 1
            evaluations += asked
            state["func_evals"] += asked
            if (
                done == group["max_iter"]
                or evaluations >= group["max_eval"]
                or _largest(gradient) <= small
                or _largest(direction) * abs(size) <= tiny
                or abs(loss - before) < tiny
            ):
                break
        return first_loss

    def _direction(self, gradient: Tensor) -> Tensor:
        """Minus the gradient times the inverse Hessian's approximation (two-loop recursion)."""
        state = self.rows[0]
        if state["n_iter"] == 1:
            state.update({"old_dirs": [], "old_stps": [], "ro": [], "H_diag": 1.0})
            return -gradient
        change, step = gradient - state["prev_flat_grad"], state["d"] * state["t"]
        curvature = _dot(change, step)
        changes, steps, inverse = (state[key] for key in _LISTS)
        if curvature > 1e-10:
            if len(changes) == self.param_groups[0]["history_size"]:
                for kept in (changes, steps, inverse):
                    kept.pop(0)
            changes.append(change)
            steps.append(step)
            inverse.append(1.0 / curvature)
            state["H_diag"] = curvature / _dot(change, change)
        shares = [0.0] * len(changes)
        q = -gradient
        for i in reversed(range(len(changes))):
            shares[i] = _dot(steps[i], q) * inverse[i]
            q = q - shares[i] * changes[i]
        q = q * state["H_diag"]
        for i in range(len(changes)):
            q = q + (shares[i] - _dot(changes[i], q) * inverse[i]) * steps[i]
        return q

    # ------------------------------------------------------------ state
    def reset_row(self, place: int, values: Mapping[str, Any]) -> None:
        self.rows[0] = {"func_evals": 0, "n_iter": 0, **values}

    def _check_rows(self, rows: dict[int, Mapping[str, Any]]) -> dict[int, Mapping[str, Any]]:
        row = rows[0] or self.rows[0]
        if "func_evals" not in row or "n_iter" not in row:
            raise ShapeError(f"[LBFGS.load_state_dict] expected state with func_evals and n_iter, got {sorted(row)}")
        wanted = sum(p.size * (2 if p.dtype.kind == "c" else 1) for p in self.param_groups[0].params)
        for key in _TENSORS:
            if row.get(key) is not None and tuple(row[key].shape) != (wanted,):
                raise ShapeError(
                    f"[LBFGS.load_state_dict] expected {key} of shape ({wanted},), got {tuple(row[key].shape)}"
                )
        return {0: row}

    def _load_rows(self, rows: dict[int, Mapping[str, Any]]) -> None:
        row = {key: value for key, value in _snapshot(dict(rows[0])).items() if value is not None and key != "al"}
        for key in ("func_evals", "n_iter"):
            row[key] = int(row[key])
        for key in ("t", "H_diag", "prev_loss"):
            if key in row:
                row[key] = _number(row[key])
        for key in _TENSORS:
            if key in row and not isinstance(row[key], Tensor):
                row[key] = asarray(row[key])
        if "ro" in row:
            row["ro"] = [_number(v) for v in row["ro"]]
        self.rows[0] = row


def _dot(a: Tensor, b: Tensor) -> float:
    return (a * b).sum().item()


def _largest(x: Tensor) -> float:
    return x.abs().max().item() if x.size else 0.0


def _cubic(x1: float, f1: float, g1: float, x2: float, f2: float, g2: float, bounds: tuple | None = None) -> float:
    """Where the cubic through two points with these values and slopes is least, within bounds."""
    low, high = bounds or (min(x1, x2), max(x1, x2))
    d1 = g1 + g2 - 3 * (f1 - f2) / (x1 - x2) if x1 != x2 else math.nan
    square = d1 * d1 - g1 * g2
    if not square >= 0:
        return (low + high) / 2.0
    d2 = math.sqrt(square)
    if x1 > x2:
        x1, g1, x2, g2 = x2, g2, x1, g1
    below = g2 - g1 + 2 * d2
    least = x2 - (x2 - x1) * ((g2 + d2 - d1) / below) if below else math.nan
    return min(max(least, low), high)


def strong_wolfe(
    evaluate: Callable[[float], tuple[float, Tensor]], t: float, d: Tensor, f: float, g: Tensor, slope: float,
    max_evaluations: int, tolerance: float, c1: float = 1e-4, c2: float = 0.9,
) -> tuple[float, Tensor, float, int]:  # fmt: skip
    """A step size along d that satisfies the strong Wolfe conditions (Nocedal, Wright, algorithms 3.5 and 3.6).

    Args:
        evaluate: size -> (loss, gradient) there.
        t: the size to begin with.
        f, g, slope: loss, gradient and directional derivative at size 0.

    Returns:
        Loss and gradient at the size found, the size, and how often `evaluate` was called.
    """
    reach = _largest(d)

    def at(size: float) -> tuple[float, float, Tensor, float]:
        loss, gradient = evaluate(size)
        return size, loss, gradient, _dot(gradient, d)

    def too_high(point: tuple) -> bool:
        return point[1] > f + c1 * point[0] * slope

    def flat(point: tuple) -> bool:
        return abs(point[3]) <= -c2 * slope

    # Find an interval (two points) in which such a size lies.
    before, now = (0.0, f, g, slope), at(t)
    calls, tries = 1, 0
    bracket: list[tuple] | None = None
    done = False
    while tries < max_evaluations:
        if too_high(now) or (tries > 1 and now[1] >= before[1]):
            bracket = [before, now]
        elif flat(now):
            bracket, done = [now], True
        elif now[3] >= 0:
            bracket = [before, now]
        if bracket is not None:
            break
        bounds = (now[0] + 0.01 * (now[0] - before[0]), now[0] * 10)
        size = _cubic(before[0], before[1], before[3], now[0], now[1], now[3], bounds)
        before, now = now, at(size)
        calls += 1
        tries += 1
    if bracket is None:
        bracket = [(0.0, f, g, slope), now]
    # Make it smaller.
    stuck = False
    low, high = (0, 1) if bracket[0][1] <= bracket[-1][1] else (1, 0)
    while not done and tries < max_evaluations:
        ends = sorted(point[0] for point in bracket)
        if (ends[1] - ends[0]) * reach < tolerance:
            break
        a, b = bracket
        size = _cubic(a[0], a[1], a[3], b[0], b[1], b[3])
        margin = 0.1 * (ends[1] - ends[0])
        if min(ends[1] - size, size - ends[0]) < margin:  # too near an end: once is allowed, then off it
            if stuck or size >= ends[1] or size <= ends[0]:
                size = ends[1] - margin if abs(size - ends[1]) < abs(size - ends[0]) else ends[0] + margin
                stuck = False
            else:
                stuck = True
        else:
            stuck = False
        now = at(size)
        calls += 1
        tries += 1
        if too_high(now) or now[1] >= bracket[low][1]:
            bracket[high] = now
            low, high = (0, 1) if bracket[0][1] <= bracket[1][1] else (1, 0)
        else:
            if flat(now):
                done = True
            elif now[3] * (bracket[high][0] - bracket[low][0]) >= 0:
                bracket[high] = bracket[low]
            bracket[low] = now
    size, loss, gradient, _ = bracket[low]
    return loss, gradient, size, calls
