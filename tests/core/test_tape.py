"""The tape: values of gradients, order, accumulation, freeing, hooks, higher orders, leaks."""

import gc
import threading
import weakref

import pytest
from core_programs import ADD, FLOAT32, MUL, NAN, NEG, SCALE, SQUARE, Record, elementwise, like, products, tensor

from twain import _core


def leaf(*numbers):
    return tensor(numbers, requires_grad=True)


def ones(*numbers):
    return tensor([1.0] * 2)


def test_requires_grad_and_leaves():
    x = tensor([1])
    assert (x.requires_grad, x.is_leaf, x.grad, x.grad_fn) == (False, True, None, None)
    x.requires_grad = True
    y = x + x
    assert (y.requires_grad, y.is_leaf, y.grad_fn) == (True, False, "add")
    assert not y.detach().requires_grad
    with pytest.raises(RuntimeError, match=r"detach\(\)"):
        y.requires_grad = False
    x.requires_grad = False
    assert not (x + x).requires_grad
    with pytest.raises(TypeError, match="floating"):
        _core.empty(_core.meta(4, (1,))).requires_grad = True


def test_sum_and_product():
    x, w = leaf(1, 2), leaf(3, 4)
    y = x * w + x
    y.backward(ones())
    assert x.grad.tolist() == [4, 5]
    assert w.grad.tolist() == [1, 2]


def test_gradients_accumulate_in_leaves():
    x = leaf(1, 2)
    for i in range(1, 4):
        (x * x).backward(ones())
        assert x.grad.tolist() == [2 * i, 4 * i]
        if i == 1:
            grad = x.grad
    assert x.grad is grad  # the handle stays, its value changes
    del x.grad
    assert x.grad is None


def test_diamonds_sum_every_path_once():
    x = leaf(2, 3)
    a = x * x
    b = a + a
    c = a * b  # 2 x^4
    d = c + a
    d.backward(ones())
    assert x.grad.tolist() == [8 * 8 + 4, 8 * 27 + 6]


def test_wide_and_deep_diamonds():
    x = leaf(1, 1)
    y = x
    for _ in range(20):
        y = y + y
    y.backward(ones())
    assert x.grad.tolist() == [2.0**20] * 2


def test_order_of_backward_is_topological():
    """A node is visited only when all the gradients of its output have come in."""
    visits = []
    x = leaf(1, 2)
    a = x * x
    long = a
    for _ in range(5):
        long = -long
    y = long + a
    a.register_hook(lambda g: visits.append(g.tolist()))
    y.backward(ones())
    assert visits == [[0, 0]]
    assert x.grad.tolist() == [0, 0]


def test_scalar_roots_need_no_gradient():
    x = leaf(3)
    (x * x).backward()
    assert x.grad.tolist() == [6]
    with pytest.raises(RuntimeError, match="one element"):
        y = leaf(1, 2)
        (y * y).backward()
    with pytest.raises(RuntimeError, match="requires_grad=True"):
        tensor([1]).backward()
    with pytest.raises(ValueError, match="float32"):
        (x * x).backward(ones())


def test_backward_on_a_leaf():
    x = leaf(3)
    x.backward()
    x.backward()
    assert x.grad.tolist() == [2]


def test_second_backward_is_an_error_unless_retained():
    x = leaf(1, 2)
    y = x * x
    y.backward(ones(), retain_graph=True)
    y.backward(ones())
    assert x.grad.tolist() == [4, 8]
    with pytest.raises(RuntimeError, match="retain_graph=True"):
        y.backward(ones())
    z = x + x  # saves nothing, so it can be repeated
    z.backward(ones())
    z.backward(ones())


def test_saved_values_are_freed_by_backward():
    gc.collect()
    x = leaf(*range(1000))
    before = _core.memory_stats()["allocated"]
    y = x * tensor(range(1000))
    z = -y
    del y
    assert _core.memory_stats()["allocated"] > before
    z.backward(tensor([1] * 1000))
    x.grad = None
    value = z.detach()
    allocated = _core.memory_stats()["allocated"]
    del z
    gc.collect()
    assert _core.memory_stats()["allocated"] == allocated  # z's value lives on, its inputs are gone
    del value
    assert _core.memory_stats()["allocated"] == before


def test_no_grad():
    x = leaf(1)
    assert _core.set_grad_enabled(False) is True
    try:
        assert not _core.grad_enabled()
        assert not (x + x).requires_grad
    finally:
        assert _core.set_grad_enabled(True) is False
    assert (x + x).requires_grad


