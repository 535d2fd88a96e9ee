"""Every example of docs/semantics.md, run as it stands."""

from __future__ import annotations

import re
import types
import warnings
from pathlib import Path

import pytest

import twain
from twain.runtime.compile import CompiledFunction, CompileWarning

PAGE = Path(__file__).resolve().parents[2] / "docs" / "semantics.md"
RULE = re.compile(r"^### (\d+)\. (.*?)\n(.*?)(?=^##|\Z)", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
RULES = [(int(number), title, BLOCK.findall(body)) for number, title, body in RULE.findall(PAGE.read_text("utf-8"))]


def same(a, b) -> bool:
    """Same dtype, shape and bits."""
    a, b = a.detach(), b.detach()
    return (
        a.dtype is b.dtype and tuple(a.shape) == tuple(b.shape) and memoryview(a).tobytes() == memoryview(b).tobytes()
    )


def replayed(f) -> int:
    assert isinstance(f, CompiledFunction)
    return f.hits


def test_the_page_has_its_rules():
    assert [number for number, _, _ in RULES] == list(range(1, len(RULES) + 1)) and len(RULES) >= 30
    assert all(len(blocks) == 1 for _, _, blocks in RULES)


@pytest.mark.parametrize(("number", "title", "blocks"), RULES, ids=[f"{n}-{t[:40]}" for n, t, _ in RULES])
def test_rule(number, title, blocks, tmp_path):
    path = tmp_path / f"rule_{number}.py"
    path.write_text(blocks[0], "utf-8")
    module = types.ModuleType(f"rule_{number}")
    module.__dict__.update(twain=twain, pytest=pytest, same=same, replayed=replayed, __file__=str(path))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CompileWarning)
        exec(compile(blocks[0], str(path), "exec"), module.__dict__)
