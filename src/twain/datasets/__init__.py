"""Data sets: small ones that come with the package, and readers of well-known ones, downloaded once or from a folder."""

from .digits import digits
from .download import DownloadError, cache_folder
from .images import cifar10, cifar100, fashion_mnist, mnist
from .languages import CharacterVocabulary, LanguageNames, languages

__all__ = [
    "CharacterVocabulary",
    "DownloadError",
    "LanguageNames",
    "cache_folder",
    "cifar10",
    "cifar100",
    "digits",
    "fashion_mnist",
    "languages",
    "mnist",
]
