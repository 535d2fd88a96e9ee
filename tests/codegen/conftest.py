"""Targets to run on, and the helpers of these tests on the path."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from codegen_kernels import runnable_targets

from twain.codegen.targets import by_name


@pytest.fixture(params=runnable_targets())
def target(request):
    """Every level that this machine can run."""
    return by_name(request.param)
