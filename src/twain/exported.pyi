# Made from exports.py by tools/make_exported.py: for type checkers and editors only.
from . import board as board
from . import cli as cli
from . import data as data
from . import datasets as datasets
from . import demo as demo
from . import extend as extend
from . import fft as fft
from . import io as io
from . import linalg as linalg
from . import models as models
from . import nn as nn
from . import optim as optim
from . import profiling as profiling
from . import runtime as runtime
from . import sparse as sparse
from . import testing as testing
from . import train as train
from . import transforms as transforms
from .nn.functional import (
    alpha_dropout as alpha_dropout,
    batch_norm as batch_norm,
    bilinear as bilinear,
    binary_cross_entropy as binary_cross_entropy,
    binary_cross_entropy_with_logits as binary_cross_entropy_with_logits,
    celu as celu,
    cosine_embedding_loss as cosine_embedding_loss,
    cosine_similarity as cosine_similarity,
    cross_entropy as cross_entropy,
    ctc_loss as ctc_loss,
    drop_paths as drop_paths,
    dropout as dropout,
    dropout1d as dropout1d,
    dropout2d as dropout2d,
    dropout3d as dropout3d,
    elu as elu,
    embedding as embedding,
    feature_alpha_dropout as feature_alpha_dropout,
    gaussian_nll_loss as gaussian_nll_loss,
    gelu as gelu,
    glu as glu,
    group_norm as group_norm,
    gumbel_softmax as gumbel_softmax,
    hardshrink as hardshrink,
    hardsigmoid as hardsigmoid,
    hardswish as hardswish,
    hardtanh as hardtanh,
    hinge_embedding_loss as hinge_embedding_loss,
    hinge_loss as hinge_loss,
    huber_loss as huber_loss,
    instance_norm as instance_norm,
    kl_div as kl_div,
    l1_loss as l1_loss,
    layer_norm as layer_norm,
    leaky_relu as leaky_relu,
    linear as linear,
    local_response_norm as local_response_norm,
    log_softmax as log_softmax,
    logsigmoid as logsigmoid,
    margin_ranking_loss as margin_ranking_loss,
    mish as mish,
    mse_loss as mse_loss,
    multi_head_attention_forward as multi_head_attention_forward,
    multi_margin_loss as multi_margin_loss,
    multilabel_margin_loss as multilabel_margin_loss,
    multilabel_soft_margin_loss as multilabel_soft_margin_loss,
    nll_loss as nll_loss,
    one_hot as one_hot,
    poisson_nll_loss as poisson_nll_loss,
    prelu as prelu,
    relu6 as relu6,
    rms_norm as rms_norm,
    rotary_embedding as rotary_embedding,
    rrelu as rrelu,
    scaled_dot_product_attention as scaled_dot_product_attention,
    selu as selu,
    silu as silu,
    smooth_l1_loss as smooth_l1_loss,
    soft_margin_loss as soft_margin_loss,
    softmax as softmax,
    softmin as softmin,
    softplus as softplus,
    softshrink as softshrink,
    softsign as softsign,
    stop_gradient as stop_gradient,
    tanhshrink as tanhshrink,
    threshold as threshold,
    triplet_margin_loss as triplet_margin_loss,
    triplet_margin_with_distance_loss as triplet_margin_with_distance_loss,
)
from .nn.functional_call import (
    functional_call as functional_call,
    stack_module_state as stack_module_state,
)
from .ops.advanced import (
    unravel_index as unravel_index,
)
from .ops.arrange import (
    atleast_1d as atleast_1d,
    atleast_2d as atleast_2d,
    atleast_3d as atleast_3d,
    block_diag as block_diag,
    cartesian_prod as cartesian_prod,
    chunk as chunk,
    column_stack as column_stack,
    diag as diag,
    diag_embed as diag_embed,
    diagflat as diagflat,
    diagonal as diagonal,
    dsplit as dsplit,
    dstack as dstack,
    fliplr as fliplr,
    flipud as flipud,
    hsplit as hsplit,
    hstack as hstack,
    narrow as narrow,
    rot90 as rot90,
    select as select,
    sliding_window_view as sliding_window_view,
    split as split,
    swapaxes as swapaxes,
    tensor_split as tensor_split,
    trace as trace,
    tril_indices as tril_indices,
    triu_indices as triu_indices,
    unflatten as unflatten,
    vander as vander,
    vsplit as vsplit,
    vstack as vstack,
)
from .ops.complex_parts import (
    complex as complex,
    polar as polar,
)
from .ops.conv import (
    conv1d as conv1d,
    conv2d as conv2d,
    conv3d as conv3d,
    conv_transpose1d as conv_transpose1d,
    conv_transpose2d as conv_transpose2d,
    conv_transpose3d as conv_transpose3d,
)
from .ops.distances import (
    cdist as cdist,
    dist as dist,
    norm as norm,
    normalize as normalize,
    pairwise_distance as pairwise_distance,
    pdist as pdist,
    renorm as renorm,
)
from .ops.everyday import (
    addcdiv as addcdiv,
    addcmul as addcmul,
    allclose as allclose,
    aminmax as aminmax,
    array_equal as array_equal,
    deg2rad as deg2rad,
    entr as entr,
    float_power as float_power,
    fmax as fmax,
    fmin as fmin,
    fmod as fmod,
    frac as frac,
    frexp as frexp,
    gcd as gcd,
    heaviside as heaviside,
    isclose as isclose,
    isneginf as isneginf,
    isposinf as isposinf,
    isreal as isreal,
    lcm as lcm,
    ldexp as ldexp,
    lerp as lerp,
    logaddexp2 as logaddexp2,
    logit as logit,
    nan_to_num as nan_to_num,
    nanmax as nanmax,
    nanmean as nanmean,
    nanmin as nanmin,
    nanprod as nanprod,
    nanstd as nanstd,
    nansum as nansum,
    nanvar as nanvar,
    rad2deg as rad2deg,
    sinc as sinc,
    std_mean as std_mean,
    var_mean as var_mean,
    xlog1py as xlog1py,
    xlogy as xlogy,
)
from .ops.masks import (
    masked_fill as masked_fill,
    masked_scatter as masked_scatter,
)
from .ops.nextafter import (
    nextafter as nextafter,
)
from .ops.order import (
    kthvalue as kthvalue,
    median as median,
    mode as mode,
    msort as msort,
    nanmedian as nanmedian,
    topk as topk,
)
from .ops.padding import (
    pad as pad,
)
from .ops.pool import (
    avg_pool1d as avg_pool1d,
    avg_pool2d as avg_pool2d,
    avg_pool3d as avg_pool3d,
    lp_pool1d as lp_pool1d,
    lp_pool2d as lp_pool2d,
    lp_pool3d as lp_pool3d,
    max_pool1d as max_pool1d,
    max_pool2d as max_pool2d,
    max_pool3d as max_pool3d,
)
from .ops.pool_regions import (
    adaptive_avg_pool1d as adaptive_avg_pool1d,
    adaptive_avg_pool2d as adaptive_avg_pool2d,
    adaptive_avg_pool3d as adaptive_avg_pool3d,
    adaptive_max_pool1d as adaptive_max_pool1d,
    adaptive_max_pool2d as adaptive_max_pool2d,
    adaptive_max_pool3d as adaptive_max_pool3d,
)
from .ops.products import (
    addbmm as addbmm,
    addmm as addmm,
    addmv as addmv,
    addr as addr,
    baddbmm as baddbmm,
    bmm as bmm,
    corrcoef as corrcoef,
    cov as cov,
    dot as dot,
    einsum as einsum,
    inner as inner,
    kron as kron,
    mm as mm,
    mv as mv,
    outer as outer,
    tensordot as tensordot,
    vdot as vdot,
)
from .ops.repetition import (
    count_nonzero as count_nonzero,
    tile as tile,
    vecdot as vecdot,
)
from .ops.scan import (
    cummax as cummax,
    cummin as cummin,
    cumulative_prod as cumulative_prod,
    cumulative_sum as cumulative_sum,
    cumulative_trapezoid as cumulative_trapezoid,
    logcumsumexp as logcumsumexp,
    trapezoid as trapezoid,
)
from .ops.search import (
    bucketize as bucketize,
    searchsorted as searchsorted,
)
from .ops.sort import (
    argsort as argsort,
    sort as sort,
)
from .ops.special import (
    airy_ai as airy_ai,
    bessel_j0 as bessel_j0,
    bessel_j1 as bessel_j1,
    bessel_y0 as bessel_y0,
    bessel_y1 as bessel_y1,
    beta as beta,
    betainc as betainc,
    betaln as betaln,
    chebyshev_polynomial_t as chebyshev_polynomial_t,
    chebyshev_polynomial_u as chebyshev_polynomial_u,
    chebyshev_polynomial_v as chebyshev_polynomial_v,
    chebyshev_polynomial_w as chebyshev_polynomial_w,
    digamma as digamma,
    erfcx as erfcx,
    erfinv as erfinv,
    gammainc as gammainc,
    gammaincc as gammaincc,
    hermite_polynomial_h as hermite_polynomial_h,
    hermite_polynomial_he as hermite_polynomial_he,
    i0 as i0,
    i0e as i0e,
    i1 as i1,
    i1e as i1e,
    laguerre_polynomial_l as laguerre_polynomial_l,
    legendre_polynomial_p as legendre_polynomial_p,
    lgamma as lgamma,
    log_ndtr as log_ndtr,
    modified_bessel_k0 as modified_bessel_k0,
    modified_bessel_k1 as modified_bessel_k1,
    multigammaln as multigammaln,
    ndtr as ndtr,
    ndtri as ndtri,
    polygamma as polygamma,
    scaled_modified_bessel_k0 as scaled_modified_bessel_k0,
    scaled_modified_bessel_k1 as scaled_modified_bessel_k1,
    shifted_chebyshev_polynomial_t as shifted_chebyshev_polynomial_t,
    shifted_chebyshev_polynomial_u as shifted_chebyshev_polynomial_u,
    shifted_chebyshev_polynomial_v as shifted_chebyshev_polynomial_v,
    shifted_chebyshev_polynomial_w as shifted_chebyshev_polynomial_w,
    spherical_bessel_j0 as spherical_bessel_j0,
    zeta as zeta,
)
from .ops.vision import (
    affine_grid as affine_grid,
    channel_shuffle as channel_shuffle,
    fold as fold,
    grid_sample as grid_sample,
    interpolate as interpolate,
    pixel_shuffle as pixel_shuffle,
    pixel_unshuffle as pixel_unshuffle,
    unfold as unfold,
)
from .profiling import (
    profile as profile,
)
from .runtime.compile import (
    compile as compile,
)
from .runtime.info import (
    info as info,
)
from .tensor.assignment import (
    index_put as index_put,
)
from .tensor.autocasting import (
    autocast as autocast,
)
from .tensor.control import (
    checkpoint as checkpoint,
    cond as cond,
    scan as scan,
    while_loop as while_loop,
)
from .tensor.custom import (
    custom_gradient as custom_gradient,
)
from .tensor.everyday import (
    angle as angle,
    combinations as combinations,
    gradient as gradient,
    logspace as logspace,
    sgn as sgn,
)
from .tensor.inspection import (
    __array_namespace_info__ as __array_namespace_info__,
    can_cast as can_cast,
    finfo as finfo,
    iinfo as iinfo,
    isdtype as isdtype,
    result_type as result_type,
)
from .tensor.manipulation import (
    broadcast_arrays as broadcast_arrays,
    broadcast_shapes as broadcast_shapes,
    diff as diff,
    meshgrid as meshgrid,
    repeat as repeat,
    unstack as unstack,
)
from .tensor.pooling import (
    fractional_max_pool2d as fractional_max_pool2d,
    fractional_max_pool3d as fractional_max_pool3d,
    max_unpool1d as max_unpool1d,
    max_unpool2d as max_unpool2d,
    max_unpool3d as max_unpool3d,
)
from .tensor.scattering import (
    embedding_bag as embedding_bag,
    index_add as index_add,
    index_copy as index_copy,
    index_fill as index_fill,
    put as put,
    scatter as scatter,
    scatter_add as scatter_add,
    scatter_reduce as scatter_reduce,
    segment_max as segment_max,
    segment_mean as segment_mean,
    segment_min as segment_min,
    segment_prod as segment_prod,
    segment_sum as segment_sum,
)
from .tensor.selection import (
    isin as isin,
    masked_select as masked_select,
)
from .tensor.signal import (
    istft as istft,
    stft as stft,
)
from .tensor.statistics import (
    bincount as bincount,
    histc as histc,
    histogram as histogram,
    histogramdd as histogramdd,
    nanquantile as nanquantile,
    quantile as quantile,
)
from .tensor.transforms import (
    grad as grad,
    hessian as hessian,
    hvp as hvp,
    jacfwd as jacfwd,
    jacobian as jacobian,
    jacrev as jacrev,
    jvp as jvp,
    value_and_grad as value_and_grad,
    vjp as vjp,
    vmap as vmap,
)
from .tensor.uniqueness import (
    lexsort as lexsort,
    unique as unique,
    unique_all as unique_all,
    unique_consecutive as unique_consecutive,
    unique_counts as unique_counts,
    unique_inverse as unique_inverse,
    unique_values as unique_values,
)
from .train import (
    Model as Model,
)
