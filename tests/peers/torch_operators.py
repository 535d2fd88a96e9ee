"""PyTorch's operator database as calls of ours: the same samples, translated.

`python tests/peers/torch_operators.py [name ...]` prints what agrees and what doesn't, operator by operator.
"""

from __future__ import annotations

import pathlib
import sys
import traceback
import warnings

import numpy as np
import torch
from torch.testing._internal.common_methods_invocations import op_db

import twain

ROOT = pathlib.Path(__file__).resolve().parents[2]
DTYPES = {
    getattr(torch, name): getattr(twain, name)
    for name in "bool int8 int16 int32 int64 uint8 float16 bfloat16 float32 float64 complex64 complex128".split()
}
TOLERANCE = {
    torch.float16: 4e-3, torch.bfloat16: 3e-2, torch.float32: 2e-5, torch.float64: 1e-9, torch.complex64: 3e-5,
    torch.complex128: 1e-9,
}  # fmt: skip
# For results wider or narrower than the operands: the mean of integers, the angle of a complex number.
WIDTH_TOLERANCE = {
    np.dtype(name): TOLERANCE[getattr(torch, name)] for name in "float16 float32 float64 complex64 complex128".split()
}


def ours_of() -> dict[str, str]:
    """Torch's name -> ours, from the table in src/twain/base/names.txt."""
    table = {}
    for line in (ROOT / "src/twain/base/names.txt").read_text().splitlines():
        if "|" not in line or line.startswith("#"):
            continue
        ours, theirs, *_ = (cell.strip() for cell in line.split("|"))
        for name in theirs.split():
            table[name] = ours.split(" > ")[-1]
    return table


NAMES = ours_of()


def find(path: str):
    value = twain
    for part in path.split("."):
        value = getattr(value, part)
    return value


class Untranslatable(Exception):
    """A sample that asks for what has no meaning here (an out= argument, a layout of PyTorch's own)."""


def to_ours(value, grad: bool = False):
    if isinstance(value, torch.Tensor):
        if value.layout is not torch.strided or value.device.type != "cpu":
            raise Untranslatable("a sparse operand, or one without values")
        if value.dtype not in DTYPES:
            raise Untranslatable(str(value.dtype))
        plain = value.detach().resolve_conj().resolve_neg()
        if plain.dtype is torch.bfloat16:
            ours = twain.asarray(plain.float().numpy()).astype(twain.bfloat16)
        else:
            ours = twain.asarray(plain.numpy())
        if grad and (plain.dtype.is_floating_point or plain.dtype.is_complex):
            ours.requires_grad_()
        return ours
    if isinstance(value, torch.dtype):
        if value not in DTYPES:
            raise Untranslatable(str(value))
        return DTYPES[value]
    if isinstance(value, (torch.layout, torch.memory_format, torch.Generator)):
        raise Untranslatable(repr(value))
    if isinstance(value, torch.Size):
        return tuple(value)
    if isinstance(value, (list, tuple)):
        return type(value)(to_ours(v, grad) for v in value)
    return value


def to_array(value) -> np.ndarray:
    """Numbers of either side; half precision widened."""
    if isinstance(value, torch.Tensor):
        value = value.detach().resolve_conj().resolve_neg()
        return (value.float() if value.dtype is torch.bfloat16 else value).numpy()
    if isinstance(value, twain.Tensor):
        value = value.detach()
        return (value.astype(twain.float32) if value.dtype is twain.bfloat16 else value).numpy()
    return np.asarray(value)


def flat(value) -> list:
    if isinstance(value, (list, tuple)):
        return [leaf for item in value for leaf in flat(item)]
    return [value]


RENAMED = {"dim": "axis", "keepdim": "keepdims", "dims": "axis"}


def keywords(kwargs: dict) -> dict:
    kwargs = {
        RENAMED.get(k, k): v for k, v in kwargs.items() if k not in ("device", "requires_grad", "layout", "pin_memory")
    }
    if "out" in kwargs:
        raise Untranslatable("out=")
    if kwargs.pop("memory_format", None) is not None:
        raise Untranslatable("memory_format=")
    return kwargs


def renamed(*names: str, **new_names: str):
    """Torch's positional arguments after the tensor by our names, and its keywords renamed."""

    def adapt(function, x, *args, **kwargs):
        given = dict(zip(names, args))
        return function(x, **given, **{new_names.get(k, k): v for k, v in kwargs.items()})

    return adapt


