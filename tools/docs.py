"""Write the documentation as HTML: README.md, the tutorials, docs/*.md and CONTRIBUTING.md as pages, the functions and what
each op can do from the op table, and the reference of the rooms from docstrings.

`python tools/docs.py FOLDER`; called by `./dev docs`, which installs markdown and pdoc.
"""

import html
import inspect
import os
import re
import shutil
import sys
from pathlib import Path

import markdown
import pdoc

import twain
from twain.ir.op import REGISTRY
from twain.testing.drivers import load_all

ROOT = Path(__file__).resolve().parent.parent

STYLE = """
:root { color-scheme: light dark; }
body { margin: 0; font: 16px/1.55 system-ui, sans-serif; display: flex; flex-wrap: wrap; }
nav { flex: 0 0 13rem; padding: 2rem 1.5rem; }
nav a { display: block; padding: 0.15rem 0; text-decoration: none; }
nav a[aria-current] { font-weight: 600; }
nav h2 { font-size: 0.8rem; margin: 1.2rem 0 0.2rem; opacity: 0.7; }
.turn { display: flex; justify-content: space-between; margin-top: 2.5rem; }
main { flex: 1 1 30rem; max-width: 52rem; min-width: 0; padding: 1rem 2rem 4rem; }
pre { overflow-x: auto; padding: 0.8rem 1rem; background: rgb(128 128 128 / 12%); border-radius: 4px; }
code { font: 0.9em ui-monospace, monospace; }
table { border-collapse: collapse; display: block; overflow-x: auto; }
th, td { padding: 0.3rem 0.7rem; text-align: left; vertical-align: top; }
th, td { border-bottom: 1px solid rgb(128 128 128 / 35%); }
"""


def title_of(text: str, path: Path) -> str:
    found = re.search(r"^# (.+)$", text, re.M)
    return found.group(1).strip() if found else path.stem


Links = list[tuple[str, list[tuple[str, str]]]]  # (heading, [(title, file)])


def page(title: str, body: str, links: Links, here: str) -> str:
    """A whole HTML page with the navigation beside its body, and below it the pages before and after in its section."""
    items, turn = [], ""
    for heading, group in links:
        if heading:
            items.append(f"<h2>{html.escape(heading)}</h2>")
        for name, target in group:
            current = " aria-current=page" if target == here else ""
            items.append(f'<a href="{target}"{current}>{html.escape(name)}</a>')
        files = [target for _, target in group]
        if heading == TUTORIALS and here in files:
            at = files.index(here)
            before = f'<a rel="prev" href="{files[at - 1]}">{html.escape(group[at - 1][0])}</a>' if at else ""
            after = at + 1 < len(files)
            following = f'<a rel="next" href="{files[at + 1]}">{html.escape(group[at + 1][0])}</a>' if after else ""
            turn = f'<div class="turn"><span>{before}</span><span>{following}</span></div>'
    listed = "\n".join(items)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head>\n'
        f"<body><nav>\n{listed}\n</nav><main>\n{body}\n{turn}</main></body></html>\n"
    )


TUTORIALS = "Tutorials"
# What users read, in this order; what else lies in docs/ follows.
GUIDES = ["coming-from-pytorch", "coming-from-tensorflow", "semantics", "transformations", "extending"]


def sections(sources: list[Path], names: dict[Path, str]) -> Links:
    """The pages in the order of the navigation."""
    tutorials = [p for p in sources if p.parent.name == "tutorials"]
    guides = sorted((p for p in sources if p.stem in GUIDES), key=lambda p: GUIDES.index(p.stem))
    lists = [p for p in sources if p.stem in ("functions", "ops", "names", "coverage")]
    first = [p for p in sources if p.name == "README.md" and p not in tutorials]
    rest = [p for p in sources if p not in (*tutorials, *guides, *lists, *first)]
    groups = [("", first), (TUTORIALS, tutorials), ("Guides", guides), ("Lists", lists), ("How it is made", rest)]
    links = [(heading, [(title_of(p.read_text(), p), names[p]) for p in group]) for heading, group in groups]
    links[3][1].append(("Reference", "reference/twain.html"))
    return [(heading, group) for heading, group in links if group]


def file_of(path: Path) -> str:
    """The name of a page's file: all lie in one folder."""
    if path.name == "README.md":
        return "tutorials.html" if path.parent.name == "tutorials" else "index.html"
    return path.stem + ".html"


def relink(text: str, path: Path, names: dict[Path, str]) -> str:
    """The text with links between pages as links between files of the site; others lead to the repository: unlink those."""

    def replace(found: re.Match) -> str:
        label, target, anchor = found[1], found[2], found[3] or ""
        if re.match(r"\w+:", target) or target.endswith(".html"):
            return found[0]
        name = names.get((path.parent / target).resolve())
        return f"[{label}]({name}{anchor})" if name else label

    return re.sub(r"\[([^\]]+)\]\(([^)#]+)(#[^)]*)?\)", replace, text)


