"""Rows that need fresh processes: import, new ops and shapes, first compiles, installed size."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
BYTE_CODE = tempfile.TemporaryDirectory(prefix="twain-bench-")
_warmed: set = set()

COLD_OP = """
import time, twain
x = twain.zeros((5, 7)); y = x + x
start = time.perf_counter(); {call}; print(time.perf_counter() - start)
"""
NEW_SHAPE = """
import time, twain
xs = [twain.zeros((i, 7)) for i in range(3, 203)]; xs[0] + xs[0]
start = time.perf_counter()
for x in xs[1:]: x + x
print((time.perf_counter() - start) / 199)
"""
NEW_SHAPES = """
import random, time, twain
choose = random.Random(0)
shapes = list({{tuple(choose.randint(3, 64) for _ in range(3)): 0 for _ in range(400)}})
times = []
for a, b, c in shapes:
    x, w, v = twain.zeros((a, b)), twain.zeros((b, c)), twain.zeros((b,))
    start = time.perf_counter(); {call}; times.append(time.perf_counter() - start)
print(sorted(times)[len(times) // 2])
"""
NEW_BACKWARD = """
import random, time, twain
choose = random.Random(0)
shapes = list({(choose.randint(3, 64), choose.randint(3, 64)): 0 for _ in range(400)})
times = []
for a, b in shapes:
    x = twain.zeros((a, b)).requires_grad_()
    y, g = twain.softmax(x, -1), twain.ones((a, b))
    start = time.perf_counter(); y.backward(g); times.append(time.perf_counter() - start)
print(sorted(times)[len(times) // 2])
"""
FIRST_COMPILE = """
import sys, time
import twain
sys.path[:0] = [{here!r}, {here!r} + "/workers"]
import twain_worker as w
run = w.mlp(False); run(); run()
start = time.perf_counter(); step = w.mlp(True); [step() for _ in range(4)]; print(time.perf_counter() - start)
"""
MANY_GUARDS = """
import time, twain
class State: pass
state = State()
for i in range(280): setattr(state, f"a{i}", i)
exec("def f(x): return x + (" + " + ".join(f"state.a{i}" for i in range(280)) + ")")
g = twain.compile(f); x = twain.zeros((4,))
for _ in range(40): g(x)
def best(h):
    times = []
    for _ in range(300):
        start = time.perf_counter()
        for _ in range(20): h(x)
        times.append((time.perf_counter() - start) / 20)
    return sorted(times)[150]
print(best(g) - best(lambda x: x + 1.0))
"""


def timed(python: str, code: str, cache: str | None = None, repeat: int = 5, own: bool = True) -> float:
    """Median of what `code` prints in fresh processes.

    twain runs from a checkout, which need not have byte code on disk as installed packages do: with `own` it gets a
    folder for that, filled by a run that isn't counted.
    """
    environment = dict(os.environ)
    if cache is not None:
        environment["TWAIN_CACHE"] = cache
    if own:
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        environment["PYTHONPYCACHEPREFIX"] = BYTE_CODE.name
        if code not in _warmed:
            _warmed.add(code)
            with tempfile.TemporaryDirectory() as elsewhere:
                subprocess.run(
                    [python, "-c", code], capture_output=True, env=environment | {"TWAIN_CACHE": elsewhere}, check=False
                )
    found = []
    for _ in range(repeat):
        done = subprocess.run([python, "-c", code], capture_output=True, text=True, env=environment, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr.strip().splitlines()[-1])
        found.append(float(done.stdout.split()[-1]))
    return sorted(found)[len(found) // 2]


PROCESS = """
import subprocess, sys, time
start = time.perf_counter()
subprocess.run([sys.executable, "-c", {code!r}])
print(time.perf_counter() - start)
"""


def imported(python: str, name: str) -> float:
    """Wall time of a process that imports `name`, less that of one that imports nothing."""
    own = name == "twain"
    whole = timed(python, PROCESS.format(code=f"import {name}"), repeat=9, own=own)
    return whole - timed(python, PROCESS.format(code="pass"), repeat=9, own=own)


def installed_size() -> float:
    """MB of a fresh environment with run-time packages only: twain, NumPy and llvmlite, as files on disk."""
    files = [f.locate() for package in ("numpy", "llvmlite") for f in importlib.metadata.files(package) or ()]
    total = sum(os.path.getsize(f) for f in files if os.path.isfile(f))
    source = os.path.join(os.path.dirname(HERE), "src", "twain")
    for folder, _, files in os.walk(source):
        if "__pycache__" not in folder:
            total += sum(os.path.getsize(os.path.join(folder, f)) for f in files)
    return total / 1e6


def startup_rows(pythons: dict) -> list[str]:
    python = pythons["twain"]
    lines = ["| start-up | measured | target |", "|---|---|---|"]

    def add(text: str, measure, unit: str, scale: float, target: float) -> None:
        try:
            value = measure() * scale
            lines.append(
                f"| {text} | {value:.3g} {unit} | at most {target:g} {unit} {'**met**' if value <= target else 'missed'} |"
            )
        except Exception as error:
            lines.append(f"| {text} | failed: {error} | at most {target:g} {unit} |")

    add("`import twain`", lambda: imported(python, "twain"), "s", 1, 0.08)
    for name in pythons:
        if name not in ("twain",):
            try:
                lines.append(f"| `import {name}` | {imported(pythons[name], name):.3g} s | |")
            except Exception as error:
                lines.append(f"| `import {name}` | failed: {error} | |")
    cold = COLD_OP.format(call="twain.tanh(x)")

    def fresh() -> float:
        values = []
        for _ in range(5):
            with tempfile.TemporaryDirectory() as folder:
                values.append(
                    timed(
                        python,
                        "import llvmlite.binding\nimport twain\ntwain.exp(twain.zeros((3,)))\n" + cold,
                        folder,
                        1,
                    )
                )
        return sorted(values)[2]

    add("new eager op, compiled", fresh, "ms", 1e3, 10)
    with tempfile.TemporaryDirectory() as folder:
        timed(python, cold, folder, 1)
        add("new eager op, from disk", lambda: timed(python, cold, folder), "ms", 1e3, 0.3)
    add("new shape of a known op", lambda: timed(python, NEW_SHAPE), "us", 1e6, 50)
    for text, call in (("sum over axis 0", "x.sum(0)"), ("matrix + vector", "x + v"), ("matrix product", "x @ w")):
        code = NEW_SHAPES.format(call=call)
        add(f"the same, {text}, median", lambda code=code: timed(python, code, repeat=3), "us", 1e6, 50)
    add("the same, backward of softmax, median", lambda: timed(python, NEW_BACKWARD, repeat=3), "us", 1e6, 50)
    add("compiled call with 300 guards", lambda: timed(python, MANY_GUARDS, repeat=3), "us", 1e6, 10)
    first = FIRST_COMPILE.format(here=HERE)

    def first_compile() -> float:
        values = []
        for _ in range(3):
            with tempfile.TemporaryDirectory() as folder:
                values.append(timed(python, first, folder, 1))
        return sorted(values)[1]

    add("first compile of the MLP step, empty cache", first_compile, "s", 1, 0.4)
    with tempfile.TemporaryDirectory() as folder:
        timed(python, first, folder, 1)
        add("first compile of the MLP step, warm cache", lambda: timed(python, first, folder), "s", 1, 0.03)
    add("installed size, run-time packages", installed_size, "MB", 1, 320)
    startup_rows.last = lines
    return lines
