"""The computations of the layers as functions, with PyTorch's names and order of arguments (`axis` for `dim`)."""

from __future__ import annotations

from typing import Any

from .. import _core
from ..base.errors import ArgumentError, ShapeError, ValueRangeError
from ..ops.conv import conv1d, conv2d, conv3d, conv_transpose1d, conv_transpose2d, conv_transpose3d
from ..ops.distances import normalize, pairwise_distance, pdist
from ..ops.elementwise import maximum, minimum, relu, sigmoid, tanh, where
from ..ops.nn import ctc as _ctc
from ..ops.nn import extras as _extras
from ..ops.nn import linear as _linear
from ..ops.nn import losses as _losses
from ..ops.nn import margins as _margins
from ..ops.nn import normalization as _normalization
from ..ops.nn import one_hot as _one_hot
from ..ops.nn.activations import (
    celu,
    elu,
    gelu,
    glu,
    hardshrink,
    hardsigmoid,
    hardswish,
    hardtanh,
    leaky_relu,
    log_softmax,
    logsigmoid,
    mish,
    prelu,
    relu6,
    selu,
    silu,
    softmax,
    softmin,
    softplus,
    softshrink,
    softsign,
    tanhshrink,
    threshold,
)
from ..ops.nn.attention import rotary_embedding
from ..ops.nn.extras import bilinear, local_response_norm
from ..ops.nn.linear import masked_mean, without_row
from ..ops.nn.losses import (
    cosine_similarity,
    hinge_embedding_loss,
    hinge_loss,
    huber_loss,
    kl_div,
    l1_loss,
    mse_loss,
    poisson_nll_loss,
    smooth_l1_loss,
    soft_margin_loss,
)
from ..ops.nn.margins import (
    cosine_embedding_loss,
    margin_ranking_loss,
    multilabel_margin_loss,
    triplet_margin_loss,
)
from ..ops.nn.rules import stop_gradient
from ..ops.padding import pad
from ..ops.pool import (
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    lp_pool1d,
    lp_pool2d,
    lp_pool3d,
    max_pool1d,
    max_pool2d,
    max_pool3d,
)
from ..ops.pool_regions import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_avg_pool3d,
    adaptive_max_pool1d,
    adaptive_max_pool2d,
    adaptive_max_pool3d,
)
from ..ops.vision import (
    affine_grid,
    channel_shuffle,
    fold,
    grid_sample,
    interpolate,
    pixel_shuffle,
    pixel_unshuffle,
    unfold,
)
from ..tensor import asarray, no_grad, ones, scattering, zeros
from ..tensor.bounds import check_classes, check_index, check_probabilities
from ..tensor.pooling import fractional_max_pool2d, fractional_max_pool3d, max_unpool1d, max_unpool2d, max_unpool3d
from .attention import multi_head_attention_forward, scaled_dot_product_attention
from .noise import (
    alpha_dropout,
    drop_paths,
    dropout,
    dropout1d,
    dropout2d,
    dropout3d,
    feature_alpha_dropout,
    gumbel_softmax,
    rrelu,
)

Tensor = _core.Tensor


# ---------------------------------------------------------------- linear maps
def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """input @ weight.T + bias; input (..., in), weight (out, in), bias (out,)."""
    return _linear.linear(input, weight, bias)


def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """weight[input]; row `padding_idx` gets no gradient. Integer input (...) -> (..., length of a row).

    Args:
        max_norm: rows that input names are scaled down, in weight itself, to a norm_type-norm of at most this.
        scale_grad_by_freq: a row's gradient is divided by how often input names it.
        sparse: accepted for PyTorch's sake; gradients are dense.

    Raises IndexError for an index out of range, negative ones too.
    """
    if weight.ndim != 2:
        raise ShapeError(f"[embedding] expected weight of shape (rows, length), got {tuple(weight.shape)}")
    if padding_idx is not None and padding_idx < 0:
        padding_idx += weight.shape[0]
    check_index("embedding", input, weight.shape[0], 0, weight.shape, from_end=False)
    if max_norm is not None:
        with no_grad():
            weight.assign(_extras.limit_rows(input, weight, max_norm, norm_type))
    if scale_grad_by_freq:
        rows = _extras.scale_by_frequency(input, weight)
        if padding_idx is None:
            return rows
        padding = (input == padding_idx).reshape((*input.shape, 1))
        return where(padding, stop_gradient(rows), rows)
    return _linear.embedding(input, weight, padding_idx)


