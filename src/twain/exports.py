"""What `twain` offers beyond what it loads at once: which module gives which public name.

A name is loaded when it is first used, so that breadth costs no start-up time. Each module lists its names in `__all__`
as well; `tests/house/test_exports.py` compares. Names marked in METHODS are methods of Tensor too.
"""

from __future__ import annotations

import sys

from . import _core
from .base import foreign, lazy
from .ir.node import Node

# Modules that are attributes of `twain` under a name of their own.
ROOMS = {
    name: f"twain.{name}"
    for name in (
        "nn sparse linalg fft extend optim data io train models datasets board demo cli profiling transforms runtime "
        "testing"
    ).split()
}

FUNCTIONS: dict[str, str] = {
    "twain.nn.functional": (
        "alpha_dropout batch_norm bilinear binary_cross_entropy binary_cross_entropy_with_logits celu "
        "cosine_embedding_loss cosine_similarity cross_entropy ctc_loss drop_paths dropout dropout1d dropout2d "
        "dropout3d elu embedding feature_alpha_dropout gaussian_nll_loss gelu glu group_norm gumbel_softmax "
        "hardshrink hardsigmoid hardswish hardtanh hinge_embedding_loss hinge_loss huber_loss instance_norm kl_div "
        "l1_loss layer_norm leaky_relu linear local_response_norm log_softmax logsigmoid margin_ranking_loss mish "
        "mse_loss multi_head_attention_forward multi_margin_loss multilabel_margin_loss multilabel_soft_margin_loss "
        "nll_loss one_hot poisson_nll_loss prelu relu6 rms_norm rotary_embedding rrelu scaled_dot_product_attention "
        "selu silu smooth_l1_loss soft_margin_loss softmax softmin softplus softshrink softsign stop_gradient "
        "tanhshrink threshold triplet_margin_loss triplet_margin_with_distance_loss"
    ),
    "twain.nn.functional_call": "functional_call stack_module_state",
    "twain.ops.advanced": "unravel_index",
    "twain.ops.arrange": (
        "atleast_1d atleast_2d atleast_3d block_diag cartesian_prod chunk column_stack diag diag_embed diagflat "
        "diagonal dsplit dstack fliplr flipud hsplit hstack narrow rot90 select sliding_window_view split swapaxes "
        "tensor_split trace tril_indices triu_indices unflatten vander vsplit vstack"
    ),
    "twain.ops.complex_parts": "complex polar",
    "twain.ops.conv": "conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d",
    "twain.ops.distances": "cdist dist norm normalize pairwise_distance pdist renorm",
    "twain.ops.everyday": (
        "addcdiv addcmul allclose aminmax array_equal deg2rad entr float_power fmax fmin fmod frac frexp gcd "
        "heaviside isclose isneginf isposinf isreal lcm ldexp lerp logaddexp2 logit nan_to_num nanmax nanmean nanmin "
        "nanprod nanstd nansum nanvar rad2deg sinc std_mean var_mean xlog1py xlogy"
    ),
    "twain.ops.masks": "masked_fill masked_scatter",
    "twain.ops.nextafter": "nextafter",
    "twain.ops.order": "kthvalue median mode msort nanmedian topk",
    "twain.ops.padding": "pad",
    "twain.ops.pool": "avg_pool1d avg_pool2d avg_pool3d lp_pool1d lp_pool2d lp_pool3d max_pool1d max_pool2d max_pool3d",
    "twain.ops.pool_regions": (
        "adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d "
        "adaptive_max_pool3d"
    ),
    "twain.ops.products": (
        "addbmm addmm addmv addr baddbmm bmm corrcoef cov dot einsum inner kron mm mv outer tensordot vdot"
    ),
    "twain.ops.repetition": "count_nonzero tile vecdot",
    "twain.ops.scan": "cummax cummin cumulative_prod cumulative_sum cumulative_trapezoid logcumsumexp trapezoid",
    "twain.ops.search": "bucketize searchsorted",
    "twain.ops.sort": "argsort sort",
    "twain.ops.special": (
        "airy_ai bessel_j0 bessel_j1 bessel_y0 bessel_y1 beta betainc betaln chebyshev_polynomial_t "
        "chebyshev_polynomial_u chebyshev_polynomial_v chebyshev_polynomial_w digamma erfcx erfinv gammainc gammaincc "
        "hermite_polynomial_h hermite_polynomial_he i0 i0e i1 i1e laguerre_polynomial_l legendre_polynomial_p lgamma "
        "log_ndtr modified_bessel_k0 modified_bessel_k1 multigammaln ndtr ndtri polygamma scaled_modified_bessel_k0 "
        "scaled_modified_bessel_k1 shifted_chebyshev_polynomial_t shifted_chebyshev_polynomial_u "
        "shifted_chebyshev_polynomial_v shifted_chebyshev_polynomial_w spherical_bessel_j0 zeta"
    ),
    "twain.ops.vision": "affine_grid channel_shuffle fold grid_sample interpolate pixel_shuffle pixel_unshuffle unfold",
    "twain.runtime.compile": "compile",
    "twain.runtime.info": "info",
    "twain.tensor.autocasting": "autocast",
    "twain.tensor.control": "checkpoint cond scan while_loop",
    "twain.tensor.custom": "custom_gradient",
    "twain.tensor.everyday": "angle combinations gradient logspace sgn",
    "twain.tensor.assignment": "index_put",
    "twain.tensor.inspection": "__array_namespace_info__ can_cast finfo iinfo isdtype result_type",
    "twain.tensor.manipulation": "broadcast_arrays broadcast_shapes diff meshgrid repeat unstack",
    "twain.tensor.pooling": "fractional_max_pool2d fractional_max_pool3d max_unpool1d max_unpool2d max_unpool3d",
    "twain.tensor.scattering": (
        "embedding_bag index_add index_copy index_fill put scatter scatter_add scatter_reduce segment_max "
        "segment_mean segment_min segment_prod segment_sum"
    ),
    "twain.tensor.selection": "isin masked_select",
    "twain.tensor.signal": "istft stft",
    "twain.tensor.statistics": "bincount histc histogram histogramdd nanquantile quantile",
    "twain.tensor.transforms": "grad hessian hvp jacfwd jacobian jacrev jvp value_and_grad vjp vmap",
    "twain.tensor.uniqueness": (
        "lexsort unique unique_all unique_consecutive unique_counts unique_inverse unique_values"
    ),
    "twain.profiling": "profile",
    "twain.train": "Model",
}

