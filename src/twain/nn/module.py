"""Module: a plain mutable Python object that holds parameters, buffers and other modules, and computes with `forward`.

What belongs to a module is decided when an attribute is assigned:

- a leaf tensor that requires a gradient is a parameter, and stays one when it is frozen later;
- `register_buffer` declares tensors that are saved and moved but not trained;
- a Module is a child, also inside a list, tuple or dictionary (named "layers.0", "blocks.first");
- everything else is an ordinary attribute.

The values lie in the object's own `__dict__`; the module keeps only the names beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .. import _core
from ..base.dtypes import as_dtype
from ..base.errors import ArgumentError, ShapeError
from ..tensor import asarray, no_grad, zeros_like
from .symbols import Symbol, call_symbolically

Tensor = _core.Tensor

_PRIVATE = frozenset({"_parameter_names", "_buffer_names", "_forward_hooks", "_forward_pre_hooks"})


class HookHandle:
    """What registering a hook returns; `remove()` takes the hook off again."""

    def __init__(self, hooks: dict[int, Callable], number: int):
        self._hooks = hooks
        self._number = number

    def remove(self) -> None:
        self._hooks.pop(self._number, None)


class Module:
    """Base class of layers and models. Subclasses assign parameters and layers in `__init__` and define `forward`.

    >>> class Net(nn.Module):
    ...     def __init__(self):
    ...         self.hidden = nn.Linear(64, 32)
    ...         self.out = nn.Linear(32, 10)
    ...
    ...     def forward(self, x):
    ...         return self.out(twain.relu(self.hidden(x)))

    `super().__init__()` may be called and need not be.
    """

    # What a Sequential asks: does it return (output, state), and does it treat every step of sequences alike?
    gives_state: bool = False
    stepwise: bool = False

    training: bool
    _parameter_names: dict[str, None]
    _buffer_names: dict[str, bool]
    _forward_hooks: dict[int, Callable]
    _forward_pre_hooks: dict[int, Callable]

    def __new__(cls, *args: Any, **kwargs: Any) -> Module:
        # Here and not in __init__, so that a subclass that forgets super().__init__() works all the same.
        self = object.__new__(cls)
        state = self.__dict__
        state["training"] = True
        state["_parameter_names"] = {}
        state["_buffer_names"] = {}
        state["_forward_hooks"] = {}
        state["_forward_pre_hooks"] = {}
        return self

    def __init__(self) -> None:
        pass

    # ------------------------------------------------------------ attributes
    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, Tensor):
            if name not in self._buffer_names and value.requires_grad and value.is_leaf:
                self._parameter_names[name] = None
        elif value is not None:
            if name in _PRIVATE and name in self.__dict__:
                raise ArgumentError(f"[{type(self).__name__}] expected another attribute name, {name!r} is taken")
            self._parameter_names.pop(name, None)
            self._buffer_names.pop(name, None)
        object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        self._parameter_names.pop(name, None)
        self._buffer_names.pop(name, None)
        object.__delattr__(self, name)

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """A tensor that belongs to the module and is not trained: moved by `to`, saved if `persistent`."""
        _check_name(self, name, "register_buffer")
        if tensor is not None and not isinstance(tensor, Tensor):
            raise ArgumentError(
                f"[register_buffer] expected a tensor or None for {name!r}, got {type(tensor).__name__}"
            )
        self._parameter_names.pop(name, None)
        self._buffer_names[name] = persistent
        object.__setattr__(self, name, tensor)

    def register_parameter(self, name: str, tensor: Tensor | None) -> None:
        """The same as assigning a tensor that requires a gradient; None keeps the name's place in the order."""
        _check_name(self, name, "register_parameter")
        if tensor is not None and not isinstance(tensor, Tensor):
            raise ArgumentError(
                f"[register_parameter] expected a tensor or None for {name!r}, got {type(tensor).__name__}"
            )
        self._parameter_names[name] = None
        object.__setattr__(self, name, tensor)

    # ------------------------------------------------------------ walking
    def _own_parameters(self) -> Iterator[tuple[str, Tensor]]:
        for name in self._parameter_names:
            value = self.__dict__.get(name)
            if value is not None:
                yield name, value

    def _own_buffers(self) -> Iterator[tuple[str, Tensor, bool]]:
        for name, persistent in self._buffer_names.items():
            value = self.__dict__.get(name)
            if value is not None:
                yield name, value, persistent

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """(name, module) for the modules that this one holds directly, each module once."""
        seen: set[int] = set()
        for name, value in self.__dict__.items():
            if name not in _PRIVATE:
                yield from _modules_in(name, value, seen)

    def children(self) -> Iterator[Module]:
        """The modules that this one holds directly."""
        for _, child in self.named_children():
            yield child

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """(dotted name, module) for this module and all below it, each module once."""
        yield from self._walk(prefix, set())

    def _walk(self, prefix: str, seen: set[int]) -> Iterator[tuple[str, Module]]:
        if id(self) in seen:
            return
        seen.add(id(self))
        yield prefix, self
        for name, child in self.named_children():
            yield from child._walk(_join(prefix, name), seen)

    def modules(self) -> Iterator[Module]:
        """This module and all below it."""
        for _, module in self.named_modules():
            yield module

    def named_parameters(self, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
        """(dotted name, tensor), a tensor that several places share once."""
        seen: set[int] = set()
        for path, module in self.named_modules(prefix):
            for name, value in module._own_parameters():
                if id(value) not in seen:
                    seen.add(id(value))
                    yield _join(path, name), value

    def parameters(self) -> Iterator[Tensor]:
        """All parameters, frozen ones too."""
        for _, value in self.named_parameters():
            yield value

    def named_buffers(self, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
        """(dotted name, tensor) of what `register_buffer` declared."""
        seen: set[int] = set()
        for path, module in self.named_modules(prefix):
            for name, value, _ in module._own_buffers():
                if id(value) not in seen:
                    seen.add(id(value))
                    yield _join(path, name), value

    def buffers(self) -> Iterator[Tensor]:
        """All buffers."""
        for _, value in self.named_buffers():
            yield value

    # ------------------------------------------------------------ state
    def _named_state(self) -> Iterator[tuple[str, Module, str]]:
        """(dotted name, holder, attribute) of all parameters and persistent buffers, shared ones under each name."""
        for path, module in self._walk_shared(""):
            for name, _ in module._own_parameters():
                yield _join(path, name), module, name
            for name, _, persistent in module._own_buffers():
                if persistent:
                    yield _join(path, name), module, name

    def _walk_shared(self, prefix: str, above: tuple = ()) -> Iterator[tuple[str, Module]]:
        """As named_modules, but a module under two names comes twice (state dictionaries list both)."""
        yield prefix, self
        for name, child in self.named_children():
            if child not in above:
                yield from child._walk_shared(_join(prefix, name), (*above, self))

    def state_dict(self) -> dict[str, Tensor]:
        """{dotted name: tensor}: parameters and persistent buffers, by PyTorch's names.

        The tensors are snapshots in effect: a later training step gives the module new values and leaves these alone.
        """
        return {key: getattr(holder, name).detach() for key, holder, name in self._named_state()}

    def load_state_dict(self, state: Mapping[str, Any], strict: bool = True) -> tuple[list[str], list[str]]:
        """Take the values of `state` (tensors or arrays), cast to the dtypes that the module has.

        Args:
            state: {dotted name: tensor}, as `state_dict` gives.
            strict: whether missing and unexpected names are errors; a shape that doesn't fit always is one.

        Returns:
            (missing names, unexpected names).

        Raises:
            ShapeError: (a ValueError) that lists every missing, unexpected and mis-shaped name; the module is then
                unchanged.
        """
        targets = {key: (holder, name) for key, holder, name in self._named_state()}
        missing = [key for key in targets if key not in state]
        unexpected = [key for key in state if key not in targets]
        values = {key: _as_tensor(key, state[key]) for key in targets if key in state}
        misshaped = [
            f"{key}: expected shape {tuple(getattr(*targets[key]).shape)}, got {tuple(value.shape)}"
            for key, value in values.items()
            if tuple(getattr(*targets[key]).shape) != tuple(value.shape)
        ]
        problems = []
        if strict and missing:
            problems.append("missing: " + ", ".join(missing))
        if strict and unexpected:
            problems.append("unexpected: " + ", ".join(unexpected))
        if misshaped:
            problems.append("wrong shape: " + "; ".join(misshaped))
        if problems:
            raise ShapeError(
                f"[load_state_dict] expected the names and shapes of {type(self).__name__}, got\n  "
                + "\n  ".join(problems)
            )
        with no_grad():
            for key, value in values.items():
                have = getattr(*targets[key])
                value = value.detach()
                have.assign(value if value.dtype is have.dtype else value.astype(have.dtype))
        return missing, unexpected

    # ------------------------------------------------------------ modes and moves
    def train(self, mode: bool = True) -> Module:
        """Training behaviour (dropout on, batch statistics) for this module and all below it."""
        for module in self.modules():
            if module.training is not mode:
                object.__setattr__(module, "training", mode)
        return self

    def eval(self) -> Module:
        """Inference behaviour for this module and all below it."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Module:
        """Freeze (False) or unfreeze all parameters."""
        for value in self.parameters():
            value.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop the gradients of all parameters, or fill them with zeros."""
        for value in self.parameters():
            if set_to_none:
                value.grad = None
            elif value.grad is not None:
                value.grad = zeros_like(value.grad)

    def to(self, target: Any = None, *, dtype: Any = None, device: Any = None) -> Module:
        """Move to a device, or convert the floating parameters and buffers to a dtype; in place, returns the module.

        `target` may be a dtype ("float64", twain.float64) or a device ("cpu"). Give it before making an optimizer:
        tensors that change dtype or device are new objects.
        """
        if target is not None:
            if isinstance(target, str) and not _is_dtype(target):
                device = target
            else:
                dtype = target
        if dtype is not None:
            dtype = as_dtype(dtype, "Module.to")

        def convert(value: Tensor) -> Tensor:
            result = value.detach()
            if dtype is not None and value.dtype.kind in "fc" and value.dtype is not dtype:
                result = result.astype(dtype)
            if device is not None:
                result = result.to(device)
            if result.dtype is value.dtype and str(result.device) == str(value.device):
                return value
            return result.requires_grad_() if value.requires_grad else result

        converted: dict[int, Tensor] = {}
        for module in self.modules():
            held = [*module._own_parameters(), *((n, v) for n, v, _ in module._own_buffers())]
            for name, value in held:
                if id(value) not in converted:
                    converted[id(value)] = convert(value)
                object.__setattr__(module, name, converted[id(value)])
        return self

    def apply(self, function: Callable[[Module], Any]) -> Module:
        """Call `function` with every module, children first."""
        for child in self.children():
            child.apply(function)
        function(self)
        return self

    # ------------------------------------------------------------ as a tree of tensors
    def _tree_flatten(self) -> tuple[list, ModuleTree]:
        """The parameters and buffers, each once, and what they belong to: grad, vmap and the like take modules apart so."""
        names: list[str] = []
        tensors: list = []
        trained: list[bool] = []
        for walk, trains in ((self.named_parameters, True), (self.named_buffers, False)):
            for name, value in walk():
                names.append(name)
                tensors.append(value)
                trained.append(trains and (type(value) is not Tensor or value.requires_grad))
        return tensors, ModuleTree(self, tuple(names), tensors, tuple(trained))

    @classmethod
    def _tree_unflatten(cls, tree: ModuleTree, values: list) -> Module:
        """A copy of the module whose parameters and buffers are `values`."""
        return copied(tree.module, {id(old): new for old, new in zip(tree.tensors, values)}, {})

    def _copy_own(self, new: Module, copy: Callable) -> None:
        """What a subclass must do for a copy beyond its attributes; copy(module) is the copy of a child."""

    # ------------------------------------------------------------ calling
    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The computation; each subclass defines it."""
        raise NotImplementedError(
            f"[{type(self).__name__}] expected the class to define forward(self, ...), got a module without one"
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        for argument in args:
            if type(argument) is Symbol:
                return call_symbolically(self, args, kwargs)
        if not self._forward_pre_hooks and not self._forward_hooks:
            return self.forward(*args, **kwargs)
        for hook in list(self._forward_pre_hooks.values()):
            changed = hook(self, args)
            if changed is not None:
                args = changed if isinstance(changed, tuple) else (changed,)
        result = self.forward(*args, **kwargs)
        for hook in list(self._forward_hooks.values()):
            changed = hook(self, args, result)
            if changed is not None:
                result = changed
        return result

    def register_forward_hook(self, hook: Callable) -> HookHandle:
        """`hook(module, args, output)` runs after `forward`; what it returns, if not None, is the output."""
        return _add_hook(self._forward_hooks, hook)

    def register_forward_pre_hook(self, hook: Callable) -> HookHandle:
        """`hook(module, args)` runs before `forward`; what it returns, if not None, are the arguments."""
        return _add_hook(self._forward_pre_hooks, hook)

    # ------------------------------------------------------------ showing
    def extra_repr(self) -> str:
        """The module's own settings, for `repr`."""
        return ""

    def parameter_count(self, trainable_only: bool = False) -> int:
        """Number of elements in all parameters."""
        return sum(p.size for p in self.parameters() if p.requires_grad or not trainable_only)

    def __repr__(self) -> str:
        return "\n".join(self._repr_lines())

    def _repr_lines(self) -> list[str]:
        name = type(self).__name__
        count = self.parameter_count()
        note = f"  # {count:,} parameters" if count else ""
        children = list(self.named_children())
        if not children:
            shapes = ", ".join(f"{n} {_shape_text(v)}" for n, v in self._own_parameters())
            return [f"{name}({self.extra_repr()})" + (f"  # {shapes}: {count:,} parameters" if shapes else "")]
        lines = [f"{name}({self.extra_repr()}{note}"]
        for child_name, child in children:
            first, *rest = child._repr_lines()
            lines.append(f"  {child_name}: {first}" if child_name else f"  {first}")
            lines.extend("  " + line for line in rest)
        lines.append(")")
        return lines

    def summary(self, *inputs: Any) -> str:
        """A table of the layers with their parameter counts and, given example inputs, output shapes.

        Args:
            inputs: tensors to run through the model once (in eval mode, without gradients).
        """
        shapes: dict[int, str] = {}
        if inputs:
            modes = [(m, m.training) for m in self.modules()]
            handles = [m.register_forward_hook(_shape_recorder(shapes)) for m in self.modules()]
            try:
                with no_grad():
                    self.eval()(*inputs)
            finally:
                for handle in handles:
                    handle.remove()
                for module, mode in modes:
                    object.__setattr__(module, "training", mode)
        rows = []
        for path, module in self.named_modules():
            own = sum(v.size for _, v in module._own_parameters())
            if own or not list(module.children()):
                rows.append((path or "(model)", type(module).__name__, shapes.get(id(module), ""), f"{own:,}"))
        return _table(("layer", "type", "output shape", "parameters"), rows) + "\n" + self._totals()

    def _totals(self) -> str:
        every, trained = self.parameter_count(), self.parameter_count(trainable_only=True)
        size = sum(p.nbytes for p in self.parameters())
        return f"{every:,} parameters ({trained:,} trained), {_bytes_text(size)}"


class ModuleTree:
    """The structure of a module's parameters and buffers; equal if the classes and names are."""

    __slots__ = ("module", "names", "tensors", "trained")

    def __init__(self, module: Module, names: tuple, tensors: list, trained: tuple):
        self.module = module
        self.names = names
        self.tensors = tensors
        self.trained = trained  # which of them gradients are taken by

    def __eq__(self, other: object) -> bool:
        return type(other) is ModuleTree and type(self.module) is type(other.module) and self.names == other.names

    def __hash__(self) -> int:
        return hash(self.names)


def copied(value: Any, tensors: dict[int, Any], known: dict[int, Module]) -> Any:
    """Modules (in lists, tuples and dictionaries too) as new objects with tensors replaced; anything else as it is."""
    if isinstance(value, Module):
        new = known.get(id(value))
        if new is not None:
            return new
        new = known[id(value)] = object.__new__(type(value))
        state = new.__dict__
        for name, inner in value.__dict__.items():
            if name in value._parameter_names or name in value._buffer_names:
                state[name] = tensors.get(id(inner), inner)
            elif name in ("_parameter_names", "_buffer_names"):
                state[name] = dict(inner)
            else:
                state[name] = inner if name in _PRIVATE else copied(inner, tensors, known)
        value._copy_own(new, lambda module: copied(module, tensors, known))
        return new
    kind = type(value)
    if kind is list or kind is tuple:
        return kind(copied(inner, tensors, known) for inner in value)
    if kind is dict:
        return {key: copied(inner, tensors, known) for key, inner in value.items()}
    return value


def _check_name(module: Module, name: str, function: str) -> None:
    if not isinstance(name, str) or not name or "." in name:
        raise ArgumentError(f"[{function}] expected a name without dots, got {name!r}")
    taken = name in _PRIVATE or hasattr(type(module), name)
    if taken:
        raise ArgumentError(f"[{function}] expected a new name, {type(module).__name__} has an attribute {name!r}")


def _join(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix and name else prefix or name


def _modules_in(name: str, value: Any, seen: set[int]) -> Iterator[tuple[str, Module]]:
    if isinstance(value, Module):
        if id(value) not in seen:
            seen.add(id(value))
            yield name, value
    elif type(value) in (list, tuple):
        for i, inner in enumerate(value):
            if isinstance(inner, (Module, list, tuple, dict)):
                yield from _modules_in(_join(name, str(i)), inner, seen)
    elif type(value) is dict:
        for key, inner in value.items():
            if isinstance(inner, (Module, list, tuple, dict)):
                yield from _modules_in(_join(name, str(key)), inner, seen)


def _as_tensor(key: str, value: Any) -> Tensor:
    if isinstance(value, Tensor):
        return value
    from_array = getattr(value, "__dlpack__", None) or getattr(value, "__array__", None)
    if from_array is None:
        raise ArgumentError(f"[load_state_dict] expected a tensor for {key}, got {type(value).__name__}")
    return asarray(value)


def _is_dtype(text: str) -> bool:
    try:
        as_dtype(text, "Module.to")
    except TypeError:
        return False
    return True


_numbers = iter(range(1 << 62))


def _add_hook(hooks: dict[int, Callable], hook: Callable) -> HookHandle:
    if not callable(hook):
        raise ArgumentError(f"[register_forward_hook] expected a function, got {type(hook).__name__}")
    number = next(_numbers)
    hooks[number] = hook
    return HookHandle(hooks, number)


def _shape_text(value: Tensor) -> str:
    return "x".join(map(str, value.shape)) or "scalar"


def _shape_recorder(shapes: dict[int, str]) -> Callable:
    def record(module: Module, args: tuple, output: Any) -> None:
        first = output[0] if isinstance(output, (tuple, list)) and output else output
        shapes[id(module)] = _shape_text(first) if isinstance(first, Tensor) else type(output).__name__

    return record


def _table(head: tuple, rows: list[tuple]) -> str:
    widths = [max(len(r[i]) for r in [head, *rows]) for i in range(len(head))]
    last = len(head) - 1

    def line(row: tuple) -> str:
        cells = [c.rjust(w) if i == last else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))]
        return "  ".join(cells).rstrip()

    return "\n".join([line(head), "-" * (sum(widths) + 2 * last), *map(line, rows), "-" * (sum(widths) + 2 * last)])


def _bytes_text(count: int) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"
