"""Ops: arguments, static arguments, the signature cache, operators."""

import gc
import math
from array import array

import pytest
from core_programs import (
    ADD,
    FLOAT32,
    GRAIN,
    INT64,
    KERNELS,
    MUL,
    NEG,
    SCALE,
    WEAK_FLOAT,
    Record,
    elementwise,
    like,
    tensor,
)  # fmt: skip

from twain import _core


def static_op(bind, arity=1, name="static"):
    """An op that copies its input and remembers the attrs it was prepared for."""
    seen = []

    def prepare(attrs, metas):
        seen.append(attrs)
        return elementwise("copy", 1)(attrs, metas[:1]) if len(metas) == 1 else None

    record = Record(name, prepare, bind=bind)
    return _core.Op(name, arity, record), record, seen


def test_operators_run_and_are_cached():
    a, b = tensor([1, 2]), tensor([3, 4])
    before = ADD.record.prepared
    for _ in range(3):
        assert (a + b).tolist() == [4, 6]
        assert ADD(a, b).tolist() == [4, 6]
        assert (-a).tolist() == [-1, -2]
        assert (a * b).tolist() == [3, 8]
    assert ADD.record.prepared <= before + 1


def test_new_shapes_are_prepared_once():
    before = ADD.record.prepared
    for _ in range(3):
        for n in (11, 12, 13):
            x = tensor(range(n), (n, 1))
            assert (x + x).shape == (n, 1)
    assert ADD.record.prepared == before + 3


def test_weak_scalars_share_a_program():
    x = tensor([1, 2])
    before = SCALE.record.prepared
    assert SCALE(x, 2.0).tolist() == [2, 4]
    assert SCALE(x, 3.0).tolist() == [3, 6]
    assert SCALE.record.prepared == before + 1


def test_kinds_of_python_scalars():
    kinds = []
    op = _core.Op(
        "kinds",
        2,
        Record("kinds", lambda attrs, metas: kinds.append(metas[1].code) or elementwise("copy", 1)(attrs, metas)),
    )
    for scalar in (2, 2.0, 2j, True):
        op(tensor([1]), scalar)
    assert kinds == [15, 16, 17, 18]
    with pytest.raises(OverflowError, match="kinds"):
        op(tensor([1]), 2**63)
    assert op(tensor([1]), -(2**63)).tolist() == [1]


def test_operand_errors():
    x = tensor([1])
    for bad in ("text", [1], object()):
        with pytest.raises(TypeError):
            x + bad
        with pytest.raises(TypeError, match=r"\[add\] expected argument 1"):
            ADD(x, bad)
    with pytest.raises(TypeError, match=r"\[add\] expected 2 tensor arguments"):
        ADD()
    with pytest.raises(ValueError, match="equal shapes"):
        x + tensor([1, 2])
    assert (x + x).tolist() == [2]


def test_right_hand_operators_of_others_get_their_turn():
    class Other:
        def __radd__(self, other):
            return "radd"

    assert tensor([1]) + Other() == "radd"


