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
from typing import Any, NamedTuple

from .. import _core
from ..base import lazy
from ..base.dtypes import as_dtype
from ..base.errors import ArgumentError, ShapeError
from ..base.uninitialized import UninitializedTensor
from ..tensor import asarray, empty, no_grad, zeros_like
from .hooks import BackwardHook, HookHandle, add_hook, run_after, run_before
from .parameters import is_declared
from .symbols import Symbol, call_symbolically

Tensor = _core.Tensor

_PRIVATE = frozenset({"_parameter_names", "_buffer_names", "_forward_hooks", "_forward_pre_hooks"})


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
    _forward_hooks: dict[int, tuple[Callable, bool]]
    _forward_pre_hooks: dict[int, tuple[Callable, bool]]

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
            if name not in self._buffer_names and (value.requires_grad and value.is_leaf or is_declared(value)):
                self._parameter_names[name] = None
        elif value is not None and not isinstance(value, UninitializedTensor):
            if name in _PRIVATE and name in self.__dict__:
                raise ArgumentError(f"[{type(self).__name__}] expected another attribute name, {name!r} is taken")
            self._parameter_names.pop(name, None)
            self._buffer_names.pop(name, None)
        object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        self._parameter_names.pop(name, None)
        self._buffer_names.pop(name, None)
        object.__delattr__(self, name)

    def register_buffer(self, name: str, tensor: Any, persistent: bool = True) -> None:
        """A tensor that belongs to the module and is not trained: moved by `to`, saved if `persistent`."""
        _check_name(self, name, "register_buffer")
        if tensor is not None and not isinstance(tensor, (Tensor, UninitializedTensor)):
            raise ArgumentError(
                f"[register_buffer] expected a tensor or None for {name!r}, got {type(tensor).__name__}"
            )
        self._parameter_names.pop(name, None)
        self._buffer_names[name] = persistent
        object.__setattr__(self, name, tensor)

    def register_parameter(self, name: str, tensor: Any) -> None:
        """The same as assigning a tensor that requires a gradient; None keeps the name's place in the order."""
        _check_name(self, name, "register_parameter")
        if tensor is not None and not isinstance(tensor, (Tensor, UninitializedTensor)):
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

    def named_modules(
        self, memo: set | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """(dotted name, module) for this module and all below it, each module once unless remove_duplicate is False.

        memo: ids of modules that count as listed already.
        """
        if isinstance(memo, str):
            raise ArgumentError(f"[named_modules] expected memo to be a set of ids, got {memo!r}; pass prefix={memo!r}")
        return self._walk(prefix, set() if memo is None else memo) if remove_duplicate else self._walk_shared(prefix)

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

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """(dotted name, tensor), a tensor that several places share once unless remove_duplicate is False.

        recurse: those of the modules below too.
        """
        seen: set[int] = set()
        for path, module in self._places(prefix, recurse, remove_duplicate):
            for name, value in module._own_parameters():
                if id(value) not in seen or not remove_duplicate:
                    seen.add(id(value))
                    yield _join(path, name), value

    def _places(self, prefix: str, recurse: bool, remove_duplicate: bool) -> Iterator[tuple[str, Module]]:
        return self.named_modules(None, prefix, remove_duplicate) if recurse else iter([(prefix, self)])

    def parameters(self, recurse: bool = True) -> Iterator[Tensor]:
        """All parameters, frozen ones too."""
        for _, value in self.named_parameters(recurse=recurse):
            yield value

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """(dotted name, tensor) of what `register_buffer` declared; arguments as in named_parameters."""
        seen: set[int] = set()
        for path, module in self._places(prefix, recurse, remove_duplicate):
            for name, value, _ in module._own_buffers():
                if id(value) not in seen or not remove_duplicate:
                    seen.add(id(value))
                    yield _join(path, name), value

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """All buffers."""
        for _, value in self.named_buffers(recurse=recurse):
            yield value

    def add_module(self, name: str, module: Module | None) -> None:
        """The same as assigning the module to an attribute of that name."""
        _check_name(self, name, "add_module")
        if module is not None and not isinstance(module, Module):
            raise ArgumentError(f"[add_module] expected a module or None for {name!r}, got {type(module).__name__}")
        setattr(self, name, module)

    register_module = add_module

    def get_submodule(self, target: str) -> Module:
        """The module below this one with the dotted name `target`; "" is this one."""
        if not target:
            return self
        for name, child in self.named_children():
            if name == target:
                return child
            if target.startswith(name + "."):
                return child.get_submodule(target[len(name) + 1 :])
        raise AttributeError(
            f"[get_submodule] expected a module below {type(self).__name__} on the way to {target!r}, among "
            f"{', '.join(name for name, _ in self.named_children()) or 'none'}"
        )

    def set_submodule(self, target: str, module: Module, strict: bool = False) -> None:
        """Put `module` in the place with the dotted name `target`; strict: only where there is one already."""
        if not isinstance(module, Module) or not target:
            raise ArgumentError(
                f"[set_submodule] expected a name and a module, got {target!r}, {type(module).__name__}"
            )
        holder, name = self, target
        while True:
            inside = [(n, child) for n, child in holder.named_children() if name.startswith(n + ".")]
            if not inside:
                break
            name, holder = name[len(inside[0][0]) + 1 :], inside[0][1]
        if strict and name not in [n for n, _ in holder.named_children()]:
            raise AttributeError(f"[set_submodule] expected a module called {target!r}, got none there")
        _put(holder, name, module)

    def get_parameter(self, target: str) -> Tensor:
        """The parameter with the dotted name `target`."""
        return self._get_tensor("get_parameter", target, "_parameter_names")

    def get_buffer(self, target: str) -> Tensor:
        """The buffer with the dotted name `target`."""
        return self._get_tensor("get_buffer", target, "_buffer_names")

    def _get_tensor(self, function: str, target: str, names: str) -> Tensor:
        path, _, name = target.rpartition(".")
        holder = self.get_submodule(path)
        if name not in getattr(holder, names):
            raise AttributeError(f"[{function}] expected one of {list(getattr(holder, names))}, got {name!r}")
        return getattr(holder, name)

    # ------------------------------------------------------------ state
    def _named_state(self) -> Iterator[tuple[str, Module, str]]:
        """(dotted name, holder, attribute) of all parameters and persistent buffers, shared ones under each name."""
        for path, module in self._walk_shared(""):
            for name, _ in module._own_parameters():
                yield _join(path, name), module, name
            for name, _, persistent in module._own_buffers():
                if persistent:
                    yield _join(path, name), module, name

    def get_extra_state(self) -> Any:
        """What goes into state dictionaries as "_extra_state"; a layer of one's own may give something here."""
        raise NotImplementedError(
            f"[{type(self).__name__}] expected a get_extra_state of its own beside set_extra_state"
        )

    def set_extra_state(self, state: Any) -> None:
        """Take back what `get_extra_state` has given."""
        raise NotImplementedError(
            f"[{type(self).__name__}] expected a set_extra_state of its own beside get_extra_state"
        )

    def _extras(self) -> Iterator[tuple[str, Module]]:
        """(name in state dictionaries, module) of those with extra state."""
        for path, module in self._walk_shared(""):
            if type(module).get_extra_state is not Module.get_extra_state:
                yield _join(path, "_extra_state"), module

    def _walk_shared(self, prefix: str, above: tuple = ()) -> Iterator[tuple[str, Module]]:
        """As named_modules, but a module under two names comes twice (state dictionaries list both)."""
        yield prefix, self
        for name, child in self.named_children():
            if child not in above:
                yield from child._walk_shared(_join(prefix, name), (*above, self))

    def state_dict(self, *, prefix: str = "", keep_vars: bool = False) -> dict[str, Tensor]:
        """{dotted name: tensor}: parameters and persistent buffers, by PyTorch's names.

        The tensors are snapshots in effect: a later training step gives the module new values and leaves these alone.

        Args:
            prefix: comes before each name.
            keep_vars: the parameters themselves in place of snapshots.
        """
        hooked = [
            (path, module) for path, module in self._walk_shared(prefix[:-1]) if "_state_hooks" in module.__dict__
        ]
        for path, module in hooked:
            for hook in list(module._state_hooks["before"].values()):
                hook(module, path and path + ".", keep_vars)
        state = {}
        for key, holder, name in self._named_state():
            value = getattr(holder, name)
            if isinstance(value, UninitializedTensor):
                raise value.error("state_dict")
            state[prefix + key] = value if keep_vars else value.detach()
        for key, module in self._extras():
            state[prefix + key] = module.get_extra_state()
        for path, module in reversed(hooked):
            for hook in list(module._state_hooks["after"].values()):
                changed = hook(module, state, path and path + ".", {})
                if changed is not None:
                    state = changed
        return state

    def load_state_dict(self, state: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Unmatched:
        """Take the values of `state` (tensors or arrays), cast to the dtypes that the module has.

        A layer that has not seen an input yet takes its sizes from the state.

        Args:
            state: {dotted name: tensor}, as `state_dict` gives.
            strict: whether missing and unexpected names are errors; a shape that doesn't fit always is one.
            assign: the tensors of `state` become the module's, with their dtypes and devices, in place of their values.

        Returns:
            (missing_keys, unexpected_keys).

        Raises:
            ShapeError: (a ValueError) that lists every missing, unexpected and mis-shaped name; the module is then
                unchanged.
        """
        problems: list[str] = []
        state = self._prepared_state(dict(state), strict, problems)
        targets = {key: (holder, name) for key, holder, name in self._named_state()}
        extras = dict(self._extras())
        missing = [key for key in (*targets, *extras) if key not in state]
        unexpected = [key for key in state if key not in targets and key not in extras]
        values = {key: _as_tensor(key, state[key]) for key in targets if key in state}
        misshaped = []
        for key, value in values.items():
            have = getattr(*targets[key])
            if isinstance(have, UninitializedTensor):
                misshaped.append(f"{key}: expected a shape that tells the sizes of {have!r}, got {tuple(value.shape)}")
            elif tuple(have.shape) != tuple(value.shape):
                misshaped.append(f"{key}: expected shape {tuple(have.shape)}, got {tuple(value.shape)}")
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
                holder, name = targets[key]
                have = getattr(holder, name)
                value = value.detach()
                if assign:
                    object.__setattr__(holder, name, value.requires_grad_(have.requires_grad))
                else:
                    have.assign(value if value.dtype is have.dtype else value.astype(have.dtype))
        for key, module in extras.items():
            if key in state:
                module.set_extra_state(state[key])
        unmatched = Unmatched(missing, unexpected)
        for _, module in self._walk_shared(""):
            for hook in list(module.__dict__.get("_state_hooks", {}).get("loaded", {}).values()):
                hook(module, unmatched)
        return unmatched

    def _prepared_state(self, state: dict[str, Any], strict: bool, problems: list[str]) -> dict[str, Any]:
        """What hooks make of a state; layers without sizes take them from it."""
        for path, module in list(self._walk_shared("")):
            prefix = path and path + "."
            for hook in list(module.__dict__.get("_state_hooks", {}).get("loading", {}).values()):
                hook(module, state, prefix, {}, strict, [], [], problems)
            module._before_loading(state, prefix)
        return state

    def _before_loading(self, state: dict[str, Any], prefix: str) -> None:
        """What a class of layers does with a state before it is compared with its own; `state` is a copy."""

    def _moved(self, dtype: Any, device: Any) -> None:
        """What a class of layers does beyond its tensors when `to` is called."""

    def _state_hook(self, when: str, hook: Callable) -> HookHandle:
        if "_state_hooks" not in self.__dict__:
            self.__dict__["_state_hooks"] = {"before": {}, "after": {}, "loading": {}, "loaded": {}}
        return add_hook(self._state_hooks[when], hook)

    def register_state_dict_pre_hook(self, hook: Callable) -> HookHandle:
        """`hook(module, prefix, keep_vars)` runs before `state_dict` collects."""
        return self._state_hook("before", hook)

    def register_state_dict_post_hook(self, hook: Callable) -> HookHandle:
        """`hook(module, state, prefix, {})` runs after; it may change `state`, or return another."""
        return self._state_hook("after", hook)

    def register_load_state_dict_pre_hook(self, hook: Callable) -> HookHandle:
        """`hook(module, state, prefix, {}, strict, [], [], errors)` runs before loading; it may change the copy `state`.

        Sentences that it appends to `errors` are raised together with what else is wrong.
        """
        return self._state_hook("loading", hook)

    def register_load_state_dict_post_hook(self, hook: Callable) -> HookHandle:
        """`hook(module, (missing_keys, unexpected_keys))` runs after loading; it may change the two lists."""
        return self._state_hook("loaded", hook)

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
            if isinstance(value, UninitializedTensor):
                return value
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
            module._moved(dtype, device)
        return self

    def half(self) -> Module:
        """Floating parameters and buffers as float16; in place, as `to`."""
        return self.to(dtype="float16")

    def bfloat16(self) -> Module:
        """Floating parameters and buffers as bfloat16; in place, as `to`."""
        return self.to(dtype="bfloat16")

    def float(self) -> Module:
        """Floating parameters and buffers as float32; in place, as `to`."""
        return self.to(dtype="float32")

    def double(self) -> Module:
        """Floating parameters and buffers as float64; in place, as `to`."""
        return self.to(dtype="float64")

    def type(self, dst_type: Any) -> Module:
        """Floating parameters and buffers as dst_type; in place, as `to`."""
        return self.to(dtype=dst_type)

    def cpu(self) -> Module:
        """Everything on the CPU; in place, as `to`."""
        return self.to(device="cpu")

    def cuda(self, device: int | str | None = None) -> Module:
        """Everything on a GPU; in place, as `to`. DeviceError where there is none."""
        return self.to(device="cuda" if device is None else f"cuda:{device}" if isinstance(device, int) else device)

    def to_empty(self, *, device: Any, recurse: bool = True) -> Module:
        """Everything on a device without its values, for a state dict to come; in place, as `to`."""
        made: dict[int, Tensor] = {}
        for module in self.modules() if recurse else (self,):
            for name, value in [*module._own_parameters(), *((n, v) for n, v, _ in module._own_buffers())]:
                if isinstance(value, UninitializedTensor):
                    continue
                if id(value) not in made:
                    fresh = empty(tuple(value.shape), dtype=value.dtype, device=device)
                    made[id(value)] = fresh.requires_grad_() if value.requires_grad else fresh
                object.__setattr__(module, name, made[id(value)])
            module._moved(None, device)
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
                if isinstance(value, UninitializedTensor):
                    raise value.error(type(self).__name__)
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
        args, kwargs = run_before(self, self._forward_pre_hooks, args, kwargs)
        return run_after(self, self._forward_hooks, args, kwargs, self.forward(*args, **kwargs))

    def register_forward_hook(self, hook: Callable, *, prepend: bool = False, with_kwargs: bool = False) -> HookHandle:
        """`hook(module, args, output)` runs after `forward`; what it returns, if not None, is the output.

        prepend: before hooks that are there; with_kwargs: hook(module, args, kwargs, output).
        """
        return add_hook(self._forward_hooks, hook, (hook, with_kwargs), prepend)

    def register_forward_pre_hook(
        self, hook: Callable, *, prepend: bool = False, with_kwargs: bool = False
    ) -> HookHandle:
        """`hook(module, args)` runs before `forward`; what it returns, if not None, are the arguments.

        prepend: before hooks that are there; with_kwargs: hook(module, args, kwargs), which returns None or both.
        """
        return add_hook(self._forward_pre_hooks, hook, (hook, with_kwargs), prepend)

    def register_full_backward_hook(self, hook: Callable, prepend: bool = False) -> HookHandle:
        """`hook(module, grad_input, grad_output)` runs when the gradients of the call's tensor arguments are known.

        Both are tuples, one entry per positional argument and output, None where there is no gradient. What it returns, if
        not None, takes the place of grad_input; that is for modules with one argument that needs a gradient.

        Compiled functions that meet such a module run eagerly.
        """
        return BackwardHook(hook, before=False).attach(self, prepend)

    def register_full_backward_pre_hook(self, hook: Callable, prepend: bool = False) -> HookHandle:
        """`hook(module, grad_output)` runs when the gradient of the output is known; what it returns takes its place."""
        return BackwardHook(hook, before=True).attach(self, prepend)

    # ------------------------------------------------------------ showing
    def extra_repr(self) -> str:
        """The module's own settings, for `repr`."""
        return ""

    def parameter_count(self, trainable_only: bool = False) -> int:
        """Number of elements in all parameters."""
        return sum(
            p.size
            for p in self.parameters()
            if not isinstance(p, UninitializedTensor) and (p.requires_grad or not trainable_only)
        )

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

    def summary(self, *inputs: Any, depth: int | None = None) -> str:
        """A table of the layers: what `twain.nn.summary(self, *inputs)` prints."""
        return str(lazy.load("twain.nn.summary").summary(self, *inputs, depth=depth))


class Unmatched(NamedTuple):
    """Names of a module that a state lacks, and names of the state that the module has no use for."""

    missing_keys: list[str]
    unexpected_keys: list[str]


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


def _put(holder: Module, name: str, module: Module) -> None:
    """`module` as the child `name` of `holder`, also inside its lists and dictionaries."""
    first, *rest = name.split(".")
    if not rest:
        setattr(holder, first, module)
        return
    place: Any = getattr(holder, first, None)
    for step in rest[:-1]:
        place = place[step if isinstance(place, dict) else int(step)]
    if not isinstance(place, (list, dict)):
        raise AttributeError(f"[set_submodule] expected a place for {name!r} in {type(holder).__name__}, got none")
    place[rest[-1] if isinstance(place, dict) else int(rest[-1])] = module  # type: ignore[index,call-overload]


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


def _shape_text(value: Tensor) -> str:
    if isinstance(value, UninitializedTensor):
        return "not known yet"
    return "x".join(map(str, value.shape)) or "scalar"
