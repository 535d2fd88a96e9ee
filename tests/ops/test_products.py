"""einsum on random equations against NumPy's, its forms and refusals; gradients at kinks and zeros of the distances."""

import itertools
import random
import string

import numpy as np
import pytest

import twain
from twain.base.errors import TwainError


@pytest.fixture
def rng():
    seed = np.random.SeedSequence().entropy % 2**32
    print(f"seed {seed}")
    random.seed(seed)
    return np.random.default_rng(seed)


def random_equation(rng):
    """An equation with operands of every kind: repeated labels, ellipses, axes of size 1, implicit results."""
    labels = string.ascii_lowercase[: random.randint(1, 5)]
    size = {label: random.choice([1, 2, 3, 4]) for label in labels}
    dots, dot_shape = random.random() < 0.4, [2, 3][: random.randint(0, 2)]
    parts, operands = [], []
    for _ in range(random.randint(1, 4)):
        part = "".join(random.choice(labels) for _ in range(random.randint(0, 4)))
        shape = [size[label] for label in part]
        if dots and random.random() < 0.7:
            at = random.randint(0, len(part))
            shape[at:at] = dot_shape[random.randint(0, len(dot_shape)) :]
            part = part[:at] + "..." + part[at:]
        parts.append(part)
        operands.append(rng.standard_normal(shape))
    equation = ",".join(parts)
    if random.random() < 0.7:
        known = sorted({c for c in equation if c.isalpha()})
        result = random.sample(known, random.randint(0, len(known)))
        if "..." in equation:
            result.insert(random.randint(0, len(result)), "...")
        equation += "->" + "".join(result)
    return equation, operands


def test_random_equations(rng):
    for _ in range(60):
        equation, operands = random_equation(rng)
        wanted = np.einsum(equation, *operands)
        found = twain.einsum(equation, *map(twain.asarray, operands)).numpy()
        assert found.shape == wanted.shape, equation
        np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-10, err_msg=equation)


def test_einsum_gradient_is_the_transposed_sum(rng):
    arrays = [rng.standard_normal(s) for s in ((2, 3, 4), (4, 5), (5, 3, 2))]
    leaves = [twain.asarray(a).requires_grad_() for a in arrays]
    weight = rng.standard_normal((2, 2))
    (twain.einsum("bij,jk,kic->bc", *leaves) * twain.asarray(weight)).sum().backward()
    for i, other in enumerate(("bc,jk,kic->bij", "bij,bc,kic->jk", "bij,jk,bc->kic")):
        operands = list(arrays)
        operands[{0: 0, 1: 1, 2: 2}[i]] = weight
        np.testing.assert_allclose(leaves[i].grad.numpy(), np.einsum(other, *operands), rtol=1e-10)


def test_einsum_forms(rng):
    a, b = rng.standard_normal((3, 4)), rng.standard_normal((4, 5))
    x, y = twain.asarray(a), twain.asarray(b)
    for found in (
        twain.einsum("ij,jk", x, y),
        twain.einsum(" i j , j k -> i k ", x, y),
        twain.einsum("ij,jk->ik", [x, y]),
        twain.einsum(x, [0, 1], y, [1, 2], [0, 2]),
        twain.einsum(x, [..., 7], y, [7, 9], [..., 9]),
    ):
        np.testing.assert_allclose(found.numpy(), a @ b, rtol=1e-12)
    assert twain.einsum("ij->", x.astype("int32")).dtype is twain.int32


@pytest.mark.parametrize(
    "call, text",
    [
        (lambda x: twain.einsum("ij,jk", x, twain.ones((5, 2))), "expected one size per label, got 4 and 5 for 'j'"),
        (lambda x: twain.einsum("ij,j%", x, x), "expected the equation to consist of letters"),
        (lambda x: twain.einsum("ijk", x), "expected an operand of 3 axes for 'ijk', got shape"),
        (lambda x: twain.einsum("ij->ii", x), "expected each label once in the result"),
        (lambda x: twain.einsum("ij->k", x), "expected the result's labels among the operands', got 'k'"),
        (lambda x: twain.einsum("ij,jk", x), "expected as many operands as the equation has"),
        (lambda x: twain.einsum("ii", x), "expected one size per label|expected equal sizes for the repeated label"),
        (lambda x: twain.einsum("i->j->k", x), "expected at most one '->'"),
        (lambda x: twain.einsum(x, [0, 99]), "expected sublists of ints in"),
        (lambda x: twain.einsum(3, x), "expected operands, each followed by a list of ints"),
    ],
)
def test_einsum_refuses(call, text):
    with pytest.raises(TwainError, match=rf"\[einsum\].*({text})"):
        call(twain.ones((3, 4)))


