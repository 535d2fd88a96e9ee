"""The main process' side of worker processes: starting them, giving out work, taking batches in order, cleaning up."""

from __future__ import annotations

import atexit
import os
import pickle
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from ..base.errors import ArgumentError, WorkerError
from .channel import Channel, pair
from .fetch import END, Job
from .shared import Blocks, Parcel, dumps

BOOT = "import sys; sys.path.insert(0, sys.argv[1]); from twain.data.server import serve; del sys.path[0]; serve({})"
HELD = 3  # batches beyond the prefetched ones that the user may hold without a copy
PATIENCE = 10.0  # seconds to wait for word of a process that is gone
LOOK = 1.0  # seconds after which a wait asks the server who died


# ---------------------------------------------------------------- the server, one for this process
class Server:
    """Starts workers; see `server`."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self.pids: dict[int, int] = {}
        self.deaths: dict[int, tuple[int | None, str]] = {}
        self._lock = threading.RLock()
        mine, other = pair()
        self.channel = mine
        environ = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        package = str(Path(__file__).resolve().parents[2])
        flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
        # A session of its own: Ctrl-C at the terminal is for the main process, which then ends the workers.
        self.popen = subprocess.Popen(
            [sys.executable, *flags, "-c", BOOT.format(other.fileno()), package],
            pass_fds=[other.fileno()],
            stdin=subprocess.DEVNULL,
            env=environ,
            start_new_session=True,
        )
        other.close()

    @property
    def usable(self) -> bool:
        return self.process == os.getpid() and not self.channel.closed and self.popen.poll() is None

    def fork(self, token: int, end: socket.socket) -> None:
        with self._lock:
            self.channel.send(pickle.dumps(("fork", token)), [end.fileno()])

    def end(self, token: int) -> None:
        with self._lock:
            if self.usable:
                self.channel.post(pickle.dumps(("end", token)))

    def _listen(self) -> None:
        for body, _ in self.channel.arrived():
            kind, token, number, text = pickle.loads(body)
            if kind == "born":
                self.pids[token] = number
            else:
                self.deaths[token] = (number, text)

    def death(self, token: int) -> tuple[int | None, str]:
        """How the worker ended: (exit code, negative for a signal; text)."""
        until = time.monotonic() + PATIENCE
        with self._lock:
            while True:
                self._listen()
                if token in self.deaths:
                    return self.deaths.pop(token)
                if self.channel.closed:
                    code = self.popen.wait(PATIENCE)
                    return None, f"the process that starts workers ended with {ending(code)}; see its output above"
                left = until - time.monotonic()
                if left <= 0:
                    return None, "it closed its connection and is still there"
                select.select([self.channel], [], [], left)

    def dead(self, token: int) -> bool:
        """Whether the worker is known to have ended."""
        with self._lock:
            self._listen()
            return token in self.deaths

    def pid(self, token: int) -> int | None:
        with self._lock:
            self._listen()
            return self.pids.get(token)

    def close(self) -> None:
        self.channel.close()
        if self.process == os.getpid():
            self.popen.wait()


_SERVER: list[Server] = []


def server() -> Server:
    """The server of this process, started if need be."""
    if _SERVER and not _SERVER[0].usable:
        close_server()
    if not _SERVER:
        _SERVER.append(Server())
    return _SERVER[0]


@atexit.register
def close_server() -> None:
    """End the server and with it all workers."""
    if _SERVER:
        _SERVER.pop().close()


def ending(code: int | None) -> str:
    """An exit code in words."""
    if code is None or code >= 0:
        return f"exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"{name}"


# ---------------------------------------------------------------- what can't be sent
def parcel(job: Job, initialise: Callable[[int], Any] | None) -> Parcel:
    """What workers are given; ArgumentError that names the attribute where something can't be pickled."""
    try:
        return Parcel((job, initialise))
    except Exception as error:
        for name, part in (("dataset", job.dataset), ("collate", job.collate), ("worker_init_fn", initialise)):
            found = _culprit(part, name, set())
            if found is not None:
                place, value, reason = found
                raise ArgumentError(
                    f"[DataLoader] expected a data set that can be pickled for worker processes, but {place} is "
                    f"{_what(value)}: {reason}. Functions and classes must stand at the top level of a module (no lambda, "
                    "nothing local); open files and connections are to be opened in the worker, when first used"
                ) from error
        raise


def _what(value: Any) -> str:
    name = getattr(value, "__qualname__", None)
    return f"{type(value).__name__} {name}" if name else f"a {type(value).__name__}"


