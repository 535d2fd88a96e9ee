"""NumPy definitions of the ops in ops/nn/margins.py, attention.py, ctc.py and extras.py, one formula each."""

from __future__ import annotations

import itertools

import numpy as np

from .nn_references import _reduced, logsigmoid, softmax


# ---------------------------------------------------------------- margins
def margin_ranking_loss(a, b, target, margin=0.0, reduction="mean"):
    return _reduced(np.maximum(0, -target * (a - b) + margin), reduction)


def cosine_embedding_loss(a, b, target, margin=0.0, reduction="mean"):
    cosine = (a * b).sum(-1) / np.sqrt(((a * a).sum(-1) + 1e-12) * ((b * b).sum(-1) + 1e-12))
    loss = np.where(target == 1, 1 - cosine, np.where(target == -1, np.maximum(0, cosine - margin), 0))
    return _reduced(loss, reduction)


def triplet_margin_loss(a, p, n, margin=1.0, order=2.0, eps=1e-6, swap=False, reduction="mean"):
    def distance(x, y):
        return (np.abs(x - y + eps) ** order).sum(-1) ** (1 / order)

    far = np.minimum(distance(a, n), distance(p, n)) if swap else distance(a, n)
    return _reduced(np.maximum(0, distance(a, p) - far + margin), reduction)


def multi_margin_loss(x, target, weight=None, p=1, margin=1.0, reduction="mean"):
    loss = np.zeros(len(x))
    for n, y in enumerate(target):
        terms = np.maximum(0, margin - x[n, y] + x[n]) ** p
        loss[n] = (terms.sum() - terms[y]) * (1 if weight is None else weight[y]) / x.shape[1]
    return _reduced(loss, reduction)


def multilabel_margin_loss(x, target, reduction="mean"):
    loss = np.zeros(len(x))
    for n, row in enumerate(target):
        labels = list(itertools.takewhile(lambda y: y >= 0, row))
        others = [i for i in range(x.shape[1]) if i not in labels]
        loss[n] = sum(max(0, 1 - (x[n, y] - x[n, i])) for y in labels for i in others) / x.shape[1]
    return _reduced(loss, reduction)


def multilabel_soft_margin_loss(x, y, weight=None, reduction="mean"):
    loss = -(y * logsigmoid(x) + (1 - y) * logsigmoid(-x)) * (1 if weight is None else weight)
    return _reduced(loss.mean(-1), reduction)


# ---------------------------------------------------------------- attention
def attention(q, k, v, mask=None, uniform=None, is_causal=False, scale=None, enable_gqa=False, dropout_p=0.0):
    if enable_gqa:
        k, v = (np.repeat(x, q.shape[-3] // x.shape[-3], axis=-3) for x in (k, v))
    scores = q @ np.swapaxes(k, -1, -2) * (q.shape[-1] ** -0.5 if scale is None else scale)
    if is_causal:
        scores = np.where(np.tri(*scores.shape[-2:], dtype=bool), scores, -np.inf)
    if mask is not None:
        scores = np.where(mask, scores, -np.inf) if mask.dtype == bool else scores + mask
    dead = np.isneginf(scores).all(-1, keepdims=True)
    weights = np.where(dead, 0, softmax(np.where(dead, 0, scores)))
    if dropout_p:
        weights = np.where(uniform >= dropout_p, weights / (1 - dropout_p), 0)
    return weights @ v


def rotary_embedding(x, positions=None, base=10000.0, interleaved=False):
    length, width = x.shape[-2:]
    at = np.arange(length) if positions is None else positions
    angle = at[..., None] * base ** (-np.arange(0, width, 2) / width)
    turn = np.exp(1j * angle)
    first, second = (x[..., ::2], x[..., 1::2]) if interleaved else (x[..., : width // 2], x[..., width // 2 :])
    turned = (first + 1j * second) * turn
    if interleaved:
        return np.stack([turned.real, turned.imag], -1).reshape(x.shape)
    return np.concatenate([turned.real, turned.imag], -1)


# ---------------------------------------------------------------- CTC
def _paths(log_probs, targets, input_lengths, target_lengths, blank):
    """Per sample the paths that become its target, and their log probabilities."""
    for n in range(log_probs.shape[1]):
        wanted = tuple(targets[n, : target_lengths[n]])
        found = []
        for path in itertools.product(range(log_probs.shape[2]), repeat=int(input_lengths[n])):
            merged = tuple(c for i, c in enumerate(path) if (i == 0 or c != path[i - 1]) and c != blank)
            if merged == wanted:
                found.append((path, sum(log_probs[t, n, c] for t, c in enumerate(path))))
        yield n, found


def ctc_nll(log_probs, targets, input_lengths, target_lengths, blank=0):
    """All paths of short sequences, one by one."""
    result = np.full(log_probs.shape[1], np.inf)
    for n, found in _paths(log_probs, targets, input_lengths, target_lengths, blank):
        result[n] = -np.logaddexp.reduce([p for _, p in found]) if found else np.inf
    return result


def ctc_gradient(log_probs, targets, input_lengths, target_lengths, blank=0):
    """Minus the share of the paths through each class at each time."""
    result = np.zeros_like(log_probs)
    for n, found in _paths(log_probs, targets, input_lengths, target_lengths, blank):
        total = sum(np.exp(p) for _, p in found)
        for path, p in found:
            for t, c in enumerate(path):
                result[t, n, c] -= np.exp(p) / total
    return result


# ---------------------------------------------------------------- others
def bilinear(a, b, weight, bias=None):
    result = np.einsum("...i,oij,...j->...o", a, weight, b)
    return result if bias is None else result + bias


def local_response_norm(x, size, alpha=1e-4, beta=0.75, k=1.0):
    squares = np.zeros_like(x)
    for c in range(x.shape[1]):
        low, high = max(0, c - size // 2), min(x.shape[1], c + (size - 1) // 2 + 1)
        squares[:, c] = (x[:, low:high] ** 2).sum(1)
    return x / (k + alpha * squares / size) ** beta


def instance_statistics(x):
    axes = tuple(range(2, x.ndim))
    return x.mean(axes).mean(0), x.var(axes, ddof=1).mean(0)


def drop_alpha(x, uniform, p):
    kept = uniform >= p
    floor = -1.7580993408473766
    a = ((1 - p) * (1 + p * floor**2)) ** -0.5
    return a * np.where(kept, x, floor) - a * floor * p


def rrelu_apply(x, slope):
    return np.where(x >= 0, x, x * slope)


def scale_by_frequency(x, weight):
    return weight[x]


def ctc_loss(log_probs, targets, input_lengths, target_lengths, blank=0, reduction="mean", zero_infinity=False):
    loss = ctc_nll(log_probs, targets, input_lengths, target_lengths, blank)
    if zero_infinity:
        loss = np.where(np.isinf(loss), 0, loss)
    return _reduced(loss / np.maximum(target_lengths, 1) if reduction == "mean" else loss, reduction)


def limit_rows(x, weight, max_norm, norm_type=2.0):
    result = np.array(weight)
    for row in set(x.ravel()):
        size = (np.abs(weight[row]) ** norm_type).sum() ** (1 / norm_type)
        if size > max_norm:
            result[row] = weight[row] * max_norm / (size + 1e-7)
    return result
