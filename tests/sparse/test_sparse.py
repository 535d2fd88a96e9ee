"""Sparse tensors against their dense twins: values, gradients, compiled, mapped, refused."""

import numpy as np
import pytest

import twain
from twain import sparse
from twain.base.errors import TwainError


@pytest.fixture
def rng():
    seed = np.random.SeedSequence().entropy % 2**32
    print(f"seed {seed}")
    return np.random.default_rng(seed)


def some(rng, *shape, share=0.4):
    return np.where(rng.random(shape) < share, rng.standard_normal(shape), 0.0)


def close(ours, wanted):
    ours = ours.to_dense() if hasattr(ours, "to_dense") else ours
    np.testing.assert_allclose(ours.detach().numpy(), wanted, rtol=1e-12, atol=1e-12)


def scattered(rng, *shape, nnz=9):
    """(a tensor with elements given twice, the same as an array)"""
    indices = np.stack([rng.integers(0, d, nnz) for d in shape])
    indices[:, -1] = indices[:, 0]
    values = rng.standard_normal(nnz)
    dense = np.zeros(shape)
    np.add.at(dense, tuple(indices), values)
    return sparse.SparseTensor(indices, values, shape), dense


def formats(x):
    return [sparse.from_dense(x), sparse.from_dense(x).to_csr()]


def test_there_and_back(rng):
    for shape in ((3, 4), (5,), (2, 3, 4), (0, 3), (4, 0)):
        x = some(rng, *shape)
        s = sparse.from_dense(x)
        assert s.nnz == np.count_nonzero(x) and s.is_coalesced and tuple(s.shape) == shape
        close(s, x)
    x = some(rng, 4, 5)
    close(sparse.from_dense(x).to_csr(), x)
    close(sparse.from_dense(x).to_csr().to_coo(), x)
    blocks = sparse.from_dense(x, sparse_dim=1)
    assert blocks.dense_dim == 1
    close(blocks, x)


def test_elements_given_twice_add_up(rng):
    s, dense = scattered(rng, 3, 4)
    close(s, dense)
    c = s.coalesce()
    close(c, dense)
    flat = c.indices.numpy()[0] * 4 + c.indices.numpy()[1]
    assert (np.diff(flat) > 0).all()
    close(s.T, dense.T)
    close(s.to_csr(), dense)
    s, dense = scattered(rng, 2, 3, 4)
    close(s.transpose(0, 2), dense.transpose(2, 1, 0))
    for axis in (0, 1, 2, (0, 2)):
        close(s.sum(axis), dense.sum(axis))
    close(s.sum(), dense.sum())
    close(s.sum((0, 1, 2)), dense.sum())


def test_arithmetic(rng):
    a, b = some(rng, 4, 5), some(rng, 4, 5)
    for x, y in zip(formats(a), formats(b)):
        close(x + y, a + b)
        close(x - y, a - b)
        close(-x * 2 / 4, -a / 2)
        close(x * y, a * b)
        close(x * twain.asarray(b), a * b)
        close(x + twain.asarray(b), a + b)
        close(twain.asarray(b) - x, b - a)
        close(abs(x), abs(a))
        close(x.map(twain.sin), np.sin(a))
        assert x.astype("float32").dtype == twain.float32


@pytest.mark.parametrize("width", [(), (3,), (2, 3)])
def test_products(rng, width):
    a = some(rng, 4, 5)
    lead, last = width[:-1], width[-1:]
    d = rng.standard_normal((*lead, 5, *last))
    for x in formats(a):
        close(x @ twain.asarray(d), a @ d)
        close(x @ d, a @ d)
    left = rng.standard_normal((*lead, *last, 4))
    for x in formats(a):
        close(twain.asarray(left) @ x, left @ a)


def test_product_of_sparse(rng):
    a, b = some(rng, 4, 5), some(rng, 5, 6)
    for x, y in zip(formats(a), formats(b)):
        close(x @ y, a @ b)
    close(sparse.mm(sparse.from_dense(np.zeros((2, 3))), sparse.from_dense(np.zeros((3, 2)))), np.zeros((2, 2)))
    s, dense = scattered(rng, 4, 5)
    close(s @ sparse.from_dense(b), dense @ b)


def gradient(function, x):
    """Central differences of a weighted sum."""
    result = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[i] = 1e-6
        result[i] = (function(x + step) - function(x - step)) / 2e-6
    return result


@pytest.mark.parametrize("kind", ["coo", "csr"])
def test_gradients(rng, kind):
    a, d = some(rng, 4, 5, share=0.6), rng.standard_normal((5, 3))
    w = rng.standard_normal((4, 3))
    places = sparse.from_dense(a)

    def make(values):
        s = sparse.SparseTensor(places.indices, values, (4, 5), coalesced=True)
        return s if kind == "coo" else s.to_csr()

    functions = {
        "product": lambda s: (s @ twain.asarray(d) * w).sum(),
        "left": lambda s: (twain.asarray(w.T) @ s).sum(),
        "softmax": lambda s: (sparse.softmax(s, 1).to_dense() * twain.asarray(a)).sum(),
        "log_softmax": lambda s: (sparse.log_softmax(s, 0).to_dense() * twain.asarray(a)).sum(),
        "square": lambda s: (s @ s.T).to_dense().sum(),
        "sum": lambda s: (s.sum(0).to_dense() * twain.asarray(d[:, 0])).sum(),
        "mixed": lambda s: ((s + s * 2) * s).to_dense().sum(),
    }
    for name, function in functions.items():
        values = twain.asarray(places.values.numpy()).requires_grad_()
        function(make(values)).backward()
        found = gradient(lambda v, f=function: f(make(twain.asarray(v))).item(), places.values.numpy())
        np.testing.assert_allclose(values.grad.numpy(), found, rtol=1e-6, atol=1e-7, err_msg=name)
    dense = twain.asarray(d).requires_grad_()
    ((make(places.values) @ dense) * w).sum().backward()
    np.testing.assert_allclose(dense.grad.numpy(), a.T @ w, rtol=1e-12)


