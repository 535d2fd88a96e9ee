"""`twain.compile`: a function that is recorded when it runs, and replayed as one native call when its guards hold.

The rules are in docs/semantics.md, with examples: what can't be replayed faithfully runs eagerly, and says once why.
"""

from __future__ import annotations

import functools
import gc
import sys
import types
import warnings

from .. import _core
from ..base.config import config
from ..base.errors import ArgumentError
from ..ops.index import full
from ..ops.placement import move
from ..transforms.levels import stack
from .floats import TracedFloat
from .guards import Guards
from .plan import Plan
from .prepare import prepare, prepare_vjp
from .record import Recorder, traced_operand, try_lock, unlock
from .replay import OtherBranch, Replay, wanted_places
from .watch import unwatched, user_level

MAX_PLANS = 64  # of one function; the least recently used goes
MAX_BRANCHES = 16  # plans that differ in nothing but how predicates came out
MAX_ATTEMPTS = 4  # recordings that may fail before the function stays eager for good
HITS_THAT_EXCUSE = 8  # replayed calls between two failures after which the count of failures starts again
MAX_IDLE_RECORDINGS = 32  # recordings that were never replayed before it stays eager for good
LOG_LENGTH = 200
tally = {"recordings": 0}  # of all functions, for profiles


class CompileWarning(UserWarning):
    """A compiled function stays eager, or a plan turned out wrong in an audit."""


