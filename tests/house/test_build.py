"""The front door on machines that lack something, tried for real in a copy of the checkout.

These take a minute or so each, mostly fetching packages (from pip's cache, where that is warm) and compiling.
"""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(os.name == "nt", reason="builds by POSIX scripts")

# The interpreter that .venv was made from: what a user would type as python3.
HOST_PYTHON = getattr(sys, "_base_executable", sys.executable)


def copy_checkout(root: Path, target: Path) -> Path:
    """Copy what git knows or would add: not .venv, not build/."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        capture_output=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (root / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, target / name)
    return target


def dev(checkout: Path, *arguments: str, path: str | None = None, python: str = HOST_PYTHON, **variables: str):
    """Run ./dev in a copy, with a PATH of our choosing and no terminal."""
    env = {name: value for name, value in os.environ.items() if name not in ("CXX", "CXXFLAGS", "PYTHONPATH")}
    env.update(variables, TERM="dumb")
    if path is not None:
        env["PATH"] = path
    done = subprocess.run(
        [python, str(checkout / "dev"), *arguments],
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode and "package index cannot be reached" in done.stdout:
        pytest.skip("offline: the build's packages cannot be fetched")
    return done


def run_twain(checkout: Path, code: str) -> str:
    python = checkout / ".venv" / "bin" / "python"
    done = subprocess.run([python, "-c", code], cwd=checkout.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


ADD = "import twain, os; print(os.path.dirname(twain.__file__)); print((twain.ones((2,)) + 1).tolist())"


@pytest.mark.slow
def test_builds_without_a_compiler(root, tmp_path):
    """With every compiler hidden, and a space in the path, the ziglang wheel builds a core that computes."""
    checkout = copy_checkout(root, tmp_path / "a checkout")
    (tmp_path / "empty").mkdir()
    done = dev(checkout, "build", path=str(tmp_path / "empty"))
    assert done.returncode == 0, done.stdout
    assert "no C++20 compiler here" in done.stdout
    assert "\033" not in done.stdout
    assert run_twain(checkout, ADD).splitlines() == [str(checkout / "src" / "twain"), "[2.0, 2.0]"]
    again = dev(checkout, "build", path=str(tmp_path / "empty"))
    assert (again.returncode, again.stdout) == (0, "")


STAND_IN = """
cmake_minimum_required(VERSION 3.24)
project(stand_in NONE)
file(WRITE ${CMAKE_BINARY_DIR}/_core.stand-in.so "")
install(FILES ${CMAKE_BINARY_DIR}/_core.stand-in.so DESTINATION twain)
"""


def test_the_wheel_holds_the_package_and_nothing_else(root, tmp_path):
    """Python files, data, licence, command and the core built for it go into the wheel; tests and .venv's core do not.

    A stand-in takes the place of the core, whose compilation other tests cover.
    """
    (tmp_path / "CMakeLists.txt").write_text(STAND_IN)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-cache-dir"]
    command += [f"--config-settings=cmake.source-dir={tmp_path}", f"--config-settings=build-dir={tmp_path / 'build'}"]
    done = subprocess.run([*command, "--wheel-dir", tmp_path, root], capture_output=True, text=True, check=False)
    if "No module named" in done.stderr:
        pytest.skip("this environment was not made by ./dev: it has no build tools")
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("twain-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (entry_points,) = [archive.read(name).decode() for name in names if name.endswith("entry_points.txt")]
    listed = subprocess.run(["git", "ls-files", "src/twain"], cwd=root, capture_output=True, text=True, check=False)
    assert {name.removeprefix("src/") for name in listed.stdout.split()} <= names
    assert [name for name in names if name.endswith((".so", ".pyd", ".pyc"))] == ["twain/_core.stand-in.so"]
    assert not [name for name in names if name.split("/")[0] in ("tests", "csrc", "bench", "docs")]
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert "twain = twain.cli:main" in entry_points


def test_an_old_python_gets_a_sentence(root, tmp_path):
    """The head of `dev` turns an old interpreter away in words; here the version test is run with an old version."""
    head = (root / "dev").read_text().partition("import ast\n")[0]
    code = "import sys\nsys.version_info = (3, 8, 1)\n" + head
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "needs Python 3.10 or newer and this is Python 3.8" in done.stderr


def test_unknown_commands_are_named(root):
    done = subprocess.run([sys.executable, root / "dev", "tset"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "there is no command 'tset'" in done.stderr
    assert "sanitize" in done.stderr
