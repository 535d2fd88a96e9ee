"""The base of all optimizers: parameter groups, state, and one fused update of all parameters per step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any

from .. import _core
from ..base.errors import ArgumentError, ShapeError, ValueRangeError
from ..tensor import asarray, no_grad, zeros_like

Tensor = _core.Tensor


TERMS = ("momentum", "dampening", "weight_decay")


class ParameterGroup(MutableMapping):
    """Parameters with settings of their own; used like PyTorch's dictionaries: group["params"], group["lr"].

    Numbers are kept as 0-d float64 tensors (`scalars`), so that a compiled step reads them anew at each call and never
    has to be compiled again for another value; read through the group they are floats. Everything else is a plain value
    in `settings`.
    """

    def __init__(self, params: list[Tensor], names: list[str] | None, values: Mapping[str, Any]):
        self.params = params
        self.names = names
        self.scalars: dict[str, Tensor] = {}
        self.settings: dict[str, Any] = {}
        # Which of TERMS are not zero: terms that vanish are left out of the update.
        self.present: dict[str, bool] = {}
        for key, value in values.items():
            self[key] = value

    def __getitem__(self, key: str) -> Any:
        if key == "params":
            return self.params
        if key in self.scalars:
            return self.scalars[key].item()
        if key == "betas" and "beta1" in self.scalars:
            return self["beta1"], self["beta2"]
        return self.settings[key]

    def __setitem__(self, key: str, value: Any) -> None:
        if key == "params":
            self.params = list(value)
        elif key == "betas":
            if len(value) != 2:
                raise ArgumentError(f"[optimizer] expected betas to be two numbers, got {value!r}")
            self["beta1"], self["beta2"] = value
        elif isinstance(value, Tensor):
            self._set_scalar(key, float(value.item()))
        elif type(value) in (float, int) and key not in self.settings:
            self._set_scalar(key, float(value))
        else:
            self.settings[key] = value

    def _set_scalar(self, key: str, value: float) -> None:
        new = asarray(value, dtype="float64")
        if key in self.scalars:
            self.scalars[key].assign(new)
        else:
            self.scalars[key] = new
        if key in TERMS:
            self.present[key] = value != 0.0

    def __delitem__(self, key: str) -> None:
        del (self.scalars if key in self.scalars else self.settings)[key]

    def __iter__(self) -> Iterator[str]:
        yield "params"
        for key in self.scalars:
            if key != "beta2":
                yield "betas" if key == "beta1" else key
        yield from self.settings

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        count = sum(p.size for p in self.params)
        shown = ", ".join(f"{key}={self[key]!r}" for key in self if key != "params")
        return f"ParameterGroup({len(self.params)} tensors with {count:,} elements, {shown})"


class Optimizer:
    """Base class. A subclass names its settings and per-parameter state and gives the update.

    Args:
        params: tensors, (name, tensor) pairs, or a list of dictionaries {"params": ..., "lr": ...}, a group each.
        defaults: settings of groups that don't have their own.

    `state[i]` holds the tensors that belong to parameter number i (counted through all groups), from the start.
    """

    buffers: tuple[str, ...] = ()  # names of the per-parameter tensors, zeros at first

    def __init__(self, params: Any, defaults: dict[str, Any]):
        self.defaults = defaults
        self.param_groups: list[ParameterGroup] = []
        self.state: list[dict[str, Tensor]] = []
        for group in _as_groups(type(self).__name__, params):
            self.add_param_group(group)

    # ------------------------------------------------------------ groups
    def add_param_group(self, group: dict[str, Any]) -> None:
        """Further parameters, with settings of their own: {"params": [...], "lr": 0.1}."""
        name = type(self).__name__
        params, names = _tensors(name, group["params"])
        known = {id(p) for g in self.param_groups for p in g.params}
        for p in params:
            if id(p) in known:
                raise ArgumentError(f"[{name}] expected each parameter once, got one of shape {tuple(p.shape)} twice")
            known.add(id(p))
        unknown = [key for key in group if key != "params" and key not in self.defaults]
        if unknown:
            raise ArgumentError(f"[{name}] expected settings among {', '.join(self.defaults)}, got {unknown[0]!r}")
        values = {**self.defaults, **{key: value for key, value in group.items() if key != "params"}}
        self._check(values)
        new = ParameterGroup(params, names, values)
        self.param_groups.append(new)
        steps = {p.device: asarray(0.0, dtype="float64", device=p.device) for p in params}
        for p in params:
            self.state.append(
                {"step": steps[p.device], **{key: zeros_like(p.detach()) for key in self._buffers_of(new)}}
            )

    def _check(self, values: dict[str, Any]) -> None:
        """Raise for settings out of range."""

    def _buffers_of(self, group: ParameterGroup) -> tuple[str, ...]:
        return self.buffers

    # ------------------------------------------------------------ stepping
    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop the gradients of all parameters, or fill them with zeros."""
        for group in self.param_groups:
            for p in group.params:
                if set_to_none:
                    p.grad = None
                elif p.grad is not None:
                    p.grad = zeros_like(p.grad)

    def step(self, closure: Any = None) -> Any:
        """Update every parameter that has a gradient; with a closure, call it first and return the loss it gives."""
        loss = None if closure is None else closure()
        with no_grad():
            first = 0
            for group in self.param_groups:
                self._step_group(group, self.state[first : first + len(group.params)])
                first += len(group.params)
        return loss

    def _step_group(self, group: ParameterGroup, state: list[dict[str, Tensor]]) -> None:
        active = [i for i, p in enumerate(group.params) if p.grad is not None]
        if not active:
            return
        if len(active) < len(state):
            _part_steps(state, set(active))
        for device in dict.fromkeys(group.params[i].device for i in active):
            self._step_on(group, state, [i for i in active if group.params[i].device == device])

    def _step_on(self, group: ParameterGroup, state: list[dict[str, Tensor]], active: list[int]) -> None:
        """One fused update of the parameters on one device."""
        counters: list[Tensor] = []
        numbers: dict[int, int] = {}
        which = []
        for i in active:
            counter = state[i]["step"]
            if id(counter) not in numbers:
                numbers[id(counter)] = len(counters)
                counters.append(counter)
            which.append(numbers[id(counter)])
        keys = self._buffers_of(group)
        operands = list(counters)
        targets = list(counters)
        for i in active:
            p = group.params[i]
            row = state[i]
            operands += [p, p.grad]  # type: ignore[list-item]
            targets.append(p)
            for key in keys:
                if key not in row:  # a setting that was zero when the group was made
                    row[key] = zeros_like(p)
                operands.append(row[key])
                targets.append(row[key])
        for target, value in zip(targets, self._update(group, operands, tuple(which)), strict=True):
            target.assign(value)

    def _update(self, group: ParameterGroup, operands: list[Tensor], steps: tuple[int, ...]) -> Any:
        """New values of the counters and, per parameter, of itself and its buffers: one op call."""
        raise NotImplementedError

    # ------------------------------------------------------------ state
    def state_dict(self) -> dict[str, Any]:
        """{"state": {number: {name: tensor}}, "param_groups": [settings and parameter numbers]}, as PyTorch's."""
        groups = []
        first = 0
        for group in self.param_groups:
            values = {key: group[key] for key in group if key != "params"}
            groups.append({**values, "params": list(range(first, first + len(group.params)))})
            first += len(group.params)
        # Counters that several parameters share are written for each.
        return {
            "state": {i: {key: t.detach() for key, t in row.items()} for i, row in enumerate(self.state)},
            "param_groups": groups,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over settings and per-parameter tensors; all is checked before anything changes.

        Raises:
            ShapeError: (a ValueError) when groups, parameters, names or shapes don't fit.
        """
        name = type(self).__name__
        groups = state["param_groups"]
        sizes = [len(g["params"]) for g in groups]
        own = [len(g.params) for g in self.param_groups]
        if sizes != own:
            raise ShapeError(f"[{name}.load_state_dict] expected groups of {own} parameters, got {sizes}")
        rows = {int(i): row for i, row in state["state"].items()}
        for i, row in enumerate(self.state):
            given = rows.get(i, {})
            if set(given) != set(row):
                raise ShapeError(
                    f"[{name}.load_state_dict] expected state {sorted(row)} for parameter {i}, got {sorted(given)}"
                )
            for key, tensor in row.items():
                if tuple(given[key].shape) != tuple(tensor.shape):
                    raise ShapeError(
                        f"[{name}.load_state_dict] expected {key} of parameter {i} of shape {tuple(tensor.shape)}, got "
                        f"{tuple(given[key].shape)}"
                    )
        with no_grad():
            for group, given in zip(self.param_groups, groups, strict=True):
                for key, value in given.items():
                    if key != "params":
                        group[key] = value
            self._load_rows(rows)

    def _load_rows(self, rows: dict[int, dict[str, Tensor]]) -> None:
        first = 0
        for group in self.param_groups:
            shared: dict[tuple, Tensor] = {}
            for i in range(first, first + len(group.params)):
                count, device = float(rows[i]["step"].item()), self.state[i]["step"].device
                if (count, device) not in shared:
                    shared[count, device] = asarray(count, dtype="float64", device=device)
                self.state[i]["step"] = shared[count, device]
                for key, tensor in self.state[i].items():
                    if key != "step":
                        tensor.assign(rows[i][key].detach().astype(tensor.dtype))
            first += len(group.params)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(\n" + "".join(f"  {group!r}\n" for group in self.param_groups) + ")"


def _part_steps(state: list[dict[str, Tensor]], active: set[int]) -> None:
    """Parameters that sit this step out get step counters of their own: the others' are about to move on."""
    moving = {id(state[i]["step"]) for i in active}
    staying: dict[int, Tensor] = {}
    for i, row in enumerate(state):
        counter = row["step"]
        if i not in active and id(counter) in moving:
            if id(counter) not in staying:
                staying[id(counter)] = asarray(counter.item(), dtype="float64", device=counter.device)
            row["step"] = staying[id(counter)]


def _as_groups(name: str, params: Any) -> list[dict[str, Any]]:
    if isinstance(params, Tensor):
        raise ArgumentError(f"[{name}] expected a list of tensors such as model.parameters(), got one tensor")
    if hasattr(params, "parameters"):
        raise ArgumentError(f"[{name}] expected model.parameters(), got the {type(params).__name__} itself")
    given = list(params)
    if not given:
        raise ArgumentError(f"[{name}] expected at least one parameter, got none; does the model have any?")
    if isinstance(given[0], Mapping):
        for group in given:
            if not isinstance(group, Mapping) or "params" not in group:
                raise ArgumentError(f"[{name}] expected each group to be a dictionary with 'params', got {group!r:.80}")
        return [dict(group) for group in given]
    return [{"params": given}]


def _tensors(name: str, params: Any) -> tuple[list[Tensor], list[str] | None]:
    given: list[Any] = [params] if isinstance(params, Tensor) else list(params)
    names: list[str] | None = None
    if given and isinstance(given[0], tuple):
        names = [n for n, _ in given]
        given = [p for _, p in given]
    for p in given:
        if not isinstance(p, Tensor):
            raise ArgumentError(f"[{name}] expected tensors as parameters, got {type(p).__name__}")
        if not p.is_leaf:
            raise ArgumentError(f"[{name}] expected leaf tensors, got the result of {p.grad_fn}; detach it first")
        if p.dtype.kind not in "fc":
            raise ArgumentError(f"[{name}] expected floating or complex parameters, got dtype {p.dtype}")
    return given, names


def check_range(name: str, setting: str, value: float, low: float = 0.0, high: float | None = None) -> None:
    """ValueRangeError unless low <= value (< high)."""
    number = float(value.item()) if isinstance(value, Tensor) else value
    if not (number >= low and (high is None or number < high)):
        limits = f">= {low:g}" if high is None else f"in [{low:g}, {high:g})"
        raise ValueRangeError(f"[{name}] expected {setting} {limits}, got {number}")