def spread(function, x, *args, **kwargs):
    """A size or permutation given as several arguments."""
    return function(x, args if len(args) != 1 or isinstance(args[0], int) else args[0], **kwargs)


def clamp(function, x, minimum=None, maximum=None, **kwargs):
    return function(x, kwargs.get("min", minimum), kwargs.get("max", maximum))


def spread_statistics(function, x, *args, **kwargs):
    """std(x, unbiased), std(x, dim, unbiased, keepdim), std(x, dim, correction=...)."""
    axis, unbiased, keepdims = kwargs.pop("axis", None), kwargs.pop("unbiased", None), kwargs.pop("keepdims", False)
    args = list(args)
    if args and isinstance(args[0], bool):
        unbiased = args.pop(0)
    elif args:
        axis = args.pop(0)
    if args:
        unbiased = args.pop(0)
    if args:
        keepdims = args.pop(0)
    correction = kwargs.pop("correction", None)
    if correction is None:
        correction = 1 if unbiased in (None, True) else 0
    return function(
        x,
        axis=tuple(axis) or None if isinstance(axis, (list, tuple)) else axis,
        correction=correction,
        keepdims=keepdims,
    )


def axis_tuple(*names: str):
    """Reductions: an empty list of axes means all."""
    inner = renamed(*names)

    def adapt(function, x, *args, **kwargs):
        def wrapped(x, axis=None, **rest):
            return function(x, axis=tuple(axis) or None if isinstance(axis, (list, tuple)) else axis, **rest)

        return inner(wrapped, x, *args, **kwargs)

    return adapt


def extreme(function, x, *args, **kwargs):
    """max(x), max(x, other), max(x, dim)."""
    if args and isinstance(args[0], twain.Tensor):
        return getattr(twain, {"max": "maximum", "min": "minimum"}[function.__name__])(x, args[0])
    axis = kwargs.get("axis", args[0] if args else None)
    keepdims = kwargs.get("keepdims", args[1] if len(args) > 1 else False)
    if axis is None:
        return function(x)
    index = getattr(twain, {"max": "argmax", "min": "argmin"}[function.__name__])
    return function(x, axis=axis, keepdims=keepdims), index(x, axis=axis, keepdims=keepdims)


def rounding_divide(function, x, other, *, rounding_mode=None):
    if rounding_mode is None:
        return function(x, other)
    if rounding_mode == "floor":
        return twain.floor_divide(x, other)
    raise Untranslatable("rounding_mode='trunc'")


def scaled(name: str):
    """add(x, y, alpha=...); with unsigned numbers a negative alpha wraps, as everything does there."""

    def adapt(function, x, other, *, alpha=1):
        if alpha == 1:
            return function(x, other)
        if getattr(other, "dtype", None) is twain.uint8:
            alpha = twain.asarray(alpha).astype(twain.uint8)
        return function(x, twain.multiply(other, alpha))

    return adapt


def gather(function, x, axis, index=None, **kwargs):
    """gather(x, dim, index): index may be smaller than x on the other axes, and of any shape if it is empty."""
    shape = index.shape
    if index.ndim != x.ndim and not index.size:
        return function(x, index.reshape(0), axis=axis).reshape(shape)
    if x.ndim and index.ndim == x.ndim:
        x = x[tuple(slice(0, n) if i != axis % x.ndim else slice(None) for i, n in enumerate(shape))]
    return function(x, index, axis=axis)


def take_along_dim(function, x, index, axis=None, **kwargs):
    if axis is None:
        return function(x.reshape(-1), index.reshape(-1), axis=0)
    return function(x, index, axis=axis)


def index_select(function, x, axis, index):
    found = function(x, index, axis=axis)
    return found if x.ndim else found.reshape(())


def flat_take(function, x, index):
    return function(x.reshape(-1), index.reshape(-1), axis=0).reshape(index.shape)


def transposed(function, x, *args, **kwargs):
    return function(x, *args) if args else function(x, kwargs.get("dim0"), kwargs.get("dim1"))


def condition_first(function, x, condition, *args):
    return function(condition, x, *args)


def cat(function, tensors, *args, **kwargs):
    return function(tensors, axis=kwargs.get("axis", args[0] if args else 0))


def as_list(function, *tensors, **kwargs):
    return function(*(tensors[0] if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)) else tensors), **kwargs)


def second_first(function, n, x):
    return function(x, n)


def indices_first(function, weight, x, *args, **kwargs):
    return function(x, weight, *args, **kwargs)


def contracted(function, x, y, axis=2):
    return function(x, y, axis)


