"""Side effects, values that leave the graph, the world outside, control flow: kept only where a replay shows the same."""

from __future__ import annotations

import contextlib
import datetime
import itertools
import logging
import math
import os
import random
import sys
import threading
import time
import warnings

import numpy
import pytest
from eager_and_compiled import check, freeze, values

import twain
from twain.runtime.compile import CompileWarning, compile

LOGGER = logging.getLogger("twain-test")


def test_print(capsys):
    def case(wrap):
        def f(x):
            print("called")
            return x * 2

        f = wrap(f)

        def call(i):
            r = f(values(3, start=i))
            return r, capsys.readouterr().out

        return call

    check(case, kept=False, reason="print()")


def test_print_of_a_tensor(capsys):
    def case(wrap):
        def f(x):
            y = x * 2
            print(y)
            return y

        f = wrap(f)
        return lambda i: (f(values(3, start=i)), capsys.readouterr().out)

    check(case, kept=False, reason="print")


def test_logging(caplog):
    def case(wrap):
        caplog.clear()
        caplog.set_level(logging.INFO, logger="twain-test")

        def f(x):
            LOGGER.info("called")
            return x * 2

        f = wrap(f)
        return lambda i: (f(values(3, start=i)), len(caplog.records))

    check(case, kept=False, reason="")


@pytest.mark.parametrize("read", ["item", "float", "int", "tolist", "numpy", "format", "index"])
def test_values_that_leave(read):
    def case(wrap):
        def f(x):
            s = x.sum()
            if read == "item":
                k = s.item()
            elif read == "float":
                k = float(s)
            elif read == "int":
                k = int(s)
            elif read == "tolist":
                k = s.tolist()
            elif read == "numpy":
                k = float(s.numpy())
            elif read == "index":
                k = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0][int(s) % 8]
            else:
                k = len(f"{s}")
            return x * k

        f = wrap(f)
        return lambda i: f(values(3, start=i))

    check(case, kept=False, reason="takes a value out of a tensor")


def test_clock():
    def case(wrap):
        marks = []

        def f(x):
            marks.append(time.perf_counter())
            return x * 2

        f = wrap(f)
        return lambda i: (f(values(3)), len(marks))

    check(case, kept=False)


def test_clock_unused():
    def case(wrap):
        def f(x):
            start = time.time()
            y = x * 2
            return y, time.time() - start >= 0

        f = wrap(f)
        return lambda i: f(values(3, start=i))

    check(case, kept=False, reason="time()")


def test_today():
    def case(wrap):
        def f(x):
            return x * (datetime.datetime.now().year > 2000)

        f = wrap(f)
        return lambda i: f(values(3, start=i))

    check(case, kept=False, reason="now()")


def test_python_random():
    def case(wrap):
        random.seed(3)

        def f(x):
            return x * random.random()

        f = wrap(f)
        return lambda i: f(values(3))

    check(case, kept=False, reason="random")


def test_python_random_shuffle():
    def case(wrap):
        random.seed(3)

        def f(items):
            order = list(range(3))
            random.shuffle(order)
            return items[order[0]] - items[order[1]]

        f = wrap(f)
        return lambda i: f([values(2), values(2, start=1), values(2, start=5)])

    check(case, kept=False)


def test_own_random_object():
    def case(wrap):
        rng = random.Random(7)

        def f(x):
            return x * rng.random()

        f = wrap(f)
        return lambda i: f(values(3))

    check(case, kept=False)


def test_numpy_random():
    def case(wrap):
        rng = numpy.random.default_rng(0)

        def f(x):
            return x * float(rng.random())

        f = wrap(f)
        return lambda i: f(values(3))

    check(case, kept=False)


def test_numpy_argument():
    def case(wrap):
        def f(x, a):
            return x * float(a[0])

        f = wrap(f)
        return lambda i: f(values(3), numpy.array([float(i)]))

    check(case, kept=False, reason="ndarray")


