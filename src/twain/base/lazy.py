"""Modules that are loaded when first used: what start-up and warm caches can do without."""

from __future__ import annotations

import importlib


class LazyModule:
    """Stands for the module `name` (absolute); the first attribute access imports it."""

    def __init__(self, name: str):
        self.__dict__["_name"] = name

    def __getattr__(self, attribute: str):
        module = importlib.import_module(self._name)
        value = getattr(module, attribute)
        self.__dict__[attribute] = value
        return value
