"""Held-out splits that never depend on a random generator's version: an item's side is decided by a hash."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Sequence

SPLITS = ("train", "test", "all")


def check_split(function: str, split: str) -> None:
    if split not in SPLITS:
        raise ValueError(f"[{function}] expected split to be one of {', '.join(map(repr, SPLITS))}, got {split!r}")


def check_fraction(function: str, held_out: float) -> None:
    if not 0.0 < held_out < 1.0:
        raise ValueError(f"[{function}] expected held_out between 0 and 1 (exclusive), got {held_out!r}")


def hash_fraction(seed: int, key: str) -> float:
    """A number in [0, 1), evenly spread, the same on every machine for one (seed, key)."""
    digest = hashlib.blake2b(f"{seed}\t{key}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def stratified(labels: Sequence[Hashable], held_out: float, seed: int) -> tuple[list[int], list[int]]:
    """Indices (train, test), each ascending; round(held_out * n) of the n items of every class are held out."""
    by_class: dict[Hashable, list[int]] = {}
    for index, label in enumerate(labels):
        by_class.setdefault(label, []).append(index)
    test: set[int] = set()
    for members in by_class.values():
        ranked = sorted(members, key=lambda index: hash_fraction(seed, str(index)))
        test.update(ranked[: round(held_out * len(members))])
    return [i for i in range(len(labels)) if i not in test], sorted(test)
