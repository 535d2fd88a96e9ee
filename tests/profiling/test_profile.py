"""Profiles: every kernel is seen once, with the line of the user and the right amount of work."""

import json
import threading

import pytest

import twain
from twain import nn, optim
from twain.profiling import Profile

HERE = __file__


def here(source, offset):
    return f"{HERE}:{source + offset}"


def line_of(function):
    return function.__code__.co_firstlineno


def test_eager_calls_and_their_lines():
    x, y = twain.ones((30, 20)), twain.ones((20, 10))

    def work():
        z = x @ y
        return (z * 2.0).sum()

    work()
    with twain.profile() as p:
        work()
    kernels = [k for k in p.kernels if not k.part]
    assert [k.name for k in kernels] == ["matrix_product", "multiply", "sum"]
    assert [k.line for k in kernels] == [here(line_of(work), 1), here(line_of(work), 2), here(line_of(work), 2)]
    assert [k.flops for k in kernels] == [2 * 30 * 20 * 10, 300, 300]
    assert [k.nbytes for k in kernels][1:] == [4 * (300 + 300) + 8, 4 * (300 + 1)]
    assert all(0 <= k.begin <= k.end for k in p.kernels)
    assert 0 < p.kernel_seconds < p.seconds
    assert p.peak_bytes >= 300 * 4


def test_backward_is_put_down_to_the_line_of_the_forward_op():
    w = twain.ones((16, 16)).requires_grad_()
    x = twain.ones((8, 16))

    def work():
        y = (x @ w).tanh()
        y.sum().backward()

    work()
    with twain.profile() as p:
        work()
    backward = [k for k in p.kernels if k.backward]
    assert backward and {k.line for k in backward} <= {here(line_of(work), 1), here(line_of(work), 2)}
    assert any(k.flops == 2 * 16 * 8 * 16 for k in backward)
    assert any("(backward)" in row.key for row in p.rows("line"))


def make_step():
    twain.random.seed(0)
    net = nn.Sequential(nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 3))
    optimizer = optim.Adam(net.parameters(), lr=0.01)

    def step(x, y):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(net(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step


def test_compiled_steps_stay_compiled_and_are_taken_apart():
    step = twain.compile(make_step())
    x, y = twain.ones((5, 12)), twain.asarray([0, 1, 2, 0, 1])
    for _ in range(5):  # the fourth call is an audit
        step(x, y)
    with twain.profile() as p:
        step(x, y)
    assert p.calls == 1
    assert p.unlabelled == 0
    assert len(p.kernels) > 3
    names = " ".join(k.name for k in p.kernels)
    assert "matrix_product" in names
    forward = 2 * 5 * (12 * 8 + 8 * 3)
    assert sum(k.flops for k in p.kernels) > 2 * forward  # and two gradients of the products
    lines = {k.line for k in p.kernels}
    assert any(line.startswith(HERE) for line in lines)


def test_recorded_calls_are_mentioned():
    step = twain.compile(lambda x: twain.exp(x) + 1)
    x = twain.ones((3,))
    with twain.profile() as first:
        step(x)
    assert first.recordings == 1 and "1 call of compiled functions ran op by op" in str(first)
    for _ in range(4):
        step(x)
    with twain.profile() as p:
        step(x)
        step(x)
    assert p.recordings == 0 and "op by op" not in str(p)
    with twain.profile() as p:  # calls 8 to 16
        for _ in range(9):
            step(x)
    assert p.recordings == 2 and "2 calls of compiled functions" in str(p)


def test_table_rows_and_trace(tmp_path):
    x = twain.ones((300, 300))
    with twain.profile() as p:
        for _ in range(3):
            x = (x @ x) * 1e-3
    rows = p.rows("op")
    product = next(row for row in rows if row.key == "matrix_product")
    assert product.runs == 3 and product.flops == 3 * 2 * 300**3
    assert 0 < product.of_peak <= 1
    assert sum(row.share for row in rows) == pytest.approx(1.0)
    text = str(p)
    assert "matrix_product @ " in text and "of peak" in text and "outside; peak memory" in text
    assert "... and 1 more" in p.table("op", limit=1)
    p.export(tmp_path / "trace.json")
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    spans = [e for e in events if e["ph"] == "X"]
    assert len(spans) == len(p.kernels)
    assert all(e["dur"] >= 0 and e["args"]["line"].startswith(HERE) for e in spans)
    with pytest.raises(TypeError, match=r"line, op, kernel, call, got 'file'"):
        p.rows("file")


def test_branches_and_loops_inside_of_plans():
    def work(x):
        return twain.while_loop(lambda c: c.sum() < 100.0, lambda c: c * 2.0, x)

    work(twain.ones(8))
    with twain.profile() as p:
        work(twain.ones(8))
    assert any(k.call for k in p.kernels)
    assert p.kernels[-1].end <= int(p.seconds * 1e9) + 1


def test_profiles_end_whatever_happens_and_do_not_nest():
    with pytest.raises(ZeroDivisionError), twain.profile():
        1 / 0
    with twain.profile() as outer:
        with pytest.raises(RuntimeError, match="don't nest"), twain.profile():
            pass
        twain.ones(3) + 1
    assert outer.calls >= 1
    with twain.profile() as empty:
        pass
    assert empty.kernels == [] and "0 kernels" in str(empty)
    assert isinstance(empty, Profile)


def test_other_threads_are_left_alone():
    seen = []

    def work():
        for _ in range(50):
            seen.append((twain.ones(10) * 3).sum().item())

    thread = threading.Thread(target=work)
    with twain.profile() as p:
        thread.start()
        thread.join()
    assert seen == [30.0] * 50
    assert p.calls == 0
