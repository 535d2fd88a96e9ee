"""Imports go down only, and files stay short enough to read."""

import ast
import importlib.util
from pathlib import Path

import pytest

specification = importlib.util.spec_from_file_location(
    "house", Path(__file__).resolve().parent.parent.parent / "tools" / "house.py"
)
house = importlib.util.module_from_spec(specification)
specification.loader.exec_module(house)


def test_imports_go_down_only():
    assert house.check_imports() == []


def test_files_stay_readable():
    assert house.check_lengths() == []


@pytest.mark.parametrize(
    ("room", "name", "allowed"),
    [
        ("ops", "twain.ir.node.Node", True),
        ("ops", "twain.ops.shape", True),
        ("base", "twain._core.Meta", True),
        ("ir", "twain.ops", False),
        ("passes", "twain.transforms.vjp", False),
        ("nn", "twain.optim", False),
        ("train", "twain.nn.Module", True),
        ("nn", "twain", False),
        ("nn", "twain.testing.harness", False),
        ("train", "twain.datasets", False),
        ("datasets", "twain", True),
        ("datasets", "twain.asarray", True),
        ("datasets", "twain.nn.Linear", True),
        ("datasets", "twain.ir.node.Node", False),
        ("demo", "twain.datasets", True),
        ("testing", "twain.ir.node", True),
        ("__init__", "twain.tensor", True),
    ],
)
def test_the_rules(room, name, allowed, monkeypatch, tmp_path):
    for folder in (*house.ROOMS, "testing", "datasets", "demo"):
        (tmp_path / folder).mkdir()
    monkeypatch.setattr(house, "PACKAGE", tmp_path)
    assert (house.complaint(room, name) is None) == allowed


def test_every_kind_of_import_is_seen():
    inside = "def f():\n    from twain.nn import Linear\n"
    tree = ast.parse("import twain.ir\nfrom ..ops import shape\nfrom . import a\n" + inside + "import os\n")
    assert house.imported(tree, "twain.codegen.lower", False) == [
        (1, "twain.ir"),
        (2, "twain.ops.shape"),
        (3, "twain.codegen.a"),
        (5, "twain.nn.Linear"),
    ]
    assert house.local_imports(tree, "twain.codegen.lower", False) == [(5, "twain.nn.Linear")]
    assert house.imported(ast.parse("from .x import y"), "twain.codegen", True) == [(1, "twain.codegen.x.y")]


def test_satellites_are_loaded_on_request_only_where_listed():
    tree = ast.parse('board = LazyModule("twain.board")\ndata = LazyModule("twain.nn.functional")\n')
    assert house.lazy_satellites(tree, "train") == []
    assert house.lazy_satellites(tree, "nn") == [(1, "twain.board")]
