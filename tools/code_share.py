"""How much of the framework is Python and how much C++: counts lines, and writes the sentence into README.md.

    python tools/code_share.py            print it
    python tools/code_share.py --write    put it between the marks <!-- code --> and <!-- /code --> of README.md

Counted are lines that are neither blank nor only a comment, in src/ (Python) and csrc/ (C++) without csrc/tests/.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
KINDS = {"Python": ("src", (".py", ".pyi"), "#"), "C++": ("csrc", (".cpp", ".h"), "//")}
MARKED = re.compile(r"<!-- code -->.*?<!-- /code -->", re.S)


def count(folder: Path, suffixes: tuple[str, ...], comment: str) -> int:
    """Lines of code under `folder` in files with these suffixes."""
    files = [p for p in folder.rglob("*") if p.suffix in suffixes and p.relative_to(folder).parts[0] != "tests"]
    lines = (line.strip() for path in files for line in path.read_text(encoding="utf-8").splitlines())
    return sum(1 for line in lines if line and not line.startswith(comment))


def sentence() -> str:
    """What README says."""
    lines = {name: count(ROOT / folder, suffixes, comment) for name, (folder, suffixes, comment) in KINDS.items()}
    share = 100 * lines["Python"] / sum(lines.values())
    counts = " and ".join(f"{number:,} lines of {name}" for name, number in lines.items())
    return f"{share:.0f} % of twain is Python: {counts}, without blank lines, comments and tests."


def main() -> None:
    text = sentence()
    print(text)
    if "--write" in sys.argv[1:]:
        block = f"<!-- code -->\n{text}\n<!-- /code -->"
        README.write_text(MARKED.sub(lambda _: block, README.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
