"""Connectionist temporal classification (Graves et al. 2006): forward and backward recursions over time, in NumPy.

All samples and states of a time step are one array operation; computed in float64.
"""

from __future__ import annotations

import math

from ...base import dtypes as dt
from ...base.errors import ArgumentError, DTypeError, ShapeError, ValueRangeError
from ...base.lazy import LazyModule
from ...ir.node import Spec
from ..elementwise import cast, equal, maximum, multiply, where
from ..families import composite
from ..host import host
from ..reduce import mean
from ..reduce import sum as sum_
from ..samples import Samples
from ..shape import permute_dims, reshape, spread_batch
from .losses import _check_reduction

numpy = LazyModule("numpy")
_REFERENCES = "twain.testing.nn_margin_references."


def _infer(attrs, log_probs, targets, input_lengths, target_lengths):
    if len(log_probs.shape) != 3:
        raise ShapeError(f"[ctc_loss] expected log_probs of shape (T, N, C), got {tuple(log_probs.shape)}")
    dtype = dt.strengthen(log_probs.dtype)
    if dtype not in (dt.float32, dt.float64):
        raise DTypeError(f"[ctc_loss] expected log_probs of float32 or float64, got {dtype}")
    _, number, classes = log_probs.shape
    for name, spec in (("targets", targets), ("input_lengths", input_lengths), ("target_lengths", target_lengths)):
        if dt.strengthen(spec.dtype).kind not in "iu":
            raise DTypeError(f"[ctc_loss] expected {name} to be integers, got {spec.dtype}")
    if len(targets.shape) not in (1, 2) or (len(targets.shape) == 2 and targets.shape[0] != number):
        raise ShapeError(
            f"[ctc_loss] expected targets of shape ({number}, S) or (sum of the lengths,), got {tuple(targets.shape)}"
        )
    for name, spec in (("input_lengths", input_lengths), ("target_lengths", target_lengths)):
        if tuple(spec.shape) != (number,):
            raise ShapeError(f"[ctc_loss] expected {name} of shape ({number},), got {tuple(spec.shape)}")
    if not 0 <= attrs < classes:
        raise ValueRangeError(f"[ctc_loss] expected blank in [0, {classes}), got {attrs}")
    return Spec(dtype, (number,))


class _States:
    """The labels of each sample with blanks between: what the recursions run over."""

    def __init__(self, blank: int, log_probs, targets, input_lengths, target_lengths):
        np = numpy
        self.steps, self.number, classes = log_probs.shape
        self.input_lengths, self.target_lengths = input_lengths.astype("int64"), target_lengths.astype("int64")
        if (self.input_lengths < 0).any() or (self.input_lengths > self.steps).any():
            raise ValueRangeError(
                f"[ctc_loss] expected input_lengths in [0, {self.steps}], got {input_lengths.tolist()}"
            )
        if (self.target_lengths < 0).any():
            raise ValueRangeError(f"[ctc_loss] expected target_lengths of at least 0, got {target_lengths.tolist()}")
        longest = int(self.target_lengths.max()) if self.number else 0
        if targets.ndim == 1:
            if targets.size != self.target_lengths.sum():
                raise ShapeError(
                    f"[ctc_loss] expected as many targets as the lengths' sum ({self.target_lengths.sum()}), got {targets.size}"
                )
            labels = np.full((self.number, longest), blank, dtype="int64")
            inside = np.arange(longest) < self.target_lengths[:, None]
            labels[inside] = targets
        else:
            if longest > targets.shape[1]:
                raise ShapeError(f"[ctc_loss] expected targets of at least {longest} places, got shape {targets.shape}")
            labels = targets[:, :longest].astype("int64")
            inside = np.arange(longest) < self.target_lengths[:, None]
            labels = np.where(inside, labels, blank)
        if ((labels < 0) | (labels >= classes)).any():
            raise ValueRangeError(
                f"[ctc_loss] expected targets in [0, {classes}), got {int(labels.max())} or less than 0"
            )
        self.count = 2 * longest + 1
        self.states = np.full((self.number, self.count), blank, dtype="int64")
        self.states[:, 1::2] = labels
        self.skips = np.zeros(
            (self.number, self.count), dtype=bool
        )  # from two states back: past a blank, to another label
        self.skips[:, 3::2] = labels[:, 1:] != labels[:, :-1]
        self.rows = np.arange(self.number)[:, None]
        self.last = 2 * self.target_lengths  # the final blank of each sample
        self.emitted = log_probs.astype("float64")[:, self.rows, self.states]  # (T, N, states)
        self.emitted[:, np.arange(self.count) > self.last[:, None]] = -math.inf

    def forward(self) -> list:
        """log probability of all beginnings that end in a state, per time step; sums over paths in log space."""
        np = numpy
        alpha = np.full((self.number, self.count), -math.inf)
        if self.steps:
            alpha[:, :2] = self.emitted[0, :, :2]
        found = [alpha]
        for t in range(1, self.steps):
            one = np.pad(alpha[:, :-1], ((0, 0), (1, 0)), constant_values=-math.inf)
            two = np.pad(alpha[:, :-2], ((0, 0), (2, 0)), constant_values=-math.inf)[:, : self.count]
            new = np.logaddexp(np.logaddexp(alpha, one), np.where(self.skips, two, -math.inf)) + self.emitted[t]
            alpha = np.where((t < self.input_lengths)[:, None], new, alpha)
            found.append(alpha)
        return found

    def likelihood(self, alpha):
        np = numpy
        ends = alpha[np.arange(self.number), self.last]
        before = np.where(self.last > 0, alpha[np.arange(self.number), np.maximum(self.last - 1, 0)], -math.inf)
        total = np.logaddexp(ends, before)
        # without any input only the empty target is possible
        return np.where(self.input_lengths == 0, np.where(self.target_lengths == 0, 0.0, -math.inf), total)


