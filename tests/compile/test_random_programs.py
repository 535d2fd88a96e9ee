"""Programs made at random: tensors, state, branches, loops, gradients; eager and compiled must show the same."""

from __future__ import annotations

import builtins
import random
import textwrap

import pytest
from eager_and_compiled import CompileWarning, compile, freeze, values

import twain

CALLS = 16


class Box:
    def __init__(self):
        self.t = values(3, start=0.3)
        self.u = values(3, start=-0.2)
        self.k = 2.0
        self.flag = True
        self.none = None


class Maker:
    """Source text of one function f(x, y, lr, n) over the globals w, box, state, items."""

    def __init__(self, seed: int):
        self.random = random.Random(seed)
        self.lines: list[str] = []
        self.names = ["x", "y"]
        self.count = 0
        self.grads = self.random.random() < 0.5
        self.used_grad = False

    def pick(self, *options):
        return self.random.choice(options)

    def tensor(self) -> str:
        return self.pick(
            *self.names, *self.names, "box.t", "box.u", "state['a']", "state['b']", "items[0]", "items[1]", "w.detach()"
        )

    def number(self) -> str:
        return self.pick("lr", "box.k", "n", "0.5", "2.0", "lr * 0.5", "(1 - lr)", "K", "len(items)", "state['n']")

    def expression(self, depth: int = 0) -> str:
        kind = self.random.random()
        if depth > 2 or kind < 0.2:
            return self.tensor()
        if kind < 0.55:
            return f"({self.expression(depth + 1)} {self.pick('+', '-', '*')} {self.expression(depth + 1)})"
        if kind < 0.75:
            return f"({self.expression(depth + 1)} {self.pick('+', '-', '*')} {self.number()})"
        if kind < 0.9:
            return f"twain.{self.pick('tanh', 'sin', 'relu', 'sigmoid')}({self.expression(depth + 1)})"
        if kind < 0.95:
            return f"helper({self.expression(depth + 1)}, {self.number()})"
        return f"(twain.random.uniform((3,)) * {self.expression(depth + 1)})"

    def condition(self) -> str:
        return self.pick(
            f"({self.expression(2)}).sum() > {self.pick('0.0', '1.0', '-1.0')}", "lr > 0.05", "n > 1", "box.flag",
            "box.none is None", "x is y", "len(items) > 2", "state['n'] == 1", "lr * 2 < 0.15",
        )  # fmt: skip

    def statement(self, indent: int, depth: int) -> None:
        pad = "    " * indent
        kind = self.random.random()
        if kind < 0.3:
            self.count += 1
            name = f"v{self.count}"
            self.lines.append(f"{pad}{name} = {self.expression()}")
            if indent == 1:
                self.names.append(name)
        elif kind < 0.45:
            target = self.pick("state['a']", "state['b']", "box.t", "box.u", "items[0]", "items[1]")
            self.lines.append(f"{pad}{target} = {self.expression()}")
        elif kind < 0.55:
            target = self.pick("x", "y", "box.t", "state['a']", "items[1]")
            self.lines.append(f"{pad}{target} {self.pick('+=', '*=', '-=')} {self.expression(1)}")
        elif kind < 0.62:
            self.lines.append(f"{pad}{self.pick('box.u', 'box.t', 'items[0]')}.assign({self.expression()})")
        elif kind < 0.66:
            a, b = self.pick(("box.t", "box.u"), ("state['a']", "items[0]"), ("items[0]", "items[1]"))
            self.lines.append(f"{pad}{a}, {b} = {b}, {a}")
        elif kind < 0.7:
            self.lines.append(f"{pad}box.none = {self.pick('None', self.tensor())}")
        elif kind < 0.72:
            self.lines.append(
                pad
                + self.pick(
                    "state['n'] += 1", "items.append(x) if len(items) < 6 else None", "box.k = lr", "seen.add(n)"
                )
            )
        elif kind < 0.8 and self.grads and depth == 0:
            self.used_grad = True
            self.lines.append(f"{pad}w.grad = None" if self.random.random() < 0.7 else f"{pad}pass")
            self.lines.append(f"{pad}loss = (w * {self.expression(1)}).sum()")
            self.lines.append(f"{pad}loss.backward()")
            self.lines.append(f"{pad}with twain.no_grad():")
            self.lines.append(f"{pad}    w.assign(w - {self.pick('lr', '0.01', 'box.k * 0.01')} * w.grad)")
            if self.random.random() < 0.3:
                self.lines.append(f"{pad}w.grad = None")
        elif kind < 0.92 and depth < 2:
            self.lines.append(f"{pad}if {self.condition()}:")
            for _ in range(self.random.randint(1, 2)):
                self.statement(indent + 1, depth + 1)
            if self.random.random() < 0.5:
                self.lines.append(f"{pad}else:")
                self.statement(indent + 1, depth + 1)
            if self.random.random() < 0.2:
                self.lines.append(f"{pad}    return {self.tensor()}")
        elif depth < 2:
            self.lines.append(f"{pad}for j in range({self.pick('n', '2', 'len(items)')}):")
            self.statement(indent + 1, depth + 1)
        else:
            self.lines.append(f"{pad}pass")

    def source(self) -> str:
        self.lines = ["def f(x, y, lr, n):"]
        for _ in range(self.random.randint(2, 6)):
            self.statement(1, 0)
        result = self.pick(
            self.tensor(), f"({self.tensor()}, {self.tensor()}, n)", f"{{'a': {self.tensor()}, 'b': [{self.expression(1)}, lr]}}",
            "loss.detach()" if self.used_grad else "None", self.expression(),
        )  # fmt: skip
        self.lines.append(f"    return {result}")
        return "\n".join(self.lines) + "\n"