def equation_second(function, operands, equation):
    return function(equation, *operands)


# What draws or gives no promised numbers: shape and dtype are compared.
UNDETERMINED = frozenset(
    "nn.functional.fractional_max_pool2d nn.functional.fractional_max_pool3d nn.functional.rrelu "
    "empty empty_like empty_permuted empty_strided new_empty randn randn_like rand_like randint randint_like normal multinomial "
    "bernoulli uniform log_normal cauchy exponential geometric".split()
)


def normal_of(function, mean, std=None, *args, **kwargs):
    """normal(mean, std) of tensors; with numbers after a tensor PyTorch fills the tensor in place."""
    if isinstance(mean, twain.Tensor) and not isinstance(std, twain.Tensor) and args:
        raise Untranslatable("in place")
    return function(tuple(args[0]) if args else None, mean, std, dtype=kwargs.get("dtype"))


def triangular_solve(function, b, a, upper=True, transpose=False, unitriangular=False):
    """(solution, copy of the coefficients), by the older name."""
    if transpose:
        raise Untranslatable("transpose=True: of the transposed matrix")
    return function(a, b, upper=upper, unitriangular=unitriangular), a


def folding(function, x, axis, index, source, *, reduce=None):
    """scatter(x, dim, index, src, reduce="add"), by the older names of the folds."""
    if reduce is None:
        return function(x, axis, index, source)
    return twain.scatter_reduce(x, axis, index, source, {"add": "sum", "multiply": "prod"}[reduce])


def drawn_integers(function, *args, dtype=None, **kwargs):
    """randint([low,] high, size)."""
    if dtype is not None and dtype.kind != "i":
        raise Untranslatable("integers as floats")
    return function(*(args if len(args) == 3 else (0, *args)), dtype=dtype or "int64")


def log_determinant(function, x):
    """logdet(x): not a number where the determinant is negative."""
    sign, logarithm = function(x)
    if sign.dtype.kind == "c":
        return twain.log(sign) + logarithm
    return twain.where(sign < 0, float("nan"), logarithm)


def places(function, x, as_tuple=False):
    """nonzero as a matrix of indices, one row per element."""
    found = function(x)
    return found if as_tuple else twain.stack(found, axis=1) if found else twain.zeros((int(bool(x)), 0), dtype="int64")


def bags(function, weight, indices, *args, sparse=False, scale_grad_by_freq=False, **kwargs):
    """embedding_bag of the database: the table first."""
    if scale_grad_by_freq:
        raise Untranslatable("scale_grad_by_freq=True")
    return function(indices, weight, *args, **kwargs)


def index_added(function, x, axis, index, source, *, alpha=1):
    """With unsigned numbers a negative alpha wraps."""
    return function(x, axis, index, source, alpha=alpha % 256 if source.dtype is twain.uint8 else alpha)


def repeated(function, x, repeats=None, axis=None, *, output_size=None):
    return function(x, repeats, axis=axis)


def points(function, x, bins, **kwargs):
    """histogramdd: all axes but the last are points."""
    return function(x.reshape(-1, x.shape[-1]), bins, weights=kwargs.pop("weight", None), **kwargs)


def older_svd(function, x, some=True, compute_uv=True):
    """(u, s, v) with v in place of its adjoint."""
    if not compute_uv:
        raise Untranslatable("compute_uv=False: linalg.svdvals, beside zeros")
    u, s, vh = function(x, full_matrices=not some)
    return u, s, twain.matrix_transpose(twain.conj(vh)) if vh.dtype.kind == "c" else twain.matrix_transpose(vh)


def several_axes(function, x, *args, **kwargs):
    """Functions that call them axes."""
    if "axis" in kwargs:
        kwargs["axes"] = kwargs.pop("axis")
    return function(x, *args, **kwargs)


