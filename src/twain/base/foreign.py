"""What PyTorch, NumPy and TensorFlow call things: the hint that an unknown name is answered with."""

from __future__ import annotations

import os
import types

SOURCES = ("PyTorch's torch.", "TensorFlow's tf.", "NumPy's numpy.")  # the columns of names.txt
# What no function of ours stands for.
INSTEAD = {
    "clone": "tensors are values, so no copy is needed: `y = +x` gives a handle of its own",
    "copy": "tensors are values, so no copy is needed: `y = +x` gives a handle of its own",
    "cuda": "twain computes on the CPU",
    "data": "use `x.detach()`",
    "dim": "use `x.ndim`",
    "ndimension": "use `x.ndim`",
    "numel": "use `x.size`, an int; the sizes are `x.shape`",
    "nelement": "use `x.size`, an int; the sizes are `x.shape`",
    "element_size": "use `x.itemsize`",
    "stride": "use `x.strides`, in elements",
    "type": "use `x.astype(dtype)`, or read `x.dtype`",
    "type_as": "use `x.astype(y.dtype)`",
    "view_as": "use `x.reshape(y.shape)`",
    "reshape_as": "use `x.reshape(y.shape)`",
    "expand_as": "use `twain.broadcast_to(x, y.shape)`",
    "ravel": "use `x.reshape(-1)`",
    "repeat": "use `twain.tile(x, counts)` as PyTorch's, `twain.repeat(x, count)` as NumPy's",
    "t": "use `x.T`",
    "H": "use `x.conj().mT`",
    "mH": "use `x.conj().mT`",
    "adjoint": "use `x.conj().mT`",
    "eq": "write `x == y`",
    "ne": "write `x != y`",
    "lt": "write `x < y`",
    "le": "write `x <= y`",
    "gt": "write `x > y`",
    "ge": "write `x >= y`",
    "is_cuda": "read `x.device`",
    "is_cpu": "read `x.device`",
    "is_floating_point": "use `twain.isdtype(x.dtype, 'real floating')`",
    "is_complex": "use `twain.isdtype(x.dtype, 'complex floating')`",
    "is_nonzero": "use `bool(x)`",
    "new_zeros": "use `twain.zeros(shape, dtype=x.dtype)`",
    "new_ones": "use `twain.ones(shape, dtype=x.dtype)`",
    "new_empty": "use `twain.empty(shape, dtype=x.dtype)`",
    "new_full": "use `twain.full(shape, value, dtype=x.dtype)`",
    "new_tensor": "use `twain.asarray(data, dtype=x.dtype)`",
    "pin_memory": "there is no other memory to copy to",
    "tobytes": "use `x.numpy().tobytes()`",
    "tofile": "use `x.numpy().tofile(file)`",
    "copy_": "to change a tensor for all who hold it, use `x.assign(y)`",
    "fill_": "to change a tensor for all who hold it, use `x.assign(twain.full_like(x, value))`",
    "zero_": "to change a tensor for all who hold it, use `x.assign(twain.zeros_like(x))`",
    "normal_": "to change a tensor for all who hold it, use `x.assign(twain.random.normal(x.shape))`, or `nn.init.normal_(x)`",
    "uniform_": "to change a tensor for all who hold it, use `x.assign(twain.random.uniform(x.shape))`, or `nn.init.uniform_(x)`",
}
# Names of PyTorch that are no functions of tensors.
WORDS = {
    "float": "float32", "double": "float64", "half": "float16", "int": "int32", "long": "int64", "short": "int16",
    "cfloat": "complex64", "cdouble": "complex128", "from_numpy": "asarray", "save": "io.save", "load": "io.load",
    "set_num_threads": "set_threads", "get_num_threads": "get_threads", "inference_mode": "no_grad",
    "func": "grad, vmap and more", "amp": "autocast", "profiler": "profile", "utils": "data, twain.board and more",
}  # fmt: skip
# What our rooms have instead of names of PyTorch's and Keras' modules.
ROOMS = {
    "train": {
        "ModelCheckpoint": "train.Checkpoint", "LearningRateScheduler": "train.LRSchedule",
        "ReduceLROnPlateau": "train.LRSchedule with an optim.ReduceLROnPlateau", "ProgbarLogger": "train.ProgressBar",
        "TerminateOnNaN": "what fit does anyway: NonFiniteLossError", "BackupAndRestore": "train.Checkpoint and fit(resume=...)",
        "Sequential": "nn.Sequential, in a train.Model", "SparseCategoricalAccuracy": "train.Accuracy",
        "CategoricalAccuracy": "train.Accuracy", "TopKCategoricalAccuracy": "train.TopKAccuracy", "MeanIoU": "train.IoU",
    },
    "data": {"default_collate": "data.collate", "Sequence": "data.Dataset", "from_tensor_slices": "data.ArrayDataset"},
    "nn": {
        "Dense": "nn.Linear", "Conv1D": "nn.Conv1d", "Conv2D": "nn.Conv2d", "Conv3D": "nn.Conv3d",
        "Conv2DTranspose": "nn.ConvTranspose2d", "MaxPooling2D": "nn.MaxPool2d", "MaxPool2D": "nn.MaxPool2d",
        "AveragePooling2D": "nn.AvgPool2d", "GlobalAveragePooling2D": "nn.AdaptiveAvgPool2d(1) and nn.Flatten()",
        "BatchNormalization": "nn.BatchNorm1d, 2d or 3d", "LayerNormalization": "nn.LayerNorm",
        "MultiHeadAttention": "nn.MultiheadAttention", "Activation": "nn.ReLU() and the like, or nn.Lambda(function)",
        "Reshape": "nn.Unflatten, or nn.Lambda", "UpSampling2D": "nn.Upsample", "ZeroPadding2D": "nn.ZeroPad2d",
        "SpatialDropout2D": "nn.Dropout2d", "Concatenate": "twain.concat", "Add": "x + y", "Model": "nn.Module, or train.Model",
        "Layer": "nn.Module", "Container": "nn.Sequential, nn.ModuleList or nn.Module",
    },
}  # fmt: skip
# What nothing here stands for.
LACKING = {
    "SyncBatchNorm": "it averages over the processes of data-parallel training, which there is none of yet; in one process it "
    "is nn.BatchNorm1d, 2d or 3d",
    "DataParallel": "it shares a batch out to several GPUs; one process here uses all cores without it",
    "quantized": "there are no quantized layers yet",
    "qat": "there are no quantized layers yet",
    "parallel": "there is no data-parallel training yet",
}
KEYWORDS = {"dim": "axis", "dims": "axis", "keepdim": "keepdims"}
# Methods of others' tensors and arrays that ours lack.
METHODS = (
    "H absolute acos acosh adjoint amax amin angle arccos arccosh arcsin arcsinh arctan arctan2 arctanh "
    "argpartition argwhere as_strided as_strided_scatter asin asinh atan atan2 atanh bernoulli bitwise_and "
    "bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift bitwise_xor byte byteswap cdouble cfloat "
    "chalf char cholesky cholesky_inverse cholesky_solve choose clamp_max clamp_min clone compress "
    "conj_physical conjugate copy copysign count_nonzero cross cuda cumprod cumsum data det diagonal_scatter "
    "diff dim div eig element_size eq equal erfc exp2 expand expand_as fill fix flat floor_divide gather ge ger "
    "get_device greater greater_equal gt hardshrink hypot igamma igammac index_reduce index_select inverse "
    "is_complex is_cpu is_cuda is_floating_point is_meta is_nonzero is_same_size is_shared is_signed is_sparse "
    "is_sparse_csr istft layout le less less_equal log10 log2 log_softmax logaddexp logaddexp2 logdet lstsq lt "
    "lu lu_solve mH matrix_exp matrix_power moveaxis movedim mul multinomial mvlgamma narrow_copy ndimension ne "
    "neg nelement new_empty new_empty_strided new_full new_ones new_tensor new_zeros nonzero_static not_equal "
    "numel orgqr ormqr partition pin_memory pinverse polygamma positive pow prelu qr ravel remainder repeat "
    "repeat_interleave reshape_as searchsorted select_scatter setflags sgn short signbit slice_scatter slogdet "
    "softmax split_with_sizes stft storage storage_offset stride sub sum_to_size svd swapdims t take_along_dim "
    "tile to_dense to_sparse to_sparse_bsc to_sparse_bsr to_sparse_coo to_sparse_csc to_sparse_csr tobytes "
    "tofile true_divide type type_as unbind unfold untyped_storage view_as where"
).split()
# Those that change their tensor, without the "_" at the end.
IN_PLACE = (
    "abs absolute acos acosh add addbmm addcdiv addcmul addmm addmv addr arccos arccosh arcsin arcsinh arctan2 "
    "arctan arctanh as_strided asin asinh atan2 atan atanh baddbmm bernoulli bitwise_and bitwise_left_shift "
    "bitwise_not bitwise_or bitwise_right_shift bitwise_xor cauchy ceil clamp clamp_max clamp_min clip "
    "conj_physical copy copysign cos cosh cumprod cumsum deg2rad detach digamma div divide eq erf erfc erfinv "
    "exp2 exp expm1 exponential fill fill_diagonal fix float_power floor floor_divide fmod frac gcd ge "
    "geometric greater greater_equal gt heaviside hypot i0 igamma igammac index_add index_copy index_fill "
    "index_put index_reduce lcm ldexp le lerp less less_equal lgamma log10 log1p log2 log log_normal "
    "logical_and logical_not logical_or logical_xor logit lt masked_fill masked_scatter mul multiply mvlgamma "
    "nan_to_num ne neg negative nextafter normal not_equal polygamma pow put rad2deg random reciprocal relu "
    "remainder renorm resize resize_as resize_as_sparse round rsqrt scatter scatter_add scatter_reduce set sgn "
    "share_memory sigmoid sign sin sinc sinh sqrt square squeeze sub subtract swapaxes swapdims t tan tanh "
    "transpose tril triu true_divide trunc uniform unsqueeze xlogy zero"
).split()
_table: dict[str, tuple[str, str]] = {}


