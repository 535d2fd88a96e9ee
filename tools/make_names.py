"""Writes docs/names.md, what others call our functions, from src/twain/base/names.txt: `python tools/make_names.py`."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE, TARGET = ROOT / "src/twain/base/names.txt", ROOT / "docs" / "names.md"
HEAD = """# Our names and theirs

Made from `src/twain/base/names.txt` by `python tools/make_names.py`. Names follow the Python Array API standard where it has one,
else PyTorch; an axis is always `axis`, and `keepdims` keeps it. PyTorch's names are below `torch.`, TensorFlow's below
`tf.`, NumPy's below `numpy.`.
"""


def rows() -> list[tuple[str, list[str]]]:
    """(section, [ours, torch, tensorflow, numpy]) for each line of the table."""
    found, section = [], ""
    for line in SOURCE.read_text().splitlines():
        if line.startswith("## "):
            section = line[3:]
        elif "|" in line and not line.startswith("#"):
            found.append((section, [cell.strip() for cell in line.split("|")]))
    return found


def text() -> str:
    """The whole page."""
    lines, last = [HEAD], None
    for section, (ours, *theirs) in rows():
        if section != last:
            lines += ["", f"## {section}", "", "| twain | PyTorch | TensorFlow | NumPy |", "|---|---|---|---|"]
            last = section
        cells = ["" if cell == "-" else ", ".join(f"`{name}`" for name in cell.split()) for cell in theirs]
        lines.append(f"| `{ours.split(' > ')[-1]}` | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    TARGET.write_text(text())
