"""Ops of other packages, found by their entry points and loaded when first used."""

from __future__ import annotations

from ..base.lazy import LazyModule, Unseen

metadata = LazyModule("importlib.metadata")

GROUP = "twain.ops"


class Packages:
    """`twain.extend.ops.name` is what the entry point `name` of the group "twain.ops" refers to."""

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        found = [e for e in metadata.entry_points(group=GROUP) if e.name == name]
        if not found:
            raise AttributeError(
                f"[extend.ops] expected an installed package that registers {name!r} in the entry point group {GROUP!r}, "
                f"found {', '.join(dir(self)) or 'none at all'}"
            )
        with Unseen():
            value = found[0].load()
        self.__dict__[name] = value
        return value

    def __dir__(self) -> list[str]:
        return sorted({e.name for e in metadata.entry_points(group=GROUP)})

    def __repr__(self) -> str:
        return f"<ops of other packages: {', '.join(dir(self)) or 'none'}>"


ops = Packages()
