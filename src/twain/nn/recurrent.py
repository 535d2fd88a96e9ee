"""RNN, LSTM and GRU: single steps and whole sequences. Arguments, parameter names and shapes are PyTorch's."""

from __future__ import annotations

import math
from itertools import accumulate
from typing import Any

from .. import _core
from ..base.errors import ArgumentError, ShapeError, ValueRangeError
from ..ops.nn import recurrent as _cells
from ..ops.shape import concat, reshape
from ..tensor import asarray, stack, take, zeros
from ..tensor.control import differentiated
from ..transforms.levels import is_value
from ..transforms.recurrence import recurrence
from . import functional as F
from . import init
from .lazy import check_sizes, parameter
from .module import Module
from .utils.rnn import PackedSequence, data_of, lengths_tensor, padded_of

Tensor = _core.Tensor


def _fill(module: Module, hidden_size: int) -> None:
    bound = 1.0 / math.sqrt(hidden_size)
    for weight in module.parameters():
        init.uniform_(weight, -bound, bound)


# ---------------------------------------------------------------- single steps
class _Cell(Module):
    mode = ""

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None):
        check_sizes(type(self).__name__, input_size=input_size, hidden_size=hidden_size)
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        rows = _cells.GATES[self.mode] * hidden_size
        self.weight_ih = parameter((rows, input_size), dtype, device)
        self.weight_hh = parameter((rows, hidden_size), dtype, device)
        self.register_parameter("bias_ih", parameter((rows,), dtype, device) if bias else None)
        self.register_parameter("bias_hh", parameter((rows,), dtype, device) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """New initial values."""
        _fill(self, self.hidden_size)

    def _started(self, x: Tensor, states: tuple) -> tuple[bool, Tensor, list]:
        """(whether x has no batch axis, x with one, states with one, zeros where none were given)."""
        name = type(self).__name__
        if x.ndim not in (1, 2) or x.shape[-1] != self.input_size:
            raise ShapeError(
                f"[{name}] expected input of shape (B, {self.input_size}) or ({self.input_size},), got {tuple(x.shape)}"
            )
        alone = x.ndim == 1
        rows = 1 if alone else x.shape[0]
        wanted = (self.hidden_size,) if alone else (rows, self.hidden_size)
        started = []
        for state in states:
            if state is None:
                started.append(zeros((rows, self.hidden_size), dtype=x.dtype))
                continue
            if tuple(state.shape) != wanted:
                raise ShapeError(f"[{name}] expected a state of shape {wanted}, got {tuple(state.shape)}")
            started.append(reshape(state, (rows, self.hidden_size)) if alone else state)
        return alone, reshape(x, (1, self.input_size)) if alone else x, started

    def _weights(self) -> tuple:
        return self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}" + ("" if self.bias else ", bias=False")


class RNNCell(_Cell):
    """h' = tanh(W_ih x + b_ih + W_hh h + b_hh), or relu.

    Called with input (B, input_size) and hx (B, hidden_size), zeros by default, both also without B; returns h'.
    Parameters: weight_ih (hidden_size, input_size), weight_hh (hidden_size, hidden_size), bias_ih, bias_hh.
    """

    mode = "tanh"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Any = None,
        dtype: Any = None,
    ):
        if nonlinearity not in ("tanh", "relu"):
            raise ArgumentError(f"[RNNCell] expected nonlinearity 'tanh' or 'relu', got {nonlinearity!r}")
        self.nonlinearity = nonlinearity
        super().__init__(input_size, hidden_size, bias, device, dtype)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        alone, x, [h] = self._started(input, (hx,))
        h = _cells.rnn_cell(x, h, *self._weights(), self.nonlinearity)
        return h[0] if alone else h


class GRUCell(_Cell):
    """One step of a gated recurrent unit (Cho et al. 2014); called like RNNCell. Rows of the weights: r, z, n."""

    mode = "gru"

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        alone, x, [h] = self._started(input, (hx,))
        h = _cells.gru_cell(x, h, *self._weights())
        return h[0] if alone else h


