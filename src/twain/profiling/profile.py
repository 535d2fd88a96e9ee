"""The profiler: times every call of the core in this thread, kernel by kernel, and says what each computed and where."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from typing import Any, NamedTuple

from .. import _core
from ..base.errors import ArgumentError, TwainError
from ..io.atomic import atomic_write
from ..runtime.compile import tally
from .labels import Label, labels_of
from .machine import Machine, machine

LONG = 2e-5  # seconds: shorter kernels say little about the machine
LARGE = 1 << 24  # bytes
KEYS = ("line", "op", "kernel", "call")


class Kernel(NamedTuple):
    """One run of one kernel. Times in nanoseconds since the profile began; `memory`: bytes in use after its call.

    What needs several kernels (packing and product, the parts of a fold) counts as one run: the longest of them carries
    operations and bytes, the others are parts.
    """

    name: str
    line: str
    call: str
    backward: bool
    begin: int
    end: int
    flops: int
    nbytes: int
    memory: int
    part: bool

    @property
    def seconds(self) -> float:
        return (self.end - self.begin) * 1e-9


class Row(NamedTuple):
    """Kernels of one key together. `of_peak`: the share of what the machine could do at best in that time, by
    operations or by bytes, whichever is nearer to its limit; None where nothing was counted."""

    key: str
    seconds: float
    share: float
    runs: int
    flops: int
    nbytes: int
    of_peak: float | None


class Profile:
    """What `with twain.profile() as p:` has seen of this thread.

    `kernels` lists every run of a kernel in order; `print(p)` shows a table; `p.rows(by)` gives it as data; `p.export(path)`
    writes a trace for chrome://tracing or ui.perfetto.dev. Work of other threads is not seen.

    Operations are counted per node (a multiply-add is two), bytes are what a kernel must at least read and write; both
    follow from shapes and are no measurements. Profiled calls take the long way through the core, a microsecond or
    two each; the times of kernels are not touched by that. `recordings` says how many calls of compiled functions were not
    replayed but recorded: those show single ops.
    """

    def __init__(self) -> None:
        self.kernels: list[Kernel] = []
        self.calls = 0
        self.seconds = 0.0
        self.peak_bytes = 0
        self.unlabelled = 0
        self.recordings = 0
        self._events: list[tuple] = []
        self._begin = 0

    # ------------------------------------------------------------ recording
    def __enter__(self) -> Profile:
        self._events = []
        _core.reset_peak()
        self.recordings = -tally["recordings"]
        self._begin = _core.start_profile(self._events)
        return self

    def __exit__(self, *exception: object) -> None:
        end = _core.stop_profile()
        self.seconds = (end - self._begin) * 1e-9
        self.recordings += tally["recordings"]
        self.peak_bytes = _core.memory_stats()["peak"]
        events, self._events = self._events, []
        self.calls = len(events)
        self.kernels = [kernel for event in events for kernel in self._kernels(event)]

    def _kernels(self, event: tuple) -> Iterable[Kernel]:
        op, attrs, metas, line, backward, _, _, steps, memory = event
        if not steps:
            return
        try:
            labels = labels_of(op, attrs, metas)
        except TwainError:
            labels = []
            self.unlabelled += 1
        named = []
        longest: dict[int, tuple[int, int]] = {}
        for position, (number, begin, end) in enumerate(steps):
            label = labels[number] if 0 <= number < len(labels) else Label(-1 - position, op.record.name, None, 0, 0)
            named.append((label, begin, end))
            longest[label.group] = max(longest.get(label.group, (-1, 0)), (end - begin, position))
        for position, (label, begin, end) in enumerate(named):
            part = longest[label.group][1] != position
            yield Kernel(
                label.name, label.line or line or "?", op.record.name, backward, begin - self._begin, end - self._begin,
                0 if part else label.flops, 0 if part else label.nbytes, memory, part,
            )  # fmt: skip

    # ------------------------------------------------------------ reading
    @property
    def kernel_seconds(self) -> float:
        """Time in kernels; the rest of `seconds` is Python, dispatch and waiting."""
        return sum(k.seconds for k in self.kernels)

    def rows(self, by: str = "kernel") -> list[Row]:
        """Kernels summed up, the longest first.

        Args:
            by: "line" (of the user's code), "kernel" (what it computes, and where), "op" (what it computes),
                "call" (the op or compiled function that was called).
        """
        if by not in KEYS:
            raise ArgumentError(f"[Profile.rows] expected by to be one of {', '.join(KEYS)}, got {by!r}")
        groups: dict[str, list[Kernel]] = {}
        for k in self.kernels:
            groups.setdefault(self._key(k, by), []).append(k)
        whole = self.kernel_seconds
        best = self._best() if self.kernels else None
        rows = [_row(key, group, whole, best) for key, group in groups.items()]
        return sorted(rows, key=lambda row: -row.seconds)

    def _best(self) -> Machine:
        """What the machine reaches: as measured, or as seen in this profile if that is more."""
        known = machine()
        long = [k for k in self.kernels if k.seconds >= LONG]
        return Machine(
            max([known.flops, *(k.flops / k.seconds for k in long)]),
            max([known.bandwidth, *(k.nbytes / k.seconds for k in long if k.nbytes >= LARGE)]),
        )

    def _key(self, k: Kernel, by: str) -> str:
        phase = " (backward)" if k.backward else ""
        if by == "line":
            return k.line + phase
        if by == "call":
            return k.call
        return k.name + phase if by == "op" else f"{k.name}{phase} @ {k.line}"

    def table(self, by: str = "kernel", limit: int = 20) -> str:
        """The rows as text."""
        rows = self.rows(by)
        head = ("time", "share", "runs", "GFLOP/s", "GB/s", "of peak", by)
        lines = [
            (
                _time(row.seconds),
                f"{100 * row.share:.1f} %",
                str(row.runs),
                f"{row.flops / row.seconds * 1e-9:.1f}" if row.flops and row.seconds else "",
                f"{row.nbytes / row.seconds * 1e-9:.1f}" if row.nbytes and row.seconds else "",
                "" if row.of_peak is None else f"{100 * row.of_peak:.0f} %",
                row.key,
            )
            for row in rows[:limit]
        ]
        widths = [max(len(line[i]) for line in (head, *lines)) for i in range(6)]
        text = [
            "  ".join([*(cell.rjust(w) for cell, w in zip(line[:6], widths, strict=True)), line[6]])
            for line in (head, *lines)
        ]
        if len(rows) > limit:
            rest = sum(row.seconds for row in rows[limit:])
            text.append(f"... and {len(rows) - limit} more, {_time(rest)}")
        inside = self.kernel_seconds
        text.append(
            f"{_time(self.seconds)} in all: {_time(inside)} in {len(self.kernels)} kernels of {self.calls} calls, "
            f"{_time(max(0.0, self.seconds - inside))} outside; peak memory {self.peak_bytes / 1e6:.1f} MB"
        )
        if self.recordings:
            calls = "1 call" if self.recordings == 1 else f"{self.recordings} calls"
            text.append(
                f"{calls} of compiled functions ran op by op and {'was' if self.recordings == 1 else 'were'} recorded, as the "
                "first two and now and then later ones are (4, 8, 16, ...)"
            )
        return "\n".join(text)

    def __str__(self) -> str:
        return self.table()

    def __repr__(self) -> str:
        return f"Profile({self.calls} calls, {len(self.kernels)} kernels, {_time(self.seconds)})"

    def export(self, path: str | os.PathLike[str]) -> None:
        """Write the trace as JSON (Chrome's Trace Event Format), for chrome://tracing or ui.perfetto.dev."""
        process = os.getpid()
        events: list[dict[str, Any]] = [
            {"name": "process_name", "ph": "M", "pid": process, "args": {"name": "twain"}},
        ]
        for k in self.kernels:
            facts = {"line": k.line, "call": k.call, "flops": k.flops, "bytes": k.nbytes}
            span = {"pid": process, "tid": 1, "ts": k.begin / 1e3, "dur": (k.end - k.begin) / 1e3, "args": facts}
            name = k.name + (" (part)" if k.part else "")
            events.append({"name": name, "cat": "backward" if k.backward else "forward", "ph": "X", **span})
            use = {"bytes in use": k.memory}
            events.append({"name": "memory", "ph": "C", "pid": process, "ts": k.end / 1e3, "args": use})
        with atomic_write(path, "Profile.export") as file:
            file.write(json.dumps({"traceEvents": events, "displayTimeUnit": "ms"}).encode())


def _row(key: str, group: list[Kernel], whole: float, best: Machine | None) -> Row:
    seconds = sum(k.seconds for k in group)
    work, moved = sum(k.flops for k in group), sum(k.nbytes for k in group)
    of_peak = None
    # Less than LARGE may come from a cache, for which the bandwidth of memory is no limit.
    streamed = sum(k.nbytes for k in group if k.nbytes >= LARGE)
    if best is not None and seconds and (work or streamed):
        of_peak = max(work / best.flops, streamed / best.bandwidth) / seconds
    runs = sum(not k.part for k in group)
    return Row(key, seconds, seconds / whole if whole else 0.0, runs, work, moved, of_peak)


def _time(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e9:.0f} ns"


def profile() -> Profile:
    """Profile a block of code in this thread: time, operations, bytes and memory per kernel, with the user's lines.

    >>> with twain.profile() as p:
    ...     step(x, y)
    >>> print(p)                     # by kernel
    >>> print(p.table(by="line"))    # by line of one's own code
    >>> p.export("trace.json")       # for ui.perfetto.dev

    Profiles don't nest; other threads are not seen. Compiled functions stay compiled.
    """
    return Profile()
