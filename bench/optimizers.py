"""One step of every optimizer, beside torch's foreach and fused ways: on a small MLP's parameters and on ten million.

    python bench/optimizers.py --torch .peers/torch/bin/python [--names Adam,SGD]

Milliseconds, the best of several runs; compiled is the step alone in a compiled function.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SIZES = {"small": [(128, 64), (128,), (10, 128), (10,)], "large": [(2500, 2000), (2500, 2000)]}
SETTINGS = {"SGD": {"momentum": 0.9}}
NAMES = "SGD Adam AdamW RMSprop Adagrad Adadelta Adamax NAdam RAdam ASGD Rprop Adafactor".split()


def best(step, size: str) -> float:
    """Milliseconds per call."""
    for _ in range(20 if size == "small" else 3):
        step()
    calls, rounds = (200, 5) if size == "small" else (1, 8)
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in range(calls):
            step()
        times.append((time.perf_counter() - start) / calls)
    return 1e3 * min(times)


def in_twain(names: list[str], sizes: list[str]) -> dict:
    sys.path.insert(0, str(ROOT / "src"))
    import twain
    from twain import optim

    found = {}
    for name in names:
        for size in sizes:
            params = [twain.ones(shape).requires_grad_() for shape in SIZES[size]]
            for p in params:
                p.grad = twain.ones(tuple(p.shape))
            optimizer = getattr(optim, name)(params, **SETTINGS.get(name, {}))
            found[f"{name} {size} eager"] = best(optimizer.step, size)
            found[f"{name} {size} compiled"] = best(twain.compile(lambda o=optimizer: o.step()), size)
    return found


def in_torch(names: list[str], sizes: list[str]) -> dict:
    import torch

    found = {}
    for name in names:
        for size in sizes:
            for way in ("foreach", "fused"):
                params = [torch.ones(shape, requires_grad=True) for shape in SIZES[size]]
                for p in params:
                    p.grad = torch.ones(p.shape)
                try:
                    optimizer = getattr(torch.optim, name)(params, **{way: True}, **SETTINGS.get(name, {}))
                except TypeError:  # not every optimizer has a fused way
                    continue
                found[f"{name} {size} {way}"] = best(optimizer.step, size)
    return found


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--torch", help="a Python with torch")
    options.add_argument("--names", default=",".join(NAMES))
    options.add_argument("--sizes", default=",".join(SIZES))
    options.add_argument("--only", choices=("twain", "torch"), help=argparse.SUPPRESS)
    given = options.parse_args()
    names, sizes = given.names.split(","), given.sizes.split(",")
    if given.only:
        print(json.dumps((in_twain if given.only == "twain" else in_torch)(names, sizes)))
        return
    results: dict[str, float] = {}
    for peer, python in (("twain", sys.executable), ("torch", given.torch)):
        if python:
            command = [python, __file__, "--only", peer, "--names", given.names, "--sizes", given.sizes]
            results |= json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    print("| optimizer | eager | compiled | torch foreach | torch fused | eager faster by | compiled faster by |")
    print("|---|---|---|---|---|---|---|")
    for name in names:
        for size in sizes:
            cells = [results.get(f"{name} {size} {way}") for way in ("eager", "compiled", "foreach", "fused")]
            peers = [c for c in cells[2:] if c is not None]
            ratios = [f"{min(peers) / c:.1f}x" if peers else "" for c in cells[:2]]
            shown = ["" if c is None else f"{c:.4f}" for c in cells]
            print(f"| {name}, {size} | {' | '.join([*shown, *ratios])} |")


if __name__ == "__main__":
    main()