def embedding_bag(
    input: Tensor,
    weight: Tensor,
    offsets: Tensor | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    """Sums, means or maxima ("max") of bags of rows of `weight`: (bags, length of a row).

    Args:
        input: (bags, rows per bag), or one-dimensional with `offsets`, where each bag begins (with include_last_offset also
            where the last one ends).
        per_sample_weights: like input; for mode "sum", they multiply the rows.
        padding_idx: a row that takes no part. An empty bag gives 0.
        others: as in embedding.

    Raises IndexError for a row out of range.
    """
    if max_norm is not None:
        check_index("embedding_bag", input, weight.shape[0], 0, weight.shape, from_end=False)
        with no_grad():
            weight.assign(_extras.limit_rows(input.reshape((-1,)), weight, max_norm, norm_type))
    if scale_grad_by_freq:
        if mode == "max":
            raise ArgumentError("[embedding_bag] expected mode 'sum' or 'mean' with scale_grad_by_freq, got 'max'")
        numbers = input.reshape((-1,))
        counts = scattering.segment_sum(ones(tuple(numbers.shape), dtype=weight.dtype), numbers, weight.shape[0])
        still = stop_gradient(weight)
        weight = still + (weight - still) / maximum(counts, 1).reshape((-1, 1))
    if padding_idx is not None and padding_idx < 0:
        padding_idx += weight.shape[0]
    return scattering.embedding_bag(
        input, weight, offsets, mode=mode, per_sample_weights=per_sample_weights, include_last_offset=include_last_offset,
        padding_idx=padding_idx,
    )  # fmt: skip


# ---------------------------------------------------------------- normalisation
def layer_norm(
    input: Tensor,
    normalized_shape: tuple[int, ...],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Zero mean and unit variance over the last axes, then scale and shift (Ba, Kiros, Hinton 2016)."""
    return _normalization.layer_norm(input, weight, bias, normalized_shape, eps)


def rms_norm(
    input: Tensor, normalized_shape: tuple[int, ...], weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    """input / sqrt(mean(input ** 2) + eps) over the last axes, then scale (Zhang, Sennrich 2019)."""
    return _normalization.rms_norm(input, weight, normalized_shape, eps)


def group_norm(
    input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """Zero mean and unit variance over groups of channels, then scale and shift (Wu, He 2018)."""
    return _normalization.group_norm(input, weight, bias, num_groups, eps)


def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Each channel of each sample of (N, C, ...) by its own mean and variance (Ulyanov, Vedaldi, Lempitsky 2016).

    Running statistics, where given, are updated; without use_input_stats they are used instead.
    """
    if not use_input_stats:
        if running_mean is None or running_var is None:
            raise ArgumentError(
                "[instance_norm] expected running_mean and running_var without use_input_stats, got None"
            )
        return _normalization.batch_norm_inference(input, running_mean, running_var, weight, bias, eps)
    if input.ndim < 3:
        raise ShapeError(f"[instance_norm] expected input of shape (N, C, ...), got {tuple(input.shape)}")
    if input.size == input.shape[0] * input.shape[1] != 0:
        raise ShapeError(
            f"[instance_norm] expected more than one value per channel, got input of shape {tuple(input.shape)}"
        )
    result = _normalization.group_norm(input, weight, bias, input.shape[1], eps)
    if running_mean is not None and running_var is not None:
        with no_grad():
            mean, variance = _extras.instance_statistics(input)
            running_mean.assign(_normalization.moving_average(running_mean, mean, momentum))
            running_var.assign(_normalization.moving_average(running_var, variance, momentum))
    return result


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Batch normalisation (Ioffe, Szegedy 2015) of (N, C, ...); in training the running statistics are updated."""
    if training:
        running = None if running_mean is None or running_var is None else (running_mean, running_var, None)
        return batch_norm_updating(input, weight, bias, running, momentum, eps)
    if running_mean is None or running_var is None:
        raise ArgumentError("[batch_norm] expected running_mean and running_var outside training, got None")
    return _normalization.batch_norm_inference(input, running_mean, running_var, weight, bias, eps)


def batch_norm_updating(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running: tuple[Tensor, Tensor, Tensor | None] | None,
    momentum: float | None,
    eps: float,
) -> Tensor:
    """Batch normalisation by the batch's statistics. running: (mean, variance, batches so far), updated.

    momentum None: the running statistics are the mean over all batches.
    """
    if input.size == 0:  # nothing to learn from: the statistics stay
        if running is not None and running[2] is not None:
            with no_grad():
                running[2].assign(running[2] + 1)
        still = zeros((input.shape[1],), dtype=input.dtype)
        return _normalization.batch_norm_inference(input, still, still + 1, weight, bias, eps)
    result, mean, variance = _normalization.batch_norm_training(input, weight, bias, eps)
    if running is not None:
        with no_grad():
            average, spread, batches = running
            if batches is not None:
                batches.assign(batches + 1)
            share: float | Tensor | None = momentum
            if share is None:
                share = 0.0 if batches is None else 1.0 / batches.astype("float64")
            average.assign(_normalization.moving_average(average, mean, share))
            spread.assign(_normalization.moving_average(spread, variance, share))
    return result


# ---------------------------------------------------------------- classes
def one_hot(x: Tensor, num_classes: int = -1, axis: int = -1) -> Tensor:
    """int64, 1 where the new axis `axis` (of size num_classes) is the number in x; -1: as many classes as x needs.

    Raises IndexError for a number outside [0, num_classes); compiled, that gives zeros.
    """
    if num_classes == -1:
        if x.size == 0:
            raise ValueRangeError("[one_hot] expected num_classes, as there is no number to tell it by")
        num_classes = int(x.max().item()) + 1
        check_classes("one_hot", "class numbers", x, max(num_classes, 0))
    result = _one_hot.one_hot(x, num_classes, axis)
    check_classes("one_hot", "class numbers", x, num_classes)
    return result


# ---------------------------------------------------------------- losses with optional operands
def _check_labels(function: str, input: Tensor, target: Tensor, ignore_index: int) -> None:
    if input.ndim:
        check_classes(function, "labels", target, input.shape[min(1, input.ndim - 1)], ignore_index)


@_core.Remembered
def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """Cross-entropy of softmax(input) and target.

    Args:
        input: (N, C), (N, C, d1, ...) or (C,), not normalised.
        target: class numbers of input's shape without C, or probabilities of input's shape. A number outside [0, C)
            raises IndexError.
        weight: (C,), of the classes.
        ignore_index: samples with this class number don't count.
        reduction: "mean" (by weight), "sum" or "none".
        label_smoothing: this share of each target is spread over all classes.
    """
    _check_labels("cross_entropy", input, target, ignore_index)
    if ignore_index >= 0 and target.dtype.kind == "f" and tuple(target.shape) == tuple(input.shape):
        raise ArgumentError(
            f"[cross_entropy] expected no ignore_index with probabilities as target, got ignore_index={ignore_index}"
        )
    return _losses.cross_entropy(input, target, weight, ignore_index, reduction, label_smoothing)


def linear_cross_entropy(
    input: Tensor,
    linear_weight: Tensor,
    target: Tensor,
    *,
    linear_bias: Tensor | None = None,
    weight: Tensor | None = None,
    reduction: str = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
) -> Tensor:
    """cross_entropy of the logits input @ linear_weight.T + linear_bias.

    Args:
        input: (N, features) or (features,).
        linear_weight: (C, *more, features), linear_bias (C, *more): with `more`, several classifications per sample.
        target: class numbers (N, *more), or probabilities (N, C, *more).
        ignore_index: for class numbers only, -100 if None. Others as in cross_entropy.
    """
    shape, features = tuple(linear_weight.shape[:-1]), linear_weight.shape[-1]
    if not shape or input.ndim not in (1, 2) or input.shape[-1] != features or (input.ndim == 1 and len(shape) > 1):
        raise ShapeError(
            f"[linear_cross_entropy] expected input (N, features) and linear_weight (C, ..., features), got "
            f"{tuple(input.shape)} and {tuple(linear_weight.shape)}"
        )
    if linear_bias is not None:
        if tuple(linear_bias.shape) != shape:
            raise ShapeError(
                f"[linear_cross_entropy] expected linear_bias of shape {shape}, got {tuple(linear_bias.shape)}"
            )
        linear_bias = linear_bias.reshape((-1,))
    logits = _linear.linear(input, linear_weight.reshape((-1, features)), linear_bias)
    logits = logits.reshape((*input.shape[:-1], *shape))
    if ignore_index is not None and tuple(target.shape) == tuple(logits.shape):
        raise ArgumentError("[linear_cross_entropy] expected no ignore_index with probabilities as target")
    ignore = -100 if ignore_index is None else ignore_index
    return cross_entropy(logits, target, weight, ignore, reduction, label_smoothing)


@_core.Remembered
def nll_loss(
    input: Tensor, target: Tensor, weight: Tensor | None = None, ignore_index: int = -100, reduction: str = "mean"
) -> Tensor:
    """-input[target] for log-probabilities; arguments as in cross_entropy."""
    _check_labels("nll_loss", input, target, ignore_index)
    return _losses.nll_loss(input, target, weight, ignore_index, reduction)


def binary_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, reduction: str = "mean"
) -> Tensor:
    """-(target * log(input) + (1 - target) * log(1 - input)); input holds probabilities.

    Raises ValueRangeError for others; compiled, those give NaN.
    """
    check_probabilities("binary_cross_entropy", "input", input)
    return _losses.binary_cross_entropy(input, target, weight, reduction)


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """binary_cross_entropy of sigmoid(input), without overflow."""
    return _losses.binary_cross_entropy_with_logits(input, target, weight, pos_weight, reduction)


def gaussian_nll_loss(
    input: Tensor, target: Tensor, var: Tensor, full: bool = False, eps: float = 1e-6, reduction: str = "mean"
) -> Tensor:
    """0.5 * (log(var) + (input - target) ** 2 / var)."""
    return _losses.gaussian_nll_loss(input, target, var, full, eps, reduction)


def multi_margin_loss(
    input: Tensor,
    target: Tensor,
    p: int = 1,
    margin: float = 1.0,
    weight: Tensor | None = None,
    reduction: str = "mean",
) -> Tensor:
    """The mean over the other classes of max(0, margin - input[target] + input) ** p, times weight[target].

    input (N, C) or (C,), target (N,) or 0-d: class numbers; one outside [0, C) raises IndexError.
    """
    if input.ndim:
        check_classes("multi_margin_loss", "labels", target, input.shape[-1])
    return _margins.multi_margin_loss(input, target, weight, p, margin, reduction)


def multilabel_soft_margin_loss(
    input: Tensor, target: Tensor, weight: Tensor | None = None, reduction: str = "mean"
) -> Tensor:
    """The mean over classes of the binary cross-entropy of sigmoid(input); input and target (..., C), weight (C,)."""
    return _margins.multilabel_soft_margin_loss(input, target, weight, reduction)


def triplet_margin_with_distance_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    *,
    distance_function: Any = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """max(0, d(anchor, positive) - d(anchor, negative) + margin) for any function d of two tensors.

    With swap the nearer of anchor and positive to the negative counts (Balntas et al. 2016).
    """
    if reduction not in ("mean", "sum", "none"):
        raise ArgumentError(
            f"[triplet_margin_with_distance_loss] expected reduction to be one of mean, sum, none, got {reduction!r}"
        )
    if not margin > 0:
        raise ValueRangeError(f"[triplet_margin_with_distance_loss] expected margin > 0, got {margin}")
    distance = pairwise_distance if distance_function is None else distance_function
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = minimum(far, distance(positive, negative))
    loss = relu(near - far + margin)
    return loss.mean() if reduction == "mean" else loss.sum() if reduction == "sum" else loss


def ctc_loss(
    log_probs: Tensor,
    targets: Tensor,
    input_lengths: Any,
    target_lengths: Any,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Tensor:
    """Connectionist temporal classification (Graves et al. 2006): -log of the probability of the targets.

    Args:
        log_probs: (T, N, C) or (T, C), logarithms of probabilities, as log_softmax gives them.
        targets: (N, S), or the targets one after another; class numbers other than `blank`.
        input_lengths, target_lengths: (N,), tensors or sequences of ints.
        reduction: "mean" (each loss divided by its target's length first), "sum" or "none".
        zero_infinity: 0 in place of infinite losses, of targets longer than their input allows.

    The gradient is that by log_probs as they are; PyTorch's takes for granted that log_softmax made them, and through
    log_softmax both are equal. Where a loss is infinite the gradient is 0.
    """
    lengths = [x if hasattr(x, "shape") else asarray(x, dtype="int64") for x in (input_lengths, target_lengths)]
    return _ctc.ctc_loss(log_probs, targets, *lengths, blank, reduction, zero_infinity)


# ---------------------------------------------------------------- pooling and resampling by PyTorch's other names
def _with_indices(pool: Any) -> Any:
    def function(input: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        return pool(input, *args, **{**kwargs, "return_indices": True})

    function.__name__ = function.__qualname__ = f"{pool.__name__}_with_indices"
    function.__doc__ = f"{pool.__name__}(..., return_indices=True)."
    return function


max_pool1d_with_indices, max_pool2d_with_indices, max_pool3d_with_indices = (
    _with_indices(f) for f in (max_pool1d, max_pool2d, max_pool3d)
)
adaptive_max_pool1d_with_indices, adaptive_max_pool2d_with_indices, adaptive_max_pool3d_with_indices = (
    _with_indices(f) for f in (adaptive_max_pool1d, adaptive_max_pool2d, adaptive_max_pool3d)
)
fractional_max_pool2d_with_indices, fractional_max_pool3d_with_indices = (
    _with_indices(f) for f in (fractional_max_pool2d, fractional_max_pool3d)
)


def upsample(
    input: Tensor, size: Any = None, scale_factor: Any = None, mode: str = "nearest", align_corners: bool | None = None
) -> Tensor:
    """interpolate, by its older name."""
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(input: Tensor, size: Any = None, scale_factor: Any = None) -> Tensor:
    """interpolate to the nearest pixel."""
    return interpolate(input, size, scale_factor, "nearest")


def upsample_bilinear(input: Tensor, size: Any = None, scale_factor: Any = None) -> Tensor:
    """interpolate bilinearly; the corner pixels' centres stay."""
    return interpolate(input, size, scale_factor, "bilinear", True)


# ---------------------------------------------------------------- convolution over the first axis
def conv_tbc(input: Tensor, weight: Tensor, bias: Tensor, pad: int = 0) -> Tensor:
    """Cross-correlation of sequences laid out (time, batch, channels) with weight (width, in, out), plus bias (out,)."""
    result = conv1d(input.permute_dims((1, 2, 0)), weight.permute_dims((2, 1, 0)), bias, 1, pad)
    return result.permute_dims((2, 0, 1))


# ---------------------------------------------------------------- shapes
def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Axes start_dim to end_dim merged into one."""
    if input.ndim == 0:
        return input.reshape((1,))
    axes = range(input.ndim)
    try:
        first, last = axes[start_dim], axes[end_dim]
    except IndexError:
        raise ShapeError(
            f"[flatten] expected start_dim and end_dim among the axes of {tuple(input.shape)}, got {start_dim}, "
            f"{end_dim}"
        ) from None
    if first > last:
        raise ShapeError(f"[flatten] expected start_dim <= end_dim, got {start_dim} and {end_dim}")
    size = 1
    for d in input.shape[first : last + 1]:
        size *= d
    return input.reshape((*input.shape[:first], size, *input.shape[last + 1 :]))


__all__ = [
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "adaptive_max_pool1d",
    "adaptive_max_pool1d_with_indices", "adaptive_max_pool2d", "adaptive_max_pool2d_with_indices",
    "adaptive_max_pool3d", "adaptive_max_pool3d_with_indices", "affine_grid", "alpha_dropout", "avg_pool1d",
    "avg_pool2d", "avg_pool3d", "batch_norm", "bilinear", "binary_cross_entropy", "binary_cross_entropy_with_logits",
    "celu", "channel_shuffle", "conv1d", "conv2d", "conv3d", "conv_tbc", "conv_transpose1d", "conv_transpose2d",
    "conv_transpose3d", "cosine_embedding_loss", "cosine_similarity", "cross_entropy", "ctc_loss", "drop_paths",
    "dropout", "dropout1d", "dropout2d", "dropout3d", "elu", "embedding", "embedding_bag", "feature_alpha_dropout",
    "flatten", "fold", "fractional_max_pool2d", "fractional_max_pool2d_with_indices", "fractional_max_pool3d",
    "fractional_max_pool3d_with_indices", "gaussian_nll_loss", "gelu", "glu", "grid_sample", "group_norm",
    "gumbel_softmax", "hardshrink", "hardsigmoid", "hardswish", "hardtanh", "hinge_embedding_loss", "hinge_loss",
    "huber_loss", "instance_norm", "interpolate", "kl_div", "l1_loss", "layer_norm", "leaky_relu", "linear",
    "linear_cross_entropy", "local_response_norm", "log_softmax", "logsigmoid", "lp_pool1d", "lp_pool2d", "lp_pool3d",
    "margin_ranking_loss", "masked_mean", "max_pool1d", "max_pool1d_with_indices", "max_pool2d",
    "max_pool2d_with_indices", "max_pool3d", "max_pool3d_with_indices", "max_unpool1d", "max_unpool2d", "max_unpool3d",
    "mish", "mse_loss", "multi_head_attention_forward", "multi_margin_loss", "multilabel_margin_loss",
    "multilabel_soft_margin_loss", "nll_loss", "normalize", "one_hot", "pad", "pairwise_distance", "pdist",
    "pixel_shuffle", "pixel_unshuffle", "poisson_nll_loss", "prelu", "relu", "relu6", "rms_norm", "rotary_embedding",
    "rrelu", "scaled_dot_product_attention", "selu", "sigmoid", "silu", "smooth_l1_loss", "soft_margin_loss", "softmax",
    "softmin", "softplus", "softshrink", "softsign", "stop_gradient", "tanh", "tanhshrink", "threshold",
    "triplet_margin_loss", "triplet_margin_with_distance_loss", "unfold", "upsample", "upsample_bilinear",
    "upsample_nearest", "without_row",
]  # fmt: skip