def _nll(blank, log_probs, targets, input_lengths, target_lengths, out):
    with numpy.errstate(all="ignore"):
        states = _States(blank, log_probs, targets, input_lengths, target_lengths)
        out[0][...] = -states.likelihood(states.forward()[-1])


def _gradient(blank, log_probs, targets, input_lengths, target_lengths, out):
    np = numpy
    result = np.zeros(log_probs.shape)
    with np.errstate(all="ignore"):
        states = _States(blank, log_probs, targets, input_lengths, target_lengths)
        alphas = states.forward()
        total = states.likelihood(alphas[-1])
        possible = np.isfinite(total) & (states.input_lengths > 0)
        beta = np.full((states.number, states.count), -math.inf)
        rows = np.arange(states.number)
        ends = np.full_like(beta, -math.inf)
        ends[rows, states.last] = 0.0
        ends[rows, np.maximum(states.last - 1, 0)] = 0.0
        skips = np.pad(states.skips[:, 2:], ((0, 0), (0, 2)))[:, : states.count]
        for t in range(states.steps - 1, -1, -1):
            if t + 1 < states.steps:
                ahead = beta + states.emitted[t + 1]
                one = np.pad(ahead[:, 1:], ((0, 0), (0, 1)), constant_values=-math.inf)
                two = np.pad(ahead[:, 2:], ((0, 0), (0, 2)), constant_values=-math.inf)[:, : states.count]
                new = np.logaddexp(np.logaddexp(ahead, one), np.where(skips, two, -math.inf))
            else:
                new = beta
            final = (t == states.input_lengths - 1)[:, None]
            beta = np.where(final, ends, new)
            share = np.exp(alphas[t] + beta - np.where(possible, total, 0.0)[:, None])
            inside = possible & (t < states.input_lengths)
            np.add.at(result[t], (states.rows, states.states), np.where(inside[:, None], -share, 0.0))
    out[0][...] = result


def _flat(inputs, batched, size):
    """Operands with a batch of batches as one batch: (T, B N, C), (B N, S), (B N,)."""
    log_probs, targets, *lengths = [spread_batch(x, b, size) for x, b in zip(inputs, batched)]
    if targets.ndim == 2:
        raise ArgumentError("[ctc_loss] expected targets of shape (N, S) inside of vmap, got concatenated ones")
    _, steps, number, classes = log_probs.shape
    log_probs = reshape(permute_dims(log_probs, (1, 0, 2, 3)), (steps, size * number, classes))
    targets = reshape(targets, (size * number, targets.shape[2]))
    return log_probs, targets, *[reshape(x, (size * number,)) for x in lengths]


def _nll_batch(attrs, call, inputs, batched, size):
    return reshape(call(attrs, *_flat(inputs, batched, size)), (size, -1))


