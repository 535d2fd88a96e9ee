"""What stands in a layer for a tensor whose shape the first input will tell."""

from __future__ import annotations

from typing import Any

from .errors import UninitializedError


class UninitializedTensor:
    """Has a dtype and a device and no shape yet. Whatever else it is asked for raises UninitializedError."""

    def __init__(self, layer: str, requires_grad: bool = True):
        self.layer = layer
        self.requires_grad = requires_grad
        self.grad = None

    def requires_grad_(self, requires_grad: bool = True) -> UninitializedTensor:
        """Whether the tensor will require a gradient."""
        self.requires_grad = requires_grad
        return self

    def error(self, who: str) -> UninitializedError:
        """The error of one that needs the tensor itself."""
        return UninitializedError(
            f"[{who}] expected parameters with known shapes, got one of a {self.layer} that has not seen an input yet: "
            "call the model once, or load a state dictionary, before"
        )

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise self.error(self.__dict__.get("layer", "layer"))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.layer}>"


class UninitializedParameter(UninitializedTensor):
    """Of a parameter."""


class UninitializedBuffer(UninitializedTensor):
    """Of a buffer."""

    def __init__(self, layer: str, requires_grad: bool = False):
        super().__init__(layer, requires_grad)
