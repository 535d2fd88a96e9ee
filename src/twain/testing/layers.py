"""One declaration per layer of `nn`, and the checks that each goes through.

A declaration says how the layer is made and what it is called with; the checks are values in several dtypes, gradients,
compiled runs, states, modes, text and refusals. `tests/peers` compares the same declarations with PyTorch.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from .. import nn
from ..ops.elementwise import cos, multiply
from ..runtime.compile import compile as compile_function
from ..tensor import arange, asarray, no_grad
from ..tensor import random as twain_random


@dataclass
class Case:
    """A layer, how it is made, and what it is called with."""

    name: str
    args: tuple
    inputs: tuple  # of shapes (floats), or of functions of a generator that make an array
    kwargs: dict = field(default_factory=dict)
    differs: bool = False  # between training and evaluation
    random: bool = False  # in training
    smooth: bool = True  # whether finite differences tell the gradient
    half: bool = True  # whether bfloat16 is taken
    errors: tuple = ()  # (arguments of the class, inputs or None, words of the message)
    torch: bool = True  # whether PyTorch has it with the same meaning

    def __str__(self) -> str:
        shown = [repr(a) for a in self.args] + [f"{k}={v!r}" for k, v in self.kwargs.items() if not hasattr(v, "shape")]
        return f"{self.name}({', '.join(shown)})"


def ints(high: int, *shape: int):
    """Class numbers or row numbers."""
    return lambda rng: rng.integers(0, high, shape)


def shares(*shape: int):
    """Probabilities, none of them 0."""
    return lambda rng: rng.uniform(0.05, 0.95, shape)


def signs(*shape: int):
    """1 and -1, in float32: nothing is differentiated by them."""
    return lambda rng: rng.choice([-1.0, 1.0], shape).astype("float32")


def logs(*shape: int, axis: int = 1):
    """Log-probabilities over an axis."""

    def make(rng):
        x = rng.standard_normal(shape)
        return x - np.log(np.exp(x).sum(axis=axis, keepdims=True))

    return make


def fixed(values):
    """These values."""
    return lambda rng: np.asarray(values)


_PLACES = {1: (7,), 2: (6, 7), 3: (4, 5, 6)}


def _images(axes: int, channels: int = 4, batch: int = 2) -> tuple:
    return (batch, channels, *_PLACES[axes])


def _cases() -> list[Case]:
    cases = [
        Case("Linear", (6, 4), ((5, 6),), errors=(((0, 3), None, "in_features"), ((6, 4), ((5, 7),), "linear"))),
        Case("Linear", (None, 4, False), ((2, 3, 6),), torch=False),
        Case("Bilinear", (3, 4, 5), ((6, 3), (6, 4)), errors=(((3, 4, 0), None, "out_features"),)),
        Case("Identity", (), ((3, 4),)),
        Case("Flatten", (), ((3, 4, 2),), errors=(((3,), ((2, 3),), "start_dim"),)),
        Case("Unflatten", (1, (2, -1)), ((3, 4),), errors=(((1, (3, -1)), ((3, 4),), "reshape"),)),
        Case("Lambda", (lambda x: multiply(x, 2.0),), ((3, 4),), torch=False),
        Case("Embedding", (7, 3), (ints(7, 4, 5),), errors=(((7, 3, 7), None, "padding_idx"), ((7, 3), ((4,),), "integer"))),
        Case("Embedding", (7, 3, 2), (ints(7, 4, 5),), smooth=False),
        Case("EmbeddingBag", (7, 3), (ints(7, 4, 5),), errors=(((7, 3, None, 2.0, False, "all"), None, "mode"),)),
        Case("EmbeddingBag", (7, 3), (ints(7, 9), fixed([0, 3, 7])), {"mode": "sum"}),
        Case("LayerNorm", (6,), ((3, 4, 6),), errors=(((5,), ((3, 6),), "last axes"), (((),), None, "normalized_shape"))),
        Case("RMSNorm", (6,), ((3, 6),), errors=(((5,), ((3, 6),), "last axes"),)),
        Case("GroupNorm", (2, 4), ((3, 4, 5),), errors=(((3, 4), None, "multiple of num_groups"),)),
        Case("LocalResponseNorm", (3,), (_images(2),), errors=(((0,), None, "size"),)),
        Case("CrossMapLRN2d", (3,), (_images(2),), half=False, torch=False, errors=(((3,), ((3, 4),), "expected input"),)),
        Case("CosineSimilarity", (), ((5, 4), (5, 4))),
        Case("PairwiseDistance", (), ((5, 4), (5, 4)), {"keepdim": True}),
        Case("MultiheadAttention", (8, 2), ((5, 3, 8), (6, 3, 8), (6, 3, 8)), errors=(((8, 3), None, "multiple"),)),
        Case("AdaptiveLogSoftmaxWithLoss", (8, 20, [5, 10]), ((6, 8), ints(20, 6)), {"div_value": 2.0}, half=False,
             errors=(((8, 20, [10, 5]), None, "rising"), ((8, 20, [5, 10], 2.0), ((6, 8), ints(20, 5)), "input"))),
        Case("PReLU", (4,), ((3, 4, 5),)),
        Case("GlobalAveragePooling1d", (), ((3, 4, 5),), torch=False, errors=(((), ((3, 4),), "shape"),)),
        Case("GlobalAveragePooling2d", (), (_images(2),), torch=False, errors=(((), ((3, 4),), "shape"),)),
        Case("GlobalMaxPooling2d", (), (_images(2),), torch=False, errors=(((), ((3, 4),), "shape"),)),
        Case("PixelShuffle", (2,), ((2, 8, 3, 4),), errors=(((0,), None, "upscale_factor"),)),
        Case("PixelUnshuffle", (2,), ((2, 3, 4, 6),), errors=(((0,), None, "downscale_factor"),)),
        Case("ChannelShuffle", (2,), (_images(2),), errors=(((0,), None, "groups"),)),
        Case("Upsample", (), (_images(2),), {"scale_factor": 2, "mode": "bilinear"}),
        Case("UpsamplingNearest2d", (), (_images(2),), {"scale_factor": 2}),
        Case("UpsamplingBilinear2d", ((5, 9),), (_images(2),)),
        Case("Unfold", ((2, 3),), (_images(2),), {"padding": 1, "stride": 2}),
        Case("Fold", ((5, 6), (2, 2)), ((2, 12, 20),)),
        Case("Softmax2d", (), (_images(2),), errors=(((), ((3, 4),), "expected input"),)),
    ]  # fmt: skip
    cases += [Case(f"{kind}{axes}d", *rest) for axes in (1, 2, 3) for kind, rest in _by_axes(axes)]
    cases += [
        Case("LPPool1d", (2, 2), (_images(1),)), Case("LPPool2d", (2, 2), (_images(2),)),
        Case("LPPool3d", (2, 2), (_images(3),)), Case("AvgPool2d", (3, 2, 1), (_images(2),)),
        Case("AdaptiveAvgPool2d", ((3, None),), (_images(2),)),
    ]  # fmt: skip
    for axes in (1, 2, 3):
        shape = _images(axes)
        many = {"differs": True}
        cases += [
            Case(f"BatchNorm{axes}d", (4,), (shape,), **many,
                 errors=(((4, 0.0), None, "eps"), ((5,), (shape,), "expected input"))),
            Case(f"LazyBatchNorm{axes}d", (), (shape,), **many),
            Case(f"InstanceNorm{axes}d", (4,), (shape,), {"affine": True}, errors=(((4,), ((4,),), "expected input"),)),
            Case(f"LazyInstanceNorm{axes}d", (), (shape,), {"track_running_stats": True}, **many),
            Case(f"Dropout{axes}d", (0.5,), (shape,), differs=True, random=True, errors=(((1.5,), None, "p in"),)),
        ]  # fmt: skip
    cases += [
        Case(name, (0.5,), ((8, 4, 9),), differs=True, random=True, errors=(((-1.0,), None, "p in"),))
        for name in ("Dropout", "AlphaDropout", "FeatureAlphaDropout")
    ]
    cases += [Case("RReLU", (), ((3, 9),), differs=True, random=True, smooth=False, errors=(((2, 1), None, "lower"),))]
    cases += [Case("LazyLinear", (4,), ((5, 6),), errors=(((0,), None, "out_features"),))]
    return cases + _activations() + _losses() + _unpooling()


def _by_axes(axes: int) -> list[tuple[str, tuple]]:
    shape = (_images(axes),)
    wide = 2 * axes
    return [
        ("Conv", ((4, 6, 3), shape, {"padding": 1, "stride": 2}, False, False, True, True,
                  (((4, 6, 3, 1, "full"), None, "padding"), ((4, 6, 3), ((2, 5, *_PLACES[axes]),), "conv")))),
        ("Conv", ((4, 6, 3), shape, {"padding": "same", "padding_mode": "circular", "groups": 2, "bias": False})),
        ("Conv", ((4, 6, 2), shape, {"padding": 1, "padding_mode": "reflect", "dilation": 2})),
        ("ConvTranspose", ((4, 6, 3), shape, {"stride": 2, "output_padding": 1, "groups": 2}, False, False, True, True,
                           (((4, 6, 3, 1, "same"), None, "padding"),))),
        ("LazyConv", ((6, 3), shape)),
        ("LazyConvTranspose", ((6, 3), shape)),
        ("MaxPool", ((2,), shape, {}, False, False, True, True, (((0,), None, "kernel_size"),))),
        ("AvgPool", ((2,), shape)),
        ("AdaptiveAvgPool", ((2,), shape)),
        ("AdaptiveMaxPool", ((2,), shape)),
        ("ZeroPad", ((1,), shape, {}, False, False, True, True, ((((1, 2, 3),), None, "padding"),))),
        ("ConstantPad", ((tuple(range(wide)), 2.5), shape)),
        ("ReflectionPad", ((1,), shape, {}, False, False, True, True, (((1,), ((3,),), "expected input"),))),
        ("ReplicationPad", ((2,), shape)),
        ("CircularPad", ((2,), shape)),
    ]  # fmt: skip


def _activations() -> list[Case]:
    plain = (
        "ReLU ReLU6 Sigmoid Tanh GELU SiLU Mish ELU SELU CELU LeakyReLU Softplus Softsign Hardtanh Hardsigmoid Hardswish "
        "LogSigmoid Tanhshrink Hardshrink Softshrink"
    ).split()
    wrong = ((("a", 2, 3), None, "expected arguments"),)
    cases = [Case(name, (), ((4, 6),), errors=wrong) for name in plain]
    cases += [Case(name, (1,), ((4, 6),)) for name in ("Softmax", "Softmin", "LogSoftmax", "GLU")]
    return [*cases, Case("Threshold", (0.1, -2.0), ((4, 6),), errors=(((0.1,), None, "expected value"),))]


def _losses() -> list[Case]:
    pair = ((5, 4), (5, 4))
    wrong = {"errors": (((), ((5, 4), (5, 3)), "expected"),)}
    return [
        *(Case(name, (), pair, **wrong) for name in ("MSELoss", "L1Loss", "SmoothL1Loss", "HuberLoss")),
        Case("CrossEntropyLoss", (), ((5, 4), ints(4, 5)), {"label_smoothing": 0.1},
             errors=(((), ((5, 4), ints(4, 3)), "cross_entropy"),)),
        Case("NLLLoss", (), (logs(5, 4), ints(4, 5))),
        Case("LinearCrossEntropyLoss", (6, 4), ((5, 6), ints(4, 5)), {"bias": True}),
        Case("BCELoss", (), (shares(5, 4), shares(5, 4))),
        Case("BCEWithLogitsLoss", (), ((5, 4), shares(5, 4))),
        Case("KLDivLoss", (), (logs(5, 4), shares(5, 4)), {"reduction": "batchmean"}),
        Case("HingeEmbeddingLoss", (), ((5, 4), signs(5, 4))),
        Case("SoftMarginLoss", (), ((5, 4), signs(5, 4))),
        Case("PoissonNLLLoss", (), pair),
        Case("GaussianNLLLoss", (), (*pair, shares(5, 4))),
        Case("MarginRankingLoss", (), ((5,), (5,), signs(5)), {"margin": 0.3}),
        Case("CosineEmbeddingLoss", (), (*pair, signs(5)), {"margin": 0.1}),
        Case("MultiMarginLoss", (), ((5, 4), ints(4, 5))),
        Case("MultiLabelMarginLoss", (), ((2, 4), fixed([[1, 3, -1, 0], [2, -1, 0, 0]]))),
        Case("MultiLabelSoftMarginLoss", (), ((5, 4), fixed(np.eye(5, 4)))),
        Case("TripletMarginLoss", (), (*pair, (5, 4)), {"swap": True}),
        Case("TripletMarginWithDistanceLoss", (), (*pair, (5, 4)), {"margin": 2.0}),
        Case("CTCLoss", (), (logs(6, 2, 5, axis=2), fixed([[1, 2], [3, 4]]), fixed([6, 5]), fixed([2, 1])), half=False,
             torch=False),
    ]  # fmt: skip


def _unpooling() -> list[Case]:
    places = {1: [[[1, 2, 5]]], 2: [[[[0, 3], [9, 14]]]], 3: [[[[[0, 3], [9, 14]], [[17, 22], [40, 63]]]]]}
    cases = [
        Case(f"MaxUnpool{axes}d", (2,), (np.asarray(at).shape, fixed(at)), errors=(((0,), None, "kernel_size"),))
        for axes, at in places.items()
    ]
    for axes in (2, 3):
        samples = asarray(np.full((2, 4, axes), 0.4))
        cases.append(
            Case(f"FractionalMaxPool{axes}d", (2,), (_images(axes),), {"output_size": 2, "_random_samples": samples},
                 half=False, errors=(((2,), None, "output_size or output_ratio"),))
        )  # fmt: skip
    return cases


CASES = _cases()

# Exported classes without a declaration of their own, and why.
OTHERWISE = {
    "Module": "the base", "Graph": "tests/nn/test_containers.py", "Sequential": "tests/nn/test_containers.py",
    "ModuleList": "tests/nn/test_containers.py", "ModuleDict": "tests/nn/test_containers.py",
    "ParameterList": "tests/nn/test_containers.py", "ParameterDict": "tests/nn/test_containers.py",
    **dict.fromkeys("RNN LSTM GRU RNNCell LSTMCell GRUCell LastStep".split(), "tests/nn/test_recurrent.py"),
    **dict.fromkeys(
        "Transformer TransformerEncoder TransformerDecoder TransformerEncoderLayer TransformerDecoderLayer".split(),
        "tests/nn/test_transformer.py",
    ),
}  # fmt: skip


def layer_classes() -> list[str]:
    """The names of the layers that `nn` exports."""
    found = [name for name in nn.__all__ if isinstance(getattr(nn, name), type)]
    return [name for name in found if issubclass(getattr(nn, name), nn.Module)]


# ---------------------------------------------------------------- making
def make(case: Case, dtype: str = "float64"):
    """The layer with settled sizes, and its arrays."""
    rng = np.random.default_rng(len(case.name))
    arrays = [rng.standard_normal(x) if isinstance(x, tuple) else np.asarray(x(rng)) for x in case.inputs]
    twain_random.seed(3)
    layer = getattr(nn, case.name)(*case.args, **case.kwargs).to(dtype=dtype)
    if any(hasattr(m, "has_uninitialized_params") and m.has_uninitialized_params() for m in layer.modules()):
        layer.eval()(*operands(arrays, dtype, False))
        layer.train()
    return layer, arrays


def operands(arrays: list, dtype: str, grad: bool = True) -> list:
    """The arrays as tensors of `dtype` where they are floats; those in float64 as leaves."""
    tensors = [asarray(a.astype("float64")).astype(dtype) if a.dtype.kind == "f" else asarray(a) for a in arrays]
    return [t.requires_grad_() if grad and a.dtype == "float64" else t for t, a in zip(tensors, arrays)]


def results(value) -> list:
    """The tensors of a result."""
    if isinstance(value, (tuple, list)):
        return [x for v in value for x in results(v)]
    return [] if value is None else [value]


def place_weights(x):
    """Another number for each place of x."""
    return cos(arange(x.size, dtype="float32")).reshape(tuple(x.shape)).astype(x.dtype)


def projected(layer, tensors: list):
    """A number made of all floating results, smooth in them; each counts by its value and its place."""
    total = 0.0
    for x in results(layer(*tensors)):
        if x.dtype.kind == "f":
            total = total + (x * place_weights(x)).sum()
    return total


def _leaves(layer, tensors: list) -> list:
    return [*(t for t in tensors if t.requires_grad), *layer.parameters()]


# ---------------------------------------------------------------- checks
def check_gradient(case: Case) -> None:
    """Along one direction of all inputs and parameters, against a difference."""
    layer, arrays = make(case)
    layer.train(not case.random)
    tensors = operands(arrays, "float64")
    if not _leaves(layer, tensors):
        return
    rng = np.random.default_rng(1)
    state = layer.state_dict()
    projected(layer, tensors).backward()
    leaves = _leaves(layer, tensors)
    directions = [rng.standard_normal(tuple(x.shape)) for x in leaves]
    slope = sum((x.grad.numpy() * d).sum() for x, d in zip(leaves, directions) if x.grad is not None)
    start = [x.detach() for x in leaves]
    values = []
    for step in (1e-6, -1e-6):
        with no_grad():
            layer.load_state_dict(state)
            for x, s, d in zip(leaves, start, directions):
                x.assign(s + asarray(d) * step)
            values.append(projected(layer, tensors).item())
    difference = (values[0] - values[1]) / 2e-6
    np.testing.assert_allclose(slope, difference, rtol=1e-5, atol=1e-6, err_msg=str(case))


def check_compiled(case: Case) -> None:
    """Forward and backward in a compiled function, against eager ones."""
    layer, arrays = make(case, "float32")
    layer.train(not case.random)
    state = layer.state_dict()

    def step(*tensors):
        for p in layer.parameters():
            p.grad = None
        loss = projected(layer, tensors)
        if loss.requires_grad:
            loss.backward()
        return loss, [p.grad for p in layer.parameters()]

    tensors = operands(arrays, "float32", grad=False)
    runs = []
    compiled = compile_function(step)
    for function in (step, compiled, compiled, compiled):
        layer.load_state_dict(state)
        loss, gradients = function(*tensors)
        runs.append([loss.detach().numpy(), *(g.numpy() for g in gradients if g is not None)])
    assert compiled.hits, f"{case} was not compiled: {compiled.explain()}"
    for run in runs[1:]:
        for a, b in zip(run, runs[0], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5, err_msg=str(case))


def check_state(case: Case) -> None:
    """A second layer with the first one's state gives the same; names and shapes are stable."""
    layer, arrays = make(case, "float32")
    twain_random.seed(4)
    other = getattr(nn, case.name)(*case.args, **case.kwargs)
    other.load_state_dict(layer.state_dict())
    assert list(other.state_dict()) == list(layer.state_dict()), str(case)
    tensors = operands(arrays, "float32", grad=False)
    for a, b in zip(results(layer.eval()(*tensors)), results(other.eval()(*tensors)), strict=True):
        np.testing.assert_array_equal(a.detach().numpy(), b.detach().numpy(), err_msg=str(case))


