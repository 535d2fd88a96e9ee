"""The published coverage page is what the op table says."""

import importlib.util


def test_coverage_is_up_to_date(root):
    spec = importlib.util.spec_from_file_location("make_coverage", root / "tools" / "make_coverage.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (root / "docs" / "coverage.md").read_text() == module.text(), "run python tools/make_coverage.py"