def test_numpy_global():
    def case(wrap):
        table = numpy.array([1.0, 2.0])

        def f(x):
            return x * float(table[0])

        f = wrap(f)

        def call(i):
            table[0] = i
            return f(values(3))

        return call

    check(case, kept=False, reason="ndarray")


def test_iterator_argument():
    def case(wrap):
        def f(x, it):
            for k in it:
                x = x * k
            return x

        f = wrap(f)
        return lambda i: f(values(3), iter([1.0, 2.0 + i]))

    check(case, kept=False, reason="can't be guarded")


def test_iterator_in_closure():
    def case(wrap):
        counter = itertools.count(1)

        def f(x):
            return x * next(counter)

        f = wrap(f)
        return lambda i: f(values(3))

    check(case, kept=False, reason="can't be guarded")


def test_generator_in_attribute():
    class Loader:
        def __init__(self):
            self.batches = (values(2, start=k) for k in range(100))

        def step(self):
            for batch in self.batches:
                return batch * 2

    def case(wrap):
        f = wrap(Loader().step)
        return lambda i: f()

    check(case, kept=False)


def test_generators_made_inside():
    def case(wrap):
        def pieces(x):
            for k in range(3):
                yield x * k

        def f(x):
            total = x
            for piece in pieces(x):
                total = total + piece
            return total + sum(y * 2 for y in [x, x])

        f = wrap(f)
        return lambda i: f(values(3, start=i))

    check(case)


def test_generator_function():
    def case(wrap):
        def f(x):
            yield x
            yield x * 2

        f = wrap(f)
        return lambda i: list(f(values(3, start=i)))

    check(case, kept=False, reason="generator")


def test_file(tmp_path):
    path = tmp_path / "scale.txt"

    def case(wrap):
        def f(x):
            with open(path) as file:
                return x * float(file.read())

        f = wrap(f)

        def call(i):
            path.write_text(str(i))
            return f(values(3))

        return call

    check(case, kept=False)


