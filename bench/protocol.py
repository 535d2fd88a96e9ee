"""A worker's side of a benchmark: it builds a row's function once, then times short rounds of it when asked.

Rows are factories: `row() -> function` of no arguments; one call is one unit of work, or as many as its `units` says.
Requests and answers are JSON lines, so every framework runs in an interpreter and environment of its own.
"""

from __future__ import annotations

import json
import os
import sys
import time


def measure(function, seconds: float) -> list:
    """Times per call in seconds, from loops long enough for the clock, for about `seconds` in all."""
    count = 1
    while True:
        start = time.perf_counter()
        for _ in range(count):
            function()
        took = time.perf_counter() - start
        if took > 2e-4 or count > 1 << 20:
            break
        count *= 2
    times = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 3:
        start = time.perf_counter()
        for _ in range(count):
            function()
        times.append((time.perf_counter() - start) / count)
    return times


def held_bytes() -> int:
    """Memory of this process and those below it, pages that several share divided among them; 0 where that isn't known."""
    try:
        children: dict = {}
        for name in filter(str.isdigit, os.listdir("/proc")):
            with open(f"/proc/{name}/stat", encoding="utf-8") as file:
                children.setdefault(int(file.read().rpartition(")")[2].split()[1]), []).append(int(name))
        total, left = 0, [os.getpid()]
        while left:
            process = left.pop()
            left += children.get(process, [])
            with open(f"/proc/{process}/smaps_rollup", encoding="utf-8") as file:
                total += sum(int(line.split()[1]) for line in file if line.startswith("Pss:")) * 1024
        return total
    except OSError:
        return 0


def serve(rows: dict) -> None:
    """Answer requests until the input ends."""
    ready: dict = {}
    out = sys.stdout
    sys.stdout = sys.stderr  # what a framework prints must not mix with the answers
    for line in sys.stdin:
        request = json.loads(line)
        name = request["row"]
        try:
            if name not in rows:
                answer = {"missing": True}
            else:
                if name not in ready:
                    ready.clear()  # one row's memory at a time
                    function = rows[name]()
                    for _ in range(3):
                        function()
                    ready[name] = function
                function = ready[name]
                times = measure(function, request["seconds"])
                answer = {"times": [t / getattr(function, "units", 1) for t in times], "memory": held_bytes()}
        except Exception as error:  # a row that fails is a result too
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=out, flush=True)
