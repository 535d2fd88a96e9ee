"""Measures twain beside its peers: every framework in a process of its own, rounds interleaved, so that a noisy machine
disturbs all alike. Prints the table, keeps the raw times in build/bench.json, writes docs/benchmarks.md and the table
between the marks in README.md (with --write).

    ./dev bench --peers torch,jax [--rows add4,mlp] [--rounds 7] [--seconds 0.3] [--write]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
sys.path.insert(0, HERE)

from functions import FUNCTION_ROWS
from layers import LAYER_ROWS
from loaders import LOADER_ROWS
from optimizers import OPTIMIZER_ROWS
from rows import ROWS
from startup import startup_rows


class Worker:
    """A framework's process."""

    def __init__(self, name: str, python: str):
        self.name = name
        script = os.path.join(HERE, "workers", f"{name}_worker.py")
        self.process = subprocess.Popen([python, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, row: str, seconds: float) -> dict:
        self.process.stdin.write(json.dumps({"row": row, "seconds": seconds}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        return json.loads(line) if line else {"error": f"{self.name} ended"}

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def quantile(times: list, q: float) -> float:
    ordered = sorted(times)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]


def shown(seconds: float) -> str:
    for unit, scale in (("ns", 1e9), ("us", 1e6), ("ms", 1e3)):
        if seconds * scale < 1000 or unit == "ms":
            value = seconds * scale
            return f"{value:.3g} {unit}" if value < 100 else f"{value:.0f} {unit}"
    return f"{seconds:.2f} s"


def run_row(row: dict, workers: list, rounds: int, seconds: float) -> dict:
    """{framework: all times} of one row; what each holds is kept in run_row.memory."""
    times: dict[str, list] = {}
    memory = run_row.memory.setdefault(row["name"], {})
    for _ in range(rounds):
        for worker in workers:
            answer = worker.ask(row["name"], seconds)
            if "times" in answer:
                times.setdefault(worker.name, []).extend(answer["times"])
                memory[worker.name] = max(memory.get(worker.name, 0), answer["memory"])
            elif "error" in answer:
                print(f"  {row['name']}: {worker.name}: {answer['error']}", file=sys.stderr)
    return times


run_row.memory = {}


def memory_table(names: list, rows: list) -> list[str]:
    lines = ["", "| memory of the process and its workers | " + " | ".join(names) + " |", "|---|" + "---|" * len(names)]
    for row in rows:
        held = run_row.memory.get(row["name"], {})
        lines.append(f"| {row['text']} | " + " | ".join(f"{held.get(n, 0) / 2**20:.0f} MB" for n in names) + " |")
    return lines


def verdict(row: dict, times: dict) -> tuple[str, bool | None]:
    """('12.3x torch (at least 10x)', whether all targets hold). The ratio is the smaller one of medians and of 10th
    percentiles: on a busy machine a peer's own threads may wait for one another, which is not the peer's speed."""
    parts, good = [], None
    for peer, factor in row["targets"]:
        if peer in times and "twain" in times:
            ratio = min(quantile(times[peer], q) / quantile(times["twain"], q) for q in (0.1, 0.5))
            good = (good is not False) and ratio >= factor
            parts.append(f"{ratio:.3g}x {peer} (at least {factor:.3g}x)")
    return ", ".join(parts), good


def table(results: dict, names: list, rows: list = ROWS) -> list[str]:
    lines = [
        "| work | " + " | ".join(names) + " | ratio and target |",
        "|---|" + "---|" * (len(names) + 1),
    ]
    for row in rows:
        times = results.get(row["name"])
        if not times:
            continue
        medians = {n: quantile(t, 0.5) for n, t in times.items()}
        cells = [f"{shown(medians[n])} ({shown(quantile(times[n], 0.1))})" if n in medians else "" for n in names]
        text, good = verdict(row, times)
        mark = "" if good is None else " **met**" if good else " missed"
        lines.append(f"| {row['text']} | " + " | ".join(cells) + f" | {text}{mark} |")
    return lines


def summary(results: dict, rows: list) -> list[str]:
    """How many rows of functions or layers met their targets, by size, and the ratios that fell short."""
    lines = []
    for size in dict.fromkeys(r["name"].rsplit("_", 1)[1] for r in rows):
        judged = [(r, *verdict(r, results[r["name"]])) for r in rows
                  if r["name"].endswith(f"_{size}") and results.get(r["name"])]  # fmt: skip
        judged = [(r, text, good) for r, text, good in judged if good is not None]
        short = [f"{r['text'].replace(f', {size}', '')} ({text})" for r, text, good in judged if not good]
        what = f"{int(size):,} elements" if size.isdigit() else size
        lines.append(f"- {what}: {len(judged) - len(short)} of {len(judged)} met. Short: {'; '.join(short) or 'none'}.")
    return lines


def replace_marked(path: str, lines: list) -> None:
    """Put `lines` between the marks of a Markdown file."""
    if not os.path.exists(path):
        return
    with open(path, encoding="utf-8") as file:
        text = file.read()
    block = "<!-- bench -->\n" + "\n".join(lines) + "\n<!-- /bench -->"
    new = re.sub(r"<!-- bench -->.*?<!-- /bench -->", lambda _: block, text, flags=re.S)
    with open(path, "w", encoding="utf-8") as file:
        file.write(new)


def machine() -> str:
    model = platform.processor()
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            model = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), model)
    return f"{os.cpu_count()} cores of {model or 'unknown'}, Python {platform.python_version()}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", action="append", default=[], help="name=interpreter")
    parser.add_argument("--rows", default="", help="only rows whose name begins with one of these, comma-separated")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.2, help="per row, framework and round")
    parser.add_argument("--no-startup", action="store_true", help="leave out import, first compile and size")
    parser.add_argument("--functions", action="store_true", help="single calls of many functions, a page of their own")
    parser.add_argument("--layers", action="store_true", help="layers forward and backward, a page of their own")
    parser.add_argument("--optimizers", action="store_true", help="a step of each optimizer, a page of their own")
    parser.add_argument("--loaders", action="store_true", help="epochs of data loaders, a page of their own")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md and README's table")
    options = parser.parse_args()
    pythons = {"twain": sys.executable, "numpy": sys.executable}
    pythons.update(dict(p.split("=", 1) for p in options.peer))
    wanted = tuple(filter(None, options.rows.split(",")))
    pages = {
        "function": ("Single calls", FUNCTION_ROWS, options.functions),
        "layer": ("Layers, forward and backward", LAYER_ROWS, options.layers),
        "optimizer": ("A step of each optimizer", OPTIMIZER_ROWS, options.optimizers),
        "loader": ("Data loaders, time per batch", LOADER_ROWS, options.loaders),
    }
    page = next((name for name, (_, _, wanted_page) in pages.items() if wanted_page), None)
    title, every, _ = pages[page] if page else ("", ROWS, True)
    if page in ("layer", "optimizer", "loader"):
        del pythons["numpy"]
    rows = [r for r in every if not wanted or r["name"].startswith(wanted)]
    workers = [Worker(name, python) for name, python in pythons.items()]
    results = {}
    for row in rows:
        results[row["name"]] = run_row(row, workers, options.rounds, options.seconds)
        print("\n".join(table({row["name"]: results[row["name"]]}, list(pythons), every)[2:]), flush=True)
    for worker in workers:
        worker.close()
    lines = [
        f"Medians (10th percentiles in brackets), {time.strftime('%Y-%m-%d')}, {machine()}; made by `./dev bench --peers "
        f"{','.join(n for n in pythons if n not in ('twain', 'numpy')) or '...'}{f' --{page}s' if page else ''} --write`.",
        "",
        *table(results, list(pythons), every),
    ]
    if page == "loader":
        lines += memory_table(list(pythons), rows)
    if page:
        found = summary(results, every)
        print("\n".join(found))
        if options.write:
            with open(os.path.join(ROOT, "docs", f"{page}-benchmarks.md"), "w", encoding="utf-8") as file:
                file.write(f"# {title}, measured\n\n" + "\n".join([*found, "", *lines]) + "\n")
        return
    if not options.no_startup:
        lines += ["", *startup_rows(pythons)]
        print("\n".join(lines[-len(startup_rows.last) :]))
    os.makedirs(os.path.join(ROOT, "build"), exist_ok=True)
    with open(os.path.join(ROOT, "build", "bench.json"), "w", encoding="utf-8") as file:
        kept = {
            r: {n: [quantile(t, 0.1), quantile(t, 0.5), quantile(t, 0.9)] for n, t in v.items()}
            for r, v in results.items()
        }
        json.dump({"machine": machine(), "date": time.strftime("%Y-%m-%d"), "rows": kept}, file, indent=1)
    if options.write:
        replace_marked(os.path.join(ROOT, "README.md"), lines)
        with open(os.path.join(ROOT, "docs", "benchmarks.md"), "w", encoding="utf-8") as file:
            file.write("# Measured\n\n" + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