ADAPTERS: dict[str, object] = {
    "scatter": folding, "randint": drawn_integers, "logdet": log_determinant, "nonzero": places,
    "nn.functional.embedding_bag": bags, "multinomial": renamed("count", "replacement", num_samples="count"),
    "normal": normal_of, "triangular_solve": triangular_solve, "svd": older_svd,
    "diff": renamed("n", "axis", "prepend", "append"), "einsum": equation_second,
    "flatten": renamed("start_axis", "end_axis", start_dim="start_axis", end_dim="end_axis"),
    "nanquantile": renamed("q", "axis", "keepdims", interpolation="method"),
    "quantile": renamed("q", "axis", "keepdims", interpolation="method"),
    "index_add": index_added, "histogram": renamed("bins", weight="weights"), "histogramdd": points,
    "permute": spread, "reshape": spread, "view": spread, "expand": spread, "broadcast_to": spread, "tile": spread,
    "flip": renamed("axis"), "roll": renamed("shift", "axis"), "clamp": clamp, "div": rounding_divide,
    "add": scaled("add"), "sub": scaled("subtract"), "std": spread_statistics, "var": spread_statistics,
    "std_mean": spread_statistics, "var_mean": spread_statistics, "max": extreme, "min": extreme,
    "amax": axis_tuple("axis", "keepdims"), "amin": axis_tuple("axis", "keepdims"),
    "sum": axis_tuple("axis", "keepdims"), "mean": axis_tuple("axis", "keepdims"), "all": axis_tuple("axis", "keepdims"),
    "any": axis_tuple("axis", "keepdims"), "prod": axis_tuple("axis", "keepdims"), "nansum": axis_tuple("axis", "keepdims"),
    "nanmean": axis_tuple("axis", "keepdims"), "logsumexp": axis_tuple("axis", "keepdims"),
    "argmax": axis_tuple("axis", "keepdims"), "argmin": axis_tuple("axis", "keepdims"),
    "count_nonzero": axis_tuple("axis"), "cumsum": renamed("axis"), "cumprod": renamed("axis"),
    "gather": gather, "take_along_dim": take_along_dim, "index_select": index_select, "take": flat_take,
    "where": condition_first, "cat": cat, "stack": cat, "unbind": renamed("axis"), "sort": renamed("axis", "descending"),
    "argsort": renamed("axis", "descending"), "transpose": transposed, "broadcast_tensors": as_list,
    "meshgrid": as_list, "repeat_interleave": repeated, "softmax": renamed("axis"),
    "log_softmax": renamed("axis"), "unsqueeze": renamed("axis"), "squeeze": renamed("axis"),
    "argwhere": places, "tensordot": contracted, "polygamma": second_first,
    "special.polygamma": second_first, "nn.functional.embedding": indices_first, "diag": renamed("k", diagonal="k"),
}  # fmt: skip


ADAPTERS |= {
    f"fft.{name}": several_axes
    for name in "fftn ifftn rfftn irfftn hfftn ihfftn fft2 ifft2 rfft2 irfft2 hfft2 ihfft2 fftshift ifftshift".split()
}
ADAPTERS["linalg.tensorsolve"] = several_axes