def _culprit(value: Any, place: str, seen: set[int]) -> tuple[str, Any, str] | None:
    """The innermost part of `value` that can't be pickled: (its place, it, why)."""
    if id(value) in seen or len(seen) > 2000:
        return None
    seen.add(id(value))
    try:
        dumps(value)
        return None
    except Exception as error:
        reason = str(error) or type(error).__name__
    parts: list[tuple[str, Any]] = []
    if isinstance(value, dict):
        parts = [(f"{place}[{key!r}]", part) for key, part in value.items()]
    elif isinstance(value, (list, tuple)):
        parts = [(f"{place}[{number}]", part) for number, part in enumerate(value)]
    elif not isinstance(value, type):
        parts = [(f"{place}.{name}", part) for name, part in getattr(value, "__dict__", {}).items()]
    for inner, part in parts:
        found = _culprit(part, inner, seen)
        if found is not None:
            return found
    return place, value, reason


# ---------------------------------------------------------------- one worker
class _Worker:
    def __init__(self, number: int, token: int, channel: Channel, limit: int):
        self.number = number
        self.token = token
        self.channel = channel
        self.blocks = Blocks(limit)
        self.tasks: dict[Any, tuple[Any, str]] = {}  # key -> (epoch and number, what) of what it has to do
        self.ended = False  # its part of the stream is read


class _RemoteTraceback(Exception):
    """Shows the traceback in the worker under "The above exception was the direct cause of"."""

    def __init__(self, text: str):
        self.text = text

    def __str__(self) -> str:
        return f"\n{self.text}"


def _main_module() -> tuple[str | None, str | None]:
    """(path, module name) of the script that runs, as far as workers can run it again."""
    main = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    if spec is not None:
        return None, spec.name
    path = getattr(main, "__file__", None)
    return (os.path.abspath(path), None) if path is not None and not hasattr(sys, "ps1") else (None, None)


