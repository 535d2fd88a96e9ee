"""Convolutions, pooling and resampling against PyTorch: values, gradients, refusals; fresh random input each time."""

import itertools

import numpy as np
import pytest

import twain
from twain.base.errors import TwainError

torch = pytest.importorskip("torch")
TF = torch.nn.functional


@pytest.fixture
def rng():
    seed = np.random.SeedSequence().entropy % 2**32
    print(f"seed {seed}")
    return np.random.default_rng(seed)


def leaves(rng, *shapes):
    """The same double values as twain and as torch leaves; None stays None."""
    ours, theirs = [], []
    for shape in shapes:
        array = None if shape is None else rng.standard_normal(shape)
        ours.append(None if array is None else twain.asarray(array).requires_grad_())
        theirs.append(None if array is None else torch.tensor(array, requires_grad=True))
    return ours, theirs


def compare(rng, ours, theirs, mine, yours, rtol=1e-9, atol=1e-9):
    """Results (the first of several has a gradient) and gradients of a random projection."""
    firsts = [r[0] if isinstance(r, (tuple, list)) else r for r in (ours, theirs)]
    if isinstance(theirs, (tuple, list)):
        np.testing.assert_array_equal(ours[1].numpy(), theirs[1].numpy())
    a, b = firsts
    assert tuple(a.shape) == tuple(b.shape)
    np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=rtol, atol=atol)
    weights = rng.standard_normal(b.shape)
    (a * twain.asarray(weights)).sum().backward()
    (b * torch.tensor(weights)).sum().backward()
    for x, y in zip(mine, yours):
        if y is not None:
            np.testing.assert_allclose(x.grad.numpy(), y.grad.numpy(), rtol=rtol, atol=atol)


