"""Handles and values: what in-place operators, assign and setitem change, and what they must not."""

import pytest
from core_programs import MUL, tensor

from twain import _core


def test_every_holder_of_the_handle_sees_it():
    x = tensor([1, 2])
    y = x
    before = id(x)
    x += tensor([1, 1])
    assert id(x) == before
    assert y.tolist() == [2, 3]


def test_no_other_handle_sees_it():
    x = tensor([1, 2])
    y = x.detach()
    x += x
    assert (x.tolist(), y.tolist()) == ([2, 4], [1, 2])


def test_the_same_tensor_on_both_sides():
    x = tensor([1, 2])
    x *= x
    x += x
    assert x.tolist() == [2, 8]


def test_a_leaf_is_protected_while_the_tape_is_on():
    x = tensor([1, 2], requires_grad=True)
    with pytest.raises(RuntimeError, match="no_grad"):
        x += tensor([1, 1])
    with pytest.raises(RuntimeError, match="no_grad"):
        x.assign(tensor([1, 1]))
    _core.set_grad_enabled(False)
    try:
        x += tensor([1, 1])
        assert x.requires_grad
        assert x.is_leaf
        x.assign(tensor([5, 6]))
        assert x.requires_grad
    finally:
        _core.set_grad_enabled(True)
    (x * x).backward(tensor([1, 1]))
    assert x.grad.tolist() == [10, 12]


def test_the_tape_keeps_the_old_value():
    x, w = tensor([1, 2], requires_grad=True), tensor([3, 4])
    y = x * w
    w += tensor([100, 100])
    y.backward(tensor([1, 1]))
    assert x.grad.tolist() == [3, 4]


def test_in_place_on_a_computed_tensor_is_recorded():
    x = tensor([2, 3], requires_grad=True)
    y = x * x
    y *= x
    assert not y.is_leaf
    y.backward(tensor([1, 1]))
    assert x.grad.tolist() == [12, 27]
    z = tensor([1, 1])
    z += x
    assert z.requires_grad
    z.backward(tensor([1, 1]))


def test_what_the_rule_saves_is_not_overwritten():
    x = tensor([2, 3], requires_grad=True)
    y = tensor([5, 7])
    y *= x  # saves the old y
    y.backward(tensor([1, 1]))
    assert x.grad.tolist() == [5, 7]


def test_dtype_and_shape_must_stay():
    x = tensor([1])
    op = _core.Op(
        "widen",
        2,
        type("R", (), {"prepare": lambda s, a, m: _core.Program("w", m, [(_core.meta(12, (1,)), -1, 0, ())], 0, [])})(),
    )
    op.record.prepared = 0
    previous = _core.set_operator("subtract", op)
    try:
        with pytest.raises(TypeError, match=r"in-place result that fits float32\(1\), got float64\(1\)"):
            x -= x
    finally:
        _core.set_operator("subtract", previous)
    assert x.tolist() == [1]


def test_a_failed_in_place_operator_changes_nothing():
    x = tensor([1, 2])
    with pytest.raises(ValueError):
        x += tensor([1, 2, 3])
    with pytest.raises(TypeError):
        x += "text"
    assert x.tolist() == [1, 2]


def test_in_place_with_a_python_function():
    previous = _core.set_operator("subtract", lambda a, b: MUL(a, b))
    try:
        x = y = tensor([2, 3])
        x -= tensor([5, 5])
        assert y.tolist() == [10, 15]
    finally:
        _core.set_operator("subtract", previous)


def test_assign():
    x, y = tensor([1, 2]), tensor([3, 4])
    assert x.assign(y) is x
    assert x.tolist() == [3, 4]
    y += y
    assert x.tolist() == [3, 4]
    for bad in (tensor([1]), _core.empty(_core.meta(12, (2,))), _core.empty(_core.meta(11, (2,), None, 1))):
        with pytest.raises(ValueError, match=r"\[assign\]"):
            x.assign(bad)
    with pytest.raises(TypeError):
        x.assign(5)


def test_assign_takes_the_tape_link_along():
    w = tensor([2, 3], requires_grad=True)
    x = tensor([0, 0])
    x.assign(w * w)
    x.backward(tensor([1, 1]))
    assert w.grad.tolist() == [4, 6]
    x.assign(tensor([1, 1]))
    assert not x.requires_grad


def test_setitem_gets_its_callable():
    calls = []
    _core.set_operator("setitem", lambda t, i, v: calls.append((t.shape, i, v)))
    x = tensor([1, 2])
    x[[0]] = 5
    assert calls == [((2,), [0], 5)]
    with pytest.raises(TypeError, match="deleted"):
        del x[0]
    holder = [x]
    holder[0][[1]] = 6
    box = type("Box", (), {})()
    box.x = tensor([1])
    box.x[[0]] = 7
    assert len(calls) == 3


def test_writing_to_a_temporary_is_an_error():
    calls = []
    _core.set_operator("getitem", lambda t, i: t.detach())
    _core.set_operator("setitem", lambda t, i, v: calls.append(v))
    x = tensor([1, 2])
    with pytest.raises(TypeError, match=r"x\[0, 1\] = 5"):
        x[0][1] = 5
    with pytest.raises(TypeError, match="temporary"):
        (x + x)[0] = 5
    with pytest.raises(TypeError, match="temporary"):
        x[:][1] += tensor([1], ())
    assert calls == []
    y = x[:]
    y[1] = 5
    assert calls == [5]


def test_setitem_on_a_protected_leaf():
    _core.set_operator("setitem", lambda t, i, v: None)
    x = tensor([1, 2], requires_grad=True)
    with pytest.raises(RuntimeError, match="no_grad"):
        x[0] = 1
    _core.set_grad_enabled(False)
    try:
        x[0] = 1
    finally:
        _core.set_grad_enabled(True)
