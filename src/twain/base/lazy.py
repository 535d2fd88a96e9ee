"""Modules that are loaded when first used: what start-up and warm caches can do without."""

from __future__ import annotations

import importlib
import sys


class Unseen:
    """`with Unseen():` what happens inside is hidden from a recording that is under way."""

    __slots__ = ("_profile",)

    def __enter__(self) -> None:
        profile = sys.getprofile()
        # one that is set by a recording; a profiler written in C isn't callable, and can't be put back
        self._profile = profile if callable(profile) else None
        if self._profile is not None:
            sys.setprofile(None)

    def __exit__(self, *_: object) -> None:
        if self._profile is not None:
            sys.setprofile(self._profile)


def load(name: str):
    """The module `name`, imported if need be; a recording that is under way doesn't see that."""
    module = sys.modules.get(name)
    if module is not None and not getattr(getattr(module, "__spec__", None), "_initializing", False):
        return module
    with Unseen():
        return importlib.import_module(name)


class LazyModule:
    """Stands for the module `name` (absolute); the first attribute access imports it."""

    def __init__(self, name: str):
        self.__dict__["_name"] = name

    def __getattr__(self, attribute: str):
        value = getattr(load(self._name), attribute)
        self.__dict__[attribute] = value
        return value
