"""Writes docs/coverage.md from the op table: `python tools/make_coverage.py`."""

from pathlib import Path

from twain.testing import drivers, samples

TARGET = Path(__file__).resolve().parent.parent / "docs" / "coverage.md"
HEAD = """# What each op can do

Made from the op table by `python tools/make_coverage.py`; tests/ops/ runs every entry. *Through its graph* means that
the op is a function of other ops, whose rules are used. Every op runs eagerly and compiled.

| op | family | tested dtypes | gradient | jvp | vmap | ONNX |
|---|---|---|---|---|---|---|
"""


def rule(record, name: str) -> str:
    """How a record provides a transformation."""
    if name != "batch" and not record.differentiable:
        return "no derivative"
    if getattr(record, name) is not None:
        return "rule"
    return "through its graph" if record.composite is not None else "missing"


def row(record) -> str:
    dtypes = " ".join(d.name for d in samples.value_dtypes(record))
    cells = [
        f"`{record.name}`",
        record.family,
        dtypes,
        *(rule(record, r) for r in ("vjp", "jvp", "batch")),
        record.onnx or "",
    ]
    return "| " + " | ".join(cells) + " |"


def text() -> str:
    """The whole page."""
    table = drivers.load_all()
    return HEAD + "\n".join(row(table[name]) for name in sorted(table)) + "\n"


if __name__ == "__main__":
    TARGET.write_text(text())
    print(f"{TARGET}: {len(drivers.load_all())} ops")