class Pool:
    """Workers for one loader: `begin` an epoch, then `next()` gives its batches in order."""

    _tokens = count()

    def __init__(
        self,
        job: Job,
        num_workers: int,
        prefetch: int,
        timeout: float,
        initialise: Callable[[int], Any] | None,
    ):
        self.stream = False
        self.timeout = timeout
        self.prefetch = prefetch
        self.workers: list[_Worker] = []
        self.server = server()
        self.turn = -1  # which pass of the loader it serves
        self._waiting: deque[Any] = deque()  # keys in the order in which their batches are to be given out
        self._results: dict[Any, Any] = {}
        self._work: Iterator[tuple[int, Any]] = iter(())
        self._discard = 0
        sent = parcel(job, initialise)
        path, name = _main_module()
        try:
            for number in range(num_workers):
                mine, other = pair()
                token = next(Pool._tokens)
                self.workers.append(_Worker(number, token, mine, prefetch + HELD))
                self.server.fork(token, other)
                other.close()
                setup = {
                    "path": list(sys.path), "argv": list(sys.argv), "environ": dict(os.environ), "folder": os.getcwd(),
                    "main_path": path, "main_name": name, "layout": sent.layout, "id": number, "count": num_workers,
                    "seed": job.seed,
                }  # fmt: skip
                mine.send(pickle.dumps(setup), [sent.fileno()])
        except OSError as error:
            self.close()
            raise WorkerError(f"[DataLoader] worker processes could not be started: {error}") from error
        finally:
            sent.close()

    # ------------------------------------------------------------ giving out work
    def begin(self, epoch: int, first: int, batches: Sequence[Any] | None) -> None:
        """An epoch from batch `first` on: lists of indices, or None for a stream."""
        self.turn += 1
        for result in self._results.values():
            self._forget(result)
        self._results.clear()
        self._waiting.clear()
        self._discard = 0
        self.epoch = epoch
        self.first = first
        self.stream = batches is None
        for worker in self.workers:
            worker.ended = False
        if batches is None:
            self._work = ((turn, None) for turn in count())
        else:
            self._work = ((number, batches[number]) for number in range(first, len(batches)))
        self._give_out()

    def _give_out(self) -> None:
        """As much work as may be under way; the worker with the least of it is next."""
        while len(self._waiting) < self.prefetch * len(self.workers):
            if self.stream:
                able = [w for w in self.workers if not w.ended]
            else:
                able = [w for w in self.workers if len(w.tasks) < self.prefetch]
            if not able:
                return
            following = next(self._work, None)
            if following is None:
                return
            number, indices = following
            if self.stream:  # by turns: worker 0, 1, ..., those at their end left out
                worker = self.workers[number % len(self.workers)]
                if worker.ended:
                    continue
                number = self.first + number
            else:
                worker = min(able, key=lambda w: len(w.tasks))
            key = (self.turn, following[0])
            worker.tasks[key] = number, "" if indices is None else _range(indices)
            self._waiting.append(key)
            freed = [worker.blocks.freed.popleft() for _ in range(len(worker.blocks.freed))]
            worker.channel.post(pickle.dumps((key, self.epoch, number, self.first, indices, freed)))

    # ------------------------------------------------------------ taking batches
    def next(self) -> Any:
        """The next batch, or END."""
        while True:
            self._give_out()
            if not self._waiting:
                return END
            key = self._waiting[0]
            if key not in self._results:
                self._wait(key)
            self._waiting.popleft()
            worker, kind, content = self._results.pop(key)
            if kind == "end":
                continue
            if kind == "error":
                self._raise(worker, content)
            if self._discard:
                self._discard -= 1
                worker.blocks.skip(content)
                continue
            batch = worker.blocks.unpack(content)
            self._give_out()
            return batch

    def _wait(self, key: Any) -> None:
        until = time.monotonic() + self.timeout if self.timeout else None
        poll = select.poll()
        by_descriptor = {worker.channel.fileno(): worker for worker in self.workers}
        for descriptor, worker in by_descriptor.items():
            poll.register(descriptor, select.POLLIN | (select.POLLOUT if worker.channel.unsent else 0))
        while key not in self._results:
            left = LOOK if until is None else min(max(until - time.monotonic(), 0.0), LOOK)
            ready = poll.poll(left * 1000)
            if not ready and until is not None and time.monotonic() >= until:
                raise self._too_late()
            if not ready:
                # A process that a worker forked may hold the connection, so that its end does not show there.
                for worker in self.workers:
                    if self.server.dead(worker.token):
                        self._take_in(worker)
                        raise self._death(worker)
            for descriptor, event in ready:
                worker = by_descriptor[descriptor]
                if event & select.POLLOUT:
                    worker.channel.flush()
                    if not worker.channel.unsent:
                        poll.modify(descriptor, select.POLLIN)
                if event & ~select.POLLOUT:
                    self._take_in(worker)

    def _take_in(self, worker: _Worker) -> None:
        for body, descriptors in worker.channel.arrived():
            kind, key, content, *more = pickle.loads(body)
            if kind == "failed":
                self._raise(worker, content)
            del worker.tasks[key]
            splits = False
            if kind == "batch":
                dropped, splits = more
                if descriptors:
                    worker.blocks.met(content[0], content[1], descriptors[0])
                worker.blocks.dropped(dropped)
            elif kind == "end":
                splits = content
            result = (worker, kind, content)
            if key[0] != self.turn:
                self._forget(result)
                continue
            if kind == "end":  # of this worker's part, or of the stream
                for other in [worker] if splits else self.workers:
                    other.ended = True
            if splits and key[1] == 0 and self.first:  # it doesn't know what of its part was given out before
                self._discard = self.first
            self._results[key] = result
        if worker.channel.closed:
            raise self._death(worker)

    def _forget(self, result: Any) -> None:
        worker, kind, content = result
        if kind == "batch":
            worker.blocks.skip(content)

    # ------------------------------------------------------------ what goes wrong
    def _raise(self, worker: _Worker, content: tuple) -> None:
        body, summary, text, place = content
        where = f"in worker {worker.number}, {place}"
        remote = _RemoteTraceback(f"{where}:\n{text}")
        if body is not None:
            error = pickle.loads(body)
            if isinstance(error, WorkerError):
                raise error
            raise error from remote
        raise WorkerError(f"[DataLoader] {where}: {summary}") from remote

    def _death(self, worker: _Worker) -> WorkerError:
        code, text = self.server.death(worker.token)
        at = next(iter(worker.tasks.values()), None)
        doing = "while it started" if at is None else f"while it made batch {at[0]}{at[1]}"
        hint = ""
        if code == -signal.SIGKILL:
            hint = (
                "; the system kills processes so when memory runs out: try fewer workers or a smaller prefetch_factor"
            )
        elif code is not None and code < 0:
            hint = "; a crash in native code, perhaps of a library that the data set uses"
        said = text or f"ended with {ending(code)}"
        return WorkerError(
            f"[DataLoader] worker {worker.number} (process {self.server.pid(worker.token)}) {said} {doing}{hint}"
        )

    def _too_late(self) -> WorkerError:
        busy = [
            f"worker {w.number} (process {self.server.pid(w.token)}) is at batch {at[0]}{at[1]}"
            for w in self.workers
            if (at := next(iter(w.tasks.values()), None)) is not None
        ]
        return WorkerError(
            f"[DataLoader] expected a batch within timeout={self.timeout} s, got none; {'; '.join(busy) or 'no worker is busy'}"
        )

    def close(self) -> None:
        """End the workers. Batches that were given out stay valid."""
        for worker in self.workers:
            worker.channel.close()
            self.server.end(worker.token)
        self.workers = []
        self._results.clear()
        self._waiting.clear()


def _range(indices: Any) -> str:
    try:
        count = len(indices)
    except TypeError:
        return f" (sample {int(indices)})"
    shown = ", ".join(str(int(index)) for index in indices[:5])
    return f" (samples {shown}{', ...' if count > 5 else ''})"


def close_with(owner: Any, pool: Pool) -> weakref.finalize:
    """Close `pool` when `owner` is gone, and at the end of the process."""
    return weakref.finalize(owner, pool.close)
