"""The base of all optimizers: parameter groups, state, and one fused update of all parameters per step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any, ClassVar

from .. import _core
from ..base.errors import ArgumentError, ShapeError, ValueRangeError
from ..base.uninitialized import UninitializedTensor
from ..nn.hooks import HookHandle
from ..ops.nn.updating import Flags, Update
from ..tensor import asarray, enable_grad, no_grad, zeros_like
from .state import OptimizerState

Tensor = _core.Tensor


# Settings whose terms are left out of the update where they are zero.
TERMS = ("momentum", "dampening", "weight_decay")
# Settings of two numbers, which are kept as two settings.
PAIRS = {
    "betas": ("beta1", "beta2"),
    "etas": ("etaminus", "etaplus"),
    "step_sizes": ("step_size_min", "step_size_max"),
}
_SECOND = {second for _, second in PAIRS.values()}
_WHOLE = {first: key for key, (first, _) in PAIRS.items()}
# Counters that are not float32.
COUNTERS = {"step": "float64"}
# Counts, which say how often something is done: plain ints, and part of the update.
COUNTS = ("ns_steps", "max_iter", "max_eval", "history_size")
# PyTorch's choices among implementations of one update. There is one here; they are kept for the sake of state dicts.
IMPLEMENTATIONS = {"foreach": None, "capturable": False, "differentiable": False, "fused": None}


class ParameterGroup(MutableMapping):
    """Parameters with settings of their own; used like PyTorch's dictionaries: group["params"], group["lr"].

    Numbers are kept as 0-d float64 tensors (`scalars`), so that a compiled step reads them anew at each call and never
    has to be compiled again for another value; read through the group they are floats. Everything else is a plain value
    in `settings`.
    """

    def __init__(self, params: list[Tensor], names: list[str] | None, values: Mapping[str, Any]):
        self.params = params
        self.names = names
        self._differentiable = bool(values.get("differentiable"))
        self.scalars: dict[str, Tensor] = {}
        self.settings: dict[str, Any] = {}
        # Which of TERMS are not zero: terms that vanish are left out of the update.
        self.present: dict[str, bool] = {}
        self.memory = _core.UpdateMemory()  # of the last step's operands
        for key, value in values.items():
            self[key] = value

    def __getitem__(self, key: str) -> Any:
        if key == "params":
            return self.params
        if key == "param_names" and self.names is not None:
            return self.names
        if key in self.scalars:
            return self.scalars[key].item()
        if key in PAIRS and PAIRS[key][0] in self.scalars:
            return tuple(self.scalars[part].item() for part in PAIRS[key])
        return self.settings[key]

    def __setitem__(self, key: str, value: Any) -> None:
        if key == "params":
            self.params = list(value)
        elif key == "param_names":
            self.names = None if value is None else list(value)
        elif key in PAIRS:
            if not isinstance(value, (tuple, list)) or len(value) != 2:
                raise ArgumentError(f"[optimizer] expected {key} to be two numbers, got {value!r}")
            for part, number in zip(PAIRS[key], value, strict=True):
                self[part] = number
        elif isinstance(value, Tensor) and value.requires_grad and self._differentiable:
            self.scalars[key] = value.astype("float64")  # stays on the tape
            if key in TERMS:
                self.present[key] = True
        elif isinstance(value, Tensor):
            self._set_scalar(key, float(value.item()))
        elif type(value) in (float, int) and key not in self.settings and key not in COUNTS:
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
        if self.names is not None:
            yield "param_names"
        for key in self.scalars:
            if key not in _SECOND:
                yield _WHOLE.get(key, key)
        yield from self.settings

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        count = sum(p.size for p in self.params)
        shown = ", ".join(
            f"{key}={self[key]!r}" for key in self if key not in ("params", "param_names", *IMPLEMENTATIONS)
        )
        return f"ParameterGroup({len(self.params)} tensors with {count:,} elements, {shown})"


class Optimizer:
    """Base class. A subclass names its settings and says which update it does.

    Args:
        params: tensors, (name, tensor) pairs, or a list of dictionaries {"params": ..., "lr": ...}, a group each.
        defaults: settings of groups that don't have their own.

    `state[p]` holds the tensors that belong to parameter p, from the start; `rows[i]` is that of number i, counted through
    all groups.
    `update` (see `ops/nn/updating.py`) is the op; `fixed` are flags of it that are not settings. An optimizer of a user's
    own may leave `update` out and override `step`.
    """

    update: Update | None = None
    fixed: ClassVar[dict[str, Any]] = {}
    unsaved: tuple[str, ...] = ()  # state that is not in state dictionaries, as it is not in PyTorch's

    def __init__(self, params: Any, defaults: dict[str, Any]):
        self.defaults = defaults
        self.differentiable = bool(defaults.get("differentiable"))
        self.param_groups: list[ParameterGroup] = []
        self.rows: list[dict[str, Any]] = []
        self.hooks: dict[str, dict[int, Callable]] = {}
        for group in _as_groups(type(self).__name__, params):
            self.add_param_group(group)

    # ------------------------------------------------------------ groups
    def add_param_group(self, group: dict[str, Any]) -> None:
        """Further parameters, with settings of their own: {"params": [...], "lr": 0.1}.

        Raises:
            ArgumentError: for an unknown setting, a parameter that is there already, is no leaf or not floating.
            ValueRangeError: for a setting out of range.
        """
        name = type(self).__name__
        if not isinstance(group, Mapping) or "params" not in group:
            raise ArgumentError(f"[{name}] expected a group to be a dictionary with 'params', got {group!r:.80}")
        params, names = _tensors(name, group["params"], self.differentiable)
        if self.param_groups and (names is None) != (self.param_groups[0].names is None):
            raise ArgumentError(f"[{name}] expected all groups with named parameters or none, got both")
        known = {id(p) for g in self.param_groups for p in g.params}
        for p in params:
            if id(p) in known:
                raise ArgumentError(f"[{name}] expected each parameter once, got one of shape {tuple(p.shape)} twice")
            known.add(id(p))
        unknown = [key for key in group if key not in ("params", "initial_lr") and key not in self.defaults]
        if unknown:
            raise ArgumentError(f"[{name}] expected settings among {', '.join(self.defaults)}, got {unknown[0]!r}")
        values = {**self.defaults, **{key: value for key, value in group.items() if key != "params"}}
        self._check(values)
        for p in params:
            self._check_parameter(p)
        initial = values.pop("initial_lr", None)
        new = ParameterGroup(params, names, values)
        if initial is not None:
            new.settings["initial_lr"] = float(initial)
        self.param_groups.append(new)
        shared: dict[Any, dict[str, Tensor]] = {}
        for p in params:
            if self.update is not None and p.device not in shared:
                shared[p.device] = self._new_counters(new, p.device)
            self.rows.append(self._new_row(new, p, shared.get(p.device, {})))

    def _check(self, values: dict[str, Any]) -> None:
        """Raise for settings out of range."""

    def _check_parameter(self, p: Tensor) -> None:
        """Raise for a parameter that this optimizer doesn't take."""

    def _flags(self, group: ParameterGroup) -> tuple:
        fixed, present, settings = self.fixed, group.present, group.settings
        return tuple(
            fixed[name] if name in fixed else present[name] if name in present else settings[name]
            for name in self.update.flags  # type: ignore[union-attr]
        )

    def _buffers_of(self, group: ParameterGroup, p: Tensor) -> tuple[str, ...]:
        update = self.update
        return update.state(Flags(update.flags, self._flags(group)), p.ndim)  # type: ignore[union-attr]

    def _new_counters(self, group: ParameterGroup, device: Any) -> dict[str, Tensor]:
        """What parameters of one group and device share: the number of steps first. Of COUNTERS' dtypes."""
        return {"step": asarray(0.0, dtype="float64", device=device)}

    def _new_state(self, group: ParameterGroup, p: Tensor, key: str) -> Tensor:
        return zeros_like(p.detach())

    def _new_row(self, group: ParameterGroup, p: Tensor, counters: Mapping[str, Tensor]) -> dict[str, Any]:
        if self.update is None:
            return {}
        return {**counters, **{key: self._new_state(group, p, key) for key in self._buffers_of(group, p)}}

    # ------------------------------------------------------------ what PyTorch's users see
    def parameters(self) -> list[Tensor]:
        """Those of all groups, in order."""
        return [p for group in self.param_groups for p in group.params]

    @property
    def state(self) -> OptimizerState:
        """{parameter: {name: tensor}}; see OptimizerState. Assigning a mapping replaces all of it."""
        return OptimizerState(self)

    @state.setter
    def state(self, values: Mapping[Tensor, Mapping[str, Any]]) -> None:
        shown = OptimizerState(self)
        if not isinstance(values, Mapping):
            raise ArgumentError(
                f"[{type(self).__name__}] expected state to be a mapping from parameters, got {type(values).__name__}"
            )
        given = {shown._place(key): row for key, row in values.items()}
        for place in range(len(self.rows)):
            self.reset_row(place, given.get(place, {}))

    def reset_row(self, place: int, values: Mapping[str, Any]) -> None:
        """The state of parameter number `place` as at the beginning, but for what is in `values`.

        Raises:
            ShapeError: for state of another shape than it should have.
        """
        group, p = next(
            pair for i, pair in enumerate((g, p) for g in self.param_groups for p in g.params) if i == place
        )
        row = self._new_row(group, p, {} if self.update is None else self._new_counters(group, p.device))
        name = f"{type(self).__name__}.state"
        if not isinstance(values, Mapping):
            raise ArgumentError(f"[{name}] expected a dictionary, got {type(values).__name__}")
        for key, value in values.items():
            row[key] = _fitting(name, key, value, row[key]) if key in row else value
        self.rows[place].clear()
        self.rows[place].update(row)

    # ------------------------------------------------------------ hooks
    def _register(self, kind: str, hook: Callable) -> HookHandle:
        hooks = self.hooks.setdefault(kind, {})
        number = max(hooks, default=-1) + 1
        hooks[number] = hook
        return HookHandle((hooks, number))

    def register_step_pre_hook(self, hook: Callable) -> HookHandle:
        """Call hook(optimizer, args, kwargs) before each step; it may return new (args, kwargs)."""
        return self._register("step_pre", hook)

    def register_step_post_hook(self, hook: Callable) -> HookHandle:
        """Call hook(optimizer, args, kwargs) after each step."""
        return self._register("step_post", hook)

    def register_state_dict_pre_hook(self, hook: Callable) -> HookHandle:
        """Call hook(optimizer) before `state_dict`."""
        return self._register("state_dict_pre", hook)

    def register_state_dict_post_hook(self, hook: Callable) -> HookHandle:
        """Call hook(optimizer, state) after `state_dict`; what it returns, if not None, takes the state's place."""
        return self._register("state_dict_post", hook)

    def register_load_state_dict_pre_hook(self, hook: Callable) -> HookHandle:
        """Call hook(optimizer, state) before `load_state_dict`; what it returns, if not None, is loaded instead."""
        return self._register("load_pre", hook)

    def register_load_state_dict_post_hook(self, hook: Callable) -> HookHandle:
        """Call hook(optimizer) after `load_state_dict`."""
        return self._register("load_post", hook)

    def _hooks_of(self, kind: str) -> list[Callable]:
        return list(self.hooks.get(kind, {}).values())

    # ------------------------------------------------------------ stepping
    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop the gradients of all parameters, or fill them with zeros."""
        for group in self.param_groups:
            for p in group.params:
                if set_to_none:
                    p.grad = None
                elif p.grad is not None:
                    p.grad = zeros_like(p.grad)

    def step(self, closure: Callable | None = None) -> Any:
        """Update every parameter that has a gradient; with a closure, call it first and return the loss it gives."""
        return self.step_unless(None, closure)

    def step_unless(self, skip: Tensor | None, closure: Callable | None = None) -> Any:
        """`step`, but where the 0-d bool tensor `skip` is true all parameters and state stay as they are."""
        if self.update is None:
            raise NotImplementedError(f"[{type(self).__name__}] expected an optimizer with an update or its own step")
        if self.hooks:
            for hook in self._hooks_of("step_pre"):
                changed = hook(self, (closure,), {})
                if changed is not None:
                    if not isinstance(changed, tuple) or len(changed) != 2:
                        raise ArgumentError(
                            f"[{type(self).__name__}.step] expected a hook to return None or (args, kwargs), got "
                            f"{changed!r:.60}"
                        )
                    args, kwargs = changed
                    closure = args[0] if args else kwargs.get("closure")
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        first = 0
        for group in self.param_groups:
            self._step_group(group, first, skip)
            first += len(group.params)
        if self.hooks:
            for hook in self._hooks_of("step_post"):
                hook(self, (closure,), {})
        return loss

    def _step_group(self, group: ParameterGroup, first: int, skip: Tensor | None) -> None:
        flags = self._flags(group)
        if not self.differentiable and group.memory.repeat(group.params, flags, skip):
            return
        rows = self.rows[first : first + len(group.params)]
        active = [i for i, p in enumerate(group.params) if p.grad is not None]
        if not active:
            return
        if len(active) < len(rows):
            _part_counters(rows, set(active), self.update.counters)  # type: ignore[union-attr]
        devices = dict.fromkeys(group.params[i].device for i in active)
        if self.differentiable:
            self._check_recordable(group)
        with enable_grad() if self.differentiable else no_grad():
            for device in devices:
                here = active if len(devices) == 1 else [i for i in active if group.params[i].device == device]
                self._step_on(group, rows, here, flags, skip, len(devices) == 1 and not self.differentiable)

    def _check_recordable(self, group: ParameterGroup) -> None:
        """Raise for parameters that the tape can't see change."""
        if any(p.is_leaf and p.requires_grad for p in group.params):
            raise ArgumentError(
                f"[{type(self).__name__}.step] expected results of recorded ops as parameters with differentiable=True, got a "
                "leaf: give the optimizer copies, [+p for p in model.parameters()], and use those"
            )

    def _step_on(
        self, group: ParameterGroup, rows: list[dict[str, Any]], active: list[int], flags: tuple, skip: Tensor | None,
        learn: bool,
    ) -> None:  # fmt: skip
        """One fused update of the parameters on one device.

        What it consists of is kept in `group.memory`, if `learn`: the next step, if it is of the same kind, is then
        repeated without coming here.
        """
        update = self.update
        named = Flags(update.flags, flags)  # type: ignore[union-attr]
        targets: list[Tensor] = []
        numbers: dict[int, int] = {}
        which = []
        entries = [(group.scalars, name, group.scalars[name]) for name in update.scalars]  # type: ignore[union-attr]
        scalars = [tensor for _, _, tensor in entries]
        for i in active:
            row = rows[i]
            for name in update.counters:  # type: ignore[union-attr]
                if not isinstance(row[name], Tensor):  # a number that was assigned
                    row[name] = asarray(row[name], dtype=COUNTERS.get(name, "float32"), device=group.params[i].device)
                entries.append((row, name, row[name]))
            key = id(row["step"])
            if key not in numbers:
                numbers[key] = len(numbers)
                targets += [row[name] for name in update.counters]  # type: ignore[union-attr]
            which.append(numbers[key])
        operands: list = list(targets)
        names_of: dict[int, tuple[str, ...]] = {}
        for i in active:
            p, row = group.params[i], rows[i]
            ndim = p.ndim
            if ndim not in names_of:
                names_of[ndim] = update.state(named, ndim)  # type: ignore[union-attr]
            for name in names_of[ndim]:
                if name not in row:  # a setting that was off when the group was made
                    row[name] = self._new_state(group, p, name)
            kept = [row[name] for name in names_of[ndim]]
            entries += [(row, name, row[name]) for name in names_of[ndim]]
            operands += [p, i, *kept]
            targets += [p, *kept]
        values = update(  # type: ignore[misc]
            skip, scalars, [group.params[v].grad if isinstance(v, int) else v for v in operands], tuple(which), flags
        )
        for target, value in zip(targets, values, strict=True):
            target.assign(value)
        if learn:
            first = [] if skip is None else [None]
            statics = (tuple(which), skip is not None, flags)
            group.memory.learn(update.op, statics, group.params, entries, [*first, *scalars, *operands], targets)  # type: ignore[union-attr]

    # ------------------------------------------------------------ state
    def state_dict(self) -> dict[str, Any]:
        """{"state": {number: {name: tensor}}, "param_groups": [settings and parameter numbers]}, as PyTorch's."""
        for hook in self._hooks_of("state_dict_pre"):
            hook(self)
        groups = []
        first = 0
        for group in self.param_groups:
            values = {key: group[key] for key in group if key != "params"}
            groups.append({**values, "params": list(range(first, first + len(group.params)))})
            first += len(group.params)
        # Counters that several parameters share are written for each.
        result: dict[str, Any] = {
            "state": {
                i: {key: _snapshot(v) for key, v in row.items() if key not in self.unsaved}
                for i, row in enumerate(self.rows)
                if row
            },
            "param_groups": groups,
        }
        for hook in self._hooks_of("state_dict_post"):
            changed = hook(self, result)
            result = result if changed is None else changed
        return result

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over settings and per-parameter tensors; all is checked before anything changes.

        Tensors go to the dtype and device of the state that is here. A group of PyTorch's may hold settings that are
        unknown here; they are kept.

        Raises:
            ShapeError: (a ValueError) when groups, parameters, names or shapes don't fit.
        """
        for hook in self._hooks_of("load_pre"):
            changed = hook(self, state)
            state = state if changed is None else changed
        name = type(self).__name__
        if not isinstance(state, Mapping) or "state" not in state or "param_groups" not in state:
            raise ArgumentError(
                f"[{name}.load_state_dict] expected a dictionary with 'state' and 'param_groups', got {state!r:.80}"
            )
        groups = state["param_groups"]
        sizes = [len(g["params"]) for g in groups]
        own = [len(g.params) for g in self.param_groups]
        if sizes != own:
            raise ShapeError(f"[{name}.load_state_dict] expected groups of {own} parameters, got {sizes}")
        order = [int(i) for g in groups for i in g["params"]]
        given = {int(i): row for i, row in state["state"].items()}
        rows = self._check_rows({place: given.get(i, {}) for place, i in enumerate(order)})
        with no_grad():
            for group, values in zip(self.param_groups, groups, strict=True):
                for key, value in values.items():
                    if key != "params":
                        group[key] = value
            self._load_rows(rows)
        for hook in self._hooks_of("load_post"):
            hook(self)

    def _check_rows(self, rows: dict[int, Mapping[str, Any]]) -> dict[int, Mapping[str, Any]]:
        name = type(self).__name__
        for i, row in enumerate(self.rows):
            if self.update is None:  # whatever a user's own optimizer keeps
                continue
            # A parameter that never had a gradient has no state in PyTorch.
            given = rows[i] = {**{key: row[key] for key in self.unsaved}, **rows[i]} if rows[i] else row
            if set(given) != set(row):
                raise ShapeError(
                    f"[{name}.load_state_dict] expected state {sorted(row)} for parameter {i}, got {sorted(given)}"
                )
            for key, tensor in row.items():
                shape = tuple(getattr(given[key], "shape", ()))
                if shape != tuple(tensor.shape):
                    raise ShapeError(
                        f"[{name}.load_state_dict] expected {key} of parameter {i} of shape {tuple(tensor.shape)}, got "
                        f"{shape}"
                    )
        return rows

    def _load_rows(self, rows: dict[int, Mapping[str, Any]]) -> None:
        counters: tuple[str, ...] = () if self.update is None else self.update.counters
        first = 0
        for group in self.param_groups:
            shared: dict[tuple, dict[str, Tensor]] = {}
            for i in range(first, first + len(group.params)):
                row = self.rows[i]
                if self.update is None:
                    row.clear()
                    row.update({key: _snapshot(value) for key, value in rows[i].items()})
                    continue
                if counters:
                    # Parameters that stand at the same step share their counters.
                    numbers = tuple(_number(rows[i][key]) for key in counters)
                    place = (*numbers, row["step"].device)
                    if place not in shared:
                        shared[place] = {
                            key: asarray(v, dtype=row[key].dtype, device=row[key].device)
                            for key, v in zip(counters, numbers, strict=True)
                        }
                    row.update(shared[place])
                for key, tensor in row.items():
                    if key not in counters:
                        tensor.assign(_like(rows[i][key], tensor))
            first += len(group.params)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(\n" + "".join(f"  {group!r}\n" for group in self.param_groups) + ")"


def _part_counters(state: list[dict[str, Any]], active: set[int], names: tuple[str, ...]) -> None:
    """Parameters that sit this step out get counters of their own: the others' are about to move on."""
    moving = {id(state[i]["step"]) for i in active}
    staying: dict[int, dict[str, Tensor]] = {}
    for i, row in enumerate(state):
        key = id(row["step"])
        if i not in active and key in moving:
            if key not in staying:
                staying[key] = {name: row[name].detach() for name in names}
            row.update(staying[key])