def world(source: str, wrap):
    """The function in a world of its own, and what is to be seen of that world."""
    twain.random.seed(1)
    names = {
        "twain": twain, "K": 1.5, "w": (values(3, start=0.4) * 0.5).requires_grad_(), "box": Box(), "seen": set(),
        "state": {"a": values(3, start=1.0), "b": values(3, start=0.1), "n": 0},
        "items": [values(3, start=0.7), values(3, start=-0.4), 3],
    }  # fmt: skip
    exec("def helper(t, k):\n    return t * k - box.u * 0.1\n", names)
    exec(compile_source(source), names)
    return wrap(names["f"]), names


def compile_source(source: str):
    return builtins.compile(source, "<random program>", "exec")


def run(source: str, seed: int, wrap) -> list:
    f, names = world(source, wrap)
    change = random.Random(seed + 1)
    box, state, items = names["box"], names["state"], names["items"]
    shown = []
    for _ in range(CALLS):
        kind = change.random()
        if kind < 0.1:
            box.k = change.choice([2.0, 3.0])
        elif kind < 0.2:
            box.flag = not box.flag
        elif kind < 0.25:
            names["K"] = change.choice([1.5, 2.5])
        elif kind < 0.3:
            state["a"] = items[1]
        elif kind < 0.35:
            names["w"].requires_grad_(change.random() < 0.7)
        elif kind < 0.4:
            box.t = values(3, start=change.choice([0.1, 0.2]))
        x = values(3, start=change.choice([-1.0, 0.5, 2.0]))
        y = x if change.random() < 0.15 else values(3, start=change.choice([0.25, 1.0]))
        lr, n = change.choice([0.1, 0.05, 0.01, 0.2]), change.choice([1, 2, 2, 2])
        try:
            result = f(x, y, lr, n)
        except Exception as error:  # both worlds must fail alike
            result = error
        visible = {k: names[k] for k in ("w", "box", "state", "items", "seen")}
        shown.append(freeze((result, x, y, visible)))
        # Values grow; keep them small without touching handles.
        for t in (box.t, box.u, state["a"], state["b"], items[0], items[1]):
            with twain.no_grad():
                if not t.requires_grad:
                    t.assign(twain.tanh(t.detach()))
    return shown


def check_program(seed: int):
    source = Maker(seed).source()
    eager = run(source, seed, lambda f: f)
    made = []

    def wrap(f):
        made.append(compile(f))
        return made[0]

    compiled = run(source, seed, wrap)
    for i, (a, b) in enumerate(zip(eager, compiled)):
        assert a == b, f"seed {seed}, call {i}\n{source}\n{made[0].explain()}\n{a}\n{b}"
    return made[0]


@pytest.mark.parametrize("first", range(0, 60, 10))
@pytest.mark.filterwarnings("ignore::twain.runtime.compile.CompileWarning")
def test_random_programs(first):
    replayed = sum(check_program(seed).hits for seed in range(first, first + 10))
    assert replayed > 0


if __name__ == "__main__":
    import sys
    import warnings

    warnings.simplefilter("ignore", CompileWarning)
    total = bad = 0
    for number in range(int(sys.argv[1]), int(sys.argv[2])):
        try:
            total += check_program(number).hits
        except AssertionError as error:
            bad += 1
            print(textwrap.shorten(str(error), 100) if len(sys.argv) > 3 else str(error)[:6000])
            if bad > 3:
                break
    print("replayed", total, "bad", bad)
