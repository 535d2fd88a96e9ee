"""What goes with layers; `rnn` has sequences of different lengths."""

from . import rnn

__all__ = ["rnn"]