def test_environment():
    def case(wrap):
        os.environ["TWAIN_TEST_K"] = "2"

        def f(x):
            return x * float(os.environ["TWAIN_TEST_K"])

        f = wrap(f)

        def call(i):
            os.environ["TWAIN_TEST_K"] = str(2 + i // 5)
            return f(values(3))

        return call

    check(case, kept=None)


def test_exception_inside():
    def case(wrap):
        def f(x, k):
            if k == 2:
                raise ValueError("no")
            return x * k

        f = wrap(f)
        return lambda i: f(values(3), i % 3)

    check(case)


def test_exception_after_write():
    def case(wrap):
        w = values(3)

        def f(x, k):
            w.assign(w + x)
            if k:
                raise ValueError("no")
            return w * 2

        f = wrap(f)

        def call(i):
            try:
                return f(values(3), i % 4 == 3), w
            except ValueError as error:
                return error, w

        return call

    check(case)


def test_exception_caught_inside():
    def case(wrap):
        def f(x, y):
            try:
                return x + y
            except ValueError:
                return x * 2

        f = wrap(f)
        return lambda i: f(values(3, start=i), values(3) if i % 2 else values(4))

    check(case)


def test_try_finally():
    def case(wrap):
        log = {"open": False, "h": values(2)}

        def f(x):
            log["open"] = True
            try:
                log["h"] = log["h"] + x
                return log["h"] * 2
            finally:
                log["open"] = False

        f = wrap(f)
        return lambda i: (f(values(2, start=i)), log)

    check(case)


def test_early_return():
    def case(wrap):
        def f(x, flag):
            if flag:
                return None
            return x * 2

        f = wrap(f)
        return lambda i: f(values(3, start=i), i % 3 == 0)

    check(case)


def test_branch_on_value():
    def case(wrap):
        def f(x):
            if x.sum() > 5:
                return x * 2
            return x - 1

        f = wrap(f)
        return lambda i: f(values(3, start=i % 5))

    check(case, calls=20)


def test_nested_branches():
    def case(wrap):
        def f(x):
            y = twain.tanh(x)
            if (x[0] > 2).all():
                y = y * 3
                if x[0] > 4:
                    return y + 1, "big"
            elif x[0] > 1:
                y = y - 1
            return y, "small"

        f = wrap(f)
        return lambda i: f(values(3, start=(i * 7) % 6))

    check(case, calls=40)


def test_branch_and_write():
    def case(wrap):
        w = values(3)

        def f(x):
            loss = (w * x).sum()
            if loss > 4:
                w.assign(w * 0.5)
            else:
                w.assign(w + 1)
            return loss, w * 1

        f = wrap(f)
        return lambda i: (f(values(3, start=i % 3)), w)

    check(case, calls=30)


def test_value_loop():
    def case(wrap):
        def f(x):
            n = 0
            while x.sum() < 40:
                x = x * 2
                n += 1
            return x, n

        f = wrap(f)
        return lambda i: f(values(3, start=1 + i % 4))

    check(case, calls=30)


def test_too_many_branches():
    def case(wrap):
        def f(x):
            n = 0
            while x.sum() > 0:
                x = x - 1
                n += 1
            return x, n

        f = wrap(f)
        return lambda i: f(values(3, start=float(i)))

    check(case, kept=None, calls=40)


def test_assert_on_value():
    def case(wrap):
        def f(x):
            assert (x > 0).all(), "positive"
            return twain.log(x)

        f = wrap(f)
        return lambda i: f(values(3, start=i % 5 - 1.0))

    check(case, calls=20)


def test_truth_operators():
    def case(wrap):
        def f(x, y):
            return x * 2 if x.sum() > 3 and not (y.sum() > 3) or x[0] > 100 else y * 3

        f = wrap(f)
        return lambda i: f(values(3, start=i % 3), values(3, start=(i // 2) % 3))

    check(case, calls=40)


def test_bool_of_many_elements():
    def case(wrap):
        def f(x):
            if x > 0:
                return x
            return -x

        f = wrap(f)
        return lambda i: f(values(3))

    check(case, kept=None)


def test_changing_shapes():
    def case(wrap):
        def f(x):
            return x.sum() * x.shape[0] + len(x)

        f = wrap(f)
        return lambda i: f(values(2 + i % 4))

    check(case, calls=20)


def test_empty_and_scalar_shapes():
    def case(wrap):
        def f(x):
            return x * 2 + 1, x.sum()

        f = wrap(f)
        return lambda i: f(values(*[(0,), (), (1,), (2, 0), (3, 1)][i % 5]))

    check(case, calls=25)


def test_changing_dtypes():
    def case(wrap):
        def f(x):
            return x + 1, x * 2.5

        f = wrap(f)
        return lambda i: f(values(3, start=i).astype(["float32", "float64", "int32"][i % 3]))

    check(case, calls=20)


def test_strided_arguments():
    def case(wrap):
        def f(x):
            return x * 2 + x.T[0, 0], x.sum(axis=0)

        f = wrap(f)

        def call(i):
            x = values(3, 3, start=i)
            return f(x if i % 2 else x.T)

        return call

    check(case)


def test_random_numbers():
    def case(wrap):
        def f(x):
            return x + twain.random.normal((3,)) * twain.random.uniform((3,))

        f = wrap(f)
        return lambda i: (f(values(3)), twain.random.uniform((2,)))

    check(case)


def test_own_generator():
    def case(wrap):
        generator = twain.random.Generator(5)

        def f(x):
            return x * twain.random.uniform((3,), generator=generator)

        f = wrap(f)

        def call(i):
            if i == 8:
                generator.manual_seed(1)
            return f(values(3))

        return call

    check(case)


def test_seeding_inside():
    def case(wrap):
        def f(x):
            twain.random.seed(3)
            return x * twain.random.uniform((3,))

        f = wrap(f)
        return lambda i: f(values(3))

    check(case, kept=None)


def test_in_place_on_view():
    def case(wrap):
        def f(x):
            y = x[0]
            y += 1
            x[1] = y * 2
            return x * 1, y

        f = wrap(f)

        def call(i):
            x = values(3, 2, start=i)
            return f(x), x

        return call

    check(case)


def test_in_place_argument():
    def case(wrap):
        def f(x, y):
            x += y
            x *= 2
            return x

        f = wrap(f)

        def call(i):
            x, y = values(3, start=i), values(3)
            other = x.detach()
            r = f(x, y)
            return r, x, y, r is x, other

        return call

    check(case)


def test_argument_reused_between_calls():
    def case(wrap):
        x = values(3)

        def f(t):
            t += 1
            return t * 2

        f = wrap(f)
        kept = []

        def call(i):
            kept.append(x.detach())
            return f(x), x, list(kept)

        return call

    check(case)


def test_data_made_inside():
    def case(wrap):
        def f(x):
            return x * twain.asarray([1.0, 2.0, 3.0])

        f = wrap(f)
        return lambda i: f(values(3, start=i))

    check(case, kept=False, reason="Python data")


def test_creation_ops():
    def case(wrap):
        def f(x):
            return twain.zeros((3,)) + twain.ones_like(x) * x + twain.full((3,), 2.5) + twain.arange(3)

        f = wrap(f)
        return lambda i: f(values(3, start=i))

    check(case, kept=None)


def test_nested_compiled_functions():
    def case(wrap):
        inner = wrap(lambda x: x * 2 + 1)

        def f(x):
            return inner(x) * inner(x - 1)

        f = wrap(f)
        return lambda i: f(values(3, start=i))

    check(case)


def test_compiled_inside_eager_twice():
    def case(wrap):
        inner = wrap(lambda x: x * 2 + 1)
        return lambda i: inner(inner(values(3, start=i)))

    check(case)


def test_context_managers():
    @contextlib.contextmanager
    def scaled(k):
        yield k * 2

    def case(wrap):
        def f(x, k):
            with scaled(k) as doubled, contextlib.suppress(ValueError):
                return x * doubled

        f = wrap(f)
        return lambda i: f(values(3, start=i), 2 + i // 6)

    check(case)


def test_float_schedule_is_one_plan():
    def case(wrap):
        def f(x, lr):
            return x - lr * x * 2.0 + (1 - lr) * 0.5

        f = wrap(f)
        return lambda i: f(values(3), 0.1 / (1 + i))

    (f,) = check(case)
    assert f.recordings - 1 <= 4 and sum(map(len, f._plans.values())) == 1, f.explain()


def test_float_branches():
    def case(wrap):
        def f(x, lr):
            if lr < 0.05:
                return x * lr
            return x - max(lr, 0.07)

        f = wrap(f)
        return lambda i: f(values(3), 0.1 / (1 + i % 4))

    check(case, calls=30)


def test_float_through_math():
    def case(wrap):
        def f(x, lr):
            return x * math.sqrt(lr), lr, lr * 2

        f = wrap(f)
        return lambda i: f(values(3), 0.1 / (1 + i // 5))

    check(case, calls=20)


def test_float_as_text():
    def case(wrap):
        table = {"0.1": 1.0, "0.2": 2.0}

        def f(x, lr):
            return x * table["%.1f" % lr] + len(f"{lr}")  # noqa: UP031

        f = wrap(f)
        return lambda i: f(values(3), 0.1 if i < 6 else 0.2)

    check(case, calls=20)


def test_float_type_tests():
    def case(wrap):
        def f(x, lr):
            return (x * lr, type(lr) is float, isinstance(lr, float), type(lr).__name__)

        f = wrap(f)
        return lambda i: f(values(3), 0.1 if i < 6 else 0.2)

    check(case, calls=20)


def test_float_kept_in_state():
    class Box:
        last = 0.5

    def case(wrap):
        Box.last = 0.5
        box = Box()

        def f(x, lr):
            box.last = lr
            return x * lr

        f = wrap(f)
        return lambda i: (f(values(3), 0.1 * (i + 1)), box.last, type(box.last))

    check(case, kept=None)


def test_float_division_by_zero():
    def case(wrap):
        def f(x, k):
            return x * (1.0 / k)

        f = wrap(f)
        return lambda i: f(values(3), [1.0, 2.0, 4.0, 0.0][i % 4])

    check(case, calls=20)


def test_float_complex():
    def case(wrap):
        def f(x, k):
            return x * abs((1j * k).imag)

        f = wrap(f)
        return lambda i: f(values(3), 1.0 + i // 5)

    check(case, kept=None)


def test_float_in_nested_call():
    def case(wrap):
        def update(w, rate, decay=0.5):
            return w - rate * decay * w

        def f(x, rate):
            return update(x, rate=rate**2)

        f = wrap(f)
        return lambda i: f(values(3), 0.1 * (i + 1))

    (f,) = check(case)
    assert sum(map(len, f._plans.values())) == 1, f.explain()


def test_threads_share_a_function():
    f = compile(lambda x, y: (x * y + 1).sum())
    expected = {}
    for k in range(8):
        expected[k] = freeze((values(5, start=k) * values(5) + 1).sum())
    wrong = []

    def work(k):
        for _ in range(50):
            got = freeze(f(values(5, start=k), values(5)))
            if got != expected[k]:
                wrong.append((k, got))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong and f.hits > 0, f.explain()


def test_thread_started_inside():
    def case(wrap):
        def f(x):
            out = []
            t = threading.Thread(target=lambda: out.append(x * 2))
            t.start()
            t.join()
            return out[0] + 1

        f = wrap(f)
        return lambda i: f(values(3, start=i))

    check(case, kept=False)


def test_trace_function_forces_eager():
    ran = []

    def f(x):
        ran.append(1)
        ran.pop()
        return x * 2

    g = compile(f)
    for i in range(5):
        g(values(3, start=i))
    assert g.hits > 0, g.explain()
    hits = g.hits
    seen = []

    def tracer(frame, event, arg):
        seen.append(frame.f_code.co_name)

    previous = sys.gettrace()
    sys.settrace(tracer)
    try:
        g(values(3))
    finally:
        sys.settrace(previous)
    assert "f" in seen and g.hits == hits


def test_config_eager():
    f = compile(lambda x: x * 2)
    twain.config.eager = True
    try:
        for i in range(5):
            f(values(3, start=i))
        assert f.recordings == 0 and f.hits == 0
    finally:
        twain.config.eager = False


def test_explain_and_warning():
    def f(x):
        print("", end="")
        return x

    g = compile(f)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for i in range(20):
            g(values(3, start=i))
    mine = [w for w in caught if issubclass(w.category, CompileWarning)]
    assert {w.filename for w in mine} == {__file__}  # the user's line, not one of ours
    assert len(mine) == 1 and "print()" in str(mine[0].message) and "test_effects.py" in str(mine[0].message)
    assert "print()" in g.explain() and "test_effects.py" in g.explain()


def test_audit_finds_hidden_state():
    """State that no guard sees: the audit drops the plan."""

    class Hidden:
        pass

    import ctypes

    cell = ctypes.c_double(1.0)

    def f(x, table=cell):
        return x * table.value

    g = compile(f)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for i in range(10):
            cell.value = 1.0 + i
            assert freeze(g(values(3))) == freeze(values(3) * cell.value)


def test_rare_calls_that_print(capsys):
    def case(wrap):
        def f(x, verbose):
            if verbose:
                print("sum", x.sum())
            return x * 2

        f = wrap(f)
        return lambda i: (f(values(3, start=i), i % 12 == 11), capsys.readouterr().out)

    (f,) = check(case, calls=120)
    assert f.eager_reason is None and f.hits > 80, f.explain()


def test_float_error_after_a_write():
    def case(wrap):
        w = values(3)

        def f(x, k):
            w.assign(w + x)
            y = x * (1.0 / k)
            return y, 1.0 / (k - 4.0)

        f = wrap(f)

        def call(i):
            try:
                return f(values(3), [1.0, 2.0, 3.0, 0.0, 4.0][i % 5]), w
            except ZeroDivisionError as error:
                return error, w

        return call

    check(case, calls=30)