def test_distances_of_equal_rows_have_gradient_zero():
    x = twain.asarray([[1.0, 2.0], [1.0, 2.0], [0.0, 1.0]]).requires_grad_()
    for p in (1.0, 2.0, 3.0):
        for found in (twain.cdist(x, x.detach(), p), twain.pdist(x, p), twain.cdist(x, x, p, "use_mm_for_euclid_dist")):
            x.grad = None
            found.sum().backward()
            assert np.isfinite(x.grad.numpy()).all()
    zero = twain.zeros((3,)).requires_grad_()
    twain.norm(zero).backward()
    assert zero.grad.tolist() == [0, 0, 0]


def test_many_rows_go_through_a_product(rng):
    a, b = rng.standard_normal((2, 40, 3)), rng.standard_normal((30, 3))
    wanted = np.sqrt(((a[:, :, None] - b) ** 2).sum(-1))
    np.testing.assert_allclose(twain.cdist(twain.asarray(a), twain.asarray(b)).numpy(), wanted, rtol=1e-9)


def test_gradients_by_python_numbers_are_exact():
    """A Python float beside float64 tensors is a float64 number in derivatives too."""
    x = twain.asarray([2.0], dtype="float64").requires_grad_()
    (x**2.2).backward()
    assert x.grad.item() == pytest.approx(2.2 * 2**1.2, rel=1e-15)
    y = twain.asarray([5.0], dtype="float64").requires_grad_()
    twain.lerp(x.detach(), y, 0.4).backward()
    assert y.grad.item() == 0.4


def test_combinations_and_windows():
    x = twain.asarray([3, 1, 4, 1, 5])
    for r in range(4):
        for again in (False, True):
            choose = itertools.combinations_with_replacement if again else itertools.combinations
            wanted = [list(c) for c in choose(x.tolist(), r)]
            assert twain.combinations(x, r, again).tolist() == wanted
    grid = np.arange(24.0).reshape(4, 6)
    wanted = np.lib.stride_tricks.sliding_window_view(grid, (2, 3))
    assert np.array_equal(twain.sliding_window_view(twain.asarray(grid), (2, 3)).numpy(), wanted)
    assert twain.sliding_window_view(twain.asarray(grid), 3, axis=1, step=2).shape == (4, 2, 3)
    assert twain.swapaxes(twain.asarray(grid), 0, -1).shape == (6, 4)


@pytest.mark.parametrize("edge_order", [1, 2])
def test_numerical_gradient(rng, edge_order):
    x, at = rng.standard_normal((4, 5)), np.cumsum(rng.uniform(0.5, 2, 5))
    for ours, wanted in (
        (twain.gradient(twain.asarray(x), edge_order=edge_order), np.gradient(x, edge_order=edge_order)),
        (twain.gradient(twain.asarray(x), spacing=0.3, axis=0, edge_order=edge_order),
         [np.gradient(x, 0.3, axis=0, edge_order=edge_order)]),
        (twain.gradient(twain.asarray(x), spacing=[twain.asarray(at)], axis=1, edge_order=edge_order),
         [np.gradient(x, at, axis=1, edge_order=edge_order)]),
    ):  # fmt: skip
        for a, b in zip(ours, wanted, strict=True):
            np.testing.assert_allclose(a.numpy(), b, rtol=1e-9, atol=1e-12)
    with pytest.raises(TwainError, match=r"\[gradient\] expected at least"):
        twain.gradient(twain.ones((1,)), edge_order=edge_order)
