"""Convolutions of every shape, stride, padding, dilation and layout against NumPy in float64; gradients as the same
primitive on permuted views."""

import itertools
import math
import random

import numpy as np
import pytest
from codegen_plans import exact, rearranged, run, strides, values

from twain.base import dtypes as dt
from twain.codegen import expr
from twain.codegen.conv import Shape, conv_plan
from twain.codegen.epilogue import Epilogue
from twain.codegen.targets import host

FLOAT = expr.load(0, dt.float32)
STORE = Epilogue([FLOAT], dt.float32)


def reference(x, w, shape):
    """x (n, g, c, *size), w (g, o, c, *taps) in float64, by definition: one tap after the other."""
    axes, out_size = shape.axes, shape.out()
    per_axis = [field[3 - axes :] for field in (shape.size, shape.taps, shape.padding)]
    steps = [field[3 - axes :] for field in (shape.input_dilation, shape.kernel_dilation, shape.stride)]
    far = 48  # wider than any padding or window here
    full = [(d - 1) * e + 1 if 0 not in x.shape else 0 for d, e in zip(per_axis[0], steps[0])]
    padded = np.zeros((*x.shape[:3], *(d + 2 * far for d in full)))
    padded[(..., *(slice(far, far + d, e) for d, e in zip(full, steps[0])))] = x
    out = np.zeros((shape.n, shape.g, shape.o, *out_size))
    for tap in itertools.product(*map(range, per_axis[1])):
        starts = [far - low + t * d for (low, _), t, d in zip(per_axis[2], tap, steps[1])]
        window = padded[(..., *(slice(a, a + (o - 1) * s + 1, s) for a, o, s in zip(starts, out_size, steps[2])))]
        out += np.einsum("ngc...,goc->ngo...", window, w[(..., *tap)])
    return out


def convolve(x, w, shape, epilogue=STORE, extras=(), dtype=dt.float32, out=None, target=None, **options):
    target = target or host()
    if out is None:
        out = np.empty((shape.n, shape.g, shape.o, *shape.out()), np.float32)
    plan = conv_plan(dtype, dtype, epilogue, target, shape, strides(x), strides(w), (strides(out),),
                     tuple(strides(e) for e in extras))  # fmt: skip
    run(plan, target, x, w, [out], extras, **options)
    return out


def assert_close(got, want, shape):
    terms = max(1, shape.c * math.prod(shape.taps))
    np.testing.assert_allclose(got, want, rtol=1e-6, atol=4e-6 * terms**0.5 + 2e-7 * terms)


def random_shape(r, small=False):
    axes = r.choice([1, 2, 2, 3])
    each = lambda *choices: tuple(r.choice(choices) for _ in range(axes))
    if axes == 3:
        size, taps = each(1, 3, 4, 7, 9), each(1, 2, 3)
    elif r.random() < 0.2:
        size, taps = each(1, 2, 5, 7, 17), tuple(r.randint(1, 15) for _ in range(axes))
    else:
        size, taps = each(1, 3, 5, 8, 9) if small else each(1, 2, 5, 7, 8, 12, 17, 28), each(1, 2, 3, 3, 5, 9)
    if axes == 1 and not small:
        size, taps = (r.choice([1, 5, 30, 100]),), (r.choice([1, 2, 3, 5, 25]),)
    pads = tuple((r.randint(-2, 3), r.randint(-2, 3)) for _ in range(axes))
    return Shape(
        r.choice([1, 1, 2, 3, 5]), r.choice([1, 1, 1, 2, 3, 8]), r.choice([1, 1, 2, 3, 7, 17]),
        r.choice([1, 1, 2, 3, 5, 6, 13]), size, taps, stride=each(1, 1, 1, 2, 3), kernel_dilation=each(1, 1, 1, 2, 3),
        padding=pads if r.random() < 0.7 else None, input_dilation=each(1, 1, 1, 2, 3),
    )  # fmt: skip


def operands(rng, s, dtype=dt.float32):
    axes = 3 - s.axes
    return values(rng, (s.n, s.g, s.c, *s.size[axes:]), dtype), values(rng, (s.g, s.o, s.c, *s.taps[axes:]), dtype)


