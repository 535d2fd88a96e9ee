"""NumPy definitions of the ops in ops/nn, one formula each. Operands first (None where left out), then the settings."""

from __future__ import annotations

import math

import numpy as np

from .references import erfc, sigmoid


# ---------------------------------------------------------------- activations
def relu6(x):
    return np.clip(x, 0, 6)


def hardtanh(x, min_val=-1.0, max_val=1.0):
    return np.clip(x, min_val, max_val)


def leaky_relu(x, negative_slope=0.01):
    return np.where(x > 0, x, negative_slope * x)


def threshold(x, threshold, value):
    return np.where(x > threshold, x, value)


def hardshrink(x, lambd=0.5):
    return np.where(np.abs(x) > lambd, x, 0)


def softshrink(x, lambd=0.5):
    return np.sign(x) * np.maximum(np.abs(x) - lambd, 0)


def hardsigmoid(x):
    return np.clip(x + 3, 0, 6) / 6


def hardswish(x):
    return x * np.clip(x + 3, 0, 6) / 6


def prelu(x, weight):
    if weight.size == 1:
        return np.where(x > 0, x, x * weight.reshape(()))
    return np.where(x > 0, x, x * weight.reshape((1, weight.size) + (1,) * (x.ndim - 2)))


def gelu(x, approximate="none"):
    if approximate == "tanh":
        return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return 0.5 * x * erfc(-x / math.sqrt(2))


def silu(x):
    return x * sigmoid(x)


def mish(x):
    return x * np.tanh(softplus(x))


def elu(x, alpha=1.0):
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def selu(x):
    return 1.0507009873554805 * elu(x, 1.6732632423543772)


def celu(x, alpha=1.0):
    return np.maximum(x, 0) + np.minimum(alpha * np.expm1(np.minimum(x, 0) / alpha), 0)


def softplus(x, beta=1.0, threshold=20.0):
    return np.where(x * beta > threshold, x, np.logaddexp(x * beta, 0) / beta)


def logsigmoid(x):
    return -np.logaddexp(-x, 0)


def softsign(x):
    return x / (1 + np.abs(x))


def tanhshrink(x):
    return x - np.tanh(x)


def glu(x, axis=-1):
    first, second = np.split(x, 2, axis)
    return first * sigmoid(second)


def softmax(x, axis=-1):
    if np.ndim(x) == 0:
        return np.ones_like(x)
    powers = np.exp(x - x.max(axis=axis, keepdims=True))
    return powers / powers.sum(axis=axis, keepdims=True)


def log_softmax(x, axis=-1):
    low = x - x.max(axis=axis, keepdims=True)
    return low - np.log(np.exp(low).sum(axis=axis, keepdims=True))


def softmin(x, axis=-1):
    return softmax(-x, axis)


# ---------------------------------------------------------------- losses
def _reduced(loss, reduction):
    return {"mean": np.mean, "sum": np.sum, "none": np.asarray}[reduction](loss)


def mse_loss(x, y, reduction="mean"):
    return _reduced((x - y) ** 2, reduction)


def l1_loss(x, y, reduction="mean"):
    return _reduced(np.abs(x - y), reduction)


def smooth_l1_loss(x, y, reduction="mean", beta=1.0):
    size = np.abs(x - y)
    return _reduced(np.where(size < beta, 0.5 * size**2 / beta, size - 0.5 * beta), reduction)


def huber_loss(x, y, reduction="mean", delta=1.0):
    size = np.abs(x - y)
    return _reduced(np.where(size < delta, 0.5 * size**2, delta * (size - 0.5 * delta)), reduction)


def soft_margin_loss(x, y, reduction="mean"):
    return _reduced(np.logaddexp(-y * x, 0), reduction)


def hinge_embedding_loss(x, y, reduction="mean", margin=1.0):
    return _reduced(np.where(y == -1, 0, x) + np.where(y == 1, 0, np.maximum(0, margin - x)), reduction)


def hinge_loss(x, y, reduction="mean"):
    return _reduced(np.maximum(0, 1 - y * x), reduction)


def poisson_nll_loss(x, y, log_input=True, full=False, eps=1e-8, reduction="mean"):
    loss = np.exp(x) - y * x if log_input else x - y * np.log(x + eps)
    if full:
        safe = np.maximum(y, 1)
        loss = loss + np.where(y > 1, safe * np.log(safe) - safe + 0.5 * np.log(2 * np.pi * safe), 0)
    return _reduced(loss, reduction)


def gaussian_nll_loss(x, y, var, full=False, eps=1e-6, reduction="mean"):
    var = np.maximum(var, eps)
    var = var[..., None] if var.shape == x.shape[:-1] else var
    loss = 0.5 * (np.log(var) + (x - y) ** 2 / var)
    return _reduced(loss + 0.5 * math.log(2 * math.pi) if full else loss, reduction)


def kl_div(x, y, reduction="mean", log_target=False):
    loss = np.exp(y) * (y - x) if log_target else y * (np.log(y) - x)
    return loss.sum() / x.shape[0] if reduction == "batchmean" else _reduced(loss, reduction)


