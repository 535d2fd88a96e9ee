"""What README.md shows is true: its Python runs, its links lead somewhere, and so do those of the other pages."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    *sorted(str(p.relative_to(ROOT)) for d in ("docs", "src", "csrc", "bench") for p in (ROOT / d).rglob("*.md")),
]
RUN = ["README.md", "CONTRIBUTING.md", "src/twain/codegen/README.md"]


def code_blocks(page: str) -> list[str]:
    """The fenced Python blocks of a page, each kept at its line number."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = []
    for block in re.finditer(r"^```python\n(.*?)^```$", text, re.M | re.S):
        found.append("\n" * text.count("\n", 0, block.start(1)) + block.group(1))
    return found


@pytest.mark.parametrize("page", RUN)
def test_the_python_of_a_page_runs(page, tmp_path):
    """All blocks of a page are one program, in a process of its own, with warnings as errors."""
    blocks = code_blocks(page)
    assert blocks
    # Line numbers in a traceback are the page's.
    program = tmp_path / "page.py"
    lines: list[str] = []
    for block in blocks:
        for number, line in enumerate(block.split("\n")):
            lines.extend([""] * (number + 1 - len(lines)))
            lines[number] = lines[number] or line
    program.write_text("\n".join(lines), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", program], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    # What a comment promises a line prints, it prints.
    promised = re.findall(r"^print\(.*# (.+)$", "\n".join(blocks), re.M)
    for line in promised:
        assert line in done.stdout, f"{page} promises {line!r}"


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    text = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
        if "://" not in target:
            where = os.path.normpath(ROOT / Path(page).parent / target)
            assert os.path.exists(where), f"{page} links to {target}, which is not there"


@pytest.mark.parametrize("page", PAGES)
def test_files_that_pages_name_exist(page):
    """A path in backquotes that begins with a folder of the repository."""
    text = (ROOT / page).read_text(encoding="utf-8")
    for name in re.findall(r"`((?:src|csrc|tests|tools|bench|docs)/[\w./-]+)`", text):
        assert (ROOT / name).exists(), f"{page} names {name}, which is not there"


def test_readme_keeps_its_marks():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for mark in ("bench", "code"):
        assert text.count(f"<!-- {mark} -->") == text.count(f"<!-- /{mark} -->") == 1
