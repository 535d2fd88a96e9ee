"""Write the documentation as HTML: README.md and docs/*.md as pages, and the reference from docstrings.

`python tools/docs.py FOLDER`; called by `./dev docs`, which installs markdown and pdoc.
"""

import html
import os
import re
import shutil
import sys
from pathlib import Path

import markdown
import pdoc

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


def write_pages(target: Path) -> int:
    """Render README.md (as index.html) and docs/*.md; return how many pages."""
    sources = [path for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))) if path.exists()]
    names = {path: "index.html" if path.name == "README.md" else path.stem + ".html" for path in sources}
    links = [(title_of(path.read_text(), path), name) for path, name in names.items()]
    links.append(("Reference", "reference/twain.html"))
    for path, name in names.items():
        text = path.read_text()
        # Pages link to one another as files in the repository; here they are beside each other.
        text = re.sub(r"\]\((?:docs/|\./)?([\w-]+)\.md(#[\w-]+)?\)", r"](\1.html\2)", text)
        body = markdown.markdown(text, extensions=["tables", "fenced_code", "toc", "sane_lists"])
        (target / name).write_text(page(title_of(text, path), body, links, name))
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