def test_grad_mode_belongs_to_the_thread():
    _core.set_grad_enabled(False)
    seen = []
    thread = threading.Thread(target=lambda: seen.append(_core.grad_enabled()))
    thread.start()
    thread.join()
    _core.set_grad_enabled(True)
    assert seen == [True]


def test_saved_outputs_make_no_cycle():
    def vjp(attrs, metas, outs, mask):
        return MUL, None, (1,), (0,)  # pretend d/dx = g * y

    op = _core.Op("own", 1, Record("own", elementwise("square", 1), vjp=vjp))
    before = _core.memory_stats()["count"]
    x = leaf(3)
    y = op(x)
    y.backward(retain_graph=True)
    assert x.grad.tolist() == [9]
    del y, x
    assert _core.memory_stats()["count"] == before


def test_create_graph_gives_second_derivatives():
    x = leaf(2, 3)
    y = x * x * x
    y.backward(ones(), create_graph=True)
    g = x.grad
    assert g.tolist() == [12, 27]
    assert g.requires_grad
    x.grad = None
    g.backward(ones())
    assert x.grad.tolist() == [12, 18]


def test_gradients_of_gradients_of_gradients():
    x = leaf(2, 3)
    y = SQUARE(x) * x  # x^3
    (g,) = _core.gradients([y], [x], [ones()], create_graph=True)
    assert g.tolist() == [12, 27]
    (h,) = _core.gradients([g], [x], [ones()], create_graph=False)
    assert h.tolist() == [12, 18]
    assert x.grad is None


def test_saved_output_takes_part_in_double_backward():
    def vjp(attrs, metas, outs, mask):
        return MUL, None, (1,), (0,)  # dy = g * y, as for exp

    op = _core.Op("exp_like", 1, Record("exp_like", elementwise("copy", 1), vjp=vjp))
    x = leaf(5)
    y = op(x)
    (g,) = _core.gradients([y], [x], create_graph=True)
    assert g.tolist() == [5]
    (h,) = _core.gradients([g], [x])
    assert h.tolist() == [5]


def test_functional_gradients():
    x, w, unused = leaf(1, 2), leaf(3, 4), leaf(5, 6)
    h = x * w
    y = h * x
    gx, gh = _core.gradients([y], [x, h], [ones()], retain_graph=True)
    assert gx.tolist() == [6, 16]
    assert gh.tolist() == [1, 2]
    assert (x.grad, w.grad) == (None, None)
    with pytest.raises(RuntimeError, match=r"input 1.*allow_unused"):
        _core.gradients([y], [x, unused], [ones()], retain_graph=True)
    assert _core.gradients([y], [unused, x], [ones()], retain_graph=True, allow_unused=True)[0] is None
    (both,) = _core.gradients([y, h], [w], [ones(), ones()])
    assert both.tolist() == [2, 6]
    with pytest.raises(RuntimeError, match="require a gradient"):
        _core.gradients([y], [tensor([1])])


def test_gradients_stop_where_nothing_is_wanted():
    runs = []

    def vjp(attrs, metas, outs, mask):
        return (
            _core.Op("spy", 1, Record("spy", lambda a, m: runs.append(1) or elementwise("copy", 1)(a, m))),
            None,
            (),
            (0,),
        )

    spy = _core.Op("spied", 1, Record("spied", elementwise("copy", 1), vjp=vjp))
    x = leaf(1, 2)
    a = spy(x)
    b = a * a
    (g,) = _core.gradients([b], [a], [ones()])
    assert g.tolist() == [2, 4]
    assert runs == []


def test_roots_that_lie_behind_one_another():
    x = leaf(2, 3)
    h = x * x
    y = h * x
    (g,) = _core.gradients([y, h], [x], [ones(), ones()])
    assert g.tolist() == [12 + 4, 27 + 6]


def test_rules_are_told_which_outputs_have_no_gradient():
    seen = []

    def backward_prepare(attrs, metas):
        seen.append([m is not None for m in metas])
        return products([(1, 2)])(attrs, metas)

    backward = _core.Op("two_backward", 3, Record("two_backward", backward_prepare))
    record = Record("two", products([(0, 0), (0, 0)]), vjp=lambda *a: (backward, None, (0,), (0,)))
    two = _core.Op("two", 1, record)
    x = leaf(3, 5)
    _a, b = two(x)
    b.backward(ones())
    assert x.grad.tolist() == [3, 5]
    assert seen == [[False, True, True]]


