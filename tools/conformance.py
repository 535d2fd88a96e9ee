"""The official test suite of the Python array API standard, run on twain: `./dev conformance [PYTEST OPTIONS]`.

The suite (https://github.com/data-apis/array-api-tests) is fetched by git at a fixed commit into .peers/array-api-tests,
with an environment of its own beside it, on twain's own Python. Set TWAIN_CONFORMANCE_SUITE to use a checkout that is
there already. Expected failures stand in tests/peers/array_api_xfails.txt, each with the reason that the standard gives.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PLACE = ROOT / ".peers" / "array-api-tests"
ENVIRONMENT = ROOT / ".peers" / "array-api"
XFAILS = ROOT / "tests" / "peers" / "array_api_xfails.txt"

SUITE = "https://github.com/data-apis/array-api-tests"
COMMIT = "55fcc60179efa2680ddd6cd926ddf17b83530e2b"
STANDARD = "https://github.com/data-apis/array-api"
STANDARD_COMMIT = "5f847a3858875c682ae901aa22b0413bf24be9da"  # what the suite's submodule names
VERSION = "2025.12"


def run(*command: object, cwd: Path | None = None) -> None:
    """Run a command; end with its status if it fails."""
    done = subprocess.run([str(part) for part in command], cwd=cwd)
    if done.returncode:
        sys.exit(f"conformance: `{' '.join(map(str, command))}` failed with status {done.returncode}")


def fetch(url: str, commit: str, place: Path) -> None:
    """A checkout of one commit, without history."""
    if not (place / ".git").exists():
        place.mkdir(parents=True, exist_ok=True)
        run("git", "init", "-q", place)
        run("git", "-C", place, "remote", "add", "origin", url)
    run("git", "-C", place, "fetch", "-q", "--depth", "1", "origin", commit)
    run("git", "-C", place, "checkout", "-q", "--detach", commit)


def checkout() -> Path:
    """Where the suite is; fetched on the first call."""
    given = os.environ.get("TWAIN_CONFORMANCE_SUITE")
    if given:
        return Path(given)
    stamp = PLACE / ".git" / "twain-commits"
    wanted = f"{COMMIT} {STANDARD_COMMIT}"
    if not stamp.exists() or stamp.read_text() != wanted:
        print("conformance: fetching the suite", file=sys.stderr)
        fetch(SUITE, COMMIT, PLACE)
        fetch(STANDARD, STANDARD_COMMIT, PLACE / "array-api")
        stamp.write_text(wanted)
    return PLACE


def environment(suite: Path) -> Path:
    """The Python of an environment that has what the suite needs, what twain needs, and twain's sources."""
    python = ENVIRONMENT / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    stamp = ENVIRONMENT / "requirements"
    wanted = (suite / "requirements.txt").read_text()
    if not stamp.exists() or stamp.read_text() != wanted:
        print("conformance: making its environment", file=sys.stderr)
        run(sys.executable, "-m", "venv", "--clear", ENVIRONMENT)
        run(python, "-m", "pip", "install", "-q", "-r", suite / "requirements.txt", *dependencies())
        found = subprocess.run(
            [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
            capture_output=True,
            text=True,
            check=True,
        )
        Path(found.stdout.strip(), "twain.pth").write_text(f"{ROOT / 'src'}\n")
        stamp.write_text(wanted)
    return python


def dependencies() -> list[str]:
    """The versions of twain's own dependencies that this Python has."""
    site = Path(sysconfig.get_path("purelib"))
    found = []
    for name in ("numpy", "llvmlite"):
        version = next(site.glob(f"{name}-*.dist-info")).name.split("-")[1].removesuffix(".dist")
        found.append(f"{name}=={version}")
    return found


def main() -> None:
    suite = checkout()
    python = environment(suite)
    options = sys.argv[1:]
    if not any(option.startswith("--max-examples") for option in options):
        options += ["--max-examples", "50"]
    # The first call of an op compiles a kernel, which is no fault of the test that makes it.
    command = [python, "-m", "pytest", "-q", "--disable-deadline", "--xfails-file", XFAILS, "-p", "no:cacheprovider"]
    command += ["-c", suite / "pytest.ini", "--rootdir", suite]  # not ours, which the path of the xfails would lead to
    if not any(not option.startswith("-") and "test" in option for option in options):
        options.append("array_api_tests")
    settings = {**os.environ, "ARRAY_API_TESTS_MODULE": "twain", "ARRAY_API_TESTS_VERSION": VERSION}
    sys.exit(subprocess.call([*map(str, command), *options], cwd=suite, env=settings))


if __name__ == "__main__":
    main()
