"""Small data sets that come with the package: real data for demos, tests and first steps, read without a download."""

from .digits import digits
from .languages import CharacterVocabulary, LanguageNames, languages

__all__ = ["CharacterVocabulary", "LanguageNames", "digits", "languages"]
