"""`import twain` loads what it needs and nothing else; how long that takes is measured in bench/."""

import json
import subprocess
import sys

import pytest

# Each is slow to load, or an extra that need not be installed.
HEAVY = [
    *["numpy", "llvmlite", "matplotlib", "safetensors", "tensorboardX", "tqdm", "torch", "jax", "sqlite3"],
    *["asyncio", "multiprocessing", "dataclasses", "inspect", "concurrent.futures", "unittest", "urllib.request"],
    *["pickle", "re", "typing", "json", "hashlib", "random", "tempfile"],
]


@pytest.fixture(scope="module")
def loaded() -> set[str]:
    """The modules that a fresh interpreter has after `import twain`, less those it had before."""
    code = "import sys; old = set(sys.modules); import twain; new = set(sys.modules) - old; import json; "
    code += "print(json.dumps(sorted(new)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout))


@pytest.mark.parametrize("name", HEAVY)
def test_import_loads_no_heavy_package(loaded, name):
    assert name not in loaded


def test_import_prints_nothing():
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", "import twain"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
