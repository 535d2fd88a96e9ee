"""Operands and arguments that don't fit: every op refuses in one sentence or gives a result, and nothing crashes."""

import os
import pathlib
import subprocess
import sys


def test_bad_calls_of_every_op(tmp_path):
    """In a process of its own: a crash would end it. The last line of stderr tells the call."""
    script = pathlib.Path(__file__).with_name("fuzz_ops.py")
    settings = {**os.environ, "TWAIN_OPT": "0", "TWAIN_CACHE": str(tmp_path / "cache")}
    done = subprocess.run([sys.executable, script, "1", "3"], capture_output=True, text=True, env=settings, check=False)
    last = done.stderr.splitlines()[-12:]
    assert done.returncode == 0, f"ended with {done.returncode} at:\n" + "\n".join(last)
    assert done.stdout.splitlines() == ["done"], done.stdout
