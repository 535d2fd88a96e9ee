"""One step of recurrent networks. Whole sequences: `transforms/recurrence.py`.

Sources: Hochreiter and Schmidhuber 1997 with the forget gate of Gers et al. 2000; Cho et al. 2014, with the reset gate
applied after the product, as cuDNN and PyTorch have it. Gates lie side by side in PyTorch's order: i, f, g, o and r, z, n.
"""

from __future__ import annotations

from ...base.errors import ArgumentError, ShapeError
from ..arrange import part
from ..elementwise import relu, sigmoid, tanh
from ..families import composite
from ..samples import Samples
from .linear import linear

GATES = {"lstm": 4, "gru": 3, "tanh": 1, "relu": 1}
_REFERENCES = "twain.testing.recurrent_references."


def cell(mode: str, x, recurrent, h, c) -> list:
    """The next [h] (LSTM: [h, c]) from the projections (B, gates * H) of the input and of h, both with any further axes."""
    size = h.shape[1] if c is None else c.shape[1]

    def gate(of, k: int):
        return part(of, 1, k * size, size)

    if mode == "lstm":
        i, f, g, o = (gate(x, k) + gate(recurrent, k) for k in range(4))
        c = sigmoid(f) * c + sigmoid(i) * tanh(g)
        return [sigmoid(o) * tanh(c), c]
    if mode == "gru":
        reset = sigmoid(gate(x, 0) + gate(recurrent, 0))
        update = sigmoid(gate(x, 1) + gate(recurrent, 1))
        new = tanh(gate(x, 2) + reset * gate(recurrent, 2))
        return [new + update * (h - new)]
    return [(tanh if mode == "tanh" else relu)(x + recurrent)]


def _one_step(name: str, mode: str, x, h, c, w_ih, w_hh, b_ih, b_hh) -> list:
    gates = GATES[mode]
    if x.ndim != 2 or h.ndim != 2 or x.shape[0] != h.shape[0]:
        raise ShapeError(f"[{name}] expected x (B, I) and h (B, H), got {tuple(x.shape)} and {tuple(h.shape)}")
    size = h.shape[1]
    for what, w, columns in (("w_ih", w_ih, x.shape[1]), ("w_hh", w_hh, size)):
        if tuple(w.shape) != (gates * size, columns):
            raise ShapeError(f"[{name}] expected {what} of shape {(gates * size, columns)}, got {tuple(w.shape)}")
    if c is not None and c.shape != h.shape:
        raise ShapeError(f"[{name}] expected c of h's shape {tuple(h.shape)}, got {tuple(c.shape)}")
    return cell(mode, linear(x, w_ih, b_ih), linear(h, w_hh, b_hh), h, c)


_LSTM_NAMES = ("x", "h", "c", "w_ih", "w_hh", "b_ih", "b_hh")
_NAMES = ("x", "h", "w_ih", "w_hh", "b_ih", "b_hh")


def _shapes(gates: int, states: int) -> tuple:
    return (((2, 5), *((2, 3),) * states, (gates * 3, 5), (gates * 3, 3), (gates * 3,), (gates * 3,)),)


lstm_cell = composite(
    "lstm_cell", 7, lambda attrs, *operands: _one_step("lstm_cell", "lstm", *operands), names=_LSTM_NAMES,
    reference=_REFERENCES + "lstm_cell", samples=Samples(((-2, 2),) * 7, shapes=_shapes(4, 2)),
    doc="The next (h, c), both (B, H), of an LSTM: x (B, I), w_ih (4 H, I), w_hh (4 H, H), biases (4 H,) or absent.",
)  # fmt: skip

gru_cell = composite(
    "gru_cell", 6, lambda attrs, x, h, *weights: _one_step("gru_cell", "gru", x, h, None, *weights)[0], names=_NAMES,
    reference=_REFERENCES + "gru_cell", samples=Samples(((-2, 2),) * 6, shapes=_shapes(3, 1)),
    doc="The next h (B, H) of a GRU: x (B, I), w_ih (3 H, I), w_hh (3 H, H), biases (3 H,) or absent.",
)  # fmt: skip


def _rnn_attributes(nonlinearity="tanh"):
    if nonlinearity not in ("tanh", "relu"):
        raise ArgumentError(f"expected nonlinearity 'tanh' or 'relu', got {nonlinearity!r}")
    return nonlinearity


rnn_cell = composite(
    "rnn_cell", 6, lambda attrs, x, h, *weights: _one_step("rnn_cell", attrs, x, h, None, *weights)[0], names=_NAMES,
    attributes=_rnn_attributes, errors=((("cos",), {}, "[rnn_cell]"),), reference=_REFERENCES + "rnn_cell",
    samples=Samples(((-2, 2),) * 6, arguments=(((), {}), (("relu",), {})), shapes=_shapes(1, 1)),
    doc="tanh (or relu) of x @ w_ih.T + b_ih + h @ w_hh.T + b_hh: x (B, I), h (B, H), w_ih (H, I), w_hh (H, H).",
)  # fmt: skip

__all__ = ["GATES", "cell", "gru_cell", "lstm_cell", "rnn_cell"]
