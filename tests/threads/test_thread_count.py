"""The number of threads: setting, checking, and the default. The pool itself is tested in csrc/tests."""

import os
import subprocess
import sys

import pytest

from twain import _core


@pytest.fixture(autouse=True)
def restore_threads():
    before = _core.get_threads()
    yield
    _core.set_threads(before)


def default_threads(text: str | None) -> int:
    environment = {name: value for name, value in os.environ.items() if name != "TWAIN_THREADS"}
    if text is not None:
        environment["TWAIN_THREADS"] = text
    command = [sys.executable, "-c", "from twain import _core; print(_core.get_threads())"]
    return int(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)


def test_set_and_get():
    for n in (1, 2, 7, 1024):
        _core.set_threads(n)
        assert _core.get_threads() == n


class Index:
    def __index__(self):
        return 3


def test_accepts_any_integer():
    _core.set_threads(Index())
    assert _core.get_threads() == 3


@pytest.mark.parametrize("n", [0, -1, 1025, 10**30])
def test_refuses_numbers_out_of_range(n):
    with pytest.raises(ValueError, match=rf"\[set_threads\] expected 1 <= n <= 1024, got {n}"):
        _core.set_threads(n)


@pytest.mark.parametrize("n", [1.5, "2", None])
def test_refuses_what_is_no_integer(n):
    with pytest.raises(TypeError, match=rf"\[set_threads\] expected n: an int, got {type(n).__name__}"):
        _core.set_threads(n)


def test_environment_variable():
    assert default_threads("3") == 3
    default = default_threads(None)
    assert 1 <= default <= os.cpu_count()
    for nonsense in ("0", "-2", "many", "", "4 cores"):
        assert default_threads(nonsense) == default


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system has no affinity mask")
def test_affinity_mask_bounds_the_default():
    code = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); "
        "from twain import _core; print(_core.get_threads())"
    )
    environment = {name: value for name, value in os.environ.items() if name != "TWAIN_THREADS"}
    result = subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True)
    assert int(result.stdout) == 1
