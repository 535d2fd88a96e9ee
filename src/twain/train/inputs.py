"""What people give to fit, evaluate and predict, as a loader of (inputs, target) batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from .. import _core
from ..base.errors import ArgumentError, ShapeError, ValueRangeError
from ..data import ArrayDataset, DataLoader, Subset, random_split
from ..tensor import asarray

Tensor = _core.Tensor


def is_array(value: Any) -> bool:
    """A tensor, or what asarray takes for one."""
    return isinstance(value, Tensor) or hasattr(value, "__array__") or hasattr(value, "__dlpack__")


def _is_numbers(value: Any) -> bool:
    return isinstance(value, list) and (not value or isinstance(value[0], (int, float, bool, list)))


def _arrays(function: str, x: Any) -> list[Any] | None:
    """x as a list of arrays with a common first axis, or None if it isn't arrays."""
    if is_array(x):
        return [x]
    if _is_numbers(x):
        return [asarray(x)]
    if isinstance(x, (tuple, list)) and x and all(is_array(v) or _is_numbers(v) for v in x):
        return [v if is_array(v) else asarray(v) for v in x]
    return None


def _check_arrays(function: str, arrays: list[Any], y: Any) -> None:
    named = [("x" if len(arrays) == 1 else f"x[{i}]", a) for i, a in enumerate(arrays)]
    if y is not None:
        named.append(("y", y))
    for name, a in named:
        if len(a.shape) == 0:
            raise ShapeError(f"[{function}] expected {name} with an axis of samples, got a 0-d array")
    lengths = {a.shape[0] for _, a in named}
    if len(lengths) > 1:
        counts = ", ".join(f"{name} has {a.shape[0]}" for name, a in named)
        raise ShapeError(f"[{function}] expected x and y with the same number of samples, but {counts}")
    if lengths == {0}:
        raise ShapeError(f"[{function}] expected at least one sample, got none (x has shape {tuple(arrays[0].shape)})")


class Source:
    """Batches for one run through the data.

    `loader` is iterated anew each epoch; `resumable` says whether its position can be saved.
    """

    def __init__(self, loader: Any, has_target: bool, unit: str):
        self.loader = loader
        self.has_target = has_target
        self.unit = unit
        self.resumable = hasattr(loader, "state_dict") and hasattr(loader, "load_state_dict")

    @property
    def steps(self) -> int | None:
        """Batches in an epoch, where known."""
        try:
            return len(self.loader)
        except TypeError:
            return None

    def batches(self) -> Iterator[tuple[tuple, Any, int]]:
        """(positional inputs, target or None, number of samples) of each batch."""
        for batch in self.loader:
            inputs, target = split_batch(batch, self.has_target)
            yield inputs, target, batch_size(inputs)


def split_batch(batch: Any, has_target: bool) -> tuple[tuple, Any]:
    """(inputs as a tuple of arguments, target): the last part of a batch is the target."""
    if not has_target:
        parts = tuple(batch) if isinstance(batch, (tuple, list)) else (batch,)
        return tuple(map(_tensor, parts)), None
    if not isinstance(batch, (tuple, list)) or len(batch) < 2:
        raise ArgumentError(
            f"[fit] expected batches (inputs, target), got {type(batch).__name__}"
            + (f" of {len(batch)}" if isinstance(batch, (tuple, list)) else "")
        )
    inputs = batch[0] if len(batch) == 2 and isinstance(batch[0], (tuple, list)) else batch[:-1]
    return tuple(map(_tensor, inputs)), _tensor(batch[-1])


def _tensor(value: Any) -> Any:
    return asarray(value) if not isinstance(value, Tensor) and is_array(value) else value


def batch_size(inputs: tuple) -> int:
    """Samples in a batch."""
    first = inputs[0]
    shape = getattr(first, "shape", None)
    return int(shape[0]) if shape else len(first) if hasattr(first, "__len__") else 1


def as_source(
    function: str,
    x: Any,
    y: Any,
    *,
    batch_size: int,
    shuffle: bool,
    seed: int,
    need_target: bool,
) -> Source:
    """A Source of whatever x and y are.

    x may be an array (tensor, NumPy array, list of numbers), a list of arrays (several inputs), a data set of
    (inputs, target) samples, a DataLoader, or any iterable of batches that can be iterated over again.
    """
    if isinstance(x, Source):
        return x
    arrays = _arrays(function, x)
    if arrays is not None:
        target = y if y is None or is_array(y) else asarray(y)
        _check_arrays(function, arrays, target)
        if need_target and target is None:
            raise ArgumentError(f"[{function}] expected y beside the array x, got None")
        parts = arrays if target is None else [*arrays, target]
        loader = DataLoader(ArrayDataset(*parts), batch_size, shuffle=shuffle, seed=seed)
        return Source(loader, target is not None, _unit(arrays[0]))
    if y is not None:
        raise ArgumentError(
            f"[{function}] expected y only beside an array x; a {type(x).__name__} gives the targets itself"
        )
    if isinstance(x, DataLoader) or (hasattr(x, "__iter__") and not hasattr(x, "__getitem__")):
        if hasattr(x, "__next__"):
            raise ArgumentError(
                f"[{function}] expected a loader that can be iterated over each epoch, got the iterator "
                f"{type(x).__name__}; wrap it in a DataLoader or a class with __iter__"
            )
        source = Source(x, need_target, "samples")
        if source.steps == 0:
            raise ShapeError(f"[{function}] expected at least one batch, got a loader with none")
        return source
    if hasattr(x, "__len__") and hasattr(x, "__getitem__"):
        if len(x) == 0:
            raise ShapeError(f"[{function}] expected at least one sample, got an empty {type(x).__name__}")
        return Source(DataLoader(x, batch_size, shuffle=shuffle, seed=seed), need_target, "samples")
    raise ArgumentError(
        f"[{function}] expected x to be arrays, a data set, a DataLoader or an iterable of batches, got "
        f"{type(x).__name__}"
    )


def _unit(first: Any) -> str:
    return "images" if len(first.shape) == 4 else "samples"


def split_validation(x: Any, y: Any, share: float, seed: int) -> tuple[Any, Any]:
    """(training data set, validation data set) of arrays or a data set, a random `share` held out."""
    if not 0.0 < share < 1.0:
        raise ValueRangeError(f"[fit] expected validation_split between 0 and 1, got {share}")
    arrays = _arrays("fit", x)
    if arrays is not None:
        target = y if y is None or is_array(y) else asarray(y)
        _check_arrays("fit", arrays, target)
        dataset: Any = ArrayDataset(*arrays, target)
    elif hasattr(x, "__len__") and hasattr(x, "__getitem__") and not isinstance(x, DataLoader):
        dataset = x
    else:
        raise ArgumentError(
            f"[fit] expected arrays or a data set for validation_split, got {type(x).__name__}; give validation_data"
        )
    held = round(len(dataset) * share)
    if not 0 < held < len(dataset):
        raise ValueRangeError(
            f"[fit] expected validation_split to leave samples on both sides, got {share} of {len(dataset)} samples"
        )
    train, validation = random_split(dataset, [len(dataset) - held, held], seed=seed)
    return train, validation


def unit_of(x: Any, inputs: Sequence[Any]) -> str:
    """What the samples are called: images for inputs (N, C, H, W)."""
    first = inputs[0] if inputs else None
    return _unit(first) if first is not None and hasattr(first, "shape") else "samples"


__all__ = ["Source", "Subset", "as_source", "batch_size", "split_batch", "split_validation", "unit_of"]
