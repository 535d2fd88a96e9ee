"""One step of every optimizer, on lists of parameters of four kinds, against PyTorch: `./dev bench --peers torch --optimizers`.

twain steps eagerly (rows ending in "e") and in a compiled function that does nothing else ("c"); PyTorch in whichever of its
ways (fused, foreach, a loop over the parameters) was fastest in a short trial.
"""

from __future__ import annotations

import time
from collections.abc import Callable

NAMES = "SGD Adam AdamW SparseAdam Adamax NAdam RAdam Adagrad Adadelta RMSprop Rprop ASGD Adafactor Muon LBFGS".split()
SETTINGS: dict[str, dict] = {"SGD": {"momentum": 0.9}, "LBFGS": {"max_iter": 5}}
WAYS: tuple[dict, ...] = ({"fused": True}, {"foreach": True}, {})
# How many times faster than PyTorch: small lists at least three times, others never slower.
TARGETS = {"small": 3.0, "mlp": 1.0, "resnet": 1.0, "large": 1.0}
TEXTS = {
    "small": "10 vectors of 64",
    "mlp": "MLP 784-128-10",
    "resnet": "161 tensors as in ResNet-50, 3.25 million in all",
    "large": "two matrices of 5 million",
}
# Muon and LBFGS take time in proportion to cubes and histories; SparseAdam stands for embeddings.
LEFT_OUT = {"Muon": ("resnet", "large"), "LBFGS": ("resnet", "large"), "SparseAdam": ("resnet", "large")}


def _resnet() -> list[tuple]:
    """The shapes of ResNet-50 with an eighth of its channels on one side."""
    shapes: list[tuple] = [(64, 3, 7, 7), (64,), (64,)]
    for first, inner, outer, blocks in (
        (64, 64, 256, 3),
        (256, 128, 512, 4),
        (512, 256, 1024, 6),
        (1024, 512, 2048, 3),
    ):
        for block in range(blocks):
            before = first if block == 0 else outer
            shapes += [(inner, before // 8, 1, 1), (inner,), (inner,), (inner, inner // 8, 3, 3), (inner,), (inner,)]
            shapes += [(outer, inner // 8, 1, 1), (outer,), (outer,)]
            if block == 0:
                shapes += [(outer, before // 8, 1, 1), (outer,), (outer,)]
    return [*shapes, (1000, 256), (1000,)]


SHAPES = {
    "small": [(64,)] * 10,
    "mlp": [(128, 784), (128,), (10, 128), (10,)],
    "resnet": _resnet(),
    "large": [(2500, 2000)] * 2,
}


def shapes_for(name: str, size: str) -> list[tuple]:
    if name == "Muon":  # matrices only
        return [(8, 8)] * 10 if size == "small" else [s for s in SHAPES[size] if len(s) == 2]
    return SHAPES[size]


def key(name: str, size: str, mode: str) -> str:
    return f"o_{name}_{mode}_{size}"


OPTIMIZER_ROWS = [
    {
        "name": key(name, size, mode),
        "text": f"{name}, {TEXTS[size]}, {'eager' if mode == 'e' else 'compiled'}",
        "targets": [("torch", TARGETS[size])],
    }
    for size in TARGETS
    for name in NAMES
    if size not in LEFT_OUT.get(name, ())
    for mode in "ec"
    if not (name == "LBFGS" and mode == "c")  # it reads values in the middle of a step, so it stays eager
]


def rows(make: Callable, quickest: Callable) -> dict:
    """For a worker. make(name, shapes, settings) gives a step, a function without arguments; quickest(makers, mode) the
    fastest of several."""

    def factory(name: str, size: str, mode: str) -> Callable:
        def build() -> Callable:
            shapes, settings = shapes_for(name, size), SETTINGS.get(name, {})
            return quickest(lambda way: make(name, shapes, {**settings, **way}), mode)

        return build

    return {key(name, size, mode): factory(name, size, mode) for size in SHAPES for name in NAMES for mode in "ec"}


def quickest_of_ways(maker: Callable, mode: str) -> Callable:
    """PyTorch's best way."""
    best, step = None, None
    for way in WAYS:
        try:
            candidate = maker(way)
            for _ in range(3):
                candidate()
            times = []
            for _ in range(5):
                start = time.perf_counter()
                candidate()
                times.append(time.perf_counter() - start)
        except (TypeError, RuntimeError):  # not every optimizer has every way
            continue
        if best is None or min(times) < best:
            best, step = min(times), candidate
    return step
