"""Ops of your own: from a kernel expression, from other ops, from a Python function, from C or C++.

Each is called like twain's, in eager code and in compiled functions, differentiates where its derivative is given, and
batches under vmap. See docs/extending.md.
"""

import os as _os

from ..codegen import expr as k
from ..codegen.foreign import ForeignError
from ..tensor.custom import custom_gradient
from .c_functions import c_function, c_prototype
from .callbacks import python_function, spec
from .compilers import CompileError
from .expressions import composition, elementwise
from .packages import ops


def include() -> str:
    """The folder with twain.h, for extensions in C that take or make tensors."""
    return _os.path.join(_os.path.dirname(_os.path.dirname(_os.path.abspath(__file__))), "include")


__all__ = [
    "CompileError", "ForeignError", "c_function", "c_prototype", "composition", "custom_gradient", "elementwise", "include",
    "k", "ops", "python_function", "spec",
]  # fmt: skip
