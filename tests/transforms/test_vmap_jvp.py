"""vmap and jvp of users' functions: against loops and formulas, nested, with captured tensors, under grad and compile."""

import pytest

import twain


def rows(function, x):
    return twain.stack([function(x[i]) for i in range(x.shape[0])])


def close(a, b, tolerance=1e-5):
    assert a.shape == b.shape and a.dtype is b.dtype
    assert float(abs(a - b).max()) <= tolerance


@pytest.fixture
def x():
    return twain.random.Generator(1).normal((4, 5, 3))


def test_vmap_is_a_loop(x):
    w = twain.random.Generator(2).normal((3, 2))

    def function(row):
        y = (row @ w).relu()
        return (y - y.mean(axis=0, keepdims=True)).sum(axis=1)[::2]

    close(twain.vmap(function)(x), rows(function, x))


def test_vmap_of_vmap(x):
    v = twain.asarray([1.0, -2.0, 3.0])
    close(twain.vmap(twain.vmap(lambda row: (row * v).sum()))(x), (x * v).sum(axis=-1))


def test_axes(x):
    a, b = x, twain.random.Generator(3).normal((5, 4))
    got = twain.vmap(lambda m, c: m.sum(axis=1) * c, in_axes=(0, 1), out_axes=1)(a, b)
    close(got, (a.sum(axis=2) * b.T).T)
    got = twain.vmap(lambda m, c: m + c, in_axes=(1, None))(a, 2.0)
    close(got, (a + 2.0).permute_dims((1, 0, 2)))


def test_trees_and_constants(x):
    got = twain.vmap(lambda d: {"a": d["x"] * 2, "b": twain.ones((2,))})({"x": x})
    close(got["a"], x * 2)
    assert got["b"].shape == (4, 2)


def test_gradient_through_vmap(x):
    w = twain.asarray([1.0, 2.0, 3.0], dtype="float32").requires_grad_()
    twain.vmap(lambda row: (row * w).sin().sum())(x).sum().backward()
    expected = twain.grad(lambda v: (x * v).sin().sum())(w.detach())
    close(w.grad, expected, 1e-4)


def test_jvp_is_the_directional_derivative(x):
    t = twain.random.Generator(4).normal(x.shape)
    value, tangent = twain.jvp(lambda a: (a * a).sum(axis=1).exp(), (x * 0.1,), (t,))
    s = x * 0.1
    close(value, (s * s).sum(axis=1).exp())
    close(tangent, value * (2 * s * t).sum(axis=1), 1e-3)


def test_jvp_of_vmap_and_vmap_of_jvp(x):
    t = x * 0.5
    _, one = twain.jvp(twain.vmap(lambda r: r.tanh().sum()), (x,), (t,))
    two = twain.vmap(lambda r, d: twain.jvp(lambda a: a.tanh().sum(), (r,), (d,))[1])(x, t)
    close(one, two)


def test_gradients_of_single_examples(x):
    w = twain.asarray([1.0, -2.0, 0.5])

    def loss(v, row):
        return (row @ v).sin().sum() + (v * v).sum()

    got = twain.vmap(twain.grad(loss), in_axes=(None, 0))(w, x)
    close(got, rows(lambda row: twain.grad(loss)(w, row), x), 1e-4)
    second = twain.vmap(lambda v: twain.grad(lambda a: (twain.grad(lambda b: (b**3).sum())(a) * a).sum())(v))(x)
    close(second, 9 * x * x, 1e-3)


def test_compiled(x):
    @twain.compile
    def function(a):
        return twain.vmap(lambda row: row.sum() * 2)(a)

    for scale in (1.0, 2.0, 3.0):
        close(function(x * scale), (x * scale).sum(axis=(1, 2)) * 2, 1e-4)


@pytest.mark.parametrize(
    "call, text",
    [
        (lambda: twain.vmap(lambda r: r)(twain.asarray(1.0)), "axis to map over"),
        (lambda: twain.vmap(lambda r: r)(2.0), "at least one tensor"),
        (lambda: twain.vmap(lambda a, b: a + b)(twain.ones((2,)), twain.ones((3,))), "equal sizes"),
        (lambda: twain.vmap(lambda r: r if r > 0 else -r)(twain.ones((2,))), "where"),
        (lambda: twain.vmap(lambda r: r.item())(twain.ones((2,))), "vmap"),
        (lambda: twain.vmap(lambda r: r, in_axes=(0, 1))(twain.ones((2,))), "in_axes"),
        (lambda: twain.jvp(lambda r: r, (twain.ones((2,)),), (twain.ones((3,)),)), "tangent"),
    ],
)
def test_errors(call, text):
    with pytest.raises((twain.TwainError, TypeError), match=text):
        call()