class LSTMCell(_Cell):
    """One step of long short-term memory (Hochreiter, Schmidhuber 1997): input and hx = (h, c) give (h', c').

    Rows of the weights: i, f, g, o.
    """

    mode = "lstm"

    def forward(self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        alone, x, [h, c] = self._started(input, (None, None) if hx is None else _pair("LSTMCell", hx))
        h, c = _cells.lstm_cell(x, h, c, *self._weights())
        return (h[0], c[0]) if alone else (h, c)


def _pair(name: str, hx: Any) -> tuple:
    if not isinstance(hx, (tuple, list)) or len(hx) != 2:
        got = f"{len(hx)} tensors" if isinstance(hx, (tuple, list)) else type(hx).__name__
        raise ArgumentError(f"[{name}] expected hx to be a pair (h, c), got {got}")
    return tuple(hx)


# ---------------------------------------------------------------- sequences
class _Recurrent(Module):
    """What RNN, LSTM and GRU share."""

    mode = ""
    gives_state = True  # returns (output, state): in a Sequential the next layer takes the output

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ):
        name = type(self).__name__
        check_sizes(name, input_size=input_size, hidden_size=hidden_size, num_layers=num_layers)
        if not isinstance(bias, bool) or not isinstance(batch_first, bool):
            raise ArgumentError(f"[{name}] expected bias and batch_first to be bools, got {bias!r} and {batch_first!r}")
        if isinstance(dropout, bool) or not isinstance(dropout, (int, float)) or not 0 <= dropout <= 1:
            raise ValueRangeError(f"[{name}] expected dropout to be a number in [0, 1], got {dropout!r}")
        if proj_size and self.mode != "lstm":
            raise ArgumentError(f"[{name}] expected no proj_size, which only LSTM has, got {proj_size}")
        if not 0 <= proj_size < hidden_size:
            raise ValueRangeError(f"[{name}] expected proj_size from 0 to hidden_size - 1, got {proj_size}")
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        rows, out = _cells.GATES[self.mode] * hidden_size, proj_size or hidden_size
        for layer in range(num_layers):
            columns = input_size if layer == 0 else out * self.directions
            for end in self._ends(layer):
                shapes: dict[str, tuple] = {"weight_ih": (rows, columns), "weight_hh": (rows, out)}
                shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)} if bias else {}
                shapes |= {"weight_hr": (proj_size, hidden_size)} if proj_size else {}
                for what, shape in shapes.items():
                    self.register_parameter(what + end, parameter(shape, dtype, device))
        self.reset_parameters()

    @property
    def directions(self) -> int:
        return 2 if self.bidirectional else 1

    def _ends(self, layer: int) -> list[str]:
        """What the names of a layer's parameters end in, per direction."""
        return [f"_l{layer}{d}" for d in ("", "_reverse")[: self.directions]]

    def reset_parameters(self) -> None:
        """New initial values."""
        _fill(self, self.hidden_size)

    def flatten_parameters(self) -> None:
        """Nothing: there is no layout to prepare. For code written for PyTorch."""

    @property
    def all_weights(self) -> list[list[Tensor]]:
        """Per layer and direction the parameters, in the order of their names in PyTorch."""
        kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")
        ends = [end for layer in range(self.num_layers) for end in self._ends(layer)]
        return [[getattr(self, k + end) for k in kinds if hasattr(self, k + end)] for end in ends]

    def _states(self, hx: Any) -> list:
        return [hx]

    def forward(self, input: Any, hx: Any = None, lengths: Any = None) -> tuple[Any, Any]:
        name = type(self).__name__
        if isinstance(input, PackedSequence):
            if lengths is not None:
                raise ArgumentError(f"[{name}] expected no lengths beside a PackedSequence, which has its own")
            return self._packed(input, hx)
        if input.ndim not in (2, 3) or input.shape[-1] != self.input_size:
            order = "(B, T, " if self.batch_first else "(T, B, "
            raise ShapeError(
                f"[{name}] expected input of shape {order}{self.input_size}) or (T, {self.input_size}), got "
                f"{tuple(input.shape)}"
            )
        alone = input.ndim == 2
        x = reshape(input, (input.shape[0], 1, self.input_size)) if alone else input
        if self.batch_first and not alone:
            x = x.transpose(0, 1)
        if lengths is not None:
            lengths = _as_lengths(name, lengths, x.shape[1])
        states = self._started(x, hx, alone)
        x, states = self._run(x, states, lengths)
        if alone:
            x, states = x[:, 0], [s[:, 0] for s in states]
        elif self.batch_first:
            x = x.transpose(0, 1)
        return x, states[0] if len(states) == 1 else tuple(states)

    def _packed(self, packed: PackedSequence, hx: Any) -> tuple[PackedSequence, Any]:
        if packed.data.ndim != 2 or packed.data.shape[1] != self.input_size:
            raise ShapeError(
                f"[{type(self).__name__}] expected packed data of shape (rows, {self.input_size}), got "
                f"{tuple(packed.data.shape)}"
            )
        x = padded_of(packed)
        states = self._started(x, hx, False)
        if hx is not None and packed.sorted_indices is not None:
            states = [take(s, packed.sorted_indices, axis=1) for s in states]
        same = packed.sizes[-1] == packed.sizes[0]
        x, states = self._run(x, states, None if same else lengths_tensor(packed))
        if packed.unsorted_indices is not None:
            states = [take(s, packed.unsorted_indices, axis=1) for s in states]
        return packed.like(data_of(x, packed.sizes)), states[0] if len(states) == 1 else tuple(states)

    def _started(self, x: Tensor, hx: Any, alone: bool) -> list:
        """Initial states (layers * directions, B, size), zeros where none were given."""
        name, runs, batch = type(self).__name__, self.num_layers * self.directions, x.shape[1]
        out = self.proj_size or self.hidden_size
        sizes = (out, self.hidden_size) if self.mode == "lstm" else (out,)
        given = [None] * len(sizes) if hx is None else self._states(hx)
        states = []
        for what, size, state in zip("hc", sizes, given):
            if state is None:
                state = zeros((runs, batch, size), dtype=x.dtype)
            else:
                wanted = (runs, size) if alone else (runs, batch, size)
                if tuple(state.shape) != wanted:
                    raise ShapeError(f"[{name}] expected {what}_0 of shape {wanted}, got {tuple(state.shape)}")
                if alone:
                    state = reshape(state, (runs, 1, size))
            states.append(state)
        return states

    def _run(self, x: Tensor, states: list, lengths: Tensor | None) -> tuple[Tensor, list]:
        """x (T, B, I) and states through all layers."""
        ends: list[list] = []
        weights = self.__dict__
        for layer in range(self.num_layers):
            if layer and self.dropout and self.training:
                x = F.dropout(x, self.dropout)
            results = []
            for direction, end in enumerate(self._ends(layer)):
                number = layer * self.directions + direction
                w_ih, w_hh = weights["weight_ih" + end], weights["weight_hh" + end]
                b_ih, b_hh = weights.get("bias_ih" + end), weights.get("bias_hh" + end)
                if b_hh is not None and self.mode != "gru":  # else it would be added at every step
                    b_ih, b_hh = b_ih + b_hh, None
                operands = [
                    F.linear(x, w_ih, b_ih), states[0][number], states[1][number] if len(states) > 1 else None, w_hh,
                    b_hh, weights.get("weight_hr" + end), lengths,
                ]  # fmt: skip
                keep = differentiated([o for o in operands if o is not None])
                y, *last = recurrence(*operands, self._cell_mode(), direction == 1, keep)[: 1 + len(states)]
                results.append(y)
                ends.append(last)
            x = results[0] if len(results) == 1 else concat(results, 2)
        if len(ends) == 1:
            return x, [reshape(s, (1, *s.shape)) for s in ends[0]]
        return x, [stack([e[k] for e in ends], axis=0) for k in range(len(states))]

    def _cell_mode(self) -> str:
        return self.mode

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        for what, default in (
            ("num_layers", 1), ("bias", True), ("batch_first", False), ("dropout", 0.0), ("bidirectional", False),
            ("proj_size", 0),
        ):  # fmt: skip
            if getattr(self, what) != default:
                text += f", {what}={getattr(self, what)}"
        return text


