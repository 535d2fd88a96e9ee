"""cond, while_loop, scan and checkpoint: against plain Python loops, in every transformation, compiled, and their errors."""

import pytest

import twain


def close(a, b, tolerance=1e-10):
    if isinstance(a, (tuple, list)):
        assert len(a) == len(b)
        for x, y in zip(a, b):
            close(x, y, tolerance)
        return
    assert a.shape == b.shape and a.dtype is b.dtype, (a, b)
    assert a.size == 0 or float(abs(a - b).max()) <= tolerance, (a, b)


def doubles(shape, seed=1):
    return twain.random.Generator(seed).normal(shape, dtype="float64")


def recurrent(w, xs, reverse=False):
    """A small recurrent network by scan; captures w."""
    return twain.scan(
        lambda h, x: ((h @ w + x).tanh(), {"h": h * x}), twain.zeros((3,), dtype="float64"), xs, None, reverse
    )


def unrolled(w, xs, reverse=False):
    h, rows = twain.zeros((3,), dtype="float64"), [None] * xs.shape[0]
    for i in reversed(range(xs.shape[0])) if reverse else range(xs.shape[0]):
        rows[i] = h * xs[i]
        h = (h @ w + xs[i]).tanh()
    return h, {"h": twain.stack(rows)}


def scalar_of(function):
    def scalar(w, xs):
        h, ys = function(w, xs)
        return (h * h).sum() + (ys["h"].sin()).sum()

    return scalar


@pytest.fixture
def w():
    return doubles((3, 3), 2)


@pytest.fixture
def xs():
    return doubles((4, 3), 3)


TRANSFORMATIONS = {
    "value": lambda f: f,
    "grad": lambda f: twain.grad(f, (0, 1)),
    "jvp": lambda f: lambda w, xs: twain.jvp(f, (w, xs), (w * 0.5, xs.cos()))[1],
    "jacfwd": lambda f: twain.jacfwd(f, (0, 1)),
    "hessian": lambda f: twain.hessian(f),
    "hvp": lambda f: lambda w, xs: twain.hvp(f, (w, xs), (xs[:3] * 2, xs.sin())),
    "vmap_grad": lambda f: lambda w, xs: twain.vmap(twain.grad(f), in_axes=(0, None))(twain.stack([w, w * 2]), xs),
    "grad_vmap": lambda f: (
        lambda w, xs: twain.grad(lambda x: twain.vmap(f, in_axes=(None, 0))(w, twain.stack([x, x + 1])).sum())(xs)
    ),
    "vmap_vmap": lambda f: (
        lambda w, xs: twain.vmap(twain.vmap(f, in_axes=(None, 0)), in_axes=(0, None))(
            twain.stack([w, -w]), twain.stack([xs, xs * 2])
        )
    ),
    "jvp_vmap": lambda f: (
        lambda w, xs: twain.jvp(
            lambda x: twain.vmap(f, in_axes=(None, 0))(w, x), (twain.stack([xs, -xs]),), (twain.stack([xs, xs]),)
        )[1]
    ),
    "third": lambda f: lambda w, xs: twain.jvp(twain.grad(lambda v: twain.jvp(f, (v, xs), (w, xs))[1]), (w,), (w,))[1],
}


@pytest.mark.parametrize("name", TRANSFORMATIONS)
@pytest.mark.parametrize("reverse", [False, True])
def test_scan_is_a_loop(name, reverse, w, xs):
    by_scan = scalar_of(lambda w, xs: recurrent(w, xs, reverse))
    by_hand = scalar_of(lambda w, xs: unrolled(w, xs, reverse))
    close(TRANSFORMATIONS[name](by_scan)(w, xs), TRANSFORMATIONS[name](by_hand)(w, xs))


def branching(w, xs):
    return twain.cond((xs.sum() > 0), lambda a: (a @ w).sin().sum(), lambda a: (a * a).sum() * w[0, 0], xs)


def chosen(w, xs):
    return (xs @ w).sin().sum() if xs.sum().item() > 0 else (xs * xs).sum() * w[0, 0]


