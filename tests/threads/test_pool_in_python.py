"""The pool as Python programs use it: from several threads at once, across fork, and at exit.

Each test is a process of its own that runs one large op on the bare core, so that a hang or a crash is its own.
"""

import os
import subprocess
import sys
import textwrap

import pytest

pytest.importorskip("llvmlite")

PRELUDE = """
import array, os, sys, threading, time
import llvmlite.binding as llvm
from twain import _core

llvm.initialize_native_target()
llvm.initialize_native_asmprinter()
machine = llvm.Target.from_default_triple().create_target_machine(opt=2, reloc="pic")
code = _core.load_object(machine.emit_object(llvm.parse_assembly('''
define void @add(ptr %buffers, ptr %params, i64 %begin, i64 %end) {
entry:
  %p1 = getelementptr ptr, ptr %buffers, i64 1
  %p2 = getelementptr ptr, ptr %buffers, i64 2
  %a = load ptr, ptr %buffers
  %b = load ptr, ptr %p1
  %c = load ptr, ptr %p2
  br label %loop
loop:
  %i = phi i64 [ %begin, %entry ], [ %next, %loop ]
  %ai = getelementptr float, ptr %a, i64 %i
  %bi = getelementptr float, ptr %b, i64 %i
  %ci = getelementptr float, ptr %c, i64 %i
  %x = load float, ptr %ai
  %y = load float, ptr %bi
  %z = fadd float %x, %y
  store float %z, ptr %ci
  %next = add i64 %i, 1
  %more = icmp slt i64 %next, %end
  br i1 %more, label %loop, label %done
done:
  ret void
}''')))

def prepare(op, attrs, metas):
    step = (code.symbol("add"), ((0, 0), (1, 0), (2, 0)), (), metas[0].size, 1024)
    return _core.Program("add", metas, [(metas[0], -1, 0, ())], 0, [step])

class Record:
    def bind(self, args, kwargs):
        return None

_core.install(prepare=prepare, vjp=lambda *arguments: None)
add = _core.Op("add", 2, Record())
SIZE = 300_001
x = _core.from_buffer(_core.meta(11, (SIZE,)), array.array("f", (i % 1000 for i in range(SIZE))))
expected = [float(2 * (i % 1000)) for i in range(SIZE)]

def check():
    assert add(x, x).tolist() == expected
"""


def run(script: str, threads: int = 4) -> str:
    environment = {**os.environ, "TWAIN_THREADS": str(threads)}
    text = PRELUDE + textwrap.dedent(script)
    result = subprocess.run(
        [sys.executable, "-c", text], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_one_caller(threads):
    run("for _ in range(5): check()", threads)


def test_workers_exist_only_after_large_work():
    count = "len(os.listdir('/proc/self/task'))"
    if not os.path.isdir("/proc/self/task"):
        pytest.skip("the system does not list threads")
    before, after = run(f"print({count}); check(); print({count})").split()
    assert (int(before), int(after)) == (1, 4)


def test_several_callers_at_once():
    run("""
    stop = False
    def change():
        n = 1
        while not stop:
            n = n % 6 + 1
            _core.set_threads(n)
            time.sleep(0.001)
    def work():
        for _ in range(10): check()
    changer = threading.Thread(target=change)
    workers = [threading.Thread(target=work) for _ in range(4)]
    for thread in [changer, *workers]: thread.start()
    for thread in workers: thread.join()
    stop = True
    changer.join()
    """)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_fork_while_other_threads_compute():
    run("""
    import warnings
    warnings.simplefilter("ignore")  # newer Pythons warn of forking with threads: that is the point here
    stop = False
    def work():
        while not stop: add(x, x)
    workers = [threading.Thread(target=work) for _ in range(2)]
    for thread in workers: thread.start()
    check()
    for _ in range(10):
        child = os.fork()
        if child == 0:
            for _ in range(3): check()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
    stop = True
    for thread in workers: thread.join()
    check()
    """)


def test_exit_while_a_daemon_thread_computes():
    for _ in range(3):
        run("""
        def work():
            while True: add(x, x)
        check()
        threading.Thread(target=work, daemon=True).start()
        time.sleep(0.02)
        """)


def test_exit_with_sleeping_workers():
    run("check(); time.sleep(0.05)")