# Where we differ on purpose: (operator begins with, complaint contains, why).
DIFFERENCES: list[tuple[str, str, str]] = [
    ("all", "dtype bool, not uint8", "truth is bool, as the standard says"),
    ("any", "dtype bool, not uint8", "truth is bool, as the standard says"),
    ("mean", "could not infer output dtype", "the mean of integers is a float, as NumPy's"),
    ("special.bessel", "float64", "PyTorch's are off by 1e-7 in places; ours are compared with mpmath"),
    ("special.airy_ai", "float64", "PyTorch's is off by 1e-9 in places; ours is compared with mpmath"),
    ("nn.functional.ctc_loss", "gradient", "by log_probs as they are; through log_softmax both are equal"),
    ("nn.functional.scaled_dot_product_attention", "dropout_p=0.5", "what is dropped is drawn"),
    ("nn.functional.triplet_margin_with_distance_loss", "PairwiseDistance", "a function of PyTorch's tensors"),
    ("nn.functional.gaussian_nll_loss", "one shape", "predictions and targets don't broadcast"),
    ("nn.functional.multi_head_attention_forward", "False, 0.5", "what is dropped is drawn"),
    ("nn.functional.rms_norm", "got complex", "of real numbers"),
    ("nn.functional.batch_norm", "got (0,)", "a batch has a channel axis"),
    ("nn.functional.prelu", "expected weight of shape", "a weight has one element, or one per channel"),
    ("nn.functional.hardtanh", "not int", "floats as bounds make the result a float"),
    ("nn.functional.hardtanh", "not uint8", "floats as bounds make the result a float"),
    ("nn.functional.p", "uint8", "PyTorch's differences of unsigned numbers wrap"),
    ("nn.functional.margin_ranking_loss", "uint8", "PyTorch's differences of unsigned numbers wrap"),
    ("nn.functional.triplet_margin_loss", "uint8", "PyTorch's differences of unsigned numbers wrap"),
    ("nn.functional.local_response_norm", "not int64", "normalisation of integers gives floats"),
    ("nn.functional.multi", "ShapeError", "a number has no classes"),
    ("nn.functional.pdist", "0 results with a gradient", "the number of differing elements has none"),
    ("norm", "0 results with a gradient", "the number of elements that aren't 0 has none"),
    ("norm", "'nuc'", "of matrices: linalg.norm"),
    ("cdist", "0 results with a gradient", "the number of differing elements has none"),
    ("nn.functional.soft_margin_loss", "by inf", "PyTorch's overflows in float16"),
    ("polygamma", "by inf", "infinite at the poles"),
    ("special.polygamma", "by inf", "infinite at the poles"),
    ("nn.functional.softmin", "uint8", "PyTorch's negative of an unsigned number wraps"),
    ("cov", "aweights=float32", "PyTorch normalises by float32 weights in float32"),
    ("tensordot", "expected equal sizes", "sizes must agree, as the standard says"),
    ("cov", "cannot be negative", "weights are data"),
    ("cholesky.", "gradient", "the Hermitian part of PyTorch's, which has an imaginary diagonal"),
    ("linspace", "dtype=torch.int", "whole numbers are those at or below the places of the real line, as NumPy's"),
    ("expand", "expected sizes >= 0", "-1 is no size"),
    ("arange", "got False", "a bool is no number"),
    ("arange", "dtype=torch.int", "floats as whole numbers: begun and stepped as NumPy does"),
    ("arange", "dtype=torch.uint8", "floats as whole numbers: begun and stepped as NumPy does"),
    ("arange", "inconsistent with step sign", "no numbers, as the standard says"),
    ("unravel_index", "got ()", "a position is along an axis"),
    ("unravel_index", "2**62", "of what no memory holds"),
    ("cat.", "expected axis in [-1, 0]", "an empty vector is no matrix"),
    ("squeeze.", "to have size 1", "an axis that can't go is an error, as the standard says"),
    ("squeeze.multiple.", "to have size 1", "an axis that can't go is an error, as the standard says"),
    ("trap", "uint8", "PyTorch's differences of unsigned numbers wrap"),
    ("cumulative_trapezoid", "int8", "PyTorch's sums and differences of bytes wrap"),
    ("logcumsumexp", "complex", "of real numbers"),
    ("full_like", "-9", "an int that the dtype doesn't hold is an error"),
    ("randn.", "complex", "real numbers are drawn"),
    ("bernoulli", "dtype bool", "what is true or false is a bool"),
    ("multinomial", "number of categories", "any number of them"),
    ("histogram", "dtype int64, not", "what is counted is a whole number, as NumPy's"),
    *[
        (f"nn.functional.{name}", "training=True", "what is dropped is drawn")
        for name in ("dropout", "alpha_dropout", "feature_alpha_dropout")
    ],
    ("nonzero.", "got a 0-d tensor", "a number has no places, as the standard says"),
    ("argwhere.", "got a 0-d tensor", "a number has no places, as the standard says"),
    ("scatter.", "dtype to be equal to src", "sources are cast"),
    ("scatter_add.", "dtype to be equal to src", "sources are cast"),
    ("nn.functional.hinge_embedding_loss.", "differs by 0.0", "PyTorch sums bfloat16 in bfloat16"),
    ("histc.", "float16", "PyTorch finds the bins in half precision"),
    ("nn.functional.interpolate.bicubic.", "uint8", "PyTorch's weights for pixels have fewer digits"),
    ("square.", "dtype bool", "true times true is true"),
    ("svd.", "gradient", "singular vectors are unique up to a phase"),
    ("sign.", "got bool", "of numbers, as the standard says"),
    ("matrix_exp", "float16", "LAPACK's dtypes"),
    ("nn.functional.avg_pool", "dtype float32, not int64", "the mean of integers is a float"),
    ("nn.functional.conv", "('should be the same')", "dtypes promote"),
    ("nn.functional.max_pool", "refused ('Expected 2D or 3D", "no channels, no results"),
    ("nn.functional.max_pool", "non-batch dimensions", "no channels, no results"),
    ("nn.functional.max_unpool1d.", "gradient", "an element that another one has overwritten has none"),
    ("nn.functional.max_unpool2d.", "gradient", "an element that another one has overwritten has none"),
    ("nn.functional.max_unpool3d.", "gradient", "an element that another one has overwritten has none"),
    ("masked_fill", "0-dimensional value tensor", "a value of one element broadcasts"),
    ("trace", "not refused", "of the first two axes, as NumPy's"),
    ("addmv", "dtype float32, not", "floats make the result a float"),
    ("addmm", "dtype float32, not", "floats make the result a float"),
    ("addr", "dtype float32, not", "floats make the result a float"),
    ("addr", "dtype int64, not bool", "numbers make the result a number"),
    ("addbmm", "dtype float32, not", "floats make the result a float"),
    ("baddbmm", "dtype float32, not", "floats make the result a float"),
    *[
        (name, "not refused", "a Python number is taken")
        for name in ("fmax", "fmin", "fmod", "gcd", "heaviside", "isclose", "lcm", "ldexp")
    ],
    ("complex", "float16", "there are no complex numbers of half precision"),
    ("complex", "not refused", "dtypes promote"),
    ("linalg.cross", "not refused", "leading axes broadcast, as the standard says"),
    ("linalg.cholesky", "gradient", "the Hermitian part of PyTorch's, which has an imaginary diagonal"),
    ("linalg.eig", "value 1", "eigenvectors are unique up to a phase"),
    ("linalg.eig", "gradient", "eigenvectors are unique up to a phase"),
    ("linalg.svd", "gradient", "singular vectors are unique up to a phase"),
    ("linalg.householder_product", "0 results with a gradient", "no reflections: a constant"),
    ("linalg.matrix_power", "0 results with a gradient", "the power 0 is a constant"),
    ("linalg.lstsq", "", "all drivers give all four results here"),
    ("linalg.vector_norm", "AxisError", "a number has no axes"),
    ("linalg.solve", "several vectors", "a matrix x2 is one matrix, as the standard says"),
    ("linalg.pinv.singular", "positional", "a function of two factors"),
]


