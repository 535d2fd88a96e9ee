"""Which op each Python operator means, for Tensors (in the core) and for traced Nodes."""

from __future__ import annotations

from .. import _core
from ..ir.node import Node, is_python_scalar
from . import elementwise as e
from .linalg import matmul

OPERATORS = {
    "add": e.add,
    "subtract": e.subtract,
    "multiply": e.multiply,
    "true_divide": e.divide,
    "floor_divide": e.floor_divide,
    "remainder": e.remainder,
    "power": e.power,
    "matrix_multiply": matmul,
    "and": e.bitwise_and,
    "or": e.bitwise_or,
    "xor": e.bitwise_xor,
    "lshift": e.bitwise_left_shift,
    "rshift": e.bitwise_right_shift,
    "negative": e.negative,
    "positive": e.positive,
    "absolute": e.abs,
    "invert": e.bitwise_invert,
    "eq": e.equal,
    "ne": e.not_equal,
    "lt": e.less,
    "le": e.less_equal,
    "gt": e.greater,
    "ge": e.greater_equal,
}

_PYTHON_NAMES = {
    "add": "add", "subtract": "sub", "multiply": "mul", "true_divide": "truediv", "floor_divide": "floordiv",
    "remainder": "mod", "power": "pow", "matrix_multiply": "matmul", "and": "and", "or": "or", "xor": "xor",
    "lshift": "lshift", "rshift": "rshift",
}  # fmt: skip
_UNARY_NAMES = {"negative": "neg", "positive": "pos", "absolute": "abs", "invert": "invert"}


def _is_operand(x: object) -> bool:
    """A traced value, a number, a tensor or an array."""
    return isinstance(x, Node) or is_python_scalar(x) or hasattr(x, "__array__")


def _forward(op):
    def method(self, other):
        return op(self, other) if _is_operand(other) else NotImplemented

    return method


def _reflected(op):
    def method(self, other):
        return op(other, self) if _is_operand(other) else NotImplemented

    return method


def _unary(op):
    def method(self):
        return op(self)

    return method


def install() -> None:
    """Give Tensor and Node their operators. Nodes compare by identity, so == and != stay Python's own for them."""
    for slot, op in OPERATORS.items():
        _core.set_operator(slot, op)
    _core.set_operator("cast_like", lambda x, like: e.cast(x, like.dtype))
    for slot, name in _PYTHON_NAMES.items():
        setattr(Node, f"__{name}__", _forward(OPERATORS[slot]))
        setattr(Node, f"__r{name}__", _reflected(OPERATORS[slot]))
    for slot, name in _UNARY_NAMES.items():
        setattr(Node, f"__{name}__", _unary(OPERATORS[slot]))
    for name in ("lt", "le", "gt", "ge"):
        setattr(Node, f"__{name}__", _forward(OPERATORS[name]))


install()