@pytest.mark.parametrize("seed", range(6))
def test_any_shape_and_strides(seed):
    rng, r = np.random.default_rng(seed), random.Random(seed)
    done = 0
    while done < 50:
        s = random_shape(r)
        if 0 in s.out():
            continue
        x, w = (rearranged(rng, v) for v in operands(rng, s))
        out = rearranged(rng, np.empty((s.n, s.g, s.o, *s.out()), np.float32))
        convolve(x, w, s, out=out)
        assert_close(out, reference(x, w, s), s)
        done += 1


def test_targets(target):
    rng, r = np.random.default_rng(1), random.Random(1)
    done = 0
    while done < 8:
        s = random_shape(r, small=True)
        if 0 in s.out():
            continue
        x, w = operands(rng, s)
        assert_close(convolve(x, w, s, target=target, level=0), reference(x, w, s), s)
        done += 1


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [6, 9, 20])
def test_gradients_are_the_same_primitive(stride, size):
    """Input and weight gradient as permuted views, against the transposed sums of the reference."""
    rng = np.random.default_rng(size)
    n, c, o, k, p = 3, 4, 5, 3, 1
    forward = Shape(n, 1, c, o, (size, size), (k, k), (stride, stride), ((p, p), (p, p)))
    height, width = forward.out()
    x, w = values(rng, (n, 1, c, size, size), dt.float32), values(rng, (1, o, c, k, k), dt.float32)
    dy = values(rng, (n, 1, o, height, width), dt.float32)
    rest = (size + 2 * p - k) % stride
    s = Shape(
        n,
        1,
        o,
        c,
        (height, width),
        (k, k),
        padding=((k - 1 - p, k - 1 - p + rest),) * 2,
        input_dilation=(stride, stride),
    )
    dx = convolve(dy, w[..., ::-1, ::-1].transpose(0, 2, 1, 3, 4), s)
    s = Shape(c, 1, n, o, (size, size), (height, width), padding=((p, p - rest),) * 2, kernel_dilation=(stride, stride))
    dw = np.empty((1, o, c, k, k), np.float32)
    convolve(x.transpose(2, 1, 0, 3, 4), dy.transpose(1, 2, 0, 3, 4), s, out=dw.transpose(2, 0, 1, 3, 4))
    want_dx, want_dw = np.zeros((n, c, size + 2 * p, size + 2 * p)), np.zeros((o, c, k, k))
    padded = np.pad(x[:, 0].astype(np.float64), ((0, 0), (0, 0), (p, p), (p, p)))
    for i in range(k):
        for j in range(k):
            window = np.s_[..., i : i + stride * (height - 1) + 1 : stride, j : j + stride * (width - 1) + 1 : stride]
            want_dx[window] += np.einsum("noyx,oc->ncyx", dy[:, 0], w[0, :, :, i, j].astype(np.float64))
            want_dw[..., i, j] = np.einsum("noyx,ncyx->oc", dy[:, 0], padded[window])
    np.testing.assert_allclose(dx[:, 0], want_dx[..., p : p + size, p : p + size], rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(dw[0], want_dw, rtol=1e-5, atol=2e-4)


def test_epilogue_and_layouts():
    """Bias per feature, activation and a residual, results channels-first and channels-last."""
    bias, residual = expr.load(1, dt.float32), expr.load(2, dt.float32)
    epilogue = Epilogue([expr.maximum(FLOAT + bias + residual, 0.0)], dt.float32)
    rng = np.random.default_rng(3)
    s = Shape(2, 1, 5, 7, (9, 13), (3, 3), padding=((1, 1), (1, 1)))
    x, w = values(rng, (2, 1, 5, 9, 13), dt.float32), values(rng, (1, 7, 5, 3, 3), dt.float32)
    per_feature = np.broadcast_to(values(rng, (7, 1, 1), dt.float32), (2, 1, 7, 9, 13))
    other = values(rng, (2, 1, 7, 9, 13), dt.float32)
    want = np.maximum(reference(x, w, s) + per_feature + other, 0)
    last = np.empty((2, 9, 13, 1, 7), np.float32).transpose(0, 3, 4, 1, 2)
    for out in (np.empty((2, 1, 7, 9, 13), np.float32), last):
        convolve(x, w, s, epilogue, [per_feature, other], out=out)
        assert_close(out, want, s)


@pytest.mark.parametrize("dtype", [dt.float64, dt.bfloat16, dt.int32], ids=str)
def test_dtypes(dtype):
    compute = dt.float32 if dtype is dt.bfloat16 else dtype
    epilogue = Epilogue([expr.cast(expr.load(0, compute), dtype)], compute)
    rng = np.random.default_rng(4)
    s = Shape(2, 2, 3, 4, (10, 11), (3, 3), (2, 1), ((1, 1), (1, 0)))
    x, w = values(rng, (2, 2, 3, 10, 11), dtype), values(rng, (2, 4, 3, 3, 3), dtype)
    if dtype is dt.int32:
        x, w = x % 1000, w % 1000
    out = values(rng, (2, 2, 4, *s.out()), dtype)
    convolve(x, w, s, epilogue, dtype=dtype, out=out)
    want = reference(exact(x, dtype), exact(w, dtype), s)
    np.testing.assert_allclose(
        exact(out, dtype),
        want,
        rtol=2**-7 if dtype is dt.bfloat16 else 1e-12,
        atol=1e-2 if dtype is dt.bfloat16 else 1e-12,
    )


def test_result_does_not_depend_on_how_the_work_is_cut():
    rng = np.random.default_rng(5)
    for s in [
        Shape(8, 1, 6, 9, (20, 20), (3, 3), padding=((1, 1), (1, 1))),
        Shape(3, 1, 60, 9, (9, 30), (7, 28), padding=((0, 0), (0, 0))),  # few outputs, long sums: K is split
    ]:
        x, w = operands(rng, s)
        whole = convolve(x, w, s)
        assert_close(whole, reference(x, w, s), s)
        for seed in range(3):
            np.testing.assert_array_equal(convolve(x, w, s, cut=random.Random(seed)), whole)


@pytest.mark.parametrize("dtype", [dt.float32, dt.bfloat16, dt.int32], ids=str)
def test_weights_of_many_taps_are_read_where_they_lie(dtype):
    """As the gradients of weights have them; they are packed if the taps of a channel don't follow one another."""
    compute = dt.int32 if dtype is dt.int32 else dt.float32
    epilogue = Epilogue([expr.load(0, compute)], compute)
    rng = np.random.default_rng(6)
    for features, size, taps in [(9, (12, 15), (10, 13)), (13, (20, 8), (17, 6)), (70, (16, 16), (14, 14))]:
        s = Shape(2, 2, 5, features, size, taps, padding=((1, 0), (1, 1)))
        x, w = values(rng, (2, 2, 5, *size), dtype), values(rng, (2, features, 5, *taps), dtype)
        if dtype is dt.int32:
            x, w = x % 1000, w % 1000
        want = reference(exact(x, dtype), exact(w, dtype), s)
        apart = np.swapaxes(np.ascontiguousarray(np.swapaxes(w, -1, -2)), -1, -2)
        for weights, packs in ((w, False), (np.swapaxes(w, 0, 1).copy().swapaxes(0, 1), False), (apart, True)):
            out = np.empty((2, 2, features, *s.out()), np.int32 if dtype is dt.int32 else np.float32)
            plan = conv_plan(dtype, dtype, epilogue, host(), s, strides(x), strides(weights), (strides(out),))
            assert packs == any(step.source.name == "pack" for step in plan.steps)
            for cut in (None, random.Random(features)):
                run(plan, host(), x, weights, [out], cut=cut)
                assert_close(out, want, s)


def test_empty_batch_and_window_that_does_not_fit():
    for s in [Shape(0, 1, 2, 3, (5, 5), (3, 3)), Shape(2, 1, 2, 3, (2, 2), (3, 3))]:
        x = np.empty((s.n, 1, 2, *s.size[1:]), np.float32)
        w = np.empty((1, 3, 2, 3, 3), np.float32)
        convolve(x, w, s)
    # no channels: the epilogue of zero
    s = Shape(2, 1, 0, 3, (5, 5), (3, 3))
    out = convolve(np.empty((2, 1, 0, 5, 5), np.float32), np.empty((1, 3, 0, 3, 3), np.float32), s)
    assert (out == 0).all()