def test_convert_makes_tensors_of_other_things():
    x, other = tensor([1, 2]), [10, 20]
    _core.install(convert=lambda op, i, thing: tensor(thing) if isinstance(thing, list) else NotImplemented)
    assert (x + other).tolist() == [11, 22]
    assert ADD(other, x).tolist() == [11, 22]
    with pytest.raises(TypeError):
        x + "text"
    _core.install(convert=lambda op, i, thing: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        x + "text"


def test_keywords_name_tensor_arguments():
    a, b = tensor([2]), tensor([3])
    assert MUL(a, x2=b).tolist() == [6]
    assert MUL(x2=b, x1=a).tolist() == [6]
    with pytest.raises(TypeError, match="two values"):
        MUL(a, b, x2=b)
    with pytest.raises(TypeError):
        MUL(a, b, axis=1)


def test_absent_arguments():
    seen = []

    def prepare(attrs, metas):
        seen.append(tuple(m and m.code for m in metas))
        out = like(metas)
        step = (KERNELS["copy"], ((0, 0), (3, 0)), (), out.size, GRAIN)
        return _core.Program("maybe", metas, [(out, -1, 0, ())], 0, [step])

    op = _core.Op("maybe", 3, Record("maybe", prepare, argument_names=("x", "weight", "bias")))
    x = tensor([5])
    assert op(x).tolist() == op(x, None, None).tolist() == op(x, bias=x).tolist() == [5]
    assert seen == [(FLOAT32, None, None), (FLOAT32, None, FLOAT32)]


def test_list_of_tensors():
    seen = []

    def prepare(attrs, metas):
        seen.append(len(metas))
        out = like(metas)
        step = (KERNELS["copy"], ((len(metas) - 1, 0), (len(metas), 0)), (), out.size, GRAIN)
        return _core.Program("last", metas, [(out, -1, 0, ())], 0, [step])

    op = _core.Op("last", -1, Record("last", prepare, bind=lambda axis=0: (axis,)))
    tensors = [tensor([i]) for i in range(100)]
    for n in (1, 2, 3, 5, 100):
        assert op(tensors[:n]).tolist() == op(tuple(tensors[:n]), axis=0).tolist() == [n - 1]
    assert seen == [1, 2, 3, 5, 100]
    with pytest.raises(TypeError, match="list or tuple"):
        op(tensors[0])
    # The fourth and later inputs count too.
    odd = [tensor([1])] * 4 + [_core.from_buffer(_core.meta(12, (1,)), b"\0" * 8)]
    op([tensor([1])] * 5)
    op([*odd[::-1][1:], tensor([1])])
    with pytest.raises(ValueError):
        ADD.apply([*odd[3:], tensor([1, 2])])


def test_bind_is_asked_once_per_distinct_statics():
    op, record, seen = static_op(lambda axis=None, keepdims=False: (axis, keepdims))
    x = tensor([1])
    for _ in range(3):
        op(x, 1)
        op(x, axis=1)
        op(x, 1, False)
        op(x)
    assert seen == [(1, False), (None, False)]
    assert record.bound == 4


def test_equal_but_different_statics_stay_apart():
    op, _, seen = static_op(lambda n: (n,))
    values = [1, True, 1.0, 1 + 0j, 0.0, -0.0, (1, True), (1, 1), [1, True], slice(1, True), slice(1, 1), "1", b"1"]
    for _ in range(2):
        for value in values[:8] + values[11:]:
            op(tensor([1]), value)
    assert [(type(a[0]), repr(a[0])) for a in seen] == [(type(v), repr(v)) for v in values[:8] + values[11:]]
    nan = float("nan")
    op(tensor([1]), nan)
    op(tensor([1]), math.nan)
    assert len(seen) == 11


def test_lists_and_slices_are_read_by_content():
    op, record, seen = static_op(lambda index: tuple(index) if isinstance(index, list) else (index.start, index.stop))
    shape = [2, 3]
    op(tensor([1]), shape)
    shape[0] = 5
    op(tensor([1]), shape)
    op(tensor([1]), [5, 3])
    op(tensor([1]), slice(0, 4))
    op(tensor([1]), slice(0, 4))
    assert seen == [(2, 3), (5, 3), (0, 4)]
    assert record.bound == 3


def test_unhashable_statics_are_bound_each_time():
    op, record, seen = static_op(lambda options: tuple(sorted(options.items())))
    for _ in range(3):
        op(tensor([1]), {"a": 1})
    assert record.bound == 3
    assert seen == [(("a", 1),)]
    bad, _, _ = static_op(lambda options: options)
    with pytest.raises(TypeError, match="unhashable"):
        bad(tensor([1]), {"a": 1})


def test_bind_errors_pass_through():
    op, _, _ = static_op(lambda axis: (axis,))
    with pytest.raises(TypeError, match="axis"):
        op(tensor([1]))
    with pytest.raises(TypeError, match="unexpected"):
        op(tensor([1]), 1, nonsense=2)


def test_many_statics_stay_bounded():
    op, _, seen = static_op(lambda i: (i,))
    x = tensor([1])
    _core.set_cache_bound(64)
    try:
        for i in range(5000):
            op(x, i)
        assert _core.cache_stats()["programs"] <= 64
    finally:
        _core.set_cache_bound(8192)
    assert len(seen) == 5000


def test_methods_bind():
    _core.set_method("negated_for_test", NEG)
    assert tensor([1]).negated_for_test().tolist() == [-1]
    method = tensor([2]).negated_for_test
    assert method().tolist() == [-2]


def test_attributes():
    assert (ADD.name, ADD.arity, ADD.__name__) == ("add", 2, "add")
    assert ADD.record.name == "add"
    op, _, _ = static_op(None)
    op.__doc__ = "What it does."
    op.__signature__ = "(x)"
    assert op.__doc__ == "What it does."
    assert repr(op) == "<op static>"


def test_dead_ops_leave_nothing_behind():
    before = _core.cache_stats()["programs"]
    x = tensor([1])
    for _ in range(500):
        op, record, _ = static_op(lambda i=0: (i,))
        op(x)
        op(x, 3)
        record.cycle = op
        del op, record
    gc.collect()
    assert _core.cache_stats()["programs"] <= before + 2 * 64
    _core.clear_caches()
    assert _core.cache_stats()["programs"] == 0


def test_symbols_are_traced():
    class Symbol:
        def __radd__(self, other):
            return "not reached"

    calls = []
    previous = _core.set_symbol_type(Symbol)
    _core.install(trace=lambda op, attrs, args: calls.append((op.name, attrs, len(args))) or "traced")
    try:
        x, s = tensor([1]), Symbol()
        assert ADD(x, s) == "traced"
        assert x + s == "traced"
        assert NEG(s) == "traced"
        assert calls == [("add", None, 2), ("add", None, 2), ("neg", None, 1)]
    finally:
        _core.set_symbol_type(previous)


def test_prepare_errors_leave_the_core_usable():
    def prepare(attrs, metas):
        raise LookupError("no such kernel")

    op = _core.Op("broken", 1, Record("broken", prepare))
    for _ in range(3):
        with pytest.raises(LookupError, match="no such kernel"):
            op(tensor([1]))
    wrong = _core.Op("wrong", 1, Record("wrong", lambda attrs, metas: "nonsense"))
    with pytest.raises(TypeError, match="expected a Program"):
        wrong(tensor([1]))
    other = _core.meta(FLOAT32, (77,))
    mixed = _core.Op("mixed", 1, Record("mixed", lambda attrs, metas: elementwise("copy", 1)(attrs, (other,))))
    with pytest.raises(RuntimeError, match="other inputs"):
        mixed(tensor([1]))
    assert (tensor([1]) + tensor([1])).tolist() == [2]


def test_prepare_may_call_ops_itself():
    def prepare(attrs, metas):
        assert (tensor([1]) + tensor([1])).tolist() == [2]
        return elementwise("copy", 1)(attrs, metas)

    op = _core.Op("nested", 1, Record("nested", prepare))
    assert op(tensor([4])).tolist() == [4]


def test_apply_takes_attrs_and_targets():
    op, _, seen = static_op(lambda i: (i,))
    x, y = tensor([3, 4]), tensor([0, 0])
    (r,) = op.apply([x], ("free",))
    assert r.tolist() == [3, 4]
    assert seen == [("free",)]
    (z,) = op.apply([x], ("free",), into=[y])
    assert z is y
    assert y.tolist() == [3, 4]
    assert WEAK_FLOAT == 16


def test_remembered_calls():
    calls = []

    def prepare(attrs, metas):
        row = _core.meta(FLOAT32, metas[0].shape[1:])
        return _core.Program("row", metas, [(row, 0, 4 * row.size * attrs[0], ())], 0, [])

    row = _core.Op("row", 1, Record("row", prepare, bind=lambda i: (i,)))

    def getitem(x, key):
        calls.append(key)
        return row(x, key if isinstance(key, int) else 1)

    getitem = _core.Remembered(getitem)
    x = tensor(range(6), (3, 2))
    keys = [
        1,
        2,
        0,
        (1,),
        slice(1, 2),
        slice(1, None),
        (slice(None), None, ...),
        -1,
        True,
        2**70,
        (0,) * 50,
        object(),
    ]
    for _ in range(3):
        assert getitem(x, 1).tolist() == [2, 3]
        for key in keys[1:7]:
            getitem(x, key)
    assert calls == [1, 2, 0, (1,), slice(1, 2), slice(1, None), (slice(None), None, ...)]
    calls.clear()
    getitem(x, True)  # not the int 1
    for key in keys[10:]:  # not to be remembered
        getitem(x, key)
        getitem(x, key)
    assert calls == [True, keys[10], keys[10], keys[11], keys[11]]
    assert getitem(tensor(range(12), (4, 3)), 1).tolist() == [3, 4, 5]  # another description
    assert getitem(x.requires_grad_(), 1).requires_grad is False
    with pytest.raises(TypeError):
        _core.Remembered(3)


def test_remembered_are_only_checks_and_ops():
    """A call is remembered if all that the function did was to check ranges and call ops on what it was given."""
    calls = []
    shift = _core.Op("shift", 2, Record("shift", lambda attrs, metas: _core.Program(
        "shift", metas, [(metas[0], 0, 0, ())], 0, []), bind=lambda: ()))  # fmt: skip

    def remembered(function):
        def counted(*args, **named):
            calls.append(function)
            return function(*args, **named)

        return _core.Remembered(counted)

    x, y, k = (
        tensor(range(4), (4,)),
        tensor([5, 6, 7, 8], (4,)),
        _core.from_buffer(_core.meta(INT64, (2,)), array("q", [1, 3])),
    )
    far = _core.from_buffer(_core.meta(INT64, (2,)), array("q", [1, 4]))

    def times_called(function, *args):
        calls.clear()
        for _ in range(3):
            last = function(*args)
        return len(calls), last

    assert times_called(remembered(lambda x, y: shift(x, y)), x, y)[0] == 1
    found = remembered(lambda x, y: (shift(y, x), x))
    assert times_called(found, x, x)[0] == 3  # it says nothing of two tensors
    count, (first, second) = times_called(found, x, y)
    assert count == 1 and first.tolist() == y.tolist() and second is x
    assert times_called(found, y, x)[1][0].tolist() == x.tolist()
    assert times_called(remembered(lambda x, y: shift(x, y) if x.tolist() else x), x, y)[0] == 3  # looked
    other = tensor([1, 1, 1, 1], (4,))
    assert times_called(remembered(lambda x, y: shift(other, y)), x, y)[0] == 3  # not an argument
    assert times_called(remembered(lambda x, y: 3), x, y) == (3, 3)

    def checked(x, k):
        bad = _core.index_outside(k, -4, 4)
        if bad is not None:
            raise IndexError(bad)
        return shift(x, k)

    checked = remembered(checked)
    assert times_called(checked, x, k)[0] == 1
    with pytest.raises(IndexError, match="4"):
        checked(x, far)
    assert times_called(checked, x, k)[0] == 0
