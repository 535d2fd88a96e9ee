"""Batches of sequences of different lengths: padded (one tensor), or packed without the padding; PyTorch's names.

How long sequences are shapes results, so lengths are read as numbers when a batch is packed. A compiled function takes
packed batches as arguments and makes a plan for each set of lengths; where lengths vary from call to call, give the padded
tensor and `lengths` to the recurrent layer instead: one plan serves them all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from ... import _core
from ...base.errors import ArgumentError, ShapeError, ValueRangeError
from ...ops.shape import concat, embed, reshape
from ...tensor import arange, asarray, full, take

Tensor = _core.Tensor


class PackedSequence:
    """The steps of sequences, longest first, without padding: first all first steps, then all second steps, and so on.

    Attributes:
        data: (sum of lengths, ...).
        batch_sizes: how many sequences have a first, a second, ... step: int64, as a tensor; `sizes` are the same as ints.
        sorted_indices: which sequence stands where, or None if they were sorted; unsorted_indices undoes it.
    """

    __slots__ = ("data", "sizes", "sorted_indices", "unsorted_indices")

    def __init__(
        self,
        data: Tensor,
        batch_sizes: Any,
        sorted_indices: Tensor | None = None,
        unsorted_indices: Tensor | None = None,
    ):
        sizes = batch_sizes if isinstance(batch_sizes, tuple) else tuple(int(n) for n in _numbers(batch_sizes))
        if not sizes or any(n < 1 for n in sizes) or any(a < b for a, b in pairwise(sizes)):
            raise ValueRangeError(
                f"[PackedSequence] expected batch_sizes of at least 1 that don't grow, got {list(sizes)}"
            )
        if data.shape[0] != sum(sizes):
            raise ShapeError(
                f"[PackedSequence] expected data with {sum(sizes)} rows, the sum of batch_sizes, got {tuple(data.shape)}"
            )
        if unsorted_indices is None and sorted_indices is not None:
            unsorted_indices = invert_permutation(sorted_indices)
        self.data = data
        self.sizes = sizes
        self.sorted_indices = sorted_indices
        self.unsorted_indices = unsorted_indices

    @property
    def batch_sizes(self) -> Tensor:
        return asarray(self.sizes, dtype="int64")

    @property
    def lengths(self) -> tuple[int, ...]:
        """Of the sequences, longest first."""
        counts = [0] * self.sizes[0]
        for step, (n, following) in enumerate(zip(self.sizes, (*self.sizes[1:], 0)), 1):
            counts[following:n] = [step] * (n - following)
        return tuple(counts)

    def like(self, data: Tensor) -> PackedSequence:
        """The same sequences with other contents: `data` has as many rows."""
        return PackedSequence(data, self.sizes, self.sorted_indices, self.unsorted_indices)

    def to(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """With data of another dtype or on another device."""
        return self.like(self.data.to(*args, **kwargs))

    def _tree_flatten(self) -> tuple[list, tuple]:
        indices = [x for x in (self.sorted_indices, self.unsorted_indices) if x is not None]
        return [self.data, *indices], self.sizes

    @classmethod
    def _tree_unflatten(cls, sizes: tuple, children: list) -> PackedSequence:
        made = object.__new__(cls)  # the leaves may be anything
        made.data, made.sorted_indices, made.unsorted_indices = (*children, None, None)[:3]
        made.sizes = sizes
        return made

    def __repr__(self) -> str:
        return (
            f"PackedSequence({self.sizes[0]} sequences of up to {len(self.sizes)} steps, data {tuple(self.data.shape)})"
        )


def _numbers(values: Any) -> list:
    return values.tolist() if hasattr(values, "tolist") else list(values)


def invert_permutation(permutation: Tensor | None) -> Tensor | None:
    """The permutation that undoes one."""
    return None if permutation is None else permutation.argsort()


def _check_lengths(name: str, lengths: Any, steps: int | None = None) -> list[int]:
    found = [int(n) for n in _numbers(lengths)]
    if not found or any(n < 1 or (steps is not None and n > steps) for n in found):
        limit = "" if steps is None else f" and at most {steps}, the padded length"
        raise ValueRangeError(f"[{name}] expected lengths of at least 1{limit}, got {found}")
    return found


def _sizes(lengths: list[int]) -> tuple[int, ...]:
    """How many of the sequences, longest first, have each step."""
    sizes, count = [], len(lengths)
    for step in range(lengths[0]):
        while lengths[count - 1] <= step:
            count -= 1
        sizes.append(count)
    return tuple(sizes)


def _runs(sizes: tuple[int, ...]) -> list[tuple[int, int, int]]:
    """(first step, steps, sequences) of the stretches in which the number of sequences is the same."""
    found: list[tuple[int, int, int]] = []
    for step, count in enumerate(sizes):
        if found and found[-1][2] == count:
            found[-1] = (found[-1][0], found[-1][1] + 1, count)
        else:
            found.append((step, 1, count))
    return found


def lengths_tensor(packed: PackedSequence) -> Tensor:
    """The lengths, longest first, int64, made without Python data, so that it can be compiled."""
    return concat([full((1,), n, dtype="int64") for n in packed.lengths], 0)


def padded_of(packed: PackedSequence) -> Tensor:
    """(longest, sequences, ...) in packed order, zeros beyond the ends."""
    data, row, pieces = packed.data, 0, []
    rest = tuple(data.shape)[1:]
    for _, steps, count in _runs(packed.sizes):
        piece = reshape(data[row : row + steps * count], (steps, count, *rest))
        if count < packed.sizes[0]:
            piece = embed(piece, (steps, packed.sizes[0], *rest), (0,) * (2 + len(rest)), (1,) * (2 + len(rest)))
        pieces.append(piece)
        row += steps * count
    return pieces[0] if len(pieces) == 1 else concat(pieces, 0)


def data_of(padded: Tensor, sizes: tuple[int, ...]) -> Tensor:
    """The rows that belong to sequences, of a padded (steps, sequences, ...) in packed order."""
    rest = tuple(padded.shape)[2:]
    pieces = [
        reshape(padded[first : first + steps, :count], (steps * count, *rest)) for first, steps, count in _runs(sizes)
    ]
    return pieces[0] if len(pieces) == 1 else concat(pieces, 0)


def pack_padded_sequence(
    input: Tensor, lengths: Any, batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """A padded batch without its padding.

    Args:
        input: (T, B, ...), or (B, T, ...) with batch_first.
        lengths: B ints, or a tensor of them, each from 1 to T.
        enforce_sorted: lengths fall; else sequences are sorted here, and put back where results are unpacked.
    """
    if input.ndim < 2:
        raise ShapeError(f"[pack_padded_sequence] expected input (T, B, ...), got {tuple(input.shape)}")
    padded = input.transpose(0, 1) if batch_first else input
    given = _check_lengths("pack_padded_sequence", lengths, padded.shape[0])
    if len(given) != padded.shape[1]:
        raise ShapeError(
            f"[pack_padded_sequence] expected {padded.shape[1]} lengths, one per sequence, got {len(given)}; input is "
            + ("(B, T, ...) with batch_first" if batch_first else "(T, B, ...) unless batch_first")
        )
    order = sorted(range(len(given)), key=lambda i: -given[i])
    falling = [given[i] for i in order]
    indices = None
    if enforce_sorted:
        if falling != given:
            raise ValueRangeError(
                f"[pack_padded_sequence] expected lengths that fall, got {given}; pass enforce_sorted=False"
            )
    else:
        indices = asarray(order, dtype="int64")
        padded = take(padded, indices, axis=1)
    sizes = _sizes(falling)
    return PackedSequence(data_of(padded, sizes), sizes, indices)


def pad_packed_sequence(
    sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0, total_length: int | None = None
) -> tuple[Tensor, Tensor]:
    """(padded batch, lengths), in the order in which the sequences were packed.

    total_length: pad to so many steps, at least the longest.
    """
    if not isinstance(sequence, PackedSequence):
        raise ArgumentError(f"[pad_packed_sequence] expected a PackedSequence, got {type(sequence).__name__}")
    longest = len(sequence.sizes)
    steps = longest if total_length is None else total_length
    if steps < longest:
        raise ValueRangeError(
            f"[pad_packed_sequence] expected total_length of at least {longest}, the longest sequence, got {steps}"
        )
    padded = padded_of(sequence)
    lengths = lengths_tensor(sequence)
    if steps > longest:
        padded = embed(padded, (steps, *tuple(padded.shape)[1:]), (0,) * padded.ndim, (1,) * padded.ndim)
    if padding_value != 0.0:
        beyond = _beyond(lengths, steps, padded.ndim)
        padded = padded.masked_fill(beyond, padding_value)
    if sequence.unsorted_indices is not None:
        padded = take(padded, sequence.unsorted_indices, axis=1)
        lengths = take(lengths, sequence.unsorted_indices, axis=0)
    return (padded.transpose(0, 1) if batch_first else padded), lengths


def _beyond(lengths: Tensor, steps: int, ndim: int) -> Tensor:
    """(steps, B, 1, ...): true where no sequence is."""
    at = arange(steps).reshape((steps, 1))
    return (at >= lengths).reshape((steps, lengths.shape[0], *(1,) * (ndim - 2)))


def pad_sequence(
    sequences: Iterable[Tensor], batch_first: bool = False, padding_value: float = 0.0, padding_side: str = "right"
) -> Tensor:
    """Sequences (L_i, ...) side by side in one tensor (T, B, ...), filled up to the longest.

    padding_side: "right", or "left" to fill in front.
    """
    if padding_side not in ("left", "right"):
        raise ArgumentError(f"[pad_sequence] expected padding_side 'left' or 'right', got {padding_side!r}")
    given = _check_sequences("pad_sequence", sequences)
    longest = max(s.shape[0] for s in given)
    rows = []
    for s in given:
        missing = longest - s.shape[0]
        if missing:
            filling = full((missing, *tuple(s.shape)[1:]), padding_value, dtype=s.dtype)
            s = concat([s, filling] if padding_side == "right" else [filling, s], 0)
        rows.append(reshape(s, (1, *s.shape)) if batch_first else reshape(s, (longest, 1, *tuple(s.shape)[1:])))
    return concat(rows, 0 if batch_first else 1)


def _check_sequences(name: str, sequences: Iterable[Tensor]) -> list[Tensor]:
    given = list(sequences)
    if not given:
        raise ArgumentError(f"[{name}] expected at least one sequence, got none")
    for i, s in enumerate(given):
        if s.ndim < 1 or tuple(s.shape)[1:] != tuple(given[0].shape)[1:]:
            raise ShapeError(
                f"[{name}] expected sequences (L, ...) that differ in L only, got {tuple(given[0].shape)} and, as number "
                f"{i}, {tuple(s.shape)}"
            )
    return given


def unpad_sequence(padded_sequences: Tensor, lengths: Any, batch_first: bool = False) -> list[Tensor]:
    """The inverse of pad_sequence: a list of tensors (L_i, ...)."""
    padded = padded_sequences if batch_first else padded_sequences.transpose(0, 1)
    given = _check_lengths("unpad_sequence", lengths, padded.shape[1])
    if len(given) != padded.shape[0]:
        raise ShapeError(f"[unpad_sequence] expected {padded.shape[0]} lengths, got {len(given)}")
    return [padded[i, :n] for i, n in enumerate(given)]


def pack_sequence(sequences: Sequence[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Sequences (L_i, ...) packed; see pack_padded_sequence."""
    given = _check_sequences("pack_sequence", sequences)
    return pack_padded_sequence(pad_sequence(given), [s.shape[0] for s in given], enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """The inverse of pack_sequence."""
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)


__all__ = [
    "PackedSequence",
    "invert_permutation",
    "pack_padded_sequence",
    "pack_sequence",
    "pad_packed_sequence",
    "pad_sequence",
    "unpack_sequence",
    "unpad_sequence",
]
