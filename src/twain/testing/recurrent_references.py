"""NumPy definitions of recurrent cells and of their runs over sequences, one step at a time."""

from __future__ import annotations

import numpy as np

from .references import sigmoid


def _projected(x, weight, bias):
    return x @ weight.T + (0 if bias is None else bias)


def lstm_cell(x, h, c, w_ih, w_hh, b_ih, b_hh):
    i, f, g, o = np.split(_projected(x, w_ih, b_ih) + _projected(h, w_hh, b_hh), 4, axis=1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def gru_cell(x, h, w_ih, w_hh, b_ih, b_hh):
    a, b = (np.split(v, 3, axis=1) for v in (_projected(x, w_ih, b_ih), _projected(h, w_hh, b_hh)))
    z = sigmoid(a[1] + b[1])
    return (1 - z) * np.tanh(a[2] + sigmoid(a[0] + b[0]) * b[2]) + z * h


def rnn_cell(x, h, w_ih, w_hh, b_ih, b_hh, nonlinearity="tanh"):
    y = _projected(x, w_ih, b_ih) + _projected(h, w_hh, b_hh)
    return np.tanh(y) if nonlinearity == "tanh" else np.maximum(y, 0)