# Modules whose functions the page of functions lists, after those of `twain` itself.
NAMESPACES = ("linalg", "fft", "random", "sparse", "extend")


def functions_page() -> str:
    """Markdown: every public function with its signature and what its docstring says."""
    lines = [
        "# Functions",
        "",
        "What `twain` itself exports, then its namespaces. Functions of a tensor are mostly methods of it as well. What PyTorch,",
        "TensorFlow and NumPy call them: see [names](names.html); what each op can do: see [coverage](coverage.html).",
    ]
    for title, module in (("twain", twain), *((f"twain.{n}", getattr(twain, n, None)) for n in NAMESPACES)):
        if module is None:
            continue
        lines += ["", f"## {title}", "", "| function | |", "|---|---|"]
        for name in public_functions(module):
            text = (inspect.getdoc(getattr(module, name)) or "").replace("|", "&#124;")
            text = "<br>".join(" ".join(part.split()) for part in text.split("\n\n"))
            lines.append(f"| `{name}{call_of(getattr(module, name))}` | {text} |")
    return "\n".join(lines)


def public_functions(module) -> list[str]:
    """The names of a namespace's own functions: not what it takes from `twain` or from its base."""
    names = getattr(module, "__all__", None) or dir(module)
    own = [n for n in names if not n.startswith("_") and is_function(getattr(module, n))]
    if module is not twain:
        own = [n for n in own if getattr(twain, n, None) is not getattr(module, n)]
    return sorted(n for n in own if not (getattr(getattr(module, n), "__module__", "") or "").startswith("twain.base"))


def is_function(value: object) -> bool:
    """Is it one of ours that users call?"""
    home = getattr(value, "__module__", None) or ""
    return (
        callable(value) and not isinstance(value, type) and (type(value).__name__ == "Op" or home.startswith("twain"))
    )


def call_of(function) -> str:
    """The parameters in brackets, without types."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:  # of the core: its text begins with the call
        return "(...)"
    shown = [p.replace(annotation=p.empty) for p in parameters]
    return str(inspect.Signature(shown))


def ops_page() -> str:
    """Markdown: what each op of the table can do."""
    load_all()
    lines = [
        "# Ops",
        "",
        f"The {len(REGISTRY)} ops of the table, composites included. Gradient: reverse mode; a composite",
    ]
    lines[-1] += " has that of its parts. Forward and batch: the op carries the rules for forward mode and for `vmap`."
    lines += ["", "| op | family | gradient | forward | batch | ONNX | defined by |", "|---|---|---|---|---|---|---|"]
    for name, record in sorted(REGISTRY.items()):
        parts = record.composite is not None
        marks = ["yes" if rule is not None else "by its parts" if parts else "" for rule in
                 (record.vjp, record.jvp, record.batch)]  # fmt: skip
        reference = (record.reference or "").replace("twain.testing.", "")
        lines.append(f"| `{name}` | {record.family} | {' | '.join(marks)} | {record.onnx or ''} | `{reference}` |")
    return "\n".join(lines)


def write_pages(target: Path) -> int:
    """Render README.md (as index.html), CONTRIBUTING.md, docs/*.md and the pages made of the table; return how many."""
    (target / "functions.md").write_text(functions_page())
    (target / "ops.md").write_text(ops_page())
    docs = ROOT / "docs"
    tutorials = [docs / "tutorials" / "README.md", *sorted((docs / "tutorials").glob("[0-9]*.md"))]
    sources = [ROOT / "README.md", *tutorials, *sorted(docs.glob("*.md")), ROOT / "CONTRIBUTING.md"]
    sources = [path.resolve() for path in (*sources, target / "functions.md", target / "ops.md") if path.exists()]
    names = {path: file_of(path) for path in sources}
    links = sections(sources, names)
    for path, name in names.items():
        text = relink(path.read_text(), path, names)
        body = markdown.markdown(text, extensions=["tables", "fenced_code", "toc", "sane_lists"])
        (target / name).write_text(page(title_of(text, path), body, links, name))
    (target / "functions.md").unlink()
    (target / "ops.md").unlink()
    return len(sources)


def write_reference(target: Path) -> None:
    """The reference of everything public, from docstrings."""
    # tests and internals of the compiler are for readers of the source
    hidden = ["!twain._core", "!twain.testing", "!twain.codegen", "!twain.passes", "!twain.demo"]
    pdoc.render.configure(docformat="google", show_source=False, search=True)
    pdoc.pdoc("twain", *hidden, output_directory=target)


def main() -> None:
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "build/docs")
    fresh = target.with_name(target.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    count = write_pages(fresh)
    write_reference(fresh / "reference")
    shutil.rmtree(target, ignore_errors=True)
    os.replace(fresh, target)
    print(f"{count} pages and the reference in {target}")


if __name__ == "__main__":
    main()