def test_passed_through_gradients_that_are_missing_are_zeros():
    copies = products([(0, 0), (0, 0)])
    op = _core.Op("both", 2, Record("both", copies, vjp=lambda *a: (None, None, (), (-2, -3))))
    x, y = leaf(3, 5), leaf(2, 4)
    a, _b = op(x, y)
    a.backward(ones())
    assert x.grad.tolist() == [1, 1]
    assert y.grad.tolist() == [0, 0]


def test_non_differentiable_ops():
    op = _core.Op("step", 1, Record("step", elementwise("copy", 1)))
    x = leaf(1)
    assert not op(x).requires_grad

    def to_int(attrs, metas):
        out = _core.meta(4, metas[0].shape)
        return _core.Program("to_int", metas, [(out, -1, 0, ()), (like(metas), 0, 0, ())], 0, [])

    mixed = _core.Op("mixed", 1, Record("mixed", to_int, vjp=lambda *a: (None, None, (), (-3,))))
    i, f = mixed(x)
    assert not i.requires_grad
    assert f.requires_grad
    f.backward()
    assert x.grad.tolist() == [1]


def test_absent_and_scalar_inputs_take_no_gradient():
    x = leaf(3)
    y = SCALE(x, 2.0)
    y.backward()
    assert x.grad.tolist() == [2]


def test_the_rule_depends_on_which_inputs_need_a_gradient():
    masks = []

    def vjp(attrs, metas, outs, mask):
        masks.append(mask)
        return MUL.record.vjp(attrs, metas, outs, mask)

    mul = _core.Op("mul_again", 2, Record("mul_again", elementwise("mul", 2), vjp=vjp))
    x, c = leaf(2), tensor([7])
    for _ in range(2):
        for a, b in ((x, c), (c, x), (x, x)):
            x.grad = None
            mul(a, b).backward()
    assert masks == [1, 2, 3]


def test_more_than_64_inputs():
    masks = []

    def prepare(attrs, metas):
        out = like(metas)
        return _core.Program("take", metas, [(out, 80, 0, ())], 0, [])

    def vjp(attrs, metas, outs, mask):
        masks.append(mask)
        return None, None, (), tuple(-2 if i == 80 else -1 for i in range(len(metas)))

    op = _core.Op("take", -1, Record("take", prepare, vjp=vjp))
    inputs = [tensor([i]) for i in range(130)]
    inputs[80].requires_grad = inputs[129].requires_grad = inputs[2].requires_grad = True
    for _ in range(2):
        y = op(inputs)
        y.backward()
    assert y.tolist() == [80]
    assert inputs[80].grad.tolist() == [2]
    assert inputs[2].grad is None
    assert masks == [1 << 80 | 1 << 129 | 1 << 2]


def test_views_on_the_tape():
    def prepare(attrs, metas):
        row = _core.meta(FLOAT32, metas[0].shape[1:])
        return _core.Program("same", metas, [(row, 0, 0, ())], 0, [])

    op = _core.Op("first", 1, Record("first", prepare, vjp=lambda *a: (NEG, None, (), (0,))))
    x = tensor([1, 2], (1, 2), requires_grad=True)
    y = op(x)
    assert y.data_ptr() == x.data_ptr()
    assert y.requires_grad


def test_hooks():
    x = leaf(1, 2)
    y = x * x
    order = []
    first = y.register_hook(lambda g: order.append("y1") or SCALE(g, 2.0))
    y.register_hook(lambda g: order.append(("y2", g.tolist())))
    x.register_hook(lambda g: order.append(("x", g.tolist())) or SCALE(g, 10.0))
    y.backward(ones(), retain_graph=True)
    assert order == ["y1", ("y2", [2, 2]), ("x", [4, 8])]
    assert x.grad.tolist() == [40, 80]
    first.remove()
    first.remove()
    order.clear()
    x.grad = None
    y.backward(ones())
    assert order == [("y2", [1, 1]), ("x", [2, 4])]
    with pytest.raises(RuntimeError):
        tensor([1]).register_hook(print)
    with pytest.raises(TypeError):
        x.register_hook(3)


