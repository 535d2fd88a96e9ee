"""Programs: slots, views, the arena, donation, host steps, threads, errors."""

import ctypes
import threading

import pytest
from core_programs import FLOAT32, GRAIN, KERNELS, Record, elementwise, tensor

from twain import _core


def op_of(make_program, arity=1, **fields):
    return _core.Op("test", arity, Record("test", lambda attrs, metas: make_program(metas), **fields))


def test_view_outputs_share_storage():
    def program(metas):
        row = _core.meta(FLOAT32, metas[0].shape[1:])
        return _core.Program("row", metas, [(row, 0, 4 * row.size, ())], 0, [])

    row = op_of(program)
    x = tensor(range(6), (2, 3))
    y = row(x)
    assert y.tolist() == [3, 4, 5]
    assert y.data_ptr() == x.data_ptr() + 12
    z = row(tensor(range(12), (4, 3)))  # the storage outlives its tensor
    assert z.tolist() == [3, 4, 5]
    x += x  # copy on write: somebody else sees the storage
    assert y.tolist() == [3, 4, 5]
    assert x.tolist() == [[0, 2, 4], [6, 8, 10]]
    w = row(row(tensor(range(18), (2, 3, 3))))
    assert w.tolist() == [12, 13, 14]


def test_arena_and_several_outputs():
    def program(metas):
        out = metas[0]
        half = 64 * ((out.nbytes + 63) // 64)
        steps = [
            (KERNELS["mul"], ((0, 0), (0, 0), (3, 0)), (), out.size, GRAIN),
            (KERNELS["neg"], ((3, 0), (3, half)), (), out.size, GRAIN),
            (KERNELS["copy"], ((3, 0), (1, 0)), (), out.size, GRAIN),
            (KERNELS["copy"], ((3, half), (2, 0)), (), out.size, GRAIN),
        ]
        return _core.Program("two", metas, [(out, -1, 0, ())] * 2, 2 * half, steps)

    two = op_of(program)
    for n in (1, 5, 100):
        a, b = two(tensor(range(n)))
        assert a.tolist() == [i * i for i in range(n)]
        assert b.tolist() == [-i * i for i in range(n)]


def test_no_inputs():
    value = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)

    def kernel(buffers, params, begin, end):
        out = ctypes.cast(ctypes.cast(buffers, ctypes.POINTER(ctypes.c_void_p))[0], ctypes.POINTER(ctypes.c_float))
        numbers = ctypes.cast(params, ctypes.POINTER(ctypes.c_int64))
        for i in range(begin, end):
            out[i] = numbers[0] + i

    callback = value(kernel)
    address = ctypes.cast(callback, ctypes.c_void_p).value
    out = _core.meta(FLOAT32, (4,))
    op = op_of(
        lambda metas: _core.Program("arange", (), [(out, -1, 0, ())], 0, [(address, ((0, 0),), (7,), 4, 4)], callback),
        arity=0,
    )
    assert op().tolist() == [7, 8, 9, 10]


def test_host_steps_get_addresses_and_params():
    def step(addresses, params):
        source = (ctypes.c_float * 3).from_address(addresses[0])
        target = (ctypes.c_float * 3).from_address(addresses[1])
        for i in range(3):
            target[i] = source[i] + params[0]

    def program(metas):
        return _core.Program("host", metas, [(metas[0], -1, 0, ())], 0, [(step, ((0, 0), (1, 0)), (5,), 0, 0)])

    assert op_of(program)(tensor([1, 2, 3])).tolist() == [6, 7, 8]


def test_host_step_errors_pass_through():
    def step(addresses, params):
        raise KeyError("from the host step")

    op = op_of(lambda metas: _core.Program("host", metas, [(metas[0], -1, 0, (0,))], 0, [(step, (), (), 0, 0)]))
    before = _core.memory_stats()["count"]
    for _ in range(3):
        with pytest.raises(KeyError, match="from the host step"):
            op(tensor([1]))
    assert _core.memory_stats()["count"] == before