def test_gradient_in_place_of_values():
    s = sparse.eye(3).requires_grad_()
    (s @ twain.ones((3, 2))).sum().backward()
    assert s.grad.to_dense().tolist() == [[2, 0, 0], [0, 2, 0], [0, 0, 2]]


def test_softmax(rng):
    a = some(rng, 4, 5, share=0.6)
    hidden = np.where(a == 0, -np.inf, a)
    for axis in (0, 1, -1):
        powers = np.exp(hidden - hidden.max(axis, keepdims=True, initial=-1e9))
        wanted = powers / np.maximum(powers.sum(axis, keepdims=True), 1e-300)
        for x in formats(a):
            close(sparse.softmax(x, axis), wanted)
            close(sparse.log_softmax(x, axis).map(twain.exp), wanted)
    blocks = sparse.from_dense(rng.standard_normal((3, 4)), sparse_dim=1)
    total = sparse.softmax(blocks, 1).to_dense().sum(axis=1)
    np.testing.assert_allclose(total.numpy(), np.ones(3), rtol=1e-12)


def test_sampled_product_and_addmm(rng):
    a, b, mask = rng.standard_normal((4, 3)), rng.standard_normal((3, 5)), some(rng, 4, 5)
    for x in formats(mask):
        close(sparse.sampled_addmm(x, twain.asarray(a), twain.asarray(b), beta=0.5, alpha=2.0),
              np.where(mask != 0, 0.5 * mask + 2 * (a @ b), 0))  # fmt: skip
        y = rng.standard_normal((4, 3))
        close(sparse.addmm(twain.asarray(y), x, twain.asarray(b.T), beta=2.0, alpha=0.5), 2 * y + 0.5 * (mask @ b.T))


def test_diagonals():
    d = sparse.spdiags([[1.0, 2, 3], [4, 5, 6], [7, 8, 9]], [0, 1, -1], (3, 3))
    assert d.to_dense().tolist() == [[1, 5, 0], [7, 2, 6], [0, 8, 3]]
    assert sparse.eye(2, 3).to_dense().tolist() == [[1, 0, 0], [0, 1, 0]]


def test_compiled_and_mapped(rng):
    a = some(rng, 4, 5)
    s = sparse.from_dense(a).to_csr()
    d = rng.standard_normal((3, 5, 2))

    @twain.compile
    def product(s, x):
        return (s @ x).sum(axis=0)

    for _ in range(3):
        close(product(s, twain.asarray(d[0])), (a @ d[0]).sum(0))
    assert product.hits >= 1, product.explain()
    close(twain.vmap(lambda x: s @ x)(twain.asarray(d)), a @ d)
    found = twain.grad(lambda s: (s @ twain.asarray(d[0])).sum())(s)
    assert isinstance(found, sparse.SparseRows)
    np.testing.assert_allclose(found.values.numpy(), d[0].sum(-1)[s.col_indices.numpy()], rtol=1e-12)


def test_refusals(rng):
    s = sparse.from_dense(some(rng, 3, 4))
    for call, text in (
        (lambda: sparse.SparseTensor([[0, 5]], [1.0, 2.0], (3,)), r"\[SparseTensor\] index 5 is out of range for axis 0"),
        (lambda: sparse.SparseTensor([[0, -1]], [1.0, 2.0], (3,)), r"\[SparseTensor\] index -1"),
        (lambda: sparse.SparseTensor([0, 1], [1.0, 2.0]), r"\[SparseTensor\] expected indices \(sparse axes, nnz\)"),
        (lambda: sparse.SparseTensor([[0, 1]], [1.0, 2.0], (3, 4)), r"\[SparseTensor\] expected a shape"),
        (lambda: sparse.SparseTensor([[0.5, 1]], [1.0, 2.0]), r"\[SparseTensor\] expected indices to be integers"),
        (lambda: sparse.SparseRows([0, 2, 1], [0], [1.0]), r"\[SparseRows\] expected crow_indices to rise from 0 to 1"),
        (lambda: sparse.SparseRows([0, 1], [0, 1], [1.0]), r"\[SparseRows\] expected crow_indices"),
        (lambda: s @ twain.ones((3, 2)), r"\[matmul\] expected a sparse matrix \(M, K\)"),
        (lambda: s @ s, r"\[matmul\] expected matrices \(M, K\) and \(K, N\)"),
        (lambda: s + 1.0, r"\[add\] expected a tensor of the same shape, got a number"),
        (lambda: s + twain.ones((4, 3)), r"\[add\] expected tensors of one shape"),
        (lambda: s.sum(2), r"\[sum\] expected axis"),
        (lambda: sparse.softmax(twain.ones((2, 2)), 0), r"\[softmax\] expected a sparse tensor, got Tensor"),
        (lambda: sparse.mm(twain.ones((2, 2)), 3), r"\[mm\] expected a sparse matrix"),
        (lambda: sparse.SparseTensor(s, s), r"\[SparseTensor\] expected values to be dense, got a SparseTensor"),
    ):  # fmt: skip
        with pytest.raises(TwainError, match=text):
            call()


def test_scipy(rng):
    scipy = pytest.importorskip("scipy.sparse")
    a = some(rng, 4, 5)
    for kind in ("csr", "coo", "csc"):
        s = sparse.from_scipy(scipy.random_array((4, 5), density=0.4, format=kind))
        assert tuple(s.shape) == (4, 5)
    for x in formats(a):
        np.testing.assert_array_equal(sparse.to_scipy(x).toarray(), a)
