"""Writes docs/coverage.md from the op table: `python tools/make_coverage.py`."""

from pathlib import Path

from twain.base import dtypes as dt
from twain.testing import drivers

TARGET = Path(__file__).resolve().parent.parent / "docs" / "coverage.md"
HEAD = """# What each op can do

Made from the op table by `python tools/make_coverage.py`; tests/ops/ runs every entry. *Through its graph* means that
the op is a function of other ops, whose rules are used. Every op runs eagerly and compiled. *ints* are int8 to int64,
*uints* uint8 to uint64, *floats* float16, bfloat16, float32 and float64, *complex* complex64 and complex128; to functions
with values in between, integers and bools count as float32.

| op | family | dtypes | gradient | jvp | vmap | ONNX |
|---|---|---|---|---|---|---|
"""


def rule(record, name: str) -> str:
    """How a record provides a transformation."""
    if name != "batch" and not record.differentiable:
        return "no derivative"
    if getattr(record, name) is not None:
        return "rule"
    return "through its graph" if record.composite is not None else "missing"


GROUPS = (("ints", dt.SIGNED), ("uints", dt.UNSIGNED), ("floats", dt.FLOATING), ("complex", dt.COMPLEX))


def compact(dtypes: list) -> str:
    """Dtypes by name, whole kinds by one word."""
    words = ["bool"] if dt.bool_ in dtypes else []
    for word, group in GROUPS:
        have = [d for d in group if d in dtypes]
        words += [word] if len(have) == len(group) else [d.name for d in have]
    return " ".join(words)


def row(record) -> str:
    dtypes = compact(drivers.accepted_dtypes(record))
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
