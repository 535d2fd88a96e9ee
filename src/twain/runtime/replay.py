"""Running a plan: operands from the guards' values, parts in order, then all writes at once."""

from __future__ import annotations

from .. import _core
from .guards import Guards
from .kinds import FLOAT
from .plan import Part, Plan
from .record import Recorder
from .state import path_text, store

Tensor = _core.Tensor


class OtherBranch(Exception):
    """A predicate came out otherwise than recorded: another plan is needed. Nothing has been written."""


def wanted_places(plan: Plan, recorder: Recorder) -> list:
    """The places whose values a plan needs: operands, handles it gives new values, objects it stores into."""
    found = {id(p): p for p in recorder.origin.values() if plan.tape.origin[_trace(recorder, p)] in plan.operands}
    for place, _, _ in plan.rebound:
        found[id(place.object)] = place.object
    for place, target in plan.moved:
        owner = place.parent
        if owner is not None and place.step not in ("global", "module", "classdict"):
            found[id(owner.object)] = owner.object
        if target is not None and target[0] == "place":
            found[id(target[1].object)] = target[1].object
    _places_in(plan.result, found)
    return list(found.values())


def _trace(recorder: Recorder, place) -> int:
    return recorder.trace_of[id(place)]


def _places_in(template: tuple, found: dict) -> None:
    kind = template[0]
    if kind == "place":
        found[id(template[1].object)] = template[1].object
    elif kind in ("sequence", "named"):
        for inner in template[3]:
            _places_in(inner, found)
    elif kind == "dict":
        for key, inner in template[3]:
            _places_in(key, found)
            _places_in(inner, found)
    elif kind == "instance":
        for _, inner in template[3]:
            _places_in(inner, found)


class Replay:
    """A built plan, ready to run on the values its guards hand over."""

    __slots__ = ("_gathers", "_moves", "_news", "_outcomes", "_position", "_rebinds", "_result", "parts")

    def __init__(self, plan: Plan, guards: Guards):
        recorder = plan.recorder
        position = {id(p): i for i, p in enumerate(guards.order)}
        by_source = {plan.tape.origin[t]: position[id(p)] for t, p in recorder.origin.items() if id(p) in position}
        floats = {n: position[id(p)] for n, p in recorder.float_places.items() if p.kind is FLOAT}
        fixed = {n: v for n, v in recorder.tracker.values.items() if n not in floats}
        self.parts: list[Part] = plan.parts
        self._outcomes = plan.outcomes
        self._gathers = [[_operand(s, by_source, floats, fixed) for s in part.inputs] for part in plan.parts]
        self._news = plan.new_tensors
        self._rebinds = [(position[id(p.object)], source, attached) for p, source, attached in plan.rebound]
        self._moves = []
        for place, target in plan.moved:
            if place.step in ("global", "module", "classdict"):
                owner = place.parent.value
                where = None
            else:
                owner, where = None, position[id(place.parent.object)]
            self._moves.append((owner, where, place.step, place.key, _target(target, position)))
        self._result = _maker(plan.result, position, floats, fixed)
        self._position = position

    def native(self, plan: Plan, guards: Guards, modes: int):
        """The same as an object of the core's, or None if the core can't do it all."""
        if guards.extra:
            return None
        made: dict = {}  # source -> (part, output)
        parts = []
        outcomes = (*self._outcomes, False)
        for k, (part, gathers) in enumerate(zip(self.parts, self._gathers)):
            operands = []
            for gather in gathers:
                if type(gather) is int:
                    operands.append((gather, None, (), None))
                elif type(gather) is tuple:
                    operands.append((-1, None, (), made[gather]))
                elif gather.is_plain:
                    operands.append((gather.where[0], None, (), None))
                else:
                    operands.append((-1, gather.inner, gather.where, None))
            parts.append((part.op, part.attached, outcomes[k], operands))
            made.update((source, (k, i)) for i, source in enumerate(part.outputs))
        news = [(made[source], *how) for source, *how in self._news]
        rebinds = [(where, made[source], attached) for where, source, attached in self._rebinds]
        moves = []
        for owner, where, step, key, target in self._moves:
            if step == "global":
                owner, slot = owner.__globals__, "dict"
            elif step == "module":
                owner, slot = owner.__dict__, "dict"
            else:
                slot = _SLOTS.get(step)
                if slot is None:
                    return None
            value, new = (-1, -1) if target is None else (target[1], -1) if target[0] == "place" else (-1, target[1])
            moves.append((slot, owner, -1 if where is None else where, key, value, new))
        condition, arguments = None, ()
        if guards.conditions is not None:
            arguments, condition, _ = guards.conditions
        pattern = _pattern(plan.result, self._position) or (_with_memo(self._result),)
        return _core.ReplayPlan(guards.tree, modes, parts, news, rebinds, moves, pattern, condition, arguments)

    def run(self, values: list, done: dict) -> object:
        """The function's result. `done` keeps the results of parts that other plans of the same call share."""
        results: dict = {}
        try:
            news, result = self._compute(values, done, results)
        except ArithmeticError:  # in an expression of float arguments: the code itself is to show it
            raise OtherBranch from None
        self._write(values, results, news)
        return result

    def _compute(self, values: list, done: dict, results: dict) -> tuple:
        """All new objects and the result; nothing is written."""
        for number, (part, gather) in enumerate(zip(self.parts, self._gathers)):
            outputs = done.get(part)
            if outputs is None:
                outputs = done[part] = _call(part, gather, values, results)
            results.update(zip(part.outputs, outputs))
            if number < len(self._outcomes) and bool(outputs[0]) is not self._outcomes[number]:
                raise OtherBranch
        news = []
        for source, attached, leaf, consumed in self._news:
            tensor = _core.share(results[source]) if attached else results[source].detach()
            if leaf:
                tensor.requires_grad_()
            elif consumed:
                _core.consume(tensor, consumed[0])
            news.append(tensor)
        return news, self._result(values, news, {})

    def _write(self, values: list, results: dict, news: list) -> None:
        writes = [(values[i], results[s] if a else results[s].detach()) for i, s, a in self._rebinds]
        with _NoGrad():
            for handle, tensor in writes:
                handle.assign(tensor)
            for owner, where, step, key, target in self._moves:
                if target is not None:
                    target = values[target[1]] if target[0] == "place" else news[target[1]]
                store_at(owner if where is None else values[where], step, key, target)


