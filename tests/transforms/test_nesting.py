"""Transformations in each other, over trees and modules, eager and compiled; reading values; what must be refused."""

import dataclasses
import gc
from typing import Any, NamedTuple

import pytest

import twain
from twain import nn


def close(a, b, tolerance=1e-9):
    assert a.shape == b.shape and a.dtype is b.dtype, (a, b)
    assert a.size == 0 or float(abs(a - b).max()) <= tolerance, (a, b)


def doubles(shape, seed=1):
    return twain.random.Generator(seed).normal(shape, dtype="float64")


@dataclasses.dataclass
class Weights:
    w: Any
    b: Any
    name: str = "layer"


class Pair(NamedTuple):
    w: Any
    b: Any


def affine(p, x):
    return ((x @ p.w + p.b) ** 2).sum()


@pytest.mark.parametrize("kind", [Weights, Pair])
def test_trees(kind):
    p, x = kind(doubles((3, 2)), doubles((2,), 2)), doubles((3,), 3)
    value, g = twain.value_and_grad(affine)(p, x)
    residual = 2 * (x @ p.w + p.b)
    assert type(g) is kind
    close(g.b, residual)
    close(g.w, x[:, None] * residual)
    close(value, affine(p, x))
    several = twain.vmap(twain.grad(affine), in_axes=(None, 0))(p, twain.stack([x, x * 2]))
    close(several.b[0], residual)
    nested = {"a": [p.w, (p.b,)], "x": x}
    g = twain.grad(lambda d: affine(Pair(d["a"][0], d["a"][1][0]), d["x"]))(nested)
    close(g["a"][1][0], residual)
    close(twain.hessian(lambda d: (d["x"] ** 3).sum())({"x": x})["x"]["x"], twain.diag(6 * x))


def test_arguments():
    x, y = doubles((3,)), doubles((3,), 2)

    def f(a, b, scale=1.0):
        return (a * b).sum() * scale, {"aux": a + b}

    (value, aux), (ga, gb) = twain.value_and_grad(f, (0, -1), has_aux=True)(x, y, scale=2.0)
    close(ga, y * 2.0)
    close(gb, x * 2.0)
    close(aux["aux"], x + y)
    assert not aux["aux"].requires_grad and not value.requires_grad
    value, moved, aux = twain.jvp(f, (x, y), (x, None), has_aux=True)
    close(moved, (x * y).sum())
    close(aux["aux"], x + y)
    value, pull, aux = twain.vjp(f, x, y, has_aux=True)
    close(pull(1.0)[0], y)
    close(pull(twain.ones((), dtype="float64"))[1], x)
    jacobian, aux = twain.jacrev(lambda a: (a * 2, a.sum()), has_aux=True)(x)
    close(jacobian, twain.eye(3, dtype="float64") * 2)
    jacobian, aux = twain.jacfwd(lambda a: (a * 2, 7.0), has_aux=True)(x)
    close(jacobian, twain.eye(3, dtype="float64") * 2)
    close(twain.jacobian(lambda a: a * a, mode="forward")(x), twain.diag(2 * x))
    close(twain.grad(lambda a: a * a)(3.0), twain.asarray(6.0, dtype="float32"))


def test_shapes_of_jacobians():
    x, y = doubles((2, 3)), doubles((4,), 2)

    def f(x, y):
        return {"p": x[:, 0] * y[0], "q": (x.sum() * y).reshape((2, 2))}

    by_rows, by_columns = twain.jacrev(f, (0, 1))(x, y), twain.jacfwd(f, (0, 1), chunk_size=3)(x, y)
    for name, shape in (("p", (2,)), ("q", (2, 2))):
        for i, of in enumerate((x, y)):
            assert by_rows[name][i].shape == (*shape, *of.shape)
            close(by_rows[name][i], by_columns[name][i])


def test_axes_of_vmap():
    x = doubles((4, 5, 3))
    close(twain.vmap(lambda d: d["a"] + d["b"], in_axes=({"a": 0, "b": None},))({"a": x, "b": 1.0}), x + 1.0)
    a, b = twain.vmap(lambda r: (r * 2, r.sum()), in_axes=1, out_axes=(2, 0))(x)
    close(a, (x * 2).permute_dims((0, 2, 1)))
    close(b, x.sum(axis=(0, 2)))
    close(twain.vmap(lambda r, s: s, in_axes=(0, None), out_axes=None)(x, x[0]), x[0])
    for size in (1, 3, 4, 9):
        close(
            twain.vmap(lambda r: r.sin() @ r[0], in_axes=-2, chunk_size=size)(x),
            twain.vmap(lambda r: r.sin() @ r[0], 1)(x),
        )
    assert twain.vmap(lambda r: r * 2)(twain.zeros((0, 3))).shape == (0, 3)