@pytest.mark.parametrize("name", ["value", "grad", "jvp", "jacfwd", "hessian", "hvp", "third"])
@pytest.mark.parametrize("sign", [1, -1])
def test_cond_takes_one_side(name, sign, w, xs):
    xs = abs(xs) * sign
    close(TRANSFORMATIONS[name](branching)(w, xs), TRANSFORMATIONS[name](chosen)(w, xs))


def test_cond_of_a_batch_selects(w, xs):
    several = twain.stack([abs(xs), -abs(xs), xs])
    for of in (lambda f: f, lambda f: twain.grad(f, 1), lambda f: twain.jacfwd(f)):
        got = twain.vmap(of(branching), in_axes=(None, 0))(w, several)
        close(got, twain.stack([of(chosen)(w, several[i]) for i in range(3)]))


def halving(x, limit=None):
    return twain.while_loop(
        lambda c: c["x"] > 1.0, lambda c: {"x": c["x"] * 0.5, "n": c["n"] + 1}, {"x": x, "n": 0}, limit
    )


def test_while_loop(w):
    x = twain.asarray(37.0, dtype="float64")
    got = halving(x)
    assert (got["x"].item(), got["n"].item()) == (37.0 / 64, 6)
    assert halving(x, 3)["n"].item() == 3
    one = twain.ones((), dtype="float64")
    assert twain.jvp(lambda v: halving(v)["x"], (x,), (one,))[1].item() == 1 / 64
    assert twain.jacfwd(lambda v: halving(v)["x"])(x).item() == 1 / 64
    assert twain.grad(lambda v: halving(v, 20)["x"])(x).item() == 1 / 64
    several = twain.asarray([0.5, 3.0, 100.0], dtype="float64")
    assert twain.vmap(halving)(several)["n"].tolist() == [0, 2, 7]
    assert twain.vmap(twain.grad(lambda v: halving(v, 10)["x"]))(several).tolist() == [1.0, 0.25, 1 / 128]
    assert twain.vmap(lambda v, k: twain.while_loop(lambda c: c < 10, lambda c: c * k, v), in_axes=(None, 0))(
        one, twain.asarray([2.0, 3.0], dtype="float64")
    ).tolist() == [16.0, 27.0]
    with pytest.raises(twain.TwainError, match="max_iterations"):
        twain.grad(lambda v: halving(v)["x"])(x)


def test_newton_by_while_loop_inside_scan():
    def root(a):
        return twain.while_loop(lambda y: abs(y * y - a) > 1e-12, lambda y: 0.5 * (y + a / y), a, 60)

    values = twain.asarray([2.0, 9.0, 0.3], dtype="float64")
    total, roots = twain.scan(lambda s, a: (s + root(a), root(a)), twain.zeros((), dtype="float64"), values)
    close(roots, values.sqrt(), 1e-9)
    close(total, values.sqrt().sum(), 1e-9)
    gradient = twain.grad(lambda v: twain.scan(lambda s, a: (s + root(a), None), 0.0 * v[0], v)[0])(values)
    close(gradient, 0.5 / values.sqrt(), 1e-6)


@pytest.mark.parametrize("name", ["value", "grad", "jvp", "hessian", "vmap_grad", "third"])
def test_checkpoint_changes_nothing(name, w, xs):
    def plain(w, xs):
        return ((xs @ w).tanh() @ w).sin().sum()

    close(TRANSFORMATIONS[name](twain.checkpoint(plain))(w, xs), TRANSFORMATIONS[name](plain)(w, xs))


def test_checkpoint_draws_the_same_numbers_again():
    x = twain.ones((64,)).requires_grad_()
    result = twain.checkpoint(lambda v: twain.dropout(v, 0.5) * v)(x)
    result.sum().backward()
    close(x.grad, 2 * result.detach(), 1e-6)