def _read() -> dict[str, tuple[str, str]]:
    """Their name -> (ours, whose it is); PyTorch's meaning comes first."""
    if not _table:
        with open(os.path.join(os.path.dirname(__file__), "names.txt"), encoding="utf-8") as file:
            lines = file.read().splitlines()
        rows = [[cell.strip() for cell in line.split("|")] for line in lines if "|" in line and line[0] != "#"]
        for column, source in enumerate(SOURCES, 1):
            for row in rows:
                for name in row[column].split():
                    if name != "-":
                        _table.setdefault(name, (row[0].split(" > ")[-1], source))
    return _table


def hint(name: str) -> str:
    """What to write instead of `twain.name`, as the end of a sentence; empty where nothing is known of the name."""
    if name in WORDS:
        return f"; PyTorch's torch.{name} is twain.{WORDS[name]} here"
    found = _read().get(name)
    return f"; {found[1]}{name} is twain.{found[0]} here" if found and found[0] != name else ""


def absent(room: str):
    """A module's `__getattr__`: it has no such name, but perhaps one that means the same."""

    def __getattr__(name: str):
        instead = ROOMS[room].get(name)
        hint = LACKING.get(name, "") if instead is None else f"here it is {instead}"
        raise AttributeError(f"module 'twain.{room}' has no attribute {name!r}" + (hint and f"; {hint}"))

    return __getattr__


