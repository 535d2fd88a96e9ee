"""The recorder hears of every op, and its marks travel with the values."""

import pytest
from core_programs import ADD, FLOAT32, SCALE, tensor

from twain import _core


class Recorder:
    def __init__(self):
        self.ops = []
        self.reads = []
        self.count = 0

    def on_op(self, op, attrs, inputs, outputs):
        marks = []
        for x in inputs:
            if not isinstance(x, _core.Tensor):
                marks.append(x)
            else:
                if _core.get_trace(x) == 0:
                    self.mark(x)
                marks.append(f"v{_core.get_trace(x)}")
        for y in outputs:
            self.mark(y)
        self.ops.append((op.name, attrs, tuple(marks), tuple(f"v{_core.get_trace(y)}" for y in outputs)))

    def on_read(self, tensor, kind):
        self.reads.append((kind, _core.get_trace(tensor)))

    def mark(self, x):
        self.count += 1
        _core.set_trace(x, self.count)


@pytest.fixture
def recorder():
    _core.new_trace_epoch()
    r = Recorder()
    previous = _core.set_recorder(r)
    assert previous is None
    yield r
    _core.set_recorder(None)


def test_ops_and_marks(recorder):
    a, b = tensor([1]), tensor([2])
    c = a + b
    d = c + a
    assert recorder.ops == [("add", None, ("v1", "v2"), ("v3",)), ("add", None, ("v3", "v1"), ("v4",))]
    assert _core.get_trace(d) == 4
    assert d.tolist() == [4]


def test_scalars_come_as_they_were(recorder):
    SCALE(tensor([1]), 2.5)
    SCALE(tensor([1]), 2.0)
    assert [op[2][1] for op in recorder.ops] == [2.5, 2.0]


def test_in_place_and_assign_move_the_mark(recorder):
    a = tensor([1])
    a += a
    assert _core.get_trace(a) == 2
    b = tensor([5])
    b.assign(a)
    assert _core.get_trace(b) == 2
    assert recorder.ops == [("add", None, ("v1", "v1"), ("v2",))]


def test_backward_is_heard(recorder):
    x = tensor([3], requires_grad=True)
    y = x * x
    _core.set_fill(lambda meta, number: recorder.ops.append(("fill", number)) or _core.filled(meta, number))
    y.backward()
    names = [op[0] for op in recorder.ops]
    assert names == ["mul", "fill", "mul_backward", "add"]
    assert recorder.ops[2][2] == ("v3", "v1", "v1")  # the saved values carry their marks
    assert recorder.ops[3][2] == ("v4", "v5")
    assert x.grad.tolist() == [6]
    assert _core.get_trace(x.grad) == 6
    z = x * x
    z.backward()
    assert recorder.ops[-1][0] == "add"
    assert recorder.ops[-1][2][0] == "v6"


def test_the_real_handles_are_given():
    seen = []

    class R:
        def on_op(self, op, attrs, inputs, outputs):
            seen.extend(inputs)

    a, b = tensor([1]), tensor([2])
    _core.set_recorder(R())
    a + b
    ADD(a, b)
    _core.set_recorder(None)
    assert seen[0] is a
    assert seen[1] is b
    assert seen[2] is a


def test_reads_are_heard(recorder):
    a = tensor([1.0])
    a.item()
    float(a)
    bool(a)
    a.tolist()
    repr(a)
    memoryview(a)
    a.__dlpack__()
    assert [kind for kind, _ in recorder.reads] == ["item", "float", "bool", "tolist", "repr", "buffer", "dlpack"]


def test_marks_of_other_recordings_do_not_count(recorder):
    a = tensor([1])
    _core.set_trace(a, 7)
    assert _core.get_trace(a) == 7
    assert _core.get_trace(a.detach()) == 7
    _core.new_trace_epoch()
    assert _core.get_trace(a) == 0


def test_what_the_recorder_does_is_not_recorded():
    class R:
        calls = 0

        def on_op(self, op, attrs, inputs, outputs):
            R.calls += 1
            inputs[0] + inputs[0]

    _core.set_recorder(R())
    a = tensor([1])
    a + a
    a + a
    assert type(_core.set_recorder(None)) is R
    assert R.calls == 2


def test_a_recorder_can_take_itself_away():
    calls = []

    class R:
        def on_op(self, op, attrs, inputs, outputs):
            calls.append(_core.set_recorder(None))

    r = R()
    _core.set_recorder(r)
    a = tensor([1])
    a + a
    a + a
    assert calls == [r]
    assert _core.set_recorder(None) is None


def test_errors_of_the_recorder_pass_through():
    class R:
        def on_op(self, op, attrs, inputs, outputs):
            raise LookupError("not this op")

        def on_read(self, tensor, kind):
            raise LookupError("not this read")

    a = tensor([1])
    _core.set_recorder(R())
    with pytest.raises(LookupError, match="op"):
        a + a
    with pytest.raises(LookupError, match="read"):
        a.item()
    with pytest.raises(LookupError, match="read"):
        repr(a)
    with pytest.raises(LookupError, match="read"):
        memoryview(a)
    _core.set_recorder(None)
    assert (a + a).tolist() == [2]


def test_nothing_is_donated_while_recording(recorder):
    x = tensor([1, 2])
    address = x.data_ptr()
    x += tensor([1, 1])
    assert x.data_ptr() != address
    assert _core.meta(FLOAT32, (2,)) is x.meta