def test_values_may_be_read_where_there_are_some():
    x = doubles((4, 3))

    def f(row, w):
        return (row * w).sum() if w.sum() > 0 else (row * row).sum()

    for w in (twain.ones((3,), dtype="float64"), -twain.ones((3,), dtype="float64")):
        expected = twain.stack([f(x[i], w) for i in range(4)])
        close(twain.vmap(f, in_axes=(0, None))(x, w), expected)
        value, _ = twain.jvp(f, (x[0], w), (x[1], w))
        close(value, expected[0])
        product = twain.hvp(lambda r: f(r, w), (x[0],), (x[1],))[0]  # noqa: B023
        close(product, twain.zeros((3,), dtype="float64") if w[0] > 0 else 2 * x[1])
    assert float(twain.jvp(lambda a: a * float(a), (x[0, 0],), (x[0, 0],))[0]) == float(x[0, 0]) ** 2

    def counted(a):
        n = 0
        while a.sum() < 100:
            a, n = a * 2, n + 1
        return a.sum() * n

    direct = twain.grad(counted)(abs(x[0]))
    close(twain.jvp(counted, (abs(x[0]),), (twain.ones((3,), dtype="float64"),))[1], direct.sum())


def test_writes_inside():
    def f(x):
        y = x * 2
        y[0] = x[1]
        y[1:] += x[:-1]
        return y

    x = doubles((4, 3))
    close(twain.vmap(f)(x), twain.stack([f(x[i]) for i in range(4)]))
    close(twain.jacrev(f)(x[0]), twain.jacfwd(f)(x[0]))
    with pytest.raises(twain.TwainError, match="setitem"):
        outside = twain.zeros((3,), dtype="float64")
        twain.vmap(lambda r: outside.__setitem__(0, r[0]))(x)


def small_model():
    twain.random.seed(3)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))


def per_sample_by_hand(model, x, y):
    rows = []
    for i in range(x.shape[0]):
        model.zero_grad()
        twain.cross_entropy(model(x[i : i + 1]), y[i : i + 1]).backward()
        rows.append({name: p.grad for name, p in model.named_parameters()})
    return {name: twain.stack([r[name] for r in rows]) for name in rows[0]}


def test_gradients_of_single_samples():
    model, x, y = small_model(), twain.random.normal((5, 4)), twain.asarray([0, 1, 2, 0, 1])
    expected = per_sample_by_hand(model, x, y)

    def by_name(p, x, y):
        return twain.cross_entropy(twain.functional_call(model, p, x[None]), y[None])

    def by_module(m, x, y):
        return twain.cross_entropy(m(x[None]), y[None])

    parameters = dict(model.named_parameters())
    got = twain.vmap(twain.grad(by_name), in_axes=(None, 0, 0))(parameters, x, y)
    also = dict(twain.vmap(twain.grad(by_module), in_axes=(None, 0, 0))(model, x, y).named_parameters())
    compiled = twain.compile(lambda p, x, y: twain.vmap(twain.grad(by_name), in_axes=(None, 0, 0))(p, x, y))
    for _ in range(3):
        fast = compiled(parameters, x, y)
    assert "1 plan(s)" in compiled.explain(), compiled.explain()
    for name, g in expected.items():
        for found in (got, also, fast):
            close(found[name], g, 1e-6)


def test_modules():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(32, 1))
    model[3].bias.requires_grad_(False)
    x = twain.random.normal((4, 1, 6, 6))
    before = model[1].running_mean.detach()
    loss, g = twain.value_and_grad(lambda m: (m(x) ** 2).mean())(model)
    assert g[1].running_mean is None and g[3].bias is None and not loss.requires_grad
    assert not bool((model[1].running_mean == before).all())  # training goes on as ever
    model.zero_grad()
    (model(x) ** 2).mean().backward()
    for (name, p), (other, d) in zip(
        [(n, p) for n, p in model.named_parameters() if p.requires_grad], g.named_parameters()
    ):
        assert name == other
        close(p.grad, d, 1e-5)
    model.eval()
    stacked, _ = twain.stack_module_state([small_model() for _ in range(3)])
    one = small_model()
    ensemble = twain.vmap(lambda p, x: twain.functional_call(one, p, x), in_axes=(0, None))
    assert ensemble(stacked, x[:, 0, 0, :4]).shape == (3, 4, 3)
    with pytest.raises(twain.TwainError, match="nothing"):
        twain.functional_call(model, {"nothing": x}, x)