def test_large_steps_use_the_pool_and_release_the_lock():
    n = 1 << 20
    before = _core.get_threads()
    _core.set_threads(2)
    try:
        a = _core.filled(_core.meta(FLOAT32, (n,)), 1.5)
        results = []
        threads = [threading.Thread(target=lambda: results.append(a + a)) for _ in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        for r in results:
            assert memoryview(r)[0] == memoryview(r)[n - 1] == 3.0
            assert sum(memoryview(r)[:: n // 64]) == 64 * 3.0
    finally:
        _core.set_threads(before)


def test_another_thread_may_replace_a_value_while_kernels_run():
    n = 1 << 21
    x = _core.filled(_core.meta(FLOAT32, (n,)), 1.0)
    stop = threading.Event()

    def replace():
        while not stop.is_set():
            x.assign(_core.filled(x.meta, 1.0))

    thread = threading.Thread(target=replace)
    thread.start()
    try:
        for _ in range(20):
            y = x + x
            assert memoryview(y)[0] == memoryview(y)[n - 1] == 2.0
    finally:
        stop.set()
        thread.join()


def test_donation_reuses_memory_of_a_sole_owner():
    x = tensor(range(4))
    address = x.data_ptr()
    x += tensor([1] * 4)
    assert x.data_ptr() == address
    assert x.tolist() == [1, 2, 3, 4]
    other = x.detach()
    x += tensor([1] * 4)
    assert x.data_ptr() != address
    assert (other.tolist(), x.tolist()) == ([1, 2, 3, 4], [2, 3, 4, 5])


def test_apply_donates_only_what_nobody_else_holds():
    op = _core.Op("neg", 1, Record("neg", elementwise("neg", 1)))
    x = tensor([1, 2])
    address = x.data_ptr()
    op.apply([x], None, 1, into=[x])
    assert x.data_ptr() == address
    assert x.tolist() == [-1, -2]
    y = x.detach()
    op.apply([x], None, 1, into=[x])
    assert (x.tolist(), y.tolist()) == ([1, 2], [-1, -2])


@pytest.mark.parametrize(
    "arguments",
    [
        ([(FLOAT32, 5, 0, ())], 0, []),
        ([("meta", 5, 0, ())], 0, []),
        ([("meta", -1, 0, (3,))], 0, []),
        ([("meta", -1, 0, ())], 0, [(0, (), (), 1, 1)]),
        ([("meta", -1, 0, ())], 0, [(KERNELS["copy"], ((9, 0),), (), 1, 1)]),
        ([("meta", -1, 0, ())], 0, [(KERNELS["copy"], ((-1, 0),), (), 1, 1)]),
        ([("meta", -1, 0, ())], 64, [(KERNELS["copy"], ((2, 65),), (), 1, 1)]),
        ([("meta", -1, 0, ())], 0, [(KERNELS["copy"], (), (), -1, 1)]),
        ([("meta", -1, 0, ())], 0, [("text", (), (), 1, 1)]),
        ([("meta", -1, 0, ())], 0, [(KERNELS["copy"], (), ("x",), 1, 1)]),
        ([("meta", -1, 0, ())], -1, []),
        ([("meta", -1)], 0, []),
        ("nonsense", 0, []),
    ],
)
def test_malformed_programs_are_refused(arguments):
    outputs, arena, steps = arguments
    meta = _core.meta(FLOAT32, (3,))
    if outputs != "nonsense":
        outputs = [tuple(meta if f == "meta" else f for f in output) for output in outputs]
    with pytest.raises((ValueError, TypeError)):
        _core.Program("bad", (meta,), outputs, arena, steps)


def test_keep_lives_as_long_as_the_program():
    import gc
    import weakref

    class Code:
        pass

    code = Code()
    reference = weakref.ref(code)
    meta = _core.meta(FLOAT32, (3,))
    program = _core.Program("kept", (meta,), [(meta, 0, 0, ())], 0, [], keep=code)
    del code
    gc.collect()
    assert reference() is not None
    del program
    assert reference() is None