def _as_lengths(name: str, lengths: Any, batch: int) -> Tensor:
    if not is_value(lengths):
        lengths = asarray(list(lengths), dtype="int64")
    if tuple(lengths.shape) != (batch,) or lengths.dtype.kind not in "iu":
        raise ShapeError(
            f"[{name}] expected lengths to be {batch} ints, one per sequence, got {lengths.dtype}{list(lengths.shape)}"
        )
    return lengths


_SHARED = """

    Args:
        input_size, hidden_size: features of the input and of a state.
        num_layers: so many on top of each other.
        bias: whether there are biases.
        batch_first: input and output are (B, T, features) instead of (T, B, features); states stay as they are.
        dropout: the share of the outputs of each layer but the last that is dropped in training.
        bidirectional: a second run from the end of the sequence, its features after the first's.

    Called with input (T, B, input_size), or without B, or a PackedSequence, and initial states (num_layers * directions, B,
    hidden_size), zeros by default. Returns (output of the last layer, last states); output is packed if the input is.
    `lengths` (B,), ints or a tensor, says how long each padded sequence is: outputs beyond are 0, states are those at the end.
    In a Sequential the next layer takes the output.

    Parameters of layer k: weight_ih_lk (gates * hidden_size, features of its input), weight_hh_lk (gates * hidden_size,
    hidden_size), bias_ih_lk, bias_hh_lk; those of the run from the end end in _reverse.
    """


