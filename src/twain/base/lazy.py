"""Modules that are loaded when first used: what start-up and warm caches can do without."""

from __future__ import annotations

import importlib
import sys


def load(name: str):
    """The module `name`, imported if need be; a recording that is under way doesn't see that."""
    module = sys.modules.get(name)
    if module is not None and not getattr(getattr(module, "__spec__", None), "_initializing", False):
        return module
    profile = sys.getprofile()
    watched = callable(profile)  # by a recording; a profiler written in C isn't, and can't be put back
    if watched:
        sys.setprofile(None)
    try:
        return importlib.import_module(name)
    finally:
        if watched:
            sys.setprofile(profile)


class LazyModule:
    """Stands for the module `name` (absolute); the first attribute access imports it."""

    def __init__(self, name: str):
        self.__dict__["_name"] = name

    def __getattr__(self, attribute: str):
        value = getattr(load(self._name), attribute)
        self.__dict__[attribute] = value
        return value
