"""Recording one real run of a function: which ops ran on what, and what the run left behind.

While it runs, every tensor that the function can reach bears a mark, and so does every result of an op; what arrives
without one came from somewhere a plan couldn't look. Only numbers and marks are kept while recording; the graph is built
when the plan is used for the first time.
"""

from __future__ import annotations

import os
import struct
import sys
import threading
import types

from .. import _core
from ..base import dtypes as dt
from ..ops.elementwise import equal, greater_equal, less, logical_and, logical_or
from ..ops.reduce import all as all_
from .bytecode import facts_of
from .floats import FloatTracker, TracedFloat, plain
from .kinds import (
    ABSENT,
    ALIAS,
    BLOB,
    CLASS,
    CONSTANT,
    DICT,
    FLOAT,
    INSTANCE,
    LIST,
    OPAQUE,
    SET,
    TENSOR,
    TUPLE,
    VALUE,
    is_own_code,
    kind_of,
)  # fmt: skip
from .ranges import Limits, limits_of, limits_of_dtype
from .state import MISSING, Place, State, Unrecordable, path_text
from .watch import Watch, user_line

Tensor = _core.Tensor
_HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep
_recording = threading.Lock()  # marks are on the tensors themselves, so there is one recording at a time
_local = threading.local()
SAME_ELEMENTS = frozenset(("reshape", "permute_dims", "expand_dims", "squeeze", "contiguous", "cast"))


class Lifted:
    """A tensor that was there before: its place, and what was known of it at entry."""

    __slots__ = ("grad_fn", "is_leaf", "meta", "place", "requires_grad", "trace")

    def __init__(self, place: Place, trace: int):
        tensor = place.value
        self.place = place
        self.trace = trace
        self.meta = tensor.meta
        self.requires_grad = tensor.requires_grad
        self.is_leaf = tensor.is_leaf


class Call:
    """One op as it ran. inputs: a trace number, None, a `Scalar`; needs: which inputs were attached to the tape."""

    __slots__ = ("attrs", "grad", "inputs", "line", "needs", "outputs", "record")

    def __init__(self, record, attrs, inputs, outputs, grad, needs, line):
        self.record = record
        self.attrs = attrs
        self.inputs = inputs
        self.outputs = outputs  # trace numbers
        self.grad = grad
        self.needs = needs
        self.line = line


class Scalar:
    """A Python number given to an op: a constant, or an expression of the call's float arguments."""

    __slots__ = ("source", "value")

    def __init__(self, value: object, source: str | None = None):
        self.source = source
        if type(value) is not bool and isinstance(value, int):
            value = int(value)
        self.value = value

    def key(self) -> tuple:
        value = self.value
        if self.source is not None:
            return ("float", self.source)
        return (type(value).__name__, value.hex() if type(value) is float else repr(value))


class Predicate:
    """A tensor's truth that decided how the code went on, after `position` ops."""

    __slots__ = ("line", "outcome", "position", "trace")

    def __init__(self, position: int, trace: int, outcome: bool, line: tuple):
        self.position = position
        self.trace = trace
        self.outcome = outcome
        self.line = line


class NewTensor:
    """A tensor object that the function made and that outlives it."""

    __slots__ = ("attached", "consumed", "leaf", "tensor", "trace")

    def __init__(self, tensor, trace: int):
        self.tensor = tensor
        self.trace = trace
        self.leaf = tensor.is_leaf and tensor.requires_grad
        linked = tensor.requires_grad and not tensor.is_leaf
        # A backward pass inside the function may have used up the graph behind it.
        self.consumed = (tensor.grad_fn, tensor.meta) if linked and _core.is_consumed(tensor) else None
        self.attached = linked and self.consumed is None