def call(op, sample, grad: bool = False):
    """(our result, our leaves in the order of torch's tensors) for a sample of the database."""
    name = op.name
    function = find(NAMES[name])
    x = to_ours(sample.input, grad)
    args = [to_ours(a, grad) for a in sample.args]
    kwargs = keywords({k: to_ours(v, grad) for k, v in sample.kwargs.items()})
    adapter = ADAPTERS.get(name)
    result = adapter(function, x, *args, **kwargs) if adapter else function(x, *args, **kwargs)
    if name == "sort":
        result = (result, find("argsort")(x, *args, **kwargs)) if isinstance(result, twain.Tensor) else result
    leaves = [t for t in flat([x, *args, *kwargs.values()]) if isinstance(t, twain.Tensor)]
    return result, leaves


def torch_call(op, sample):
    if op.name in ("cholesky_inverse", "cholesky_solve"):
        # of a factor they give the other triangle a gradient, too, although nothing there is looked at
        part = torch.triu if sample.kwargs.get("upper", False) else torch.tril
        operands = [sample.input, *sample.args]
        result = op(*operands[:-1], part(operands[-1]), **sample.kwargs)
    else:
        result = op(sample.input, *sample.args, **sample.kwargs)
    leaves = [t for t in flat([sample.input, *sample.args, *sample.kwargs.values()]) if isinstance(t, torch.Tensor)]
    return result, leaves


# Of equal elements any may be the one that is named: (where torch's arguments after the tensor have the axis).
FREE_AMONG_EQUALS = {"kthvalue": 1, "topk": 1, "mode": 0, "median": 0, "nanmedian": 0, "sort": 0}


def settle_ties(op, sample, ours, theirs):
    """`theirs` with our indices, where those name elements of the values that both found."""
    ours, theirs, place = flat(ours), flat(theirs), FREE_AMONG_EQUALS[op.name]
    if len(ours) != 2 or len(theirs) != 2 or tuple(ours[1].shape) != tuple(theirs[1].shape):
        return theirs
    axis = sample.kwargs.get("dim", sample.args[place] if len(sample.args) > place else -1)
    x, index = torch.atleast_1d(sample.input), torch.from_numpy(to_array(ours[1]).copy())
    if x.ndim != sample.input.ndim:
        index = index.reshape(-1)
    if index.ndim < x.ndim:
        index = index.unsqueeze(axis)
    named = torch.take_along_dim(x, index, axis).reshape(theirs[0].shape)
    same = torch.equal(torch.nan_to_num(named), torch.nan_to_num(theirs[0]))
    return [theirs[0], torch.from_numpy(to_array(ours[1]).copy())] if same else theirs


