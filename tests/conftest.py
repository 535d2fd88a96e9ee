"""Set-up shared by all tests; nothing here imports twain, so that tests of starting up see a fresh process."""

import os
import signal
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def root() -> Path:
    """The top of the checkout."""
    return ROOT


# Folders whose tests compile thousands of kernels.
QUICK = frozenset(str(ROOT / "tests" / name) for name in ("layers", "ops", "sorting", "tensor", "transforms"))


@pytest.fixture(scope="module", autouse=True)
def quick_kernels(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    """There kernels are compiled once for the run, quickly, and kept out of the user's own cache."""
    if str(request.path.parent) not in QUICK:
        yield
        return
    from twain import config

    before = config.cache_dir
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TWAIN_OPT", os.environ.get("TWAIN_OPT", "0"))
        # Test processes that run side by side (pytest-xdist) share what they compiled.
        base = tmp_path_factory.getbasetemp()
        config.cache_dir = str((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "kernels")
        yield
        config.cache_dir = before


def pytest_configure(config: pytest.Config) -> None:
    # Kernels that the tests compile stay out of the user's own cache, and are there for the next run.
    os.environ["TWAIN_CACHE"] = str(ROOT / "build" / "test-kernels")
    # A run in the background of a shell is started deaf to Ctrl-C, and so would be what the tests start.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # Profiles are only set where hypothesis is installed; the lint environment may lack it.
    if "hypothesis" not in sys.modules:
        try:
            import hypothesis
        except ImportError:
            return
    import hypothesis

    hypothesis.settings.register_profile("twain", deadline=None, max_examples=60, derandomize=True, print_blob=True)
    hypothesis.settings.load_profile("twain")
