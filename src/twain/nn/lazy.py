"""Sizes that need not be told: a layer finds them from its first input, or from the state that it loads.

`nn.Linear(out_features=10)` and `nn.LazyLinear(10)` are the same: one of the class's arguments, its `inferred`, is None.
Such a layer holds `UninitializedParameter`s under the names of its parameters, and a hook that runs before its first call.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, ClassVar

from .. import _core
from ..base.dtypes import as_dtype
from ..base.errors import ArgumentError, ShapeError, ValueRangeError
from ..base.lazy import Unseen
from ..base.uninitialized import UninitializedBuffer, UninitializedParameter
from ..tensor import full
from .module import Module

Tensor = _core.Tensor


def parameter(shape: tuple, dtype: Any, device: Any, fill: float = 0.0) -> Tensor:
    """A tensor that requires a gradient, to be filled by an initialiser."""
    return full(shape, fill, dtype=as_dtype("float32" if dtype is None else dtype), device=device).requires_grad_()


def check_sizes(layer: str, **sizes: Any) -> None:
    """ValueRangeError unless all are ints of at least 1."""
    for name, value in sizes.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ValueRangeError(f"[{layer}] expected {name} to be an int of at least 1, got {value!r}")


class Inferring(Module):
    """Base of layers with a size that the first input tells if it is left out.

    A subclass names that argument in `inferred`, stores its arguments and calls `_create(dtype, device)` at the end of
    `__init__`. It says which tensors it has (`_parameter_shapes`, `_buffer_shapes`), fills them (`reset_parameters`), and
    reads the size from an input (`_size_of`) and from the shapes of a state (`_size_in`).
    """

    inferred: ClassVar[str]
    becomes: ClassVar[type | None] = None  # the class of a Lazy layer once it knows its size
    # What most have, for type checkers: which ones a layer has is said by _parameter_shapes.
    weight: Any
    bias: Any

    def _parameter_shapes(self) -> dict[str, tuple | None]:
        """{name: shape}; None for a parameter that this one does without. A size not known yet may be None."""
        raise NotImplementedError

    def _buffer_shapes(self) -> dict[str, tuple | None]:
        return {}

    def _buffer_dtype(self, name: str, dtype: Any) -> Any:
        return dtype

    def reset_parameters(self) -> None:
        """New initial values."""

    def _check_sizes(self) -> None:
        """Raise for sizes that don't go together."""
        check_sizes(type(self).__name__, **{self.inferred: getattr(self, self.inferred)})

    def _size_of(self, input: Tensor) -> Any:
        """The inferred argument, from the first input."""
        raise NotImplementedError

    def _size_in(self, shapes: Mapping[str, tuple]) -> Any:
        """The inferred argument, from the shapes of a state's tensors by the layer's own names; None if they don't tell."""
        raise NotImplementedError

    def _create(self, dtype: Any, device: Any) -> None:
        dtype = as_dtype("float32" if dtype is None else dtype)
        if getattr(self, self.inferred) is not None:
            self._check_sizes()
            self._make_tensors(dtype, device, {})
            return
        name = type(self).__name__
        self._pending = [dtype, device]
        for key, shape in self._parameter_shapes().items():
            self.register_parameter(key, None if shape is None else UninitializedParameter(name))
        for key, shape in self._buffer_shapes().items():
            self.register_buffer(key, None if shape is None else UninitializedBuffer(name))
        self._first_call = self.register_forward_pre_hook(_infer_from_input, with_kwargs=True)

    def _make_tensors(self, dtype: Any, device: Any, trains: dict[str, bool]) -> None:
        for key, shape in self._parameter_shapes().items():
            self.register_parameter(key, None if shape is None else parameter(shape, dtype, device))
        for key, shape in self._buffer_shapes().items():
            kind = self._buffer_dtype(key, dtype)
            self.register_buffer(key, None if shape is None else full(shape, 0, dtype=kind, device=device))
        self.reset_parameters()
        for key, requires_grad in trains.items():
            getattr(self, key).requires_grad_(requires_grad)

    def has_uninitialized_params(self) -> bool:
        """Whether the layer waits for its first input."""
        return "_pending" in self.__dict__

    def _learn(self, size: Any) -> None:
        """Become a layer of that size."""
        dtype, device = self._pending
        trains = {key: value.requires_grad for key, value in self._own_parameters()}
        setattr(self, self.inferred, size)
        try:
            self._check_sizes()
        except ValueError:
            setattr(self, self.inferred, None)
            raise
        del self._pending
        self._first_call.remove()
        del self._first_call
        self._make_tensors(dtype, device, trains)
        if type(self).becomes is not None:
            self.__class__ = type(self).becomes  # type: ignore[assignment]

    def _before_loading(self, state: dict[str, Any], prefix: str) -> None:
        if self.has_uninitialized_params():
            names = [*self._parameter_names, *self._buffer_names]
            shapes = {n: tuple(state[prefix + n].shape) for n in names if hasattr(state.get(prefix + n), "shape")}
            size = self._size_in(shapes)
            if size is not None:
                self._learn(size)

    def _moved(self, dtype: Any, device: Any) -> None:
        if self.has_uninitialized_params():
            before = self._pending
            self._pending = [before[0] if dtype is None else dtype, before[1] if device is None else device]


def _infer_from_input(layer: Inferring, args: tuple, kwargs: dict) -> None:
    first: Any = args[0] if args else next(iter(kwargs.values()), None)
    name = type(layer).__name__
    if not hasattr(first, "shape"):
        raise ArgumentError(f"[{name}] expected a tensor as the first input, got {type(first).__name__}")
    with Unseen():  # a recording starts with the layer's next call
        try:
            size = layer._size_of(first)
        except IndexError:
            raise ShapeError(
                f"[{name}] expected an input with more axes, to tell {layer.inferred} by, got shape {tuple(first.shape)}"
            ) from None
        layer._learn(size)


def channels_of(input: Tensor, axes: int) -> int:
    """The number of channels of (n, channels, ...) or (channels, ...), with `axes` places."""
    return int(input.shape[input.ndim - axes - 1])


def lazy_version(plain: type[Inferring], **defaults: Any) -> type[Any]:
    """The class `Lazy...`: the same without the first argument, which the first input tells.

    defaults: where PyTorch's lazy class has others than the plain one.
    """
    names = list(inspect.signature(plain.__init__).parameters)[2:]

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        for key, value in defaults.items():
            if names.index(key) >= len(args):
                kwargs.setdefault(key, value)
        plain.__init__(self, None, *args, **kwargs)  # type: ignore[call-arg]

    name = "Lazy" + plain.__name__
    doc = f"{plain.__name__} without {plain.inferred}, which the first input tells; from then on it is a {plain.__name__}."
    made = {"__init__": __init__, "__doc__": doc, "__module__": plain.__module__, "becomes": plain}
    return type(name, (plain,), made)


__all__ = ["Inferring", "channels_of", "check_sizes", "lazy_version", "parameter"]