def compare(ours, theirs, tolerance: float, what: str = "value") -> str | None:
    """None, or what differs."""
    ours, theirs = flat(ours), flat(theirs)
    if len(ours) != len(theirs):
        return f"{what}: {len(ours)} results, not {len(theirs)}"
    for i, (a, b) in enumerate(zip(ours, theirs)):
        a, b = to_array(a), to_array(b)
        if a.shape != b.shape:
            return f"{what} {i}: shape {a.shape}, not {b.shape}"
        if a.dtype.kind != b.dtype.kind and {a.dtype.kind, b.dtype.kind} != {"u", "i"}:
            return f"{what} {i}: dtype {a.dtype}, not {b.dtype}"
        if b.dtype.kind in "fc":
            tolerance = max(tolerance, WIDTH_TOLERANCE[b.dtype])
            scale = np.abs(b[np.isfinite(b)]).max(initial=0.0)
            with np.errstate(all="ignore"):
                if not np.allclose(a, b, rtol=tolerance, atol=tolerance * max(1.0, min(scale, 1e3)), equal_nan=True):
                    worst = np.nanmax(np.abs(np.where(a == b, 0, a - b)))
                    return f"{what} {i}: differs by {worst:.3g} of {scale:.3g}"
        elif np.abs(a.astype(object) - b).max(initial=0) > tolerance:
            return f"{what} {i}: {a.reshape(-1)[:4]}, not {b.reshape(-1)[:4]}"
    return None