def binary_cross_entropy(x, y, weight=None, reduction="mean"):
    loss = -(y * np.maximum(np.log(x), -100) + (1 - y) * np.maximum(np.log(1 - x), -100))
    return _reduced(loss if weight is None else loss * weight, reduction)


def binary_cross_entropy_with_logits(x, y, weight=None, pos_weight=None, reduction="mean"):
    gain = 1.0 if pos_weight is None else pos_weight
    loss = gain * y * np.logaddexp(-x, 0) + (1 - y) * np.logaddexp(x, 0)
    return _reduced(loss if weight is None else loss * weight, reduction)


def nll_loss(x, target, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    x = np.moveaxis(x, 1, -1) if x.ndim > 1 else x
    classes = x.shape[-1]
    weight = np.ones(classes) if weight is None else weight
    rows = np.eye(classes)[target] * (target != ignore_index)[..., None]
    smooth = np.broadcast_to((target != ignore_index)[..., None], rows.shape) / classes
    loss = -(((1 - label_smoothing) * rows + label_smoothing * smooth) * weight * x).sum(-1)
    return loss.sum() / (rows * weight).sum() if reduction == "mean" else _reduced(loss, reduction)


def cross_entropy(x, target, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    return nll_loss(log_softmax(x, 1 if x.ndim > 1 else 0), target, weight, ignore_index, reduction, label_smoothing)


def cosine_similarity(a, b, axis=1, eps=1e-8):
    def length(v):
        return np.maximum(np.sqrt((v * v).sum(axis)), eps)

    return (a * b).sum(axis) / (length(a) * length(b))


# ---------------------------------------------------------------- normalisation
def _scaled(x, weight, bias, shape=None):
    if weight is not None:
        x = x * (weight if shape is None else weight.reshape(shape))
    return x if bias is None else x + (bias if shape is None else bias.reshape(shape))


def _normal(x, axes, eps):
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + eps)


def layer_norm(x, weight, bias, normalized_shape, eps=1e-5):
    return _scaled(_normal(x, tuple(range(x.ndim - len(normalized_shape), x.ndim)), eps), weight, bias)


def rms_norm(x, weight, normalized_shape, eps=None):
    axes = tuple(range(x.ndim - len(normalized_shape), x.ndim))
    eps = 2.0**-23 if eps is None else eps
    return _scaled(x / np.sqrt((x * x).mean(axes, keepdims=True) + eps), weight, None)


def group_norm(x, weight, bias, num_groups, eps=1e-5):
    grouped = x.reshape(x.shape[0], num_groups, -1)
    return _scaled(_normal(grouped, 2, eps).reshape(x.shape), weight, bias, (-1,) + (1,) * (x.ndim - 2))


def batch_norm_training(x, weight, bias, eps=1e-5):
    axes = (0, *range(2, x.ndim))
    normal = _scaled(_normal(x, axes, eps), weight, bias, (-1,) + (1,) * (x.ndim - 2))
    return normal, x.mean(axes), x.var(axes, ddof=1)


def batch_norm_inference(x, running_mean, running_var, weight, bias, eps=1e-5):
    shape = (-1,) + (1,) * (x.ndim - 2)
    normal = (x - running_mean.reshape(shape)) / np.sqrt(running_var.reshape(shape) + eps)
    return _scaled(normal, weight, bias, shape)


def moving_average(running, value, momentum):
    return (1 - momentum) * running + momentum * value


# ---------------------------------------------------------------- linear, tables, pooling
def linear(x, weight, bias):
    result = x @ weight.T
    return result if bias is None else result + bias


def embedding(x, weight, padding_idx=None):
    return weight[x]


def without_row(weight, row):
    result = weight.copy()
    result[row] = 0
    return result


def masked_mean(x, mask):
    count = mask.sum(1)[:, None]
    return (x * mask[..., None]).sum(1) / np.maximum(count, 1)


def drop(x, uniform, p):
    return np.where(uniform >= p, x / (1 - p), 0)


def one_hot(x, num_classes, axis=-1):
    return np.moveaxis(np.eye(num_classes, dtype="int64")[x], -1, axis)


# ---------------------------------------------------------------- optimizer steps
def total_norm(gradients, norm_type=2.0):
    flat = np.concatenate([np.abs(g).ravel() for g in gradients])
    if np.isinf(norm_type):
        return flat.max() if norm_type > 0 else flat.min()
    return (flat**norm_type).sum() ** (1 / norm_type)


def clip_by_norm(gradients, max_norm, norm_type=2.0):
    total = total_norm(gradients, norm_type)
    return [total, *(g * min(max_norm / (total + 1e-6), 1.0) for g in gradients)]


def clip_by_value(gradients, limit):
    return [np.clip(g, -limit, limit) for g in gradients]


def unscaled(values):
    factor, *gradients = values
    return [np.asarray(not all(np.isfinite(g).all() for g in gradients)), *(g * factor for g in gradients)]