class Recorder:
    """What the core tells of each op, and what the profile function tells of the Python around it."""

    def __init__(self, function, root, lift_floats: bool = True):
        self.function = function
        self.root = root
        self.reason: str | None = None
        self.reason_line: tuple = ("<unknown>", 0)
        self.calls: list[Call] = []
        self.predicates: list[Predicate] = []
        self.origin: dict[int, Place] = {}  # trace number -> place of a lifted tensor
        self.lifted: list[Lifted] = []
        self.last_trace = 0
        # Limits that the elements of an integer tensor keep to: (its place, least, end, a number that counts as inside)
        self.ranges: dict[tuple, Place] = {}
        self.limits: dict[int, Limits] = {}  # of integers that ops gave: trace number -> [low, high)
        self.inside: set[tuple] = set()  # (trace number, low, high, ignore) of what is looked at already
        self.hashed: set[int] = set()  # lifted tensors whose identity was used
        self.attached_backward = False
        self.tracker = FloatTracker()
        self.float_places: dict[str, Place] = {}
        self.float_traces: dict[int, Scalar] = {}  # traced floats that ops have taken as operands
        self.lift_floats = lift_floats
        self.state = State(self._meet)
        self.watch = Watch(self._enter, self._make_plain, self._refuse_at, self._named_dynamically, self.tracker.fix)
        self.trace_of: dict[int, int] = {}  # id of a lifted tensor's place -> trace number

    # What happens meanwhile

    def refuse(self, reason: str, line: tuple | None = None) -> None:
        if self.reason is None:
            self.reason = reason
            self.reason_line = line or user_line(sys._getframe(1))

    def _refuse_at(self, reason: str, frame) -> None:
        self.refuse(reason, user_line(frame))

    def _named_dynamically(self, frame) -> None:
        if self.reason is None:
            try:
                self.state.use_everything()
            except Unrecordable as why:
                self.refuse(str(why), user_line(frame))

    def _enter(self, frame) -> bool:
        """A code object runs for the first time. Says whether it must not meet traced floats."""
        if self.reason is None:
            self._follow(frame)
        code = frame.f_code
        if not self.tracker.values or code.co_filename.startswith(_HERE):
            return False
        return is_own_code(code) or facts_of(code).sees_floats

    def _make_plain(self, frame) -> None:
        """Code that looks into floats, or at their type, gets ordinary ones; their values are guarded."""
        found = frame.f_locals
        for name, value in list(found.items()):
            if _holds_float(value):
                self.tracker.fix(_names_in(value))
                found[name] = strip_floats(value, copy=True)

    def _follow(self, frame) -> None:
        code = frame.f_code
        back = frame.f_back
        try:
            known = self.state.enter(code, frame.f_globals, back.f_code if back is not None else None)
        except Unrecordable as why:
            self.refuse(str(why), user_line(frame))
            return
        if not known and not _is_import_machinery(code):
            self.refuse(f"runs {code.co_name}(), which can't be found from its arguments and names", user_line(frame))

    def _meet(self, place: Place) -> None:
        """A tensor comes into reach."""
        tensor = place.value
        if _core.get_trace(tensor) != 0:
            raise Unrecordable(f"{path_text(place)} holds a tensor made inside the function")
        self.last_trace += 1
        _core.set_trace(tensor, self.last_trace)
        self.origin[self.last_trace] = place
        self.trace_of[id(place)] = self.last_trace
        self.lifted.append(Lifted(place, self.last_trace))
        if place.step != "grad" and tensor.dtype.kind in "fc":
            self.state.reach(place, "grad", None, tensor.grad, place.by_user)

    def on_op(self, op, attrs, inputs, outputs) -> None:
        """An op has run."""
        profile = sys.getprofile()
        sys.setprofile(None)
        try:
            if self.reason is None:
                self._record(op, attrs, inputs, outputs)
            else:
                for t in outputs:
                    self.last_trace += 1
                    _core.set_trace(t, self.last_trace)
        finally:
            sys.setprofile(profile)

    def _record(self, op, attrs, inputs, outputs) -> None:
        found = []
        needs = []
        for x in inputs:
            need = False
            if type(x) is Tensor:
                trace = _core.get_trace(x)
                if trace in self.float_traces:
                    found.append(self.float_traces[trace])
                    needs.append(False)
                    continue
                if trace == 0:
                    self.refuse(
                        f"gives {op.name} a tensor that was made from Python data, or outside where twain can't look"
                    )
                    break
                found.append(trace)
                need = x.requires_grad
            elif x is None:
                found.append(None)
            else:
                found.append(Scalar(x))
            needs.append(need)
        numbers = []
        for t in outputs:
            self.last_trace += 1
            _core.set_trace(t, self.last_trace)
            numbers.append(self.last_trace)
            if t.dtype.kind in "iu":
                self._note_limits(op.record, attrs, inputs, outputs, t)
        line = user_line(sys._getframe(2))
        self.calls.append(
            Call(op.record, attrs, tuple(found), tuple(numbers), _core.grad_enabled(), tuple(needs), line)
        )

    def _note_limits(self, record, attrs, inputs, outputs, tensor) -> None:
        """Remember what is known of an integer result, where it is more than its dtype says."""
        known = []
        for x in inputs:
            if type(x) is Tensor:
                known.append(self.limits.get(_core.get_trace(x)) or limits_of_dtype(x.dtype))
            else:
                known.append((int(x), int(x) + 1) if isinstance(x, int) else None)
        found = limits_of(record, attrs, inputs, known, outputs)
        for t, limits in zip(outputs, found):
            if t is tensor and limits is not None:
                self.limits[_core.get_trace(t)] = limits

    def on_read(self, tensor, kind: str) -> None:
        """A value is about to leave the graph."""
        profile = sys.getprofile()
        sys.setprofile(None)
        try:
            if self.reason is not None:
                return
            trace = _core.get_trace(tensor)
            if kind == "bool":
                if trace == 0:
                    self.refuse("takes the truth of a tensor made from Python data")
                    return
                previous = _core.set_recorder(None)
                try:
                    outcome = bool(tensor)
                except Exception:
                    return  # the same error follows in the code itself
                finally:
                    _core.set_recorder(previous)
                self.predicates.append(Predicate(len(self.calls), trace, outcome, user_line(sys._getframe(1))))
            elif kind == "hash":
                if is_own_code(sys._getframe(1).f_code):
                    return
                place = self.state.primary.get(id(tensor))
                if place is None or place.parent is None:
                    self.refuse(
                        "uses a tensor of this call as a set member or dict key: their order may be that of addresses"
                    )
                else:
                    self.hashed.add(id(tensor))
            else:
                self.refuse(f"takes a value out of a tensor ({_READS.get(kind, kind)})")
        finally:
            sys.setprofile(profile)

    def on_range(self, tensor, low: int, high: int, ignore: int) -> None:
        """The elements of an integer tensor lie in [low, high) or are `ignore`, else an error would have been raised."""
        profile = sys.getprofile()
        sys.setprofile(None)
        try:
            trace = _core.get_trace(tensor)
            for call in reversed(self.calls):  # the same elements in another shape or dtype
                if trace in call.outputs and call.record.name in SAME_ELEMENTS:
                    trace = call.inputs[0]
            place = self.origin.get(trace) if isinstance(trace, int) else None
            if place is not None and place.value.dtype.kind in "iu":
                self.ranges[id(place), low, high, ignore] = place
            elif self.reason is None and _core.get_trace(tensor):
                self._look_inside(tensor, low, high, ignore)
        finally:
            sys.setprofile(profile)

    def _look_inside(self, tensor, low: int, high: int, ignore: int) -> None:
        """A tensor that the function computes is an index: unless it can't be out of range, a plan goes on only if it isn't."""
        trace = _core.get_trace(tensor)
        key = (trace, low, high, ignore)
        least, end = self.limits.get(trace) or limits_of_dtype(tensor.dtype) or (0, 0)
        if key in self.inside or (low <= least and end <= high):
            return
        self.inside.add(key)
        parts = [greater_equal(tensor, low)] if least < low else []
        if end > high:
            parts.append(less(tensor, high))
        good = logical_and(*parts) if len(parts) > 1 else parts[0]
        if ignore != low:
            good = logical_or(good, equal(tensor, ignore))
        self.predicates.append(
            Predicate(len(self.calls), _core.get_trace(all_(good)), True, user_line(sys._getframe(2)))
        )

    def operand(self, value: TracedFloat):
        """A traced float as the tensor that an op takes: 0-d, weak, marked."""
        tensor = _core.from_buffer(_core.meta(dt.weak_float.code, ()), struct.pack("d", value))
        self.last_trace += 1
        _core.set_trace(tensor, self.last_trace)
        self.float_traces[self.last_trace] = Scalar(plain(value), value.source)
        return tensor

    # Running it

    def run(self, args: tuple, kwargs: dict):
        """The function's own result. Exceptions of its own pass through. Afterwards `reason` says why nothing is kept,
        or `finish` makes the recording."""
        state = self.state
        _core.new_trace_epoch()
        self.grad_enabled = _core.grad_enabled()
        try:
            place = state.add_root(self.root)
            place.by_user = True
            given_args = list(args)
            given_kwargs = dict(kwargs)
            names = self._parameter_names()
            for i, value in enumerate(args):
                name = names[i] if i < len(names) else None
                given_args[i] = self._argument(state.add_argument(i, value, name), value)
            for name, value in kwargs.items():
                given_kwargs[name] = self._argument(state.add_keyword(name, value), value)
        except Unrecordable as why:
            self.refuse(str(why), user_line(sys._getframe(1)))
            given_args, given_kwargs = args, kwargs
        previous_recorder = _core.set_recorder(self)
        _local.recorder = self
        sys.setprofile(self.watch)
        try:
            result = self.function(*given_args, **given_kwargs)
        finally:
            sys.setprofile(None)
            _local.recorder = None
            _core.set_recorder(previous_recorder)
            self.tracker.active = False
        if self.reason is None:
            try:
                self._finish(result)
            except Unrecordable as why:
                self.refuse(str(why), self._definition())
        if self.tracker.values:
            self.state.replace(_is_traced, plain)
            return strip_floats(result)
        return result

    def _parameter_names(self) -> tuple:
        code = getattr(self.root, "__code__", None)
        if code is None:
            return ()
        return code.co_varnames[isinstance(self.root, types.MethodType) : code.co_argcount]

    def _definition(self) -> tuple:
        code = getattr(self.root, "__code__", None)
        return (code.co_filename, code.co_firstlineno) if code is not None else ("<unknown>", 0)

    def _argument(self, place: Place, value: object) -> object:
        if type(value) is not float or not self.lift_floats:
            return value
        traced = self.tracker.trace(value)
        self.float_places[traced.source] = place
        return traced

    # What it left behind

    def _finish(self, result: object) -> None:
        if self.grad_enabled != _core.grad_enabled():
            raise Unrecordable("it leaves grad mode other than it found it")
        if self.tracker.values and any(p.kind is VALUE and type(p.value) is complex for p in self.state.places):
            self.tracker.fix(None)
        for name, place in self.float_places.items():
            if name not in self.tracker.fixed:
                place.kind = FLOAT
        self.new_tensors: list[NewTensor] = []
        self._new_index: dict[int, int] = {}
        self.rebound: list[tuple] = []  # (place, ("value", trace, attached))
        self.moved: list[tuple] = []  # (place, target)
        for lifted in self.lifted:
            tensor = lifted.place.value
            trace = _core.get_trace(tensor)
            if tensor.requires_grad != lifted.requires_grad and not (
                trace != lifted.trace and tensor.requires_grad and not tensor.is_leaf
            ):
                raise Unrecordable(f"it changes requires_grad of {path_text(lifted.place)}")
            if trace == lifted.trace:
                continue
            if trace == 0:
                raise Unrecordable(f"it gives {path_text(lifted.place)} a value from outside")
            attached = tensor.requires_grad and not tensor.is_leaf
            self.rebound.append((lifted.place, trace, attached))
        for place, new in self.state.changes():
            self.moved.append((place, None if new is None else self._target(new)))
        self.result = self._template(result, {})
        for new in self.new_tensors:
            if new.tensor.grad is not None:
                raise Unrecordable("it makes a tensor that has a .grad and outlives the call")
        self.uses_grads = (
            "grad" in self.state.names
            or any(p.step == "grad" for p, *_ in self.rebound)
            or any(p.step == "grad" for p, _ in self.moved)
            or self._reads_grads()
        )
        for new in self.new_tensors:
            new.tensor = None

    def trim(self, plan) -> None:
        """Let go of the call's own objects, now that the guards are built."""
        for place in self.state.places:
            place.children = {}
            if place.kind is TENSOR or (place.kind in (LIST, DICT, TUPLE, INSTANCE) and place.from_call()):
                place.value = None
        state, self.state = self.state, None
        state.primary.clear()

    def release(self) -> None:
        """What is left is needed by the built plan alone."""
        self.calls = []

    def _reads_grads(self) -> bool:
        grads = {t for t, p in self.origin.items() if p.step == "grad"}
        return any(not grads.isdisjoint(x for x in c.inputs if type(x) is int) for c in self.calls)

    def _target(self, tensor) -> tuple:
        """Where a tensor object that is kept comes from: ("place", place) or ("new", k)."""
        place = self.state.primary.get(id(tensor))
        if place is not None and place.value is tensor:
            return ("place", place)
        index = self._new_index.get(id(tensor))
        if index is None:
            trace = _core.get_trace(tensor)
            if trace == 0:
                raise Unrecordable("it keeps or returns a tensor that was made from Python data")
            index = self._new_index[id(tensor)] = len(self.new_tensors)
            self.new_tensors.append(NewTensor(tensor, trace))
        return ("new", index)

    def _template(self, value: object, memo: dict) -> tuple:
        """How to make the returned object again."""
        if type(value) is TracedFloat:
            return ("float", value.source)
        kind = kind_of(value)
        if kind is CONSTANT or kind is VALUE:
            return ("value", value)
        place = self.state.primary.get(id(value))
        if place is not None and place.value is value:
            return ("place", place.object)
        if kind is TENSOR:
            return self._target(value)
        if id(value) in memo:
            return ("again", memo[id(value)])
        if kind is CLASS:
            return ("value", value)
        if kind in (LIST, TUPLE, DICT, SET, INSTANCE):
            number = memo[id(value)] = len(memo)
            memo["keep", number] = value
            cls = type(value)
            if kind is DICT:
                if cls is not dict and cls.__name__ != "OrderedDict":
                    raise Unrecordable(f"it returns a {cls.__name__}, which can't be made again")
                items = tuple((self._template(k, memo), self._template(v, memo)) for k, v in value.items())
                return ("dict", number, cls, items)
            if kind in (LIST, TUPLE, SET) and cls in (list, tuple, set, frozenset):
                return ("sequence", number, cls, tuple(self._template(v, memo) for v in value))
            if isinstance(value, tuple) and cls.__new__ is not tuple.__new__ and not getattr(value, "__dict__", None):
                return ("named", number, cls, tuple(self._template(v, memo) for v in tuple.__iter__(value)))
            if kind is INSTANCE and _is_plain_instance(cls):
                items = tuple((k, self._template(v, memo)) for k, v in value.__dict__.items())
                return ("instance", number, cls, items)
        raise Unrecordable(
            f"it returns {'an' if type(value).__name__[0] in 'aeiou' else 'a'} {type(value).__name__}, which can't be made again"
        )


