"""Set-up shared by all tests; nothing here imports twain, so that tests of starting up see a fresh process."""

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def root() -> Path:
    """The top of the checkout."""
    return ROOT


def pytest_configure(config: pytest.Config) -> None:
    # Kernels that the tests compile stay out of the user's own cache, and are there for the next run.
    os.environ["TWAIN_CACHE"] = str(ROOT / "build" / "test-kernels")
    # Profiles are only set where hypothesis is installed; the lint environment may lack it.
    if "hypothesis" not in sys.modules:
        try:
            import hypothesis
        except ImportError:
            return
    import hypothesis

    hypothesis.settings.register_profile("twain", deadline=None, max_examples=60, derandomize=True, print_blob=True)
    hypothesis.settings.load_profile("twain")
