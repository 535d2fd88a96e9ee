"""Storage taken over by plans, views of inputs among results, and what stays alive."""

from __future__ import annotations

import gc
import weakref

import pytest
from eager_and_compiled import check, values

import twain
from twain import _core
from twain.runtime.compile import CompileWarning, compile


def test_old_value_returned_beside_an_update():
    def case(wrap):
        def f(x):
            old = x.T
            piece = x[0]
            x += 1
            return old, piece, x * 2

        f = wrap(f)

        def call(i):
            x = values(4, 4, start=i)
            return f(x), x

        return call

    check(case)


def test_swap():
    def case(wrap):
        a, b = values(5), values(5, start=3)

        def f():
            old = a.detach()
            a.assign(b)
            b.assign(old * 1)

        f = wrap(f)
        return lambda i: (f(), a, b)

    check(case)


def test_exact_swap():
    def case(wrap):
        a, b = values(5), values(5, start=3)

        def f():
            old = a.detach()
            a.assign(b)
            b.assign(old)

        f = wrap(f)
        return lambda i: (f(), a, b)

    check(case)


def test_rotation_of_state():
    def case(wrap):
        state = {"a": values(3), "b": values(3, start=1), "c": values(3, start=2)}

        def f(x):
            state["a"], state["b"], state["c"] = state["b"], state["c"], state["a"] + x
            return state["a"] - state["c"]

        f = wrap(f)
        return lambda i: (f(values(3, start=i)), state)

    check(case)


def test_handles_exchanged():
    def case(wrap):
        a, b = values(3), values(3, start=1)
        state = {"now": a, "next": b}

        def f(x):
            state["now"], state["next"] = state["next"], state["now"]
            state["now"].assign(state["now"] * 0.5 + x)

        f = wrap(f)

        def call(i):
            f(values(3, start=i))
            return state, a, b, state["now"] is a

        return call

    check(case)


def test_update_of_a_shared_storage():
    def case(wrap):
        x = values(6)
        y = twain.reshape(x, (2, 3))

        def f():
            x.assign(x * 2)
            return (y * 1).sum()

        f = wrap(f)
        return lambda i: (f(), x, y)

    check(case)


def test_update_while_numpy_looks():
    def case(wrap):
        import numpy

        x = values(6)
        view = numpy.asarray(x)

        def f():
            x.assign(x * 2)

        f = wrap(f)
        return lambda i: (f(), x, view.tolist())

    check(case)


def test_large_update_in_place():
    """Enough work for several threads, and a storage that is taken over."""

    def case(wrap):
        w = twain.reshape(twain.arange(300_000).astype("float32"), (300, 1000)) * 1e-3

        def f(x):
            w.assign(twain.tanh(w) * 0.9 + x)
            return w.sum(axis=0)

        f = wrap(f)
        return lambda i: (f(values(1000, start=i) * 1e-3), w[::50, ::100])

    check(case)


def test_arguments_are_let_go():
    f = compile(lambda x: x * 2)
    x = values(10)
    alive = weakref.ref(x)
    for _ in range(6):
        f(x)
    del x
    gc.collect()
    assert alive() is None


def test_results_are_let_go():
    state = {"h": values(4)}

    def f(x):
        state["h"] = state["h"] + x
        return state["h"] * 2

    g = compile(f)
    seen = [weakref.ref(g(values(4))) for _ in range(8)]
    seen += [weakref.ref(state["h"])]
    g(values(4))
    gc.collect()
    assert all(r() is None for r in seen)


def test_functions_are_let_go():
    class Owner:
        pass

    def make():
        owner = Owner()
        w = values(4)
        f = compile(lambda x: (x * w, owner)[0])
        for k in range(6):
            f(values(4, start=k))
        return weakref.ref(owner), weakref.ref(f)

    refs = make()
    gc.collect()
    assert [r() for r in refs] == [None, None]


def test_many_shapes_stay_bounded():
    f = compile(lambda x: (x * 2 + 1).sum())
    for n in range(1, 200):
        f(twain.ones((n // 2 + 1,)))
    assert f.hits > 0 and sum(map(len, f._plans.values())) <= 64


def test_always_another_shape_stays_eager():
    f = compile(lambda x: (x * 2 + 1).sum())
    with pytest.warns(CompileWarning, match="`x`: expected float32"):
        for n in range(1, 60):
            f(twain.ones((n,)))
    assert f.eager_reason is not None and not f._plans


def test_memory_stays_flat():
    w = values(64)

    def f(x):
        w.assign(w * 0.5 + x)
        return w.sum()

    g = compile(f)
    x = values(64)
    for _ in range(40):
        g(x)
    before = _core.memory_stats()["allocated"]
    for _ in range(2000):
        g(x)
    gc.collect()
    assert _core.memory_stats()["allocated"] <= before + 4096
