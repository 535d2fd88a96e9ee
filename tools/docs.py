"""Write the documentation as HTML: README.md, CONTRIBUTING.md and docs/*.md as pages, the functions and what each op can
do from the op table, and the reference of the rooms from docstrings.

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


def page(title: str, body: str, links: list[tuple[str, str]], here: str) -> str:
    items = "\n".join(
        f'<a href="{target}"{" aria-current=page" if target == here else ""}>{html.escape(name)}</a>'
        for name, target in links
    )
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head>\n'
        f"<body><nav>\n{items}\n</nav><main>\n{body}\n</main></body></html>\n"
    )


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
    sources = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "CONTRIBUTING.md"]
    sources = [path for path in (*sources, target / "functions.md", target / "ops.md") if path.exists()]
    names = {path: "index.html" if path.name == "README.md" else path.stem + ".html" for path in sources}
    links = [(title_of(path.read_text(), path), name) for path, name in names.items()]
    links.append(("Reference", "reference/twain.html"))
    for path, name in names.items():
        text = path.read_text()
        # Pages link to one another as files in the repository; here they are beside each other.
        text = re.sub(r"\]\((?:docs/|\./|\.\./)?([\w-]+)\.md(#[\w-]+)?\)", r"](\1.html\2)", text)
        text = text.replace("](README.html", "](index.html")
        # Other files are in the repository only.
        text = re.sub(r"\[([^\]]+)\]\((?!\w+:|[\w-]+\.html|#)[^)]+\)", r"\1", text)
        body = markdown.markdown(text, extensions=["tables", "fenced_code", "toc", "sane_lists"])
        (target / name).write_text(page(title_of(text, path), body, links, name))
    (target / "functions.md").unlink()
    (target / "ops.md").unlink()
    if "index.html" not in names.values():
        body = "<h1>twain</h1>" + "".join(f'<p><a href="{file}">{html.escape(name)}</a></p>' for name, file in links)
        (target / "index.html").write_text(page("twain", body, links, "index.html"))
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