def test_functional_graph_models():
    a = nn.Input(4)
    model = nn.Graph(a, nn.Linear(3, 1)(nn.Tanh()(nn.Linear(4, 3)(a))))
    x = twain.random.normal((5, 4))
    g = twain.grad(lambda m: m(x).sum())(model)
    model(x).sum().backward()
    for p, d in zip(model.parameters(), g.parameters()):
        close(p.grad, d, 1e-5)


def test_random_numbers():
    x = twain.ones((3, 50))
    with pytest.raises(twain.TwainError, match="randomness"):
        twain.vmap(lambda r: twain.dropout(r, 0.5))(x)
    same = twain.vmap(lambda r: twain.dropout(r, 0.5), randomness="same")(x)
    assert bool((same[0] == same[1]).all())
    different = twain.vmap(lambda r: twain.dropout(r, 0.5), randomness="different")(x)
    assert not bool((different[0] == different[1]).all())
    nested = twain.vmap(
        twain.vmap(lambda r: twain.random.uniform((4,)), randomness="different"), randomness="different"
    )(x[:, :3])
    assert len(set(nested.reshape((-1,)).tolist())) == 36
    twain.random.seed(5)
    first = twain.jvp(lambda a: a * twain.random.normal((3, 50)), (x,), (x,))[1]
    twain.random.seed(5)
    close(first, twain.random.normal((3, 50)))


def test_stop_gradient_and_no_grad():
    x = doubles((3,))

    def f(a):
        with twain.no_grad():
            b = a * 3
        return (a * b + a * twain.stop_gradient(a) + a * a.detach()).sum()

    close(twain.grad(f)(x), 3 * x + x + x)
    close(twain.vmap(twain.grad(f))(x[:, None])[:, 0], 5 * x)
    close(twain.jvp(lambda a: a * twain.stop_gradient(a), (x,), (x,))[1], x * x)


def test_compiled_functions_inside_and_outside():
    inner = twain.compile(lambda a: (a.sin() * a).sum())
    x = doubles((4, 3))
    for _ in range(3):
        inner(x[0])
    plain = lambda a: (a.sin() * a).sum()
    close(twain.vmap(inner)(x), twain.vmap(plain)(x))
    close(twain.hessian(inner)(x[0]), twain.hessian(plain)(x[0]))
    outer = twain.compile(lambda x, t: (twain.vmap(twain.hessian(plain))(x), twain.hvp(inner, (x[0],), (t,))[0]))
    for k in range(4):
        a, b = outer(x + k, x[1])
        close(a, twain.vmap(twain.hessian(plain))(x + k))
        close(b, twain.hvp(plain, (x[0] + k,), (x[1],))[0])
    assert "1 plan(s)" in outer.explain(), outer.explain()


def test_backward_through_all_of_it():
    x = doubles((3,)).requires_grad_()
    y = twain.vmap(twain.grad(lambda a: a**3))(x) + twain.jvp(lambda a: a**2, (x,), (x.detach(),))[1]
    y.sum().backward()
    close(x.grad, 6 * x.detach() + 2 * x.detach())


THREE = twain.ones((3,), dtype="float64")