def test_hook_errors_pass_through():
    x = leaf(1, 2)
    y = x * x
    handle = y.register_hook(lambda g: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        y.backward(ones(), retain_graph=True)
    handle.remove()
    y.register_hook(lambda g: tensor([1]))
    with pytest.raises(ValueError, match="same shape"):
        y.backward(ones(), retain_graph=True)
    assert x.grad is None
    (x * x).backward(ones())
    assert x.grad.tolist() == [2, 4]


def test_hooks_may_run_backward_themselves():
    x = leaf(1, 2)
    y = x * x
    inner = []

    def hook(g):
        (h,) = _core.gradients([y], [x], [ones()], retain_graph=True)
        inner.append(h.tolist())
        assert not _core.grad_enabled()
        _core.set_grad_enabled(True)
        (x * x).backward(ones())
        _core.set_grad_enabled(False)

    z = -y
    z.register_hook(hook)
    z.backward(ones())
    assert inner == [[2, 4]]
    assert x.grad.tolist() == [2 - 2, 4 - 4]


def test_retain_grad():
    x = leaf(1, 2)
    y = x * x
    y.retain_grad()
    z = y * y
    z.backward(ones(), retain_graph=True)
    assert y.grad.tolist() == [2, 8]
    z.backward(ones())
    assert y.grad.tolist() == [4, 16]
    with pytest.raises(RuntimeError):
        tensor([1]).retain_grad()
    w = x * x
    w.retain_grad()
    v = w * w
    del w  # the handle may die first
    v.backward(ones())


def test_setting_grad():
    x = leaf(1, 2)
    g = tensor([5, 5])
    x.grad = g
    assert x.grad is g
    (x + x).backward(ones())
    assert x.grad is g
    assert g.tolist() == [7, 7]
    for bad in (tensor([1]), 3):
        with pytest.raises((ValueError, TypeError)):
            x.grad = bad
    x.grad = None
    assert x.grad is None


def test_gradient_is_a_value_others_keep():
    x = leaf(1, 2)
    (x * x).backward(ones())
    kept = x.grad.detach()
    (x * x).backward(ones())
    assert (kept.tolist(), x.grad.tolist()) == ([2, 4], [4, 8])
    seed = ones()
    (x + x).backward(seed)
    assert seed.tolist() == [1, 1]


def test_anomaly_names_op_and_line():
    x = leaf(1, 2)
    _core.set_anomaly(True)
    try:
        with pytest.raises(FloatingPointError, match=r"\[nan\] NaN in the result; called at .*test_tape.py:\d+"):
            NAN(x)
        backward_nan = _core.Op("bad", 1, Record("bad", elementwise("copy", 1), vjp=lambda *a: (NAN, None, (), (0,))))
        y = backward_nan(x)
        with pytest.raises(
            FloatingPointError, match=r"\[nan\] NaN .*backward pass; the op was called at .*test_tape.py:\d+"
        ):
            y.backward(ones())
        seen = []
        _core.install(anomaly=lambda op, line, in_backward: seen.append((op.name, in_backward)))
        NAN(x)
        assert seen == [("nan", False)]
    finally:
        _core.set_anomaly(False)
    NAN(x)


def test_a_million_nodes_do_not_overflow_the_stack():
    x = leaf(1)
    before = _core.memory_stats()["count"]
    y = x
    for _ in range(1_000_000):
        y = -y
    del y
    assert _core.memory_stats()["count"] == before
    y = x
    for _ in range(200_000):
        y = -y
    y.backward()
    assert x.grad.tolist() == [1]


def test_nothing_leaks():
    def work():
        x, w = leaf(1, 2), leaf(3, 4)
        y = x * w + x * x
        y.retain_grad()
        y.register_hook(lambda g: None)
        y.backward(ones(), create_graph=True)
        g = x.grad
        x.grad = w.grad = y.grad = None
        g.backward(ones())

    work()
    gc.collect()
    count = _core.memory_stats()["count"]
    for _ in range(100):
        work()
    gc.collect()
    assert _core.memory_stats()["count"] == count


def test_dropped_leaves_are_fine():
    y = leaf(1, 2) * tensor([3, 4])
    y.backward(ones())
    x = leaf(1)
    reference = weakref.ref(x)
    y = x * x
    del x
    assert reference() is None
    y.backward()


def test_backward_in_threads():
    n = 200_000
    shared = _core.filled(_core.meta(FLOAT32, (n,)), 2.0).requires_grad_()
    seed = _core.filled(_core.meta(FLOAT32, (n,)), 1.0)
    errors = []

    def work():
        try:
            h = shared * shared
            for _ in range(5):
                y = h * h
                (g,) = _core.gradients([y], [shared], [seed], retain_graph=True)
                assert memoryview(g)[0] == memoryview(g)[n - 1] == 32.0
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert errors == []
    assert ADD.name == "add"