_READS = {
    "item": "item()", "float": "float()", "int": "int()", "tolist": "tolist()", "numpy": "numpy()", "repr": "printing it",
    "index": "using it as an index", "complex": "complex()", "dlpack": "DLPack", "buffer": "the buffer protocol",
}  # fmt: skip


def _is_plain_instance(cls: type) -> bool:
    """Can an object of `cls` be made again from its attributes alone?"""
    for c in cls.__mro__[:-1]:
        if "__slots__" in c.__dict__ or "__del__" in c.__dict__ or not c.__flags__ & 1 << 9:
            return False
    return cls.__mro__[-1] is object and cls.__new__ is object.__new__


def _is_import_machinery(code: types.CodeType) -> bool:
    return code.co_filename.startswith("<frozen importlib") and code.co_name in (
        "_handle_fromlist", "parent", "_lock_unlock_module", "acquire", "release", "__init__", "_get_module_lock", "cb",
    )  # fmt: skip


def _is_traced(value: object) -> bool:
    return type(value) is TracedFloat


def strip_floats(value: object, copy: bool = False) -> object:
    """`value` with traced floats replaced by ordinary ones, in plain containers (new ones with `copy`) and results."""
    kind = type(value)
    if kind is TracedFloat:
        return plain(value)
    if not _holds_float(value):
        return value
    if kind is list and not copy:
        value[:] = [strip_floats(v) for v in value]
        return value
    if kind is dict and not copy:
        for k, v in value.items():
            value[k] = strip_floats(v)
        return value
    if kind is dict:
        return {k: strip_floats(v, copy) for k, v in value.items()}
    if isinstance(value, (tuple, list)):
        items = [strip_floats(v, copy) for v in value]
        return items if kind is list else tuple.__new__(kind, items)  # type: ignore[type-var]
    for k, v in vars(value).items():
        vars(value)[k] = strip_floats(v, copy)
    return value