def keyword_hint(given) -> str:
    """What an argument that PyTorch calls otherwise is called here; empty where none of those given is."""
    return next((f"; PyTorch's {theirs} is {ours} here" for theirs, ours in KEYWORDS.items() if theirs in given), "")


def method_hint(name: str, is_ours) -> str:
    """The same for the tensor method `name`; `is_ours(name)` says whether twain has a function of that name."""
    if name in INSTEAD:
        return f"; {INSTEAD[name]}"
    table = _read()
    base = name.removesuffix("_")
    ours = base if is_ours(base) else (table.get(base) or table.get(f"Tensor.{name}") or ("",))[0]
    if base == name:
        return f"; use `twain.{ours}(x, ...)`" if ours else ""
    value = f"twain.{ours}(x, ...)" if ours else "..."
    return f"; tensors are values: write `x = {value}`, or `x.assign({value})` to change it for all who hold it"


class TensorModule(types.ModuleType):
    """The package twain.tensor, which users of PyTorch take for a function."""

    def __call__(self, *args: object, **kwargs: object):
        raise TypeError("[tensor] twain.tensor is a package; PyTorch's torch.tensor is twain.asarray here")


class Unknown:
    """Stands where a method would be that users of PyTorch or NumPy look for: reading it says what to write instead."""

    __slots__ = ("is_ours", "name")

    def __init__(self, name: str, is_ours):
        self.name = name
        self.is_ours = is_ours

    def __get__(self, instance: object, owner: type | None = None):
        raise AttributeError(f"'Tensor' object has no attribute {self.name!r}{method_hint(self.name, self.is_ours)}")
