"""Set-up shared by all tests; nothing here imports twain, so that tests of starting up see a fresh process."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def root() -> Path:
    """The top of the checkout."""
    return ROOT


@pytest.fixture(scope="session", autouse=True)
def private_cache(tmp_path_factory: pytest.TempPathFactory):
    """Keep kernels that the tests compile out of the user's own cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TWAIN_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


def pytest_configure(config: pytest.Config) -> None:
    # Profiles are only set where hypothesis is installed; the lint environment may lack it.
    if "hypothesis" not in sys.modules:
        try:
            import hypothesis
        except ImportError:
            return
    import hypothesis

    hypothesis.settings.register_profile("twain", deadline=None, max_examples=60, derandomize=False, print_blob=True)
    hypothesis.settings.load_profile("twain")
