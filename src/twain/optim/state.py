"""`optimizer.state`: what belongs to each parameter, as PyTorch shows it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any, Protocol

from .. import _core

Tensor = _core.Tensor


class Stateful(Protocol):
    """What an optimizer must have for its state to be shown."""

    rows: list[dict[str, Any]]

    def parameters(self) -> list[Tensor]: ...

    def reset_row(self, place: int, values: Mapping[str, Any]) -> None: ...


class OptimizerState(MutableMapping):
    """{parameter: {name: tensor}}: `optimizer.state[p]["exp_avg"]`; `state[i]` is that of parameter number i.

    State is there from the start and not from the first step on. Assigning a row replaces it: what it leaves out begins
    anew, so `state[p] = {}`, `del state[p]` and `state.clear()` start over. The tensors of a row may be assigned
    too. Parameters that are at the same step share the tensor "step" until one of them sits a step out.
    """

    def __init__(self, optimizer: Stateful):
        self._optimizer = optimizer

    def _place(self, key: Tensor | int) -> int:
        rows = self._optimizer.rows
        if isinstance(key, Tensor):
            for place, p in zip(range(len(rows)), self._optimizer.parameters()):
                if p is key:
                    return place
        elif isinstance(key, int) and -len(rows) <= key < len(rows):
            return key % len(rows)
        shown = f"a tensor of shape {tuple(key.shape)}" if isinstance(key, Tensor) else repr(key)
        raise KeyError(f"[{type(self._optimizer).__name__}.state] expected one of its parameters, got {shown}")

    def __getitem__(self, key: Tensor | int) -> dict[str, Any]:
        return self._optimizer.rows[self._place(key)]

    def __setitem__(self, key: Tensor | int, values: Mapping[str, Any]) -> None:
        self._optimizer.reset_row(self._place(key), values)

    def __delitem__(self, key: Tensor | int) -> None:
        self[key] = {}

    def clear(self) -> None:
        """All state as at the beginning."""
        for place in range(len(self)):
            self[place] = {}

    def __iter__(self) -> Iterator[Tensor]:
        return iter(self._optimizer.parameters()[: len(self)])

    def __len__(self) -> int:
        return len(self._optimizer.rows)

    def __repr__(self) -> str:
        rows = enumerate(self._optimizer.rows)
        return f"OptimizerState({{{', '.join(f'parameter {i}: {row!r}' for i, row in rows)}}})"