class RNN(_Recurrent):
    __doc__ = (
        "h' = tanh(W_ih x + b_ih + W_hh h + b_hh) along a sequence; nonlinearity may be 'relu' (Elman 1990)." + _SHARED
    )

    mode = "tanh"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
    ):
        if nonlinearity not in ("tanh", "relu"):
            raise ArgumentError(f"[RNN] expected nonlinearity 'tanh' or 'relu', got {nonlinearity!r}")
        self.nonlinearity = nonlinearity
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, 0, device, dtype
        )

    def _cell_mode(self) -> str:
        return self.nonlinearity


class GRU(_Recurrent):
    __doc__ = "Gated recurrent units along a sequence (Cho et al. 2014); gates r, z, n." + _SHARED

    mode = "gru"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
    ):
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, 0, device, dtype
        )


class LSTM(_Recurrent):
    __doc__ = (
        "Long short-term memory along a sequence (Hochreiter, Schmidhuber 1997); gates i, f, g, o; states are a pair (h, c)."
        + _SHARED.replace(
            "\n\n    Called",
            "\n        proj_size: if not 0, h is projected to so many features by weight_hr_lk (proj_size, hidden_size)"
            " (Sak et al. 2014).\n\n    Called",
        )
    )

    mode = "lstm"

    def _states(self, hx: Any) -> list:
        return list(_pair("LSTM", hx))


class LastStep(Module):
    """The output at the end of each sequence: what a recurrent layer has to say of the whole.

    (T, B, features), or (B, T, features) with batch_first, or a PackedSequence -> (B, features). Behind a bidirectional layer
    the run from the end has seen one step only there; take the states instead.
    """

    def __init__(self, batch_first: bool = False):
        self.batch_first = batch_first

    def forward(self, x: Any) -> Tensor:
        if not isinstance(x, PackedSequence):
            if x.ndim != 3:
                raise ShapeError(f"[LastStep] expected x of three axes, got {tuple(x.shape)}")
            return x[:, -1] if self.batch_first else x[-1]
        starts = list(accumulate(x.sizes, initial=0))
        pieces = []
        for length in dict.fromkeys(x.lengths):  # longest first: as they stand
            following = x.sizes[length] if length < len(x.sizes) else 0
            pieces.append(x.data[starts[length - 1] + following : starts[length]])
        last = concat(pieces, 0) if len(pieces) > 1 else pieces[0]
        return last if x.unsorted_indices is None else take(last, x.unsorted_indices, axis=0)

    def extra_repr(self) -> str:
        return "batch_first=True" if self.batch_first else ""


__all__ = ["GRU", "LSTM", "RNN", "GRUCell", "LSTMCell", "LastStep", "RNNCell"]