@pytest.mark.parametrize(
    "call, text",
    [
        (lambda: twain.grad(lambda x: x * 2)(THREE), r"one element, got float64\[3\].*jacrev"),
        (lambda: twain.grad(lambda x: 3.0)(THREE), "got float"),
        (lambda: twain.grad(lambda x: x.sum())(twain.arange(3)), r"floating.*int64\[3\].*astype"),
        (lambda: twain.grad(lambda x: x["a"].sum())({"a": THREE, "b": "text"}), r"str at \[0\]\['b'\]"),
        (lambda: twain.grad(lambda x: x.sum(), 1)(THREE), "argnums"),
        (lambda: twain.grad(lambda x: x.sum(), "x")(THREE), "argnums"),
        (lambda: twain.grad(lambda x: x.sum(), has_aux=True)(THREE), "aux"),
        (lambda: twain.grad(lambda x: (x > 0).sum())(THREE), "floating tensor of one element"),
        (lambda: twain.vmap(lambda a, b: a + b)(THREE, twain.ones((4,))), "equal sizes.*3 .*4"),
        (lambda: twain.vmap(lambda a: a, in_axes=(0, 0))(THREE), "in_axes"),
        (lambda: twain.vmap(lambda a: a, in_axes="0")(THREE), "in_axes"),
        (lambda: twain.vmap(lambda a: a, in_axes=1)(THREE), "axis"),
        (lambda: twain.vmap(lambda a: a["x"], in_axes=({"y": 0},))({"x": THREE}), "in_axes"),
        (lambda: twain.vmap(lambda a: a, in_axes=None)(THREE), "at least one"),
        (lambda: twain.vmap(lambda a: a, out_axes=None)(THREE), "out_axes"),
        (lambda: twain.vmap(lambda a: a, out_axes=(0, 0))(THREE), "out_axes"),
        (lambda: twain.vmap(lambda a: "text")(THREE), "tensors"),
        (lambda: twain.vmap(lambda a: a, randomness="some")(THREE), "randomness"),
        (lambda: twain.vmap(lambda a: a, chunk_size=0)(THREE), "chunk_size"),
        (lambda: twain.vmap(lambda a: a if a > 0 else -a)(THREE), r"where\(...\) or cond"),
        (lambda: twain.vmap(lambda a: float(a))(THREE), "read"),
        (lambda: twain.vmap(lambda a: a.backward())(THREE), "backward.*twain.grad"),
        (lambda: twain.jvp(lambda a: a, (THREE,), (THREE.astype("float32"),)), "tangent of float64"),
        (lambda: twain.jvp(lambda a: a, THREE, THREE), "tuples"),
        (lambda: twain.jvp(lambda a: a["x"], ({"x": THREE},), ({"y": THREE},)), "structure"),
        (lambda: twain.jvp(lambda a: a, (twain.arange(3),), (THREE,)), "floating"),
        (lambda: twain.vjp(lambda a: (a, a), THREE)[1](THREE), "structure"),
        (lambda: twain.vjp(lambda a: a, THREE)[1](twain.ones((4,), dtype="float64")), "cotangent"),
        (lambda: twain.hvp(lambda a: a, (THREE,), (THREE,)), "scalar"),
        (lambda: twain.jacrev(lambda a: a > 0)(THREE), "floating results"),
        (lambda: twain.jacobian(lambda a: a, mode="sideways")(THREE), "mode"),
    ],
)
def test_errors(call, text):
    with pytest.raises((twain.TwainError, TypeError, ValueError), match=text):
        call()


def test_kept_values_are_refused():
    kept = []
    twain.vmap(lambda a: kept.append(a) or a)(THREE)
    with pytest.raises(twain.TwainError, match="has ended"):
        kept[0] + 1


CALLS = {
    "vmap_grad": lambda w, x: twain.vmap(twain.grad(lambda w, r: (w * r).sum()), in_axes=(None, 0))(w, x),
    "jvp": lambda w, x: twain.jvp(lambda v: v * v, (w,), (w,)),
    "vjp": lambda w, x: twain.vjp(lambda v: v * v, w)[1](w),
    "hessian": lambda w, x: twain.hessian(lambda v: (v * v).sum())(w),
    "scan": lambda w, x: twain.scan(lambda c, r: (c + r, c), w, x),
    "cond": lambda w, x: twain.cond(w[0] > 0, lambda: w, lambda: -w),
    "checkpoint": lambda w, x: twain.checkpoint(lambda v: v * v)(w),
    "custom": lambda w, x: twain.custom_gradient(lambda v: (v, lambda g: g))(w),
}


@pytest.mark.parametrize("name", CALLS)
def test_memory_goes_back_at_once(name):
    """No transformation leaves a cycle that holds tensors until the garbage collector comes by."""
    w, x = doubles((300,)), doubles((3, 300))
    for _ in range(3):
        CALLS[name](w, x)
    gc.collect()
    gc.disable()
    try:
        before = twain.memory_stats()["allocated"]
        for _ in range(3):
            CALLS[name](w, x)
        assert twain.memory_stats()["allocated"] == before
    finally:
        gc.enable()


def test_numpy_beside_traced_values():
    np = pytest.importorskip("numpy")
    row = np.ones((3,), dtype="float32")
    got = twain.vmap(lambda r: (row + r * np.float32(2)) / row - row)(twain.ones((2, 3)))
    assert got.tolist() == [[2.0] * 3] * 2
