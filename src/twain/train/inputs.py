"""What people give to fit, evaluate and predict, as batches of (inputs, target, weight)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, NamedTuple

from .. import _core
from ..base import pytree
from ..base.errors import ArgumentError, ShapeError, ValueRangeError
from ..data import ArrayDataset, DataLoader, random_split
from ..tensor import asarray

Tensor = _core.Tensor


class Batch(NamedTuple):
    """Positional inputs, target (None for predict), weight (N,) or None, number of samples; each may be a tree."""

    inputs: tuple
    target: Any
    weight: Tensor | None
    size: int


def is_array(value: Any) -> bool:
    """A tensor, or what asarray takes for one."""
    return isinstance(value, Tensor) or hasattr(value, "__array__") or hasattr(value, "__dlpack__")


def _is_numbers(value: Any) -> bool:
    return isinstance(value, list) and (not value or isinstance(value[0], (int, float, bool, list)))


def _as_tree(value: Any) -> Any:
    """`value` with lists of numbers as tensors, or None unless it is an array or a container of arrays."""
    if is_array(value):
        return value
    if _is_numbers(value):
        return asarray(value)
    if isinstance(value, dict) and value:
        parts = {key: _as_tree(part) for key, part in value.items()}
        return None if any(part is None for part in parts.values()) else parts
    if isinstance(value, (tuple, list)) and value:
        if isinstance(value, list) and isinstance(value[0], (tuple, list, dict)):
            return None  # a list of samples is a data set
        row = tuple(map(_as_tree, value))
        return None if any(part is None for part in row) else row
    return None


def _named(name: str, tree: Any) -> list[tuple[str, Any]]:
    """(how the user would write it, array) for each array of a tree."""
    if isinstance(tree, dict):
        return [pair for key, part in tree.items() for pair in _named(f"{name}[{key!r}]", part)]
    if isinstance(tree, tuple):
        return [pair for i, part in enumerate(tree) for pair in _named(f"{name}[{i}]", part)]
    return [(name, tree)]


def _check_arrays(function: str, named: list[tuple[str, Any]]) -> None:
    for name, a in named:
        if len(a.shape) == 0:
            raise ShapeError(f"[{function}] expected {name} with an axis of samples, got a 0-d array")
    lengths = {a.shape[0] for _, a in named}
    if len(lengths) > 1:
        counts = ", ".join(f"{name} has {a.shape[0]}" for name, a in named)
        raise ShapeError(f"[{function}] expected x and y with the same number of samples, but {counts}")
    if lengths == {0}:
        name, first = named[0]
        raise ShapeError(f"[{function}] expected at least one sample, got none ({name} has shape {tuple(first.shape)})")


class Source:
    """Batches for one run through the data.

    Args:
        loader: iterated anew each epoch, or an iterator that goes on where it was.
        take: makes a Batch of what the loader gives.
        unit: what the samples are called.
        limit: batches in an epoch, if the loader doesn't say.

    `resumable` says whether the loader's position can be saved.
    """

    def __init__(self, loader: Any, take: Callable[[Any], Batch], unit: str, limit: int | None = None):
        self.loader = loader
        self.take = take
        self.unit = unit
        self.limit = limit
        self.resumable = limit is None and hasattr(loader, "state_dict") and hasattr(loader, "load_state_dict")

    @property
    def steps(self) -> int | None:
        """Batches in an epoch, where known."""
        try:
            known = len(self.loader)
        except TypeError:
            return self.limit
        return known if self.limit is None else min(known, self.limit)

    def batches(self) -> Iterator[Batch]:
        """Each batch of an epoch."""
        for batch in islice(self.loader, self.limit):
            yield self.take(batch)


class Repeated:
    """What a generator function gives, called anew each epoch."""

    def __init__(self, function: Callable[[], Any]):
        self.function = function

    def __iter__(self) -> Iterator[Any]:
        return iter(self.function())


def _tensors(value: Any) -> Any:
    """Arrays in a batch as tensors; what is no array stays as it is."""
    if type(value) is Tensor:
        return value
    return pytree.map_leaves(lambda leaf: asarray(leaf) if is_array(leaf) else leaf, value)


def _first_leaf(tree: Any) -> Any:
    leaves = pytree.flatten(tree)[0]
    return leaves[0] if leaves else None


def samples_in(inputs: Any) -> int:
    """How many samples a batch of inputs has: the length of its first array."""
    first = inputs[0] if type(inputs) is tuple and inputs and type(inputs[0]) is Tensor else _first_leaf(inputs)
    shape = getattr(first, "shape", None)
    return int(shape[0]) if shape else len(first) if hasattr(first, "__len__") else 1


def split_batch(batch: Any, has_target: bool, weighted: bool = False) -> Batch:
    """A Batch of what a loader gives: the last part is the target, or the weights with the target before them."""
    wanted = "(inputs, target, weight)" if weighted else "(inputs, target)"
    if not has_target:
        parts = tuple(batch) if isinstance(batch, (tuple, list)) else (batch,)
        inputs = tuple(_tensors(part) for part in parts)
        return Batch(inputs, None, None, samples_in(inputs))
    least = 3 if weighted else 2
    if not isinstance(batch, (tuple, list)) or len(batch) < least:
        raise ArgumentError(
            f"[fit] expected batches {wanted}, got {type(batch).__name__}"
            + (f" of {len(batch)}" if isinstance(batch, (tuple, list)) else "")
        )
    *given, target = batch[: len(batch) - weighted]
    if len(given) == 1 and isinstance(given[0], (tuple, list)):
        given = list(given[0])
    inputs = tuple(_tensors(part) for part in given)
    return Batch(inputs, _tensors(target), _tensors(batch[-1]) if weighted else None, samples_in(inputs))


def _of_leaves(spec: pytree.TreeSpec) -> Callable[[Any], Batch]:
    """Makes a Batch of the row of arrays that an ArrayDataset gives."""

    def take(leaves: Any) -> Batch:
        tree: Any = pytree.unflatten(spec, list(leaves))
        inputs, target, weight = tree
        return Batch(inputs, target, weight, leaves[0].shape[0])

    return take


def _array_source(function: str, x: Any, y: Any, weight: Any, loader_settings: dict[str, Any]) -> Source:
    target = None if y is None else _as_tree(y)
    if y is not None and target is None:
        target = asarray(y)
    if weight is not None and not is_array(weight):
        weight = asarray(weight)
    named = _named("x", x) + ([] if target is None else _named("y", target))
    if weight is not None:
        named.append(("sample_weight", weight))
    _check_arrays(function, named)
    inputs = x if isinstance(x, tuple) else (x,)
    leaves, spec = pytree.flatten((inputs, target, weight))
    # None is a leaf to pytrees; it carries no array.
    kept = [leaf for leaf in leaves if leaf is not None]
    take = _of_leaves(spec)
    holes = [leaf is None for leaf in leaves]
    loader = DataLoader(ArrayDataset(*kept), **loader_settings)
    return Source(loader, lambda row: take(_with_holes(row, holes)), unit_of(kept[0]))


def _with_holes(row: Any, holes: list[bool]) -> list[Any]:
    values = iter(row)
    return [None if hole else next(values) for hole in holes]


def as_source(
    function: str,
    x: Any,
    y: Any,
    *,
    batch_size: int,
    shuffle: bool = False,
    seed: int = 0,
    need_target: bool = True,
    weight: Any = None,
    steps: int | None = None,
) -> Source:
    """A Source of whatever x and y are.

    x may be an array (tensor, NumPy array, list of numbers), a tuple, list or dictionary of arrays, a data set of
    (inputs, target) samples, a DataLoader, an iterable of batches, a function that returns one, or an iterator, of which
    each epoch takes `steps` batches. weight: (N,) beside arrays; True: each batch ends in its weights.
    """
    if isinstance(x, Source):
        return x
    if steps is not None and (not isinstance(steps, int) or isinstance(steps, bool) or steps < 1):
        raise ValueRangeError(f"[{function}] expected steps to be an int of at least 1, got {steps!r}")
    settings: dict[str, Any] = {"batch_size": batch_size, "shuffle": shuffle, "seed": seed}
    tree = _as_tree(x)
    if tree is not None:
        if need_target and y is None:
            raise ArgumentError(f"[{function}] expected y beside the array x, got None")
        if weight is True:
            raise ArgumentError(f"[{function}] expected sample_weight as an array beside the array x, got True")
        source = _array_source(function, tree, y, weight, settings)
        if steps is not None:
            source = Source(source.loader, source.take, source.unit, steps)
        return source
    if y is not None:
        raise ArgumentError(
            f"[{function}] expected y only beside an array x; a {type(x).__name__} gives the targets itself"
        )
    if weight is not None and weight is not True:
        raise ArgumentError(
            f"[{function}] expected sample_weight=True for a {type(x).__name__} whose batches end in weights, got "
            f"{type(weight).__name__}"
        )

    def take(batch: Any) -> Batch:
        return split_batch(batch, need_target, weight is True)

    if callable(x) and not hasattr(x, "__iter__") and not hasattr(x, "__getitem__"):
        return Source(Repeated(x), take, "samples", steps)
    if isinstance(x, DataLoader) or (hasattr(x, "__iter__") and not hasattr(x, "__getitem__")):
        if hasattr(x, "__next__") and steps is None:
            raise ArgumentError(
                f"[{function}] expected a loader that can be iterated over each epoch, got the iterator "
                f"{type(x).__name__}; give steps_per_epoch, the function that makes it, or a class with __iter__"
            )
        source = Source(x, take, "samples", steps)
        if source.steps == 0:
            raise ShapeError(f"[{function}] expected at least one batch, got a loader with none")
        return source
    if hasattr(x, "__len__") and hasattr(x, "__getitem__"):
        if len(x) == 0:
            raise ShapeError(f"[{function}] expected at least one sample, got an empty {type(x).__name__}")
        return Source(DataLoader(x, **settings), take, "samples", steps)
    raise ArgumentError(
        f"[{function}] expected x to be arrays, a data set, a DataLoader or an iterable of batches, got "
        f"{type(x).__name__}"
    )


def unit_of(tree: Any) -> str:
    """What the samples are called: images for inputs (N, C, H, W)."""
    first = _first_leaf(tree)
    return "images" if len(getattr(first, "shape", ())) == 4 else "samples"


class _TreeDataset:
    """Samples of arrays under the structure that fit was given, for splitting."""

    def __init__(self, rows: ArrayDataset, spec: pytree.TreeSpec):
        self.rows = rows
        self.spec = spec

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Any:
        return pytree.unflatten(self.spec, list(self.rows[index]))

    def batch(self, indices: Any) -> Any:
        return pytree.unflatten(self.spec, list(self.rows.batch(indices)))


def split_validation(x: Any, y: Any, share: float, seed: int, weight: Any = None) -> tuple[Any, Any]:
    """(training data set, validation data set) of arrays or a data set, a random `share` held out."""
    if not 0.0 < share < 1.0:
        raise ValueRangeError(f"[fit] expected validation_split between 0 and 1, got {share}")
    tree = _as_tree(x)
    if tree is not None:
        if y is None:
            raise ArgumentError("[fit] expected y beside the array x, got None")
        target = _as_tree(y)
        target = asarray(y) if target is None else target
        parts: tuple = (tree, target)
        if weight is not None:
            parts = (*parts, weight if is_array(weight) else asarray(weight))
        names = ("x", "y", "sample_weight")
        _check_arrays("fit", [pair for name, part in zip(names, parts, strict=False) for pair in _named(name, part)])
        leaves, spec = pytree.flatten(parts)
        dataset: Any = _TreeDataset(ArrayDataset(*leaves), spec)
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


__all__ = ["Batch", "Source", "as_source", "samples_in", "split_batch", "split_validation", "unit_of"]