def pick(rng, *choices):
    return choices[rng.integers(len(choices))]


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_conv(rng, axes):
    for _ in range(12):
        groups = pick(rng, 1, 1, 2, 3, 6)
        each = lambda *choices: tuple(pick(rng, *choices) for _ in range(axes))
        taps, dilation, padding = each(1, 2, 3), each(1, 1, 2), each(0, 1, 2)
        stride = each(1, 2, 3)
        if rng.random() < 0.3:
            padding, stride = "same", 1
        lead = pick(rng, (2,), ())
        shape = (*lead, 6, *each(5, 6, 7))
        bias = pick(rng, None, (6,))
        mine, yours = leaves(rng, shape, (6, 6 // groups, *taps), bias)
        options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        ours = getattr(twain, f"conv{axes}d")(*mine, **options)
        compare(rng, ours, getattr(TF, f"conv{axes}d")(*yours, **options), mine, yours)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_conv_transpose(rng, axes):
    for _ in range(12):
        groups = pick(rng, 1, 1, 2, 3)
        each = lambda *choices: tuple(pick(rng, *choices) for _ in range(axes))
        taps, dilation, stride = each(2, 3), each(1, 1, 2), each(1, 2, 3)
        padding = each(0, 1)
        more = tuple(int(rng.integers(max(s, d))) for s, d in zip(stride, dilation))
        shape = (*pick(rng, (2,), ()), 6, *each(2, 3, 5))
        mine, yours = leaves(rng, shape, (6, 2, *taps), pick(rng, None, (2 * groups,)))
        rest = (stride, padding, more, groups, dilation)
        ours = getattr(twain, f"conv_transpose{axes}d")(*mine, *rest)
        compare(rng, ours, getattr(TF, f"conv_transpose{axes}d")(*yours, *rest), mine, yours)


def test_complex_conv(rng):
    x, w = (rng.standard_normal(s) + 1j * rng.standard_normal(s) for s in ((2, 3, 5, 6), (4, 3, 2, 3)))
    ours = twain.conv2d(twain.asarray(x), twain.asarray(w), padding=1)
    theirs = TF.conv2d(torch.tensor(x), torch.tensor(w), padding=1)
    np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_max_pool_and_back(rng, axes):
    for indices, ceil in itertools.product((False, True), repeat=2):
        kernel = tuple(int(k) for k in rng.integers(1, 4, axes))
        stride = pick(rng, None, tuple(int(k) for k in rng.integers(1, 4, axes)))
        padding = tuple(int(rng.integers(k // 2 + 1)) for k in kernel)
        dilation = pick(rng, 1, 2)
        shape = (*pick(rng, (2,), ()), 3, *(int(s) for s in rng.integers(6, 9, axes)))
        mine, yours = leaves(rng, shape)
        rest = (kernel, stride, padding, dilation, ceil, indices)
        ours = getattr(twain, f"max_pool{axes}d")(*mine, *rest)
        theirs = getattr(TF, f"max_pool{axes}d")(*yours, *rest)
        compare(rng, ours, theirs, mine, yours)
    for size in (None, (7,) * axes, (2, 3, *((7,) * axes))):
        mine, yours = leaves(rng, (2, 3, *((6 if size is None else 7,) * axes)))
        values, at = getattr(twain, f"max_pool{axes}d")(mine[0].detach(), 2, return_indices=True)
        expected, places = getattr(TF, f"max_pool{axes}d")(yours[0].detach(), 2, return_indices=True)
        a, b = values.detach().requires_grad_(), expected.detach().requires_grad_()
        ours = getattr(twain, f"max_unpool{axes}d")(a, at, 2, output_size=size)
        compare(rng, ours, getattr(TF, f"max_unpool{axes}d")(b, places, 2, output_size=size), [a], [b])


def test_nan_and_ties_in_pooling():
    x = np.array([[[1.0, np.nan, 3.0, 3.0, -np.inf, -np.inf, 2.0, 2.0]]])
    for kernel, padding in ((2, 0), (3, 1)):
        ours = twain.max_pool1d(twain.asarray(x), kernel, 2, padding, return_indices=True)
        theirs = TF.max_pool1d(torch.tensor(x), kernel, 2, padding, return_indices=True)
        for a, b in zip(ours, theirs):
            np.testing.assert_array_equal(a.numpy(), b.numpy())


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_avg_and_lp_pool(rng, axes):
    for ceil, include in itertools.product((False, True), repeat=2):
        kernel = tuple(int(k) for k in rng.integers(1, 4, axes))
        stride = pick(rng, None, tuple(int(k) for k in rng.integers(1, 4, axes)))
        padding = tuple(int(rng.integers(k // 2 + 1)) for k in kernel)
        shape = (*pick(rng, (2,), ()), 3, *(int(s) for s in rng.integers(6, 9, axes)))
        mine, yours = leaves(rng, shape)
        rest = [kernel, stride, padding, ceil, include]
        if axes > 1:
            rest.append(pick(rng, None, 5))
        ours = getattr(twain, f"avg_pool{axes}d")(*mine, *rest)
        compare(rng, ours, getattr(TF, f"avg_pool{axes}d")(*yours, *rest), mine, yours)
        mine, yours = leaves(rng, shape)
        rest = (2, *((kernel, stride) if axes > 1 else (kernel[0], stride and stride[0])), ceil)
        ours = getattr(twain, f"lp_pool{axes}d")(*mine, *rest)
        compare(rng, ours, getattr(TF, f"lp_pool{axes}d")(*yours, *rest), mine, yours)


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("kind", ["avg", "max"])
def test_adaptive_pool(rng, axes, kind):
    for size in (1, tuple(int(s) for s in rng.integers(1, 9, axes)), (*((None,) * (axes - 1)), 3)):
        if axes == 1 and size == (3,):
            size = 3
        mine, yours = leaves(rng, (2, 3, *((6, 7, 5)[:axes])))
        arguments = (size, True) if kind == "max" else (size,)
        ours = getattr(twain, f"adaptive_{kind}_pool{axes}d")(*mine, *arguments)
        theirs = getattr(TF, f"adaptive_{kind}_pool{axes}d")(*yours, *arguments)
        compare(rng, ours, theirs, mine, yours)


@pytest.mark.parametrize("axes", [2, 3])
def test_fractional_max_pool(rng, axes):
    size = (9, 8, 7)[:axes]
    samples = rng.random((2, 3, axes))
    for rest in ((2, tuple(s // 2 for s in size)), (3, (1, *((4,) * (axes - 1))))):
        mine, yours = leaves(rng, (2, 3, *size))
        ours = getattr(twain, f"fractional_max_pool{axes}d")(
            *mine, *rest, return_indices=True, samples=twain.asarray(samples)
        )
        theirs = getattr(TF, f"fractional_max_pool{axes}d")(
            *yours, *rest, return_indices=True, _random_samples=torch.tensor(samples)
        )
        compare(rng, ours, theirs, mine, yours)
    x = twain.asarray(rng.standard_normal((3, *size)))
    found = getattr(twain, f"fractional_max_pool{axes}d")(x, 2, output_ratio=0.5)
    assert found.shape == (3, *(s // 2 for s in size))


REFUSED = [
    ("conv2d", ((2, 3, 5, 5), (4, 2, 3, 3)), {}),
    ("conv2d", ((2, 3, 2, 2), (4, 3, 3, 3)), {}),
    ("conv2d", ((2, 4, 5, 5), (5, 2, 3, 3)), {"groups": 2}),
    ("conv2d", ((3, 5, 5, 5), (4, 3, 3, 3), (3,)), {}),
    ("conv2d", ((2, 3, 5, 5), (4, 3, 3, 3)), {"padding": "same", "stride": 2}),
    ("conv_transpose1d", ((2, 3, 5), (3, 3, 2)), {"stride": 2, "output_padding": 2}),
    ("max_pool2d", ((2, 3, 5, 5),), {"kernel_size": 6}),
    ("max_pool2d", ((2, 3, 5, 5),), {"kernel_size": 2, "padding": 2}),
    ("avg_pool2d", ((2, 3, 5, 5),), {"kernel_size": 2, "divisor_override": 0}),
    ("avg_pool3d", ((5, 5),), {"kernel_size": 2}),
]


@pytest.mark.parametrize("name, shapes, options", REFUSED)
def test_refusals(rng, name, shapes, options):
    arrays = [rng.standard_normal(s) for s in shapes]
    with pytest.raises((RuntimeError, ValueError)):
        getattr(TF, name)(*map(torch.tensor, arrays), **options)
    with pytest.raises(TwainError, match=rf"\[{name}\] expected"):
        getattr(twain, name)(*map(twain.asarray, arrays), *([None] if len(arrays) == 2 else []), **options)


# ---------------------------------------------------------------- resampling
MODES = [("nearest", (1, 2, 3)), ("nearest-exact", (1, 2, 3)), ("area", (1, 2, 3)), ("linear", (1,)), ("bilinear", (2,)),
         ("trilinear", (3,)), ("bicubic", (2,))]  # fmt: skip


@pytest.mark.parametrize("mode, ranks", MODES)
def test_interpolate(rng, mode, ranks):
    for axes in ranks:
        size = tuple(int(s) for s in rng.integers(3, 8, axes))
        wanted = tuple(int(s) for s in rng.integers(1, 15, axes))
        factors = tuple(float(f) for f in rng.uniform(0.4, 3, axes))
        tries = [{"size": wanted}, {"scale_factor": factors}, {"scale_factor": 2.0}]
        tries.append({"scale_factor": factors, "recompute_scale_factor": True})
        for options in tries:
            for more in (
                [{}] if mode in ("nearest", "nearest-exact", "area") else [{"align_corners": a} for a in (False, True)]
            ):
                mine, yours = leaves(rng, (2, 3, *size))
                ours = twain.interpolate(*mine, **options, mode=mode, **more)
                theirs = TF.interpolate(*yours, **options, mode=mode, **more)
                if mode.startswith("nearest") and "scale_factor" in options:  # torch's gradient is of other places
                    np.testing.assert_array_equal(ours.detach().numpy(), theirs.detach().numpy())
                else:
                    compare(rng, ours, theirs, mine, yours, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("align", [False, True])
def test_antialias(rng, mode, align):
    for size in ((3, 4), (10, 2), (13, 20)):
        mine, yours = leaves(rng, (2, 3, 9, 11))
        options = {"size": size, "mode": mode, "align_corners": align, "antialias": True}
        compare(
            rng,
            twain.interpolate(*mine, **options),
            TF.interpolate(*yours, **options),
            mine,
            yours,
            rtol=1e-6,
            atol=1e-8,
        )


@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
def test_grid_sample(rng, mode, padding):
    for align, axes in itertools.product((False, True), (2, 3) if mode != "bicubic" else (2,)):
        mine, yours = leaves(rng, (2, 3, *((4, 5, 3)[:axes])))
        grid = rng.uniform(-1.6, 1.6, (2, *((3, 4, 2)[:axes]), axes))
        mine.append(twain.asarray(grid).requires_grad_())
        yours.append(torch.tensor(grid, requires_grad=True))
        ours, theirs = twain.grid_sample(*mine, mode, padding, align), TF.grid_sample(*yours, mode, padding, align)
        compare(rng, ours, theirs, mine[:1] if mode == "nearest" else mine, yours[:1] if mode == "nearest" else yours,
                rtol=1e-7, atol=1e-8)  # fmt: skip


@pytest.mark.filterwarnings("ignore:Since version 1.3.0")
@pytest.mark.parametrize("align", [False, True])
def test_affine_grid(rng, align):
    for shape, size in (((2, 2, 3), (2, 3, 4, 5)), ((1, 3, 4), (1, 2, 3, 1, 4))):
        mine, yours = leaves(rng, shape)
        ours = twain.affine_grid(*mine, size, align_corners=align)
        compare(rng, ours, TF.affine_grid(*yours, size, align_corners=align), mine, yours)


def test_patches_and_shuffles(rng):
    for kernel, dilation, padding, stride in ((2, 1, 0, 1), ((3, 2), (1, 2), (1, 0), (2, 1)), (3, 1, 1, 3)):
        mine, yours = leaves(rng, (2, 3, 6, 7))
        rest = (kernel, dilation, padding, stride)
        theirs = TF.unfold(*yours, *rest)
        compare(rng, twain.unfold(*mine, *rest), theirs, mine, yours)
        mine, yours = leaves(rng, tuple(theirs.shape))
        compare(rng, twain.fold(*mine, (6, 7), *rest), TF.fold(*yours, (6, 7), *rest), mine, yours)
    for name, shape, factor in (("pixel_shuffle", (2, 8, 3, 2), 2), ("pixel_unshuffle", (2, 2, 4, 6), 2),
                                ("channel_shuffle", (2, 6, 3, 3), 3)):  # fmt: skip
        mine, yours = leaves(rng, shape)
        compare(rng, getattr(twain, name)(*mine, factor), getattr(torch, name)(*yours, factor), mine, yours)
