"""The process that workers are forked from, and what a worker does.

The main process starts one such server with a fresh interpreter (spawn), and asks it for workers. The server has NumPy
and twain loaded and runs no threads, so a worker is there within milliseconds, shares the code's memory with the others,
and knows nothing of the main process but what it is sent. When the main process ends, however it does, the server
notices, ends the workers and itself.
"""

from __future__ import annotations

import importlib
import os
import pickle
import runpy
import select
import signal
import socket
import sys
import time
import traceback
import types
from typing import Any

from .. import _core
from ..base.errors import WorkerError
from ..base.lazy import LazyModule
from ..tensor.random import uniform
from . import memory
from .channel import Channel
from .fetch import END, Job, StreamReader, WorkerInfo, sample_under_way, set_worker
from .generators import set_generators
from .shared import Arena, unpack

np = LazyModule("numpy")

GRACE = 1.0  # seconds that a worker may take to end by itself


# ---------------------------------------------------------------- the server
def serve(descriptor: int) -> None:
    """Fork workers for the process at the other end of the socket `descriptor`, until it is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    channel = Channel(socket.socket(fileno=descriptor))
    _core.set_threads(1)  # so that forking is safe
    set_generators(0)
    warm = False
    wake, woken = os.pipe()
    os.set_blocking(wake, False)
    os.set_blocking(woken, False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    workers: dict[int, int] = {}  # process id -> token
    ending: dict[int, float] = {}  # process id -> when it is killed
    poll = select.poll()
    poll.register(channel, select.POLLIN)
    poll.register(wake, select.POLLIN)
    while not channel.closed:
        ready = poll.poll(50 if ending else None if warm else 20)
        if not ready and not warm:  # what most workers load sooner or later is loaded once, when nobody waits for it
            uniform((1,)).tolist()
            warm = True
        try:
            os.read(wake, 4096)
        except BlockingIOError:
            pass
        messages = channel.arrived()
        waiting = {descriptor for _, descriptors in messages for descriptor in descriptors}
        for body, descriptors in messages:
            order, token = pickle.loads(body)
            if order == "end":
                process = next((p for p, t in workers.items() if t == token), None)
                if process is not None:
                    ending[process] = time.monotonic() + GRACE
                continue
            try:
                process = os.fork()
            except OSError as error:
                channel.post(pickle.dumps(("dead", token, None, f"{error.strerror}")))
            else:
                if process == 0:
                    # A worker that held another's connection would hide its death.
                    others = waiting - {descriptors[0]}
                    _become_worker(channel, descriptors[0], (wake, woken, *others))
                workers[process] = token
                channel.post(pickle.dumps(("born", token, process, "")))
            waiting.remove(descriptors[0])
            os.close(descriptors[0])
        _reap(channel, workers, ending)
        for process, when in list(ending.items()):
            if time.monotonic() >= when:
                os.kill(process, signal.SIGKILL)
        channel.flush()
    for process in workers:
        os.kill(process, signal.SIGKILL)
    for process in workers:
        os.waitpid(process, 0)


def _reap(channel: Channel, workers: dict[int, int], ending: dict[int, float]) -> None:
    while workers:
        process, status = os.waitpid(-1, os.WNOHANG)
        if process == 0:
            return
        ending.pop(process, None)
        channel.post(pickle.dumps(("dead", workers.pop(process), os.waitstatus_to_exitcode(status), "")))


def _become_worker(channel: Channel, descriptor: int, others: tuple[int, ...]) -> None:
    """In the new process; never returns."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        channel.close()
        for other in others:
            os.close(other)
        work(Channel(socket.socket(fileno=descriptor)))
        code = 0
    except BaseException as error:
        code = error.code if isinstance(error, SystemExit) and isinstance(error.code, int) else 1
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError):
                pass
        os._exit(code)


