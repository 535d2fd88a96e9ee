"""Names of territories, languages, months, units and the like, each in its language: tell the language of a short text.

Source: Unicode CLDR 47 as packaged by Babel 2.18.0, Unicode licence v3; see files/README.md.
"""

from __future__ import annotations

import gzip
import unicodedata
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import twain

from .split import check_fraction, check_split, hash_fraction

FILES = Path(__file__).parent / "files"

LANGUAGES = {
    "ar": "Arabic",
    "de": "German",
    "el": "Greek",
    "en": "English",
    "es": "Spanish",
    "fi": "Finnish",
    "fr": "French",
    "hi": "Hindi",
    "ja": "Japanese",
    "ko": "Korean",
    "nb": "Norwegian",
    "pl": "Polish",
    "ru": "Russian",
    "tr": "Turkish",
    "vi": "Vietnamese",
    "zh": "Chinese",
}
# Not all sixteen: a bag of characters can hardly tell German, Spanish, Polish or Turkish from English and French.
DEFAULT_CODES = ("en", "fr", "zh", "nb", "vi", "fi", "el", "ru", "ar", "hi", "ja", "ko")


class CharacterVocabulary:
    """Characters as numbers: 0 is padding, 1 any unknown character, known ones from 2 in code point order.

    Texts are compared in Unicode's NFC form and in lower case.
    """

    padding = 0
    unknown = 1

    def __init__(self, texts: Iterable[str]):
        known = sorted({character for text in texts for character in self.normalize(text)})
        self.characters: tuple[str, ...] = tuple(known)
        self._index = {character: number for number, character in enumerate(known, start=2)}

    @staticmethod
    def normalize(text: str) -> str:
        return unicodedata.normalize("NFC", text).lower()

    def __len__(self) -> int:
        """How many numbers there are, padding and unknown included: the size of an embedding table."""
        return len(self.characters) + 2

    def __repr__(self) -> str:
        return f"CharacterVocabulary({len(self)} numbers)"

    def numbers(self, text: str) -> list[int]:
        """The numbers of one text, as long as its normal form."""
        index, unknown = self._index, self.unknown
        return [index.get(character, unknown) for character in self.normalize(text)]

    def encode(self, texts: Sequence[str], length: int | None = None) -> twain.Tensor:
        """int64 [len(texts), length], padded with 0 at the end; longer texts are cut.

        `length` is by default that of the longest text (at least 1).
        """
        if isinstance(texts, str):
            raise TypeError("[CharacterVocabulary.encode] expected a list of texts, got one str; write [text]")
        if length is not None and length < 1:
            raise ValueError(f"[CharacterVocabulary.encode] expected length of at least 1, got {length}")
        rows = [self.numbers(text) for text in texts]
        if length is None:
            length = max(map(len, rows), default=0) or 1
        padded = array("q")
        for row in rows:
            padded.extend(row[:length])
            padded.extend([self.padding] * (length - len(row)))
        return twain.asarray(padded).reshape(len(rows), length)

    def decode(self, numbers: Iterable[int]) -> str:
        """The text without padding, unknown characters as U+FFFD."""
        known = {self.unknown: "\ufffd", **dict(enumerate(self.characters, start=2))}
        return "".join(known[int(number)] for number in numbers if int(number) != self.padding)


class LanguageNames(Sequence):
    """A sequence of (text, label) with `texts`, `labels`, `codes`, `classes` (names of the languages) and `vocabulary`.

    The vocabulary is that of the training split, whichever split this is.
    """

    def __init__(self, texts: list[str], labels: list[int], codes: tuple[str, ...], vocabulary: CharacterVocabulary):
        self.texts = texts
        self.labels = labels
        self.codes = codes
        self.classes = tuple(LANGUAGES[code] for code in codes)
        self.vocabulary = vocabulary

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return list(zip(self.texts[index], self.labels[index], strict=True))
        return self.texts[index], self.labels[index]

    def __repr__(self) -> str:
        return f"LanguageNames({len(self)} names in {', '.join(self.classes)})"

    def arrays(self, length: int | None = None) -> tuple[twain.Tensor, twain.Tensor]:
        """(int64 [N, length] padded with 0, int64 [N] labels): see `CharacterVocabulary.encode`."""
        return self.vocabulary.encode(self.texts, length), twain.asarray(array("q", self.labels))


def _read() -> Iterator[tuple[str, str]]:
    with gzip.open(FILES / "languages.tsv.gz", "rt", encoding="utf-8", newline="\n") as lines:
        for line in lines:
            code, name = line.rstrip("\n").split("\t")
            yield code, name


def languages(
    split: str = "train", *, codes: Sequence[str] = DEFAULT_CODES, held_out: float = 0.2, seed: int = 0
) -> LanguageNames:
    """Short names and phrases with the language that each is in.

    A name that two of the chosen languages share (in any case) is left out. Which names are held out depends on the
    name and the seed alone, so a name stays on its side whichever languages are chosen.

    Args:
        split: "train", "test" (the held-out part) or "all".
        codes: languages, a label each in this order; known are ar de el en es fi fr hi ja ko nb pl ru tr vi zh.
        held_out: about this share is held out.
        seed: which names are held out.

    Raises:
        ValueError: for an unknown split or language, a repeated language, or a share outside (0, 1).
    """
    check_split("languages", split)
    check_fraction("languages", held_out)
    codes = tuple(codes)
    unknown = [code for code in codes if code not in LANGUAGES]
    if unknown or not codes or len(set(codes)) != len(codes):
        raise ValueError(f"[languages] expected codes to be different ones of {', '.join(LANGUAGES)}, got {codes!r}")
    label_of = {code: label for label, code in enumerate(codes)}
    names = [(name, label_of[code]) for code, name in _read() if code in label_of]
    spoken_by = Counter(folded for folded, _ in {(name.casefold(), label) for name, label in names})
    names = [(name, label) for name, label in names if spoken_by[name.casefold()] == 1]

    # "Mars" and "mars" of one language fall on one side.
    held = [hash_fraction(seed, name.casefold()) < held_out for name, _ in names]
    vocabulary = CharacterVocabulary(name for (name, _), out in zip(names, held, strict=True) if not out)
    if split != "all":
        names = [pair for pair, out in zip(names, held, strict=True) if out == (split == "test")]
    return LanguageNames([name for name, _ in names], [label for _, label in names], codes, vocabulary)