def _gradient_batch(attrs, call, inputs, batched, size):
    found = call(attrs, *_flat(inputs, batched, size))
    steps, many, classes = found.shape
    return permute_dims(reshape(found, (steps, size, many // size, classes)), (1, 0, 2, 3))


_SAMPLES = Samples(
    ((-3, -0.2), "class 2", "class 4", "class 2"), arguments=(((2,), {}),), shapes=(((4, 3, 3), (3, 1), (3,), (3,)),),
    dtypes=(dt.float64, dt.float32),
)  # fmt: skip
_NAMES = ("log_probs", "targets", "input_lengths", "target_lengths")

ctc_gradient = host(
    "ctc_gradient", 4, _gradient, attributes=lambda blank=0: int(blank), names=_NAMES,
    infer=lambda attrs, x, *rest: (_infer(attrs, x, *rest), Spec(dt.strengthen(x.dtype), x.shape))[1],
    batch=_gradient_batch, reference=_REFERENCES + "ctc_gradient", samples=_SAMPLES, differentiable=False,
    doc="The derivative of ctc_nll by log_probs: minus the share of paths through each class at each time.",
)  # fmt: skip


def _nll_vjp(attrs, g, inputs, outputs, needs):
    return [ctc_gradient(*inputs, attrs) * reshape(g[0], (g[0].shape[0], 1)) if needs[0] else None, None, None, None]


def _nll_jvp(attrs, call, tangents, inputs, outputs):
    if tangents[0] is None:
        return [None]
    return [sum_(multiply(ctc_gradient(*inputs, attrs), tangents[0]), (0, 2))]


ctc_nll = host(
    "ctc_nll", 4, _nll, attributes=lambda blank=0: int(blank), names=_NAMES, infer=_infer, vjp=_nll_vjp, jvp=_nll_jvp,
    batch=_nll_batch, reference=_REFERENCES + "ctc_nll", samples=_SAMPLES,
    doc="-log of the probability of each target: of all paths that become it when repeats and blanks are removed.",
)  # fmt: skip


def _ctc_loss(attrs, log_probs, targets, input_lengths, target_lengths):
    """Connectionist temporal classification; the mean is over losses divided by their target's length."""
    blank, reduction, zero_infinity = attrs
    alone = log_probs.ndim == 2
    if alone:
        log_probs = reshape(log_probs, (log_probs.shape[0], 1, log_probs.shape[1]))
        input_lengths, target_lengths = reshape(input_lengths, (1,)), reshape(target_lengths, (1,))
        if targets.ndim == 1:
            targets = reshape(targets, (1, targets.size))
    narrow = log_probs.dtype if log_probs.dtype in (dt.bfloat16, dt.float16) else None
    loss = ctc_nll(cast(log_probs, dt.float32) if narrow else log_probs, targets, input_lengths, target_lengths, blank)
    if zero_infinity:
        loss = where(equal(loss, math.inf), 0.0, loss)
    if reduction == "mean":
        loss = mean(loss / cast(maximum(target_lengths, 1), loss.dtype))
    elif reduction == "sum":
        loss = sum_(loss)
    elif alone:
        loss = reshape(loss, ())
    return cast(loss, narrow) if narrow else loss


def _ctc_attributes(blank=0, reduction="mean", zero_infinity=False):
    if isinstance(blank, bool) or not isinstance(blank, int):
        raise ArgumentError(f"expected blank to be an int, got {blank!r}")
    return (blank, _check_reduction("ctc_loss", reduction), bool(zero_infinity))


ctc_loss = composite(
    "ctc_loss", 4, _ctc_loss,
    autocast="float32", errors=(((9,), {}, "[ctc_loss]"), ((0, "avg"), {}, "[ctc_loss]"), ((0.5,), {}, "[ctc_loss]")),
    attributes=_ctc_attributes, names=_NAMES, reference=_REFERENCES + "ctc_loss",
    samples=Samples(((-3, -0.2), "class 2", "class 4", "class 3"), arguments=(((2, "mean", True), {}), ((2, "none", True), {})),
                    shapes=(((3, 4, 3), (4, 2), (4,), (4,)),)),
)  # fmt: skip

__all__ = ["ctc_gradient", "ctc_loss", "ctc_nll"]