class CompiledFunction(_core.CompiledFunction):
    """What `twain.compile` returns. Calling it runs the function, natively where a recording can be replayed.

    `explain()` tells what was recorded, kept, dropped and why; `clear()` forgets all plans. The core's base class counts
    `calls` and `hits`, tries `plans`, and asks `_call_slowly` where none of them answers.
    """

    def __init__(self, function):
        self.function = function
        self.root = function
        self.name = getattr(function, "__qualname__", None) or type(function).__qualname__
        self.eager_reason: str | None = None
        self.recordings = 0
        self.failures = 0
        self.next_audit = 2
        self._next_attempt = 1
        self._idle = 0
        self._hits_before = 0
        self._hits_at_failure = 0
        self._plans: dict[int, list] = {}  # modes -> all plans, the newest or most recently used by Python first
        self._log: list[str] = []
        self._warned = False
        self._last_why = "none"
        code = getattr(function, "__code__", None)
        if code is not None and code.co_flags & 0x2A0:  # generator, coroutine, async generator
            self._stay_eager("it is a generator or coroutine function, which runs in pieces", code)
        if isinstance(function, type):
            self._stay_eager("it is a class", None)
        functools.update_wrapper(self, function, updated=())

    def _call_slowly(self, args: tuple, kwargs: dict):
        """A call that none of the core's plans has answered, or whose turn it is to be recorded again."""
        if stack.levels:  # values of transformations pass through the function itself
            return self.function(*args, **kwargs)
        modes = _core.modes()
        plans = self._plans.get(modes, ())
        # Nothing can be recorded beside a profiler: what is due then waits until it is gone.
        audit = self.calls >= self.next_audit and sys.getprofile() is None
        fitting = []
        done: dict = {}
        for plan in list(plans):
            values = plan.guards.check(args, kwargs)
            if values is None:
                continue
            fitting.append(plan)
            if audit:
                continue
            replay = self._built(plan, plans, modes)
            if plan.native is not None:
                result = plan.native.run(args, kwargs)
                if result is NotImplemented:
                    continue
            else:
                try:
                    result = replay.run(values, done)
                except OtherBranch:
                    continue
            self.hits += 1
            self._idle = 0
            if plans[0] is not plan and plan in plans:
                plans.remove(plan)
                plans.insert(0, plan)
            return result
        if self.calls < self._next_attempt:
            return self.function(*args, **kwargs)
        return self._record(args, kwargs, fitting)

    def _built(self, plan: Plan, plans: list, modes: int) -> Replay:
        """The plan made ready to run, when it is used for the first time."""
        if plan.replay is None:
            plan.build([p for p in plans if p.built])
            plan.replay = Replay(plan, plan.guards)
            plan.native = plan.replay.native(plan, plan.guards, modes)
            self._say(f"built the plan: {len(plan.parts)} part(s), {plan.guards.count} guards")
            plan.recorder.release()
            self._refresh()
        return plan.replay

    def _refresh(self) -> None:
        """Tell the core which plans it may use."""
        known = {id(p.native): p for plans in self._plans.values() for p in plans if p.native is not None}
        kept = [p for p in self.plans if id(p) in known]
        fresh = [p.native for p in known.values() if all(p.native is not k for k in kept)]
        self.plans = fresh + kept

    def __get__(self, instance, owner=None):
        return self if instance is None else types.MethodType(self, instance)

    def __getattr__(self, name: str):
        if name == "function":
            raise AttributeError(name)
        return getattr(self.function, name)

    def __repr__(self) -> str:
        return f"<compiled {self.name}>"

    def __reduce__(self):
        return CompiledFunction, (self.function,)

    # Recording

    def _record(self, args: tuple, kwargs: dict, fitting: list):
        """Run for real and keep what was recorded, if it can be. `fitting`: plans whose guards hold."""
        if sys.getprofile() is not None or not try_lock():
            return self.function(*args, **kwargs)
        if self.hits != self._hits_before:
            self._hits_before = self.hits
            self._idle = 0
        if not fitting and self._plans and (config.explain or self._idle + 2 >= MAX_IDLE_RECORDINGS):
            self._say("no plan fits: " + self.why(*args, **kwargs))
        while self.next_audit <= self.calls:
            self.next_audit *= 2
        collecting = gc.isenabled()
        gc.disable()  # finalizers of strangers would seem to be part of the function
        try:
            recorder = Recorder(self.function, self.root)
            modes = _core.modes()
            result = recorder.run(args, kwargs)
            self.recordings += 1
            tally["recordings"] += 1
            if recorder.reason is not None:
                self._dropped(recorder, fitting)
            else:
                self._keep(recorder, modes, fitting)
        finally:
            if collecting:
                gc.enable()
            unlock()
        return result

    def _keep(self, recorder: Recorder, modes: int, fitting: list) -> None:
        plan = Plan(self.name, recorder)
        plans = self._plans.setdefault(modes, [])
        for old in fitting:
            same_way, equal = _compare(old, plan)
            if same_way and equal:
                self._say(f"audit at call {self.calls}: the recording is the same")
                return
            if same_way:
                self._mismatch(old, plan, plans)
                return
        branches = [p for p in plans if p.predicates]
        if plan.predicates and fitting and len(branches) >= MAX_BRANCHES:
            self._stay_eager(
                f"it branched in more than {MAX_BRANCHES} ways on the values of tensors", recorder.predicates[-1].line
            )
            return
        try:
            plan.guards = Guards(recorder, wanted_places(plan, recorder))
        except ValueError as error:
            self._fail(f"its guards can't be built: {error}", None)
            return
        recorder.trim(plan)
        plans.insert(0, plan)
        if len(plans) > MAX_PLANS:
            self._evict(plans)
        self._idle += 1
        self._say(
            f"recorded at call {self.calls}: {len(plan.tape.calls)} ops, {plan.guards.count} guards"
            + (f", branches {''.join('FT'[o] for o in plan.outcomes)}" if plan.outcomes else "")
        )
        if self._idle >= MAX_IDLE_RECORDINGS:
            self._stay_eager(
                f"{self._idle} recordings in a row were never used again; the last new guard: {self._last_why}", None
            )

    def _evict(self, plans: list) -> None:
        """Forget the plan that was used longest ago: one never replayed, else the last in the core's order."""
        order = {id(p): i for i, p in enumerate(self.plans)}
        victim = max(plans[1:], key=lambda p: len(order) if p.native is None else order.get(id(p.native), len(order)))
        plans.remove(victim)
        self._refresh()

    def _mismatch(self, old: Plan, plan: Plan, plans: list) -> None:
        text = old.difference(plan)
        plans.remove(old)
        self._refresh()
        self._warn(f"{self.name}: a recording was wrong and has been dropped: {text}")
        self._fail(f"an audit found another computation ({text})", None)

    def _dropped(self, recorder: Recorder, fitting: list) -> None:
        modes = self._plans.get(_core.modes(), [])
        for plan in fitting:
            if plan in modes:
                modes.remove(plan)
        self._refresh()
        if fitting:
            self._warn(f"{self.name}: a recording was wrong and has been dropped: {recorder.reason}")
        self._fail(recorder.reason, recorder.reason_line)

    def _fail(self, reason: str, line: tuple | None) -> None:
        if self.hits - self._hits_at_failure >= HITS_THAT_EXCUSE:
            self.failures = 0
        self._hits_at_failure = self.hits
        self.failures += 1
        self._say(f"not kept at call {self.calls}: {_at(reason, line)}")
        self._next_attempt = max(self.calls + 1, 2**self.failures)
        if self.failures >= 2:
            self._warn(f"{self.name} stays eager: {_at(reason, line)}")
        if self.failures >= MAX_ATTEMPTS:
            self._stay_eager(reason, line)

    def _stay_eager(self, reason: str, where) -> None:
        if isinstance(where, types.CodeType):
            where = (where.co_filename, where.co_firstlineno)
        self.eager_reason = _at(reason, where)
        self.stays_eager = True
        self._plans.clear()
        self.plans = []
        self._say(f"stays eager: {self.eager_reason}")
        self._warn(f"{self.name} stays eager: {self.eager_reason}")

    # Telling

    def _say(self, text: str) -> None:
        if len(self._log) < LOG_LENGTH:
            self._log.append(text)
        if config.explain:
            print(f"[compile] {self.name}: {text}", file=sys.stderr)

    def _warn(self, text: str) -> None:
        """Once per function."""
        if not self._warned:
            self._warned = True
            warnings.warn(text, CompileWarning, stacklevel=user_level())

    def why(self, *args, **kwargs) -> str:
        """Which guard of the latest plan a call with these arguments would fail."""
        plans = self._plans.get(_core.modes())
        if not plans:
            return "nothing was recorded under this grad mode" if self._plans else "nothing has been recorded"
        self._last_why = plans[0].guards.explain(args, kwargs)
        return self._last_why

    def explain(self) -> str:
        """What happened so far, as text: calls, plans, and why recordings were kept or dropped."""
        state = f"eager: {self.eager_reason}" if self.eager_reason else f"{sum(map(len, self._plans.values()))} plan(s)"
        head = f"{self.name}: {self.calls} calls, {self.hits} replayed, {self.recordings} recorded; {state}"
        return "\n".join([head, *("  " + line for line in self._log)])

    def clear(self) -> None:
        """Forget all plans and reasons."""
        self._plans.clear()
        self.plans = []
        self.eager_reason = None
        self.stays_eager = False
        self.failures = 0
        self._idle = 0
        self._next_attempt = self.calls + 1


