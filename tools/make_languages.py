#!/usr/bin/env python3
"""Make the bundled extract of names in many languages from CLDR, by way of the Babel package.

    pip install Babel && python tools/make_languages.py

Writes src/twain/datasets/files/languages.tsv.gz: lines `code<TAB>name`, UTF-8, sorted, gzipped without a time stamp.
Names are kept as CLDR spells them; placeholders such as {0} are cut out. A name is dropped when it has fewer than three
letters (two where one sign is a syllable or a word) or when most of its letters are not of the language's script:
CLDR falls back to other languages for what a locale lacks.
"""

from __future__ import annotations

import gzip
import re
import shutil
import unicodedata
from collections.abc import Iterator
from pathlib import Path

FILES = Path(__file__).parents[1] / "src" / "twain" / "datasets" / "files"
CODES = ("ar", "de", "el", "en", "es", "fi", "fr", "hi", "ja", "ko", "nb", "pl", "ru", "tr", "vi", "zh")
SCRIPTS = {
    "ar": ("ARABIC",),
    "el": ("GREEK",),
    "hi": ("DEVANAGARI",),
    "ja": ("HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "CJK"),
    "ko": ("HANGUL",),
    "ru": ("CYRILLIC",),
    "zh": ("CJK",),
}
DENSE = {"ja", "ko", "zh"}  # scripts whose shortest names have two signs
PLACEHOLDER = re.compile(r"\{\d\}")
EDGES = " \u00a0\u200e\u200f\u202f-–/·,.()+"


def strings(value: object) -> Iterator[str]:
    """Every string in nested mappings and sequences."""
    if isinstance(value, str):
        yield value
    elif hasattr(value, "values"):
        for inner in value.values():
            yield from strings(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from strings(inner)


def long_forms(table: object) -> Iterator[str]:
    """Strings under the width "long" of each entry, or the entry itself where it has no widths."""
    for entry in table.values():
        widths = hasattr(entry, "values") and ("long" in entry or "short" in entry or "narrow" in entry)
        yield from strings(entry.get("long", "") if widths else entry)


def raw_names(code: str) -> Iterator[str]:
    from babel import Locale

    locale = Locale.parse(code)
    data = locale._data
    for table in (locale.territories, locale.languages, locale.scripts):
        yield from table.values()
    for table in (locale.months, locale.days, locale.quarters):
        for context in ("format", "stand-alone"):
            yield from strings(table.get(context, {}).get("wide", {}))
    yield from strings(locale.eras.get("wide", {}))
    yield from strings([context.get("wide", {}) for context in data["day_periods"].values()])
    yield from long_forms(data["unit_patterns"])
    yield from long_forms(data["unit_display_names"])
    yield from long_forms(data["meta_zones"])
    yield from strings([v for k, v in data["date_fields"].items() if not k.endswith(("-short", "-narrow"))])


def clean(name: str) -> str:
    name = unicodedata.normalize("NFC", PLACEHOLDER.sub("", name))
    return re.sub(r"\s+", " ", name).strip(EDGES)


def belongs(code: str, name: str) -> bool:
    letters = [c for c in name if unicodedata.category(c)[0] in "LM"]
    if len(letters) < (2 if code in DENSE else 3) or len(letters) < 0.6 * len(name):
        return False
    scripts = SCRIPTS.get(code, ("LATIN", "COMBINING"))
    inside = sum(unicodedata.name(c, "").startswith(scripts) for c in letters)
    return 2 * inside > len(letters)


def main() -> None:
    import babel
    from babel.core import get_cldr_version

    lines = []
    for code in CODES:
        names = {clean(name) for name in raw_names(code)}
        kept = sorted(name for name in names if belongs(code, name))
        lines += [f"{code}\t{name}\n" for name in kept]
        print(f"{code}: {len(kept)} names")
    path = FILES / "languages.tsv.gz"
    path.write_bytes(gzip.compress("".join(lines).encode("utf-8"), 9, mtime=0))
    licence = Path(babel.__file__).parent / "locale-data" / "LICENSE.unicode"
    shutil.copyfile(licence, FILES / "LICENSE.unicode")
    print(f"{path.name}: {len(lines)} names, {path.stat().st_size} bytes")
    print(f"Babel {babel.__version__}, CLDR {get_cldr_version()}")


if __name__ == "__main__":
    main()
