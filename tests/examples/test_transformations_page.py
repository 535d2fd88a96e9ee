"""The examples of docs/transformations.md, run one after another as they stand."""

import re

BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def test_the_page_runs(root, tmp_path):
    blocks = BLOCK.findall((root / "docs" / "transformations.md").read_text("utf-8"))
    assert len(blocks) >= 8
    names = {"__name__": "transformations"}
    for number, block in enumerate(blocks):
        path = tmp_path / f"block_{number}.py"
        path.write_text(block, "utf-8")
        exec(compile(block, str(path), "exec"), names)