def _snapshot(value: Any) -> Any:
    """Of a state tensor, its present value; lists of tensors likewise."""
    if isinstance(value, list):
        return [_snapshot(v) for v in value]
    return value.detach() if isinstance(value, Tensor) else value


def _fitting(name: str, key: str, value: Any, tensor: Tensor) -> Tensor:
    """A value that takes a state tensor's place."""
    if not isinstance(value, Tensor):
        value = asarray(value)
    if tuple(value.shape) != tuple(tensor.shape):
        raise ShapeError(f"[{name}] expected {key} of shape {tuple(tensor.shape)}, got {tuple(value.shape)}")
    return _like(value, tensor)


def _number(value: Any) -> float:
    return float(value.item()) if hasattr(value, "item") else float(value)


def _like(value: Any, tensor: Tensor) -> Tensor:
    """A given state tensor in the dtype and on the device of the one that is here."""
    given = value.detach() if isinstance(value, Tensor) else asarray(value)
    return given.astype(tensor.dtype).to(tensor.device)


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


def _tensors(name: str, params: Any, differentiable: bool) -> tuple[list[Tensor], list[str] | None]:
    given: list[Any] = [params] if isinstance(params, Tensor) else list(params)
    names: list[str] | None = None
    if given and isinstance(given[0], tuple):
        if not all(isinstance(pair, tuple) and len(pair) == 2 for pair in given):
            raise ArgumentError(f"[{name}] expected all parameters as (name, tensor) or none, got both")
        names = [n for n, _ in given]
        given = [p for _, p in given]
    for p in given:
        if isinstance(p, tuple):
            raise ArgumentError(f"[{name}] expected all parameters with names or none, got both")
        if isinstance(p, UninitializedTensor):
            raise p.error(name)
        if not isinstance(p, Tensor):
            raise ArgumentError(f"[{name}] expected tensors as parameters, got {type(p).__name__}")
        if not p.is_leaf and not differentiable:
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