# Public functions that are methods of Tensor as well; the tensor is their first argument.
METHODS: frozenset[str] = frozenset(
    (
        "addbmm addcdiv addcmul addmm addmv addr allclose aminmax argsort baddbmm bincount bmm bucketize chunk "
        "corrcoef cov cummax cummin cumulative_prod cumulative_sum deg2rad diag diag_embed diagflat diagonal digamma "
        "dist dot dsplit erfinv fliplr flipud float_power fmax fmin fmod frac frexp gcd heaviside histc histogram "
        "hsplit i0 index_add index_copy index_fill index_put inner isclose isin isneginf isposinf isreal kron kthvalue lcm "
        "ldexp lerp lgamma logcumsumexp logit masked_fill masked_scatter masked_select median mm mode msort mv "
        "nan_to_num nanmean nanmedian nanquantile nansum narrow nextafter norm outer put quantile rad2deg renorm "
        "rot90 scatter scatter_add scatter_reduce select sinc sort split swapaxes tensor_split tensordot topk trace "
        "unflatten unique unique_consecutive vdot vsplit xlogy"
    ).split()
)

MODULE_OF = {name: module for module, names in FUNCTIONS.items() for name in names.split()}


def load(name: str) -> object:
    """The room or function `name`; AttributeError if twain has none of that name. Imports its module if need be."""
    module = ROOMS.get(name) or MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module 'twain' has no attribute {name!r}{foreign.hint(name)}")
    found = lazy.load(module)
    return found if name in ROOMS else getattr(found, name)


def _method(name: str):
    def method(x, *args, **kwargs):
        function = load(name)
        _core.set_method(name, function)
        setattr(Node, name, function)
        return function(x, *args, **kwargs)

    method.__name__ = method.__qualname__ = name
    return method


def _is_ours(name: str) -> bool:
    return name in MODULE_OF or name in vars(sys.modules[__package__])


def install_methods() -> None:
    """Give Tensor (and traced values) the methods that load their function when first called, and hints for others."""
    for name in METHODS:
        stub = _method(name)
        _core.set_method(name, stub)
        setattr(Node, name, stub)
    for name in (*foreign.METHODS, *(f"{name}_" for name in foreign.IN_PLACE)):
        unknown = foreign.Unknown(name, _is_ours)
        _core.set_method(name, unknown)
        setattr(Node, name, unknown)