def store_at(owner: object, step: str, key: object, value: object) -> None:
    if step == "global":
        owner.__globals__[key] = value
    else:
        store(owner, step, key, value)


class _NoGrad:
    __slots__ = ("before",)

    def __enter__(self):
        self.before = _core.set_grad_enabled(False)

    def __exit__(self, *exc):
        _core.set_grad_enabled(self.before)


def _call(part: Part, gather: list, values: list, results: dict) -> tuple:
    if part.op is None:
        return ()
    operands = [values[g] if type(g) is int else g(values) if callable(g) else results[g] for g in gather]
    if part.attached:
        found = part.op(*operands)
    else:
        with _NoGrad():
            found = part.op(*operands)
    return found if type(found) is tuple else tuple(found) if type(found) is list else (found,)


def _operand(source: tuple, by_source: dict, floats: dict, fixed: dict):
    if source[0] == "float":
        return _FloatFunction(source[1], floats, fixed)
    if source[0] == "result":
        return source
    return by_source[source]


class _FloatFunction:
    """An expression of float arguments as a function of the guards' values."""

    __slots__ = ("inner", "is_plain", "where")

    def __init__(self, text: str, floats: dict, fixed: dict):
        self.where = tuple(floats.values())
        self.inner = eval(
            f"lambda {', '.join(floats)}: {text}", {"__builtins__": {"abs": abs}, **fixed}
        )  # our own text
        self.is_plain = text in floats
        if self.is_plain:
            self.where = (floats[text],)
            self.inner = _same

    def __call__(self, values: list) -> float:
        return self.inner(*[values[i] for i in self.where])


def _same(value: float) -> float:
    return value


def _target(target: tuple | None, position: dict):
    if target is not None and target[0] == "place":
        return ("place", position[id(target[1].object)])
    return target


_SLOTS = {"attribute": "instance", "item": "dict", "index": "list", "grad": "grad", "content": "cell"}


def _with_memo(maker):
    return lambda values, news: maker(values, news, {})


def _pattern(template: tuple, position: dict) -> tuple | None:
    """The template in the core's form; None if it has something that only Python makes."""
    kind = template[0]
    if kind in ("new", "value"):
        return template
    if kind == "place":
        return ("place", position[id(template[1].object)])
    if kind == "sequence" and template[2] in (list, tuple) and template[1] is not None:
        parts = [_pattern(t, position) for t in template[3]]
        return None if None in parts else (template[2], tuple(parts))
    if kind == "dict" and template[2] is dict and all(k[0] == "value" for k, _ in template[3]):
        parts = [_pattern(t, position) for _, t in template[3]]
        return None if None in parts else (dict, tuple(k[1] for k, _ in template[3]), tuple(parts))
    return None


def _maker(template: tuple, position: dict, floats: dict, fixed: dict):
    """A function (values, new tensors, memo) -> the returned object."""
    kind = template[0]
    if kind == "value":
        value = template[1]
        return lambda values, news, memo: value
    if kind == "new":
        index = template[1]
        return lambda values, news, memo: news[index]
    if kind == "place":
        index = position[id(template[1].object)]
        return lambda values, news, memo: values[index]
    if kind == "float":
        function = _FloatFunction(template[1], floats, fixed)
        return lambda values, news, memo: function(values)
    if kind == "again":
        number = template[1]
        return lambda values, news, memo: memo[number]
    number, cls = template[1], template[2]

    def inner(t):
        return _maker(t, position, floats, fixed)

    if kind in ("sequence", "named"):
        makers = [inner(t) for t in template[3]]
        if cls is list:

            def make(values, news, memo):
                result = memo[number] = []
                result.extend(m(values, news, memo) for m in makers)
                return result
        else:

            def make(values, news, memo):
                items = [m(values, news, memo) for m in makers]
                memo[number] = result = cls(items) if kind == "sequence" else tuple.__new__(cls, items)
                return result
    elif kind == "dict":
        pairs = [(inner(k), inner(v)) for k, v in template[3]]

        def make(values, news, memo):
            result = memo[number] = cls()
            for key, value in pairs:
                result[key(values, news, memo)] = value(values, news, memo)
            return result
    else:
        pairs = [(k, inner(v)) for k, v in template[3]]

        def make(values, news, memo):
            result = memo[number] = cls.__new__(cls)
            for key, value in pairs:
                result.__dict__[key] = value(values, news, memo)
            return result

    return make


__all__ = ["OtherBranch", "Replay", "path_text", "wanted_places"]