# ---------------------------------------------------------------- a worker
class MainModule:
    """The user's script, run again (under the name __mp_main__) when something that was defined there is needed."""

    def __init__(self, path: str | None, name: str | None):
        self.path = path
        self.name = name
        self._loaded = False

    def find_class(self, module: str, name: str) -> Any:
        if module == "__main__":
            self._load(name)
        found: Any = importlib.import_module(module) if module != "__main__" else sys.modules["__main__"]
        try:
            for part in name.split("."):
                found = getattr(found, part)
        except AttributeError:
            raise WorkerError(
                f"[DataLoader] expected {name!r} in {self.path or module} to be defined at its top level and outside of "
                f'`if __name__ == "__main__":`, where workers can find it; it isn\'t there'
            ) from None
        return found

    def _load(self, wanted: str) -> None:
        if self._loaded:
            return
        self._loaded = True
        if self.path is None and self.name is None:
            raise WorkerError(
                f"[DataLoader] worker processes can't see {wanted!r}: it was defined in a notebook or at the prompt. Put "
                f"it into a file, say my_data.py, and write `from my_data import {wanted}`; or use num_workers=0"
            )
        module = types.ModuleType("__mp_main__")
        sys.modules["__main__"] = sys.modules["__mp_main__"] = module
        set_worker(script=self.path or self.name)
        if self.name is not None:
            content = runpy.run_module(self.name, run_name="__mp_main__", alter_sys=True)
        else:
            assert self.path is not None
            content = runpy.run_path(self.path, run_name="__mp_main__")
        module.__dict__.update(content)
        sys.modules["__main__"] = sys.modules["__mp_main__"] = module
        set_worker()


def describe(error: BaseException, place: str) -> tuple:
    """An exception as it travels: pickled where that can be, its text, its traceback, and where it happened."""
    try:
        body: bytes | None = pickle.dumps(error)
        pickle.loads(body)  # type: ignore[arg-type]
    except Exception:
        body = None
    text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    return body, f"{type(error).__name__}: {error}", text, place


def work(channel: Channel) -> None:
    """Make batches until the main process closes the channel."""
    received = channel.receive()
    if received is None:
        return
    setup = pickle.loads(received[0])
    set_worker()
    sys.path[:] = setup["path"]
    sys.argv[:] = setup["argv"]
    os.environ.clear()
    os.environ.update(setup["environ"])
    try:
        os.chdir(setup["folder"])
        main = MainModule(setup["main_path"], setup["main_name"])
        set_generators(setup["seed"], setup["id"], "start")
        job, initialise = unpack(received[1][0], setup["layout"], main.find_class)
        set_worker(WorkerInfo(setup["id"], setup["count"], setup["seed"], job.dataset))
        if initialise is not None:
            initialise(setup["id"])
        _make_batches(channel, job, setup["id"], setup["count"])
    except BaseException as error:
        if isinstance(error, SystemExit):
            raise
        channel.send(pickle.dumps(("failed", None, describe(error, "while it started"))))


def _make_batches(channel: Channel, job: Job, worker: int, workers: int) -> None:
    arena = Arena()
    memory.use_arena(arena)
    reader: StreamReader | None = None
    reading = None
    while (received := channel.receive()) is not None:
        key, epoch, number, first, indices, freed = pickle.loads(received[0])
        arena.freed(freed)
        arena.begin()
        descriptors: tuple[int, ...] = ()
        try:
            if indices is not None:
                batch = job.seeded(epoch, number, indices)
            else:
                if reader is None or reading != (key[0], epoch):
                    reader = StreamReader(job, epoch, first, worker, workers)
                    reading = (key[0], epoch)
                batch = reader.read()
            if batch is END:
                arena.give_up()
                message: tuple = ("end", key, reader is not None and reader.splits)
            else:
                packed, descriptors = arena.pack(batch)
                message = ("batch", key, packed, arena.dropped(), reader is not None and reader.splits)
                batch = None
        except Exception as error:
            arena.give_up()
            sample = sample_under_way()
            place = f"batch {number}" + ("" if sample is None else f", sample {sample}")
            message = ("error", key, describe(error, f"while it made {place}"))
        channel.send(pickle.dumps(message), descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


if __name__ == "__main__":
    serve(int(sys.argv[1]))