@pytest.mark.parametrize("name", ["value", "grad", "vmap_grad", "jvp"])
def test_compiled(name, w, xs):
    def everything(w, xs):
        h, ys = recurrent(w, xs)
        y = twain.cond(h.sum() > 0, lambda: h * 2, lambda: h @ w)
        n = twain.while_loop(lambda c: (c * c).sum() > 1.0, lambda c: c * 0.5, y.detach())
        return twain.checkpoint(lambda a: (a * n).sum())(y) + ys["h"].sum()

    function = TRANSFORMATIONS[name](everything)
    compiled = twain.compile(lambda w, xs: function(w, xs))
    for k in range(4):
        close(compiled(w + k * 0.1, xs), function(w + k * 0.1, xs))
    assert "1 plan(s)" in compiled.explain(), compiled.explain()


def test_backward_through_control_flow(w, xs):
    one, other = w.detach().requires_grad_(), w.detach().requires_grad_()
    scalar_of(recurrent)(one, xs).backward()
    scalar_of(unrolled)(other, xs).backward()
    close(one.grad, other.grad)


def test_edges():
    carry, ys = twain.scan(lambda c, x: (c + x, c), 0.0, twain.zeros((0,)))
    assert carry.item() == 0.0 and ys.shape == (0,)
    carry, ys = twain.scan(lambda c, _: (c + 1, None), 0, None, 5)
    assert carry.item() == 5 and ys is None
    carry, ys = twain.scan(lambda c, x: ((c[1], c[0]), x), (1.0, 2.0), twain.arange(3))
    assert [c.item() for c in carry] == [2.0, 1.0] and ys.tolist() == [0, 1, 2]
    strided = twain.reshape(twain.arange(12), (3, 4)).T
    carry, ys = twain.scan(lambda c, x: (c + x, x * 2), twain.zeros((3,), dtype="int64"), strided)
    assert carry.tolist() == [6, 22, 38] and ys.tolist() == (strided * 2).tolist()
    assert twain.cond(True, lambda: 1, lambda: 2) == 1
    before = twain.random.get_state()["counter"]
    _, drawn = twain.scan(lambda c, _: (c, twain.random.uniform(())), 0.0, None, 6)
    assert len(set(drawn.tolist())) == 6 and twain.random.get_state()["counter"] > before


@pytest.mark.parametrize(
    "call, text",
    [
        (lambda x: twain.scan(lambda c, v: (c.astype("float32"), None), x[0], x), "carry to be float64.*got float32"),
        (
            lambda x: twain.scan(lambda c, v: ({"a": c["a"][:1]}, None), {"a": x}, x),
            r"carry at \['a'\] to be float64\[3\]",
        ),
        (lambda x: twain.scan(lambda c, v: ((c, c), None), x[0], x), "structure"),
        (lambda x: twain.scan(lambda c, v: c, x[0], x), r"\(carry, y\)"),
        (lambda x: twain.scan(lambda c, v: (c, v), x[0]), "xs or length"),
        (lambda x: twain.scan(lambda c, v: (c, v), x[0], (x, x[:2])), "3 entries"),
        (lambda x: twain.scan(lambda c, v: (c, v), x[0], x[0]), "axis to scan over"),
        (lambda x: twain.scan(lambda c, v: (c if c > 0 else v, v), x[0], x), "where"),
        (lambda x: twain.scan(lambda c, v: (c, "text"), x[0], x), "tensors"),
        (lambda x: twain.cond(x[0] > 0, lambda: x, lambda: x[0]), "both functions"),
        (lambda x: twain.cond(x[0] > 0, lambda: (x, x), lambda: x), "structure"),
        (lambda x: twain.cond(x > 0, lambda: x, lambda: x), "one element"),
        (lambda x: twain.cond("yes", lambda: x, lambda: x), "pred"),
        (lambda x: twain.cond(x[0] > 0, x, lambda: x), "true_function"),
        (lambda x: twain.while_loop(lambda c: c, lambda c: c, x), "condition"),
        (lambda x: twain.while_loop(lambda c: (c > 0).all(), lambda c: c[0], x), "carry to be"),
        (lambda x: twain.while_loop(lambda c: (c > 0).all(), lambda c: c, x, -1), "max_iterations"),
        (lambda x: twain.checkpoint(lambda v: v if v.sum() > 0 else -v)(x), "where"),
    ],
)
def test_errors(call, text):
    with pytest.raises((twain.TwainError, TypeError), match=text):
        call(twain.asarray([1.0, 2.0, 3.0], dtype="float64"))
