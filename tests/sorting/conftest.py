"""The quick tier of code generation, and one kernel cache for the run: these tests compile thousands of kernels."""

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="package", autouse=True)
def quick_kernels(tmp_path_factory: pytest.TempPathFactory):
    """Kernels of these tests are compiled once, quickly, and kept out of the user's own cache."""
    from twain import config

    before = config.cache_dir
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TWAIN_OPT", os.environ.get("TWAIN_OPT", "0"))
        config.cache_dir = str(tmp_path_factory.getbasetemp() / "kernels")
        yield
        config.cache_dir = before