def _holds_float(value: object) -> bool:
    kind = type(value)
    if kind is TracedFloat:
        return True
    if kind is dict:
        return any(map(_holds_float, value.values()))
    if kind is list or isinstance(value, tuple):
        return any(map(_holds_float, value))
    return kind_of(value) is INSTANCE and any(type(v) is TracedFloat for v in getattr(value, "__dict__", {}).values())


def _names_in(value: object) -> frozenset:
    """The variables of all traced floats in there."""
    kind = type(value)
    if kind is TracedFloat:
        return value.names
    inner = value.values() if kind is dict else value if isinstance(value, (list, tuple)) else vars(value).values()
    return frozenset().union(*(_names_in(v) for v in inner if _holds_float(v)))


def is_recording() -> bool:
    """Is this thread inside a recording?"""
    return getattr(_local, "recorder", None) is not None


def traced_operand(value: object) -> object:
    """What an op takes for a float that isn't exactly a float: part of the core's convert callback."""
    recorder = getattr(_local, "recorder", None)
    if recorder is None or not recorder.tracker.active or value.tracker is not recorder.tracker:
        return plain(value)
    return recorder.operand(value)


def try_lock() -> bool:
    """Take the one place for a recording; False if another thread records."""
    return _recording.acquire(blocking=False)


def unlock() -> None:
    _recording.release()


__all__ = ["ABSENT", "ALIAS", "BLOB", "MISSING", "OPAQUE", "Recorder", "is_recording", "try_lock", "unlock"]