def check_modes(case: Case) -> None:
    """Training and evaluation differ where the declaration says so, and only there."""
    layer, arrays = make(case, "float32")
    tensors = operands(arrays, "float32", grad=False)
    state = layer.state_dict()
    trained = [x.detach().numpy() for x in results(layer.train()(*tensors))]
    layer.load_state_dict(state)
    evaluated = [x.detach().numpy() for x in results(layer.eval()(*tensors))]
    same = all(np.array_equal(a, b, equal_nan=True) for a, b in zip(trained, evaluated))
    assert same is not case.differs, f"{case}: training and evaluation {'agree' if same else 'differ'}"


def check_dtypes(case: Case) -> None:
    """float32 and bfloat16 give their dtype, and values near those of float64."""
    exact = None
    for dtype, tolerance in (("float64", 0), ("float32", 1e-4), ("bfloat16", 0.1)):
        if dtype == "bfloat16" and not case.half:
            continue
        layer, arrays = make(case, dtype)
        tensors = operands(arrays, dtype, grad=False)
        values = results(layer.eval()(*tensors))
        for x in values:
            assert x.dtype.kind != "f" or str(x.dtype).endswith(dtype), f"{case}: {x.dtype} of {dtype}"
        found = [x.detach().astype("float64").numpy() for x in values if x.dtype.kind == "f"]
        if exact is None:
            exact = found
            continue
        if list(layer.parameters()):
            continue  # each dtype draws numbers of its own
        for a, b in zip(found, exact, strict=True):
            np.testing.assert_allclose(
                a, b, rtol=tolerance, atol=tolerance * max(1.0, np.abs(b).max()), err_msg=str(case)
            )


def check_text(case: Case) -> None:
    """`repr` names the class and the sizes of parameters."""
    layer, _ = make(case)
    text = repr(layer)
    assert text.startswith(type(layer).__name__ + "("), text
    assert type(layer).__doc__, f"{case} says nothing of itself"
    count = sum(p.size for p in layer.parameters())
    assert not count or f"{count:,} parameters" in text, text


def check_errors(case: Case) -> None:
    """Each refusal of the declaration, by its words."""
    for args, inputs, words in case.errors:
        try:
            layer = getattr(nn, case.name)(*args)
            if inputs is not None:
                rng = np.random.default_rng(0)
                arrays = [rng.standard_normal(x) if isinstance(x, tuple) else np.asarray(x(rng)) for x in inputs]
                layer(*operands(arrays, "float32", False))
        except (ValueError, TypeError, IndexError) as error:
            assert words in str(error), f"{case} with {args}, {inputs}: {error}"
        else:
            raise AssertionError(f"{case.name} takes {args}, {inputs}")


CHECKS = {
    "gradient": check_gradient, "compiled": check_compiled, "state": check_state, "modes": check_modes,
    "dtypes": check_dtypes, "text": check_text, "errors": check_errors,
}  # fmt: skip
