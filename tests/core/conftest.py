"""Every test of this folder runs on the tiny framework of core_programs.py; what was installed before comes back afterwards."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import core_programs as programs


@pytest.fixture(autouse=True)
def tiny_framework():
    with programs.Installed():
        yield