def samples_of(op, dtype, count: int, grad: bool):
    """Up to `count` samples, spread over all there are."""
    found = list(op.sample_inputs("cpu", dtype, requires_grad=grad))
    step = max(1, len(found) // count)
    return found[::step][:count]


def check_values(op, dtype, count: int = 12) -> tuple[int, list[str]]:
    """(number compared, complaints)."""
    compared, wrong = 0, []
    for sample in samples_of(op, dtype, count, False):
        try:
            theirs, _ = torch_call(op, sample)
        except Exception:
            continue
        try:
            ours, _ = call(op, sample)
        except Untranslatable:
            continue
        except Exception as error:
            wrong.append(failure(sample, error))
            continue
        if op.name in UNDETERMINED:
            ours, theirs = ([np.zeros_like(to_array(v)) for v in flat(side)] for side in (ours, theirs))
        if op.name == "argsort":  # in which order equal elements come is free: what the indices name is compared
            axis = sample.kwargs.get("dim", sample.args[0] if sample.args else -1)
            x = torch.atleast_1d(sample.input)
            ours = twain.asarray(np.take_along_axis(to_array(x), np.atleast_1d(to_array(ours)), axis))
            theirs = torch.take_along_dim(x, torch.atleast_1d(theirs), axis)
        if op.name in FREE_AMONG_EQUALS:
            theirs = settle_ties(op, sample, ours, theirs)
        # PyTorch's weights for pixels have fewer digits
        slack = 1 if op.name == "nn.functional.interpolate" and dtype is torch.uint8 else TOLERANCE.get(dtype, 0.0)
        difference = compare(ours, theirs, slack)
        if difference:
            wrong.append(f"{describe(sample)}: {difference}")
        compared += 1
    return compared, wrong


def check_gradients(op, dtype, count: int = 8) -> tuple[int, list[str]]:
    """Gradients of a weighted sum of all results that have one."""
    compared, wrong = 0, []
    if op.name in UNDETERMINED:
        return compared, wrong
    generator = np.random.default_rng(0)
    for sample in samples_of(op, dtype, count, True):
        try:
            theirs, their_leaves = torch_call(op, sample)
            theirs = [t for t in flat(theirs) if isinstance(t, torch.Tensor) and t.requires_grad]
            leaves = [t for t in their_leaves if t.requires_grad]
            if not theirs or not leaves:
                continue
            weights = [generator.standard_normal(tuple(t.shape)) for t in theirs]
            total = sum((t * torch.from_numpy(np.asarray(w)).to(t.dtype)).sum().real for t, w in zip(theirs, weights))
            want = torch.autograd.grad(total, leaves, allow_unused=True)
        except Exception:
            continue
        try:
            ours, our_leaves = call(op, sample, True)
            ours = [t for t in flat(ours) if isinstance(t, twain.Tensor) and t.requires_grad]
            if len(ours) != len(theirs):
                wrong.append(f"{describe(sample)}: {len(ours)} results with a gradient, not {len(theirs)}")
                continue
            total = sum(
                (twain.real if t.dtype.kind == "c" else twain.positive)((t * twain.asarray(w).astype(t.dtype)).sum())
                for t, w in zip(ours, weights)
            )
            total.backward()
            got = [o.grad for o, t in zip(our_leaves, their_leaves) if t.requires_grad]
        except Untranslatable:
            continue
        except Exception as error:
            wrong.append(failure(sample, error))
            continue
        for g, w, leaf in zip(got, want, leaves):
            w = torch.zeros_like(leaf) if w is None else w
            g = twain.zeros(tuple(leaf.shape), dtype=DTYPES[leaf.dtype]) if g is None else g
            difference = compare(g, w, 10 * TOLERANCE[dtype], "gradient")
            if difference:
                wrong.append(f"{describe(sample)}: {difference}")
                break
        compared += 1
    return compared, wrong


def check_refusals(op, count: int = 20) -> tuple[int, list[str]]:
    """What PyTorch refuses, we refuse, naming the function."""
    compared, wrong = 0, []
    if op.error_inputs_func is None:
        return 0, []
    for error_input in list(op.error_inputs("cpu"))[:count]:
        sample = error_input.sample_input
        if error_input.error_regex == "" and any(isinstance(v, int) for v in (sample.input, *sample.args)):
            continue  # a Python number as an operand: fine with us
        try:
            call(op, sample)
        except Untranslatable:
            continue
        except (
            TypeError,
            ValueError,
            IndexError,
            RuntimeError,
            OverflowError,
            NotImplementedError,
            MemoryError,
        ) as error:
            compared += 1
            if "[" not in str(error):
                wrong.append(f"{describe(sample)}: message names no function: {error}")
            continue
        compared += 1
        wrong.append(f"{describe(sample)}: not refused ({error_input.error_regex[:60]!r})")
    return compared, wrong


def failure(sample, error: Exception) -> str:
    """A complaint about a call that raised: the first line of the message."""
    return f"{describe(sample)}: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"


def excuse(name: str, complaint: str) -> bool:
    """Is it a difference that we stand by? A name with a full stop at its end is the whole one."""
    return any(f"{name}.".startswith(start) and text in complaint for start, text, _ in DIFFERENCES)


def describe(sample) -> str:
    def text(value):
        if isinstance(value, torch.Tensor):
            return f"{str(value.dtype)[6:]}{list(value.shape)}"
        if isinstance(value, (list, tuple)):
            return "(" + ", ".join(map(text, value)) + ")"
        return repr(value)

    parts = [text(sample.input), *map(text, sample.args), *(f"{k}={text(v)}" for k, v in sample.kwargs.items())]
    return "(" + ", ".join(parts) + ")"


def known(op) -> bool:
    if op.name not in NAMES:
        return False
    try:
        find(NAMES[op.name])
    except AttributeError:
        return False
    return True


def main(wanted: list[str]) -> None:
    warnings.simplefilter("ignore")
    good = missing = bad = 0
    for op in op_db:
        if wanted and op.name not in wanted:
            continue
        if not known(op):
            missing += 1
            if op.name in NAMES:
                print(f"-- {op.name}: twain.{NAMES[op.name]} is missing")
            elif wanted:
                print(f"-- {op.name}: no name of ours")
            continue
        lines, total = [], 0
        for dtype in sorted(op.dtypes, key=str):
            if dtype in DTYPES:
                try:
                    n, wrong = check_values(op, dtype)
                except Exception:
                    lines.append("driver: " + traceback.format_exc().splitlines()[-1])
                    continue
                total += n
                lines += [f"{str(dtype)[6:]} {line}" for line in wrong]
        for dtype in (torch.float64, torch.complex128):
            if op.supports_autograd and dtype in op.dtypes:
                n, wrong = check_gradients(op, dtype)
                total += n
                lines += [f"grad {str(dtype)[6:]} {line}" for line in wrong]
        try:
            n, wrong = check_refusals(op)
        except Exception:
            n, wrong = 0, ["driver: " + traceback.format_exc().splitlines()[-1]]
        total += n
        lines += [f"refusal {line}" for line in wrong]
        name = op.name + (f".{op.variant_test_name}" if op.variant_test_name else "")
        stated = sum(excuse(name, line) for line in lines)
        lines = [line for line in lines if not excuse(name, line)]
        print(
            f"{'ok' if not lines else 'WRONG'} {name}: {total} compared, {len(lines)} wrong, {stated} stated",
            flush=True,
        )
        for line in lines[: 40 if wanted else 4]:
            print("     " + line[:300])
        good, bad = good + (not lines), bad + bool(lines)
    print(f"{good} agree, {bad} differ, {missing} missing")


if __name__ == "__main__":
    main(sys.argv[1:])
