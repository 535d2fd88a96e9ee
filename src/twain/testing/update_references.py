"""NumPy references of the optimizers' updates, one parameter at a time, straight from the papers' formulas.

A rule gets settings `s` and flags `f` by name, the number of the step, the counters after the first, value, gradient
and state; it gives the new counters, value and state.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from twain.ops.nn import updates


def _reference(rule):
    """The reference of the op of that name."""
    update = getattr(updates, rule.__name__)

    def reference(values, steps, guarded=False, given=()):
        s = dict(zip(update.scalars, values, strict=False))
        f = defaultdict(bool, zip(update.flags, given, strict=True))
        count, *rest = values[len(s) :]
        others, (p, g, *state) = rest[: len(update.counters) - 1], rest[len(update.counters) - 1 :]
        g = -g if f["maximize"] else g
        if update.decayed and f["weight_decay"]:
            if f["decoupled_weight_decay"]:
                p = p - s["lr"] * s["weight_decay"] * p
            else:
                g = g + s["weight_decay"] * p
        return [count + 1, *rule(s, f, count + 1, others, p, g, state)]

    return reference


def _average(old, new, kept):
    return kept * old + (1 - kept) * new


def _moments(s, g, state):
    return _average(state[0], g, s["beta1"]), _average(state[1], g * g, s["beta2"])


@_reference
def sgd_update(s, f, t, others, p, g, state):
    if not f["momentum"]:
        return [p - s["lr"] * g]
    share = 1 - s["dampening"] if f["dampening"] and t != 1 else 1.0
    buffer = s["momentum"] * state[0] + share * g
    return [p - s["lr"] * (g + s["momentum"] * buffer if f["nesterov"] else buffer), buffer]


@_reference
def adam_update(s, f, t, others, p, g, state):
    first, second = _moments(s, g, state)
    top = [np.maximum(state[2], second)] if f["amsgrad"] else []
    spread = np.sqrt((top or [second])[0] / (1 - s["beta2"] ** t)) + s["eps"]
    return [p - s["lr"] * first / (1 - s["beta1"] ** t) / spread, first, second, *top]


@_reference
def sparse_adam_update(s, f, t, others, p, g, state):
    first, second = _moments(s, g, state)
    size = s["lr"] * np.sqrt(1 - s["beta2"] ** t) / (1 - s["beta1"] ** t)
    new = [p - size * first / (np.sqrt(second) + s["eps"]), first, second]
    hit = g.any(tuple(range(1, g.ndim)), keepdims=True)
    return [np.where(hit, a, b) for a, b in zip(new, (p, *state), strict=True)]


@_reference
def adamax_update(s, f, t, others, p, g, state):
    first, top = _average(state[0], g, s["beta1"]), np.maximum(s["beta2"] * state[1], np.abs(g) + s["eps"])
    return [p - s["lr"] / (1 - s["beta1"] ** t) * first / top, first, top]


@_reference
def nadam_update(s, f, t, others, p, g, state):
    now, after = (s["beta1"] * (1 - 0.5 * 0.96 ** (n * s["momentum_decay"])) for n in (t, t + 1))
    product = others[0] * now
    first, second = _moments(s, g, state)
    spread = np.sqrt(second / (1 - s["beta2"] ** t)) + s["eps"]
    nearby, ahead = (1 - now) / (1 - product) * g, after / (1 - product * after) * first
    return [product, p - s["lr"] * (nearby + ahead) / spread, first, second]


@_reference
def radam_update(s, f, t, others, p, g, state):
    first, second = _moments(s, g, state)
    longest = 2 / (1 - s["beta2"]) - 1
    length = longest - 2 * t * s["beta2"] ** t / (1 - s["beta2"] ** t)
    factor = 1.0
    if length > 5:
        factor = np.sqrt((length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length))
        factor = factor * np.sqrt(1 - s["beta2"] ** t) / (np.sqrt(second) + s["eps"])
    return [p - s["lr"] * first / (1 - s["beta1"] ** t) * factor, first, second]


@_reference
def adagrad_update(s, f, t, others, p, g, state):
    total = state[0] + g * g
    return [p - s["lr"] / (1 + (t - 1) * s["lr_decay"]) * g / (np.sqrt(total) + s["eps"]), total]


@_reference
def adadelta_update(s, f, t, others, p, g, state):
    squares = _average(state[0], g * g, s["rho"])
    move = np.sqrt((state[1] + s["eps"]) / (squares + s["eps"])) * g
    return [p - s["lr"] * move, squares, _average(state[1], move * move, s["rho"])]


@_reference
def rmsprop_update(s, f, t, others, p, g, state):
    squares = _average(state[0], g * g, s["alpha"])
    average = [_average(state[-1], g, s["alpha"])] if f["centered"] else []
    spread = np.sqrt(squares - average[0] ** 2 if average else squares) + s["eps"]
    if not f["momentum"]:
        return [p - s["lr"] * g / spread, squares, *average]
    buffer = s["momentum"] * state[1] + g / spread
    return [p - s["lr"] * buffer, squares, buffer, *average]


@_reference
def rprop_update(s, f, t, others, p, g, state):
    turn = g * state[0]
    factor = np.where(turn > 0, s["etaplus"], np.where(turn < 0, s["etaminus"], 1.0))
    size = np.clip(state[1] * factor, s["step_size_min"], s["step_size_max"])
    g = np.where(turn < 0, 0.0, g)
    return [p - np.sign(g) * size, g, size]


@_reference
def asgd_update(s, f, t, others, p, g, state):
    eta, mu = others
    p = p * (1 - s["lambd"] * eta) - eta * g
    average = p if mu == 1 else state[0] + mu * (p - state[0])
    return [s["lr"] / (1 + s["lambd"] * s["lr"] * t) ** s["alpha"], 1 / max(1.0, t - s["t0"]), p, average]


@_reference
def adafactor_update(s, f, t, others, p, g, state):
    eps1, eps2 = f["eps"]
    share = t ** s["beta2_decay"]
    size = max(np.sqrt(np.mean(p * p)), eps2) * min(s["lr"], 1 / np.sqrt(t))
    p = p * (1 - s["lr"] * s["weight_decay"]) if f["weight_decay"] else p
    rows = _average(state[0], (g * g).mean(-1, keepdims=True), 1 - share)
    columns = _average(state[1], (g * g).mean(-2, keepdims=True), 1 - share)
    move = g / np.sqrt(np.maximum(rows @ columns / np.maximum(rows.mean(-2, keepdims=True), eps1), eps1**2))
    return [p - size / max(1.0, np.sqrt(np.mean(move * move)) / s["d"]) * move, rows, columns]


@_reference
def muon_update(s, f, t, others, p, g, state):
    buffer = _average(state[0], g, s["momentum"])
    move = _average(g, buffer, 1 - s["momentum"]) if f["nesterov"] else buffer

    def rounded(x):  # to bfloat16, ties to even
        bits = np.asarray(x, np.float32).view(np.uint32)
        return ((bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000).view(np.float32)

    a, b, c = f["ns_coefficients"]
    x = rounded(move)
    x = rounded(x / rounded(np.sqrt((x * x).sum())))
    for _ in range(f["ns_steps"]):
        gram = rounded(x @ x.T)
        x = rounded(a * x + rounded(b * gram + c * (gram @ gram)) @ x)
    return [p - s["lr"] * max(1.0, p.shape[0] / p.shape[1]) ** 0.5 * x, buffer]