def _compare(old: Plan, new: Plan) -> tuple[bool, bool]:
    """(should both have done the same, did they)."""
    for i, (a, b) in enumerate(zip(old.predicates, new.predicates)):
        if a != b:
            return True, False
        if old.outcomes[i] != new.outcomes[i]:
            position = a[0]
            return old.tape.keys[:position] != new.tape.keys[:position], False
    return True, old.same_as(new)


def _at(reason: str, line: tuple | None) -> str:
    return reason if line is None else f"{reason} ({line[0]}:{line[1]})"


def _convert(op, position: int, value: object) -> object:
    """The core's question about an operand that is neither a tensor nor exactly a Python number."""
    if type(value) is TracedFloat:
        return traced_operand(value)
    if isinstance(value, (float, complex)):  # of a subclass, NumPy's scalars for instance
        return value.__float__() if isinstance(value, float) else value.__complex__()
    if isinstance(value, int):
        return value.__int__()
    return _convert_from_outside(op, position, value)


def _fill(meta, number: float):
    """A constant that backward needs while somebody records."""
    result = full(number, meta.shape, meta.dtype)
    return move(result, meta.device, 0) if meta.device else result


_core.set_config(config)
_convert_from_outside = _core.install(
    prepare=unwatched(prepare), vjp=unwatched(prepare_vjp), convert=_convert, fill=_fill
)["convert"]


def compile(function=None):
    """Record `function` when it runs and replay it as one native call.

    A decorator for functions and methods, or a wrapper of any callable, a Module for instance. The code stays ordinary
    Python: branches on tensor values, in-place updates, backward() and optimizer steps inside it work. What can't be
    replayed faithfully runs eagerly and says once why; see `explain()` of the result and docs/semantics.md.
    """
    if function is None:
        return compile
    if not callable(function):
        raise ArgumentError(f"[compile] expected a function or another callable, got {type(function).__name__}")
    if isinstance(function, CompiledFunction):
        return function
    return CompiledFunction(function)
