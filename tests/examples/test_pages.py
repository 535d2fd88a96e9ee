"""The pages of docs/ that are made of code: every block runs, in order, and prints what it says it prints."""

import ast
import contextlib
import io
import re

import pytest

import twain

DOCS = "docs"
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
SAYS = re.compile(r"^print\(.*\)  # (.+)$")
NUMBER = re.compile(r"-?\d+\.?\d*(?:e-?\d+)?")
PAGES = [
    "transformations",
    "augmentation",
    "coming-from-pytorch",
    "coming-from-tensorflow",
    "tutorials/01-tensors",
    "tutorials/02-gradients",
    "tutorials/03-first-network",
    "tutorials/04-image-classifier",
    "tutorials/05-compile",
    "tutorials/06-save-and-load",
    "tutorials/07-fine-tune",
    "tutorials/08-recurrent-network",
    "tutorials/09-gan",
    "tutorials/10-profile",
    "tutorials/11-resnet",
]


def fits(said: str, shown: str) -> bool:
    """Is it what the page says? `...` stands for anything; after "about", numbers may differ by a tenth."""
    if said.startswith("about "):
        wanted, got = NUMBER.findall(said), NUMBER.findall(shown)
        return len(wanted) == len(got) and all(
            abs(float(a) - float(b)) <= 0.1 * abs(float(a)) for a, b in zip(wanted, got)
        )
    return re.fullmatch(".*".join(map(re.escape, said.split("..."))), shown) is not None


def run(page, folder) -> int:
    """Run the blocks of a page in `folder`, one namespace for all; return how many lines of output were compared."""
    blocks = BLOCK.findall(page.read_text("utf-8"))
    assert len(blocks) >= 3
    names = {"__name__": page.stem}
    compared = 0
    for number, block in enumerate(blocks):
        path = folder / f"block_{number}.py"  # a file, so that compiled functions and errors find their source
        path.write_text(block, "utf-8")
        lines = block.splitlines()
        for statement in ast.parse(block).body:
            output = io.StringIO()
            with contextlib.redirect_stdout(output):
                exec(compile(ast.Module([statement], []), str(path), "exec"), names)
            said = SAYS.match(lines[statement.end_lineno - 1])
            if said and statement.lineno == statement.end_lineno:
                shown = output.getvalue().rstrip("\n")
                assert fits(said[1], shown), f"{page.name}: {lines[statement.lineno - 1]}\nprinted {shown}"
                compared += 1
    return compared


@pytest.mark.parametrize("name", PAGES)
def test_a_page_runs_and_shows_what_it_says(root, tmp_path, monkeypatch, name):
    if name == "augmentation":
        pytest.importorskip("PIL", reason="reads image files")
    monkeypatch.chdir(tmp_path)
    twain.random.seed(0)
    compared = run(root / DOCS / f"{name}.md", tmp_path)
    if name.startswith("tutorials/"):
        assert compared >= 1, "a tutorial ends with a result"


def test_every_tutorial_is_run(root):
    written = {f"tutorials/{path.stem}" for path in (root / DOCS / "tutorials").glob("[0-9]*.md")}
    assert written == {name for name in PAGES if name.startswith("tutorials/")}


@pytest.mark.parametrize(
    ("said", "shown", "right"),
    [
        ("[1.0, 2.0]", "[1.0, 2.0]", True),
        ("[1.0, 2.0]", "[1.0, 2.1]", False),
        ("about 0.97", "0.93", True),
        ("about 0.97", "0.7", False),
        ("about 1.0", "1.0 2.0", False),
        ("[... 3.0]", "[1.0 2.0 3.0]", True),
        ("[... 3.0]", "[1.0 2.0 4.0]", False),
    ],
)
def test_what_is_shown_is_compared(said, shown, right):
    assert fits(said, shown) is right
